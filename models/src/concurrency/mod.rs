//! The concurrent programs of the notes, inside one node: each in its right form, and with the mistakes that are usually
//! made. What finds them is the engine's own (races, deadlocks, leaks) or a look at what the program told.
//!
//! The programs are small enough that every interleaving of most can be explored.

mod judge;
mod programs;
mod scenarios;

use std::convert::Infallible;

use serde::Serialize;
use sim::tasks::Runtime;
use sim::{Label, Message};

pub use scenarios::{ConcurrencyScenario, ConcurrencySettings, scenarios};

/// The messages of programs that send none.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize)]
pub enum NoMessage {
    /// There is no value of this.
    #[serde(skip)]
    Never(Infallible),
}

/// What a program tells: a word for what happened, and a number.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize)]
pub struct Told {
    /// What happened.
    pub what: &'static str,
    /// To which, or how many.
    pub value: u64,
}

impl Message for NoMessage {
    type Note = Told;

    fn label(&self) -> Label {
        Label::new("none")
    }
}

/// The runtime of these programs.
pub(crate) type Rt = Runtime<NoMessage>;

/// Tells the judge.
pub(crate) fn tell(rt: &Rt, what: &'static str, value: u64) {
    rt.note(Told { what, value });
}
