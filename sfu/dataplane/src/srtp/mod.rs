//! Per packet: SRTP and SRTCP, one direction at a time (RFC 3711, RFC 7714).
//! Guarded by `cargo bench --bench seal`.
//!
//! An [`Opener`] judges what a peer sent: estimate the index, refuse replays, verify, and only then remember. A
//! [`Sealer`] makes what we send. Both work in place and allocate nothing but, once, the entry of a new source.
//!
//! Left out: header extension encryption (RFC 6904, RFC 9335), the master key identifier and re-keying, which
//! DTLS-SRTP does not negotiate unless asked, and unencrypted SRTCP, which WebRTC forbids (RFC 8827 §6.5).

mod cm;
mod gcm;
mod kdf;
pub(crate) mod replay;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;

use crate::rtp;
use kdf::{Master, Stream};
use replay::Sources;

/// The E bit of an SRTCP trailer; the other 31 bits are the index (RFC 3711 §3.4).
const ENCRYPTED: u32 = 1 << 31;
/// What stays in the clear at the head of a compound: its first header and the sender's SSRC.
const RTCP_HEADER_LEN: usize = 8;
/// What stays in the clear at the head of an RTP packet without CSRCs and extension.
const RTP_HEADER_LEN: usize = 12;
/// Bytes of the trailer that holds E and index.
const INDEX_LEN: usize = 4;

/// Cipher and authentication, as DTLS-SRTP negotiates them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(non_camel_case_types)]
pub enum Profile {
    /// RFC 5764 §4.1.2, code 0x0001.
    Aes128CmHmacSha1_80,
    /// RFC 7714 §14.2, code 0x0007.
    AeadAes128Gcm,
    /// RFC 7714 §14.2, code 0x0008.
    AeadAes256Gcm,
}

impl Profile {
    /// The profile of a DTLS-SRTP code point, if it is one of ours.
    pub fn from_code(code: u16) -> Option<Self> {
        match code {
            0x0001 => Some(Self::Aes128CmHmacSha1_80),
            0x0007 => Some(Self::AeadAes128Gcm),
            0x0008 => Some(Self::AeadAes256Gcm),
            _ => None,
        }
    }

    /// Bytes of the master key.
    pub fn key_len(self) -> usize {
        match self {
            Self::Aes128CmHmacSha1_80 | Self::AeadAes128Gcm => 16,
            Self::AeadAes256Gcm => 32,
        }
    }

    /// Bytes of the master salt.
    pub fn salt_len(self) -> usize {
        match self {
            Self::Aes128CmHmacSha1_80 => cm::SALT_LEN,
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => gcm::SALT_LEN,
        }
    }

    /// Bytes that sealing adds to an RTP packet.
    pub fn rtp_overhead(self) -> usize {
        match self {
            Self::Aes128CmHmacSha1_80 => cm::TAG_LEN,
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => gcm::TAG_LEN,
        }
    }

    /// Bytes that sealing adds to an RTCP compound.
    pub fn rtcp_overhead(self) -> usize {
        self.rtp_overhead() + INDEX_LEN
    }

    /// Bytes that follow the SRTCP index: the tag in RFC 3711, nothing in RFC 7714.
    fn after_index(self) -> usize {
        match self {
            Self::Aes128CmHmacSha1_80 => cm::TAG_LEN,
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 0,
        }
    }
}

/// Why a packet was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drop {
    /// Too short to be what it claims.
    Short,
    /// Not from the key's owner, or altered, or SRTCP without encryption.
    Authentication,
    /// Received before, or too old to tell.
    Replay,
    /// One source more than a key may have.
    UnknownSource,
}

/// Opens what one peer sends.
pub struct Opener {
    profile: Profile,
    rtp: Cipher,
    rtcp: Cipher,
    rtp_sources: Sources,
    rtcp_sources: Sources,
}

impl Opener {
    /// From master key || master salt; None if that has the wrong length for the profile.
    pub fn new(profile: Profile, master: &[u8]) -> Option<Self> {
        let (rtp, rtcp) = derive(profile, master)?;
        Some(Self { profile, rtp, rtcp, rtp_sources: Sources::default(), rtcp_sources: Sources::default() })
    }

    /// Opens a packet in place: its open length, and its index ROC << 16 | sequence.
    ///
    /// `header` is what [`rtp::parse`] read of it. What is left in `packet` after a refusal is unspecified.
    pub fn open_rtp(&mut self, packet: &mut [u8], header: &rtp::Header) -> Result<(usize, u64), Drop> {
        let fresh = self.rtp_sources.check_sequence(header.ssrc, header.sequence)?;
        let index = fresh.index;
        let len = match &self.rtp {
            Cipher::Gcm(cipher) => cipher.open_rtp(packet, header.header_len, header.ssrc, index)?,
            Cipher::Cm(cipher) => cipher.open_rtp(packet, header.header_len, header.ssrc, index)?,
        };
        self.rtp_sources.commit(fresh);
        Ok((len, index))
    }

