//! What a distributed crawl is judged by: the logs of its coordinators, and what its workers fetched when.

use std::collections::{BTreeMap, VecDeque};

use check::{Judgement, Run};
use sim::{EventId, MILLIS, Nanos, NodeId, Process, Stamp};

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
/// The fetches of a host that are under way are no more than it has tokens.
pub(super) const FEW_PER_HOST: &str = "no more fetches of a host at once than it has tokens";
/// Of many workers that failed together, not all try again together.
pub(super) const HERD: &str = "those who failed together do not try again together";
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

/// Situation: a host with several tokens had as many fetches under way.
pub(super) const AT_LIMIT: &str = "a host had as many fetches under way as tokens";
/// Situation: most workers asked in vain at one moment.
pub(super) const FAILED_TOGETHER: &str = "most workers asked in vain at one moment";

/// So close together is at one moment.
const MOMENT: Nanos = MILLIS;
/// Fewer workers than this are no herd.
const HERD_MIN: usize = 8;

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
        self.judge_at_once(judgement);
        self.judge_herd(judgement);
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

    /// Counts the fetches of a host that are under way at once.
    fn judge_at_once(&self, judgement: &mut Judgement) {
        if self.delay == 0 {
            return;
        }
        // What a worker is fetching. It fetches one page at a time; a fetch that its crash ended is not counted.
        let mut fetching: BTreeMap<NodeId, (&str, Stamp)> = BTreeMap::new();
        // By host: when which fetch ended (false) or began (true). Of those at one time the ends come first.
        let mut spans: BTreeMap<&str, Vec<(Nanos, bool, EventId)>> = BTreeMap::new();
        for (stamp, note) in &self.run.history.notes {
            match note {
                DistributedNote::Fetch { page, .. } => {
                    fetching.remove(&stamp.node);
                    let host = page.map_or("", |page| self.web.host(page));
                    if !host.is_empty() {
                        fetching.insert(stamp.node, (host, *stamp));
                    }
                }
                DistributedNote::Fetched { since, .. } | DistributedNote::Abandoned { since, .. } => {
                    let Some((host, began)) = fetching.remove(&stamp.node) else { continue };
                    // By the worker's own clock, which drifts.
                    let ended = stamp.time.saturating_sub(*since);
                    if ended > began.time {
                        let span = [(began.time, true, began.id), (ended, false, began.id)];
                        spans.entry(host).or_default().extend(span);
                    }
                }
                _ => {}
            }
        }
        let mut at_limit = 0;
        for (host, spans) in &mut spans {
            spans.sort_unstable();
            let mut under_way = Vec::new();
            for &(_, begins, id) in spans.iter() {
                if !begins {
                    under_way.retain(|fetch| *fetch != id);
                    continue;
                }
                under_way.push(id);
                at_limit += u64::from(self.tokens > 1 && under_way.len() == self.tokens as usize);
                if under_way.len() > self.tokens as usize {
                    let (count, tokens) = (under_way.len(), self.tokens);
                    let detail =
                        format!("{count} fetches of {host} went on at once, and it has tokens for {tokens}");
                    judgement.violated(FEW_PER_HOST, detail, under_way);
                    return;
                }
            }
        }
        judgement.met(AT_LIMIT, at_limit);
    }

    /// Looks for moments at which more than three quarters of all workers did the same.
    fn judge_herd(&self, judgement: &mut Judgement) {
        let workers = (self.run.world.config().nodes - self.coordinators) as usize;
        if workers < HERD_MIN {
            return;
        }
        let notes = &self.run.history.notes;
        let moment = |what: DistributedNote| {
            let all: Vec<Stamp> =
                notes.iter().filter(|(_, note)| *note == what).map(|(stamp, _)| *stamp).collect();
            let mut windows = all.windows(workers * 3 / 4 + 1);
            let together = windows.find(|window| window[window.len() - 1].time - window[0].time <= MOMENT);
            together.map(<[Stamp]>::to_vec)
        };
        judgement.met(FAILED_TOGETHER, u64::from(moment(DistributedNote::Unanswered).is_some()));
        if let Some(together) = moment(DistributedNote::AskedAgain) {
            let detail = format!(
                "{} of {workers} workers asked again within a millisecond after they had asked in vain",
                together.len()
            );
            judgement.violated(HERD, detail, together.into_iter().map(|stamp| stamp.id).collect());
        }
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
                DistributedNote::Crawl { .. }
                | DistributedNote::Fetch { .. }
                | DistributedNote::Fetched { .. }
                | DistributedNote::Unanswered
                | DistributedNote::AskedAgain
                | DistributedNote::Ended => continue,
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
