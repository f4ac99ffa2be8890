//! One worker's machine: datagrams and commands in, datagrams and events out. Pure: no socket, no clock. Per packet.
//!
//! A turn is: `apply` the commands that wait, `on_datagram` for each one read, `end_turn`. What was taken in by then is a
//! round, and every listener is served it once; if that takes longer than the wire's slice, the rest of them in the next
//! turns. Meanwhile the next round gathers, and commands are obeyed: what a gate has shut out is served to no one any
//! more. Nothing is allocated, locked or logged for a packet; a bad one is a counter. Guarded by `benches/fanout`.

pub mod command;
pub mod egress;
pub mod feed;
mod follow;
mod history;
mod ingress;
pub mod lane;
pub mod mirror;
mod redundancy;
mod reports;
mod round;
mod spans;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::sync::Arc;

use crate::arena::Outbox;
use crate::counters::Counters;
use crate::ids::{Id, Slab};
use crate::peer::{Credentials, Peer, Seat};
use crate::rtcp::Reception;
use crate::splice::Extender;
use crate::stage::loudness::Loudness;
use crate::Nanos;
use command::{Barrier, Command, Event, NewTrack};
use egress::Slot;
use feed::Feed;
use mirror::Mirrors;
use round::Round;
pub use spans::{Span, Spans};

/// The largest payload that is forwarded: with our header and tag it still fits an Ethernet frame.
pub const MAX_PAYLOAD: usize = 1_200;

/// The largest datagram that is read further than its first bytes.
pub const MAX_DATAGRAM: usize = 1_500;

/// Plain RTP of taps carries the audio level (RFC 6464) as this extension where it is known.
pub const TAP_LEVEL_ID: u8 = 1;

/// What an engine is told once.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which worker it is.
    pub worker: usize,
    /// A peer unheard for so long is removed (RFC 7675 §5.1).
    pub consent_timeout: Nanos,
    /// The same for one never heard.
    pub join_timeout: Nanos,
    /// The NTP time at the engine's zero: seconds since 1900 << 32.
    pub ntp_at_zero: u64,
    /// How often Python has taken all events.
    pub drained: Arc<AtomicU64>,
}

/// A track as this worker knows it.
struct Track {
    new: NewTrack,
    /// Bound to this source: announced, or the first that came.
    ssrc: Option<u32>,
    is_open: bool,
    was_heard: bool,
    heard_at: Nanos,
    loudness: Loudness,
    /// For reports to its sender, if that is a peer of ours.
    reception: Option<Reception>,
    /// For tracks that come in plain.
    extender: Extender,
}

/// A stage as this worker knows it.
struct Stage {
    tracks: Vec<Id>,
    feeds: Vec<Feed>,
    taps: Vec<Id>,
    /// The worker that tells Python of its voices.
    reporter: usize,
    /// Other workers that get its packets, and those of them that are woken for it, as bits.
    mirrors: u64,
    wakes: u64,
    voices: reports::Voices,
    is_touched: bool,
    /// Whether it is among the engine's `packing`.
    is_packing: bool,
}

struct Tap {
    stage: Id,
    sends: bool,
}

/// A plain packet for a tap's program.
#[derive(Clone, Copy, Debug)]
pub struct TapPacket {
    /// By which tap it leaves.
    pub tap: Id,
    start: usize,
    len: usize,
}

/// One worker's machine.
pub struct Engine {
    settings: Settings,
    counters: Arc<Counters>,
    peers: Slab<Peer>,
    stages: Slab<Stage>,
    tracks: Slab<Track>,
    taps: Slab<Tap>,
    by_address: HashMap<SocketAddr, Id>,
    by_ufrag: HashMap<Box<[u8]>, Id>,
    mirrors: Mirrors,
    mirror_buffer: Vec<u8>,
    /// Of the round that gathers.
    spans: Spans,
    /// Stages that got packets for the next round.
    touched: Vec<Id>,
    /// The round that is being served.
    round: Round,
    /// Stages with packets that wait for more audio, and when the first of those must go out.
    packing: Vec<Id>,
    pack_due_at: Option<Nanos>,
    /// Peers whose streams began in this turn.
    begun: Vec<Id>,
    tap_bytes: Vec<u8>,
    tap_packets: Vec<TapPacket>,
    events: Vec<Event>,
    barriers: Vec<Arc<Barrier>>,
    /// Workers to wake after this turn, as bits.
    wakes: u64,
    schedule: reports::Schedule,
}

