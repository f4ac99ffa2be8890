//! Sleeping until something happens: eventfd and epoll.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

/// The result of a system call that returns -1 on failure.
pub(super) fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// A number in the kernel on which one can wait.
#[derive(Debug)]
pub struct EventFd(File);

impl EventFd {
    /// A fresh one, not readable.
    pub fn new() -> io::Result<Self> {
        // SAFETY: no pointers are passed.
        let fd = check(unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) })?;
        // SAFETY: the kernel has just made this descriptor, and no one else owns it.
        Ok(Self(File::from(unsafe { OwnedFd::from_raw_fd(fd) })))
    }

    /// Makes it readable. It fails only when it is readable already (the number is full).
    pub fn set(&self) {
        let _ = (&self.0).write(&1u64.to_ne_bytes());
    }

    /// Makes it unreadable. It fails only when it is that already.
    pub fn clear(&self) {
        let _ = (&self.0).read(&mut [0; 8]);
    }

    /// For epoll, asyncio and the like.
    pub fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Wakes one thread, and costs a system call only if that thread sleeps.
#[derive(Debug)]
pub struct Alarm {
    fd: EventFd,
    is_asleep: AtomicBool,
}

impl Alarm {
    /// For a thread that is awake.
    pub fn new() -> io::Result<Self> {
        Ok(Self { fd: EventFd::new()?, is_asleep: AtomicBool::new(false) })
    }

    /// To be called after leaving something for the thread to find.
    pub fn ring(&self) {
        if self.is_asleep.swap(false, SeqCst) {
            self.fd.set();
        }
    }

    /// The thread is about to sleep. It must look once more for what was left before: from here on `ring` works.
    pub fn before_sleep(&self) {
        self.is_asleep.store(true, SeqCst);
    }

    /// The thread is awake.
    pub fn after_sleep(&self) {
        if !self.is_asleep.swap(false, SeqCst) {
            self.fd.clear();
        }
    }
}

/// What a thread waits on: its UDP socket, an alarm, taps.
///
/// The UDP socket is not in the epoll set but polled beside it: whoever waits by epoll is looked up by the kernel for every
/// datagram that leaves, too (`sock_wfree`), and by poll only while he sleeps. It is a twentieth of a datagram's price.
#[derive(Debug)]
pub struct Poll {
    busy: RawFd,
    epoll: OwnedFd,
}

impl Poll {
    /// One that waits on `busy`, which must outlive it, and on `alarm`.
    pub fn new(busy: RawFd, alarm: &Alarm) -> io::Result<Self> {
        // SAFETY: no pointers are passed.
        let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: the kernel has just made this descriptor, and no one else owns it.
        let poll = Self { busy, epoll: unsafe { OwnedFd::from_raw_fd(fd) } };
        poll.add(alarm.fd.as_raw_fd())?;
        Ok(poll)
    }

    /// Waits on `fd` too. Closing it ends that.
    pub fn add(&self, fd: RawFd) -> io::Result<()> {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: 0 };
        // SAFETY: `event` lives through the call, which copies it.
        check(unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &raw mut event) })?;
        Ok(())
    }

    /// Sleeps until something is readable, or `timeout` is over. Who is not told: reading an empty socket costs less than
    /// keeping account of many.
    pub fn wait(&self, timeout: Option<Duration>) {
        let wanted = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        let mut sources = [wanted(self.busy), wanted(self.epoll.as_raw_fd())];
        let limit = timeout.map(|timeout| libc::timespec {
            tv_sec: timeout.as_secs().min(60) as libc::time_t,
            tv_nsec: libc::c_long::from(timeout.subsec_nanos()),
        });
        let limit = limit.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        // SAFETY: `sources` are the two entries promised; they and `limit` live through the call, and no signal mask is
        // given. An interrupted wait is a short one.
        unsafe { libc::ppoll(sources.as_mut_ptr(), 2, limit, std::ptr::null()) };
    }
}
