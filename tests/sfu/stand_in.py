"""A stand-in for the data plane that writes down what it is told and says what a test puts into its mouth."""

import itertools
import os
from collections.abc import Sequence
from typing import Any, cast

from sfu._dataplane import Dataplane


class StandIn:
    """Ids are handed out from 1; barriers are held back until `apply`."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []
        self.dtls: list[tuple[int, bytes]] = []
        self.breaks_on: str | None = None
        """The name of a call that raises, as a bug of ours would."""
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

    def add_slot(self, peer: int, **negotiated: object) -> int:
        return self._make("add_slot", peer, negotiated)

    def follow(self, peer: int, stage: int, *, excluding: int | None = None, packet_ms: int = 20) -> None:
        self._write("follow", peer, stage, excluding, packet_ms)

    def _make(self, name: str, *arguments: object) -> int:
        self._write(name, *arguments)
        return next(self._ids)

    def _write(self, name: str, *arguments: object) -> None:
        if name == self.breaks_on:
            self.breaks_on = None
            raise RuntimeError(f"{name} broke, as the test wished")
        self.calls.append((name, arguments))
