"""One space of a running server, whoever a test brings into it, and what they ask for over HTTP. Edge."""

import asyncio
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import httpx2
import jwt

from tests.harness.processes import POLL_S, Palco
from tests.harness.sdp import Direction
from tests.harness.wire import WITHIN_S, Manner, WirePeer, meet

Kind = Literal["whip", "whep", "stage"]

SPEAKER = {"canPublish": True}
LISTENER: dict[str, bool] = {}
MODERATOR = {"roomAdmin": True, "canPublish": True}
CREATOR = {"roomCreate": True, "roomList": True, "roomAdmin": True, "canPublish": True}


@dataclass
class Guest:
    """A participant: its token, its session at the server, and its peer."""

    identity: str
    token: str
    peer: WirePeer
    location: str = ""
    etag: str = ""
    answer: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


def mint(palco: Palco, identity: str, space: str, **grants: bool) -> str:
    """A token as any server SDK would make it, one hour valid."""
    now_s = time.time()
    claims = {
        "iss": palco.key,
        "sub": identity,
        "name": identity.title(),
        "iat": now_s,
        "nbf": now_s,
        "exp": now_s + 3600,
        "jti": secrets.token_hex(8),
        "video": {"room": space, "roomJoin": True, **grants},
    }
    return jwt.encode(claims, palco.secret, algorithm="HS256")


class Room:
    """`async with Room(palco) as room:` makes a space under a fresh name and a host for it; all leave at the end."""

    def __init__(self, palco: Palco, *, max_speakers: int | None = None) -> None:
        self.palco = palco
        self.space = f"room-{secrets.token_hex(6)}"
        self.host_identity = f"host-{self.space}"  # of his own: whom a host blocks is blocked in all his spaces
        self.host = mint(palco, self.host_identity, self.space, **CREATOR)
        self._max_speakers = max_speakers
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        client = httpx2.AsyncClient(base_url=self.palco.url, timeout=WITHIN_S)
        self.http = await self._stack.enter_async_context(client)
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def open(self) -> None:
        """Creates the space; again, after a restart that forgot it."""
        wish: dict[str, Any] = {"id": self.space, "title": "A test", "audience": "forward"}
        if self._max_speakers is not None:
            wish["max_speakers"] = self._max_speakers
        response = await self.call("POST", "/v1/spaces", self.host, json=wish)
        assert response.status_code in {201, 409}, response.text

    def token(self, identity: str, **grants: bool) -> str:
        return mint(self.palco, identity, self.space, **grants)

    async def call(self, method: str, path: str, token: str | None = None, **request: Any) -> httpx2.Response:
        """Any request; `token` as bearer."""
        headers = dict(request.pop("headers", {}))
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        return await self.http.request(method, path, headers=headers, **request)

    # Joining

    async def speaker(self, identity: str, **manner: Any) -> Guest:
        """On stage by WHIP: sends only."""
        guest = await self.guest(identity, self.token(identity, **SPEAKER), Manner(sections=["sendonly"], **manner))
        return await self.join(guest, "whip")

    async def listener(self, identity: str, *, sections: int = 1, **manner: Any) -> Guest:
        """In the audience by WHEP, with so many audio sections (one is what a standard client has)."""
        directions: list[Direction] = ["recvonly"] * sections
        guest = await self.guest(identity, self.token(identity, **LISTENER), Manner(sections=directions, **manner))
        return await self.join(guest, "whep")

    async def stage_guest(
        self, identity: str, *, sections: int = 3, grants: Mapping[str, bool], **manner: Any
    ) -> Guest:
        """In one session both ways; whether it may speak is up to `grants` and the host."""
        audience: list[Direction] = ["recvonly"] * (sections - 1)
        directions: list[Direction] = ["sendrecv", *audience]
        guest = await self.guest(identity, self.token(identity, **grants), Manner(sections=directions, **manner))
        return await self.join(guest, "stage")

    async def guest(self, identity: str, token: str, manner: Manner) -> Guest:
        """A peer that has not yet asked for anything."""
        peer = await self._stack.enter_async_context(WirePeer(identity, manner))
        return Guest(identity, token, peer)

    async def join(self, guest: Guest, kind: Kind) -> Guest:
        """Offers and connects."""
        response = await self.offer(guest, kind)
        assert response.status_code == 201, f"{response.status_code} {response.text}"
        await guest.peer.connect(guest.answer)
        return guest

    async def offer(self, guest: Guest, kind: Kind, *, sdp: str | None = None) -> httpx2.Response:
        """The server's response to the guest's offer, whatever it be; an answer is kept in the guest."""
        text = guest.peer.offer().sdp() if sdp is None else sdp
        headers = {"Content-Type": "application/sdp"}
        response = await self.call("POST", self.endpoint(kind), guest.token, content=text, headers=headers)
        if response.status_code == 201:
            guest.answer = response.text
            guest.location = response.headers["Location"]
            guest.etag = response.headers["ETag"]
        return response

    def endpoint(self, kind: Kind) -> str:
        return f"/v1/spaces/{self.space}/sessions" if kind == "stage" else f"/{kind}/{self.space}"

    async def leave(self, guest: Guest) -> None:
        response = await self.call("DELETE", guest.location, guest.token)
        assert response.status_code == 200, response.text

    async def restart_ice(self, guest: Guest) -> None:
        """RFC 9725 §4.3.3: a PATCH with new credentials and `If-Match: *`; the peer holds both ends' afterwards."""
        local = guest.peer.renew_credentials()
        response = await self.patch(guest, ufrag=local.ufrag, pwd=local.pwd, etag="*")
        assert response.status_code == 200, response.text
        guest.etag = response.headers["ETag"]
        ufrag = re.search(r"a=ice-ufrag:(\S+)", response.text)
        pwd = re.search(r"a=ice-pwd:(\S+)", response.text)
        assert ufrag, response.text
        assert pwd, response.text
        guest.peer.accept_restart(ufrag=ufrag[1], pwd=pwd[1])

    async def patch(self, guest: Guest, *, ufrag: str, pwd: str, etag: str | None, more: str = "") -> httpx2.Response:
        fragment = (
            f"a=group:BUNDLE 0\r\na=ice-options:trickle\r\na=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\n"
            f"m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n{more}"
        )
        headers = {"Content-Type": "application/trickle-ice-sdpfrag"}
        if etag is not None:
            headers["If-Match"] = etag
        return await self.call("PATCH", guest.location, guest.token, content=fragment, headers=headers)

    async def switch_on(self, guest: Guest) -> None:
        """Whoever comes on stage from the audience is silent until they do."""
        response = await self.call("DELETE", f"/v1/spaces/{self.space}/self-mute", guest.token)
        assert response.status_code == 200, response.text

    # Moderating

    async def moderate(
        self, action: str, identity: str, *, by: str | None = None, json: object | None = None
    ) -> httpx2.Response:
        """`POST …/participants/{identity}/{action}`, by the host where nobody is named."""
        path = f"/v1/spaces/{self.space}/participants/{identity}/{action}"
        return await self.call("POST", path, self.host if by is None else by, json=json)

    async def must(self, action: str, identity: str, *, by: str | None = None, json: object | None = None) -> None:
        """As `moderate`; returns when the server has acknowledged."""
        response = await self.moderate(action, identity, by=by, json=json)
        assert response.status_code in {200, 204}, f"{action}: {response.status_code} {response.text}"

    async def participants(self) -> dict[str, dict[str, Any]]:
        """The roster by identity."""
        response = await self.call("GET", f"/v1/spaces/{self.space}/participants", self.host)
        assert response.status_code == 200, response.text
        return {entry["identity"]: entry for entry in response.json()["participants"]}


