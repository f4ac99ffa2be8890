//! Building compounds into the caller's buffer: one report, then the CNAME that RFC 3550 §6.1 wants in each.

use super::{
    ReportBlock, SenderInfo, BLOCK_BYTES, HEADER_BYTES, RECEIVER_REPORT, SENDER_REPORT, SOURCE_DESCRIPTION, VERSION,
};

/// The report count has five bits.
const MAX_BLOCKS: usize = 31;
const CNAME: u8 = 1;

/// A sender report with the source's CNAME; its length, or 0 if `out` is too small or `cname` beyond 255 bytes.
pub fn build_sender_report(out: &mut [u8], ssrc: u32, info: &SenderInfo, cname: &[u8]) -> usize {
    let mut writer = Writer { out, len: 0 };
    writer.sender_report(ssrc, info).and_then(|()| writer.cname(ssrc, cname)).map_or(0, |()| writer.len)
}

/// A receiver report on up to 31 streams with the reporter's CNAME; its length, or 0 if any of it does not fit.
pub fn build_receiver_report(out: &mut [u8], ssrc: u32, blocks: &[ReportBlock], cname: &[u8]) -> usize {
    let mut writer = Writer { out, len: 0 };
    writer.receiver_report(ssrc, blocks).and_then(|()| writer.cname(ssrc, cname)).map_or(0, |()| writer.len)
}

struct Writer<'a> {
    out: &'a mut [u8],
    len: usize,
}

impl Writer<'_> {
    fn sender_report(&mut self, ssrc: u32, info: &SenderInfo) -> Option<()> {
        self.header(0, SENDER_REPORT, 24)?;
        self.append(&ssrc.to_be_bytes())?;
        self.append(&info.ntp.to_be_bytes())?;
        self.append(&info.rtp_timestamp.to_be_bytes())?;
        self.append(&info.packets.to_be_bytes())?;
        self.append(&info.octets.to_be_bytes())
    }

    fn receiver_report(&mut self, ssrc: u32, blocks: &[ReportBlock]) -> Option<()> {
        let count = u8::try_from(blocks.len()).ok().filter(|_| blocks.len() <= MAX_BLOCKS)?;
        self.header(count, RECEIVER_REPORT, 4 + BLOCK_BYTES * blocks.len())?;
        self.append(&ssrc.to_be_bytes())?;
        blocks.iter().try_for_each(|block| self.block(block))
    }

    fn block(&mut self, block: &ReportBlock) -> Option<()> {
        let [_, lost @ ..] = clamp_to_24_bits(block.cumulative_lost).to_be_bytes();
        self.append(&block.ssrc.to_be_bytes())?;
        self.append(&[block.fraction_lost])?;
        self.append(&lost)?;
        self.append(&block.highest_sequence.to_be_bytes())?;
        self.append(&block.jitter.to_be_bytes())?;
        self.append(&block.last_sr.to_be_bytes())?;
        self.append(&block.delay_since_last_sr.to_be_bytes())
    }

    /// An SDES packet of one chunk: the source, the item, and one to four zeros that end list and word (§6.5).
    fn cname(&mut self, ssrc: u32, cname: &[u8]) -> Option<()> {
        let cname_bytes = u8::try_from(cname.len()).ok()?;
        let unpadded = 4 + 2 + cname.len();
        let body_bytes = (unpadded + 1).next_multiple_of(4);
        self.header(1, SOURCE_DESCRIPTION, body_bytes)?;
        self.append(&ssrc.to_be_bytes())?;
        self.append(&[CNAME, cname_bytes])?;
        self.append(cname)?;
        self.append([0; 4].get(..body_bytes - unpadded)?)
    }

    fn header(&mut self, count: u8, packet_type: u8, body_bytes: usize) -> Option<()> {
        let [l0, l1] = u16::try_from((HEADER_BYTES + body_bytes) / 4 - 1).ok()?.to_be_bytes();
        self.append(&[VERSION << 6 | count, packet_type, l0, l1])
    }

    fn append(&mut self, bytes: &[u8]) -> Option<()> {
        let end = self.len + bytes.len();
        self.out.get_mut(self.len..end)?.copy_from_slice(bytes);
        self.len = end;
        Some(())
    }
}

/// A loss that the wire cannot hold is the largest that it can (RFC 3550 A.3).
pub(super) fn clamp_to_24_bits(lost: i32) -> i32 {
    lost.clamp(-0x80_0000, 0x7f_ffff)
}
