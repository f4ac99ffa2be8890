use proptest::prelude::*;

use super::*;

/// Wideband SILK, 20 ms, mono: configuration 9.
const SILK_20: u8 = 9 << 3;
/// Fullband CELT, 20 ms, mono: configuration 31; and 2.5 ms: 28.
const CELT_20: u8 = 31 << 3;
const CELT_2_5: u8 = 28 << 3;
const STEREO: u8 = 1 << 2;
const FRAME: u32 = 960;
const ROOM: usize = 1_200;

fn lengths(packet: &[u8]) -> Option<Vec<u16>> {
    parse(packet).map(|frames| frames.lengths().to_vec())
}

fn merged(max_ticks: u32, packets: &[&[u8]]) -> Vec<u8> {
    let mut merger = Merger::new(max_ticks, ROOM);
    for packet in packets {
        assert!(merger.push(&parse(packet).unwrap()), "{packet:x?} does not fit");
    }
    let mut out = Vec::new();
    merger.write(&mut out);
    out
}

/// The frames themselves, whichever way they are packed.
fn contents(packet: &[u8]) -> Option<(u8, Vec<Vec<u8>>)> {
    let frames = parse(packet)?;
    let mut body = frames.body;
    let mut split = |len: &u16| {
        let (frame, rest) = body.split_at(usize::from(*len));
        body = rest;
        frame.to_vec()
    };
    Some((frames.kind, frames.lengths().iter().map(&mut split).collect()))
}

// RFC 6716 §3.1, table 2

#[test]
fn the_configuration_tells_the_frame_length() {
    let of = |config: u8| frame_ticks(config << 3);
    assert_eq!([0, 1, 2, 3].map(of), [480, 960, 1_920, 2_880]);
    assert_eq!([12, 13, 14, 15].map(of), [480, 960, 480, 960]);
    assert_eq!([28, 29, 30, 31].map(of), [120, 240, 480, 960]);
}

// RFC 6716 §3.2: one packet of each code, by hand

#[test]
fn code_0_is_one_frame() {
    assert_eq!(lengths(&[SILK_20, 1, 2, 3]), Some(vec![3]));
}

#[test]
fn a_lone_toc_byte_is_a_frame_of_no_bytes() {
    assert_eq!(lengths(&[SILK_20]), Some(vec![0]));
}

#[test]
fn code_1_is_two_frames_of_one_size() {
    assert_eq!(lengths(&[SILK_20 | 1, 1, 2, 3, 4]), Some(vec![2, 2]));
    assert_eq!(lengths(&[SILK_20 | 1, 1, 2, 3]), None);
}

#[test]
fn code_2_is_two_frames_of_which_the_first_is_measured() {
    assert_eq!(lengths(&[SILK_20 | 2, 1, 7, 8, 9]), Some(vec![1, 2]));
    assert_eq!(lengths(&[SILK_20 | 2, 4, 7, 8, 9]), None);
    assert_eq!(lengths(&[SILK_20 | 2]), None);
}

#[test]
fn a_length_from_252_on_takes_two_bytes() {
    // 4 * 1 + 253 = 257
    let packet = [&[SILK_20 | 2, 253, 1][..], &[0; 300]].concat();
    assert_eq!(lengths(&packet), Some(vec![257, 43]));
    assert_eq!(lengths(&[SILK_20 | 2, 253]), None);
}

#[test]
fn code_3_is_any_number_of_frames_equal_or_measured_with_or_without_padding() {
    assert_eq!(lengths(&[SILK_20 | 3, 3, 1, 2, 3, 4, 5, 6]), Some(vec![2, 2, 2]));
    assert_eq!(lengths(&[SILK_20 | 3, VBR | 3, 0, 2, 7, 8, 9]), Some(vec![0, 2, 1]));
    assert_eq!(lengths(&[SILK_20 | 3, PADDED | 2, 2, 7, 8, 0, 0]), Some(vec![1, 1]));
    let long_padding = [&[SILK_20 | 3, PADDED | 1, 255, 1, 7][..], &[0; 255]].concat();
    assert_eq!(lengths(&long_padding), Some(vec![1]));
}

#[test]
fn code_3_refuses_no_frames_too_much_padding_and_unequal_shares() {
    assert_eq!(lengths(&[SILK_20 | 3, 0]), None);
    assert_eq!(lengths(&[SILK_20 | 3, PADDED | 1, 2, 7]), None);
    assert_eq!(lengths(&[SILK_20 | 3, 2, 7, 8, 9]), None);
    assert_eq!(lengths(&[SILK_20 | 3]), None);
}

#[test]
fn more_than_120_ms_is_refused() {
    assert_eq!(lengths(&[SILK_20 | 3, 6]).map(|it| it.len()), Some(6));
    assert_eq!(lengths(&[SILK_20 | 3, 7]), None);
    assert_eq!(lengths(&[CELT_2_5 | 3, 48]).map(|it| it.len()), Some(48));
    assert_eq!(lengths(&[CELT_2_5 | 3, 49]), None);
}

