//! Per packet: AEAD_AES_128_GCM and AEAD_AES_256_GCM (RFC 7714). Guarded by `cargo test --release -- --ignored seal_cost`.
//!
//! ```text
//! SRTP    | header, CSRCs, extension |  payload           | tag 16 |
//!           associated data             encrypted
//! SRTCP   | header, SSRC | rest of the compound | tag 16 | E=1, index 31 |
//!           associated     encrypted                       associated
//! ```

use ring::aead::{Aad, LessSafeKey, Nonce, UnboundKey, AES_128_GCM, AES_256_GCM};

use super::kdf::{Master, Purpose, Stream};
use super::{Drop, ENCRYPTED, RTCP_HEADER_LEN};

/// Bytes of the authentication tag.
pub const TAG_LEN: usize = 16;
/// Bytes of master and session salt alike.
pub const SALT_LEN: usize = 12;

const INDEX_LEN: usize = 4;

/// One stream's session key and salt.
pub struct Cipher {
    key: LessSafeKey,
    salt: [u8; SALT_LEN],
}

impl Cipher {
    /// None unless `key_len` is 16 or 32.
    pub fn derive(master: &Master, stream: Stream, key_len: usize) -> Option<Self> {
        let mut key = [0; 32];
        let mut salt = [0; SALT_LEN];
        let key = key.get_mut(..key_len)?;
        master.derive(stream, Purpose::Encryption, key);
        master.derive(stream, Purpose::Salt, &mut salt);
        Self::new(key, salt)
    }

    /// From session keys, not master keys. None unless `key` is 16 or 32 bytes.
    pub fn new(key: &[u8], salt: [u8; SALT_LEN]) -> Option<Self> {
        let algorithm = match key.len() {
            16 => &AES_128_GCM,
            32 => &AES_256_GCM,
            _ => return None,
        };
        Some(Self {
            key: LessSafeKey::new(UnboundKey::new(algorithm, key).ok()?),
            salt,
        })
    }

    /// Seals `buffer[..len]` in place; the sealed length, None if the buffer is too small.
    pub fn seal_rtp(
        &self,
        buffer: &mut [u8],
        header_len: usize,
        len: usize,
        ssrc: u32,
        index: u64,
    ) -> Option<usize> {
        let (packet, room) = buffer.split_at_mut_checked(len)?;
        let (header, payload) = packet.split_at_mut_checked(header_len)?;
        let room = room.get_mut(..TAG_LEN)?;
        let tag = self
            .key
            .seal_in_place_separate_tag(self.nonce(ssrc, index), Aad::from(&*header), payload)
            .ok()?;
        room.copy_from_slice(tag.as_ref());
        Some(len + TAG_LEN)
    }

    /// Opens `packet` in place; the open length. What is left in the packet after a refusal is unspecified.
    pub fn open_rtp(
        &self,
        packet: &mut [u8],
        header_len: usize,
        ssrc: u32,
        index: u64,
    ) -> Result<usize, Drop> {
        let (header, sealed) = packet.split_at_mut_checked(header_len).ok_or(Drop::Short)?;
        if sealed.len() < TAG_LEN {
            return Err(Drop::Short);
        }
        self.key
            .open_in_place(self.nonce(ssrc, index), Aad::from(&*header), sealed)
            .map(|payload| header_len + payload.len())
            .map_err(|_| Drop::Authentication)
    }

    /// Seals the compound in `buffer[..len]` in place; the sealed length, None if the buffer is too small.
    pub fn seal_rtcp(&self, buffer: &mut [u8], len: usize, ssrc: u32, index: u32) -> Option<usize> {
        let (packet, room) = buffer.split_at_mut_checked(len)?;
        let (header, body) = packet.split_at_mut_checked(RTCP_HEADER_LEN)?;
        let (tag_room, index_room) = room.get_mut(..TAG_LEN + INDEX_LEN)?.split_at_mut(TAG_LEN);
        let trailer = (ENCRYPTED | index).to_be_bytes();
        let associated = rtcp_associated(header, trailer);
        let tag = self
            .key
            .seal_in_place_separate_tag(
                self.nonce(ssrc, u64::from(index)),
                Aad::from(associated),
                body,
            )
            .ok()?;
        tag_room.copy_from_slice(tag.as_ref());
        index_room.copy_from_slice(&trailer);
        Some(len + TAG_LEN + INDEX_LEN)
    }

    /// Opens `packet`, whose trailer says it is encrypted under `index`, in place; the open length.
    pub fn open_rtcp(&self, packet: &mut [u8], ssrc: u32, index: u32) -> Result<usize, Drop> {
        let sealed_len = packet.len().checked_sub(INDEX_LEN).ok_or(Drop::Short)?;
        let (header, sealed) = packet[..sealed_len]
            .split_at_mut_checked(RTCP_HEADER_LEN)
            .ok_or(Drop::Short)?;
        if sealed.len() < TAG_LEN {
            return Err(Drop::Short);
        }
        let associated = rtcp_associated(header, (ENCRYPTED | index).to_be_bytes());
        self.key
            .open_in_place(
                self.nonce(ssrc, u64::from(index)),
                Aad::from(associated),
                sealed,
            )
            .map(|body| RTCP_HEADER_LEN + body.len())
            .map_err(|_| Drop::Authentication)
    }

    /// `0 0 || SSRC || index` as 48 bits, mixed with the salt: RFC 7714 §8.1, and §9.1 where the index has 31 bits.
    fn nonce(&self, ssrc: u32, index: u64) -> Nonce {
        let mut nonce = [0; SALT_LEN];
        nonce[2..6].copy_from_slice(&ssrc.to_be_bytes());
        nonce[6..].copy_from_slice(&index.to_be_bytes()[2..]);
        for (byte, salt) in nonce.iter_mut().zip(self.salt) {
            *byte ^= salt;
        }
        Nonce::assume_unique_for_key(nonce)
    }
}

/// The associated data of an encrypted SRTCP packet (RFC 7714 §9.2).
fn rtcp_associated(header: &[u8], trailer: [u8; INDEX_LEN]) -> [u8; RTCP_HEADER_LEN + INDEX_LEN] {
    let mut associated = [0; RTCP_HEADER_LEN + INDEX_LEN];
    associated[..RTCP_HEADER_LEN].copy_from_slice(header);
    associated[RTCP_HEADER_LEN..].copy_from_slice(&trailer);
    associated
}
