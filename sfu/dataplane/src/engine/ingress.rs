//! What comes in: each datagram judged, opened and routed. Pure. Per packet; guarded by `benches/fanout`.
//!
//! The order is the security property: nothing is answered or remembered for a datagram that is neither a check with our
//! credentials nor from an address that such a check has validated; nothing is believed before its tag is verified; and the
//! gate comes before the selection, so that a muted voice displaces no one.

use std::net::SocketAddr;

use super::command::{Event, Source};
use super::egress::Heard;
use super::mirror::{self, Packet};
use super::{Engine, TapPacket, Track, MAX_DATAGRAM, MAX_PAYLOAD, TAP_LEVEL_ID};
use crate::arena::Outbox;
use crate::classify::{classify, Kind};
use crate::counters::Counters;
use crate::ids::Id;
use crate::rtcp::Reception;
use crate::rtp::Template;
use crate::splice::ticks;
use crate::{red, route, rtp, srtp, stun, Nanos, SECOND};

/// After so long a silence another SSRC of the same peer may take over its track: a browser that replaced its microphone,
/// an FFmpeg that was started again. Sooner, and a second claimant could cut into a living stream.
const REBIND_AFTER: Nanos = 2 * SECOND;

/// An address whose peer has been silent so long may pass to another peer that is authentic there: the same NAT mapping or
/// fixed port, used again. Three of a browser's checks fit in.
const ADDRESS_IS_FREE_AFTER: Nanos = 8 * SECOND;

/// Fixed header, extension header and one word with the audio level.
const TAP_HEADER_BYTES: usize = 20;

impl Engine {
    /// A datagram came in. It is opened in place; what is left in it is unspecified.
    pub fn on_datagram(&mut self, source: SocketAddr, datagram: &mut [u8], now: Nanos, out: &mut Outbox<'_>) {
        self.counters.datagrams_in.add(1);
        self.counters.bytes_in.add(datagram.len() as u64);
        let Some(kind) = classify(datagram) else { return self.counters.dropped_unclassified.add(1) };
        if datagram.len() > MAX_DATAGRAM {
            return self.counters.dropped_oversize.add(1);
        }
        if kind == Kind::Stun {
            return self.on_stun(source, datagram, now, out);
        }
        let Some(&id) = self.by_address.get(&source) else { return self.counters.dropped_unknown_address.add(1) };
        match kind {
            Kind::Dtls => self.on_dtls(id, source, datagram, now, out),
            Kind::Rtp => self.on_rtp(id, source, datagram, now),
            Kind::Rtcp => self.on_rtcp(id, source, datagram, now),
            Kind::Stun => {}
        }
    }

    /// A plain packet came in by a tap.
    pub fn on_tap_packet(&mut self, tap: Id, packet: &[u8], now: Nanos) {
        self.counters.tap_in.add(1);
        let Some(header) = rtp::parse(packet) else { return self.counters.dropped_rtp_malformed.add(1) };
        let Some(payload) = rtp::payload(packet, &header) else { return self.counters.dropped_rtp_malformed.add(1) };
        let Some(stage) = self.taps.get(tap).and_then(|tap| self.stages.get(tap.stage)) else { return };
        let is_its = |id: &&Id| {
            let track = self.tracks.get(**id);
            track.is_some_and(|track| track.new.source == Source::Tap(tap) && track.ssrc == Some(header.ssrc))
        };
        let Some(&id) = stage.tracks.iter().find(is_its) else { return self.counters.dropped_no_track.add(1) };
        let Some(track) = self.tracks.get_mut(id) else { return };
        let Some(index) = track.extender.extend(header.sequence) else {
            return self.counters.dropped_srtp_replay.add(1);
        };
        let level = rtp::audio_level(packet, &header, track.new.level_id);
        let packet = Packet { index, timestamp: header.timestamp, marker: header.marker, level, payload };
        self.on_packet(id, &packet, now);
    }