#[test]
fn a_frame_of_more_than_1275_bytes_is_refused() {
    assert!(parse(&[0; 1 + MAX_FRAME]).is_some());
    assert!(parse(&[0; 2 + MAX_FRAME]).is_none());
}

// Merging

#[test]
fn one_packet_alone_stays_as_it_was() {
    assert_eq!(merged(3 * FRAME, &[&[CELT_20, 1, 2]]), [CELT_20, 1, 2]);
}

#[test]
fn two_of_one_size_become_code_1_and_of_two_sizes_code_2() {
    assert_eq!(merged(3 * FRAME, &[&[CELT_20, 1], &[CELT_20, 2]]), [CELT_20 | 1, 1, 2]);
    assert_eq!(merged(3 * FRAME, &[&[CELT_20, 1, 2], &[CELT_20, 3]]), [CELT_20 | 2, 2, 1, 2, 3]);
}

#[test]
fn three_become_code_3() {
    assert_eq!(merged(3 * FRAME, &[&[CELT_20, 1], &[CELT_20, 2], &[CELT_20, 3]]), [CELT_20 | 3, 3, 1, 2, 3]);
    let unequal = merged(3 * FRAME, &[&[CELT_20, 1], &[CELT_20, 2, 3], &[CELT_20, 4]]);
    assert_eq!(unequal, [CELT_20 | 3, VBR | 3, 1, 2, 1, 2, 3, 4]);
}

#[test]
fn packets_of_several_frames_merge_too() {
    let out = merged(6 * FRAME, &[&[CELT_20 | 1, 1, 2], &[CELT_20 | 3, PADDED | 1, 1, 3, 0]]);
    assert_eq!(out, [CELT_20 | 3, 3, 1, 2, 3]);
}

#[test]
fn a_silent_frame_keeps_its_place() {
    assert_eq!(merged(3 * FRAME, &[&[SILK_20, 9], &[SILK_20], &[SILK_20]]), [SILK_20 | 3, VBR | 3, 1, 0, 9]);
}

#[test]
fn another_configuration_another_channel_count_or_too_much_does_not_fit_and_changes_nothing() {
    let mut merger = Merger::new(2 * FRAME, ROOM);
    assert!(merger.push(&parse(&[SILK_20, 1]).unwrap()));
    for stranger in [&[CELT_20, 2][..], &[SILK_20 | STEREO, 2], &[SILK_20 | 1, 2, 3], &[SILK_20; ROOM - 1]] {
        assert!(!merger.push(&parse(stranger).unwrap()), "{}", stranger.len());
    }
    let mut out = Vec::new();
    merger.write(&mut out);
    assert_eq!(out, [SILK_20, 1]);
}

#[test]
fn an_empty_merger_writes_nothing() {
    assert!(merged(FRAME, &[]).is_empty());
}

fn packets() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let frame = prop_oneof![prop::collection::vec(any::<u8>(), 0..5), prop::collection::vec(any::<u8>(), 0..400)];
    let packet = frame.prop_map(|frame| [&[CELT_20][..], &frame].concat());
    prop::collection::vec(packet, 1..7)
}

proptest! {
    #[test]
    fn any_bytes_are_refused_or_merge_with_themselves(
        packet in prop::collection::vec(any::<u8>(), 0..64), code in 0..4u8, max_ticks in 0..2 * MAX_TICKS,
    ) {
        let mut packet = packet;
        if let Some(toc) = packet.first_mut() {
            *toc = *toc & !CODE | code;
        }
        let Some((kind, frames)) = contents(&packet) else { return Ok(()) };
        let mut merger = Merger::new(max_ticks, ROOM);
        let pushed = (0..50).take_while(|_| merger.push(&parse(&packet).unwrap())).count();
        let mut out = Vec::new();
        merger.write(&mut out);
        prop_assert!(out.len() <= ROOM);
        let again = contents(&out);
        let repeated: Vec<_> = frames.iter().cycle().take(pushed * frames.len()).cloned().collect();
        prop_assert_eq!(again, (pushed > 0).then_some((kind, repeated)));
    }

    #[test]
    fn what_was_merged_holds_every_frame_in_order(packets in packets()) {
        let mut merger = Merger::new(MAX_TICKS, ROOM);
        let taken: Vec<_> = packets.iter().take_while(|packet| merger.push(&parse(packet).unwrap())).collect();
        let mut out = Vec::new();
        merger.write(&mut out);
        prop_assert!(out.len() <= ROOM);
        prop_assert_eq!(contents(&out).unwrap().1, taken.iter().map(|packet| packet[1..].to_vec()).collect::<Vec<_>>());
    }

    #[test]
    fn a_packet_cut_off_anywhere_is_refused_or_another(packets in packets()) {
        let mut merger = Merger::new(MAX_TICKS, ROOM);
        let count = packets.iter().take_while(|packet| merger.push(&parse(packet).unwrap())).count();
        let mut out = Vec::new();
        merger.write(&mut out);
        for len in 0..out.len() {
            if let Some(shorter) = parse(&out[..len]) {
                prop_assert!(shorter.body.len() < out.len() && shorter.count <= count);
            }
        }
    }
}
