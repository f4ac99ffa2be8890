//! Session keys from a master key (RFC 3711 §4.3). Run once a session, never per packet.
//!
//! The pseudo-random function is AES in counter mode with the master key (RFC 3711 §4.3.3; RFC 6188 §2 for 256 bits).
//! The key derivation rate is 0, as DTLS-SRTP has it (RFC 5764 §4.1.2), so one derivation serves the whole session.

use aes::cipher::{BlockEncrypt, KeyInit};
use aes::{Aes128Enc, Aes256Enc};

/// Longest master salt, that of the counter mode profiles; a shorter one is filled up with zeros (RFC 7714 §11).
const SALT_LEN: usize = 14;

/// Which keys of a session: those of SRTP or those of SRTCP. The value is the first of its three labels.
#[derive(Clone, Copy)]
pub enum Stream {
    /// Media.
    Rtp = 0,
    /// Control.
    Rtcp = 3,
}

/// What a derived key is for, as the offset of its label (RFC 3711 §4.3.1 and §4.3.2).
#[derive(Clone, Copy)]
pub enum Purpose {
    /// The cipher's key.
    Encryption = 0,
    /// The key of HMAC-SHA1; the AEAD profiles have none.
    Authentication = 1,
    /// What a packet's nonce is mixed with.
    Salt = 2,
}

/// A master key and salt, ready to derive from.
pub struct Master {
    prf: Prf,
    salt: [u8; SALT_LEN],
}

enum Prf {
    Aes128(Box<Aes128Enc>),
    Aes256(Box<Aes256Enc>),
}

impl Master {
    /// None for a key that is not 16 or 32 bytes, or a salt of more than 14.
    pub fn new(key: &[u8], salt: &[u8]) -> Option<Self> {
        let prf = match key.len() {
            16 => Prf::Aes128(Box::new(Aes128Enc::new_from_slice(key).ok()?)),
            32 => Prf::Aes256(Box::new(Aes256Enc::new_from_slice(key).ok()?)),
            _ => return None,
        };
        let mut padded = [0; SALT_LEN];
        padded.get_mut(..salt.len())?.copy_from_slice(salt);
        Some(Self { prf, salt: padded })
    }

    /// Fills `out`, at most 1 MiB, with the key for one purpose of one stream.
    pub fn derive(&self, stream: Stream, purpose: Purpose, out: &mut [u8]) {
        let mut counter = [0; 16];
        counter[..SALT_LEN].copy_from_slice(&self.salt);
        // key_id = label || index/rate is 56 bits wide and the rate is 0: the label meets byte 7 of the salt.
        counter[7] ^= stream as u8 + purpose as u8;
        for (number, chunk) in out.chunks_mut(16).enumerate() {
            counter[14..].copy_from_slice(&(number as u16).to_be_bytes());
            let mut block = counter.into();
            match &self.prf {
                Prf::Aes128(aes) => aes.encrypt_block(&mut block),
                Prf::Aes256(aes) => aes.encrypt_block(&mut block),
            }
            chunk.copy_from_slice(&block[..chunk.len()]);
        }
    }
}
