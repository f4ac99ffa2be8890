//! The edge to the kernel: sockets whose drops are counted, receive stamps, epoll, pinning. All `unsafe` is here.

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// Bytes that wait in a listener's socket at most; a turn of ten speakers' packets fits many times.
const RECEIVE_BUFFER_BYTES: libc::c_int = 1 << 18;

/// A non-blocking loopback socket with receive stamps, on `port` or (0) on one that the kernel picks.
pub fn bind(port: u16) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(("127.0.0.1", port))?;
    socket.set_nonblocking(true)?;
    set_option(&socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, &1)?;
    set_option(&socket, libc::SOL_SOCKET, libc::SO_RCVBUF, &RECEIVE_BUFFER_BYTES)?;
    Ok(socket)
}

pub fn set_option<T>(socket: &impl AsRawFd, level: libc::c_int, name: libc::c_int, value: &T) -> io::Result<()> {
    let length = size_of::<T>() as libc::socklen_t;
    // SAFETY: `value` is a live T of `length` bytes; the kernel copies it.
    let code = unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, std::ptr::from_ref(value).cast(), length) };
    if code == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// From now on the kernel counts what arrives and drops it: the room to wait in is made as small as it gets, and nobody
/// reads. To be taken out of the poll before. (A socket filter each would tell STUN from RTP; but freeing the compiled
/// programs of thousands of sockets at once is more than some kernels bear.)
pub fn count_and_drop(socket: &UdpSocket) -> io::Result<()> {
    set_option(socket, libc::SOL_SOCKET, libc::SO_RCVBUF, &0)
}

/// Datagrams that the kernel dropped at this socket, modulo 2³².
pub fn drops(socket: &UdpSocket) -> u32 {
    const SK_MEMINFO_DROPS: usize = 8;
    let mut values = [0u32; 16];
    let mut length = size_of_val(&values) as libc::socklen_t;
    // SAFETY: `values` has `length` bytes; the kernel writes at most that.
    let code = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            values.as_mut_ptr().cast(),
            &mut length,
        )
    };
    if code == 0 {
        values[SK_MEMINFO_DROPS]
    } else {
        0
    }
}

/// One datagram and when the kernel took it in (nanoseconds since the epoch); None when none waits.
pub fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> Option<(usize, u64)> {
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let mut control = [0u64; 8];
    // SAFETY: an all-zero msghdr is valid; its pointers are set to live buffers of the stated sizes before the call.
    let (length, stamp) = unsafe {
        let mut message: libc::msghdr = zeroed();
        message.msg_iov = &mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&control);
        let length = libc::recvmsg(socket.as_raw_fd(), &mut message, libc::MSG_DONTWAIT);
        if length < 0 {
            return None;
        }
        let header = libc::CMSG_FIRSTHDR(&message);
        let is_stamp = !header.is_null() && (*header).cmsg_type == libc::SCM_TIMESTAMPNS;
        (length, is_stamp.then(|| std::ptr::read_unaligned(libc::CMSG_DATA(header).cast::<libc::timespec>())))
    };
    let taken_ns =
        stamp.map_or_else(crate::latency::wall_ns, |at| at.tv_sec as u64 * 1_000_000_000 + at.tv_nsec as u64);
    Some((usize::try_from(length).ok()?, taken_ns))
}

/// Which of many sockets have something to read; each is known by a number.
pub struct Poll {
    epoll: OwnedFd,
    ready: Vec<libc::epoll_event>,
}

impl Poll {
    pub fn new() -> io::Result<Self> {
        // SAFETY: a plain system call; the descriptor it returns is owned by nobody else.
        let epoll = unsafe {
            let fd: RawFd = libc::epoll_create1(libc::EPOLL_CLOEXEC);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            OwnedFd::from_raw_fd(fd)
        };
        Ok(Self { epoll, ready: vec![libc::epoll_event { events: 0, u64: 0 }; 512] })
    }

    pub fn add(&self, source: &impl AsRawFd, number: usize) -> io::Result<()> {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: number as u64 };
        // SAFETY: both descriptors are open; the kernel copies `event`.
        let code =
            unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, source.as_raw_fd(), &mut event) };
        if code == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }

    pub fn remove(&self, source: &impl AsRawFd) -> io::Result<()> {
        let (epoll, fd) = (self.epoll.as_raw_fd(), source.as_raw_fd());
        // SAFETY: both descriptors are open; the event is not looked at when one is taken out.
        let code = unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_DEL, fd, std::ptr::null_mut()) };
        if code == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }

    /// Numbers of the sources that are readable, after at most `timeout` (microseconds are honoured).
    pub fn wait(&mut self, timeout: Duration) -> impl Iterator<Item = usize> + '_ {
        let limit = libc::timespec {
            tv_sec: timeout.as_secs() as libc::time_t,
            tv_nsec: libc::c_long::from(timeout.subsec_nanos()),
        };
        let (events, room) = (self.ready.as_mut_ptr(), self.ready.len() as libc::c_int);
        // SAFETY: `events` has `room` entries; `limit` lives through the call; a null signal mask is allowed.
        let count = unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait2,
                self.epoll.as_raw_fd(),
                events,
                room,
                &limit,
                std::ptr::null::<libc::c_void>(),
                8,
            )
        };
        self.ready.iter().take(usize::try_from(count).unwrap_or(0)).map(|event| event.u64 as usize)
    }
}

