//! What is said is heard: by whom, in which slot, under which numbers.

mod common;

use _dataplane::engine::command::{Command, Event};
use _dataplane::engine::lane::Packing;
use _dataplane::SECOND;
use common::*;

#[test]
fn a_listener_hears_what_a_speaker_says_in_its_own_stream() {
    let mut world = World::new(1);
    let stage = world.create_stage();
    let (speaker, track) = world.join_speaker(0, stage);
    let listener = world.join_listener(0, stage, 1);
    world.take_events();
    world.say(speaker, b"hello", 30);
    let heard = world.take_heard(listener);
    assert_eq!(heard.len(), 1);
    assert_eq!(heard[0].payload, b"hello");
    assert_eq!((heard[0].ssrc, heard[0].mid.as_deref()), (slot_ssrc(listener, 0), Some(&b"0"[..])));
    assert_eq!((heard[0].sequence, heard[0].timestamp, heard[0].level), (500, 9_000, Some(30)));
    assert!(heard[0].marker);
    assert_eq!(world.take_events(), [Event::Heard(track)]);
    assert_eq!(world.take_heard(speaker), []);
}

#[test]
fn a_stream_is_unbroken_while_speakers_change() {
    let mut world = World::new(1);
    let stage = world.create_stage();
    let (first, _) = world.join_speaker(0, stage);
    let (second, _) = world.join_speaker(0, stage);
    let listener = world.join_listener(0, stage, 1);
    for round in 0..6 {
        let speaker = if round % 2 == 0 { first } else { second };
        for n in 0..50u8 {
            world.pass(FRAME);
            world.say(speaker, &[round, n], 30);
        }
    }
    let heard = world.take_heard(listener);
    // A speaker who stops without a word counts as silent after 200 ms: ten packets of the next one's fifty.
    assert!(heard.len() >= 50 + 5 * 39, "{} packets", heard.len());
    assert!(is_unbroken(&heard));
    for pair in heard.windows(2) {
        let step = pair[1].timestamp.wrapping_sub(pair[0].timestamp);
        assert!((960..=30 * 960).contains(&step), "a step of {step}");
        assert_eq!(pair[1].marker, pair[1].payload[0] != pair[0].payload[0], "the marker tells the change");
    }
    for round in 0..6 {
        assert!(heard.iter().any(|packet| packet.payload[0] == round), "round {round} was heard");
    }
}

#[test]
fn loss_on_the_way_in_stays_visible_on_the_way_out() {
    let mut world = World::new(1);
    let stage = world.create_stage();
    let (speaker, _) = world.join_speaker(0, stage);
    let listener = world.join_listener(0, stage, 1);
    for n in 0..10u8 {
        if n == 4 {
            world.clients[speaker].seal(b"lost", 30);
        } else {
            world.say(speaker, &[n], 30);
        }
    }
    let sequences: Vec<_> = world.take_heard(listener).iter().map(|packet| packet.sequence).collect();
    assert_eq!(sequences, [500, 501, 502, 503, 505, 506, 507, 508, 509]);
}

#[test]
fn each_of_k_speakers_keeps_one_of_k_slots() {
    let mut world = World::new(1);
    let stage = world.create_stage();
    let speakers: Vec<_> = (0..3).map(|_| world.join_speaker(0, stage).0).collect();
    let listener = world.join_listener(0, stage, 3);
    for round in 0..20u8 {
        world.pass(FRAME);
        for (n, speaker) in speakers.iter().enumerate() {
            world.say(*speaker, &[n as u8, round], 30 + (round * 7 + n as u8 * 13) % 90);
        }
    }
    let slots = by_slot(&world.take_heard(listener));
    assert_eq!(slots.len(), 3);
    for payloads in slots.values() {
        assert_eq!(payloads.len(), 20);
        assert!(payloads.iter().all(|payload| payload[0] == payloads[0][0]), "one speaker a slot");
    }
}

