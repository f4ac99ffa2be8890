"""What of a changed file counts at once, and what is named as needing a restart."""

from msgspec.structs import replace

from sfu.contract.config import Config, Limits, Logging, Rtc, TurnServer
from sfu.contract.reload import plan_reload

SECRET = "0123456789abcdef0123456789abcdef"
RUNNING = Config(keys={"one": SECRET}, rtc=Rtc(node_ips=["192.0.2.1"]))


def test_an_unchanged_file_changes_nothing() -> None:
    plan = plan_reload(RUNNING, RUNNING)
    assert (plan.config, plan.taken, plan.refused) == (RUNNING, (), ())


def test_keys_limits_and_log_level_are_taken_up() -> None:
    read = replace(RUNNING, keys={"two": SECRET}, limits=Limits(max_sessions=5), logging=Logging(level="debug"))
    plan = plan_reload(RUNNING, read)
    assert plan.config == read
    assert set(plan.taken) == {"keys", "limits.max_sessions", "logging.level"}
    assert plan.refused == ()


def test_whatever_else_differs_stays_as_it_is_and_is_named() -> None:
    read = replace(RUNNING, port=8000, logging=Logging(format="console"), rtc=Rtc(node_ips=["192.0.2.2"]))
    plan = plan_reload(RUNNING, read)
    assert plan.config == RUNNING
    assert set(plan.refused) == {"port", "logging.format", "rtc.node_ip"}


def test_no_secret_stands_in_what_is_named() -> None:
    read = replace(RUNNING, keys={"one": SECRET[::-1]}, rtc=Rtc(turn_servers=[TurnServer(host="x", secret=SECRET)]))
    plan = plan_reload(RUNNING, read)
    assert SECRET not in repr(plan)
    assert SECRET[::-1] not in repr(plan)
