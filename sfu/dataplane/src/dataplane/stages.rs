//! Stages and what is spoken on them: tracks with their gates, and taps.

use std::path::Path;

use super::book::{StageEntry, TapEntry};
use super::{full, template, Dataplane, Negotiated, Refusal};
use crate::edge::tap::TapSockets;
use crate::edge::Order;
use crate::engine::command::{Command, NewTrack, Source};
use crate::engine::TAP_LEVEL_ID;
use crate::ids::Id;

/// What tracks of taps are said to have; a slot sends its own payload type, whatever its source's.
const TAP_PAYLOAD_TYPE: u8 = 111;

impl Dataplane {
    /// A stage, on all workers; one of them tells of its voices.
    pub fn create_stage(&mut self) -> Result<Id, Refusal> {
        let workers = self.mailboxes.len();
        let entry = StageEntry { tracks: Vec::new(), taps: Vec::new(), followers: vec![0; workers] };
        let stage = self.stages.insert(entry).ok_or_else(full)?;
        self.broadcast(|| Command::CreateStage(stage, stage.place() % workers.max(1)));
        Ok(stage)
    }

    /// The end of a stage, its tracks and taps; who followed it follows nothing.
    pub fn remove_stage(&mut self, stage: Id) -> Result<(), Refusal> {
        let entry = self.stages.remove(stage).ok_or(Refusal::Stale("stage"))?;
        for tap in entry.taps {
            self.forget_tap(tap);
        }
        for track in entry.tracks {
            self.forget_track(track);
        }
        self.broadcast(|| Command::RemoveStage(stage));
        Ok(())
    }

    /// A track that a peer speaks.
    pub fn add_track(
        &mut self,
        peer: Id,
        stage: Id,
        ssrc: Option<u32>,
        negotiated: Negotiated<'_>,
        is_open: bool,
    ) -> Result<Id, Refusal> {
        let worker = self.peer(peer)?.worker;
        self.stage(stage)?;
        // Only to learn whether such packets can exist.
        template(0, negotiated)?;
        let new = NewTrack {
            stage,
            source: Source::Peer(peer),
            payload_type: negotiated.payload_type,
            red: negotiated.red,
            ssrc,
            mid: negotiated.mid.map(|mid| mid.as_bytes().into()),
            mid_id: negotiated.mid_id,
            level_id: negotiated.level_id,
            is_open,
        };
        let track = self.announce_track(worker, new)?;
        if let Some(peer) = self.peers.get_mut(peer) {
            peer.tracks.push(track);
        }
        Ok(track)
    }

    /// Open or closed, on all workers.
    pub fn set_gate(&mut self, track: Id, is_open: bool) -> Result<(), Refusal> {
        self.tracks.get(track).ok_or(Refusal::Stale("track"))?;
        self.broadcast(|| Command::SetGate(track, is_open));
        Ok(())
    }

    /// How loud a track is, in -dBov, for packets that do not say.
    pub fn set_level(&mut self, track: Id, level: u8) -> Result<(), Refusal> {
        self.tracks.get(track).ok_or(Refusal::Stale("track"))?;
        self.broadcast(|| Command::SetLevel(track, level));
        Ok(())
    }

    /// The end of a track.
    pub fn remove_track(&mut self, track: Id) -> Result<(), Refusal> {
        self.tracks.get(track).ok_or(Refusal::Stale("track"))?;
        self.forget_track(track);
        Ok(())
    }

    /// A tap, on a worker of its own choice.
    pub fn open_tap(&mut self, stage: Id, receive_at: Option<&Path>, send_to: Option<&Path>) -> Result<Id, Refusal> {
        self.stage(stage)?;
        let sockets = TapSockets::open(receive_at, send_to)?;
        let (worker, sends) = (stage.place() % self.mailboxes.len().max(1), send_to.is_some());
        let tap = self.taps.insert(TapEntry { worker, stage, tracks: Vec::new(), sends }).ok_or_else(full)?;
        if let Some(stage) = self.stages.get_mut(stage) {
            stage.taps.push(tap);
        }
        if let Some(mailbox) = self.mailboxes.get(worker) {
            mailbox.send(Order::OpenTap(tap, sockets));
        }
        self.send(worker, Command::OpenTap { tap, stage, sends });
        if sends {
            self.count_follower(stage, worker, 1);
        }
        Ok(tap)
    }

    /// A track that a tap's program speaks.
    pub fn add_tap_track(&mut self, tap: Id, ssrc: u32, is_open: bool) -> Result<Id, Refusal> {
        let entry = self.taps.get(tap).ok_or(Refusal::Stale("tap"))?;
        let (worker, stage) = (entry.worker, entry.stage);
        let new = NewTrack {
            stage,
            source: Source::Tap(tap),
            payload_type: TAP_PAYLOAD_TYPE,
            red: None,
            ssrc: Some(ssrc),
            mid: None,
            mid_id: 0,
            level_id: TAP_LEVEL_ID,
            is_open,
        };
        let track = self.announce_track(worker, new)?;
        if let Some(tap) = self.taps.get_mut(tap) {
            tap.tracks.push(track);
        }
        Ok(track)
    }

    /// The end of a tap and its tracks.
    pub fn close_tap(&mut self, tap: Id) -> Result<(), Refusal> {
        self.taps.get(tap).ok_or(Refusal::Stale("tap"))?;
        self.forget_tap(tap);
        Ok(())
    }
}
