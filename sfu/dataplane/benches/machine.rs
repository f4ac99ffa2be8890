//! What our part of a delivered packet costs, without the kernel's: `cargo bench --no-default-features --bench machine`.
//!
//! An engine with a wire that leads nowhere: one turn with a packet from each speaker, written and sealed for every
//! listener. CPU time of this thread, the best of several rounds. The bench `seal` says how
//! much of it is AES-GCM.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;

use _dataplane::arena::{Arena, Outbox, Wire};
use _dataplane::counters::Counters;
use _dataplane::edge::udp::OUTBOX;
use _dataplane::engine::command::{Command, NewSlot, NewTrack, Source};
use _dataplane::engine::lane::Packing;
use _dataplane::engine::{mirror, Engine, Settings};
use _dataplane::ids::{Id, Kind, Registry};
use _dataplane::rtp::{AudioLevel, Template};
use _dataplane::srtp::{Opener, Profile, Sealer};
use _dataplane::{stun, Nanos, MILLISECOND, SECOND};

const PAYLOAD: usize = 80;
const ROUNDS: usize = 5;
const PACKETS_PER_ROUND: usize = 1_000_000;
const PWD: &[u8] = b"a-password-of-at-least-22-characters";
const KEY: [u8; 28] = [7; 28];

struct Nowhere;

impl Wire for Nowhere {
    fn send(&mut self, arena: &Arena) {
        std::hint::black_box(arena);
    }
}

struct Bench {
    engine: Engine,
    arena: Arena,
    peers: Registry<()>,
    now: Nanos,
}

fn main() {
    // First, while the allocator has nothing left over from before.
    let (one, ten) = (bytes(10_000, 1), bytes(20_000, 10));
    println!("a listener of one slot takes {one} bytes, one of ten {ten}");
    println!("{:>8}{:>10}{:>12}", "speakers", "listeners", "ns/packet");
    for (speakers, listeners) in [(1, 100), (1, 1_000), (1, 10_000), (10, 100), (10, 1_000), (10, 3_000), (10, 10_000)]
    {
        println!("{speakers:>8}{listeners:>10}{:>12.0}", run(speakers, listeners));
    }
}

fn run(speakers: usize, listeners: usize) -> f64 {
    let (mut bench, sources) = populate(speakers, listeners);
    let sealer = Sealer::new(Profile::AeadAes128Gcm, &KEY).expect("a key");
    let turns = (PACKETS_PER_ROUND / (speakers * listeners)).max(1);
    let mut sequence = 0;
    let rounds = (0..ROUNDS).map(|_| {
        let began = cpu_ns();
        for _ in 0..turns {
            sequence += 1;
            bench.now += 20 * MILLISECOND;
            let now = bench.now;
            bench.turn(|engine, out| {
                for source in &sources {
                    let mut packet = speak(&sealer, sequence);
                    engine.on_datagram(*source, &mut packet, now, out);
                }
            });
        }
        (cpu_ns() - began) as f64 / (turns * speakers * listeners) as f64
    });
    rounds.fold(f64::INFINITY, f64::min)
}

