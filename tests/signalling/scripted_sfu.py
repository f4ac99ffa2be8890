"""An sfu for tests of signalling: speaks the real control protocol on a real socket, and has no media. Edge (sockets).

It keeps what it was told, as the real one does, so that a signalling server that comes back finds its sessions here.
`refuse` makes it say no; `report` says what no command asked for.
"""

import asyncio
import contextlib
import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

import msgspec

from sfu.contract import messages as m
from sfu.contract.wire import Malformed, RequestReader, encode_from_sfu

FINGERPRINT = m.Fingerprint("sha-256", ":".join(["AB"] * 32))
CANDIDATES = [m.Candidate("127.0.0.1", 7882), m.Candidate("::1", 7882)]


T = TypeVar("T")


class ScriptedSfu:
    """`async with ScriptedSfu(path) as sfu:`; `commands` is all it heard but Hello and Describe, in order."""

    def __init__(self, path: Path, *, node: str = "node-1") -> None:
        self._path = path
        self._node = node
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._credentials = itertools.count(1)
        self._refusals: dict[type, m.Refused] = {}
        self.commands: list[m.Command] = []
        self.spaces: dict[str, m.OpenSpace] = {}
        self.sessions: dict[str, m.SessionState] = {}
        self.muted: dict[str, set[str]] = {}
        self.on_stage: dict[str, set[str]] = {}
        self.is_mute_to_all = False
        """Hears everything, does it, and answers nothing."""
        self._news = asyncio.Condition()

    async def __aenter__(self) -> "ScriptedSfu":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, self._path)

    async def stop(self) -> None:
        """Goes away, and with it all connections; what it knew stays for `start`."""
        if self._server:
            self._server.close()
            self._path.unlink(missing_ok=True)
        for writer in list(self._writers):
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    def forget(self, *, node: str) -> None:
        """As a new process would."""
        self._node = node
        for kept in (self.spaces, self.sessions, self.muted, self.on_stage):
            kept.clear()

    def refuse(self, command: type, code: str) -> None:
        self._refusals[command] = m.Refused(code, f"scripted to say {code}")

    def heard(self, command: type[T]) -> list[T]:
        return [said for said in self.commands if isinstance(said, command)]

    async def has_heard(self, command: type) -> None:
        """Returns once it has heard one such command, also one that it did not answer."""
        async with self._news:
            await self._news.wait_for(lambda: any(isinstance(said, command) for said in self.commands))

    def report(self, report: m.Report) -> None:
        for writer in self._writers:
            writer.write(encode_from_sfu(report))

    def connect(self, session: str) -> None:
        """The peer's DTLS is up."""
        self._change(session, is_connected=True)
        self.report(m.SessionConnected(session))

    def drop(self, session: str, reason: str = "expired") -> None:
        state = self.sessions.pop(session)
        self.report(m.SessionClosed(session, state.space, state.identity, reason))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests = RequestReader()
        self._writers.add(writer)
        try:
            while chunk := await reader.read(1 << 16):
                for request in requests.feed(chunk):
                    assert not isinstance(request, Malformed), request
                    answer = self._answer(request.command)
                    if not self.is_mute_to_all:
                        writer.write(encode_from_sfu(m.Reply(request.id, answer)))
                async with self._news:
                    self._news.notify_all()
        except ConnectionError:
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    def _answer(self, command: m.Command) -> m.Answer:
        if not isinstance(command, m.Hello | m.Describe):
            self.commands.append(command)
        if refusal := self._refusals.get(type(command)):
            return refusal
        match command:
            case m.Hello():
                return m.Hello(m.PROTOCOL_VERSION, node=self._node)
            case m.Describe():
                return m.Snapshot(self._node, False, self._space_states(), list(self.sessions.values()))
            case m.OpenSession():
                return self._open(command)
            case m.RestartIce(session, remote_ufrag):
                return self._restart(session, remote_ufrag)
        self._obey(command)
        return m.Done()

    def _obey(self, command: m.Command) -> None:
        match command:
            case m.OpenSpace(space):
                self.spaces[space] = command
            case m.CloseSpace(space):
                self.spaces.pop(space, None)
                self._close(state.session for state in list(self.sessions.values()) if state.space == space)
            case m.SetAudience(space, audience):
                self.spaces[space] = msgspec.structs.replace(self.spaces[space], audience=audience)
            case m.CloseSession(session):
                self._close([session])
            case m.SetMuted(space, identities, is_muted):
                muted = self.muted.setdefault(space, set())
                muted.update(identities) if is_muted else muted.difference_update(identities)
            case m.SetOnStage(space, identity, is_on_stage):
                stage = self.on_stage.setdefault(space, set())
                stage.add(identity) if is_on_stage else stage.discard(identity)
            case m.RemoveParticipant(space, identity):
                states = list(self.sessions.values())
                self._close(state.session for state in states if (state.space, state.identity) == (space, identity))

    def _close(self, sessions: Iterable[str]) -> None:
        for session in list(sessions):
            self.sessions.pop(session, None)

    def _open(self, command: m.OpenSession) -> m.Answer:
        if command.space not in self.spaces:
            return m.Refused("unknown_space", command.space)
        ufrag = f"ufrag{next(self._credentials)}"
        if command.is_on_stage:
            self.on_stage.setdefault(command.space, set()).add(command.identity)
        self.sessions[command.session] = m.SessionState(
            session=command.session,
            space=command.space,
            identity=command.identity,
            kind=command.kind,
            is_connected=False,
            is_on_stage=command.is_on_stage,
            is_muted=command.is_muted,
            ufrag=ufrag,
            remote_ufrag=command.remote_ufrag,
            owner=command.owner,
        )
        return m.SessionOpened(
            session=command.session,
            ufrag=ufrag,
            pwd="p" * 24,
            fingerprint=FINGERPRINT,
            setup=command.setup,
            candidates=CANDIDATES,
            cname="palco",
            ssrcs=[1000 + index for index in range(len(command.send))],
        )

    def _restart(self, session: str, remote_ufrag: str) -> m.Answer:
        if session not in self.sessions:
            return m.Refused("unknown_session", session)
        ufrag = f"ufrag{next(self._credentials)}"
        self._change(session, ufrag=ufrag, remote_ufrag=remote_ufrag)
        return m.IceRestarted(session, ufrag, "q" * 24, CANDIDATES)

    def _change(self, session: str, **changes: object) -> None:
        self.sessions[session] = msgspec.structs.replace(self.sessions[session], **changes)

    def _space_states(self) -> list[m.SpaceState]:
        return [
            m.SpaceState(
                space=space,
                max_speakers=opened.max_speakers,
                muted=sorted(self.muted.get(space, ())),
                on_stage=sorted(self.on_stage.get(space, ())),
                audience=opened.audience,
            )
            for space, opened in self.spaces.items()
        ]
