//! ICE-lite for one peer: which of its addresses may receive what (RFC 8445 §7.3, §8.2). Pure.
//!
//! A lite agent never learns by itself whether an address that a check came from really is the peer's. So an address is
//! trusted in steps:
//!
//! ```text
//! authenticated check ──▶ validated   answers only, never more bytes than came in; SRTP and DTLS from it are read
//!   first nomination  ──▶ selected    DTLS too, at most three times the bytes that came in, or one flight of ours
//!   keys agreed, or authentic SRTP/SRTCP from it ──▶ proven: media, without limit
//! nomination of another ▶ candidate   answers only, until authentic SRTP/SRTCP (before keys: DTLS) from it: then selected
//! ```
//!
//! An address by TCP (`route`) is one like any other. Not implemented: role conflict (a lite agent is always controlled),
//! active and simultaneous-open TCP candidates (RFC 6544 §4.1: ours is passive), checks of our own.

use std::net::SocketAddr;

use crate::Nanos;

/// Addresses of one peer that passed a check; a browser has a few at most (RFC 8445 bounds nothing).
pub const MAX_TUPLES: usize = 8;

/// Bytes out per byte in before the peer has proven to be at its address. QUIC's figure (RFC 9000 §8.1).
const INITIAL_AMPLIFICATION: u32 = 3;

/// What the first nominated address may get in all, however little came from it; the offer that its owner sent first is
/// longer still. Either the answer to its check (64 bytes) and our ClientHello (170) with two repetitions: FFmpeg is DTLS
/// server, sends a single check of 80 bytes, misses the first hello and waits for the next. Or the answer and our first
/// flight as server (640) to a ClientHello so small (118) that three times what came in would stop it short.
const INITIAL_BYTES: u32 = 800;

#[derive(Clone, Debug)]
struct Tuple {
    address: SocketAddr,
    heard_at: Nanos,
    bytes_in: u32,
    bytes_out: u32,
    /// Bytes that it may get whatever came in.
    floor: u32,
    is_nominated: bool,
    is_proven: bool,
}

/// What an authenticated check changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Checked {
    /// This address is now validated.
    pub added: Option<SocketAddr>,
    /// This one is no longer, for want of room.
    pub evicted: Option<SocketAddr>,
    /// Media goes here from now on.
    pub selected: Option<SocketAddr>,
    /// Bytes that may go back to where the check came from.
    pub allowance: u32,
}

/// Decides which address of one peer may receive what.
#[derive(Clone, Debug, Default)]
pub struct IceLite {
    tuples: Vec<Tuple>,
    selected: Option<usize>,
    has_keys: bool,
}

impl IceLite {
    /// A check from `source` carried our credentials and a good MESSAGE-INTEGRITY.
    pub fn on_authenticated_check(&mut self, source: SocketAddr, len: usize, nominates: bool, now: Nanos) -> Checked {
        let mut checked = Checked::default();
        let place = match self.find(source) {
            Some(place) => place,
            None => {
                checked.added = Some(source);
                let (place, evicted) = self.admit(source);
                checked.evicted = evicted;
                place
            }
        };
        let tuple = &mut self.tuples[place];
        tuple.heard_at = now;
        tuple.bytes_in = tuple.bytes_in.saturating_add(len as u32);
        if nominates {
            for other in &mut self.tuples {
                other.is_nominated = false;
            }
            self.tuples[place].is_nominated = true;
            if self.selected.is_none() {
                self.selected = Some(place);
                self.tuples[place].floor = INITIAL_BYTES;
                checked.selected = Some(source);
            } else if self.tuples[place].is_proven {
                checked.selected = self.select(place);
            }
        }
        checked.allowance = self.allowance_of(place);
        checked
    }

    /// Authentic SRTP or SRTCP came from `source`. Returns the address, if media moves to it.
    pub fn on_authentic_media(&mut self, source: SocketAddr, now: Nanos) -> Option<SocketAddr> {
        let place = self.find(source)?;
        self.tuples[place].heard_at = now;
        self.tuples[place].is_proven = true;
        if self.tuples[place].is_nominated {
            self.select(place)
        } else {
            None
        }
    }

    /// A DTLS datagram came from `source`. Returns the address, if media moves to it.
    ///
    /// Before the keys stand nothing else can tell a browser's second nomination from a stray one. Afterwards DTLS proves
    /// nothing: a record can be replayed by anyone.
    pub fn on_dtls(&mut self, source: SocketAddr, len: usize, now: Nanos) -> Option<SocketAddr> {
        let place = self.find(source)?;
        let tuple = &mut self.tuples[place];
        tuple.heard_at = now;
        tuple.bytes_in = tuple.bytes_in.saturating_add(len as u32);
        if !self.has_keys && tuple.is_nominated {
            self.select(place)
        } else {
            None
        }
    }

    /// The handshake is complete. It took an answer to our randomness, so the peer is where we sent to.
    pub fn on_keys(&mut self) {
        self.has_keys = true;
        if let Some(place) = self.selected {
            self.tuples[place].is_proven = true;
        }
    }

    /// Bytes went out to `destination`.
    pub fn on_sent(&mut self, destination: SocketAddr, len: usize) {
        if let Some(place) = self.find(destination) {
            let tuple = &mut self.tuples[place];
            tuple.bytes_out = tuple.bytes_out.saturating_add(len as u32);
        }
    }

