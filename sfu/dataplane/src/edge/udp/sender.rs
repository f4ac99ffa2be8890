//! Messages out, by sendmmsg, each cut into its datagrams by the kernel (UDP GSO) where it holds several. Per packet.

use std::io;
use std::ptr;
use std::time::Duration;

use super::name::{build_name, Name, NAME_BYTES};
use super::{no_header, no_vector, Socket};
use crate::arena::{Arena, Message};
use crate::counters::Counters;

/// Messages of one sendmmsg.
pub const OUTBOX: usize = 64;

/// How long a full send buffer is waited for before its message is given up.
const FULL_BUFFER_WAIT: Duration = Duration::from_millis(10);

/// Messages in a row that the kernel refused to cut before we stop asking.
const GSO_PATIENCE: u32 = 16;

/// CMSG_LEN(sizeof(u16)) and CMSG_SPACE of it on 64 bits.
const CMSG_LEN: usize = 18;
const CMSG_SPACE: usize = 24;

#[repr(align(8))]
#[derive(Clone, Copy)]
struct Control([u8; CMSG_SPACE]);

/// Sends an arena's messages.
///
/// Vectors and headers are pointed anew for every batch, and mean nothing between.
pub struct Sender {
    names: Box<[Name]>,
    controls: Box<[Control]>,
    vectors: Box<[libc::iovec]>,
    headers: Box<[libc::mmsghdr]>,
    pub(super) can_cut: bool,
    refused_cuts: u32,
}

impl Sender {
    /// For one socket.
    pub fn new(socket: &Socket) -> Self {
        Self {
            names: vec![[0; NAME_BYTES]; OUTBOX].into(),
            controls: vec![segment_control(); OUTBOX].into(),
            vectors: vec![no_vector(); OUTBOX].into(),
            headers: vec![no_header(); OUTBOX].into(),
            can_cut: socket.can_cut(),
            refused_cuts: 0,
        }
    }

    /// Sends some of an arena's messages. Those that the kernel does not take are counted by their error, and stop no other.
    pub fn send(&mut self, socket: &Socket, arena: &Arena, messages: &[Message], counters: &Counters) {
        counters.largest_batch_out.raise_to(messages.len() as u64);
        for messages in messages.chunks(OUTBOX) {
            let mut rest = messages;
            while !rest.is_empty() {
                let taken = self.send_batch(socket, arena, rest, counters);
                rest = &rest[taken..];
            }
        }
    }

    /// Sends as many messages as go without a failure, and deals with the one that fails; how many that were.
    fn send_batch(&mut self, socket: &Socket, arena: &Arena, messages: &[Message], counters: &Counters) -> usize {
        if !self.can_cut && messages[0].segments > 1 {
            self.send_singly(socket, arena, &messages[0], counters);
            return 1;
        }
        let uncut = messages.iter().take_while(|message| self.can_cut || message.segments == 1).count();
        for (n, message) in messages[..uncut].iter().enumerate() {
            self.point(n, socket, message, arena.payload(message));
        }
        match self.submit(socket, uncut) {
            Ok(count) => {
                let sent = &messages[..count];
                for message in sent {
                    counters.datagrams_out.add(u64::from(message.segments));
                    counters.bytes_out.add(message.len as u64);
                    counters.gso_messages_out.add(u64::from(message.segments > 1));
                }
                if sent.iter().any(|message| message.segments > 1) {
                    self.refused_cuts = 0;
                }
                counters.messages_out.add(count as u64);
                count
            }
            Err(error) => {
                if messages[0].segments > 1 && is_refused_cut(&error) {
                    self.on_refused_cut(counters);
                    self.send_singly(socket, arena, &messages[0], counters);
                } else {
                    count_error(&error, counters);
                }
                1
            }
        }
    }

    /// Each datagram of a message in a message of its own.
    fn send_singly(&mut self, socket: &Socket, arena: &Arena, message: &Message, counters: &Counters) {
        for payload in arena.payload(message).chunks(usize::from(message.segment)) {
            let single = Message { len: payload.len(), segments: 1, ..*message };
            self.point(0, socket, &single, payload);
            match self.submit(socket, 1) {
                Ok(_) => {
                    counters.messages_out.add(1);
                    counters.datagrams_out.add(1);
                    counters.bytes_out.add(payload.len() as u64);
                }
                Err(error) => count_error(&error, counters),
            }
        }
    }

