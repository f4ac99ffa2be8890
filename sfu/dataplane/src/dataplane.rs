//! All workers as one: gives out ids, refuses stale ones at once, and tells each worker what it must know.
//!
//! Every worker knows every stage and track; a peer lives on one worker, a tap on one. Called per command.

use std::fmt;
use std::io;
use std::os::fd::RawFd;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use ring::rand::{SecureRandom, SystemRandom};

use crate::arena::DATAGRAM_ROOM;
use crate::counters::Counters;
use crate::edge::tap::TapSockets;
use crate::edge::udp::Socket;
use crate::edge::{self, EventQueue, Mailbox, Order, Worker};
use crate::engine::command::{Barrier, Command, Event, NewSlot, NewTrack, Source};
use crate::engine::{mirror, Engine, Settings, TAP_LEVEL_ID};
use crate::ids::{Id, Kind, Registry};
use crate::rtp::Template;
use crate::srtp::{Opener, Profile, Sealer};
use crate::{stun, Nanos};

/// Workers are bits of a word where packets are mirrored.
const MAX_WORKERS: usize = 64;

/// RFC 8445 §5.3: at least 24 and 128 bits, and no more than 256 characters.
const UFRAG_LEN: std::ops::RangeInclusive<usize> = 4..=256;
const PWD_LEN: std::ops::RangeInclusive<usize> = 22..=256;

/// What tracks of taps are said to have; a slot sends its own payload type, whatever its source's.
const TAP_PAYLOAD_TYPE: u8 = 111;

/// Why a command was not taken.
#[derive(Debug)]
pub enum Refusal {
    /// What it names is gone, or never was.
    Stale(&'static str),
    /// It could never be carried out.
    Impossible(String),
    /// The system refused.
    Io(io::Error),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stale(kind) => write!(f, "no such {kind}: it was removed, or never existed"),
            Self::Impossible(why) => f.write_str(why),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Refusal {}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn impossible<T>(why: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Impossible(why.into()))
}

struct PeerEntry {
    worker: usize,
    has_keys: bool,
    tracks: Vec<Id>,
    slots: Vec<Id>,
    follows: Option<Id>,
}

struct StageEntry {
    tracks: Vec<Id>,
    taps: Vec<Id>,
    /// Listeners and taps by worker.
    followers: Vec<u32>,
}

impl StageEntry {
    /// Bit n: someone on worker n wants its packets.
    fn wanted(&self) -> u64 {
        self.followers.iter().enumerate().fold(0, |bits, (n, count)| bits | u64::from(*count > 0) << n)
    }
}

struct TrackEntry {
    stage: Id,
    source: Source,
}

struct TapEntry {
    worker: usize,
    stage: Id,
    tracks: Vec<Id>,
    sends: bool,
}

/// Timeouts of peers.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// Of one unheard.
    pub consent: Nanos,
    /// Of one never heard.
    pub join: Nanos,
}

/// A track from a peer, as signalling has negotiated it.
#[derive(Clone, Copy, Debug)]
pub struct Negotiated<'a> {
    /// At most 127.
    pub payload_type: u8,
    /// The section's name, and the extension's id that carries it (0: none).
    pub mid: Option<&'a str>,
    /// See `mid`.
    pub mid_id: u8,
    /// The audio level's extension id (0: none).
    pub level_id: u8,
}

/// The running workers, and the book of all that they know.
pub struct Dataplane {
    mailboxes: Vec<Mailbox>,
    threads: Vec<JoinHandle<io::Result<()>>>,
    counters: Vec<Arc<Counters>>,
    events: Arc<EventQueue>,
    peers: Registry<PeerEntry>,
    stages: Registry<StageEntry>,
    tracks: Registry<TrackEntry>,
    slots: Registry<Id>,
    taps: Registry<TapEntry>,
    tickets: u64,
    random: SystemRandom,
}

