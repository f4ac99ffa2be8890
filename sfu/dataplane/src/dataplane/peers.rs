//! Peers: their credentials, handshake, keys, slots, and what they follow.

use ring::rand::SecureRandom;

use super::book::{Followed, Following, PeerEntry};
use super::{full, impossible, template, Dataplane, Negotiated, Refusal};
use crate::arena::DATAGRAM_ROOM;
use crate::engine::command::{Command, NewSlot};
use crate::engine::lane::Packing;
use crate::ids::Id;
use crate::srtp::{Opener, Profile, Sealer};
use crate::stun;

/// RFC 8445 §5.3: at least 24 and 128 bits, and no more than 256 characters.
const UFRAG_LEN: std::ops::RangeInclusive<usize> = 4..=256;
const PWD_LEN: std::ops::RangeInclusive<usize> = 22..=256;

impl Dataplane {
    /// A transport on one worker.
    pub fn create_peer(&mut self, worker: usize, ufrag: &str, pwd: &str) -> Result<Id, Refusal> {
        if worker >= self.mailboxes.len() {
            return impossible(format!("no worker {worker}: there are {}", self.mailboxes.len()));
        }
        check_credentials(ufrag, pwd)?;
        let entry = PeerEntry {
            worker,
            ufrags: Vec::new(),
            has_keys: false,
            tracks: Vec::new(),
            slots: Vec::new(),
            follows: None,
        };
        let peer = self.peers.insert(entry).ok_or_else(full)?;
        let key = stun::Key::new(pwd.as_bytes());
        self.send(worker, Command::CreatePeer { peer, ufrag: ufrag.as_bytes().into(), key });
        self.list(peer, ufrag);
        Ok(peer)
    }

    /// New ICE credentials beside the old.
    pub fn restart_ice(&mut self, peer: Id, ufrag: &str, pwd: &str) -> Result<(), Refusal> {
        let worker = self.peer(peer)?.worker;
        check_credentials(ufrag, pwd)?;
        let key = stun::Key::new(pwd.as_bytes());
        self.send(worker, Command::RestartIce { peer, ufrag: ufrag.as_bytes().into(), key });
        self.list(peer, ufrag);
        Ok(())
    }

    /// The end of a peer, its tracks and slots.
    pub fn remove_peer(&mut self, peer: Id) -> Result<(), Refusal> {
        self.stop_following(peer)?;
        let entry = self.peers.remove(peer).ok_or(Refusal::Stale("peer"))?;
        for track in entry.tracks {
            self.forget_track(track);
        }
        if let Some(door) = &self.door {
            entry.ufrags.iter().for_each(|ufrag| door.directory.remove(ufrag));
        }
        for slot in entry.slots {
            self.slots.remove(slot);
        }
        self.send(entry.worker, Command::RemovePeer(peer));
        Ok(())
    }

    /// DTLS datagrams for a peer.
    pub fn send_dtls(&mut self, peer: Id, datagrams: Vec<Vec<u8>>) -> Result<(), Refusal> {
        let worker = self.peer(peer)?.worker;
        if let Some(datagram) = datagrams.iter().find(|datagram| datagram.len() > DATAGRAM_ROOM) {
            return impossible(format!("a datagram of {} bytes: at most {DATAGRAM_ROOM}", datagram.len()));
        }
        self.send(worker, Command::SendDtls(peer, datagrams));
        Ok(())
    }

    /// The keys that the handshake made.
    ///
    /// Once only: the SRTCP index begins anew with the keys, and must not do so twice under the same ones.
    pub fn set_srtp(&mut self, peer: Id, profile: u16, receive: &[u8], send: &[u8]) -> Result<(), Refusal> {
        let entry = self.peers.get_mut(peer).ok_or(Refusal::Stale("peer"))?;
        if entry.has_keys {
            return impossible("the peer has its keys already");
        }
        let Some(profile) = Profile::from_code(profile) else {
            return impossible(format!("no SRTP profile has the code {profile:#06x}"));
        };
        let Some((opener, sealer)) = Opener::new(profile, receive).zip(Sealer::new(profile, send)) else {
            let (key, salt) = (profile.key_len(), profile.salt_len());
            return impossible(format!("the profile takes a key of {key} and a salt of {salt} bytes"));
        };
        entry.has_keys = true;
        let worker = entry.worker;
        self.send(worker, Command::SetSrtp(peer, Box::new(opener), Box::new(sealer)));
        Ok(())
    }

