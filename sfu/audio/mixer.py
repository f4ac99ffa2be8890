"""One space's mix: packets of its speakers in, packets of its programs out, every 20 ms. A machine.

    Voice    one speaker: jitter buffer, decoder, reel, gain           by the SSRC that its tap gives it
    Blend    the voices of this frame side by side
    Program  what one audience hears; the first is that of all
    Outlet   a program's RTP

`on_frame` is to be called every 20 ms; a caller that is late calls it the sooner the next time, and `skip`s what it
cannot make up for.

Per packet; guarded by `benchmarks/mixer.py`.
"""

from sfu.audio import rtp
from sfu.audio.blend import Blend
from sfu.audio.contract import Settings, Totals
from sfu.audio.opus import Opus
from sfu.audio.outlet import Outlet
from sfu.audio.program import Program
from sfu.audio.voice import Voice

MAX_VOICES = 100
"""As many as a stage may have (`spaces.max_speakers`)."""


class Mixer:
    """`voices` and `programs` by SSRC; what is said of an SSRC that is not there is no error: it has just gone."""

    def __init__(self, settings: Settings, *, opus: Opus) -> None:
        self._settings = settings
        self._opus = opus
        self._voices: dict[int, Voice] = {}
        self._programs: dict[int, tuple[Program, Outlet]] = {}
        self._leaving: list[Voice] = []
        self._gone = Totals()
        self._unknown = 0

    # Commands

    def add_voice(self, ssrc: int, *, is_open: bool, red_payload_type: int | None = None) -> None:
        """Said again, it changes the gate and what the payload types mean."""
        voice = self._voices.get(ssrc)
        if voice is None:
            if len(self._voices) >= MAX_VOICES:
                return
            channels = self._settings.sound.channels
            voice = Voice(ssrc, opus=self._opus, channels=channels, red_payload_type=red_payload_type)
            self._voices[ssrc] = voice
        voice.red_payload_type = red_payload_type
        voice.on_gate(is_open=is_open)

    def remove_voice(self, ssrc: int) -> None:
        """It is faded out in the next frame."""
        if (voice := self._voices.pop(ssrc, None)) is not None:
            voice.on_gate(is_open=False)
            self._leaving.append(voice)

    def add_program(self, ssrc: int, *, without: int | None) -> None:
        """The first one is the main: it should be that of all."""
        if ssrc in self._programs:
            return
        settings = self._settings
        program = Program(without=without, opus=self._opus, sound=settings.sound)
        outlet = Outlet(
            ssrc,
            payload_type=settings.payload_type,
            frames_per_packet=settings.frames_per_packet,
        )
        self._programs[ssrc] = (program, outlet)

    def remove_program(self, ssrc: int) -> None:
        self._programs.pop(ssrc, None)

    # Media

    def on_datagram(self, datagram: bytes, now_s: float) -> None:
        packet = rtp.parse(datagram)
        voice = None if packet is None else self._voices.get(packet.ssrc)
        if packet is None or voice is None:
            self._unknown += 1
            return
        voice.on_packet(packet, now_s)

    def on_frame(self, now_s: float) -> list[bytes]:
        """Datagrams for the tap."""
        voices = [voice for voice in (*self._voices.values(), *self._leaving) if not voice.is_asleep]
        for voice in voices:
            voice.on_frame(now_s)
        active = sum(voice.is_active for voice in voices)
        for voice in voices:
            voice.on_gain(is_levelled=self._settings.is_levelled and active > 1)
        blend = Blend([voice for voice in voices if voice.is_heard], channels=self._settings.sound.channels)
        sent: list[bytes] = []
        main: Program | None = None
        for program, outlet in self._programs.values():
            frames = program.on_frame(blend, main)
            for frame in frames:
                sent += outlet.on_frame(frame)
            if not frames:
                sent += outlet.flush()
            main = main or program
        mixes = [program for program, _ in self._programs.values() if program.source != "voice"]
        for voice in voices:
            voice.is_mixed = voice.is_heard and any(program.without != voice.ssrc for program in mixes)
            voice.on_played()
        for voice in self._leaving:
            self._count(voice, self._gone)
        self._leaving.clear()
        return sent

    # Watching

    def levels(self) -> list[tuple[int, float]]:
        """(SSRC, dBov) of each voice whose own packets do not tell; for who selects the loudest."""
        return [(voice.ssrc, voice.level_dbov) for voice in self._voices.values() if not voice.is_told]

    def totals(self) -> Totals:
        totals = Totals(**{name: getattr(self._gone, name) for name in Totals.__struct_fields__})
        totals.unknown = self._unknown
        for voice in self._voices.values():
            self._count(voice, totals)
        totals.voices_now = len(self._voices)
        totals.target_s_now = max((voice.jitter.target_s for voice in self._voices.values()), default=0.0)
        for program, _ in self._programs.values():
            totals.frames_silence += program.frames["silence"]
            totals.frames_voice += program.frames["voice"]
            totals.frames_mix += program.frames["mix"]
            totals.frames_main += program.frames["main"]
        return totals

    def _count(self, voice: Voice, totals: Totals) -> None:
        counts = voice.jitter.counts
        totals.packets_in += counts.received + voice.slept
        totals.late += counts.late
        totals.lost += counts.lost
        totals.malformed += counts.malformed
        totals.concealed_samples += counts.concealed_samples
        totals.recovered_samples += counts.recovered_samples
        totals.refused += voice.refused
