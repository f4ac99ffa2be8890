"""The stage in the browser: its files, held in memory, compressed once, under a strict Content-Security-Policy. Edge.

The document names its files by a digest of them all (`/v/<digest>/style.css`), so a browser may keep each for ever and
yet sees a new version at once. The plain names (`/palco.js`) are for applications, and are asked for again each time.
"""

import gzip
import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocketClose

from signalling.errors import PeerError
from signalling.web.answers import problem

ROOT: Final = Path(__file__).parent.parent / "page"
MEDIA_TYPES: Final[Mapping[str, str]] = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}
DOCUMENT: Final = "index.html"

VERSIONED: Final = re.compile(r"/v/([0-9a-f]{16})/(.+)")
FOREVER: Final = "public, max-age=31536000, immutable"
ASK_AGAIN: Final = "no-cache"

FOR_APPLICATIONS: Final = re.compile(r"palco\.js|sdk/.*")
"""What pages of any origin may import: code that anyone may read."""

HEADERS: Final = {
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Vary": "Accept-Encoding",
}

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; media-src 'self' blob: mediastream:; manifest-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors "
)


class File(Struct, frozen=True):
    """One file in both encodings, each with an entity tag of its own (RFC 9110 §8.8.3.3)."""

    plain: bytes
    zipped: bytes
    media_type: str
    tag: str


class Page:
    """Every path that is no operation of the API: a file of the page, or `not_found`.

    `embedders` are the origins of web applications that may show the page in a frame and hand it tokens.
    """

    def __init__(self, root: Path = ROOT, *, embedders: Sequence[str] = ()) -> None:
        contents = {
            path.relative_to(root).as_posix(): path.read_bytes()
            for path in root.rglob("*")
            if path.suffix in MEDIA_TYPES
        }
        self._digest = _digest(contents)
        contents[DOCUMENT] = _document(contents[DOCUMENT].decode(), contents, self._digest, embedders).encode()
        self._files: Final[Mapping[str, File]] = {name: _file(name, content) for name, content in contents.items()}
        frames = " ".join(["'self'", *embedders]) if embedders else "'none'"
        self._headers = {**HEADERS, "Content-Security-Policy": POLICY + frames}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await WebSocketClose()(scope, receive, send)
            return
        response = self._respond(scope["method"], scope["path"], Headers(scope=scope))
        response.headers.update(self._headers)
        await response(scope, receive, send)

    def _respond(self, method: str, path: str, asked: Headers) -> Response:
        digest, name = match.groups() if (match := VERSIONED.fullmatch(path)) else ("", path.removeprefix("/"))
        file = self._files.get(name or DOCUMENT)
        if file is None or method not in {"GET", "HEAD"}:
            return problem(PeerError("not_found", "there is no such resource"))
        is_zipped = accepts_gzip(asked.get("accept-encoding", ""))
        tag = f'"{file.tag}-gzip"' if is_zipped else f'"{file.tag}"'
        # A page that was opened before an update still gets its files, only not for ever under the old name.
        headers = {"ETag": tag, "Cache-Control": FOREVER if digest == self._digest else ASK_AGAIN}
        if FOR_APPLICATIONS.fullmatch(name):
            headers["Access-Control-Allow-Origin"] = "*"
        if matches(asked.get("if-none-match", ""), tag):
            return Response(status_code=304, headers=headers)
        if is_zipped:
            headers["Content-Encoding"] = "gzip"
        return Response(file.zipped if is_zipped else file.plain, headers=headers, media_type=file.media_type)


def accepts_gzip(accept_encoding: str) -> bool:
    """RFC 9110 §12.5.3, as far as gzip goes: named, or `*`, and not with a weight of zero."""
    weights = {}
    for part in accept_encoding.lower().split(","):
        coding, _, weight = part.partition(";")
        weights[coding.strip()] = not re.fullmatch(r"\s*q=0(\.0*)?\s*", weight)
    return weights.get("gzip", weights.get("*", False))


def matches(if_none_match: str, tag: str) -> bool:
    """RFC 9110 §13.1.2, by weak comparison."""
    return any(one.strip().removeprefix("W/") in {tag, "*"} for one in if_none_match.split(","))


def _digest(contents: Mapping[str, bytes]) -> str:
    whole = hashlib.sha256()
    for name in sorted(contents):
        whole.update(b"%s\0%d\0%s" % (name.encode(), len(contents[name]), contents[name]))
    return whole.hexdigest()[:16]


def _document(text: str, names: Mapping[str, bytes], digest: str, embedders: Sequence[str]) -> str:
    """index.html with versioned names, and with the origins that the page may take tokens from."""

    def versioned(match: re.Match[str]) -> str:
        attribute, name = match.groups()
        return f'{attribute}="v/{digest}/{name}"' if name in names else match[0]

    named = re.sub(r'\b(href|src)="([^"]+)"', versioned, text)
    return named.replace('name="palco-embedders" content=""', f'name="palco-embedders" content="{" ".join(embedders)}"')


def _file(name: str, content: bytes) -> File:
    tag = hashlib.sha256(content).hexdigest()[:16]
    return File(content, gzip.compress(content, 9, mtime=0), MEDIA_TYPES[Path(name).suffix], tag)
