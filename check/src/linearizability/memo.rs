//! What a search has seen: states, each kept once, and sets of operations that led to them.
//!
//! Both are tables of our own with a fixed hash. What a hash decides is where an entry lies, never which
//! entries there are nor which is found first: equality decides that.

use std::hash::{Hash, Hasher};

use super::Mutant;

/// A state, by the order in which it was first seen.
pub(super) type StateId = u32;

/// No entry.
const NONE: u32 = u32::MAX;

/// A place of [`Leads`] in which nothing is.
const FREE: (StateId, u32, StateId) = (NONE, NONE, NONE);

/// States, each kept once.
pub(super) struct States<T> {
    table: Table,
    entries: Vec<(u64, T)>,
}

impl<T: Eq + Hash> States<T> {
    pub(super) fn new() -> Self {
        Self { table: Table::new(), entries: Vec::new() }
    }

    pub(super) fn id(&mut self, state: T) -> StateId {
        let mut hasher = FixedHasher(0);
        state.hash(&mut hasher);
        let hash = hasher.finish();
        let entries = &self.entries;
        match self.table.find(hash, |id| entries[id as usize].0 == hash && entries[id as usize].1 == state) {
            Ok(id) => id,
            Err(slot) => {
                let id = self.entries.len() as StateId;
                self.entries.push((hash, state));
                let entries = &self.entries;
                self.table.put(slot, id, |id| entries[id as usize].0);
                id
            }
        }
    }

    pub(super) fn get(&self, id: StateId) -> &T {
        &self.entries[id as usize].1
    }
}

/// A set of operations: first a bit for each that returned, then, from a new word on, one for each of unknown
/// outcome.
#[derive(Clone, Debug)]
pub(super) struct Set {
    words: Vec<u64>,
    /// How many words are about operations that returned.
    returned: usize,
    /// A hash of those words.
    hash: u64,
}

impl Set {
    pub(super) fn new(returned: usize, unknown: usize) -> Self {
        let first = returned.div_ceil(64);
        Self { words: vec![0; first + unknown.div_ceil(64)], returned: first, hash: 0 }
    }

    /// The first bit of the operations of unknown outcome.
    pub(super) fn first_unknown(&self) -> usize {
        self.returned * 64
    }

    pub(super) fn flip(&mut self, bit: usize) {
        self.words[bit / 64] ^= 1 << (bit % 64);
        if bit / 64 < self.returned {
            // Zobrist's hash, so that a step costs the same whatever the number of operations.
            self.hash ^= mix(bit as u64 + 1);
        }
    }

    pub(super) fn contains(&self, bit: usize) -> bool {
        self.words[bit / 64] >> (bit % 64) & 1 == 1
    }
}

/// What has been tried: operations that took effect, and the state they led to.
///
/// Of two sets with the same state and the same returned operations, the one with fewer operations of unknown
/// outcome can do whatever the other can: it has more left. So a set is new only if none of its kind that was
/// tried is a part of it.
pub(super) struct Memo {
    table: Table,
    entries: Vec<Tried>,
    /// The words of all entries, one after the other.
    words: Vec<u64>,
}

struct Tried {
    hash: u64,
    state: StateId,
    /// Another with this state and these returned operations.
    next: u32,
}

impl Memo {
    pub(super) fn new() -> Self {
        Self { table: Table::new(), entries: Vec::new(), words: Vec::new() }
    }

    /// Takes note of a set and its state; false if it need not be tried.
    pub(super) fn is_new(&mut self, set: &Set, state: StateId, mutant: Mutant) -> bool {
        let (width, returned) = (set.words.len(), set.returned);
        let hash = mix(set.hash ^ mix(u64::from(state)));
        let (entries, words) = (&self.entries, &self.words);
        let same = |id: u32| {
            let (entry, start) = (&entries[id as usize], id as usize * width);
            entry.hash == hash
                && entry.state == state
                && words[start..start + returned] == set.words[..returned]
        };
        let found = self.table.find(hash, same);
        let mut next = NONE;
        if let Ok(first) = found {
            let mut id = first;
            while id != NONE {
                let start = id as usize * width;
                let tried = &self.words[start + returned..start + width];
                let is_part =
                    tried.iter().zip(&set.words[returned..]).all(|(tried, word)| tried & !word == 0);
                if is_part || mutant.is(Mutant::MemoWithoutUnknown) {
                    return false;
                }
                id = self.entries[id as usize].next;
            }
            next = self.entries[first as usize].next;
        }
        let id = self.entries.len() as u32;
        self.entries.push(Tried { hash, state, next });
        self.words.extend_from_slice(&set.words);
        match found {
            Ok(first) => self.entries[first as usize].next = id,
            Err(slot) => {
                let entries = &self.entries;
                self.table.put(slot, id, |id| entries[id as usize].hash);
            }
        }
        true
    }
}

/// Where operations lead from states, as far as it is remembered. A search comes to the same state in many ways, and to
/// ask the specification again costs a state that is made, compared and thrown away.
///
/// Each pair has one place, and the last one keeps it: what is forgotten is asked again. Several next states are not
/// remembered.
pub(super) struct Leads {
    slots: Vec<(StateId, u32, StateId)>,
    /// How many were put since the table last grew.
    put: usize,
}

impl Leads {
    const SLOTS_MAX: usize = 1 << 12;

    pub(super) fn new() -> Self {
        Self { slots: vec![FREE; 64], put: 0 }
    }

