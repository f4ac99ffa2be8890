//! The fan-out in slices: each round is served to the end, however many turns that takes. Pure. Per packet; guarded by
//! `benches/fanout`.
//!
//! With ten voices and 3,000 listeners a round takes 10 to 15 ms of a core. Served in one piece it would keep a mute, or a
//! newcomer's handshake, waiting for as long. Batching does not suffer: what comes in meanwhile is one round in its turn.

//!
//! Where several talk, a long round is also not followed at once: a thousand listeners would keep the core busy with
//! messages of one or two packets, while each message costs the kernel the same, whatever it carries. So packets gather
//! for a multiple of the time that the last round took. Short rounds, and those of a single voice, never wait.

use super::{Engine, Spans};
use crate::arena::Outbox;
use crate::ids::Id;
use crate::{Nanos, MILLISECOND};

/// A round shorter than this is followed at once: some 300 listeners' worth.
const SHORT_ROUND: Nanos = MILLISECOND;

/// Packets gather for this many times what the last round took, from its beginning on, ...
const GATHERING: Nanos = 4;

/// ... and for no longer than this: six of ten voices then share a message, and no jitter buffer grows for it.
const MAX_GATHERING: Nanos = 12 * MILLISECOND;

/// What was taken in before the fan-out began, and how far that is.
#[derive(Default)]
pub(super) struct Round {
    pub(super) spans: Spans,
    stages: Vec<Id>,
    /// Stages before this one are served; within one, each feed knows its next listener.
    at: usize,
    began: Nanos,
    /// Whether several voices go to the same listeners.
    is_polyphonic: bool,
    /// The next round begins no sooner; None: as soon as there is something to serve.
    next_at: Option<Nanos>,
}

impl Round {
    /// Whether listeners still wait for their share of it.
    pub(super) fn is_running(&self) -> bool {
        !self.stages.is_empty()
    }

    /// When the next round may begin, if it may not at once.
    pub(super) fn next_at(&self) -> Option<Nanos> {
        self.next_at
    }

    fn end(&mut self, now: Nanos) {
        self.stages.clear();
        self.spans.clear();
        self.at = 0;
        let took = now.saturating_sub(self.began);
        let gains = self.is_polyphonic && took >= SHORT_ROUND;
        self.next_at = gains.then(|| self.began + (GATHERING * took).min(MAX_GATHERING));
    }
}

impl Engine {
    /// Goes on with the round, or begins the next, until all are served or the slice is over.
    pub(super) fn serve(&mut self, now: Nanos, out: &mut Outbox<'_>) {
        if !self.round.is_running() && self.round.next_at.is_none_or(|at| now >= at) {
            self.begin_round(now);
        }
        if self.round.is_running() {
            out.begin_slice(self.round.spans.reads());
        }
        while let Some(&id) = self.round.stages.get(self.round.at) {
            if let Some(stage) = self.stages.get_mut(id) {
                for feed in &mut stage.feeds {
                    if !feed.serve(&self.round.spans, now, &self.counters, &mut self.begun, out) {
                        return;
                    }
                }
            }
            self.round.at += 1;
        }
        self.round.end(now);
    }

    /// What has gathered is to be served; from here on the next round gathers.
    fn begin_round(&mut self, now: Nanos) {
        self.round.began = now;
        self.round.is_polyphonic = false;
        std::mem::swap(&mut self.touched, &mut self.round.stages);
        std::mem::swap(&mut self.spans, &mut self.round.spans);
        for id in &self.round.stages {
            let Some(stage) = self.stages.get_mut(*id) else { continue };
            stage.is_touched = false;
            for feed in &mut stage.feeds {
                self.round.is_polyphonic |= feed.begin_round();
            }
            let Some(due_at) = stage.pack_due_at() else { continue };
            self.pack_due_at = Some(self.pack_due_at.map_or(due_at, |earlier| earlier.min(due_at)));
            if !std::mem::replace(&mut stage.is_packing, true) {
                self.packing.push(*id);
            }
        }
    }

    /// A peer that is about to move gets its share of the running round where it sits.
    pub(super) fn catch_up(&mut self, id: Id, now: Nanos, out: &mut Outbox<'_>) {
        let Some((stage, feed, at)) = self.peers.get(id).and_then(|peer| peer.seat.taken()) else { return };
        let Some(feed) = self.stages.get_mut(stage).and_then(|stage| stage.feeds.get_mut(feed)) else { return };
        feed.catch_up(at, &self.round.spans, now, &self.counters, &mut self.begun, out);
    }
}
