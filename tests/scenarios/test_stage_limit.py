"""Ten on stage, and the eleventh is told so."""

import pytest

from tests.harness.processes import Palco
from tests.harness.room import LISTENER, SPEAKER, Room, meet_all
from tests.harness.wire import Manner

pytestmark = pytest.mark.live


async def test_ten_speakers_are_heard_and_the_eleventh_is_refused(room: Room) -> None:
    listener = await room.listener("listener", sections=10)
    speakers = [await room.speaker(f"speaker-{index}") for index in range(10)]
    await meet_all(speakers, [listener])
    assert len(listener.peer.ledger.slots()) == 10
    eleventh = await room.guest("eleventh", room.token("eleventh", **SPEAKER), Manner(sections=["sendonly"]))
    response = await room.offer(eleventh, "whip")
    assert response.status_code == 409
    assert response.headers["Content-Type"].startswith("application/problem+json")
    assert response.json()["code"] == "stage_full"
    await room.leave(speakers[0])
    await room.join(eleventh, "whip")
    await meet_all([eleventh], [listener])


async def test_nobody_is_promoted_to_a_full_stage(palco: Palco) -> None:
    async with Room(palco, max_speakers=2) as room:
        for name in ("ana", "ben"):
            await room.speaker(name)
        await room.stage_guest("cem", grants=LISTENER)
        response = await room.moderate("promote", "cem")
        assert response.status_code == 409
        assert response.json()["code"] == "stage_full"
        await room.must("demote", "ana")
        await room.must("promote", "cem")
