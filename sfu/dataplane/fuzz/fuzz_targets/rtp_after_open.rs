//! What an authenticated but hostile peer sends: any bytes behind an RTP header, sealed, opened and read.

#![no_main]

use _dataplane::rtp::{audio_level, extension, parse, payload, Header, Template};
use _dataplane::srtp::{Opener, Profile, Sealer};
use libfuzzer_sys::fuzz_target;

const PROFILE: Profile = Profile::AeadAes128Gcm;
const MASTER: [u8; 28] = [0x5a; 28];

fuzz_target!(|packet: &[u8]| {
    let Some(header) = parse(packet) else { return };
    assert_eq!(opened(packet, &header).as_deref(), Some(packet));
    if let Some(payload) = payload(packet, &header) {
        assert!(header.header_len + payload.len() <= packet.len());
    }
    for id in 0..=255 {
        if let Some(value) = extension(packet, &header, id) {
            assert!(value.len() < header.header_len);
            repeat(packet, &header, id, value);
        }
    }
});

fn opened(packet: &[u8], header: &Header) -> Option<Vec<u8>> {
    let mut buffer = packet.to_vec();
    buffer.resize(packet.len() + PROFILE.rtp_overhead(), 0);
    let sealer = Sealer::new(PROFILE, &MASTER)?;
    let sealed = sealer.seal_rtp(&mut buffer, header.header_len, packet.len(), header.sequence.into())?;
    let (len, _) = Opener::new(PROFILE, &MASTER)?.open_rtp(&mut buffer[..sealed], header).ok()?;
    buffer.truncate(len);
    Some(buffer)
}

/// What a packet says of itself survives being written to a slot and read again.
fn repeat(packet: &[u8], header: &Header, id: u8, mid: &[u8]) {
    let level_id = if id == 1 { 2 } else { 1 };
    let Some(template) = Template::new(header.ssrc, header.payload_type, Some(mid), id, level_id) else { return };
    let level = audio_level(packet, header, id);
    let mut out = [0; 128];
    let len = template.write(&mut out, header.marker, header.sequence, header.timestamp, level);
    let again = parse(&out[..len]).expect("a template writes RTP");
    assert_eq!(
        (again.ssrc, again.payload_type, again.marker, again.sequence, again.timestamp, again.header_len),
        (header.ssrc, header.payload_type, header.marker, header.sequence, header.timestamp, len),
    );
    assert_eq!(extension(&out[..len], &again, id), Some(mid));
    assert_eq!(audio_level(&out[..len], &again, level_id), level);
}
