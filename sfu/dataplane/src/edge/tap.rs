//! A tap's two Unix datagram sockets: plain RTP out to a program, and in from it.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

/// Packets read from one tap in a turn: a slow worker must not be held by a fast program.
pub const READS_PER_TURN: usize = 64;

/// One tap's sockets.
#[derive(Debug)]
pub struct TapSockets {
    receiver: Option<(UnixDatagram, PathBuf)>,
    sender: Option<(UnixDatagram, PathBuf)>,
}

impl TapSockets {
    /// Listens at one path, and will send to the other; whether someone is there shows with each packet.
    ///
    /// What is left at `receive_at` of a process that ended is removed if it is a socket that no one listens on.
    pub fn open(receive_at: Option<&Path>, send_to: Option<&Path>) -> io::Result<Self> {
        let receiver = receive_at.map(|path| Ok::<_, io::Error>((bind(path)?, path.to_owned()))).transpose()?;
        let sender = match send_to {
            Some(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.set_nonblocking(true)?;
                Some((socket, path.to_owned()))
            }
            None => None,
        };
        Ok(Self { receiver, sender })
    }

    /// For epoll, if packets come in here.
    pub fn receiver_fd(&self) -> Option<RawFd> {
        self.receiver.as_ref().map(|(socket, _)| socket.as_raw_fd())
    }

    /// The next packet that waits; its length.
    pub fn read(&self, buffer: &mut [u8]) -> Option<usize> {
        self.receiver.as_ref()?.0.recv(buffer).ok()
    }

    /// Sends a packet; false if no one takes it now.
    pub fn send(&self, packet: &[u8]) -> bool {
        self.sender.as_ref().is_some_and(|(socket, path)| socket.send_to(packet, path).is_ok())
    }
}

impl Drop for TapSockets {
    fn drop(&mut self) {
        if let Some((_, path)) = &self.receiver {
            let _ = std::fs::remove_file(path);
        }
    }
}

fn bind(path: &Path) -> io::Result<UnixDatagram> {
    let socket = match UnixDatagram::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_abandoned(path)? => {
            std::fs::remove_file(path)?;
            UnixDatagram::bind(path)?
        }
        bound => bound?,
    };
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn is_abandoned(path: &Path) -> io::Result<bool> {
    let refused = UnixDatagram::unbound()?.connect(path).is_err_and(|e| e.kind() == io::ErrorKind::ConnectionRefused);
    Ok(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(name: &str) -> PathBuf {
        let directory = std::env::temp_dir().join(format!("palco-tap-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        directory
    }

    #[test]
    fn packets_pass_both_ways_and_a_missing_program_is_no_error() {
        let directory = directory("both");
        let (here, there) = (directory.join("here"), directory.join("there"));
        let tap = TapSockets::open(Some(&here), Some(&there)).unwrap();
        assert!(!tap.send(b"too early"));
        let program = UnixDatagram::bind(&there).unwrap();
        assert!(tap.send(b"out"));
        let mut buffer = [0; 16];
        assert_eq!(program.recv(&mut buffer).unwrap(), 3);
        assert_eq!(tap.read(&mut buffer), None);
        program.send_to(b"in", &here).unwrap();
        assert_eq!(tap.read(&mut buffer), Some(2));
        drop(tap);
        assert!(!here.exists());
        std::fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn an_abandoned_socket_is_replaced_and_a_living_one_is_not() {
        let directory = directory("abandoned");
        let path = directory.join("socket");
        drop(UnixDatagram::bind(&path).unwrap());
        let tap = TapSockets::open(Some(&path), None).unwrap();
        assert!(TapSockets::open(Some(&path), None).is_err());
        drop(tap);
        std::fs::remove_dir_all(directory).unwrap();
    }
}
