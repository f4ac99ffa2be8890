//! A fan-out that takes several turns: what happens in between holds for everyone not yet served, and breaks no stream.

mod common;

use std::collections::{HashMap, HashSet};

use _dataplane::engine::command::{Command, Event};
use _dataplane::engine::lane::Packing;
use _dataplane::ids::Id;
use common::*;
use proptest::prelude::*;

/// A speaker and `listeners` listeners, of whom a slice serves one or two.
fn sliced(listeners: usize) -> (World, Id, (usize, Id), Vec<usize>) {
    let mut world = World::new(1);
    let stage = world.create_stage();
    let speaker = world.join_speaker(0, stage);
    let listeners = (0..listeners).map(|_| world.join_listener(0, stage, 1)).collect();
    world.slice = Some(1);
    (world, stage, speaker, listeners)
}

fn heard_by(world: &World, listeners: &[usize]) -> usize {
    listeners.iter().filter(|n| !world.clients[**n].heard.is_empty()).count()
}

#[test]
fn a_slice_serves_some_and_the_next_ones_the_rest() {
    let (mut world, _, (speaker, _), listeners) = sliced(10);
    world.start_saying(speaker, b"all", 30);
    world.turn(0, Vec::new());
    let first = heard_by(&world, &listeners);
    assert!((1..10).contains(&first), "{first} served in one slice");
    assert!(world.engine(0).is_serving());
    world.settle();
    assert!(listeners.iter().all(|n| world.clients[*n].heard.len() == 1));
    assert!(!world.engine(0).is_serving());
}

#[test]
fn a_gate_closed_in_between_holds_for_everyone_not_yet_served() {
    let (mut world, _, (speaker, track), listeners) = sliced(10);
    world.start_saying(speaker, b"cut off", 30);
    world.turn(0, Vec::new());
    let first = heard_by(&world, &listeners);
    let (ticket, barrier) = world.barrier();
    world.turn(0, vec![Command::SetGate(track, false), Command::Barrier(barrier)]);
    assert!(world.take_events().contains(&Event::Applied(ticket)), "said at once, with listeners still unserved");
    world.settle();
    assert_eq!(heard_by(&world, &listeners), first);
}

#[test]
fn a_gate_closed_in_between_holds_for_a_voice_that_another_has_displaced_meanwhile() {
    let (mut world, stage, (speaker, track), listeners) = sliced(10);
    let (other, _) = world.join_speaker(0, stage);
    world.start_saying(speaker, b"old", 127);
    world.start_saying(other, b"new", 20);
    world.turn(0, Vec::new());
    let before: usize =
        listeners.iter().map(|n| world.take_heard(*n).iter().filter(|it| it.payload == b"old").count()).sum();
    assert!((1..10).contains(&before));
    world.turn(0, vec![Command::SetGate(track, false)]);
    world.settle();
    for n in listeners {
        assert!(world.take_heard(n).iter().all(|packet| packet.payload == b"new"));
    }
}

#[test]
fn what_is_said_meanwhile_comes_after_and_once() {
    let (mut world, _, (speaker, _), listeners) = sliced(10);
    for n in 0..20u8 {
        world.start_saying(speaker, &[n], 30);
        world.turn(0, Vec::new());
    }
    world.settle();
    for n in listeners {
        let heard = world.take_heard(n);
        assert!(is_unbroken(&heard));
        assert_eq!(heard.iter().map(|packet| packet.payload[0]).collect::<Vec<_>>(), (0..20).collect::<Vec<_>>());
    }
}

#[test]
fn a_check_is_answered_between_two_slices() {
    let (mut world, _, (speaker, _), _) = sliced(10);
    let newcomer = world.create_peer(0);
    world.start_saying(speaker, b"long", 30);
    world.turn(0, Vec::new());
    let (source, check) = (world.clients[newcomer].address, world.clients[newcomer].check(true));
    world.arrive(0, source, check);
    world.turn(0, Vec::new());
    assert_eq!(world.clients[newcomer].stun.len(), 1);
    assert!(world.engine(0).is_serving(), "and the fan-out is not yet done");
}

#[test]
fn leaving_and_coming_between_slices_costs_no_one_a_packet() {
    for leaves in 0..10 {
        let (mut world, stage, (speaker, _), listeners) = sliced(10);
        world.start_saying(speaker, b"1", 30);
        world.turn(0, Vec::new());
        world.turn(0, vec![Command::RemovePeer(world.clients[listeners[leaves]].peer)]);
        let newcomer = world.join_listener(0, stage, 1);
        world.say(speaker, b"2", 30);
        for (n, listener) in listeners.iter().enumerate().filter(|(n, _)| *n != leaves) {
            let payloads: Vec<_> = world.take_heard(*listener).into_iter().map(|packet| packet.payload).collect();
            assert_eq!(payloads, [b"1", b"2"], "listener {n} when {leaves} left");
        }
        assert_eq!(world.take_heard(newcomer).last().map(|packet| packet.payload.clone()), Some(b"2".to_vec()));
    }
}

