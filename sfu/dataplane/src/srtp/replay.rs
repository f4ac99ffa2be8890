//! Per packet: what of a source was already received, and which index an RTP sequence number stands for.
//!
//! The order of use is the security property (RFC 3711 §3.3): check a packet, verify its tag, and only then `commit`.
//! A forged packet can thus neither move a window, nor advance a rollover counter, nor make a source known.

use super::Drop;

/// Sources one key may have. A browser uses two or three; past this a peer is filling memory.
pub const MAX_SOURCES: usize = 32;

/// Packets behind the newest one that can still be told apart from replays. RFC 3711 §3.3.2 asks for 64 at least.
const WINDOW: u64 = u128::BITS as u64;

const HALF: u64 = 1 << 15;
const INDEX_LIMIT: u64 = 1 << 48;

/// The replay windows of all sources under one key.
#[derive(Default)]
pub struct Sources {
    known: Vec<Source>,
}

struct Source {
    ssrc: u32,
    /// Bit i: the packet `highest - i` was received.
    seen: u128,
    highest: u64,
}

/// A packet that is new as far as its index goes. Says nothing of its authenticity.
#[must_use]
pub struct Fresh {
    /// 48 bits for RTP (ROC || sequence), 31 bits for RTCP.
    pub index: u64,
    ssrc: u32,
    slot: Option<usize>,
}

impl Sources {
    /// The index an RTP packet must have, if it may still be accepted (RFC 3711 §3.3.1).
    ///
    /// A source's first packet is taken to have rollover counter 0, as a sender's has that starts a session.
    pub fn check_sequence(&self, ssrc: u32, sequence: u16) -> Result<Fresh, Drop> {
        let slot = self.find(ssrc);
        let index = match slot {
            Some(slot) => estimate(self.known[slot].highest, sequence).ok_or(Drop::Replay)?,
            None => u64::from(sequence),
        };
        self.check_at(slot, ssrc, index)
    }

    /// The same for a packet that carries its whole index.
    pub fn check_index(&self, ssrc: u32, index: u64) -> Result<Fresh, Drop> {
        self.check_at(self.find(ssrc), ssrc, index)
    }

    /// Remembers an authentic packet.
    pub fn commit(&mut self, fresh: Fresh) {
        let Fresh { index, ssrc, slot } = fresh;
        let Some(source) = slot.and_then(|slot| self.known.get_mut(slot)) else {
            self.known.push(Source { ssrc, seen: 1, highest: index });
            return;
        };
        if index > source.highest {
            let step = index - source.highest;
            source.seen = if step < WINDOW { source.seen << step | 1 } else { 1 };
            source.highest = index;
        } else {
            source.seen |= 1 << (source.highest - index).min(WINDOW - 1);
        }
    }

    fn check_at(&self, slot: Option<usize>, ssrc: u32, index: u64) -> Result<Fresh, Drop> {
        match slot.map(|slot| &self.known[slot]) {
            None if self.known.len() >= MAX_SOURCES => Err(Drop::UnknownSource),
            Some(source) if source.has_seen(index) => Err(Drop::Replay),
            _ => Ok(Fresh { index, ssrc, slot }),
        }
    }

    fn find(&self, ssrc: u32) -> Option<usize> {
        self.known.iter().position(|source| source.ssrc == ssrc)
    }
}

impl Source {
    /// Whether the packet came before, or is too old to tell.
    fn has_seen(&self, index: u64) -> bool {
        match self.highest.checked_sub(index) {
            None => false,
            Some(age) => age >= WINDOW || self.seen >> age & 1 == 1,
        }
    }
}

