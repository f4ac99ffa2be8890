//! How many connections there are, in all and from each address. Counted from the accept to the close, wherever that is.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// Connections in all: each is a descriptor and, stalled, some 200 kB of the kernel's memory.
pub const MAX_CONNECTIONS: usize = 4_096;

/// Connections from one address: a company's listeners share one, and it is in such networks that UDP is forbidden.
pub const MAX_PER_ADDRESS: usize = 256;

/// Who is connected.
#[derive(Debug)]
pub struct Quota {
    counts: Mutex<Counts>,
    max: usize,
    max_per_address: usize,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    by_owner: HashMap<IpAddr, usize>,
}

impl Quota {
    /// With these bounds.
    pub fn new(max: usize, max_per_address: usize) -> Arc<Self> {
        Arc::new(Self { counts: Mutex::default(), max, max_per_address })
    }

    /// Leave for one more connection from `address`, until the pass is dropped.
    pub fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Pass> {
        let owner = owner_of(address);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let of_owner = counts.by_owner.get(&owner).copied().unwrap_or(0);
        if counts.all >= self.max || of_owner >= self.max_per_address {
            return None;
        }
        counts.all += 1;
        counts.by_owner.insert(owner, of_owner + 1);
        Some(Pass { quota: self.clone(), owner })
    }

    fn leave(&self, owner: IpAddr) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.all -= 1;
        if let Some(of_owner) = counts.by_owner.get_mut(&owner) {
            *of_owner -= 1;
            if *of_owner == 0 {
                counts.by_owner.remove(&owner);
            }
        }
    }
}

/// Who has an IPv6 address has all of its /64.
fn owner_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

/// One connection's leave to be.
#[derive(Debug)]
pub struct Pass {
    quota: Arc<Quota>,
    owner: IpAddr,
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.quota.leave(self.owner);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_its_share_and_gets_it_back() {
        let quota = Quota::new(10, 2);
        let passes: Vec<_> = (0..3).map(|_| quota.enter(ip("192.0.2.1"))).collect();
        assert_eq!(passes.iter().map(Option::is_some).collect::<Vec<_>>(), [true, true, false]);
        assert!(quota.enter(ip("::ffff:192.0.2.1")).is_none(), "the same address, written otherwise");
        assert!(quota.enter(ip("192.0.2.2")).is_some());
        drop(passes);
        assert!(quota.enter(ip("192.0.2.1")).is_some());
        assert_eq!(quota.counts.lock().unwrap().by_owner.len(), 0, "who left is forgotten");
    }

    #[test]
    fn a_network_of_ipv6_addresses_counts_as_one() {
        let quota = Quota::new(10, 2);
        let passes: Vec<_> = (1..=3).map(|n| quota.enter(ip(&format!("2001:db8::{n}")))).collect();
        assert_eq!(passes.iter().flatten().count(), 2);
        assert!(quota.enter(ip("2001:db8:0:1::1")).is_some());
    }

    #[test]
    fn all_together_have_a_bound() {
        let quota = Quota::new(3, 2);
        let passes: Vec<_> = (1..=4).map(|n| quota.enter(ip(&format!("192.0.2.{n}")))).collect();
        assert_eq!(passes.iter().flatten().count(), 3);
    }
}
