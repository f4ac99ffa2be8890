"""A scripted stand-in for the server: serves the page as the real one does and plays back what a test tells it.

It carries no media. It shows how the page behaves for a given answer or event, nothing about Palco itself: whether
sound arrives is the business of `test_stage_live.py`, against the real processes.
"""

import asyncio
import base64
import json
import re
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from signalling.web.page import Page

Json = dict[str, Any]
MOMENT: Final = "2026-11-01T18:00:00Z"


def token(identity: str, space: str, **grants: bool) -> str:
    """A token in shape only: the double believes whoever comes."""
    claims = {"sub": identity, "name": identity.title(), "video": {"room": space, "roomJoin": True, **grants}}
    return ".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in ({}, claims, {})
    )


def person(identity: str, role: str = "speaker", **more: object) -> Json:
    """A participant as the API shows it."""
    known: Json = {
        "identity": identity,
        "name": identity.replace("-", " ").title(),
        "role": role,
        "is_muted": False,
        "is_self_muted": False,
        "is_speaking": False,
        "is_connected": True,
        "level_dbov": -127,
        "has_raised_hand": False,
        "hand_raised_at": None,
        "is_invited": False,
        "joined_at": MOMENT,
    }
    return {**known, **more}


@dataclass
class Scene:
    """What the double would have a page believe about one space."""

    id: str
    title: str
    host: str = "ada-moretti"
    people: dict[str, Json] = field(default_factory=dict)
    audience: list[Json] = field(default_factory=list)
    listeners: int = 0
    created_at: str = MOMENT
    more: Json = field(default_factory=dict)
    """What of the resource is otherwise than usual."""
    links: list[Json] = field(default_factory=list)
    blocks: list[Json] = field(default_factory=list)

    def resource(self) -> Json:
        on_stage = sum(one["role"] != "listener" for one in self.people.values())
        return {
            "id": self.id,
            "title": self.title,
            "description": "",
            "state": "live",
            "audience": "forward",
            "speak": "invited",
            "entry": "open",
            "host": self.host,
            "host_name": self.host.replace("-", " ").title(),
            "created_at": self.created_at,
            "starts_at": None,
            "started_at": self.created_at,
            "end_reason": None,
            "max_speakers": 10,
            "counts": {"speakers": on_stage, "listeners": self.listeners},
            **self.more,
        }

    def card(self) -> Json:
        """As a list of spaces shows it."""
        stage = [one for one in self.people.values() if one["role"] != "listener"]
        shown = [{key: one[key] for key in ("identity", "name", "is_speaking")} for one in stage[:5]]
        return {**self.resource(), "on_stage": shown}

    def add(self, *people: Json) -> None:
        self.people.update((one["identity"], one) for one in people)


@dataclass
class Call:
    method: str
    path: str
    body: str
    identity: str


@dataclass
class Refusal:
    method: str
    pattern: str
    status: int
    code: str
    more: Json


