"""People whose network lets no UDP through to us: browsers that may use nothing but a relay, and a real coturn."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.harness.coturn import Coturn, coturn
from tests.harness.processes import Palco
from tests.harness.room import LISTENER, SPEAKER
from tests.page.conftest import Launch, launch
from tests.page.test_stage_live import HOST_HZ, MEDIA, Evening, hears, step_up, voice

pytestmark = [pytest.mark.live, pytest.mark.timeout(180)]

__all__ = ["launch"]

RELAY_ONLY = """
const Plain = RTCPeerConnection;
window.peers = [];
window.RTCPeerConnection = class extends Plain {
  constructor(configuration) {
    super({ ...configuration, iceTransportPolicy: "relay" });
    window.peers.push(this);
  }
};
"""
"""The page is as it is served; the browser under it may not send to the sfu."""

PAIRS = """
async () => {
  const found = [];
  for (const peer of window.peers) {
    const report = await peer.getStats();
    for (const entry of report.values()) {
      if (entry.type !== "candidate-pair" || entry.state !== "succeeded" || !entry.nominated) continue;
      const local = report.get(entry.localCandidateId);
      found.push({ type: local.candidateType, by: local.relayProtocol, sent: entry.bytesSent, url: local.url });
    }
  }
  return found;
}
"""


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[Coturn]:
    with coturn(tmp_path) as server:
        yield server


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
def test_a_browser_that_may_use_only_the_relay_speaks_and_is_heard(
    protocol: str, relay: Coturn, make_palco: Callable[..., Palco], launch: Launch, tmp_path: Path
) -> None:
    turn = {"host": "127.0.0.1", "port": relay.port, "protocol": protocol, "secret": relay.secret}
    palco = make_palco(rtc={"turn_servers": [turn]})
    microphone = f"--use-file-for-fake-audio-capture={voice(tmp_path / 'voice.wav', HOST_HZ)}"
    with ExitStack() as stack:
        evening = Evening(palco, f"turn-{protocol}", stack)
        speaker = relayed(evening, launch(*MEDIA, microphone), "ana", SPEAKER)
        listener = relayed(evening, launch(*MEDIA), "ben", LISTENER)
        step_up(speaker)
        assert hears(listener, HOST_HZ)
        paths = [path for page in (speaker, listener) for path in page.evaluate(PAIRS)]
        assert {(path["type"], path["by"]) for path in paths} == {("relay", protocol)}
        assert len(paths) >= 2
    assert evening.faults == []
    sessions = {line["session"] for line in palco.signalling.happenings() if line["event"] == "joined"}
    users = set(re.findall(r"username=<\d+:([\w-]{8})>", relay.log))
    assert users
    assert users <= sessions  # one person can be followed from our log into the relay's


def relayed(evening: Evening, browser: Browser, identity: str, grants: dict[str, bool]) -> Page:
    """Somebody who comes by the page as it is served, in a browser that may not send to the sfu."""
    return evening.enter(browser, identity, grants, before=RELAY_ONLY)
