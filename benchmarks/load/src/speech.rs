//! What speakers send: a packet each 20 ms that carries its own send time, and the account of what sampled listeners got.

use std::collections::HashMap;
use std::rc::Rc;

use palco_dataplane::rtp::{AudioLevel, Template};

use crate::latency::{wall_ns, Stamp, STAMP_BYTES};
use crate::sdp::PAYLOAD_TYPE;
use crate::session::Session;

pub const PACKET_S: f64 = 0.020;
const SAMPLES_PER_PACKET: u32 = 960;
/// What sealing adds at most.
const SEAL_ROOM: usize = 32;
const LEVEL: AudioLevel = AudioLevel { is_voice: true, level: 30 };

/// One speaker's pace and count.
pub struct Speaker {
    pub session: usize,
    pub next_s: f64,
    /// Number of the next packet.
    pub number: u64,
    template: Template,
    says: Says,
}

enum Says {
    /// A packet that carries its own send time.
    Stamped(Vec<u8>),
    /// Real speech, over and over.
    Recorded(Rc<Vec<Vec<u8>>>),
}

impl Speaker {
    /// Who says stamped packets of so many bytes.
    pub fn stamping(session: usize, of: &Session, first_s: f64, payload_bytes: usize) -> Option<Self> {
        Self::new(session, of, first_s, Says::Stamped(vec![0x55; payload_bytes.max(STAMP_BYTES)]))
    }

    /// Who says a recording, if there is anything in it.
    pub fn saying(session: usize, of: &Session, first_s: f64, recording: Rc<Vec<Vec<u8>>>) -> Option<Self> {
        if recording.is_empty() {
            return None;
        }
        Self::new(session, of, first_s, Says::Recorded(recording))
    }

    fn new(session: usize, of: &Session, first_s: f64, says: Says) -> Option<Self> {
        let template = Template::new(of.ssrc, PAYLOAD_TYPE, None, 0, of.level_id)?;
        Some(Self { session, next_s: first_s, number: 0, template, says })
    }

    /// Sends the packet that is due; false where the kernel did not take it.
    pub fn speak(&mut self, session: &Session) -> bool {
        let Some(media) = &session.media else { return false };
        let payload = match &mut self.says {
            Says::Stamped(payload) => {
                Stamp { speaker: session.ssrc, number: self.number, sent_ns: wall_ns() }.write(payload);
                payload
            }
            Says::Recorded(packets) => &packets[self.number as usize % packets.len()],
        };
        let mut out = [0; 1500];
        let timestamp = (self.number as u32).wrapping_mul(SAMPLES_PER_PACKET);
        let header = self.template.write(&mut out, self.number == 0, self.number as u16, timestamp, Some(LEVEL));
        let open = header + payload.len();
        if open + SEAL_ROOM > out.len() {
            return false;
        }
        out[header..open].copy_from_slice(payload);
        let sealed = media.sealer.seal_rtp(&mut out, header, open, self.number);
        self.number += 1;
        self.next_s += PACKET_S;
        sealed.is_some_and(|length| session.socket.send(&out[..length]).is_ok())
    }
}

/// What one sampled listener heard: of each speaker, by packet number; or of a mix, by sequence number.
#[derive(Default)]
pub struct Account {
    heard: HashMap<u32, HashMap<u64, u8>>,
    pub mix: Sequence,
}

/// The packets of one stream without a stamp, since it was last begun.
#[derive(Default, Clone, Copy)]
pub struct Sequence {
    last: Option<u16>,
    /// Sequence numbers from the first to the highest.
    pub expected: u64,
    pub received: u64,
    /// Came again, or after a later one.
    pub behind: u64,
}

impl Sequence {
    pub fn add(&mut self, sequence: u16) {
        let step = self.last.map_or(1, |last| sequence.wrapping_sub(last));
        if step == 0 || step >= 1 << 15 {
            self.behind += 1;
            return;
        }
        self.last = Some(sequence);
        self.expected += u64::from(step);
        self.received += 1;
    }

    /// Counts anew from the next packet on.
    pub fn begin(&mut self) {
        *self = Self { last: self.last, ..Self::default() };
    }
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
