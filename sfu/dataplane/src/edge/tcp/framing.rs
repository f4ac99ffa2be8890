//! Datagrams in a byte stream (RFC 4571 §2): each after its length in two bytes. Pure. Per packet;
//! guarded by the fuzz target `frames`.

/// The length before each frame.
pub const LENGTH_BYTES: usize = 2;

/// More than the largest datagram that is read on: what is longer is no peer of ours.
pub const MAX_FRAME: usize = 2_048;

/// What stands at the beginning of a stream's bytes.
#[derive(Debug, PartialEq, Eq)]
pub enum Head<'a> {
    /// A whole frame, and what follows it.
    Frame(&'a mut [u8], &'a mut [u8]),
    /// A part of one: to be kept until more comes.
    Part(&'a mut [u8]),
    /// One too long: the stream is not to be believed any more.
    TooLong,
}

/// Takes the first frame off `bytes`.
pub fn split(bytes: &mut [u8]) -> Head<'_> {
    let Some((&[high, low], _)) = bytes.split_first_chunk::<LENGTH_BYTES>() else { return Head::Part(bytes) };
    let len = usize::from(u16::from_be_bytes([high, low]));
    if len > MAX_FRAME {
        return Head::TooLong;
    }
    if bytes.len() < LENGTH_BYTES + len {
        return Head::Part(bytes);
    }
    let (frame, rest) = bytes.split_at_mut(LENGTH_BYTES + len);
    Head::Frame(&mut frame[LENGTH_BYTES..], rest)
}

/// Appends a datagram as a frame. It is at most `DATAGRAM_ROOM` long, as all that we send.
pub fn append(stream: &mut Vec<u8>, datagram: &[u8]) {
    stream.extend_from_slice(&(datagram.len() as u16).to_be_bytes());
    stream.extend_from_slice(datagram);
}

/// Where the frame ends in which the byte `at` lies, or which ends at `at`; `frames` are whole ones.
pub fn end_of_frame(frames: &[u8], at: usize) -> usize {
    let mut end = 0;
    while end < at {
        let Some((&[high, low], _)) = frames.get(end..).and_then(|rest| rest.split_first_chunk()) else { break };
        end += LENGTH_BYTES + usize::from(u16::from_be_bytes([high, low]));
    }
    end
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn frames_come_out_as_they_went_in_however_the_stream_is_cut(
            frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..20),
            cuts in prop::collection::vec(1..200usize, 1..40),
        ) {
            let mut stream = Vec::new();
            for frame in &frames {
                append(&mut stream, frame);
            }
            let (mut kept, mut out) = (Vec::new(), Vec::new());
            let mut cuts = cuts.into_iter().cycle();
            while !stream.is_empty() {
                kept.extend(stream.drain(..cuts.next().unwrap().min(stream.len())));
                let mut rest = &mut kept[..];
                loop {
                    match split(rest) {
                        Head::Frame(frame, after) => {
                            out.push(frame.to_vec());
                            rest = after;
                        }
                        Head::Part(part) => {
                            kept = part.to_vec();
                            break;
                        }
                        Head::TooLong => panic!("none is"),
                    }
                }
            }
            prop_assert_eq!(out, frames);
            prop_assert!(kept.is_empty());
        }

        #[test]
        fn a_frame_ends_where_the_next_begins(lens in prop::collection::vec(0..50usize, 1..10), at in 0..500usize) {
            let (mut stream, mut ends) = (Vec::new(), vec![0]);
            for len in lens {
                append(&mut stream, &vec![7; len]);
                ends.push(stream.len());
            }
            let at = at.min(stream.len());
            prop_assert_eq!(end_of_frame(&stream, at), *ends.iter().find(|end| **end >= at).unwrap());
        }
    }

    #[test]
    fn a_frame_too_long_is_told_by_its_length_alone() {
        assert_eq!(split(&mut [8, 1]), Head::TooLong);
        assert_eq!(split(&mut [8, 0]), Head::Part(&mut [8, 0]));
    }
}