impl Engine {
    /// An engine without peers.
    pub fn new(settings: Settings, counters: Arc<Counters>, mirrors: Mirrors) -> Self {
        Self {
            settings,
            counters,
            peers: Slab::default(),
            stages: Slab::default(),
            tracks: Slab::default(),
            taps: Slab::default(),
            by_address: HashMap::new(),
            by_ufrag: HashMap::new(),
            mirrors,
            mirror_buffer: Vec::with_capacity(MAX_PAYLOAD),
            spans: Spans::with_capacity(1 << 16),
            touched: Vec::with_capacity(64),
            round: Round::default(),
            packing: Vec::new(),
            pack_due_at: None,
            begun: Vec::new(),
            tap_bytes: Vec::new(),
            tap_packets: Vec::new(),
            events: Vec::new(),
            barriers: Vec::new(),
            wakes: 0,
            schedule: reports::Schedule::default(),
        }
    }

    /// Carries out a command. Whatever it names that is gone makes it do nothing.
    pub fn apply(&mut self, command: Command, now: Nanos, out: &mut Outbox<'_>) {
        match command {
            Command::CreatePeer { peer, ufrag, key } => self.create_peer(peer, Credentials { ufrag, key }, now),
            Command::RestartIce { peer, ufrag, key } => self.restart_ice(peer, Credentials { ufrag, key }),
            Command::RemovePeer(peer) => self.remove_peer(peer),
            Command::SendDtls(peer, datagrams) => self.send_dtls(peer, datagrams, out),
            Command::SetSrtp(peer, opener, sealer) => self.set_srtp(peer, opener, *sealer),
            Command::CreateStage(stage, reporter) => self.create_stage(stage, reporter),
            Command::RemoveStage(stage) => self.remove_stage(stage),
            Command::SetMirrors(stage, workers) => self.set_mirrors(stage, workers),
            Command::AddTrack(track, new) => self.add_track(track, new),
            Command::SetGate(track, is_open) => self.set_gate(track, is_open),
            Command::SetLevel(track, level) => self.set_level(track, level, now),
            Command::RemoveTrack(track) => self.remove_track(track),
            Command::AddSlot(peer, new) => {
                self.catch_up(peer, now, out);
                self.add_slot(peer, Slot::new(new));
            }
            Command::Follow { peer, stage, excluding, packing } => {
                self.catch_up(peer, now, out);
                self.follow(peer, stage, excluding, packing);
            }
            Command::FollowTrack(peer, track, packing) => {
                self.catch_up(peer, now, out);
                self.follow_track(peer, track, packing);
            }
            Command::Unfollow(peer) => self.unfollow(peer),
            Command::OpenTap { tap, stage, sends } => self.open_tap(tap, stage, sends),
            Command::CloseTap(tap) => self.close_tap(tap),
            Command::RequestReport(peer) => self.report(peer),
            Command::Barrier(barrier) => self.barriers.push(barrier),
        }
    }

    /// Does what is due, serves listeners until all have what was taken in or the slice is over, and hands everything to
    /// the wire.
    pub fn end_turn(&mut self, now: Nanos, out: &mut Outbox<'_>) {
        self.on_time(now, out);
        self.flush_overdue(now);
        self.serve(now, out);
        self.report_begun(now, out);
        out.flush();
        let passed = self.barriers.drain(..).filter_map(|barrier| barrier.pass());
        self.events.extend(passed.map(Event::Applied));
        self.counters.turns.add(1);
        self.counters.peers_now.set(self.peers.len() as u64);
    }

    /// When the next turn must begin at the latest; None if only a datagram or a command can bring something to do.
    pub fn wakes_at(&self) -> Option<Nanos> {
        let has_life = !self.peers.is_empty() || !self.stages.is_empty();
        let round_at = self.round.next_at().filter(|_| !self.touched.is_empty());
        has_life.then(|| [self.pack_due_at, round_at].into_iter().flatten().fold(self.schedule.next_at(), Nanos::min))
    }

    /// What Python is to be told since the last call.
    pub fn events(&mut self) -> &mut Vec<Event> {
        &mut self.events
    }

    /// Whether a peer has proven to be at this address.
    pub fn knows(&self, address: &SocketAddr) -> bool {
        self.by_address.contains_key(address)
    }

    /// Whether listeners wait for what was taken in: the next turn must follow at once.
    pub fn is_serving(&self) -> bool {
        self.round.is_running() || !self.touched.is_empty() && self.round.next_at().is_none()
    }

    /// Whether other workers have packets for this one.
    pub fn has_mirrored(&self) -> bool {
        self.mirrors.from.iter().any(|ring| !ring.is_empty())
    }

    /// Workers that have packets of ours to take, as bits; asked once a turn.
    pub fn take_wakes(&mut self) -> u64 {
        std::mem::take(&mut self.wakes)
    }

    /// This turn's packets for taps.
    pub fn tap_packets(&self) -> &[TapPacket] {
        &self.tap_packets
    }

