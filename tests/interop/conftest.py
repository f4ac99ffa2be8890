"""What every test with foreign clients stands on. Edge."""

import functools
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.interop.clients import HERE


@pytest.fixture(scope="module")
def page() -> Iterator[str]:
    """page.html on an origin of its own, so that browsers need what the server says about CORS."""
    handler = functools.partial(_Quiet, directory=str(HERE))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}/page.html"
        server.shutdown()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Says nothing."""
