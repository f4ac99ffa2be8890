//! What is done by the clock: consent, sender and receiver reports, voices. And what RTCP tells. Pure.
//!
//! Time is cut into slices, and each slice visits its share of the peers' places, so that ten thousand listeners' reports
//! are spread evenly over the second without a queue of deadlines.

use std::net::SocketAddr;

use super::command::{Event, Report};
use super::ingress::count_drop;
use super::{Engine, Track};
use crate::arena::Outbox;
use crate::ids::Id;
use crate::peer::Seat;
use crate::rtcp::{self, Item, ReportBlock, SenderInfo};
use crate::splice::ticks;
use crate::stage::loudness::VOICE_DBOV;
use crate::{Nanos, MILLISECOND, SECOND};

/// A peer is visited once a second, in one of 20 slices of 50 ms.
const SLICE: Nanos = 50 * MILLISECOND;
const SLICES: usize = 20;

/// Sender reports go out at every second visit.
const VISITS_PER_SENDER_REPORT: u32 = 2;

/// Stages are looked at every five slices, so their voices are told four times a second at most.
const SLICES_PER_VOICES: usize = 5;

/// A voice's level must change so much to be told anew.
const TOLD_STEP_DB: u8 = 3;

/// A slot without packets for so long is no sender any more (RFC 3550 §6.4: a report's interval or two).
const SENDER_FOR: Nanos = 10 * SECOND;

/// Sender reports in one compound: 28 bytes each, and 16 for its source's name.
const REPORTS_PER_COMPOUND: usize = 20;

/// The same name for all our streams (RFC 3550 §6.5.1): one clock.
const CNAME: &[u8] = b"palco";

/// Our own source where we only receive; sources that we send are never so low.
const RECEIVER_SSRC: u32 = 1;

/// Where in the second we are.
#[derive(Debug, Default)]
pub struct Schedule {
    next_at: Nanos,
    slice: usize,
}

impl Schedule {
    /// When the next slice is due.
    pub fn next_at(&self) -> Nanos {
        self.next_at
    }
}

/// Who spoke when Python was told last.
#[derive(Debug, Default)]
pub struct Voices(Vec<(Id, u8)>);

impl Engine {
    /// Does what the clock asks for. A slice that was missed is not made up for: its peers are visited a second later.
    pub(super) fn on_time(&mut self, now: Nanos, out: &mut Outbox<'_>) {
        if now < self.schedule.next_at {
            return;
        }
        self.schedule.next_at = now + SLICE;
        self.schedule.slice = (self.schedule.slice + 1) % SLICES;
        let slice = self.schedule.slice;
        let places = self.peers.places();
        for place in places * slice / SLICES..places * (slice + 1) / SLICES {
            if let Some(id) = self.peers.id_at(place) {
                self.visit(id, now, out);
            }
        }
        if slice % SLICES_PER_VOICES == 0 {
            self.tell_voices(now);
        }
    }

    /// Peers whose streams began in this turn learn at once how these stand in time.
    pub(super) fn report_begun(&mut self, now: Nanos, out: &mut Outbox<'_>) {
        while let Some(id) = self.begun.pop() {
            self.send_sender_reports(id, now, out);
        }
    }

    fn visit(&mut self, id: Id, now: Nanos, out: &mut Outbox<'_>) {
        let Some(peer) = self.peers.get_mut(id) else { return };
        peer.visits = peer.visits.wrapping_add(1);
        let visits = peer.visits;
        let (since, timeout, expired) = match peer.heard_at {
            Some(heard_at) => (heard_at, self.settings.consent_timeout, &self.counters.consent_expired),
            None => (peer.created_at, self.settings.join_timeout, &self.counters.join_expired),
        };
        if now.saturating_sub(since) > timeout {
            expired.add(1);
            self.events.push(Event::Expired(id));
            return self.remove_peer(id);
        }
        if !peer.tracks.is_empty() {
            self.send_receiver_report(id, now, out);
        }
        if visits % VISITS_PER_SENDER_REPORT == 0 {
            self.send_sender_reports(id, now, out);
        }
    }

    fn ntp(&self, now: Nanos) -> u64 {
        self.settings.ntp_at_zero.wrapping_add(((u128::from(now) << 32) / u128::from(SECOND)) as u64)
    }

