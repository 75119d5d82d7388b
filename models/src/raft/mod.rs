//! A replicated service: a log that several servers agree on, a state machine that each of them runs over it, and clients
//! that look for the leader. Raft, after Diego Ongaro's dissertation *Consensus: Bridging Theory and Practice*
//! (Stanford, 2014), with elections, log repair by whole terms, durable state, commitment of the current term only,
//! snapshots, and sessions in the replicated state.
//!
//! A variant is a value ([`Variant`]): what is durable when, what is committed, what a follower checks, where
//! duplicates are recognised and how reads are answered are independent choices, and a planted bug is one wrong choice.
//!
//! Deliberately absent: changes of membership, leases, and linearizable reads that bypass the log.

mod variant;

mod client;
mod message;

mod election;
mod log;
mod machine;
mod replication;
mod server;
mod storage;

mod invariants;
mod judge;
mod matrix;
mod scenarios;
mod situations;
mod staging;

pub(crate) use matrix::expected;
pub(crate) use situations::FAIL_OVER;

pub use client::Client;
pub use log::{Command, Entry, Log, Snapshot};
pub use machine::{Execution, Machine};
pub use message::{READER, RaftMessage, RaftNote};
pub use scenarios::{RaftScenario, RaftSettings, scenarios};
pub use server::Server;
pub use variant::{Acceptance, Commitment, Durability, Reads, Sessions, Variant};
