"""Answers to `Inspect`: what the workers count of each peer of a space, put together as it comes in. A machine.

A worker answers within a turn of its loop; who has left meanwhile has no figures, and nobody is waited for for longer
than `WITHIN_S`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from sfu.contract.messages import Inspected, SessionFigures, SessionState

WITHIN_S: Final = 1.0


class _Inquiry(Struct, eq=False):
    answer: Callable[[Inspected], None]
    space: str
    total: int
    rows: dict[str, SessionFigures]
    awaited: dict[int, str]
    """Peer → session."""
    until_s: float


class Inquiries:
    def __init__(self) -> None:
        self._open: list[_Inquiry] = []

    @property
    def wakes_at_s(self) -> float | None:
        return self._open[0].until_s if self._open else None

    def on_asked(
        self,
        space: str,
        states: Sequence[SessionState],
        *,
        peers: Mapping[str, int],
        limit: int,
        now_s: float,
        answer: Callable[[Inspected], None],
    ) -> list[int]:
        """The peers that are to be asked; those on stage come first where there are more than `limit`."""
        chosen = sorted(states, key=lambda state: not state.is_on_stage)[:limit]
        awaited = {peers[state.session]: state.session for state in chosen if state.session in peers}
        inquiry = _Inquiry(
            answer=answer,
            space=space,
            total=len(states),
            rows={state.session: _row(state) for state in chosen},
            awaited=awaited,
            until_s=now_s + WITHIN_S,
        )
        if awaited:
            self._open.append(inquiry)
        else:
            _finish(inquiry)
        return list(awaited)

    def on_report(self, peer: int, figures: Mapping[str, float]) -> None:
        """What a worker counted of `peer`; for every inquiry that waits for it."""
        for inquiry in [each for each in self._open if peer in each.awaited]:
            session = inquiry.awaited.pop(peer)
            inquiry.rows[session] = _filled(inquiry.rows[session], figures)
            if not inquiry.awaited:
                self._open.remove(inquiry)
                _finish(inquiry)

    def on_time(self, now_s: float) -> None:
        """Answers with what there is where the time is up."""
        while self._open and self._open[0].until_s <= now_s:
            _finish(self._open.pop(0))


def _row(state: SessionState) -> SessionFigures:
    return SessionFigures(
        session=state.session[:8],
        identity=state.identity,
        kind=state.kind,
        is_connected=state.is_connected,
        is_on_stage=state.is_on_stage,
        is_muted=state.is_muted,
    )


def _filled(row: SessionFigures, figures: Mapping[str, float]) -> SessionFigures:
    return replace(
        row,
        packets_in=int(figures["packets_in"]),
        packets_out=int(figures["packets_out"]),
        bytes_in=int(figures["bytes_in"]),
        bytes_out=int(figures["bytes_out"]),
        lost_ratio=figures["lost_fraction"],
        jitter_s=figures["jitter_s"],
        round_trip_s=figures["round_trip_s"],
    )


def _finish(inquiry: _Inquiry) -> None:
    inquiry.answer(Inspected(space=inquiry.space, total=inquiry.total, sessions=list(inquiry.rows.values())))
