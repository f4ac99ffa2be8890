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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::srtp::vectors::bytes;

    fn derived(master: &Master, purpose: Purpose, len: usize) -> Vec<u8> {
        let mut out = vec![0; len];
        master.derive(Stream::Rtp, purpose, &mut out);
        out
    }

    #[test]
    fn rfc_3711_appendix_b_3() {
        let master =
            Master::new(&bytes("e1f97a0d3e018be0d64fa32c06de4139"), &bytes("0ec675ad498afeebb6960b3aabe6")).unwrap();
        let cipher_key = bytes("c61e7a93744f39ee10734afe3ff7a087");
        let cipher_salt = bytes("30cbbc08863d8c85d49db34a9ae1");
        let auth_key = bytes(
            "cebe321f6ff7716b6fd4ab49af256a15 6d38baa48f0a0acf3c34e2359e6cdbce
             e049646c43d9327ad175578ef7227098 6371c10c9a369ac2f94a8c5fbcdddc25
             6d6e919a48b610ef17c2041e47403576 6b68642c59bbfc2f34db60dbdfb2",
        );
        assert_eq!(derived(&master, Purpose::Encryption, 16), cipher_key);
        assert_eq!(derived(&master, Purpose::Salt, 14), cipher_salt);
        assert_eq!(derived(&master, Purpose::Authentication, 94), auth_key);
    }

    #[test]
    fn rfc_6188_section_7_4_aes_256() {
        let master = Master::new(
            &bytes("f0f04914b513f2763a1b1fa130f10e29 98f6f6e43e4309d1e622a0e332b9f1b6"),
            &bytes("3b04803de51ee7c96423ab5b78d2"),
        )
        .unwrap();
        let cipher_key = bytes("5ba1064e30ec51613cad926c5a28ef73 1ec7fb397f70a960653caf06554cd8c4");
        let cipher_salt = bytes("fa31791685ca444a9e07c6c64e93");
        let auth_key = bytes("fd9c32d39ed5fbb5a9dc96b30818454d1313dc05");
        assert_eq!(derived(&master, Purpose::Encryption, 32), cipher_key);
        assert_eq!(derived(&master, Purpose::Salt, 14), cipher_salt);
        assert_eq!(derived(&master, Purpose::Authentication, 20), auth_key);
    }

    #[test]
    fn rtp_and_rtcp_share_no_key() {
        let master = Master::new(&[1; 16], &[2; 12]).unwrap();
        let mut keys = Vec::new();
        for stream in [Stream::Rtp, Stream::Rtcp] {
            for purpose in [Purpose::Encryption, Purpose::Authentication, Purpose::Salt] {
                let mut key = [0; 16];
                master.derive(stream, purpose, &mut key);
                assert!(!keys.contains(&key));
                keys.push(key);
            }
        }
    }

    #[test]
    fn a_master_key_of_another_length_is_refused() {
        for key_len in [0, 15, 17, 24, 31, 33] {
            assert!(Master::new(&vec![0; key_len], &[0; 14]).is_none());
        }
        assert!(Master::new(&[0; 16], &[0; 15]).is_none());
    }
}
