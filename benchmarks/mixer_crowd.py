"""A crowd that speaks into mixers' taps and listens to what comes back, in a process of its own. Edge.

A plain loop: what is due is sent, what is there is read and dated. It must not be slower than what it measures.
"""

import contextlib
import select
import socket
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

import numpy as np

from benchmarks.mixer_sources import FRAME, FRAME_S, SPEAKER, decode, encode, find, make_opus, read_voices
from sfu.audio import rtp
from sfu.audio.contract import Taps

LOOKED_AT = 10
"""Spaces of which each packet is remembered."""

IDLE = b"\xf8\xff\xfe"
"""A silent microphone's packet: CELT, 20 ms."""


@dataclass
class Space:
    taps: Taps
    talking: list[list[bytes]]
    idle: int
    starts_s: list[float]
    socket: socket.socket
    sent: list[dict[int, float]] = field(default_factory=list)
    """When, by place; one for each who talks."""
    heard: list[tuple[float, rtp.Packet]] = field(default_factory=list)


@dataclass(frozen=True)
class Report:
    latencies_s: list[float]
    refused: int
    """Packets for which a tap had no room."""
    behind_s: float
    """By how much the crowd was late at the worst: near or above a frame, it measured itself."""


def run(taps: list[Taps], *, talking: int, idle: int, warm_s: float, seconds: float, to: Connection) -> None:
    """Opens the sfu's ends, says so, waits for the word, speaks, and sends its Report."""
    opus = make_opus()
    recordings = [encode(voice, SPEAKER, opus=opus) for voice in read_voices()]
    spaces = [_open(number, each, recordings, talking, idle) for number, each in enumerate(taps)]
    to.send("ready")
    to.recv()
    began_s = time.monotonic()
    refused, behind_s = _speak(spaces, began_s, warm_s + seconds)
    looked_at = [_latencies(space, began_s + warm_s) for space in spaces[:LOOKED_AT]]
    to.send(Report([each for latencies in looked_at for each in latencies], refused, behind_s))


def _open(number: int, taps: Taps, recordings: list[list[bytes]], talking: int, idle: int) -> Space:
    tap = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    tap.bind(taps.sfu)
    return Space(
        taps=taps,
        talking=[recordings[(number + voice) % len(recordings)] for voice in range(talking)],
        idle=idle,
        starts_s=[((number * 7 + voice * 3) % 20) / 1000 for voice in range(talking + idle)],
        socket=tap,
        sent=[{} for _ in range(talking)],
    )


def _speak(spaces: list[Space], began_s: float, seconds: float) -> tuple[int, float]:
    poll = select.epoll()
    by_descriptor = {space.socket.fileno(): space for space in spaces}
    for descriptor in by_descriptor:
        poll.register(descriptor, select.EPOLLIN)
    order = sorted(
        (start_s, n, voice) for n, space in enumerate(spaces) for voice, start_s in enumerate(space.starts_s)
    )
    refused, behind_s = 0, 0.0
    for place in range(int(seconds / FRAME_S)):
        for start_s, number, voice in order:
            due_s = began_s + place * FRAME_S + start_s
            while (wait_s := due_s - time.monotonic()) > 0:
                _hear(poll.poll(wait_s), by_descriptor)
            behind_s = max(behind_s, -wait_s)
            refused += not _send(spaces[number], number, voice, place)
        _hear(poll.poll(0), by_descriptor)
    return refused, behind_s


def _hear(ready: list[tuple[int, int]], by_descriptor: dict[int, Space]) -> None:
    for descriptor, _ in ready:
        space = by_descriptor[descriptor]
        with contextlib.suppress(BlockingIOError):
            while (packet := rtp.parse(space.socket.recv(2048))) is not None:
                space.heard.append((time.monotonic(), packet))


def _send(space: Space, number: int, voice: int, place: int) -> bool:
    is_idle = voice >= len(space.talking)
    packet = rtp.Packet(
        payload_type=111,
        sequence=place & 0xFFFF,
        timestamp=place * FRAME,
        ssrc=voice + 1,
        payload=IDLE if is_idle else space.talking[voice][place % len(space.talking[voice])],
        level_dbov=-127 if is_idle else None,
    )
    if not is_idle and number < LOOKED_AT:
        space.sent[voice][place] = time.monotonic()
    try:
        space.socket.sendto(rtp.build(packet, is_first=False), space.taps.mixer)
    except (BlockingIOError, FileNotFoundError, ConnectionRefusedError):
        return False
    return True


def _latencies(space: Space, from_s: float) -> list[float]:
    heard = [(at_s, packet) for at_s, packet in space.heard if at_s > from_s]
    return _by_payload(space, heard) if len(space.talking) == 1 else _by_sound(space, heard)


def _by_payload(space: Space, heard: list[tuple[float, rtp.Packet]]) -> list[float]:
    """A recording repeats itself: the latest time that a payload was sent is meant."""
    sent: dict[bytes, list[float]] = {}
    for place, sent_s in space.sent[0].items():
        sent.setdefault(space.talking[0][place % len(space.talking[0])], []).append(sent_s)
    found = []
    for at_s, packet in heard:
        before = [sent_s for sent_s in sent.get(packet.payload, []) if sent_s < at_s]
        if before:
            found.append(at_s - max(before))
    return found


def _by_sound(space: Space, heard: list[tuple[float, rtp.Packet]]) -> list[float]:
    """Two seconds of the first voice in the mix: the packet that ends with what the speaker's packet ended with."""
    opus = make_opus()
    out = decode([packet.payload for _, packet in heard], opus=opus)
    recording = space.talking[0]
    first = min(place for place, sent_s in space.sent[0].items() if sent_s > heard[25][0])
    piece = [recording[place % len(recording)] for place in range(first - 25, first + 100)]
    at = find(decode(piece, opus=opus)[25 * FRAME :], out[: 250 * FRAME])
    packets = range(round(at / FRAME), len(heard))
    places = range(first, first + 100)
    return [heard[packet][0] - space.sent[0][place] for packet, place in zip(packets, places, strict=False)]


def percentile_ms(latencies_s: list[float], percent: float) -> float:
    return float(np.percentile(latencies_s, percent)) * 1000 if latencies_s else float("nan")
