//! A coordinator: it owns a part of the URLs, gives them out on lease, and keeps what comes of them. The first also asks
//! whether the crawl has ended.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use sim::tasks::Runtime;
use sim::{NodeId, OpId, Status};

use super::frontier::{self, Entry, Frontier, LOG};
use super::scheme::{Keeping, LEASE, Leaving, Redirects, Results, Scheme, Spelling, Termination, WhenDown};
use super::{CrawlMessage, DistributedNote, Outcome, Url, address};

/// The coordinator that the crawl begins at, and that ends it.
pub(super) const FIRST: NodeId = NodeId(0);

/// A coordinator's view of its node. Cheap to clone, as all its tasks have one.
#[derive(Clone)]
pub(super) struct Coordinator {
    rt: Runtime<CrawlMessage>,
    scheme: Scheme,
    state: Rc<RefCell<State>>,
}

struct State {
    frontier: Frontier,
    /// How many entries were logged, and how many of them are durable.
    logged: u64,
    durable: u64,
    /// The batches that their owners have not taken.
    untaken: BTreeSet<u64>,
    last_batch: u64,
    /// What the others answered to which round: how many URLs they know, if they are idle.
    answers: BTreeMap<NodeId, (u64, Option<u64>)>,
    /// The coordinators that know of the end.
    stopped: BTreeSet<NodeId>,
    /// The workers that have not said what came of a lease.
    busy: BTreeSet<NodeId>,
    ended: bool,
}

impl Coordinator {
    pub(super) async fn run(rt: Runtime<CrawlMessage>, scheme: Scheme, root: Url) {
        let log = rt.read(LOG).unwrap_or_default();
        // The leases of an earlier life may still hold.
        let closed_until = if rt.incarnation() > 0 { rt.now() + LEASE + scheme.delay } else { 0 };
        let state = State {
            frontier: Frontier::new(scheme, rt.node(), rt.incarnation(), closed_until),
            logged: 0,
            durable: 0,
            untaken: BTreeSet::new(),
            last_batch: u64::from(rt.incarnation()) << 32,
            answers: BTreeMap::new(),
            stopped: BTreeSet::new(),
            busy: BTreeSet::new(),
            ended: false,
        };
        let coordinator = Self { rt, scheme, state: Rc::new(RefCell::new(state)) };
        coordinator.recover(&log);
        if coordinator.rt.node() == FIRST {
            let crawl = coordinator.rt.invoke(DistributedNote::Crawl { url: root.clone() });
            coordinator.take(vec![root]);
            let first = coordinator.clone();
            coordinator.rt.spawn("sync", async move { first.synced().await });
            let first = coordinator.clone();
            coordinator.rt.spawn("end", async move { first.end(crawl).await });
        }
        loop {
            let (from, message) = coordinator.rt.recv().await;
            coordinator.handle(from, message);
        }
    }

    fn recover(&self, log: &[u8]) {
        if log.is_empty() {
            return;
        }
        // Whatever tore the last line, even an only one, the next begins a new one.
        self.rt.append(LOG, *b"\n");
        for entry in frontier::entries(log) {
            let foreign = self.state.borrow_mut().frontier.apply(&entry);
            self.tell(foreign);
            self.state.borrow_mut().ended |= entry == Entry::End;
        }
        let known = self.state.borrow().frontier.known();
        self.rt.note(DistributedNote::Recovered { known });
    }

    fn handle(&self, from: NodeId, message: CrawlMessage) {
        let ended = self.state.borrow().ended;
        match message {
            CrawlMessage::Ask { .. } | CrawlMessage::Result { .. } if ended => {
                self.rt.send(from, CrawlMessage::Stop);
            }
            CrawlMessage::Ask { ask } => self.grant(from, ask),
            CrawlMessage::Renew { lease, sent } => {
                if self.state.borrow_mut().frontier.renew(lease, self.rt.now()) {
                    self.rt.send(from, CrawlMessage::Renewed { lease, sent });
                }
            }
            CrawlMessage::Result { lease, url, outcome } => self.keep(from, lease, url, outcome),
            CrawlMessage::Found { batch, urls } => {
                self.take(urls);
                self.confirm(from, CrawlMessage::Taken { batch });
            }
            CrawlMessage::Taken { batch } => {
                self.state.borrow_mut().untaken.remove(&batch);
            }
            CrawlMessage::Probe { round } => {
                let idle = self.idle();
                let known = self.state.borrow().frontier.known();
                self.rt.send(from, CrawlMessage::State { round, idle, known });
            }
            CrawlMessage::State { round, idle, known } => {
                self.state.borrow_mut().answers.insert(from, (round, idle.then_some(known)));
            }
            CrawlMessage::Stop => {
                self.state.borrow_mut().ended = true;
                self.rt.send(from, CrawlMessage::Stopped);
            }
            CrawlMessage::Stopped => {
                self.state.borrow_mut().stopped.insert(from);
            }
            CrawlMessage::Lease { .. }
            | CrawlMessage::Nothing { .. }
            | CrawlMessage::Renewed { .. }
            | CrawlMessage::Kept { .. } => unreachable!("only workers are told this"),
        }
    }

