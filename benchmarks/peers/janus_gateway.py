"""WHIP and WHEP in front of Janus: python -m benchmarks.peers.janus_gateway PORT JANUS_PORT PLUGIN SPEAKERS. Edge.

Who speaks publishes into a VideoRoom. Who listens subscribes there (`videoroom`), or watches a Streaming mountpoint to
which the room forwards each speaker as plain RTP (`streaming`). In an AudioBridge both are participants.
"""

import asyncio
import itertools
import json
import sys
from collections import defaultdict
from typing import Any, Protocol

from websockets.asyncio.client import ClientConnection, connect

from benchmarks.peers.doorway import Joined, RefusedError, serve
from benchmarks.peers.mirror import Side, answer

Json = dict[str, Any]
KEEPALIVE_S = 20.0
OPUS = 111
ROOM: Json = {
    "publishers": 100,
    "audiocodec": "opus",
    "audiolevel_ext": False,
    "transport_wide_cc_ext": False,
    "require_pvtid": False,
}


class Janus:
    """One session of the Janus API, all handles in it, over one WebSocket."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._session: Json = {}
        self._numbers = itertools.count()
        self._waiting: dict[str, asyncio.Future[Json]] = {}
        self._up: defaultdict[int, asyncio.Event] = defaultdict(asyncio.Event)
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    async def connect(cls, port: int) -> "Janus":
        protocol: Any = "janus-protocol"
        janus = cls(await connect(f"ws://127.0.0.1:{port}", subprotocols=[protocol], max_size=None))
        janus._tasks.append(asyncio.create_task(janus._read()))
        created = await janus._ask({"janus": "create"})
        janus._session = {"session_id": created["data"]["id"]}
        janus._tasks.append(asyncio.create_task(janus._keep_alive()))
        return janus

    async def attach(self, plugin: str) -> int:
        """Handle of a new instance of a plugin."""
        attached = await self._ask({"janus": "attach", "plugin": f"janus.plugin.{plugin}"})
        return int(attached["data"]["id"])

    async def message(self, handle: int, jsep: Json | None = None, **body: object) -> Json:
        """The plugin's reply to a request, with `jsep` where it has one. Raises RefusedError."""
        message: Json = {"janus": "message", "handle_id": handle, "body": body}
        reply = await self._ask(message | ({"jsep": jsep} if jsep else {}))
        data: Json = reply["plugindata"]["data"]
        if "error" in data:
            raise RefusedError(f"{body.get('request')}: {data['error']}")
        return {**data, "jsep": reply.get("jsep")}

    async def up(self, handle: int) -> None:
        """Returns when the handle's media can flow."""
        await self._up[handle].wait()

    async def detach(self, handle: int) -> None:
        self._up.pop(handle, None)
        await self._ask({"janus": "detach", "handle_id": handle})

    async def _ask(self, message: Json) -> Json:
        transaction = str(next(self._numbers))
        reply: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._waiting[transaction] = reply
        await self._socket.send(json.dumps(self._session | message | {"transaction": transaction}))
        return await reply

    async def _read(self) -> None:
        async for text in self._socket:
            reply = json.loads(text)
            if reply["janus"] == "webrtcup":
                self._up[reply["sender"]].set()
            if reply["janus"] == "ack" or "transaction" not in reply:
                continue  # the reply proper comes as an event of the same transaction
            waiting = self._waiting.pop(reply["transaction"], None)
            if waiting is None:
                continue
            if reply["janus"] == "error":
                waiting.set_exception(RefusedError(reply["error"]["reason"]))
            else:
                waiting.set_result(reply)

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(KEEPALIVE_S)
            await self._socket.send(json.dumps(self._session | {"janus": "keepalive", "transaction": "keepalive"}))


