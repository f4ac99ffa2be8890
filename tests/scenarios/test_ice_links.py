"""Who is told of the STUN and TURN servers: who opened a session, with credentials of its own, and nobody else."""

from collections.abc import Callable

import pytest

from tests.harness.processes import Palco
from tests.harness.room import Kind, Room
from tests.harness.wire import Manner

pytestmark = pytest.mark.live

SECRET = "shared-with-the-relay"
RTC = {
    "turn_servers": [{"host": "turn.example.org", "port": 3479, "protocol": "tcp", "secret": SECRET}],
    "stun_servers": ["stun.example.org:3478"],
}


async def test_only_who_was_let_in_is_told_of_the_relay(make_palco: Callable[..., Palco]) -> None:
    async with Room(make_palco(rtc=RTC)) as room:
        manners: dict[Kind, Manner] = {
            "whep": Manner(sections=["recvonly"]),
            "whip": Manner(sections=["sendonly"]),
            "stage": Manner(sections=["sendrecv", "recvonly"]),
        }
        for kind, manner in manners.items():
            preflight = await room.call("OPTIONS", room.endpoint(kind))
            assert "Link" not in preflight.headers
            assert "Link" in preflight.headers["Access-Control-Expose-Headers"]
            refused = await room.call("POST", room.endpoint(kind), "no token", content="v=0")
            assert (refused.status_code, "Link" in refused.headers) == (401, False)
            guest = await room.guest(f"guest-{kind}", room.token(f"guest-{kind}", canPublish=True), manner)
            answer = await room.offer(guest, kind)
            stun, turn = answer.headers.get_list("link")
            assert stun == '<stun:stun.example.org:3478>; rel="ice-server"'
            assert turn.startswith('<turn:turn.example.org:3479?transport=tcp>; rel="ice-server"; username="')
            assert f':{guest.location.rpartition("/")[2][:8]}"; credential=' in turn
            assert SECRET not in str(answer.headers)
