//! Opus packets of one stream merged into one, frame beside frame, without decoding (RFC 6716 §3.2). Pure. Per packet.
//!
//! ```text
//!  code 0  |TOC|frame|                              code 2  |TOC|N1|frame 1|frame 2|
//!  code 1  |TOC|frame 1|frame 2|, equal sizes       code 3  |TOC|vpM|[padding]|[N1|..|NM-1]|frame 1|..|frame M|[0s]|
//! ```
//! Frames merge when they are of one configuration and channel count: all but the TOC's last two bits. Padding is left
//! behind; frames of no bytes (DTX) keep their place. Guarded by `benches/fanout`.

/// RFC 6716 §3.4 R2.
const MAX_FRAME: usize = 1_275;

/// 120 ms of the shortest frames, 2.5 ms (RFC 6716 §3.2.5).
const MAX_FRAMES: usize = 48;

/// 120 ms at 48 kHz (RFC 6716 §3.4 R5).
pub const MAX_TICKS: u32 = 5_760;

/// From this size on a frame's length takes two bytes (RFC 6716 §3.2.1).
const TWO_BYTES_FROM: usize = 252;

const CODE: u8 = 0b11;
const VBR: u8 = 0x80;
const PADDED: u8 = 0x40;

/// The frames of a well-formed packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frames<'a> {
    /// The packet's TOC byte without its code.
    kind: u8,
    count: usize,
    lengths: [u16; MAX_FRAMES],
    /// All frames, end to end.
    body: &'a [u8],
}

/// The frames of a packet; None unless all of RFC 6716 §3.4 holds.
pub fn parse(packet: &[u8]) -> Option<Frames<'_>> {
    let (&toc, rest) = packet.split_first()?;
    let frames = match toc & CODE {
        0 => divide(toc, 1, rest),
        1 => divide(toc, 2, rest),
        2 => measure(toc, 2, rest),
        _ => parse_many(toc, rest),
    }?;
    let is_sound = frames.ticks() <= MAX_TICKS && frames.lengths().iter().all(|len| usize::from(*len) <= MAX_FRAME);
    is_sound.then_some(frames)
}

/// A frame's length at 48 kHz by the configuration in its TOC byte (RFC 6716 §3.1, table 2).
pub fn frame_ticks(toc: u8) -> u32 {
    let config = toc >> 3;
    let place = usize::from(config & 3);
    match config {
        0..=11 => [480, 960, 1_920, 2_880][place],
        12..=15 => [480, 960][place & 1],
        _ => [120, 240, 480, 960][place],
    }
}

/// Code 3 (RFC 6716 §3.2.5), behind the TOC.
fn parse_many(toc: u8, rest: &[u8]) -> Option<Frames<'_>> {
    let (&byte, mut rest) = rest.split_first()?;
    let count = usize::from(byte & 0x3f);
    if count == 0 || count > MAX_FRAMES {
        return None;
    }
    if byte & PADDED != 0 {
        let mut padding = 0;
        loop {
            let (&part, more) = rest.split_first()?;
            rest = more;
            // 255 is 254 bytes and a further count.
            padding += usize::from(part.min(254));
            if part != 255 {
                break;
            }
        }
        rest = rest.get(..rest.len().checked_sub(padding)?)?;
    }
    if byte & VBR != 0 {
        measure(toc, count, rest)
    } else {
        divide(toc, count, rest)
    }
}

/// Frames of equal size.
fn divide(toc: u8, count: usize, body: &[u8]) -> Option<Frames<'_>> {
    if body.len() % count != 0 {
        return None;
    }
    let mut lengths = [0; MAX_FRAMES];
    lengths[..count].fill(u16::try_from(body.len() / count).ok()?);
    Some(Frames { kind: toc & !CODE, count, lengths, body })
}

/// Frames whose sizes stand before them, but for the last.
fn measure(toc: u8, count: usize, mut body: &[u8]) -> Option<Frames<'_>> {
    let mut lengths = [0; MAX_FRAMES];
    let mut sum = 0;
    for len in &mut lengths[..count - 1] {
        let (first, second) = (usize::from(*body.first()?), body.get(1).copied().map(usize::from));
        let (value, size) = if first < TWO_BYTES_FROM { (first, 1) } else { (4 * second? + first, 2) };
        body = &body[size..];
        sum += value;
        *len = u16::try_from(value).ok()?;
    }
    lengths[count - 1] = u16::try_from(body.len().checked_sub(sum)?).ok()?;
    Some(Frames { kind: toc & !CODE, count, lengths, body })
}

