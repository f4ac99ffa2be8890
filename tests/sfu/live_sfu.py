"""A real sfu process, commanded over its control socket as signalling does, without signalling. Edge."""

import asyncio
import os
import secrets
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self, TypeVar

import yaml

from sfu.contract.messages import (
    PROTOCOL_VERSION,
    Answer,
    Command,
    Fingerprint,
    FromSfu,
    Hello,
    OpenSession,
    OpenSpace,
    ReceiveSection,
    Reply,
    Report,
    Request,
    SendSection,
    SessionOpened,
)
from sfu.contract.wire import encode_request, read_from_sfu
from tests.harness.processes import START_S, Process, poll, take_port
from tests.harness.sdp import LEVEL, MID
from tests.harness.wire import WITHIN_S, Manner, WirePeer
from tests.sfu.sessions import Kind

R = TypeVar("R")

PAYLOAD_TYPE = 111


class LiveSfu:
    """`async with` starts the process and opens the space `lounge`."""

    def __init__(self, directory: Path, *, workers: int = 1, **overrides: Any) -> None:
        self.udp_ports = [take_port() for _ in range(workers)]
        self.metrics_port = take_port()
        self.path = directory / "sfu.sock"
        config = directory / "palco.yaml"
        settings: dict[str, Any] = {
            "rtc": {"udp_ports": self.udp_ports, "bind_address": "127.0.0.1", "node_ip": "127.0.0.1"},
            "keys": {"key": secrets.token_hex(32)},
            "metrics": {"sfu_port": self.metrics_port, "signalling_port": 0},
            "control": {"socket": str(self.path)},
            "drain": {"deadline_s": 0},
        }
        rtc = settings["rtc"] | overrides.pop("rtc", {})
        config.write_text(yaml.safe_dump(settings | overrides | {"rtc": rtc}))
        environ = {name: value for name, value in os.environ.items() if not name.startswith("PALCO")}
        argv = [sys.executable, "-m", "sfu", "--config", str(config)]
        self._make_process: Callable[[str], Process] = lambda log: Process(argv, directory / log, environ)
        self.process = self.another_process(log="sfu.log")
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self.process.start()
        self._stack.callback(lambda: self.process.is_running and self.process.stop())
        poll(self.path.exists, what="the control socket", within_s=START_S)
        self.signalling = await self.connect()
        await self.signalling.ask(OpenSpace("lounge"))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def another_process(self, log: str = "another.log") -> Process:
        """With the same configuration; not started."""
        return self._make_process(log)

    async def connect(self) -> "Signalling":
        """Another signalling, which takes over."""
        signalling = Signalling(*await asyncio.open_unix_connection(self.path))
        self._stack.push_async_callback(signalling.close)
        assert isinstance(await signalling.ask(Hello(PROTOCOL_VERSION)), Hello)
        return signalling

    async def peer(self, identity: str, manner: Manner) -> WirePeer:
        return await self._stack.enter_async_context(WirePeer(identity, manner))

    async def join(self, identity: str, kind: Kind, *, sections: int = 1, **manner: Any) -> WirePeer:
        """An honest participant with media up."""
        peer = await self.peer(identity, Manner(sections=_directions(kind, sections), **manner))
        opened = await self.open(peer, kind)
        assert isinstance(opened, SessionOpened), opened
        await peer.connect(answer_of(opened, peer))
        return peer

    async def open(self, peer: WirePeer, kind: Kind, *, session: str | None = None, **wishes: Any) -> Answer:
        """Signalling's part of a join: OpenSession from the peer's offer. The session is named after the peer."""
        offer = peer.offer()
        directions = list(enumerate(offer.sections))
        extensions = {"mid_extension": offer.mid_extension, "level_extension": offer.level_extension}
        receive = [
            ReceiveSection(mid=str(index), payload_type=PAYLOAD_TYPE, ssrc=offer.ssrc, **extensions)
            for index, direction in directions
            if direction in {"sendonly", "sendrecv"}
        ]
        only_sent = {name: wishes.pop(name) for name in ("max_packet_ms", "red_payload_type") if name in wishes}
        send = [
            SendSection(mid=str(index), payload_type=PAYLOAD_TYPE, **only_sent, **extensions)
            for index, direction in directions
            if direction in {"recvonly", "sendrecv"}
        ]
        command = OpenSession(
            session=session or f"session-of-{peer.name}",
            space="lounge",
            identity=peer.name,
            kind=kind,
            setup="active" if offer.setup == "passive" else "passive",
            fingerprints=[Fingerprint("sha-256", offer.fingerprint)],
            remote_ufrag=offer.ufrag,
            receive=receive[0] if receive else None,
            send=send,
            is_on_stage=wishes.pop("is_on_stage", kind != "whep"),
            is_muted=wishes.pop("is_muted", False),
        )
        return await self.signalling.ask(command)


