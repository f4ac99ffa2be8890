//! Peers whose network lets no UDP through (RFC 6544, RFC 4571): real workers and sockets on loopback.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use _dataplane::dataplane::{Dataplane, Negotiated, Timeouts};
use _dataplane::engine::command::Event;
use _dataplane::ids::Id;
use _dataplane::rtp::{self, Template};
use _dataplane::srtp::{Opener, Profile, Sealer};
use _dataplane::{stun, SECOND};

const PWD: &str = "a-password-of-at-least-22-characters";
const WITHIN: Duration = Duration::from_secs(10);
const NEGOTIATED: Negotiated<'_> = Negotiated { payload_type: 111, mid: None, mid_id: 0, level_id: 0, red: None };
const KEY: [u8; 28] = [7; 28];

struct Server {
    dataplane: Dataplane,
    tcp: SocketAddr,
    udp: SocketAddr,
    _sockets: (TcpListener, Vec<UdpSocket>),
}

fn start(workers: usize) -> Server {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let udp: Vec<_> = (0..workers).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    let fds: Vec<_> = udp.iter().map(|socket| socket.as_raw_fd()).collect();
    let timeouts = Timeouts { consent: 30 * SECOND, join: 30 * SECOND };
    Server {
        dataplane: Dataplane::start(&fds, Some(tcp.as_raw_fd()), timeouts).unwrap(),
        tcp: tcp.local_addr().unwrap(),
        udp: udp[0].local_addr().unwrap(),
        _sockets: (tcp, udp),
    }
}

impl Server {
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.tcp).unwrap();
        stream.set_read_timeout(Some(WITHIN)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// A peer with keys; a listener if it follows `stage`.
    fn create_peer(&mut self, worker: usize, ufrag: &str, stage: Option<Id>) -> Id {
        let peer = self.dataplane.create_peer(worker, ufrag, PWD).unwrap();
        self.dataplane.set_srtp(peer, 7, &KEY, &KEY).unwrap();
        if let Some(stage) = stage {
            self.dataplane.add_slot(peer, 1_000, NEGOTIATED).unwrap();
            self.dataplane.follow(peer, stage, None, 20).unwrap();
        }
        self.until_applied();
        peer
    }

    fn until_applied(&mut self) {
        let ticket = self.dataplane.barrier();
        while !self.dataplane.events().contains(&Event::Applied(ticket)) {
            std::thread::yield_now();
        }
    }

    fn count(&self, name: &str) -> u64 {
        let of_all = self.dataplane.counters().iter().flat_map(|of_one| of_one.read().collect::<Vec<_>>());
        of_all.filter(|(it, _)| *it == name).map(|(_, value)| value).sum()
    }

    fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        while !holds(self) {
            assert!(began.elapsed() < WITHIN, "{what} did not happen");
            std::thread::yield_now();
        }
    }
}

fn check(ufrag: &str, pwd: &str) -> Vec<u8> {
    let username = format!("{ufrag}:me");
    let request = stun::Request {
        transaction: [7; 12],
        username: username.as_bytes(),
        priority: Some(1),
        controlling: Some(2),
        controlled: None,
        nominates: true,
    };
    let mut check = [0; 200];
    let len = stun::build_request(&request, &stun::Key::new(pwd.as_bytes()), &mut check);
    check[..len].to_vec()
}

fn frame(datagram: &[u8]) -> Vec<u8> {
    [&(datagram.len() as u16).to_be_bytes(), datagram].concat()
}

fn read_frame(stream: &mut TcpStream) -> Vec<u8> {
    let mut len = [0; 2];
    stream.read_exact(&mut len).unwrap();
    let mut datagram = vec![0; usize::from(u16::from_be_bytes(len))];
    stream.read_exact(&mut datagram).unwrap();
    datagram
}

