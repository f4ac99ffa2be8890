//! Which addresses are answered, which get media, and when a peer is gone.

mod common;

use _dataplane::engine::command::{Command, Event};
use _dataplane::engine::lane::Packing;
use _dataplane::stun;
use _dataplane::{Nanos, MILLISECOND, SECOND};
use common::*;

fn sent_to(world: &World, port: u16) -> Vec<Vec<u8>> {
    world.stray.iter().filter(|(destination, _)| *destination == address(port)).map(|(_, it)| it.clone()).collect()
}

fn moved(world: &mut World, n: usize, port: u16) {
    world.clients[n].address = address(port);
}

#[test]
fn t1_nothing_is_answered_or_remembered_without_our_credentials() {
    let mut world = World::new(1);
    let n = world.create_peer(0);
    let good = world.clients[n].check(true);
    let mut forged = good.clone();
    forged[40] ^= 1;
    let mut other = World::new(1);
    other.create_peer(0);
    let stranger = other.create_peer(0);
    let strange = other.clients[stranger].check(true);
    for datagram in [forged, strange, vec![0; 20], vec![22; 100], vec![128; 100], vec![200; 50], Vec::new()] {
        world.deliver(0, address(9), datagram);
    }
    world.pass(SECOND);
    assert!(world.stray.is_empty());
    assert_eq!(world.take_events(), []);
    assert_eq!(world.count("dropped_unverified_stun"), 3);
    assert_eq!(world.count("dropped_unknown_address"), 2);
    assert_eq!(world.count("dropped_unclassified"), 2);
}

#[test]
fn t1_an_answer_is_smaller_than_its_check() {
    let mut world = World::new(1);
    let n = world.create_peer(0);
    let check = world.clients[n].check(true);
    world.deliver(0, address(9), check.clone());
    let answers = sent_to(&world, 9);
    assert_eq!(answers.len(), 1);
    assert!(answers[0].len() <= check.len());
    let key = stun::Key::new(world.clients[n].pwd.as_bytes());
    assert_eq!(stun::parse_success(&answers[0], &key).unwrap().mapped, address(9));
}

#[test]
fn t4_dtls_from_an_address_without_a_check_is_dropped() {
    let mut world = World::new(1);
    let n = world.create_peer(0);
    world.check(n, true);
    world.take_events();
    world.deliver(0, address(9), vec![22; 200]);
    assert_eq!(world.take_events(), []);
    world.deliver(0, world.clients[n].address, vec![22; 200]);
    assert_eq!(world.take_events(), [Event::Dtls(world.clients[n].peer, vec![22; 200].into())]);
}

#[test]
fn t9_media_from_elsewhere_moves_nothing() {
    let mut world = World::new(1);
    let stage = world.create_stage();
    let (speaker, _) = world.join_speaker(0, stage);
    let listener = world.join_listener(0, stage, 1);
    let packet = world.clients[speaker].seal(b"authentic, from nowhere", 30);
    world.take_events();
    world.deliver(0, address(9), packet);
    assert_eq!((world.take_events(), world.take_heard(listener)), (vec![], vec![]));
}

#[test]
fn t10_no_number_of_bad_packets_ends_a_session() {
    let mut world = World::new(1);
    let stage = world.create_stage();
    let (speaker, _) = world.join_speaker(0, stage);
    let listener = world.join_listener(0, stage, 1);
    let source = world.clients[speaker].address;
    for n in 0..5_000u32 {
        let mut forged = world.clients[speaker].seal_as(0xaaaa_0000, 5_000 + u64::from(n), b"forged", 30);
        let last = forged.len() - 1;
        forged[last] ^= 1;
        world.deliver(0, source, forged);
    }
    world.say(speaker, b"still here", 30);
    assert_eq!(world.take_heard(listener).len(), 1);
    assert_eq!(world.count("dropped_srtp_authentication"), 5_000);
}

