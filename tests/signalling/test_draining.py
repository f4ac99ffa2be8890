"""People are told once that the server goes out of service, and once more only if it came back meanwhile."""

from sfu.contract.config import Drain
from sfu.contract.messages import Load
from signalling.draining import Draining
from signalling.events import ServerDraining

SERVING = Load(accepts=True, reason="", sessions=3)
FULL = Load(accepts=False, reason="overloaded", sessions=3)
ENDING = Load(accepts=False, reason="draining", sessions=3, ends_at_s=1_800_000_000.0)


def test_it_is_said_when_it_begins_and_not_again() -> None:
    draining = Draining(Drain(reconnect_spread_s=20))
    assert [draining.on_load(load) for load in (SERVING, FULL)] == [None, None]
    notice = draining.on_load(ENDING)
    assert notice == ServerDraining(ends_at="2027-01-15T08:00:00.000Z", reconnect_within_s=20)
    assert draining.on_load(ENDING) is None
    assert draining.notice == notice


def test_another_sfu_begins_afresh() -> None:
    draining = Draining(Drain())
    draining.on_load(ENDING)
    draining.on_lost()
    assert draining.notice is None
    assert draining.on_load(SERVING) is None
    assert draining.on_load(ENDING) is not None
