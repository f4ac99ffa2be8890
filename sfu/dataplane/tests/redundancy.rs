//! Redundant audio (RFC 2198): older packets travel along to whoever reports that it loses some, and to no one else.

mod common;

use _dataplane::engine::command::{Command, NewTrack, Source};
use _dataplane::engine::lane::Packing;
use _dataplane::ids::Id;
use _dataplane::rtcp::{self, ReportBlock};
use _dataplane::SECOND;
use common::*;

const RED: u8 = 63;

/// Offset and payload of each block, the newest last; its payload type must be Opus's.
fn blocks(payload: &[u8]) -> Vec<(u32, Vec<u8>)> {
    let (mut heads, mut at) = (Vec::new(), 0);
    while payload[at] & 0x80 != 0 {
        let word = u32::from_be_bytes(payload[at..at + 4].try_into().unwrap());
        assert_eq!(payload[at] & 0x7f, OPUS);
        heads.push((word >> 10 & 0x3fff, (word & 0x3ff) as usize));
        at += 4;
    }
    assert_eq!(payload[at], OPUS);
    at += 1;
    let mut blocks = Vec::new();
    for (offset, len) in heads {
        blocks.push((offset, payload[at..at + len].to_vec()));
        at += len;
    }
    blocks.push((0, payload[at..].to_vec()));
    blocks
}

fn offsets(packet: &Heard) -> Vec<u32> {
    blocks(&packet.payload).iter().map(|(offset, _)| *offset).collect()
}

/// The listener's own report on its first slot.
fn report(world: &mut World, n: usize, percent_lost: u32) {
    let block = ReportBlock {
        ssrc: slot_ssrc(n, 0),
        fraction_lost: (256 * percent_lost / 100) as u8,
        ..ReportBlock::default()
    };
    let mut compound = [0; 200];
    let len = rtcp::build_receiver_report(&mut compound, 1, &[block], b"me");
    world.send_rtcp(n, &compound[..len]);
}

fn talk(world: &mut World, speaker: usize, packets: u8) {
    for n in 0..packets {
        world.pass(FRAME);
        world.say(speaker, &[n; 50], 30);
    }
}

/// One speaker, and two listeners who both negotiated redundancy; the first loses a fifth of 100 packets, the second none.
fn lossy_and_clean() -> (World, Id, (usize, Id), usize, usize) {
    let mut world = World::new(1);
    world.red = Some(RED);
    let stage = world.create_stage();
    let speaker = world.join_speaker(0, stage);
    let (lossy, clean) = (world.join_listener(0, stage, 1), world.join_listener(0, stage, 1));
    talk(&mut world, speaker.0, 100);
    assert!(world.take_heard(lossy).iter().all(|packet| packet.payload_type == OPUS), "before any report: none");
    report(&mut world, lossy, 20);
    report(&mut world, clean, 0);
    world.take_heard(clean);
    (world, stage, speaker, lossy, clean)
}

#[test]
fn a_listener_who_reports_loss_gets_older_packets_along_and_another_does_not() {
    let (mut world, _, (speaker, _), lossy, clean) = lossy_and_clean();
    talk(&mut world, speaker, 10);
    let heard = world.take_heard(lossy);
    assert!(is_unbroken(&heard));
    assert_eq!(heard[0].payload_type, OPUS, "nothing is remembered from before");
    assert!(heard[1..].iter().all(|packet| packet.payload_type == RED));
    assert_eq!(offsets(&heard[1]), [960, 0]);
    for (n, packet) in heard.iter().enumerate().skip(2) {
        let expected = [(1_920, vec![n as u8 - 2; 50]), (960, vec![n as u8 - 1; 50]), (0, vec![n as u8; 50])];
        assert_eq!(blocks(&packet.payload), expected);
    }
    let clean = world.take_heard(clean);
    assert_eq!(clean.len(), 10);
    assert!(clean.iter().all(|packet| packet.payload_type == OPUS && packet.payload.len() == 50));
    assert_eq!(world.count("red_packets_out"), 9);
}

#[test]
fn a_listener_without_it_negotiated_never_gets_it() {
    let mut world = World::new(1);
    let stage = world.create_stage();
    let (speaker, _) = world.join_speaker(0, stage);
    let listener = world.join_listener(0, stage, 1);
    talk(&mut world, speaker, 100);
    report(&mut world, listener, 30);
    world.take_heard(listener);
    talk(&mut world, speaker, 10);
    assert!(world.take_heard(listener).iter().all(|packet| packet.payload_type == OPUS));
}

