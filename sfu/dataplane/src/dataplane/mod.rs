//! All workers as one: gives out ids, refuses stale ones at once, and tells each worker what it must know.
//!
//! Every worker knows every stage and track; a peer lives on one worker, a tap on one. Called per command.

mod book;
mod peers;
mod redirect;
mod stages;

use std::fmt;
use std::io;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use ring::rand::SystemRandom;

use crate::counters::Counters;
use crate::edge::tcp::acceptor::{Acceptor, Bell, Directory};
use crate::edge::tcp::quota::{Quota, MAX_CONNECTIONS, MAX_PER_ADDRESS};
use crate::edge::udp::Socket;
use crate::edge::{self, EventQueue, Mailbox, Order, Worker};
use crate::engine::command::{Barrier, Command, Event};
use crate::engine::{mirror, Engine, Settings};
use crate::ids::{Id, Kind, Registry};
use crate::rtp::Template;
use crate::Nanos;
use book::{PeerEntry, StageEntry, TapEntry, TrackEntry};

/// Workers are bits of a word where packets are mirrored.
const MAX_WORKERS: usize = 64;

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
    /// The payload type of redundant audio (RFC 2198), at most 127, if any.
    pub red: Option<u8>,
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
    /// Where TCP connections come in, if they do.
    door: Option<Door>,
}

/// The thread that takes in TCP connections.
struct Door {
    directory: Arc<Directory>,
    bell: Arc<Bell>,
    thread: Option<JoinHandle<()>>,
}

impl Dataplane {
    /// Starts one worker for each bound UDP socket, and takes in TCP connections at the listening socket `tcp`; the
    /// descriptors are duplicated.
    pub fn start(sockets: &[RawFd], tcp: Option<RawFd>, timeouts: Timeouts) -> Result<Self, Refusal> {
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
        let door = tcp.map(|listener| Door::open(listener, &mailboxes, &counters[0])).transpose()?;
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
            door,
        })
    }

    /// Ends all workers and waits for them.
    pub fn close(&mut self) {
        self.door = None;
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
}

impl Door {
    fn open(listener: RawFd, workers: &[Mailbox], counters: &Arc<Counters>) -> io::Result<Self> {
        let (directory, bell) = (Arc::<Directory>::default(), Arc::new(Bell::new()?));
        let quota = Quota::new(MAX_CONNECTIONS, MAX_PER_ADDRESS);
        let workers = workers.to_vec();
        let acceptor = Acceptor::new(listener, bell.clone(), directory.clone(), workers, quota, counters.clone())?;
        let thread = std::thread::Builder::new().name("palco-tcp".into()).spawn(move || acceptor.run())?;
        Ok(Self { directory, bell, thread: Some(thread) })
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.bell.ring();
        let _ = self.thread.take().map(JoinHandle::join);
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
    let Negotiated { payload_type, mid, mid_id, level_id, red } = negotiated;
    if red.is_some_and(|red| red > 127 || red == payload_type) {
        return impossible("the payload type of redundant audio is beyond 127, or Opus's own");
    }
    let template = Template::new(ssrc, payload_type, mid.map(str::as_bytes), mid_id, level_id);
    template.ok_or_else(|| Refusal::Impossible("the payload type is beyond 127, or the mid empty or too long".into()))
}
