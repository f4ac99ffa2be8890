//! What speakers send: a packet each 20 ms that carries its own send time, and the account of what sampled listeners got.

use std::collections::HashMap;

use palco_dataplane::rtp::{AudioLevel, Template};

use crate::latency::{wall_ns, Stamp, STAMP_BYTES};
use crate::sdp::PAYLOAD_TYPE;
use crate::session::Session;

pub const PACKET_S: f64 = 0.020;
const SAMPLES_PER_PACKET: u32 = 960;
const LEVEL: AudioLevel = AudioLevel { is_voice: true, level: 30 };

/// One speaker's pace and count.
pub struct Speaker {
    pub session: usize,
    pub next_s: f64,
    /// Number of the next packet.
    pub number: u64,
    template: Template,
    payload: Vec<u8>,
}

impl Speaker {
    pub fn new(session: usize, of: &Session, first_s: f64, payload_bytes: usize) -> Option<Self> {
        let template = Template::new(of.ssrc, PAYLOAD_TYPE, None, 0, of.level_id)?;
        Some(Self {
            session,
            next_s: first_s,
            number: 0,
            template,
            payload: vec![0x55; payload_bytes.max(STAMP_BYTES)],
        })
    }

    /// Sends the packet that is due; false where the kernel did not take it.
    pub fn speak(&mut self, session: &Session) -> bool {
        let Some(media) = &session.media else { return false };
        Stamp { speaker: session.ssrc, number: self.number, sent_ns: wall_ns() }.write(&mut self.payload);
        let mut out = [0; 1500];
        let timestamp = (self.number as u32).wrapping_mul(SAMPLES_PER_PACKET);
        let header = self.template.write(&mut out, self.number == 0, self.number as u16, timestamp, Some(LEVEL));
        let open = header + self.payload.len();
        out[header..open].copy_from_slice(&self.payload);
        let sealed = media.sealer.seal_rtp(&mut out, header, open, self.number);
        self.number += 1;
        self.next_s += PACKET_S;
        sealed.is_some_and(|length| session.socket.send(&out[..length]).is_ok())
    }
}

/// What one sampled listener heard of each speaker, by packet number.
#[derive(Default)]
pub struct Account {
    heard: HashMap<u32, HashMap<u64, u8>>,
}

impl Account {
    pub fn add(&mut self, stamp: Stamp) {
        *self.heard.entry(stamp.speaker).or_default().entry(stamp.number).or_default() += 1;
    }

    /// Received and duplicated of a speaker's numbers in `from..to`.
    pub fn of(&self, speaker: u32, from: u64, to: u64) -> (u64, u64) {
        let Some(numbers) = self.heard.get(&speaker) else {
            return (0, 0);
        };
        let counts = (from..to).filter_map(|number| numbers.get(&number));
        counts.fold((0, 0), |(received, again), &count| (received + 1, again + u64::from(count) - 1))
    }
}
