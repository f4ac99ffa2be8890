//! Where a turn's outgoing datagrams are written, sealed in place, and lie until the kernel has them. Per packet.
//!
//! Datagrams that follow each other to one destination share a message as long as UDP GSO can cut them apart again: all
//! of one size, only the last may be shorter. Guarded by `benches/fanout`.

use std::net::SocketAddr;

use crate::Nanos;

/// Room that `Outbox::room` promises: no datagram is larger (an Ethernet MTU).
pub const DATAGRAM_ROOM: usize = 1500;

/// The kernel's bound on segments of one message (UDP_MAX_SEGMENTS was 64 before Linux 6.9).
const MAX_SEGMENTS: u16 = 64;

/// An IPv4 packet's length has 16 bits, and 28 bytes of it are headers.
const MAX_MESSAGE_BYTES: usize = 65_507;

/// One or more datagrams to one destination.
#[derive(Clone, Copy, Debug)]
pub struct Message {
    /// Where to.
    pub destination: SocketAddr,
    /// Where in the arena the first datagram begins.
    pub start: usize,
    /// Bytes of all its datagrams.
    pub len: usize,
    /// Bytes of each datagram but the last.
    pub segment: u16,
    /// How many datagrams.
    pub segments: u16,
}

impl Message {
    fn can_take(&self, destination: &SocketAddr, len: usize) -> bool {
        let is_open = self.len == usize::from(self.segment) * usize::from(self.segments);
        let has_room = self.segments < MAX_SEGMENTS && self.len + len <= MAX_MESSAGE_BYTES;
        is_open && has_room && len <= usize::from(self.segment) && self.destination == *destination
    }
}

/// Forwarded media that lies in an arena, by the time when it was read.
#[derive(Clone, Copy, Debug)]
pub struct Read {
    /// When what it was made of came in.
    pub at: Nanos,
    /// How many datagrams were made of it.
    pub packets: u64,
}

/// A fixed buffer and the messages written into it.
#[derive(Debug)]
pub struct Arena {
    bytes: Box<[u8]>,
    used: usize,
    messages: Vec<Message>,
    reads: Vec<Read>,
}

impl Arena {
    /// An arena that is flushed when `bytes` or `messages` are used up.
    pub fn new(bytes: usize, messages: usize) -> Self {
        assert!(bytes >= DATAGRAM_ROOM && messages > 0);
        Self { bytes: vec![0; bytes].into(), used: 0, messages: Vec::with_capacity(messages), reads: Vec::new() }
    }

    /// What waits to be sent.
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// All datagrams of a message, one after the other.
    pub fn payload(&self, message: &Message) -> &[u8] {
        &self.bytes[message.start..message.start + message.len]
    }

    /// What of it is forwarded media.
    pub fn reads(&self) -> &[Read] {
        &self.reads
    }

    fn has_room(&self) -> bool {
        self.bytes.len() - self.used >= DATAGRAM_ROOM && self.messages.len() < self.messages.capacity()
    }

    fn commit(&mut self, destination: SocketAddr, len: usize) {
        let start = self.used;
        self.used += len;
        match self.messages.last_mut() {
            Some(last) if last.can_take(&destination, len) => {
                last.len += len;
                last.segments += 1;
            }
            _ => self.messages.push(Message { destination, start, len, segment: len as u16, segments: 1 }),
        }
    }

    fn clear(&mut self) {
        self.used = 0;
        self.messages.clear();
        for read in &mut self.reads {
            read.packets = 0;
        }
    }
}

/// What carries messages away: the kernel, or a test's simulated network.
pub trait Wire {
    /// Takes all messages; what cannot be sent is counted and forgotten.
    fn send(&mut self, arena: &Arena);

    /// A fan-out begins or goes on.
    fn begin_slice(&mut self) {}

    /// Whether the fan-out has gone on long enough: something else may be waiting.
    fn is_slice_over(&self) -> bool {
        false
    }
}

/// An arena together with the wire that empties it.
pub struct Outbox<'a> {
    arena: &'a mut Arena,
    wire: &'a mut dyn Wire,
}

impl<'a> Outbox<'a> {
    /// Joins the two for one turn.
    pub fn new(arena: &'a mut Arena, wire: &'a mut dyn Wire) -> Self {
        Self { arena, wire }
    }

