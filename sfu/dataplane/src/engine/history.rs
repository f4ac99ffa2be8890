//! The last payloads of a lane, to travel again with those that follow (RFC 2198). Pure. Per packet, but only in feeds
//! with a listener who loses some.

use super::redundancy::MAX_DISTANCE;
use super::spans::{OlderRange, Span, Spans};
use crate::red::{MAX_BLOCK, MAX_OFFSET};
use crate::splice::Place;

/// What a lane sent last, all of one source: when that changes it begins anew.
pub struct History {
    distance: usize,
    /// The last first; only so many of them are payloads.
    last: [Sent; MAX_DISTANCE],
    count: usize,
}

#[derive(Default)]
struct Sent {
    index: u64,
    timestamp: u32,
    payload: Vec<u8>,
}

impl History {
    /// One that keeps the last `distance` payloads.
    pub fn new(distance: usize) -> Self {
        let last = std::array::from_fn(|_| Sent { payload: Vec::with_capacity(MAX_BLOCK), ..Sent::default() });
        Self { distance: distance.min(MAX_DISTANCE), last, count: 0 }
    }

    /// From now on the last `distance`.
    pub fn set_distance(&mut self, distance: usize) {
        self.distance = distance.min(MAX_DISTANCE);
        self.count = self.count.min(self.distance);
    }

    /// What is remembered is forgotten.
    pub fn clear(&mut self) {
        self.count = 0;
    }

    /// A packet passes: those that may travel with it. It is remembered itself, unless it came late.
    pub fn pass(&mut self, place: &Place, span: Span, spans: &mut Spans) -> OlderRange {
        if place.is_first {
            self.clear();
        }
        if self.count > 0 && self.last[0].index >= place.index {
            return OlderRange::default();
        }
        let before = |sent: &Sent| place.timestamp.wrapping_sub(sent.timestamp);
        let kept = self.last[..self.count].iter().filter(|sent| (1..=MAX_OFFSET).contains(&before(sent)));
        let older = spans.add_older(kept.map(|sent| (sent.index, before(sent) as u16, &sent.payload[..])));
        if span.len() <= MAX_BLOCK {
            self.last.rotate_right(1);
            let newest = &mut self.last[0];
            (newest.index, newest.timestamp) = (place.index, place.timestamp);
            newest.payload.clear();
            newest.payload.extend_from_slice(spans.get(span));
            self.count = (self.count + 1).min(self.distance);
        }
        older
    }
}