#[test]
fn t12_a_replayed_packet_is_heard_once() {
    let mut world = World::new(1);
    let stage = world.create_stage();
    let (speaker, _) = world.join_speaker(0, stage);
    let listener = world.join_listener(0, stage, 1);
    let packet = world.clients[speaker].seal(b"once", 30);
    for _ in 0..10 {
        world.deliver(0, world.clients[speaker].address, packet.clone());
    }
    assert_eq!(world.take_heard(listener).len(), 1);
    assert_eq!(world.count("dropped_srtp_replay"), 9);
}

#[test]
fn t14_a_second_claimant_of_a_track_is_ignored_while_the_first_speaks() {
    let mut world = World::new(1);
    let stage = world.create_stage();
    let (speaker, _) = world.join_speaker(0, stage);
    let listener = world.join_listener(0, stage, 1);
    for n in 0..50u64 {
        world.pass(FRAME);
        world.say(speaker, b"first", 30);
        let claim = world.clients[speaker].seal_as(0xbad, n, b"second", 1);
        world.deliver(0, world.clients[speaker].address, claim);
    }
    assert!(world.take_heard(listener).iter().all(|packet| packet.payload == b"first"));
    assert_eq!(world.count("dropped_foreign_ssrc"), 50);
}

#[test]
fn t14_another_peers_ssrc_stays_the_other_peers() {
    let mut world = World::new(1);
    let stage = world.create_stage();
    let (victim, _) = world.join_speaker(0, stage);
    let (claimant, _) = world.join_speaker(0, stage);
    let listener = world.join_listener(0, stage, 2);
    world.say(victim, b"mine", 30);
    let claim = world.clients[claimant].seal_as(world.clients[victim].ssrc, 1, b"its own", 30);
    world.deliver(0, world.clients[claimant].address, claim);
    let slots = by_slot(&world.take_heard(listener));
    assert_eq!(slots.len(), 2, "same number, different tracks");
}

#[test]
fn a_client_that_starts_again_under_another_ssrc_is_heard_after_two_seconds_of_silence() {
    let mut world = World::new(1);
    let stage = world.create_stage();
    let (speaker, _) = world.join_speaker(0, stage);
    let listener = world.join_listener(0, stage, 1);
    world.say(speaker, b"before", 30);
    world.clients[speaker].ssrc ^= 0xffff;
    world.pass(SECOND);
    world.say(speaker, b"too early", 30);
    world.pass(SECOND);
    world.say(speaker, b"after", 30);
    let heard = world.take_heard(listener);
    assert_eq!(heard.iter().map(|packet| &packet.payload[..]).collect::<Vec<_>>(), [&b"before"[..], b"after"]);
    assert!(is_unbroken(&heard));
}

#[test]
fn t15_a_flood_of_authentic_packets_is_cut_at_its_rate_and_harms_no_one_else() {
    let mut world = World::new(1);
    let stage = world.create_stage();
    let (flooder, _) = world.join_speaker(0, stage);
    let (speaker, _) = world.join_speaker(0, stage);
    let listener = world.join_listener(0, stage, 2);
    for n in 0..5_000u32 {
        world.say(flooder, b"flood", 30);
        if n % 100 == 0 {
            world.say(speaker, b"calm", 30);
        }
    }
    let heard = world.take_heard(listener);
    assert_eq!(heard.iter().filter(|packet| packet.payload == b"calm").count(), 50);
    assert_eq!(heard.iter().filter(|packet| packet.payload == b"flood").count(), 500);
    assert_eq!(world.count("dropped_rate"), 4_500);
}

#[test]
fn t15_an_oversize_datagram_is_dropped_unread() {
    let mut world = World::new(1);
    let stage = world.create_stage();
    let (speaker, _) = world.join_speaker(0, stage);
    world.deliver(0, world.clients[speaker].address, vec![0x80; 1_501]);
    assert_eq!(world.count("dropped_oversize"), 1);
}