#[test]
fn it_ends_when_the_loss_has_ended() {
    let (mut world, _, (speaker, _), lossy, _) = lossy_and_clean();
    for _ in 0..8 {
        talk(&mut world, speaker, 250);
        report(&mut world, lossy, 0);
    }
    world.take_heard(lossy);
    talk(&mut world, speaker, 10);
    assert!(world.take_heard(lossy).iter().all(|packet| packet.payload_type == OPUS));
}

#[test]
fn what_a_closed_gate_shut_out_travels_with_nothing() {
    let (mut world, _, (speaker, track), lossy, _) = lossy_and_clean();
    talk(&mut world, speaker, 5);
    world.set_gate(track, false);
    world.set_gate(track, true);
    world.take_heard(lossy);
    world.pass(FRAME);
    world.say(speaker, b"after", 30);
    assert_eq!(world.take_heard(lossy)[0].payload, b"after");
}

#[test]
fn packets_of_another_voice_travel_with_nothing_of_the_one_before() {
    let (mut world, stage, (speaker, _), lossy, _) = lossy_and_clean();
    let (other, _) = world.join_speaker(0, stage);
    talk(&mut world, speaker, 5);
    world.pass(SECOND);
    world.take_heard(lossy);
    for _ in 0..5 {
        world.say(other, b"other", 10); // it takes a packet or two to be known as a voice
    }
    assert_eq!(world.take_heard(lossy)[0].payload, b"other");
}

#[test]
fn silence_too_long_for_an_offset_separates() {
    let (mut world, _, (speaker, _), lossy, _) = lossy_and_clean();
    talk(&mut world, speaker, 5);
    world.take_heard(lossy);
    world.clients[speaker].timestamp += 960 * 18; // DTX; 17 * 20 ms is 340 ms, and 341 would still fit
    world.say(speaker, b"later", 30);
    assert_eq!(world.take_heard(lossy)[0].payload, b"later");
    world.say(speaker, b"next", 30);
    assert_eq!(offsets(&world.take_heard(lossy)[0]), [960, 0]);
}

#[test]
fn large_payloads_leave_no_room_and_huge_ones_no_block() {
    let (mut world, _, (speaker, _), lossy, _) = lossy_and_clean();
    for _ in 0..3 {
        world.say(speaker, &[1; 600], 30);
    }
    let heard = world.take_heard(lossy);
    assert!(heard.iter().all(|packet| packet.payload_type == OPUS), "600 and 600 are more than 1,200");
    world.say(speaker, &[2; 1_100], 30);
    world.say(speaker, &[3; 50], 30);
    let heard = world.take_heard(lossy);
    assert_eq!(heard[0].payload.len(), 1_100);
    assert_eq!(offsets(&heard[1]), [1_920, 0], "what was too long for a block is left out");
}

#[test]
fn a_late_packet_is_sent_as_it_is() {
    let (mut world, _, (speaker, _), lossy, _) = lossy_and_clean();
    talk(&mut world, speaker, 5);
    world.take_heard(lossy);
    let source = world.clients[speaker].address;
    let late = world.clients[speaker].seal(b"late", 30);
    world.say(speaker, b"early", 30);
    world.deliver(0, source, late);
    let heard = world.take_heard(lossy);
    assert_eq!(offsets(&heard[0]), [2_880, 1_920, 0], "the one missing is not among them");
    assert_eq!((heard[1].payload_type, &heard[1].payload[..]), (OPUS, &b"late"[..]));
}

#[test]
fn merged_packets_travel_along_whole() {
    let (mut world, stage, (speaker, _), lossy, _) = lossy_and_clean();
    let peer = world.clients[lossy].peer;
    world.command(0, Command::Follow { peer, stage, excluding: None, packing: Packing::Of40Ms });
    let frame = |n: u8| [31 << 3, n, n, n];
    for n in 0..12 {
        world.pass(FRAME);
        world.say(speaker, &frame(n), 30);
    }
    let heard = world.take_heard(lossy);
    assert_eq!(heard.len(), 6);
    assert_eq!(offsets(&heard[5]), [3_840, 1_920, 0]);
    assert_eq!(blocks(&heard[5].payload)[1].1, blocks(&heard[4].payload)[2].1);
}

