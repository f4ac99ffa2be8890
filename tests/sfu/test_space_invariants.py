"""Whatever is commanded in whatever order: never more on stage than allowed, never a muted one heard, never a ghost.

The effects are played to a stage that knows nothing but them; what it believes is compared with the rules.
"""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from sfu.contract.messages import Audience
from sfu.effects import (
    AddMix,
    AddSlots,
    AddTrack,
    CloseMixer,
    ClosePeer,
    Effect,
    Follow,
    FollowMix,
    OpenMixer,
    OpenPeer,
    RemoveMix,
    SetGate,
)
from sfu.errors import CommandError
from sfu.space import Space
from tests.sfu.sessions import Kind, open_session, transport

IDENTITIES = ["ana", "ben", "cem", "dan"]
MAX_SPEAKERS = 2
MAX_LISTENING = 2


class SpaceRules(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.space = Space("lounge", max_speakers=MAX_SPEAKERS, max_listening_sessions=MAX_LISTENING)
        self.opened = 0
        self.owner: dict[str, str] = {}
        self.gates: dict[str, bool] = {}
        self.excluded: dict[str, str | None] = {}
        self.mix: dict[str, str | None] = {}
        """Who follows a mix, and whom that leaves out; nobody is in both."""
        self.sections: dict[str, int] = {}
        self.audience: Audience = "forward"
        self.has_mixer = False
        self.mixes: set[str | None] = set()
        self.muted: set[str] = set()

    # What may happen

    @rule(
        identity=st.sampled_from(IDENTITIES),
        kind=st.sampled_from(["whip", "whep", "stage"]),
        sections=st.integers(1, 2),
        is_on_stage=st.booleans(),
        is_muted=st.booleans(),
    )
    def open(self, identity: str, kind: Kind, *, sections: int, is_on_stage: bool, is_muted: bool) -> None:
        self.opened += 1
        session = f"s{self.opened}"
        count = 0 if kind == "whip" else sections
        request = open_session(session, identity, kind, is_on_stage=is_on_stage, is_muted=is_muted, sections=count)
        try:
            effects = self.space.on_session_opened(request, transport(session, slots=len(request.send)))
        except CommandError as error:
            if error.code != "stage_full":
                raise
            return
        self.owner[session], self.sections[session] = identity, count
        if is_muted:
            self.muted.add(identity)
        self.play(effects)

    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        if self.owner:
            session = data.draw(st.sampled_from(sorted(self.owner)))
            self.play(self.space.on_session_gone(session, "expired"))
            assert session not in self.owner

    @rule(identities=st.lists(st.sampled_from(IDENTITIES)), is_muted=st.booleans())
    def mute(self, identities: list[str], *, is_muted: bool) -> None:
        self.muted = self.muted | set(identities) if is_muted else self.muted - set(identities)
        self.play(self.space.on_muted(identities, is_muted=is_muted))

    @rule(identity=st.sampled_from(IDENTITIES), is_on_stage=st.booleans())
    def move(self, identity: str, *, is_on_stage: bool) -> None:
        try:
            self.play(self.space.on_stage_changed(identity, is_on_stage=is_on_stage))
        except CommandError as error:
            if error.code not in {"stage_full", "unknown_participant"}:
                raise

    @rule(identity=st.sampled_from(IDENTITIES))
    def remove(self, identity: str) -> None:
        self.play(self.space.on_removed(identity))
        assert identity not in self.owner.values()
        assert identity not in self.space.state().on_stage

    @rule(audience=st.sampled_from(["mix", "forward"]))
    def choose_audience(self, audience: Audience) -> None:
        self.audience = audience
        self.play(self.space.on_audience_changed(audience))

    # What the effects say

    def play(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case OpenPeer():
                    assert effect.session in self.owner
                case AddTrack():
                    assert effect.session not in self.gates
                    self.gates[effect.session] = effect.is_open
                case SetGate():
                    assert self.gates[effect.session] is not effect.is_open
                    self.gates[effect.session] = effect.is_open
                case AddSlots():
                    assert len(effect.sections) == len(effect.ssrcs)
                case Follow():
                    assert effect.session in self.owner
                    assert effect.excluding is None or effect.excluding in self.gates
                    self.excluded[effect.session] = effect.excluding
                    self.mix.pop(effect.session, None)
                case FollowMix():
                    assert effect.session in self.owner
                    assert effect.without is None or effect.without in self.mixes
                    self.mix[effect.session] = effect.without
                    self.excluded.pop(effect.session, None)
                case OpenMixer():
                    assert not self.has_mixer
                    assert dict(effect.voices) == self.gates
                    self.has_mixer = True
                case CloseMixer():
                    assert self.has_mixer
                    self.has_mixer = False
                    self.mixes.clear()
                case AddMix():
                    assert self.has_mixer
                    assert effect.without not in self.mixes
                    assert effect.without is None or None in self.mixes, "that of all comes first"
                    assert effect.without is None or effect.without in self.gates
                    self.mixes.add(effect.without)
                case RemoveMix():
                    self.mixes.remove(effect.without)
                    assert effect.without is None or effect.without not in self.mix.values()
                case ClosePeer():
                    del self.owner[effect.session]
                    self.gates.pop(effect.session, None)
                    self.excluded.pop(effect.session, None)
                    self.mix.pop(effect.session, None)

    # What always holds

    @invariant()
    def the_stage_holds_no_more_than_its_limit(self) -> None:
        assert len(self.space.state().on_stage) <= MAX_SPEAKERS

    @invariant()
    def a_gate_is_open_for_exactly_those_on_stage_and_not_muted(self) -> None:
        state = self.space.state()
        assert set(state.muted) == self.muted
        for session, is_open in self.gates.items():
            identity = self.owner[session]
            assert is_open == (identity in state.on_stage and identity not in self.muted)

    @invariant()
    def everyone_on_stage_is_here(self) -> None:
        assert set(self.space.state().on_stage) <= set(self.owner.values())

    @invariant()
    def each_identity_sends_at_most_once_and_listens_within_its_limit(self) -> None:
        senders = [self.owner[session] for session in self.gates]
        assert len(senders) == len(set(senders))
        listeners = [identity for session, identity in self.owner.items() if session not in self.gates]
        assert all(listeners.count(identity) <= MAX_LISTENING for identity in IDENTITIES)

    @invariant()
    def nobody_hears_itself(self) -> None:
        sending = {self.owner[session]: session for session in self.gates}
        for session, excluded in self.excluded.items():
            if (own := sending.get(self.owner[session])) is not None:
                assert excluded == own

    @invariant()
    def nobody_hears_itself_in_a_mix_either(self) -> None:
        heard = {self.owner[session]: session for session, is_open in self.gates.items() if is_open}
        for session, without in self.mix.items():
            assert without == heard.get(self.owner[session])

    @invariant()
    def where_the_audience_is_mix_exactly_those_with_one_section_follow_one(self) -> None:
        listening = {session for session in self.owner if self.sections[session]}
        one_section = {session for session in listening if self.sections[session] == 1}
        assert self.mix.keys() | self.excluded.keys() == listening
        assert self.mix.keys() == (one_section if self.audience == "mix" else set())

    @invariant()
    def a_mixer_mixes_while_there_is_someone_to_hear_it_and_someone_to_be_heard(self) -> None:
        is_wanted = bool(self.mix) and bool(self.gates)
        assert (None in self.mixes) == is_wanted
        assert self.has_mixer == is_wanted

    @invariant()
    def there_is_a_mix_without_each_voice_that_is_followed_so_and_no_other(self) -> None:
        wanted = {
            own
            for own, is_open in self.gates.items()
            if is_open
            and any(n == 1 and self.owner.get(session) == self.owner[own] for session, n in self.sections.items())
        }
        assert self.mixes - {None} == (wanted if None in self.mixes else set())

    @invariant()
    def the_snapshot_lists_exactly_the_open_sessions(self) -> None:
        assert {state.session: state.identity for state in self.space.session_states()} == self.owner


TestSpaceRules = SpaceRules.TestCase
TestSpaceRules.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
