//! All who follow one thing follow another instead, in one call: what a mix that begins, or breaks off, means to any
//! number of listeners. Streams go on unbroken, packed as they were.

use super::book::{Followed, Following};
use super::{Dataplane, Refusal};
use crate::ids::Id;

impl Dataplane {
    /// Whoever follows exactly `track` follows the loudest of `stage` instead; how many that were.
    pub fn replace_track(&mut self, track: Id, stage: Id, excluding: Option<Id>) -> Result<usize, Refusal> {
        self.tracks.get(track).ok_or(Refusal::Stale("track"))?;
        let followers = self.followers(|_, following| following.what == Followed::Exactly(track));
        for (peer, following) in &followers {
            self.follow_loudest(*peer, stage, excluding, following.packing)?;
        }
        Ok(followers.len())
    }

    /// Whoever follows the loudest of `stage` in a single slot follows exactly `track` instead; how many that were.
    pub fn replace_loudest(&mut self, stage: Id, excluding: Option<Id>, track: Id) -> Result<usize, Refusal> {
        self.stage(stage)?;
        let replaced = Followed::Loudest { excluding };
        let followers =
            self.followers(|slots, following| slots == 1 && following.stage == stage && following.what == replaced);
        for (peer, following) in &followers {
            self.follow_exactly(*peer, track, following.packing)?;
        }
        Ok(followers.len())
    }

    /// Peers by their number of slots and what these carry.
    fn followers(&self, are_meant: impl Fn(usize, &Following) -> bool) -> Vec<(Id, Following)> {
        let meant = self.peers.iter().filter_map(|(id, entry)| {
            let following = entry.follows.filter(|following| are_meant(entry.slots.len(), following))?;
            Some((id, following))
        });
        meant.collect()
    }
}
