//! What can be chosen in a replicated service. The right choices are [`Variant::RIGHT`]; a planted bug is one wrong
//! choice.

use sim::{MILLIS, Nanos};

use crate::rpc::Retry;

/// What a server makes durable before it answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durability {
    /// Term, vote and log: nothing that rests on them leaves the server before they are synced.
    Synced,
    /// The same, but a vote is answered before it is synced: after a crash the server may vote again in that term.
    VoteAnsweredFirst,
    /// The same, but entries are acknowledged before they are synced: a crash takes entries back that count as
    /// replicated.
    EntriesAnsweredFirst,
    /// Nothing is written: a server that restarts is a new one under an old name.
    Nothing,
}

/// Which entries a leader commits by counting replicas.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Commitment {
    /// Those of its own term, and all before them with them (section 3.6.2 of the dissertation).
    CurrentTerm,
    /// Any: Figure 3.7 of the dissertation (Figure 8 of the paper) shows how such an entry is lost.
    AnyTerm,
}

/// What a follower does with the entries of a leader.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Acceptance {
    /// It takes them if it has the entry before them, and removes entries of its own only where they conflict.
    Consistent,
    /// It does not look at the term of the entry before them.
    Unchecked,
    /// It removes everything behind that entry first: an old message takes back what a later one brought.
    Truncating,
}

/// Where calls that were executed already are recognised.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sessions {
    /// When an entry is applied, by a table that is part of the replicated state and of its snapshots.
    Replicated,
    /// The same, but snapshots leave the table out.
    NotInSnapshots,
    /// By the replicated table, but only when a request arrives, and not when its entry is applied.
    AtArrival,
    /// When a request arrives, by a table that the leader keeps to itself, with a mark for calls in progress.
    LeaderOnly,
    /// Nowhere.
    None,
}

/// How a call that changes nothing is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reads {
    /// As every other: through the log.
    Logged,
    /// By whoever takes itself for the leader, from its state.
    Local,
}

/// A replicated service: what its servers and clients do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Variant {
    /// What is durable when.
    pub durability: Durability,
    /// What is committed by counting.
    pub commitment: Commitment,
    /// What a follower checks.
    pub acceptance: Acceptance,
    /// Where duplicates are recognised.
    pub sessions: Sessions,
    /// How reads are answered.
    pub reads: Reads,
    /// When a client sends again.
    pub retry: Retry,
    /// How long it waits before that.
    pub client_timeout: Nanos,
    /// Whether a new leader appends an empty entry, so that what older terms left is committed with it. Safe either way;
    /// without it, old entries wait for the next call.
    pub empty_entry: bool,
    /// How many entries one message carries at most.
    pub batch: usize,
    /// After how many applied entries the log is compacted; 0 for never.
    pub compact_every: u64,
    /// The shortest election timeout; the longest is twice that.
    pub election_timeout: Nanos,
    /// How often a leader that has nothing to say says so.
    pub heartbeat: Nanos,
}

impl Variant {
    /// The right choice everywhere: exactly once, as long as a majority of the servers comes back.
    pub const RIGHT: Self = Self {
        durability: Durability::Synced,
        commitment: Commitment::CurrentTerm,
        acceptance: Acceptance::Consistent,
        sessions: Sessions::Replicated,
        reads: Reads::Logged,
        retry: Retry::Forever,
        client_timeout: 150 * MILLIS,
        empty_entry: true,
        batch: 8,
        compact_every: 6,
        election_timeout: 150 * MILLIS,
        heartbeat: 50 * MILLIS,
    };
}
