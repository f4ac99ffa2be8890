//! The fan-out: a turn's packets, written and sealed for every listener in turn. Per packet; guarded by `benches/fanout`.
//!
//! Listener by listener, not packet by packet: what one listener gets in this turn goes out as one message where the
//! sizes allow it, its key is fetched once, and the listeners lie side by side in memory in the order they are served.

use std::net::SocketAddr;

use super::command::NewSlot;
use super::lane::{Lane, Packing};
use super::Spans;
use crate::arena::{Outbox, DATAGRAM_ROOM};
use crate::counters::Counters;
use crate::ids::Id;
use crate::rtp::{AudioLevel, Template};
use crate::splice::Splice;
use crate::srtp::Sealer;
use crate::stage::selection::{Admission, Selection};
use crate::Nanos;

/// RTP padding that a packet may get to be as long as its neighbours and share their message: 64 bytes more on the wire
/// against 2.3 µs of the kernel's time for a message of its own.
const MAX_PADDING: usize = 64;

const PADDING_BIT: u8 = 0x20;

/// One outbound stream.
pub struct Slot {
    /// Its source.
    pub ssrc: u32,
    splice: Splice,
    /// Packets and payload bytes sent, for sender reports and accounts.
    pub packets: u32,
    /// See `packets`.
    pub octets: u32,
    /// When the last packet came for it.
    pub sent_at: Nanos,
    template: Template,
}

impl Slot {
    /// A stream that has sent nothing.
    pub fn new(new: NewSlot) -> Self {
        Self {
            ssrc: new.ssrc,
            splice: Splice::new(u64::from(new.first_sequence), new.first_timestamp),
            packets: 0,
            octets: 0,
            sent_at: 0,
            template: new.template,
        }
    }

    /// The stream's clock at `now`.
    pub fn timestamp_at(&self, now: Nanos) -> u32 {
        self.splice.timestamp_at(now)
    }

    fn len_with(&self, packet: &Routed) -> usize {
        self.template.header_len() + packet.len()
    }
}

/// A peer's outgoing half, complete: sealing for it needs nothing else.
pub struct Listener {
    /// Whose.
    pub peer: Id,
    /// Where media goes; None until the peer is proven to be there.
    pub destination: Option<SocketAddr>,
    /// Whether it was told the time of its first packet.
    has_report: bool,
    /// Its streams, in the order they were added.
    pub slots: Vec<Slot>,
    /// Its keys, once the handshake is complete.
    pub sealer: Option<Sealer>,
}

impl Listener {
    /// One without address, keys and streams.
    pub fn new(peer: Id) -> Self {
        Self { peer, destination: None, has_report: false, slots: Vec::new(), sealer: None }
    }

    /// Its streams go on with other sources.
    pub fn cut(&mut self) {
        for slot in &mut self.slots {
            slot.splice.cut();
        }
    }

    /// Writes and seals a turn's packets. True if a stream began that has had no sender report yet.
    fn serve(&mut self, turn: &Turn<'_>, out: &mut Outbox<'_>) -> bool {
        let (Some(destination), Some(sealer)) = (self.destination, &self.sealer) else { return false };
        let slots = &mut self.slots;
        let widest = match turn.packets {
            [_] => 0,
            packets => packets.iter().filter_map(|p| Some(slots.get(p.lane)?.len_with(p))).max().unwrap_or(0),
        };
        let mut has_begun = false;
        for (n, packet) in turn.packets.iter().enumerate() {
            let Some(slot) = slots.get_mut(packet.lane) else { continue };
            let Some(place) = slot.splice.place(packet.index, packet.timestamp, turn.now) else {
                turn.counters.dropped_late_after_splice.add(1);
                continue;
            };
            let room = out.room();
            let marker = packet.marker || place.is_first;
            let header_len = slot.template.write(room, marker, place.index as u16, place.timestamp, packet.level);
            let payload = turn.spans.get(packet.span);
            let mut len = header_len + payload.len();
            let Some(body) = room.get_mut(header_len..len) else { continue };
            body.copy_from_slice(payload);
            if n + 1 < turn.packets.len() && len < widest && widest - len <= MAX_PADDING {
                pad(room, len, widest);
                len = widest;
            }
            let Some(sealed) = sealer.seal_rtp(room, header_len, len, place.index) else { continue };
            out.commit_packet(destination, sealed);
            turn.counters.packets_out.add(1);
            slot.packets = slot.packets.wrapping_add(1);
            slot.octets = slot.octets.wrapping_add(payload.len() as u32);
            slot.sent_at = turn.now;
            has_begun |= place.is_first;
        }
        let wants_report = has_begun && !self.has_report;
        self.has_report |= wants_report;
        wants_report
    }
}

/// RTP padding from `len` to `padded_len`, at most 255 bytes (RFC 3550 §5.1): zeros, then their own number.
fn pad(packet: &mut [u8], len: usize, padded_len: usize) {
    packet[0] |= PADDING_BIT;
    packet[len..padded_len].fill(0);
    packet[padded_len - 1] = (padded_len - len) as u8;
}

/// A packet that a feed's listeners get in this turn.
#[derive(Clone, Copy, Debug)]
pub struct Routed {
    pub(super) lane: usize,
    pub(super) index: u64,
    pub(super) timestamp: u32,
    pub(super) marker: bool,
    pub(super) level: Option<AudioLevel>,
    pub(super) span: super::Span,
}

