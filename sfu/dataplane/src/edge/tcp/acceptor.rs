//! Takes in TCP connections until each has said for which peer it comes, then hands it to that peer's worker. A thread of
//! its own, so that strangers who connect and say nothing cost the workers nothing at all.
//!
//! A stranger is a descriptor and at most one frame's bytes, for a few seconds: its first frame must name a peer that is
//! there (RFC 6544 §6.1: a check comes first), or it is closed without a word. Whether that check is authentic is for the
//! worker to see, which forgets the connection on the spot if it is not.

use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::framing::{self, Head, LENGTH_BYTES};
use super::quota::{Pass, Quota};
use super::{configure, Arrival};
use crate::counters::Counters;
use crate::edge::readiness::Readiness;
use crate::edge::wake::EventFd;
use crate::edge::{Mailbox, Order};
use crate::stun;

/// How long a stranger may take for its first frame: a check of 100 bytes over any path that could carry speech.
const PATIENCE: Duration = Duration::from_secs(5);

/// Strangers at a time. When there are more the one that has been silent longest goes: who means it speaks at once.
const MAX_STRANGERS: usize = 512;

/// Connections taken in before those who are here are heard again.
const ACCEPTS_AT_ONCE: usize = 64;

/// The largest check that is read, and what may have come with it.
const FIRST_BYTES: usize = 2_048;

/// How long to leave the listening socket alone when the process has no descriptor left.
const OUT_OF_DESCRIPTORS: Duration = Duration::from_millis(100);

const LISTENER: u64 = u64::MAX;
const BELL: u64 = u64::MAX - 1;

/// Which worker each user fragment's peer lives on; written per command, read once for each connection.
#[derive(Debug, Default)]
pub struct Directory(Mutex<HashMap<Box<[u8]>, usize>>);

impl Directory {
    /// A peer on `worker` is reached under `ufrag`.
    pub fn insert(&self, ufrag: &[u8], worker: usize) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(ufrag.into(), worker);
    }

    /// Not any more.
    pub fn remove(&self, ufrag: &[u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(ufrag);
    }

    fn worker_of(&self, ufrag: &[u8]) -> Option<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(ufrag).copied()
    }
}

/// Ends the acceptor's thread.
#[derive(Debug)]
pub struct Bell {
    fd: EventFd,
    is_over: AtomicBool,
}

impl Bell {
    /// Not rung yet.
    pub fn new() -> io::Result<Self> {
        Ok(Self { fd: EventFd::new()?, is_over: AtomicBool::new(false) })
    }

    /// The thread ends now.
    pub fn ring(&self) {
        self.is_over.store(true, SeqCst);
        self.fd.set();
    }
}

/// Everything that the thread owns.
pub struct Acceptor {
    listener: TcpListener,
    readiness: Readiness,
    bell: Arc<Bell>,
    directory: Arc<Directory>,
    workers: Vec<Mailbox>,
    quota: Arc<Quota>,
    /// The worker's in whose name connections are counted; nothing else writes to these of its counters.
    counters: Arc<Counters>,
    strangers: HashMap<u64, Stranger>,
    /// In the order in which they came; some may have gone.
    order: VecDeque<(Instant, u64)>,
    next: u64,
}

struct Stranger {
    stream: TcpStream,
    address: SocketAddr,
    pass: Pass,
    bytes: Vec<u8>,
}

enum First {
    Waits,
    Names(usize),
    Refused,
}

impl Acceptor {
    /// On a duplicate of the caller's listening socket.
    pub fn new(
        listener: RawFd,
        bell: Arc<Bell>,
        directory: Arc<Directory>,
        workers: Vec<Mailbox>,
        quota: Arc<Quota>,
        counters: Arc<Counters>,
    ) -> io::Result<Self> {
        if listener < 0 {
            return Err(io::Error::from_raw_os_error(libc::EBADF));
        }
        // SAFETY: not -1, and only looked at during this call, while the caller keeps it open; if it is not open at all, the
        // duplication says so.
        let fd = unsafe { BorrowedFd::borrow_raw(listener) }.try_clone_to_owned()?;
        let listener = TcpListener::from(fd);
        listener.set_nonblocking(true)?;
        let readiness = Readiness::new()?;
        readiness.add(listener.as_raw_fd(), LISTENER)?;
        readiness.add(bell.fd.as_raw_fd(), BELL)?;
        let (strangers, order) = (HashMap::new(), VecDeque::new());
        Ok(Self { listener, readiness, bell, directory, workers, quota, counters, strangers, order, next: 0 })
    }

