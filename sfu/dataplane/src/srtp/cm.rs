//! Per packet: AES128_CM_HMAC_SHA1_80 (RFC 3711 §4.1.1, §4.2.1). Guarded by `cargo test --release -- --ignored seal_cost`.
//!
//! ```text
//! SRTP    | header, CSRCs, extension |  payload  | tag 10 |            tag over all before it || ROC
//!                                       encrypted
//! SRTCP   | header, SSRC | rest of the compound | E=1, index 31 | tag 10 |    tag over all before it
//!                          encrypted
//! ```

use aes::cipher::{BlockEncrypt, KeyInit};
use aes::{Aes128Enc, Block};
use ring::hmac;

use super::kdf::{Master, Purpose, Stream};
use super::{Drop, ENCRYPTED, RTCP_HEADER_LEN};

/// Bytes of HMAC-SHA1 that are sent.
pub const TAG_LEN: usize = 10;
/// Bytes of master and session key alike.
pub const KEY_LEN: usize = 16;
/// Bytes of master and session salt alike.
pub const SALT_LEN: usize = 14;

const AUTHENTICATION_KEY_LEN: usize = 20;
const INDEX_LEN: usize = 4;

/// Blocks encrypted side by side: a processor with AES instructions works on that many at once.
const LANES: usize = 8;
const BLOCK_LEN: usize = 16;

/// One stream's session keys and salt.
pub struct Cipher {
    aes: Aes128Enc,
    authentication: hmac::Key,
    salt: [u8; SALT_LEN],
}

impl Cipher {
    /// The session keys of `stream`.
    pub fn derive(master: &Master, stream: Stream) -> Self {
        let mut key = [0; KEY_LEN];
        let mut authentication = [0; AUTHENTICATION_KEY_LEN];
        let mut salt = [0; SALT_LEN];
        master.derive(stream, Purpose::Encryption, &mut key);
        master.derive(stream, Purpose::Authentication, &mut authentication);
        master.derive(stream, Purpose::Salt, &mut salt);
        Self::new(key, &authentication, salt)
    }

    /// From session keys, not master keys.
    pub fn new(key: [u8; KEY_LEN], authentication: &[u8], salt: [u8; SALT_LEN]) -> Self {
        Self {
            aes: Aes128Enc::new(&key.into()),
            authentication: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, authentication),
            salt,
        }
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
        let room = room.get_mut(..TAG_LEN)?;
        self.apply_keystream(packet.get_mut(header_len..)?, ssrc, index);
        room.copy_from_slice(&self.tag(packet, &roc(index)));
        Some(len + TAG_LEN)
    }

    /// Opens `packet` in place; the open length. A refused packet is left as it came.
    pub fn open_rtp(
        &self,
        packet: &mut [u8],
        header_len: usize,
        ssrc: u32,
        index: u64,
    ) -> Result<usize, Drop> {
        let len = packet.len().checked_sub(TAG_LEN).ok_or(Drop::Short)?;
        let (packet, tag) = packet.split_at_mut(len);
        if header_len > len {
            return Err(Drop::Short);
        }
        self.verify(packet, &roc(index), tag)?;
        self.apply_keystream(&mut packet[header_len..], ssrc, index);
        Ok(len)
    }

    /// Seals the compound in `buffer[..len]` in place; the sealed length, None if the buffer is too small.
    pub fn seal_rtcp(&self, buffer: &mut [u8], len: usize, ssrc: u32, index: u32) -> Option<usize> {
        let (packet, room) = buffer.split_at_mut_checked(len)?;
        let (index_room, tag_room) = room.get_mut(..INDEX_LEN + TAG_LEN)?.split_at_mut(INDEX_LEN);
        self.apply_keystream(packet.get_mut(RTCP_HEADER_LEN..)?, ssrc, u64::from(index));
        let trailer = (ENCRYPTED | index).to_be_bytes();
        index_room.copy_from_slice(&trailer);
        tag_room.copy_from_slice(&self.tag(packet, &trailer));
        Some(len + INDEX_LEN + TAG_LEN)
    }

    /// Opens `packet`, whose trailer says it is encrypted under `index`, in place; the open length.
    pub fn open_rtcp(&self, packet: &mut [u8], ssrc: u32, index: u32) -> Result<usize, Drop> {
        let len = packet
            .len()
            .checked_sub(INDEX_LEN + TAG_LEN)
            .ok_or(Drop::Short)?;
        let (packet, trailer) = packet.split_at_mut(len);
        let body = packet.get(RTCP_HEADER_LEN..).ok_or(Drop::Short)?.len();
        self.verify(packet, &trailer[..INDEX_LEN], &trailer[INDEX_LEN..])?;
        self.apply_keystream(&mut packet[len - body..], ssrc, u64::from(index));
        Ok(len)
    }

    /// Encrypts or decrypts: AES in counter mode from the packet's initial value (RFC 3711 §4.1.1).
    fn apply_keystream(&self, data: &mut [u8], ssrc: u32, index: u64) {
        let start = self.initial_value(ssrc, index);
        for (number, chunk) in data.chunks_mut(LANES * BLOCK_LEN).enumerate() {
            let first = start.wrapping_add((number * LANES) as u128);
            let mut lanes: [Block; LANES] =
                std::array::from_fn(|lane| first.wrapping_add(lane as u128).to_be_bytes().into());
            self.aes.encrypt_blocks(&mut lanes);
            for (byte, key) in chunk.iter_mut().zip(lanes.iter().flatten()) {
                *byte ^= key;
            }
        }
    }

    /// `(salt << 16) ^ (SSRC << 64) ^ (index << 16)`; the low 16 bits count blocks.
    fn initial_value(&self, ssrc: u32, index: u64) -> u128 {
        let mut salt = [0; BLOCK_LEN];
        salt[..SALT_LEN].copy_from_slice(&self.salt);
        u128::from_be_bytes(salt) ^ u128::from(ssrc) << 64 ^ u128::from(index) << 16
    }

    fn tag(&self, packet: &[u8], suffix: &[u8]) -> [u8; TAG_LEN] {
        let mut context = hmac::Context::with_key(&self.authentication);
        context.update(packet);
        context.update(suffix);
        let mut tag = [0; TAG_LEN];
        tag.copy_from_slice(&context.sign().as_ref()[..TAG_LEN]);
        tag
    }

    fn verify(&self, packet: &[u8], suffix: &[u8], tag: &[u8]) -> Result<(), Drop> {
        let expected = self.tag(packet, suffix);
        // One look at all bytes, whichever differ: no early exit to time.
        let difference = expected
            .iter()
            .zip(tag)
            .fold(0, |acc, (a, b)| acc | (a ^ b));
        if difference == 0 && tag.len() == TAG_LEN {
            Ok(())
        } else {
            Err(Drop::Authentication)
        }
    }
}

/// The rollover counter as the tag covers it.
fn roc(index: u64) -> [u8; 4] {
    ((index >> 16) as u32).to_be_bytes()
}
