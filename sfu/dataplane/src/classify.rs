//! Per packet: tells the protocols on the shared port apart. Guarded by `make bench` (CPU per delivered packet).
//!
//! Left out: ZRTP, TURN channels and QUIC (RFC 7983, RFC 9443), which Palco never negotiates; they are no one's.

/// A protocol that Palco speaks on its UDP port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// RFC 8489; only Binding requests are of interest.
    Stun,
    /// RFC 6347, RFC 9147.
    Dtls,
    /// Sealed RTP, RFC 3711.
    Rtp,
    /// Sealed RTCP, RFC 3711 §3.4.
    Rtcp,
}

/// The protocol a datagram on the shared port belongs to; None if no one's.
///
/// First byte: RFC 7983 §7. RTCP apart from RTP: RFC 5761 §4, by the packet types 192 to 223, which a muxed session
/// must not use as RTP payload types 64 to 95 with the marker set. What cannot hold its own header is no one's.
pub fn classify(datagram: &[u8]) -> Option<Kind> {
    let (&[first, second], _) = datagram.split_first_chunk::<2>()?;
    let (kind, header_bytes) = match (first, second) {
        (0..=3, _) => (Kind::Stun, 20),
        (20..=63, _) => (Kind::Dtls, 13),
        (128..=191, 192..=223) => (Kind::Rtcp, 8),
        (128..=191, _) => (Kind::Rtp, 12),
        _ => return None,
    };
    (datagram.len() >= header_bytes).then_some(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(first: u8, second: u8) -> Option<Kind> {
        let mut datagram = [0; 20];
        datagram[0] = first;
        datagram[1] = second;
        classify(&datagram)
    }

    #[test]
    fn every_first_byte_belongs_to_the_protocol_of_rfc_7983() {
        for first in 0..=255 {
            let expected = match first {
                0..=3 => Some(Kind::Stun),
                20..=63 => Some(Kind::Dtls),
                128..=191 => Some(Kind::Rtp),
                _ => None,
            };
            assert_eq!(of(first, 0), expected, "first byte {first}");
        }
    }

    #[test]
    fn the_second_byte_parts_rtcp_from_rtp_as_in_rfc_5761() {
        for second in 0..=255 {
            let expected = if (192..=223).contains(&second) { Kind::Rtcp } else { Kind::Rtp };
            assert_eq!(of(0x80, second), Some(expected), "second byte {second}");
        }
    }

    #[test]
    fn opus_with_the_marker_set_is_rtp() {
        assert_eq!(of(0x90, 0x80 | 111), Some(Kind::Rtp));
    }

    #[test]
    fn a_datagram_shorter_than_its_protocols_header_is_no_ones() {
        for (start, header_bytes) in [([0, 1], 20), ([22, 0xfe], 13), ([0x80, 111], 12), ([0x80, 200], 8)] {
            let mut datagram = vec![0; header_bytes];
            datagram[..2].copy_from_slice(&start);
            assert!(classify(&datagram).is_some());
            for short in 0..header_bytes {
                assert_eq!(classify(&datagram[..short]), None, "{start:?} cut to {short} bytes");
            }
        }
    }
}
