//! The log: a snapshot, and the entries behind it. Indices begin at 1.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::machine::Machine;
use crate::rpc::{Call, Tag};

/// What a client asked for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Command {
    /// Which call.
    #[serde(serialize_with = "tag_as_words", deserialize_with = "tag_from_words")]
    pub tag: Tag,
    /// What to execute.
    pub call: Call,
}

/// One entry.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// The term of the leader that made it.
    pub term: u64,
    /// What to apply; `None` in the entry a new leader begins with.
    pub command: Option<Command>,
}

/// The state after the entry `index`, which with all before it is no longer in the log.
#[derive(Clone, PartialEq, Eq, Hash, Default, Debug, Serialize, Deserialize)]
pub struct Snapshot {
    /// The last entry it contains.
    pub index: u64,
    /// That entry's term.
    pub term: u64,
    /// The chain of hashes up to that entry: for the judges.
    pub chain: u64,
    /// The state.
    pub machine: Machine,
}

/// The log of one server.
///
/// Beside each entry stands a hash of it and all before it. No server looks at these; they tell a judge in one comparison
/// whether two logs are the same up to an index.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Log {
    snapshot: Arc<Snapshot>,
    entries: Vec<(Entry, u64)>,
}

impl Log {
    pub(super) fn new(snapshot: Arc<Snapshot>) -> Self {
        Self { snapshot, entries: Vec::new() }
    }

    /// The snapshot.
    pub const fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// The index of the last entry; that of the snapshot if there is none behind it.
    pub fn last_index(&self) -> u64 {
        self.snapshot.index + self.entries.len() as u64
    }

    /// The term of the last entry.
    pub fn last_term(&self) -> u64 {
        self.entries.last().map_or(self.snapshot.term, |(entry, _)| entry.term)
    }

    /// The entry at an index, if it is in the log.
    pub fn get(&self, index: u64) -> Option<Entry> {
        Some(self.entries.get(self.place(index)?)?.0)
    }

    /// The term of the entry at an index, if it is known.
    pub fn term_at(&self, index: u64) -> Option<u64> {
        if index == self.snapshot.index { Some(self.snapshot.term) } else { Some(self.get(index)?.term) }
    }

    /// The hash of the entry at an index and all before it, if it is known.
    pub fn chain_at(&self, index: u64) -> Option<u64> {
        if index == self.snapshot.index {
            return Some(self.snapshot.chain);
        }
        Some(self.entries.get(self.place(index)?)?.1)
    }

    /// At most `count` entries from `index` on.
    pub(super) fn from(&self, index: u64, count: usize) -> Vec<Entry> {
        let Some(place) = self.place(index) else { return Vec::new() };
        self.entries.iter().skip(place).take(count).map(|(entry, _)| *entry).collect()
    }

    /// The first index of the term that the entry at `index` has.
    pub(super) fn first_of_term_at(&self, index: u64) -> u64 {
        let term = self.term_at(index);
        let mut first = index;
        while first > self.snapshot.index + 1 && self.term_at(first - 1) == term {
            first -= 1;
        }
        first
    }

    /// The last index of a term, if there is one.
    pub(super) fn last_of_term(&self, term: u64) -> Option<u64> {
        (self.snapshot.index..=self.last_index()).rev().find(|index| self.term_at(*index) == Some(term))
    }

    pub(super) fn push(&mut self, entry: Entry) {
        let before = self.entries.last().map_or(self.snapshot.chain, |(_, chain)| *chain);
        self.entries.push((entry, chain(before, entry)));
    }

    /// Removes the entry at `index` and all behind it.
    pub(super) fn truncate(&mut self, index: u64) {
        if let Some(place) = self.place(index) {
            self.entries.truncate(place);
        }
    }

    /// Puts a snapshot in the place of the entries that it contains. Entries behind it stay, if the log agrees
    /// with the snapshot at its end.
    pub(super) fn compact(&mut self, snapshot: Arc<Snapshot>) {
        if self.term_at(snapshot.index) == Some(snapshot.term) {
            self.entries.drain(..(snapshot.index - self.snapshot.index) as usize);
        } else {
            self.entries.clear();
        }
        self.snapshot = snapshot;
        for at in 0..self.entries.len() {
            let before = if at == 0 { self.snapshot.chain } else { self.entries[at - 1].1 };
            self.entries[at].1 = chain(before, self.entries[at].0);
        }
    }

    fn place(&self, index: u64) -> Option<usize> {
        Some(index.checked_sub(self.snapshot.index + 1)? as usize)
    }
}

/// The hash of an entry and all before it.
fn chain(before: u64, entry: Entry) -> u64 {
    let mut hasher = Chain(before ^ 0xcbf2_9ce4_8422_2325);
    entry.hash(&mut hasher);
    hasher.finish()
}

/// FNV-1a, over words.
struct Chain(u64);

impl Hasher for Chain {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(u64::from(word));
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 ^= self.0 >> 29;
    }

    fn write_isize(&mut self, word: isize) {
        self.write_u64(word as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

fn tag_as_words<S: Serializer>(tag: &Tag, serializer: S) -> Result<S::Ok, S::Error> {
    (tag.client, tag.life, tag.call).serialize(serializer)
}

fn tag_from_words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Tag, D::Error> {
    let (client, life, call) = Deserialize::deserialize(deserializer)?;
    Ok(Tag { client, life, call })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(terms: &[u64]) -> Log {
        let mut log = Log::default();
        for term in terms {
            log.push(Entry { term: *term, command: None });
        }
        log
    }

    #[test]
    fn two_logs_have_one_chain_as_long_as_they_agree() {
        let (one, other) = (log(&[1, 1, 2, 3]), log(&[1, 1, 3, 3]));
        assert_eq!(one.chain_at(2), other.chain_at(2));
        assert_ne!(one.chain_at(3), other.chain_at(3));
        assert_ne!(one.chain_at(4), other.chain_at(4));
    }

    #[test]
    fn a_compacted_log_has_the_same_indices_terms_and_chains() {
        let whole = log(&[1, 1, 2, 3]);
        let mut compacted = whole.clone();
        let chain = whole.chain_at(2).unwrap();
        compacted.compact(Arc::new(Snapshot { index: 2, term: 1, chain, machine: Machine::default() }));
        for index in 2..=4 {
            assert_eq!(whole.term_at(index), compacted.term_at(index));
            assert_eq!(whole.chain_at(index), compacted.chain_at(index));
        }
        assert_eq!(compacted.term_at(1), None);
        assert_eq!(compacted.last_index(), 4);
        assert_eq!(compacted.from(2, 9), []);
        assert_eq!(compacted.from(3, 9), whole.from(3, 9));
    }

    #[test]
    fn a_snapshot_that_disagrees_clears_the_log() {
        let mut behind = log(&[1, 1, 1]);
        behind.compact(Arc::new(Snapshot { index: 3, term: 2, chain: 7, machine: Machine::default() }));
        assert_eq!((behind.last_index(), behind.last_term()), (3, 2));
    }

    #[test]
    fn a_term_is_passed_over_at_once() {
        let log = log(&[1, 2, 2, 2, 4]);
        assert_eq!(log.first_of_term_at(4), 2);
        assert_eq!(log.last_of_term(2), Some(4));
        assert_eq!(log.last_of_term(3), None);
    }
}
