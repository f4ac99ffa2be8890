"""What goes along with the sound: captions, pinned links, reactions."""

import secrets
from collections.abc import Sequence
from typing import Annotated, Final

from msgspec import Meta, Struct
from starlette.responses import Response

from signalling.app import Signalling
from signalling.effects import Announce
from signalling.emoji import is_emoji
from signalling.errors import PeerError
from signalling.events import EVENTS, Caption, Link, LinksChanged
from signalling.links import MAX_TITLE_CHARACTERS, MAX_URL_CHARACTERS
from signalling.permissions import permits, require
from signalling.resources import React
from signalling.web.answers import empty, json_answer
from signalling.web.bodies import read_json
from signalling.web.endpoint import Answer, Call, Operation
from signalling.web.rates import Rates

CAPTIONS_PER_SECOND: Final = 5.0
CAPTIONS_BURST: Final = 10
"""Of one space, whoever writes: three speakers at once, each with a line on the way and a final one now and then."""

_SPACE: Final = "/v1/spaces/{space}"
_LINKS: Final = "/v1/spaces/{space}/links"
_LINK_ID_BYTES: Final = 6

_IN_SPACE: Final = ("missing_permission", "removed", "blocked", "unknown_space", "space_ended")
_BODY: Final = ("bad_request", "too_large", "unsupported_media_type", "request_timeout")
_LINK_EXAMPLE: Final = EVENTS["links.changed"].example["links"][0]


