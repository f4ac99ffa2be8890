//! Which of many sockets can be read or written: epoll, with a number for each.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use super::wake::check;

/// What of many sockets is ready; each is known by a number of the caller's.
#[derive(Debug)]
pub struct Readiness {
    epoll: OwnedFd,
}

/// Sockets told of in one wait; the others are told of in the next.
const READY_AT_ONCE: usize = 64;

impl Readiness {
    /// Of nothing yet.
    pub fn new() -> io::Result<Self> {
        // SAFETY: no pointers are passed.
        let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: the kernel has just made this descriptor, and no one else owns it.
        Ok(Self { epoll: unsafe { OwnedFd::from_raw_fd(fd) } })
    }

    /// For another epoll: readable while something here is ready.
    pub fn as_raw_fd(&self) -> RawFd {
        self.epoll.as_raw_fd()
    }

    /// Tells when `fd` can be read. Closing it ends that.
    pub fn add(&self, fd: RawFd, token: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, token, libc::EPOLLIN)
    }

    /// Tells when `fd` can be read or, if wanted, written. It fails only for one that was never added.
    pub fn set(&self, fd: RawFd, token: u64, wants_to_write: bool) {
        let _ = self.control(
            libc::EPOLL_CTL_MOD,
            fd,
            token,
            if wants_to_write { libc::EPOLLIN | libc::EPOLLOUT } else { libc::EPOLLIN },
        );
    }

    /// Tells nothing of `fd` any more: it goes to another thread. It fails only for one that was never added.
    pub fn remove(&self, fd: RawFd) {
        let _ = self.control(libc::EPOLL_CTL_DEL, fd, 0, 0);
    }

    /// Sleeps until something is ready, or `timeout` is over; adds its numbers to `ready`.
    pub fn wait(&self, timeout: Option<Duration>, ready: &mut Vec<u64>) {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; READY_AT_ONCE];
        // SAFETY: `events` has the room that is promised, and lives through the call. An interrupted wait is a short one.
        let count = unsafe {
            let (events, room) = (events.as_mut_ptr(), READY_AT_ONCE as libc::c_int);
            libc::epoll_wait(self.epoll.as_raw_fd(), events, room, milliseconds(timeout))
        };
        ready.extend(events.iter().take(usize::try_from(count).unwrap_or(0)).map(|event| event.u64));
    }

    fn control(&self, operation: libc::c_int, fd: RawFd, token: u64, events: libc::c_int) -> io::Result<()> {
        let mut event = libc::epoll_event { events: events as u32, u64: token };
        // SAFETY: `event` lives through the call, which copies it.
        check(unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), operation, fd, &raw mut event) })?;
        Ok(())
    }
}

/// For epoll: upwards, or the last fraction of a millisecond would be spent in circles.
fn milliseconds(timeout: Option<Duration>) -> libc::c_int {
    timeout.map_or(-1, |timeout| timeout.as_micros().div_ceil(1_000).min(60_000) as libc::c_int)
}
