use proptest::prelude::*;

use super::*;

const OPUS: u8 = 111;

/// Marker, payload type 111, sequence 0x0102, timestamp 0x03040506, SSRC 0x0708090a.
const FIXED: [u8; 12] = *b"\x80\xef\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a";

/// A packet of `FIXED` with flags and a count in its first byte, then `rest`.
fn packet(first: u8, rest: &[u8]) -> Vec<u8> {
    let mut packet = [&FIXED, rest].concat();
    packet[0] = first;
    packet
}

/// A packet with an extension block of whole words and no payload.
fn extended(profile: u16, elements: &[u8]) -> Vec<u8> {
    let words = u16::try_from(elements.len() / 4).unwrap();
    packet(0x90, &[&profile.to_be_bytes(), &words.to_be_bytes(), elements].concat())
}

fn element(packet: &[u8], id: u8) -> Option<&[u8]> {
    extension(packet, &parse(packet)?, id)
}

fn template(mid: Option<&[u8]>, mid_id: u8, level_id: u8) -> Template {
    Template::new(0x0708_090a, OPUS, mid, mid_id, level_id).unwrap()
}

fn written(template: &Template, level: Option<AudioLevel>) -> Vec<u8> {
    let mut out = [0xff; 128];
    let len = template.write(&mut out, true, 0x0102, 0x0304_0506, level);
    out[..len].to_vec()
}

#[test]
fn the_fixed_header_is_read() {
    let header = parse(&packet(0x80, b"opus")).unwrap();
    assert!(header.marker);
    assert_eq!(header.payload_type, OPUS);
    assert_eq!(header.sequence, 0x0102);
    assert_eq!(header.timestamp, 0x0304_0506);
    assert_eq!(header.ssrc, 0x0708_090a);
    assert_eq!(header.header_len, 12);
    assert_eq!(payload(&packet(0x80, b"opus"), &header), Some(&b"opus"[..]));
}

#[test]
fn contributing_sources_and_extension_are_stepped_over() {
    let packet = packet(0x92, b"srcAsrcB\xbe\xde\x00\x01\x10\xd4\x00\x00opus");
    let header = parse(&packet).unwrap();
    assert_eq!(header.header_len, 12 + 2 * 4 + 4 + 4);
    assert_eq!(payload(&packet, &header), Some(&b"opus"[..]));
    assert_eq!(extension(&packet, &header, 1), Some(&[0xd4][..]));
}

#[test]
fn only_version_2_is_read() {
    for version in [0, 1, 3] {
        assert_eq!(parse(&packet(version << 6, b"opus")), None);
    }
}

#[test]
fn a_header_cut_at_any_length_is_refused() {
    let packet = packet(0x92, b"srcAsrcB\xbe\xde\x00\x01\x10\xd4\x00\x00");
    assert!(parse(&packet).is_some());
    for len in 0..packet.len() {
        assert_eq!(parse(&packet[..len]), None, "{len} bytes");
    }
}

#[test]
fn padding_is_stripped_to_the_last_byte_of_the_payload() {
    let packet = packet(0xa0, b"opus\x00\x00\x03");
    assert_eq!(payload(&packet, &parse(&packet).unwrap()), Some(&b"opus"[..]));
    let all_padding = self::packet(0xa0, b"\x00\x02");
    assert_eq!(payload(&all_padding, &parse(&all_padding).unwrap()), Some(&b""[..]));
}

/// The lie that felled Pion's interceptor (CVE-2025-49140).
#[test]
fn t16_padding_longer_than_its_packet_is_refused() {
    for rest in [&b""[..], b"\x00", b"\x02", b"opus\x06", b"opus\xff"] {
        let packet = packet(0xa0, rest);
        assert_eq!(payload(&packet, &parse(&packet).unwrap()), None, "{rest:?}");
    }
}

mod rfc_8285 {
    use super::*;

    /// The example of §4.2: three elements of 1, 2 and 4 bytes with padding between and after.
    const ONE_BYTE: &[u8] = b"\x10A\x21BB\x00\x00\x33CCCC";
    /// The example of §4.3: elements of 0, 1 and 4 bytes.
    const TWO_BYTE: &[u8] = b"\x01\x00\x02\x01B\x00\x03\x04CCCC";

