"""Other people's WebRTC stacks, each of which speaks a tone, or says which tone it hears. Edge."""

import asyncio
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import imageio_ffmpeg
from av import AudioFrame
from playwright.async_api import Page, async_playwright

from signalling.client import resource, session
from tests.harness import sound
from tests.harness.kernel import why_no_browser

HERE = Path(__file__).parent
LONGEST_S = "300"
"""Seconds after which a client that does not mind its standard input ends, should nobody be left to end it."""

PIECE_S = 0.5
PIECE_BYTES = int(PIECE_S * sound.RATE_HZ) * 2


class Ear:
    """The loudest frequency that a client hears, as it is now."""

    def __init__(self) -> None:
        self.heard_hz = 0.0
        self._changed = asyncio.Condition()

    async def on_heard(self, peak_hz: float) -> None:
        async with self._changed:
            self.heard_hz = peak_hz
            self._changed.notify_all()

    async def hears(self, tone_hz: float, *, tolerance_hz: float, within_s: float) -> float:
        """The frequency as soon as it is right; after `within_s` whatever it is."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s), self._changed:
                await self._changed.wait_for(lambda: abs(self.heard_hz - tone_hz) <= tolerance_hz)
        return self.heard_hz


@dataclass(frozen=True)
class Place:
    """Where a client goes and as whom."""

    url: str
    space: str
    token: str
    page: str
    """The address of page.html, for browsers."""
    directory: Path
    """For files of its own."""

    @property
    def whip(self) -> str:
        return f"{self.url}/whip/{self.space}"

    @property
    def whep(self) -> str:
        return f"{self.url}/whep/{self.space}"


class Client(Protocol):
    """One stack. `missing` says what is not installed here and how to get it; the rest run while their block does."""

    def missing(self) -> str | None: ...
    def speaks(self, place: Place, tone_hz: int) -> AbstractAsyncContextManager[None]: ...
    def hears(self, place: Place) -> AbstractAsyncContextManager[Ear]: ...


@asynccontextmanager
async def running(*argv: str | Path, takes_stdin: bool = True) -> AsyncIterator[asyncio.subprocess.Process]:
    """A driver; its standard input closes at the end, which is its sign to leave."""
    pipe = subprocess.PIPE
    child = await asyncio.create_subprocess_exec(*map(str, argv), stdin=pipe, stdout=pipe, cwd=HERE, limit=1 << 20)
    assert child.stdin is not None
    try:
        yield child
    finally:
        if takes_stdin:
            child.stdin.close()
        else:
            with suppress(ProcessLookupError):
                child.terminate()
        for insist in (child.terminate, child.kill):
            try:
                async with asyncio.timeout(10):
                    await child.communicate()
                break
            except TimeoutError:
                insist()  # by SIGTERM the driver takes its browser along
        else:
            await child.communicate()


@asynccontextmanager
async def fed(feed: Callable[[Ear], Awaitable[None]]) -> AsyncIterator[Ear]:
    """An ear that `feed` tells what it hears for as long as the block runs."""
    ear = Ear()
    task = asyncio.ensure_future(feed(ear))
    try:
        yield ear
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def hearing_pcm(*argv: str | Path) -> AsyncIterator[Ear]:
    """A driver that writes what it hears as PCM."""

    async def feed(ear: Ear) -> None:
        assert child.stdout is not None
        while True:
            await ear.on_heard(sound.peak_hz(sound.read_pcm(await child.stdout.readexactly(PIECE_BYTES))))

    async with running(*argv) as child, fed(feed) as ear:
        yield ear


class Node:
    def missing(self) -> str | None:
        if shutil.which("node") is None:
            return "Node is not installed: apt install nodejs npm"
        if not (HERE / "node_modules" / "@roamhq" / "wrtc").exists():
            return "libwebrtc for Node is not installed: npm ci --prefix tests/interop"
        return None

    @asynccontextmanager
    async def speaks(self, place: Place, tone_hz: int) -> AsyncIterator[None]:
        async with running("node", "node.mjs", "speak", place.whip, place.token, str(tone_hz)):
            yield

    def hears(self, place: Place) -> AbstractAsyncContextManager[Ear]:
        return hearing_pcm("node", "node.mjs", "hear", place.whep, place.token, "0")


class GStreamer:
    python = "/usr/bin/python3"

    def missing(self) -> str | None:
        elements = "('webrtcbin', 'nicesrc', 'opusenc', 'srtpenc')"
        probe = (
            "import gi; gi.require_version('GstWebRTC', '1.0'); from gi.repository import Gst, GstWebRTC; "
            f"Gst.init(None); assert all(Gst.ElementFactory.find(name) for name in {elements})"
        )
        if subprocess.run([self.python, "-c", probe], capture_output=True, check=False).returncode == 0:
            return None
        packages = "python3-gst-1.0 gir1.2-gst-plugins-bad-1.0 gstreamer1.0-nice gstreamer1.0-plugins-{base,good,bad}"
        return f"GStreamer's webrtcbin is not installed: apt install {packages}"

    @asynccontextmanager
    async def speaks(self, place: Place, tone_hz: int) -> AsyncIterator[None]:
        async with running(self.python, "gstreamer.py", "speak", place.whip, place.token, str(tone_hz)):
            yield

    def hears(self, place: Place) -> AbstractAsyncContextManager[Ear]:
        return hearing_pcm(self.python, "gstreamer.py", "hear", place.whep, place.token, "0")


class Ffmpeg:
    """Publishes only: FFmpeg has no WHEP reader."""

    def __init__(self, *flags: str) -> None:
        self._flags = flags

    def missing(self) -> str | None:
        return None

    @asynccontextmanager
    async def speaks(self, place: Place, tone_hz: int) -> AsyncIterator[None]:
        tone = f"sine=frequency={tone_hz}:sample_rate=48000"
        source = ["-loglevel", "error", "-re", "-f", "lavfi", "-t", LONGEST_S, "-i", tone]
        source += ["-ac", "2", "-c:a", "libopus", "-b:a", "64k"]
        target = ["-f", "whip", *self._flags, "-authorization", place.token, place.whip]
        async with running(imageio_ffmpeg.get_ffmpeg_exe(), *source, *target, takes_stdin=False):
            yield

    def hears(self, place: Place) -> AbstractAsyncContextManager[Ear]:
        raise NotImplementedError


class Aiortc:
    """By way of `palco publish`, and of the session that `palco listen` is made of."""

    def missing(self) -> str | None:
        return None

    @asynccontextmanager
    async def speaks(self, place: Place, tone_hz: int) -> AsyncIterator[None]:
        at = ["--url", place.url, "--space", place.space, "--token", place.token]
        argv = [
            sys.executable,
            "-m",
            "signalling",
            "publish",
            "--tone",
            str(tone_hz),
            "--duration",
            f"{LONGEST_S}s",
            *at,
        ]
        async with running(*argv, takes_stdin=False):
            yield

    @asynccontextmanager
    async def hears(self, place: Place) -> AsyncIterator[Ear]:
        async def feed(ear: Ear) -> None:
            pieces: list[bytes] = []
            while True:
                frame = await listening.tracks[0].recv()
                assert isinstance(frame, AudioFrame)
                pieces.append(frame.to_ndarray()[0, :: len(frame.layout.channels)].tobytes())
                if len(pieces) * sound.FRAME >= PIECE_S * sound.RATE_HZ:
                    await ear.on_heard(sound.peak_hz(sound.read_pcm(b"".join(pieces))))
                    pieces.clear()

        at = resource.Place(url=place.url, space=place.space, token=place.token)
        async with session.listen(at) as listening, fed(feed) as ear:
            yield ear


class Firefox:
    def missing(self) -> str | None:
        if shutil.which("firefox-esr") is None and shutil.which("firefox") is None:
            return "Firefox is not installed: apt install firefox-esr"
        if shutil.which("node") is None or not (HERE / "node_modules" / "puppeteer-core").exists():
            return "Firefox's driver is not installed: apt install nodejs npm && npm ci --prefix tests/interop"
        return why_no_browser()

    def _argv(self, mode: str, place: Place, endpoint: str, tone_hz: int) -> list[str]:
        executable = shutil.which("firefox-esr") or shutil.which("firefox") or ""
        return ["node", "firefox.mjs", mode, executable, place.page, endpoint, place.token, str(tone_hz)]

    @asynccontextmanager
    async def speaks(self, place: Place, tone_hz: int) -> AsyncIterator[None]:
        async with running(*self._argv("speak", place, place.whip, tone_hz)):
            yield

    @asynccontextmanager
    async def hears(self, place: Place) -> AsyncIterator[Ear]:
        async def feed(ear: Ear) -> None:
            assert child.stdout is not None
            async for line in child.stdout:
                if line.strip() != b"connected":
                    await ear.on_heard(float(line))

        async with running(*self._argv("hear", place, place.whep, 0)) as child, fed(feed) as ear:
            yield ear


class Chromium:
    """Its microphone is a file, one for each process."""

    executable = "/usr/bin/chromium"

    def __init__(self, *flags: str) -> None:
        self._flags = flags

    def missing(self) -> str | None:
        if not Path(self.executable).exists():
            return "Chromium is not installed: apt install chromium"
        return why_no_browser()

    @asynccontextmanager
    async def speaks(self, place: Place, tone_hz: int) -> AsyncIterator[None]:
        microphone = place.directory / f"tone-{tone_hz}.wav"
        sound.write_wav(microphone, sound.make_tone(tone_hz, 2.0))
        async with self._page(place, f"--use-file-for-fake-audio-capture={microphone}") as page:
            await page.evaluate("([url, token]) => window.speak(url, token)", [place.whip, place.token])
            yield

    @asynccontextmanager
    async def hears(self, place: Place) -> AsyncIterator[Ear]:
        async def feed(ear: Ear) -> None:
            while True:
                await ear.on_heard(float(await page.evaluate("() => window.peakHz()")))
                await page.wait_for_timeout(250)

        async with self._page(place) as page:
            await page.evaluate("([url, token]) => window.hear(url, token)", [place.whep, place.token])
            async with fed(feed) as ear:
                yield ear

    @asynccontextmanager
    async def _page(self, place: Place, *flags: str) -> AsyncIterator[Page]:
        arguments = [
            "--use-fake-ui-for-media-stream",
            "--use-fake-device-for-media-stream",
            "--autoplay-policy=no-user-gesture-required",
            "--allow-loopback-in-peer-connection",
            *self._flags,
            *flags,
        ]
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=self.executable, args=arguments)
            try:
                page = await browser.new_page()
                await page.goto(place.page)
                yield page
            finally:
                await browser.close()
