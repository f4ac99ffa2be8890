//! Which of many tracks are heard in a few lanes: the loudest, each in one lane for as long as it stays. Pure. Per packet.
//!
//! While there are no more tracks than lanes each has a lane of its own and nobody ever moves. Beyond that a voice takes
//! over from a silent track at once, and from another voice only by being clearly louder for good: two people who talk at
//! once must not alternate by the syllable.

use super::loudness::VOICE_DBOV;
use crate::{Nanos, MILLISECOND};

/// How much louder a voice must be to displace another, in dB: the usual spread of one voice's own syllables.
const MARGIN_DB: u8 = 6;

/// How long a voice keeps its lane against louder ones: a short word.
const TENURE: Nanos = 500 * MILLISECOND;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Holder<T> {
    track: T,
    since: Nanos,
}

/// What `Selection::admit` says of a track's packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Admission {
    /// It goes on in its lane.
    Stays(usize),
    /// It begins in this lane, perhaps in another's stead.
    Enters(usize),
    /// It is not among the loudest.
    Refused,
}

/// k lanes and the tracks that hold them.
#[derive(Clone, Debug)]
pub struct Selection<T> {
    lanes: Vec<Option<Holder<T>>>,
}

impl<T: Copy + Eq> Selection<T> {
    /// `lanes` lanes, all free.
    pub fn new(lanes: usize) -> Self {
        Self { lanes: vec![None; lanes] }
    }

    /// A packet of `track` came; `dbov` tells any track's level as of `now` in -dBov.
    #[inline]
    pub fn admit(&mut self, track: T, dbov: impl Fn(T) -> u8, now: Nanos) -> Admission {
        if let Some(lane) = self.lane_of(track) {
            return Admission::Stays(lane);
        }
        let lane = match self.lanes.iter().position(Option::is_none) {
            Some(free) => free,
            None => match self.displaceable(dbov(track), &dbov, now) {
                Some(lane) => lane,
                None => return Admission::Refused,
            },
        };
        self.lanes[lane] = Some(Holder { track, since: now });
        Admission::Enters(lane)
    }

    /// `track` is gone or muted; its lane is free.
    pub fn release(&mut self, track: T) {
        if let Some(lane) = self.lane_of(track) {
            self.lanes[lane] = None;
        }
    }

    /// The lane that `track` holds.
    #[inline]
    pub fn lane_of(&self, track: T) -> Option<usize> {
        self.lanes.iter().position(|holder| holder.is_some_and(|holder| holder.track == track))
    }

