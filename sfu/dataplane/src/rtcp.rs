//! RTCP compound packets, read after opening and built before sealing (RFC 3550 §6). Guarded by the fuzz target
//! `rtcp_after_open`.
//!
//! Left out: APP, extended reports (RFC 3611) and all feedback (RFC 4585: NACK, PLI, REMB, transport-wide), which Palco
//! does not negotiate: they are `Item::Other`. Of SDES only the CNAME is written and nothing is read. Reduced-size
//! compounds (RFC 5506) are read and not written. The send-rate rules of RFC 3550 §6.2 are the caller's.

mod build;
mod reception;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use build::{build_receiver_report, build_sender_report};
pub use reception::Reception;

const VERSION: u8 = 2;
const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const BYE: u8 = 203;

const HEADER_BYTES: usize = 4;
const BLOCK_BYTES: usize = 24;

/// One packet of a compound.
#[derive(Clone, Debug)]
pub enum Item<'a> {
    /// RFC 3550 §6.4.1.
    SenderReport {
        /// Whose report it is.
        ssrc: u32,
        /// What it has sent.
        info: SenderInfo,
        /// What it has received.
        blocks: Blocks<'a>,
    },
    /// RFC 3550 §6.4.2.
    ReceiverReport {
        /// Whose report it is.
        ssrc: u32,
        /// What it has received.
        blocks: Blocks<'a>,
    },
    /// RFC 3550 §6.6. Anyone in the session can name any source: believe it only of the sender's own.
    Bye {
        /// The sources said to be leaving.
        sources: Sources<'a>,
    },
    /// Well formed, of a type that is not read.
    Other,
}

/// What a sender report says about the stream it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderInfo {
    /// The moment of the report: seconds since 1900 in the upper, 2^-32 s in the lower half.
    pub ntp: u64,
    /// The same moment on the stream's own clock.
    pub rtp_timestamp: u32,
    /// Packets sent; wraps around.
    pub packets: u32,
    /// Payload bytes sent, without headers and padding; wraps around.
    pub octets: u32,
}

/// What a receiver says about one stream (RFC 3550 §6.4.1).
///
/// ```text
/// |                             SSRC                              |
/// | fraction lost |       cumulative number of packets lost       |
/// |           extended highest sequence number received           |
/// |                      interarrival jitter                      |
/// |                       last SR (LSR)                           |
/// |                 delay since last SR (DLSR)                    |
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportBlock {
    /// The stream reported on.
    pub ssrc: u32,
    /// Lost since the report before, in 1/256.
    pub fraction_lost: u8,
    /// Lost in all; 24 bits on the wire, negative with duplicates.
    pub cumulative_lost: i32,
    /// Cycles of the sequence number in the upper, its highest value in the lower half.
    pub highest_sequence: u32,
    /// In units of the stream's clock.
    pub jitter: u32,
    /// The middle 32 bits of the NTP time of the last sender report received; 0 if none.
    pub last_sr: u32,
    /// Time since that report arrived, in 1/65536 s.
    pub delay_since_last_sr: u32,
}

impl ReportBlock {
    /// The time to the reporter and back, if it has seen a sender report; `ntp` is when this block arrived.
    ///
    /// None too if the block claims to be younger than it can be: then clock or reporter lies.
    pub fn round_trip(&self, ntp: u64) -> Option<Duration> {
        let elapsed = middle(ntp).wrapping_sub(self.last_sr).wrapping_sub(self.delay_since_last_sr);
        let is_plausible = self.last_sr != 0 && elapsed < 1 << 31;
        is_plausible.then(|| Duration::from_nanos(u64::from(elapsed) * 1_000_000_000 / 65_536))
    }

    fn parse(bytes: &[u8; BLOCK_BYTES]) -> Self {
        let word = |index: usize| u32::from_be_bytes(std::array::from_fn(|byte| bytes[4 * index + byte]));
        Self {
            ssrc: word(0),
            fraction_lost: bytes[4],
            cumulative_lost: (word(1) << 8) as i32 >> 8, // 24 bits, sign extended
            highest_sequence: word(2),
            jitter: word(3),
            last_sr: word(4),
            delay_since_last_sr: word(5),
        }
    }
}

