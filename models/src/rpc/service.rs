//! The services behind the calls: a key/value store with and without versions, an account, lists that are appended to, a
//! master that gives tasks to workers. One state machine, so that one server can offer them all.
//!
//! What a call does follows from the state, the call and the time at which the server executed it first: so the state can
//! be had again from a log.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use sim::Nanos;

/// What can be called.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Call {
    /// The value of a key.
    Get {
        /// The key.
        key: u32,
    },
    /// Sets a key; what was appended to it is gone.
    Put {
        /// The key.
        key: u32,
        /// Its new value.
        value: u64,
    },
    /// Takes money from the account.
    Deduct {
        /// How much.
        amount: u64,
    },
    /// Appends to the list of a key and returns the list's former length.
    Append {
        /// The key.
        key: u32,
        /// What is appended.
        value: u64,
    },
    /// Sets a key that has no value yet, and says whether it had none.
    Insert {
        /// The key.
        key: u32,
        /// Its value.
        value: u64,
    },
    /// The value of a key with its version.
    GetVersion {
        /// The key.
        key: u32,
    },
    /// Sets a key if its version is the given one, and makes it one greater.
    PutVersion {
        /// The key.
        key: u32,
        /// Its new value.
        value: u32,
        /// The version it must have; 0 if it must have no value.
        version: u32,
    },
    /// Asks the master for a task.
    Take,
    /// Reports that a task is done.
    Report {
        /// Which.
        task: u32,
    },
    /// Fetches a page of the web.
    Fetch {
        /// Which.
        page: u32,
    },
}

/// What a call returns.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// A key's value, if it has one.
    Value(Option<u64>),
    /// It is done.
    Done,
    /// How much has been taken from the account by now, this call included.
    Taken(u64),
    /// How long the list was before.
    Length(u32),
    /// It was inserted.
    Inserted,
    /// The key had a value already.
    AlreadyThere,
    /// A key's value and version; version 0 if it has none.
    Version(u32, u32),
    /// The version is another: nothing was put.
    WrongVersion,
    /// A task to do.
    Task(u32),
    /// Every task is given to somebody, and some are not done.
    NoTask,
    /// Every task is done.
    AllDone,
    /// How often the page has been fetched by now, this time included.
    Fetched(u32),
}

/// A mistake of the application that no scheme of calls can mend.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize)]
pub enum Slip {
    /// None.
    #[default]
    None,
    /// A client takes "wrong version" for a failure, even if it answers a resend of a put that may have been executed.
    WrongVersionIsFailure,
    /// A server that restarts has the values, and their versions from 1 on.
    RestartResetsVersions,
    /// A master counts each report of a task, and not only the first.
    EveryReportCounts,
}

/// The state behind the calls.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize)]
pub struct Service {
    values: BTreeMap<u32, u64>,
    lists: BTreeMap<u32, Vec<u64>>,
    versions: BTreeMap<u32, (u32, u32)>,
    taken: u64,
    tasks: Vec<Task>,
    /// After how long without a report a task is given to another worker.
    patience: Nanos,
    slip: Slip,
}

/// A task of a master.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize)]
pub struct Task {
    /// When it was given last.
    given_at: Option<Nanos>,
    /// How often it was given to a worker.
    pub given: u32,
    /// How many workers reported it done.
    pub reports: u32,
    /// How many reports counted.
    pub counted: u32,
}

impl Service {
    /// An empty one.
    pub const fn new() -> Self {
        Self {
            values: BTreeMap::new(),
            lists: BTreeMap::new(),
            versions: BTreeMap::new(),
            taken: 0,
            tasks: Vec::new(),
            patience: 0,
            slip: Slip::None,
        }
    }

    /// One with so many tasks to give.
    pub fn with_tasks(count: u32, patience: Nanos, slip: Slip) -> Self {
        let tasks = (0..count).map(|_| Task::default()).collect();
        Self { tasks, patience, slip, ..Self::new() }
    }

