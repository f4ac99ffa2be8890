//! A stage whose listeners live on several workers, and barriers across them.

mod common;

use _dataplane::engine::command::{Command, Event};
use _dataplane::SECOND;
use common::*;

#[test]
fn listeners_on_every_worker_hear_every_speaker() {
    let mut world = World::new(3);
    let stage = world.create_stage();
    let speakers: Vec<_> = (0..3).map(|worker| world.join_speaker(worker, stage).0).collect();
    let listeners: Vec<_> = (0..3).map(|worker| world.join_listener(worker, stage, 3)).collect();
    for round in 0..10u8 {
        world.pass(FRAME);
        for speaker in &speakers {
            world.say(*speaker, &[*speaker as u8, round], 30);
        }
    }
    for listener in listeners {
        let heard = world.take_heard(listener);
        assert_eq!(heard.len(), 30);
        assert!(heard.iter().all(|packet| packet.level == Some(30)));
        assert_eq!(by_slot(&heard).len(), 3);
    }
    assert_eq!(world.count("mirrored_in"), 60);
}

#[test]
fn a_packet_crosses_once_however_many_listen_there() {
    let mut world = World::new(2);
    let stage = world.create_stage();
    let (speaker, _) = world.join_speaker(0, stage);
    for _ in 0..20 {
        world.join_listener(1, stage, 1);
    }
    world.say(speaker, b"once", 30);
    assert_eq!((world.count("mirrored_out"), world.count("packets_out")), (1, 20));
}

#[test]
fn a_closed_gate_holds_on_other_workers_even_for_packets_on_their_way() {
    let mut world = World::new(2);
    let stage = world.create_stage();
    let (speaker, track) = world.join_speaker(0, stage);
    let listener = world.join_listener(1, stage, 1);
    world.start_saying(speaker, b"on its way", 30);
    // The speaker's worker forwards it, then learns of the gate; the listener's learns first.
    world.turn(0, Vec::new());
    world.turn(0, vec![Command::SetGate(track, false)]);
    world.turn(1, vec![Command::SetGate(track, false)]);
    world.settle();
    assert_eq!(world.take_heard(listener), []);
}

#[test]
fn a_worker_without_listeners_gets_no_packets_unless_it_tells_of_the_voices() {
    let mut world = World::new(3);
    let stage = world.create_stage();
    let (speaker, _) = world.join_speaker(1, stage);
    world.broadcast(|| Command::SetMirrors(stage, 0));
    world.say(speaker, b"", 30);
    world.say(speaker, b"hello", 30);
    assert_eq!(world.count("mirrored_out"), 1, "to worker 0, which tells of the voices");
}

#[test]
fn voices_are_told_by_one_worker_for_all_and_only_when_they_change() {
    let mut world = World::new(2);
    let stage = world.create_stage();
    let (loud, loud_track) = world.join_speaker(0, stage);
    let (soft, soft_track) = world.join_speaker(1, stage);
    let (_, _silent_track) = world.join_speaker(1, stage);
    world.take_events();
    for _ in 0..100 {
        world.pass(FRAME);
        world.say(loud, b"loud", 20);
        world.say(soft, b"soft", 40);
    }
    let events = world.take_events();
    let voices: Vec<_> = events.iter().filter(|event| matches!(event, Event::Voices(..))).collect();
    let last = Event::Voices(stage, vec![(loud_track, 20), (soft_track, 40)]);
    assert_eq!(voices.last(), Some(&&last));
    assert!((1..=2).contains(&voices.len()), "two seconds of the same: {voices:?}");
    world.pass(SECOND);
    assert!(world.take_events().contains(&Event::Voices(stage, vec![])));
}

#[test]
fn a_muted_voice_is_not_told() {
    let mut world = World::new(1);
    let stage = world.create_stage();
    let (speaker, track) = world.join_speaker(0, stage);
    world.set_gate(track, false);
    world.take_events();
    for _ in 0..50 {
        world.pass(FRAME);
        world.say(speaker, b"muted", 1);
    }
    assert!(!world.take_events().iter().any(|event| matches!(event, Event::Voices(..))));
}

#[test]
fn a_barrier_is_passed_when_the_last_worker_has_flushed() {
    let mut world = World::new(2);
    let stage = world.create_stage();
    let (speaker, track) = world.join_speaker(0, stage);
    let listener = world.join_listener(0, stage, 1);
    let (ticket, barrier) = world.barrier();
    world.take_events();
    world.start_saying(speaker, b"before the gate", 30);
    world.turn(0, Vec::new());
    assert_eq!(world.take_heard(listener).len(), 1);
    world.turn(0, vec![Command::SetGate(track, false), Command::Barrier(barrier.clone())]);
    assert_eq!(world.take_events(), [Event::Heard(track)]);
    world.turn(1, vec![Command::SetGate(track, false), Command::Barrier(barrier)]);
    assert_eq!(world.take_events(), [Event::Applied(ticket)]);
    world.say(speaker, b"after", 30);
    assert_eq!(world.take_heard(listener), []);
}

#[test]
fn an_engine_without_peers_and_stages_has_nothing_to_wake_for() {
    let mut world = World::new(1);
    assert_eq!(world.engine(0).wakes_at(), None);
    let n = world.create_peer(0);
    assert!(world.engine(0).wakes_at().is_some());
    let peer = world.clients[n].peer;
    world.command(0, Command::RemovePeer(peer));
    assert_eq!(world.engine(0).wakes_at(), None);
}
