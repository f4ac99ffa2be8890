//! RTCP both ways: sender reports that align streams, receiver reports to publishers, and what listeners report.

mod common;

use std::time::Duration;

use _dataplane::engine::command::{Command, Event, Report};
use _dataplane::ids::Id;
use _dataplane::rtcp::{self, Item, ReportBlock};
use _dataplane::SECOND;
use common::*;

fn report(world: &mut World, n: usize) -> Report {
    let peer = world.clients[n].peer;
    world.take_events();
    world.command(world.clients[n].worker, Command::RequestReport(peer));
    match world.take_events()[..] {
        [Event::Report(id, report)] if id == peer => report,
        ref other => panic!("{other:?}"),
    }
}

fn talk(world: &mut World, speaker: usize, packets: u32) {
    for _ in 0..packets {
        world.pass(FRAME);
        world.say(speaker, &[7; 50], 30);
    }
}

fn stage_with_one_of_each() -> (World, Id, usize, usize) {
    let mut world = World::new(1);
    let stage = world.create_stage();
    let (speaker, _) = world.join_speaker(0, stage);
    let listener = world.join_listener(0, stage, 1);
    (world, stage, speaker, listener)
}

#[test]
fn the_first_packet_is_followed_by_a_sender_report_and_then_one_every_two_seconds() {
    let (mut world, _, speaker, listener) = stage_with_one_of_each();
    world.say(speaker, b"first", 30);
    assert_eq!(world.clients[listener].rtcp.len(), 1);
    talk(&mut world, speaker, 500);
    let reports = world.clients[listener].rtcp.len() - 1;
    assert!((4..=6).contains(&reports), "{reports} in ten seconds");
}

#[test]
fn a_sender_report_says_when_the_last_packet_was() {
    let (mut world, _, speaker, listener) = stage_with_one_of_each();
    talk(&mut world, speaker, 200);
    world.clients[listener].rtcp.clear();
    world.pass(2 * SECOND);
    let heard = world.take_heard(listener);
    let (ssrc, info) = sender_reports(&world.clients[listener].rtcp[0])[0];
    assert_eq!(ssrc, heard[0].ssrc);
    assert_eq!((info.packets, info.octets), (200, 200 * 50));
    // The report's two clocks, run back to the last packet, meet it.
    let sent_at = (info.ntp - NTP_AT_ZERO) as f64 / (1u64 << 32) as f64;
    let last_packet_at = (world.now - 2 * SECOND) as f64 / SECOND as f64;
    let elapsed = (sent_at - last_packet_at) * 48_000.0;
    let ticks = f64::from(info.rtp_timestamp.wrapping_sub(heard.last().unwrap().timestamp));
    assert!((ticks - elapsed).abs() < 2.0, "{ticks} ticks against {elapsed}");
}

#[test]
fn reports_of_two_slots_align_what_was_said_at_once() {
    let mut world = World::new(1);
    let stage = world.create_stage();
    let speakers: Vec<_> = (0..2).map(|_| world.join_speaker(0, stage).0).collect();
    let listener = world.join_listener(0, stage, 2);
    for _ in 0..150 {
        world.pass(FRAME);
        speakers.iter().for_each(|speaker| world.say(*speaker, &[*speaker as u8], 30));
    }
    let heard = world.take_heard(listener);
    let reports = sender_reports(world.clients[listener].rtcp.last().unwrap());
    assert_eq!(reports.len(), 2);
    assert_eq!(reports[0].1.ntp, reports[1].1.ntp);
    let offsets = reports.iter().map(|(ssrc, info)| {
        let last = heard.iter().rev().find(|packet| packet.ssrc == *ssrc).unwrap();
        info.rtp_timestamp.wrapping_sub(last.timestamp) as i32
    });
    let offsets: Vec<_> = offsets.collect();
    assert_eq!(offsets[0], offsets[1]);
}

#[test]
fn a_silent_slot_is_not_reported() {
    let (mut world, _, _, listener) = stage_with_one_of_each();
    world.pass(5 * SECOND);
    assert!(world.clients[listener].rtcp.is_empty());
}

