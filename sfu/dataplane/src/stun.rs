//! Per packet: ICE connectivity checks, parsed, verified and answered (RFC 8489, RFC 8445 §7). Guarded by `make bench`
//! (joins per second) and the fuzz target `stun`.
//!
//! A check passes through two types: `Unverified` is well formed and nothing more; only `Unverified::verify` makes a
//! `Check`, so the password cannot be skipped by leaving MESSAGE-INTEGRITY out. Bad messages are met with silence.
//!
//! Left out: every method but Binding; error responses (400, 401, 420, 487: silence tells a stranger nothing and
//! amplifies nothing); MESSAGE-INTEGRITY-SHA256, long-term credentials and other authentication that ICE does not use;
//! RFC 3489 clients, which send no magic cookie.

mod build;
mod crc32;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ring::hmac;

pub use build::{build_request, build_success, Request};
use crc32::crc32;

const BINDING_REQUEST: u16 = 0x0001;
const BINDING_SUCCESS: u16 = 0x0101;
const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const FINGERPRINT_XOR: u32 = 0x5354_554e; // "STUN"

const HEADER_BYTES: usize = 20;
const ATTRIBUTE_HEADER_BYTES: usize = 4;
const INTEGRITY_BYTES: usize = 20; // HMAC-SHA1
const FINGERPRINT_BYTES: usize = 4;

/// RFC 8489 §6.1 has messages over UDP keep below the smallest path MTU, IPv6's. Checks seen live have 80 to 160 bytes.
const MAX_MESSAGE_BYTES: usize = 1280;
/// RFC 8445 §5.3: an ice-ufrag has 4 to 256 characters; the lower bound is left to whoever knows the fragments.
const MAX_UFRAG_BYTES: usize = 256;

/// Attribute types (RFC 8489 §18.3, RFC 8445 §16.1); below 0x8000 a receiver must understand them.
mod attribute {
    pub const USERNAME: u16 = 0x0006;
    pub const MESSAGE_INTEGRITY: u16 = 0x0008;
    pub const XOR_MAPPED_ADDRESS: u16 = 0x0020;
    pub const PRIORITY: u16 = 0x0024;
    pub const USE_CANDIDATE: u16 = 0x0025;
    pub const FINGERPRINT: u16 = 0x8028;
    pub const ICE_CONTROLLED: u16 = 0x8029;
    pub const ICE_CONTROLLING: u16 = 0x802a;
}

/// What one ICE password signs and verifies with; derived once, not for every check.
#[derive(Clone, Debug)]
pub struct Key(hmac::Key);

impl Key {
    /// The short-term key of an `ice-pwd` (RFC 8489 §9.1.1; ICE passwords are ASCII, so SASLprep changes nothing).
    pub fn new(password: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, password))
    }
}

/// A Binding request whose structure and FINGERPRINT are right and whose sender is unknown.
#[derive(Clone, Copy, Debug)]
pub struct Unverified<'a> {
    message: &'a [u8],
    integrity_at: usize,
    local_ufrag: &'a [u8],
    remote_ufrag: &'a [u8],
    transaction: [u8; 12],
    nominates: bool,
    controlling: bool,
}

/// An authentic check: it exists only where the password was proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check {
    /// Copied into the answer.
    pub transaction: [u8; 12],
    /// The peer asks for media on this pair (USE-CANDIDATE).
    pub nominates: bool,
    /// False only where the peer says ICE-CONTROLLED. One that says nothing (FFmpeg) must be controlling: we are lite.
    pub controlling: bool,
    _proof: Proof,
}

/// No other module can make one, so none can make a `Check`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Proof;

/// An authentic answer to a check of ours; for tests and load generators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Success {
    /// Of the check that is answered.
    pub transaction: [u8; 12],
    /// Where the answering side saw the check come from.
    pub mapped: SocketAddr,
}