/// The middle 32 bits of an NTP time: units of 1/65536 s, around once in 18 hours (RFC 3550 §4).
fn middle(ntp: u64) -> u32 {
    (ntp >> 16) as u32
}

/// The packets of an opened compound, up to the first that lies about its version, length, count or padding.
pub fn parse(compound: &[u8]) -> Items<'_> {
    Items { rest: compound }
}

/// See `parse`.
#[derive(Clone, Debug)]
pub struct Items<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Items<'a> {
    type Item = Item<'a>;

    fn next(&mut self) -> Option<Item<'a>> {
        let (item, rest) = split(self.rest).unzip();
        self.rest = rest.unwrap_or_default(); // after a lie nothing is believed
        item
    }
}

/// The first packet and what follows it.
///
/// ```text
/// |V=2|P|  count  |  packet type  |  length in words, less one    |
/// ```
fn split(compound: &[u8]) -> Option<(Item<'_>, &[u8])> {
    let (&[first, packet_type, l0, l1], _) = compound.split_first_chunk::<HEADER_BYTES>()?;
    let packet_bytes = 4 * (usize::from(u16::from_be_bytes([l0, l1])) + 1);
    let (packet, rest) = compound.split_at_checked(packet_bytes)?;
    let mut body = packet.get(HEADER_BYTES..)?;
    if first >> 6 != VERSION {
        return None;
    }
    if first & 0x20 != 0 {
        body = unpad(body, rest)?;
    }
    let item = parse_item(packet_type, usize::from(first & 0x1f), body)?;
    Some((item, rest))
}

/// The body without its padding: whole words, counting their last byte, in the last packet only (RFC 3550 §6.4.1).
fn unpad<'a>(body: &'a [u8], rest: &[u8]) -> Option<&'a [u8]> {
    let padding = usize::from(*body.last()?);
    let is_true = padding != 0 && padding % 4 == 0 && rest.is_empty();
    body.get(..body.len().checked_sub(padding)?).filter(|_| is_true)
}

fn parse_item(packet_type: u8, count: usize, body: &[u8]) -> Option<Item<'_>> {
    match packet_type {
        SENDER_REPORT => {
            let (&ssrc, body) = body.split_first_chunk::<4>()?;
            let (&[ntp @ .., t0, t1, t2, t3, p0, p1, p2, p3, o0, o1, o2, o3], body) = body.split_first_chunk::<20>()?;
            let info = SenderInfo {
                ntp: u64::from_be_bytes(ntp),
                rtp_timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
                packets: u32::from_be_bytes([p0, p1, p2, p3]),
                octets: u32::from_be_bytes([o0, o1, o2, o3]),
            };
            let blocks = Blocks { bytes: body.get(..BLOCK_BYTES * count)? };
            Some(Item::SenderReport { ssrc: u32::from_be_bytes(ssrc), info, blocks })
        }
        RECEIVER_REPORT => {
            let (&ssrc, body) = body.split_first_chunk::<4>()?;
            let blocks = Blocks { bytes: body.get(..BLOCK_BYTES * count)? };
            Some(Item::ReceiverReport { ssrc: u32::from_be_bytes(ssrc), blocks })
        }
        BYE => Some(Item::Bye { sources: Sources { bytes: body.get(..4 * count)? } }),
        _ => Some(Item::Other),
    }
}

/// The report blocks of one report.
#[derive(Clone, Debug)]
pub struct Blocks<'a> {
    bytes: &'a [u8],
}

impl Iterator for Blocks<'_> {
    type Item = ReportBlock;

    fn next(&mut self) -> Option<ReportBlock> {
        let (block, rest) = self.bytes.split_first_chunk()?;
        self.bytes = rest;
        Some(ReportBlock::parse(block))
    }
}

/// The sources of one BYE.
#[derive(Clone, Debug)]
pub struct Sources<'a> {
    bytes: &'a [u8],
}

impl Iterator for Sources<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let (&source, rest) = self.bytes.split_first_chunk()?;
        self.bytes = rest;
        Some(u32::from_be_bytes(source))
    }
}
