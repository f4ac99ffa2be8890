"""Finding spaces: what is live and what is to come, by topic, language, host, title and whom one follows. Edge.

Live ones first, the newest first; then those to come, the next first. A page begins where the last one ended, not after
so many, so that whatever is added meanwhile neither repeats nor hides anything that stood there before.
"""

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct, field

from signalling.app import Signalling
from signalling.cursors import DEFAULT_LIMIT, CursorText, Limit, build_cursor, parse_cursor
from signalling.errors import PeerError
from signalling.permissions import Role
from signalling.records import SpaceRecord
from signalling.resources import WITHOUT_NUL, SpaceResource
from signalling.spaces import Space
from signalling.store.discovery import Listed, Place, Wanted
from signalling.tokens import Token
from signalling.words import MAX_QUERY_CHARACTERS, query_words

MAX_ON_STAGE: Final = 5
"""Faces on a card; the space itself lists everybody."""

_RANKS: Final[tuple[Role, ...]] = ("host", "cohost", "speaker")
_ORDER: Final[dict[str, tuple[Listed, ...]]] = {
    "all": ("live", "upcoming"),
    "live": ("live",),
    "upcoming": ("upcoming",),
}

Text = Annotated[str, Meta(max_length=128, pattern=WITHOUT_NUL)]


class FindSpaces(Struct, frozen=True, forbid_unknown_fields=True):
    """The query; what is empty is not asked for."""

    state: Literal["all", "live", "upcoming"] = "all"
    q: Annotated[str, Meta(max_length=MAX_QUERY_CHARACTERS, description="Words; each begins a word of the title.")] = ""
    topic: Text = ""
    language: Annotated[Text, Meta(description="BCP 47; `pt` finds `pt-BR` too.")] = ""
    host: Text = ""
    followed: Annotated[
        bool, Meta(description="Only where somebody whom the caller follows is on stage, or hosts.")
    ] = False
    cursor: CursorText = ""
    limit: Limit = DEFAULT_LIMIT


class OnStage(Struct, frozen=True):
    identity: str
    name: str
    is_speaking: bool


class ListedSpace(SpaceResource, frozen=True, kw_only=True):
    on_stage: list[OnStage] = field(default_factory=list)
    """The host, then others, five at the most; `counts` says how many there are."""


class FoundSpaces(Struct, frozen=True):
    spaces: list[ListedSpace]
    next: str | None
    """The cursor of the next page; null on the last."""


async def find_spaces(app: Signalling, token: Token, query: FindSpaces) -> FoundSpaces:
    """What the holder of `token` may find. Raises PeerError `bad_cursor`."""
    words = query_words(query.q)
    if query.q.strip() and not words:
        return FoundSpaces([], None)  # nothing that a title is found by
    follows = await _follows(app, token) if query.followed else None
    wanted = Wanted(
        viewer=token.identity,
        words=words,
        topic=query.topic,
        language=query.language,
        host=query.host,
        speaking_in=None if follows is None else _speaking_in(app, follows),
        hosted_by=follows,
    )
    place = parse_cursor(query.cursor, Place)
    order = _ORDER[query.state]
    if place is not None and place.listed not in order:
        raise PeerError("bad_cursor", "this cursor is of another list; begin again without one")
    found: list[tuple[Listed, SpaceRecord]] = []
    for listed in order[order.index(place.listed) if place else 0 :]:
        after = place if place and place.listed == listed else None
        room = query.limit + 1 - len(found)
        records = await app.store.discovery.page(listed, wanted, after=after, limit=room) if room else []
        found += [(listed, record) for record in records]
    shown = found[: query.limit]
    following = build_cursor(_place_of(*shown[-1])) if len(found) > query.limit else None
    return FoundSpaces([_listed(app, record) for _, record in shown], following)


async def _follows(app: Signalling, token: Token) -> frozenset[str]:
    """By the token, and by the application's word where it is asked."""
    told = await app.relations.of(token.identity, "")
    return told.follows | set(token.palco.follows)


def _speaking_in(app: Signalling, people: frozenset[str]) -> list[str]:
    """Live spaces where one of them is on stage for all to see."""
    return [space.id for space in app.open_spaces() if any(person.identity in people for person in space.stage())]


def _place_of(listed: Listed, record: SpaceRecord) -> Place:
    at_s = record.started_at_s if listed == "live" else record.starts_at_s
    return Place(listed, at_s or 0.0, record.space)


def _listed(app: Signalling, record: SpaceRecord) -> ListedSpace:
    live = app.open_space(record.space)
    resource = live.resource() if live else app.resource_of(record)
    fields = {name: getattr(resource, name) for name in resource.__struct_fields__}
    return ListedSpace(**fields, on_stage=_faces(live) if live else [])


def _faces(space: Space) -> list[OnStage]:
    people = sorted(space.stage(), key=lambda person: _RANKS.index(person.role) if person.role in _RANKS else 3)
    return [OnStage(person.identity, person.name, person.is_speaking) for person in people[:MAX_ON_STAGE]]
