//! What a server keeps on its disk: term, vote and log, as a journal of checksummed records in one of two files.
//!
//! A crash can tear any write that was not synced, and a replaced file with it. So a journal is only appended to; to
//! compact it, all of the state is written to the other file as a new generation, and the old one stays until
//! the generation after. Recovery takes the youngest generation whose beginning is whole.
//!
//! What rests on a record leaves the server only after its sync: [`Storage`] holds such messages back.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sim::{Context, Label, NodeId};

use super::log::{Entry, Log, Snapshot};
use super::message::RaftMessage;
use super::variant::Durability;

/// The sync of the journal, keyed by its number.
pub(super) const SYNC: &str = "journal";

/// What must outlive a crash.
#[derive(Clone, Default, Debug)]
pub(super) struct Durable {
    pub(super) term: u64,
    pub(super) vote: Option<u32>,
    pub(super) log: Log,
}

/// One change of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Record {
    /// Everything: the first record of a generation.
    Generation { number: u64, term: u64, vote: Option<u32>, snapshot: Box<Snapshot>, entries: Vec<Entry> },
    /// Another term or vote.
    Ballot { term: u64, vote: Option<u32> },
    /// Entries from an index on, and none behind them.
    Entries { from: u64, entries: Vec<Entry> },
}

/// The disk of a server, and the messages that wait for it.
#[derive(Clone, Debug)]
pub(super) struct Storage {
    durability: Durability,
    generation: u64,
    /// Whether something was written that no sync was asked for yet.
    dirty: bool,
    /// The number of the last sync asked for, and of the last that ended well.
    asked: u64,
    synced: u64,
    held_back: VecDeque<(u64, NodeId, RaftMessage)>,
    /// The last index of the log when a sync was asked for.
    lengths: VecDeque<(u64, u64)>,
}

impl Storage {
    pub(super) const fn new(durability: Durability) -> Self {
        Self {
            durability,
            generation: 0,
            dirty: false,
            asked: 0,
            synced: 0,
            held_back: VecDeque::new(),
            lengths: VecDeque::new(),
        }
    }

    pub(super) fn write_ballot(&mut self, ctx: &mut Context<RaftMessage>, term: u64, vote: Option<u32>) {
        self.append(ctx, &Record::Ballot { term, vote });
    }

    pub(super) fn write_entries(&mut self, ctx: &mut Context<RaftMessage>, from: u64, log: &Log) {
        // What was removed for these is durable no more, and what is in its place not yet.
        for (_, length) in &mut self.lengths {
            *length = (*length).min(from - 1);
        }
        self.append(ctx, &Record::Entries { from, entries: log.from(from, usize::MAX) });
    }

    /// Begins a new generation.
    pub(super) fn write_all(&mut self, ctx: &mut Context<RaftMessage>, durable: &Durable) {
        if self.durability == Durability::Nothing {
            return;
        }
        self.generation += 1;
        let record = Record::Generation {
            number: self.generation,
            term: durable.term,
            vote: durable.vote,
            snapshot: Box::new(Snapshot::clone(durable.log.snapshot())),
            entries: durable.log.from(durable.log.snapshot().index + 1, usize::MAX),
        };
        ctx.write(file(self.generation), frame(&record));
        self.dirty = true;
    }

    fn append(&mut self, ctx: &mut Context<RaftMessage>, record: &Record) {
        if self.durability != Durability::Nothing {
            ctx.append(file(self.generation), frame(record));
            self.dirty = true;
        }
    }

    /// Asks for a sync of what the handler wrote, if it wrote anything.
    pub(super) fn sync(&mut self, ctx: &mut Context<RaftMessage>, log_length: u64) {
        if self.dirty {
            self.dirty = false;
            self.asked += 1;
            self.lengths.push_back((self.asked, log_length));
            ctx.sync((SYNC, self.asked));
        }
    }

    /// Whether everything written is durable.
    pub(super) const fn is_synced(&self) -> bool {
        !self.dirty && self.synced == self.asked
    }

    /// Sends a message once everything written so far is durable.
    pub(super) fn send(&mut self, ctx: &mut Context<RaftMessage>, to: NodeId, message: RaftMessage) {
        let answered_first = match &message {
            RaftMessage::Vote { .. } => self.durability == Durability::VoteAnsweredFirst,
            RaftMessage::Matches { .. } => self.durability == Durability::EntriesAnsweredFirst,
            _ => false,
        };
        if answered_first || self.is_synced() {
            ctx.send(to, message);
        } else {
            self.held_back.push_back((self.asked + u64::from(self.dirty), to, message));
        }
    }

