//! What stands between a crawler and its hosts: limits on how many fetches go on at once, and how soon one follows
//! another. Each right gate decides and acts under one lock; each wrong one leaves a gap between the two, or asks the
//! wrong question.

use std::collections::BTreeMap;

use sim::tasks::{Mutex, Permit, Semaphore};
use sim::{MILLIS, Nanos};

use super::Crawler;
use crate::web::PageId;

/// How many fetches may go on at once, of all hosts or of one.
pub(super) const AT_ONCE: usize = 2;
/// How long after the beginning of a fetch the next of the same host may begin.
pub(super) const DELAY: Nanos = 8 * MILLIS;
/// How many fetches of one host may begin at one instant after a rest.
pub(super) const BURST: u64 = 2;

/// Which gate a fetch passes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Gate {
    /// None.
    Open,
    /// C6: a semaphore around every fetch.
    Bounded,
    /// C10: for each host a semaphore, and a delay: a fetch takes its time under the lock, and then waits for it.
    PerHost,
    /// C10: takes a place at the host, and gives it back before it fetches.
    PermitDropped,
    /// C10: looks whether the host has rested, and only then says that it fetches.
    CheckThenAct,
    /// C10: each task waits before its own fetch, whatever the others do.
    PerTask,
    /// C10: for each host a bucket of tokens that fills with time: a fetch takes one, or a debt that it waits out.
    TokenBucket,
    /// C10: counts the tokens under the lock, and takes one under the lock, but not under the same.
    LeakyBucket,
}

/// What a gate remembers, shared by all tasks of a crawler.
#[derive(Clone)]
pub(super) struct Keeper {
    kind: Gate,
    all: Semaphore,
    hosts: Mutex<BTreeMap<String, Host>>,
}

/// What is remembered of a host.
#[derive(Clone)]
struct Host {
    at_once: Semaphore,
    /// When the next fetch may begin; with a bucket, when it will be full again.
    free_at: Nanos,
}

impl Keeper {
    pub(super) fn new(crawler: &Crawler, kind: Gate) -> Self {
        Self {
            kind,
            all: crawler.rt.semaphore("fetches", AT_ONCE),
            hosts: crawler.rt.mutex("hosts", BTreeMap::new()),
        }
    }

    /// Waits until the page may be fetched. What it gives is held until the fetch is over.
    pub(super) async fn pass(&self, crawler: &Crawler, page: PageId) -> Option<Permit> {
        match self.kind {
            Gate::Open => None,
            Gate::Bounded => Some(self.all.acquire(1).await),
            Gate::PerHost => {
                let permit = self.host(crawler, page).await.at_once.acquire(1).await;
                self.reserve(crawler, page, 0).await;
                Some(permit)
            }
            Gate::PermitDropped => {
                drop(self.host(crawler, page).await.at_once.acquire(1).await);
                self.reserve(crawler, page, 0).await;
                None
            }
            Gate::CheckThenAct => {
                self.check_then_act(crawler, page, 0).await;
                None
            }
            Gate::PerTask => {
                crawler.rt.sleep(DELAY).await;
                None
            }
            Gate::TokenBucket => {
                self.reserve(crawler, page, (BURST - 1) * DELAY).await;
                None
            }
            Gate::LeakyBucket => {
                self.check_then_act(crawler, page, (BURST - 1) * DELAY).await;
                None
            }
        }
    }

    /// Takes the next free time of the host and waits for it. A bucket is a host that may be `ahead` of its time by all
    /// tokens but one (the virtual scheduling form of the generic cell rate algorithm).
    async fn reserve(&self, crawler: &Crawler, page: PageId, ahead: Nanos) {
        self.host(crawler, page).await;
        let mut hosts = self.hosts.lock().await;
        let host = hosts.get_mut(crawler.web.host(page)).expect("the host was looked up");
        let now = crawler.rt.now();
        let free_at = host.free_at.max(now);
        host.free_at = free_at + DELAY;
        drop(hosts);
        crawler.rt.sleep(free_at.saturating_sub(now + ahead)).await;
    }

    /// Between the look and the act another task may look too.
    async fn check_then_act(&self, crawler: &Crawler, page: PageId, ahead: Nanos) {
        loop {
            let free_at = self.host(crawler, page).await.free_at;
            let now = crawler.rt.now();
            crawler.preempt().await;
            if free_at <= now + ahead {
                break;
            }
            crawler.rt.sleep(free_at - now - ahead).await;
        }
        let mut hosts = self.hosts.lock().await;
        let host = hosts.get_mut(crawler.web.host(page)).expect("the host was looked up");
        host.free_at = host.free_at.max(crawler.rt.now()) + DELAY;
    }

    async fn host(&self, crawler: &Crawler, page: PageId) -> Host {
        let name = crawler.web.host(page);
        let mut hosts = self.hosts.lock().await;
        if !hosts.contains_key(name) {
            let host = Host { at_once: crawler.rt.semaphore("host", AT_ONCE), free_at: 0 };
            hosts.insert(name.to_owned(), host);
        }
        hosts[name].clone()
    }
}
