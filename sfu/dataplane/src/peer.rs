//! One participant's transport: all that a worker remembers of it. Pure.

use crate::engine::command::Report;
use crate::engine::egress::Listener;
use crate::ice::IceLite;
use crate::ids::Id;
use crate::srtp::Opener;
use crate::{stun, Nanos, MILLISECOND, SECOND};

/// What a peer may send: audio at 10 ms a packet is 100 a second, RTCP and DTLS a few more.
const RATE_COST: Nanos = 2 * MILLISECOND;
const RATE_BURST: Nanos = SECOND;

/// DTLS datagrams of one peer that may wait for Python; a flight has five or six.
const MAX_DTLS_EVENTS: u8 = 16;

/// Under what name and password checks reach a peer.
pub struct Credentials {
    /// Our half of USERNAME.
    pub ufrag: Box<[u8]>,
    /// Of our password.
    pub key: stun::Key,
}

/// Where a peer's outgoing half lives: in the feed it follows, side by side with the other listeners, or here.
pub enum Seat {
    /// It follows nothing.
    Aside(Box<Listener>),
    /// In a feed of a stage.
    Taken {
        /// Which stage.
        stage: Id,
        /// Which of its feeds.
        feed: usize,
        /// Which of the feed's listeners.
        at: usize,
    },
}

impl Seat {
    /// Stage, feed and place, if it is in a feed.
    pub fn taken(&self) -> Option<(Id, usize, usize)> {
        match *self {
            Self::Aside(_) => None,
            Self::Taken { stage, feed, at } => Some((stage, feed, at)),
        }
    }
}

/// One participant's transport.
///
/// All of it but `Seat::Taken` (an index into this worker) is a flat record that could be written out and read in again.
pub struct Peer {
    /// The last are the newest; there are two between an ICE restart and its nomination.
    pub credentials: Vec<Credentials>,
    /// Its addresses.
    pub ice: IceLite,
    /// Opens what it sends, once the handshake is complete.
    pub opener: Option<Box<Opener>>,
    /// What it speaks.
    pub tracks: Vec<Id>,
    /// What it hears.
    pub seat: Seat,
    /// When it was made, and when it was authentically heard last.
    pub created_at: Nanos,
    /// None before the first check.
    pub heard_at: Option<Nanos>,
    /// Datagrams that could not be sent yet: no address, or none that may receive so much.
    pub waiting_dtls: Vec<Vec<u8>>,
    /// Its account, but for what its slots know better.
    pub report: Report,
    rate: Rate,
    dtls_events: DtlsEvents,
    /// Counts the visits of the reports, to do some at every second one.
    pub visits: u32,
}

impl Peer {
    /// A peer that no one has heard yet.
    pub fn new(id: Id, credentials: Credentials, now: Nanos) -> Self {
        Self {
            credentials: vec![credentials],
            ice: IceLite::default(),
            opener: None,
            tracks: Vec::new(),
            seat: Seat::Aside(Box::new(Listener::new(id))),
            created_at: now,
            heard_at: None,
            waiting_dtls: Vec::new(),
            report: Report::default(),
            rate: Rate::default(),
            dtls_events: DtlsEvents::default(),
            visits: 0,
        }
    }

    /// Whether it may send one more datagram now.
    pub fn may_send(&mut self, now: Nanos) -> bool {
        self.rate.take(now)
    }

    /// Whether one more DTLS datagram may wait for Python, which has emptied the queue `drained` times.
    pub fn may_queue_dtls(&mut self, drained: u64) -> bool {
        self.dtls_events.take(drained)
    }
}

/// A token bucket as one moment: when it will be full again (the generic cell rate algorithm).
#[derive(Default)]
struct Rate {
    full_at: Nanos,
}

impl Rate {
    fn take(&mut self, now: Nanos) -> bool {
        let full_at = self.full_at.max(now) + RATE_COST;
        let is_within = full_at <= now + RATE_BURST;
        if is_within {
            self.full_at = full_at;
        }
        is_within
    }
}

#[derive(Default)]
struct DtlsEvents {
    drained: u64,
    pending: u8,
}

impl DtlsEvents {
    fn take(&mut self, drained: u64) -> bool {
        if self.drained != drained {
            *self = Self { drained, pending: 0 };
        }
        let has_room = self.pending < MAX_DTLS_EVENTS;
        self.pending += u8::from(has_room);
        has_room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_may_burst_for_a_second_and_then_send_500_a_second() {
        let mut rate = Rate::default();
        let burst = (0..2_000).filter(|_| rate.take(0)).count();
        assert_eq!(burst, 500);
        let next_second = (1..=2_000).filter(|n| rate.take(n * SECOND / 2_000)).count();
        assert_eq!(next_second, 500);
    }

    #[test]
    fn sixteen_dtls_datagrams_wait_for_python_and_no_more() {
        let mut events = DtlsEvents::default();
        assert_eq!((0..40).filter(|_| events.take(0)).count(), 16);
        assert_eq!((0..40).filter(|_| events.take(1)).count(), 16);
    }
}
