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

    /// Whether the source's packet `index` belongs to this side of the last cut.
    pub fn has_passed(&self, index: u64) -> bool {
        self.is_joined && index >= self.from
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use std::collections::HashSet;

    use super::*;
    use crate::MILLISECOND;

    const FRAME: Nanos = 20 * MILLISECOND;

    #[test]
    fn loss_and_reordering_of_one_source_stay_visible() {
        let mut splice = Splice::new(100, 7);
        let places: Vec<_> = [5000, 5001, 5004, 5003].map(|index| splice.place(index, 0, 0).unwrap().index).into();
        assert_eq!(places, [100, 101, 104, 103]);
    }

    #[test]
    fn after_a_cut_the_stream_goes_on_with_the_next_number_and_the_time_that_passed() {
        let mut splice = Splice::new(100, 7);
        splice.place(5000, 40_000, FRAME);
        splice.cut();
        let place = splice.place(9, 1, 3 * FRAME).unwrap();
        assert_eq!(place, Place { index: 101, timestamp: 7 + 2 * 960, is_first: true });
        assert_eq!(splice.place(10, 961, 4 * FRAME).unwrap().timestamp, 7 + 3 * 960);
    }

    #[test]
    fn two_sources_within_a_millisecond_do_not_overlap_in_time() {
        let mut splice = Splice::new(0, 0);
        splice.place(1, 0, 0);
        splice.place(2, 2_880, 60 * MILLISECOND);
        splice.cut();
        let place = splice.place(1, 0, 61 * MILLISECOND).unwrap();
        assert_eq!(place.timestamp, 2 * 2_880, "one packet of 60 ms further on");
    }

    #[test]
    fn what_is_older_than_the_cut_is_refused() {
        let mut splice = Splice::new(0, 0);
        splice.place(70_000, 0, 0);
        assert_eq!(splice.place(69_999, 0, 0), None);
    }

    #[test]
    fn a_leap_of_the_source_is_not_passed_on() {
        let mut splice = Splice::new(0, 0);
        splice.place(1_000, 0, 0);
        assert_eq!(splice.place(1_000 + MAX_GAP, 0, 0).unwrap().index, MAX_GAP);
        assert_eq!(splice.place(30_000, 0, 0).unwrap().index, MAX_GAP + 1);
    }

    #[test]
    fn the_first_packet_bears_the_numbers_that_were_chosen_for_it() {
        let place = Splice::new(77, 88).place(1 << 40, 99, SECOND_LATER).unwrap();
        assert_eq!((place.index, place.timestamp), (77, 88));
    }

    const SECOND_LATER: Nanos = 1_000 * MILLISECOND;

    /// What happens to a splice: a packet of the current source so far ahead or behind, or another source.
    #[derive(Clone, Debug)]
    enum Step {
        Packet { ahead: i64, elapsed_ms: u64 },
        Cut { source_begins_at: u64 },
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let packet = (-40..60i64, 0..100u64).prop_map(|(ahead, elapsed_ms)| Step::Packet { ahead, elapsed_ms });
        let leap = (-2_000..40_000i64, 0..9_000u64).prop_map(|(ahead, elapsed_ms)| Step::Packet { ahead, elapsed_ms });
        let cut = (0..1u64 << 40).prop_map(|source_begins_at| Step::Cut { source_begins_at });
        prop::collection::vec(prop_oneof![8 => packet, 1 => leap, 1 => cut], 1..400)
    }

    proptest! {
        /// Sources that never repeat an index, as SRTP's replay window makes them.
        #[test]
        fn no_index_is_ever_used_twice_and_every_cut_continues_with_the_next(steps in steps(), first in 0..1u64 << 15) {
            let mut splice = Splice::new(first, 0);
            let (mut used, mut seen, mut highest_out) = (HashSet::new(), HashSet::new(), first.wrapping_sub(1));
            let (mut highest, mut source, mut now) = (1u64 << 20, 0u32, 0);
            for step in steps {
                match step {
                    Step::Cut { source_begins_at } => {
                        (highest, source) = (source_begins_at + 3_000, source + 1);
                        splice.cut();
                    }
                    Step::Packet { ahead, elapsed_ms } => {
                        now += elapsed_ms * MILLISECOND;
                        let index = highest.saturating_add_signed(ahead);
                        if !seen.insert((source, index)) {
                            continue;
                        }
                        highest = highest.max(index);
                        let Some(place) = splice.place(index, 960u32.wrapping_mul(index as u32), now) else { continue };
                        prop_assert!(used.insert(place.index), "index {} used twice", place.index);
                        if place.is_first {
                            prop_assert_eq!(place.index, highest_out.wrapping_add(1));
                        }
                        prop_assert!(place.index >= first && place.index <= highest_out.wrapping_add(MAX_GAP));
                        highest_out = if highest_out == u64::MAX { place.index } else { highest_out.max(place.index) };
                    }
                }
            }
        }

        #[test]
        fn ticks_are_nanoseconds_times_48_000(elapsed in 0..1u64 << 50) {
            let exact = u128::from(elapsed) * 48_000 / 1_000_000_000;
            prop_assert!((exact as u32).wrapping_sub(ticks(elapsed)) <= 1);
        }

        #[test]
        fn an_extender_gives_each_number_one_index_and_never_one_twice(
            deltas in prop::collection::vec(-200..300i64, 1..500), first: u16,
        ) {
            let mut extender = Extender::default();
            let mut given = HashSet::new();
            let mut exact = 1i64 << 16 | i64::from(first);
            for delta in deltas {
                if let Some(index) = extender.extend(exact as u16) {
                    prop_assert_eq!(index, exact as u64);
                    prop_assert!(given.insert(index));
                }
                exact = (exact + delta).max(1 << 15);
                let highest = given.iter().max().copied().unwrap_or(0) as i64;
                exact = exact.clamp(highest - 30_000, highest + 30_000);
            }
        }
    }
}
