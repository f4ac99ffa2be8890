//! Per packet: what of a source was already received, and which index an RTP sequence number stands for.
//!
//! The order of use is the security property (RFC 3711 §3.3): `check` a packet, verify its tag, and only then `commit`.
//! A forged packet can thus neither move a window, nor advance a rollover counter, nor make a source known.

use super::Drop;

/// Sources one key may have. A browser uses two or three; past this a peer is filling memory.
pub const MAX_SOURCES: usize = 32;

/// Packets behind the newest one that can still be told apart from replays. RFC 3711 §3.3.2 asks for 64 at least.
const WINDOW: u64 = u128::BITS as u64;

const HALF: u64 = 1 << 15;
const INDEX_LIMIT: u64 = 1 << 48;

/// The replay windows of all sources under one key.
#[derive(Default)]
pub struct Sources {
    known: Vec<Source>,
}

struct Source {
    ssrc: u32,
    /// Bit i: the packet `highest - i` was received.
    seen: u128,
    highest: u64,
}

/// A packet that is new as far as its index goes. Says nothing of its authenticity.
#[must_use]
pub struct Fresh {
    /// 48 bits for RTP (ROC || sequence), 31 bits for RTCP.
    pub index: u64,
    ssrc: u32,
    slot: Option<usize>,
}

impl Sources {
    /// The index an RTP packet must have, if it may still be accepted (RFC 3711 §3.3.1).
    ///
    /// A source's first packet is taken to have rollover counter 0, as a sender's has that starts a session.
    pub fn check_sequence(&self, ssrc: u32, sequence: u16) -> Result<Fresh, Drop> {
        let slot = self.find(ssrc);
        let index = match slot {
            Some(slot) => estimate(self.known[slot].highest, sequence).ok_or(Drop::Replay)?,
            None => u64::from(sequence),
        };
        self.check_at(slot, ssrc, index)
    }

    /// The same for a packet that carries its whole index.
    pub fn check_index(&self, ssrc: u32, index: u64) -> Result<Fresh, Drop> {
        self.check_at(self.find(ssrc), ssrc, index)
    }

    /// Remembers an authentic packet.
    pub fn commit(&mut self, fresh: Fresh) {
        let Fresh { index, ssrc, slot } = fresh;
        let Some(source) = slot.and_then(|slot| self.known.get_mut(slot)) else {
            self.known.push(Source {
                ssrc,
                seen: 1,
                highest: index,
            });
            return;
        };
        if index > source.highest {
            let step = index - source.highest;
            source.seen = if step < WINDOW {
                source.seen << step | 1
            } else {
                1
            };
            source.highest = index;
        } else {
            source.seen |= 1 << (source.highest - index).min(WINDOW - 1);
        }
    }

    fn check_at(&self, slot: Option<usize>, ssrc: u32, index: u64) -> Result<Fresh, Drop> {
        match slot.map(|slot| &self.known[slot]) {
            None if self.known.len() >= MAX_SOURCES => Err(Drop::UnknownSource),
            Some(source) if source.has_seen(index) => Err(Drop::Replay),
            _ => Ok(Fresh { index, ssrc, slot }),
        }
    }

    fn find(&self, ssrc: u32) -> Option<usize> {
        self.known.iter().position(|source| source.ssrc == ssrc)
    }
}

impl Source {
    /// Whether the packet came before, or is too old to tell.
    fn has_seen(&self, index: u64) -> bool {
        match self.highest.checked_sub(index) {
            None => false,
            Some(age) => age >= WINDOW || self.seen >> age & 1 == 1,
        }
    }
}

/// The index nearest to `highest` with this sequence number (RFC 3711 App. A); None before 0 or past 2^48 - 1.
fn estimate(highest: u64, sequence: u16) -> Option<u64> {
    let (roc, newest) = (highest >> 16, highest & 0xffff);
    let sequence = u64::from(sequence);
    let roc = if newest < HALF && sequence > newest + HALF {
        roc.checked_sub(1)?
    } else if newest >= HALF && sequence < newest - HALF {
        roc + 1
    } else {
        roc
    };
    Some(roc << 16 | sequence).filter(|&index| index < INDEX_LIMIT)
}
