//! The services behind the calls: a key/value store, an account, a list that is appended to. One state machine, so that one
//! server can offer them all.

use std::collections::BTreeMap;

use serde::Serialize;

/// What can be called.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Call {
    /// The value of a key.
    Get {
        /// The key.
        key: u32,
    },
    /// Sets a key.
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
}

/// What a call returns.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Reply {
    /// A key's value, if it has one.
    Value(Option<u64>),
    /// It is done.
    Done,
    /// How much has been taken from the account by now, this call included.
    Taken(u64),
    /// How long the list was before.
    Length(u32),
}

/// The state behind the calls.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Service {
    values: BTreeMap<u32, u64>,
    lists: BTreeMap<u32, Vec<u64>>,
    taken: u64,
}

impl Service {
    /// An empty one.
    pub const fn new() -> Self {
        Self { values: BTreeMap::new(), lists: BTreeMap::new(), taken: 0 }
    }

    /// Executes a call.
    pub fn execute(&mut self, call: Call) -> Reply {
        match call {
            Call::Get { key } => Reply::Value(self.values.get(&key).copied()),
            Call::Put { key, value } => {
                self.values.insert(key, value);
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
        }
    }

    /// How much was taken from the account in all.
    pub const fn taken(&self) -> u64 {
        self.taken
    }
}

impl Call {
    /// The call in 17 bytes, for a record on disk.
    pub(super) fn encode(self) -> [u8; 17] {
        let (kind, key, value) = match self {
            Self::Get { key } => (0, key, 0),
            Self::Put { key, value } => (1, key, value),
            Self::Deduct { amount } => (2, 0, amount),
            Self::Append { key, value } => (3, key, value),
        };
        let mut bytes = [0; 17];
        bytes[0] = kind;
        bytes[1..9].copy_from_slice(&u64::from(key).to_le_bytes());
        bytes[9..].copy_from_slice(&value.to_le_bytes());
        bytes
    }

    /// The call that was encoded so.
    pub(super) fn decode(bytes: &[u8; 17]) -> Option<Self> {
        let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        let (key, value) = (u32::try_from(word(1)).ok()?, word(9));
        Some(match bytes[0] {
            0 => Self::Get { key },
            1 => Self::Put { key, value },
            2 => Self::Deduct { amount: value },
            3 => Self::Append { key, value },
            _ => return None,
        })
    }
}
