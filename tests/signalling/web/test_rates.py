"""Token buckets: a burst, then a steady rate, for each by itself."""

import pytest

from signalling.web.rates import MAX_KEYS, Rates, address_key

NOW_S = 100.0


def test_after_the_burst_comes_the_rate() -> None:
    rates = Rates(per_second=2.0, burst=3)

    assert [rates.wait_s("ada", NOW_S) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert rates.wait_s("ada", NOW_S) == 0.5
    assert rates.wait_s("ada", NOW_S + 0.5) == 0.0
    assert rates.wait_s("ada", NOW_S + 0.5) == 0.5


def test_one_does_not_use_up_anothers() -> None:
    rates = Rates(per_second=1.0, burst=1)
    assert [rates.wait_s(name, NOW_S) for name in ("ada", "bob", "ada")] == [0.0, 0.0, 1.0]


def test_rest_fills_the_bucket_and_no_more() -> None:
    rates = Rates(per_second=10.0, burst=2)
    rates.wait_s("ada", NOW_S)

    assert [rates.wait_s("ada", NOW_S + 3600) for _ in range(3)] == [0.0, 0.0, 0.1]


def test_a_clock_set_back_gives_nothing_and_takes_nothing() -> None:
    rates = Rates(per_second=1.0, burst=1)
    rates.wait_s("ada", NOW_S)

    assert rates.wait_s("ada", NOW_S - 3600) == 1.0


def test_of_many_strangers_only_so_many_are_remembered() -> None:
    rates = Rates(per_second=1.0, burst=1)
    for number in range(MAX_KEYS + 1):
        rates.wait_s(str(number), NOW_S)

    assert rates.wait_s("0", NOW_S) == 0.0  # forgotten, so it begins anew
    assert rates.wait_s(str(MAX_KEYS), NOW_S) == 1.0


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("", "?"),
        ("unix:", "?"),
    ],
)
def test_a_stranger_is_an_address_or_the_network_that_it_roams_in(address: str, key: str) -> None:
    assert address_key(address) == key
