//! What a distributed crawl is judged by: the logs of its coordinators, and what its workers fetched when.

use std::collections::BTreeMap;

use check::{Judgement, Run};
use sim::{EventId, Nanos, Process};

use super::address::{self, Answer};
use super::frontier::{self, Entry, LOG};
use super::{CrawlMessage, DistributedNote};
use crate::web::{PageId, Web};

/// Every page that can be reached is stored when the crawl has ended.
pub(super) const EVERY_PAGE: &str = "every page is stored";
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

/// How often a page may be fetched: once, a few times while it is down, and once for each lease that the faults of the
/// first seconds can cost.
const FETCHES_MAX: usize = 24;

/// The fetches of a page, by whichever address.
type Fetches = BTreeMap<PageId, Vec<EventId>>;

pub(super) fn judge<P: Process<Message = CrawlMessage>>(
    run: &Run<'_, P>,
    web: &Web,
    coordinators: u32,
    delay: Nanos,
    judgement: &mut Judgement,
) {
    count_situations(run, judgement);
    let fetches = fetches(run);
    judgement.met(AGAIN, fetches.values().filter(|times| times.len() > 1).count() as u64);
    judge_fetches(&fetches, web, judgement);
    judge_rests(run, web, delay, judgement);
    let ended = run.history.notes.iter().find(|(_, note)| *note == DistributedNote::Ended);
    match ended {
        None => judgement.violated(ENDS, "the first coordinator never learnt of an end", Vec::new()),
        Some((stamp, _)) => judge_pages(run, web, coordinators, stamp.id, judgement),
    }
}

fn fetches<P: Process<Message = CrawlMessage>>(run: &Run<'_, P>) -> Fetches {
    let mut fetches = Fetches::new();
    for (stamp, note) in &run.history.notes {
        if let DistributedNote::Fetch { page: Some(page), .. } = note {
            fetches.entry(*page).or_default().push(stamp.id);
        }
    }
    fetches
}

fn judge_fetches(fetches: &Fetches, web: &Web, judgement: &mut Judgement) {
    if let Some((page, times)) = fetches.iter().find(|(_, times)| times.len() > FETCHES_MAX) {
        let detail = format!("{} was fetched {} times", web.url(*page), times.len());
        judgement.violated(BOUNDED, detail, times.clone());
    }
}

fn judge_rests<P: Process<Message = CrawlMessage>>(
    run: &Run<'_, P>,
    web: &Web,
    delay: Nanos,
    judgement: &mut Judgement,
) {
    let mut last: BTreeMap<&str, (Nanos, EventId)> = BTreeMap::new();
    for (stamp, note) in &run.history.notes {
        let DistributedNote::Fetch { page: Some(page), url } = note else { continue };
        let host = web.host(*page);
        if let Some((before, id)) = last.insert(host, (stamp.time, stamp.id))
            && stamp.time - before < delay
        {
            let detail = format!(
                "{url} was fetched {} us after another page of its host, which must rest for {} us",
                (stamp.time - before) / sim::MICROS,
                delay / sim::MICROS
            );
            judgement.violated(RESTS, detail, vec![id, stamp.id]);
            return;
        }
    }
}

fn judge_pages<P: Process<Message = CrawlMessage>>(
    run: &Run<'_, P>,
    web: &Web,
    coordinators: u32,
    ended: EventId,
    judgement: &mut Judgement,
) {
    let mut stored: BTreeMap<PageId, u32> = BTreeMap::new();
    for coordinator in (0..coordinators).map(sim::NodeId) {
        let log = run.world.disk(coordinator).and_then(|disk| disk.read(LOG.into())).unwrap_or_default();
        for entry in frontier::entries(log) {
            if let Entry::Done { url, page: true, .. } = entry
                && let Answer::Page(page) = address::answer(web, &url)
            {
                *stored.entry(page).or_default() += 1;
            }
        }
    }
    if let Some((page, times)) = stored.iter().find(|(_, times)| **times > 1) {
        judgement.violated(ONCE, format!("{} is stored {times} times", web.url(*page)), vec![ended]);
    }
    let lost: Vec<PageId> =
        web.reachable().into_iter().filter(|page| web.exists(*page) && !stored.contains_key(page)).collect();
    if let Some(page) = lost.first() {
        let detail = format!(
            "the crawl ended without {} of {} pages, for one {}",
            lost.len(),
            lost.len() + stored.len(),
            web.url(*page)
        );
        judgement.violated(EVERY_PAGE, detail, vec![ended]);
    }
}

fn count_situations<P: Process<Message = CrawlMessage>>(run: &Run<'_, P>, judgement: &mut Judgement) {
    for note in run.history.notes() {
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
}
