"""WHIP and WHEP in front of LiveKit: python -m benchmarks.peers.livekit_gateway PORT LIVEKIT_PORT KEY SECRET. Edge.

LiveKit takes one offer at /whip/v1 from whoever speaks or listens. What it wants besides is added here: a token for
each participant, and the names of the tracks that have to be in the answer.
"""

import asyncio
import itertools
import json
import sys
import time

import httpx2
import jwt

from benchmarks.peers.doorway import Joined, RefusedError, serve

TRACK = "synthesized-microphone"
"""What LiveKit calls the track of a participant that came by WHIP."""
POLL_S = 0.05
PUBLISHED_S = 10.0
TIMEOUT_S = 30.0
LIFETIME_S = 24 * 3600


class Rooms:
    def __init__(self, port: int, key: str, secret: str) -> None:
        self._base_url, self._key, self._secret = f"http://127.0.0.1:{port}", key, secret
        self._client = httpx2.AsyncClient(timeout=TIMEOUT_S)
        self._numbers = itertools.count()
        self._speakers: dict[str, list[str]] = {}
        self._published: dict[str, asyncio.Task[None]] = {}
        self._tokens: dict[str, str] = {}

    async def open(self) -> None:
        """LiveKit is asked anew each time."""

    async def publish(self, room: str, offer: str) -> Joined:
        identity = f"speaker-{next(self._numbers)}"
        self._speakers.setdefault(room, []).append(identity)
        return await self._join(identity, offer, {}, room=room, roomJoin=True, canPublish=True, canSubscribe=False)

    async def listen(self, room: str, offer: str) -> Joined:
        speakers = self._speakers.get(room, [])
        if room not in self._published:
            self._published[room] = asyncio.create_task(self._wait_for(room, set(speakers)))
        await self._published[room]
        identity, wanted = f"listener-{next(self._numbers)}", {speaker: [TRACK] for speaker in speakers}
        return await self._join(identity, offer, wanted, room=room, roomJoin=True, canPublish=False, canSubscribe=True)

    async def leave(self, session: str) -> None:
        await self._client.delete(f"{self._base_url}/whip/v1/{session}", headers=_bearer(self._tokens.pop(session)))

    async def _join(self, identity: str, offer: str, wanted: dict[str, list[str]], **grants: object) -> Joined:
        token = self._token(identity, **grants)
        headers = {
            **_bearer(token),
            "Content-Type": "application/sdp",
            "X-LiveKit-ClientInfo": json.dumps({"subscribedParticipantTrackNames": wanted}),
        }
        reply = await self._client.post(f"{self._base_url}/whip/v1", content=offer, headers=headers)
        if reply.status_code != httpx2.codes.CREATED:
            raise RefusedError(f"{reply.status_code} {reply.text}")
        session = reply.headers["location"].rsplit("/", 1)[1]
        self._tokens[session] = token
        return Joined(session, reply.text)

    async def _wait_for(self, room: str, speakers: set[str]) -> None:
        """Returns when each speaker has a track. LiveKit makes it of the first packet, after the speaker has joined."""
        url = f"{self._base_url}/twirp/livekit.RoomService/ListParticipants"
        headers = _bearer(self._token("gateway", room=room, roomAdmin=True))
        deadline_s = time.monotonic() + PUBLISHED_S
        while time.monotonic() < deadline_s:
            reply = await self._client.post(url, json={"room": room}, headers=headers)
            participants = reply.raise_for_status().json()["participants"]
            if speakers <= {each["identity"] for each in participants if each.get("tracks")}:
                return
            await asyncio.sleep(POLL_S)
        raise RefusedError(f"speakers of {room} have no track after {PUBLISHED_S:.0f} s")

    def _token(self, identity: str, **grants: object) -> str:
        claims = {"iss": self._key, "sub": identity, "exp": int(time.time()) + LIFETIME_S, "video": grants}
        return jwt.encode(claims, self._secret, "HS256")


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


if __name__ == "__main__":
    port, livekit_port, key, secret = sys.argv[1:]
    serve(Rooms(int(livekit_port), key, secret), int(port))