    /// The quietest lane, if a track of `level` may take it.
    fn displaceable(&self, level: u8, dbov: impl Fn(T) -> u8, now: Nanos) -> Option<usize> {
        let held = self.lanes.iter().enumerate().filter_map(|(lane, holder)| Some((lane, (*holder)?)));
        let (lane, holder) = held.max_by_key(|(_, holder)| dbov(holder.track))?;
        let quietest = dbov(holder.track);
        let is_voice = level < VOICE_DBOV;
        let is_silent = quietest >= VOICE_DBOV;
        let is_louder = level.saturating_add(MARGIN_DB) <= quietest && now.saturating_sub(holder.since) >= TENURE;
        (is_voice && (is_silent || is_louder)).then_some(lane)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::stage::loudness::SILENCE;

    /// One packet of each track in turn, `levels[track]` in -dBov; who holds which lane afterwards.
    fn round(selection: &mut Selection<usize>, levels: &[u8], now: Nanos) -> Vec<Option<usize>> {
        for track in 0..levels.len() {
            selection.admit(track, |track| levels[track], now);
        }
        selection.lanes.iter().map(|holder| holder.map(|holder| holder.track)).collect()
    }

    #[test]
    fn a_voice_takes_over_from_a_silent_track_at_once() {
        let mut selection = Selection::new(1);
        assert_eq!(round(&mut selection, &[SILENCE, SILENCE], 0), [Some(0)]);
        assert_eq!(round(&mut selection, &[SILENCE, 40], 1), [Some(1)]);
    }

    #[test]
    fn a_slightly_louder_voice_does_not_displace_one_that_speaks() {
        let mut selection = Selection::new(1);
        round(&mut selection, &[30, SILENCE], 0);
        assert_eq!(round(&mut selection, &[30, 30 - MARGIN_DB + 1], 10 * TENURE), [Some(0)]);
    }

    #[test]
    fn a_clearly_louder_voice_waits_for_the_end_of_a_short_word() {
        let mut selection = Selection::new(1);
        round(&mut selection, &[30, SILENCE], 0);
        assert_eq!(round(&mut selection, &[30, 10], TENURE - 1), [Some(0)]);
        assert_eq!(round(&mut selection, &[30, 10], TENURE), [Some(1)]);
    }

    #[test]
    fn silence_displaces_no_one() {
        let mut selection = Selection::new(1);
        round(&mut selection, &[SILENCE, SILENCE], 0);
        assert_eq!(round(&mut selection, &[SILENCE, SILENCE - 1], TENURE), [Some(0)]);
    }

    #[test]
    fn the_quietest_of_several_lanes_is_the_one_that_changes() {
        let mut selection = Selection::new(3);
        round(&mut selection, &[20, SILENCE, 40, SILENCE], 0);
        assert_eq!(round(&mut selection, &[20, SILENCE, 40, 30], TENURE), [Some(0), Some(3), Some(2)]);
    }

    #[test]
    fn a_released_lane_goes_to_the_next_who_comes() {
        let mut selection = Selection::new(2);
        round(&mut selection, &[20, 20, SILENCE], 0);
        selection.release(0);
        assert_eq!(selection.admit(2, |_| SILENCE, 1), Admission::Enters(0));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Packet { track: usize, dbov: u8 },
        Release { track: usize },
    }

    fn steps(tracks: usize) -> impl Strategy<Value = Vec<(Step, u64)>> {
        let packet = (0..tracks, 0..=127u8).prop_map(|(track, dbov)| Step::Packet { track, dbov });
        let release = (0..tracks).prop_map(|track| Step::Release { track });
        prop::collection::vec((prop_oneof![30 => packet, 1 => release], 0..40u64), 1..400)
    }

    proptest! {
        #[test]
        fn never_more_than_k_are_heard_and_each_in_one_lane_while_it_stays(lanes in 1..5usize, steps in steps(8)) {
            let mut selection = Selection::new(lanes);
            let (mut levels, mut now) = ([SILENCE; 8], 0);
            for (step, elapsed_ms) in steps {
                now += elapsed_ms * MILLISECOND;
                let before = selection.lanes.clone();
                match step {
                    Step::Release { track } => selection.release(track),
                    Step::Packet { track, dbov } => {
                        levels[track] = dbov;
                        let admission = selection.admit(track, |track| levels[track], now);
                        let changed: Vec<_> = (0..lanes).filter(|lane| before[*lane] != selection.lanes[*lane]).collect();
                        match admission {
                            Admission::Enters(lane) => {
                                prop_assert_eq!(&changed, &[lane], "no one else moves");
                                if let Some(displaced) = before[lane] {
                                    let (old, tenure) = (levels[displaced.track], now - displaced.since);
                                    prop_assert!(dbov < VOICE_DBOV, "only a voice displaces");
                                    prop_assert!(old >= VOICE_DBOV || dbov + MARGIN_DB <= old && tenure >= TENURE);
                                }
                            }
                            _ => prop_assert!(changed.is_empty()),
                        }
                    }
                }
                let mut held: Vec<_> = selection.lanes.iter().flatten().map(|holder| holder.track).collect();
                prop_assert!(held.len() <= lanes);
                held.sort_unstable();
                held.dedup();
                prop_assert_eq!(held.len(), selection.lanes.iter().flatten().count(), "a track in two lanes");
            }
        }

        #[test]
        fn with_no_more_tracks_than_lanes_everyone_is_heard_and_no_one_moves(
            lanes in 1..6usize, packets in prop::collection::vec((0..6usize, 0..=127u8, 0..900u64), 1..200),
        ) {
            let mut selection = Selection::new(lanes);
            let (mut levels, mut lane_of, mut now) = ([SILENCE; 6], [None; 6], 0);
            for (track, dbov, elapsed_ms) in packets {
                let track = track % lanes;
                now += elapsed_ms * MILLISECOND;
                levels[track] = dbov;
                let lane = match selection.admit(track, |track| levels[track], now) {
                    Admission::Stays(lane) | Admission::Enters(lane) => lane,
                    Admission::Refused => return Err(TestCaseError::fail("refused")),
                };
                prop_assert_eq!(*lane_of[track].get_or_insert(lane), lane);
            }
        }
    }
}