class Room:
    """A room and, for `streaming`, its mountpoint. Speakers join first: a listener gets those who are there."""

    def __init__(self, name: str, janus: Janus, ports: list[int]) -> None:
        self._name, self._janus, self._ports = name, janus, ports
        self._numbers = itertools.count()
        self._speakers: dict[str, int] = {}

    @classmethod
    async def make(cls, name: str, janus: Janus, *, mountpoint_of: int) -> "Room":
        """With a mountpoint of so many tracks, or (0) without."""
        await janus.message(await janus.attach("videoroom"), request="create", room=name, **ROOM)
        if not mountpoint_of:
            return cls(name, janus, [])
        media = [
            {"type": "audio", "mid": str(track), "label": str(track), "port": 0, "pt": OPUS, "codec": "opus"}
            for track in range(mountpoint_of)
        ]
        handle = await janus.attach("streaming")
        made = await janus.message(handle, request="create", type="rtp", id=name, name=name, media=media)
        return cls(name, janus, [port["port"] for port in made["stream"]["ports"]])

    async def publish(self, offer: str) -> Joined:
        janus, number = self._janus, next(self._numbers)
        speaker = f"{self._name}-{number}"
        handle = self._speakers[speaker] = await janus.attach("videoroom")
        reply = await janus.message(
            handle,
            {"type": "offer", "sdp": offer},
            request="joinandconfigure",
            ptype="publisher",
            room=self._name,
            id=speaker,
        )
        if self._ports:
            stream = {"mid": "0", "port": self._ports[number], "ptype": OPUS}
            await janus.message(
                await janus.attach("videoroom"),
                request="rtp_forward",
                room=self._name,
                publisher_id=speaker,
                host="127.0.0.1",
                host_family="ipv4",
                streams=[stream],
            )
        return Joined(str(handle), reply["jsep"]["sdp"])

    async def listen(self, offer: str) -> Joined:
        janus = self._janus
        handle = await janus.attach("streaming" if self._ports else "videoroom")
        if self._ports:
            reply = await janus.message(handle, request="watch", id=self._name)
        else:
            for speaker in self._speakers.values():
                await janus.up(speaker)
            streams = [{"feed": speaker} for speaker in self._speakers]
            reply = await janus.message(handle, request="join", ptype="subscriber", room=self._name, streams=streams)
        theirs = reply["jsep"]["sdp"]
        # Janus as DTLS client: a ClientHello that comes before its ICE is done is lost, the next a second away.
        to_janus = answer(theirs, Side.of(offer), setup="passive", direction="recvonly")
        await janus.message(handle, {"type": "answer", "sdp": to_janus}, request="start")
        return Joined(str(handle), answer(offer, Side.of(theirs), setup="active", direction="sendonly"))


BRIDGE: Json = {"sampling_rate": 48_000, "audiolevel_ext": False}
"""At the rate of Palco's mix; 16,000 is the plugin's own."""

MIX_BITRATE = 48_000
"""Palco's default for a mix; the complexity stays the plugin's (4)."""


class Bridge:
    """A mixed room. Who listens is a participant that is muted, as the plugin's documentation has it."""

    def __init__(self, name: str, janus: Janus) -> None:
        self._name, self._janus = name, janus

    @classmethod
    async def make(cls, name: str, janus: Janus) -> "Bridge":
        await janus.message(await janus.attach("audiobridge"), request="create", room=name, **BRIDGE)
        return cls(name, janus)

    async def publish(self, offer: str) -> Joined:
        return await self._join(offer, is_muted=False)

    async def listen(self, offer: str) -> Joined:
        return await self._join(offer, is_muted=True)

    async def _join(self, offer: str, *, is_muted: bool) -> Joined:
        janus = self._janus
        handle = await janus.attach("audiobridge")
        reply = await janus.message(
            handle,
            {"type": "offer", "sdp": offer},
            request="join",
            room=self._name,
            muted=is_muted,
            bitrate=MIX_BITRATE,
        )
        return Joined(str(handle), reply["jsep"]["sdp"])


class Joinable(Protocol):
    async def publish(self, offer: str) -> Joined: ...

    async def listen(self, offer: str) -> Joined: ...


class Rooms:
    def __init__(self, port: int, plugin: str, speakers: int) -> None:
        self._port, self._plugin, self._speakers = port, plugin, speakers
        self._janus: Janus | None = None
        self._rooms: dict[str, asyncio.Task[Joinable]] = {}

    async def open(self) -> None:
        self._janus = await Janus.connect(self._port)

    async def publish(self, room: str, offer: str) -> Joined:
        return await (await self._room(room)).publish(offer)

    async def listen(self, room: str, offer: str) -> Joined:
        return await (await self._room(room)).listen(offer)

    async def leave(self, session: str) -> None:
        await self._connected.detach(int(session))

    @property
    def _connected(self) -> Janus:
        if self._janus is None:
            raise RefusedError("not connected to Janus")
        return self._janus

    async def _room(self, name: str) -> Joinable:
        if name not in self._rooms:
            self._rooms[name] = asyncio.create_task(self._make(name, self._connected))
        return await self._rooms[name]

    async def _make(self, name: str, janus: Janus) -> Joinable:
        if self._plugin == "audiobridge":
            return await Bridge.make(name, janus)
        return await Room.make(name, janus, mountpoint_of=self._speakers if self._plugin == "streaming" else 0)


if __name__ == "__main__":
    port, janus_port, plugin, speakers = sys.argv[1:]
    serve(Rooms(int(janus_port), plugin, int(speakers)), int(port))