#[test]
fn with_fewer_slots_than_speakers_the_loudest_are_heard() {
    let mut world = World::new(1);
    let stage = world.create_stage();
    let speakers: Vec<_> = (0..4).map(|_| world.join_speaker(0, stage).0).collect();
    let listener = world.join_listener(0, stage, 2);
    let levels = [100, 25, 100, 30];
    for _ in 0..100 {
        world.pass(FRAME);
        for (n, speaker) in speakers.iter().enumerate() {
            world.say(*speaker, &[n as u8], levels[n]);
        }
    }
    let heard = world.take_heard(listener);
    let late = &heard[heard.len() / 2..];
    assert!(late.iter().all(|packet| [1, 3].contains(&packet.payload[0])));
    for slot in 0..2 {
        let of_slot: Vec<_> = heard.iter().filter(|it| it.ssrc == slot_ssrc(listener, slot)).cloned().collect();
        assert!(is_unbroken(&of_slot));
    }
}

#[test]
fn a_speaker_does_not_hear_itself() {
    let mut world = World::new(1);
    let stage = world.create_stage();
    let (first, first_track) = world.join_speaker(0, stage);
    let (second, second_track) = world.join_speaker(0, stage);
    for (speaker, track) in [(first, first_track), (second, second_track)] {
        world.add_slots(speaker, 2);
        let peer = world.clients[speaker].peer;
        world.command(0, Command::Follow { peer, stage, excluding: Some(track), packing: Packing::AsSpoken });
    }
    world.say(first, b"first", 30);
    world.say(second, b"second", 30);
    let payloads = |heard: Vec<Heard>| heard.into_iter().map(|packet| packet.payload).collect::<Vec<_>>();
    assert_eq!(payloads(world.take_heard(first)), [b"second"]);
    assert_eq!(payloads(world.take_heard(second)), [b"first"]);
}

#[test]
fn nothing_of_a_muted_speaker_is_heard_and_its_return_leaves_no_gap() {
    let mut world = World::new(1);
    let stage = world.create_stage();
    let (speaker, track) = world.join_speaker(0, stage);
    let listener = world.join_listener(0, stage, 1);
    world.say(speaker, b"before", 30);
    world.set_gate(track, false);
    for _ in 0..100 {
        world.pass(FRAME);
        world.say(speaker, b"muted", 10);
    }
    world.set_gate(track, true);
    world.say(speaker, b"after", 30);
    let heard = world.take_heard(listener);
    assert_eq!(heard.iter().map(|packet| &packet.payload[..]).collect::<Vec<_>>(), [&b"before"[..], b"after"]);
    assert!(is_unbroken(&heard));
    assert_eq!(world.count("dropped_gate_closed"), 100);
}

#[test]
fn a_muted_voice_displaces_no_one() {
    let mut world = World::new(1);
    let stage = world.create_stage();
    let (speaker, _) = world.join_speaker(0, stage);
    let (muted, muted_track) = world.join_speaker(0, stage);
    let listener = world.join_listener(0, stage, 1);
    world.set_gate(muted_track, false);
    for _ in 0..100 {
        world.pass(FRAME);
        world.say(muted, b"loud", 1);
        world.say(speaker, b"soft", 45);
    }
    let heard = world.take_heard(listener);
    assert_eq!(heard.len(), 100);
    assert!(heard.iter().all(|packet| packet.payload == b"soft"));
}

#[test]
fn a_packet_that_waits_in_the_socket_when_the_gate_closes_is_not_heard() {
    let mut world = World::new(1);
    let stage = world.create_stage();
    let (speaker, track) = world.join_speaker(0, stage);
    let listener = world.join_listener(0, stage, 1);
    world.start_saying(speaker, b"waiting", 30);
    world.command(0, Command::SetGate(track, false));
    assert_eq!(world.take_heard(listener), []);
}

#[test]
fn a_removed_listener_gets_no_further_packet_and_the_others_all() {
    let mut world = World::new(1);
    let stage = world.create_stage();
    let (speaker, _) = world.join_speaker(0, stage);
    let listeners: Vec<_> = (0..5).map(|_| world.join_listener(0, stage, 1)).collect();
    world.say(speaker, b"1", 30);
    let peer = world.clients[listeners[1]].peer;
    world.start_saying(speaker, b"2", 30);
    world.command(0, Command::RemovePeer(peer));
    world.pass(3 * SECOND);
    let counts: Vec<_> = listeners.iter().map(|listener| world.clients[*listener].heard.len()).collect();
    assert_eq!(counts, [2, 1, 2, 2, 2]);
    world.clients[listeners[1]].rtcp.clear();
    world.pass(3 * SECOND);
    assert!(world.clients[listeners[1]].rtcp.is_empty());
}

