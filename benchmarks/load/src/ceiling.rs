//! The raw limit: the datagrams that a relay has to send, sent by a program that does nothing else.
//!
//! Same sizes, same destinations (one socket per listener, which counts and drops), same batching, same cipher
//! with a key for each listener. On loopback the kernel's receiving half runs on the sender's core too, for the ceiling
//! as for every server measured against it.
//!
//! Twice: without a pause, which is the least that a packet can cost; and in the rhythm of speech, a burst to every
//! listener each 20 ms with sleep between, which is what a relay that is not saturated has to do. The rest cools caches.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use palco_dataplane::srtp::{Profile, Sealer};
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};

use crate::net::{self, Sender};

/// Messages handed to the kernel by one sendmmsg.
const BATCH: usize = 64;
const RTP_HEADER_BYTES: usize = 12;
const BURST_INTERVAL_S: f64 = 0.02;

#[derive(Deserialize)]
pub struct Job {
    pub listeners: usize,
    /// Packets that go to each listener at once: 1, or as many as speakers talk.
    pub packets_per_message: usize,
    /// RTP header and payload, without the tag.
    pub packet_bytes: usize,
    pub measure_s: f64,
    /// As in a play job.
    #[serde(default)]
    pub first_port: u16,
    pub cpu: Option<usize>,
}

#[derive(Serialize)]
struct Row {
    sealed: bool,
    gso: bool,
    /// In bursts, one each 20 ms; else without a pause.
    paced: bool,
    packets: u64,
    delivered: u64,
    cpu_us_per_packet: f64,
}

pub fn run(job: Job) -> Result<(), String> {
    if let Some(cpu) = job.cpu {
        net::pin(cpu).map_err(|error| format!("pin to CPU {cpu}: {error}"))?;
    }
    net::raise_file_limit();
    let mut rows = Vec::new();
    for sealed in [false, true] {
        for gso in [false, true] {
            if gso && job.packets_per_message == 1 {
                continue;
            }
            for paced in [false, true] {
                rows.push(measure(&job, sealed, gso, paced).map_err(|error| error.to_string())?);
            }
        }
    }
    println!("{}", serde_json::json!({ "event": "ceiling", "rows": rows }));
    Ok(())
}

struct Sink {
    socket: UdpSocket,
    address: SocketAddr,
    sealer: Sealer,
}

fn sinks(count: usize, first_port: u16) -> std::io::Result<Vec<Sink>> {
    let random = SystemRandom::new();
    (0..count)
        .map(|number| {
            let socket = net::bind(if first_port > 0 { first_port + number as u16 } else { 0 })?;
            net::count_and_drop(&socket)?;
            let mut key = [0; 28];
            random.fill(&mut key).map_err(|_| std::io::Error::other("no random bytes"))?;
            let sealer =
                Sealer::new(Profile::AeadAes128Gcm, &key).ok_or_else(|| std::io::Error::other("key length"))?;
            Ok(Sink { address: socket.local_addr()?, socket, sealer })
        })
        .collect()
}

fn measure(job: &Job, sealed: bool, gso: bool, paced: bool) -> std::io::Result<Row> {
    let sinks = sinks(job.listeners, job.first_port)?;
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    net::set_option(&socket, libc::SOL_SOCKET, libc::SO_SNDBUF, &(4 << 20))?;
    let size = job.packet_bytes + Profile::AeadAes128Gcm.rtp_overhead();
    let mut arena = vec![0u8; BATCH * job.packets_per_message * size];
    let mut sender = Sender::new(BATCH * if gso { 1 } else { job.packets_per_message });
    let (started_s, cpu_before_s) = (net::monotonic_s(), net::cpu_s());
    let (mut packets, mut index, mut bursts) = (0, 0, 0u32);
    while net::monotonic_s() - started_s < job.measure_s {
        for group in sinks.chunks(BATCH) {
            let messages = lay_out(job, group, &mut arena, &mut sender, Kind { sealed, gso, size, index });
            sender.flush(&socket, messages);
            packets += (group.len() * job.packets_per_message) as u64;
        }
        index += job.packets_per_message as u64;
        if paced {
            bursts += 1;
            let next_s = started_s + f64::from(bursts) * BURST_INTERVAL_S;
            std::thread::sleep(Duration::from_secs_f64((next_s - net::monotonic_s()).max(0.0)));
        }
    }
    let cpu_s = net::cpu_s() - cpu_before_s;
    let delivered = sinks.iter().map(|sink| u64::from(net::drops(&sink.socket))).sum();
    Ok(Row { sealed, gso, paced, packets, delivered, cpu_us_per_packet: cpu_s * 1e6 / packets as f64 })
}

#[derive(Clone, Copy)]
struct Kind {
    sealed: bool,
    gso: bool,
    size: usize,
    index: u64,
}

/// Writes each listener's packets side by side, as a relay does, and lays out the messages; how many.
fn lay_out(job: &Job, group: &[Sink], arena: &mut [u8], sender: &mut Sender, kind: Kind) -> usize {
    let per_listener = job.packets_per_message * kind.size;
    let mut messages = 0;
    for (sink, bytes) in group.iter().zip(arena.chunks_exact_mut(per_listener)) {
        for (packet, slot) in bytes.chunks_exact_mut(kind.size).enumerate() {
            let index = kind.index + packet as u64;
            slot[..2].copy_from_slice(&[0x80, 111]);
            slot[2..4].copy_from_slice(&(index as u16).to_be_bytes());
            slot[4..8].copy_from_slice(&(index as u32).wrapping_mul(960).to_be_bytes());
            slot[RTP_HEADER_BYTES..job.packet_bytes].fill(0x55);
            if kind.sealed {
                sink.sealer.seal_rtp(slot, RTP_HEADER_BYTES, job.packet_bytes, index);
            }
        }
        if kind.gso {
            sender.set(messages, bytes, sink.address, kind.size);
            messages += 1;
        } else {
            for slot in bytes.chunks_exact(kind.size) {
                sender.set(messages, slot, sink.address, 0);
                messages += 1;
            }
        }
    }
    debug_assert!(messages <= sender.room());
    messages
}
