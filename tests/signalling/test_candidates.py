"""ICE candidates as lines of SDP (RFC 8839 §5.1, RFC 6544 §4.5), and what makes a browser try UDP first."""

from itertools import pairwise

from sfu.contract.messages import Candidate
from signalling.candidates import candidate_lines

V4 = Candidate("192.0.2.7", 7882)
V6 = Candidate("2001:db8::7", 7882)
BY_TCP = [Candidate("192.0.2.7", 7881, "tcp"), Candidate("2001:db8::7", 7881, "tcp")]


def test_a_tcp_candidate_says_that_it_waits_to_be_connected_to() -> None:
    (line,) = candidate_lines(BY_TCP[:1])

    # 90 << 24 | (4 << 13 | 8191) << 8 | 255: RFC 6544 §4.2 with direction preference 4
    assert line == "a=candidate:tcp4 1 tcp 1520435199 192.0.2.7 7881 typ host tcptype passive"


def test_every_candidate_has_a_lower_priority_than_the_one_before_and_tcp_the_lowest() -> None:
    words = [line.split() for line in candidate_lines([V4, V6, *BY_TCP])]

    assert [word[2] for word in words] == ["udp", "udp", "tcp", "tcp"]
    assert all(int(before[3]) > int(after[3]) for before, after in pairwise(words))


def test_candidates_of_different_protocols_or_families_have_different_foundations() -> None:
    foundations = [line.split()[0] for line in candidate_lines([V4, V6, *BY_TCP])]

    assert len(set(foundations)) == 4