    fn send_sender_reports(&mut self, id: Id, now: Nanos, out: &mut Outbox<'_>) {
        let ntp = self.ntp(now);
        let counters = self.counters.clone();
        let Some(listener) = self.listener_mut(id) else { return };
        let (Some(destination), Some(sealer)) = (listener.destination, &mut listener.sealer) else { return };
        for slots in listener.slots.chunks(REPORTS_PER_COMPOUND) {
            let room = out.room();
            let mut len = 0;
            let senders = |slot: &&super::Slot| slot.packets > 0 && now.saturating_sub(slot.sent_at) < SENDER_FOR;
            for slot in slots.iter().filter(senders) {
                let info = SenderInfo {
                    ntp,
                    rtp_timestamp: slot.timestamp_at(now),
                    packets: slot.packets,
                    octets: slot.octets,
                };
                len += rtcp::build_sender_report(&mut room[len..], slot.ssrc, &info, CNAME);
                counters.sender_reports_out.add(1);
            }
            if len == 0 {
                continue;
            }
            if let Some(sealed) = sealer.seal_rtcp(room, len) {
                out.commit(destination, sealed);
            }
        }
    }

    fn send_receiver_report(&mut self, id: Id, now: Nanos, out: &mut Outbox<'_>) {
        let Some(peer) = self.peers.get_mut(id) else { return };
        let mut blocks = [ReportBlock::default(); 4];
        let mut count = 0;
        for (block, track) in blocks.iter_mut().zip(&peer.tracks) {
            let Some(track) = self.tracks.get_mut(*track) else { continue };
            let Some(reception) = &mut track.reception else { continue };
            *block = reception.block(ticks(now));
            count += 1;
        }
        let Some(last) = blocks[..count].last() else { return };
        let is_publisher = matches!(&peer.seat, Seat::Aside(listener) if listener.slots.is_empty());
        if is_publisher {
            peer.report.lost_fraction = f64::from(last.fraction_lost) / 256.0;
            peer.report.jitter_s = f64::from(last.jitter) / 48_000.0;
        }
        let counters = self.counters.clone();
        let Some(listener) = self.listener_mut(id) else { return };
        let ssrc = listener.slots.first().map_or(RECEIVER_SSRC, |slot| slot.ssrc);
        let (Some(destination), Some(sealer)) = (listener.destination, &mut listener.sealer) else { return };
        let room = out.room();
        let len = rtcp::build_receiver_report(room, ssrc, &blocks[..count], CNAME);
        if let Some(sealed) = sealer.seal_rtcp(room, len) {
            out.commit(destination, sealed);
            counters.receiver_reports_out.add(1);
        }
    }

    /// A sealed RTCP compound came from `source`.
    pub(super) fn on_rtcp(&mut self, id: Id, source: SocketAddr, datagram: &mut [u8], now: Nanos) {
        let Some(peer) = self.peers.get_mut(id) else { return };
        let Some(opener) = &mut peer.opener else { return self.counters.dropped_no_keys.add(1) };
        let len = match opener.open_rtcp(datagram) {
            Ok(len) => len,
            Err(reason) => return count_drop(&self.counters, reason),
        };
        if !peer.may_send(now) {
            return self.counters.dropped_rate.add(1);
        }
        self.counters.rtcp_in.add(1);
        peer.heard_at = Some(now);
        if let Some(selected) = peer.ice.on_authentic_media(source, now) {
            self.on_selected(id, selected, true);
        }
        for item in rtcp::parse(&datagram[..len]) {
            match item {
                Item::SenderReport { ssrc, info, blocks } => {
                    self.on_sender_report(id, ssrc, info.ntp, now);
                    self.on_report_blocks(id, blocks, now);
                }
                Item::ReceiverReport { blocks, .. } => self.on_report_blocks(id, blocks, now),
                Item::Bye { sources } => {
                    for ssrc in sources {
                        self.on_bye(id, ssrc);
                    }
                }
                Item::Other => {}
            }
        }
    }

    fn on_sender_report(&mut self, id: Id, ssrc: u32, ntp: u64, now: Nanos) {
        if let Some(reception) = self.own_track(id, ssrc).and_then(|track| track.reception.as_mut()) {
            reception.on_sender_report(ntp, ticks(now));
        }
    }

    /// The peer's own stream ends, and another of its sources may take the track over at once. Others' streams are not
    /// the peer's to end.
    fn on_bye(&mut self, id: Id, ssrc: u32) {
        if let Some(track) = self.own_track(id, ssrc).filter(|track| track.new.ssrc.is_none()) {
            track.ssrc = None;
        }
    }

