//! No bytes make the STUN parsers panic, and none pass as authentic without the password.

#![no_main]

use _dataplane::stun::{parse, parse_success, Key};
use libfuzzer_sys::fuzz_target;

const HEADER_BYTES: usize = 20;
const FINGERPRINT_BYTES: usize = 8;

fuzz_target!(|datagram: &[u8]| {
    check(datagram);
    if let Some(message) = made_well_formed(datagram) {
        check(&message);
    }
});

fn check(datagram: &[u8]) {
    let key = Key::new(b"a password that the fuzzer has no use for");
    if let Some(unverified) = parse(datagram) {
        assert!(!unverified.local_ufrag().is_empty() && !unverified.remote_ufrag().is_empty());
        assert!(unverified.verify(&key).is_none());
    }
    assert!(parse_success(datagram, &key).is_none());
}

/// The same attributes behind a true header and before a true FINGERPRINT, which noise would not find.
fn made_well_formed(datagram: &[u8]) -> Option<Vec<u8>> {
    let mut message = datagram.get(..datagram.len() & !3)?.to_vec();
    let fingerprint_at = message.len().checked_sub(FINGERPRINT_BYTES).filter(|&at| at >= HEADER_BYTES)?;
    let length = u16::try_from(message.len() - HEADER_BYTES).ok()?;
    let kind: u16 = if message[0] & 1 == 0 { 0x0001 } else { 0x0101 };
    message[..2].copy_from_slice(&kind.to_be_bytes());
    message[2..4].copy_from_slice(&length.to_be_bytes());
    message[4..8].copy_from_slice(&[0x21, 0x12, 0xa4, 0x42]);
    let value = crc32(&message[..fingerprint_at]) ^ 0x5354_554e;
    message[fingerprint_at..][..4].copy_from_slice(&[0x80, 0x28, 0, 4]);
    message[fingerprint_at + 4..].copy_from_slice(&value.to_be_bytes());
    Some(message)
}

/// Bit by bit, so that it shares nothing with the crate's table.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    })
}