    /// Opens a compound in place: its open length. What is left in `packet` after a refusal is unspecified.
    pub fn open_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, Drop> {
        if packet.len() < RTCP_HEADER_LEN + self.profile.rtcp_overhead() {
            return Err(Drop::Short);
        }
        let ssrc = read_u32(packet, 4).ok_or(Drop::Short)?;
        let index_at = packet.len() - INDEX_LEN - self.profile.after_index();
        let trailer = read_u32(packet, index_at).ok_or(Drop::Short)?;
        if trailer & ENCRYPTED == 0 {
            return Err(Drop::Authentication);
        }
        let index = trailer & !ENCRYPTED;
        let fresh = self.rtcp_sources.check_index(ssrc, u64::from(index))?;
        let len = match &self.rtcp {
            Cipher::Gcm(cipher) => cipher.open_rtcp(packet, ssrc, index)?,
            Cipher::Cm(cipher) => cipher.open_rtcp(packet, ssrc, index)?,
        };
        self.rtcp_sources.commit(fresh);
        Ok(len)
    }
}

/// Seals what is sent to one peer.
///
/// For RTP it keeps no state, and the caller must never give one (SSRC, index) twice: with GCM a repetition gives the
/// key away (RFC 7714 §10.1).
pub struct Sealer {
    rtp: Cipher,
    rtcp: Cipher,
    next_rtcp_index: u32,
}

impl Sealer {
    /// From master key || master salt; None if that has the wrong length for the profile.
    pub fn new(profile: Profile, master: &[u8]) -> Option<Self> {
        let (rtp, rtcp) = derive(profile, master)?;
        Some(Self { rtp, rtcp, next_rtcp_index: 0 })
    }

    /// Seals the packet in `buffer[..len]` in place; its sealed length.
    ///
    /// `index` is the packet's extended sequence number, 48 bits. None, with nothing written, if it has more, if it
    /// does not end with the packet's sequence number, or if the buffer has no room for the tag.
    pub fn seal_rtp(&self, buffer: &mut [u8], header_len: usize, len: usize, index: u64) -> Option<usize> {
        let sequence = u16::from_be_bytes([*buffer.get(2)?, *buffer.get(3)?]);
        let ssrc = read_u32(buffer, 8)?;
        if header_len < RTP_HEADER_LEN || index >> 48 != 0 || index as u16 != sequence {
            return None;
        }
        match &self.rtp {
            Cipher::Gcm(cipher) => cipher.seal_rtp(buffer, header_len, len, ssrc, index),
            Cipher::Cm(cipher) => cipher.seal_rtp(buffer, header_len, len, ssrc, index),
        }
    }

    /// Seals the compound in `buffer[..len]` in place; its sealed length.
    ///
    /// None if the buffer has no room for the trailer, and for ever after 2^31 compounds: the index never repeats.
    pub fn seal_rtcp(&mut self, buffer: &mut [u8], len: usize) -> Option<usize> {
        let index = self.next_rtcp_index;
        let ssrc = read_u32(buffer, 4)?;
        if index & ENCRYPTED != 0 {
            return None;
        }
        let sealed = match &self.rtcp {
            Cipher::Gcm(cipher) => cipher.seal_rtcp(buffer, len, ssrc, index),
            Cipher::Cm(cipher) => cipher.seal_rtcp(buffer, len, ssrc, index),
        }?;
        self.next_rtcp_index += 1;
        Some(sealed)
    }
}

/// The keys of one stream. The usual profiles lie in line; the rare and larger one behind a pointer.
#[expect(clippy::large_enum_variant, reason = "a seal must not first wait for a pointer to its key")]
enum Cipher {
    Gcm(gcm::Cipher),
    Cm(Box<cm::Cipher>),
}

/// The ciphers of RTP and RTCP.
fn derive(profile: Profile, master: &[u8]) -> Option<(Cipher, Cipher)> {
    if master.len() != profile.key_len() + profile.salt_len() {
        return None;
    }
    let (key, salt) = master.split_at(profile.key_len());
    let master = Master::new(key, salt)?;
    let of = |stream| match profile {
        Profile::Aes128CmHmacSha1_80 => Some(Cipher::Cm(Box::new(cm::Cipher::derive(&master, stream)))),
        Profile::AeadAes128Gcm | Profile::AeadAes256Gcm => {
            gcm::Cipher::derive(&master, stream, profile.key_len()).map(Cipher::Gcm)
        }
    };
    Some((of(Stream::Rtp)?, of(Stream::Rtcp)?))
}

fn read_u32(packet: &[u8], at: usize) -> Option<u32> {
    let bytes = packet.get(at..at + 4)?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}
