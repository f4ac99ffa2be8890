"""Stand-ins for the data plane and the mixers that write down what they are told and say what a test puts into their
mouths."""

import itertools
import os
from collections.abc import Callable, Sequence
from typing import Any, cast

from sfu._dataplane import Dataplane
from sfu.audio.contract import Settings, Taps


class StandIn:
    """Ids are handed out from 1; barriers are held back until `apply`."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []
        self.dtls: list[tuple[int, bytes]] = []
        self.breaks_on: str | None = None
        """The name of a call that raises, as a bug of ours would."""
        self.breaks_with: Exception | None = None
        self.on_call: Callable[[str], None] = lambda _: None
        """Hears the name of every call."""
        self.forwarded = {"forward_le_1ms": 0, "forward_le_inf": 0}
        """What its one worker has counted."""
        self._ids = itertools.count(1)
        self._tickets = itertools.count(1)
        self._pending: list[int] = []
        self._events: list[Any] = []
        self._eventfd = os.eventfd(0, os.EFD_NONBLOCK)

    @property
    def face(self) -> Dataplane:
        return cast(Dataplane, self)

    def told(self, name: str) -> list[Any]:
        """The arguments of every call of `name`, in order."""
        return [arguments for called, arguments in self.calls if called == name]

    def tell(self, *event: object) -> None:
        self._events.append(event)
        os.eventfd_write(self._eventfd, 1)

    def apply(self) -> None:
        """Says that everything so far is in force."""
        pending, self._pending = self._pending, []
        for ticket in pending:
            self.tell("applied", ticket)

    # The face

    def fileno(self) -> int:
        return self._eventfd

    def events(self) -> list[Any]:
        os.eventfd_read(self._eventfd)
        events, self._events = self._events, []
        return events

    def close(self) -> None:
        self._write("close")
        os.close(self._eventfd)

    def barrier(self) -> int:
        self._pending.append(ticket := next(self._tickets))
        return ticket

    def counters(self) -> list[dict[str, int]]:
        return [dict(self.forwarded)]

    def create_peer(self, worker: int, *, ufrag: str, pwd: str) -> int:
        return self._make("create_peer", worker, ufrag, pwd)

    def restart_ice(self, peer: int, *, ufrag: str, pwd: str) -> None:
        self._write("restart_ice", peer, ufrag, pwd)

    def remove_peer(self, peer: int) -> None:
        self._write("remove_peer", peer)

    def send_dtls(self, peer: int, datagrams: Sequence[bytes]) -> None:
        self._write("send_dtls", peer)
        self.dtls += [(peer, datagram) for datagram in datagrams]

    def set_srtp(self, peer: int, *, profile: int, receive_key: bytes, send_key: bytes) -> None:
        self._write("set_srtp", peer, profile, receive_key, send_key)

    def create_stage(self) -> int:
        return self._make("create_stage")

    def remove_stage(self, stage: int) -> None:
        self._write("remove_stage", stage)

    def add_track(self, peer: int, stage: int, **negotiated: object) -> int:
        return self._make("add_track", peer, stage, negotiated)

    def set_gate(self, track: int, *, is_open: bool) -> None:
        self._write("set_gate", track, is_open)

    def set_level(self, track: int, *, level: int) -> None:
        self._write("set_level", track, level)

    def remove_track(self, track: int) -> None:
        self._write("remove_track", track)

    def add_slot(self, peer: int, **negotiated: object) -> int:
        return self._make("add_slot", peer, negotiated)

    def follow(self, peer: int, stage: int, *, excluding: int | None = None, packet_ms: int = 20) -> None:
        self._write("follow", peer, stage, excluding, packet_ms)

    def follow_track(self, peer: int, track: int, *, packet_ms: int = 20) -> None:
        self._write("follow_track", peer, track, packet_ms)

    def replace_track(self, track: int, stage: int, *, excluding: int | None = None) -> int:
        self._write("replace_track", track, stage, excluding)
        return 0

    def replace_loudest(self, stage: int, track: int, *, excluding: int | None = None) -> int:
        self._write("replace_loudest", stage, track, excluding)
        return 0

    def open_tap(self, stage: int, *, receive_at: str | None, send_to: str | None) -> int:
        return self._make("open_tap", stage, receive_at, send_to)

    def add_tap_track(self, tap: int, *, ssrc: int, is_open: bool) -> int:
        return self._make("add_tap_track", tap, ssrc, is_open)

    def close_tap(self, tap: int) -> None:
        self._write("close_tap", tap)

    def _make(self, name: str, *arguments: object) -> int:
        self._write(name, *arguments)
        return next(self._ids)

    def _write(self, name: str, *arguments: object) -> None:
        if name == self.breaks_on:
            self.breaks_on = None
            raise self.breaks_with or RuntimeError(f"{name} broke, as the test wished")
        self.on_call(name)
        self.calls.append((name, arguments))


class StandInMixers:
    """Mixer processes that mix one space once a test has said so, and obey when it says so. SSRCs begin at 100."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []
        self.on_call: Callable[[str], None] = lambda _: None
        """As of `StandIn`."""
        self._programs: dict[int | None, int] = {}
        self._last_ssrc = 99
        self._announce: Callable[[str, dict[int | None, int]], None] | None = None
        self._waiting: list[Callable[[], None]] = []

    def told(self, name: str) -> list[Any]:
        """As of `StandIn`."""
        return [arguments for called, arguments in self.calls if called == name]

    def mix(self, space: str, announce: Callable[[str, dict[int | None, int]], None]) -> None:
        """As a process that is warm does: with SSRCs of its own, and again when a mix is added."""
        self._announce = announce
        for without in self._programs:
            self._programs[without] = self._draw_ssrc()
        announce(space, dict(self._programs))

    def _draw_ssrc(self) -> int:
        self._last_ssrc += 1
        return self._last_ssrc

    def obey(self) -> None:
        """Says that everything so far is obeyed."""
        waiting, self._waiting = self._waiting, []
        for proceed in waiting:
            proceed()

    # The face

    def open_space(self, space: str, settings: Settings) -> Taps:
        self._write("open_space", space, settings)
        return Taps(mixer="/mixer", sfu="/sfu")

    def close_space(self, space: str) -> None:
        self._write("close_space", space)

    def set_voice(self, space: str, ssrc: int, *, is_open: bool) -> None:
        self._write("set_voice", space, ssrc, is_open)

    def remove_voice(self, space: str, ssrc: int) -> None:
        self._write("remove_voice", space, ssrc)

    def add_audience(self, space: str, *, without: int | None) -> None:
        self._write("add_audience", space, without)
        self._programs[without] = self._draw_ssrc()
        if self._announce is not None:
            self._announce(space, dict(self._programs))

    def remove_audience(self, space: str, *, without: int | None) -> None:
        self._write("remove_audience", space, without)
        del self._programs[without]

    def when_obeyed(self, space: str, proceed: Callable[[], None]) -> None:
        self._write("when_obeyed", space)
        self._waiting.append(proceed)

    def _write(self, name: str, *arguments: object) -> None:
        self.on_call(name)
        self.calls.append((name, arguments))
