//! Data that histories are often about: a register, one with compare-and-set, a key/value store, a counter, a
//! bank, and a key/value store with versions.
//!
//! All have the calls, replies and values of this module, so that a history from a file can be judged by any
//! of them; each [`Model`] [accepts](Model::accepts) some of the calls. A key is a part of each call but
//! those of a bank, and a history without keys is one about a single key.

mod bank;
mod counter;
mod epochs;
mod key_value;
mod register;
mod value;
mod versioned;

use std::collections::BTreeMap;
use std::fmt;

use super::{Seen, Specification};

pub use value::Value;

/// A call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Call {
    /// What it is about; [`Value::Nothing`] if there is one thing only.
    pub key: Value,
    /// What is asked.
    pub ask: Ask,
}

impl Call {
    /// A call where there is one thing only.
    pub const fn of(ask: Ask) -> Self {
        Self { key: Value::Nothing, ask }
    }
}

/// What is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ask {
    /// The value; of a bank without a key, every balance.
    Read,
    /// Sets the value.
    Write(Value),
    /// Sets the value to the second if it is the first.
    CompareAndSet(Value, Value),
    /// Adds to the end of a list or text. Of nothing, a text makes a text, and anything else a list.
    Append(Value),
    /// Adds to a number, and returns nothing.
    Add(i64),
    /// Adds to a number, and returns the sum.
    AddAndGet(i64),
    /// Sets the value if its version is this one; that makes it the next version.
    WriteVersion(u64, Value),
    /// Moves money from one account to another, unless there is too little.
    Transfer {
        /// The account it is taken from.
        from: Value,
        /// The account it is put into.
        to: Value,
        /// How much: not negative.
        amount: i64,
    },
    /// Puts money into an account; takes it out if it is negative, unless there is too little.
    Deposit {
        /// The account.
        account: Value,
        /// How much.
        amount: i64,
    },
}

/// What is answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply {
    /// It is done.
    Done,
    /// It is not done: another value, another version, or too little money. Unlike an operation that failed,
    /// this says something about the state.
    Refused,
    /// The value or the sum.
    Read(Value),
    /// The version; of a read, with the value.
    Version(u64, Option<Value>),
    /// Every balance.
    Balances(BTreeMap<Value, i64>),
}

/// The state of one key.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum State {
    /// A value.
    Value(Value),
    /// A value and its version.
    Version(u64, Value),
    /// Every balance.
    Balances(BTreeMap<Value, i64>),
}

/// Which data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Model {
    /// A value for each key that is read and written.
    Register,
    /// A register with compare-and-set.
    CasRegister,
    /// A value for each key that is read, written, compared and set, and appended to.
    KeyValue,
    /// A number for each key that is read and added to. Before the first operation it is 0.
    Counter,
    /// Accounts with balances that are never negative. Before the first operation they are 0.
    Bank,
    /// A value for each key with a version that each write makes one greater. Before the first operation it
    /// is 0.
    Versioned,
}

impl Model {
    /// All models.
    pub const ALL: [Self; 6] =
        [Self::Register, Self::CasRegister, Self::KeyValue, Self::Counter, Self::Bank, Self::Versioned];

    /// The name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::CasRegister => "cas-register",
            Self::KeyValue => "kv",
            Self::Counter => "counter",
            Self::Bank => "bank",
            Self::Versioned => "versioned-kv",
        }
    }

    /// The model of this name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|model| model.name() == name)
    }

    /// The names of its calls in a file.
    pub const fn functions(self) -> &'static [&'static str] {
        match self {
            Self::Register => &["read", "write"],
            Self::CasRegister | Self::Versioned => &["read", "write", "cas"],
            Self::KeyValue => &["read", "write", "cas", "append"],
            Self::Counter => &["read", "add", "add-and-get"],
            Self::Bank => &["read", "transfer", "deposit"],
        }
    }

    /// Whether this can be asked.
    pub const fn accepts(self, ask: &Ask) -> bool {
        match ask {
            Ask::Read => true,
            Ask::Write(_) => {
                matches!(self, Self::Register | Self::CasRegister | Self::KeyValue | Self::Versioned)
            }
            Ask::CompareAndSet(..) => matches!(self, Self::CasRegister | Self::KeyValue),
            Ask::Append(_) => matches!(self, Self::KeyValue),
            Ask::Add(_) | Ask::AddAndGet(_) => matches!(self, Self::Counter),
            Ask::WriteVersion(..) => matches!(self, Self::Versioned),
            Ask::Transfer { .. } | Ask::Deposit { .. } => matches!(self, Self::Bank),
        }
    }

    /// This model, with nothing in it.
    pub const fn specification(self) -> ModelSpecification {
        ModelSpecification { model: self, initial: None }
    }

    /// The state before the first operation.
    pub fn empty(self) -> State {
        match self {
            Self::Register | Self::CasRegister | Self::KeyValue => State::Value(Value::Nothing),
            Self::Counter => State::Value(Value::Integer(0)),
            Self::Bank => State::Balances(BTreeMap::new()),
            Self::Versioned => State::Version(0, Value::Nothing),
        }
    }
}