class PublishCaption(Caption, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line; see the event `caption`."""


class PinLink(Struct, frozen=True, forbid_unknown_fields=True):
    url: Annotated[str, Meta(min_length=8, max_length=MAX_URL_CHARACTERS, description="http or https")]
    title: Annotated[str, Meta(max_length=MAX_TITLE_CHARACTERS)] = ""
    """Without one the host of the URL is shown."""


class OrderLinks(Struct, frozen=True, forbid_unknown_fields=True):
    order: Annotated[list[str], Meta(max_length=100)]
    """The ids of all links, first to last."""


async def _react(call: Call) -> Response:
    space = await call.space()
    require(call.caller(space), "react")
    wanted = await read_json(call.request, React, max_bytes=call.app.config.limits.body_bytes)
    if not is_emoji(wanted.emoji):
        raise PeerError("not_an_emoji", "send one emoji as people see it, of those that Unicode recommends")
    call.app.carry_out_unasked(space, space.on_reaction(wanted.emoji, call.app.clock()))
    return empty(202)


async def _caption(call: Call, rates: Rates) -> Response:
    space = await call.space()
    require(call.caller(space), "publish_captions")
    wanted = await read_json(call.request, PublishCaption, max_bytes=call.app.config.limits.body_bytes)
    if not wanted.text.isprintable() or not (wanted.identity or "-").isprintable():
        raise PeerError("bad_request", "a caption is one line of printable characters")
    if (wait_s := rates.wait_s(space.id, call.app.clock())) > 0:
        raise PeerError(
            "too_many_requests",
            f"a space takes {CAPTIONS_PER_SECOND:.0f} captions a second; send lines on the way less often",
            retry_after_s=int(wait_s) + 1,
        )
    line = Caption(
        identity=wanted.identity,
        text=wanted.text,
        is_final=wanted.is_final,
        language=wanted.language,
        start_ms=wanted.start_ms,
        duration_ms=wanted.duration_ms,
    )
    call.app.carry_out_unasked(space, [Announce("caption", line)])
    return empty(202)


async def _links(call: Call) -> Response:
    space = await call.space()
    require(call.caller(space), "read_links")
    return json_answer(LinksChanged(call.app.links(space).shown()))


async def _pin(call: Call) -> Response:
    space = await call.space()
    require(call.caller(space), "pin_link")
    wanted = await read_json(call.request, PinLink, max_bytes=call.app.config.limits.body_bytes)
    if not wanted.title.isprintable():
        raise PeerError("bad_request", "a title is one line of printable characters")
    links = call.app.links(space)
    link = secrets.token_hex(_LINK_ID_BYTES)
    now_s = call.app.clock()
    effects = links.on_add(link, wanted.url, wanted.title.strip(), by=call.token.identity, now_s=now_s)
    made = links.shown()[-1]
    await call.app.carry_out(space, effects)
    return json_answer(made, status=201, headers={"Location": f"{_LINKS.format(space=space.id)}/{link}"})


async def _unpin(call: Call) -> Response:
    space = await call.space()
    caller = call.caller(space)
    require(caller, "unpin_own_link")
    links = call.app.links(space)
    link = call.path("link")
    is_theirs = links.find(link).added_by == caller.identity
    if not is_theirs and not permits(caller.standings, "unpin_link"):
        require(caller, "unpin_link")
    await call.app.carry_out(space, links.on_remove(link))
    return empty()


async def _order(call: Call) -> Response:
    space = await call.space()
    require(call.caller(space), "order_links")
    wanted = await read_json(call.request, OrderLinks, max_bytes=call.app.config.limits.body_bytes)
    links = call.app.links(space)
    await call.app.carry_out(space, links.on_order(wanted.order))
    return json_answer(LinksChanged(links.shown()))


def operations(_: Signalling) -> Sequence[Operation]:
    return [*_saying(), *_pinning()]


def _saying() -> Sequence[Operation]:
    rates = Rates(per_second=CAPTIONS_PER_SECOND, burst=CAPTIONS_BURST)
    return [
        Operation(
            method="POST",
            path=_SPACE + "/reactions",
            handler=_react,
            summary="React with one emoji; reactions are counted and told once a second.",
            tag="audience",
            body=React,
            is_body_required=True,
            example={"emoji": "👏"},
            answers=[Answer(202, "Counted.")],
            codes=(*_IN_SPACE, *_BODY, "not_an_emoji"),
        ),
        Operation(
            method="POST",
            path=_SPACE + "/captions",
            handler=lambda call: _caption(call, rates),
            summary="Publish a line of what is said. Needs a token with `palco: {captions: true}` for the space.",
            tag="audience",
            body=PublishCaption,
            is_body_required=True,
            example=EVENTS["caption"].example,
            answers=[Answer(202, "Told.")],
            codes=(*_IN_SPACE, *_BODY),
        ),
    ]


def _pinning() -> Sequence[Operation]:
    return [
        Operation(
            method="GET",
            path=_LINKS,
            handler=_links,
            summary="The links that are pinned to the stage, in order.",
            tag="audience",
            answers=[Answer(200, "The links.", LinksChanged, example={"links": [_LINK_EXAMPLE]})],
            codes=_IN_SPACE,
        ),
        Operation(
            method="POST",
            path=_LINKS,
            handler=_pin,
            summary="Pin a link to the stage, after those that are there. For hosts, cohosts and those who may speak.",
            tag="audience",
            body=PinLink,
            is_body_required=True,
            is_creating=True,
            example={"url": "https://palco.example/agenda", "title": "Agenda"},
            answers=[Answer(201, "The link.", Link, headers=("Location",), example=_LINK_EXAMPLE)],
            codes=(*_IN_SPACE, *_BODY, "bad_url", "too_many_links", "store_unavailable"),
        ),
        Operation(
            method="PATCH",
            path=_LINKS,
            handler=_order,
            summary="Put the links in another order. For hosts and cohosts.",
            tag="audience",
            body=OrderLinks,
            is_body_required=True,
            example={"order": ["f3a9c1d2e4b5", "0a1b2c3d4e5f"]},
            answers=[Answer(200, "The links.", LinksChanged, example={"links": [_LINK_EXAMPLE]})],
            codes=(*_IN_SPACE, *_BODY, "links_changed", "store_unavailable"),
        ),
        Operation(
            method="DELETE",
            path=_LINKS + "/{link}",
            handler=_unpin,
            summary="Take a link off the stage: hosts and cohosts any, others their own.",
            tag="audience",
            answers=[Answer(204, "It is gone.")],
            codes=(*_IN_SPACE, "unknown_link", "store_unavailable"),
        ),
    ]