    /// Some routes lead over devices that cannot; when it is all of them, asking costs a call each time.
    fn on_refused_cut(&mut self, counters: &Counters) {
        counters.gso_fallbacks.add(1);
        self.refused_cuts += 1;
        self.can_cut = self.refused_cuts < GSO_PATIENCE;
    }

    fn point(&mut self, n: usize, socket: &Socket, message: &Message, payload: &[u8]) {
        let vector = &mut self.vectors[n];
        vector.iov_base = payload.as_ptr().cast_mut().cast();
        vector.iov_len = payload.len();
        let name = &mut self.names[n];
        let header = &mut self.headers[n].msg_hdr;
        header.msg_iov = vector;
        header.msg_iovlen = 1;
        header.msg_namelen = build_name(name, message.destination, socket.is_v6) as libc::socklen_t;
        header.msg_name = name.as_mut_ptr().cast();
        if message.segments > 1 {
            let control = &mut self.controls[n].0;
            control[16..18].copy_from_slice(&message.segment.to_ne_bytes());
            header.msg_control = control.as_mut_ptr().cast();
            header.msg_controllen = CMSG_SPACE as _;
        } else {
            header.msg_control = ptr::null_mut();
            header.msg_controllen = 0;
        }
    }

    /// Hands the first `count` headers to the kernel; how many it took, at least one.
    fn submit(&mut self, socket: &Socket, count: usize) -> io::Result<usize> {
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        let mut has_waited = false;
        loop {
            // SAFETY: `point` has pointed the first `count` headers at names and controls owned by `self` and at bytes of
            // the arena, which is borrowed through the whole of `send`. The kernel reads them and writes only `msg_len`.
            let sent =
                unsafe { libc::sendmmsg(socket.as_raw_fd(), self.headers.as_mut_ptr(), count as libc::c_uint, flags) };
            if let Ok(sent) = usize::try_from(sent) {
                return Ok(sent.clamp(1, count));
            }
            let error = io::Error::last_os_error();
            match error.raw_os_error() {
                Some(libc::EINTR) => {}
                Some(libc::EAGAIN) if !has_waited => {
                    wait_for_room(socket);
                    has_waited = true;
                }
                _ => return Err(error),
            }
        }
    }
}

fn wait_for_room(socket: &Socket) {
    let mut wanted = libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLOUT, revents: 0 };
    // SAFETY: `wanted` is the one entry promised, and lives through the call.
    unsafe { libc::poll(&raw mut wanted, 1, FULL_BUFFER_WAIT.as_millis() as libc::c_int) };
}

fn is_refused_cut(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EIO | libc::EINVAL | libc::EMSGSIZE | libc::EOPNOTSUPP))
}

fn count_error(error: &io::Error, counters: &Counters) {
    let counter = match error.raw_os_error() {
        Some(libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM) => &counters.send_errors_buffer,
        Some(libc::EPERM | libc::EACCES) => &counters.send_errors_permission,
        Some(libc::ECONNREFUSED) => &counters.send_errors_refused,
        Some(libc::ENETUNREACH | libc::EHOSTUNREACH | libc::ENETDOWN | libc::EADDRNOTAVAIL) => {
            &counters.send_errors_unreachable
        }
        _ => &counters.send_errors_other,
    };
    counter.add(1);
}

/// `struct cmsghdr` with the size of a segment to be filled in.
///
/// ```text
/// | cmsg_len: 8 | cmsg_level: 4 | cmsg_type: 4 | segment: 2 | 0: 6 |
/// ```
fn segment_control() -> Control {
    let mut bytes = [0; CMSG_SPACE];
    bytes[0..8].copy_from_slice(&CMSG_LEN.to_ne_bytes());
    bytes[8..12].copy_from_slice(&libc::SOL_UDP.to_ne_bytes());
    bytes[12..16].copy_from_slice(&libc::UDP_SEGMENT.to_ne_bytes());
    Control(bytes)
}
