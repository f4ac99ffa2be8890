//! What an authenticated but hostile peer says is redundant audio (RFC 2198), and what we make of it ourselves.

#![no_main]

use _dataplane::red::{newest, overhead, write, Block};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&[u8], Vec<(u16, &[u8])>)| {
    let (payload, older) = input;
    let Some((kind, inner)) = newest(payload) else { return };
    assert!(inner.len() < payload.len());
    let blocks = older.iter().map(|(offset, payload)| Block { offset: *offset, payload });
    let mut out = [0; 4_096];
    let Some(len) = write(&mut out, kind, blocks, inner) else { return };
    assert_eq!(len, inner.len() + overhead(older.iter().map(|(_, payload)| payload.len())));
    assert_eq!(newest(&out[..len]), Some((kind, inner)));
});