    fn grant(&self, worker: NodeId, ask: u64) {
        let now = self.rt.now();
        for url in self.state.borrow_mut().frontier.expire(now) {
            self.rt.note(DistributedNote::Expired { url });
        }
        let granted = {
            let mut state = self.state.borrow_mut();
            let barred = self.scheme.leaving == Leaving::BusyForEver && state.busy.contains(&worker);
            if barred { None } else { state.frontier.grant(now) }
        };
        let answer = match granted {
            Some((lease, url)) => {
                self.state.borrow_mut().busy.insert(worker);
                CrawlMessage::Lease { ask, lease, url }
            }
            None => CrawlMessage::Nothing { ask },
        };
        self.rt.send(worker, answer);
    }

    /// Keeps a result, and confirms it when it is durable.
    fn keep(&self, worker: NodeId, lease: u64, url: Url, outcome: Outcome) {
        let now = self.rt.now();
        let duplicate = {
            let mut state = self.state.borrow_mut();
            state.busy.remove(&worker);
            state.frontier.release(lease, now);
            state.frontier.is_done(&url)
        };
        if duplicate {
            self.rt.note(DistributedNote::Duplicate { url: url.clone() });
        }
        if !duplicate || self.scheme.results == Results::All {
            let (page, links) = match outcome {
                Outcome::Page { links } => (true, links),
                Outcome::Moved { to } if self.scheme.redirects == Redirects::Followed => (false, vec![to]),
                Outcome::Down if self.scheme.when_down != WhenDown::TakenForMissing => {
                    let again = |tries| match self.scheme.when_down {
                        WhenDown::RetriedAtOnce => 0,
                        _ => self.scheme.pause(tries, self.rt.random_below(1 << 32)),
                    };
                    self.state.borrow_mut().frontier.put_off(&url, again, now);
                    self.rt.send(worker, CrawlMessage::Kept { lease });
                    return;
                }
                Outcome::Missing | Outcome::Down | Outcome::Moved { .. } => (false, Vec::new()),
            };
            let links = links.into_iter().map(|link| match self.scheme.spelling {
                Spelling::Normal => Url::from(&*address::normalised(&link)),
                Spelling::AsWritten => link,
            });
            let new = self.state.borrow().frontier.new_of(links);
            self.log(&Entry::Done { url, page, new });
        }
        self.confirm(worker, CrawlMessage::Kept { lease });
    }

    /// Takes URLs into the frontier.
    fn take(&self, urls: Vec<Url>) {
        let new = self.state.borrow().frontier.new_of(urls);
        if !new.is_empty() {
            self.log(&Entry::Known(new));
        }
    }

    fn log(&self, entry: &Entry) {
        let line = match (self.scheme.keeping, entry) {
            (Keeping::PagesOnly, Entry::Known(_)) => String::new(),
            (Keeping::PagesOnly, Entry::Done { url, page, .. }) => {
                Entry::Done { url: url.clone(), page: *page, new: Vec::new() }.line()
            }
            _ => entry.line(),
        };
        self.rt.append(LOG, line);
        self.state.borrow_mut().logged += 1;
        let foreign = self.state.borrow_mut().frontier.apply(entry);
        self.tell(foreign);
    }