    /// Takes what other workers have mirrored to this one.
    pub fn on_mirrored(&mut self, now: Nanos) {
        let mut buffer = std::mem::take(&mut self.mirror_buffer);
        for ring in 0..self.mirrors.from.len() {
            while let Some((track, packet)) = mirror::pop(&mut self.mirrors.from[ring], &mut buffer) {
                self.counters.mirrored_in.add(1);
                self.on_packet(Id::from_raw(u64::from(track)), &packet, now);
            }
        }
        self.mirror_buffer = buffer;
    }

    fn on_stun(&mut self, source: SocketAddr, datagram: &[u8], now: Nanos, out: &mut Outbox<'_>) {
        let authentic = || {
            let unverified = stun::parse(datagram)?;
            let id = *self.by_ufrag.get(unverified.local_ufrag())?;
            let peer = self.peers.get(id)?;
            let place = peer.credentials.iter().position(|it| *it.ufrag == *unverified.local_ufrag())?;
            let check = unverified.verify(&peer.credentials[place].key)?;
            Some((id, place, check))
        };
        let Some((id, place, check)) = authentic() else { return self.counters.dropped_unverified_stun.add(1) };
        if !self.may_claim(source, id, now) {
            return self.counters.dropped_foreign_address.add(1);
        }
        let Some(peer) = self.peers.get_mut(id) else { return };
        peer.heard_at = Some(now);
        let was_selected = peer.ice.selected().is_some();
        let checked = peer.ice.on_authenticated_check(source, datagram.len(), check.nominates, now);
        let mapped = route::plain(source);
        let answer = stun::build_success(&check, mapped, &peer.credentials[place].key, out.room());
        if answer > 0 && answer <= checked.allowance as usize {
            out.commit(source, answer);
            peer.ice.on_sent(source, answer);
            self.counters.stun_answered.add(1);
        }
        if check.nominates {
            for superseded in peer.credentials.drain(..place) {
                self.by_ufrag.remove(&superseded.ufrag);
            }
        }
        if let Some(evicted) = checked.evicted {
            self.by_address.remove(&evicted);
        }
        if checked.added.is_some() {
            self.by_address.insert(source, id);
        }
        if let Some(selected) = checked.selected {
            self.on_selected(id, selected, was_selected);
        }
        self.send_waiting_dtls(id, out);
    }

    /// Whether `source` is free, the peer's own, or left by another peer long ago (which then loses it).
    fn may_claim(&mut self, source: SocketAddr, id: Id, now: Nanos) -> bool {
        let Some(owner) = self.by_address.get(&source).filter(|owner| **owner != id) else { return true };
        let heard_at = self.peers.get(*owner).and_then(|owner| owner.ice.heard_at(source));
        let is_free = heard_at.is_none_or(|heard_at| now.saturating_sub(heard_at) > ADDRESS_IS_FREE_AFTER);
        if is_free {
            self.by_address.insert(source, id);
        }
        is_free
    }

    /// Media goes to `address` from now on, if there are keys for it.
    pub(super) fn on_selected(&mut self, id: Id, address: SocketAddr, has_moved: bool) {
        let Some(listener) = self.listener_mut(id) else { return };
        if listener.sealer.is_some() {
            listener.destination = Some(address);
        }
        let counter = if has_moved { &self.counters.migrations } else { &self.counters.nominations };
        counter.add(1);
        self.events.push(Event::Nominated(id, route::plain(address)));
    }

    fn on_dtls(&mut self, id: Id, source: SocketAddr, datagram: &[u8], now: Nanos, out: &mut Outbox<'_>) {
        let Some(peer) = self.peers.get_mut(id) else { return };
        let selected = peer.ice.on_dtls(source, datagram.len(), now);
        let drained = self.settings.drained.load(std::sync::atomic::Ordering::Relaxed);
        if peer.may_queue_dtls(drained) {
            self.events.push(Event::Dtls(id, datagram.into()));
        } else {
            self.counters.dropped_dtls_overflow.add(1);
        }
        if let Some(selected) = selected {
            self.on_selected(id, selected, true);
        }
        self.send_waiting_dtls(id, out);
    }

