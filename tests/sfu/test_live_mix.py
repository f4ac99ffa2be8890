"""The mix as listeners meet it: an sfu, its mixer processes, and clients with a single section to listen in."""

import itertools
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from sfu.contract.messages import Done, SessionOpened, SetAudience, SetMuted, Speaking
from tests.harness import sound
from tests.harness.choir import is_forwarded, singing, tones
from tests.harness.ledger import Heard
from tests.harness.processes import poll, read_metric
from tests.harness.wire import Manner, WirePeer
from tests.sfu.live_sfu import LiveSfu, answer_of

pytestmark = pytest.mark.live

A, B, C = 440.0, 660.0, 990.0

WITHIN_S = 30.0
"""For a mixer to be started and warm on a busy machine."""

SECOND = 50
"""Packets of 20 ms."""


@pytest.fixture
async def sfu(tmp_path: Path) -> AsyncIterator[LiveSfu]:
    async with LiveSfu(tmp_path, mixer={"processes": 1}) as sfu:
        assert await sfu.signalling.ask(SetAudience("lounge", "mix")) == Done()
        yield sfu


async def until_mixed(listener: WirePeer, *voices: float) -> None:
    """Until half a second in a row was nobody's own packets; at least two must sing, or theirs pass as they are."""
    await _until_recent(listener, lambda packet: not is_forwarded(packet, voices), what="hearing the mix")


async def until_forwarded(listener: WirePeer, *voices: float, packets: int = 25) -> None:
    """Until so many in a row were somebody's own."""
    what = "hearing forwarded packets"
    await _until_recent(listener, lambda packet: is_forwarded(packet, voices), what=what, packets=packets)


async def _until_recent(listener: WirePeer, holds: Callable[[Heard], bool], *, what: str, packets: int = 25) -> None:
    since = len(listener.ledger.heard)

    def do() -> bool:
        recent = listener.ledger.heard[since:][-packets:]
        return len(recent) == packets and all(holds(packet) for packet in recent)

    await listener.until(do, what=what, within_s=WITHIN_S)


async def next_second(listener: WirePeer) -> list[Heard]:
    """What it hears from now on for as long."""
    since = len(listener.ledger.heard)
    await listener.until(lambda: len(listener.ledger.heard) >= since + SECOND, what="hearing a second")
    return listener.ledger.heard[since : since + SECOND]


def mixers_of(sfu: LiveSfu) -> list[int]:
    """Process ids of the sfu's children."""
    pid = sfu.process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def test_two_voices_are_one_stream_and_several_sections_still_get_them_apart(sfu: LiveSfu) -> None:
    ana, ben = await sfu.join("ana", "whip"), await sfu.join("ben", "whip")
    cem, dan = await sfu.join("cem", "whep"), await sfu.join("dan", "whep", sections=2)
    async with singing((ana, A), (ben, B)):
        await until_mixed(cem, A, B)
        assert tones(await next_second(cem), [A, B, C]) == {A, B}
        assert all(is_forwarded(packet, [A, B]) for packet in dan.ledger.heard)
        since = len(dan.ledger.heard)
        await next_second(dan)
        apart = {packet.packet.ssrc for packet in dan.ledger.heard[since:]}
        assert len(apart) == 2
    assert len(cem.ledger.slots()) == 1
    assert not cem.ledger.breaks()


async def test_the_muted_are_absent_from_the_mix_when_the_mute_is_done(sfu: LiveSfu) -> None:
    ana, ben, cem = await sfu.join("ana", "whip"), await sfu.join("ben", "whip"), await sfu.join("cem", "whep")
    async with singing((ana, A), (ben, B)):
        await until_mixed(cem, A, B)
        assert await sfu.signalling.ask(SetMuted("lounge", ["ana"], is_muted=True)) == Done()
        # The frame in which she fades out, 2.5 ms of it, may still be on its way.
        second = await next_second(cem)
        assert tones(second[2:], [A, B]) == {B}
        assert await sfu.signalling.ask(SetMuted("lounge", ["ana"], is_muted=False)) == Done()
        await until_mixed(cem, A, B)
        assert tones(await next_second(cem), [A, B]) == {A, B}
    assert not cem.ledger.breaks()


async def test_the_audience_is_switched_live_in_one_unbroken_stream(sfu: LiveSfu) -> None:
    ana, ben, cem = await sfu.join("ana", "whip"), await sfu.join("ben", "whip"), await sfu.join("cem", "whep")
    async with singing((ana, A), (ben, B)):
        await until_mixed(cem, A, B)
        await sfu.signalling.ask(SetAudience("lounge", "forward"))
        await until_forwarded(cem, A, B)
        assert len(tones(await next_second(cem), [A, B])) == 1
        await sfu.signalling.ask(SetAudience("lounge", "mix"))
        await until_mixed(cem, A, B)
        assert tones(await next_second(cem), [A, B]) == {A, B}
    assert len(cem.ledger.slots()) == 1
    assert not cem.ledger.breaks()


