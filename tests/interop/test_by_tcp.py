"""A browser that may not use UDP is a full participant by TCP (RFC 6544)."""

import asyncio
from pathlib import Path

import httpx2
import pytest

from tests.harness.processes import Palco, take_port
from tests.interop.clients import Chromium
from tests.interop.evening import TOLERANCE_HZ, spend

pytestmark = [pytest.mark.live, pytest.mark.timeout(240)]

TONE_HZ = 500
NO_UDP = "--webrtc-ip-handling-policy=disable_non_proxied_udp"
"""What an administrator sets where a network lets no UDP through: Chromium then opens no UDP port at all."""


def test_chromium_without_udp_speaks_and_hears(page: str, tmp_path: Path) -> None:
    if missing := Chromium().missing():
        pytest.skip(f"NOT TESTED HERE: {missing}")
    palco = Palco(tmp_path, overrides={"rtc": {"tcp_port": take_port()}})
    palco.start()
    try:
        speaker, listener = Chromium(NO_UDP), Chromium(NO_UDP)
        meeting = spend(palco, {"ana": (speaker, TONE_HZ)}, {"ben": listener}, page=page, directory=tmp_path)
        evening = asyncio.run(meeting)
        metrics = httpx2.get(f"http://127.0.0.1:{palco.sfu_metrics}/metrics").text
    finally:
        palco.stop()
    assert evening.heard_hz.get("ana by ben") == pytest.approx(TONE_HZ, abs=TOLERANCE_HZ), evening.faults
    assert sent(metrics, "palco_sfu_tcp_datagrams_total") > 0
    assert sent(metrics, "palco_sfu_datagrams_total") == 0


def sent(metrics: str, name: str) -> float:
    """By all workers."""
    lines = (line for line in metrics.splitlines() if line.startswith(f"{name}{{") and 'direction="out"' in line)
    return sum(float(line.split()[-1]) for line in lines)
