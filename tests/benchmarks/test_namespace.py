"""Datagrams are found again in the bytes that the ingress rule counted."""

from benchmarks.namespace import Sunk


def test_plain_datagrams_are_counted_one_by_one() -> None:
    # 1000 messages of one 120-byte datagram, each with 28 bytes of IP and UDP header.
    assert Sunk(messages=1000, bytes=148_000).datagrams_of(120) == 1000


def test_a_gso_message_counts_for_all_its_segments() -> None:
    # 100 messages of ten 120-byte datagrams each.
    assert Sunk(messages=100, bytes=100 * (28 + 1200)).datagrams_of(120) == 1000


def test_nothing_sampled_means_nothing_can_be_told() -> None:
    assert Sunk(messages=5, bytes=500).datagrams_of(0) == 0