    #[test]
    fn one_byte_elements_are_found_among_padding() {
        let packet = extended(0xbede, ONE_BYTE);
        assert_eq!(element(&packet, 1), Some(&b"A"[..]));
        assert_eq!(element(&packet, 2), Some(&b"BB"[..]));
        assert_eq!(element(&packet, 3), Some(&b"CCCC"[..]));
        assert_eq!(element(&packet, 4), None);
    }

    #[test]
    fn two_byte_elements_are_found_among_padding_whatever_the_appbits() {
        for appbits in 0..16 {
            let packet = extended(0x1000 | appbits, TWO_BYTE);
            assert_eq!(element(&packet, 1), Some(&b""[..]));
            assert_eq!(element(&packet, 2), Some(&b"B"[..]));
            assert_eq!(element(&packet, 3), Some(&b"CCCC"[..]));
            assert_eq!(element(&packet, 4), None);
        }
    }

    #[test]
    fn blocks_of_other_profiles_hold_no_elements() {
        for profile in [0x0000, 0xbedd, 0xbedf, 0x0fff, 0x1010] {
            assert_eq!(element(&extended(profile, ONE_BYTE), 1), None);
        }
    }

    #[test]
    fn in_the_one_byte_form_id_15_ends_the_block() {
        let packet = extended(0xbede, b"\x10A\xf0?\x20B\x00\x00");
        assert_eq!(element(&packet, 1), Some(&b"A"[..]));
        assert_eq!(element(&packet, 2), None);
        assert_eq!(element(&packet, 15), None);
    }

    #[test]
    fn in_the_one_byte_form_id_0_with_a_length_ends_the_block() {
        let packet = extended(0xbede, b"\x10A\x01??\x20B\x00");
        assert_eq!(element(&packet, 1), Some(&b"A"[..]));
        assert_eq!(element(&packet, 2), None);
    }

    #[test]
    fn an_element_longer_than_its_block_is_not_there() {
        assert_eq!(element(&extended(0xbede, b"\x10A\x22B"), 2), None);
        assert_eq!(element(&extended(0x1000, b"\x01\x00\x02\x01"), 2), None);
        assert_eq!(element(&extended(0x1000, b"\x01\x01A\x02"), 2), None);
    }

    #[test]
    fn id_0_is_no_element() {
        assert_eq!(element(&extended(0xbede, ONE_BYTE), 0), None);
        assert_eq!(element(&extended(0x1000, TWO_BYTE), 0), None);
    }

    #[test]
    fn a_payload_that_looks_like_an_element_is_none() {
        let packet = packet(0x90, b"\xbe\xde\x00\x00\x10A");
        assert_eq!(element(&packet, 1), None);
    }
}

mod rfc_6464 {
    use super::*;

    #[test]
    fn the_level_is_read_in_both_forms() {
        let level = Some(AudioLevel { is_voice: true, level: 35 });
        for packet in [extended(0xbede, b"\x10\xa3\x00\x00"), extended(0x1000, b"\x01\x01\xa3\x00")] {
            assert_eq!(audio_level(&packet, &parse(&packet).unwrap(), 1), level);
        }
    }

    #[test]
    fn a_level_of_other_than_one_byte_is_none() {
        for packet in [extended(0xbede, b"\x11\xa3\xa3\x00"), extended(0x1000, b"\x01\x00\x00\x00")] {
            assert_eq!(audio_level(&packet, &parse(&packet).unwrap(), 1), None);
        }
    }

    #[test]
    fn every_byte_is_a_level_and_every_level_a_byte() {
        for byte in 0..=255 {
            assert_eq!(AudioLevel::from_byte(byte).to_byte(), byte);
        }
        assert_eq!(AudioLevel { is_voice: false, level: 200 }.to_byte(), 127);
    }
}

mod templates {
    use super::*;

    const LOUD: AudioLevel = AudioLevel { is_voice: true, level: 20 };

    #[test]
    fn a_header_without_extensions_is_the_fixed_one() {
        assert_eq!(written(&template(None, 0, 0), Some(LOUD)), FIXED);
        assert_eq!(written(&template(Some(b"0"), 0, 0), None), FIXED, "a mid that was not negotiated");
        assert_eq!(written(&template(None, 4, 0), None), FIXED, "no mid to send");
    }

    #[test]
    fn level_and_mid_go_out_in_the_one_byte_form() {
        let packet = written(&template(Some(b"ab"), 4, 1), Some(LOUD));
        assert_eq!(packet, super::packet(0x90, b"\xbe\xde\x00\x02\x10\x94\x41ab\x00\x00\x00"));
    }