    /// The state that the operation leads to from this one, or that there is none; `None` if it is not remembered.
    #[allow(clippy::option_option, reason = "one is whether it is remembered, the other where it leads")]
    pub(super) fn get(&self, from: StateId, operation: u32) -> Option<Option<StateId>> {
        let (state, other, to) = self.slots[self.slot(from, operation)];
        (state == from && other == operation).then_some((to != NONE).then_some(to))
    }

    pub(super) fn put(&mut self, from: StateId, operation: u32, to: &[StateId]) {
        let to = match to {
            [] => NONE,
            [one] => *one,
            _ => return,
        };
        self.put += 1;
        if self.put > self.slots.len() && self.slots.len() < Self::SLOTS_MAX {
            self.grow();
        }
        let slot = self.slot(from, operation);
        self.slots[slot] = (from, operation, to);
    }

    fn grow(&mut self) {
        self.put = 0;
        let larger = vec![FREE; self.slots.len() * 4];
        for known in std::mem::replace(&mut self.slots, larger).into_iter().filter(|known| *known != FREE) {
            let slot = self.slot(known.0, known.1);
            self.slots[slot] = known;
        }
    }

    fn slot(&self, from: StateId, operation: u32) -> usize {
        let pair = u64::from(from) << 32 | u64::from(operation);
        (pair.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize & (self.slots.len() - 1)
    }
}

/// Where entries lie, by their hash: open addressing, at most half full.
struct Table {
    slots: Vec<u32>,
    used: usize,
}

impl Table {
    fn new() -> Self {
        Self { slots: vec![NONE; 64], used: 0 }
    }

    /// The entry, or the slot where it belongs.
    fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Result<u32, usize> {
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        loop {
            match self.slots[slot] {
                NONE => return Err(slot),
                id if is_it(id) => return Ok(id),
                _ => slot = (slot + 1) & mask,
            }
        }
    }

    /// Puts an entry into the slot that was found for it.
    fn put(&mut self, slot: usize, id: u32, hash: impl Fn(u32) -> u64) {
        self.slots[slot] = id;
        self.used += 1;
        if self.used * 2 > self.slots.len() {
            let old = std::mem::take(&mut self.slots);
            self.slots = vec![NONE; old.len() * 4];
            for id in old.into_iter().filter(|id| *id != NONE) {
                if let Err(slot) = self.find(hash(id), |_| false) {
                    self.slots[slot] = id;
                }
            }
        }
    }
}

/// Sebastiano Vigna's splitmix64, the last part.
const fn mix(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// The same hash in every process, unlike that of the standard library.
struct FixedHasher(u64);

impl FixedHasher {
    const fn add(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
}

impl Hasher for FixedHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.add(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, byte: u8) {
        self.add(byte.into());
    }

    fn write_u32(&mut self, word: u32) {
        self.add(word.into());
    }

    fn write_u64(&mut self, word: u64) {
        self.add(word);
    }

    fn write_usize(&mut self, word: usize) {
        self.add(word as u64);
    }

    fn finish(&self) -> u64 {
        mix(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_kept_once() {
        let mut states = States::new();
        let ids: Vec<StateId> = (0..1_000_u64).map(|state| states.id(state % 300)).collect();
        assert!((0..1_000).all(|index| ids[index] == index as u32 % 300));
        assert_eq!(*states.get(299), 299);
    }

    #[test]
    fn a_lead_is_remembered_or_forgotten_and_never_another() {
        let mut leads = Leads::new();
        for pair in 0..20_000 {
            let (from, operation) = (pair / 100, pair % 100);
            let to = [from ^ operation];
            leads.put(from, operation, if operation == 7 { &[] } else { &to });
            leads.put(from, operation + 100, &[1, 2]);
            assert_eq!(leads.get(from, operation), Some((operation != 7).then_some(to[0])));
            assert_eq!(leads.get(from, operation + 100), None, "several are not remembered");
        }
        assert_eq!(leads.slots.len(), Leads::SLOTS_MAX);
        let known = (0..20_000).filter_map(|pair| Some((pair, leads.get(pair / 100, pair % 100)?)));
        let known: Vec<_> = known.collect();
        assert!(known.len() > Leads::SLOTS_MAX / 2, "{} are left", known.len());
        for (pair, to) in known {
            let (from, operation) = (pair / 100, pair % 100);
            assert_eq!(to, (operation != 7).then_some(from ^ operation));
        }
    }

    #[test]
    fn a_set_is_new_if_no_part_of_it_was_tried() {
        let mut memo = Memo::new();
        let mut set = Set::new(70, 3);
        let (a, b) = (set.first_unknown(), set.first_unknown() + 1);
        set.flip(69);
        set.flip(a);
        assert!(memo.is_new(&set, 0, Mutant::None), "{{69, a}}");
        assert!(memo.is_new(&set, 1, Mutant::None), "another state");
        set.flip(b);
        assert!(!memo.is_new(&set, 0, Mutant::None), "{{69, a, b}} has less left than {{69, a}}");
        set.flip(a);
        assert!(memo.is_new(&set, 0, Mutant::None), "{{69, b}}");
        set.flip(b);
        assert!(memo.is_new(&set, 0, Mutant::None), "{{69}}");
        set.flip(69);
        assert!(memo.is_new(&set, 0, Mutant::None), "{{}}");
        assert!(!memo.is_new(&set, 0, Mutant::None), "twice");
    }
}