class Signalling:
    """One control connection: commands out, answers by their number, reports kept."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._messages = read_from_sfu()
        self._number = 0
        self._answers: dict[int, asyncio.Future[Answer]] = {}
        self.reports: list[Report] = []
        self._news = asyncio.Condition()
        self._reading = asyncio.create_task(self._read(reader))

    async def ask(self, command: Command) -> Answer:
        self._number += 1
        answer = self._answers[self._number] = asyncio.get_running_loop().create_future()
        self._writer.write(encode_request(Request(self._number, command)))
        return await asyncio.wait_for(answer, WITHIN_S)

    async def hears(self, report: type[R], *, such_that: Callable[[R], bool] = lambda _: True, **facts: object) -> R:
        """The first report of that kind with these fields, come or to come."""

        def find() -> R | None:
            for heard in self.reports:
                if isinstance(heard, report) and _has(heard, facts) and such_that(heard):
                    return heard
            return None

        async with asyncio.timeout(WITHIN_S), self._news:
            await self._news.wait_for(lambda: find() is not None)
        found = find()
        assert found is not None
        return found

    async def close(self) -> None:
        self._writer.close()
        self._reading.cancel()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while chunk := await reader.read(65536):
            for message in self._messages.feed(chunk):
                await self._on_message(message)

    async def _on_message(self, message: FromSfu) -> None:
        if isinstance(message, Reply):
            self._answers.pop(message.id).set_result(message.answer)
            return
        async with self._news:
            self.reports.append(message)
            self._news.notify_all()


def answer_of(opened: SessionOpened, peer: WirePeer) -> str:
    """As much of an SDP answer as a client reads."""
    offer = peer.offer()
    opposite = {"sendonly": "recvonly", "recvonly": "sendonly", "sendrecv": "sendrecv"}
    ssrcs = iter(opened.ssrcs)
    lines = ["v=0"]
    for index, direction in enumerate(offer.sections):
        lines += [
            f"m=audio 9 UDP/TLS/RTP/SAVPF {PAYLOAD_TYPE}",
            f"a=mid:{index}",
            f"a={opposite[direction]}",
            f"a=ice-ufrag:{opened.ufrag}",
            f"a=ice-pwd:{opened.pwd}",
            f"a=fingerprint:{opened.fingerprint.algorithm} {opened.fingerprint.value}",
            f"a=setup:{opened.setup}",
            f"a=extmap:{offer.level_extension} {LEVEL}",
            f"a=extmap:{offer.mid_extension} {MID}",
        ]
        lines += [f"a=candidate:1 1 udp 1 {each.address} {each.port} typ host" for each in opened.candidates]
        if direction != "sendonly":
            lines.append(f"a=ssrc:{next(ssrcs)} cname:{opened.cname}")
    return "\r\n".join([*lines, ""])


def _directions(kind: Kind, sections: int) -> list[Any]:
    first = {"whip": "sendonly", "whep": "recvonly", "stage": "sendrecv"}[kind]
    return [first, *["recvonly"] * (sections - 1)]


def _has(report: object, facts: dict[str, object]) -> bool:
    return all(getattr(report, name) == value for name, value in facts.items())
