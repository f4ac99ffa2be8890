//! A worker's TCP connections: media for people whose network lets no UDP through (RFC 6544, framed as in RFC 4571). Per
//! packet.
//!
//! The engine knows such a peer by an address of its own (`route`), and all that holds for UDP holds here: checks, gate,
//! limits. What differs is that a stream can be slow. A reader that does not keep up loses what is newest: nothing but the
//! rest of a frame that the kernel took in part is ever kept for it, and no one waits.

pub mod acceptor;
pub mod framing;
pub mod quota;

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use super::readiness::Readiness;
use super::udp::set_option;
use crate::arena::{Arena, Message};
use crate::counters::Counters;
use crate::route::over_tcp;
use crate::{Nanos, SECOND};
use framing::{append, end_of_frame, split, Head, LENGTH_BYTES, MAX_FRAME};
use quota::Pass;

/// What the kernel may hold unsent for one connection: 0.8 s of one voice, 70 ms of ten. More would only be late.
const UNSENT_BYTES: libc::c_int = 4 << 10;

/// What it may hold in all, sent and unacknowledged: a round trip of a second of ten voices.
const SEND_BUFFER: libc::c_int = 128 << 10;

/// Bytes read from one connection in a turn.
const READ_BYTES: usize = 4 << 10;

/// How often connections are closed that no peer is behind any more.
const SWEEP: Nanos = SECOND;

/// A connection whose first frame names a peer here.
#[derive(Debug)]
pub struct Arrival {
    stream: TcpStream,
    address: SocketAddr,
    bytes: Vec<u8>,
    pass: Pass,
}

/// What every connection is set to before a byte is read.
fn configure(stream: &TcpStream) -> io::Result<()> {
    stream.set_nonblocking(true)?;
    stream.set_nodelay(true)?;
    set_option(stream, libc::SOL_SOCKET, libc::SO_SNDBUF, SEND_BUFFER)?;
    set_option(stream, libc::IPPROTO_TCP, libc::TCP_NOTSENT_LOWAT, UNSENT_BYTES)
}

struct Connection {
    stream: TcpStream,
    /// As the engine knows it.
    address: SocketAddr,
    /// What has come of a frame so far.
    part: Vec<u8>,
    /// What is left of a frame that the kernel took in part.
    rest: Vec<u8>,
    _pass: Pass,
}

/// What a turn's reads have brought.
#[derive(Debug, Default)]
pub struct Frames {
    bytes: Vec<u8>,
    each: Vec<(SocketAddr, Range<usize>)>,
}

impl Frames {
    /// The next of them from its connection, from `n` = 0 on.
    pub fn datagram(&mut self, n: usize) -> Option<(SocketAddr, &mut [u8])> {
        let (address, range) = self.each.get(n)?;
        Some((*address, self.bytes.get_mut(range.clone())?))
    }

    fn add(&mut self, address: SocketAddr, frame: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(frame);
        self.each.push((address, start..self.bytes.len()));
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.each.clear();
    }
}

/// All connections of one worker.
pub struct Connections {
    readiness: Readiness,
    by_token: HashMap<u64, Connection>,
    tokens: HashMap<SocketAddr, u64>,
    next: u64,
    ready: Vec<u64>,
    buffer: Box<[u8]>,
    /// Of the next turn.
    frames: Frames,
    written: Vec<u8>,
    /// Came since the last sweep.
    unproven: Vec<SocketAddr>,
    sweeps_at: Nanos,
}