#[test]
fn changing_the_feed_between_slices_neither_loses_nor_repeats_a_packet() {
    for moves in 0..10 {
        let (mut world, stage, (speaker, track), listeners) = sliced(10);
        // Both feeds are there from the start, and both have the round to serve.
        let other = world.join_listener(0, stage, 1);
        world.command(0, Command::FollowTrack(world.clients[other].peer, track, Packing::AsSpoken));
        world.start_saying(speaker, b"1", 30);
        world.turn(0, Vec::new());
        let peer = world.clients[listeners[moves]].peer;
        world.turn(0, vec![Command::FollowTrack(peer, track, Packing::AsSpoken)]);
        world.settle();
        world.say(speaker, b"2", 30);
        let heard = world.take_heard(listeners[moves]);
        assert!(is_unbroken(&heard));
        assert_eq!(
            heard.iter().map(|packet| &packet.payload[..]).collect::<Vec<_>>(),
            [b"1", b"2"],
            "listener {moves}"
        );
    }
}

#[derive(Clone, Debug)]
enum Step {
    Say(usize),
    Turn,
    Gate(usize, bool),
    Remove(usize),
    Unfollow(usize),
    Follow(usize, Packing),
    FollowTrack(usize, usize),
    Join,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let packing = prop_oneof![Just(Packing::AsSpoken), Just(Packing::Of40Ms)];
    let step = prop_oneof![
        12 => (0..3usize).prop_map(Step::Say),
        16 => Just(Step::Turn),
        3 => (0..3usize, any::<bool>()).prop_map(|(n, is_open)| Step::Gate(n, is_open)),
        1 => (0..12usize).prop_map(Step::Remove),
        1 => (0..12usize).prop_map(Step::Unfollow),
        2 => (0..12usize, packing).prop_map(|(n, packing)| Step::Follow(n, packing)),
        1 => (0..12usize, 0..3usize).prop_map(|(n, track)| Step::FollowTrack(n, track)),
        1 => Just(Step::Join),
    ];
    prop::collection::vec(step, 1..120)
}

/// Opus of 20 ms in one frame that names its speaker and its place among all that was said.
fn audio(speaker: usize, said: u32) -> Vec<u8> {
    let [a, b, c, d] = said.to_be_bytes();
    vec![31 << 3, speaker as u8, a, b, c, d]
}

/// Speaker and place of every frame in a payload, merged or not: frames of five bytes after a head of one or two.
fn frames(payload: &[u8]) -> Vec<(usize, u32)> {
    let frame = |it: &[u8]| (usize::from(it[0]), u32::from_be_bytes([it[1], it[2], it[3], it[4]]));
    payload[payload.len() % 5..].chunks(5).map(frame).collect()
}

/// What has been heard so far, and what must not be heard any more.
#[derive(Default)]
struct Watch {
    numbers: HashSet<(u32, u16)>,
    last: HashMap<u32, u16>,
    /// By speaker: the last word before its gate closed.
    shut_at: [Option<u32>; 3],
}

impl Watch {
    fn look(&mut self, world: &mut World) -> Result<(), TestCaseError> {
        for packet in (0..world.clients.len()).flat_map(|n| world.take_heard(n)).collect::<Vec<_>>() {
            prop_assert!(self.numbers.insert((packet.ssrc, packet.sequence)), "an index was used twice");
            if let Some(before) = self.last.insert(packet.ssrc, packet.sequence) {
                prop_assert!(packet.sequence > before, "a packet overtook another");
            }
            for (speaker, place) in frames(&packet.payload) {
                let is_shut = self.shut_at[speaker].is_some_and(|shut_at| place <= shut_at);
                prop_assert!(!is_shut, "speaker {speaker} was heard after the gate had closed");
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// The clients' own replay windows would refuse an index that comes twice, and `receive` insists that all opens.
    #[test]
    fn no_interleaving_of_commands_and_slices_repeats_reorders_or_leaks(steps in steps(), slice in 1..4usize) {
        let mut world = World::new(1);
        let stage = world.create_stage();
        let speakers: Vec<_> = (0..3).map(|_| world.join_speaker(0, stage)).collect();
        let mut listeners: Vec<_> = (0..8).map(|_| world.join_listener(0, stage, 2)).collect();
        world.slice = Some(slice);
        let (mut said, mut watch) = (0u32, Watch::default());
        for step in steps {
            let peer_of = |n: usize| Some(world.clients[*listeners.get(n)?].peer);
            let command = match step {
                Step::Say(n) => {
                    said += 1;
                    world.start_saying(speakers[n].0, &audio(n, said), 30 + n as u8);
                    continue;
                }
                Step::Turn => {
                    world.now += FRAME / 4;
                    None
                }
                Step::Gate(n, is_open) => {
                    // All that was said is let in before, or it would be what came in after the gate had opened again.
                    world.turn(0, Vec::new());
                    watch.look(&mut world)?;
                    if !is_open {
                        watch.shut_at[n] = Some(said);
                    }
                    Some(Command::SetGate(speakers[n].1, is_open))
                }
                Step::Remove(n) => {
                    let peer = peer_of(n).map(Command::RemovePeer);
                    if n < listeners.len() {
                        listeners.swap_remove(n);
                    }
                    peer
                }
                Step::Unfollow(n) => peer_of(n).map(Command::Unfollow),
                Step::Follow(n, packing) => {
                    peer_of(n).map(|peer| Command::Follow { peer, stage, excluding: None, packing })
                }
                Step::FollowTrack(n, track) => {
                    peer_of(n).map(|peer| Command::FollowTrack(peer, speakers[track].1, Packing::AsSpoken))
                }
                Step::Join => {
                    listeners.push(world.join_listener(0, stage, 2));
                    None
                }
            };
            world.turn(0, command.into_iter().collect());
            watch.look(&mut world)?;
        }
        world.settle();
        watch.look(&mut world)?;
    }
}