#[test]
fn t17_a_bye_for_a_foreign_source_is_ignored() {
    let mut world = World::new(1);
    let stage = world.create_stage();
    let (victim, _) = world.join_speaker(0, stage);
    let (hostile, _) = world.join_speaker(0, stage);
    let listener = world.join_listener(0, stage, 2);
    world.say(victim, b"1", 30);
    world.say(hostile, b"1", 30);
    let ssrc = world.clients[victim].ssrc.to_be_bytes();
    world.send_rtcp(hostile, &[&[0x81, 203, 0, 1], &ssrc[..]].concat());
    world.say(victim, b"2", 30);
    assert_eq!(world.take_heard(listener).len(), 3);
}

#[test]
fn a_bye_for_its_own_source_lets_the_peers_next_source_in_at_once() {
    let mut world = World::new(1);
    let stage = world.create_stage();
    let (speaker, _) = world.join_speaker(0, stage);
    let listener = world.join_listener(0, stage, 1);
    world.say(speaker, b"1", 30);
    let ssrc = world.clients[speaker].ssrc.to_be_bytes();
    world.send_rtcp(speaker, &[&[0x81, 203, 0, 1], &ssrc[..]].concat());
    world.clients[speaker].ssrc = 0x1234;
    world.say(speaker, b"2", 30);
    assert_eq!(world.take_heard(listener).len(), 2);
}

#[test]
fn t5_before_the_keys_no_more_than_three_times_the_bytes_or_three_hellos_go_out() {
    let mut world = World::new(1);
    let n = world.create_peer(0);
    let check = world.clients[n].check(true).len();
    world.check(n, true);
    let peer = world.clients[n].peer;
    let flight = vec![vec![22; 100]; 20];
    world.command(0, Command::SendDtls(peer, flight));
    let answered: usize = world.clients[n].stun.iter().map(Vec::len).sum();
    let sent = world.clients[n].dtls.len() * 100;
    assert!(sent > 0 && answered + sent <= 800.max(3 * check), "{sent} and {answered} bytes for {check}");
    // What waited follows as soon as more has come in.
    world.deliver(0, world.clients[n].address, vec![22; 1_000]);
    assert_eq!(world.clients[n].dtls.len(), 20);
}

#[test]
fn dtls_waits_for_the_first_nomination_and_a_repeated_flight_replaces_what_waits() {
    let mut world = World::new(1);
    let n = world.create_peer(0);
    let peer = world.clients[n].peer;
    world.command(0, Command::SendDtls(peer, vec![vec![22; 50]]));
    world.command(0, Command::SendDtls(peer, vec![vec![23; 60]]));
    assert!(world.clients[n].dtls.is_empty());
    world.check(n, true);
    assert_eq!(world.clients[n].dtls, [vec![23; 60]]);
    assert_eq!(world.take_events(), [Event::Nominated(peer, world.clients[n].address)]);
}

#[test]
fn dtls_for_python_is_bounded_until_python_takes_it() {
    let mut world = World::new(1);
    let n = world.create_peer(0);
    world.check(n, true);
    let source = world.clients[n].address;
    let flood = |world: &mut World| {
        world.take_events();
        (0..40).for_each(|_| world.deliver(0, source, vec![22; 50]));
        world.take_events().len()
    };
    assert_eq!(flood(&mut world), 16);
    assert_eq!(flood(&mut world), 0);
    world.drained.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(flood(&mut world), 16);
    assert_eq!(world.count("dropped_dtls_overflow"), 24 + 40 + 24);
}

#[test]
fn t11_a_moved_peer_gets_media_at_its_new_address_only_after_media_from_there() {
    let mut world = World::new(1);
    let stage = world.create_stage();
    let (speaker, _) = world.join_speaker(0, stage);
    let listener = world.join_listener(0, stage, 1);
    let (old, check) = (world.clients[listener].address, world.clients[listener].check(true));
    world.say(speaker, b"1", 30);
    world.take_events();
    world.deliver(0, address(5), check.clone());
    world.say(speaker, b"2", 30);
    assert_eq!(world.clients[listener].heard.len(), 2, "media stays at {old}");
    let answered: usize = sent_to(&world, 5).iter().map(Vec::len).sum();
    assert!(answered <= check.len());
    moved(&mut world, listener, 5);
    world.send_rtcp(listener, &[0x80, 201, 0, 1, 0, 0, 0, 1]);
    assert_eq!(world.take_events(), [Event::Nominated(world.clients[listener].peer, address(5))]);
    world.take_heard(listener);
    world.say(speaker, b"3", 30);
    assert_eq!(world.take_heard(listener).len(), 1);
    assert_eq!(world.count("migrations"), 1);
}

