//! Redundant audio (RFC 2198): older payloads that travel with a newer one, for a listener who loses some. Pure. Per
//! packet; guarded by the fuzz target `red`.
//!
//! ```text
//!  0                   1                    2                   3
//! |1|   block PT  |  timestamp offset         |   block length    |   for each older one, the oldest first
//! |0|   block PT  |                                                   for the newest, whose length is what is left
//! ```

/// What an older block's 14 bits can be before the newest, in ticks of 48 kHz: 341 ms.
pub const MAX_OFFSET: u32 = (1 << 14) - 1;

/// What an older block's 10 bits can hold.
pub const MAX_BLOCK: usize = (1 << 10) - 1;

/// What a block costs besides its bytes; the newest costs one byte only.
pub const BLOCK_HEADER_BYTES: usize = 4;

const FOLLOWS: u8 = 0x80;

/// An older payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Block<'a> {
    /// By how much its timestamp is before the newest's.
    pub offset: u16,
    /// Opus.
    pub payload: &'a [u8],
}

/// Bytes that `older` blocks, said by their lengths, add to the newest.
pub fn overhead(older: impl Iterator<Item = usize>) -> usize {
    older.map(|len| BLOCK_HEADER_BYTES + len).sum::<usize>() + 1
}

/// Writes a payload of `older` blocks, the oldest first, and the newest, all of `payload_type`; its length. None if it
/// does not fit into `out`, or a block into its header.
pub fn write<'a>(
    out: &mut [u8],
    payload_type: u8,
    older: impl Iterator<Item = Block<'a>> + Clone,
    newest: &[u8],
) -> Option<usize> {
    let mut len = 0;
    let mut append = |bytes: &[u8]| {
        out.get_mut(len..len + bytes.len())?.copy_from_slice(bytes);
        len += bytes.len();
        Some(())
    };
    for block in older.clone() {
        if u32::from(block.offset) > MAX_OFFSET || block.payload.len() > MAX_BLOCK {
            return None;
        }
        let word = u32::from(block.offset) << 10 | block.payload.len() as u32;
        append(&(u32::from(FOLLOWS | payload_type) << 24 | word).to_be_bytes())?;
    }
    append(&[payload_type & !FOLLOWS])?;
    for block in older {
        append(block.payload)?;
    }
    append(newest)?;
    Some(len)
}

/// Payload type and payload of the newest block; None where the lengths of those before it lie.
pub fn newest(payload: &[u8]) -> Option<(u8, &[u8])> {
    let (mut at, mut older) = (0, 0);
    while payload.get(at)? & FOLLOWS != 0 {
        let (head, _) = payload.get(at..)?.split_first_chunk::<BLOCK_HEADER_BYTES>()?;
        older += u32::from_be_bytes(*head) as usize & MAX_BLOCK;
        at += BLOCK_HEADER_BYTES;
    }
    Some((*payload.get(at)?, payload.get(at + 1 + older..)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn two_older_blocks_are_written_as_in_rfc_2198() {
        let older = [Block { offset: 1920, payload: &[1, 1, 1] }, Block { offset: 960, payload: &[2] }];
        let mut out = [0xee; 20];
        let len = write(&mut out, 111, older.into_iter(), &[3, 3]).unwrap();
        let head = [0x80 | 111, 0x1e, 0x00, 0x03, 0x80 | 111, 0x0f, 0x00, 0x01, 111];
        assert_eq!(out[..len], [&head[..], &[1, 1, 1, 2, 3, 3]].concat());
        assert_eq!(len, 2 + overhead(older.iter().map(|block| block.payload.len())));
    }

    #[test]
    fn what_does_not_fit_is_not_written() {
        let mut out = [0; 2_000];
        let block = |offset, payload| [Block { offset, payload }].into_iter();
        assert_eq!(write(&mut out, 111, block(1 << 14, &[1]), &[2]), None);
        assert_eq!(write(&mut out, 111, block(960, &[1; 1024]), &[2]), None);
        assert_eq!(write(&mut out[..5], 111, block(960, &[1]), &[2]), None);
        assert!(write(&mut out, 111, block(16_383, &[1; 1023]), &[2]).is_some());
    }

    #[test]
    fn a_payload_cut_anywhere_before_its_newest_block_is_none() {
        let mut out = [0; 40];
        let older = [Block { offset: 1920, payload: &[1; 5] }, Block { offset: 960, payload: &[2; 5] }];
        let len = write(&mut out, 111, older.into_iter(), &[3; 5]).unwrap();
        for cut in 0..len {
            assert_eq!(newest(&out[..cut]).is_some(), cut >= len - 5, "cut to {cut}");
        }
    }

    proptest! {
        #[test]
        fn the_newest_comes_back(lens in prop::collection::vec(0..100usize, 0..4), newest_len in 0..100usize) {
            let bytes: Vec<Vec<u8>> = lens.iter().map(|len| vec![9; *len]).collect();
            let older = bytes.iter().enumerate().map(|(n, payload)| Block { offset: 960 * n as u16, payload });
            let (mut out, last) = ([0; 1_000], vec![7; newest_len]);
            let len = write(&mut out, 100, older, &last).unwrap();
            prop_assert_eq!(newest(&out[..len]), Some((100, &last[..])));
        }

        #[test]
        fn no_bytes_upset_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            newest(&bytes);
        }
    }
}
