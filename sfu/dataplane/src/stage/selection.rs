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
