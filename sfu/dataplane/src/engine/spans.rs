//! Where the payloads of a round lie, side by side, and when each was read. Per packet.
//!
//! A round is what was taken in between two fan-outs. While one round is being served, the next gathers in a second
//! `Spans`; so no payload moves or goes before the last listener has it.

use crate::Nanos;

/// Reads of one round that are told apart; what comes in by later ones counts as read with the last of them.
const MAX_READS: usize = u8::MAX as usize + 1;

/// A payload of a round.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    start: u32,
    len: u16,
    /// Which of the round's reads it came in by.
    pub(super) read: u8,
}

impl Span {
    /// Its bytes' number.
    pub fn len(self) -> usize {
        usize::from(self.len)
    }

    /// Whether it has none.
    pub fn is_empty(self) -> bool {
        self.len == 0
    }
}

/// A payload sent before, that may travel with a newer one (RFC 2198).
#[derive(Clone, Copy, Debug)]
pub struct Older {
    /// Its lane's number for it.
    pub index: u64,
    /// By how much its timestamp is before the newer one's.
    pub offset: u16,
    /// Its bytes.
    pub span: Span,
}

/// Those that may travel with one packet, the last sent first.
#[derive(Clone, Copy, Debug, Default)]
pub struct OlderRange {
    start: u32,
    count: u8,
}

/// The payloads of a round.
#[derive(Debug, Default)]
pub struct Spans {
    bytes: Vec<u8>,
    older: Vec<Older>,
    reads: Vec<Nanos>,
}

impl Spans {
    /// With room for so many bytes from the start.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), older: Vec::new(), reads: Vec::with_capacity(8) }
    }

    /// What is added from here on was read at `now`.
    pub fn begin_read(&mut self, now: Nanos) {
        if self.reads.last() != Some(&now) && self.reads.len() < MAX_READS {
            self.reads.push(now);
        }
    }

    /// When each of the round's reads was.
    pub fn reads(&self) -> &[Nanos] {
        &self.reads
    }

    /// Keeps a copy of `payload`.
    pub fn add(&mut self, payload: &[u8]) -> Span {
        self.write(|bytes| bytes.extend_from_slice(payload))
    }

    /// Keeps what `write` appends.
    pub fn write(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Span {
        let start = self.bytes.len();
        write(&mut self.bytes);
        let read = self.reads.len().saturating_sub(1) as u8;
        Span { start: start as u32, len: (self.bytes.len() - start) as u16, read }
    }

    /// The bytes of a span of this round.
    pub fn get(&self, span: Span) -> &[u8] {
        &self.bytes[span.start as usize..][..span.len()]
    }

    /// Keeps copies of payloads sent before: index, how long before, and bytes, the last sent first.
    pub fn add_older<'a>(&mut self, older: impl Iterator<Item = (u64, u16, &'a [u8])>) -> OlderRange {
        let start = self.older.len();
        for (index, offset, payload) in older {
            let span = self.add(payload);
            self.older.push(Older { index, offset, span });
        }
        OlderRange { start: start as u32, count: (self.older.len() - start) as u8 }
    }

    /// Those of a packet of this round.
    pub fn older(&self, range: OlderRange) -> &[Older] {
        &self.older[range.start as usize..][..usize::from(range.count)]
    }

    /// The round is served.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.older.clear();
        self.reads.clear();
    }
}
