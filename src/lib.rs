//! Snowglobe: a whole cluster in a glass ball. Shake it with a seed, and it snows the same way every time.
//!
//! A protocol is ordinary Rust: a [`Process`] with handlers for messages and timers, or [`tasks`] that read like a
//! Go program. It runs in a [`World`] whose network loses, duplicates, delays and reorders, whose machines crash
//! and restart, whose disks lose what was not synced and whose clocks drift. All of that follows from one 64-bit
//! seed. A [`Scenario`] asks a question about it; [`cli::main`] gives a [`Catalogue`] of scenarios the same command
//! line as Snowglobe's own.
//!
//! The parts: [`sim`] is the engine, [`traces`] what it writes down, [`check`] what judges it, [`models`] the
//! protocols that come with it.

pub mod cli;

pub use check;
pub use models;
pub use sim;
pub use traces;

pub use check::{Catalogue, Expected, Judgement, Run, Scenario, Setup};
pub use sim::{
    Config, Context, Delay, Fault, FaultPlan, FaultRates, Label, Link, Message, MICROS, MILLIS, Nanos, Network, NodeId,
    Process, Ratio, SECONDS, Status, World, tasks,
};
