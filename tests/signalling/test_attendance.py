"""Who was here, how many at most, and for how long nobody hosts."""

import msgspec

from signalling.attendance import HOST_LATE_S, KEPT_EVERY_S, Attendance
from signalling.records import SpaceRecord

NOW_S = 1_800_000_000.0
GRACE_S = 300.0
RECORD = SpaceRecord(
    space="hall", title="Hall", audience="mix", host="ada", max_speakers=10, created_at_s=NOW_S, started_at_s=NOW_S
)


def here(attendance: Attendance, identity: str, *, is_hidden: bool = False, is_moderator: bool = False) -> None:
    attendance.on_here(identity, NOW_S, is_hidden=is_hidden, is_moderator=is_moderator, is_recorder=False)


def test_who_comes_back_is_the_same_person_and_the_peak_stays() -> None:
    attendance = Attendance(RECORD, host_grace_s=GRACE_S)
    for identity in ("bob", "cleo", "dan"):
        here(attendance, identity, is_hidden=identity == "dan")
    for identity in ("bob", "dan"):
        attendance.on_gone(identity)
    here(attendance, "bob")

    assert (attendance.live, attendance.hidden, attendance.total, attendance.peak) == (2, 0, 3, 3)
    due_s = attendance.keep_at_s
    assert due_s == NOW_S + KEPT_EVERY_S
    kept = attendance.counted(RECORD)
    assert (kept.total, kept.peak) == (3, 3)
    assert attendance.keep_at_s is None


def test_a_restarted_process_goes_on_counting_and_knows_who_was_found_in() -> None:
    before = Attendance(RECORD, host_grace_s=GRACE_S)
    for identity in ("bob", "cleo"):
        here(before, identity)
    after = Attendance(before.counted(RECORD), host_grace_s=GRACE_S)
    after.on_found("bob")
    here(after, "bob")
    here(after, "eve")

    assert (after.live, after.total, after.peak) == (2, 3, 2)


def test_a_space_that_was_never_hosted_waits_for_nobody() -> None:
    attendance = Attendance(RECORD, host_grace_s=GRACE_S)
    here(attendance, "bob")
    assert attendance.hosted(RECORD, NOW_S) is RECORD
    assert attendance.ends_at_s(RECORD) is None


def test_the_grace_begins_with_the_last_to_host_and_ends_with_the_next() -> None:
    attendance = Attendance(RECORD, host_grace_s=GRACE_S)
    for identity in ("ada", "cleo"):
        here(attendance, identity, is_moderator=True)
    hosted = attendance.hosted(RECORD, NOW_S)
    attendance.on_gone("ada")
    assert attendance.hosted(hosted, NOW_S + 1) is hosted
    attendance.on_gone("cleo")
    alone = attendance.hosted(hosted, NOW_S + 2)
    assert attendance.ends_at_s(alone) == NOW_S + 2 + GRACE_S
    assert attendance.hosted(alone, NOW_S + 3) is alone
    here(attendance, "cleo", is_moderator=True)
    assert attendance.ends_at_s(attendance.hosted(alone, NOW_S + 4)) is None


def test_what_began_by_its_schedule_waits_longer_for_its_first_host() -> None:
    attendance = Attendance(RECORD, host_grace_s=GRACE_S)
    begun = msgspec.structs.replace(RECORD, hostless_since_s=NOW_S)
    assert attendance.ends_at_s(begun) == NOW_S + HOST_LATE_S
