//! Large audiences get 40 or 60 ms of audio in a packet: what is gathered, what is not, and under which numbers.

mod common;

use _dataplane::engine::command::Command;
use _dataplane::engine::lane::Packing;
use _dataplane::ids::Id;
use _dataplane::opus::{parse, Merger, MAX_TICKS};
use _dataplane::{Nanos, MILLISECOND};
use common::*;
use proptest::prelude::*;

/// Fullband CELT of 20 ms, mono; the same in SILK.
const CELT_20: u8 = 31 << 3;
const SILK_20: u8 = 9 << 3;

/// One speaker, and one listener of one slot.
struct Scene {
    world: World,
    stage: Id,
    speaker: usize,
    track: Id,
    listener: usize,
}

impl Scene {
    fn new(packing: Packing) -> Self {
        let mut world = World::new(1);
        let stage = world.create_stage();
        let (speaker, track) = world.join_speaker(0, stage);
        let listener = world.join_listener(0, stage, 1);
        let mut scene = Self { world, stage, speaker, track, listener };
        scene.follow(packing);
        scene
    }

    fn follow(&mut self, packing: Packing) {
        let (peer, stage) = (self.world.clients[self.listener].peer, self.stage);
        self.world.command(0, Command::Follow { peer, stage, excluding: None, packing });
    }

    /// Frames of these first bytes, 20 ms apart.
    fn say(&mut self, names: impl IntoIterator<Item = u8>) {
        for name in names {
            self.world.pass(FRAME);
            self.world.say(self.speaker, &frame(name), 30);
        }
    }

    fn lose(&mut self, count: usize) {
        for _ in 0..count {
            self.world.pass(FRAME);
            self.world.clients[self.speaker].seal(&frame(0), 30);
        }
    }

    fn heard(&mut self) -> Vec<Heard> {
        self.world.take_heard(self.listener)
    }
}

fn frame(name: u8) -> [u8; 4] {
    [CELT_20, name, name, name]
}

/// The packet of these frames.
fn packet(names: impl IntoIterator<Item = u8>) -> Vec<u8> {
    let mut merger = Merger::new(MAX_TICKS, 1_200);
    for name in names {
        assert!(merger.push(&parse(&frame(name)).unwrap()));
    }
    let mut packet = Vec::new();
    merger.write(&mut packet);
    packet
}

fn payloads(heard: &[Heard]) -> Vec<Vec<u8>> {
    heard.iter().map(|packet| packet.payload.clone()).collect()
}

/// Sequence numbers and timestamps from the first on, these in frames.
fn places(heard: &[Heard]) -> Vec<(u16, u32)> {
    let since = |packet: &Heard| {
        let ticks = packet.timestamp.wrapping_sub(heard[0].timestamp);
        (packet.sequence.wrapping_sub(heard[0].sequence), ticks / 960)
    };
    heard.iter().map(since).collect()
}

#[test]
fn three_packets_of_20_ms_become_one_of_60_numbered_without_a_gap() {
    let mut scene = Scene::new(Packing::Of60Ms);
    scene.say(1..=9);
    let heard = scene.heard();
    assert_eq!(payloads(&heard), [packet(1..=3), packet(4..=6), packet(7..=9)]);
    assert_eq!(places(&heard), [(0, 0), (1, 3), (2, 6)]);
    assert_eq!(scene.world.count("packets_merged"), 6);
}

#[test]
fn two_become_one_of_40() {
    let mut scene = Scene::new(Packing::Of40Ms);
    scene.say(1..=4);
    let heard = scene.heard();
    assert_eq!(payloads(&heard), [packet(1..=2), packet(3..=4)]);
    assert_eq!(places(&heard), [(0, 0), (1, 2)]);
}

#[test]
fn a_full_packet_leaves_at_once_with_the_loudest_level() {
    let mut scene = Scene::new(Packing::Of60Ms);
    for (name, dbov) in [(1, 40), (2, 20), (3, 60)] {
        assert_eq!(scene.heard(), []);
        scene.world.pass(FRAME);
        scene.world.say(scene.speaker, &frame(name), dbov);
    }
    let levels: Vec<_> = scene.heard().iter().map(|packet| packet.level).collect();
    assert_eq!(levels, [Some(20)]);
}

#[test]
fn listeners_who_want_20_ms_get_it_beside_those_who_want_60() {
    let mut scene = Scene::new(Packing::Of60Ms);
    let other = scene.world.join_listener(0, scene.stage, 1);
    scene.say(1..=3);
    assert_eq!(payloads(&scene.heard()), [packet(1..=3)]);
    assert_eq!(payloads(&scene.world.take_heard(other)), [1, 2, 3].map(|name| frame(name).to_vec()));
}

#[test]
fn a_lost_frame_is_a_gap_in_time_and_whole_lost_packets_are_one_in_sequence_too() {
    let mut scene = Scene::new(Packing::Of60Ms);
    scene.say(1..=4);
    scene.lose(1);
    scene.say(6..=8);
    scene.lose(7);
    scene.say(16..=18);
    let heard = scene.heard();
    assert_eq!(payloads(&heard), [packet(1..=3), packet([4]), packet(6..=8), packet(16..=18)]);
    // Seven frames are two packets of three and a bit.
    assert_eq!(places(&heard), [(0, 0), (1, 3), (2, 5), (2 + 1 + 2, 15)]);
}

