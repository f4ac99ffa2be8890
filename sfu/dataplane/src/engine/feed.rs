//! All listeners of a stage who hear the same, and how far each round is among them. Per packet; guarded by
//! `benches/fanout`.
//!
//! While a round is served the listeners before the cursor have had it and those from it on have not. Who leaves or comes
//! keeps to that border, so that no one misses a packet or gets one twice because others moved.

use super::egress::{Heard, Listener, Routed, Share};
use super::lane::{Lane, Packing};
use super::redundancy::MAX_DISTANCE;
use super::Spans;
use crate::arena::Outbox;
use crate::counters::Counters;
use crate::ids::Id;
use crate::stage::selection::{Admission, Selection};
use crate::Nanos;

/// What a feed's listeners hear.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Key {
    /// The loudest tracks, but for one.
    Loudest {
        /// How many at once.
        lanes: usize,
        /// Never this one.
        excluding: Option<Id>,
    },
    /// One track, whatever its loudness.
    Exactly(Id),
}

impl Key {
    fn lanes(self) -> usize {
        match self {
            Self::Loudest { lanes, .. } => lanes,
            Self::Exactly(_) => 1,
        }
    }

    fn admits(self, track: Id) -> bool {
        match self {
            Self::Loudest { excluding, .. } => excluding != Some(track),
            Self::Exactly(exactly) => exactly == track,
        }
    }
}

/// All listeners of a stage who hear the same, and what that is at the moment.
pub struct Feed {
    key: Key,
    packing: Packing,
    selection: Selection<Id>,
    lanes: Vec<Lane>,
    /// Of the round that gathers, and of the one that is being served; empty when all have had it.
    packets: Vec<Routed>,
    serving: Vec<Routed>,
    /// While `serving`: the next listener to be served.
    cursor: usize,
    /// Whose packet was served last.
    last_track: Option<Id>,
    listeners: Vec<Listener>,
    /// How many of them have each distance of redundancy, from 1 on.
    redundant: [u32; MAX_DISTANCE],
}

impl Feed {
    /// A feed without listeners.
    pub fn new(key: Key, packing: Packing) -> Self {
        Self {
            key,
            packing,
            selection: Selection::new(key.lanes()),
            lanes: (0..key.lanes()).map(|number| Lane::new(number, packing)).collect(),
            packets: Vec::with_capacity(64),
            serving: Vec::with_capacity(64),
            cursor: 0,
            last_track: None,
            listeners: Vec::new(),
            redundant: [0; MAX_DISTANCE],
        }
    }

    /// What its listeners hear.
    pub fn key(&self) -> Key {
        self.key
    }

    /// How much audio its packets carry.
    pub fn packing(&self) -> Packing {
        self.packing
    }

    /// Whether no one hears it.
    pub fn is_empty(&self) -> bool {
        self.listeners.is_empty()
    }

    /// Those who hear it.
    pub fn listeners(&self) -> &[Listener] {
        &self.listeners
    }

    /// One of them, to be changed.
    pub fn listener_mut(&mut self, at: usize) -> Option<&mut Listener> {
        self.listeners.get_mut(at)
    }

    /// Takes one more in, who begins with the next round; its place. Whom that moves is told to `moved`.
    pub fn seat(&mut self, listener: Listener, moved: impl FnOnce(Id, usize)) -> usize {
        let at = self.listeners.len();
        self.count_redundant(0, listener.redundancy.distance());
        self.listeners.push(listener);
        if self.serving.is_empty() {
            return at;
        }
        let first_unserved = self.cursor;
        self.cursor += 1;
        self.listeners.swap(first_unserved, at);
        if first_unserved != at {
            moved(self.listeners[at].peer, at);
        }
        first_unserved
    }

    /// Lets the one at `at` go. Whom that moves is told to `moved`.
    pub fn leave(&mut self, at: usize, mut moved: impl FnMut(Id, usize)) -> Option<Listener> {
        let mut at = at;
        if at >= self.listeners.len() {
            return None;
        }
        if !self.serving.is_empty() && at < self.cursor {
            self.cursor -= 1;
            self.listeners.swap(at, self.cursor);
            if at != self.cursor {
                moved(self.listeners[at].peer, at);
            }
            at = self.cursor;
        }
        let listener = self.listeners.swap_remove(at);
        self.count_redundant(listener.redundancy.distance(), 0);
        if let Some(last) = self.listeners.get(at) {
            moved(last.peer, at);
        }
        Some(listener)
    }

