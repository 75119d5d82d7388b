//! The choices that make up a semantics of remote procedure calls. Each is independent of the others and has a name; a
//! planted bug is a right scheme with one choice made wrong.

use sim::{MILLIS, Nanos};

/// When a client's stub sends a request again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Retry {
    /// Best effort: so many tries in all, and then an error. With one try, "maybe".
    Tries(u32),
    /// Best effort: tries for so long by the client's own clock, and then an error.
    Within(Nanos),
    /// At least once: for ever.
    Forever,
}

/// What lies over the stub, and calls it again when it has given up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OuterRetry {
    /// Nothing: the application is told.
    None,
    /// A layer that calls again, with the identifier of the first time.
    SameXid,
    /// A bug: a layer that calls again, and each time mints an identifier anew.
    FreshXid,
}

/// How a request says which call it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Identity {
    /// The client, which life of it, and a number it has not used in this life; the same in every resend.
    PerCall,
    /// A bug: a fresh number each time it is sent.
    PerAttempt,
    /// A bug: the client and a number, which begins at 1 again when the client restarts.
    WithoutLife,
    /// A bug: a number that every client counts for itself.
    WithoutClient,
    /// A bug if the bits are few: the client is a random number of so many bits, at most 32.
    RandomClient {
        /// How many bits.
        bits: u32,
    },
    /// A bug: a hash of what is called, so that a call made twice is one.
    Content,
    /// A bug: a hash of what is called and of the time at which it is sent.
    ContentAndTime,
}

/// What a client and its server agree on before the first call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Binding {
    /// Nothing.
    None,
    /// The server's incarnation: a call that is bound to an older one is refused.
    Incarnation,
    /// A session that the server opens, in whose name the client calls: a call of a session that the server does not
    /// know is refused.
    Session,
}

/// What the server does with a request it has seen before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Duplicates {
    /// It does not notice: every request is executed.
    Execute,
    /// A bug: it remembers finished calls, but has no mark for a call that is still executing, and executes it twice.
    RememberFinished,
    /// It remembers, and a duplicate of a call that is still executing waits for its reply too.
    Wait,
    /// It remembers, and ignores a duplicate of a call that is still executing: another resend will find the reply.
    Ignore,
}

/// Which calls are deduplicated at all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Covers {
    /// All.
    Everything,
    /// All that change something.
    AllButReads,
    /// A bug: all but puts, which look as if they could be repeated.
    AllButPuts,
}

/// What a duplicate of a finished call is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// The reply of the first execution.
    First,
    /// A bug: what the state says now.
    Current,
    /// A bug: a reply that nobody filled in.
    Empty,
}

/// How long the server remembers a finished call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Retention {
    /// For ever.
    Forever,
    /// Until the client says that it needs it no more: each request says up to which number.
    Unacknowledged(Acknowledge),
    /// Until the client's next call.
    Latest,
    /// For so long by the server's clock.
    For(Nanos),
}

/// Up to which number a client says that it needs no replies any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Acknowledge {
    /// Up to the first call that is not over.
    Prefix,
    /// A bug: up to the greatest number that is over, whatever is missing below it.
    Maximum,
}

/// What meets a request of which the server could know that it has forgotten it, if it ever knew it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Forgotten {
    /// It is refused, and never executed.
    Refuse,
    /// A bug, unless nothing so old can arrive: it is taken for new.
    Execute,
}

/// What a server keeps over a crash.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Persistence {
    /// Nothing.
    Nothing,
    /// The data, but not which calls it has seen.
    DataOnly,
    /// A bug: first the data, and when they are durable, that it has seen the call.
    DataFirst,
    /// A bug: first that it has seen the call, and when that is durable, the data.
    TableFirst,
    /// Both, in one record.
    Together,
}

/// When the server replies to a call of which it has written something to its disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Replies {
    /// When what it wrote is durable.
    AfterSync,
    /// A bug: at once.
    BeforeSync,
}

/// How requests and replies travel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    /// As datagrams, which may be lost, repeated and late.
    Datagrams,
    /// On one connection of each client, as with Go's `net/rpc`: written once, and an error when the connection breaks.
    Connection,
}

/// A semantics of remote procedure calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Scheme {
    /// When a client sends again.
    pub retry: Retry,
    /// How long it waits before that.
    pub timeout: Nanos,
    /// What calls again when the stub gives up.
    pub outer: OuterRetry,
    /// How many calls a client has under way at most; with more than one it pipelines.
    pub window: u32,
    /// How requests are told apart.
    pub identity: Identity,
    /// What is agreed on before the first call.
    pub binding: Binding,
    /// What the server does with duplicates.
    pub duplicates: Duplicates,
    /// Which calls are deduplicated.
    pub covers: Covers,
    /// What a duplicate of a finished call is answered.
    pub answer: Answer,
    /// How long a finished call is remembered.
    pub retention: Retention,
    /// For how long a silent client is remembered, by the server's clock; for ever if `None`. A session ends with it.
    pub lease: Option<Nanos>,
    /// What meets a request that may have been forgotten.
    pub forgotten: Forgotten,
    /// What the server keeps over a crash.
    pub persistence: Persistence,
    /// When it replies.
    pub replies: Replies,
    /// How messages travel.
    pub transport: Transport,
    /// How long the service takes to execute a call.
    pub execution: Nanos,
}

impl Scheme {
    /// Retries for ever, and a server that deduplicates and survives: exactly once, as far as anybody can tell.
    pub const EXACTLY_ONCE: Self = Self {
        retry: Retry::Forever,
        timeout: 50 * MILLIS,
        outer: OuterRetry::None,
        window: 1,
        identity: Identity::PerCall,
        binding: Binding::None,
        duplicates: Duplicates::Wait,
        covers: Covers::Everything,
        answer: Answer::First,
        retention: Retention::Forever,
        lease: None,
        forgotten: Forgotten::Refuse,
        persistence: Persistence::Together,
        replies: Replies::AfterSync,
        transport: Transport::Datagrams,
        execution: 0,
    };

    /// Retries for ever, and a server that notices nothing.
    pub const AT_LEAST_ONCE: Self =
        Self { duplicates: Duplicates::Execute, persistence: Persistence::DataOnly, ..Self::EXACTLY_ONCE };

    /// One try, and a server that notices nothing.
    pub const MAYBE: Self = Self { retry: Retry::Tries(1), ..Self::AT_LEAST_ONCE };

    /// The published design of RIFL (Lee et al., "Implementing linearizability at large scale and low latency", SOSP
    /// 2015): a durable completion record in one with the update, kept until the client's first incomplete call is
    /// beyond it, and clients with leases. Its clients pipeline.
    pub const RIFL: Self = Self {
        window: 4,
        binding: Binding::Session,
        retention: Retention::Unacknowledged(Acknowledge::Prefix),
        lease: Some(500 * MILLIS),
        ..Self::EXACTLY_ONCE
    };
}
