//! Per packet: header extensions (RFC 8285) and the audio level in them (RFC 6464).

use super::Header;

pub(super) const ONE_BYTE_PROFILE: u16 = 0xbede;
pub(super) const TWO_BYTE_PROFILE: u16 = 0x1000; // the low four bits, "appbits", are anyone's
pub(super) const ONE_BYTE_MAX_ID: u8 = 14; // 15 is reserved: stop there (RFC 8285 §4.2)
pub(super) const ONE_BYTE_MAX_VALUE_BYTES: usize = 16;

/// How loud a packet is, by its sender's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioLevel {
    /// The sender believes that there is speech in it.
    pub is_voice: bool,
    /// In -dBov: 0 the loudest, 127 silence.
    pub level: u8,
}

impl AudioLevel {
    /// From the extension's one byte: `|V|   level     |`.
    pub fn from_byte(byte: u8) -> Self {
        Self { is_voice: byte & 0x80 != 0, level: byte & 0x7f }
    }

    /// The extension's one byte; a level beyond 127 is silence.
    pub fn to_byte(self) -> u8 {
        u8::from(self.is_voice) << 7 | self.level.min(127)
    }
}

/// The value of the first element `id`, in either form of RFC 8285; None if there is none or the block is torn before.
pub fn extension<'a>(packet: &'a [u8], header: &Header, id: u8) -> Option<&'a [u8]> {
    let block = header.block?;
    let elements = packet.get(block.start..header.header_len)?;
    match block.profile {
        ONE_BYTE_PROFILE if (1..=ONE_BYTE_MAX_ID).contains(&id) => one_byte_element(elements, id),
        profile if profile & 0xfff0 == TWO_BYTE_PROFILE && id != 0 => two_byte_element(elements, id),
        _ => None,
    }
}

/// The audio level of a packet, if it carries one as element `id`.
pub fn audio_level(packet: &[u8], header: &Header, id: u8) -> Option<AudioLevel> {
    match *extension(packet, header, id)? {
        [byte] => Some(AudioLevel::from_byte(byte)),
        _ => None,
    }
}

/// RFC 8285 §4.2: `|  ID   | len-1 | value...`; a zero byte pads.
fn one_byte_element(mut elements: &[u8], id: u8) -> Option<&[u8]> {
    while let Some((&head, rest)) = elements.split_first() {
        if head == 0 {
            elements = rest;
            continue;
        }
        let (found, len) = (head >> 4, usize::from(head & 0x0f) + 1);
        if found == 0 || found > ONE_BYTE_MAX_ID {
            return None; // both end the processing of the block
        }
        let value = rest.get(..len)?;
        if found == id {
            return Some(value);
        }
        elements = rest.get(len..)?;
    }
    None
}

/// RFC 8285 §4.3: `|      ID       |      len      | value...`; a zero byte in the place of an ID pads.
fn two_byte_element(mut elements: &[u8], id: u8) -> Option<&[u8]> {
    while let Some((&found, rest)) = elements.split_first() {
        if found == 0 {
            elements = rest;
            continue;
        }
        let (&len, rest) = rest.split_first()?;
        let value = rest.get(..usize::from(len))?;
        if found == id {
            return Some(value);
        }
        elements = rest.get(usize::from(len)..)?;
    }
    None
}