#[test]
fn t11_an_address_that_was_only_checked_is_no_target_for_dtls() {
    let mut world = World::new(1);
    let n = world.join(0);
    let check = world.clients[n].check(true);
    world.deliver(0, address(5), check);
    let answers = sent_to(&world, 5).len();
    world.deliver(0, address(5), vec![22; 1_000]);
    let peer = world.clients[n].peer;
    world.command(0, Command::SendDtls(peer, vec![vec![22; 10]]));
    assert_eq!(sent_to(&world, 5).len(), answers);
    assert_eq!(world.clients[n].dtls.len(), 1);
}

#[test]
fn a_speaker_whose_address_changes_is_heard_without_a_gap() {
    let mut world = World::new(1);
    let stage = world.create_stage();
    let (speaker, _) = world.join_speaker(0, stage);
    let listener = world.join_listener(0, stage, 1);
    world.say(speaker, b"1", 30);
    moved(&mut world, speaker, 5);
    world.check(speaker, true);
    world.say(speaker, b"2", 30);
    let heard = world.take_heard(listener);
    assert_eq!(heard.len(), 2);
    assert!(is_unbroken(&heard));
}

#[test]
fn the_old_credentials_stay_good_until_the_new_ones_nominate() {
    let mut world = World::new(1);
    let n = world.join(0);
    let (peer, old) = (world.clients[n].peer, world.clients[n].check(false));
    let key = stun::Key::new(b"another-password-of-22-characters");
    world.command(0, Command::RestartIce { peer, ufrag: (*b"anew").into(), key });
    let answered = |world: &mut World, check: Vec<u8>| {
        world.clients[n].stun.clear();
        world.deliver(0, world.clients[n].address, check);
        !world.clients[n].stun.is_empty()
    };
    assert!(answered(&mut world, old.clone()));
    world.clients[n].ufrag = "anew".into();
    world.clients[n].pwd = "another-password-of-22-characters".into();
    let (trying, nominating) = (world.clients[n].check(false), world.clients[n].check(true));
    assert!(answered(&mut world, trying));
    assert!(answered(&mut world, old.clone()));
    assert!(answered(&mut world, nominating));
    assert!(!answered(&mut world, old));
}

#[test]
fn a_second_restart_before_the_first_nominates_replaces_it() {
    let mut world = World::new(1);
    let n = world.join(0);
    let peer = world.clients[n].peer;
    for ufrag in [*b"new1", *b"new2"] {
        let key = stun::Key::new(b"another-password-of-22-characters");
        world.command(0, Command::RestartIce { peer, ufrag: ufrag.into(), key });
    }
    world.clients[n].pwd = "another-password-of-22-characters".into();
    let answered = |world: &mut World, ufrag: &str| {
        world.clients[n].ufrag = ufrag.into();
        world.clients[n].stun.clear();
        world.check(n, false);
        !world.clients[n].stun.is_empty()
    };
    assert!(!answered(&mut world, "new1"));
    assert!(answered(&mut world, "new2"));
}

/// When within the next minute and a half a peer expires, in seconds from now.
fn expiry(world: &mut World, peer: _dataplane::ids::Id) -> Option<Nanos> {
    let begin = world.now;
    for _ in 0..900 {
        world.pass(100 * MILLISECOND);
        if world.take_events().contains(&Event::Expired(peer)) {
            return Some((world.now - begin) / SECOND);
        }
    }
    None
}

#[test]
fn t29_a_peer_that_never_comes_is_gone_after_the_join_timeout() {
    let mut world = World::new(1);
    let n = world.create_peer(0);
    let peer = world.clients[n].peer;
    assert_eq!(expiry(&mut world, peer), Some(JOIN / SECOND));
    assert_eq!(world.count("join_expired"), 1);
    world.check(n, true);
    assert!(world.clients[n].stun.is_empty());
}

