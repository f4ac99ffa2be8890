"""The mixes of this server's spaces: taps and tracks of the data plane on one side, mixer processes on the other. Edge.

    stage of a space ──tap──▶ mixer process ──tap──▶ a stage of its own, with a track for each mix ──▶ listeners

Packets go from the data plane to the mixer and back through two Unix sockets; this process sees none of them.

Those who follow a mix that is not there follow the dominant voice instead, in the same slot: from the start until the
mixer is warm, whenever it died, hangs or lost the space, and for good where its taps could not be opened. They are
moved to and fro in one call of the data plane, however many they are.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Protocol

import structlog
from msgspec import Struct, field

from sfu._dataplane import Dataplane, StaleId
from sfu.audio.contract import Settings, Taps

log = structlog.get_logger("sfu.mixes")


class Mixers(Protocol):
    """The supervisor of their processes (see there)."""

    def open_space(self, space: str, settings: Settings) -> Taps: ...
    def close_space(self, space: str) -> None: ...
    def set_voice(self, space: str, ssrc: int, *, is_open: bool) -> None: ...
    def remove_voice(self, space: str, ssrc: int) -> None: ...
    def add_audience(self, space: str, *, without: int | None) -> None: ...
    def remove_audience(self, space: str, *, without: int | None) -> None: ...
    def when_obeyed(self, space: str, proceed: Callable[[], None]) -> None: ...


class _Mixed(Struct):
    """A space that a mixer hears."""

    stage: int
    """The space's own."""
    mixes_stage: int | None = None
    """On which the mixes are heard; None where no tap could be opened."""
    outward: int = 0
    inward: int = 0
    """Taps, as the data plane sees them."""
    tracks: dict[int | None, tuple[int, int]] = field(default_factory=dict)
    """SSRC at the mixer, and our track: of those mixes that come."""


class Mixes:
    """Effects of the spaces come from the performer, in their order; the supervisor has this as its listener."""

    def __init__(self, dataplane: Dataplane, mixers: Mixers, settings: Settings) -> None:
        self._dataplane = dataplane
        self._mixers = mixers
        self._settings = settings
        self._spaces: dict[str, _Mixed] = {}
        self._hushed: set[str] = set()

    def open(self, space: str, stage: int, voices: Iterable[tuple[int, bool]]) -> None:
        """`voices` are the tracks of `stage`, and whether their gates are open. There is no mix yet."""
        taps = self._mixers.open_space(space, self._settings)
        mixed = self._spaces[space] = _Mixed(stage)
        own = self._dataplane.create_stage()
        try:
            mixed.inward = self._dataplane.open_tap(own, receive_at=taps.sfu, send_to=None)
            mixed.outward = self._dataplane.open_tap(stage, receive_at=None, send_to=taps.mixer)
        except OSError as error:
            log.exception("no taps, so no mix", space=space, error=str(error))
            self._dataplane.remove_stage(own)
            self._mixers.close_space(space)
            return
        mixed.mixes_stage = own
        for track, is_open in voices:
            self._mixers.set_voice(space, track, is_open=is_open)

    def close(self, space: str) -> None:
        """Whoever follows one of its mixes goes on with the dominant voice."""
        mixed = self._spaces.pop(space)
        for without in list(mixed.tracks):
            self._break_off(mixed, without)
        if mixed.mixes_stage is not None:
            self._dataplane.close_tap(mixed.outward)
            self._dataplane.remove_stage(mixed.mixes_stage)
            self._mixers.close_space(space)

    # Voices

    def set_voice(self, space: str, track: int, *, is_open: bool) -> None:
        """Before its gate opens, or after it has closed."""
        if space in self._spaces:
            self._mixers.set_voice(space, track, is_open=is_open)
            if not is_open:
                self._note_hush(space)

    def remove_voice(self, space: str, track: int) -> None:
        if space in self._spaces:
            self._mixers.remove_voice(space, track)
            self._note_hush(space)

    def _note_hush(self, space: str) -> None:
        if self._spaces[space].tracks:
            self._hushed.add(space)

    def when_hushed(self, proceed: Callable[[], None]) -> None:
        """Calls `proceed` once no mix has anything in it of the voices that were closed or removed before: at once,
        where none was."""
        waiting, self._hushed = self._hushed & self._spaces.keys(), set()
        if not waiting:
            proceed()
            return

        def on_obeyed(space: str) -> None:
            waiting.discard(space)
            if not waiting:
                proceed()

        for space in sorted(waiting):
            self._mixers.when_obeyed(space, partial(on_obeyed, space))

    # Mixes, by the track that they leave out, None for none

    def add(self, space: str, without: int | None) -> None:
        self._mixers.add_audience(space, without=without)

    def remove(self, space: str, without: int | None) -> None:
        """Nobody follows it any more."""
        self._mixers.remove_audience(space, without=without)
        if (known := self._spaces[space].tracks.pop(without, None)) is not None:
            self._dataplane.remove_track(known[1])

    def track(self, space: str, without: int | None) -> int | None:
        """The track that carries a mix; None while it does not come."""
        mixed = self._spaces.get(space)
        return None if mixed is None or without not in mixed.tracks else mixed.tracks[without][1]

    # What the supervisor tells

    def on_mixed(self, space: str, programs: dict[int | None, int]) -> None:
        """These come now: mixes by the track they leave out, each an SSRC at the tap."""
        if (mixed := self._spaces.get(space)) is None:
            return
        for without, ssrc in programs.items():
            known = mixed.tracks.get(without)
            if known is not None and known[0] == ssrc:
                continue
            self._break_off(mixed, without)
            track = self._dataplane.add_tap_track(mixed.inward, ssrc=ssrc, is_open=True)
            mixed.tracks[without] = ssrc, track
            self._dataplane.replace_loudest(mixed.stage, track, excluding=without)

    def on_unmixed(self, space: str) -> None:
        """They come no more, or may not be relied on."""
        if (mixed := self._spaces.get(space)) is not None:
            for without in list(mixed.tracks):
                self._break_off(mixed, without)

    def on_levels(self, _: str, levels: Sequence[tuple[int, float]]) -> None:
        """(track, dBov) of those whose packets do not tell how loud they are. A track may be gone meanwhile."""
        for track, dbov in levels:
            with suppress(StaleId):
                self._dataplane.set_level(track, level=min(127, max(0, round(-dbov))))

    def _break_off(self, mixed: _Mixed, without: int | None) -> None:
        """Its followers hear the dominant voice before the track is gone. Whom it left out may have gone before, and
        nobody follows it then."""
        if (known := mixed.tracks.pop(without, None)) is not None:
            with suppress(StaleId):
                self._dataplane.replace_track(known[1], mixed.stage, excluding=without)
            self._dataplane.remove_track(known[1])