#[test]
fn what_comes_after_its_place_was_given_up_is_dropped() {
    let mut scene = Scene::new(Packing::Of60Ms);
    scene.say([1]);
    let late = scene.world.clients[scene.speaker].seal(&frame(2), 30);
    scene.say([3]);
    let source = scene.world.clients[scene.speaker].address;
    scene.world.deliver(0, source, late);
    scene.say([4, 5]);
    assert_eq!(payloads(&scene.heard()), [packet([1]), packet([3, 4, 5])]);
    assert_eq!(scene.world.count("dropped_late_after_splice"), 1);
}

#[test]
fn another_configuration_begins_another_packet() {
    let mut scene = Scene::new(Packing::Of60Ms);
    scene.say([1, 2]);
    scene.world.pass(FRAME);
    scene.world.say(scene.speaker, &[SILK_20, 7], 30);
    assert_eq!(payloads(&scene.heard()), [packet([1, 2])]);
}

#[test]
fn what_is_no_opus_goes_out_alone_and_as_it_is() {
    let mut scene = Scene::new(Packing::Of60Ms);
    scene.say([1]);
    let no_opus = [CELT_20 | 3, 0];
    scene.world.say(scene.speaker, &no_opus, 30);
    let heard = scene.heard();
    assert_eq!(payloads(&heard), [packet([1]), no_opus.to_vec()]);
    assert!(is_unbroken(&heard));
}

#[test]
fn packets_too_large_to_share_one_go_out_alone() {
    let mut scene = Scene::new(Packing::Of60Ms);
    let large = [&[CELT_20][..], &[5; 700]].concat();
    for _ in 0..3 {
        scene.world.pass(FRAME);
        scene.world.say(scene.speaker, &large, 30);
    }
    scene.world.pass(3 * FRAME);
    let heard = scene.heard();
    assert_eq!(payloads(&heard), [&large[..]; 3]);
    assert_eq!(places(&heard), [(0, 0), (1, 1), (2, 2)]);
}

#[test]
fn a_speaker_s_last_frames_do_not_wait_for_more_than_a_packet_s_time() {
    let mut scene = Scene::new(Packing::Of60Ms);
    scene.say([1, 2]);
    scene.world.pass(FRAME);
    assert_eq!(scene.heard(), [], "40 ms after the first");
    scene.world.pass(FRAME);
    assert_eq!(payloads(&scene.heard()), [packet([1, 2])], "60 ms after it");
}

#[test]
fn the_machine_asks_for_the_turn_in_which_a_packet_must_leave() {
    let mut scene = Scene::new(Packing::Of40Ms);
    scene.say([1]);
    let began = scene.world.now;
    let mut turns = 0;
    while scene.heard().is_empty() {
        let wakes_at = scene.world.engine(0).wakes_at().unwrap();
        assert!(wakes_at <= began + 40 * MILLISECOND);
        scene.world.now = scene.world.now.max(wakes_at);
        scene.world.turn(0, Vec::new());
        turns += 1;
    }
    assert_eq!(scene.world.now, began + 40 * MILLISECOND);
    assert!(turns <= 2, "{turns} turns: the second's slice of 50 ms, and this");
}

#[test]
fn silence_that_is_not_sent_is_a_gap_in_time_alone() {
    let mut scene = Scene::new(Packing::Of60Ms);
    scene.say(1..=4);
    let speaker = scene.speaker;
    scene.world.clients[speaker].timestamp += 20 * 960;
    scene.world.pass(20 * FRAME);
    scene.say(25..=27);
    let heard = scene.heard();
    assert_eq!(payloads(&heard), [packet(1..=3), packet([4]), packet(25..=27)]);
    assert_eq!(places(&heard), [(0, 0), (1, 3), (2, 24)]);
}

#[test]
fn nothing_that_waited_is_sent_after_a_mute() {
    let mut scene = Scene::new(Packing::Of60Ms);
    scene.say([1, 2]);
    scene.world.set_gate(scene.track, false);
    scene.world.pass(10 * FRAME);
    assert_eq!(scene.heard(), []);
    scene.world.set_gate(scene.track, true);
    scene.say(3..=5);
    assert_eq!(payloads(&scene.heard()), [packet(3..=5)]);
}

#[test]
fn one_speaker_s_frames_never_share_a_packet_with_another_s() {
    let mut scene = Scene::new(Packing::Of60Ms);
    let (second, _) = scene.world.join_speaker(0, scene.stage);
    scene.say(1..=5);
    // Whoever is silent for 200 ms makes room: ten packets of thirty, and six of ours are left.
    for n in 0..30 {
        scene.world.pass(FRAME);
        scene.world.say(second, &frame(100 + n), 30);
    }
    let heard = scene.heard();
    assert_eq!(payloads(&heard[..2]), [packet(1..=3), packet(4..=5)]);
    assert!(heard[2].marker && heard[2..].iter().all(|packet| packet.payload[2] >= 100));
    assert!(heard.len() >= 8 && is_unbroken(&heard));
}

