//! The choices that make up a semantics of remote procedure calls.

use sim::{MILLIS, Nanos};

/// When a client sends a request again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Retry {
    /// Best effort: so many tries in all, and then an error. With one try, "maybe".
    Tries(u32),
    /// At least once: for ever.
    Forever,
}

/// How a request says which call it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Identity {
    /// One identifier a call, the same in every resend.
    PerCall,
    /// A bug: a fresh identifier each time it is sent.
    PerAttempt,
}

/// What the server does with a request it has seen before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Duplicates {
    /// It does not notice: every request is executed.
    Execute,
    /// It remembers finished calls and answers a duplicate with the first reply, but has no mark for a call that is
    /// still executing, and executes it twice.
    RememberFinished,
    /// It remembers, and a duplicate of a call that is still executing waits for its reply too.
    Wait,
    /// It remembers, and ignores a duplicate of a call that is still executing: another resend will find the reply.
    Ignore,
}

/// What a server keeps over a crash.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Persistence {
    /// Nothing.
    Nothing,
    /// The data, but not which calls it has seen.
    DataOnly,
    /// Both, in one record that is synced before the reply is sent.
    Together,
}

/// A semantics of remote procedure calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Scheme {
    /// When a client sends again.
    pub retry: Retry,
    /// How long it waits before that.
    pub timeout: Nanos,
    /// How requests are told apart.
    pub identity: Identity,
    /// What the server does with duplicates.
    pub duplicates: Duplicates,
    /// Whether calls that change nothing are deduplicated too.
    pub deduplicate_reads: bool,
    /// What the server keeps over a crash.
    pub persistence: Persistence,
    /// How long the service takes to execute a call.
    pub execution: Nanos,
}

impl Scheme {
    /// Retries for ever, and a server that deduplicates and survives: exactly once, as far as anybody can tell.
    pub const EXACTLY_ONCE: Self = Self {
        retry: Retry::Forever,
        timeout: 50 * MILLIS,
        identity: Identity::PerCall,
        duplicates: Duplicates::Wait,
        deduplicate_reads: true,
        persistence: Persistence::Together,
        execution: 0,
    };

    /// Retries for ever, and a server that notices nothing.
    pub const AT_LEAST_ONCE: Self =
        Self { duplicates: Duplicates::Execute, persistence: Persistence::DataOnly, ..Self::EXACTLY_ONCE };
}
