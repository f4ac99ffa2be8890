//! One peer connection of the load: ICE checks, DTLS handshake, SRTP keys, reports.

use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Instant;

use dimpl::{Dtls, DtlsCertificate, Output, SrtpProfile};
use palco_dataplane::classify::{classify, Kind};
use palco_dataplane::rtcp::{build_receiver_report, ReportBlock};
use palco_dataplane::srtp::{Opener, Profile, Sealer};
use palco_dataplane::{rtp, stun};
use ring::rand::{SecureRandom, SystemRandom};

use crate::job::{Role, SessionSpec};
use crate::net;
use crate::sdp::{Answer, Offer};

/// Between an unanswered check or flight and the next.
const RETRY_S: f64 = 0.25;
/// Consent checks and receiver reports of a joined session.
const CONSENT_S: f64 = 5.0;

/// What all sessions have in common.
pub struct Identity {
    pub certificate: DtlsCertificate,
    pub config: Arc<dimpl::Config>,
    pub random: SystemRandom,
}

impl Identity {
    pub fn new() -> Result<Self, String> {
        let certificate = dimpl::certificate::generate_self_signed_certificate().map_err(|error| error.to_string())?;
        let config = dimpl::Config::builder().build().map_err(|error| error.to_string())?;
        Ok(Self { certificate, config: Arc::new(config), random: SystemRandom::new() })
    }

    fn text(&self, bytes: usize) -> String {
        let mut raw = vec![0; bytes];
        self.random.fill(&mut raw).expect("the system has random bytes");
        raw.iter().map(|byte| char::from(b"abcdefghijklmnopqrstuvwxyzABCDEF"[usize::from(byte & 31)])).collect()
    }
}

pub struct Media {
    pub sealer: Sealer,
    opener: Opener,
}

/// What a datagram meant to the one who plays.
pub enum Heard {
    Nothing,
    /// Keys are there: media may flow.
    Connected,
    /// RTP, opened into the buffer: its header and open length.
    Media(rtp::Header, usize),
    /// RTP that did not open.
    Wrong,
}

pub struct Session {
    pub spec: SessionSpec,
    pub socket: UdpSocket,
    pub ssrc: u32,
    /// When the first request was made.
    pub posted_s: f64,
    /// When the latest was, and how many were refused before it.
    pub asked_s: f64,
    pub refusals: u32,
    pub connected_s: Option<f64>,
    pub first_audio_s: Option<f64>,
    /// URL of the session, to delete it.
    pub resource: String,
    pub level_id: u8,
    pub media: Option<Media>,
    ufrag: String,
    own_key: stun::Key,
    pwd: String,
    remote: Option<(String, stun::Key)>,
    is_passive: bool,
    dtls: Option<Box<Dtls>>,
    next_s: f64,
}

impl Session {
    pub fn new(spec: SessionSpec, ssrc: u32, port: u16, identity: &Identity) -> Result<Self, String> {
        let socket = net::bind(port).map_err(|error| format!("a socket for every session is needed: {error}"))?;
        let pwd = identity.text(24);
        Ok(Self {
            spec,
            socket,
            ssrc,
            posted_s: 0.0,
            asked_s: 0.0,
            refusals: 0,
            connected_s: None,
            first_audio_s: None,
            resource: String::new(),
            level_id: 0,
            media: None,
            ufrag: identity.text(8),
            own_key: stun::Key::new(pwd.as_bytes()),
            pwd,
            remote: None,
            is_passive: false,
            dtls: None,
            next_s: f64::INFINITY,
        })
    }

    pub fn offer(&self, identity: &Identity) -> Result<String, String> {
        let local = self.socket.local_addr().map_err(|error| error.to_string())?;
        let fingerprint = identity.certificate.fingerprint_str();
        Ok(Offer {
            role: self.spec.role,
            sections: self.spec.sections,
            ufrag: &self.ufrag,
            pwd: &self.pwd,
            fingerprint: &fingerprint,
            ssrc: self.ssrc,
            local,
        }
        .text())
    }

    pub fn on_answer(&mut self, body: &str, identity: &Identity, now_s: f64) -> Result<(), String> {
        let answer = Answer::parse(body)?;
        self.socket.connect(answer.remote).map_err(|error| error.to_string())?;
        self.remote = Some((answer.ufrag, stun::Key::new(answer.pwd.as_bytes())));
        self.level_id = answer.level_id;
        self.is_passive = !answer.is_passive;
        let mut dtls = Dtls::new_12(Arc::clone(&identity.config), identity.certificate.clone(), Instant::now());
        dtls.set_active(answer.is_passive);
        self.dtls = Some(Box::new(dtls));
        self.next_s = now_s;
        self.on_time(now_s);
        Ok(())
    }

    /// Whether the server has made a session of the offer.
    pub fn was_let_in(&self) -> bool {
        !self.resource.is_empty()
    }

    pub fn is_joining(&self) -> bool {
        self.connected_s.is_none()
    }

    /// Retries while joining; consent and reports afterwards. Cheap when nothing is due.
    pub fn on_time(&mut self, now_s: f64) {
        if now_s < self.next_s {
            return;
        }
        self.check();
        if let Some(dtls) = &mut self.dtls {
            // A dead handshake shows as a join that never ends, and is counted there.
            let _ = dtls.handle_timeout(Instant::now());
            self.next_s = now_s + RETRY_S;
            self.pump(now_s);
        } else {
            self.report();
            self.next_s = now_s + CONSENT_S;
        }
    }