#[test]
fn listeners_come_go_and_change_sides_in_any_order_and_each_hears_what_it_follows() {
    let mut world = World::new(1);
    let stages = [world.create_stage(), world.create_stage()];
    let speakers = stages.map(|stage| world.join_speaker(0, stage).0);
    // What each listener follows: a stage, nothing, or it is gone.
    let mut follows: Vec<(usize, Option<usize>)> = Vec::new();
    let mut state = 12_345u32;
    for _ in 0..400 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (action, choice) = (state >> 28, (state >> 8) as usize);
        if action < 4 || follows.is_empty() {
            follows.push((world.join_listener(0, stages[0], 1), Some(0)));
            continue;
        }
        let n = choice % follows.len();
        let (peer, stage) = (world.clients[follows[n].0].peer, choice % 2);
        match action {
            4..8 => {
                world.command(0, Command::RemovePeer(peer));
                follows.swap_remove(n);
            }
            8..10 => {
                world.command(0, Command::Unfollow(peer));
                follows[n].1 = None;
            }
            _ => {
                world.command(
                    0,
                    Command::Follow { peer, stage: stages[stage], excluding: None, packing: Packing::AsSpoken },
                );
                follows[n].1 = Some(stage);
            }
        }
        for (stage, speaker) in speakers.into_iter().enumerate() {
            world.say(speaker, &[stage as u8], 30);
        }
        let heard: Vec<_> =
            (0..world.clients.len()).filter_map(|n| Some((n, world.take_heard(n).pop()?.payload))).collect();
        let mut expected: Vec<_> = follows.iter().filter_map(|(n, stage)| Some((*n, vec![(*stage)? as u8]))).collect();
        expected.sort();
        assert_eq!(heard, expected);
        assert_eq!(world.count("listeners_now") as usize, expected.len());
    }
}

#[test]
fn a_removed_speaker_is_not_heard() {
    let mut world = World::new(1);
    let stage = world.create_stage();
    let (speaker, _) = world.join_speaker(0, stage);
    let listener = world.join_listener(0, stage, 1);
    world.start_saying(speaker, b"too late", 30);
    let peer = world.clients[speaker].peer;
    world.command(0, Command::RemovePeer(peer));
    assert_eq!(world.take_heard(listener), []);
    assert_eq!(world.count("dropped_unknown_address"), 1);
}

#[test]
fn a_listener_who_sends_media_anyway_is_not_heard() {
    let mut world = World::new(1);
    let stage = world.create_stage();
    let sender = world.join_listener(0, stage, 1);
    let listener = world.join_listener(0, stage, 1);
    world.say(sender, b"hear me", 1);
    assert_eq!(world.take_heard(listener), []);
    assert_eq!(world.count("dropped_no_track"), 1);
}

#[test]
fn a_listener_without_keys_gets_nothing() {
    let mut world = World::new(1);
    let stage = world.create_stage();
    let (speaker, _) = world.join_speaker(0, stage);
    let listener = world.create_peer(0);
    world.check(listener, true);
    world.add_slots(listener, 1);
    let peer = world.clients[listener].peer;
    world.command(0, Command::Follow { peer, stage, excluding: None, packing: Packing::AsSpoken });
    world.say(speaker, b"not yet", 30);
    assert_eq!(world.take_heard(listener), []);
    world.set_keys(listener);
    world.say(speaker, b"now", 30);
    let heard = world.take_heard(listener);
    assert_eq!((heard.len(), heard[0].sequence), (1, 500), "the stream begins with its first packet");
}

#[test]
fn moving_to_another_stage_and_back_breaks_no_stream() {
    let mut world = World::new(1);
    let stages = [world.create_stage(), world.create_stage()];
    let speakers = stages.map(|stage| world.join_speaker(0, stage).0);
    let listener = world.join_listener(0, stages[0], 1);
    let peer = world.clients[listener].peer;
    for stage in [0, 1, 0, 1] {
        world.command(0, Command::Follow { peer, stage: stages[stage], excluding: None, packing: Packing::AsSpoken });
        for speaker in speakers {
            world.pass(FRAME);
            world.say(speaker, &[speaker as u8], 30);
        }
    }
    world.command(0, Command::Unfollow(peer));
    world.say(speakers[1], b"unheard", 30);
    let heard = world.take_heard(listener);
    assert_eq!(heard.len(), 4);
    assert!(is_unbroken(&heard));
    assert!(heard.windows(2).all(|pair| pair[0].payload != pair[1].payload));
}

