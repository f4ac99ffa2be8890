//! A worker's UDP socket: batches in by recvmmsg, batches out by sendmmsg, each message cut into datagrams by the kernel
//! (UDP GSO) where it holds several. Per packet; guarded by `benches/fanout`.
//!
//! Addresses and control messages are read and written as bytes, so that only the calls themselves are `unsafe`.

use std::io;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::ptr;
use std::time::Duration;

use super::wake::check;
use crate::arena::{Arena, Message};
use crate::counters::Counters;

/// Datagrams of one read: more than arrive in a turn of a busy server, few enough to stay in the cache.
const INBOX: usize = 128;

/// One more than the largest that is read: what fills it was too large.
const DATAGRAM_BYTES: usize = 2_048;

/// Messages of one sendmmsg.
pub const OUTBOX: usize = 64;

/// What 10,000 listeners' checks and reports need when the worker is busy for 50 ms, twice over.
const SOCKET_BUFFER: libc::c_int = 16 << 20;

/// How long a full send buffer is waited for before its message is given up.
const FULL_BUFFER_WAIT: Duration = Duration::from_millis(10);

/// Messages in a row that the kernel refused to cut before we stop asking.
const GSO_PATIENCE: u32 = 16;

/// IP_PMTUDISC_INTERFACE and its equal for IPv6: take the interface's MTU and believe no ICMP message about the path's,
/// which anyone can forge; a smaller one would make the kernel refuse to cut (EINVAL).
const PMTUDISC_INTERFACE: libc::c_int = 4;

/// sizeof(struct sockaddr_in6); an IPv4 address takes the first 16 bytes.
const NAME_BYTES: usize = 28;
const NAME_BYTES_V4: usize = 16;

/// CMSG_LEN(sizeof(u16)) and CMSG_SPACE of it on 64 bits.
const CMSG_LEN: usize = 18;
const CMSG_SPACE: usize = 24;

type Name = [u8; NAME_BYTES];

#[repr(align(8))]
#[derive(Clone, Copy)]
struct Control([u8; CMSG_SPACE]);

/// A bound UDP socket of either family, or both.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    is_v6: bool,
}

impl Socket {
    /// A duplicate of the caller's descriptor, with large buffers.
    pub fn duplicate(fd: RawFd) -> io::Result<Self> {
        // SAFETY: the descriptor is only looked at during this call, and the caller keeps it open meanwhile; if it is
        // not open at all, the duplication says so.
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

fn set_option(fd: &OwnedFd, level: libc::c_int, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let len = mem::size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: `value` lives through the call, and `len` is its size.
    check(unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, (&raw const value).cast(), len) })?;
    Ok(())
}

/// Where datagrams are read into.
///
/// `headers` point into the other boxes, which are never moved or resized for as long as they live.
pub struct Inbox {
    payloads: Box<[[u8; DATAGRAM_BYTES]]>,
    names: Box<[Name]>,
    _vectors: Box<[libc::iovec]>,
    headers: Box<[libc::mmsghdr]>,
}

impl Default for Inbox {
    fn default() -> Self {
        let mut payloads = vec![[0; DATAGRAM_BYTES]; INBOX].into_boxed_slice();
        let mut names = vec![[0; NAME_BYTES]; INBOX].into_boxed_slice();
        let mut vectors: Box<[libc::iovec]> = payloads.iter_mut().map(|payload| vector(payload)).collect();
        let slots = vectors.iter_mut().zip(names.iter_mut());
        let headers = slots.map(|(vector, name)| header(vector, name)).collect();
        Self { payloads, names, _vectors: vectors, headers }
    }
}

impl Inbox {
    /// Reads what waits, up to the room there is; the number of datagrams. A failed read is one of none.
    pub fn read(&mut self, socket: &Socket) -> usize {
        for header in &mut self.headers {
            header.msg_hdr.msg_namelen = NAME_BYTES as libc::socklen_t;
        }
        // SAFETY: every header points to one vector and one name of the stated sizes, all owned by `self`.
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
}

/// Sends an arena's messages.
///
/// `headers` are pointed at the arena anew for every batch, and mean nothing between.
pub struct Sender {
    names: Box<[Name]>,
    controls: Box<[Control]>,
    vectors: Box<[libc::iovec]>,
    headers: Box<[libc::mmsghdr]>,
    can_cut: bool,
    refused_cuts: u32,
}

impl Sender {
    /// For one socket.
    pub fn new(socket: &Socket) -> Self {
        let mut names = vec![[0; NAME_BYTES]; OUTBOX].into_boxed_slice();
        let mut vectors: Box<[libc::iovec]> = (0..OUTBOX).map(|_| vector(&mut [])).collect();
        let slots = vectors.iter_mut().zip(names.iter_mut());
        let headers = slots.map(|(vector, name)| header(vector, name)).collect();
        Self {
            names,
            controls: vec![segment_control(); OUTBOX].into_boxed_slice(),
            vectors,
            headers,
            can_cut: socket.can_cut(),
            refused_cuts: 0,
        }
    }

