//! Per packet: RTP headers read and written (RFC 3550 §5, RFC 8285, RFC 6464). Guarded by `make bench` (CPU per
//! delivered packet) and the fuzz target `rtp_after_open`.
//!
//! Every length in a packet is a claim: it is checked against the bytes at hand, here and again by each function that
//! is given a `Header`, since packets are rewritten and cut in place between the calls.
//!
//! Left out: the contributing sources themselves (their bytes are only stepped over), header extensions encrypted by
//! RFC 6904 or RFC 9335, and extension blocks of profiles other than RFC 8285's.

mod extension;
mod template;
#[cfg(test)]
mod tests;

pub use extension::{audio_level, extension, AudioLevel};
pub use template::Template;

/// Without contributing sources and extension (RFC 3550 §5.1).
///
/// ```text
///  0                   1                   2                   3
/// |V=2|P|X|  CC   |M|     PT      |       sequence number         |
/// |                           timestamp                           |
/// |                             SSRC                              |
/// ```
const FIXED_BYTES: usize = 12;
const VERSION: u8 = 2;

/// The header of one packet, its lengths checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// With Opus: the first packet after silence (RFC 7587 §4.1).
    pub marker: bool,
    /// 0 to 127.
    pub payload_type: u8,
    /// Wraps around.
    pub sequence: u16,
    /// In units of 1/48000 s for Opus; wraps around.
    pub timestamp: u32,
    /// The stream's source.
    pub ssrc: u32,
    /// Bytes before the payload: fixed header, contributing sources and extension block. SRTP leaves them in the clear.
    pub header_len: usize,
    has_padding: bool,
    block: Option<Block>,
}

/// An extension block: what its elements look like and where they lie, up to `header_len`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Block {
    profile: u16,
    start: usize,
}

/// The header of a sealed or open packet; None if it is not RTP version 2 or claims more bytes than there are.
pub fn parse(packet: &[u8]) -> Option<Header> {
    let (&[first, second, s0, s1, t0, t1, t2, t3, r0, r1, r2, r3], _) = packet.split_first_chunk::<FIXED_BYTES>()?;
    if first >> 6 != VERSION {
        return None;
    }
    let sources_end = FIXED_BYTES + 4 * usize::from(first & 0x0f);
    let (header_len, block) = if first & 0x10 == 0 {
        (sources_end, None)
    } else {
        let (&[p0, p1, l0, l1], _) = packet.get(sources_end..)?.split_first_chunk::<4>()?;
        let start = sources_end + 4;
        let end = start + 4 * usize::from(u16::from_be_bytes([l0, l1]));
        (end, Some(Block { profile: u16::from_be_bytes([p0, p1]), start }))
    };
    (header_len <= packet.len()).then_some(Header {
        marker: second & 0x80 != 0,
        payload_type: second & 0x7f,
        sequence: u16::from_be_bytes([s0, s1]),
        timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
        ssrc: u32::from_be_bytes([r0, r1, r2, r3]),
        header_len,
        has_padding: first & 0x20 != 0,
        block,
    })
}

/// Gives a packet in the clear another payload type.
pub fn set_payload_type(packet: &mut [u8], payload_type: u8) {
    if let Some(second) = packet.get_mut(1) {
        *second = *second & 0x80 | payload_type & 0x7f;
    }
}

/// The payload of an open packet without its padding; None if the padding claims to be longer than there is room.
pub fn payload<'a>(packet: &'a [u8], header: &Header) -> Option<&'a [u8]> {
    let padded = packet.get(header.header_len..)?;
    if !header.has_padding {
        return Some(padded);
    }
    match usize::from(*padded.last()?) {
        0 => None, // the count includes itself (RFC 3550 §5.1)
        padding => padded.get(..padded.len().checked_sub(padding)?),
    }
}
