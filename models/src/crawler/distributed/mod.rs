//! C9: a crawler of many machines. Coordinators own the URLs, workers fetch.
//!
//! - The URLs are split over the coordinators by consistent hashing of their host, so that one coordinator sees
//!   everything that happens to a host (`address`).
//! - A worker asks for work and gets a URL on lease. It renews the lease while it fetches, and starts nothing on a lease
//!   that may be over. A lease that is over goes to another worker (`worker`).
//! - A coordinator keeps what it knows in a log, and says so only when the log is durable: to the worker whose page it
//!   keeps, to the coordinator that found a URL. It knows no lease after a crash, and waits until the old ones are
//!   over (`coordinator`, `frontier`).
//! - The crawl has ended when all coordinators were idle in two rounds of questions and knew as many URLs in the second as
//!   in the first (`coordinator`).
//!
//! Each of these is a choice in a `Scheme`, and each wrong one is a planted bug.
//!
//! A host has a bucket of tokens, by default one. A lease takes one, which comes back when the host has rested after the end
//! of the lease. So no more fetches of a host than tokens go on at once, and no more begin within a rest, whenever in its
//! lease a fetch begins.
//!
//! Deliberately absent: robots.txt, and pages that change.

mod address;
mod coordinator;
mod frontier;
mod judge;
mod scenarios;
mod scheme;
mod worker;

use serde::Serialize;
use sim::{Label, Message, Nanos};

use crate::web::PageId;

pub use scenarios::{DistributedScenario, DistributedSettings, scenarios};

/// An address as text.
pub(crate) type Url = String;

/// What came of a fetch.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// A page, with its links as they are written in it.
    Page {
        /// The links.
        links: Vec<Url>,
    },
    /// There is no page.
    Missing,
    /// The page has another address.
    Moved {
        /// Which.
        to: Url,
    },
    /// The host could not answer now.
    Down,
}

/// What coordinators and workers say to each other.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CrawlMessage {
    /// A worker asks for work.
    Ask {
        /// The number of the question, so that an old answer is known.
        ask: u64,
    },
    /// A URL to fetch.
    Lease {
        /// The question.
        ask: u64,
        /// The lease.
        lease: u64,
        /// What to fetch.
        url: Url,
    },
    /// There is nothing to do now.
    Nothing {
        /// The question.
        ask: u64,
    },
    /// The worker still fetches.
    Renew {
        /// The lease.
        lease: u64,
        /// When this was sent, by the worker's clock.
        sent: Nanos,
    },
    /// The lease holds for another span, counted from when the renewal was sent.
    Renewed {
        /// The lease.
        lease: u64,
        /// When the renewal was sent.
        sent: Nanos,
    },
    /// A worker has fetched.
    Result {
        /// The lease.
        lease: u64,
        /// What was fetched.
        url: Url,
        /// What came of it.
        outcome: Outcome,
    },
    /// The result is kept.
    Kept {
        /// The lease.
        lease: u64,
    },
    /// A coordinator found URLs that another owns.
    Found {
        /// The number of the batch.
        batch: u64,
        /// The URLs.
        urls: Vec<Url>,
    },
    /// The URLs are in the other's frontier.
    Taken {
        /// The batch.
        batch: u64,
    },
    /// Is anything left to do?
    Probe {
        /// The round of questions.
        round: u64,
    },
    /// What is left to do.
    State {
        /// The round.
        round: u64,
        /// Whether there is nothing.
        idle: bool,
        /// How many URLs the coordinator knows.
        known: u64,
    },
    /// The crawl has ended.
    Stop,
    /// A coordinator knows it.
    Stopped,
}

impl Message for CrawlMessage {
    type Note = DistributedNote;

    fn label(&self) -> Label {
        match self {
            Self::Ask { .. } => Label::new("ask"),
            Self::Lease { .. } => Label::new("lease"),
            Self::Nothing { .. } => Label::new("nothing"),
            Self::Renew { .. } => Label::new("renew"),
            Self::Renewed { .. } => Label::new("renewed"),
            Self::Result { .. } => Label::new("result"),
            Self::Kept { .. } => Label::new("kept"),
            Self::Found { batch, .. } => Label::keyed("found", *batch),
            Self::Taken { batch } => Label::keyed("taken", *batch),
            Self::Probe { .. } => Label::new("probe"),
            Self::State { .. } => Label::new("state"),
            Self::Stop => Label::new("stop"),
            Self::Stopped => Label::new("stopped"),
        }
    }
}

/// What the judges are told.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DistributedNote {
    /// The crawl begins here, or goes on after a crash of the first coordinator.
    Crawl {
        /// Where.
        url: Url,
    },
    /// A worker fetches.
    Fetch {
        /// The page that the host will answer with.
        page: Option<PageId>,
        /// The address.
        url: Url,
    },
    /// A fetch was answered with another address.
    Redirected {
        /// Which.
        to: Url,
    },
    /// A fetch found its host down.
    Down {
        /// The address.
        url: Url,
    },
    /// A fetch ended with an answer.
    Fetched {
        /// The address.
        url: Url,
        /// How long ago: a worker that is paused finds it late.
        since: Nanos,
    },
    /// A worker gave a fetch up because its lease was over.
    Abandoned {
        /// The address.
        url: Url,
        /// For how long it had been over.
        since: Nanos,
    },
    /// A worker asked for work and heard nothing.
    Unanswered,
    /// It asks again, after a pause.
    AskedAgain,
    /// A lease was over, and its URL is free for another worker.
    Expired {
        /// The address.
        url: Url,
    },
    /// A result arrived for a URL that has one.
    Duplicate {
        /// The address.
        url: Url,
    },
    /// A coordinator came back and found so many URLs in its log.
    Recovered {
        /// How many.
        known: u64,
    },
    /// The crawl has ended, and the first coordinator knows it.
    Ended,
}
