//! What a crawl is judged by.

use std::collections::BTreeMap;

use check::{History, Judgement};
use sim::{EventId, Nanos};

use super::CrawlNote;
use super::gate::{AT_ONCE, BURST, DELAY};
use crate::web::{PageId, Web};

/// Every page that can be reached is fetched before the crawl returns.
pub(super) const EVERY_PAGE: &str = "every page is fetched";
/// No page is fetched twice.
pub(super) const NO_PAGE_TWICE: &str = "no page is fetched twice";
/// A serial crawler fetches one page at a time.
pub(super) const ONE_AT_A_TIME: &str = "one fetch at a time";
/// The crawl returns.
pub(super) const RETURNS: &str = "the crawl returns";

/// No more fetches go on at once than are allowed.
pub(super) const FEW_AT_ONCE: &str = "at most two fetches at once";
/// No more fetches of one host go on at once than are allowed.
pub(super) const FEW_PER_HOST: &str = "at most two fetches of a host at once";
/// A host rests between two fetches.
pub(super) const RESTS: &str = "a host rests between two fetches";
/// A host is fetched from no faster than its bucket of tokens fills.
pub(super) const BUCKET: &str = "a host's bucket of tokens is never overdrawn";

/// Situation: as many fetches went on at once as are allowed.
pub(super) const AT_LIMIT: &str = "two fetches went on at once";
/// Situation: as many fetches of one host went on at once as are allowed.
pub(super) const HOST_AT_LIMIT: &str = "two fetches of a host went on at once";
/// Situation: a fetch began as soon as its host allowed.
pub(super) const AS_SOON: &str = "a fetch began the moment its host had rested";
/// Situation: a whole burst of fetches began at once.
pub(super) const BURSTS: &str = "a bucket was emptied at once";
/// Situation: fetches overlapped.
pub(super) const OVERLAPPED: &str = "two fetches overlapped";
/// Situation: a page that does not exist was fetched.
pub(super) const MISSING: &str = "a page did not exist";

/// A limit that a crawl must keep.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Limit {
    /// One fetch at a time.
    OneAtATime,
    /// Few fetches at a time.
    AtOnce,
    /// Few fetches of one host at a time, and a rest between them.
    Host,
    /// Only a rest between two fetches of one host.
    Rest,
    /// A bucket of tokens for each host.
    Bucket,
}

/// What a crawl did.
#[derive(Debug)]
pub(super) struct Crawl {
    fetches: BTreeMap<PageId, Vec<EventId>>,
    fetched: BTreeMap<PageId, EventId>,
    missing: u64,
    /// Where each fetch begins (true) or ends, in the order of time.
    spans: Vec<(Nanos, EventId, PageId, bool)>,
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
            spans: Vec::new(),
            overlap: None,
            done: history.operations.first().and_then(|operation| operation.end.as_ref()).map(|end| end.id),
        };
        let mut under_way = 0;
        for (stamp, note) in &history.notes {
            match note {
                CrawlNote::Fetch { page, .. } => {
                    crawl.spans.push((stamp.time, stamp.id, *page, true));
                    under_way += 1;
                    if under_way > 1 {
                        crawl.overlap.get_or_insert(stamp.id);
                    }
                    crawl.fetches.entry(*page).or_default().push(stamp.id);
                }
                CrawlNote::Fetched { page, links } => {
                    crawl.spans.push((stamp.time, stamp.id, *page, false));
                    under_way -= 1;
                    crawl.missing += u64::from(links.is_none());
                    crawl.fetched.insert(*page, stamp.id);
                }
                CrawlNote::Crawl { .. } | CrawlNote::Done => {}
            }
        }
        crawl
    }

    pub(super) fn judge(&self, web: &Web, reachable: usize, limits: &[Limit], judgement: &mut Judgement) {
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
        for limit in limits {
            match limit {
                Limit::OneAtATime => {
                    if let Some(overlap) = self.overlap {
                        let detail = "a fetch began while another was under way";
                        judgement.violated(ONE_AT_A_TIME, detail, vec![overlap]);
                    }
                }
                Limit::AtOnce => self.judge_at_once(|_| "", FEW_AT_ONCE, AT_LIMIT, judgement),
                Limit::Host => {
                    self.judge_at_once(|page| web.host(page), FEW_PER_HOST, HOST_AT_LIMIT, judgement);
                    self.judge_pace(web, 1, RESTS, AS_SOON, judgement);
                }
                Limit::Rest => self.judge_pace(web, 1, RESTS, AS_SOON, judgement),
                Limit::Bucket => self.judge_pace(web, BURST, BUCKET, BURSTS, judgement),
            }
        }
    }

    /// Counts the fetches that go on at once, apart for each name that a page has.
    fn judge_at_once<'w>(
        &self,
        name: impl Fn(PageId) -> &'w str,
        property: &str,
        situation: &'static str,
        judgement: &mut Judgement,
    ) {
        let mut under_way: BTreeMap<&str, usize> = BTreeMap::new();
        let mut peak = (0, EventId::ROOT, "");
        for &(_, id, page, begins) in &self.spans {
            let count = under_way.entry(name(page)).or_default();
            *count = if begins { *count + 1 } else { *count - 1 };
            if *count > peak.0 {
                peak = (*count, id, name(page));
            }
        }
        let (peak, id, host) = peak;
        judgement.met(situation, u64::from(peak == AT_ONCE));
        if peak > AT_ONCE {
            let of = if host.is_empty() { String::new() } else { format!(" of {host}") };
            let detail = format!("{peak} fetches{of} went on at once, and {AT_ONCE} are allowed");
            judgement.violated(property, detail, vec![id]);
        }
    }

    /// Of any `burst + 1` fetches of one host in a row, the last begins at least a delay for each token that it had to
    /// wait for after the first: what a bucket of `burst` tokens allows. A burst of 1 is a rest between any two.
    fn judge_pace(
        &self,
        web: &Web,
        burst: u64,
        property: &str,
        situation: &'static str,
        judgement: &mut Judgement,
    ) {
        // The time at which the bucket would be full again.
        let mut full_at: BTreeMap<&str, Nanos> = BTreeMap::new();
        let mut met = 0;
        for &(at, id, page, _) in self.spans.iter().filter(|span| span.3) {
            let host = web.host(page);
            let full = full_at.entry(host).or_default();
            let ahead = (burst - 1) * DELAY;
            met += u64::from(*full > 0 && *full == at + ahead);
            if *full > at + ahead {
                let detail = format!(
                    "a fetch of {host} began {} us before the host was ready for it",
                    (*full - at - ahead) / sim::MICROS
                );
                judgement.violated(property, detail, vec![id]);
                return;
            }
            *full = (*full).max(at) + DELAY;
        }
        judgement.met(situation, met);
    }
}