    /// Sends all messages. Those that the kernel does not take are counted by their error, and stop no other.
    pub fn send(&mut self, socket: &Socket, arena: &Arena, counters: &Counters) {
        counters.largest_batch_out.raise_to(arena.messages().len() as u64);
        for messages in arena.messages().chunks(OUTBOX) {
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
        self.vectors[n].iov_base = payload.as_ptr().cast_mut().cast();
        self.vectors[n].iov_len = payload.len();
        let header = &mut self.headers[n].msg_hdr;
        header.msg_namelen = build_name(&mut self.names[n], message.destination, socket.is_v6) as libc::socklen_t;
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

fn vector(payload: &mut [u8]) -> libc::iovec {
    libc::iovec { iov_base: payload.as_mut_ptr().cast(), iov_len: payload.len() }
}

fn header(vector: &mut libc::iovec, name: &mut Name) -> libc::mmsghdr {
    // SAFETY: all fields are integers and pointers, for which zero is a value.
    let mut header: libc::mmsghdr = unsafe { mem::zeroed() };
    header.msg_hdr.msg_name = name.as_mut_ptr().cast();
    header.msg_hdr.msg_namelen = NAME_BYTES as libc::socklen_t;
    header.msg_hdr.msg_iov = vector;
    header.msg_hdr.msg_iovlen = 1;
    header
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

/// ```text
/// sockaddr_in    | family: 2 | port: 2 | address: 4 | 0: 8 |
/// sockaddr_in6   | family: 2 | port: 2 | flow: 4 | address: 16 | scope: 4 |
/// ```
/// An IPv4 peer of a dual-stack socket appears by its IPv4 address.
fn parse_name(name: &Name) -> Option<SocketAddr> {
    let family = i32::from(u16::from_ne_bytes([name[0], name[1]]));
    let port = u16::from_be_bytes([name[2], name[3]]);
    match family {
        libc::AF_INET => Some(SocketAddr::from(([name[4], name[5], name[6], name[7]], port))),
        libc::AF_INET6 => {
            let octets: [u8; 16] = std::array::from_fn(|n| name[8 + n]);
            let scope = u32::from_ne_bytes(std::array::from_fn(|n| name[24 + n]));
            Some(match Ipv6Addr::from(octets).to_canonical() {
                IpAddr::V4(address) => SocketAddr::from((address, port)),
                IpAddr::V6(address) => SocketAddrV6::new(address, port, 0, scope).into(),
            })
        }
        _ => None,
    }
}

/// The reverse, for a socket of the given family; its length.
fn build_name(name: &mut Name, address: SocketAddr, is_v6: bool) -> usize {
    name[2..4].copy_from_slice(&address.port().to_be_bytes());
    let (octets, scope) = match address {
        SocketAddr::V4(address) if !is_v6 => {
            name[0..2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
            name[4..8].copy_from_slice(&address.ip().octets());
            name[8..16].fill(0);
            return NAME_BYTES_V4;
        }
        SocketAddr::V4(address) => (Ipv4Addr::to_ipv6_mapped(address.ip()).octets(), 0),
        SocketAddr::V6(address) => (address.ip().octets(), address.scope_id()),
    };
    name[0..2].copy_from_slice(&(libc::AF_INET6 as u16).to_ne_bytes());
    name[4..8].fill(0);
    name[8..24].copy_from_slice(&octets);
    name[24..28].copy_from_slice(&scope.to_ne_bytes());
    NAME_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arena::{Outbox, Wire};
    use std::net::UdpSocket;

    struct Direct<'a>(Sender, &'a Socket, &'a Counters);

    impl Wire for Direct<'_> {
        fn send(&mut self, arena: &Arena) {
            self.0.send(self.1, arena, self.2);
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
    fn names_round_trip_for_either_family_of_socket() {
        for (text, is_v6) in [("127.0.0.1:7882", false), ("192.0.2.1:1", true), ("[2001:db8::1]:9", true)] {
            let address: SocketAddr = text.parse().unwrap();
            let mut name = [0xff; NAME_BYTES];
            build_name(&mut name, address, is_v6);
            assert_eq!(parse_name(&name), Some(address));
        }
    }

    #[test]
    fn a_socket_that_is_not_udp_is_refused() {
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(Socket::duplicate(tcp.as_raw_fd()).is_err());
    }
}
