"""The two requests by which the load joins any server: an offer to /whip or /whep, answered 201 with Location. Edge."""

from dataclasses import dataclass
from typing import Protocol

import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route


class RefusedError(Exception):
    """The server behind the gateway said no; its words."""


@dataclass(frozen=True)
class Joined:
    """A session of the server, by a name that ends it, and the SDP answer to who asked for it."""

    session: str
    answer: str


class Rooms(Protocol):
    """What a gateway translates to. Rooms are made on the spot."""

    async def open(self) -> None:
        """Called once, in the loop that serves."""

    async def publish(self, room: str, offer: str) -> Joined: ...

    async def listen(self, room: str, offer: str) -> Joined: ...

    async def leave(self, session: str) -> None: ...


def application(rooms: Rooms) -> Starlette:
    async def join(request: Request) -> Response:
        offer = (await request.body()).decode()
        role, room = request.path_params["role"], request.path_params["room"]
        joined = await (rooms.publish(room, offer) if role == "whip" else rooms.listen(room, offer))
        location = f"/{role}/{room}/{joined.session}"
        return PlainTextResponse(joined.answer, 201, {"Location": location}, media_type="application/sdp")

    async def leave(request: Request) -> Response:
        await rooms.leave(request.path_params["session"])
        return Response(status_code=200)

    async def refuse(_: Request, reason: Exception) -> Response:
        return PlainTextResponse(f"{type(reason).__name__}: {reason}", 502)

    return Starlette(
        routes=[
            Route("/{role:str}/{room:str}", join, methods=["POST"]),
            Route("/{role:str}/{room:str}/{session:str}", leave, methods=["DELETE"]),
        ],
        exception_handlers={RefusedError: refuse},
    )


def serve(rooms: Rooms, port: int) -> None:
    """Serves on the loopback interface until the process is told to end."""
    config = uvicorn.Config(application(rooms), "127.0.0.1", port, log_level="warning", backlog=4096)

    async def run() -> None:
        await rooms.open()
        await uvicorn.Server(config).serve()

    uvloop.run(run())
