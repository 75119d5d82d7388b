//! The workloads that the benchmarks time, once per way of writing them.
//!
//! Each module has the same five functions (`ping`, `lossy_rpc`, `ring`, `gossip`, `short_runs`) with the same signatures.
//! Each returns how many events it handled: a delivered message or a fired timer is one event; a start, a lost
//! message and a cancelled timer are none. Each asserts that its work was done, and handles the same events
//! every time for the same arguments. What all of them must agree on is fixed here.
//!
//! Deliberately absent: clocks and statistics, which belong to the benchmarks, and workloads that one of the
//! modules cannot express.

pub(crate) mod bare;
pub(crate) mod handlers;
pub(crate) mod plain;
pub(crate) mod tasks;

/// The shortest journey of a message, in nanoseconds.
pub(crate) const DELAY_MIN: u64 = 1_000_000;
/// The longest journey of a message, in nanoseconds.
pub(crate) const DELAY_MAX: u64 = 10_000_000;

/// How many clients call the one server in `lossy_rpc`.
pub(crate) const CLIENTS: u32 = 16;
/// How long a client in `lossy_rpc` waits for a reply before it asks again, in nanoseconds.
pub(crate) const TIMEOUT: u64 = 50_000_000;
/// How many of a hundred messages are lost in `lossy_rpc`.
pub(crate) const LOSS_PERCENT: u32 = 10;
/// How many of a hundred messages that are not lost arrive twice in `lossy_rpc`.
pub(crate) const DUPLICATION_PERCENT: u32 = 10;

/// How many nodes one simulation of `short_runs` has.
pub(crate) const SHORT_NODES: u32 = 3;
/// How many messages one simulation of `short_runs` delivers.
pub(crate) const SHORT_MESSAGES: u64 = 100;
