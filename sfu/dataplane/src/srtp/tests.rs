//! SRTP and SRTCP as a whole: what opens, what does not, and what a refused packet leaves behind (nothing).

use super::vectors::bytes;
use super::*;

const PROFILES: [Profile; 3] = [Profile::Aes128CmHmacSha1_80, Profile::AeadAes128Gcm, Profile::AeadAes256Gcm];

fn master(profile: Profile) -> Vec<u8> {
    (0..profile.key_len() + profile.salt_len()).map(|n| n as u8).collect()
}

fn pair(profile: Profile) -> (Sealer, Opener) {
    let master = master(profile);
    (Sealer::new(profile, &master).unwrap(), Opener::new(profile, &master).unwrap())
}

/// A packet with the header given first and `payload_len` counted bytes after it.
fn rtp_packet(head: &str, payload_len: usize) -> Vec<u8> {
    let mut packet = bytes(head);
    packet.extend((0..payload_len).map(|n| n as u8));
    packet
}

/// A plain packet of SSRC 0x0a0b0c0d with the sequence number that `index` ends with.
fn rtp_numbered(index: u64) -> Vec<u8> {
    let mut packet = rtp_packet("806f0000 00000000 0a0b0c0d", 40);
    packet[2..4].copy_from_slice(&(index as u16).to_be_bytes());
    packet
}

fn seal(sealer: &Sealer, packet: &[u8], index: u64) -> Vec<u8> {
    let header = rtp::parse(packet).unwrap();
    let mut buffer = packet.to_vec();
    buffer.resize(packet.len() + 16, 0);
    let len = sealer.seal_rtp(&mut buffer, header.header_len, packet.len(), index);
    buffer.truncate(len.unwrap());
    buffer
}

fn seal_compound(sealer: &mut Sealer, packet: &[u8]) -> Vec<u8> {
    let mut buffer = packet.to_vec();
    buffer.resize(packet.len() + 20, 0);
    let len = sealer.seal_rtcp(&mut buffer, packet.len()).unwrap();
    buffer.truncate(len);
    buffer
}

fn open(opener: &mut Opener, sealed: &[u8]) -> Result<(Vec<u8>, u64), Drop> {
    let mut packet = sealed.to_vec();
    let header = rtp::parse(&packet).ok_or(Drop::Short)?;
    let (len, index) = opener.open_rtp(&mut packet, &header)?;
    packet.truncate(len);
    Ok((packet, index))
}

fn open_compound(opener: &mut Opener, sealed: &[u8]) -> Result<Vec<u8>, Drop> {
    let mut packet = sealed.to_vec();
    let len = opener.open_rtcp(&mut packet)?;
    packet.truncate(len);
    Ok(packet)
}

const REPORT: &str = "80c90001 0a0b0c0d 81ca0003 0a0b0c0d 01054142 43444500";

/// Heads of packets that say where the payload begins in every way there is: CSRCs, extension, both, an empty block.
const HEADS: [&str; 5] = [
    "806f0007 00000000 0a0b0c0d",
    "826f0007 00000000 0a0b0c0d 11111111 22222222",
    "906f0007 00000000 0a0b0c0d bede0001 10ff2000",
    "936f0007 00000000 0a0b0c0d 11111111 22222222 33333333 bede0001 10ff2000",
    "906f0007 00000000 0a0b0c0d bede0000",
];

#[test]
fn what_is_sealed_opens_to_the_same_packet() {
    for profile in PROFILES {
        for head in HEADS {
            for payload_len in [0, 1, 15, 16, 17, 127, 128, 129, 1000] {
                let (sealer, mut opener) = pair(profile);
                let packet = rtp_packet(head, payload_len);
                let sealed = seal(&sealer, &packet, 7);
                assert_eq!(sealed.len(), packet.len() + profile.rtp_overhead());
                assert_eq!(open(&mut opener, &sealed), Ok((packet, 7)));
            }
        }
    }
}

#[test]
fn contributing_sources_and_extension_stay_in_the_clear_and_the_payload_does_not() {
    for profile in PROFILES {
        for head in HEADS {
            let packet = rtp_packet(head, 64);
            let sealed = seal(&pair(profile).0, &packet, 7);
            let header_len = bytes(head).len();
            assert_eq!(sealed[..header_len], packet[..header_len]);
            for (open, sealed) in packet[header_len..].chunks(16).zip(sealed[header_len..].chunks(16)) {
                assert_ne!(open, sealed);
            }
        }
    }
}

#[test]
fn a_packet_is_sealed_otherwise_after_each_rollover() {
    for profile in PROFILES {
        let (sealer, _) = pair(profile);
        let first = seal(&sealer, &rtp_numbered(1), 1);
        for bit in 16..48 {
            let later = seal(&sealer, &rtp_numbered(1), 1 << bit | 1);
            for (first, later) in first[12..].chunks(16).zip(later[12..].chunks(16)) {
                assert_ne!(first, later);
            }
        }
    }
}

