//! The choices that a distributed crawler makes. The right ones make [`Scheme::RIGHT`]; every other is a planted bug.

use sim::{MILLIS, Nanos};

/// How long a lease holds.
pub(super) const LEASE: Nanos = 300 * MILLIS;
/// By how much earlier than its coordinator a worker takes a lease for over: for clocks that drift.
pub(super) const MARGIN: Nanos = 50 * MILLIS;
/// How often a worker renews a lease.
pub(super) const HEARTBEAT: Nanos = 80 * MILLIS;
/// How long a worker waits for an answer.
pub(super) const ANSWER: Nanos = 60 * MILLIS;
/// The first pause before something is tried again. It doubles with each try, up to [`PAUSE_MAX`].
pub(super) const PAUSE: Nanos = 40 * MILLIS;
/// The longest pause.
pub(super) const PAUSE_MAX: Nanos = 400 * MILLIS;

/// What a worker does about its lease while it fetches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Renewal {
    /// It sends heartbeats.
    Heartbeats,
    /// Nothing: a page that takes longer than a lease is never fetched to its end.
    Never,
}

/// Which leases a worker accepts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Acceptance {
    /// The answer to its last question, while it surely holds.
    Fresh,
    /// Any, however long it was on its way.
    Any,
}

/// What a coordinator does with a second result for a URL.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Results {
    /// The first wins.
    FirstWins,
    /// It stores that too.
    All,
}

/// What a coordinator keeps over a crash, and when it says so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Keeping {
    /// The frontier and the pages, and it confirms what is durable.
    Everything,
    /// The pages; the frontier is in memory.
    PagesOnly,
    /// Both, but it confirms before they are durable.
    ConfirmedTooSoon,
}

/// When the first coordinator takes the crawl for over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Termination {
    /// When all were idle in two rounds, and knew as many URLs in the second as in the first.
    TwoRounds,
    /// When all were idle in one round, each at another time.
    OneRound,
    /// When no frontier holds a URL that nobody fetches: what is being fetched is forgotten.
    FrontierOnly,
}

/// What a URL is known by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Spelling {
    /// The one spelling that all of an address have in common.
    Normal,
    /// As it is written in the page.
    AsWritten,
}

/// Which coordinator owns a URL.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Partitioning {
    /// The one whose place on the ring follows that of the host.
    ByHost,
    /// The one whose place follows that of the URL: a host has several coordinators that do not know of each other.
    ByUrl,
}

/// What becomes of a page whose host is down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum WhenDown {
    /// It is fetched again, with longer and longer pauses.
    Retried,
    /// It is fetched again as soon as its host has rested.
    RetriedAtOnce,
    /// It is taken for missing.
    TakenForMissing,
}

/// What becomes of the address to which a page has moved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Redirects {
    /// It is a link.
    Followed,
    /// It is ignored.
    Ignored,
}

/// When a host gets the token of a fetch back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refill {
    /// When it has rested since the lease ended: nobody knows when in the lease the fetch began.
    AfterLease,
    /// When it has rested since the lease was given, although the lease may still be on its way.
    AfterGrant,
}

/// How long one waits before one tries again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Pauses {
    /// Half of each pause is up to the dice, so that those who failed together do not try again together.
    Jittered,
    /// All pauses are alike.
    Alike,
}

/// What becomes of a worker that left without a word, and of what it had on lease.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Leaving {
    /// Its lease ends, and whoever comes in its place is a worker like any other.
    LeaseEnds,
    /// Its lease never ends.
    LeaseForEver,
    /// Its lease ends, but who has not said what came of a lease is given no other.
    BusyForEver,
}

/// How the crawl is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Scheme {
    pub(super) renewal: Renewal,
    pub(super) acceptance: Acceptance,
    pub(super) results: Results,
    pub(super) keeping: Keeping,
    pub(super) termination: Termination,
    pub(super) spelling: Spelling,
    pub(super) partitioning: Partitioning,
    pub(super) when_down: WhenDown,
    pub(super) redirects: Redirects,
    pub(super) refill: Refill,
    pub(super) pauses: Pauses,
    pub(super) leaving: Leaving,
    /// How many tokens a host has: so many fetches of it go on at once, and so many begin within a delay.
    pub(super) tokens: u32,
    /// How long a host rests before a token comes back; with 0, any number of fetches go on at once.
    pub(super) delay: Nanos,
    pub(super) coordinators: u32,
}

impl Scheme {
    pub(super) const RIGHT: Self = Self {
        renewal: Renewal::Heartbeats,
        acceptance: Acceptance::Fresh,
        results: Results::FirstWins,
        keeping: Keeping::Everything,
        termination: Termination::TwoRounds,
        spelling: Spelling::Normal,
        partitioning: Partitioning::ByHost,
        when_down: WhenDown::Retried,
        redirects: Redirects::Followed,
        refill: Refill::AfterLease,
        pauses: Pauses::Jittered,
        leaving: Leaving::LeaseEnds,
        tokens: 1,
        delay: 30 * MILLIS,
        coordinators: 2,
    };

    /// The pause before a thing is tried for the `tries`th time again; `die` is anything below 2^32.
    pub(super) fn pause(self, tries: u32, die: u64) -> Nanos {
        let longest = (PAUSE << tries.min(8)).min(PAUSE_MAX);
        match self.pauses {
            Pauses::Jittered => longest / 2 + ((longest / 2 * die) >> 32),
            Pauses::Alike => longest,
        }
    }
}
