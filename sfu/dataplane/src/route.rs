//! Where a datagram comes from or goes to: an address, and by which protocol. Pure. Per packet.
//!
//! A peer behind a network that lets no UDP through comes by TCP (RFC 6544), and the same address and port may be someone
//! else's by UDP. The two are kept apart in the address itself: flow information, which no address from a UDP socket bears
//! here, marks one that is reached by TCP. So everything that is keyed by addresses stays as it is, and UDP pays nothing.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};

/// What cannot stand on the wire: flow labels have 20 bits.
const TCP: u32 = 1 << 31;

/// The TCP connection from `address`.
pub fn over_tcp(address: SocketAddr) -> SocketAddr {
    let (ip, scope) = match address {
        SocketAddr::V4(address) => (address.ip().to_ipv6_mapped(), 0),
        SocketAddr::V6(address) => (*address.ip(), address.scope_id()),
    };
    SocketAddrV6::new(ip, address.port(), TCP, scope).into()
}

/// Whether it is a TCP connection.
#[inline]
pub fn is_tcp(address: &SocketAddr) -> bool {
    matches!(address, SocketAddr::V6(address) if address.flowinfo() == TCP)
}

/// The address alone, as one writes it.
pub fn plain(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(_) => address,
        SocketAddr::V6(v6) => match v6.ip().to_canonical() {
            IpAddr::V4(ip) => SocketAddr::from((ip, v6.port())),
            IpAddr::V6(ip) => SocketAddrV6::new(ip, v6.port(), 0, v6.scope_id()).into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_address_by_udp_and_by_tcp_is_two_places() {
        for text in ["192.0.2.1:7", "[2001:db8::1]:9", "[::ffff:192.0.2.1]:7"] {
            let udp: SocketAddr = text.parse().unwrap();
            let tcp = over_tcp(udp);
            assert!(is_tcp(&tcp) && !is_tcp(&udp) && udp != tcp);
            assert_eq!(plain(tcp), plain(udp));
            assert!(!is_tcp(&plain(tcp)));
        }
    }
}
