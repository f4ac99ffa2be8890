mod rfc_5769;

use std::net::SocketAddr;

use proptest::prelude::*;

use super::build::Writer;
use super::*;

const TRANSACTION: [u8; 12] = *b"\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae";

/// A Chromium-like check, most of whose parts can be replaced.
const CHECK: Request<'_> = Request {
    transaction: TRANSACTION,
    username: b"palco:peer",
    priority: Some(0x6e00_01ff),
    controlling: Some(7),
    controlled: None,
    nominates: true,
};

fn key() -> Key {
    Key::new(b"VOkJxbRl1RmTxUk/WvJxBt")
}

fn built(request: &Request<'_>) -> Vec<u8> {
    let mut out = [0; 1500];
    let len = build_request(request, &key(), &mut out);
    out[..len].to_vec()
}

fn verified(datagram: &[u8]) -> Option<Check> {
    parse(datagram)?.verify(&key())
}

/// A message made step by step, for what no honest sender builds.
fn crafted(steps: impl Fn(&mut Writer<'_>) -> Option<()>) -> Vec<u8> {
    let mut out = [0; 1600];
    let mut writer = Writer::new(&mut out);
    writer.header(BINDING_REQUEST, &TRANSACTION).unwrap();
    steps(&mut writer).unwrap();
    let len = writer.len;
    out[..len].to_vec()
}

/// Makes the last eight bytes a FINGERPRINT that is true for what stands before.
fn with_true_fingerprint(mut message: Vec<u8>) -> Vec<u8> {
    let at = message.len() - 8;
    let value = fingerprint(&message[..at]);
    message[at + 4..].copy_from_slice(&value);
    message
}

#[test]
fn a_check_says_whether_it_nominates_and_who_controls() {
    let check = verified(&built(&CHECK)).unwrap();
    assert!(check.nominates && check.controlling);
    let check = verified(&built(&Request { nominates: false, ..CHECK })).unwrap();
    assert!(!check.nominates && check.controlling);
    let check = verified(&built(&Request { controlling: None, controlled: Some(7), ..CHECK })).unwrap();
    assert!(!check.controlling);
}

#[test]
fn a_check_without_priority_and_role_as_from_ffmpeg_is_taken() {
    let check = verified(&built(&Request { priority: None, controlling: None, ..CHECK })).unwrap();
    assert!(check.nominates && check.controlling);
}

#[test]
fn t3_a_check_signed_with_another_password_is_refused() {
    let unverified = built(&CHECK);
    assert_eq!(parse(&unverified).unwrap().verify(&Key::new(b"another password entirely")), None);
}

#[test]
fn a_check_without_username_is_refused() {
    let message = crafted(|writer| {
        writer.integrity(&key())?;
        writer.fingerprint()
    });
    assert!(parse(&message).is_none());
}

#[test]
fn t3_a_check_without_message_integrity_is_refused() {
    let message = crafted(|writer| {
        writer.attribute(attribute::USERNAME, CHECK.username)?;
        writer.fingerprint()
    });
    assert!(parse(&message).is_none());
}

#[test]
fn a_check_without_fingerprint_is_refused() {
    let message = crafted(|writer| {
        writer.attribute(attribute::USERNAME, CHECK.username)?;
        writer.integrity(&key())
    });
    assert!(parse(&message).is_none());
}

#[test]
fn a_fingerprint_must_come_last() {
    let message = crafted(|writer| {
        writer.attribute(attribute::USERNAME, CHECK.username)?;
        writer.integrity(&key())?;
        let at = writer.len;
        writer.fingerprint()?;
        writer.attribute(0x8022, b"tail")?;
        let true_for_this_length = fingerprint(&writer.out[..at]);
        writer.out[at + 4..at + 8].copy_from_slice(&true_for_this_length);
        Some(())
    });
    assert!(parse(&message).is_none());
    let message = crafted(|writer| {
        writer.attribute(attribute::USERNAME, CHECK.username)?;
        writer.fingerprint()?;
        writer.integrity(&key())
    });
    assert!(parse(&message).is_none());
}

#[test]
fn a_username_after_message_integrity_does_not_count() {
    let message = crafted(|writer| {
        writer.integrity(&key())?;
        writer.attribute(attribute::USERNAME, CHECK.username)?;
        writer.fingerprint()
    });
    assert!(parse(&message).is_none());
}

#[test]
fn attributes_between_message_integrity_and_fingerprint_change_nothing() {
    let message = crafted(|writer| {
        writer.attribute(attribute::USERNAME, b"palco:peer")?;
        writer.integrity(&key())?;
        writer.attribute(attribute::USERNAME, b"other:peer")?;
        writer.attribute(attribute::USE_CANDIDATE, &[])?;
        writer.attribute(attribute::ICE_CONTROLLED, &[0; 8])?;
        writer.attribute(0x001c, &[0; 32])?; // MESSAGE-INTEGRITY-SHA256 belongs here
        writer.fingerprint()
    });
    assert_eq!(parse(&message).unwrap().local_ufrag(), b"palco");
    let check = verified(&message).unwrap();
    assert!(!check.nominates && check.controlling);
}

#[test]
fn of_two_usernames_the_first_counts() {
    let message = crafted(|writer| {
        writer.attribute(attribute::USERNAME, b"first:peer")?;
        writer.attribute(attribute::USERNAME, b"second:peer")?;
        writer.integrity(&key())?;
        writer.fingerprint()
    });
    assert_eq!(parse(&message).unwrap().local_ufrag(), b"first");
}

#[test]
fn an_unknown_attribute_is_refused_only_where_it_must_be_understood() {
    let with = |kind| {
        crafted(|writer| {
            writer.attribute(attribute::USERNAME, CHECK.username)?;
            writer.attribute(kind, b"?")?;
            writer.integrity(&key())?;
            writer.fingerprint()
        })
    };
    assert!(verified(&with(0xc057)).is_some()); // libwebrtc's network cost
    assert!(verified(&with(0x8000)).is_some());
    assert!(verified(&with(0x7fff)).is_none());
    assert!(verified(&with(0x0003)).is_none());
}

#[test]
fn a_message_integrity_of_another_length_is_refused() {
    for len in [0, 4, 16, 24, 32] {
        let message = crafted(|writer| {
            writer.attribute(attribute::USERNAME, CHECK.username)?;
            writer.attribute(attribute::MESSAGE_INTEGRITY, &[0; 32][..len])?;
            writer.fingerprint()
        });
        assert!(parse(&message).is_none(), "{len} bytes");
    }
}

#[test]
fn t2_a_username_must_hold_two_fragments_of_bounded_length() {
    let with = |username: &[u8]| built(&Request { username, ..CHECK });
    let longest = [&[b'a'; 256][..], b":", &[b'b'; 256]].concat();
    assert!(verified(&with(&longest)).is_some());
    let too_long = [&[b'a'; 257][..], b":b"].concat();
    for username in [&b""[..], b":", b"palco", b"palco:", b":peer", &too_long] {
        assert!(parse(&with(username)).is_none(), "{username:?}");
    }
}

#[test]
fn a_message_beyond_the_smallest_ipv6_mtu_is_refused() {
    let of = |filler: usize| {
        crafted(|writer| {
            writer.attribute(attribute::USERNAME, b"palco:peer22")?;
            writer.attribute(0x8022, &[0; 1500][..filler])?;
            writer.integrity(&key())?;
            writer.fingerprint()
        })
    };
    let overhead = of(0).len();
    assert!(verified(&of(MAX_MESSAGE_BYTES - overhead)).is_some());
    assert!(parse(&of(MAX_MESSAGE_BYTES - overhead + 4)).is_none());
}

#[test]
fn responses_indications_and_other_methods_are_no_checks() {
    for kind in [0x0011_u16, 0x0101, 0x0111, 0x0003, 0x0000] {
        let mut message = built(&CHECK);
        message[..2].copy_from_slice(&kind.to_be_bytes());
        assert!(parse(&with_true_fingerprint(message)).is_none(), "{kind:#06x}");
    }
}

#[test]
fn bytes_after_the_message_make_it_unacceptable() {
    let mut message = built(&CHECK);
    message.extend([0; 4]);
    assert!(parse(&message).is_none());
}

#[test]
fn t1_an_answer_tells_the_peer_its_address_and_is_smaller_than_the_check() {
    let check = verified(&built(&CHECK)).unwrap();
    for (source, answer_bytes) in [("192.0.2.9:4321", 64), ("[2001:db8::9]:4321", 76)] {
        let source: SocketAddr = source.parse().unwrap();
        let mut out = [0; 128];
        let len = build_success(&check, source, &key(), &mut out);
        assert_eq!(len, answer_bytes);
        assert!(len < built(&CHECK).len());
        let expected = Success { transaction: TRANSACTION, mapped: source };
        assert_eq!(parse_success(&out[..len], &key()), Some(expected));
    }
}

#[test]
fn an_ipv4_peer_of_a_dual_stack_socket_is_told_its_ipv4_address() {
    let check = verified(&built(&CHECK)).unwrap();
    let mut out = [0; 128];
    let len = build_success(&check, "[::ffff:192.0.2.9]:4321".parse().unwrap(), &key(), &mut out);
    let mapped = parse_success(&out[..len], &key()).unwrap().mapped;
    assert_eq!(mapped, "192.0.2.9:4321".parse().unwrap());
}

#[test]
fn nothing_is_built_into_a_buffer_that_is_too_small() {
    let check = verified(&built(&CHECK)).unwrap();
    let source = "192.0.2.9:4321".parse().unwrap();
    let mut out = [0; 256];
    for len in 0..build_success(&check, source, &key(), &mut [0; 128]) {
        assert_eq!(build_success(&check, source, &key(), &mut out[..len]), 0);
    }
    for len in 0..built(&CHECK).len() {
        assert_eq!(build_request(&CHECK, &key(), &mut out[..len]), 0);
    }
}

proptest! {
    #[test]
    fn what_was_built_is_read_back(
        transaction: [u8; 12],
        local in "[A-Za-z0-9+/]{1,256}",
        remote in "[A-Za-z0-9+/]{1,256}",
        priority: Option<u32>,
        controlling: Option<u64>,
        nominates: bool,
    ) {
        let username = format!("{local}:{remote}");
        let message = built(&Request {
            transaction, username: username.as_bytes(), priority, controlling, controlled: None, nominates,
        });
        let unverified = parse(&message).unwrap();
        prop_assert_eq!(unverified.local_ufrag(), local.as_bytes());
        prop_assert_eq!(unverified.remote_ufrag(), remote.as_bytes());
        let check = unverified.verify(&key()).unwrap();
        prop_assert_eq!((check.transaction, check.nominates, check.controlling), (transaction, nominates, true));
    }

    #[test]
    fn no_bytes_make_the_parsers_panic_or_pass_as_authentic(bytes: Vec<u8>) {
        prop_assert!(verified(&bytes).is_none());
        prop_assert!(parse_success(&bytes, &key()).is_none());
    }

    /// Noise rarely gets past the header; this does, with lengths and types that lie.
    #[test]
    fn t2_no_attributes_make_the_parsers_panic_or_pass_as_authentic(
        body in prop::collection::vec(any::<[u8; 4]>(), 0..60),
    ) {
        let message = crafted(|writer| {
            let body = body.concat();
            writer.out[writer.len..][..body.len()].copy_from_slice(&body);
            writer.len += body.len();
            let length = u16::try_from(writer.len - HEADER_BYTES).ok()?;
            writer.out[2..4].copy_from_slice(&length.to_be_bytes());
            Some(())
        });
        prop_assert!(verified(&message).is_none());
    }

    #[test]
    fn any_byte_overwritten_in_a_check_is_refused(at in 0_usize..80, byte: u8) {
        let mut message = built(&CHECK);
        prop_assume!(message.get(at).is_some_and(|&old| old != byte));
        message[at] = byte;
        prop_assert!(verified(&message).is_none());
    }
}