/// The index nearest to `highest` with this sequence number (RFC 3711 App. A); None before 0 or past 2^48 - 1.
fn estimate(highest: u64, sequence: u16) -> Option<u64> {
    let (roc, newest) = (highest >> 16, highest & 0xffff);
    let sequence = u64::from(sequence);
    let roc = if newest < HALF && sequence > newest + HALF {
        roc.checked_sub(1)?
    } else if newest >= HALF && sequence < newest - HALF {
        roc + 1
    } else {
        roc
    };
    Some(roc << 16 | sequence).filter(|&index| index < INDEX_LIMIT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    /// Receives an authentic packet: its index, or why it is refused.
    fn receive(sources: &mut Sources, ssrc: u32, sequence: u16) -> Result<u64, Drop> {
        let fresh = sources.check_sequence(ssrc, sequence)?;
        let index = fresh.index;
        sources.commit(fresh);
        Ok(index)
    }

    #[test]
    fn rfc_3711_appendix_a_picks_the_nearest_index() {
        let index = |roc: u64, sequence: u64| roc << 16 | sequence;
        for (highest, sequence, nearest) in [
            (index(3, 100), 101, Some(index(3, 101))),
            (index(3, 100), 99, Some(index(3, 99))),
            (index(3, 65535), 0, Some(index(4, 0))),
            (index(3, 0), 65535, Some(index(2, 65535))),
            (index(3, 0), 32768, Some(index(3, 32768))),
            (index(3, 0), 32769, Some(index(2, 32769))),
            (index(3, 32768), 0, Some(index(3, 0))),
            (index(3, 32769), 0, Some(index(4, 0))),
            (index(0, 0), 65535, None),
            (index(0xffff_ffff, 65535), 0, None),
        ] {
            assert_eq!(estimate(highest, sequence), nearest, "{highest:#x} {sequence}");
        }
    }

    #[test]
    fn a_wrap_with_loss_and_reordering_around_it_loses_nothing_else() {
        let mut sources = Sources::default();
        for (sequence, index) in
            [(65530, 65530), (65534, 65534), (2, 65538), (65535, 65535), (0, 65536), (65531, 65531), (3, 65539)]
        {
            assert_eq!(receive(&mut sources, 1, sequence), Ok(index));
        }
    }

    #[test]
    fn the_rollover_counter_follows_a_hundred_wraps() {
        let mut sources = Sources::default();
        for packet in 0..300 {
            let index = 65_000 + packet * 30_000;
            assert_eq!(receive(&mut sources, 1, index as u16), Ok(index));
        }
    }

    #[test]
    fn a_packet_128_behind_is_refused_and_one_127_behind_accepted_once() {
        let mut sources = Sources::default();
        assert_eq!(receive(&mut sources, 1, 1000), Ok(1000));
        assert_eq!(receive(&mut sources, 1, 872), Err(Drop::Replay));
        assert_eq!(receive(&mut sources, 1, 873), Ok(873));
        assert_eq!(receive(&mut sources, 1, 873), Err(Drop::Replay));
        assert_eq!(receive(&mut sources, 1, 1000), Err(Drop::Replay));
    }

    #[test]
    fn a_checked_packet_that_is_not_committed_changes_nothing() {
        let mut sources = Sources::default();
        for ssrc in 0..100 {
            assert!(sources.check_sequence(ssrc, 7).is_ok());
        }
        assert_eq!(receive(&mut sources, 200, 10), Ok(10));
        assert!(sources.check_sequence(200, 30_000).is_ok());
        assert_eq!(receive(&mut sources, 200, 9), Ok(9));
    }

    #[test]
    fn each_source_has_its_own_window_and_the_33rd_is_refused() {
        let mut sources = Sources::default();
        for ssrc in 0..32 {
            assert_eq!(receive(&mut sources, ssrc, 5), Ok(5));
        }
        assert_eq!(receive(&mut sources, 32, 5), Err(Drop::UnknownSource));
        assert_eq!(receive(&mut sources, 31, 6), Ok(6));
    }

    proptest! {
        #[test]
        fn an_index_is_accepted_once_and_only_within_the_window(
            indices in prop::collection::vec(prop_oneof![0_u64..400, 0_u64..1 << 31], 1..400),
        ) {
            let mut sources = Sources::default();
            let mut received = HashSet::new();
            for index in indices {
                let highest = received.iter().max().copied();
                let expected = !received.contains(&index)
                    && highest.is_none_or(|highest| index + WINDOW > highest);
                let fresh = sources.check_index(1, index);
                prop_assert_eq!(fresh.is_ok(), expected);
                if let Ok(fresh) = fresh {
                    sources.commit(fresh);
                    received.insert(index);
                }
            }
        }
    }
}
