"""palco.js alone, as an application would use it, against the real server: no part of the page takes part."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import httpx2
import pytest
from playwright.sync_api import Page, expect

from signalling.web.page import ROOT
from tests.harness.processes import Palco
from tests.harness.room import CREATOR, SPEAKER, mint
from tests.page.conftest import Launch
from tests.page.test_stage_live import EAR, HOST_HZ, MEDIA, hears, voice

pytestmark = [pytest.mark.live, pytest.mark.timeout(120)]

SPACE = "page-sdk"

SETTING = """
async ({ speakerToken, listenerToken, space }) => {
  const { Api, Session } = await import("/palco.js");
  const microphone = await navigator.mediaDevices.getUserMedia({ audio: true });
  window.sdk = {
    Session,
    space,
    speaker: new Api({ token: speakerToken }),
    listener: new Api({ token: listenerToken }),
    track: microphone.getAudioTracks()[0],
  };
}
"""


@pytest.fixture
def page(palco: Palco, launch: Launch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A page of the server's origin whose `sdk` holds a microphone and the two ends' tokens."""
    wav = voice(tmp_path_factory.mktemp("sdk") / "voice.wav", HOST_HZ)
    host = mint(palco, "sdk-host", SPACE, **CREATOR)
    headers = {"Authorization": f"Bearer {host}"}
    httpx2.post(f"{palco.url}/v1/spaces", json={"id": SPACE, "title": "By module"}, headers=headers)
    tokens = {
        "speakerToken": mint(palco, "sam", SPACE, **SPEAKER),
        "listenerToken": mint(palco, "lena", SPACE, canSubscribe=True),
        "space": SPACE,
    }
    with ExitStack() as stack:
        browser = launch(*MEDIA, f"--use-file-for-fake-audio-capture={wav}")
        stack.callback(browser.close)
        page = browser.new_page()
        page.add_init_script(path=EAR)
        page.goto(palco.url)
        page.evaluate(SETTING, tokens)
        yield page


def speak_and_listen(page: Page) -> None:
    """WHIP up, WHEP down with the one section of a standard client."""
    page.evaluate("""async () => {
      const speaking = { endpoint: `/whip/${sdk.space}`, sends: true, slots: 0 };
      sdk.up = new sdk.Session(sdk.speaker, speaking, { track: sdk.track });
      await sdk.up.open();
      sdk.down = new sdk.Session(sdk.listener, { endpoint: `/whep/${sdk.space}`, sends: false, slots: 1 });
      await sdk.down.open();
      sdk.element = Object.assign(new Audio(), { srcObject: new MediaStream(sdk.down.tracks) });
      await sdk.element.play();
    }""")
    assert page.evaluate("Promise.all([sdk.up.connected(), sdk.down.connected()])") == [True, True]


def test_whip_is_heard_by_whep(page: Page) -> None:
    speak_and_listen(page)
    assert hears(page, HOST_HZ)


def test_both_ends_are_heard_again_after_an_ice_restart(page: Page) -> None:
    speak_and_listen(page)
    assert hears(page, HOST_HZ)
    page.evaluate("Promise.all([sdk.up.restartIce(), sdk.down.restartIce()])")
    assert page.evaluate("Promise.all([sdk.up.connected(), sdk.down.connected()])") == [True, True]
    assert hears(page, HOST_HZ)


def test_a_closed_session_is_gone_from_the_server(page: Page) -> None:
    speak_and_listen(page)
    page.evaluate("sdk.down.close()")
    code = page.evaluate("""async () => {
      for (;;) {
        try {
          await sdk.listener.request("GET", sdk.down.url);
        } catch (error) {
          return error.code;
        }
      }
    }""")
    assert code == "unknown_session"


@contextmanager
def application(html: str) -> Iterator[str]:
    """The address of a page of somebody's own, on loopback as Palco is.

    Served for real: a page that a test puts in the place of an answer counts as from the open internet, and Chromium
    lets none of those load anything from loopback.
    """

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(f"<!doctype html>{html}".encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base class names it
            pass

    with ThreadingHTTPServer(("localhost", 0), Answer) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://localhost:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


def test_the_readmes_first_example_hears_a_voice_from_another_origin(page: Page, palco: Palco) -> None:
    """As it stands there, with the server's real address and a token."""
    speak_and_listen(page)
    example = re.search(r"```html\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert example
    token = mint(palco, "reader", SPACE, canSubscribe=True)
    html = example[1].replace("https://palco.example", palco.url).replace("evening-talk", SPACE)
    html = html.replace("token })", f"token: {token!r} }})")
    assert page.context.browser
    with application(html) as address:
        reader = page.context.browser.new_page()  # in a profile of its own
        reader.add_init_script(path=EAR)
        reader.goto(address)
        expect(reader.locator("#stage li")).to_have_text(["Sam"])
        assert hears(reader, HOST_HZ)
