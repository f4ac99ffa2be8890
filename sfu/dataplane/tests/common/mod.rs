//! Workers and clients on a simulated network with a clock moved by hand. No sockets, no sleep.
#![allow(dead_code, missing_docs, reason = "each scenario uses its part")]

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::sync::Arc;

use _dataplane::arena::{Arena, Outbox, Wire};
use _dataplane::counters::Counters;
use _dataplane::engine::command::{Barrier, Command, Event, NewSlot, NewTrack, Source};
use _dataplane::engine::lane::Packing;
use _dataplane::engine::{mirror, Engine, Settings};
use _dataplane::ids::{Id, Kind, Registry};
use _dataplane::rtp::{self, AudioLevel, Template};
use _dataplane::srtp::{Opener, Profile, Sealer};
use _dataplane::{rtcp, stun, Nanos, MILLISECOND, SECOND};

pub const OPUS: u8 = 111;
pub const MID_ID: u8 = 4;
pub const LEVEL_ID: u8 = 1;
pub const FRAME: Nanos = 20 * MILLISECOND;
pub const CONSENT: Nanos = 30 * SECOND;
pub const JOIN: Nanos = 20 * SECOND;
pub const NTP_AT_ZERO: u64 = 4_000_000_000 << 32;

/// Collects what an engine sends, and ends its slices after so many messages.
#[derive(Default)]
struct Captured {
    sent: Vec<(SocketAddr, Vec<u8>, u16)>,
    slice: Option<usize>,
    left: usize,
}

impl Wire for Captured {
    fn send(&mut self, arena: &Arena) {
        for message in arena.messages() {
            self.left = self.left.saturating_sub(1);
            for datagram in arena.payload(message).chunks(usize::from(message.segment)) {
                self.sent.push((message.destination, datagram.to_vec(), message.segments));
            }
        }
    }

    fn begin_slice(&mut self) {
        self.left = self.slice.unwrap_or(0);
    }

    fn is_slice_over(&self) -> bool {
        self.slice.is_some() && self.left == 0
    }
}

struct Worker {
    engine: Engine,
    counters: Arc<Counters>,
    arena: Arena,
    inbox: VecDeque<(SocketAddr, Vec<u8>)>,
}

/// A packet that a client received and opened.
#[derive(Clone, Debug, PartialEq)]
pub struct Heard {
    pub ssrc: u32,
    pub sequence: u16,
    pub timestamp: u32,
    pub marker: bool,
    pub level: Option<u8>,
    pub mid: Option<Vec<u8>>,
    pub payload_type: u8,
    pub payload: Vec<u8>,
    /// How many datagrams shared its message.
    pub segments: u16,
}

/// One client: its address, credentials, keys, and what it has received.
pub struct Client {
    pub peer: Id,
    pub worker: usize,
    pub address: SocketAddr,
    pub ufrag: String,
    pub pwd: String,
    pub sealer: Sealer,
    pub opener: Opener,
    pub ssrc: u32,
    pub sequence: u64,
    pub timestamp: u32,
    pub heard: Vec<Heard>,
    pub rtcp: Vec<Vec<u8>>,
    pub stun: Vec<Vec<u8>>,
    pub dtls: Vec<Vec<u8>>,
}

pub struct World {
    workers: Vec<Worker>,
    pub now: Nanos,
    pub drained: Arc<AtomicU64>,
    pub peers: Registry<()>,
    pub stages: Registry<()>,
    pub tracks: Registry<()>,
    pub taps: Registry<()>,
    pub clients: Vec<Client>,
    pub events: Vec<Event>,
    pub to_taps: Vec<(Id, Vec<u8>)>,
    /// Everything sent to addresses of no client.
    pub stray: Vec<(SocketAddr, Vec<u8>)>,
    tickets: u64,
    /// Messages after which a slice of the fan-out is over; None: never.
    pub slice: Option<usize>,
    /// The payload type for redundant audio of slots that are added from now on.
    pub red: Option<u8>,
}