    /// Where media goes; None before the first nomination.
    pub fn selected(&self) -> Option<SocketAddr> {
        self.selected.map(|place| self.tuples[place].address)
    }

    /// Bytes that the selected address may receive now.
    pub fn allowance(&self) -> u32 {
        self.selected.map_or(0, |place| self.allowance_of(place))
    }

    /// When something came from `address` last, if it is ours.
    pub fn heard_at(&self, address: SocketAddr) -> Option<Nanos> {
        self.find(address).map(|place| self.tuples[place].heard_at)
    }

    /// All validated addresses.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.tuples.iter().map(|tuple| tuple.address)
    }

    fn find(&self, address: SocketAddr) -> Option<usize> {
        self.tuples.iter().position(|tuple| tuple.address == address)
    }

    fn select(&mut self, place: usize) -> Option<SocketAddr> {
        let is_moved = self.selected != Some(place);
        self.selected = Some(place);
        is_moved.then(|| self.tuples[place].address)
    }

    /// A place for a new address: that of the one unheard longest when all are taken, never the selected one.
    fn admit(&mut self, address: SocketAddr) -> (usize, Option<SocketAddr>) {
        let fresh =
            Tuple { address, heard_at: 0, bytes_in: 0, bytes_out: 0, floor: 0, is_nominated: false, is_proven: false };
        if self.tuples.len() < MAX_TUPLES {
            self.tuples.push(fresh);
            return (self.tuples.len() - 1, None);
        }
        let unselected = (0..self.tuples.len()).filter(|place| self.selected != Some(*place));
        let place = unselected.min_by_key(|place| self.tuples[*place].heard_at).unwrap_or(0);
        let evicted = std::mem::replace(&mut self.tuples[place], fresh).address;
        (place, Some(evicted))
    }

    fn allowance_of(&self, place: usize) -> u32 {
        let tuple = &self.tuples[place];
        if tuple.is_proven {
            return u32::MAX;
        }
        let factor = if self.selected == Some(place) { INITIAL_AMPLIFICATION } else { 1 };
        tuple.bytes_in.saturating_mul(factor).max(tuple.floor).saturating_sub(tuple.bytes_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHECK: usize = 100;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn nominated_at(port: u16) -> IceLite {
        let mut ice = IceLite::default();
        ice.on_authenticated_check(address(port), CHECK, true, 0);
        ice
    }

    #[test]
    fn a_check_without_nomination_validates_but_does_not_select() {
        let mut ice = IceLite::default();
        let checked = ice.on_authenticated_check(address(1), CHECK, false, 0);
        assert_eq!(checked, Checked { added: Some(address(1)), allowance: 100, ..Checked::default() });
        assert_eq!(ice.selected(), None);
    }

    #[test]
    fn the_first_nomination_selects_and_allows_a_flight_or_three_times_what_came_in() {
        let mut ice = IceLite::default();
        let checked = ice.on_authenticated_check(address(1), CHECK, true, 0);
        assert_eq!(checked.selected, Some(address(1)));
        assert_eq!(ice.allowance(), 800);
        ice.on_sent(address(1), 250);
        assert_eq!(ice.allowance(), 550);
        ice.on_dtls(address(1), 200, 0);
        assert_eq!(ice.allowance(), 650);
        ice.on_keys();
        assert_eq!(ice.allowance(), u32::MAX);
    }

    #[test]
    fn a_moved_address_gets_media_only_after_nomination_and_authentic_media() {
        let mut ice = nominated_at(1);
        ice.on_keys();
        let checked = ice.on_authenticated_check(address(2), CHECK, true, 0);
        assert_eq!((checked.selected, checked.allowance), (None, 100));
        assert_eq!(ice.on_dtls(address(2), 50, 0), None);
        assert_eq!(ice.selected(), Some(address(1)));
        assert_eq!(ice.on_authentic_media(address(2), 0), Some(address(2)));
        assert_eq!(ice.selected(), Some(address(2)));
    }

    #[test]
    fn authentic_media_from_an_unnominated_address_moves_nothing() {
        let mut ice = nominated_at(1);
        ice.on_keys();
        ice.on_authenticated_check(address(2), CHECK, false, 0);
        assert_eq!(ice.on_authentic_media(address(2), 0), None);
        assert_eq!(ice.on_authentic_media(address(3), 0), None);
        assert_eq!(ice.on_authenticated_check(address(2), CHECK, true, 0).selected, Some(address(2)));
    }

    #[test]
    fn before_the_keys_dtls_from_a_later_nomination_moves() {
        let mut ice = nominated_at(1);
        ice.on_authenticated_check(address(2), CHECK, true, 0);
        assert_eq!(ice.on_dtls(address(1), 50, 0), None);
        assert_eq!(ice.on_dtls(address(2), 50, 0), Some(address(2)));
    }

    #[test]
    fn the_ninth_address_takes_the_place_of_the_one_unheard_longest_but_never_of_the_selected() {
        let mut ice = nominated_at(1);
        for port in 2..=8 {
            ice.on_authenticated_check(address(port), CHECK, false, u64::from(port));
        }
        let checked = ice.on_authenticated_check(address(9), CHECK, false, 9);
        assert_eq!(checked.evicted, Some(address(2)));
        assert_eq!(ice.addresses().count(), MAX_TUPLES);
        assert_eq!(ice.selected(), Some(address(1)));
    }
}