#[test]
fn a_mix_travels_along_as_a_voice_does() {
    let (mut world, stage, _, lossy, _) = lossy_and_clean();
    let (tap, track) = (world.taps.insert(()).unwrap(), world.tracks.insert(()).unwrap());
    world.command(0, Command::OpenTap { tap, stage, sends: false });
    let new = NewTrack { source: Source::Tap(tap), ssrc: Some(9), ..new_track(stage) };
    world.command(0, Command::AddTrack(track, new));
    world.command(0, Command::FollowTrack(world.clients[lossy].peer, track, Packing::AsSpoken));
    for n in 0..5u8 {
        world.say_by_tap(tap, 9, n, &[n; 80]);
    }
    let heard = world.take_heard(lossy);
    assert_eq!(blocks(&heard[4].payload), [(1_920, vec![2; 80]), (960, vec![3; 80]), (0, vec![4; 80])]);
}

#[test]
fn with_slices_a_closed_gate_shuts_out_what_travels_along_too() {
    let mut world = World::new(1);
    world.red = Some(RED);
    let stage = world.create_stage();
    let (speaker, track) = world.join_speaker(0, stage);
    let listeners: Vec<_> = (0..6).map(|_| world.join_listener(0, stage, 1)).collect();
    talk(&mut world, speaker, 100);
    listeners.iter().for_each(|n| report(&mut world, *n, 20));
    talk(&mut world, speaker, 5);
    listeners.iter().for_each(|n| drop(world.take_heard(*n)));
    world.slice = Some(1);
    world.start_saying(speaker, b"secret", 30);
    world.turn(0, Vec::new());
    world.turn(0, vec![Command::SetGate(track, false)]);
    world.settle();
    let heard: usize = listeners.iter().map(|n| world.take_heard(*n).len()).sum();
    assert!((1..6).contains(&heard));
    world.set_gate(track, true);
    world.say(speaker, b"public", 30);
    assert!(listeners.iter().all(|n| world.take_heard(*n)[0].payload == b"public"));
}

#[test]
fn a_speaker_who_sends_it_is_heard_by_its_newest_payload() {
    let mut world = World::new(1);
    let stage = world.create_stage();
    let speaker = world.join(0);
    world.add_track(speaker, stage, NewTrack { red: Some(RED), ..new_track(stage) });
    let listener = world.join_listener(0, stage, 1);
    let source = world.clients[speaker].address;
    let red = [&[0x80 | OPUS, 0x0f, 0x00, 0x03, OPUS][..], b"old", b"new"].concat();
    let packet = world.clients[speaker].seal_type(RED, &red, 30);
    world.deliver(0, source, packet);
    assert_eq!(world.take_heard(listener)[0].payload, b"new");
    for lie in [&[0x80 | OPUS, 0x0f, 0x00, 0xff, OPUS][..], &[0x80], &[OPUS + 1, 7]] {
        let packet = world.clients[speaker].seal_type(RED, lie, 30);
        world.deliver(0, source, packet);
    }
    assert_eq!(world.take_heard(listener), []);
    assert_eq!(world.count("dropped_rtp_malformed"), 3);
}

#[test]
fn a_listener_that_moves_takes_its_redundancy_along_and_leaves_none_behind() {
    let (mut world, stage, (speaker, track), lossy, clean) = lossy_and_clean();
    world.command(0, Command::FollowTrack(world.clients[lossy].peer, track, Packing::AsSpoken));
    talk(&mut world, speaker, 5);
    assert_eq!(offsets(&world.take_heard(lossy)[4]), [1_920, 960, 0]);
    assert!(world.take_heard(clean).iter().all(|packet| packet.payload_type == OPUS));
    let peer = world.clients[lossy].peer;
    world.command(0, Command::Follow { peer, stage, excluding: None, packing: Packing::AsSpoken });
    talk(&mut world, speaker, 5);
    let heard = world.take_heard(lossy);
    assert_eq!(heard[0].payload_type, OPUS, "nothing from before the cut");
    assert_eq!(offsets(&heard[4]), [1_920, 960, 0]);
}