/// A Binding request that carries USERNAME, then MESSAGE-INTEGRITY, and at its end a correct FINGERPRINT.
///
/// Attributes after MESSAGE-INTEGRITY are not covered by it and count for nothing. Of repeated ones the first counts
/// (RFC 8489 §14). PRIORITY and ICE-CONTROLLING may be absent, as from FFmpeg. An attribute that must be understood
/// and is not, makes the message unacceptable (§6.3.1).
pub fn parse(datagram: &[u8]) -> Option<Unverified<'_>> {
    let (transaction, attributes) = split(datagram, BINDING_REQUEST)?;
    let (mut username, mut nominates, mut controlling) = (None, false, true);
    for (kind, value, at) in attributes {
        match kind {
            attribute::USERNAME => username = username.or(Some(value)),
            attribute::PRIORITY => {}
            attribute::USE_CANDIDATE => nominates = true,
            attribute::ICE_CONTROLLED => controlling = false,
            attribute::MESSAGE_INTEGRITY => {
                let (local_ufrag, remote_ufrag) = split_username(username?)?;
                let message = datagram;
                let is_whole = value.len() == INTEGRITY_BYTES && ends_in_fingerprint(message, at);
                return is_whole.then_some(Unverified {
                    message,
                    integrity_at: at,
                    local_ufrag,
                    remote_ufrag,
                    transaction,
                    nominates,
                    controlling,
                });
            }
            0x8000.. => {}
            _ => return None,
        }
    }
    None
}

impl<'a> Unverified<'a> {
    /// The fragment that names our session: the part of USERNAME before the colon.
    pub fn local_ufrag(&self) -> &'a [u8] {
        self.local_ufrag
    }

    /// The fragment of the peer: the part after the colon.
    pub fn remote_ufrag(&self) -> &'a [u8] {
        self.remote_ufrag
    }

    /// The check, if `key` signed it. Compares in constant time.
    pub fn verify(self, key: &Key) -> Option<Check> {
        verify_integrity(self.message, self.integrity_at, key)?;
        Some(Check {
            transaction: self.transaction,
            nominates: self.nominates,
            controlling: self.controlling,
            _proof: Proof,
        })
    }
}

/// The answer that `key` signed, demanding all that a full ICE agent must; for tests and load generators.
pub fn parse_success(datagram: &[u8], key: &Key) -> Option<Success> {
    let (transaction, attributes) = split(datagram, BINDING_SUCCESS)?;
    let mut mapped = None;
    for (kind, value, at) in attributes {
        match kind {
            attribute::XOR_MAPPED_ADDRESS => mapped = mapped.or(Some(value)),
            attribute::MESSAGE_INTEGRITY => {
                let is_whole = value.len() == INTEGRITY_BYTES && ends_in_fingerprint(datagram, at);
                verify_integrity(datagram, is_whole.then_some(at)?, key)?;
                let mapped = parse_xor_address(mapped?, &transaction)?;
                return Some(Success { transaction, mapped });
            }
            0x8000.. => {}
            _ => return None,
        }
    }
    None
}

/// The transaction and the attributes of a message of type `kind` that fills the datagram.
fn split(datagram: &[u8], kind: u16) -> Option<([u8; 12], Attributes<'_>)> {
    let (&[k0, k1, l0, l1, c0, c1, c2, c3, ref transaction @ ..], body) =
        datagram.split_first_chunk::<HEADER_BYTES>()?;
    let is_message = u16::from_be_bytes([k0, k1]) == kind
        && usize::from(u16::from_be_bytes([l0, l1])) == body.len()
        && body.len() % 4 == 0
        && [c0, c1, c2, c3] == MAGIC_COOKIE
        && datagram.len() <= MAX_MESSAGE_BYTES;
    is_message.then_some((*transaction, Attributes { message: datagram, at: HEADER_BYTES }))
}

/// Type, value without its padding, and offset of each attribute; ends at the first that its message cannot hold.
struct Attributes<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8], usize);

    fn next(&mut self) -> Option<Self::Item> {
        let at = self.at;
        let (&[k0, k1, l0, l1], rest) = self.message.get(at..)?.split_first_chunk::<ATTRIBUTE_HEADER_BYTES>()?;
        let value = rest.get(..usize::from(u16::from_be_bytes([l0, l1])))?;
        self.at = at + ATTRIBUTE_HEADER_BYTES + value.len().next_multiple_of(4);
        Some((u16::from_be_bytes([k0, k1]), value, at))
    }
}

