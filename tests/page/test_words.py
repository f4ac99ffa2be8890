"""No word on the screen comes from anywhere but the message file. Against the scripted double."""

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Page, Route

from signalling.web.page import ROOT
from tests.page.conftest import OpenPage
from tests.page.double import Double
from tests.page.evening import evening
from tests.page.views import VIEWS, View

pytestmark = pytest.mark.live

MARK = "\u2063"
"""An invisible separator: before every message, so that what has none came from somewhere else."""

NOT_MESSAGES = re.compile(
    r"Palco|English|Italiano|https?://\S*"  # names
    r"|Why night trains are coming back|Sleeper cars, and where to find them|What a bed on rails costs.*"
    r"|Ada Moretti|Tomas Lind|Ines Carvalho|Jonas Weber|Giulia Ferri|Noor Rahman|Leo Blanc|karl-vogt"
    r"|(ada-moretti|leo-blanc|ines-carvalho)|The night timetable|beds\.example\S*|timetable\.example"
    r"|A bed on rails is a hotel.*"
    r"|\w+day \d+ \w+ at [\d:]+"  # a moment, as the browser writes it in the reader's language
    r"|Fake .*|Default.*|opus 48 kHz.*"  # the browser's words for its devices
)

WORDS = """() => {
  const shown = (element) => element.checkVisibility({ checkVisibilityCSS: true });
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const inside = node.parentElement;
    if (inside.closest("noscript, .avatar, script") || !shown(inside)) continue;
    found.push(node.textContent);
  }
  for (const name of ["aria-label", "placeholder", "title", "alt"]) {
    for (const element of document.querySelectorAll(`[${name}]`)) {
      if (shown(element)) found.push(element.getAttribute(name));
    }
  }
  return [...found, document.title];
}"""


def marked(route: Route) -> None:
    texts: dict[str, str] = json.loads((ROOT / "messages" / "en.json").read_text())
    route.fulfill(json={key: MARK + text for key, text in texts.items()})


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.__name__)
def test_every_word_is_in_the_message_file(view: View, double: Double, open_page: OpenPage) -> None:
    evening(double)

    def open_marked(*arguments: Any, **context: Any) -> Page:
        return open_page(*arguments, **context, route=("**/messages/en.json", marked))

    page = view(double, open_marked)
    unmarked = [text for text in page.evaluate(WORDS) if MARK not in text]
    foreign = [text for text in unmarked if re.search(r"[^\W\d_]{2,}", NOT_MESSAGES.sub("", text))]
    assert foreign == []