impl Dataplane {
    /// Starts one worker for each bound UDP socket; the descriptors are duplicated.
    pub fn start(sockets: &[RawFd], timeouts: Timeouts) -> Result<Self, Refusal> {
        if sockets.is_empty() || sockets.len() > MAX_WORKERS {
            return impossible(format!("1 to {MAX_WORKERS} sockets, not {}", sockets.len()));
        }
        let events = Arc::new(EventQueue::new()?);
        let (zero, ntp_at_zero) = (Instant::now(), edge::ntp_now());
        let mut mailboxes = Vec::new();
        let mut inboxes = Vec::new();
        for _ in sockets {
            let (mailbox, inbox) = Mailbox::new()?;
            mailboxes.push(mailbox);
            inboxes.push(inbox);
        }
        let alarms: Vec<_> = mailboxes.iter().map(Mailbox::alarm).collect();
        let mut counters = Vec::new();
        let mut threads = Vec::new();
        let parts = inboxes.into_iter().zip(mirror::connect(sockets.len()));
        let sockets = sockets.iter().map(|fd| Socket::duplicate(*fd)).collect::<Result<Vec<_>, _>>()?;
        for (worker, (socket, (orders, mirrors))) in sockets.into_iter().zip(parts).enumerate() {
            let settings = Settings {
                worker,
                consent_timeout: timeouts.consent,
                join_timeout: timeouts.join,
                ntp_at_zero,
                drained: events.drained(),
            };
            let of_worker = Arc::new(Counters::default());
            counters.push(of_worker.clone());
            let worker_parts = Worker {
                engine: Engine::new(settings, of_worker.clone(), mirrors),
                socket,
                orders,
                alarm: alarms[worker].clone(),
                alarms: alarms.clone(),
                events: events.clone(),
                counters: of_worker,
                zero,
            };
            let thread = std::thread::Builder::new().name(format!("palco-worker-{worker}"));
            threads.push(thread.spawn(move || edge::run(worker_parts))?);
        }
        Ok(Self {
            mailboxes,
            threads,
            counters,
            events,
            peers: Registry::new(Kind::Peer),
            stages: Registry::new(Kind::Stage),
            tracks: Registry::new(Kind::Track),
            slots: Registry::new(Kind::Slot),
            taps: Registry::new(Kind::Tap),
            tickets: 0,
            random: SystemRandom::new(),
        })
    }

