"""The links that are pinned to a stage, in their order. A machine."""

from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import urlsplit

from signalling.effects import Announce, Effect, KeepLinks
from signalling.errors import CommandError, PeerError
from signalling.events import Link, LinksChanged
from signalling.records import LinkRecord, LinksRecord
from signalling.resources import timestamp

MAX_LINKS: Final = 5
MAX_URL_CHARACTERS: Final = 2048
MAX_TITLE_CHARACTERS: Final = 100


class Links:
    """Inputs return what must be kept and told; those of who may not do it to whose link is asked before."""

    def __init__(self, space: str, records: Iterable[LinkRecord] = ()) -> None:
        self._space = space
        self._links = {record.link: record for record in records}

    def shown(self) -> list[Link]:
        return [_shown(record) for record in self._links.values()]

    def find(self, link: str) -> LinkRecord:
        """Raises CommandError `unknown_link`."""
        if found := self._links.get(link):
            return found
        raise CommandError("unknown_link", f"there is no link {link[:64]!r} on this stage; it may have been removed")

    def on_add(self, link: str, url: str, title: str, *, by: str, now_s: float) -> list[Effect]:
        """At the end. Raises CommandError `too_many_links`, PeerError `bad_url`."""
        if len(self._links) >= MAX_LINKS:
            raise CommandError(
                "too_many_links", f"a stage has {MAX_LINKS} pinned links at most; remove one first", limit=MAX_LINKS
            )
        checked = checked_url(url)
        record = LinkRecord(
            link=link,
            url=checked,
            title=title or (urlsplit(checked).hostname or ""),
            added_by=by,
            added_at_s=now_s,
        )
        return self._become([*self._links.values(), record])

    def on_remove(self, link: str) -> list[Effect]:
        """Raises CommandError `unknown_link`."""
        gone = self.find(link)
        return self._become([record for record in self._links.values() if record != gone])

    def on_order(self, order: Sequence[str]) -> list[Effect]:
        """Raises CommandError `links_changed` where `order` does not name each of them once."""
        if sorted(order) != sorted(self._links):
            raise CommandError(
                "links_changed", "the order has to name each pinned link once; read them again and repeat"
            )
        return self._become([self._links[link] for link in order])

    def _become(self, records: Iterable[LinkRecord]) -> list[Effect]:
        self._links = {record.link: record for record in records}
        return [
            KeepLinks(LinksRecord(list(self._links.values()))),
            Announce("links.changed", LinksChanged(self.shown())),
        ]


def checked_url(url: str) -> str:
    """`url`, if a browser may be sent there: http or https, with a host and without credentials.

    Raises PeerError `bad_url`.
    """
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises where it is no number
    except ValueError:
        raise PeerError("bad_url", "a link needs a URL that can be read") from None
    is_plain = url.isascii() and url.isprintable() and " " not in url and "\\" not in url
    if parts.scheme not in {"http", "https"} or not parts.hostname or not is_plain:
        raise PeerError("bad_url", "a link is http:// or https:// with a host; other characters than ASCII are escaped")
    if "@" in parts.netloc:
        raise PeerError("bad_url", "a link for everyone carries no user name or password")
    return url


def _shown(record: LinkRecord) -> Link:
    return Link(
        id=record.link,
        url=record.url,
        title=record.title,
        added_by=record.added_by,
        added_at=timestamp(record.added_at_s),
    )
