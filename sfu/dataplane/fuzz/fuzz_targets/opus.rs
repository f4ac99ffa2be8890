//! What an authenticated but hostile peer says is Opus: two packets, merged and read again.

#![no_main]

use _dataplane::opus::{parse, Merger, MAX_TICKS};
use libfuzzer_sys::fuzz_target;

const ROOM: usize = 1_200;

fuzz_target!(|packets: (&[u8], &[u8])| {
    let mut merger = Merger::new(MAX_TICKS, ROOM);
    let mut ticks = 0;
    for packet in [packets.0, packets.1] {
        let Some(frames) = parse(packet) else { continue };
        if merger.push(&frames) {
            ticks += frames.ticks();
        }
    }
    let mut out = Vec::new();
    merger.write(&mut out);
    assert!(out.len() <= ROOM && ticks <= MAX_TICKS);
    assert_eq!(parse(&out).map_or(0, |frames| frames.ticks()), ticks);
});