    /// Ends all workers and waits for them.
    pub fn close(&mut self) {
        for mailbox in self.mailboxes.drain(..) {
            mailbox.send(Order::Stop);
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }

    /// Readable while events wait.
    pub fn fileno(&self) -> RawFd {
        self.events.fileno()
    }

    /// All events since the last call. Ids of peers that they call expired are stale from now on.
    pub fn events(&mut self) -> Vec<Event> {
        let events = self.events.take();
        for event in &events {
            if let Event::Expired(peer) = event {
                let _ = self.remove_peer(*peer);
            }
        }
        events
    }

    /// A ticket; `Event::Applied` bears it once every worker is past this point.
    pub fn barrier(&mut self) -> u64 {
        self.tickets += 1;
        let barrier = Barrier::new(self.tickets, self.mailboxes.len());
        self.broadcast(|| Command::Barrier(barrier.clone()));
        self.tickets
    }

    /// Each worker's counters.
    pub fn counters(&self) -> &[Arc<Counters>] {
        &self.counters
    }

    /// A transport on one worker.
    pub fn create_peer(&mut self, worker: usize, ufrag: &str, pwd: &str) -> Result<Id, Refusal> {
        if worker >= self.mailboxes.len() {
            return impossible(format!("no worker {worker}: there are {}", self.mailboxes.len()));
        }
        check_credentials(ufrag, pwd)?;
        let entry = PeerEntry { worker, has_keys: false, tracks: Vec::new(), slots: Vec::new(), follows: None };
        let peer = self.peers.insert(entry).ok_or_else(full)?;
        let (ufrag, key) = (ufrag.as_bytes().into(), stun::Key::new(pwd.as_bytes()));
        self.send(worker, Command::CreatePeer { peer, ufrag, key });
        Ok(peer)
    }

    /// New ICE credentials beside the old.
    pub fn restart_ice(&mut self, peer: Id, ufrag: &str, pwd: &str) -> Result<(), Refusal> {
        let worker = self.peer(peer)?.worker;
        check_credentials(ufrag, pwd)?;
        let (ufrag, key) = (ufrag.as_bytes().into(), stun::Key::new(pwd.as_bytes()));
        self.send(worker, Command::RestartIce { peer, ufrag, key });
        Ok(())
    }

    /// The end of a peer, its tracks and slots.
    pub fn remove_peer(&mut self, peer: Id) -> Result<(), Refusal> {
        self.stop_following(peer)?;
        let entry = self.peers.remove(peer).ok_or(Refusal::Stale("peer"))?;
        for track in entry.tracks {
            self.forget_track(track);
        }
        for slot in entry.slots {
            self.slots.remove(slot);
        }
        self.send(entry.worker, Command::RemovePeer(peer));
        Ok(())
    }

    /// DTLS datagrams for a peer.
    pub fn send_dtls(&mut self, peer: Id, datagrams: Vec<Vec<u8>>) -> Result<(), Refusal> {
        let worker = self.peer(peer)?.worker;
        if let Some(datagram) = datagrams.iter().find(|datagram| datagram.len() > DATAGRAM_ROOM) {
            return impossible(format!("a datagram of {} bytes: at most {DATAGRAM_ROOM}", datagram.len()));
        }
        self.send(worker, Command::SendDtls(peer, datagrams));
        Ok(())
    }

    /// The keys that the handshake made.
    ///
    /// Once only: the SRTCP index begins anew with the keys, and must not do so twice under the same ones.
    pub fn set_srtp(&mut self, peer: Id, profile: u16, receive: &[u8], send: &[u8]) -> Result<(), Refusal> {
        let entry = self.peers.get_mut(peer).ok_or(Refusal::Stale("peer"))?;
        if entry.has_keys {
            return impossible("the peer has its keys already");
        }
        let Some(profile) = Profile::from_code(profile) else {
            return impossible(format!("no SRTP profile has the code {profile:#06x}"));
        };
        let Some((opener, sealer)) = Opener::new(profile, receive).zip(Sealer::new(profile, send)) else {
            let (key, salt) = (profile.key_len(), profile.salt_len());
            return impossible(format!("the profile takes a key of {key} and a salt of {salt} bytes"));
        };
        entry.has_keys = true;
        let worker = entry.worker;
        self.send(worker, Command::SetSrtp(peer, Box::new(opener), Box::new(sealer)));
        Ok(())
    }

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

    /// The end of a track.
    pub fn remove_track(&mut self, track: Id) -> Result<(), Refusal> {
        self.tracks.get(track).ok_or(Refusal::Stale("track"))?;
        self.forget_track(track);
        Ok(())
    }

    /// One more outbound stream of a peer.
    pub fn add_slot(&mut self, peer: Id, ssrc: u32, negotiated: Negotiated<'_>) -> Result<Id, Refusal> {
        let worker = self.peer(peer)?.worker;
        let template = template(ssrc, negotiated)?;
        let slot = self.slots.insert(peer).ok_or_else(full)?;
        if let Some(peer) = self.peers.get_mut(peer) {
            peer.slots.push(slot);
        }
        let [s0, s1, t0, t1, t2, t3] = self.random();
        let first_sequence = u16::from_be_bytes([s0 & 0x7f, s1]);
        let first_timestamp = u32::from_be_bytes([t0, t1, t2, t3]);
        self.send(worker, Command::AddSlot(peer, NewSlot { ssrc, template, first_sequence, first_timestamp }));
        Ok(slot)
    }

    /// A peer's slots carry the loudest of a stage.
    pub fn follow(&mut self, peer: Id, stage: Id, excluding: Option<Id>) -> Result<(), Refusal> {
        let worker = self.peer(peer)?.worker;
        self.stage(stage)?;
        if let Some(track) = excluding {
            self.tracks.get(track).ok_or(Refusal::Stale("track"))?;
        }
        self.start_following(peer, stage)?;
        self.send(worker, Command::Follow { peer, stage, excluding });
        Ok(())
    }

    /// A peer's first slot carries one track.
    pub fn follow_track(&mut self, peer: Id, track: Id) -> Result<(), Refusal> {
        let worker = self.peer(peer)?.worker;
        let stage = self.tracks.get(track).ok_or(Refusal::Stale("track"))?.stage;
        self.start_following(peer, stage)?;
        self.send(worker, Command::FollowTrack(peer, track));
        Ok(())
    }

    /// A peer's slots carry nothing.
    pub fn unfollow(&mut self, peer: Id) -> Result<(), Refusal> {
        let worker = self.peer(peer)?.worker;
        self.stop_following(peer)?;
        self.send(worker, Command::Unfollow(peer));
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

    /// An `Event::Report` follows.
    pub fn request_report(&mut self, peer: Id) -> Result<(), Refusal> {
        let worker = self.peer(peer)?.worker;
        self.send(worker, Command::RequestReport(peer));
        Ok(())
    }

    fn peer(&self, peer: Id) -> Result<&PeerEntry, Refusal> {
        self.peers.get(peer).ok_or(Refusal::Stale("peer"))
    }

    fn stage(&self, stage: Id) -> Result<&StageEntry, Refusal> {
        self.stages.get(stage).ok_or(Refusal::Stale("stage"))
    }

    fn send(&self, worker: usize, command: Command) {
        if let Some(mailbox) = self.mailboxes.get(worker) {
            mailbox.send(Order::Apply(command));
        }
    }

    fn broadcast(&self, command: impl Fn() -> Command) {
        for mailbox in &self.mailboxes {
            mailbox.send(Order::Apply(command()));
        }
    }

    fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        // A system without randomness has had no DTLS handshake either.
        let _ = self.random.fill(&mut bytes);
        bytes
    }

    /// All workers learn of a track; only its own from where it comes.
    fn announce_track(&mut self, worker: usize, new: NewTrack) -> Result<Id, Refusal> {
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

    fn forget_track(&mut self, track: Id) {
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

    fn forget_tap(&mut self, tap: Id) {
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

    fn start_following(&mut self, peer: Id, stage: Id) -> Result<(), Refusal> {
        self.stop_following(peer)?;
        let Some(entry) = self.peers.get_mut(peer) else { return Err(Refusal::Stale("peer")) };
        entry.follows = Some(stage);
        let worker = entry.worker;
        self.count_follower(stage, worker, 1);
        Ok(())
    }

    fn stop_following(&mut self, peer: Id) -> Result<(), Refusal> {
        let Some(entry) = self.peers.get_mut(peer) else { return Err(Refusal::Stale("peer")) };
        let worker = entry.worker;
        if let Some(stage) = entry.follows.take() {
            self.count_follower(stage, worker, -1);
        }
        Ok(())
    }

    /// Workers mirror a stage's packets only to where someone wants them.
    fn count_follower(&mut self, id: Id, worker: usize, change: i32) {
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

impl Drop for Dataplane {
    fn drop(&mut self) {
        self.close();
    }
}

fn full() -> Refusal {
    Refusal::Impossible("a million of these live already".into())
}

fn template(ssrc: u32, negotiated: Negotiated<'_>) -> Result<Template, Refusal> {
    let Negotiated { payload_type, mid, mid_id, level_id } = negotiated;
    let template = Template::new(ssrc, payload_type, mid.map(str::as_bytes), mid_id, level_id);
    template.ok_or_else(|| Refusal::Impossible("the payload type is beyond 127, or the mid empty or too long".into()))
}

fn check_credentials(ufrag: &str, pwd: &str) -> Result<(), Refusal> {
    if UFRAG_LEN.contains(&ufrag.len()) && PWD_LEN.contains(&pwd.len()) {
        Ok(())
    } else {
        impossible("a ufrag has 4 to 256 characters, a pwd 22 to 256 (RFC 8445 §5.3)")
    }
}
