"""One WHIP or WHEP session over HTTP: the offer sent, the answer and its resource kept, the DELETE at the end. Edge.

No media here: SDP goes in and out as text.
"""

import asyncio
import datetime
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, urljoin

import httpx2

from signalling.client.problem import RefusedError, read_refusal, retry_wait_s

MAX_REDIRECTS = 3
TIMEOUT_S = 10.0

Kind = Literal["whip", "whep", "stage"]


@dataclass(frozen=True)
class Place:
    """Where to go: a server's address, a space on it, and the token that opens it."""

    url: str
    space: str
    token: str

    def endpoint(self, kind: Kind) -> str:
        space = quote(self.space, safe="")
        path = f"/v1/spaces/{space}/sessions" if kind == "stage" else f"/{kind}/{space}"
        return self.url.rstrip("/") + path


@dataclass(frozen=True)
class Resource:
    """A session that stands: the server's answer, and the URL that changes and ends it."""

    url: str
    answer: str
    etag: str
    links: tuple[str, ...]
    """`Link` headers as they came: ICE servers, extensions."""


class ResourceClient:
    """Creates, patches and deletes session resources with one bearer token."""

    def __init__(
        self,
        token: str,
        *,
        transport: httpx2.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._http = httpx2.AsyncClient(
            headers={"Authorization": f"Bearer {token}"}, timeout=TIMEOUT_S, transport=transport, trust_env=False
        )
        self._sleep = sleep

    async def __aenter__(self) -> "ResourceClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def create(self, endpoint: str, offer: str, *, patience_s: float = 0.0) -> Resource:
        """POSTs the offer; asks again, no longer than `patience_s` in all, while the server says it may pass.

        Raises RefusedError.
        """
        waited_s = 0.0
        attempt = 0
        while True:
            try:
                return await self._post(endpoint, offer)
            except RefusedError as refusal:
                wait_s = retry_wait_s(refusal, attempt=attempt, waited_s=waited_s, patience_s=patience_s)
                if wait_s is None:
                    raise
            await self._sleep(wait_s)
            waited_s += wait_s
            attempt += 1

    async def patch(self, resource: Resource, fragment: str, *, if_match: str | None = None) -> httpx2.Response:
        """Trickles candidates, or restarts ICE with `if_match="*"` (RFC 9725 §4.3). Raises RefusedError."""
        headers = {"Content-Type": "application/trickle-ice-sdpfrag", "If-Match": if_match or resource.etag}
        return await self._request("PATCH", resource.url, content=fragment, headers=headers)

    async def delete(self, resource: Resource) -> None:
        """Ends the session; that it has ended already is no error."""
        try:
            await self._request("DELETE", resource.url)
        except RefusedError as refusal:
            if refusal.status not in {404, 410}:
                raise

    async def _post(self, endpoint: str, offer: str) -> Resource:
        response = await self._request("POST", endpoint, content=offer, headers={"Content-Type": "application/sdp"})
        if response.status_code != 201 or "location" not in response.headers:
            detail = f"{endpoint} is no WHIP or WHEP endpoint: it answered {response.status_code} without a session"
            raise RefusedError(status=response.status_code, code="not_an_endpoint", detail=detail)
        return Resource(
            url=urljoin(str(response.url), response.headers["location"]),
            answer=response.text,
            etag=response.headers.get("etag", ""),
            links=tuple(response.headers.get_list("link")),
        )

    async def _request(
        self, method: str, url: str, *, content: str = "", headers: dict[str, str] | None = None
    ) -> httpx2.Response:
        """Follows 307 and 308, which keep method, body and, on Palco's nodes, the bearer (RFC 9725 §4.5)."""
        for _ in range(MAX_REDIRECTS + 1):
            try:
                response = await self._http.request(method, url, content=content.encode(), headers=headers)
            except (httpx2.TransportError, httpx2.InvalidURL) as error:
                raise unreachable(url, error) from error
            if response.status_code in {307, 308} and "location" in response.headers:
                url = urljoin(url, response.headers["location"])
                continue
            if response.is_success:
                return response
            now = datetime.datetime.now(tz=datetime.UTC)
            raise read_refusal(response.status_code, response.headers, response.content, now=now)
        raise RefusedError(status=508, code="redirected_in_a_circle", detail=f"{url} redirects again and again")


def unreachable(url: str, error: Exception) -> RefusedError:
    """What a failure below HTTP means."""
    if isinstance(error, httpx2.TimeoutException):
        detail = f"{url} did not answer within {TIMEOUT_S:.0f} s; check the address and the firewall"
    elif isinstance(error, httpx2.ConnectError):
        detail = f"Nothing answers at {url}; is Palco running there? On this machine `palco up` starts it"
    else:
        detail = f"{url} cannot be used: {error!r}"
    return RefusedError(status=0, code="unreachable", detail=detail)
