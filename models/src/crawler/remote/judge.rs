//! What a crawl through a server is judged by: what the server fetched when, and what the crawler learnt.

use std::collections::BTreeMap;

use check::{History, Judgement, Operation};
use sim::{EventId, Nanos, Stamp};

use crate::rpc::{Call, Note, Scheme, Tag};
use crate::web::{PageId, Web};

/// Every page that can be reached is fetched before the crawl is over.
pub(super) const EVERY_PAGE: &str = "every page is fetched";
/// No page is fetched twice.
pub(super) const ONCE: &str = "no page is fetched twice";
/// A host rests between two fetches, whoever asked for them.
pub(super) const RESTS: &str = "a host rests between two fetches";
/// The crawl comes to an end.
pub(super) const ENDS: &str = "the crawl is over";

/// Situation: the crawler asked again.
pub(super) const RESENT: &str = "a fetch was asked for again and acknowledged";
/// Situation: the server was asked for a fetch that it had made.
pub(super) const RECOGNISED: &str = "a repeated call was recognised";
/// Situation: the server was asked for a fetch that it was making.
pub(super) const IN_PROGRESS: &str = "a repeated call met its original still fetching";
/// Situation: the crawler gave a page up.
pub(super) const GAVE_UP: &str = "a page was given up";
/// Situation: the crawler gave a page up that the server fetched.
pub(super) const FETCHED_ALL_THE_SAME: &str = "a page was given up and fetched all the same";
/// Situation: fetches overlapped.
pub(super) const OVERLAPPED: &str = "pages of two hosts were fetched at once";

/// What the server did and the crawler learnt.
pub(super) struct Crawl<'a> {
    web: &'a Web,
    /// Which page each call asked for.
    asked: BTreeMap<Tag, PageId>,
    fetches: Vec<(Stamp, PageId)>,
    given_up: Vec<PageId>,
}

impl<'a> Crawl<'a> {
    pub(super) fn new(web: &'a Web, history: &History<Note>) -> Self {
        let asked: BTreeMap<Tag, PageId> = history
            .operations
            .iter()
            .filter_map(|operation| match operation.call {
                Note::Call { tag, call: Call::Fetch { page } } => Some((tag, PageId(page))),
                _ => None,
            })
            .collect();
        let fetches = history.notes.iter().filter_map(|(stamp, note)| match note {
            Note::Executed(tag) => Some((*stamp, *asked.get(tag)?)),
            _ => None,
        });
        let fetches = fetches.collect();
        let gave_up =
            history.operations.iter().filter(|operation| operation.end.is_some() && operation.is_unknown());
        let given_up = gave_up.filter_map(|operation| match operation.call {
            Note::Call { call: Call::Fetch { page }, .. } => Some(PageId(page)),
            _ => None,
        });
        Self { web, given_up: given_up.collect(), asked, fetches }
    }

    pub(super) fn judge_every_page(&self, last: EventId, judgement: &mut Judgement) {
        let fetched = |page: &PageId| self.fetches.iter().any(|(_, fetched)| fetched == page);
        let reachable = self.web.reachable();
        let never: Vec<&PageId> = reachable.iter().filter(|page| !fetched(page)).collect();
        if let Some(page) = never.first() {
            let url = self.web.url(**page);
            let detail =
                format!("{} of {} pages were never fetched, for one {url}", never.len(), reachable.len());
            judgement.violated(EVERY_PAGE, detail, vec![last]);
        }
    }

    pub(super) fn judge_once(&self, judgement: &mut Judgement) {
        let mut times: BTreeMap<PageId, Vec<EventId>> = BTreeMap::new();
        for (stamp, page) in &self.fetches {
            times.entry(*page).or_default().push(stamp.id);
        }
        if let Some((page, events)) = times.into_iter().find(|(_, events)| events.len() > 1) {
            let detail = format!(
                "{} was fetched {} times; the crawl made {} fetches of {} pages",
                self.web.url(page),
                events.len(),
                self.fetches.len(),
                self.asked.len()
            );
            judgement.violated(ONCE, detail, events);
        }
    }

    pub(super) fn judge_rests(&self, rest: Nanos, judgement: &mut Judgement) {
        let mut last: BTreeMap<&str, Stamp> = BTreeMap::new();
        for (stamp, page) in &self.fetches {
            let host = self.web.host(*page);
            let Some(before) = last.insert(host, *stamp) else { continue };
            if stamp.time - before.time < rest {
                let detail = format!(
                    "{} was fetched {} us after another fetch from its host, which must rest for {} us",
                    self.web.url(*page),
                    (stamp.time - before.time) / sim::MICROS,
                    rest / sim::MICROS
                );
                return judgement.violated(RESTS, detail, vec![before.id, stamp.id]);
            }
        }
    }

    pub(super) fn count_situations(
        &self,
        history: &History<Note>,
        scheme: &Scheme,
        judgement: &mut Judgement,
    ) {
        for note in history.notes() {
            match note {
                Note::Recognised(_) => judgement.met(RECOGNISED, 1),
                Note::InProgress(_) => judgement.met(IN_PROGRESS, 1),
                _ => {}
            }
        }
        let acknowledged = |operation: &&Operation<Note>| {
            let end = operation.end.as_ref().filter(|_| operation.acknowledged().is_some());
            end.is_some_and(|end| end.at - operation.invoked > scheme.timeout)
        };
        judgement.met(RESENT, history.operations.iter().filter(acknowledged).count() as u64);
        judgement.met(GAVE_UP, self.given_up.len() as u64);
        let fetched = self.given_up.iter().filter(|page| self.fetches.iter().any(|(_, of)| of == *page));
        judgement.met(FETCHED_ALL_THE_SAME, fetched.count() as u64);
        let overlap = |pair: &&[(Stamp, PageId)]| {
            pair[1].0.time - pair[0].0.time < scheme.execution
                && self.web.host(pair[0].1) != self.web.host(pair[1].1)
        };
        judgement.met(OVERLAPPED, self.fetches.windows(2).filter(overlap).count() as u64);
    }
}
