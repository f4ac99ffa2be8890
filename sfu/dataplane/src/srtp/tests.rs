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

#[test]
fn what_is_sealed_opens_to_the_same_packet() {
    for profile in PROFILES {
        let (sealer, mut opener) = pair(profile);
        for (sequence, head) in [
            (0, "806f0000 00000000 0a0b0c0d"),
            (1, "826f0001 00000000 0a0b0c0d 11111111 22222222"),
            (2, "906f0002 00000000 0a0b0c0d bede0001 10ff2000"),
            (3, "936f0003 00000000 0a0b0c0d 11111111 22222222 33333333 bede0001 10ff2000"),
            (4, "b06f0004 00000000 0a0b0c0d bede0000"),
        ] {
            for payload_len in [1, 15, 16, 17, 127, 128, 129, 1000] {
                let index = (payload_len as u64) << 16 | sequence;
                let packet = rtp_packet(head, payload_len);
                let sealed = seal(&sealer, &packet, index);
                assert_eq!(sealed.len(), packet.len() + profile.rtp_overhead());
                let header_len = bytes(head).len();
                assert_eq!(sealed[..header_len], packet[..header_len]);
                assert_ne!(sealed[header_len..packet.len()], packet[header_len..]);
                let fresh = &mut Opener::new(profile, &master(profile)).unwrap();
                if index < 1 << 16 {
                    assert_eq!(open(fresh, &sealed), Ok((packet, index)));
                }
            }
            let packet = rtp_packet(head, 50);
            let sealed = seal(&sealer, &packet, sequence);
            assert_eq!(open(&mut opener, &sealed), Ok((packet, sequence)));
        }
    }
}
