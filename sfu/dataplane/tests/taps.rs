//! Plain RTP out to a program and in from one.

mod common;

use _dataplane::engine::command::{Command, NewTrack, Source};
use _dataplane::engine::TAP_LEVEL_ID;
use _dataplane::ids::Id;
use _dataplane::rtp;
use common::*;

fn open_tap(world: &mut World, stage: Id, sends: bool) -> Id {
    let tap = world.taps.insert(()).unwrap();
    world.command(0, Command::OpenTap { tap, stage, sends });
    tap
}

fn add_tap_track(world: &mut World, tap: Id, stage: Id, ssrc: u32) -> Id {
    let track = world.tracks.insert(()).unwrap();
    let new = NewTrack { source: Source::Tap(tap), ssrc: Some(ssrc), ..new_track(stage) };
    world.command(0, Command::AddTrack(track, new));
    track
}

fn feed(world: &mut World, tap: Id, ssrc: u32, sequence: u16, payload: &[u8]) {
    let template = rtp::Template::new(ssrc, 96, None, 0, 0).unwrap();
    let mut packet = [0; 200];
    let header_len = template.write(&mut packet, false, sequence, u32::from(sequence) * 960, None);
    packet[header_len..header_len + payload.len()].copy_from_slice(payload);
    let now = world.now;
    world.engine(0).on_tap_packet(tap, &packet[..header_len + payload.len()], now);
    world.turn(0, Vec::new());
}

#[test]
fn a_tap_gets_every_packet_heard_on_its_stage_in_plain_under_the_tracks_id() {
    let mut world = World::new(2);
    let stage = world.create_stage();
    open_tap(&mut world, stage, true);
    let (here, here_track) = world.join_speaker(0, stage);
    let (there, there_track) = world.join_speaker(1, stage);
    let (muted, muted_track) = world.join_speaker(0, stage);
    world.set_gate(muted_track, false);
    for speaker in [here, there, muted] {
        world.say(speaker, &[speaker as u8; 9], 33);
    }
    let sources: Vec<_> = world.to_taps.iter().map(|(_, packet)| rtp::parse(packet).unwrap().ssrc).collect();
    assert_eq!(sources.iter().map(|ssrc| u64::from(*ssrc)).collect::<Vec<_>>(), [here_track.raw(), there_track.raw()]);
    for ((_, packet), speaker) in world.to_taps.iter().zip([here, there]) {
        let header = rtp::parse(packet).unwrap();
        assert_eq!(rtp::payload(packet, &header).unwrap(), [speaker as u8; 9]);
        assert_eq!(rtp::audio_level(packet, &header, TAP_LEVEL_ID).unwrap().level, 33);
        assert_eq!(header.sequence, world.clients[speaker].sequence as u16);
    }
}

#[test]
fn what_a_tap_speaks_is_heard_and_does_not_come_back_to_it() {
    let mut world = World::new(1);
    let stage = world.create_stage();
    let (tap, other) = (open_tap(&mut world, stage, true), open_tap(&mut world, stage, true));
    let track = add_tap_track(&mut world, tap, stage, 7);
    let listener = world.join_listener(0, stage, 1);
    feed(&mut world, tap, 7, 1, b"the mix");
    feed(&mut world, tap, 8, 1, b"no such track");
    assert_eq!(world.take_heard(listener).iter().map(|it| &it.payload[..]).collect::<Vec<_>>(), [b"the mix"]);
    let taps: Vec<_> = world.to_taps.iter().map(|(tap, _)| *tap).collect();
    assert_eq!(taps, [other]);
    world.set_gate(track, false);
    feed(&mut world, tap, 7, 2, b"muted");
    assert_eq!(world.take_heard(listener), []);
}

#[test]
fn a_repeated_sequence_number_of_a_tap_is_never_sealed_again() {
    let mut world = World::new(1);
    let stage = world.create_stage();
    let tap = open_tap(&mut world, stage, false);
    add_tap_track(&mut world, tap, stage, 7);
    let listener = world.join_listener(0, stage, 1);
    for sequence in [1, 2, 2, 1, 3, 0, 0] {
        feed(&mut world, tap, 7, sequence, &sequence.to_be_bytes());
    }
    // 0 is older than the first packet, where the stream began.
    let sequences: Vec<_> = world.take_heard(listener).iter().map(|packet| packet.sequence).collect();
    assert_eq!(sequences, [500, 501, 502]);
}

#[test]
fn a_closed_taps_tracks_are_gone() {
    let mut world = World::new(1);
    let stage = world.create_stage();
    let tap = open_tap(&mut world, stage, true);
    add_tap_track(&mut world, tap, stage, 7);
    let (speaker, _) = world.join_speaker(0, stage);
    let listener = world.join_listener(0, stage, 1);
    world.command(0, Command::CloseTap(tap));
    feed(&mut world, tap, 7, 1, b"closed");
    world.say(speaker, b"not tapped", 30);
    assert_eq!(world.take_heard(listener).len(), 1);
    assert!(world.to_taps.is_empty());
}

#[test]
fn malformed_plain_rtp_is_counted_and_dropped() {
    let mut world = World::new(1);
    let stage = world.create_stage();
    let tap = open_tap(&mut world, stage, false);
    for len in 0..12 {
        let now = world.now;
        world.engine(0).on_tap_packet(tap, &[0x80; 12][..len], now);
    }
    assert_eq!(world.count("dropped_rtp_malformed"), 12);
}
