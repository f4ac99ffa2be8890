//! Packets between workers: one ring of bytes for each ordered pair, each packet crossing once, in plain. Per packet.
//!
//! ```text
//! | payload length: 2 | flags | level | track: 4 | timestamp: 4 | index: 8 | payload |      (native byte order)
//! ```

use rtrb::{Consumer, Producer, RingBuffer};

use crate::rtp::AudioLevel;

/// Half a second of ten speakers at 100 kbit/s, and less memory than a listener's.
const RING_BYTES: usize = 1 << 16;
const HEADER_BYTES: usize = 20;
const MARKER: u8 = 1;
const HAS_LEVEL: u8 = 2;

/// What a packet is once it is open, whoever sent it: all that forwarding needs.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// The source's rollovers << 16 | sequence number.
    pub index: u64,
    /// The source's timestamp.
    pub timestamp: u32,
    /// RFC 7587 §4.1: first after silence.
    pub marker: bool,
    /// What the sender says of its loudness.
    pub level: Option<AudioLevel>,
    /// Opus, without padding.
    pub payload: &'a [u8],
}

/// The rings of one worker.
#[derive(Debug, Default)]
pub struct Mirrors {
    /// By worker; None for itself.
    pub to: Vec<Option<Producer<u8>>>,
    /// In no particular order.
    pub from: Vec<Consumer<u8>>,
}

/// Rings between all pairs of `workers` workers.
pub fn connect(workers: usize) -> Vec<Mirrors> {
    let mut all: Vec<Mirrors> = (0..workers).map(|_| Mirrors::default()).collect();
    for from in 0..workers {
        for to in 0..workers {
            if from == to {
                all[from].to.push(None);
            } else {
                let (producer, consumer) = RingBuffer::new(RING_BYTES);
                all[from].to.push(Some(producer));
                all[to].from.push(consumer);
            }
        }
    }
    all
}

/// Puts a packet of `track` into the ring; false if there is no room.
pub fn push(ring: &mut Producer<u8>, track: u32, packet: &Packet<'_>) -> bool {
    let Ok(payload_len) = u16::try_from(packet.payload.len()) else { return false };
    let Ok(mut chunk) = ring.write_chunk(HEADER_BYTES + packet.payload.len()) else { return false };
    let flags = (u8::from(packet.marker) * MARKER) | (u8::from(packet.level.is_some()) * HAS_LEVEL);
    let mut header = [0; HEADER_BYTES];
    header[0..2].copy_from_slice(&payload_len.to_ne_bytes());
    header[2] = flags;
    header[3] = packet.level.map_or(0, AudioLevel::to_byte);
    header[4..8].copy_from_slice(&track.to_ne_bytes());
    header[8..12].copy_from_slice(&packet.timestamp.to_ne_bytes());
    header[12..20].copy_from_slice(&packet.index.to_ne_bytes());
    let (first, second) = chunk.as_mut_slices();
    let room = first.iter_mut().chain(second);
    for (to, from) in room.zip(header.iter().chain(packet.payload)) {
        *to = *from;
    }
    chunk.commit_all();
    true
}

/// Takes the next packet out of the ring: its track, and the packet with its payload in `buffer`.
pub fn pop<'a>(ring: &mut Consumer<u8>, buffer: &'a mut Vec<u8>) -> Option<(u32, Packet<'a>)> {
    let header: [u8; HEADER_BYTES] = {
        let chunk = ring.read_chunk(HEADER_BYTES).ok()?;
        let (first, second) = chunk.as_slices();
        let mut bytes = first.iter().chain(second).copied();
        std::array::from_fn(|_| bytes.next().unwrap_or(0))
        // Not committed: header and payload leave the ring together.
    };
    let payload_len = usize::from(u16::from_ne_bytes([header[0], header[1]]));
    let chunk = ring.read_chunk(HEADER_BYTES + payload_len).ok()?;
    let (first, second) = chunk.as_slices();
    buffer.clear();
    buffer.extend(first.iter().chain(second).skip(HEADER_BYTES));
    chunk.commit_all();
    let word = |at: usize| u32::from_ne_bytes(std::array::from_fn(|byte| header[at + byte]));
    let packet = Packet {
        index: u64::from_ne_bytes(std::array::from_fn(|byte| header[12 + byte])),
        timestamp: word(8),
        marker: header[2] & MARKER != 0,
        level: (header[2] & HAS_LEVEL != 0).then(|| AudioLevel::from_byte(header[3])),
        payload: buffer,
    };
    Some((word(4), packet))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_come_out_as_they_went_in_across_the_end_of_the_ring() {
        let (mut producer, mut consumer) = RingBuffer::new(100);
        let mut buffer = Vec::new();
        for index in 0..50u64 {
            let payload = vec![index as u8; (index % 7) as usize * 10];
            let level = (index % 2 == 0).then_some(AudioLevel { is_voice: true, level: 40 });
            let packet = Packet { index, timestamp: 9, marker: index % 3 == 0, level, payload: &payload };
            assert!(push(&mut producer, 77, &packet));
            let (track, out) = pop(&mut consumer, &mut buffer).unwrap();
            assert_eq!((track, out.index, out.timestamp, out.marker), (77, index, 9, index % 3 == 0));
            assert_eq!((out.level, out.payload), (level, &payload[..]));
            assert!(pop(&mut consumer, &mut buffer).is_none());
        }
    }

    #[test]
    fn a_full_ring_refuses_and_keeps_what_it_has() {
        let (mut producer, mut consumer) = RingBuffer::new(64);
        let packet = Packet { index: 1, timestamp: 2, marker: false, level: None, payload: &[7; 30] };
        assert!(push(&mut producer, 1, &packet));
        assert!(!push(&mut producer, 1, &packet));
        assert_eq!(pop(&mut consumer, &mut Vec::new()).map(|(track, _)| track), Some(1));
    }
}