/// Whether the server closes the connection without a word.
fn is_closed(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0; 100]) {
        Ok(len) => len == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

/// A connection whose check was answered.
fn nominate(server: &Server, ufrag: &str) -> TcpStream {
    let mut stream = server.connect();
    stream.write_all(&frame(&check(ufrag, PWD))).unwrap();
    let answer = read_frame(&mut stream);
    let success = stun::parse_success(&answer, &stun::Key::new(PWD.as_bytes())).expect("an authentic answer");
    assert_eq!(success.mapped, stream.local_addr().unwrap());
    stream
}

fn packet(sealer: &Sealer, index: u64) -> Vec<u8> {
    let template = Template::new(9, 111, None, 0, 0).unwrap();
    let mut packet = vec![0x55; 1_100];
    let header_len = template.write(&mut packet, false, index as u16, index as u32 * 960, None);
    let len = sealer.seal_rtp(&mut packet, header_len, 1_000, index).unwrap();
    packet.truncate(len);
    packet
}

/// The sequence number of media; None for RTCP.
fn open(opener: &mut Opener, mut datagram: Vec<u8>) -> Option<u16> {
    if (192..=223).contains(&datagram[1]) {
        return None;
    }
    let header = rtp::parse(&datagram).unwrap();
    opener.open_rtp(&mut datagram, &header).expect("an authentic packet");
    Some(header.sequence)
}

#[test]
fn a_check_is_answered_over_tcp_by_whichever_worker_has_the_peer() {
    let mut server = start(3);
    let mut streams = Vec::new();
    for worker in 0..3 {
        let ufrag = format!("user{worker}");
        let peer = server.create_peer(worker, &ufrag, None);
        streams.push(nominate(&server, &ufrag));
        server.dataplane.remove_peer(peer).unwrap();
    }
    assert!(streams.iter_mut().all(is_closed), "no one is behind them any more");
    server.until("their end", |server| server.count("tcp_connections_now") == 0);
    assert_eq!(server.count("tcp_accepted"), 3);
}

#[test]
fn the_event_names_the_address_as_one_writes_it() {
    let mut server = start(1);
    let peer = server.create_peer(0, "user", None);
    let stream = nominate(&server, "user");
    let expected = Event::Nominated(peer, stream.local_addr().unwrap());
    let began = Instant::now();
    while !server.dataplane.events().contains(&expected) {
        assert!(began.elapsed() < WITHIN);
    }
}

#[test]
fn media_passes_both_ways_over_tcp() {
    let mut server = start(1);
    let stage = server.dataplane.create_stage().unwrap();
    let speaker = server.create_peer(0, "speaker", None);
    server.dataplane.add_track(speaker, stage, None, NEGOTIATED, true).unwrap();
    server.create_peer(0, "listener", Some(stage));
    let (mut speaking, mut listening) = (nominate(&server, "speaker"), nominate(&server, "listener"));
    let sealer = Sealer::new(Profile::AeadAes128Gcm, &KEY).unwrap();
    let mut opener = Opener::new(Profile::AeadAes128Gcm, &KEY).unwrap();
    // Frames do not keep to what a write carries: three in one, then one in three.
    let frames: Vec<_> = (1..=4).map(|index| frame(&packet(&sealer, index))).collect();
    speaking.write_all(&frames[..3].concat()).unwrap();
    for part in frames[3].chunks(400) {
        speaking.write_all(part).unwrap();
    }
    let mut heard = Vec::new();
    while heard.len() < 4 {
        heard.extend(open(&mut opener, read_frame(&mut listening)));
    }
    assert!(heard.windows(2).all(|pair| pair[1] == pair[0] + 1));
}

#[test]
fn who_names_no_peer_or_speaks_something_else_is_closed_without_a_word() {
    let mut server = start(1);
    server.create_peer(0, "user", None);
    let strangers: [Vec<u8>; 6] = [
        frame(&check("nobody", PWD)),
        frame(b"GET / HTTP/1.1\r\n\r\n"),
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        vec![0xff; 3],
        frame(&[]),
        frame(&packet(&Sealer::new(Profile::AeadAes128Gcm, &KEY).unwrap(), 1)),
    ];
    for words in &strangers {
        let mut stream = server.connect();
        stream.write_all(words).unwrap();
        assert!(is_closed(&mut stream), "{words:?}");
    }
    server.until("their being counted", |server| server.count("tcp_refused") == strangers.len() as u64);
    assert_eq!(server.count("tcp_accepted"), 0);
}

#[test]
fn who_names_a_peer_without_its_password_is_closed_and_forgotten() {
    let mut server = start(1);
    server.create_peer(0, "user", None);
    let mut stream = server.connect();
    stream.write_all(&frame(&check("user", "another-password-of-22-characters"))).unwrap();
    assert!(is_closed(&mut stream));
    server.until("its end", |server| server.count("tcp_connections_now") == 0);
    assert_eq!((server.count("dropped_unverified_stun"), server.count("stun_answered")), (1, 0));
}

#[test]
fn who_says_nothing_is_closed_after_five_seconds_and_keeps_no_one_else_waiting() {
    let mut server = start(1);
    server.create_peer(0, "user", None);
    let mut silent: Vec<_> = (0..20).map(|_| server.connect()).collect();
    let mut slow = server.connect();
    slow.write_all(&frame(&check("user", PWD))[..30]).unwrap();
    nominate(&server, "user");
    server.until("taking in the one who speaks", |server| server.count("tcp_accepted") == 1);
    assert_eq!(server.count("tcp_refused"), 0, "while strangers are still waited for");
    assert!(silent.iter_mut().all(is_closed));
    assert!(is_closed(&mut slow));
    server.until("their being counted", |server| server.count("tcp_refused") == 21);
}

#[test]
fn a_frame_too_long_ends_a_connection_that_was_good() {
    let mut server = start(1);
    server.create_peer(0, "user", None);
    let mut stream = nominate(&server, "user");
    stream.write_all(&[0xff, 0xff, 1, 2, 3]).unwrap();
    assert!(is_closed(&mut stream));
}

/// Or the kernel would hold megabytes for a reader that does not read, before it says so.
fn set_small_receive_buffer(stream: &TcpStream) {
    let (value, len): (libc::c_int, _) = (64 << 10, std::mem::size_of::<libc::c_int>() as libc::socklen_t);
    let (fd, value) = (stream.as_raw_fd(), (&raw const value).cast());
    // SAFETY: `value` lives through the call, and `len` is its size.
    assert_eq!(unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_RCVBUF, value, len) }, 0);
}

