"""All who follow one thing are moved to another in one call; those who follow something else stay."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sfu._dataplane import Dataplane, StaleId

pytestmark = pytest.mark.live


@dataclass
class House:
    """A stage with one speaker, a second stage with the track of a mix; peers without keys."""

    dataplane: Dataplane
    stage: int
    speaker: int
    mix: int

    def listener(self, *, slots: int = 1) -> int:
        peer = self.dataplane.create_peer(0, ufrag="ufrag", pwd="password-of-22-characters")
        for slot in range(slots):
            self.dataplane.add_slot(peer, ssrc=slot + 1, payload_type=111, mid=None, mid_id=0, level_id=0)
        return peer


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        udp.setblocking(False)
        dataplane = Dataplane([udp.fileno()])
        stage, other = dataplane.create_stage(), dataplane.create_stage()
        peer = dataplane.create_peer(0, ufrag="ufrag", pwd="password-of-22-characters")
        speaker = dataplane.add_track(
            peer, stage, payload_type=111, ssrc=1, mid=None, mid_id=0, level_id=0, is_open=True
        )
        tap = dataplane.open_tap(other, receive_at=str(tmp_path / "tap"), send_to=None)
        yield House(dataplane, stage, speaker, dataplane.add_tap_track(tap, ssrc=100, is_open=True))
        dataplane.close()


def test_who_follows_the_loudest_in_one_slot_is_moved_to_the_track_and_back(house: House) -> None:
    for _ in range(3):
        house.dataplane.follow(house.listener(), house.stage)
    house.dataplane.follow(house.listener(slots=2), house.stage)
    assert house.dataplane.replace_loudest(house.stage, house.mix) == 3
    assert house.dataplane.replace_loudest(house.stage, house.mix) == 0
    assert house.dataplane.replace_track(house.mix, house.stage) == 3
    assert house.dataplane.replace_track(house.mix, house.stage) == 0


def test_who_leaves_someone_out_is_moved_apart(house: House) -> None:
    house.dataplane.follow(house.listener(), house.stage)
    house.dataplane.follow(house.listener(), house.stage, excluding=house.speaker)
    assert house.dataplane.replace_loudest(house.stage, house.mix, excluding=house.speaker) == 1
    assert house.dataplane.replace_track(house.mix, house.stage, excluding=house.speaker) == 1
    assert house.dataplane.replace_loudest(house.stage, house.mix) == 1


def test_who_follows_nothing_or_is_gone_is_not_moved(house: House) -> None:
    idle, gone = house.listener(), house.listener()
    for peer in (idle, gone):
        house.dataplane.follow(peer, house.stage)
    house.dataplane.unfollow(idle)
    house.dataplane.remove_peer(gone)
    assert house.dataplane.replace_loudest(house.stage, house.mix) == 0


def test_what_is_gone_is_refused(house: House) -> None:
    house.dataplane.remove_track(house.mix)
    with pytest.raises(StaleId):
        house.dataplane.replace_track(house.mix, house.stage)
    house.dataplane.remove_stage(house.stage)
    with pytest.raises(StaleId):
        house.dataplane.replace_loudest(house.stage, house.mix)
