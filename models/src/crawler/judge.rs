//! What a crawl is judged by.

use std::collections::BTreeMap;

use check::{History, Judgement};
use sim::EventId;

use super::CrawlNote;
use crate::web::{PageId, Web};

/// Every page that can be reached is fetched before the crawl returns.
pub(super) const EVERY_PAGE: &str = "every page is fetched";
/// No page is fetched twice.
pub(super) const NO_PAGE_TWICE: &str = "no page is fetched twice";
/// A serial crawler fetches one page at a time.
pub(super) const ONE_AT_A_TIME: &str = "one fetch at a time";
/// The crawl returns.
pub(super) const RETURNS: &str = "the crawl returns";

/// Situation: fetches overlapped.
pub(super) const OVERLAPPED: &str = "two fetches overlapped";
/// Situation: a page that does not exist was fetched.
pub(super) const MISSING: &str = "a page did not exist";

/// What a crawl did.
#[derive(Debug)]
pub(super) struct Crawl {
    fetches: BTreeMap<PageId, Vec<EventId>>,
    fetched: BTreeMap<PageId, EventId>,
    missing: u64,
    /// The event at which a second fetch was under way.
    overlap: Option<EventId>,
    done: Option<EventId>,
}

impl Crawl {
    pub(super) fn of(history: &History<CrawlNote>) -> Self {
        let mut crawl = Self {
            fetches: BTreeMap::new(),
            fetched: BTreeMap::new(),
            missing: 0,
            overlap: None,
            done: history.operations.first().and_then(|operation| operation.end.as_ref()).map(|end| end.id),
        };
        let mut under_way = 0;
        for (stamp, note) in &history.notes {
            match note {
                CrawlNote::Fetch { page, .. } => {
                    under_way += 1;
                    if under_way > 1 {
                        crawl.overlap.get_or_insert(stamp.id);
                    }
                    crawl.fetches.entry(*page).or_default().push(stamp.id);
                }
                CrawlNote::Fetched { page, links } => {
                    under_way -= 1;
                    crawl.missing += u64::from(links.is_none());
                    crawl.fetched.insert(*page, stamp.id);
                }
                CrawlNote::Crawl { .. } | CrawlNote::Done => {}
            }
        }
        crawl
    }

    pub(super) fn judge(&self, web: &Web, reachable: usize, one_at_a_time: bool, judgement: &mut Judgement) {
        judgement.met(OVERLAPPED, u64::from(self.overlap.is_some()));
        judgement.met(MISSING, self.missing);
        let Some(done) = self.done else {
            judgement.violated(RETURNS, "the crawl did not return", Vec::new());
            return;
        };
        if self.fetched.len() < reachable {
            let never = web.reachable().into_iter().find(|page| !self.fetched.contains_key(page));
            let example = never.map_or_else(String::new, |page| format!(", for one {}", web.url(page)));
            let detail = format!(
                "the crawl returned with {} of {reachable} pages fetched; it never fetched {}{example}",
                self.fetched.len(),
                reachable - self.fetched.len()
            );
            judgement.violated(EVERY_PAGE, detail, vec![done]);
        }
        if let Some((page, times)) = self.fetches.iter().find(|(_, times)| times.len() > 1) {
            let detail = format!("{} was fetched {} times", web.url(*page), times.len());
            judgement.violated(NO_PAGE_TWICE, detail, times.clone());
        }
        if let Some(overlap) = self.overlap.filter(|_| one_at_a_time) {
            judgement.violated(ONE_AT_A_TIME, "a fetch began while another was under way", vec![overlap]);
        }
    }
}
