//! A stranger's datagram: sorted, read by the parsers that come before any key, and opened by none.

#![no_main]

use _dataplane::classify::{classify, Kind};
use _dataplane::srtp::{Opener, Profile};
use _dataplane::{rtp, stun};
use libfuzzer_sys::fuzz_target;

const PROFILES: [Profile; 3] = [Profile::Aes128CmHmacSha1_80, Profile::AeadAes128Gcm, Profile::AeadAes256Gcm];

fuzz_target!(|datagram: &[u8]| match classify(datagram) {
    Some(Kind::Stun) => {
        let _ = stun::parse(datagram);
    }
    Some(Kind::Dtls) => assert!((20..=63).contains(&datagram[0])),
    Some(Kind::Rtp) => {
        if let Some(header) = rtp::parse(datagram) {
            for mut opener in openers() {
                assert!(opener.open_rtp(&mut datagram.to_vec(), &header).is_err());
            }
        }
    }
    Some(Kind::Rtcp) => {
        for mut opener in openers() {
            assert!(opener.open_rtcp(&mut datagram.to_vec()).is_err());
        }
    }
    None => {}
});

fn openers() -> impl Iterator<Item = Opener> {
    PROFILES.into_iter().map(|profile| {
        let master = vec![0x5a; profile.key_len() + profile.salt_len()];
        Opener::new(profile, &master).expect("a master of the profile's own length")
    })
}