    fn check(&mut self) {
        let Some((remote_ufrag, key)) = &self.remote else {
            return;
        };
        let username = format!("{remote_ufrag}:{}", self.ufrag);
        let mut transaction = [0; 12];
        transaction[..4].copy_from_slice(&self.ssrc.to_be_bytes());
        transaction[4..].copy_from_slice(&crate::latency::wall_ns().to_be_bytes());
        let request = stun::Request {
            transaction,
            username: username.as_bytes(),
            priority: Some(1_845_501_695),
            controlling: Some(u64::from(self.ssrc)),
            controlled: None,
            nominates: true,
        };
        let mut out = [0; 256];
        let length = stun::build_request(&request, key, &mut out);
        let _ = self.socket.send(&out[..length]); // a full buffer loses it, as a network would
    }

    fn report(&mut self) {
        let (Some(media), Role::Listen) = (&mut self.media, self.spec.role) else {
            return;
        };
        let block = ReportBlock { ssrc: self.ssrc, ..ReportBlock::default() };
        let mut out = [0; 256];
        let length = build_receiver_report(&mut out, self.ssrc, &[block], b"load");
        if let Some(sealed) = media.sealer.seal_rtcp(&mut out, length) {
            let _ = self.socket.send(&out[..sealed]);
        }
    }

    /// Takes one datagram in; media is opened in place.
    pub fn on_datagram(&mut self, datagram: &mut [u8], now_s: f64) -> Heard {
        match classify(datagram) {
            Some(Kind::Stun) => self.on_stun(datagram, now_s),
            Some(Kind::Dtls) => return self.on_dtls(datagram, now_s),
            Some(Kind::Rtp) => return self.on_rtp(datagram),
            Some(Kind::Rtcp) | None => {}
        }
        Heard::Nothing
    }

    fn on_stun(&mut self, datagram: &[u8], now_s: f64) {
        if let Some(check) = stun::parse(datagram).and_then(|check| check.verify(&self.own_key)) {
            let Ok(remote) = self.socket.peer_addr() else { return };
            let mut out = [0; 128];
            let length = stun::build_success(&check, remote, &self.own_key, &mut out);
            let _ = self.socket.send(&out[..length]);
        } else {
            self.pump(now_s); // an answered check: the ClientHello may go
        }
    }

    fn on_rtp(&mut self, datagram: &mut [u8]) -> Heard {
        let Some(media) = &mut self.media else {
            return Heard::Nothing;
        };
        let Some(header) = rtp::parse(datagram) else {
            return Heard::Wrong;
        };
        media.opener.open_rtp(datagram, &header).map_or(Heard::Wrong, |(length, _)| Heard::Media(header, length))
    }

    fn on_dtls(&mut self, datagram: &[u8], now_s: f64) -> Heard {
        if let Some(dtls) = &mut self.dtls {
            let _ = dtls.handle_packet(datagram);
            self.pump(now_s);
            if self.dtls.is_none() {
                return Heard::Connected;
            }
        }
        Heard::Nothing
    }

    /// Sends what the handshake has to say; takes the keys when it is done.
    fn pump(&mut self, now_s: f64) {
        let Some(dtls) = &mut self.dtls else { return };
        let (mut out, mut keys, mut is_connected) = ([0; 2048], None, false);
        loop {
            match dtls.poll_output(&mut out) {
                Output::Packet(packet) => {
                    let _ = self.socket.send(packet);
                }
                Output::KeyingMaterial(material, profile) => keys = split_keys(&material, profile, !self.is_passive),
                Output::Connected => is_connected = true,
                Output::Timeout(_) => break,
                _ => {}
            }
        }
        if let Some((sealer, opener)) = keys {
            self.media = Some(Media { sealer, opener });
        }
        if is_connected || self.media.is_some() {
            self.connected_s = Some(now_s);
            self.dtls = None;
            // Spread over the period, so that ten thousand listeners do not report at once.
            self.next_s = now_s + CONSENT_S * f64::from(self.ssrc % 997) / 997.0;
        }
    }
}

/// Keying material is client key, server key, client salt, server salt (RFC 5764 §4.2); ours first.
fn split_keys(material: &[u8], profile: SrtpProfile, is_client: bool) -> Option<(Sealer, Opener)> {
    let profile = match profile {
        SrtpProfile::AEAD_AES_128_GCM => Profile::AeadAes128Gcm,
        SrtpProfile::AEAD_AES_256_GCM => Profile::AeadAes256Gcm,
        _ => Profile::Aes128CmHmacSha1_80,
    };
    let (keys, salts) = material.split_at_checked(2 * profile.key_len())?;
    let (client_key, server_key) = keys.split_at(profile.key_len());
    let (client_salt, server_salt) = salts.split_at_checked(profile.salt_len())?;
    let client = [client_key, client_salt].concat();
    let server = [server_key, server_salt.get(..profile.salt_len())?].concat();
    let (own, other) = if is_client { (client, server) } else { (server, client) };
    Some((Sealer::new(profile, &own)?, Opener::new(profile, &other)?))
}