pub fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], port))
}

fn key(client: usize, direction: u8) -> Vec<u8> {
    (0..28).map(|n| n ^ direction ^ (client as u8).wrapping_mul(31)).collect()
}

impl World {
    pub fn new(workers: usize) -> Self {
        let drained = Arc::new(AtomicU64::new(0));
        let workers = mirror::connect(workers).into_iter().enumerate().map(|(worker, mirrors)| {
            let settings = Settings {
                worker,
                consent_timeout: CONSENT,
                join_timeout: JOIN,
                ntp_at_zero: NTP_AT_ZERO,
                drained: drained.clone(),
            };
            let counters = Arc::new(Counters::default());
            let engine = Engine::new(settings, counters.clone(), mirrors);
            Worker { engine, counters, arena: Arena::new(1 << 16, 64), inbox: VecDeque::new() }
        });
        Self {
            workers: workers.collect(),
            now: SECOND,
            drained,
            peers: Registry::new(Kind::Peer),
            stages: Registry::new(Kind::Stage),
            tracks: Registry::new(Kind::Track),
            taps: Registry::new(Kind::Tap),
            clients: Vec::new(),
            events: Vec::new(),
            to_taps: Vec::new(),
            stray: Vec::new(),
            tickets: 0,
            slice: None,
            red: None,
        }
    }

    pub fn count(&self, name: &str) -> u64 {
        let of = |worker: &Worker| worker.counters.read().find(|(it, _)| *it == name).expect("a counter's name").1;
        self.workers.iter().map(of).sum()
    }

    /// Carries out a command on one worker, which then ends its turn.
    pub fn command(&mut self, worker: usize, command: Command) {
        self.turn(worker, vec![command]);
        self.settle();
    }

    pub fn broadcast(&mut self, command: impl Fn() -> Command) {
        for worker in 0..self.workers.len() {
            self.turn(worker, vec![command()]);
        }
        self.settle();
    }

    /// Commands, then all that has arrived, then the end of the turn.
    pub fn turn(&mut self, worker: usize, commands: Vec<Command>) {
        let mut captured = Captured { slice: self.slice, ..Captured::default() };
        let Worker { engine, arena, inbox, .. } = &mut self.workers[worker];
        if self.slice.is_some() {
            *arena = Arena::new(1 << 16, 1); // each message is flushed for itself
        }
        let mut out = Outbox::new(arena, &mut captured);
        for command in commands {
            engine.apply(command, self.now, &mut out);
        }
        engine.on_mirrored(self.now);
        for (source, mut datagram) in inbox.drain(..) {
            engine.on_datagram(source, &mut datagram, self.now, &mut out);
        }
        engine.end_turn(self.now, &mut out);
        self.events.append(engine.events());
        for packet in engine.tap_packets() {
            self.to_taps.push((packet.tap, engine.tap_payload(packet).to_vec()));
        }
        engine.clear_tap_packets();
        for (destination, datagram, segments) in captured.sent {
            match self.clients.iter_mut().find(|client| client.address == destination) {
                Some(client) => client.receive(datagram, segments),
                None => self.stray.push((destination, datagram)),
            }
        }
    }

    /// Turns until nothing is left to do at this moment.
    pub fn settle(&mut self) {
        let has_work =
            |worker: &Worker| !worker.inbox.is_empty() || worker.engine.has_mirrored() || worker.engine.is_serving();
        while let Some(worker) = (0..self.workers.len()).find(|n| has_work(&self.workers[*n])) {
            self.turn(worker, Vec::new());
        }
    }

    /// A datagram arrives, to be read in the next turn.
    pub fn arrive(&mut self, worker: usize, source: SocketAddr, datagram: Vec<u8>) {
        self.workers[worker].inbox.push_back((source, datagram));
    }

