use super::*;

const SSRC: u32 = 0xaabb_ccdd;
/// 20 ms of Opus.
const FRAME: u32 = 960;

/// A reception that took the `n`th packet of a stream that starts at `start`, for each n in `order`, on time.
fn after(start: u16, order: impl IntoIterator<Item = u16>) -> Reception {
    let mut reception = Reception::new(SSRC);
    for n in order {
        let time = u32::from(n) * FRAME;
        reception.on_packet(start.wrapping_add(n), time, time);
    }
    reception
}

#[test]
fn of_nothing_nothing_is_reported() {
    assert_eq!(Reception::new(SSRC).block(5), ReportBlock { ssrc: SSRC, ..ReportBlock::default() });
}

#[test]
fn an_unbroken_stream_has_lost_nothing() {
    let block = after(17, 0..100).block(0);
    assert_eq!((block.ssrc, block.fraction_lost, block.cumulative_lost), (SSRC, 0, 0));
    assert_eq!((block.highest_sequence, block.jitter), (17 + 99, 0));
}

#[test]
fn the_sequence_number_may_wrap_around() {
    let block = after(65_530, 0..10).block(0);
    assert_eq!(block.highest_sequence, 0x0001_0003); // 65530 + 9 = 65536 + 3
    assert_eq!(block.cumulative_lost, 0);
}

#[test]
fn packets_missing_around_the_wrap_are_lost() {
    let block = after(65_530, [0, 1, 2, 8, 9]).block(0);
    assert_eq!(block.cumulative_lost, 5);
    assert_eq!(block.fraction_lost, 128); // 5 of 10
}

#[test]
fn the_fraction_is_of_the_last_interval_the_sum_of_all() {
    let mut reception = after(0, (0..100).filter(|n| n % 4 != 3 || *n == 99));
    let block = reception.block(0);
    assert_eq!((block.cumulative_lost, block.fraction_lost), (24, 61)); // 24 × 256 / 100 = 61.4
    for n in 100..200 {
        reception.on_packet(n, u32::from(n) * FRAME, u32::from(n) * FRAME);
    }
    let block = reception.block(0);
    assert_eq!((block.cumulative_lost, block.fraction_lost), (24, 0));
    assert_eq!(reception.block(0).fraction_lost, 0, "nothing was expected since");
}

#[test]
fn packets_out_of_order_are_not_lost() {
    let block = after(65_530, [0, 3, 1, 2, 9, 8, 7, 4, 5, 6]).block(0);
    assert_eq!((block.cumulative_lost, block.highest_sequence), (0, 0x0001_0003));
}

#[test]
fn duplicates_make_the_loss_negative_and_the_fraction_zero() {
    let block = after(0, [0, 1, 1, 1, 2]).block(0);
    assert_eq!((block.cumulative_lost, block.fraction_lost), (-2, 0));
}

#[test]
fn a_jump_counts_once_the_next_packet_confirms_it() {
    let mut reception = after(0, 0..10);
    assert!(!reception.on_packet(9 + 3000, 0, 0));
    assert_eq!(reception.block(0).highest_sequence, 9);
    assert!(reception.on_packet(9 + 3001, 0, 0));
    let block = reception.block(0);
    assert_eq!((block.highest_sequence, block.cumulative_lost, block.fraction_lost), (3010, 0, 0));
}

#[test]
fn a_stray_packet_does_not_make_a_later_one_a_restart() {
    let mut reception = after(0, 0..10);
    assert!(!reception.on_packet(9 + 3000, 0, 0));
    assert!(reception.on_packet(10, 0, 0));
    assert!(!reception.on_packet(9 + 3001, 0, 0));
    assert_eq!(reception.block(0).highest_sequence, 10);
}

#[test]
fn the_bounds_of_dropout_and_misorder_are_those_of_appendix_a() {
    assert!(after(0, 0..1).on_packet(2999, 0, 0));
    assert!(!after(0, 0..1).on_packet(3000, 0, 0));
    assert!(after(1000, 0..1).on_packet(1000 - 99, 0, 0));
    assert!(!after(1000, 0..1).on_packet(1000 - 100, 0, 0));
}

#[test]
fn jitter_is_a_sixteenth_of_each_deviation() {
    let mut reception = after(0, 0..10);
    reception.on_packet(10, 10 * FRAME, 10 * FRAME + 160);
    assert_eq!(reception.block(0).jitter, 10); // 160 / 16
    reception.on_packet(11, 11 * FRAME, 11 * FRAME);
    assert_eq!(reception.block(0).jitter, 19); // 10 + (160 - 10) / 16 = 19.4
}

#[test]
fn neither_clocks_start_nor_its_wrap_is_jitter() {
    let mut reception = Reception::new(SSRC);
    for n in 0..10_u16 {
        let elapsed = u32::from(n) * FRAME;
        reception.on_packet(n, (u32::MAX - 3000).wrapping_add(elapsed), (u32::MAX - 7).wrapping_add(elapsed));
    }
    assert_eq!(reception.block(0).jitter, 0);
}

#[test]
fn a_restarted_clock_is_no_jitter() {
    let mut reception = after(0, 0..10);
    for n in 0..3_u16 {
        reception.on_packet(20_000 + n, 0x8000_0000 + u32::from(n) * FRAME, u32::from(10 + n) * FRAME);
    }
    assert_eq!(reception.block(0).jitter, 0);
}

#[test]
fn a_block_repeats_the_last_sender_report_and_its_age() {
    let mut reception = after(0, 0..10);
    reception.on_sender_report(0x0102_0304_0506_0708, u32::MAX - 23_999);
    let block = reception.block(24_000); // 24 000 ticks before the wrap and 24 000 after: one second
    assert_eq!((block.last_sr, block.delay_since_last_sr), (0x0304_0506, 65_536));
}

proptest! {
    /// Whatever is lost between the first and the last packet, and in whatever order a window of eight arrives.
    #[test]
    fn the_sum_of_losses_is_what_was_taken_out(
        start: u16, is_lost in prop::collection::vec(prop::bool::weighted(0.2), 0..2000), seed: u64,
    ) {
        let last = is_lost.len() as u16 + 1;
        let mut order: Vec<u16> =
            (0..=last).filter(|&n| n == 0 || n == last || !is_lost[usize::from(n) - 1]).collect();
        let inner = order.len() - 1;
        order[1..inner].chunks_mut(8).for_each(|window| window.rotate_left(seed as usize % window.len()));
        let block = after(start, order).block(0);
        prop_assert_eq!(block.cumulative_lost, is_lost.iter().filter(|&&lost| lost).count() as i32);
        prop_assert_eq!(block.highest_sequence, u32::from(start) + u32::from(last));
    }

    #[test]
    fn no_stream_makes_it_panic(packets: Vec<(u16, u32, u32, bool)>) {
        let mut reception = Reception::new(SSRC);
        for (sequence, timestamp, arrival_48k, reports) in packets {
            reception.on_packet(sequence, timestamp, arrival_48k);
            if reports {
                reception.on_sender_report(u64::from(timestamp) << 16, arrival_48k);
                reception.block(timestamp);
            }
        }
    }
}
