//! Building STUN messages into the caller's buffer.

use std::net::{IpAddr, SocketAddr};

use ring::hmac;

use super::{
    address_mask, attribute, fingerprint, xor, Check, Key, ATTRIBUTE_HEADER_BYTES, BINDING_REQUEST, BINDING_SUCCESS,
    FINGERPRINT_BYTES, HEADER_BYTES, INTEGRITY_BYTES, MAGIC_COOKIE,
};

/// The answer to `check`: XOR-MAPPED-ADDRESS, MESSAGE-INTEGRITY, FINGERPRINT (RFC 8445 §7.3.1); its length, or 0 if
/// `out` is too small.
///
/// 64 bytes for IPv4, 76 for IPv6, where the check of a full ICE agent has 92 and more: nothing to amplify with. An
/// IPv4 address that a dual-stack socket shows as `::ffff:a.b.c.d` is answered as the IPv4 address that the peer knows.
pub fn build_success(check: &Check, source: SocketAddr, key: &Key, out: &mut [u8]) -> usize {
    let mut writer = Writer::new(out);
    let written = writer
        .header(BINDING_SUCCESS, &check.transaction)
        .and_then(|()| writer.xor_address(source, &check.transaction))
        .and_then(|()| writer.integrity(key))
        .and_then(|()| writer.fingerprint());
    written.map_or(0, |()| writer.len)
}

/// A check to be sent; for tests and load generators, as an ICE-lite server sends none.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Fresh and unpredictable for each check.
    pub transaction: [u8; 12],
    /// The receiver's ufrag, a colon, the sender's.
    pub username: &'a [u8],
    /// PRIORITY of the candidate that the check may discover; FFmpeg leaves it out.
    pub priority: Option<u32>,
    /// The tie-breaker of ICE-CONTROLLING; FFmpeg leaves it out.
    pub controlling: Option<u64>,
    /// The tie-breaker of ICE-CONTROLLED.
    pub controlled: Option<u64>,
    /// USE-CANDIDATE.
    pub nominates: bool,
}

/// A Binding request; its length, or 0 if `out` is too small.
pub fn build_request(request: &Request<'_>, key: &Key, out: &mut [u8]) -> usize {
    let mut writer = Writer::new(out);
    writer.request(request, key).map_or(0, |()| writer.len)
}

/// Appends to a message and keeps the header's length true, which integrity and fingerprint depend on.
pub(super) struct Writer<'a> {
    pub(super) out: &'a mut [u8],
    pub(super) len: usize,
}

impl<'a> Writer<'a> {
    pub(super) fn new(out: &'a mut [u8]) -> Self {
        Self { out, len: 0 }
    }

    pub(super) fn header(&mut self, kind: u16, transaction: &[u8; 12]) -> Option<()> {
        self.append(&kind.to_be_bytes())?;
        self.append(&[0, 0])?;
        self.append(&MAGIC_COOKIE)?;
        self.append(transaction)
    }

    pub(super) fn attribute(&mut self, kind: u16, value: &[u8]) -> Option<()> {
        let padding = value.len().next_multiple_of(4) - value.len();
        self.open(kind, value.len())?;
        self.append(value)?;
        self.append([0; 3].get(..padding)?)
    }

    pub(super) fn xor_address(&mut self, address: SocketAddr, transaction: &[u8; 12]) -> Option<()> {
        let mask = address_mask(transaction);
        let [p0, p1] = address.port().to_be_bytes();
        let port = [p0 ^ mask[0], p1 ^ mask[1]];
        match address.ip().to_canonical() {
            IpAddr::V4(ip) => {
                self.open(attribute::XOR_MAPPED_ADDRESS, 8)?;
                self.append(&[0, 1])?;
                self.append(&port)?;
                self.append(&xor(ip.octets(), &mask))
            }
            IpAddr::V6(ip) => {
                self.open(attribute::XOR_MAPPED_ADDRESS, 20)?;
                self.append(&[0, 2])?;
                self.append(&port)?;
                self.append(&xor(ip.octets(), &mask))
            }
        }
    }

    pub(super) fn integrity(&mut self, key: &Key) -> Option<()> {
        let covered = self.len;
        self.open(attribute::MESSAGE_INTEGRITY, INTEGRITY_BYTES)?;
        let tag = hmac::sign(&key.0, self.out.get(..covered)?);
        self.append(tag.as_ref())
    }

    pub(super) fn fingerprint(&mut self) -> Option<()> {
        let covered = self.len;
        self.open(attribute::FINGERPRINT, FINGERPRINT_BYTES)?;
        let value = fingerprint(self.out.get(..covered)?);
        self.append(&value)
    }

    fn request(&mut self, request: &Request<'_>, key: &Key) -> Option<()> {
        self.header(BINDING_REQUEST, &request.transaction)?;
        self.attribute(attribute::USERNAME, request.username)?;
        if let Some(priority) = request.priority {
            self.attribute(attribute::PRIORITY, &priority.to_be_bytes())?;
        }
        if let Some(tie_breaker) = request.controlling {
            self.attribute(attribute::ICE_CONTROLLING, &tie_breaker.to_be_bytes())?;
        }
        if let Some(tie_breaker) = request.controlled {
            self.attribute(attribute::ICE_CONTROLLED, &tie_breaker.to_be_bytes())?;
        }
        if request.nominates {
            self.attribute(attribute::USE_CANDIDATE, &[])?;
        }
        self.integrity(key)?;
        self.fingerprint()
    }

    /// Writes an attribute's header and lets the message's length count the whole attribute.
    fn open(&mut self, kind: u16, value_bytes: usize) -> Option<()> {
        let end = self.len + ATTRIBUTE_HEADER_BYTES + value_bytes.next_multiple_of(4);
        let length = u16::try_from(end.checked_sub(HEADER_BYTES)?).ok()?;
        self.out.get_mut(2..4)?.copy_from_slice(&length.to_be_bytes());
        self.append(&kind.to_be_bytes())?;
        self.append(&u16::try_from(value_bytes).ok()?.to_be_bytes())
    }

    fn append(&mut self, bytes: &[u8]) -> Option<()> {
        let end = self.len + bytes.len();
        self.out.get_mut(self.len..end)?.copy_from_slice(bytes);
        self.len = end;
        Some(())
    }
}
