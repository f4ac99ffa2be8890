//! Time on the clock that kernel receive stamps use, and the stamps that packets carry.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Opus TOC: SILK wideband, 20 ms, mono, one frame (RFC 6716 §3.1).
const TOC: u8 = 0b0100_1000;
pub const STAMP_BYTES: usize = 21;

/// What a packet says of itself: who spoke, its number, when it was sent (nanoseconds since the epoch).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamp {
    pub speaker: u32,
    pub number: u64,
    pub sent_ns: u64,
}

impl Stamp {
    pub fn write(&self, payload: &mut [u8]) {
        payload[0] = TOC;
        payload[1..5].copy_from_slice(&self.speaker.to_be_bytes());
        payload[5..13].copy_from_slice(&self.number.to_be_bytes());
        payload[13..21].copy_from_slice(&self.sent_ns.to_be_bytes());
    }

    pub fn read(payload: &[u8]) -> Option<Self> {
        let (toc, rest) = payload.split_first()?;
        let (speaker, rest) = rest.split_first_chunk()?;
        let (number, rest) = rest.split_first_chunk()?;
        let (sent, _) = rest.split_first_chunk()?;
        (*toc == TOC).then_some(Self {
            speaker: u32::from_be_bytes(*speaker),
            number: u64::from_be_bytes(*number),
            sent_ns: u64::from_be_bytes(*sent),
        })
    }
}

/// CLOCK_REALTIME, as SO_TIMESTAMPNS gives it.
pub fn wall_ns() -> u64 {
    let since: Duration = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