    fn on_rtp(&mut self, id: Id, source: SocketAddr, datagram: &mut [u8], now: Nanos) {
        let Some(header) = rtp::parse(datagram) else { return self.counters.dropped_rtp_malformed.add(1) };
        let datagram_len = datagram.len();
        let Some(peer) = self.peers.get_mut(id) else { return };
        let Some(opener) = &mut peer.opener else { return self.counters.dropped_no_keys.add(1) };
        let (len, index) = match opener.open_rtp(datagram, &header) {
            Ok(opened) => opened,
            Err(reason) => return count_drop(&self.counters, reason),
        };
        let packet = &datagram[..len];
        // Not before the tag is verified: a stranger who forges the peer's address must not use up its allowance.
        if !peer.may_send(now) {
            return self.counters.dropped_rate.add(1);
        }
        peer.heard_at = Some(now);
        peer.report.packets_in += 1;
        peer.report.bytes_in += datagram_len as u64;
        if let Some(selected) = peer.ice.on_authentic_media(source, now) {
            self.on_selected(id, selected, true);
        }
        let Some(payload) = rtp::payload(packet, &header) else { return self.counters.dropped_rtp_malformed.add(1) };
        let Some(track_id) = self.track_of(id, packet, &header, now) else { return };
        let Some(track) = self.tracks.get_mut(track_id) else { return };
        let reception = track.reception.get_or_insert_with(|| Reception::new(header.ssrc));
        reception.on_packet(header.sequence, header.timestamp, ticks(now));
        let level = rtp::audio_level(packet, &header, track.new.level_id);
        let payload = match track.new.red {
            Some(red) if red == header.payload_type => {
                red::newest(payload).filter(|(kind, _)| *kind == track.new.payload_type).map(|(_, newest)| newest)
            }
            _ => Some(payload),
        };
        let Some(payload) = payload else { return self.counters.dropped_rtp_malformed.add(1) };
        let packet = Packet { index, timestamp: header.timestamp, marker: header.marker, level, payload };
        self.on_packet(track_id, &packet, now);
    }

    /// The peer's track that an authentic packet belongs to; binds its source to an unbound one.
    fn track_of(&mut self, id: Id, packet: &[u8], header: &rtp::Header, now: Nanos) -> Option<Id> {
        let own = &self.peers.get(id)?.tracks;
        let bound = own.iter().find(|id| self.tracks.get(**id).is_some_and(|track| track.ssrc == Some(header.ssrc)));
        if let Some(&bound) = bound {
            let is_its_type = self.tracks.get(bound)?.new.has_type(header.payload_type);
            if !is_its_type {
                self.counters.dropped_no_track.add(1);
            }
            return is_its_type.then_some(bound);
        }
        let claimed = own.iter().find(|id| self.tracks.get(**id).is_some_and(|track| track.is_claimed(packet, header)));
        let Some(&claimed) = claimed else {
            self.counters.dropped_no_track.add(1);
            return None;
        };
        let track = self.tracks.get_mut(claimed)?;
        if !track.may_bind(now) {
            self.counters.dropped_foreign_ssrc.add(1);
            return None;
        }
        track.ssrc = Some(header.ssrc);
        track.reception = None;
        self.cut(claimed);
        Some(claimed)
    }

    /// The next packet of `id` begins a new source: its lanes go on without a gap.
    pub(super) fn cut(&mut self, id: Id) {
        let Some(stage) = self.tracks.get(id).and_then(|track| self.stages.get_mut(track.new.stage)) else { return };
        for feed in &mut stage.feeds {
            feed.cut(id);
        }
    }

    /// A packet of a track, open, from whichever side: through the gate to the feeds, other workers and taps.
    fn on_packet(&mut self, id: Id, packet: &Packet<'_>, now: Nanos) {
        let Some(track) = self.tracks.get_mut(id) else { return self.counters.dropped_no_track.add(1) };
        track.heard_at = now;
        if !track.was_heard && track.new.source != Source::Elsewhere {
            track.was_heard = true;
            self.events.push(Event::Heard(id));
        }
        if !track.is_open {
            return self.counters.dropped_gate_closed.add(1);
        }
        if packet.payload.is_empty() || packet.payload.len() > MAX_PAYLOAD {
            return self.counters.dropped_rtp_malformed.add(1);
        }
        track.loudness.on_packet(packet.level.map(|level| level.level), packet.payload.len(), now);
        let (source, stage_id, payload_type) = (track.new.source, track.new.stage, track.new.payload_type);
        self.counters.packets_forwarded.add(1);
        self.route(id, stage_id, packet, now);
        if source != Source::Elsewhere {
            self.mirror(id, stage_id, packet);
        }
        self.tap(id, stage_id, source, payload_type, packet);
    }

