//! Disks: files that hold what was synced, and a cache of what was not.
//!
//! Deliberately absent: directories, offsets, partial overwrites. A file is replaced, appended to or removed.

use std::collections::BTreeMap;
use std::fmt;

use crate::dice::{EventDice, Purpose};
use crate::id::{EventId, Label};

/// Why a sync failed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum SyncError {
    /// The device reported an error. What was not synced before may be lost in a crash.
    Device,
}

impl fmt::Display for SyncError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the device failed to sync")
    }
}

/// A node's disk. It outlives the node's crashes.
///
/// A crash keeps, of each file's unsynced changes, an arbitrary prefix; the first change that is not kept may
/// survive in part. Changes of different files survive independently of each other.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Disk {
    durable: BTreeMap<Label, Vec<u8>>,
    current: BTreeMap<Label, Vec<u8>>,
    unsynced: Vec<(Label, Change)>,
    /// How many changes were ever made durable or lost: the number of the first unsynced one.
    settled: u64,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    Write(Vec<u8>),
    Append(Vec<u8>),
    Remove,
}

impl Change {
    fn apply(&self, file: Label, files: &mut BTreeMap<Label, Vec<u8>>) {
        match self {
            Self::Write(bytes) => {
                files.insert(file, bytes.clone());
            }
            Self::Append(bytes) => files.entry(file).or_default().extend_from_slice(bytes),
            Self::Remove => {
                files.remove(&file);
            }
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Write(bytes) | Self::Append(bytes) => bytes.len(),
            Self::Remove => 0,
        }
    }

    /// The part of the change that a torn write leaves: its first `len` bytes.
    fn torn(&self, len: usize) -> Self {
        match self {
            Self::Write(bytes) => Self::Write(bytes[..len].to_vec()),
            Self::Append(bytes) => Self::Append(bytes[..len].to_vec()),
            Self::Remove => Self::Remove,
        }
    }
}

impl Disk {
    /// A file as the node sees it, synced or not.
    pub fn read(&self, file: Label) -> Option<&[u8]> {
        self.current.get(&file).map(Vec::as_slice)
    }

    /// A file as a crash that loses everything unsynced would leave it.
    pub fn read_durable(&self, file: Label) -> Option<&[u8]> {
        self.durable.get(&file).map(Vec::as_slice)
    }

    /// The names of all files the node sees, in order.
    pub fn files(&self) -> impl Iterator<Item = Label> + '_ {
        self.current.keys().copied()
    }

    /// Bytes in all files the node sees.
    pub fn used(&self) -> u64 {
        self.current.values().map(|bytes| bytes.len() as u64).sum()
    }

    pub(crate) fn change(&mut self, file: Label, change: Change) {
        change.apply(file, &mut self.current);
        self.unsynced.push((file, change));
    }

    /// The number a sync asked for now must reach.
    pub(crate) fn sync_mark(&self) -> u64 {
        self.settled + self.unsynced.len() as u64
    }

    pub(crate) fn sync_to(&mut self, mark: u64) {
        let count = mark.saturating_sub(self.settled) as usize;
        for (file, change) in self.unsynced.drain(..count.min(self.unsynced.len())) {
            change.apply(file, &mut self.durable);
            self.settled += 1;
        }
    }

    /// Keeps what the dice keep, and returns how many changes were lost and whether one was torn.
    pub(crate) fn crash(&mut self, dice: EventDice) -> (u32, bool) {
        let mut lost = 0;
        let mut any_torn = false;
        let unsynced = std::mem::take(&mut self.unsynced);
        self.settled += unsynced.len() as u64;
        let mut by_file: BTreeMap<Label, Vec<&Change>> = BTreeMap::new();
        for (file, change) in &unsynced {
            by_file.entry(*file).or_default().push(change);
        }
        for (index, (file, changes)) in (0_u32..).zip(by_file) {
            let kept = dice.below(Purpose::DISK_KEPT.nth(index), changes.len() as u64 + 1) as usize;
            for change in &changes[..kept] {
                change.apply(file, &mut self.durable);
            }
            if let Some(first_lost) = changes.get(kept) {
                lost += (changes.len() - kept) as u32;
                // A tenth of the lost writes survive in part.
                let torn = dice.below(Purpose::DISK_TORN.nth(index), first_lost.len() as u64 * 10) as usize;
                if torn > 0 && torn < first_lost.len() {
                    first_lost.torn(torn).apply(file, &mut self.durable);
                    any_torn = true;
                }
            }
        }
        self.current.clone_from(&self.durable);
        (lost, any_torn)
    }

    /// Keeps nothing that was not synced.
    pub(crate) fn crash_bare(&mut self) -> u32 {
        let lost = self.unsynced.len() as u32;
        self.settled += u64::from(lost);
        self.unsynced.clear();
        self.current.clone_from(&self.durable);
        lost
    }

    /// Keeps everything, as a process that dies on a machine that lives on.
    pub(crate) fn crash_soft(&mut self) {
        let mark = self.sync_mark();
        self.sync_to(mark);
    }
}

/// A sync under way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SyncUnderWay {
    pub(crate) label: Label,
    pub(crate) mark: u64,
    pub(crate) asked: EventId,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::Dice;

    const LOG: Label = Label::new("log");

    #[test]
    fn a_crash_keeps_a_prefix_and_what_was_synced() {
        let mut kept_counts = [0; 4];
        for seed in 0..300 {
            let mut disk = Disk::default();
            disk.change(LOG, Change::Append(b"a".to_vec()));
            disk.sync_to(disk.sync_mark());
            for letter in [b"b", b"c", b"d"] {
                disk.change(LOG, Change::Append(letter.to_vec()));
            }
            assert_eq!(disk.read(LOG), Some(&b"abcd"[..]));
            assert_eq!(disk.read_durable(LOG), Some(&b"a"[..]));
            let (lost, _) = disk.crash(Dice::new(seed).of(EventId(9)));
            let left = disk.read(LOG).unwrap();
            assert!(b"abcd".starts_with(left), "{left:?}");
            assert_eq!(left.len() as u32 + lost, 4);
            kept_counts[left.len() - 1] += 1;
        }
        assert!(kept_counts.iter().all(|count| *count > 40), "{kept_counts:?}");
    }

    #[test]
    fn a_sync_covers_what_was_written_before_it_was_asked_for() {
        let mut disk = Disk::default();
        disk.change(LOG, Change::Write(b"one".to_vec()));
        let mark = disk.sync_mark();
        disk.change(LOG, Change::Write(b"two".to_vec()));
        disk.sync_to(mark);
        assert_eq!(disk.read_durable(LOG), Some(&b"one"[..]));
        assert_eq!(disk.crash_bare(), 1);
        assert_eq!(disk.read(LOG), Some(&b"one"[..]));
    }

    #[test]
    fn a_torn_write_leaves_a_prefix_of_its_bytes() {
        let torn = (0..2_000)
            .filter(|seed| {
                let mut disk = Disk::default();
                disk.change(LOG, Change::Append(b"0123456789".to_vec()));
                disk.crash(Dice::new(*seed).of(EventId(1))).1
            })
            .count();
        assert!((40..400).contains(&torn), "{torn}");
    }
}