@pytest.mark.parametrize("fate", ["killed", "stopped"])
async def test_without_its_mixer_a_space_is_forwarded_and_returns_to_the_mix_unbroken(sfu: LiveSfu, fate: str) -> None:
    ana, ben, cem = await sfu.join("ana", "whip"), await sfu.join("ben", "whip"), await sfu.join("cem", "whep")
    async with singing((ana, A), (ben, B)):
        await until_mixed(cem, A, B)
        (mixer,) = mixers_of(sfu)
        os.kill(mixer, signal.SIGKILL if fate == "killed" else signal.SIGSTOP)
        await until_forwarded(cem, A, B, packets=5)  # another mixer can be there within half a second
        if fate == "stopped":
            os.kill(mixer, signal.SIGCONT)
        await until_mixed(cem, A, B)
        assert tones(await next_second(cem), [A, B]) == {A, B}
    assert len(cem.ledger.slots()) == 1
    assert not cem.ledger.breaks()
    url = f"http://127.0.0.1:{sfu.metrics_port}/metrics"
    reason = "died" if fate == "killed" else "hung"
    # On a busy machine a mixer that is only kept waiting is taken for a hung one, too: the space is better off without.
    assert read_metric(url, "palco_sfu_mixer_fallbacks_total", {"reason": reason}) >= 1
    assert read_metric(url, "palco_sfu_mixer_restarts_total", {}) == (1 if fate == "killed" else 0)
    assert read_metric(url, "palco_sfu_mixer_frames_total", {"source": "mix"}) > 0


async def test_nobody_hears_itself_in_a_mix(sfu: LiveSfu) -> None:
    """Ana has one session both ways, ben a plain pair of WHIP and WHEP, cem only listens."""
    ana = await sfu.join("ana", "stage", sections=1)
    ben = await sfu.join("ben", "whip")
    ben_hears = await sfu.peer("ben", Manner(sections=["recvonly"]))
    opened = await sfu.open(ben_hears, "whep", session="ben-hears")
    assert isinstance(opened, SessionOpened)
    await ben_hears.connect(answer_of(opened, ben_hears))
    cem = await sfu.join("cem", "whep")
    eve = await sfu.join("eve", "whip")
    async with singing((ana, A), (ben, B), (eve, C)):
        for listener in (ana, ben_hears, cem):
            await until_mixed(listener, A, B, C)
        assert tones(await next_second(cem), [A, B, C]) == {A, B, C}
        assert tones(await next_second(ana), [A, B, C]) == {B, C}
        assert tones(await next_second(ben_hears), [A, B, C]) == {A, C}
    for listener in (ana, ben_hears, cem):
        assert not listener.ledger.breaks()


async def test_ten_voices_at_once_are_all_heard(sfu: LiveSfu) -> None:
    voices = [300.0 + 170.0 * number for number in range(10)]
    speakers = [await sfu.join(f"speaker-{number}", "whip") for number in range(10)]
    cem = await sfu.join("cem", "whep")
    async with singing(*zip(speakers, voices, strict=True)):
        await until_mixed(cem, *voices)
        assert tones(await next_second(cem), voices) == set(voices)
    assert not cem.ledger.breaks()


async def test_a_voice_that_does_not_say_how_loud_it_is_is_measured(sfu: LiveSfu) -> None:
    """Hers are as large as any voice's packets: only who decodes them knows that there is next to nothing in them."""
    await sfu.signalling.ask(SetAudience("lounge", "forward"))
    ana = await sfu.join("ana", "whip", level_extension=0)
    whisper = sound.encode_opus(sound.make_tone(A, 4.0) * 0.001)[100:]
    assert min(map(len, whisper)) > 10
    async with ana.speaking(payloads=itertools.cycle(whisper)):
        await sfu.signalling.hears(Speaking, voices=[("ana", -35)])
        await sfu.signalling.hears(Speaking, voices=[])
    async with singing((ana, A)):
        loud = await sfu.signalling.hears(Speaking, such_that=lambda said: any(level > -30 for _, level in said.voices))
    assert [identity for identity, _ in loud.voices] == ["ana"]


async def test_without_a_listener_there_is_no_mixer(sfu: LiveSfu) -> None:
    await sfu.join("ana", "whip")
    await sfu.join("dan", "whep", sections=2)
    assert mixers_of(sfu) == []
    await sfu.join("cem", "whep")
    poll(lambda: len(mixers_of(sfu)) == 1, what="a mixer", within_s=WITHIN_S)