#[test]
fn a_reader_that_does_not_keep_up_loses_packets_and_costs_no_one_else_any() {
    let mut server = start(1);
    let stage = server.dataplane.create_stage().unwrap();
    let speaker = server.create_peer(0, "speaker", None);
    server.dataplane.add_track(speaker, stage, None, NEGOTIATED, true).unwrap();
    server.create_peer(0, "slow", Some(stage));
    server.create_peer(0, "quick", Some(stage));
    let mut slow = nominate(&server, "slow");
    set_small_receive_buffer(&slow);
    let (quick, speaking) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    quick.set_read_timeout(Some(WITHIN)).unwrap();
    let mut buffer = [0; 1_500];
    quick.send_to(&check("quick", PWD), server.udp).unwrap();
    quick.recv(&mut buffer).unwrap();
    speaking.send_to(&check("speaker", PWD), server.udp).unwrap();
    let sealer = Sealer::new(Profile::AeadAes128Gcm, &KEY).unwrap();
    let mut of_quick = Opener::new(Profile::AeadAes128Gcm, &KEY).unwrap();
    let (mut said, mut heard) = (0, Vec::new());
    // Packets of 1,000 bytes, until the kernel has taken all that it takes for one who does not read.
    while server.count("dropped_tcp_backlog") < 50 {
        said += 1;
        assert!(said < 20_000, "the slow one's packets are nowhere dropped");
        speaking.send_to(&packet(&sealer, said), server.udp).unwrap();
        while heard.len() < said as usize {
            let len = quick.recv(&mut buffer).expect("every packet for the quick one");
            heard.extend(open(&mut of_quick, buffer[..len].to_vec()));
        }
        std::thread::sleep(Duration::from_millis(2)); // a peer may send 500 packets a second
    }
    assert!(heard.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)));
    // What the slow one did get is whole: frames that open, one after the other. And once it reads, it gets what is new.
    // Each listener's numbers begin where chance has it (RFC 3550 §5.1), so they are counted from his first.
    let mut of_slow = Opener::new(Profile::AeadAes128Gcm, &KEY).unwrap();
    let (fell_behind_at, mut first, mut received) = (heard.len() as u16, None, Vec::new());
    while received.last().is_none_or(|last| *last < fell_behind_at) {
        said += 1;
        speaking.send_to(&packet(&sealer, said), server.udp).unwrap();
        if let Some(sequence) = open(&mut of_slow, read_frame(&mut slow)) {
            received.push(sequence.wrapping_sub(*first.get_or_insert(sequence)));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(received.windows(2).all(|pair| pair[1] > pair[0]));
    assert!(received.len() < usize::from(received[received.len() - 1]), "with a gap");
}
