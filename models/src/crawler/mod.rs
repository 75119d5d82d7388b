//! Web crawlers inside one node, written with tasks so that they read like the Go programs of the lecture: serial, with a
//! lock, with channels, and with the mistakes that are usually made.
//!
//! [`remote`] fetches by remote procedure call, and [`distributed`] is a crawler of many machines.
//!
//! A fetch takes a random time and is told to the judges. The web is the lecture's, a generated one, one in a JSON file, or
//! a real directory of HTML pages.

pub mod distributed;
mod gate;
mod judge;
mod programs;
pub mod remote;
mod scenarios;

use std::convert::Infallible;

use serde::Serialize;
use sim::tasks::Runtime;
use sim::{Label, MILLIS, Message};

use crate::web::{PageId, Web};

pub use scenarios::{CrawlerScenario, CrawlerSettings, WebSource, scenarios};

/// The messages of programs that send none.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize)]
pub enum NoMessage {
    /// There is no value of this.
    #[serde(skip)]
    Never(Infallible),
}

impl Message for NoMessage {
    type Note = CrawlNote;

    fn label(&self) -> Label {
        Label::new("none")
    }
}

/// What the judges are told.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CrawlNote {
    /// The crawl begins here.
    Crawl {
        /// Where.
        url: String,
    },
    /// A page is being fetched.
    Fetch {
        /// Its number in the web.
        page: PageId,
        /// Its URL.
        url: String,
    },
    /// A page was fetched.
    Fetched {
        /// Its number in the web.
        page: PageId,
        /// How many links it has; `None` if it does not exist.
        links: Option<u32>,
    },
    /// The crawl returned.
    Done,
}

/// A crawler's view of its node and of the web. Cheap to clone, like the pointer it would be in Go.
#[derive(Clone)]
pub(crate) struct Crawler {
    pub(crate) rt: Runtime<NoMessage>,
    web: Web,
}

impl Crawler {
    /// Fetches a page: its links, or `None` if it does not exist. Takes 1 to 20 ms.
    pub(crate) async fn fetch(&self, page: PageId) -> Option<Vec<PageId>> {
        self.rt.anchor(("fetch", u64::from(page.0)));
        self.rt.note(CrawlNote::Fetch { page, url: self.web.url(page).to_owned() });
        let span = MILLIS + self.rt.random_below(19 * MILLIS);
        self.rt.sleep(span).await;
        let links = self.web.exists(page).then(|| self.web.links(page).collect::<Vec<_>>());
        self.rt.note(CrawlNote::Fetched { page, links: links.as_ref().map(|links| links.len() as u32) });
        links
    }

    /// A place where Go's scheduler may take the processor away: mostly for a moment, sometimes for as long as a fetch or
    /// two.
    pub(crate) async fn preempt(&self) {
        if self.rt.random_below(4) == 0 {
            let span = self.rt.random_below(50 * MILLIS);
            self.rt.sleep(span).await;
        } else {
            self.rt.yield_now().await;
        }
    }
}
