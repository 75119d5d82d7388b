//! A worker: it asks for a URL, fetches it while it holds the lease, and reports until its report is kept.

use sim::tasks::Runtime;
use sim::{MICROS, MILLIS, Nanos, NodeId};

use super::address::{self, Answer};
use super::scheme::{ANSWER, Acceptance, HEARTBEAT, LEASE, MARGIN, Renewal, Scheme};
use super::{CrawlMessage, DistributedNote, Outcome, Url};
use crate::web::{PageId, Web};

/// How often a report is sent before the lease is left to expire.
const REPORTS: u32 = 8;
/// How long a page that is down is down, from the beginning of the world.
const DOWN: Nanos = 1_500 * MILLIS;

/// The web as workers find it.
#[derive(Clone, Debug)]
pub(super) struct Weather {
    pub(super) web: Web,
    /// Whether some pages take longer than a lease, some are down for a while, and links are written in every way
    /// there is.
    pub(super) rough: bool,
}

pub(super) struct Worker {
    rt: Runtime<CrawlMessage>,
    scheme: Scheme,
    weather: Weather,
    /// The number of the last question; those of an earlier life are others.
    last_ask: u64,
}

/// What a worker got for its question.
enum Got {
    Work(Lease),
    Nothing,
    NoAnswer,
    Stop,
}

struct Lease {
    coordinator: NodeId,
    id: u64,
    url: Url,
    /// When the worker takes it for over.
    until: Nanos,
}

impl Worker {
    pub(super) async fn run(rt: Runtime<CrawlMessage>, scheme: Scheme, weather: Weather) {
        let last_ask = u64::from(rt.incarnation()) << 32;
        let mut worker = Self { rt, scheme, weather, last_ask };
        let mut in_vain = 0;
        for turn in worker.rt.node().0.. {
            let coordinator = NodeId(turn % scheme.coordinators);
            match worker.ask(coordinator).await {
                Got::Work(lease) => {
                    in_vain = 0;
                    if worker.work(lease).await.is_none() {
                        return;
                    }
                }
                got @ (Got::Nothing | Got::NoAnswer) => {
                    let unanswered = matches!(got, Got::NoAnswer);
                    if unanswered {
                        worker.rt.note(DistributedNote::Unanswered);
                    }
                    in_vain += 1;
                    if in_vain % scheme.coordinators == 0 {
                        worker.pause((in_vain / scheme.coordinators).min(3) - 1).await;
                        if unanswered {
                            worker.rt.note(DistributedNote::AskedAgain);
                        }
                    }
                }
                Got::Stop => return,
            }
        }
    }

    async fn ask(&mut self, coordinator: NodeId) -> Got {
        self.last_ask += 1;
        let asked = self.rt.now();
        self.rt.send(coordinator, CrawlMessage::Ask { ask: self.last_ask });
        loop {
            let left = (asked + ANSWER).saturating_sub(self.rt.now());
            let Ok((from, answer)) = self.rt.timeout(left, self.rt.recv()).await else {
                return Got::NoAnswer;
            };
            let until = asked + LEASE - MARGIN;
            match answer {
                CrawlMessage::Lease { ask, lease, url } => match self.scheme.acceptance {
                    Acceptance::Fresh
                        if ask == self.last_ask && from == coordinator && self.rt.now() < until =>
                    {
                        return Got::Work(Lease { coordinator, id: lease, url, until });
                    }
                    Acceptance::Fresh => {}
                    Acceptance::Any => {
                        let until = self.rt.now() + LEASE - MARGIN;
                        return Got::Work(Lease { coordinator: from, id: lease, url, until });
                    }
                },
                CrawlMessage::Nothing { ask } if ask == self.last_ask => return Got::Nothing,
                CrawlMessage::Stop => return Got::Stop,
                _ => {}
            }
        }
    }

