//! What an authenticated but hostile peer sends: any bytes as a compound, sealed, opened and read to the end.

#![no_main]

use std::time::Duration;

use _dataplane::rtcp::{build_receiver_report, parse, Blocks, Item, ReportBlock};
use _dataplane::srtp::{Opener, Profile, Sealer};
use libfuzzer_sys::fuzz_target;

const PROFILE: Profile = Profile::AeadAes128Gcm;
const MASTER: [u8; 28] = [0x5a; 28];
/// The count has five bits.
const MAX_COUNT: usize = 31;
/// Half of the 18 hours after which NTP's middle 32 bits repeat.
const MAX_ROUND_TRIP: Duration = Duration::from_secs(1 << 15);

fuzz_target!(|compound: &[u8]| {
    if compound.len() >= 8 {
        assert_eq!(opened(compound).as_deref(), Some(compound));
    }
    let mut items = 0;
    for item in parse(compound) {
        items += 1;
        match item {
            Item::SenderReport { blocks, .. } | Item::ReceiverReport { blocks, .. } => repeat(blocks),
            Item::Bye { sources } => assert!(sources.count() <= MAX_COUNT),
            Item::Other => {}
        }
    }
    assert!(4 * items <= compound.len(), "every packet has at least its header");
});

fn opened(compound: &[u8]) -> Option<Vec<u8>> {
    let mut buffer = compound.to_vec();
    buffer.resize(compound.len() + PROFILE.rtcp_overhead(), 0);
    let sealed = Sealer::new(PROFILE, &MASTER)?.seal_rtcp(&mut buffer, compound.len())?;
    let len = Opener::new(PROFILE, &MASTER)?.open_rtcp(&mut buffer[..sealed]).ok()?;
    buffer.truncate(len);
    Some(buffer)
}

/// What one peer reports survives being built and read again.
fn repeat(blocks: Blocks<'_>) {
    let blocks: Vec<ReportBlock> = blocks.collect();
    assert!(blocks.len() <= MAX_COUNT && blocks.iter().all(|block| block.round_trip(0) <= Some(MAX_ROUND_TRIP)));
    let mut out = [0; 1024];
    let len = build_receiver_report(&mut out, 1, &blocks, b"palco");
    let Some(Item::ReceiverReport { blocks: again, .. }) = parse(&out[..len]).next() else {
        panic!("what was built is a receiver report");
    };
    assert!(again.eq(blocks));
}
