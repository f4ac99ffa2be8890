"""The page's files over HTTP: compressed, kept for ever under names that change, else asked for again."""

import gzip
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from starlette.types import Message

from signalling.web.page import ASK_AGAIN, FOREVER, ROOT, Page, accepts_gzip, matches

BUDGET_BYTES = 150_000


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def size_bytes(self) -> int:
        """On the wire, header included (HTTP/1.1: name, colon, space, value, CR LF)."""
        return len(self.body) + sum(len(name) + len(value) + 4 for name, value in self.headers.items())


async def fetch(path: str, page: Page, *, method: str = "GET", **headers: str) -> Answer:
    """What the server sends, undecoded."""
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        raise AssertionError("a request for a file has no body")

    await page({"type": "http", "method": method, "path": path, "headers": named}, receive, send)
    start, *rest = sent
    found = {name.decode(): value.decode() for name, value in start["headers"]}
    return Answer(start["status"], found, b"".join(message.get("body", b"") for message in rest))


async def names_in_document(page: Page) -> list[str]:
    document = (await fetch("/", page)).body.decode()
    return re.findall(r'(?:href|src)="(v/[^"]+)"', document)


async def test_a_browser_gets_gzip_and_whoever_cannot_read_it_gets_the_file_itself() -> None:
    page = Page()
    zipped = await fetch("/style.css", page, accept_encoding="gzip, deflate, br")
    plain = await fetch("/style.css", page)
    assert zipped.headers["content-encoding"] == "gzip"
    assert gzip.decompress(zipped.body) == plain.body == (ROOT / "style.css").read_bytes()
    assert "content-encoding" not in plain.headers
    assert zipped.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"
    assert zipped.headers["etag"] != plain.headers["etag"]


async def test_the_document_names_files_that_may_be_kept_for_ever() -> None:
    page = Page()
    assert (await fetch("/", page)).headers["cache-control"] == ASK_AGAIN
    names = await names_in_document(page)
    assert any(name.endswith("/app/main.js") for name in names)
    for name in names:
        answer = await fetch(f"/{name}", page)
        assert (answer.status, answer.headers["cache-control"]) == (200, FOREVER)


async def test_a_changed_file_changes_the_names_and_the_old_ones_still_lead_somewhere(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text('<script type="module" src="main.js"></script>')
    (tmp_path / "main.js").write_text("1")
    (before,) = await names_in_document(Page(tmp_path))
    (tmp_path / "main.js").write_text("2")
    after = Page(tmp_path)
    assert before not in await names_in_document(after)
    old = await fetch(f"/{before}", after)
    assert (old.status, old.body, old.headers["cache-control"]) == (200, b"2", ASK_AGAIN)


@pytest.mark.parametrize("accept", ["gzip", "identity"])
async def test_an_unchanged_file_is_not_sent_again(accept: str) -> None:
    page = Page()
    first = await fetch("/palco.js", page, accept_encoding=accept)
    again = await fetch("/palco.js", page, accept_encoding=accept, if_none_match=first.headers["etag"])
    assert (again.status, again.body) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    assert (await fetch("/palco.js", page, accept_encoding=accept, if_none_match='"other"')).status == 200


async def test_pages_of_other_origins_may_import_the_client_and_nothing_else() -> None:
    page = Page()
    assert (await fetch("/palco.js", page)).headers["access-control-allow-origin"] == "*"
    assert (await fetch("/sdk/session.js", page)).headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-origin" not in (await fetch("/app/main.js", page)).headers


async def test_nobody_may_frame_the_page_but_whom_the_operator_named() -> None:
    alone = await fetch("/", Page())
    embedded = await fetch("/", Page(embedders=["https://app.example", "https://b.example:8443"]))
    assert alone.headers["content-security-policy"].endswith("frame-ancestors 'none'")
    framed_by = "frame-ancestors 'self' https://app.example https://b.example:8443"
    assert embedded.headers["content-security-policy"].endswith(framed_by)
    assert b'name="palco-embedders" content="https://app.example https://b.example:8443"' in embedded.body


async def test_only_files_of_the_page_are_served_and_only_read() -> None:
    page = Page()
    for path in ("/../page.py", "/README.md", "/app", "/v/0123456789abcdef/../../page.py", "/\x00", "/nothing.js"):
        assert (await fetch(path, page)).status == 404
    assert (await fetch("/style.css", page, method="POST")).status == 404


async def test_the_first_load_keeps_its_budget() -> None:
    """Everything that a first visit fetches, with its headers and the longer of the languages; requests not counted."""
    page = Page()
    words = [f"/messages/{path.name}" for path in (ROOT / "messages").glob("*.json")]
    paths = ["/", "/icons.svg", *(f"/{name}" for name in await names_in_document(page))]
    sizes = [(await fetch(path, page, accept_encoding="gzip")).size_bytes for path in paths]
    longest = max([(await fetch(path, page, accept_encoding="gzip")).size_bytes for path in words])
    assert sum(sizes) + longest <= BUDGET_BYTES


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ("gzip", True),
        ("br, GZIP;q=0.5", True),
        ("*", True),
        ("gzip;q=0", False),
        ("gzip; q=0.0, *", False),
        ("", False),
    ],
)
def test_who_accepts_gzip(header: str, accepted: bool) -> None:
    assert accepts_gzip(header) is accepted


def test_a_weak_tag_and_a_list_match() -> None:
    assert matches('"x", W/"y"', '"y"')
    assert matches("*", '"y"')
    assert not matches('"x"', '"y"')
    assert not matches("", '"y"')