    /// One of them, as it goes out.
    pub fn tap_payload(&self, packet: &TapPacket) -> &[u8] {
        &self.tap_bytes[packet.start..packet.start + packet.len]
    }

    /// They are sent.
    pub fn clear_tap_packets(&mut self) {
        self.tap_packets.clear();
        self.tap_bytes.clear();
    }

    /// Packets that have waited long enough for more audio go out as they are.
    fn flush_overdue(&mut self, now: Nanos) {
        if self.pack_due_at.is_none_or(|due_at| now < due_at) {
            return;
        }
        self.spans.begin_read(now);
        let mut next: Option<Nanos> = None;
        self.packing.retain(|id| {
            let Some(stage) = self.stages.get_mut(*id) else { return false };
            for feed in &mut stage.feeds {
                feed.flush_overdue(now, &mut self.spans, &self.counters);
            }
            if !std::mem::replace(&mut stage.is_touched, true) {
                self.touched.push(*id);
            }
            let due_at = stage.pack_due_at();
            stage.is_packing = due_at.is_some();
            next = next.into_iter().chain(due_at).min();
            stage.is_packing
        });
        self.pack_due_at = next;
    }

    fn create_peer(&mut self, id: Id, credentials: Credentials, now: Nanos) {
        self.by_ufrag.insert(credentials.ufrag.clone(), id);
        self.peers.insert(id, Peer::new(id, credentials, now));
    }

    /// The old credentials stay until a check with the new nominates; a second restart before that replaces the first.
    fn restart_ice(&mut self, id: Id, credentials: Credentials) {
        let Some(peer) = self.peers.get_mut(id) else { return };
        for abandoned in peer.credentials.drain(1..) {
            self.by_ufrag.remove(&abandoned.ufrag);
        }
        self.by_ufrag.insert(credentials.ufrag.clone(), id);
        peer.credentials.push(credentials);
    }

    fn remove_peer(&mut self, id: Id) {
        drop(self.stand_up(id));
        let Some(peer) = self.peers.remove(id) else { return };
        for track in peer.tracks {
            self.remove_track(track);
        }
        for credentials in peer.credentials {
            self.by_ufrag.remove(&credentials.ufrag);
        }
        for address in peer.ice.addresses() {
            if self.by_address.get(&address) == Some(&id) {
                self.by_address.remove(&address);
            }
        }
    }

    fn set_srtp(&mut self, id: Id, opener: Box<crate::srtp::Opener>, sealer: crate::srtp::Sealer) {
        let Some(peer) = self.peers.get_mut(id) else { return };
        peer.opener = Some(opener);
        peer.waiting_dtls = Vec::new();
        peer.ice.on_keys();
        let destination = peer.ice.selected();
        if let Some(listener) = self.listener_mut(id) {
            listener.sealer = Some(sealer);
            listener.destination = destination;
        }
    }

    /// Sends what the peer's address may receive now, and keeps the rest for when it may receive more.
    fn send_dtls(&mut self, id: Id, datagrams: Vec<Vec<u8>>, out: &mut Outbox<'_>) {
        let Some(peer) = self.peers.get_mut(id) else { return };
        // A flight said again: what still waits of the last one would only be sent twice.
        peer.waiting_dtls = datagrams;
        self.send_waiting_dtls(id, out);
    }

    fn send_waiting_dtls(&mut self, id: Id, out: &mut Outbox<'_>) {
        let Some(peer) = self.peers.get_mut(id) else { return };
        let Some(destination) = peer.ice.selected() else { return };
        let mut sent = 0;
        for datagram in &peer.waiting_dtls {
            if datagram.len() as u64 > u64::from(peer.ice.allowance()) {
                self.counters.dropped_dtls_budget.add(1);
                break;
            }
            sent += 1;
            let Some(room) = out.room().get_mut(..datagram.len()) else { continue };
            room.copy_from_slice(datagram);
            out.commit(destination, datagram.len());
            peer.ice.on_sent(destination, datagram.len());
        }
        peer.waiting_dtls.drain(..sent);
    }
}

impl Track {
    fn new(new: NewTrack) -> Self {
        Self {
            ssrc: new.ssrc,
            is_open: new.is_open,
            was_heard: false,
            heard_at: 0,
            loudness: Loudness::default(),
            reception: None,
            extender: Extender::default(),
            new,
        }
    }
}

impl Engine {
    /// A peer's outgoing half, wherever it sits.
    fn listener_mut(&mut self, id: Id) -> Option<&mut egress::Listener> {
        let peer = self.peers.get_mut(id)?;
        match &mut peer.seat {
            Seat::Aside(listener) => Some(listener),
            Seat::Taken { stage, feed, at } => self.stages.get_mut(*stage)?.feeds.get_mut(*feed)?.listener_mut(*at),
        }
    }
}
