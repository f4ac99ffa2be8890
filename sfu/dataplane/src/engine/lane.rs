//! One of a feed's lanes: its unbroken numbering and, for large audiences, several packets' audio in one. Pure. Per packet.
//!
//! Packing is done once per lane, whatever the number of listeners: what one datagram costs is then paid once for 40 or
//! 60 ms instead of 20. It adds as much delay as it adds audio; with jitter, never more than a whole packet's time.
//! Loss of the source stays visible: in the timestamps always, in the sequence numbers where whole packets are missing.
//! Guarded by `benches/fanout`.

use super::egress::{Heard, Routed};
use super::history::History;
use super::spans::OlderRange;
use super::{Spans, MAX_PAYLOAD};
use crate::counters::Counters;
use crate::ids::Id;
use crate::opus::{self, Merger};
use crate::rtp::AudioLevel;
use crate::splice::Splice;
use crate::{Nanos, MILLISECOND};

/// How much audio a feed's packets carry.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Packing {
    /// What the speaker's do, mostly 20 ms.
    #[default]
    AsSpoken,
    /// Up to 40 ms.
    Of40Ms,
    /// Up to 60 ms.
    Of60Ms,
}

impl Packing {
    /// The packing for so many milliseconds in a packet: 20 (as spoken), 40 or 60.
    pub fn from_ms(packet_ms: u32) -> Option<Self> {
        match packet_ms {
            20 => Some(Self::AsSpoken),
            40 => Some(Self::Of40Ms),
            60 => Some(Self::Of60Ms),
            _ => None,
        }
    }

    fn packer(self) -> Option<Box<Packer>> {
        match self {
            Self::AsSpoken => None,
            Self::Of40Ms => Some(Box::new(Packer::new(40))),
            Self::Of60Ms => Some(Box::new(Packer::new(60))),
        }
    }
}

/// One stream of a feed, the same for all its listeners.
pub struct Lane {
    line: Line,
    packer: Option<Box<Packer>>,
}

/// A lane's numbering, and what it sent last.
struct Line {
    number: usize,
    splice: Splice,
    history: Option<Box<History>>,
}

impl Lane {
    /// The lane for the listeners' slots of this number.
    pub fn new(number: usize, packing: Packing) -> Self {
        // A lane's own numbering is seen by no one; it begins high enough never to fall below zero.
        let line = Line { number, splice: Splice::new(1 << 32, 0), history: None };
        Self { line, packer: packing.packer() }
    }

    /// Each packet comes with so many of those before it from now on, for listeners who lose some.
    pub fn remember(&mut self, distance: usize) {
        match &mut self.line.history {
            Some(history) if distance > 0 => history.set_distance(distance),
            history => *history = (distance > 0).then(|| Box::new(History::new(distance))),
        }
    }

    /// The next packet comes from another source; what waits of the old one is still sent.
    pub fn cut(&mut self) {
        match &mut self.packer {
            Some(packer) => packer.is_cut = true,
            None => self.line.splice.cut(),
        }
    }

    /// The source is muted or gone: what waits of it is forgotten.
    pub fn release(&mut self) {
        self.cut();
        if let Some(history) = &mut self.line.history {
            history.clear();
        }
        if let Some(packer) = &mut self.packer {
            packer.merger.clear();
        }
    }

    /// Takes a packet of the current source; what is to be sent because of it goes to `out`.
    #[inline]
    pub fn take(&mut self, packet: &Heard, now: Nanos, spans: &mut Spans, counters: &Counters, out: &mut Vec<Routed>) {
        let Some(packer) = &mut self.packer else {
            return self.line.place(packet, now, spans, counters, out);
        };
        if packer.is_late(packet) {
            return counters.dropped_late_after_splice.add(1);
        }
        if packer.join(packet, spans) {
            counters.packets_merged.add(1);
        } else {
            if let Some(packed) = packer.flush(spans) {
                self.line.place(&packed, now, spans, counters, out);
            }
            if std::mem::take(&mut packer.is_cut) {
                packer.next = None;
                self.line.splice.cut();
            }
            if let Some(alone) = packer.begin(packet, spans, now) {
                return self.line.place(&alone, now, spans, counters, out);
            }
        }
        if packer.is_full() {
            if let Some(packed) = packer.flush(spans) {
                self.line.place(&packed, now, spans, counters, out);
            }
        }
    }

    /// Sends what has waited for more long enough.
    pub fn flush_overdue(&mut self, now: Nanos, spans: &mut Spans, counters: &Counters, out: &mut Vec<Routed>) {
        let Some(packer) = &mut self.packer else { return };
        if packer.due_at().is_some_and(|due_at| due_at <= now) {
            if let Some(packed) = packer.flush(spans) {
                self.line.place(&packed, now, spans, counters, out);
            }
        }
    }

    /// When what waits must go out, whatever has come by then.
    pub fn due_at(&self) -> Option<Nanos> {
        self.packer.as_ref()?.due_at()
    }
}

