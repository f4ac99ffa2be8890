//! How loud a track is, from the levels its packets claim (RFC 6464), or that who decodes them tells. Pure. Per packet.

use crate::{Nanos, MILLISECOND};

/// Silence, in -dBov.
pub const SILENCE: u8 = 127;

/// Louder than this is a voice.
pub const VOICE_DBOV: u8 = 50;

/// What a packet counts as where nobody says: Opus codes silence (DTX) in fewer than four bytes.
const ASSUMED_DBOV: u8 = 35;
const LEAST_VOICE_BYTES: usize = 4;

/// So long a measured level holds; it is told ten times a second.
const MEASURE_HOLDS: Nanos = 300 * MILLISECOND;

/// A track unheard this long is silent: DTX sends a packet every 400 ms, a live voice one every 120 ms at least.
const FADE: Nanos = 200 * MILLISECOND;

/// Part of the distance to the new level that one packet covers, as a power of two: a voice is there within 80 ms and
/// gone within 320 ms at 20 ms a packet, so that the pauses between words do not count as silence.
const ATTACK_SHIFT: u32 = 1;
const RELEASE_SHIFT: u32 = 4;

/// A track's level, smoothed.
#[derive(Clone, Debug)]
pub struct Loudness {
    /// -dBov in 1/256.
    smoothed: u16,
    heard_at: Nanos,
    /// What a decoder found, and when.
    measured: Option<(u8, Nanos)>,
}

impl Default for Loudness {
    fn default() -> Self {
        Self { smoothed: u16::from(SILENCE) << 8, heard_at: 0, measured: None }
    }
}

impl Loudness {
    /// Packets that claim no level count as this loud, in -dBov.
    pub fn on_measured(&mut self, level: u8, now: Nanos) {
        self.measured = Some((level, now));
    }

    /// A packet with a payload of `len` bytes came, which claims `level` in -dBov if it claims any.
    #[inline]
    pub fn on_packet(&mut self, level: Option<u8>, len: usize, now: Nanos) {
        let level = level.unwrap_or_else(|| self.unclaimed(len, now));
        let level = u16::from(level.min(SILENCE)) << 8;
        if self.is_faded(now) {
            self.smoothed = u16::from(SILENCE) << 8;
        }
        if level < self.smoothed {
            self.smoothed -= (self.smoothed - level) >> ATTACK_SHIFT;
        } else {
            self.smoothed += (level - self.smoothed) >> RELEASE_SHIFT;
        }
        self.heard_at = now;
    }

    fn unclaimed(&self, len: usize, now: Nanos) -> u8 {
        match self.measured {
            Some((level, at)) if now.saturating_sub(at) <= MEASURE_HOLDS => level,
            _ if len >= LEAST_VOICE_BYTES => ASSUMED_DBOV,
            _ => SILENCE,
        }
    }

    /// The level as of `now`, in -dBov: 0 is the loudest, 127 silence.
    #[inline]
    pub fn dbov(&self, now: Nanos) -> u8 {
        if self.is_faded(now) {
            SILENCE
        } else {
            (self.smoothed >> 8) as u8
        }
    }

    fn is_faded(&self, now: Nanos) -> bool {
        now.saturating_sub(self.heard_at) > FADE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Nanos = 20 * MILLISECOND;

    fn after(levels: &[Option<u8>]) -> (Loudness, Nanos) {
        let mut loudness = Loudness::default();
        let mut now = 0;
        for level in levels {
            now += FRAME;
            loudness.on_packet(*level, 80, now);
        }
        (loudness, now)
    }

    #[test]
    fn a_voice_counts_as_one_within_four_packets() {
        let (loudness, now) = after(&[Some(30); 4]);
        assert!(loudness.dbov(now) < VOICE_DBOV);
    }

    #[test]
    fn one_loud_click_is_not_a_voice() {
        let (loudness, now) = after(&[Some(10)]);
        assert!(loudness.dbov(now) > VOICE_DBOV);
    }

    #[test]
    fn a_pause_between_words_is_not_silence() {
        let levels: Vec<_> = [Some(30); 10].into_iter().chain([Some(127); 3]).collect();
        let (loudness, now) = after(&levels);
        assert!(loudness.dbov(now) <= VOICE_DBOV);
    }

    #[test]
    fn an_unheard_track_is_silent() {
        let (loudness, now) = after(&[Some(30); 10]);
        assert_eq!(loudness.dbov(now + FADE + 1), SILENCE);
    }

    #[test]
    fn where_packets_do_not_say_the_measured_level_counts_while_it_is_fresh() {
        let mut loudness = Loudness::default();
        loudness.on_packet(None, 80, FRAME);
        loudness.on_measured(70, FRAME);
        let mut now = FRAME;
        for _ in 0..15 {
            now += FRAME;
            loudness.on_packet(None, 80, now);
        }
        assert!(loudness.dbov(now) > VOICE_DBOV);
        for _ in 0..5 {
            now += FRAME;
            loudness.on_packet(None, 80, now);
        }
        assert!(loudness.dbov(now) < VOICE_DBOV, "nobody measures any more: the size of the packets tells");
    }

    #[test]
    fn what_a_packet_says_itself_stands_before_what_was_measured() {
        let mut loudness = Loudness::default();
        loudness.on_measured(70, FRAME);
        for packet in 1..=4 {
            loudness.on_packet(Some(20), 80, packet * FRAME);
        }
        assert!(loudness.dbov(4 * FRAME) < VOICE_DBOV);
    }

    #[test]
    fn without_levels_packets_of_speech_size_count_and_dtx_packets_do_not() {
        let (voice, now) = after(&[None; 20]);
        assert!(voice.dbov(now) < VOICE_DBOV);
        let mut silence = Loudness::default();
        silence.on_packet(None, 3, FRAME);
        assert_eq!(silence.dbov(FRAME), SILENCE);
    }
}
