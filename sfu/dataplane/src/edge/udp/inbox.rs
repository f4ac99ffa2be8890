//! Datagrams in, by recvmmsg. Per packet.

use std::net::SocketAddr;
use std::ptr;

use super::name::{parse_name, Name, NAME_BYTES};
use super::{no_header, no_vector, Socket};

/// Datagrams of one read: more than arrive in a turn of a busy server, few enough to stay in the cache.
const INBOX: usize = 128;

/// More than the largest that is read on: what is longer was too large, and is cut.
const DATAGRAM_BYTES: usize = 2_048;

/// Where datagrams are read into.
pub struct Inbox {
    payloads: Box<[[u8; DATAGRAM_BYTES]]>,
    names: Box<[Name]>,
    vectors: Box<[libc::iovec]>,
    headers: Box<[libc::mmsghdr]>,
}

impl Default for Inbox {
    fn default() -> Self {
        Self {
            payloads: vec![[0; DATAGRAM_BYTES]; INBOX].into(),
            names: vec![[0; NAME_BYTES]; INBOX].into(),
            vectors: vec![no_vector(); INBOX].into(),
            headers: vec![no_header(); INBOX].into(),
        }
    }
}

impl Inbox {
    /// Reads what waits, up to the room there is; the number of datagrams. A failed read is one of none.
    pub fn read(&mut self, socket: &Socket) -> usize {
        self.point();
        // SAFETY: every header points to one vector and one name of the stated sizes, and every vector to its payload, all
        // owned by `self` and pointed at since `self` was borrowed.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                INBOX as libc::c_uint,
                libc::MSG_DONTWAIT,
                ptr::null_mut(),
            )
        };
        usize::try_from(count).unwrap_or(0)
    }

    /// A datagram of the last read and who sent it.
    pub fn datagram(&mut self, n: usize) -> Option<(SocketAddr, &mut [u8])> {
        let len = self.headers.get(n)?.msg_len as usize;
        let source = parse_name(self.names.get(n)?)?;
        Some((source, self.payloads.get_mut(n)?.get_mut(..len)?))
    }

    /// Anew for every read: pointers kept from before a move of `self` would not be valid ones.
    fn point(&mut self) {
        let buffers = self.payloads.iter_mut().zip(&mut self.names);
        let parts = self.headers.iter_mut().zip(&mut self.vectors).zip(buffers);
        for ((header, vector), (payload, name)) in parts {
            vector.iov_base = payload.as_mut_ptr().cast();
            vector.iov_len = DATAGRAM_BYTES;
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_name = name.as_mut_ptr().cast();
            header.msg_hdr.msg_namelen = NAME_BYTES as libc::socklen_t;
        }
    }
}