    /// A listener's distance of redundancy is another now, 0 being none: the lanes remember as much as any one needs.
    pub fn count_redundant(&mut self, before: usize, now: usize) {
        if before == now {
            return;
        }
        if let Some(count) = before.checked_sub(1).and_then(|n| self.redundant.get_mut(n)) {
            *count -= 1;
        }
        if let Some(count) = now.checked_sub(1).and_then(|n| self.redundant.get_mut(n)) {
            *count += 1;
        }
        let most = self.redundant.iter().rposition(|count| *count > 0).map_or(0, |n| n + 1);
        for lane in &mut self.lanes {
            lane.remember(most);
        }
    }

    /// Takes a packet into the round that gathers, if its listeners are to hear it.
    #[inline]
    pub fn route(
        &mut self,
        packet: &Heard,
        dbov: impl Fn(Id) -> u8,
        now: Nanos,
        spans: &mut Spans,
        counters: &Counters,
    ) {
        if self.listeners.is_empty() || !self.key.admits(packet.track) {
            return;
        }
        let lane = match self.selection.admit(packet.track, dbov, now) {
            Admission::Stays(lane) => lane,
            Admission::Enters(lane) => {
                self.lanes[lane].cut();
                lane
            }
            Admission::Refused => return,
        };
        self.lanes[lane].take(packet, now, spans, counters, &mut self.packets);
    }

    /// Takes packets into the round that gathers which have waited for more audio long enough.
    pub fn flush_overdue(&mut self, now: Nanos, spans: &mut Spans, counters: &Counters) {
        for lane in &mut self.lanes {
            lane.flush_overdue(now, spans, counters, &mut self.packets);
        }
    }

    /// When the next of its lanes' packets must go out, however little audio it carries.
    pub fn pack_due_at(&self) -> Option<Nanos> {
        self.lanes.iter().filter_map(Lane::due_at).min()
    }

    /// `track` falls silent for reasons of its own (its gate closed): its lane goes on without a gap when it returns.
    pub fn cut(&mut self, track: Id) {
        if let Some(lane) = self.selection.lane_of(track) {
            self.lanes[lane].cut();
        }
    }

    /// `track` is muted or gone: its lane is free for another, and whoever has not had its packets yet never gets them.
    pub fn release(&mut self, track: Id) {
        if let Some(lane) = self.selection.lane_of(track) {
            self.lanes[lane].release();
        }
        self.packets.retain(|packet| packet.track != track);
        self.serving.retain(|packet| packet.track != track);
        self.selection.release(track);
    }

    /// What has gathered is to be served. True if it, and what was served before, is of several tracks.
    pub fn begin_round(&mut self) -> bool {
        std::mem::swap(&mut self.packets, &mut self.serving);
        self.packets.clear();
        self.cursor = 0;
        let Some(last) = self.serving.last() else { return false };
        let before = self.last_track.replace(last.track).unwrap_or(last.track);
        self.serving.iter().any(|packet| packet.track != before)
    }

    /// Goes on with the round; false if the slice is over before all are served. Those whose streams have begun are added
    /// to `begun`.
    pub fn serve(
        &mut self,
        spans: &Spans,
        now: Nanos,
        counters: &Counters,
        begun: &mut Vec<Id>,
        out: &mut Outbox<'_>,
    ) -> bool {
        if self.serving.is_empty() {
            return true;
        }
        // Taken out first: whatever happens below, no packet is ever served a second time under the same index.
        let mut packets = std::mem::take(&mut self.serving);
        let share = Share { packets: &packets, spans, counters, now };
        while let Some(listener) = self.listeners.get_mut(self.cursor) {
            if out.is_slice_over() {
                self.serving = packets;
                return false;
            }
            self.cursor += 1;
            if listener.serve(&share, out) {
                begun.push(listener.peer);
            }
        }
        packets.clear();
        self.serving = packets;
        true
    }

    /// Serves the listener at `at`, who is about to leave for another feed, if the running round has not reached it yet.
    pub fn catch_up(
        &mut self,
        at: usize,
        spans: &Spans,
        now: Nanos,
        counters: &Counters,
        begun: &mut Vec<Id>,
        out: &mut Outbox<'_>,
    ) {
        if self.serving.is_empty() || at < self.cursor {
            return;
        }
        let share = Share { packets: &self.serving, spans, counters, now };
        let Some(listener) = self.listeners.get_mut(at) else { return };
        if listener.serve(&share, out) {
            begun.push(listener.peer);
        }
    }
}