#[test]
fn a_peer_unheard_for_30_seconds_is_gone_and_sends_and_receives_no_more() {
    let mut world = World::new(1);
    let stage = world.create_stage();
    let (speaker, _) = world.join_speaker(0, stage);
    let listener = world.join_listener(0, stage, 1);
    let peer = world.clients[listener].peer;
    for _ in 0..300 {
        world.pass(100 * MILLISECOND);
        world.say(speaker, b"on and on", 30);
    }
    world.take_events();
    world.take_heard(listener);
    world.pass(1_100 * MILLISECOND);
    world.say(speaker, b"to no one", 30);
    assert_eq!(world.take_heard(listener), []);
    let events = world.take_events();
    assert!(events.contains(&Event::Expired(peer)));
    assert_eq!(events.iter().filter(|event| matches!(event, Event::Expired(_))).count(), 1);
}

#[test]
fn checks_alone_keep_a_listener_and_forged_ones_do_not() {
    let mut world = World::new(1);
    let n = world.join(0);
    let (peer, source) = (world.clients[n].peer, world.clients[n].address);
    for _ in 0..60 {
        world.pass(SECOND);
        world.check(n, false);
    }
    assert!(!world.take_events().contains(&Event::Expired(peer)));
    for _ in 0..32 {
        world.pass(SECOND);
        let mut forged = world.clients[n].check(false);
        forged[30] ^= 1;
        world.deliver(0, source, forged);
        world.deliver(0, source, vec![0x80; 60]);
    }
    assert!(world.take_events().contains(&Event::Expired(peer)));
}

#[test]
fn an_address_in_use_cannot_be_taken_over_by_another_peers_checks() {
    let mut world = World::new(1);
    let stage = world.create_stage();
    let (victim, _) = world.join_speaker(0, stage);
    let listener = world.join_listener(0, stage, 1);
    let hostile = world.join(0);
    let check = world.clients[hostile].check(true);
    world.deliver(0, world.clients[victim].address, check);
    world.say(victim, b"still heard", 30);
    assert_eq!(world.take_heard(listener).len(), 1);
    assert_eq!(world.count("dropped_foreign_address"), 1);
}

#[test]
fn an_address_left_long_ago_can_be_used_by_another_peer() {
    let mut world = World::new(1);
    let stage = world.create_stage();
    let gone = world.join(0);
    let listener = world.join_listener(0, stage, 1);
    world.pass(10 * SECOND);
    let speaker = world.create_peer(0);
    world.clients[speaker].address = world.clients[gone].address;
    world.clients[gone].address = address(1);
    world.check(speaker, true);
    world.set_keys(speaker);
    world.add_track(speaker, stage, new_track(stage));
    world.say(speaker, b"hello", 30);
    assert_eq!(world.take_heard(listener).len(), 1);
    // The end of the one who left does not end the other.
    let peer = world.clients[gone].peer;
    world.command(0, Command::RemovePeer(peer));
    world.say(speaker, b"hello", 30);
    assert_eq!(world.take_heard(listener).len(), 1);
}

#[test]
fn commands_about_what_is_gone_do_nothing() {
    let mut world = World::new(1);
    let stage = world.create_stage();
    let (speaker, track) = world.join_speaker(0, stage);
    let peer = world.clients[speaker].peer;
    for _ in 0..2 {
        for command in [
            Command::RemovePeer(peer),
            Command::RemoveTrack(track),
            Command::SetGate(track, true),
            Command::Follow { peer, stage, excluding: Some(track), packing: Packing::AsSpoken },
            Command::FollowTrack(peer, track, Packing::AsSpoken),
            Command::Unfollow(peer),
            Command::SendDtls(peer, vec![vec![22; 10]]),
            Command::RequestReport(peer),
            Command::RemoveStage(stage),
        ] {
            world.command(0, command);
        }
    }
    world.take_events();
    world.say(speaker, b"gone", 30);
    assert_eq!(world.take_events(), []);
}