    #[test]
    fn an_unknown_level_is_padding_and_the_length_stays() {
        let template = template(Some(b"ab"), 4, 1);
        let packet = written(&template, None);
        assert_eq!(packet, super::packet(0x90, b"\xbe\xde\x00\x02\x00\x00\x41ab\x00\x00\x00"));
        assert_eq!(packet.len(), template.header_len());
        assert_eq!(element(&packet, 4), Some(&b"ab"[..]));
        assert_eq!(element(&packet, 1), None);
    }

    #[test]
    fn a_long_mid_or_a_high_id_goes_out_in_the_two_byte_form() {
        let uuid = b"123e4567-e89b-12d3-a456-426614174000";
        for (mid, mid_id, level_id) in [(&uuid[..], 4, 1), (b"0", 15, 1), (b"0", 4, 255)] {
            let packet = written(&template(Some(mid), mid_id, level_id), Some(LOUD));
            assert_eq!(packet[12..14], [0x10, 0x00]);
            assert_eq!(element(&packet, mid_id), Some(mid));
            assert_eq!(audio_level(&packet, &parse(&packet).unwrap(), level_id), Some(LOUD));
            let without_level = written(&template(Some(mid), mid_id, level_id), None);
            assert_eq!(without_level.len(), packet.len());
            assert_eq!(element(&without_level, mid_id), Some(mid));
            assert_eq!(element(&without_level, level_id), None);
        }
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        assert!(Template::new(1, 128, None, 0, 0).is_none());
        assert!(Template::new(1, OPUS, Some(b""), 4, 1).is_none());
        assert!(Template::new(1, OPUS, Some(&[b'a'; 43]), 4, 1).is_some());
        assert!(Template::new(1, OPUS, Some(&[b'a'; 44]), 4, 1).is_none());
        assert!(Template::new(1, OPUS, Some(&[b'a'; 300]), 4, 1).is_none());
    }

    #[test]
    fn nothing_is_written_into_a_buffer_that_is_too_small() {
        let template = template(Some(b"ab"), 4, 1);
        for len in 0..template.header_len() {
            assert_eq!(template.write(&mut vec![0; len], true, 1, 2, None), 0);
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_back(
            ssrc: u32, payload_type in 0_u8..128, marker: bool, sequence: u16, timestamp: u32,
            mid in prop::option::of(prop::collection::vec(1_u8.., 1..40)),
            mid_id in 1_u8..128, level_id in 128_u8.., is_low: bool, level: Option<u8>,
        ) {
            let (mid_id, level_id) = if is_low { (1 + mid_id % 7, 8 + level_id % 7) } else { (mid_id, level_id) };
            let level = level.map(AudioLevel::from_byte);
            let template = Template::new(ssrc, payload_type, mid.as_deref(), mid_id, level_id).unwrap();
            let mut out = [0xff; 80];
            let len = template.write(&mut out, marker, sequence, timestamp, level);
            let header = parse(&out).unwrap();
            prop_assert_eq!(header.header_len, len);
            prop_assert_eq!(
                (header.ssrc, header.payload_type, header.marker, header.sequence, header.timestamp),
                (ssrc, payload_type, marker, sequence, timestamp)
            );
            prop_assert_eq!(extension(&out, &header, mid_id), mid.as_deref());
            prop_assert_eq!(audio_level(&out, &header, level_id), level);
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_readers_panic(mut bytes: Vec<u8>, other: Vec<u8>, first in 0x80_u8..0xc0, id: u8) {
        if let Some(byte) = bytes.first_mut() {
            *byte = first;
        }
        if let Some(header) = parse(&bytes) {
            prop_assert!(header.header_len <= bytes.len());
            // The second packet is not the one that the header was read from.
            for packet in [&bytes, &other] {
                let _ = payload(packet, &header);
                let _ = extension(packet, &header, id);
                let _ = audio_level(packet, &header, id);
            }
        }
    }

    #[test]
    fn no_elements_make_the_reader_panic(
        elements in prop::collection::vec(any::<[u8; 4]>(), 0..20), is_one_byte: bool, id: u8,
    ) {
        let packet = extended(if is_one_byte { 0xbede } else { 0x1000 }, &elements.concat());
        if let Some(value) = element(&packet, id) {
            prop_assert!(value.len() <= 4 * elements.len());
        }
    }
}