/// Runs this process on one CPU from now on, with a millisecond-exact timer slack of one microsecond.
pub fn pin(cpu: usize) -> io::Result<()> {
    // SAFETY: a zeroed cpu_set_t is the empty set; CPU_SET checks its index; the calls copy their arguments.
    let code = unsafe {
        let mut set: libc::cpu_set_t = zeroed();
        libc::CPU_SET(cpu, &mut set);
        libc::prctl(libc::PR_SET_TIMERSLACK, 1000);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set)
    };
    if code == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Raises the limit of open files to the hard limit and returns it.
pub fn raise_file_limit() -> u64 {
    // SAFETY: getrlimit fills the struct it is given; setrlimit reads it.
    unsafe {
        let mut limit: libc::rlimit = zeroed();
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit);
        limit.rlim_cur = limit.rlim_max;
        libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
        limit.rlim_cur
    }
}

/// CPU seconds of this process, user and system.
pub fn cpu_s() -> f64 {
    clock_s(libc::CLOCK_PROCESS_CPUTIME_ID)
}

/// Seconds on the monotonic clock.
pub fn monotonic_s() -> f64 {
    clock_s(libc::CLOCK_MONOTONIC)
}

fn clock_s(clock: libc::clockid_t) -> f64 {
    let mut at = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `at` is a live timespec that the call fills.
    unsafe { libc::clock_gettime(clock, &mut at) };
    at.tv_sec as f64 + at.tv_nsec as f64 / 1e9
}

/// Messages for sendmmsg: each a range of `arena` to one address, cut by the kernel into segments (UDP_SEGMENT).
pub struct Sender {
    messages: Vec<libc::mmsghdr>,
    parts: Vec<libc::iovec>,
    controls: Vec<[u64; 3]>,
    addresses: Vec<libc::sockaddr_in>,
}

impl Sender {
    pub fn new(room: usize) -> Self {
        // SAFETY: all-zero is a valid value of each of these plain C structs.
        unsafe {
            Self {
                messages: vec![zeroed(); room],
                parts: vec![zeroed(); room],
                controls: vec![[0; 3]; room],
                addresses: vec![zeroed(); room],
            }
        }
    }

    pub fn room(&self) -> usize {
        self.messages.len()
    }

    /// Lays out message `at`; `segment` of 0 sends one plain datagram.
    pub fn set(&mut self, at: usize, bytes: &[u8], to: SocketAddr, segment: usize) {
        let SocketAddr::V4(to) = to else { return };
        let address = &mut self.addresses[at];
        address.sin_family = libc::AF_INET as libc::sa_family_t;
        address.sin_port = to.port().to_be();
        address.sin_addr.s_addr = u32::from_ne_bytes(to.ip().octets());
        self.parts[at] = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
        let header = &mut self.messages[at].msg_hdr;
        header.msg_name = std::ptr::from_mut(address).cast();
        header.msg_namelen = size_of::<libc::sockaddr_in>() as libc::socklen_t;
        header.msg_iov = &mut self.parts[at];
        header.msg_iovlen = 1;
        header.msg_control = std::ptr::null_mut();
        header.msg_controllen = 0;
        if segment > 0 {
            header.msg_control = self.controls[at].as_mut_ptr().cast();
            // SAFETY: the control buffer has room for one u16 control message (24 bytes) and is aligned as u64.
            unsafe {
                header.msg_controllen = libc::CMSG_SPACE(2) as usize;
                let control = libc::CMSG_FIRSTHDR(header);
                (*control).cmsg_level = libc::SOL_UDP;
                (*control).cmsg_type = libc::UDP_SEGMENT;
                (*control).cmsg_len = libc::CMSG_LEN(2) as usize;
                std::ptr::write_unaligned(libc::CMSG_DATA(control).cast::<u16>(), segment as u16);
            }
        }
    }

    /// Sends the first `count` messages; how many the kernel took.
    ///
    /// The bytes that `set` was given must still be alive and in place.
    pub fn flush(&mut self, socket: &UdpSocket, count: usize) -> usize {
        let mut sent = 0;
        while sent < count {
            // SAFETY: messages sent..count were laid out by `set` over buffers that the caller keeps alive.
            let code = unsafe {
                libc::sendmmsg(
                    socket.as_raw_fd(),
                    self.messages.as_mut_ptr().add(sent),
                    (count - sent) as libc::c_uint,
                    0,
                )
            };
            if code <= 0 {
                break;
            }
            sent += code as usize;
        }
        sent
    }
}