    /// A datagram arrives and all that follows from it happens.
    pub fn deliver(&mut self, worker: usize, source: SocketAddr, datagram: Vec<u8>) {
        self.arrive(worker, source, datagram);
        self.settle();
    }

    /// The clock moves on in steps of 20 ms, with a turn of every worker after each.
    pub fn pass(&mut self, time: Nanos) {
        let end = self.now + time;
        while self.now < end {
            self.now = (self.now + FRAME).min(end);
            for worker in 0..self.workers.len() {
                self.turn(worker, Vec::new());
            }
        }
    }

    pub fn create_stage(&mut self) -> Id {
        let stage = self.stages.insert(()).unwrap();
        self.broadcast(|| Command::CreateStage(stage, 0));
        let everyone = (1 << self.workers.len()) - 1;
        self.broadcast(|| Command::SetMirrors(stage, everyone));
        stage
    }

    /// A peer that has sent nothing yet; the number of its client.
    pub fn create_peer(&mut self, worker: usize) -> usize {
        let n = self.clients.len();
        let peer = self.peers.insert(()).unwrap();
        let client = Client {
            peer,
            worker,
            address: address(1_000 + n as u16),
            ufrag: format!("ufrag{n}"),
            pwd: format!("a-password-of-length-{n:03}"),
            sealer: Sealer::new(Profile::AeadAes128Gcm, &key(n, 0x11)).unwrap(),
            opener: Opener::new(Profile::AeadAes128Gcm, &key(n, 0x22)).unwrap(),
            ssrc: 0xaaaa_0000 + n as u32,
            sequence: 1_000 * (n as u64 + 1),
            timestamp: 77_000 * (n as u32 + 1),
            heard: Vec::new(),
            rtcp: Vec::new(),
            stun: Vec::new(),
            dtls: Vec::new(),
        };
        let (ufrag, key) = (client.ufrag.as_bytes().into(), stun::Key::new(client.pwd.as_bytes()));
        self.clients.push(client);
        self.command(worker, Command::CreatePeer { peer, ufrag, key });
        n
    }

    /// The keys that a handshake would have made.
    pub fn set_keys(&mut self, n: usize) {
        let opener = Opener::new(Profile::AeadAes128Gcm, &key(n, 0x11)).unwrap();
        let sealer = Sealer::new(Profile::AeadAes128Gcm, &key(n, 0x22)).unwrap();
        let (worker, peer) = (self.clients[n].worker, self.clients[n].peer);
        self.command(worker, Command::SetSrtp(peer, Box::new(opener), Box::new(sealer)));
    }

    /// A peer with a nominated address and keys.
    pub fn join(&mut self, worker: usize) -> usize {
        let n = self.create_peer(worker);
        self.check(n, true);
        self.set_keys(n);
        n
    }

    /// A joined peer with an open track on `stage`, bound by its payload type.
    pub fn join_speaker(&mut self, worker: usize, stage: Id) -> (usize, Id) {
        let n = self.join(worker);
        let track = self.add_track(n, stage, new_track(stage));
        (n, track)
    }

    pub fn add_track(&mut self, n: usize, stage: Id, new: NewTrack) -> Id {
        let (track, home) = (self.tracks.insert(()).unwrap(), self.clients[n].worker);
        for worker in 0..self.workers.len() {
            let source = if worker == home { Source::Peer(self.clients[n].peer) } else { Source::Elsewhere };
            self.command(worker, Command::AddTrack(track, NewTrack { source, stage, ..new.clone() }));
        }
        track
    }

    /// A joined peer with `slots` slots that follows `stage`.
    pub fn join_listener(&mut self, worker: usize, stage: Id, slots: u32) -> usize {
        let n = self.join(worker);
        self.add_slots(n, slots);
        let peer = self.clients[n].peer;
        self.command(worker, Command::Follow { peer, stage, excluding: None, packing: Packing::AsSpoken });
        n
    }