    fn own_track(&mut self, id: Id, ssrc: u32) -> Option<&mut Track> {
        let own = &self.peers.get(id)?.tracks;
        let is_its = |id: &&Id| self.tracks.get(**id).is_some_and(|track| track.ssrc == Some(ssrc));
        let found = *own.iter().find(is_its)?;
        self.tracks.get_mut(found)
    }

    /// What the peer says of our streams; blocks on anyone else's are not its to write.
    fn on_report_blocks(&mut self, id: Id, blocks: impl Iterator<Item = ReportBlock>, now: Nanos) {
        let ntp = self.ntp(now);
        // In 1/256 of a packet, and in packets: of all streams together, for they share one path.
        let (mut lost, mut sent) = (0u32, 0u32);
        for block in blocks {
            let Some(listener) = self.listener_mut(id) else { return };
            let Some(slot) = listener.slots.iter_mut().find(|slot| slot.ssrc == block.ssrc) else { continue };
            let of_slot = slot.take_reported();
            lost = lost.saturating_add(u32::from(block.fraction_lost).saturating_mul(of_slot));
            sent = sent.saturating_add(of_slot);
            self.counters.observe_loss(block.fraction_lost);
            self.counters.observe_jitter(block.jitter);
            let round_trip = block.round_trip(ntp);
            let Some(peer) = self.peers.get_mut(id) else { return };
            peer.report.lost_fraction = f64::from(block.fraction_lost) / 256.0;
            peer.report.jitter_s = f64::from(block.jitter) / 48_000.0;
            if let Some(round_trip) = round_trip {
                peer.report.round_trip_s = round_trip.as_secs_f64();
                self.counters.observe_round_trip(round_trip.as_micros() as u64);
            }
        }
        self.adapt_redundancy(id, lost, sent, now);
    }

    /// A listener that lost so much of its last `sent` packets, in 1/256 of one, gets as much redundancy as that asks for.
    fn adapt_redundancy(&mut self, id: Id, lost: u32, sent: u32, now: Nanos) {
        let Some(listener) = self.listener_mut(id) else { return };
        let before = listener.redundancy.distance();
        listener.redundancy.on_report(lost, sent, now);
        let distance = listener.redundancy.distance();
        let Some((stage, feed, _)) = self.peers.get(id).and_then(|peer| peer.seat.taken()) else { return };
        if let Some(feed) = self.stages.get_mut(stage).and_then(|stage| stage.feeds.get_mut(feed)) {
            feed.count_redundant(before, distance);
        }
    }

    /// Tells Python what it asked for about a peer.
    pub(super) fn report(&mut self, id: Id) {
        let Some(listener) = self.listener_mut(id) else { return };
        let packets_out = listener.slots.iter().map(|slot| u64::from(slot.packets)).sum();
        let bytes_out = listener.slots.iter().map(|slot| u64::from(slot.octets)).sum();
        let Some(peer) = self.peers.get(id) else { return };
        self.events.push(Event::Report(id, Report { packets_out, bytes_out, ..peer.report }));
    }

    /// A decoder has measured a track whose packets do not tell how loud it is.
    pub(super) fn set_level(&mut self, id: Id, level: u8, now: Nanos) {
        if let Some(track) = self.tracks.get_mut(id) {
            track.loudness.on_measured(level, now);
        }
    }

    fn tell_voices(&mut self, now: Nanos) {
        for (id, stage) in self.stages.iter_mut() {
            if stage.reporter != self.settings.worker {
                continue;
            }
            let levels = stage.tracks.iter().filter_map(|id| {
                let track = self.tracks.get(*id).filter(|track| track.is_open)?;
                Some((*id, track.loudness.dbov(now)))
            });
            let mut voices: Vec<(Id, u8)> = levels.filter(|(_, dbov)| *dbov < VOICE_DBOV).collect();
            voices.sort_by_key(|(id, dbov)| (*dbov, *id));
            if stage.voices.are_news(&voices) {
                stage.voices.0.clone_from(&voices);
                self.events.push(Event::Voices(id, voices));
            }
        }
    }
}

impl Voices {
    fn are_news(&self, now: &[(Id, u8)]) -> bool {
        let is_same = |((id, level), (old_id, old_level)): (&(Id, u8), &(Id, u8))| {
            id == old_id && level.abs_diff(*old_level) < TOLD_STEP_DB
        };
        self.0.len() != now.len() || !now.iter().zip(&self.0).all(is_same)
    }
}