#[test]
fn a_stream_goes_on_unbroken_when_its_packing_changes() {
    let mut scene = Scene::new(Packing::AsSpoken);
    for (packing, names) in [(Packing::Of60Ms, 1..7), (Packing::AsSpoken, 7..13), (Packing::Of40Ms, 13..19)] {
        scene.say(names);
        scene.follow(packing);
    }
    scene.say(19..25);
    let heard = scene.heard();
    assert!(is_unbroken(&heard));
    let mut end = heard[0].timestamp;
    for packet in &heard {
        assert!(packet.timestamp.wrapping_sub(end) < 5 * 960, "no overlap, no leap");
        end = packet.timestamp.wrapping_add(parse(&packet.payload).unwrap().ticks());
    }
}

#[test]
fn each_of_several_speakers_is_packed_in_its_own_slot() {
    let mut world = World::new(1);
    let stage = world.create_stage();
    let speakers: Vec<_> = (0..3).map(|_| world.join_speaker(0, stage).0).collect();
    let listener = world.join_listener(0, stage, 3);
    let peer = world.clients[listener].peer;
    world.command(0, Command::Follow { peer, stage, excluding: None, packing: Packing::Of60Ms });
    for round in 0..6 {
        world.pass(FRAME);
        for (n, speaker) in speakers.iter().enumerate() {
            world.start_saying(*speaker, &frame(10 * n as u8 + round), 30);
        }
        world.settle();
    }
    let heard = world.take_heard(listener);
    assert!(heard.iter().all(|packet| packet.segments == 3), "those of one turn share a message");
    let slots = by_slot(&heard);
    assert_eq!(slots.len(), 3);
    for (n, slot) in (0..3u32).enumerate() {
        let first = 10 * n as u8;
        assert_eq!(slots[&slot_ssrc(listener, slot)], [packet(first..first + 3), packet(first + 3..first + 6)]);
    }
}

/// What may happen to a packed stream.
#[derive(Clone, Debug)]
enum Step {
    Say { speaker: usize, payload: Vec<u8>, after: Nanos, lost: u64 },
    SayLate { speaker: usize, behind: u64 },
    Mute(usize),
    Follow(Packing),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let payload = prop_oneof![
        4 => Just(frame(9).to_vec()),
        1 => Just(vec![CELT_20]),
        1 => prop::collection::vec(any::<u8>(), 1..30),
        1 => (0..1_100usize).prop_map(|len| [&[SILK_20][..], &vec![1; len]].concat()),
    ];
    let lost = prop_oneof![8 => Just(0u64), 1 => 1..10u64, 1 => 500..5_000u64];
    let say = (0..2usize, payload, 0..90u64, lost);
    let packing = prop_oneof![Just(Packing::AsSpoken), Just(Packing::Of40Ms), Just(Packing::Of60Ms)];
    let step = prop_oneof![
        20 => say.prop_map(|(speaker, payload, ms, lost)| Step::Say { speaker, payload, after: ms * MILLISECOND, lost }),
        3 => (0..2usize, 1..8u64).prop_map(|(speaker, behind)| Step::SayLate { speaker, behind }),
        1 => (0..2usize).prop_map(Step::Mute),
        1 => packing.prop_map(Step::Follow),
    ];
    prop::collection::vec(step, 1..150)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The client's SRTP refuses an index that was used before: `World` would not deliver the packet but fail.
    #[test]
    fn whatever_happens_no_srtp_index_is_used_twice(steps in steps()) {
        let mut scene = Scene::new(Packing::Of60Ms);
        let (second, second_track) = scene.world.join_speaker(0, scene.stage);
        let (speakers, tracks) = ([scene.speaker, second], [scene.track, second_track]);
        for step in steps {
            match step {
                Step::Say { speaker, payload, after, lost } => {
                    let client = &mut scene.world.clients[speakers[speaker]];
                    client.sequence += lost;
                    client.timestamp = client.timestamp.wrapping_add(960 * lost as u32);
                    scene.world.pass(after);
                    scene.world.say(speakers[speaker], &payload, 30);
                }
                Step::SayLate { speaker, behind } => {
                    let client = &scene.world.clients[speakers[speaker]];
                    let (source, late) = (client.address, client.seal_as(client.ssrc, client.sequence - behind, &frame(8), 30));
                    scene.world.deliver(0, source, late);
                }
                Step::Mute(speaker) => {
                    scene.world.set_gate(tracks[speaker], false);
                    scene.world.set_gate(tracks[speaker], true);
                }
                Step::Follow(packing) => scene.follow(packing),
            }
        }
        scene.world.pass(5 * FRAME);
        let heard = scene.heard();
        prop_assert_eq!(heard.len() as u64, scene.world.count("packets_out"));
    }
}