    pub fn add_slots(&mut self, n: usize, slots: u32) {
        for slot in 0..slots {
            let ssrc = slot_ssrc(n, slot);
            let mid = slot.to_string();
            let new = NewSlot {
                ssrc,
                template: Template::new(ssrc, OPUS, Some(mid.as_bytes()), MID_ID, LEVEL_ID).unwrap(),
                red: self.red,
                first_sequence: 500,
                first_timestamp: 9_000,
            };
            self.command(self.clients[n].worker, Command::AddSlot(self.clients[n].peer, new));
        }
    }

    pub fn set_gate(&mut self, track: Id, is_open: bool) {
        self.broadcast(|| Command::SetGate(track, is_open));
    }

    /// A check of the client's arrives from its address.
    pub fn check(&mut self, n: usize, nominates: bool) {
        let (worker, source, check) =
            (self.clients[n].worker, self.clients[n].address, self.clients[n].check(nominates));
        self.deliver(worker, source, check);
    }

    /// The client says one packet of 20 ms, and all that follows happens.
    pub fn say(&mut self, n: usize, payload: &[u8], dbov: u8) {
        self.start_saying(n, payload, dbov);
        self.settle();
    }

    /// The packet waits in the worker's socket.
    pub fn start_saying(&mut self, n: usize, payload: &[u8], dbov: u8) {
        let (worker, source) = (self.clients[n].worker, self.clients[n].address);
        let packet = self.clients[n].seal(payload, dbov);
        self.arrive(worker, source, packet);
    }

    /// A plain packet comes in by a tap of the first worker, and all that follows happens.
    pub fn say_by_tap(&mut self, tap: Id, ssrc: u32, sequence: u8, payload: &[u8]) {
        let template = Template::new(ssrc, OPUS, None, 0, LEVEL_ID).unwrap();
        let mut packet = vec![0; 200];
        let header_len = template.write(&mut packet, false, u16::from(sequence), u32::from(sequence) * 960, None);
        packet[header_len..header_len + payload.len()].copy_from_slice(payload);
        self.workers[0].engine.on_tap_packet(tap, &packet[..header_len + payload.len()], self.now);
        self.turn(0, Vec::new());
        self.settle();
    }

    /// Sealed RTCP of the client's arrives.
    pub fn send_rtcp(&mut self, n: usize, compound: &[u8]) {
        let client = &mut self.clients[n];
        let mut buffer = compound.to_vec();
        buffer.resize(compound.len() + 64, 0);
        let len = client.sealer.seal_rtcp(&mut buffer, compound.len()).unwrap();
        buffer.truncate(len);
        let (worker, source) = (client.worker, client.address);
        self.deliver(worker, source, buffer);
    }

    /// The payloads that a client has heard since the last call.
    pub fn take_heard(&mut self, n: usize) -> Vec<Heard> {
        std::mem::take(&mut self.clients[n].heard)
    }

    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// A barrier reaches some of the workers.
    pub fn barrier(&mut self) -> (u64, Arc<Barrier>) {
        self.tickets += 1;
        (self.tickets, Barrier::new(self.tickets, self.workers.len()))
    }

    pub fn engine(&mut self, worker: usize) -> &mut Engine {
        &mut self.workers[worker].engine
    }
}

pub fn slot_ssrc(n: usize, slot: u32) -> u32 {
    0x5107_0000 + 256 * n as u32 + slot
}

pub fn new_track(stage: Id) -> NewTrack {
    NewTrack {
        stage,
        source: Source::Elsewhere,
        payload_type: OPUS,
        red: None,
        ssrc: None,
        mid: None,
        mid_id: 0,
        level_id: LEVEL_ID,
        is_open: true,
    }
}

impl Client {
    pub fn check(&self, nominates: bool) -> Vec<u8> {
        let username = format!("{}:remote", self.ufrag);
        let request = stun::Request {
            transaction: [7; 12],
            username: username.as_bytes(),
            priority: Some(1),
            controlling: Some(2),
            controlled: None,
            nominates,
        };
        let mut buffer = [0; 300];
        let len = stun::build_request(&request, &stun::Key::new(self.pwd.as_bytes()), &mut buffer);
        assert!(len > 0);
        buffer[..len].to_vec()
    }

