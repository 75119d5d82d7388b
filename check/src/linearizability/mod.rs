//! Whether one copy of the data, changed by one operation at a time, could have shown clients what they saw.
//!
//! A history is a list of [`Interval`]s: what was asked, from when to when, and what was answered. It is
//! *linearizable* (Herlihy and Wing, 1990) if there is an order of its operations that agrees with a
//! [`Specification`] of the data and with time: an operation that returned before another began comes before
//! it. An operation of unknown outcome may take effect at any time after it began, or never; one that
//! certainly failed does not belong into the history. Two operations of which one returns at the very time at
//! which the other begins are concurrent.
//!
//! How [`check`] finds an order, or that there is none:
//!
//! - Operations of different keys cannot disturb each other, so each key has a search of its own:
//!   linearizability is a local property (Herlihy and Wing; for this use of it, Horn and Kroening, "Faster
//!   linearizability checking via P-compositionality", 2015). The searches take turns with growing numbers of
//!   steps, so that a hard key cannot hide what is wrong with an easy one.
//! - Where the values fix the order, there is nothing to search: [`Specification::propose`] (after Gibbons
//!   and Korach, "Testing shared memories", 1997).
//! - Else it is the search of Wing and Gong ("Testing and verifying concurrent objects", 1993) with the memo
//!   of Lowe ("Testing for linearizability", 2017), over the linked entries of Lowe and of Athalye's
//!   Porcupine (2017). See `search` for what is done about operations of unknown outcome.
//!
//! The answer follows from the history and the budget alone. It is counted in steps, not in seconds, so that
//! [`Verdict::Undecided`] is the same everywhere.
//!
//! Deliberately absent: threads, the wall clock, recursion, and any order that a hash could reach.

mod file;
mod fixed;
mod memo;
pub mod models;
mod mutant;
mod partition;
mod search;
#[cfg(test)]
mod tests;

use std::hash::Hash;

use sim::Nanos;

pub use file::{Entry, HistoryError, HistoryFile, Mistake};
use mutant::Mutant;

/// A sequential specification: what data answers that is changed by one call at a time.
pub trait Specification {
    /// What keeps operations apart: those of different keys neither see nor change the same data. `()` if
    /// there is nothing that does.
    type Key: Clone + Ord;
    /// The state of the data of one key.
    type State: Clone + Eq + Hash;
    /// What can be asked.
    type Call: PartialEq;
    /// What can be answered.
    type Reply;

    /// The key that a call is about.
    fn key(&self, call: &Self::Call) -> Self::Key;

    /// The state of a key before the first operation.
    fn initial(&self, key: &Self::Key) -> Self::State;

    /// The states that a call may lead to that was answered by `reply`: none if it cannot be answered so in
    /// this state, several if the data may choose. A reply of `None` is unknown, and agrees with every
    /// answer.
    fn apply(
        &self,
        state: &Self::State,
        call: &Self::Call,
        reply: Option<&Self::Reply>,
    ) -> impl IntoIterator<Item = Self::State>;

    /// Whether a call that was answered so leaves every state as it is, as a read does. Saying so is not
    /// needed, and saves steps: such an operation is taken as soon as it can be, and one of unknown outcome
    /// never.
    fn only_looks(&self, call: &Self::Call, reply: Option<&Self::Reply>) -> bool {
        let _ = (call, reply);
        false
    }

    /// An order of these operations of one key, by index, if their values tell enough to know it: *if any
    /// order explains them, this one does*. It must have every operation that returned, and may leave out any
    /// other. `None` if values do not tell, which is always right.
    ///
    /// The order is verified, so a wrong one can cost a false alarm, and never hides a violation.
    fn propose(
        &self,
        key: &Self::Key,
        operations: &[Seen<'_, Self::Call, Self::Reply>],
    ) -> Option<Vec<usize>> {
        let _ = (key, operations);
        None
    }
}

/// One operation of a history.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interval<C, R> {
    /// When it began.
    pub invoked: Nanos,
    /// When it ended and with what; `None` if its outcome is unknown.
    pub returned: Option<(Nanos, R)>,
    /// What was asked.
    pub call: C,
}

