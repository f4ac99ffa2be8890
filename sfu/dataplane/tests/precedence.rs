//! The threads that forward come before others on a core that they share, where the system lets them.

use std::fs;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use _dataplane::dataplane::{Dataplane, Timeouts};
use _dataplane::SECOND;

/// Of the thread that is called so; None where there is none (yet).
fn niceness(name: &str) -> Option<i32> {
    let threads = fs::read_dir("/proc/self/task").ok()?.flatten();
    let stats = threads.filter_map(|thread| fs::read_to_string(thread.path().join("stat")).ok());
    // Field 19 (proc(5)); the name is the second and stands in parentheses, the third follows them.
    let of_it = stats.into_iter().find(|stat| stat.contains(&format!("({name})")))?;
    of_it.rsplit(')').next()?.split_whitespace().nth(16)?.parse().ok()
}

/// Asked of a thread that ends with the answer: root may lack CAP_SYS_NICE, and others may have a limit.
fn may_be_nice_to_minus_ten() -> bool {
    // SAFETY: touches no memory. 0 is the calling thread.
    let ask = || unsafe { libc::setpriority(libc::PRIO_PROCESS as libc::__priority_which_t, 0, -10) } == 0;
    std::thread::spawn(ask).join().unwrap()
}

#[test]
fn workers_outweigh_the_thread_that_starts_them() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let timeouts = Timeouts { consent: 30 * SECOND, join: 30 * SECOND };
    let us = fs::read_to_string("/proc/thread-self/comm").unwrap();
    let ours = niceness(us.trim_end()).unwrap();
    let _dataplane = Dataplane::start(&[socket.as_raw_fd()], None, timeouts).unwrap();
    let expected = if may_be_nice_to_minus_ten() { -10 } else { ours };
    let began = Instant::now();
    while niceness("palco-worker-0") != Some(expected) {
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", niceness("palco-worker-0"));
        std::thread::yield_now();
    }
}