/// A [`Model`] that begins somewhere.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ModelSpecification {
    /// Which data.
    pub model: Model,
    /// The state of each key before the first operation, unless it is [empty](Model::empty).
    pub initial: Option<State>,
}

impl Specification for ModelSpecification {
    type Key = Value;
    type State = State;
    type Call = Call;
    type Reply = Reply;

    fn key(&self, call: &Call) -> Value {
        match self.model {
            Model::Bank => Value::Nothing,
            _ => call.key.clone(),
        }
    }

    fn initial(&self, _: &Value) -> State {
        self.initial.clone().unwrap_or_else(|| self.model.empty())
    }

    fn apply(&self, state: &State, call: &Call, reply: Option<&Reply>) -> impl IntoIterator<Item = State> {
        match (self.model, state) {
            (Model::Register | Model::CasRegister, State::Value(value)) => {
                register::apply(value, &call.ask, reply)
            }
            (Model::KeyValue, State::Value(value)) => key_value::apply(value, &call.ask, reply),
            (Model::Counter, State::Value(value)) => counter::apply(value, &call.ask, reply),
            (Model::Bank, State::Balances(balances)) => bank::apply(balances, call, reply),
            (Model::Versioned, State::Version(version, value)) => {
                versioned::apply(*version, value, &call.ask, reply)
            }
            _ => None,
        }
    }

    fn only_looks(&self, call: &Call, reply: Option<&Reply>) -> bool {
        call.ask == Ask::Read || reply == Some(&Reply::Refused)
    }

    fn propose(&self, key: &Value, operations: &[Seen<'_, Call, Reply>]) -> Option<Vec<usize>> {
        match (self.model, self.initial(key)) {
            (Model::Register | Model::CasRegister | Model::KeyValue, State::Value(initial)) => {
                epochs::propose(&initial, operations)
            }
            _ => None,
        }
    }
}

/// Whether an answer of "done" or "refused" is right; an unknown one is.
fn agrees(reply: Option<&Reply>, done: bool) -> bool {
    match reply {
        None => true,
        Some(Reply::Done) => done,
        Some(Reply::Refused) => !done,
        Some(_) => false,
    }
}

/// The state after a read.
fn read(value: &Value, reply: Option<&Reply>) -> Option<State> {
    let right = match reply {
        None => true,
        Some(Reply::Read(read)) => read == value,
        Some(_) => false,
    };
    right.then(|| State::Value(value.clone()))
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.ask {
            Ask::Read => write!(f, "read")?,
            Ask::Write(value) => write!(f, "write {value}")?,
            Ask::CompareAndSet(old, new) => write!(f, "cas {old} to {new}")?,
            Ask::Append(value) => write!(f, "append {value}")?,
            Ask::Add(number) => write!(f, "add {number}")?,
            Ask::AddAndGet(number) => write!(f, "add-and-get {number}")?,
            Ask::WriteVersion(version, value) => write!(f, "cas version {version} to {value}")?,
            Ask::Transfer { from, to, amount } => write!(f, "transfer {amount} from {from} to {to}")?,
            Ask::Deposit { account, amount } => write!(f, "deposit {amount} into {account}")?,
        }
        match &self.key {
            Value::Nothing => Ok(()),
            key => write!(f, " (key {key})"),
        }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => write!(f, "done"),
            Self::Refused => write!(f, "refused"),
            Self::Read(value) => write!(f, "{value}"),
            Self::Version(version, None) => write!(f, "version {version}"),
            Self::Version(version, Some(value)) => write!(f, "{value} in version {version}"),
            Self::Balances(balances) => write_balances(f, balances),
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => write!(f, "{value}"),
            Self::Version(version, value) => write!(f, "{value} in version {version}"),
            Self::Balances(balances) => write_balances(f, balances),
        }
    }
}

fn write_balances(f: &mut fmt::Formatter<'_>, balances: &BTreeMap<Value, i64>) -> fmt::Result {
    let accounts: Vec<String> =
        balances.iter().map(|(account, balance)| format!("{account}: {balance}")).collect();
    write!(f, "{{{}}}", accounts.join(", "))
}