#[test]
fn a_publisher_learns_every_second_what_was_lost() {
    let (mut world, _, speaker, _) = stage_with_one_of_each();
    for n in 0..400 {
        world.pass(FRAME);
        if n % 4 == 0 {
            world.clients[speaker].seal(b"lost", 30);
        } else {
            world.say(speaker, b"kept", 30);
        }
    }
    let blocks = world.clients[speaker].rtcp.iter().flat_map(|compound| {
        rtcp::parse(compound).filter_map(|item| match item {
            Item::ReceiverReport { mut blocks, .. } => blocks.next(),
            _ => None,
        })
    });
    let blocks: Vec<_> = blocks.collect();
    assert!((7..=9).contains(&blocks.len()), "{} in eight seconds", blocks.len());
    let last = blocks.last().unwrap();
    assert_eq!(last.ssrc, world.clients[speaker].ssrc);
    assert!((60..=68).contains(&last.fraction_lost), "a quarter of 256, not {}", last.fraction_lost);
    let lost = report(&mut world, speaker).lost_fraction;
    assert!((lost - 0.25).abs() < 0.02);
}

#[test]
fn a_publishers_own_report_comes_back_to_it_for_its_round_trip() {
    let (mut world, _, speaker, _) = stage_with_one_of_each();
    world.say(speaker, b"hello", 30);
    let info = rtcp::SenderInfo { ntp: 0x1234_5678_9abc_def0, rtp_timestamp: 0, packets: 1, octets: 5 };
    let mut compound = [0; 200];
    let len = rtcp::build_sender_report(&mut compound, world.clients[speaker].ssrc, &info, b"me");
    world.send_rtcp(speaker, &compound[..len]);
    world.pass(2 * SECOND);
    let last = world.clients[speaker].rtcp.last().unwrap();
    let block = rtcp::parse(last).find_map(|item| match item {
        Item::ReceiverReport { mut blocks, .. } => blocks.next(),
        _ => None,
    });
    let block = block.unwrap();
    assert_eq!(block.last_sr, 0x5678_9abc);
    assert!(block.delay_since_last_sr > 0 && block.delay_since_last_sr <= 2 << 16);
}

#[test]
fn loss_jitter_and_round_trip_are_read_from_a_listeners_report() {
    let (mut world, _, speaker, listener) = stage_with_one_of_each();
    talk(&mut world, speaker, 100);
    let (ssrc, info) = sender_reports(world.clients[listener].rtcp.last().unwrap())[0];
    let sent_at = ((u128::from(info.ntp - NTP_AT_ZERO) * u128::from(SECOND)) >> 32) as u64;
    let block = ReportBlock {
        ssrc,
        fraction_lost: 64,
        jitter: 480,
        last_sr: (info.ntp >> 16) as u32,
        delay_since_last_sr: 1 << 15,
        ..ReportBlock::default()
    };
    let foreign = ReportBlock { ssrc: ssrc ^ 1, fraction_lost: 255, ..block };
    let mut compound = [0; 200];
    let len = rtcp::build_receiver_report(&mut compound, 1, &[block, foreign], b"me");
    // Half a second at the listener, 80 ms on the way.
    world.now = sent_at + Duration::from_millis(580).as_nanos() as u64;
    world.send_rtcp(listener, &compound[..len]);
    let report = report(&mut world, listener);
    assert_eq!((report.lost_fraction, report.jitter_s), (0.25, 0.01));
    assert!((report.round_trip_s - 0.080).abs() < 0.001);
    assert_eq!((report.packets_out, report.bytes_out), (100, 100 * 50));
    assert_eq!((world.count("rr_lost_le_25pct"), world.count("rr_lost_le_inf")), (1, 0));
    assert_eq!((world.count("rr_jitter_le_10ms"), world.count("rr_rtt_le_100ms")), (1, 1));
}

#[test]
fn a_speaker_is_told_what_came_in() {
    let (mut world, _, speaker, _) = stage_with_one_of_each();
    talk(&mut world, speaker, 10);
    let report = report(&mut world, speaker);
    assert_eq!(report.packets_in, 10);
    assert!(report.bytes_in > 10 * 50);
}