    /// Executes a call at a time of the server's clock.
    pub fn execute(&mut self, call: Call, at: Nanos) -> Reply {
        match call {
            Call::Get { key } => Reply::Value(self.values.get(&key).copied()),
            Call::Put { key, value } => {
                self.values.insert(key, value);
                self.lists.remove(&key);
                Reply::Done
            }
            Call::Deduct { amount } => {
                self.taken += amount;
                Reply::Taken(self.taken)
            }
            Call::Append { key, value } => {
                let list = self.lists.entry(key).or_default();
                list.push(value);
                Reply::Length(list.len() as u32 - 1)
            }
            Call::Insert { key, .. } if self.values.contains_key(&key) => Reply::AlreadyThere,
            Call::Insert { key, value } => {
                self.values.insert(key, value);
                Reply::Inserted
            }
            Call::GetVersion { key } => {
                let (value, version) = self.versions.get(&key).copied().unwrap_or((0, 0));
                Reply::Version(value, version)
            }
            Call::PutVersion { key, value, version } => {
                let now = self.versions.get(&key).map_or(0, |(_, version)| *version);
                if version != now {
                    return Reply::WrongVersion;
                }
                self.versions.insert(key, (value, now + 1));
                Reply::Version(value, now + 1)
            }
            Call::Take => self.take(at),
            Call::Report { task } => {
                let slip = self.slip;
                if let Some(task) = self.tasks.get_mut(task as usize) {
                    task.reports += 1;
                    task.counted = if slip == Slip::EveryReportCounts { task.reports } else { 1 };
                }
                Reply::Done
            }
            Call::Fetch { page } => {
                let times = self.values.entry(page).or_default();
                *times += 1;
                Reply::Fetched(*times as u32)
            }
        }
    }

    fn take(&mut self, at: Nanos) -> Reply {
        let patience = self.patience;
        let is_free = |task: &Task| task.given_at.is_none_or(|given| at.saturating_sub(given) > patience);
        match self.tasks.iter().position(|task| task.reports == 0 && is_free(task)) {
            Some(number) => {
                let task = &mut self.tasks[number];
                task.given_at = Some(at);
                task.given += 1;
                Reply::Task(number as u32)
            }
            None if self.tasks.iter().any(|task| task.reports == 0) => Reply::NoTask,
            None => Reply::AllDone,
        }
    }

    /// What a reply to this call would say of the state as it is, without executing the call.
    pub(super) fn current(&self, call: Call) -> Reply {
        match call {
            Call::Deduct { .. } => Reply::Taken(self.taken),
            Call::Append { key, .. } => Reply::Length(self.lists.get(&key).map_or(0, |l| l.len() as u32)),
            _ => self.clone().execute(call, 0),
        }
    }

    /// How much was taken from the account in all.
    pub const fn taken(&self) -> u64 {
        self.taken
    }

    /// The value of a key.
    pub fn value(&self, key: u32) -> Option<u64> {
        self.values.get(&key).copied()
    }

    /// The tasks.
    pub fn tasks(&self) -> &[Task] {
        &self.tasks
    }

    /// Forgets all versions but the first.
    pub(super) fn reset_versions(&mut self) {
        self.versions.values_mut().for_each(|(_, version)| *version = 1);
    }
}

impl Call {
    /// Whether it changes nothing.
    pub const fn only_looks(self) -> bool {
        matches!(self, Self::Get { .. } | Self::GetVersion { .. })
    }

    /// The reply to this call that nobody filled in.
    pub(super) const fn empty_reply(self) -> Reply {
        match self {
            Self::Get { .. } => Reply::Value(None),
            Self::Put { .. } | Self::Report { .. } => Reply::Done,
            Self::Deduct { .. } => Reply::Taken(0),
            Self::Append { .. } => Reply::Length(0),
            Self::Insert { .. } => Reply::AlreadyThere,
            Self::GetVersion { .. } | Self::PutVersion { .. } => Reply::Version(0, 0),
            Self::Take => Reply::NoTask,
            Self::Fetch { .. } => Reply::Fetched(0),
        }
    }

    /// The call in 17 bytes, for a record on disk.
    pub(super) fn encode(self) -> [u8; 17] {
        let (kind, key, value) = match self {
            Self::Get { key } => (0, key, 0),
            Self::Put { key, value } => (1, key, value),
            Self::Deduct { amount } => (2, 0, amount),
            Self::Append { key, value } => (3, key, value),
            Self::Insert { key, value } => (4, key, value),
            Self::GetVersion { key } => (5, key, 0),
            Self::PutVersion { key, value, version } => (6, key, u64::from(value) | u64::from(version) << 32),
            Self::Take => (7, 0, 0),
            Self::Report { task } => (8, task, 0),
            Self::Fetch { page } => (9, page, 0),
        };
        words(kind, u64::from(key), value)
    }

    /// The call that was encoded so.
    pub(super) fn decode(bytes: &[u8; 17]) -> Option<Self> {
        let (kind, key, value) = unwords(bytes);
        let key = u32::try_from(key).ok()?;
        Some(match kind {
            0 => Self::Get { key },
            1 => Self::Put { key, value },
            2 => Self::Deduct { amount: value },
            3 => Self::Append { key, value },
            4 => Self::Insert { key, value },
            5 => Self::GetVersion { key },
            6 => Self::PutVersion { key, value: value as u32, version: (value >> 32) as u32 },
            7 => Self::Take,
            8 => Self::Report { task: key },
            9 => Self::Fetch { page: key },
            _ => return None,
        })
    }
}

