"""How many are here in which role, over all spaces. Pure."""

from collections import Counter
from collections.abc import Iterable

from signalling.permissions import Role
from signalling.spaces import Space


def participants_by_role(spaces: Iterable[Space]) -> Counter[Role]:
    """Who is on stage by role; everybody else is counted as a listener, without looking at each of thousands."""
    roles: Counter[Role] = Counter({"host": 0, "cohost": 0, "speaker": 0, "listener": 0})
    for space in spaces:
        for identity in space.on_stage():
            roles[space.role_of(identity)] += 1
        roles["listener"] += space.counts().listeners
    return roles
