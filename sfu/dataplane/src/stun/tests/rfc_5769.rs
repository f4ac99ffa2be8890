use super::*;

/// §2.1, whose password is that of `key`.
const REQUEST: &[u8] = b"\
    \x00\x01\x00\x58\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae\
    \x80\x22\x00\x10STUN test client\
    \x00\x24\x00\x04\x6e\x00\x01\xff\
    \x80\x29\x00\x08\x93\x2f\xf9\xb1\x51\x26\x3b\x36\
    \x00\x06\x00\x09evtj:h6vY\x20\x20\x20\
    \x00\x08\x00\x14\x9a\xea\xa7\x0c\xbf\xd8\xcb\x56\x78\x1e\xf2\xb5\xb2\xd3\xf2\x49\xc1\xb5\x71\xa2\
    \x80\x28\x00\x04\xe5\x7a\x3b\xcf";

/// §2.2.
const IPV4_RESPONSE: &[u8] = b"\
    \x01\x01\x00\x3c\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae\
    \x80\x22\x00\x0btest vector\x20\
    \x00\x20\x00\x08\x00\x01\xa1\x47\xe1\x12\xa6\x43\
    \x00\x08\x00\x14\x2b\x91\xf5\x99\xfd\x9e\x90\xc3\x8c\x74\x89\xf9\x2a\xf9\xba\x53\xf0\x6b\xe7\xd7\
    \x80\x28\x00\x04\xc0\x7d\x4c\x96";

/// §2.3.
const IPV6_RESPONSE: &[u8] = b"\
    \x01\x01\x00\x48\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae\
    \x80\x22\x00\x0btest vector\x20\
    \x00\x20\x00\x14\x00\x02\xa1\x47\x01\x13\xa9\xfa\xa5\xd3\xf1\x79\xbc\x25\xf4\xb5\xbe\xd2\xb9\xd9\
    \x00\x08\x00\x14\xa3\x82\x95\x4e\x4b\xe6\x7b\xf1\x17\x84\xc9\x7c\x82\x92\xc2\x75\xbf\xe3\xed\x41\
    \x80\x28\x00\x04\xc8\xfb\x0b\x4c";

const SOFTWARE: u16 = 0x8022;

fn ipv4() -> SocketAddr {
    "192.0.2.1:32853".parse().unwrap()
}

fn ipv6() -> SocketAddr {
    "[2001:db8:1234:5678:11:2233:4455:6677]:32853".parse().unwrap()
}

/// The vectors pad with spaces, as RFC 8489 §14 leaves open; we pad with zeros.
fn padded_with_spaces(writer: &mut Writer<'_>, kind: u16, value: &[u8]) -> Option<()> {
    writer.attribute(kind, value)?;
    let padding = value.len().next_multiple_of(4) - value.len();
    writer.out[writer.len - padding..writer.len].fill(b' ');
    Some(())
}

fn rebuilt_response(mapped: SocketAddr) -> Vec<u8> {
    let mut out = [0; 128];
    let mut writer = Writer::new(&mut out);
    writer.header(BINDING_SUCCESS, &TRANSACTION).unwrap();
    padded_with_spaces(&mut writer, SOFTWARE, b"test vector").unwrap();
    writer.xor_address(mapped, &TRANSACTION).unwrap();
    writer.integrity(&key()).unwrap();
    writer.fingerprint().unwrap();
    let len = writer.len;
    out[..len].to_vec()
}

#[test]
fn the_sample_request_is_read_and_verified() {
    let unverified = parse(REQUEST).unwrap();
    assert_eq!(unverified.local_ufrag(), b"evtj");
    assert_eq!(unverified.remote_ufrag(), b"h6vY");
    let check = unverified.verify(&key()).unwrap();
    assert_eq!(check.transaction, TRANSACTION);
    assert!(!check.nominates);
    assert!(!check.controlling);
}

#[test]
fn the_sample_request_is_rebuilt_to_the_byte() {
    let rebuilt = crafted(|writer| {
        writer.attribute(SOFTWARE, b"STUN test client")?;
        writer.attribute(attribute::PRIORITY, &0x6e00_01ff_u32.to_be_bytes())?;
        writer.attribute(attribute::ICE_CONTROLLED, &0x932f_f9b1_5126_3b36_u64.to_be_bytes())?;
        padded_with_spaces(writer, attribute::USERNAME, b"evtj:h6vY")?;
        writer.integrity(&key())?;
        writer.fingerprint()
    });
    assert_eq!(rebuilt, REQUEST);
}

#[test]
fn the_sample_responses_are_read_and_verified() {
    for (response, mapped) in [(IPV4_RESPONSE, ipv4()), (IPV6_RESPONSE, ipv6())] {
        assert_eq!(parse_success(response, &key()), Some(Success { transaction: TRANSACTION, mapped }));
        assert_eq!(parse_success(response, &Key::new(b"another")), None);
    }
}

#[test]
fn the_sample_responses_are_rebuilt_to_the_byte() {
    assert_eq!(rebuilt_response(ipv4()), IPV4_RESPONSE);
    assert_eq!(rebuilt_response(ipv6()), IPV6_RESPONSE);
}

#[test]
fn a_sample_cut_at_any_length_is_refused() {
    for len in 0..REQUEST.len() {
        assert!(parse(&REQUEST[..len]).is_none(), "{len} bytes");
    }
    for response in [IPV4_RESPONSE, IPV6_RESPONSE] {
        for len in 0..response.len() {
            assert_eq!(parse_success(&response[..len], &key()), None, "{len} bytes");
        }
    }
}

#[test]
fn a_sample_with_any_bit_turned_is_refused_by_its_fingerprint() {
    for bit in 0..8 * REQUEST.len() {
        let mut message = REQUEST.to_vec();
        message[bit / 8] ^= 1 << (bit % 8);
        assert!(parse(&message).is_none(), "bit {bit}");
    }
}

#[test]
fn a_sample_with_any_covered_bit_turned_is_refused_by_its_integrity() {
    for bit in 0..8 * (REQUEST.len() - 8) {
        let mut message = REQUEST.to_vec();
        message[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(verified(&with_true_fingerprint(message)), None, "bit {bit}");
    }
}
