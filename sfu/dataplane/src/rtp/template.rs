//! Per packet: the header of one outbound stream, built once; each packet patches what moves.

use super::extension::{AudioLevel, ONE_BYTE_MAX_ID, ONE_BYTE_MAX_VALUE_BYTES, ONE_BYTE_PROFILE, TWO_BYTE_PROFILE};
use super::{FIXED_BYTES, VERSION};

/// Room for a mid of 41 characters beside the level; browsers use one or two, a UUID has 36.
const MAX_BLOCK_BYTES: usize = 52;
const BLOCK_HEADER_BYTES: usize = 4;

/// The header of one slot: all its packets have the same length, so that equal payloads make equal datagrams.
///
/// ```text
/// |V=2|0|X|  0    |M|     PT      |       sequence number         |   M, sequence number and timestamp: per packet
/// |                           timestamp                           |
/// |                             SSRC                              |
/// |            0xBEDE             |        length in words        |   absent with neither level nor mid
/// |  ID   |   0   |V|    level    |  ID   | len-1 | mid ...       |   V and level: per packet
/// ```
#[derive(Clone, Debug)]
pub struct Template {
    fixed: [u8; FIXED_BYTES],
    block: [u8; MAX_BLOCK_BYTES],
    block_len: usize,
    /// Where in the block the level's value stands; its element begins the block.
    level_at: Option<usize>,
}

impl Template {
    /// A template, or None if the payload type is beyond 127 or `mid` is empty or too long.
    ///
    /// An id of 0 is an extension that was not negotiated. The one-byte form of RFC 8285 is used where ids and mid
    /// allow it, as they do with every client seen; the two-byte form otherwise.
    pub fn new(ssrc: u32, payload_type: u8, mid: Option<&[u8]>, mid_id: u8, level_id: u8) -> Option<Self> {
        if payload_type > 127 {
            return None;
        }
        let mid = mid.filter(|_| mid_id != 0);
        let is_one_byte = level_id <= ONE_BYTE_MAX_ID
            && mid.is_none_or(|mid| mid_id <= ONE_BYTE_MAX_ID && mid.len() <= ONE_BYTE_MAX_VALUE_BYTES);
        let profile = if is_one_byte { ONE_BYTE_PROFILE } else { TWO_BYTE_PROFILE };

        let mut block = Block { bytes: [0; MAX_BLOCK_BYTES], len: BLOCK_HEADER_BYTES };
        let mut level_at = None;
        if level_id != 0 {
            block.element(level_id, &[0], is_one_byte)?;
            level_at = Some(block.len - 1);
        }
        if let Some(mid) = mid {
            block.element(mid_id, mid, is_one_byte)?;
        }
        let elements_words = (block.len - BLOCK_HEADER_BYTES).div_ceil(4);
        let [p0, p1] = profile.to_be_bytes();
        block.bytes[..BLOCK_HEADER_BYTES].copy_from_slice(&[p0, p1, 0, u8::try_from(elements_words).ok()?]);

        let has_block = elements_words > 0;
        let [r0, r1, r2, r3] = ssrc.to_be_bytes();
        let first = VERSION << 6 | u8::from(has_block) << 4;
        Some(Self {
            fixed: [first, payload_type, 0, 0, 0, 0, 0, 0, r0, r1, r2, r3],
            block: block.bytes,
            block_len: if has_block { BLOCK_HEADER_BYTES + 4 * elements_words } else { 0 },
            level_at,
        })
    }

    /// Of every header that `write` makes.
    pub fn payload_type(&self) -> u8 {
        self.fixed[1]
    }

    /// The length of every header that `write` makes.
    pub fn header_len(&self) -> usize {
        FIXED_BYTES + self.block_len
    }

    /// Writes a header to the start of `out`; its length, or 0 if `out` is too small.
    ///
    /// A packet of unknown level carries padding in the level's place.
    pub fn write(
        &self,
        out: &mut [u8],
        marker: bool,
        sequence: u16,
        timestamp: u32,
        level: Option<AudioLevel>,
    ) -> usize {
        let Some((fixed, rest)) = out.split_first_chunk_mut::<FIXED_BYTES>() else {
            return 0;
        };
        let (Some(block), Some(prebuilt)) = (rest.get_mut(..self.block_len), self.block.get(..self.block_len)) else {
            return 0;
        };
        *fixed = self.fixed;
        fixed[1] |= u8::from(marker) << 7;
        fixed[2..4].copy_from_slice(&sequence.to_be_bytes());
        fixed[4..8].copy_from_slice(&timestamp.to_be_bytes());
        block.copy_from_slice(prebuilt);
        if let Some(element) = self.level_at.and_then(|at| block.get_mut(BLOCK_HEADER_BYTES..=at)) {
            match (element, level) {
                ([.., value], Some(level)) => *value = level.to_byte(),
                (element, _) => element.fill(0),
            }
        }
        self.header_len()
    }
}

/// An extension block while it is built.
struct Block {
    bytes: [u8; MAX_BLOCK_BYTES],
    len: usize,
}

impl Block {
    fn element(&mut self, id: u8, value: &[u8], is_one_byte: bool) -> Option<()> {
        let value_bytes = u8::try_from(value.len()).ok().filter(|&len| len > 0)?;
        if is_one_byte {
            self.append(&[id << 4 | (value_bytes - 1)])?;
        } else {
            self.append(&[id, value_bytes])?;
        }
        self.append(value)
    }

    fn append(&mut self, bytes: &[u8]) -> Option<()> {
        let end = self.len + bytes.len();
        self.bytes.get_mut(self.len..end)?.copy_from_slice(bytes);
        self.len = end;
        Some(())
    }
}