impl Reply {
    /// The reply in 17 bytes, for a record on disk.
    pub(super) fn encode(self) -> [u8; 17] {
        let (kind, one, two) = match self {
            Self::Value(None) => (0, 0, 0),
            Self::Value(Some(value)) => (1, value, 0),
            Self::Done => (2, 0, 0),
            Self::Taken(taken) => (3, taken, 0),
            Self::Length(length) => (4, u64::from(length), 0),
            Self::Inserted => (5, 0, 0),
            Self::AlreadyThere => (6, 0, 0),
            Self::Version(value, version) => (7, u64::from(value), u64::from(version)),
            Self::WrongVersion => (8, 0, 0),
            Self::Task(task) => (9, u64::from(task), 0),
            Self::NoTask => (10, 0, 0),
            Self::AllDone => (11, 0, 0),
            Self::Fetched(times) => (12, u64::from(times), 0),
        };
        words(kind, one, two)
    }

    /// The reply that was encoded so.
    pub(super) fn decode(bytes: &[u8; 17]) -> Option<Self> {
        let (kind, one, two) = unwords(bytes);
        Some(match kind {
            0 => Self::Value(None),
            1 => Self::Value(Some(one)),
            2 => Self::Done,
            3 => Self::Taken(one),
            4 => Self::Length(one as u32),
            5 => Self::Inserted,
            6 => Self::AlreadyThere,
            7 => Self::Version(one as u32, two as u32),
            8 => Self::WrongVersion,
            9 => Self::Task(one as u32),
            10 => Self::NoTask,
            11 => Self::AllDone,
            12 => Self::Fetched(one as u32),
            _ => return None,
        })
    }
}

fn words(kind: u8, one: u64, two: u64) -> [u8; 17] {
    let mut bytes = [kind; 17];
    bytes[1..9].copy_from_slice(&one.to_le_bytes());
    bytes[9..].copy_from_slice(&two.to_le_bytes());
    bytes
}

fn unwords(bytes: &[u8; 17]) -> (u8, u64, u64) {
    let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
    (bytes[0], word(1), word(9))
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Get { key } => write!(f, "get {key}"),
            Self::Put { key, value } => write!(f, "put {key}={value}"),
            Self::Deduct { amount } => write!(f, "deduct {amount}"),
            Self::Append { key, value } => write!(f, "append {value} to {key}"),
            Self::Insert { key, value } => write!(f, "insert {key}={value}"),
            Self::GetVersion { key } => write!(f, "get {key} with its version"),
            Self::PutVersion { key, value, version } => write!(f, "put {key}={value} at version {version}"),
            Self::Take => write!(f, "take a task"),
            Self::Report { task } => write!(f, "report task {task}"),
            Self::Fetch { page } => write!(f, "fetch page {page}"),
        }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(Some(value)) => write!(f, "{value}"),
            Self::Value(None) => write!(f, "nothing"),
            Self::Done => write!(f, "done"),
            Self::Taken(taken) => write!(f, "{taken} taken"),
            Self::Length(length) => write!(f, "length {length}"),
            Self::Inserted => write!(f, "inserted"),
            Self::AlreadyThere => write!(f, "already there"),
            Self::Version(value, version) => write!(f, "{value} at version {version}"),
            Self::WrongVersion => write!(f, "wrong version"),
            Self::Task(task) => write!(f, "task {task}"),
            Self::NoTask => write!(f, "no task"),
            Self::AllDone => write!(f, "all done"),
            Self::Fetched(times) => write!(f, "fetched {times} times"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_and_replies_survive_encoding() {
        for call in [
            Call::Get { key: 7 },
            Call::Put { key: u32::MAX, value: u64::MAX },
            Call::Deduct { amount: 10 },
            Call::Append { key: 1, value: 2 },
            Call::Insert { key: 3, value: 4 },
            Call::GetVersion { key: 5 },
            Call::PutVersion { key: 6, value: u32::MAX, version: 9 },
            Call::Take,
            Call::Report { task: 8 },
            Call::Fetch { page: 9 },
        ] {
            assert_eq!(Call::decode(&call.encode()), Some(call));
        }
        for reply in [
            Reply::Value(None),
            Reply::Value(Some(u64::MAX)),
            Reply::Done,
            Reply::Taken(30),
            Reply::Length(4),
            Reply::Inserted,
            Reply::AlreadyThere,
            Reply::Version(5, 6),
            Reply::WrongVersion,
            Reply::Task(7),
            Reply::NoTask,
            Reply::AllDone,
            Reply::Fetched(8),
        ] {
            assert_eq!(Reply::decode(&reply.encode()), Some(reply));
        }
    }
}