    /// A sync ended well: sends what waited for it, and returns up to which index the log is durable.
    pub(super) fn on_synced(&mut self, ctx: &mut Context<RaftMessage>, number: u64) -> Option<u64> {
        self.synced = self.synced.max(number);
        while let Some((waits_for, ..)) = self.held_back.front()
            && *waits_for <= self.synced
        {
            let (_, to, message) = self.held_back.pop_front()?;
            ctx.send(to, message);
        }
        let mut length = None;
        while let Some((sync, durable)) = self.lengths.front()
            && *sync <= self.synced
        {
            length = Some(*durable);
            self.lengths.pop_front();
        }
        length
    }

    /// Reads what is on the disk.
    pub(super) fn recover(&mut self, ctx: &Context<RaftMessage>) -> Durable {
        if self.durability == Durability::Nothing {
            return Durable::default();
        }
        let files = [0, 1].map(|parity| ctx.read(file(parity)).unwrap_or_default());
        let generations = files.each_ref().map(|bytes| generation(bytes));
        let youngest = usize::from(generations[1] > generations[0]);
        self.generation = generations[youngest];
        replay(&files[youngest])
    }
}

const fn file(generation: u64) -> Label {
    Label::keyed("journal", generation % 2)
}

/// The number of the generation in this file. The very first one has no beginning of its own.
fn generation(bytes: &[u8]) -> u64 {
    match unframe(bytes) {
        Some((Record::Generation { number, .. }, _)) => number,
        _ => 0,
    }
}

/// What the records of a file add up to. A torn record is passed over byte by byte: what was appended after it
/// begins anywhere, and its checksum says where.
fn replay(bytes: &[u8]) -> Durable {
    let mut durable = Durable::default();
    let mut rest = bytes;
    while !rest.is_empty() {
        let Some((record, len)) = unframe(rest) else {
            rest = &rest[1..];
            continue;
        };
        rest = &rest[len..];
        match record {
            Record::Generation { term, vote, snapshot, entries, .. } => {
                durable = Durable { term, vote, log: Log::new(Arc::from(snapshot)) };
                for entry in entries {
                    durable.log.push(entry);
                }
            }
            Record::Ballot { term, vote } => (durable.term, durable.vote) = (term, vote),
            Record::Entries { from, entries } => {
                durable.log.truncate(from);
                for entry in entries {
                    durable.log.push(entry);
                }
            }
        }
    }
    durable
}

/// A record with its length before it and a checksum behind it.
fn frame(record: &Record) -> Vec<u8> {
    let mut bytes = vec![0; 4];
    serde_json::to_writer(&mut bytes, record).expect("a record has no map whose keys are not strings");
    let len = (bytes.len() - 4) as u32;
    bytes[..4].copy_from_slice(&len.to_le_bytes());
    let sum = checksum(&bytes);
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes
}

/// The record at the beginning of these bytes, and how long it is with its frame.
fn unframe(bytes: &[u8]) -> Option<(Record, usize)> {
    let (len, _) = bytes.split_first_chunk::<4>()?;
    let end = (u32::from_le_bytes(*len) as usize).checked_add(8)?;
    let (framed, sum) = bytes.get(..end)?.split_last_chunk::<4>()?;
    if u32::from_le_bytes(*sum) != checksum(framed) {
        return None;
    }
    Some((serde_json::from_slice(&framed[4..]).ok()?, end))
}

/// FNV-1a. A torn record is shorter, or a prefix: this is enough to notice.
fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::log::Command;
    use crate::rpc::{Call, Tag};

    fn entry(term: u64) -> Entry {
        let tag = Tag { client: 1, life: 2, call: 3 };
        Entry { term, command: Some(Command { tag, call: Call::Put { key: 4, value: u64::MAX } }) }
    }

    #[test]
    fn a_journal_is_read_as_it_was_written_with_a_torn_record_in_it() {
        let first = frame(&Record::Entries { from: 1, entries: vec![entry(1), entry(1)] });
        let torn = frame(&Record::Entries { from: 3, entries: vec![entry(1)] });
        let last = frame(&Record::Entries { from: 2, entries: vec![entry(2)] });
        for kept in 0..torn.len() {
            let bytes = [&first[..], &torn[..kept], &last[..]].concat();
            let durable = replay(&bytes);
            assert_eq!(durable.log.from(1, 9), [entry(1), entry(2)], "{kept} bytes kept");
        }
    }

    #[test]
    fn a_generation_whose_beginning_is_torn_does_not_count() {
        let mut log = Log::default();
        log.push(entry(5));
        let record = Record::Generation {
            number: 3,
            term: 7,
            vote: Some(1),
            snapshot: Box::new(Snapshot::clone(log.snapshot())),
            entries: log.from(1, 9),
        };
        let whole = frame(&record);
        assert_eq!(generation(&whole), 3);
        assert_eq!((replay(&whole).term, replay(&whole).vote, replay(&whole).log), (7, Some(1), log));
        for kept in 0..whole.len() {
            assert_eq!(generation(&whole[..kept]), 0, "{kept} bytes kept");
        }
    }
}
