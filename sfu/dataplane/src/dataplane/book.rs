//! What is known of each living thing, so that a stale id is refused at once and nothing outlives what it belongs to.

use super::{full, Dataplane, Refusal};
use crate::edge::Order;
use crate::engine::command::{Command, NewTrack, Source};
use crate::engine::lane::Packing;
use crate::ids::Id;

pub(super) struct PeerEntry {
    pub(super) worker: usize,
    /// Under what names TCP connections find it; none where there are no such.
    pub(super) ufrags: Vec<Box<[u8]>>,
    pub(super) has_keys: bool,
    pub(super) tracks: Vec<Id>,
    pub(super) slots: Vec<Id>,
    pub(super) follows: Option<Following>,
}

/// What a peer's slots carry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Following {
    pub(super) stage: Id,
    pub(super) what: Followed,
    pub(super) packing: Packing,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Followed {
    /// The loudest, but for one.
    Loudest { excluding: Option<Id> },
    /// One track in the first slot.
    Exactly(Id),
}

pub(super) struct StageEntry {
    pub(super) tracks: Vec<Id>,
    pub(super) taps: Vec<Id>,
    /// Listeners and taps by worker.
    pub(super) followers: Vec<u32>,
}

impl StageEntry {
    /// Bit n: someone on worker n wants its packets.
    pub(super) fn wanted(&self) -> u64 {
        self.followers.iter().enumerate().fold(0, |bits, (n, count)| bits | u64::from(*count > 0) << n)
    }
}

pub(super) struct TrackEntry {
    pub(super) stage: Id,
    pub(super) source: Source,
}

pub(super) struct TapEntry {
    pub(super) worker: usize,
    pub(super) stage: Id,
    pub(super) tracks: Vec<Id>,
    pub(super) sends: bool,
}

impl Dataplane {
    pub(super) fn peer(&self, peer: Id) -> Result<&PeerEntry, Refusal> {
        self.peers.get(peer).ok_or(Refusal::Stale("peer"))
    }

    pub(super) fn stage(&self, stage: Id) -> Result<&StageEntry, Refusal> {
        self.stages.get(stage).ok_or(Refusal::Stale("stage"))
    }

    /// All workers learn of a track; only its own from where it comes.
    pub(super) fn announce_track(&mut self, worker: usize, new: NewTrack) -> Result<Id, Refusal> {
        let entry = TrackEntry { stage: new.stage, source: new.source };
        let track = self.tracks.insert(entry).ok_or_else(full)?;
        if let Some(stage) = self.stages.get_mut(new.stage) {
            stage.tracks.push(track);
        }
        for (n, mailbox) in self.mailboxes.iter().enumerate() {
            let source = if n == worker { new.source } else { Source::Elsewhere };
            mailbox.send(Order::Apply(Command::AddTrack(track, NewTrack { source, ..new.clone() })));
        }
        Ok(track)
    }

    pub(super) fn forget_track(&mut self, track: Id) {
        let Some(entry) = self.tracks.remove(track) else { return };
        if let Some(stage) = self.stages.get_mut(entry.stage) {
            stage.tracks.retain(|other| *other != track);
        }
        match entry.source {
            Source::Peer(peer) => {
                if let Some(peer) = self.peers.get_mut(peer) {
                    peer.tracks.retain(|other| *other != track);
                }
            }
            Source::Tap(tap) => {
                if let Some(tap) = self.taps.get_mut(tap) {
                    tap.tracks.retain(|other| *other != track);
                }
            }
            Source::Elsewhere => {}
        }
        self.broadcast(|| Command::RemoveTrack(track));
    }

    pub(super) fn forget_tap(&mut self, tap: Id) {
        let Some(entry) = self.taps.remove(tap) else { return };
        for track in entry.tracks {
            self.forget_track(track);
        }
        if let Some(stage) = self.stages.get_mut(entry.stage) {
            stage.taps.retain(|other| *other != tap);
        }
        self.send(entry.worker, Command::CloseTap(tap));
        if let Some(mailbox) = self.mailboxes.get(entry.worker) {
            mailbox.send(Order::CloseTap(tap));
        }
        if entry.sends {
            self.count_follower(entry.stage, entry.worker, -1);
        }
    }

    pub(super) fn start_following(&mut self, peer: Id, following: Following) -> Result<(), Refusal> {
        self.stop_following(peer)?;
        let Some(entry) = self.peers.get_mut(peer) else { return Err(Refusal::Stale("peer")) };
        entry.follows = Some(following);
        let worker = entry.worker;
        self.count_follower(following.stage, worker, 1);
        Ok(())
    }

    pub(super) fn stop_following(&mut self, peer: Id) -> Result<(), Refusal> {
        let Some(entry) = self.peers.get_mut(peer) else { return Err(Refusal::Stale("peer")) };
        let worker = entry.worker;
        if let Some(following) = entry.follows.take() {
            self.count_follower(following.stage, worker, -1);
        }
        Ok(())
    }

    /// TCP connections that name `ufrag` are the peer's from now on.
    pub(super) fn list(&mut self, peer: Id, ufrag: &str) {
        let (Some(door), Some(entry)) = (&self.door, self.peers.get_mut(peer)) else { return };
        door.directory.insert(ufrag.as_bytes(), entry.worker);
        entry.ufrags.push(ufrag.as_bytes().into());
    }

    /// Workers mirror a stage's packets only to where someone wants them.
    pub(super) fn count_follower(&mut self, id: Id, worker: usize, change: i32) {
        let Some(stage) = self.stages.get_mut(id) else { return };
        let before = stage.wanted();
        if let Some(count) = stage.followers.get_mut(worker) {
            *count = count.saturating_add_signed(change);
        }
        let wanted = stage.wanted();
        if wanted != before {
            self.broadcast(|| Command::SetMirrors(id, wanted));
        }
    }
}
