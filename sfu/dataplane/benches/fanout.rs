//! What a delivered packet costs: `cargo bench --no-default-features --bench fanout [-- speakers listeners seconds [packet_ms]]`.
//!
//! Real workers and real sockets on loopback. Every speaker says 50 packets a second. No listener reads; its socket has
//! room for a few packets and takes messages uncut (UDP_GRO), so that the kernel drops them there as cheaply as it can:
//! on loopback receiving is charged to the sender, and a network card would do the cutting. The CPU time is the worker
//! thread's own, from the scheduler's account.
//!
//! Then gates are closed while everyone talks: `mute` is the longest time from the command to the moment when no further packet
//! of that voice goes to anyone.
//!
//! Beside it the ceiling: the same datagrams to the same sockets in the same batches, with nothing else to do.

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use _dataplane::arena::{Arena, Outbox, Wire};
use _dataplane::counters::Counters;
use _dataplane::dataplane::{Dataplane, Negotiated, Timeouts};
use _dataplane::edge::udp::{Sender, Socket, OUTBOX};
use _dataplane::engine::command::Event;
use _dataplane::ids::Id;
use _dataplane::rtp::{AudioLevel, Template};
use _dataplane::srtp::{Profile, Sealer};
use _dataplane::{stun, SECOND};

const PAYLOAD: usize = 80;
/// Opus of 20 ms in one frame: such packets can be merged.
const TOC: u8 = 31 << 3;
const FRAME: Duration = Duration::from_millis(20);
const PWD: &str = "a-password-of-at-least-22-characters";
const NEGOTIATED: Negotiated<'_> = Negotiated { payload_type: 111, mid: Some("0"), mid_id: 4, level_id: 1, red: None };

struct Client {
    socket: UdpSocket,
    peer: Id,
    sealer: Sealer,
    sequence: u64,
}

fn main() {
    let arguments: Vec<usize> = std::env::args().skip(1).filter_map(|it| it.parse().ok()).collect();
    println!(
        "{:>8}{:>10}{:>6}{:>9}{:>10}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}",
        "speakers",
        "listeners",
        "ms",
        "ours",
        "of which",
        "kernel",
        "ceiling",
        "times",
        "a msg",
        "cpu",
        "p50",
        "p99",
        "mute"
    );
    println!(
        "{:>8}{:>10}{:>6}{:>9}{:>10}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}",
        "", "", "/pkt", "ns/pkt", "user", "", "ns/pkt", "ceiling", "packets", "%", "<=", "<=", "us"
    );
    match arguments[..] {
        [speakers, listeners, seconds] => run(speakers, listeners, seconds as u64, 20),
        [speakers, listeners, seconds, packet_ms] => run(speakers, listeners, seconds as u64, packet_ms as u32),
        _ => {
            for (speakers, listeners) in
                [(1, 10), (1, 100), (1, 1_000), (1, 5_000), (10, 100), (10, 1_000), (10, 3_000)]
            {
                run(speakers, listeners, 4, 20);
            }
            for packet_ms in [40, 60] {
                run(1, 1_000, 4, packet_ms);
            }
        }
    }
}

