//! What sealing costs: `cargo bench --no-default-features --bench seal`.
//!
//! One seal of a 100-byte packet is paid for every listener and packet. With one key everything stays in the first
//! cache; with thousands, each used in turn as the fan-out does, the keys come from further away.

use std::hint::black_box;
use std::time::Instant;

use _dataplane::srtp::{Profile, Sealer};

const PACKET_LEN: usize = 100;
const HEADER_LEN: usize = 12;
const SEALS: usize = 400_000;
const ROUNDS: usize = 5;

fn main() {
    let profiles = [
        ("AES128_CM_HMAC_SHA1_80", Profile::Aes128CmHmacSha1_80),
        ("AEAD_AES_128_GCM", Profile::AeadAes128Gcm),
        ("AEAD_AES_256_GCM", Profile::AeadAes256Gcm),
    ];
    println!("{PACKET_LEN}-byte packet, best of {ROUNDS} rounds; ns per seal");
    println!("{:<24}{:>8}{:>10}{:>16}{:>16}", "profile", "1 key", "4000 keys", "4000, 10 each", "bytes a sealer");
    for (name, profile) in profiles {
        let one = cost_ns(&sealers(profile, 1), 1);
        let many = cost_ns(&sealers(profile, 4000), 1);
        let batches = cost_ns(&sealers(profile, 4000), 10);
        let size = std::mem::size_of::<Sealer>();
        println!("{name:<24}{one:>8.0}{many:>10.0}{batches:>16.0}{size:>16}");
    }
}

fn sealers(profile: Profile, count: usize) -> Vec<Sealer> {
    (0..count)
        .map(|number| {
            let mut master = vec![0xa5; profile.key_len() + profile.salt_len()];
            master[..8].copy_from_slice(&(number as u64).to_be_bytes());
            Sealer::new(profile, &master).expect("the master key has the profile's length")
        })
        .collect()
}

/// Nanoseconds per seal when each key in turn seals `run` packets.
fn cost_ns(sealers: &[Sealer], run: usize) -> f64 {
    (0..ROUNDS)
        .map(|round| {
            // The header is written anew each time, as the fan-out writes it.
            let mut arena = vec![0; run * 128];
            let started = Instant::now();
            for turn in 0..SEALS / run {
                let sealer = &sealers[turn % sealers.len()];
                for (place, buffer) in arena.chunks_exact_mut(128).enumerate() {
                    let index = ((round * SEALS + turn) * run + place) as u64;
                    buffer[0] = 0x80;
                    buffer[2..4].copy_from_slice(&(index as u16).to_be_bytes());
                    black_box(sealer.seal_rtp(buffer, HEADER_LEN, PACKET_LEN, index));
                }
            }
            started.elapsed().as_secs_f64() * 1e9 / SEALS as f64
        })
        .fold(f64::INFINITY, f64::min)
}