#[test]
fn a_compound_opens_once_and_no_two_are_sealed_alike() {
    for profile in PROFILES {
        let (mut sealer, mut opener) = pair(profile);
        let first = seal_compound(&mut sealer, &bytes(REPORT));
        let second = seal_compound(&mut sealer, &bytes(REPORT));
        assert_eq!(first.len(), bytes(REPORT).len() + profile.rtcp_overhead());
        assert_ne!(first[8..24], second[8..24]);
        assert_eq!(open_compound(&mut opener, &second), Ok(bytes(REPORT)));
        assert_eq!(open_compound(&mut opener, &first), Ok(bytes(REPORT)));
        assert_eq!(open_compound(&mut opener, &second), Err(Drop::Replay));
        assert_eq!(open_compound(&mut opener, &first), Err(Drop::Replay));
    }
}

#[test]
fn after_two_to_the_31_compounds_a_sealer_seals_no_more() {
    for profile in PROFILES {
        let mut sealer = Sealer { next_rtcp_index: (1 << 31) - 1, ..pair(profile).0 };
        let mut buffer = bytes(REPORT);
        let len = buffer.len();
        buffer.resize(len + 20, 0);
        assert!(sealer.seal_rtcp(&mut buffer, len).is_some());
        assert_eq!(sealer.seal_rtcp(&mut buffer, len), None);
        assert_eq!(sealer.seal_rtcp(&mut buffer, len), None);
    }
}

/// RFC 7714 §17.3 is authentic for its session key; here the E bit alone decides, before any key is used.
#[test]
fn unencrypted_srtcp_is_refused() {
    for profile in PROFILES {
        let (mut sealer, mut opener) = pair(profile);
        let mut sealed = seal_compound(&mut sealer, &bytes(REPORT));
        let trailer_at = sealed.len() - 4 - profile.after_index();
        sealed[trailer_at] &= 0x7f;
        assert_eq!(open_compound(&mut opener, &sealed), Err(Drop::Authentication));
    }
}

#[test]
fn a_duplicate_is_refused_however_late_and_a_late_packet_is_not() {
    for profile in PROFILES {
        let (sealer, mut opener) = pair(profile);
        let sealed: Vec<_> =
            (65_400..65_700).map(|index| (index, seal(&sealer, &rtp_numbered(index), index))).collect();
        for (index, packet) in sealed.iter().filter(|(index, _)| index % 3 != 0) {
            assert_eq!(open(&mut opener, packet), Ok((rtp_numbered(*index), *index)));
        }
        for (index, packet) in &sealed {
            let is_late = index % 3 == 0 && 65_699 - index < 128;
            assert_eq!(open(&mut opener, packet).is_ok(), is_late, "{index}");
            assert_eq!(open(&mut opener, packet), Err(Drop::Replay));
        }
    }
}

#[test]
fn a_packet_of_another_key_opens_nowhere() {
    for profile in PROFILES {
        let mut other = master(profile);
        *other.last_mut().unwrap() ^= 1;
        let mut sealer = Sealer::new(profile, &other).unwrap();
        let (_, mut opener) = pair(profile);
        let sealed = seal(&sealer, &rtp_numbered(1), 1);
        assert_eq!(open(&mut opener, &sealed), Err(Drop::Authentication));
        let sealed = seal_compound(&mut sealer, &bytes(REPORT));
        assert_eq!(open_compound(&mut opener, &sealed), Err(Drop::Authentication));
    }
}

#[test]
fn every_flipped_bit_and_every_truncation_is_refused_and_spoils_nothing() {
    for profile in PROFILES {
        let (mut sealer, mut opener) = pair(profile);
        let sealed = seal(&sealer, &rtp_packet(HEADS[3], 20), 7);
        let compound = seal_compound(&mut sealer, &bytes(REPORT));
        for (original, opens) in [
            (&sealed, (|opener, packet| open(opener, packet).is_ok()) as fn(&mut Opener, &[u8]) -> bool),
            (&compound, |opener, packet| open_compound(opener, packet).is_ok()),
        ] {
            for bit in 0..original.len() * 8 {
                let mut altered = original.clone();
                altered[bit / 8] ^= 1 << (bit % 8);
                assert!(!opens(&mut opener, &altered), "bit {bit}");
            }
            for len in 0..original.len() {
                assert!(!opens(&mut opener, &original[..len]), "length {len}");
            }
            assert!(opens(&mut opener, original));
        }
    }
}

