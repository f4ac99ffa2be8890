//! Who hears what: stages, tracks, gates, taps, and the seats of listeners in feeds. Pure. Per command.

use super::command::{NewTrack, Source};
use super::egress::{Listener, Slot};
use super::feed::{Feed, Key};
use super::lane::Packing;
use super::{reports, Engine, Stage, Tap, Track};
use crate::ids::{Id, Slab};
use crate::peer::{Peer, Seat};
use crate::Nanos;

impl Engine {
    pub(super) fn create_stage(&mut self, id: Id, reporter: usize) {
        let stage = Stage {
            tracks: Vec::new(),
            feeds: Vec::new(),
            taps: Vec::new(),
            reporter,
            mirrors: 0,
            wakes: 0,
            voices: reports::Voices::default(),
            is_touched: false,
            is_packing: false,
        };
        self.stages.insert(id, stage);
        self.set_mirrors(id, 0);
    }

    pub(super) fn remove_stage(&mut self, id: Id) {
        let Some(stage) = self.stages.get_mut(id) else { return };
        let feeds = stage.feeds.iter_mut();
        let listeners: Vec<Id> = feeds.flat_map(|feed| feed.listeners().iter().map(|it| it.peer)).collect();
        let (tracks, taps) = (std::mem::take(&mut stage.tracks), std::mem::take(&mut stage.taps));
        for peer in listeners {
            self.unfollow(peer);
        }
        for track in tracks {
            self.remove_track(track);
        }
        for tap in taps {
            self.close_tap(tap);
        }
        self.stages.remove(id);
    }

    /// Listeners want every packet at once; the reporter is content to find them at its next turn.
    pub(super) fn set_mirrors(&mut self, id: Id, workers: u64) {
        let Some(stage) = self.stages.get_mut(id) else { return };
        let others = !(1 << self.settings.worker);
        stage.wakes = workers & others;
        stage.mirrors = (workers | 1 << stage.reporter) & others;
    }

    pub(super) fn add_track(&mut self, id: Id, new: NewTrack) {
        let Some(stage) = self.stages.get_mut(new.stage) else { return };
        if let Source::Peer(peer) = new.source {
            let Some(peer) = self.peers.get_mut(peer) else { return };
            peer.tracks.push(id);
        }
        stage.tracks.push(id);
        self.tracks.insert(id, Track::new(new));
    }

    /// Nothing of a closed track is forwarded, not even what waits in this turn.
    pub(super) fn set_gate(&mut self, id: Id, is_open: bool) {
        let Some(track) = self.tracks.get_mut(id) else { return };
        track.is_open = is_open;
        if !is_open {
            self.silence(id);
        }
    }

    pub(super) fn remove_track(&mut self, id: Id) {
        self.silence(id);
        let Some(track) = self.tracks.remove(id) else { return };
        if let Some(stage) = self.stages.get_mut(track.new.stage) {
            stage.tracks.retain(|other| *other != id);
        }
        if let Source::Peer(peer) = track.new.source {
            if let Some(peer) = self.peers.get_mut(peer) {
                peer.tracks.retain(|other| *other != id);
            }
        }
    }

    fn silence(&mut self, id: Id) {
        let Some(track) = self.tracks.get(id) else { return };
        let Some(stage) = self.stages.get_mut(track.new.stage) else { return };
        for feed in &mut stage.feeds {
            feed.release(id);
        }
    }

    /// One more slot; a peer that follows the loudest hears one more of them.
    pub(super) fn add_slot(&mut self, id: Id, slot: Slot) {
        let Some(listener) = self.listener_mut(id) else { return };
        listener.slots.push(slot);
        if let Some((stage, Key::Loudest { excluding, .. }, packing)) = self.followed(id) {
            self.follow(id, stage, excluding, packing);
        }
    }

    pub(super) fn follow(&mut self, id: Id, stage: Id, excluding: Option<Id>, packing: Packing) {
        let Some(listener) = self.listener_mut(id) else { return };
        let lanes = listener.slots.len();
        self.sit_down(id, stage, Key::Loudest { lanes, excluding }, packing);
    }

    pub(super) fn follow_track(&mut self, id: Id, track: Id, packing: Packing) {
        let Some(stage) = self.tracks.get(track).map(|track| track.new.stage) else { return };
        self.sit_down(id, stage, Key::Exactly(track), packing);
    }