async def meet_all(speakers: list[Guest], listeners: list[Guest]) -> None:
    """Every speaker speaks until every listener has heard it, one after the other."""
    for speaker in speakers:
        await meet(speaker.peer, *(listener.peer for listener in listeners))


async def eventually(holds: Callable[[], Awaitable[bool]], *, what: str, within_s: float = WITHIN_S) -> None:
    """Returns as soon as `holds`; for what the server can only be asked about."""
    try:
        async with asyncio.timeout(within_s):
            while True:
                if await holds():
                    return
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        raise AssertionError(f"{what} did not happen within {within_s} s") from None


async def meanwhile(act: Callable[[], object]) -> None:
    """Runs one of `Palco`'s restarts while the peers of this process go on speaking."""
    await asyncio.to_thread(act)


async def silent_after(
    speaker: Guest, listeners: list[Guest], *, witness: Guest, since: int, packets: int = 25
) -> None:
    """Asserts that nothing which `speaker` says from here on, nor anything after its packet `since`, is heard.

    No waiting for silence: the witness speaks last. Datagrams to one port stay in order on loopback, and a worker
    serves them in order, so whoever has heard the witness would have heard the speaker before.
    """
    for _ in range(packets):
        speaker.peer.say()
    said = witness.peer.say()
    for listener in listeners:
        await listener.peer.hears(said)
        late = [number for number in listener.peer.numbers(speaker.peer) if number > since]
        assert not late, f"{listener.identity} heard packets {late} of {speaker.identity}"
