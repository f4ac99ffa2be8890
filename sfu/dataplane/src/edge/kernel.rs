//! A worker's sockets as the engine's wire: UDP in batches, TCP connection by connection. Per packet; guarded by
//! `benches/fanout`.

use std::time::Instant;

use super::tcp::Connections;
use super::udp::{self, Socket};
use crate::arena::{Arena, Wire};
use crate::counters::Counters;
use crate::{route, Nanos, MILLISECOND};

/// How long a fan-out goes on before commands and the socket are looked at again. Looking costs 2 to 3 µs. Asked after
/// each batch of messages, which takes a few hundred µs: so it can be that much more.
const SLICE: Nanos = MILLISECOND;

/// The kernel as a wire, which notes how long each packet took to get there, and for how long a fan-out goes on.
pub(super) struct Kernel<'a> {
    pub(super) socket: &'a Socket,
    pub(super) sender: &'a mut udp::Sender,
    pub(super) connections: &'a mut Connections,
    pub(super) counters: &'a Counters,
    pub(super) zero: Instant,
    pub(super) slice_ends: Nanos,
    pub(super) is_slice_over: bool,
}

impl Kernel<'_> {
    fn now(&self) -> Nanos {
        self.zero.elapsed().as_nanos() as Nanos
    }
}

impl Wire for Kernel<'_> {
    fn send(&mut self, arena: &Arena) {
        for messages in
            arena.messages().chunk_by(|one, next| !route::is_tcp(&one.destination) && !route::is_tcp(&next.destination))
        {
            match messages {
                [message] if route::is_tcp(&message.destination) => {
                    self.connections.send(arena, message, self.counters)
                }
                messages => self.sender.send(self.socket, arena, messages, self.counters),
            }
        }
        let now = self.now();
        for read in arena.reads().iter().filter(|read| read.packets > 0) {
            self.counters.observe_forward(now.saturating_sub(read.at), read.packets);
        }
        self.is_slice_over = now >= self.slice_ends;
    }

    fn begin_slice(&mut self) {
        self.slice_ends = self.now() + SLICE;
        self.is_slice_over = false;
    }

    fn is_slice_over(&self) -> bool {
        self.is_slice_over
    }
}
