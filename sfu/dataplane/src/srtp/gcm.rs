//! Per packet: AEAD_AES_128_GCM and AEAD_AES_256_GCM (RFC 7714). Guarded by `cargo bench --bench seal`.
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
        Some(Self { key: LessSafeKey::new(UnboundKey::new(algorithm, key).ok()?), salt })
    }

    /// Seals `buffer[..len]` in place; the sealed length, None if the buffer is too small.
    pub fn seal_rtp(&self, buffer: &mut [u8], header_len: usize, len: usize, ssrc: u32, index: u64) -> Option<usize> {
        let (packet, room) = buffer.split_at_mut_checked(len)?;
        let (header, payload) = packet.split_at_mut_checked(header_len)?;
        let room = room.get_mut(..TAG_LEN)?;
        let tag = self.key.seal_in_place_separate_tag(self.nonce(ssrc, index), Aad::from(&*header), payload).ok()?;
        room.copy_from_slice(tag.as_ref());
        Some(len + TAG_LEN)
    }

    /// Opens `packet` in place; the open length. What is left in the packet after a refusal is unspecified.
    pub fn open_rtp(&self, packet: &mut [u8], header_len: usize, ssrc: u32, index: u64) -> Result<usize, Drop> {
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
            .seal_in_place_separate_tag(self.nonce(ssrc, u64::from(index)), Aad::from(associated), body)
            .ok()?;
        tag_room.copy_from_slice(tag.as_ref());
        index_room.copy_from_slice(&trailer);
        Some(len + TAG_LEN + INDEX_LEN)
    }

    /// Opens `packet`, whose trailer says it is encrypted under `index`, in place; the open length.
    pub fn open_rtcp(&self, packet: &mut [u8], ssrc: u32, index: u32) -> Result<usize, Drop> {
        let sealed_len = packet.len().checked_sub(INDEX_LEN).ok_or(Drop::Short)?;
        let (header, sealed) = packet[..sealed_len].split_at_mut_checked(RTCP_HEADER_LEN).ok_or(Drop::Short)?;
        if sealed.len() < TAG_LEN {
            return Err(Drop::Short);
        }
        let associated = rtcp_associated(header, (ENCRYPTED | index).to_be_bytes());
        self.key
            .open_in_place(self.nonce(ssrc, u64::from(index)), Aad::from(associated), sealed)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::srtp::vectors::bytes;

    const KEY_128: &str = "000102030405060708090a0b0c0d0e0f";
    const KEY_256: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    /// "Quid pro quo".
    const SALT: &str = "517569642070726f2071756f";

    const RTP: &str = "8040f17b 8041f8d3 5501a0b2
        47616c6c 69612065 7374206f 6d6e6973 20646976 69736120 696e2070 61727465 73207472 6573";
    const RTP_SSRC: u32 = 0x5501_a0b2;
    const RTP_INDEX: u64 = 0xf17b;

    const RTCP: &str = "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61
        deadbeef deadbeef deadbeef deadbeef deadbeef";
    const RTCP_SSRC: u32 = 0x4d61_7273;
    const RTCP_INDEX: u32 = 0x5d4;

    fn cipher(key: &str) -> Cipher {
        Cipher::new(&bytes(key), bytes(SALT).try_into().unwrap()).unwrap()
    }

    fn assert_rtp(key: &str, sealed: &str) {
        let (open, sealed) = (bytes(RTP), bytes(sealed));
        let mut buffer = open.clone();
        buffer.resize(sealed.len(), 0);
        let len = cipher(key).seal_rtp(&mut buffer, 12, open.len(), RTP_SSRC, RTP_INDEX);
        assert_eq!((len, &buffer), (Some(sealed.len()), &sealed));
        let len = cipher(key).open_rtp(&mut buffer, 12, RTP_SSRC, RTP_INDEX);
        assert_eq!(len, Ok(open.len()));
        assert_eq!(buffer[..open.len()], open);
    }

    fn assert_rtcp(key: &str, sealed: &str) {
        let (open, sealed) = (bytes(RTCP), bytes(sealed));
        let mut buffer = open.clone();
        buffer.resize(sealed.len(), 0);
        let len = cipher(key).seal_rtcp(&mut buffer, open.len(), RTCP_SSRC, RTCP_INDEX);
        assert_eq!((len, &buffer), (Some(sealed.len()), &sealed));
        let len = cipher(key).open_rtcp(&mut buffer, RTCP_SSRC, RTCP_INDEX);
        assert_eq!(len, Ok(open.len()));
        assert_eq!(buffer[..open.len()], open);
    }

    #[test]
    fn rfc_7714_section_16_1_srtp_aes_128() {
        assert_rtp(
            KEY_128,
            "8040f17b 8041f8d3 5501a0b2
             f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f 42a5f47a 51c7d19b 36de3adf 8833
             899d7f27 beb16a91 52cf765e e4390cce",
        );
    }

    #[test]
    fn rfc_7714_section_16_2_srtp_aes_256() {
        assert_rtp(
            KEY_256,
            "8040f17b 8041f8d3 5501a0b2
             32b1de78 a822fe12 ef9f78fa 332e33aa b1801238 9a58e2f3 b50b2a02 76ffae0f 1ba63799 b87b
             7aa3db36 dfffd6b0 f9bb7878 d7a76c13",
        );
    }

    #[test]
    fn rfc_7714_section_17_1_srtcp_aes_128() {
        assert_rtcp(
            KEY_128,
            "81c8000d 4d617273
             63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d c676a5f1 730d6fda 4ce09b46
             86303ded 0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade 800005d4",
        );
    }

    #[test]
    fn rfc_7714_section_17_2_srtcp_aes_256() {
        assert_rtcp(
            KEY_256,
            "81c8000d 4d617273
             d50ae4d1 f5ce5d30 4ba297e4 7d470c28 2c3ece5d bffe0a50 a2eaa5c1 110555be 8415f658
             c61de047 6f1b6fad 1d1eb30c 4446839f 57ff6f6c b26ac3be 800005d4",
        );
    }
}
