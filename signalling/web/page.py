"""The stage in the browser: static files under a strict content security policy."""

import contextlib
from pathlib import Path
from typing import Final

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocketClose

from signalling.errors import PeerError
from signalling.web.answers import problem

ROOT: Final = Path(__file__).parent.parent / "page"

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        "connect-src 'self'; media-src 'self' blob: mediastream:; manifest-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


class Page:
    """Every path that is no operation of the API: a file of the page, or `not_found`."""

    def __init__(self, root: Path = ROOT) -> None:
        self._files = StaticFiles(directory=root, html=True, check_dir=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await WebSocketClose()(scope, receive, send)
            return
        response = await self._respond(scope)
        response.headers.update(HEADERS)
        await response(scope, receive, send)

    async def _respond(self, scope: Scope) -> Response:
        if scope["method"] in {"GET", "HEAD"} and scope["path"].isprintable():
            with contextlib.suppress(HTTPException):
                response = await self._files.get_response(self._files.get_path(scope), scope)
                if response.status_code != 404:
                    return response
        return problem(PeerError("not_found", "there is no such resource"))