    /// Fetches and reports. Nothing if the crawl has ended.
    async fn work(&mut self, lease: Lease) -> Option<()> {
        let Some(outcome) = self.fetch(&lease).await else { return Some(()) };
        for tries in 0..REPORTS {
            let (id, url, outcome) = (lease.id, lease.url.clone(), outcome.clone());
            self.rt.send(lease.coordinator, CrawlMessage::Result { lease: id, url, outcome });
            let patience = self.rt.now() + self.scheme.pause(tries, self.rt.random_below(1 << 32)) + ANSWER;
            loop {
                let left = patience.saturating_sub(self.rt.now());
                match self.rt.timeout(left, self.rt.recv()).await {
                    Ok((_, CrawlMessage::Kept { lease })) if lease == id => return Some(()),
                    Ok((_, CrawlMessage::Stop)) => return None,
                    Ok(_) => {}
                    Err(_) => break,
                }
            }
        }
        Some(())
    }

    /// Fetches a page, unless the lease is over before it is there: the connection is closed then, also if the worker is
    /// paused and finds that later.
    async fn fetch(&self, lease: &Lease) -> Option<Outcome> {
        let answer = address::answer(&self.weather.web, &lease.url);
        let page = if let Answer::Page(page) = answer { Some(page) } else { None };
        self.rt.note(DistributedNote::Fetch { page, url: lease.url.clone() });
        let mut until = lease.until;
        let mut beat = self.rt.now() + HEARTBEAT;
        let there = self.rt.now() + self.span(page);
        loop {
            let now = self.rt.now();
            let (url, over) = (lease.url.clone(), there.min(until));
            if now >= over && there <= until {
                self.rt.note(DistributedNote::Fetched { url, since: now - over });
                return Some(self.outcome(answer, &lease.url));
            }
            if now >= over {
                self.rt.note(DistributedNote::Abandoned { url, since: now - over });
                return None;
            }
            if now >= beat {
                beat = now + HEARTBEAT;
                if self.scheme.renewal == Renewal::Heartbeats {
                    self.rt.send(lease.coordinator, CrawlMessage::Renew { lease: lease.id, sent: now });
                }
            }
            // A clock that drifts may find a sleep over a nanosecond before it is.
            let left = (over.min(beat) - now).max(MICROS);
            if let Ok((_, CrawlMessage::Renewed { lease: renewed, sent })) =
                self.rt.timeout(left, self.rt.recv()).await
                && renewed == lease.id
            {
                until = until.max(sent + LEASE - MARGIN);
            }
        }
    }

    /// 1 to 20 ms; a slow page takes longer than a lease.
    fn span(&self, page: Option<PageId>) -> Nanos {
        let slow = self.weather.rough && page.is_some_and(is_slow);
        let least = if slow { LEASE + 50 * MILLIS } else { MILLIS };
        least + self.rt.random_below(19 * MILLIS)
    }

    fn outcome(&self, answer: Answer, url: &Url) -> Outcome {
        let Weather { web, rough } = &self.weather;
        match answer {
            Answer::Page(page) if *rough && page.0 % 7 == 2 && self.rt.now() < DOWN => {
                self.rt.note(DistributedNote::Down { url: url.clone() });
                Outcome::Down
            }
            Answer::Page(page) if web.exists(page) => {
                let written =
                    |link| if *rough { address::written(web, page, link) } else { web.url(link).into() };
                Outcome::Page { links: web.links(page).map(written).collect() }
            }
            Answer::Moved(to) => {
                self.rt.note(DistributedNote::Redirected { to: to.clone() });
                Outcome::Moved { to }
            }
            Answer::Page(_) | Answer::Unknown => Outcome::Missing,
        }
    }

    async fn pause(&self, tries: u32) {
        self.rt.sleep(self.scheme.pause(tries, self.rt.random_below(1 << 32))).await;
    }
}

/// Whether a page takes longer than a lease, where the weather is rough.
pub(super) const fn is_slow(page: PageId) -> bool {
    page.0 % 7 == 3
}