/// Threat T8: forged packets of every length and first byte, in buffers of exactly their size.
#[test]
fn t8_no_forged_packet_opens_whatever_its_length_and_first_byte() {
    let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
    for profile in PROFILES {
        let (mut sealer, mut opener) = pair(profile);
        for len in 0..=1500 {
            for first in 128..=191 {
                let mut packet = vec![0; len].into_boxed_slice();
                noise.fill(&mut packet);
                if let Some(byte) = packet.first_mut() {
                    *byte = first;
                }
                let mut compound = packet.clone();
                if let Some(header) = rtp::parse(&packet) {
                    assert!(opener.open_rtp(&mut packet, &header).is_err());
                }
                assert!(opener.open_rtcp(&mut compound).is_err());
            }
        }
        let genuine = seal(&sealer, &rtp_numbered(1), 1);
        assert!(open(&mut opener, &genuine).is_ok(), "forgeries used up what is kept for real sources");
        let genuine = seal_compound(&mut sealer, &bytes(REPORT));
        assert!(open_compound(&mut opener, &genuine).is_ok());
    }
}

#[test]
fn a_forgery_far_ahead_does_not_move_the_rollover_counter() {
    for profile in PROFILES {
        let (sealer, mut opener) = pair(profile);
        assert!(open(&mut opener, &seal(&sealer, &rtp_numbered(60_000), 60_000)).is_ok());
        for sequence in [10, 20_000, 27_000] {
            let mut forged = seal(&sealer, &rtp_numbered(sequence), sequence);
            *forged.last_mut().unwrap() ^= 1;
            assert_eq!(open(&mut opener, &forged), Err(Drop::Authentication));
        }
        assert!(open(&mut opener, &seal(&sealer, &rtp_numbered(60_001), 60_001)).is_ok());
    }
}

#[test]
fn a_buffer_without_room_for_the_trailer_is_left_unsealed() {
    for profile in PROFILES {
        let (mut sealer, mut opener) = pair(profile);
        let packet = rtp_numbered(1);
        for room in 0..profile.rtp_overhead() {
            let mut buffer = packet.clone();
            buffer.resize(packet.len() + room, 0);
            assert_eq!(sealer.seal_rtp(&mut buffer, 12, packet.len(), 1), None);
            assert_eq!(buffer[..packet.len()], packet);
        }
        for room in 0..profile.rtcp_overhead() {
            let mut buffer = bytes(REPORT);
            let len = buffer.len();
            buffer.resize(len + room, 0);
            assert_eq!(sealer.seal_rtcp(&mut buffer, len), None);
            assert_eq!(buffer[..len], bytes(REPORT));
        }
        let sealed = seal_compound(&mut sealer, &bytes(REPORT));
        assert!(open_compound(&mut opener, &sealed).is_ok());
    }
}

#[test]
fn impossible_lengths_and_indices_are_not_sealed() {
    for profile in PROFILES {
        let (mut sealer, _) = pair(profile);
        let mut buffer = rtp_numbered(1);
        buffer.resize(100, 0);
        for (header_len, len, index) in [
            (12, 101, 1),
            (12, usize::MAX, 1),
            (53, 52, 1),
            (11, 52, 1),
            (usize::MAX, 52, 1),
            (12, 52, 2),
            (12, 52, 1 << 48 | 1),
        ] {
            assert_eq!(sealer.seal_rtp(&mut buffer, header_len, len, index), None);
        }
        for len in [0, 7, 101, usize::MAX] {
            assert_eq!(sealer.seal_rtcp(&mut buffer, len), None);
        }
        assert_eq!(sealer.seal_rtp(&mut [], 12, 12, 0), None);
        assert_eq!(sealer.seal_rtcp(&mut [], 8), None);
    }
}

#[test]
fn a_master_key_of_another_length_makes_neither_sealer_nor_opener() {
    for profile in PROFILES {
        let right = profile.key_len() + profile.salt_len();
        for len in (0..64).filter(|&len| len != right) {
            assert!(Opener::new(profile, &vec![0; len]).is_none());
            assert!(Sealer::new(profile, &vec![0; len]).is_none());
        }
    }
}

/// RFC 5764 §4.1.2, RFC 7714 §14.2.
#[test]
fn code_points_stand_for_the_three_profiles() {
    let known: Vec<_> = (0..=u16::MAX).filter_map(|code| Some((code, Profile::from_code(code)?))).collect();
    assert_eq!(known, [(1, PROFILES[0]), (7, PROFILES[1]), (8, PROFILES[2])]);
}

/// Bytes that no key made (xorshift64); seeded, so that a failure repeats.
struct Noise(u64);

impl Noise {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            chunk.copy_from_slice(&self.0.to_le_bytes()[..chunk.len()]);
        }
    }
}