/// Whether a correct FINGERPRINT closes the message whose MESSAGE-INTEGRITY stands at `integrity_at` (RFC 8489 §14.7).
fn ends_in_fingerprint(message: &[u8], integrity_at: usize) -> bool {
    let at = integrity_at + ATTRIBUTE_HEADER_BYTES + INTEGRITY_BYTES;
    Attributes { message, at }.any(|(kind, value, at)| {
        kind == attribute::FINGERPRINT
            && at + ATTRIBUTE_HEADER_BYTES + FINGERPRINT_BYTES == message.len()
            && message.get(..at).is_some_and(|covered| value == fingerprint(covered))
    })
}

/// The value of FINGERPRINT over all that stands before it; the header's length already counts it.
fn fingerprint(covered: &[u8]) -> [u8; FINGERPRINT_BYTES] {
    (crc32(covered) ^ FINGERPRINT_XOR).to_be_bytes()
}

/// Some if the MESSAGE-INTEGRITY at `at` is what `key` makes of all before it (RFC 8489 §14.5).
///
/// The HMAC is over a header whose length ends with MESSAGE-INTEGRITY, hence the copy on the stack; so ring's own
/// constant-time comparison can be used.
fn verify_integrity(message: &[u8], at: usize, key: &Key) -> Option<()> {
    let mut copy = [0; MAX_MESSAGE_BYTES];
    let covered = copy.get_mut(..at)?;
    covered.copy_from_slice(message.get(..at)?);
    let length = (at + ATTRIBUTE_HEADER_BYTES + INTEGRITY_BYTES).checked_sub(HEADER_BYTES)?;
    covered.get_mut(2..4)?.copy_from_slice(&u16::try_from(length).ok()?.to_be_bytes());
    let start = at + ATTRIBUTE_HEADER_BYTES;
    let value = message.get(start..start + INTEGRITY_BYTES)?;
    hmac::verify(&key.0, covered, value).ok()
}

/// The two fragments of an ICE USERNAME, `receiver:sender` (RFC 8445 §7.2.2).
fn split_username(username: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = username.iter().position(|&byte| byte == b':')?;
    let (local, remote) = (username.get(..colon)?, username.get(colon + 1..)?);
    let is_ufrag = |part: &[u8]| (1..=MAX_UFRAG_BYTES).contains(&part.len());
    (is_ufrag(local) && is_ufrag(remote)).then_some((local, remote))
}

/// The address in an XOR-MAPPED-ADDRESS (RFC 8489 §14.2).
///
/// ```text
///  0               1               2               3
/// |    zero      | family 1 or 2 |   port xor cookie (16 high bits)  |
/// |  4 or 16 bytes of address xor (cookie, transaction) ...          |
/// ```
fn parse_xor_address(value: &[u8], transaction: &[u8; 12]) -> Option<SocketAddr> {
    let (&[_, family, p0, p1], address) = value.split_first_chunk::<4>()?;
    let mask = address_mask(transaction);
    let port = u16::from_be_bytes([p0 ^ mask[0], p1 ^ mask[1]]);
    let ip = match (family, address.len()) {
        (1, 4) => IpAddr::V4(Ipv4Addr::from(xor(*address.first_chunk()?, &mask))),
        (2, 16) => IpAddr::V6(Ipv6Addr::from(xor(*address.first_chunk()?, &mask))),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

/// What addresses are hidden with, against gateways that rewrite addresses in payloads: cookie, then transaction.
fn address_mask(transaction: &[u8; 12]) -> [u8; 16] {
    let mut mask = [0; 16];
    mask[..4].copy_from_slice(&MAGIC_COOKIE);
    mask[4..].copy_from_slice(transaction);
    mask
}

fn xor<const N: usize>(mut bytes: [u8; N], mask: &[u8; 16]) -> [u8; N] {
    bytes.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
    bytes
}