fn run(speakers: usize, listeners: usize, seconds: u64, packet_ms: u32) {
    let server = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let timeouts = Timeouts { consent: 3_600 * SECOND, join: 3_600 * SECOND };
    let mut dataplane = Dataplane::start(&[server.as_raw_fd()], None, timeouts).expect("a worker");
    let stage = dataplane.create_stage().expect("a stage");
    let (mut talking, mut tracks) = (Vec::new(), Vec::new());
    for n in 0..speakers {
        let client = connect(&mut dataplane, &server, n);
        let negotiated = Negotiated { mid: None, ..NEGOTIATED };
        tracks.push(dataplane.add_track(client.peer, stage, None, negotiated, true).expect("a track"));
        talking.push(client);
    }
    let mut listening = Vec::new();
    for n in 0..listeners {
        let client = connect(&mut dataplane, &server, speakers + n);
        for slot in 0..speakers {
            let ssrc = (n * 100 + slot) as u32 + 1_000_000;
            dataplane.add_slot(client.peer, ssrc, NEGOTIATED).expect("a slot");
        }
        dataplane.follow(client.peer, stage, None, packet_ms).expect("a seat");
        listening.push(client);
    }
    barrier(&mut dataplane);

    talk(&mut talking, &server, Duration::from_millis(500));
    let (before, cpu_before) = (snapshot(&dataplane), cpu_of("palco-worker-0"));
    let began = Instant::now();
    talk(&mut talking, &server, Duration::from_secs(seconds));
    std::thread::sleep(Duration::from_millis(100));
    let elapsed = began.elapsed();
    let (after, cpu_after) = (snapshot(&dataplane), cpu_of("palco-worker-0"));

    let mute = close_gates(&mut dataplane, &tracks, &mut talking, &server);
    let of = |name: &str| after[name] - before[name];
    let packets = of("packets_out") as f64;
    let ns = (cpu_after.total_ns - cpu_before.total_ns) as f64 / packets;
    let ticks = |cpu: &Cpu| (cpu.user_ticks as f64, cpu.system_ticks as f64);
    let ((u0, s0), (u1, s1)) = (ticks(&cpu_before), ticks(&cpu_after));
    let user = (u1 - u0) / ((u1 - u0) + (s1 - s0)).max(1.0) * ns;
    let per_message = packets / of("messages_out") as f64;
    let destinations: Vec<_> = listening.iter().map(|it| it.socket.local_addr().expect("bound")).collect();
    let payload = PAYLOAD * packet_ms as usize / 20;
    let ceiling = ceiling_ns(&destinations, &server, payload, per_message.round().max(1.0) as usize);
    println!(
        "{speakers:>8}{listeners:>10}{packet_ms:>6}{ns:>9.0}{user:>10.0}{:>9.0}{ceiling:>9.0}{:>9.2}{per_message:>9.1}{:>9.1}{:>9}{:>9}{:>9}",
        ns - user,
        ns / ceiling,
        100.0 * (cpu_after.total_ns - cpu_before.total_ns) as f64 / elapsed.as_nanos() as f64,
        quantile(&after, &before, 0.50),
        quantile(&after, &before, 0.99),
        mute.as_micros(),
    );
    let expected = (speakers * listeners) as f64 * 1_000.0 / f64::from(packet_ms) * seconds as f64;
    if packets < 0.99 * expected {
        println!("         only {packets} of {expected} packets were sent: overloaded, or the speakers were");
    }
    dataplane.close();
}

/// A peer with a nominated address and keys.
fn connect(dataplane: &mut Dataplane, server: &UdpSocket, n: usize) -> Client {
    let ufrag = format!("user{n}");
    let peer = dataplane.create_peer(0, &ufrag, PWD).expect("a peer");
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    set_option(&socket, libc::SOL_SOCKET, libc::SO_RCVBUF, 0); // the kernel's minimum
    set_option(&socket, libc::SOL_UDP, libc::UDP_GRO, 1);
    let key: Vec<u8> = (0..28).map(|byte| byte ^ (n as u8) ^ ((n >> 8) as u8)).collect();
    dataplane.set_srtp(peer, 7, &key, &key).expect("keys");
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
    let len = stun::build_request(&request, &stun::Key::new(PWD.as_bytes()), &mut check);
    barrier(dataplane);
    socket.send_to(&check[..len], server.local_addr().expect("bound")).expect("sent");
    socket.recv(&mut check).expect("an answer");
    Client { socket, peer, sealer: Sealer::new(Profile::AeadAes128Gcm, &key).expect("a key"), sequence: 0 }
}

fn set_option(socket: &UdpSocket, level: libc::c_int, name: libc::c_int, value: libc::c_int) {
    let len = std::mem::size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: `value` lives through the call, and `len` is its size.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const value).cast(), len) };
    assert_eq!(result, 0, "option {name}");
}

fn barrier(dataplane: &mut Dataplane) {
    let ticket = dataplane.barrier();
    while !dataplane.events().contains(&Event::Applied(ticket)) {
        std::thread::yield_now();
    }
}

/// Every speaker says 50 packets a second, each at a moment of its own.
fn talk(talking: &mut [Client], server: &UdpSocket, time: Duration) {
    let (began, server) = (Instant::now(), server.local_addr().expect("bound"));
    let count = talking.len() as u32;
    for step in 0.. {
        let at = FRAME * (step / count) + FRAME * (step % count) / count;
        if at >= time {
            return;
        }
        std::thread::sleep((began + at).saturating_duration_since(Instant::now()));
        let client = &mut talking[(step % count) as usize];
        client.sequence += 1;
        let template = Template::new(9, 111, None, 0, 1).expect("a header");
        let mut packet = [0x55; 200];
        let level = Some(AudioLevel { is_voice: true, level: 30 });
        let timestamp = client.sequence as u32 * 960;
        let header_len = template.write(&mut packet, false, client.sequence as u16, timestamp, level);
        packet[header_len] = TOC;
        let len =
            client.sealer.seal_rtp(&mut packet, header_len, header_len + PAYLOAD, client.sequence).expect("sealed");
        client.socket.send_to(&packet[..len], server).expect("sent");
    }
}

