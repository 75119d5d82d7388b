//! What a distributed crawl is judged by: the logs of its coordinators, and what its workers fetched when.

use std::collections::{BTreeMap, VecDeque};

use check::{Judgement, Run};
use sim::{EventId, Nanos, NodeId, Process, Stamp};

use super::address::{self, Answer};
use super::frontier::{self, Entry, LOG};
use super::{CrawlMessage, DistributedNote, worker};
use crate::web::{PageId, Web};

/// Every page that can be reached is stored when the crawl has ended.
pub(super) const EVERY_PAGE: &str = "every page is stored";
/// Nothing else is stored.
pub(super) const ONLY: &str = "only pages that can be reached are stored";
/// No page is stored twice.
pub(super) const ONCE: &str = "no page is stored twice";
/// No page is fetched again and again.
pub(super) const BOUNDED: &str = "the fetches of a page are bounded";
/// A host rests between two fetches, whoever fetches.
pub(super) const RESTS: &str = "a host rests between two fetches";
/// The crawl ends, and the first coordinator knows it.
pub(super) const ENDS: &str = "the crawl ends and knows it";

/// Situation: a lease was over before its result came.
pub(super) const EXPIRED: &str = "a lease expired";
/// Situation: a coordinator found its frontier on its disk.
pub(super) const RECOVERED: &str = "a coordinator recovered its frontier";
/// Situation: a second result came for one URL.
pub(super) const DUPLICATE: &str = "a duplicate result arrived";
/// Situation: a host was down.
pub(super) const DOWN: &str = "a page was down";
/// Situation: a page had moved.
pub(super) const REDIRECTED: &str = "a redirect was followed";
/// Situation: a lease was over before the page was there.
pub(super) const ABANDONED: &str = "a fetch was given up";
/// Situation: a page was fetched more than once.
pub(super) const AGAIN: &str = "a page was fetched again";

/// Situation: a page that takes longer than a lease was stored.
pub(super) const RENEWED: &str = "a lease was renewed until its page was there";
/// Situation: a worker crashed, and another came in its place.
pub(super) const CAME_BACK: &str = "a worker went and came back";
/// Situation: a page was crawled that writes an address in a spelling of its own.
pub(super) const SPELLED: &str = "an address had another spelling";
/// Situation: more than one coordinator stored pages.
pub(super) const SPLIT: &str = "the pages were split over coordinators";
/// Situation: two fetches of a host began within a delay.
pub(super) const BURST: &str = "a host spent two tokens at once";

/// How often a page may be fetched: once, a few times while it is down, and once for each lease that the faults of the
/// first seconds can cost.
const FETCHES_MAX: usize = 24;

/// The fetches of a page, by whichever address.
type Fetches = BTreeMap<PageId, Vec<EventId>>;

/// A crawl that has ended, or has not.
pub(super) struct Crawl<'a, P: Process<Message = CrawlMessage>> {
    pub(super) run: &'a Run<'a, P>,
    pub(super) web: &'a Web,
    pub(super) coordinators: u32,
    pub(super) tokens: u32,
    pub(super) delay: Nanos,
    pub(super) rough: bool,
}

