mod reception;

use proptest::prelude::*;

use super::*;

const INFO: SenderInfo = SenderInfo { ntp: 0x0102_0304_0506_0708, rtp_timestamp: 960, packets: 5, octets: 400 };

const BLOCK: ReportBlock = ReportBlock {
    ssrc: 0xaabb_ccdd,
    fraction_lost: 64,
    cumulative_lost: -3,
    highest_sequence: 0x0001_0002,
    jitter: 7,
    last_sr: 0x0304_0506,
    delay_since_last_sr: 0x0001_0000,
};

fn sender_report() -> Vec<u8> {
    let mut out = [0; 128];
    let len = build_sender_report(&mut out, 0x0708_090a, &INFO, b"palco");
    out[..len].to_vec()
}

fn receiver_report(blocks: &[ReportBlock]) -> Vec<u8> {
    let mut out = [0; 1024];
    let len = build_receiver_report(&mut out, 0x0708_090a, blocks, b"palco");
    out[..len].to_vec()
}

/// One packet: first byte, type, and a body whose length the header tells truly.
fn packet(first: u8, packet_type: u8, body: &[u8]) -> Vec<u8> {
    let [l0, l1] = u16::try_from(body.len() / 4).unwrap().to_be_bytes();
    [&[first, packet_type, l0, l1], body].concat()
}

mod rfc_3550_section_6 {
    use super::*;

    /// The figures of §6.4.1 and §6.5 with the numbers of `INFO`.
    #[test]
    fn a_sender_report_is_laid_out_as_drawn() {
        let expected = b"\
            \x80\xc8\x00\x06\x07\x08\x09\x0a\
            \x01\x02\x03\x04\x05\x06\x07\x08\x00\x00\x03\xc0\x00\x00\x00\x05\x00\x00\x01\x90\
            \x81\xca\x00\x03\x07\x08\x09\x0a\x01\x05palco\x00";
        assert_eq!(sender_report(), expected);
    }

    /// The figure of §6.4.2 with the numbers of `BLOCK`.
    #[test]
    fn a_receiver_report_is_laid_out_as_drawn() {
        let expected = b"\
            \x81\xc9\x00\x07\x07\x08\x09\x0a\
            \xaa\xbb\xcc\xdd\x40\xff\xff\xfd\x00\x01\x00\x02\x00\x00\x00\x07\x03\x04\x05\x06\x00\x01\x00\x00\
            \x81\xca\x00\x03\x07\x08\x09\x0a\x01\x05palco\x00";
        assert_eq!(receiver_report(&[BLOCK]), expected);
    }

    #[test]
    fn a_sender_report_is_read_with_its_blocks() {
        let mut report = sender_report()[..28].to_vec();
        report.extend(&receiver_report(&[BLOCK, BLOCK])[8..][..48]);
        report[0] |= 2;
        report[3] += 12;
        let Some(Item::SenderReport { ssrc, info, blocks }) = parse(&report).next() else { panic!() };
        assert_eq!((ssrc, info), (0x0708_090a, INFO));
        assert_eq!(blocks.collect::<Vec<_>>(), [BLOCK, BLOCK]);
    }

    #[test]
    fn a_receiver_report_is_read_with_its_blocks() {
        let report = receiver_report(&[BLOCK]);
        let Some(Item::ReceiverReport { ssrc, blocks }) = parse(&report).next() else { panic!() };
        assert_eq!(ssrc, 0x0708_090a);
        assert_eq!(blocks.collect::<Vec<_>>(), [BLOCK]);
    }