/// Closes and opens gates while everyone talks; the longest that a closing took to be in force and all before it sent.
fn close_gates(dataplane: &mut Dataplane, tracks: &[Id], talking: &mut [Client], server: &UdpSocket) -> Duration {
    std::thread::scope(|scope| {
        scope.spawn(|| talk(talking, server, Duration::from_secs(2)));
        let closings = (0..30).map(|n| {
            std::thread::sleep(Duration::from_millis(53)); // no divisor or multiple of a frame
            let (track, began) = (tracks[n % tracks.len()], Instant::now());
            dataplane.set_gate(track, false).expect("a track");
            let ticket = dataplane.barrier();
            while !dataplane.events().contains(&Event::Applied(ticket)) {
                std::thread::sleep(Duration::from_micros(20));
            }
            let took = began.elapsed();
            dataplane.set_gate(track, true).expect("a track");
            took
        });
        closings.max().unwrap_or_default()
    })
}

fn snapshot(dataplane: &Dataplane) -> std::collections::HashMap<&'static str, u64> {
    dataplane.counters()[0].read().collect()
}

fn quantile(
    after: &std::collections::HashMap<&str, u64>,
    before: &std::collections::HashMap<&str, u64>,
    quantile: f64,
) -> String {
    let buckets = ["50us", "100us", "250us", "500us", "1ms", "2ms", "5ms", "10ms", "20ms", "inf"];
    let counts =
        buckets.map(|bucket| after[&*format!("forward_le_{bucket}")] - before[&*format!("forward_le_{bucket}")]);
    let wanted = (counts.iter().sum::<u64>() as f64 * quantile) as u64;
    let mut sum = 0;
    let reached = counts.iter().position(|count| {
        sum += count;
        sum > wanted
    });
    reached.map_or("-", |place| buckets[place]).into()
}

struct Cpu {
    total_ns: u64,
    user_ticks: u64,
    system_ticks: u64,
}

/// What a thread of ours has used.
fn cpu_of(name: &str) -> Cpu {
    for task in fs::read_dir("/proc/self/task").expect("procfs").flatten() {
        let read = |file: &str| fs::read_to_string(task.path().join(file)).unwrap_or_default();
        if read("comm").trim() != name {
            continue;
        }
        let stat = read("stat");
        let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let number = |text: &str| text.parse().unwrap_or(0);
        return Cpu {
            total_ns: number(read("schedstat").split_whitespace().next().unwrap_or_default()),
            user_ticks: number(fields[11]),
            system_ticks: number(fields[12]),
        };
    }
    panic!("no thread {name}");
}

struct Direct<'a>(Sender, &'a Socket, Counters);

impl Wire for Direct<'_> {
    fn send(&mut self, arena: &Arena) {
        self.0.send(self.1, arena, arena.messages(), &self.2);
    }
}

/// CPU time of this thread for each datagram when nothing but sending is to be done.
fn ceiling_ns(destinations: &[SocketAddr], server: &UdpSocket, payload: usize, per_message: usize) -> f64 {
    let socket = Socket::duplicate(server.as_raw_fd()).expect("a socket");
    let mut arena = Arena::new(96 << 10, OUTBOX);
    let mut wire = Direct(Sender::new(&socket), &socket, Counters::default());
    let rounds = (400_000 / (destinations.len() * per_message)).max(1);
    let began = own_cpu_ns();
    let mut out = Outbox::new(&mut arena, &mut wire);
    for _ in 0..rounds {
        for destination in destinations {
            for _ in 0..per_message {
                out.room();
                out.commit(*destination, payload + 36);
            }
        }
    }
    out.flush();
    (own_cpu_ns() - began) as f64 / (rounds * destinations.len() * per_message) as f64
}

fn own_cpu_ns() -> u64 {
    let schedstat = fs::read_to_string("/proc/thread-self/schedstat").expect("procfs");
    schedstat.split_whitespace().next().and_then(|it| it.parse().ok()).expect("a number")
}
