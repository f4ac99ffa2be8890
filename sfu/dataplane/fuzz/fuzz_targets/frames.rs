//! What anyone who connects by TCP may send: a stream that says it is frames (RFC 4571), cut anywhere.

#![no_main]

use _dataplane::edge::tcp::framing::{append, end_of_frame, split, Head, MAX_FRAME};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Vec<u8>, usize)| {
    let (mut stream, at) = input;
    let (mut again, total) = (Vec::new(), stream.len());
    let mut rest = &mut stream[..];
    let left = loop {
        match split(rest) {
            Head::Frame(frame, after) => {
                assert!(frame.len() <= MAX_FRAME);
                append(&mut again, frame);
                rest = after;
            }
            Head::Part(part) => break part.len(),
            Head::TooLong => return,
        }
    };
    assert!(left < 2 + MAX_FRAME && again.len() + left == total);
    let at = at.min(again.len());
    let end = end_of_frame(&again, at);
    assert!(at <= end && end <= again.len());
});