impl Connections {
    /// None yet.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            readiness: Readiness::new()?,
            by_token: HashMap::new(),
            tokens: HashMap::new(),
            next: 0,
            ready: Vec::new(),
            buffer: vec![0; LENGTH_BYTES + MAX_FRAME + READ_BYTES].into(),
            frames: Frames::default(),
            written: Vec::new(),
            unproven: Vec::new(),
            sweeps_at: 0,
        })
    }

    /// For the worker's epoll: readable while something waits here.
    pub fn as_raw_fd(&self) -> RawFd {
        self.readiness.as_raw_fd()
    }

    /// Whether the next turn has something to read that came with a connection.
    pub fn has_frames(&self) -> bool {
        !self.frames.each.is_empty()
    }

    /// Takes a connection in. What came with it is read in the next turn, and if that proves nothing it is closed.
    pub fn connect(&mut self, arrival: Arrival, counters: &Counters) {
        let Arrival { stream, address, bytes, pass } = arrival;
        let address = over_tcp(address);
        if let Some(&before) = self.tokens.get(&address) {
            self.close(before, counters);
        }
        let token = self.next;
        self.next += 1;
        if self.readiness.add(stream.as_raw_fd(), token).is_err() {
            return;
        }
        let connection = Connection { stream, address, part: Vec::new(), rest: Vec::new(), _pass: pass };
        self.by_token.insert(token, connection);
        self.tokens.insert(address, token);
        self.unproven.push(address);
        counters.tcp_connections_now.set(self.tokens.len() as u64);
        self.buffer[..bytes.len()].copy_from_slice(&bytes);
        self.take(token, bytes.len(), counters);
    }

    /// Reads what has come, from each connection up to a bound. To be given back when the turn is over.
    pub fn read(&mut self, counters: &Counters) -> Frames {
        if !self.tokens.is_empty() {
            let mut ready = std::mem::take(&mut self.ready);
            self.readiness.wait(Some(Duration::ZERO), &mut ready);
            for token in ready.drain(..) {
                self.read_one(token, counters);
                self.write_rest(token, counters);
            }
            self.ready = ready;
        }
        std::mem::take(&mut self.frames)
    }

    /// The room of a turn's frames, to be used again.
    pub fn give_back(&mut self, mut frames: Frames) {
        if self.frames.each.is_empty() {
            frames.clear();
            self.frames = frames;
        }
    }

    fn read_one(&mut self, token: u64, counters: &Counters) {
        let Some(connection) = self.by_token.get_mut(&token) else { return };
        let kept = connection.part.len();
        self.buffer[..kept].copy_from_slice(&connection.part);
        match connection.stream.read(&mut self.buffer[kept..kept + READ_BYTES]) {
            Ok(0) => self.close(token, counters),
            Ok(len) => self.take(token, kept + len, counters),
            Err(error) if is_patience(&error) => {}
            Err(_) => self.close(token, counters),
        }
    }

    /// Takes the frames from the first `len` bytes of the buffer, and keeps what is left.
    fn take(&mut self, token: u64, len: usize, counters: &Counters) {
        let Some(connection) = self.by_token.get_mut(&token) else { return };
        let mut bytes = &mut self.buffer[..len];
        loop {
            match split(bytes) {
                Head::Frame(frame, rest) => {
                    counters.tcp_in.add(1);
                    self.frames.add(connection.address, frame);
                    bytes = rest;
                }
                Head::Part(part) => {
                    connection.part.clear();
                    connection.part.extend_from_slice(part);
                    return;
                }
                Head::TooLong => return self.close(token, counters),
            }
        }
    }

    /// Sends a message's datagrams as frames, or as many of them as go without waiting.
    pub fn send(&mut self, arena: &Arena, message: &Message, counters: &Counters) {
        let datagrams = arena.payload(message).chunks(usize::from(message.segment));
        let dropped = |n: usize| counters.dropped_tcp_backlog.add(n as u64);
        let Some(&token) = self.tokens.get(&message.destination) else { return dropped(datagrams.len()) };
        self.write_rest(token, counters);
        let Some(connection) = self.by_token.get_mut(&token).filter(|it| it.rest.is_empty()) else {
            return dropped(datagrams.len());
        };
        self.written.clear();
        datagrams.clone().for_each(|datagram| append(&mut self.written, datagram));
        let taken = match connection.stream.write(&self.written) {
            Ok(taken) => taken,
            Err(error) if is_patience(&error) => 0,
            Err(_) => {
                self.close(token, counters);
                return dropped(datagrams.len());
            }
        };
        let end = end_of_frame(&self.written, taken);
        connection.rest.extend_from_slice(&self.written[taken..end]);
        let wants_to_write = !connection.rest.is_empty();
        let lost = frames_in(&self.written[end..]);
        counters.tcp_out.add((datagrams.len() - lost) as u64);
        dropped(lost);
        if wants_to_write {
            self.readiness.set(connection.stream.as_raw_fd(), token, true);
        }
    }

    /// What was left of a frame goes on as soon as the kernel takes it.
    fn write_rest(&mut self, token: u64, counters: &Counters) {
        let Some(connection) = self.by_token.get_mut(&token).filter(|it| !it.rest.is_empty()) else { return };
        match connection.stream.write(&connection.rest) {
            Ok(taken) => drop(connection.rest.drain(..taken)),
            Err(error) if is_patience(&error) => {}
            Err(_) => return self.close(token, counters),
        }
        if connection.rest.is_empty() {
            self.readiness.set(connection.stream.as_raw_fd(), token, false);
        }
    }

    /// Closes those that no peer is behind: the new ones now, the others once a second.
    pub fn sweep(&mut self, now: Nanos, counters: &Counters, is_known: impl Fn(&SocketAddr) -> bool) {
        if self.tokens.is_empty() || self.has_frames() {
            return;
        }
        if now >= self.sweeps_at {
            self.sweeps_at = now + SWEEP;
            self.unproven.clear();
            self.unproven.extend(self.tokens.keys());
        }
        while let Some(address) = self.unproven.pop() {
            if let Some(&token) = self.tokens.get(&address).filter(|_| !is_known(&address)) {
                self.close(token, counters);
            }
        }
    }

    /// When the next sweep is due, if there is anything to sweep.
    pub fn wakes_at(&self) -> Option<Nanos> {
        (!self.tokens.is_empty()).then_some(self.sweeps_at)
    }

    fn close(&mut self, token: u64, counters: &Counters) {
        if let Some(connection) = self.by_token.remove(&token) {
            self.tokens.remove(&connection.address);
            counters.tcp_connections_now.set(self.tokens.len() as u64);
        }
    }
}

fn is_patience(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

fn frames_in(mut frames: &[u8]) -> usize {
    let mut count = 0;
    while !frames.is_empty() {
        frames = &frames[end_of_frame(frames, 1)..];
        count += 1;
    }
    count
}
