//! Per packet: what one inbound stream has lost and how unevenly it comes (RFC 3550 A.1, A.3, A.8).

use super::build::clamp_to_24_bits;
use super::{middle, ReportBlock};

/// RFC 3550 A.1: a greater jump ahead is a restart, if the next packet confirms it.
const MAX_DROPOUT: u16 = 3000;
/// RFC 3550 A.1: a packet that is behind by less is late, by as much or more a restart, if confirmed.
const MAX_MISORDER: u16 = 100;
/// The clock of Opus (RFC 7587 §4.1) and of every `_48k` here.
const CLOCK_HZ: u64 = 48_000;

/// The receiver's account of one stream, from which its report blocks are made.
///
/// No probation (MIN_SEQUENTIAL of A.1): only authenticated packets get here, so one is proof enough of the source.
/// Times are in ticks of 1/48000 s of the caller's steady clock, wrapping around once a day.
#[derive(Clone, Debug)]
pub struct Reception {
    ssrc: u32,
    sequence: Option<Sequence>,
    jitter: Jitter,
    reported: Counts,
    last_sr: Option<SenderReport>,
}

/// Where a stream stands, all on one 64-bit scale.
#[derive(Clone, Copy, Debug)]
struct Sequence {
    base: u64,
    highest: u64,
    received: u64,
    /// The number that would confirm a restart.
    restart: Option<u16>,
}

/// Packets since the stream began.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    expected: u64,
    received: u64,
}

#[derive(Clone, Copy, Debug)]
struct SenderReport {
    ntp_middle: u32,
    arrival_48k: u32,
}

impl Reception {
    /// Nothing received yet of source `ssrc`.
    pub fn new(ssrc: u32) -> Self {
        Self { ssrc, sequence: None, jitter: Jitter::default(), reported: Counts::default(), last_sr: None }
    }

    /// Takes an authentic packet into account; false if it is so far off that it counts only if the next one follows.
    pub fn on_packet(&mut self, sequence: u16, timestamp: u32, arrival_48k: u32) -> bool {
        let progress = match &mut self.sequence {
            None => Progress::Restarts,
            Some(state) => state.advance(sequence),
        };
        if progress == Progress::Refused {
            return false;
        }
        if progress == Progress::Restarts {
            self.sequence = Some(Sequence::starting_at(sequence));
            self.reported = Counts::default();
            self.jitter.last_transit = None; // the stream's clock may have jumped as well
        }
        self.jitter.on_packet(timestamp, arrival_48k);
        true
    }

    /// Takes note of the stream's own sender report, so that its sender can tell the round trip.
    pub fn on_sender_report(&mut self, ntp: u64, arrival_48k: u32) {
        self.last_sr = Some(SenderReport { ntp_middle: middle(ntp), arrival_48k });
    }

    /// The block for the next report; what it calls fraction lost is since the block before.
    pub fn block(&mut self, now_48k: u32) -> ReportBlock {
        let counts = self.sequence.map_or_else(Counts::default, |state| state.counts());
        let before = std::mem::replace(&mut self.reported, counts);
        let lost = counts.expected as i64 - counts.received as i64;
        ReportBlock {
            ssrc: self.ssrc,
            fraction_lost: fraction_lost(counts, before),
            cumulative_lost: clamp_to_24_bits(lost.clamp(i32::MIN.into(), i32::MAX.into()) as i32),
            highest_sequence: self.sequence.map_or(0, |state| state.highest as u32),
            jitter: self.jitter.in_ticks(),
            last_sr: self.last_sr.map_or(0, |report| report.ntp_middle),
            delay_since_last_sr: self.last_sr.map_or(0, |report| report.age(now_48k)),
        }
    }
}

/// RFC 3550 A.3: the share lost between two counts, in 1/256; 0 if duplicates outnumber losses.
fn fraction_lost(now: Counts, before: Counts) -> u8 {
    let expected = now.expected - before.expected;
    let received = now.received - before.received;
    let lost = expected.saturating_sub(received);
    (lost << 8).checked_div(expected).unwrap_or(0).min(255) as u8
}

/// What a packet does to the sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Counts,
    Restarts,
    Refused,
}

impl Sequence {
    fn starting_at(sequence: u16) -> Self {
        let sequence = u64::from(sequence);
        Self { base: sequence, highest: sequence, received: 1, restart: None }
    }

    /// RFC 3550 A.1, `update_seq`.
    fn advance(&mut self, sequence: u16) -> Progress {
        let ahead = sequence.wrapping_sub(self.highest as u16);
        if ahead < MAX_DROPOUT {
            self.highest += u64::from(ahead);
        } else if ahead <= MAX_MISORDER.wrapping_neg() {
            if self.restart == Some(sequence) {
                return Progress::Restarts;
            }
            self.restart = Some(sequence.wrapping_add(1));
            return Progress::Refused;
        }
        self.restart = None;
        self.received += 1;
        Progress::Counts
    }

    fn counts(&self) -> Counts {
        Counts { expected: self.highest - self.base + 1, received: self.received }
    }
}

/// RFC 3550 A.8, kept sixteenfold so that rounding does not eat it.
#[derive(Clone, Copy, Debug, Default)]
struct Jitter {
    scaled: u64,
    last_transit: Option<u32>,
}

impl Jitter {
    fn on_packet(&mut self, timestamp: u32, arrival_48k: u32) {
        let transit = arrival_48k.wrapping_sub(timestamp);
        if let Some(last) = self.last_transit.replace(transit) {
            let difference = transit.wrapping_sub(last) as i32;
            self.scaled = self.scaled - ((self.scaled + 8) >> 4) + u64::from(difference.unsigned_abs());
        }
    }

    fn in_ticks(self) -> u32 {
        u32::try_from(self.scaled >> 4).unwrap_or(u32::MAX)
    }
}

impl SenderReport {
    /// In 1/65536 s, the unit of DLSR.
    fn age(self, now_48k: u32) -> u32 {
        let ticks = u64::from(now_48k.wrapping_sub(self.arrival_48k));
        u32::try_from(ticks * 65_536 / CLOCK_HZ).unwrap_or(u32::MAX)
    }
}
