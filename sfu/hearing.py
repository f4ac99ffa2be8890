"""What each listening session of a space follows: voices forwarded, or a mix; and the mixes that this takes. A machine.

                     one section to listen in                several
    audience: mix    the mix; who may be heard gets          the loudest, each forwarded in a slot of its own
                     one without itself
    forward          the dominant voice, forwarded           the same

While there is no mixer (nobody speaks; it is starting, dead, hung) those who follow a mix hear the dominant voice in
the same slot. That is not decided here, for it concerns all of them at once (see `mixes`). The data plane keeps each
slot's SSRC, sequence numbers and timestamps unbroken whatever it follows.

A mixer hears a space only while someone needs it: a listener with one section and a voice to hear, or a voice that does
not say how loud it is, which only decoding can tell.
"""

from collections.abc import Iterable, Mapping

from sfu.contract.messages import Audience
from sfu.effects import AddMix, CloseMixer, Effect, Follow, FollowMix, OpenMixer, RemoveMix
from sfu.packing import AS_SPOKEN_MS, Packing, bounded_ms
from sfu.session import Participant, Session


class Hearing:
    """`participants` are the space's, changed by it alone: it says `on_admitted` and `on_gone` of their sessions, and
    `settle` of each identity whose sessions or gates have changed, once all of an input is done."""

    def __init__(
        self, space: str, participants: Mapping[str, Participant], *, audience: Audience, packing: Packing
    ) -> None:
        self.audience = audience
        self._space = space
        self._participants = participants
        self._packing = packing
        self._packet_ms = packing.choose(0, current_ms=AS_SPOKEN_MS)
        self._listening = 0
        self._with_one_section = 0
        self._sending = 0
        self._untold: set[str] = set()
        self._has_mixer = False
        self._has_mix = False
        self._without: set[str] = set()
        """Sessions that a mix of its own leaves out."""
        self._gone: set[str] = set()

    # Inputs

    def on_admitted(self, record: Session) -> None:
        self._count(record, 1)

    def on_gone(self, record: Session) -> None:
        self._count(record, -1)
        self._untold.discard(record.request.session)
        self._gone.add(record.request.session)

    def on_audience_changed(self, audience: Audience) -> list[Effect]:
        if audience == self.audience:
            return []
        self.audience = audience
        return self._settle([], must_all_follow=True)

    def on_closed(self) -> list[Effect]:
        """The space ends; its sessions are gone already."""
        return self.settle([])

    def settle(self, identities: Iterable[str]) -> list[Effect]:
        """Whatever must follow from what has changed."""
        return self._settle(identities, must_all_follow=self._repack())

    # Steps

    def _settle(self, identities: Iterable[str], *, must_all_follow: bool) -> list[Effect]:
        touched = [self._participants[who] for who in dict.fromkeys(identities) if who in self._participants]
        for participant in touched:
            self._note_untold(participant)
        had_mix, self._has_mix = self._has_mix, self._wants_mix()
        effects = self._begin_mixes(touched, is_new=self._has_mix and not had_mix)
        ended = self._end_mixes(touched)
        effects += self._follow_all() if must_all_follow else self._follow_each(touched)
        return [*effects, *ended, *self._end_mixer(ends_mix=had_mix and not self._has_mix)]

    def _count(self, record: Session, by: int) -> None:
        self._listening += by * record.is_listening
        self._with_one_section += by * record.has_one_section
        self._sending += by * record.is_sending

    def _note_untold(self, participant: Participant) -> None:
        for name, record in participant.sessions.items():
            (self._untold.add if record.is_untold else self._untold.discard)(name)

    def _wants_mix(self) -> bool:
        return self.audience == "mix" and self._with_one_section > 0 and self._sending > 0

    def _repack(self) -> bool:
        """Whether the audience has become large, or small again: it follows in other packets."""
        before, self._packet_ms = self._packet_ms, self._packing.choose(self._listening, current_ms=self._packet_ms)
        return before != self._packet_ms

    # Mixes: begun before anyone follows them; those that leave someone out end when nobody does any more

    def _begin_mixes(self, touched: Iterable[Participant], *, is_new: bool) -> list[Effect]:
        effects: list[Effect] = []
        if (self._has_mix or self._untold) and not self._has_mixer:
            self._has_mixer = True
            effects.append(OpenMixer(self._space, tuple(self._voices())))
        if is_new:
            effects.append(AddMix(self._space, None))
        if self._has_mix:
            for participant in self._participants.values() if is_new else touched:
                sending = self._to_be_left_out(participant)
                if sending is not None and sending not in self._without:
                    self._without.add(sending)
                    effects.append(AddMix(self._space, sending))
        return effects

    def _end_mixes(self, touched: Iterable[Participant]) -> list[Effect]:
        """Of those who are gone, who are not heard now, or who no longer listen in one section."""
        gone, self._gone = self._gone, set()
        for participant in touched:
            gone.update(participant.sessions.keys() - {self._to_be_left_out(participant)})
        ended = self._without & gone if self._has_mix else self._without
        self._without = self._without - ended
        return [RemoveMix(self._space, name) for name in sorted(ended)]

    def _end_mixer(self, *, ends_mix: bool) -> list[Effect]:
        if self._has_mixer and not self._has_mix and not self._untold:
            self._has_mixer = False
            return [CloseMixer(self._space)]
        return [RemoveMix(self._space, None)] if ends_mix else []

    def _voices(self) -> Iterable[tuple[str, bool]]:
        for participant in self._participants.values():
            if (name := participant.sending) is not None:
                yield name, participant.sessions[name].is_open

    def _to_be_left_out(self, participant: Participant) -> str | None:
        """The session that a participant sends, where its own mix differs from everybody's."""
        sending = participant.sending
        if sending is None or not participant.sessions[sending].is_open:
            return None
        listens = any(record.has_one_section for record in participant.sessions.values())
        return sending if listens else None

    # Following

    def _follow_all(self) -> list[Effect]:
        return self._follow_each(self._participants.values())

    def _follow_each(self, participants: Iterable[Participant]) -> list[Effect]:
        """Says only what is new."""
        effects: list[Effect] = []
        for participant in participants:
            sending = participant.sending
            for record in participant.sessions.values():
                if not record.is_listening:
                    continue
                wanted = self._wanted(record, sending)
                if record.follows != wanted:
                    record.follows = wanted
                    effects.append(wanted)
        return effects

    def _wanted(self, record: Session, sending: str | None) -> Follow | FollowMix:
        """Nobody hears itself."""
        packet_ms = AS_SPOKEN_MS
        if sending is None:  # who may speak is in a conversation
            packet_ms = bounded_ms(self._packet_ms, (section.max_packet_ms for section in record.request.send))
        session = record.request.session
        if self.audience == "mix" and record.has_one_section:
            without = sending if sending in self._without else None
            return FollowMix(session, self._space, without, packet_ms)
        return Follow(session, self._space, excluding=sending, packet_ms=packet_ms)