    /// The client's next packet, sealed.
    pub fn seal(&mut self, payload: &[u8], dbov: u8) -> Vec<u8> {
        self.sequence += 1;
        self.timestamp = self.timestamp.wrapping_add(960);
        self.seal_as(self.ssrc, self.sequence, payload, dbov)
    }

    /// The same, of another payload type.
    pub fn seal_type(&mut self, payload_type: u8, payload: &[u8], dbov: u8) -> Vec<u8> {
        self.sequence += 1;
        self.timestamp = self.timestamp.wrapping_add(960);
        self.seal_with(payload_type, self.ssrc, self.sequence, payload, dbov)
    }

    pub fn seal_as(&self, ssrc: u32, index: u64, payload: &[u8], dbov: u8) -> Vec<u8> {
        self.seal_with(OPUS, ssrc, index, payload, dbov)
    }

    fn seal_with(&self, payload_type: u8, ssrc: u32, index: u64, payload: &[u8], dbov: u8) -> Vec<u8> {
        let template = Template::new(ssrc, payload_type, None, 0, LEVEL_ID).unwrap();
        let mut buffer = vec![0; 1_500];
        let level = Some(AudioLevel { is_voice: true, level: dbov });
        let header_len = template.write(&mut buffer, false, index as u16, self.timestamp, level);
        let len = header_len + payload.len();
        buffer[header_len..len].copy_from_slice(payload);
        let sealed = self.sealer.seal_rtp(&mut buffer, header_len, len, index).unwrap();
        buffer.truncate(sealed);
        buffer
    }

    fn receive(&mut self, mut datagram: Vec<u8>, segments: u16) {
        match datagram[0] {
            0..=3 => self.stun.push(datagram),
            20..=63 => self.dtls.push(datagram),
            _ if (192..=223).contains(&datagram[1]) => {
                let len = self.opener.open_rtcp(&mut datagram).expect("our RTCP opens");
                datagram.truncate(len);
                self.rtcp.push(datagram);
            }
            _ => {
                let header = rtp::parse(&datagram).expect("our RTP is well formed");
                let (len, _) = self.opener.open_rtp(&mut datagram, &header).expect("our RTP opens");
                let packet = &datagram[..len];
                self.heard.push(Heard {
                    ssrc: header.ssrc,
                    sequence: header.sequence,
                    timestamp: header.timestamp,
                    marker: header.marker,
                    payload_type: header.payload_type,
                    level: rtp::audio_level(packet, &header, LEVEL_ID).map(|level| level.level),
                    mid: rtp::extension(packet, &header, MID_ID).map(<[u8]>::to_vec),
                    payload: rtp::payload(packet, &header).expect("our padding is well formed").to_vec(),
                    segments,
                });
            }
        }
    }
}

/// Payloads by slot.
pub fn by_slot(heard: &[Heard]) -> HashMap<u32, Vec<Vec<u8>>> {
    let mut slots: HashMap<u32, Vec<Vec<u8>>> = HashMap::new();
    for packet in heard {
        slots.entry(packet.ssrc).or_default().push(packet.payload.clone());
    }
    slots
}

/// Whether sequence numbers go up by one.
pub fn is_unbroken(heard: &[Heard]) -> bool {
    heard.windows(2).all(|pair| pair[1].sequence == pair[0].sequence.wrapping_add(1))
}

pub fn sender_reports(compound: &[u8]) -> Vec<(u32, rtcp::SenderInfo)> {
    rtcp::parse(compound)
        .filter_map(|item| match item {
            rtcp::Item::SenderReport { ssrc, info, .. } => Some((ssrc, info)),
            _ => None,
        })
        .collect()
}
