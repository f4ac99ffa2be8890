"""New listeners are refused while packets are late, and not for a while after; who is in is not asked."""

from sfu.strain import CALM_SAMPLES, LATE_SAMPLES, Strain


class Worker:
    """What one worker has counted so far."""

    def __init__(self) -> None:
        self.counters = {"forward_le_1ms": 0, "forward_le_20ms": 0, "forward_le_inf": 0, "turns": 0}

    def forward(self, *, in_time: int, late: int) -> None:
        self.counters["forward_le_1ms"] += in_time
        self.counters["forward_le_inf"] += late


def sample(strain: Strain, worker: Worker, *, in_time: int, late: int, times: int = LATE_SAMPLES) -> None:
    for _ in range(times):
        worker.forward(in_time=in_time, late=late)
        strain.on_counters([worker.counters])


def test_a_server_that_forwards_in_time_is_not_overloaded() -> None:
    worker, strain = Worker(), Strain()
    for _ in range(3):
        worker.forward(in_time=1000, late=9)
        strain.on_counters([worker.counters])
        assert not strain.is_overloaded


def test_every_other_packet_late_is_an_overload() -> None:
    worker, strain = Worker(), Strain()
    sample(strain, worker, in_time=500, late=500)
    assert strain.is_overloaded


def test_a_machine_that_stops_for_a_moment_is_not_overloaded() -> None:
    worker, strain = Worker(), Strain()
    for _ in range(10):
        sample(strain, worker, in_time=10, late=40, times=LATE_SAMPLES - 1)
        sample(strain, worker, in_time=50, late=0, times=1)
        assert not strain.is_overloaded


def test_only_what_is_new_since_the_last_sample_counts() -> None:
    worker, strain = Worker(), Strain()
    worker.forward(in_time=1_000_000, late=0)
    strain.on_counters([worker.counters])
    sample(strain, worker, in_time=40, late=60)
    assert strain.is_overloaded


def test_an_overload_ends_only_after_a_calm_while() -> None:
    worker, strain = Worker(), Strain()
    sample(strain, worker, in_time=0, late=10)
    for _ in range(CALM_SAMPLES - 1):
        worker.forward(in_time=100, late=0)
        strain.on_counters([worker.counters])
        assert strain.is_overloaded
    worker.forward(in_time=97, late=3)  # neither calm nor overloaded: the count begins anew
    strain.on_counters([worker.counters])
    for _ in range(CALM_SAMPLES):
        assert strain.is_overloaded
        strain.on_counters([worker.counters])
    assert not strain.is_overloaded


def test_the_worst_worker_decides() -> None:
    busy, idle, strain = Worker(), Worker(), Strain()
    for _ in range(LATE_SAMPLES):
        busy.forward(in_time=4, late=6)
        idle.forward(in_time=1000, late=0)
        strain.on_counters([idle.counters, busy.counters])
    assert strain.is_overloaded


def test_nothing_forwarded_is_no_overload() -> None:
    strain = Strain()
    strain.on_counters([Worker().counters, Worker().counters])
    assert not strain.is_overloaded


def test_a_storm_of_joins_that_makes_some_packets_late_is_none() -> None:
    worker, strain = Worker(), Strain()
    sample(strain, worker, in_time=700, late=300, times=10)
    assert not strain.is_overloaded
