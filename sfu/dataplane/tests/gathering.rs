//! Packets of several voices gather after a long round, and only then.

mod common;

use _dataplane::MILLISECOND;
use common::*;

/// Two speakers and ten listeners, each served in a slice of its own, a millisecond apart.
fn scene() -> (World, [usize; 2], Vec<usize>) {
    let mut world = World::new(1);
    let stage = world.create_stage();
    let speakers = [world.join_speaker(0, stage).0, world.join_speaker(0, stage).0];
    let listeners = (0..10).map(|_| world.join_listener(0, stage, 2)).collect();
    world.slice = Some(1);
    (world, speakers, listeners)
}

/// Serves what is there to the end, each slice taking a millisecond; how long it took.
fn serve(world: &mut World) -> u64 {
    let began = world.now;
    world.turn(0, Vec::new());
    while world.engine(0).is_serving() {
        world.now += MILLISECOND;
        world.turn(0, Vec::new());
    }
    world.now - began
}

fn heard(world: &World, listeners: &[usize]) -> usize {
    listeners.iter().map(|n| world.clients[*n].heard.len()).sum()
}

#[test]
fn after_a_long_round_of_several_voices_packets_gather_for_four_times_as_long_but_at_most_12_ms() {
    let (mut world, [first, second], listeners) = scene();
    let began = world.now;
    world.start_saying(first, b"one", 30);
    world.start_saying(second, b"two", 30);
    let took = serve(&mut world);
    assert!(took >= 4 * MILLISECOND, "ten slices: {took}");
    let before = heard(&world, &listeners);
    world.start_saying(first, b"three", 30);
    world.turn(0, Vec::new());
    assert!(!world.engine(0).is_serving());
    assert_eq!(heard(&world, &listeners), before, "nobody is served yet");
    let due_at = world.engine(0).wakes_at().expect("a time to wake");
    assert_eq!(due_at, began + 12 * MILLISECOND);
    world.start_saying(second, b"four", 30);
    world.now = due_at;
    serve(&mut world);
    assert_eq!(heard(&world, &listeners), before + 2 * listeners.len(), "both, to each");
}

#[test]
fn a_single_voice_never_waits() {
    let (mut world, [first, _], listeners) = scene();
    world.start_saying(first, b"one", 30);
    assert!(serve(&mut world) >= 4 * MILLISECOND);
    let before = heard(&world, &listeners);
    world.start_saying(first, b"two", 30);
    serve(&mut world);
    assert_eq!(heard(&world, &listeners), before + listeners.len());
}

#[test]
fn short_rounds_are_followed_at_once() {
    let (mut world, [first, second], listeners) = scene();
    for number in 1..=3 {
        world.start_saying(first, b"one", 30);
        world.start_saying(second, b"two", 30);
        world.settle(); // in no time at all
        assert_eq!(heard(&world, &listeners), 2 * number * listeners.len());
    }
}
