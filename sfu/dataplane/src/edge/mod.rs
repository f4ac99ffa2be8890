//! The edge: worker threads with their sockets and clock, around the pure engine. All `unsafe` of the crate is below here.

mod kernel;
mod readiness;
pub mod tap;
pub mod tcp;
pub mod udp;
pub mod wake;

use std::collections::HashMap;
use std::io;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::arena::{Arena, Outbox};
use crate::counters::Counters;
use crate::engine::command::{Command, Event};
use crate::engine::Engine;
use crate::ids::Id;
use crate::Nanos;
use kernel::Kernel;
use tap::TapSockets;
use tcp::{Arrival, Connections};
use udp::{Inbox, Socket};
use wake::{Alarm, EventFd, Poll};

/// Bytes that lie in the cache while the kernel copies them: 64 listeners with ten packets each.
const ARENA_BYTES: usize = 96 << 10;

/// Orders carried out in a turn: more than wait unless thousands join at once, and even then the socket has its turn.
const ORDERS_PER_TURN: usize = 256;

/// Events that wait for Python before the expendable ones are dropped.
const MAX_EVENTS: usize = 1 << 16;

/// Seconds from the NTP epoch (1900) to the Unix epoch (RFC 5905 §6).
const NTP_TO_UNIX_S: u64 = 2_208_988_800;

/// What a worker is sent.
pub enum Order {
    /// For the engine.
    Apply(Command),
    /// A tap's sockets; the engine learns of the tap by a command of its own.
    OpenTap(Id, TapSockets),
    /// Closes them.
    CloseTap(Id),
    /// A TCP connection that names a peer of this worker.
    Connect(Box<Arrival>),
    /// The end of the worker.
    Stop,
}

/// A worker as the face sees it.
#[derive(Clone, Debug)]
pub struct Mailbox {
    orders: Sender<Order>,
    alarm: Arc<Alarm>,
}

impl Mailbox {
    /// Where a worker is told things, and where it finds them.
    pub fn new() -> io::Result<(Self, Receiver<Order>)> {
        let (orders, inbox) = std::sync::mpsc::channel();
        Ok((Self { orders, alarm: Arc::new(Alarm::new()?) }, inbox))
    }

    /// Orders are carried out in the order they were sent. A worker that has ended takes none.
    pub fn send(&self, order: Order) {
        if self.orders.send(order).is_ok() {
            self.alarm.ring();
        }
    }

    /// Its bell, for the other workers.
    pub fn alarm(&self) -> Arc<Alarm> {
        self.alarm.clone()
    }
}

/// Events of all workers on their way to Python: the only lock, taken once a turn and only if there is something to tell.
#[derive(Debug)]
pub struct EventQueue {
    events: Mutex<Vec<Event>>,
    bell: EventFd,
    drained: Arc<AtomicU64>,
}

impl EventQueue {
    /// Empty.
    pub fn new() -> io::Result<Self> {
        Ok(Self { events: Mutex::default(), bell: EventFd::new()?, drained: Arc::default() })
    }

    /// Readable while events wait.
    pub fn fileno(&self) -> i32 {
        self.bell.as_raw_fd()
    }

    /// How often all events were taken.
    pub fn drained(&self) -> Arc<AtomicU64> {
        self.drained.clone()
    }

