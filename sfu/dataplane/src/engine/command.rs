//! What Python may ask of a worker, and what a worker tells Python.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use super::lane::Packing;
use crate::ids::Id;
use crate::rtp::Template;
use crate::srtp::{Opener, Sealer};
use crate::stun;

/// One change to a worker's state; a command about something that is gone does nothing.
pub enum Command {
    /// A transport, reachable under `ufrag`.
    CreatePeer {
        /// Its id.
        peer: Id,
        /// What checks name us by.
        ufrag: Box<[u8]>,
        /// What checks are verified with.
        key: stun::Key,
    },
    /// New ICE credentials beside the old.
    RestartIce {
        /// Whose.
        peer: Id,
        /// What checks name us by.
        ufrag: Box<[u8]>,
        /// What checks are verified with.
        key: stun::Key,
    },
    /// The end of a peer, its tracks and slots.
    RemovePeer(Id),
    /// DTLS datagrams for the peer's selected address.
    SendDtls(Id, Vec<Vec<u8>>),
    /// The keys that the handshake made.
    SetSrtp(Id, Box<Opener>, Box<Sealer>),
    /// A stage, and the worker that tells Python of its voices.
    CreateStage(Id, usize),
    /// The end of a stage, its tracks and feeds.
    RemoveStage(Id),
    /// Bit n: worker n has listeners of this stage, and wants its packets.
    SetMirrors(Id, u64),
    /// A track; every worker knows all tracks of all stages.
    AddTrack(Id, NewTrack),
    /// Open or closed.
    SetGate(Id, bool),
    /// How loud a track was measured to be, in -dBov.
    SetLevel(Id, u8),
    /// The end of a track.
    RemoveTrack(Id),
    /// One more outbound stream.
    AddSlot(Id, NewSlot),
    /// The peer's slots carry the loudest of a stage but the one excluded.
    Follow {
        /// Whose slots.
        peer: Id,
        /// Which stage.
        stage: Id,
        /// Never this track: the peer's own.
        excluding: Option<Id>,
        /// How much audio a packet carries.
        packing: Packing,
    },
    /// The peer's first slot carries this track, so much of it in a packet.
    FollowTrack(Id, Id, Packing),
    /// The peer's slots carry nothing.
    Unfollow(Id),
    /// A tap on a stage; with `sends` it gets every packet heard there.
    OpenTap {
        /// Its id.
        tap: Id,
        /// Which stage.
        stage: Id,
        /// Whether packets go out by it.
        sends: bool,
    },
    /// The end of a tap and its tracks.
    CloseTap(Id),
    /// A `Report` event, please.
    RequestReport(Id),
    /// An `Applied` event when all workers are here.
    Barrier(Arc<Barrier>),
}

/// Where a track's packets come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// A peer of this worker.
    Peer(Id),
    /// A tap of this worker.
    Tap(Id),
    /// Another worker mirrors them.
    Elsewhere,
}

/// What is known of a track from the start.
#[derive(Clone, Debug)]
pub struct NewTrack {
    /// The stage on which it is heard.
    pub stage: Id,
    /// Where its packets come from.
    pub source: Source,
    /// Of its packets; others are dropped.
    pub payload_type: u8,
    /// Of those that are redundant audio (RFC 2198), where it was negotiated: their newest payload counts.
    pub red: Option<u8>,
    /// Of its packets, where announced.
    pub ssrc: Option<u32>,
    /// Names it in its packets, where there are several.
    pub mid: Option<Box<[u8]>>,
    /// Extension id of the mid, 0 if none.
    pub mid_id: u8,
    /// Extension id of the audio level, 0 if none.
    pub level_id: u8,
    /// Whether it is heard at first.
    pub is_open: bool,
}

impl NewTrack {
    /// Whether packets of this payload type are its own.
    pub fn has_type(&self, payload_type: u8) -> bool {
        self.payload_type == payload_type || self.red == Some(payload_type)
    }
}

/// What a slot begins with.
#[derive(Clone, Debug)]
pub struct NewSlot {
    /// Its source, chosen by the server.
    pub ssrc: u32,
    /// Its header.
    pub template: Template,
    /// The payload type for redundant audio (RFC 2198), where it was negotiated.
    pub red: Option<u8>,
    /// At random below 2^15, so that the first loss cannot be taken for a rollover (RFC 3711 §3.3.1).
    pub first_sequence: u16,
    /// At random (RFC 3550 §5.1).
    pub first_timestamp: u32,
}

/// What all workers pass before Python is told.
#[derive(Debug)]
pub struct Barrier {
    ticket: u64,
    remaining: AtomicUsize,
}

impl Barrier {
    /// For `workers` workers.
    pub fn new(ticket: u64, workers: usize) -> Arc<Self> {
        Arc::new(Self { ticket, remaining: AtomicUsize::new(workers) })
    }

    /// One worker is past it. The ticket, for the last.
    pub fn pass(&self) -> Option<u64> {
        (self.remaining.fetch_sub(1, Ordering::AcqRel) == 1).then_some(self.ticket)
    }
}

/// What a worker tells Python; see `_dataplane.pyi`.
#[derive(Clone, PartialEq, Debug)]
pub enum Event {
    /// A DTLS datagram of a peer.
    Dtls(Id, Box<[u8]>),
    /// Media goes to this address from now on.
    Nominated(Id, SocketAddr),
    /// A peer was silent too long and is removed.
    Expired(Id),
    /// All earlier commands are in force everywhere.
    Applied(u64),
    /// A track's first packet came.
    Heard(Id),
    /// Who speaks on a stage, and how loud in -dBov.
    Voices(Id, Vec<(Id, u8)>),
    /// What a peer received and sent.
    Report(Id, Report),
}

impl Event {
    /// Whether Python can live without it when it is too slow to take it.
    pub fn is_expendable(&self) -> bool {
        matches!(self, Self::Dtls(..) | Self::Voices(..) | Self::Report(..))
    }
}

/// A peer's account; loss, jitter and round trip as it reports them of our streams, else as we see its own.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Report {
    /// Authentic media packets from the peer.
    pub packets_in: u64,
    /// Media packets sealed for it.
    pub packets_out: u64,
    /// Bytes of those, as datagrams.
    pub bytes_in: u64,
    /// Payload bytes of those.
    pub bytes_out: u64,
    /// 0 to 1, in the last report.
    pub lost_fraction: f64,
    /// Interarrival jitter in the last report.
    pub jitter_s: f64,
    /// In the last report that told.
    pub round_trip_s: f64,
}
