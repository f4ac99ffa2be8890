"""Other people's WebRTC stacks, each of which speaks a tone, or says which tone it hears. Edge."""

import asyncio
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import imageio_ffmpeg
from playwright.async_api import Page, async_playwright

from tests.harness import sound

HERE = Path(__file__).parent
PIECE_S = 0.5
PIECE_BYTES = int(PIECE_S * sound.RATE_HZ) * 2

IsRight = Callable[[float], bool]


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
    """One stack. `missing` says what is not installed here and how to get it."""

    def missing(self) -> str | None: ...
    def speaks(self, place: Place, tone_hz: int) -> AbstractAsyncContextManager[None]: ...
    async def hears(self, place: Place, is_right: IsRight) -> float:
        """The loudest frequency, as soon as it is right; runs on until then."""
        ...


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


async def first_right(child: asyncio.subprocess.Process, is_right: IsRight) -> float:
    """Reads PCM from a driver half a second at a time until the loudest frequency is right."""
    assert child.stdout is not None
    while True:
        piece = await child.stdout.readexactly(PIECE_BYTES)
        peak_hz = sound.peak_hz(sound.read_pcm(piece))
        if is_right(peak_hz):
            return peak_hz


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

    async def hears(self, place: Place, is_right: IsRight) -> float:
        async with running("node", "node.mjs", "hear", place.whep, place.token, "0") as child:
            return await first_right(child, is_right)


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

    async def hears(self, place: Place, is_right: IsRight) -> float:
        async with running(self.python, "gstreamer.py", "hear", place.whep, place.token, "0") as child:
            return await first_right(child, is_right)


class Ffmpeg:
    """Publishes only: FFmpeg has no WHEP reader."""

    def __init__(self, *flags: str) -> None:
        self._flags = flags

    def missing(self) -> str | None:
        return None

    @asynccontextmanager
    async def speaks(self, place: Place, tone_hz: int) -> AsyncIterator[None]:
        tone = f"sine=frequency={tone_hz}:sample_rate=48000"
        source = ["-loglevel", "error", "-re", "-f", "lavfi", "-i", tone, "-ac", "2", "-c:a", "libopus", "-b:a", "64k"]
        target = ["-f", "whip", *self._flags, "-authorization", place.token, place.whip]
        async with running(imageio_ffmpeg.get_ffmpeg_exe(), *source, *target, takes_stdin=False):
            yield

    async def hears(self, place: Place, is_right: IsRight) -> float:
        raise NotImplementedError


class Aiortc:
    """By way of Palco's own `palco publish` and `palco listen`."""

    def missing(self) -> str | None:
        return None

    @asynccontextmanager
    async def speaks(self, place: Place, tone_hz: int) -> AsyncIterator[None]:
        at = ["--url", place.url, "--space", place.space, "--token", place.token]
        argv = [sys.executable, "-m", "signalling", "publish", "--tone", str(tone_hz), *at]
        async with running(*argv, takes_stdin=False):
            yield

    async def hears(self, place: Place, is_right: IsRight) -> float:
        recording = place.directory / "heard.wav"
        at = ["--url", place.url, "--space", place.space, "--token", place.token]
        argv = [sys.executable, "-m", "signalling", "listen", "-o", str(recording), "--duration", "4s", *at]
        while True:
            async with running(*argv, takes_stdin=False) as child:
                await child.wait()
            peak_hz = sound.peak_hz(sound.read_sound(recording)[-sound.RATE_HZ :])
            if is_right(peak_hz):
                return peak_hz


class Firefox:
    def missing(self) -> str | None:
        if shutil.which("firefox-esr") is None and shutil.which("firefox") is None:
            return "Firefox is not installed: apt install firefox-esr"
        if shutil.which("node") is None or not (HERE / "node_modules" / "puppeteer-core").exists():
            return "Firefox's driver is not installed: apt install nodejs npm && npm ci --prefix tests/interop"
        return None

    def _argv(self, mode: str, place: Place, endpoint: str, tone_hz: int) -> list[str]:
        executable = shutil.which("firefox-esr") or shutil.which("firefox") or ""
        return ["node", "firefox.mjs", mode, executable, place.page, endpoint, place.token, str(tone_hz)]

    @asynccontextmanager
    async def speaks(self, place: Place, tone_hz: int) -> AsyncIterator[None]:
        async with running(*self._argv("speak", place, place.whip, tone_hz)):
            yield

    async def hears(self, place: Place, is_right: IsRight) -> float:
        async with running(*self._argv("hear", place, place.whep, 0)) as child:
            assert child.stdout is not None
            async for line in child.stdout:
                if line.strip() != b"connected" and is_right(float(line)):
                    return float(line)
        raise AssertionError("Firefox ended by itself")


class Chromium:
    """Its microphone is a file, one for each process."""

    executable = "/usr/bin/chromium"

    def missing(self) -> str | None:
        return None if Path(self.executable).exists() else "Chromium is not installed: apt install chromium"

    @asynccontextmanager
    async def speaks(self, place: Place, tone_hz: int) -> AsyncIterator[None]:
        microphone = place.directory / f"tone-{tone_hz}.wav"
        sound.write_wav(microphone, sound.make_tone(tone_hz, 2.0))
        async with self._page(place, f"--use-file-for-fake-audio-capture={microphone}") as page:
            await page.evaluate("([url, token]) => window.speak(url, token)", [place.whip, place.token])
            yield

    async def hears(self, place: Place, is_right: IsRight) -> float:
        async with self._page(place) as page:
            await page.evaluate("([url, token]) => window.hear(url, token)", [place.whep, place.token])
            while True:
                peak_hz = float(await page.evaluate("() => window.peakHz()"))
                if is_right(peak_hz):
                    return peak_hz
                await page.wait_for_timeout(100)

    @asynccontextmanager
    async def _page(self, place: Place, *flags: str) -> AsyncIterator[Page]:
        arguments = [
            "--use-fake-ui-for-media-stream",
            "--use-fake-device-for-media-stream",
            "--autoplay-policy=no-user-gesture-required",
            "--allow-loopback-in-peer-connection",
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