impl Line {
    #[inline]
    fn place(&mut self, packet: &Heard, now: Nanos, spans: &mut Spans, counters: &Counters, out: &mut Vec<Routed>) {
        let Some(place) = self.splice.place(packet.index, packet.timestamp, now) else {
            return counters.dropped_late_after_splice.add(1);
        };
        let older = match &mut self.history {
            Some(history) => history.pass(&place, packet.span, spans),
            None => OlderRange::default(),
        };
        out.push(Routed {
            track: packet.track,
            lane: self.number,
            index: place.index,
            timestamp: place.timestamp,
            marker: packet.marker || place.is_first,
            level: packet.level,
            span: packet.span,
            older,
        });
    }
}

/// Gathers packets of one source, and numbers what it makes of them.
struct Packer {
    longest: Nanos,
    merger: Merger,
    /// Who spoke what waits.
    track: Option<Id>,
    /// The source begins anew with its next packet.
    is_cut: bool,
    /// The source's next index and timestamp if nothing is lost.
    next: Option<(u64, u32)>,
    /// Of the last packet made. Only ever rises: it is what keeps the listeners' SRTP indices from being used again.
    index: u64,
    /// What is missing before the first that waits, in whole packets of ours.
    missing: u64,
    timestamp: u32,
    marker: bool,
    level: Option<AudioLevel>,
    since: Nanos,
    /// Of the last packet that came.
    ticks: u32,
}

impl Packer {
    fn new(packet_ms: u32) -> Self {
        Self {
            longest: Nanos::from(packet_ms) * MILLISECOND,
            merger: Merger::new(packet_ms * 48, MAX_PAYLOAD),
            track: None,
            is_cut: false,
            next: None,
            index: 0,
            missing: 0,
            timestamp: 0,
            marker: false,
            level: None,
            since: 0,
            ticks: 0,
        }
    }

    /// Whether its place in time is already passed: sent without it, or given up as lost.
    fn is_late(&self, packet: &Heard) -> bool {
        !self.is_cut && self.next.is_some_and(|(index, _)| packet.index < index)
    }

    /// Adds a packet to those that wait, if it follows them without a gap and fits.
    fn join(&mut self, packet: &Heard, spans: &Spans) -> bool {
        let follows = !self.is_cut && self.next == Some((packet.index, packet.timestamp));
        if !follows || self.merger.is_empty() {
            return false;
        }
        let Some(frames) = opus::parse(spans.get(packet.span)) else { return false };
        if !self.merger.push(&frames) {
            return false;
        }
        self.marker |= packet.marker;
        self.level = louder(self.level, packet.level);
        self.expect_after(packet, frames.ticks());
        true
    }

    /// Lets a packet wait for the next, nothing else waiting. Given back numbered, if none can ever join it.
    fn begin(&mut self, packet: &Heard, spans: &Spans, now: Nanos) -> Option<Heard> {
        let lost = match self.next {
            Some((index, _)) if packet.index > index => packet.index - index,
            _ => 0,
        };
        let of_one = self.merger.max_ticks().checked_div(self.ticks).map_or(1, |count| count.max(1));
        self.missing = lost / u64::from(of_one);
        let frames = opus::parse(spans.get(packet.span));
        self.expect_after(packet, frames.map_or(self.ticks, |frames| frames.ticks()));
        if frames.is_none_or(|frames| !self.merger.push(&frames)) {
            return Some(Heard { index: self.next_index(), ..*packet });
        }
        self.track = Some(packet.track);
        (self.timestamp, self.marker, self.level, self.since) = (packet.timestamp, packet.marker, packet.level, now);
        None
    }

    fn expect_after(&mut self, packet: &Heard, ticks: u32) {
        self.ticks = ticks;
        self.next = Some((packet.index + 1, packet.timestamp.wrapping_add(ticks)));
    }

    fn is_full(&self) -> bool {
        self.merger.is_full_for(self.ticks)
    }

    fn due_at(&self) -> Option<Nanos> {
        (!self.merger.is_empty()).then_some(self.since + self.longest)
    }

    /// What waits, as one packet.
    fn flush(&mut self, spans: &mut Spans) -> Option<Heard> {
        let track = self.track.filter(|_| !self.merger.is_empty())?;
        let span = spans.write(|bytes| self.merger.write(bytes));
        self.merger.clear();
        let (timestamp, marker, level) = (self.timestamp, self.marker, self.level);
        Some(Heard { track, index: self.next_index(), timestamp, marker, level, span })
    }

    fn next_index(&mut self) -> u64 {
        self.index += 1 + std::mem::take(&mut self.missing);
        self.index
    }
}

fn louder(one: Option<AudioLevel>, other: Option<AudioLevel>) -> Option<AudioLevel> {
    let (Some(one), Some(other)) = (one, other) else { return one.or(other) };
    Some(AudioLevel { is_voice: one.is_voice || other.is_voice, level: one.level.min(other.level) })
}