    pub(super) fn unfollow(&mut self, id: Id) {
        let Some(listener) = self.stand_up(id) else { return };
        if let Some(peer) = self.peers.get_mut(id) {
            peer.seat = Seat::Aside(Box::new(listener));
        }
    }

    pub(super) fn open_tap(&mut self, id: Id, stage: Id, sends: bool) {
        let Some(of_stage) = self.stages.get_mut(stage) else { return };
        of_stage.taps.push(id);
        self.taps.insert(id, Tap { stage, sends });
    }

    pub(super) fn close_tap(&mut self, id: Id) {
        let Some(tap) = self.taps.remove(id) else { return };
        let Some(stage) = self.stages.get_mut(tap.stage) else { return };
        stage.taps.retain(|other| *other != id);
        let tracks = stage.tracks.clone();
        for track in tracks {
            if self.tracks.get(track).is_some_and(|track| track.new.source == Source::Tap(id)) {
                self.remove_track(track);
            }
        }
    }

    /// What a peer follows, if anything.
    fn followed(&self, id: Id) -> Option<(Id, Key, Packing)> {
        let Seat::Taken { stage, feed, .. } = self.peers.get(id)?.seat else { return None };
        let feed = self.stages.get(stage)?.feeds.get(feed)?;
        Some((stage, feed.key(), feed.packing()))
    }

    /// Seats a peer in the feed `key` of `stage`; its streams go on there unbroken.
    fn sit_down(&mut self, id: Id, stage_id: Id, key: Key, packing: Packing) {
        if self.stages.get(stage_id).is_none() {
            return;
        }
        let Some(mut listener) = self.stand_up(id) else { return };
        listener.cut();
        let Some(stage) = self.stages.get_mut(stage_id) else { return };
        let feed = stage.seat_in(key, packing);
        let peers = &mut self.peers;
        let at = stage.feeds[feed].seat(listener, |moved, at| reseat(peers, moved, at));
        if let Some(peer) = peers.get_mut(id) {
            peer.seat = Seat::Taken { stage: stage_id, feed, at };
        }
        self.counters.listeners_now.set(self.counters.listeners_now.get() + 1);
    }

    /// Takes a peer's outgoing half from wherever it sits. The caller must seat it again, or drop it with the peer.
    pub(super) fn stand_up(&mut self, id: Id) -> Option<Listener> {
        let peer = self.peers.get_mut(id)?;
        let aside = Seat::Aside(Box::new(Listener::new(id)));
        let (stage, feed, at) = match std::mem::replace(&mut peer.seat, aside) {
            Seat::Aside(listener) => return Some(*listener),
            Seat::Taken { stage, feed, at } => (stage, feed, at),
        };
        let peers = &mut self.peers;
        let feed = self.stages.get_mut(stage)?.feeds.get_mut(feed)?;
        let listener = feed.leave(at, |moved, at| reseat(peers, moved, at))?;
        self.counters.listeners_now.set(self.counters.listeners_now.get() - 1);
        Some(listener)
    }
}

/// A listener's place in its feed is another now.
fn reseat(peers: &mut Slab<Peer>, peer: Id, place: usize) {
    if let Some(Seat::Taken { at, .. }) = peers.get_mut(peer).map(|peer| &mut peer.seat) {
        *at = place;
    }
}

impl Stage {
    /// When the next of its packets that wait for more audio must go out.
    pub(super) fn pack_due_at(&self) -> Option<Nanos> {
        self.feeds.iter().filter_map(Feed::pack_due_at).min()
    }

    /// The feed of `key`: that which is, or one that no one hears any more, or a new one.
    fn seat_in(&mut self, key: Key, packing: Packing) -> usize {
        let is_it = |feed: &Feed| feed.key() == key && feed.packing() == packing && !feed.is_empty();
        if let Some(feed) = self.feeds.iter().position(is_it) {
            return feed;
        }
        if let Some(abandoned) = self.feeds.iter().position(Feed::is_empty) {
            self.feeds[abandoned] = Feed::new(key, packing);
            return abandoned;
        }
        self.feeds.push(Feed::new(key, packing));
        self.feeds.len() - 1
    }
}
