//! The engine of Snowglobe: a world of nodes, a network, disks, clocks and faults, in which everything
//! that happens follows from one 64-bit seed.
//!
//! A [`World`] is a value with one transition, [`World::fire`]. A protocol is a [`Process`]: handlers that
//! see a [`Context`] and record [`Effect`]s in it; the world applies them in order, in one place. Every event
//! has an [`EventId`] that follows from its cause, and every random decision about it is a function of the
//! seed, that id and a [`Purpose`]: taking one message out of a run moves nobody else's dice.
//!
//! Deliberately absent: threads, the wall clock, files, floats, hash-ordered containers, serde, text made on
//! the way, and any protocol.

mod clock;
mod context;
mod delay;
mod dice;
mod digest;
mod disk;
mod effect;
mod fault;
mod id;
mod message;
mod network;
mod observe;
mod overrides;
mod process;
mod queue;
mod schedule;
mod stream;
pub mod tasks;
mod time;
mod world;

pub use clock::Clock;
pub use context::Context;
pub use delay::Delay;
pub use dice::{DICE_SCHEME, Dice, EventDice, Purpose, Ratio};
pub use digest::Digest;
pub use disk::{Disk, SyncError};
pub use effect::{Effect, OpId, Status};
pub use fault::{Fault, FaultCounts, FaultPlan, FaultRates};
pub use id::{EventId, ID_SCHEME, Label, NodeId};
pub use message::Message;
pub use network::{Corruption, Fate, Link, Network};
pub use observe::{DiskAction, DropReason, Observer, Record, Stamp, TaskAction};
pub use overrides::{Decision, Otherwise, Overrides};
pub use process::{Either, Process};
pub use schedule::{Priorities, Schedule, Touch, Watch};
pub use stream::{ConnectionId, StreamEvent};
pub use time::{MICROS, MILLIS, Nanos, SECONDS};
pub use world::{Candidate, Config, Ending, Limits, RateKind, Violation, World};
