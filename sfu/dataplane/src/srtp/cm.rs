//! Per packet: AES128_CM_HMAC_SHA1_80 (RFC 3711 §4.1.1, §4.2.1). Guarded by `cargo bench --bench seal`.
//!
//! ```text
//! SRTP    | header, CSRCs, extension |  payload  | tag 10 |            tag over all before it || ROC
//!                                       encrypted
//! SRTCP   | header, SSRC | rest of the compound | E=1, index 31 | tag 10 |    tag over all before it
//!                          encrypted
//! ```

use aes::cipher::{BlockEncrypt, KeyInit};
use aes::{Aes128Enc, Block};
use hmac::{Hmac, Mac as _};
use sha1::Sha1;

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

/// One stream's session keys and salt. Not printable, as keys should not be.
pub struct Cipher {
    aes: Aes128Enc,
    /// Keyed and ready to be copied. Not ring's: its SHA-1 knows no SHA instructions and takes 440 ns for a 100-byte
    /// packet where this takes 140.
    authentication: Hmac<Sha1>,
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
        Self::new(key, authentication, salt)
    }

    /// From session keys, not master keys.
    pub fn new(key: [u8; KEY_LEN], authentication: [u8; AUTHENTICATION_KEY_LEN], salt: [u8; SALT_LEN]) -> Self {
        // HMAC fills its key up with zeros to a block of its hash (RFC 2104 §2).
        let mut hmac_key = [0; 64];
        hmac_key[..AUTHENTICATION_KEY_LEN].copy_from_slice(&authentication);
        Self { aes: Aes128Enc::new(&key.into()), authentication: KeyInit::new(&hmac_key.into()), salt }
    }

    /// Seals `buffer[..len]` in place; the sealed length, None if the buffer is too small.
    pub fn seal_rtp(&self, buffer: &mut [u8], header_len: usize, len: usize, ssrc: u32, index: u64) -> Option<usize> {
        let (packet, room) = buffer.split_at_mut_checked(len)?;
        let room = room.get_mut(..TAG_LEN)?;
        self.apply_keystream(packet.get_mut(header_len..)?, ssrc, index);
        room.copy_from_slice(&self.tag(packet, &roc(index)));
        Some(len + TAG_LEN)
    }

    /// Opens `packet` in place; the open length. A refused packet is left as it came.
    pub fn open_rtp(&self, packet: &mut [u8], header_len: usize, ssrc: u32, index: u64) -> Result<usize, Drop> {
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
        let len = packet.len().checked_sub(INDEX_LEN + TAG_LEN).ok_or(Drop::Short)?;
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

    /// The tag of `packet || suffix`.
    fn tag(&self, packet: &[u8], suffix: &[u8]) -> [u8; TAG_LEN] {
        let digest = self.digest(packet, suffix).finalize().into_bytes();
        let mut tag = [0; TAG_LEN];
        tag.copy_from_slice(&digest[..TAG_LEN]);
        tag
    }

    /// Whether `tag` is that of `packet || suffix`, in a time that does not tell how much of it was right.
    fn verify(&self, packet: &[u8], suffix: &[u8], tag: &[u8]) -> Result<(), Drop> {
        self.digest(packet, suffix).verify_truncated_left(tag).map_err(|_| Drop::Authentication)
    }

    fn digest(&self, packet: &[u8], suffix: &[u8]) -> Hmac<Sha1> {
        let mut digest = self.authentication.clone();
        digest.update(packet);
        digest.update(suffix);
        digest
    }
}

/// The rollover counter as the tag covers it.
fn roc(index: u64) -> [u8; 4] {
    ((index >> 16) as u32).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::srtp::vectors::bytes;

    /// The keys of RFC 3711 App. B.2, which authenticates nothing.
    fn cipher() -> Cipher {
        let key = bytes("2b7e151628aed2a6abf7158809cf4f3c");
        let salt = bytes("f0f1f2f3f4f5f6f7f8f9fafbfcfd");
        Cipher::new(key.try_into().unwrap(), [0; 20], salt.try_into().unwrap())
    }

    #[test]
    fn rfc_3711_appendix_b_2_first_blocks() {
        let mut stream = [0; 48];
        cipher().apply_keystream(&mut stream, 0, 0);
        let expected = bytes(
            "e03ead0935c95e80e166b16dd92b4eb4
             d23513162b02d0f72a43a2fe4a5f97ab
             41e95b3bb0a2e8dd477901e4fca894c0",
        );
        assert_eq!(stream[..], expected);
    }

    #[test]
    fn rfc_3711_appendix_b_2_last_blocks() {
        let mut stream = vec![0; 0xff02 * BLOCK_LEN];
        cipher().apply_keystream(&mut stream, 0, 0);
        let expected = bytes(
            "ec8cdf7398607cb0f2d21675ea9ea1e4
             362b7c3c6773516318a077d7fc5073ae
             6a2cc3787889374fbeb4c81b17ba6c44",
        );
        assert_eq!(stream[0xfeff * BLOCK_LEN..], expected);
    }

    #[test]
    fn the_keystream_of_a_short_packet_is_the_head_of_a_long_ones() {
        let mut long = [0; 300];
        cipher().apply_keystream(&mut long, 7, 9);
        for len in 0..long.len() {
            let mut short = vec![0; len];
            cipher().apply_keystream(&mut short, 7, 9);
            assert_eq!(short, long[..len]);
        }
    }
}
