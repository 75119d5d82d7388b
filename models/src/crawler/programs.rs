//! The programs. Each returns when it believes that the crawl is over.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use sim::tasks::{Mutex, Receiver, Sender, SharedCell, WaitGroup};

use super::Crawler;
use super::gate::{Gate, Keeper};
use crate::web::PageId;

/// Which program crawls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Program {
    /// C1: one page at a time, depth first, one map.
    Serial,
    /// C2: the same with `go` in front of the recursive call, and nobody who waits.
    SpawnWithoutWaiting,
    /// C3: a task per page and a map that all of them share without a lock.
    SharedMap,
    /// C4: a lock around the map that whoever has it keeps.
    NeverUnlocked,
    /// C5: a lock around the map, and a wait group. C6 and C10: a gate before each fetch.
    Locked(Gate),
    /// C5: the wait group forgotten.
    LockedWithoutWaiting,
    /// C7: a coordinator that owns the map, and workers that tell it what they find over a channel.
    Channels,
    /// C7: a worker that tells nothing when its page does not exist.
    SilentOnError,
    /// C7: the first page sent on an unbuffered channel by the task that would have to receive it.
    FirstSendBlocks,
    /// C7: a coordinator that counts links instead of the pages it handed out.
    Miscounting,
}

impl Crawler {
    pub(super) async fn run(self, program: Program, root: PageId) {
        match program {
            Program::Serial => self.serial(root).await,
            Program::SpawnWithoutWaiting => self.spawn_without_waiting(root, Rc::default()).await,
            Program::SharedMap => self.shared_map(root).await,
            Program::NeverUnlocked => self.never_unlocked(root).await,
            Program::Locked(gate) => self.locked(root, gate, true).await,
            Program::LockedWithoutWaiting => self.locked(root, Gate::Open, false).await,
            Program::Channels | Program::SilentOnError | Program::FirstSendBlocks | Program::Miscounting => {
                self.channels(root, program).await;
            }
        }
    }

    /// Depth first. A stack where the lecture recurses: a real site is deeper than a call stack.
    async fn serial(&self, root: PageId) {
        let mut fetched = BTreeSet::new();
        let mut stack = vec![root];
        while let Some(page) = stack.pop() {
            if fetched.insert(page)
                && let Some(links) = self.fetch(page).await
            {
                stack.extend(links.into_iter().rev());
            }
        }
    }

    async fn spawn_without_waiting(self, page: PageId, fetched: Rc<RefCell<BTreeSet<PageId>>>) {
        if !fetched.borrow_mut().insert(page) {
            return;
        }
        for link in self.fetch(page).await.unwrap_or_default() {
            let crawl = Box::pin(self.clone().spawn_without_waiting(link, Rc::clone(&fetched)));
            self.rt.spawn("page", crawl);
        }
    }

    async fn shared_map(&self, root: PageId) {
        let fetched = self.rt.cell("fetched", BTreeSet::new());
        let pages = self.rt.wait_group("pages");
        pages.add(1);
        self.clone().shared_map_page(root, fetched, pages.clone()).await;
        pages.wait().await;
    }

    /// Between the look at the map and the change to it other tasks may run: that is what a missing lock means.
    async fn shared_map_page(self, page: PageId, fetched: SharedCell<BTreeSet<PageId>>, pages: WaitGroup) {
        let already = fetched.read(|fetched| fetched.contains(&page)).await;
        self.preempt().await;
        fetched.write(|fetched| fetched.insert(page)).await;
        if !already {
            for link in self.fetch(page).await.unwrap_or_default() {
                pages.add(1);
                let crawl = self.clone().shared_map_page(link, fetched.clone(), pages.clone());
                self.rt.spawn("page", Box::pin(crawl));
            }
        }
        pages.done();
    }

    async fn never_unlocked(&self, root: PageId) {
        let fetched = self.rt.mutex("fetched", BTreeSet::new());
        let pages = self.rt.wait_group("pages");
        pages.add(1);
        self.clone().never_unlocked_page(root, fetched, pages.clone()).await;
        pages.wait().await;
    }

    async fn never_unlocked_page(self, page: PageId, fetched: Mutex<BTreeSet<PageId>>, pages: WaitGroup) {
        let mut guard = fetched.lock().await;
        let is_new = guard.insert(page);
        guard.keep();
        if is_new {
            for link in self.fetch(page).await.unwrap_or_default() {
                pages.add(1);
                let crawl = self.clone().never_unlocked_page(link, fetched.clone(), pages.clone());
                self.rt.spawn("page", Box::pin(crawl));
            }
        }
        pages.done();
    }

    async fn locked(&self, root: PageId, gate: Gate, waits: bool) {
        let keeper = Keeper::new(self, gate);
        let fetched = self.rt.mutex("fetched", BTreeSet::new());
        let pages = self.rt.wait_group("pages");
        pages.add(1);
        self.clone().locked_page(root, keeper, fetched, pages.clone()).await;
        if waits {
            pages.wait().await;
        }
    }

    async fn locked_page(
        self,
        page: PageId,
        keeper: Keeper,
        fetched: Mutex<BTreeSet<PageId>>,
        pages: WaitGroup,
    ) {
        let mut guard = fetched.lock().await;
        let already = guard.contains(&page);
        self.preempt().await;
        guard.insert(page);
        drop(guard);
        if !already {
            let permit = keeper.pass(&self, page).await;
            let links = self.fetch(page).await.unwrap_or_default();
            drop(permit);
            for link in links {
                pages.add(1);
                let crawl = self.clone().locked_page(link, keeper.clone(), fetched.clone(), pages.clone());
                self.rt.spawn("page", Box::pin(crawl));
            }
        }
        pages.done();
    }

    async fn channels(&self, root: PageId, program: Program) {
        let (found, lists) = self.rt.channel("found", 0);
        if program == Program::FirstSendBlocks {
            let _ = found.send(vec![root]).await;
        } else {
            let first = found.clone();
            self.rt.spawn("first", async move {
                let _ = first.send(vec![root]).await;
            });
        }
        self.coordinate(&found, &lists, program).await;
    }

    /// Hands every new page to a worker. `pending` counts the lists that are still to come.
    async fn coordinate(&self, found: &Sender<Vec<PageId>>, lists: &Receiver<Vec<PageId>>, program: Program) {
        let mut fetched = BTreeSet::new();
        let mut pending = 1;
        while pending > 0 {
            let Some(links) = lists.recv().await else { return };
            pending -= 1;
            let known = fetched.len();
            for link in links {
                if fetched.insert(link) {
                    let worker = self.clone().work(link, found.clone(), program);
                    self.rt.spawn("worker", worker);
                }
            }
            pending += if program == Program::Miscounting {
                usize::from(fetched.len() > known)
            } else {
                fetched.len() - known
            };
        }
    }

    async fn work(self, page: PageId, found: Sender<Vec<PageId>>, program: Program) {
        match self.fetch(page).await {
            Some(links) => {
                let _ = found.send(links).await;
            }
            None if program == Program::SilentOnError => {}
            None => {
                let _ = found.send(Vec::new()).await;
            }
        }
    }
}
