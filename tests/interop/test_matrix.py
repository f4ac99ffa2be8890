"""Every stack speaks a tone and every stack hears it: what the README says of clients stands here, pair by pair."""

import asyncio
import fcntl
import os

import msgspec
import pytest

from tests.harness.processes import Palco
from tests.interop.clients import Aiortc, Chromium, Client, Ffmpeg, Firefox, GStreamer, Node
from tests.interop.evening import TOLERANCE_HZ, Evening, spend

pytestmark = [pytest.mark.live, pytest.mark.timeout(240)]

SPEAKING: dict[str, tuple[Client, int]] = {
    "chromium": (Chromium(), 500),
    "firefox": (Firefox(), 600),
    "aiortc": (Aiortc(), 700),
    "ffmpeg": (Ffmpeg(), 800),
    "ffmpeg-active": (Ffmpeg("-whip_flags", "dtls_active"), 900),
    "node": (Node(), 1100),
    "gstreamer": (GStreamer(), 1300),
}
"""No tone is another's double, so that a distorted one is not taken for another's."""

HEARING: dict[str, Client] = {
    "chromium": Chromium(),
    "firefox": Firefox(),
    "aiortc": Aiortc(),
    "node": Node(),
    "gstreamer": GStreamer(),
}


@pytest.fixture(scope="module")
def evening(palco: Palco, page: str, tmp_path_factory: pytest.TempPathFactory) -> Evening:
    """All that are installed, once, in one space; parallel test runners share what the first of them found."""

    def run() -> Evening:
        speakers = {name: client for name, client in SPEAKING.items() if client[0].missing() is None}
        listeners = {name: client for name, client in HEARING.items() if client.missing() is None}
        return asyncio.run(spend(palco, speakers, listeners, page=page, directory=tmp_path_factory.mktemp("interop")))

    if "PYTEST_XDIST_TESTRUNUID" not in os.environ:
        return run()
    shared = tmp_path_factory.getbasetemp().parent / f"evening-{os.environ['PYTEST_XDIST_TESTRUNUID']}"
    with shared.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if shared.stat().st_size == 0:
            file.write(msgspec.msgpack.encode(run()))
            file.flush()
        return msgspec.msgpack.decode(shared.read_bytes(), type=Evening)


@pytest.mark.parametrize("listener", HEARING)
@pytest.mark.parametrize("speaker", SPEAKING)
def test_is_heard_by(speaker: str, listener: str, evening: Evening) -> None:
    client, tone_hz = SPEAKING[speaker]
    for missing in (client.missing(), HEARING[listener].missing()):
        if missing:
            pytest.skip(f"NOT TESTED HERE: {missing}")
    heard_hz = evening.heard_hz.get(f"{speaker} by {listener}", 0.0)
    assert heard_hz == pytest.approx(tone_hz, abs=TOLERANCE_HZ), f"{heard_hz} Hz instead of {tone_hz}; {evening.faults}"
