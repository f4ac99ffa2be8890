//! Socket addresses as the kernel lays them out, read and written as bytes. Pure. Per packet.
//!
//! ```text
//! sockaddr_in    | family: 2 | port: 2 | address: 4 | 0: 8 |
//! sockaddr_in6   | family: 2 | port: 2 | flow: 4 | address: 16 | scope: 4 |
//! ```

use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// sizeof(struct sockaddr_in6); an IPv4 address takes the first 16 bytes.
pub(super) const NAME_BYTES: usize = 28;
const NAME_BYTES_V4: usize = 16;

pub(super) type Name = [u8; NAME_BYTES];

/// Who sent a datagram. An IPv4 peer of a dual-stack socket appears by its IPv4 address.
pub(super) fn parse_name(name: &Name) -> Option<SocketAddr> {
    let family = i32::from(u16::from_ne_bytes([name[0], name[1]]));
    let port = u16::from_be_bytes([name[2], name[3]]);
    match family {
        libc::AF_INET => Some(SocketAddr::from(([name[4], name[5], name[6], name[7]], port))),
        libc::AF_INET6 => {
            let octets: [u8; 16] = std::array::from_fn(|n| name[8 + n]);
            let scope = u32::from_ne_bytes(std::array::from_fn(|n| name[24 + n]));
            Some(match Ipv6Addr::from(octets).to_canonical() {
                IpAddr::V4(address) => SocketAddr::from((address, port)),
                IpAddr::V6(address) => SocketAddrV6::new(address, port, 0, scope).into(),
            })
        }
        _ => None,
    }
}

/// The reverse, for a socket of the given family; its length.
pub(super) fn build_name(name: &mut Name, address: SocketAddr, is_v6: bool) -> usize {
    name[2..4].copy_from_slice(&address.port().to_be_bytes());
    let (octets, scope) = match address {
        SocketAddr::V4(address) if !is_v6 => {
            name[0..2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
            name[4..8].copy_from_slice(&address.ip().octets());
            name[8..16].fill(0);
            return NAME_BYTES_V4;
        }
        SocketAddr::V4(address) => (address.ip().to_ipv6_mapped().octets(), 0),
        SocketAddr::V6(address) => (address.ip().octets(), address.scope_id()),
    };
    name[0..2].copy_from_slice(&(libc::AF_INET6 as u16).to_ne_bytes());
    name[4..8].fill(0);
    name[8..24].copy_from_slice(&octets);
    name[24..28].copy_from_slice(&scope.to_ne_bytes());
    NAME_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_for_either_family_of_socket() {
        for (text, is_v6) in [("127.0.0.1:7882", false), ("192.0.2.1:1", true), ("[2001:db8::1]:9", true)] {
            let address: SocketAddr = text.parse().unwrap();
            let mut name = [0xff; NAME_BYTES];
            build_name(&mut name, address, is_v6);
            assert_eq!(parse_name(&name), Some(address));
        }
    }
}
