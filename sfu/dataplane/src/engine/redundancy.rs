//! How many older packets travel with each new one to a listener, by the loss that it reports. Pure.
//!
//! With d of them a packet is lost for good only if d + 1 in a row are, so that of a random loss p there remains p^(d+1):
//! of 10 % with two 0.1 %, of 30 % with three 0.8 %. It rises with the first report that asks for it and falls a step at
//! a time after a calm while. What a listener reports is the loss of packets, which redundancy does not change: the two
//! do not chase each other.

use crate::{Nanos, SECOND};

/// The most older packets that travel with one; 60 ms of a voice.
pub const MAX_DISTANCE: usize = 3;

/// Packets lost of a thousand from which on so many travel along, and below which one fewer does.
const RISES_AT: [u32; MAX_DISTANCE] = [30, 100, 250];
const FALLS_BELOW: [u32; MAX_DISTANCE] = [10, 50, 150];

/// How long loss must have been low: two of a browser's reports on audio, which come every 5 s.
const CALM: Nanos = 10 * SECOND;

/// Fewer packets than this say nothing of a path (one lost of 20 would be 5 %): they count with those of the next report.
const MIN_PACKETS: u32 = 40;

/// What is known of one listener's losses.
#[derive(Clone, Copy, Debug, Default)]
pub struct Redundancy {
    distance: u8,
    calm_since: Option<Nanos>,
    /// Reported and not yet acted on: in 1/256 of a packet, and in packets.
    lost: u32,
    packets: u32,
}

impl Redundancy {
    /// How many older packets travel with each new one.
    pub fn distance(&self) -> usize {
        usize::from(self.distance)
    }

    /// The listener says how much it lost, in 1/256 of a packet, of the `packets` sent since its last report.
    pub fn on_report(&mut self, lost: u32, packets: u32, now: Nanos) {
        self.lost = self.lost.saturating_add(lost);
        self.packets = self.packets.saturating_add(packets);
        if self.packets < MIN_PACKETS {
            return;
        }
        let permille = (u64::from(self.lost) * 1_000 / 256 / u64::from(self.packets)) as u32;
        (self.lost, self.packets) = (0, 0);
        let wanted = RISES_AT.iter().filter(|bound| permille >= **bound).count() as u8;
        if wanted > self.distance {
            (self.distance, self.calm_since) = (wanted, None);
            return;
        }
        let is_calm = self.distance > 0 && permille < FALLS_BELOW[self.distance() - 1];
        match self.calm_since.filter(|_| is_calm) {
            Some(since) if now.saturating_sub(since) >= CALM => {
                (self.distance, self.calm_since) = (self.distance - 1, Some(now));
            }
            since => self.calm_since = is_calm.then_some(since.unwrap_or(now)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One report on 250 packets every 5 s, `losses` in percent; the distance after each.
    fn after_each(losses: &[u32]) -> Vec<usize> {
        let mut it = Redundancy::default();
        let report = |(n, percent): (usize, &u32)| {
            it.on_report(256 * 250 * percent / 100, 250, n as Nanos * 5 * SECOND);
            it.distance()
        };
        losses.iter().enumerate().map(report).collect()
    }

    #[test]
    fn it_rises_with_the_first_report_and_by_as_much_as_is_needed() {
        assert_eq!(after_each(&[0, 2, 4, 12, 30]), [0, 0, 1, 2, 3]);
        assert_eq!(after_each(&[30]), [3]);
    }

    #[test]
    fn it_falls_a_step_at_a_time_and_only_after_ten_calm_seconds() {
        assert_eq!(after_each(&[30, 0, 0, 0, 0, 0, 0, 0]), [3, 3, 3, 2, 2, 1, 1, 0]);
    }

    #[test]
    fn between_the_bounds_it_stays() {
        assert_eq!(after_each(&[4, 2, 2, 2, 2, 2, 2, 2]), [1; 8]);
    }

    #[test]
    fn one_bad_report_begins_the_calm_anew() {
        assert_eq!(after_each(&[4, 0, 0, 2, 0, 0, 0]), [1, 1, 1, 1, 1, 1, 0]);
    }

    #[test]
    fn a_few_packets_say_nothing_until_there_are_more() {
        let mut it = Redundancy::default();
        it.on_report(256 * 4, 20, 0);
        assert_eq!(it.distance(), 0);
        it.on_report(0, 20, SECOND);
        assert_eq!(it.distance(), 2, "4 of 40");
    }
}
