"""Every stack speaks a tone and every other one hears it: what is said of clients in the README stands here."""

import asyncio
import functools
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.harness import sound
from tests.harness.processes import Palco
from tests.harness.room import LISTENER, SPEAKER, Room
from tests.harness.wire import FRAME_S, WirePeer
from tests.interop.clients import HERE, Aiortc, Chromium, Client, Ffmpeg, Firefox, GStreamer, IsRight, Node, Place

pytestmark = [pytest.mark.live, pytest.mark.timeout(110)]

WITHIN_S = 60.0
"""A browser starts in two seconds alone and in ten beside the rest of the tests."""

SPEAKING: dict[str, tuple[Client, int]] = {
    "chromium": (Chromium(), 500),
    "firefox": (Firefox(), 600),
    "aiortc": (Aiortc(), 700),
    "ffmpeg": (Ffmpeg(), 800),
    "ffmpeg-active": (Ffmpeg("-whip_flags", "dtls_active"), 900),
    "node": (Node(), 1000),
    "gstreamer": (GStreamer(), 1100),
}
"""Tones that are no multiples of one another within the list's neighbours, far above a bin of any of the analyses."""

HEARING: dict[str, Client] = {
    "chromium": Chromium(),
    "firefox": Firefox(),
    "aiortc": Aiortc(),
    "node": Node(),
    "gstreamer": GStreamer(),
}

TOLERANCE_HZ = 8.0
"""The coarsest analysis, half a second of PCM or 16,384 points, has bins of 3 Hz; a peak may be one bin off."""


@pytest.fixture(scope="module")
def page() -> Iterator[str]:
    """page.html on an origin of its own, so that browsers need what the server says about CORS."""
    handler = functools.partial(_Quiet, directory=str(HERE))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}/page.html"
        server.shutdown()


@pytest.mark.parametrize("name", SPEAKING)
async def test_speaks_and_everyone_hears_it(name: str, palco: Palco, page: str, tmp_path: Path) -> None:
    client, tone_hz = SPEAKING[name]
    _require(client)
    async with Room(palco) as room:
        place = _place(room, page, tmp_path, name, speaks=True)
        listeners = {who: stack for who, stack in HEARING.items() if stack.missing() is None}
        async with client.speaks(place, tone_hz), asyncio.timeout(WITHIN_S):
            ear = await room.listener("ear")
            await _ear_hears(ear.peer, tone_hz)
            hearing = [
                _hears(stack, _place(room, page, tmp_path, who, speaks=False), tone_hz)
                for who, stack in listeners.items()
            ]
            heard = dict(zip(listeners, await asyncio.gather(*hearing), strict=True))
    assert heard == {who: pytest.approx(tone_hz, abs=TOLERANCE_HZ) for who in listeners}


@pytest.mark.parametrize("name", HEARING)
async def test_hears(name: str, palco: Palco, page: str, tmp_path: Path) -> None:
    """A tone that the test client speaks; so that a stack that only hears, or is the only one here, is tested too."""
    client, tone_hz = HEARING[name], 440
    _require(client)
    payloads = sound.encode_opus(sound.make_tone(tone_hz, 10.0))
    async with Room(palco) as room:
        mouth = await room.speaker("mouth")
        singing = asyncio.create_task(_sing(mouth.peer, payloads))
        async with asyncio.timeout(WITHIN_S):
            heard_hz = await client.hears(_place(room, page, tmp_path, name, speaks=False), _is(tone_hz))
        singing.cancel()
    assert heard_hz == pytest.approx(tone_hz, abs=TOLERANCE_HZ)


def _require(client: Client) -> None:
    if missing := client.missing():
        pytest.skip(f"NOT TESTED HERE: {missing}")


def _is(tone_hz: float) -> IsRight:
    return lambda peak_hz: abs(peak_hz - tone_hz) <= TOLERANCE_HZ


def _place(room: Room, page: str, directory: Path, who: str, *, speaks: bool) -> Place:
    identity = f"{who}-{'speaker' if speaks else 'listener'}"
    own = directory / identity
    own.mkdir()
    token = room.token(identity, **(SPEAKER if speaks else LISTENER))
    return Place(url=room.palco.url, space=room.space, token=token, page=page, directory=own)


async def _hears(client: Client, place: Place, tone_hz: float) -> float:
    """What it hears, or 0 where it does not hear the tone in time: the whole row is of interest, not its first gap."""
    try:
        async with asyncio.timeout(WITHIN_S / 2):
            return await client.hears(place, _is(tone_hz))
    except TimeoutError:
        return 0.0


async def _ear_hears(ear: WirePeer, tone_hz: float) -> None:
    def hears() -> bool:
        recent = [heard.packet.payload for heard in ear.ledger.heard[-50:]]
        return len(recent) == 50 and _is(tone_hz)(sound.peak_hz(sound.decode_opus(recent)[4800:]))

    await ear.until(hears, what=f"a second of a tone of {tone_hz} Hz", within_s=WITHIN_S / 2)
    assert not ear.dropped


async def _sing(mouth: WirePeer, payloads: list[bytes]) -> None:
    """Over and over; the seam is heard as a click, which moves no peak."""
    loop = asyncio.get_running_loop()
    due_s = loop.time()
    while True:
        for payload in payloads:
            mouth.say(payload=payload)
            due_s += FRAME_S
            await asyncio.sleep(max(0.0, due_s - loop.time()))


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Says nothing."""