fn populate(speakers: usize, listeners: usize) -> (Bench, Vec<SocketAddr>) {
    let settings = Settings {
        worker: 0,
        consent_timeout: 1 << 60,
        join_timeout: 1 << 60,
        ntp_at_zero: 0,
        drained: Arc::default(),
    };
    let engine = Engine::new(settings, Arc::new(Counters::default()), mirror::connect(1).remove(0));
    let arena = Arena::new(96 << 10, OUTBOX);
    let mut bench = Bench { engine, arena, peers: Registry::new(Kind::Peer), now: SECOND };
    let stage = Registry::new(Kind::Stage).insert(()).expect("an id");
    bench.apply(Command::CreateStage(stage, 0));
    let mut tracks = Registry::new(Kind::Track);
    let mut sources = Vec::new();
    for n in 0..speakers {
        let (peer, source) = bench.join(n);
        let new = NewTrack {
            stage,
            source: Source::Peer(peer),
            payload_type: 111,
            red: None,
            ssrc: None,
            mid: None,
            mid_id: 0,
            level_id: 1,
            is_open: true,
        };
        bench.apply(Command::AddTrack(tracks.insert(()).expect("an id"), new));
        sources.push(source);
    }
    for n in 0..listeners {
        let (peer, _) = bench.join(speakers + n);
        for slot in 0..speakers {
            let ssrc = (n * speakers + slot) as u32 + 100;
            let template = Template::new(ssrc, 111, Some(b"0"), 4, 1).expect("a header");
            bench.apply(Command::AddSlot(
                peer,
                NewSlot { ssrc, template, red: None, first_sequence: 1, first_timestamp: 1 },
            ));
        }
        bench.apply(Command::Follow { peer, stage, excluding: None, packing: Packing::AsSpoken });
    }
    (bench, sources)
}

impl Bench {
    fn turn(&mut self, act: impl FnOnce(&mut Engine, &mut Outbox<'_>)) {
        let mut nowhere = Nowhere;
        let mut out = Outbox::new(&mut self.arena, &mut nowhere);
        act(&mut self.engine, &mut out);
        self.engine.end_turn(self.now, &mut out);
        self.engine.events().clear();
    }

    fn apply(&mut self, command: Command) {
        let now = self.now;
        self.turn(|engine, out| engine.apply(command, now, out));
    }

    /// A peer with a nominated address and keys.
    fn join(&mut self, n: usize) -> (Id, SocketAddr) {
        let peer = self.peers.insert(()).expect("an id");
        let ufrag = format!("user{n}");
        let source = SocketAddr::from(([10, 0, (n >> 8) as u8, n as u8], 9));
        self.apply(Command::CreatePeer { peer, ufrag: ufrag.as_bytes().into(), key: stun::Key::new(PWD) });
        let username = format!("{ufrag}:me");
        let request = stun::Request {
            transaction: [7; 12],
            username: username.as_bytes(),
            priority: Some(1),
            controlling: Some(2),
            controlled: None,
            nominates: true,
        };
        let mut check = [0; 200];
        let len = stun::build_request(&request, &stun::Key::new(PWD), &mut check);
        let now = self.now;
        self.turn(|engine, out| engine.on_datagram(source, &mut check[..len], now, out));
        let opener = Opener::new(Profile::AeadAes128Gcm, &KEY).expect("a key");
        let sealer = Sealer::new(Profile::AeadAes128Gcm, &KEY).expect("a key");
        self.apply(Command::SetSrtp(peer, Box::new(opener), Box::new(sealer)));
        (peer, source)
    }
}

fn speak(sealer: &Sealer, index: u64) -> Vec<u8> {
    let template = Template::new(9, 111, None, 0, 1).expect("a header");
    let mut packet = vec![0x55; 200];
    let level = Some(AudioLevel { is_voice: true, level: 30 });
    let header_len = template.write(&mut packet, false, index as u16, index as u32 * 960, level);
    let len = sealer.seal_rtp(&mut packet, header_len, header_len + PAYLOAD, index).expect("sealed");
    packet.truncate(len);
    packet
}

/// Resident bytes that listeners add, each with `slots` slots.
fn bytes(listeners: usize, slots: usize) -> usize {
    let before = resident();
    let populated = populate(slots, listeners);
    let after = resident();
    drop(populated);
    after.saturating_sub(before) / listeners
}

fn resident() -> usize {
    let statm = fs::read_to_string("/proc/self/statm").expect("procfs");
    statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<usize>().ok()).expect("a number") * 4_096
}

fn cpu_ns() -> u64 {
    let schedstat = fs::read_to_string("/proc/thread-self/schedstat").expect("procfs");
    schedstat.split_whitespace().next().and_then(|it| it.parse().ok()).expect("a number")
}
