//! Streams joined end to end into one whose sequence numbers and timestamps never break. Pure. Per packet.
//!
//! A splice numbers what it lets through. Within one source the mapping is an addition, so loss and reordering of the
//! source stay visible to the receiver. At a cut the next packet continues at last + 1, and what is older than the cut is
//! refused from then on: as the source's own indices never repeat (its SRTP replay window sees to that), neither do ours,
//! and no (key, SSRC, index) is ever used twice. Guarded by `benches/fanout`.

use crate::Nanos;

/// A leap of the source beyond this many packets (ten seconds) is no loss but a new beginning: continue without the gap.
const MAX_GAP: u64 = 512;

/// The longest Opus packet in ticks of 48 kHz (RFC 6716 §2.1.4: 120 ms), and the usual one.
const MAX_STEP: u32 = 5_760;
const USUAL_STEP: u32 = 960;

/// Where a packet stands in the outgoing stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// The extended sequence number: rollovers << 16 | sequence, as SRTP wants it.
    pub index: u64,
    /// The RTP timestamp.
    pub timestamp: u32,
    /// Whether this is the first packet after a cut.
    pub is_first: bool,
}

/// The numbering of one outgoing stream.
#[derive(Clone, Debug)]
pub struct Splice {
    index_offset: u64,
    /// The source's index at the cut; nothing before it passes.
    from: u64,
    last_index: u64,
    last_at: Nanos,
    timestamp_offset: u32,
    last_timestamp: u32,
    step: u32,
    is_joined: bool,
    has_sent: bool,
}

impl Splice {
    /// A stream whose first packet will bear these.
    pub fn new(first_index: u64, first_timestamp: u32) -> Self {
        Self {
            index_offset: 0,
            from: 0,
            last_index: first_index.wrapping_sub(1),
            last_at: 0,
            timestamp_offset: 0,
            last_timestamp: first_timestamp,
            step: USUAL_STEP,
            is_joined: false,
            has_sent: false,
        }
    }

    /// The next packet comes from another source.
    pub fn cut(&mut self) {
        self.is_joined = false;
    }

    /// The place of the source's packet `index`; None if it is older than the last cut.
    #[inline]
    pub fn place(&mut self, index: u64, timestamp: u32, now: Nanos) -> Option<Place> {
        if self.is_joined && index < self.from {
            return None;
        }
        let is_first = !self.is_joined || index.wrapping_add(self.index_offset) > self.last_index.wrapping_add(MAX_GAP);
        if is_first {
            self.join(index, timestamp, now);
        }
        let place = Place {
            index: index.wrapping_add(self.index_offset),
            timestamp: timestamp.wrapping_add(self.timestamp_offset),
            is_first,
        };
        if is_first || place.index > self.last_index {
            self.advance(&place, now);
        }
        Some(place)
    }

    /// The timestamp that audio captured at `now` would bear.
    pub fn timestamp_at(&self, now: Nanos) -> u32 {
        self.last_timestamp.wrapping_add(ticks(now.saturating_sub(self.last_at)))
    }

    /// Whether anything was let through so far.
    pub fn has_sent(&self) -> bool {
        self.has_sent
    }

    fn join(&mut self, index: u64, timestamp: u32, now: Nanos) {
        let next = if self.has_sent {
            // At least one packet's length on, or the receiver takes the new source's first packet for an overlap.
            let elapsed = ticks(now.saturating_sub(self.last_at)).max(self.step);
            self.last_timestamp.wrapping_add(elapsed)
        } else {
            self.last_timestamp
        };
        self.index_offset = self.last_index.wrapping_add(1).wrapping_sub(index);
        self.timestamp_offset = next.wrapping_sub(timestamp);
        self.from = index;
        self.is_joined = true;
    }

    #[inline]
    fn advance(&mut self, place: &Place, now: Nanos) {
        let step = place.timestamp.wrapping_sub(self.last_timestamp);
        if !place.is_first && (1..=MAX_STEP).contains(&step) {
            self.step = step;
        }
        self.last_index = place.index;
        self.last_timestamp = place.timestamp;
        self.last_at = now;
        self.has_sent = true;
    }
}

/// Nanoseconds in ticks of 48 kHz, modulo 2^32.
pub fn ticks(elapsed: Nanos) -> u32 {
    // 48 000 / 10^9 = 6 / 125 000
    (elapsed / 125_000 * 6 + elapsed % 125_000 * 6 / 125_000) as u32
}

/// The indices of a plain stream that has no SRTP to extend its sequence numbers and to refuse repetition.
///
/// Needed where plain RTP comes in (taps): a repeated sequence number would be sealed twice under one nonce.
#[derive(Clone, Debug, Default)]
pub struct Extender {
    highest: Option<u64>,
    /// Bit n: `highest - n` was seen.
    seen: u128,
}

impl Extender {
    /// The extended index of `sequence`; None for one that was there or is too old to know.
    pub fn extend(&mut self, sequence: u16) -> Option<u64> {
        let Some(highest) = self.highest else {
            let index = 1 << 16 | u64::from(sequence);
            self.highest = Some(index);
            self.seen = 1;
            return Some(index);
        };
        let distance = sequence.wrapping_sub(highest as u16) as i16;
        let index = highest.checked_add_signed(i64::from(distance))?;
        if distance > 0 {
            self.seen = self.seen.checked_shl(u32::from(distance.unsigned_abs())).unwrap_or(0) | 1;
            self.highest = Some(index);
            return Some(index);
        }
        let bit = 1u128.checked_shl(u32::from(distance.unsigned_abs()))?;
        if self.seen & bit != 0 {
            return None;
        }
        self.seen |= bit;
        Some(index)
    }
}
