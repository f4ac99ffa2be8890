//! The numbers by which Python names things: handed out once, refused ever after their thing is gone. Pure.
//!
//! ```text
//!   63     60 59                    20 19            0
//!  +---------+------------------------+---------------+
//!  |  kind   |       generation       |     place     |
//!  +---------+------------------------+---------------+
//! ```
//! A track's kind is 0 and its generation ends at 12 bits, so that a track's id is also a valid SSRC (taps need that).
//! A place whose generations are used up is retired.

const PLACE_BITS: u32 = 20;
const KIND_BITS: u32 = 60;
const PLACES: usize = 1 << PLACE_BITS;

/// What an id names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// An inbound stream; its ids fit 32 bits.
    Track = 0,
    /// A participant's transport.
    Peer = 1,
    /// A space's tracks and those who follow them.
    Stage = 2,
    /// An outbound stream of a peer.
    Slot = 3,
    /// A pair of Unix sockets that carry plain RTP.
    Tap = 4,
}

/// A number that names one thing for good.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct Id(u64);

impl Id {
    /// The id that Python handed in, not yet known to name anything.
    pub fn from_raw(raw: u64) -> Self {
        Self(raw)
    }

    /// The number for Python.
    pub fn raw(self) -> u64 {
        self.0
    }

    /// Where a `Slab` keeps the thing.
    pub fn place(self) -> usize {
        (self.0 & (PLACES as u64 - 1)) as usize
    }

    fn new(kind: Kind, generation: u64, place: usize) -> Self {
        Self((kind as u64) << KIND_BITS | generation << PLACE_BITS | place as u64)
    }
}

/// The face's book of one kind of things: gives out ids and tells the living from the dead.
#[derive(Debug)]
pub struct Registry<T> {
    kind: Kind,
    entries: Vec<(u64, Option<T>)>,
    free: Vec<usize>,
    generations: u64,
}

impl<T> Registry<T> {
    /// An empty book.
    pub fn new(kind: Kind) -> Self {
        let generations = if kind == Kind::Track { 1 << (32 - PLACE_BITS) } else { 1 << (KIND_BITS - PLACE_BITS) };
        Self { kind, entries: Vec::new(), free: Vec::new(), generations }
    }

    /// A new id for `thing`; None when a million of them live.
    pub fn insert(&mut self, thing: T) -> Option<Id> {
        let place = match self.free.pop() {
            Some(place) => place,
            None if self.entries.len() < PLACES => {
                // Generation 0 of place 0 would be the track id 0, an SSRC that some programs take for "none".
                self.entries.push((1, None));
                self.entries.len() - 1
            }
            None => return None,
        };
        let entry = &mut self.entries[place];
        entry.1 = Some(thing);
        Some(Id::new(self.kind, entry.0, place))
    }

    /// The thing, if it still lives.
    pub fn get(&self, id: Id) -> Option<&T> {
        let (generation, thing) = self.entries.get(id.place())?;
        thing.as_ref().filter(|_| Id::new(self.kind, *generation, id.place()) == id)
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, id: Id) -> Option<&mut T> {
        let kind = self.kind;
        let (generation, thing) = self.entries.get_mut(id.place())?;
        let is_same = Id::new(kind, *generation, id.place()) == id;
        thing.as_mut().filter(|_| is_same)
    }

    /// Strikes the id out for good.
    pub fn remove(&mut self, id: Id) -> Option<T> {
        self.get(id)?;
        let entry = &mut self.entries[id.place()];
        entry.0 += 1;
        if entry.0 < self.generations {
            self.free.push(id.place());
        }
        entry.1.take()
    }

    /// All living ids and things.
    pub fn iter(&self) -> impl Iterator<Item = (Id, &T)> {
        let living = |(place, (generation, thing)): (usize, &(u64, Option<T>))| {
            let _ = thing.as_ref()?;
            Some((place, *generation))
        };
        self.entries.iter().enumerate().filter_map(move |(place, entry)| {
            let (place, generation) = living((place, entry))?;
            Some((Id::new(self.kind, generation, place), entry.1.as_ref()?))
        })
    }
}

/// A worker's things of one kind, found by the place in their id and checked against the whole of it.
#[derive(Debug)]
pub struct Slab<T> {
    entries: Vec<Option<(Id, T)>>,
    living: usize,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { entries: Vec::new(), living: 0 }
    }
}

impl<T> Slab<T> {
    /// Puts `thing` where its id says. Whatever was there is gone: the registry has struck it out before.
    pub fn insert(&mut self, id: Id, thing: T) {
        if self.entries.len() <= id.place() {
            self.entries.resize_with(id.place() + 1, || None);
        }
        if self.entries[id.place()].replace((id, thing)).is_none() {
            self.living += 1;
        }
    }

    /// The thing, if the id is the living one of its place.
    pub fn get(&self, id: Id) -> Option<&T> {
        self.entries.get(id.place())?.as_ref().filter(|entry| entry.0 == id).map(|entry| &entry.1)
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, id: Id) -> Option<&mut T> {
        self.entries.get_mut(id.place())?.as_mut().filter(|entry| entry.0 == id).map(|entry| &mut entry.1)
    }

    /// Takes the thing out.
    pub fn remove(&mut self, id: Id) -> Option<T> {
        self.get(id)?;
        self.living -= 1;
        self.entries[id.place()].take().map(|entry| entry.1)
    }

    /// The id that lives at `place` now.
    pub fn id_at(&self, place: usize) -> Option<Id> {
        self.entries.get(place)?.as_ref().map(|entry| entry.0)
    }

    /// How many live.
    pub fn len(&self) -> usize {
        self.living
    }

    /// Whether none live.
    pub fn is_empty(&self) -> bool {
        self.living == 0
    }

    /// How many places there are, taken or not; `id_at` knows those below.
    pub fn places(&self) -> usize {
        self.entries.len()
    }

    /// All living ids and things.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (Id, &mut T)> {
        self.entries.iter_mut().flatten().map(|entry| (entry.0, &mut entry.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removed_id_is_refused_though_its_place_is_taken_again() {
        let mut registry = Registry::new(Kind::Peer);
        let mut slab = Slab::default();
        let first = registry.insert("first").unwrap();
        slab.insert(first, 1);
        assert_eq!(registry.remove(first), Some("first"));
        assert_eq!(slab.remove(first), Some(1));
        let second = registry.insert("second").unwrap();
        slab.insert(second, 2);
        assert_eq!(first.place(), second.place());
        assert_ne!(first, second);
        assert_eq!(registry.get(first), None);
        assert_eq!(slab.get(first), None);
        assert_eq!(slab.get(second), Some(&2));
        assert_eq!((slab.len(), registry.iter().count()), (1, 1));
    }

    #[test]
    fn an_id_of_one_kind_is_refused_as_another() {
        let mut peers = Registry::new(Kind::Peer);
        let mut stages = Registry::new(Kind::Stage);
        let peer = peers.insert(()).unwrap();
        let stage = stages.insert(()).unwrap();
        assert_eq!(peer.place(), stage.place());
        assert_eq!(stages.get(peer), None);
    }

    #[test]
    fn track_ids_are_never_reused_and_always_fit_an_ssrc() {
        let mut tracks = Registry::new(Kind::Track);
        let mut seen = std::collections::HashSet::new();
        for _ in 0..10_000 {
            let id = tracks.insert(()).unwrap();
            assert!(u32::try_from(id.raw()).is_ok_and(|ssrc| ssrc != 0));
            assert!(seen.insert(id));
            tracks.remove(id);
        }
    }
}