    #[test]
    fn a_bye_names_its_sources_and_not_its_reason() {
        let bye = packet(0x82, 203, b"\x00\x00\x00\x01\x00\x00\x00\x02\x03bye");
        let Some(Item::Bye { sources }) = parse(&bye).next() else { panic!() };
        assert_eq!(sources.collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn profile_extensions_after_the_blocks_are_stepped_over() {
        let report = packet(0x80, 201, b"\x00\x00\x00\x01extension...");
        let Some(Item::ReceiverReport { ssrc: 1, mut blocks }) = parse(&report).next() else { panic!() };
        assert_eq!(blocks.next(), None);
    }

    #[test]
    fn packets_of_other_types_do_not_hide_what_follows() {
        let feedback = packet(0x8f, 206, b"\x00\x00\x00\x01\x00\x00\x00\x02REMB");
        let compound = [receiver_report(&[]), feedback, sender_report()].concat();
        let kinds: Vec<_> = parse(&compound)
            .map(|item| match item {
                Item::SenderReport { .. } => "SR",
                Item::ReceiverReport { .. } => "RR",
                Item::Bye { .. } => "BYE",
                Item::Other => "other",
            })
            .collect();
        assert_eq!(kinds, ["RR", "other", "other", "SR", "other"]);
    }

    #[test]
    fn every_cname_ends_in_a_zero_and_a_whole_word() {
        for len in 0..=255 {
            let mut out = [0xff; 512];
            let len = build_receiver_report(&mut out, 1, &[], &[b'c'; 255][..len]);
            assert_eq!((len % 4, out[len - 1]), (0, 0));
            assert_eq!(parse(&out[..len]).count(), 2);
        }
    }

    #[test]
    fn a_loss_beyond_24_bits_is_the_largest_that_fits() {
        for (lost, told) in [(i32::MAX, 0x7f_ffff), (i32::MIN, -0x80_0000), (-1, -1)] {
            let report = receiver_report(&[ReportBlock { cumulative_lost: lost, ..BLOCK }]);
            let Some(Item::ReceiverReport { mut blocks, .. }) = parse(&report).next() else { panic!() };
            assert_eq!(blocks.next().unwrap().cumulative_lost, told);
        }
    }

    #[test]
    fn what_does_not_fit_is_not_built() {
        assert_eq!(build_receiver_report(&mut [0; 1024], 1, &[BLOCK; 32], b"c"), 0);
        assert_eq!(build_sender_report(&mut [0; 1024], 1, &INFO, &[b'c'; 256]), 0);
        for len in 0..sender_report().len() {
            assert_eq!(build_sender_report(&mut vec![0; len], 1, &INFO, b"palco"), 0);
        }
        for len in 0..receiver_report(&[BLOCK]).len() {
            assert_eq!(build_receiver_report(&mut vec![0; len], 1, &[BLOCK], b"palco"), 0);
        }
    }
}

mod lies {
    use super::*;

    #[test]
    fn a_compound_cut_at_any_length_yields_only_what_is_whole() {
        let compound = [sender_report(), receiver_report(&[BLOCK])].concat();
        let ends = [28, 44, 76, 92]; // SR, SDES, RR, SDES
        assert_eq!(compound.len(), 92);
        for len in 0..=compound.len() {
            let whole = ends.iter().filter(|&&end| end <= len).count();
            assert_eq!(parse(&compound[..len]).count(), whole, "{len} bytes");
        }
    }

    #[test]
    fn t16_nothing_after_a_lie_is_believed() {
        let truth = receiver_report(&[BLOCK]);
        let lies = [
            packet(0x40, 201, &[0; 4]),                   // version 1
            packet(0x81, 201, &[0; 4]),                   // a block that is not there
            packet(0x9f, 201, &[0; 28]),                  // thirty of them
            packet(0x81, 200, &[0; 24]),                  // the same in a sender report
            packet(0x80, 200, &[0; 20]),                  // a sender report without its end
            packet(0x80, 201, &[]),                       // a report of no one
            packet(0x9f, 203, &[0; 4]),                   // a BYE of 31 sources (CVE-2021-43804)
            packet(0xa0, 201, &[0, 0, 0, 4, 0, 0, 0, 4]), // padding before the end
        ];
        for lie in lies {
            let compound = [&truth[..], &lie, &truth].concat();
            let mut items = parse(&compound);
            assert_eq!(items.by_ref().count(), 2, "{lie:?}");
            assert!(items.next().is_none(), "who asks again gets no more: {lie:?}");
        }
    }

    #[test]
    fn a_length_beyond_the_datagram_ends_the_reading() {
        for length in [2, 100, 0xffff_u16] {
            let mut report = packet(0x80, 201, &[0; 4]);
            report[2..4].copy_from_slice(&length.to_be_bytes());
            assert_eq!(parse(&report).count(), 0);
        }
    }

    #[test]
    fn padding_is_not_read_as_blocks() {
        let body = |padding: u8| {
            let mut body = [0; 28];
            body[27] = padding;
            body
        };
        assert_eq!(parse(&packet(0xa0, 201, &body(24))).count(), 1);
        assert_eq!(parse(&packet(0xa1, 201, &body(24))).count(), 0, "a block within the padding");
        for padding in [0, 1, 3, 28, 32, 255] {
            assert_eq!(parse(&packet(0xa0, 201, &body(padding))).count(), 0, "{padding} bytes of padding");
        }
        assert_eq!(parse(&packet(0xa0, 201, &[])).count(), 0, "padding in a packet without a body");
    }
}

mod round_trips {
    use super::*;

    /// §6.4.1: 0xb710:8000 − 0xb705:2000 − 5.25 s = 6.125 s.
    #[test]
    fn the_example_of_rfc_3550_is_met() {
        let ntp = 0x0000_b710_8000_0000;
        let block = ReportBlock { last_sr: 0xb705_2000, delay_since_last_sr: 0x0005_4000, ..BLOCK };
        assert_eq!(block.round_trip(ntp), Some(Duration::from_micros(6_125_000)));
    }

    #[test]
    fn there_is_none_before_a_sender_report_was_seen() {
        assert_eq!(ReportBlock { last_sr: 0, ..BLOCK }.round_trip(INFO.ntp), None);
    }

    #[test]
    fn a_delay_longer_than_the_time_passed_gives_none() {
        let block = ReportBlock { last_sr: 0x0001_0000, delay_since_last_sr: 2, ..BLOCK };
        assert_eq!(block.round_trip(0x0001_0001 << 16), None);
    }
}

fn any_block() -> impl Strategy<Value = ReportBlock> {
    (any::<[u32; 5]>(), any::<u8>(), -0x80_0000..0x80_0000).prop_map(|(words, fraction_lost, cumulative_lost)| {
        let [ssrc, highest_sequence, jitter, last_sr, delay_since_last_sr] = words;
        ReportBlock { ssrc, fraction_lost, cumulative_lost, highest_sequence, jitter, last_sr, delay_since_last_sr }
    })
}

proptest! {
    #[test]
    fn receiver_reports_are_read_as_built(sent in prop::collection::vec(any_block(), 0..32)) {
        let report = receiver_report(&sent);
        let Some(Item::ReceiverReport { blocks, .. }) = parse(&report).next() else { panic!() };
        prop_assert_eq!(blocks.collect::<Vec<_>>(), sent);
    }

    #[test]
    fn sender_reports_are_read_as_built(
        source: u32, ntp: u64, numbers: [u32; 3], cname in prop::collection::vec(any::<u8>(), 0..256),
    ) {
        let [rtp_timestamp, packets, octets] = numbers;
        let sent = SenderInfo { ntp, rtp_timestamp, packets, octets };
        let mut out = [0; 512];
        let len = build_sender_report(&mut out, source, &sent, &cname);
        let Some(Item::SenderReport { ssrc, info, .. }) = parse(&out[..len]).next() else { panic!() };
        prop_assert_eq!((ssrc, info), (source, sent));
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
        consume(&bytes);
    }

    /// Noise rarely gets past the version; these packets do, with counts and lengths that lie.
    #[test]
    fn no_packets_make_the_reader_panic(
        heads in prop::collection::vec((0x80_u8..0xc0, 199_u8..208, 0_u8..16), 1..6), body: [u8; 64],
    ) {
        let mut compound = Vec::new();
        for (first, packet_type, length) in heads {
            compound.extend([first, packet_type, 0, length]);
            compound.extend(&body[..4 * usize::from(length)]);
        }
        consume(&compound);
        compound.pop();
        consume(&compound);
    }
}

fn consume(compound: &[u8]) {
    for item in parse(compound) {
        match item {
            Item::SenderReport { blocks, .. } | Item::ReceiverReport { blocks, .. } => {
                assert!(blocks.clone().count() <= 31);
                blocks.for_each(|block| assert!(block.round_trip(0) < Some(Duration::from_secs(1 << 15))));
            }
            Item::Bye { sources } => assert!(sources.count() <= 31),
            Item::Other => {}
        }
    }
}
