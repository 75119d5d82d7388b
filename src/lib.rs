//! Snowglobe: a whole cluster in a glass ball. Shake it with a seed, and it snows the same way every time.
//!
//! A protocol is ordinary Rust: a [`Process`](sim::Process) with handlers for messages and timers, or [`sim::tasks`] that
//! read like a Go program. It runs in a [`World`](sim::World) whose network loses, duplicates, delays and reorders, whose
//! machines crash and restart, whose disks lose what was not synced and whose clocks drift. All of that follows from one
//! 64-bit seed. A [`Scenario`](check::Scenario) asks a question about it; [`cli::main`] gives a
//! [`Catalogue`](check::Catalogue) of scenarios the same command line as Snowglobe's own.
//!
//! The parts: [`sim`] is the engine, [`traces`] what it writes down, [`check`] what judges it, [`models`] the
//! protocols that come with it. `examples/counter.rs` is a protocol of one's own, from message to verdict.

pub mod cli;
pub mod prop;

pub use check;
pub use models;
pub use serde;
pub use serde_json;
pub use sim;
pub use traces;

/// The messages of a protocol, each with the word by which traces call it: an enum that is a [`Message`](sim::Message)
/// without notes.
///
/// ```
/// use snowglobe::prelude::*;
///
/// messages! {
///     /// What a client and a lamp say to each other.
///     pub enum Msg {
///         Switch { on: bool } = "switch",
///         Done = "done",
///     }
/// }
///
/// assert_eq!(Msg::Switch { on: true }.label(), Label::new("switch"));
/// ```
///
/// Messages that tell the judges something, or that are damaged on the way, implement [`Message`](sim::Message) themselves.
#[macro_export]
macro_rules! messages {
    (
        $(#[$meta:meta])*
        $visible:vis enum $name:ident {
            $($(#[$of_variant:meta])* $variant:ident $({ $($field:ident: $type:ty),+ $(,)? })? = $word:literal),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, Hash, Debug, $crate::serde::Serialize)]
        #[serde(crate = "snowglobe::serde")]
        #[allow(missing_docs)]
        $visible enum $name {
            $($(#[$of_variant])* $variant $({ $($field: $type),+ })?),+
        }

        impl $crate::sim::Message for $name {
            type Note = ();

            fn label(&self) -> $crate::sim::Label {
                $crate::sim::Label::new(match self {
                    $(Self::$variant { .. } => $word),+
                })
            }
        }
    };
}

/// What a protocol and its scenario need.
pub mod prelude {
    pub use std::process::ExitCode;

    pub use crate::messages;

    pub use check::{Catalogue, Expected, Judgement, Run, Scenario, Setup};
    pub use models::networks::NetworkName;
    pub use serde::{Deserialize, Serialize};
    pub use sim::{
        Config, Context, Delay, Either, Fault, FaultPlan, FaultRates, Label, Limits, Link, MICROS, MILLIS,
        Message, Nanos, Network, NodeId, OpId, Process, Ratio, SECONDS, Status, SyncError, World, tasks,
    };
}