    /// Takes all events.
    pub fn take(&self) -> Vec<Event> {
        self.drained.fetch_add(1, Relaxed);
        self.bell.clear();
        std::mem::take(&mut *self.events.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn publish(&self, news: &mut Vec<Event>, counters: &Counters) {
        if news.is_empty() {
            return;
        }
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        for event in news.drain(..) {
            if events.len() >= MAX_EVENTS && event.is_expendable() {
                counters.dropped_events.add(1);
            } else {
                events.push(event);
            }
        }
        drop(events);
        self.bell.set();
    }
}

/// Everything that a worker's thread owns from the start.
pub struct Worker {
    /// Its machine.
    pub engine: Engine,
    /// Its socket.
    pub socket: Socket,
    /// Its orders, and the bell that announces them.
    pub orders: Receiver<Order>,
    /// See `orders`.
    pub alarm: Arc<Alarm>,
    /// Every worker's bell, by worker.
    pub alarms: Vec<Arc<Alarm>>,
    /// Where its events go.
    pub events: Arc<EventQueue>,
    /// What it has done.
    pub counters: Arc<Counters>,
    /// When all workers' time began.
    pub zero: Instant,
}

/// The NTP time now: seconds since 1900 in the upper half.
pub fn ntp_now() -> u64 {
    let since_unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let fraction = (u64::from(since_unix.subsec_nanos()) << 32) / 1_000_000_000;
    (since_unix.as_secs() + NTP_TO_UNIX_S) << 32 | fraction
}

/// A worker's thread.
struct Loop {
    worker: Worker,
    taps: HashMap<Id, TapSockets>,
    arrivals: Vec<Arrival>,
    poll: Poll,
    inbox: Inbox,
    sender: udp::Sender,
    connections: Connections,
    arena: Arena,
    tap_buffer: Box<[u8]>,
}

/// Nine times the weight of a thread that was given none: what is heard comes before who joins.
const NICE: libc::c_int = -10;

/// On a core that is shared with handshakes this thread runs first, where the system lets it (a limit on nice of -10 or
/// less, `LimitNICE=`, or CAP_SYS_NICE); else as all do. Linux keeps niceness by thread, and weighs it within a session or
/// control group only (sched(7), autogroup): against signalling it does not count where that has one of its own.
fn take_precedence() {
    // SAFETY: touches no memory. 0 is the calling thread.
    unsafe { libc::setpriority(libc::PRIO_PROCESS as libc::__priority_which_t, 0, NICE) };
}

/// Runs a worker until it is told to stop.
pub fn run(worker: Worker) -> io::Result<()> {
    take_precedence();
    let poll = Poll::new(worker.socket.as_raw_fd(), &worker.alarm)?;
    let sender = udp::Sender::new(&worker.socket);
    let connections = Connections::new()?;
    poll.add(connections.as_raw_fd())?;
    let mut it = Loop {
        worker,
        taps: HashMap::new(),
        arrivals: Vec::new(),
        poll,
        inbox: Inbox::default(),
        sender,
        connections,
        arena: Arena::new(ARENA_BYTES, udp::OUTBOX),
        tap_buffer: vec![0; 2_048].into(),
    };
    loop {
        let first = it.sleep();
        // A bug costs a turn, not the worker: what a packet leaves half done, the next turn does not see.
        match catch_unwind(AssertUnwindSafe(|| it.turn(first))) {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(_) => it.worker.counters.panics.add(1),
        }
    }
}

impl Loop {
    fn now(&self) -> Nanos {
        self.worker.zero.elapsed().as_nanos() as Nanos
    }

    /// Sleeps until there is something to do; the order that prevented it, if one did.
    fn sleep(&mut self) -> Option<Order> {
        self.worker.alarm.before_sleep();
        // What was left before the bell worked would not ring it.
        let first = match self.worker.orders.try_recv() {
            Ok(order) => Some(order),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Order::Stop),
        };
        let engine = &self.worker.engine;
        let has_work = engine.is_serving() || engine.has_mirrored() || self.connections.has_frames();
        let timeout = if first.is_some() || has_work {
            Some(Duration::ZERO)
        } else {
            let wakes_at = engine.wakes_at().into_iter().chain(self.connections.wakes_at()).min();
            wakes_at.map(|at| Duration::from_nanos(at.saturating_sub(self.now())))
        };
        if timeout != Some(Duration::ZERO) {
            self.poll.wait(timeout);
        }
        self.worker.alarm.after_sleep();
        first
    }

    /// One turn; false if it was the last.
    fn turn(&mut self, first: Option<Order>) -> bool {
        let count = self.inbox.read(&self.worker.socket);
        let mut frames = self.connections.read(&self.worker.counters);
        let now = self.now();
        let Worker { engine, socket, orders, counters, zero, .. } = &mut self.worker;
        let mut wire = Kernel {
            socket,
            sender: &mut self.sender,
            connections: &mut self.connections,
            counters,
            zero: *zero,
            slice_ends: Nanos::MAX,
            is_slice_over: false,
        };
        let mut out = Outbox::new(&mut self.arena, &mut wire);
        let mut goes_on = true;
        for order in first.into_iter().chain(orders.try_iter()).take(ORDERS_PER_TURN) {
            match order {
                Order::Apply(command) => engine.apply(command, now, &mut out),
                Order::OpenTap(tap, sockets) => {
                    // A tap that cannot be waited on is still read at every turn.
                    let _ = sockets.receiver_fd().map(|fd| self.poll.add(fd));
                    self.taps.insert(tap, sockets);
                }
                Order::CloseTap(tap) => drop(self.taps.remove(&tap)),
                Order::Connect(arrival) => self.arrivals.push(*arrival),
                Order::Stop => goes_on = false,
            }
        }
        engine.on_mirrored(now);
        counters.largest_batch_in.raise_to(count as u64);
        for n in 0..count {
            if let Some((source, datagram)) = self.inbox.datagram(n) {
                engine.on_datagram(source, datagram, now, &mut out);
            }
        }
        let mut n = 0;
        while let Some((source, datagram)) = frames.datagram(n) {
            engine.on_datagram(source, datagram, now, &mut out);
            n += 1;
        }
        for (tap, sockets) in &self.taps {
            for _ in 0..tap::READS_PER_TURN {
                let Some(len) = sockets.read(&mut self.tap_buffer) else { break };
                engine.on_tap_packet(*tap, &self.tap_buffer[..len], now);
            }
        }
        engine.end_turn(now, &mut out);
        self.connections.give_back(frames);
        self.connections.sweep(now, counters, |address| engine.knows(address));
        for arrival in self.arrivals.drain(..) {
            self.connections.connect(arrival, counters);
        }
        self.after_turn();
        goes_on
    }

    /// What is not for the UDP socket: taps, other workers, Python. In this order: who is told of a barrier may rely on
    /// every packet before it being on its way.
    fn after_turn(&mut self) {
        let Worker { engine, counters, events, alarms, .. } = &mut self.worker;
        for packet in engine.tap_packets() {
            let is_sent = self.taps.get(&packet.tap).is_some_and(|tap| tap.send(engine.tap_payload(packet)));
            let counter = if is_sent { &counters.tap_out } else { &counters.dropped_tap };
            counter.add(1);
        }
        engine.clear_tap_packets();
        let mut wakes = engine.take_wakes();
        while wakes != 0 {
            if let Some(alarm) = alarms.get(wakes.trailing_zeros() as usize) {
                alarm.ring();
            }
            wakes &= wakes - 1;
        }
        events.publish(engine.events(), counters);
    }
}