impl Frames<'_> {
    /// How long they sound, at 48 kHz.
    pub fn ticks(&self) -> u32 {
        self.count as u32 * frame_ticks(self.kind)
    }

    fn lengths(&self) -> &[u16] {
        &self.lengths[..self.count]
    }
}

/// Frames that wait to be written as one packet.
#[derive(Debug)]
pub struct Merger {
    max_ticks: u32,
    max_bytes: usize,
    kind: u8,
    count: usize,
    lengths: [u16; MAX_FRAMES],
    body: Vec<u8>,
}

impl Merger {
    /// For packets of at most `max_ticks` (120 ms at most) and `max_bytes`.
    pub fn new(max_ticks: u32, max_bytes: usize) -> Self {
        let max_ticks = max_ticks.min(MAX_TICKS);
        let body = Vec::with_capacity(max_bytes);
        Self { max_ticks, max_bytes, kind: 0, count: 0, lengths: [0; MAX_FRAMES], body }
    }

    /// Adds `frames` behind those that wait; false, and nothing has changed, if they do not fit together.
    #[must_use]
    pub fn push(&mut self, frames: &Frames<'_>) -> bool {
        let count = self.count + frames.count;
        let is_alike = self.is_empty() || self.kind == frames.kind;
        if !is_alike || self.ticks() + frames.ticks() > self.max_ticks || count > MAX_FRAMES {
            return false;
        }
        self.lengths[self.count..count].copy_from_slice(frames.lengths());
        if header_len(&self.lengths[..count]) + self.body.len() + frames.body.len() > self.max_bytes {
            return false;
        }
        (self.kind, self.count) = (frames.kind, count);
        self.body.extend_from_slice(frames.body);
        true
    }

    /// How long the waiting frames sound, at 48 kHz.
    pub fn ticks(&self) -> u32 {
        self.count as u32 * frame_ticks(self.kind)
    }

    /// Whether `ticks` more would be too long.
    pub fn is_full_for(&self, ticks: u32) -> bool {
        self.ticks() + ticks > self.max_ticks
    }

    /// How long a packet may become, at 48 kHz.
    pub fn max_ticks(&self) -> u32 {
        self.max_ticks
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Forgets what waits.
    pub fn clear(&mut self) {
        self.count = 0;
        self.body.clear();
    }

    /// Appends the waiting frames to `out` as one packet, in the shortest form; nothing, if there are none.
    pub fn write(&self, out: &mut Vec<u8>) {
        let lengths = &self.lengths[..self.count];
        let Some((_, all_but_last)) = lengths.split_last() else { return };
        let is_vbr = !are_equal(lengths);
        match (self.count, is_vbr) {
            (1, _) => out.push(self.kind),
            (2, false) => out.push(self.kind | 1),
            (2, true) => out.push(self.kind | 2),
            (count, _) => out.extend([self.kind | 3, count as u8 | if is_vbr { VBR } else { 0 }]),
        }
        if is_vbr {
            for len in all_but_last {
                push_len(*len, out);
            }
        }
        out.extend_from_slice(&self.body);
    }
}

fn are_equal(lengths: &[u16]) -> bool {
    lengths.windows(2).all(|pair| pair[0] == pair[1])
}

/// Of the shortest packet with frames so long.
fn header_len(lengths: &[u16]) -> usize {
    let fixed = if lengths.len() > 2 { 2 } else { 1 };
    match lengths.split_last() {
        Some((_, measured)) if !are_equal(lengths) => {
            let of_one = |len: &u16| if usize::from(*len) < TWO_BYTES_FROM { 1 } else { 2 };
            fixed + measured.iter().map(of_one).sum::<usize>()
        }
        _ => fixed,
    }
}

fn push_len(len: u16, out: &mut Vec<u8>) {
    let len = usize::from(len);
    if len < TWO_BYTES_FROM {
        out.push(len as u8);
    } else {
        // The first byte is 252 to 255 and carries the length modulo 4.
        let first = TWO_BYTES_FROM + (len & 3);
        out.extend([first as u8, ((len - first) / 4) as u8]);
    }
}

#[cfg(test)]
mod tests;
