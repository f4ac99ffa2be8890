//! The fan-out: a round's packets, written and sealed for one listener. Per packet; guarded by `benches/fanout`.
//!
//! Listener by listener, not packet by packet: what one listener gets in this round goes out as one message where the
//! sizes allow it, its key is fetched once, and the listeners lie side by side in memory in the order they are served.

use std::net::SocketAddr;

use super::command::NewSlot;
use super::redundancy::Redundancy;
use super::spans::{Older, OlderRange};
use super::{Spans, MAX_PAYLOAD};
use crate::arena::{Outbox, DATAGRAM_ROOM};
use crate::counters::Counters;
use crate::ids::Id;
use crate::red::{self, Block};
use crate::rtp::{self, AudioLevel, Template};
use crate::splice::Splice;
use crate::srtp::Sealer;
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
    /// The payload type for redundant audio, where it was negotiated.
    red: Option<u8>,
    /// `packets` when its receiver reported last.
    reported: u32,
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
            red: new.red,
            reported: 0,
        }
    }

    /// The stream's clock at `now`.
    pub fn timestamp_at(&self, now: Nanos) -> u32 {
        self.splice.timestamp_at(now)
    }

    /// Packets sent since its receiver reported last; it does so now.
    pub fn take_reported(&mut self) -> u32 {
        self.packets.wrapping_sub(std::mem::replace(&mut self.reported, self.packets))
    }

    /// A packet's length, before it is sealed, with what travels with it.
    fn len_with(&self, packet: &Routed, older: &[Older]) -> usize {
        let overhead = if older.is_empty() { 0 } else { red::overhead(older.iter().map(|older| older.span.len())) };
        self.template.header_len() + packet.span.len() + overhead
    }

    /// The older packets that travel with this one to a listener who has `distance` of them: what is left of its space, and
    /// nothing from before the stream's last cut, where the timestamps were another source's.
    fn older<'a>(&self, packet: &Routed, distance: usize, spans: &'a Spans) -> &'a [Older] {
        if distance == 0 || self.red.is_none() {
            return &[];
        }
        let all = spans.older(packet.older);
        let mut len = packet.span.len() + 1;
        let fits = |older: &&Older| {
            len += red::BLOCK_HEADER_BYTES + older.span.len();
            len <= MAX_PAYLOAD && self.splice.has_passed(older.index)
        };
        &all[..all.iter().take(distance).take_while(fits).count()]
    }

    /// Writes a packet's payload into `body`, with what travels with it; its length.
    #[inline]
    fn write_payload(&self, packet: &Routed, older: &[Older], spans: &Spans, body: &mut [u8]) -> Option<usize> {
        let payload = spans.get(packet.span);
        if older.is_empty() {
            body.get_mut(..payload.len())?.copy_from_slice(payload);
            return Some(payload.len());
        }
        let block = |older: &Older| Block { offset: older.offset, payload: spans.get(older.span) };
        red::write(body, self.template.payload_type(), older.iter().rev().map(block), payload)
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
    /// How much it loses, and what is done about it.
    pub redundancy: Redundancy,
}

impl Listener {
    /// One without address, keys and streams.
    pub fn new(peer: Id) -> Self {
        Self {
            peer,
            destination: None,
            has_report: false,
            slots: Vec::new(),
            sealer: None,
            redundancy: Redundancy::default(),
        }
    }

    /// Its streams go on with other sources.
    pub fn cut(&mut self) {
        for slot in &mut self.slots {
            slot.splice.cut();
        }
    }

    /// Writes and seals a round's packets. True if a stream began that has had no sender report yet.
    pub(super) fn serve(&mut self, share: &Share<'_>, out: &mut Outbox<'_>) -> bool {
        let (Some(destination), Some(sealer)) = (self.destination, &self.sealer) else { return false };
        let (slots, distance) = (&mut self.slots, self.redundancy.distance());
        let len_of = |packet: &Routed| {
            let slot = slots.get(packet.lane)?;
            Some(slot.len_with(packet, slot.older(packet, distance, share.spans)))
        };
        let widest = match share.packets {
            [_] => 0,
            packets => packets.iter().filter_map(len_of).max().unwrap_or(0),
        };
        let mut has_begun = false;
        for (n, packet) in share.packets.iter().enumerate() {
            let Some(slot) = slots.get_mut(packet.lane) else { continue };
            let Some(place) = slot.splice.place(packet.index, packet.timestamp, share.now) else {
                share.counters.dropped_late_after_splice.add(1);
                continue;
            };
            let older = slot.older(packet, distance, share.spans);
            let room = out.room();
            let marker = packet.marker || place.is_first;
            let header_len = slot.template.write(room, marker, place.index as u16, place.timestamp, packet.level);
            let Some(body) = room.get_mut(header_len..) else { continue };
            let Some(body_len) = slot.write_payload(packet, older, share.spans, body) else { continue };
            if let Some(red) = slot.red.filter(|_| !older.is_empty()) {
                rtp::set_payload_type(room, red);
                share.counters.red_packets_out.add(1);
            }
            let mut len = header_len + body_len;
            if n + 1 < share.packets.len() && len < widest && widest - len <= MAX_PADDING {
                pad(room, len, widest);
                len = widest;
            }
            let Some(sealed) = sealer.seal_rtp(room, header_len, len, place.index) else { continue };
            out.commit_packet(destination, sealed, packet.span.read);
            share.counters.packets_out.add(1);
            slot.packets = slot.packets.wrapping_add(1);
            slot.octets = slot.octets.wrapping_add(body_len as u32);
            slot.sent_at = share.now;
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

/// A packet that a feed's listeners get in this share.
#[derive(Clone, Copy, Debug)]
pub struct Routed {
    /// Whose it is: if that is muted before all are served, no one gets it any more.
    pub(super) track: Id,
    pub(super) lane: usize,
    pub(super) index: u64,
    pub(super) timestamp: u32,
    pub(super) marker: bool,
    pub(super) level: Option<AudioLevel>,
    pub(super) span: super::Span,
    /// What went before it, in feeds that have a listener who loses some.
    pub(super) older: OlderRange,
}

/// What all listeners of a feed share in one round.
pub(super) struct Share<'a> {
    pub(super) packets: &'a [Routed],
    pub(super) spans: &'a Spans,
    pub(super) counters: &'a Counters,
    pub(super) now: Nanos,
}

/// A packet let in by its gate, its payload among the spans of the round that gathers.
#[derive(Clone, Copy, Debug)]
pub struct Heard {
    /// Who spoke it.
    pub track: Id,
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