    /// Until the bell rings.
    pub fn run(mut self) {
        let mut ready = Vec::new();
        while !self.bell.is_over.load(SeqCst) {
            let due = self.order.front().map(|(came_at, _)| PATIENCE.saturating_sub(came_at.elapsed()));
            self.readiness.wait(due, &mut ready);
            for token in ready.drain(..) {
                match token {
                    LISTENER => self.accept(),
                    BELL => {}
                    stranger => self.hear(stranger),
                }
            }
            self.dismiss_silent();
        }
    }

    fn accept(&mut self) {
        for _ in 0..ACCEPTS_AT_ONCE {
            match self.listener.accept() {
                Ok((stream, address)) => self.admit(stream, address),
                Err(error) if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM)) => {
                    self.counters.tcp_refused.add(1);
                    return std::thread::sleep(OUT_OF_DESCRIPTORS);
                }
                // It was gone before we came, or there is none left.
                Err(_) => return,
            }
        }
    }

    fn admit(&mut self, stream: TcpStream, address: SocketAddr) {
        let pass = self.quota.enter(address.ip());
        let is_set = configure(&stream).and_then(|()| self.readiness.add(stream.as_raw_fd(), self.next));
        let (Some(pass), Ok(())) = (pass, is_set) else { return self.counters.tcp_refused.add(1) };
        self.strangers.insert(self.next, Stranger { stream, address, pass, bytes: Vec::new() });
        self.order.push_back((Instant::now(), self.next));
        self.next += 1;
    }

    /// Something came from a stranger, or its end.
    fn hear(&mut self, token: u64) {
        let Some(stranger) = self.strangers.get_mut(&token) else { return };
        match stranger.read(&self.directory) {
            First::Waits => {}
            First::Refused => {
                self.strangers.remove(&token);
                self.counters.tcp_refused.add(1);
            }
            First::Names(worker) => {
                let Some(Stranger { stream, address, pass, bytes }) = self.strangers.remove(&token) else { return };
                self.readiness.remove(stream.as_raw_fd());
                self.counters.tcp_accepted.add(1);
                if let Some(worker) = self.workers.get(worker) {
                    worker.send(Order::Connect(Box::new(Arrival { stream, address, bytes, pass })));
                }
            }
        }
    }

    /// Those who have said nothing for too long, and the oldest where there are too many.
    fn dismiss_silent(&mut self) {
        while let Some((came_at, token)) = self.order.front() {
            let is_stranger = self.strangers.contains_key(token);
            if is_stranger && self.strangers.len() <= MAX_STRANGERS && came_at.elapsed() < PATIENCE {
                return;
            }
            if self.strangers.remove(token).is_some() {
                self.counters.tcp_refused.add(1);
            }
            self.order.pop_front();
        }
    }
}

impl Stranger {
    fn read(&mut self, directory: &Directory) -> First {
        let mut room = [0; FIRST_BYTES];
        let room = &mut room[self.bytes.len()..];
        match self.stream.read(room) {
            Ok(0) => return First::Refused,
            Ok(len) => self.bytes.extend_from_slice(&room[..len]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                return First::Waits
            }
            Err(_) => return First::Refused,
        }
        match framing::split(&mut self.bytes.clone()) {
            Head::Frame(frame, _) => {
                let worker = stun::parse(frame).and_then(|check| directory.worker_of(check.local_ufrag()));
                worker.map_or(First::Refused, First::Names)
            }
            Head::Part(_) if self.bytes.len() < FIRST_BYTES => First::Waits,
            Head::Part(_) | Head::TooLong => First::Refused,
        }
    }
}

const _: () = assert!(FIRST_BYTES > LENGTH_BYTES);