    fn route(&mut self, id: Id, stage_id: Id, packet: &Packet<'_>, now: Nanos) {
        let Some(stage) = self.stages.get_mut(stage_id) else { return };
        self.spans.begin_read(now);
        let span = self.spans.add(packet.payload);
        let heard = Heard {
            track: id,
            index: packet.index,
            timestamp: packet.timestamp,
            marker: packet.marker,
            level: packet.level,
            span,
        };
        let tracks = &self.tracks;
        let dbov = |id: Id| tracks.get(id).map_or(crate::stage::loudness::SILENCE, |it| it.loudness.dbov(now));
        for feed in &mut stage.feeds {
            feed.route(&heard, dbov, now, &mut self.spans, &self.counters);
        }
        if !stage.is_touched {
            stage.is_touched = true;
            self.touched.push(stage_id);
        }
    }

    fn mirror(&mut self, id: Id, stage_id: Id, packet: &Packet<'_>) {
        let Some(stage) = self.stages.get(stage_id) else { return };
        let mut workers = stage.mirrors;
        while workers != 0 {
            let worker = workers.trailing_zeros() as usize;
            workers &= workers - 1;
            let Some(Some(ring)) = self.mirrors.to.get_mut(worker) else { continue };
            if mirror::push(ring, id.raw() as u32, packet) {
                self.counters.mirrored_out.add(1);
            } else {
                self.counters.dropped_mirror.add(1);
            }
        }
        self.wakes |= stage.wakes;
    }

    /// A tap gets what is heard on its stage, but for its own tracks.
    fn tap(&mut self, id: Id, stage_id: Id, source: Source, payload_type: u8, packet: &Packet<'_>) {
        let Some(stage) = self.stages.get(stage_id) else { return };
        for tap in &stage.taps {
            if source == Source::Tap(*tap) || !self.taps.get(*tap).is_some_and(|tap| tap.sends) {
                continue;
            }
            let start = self.tap_bytes.len();
            let template = Template::new(id.raw() as u32, payload_type, None, 0, TAP_LEVEL_ID);
            let mut header = [0; TAP_HEADER_BYTES];
            let sequence = packet.index as u16;
            let header_len = template.map_or(0, |template| {
                template.write(&mut header, packet.marker, sequence, packet.timestamp, packet.level)
            });
            self.tap_bytes.extend_from_slice(&header[..header_len]);
            self.tap_bytes.extend_from_slice(packet.payload);
            self.tap_packets.push(TapPacket { tap: *tap, start, len: self.tap_bytes.len() - start });
        }
    }
}

impl Track {
    /// Whether a packet of an unknown source names this track: by mid where that was negotiated, else by payload type.
    fn is_claimed(&self, packet: &[u8], header: &rtp::Header) -> bool {
        if self.new.ssrc.is_some() || !self.new.has_type(header.payload_type) {
            return false;
        }
        match &self.new.mid {
            Some(mid) if self.new.mid_id != 0 => rtp::extension(packet, header, self.new.mid_id) == Some(mid),
            _ => true,
        }
    }

    fn may_bind(&self, now: Nanos) -> bool {
        self.ssrc.is_none() || now.saturating_sub(self.heard_at) >= REBIND_AFTER
    }
}

pub(super) fn count_drop(counters: &Counters, reason: srtp::Drop) {
    match reason {
        srtp::Drop::Short => counters.dropped_srtp_short.add(1),
        srtp::Drop::Authentication => counters.dropped_srtp_authentication.add(1),
        srtp::Drop::Replay => counters.dropped_srtp_replay.add(1),
        srtp::Drop::UnknownSource => counters.dropped_srtp_unknown_source.add(1),
    }
}