    /// Tells other coordinators of the URLs that they own, until they have taken them.
    fn tell(&self, foreign: BTreeMap<NodeId, Vec<Url>>) {
        for (owner, urls) in foreign {
            let batch = {
                let mut state = self.state.borrow_mut();
                state.last_batch += 1;
                let batch = state.last_batch;
                state.untaken.insert(batch);
                batch
            };
            let coordinator = self.clone();
            self.rt.spawn(("tell", batch), async move {
                let mut tries = 0;
                while coordinator.state.borrow().untaken.contains(&batch) && !coordinator.state.borrow().ended
                {
                    coordinator.rt.send(owner, CrawlMessage::Found { batch, urls: urls.clone() });
                    coordinator.pause(tries).await;
                    tries += 1;
                }
            });
        }
    }

    /// Sends a confirmation of all that was logged so far.
    fn confirm(&self, to: NodeId, confirmation: CrawlMessage) {
        if self.scheme.keeping == Keeping::ConfirmedTooSoon {
            self.rt.send(to, confirmation.clone());
        }
        let coordinator = self.clone();
        self.rt.spawn("confirm", async move {
            coordinator.synced().await;
            coordinator.rt.send(to, confirmation);
        });
    }

    /// Waits until all that was logged before this call is durable.
    async fn synced(&self) {
        let logged = self.state.borrow().logged;
        while self.state.borrow().durable < logged {
            if self.rt.sync("log").await.is_ok() {
                let mut state = self.state.borrow_mut();
                state.durable = state.durable.max(logged);
            }
        }
    }

    async fn pause(&self, tries: u32) {
        self.rt.sleep(self.scheme.pause(tries, self.rt.random_below(1 << 32))).await;
    }

    /// Whether this coordinator has nothing to do, and would know as much after a crash.
    fn idle(&self) -> bool {
        let state = self.state.borrow();
        match self.scheme.termination {
            Termination::FrontierOnly => state.frontier.is_empty(),
            Termination::OneRound | Termination::TwoRounds => {
                state.frontier.is_idle() && state.untaken.is_empty() && state.durable == state.logged
            }
        }
    }

    /// Finds out that the crawl has ended, and tells everyone.
    async fn end(&self, crawl: OpId) {
        if !self.state.borrow().ended {
            self.until_nothing_is_left().await;
            self.log(&Entry::End);
            self.synced().await;
            self.state.borrow_mut().ended = true;
        }
        self.rt.complete(crawl, Status::Ok, DistributedNote::Ended);
        self.rt.note(DistributedNote::Ended);
        let mut tries = 0;
        loop {
            let deaf: Vec<NodeId> =
                self.others().filter(|other| !self.state.borrow().stopped.contains(other)).collect();
            if deaf.is_empty() {
                return;
            }
            for other in deaf {
                self.rt.send(other, CrawlMessage::Stop);
            }
            self.pause(tries).await;
            tries += 1;
        }
    }

    /// A coordinator that is idle and told of no URL stays idle. If all were idle and knew as much at some time of the second
    /// round as at some time of the first, then none was told of anything between the rounds, and all were idle then.
    async fn until_nothing_is_left(&self) {
        let mut before = None;
        // An answer to a round of an earlier life is none to a round of this.
        for round in (u64::from(self.rt.incarnation()) << 32) + 1.. {
            let now = self.ask_everyone(round).await;
            let settled = self.scheme.termination != Termination::TwoRounds || now == before;
            if now.is_some() && settled {
                return;
            }
            before = now;
        }
    }

    /// How many URLs each knows, if all are idle.
    async fn ask_everyone(&self, round: u64) -> Option<Vec<u64>> {
        let mut tries = 0;
        loop {
            let answered = |other: &NodeId| {
                let state = self.state.borrow();
                state.answers.get(other).is_some_and(|(answered, _)| *answered == round)
            };
            let missing: Vec<NodeId> = self.others().filter(|other| !answered(other)).collect();
            if missing.is_empty() && tries > 0 {
                break;
            }
            for other in missing {
                self.rt.send(other, CrawlMessage::Probe { round });
            }
            self.pause(tries).await;
            tries += 1;
        }
        let own = self.idle().then(|| self.state.borrow().frontier.known());
        let state = self.state.borrow();
        std::iter::once(own).chain(self.others().map(|other| state.answers[&other].1)).collect()
    }

    fn others(&self) -> impl Iterator<Item = NodeId> + use<> {
        (1..self.scheme.coordinators).map(NodeId)
    }
}
