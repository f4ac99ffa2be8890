//! A worker's UDP socket. Per packet; guarded by `benches/fanout`.
//!
//! Addresses and control messages are read and written as bytes, so that only the calls themselves are `unsafe`.

mod inbox;
mod name;
mod sender;

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::ptr;

use super::wake::check;
pub use inbox::Inbox;
pub use sender::{Sender, OUTBOX};

/// What 10,000 listeners' checks and reports need when the worker is busy for 50 ms, twice over.
const SOCKET_BUFFER: libc::c_int = 16 << 20;

/// IP_PMTUDISC_INTERFACE and its equal for IPv6: take the interface's MTU and believe no ICMP message about the path's,
/// which anyone can forge; a smaller one would make the kernel refuse to cut (EINVAL).
const PMTUDISC_INTERFACE: libc::c_int = 4;

/// A bound UDP socket of either family, or both.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    is_v6: bool,
}

impl Socket {
    /// A duplicate of the caller's descriptor, with large buffers.
    pub fn duplicate(fd: RawFd) -> io::Result<Self> {
        if fd < 0 {
            return Err(io::Error::from_raw_os_error(libc::EBADF));
        }
        // SAFETY: not -1, the one number that a borrowed descriptor must not be. It is only looked at during this call,
        // while the caller keeps it open; if it is not open at all, the duplication says so.
        let fd = unsafe { BorrowedFd::borrow_raw(fd) }.try_clone_to_owned()?;
        let socket = Self { is_v6: option(&fd, libc::SOL_SOCKET, libc::SO_DOMAIN)? == libc::AF_INET6, fd };
        if option(&socket.fd, libc::SOL_SOCKET, libc::SO_PROTOCOL)? != libc::IPPROTO_UDP {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a UDP socket"));
        }
        for (forced, asked) in [(libc::SO_RCVBUFFORCE, libc::SO_RCVBUF), (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF)] {
            set_option(&socket.fd, libc::SOL_SOCKET, forced, SOCKET_BUFFER)
                .or_else(|_| set_option(&socket.fd, libc::SOL_SOCKET, asked, SOCKET_BUFFER))?;
        }
        set_option(&socket.fd, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, PMTUDISC_INTERFACE)?;
        if socket.is_v6 {
            set_option(&socket.fd, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, PMTUDISC_INTERFACE)?;
        }
        Ok(socket)
    }

    /// For epoll.
    pub fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Whether the kernel cuts messages (Linux 4.18 and later).
    fn can_cut(&self) -> bool {
        option(&self.fd, libc::SOL_UDP, libc::UDP_SEGMENT).is_ok()
    }
}

fn option(fd: &OwnedFd, level: libc::c_int, name: libc::c_int) -> io::Result<libc::c_int> {
    let mut value: libc::c_int = 0;
    let mut len = mem::size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: `value` and `len` live through the call, and `len` is the size of `value`.
    check(unsafe { libc::getsockopt(fd.as_raw_fd(), level, name, (&raw mut value).cast(), &raw mut len) })?;
    Ok(value)
}

pub(super) fn set_option(
    fd: &impl AsRawFd,
    level: libc::c_int,
    name: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    let len = mem::size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: `value` lives through the call, and `len` is its size.
    check(unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, (&raw const value).cast(), len) })?;
    Ok(())
}

/// A vector of nothing.
fn no_vector() -> libc::iovec {
    libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 }
}

/// A header of nothing.
fn no_header() -> libc::mmsghdr {
    // SAFETY: all fields are integers and pointers, for which zero is a value.
    unsafe { mem::zeroed() }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::time::Duration;

    use super::*;
    use crate::arena::{Arena, Outbox, Wire};
    use crate::counters::Counters;

    struct Direct<'a>(Sender, &'a Socket, &'a Counters);

    impl Wire for Direct<'_> {
        fn send(&mut self, arena: &Arena) {
            self.0.send(self.1, arena, arena.messages(), self.2);
        }
    }

    fn ends(address: &str) -> (UdpSocket, UdpSocket) {
        let ends = (UdpSocket::bind(address).unwrap(), UdpSocket::bind(address).unwrap());
        ends.1.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        ends
    }

    /// Sends datagrams of these sizes to one destination; the sizes that arrive.
    fn carry(sizes: &[usize], can_cut: bool) -> (Vec<usize>, Counters) {
        let (from, to) = ends("127.0.0.1:0");
        let (socket, counters) = (Socket::duplicate(from.as_raw_fd()).unwrap(), Counters::default());
        let mut arena = Arena::new(1 << 16, 64);
        let mut sender = Sender::new(&socket);
        sender.can_cut = can_cut;
        let mut wire = Direct(sender, &socket, &counters);
        let mut out = Outbox::new(&mut arena, &mut wire);
        for size in sizes {
            out.room()[..*size].fill(*size as u8);
            out.commit(to.local_addr().unwrap(), *size);
        }
        out.flush();
        let mut buffer = [0; 2_000];
        let arrived = sizes.iter().map(|_| to.recv(&mut buffer).unwrap()).collect();
        (arrived, counters)
    }

    #[test]
    fn the_kernel_cuts_a_message_into_its_datagrams() {
        let sizes = [100, 100, 100, 60];
        let (arrived, counters) = carry(&sizes, true);
        assert_eq!(arrived, sizes);
        assert_eq!((counters.messages_out.get(), counters.datagrams_out.get()), (1, 4));
    }

    #[test]
    fn a_kernel_that_cannot_cut_gets_the_datagrams_singly() {
        let sizes = [100, 100, 60];
        let (arrived, counters) = carry(&sizes, false);
        assert_eq!(arrived, sizes);
        assert_eq!((counters.messages_out.get(), counters.bytes_out.get()), (3, 260));
    }

    #[test]
    fn an_error_is_counted_and_stops_no_other_message() {
        let (from, to) = ends("127.0.0.1:0");
        let (socket, counters) = (Socket::duplicate(from.as_raw_fd()).unwrap(), Counters::default());
        let mut arena = Arena::new(1 << 16, 64);
        let mut wire = Direct(Sender::new(&socket), &socket, &counters);
        let mut out = Outbox::new(&mut arena, &mut wire);
        // Port 0 is no destination: EINVAL.
        for destination in ["127.0.0.1:0".parse().unwrap(), to.local_addr().unwrap()] {
            out.room();
            out.commit(destination, 10);
        }
        out.flush();
        assert_eq!(to.recv(&mut [0; 100]).unwrap(), 10);
        assert_eq!((counters.send_errors_other.get(), counters.messages_out.get()), (1, 1));
    }

    #[test]
    fn a_batch_comes_in_with_its_sources_in_canonical_form() {
        let here = UdpSocket::bind("[::]:0").unwrap();
        let port = here.local_addr().unwrap().port();
        let there = UdpSocket::bind("127.0.0.1:0").unwrap();
        for size in 1..=3 {
            there.send_to(&[7; 3][..size], ("127.0.0.1", port)).unwrap();
        }
        let (socket, mut inbox) = (Socket::duplicate(here.as_raw_fd()).unwrap(), Inbox::default());
        assert_eq!(inbox.read(&socket), 3);
        for n in 0..3 {
            let (source, datagram) = inbox.datagram(n).unwrap();
            assert_eq!((source, datagram.len()), (there.local_addr().unwrap(), n + 1));
        }
        assert_eq!(inbox.read(&socket), 0);
    }

    #[test]
    fn a_socket_that_is_not_udp_is_refused() {
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(Socket::duplicate(tcp.as_raw_fd()).is_err());
        assert!(Socket::duplicate(-1).is_err());
    }
}