    /// At least `DATAGRAM_ROOM` bytes to write the next datagram into.
    #[inline]
    pub fn room(&mut self) -> &mut [u8] {
        if !self.arena.has_room() {
            self.flush();
        }
        &mut self.arena.bytes[self.arena.used..]
    }

    /// The first `len` bytes of `room` are a datagram.
    #[inline]
    pub fn commit(&mut self, destination: SocketAddr, len: usize) {
        self.arena.commit(destination, len);
    }

    /// The same, and it is forwarded media that came in by the given of the slice's reads.
    #[inline]
    pub fn commit_packet(&mut self, destination: SocketAddr, len: usize, read: u8) {
        if let Some(read) = self.arena.reads.get_mut(usize::from(read)) {
            read.packets += 1;
        }
        self.arena.commit(destination, len);
    }

    /// A fan-out begins or goes on, of packets that came in by `reads`. The slice before has been flushed.
    pub fn begin_slice(&mut self, reads: &[Nanos]) {
        self.arena.reads.clear();
        self.arena.reads.extend(reads.iter().map(|at| Read { at: *at, packets: 0 }));
        self.wire.begin_slice();
    }

    /// Whether the fan-out should be left for the next turn.
    #[inline]
    pub fn is_slice_over(&self) -> bool {
        self.wire.is_slice_over()
    }

    /// Hands everything to the wire.
    pub fn flush(&mut self) {
        if !self.arena.messages.is_empty() {
            self.wire.send(self.arena);
            self.arena.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Recorder(Vec<Vec<(usize, u16, u16)>>);

    impl Wire for Recorder {
        fn send(&mut self, arena: &Arena) {
            self.0.push(arena.messages().iter().map(|m| (m.len, m.segment, m.segments)).collect());
        }
    }

    fn sent(sizes: &[(u16, usize)]) -> Vec<Vec<(usize, u16, u16)>> {
        let mut arena = Arena::new(4 * DATAGRAM_ROOM, 4);
        let mut wire = Recorder::default();
        let mut out = Outbox::new(&mut arena, &mut wire);
        for (port, len) in sizes {
            assert!(out.room().len() >= DATAGRAM_ROOM);
            out.commit(SocketAddr::from(([127, 0, 0, 1], *port)), *len);
        }
        out.flush();
        wire.0
    }

    #[test]
    fn equal_datagrams_to_one_destination_make_one_message() {
        assert_eq!(sent(&[(1, 100), (1, 100), (1, 100)]), [[(300, 100, 3)]]);
    }

    #[test]
    fn a_shorter_datagram_ends_its_message() {
        assert_eq!(sent(&[(1, 100), (1, 60), (1, 60), (1, 60)]), [[(160, 100, 2), (120, 60, 2)]]);
    }

    #[test]
    fn a_longer_datagram_begins_a_message() {
        assert_eq!(sent(&[(1, 60), (1, 100)]), [[(60, 60, 1), (100, 100, 1)]]);
    }

    #[test]
    fn a_message_never_outgrows_an_ip_packet() {
        let mut arena = Arena::new(200_000, 64);
        let mut wire = Recorder::default();
        let mut out = Outbox::new(&mut arena, &mut wire);
        for _ in 0..100 {
            out.room();
            out.commit(SocketAddr::from(([127, 0, 0, 1], 1)), 1_300);
        }
        out.flush();
        assert_eq!(wire.0.concat(), [(50 * 1_300, 1_300, 50); 2]);
    }

    #[test]
    fn destinations_never_share_a_message() {
        assert_eq!(sent(&[(1, 60), (2, 60), (1, 60)]), [[(60, 60, 1); 3]]);
    }

    #[test]
    fn a_full_arena_is_flushed_before_the_next_datagram() {
        let sizes: Vec<_> = (0..5).map(|port| (port, 60)).collect();
        assert_eq!(sent(&sizes).iter().map(Vec::len).collect::<Vec<_>>(), [4, 1]);
        assert_eq!(sent(&[(1, 1500); 9]).iter().flatten().map(|m| usize::from(m.2)).sum::<usize>(), 9);
    }
}