    /// One more outbound stream of a peer.
    pub fn add_slot(&mut self, peer: Id, ssrc: u32, negotiated: Negotiated<'_>) -> Result<Id, Refusal> {
        let worker = self.peer(peer)?.worker;
        let template = template(ssrc, negotiated)?;
        let slot = self.slots.insert(peer).ok_or_else(full)?;
        if let Some(peer) = self.peers.get_mut(peer) {
            peer.slots.push(slot);
        }
        let [s0, s1, t0, t1, t2, t3] = self.random();
        let first_sequence = u16::from_be_bytes([s0 & 0x7f, s1]);
        let first_timestamp = u32::from_be_bytes([t0, t1, t2, t3]);
        let red = negotiated.red;
        self.send(worker, Command::AddSlot(peer, NewSlot { ssrc, template, red, first_sequence, first_timestamp }));
        Ok(slot)
    }

    /// A peer's slots carry the loudest of a stage.
    pub fn follow(&mut self, peer: Id, stage: Id, excluding: Option<Id>, packet_ms: u32) -> Result<(), Refusal> {
        let packing = packing_of(packet_ms)?;
        self.follow_loudest(peer, stage, excluding, packing)
    }

    pub(super) fn follow_loudest(
        &mut self,
        peer: Id,
        stage: Id,
        excluding: Option<Id>,
        packing: Packing,
    ) -> Result<(), Refusal> {
        let worker = self.peer(peer)?.worker;
        self.stage(stage)?;
        if let Some(track) = excluding {
            self.tracks.get(track).ok_or(Refusal::Stale("track"))?;
        }
        self.start_following(peer, Following { stage, what: Followed::Loudest { excluding }, packing })?;
        self.send(worker, Command::Follow { peer, stage, excluding, packing });
        Ok(())
    }

    /// A peer's first slot carries one track.
    pub fn follow_track(&mut self, peer: Id, track: Id, packet_ms: u32) -> Result<(), Refusal> {
        let packing = packing_of(packet_ms)?;
        self.follow_exactly(peer, track, packing)
    }

    pub(super) fn follow_exactly(&mut self, peer: Id, track: Id, packing: Packing) -> Result<(), Refusal> {
        let worker = self.peer(peer)?.worker;
        let stage = self.tracks.get(track).ok_or(Refusal::Stale("track"))?.stage;
        self.start_following(peer, Following { stage, what: Followed::Exactly(track), packing })?;
        self.send(worker, Command::FollowTrack(peer, track, packing));
        Ok(())
    }

    /// A peer's slots carry nothing.
    pub fn unfollow(&mut self, peer: Id) -> Result<(), Refusal> {
        let worker = self.peer(peer)?.worker;
        self.stop_following(peer)?;
        self.send(worker, Command::Unfollow(peer));
        Ok(())
    }

    /// An `Event::Report` follows.
    pub fn request_report(&mut self, peer: Id) -> Result<(), Refusal> {
        let worker = self.peer(peer)?.worker;
        self.send(worker, Command::RequestReport(peer));
        Ok(())
    }

    fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        // A system without randomness has had no DTLS handshake either.
        let _ = self.random.fill(&mut bytes);
        bytes
    }
}

fn packing_of(packet_ms: u32) -> Result<Packing, Refusal> {
    match Packing::from_ms(packet_ms) {
        Some(packing) => Ok(packing),
        None => impossible(format!("packets of 20, 40 or 60 ms, not of {packet_ms}")),
    }
}

fn check_credentials(ufrag: &str, pwd: &str) -> Result<(), Refusal> {
    if UFRAG_LEN.contains(&ufrag.len()) && PWD_LEN.contains(&pwd.len()) {
        Ok(())
    } else {
        impossible("a ufrag has 4 to 256 characters, a pwd 22 to 256 (RFC 8445 §5.3)")
    }
}