impl Routed {
    fn len(&self) -> usize {
        self.span.len()
    }
}

/// What a feed's listeners hear.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Key {
    /// The loudest tracks, but for one.
    Loudest {
        /// How many at once.
        lanes: usize,
        /// Never this one.
        excluding: Option<Id>,
    },
    /// One track, whatever its loudness.
    Exactly(Id),
}

impl Key {
    fn lanes(self) -> usize {
        match self {
            Self::Loudest { lanes, .. } => lanes,
            Self::Exactly(_) => 1,
        }
    }

    fn admits(self, track: Id) -> bool {
        match self {
            Self::Loudest { excluding, .. } => excluding != Some(track),
            Self::Exactly(exactly) => exactly == track,
        }
    }
}

/// All listeners of a stage who hear the same, and what that is at the moment.
pub struct Feed {
    key: Key,
    packing: Packing,
    selection: Selection<Id>,
    lanes: Vec<Lane>,
    packets: Vec<Routed>,
    listeners: Vec<Listener>,
}

/// What all listeners of a feed share in one turn.
struct Turn<'a> {
    packets: &'a [Routed],
    spans: &'a Spans,
    counters: &'a Counters,
    now: Nanos,
}

impl Feed {
    /// A feed without listeners.
    pub fn new(key: Key, packing: Packing) -> Self {
        Self {
            key,
            packing,
            selection: Selection::new(key.lanes()),
            lanes: (0..key.lanes()).map(|number| Lane::new(number, packing)).collect(),
            packets: Vec::with_capacity(64),
            listeners: Vec::new(),
        }
    }

    /// What its listeners hear.
    pub fn key(&self) -> Key {
        self.key
    }

    /// How much audio its packets carry.
    pub fn packing(&self) -> Packing {
        self.packing
    }

    /// Whether no one hears it.
    pub fn is_empty(&self) -> bool {
        self.listeners.is_empty()
    }

    /// Those who hear it.
    pub fn listeners(&self) -> &[Listener] {
        &self.listeners
    }

    /// The same, to be changed.
    pub fn listeners_mut(&mut self) -> &mut Vec<Listener> {
        &mut self.listeners
    }

    /// Takes a packet of `track` into this turn, if its listeners are to hear it.
    #[inline]
    pub fn route(
        &mut self,
        track: Id,
        packet: &Heard,
        dbov: impl Fn(Id) -> u8,
        now: Nanos,
        spans: &mut Spans,
        counters: &Counters,
    ) {
        if self.listeners.is_empty() || !self.key.admits(track) {
            return;
        }
        let lane = match self.selection.admit(track, dbov, now) {
            Admission::Stays(lane) => lane,
            Admission::Enters(lane) => {
                self.lanes[lane].cut();
                lane
            }
            Admission::Refused => return,
        };
        self.lanes[lane].take(packet, now, spans, counters, &mut self.packets);
    }

    /// Takes packets into this turn that have waited for more audio long enough.
    pub fn flush_overdue(&mut self, now: Nanos, spans: &mut Spans, counters: &Counters) {
        for lane in &mut self.lanes {
            lane.flush_overdue(now, spans, counters, &mut self.packets);
        }
    }

    /// When the next of its lanes' packets must go out, however little audio it carries.
    pub fn pack_due_at(&self) -> Option<Nanos> {
        self.lanes.iter().filter_map(Lane::due_at).min()
    }

    /// `track` falls silent for reasons of its own (its gate closed): its lane goes on without a gap when it returns.
    pub fn cut(&mut self, track: Id) {
        if let Some(lane) = self.selection.lane_of(track) {
            self.lanes[lane].cut();
        }
    }

    /// `track` is muted or gone: its lane is free for another, and packets of it that wait in this turn are forgotten.
    pub fn release(&mut self, track: Id) {
        if let Some(lane) = self.selection.lane_of(track) {
            self.lanes[lane].release();
            self.packets.retain(|packet| packet.lane != lane);
        }
        self.selection.release(track);
    }

    /// Sends this turn's packets to every listener. Those whose streams have begun are added to `begun`.
    pub fn serve(&mut self, spans: &Spans, now: Nanos, counters: &Counters, begun: &mut Vec<Id>, out: &mut Outbox<'_>) {
        if self.packets.is_empty() {
            return;
        }
        // Taken out first: whatever happens below, no packet is ever served a second time under the same index.
        let mut packets = std::mem::take(&mut self.packets);
        let turn = Turn { packets: &packets, spans, counters, now };
        for listener in &mut self.listeners {
            if listener.serve(&turn, out) {
                begun.push(listener.peer);
            }
        }
        packets.clear();
        self.packets = packets;
    }
}

/// A packet let in by its gate, its payload among the turn's spans.
#[derive(Clone, Copy, Debug)]
pub struct Heard {
    /// The source's rollovers << 16 | sequence number.
    pub index: u64,
    /// The source's timestamp.
    pub timestamp: u32,
    /// RFC 7587 §4.1.
    pub marker: bool,
    /// RFC 6464.
    pub level: Option<AudioLevel>,
    /// Its payload.
    pub span: super::Span,
}

const _: () = assert!(MAX_PADDING <= 255 && DATAGRAM_ROOM >= super::MAX_PAYLOAD + 200);