impl<C, R> Interval<C, R> {
    /// This operation, as a specification sees it.
    pub fn seen(&self) -> Seen<'_, C, R> {
        Seen {
            invoked: self.invoked,
            returned: self.returned.as_ref().map(|(at, _)| *at),
            call: &self.call,
            reply: self.returned.as_ref().map(|(_, reply)| reply),
        }
    }
}

/// An [`Interval`] that somebody else holds.
#[derive(PartialEq, Eq, Debug)]
pub struct Seen<'a, C, R> {
    /// When it began.
    pub invoked: Nanos,
    /// When it ended; `None` if its outcome is unknown.
    pub returned: Option<Nanos>,
    /// What was asked.
    pub call: &'a C,
    /// What was answered; `None` if its outcome is unknown.
    pub reply: Option<&'a R>,
}

// Not derived: that would ask for calls and replies that can be copied.
impl<C, R> Clone for Seen<'_, C, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C, R> Copy for Seen<'_, C, R> {}

/// The answer of a check, and what it cost.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checked<K, S> {
    /// The answer.
    pub verdict: Verdict<K, S>,
    /// How often the search tried an operation in a state. Keys whose order is fixed by values cost nothing.
    pub steps: u64,
}

/// The situation that a judge reports whose search ran out of its budget. A scenario that must hold does not if one of its
/// runs was left undecided.
pub const UNDECIDED: &str = "linearizability left undecided";

/// The answer of a check. Operations are meant by their index.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict<K, S> {
    /// Yes.
    Linearizable {
        /// An order that explains everything, over all keys. Operations of unknown outcome that did not need
        /// to take effect are left out.
        order: Vec<usize>,
    },
    /// No.
    Violated {
        /// The key whose operations no order explains. Nothing is said of the keys after it.
        key: K,
        /// The longest orders found that explain a part, with different states, at most [`PARTIALS`] and at
        /// least one.
        partials: Vec<Partial<S>>,
    },
    /// Nobody knows: the search took all the steps that it was given.
    Undecided {
        /// The keys that are left. Those of all other keys are linearizable.
        keys: Vec<K>,
    },
}

impl<K, S> Verdict<K, S> {
    /// Whether an order was found.
    pub const fn is_linearizable(&self) -> bool {
        matches!(self, Self::Linearizable { .. })
    }

    /// Whether it is certain that there is none.
    pub const fn is_violated(&self) -> bool {
        matches!(self, Self::Violated { .. })
    }
}

/// How many of the longest orders a violation shows.
pub const PARTIALS: usize = 3;

/// An order that explains a part of the operations of one key, and does not go on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Partial<S> {
    /// The order, by index.
    pub order: Vec<usize>,
    /// The state it leads to.
    pub state: S,
    /// The operations that returned and that could come next by their time, by index: one of them would have
    /// to, and each is refused by the state, or leads to an order that is no longer.
    pub blocked: Vec<usize>,
}

/// What [`check`] answers for a specification.
pub type CheckedBy<S> = Checked<<S as Specification>::Key, <S as Specification>::State>;

/// Searches for an order in which the operations could have taken effect, with at most `budget` steps.
///
/// A step tries one operation in one state. A thousand operations of five clients usually cost a few
/// thousand.
///
/// ```
/// use snowglobe_check::linearizability::models::{Ask, Call, Model, Reply, Value};
/// use snowglobe_check::linearizability::{Interval, check};
///
/// let write = Interval { invoked: 0, returned: Some((1, Reply::Done)), call: Call::of(Ask::Write(Value::Integer(7))) };
/// let read = |value| Interval { invoked: 2, returned: Some((3, Reply::Read(value))), call: Call::of(Ask::Read) };
///
/// let register = Model::Register.specification();
/// assert!(check(&register, &[write.clone(), read(Value::Integer(7))], 1_000).verdict.is_linearizable());
/// assert!(check(&register, &[write, read(Value::Nothing)], 1_000).verdict.is_violated());
/// ```
pub fn check<S: Specification>(
    specification: &S,
    operations: &[Interval<S::Call, S::Reply>],
    budget: u64,
) -> CheckedBy<S> {
    partition::check(specification, operations, budget, Mutant::None)
}
