"""A typed client of the HTTP API: spaces, hands, moderation, captions, links and events. Edge (HTTP).

    async with PalcoClient("https://palco.example", token) as palco:
        space = await palco.create_space(CreateSpace(title="Town hall"))
        await palco.mute(space.id, "bob")
        async for event in palco.events(space.id): ...

Requests and answers are the server's own types (`signalling.resources`, `signalling.events`); members that a newer
server adds are left out. A refusal is a `RefusedError` with the problem's stable `code`.
"""

import datetime
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final, Literal, TypeVar
from urllib.parse import quote

import httpx2
import msgspec

from signalling.client.events import Event, follow
from signalling.client.problem import RefusedError, read_refusal
from signalling.client.resource import unreachable
from signalling.events import Caption, Link, LinksChanged
from signalling.resources import (
    CreateSpace,
    EditSpace,
    Hand,
    Hands,
    MutedIdentities,
    ParticipantList,
    ParticipantResource,
    SpaceList,
    SpaceResource,
)

TIMEOUT_S: Final = 10.0
PAGE: Final = 100

T = TypeVar("T")

Query = Mapping[str, str]


class PalcoClient:
    """Calls with one bearer token. Raises RefusedError; `status` 0 is that no server answered."""

    def __init__(self, url: str, token: str, *, transport: httpx2.AsyncBaseTransport | None = None) -> None:
        self._url = url.rstrip("/")
        self._http = httpx2.AsyncClient(
            headers={"Authorization": f"Bearer {token}"}, timeout=TIMEOUT_S, transport=transport, trust_env=False
        )

    async def __aenter__(self) -> "PalcoClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    # Spaces

    async def create_space(self, wanted: CreateSpace, *, idempotency_key: str | None = None) -> SpaceResource:
        """With the same key again, within a day, the same space is answered and none is made."""
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        return await self._ask("POST", "/v1/spaces", SpaceResource, body=wanted, headers=headers)

    async def spaces(
        self, *, state: Literal["live", "upcoming"] = "live", limit: int | None = None, **filters: str
    ) -> list[SpaceResource]:
        """All of them, or `limit`, page by page; filters: `topic`, `language`, `host`, `followed`, `q`."""
        found: list[SpaceResource] = []
        query: dict[str, str] = {"state": state, "limit": str(min(PAGE, limit or PAGE)), **filters}
        while True:
            page = await self._ask("GET", "/v1/spaces", _SpacePage, query=query)
            found += page.spaces
            if page.next is None or (limit is not None and len(found) >= limit):
                return found[:limit]
            query["cursor"] = page.next

    async def space(self, space: str) -> SpaceResource:
        return await self._ask("GET", _at(space), SpaceResource)

    async def edit_space(self, space: str, changes: EditSpace) -> SpaceResource:
        return await self._ask("PATCH", _at(space), SpaceResource, body=changes)

    async def start_space(self, space: str) -> SpaceResource:
        return await self._ask("POST", _at(space, "start"), SpaceResource)

    async def cancel_space(self, space: str) -> SpaceResource:
        return await self._ask("POST", _at(space, "cancel"), SpaceResource)

    async def end_space(self, space: str) -> None:
        """For everyone in it."""
        await self._tell("POST", _at(space, "end"))

    # People

    async def participants(self, space: str) -> list[ParticipantResource]:
        return (await self._ask("GET", _at(space, "participants"), ParticipantList)).participants

    async def hands(self, space: str) -> list[Hand]:
        """First raised, first in the list."""
        return (await self._ask("GET", _at(space, "hands"), Hands)).hands

    async def accept_hand(self, space: str, identity: str) -> ParticipantResource:
        return await self._act(space, identity, "accept-hand")

    async def decline_hand(self, space: str, identity: str) -> ParticipantResource:
        return await self._act(space, identity, "decline-hand")

    async def mute(self, space: str, identity: str) -> ParticipantResource:
        """Returns when no packet of theirs is forwarded any more."""
        return await self._act(space, identity, "mute")

    async def unmute(self, space: str, identity: str) -> ParticipantResource:
        return await self._act(space, identity, "unmute")

    async def mute_all(self, space: str) -> list[str]:
        """Everyone on stage below the caller's rank; returns whom."""
        return (await self._ask("POST", _at(space, "mute-all"), MutedIdentities)).muted

    async def promote(
        self, space: str, identity: str, *, role: Literal["speaker", "cohost"] = "speaker"
    ) -> ParticipantResource:
        return await self._act(space, identity, "promote", body={"role": role})

    async def demote(self, space: str, identity: str) -> ParticipantResource:
        return await self._act(space, identity, "demote")

    async def invite(self, space: str, identity: str) -> ParticipantResource:
        return await self._act(space, identity, "invite")

    async def remove(self, space: str, identity: str) -> None:
        """Out, until a token is issued to them afterwards."""
        await self._tell("POST", _at(space, "participants", identity, "remove"))

    async def block(self, space: str, identity: str) -> None:
        """Out for good."""
        await self._tell("POST", _at(space, "participants", identity, "block"))

    async def unblock(self, space: str, identity: str) -> None:
        await self._tell("POST", _at(space, "participants", identity, "unblock"))

    # What goes along with the sound

    async def react(self, space: str, emoji: str) -> None:
        await self._tell("POST", _at(space, "reactions"), body={"emoji": emoji})

    async def publish_caption(self, space: str, line: Caption) -> None:
        """Needs a token with `palco: {captions: true}`."""
        await self._tell("POST", _at(space, "captions"), body=line)

    async def links(self, space: str) -> list[Link]:
        return (await self._ask("GET", _at(space, "links"), LinksChanged)).links

    async def pin_link(self, space: str, url: str, *, title: str = "") -> Link:
        return await self._ask("POST", _at(space, "links"), Link, body={"url": url, "title": title})

    async def unpin_link(self, space: str, link: str) -> None:
        await self._tell("DELETE", _at(space, "links", link))

    async def order_links(self, space: str, order: Sequence[str]) -> list[Link]:
        body = {"order": list(order)}
        return (await self._ask("PATCH", _at(space, "links"), LinksChanged, body=body)).links

    def events(self, space: str, *, after: str | None = None) -> AsyncIterator[Event]:
        """What happens from now on, or after the cursor of an earlier event; goes on by itself after a break."""
        return follow(self._http, self._url + _at(space, "events"), after=after)

    # How

    async def _act(self, space: str, identity: str, act: str, *, body: object = None) -> ParticipantResource:
        return await self._ask("POST", _at(space, "participants", identity, act), ParticipantResource, body=body)

    async def _tell(self, method: str, path: str, *, body: object = None) -> None:
        await self._request(method, path, body=body)

    async def _ask(
        self,
        method: str,
        path: str,
        kind: type[T],
        *,
        body: object = None,
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> T:
        response = await self._request(method, path, body=body, query=query, headers=headers)
        try:
            return msgspec.json.decode(response.content, type=kind)
        except msgspec.DecodeError as error:
            raise RefusedError(
                status=response.status_code,
                code="not_understood",
                detail=f"{self._url} answered what this client does not understand ({error}); is it a Palco server, "
                "and of this version?",
            ) from error

    async def _request(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx2.Response:
        sent = {**(headers or {})}
        content = b""
        if body is not None:
            content = msgspec.json.encode(body)
            sent["Content-Type"] = "application/json"
        url = self._url + path
        try:
            response = await self._http.request(
                method, url, content=content, params=dict(query) if query else None, headers=sent
            )
        except (httpx2.TransportError, httpx2.InvalidURL) as error:
            raise unreachable(url, error) from error
        if response.status_code >= 300:
            raise read_refusal(
                response.status_code, response.headers, response.content, now=datetime.datetime.now(datetime.UTC)
            )
        return response


class _SpacePage(SpaceList, frozen=True, kw_only=True):
    next: str | None = None


def _at(space: str, *rest: str) -> str:
    return "/".join(["/v1/spaces", *(quote(part, safe="") for part in (space, *rest))])
