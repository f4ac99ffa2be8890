"""Pinned links: an order, a bound, and only such as a browser may be sent to."""

import pytest

from signalling.effects import Announce, Effect, KeepLinks
from signalling.errors import CommandError, PeerError
from signalling.events import LinksChanged
from signalling.links import MAX_LINKS, Links, checked_url

NOW_S = 1_800_000_000.0


def pin(links: Links, link: str, *, title: str = "Agenda") -> list[Effect]:
    return links.on_add(link, f"https://palco.example/{link}", title, by="ada", now_s=NOW_S)


def order(links: Links) -> list[str]:
    return [shown.id for shown in links.shown()]


def test_what_is_kept_is_what_is_told() -> None:
    links = Links("hall")
    kept, told = pin(links, "a")
    assert isinstance(kept, KeepLinks)
    assert told == Announce("links.changed", LinksChanged(links.shown()))
    assert Links("hall", kept.record.links).shown() == links.shown()
    assert links.shown()[0].added_at == "2027-01-15T08:00:00.000Z"


def test_links_stand_in_the_order_of_their_coming_until_it_is_changed() -> None:
    links = Links("hall")
    for link in "abc":
        pin(links, link)
    assert order(links) == ["a", "b", "c"]
    links.on_order(["c", "a", "b"])
    links.on_remove("a")
    assert order(links) == ["c", "b"]


@pytest.mark.parametrize("wrong", [[], ["a"], ["a", "a"], ["a", "b", "c"], ["b", "x"]])
def test_an_order_names_each_of_them_once(wrong: list[str]) -> None:
    links = Links("hall")
    pin(links, "a")
    pin(links, "b")
    with pytest.raises(CommandError, match="links_changed"):
        links.on_order(wrong)
    assert order(links) == ["a", "b"]


def test_there_are_so_many_and_no_more() -> None:
    links = Links("hall")
    for number in range(MAX_LINKS):
        pin(links, str(number))
    with pytest.raises(CommandError, match="too_many_links"):
        pin(links, "more")
    assert len(links.shown()) == MAX_LINKS


def test_without_a_title_the_host_is_shown() -> None:
    links = Links("hall")
    pin(links, "a", title="")
    assert links.shown()[0].title == "palco.example"


@pytest.mark.parametrize(
    "url",
    ["https://palco.example", "http://palco.example:8080/a?b=c#d", "https://[2001:db8::1]/", "HTTPS://x.example/%20"],
)
def test_links_to_the_web_are_taken_as_they_are(url: str) -> None:
    assert checked_url(url) == url


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "https://a@b.example/", "https:/x", "https://a b/", "http://\n"]
)
def test_others_are_refused(url: str) -> None:
    with pytest.raises(PeerError, match="bad_url"):
        checked_url(url)