impl<P: Process<Message = CrawlMessage>> Crawl<'_, P> {
    pub(super) fn judge(&self, judgement: &mut Judgement) {
        let fetches = self.fetches();
        self.count_situations(&fetches, judgement);
        self.judge_fetches(&fetches, judgement);
        self.judge_rests(judgement);
        let mut notes = self.run.history.notes.iter();
        let ended = notes.find(|(_, note)| *note == DistributedNote::Ended).map(|(stamp, _)| *stamp);
        match ended {
            None => judgement.violated(ENDS, "the first coordinator never learnt of an end", Vec::new()),
            Some(ended) => self.judge_pages(ended, judgement),
        }
        let made: usize = fetches.values().map(Vec::len).sum();
        judgement.measured("fetches", made as u64);
        judgement.measured("fetched again", (made - fetches.len()) as u64);
    }

    fn fetches(&self) -> Fetches {
        let mut fetches = Fetches::new();
        for (stamp, note) in &self.run.history.notes {
            if let DistributedNote::Fetch { page: Some(page), .. } = note {
                fetches.entry(*page).or_default().push(stamp.id);
            }
        }
        fetches
    }

    fn judge_fetches(&self, fetches: &Fetches, judgement: &mut Judgement) {
        if let Some((page, times)) = fetches.iter().find(|(_, times)| times.len() > FETCHES_MAX) {
            let detail = format!("{} was fetched {} times", self.web.url(*page), times.len());
            judgement.violated(BOUNDED, detail, times.clone());
        }
    }

    /// Of any fetches of one host in a row, one more than it has tokens, the last begins at least a delay after the first.
    fn judge_rests(&self, judgement: &mut Judgement) {
        let mut latest: BTreeMap<&str, VecDeque<Stamp>> = BTreeMap::new();
        let mut bursts = 0;
        for (stamp, note) in &self.run.history.notes {
            let DistributedNote::Fetch { page: Some(page), url } = note else { continue };
            let host = self.web.host(*page);
            if host.is_empty() {
                continue;
            }
            let of_host = latest.entry(host).or_default();
            bursts += u64::from(of_host.back().is_some_and(|before| stamp.time - before.time < self.delay));
            of_host.push_back(*stamp);
            if of_host.len() <= self.tokens as usize {
                continue;
            }
            let Some(first) = of_host.pop_front() else { continue };
            if stamp.time - first.time < self.delay {
                let before = match self.tokens {
                    1 => "another page of its host".to_owned(),
                    tokens => format!("the first of {tokens} other pages of its host"),
                };
                let detail = format!(
                    "{url} was fetched {} us after {before}, which must rest for {} us",
                    (stamp.time - first.time) / sim::MICROS,
                    self.delay / sim::MICROS
                );
                judgement.violated(RESTS, detail, vec![first.id, stamp.id]);
                return;
            }
        }
        judgement.met(BURST, bursts);
    }

    /// Compares what is stored with a plain traversal of the graph.
    fn judge_pages(&self, ended: Stamp, judgement: &mut Judgement) {
        let Self { web, .. } = self;
        let mut stored: BTreeMap<PageId, u32> = BTreeMap::new();
        let mut have_pages = 0;
        for coordinator in (0..self.coordinators).map(NodeId) {
            let disk = self.run.world.disk(coordinator);
            let log = disk.and_then(|disk| disk.read(LOG.into())).unwrap_or_default();
            let mut has_pages = false;
            for entry in frontier::entries(log) {
                if let Entry::Done { url, page: true, .. } = entry
                    && let Answer::Page(page) = address::answer(web, &url)
                {
                    *stored.entry(page).or_default() += 1;
                    has_pages = true;
                }
            }
            have_pages += u64::from(has_pages);
        }
        judgement.met(SPLIT, u64::from(have_pages > 1));
        let slow = stored.keys().filter(|page| self.rough && worker::is_slow(**page));
        judgement.met(RENEWED, slow.count() as u64);
        if let Some((page, times)) = stored.iter().find(|(_, times)| **times > 1) {
            judgement.violated(ONCE, format!("{} is stored {times} times", web.url(*page)), vec![ended.id]);
        }
        let reachable: Vec<PageId> = web.reachable().into_iter().filter(|page| web.exists(*page)).collect();
        let lost: Vec<&PageId> = reachable.iter().filter(|page| !stored.contains_key(page)).collect();
        if let Some(page) = lost.first() {
            let detail = format!(
                "the crawl ended without {} of {} pages, for one {}",
                lost.len(),
                reachable.len(),
                web.url(**page)
            );
            judgement.violated(EVERY_PAGE, detail, vec![ended.id]);
        }
        if let Some(page) = stored.keys().find(|page| reachable.binary_search(page).is_err()) {
            let detail = format!("{} is stored, and no path of links leads to it", web.url(*page));
            judgement.violated(ONLY, detail, vec![ended.id]);
        }
        judgement.measured("pages by traversal", reachable.len() as u64);
        judgement.measured("pages stored", stored.len() as u64);
        judgement.measured_time("virtual time", ended.time);
    }

    fn count_situations(&self, fetches: &Fetches, judgement: &mut Judgement) {
        for note in self.run.history.notes() {
            let situation = match note {
                DistributedNote::Expired { .. } => EXPIRED,
                DistributedNote::Recovered { .. } => RECOVERED,
                DistributedNote::Duplicate { .. } => DUPLICATE,
                DistributedNote::Down { .. } => DOWN,
                DistributedNote::Redirected { .. } => REDIRECTED,
                DistributedNote::Abandoned { .. } => ABANDONED,
                DistributedNote::Crawl { .. } | DistributedNote::Fetch { .. } | DistributedNote::Ended => {
                    continue;
                }
            };
            judgement.met(situation, 1);
        }
        judgement.met(AGAIN, fetches.values().filter(|times| times.len() > 1).count() as u64);
        let workers = (self.coordinators..self.run.world.config().nodes).map(NodeId);
        let came_back = workers.filter(|worker| self.run.world.incarnation(*worker) > 0);
        judgement.met(CAME_BACK, came_back.count() as u64);
        if self.rough {
            let spelled = |from: &PageId| {
                self.web.links(*from).any(|to| {
                    let written = address::written(self.web, *from, to);
                    written != self.web.url(to) && address::normalised(&written) == self.web.url(to)
                })
            };
            judgement.met(SPELLED, fetches.keys().filter(|page| spelled(page)).count() as u64);
        }
    }
}
