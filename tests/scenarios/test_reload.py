"""SIGHUP: keys, log level and limits are read again while people speak; a file that cannot be used changes nothing."""

import os
import secrets
import signal
from collections.abc import Callable
from typing import Any

import jwt
import pytest
import yaml

from tests.harness.processes import STOP_S, Palco, Process, poll
from tests.harness.room import Room, meanwhile, meet_all
from tests.harness.wire import Manner

pytestmark = pytest.mark.live

MakePalco = Callable[..., Palco]


def rewrite(palco: Palco, **changes: Any) -> None:
    document = yaml.safe_load(palco.config.read_text())
    palco.config.write_text(yaml.safe_dump(document | changes))


def said(process: Process, event: str) -> list[dict[str, Any]]:
    return [line for line in process.happenings() if line["event"] == event]


def reload(palco: Palco, event: str = "reloaded") -> None:
    """Both processes read the file again and say what came of it."""
    before = {process: len(said(process, event)) for process in (palco.sfu, palco.signalling)}
    for process, count in before.items():
        os.kill(process.pid, signal.SIGHUP)
        poll(lambda one=process, old=count: len(said(one, event)) > old, what=event, within_s=STOP_S)  # type: ignore[misc]


async def test_keys_change_under_speech_and_no_packet_is_missing(make_palco: MakePalco) -> None:
    palco = make_palco()
    async with Room(palco) as room:
        ana = await room.speaker("ana")
        listeners = [await room.listener(f"listener-{index}") for index in range(3)]
        await meet_all([ana], listeners)
        first = ana.peer.said + 1
        added = secrets.token_hex(32)
        async with ana.peer.speaking():
            rewrite(palco, keys={"new-key": added}, logging={"level": "debug"})
            await meanwhile(lambda: reload(palco))
            old = await room.call("GET", f"/v1/spaces/{room.space}", room.host)
            assert (old.status_code, old.json()["code"]) == (401, "bad_token")
            claims = jwt.decode(room.host, options={"verify_signature": False}) | {"iss": "new-key"}
            new = await room.call("GET", f"/v1/spaces/{room.space}", jwt.encode(claims, added, algorithm="HS256"))
            assert new.status_code == 200
        last = ana.peer.say()
        for listener in listeners:
            await listener.peer.hears(last)
            heard = [number for number in listener.peer.numbers(ana.peer) if number >= first]
            assert heard == list(range(first, last.number + 1))
        for process in (palco.sfu, palco.signalling):
            assert set(said(process, "reloaded")[-1]["changed"]) == {"keys", "logging.level"}
            assert added not in process.log.read_text()


async def test_limits_count_from_the_next_request_on(make_palco: MakePalco) -> None:
    palco = make_palco()
    async with Room(palco) as room:
        rewrite(palco, limits={"requests_per_second": 0.001, "request_burst": 1})
        await meanwhile(lambda: reload(palco))
        answers = [(await room.call("GET", f"/v1/spaces/{room.space}", room.host)).status_code for _ in range(3)]
        assert 429 in answers
        rewrite(palco, limits={"max_sessions": 1, "requests_per_second": 2000, "request_burst": 4000})
        await meanwhile(lambda: reload(palco))
        await room.listener("first")
        second = await room.guest("second", room.token("second"), Manner(sections=["recvonly"]))
        refused = await room.offer(second, "whep")
        assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")


def test_what_needs_a_restart_is_named_and_stays_as_it_was(make_palco: MakePalco) -> None:
    palco = make_palco()
    rewrite(palco, port=palco.port + 1, cors={"origins": []})
    reload(palco)
    for process in (palco.sfu, palco.signalling):
        assert {line["key"] for line in said(process, "restart_needed")} == {"port", "cors.origins"}
    palco.await_ready()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("limits: {max_sessions: none}", "limits.max_sessions is 'none'"),
        ("port: [", "is not YAML"),
        ("rtc: {node_ip: 127.0.0.1}", "keys is not set"),
    ],
)
async def test_a_file_that_cannot_be_used_changes_nothing_and_says_why(
    text: str, reason: str, make_palco: MakePalco
) -> None:
    palco = make_palco()
    async with Room(palco) as room:
        palco.config.write_text(text)
        await meanwhile(lambda: reload(palco, "reload_refused"))
        for process in (palco.sfu, palco.signalling):
            assert reason in said(process, "reload_refused")[-1]["reason"]
            assert process.is_running
        assert (await room.call("GET", f"/v1/spaces/{room.space}", room.host)).status_code == 200