class Double:
    """The server, in a thread of its own. `calls` is what the page asked for, in order."""

    def __init__(self) -> None:
        self.scenes: dict[str, Scene] = {}
        self.calls: list[Call] = []
        self.is_development = True
        self.has_websocket = True
        self._refusals: list[Refusal] = []
        self._queues: list[asyncio.Queue[Json | None]] = []
        self._sequence = 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._called = threading.Condition()
        self._loop: asyncio.AbstractEventLoop | None = None
        config = uvicorn.Config(self._app(), log_level="critical", ws="websockets-sansio", lifespan="off")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._listening]})

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.hang_up()
        self._server.should_exit = True
        self._thread.join()

    # The script

    def forget(self) -> None:
        """A new evening: nothing scheduled, nothing refused."""
        self.hang_up()
        self.scenes.clear()
        self.calls.clear()
        self._refusals.clear()
        self.is_development = True
        self.has_websocket = True

    def refuse(self, method: str, pattern: str, *, status: int, code: str, **more: object) -> None:
        """Answers requests whose path matches `pattern` with a problem, from now on."""
        self._refusals.append(Refusal(method, pattern, status, code, more))

    def relent(self) -> None:
        self._refusals.clear()

    def publish(self, kind: str, data: Json) -> None:
        """An event to every open stream."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._publish, kind, data)

    def hang_up(self) -> None:
        """Closes every event stream."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._hang_up)

    def wait_for(self, method: str, pattern: str, *, limit_s: float = 10) -> Call:
        """The first call of that kind, as soon as it has come."""

        def found() -> Call | None:
            matching = (call for call in self.calls if call.method == method and re.search(pattern, call.path))
            return next(matching, None)

        with self._called:
            call = self._called.wait_for(found, timeout=limit_s)
        assert call is not None, (
            f"no {method} {pattern}; the page asked: {[(one.method, one.path) for one in self.calls]}"
        )
        return call

    # The stage behind it

    def _publish(self, kind: str, data: Json) -> None:
        for queue in self._queues:
            queue.put_nowait(self._envelope(kind, data))

    def _hang_up(self) -> None:
        for queue in self._queues:
            queue.put_nowait(None)

    def _envelope(self, kind: str, data: Json) -> Json:
        self._sequence += 1
        return {"type": kind, "seq": self._sequence, "ts": MOMENT, "space": "", "data": data}

    def _snapshot(self, space: str, identity: str) -> Json:
        scene = self.scenes[space]
        you = scene.people.get(identity) or person(identity, "listener")
        people = [one for one in scene.people.values() if one["role"] != "listener" or one["has_raised_hand"]]
        data = {
            "space": scene.resource(),
            "participants": people,
            "you": {
                **{key: you[key] for key in ("identity", "role", "is_muted", "is_self_muted", "is_invited")},
                "is_followed": False,
                "blocked_on_stage": [],
            },
            "links": scene.links,
            "captions": [],
            "epoch": "evening",
        }
        return self._envelope("snapshot", data)

    def _app(self) -> Starlette:
        routes = [
            WebSocketRoute("/v1/spaces/{space}/ws", self._websocket),
            *(
                Route(path, self._answering(answer), methods=methods)
                for path, methods, answer in (
                    ("/dev/tokens", ["POST"], self._token),
                    ("/v1/spaces", ["GET", "POST"], self._spaces),
                    ("/v1/spaces/{space}", ["GET"], self._space),
                    ("/v1/spaces/{space}/blocks", ["GET"], self._blocks),
                    ("/v1/spaces/{space}/events", ["GET"], self._events),
                    ("/v1/spaces/{space}/participants", ["GET"], self._participants),
                    ("/v1/spaces/{space}/sessions", ["POST"], self._session),
                    ("/whep/{space}", ["POST"], self._session),
                    ("/v1/spaces/{space}/mute-all", ["POST"], self._mute_all),
                    ("/{path:path}", ["POST", "PATCH", "DELETE"], self._accept),
                )
            ),
            Mount("/", Page()),
        ]
        return Starlette(routes=routes)

    def _answering(self, answer: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            self._loop = asyncio.get_running_loop()
            body = (await request.body()).decode()
            with self._called:
                self.calls.append(Call(request.method, request.url.path, body, _identity(request.headers)))
                self._called.notify_all()
            for refusal in self._refusals:
                if refusal.method == request.method and re.search(refusal.pattern, request.url.path):
                    return _problem(refusal)
            return await answer(request)

        return endpoint

    async def _token(self, request: Request) -> Response:
        wish = await request.json()
        if not self.is_development:
            return Response(status_code=404)
        is_host = wish["role"] == "host"
        made = token(wish["identity"], wish["space"], roomList=True, roomAdmin=is_host, canPublish=is_host)
        return JSONResponse({"token": made, "identity": wish["identity"], "space": wish["space"]})

    async def _spaces(self, request: Request) -> Response:
        if request.method == "GET":
            wanted = {"live": "live", "upcoming": "scheduled"}[request.query_params["state"]]
            cards = [scene.card() for scene in self.scenes.values()]
            return JSONResponse({"spaces": [card for card in cards if card["state"] == wanted], "next": None})
        wish = await request.json()
        identity = _identity(request.headers)
        scene = Scene(id=wish["id"], title=wish["title"], host=identity)
        if "starts_at" in wish:
            scene.more = {
                "state": "scheduled",
                "starts_at": wish["starts_at"],
                "started_at": None,
                "speak": wish["speak"],
            }
            self.refuse("POST", f"^/whep/{scene.id}$", status=409, code="not_started", starts_at=wish["starts_at"])
        scene.add(person(identity, "host"))
        self.scenes[scene.id] = scene
        return JSONResponse(scene.resource(), 201)

    async def _space(self, request: Request) -> Response:
        return JSONResponse(self.scenes[request.path_params["space"]].resource())

    async def _blocks(self, request: Request) -> Response:
        return JSONResponse({"blocks": self.scenes[request.path_params["space"]].blocks})

    async def _participants(self, request: Request) -> Response:
        scene = self.scenes[request.path_params["space"]]
        return JSONResponse({"participants": [*scene.people.values(), *scene.audience]})

    async def _session(self, request: Request) -> Response:
        headers = {"Location": f"{request.url.path}/1", "ETag": '"1"', "Content-Type": "application/sdp"}
        return Response("v=0\r\n", 201, headers)

    async def _mute_all(self, request: Request) -> Response:
        scene = self.scenes[request.path_params["space"]]
        return JSONResponse({"muted": [one["identity"] for one in scene.people.values() if one["role"] == "speaker"]})

    async def _accept(self, request: Request) -> Response:
        return Response(status_code=204)

    async def _websocket(self, websocket: WebSocket) -> None:
        self._loop = asyncio.get_running_loop()
        offered = websocket.scope["subprotocols"]
        space = websocket.path_params["space"]
        identity = _identity({"authorization": f"Bearer {offered[1].removeprefix('palco.token.')}"})
        with self._called:
            self.calls.append(Call("WS", f"{websocket.url.path}?{websocket.url.query}", "", identity))
            self._called.notify_all()
        is_refused = any(re.search(one.pattern, websocket.url.path) for one in self._refusals if one.method == "GET")
        if not self.has_websocket or is_refused or space not in self.scenes:
            return await websocket.close()
        await websocket.accept("palco.v1")
        try:
            async for envelope in self._stream(space, identity):
                await websocket.send_text(envelope)
            await websocket.close()
        except (WebSocketDisconnect, RuntimeError):
            pass  # the page has gone
        return None

    async def _events(self, request: Request) -> Response:
        space = request.path_params["space"]
        if space not in self.scenes:
            return _problem(Refusal("GET", "", 404, "unknown_space", {}))
        stream = self._stream(space, _identity(request.headers))
        return StreamingResponse((f"data: {envelope}\n\n" async for envelope in stream), media_type="text/event-stream")

    async def _stream(self, space: str, identity: str) -> AsyncIterator[str]:
        queue: asyncio.Queue[Json | None] = asyncio.Queue()
        self._queues.append(queue)
        try:
            yield json.dumps(self._snapshot(space, identity))
            while (envelope := await queue.get()) is not None:
                yield json.dumps(envelope)
        finally:
            self._queues.remove(queue)


def _identity(headers: Any) -> str:
    payload = (headers.get("authorization") or "Bearer ..").removeprefix("Bearer ").split(".")[1]
    padded = payload + "=" * (-len(payload) % 4)
    return str(json.loads(base64.urlsafe_b64decode(padded))["sub"]) if payload else ""


def _problem(refusal: Refusal) -> Response:
    problem = {
        "type": f"urn:palco:problem:{refusal.code}",
        "title": refusal.code,
        "status": refusal.status,
        "detail": f"The script says {refusal.code}.",
        "code": refusal.code,
        **refusal.more,
    }
    return JSONResponse(problem, refusal.status, media_type="application/problem+json")