#[test]
fn following_one_track_ignores_loudness() {
    let mut world = World::new(1);
    let stage = world.create_stage();
    let (loud, _) = world.join_speaker(0, stage);
    let (soft, soft_track) = world.join_speaker(0, stage);
    let listener = world.join_listener(0, stage, 1);
    let peer = world.clients[listener].peer;
    world.command(0, Command::FollowTrack(peer, soft_track, Packing::AsSpoken));
    for _ in 0..50 {
        world.pass(FRAME);
        world.say(loud, b"loud", 5);
        world.say(soft, b"soft", 127);
    }
    let heard = world.take_heard(listener);
    assert_eq!(heard.len(), 50);
    assert!(heard.iter().all(|packet| packet.payload == b"soft"));
}

#[test]
fn a_slot_added_while_following_carries_one_speaker_more() {
    let mut world = World::new(1);
    let stage = world.create_stage();
    let speakers: Vec<_> = (0..2).map(|_| world.join_speaker(0, stage).0).collect();
    let listener = world.join_listener(0, stage, 1);
    let say = |world: &mut World| speakers.iter().for_each(|speaker| world.say(*speaker, &[*speaker as u8], 30));
    say(&mut world);
    assert_eq!(world.take_heard(listener).len(), 1);
    let new = _dataplane::engine::command::NewSlot {
        ssrc: 9,
        template: _dataplane::rtp::Template::new(9, OPUS, None, 0, 0).unwrap(),
        red: None,
        first_sequence: 1,
        first_timestamp: 1,
    };
    let peer = world.clients[listener].peer;
    world.command(0, Command::AddSlot(peer, new));
    say(&mut world);
    assert_eq!(world.take_heard(listener).len(), 2);
}

#[test]
fn packets_of_one_turn_share_a_message_and_padding_makes_them_equal() {
    let mut world = World::new(1);
    let stage = world.create_stage();
    let speakers: Vec<_> = (0..4).map(|_| world.join_speaker(0, stage).0).collect();
    let listener = world.join_listener(0, stage, 4);
    for (n, speaker) in speakers.iter().enumerate() {
        world.start_saying(*speaker, &vec![n as u8; 60 + 10 * ((n * 3) % 4)], 30);
    }
    world.settle();
    let heard = world.take_heard(listener);
    let sizes: Vec<_> = heard.iter().map(|packet| packet.payload.len()).collect();
    assert_eq!(sizes, [60, 90, 80, 70], "the padding is gone when a packet is opened");
    assert!(heard.iter().all(|packet| packet.segments == 4));
}

#[test]
fn a_removed_stage_leaves_its_listeners_in_silence() {
    let mut world = World::new(1);
    let stage = world.create_stage();
    let (speaker, _) = world.join_speaker(0, stage);
    let listener = world.join_listener(0, stage, 1);
    world.broadcast(|| Command::RemoveStage(stage));
    world.say(speaker, b"to no one", 30);
    assert_eq!(world.take_heard(listener), []);
    let next = world.create_stage();
    let (speaker, _) = world.join_speaker(0, next);
    let peer = world.clients[listener].peer;
    world.command(0, Command::Follow { peer, stage: next, excluding: None, packing: Packing::AsSpoken });
    world.say(speaker, b"elsewhere", 30);
    assert_eq!(world.take_heard(listener).len(), 1);
}

#[test]
fn a_stream_survives_the_rollover_of_its_sequence_numbers() {
    let mut world = World::new(1);
    let stage = world.create_stage();
    let (speaker, _) = world.join_speaker(0, stage);
    let listener = world.join_listener(0, stage, 1);
    world.clients[speaker].sequence = (1 << 16) - 3;
    for n in 0..70_000u32 {
        world.now += FRAME;
        if n % 500 == 0 {
            world.check(listener, true);
        }
        world.say(speaker, &n.to_be_bytes(), 30);
    }
    let heard = world.take_heard(listener);
    assert_eq!(heard.len(), 70_000);
    assert!(is_unbroken(&heard));
}
