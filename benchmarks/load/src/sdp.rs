//! The smallest offers that WHIP and WHEP servers take, and what is needed of their answers.

use std::net::{IpAddr, SocketAddr};

use crate::job::Role;

/// Header extension id of the audio level in our offers.
pub const LEVEL_ID: u8 = 1;
pub const PAYLOAD_TYPE: u8 = 111;

pub struct Offer<'a> {
    pub role: Role,
    pub sections: usize,
    pub ufrag: &'a str,
    pub pwd: &'a str,
    pub fingerprint: &'a str,
    pub ssrc: u32,
    pub local: SocketAddr,
}

impl Offer<'_> {
    pub fn text(&self) -> String {
        let mids: Vec<String> = (0..self.sections).map(|section| section.to_string()).collect();
        let mut text =
            format!("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {}\r\n", mids.join(" "));
        for mid in &mids {
            text += &self.section(mid);
        }
        text
    }

    fn section(&self, mid: &str) -> String {
        let (direction, source) = match self.role {
            Role::Speak => ("sendonly", format!("a=msid:load load\r\na=ssrc:{} cname:load\r\n", self.ssrc)),
            Role::Listen => ("recvonly", String::new()),
        };
        format!(
            "m=audio 9 UDP/TLS/RTP/SAVPF {PAYLOAD_TYPE}\r\nc=IN IP4 0.0.0.0\r\na=mid:{mid}\r\na={direction}\r\n\
             a=rtpmap:{PAYLOAD_TYPE} opus/48000/2\r\na=fmtp:{PAYLOAD_TYPE} minptime=10;useinbandfec=1\r\n\
             a=extmap:{LEVEL_ID} urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\na=rtcp-mux\r\na=rtcp-rsize\r\n\
             a=ice-ufrag:{}\r\na=ice-pwd:{}\r\na=fingerprint:sha-256 {}\r\na=setup:actpass\r\n\
             a=candidate:1 1 udp 2130706431 {} {} typ host\r\n{source}",
            self.ufrag,
            self.pwd,
            self.fingerprint,
            self.local.ip(),
            self.local.port()
        )
    }
}

pub struct Answer {
    pub ufrag: String,
    pub pwd: String,
    pub remote: SocketAddr,
    /// The server waits for our ClientHello.
    pub is_passive: bool,
    /// Extension id of the audio level, 0 where the server left it out.
    pub level_id: u8,
}

impl Answer {
    pub fn parse(text: &str) -> Result<Self, String> {
        let attribute =
            |name: &str| text.lines().find_map(|line| line.strip_prefix("a=")?.strip_prefix(name)?.strip_prefix(':'));
        let need = |name: &str| attribute(name).map(str::trim).ok_or_else(|| format!("the answer has no a={name}"));
        let level = text.lines().find(|line| line.contains("ssrc-audio-level"));
        let level_id = level.and_then(|line| line.strip_prefix("a=extmap:")?.split([' ', '/']).next()?.parse().ok());
        Ok(Self {
            ufrag: need("ice-ufrag")?.to_owned(),
            pwd: need("ice-pwd")?.to_owned(),
            remote: text.lines().find_map(udp_host_candidate).ok_or("the answer has no UDP IPv4 candidate")?,
            is_passive: need("setup")? != "active",
            level_id: level_id.unwrap_or(0),
        })
    }
}

fn udp_host_candidate(line: &str) -> Option<SocketAddr> {
    let mut words = line.strip_prefix("a=candidate:")?.split(' ');
    let transport = words.nth(2)?;
    let (address, port) = (words.nth(1)?, words.next()?);
    let address: IpAddr = address.parse().ok()?;
    (transport.eq_ignore_ascii_case("udp") && address.is_ipv4())
        .then(|| Some(SocketAddr::new(address, port.trim().parse().ok()?)))?
}
