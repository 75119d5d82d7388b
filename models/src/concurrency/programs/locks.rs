//! What tasks share: counters, queues, tables.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use sim::MILLIS;
use sim::tasks::{Condition, Mutex, SharedCell};

use super::super::{Rt, tell};
use super::{Running, work};
use crate::web::Web;

/// Three tasks count to one each. In Go: `n++`, which is a read and a write.
pub(in super::super) fn counter(rt: Rt, locked: bool) -> Running {
    Box::pin(async move {
        let (count, lock, tasks) = (rt.cell("count", 0), rt.mutex("lock", ()), rt.wait_group("tasks"));
        tell(&rt, "expected", 3);
        for task in 1..=3 {
            tasks.add(1);
            let (count, lock, tasks) = (count.clone(), lock.clone(), tasks.clone());
            rt.spawn(("increment", task), async move {
                let guard = if locked { Some(lock.lock().await) } else { None };
                let seen = count.get().await;
                count.set(seen + 1).await;
                drop(guard);
                tasks.done();
            });
        }
        tasks.wait().await;
        tell(&rt, "total", count.get().await);
    })
}

/// A counter that somebody reads when it must be done by now: sleeping instead of waiting.
pub(in super::super) fn counter_slept_for(rt: Rt) -> Running {
    Box::pin(async move {
        let count = rt.cell("count", 0);
        tell(&rt, "expected", 1);
        let (others, worker) = (count.clone(), rt.clone());
        rt.spawn("increment", async move {
            work(&worker).await;
            others.set(1).await;
        });
        rt.sleep(9 * MILLIS).await;
        tell(&rt, "total", count.get().await);
    })
}

/// Two transfers between two accounts, each of which locks both: always in one order, or in the order of the transfer.
pub(in super::super) fn transfer(rt: Rt, in_one_order: bool) -> Running {
    Box::pin(async move {
        let accounts = [rt.mutex(("account", 1), 100_u64), rt.mutex(("account", 2), 100)];
        tell(&rt, "expected", 200);
        let transfers = [(0, 1), (1, 0)].map(|(from, to)| {
            let (first, second) = if in_one_order { (from.min(to), from.max(to)) } else { (from, to) };
            let (first, second) = (accounts[first].clone(), accounts[second].clone());
            let from_first = !in_one_order || from < to;
            let rt_of_task = rt.clone();
            rt.spawn("transfer", async move {
                let mut first = first.lock().await;
                work(&rt_of_task).await;
                let mut second = second.lock().await;
                let (from, to) =
                    if from_first { (&mut *first, &mut *second) } else { (&mut *second, &mut *first) };
                *from -= 10;
                *to += 10;
            })
        });
        for transfer in transfers {
            transfer.await;
        }
        let total = *accounts[0].lock().await + *accounts[1].lock().await;
        tell(&rt, "total", total);
    })
}

/// A lock that is kept on one way out, the one that is seldom taken.
pub(in super::super) fn lock_kept(rt: Rt) -> Running {
    Box::pin(async move {
        let pages = rt.mutex("pages", 0);
        let fetches = [1, 2].map(|page| {
            let pages = pages.clone();
            rt.spawn(("fetch", page), async move {
                let mut guard = pages.lock().await;
                *guard += 1;
                if page == 2 {
                    // An error: it returns, and forgets to unlock.
                    guard.keep();
                }
            })
        });
        for fetch in fetches {
            fetch.await;
        }
        *pages.lock().await += 1;
    })
}

/// A lock released by a task that does not have it.
pub(in super::super) fn unlocked_twice(rt: Rt) -> Running {
    Box::pin(async move {
        let pages = rt.mutex("pages", 0);
        pages.lock().await.keep();
        pages.unlock();
        work(&rt).await;
        pages.unlock();
    })
}

/// Three tasks need a connection that is to be opened by the first.
pub(in super::super) fn once(rt: Rt, right: bool) -> Running {
    Box::pin(async move {
        let (once, opened) = (rt.once("connection"), rt.cell("opened", false));
        let tasks: Vec<_> = (1..=3)
            .map(|task| {
                let (once, opened, rt_of_task) = (once.clone(), opened.clone(), rt.clone());
                rt.spawn(("user", task), async move {
                    let rt = rt_of_task;
                    if right {
                        let open = || async {
                            work(&rt).await;
                            tell(&rt, "made", task);
                            task
                        };
                        let owner = once.get_or_init(open).await;
                        if owner != task {
                            tell(&rt, "found", task);
                        }
                    } else if opened.get().await {
                        tell(&rt, "found", task);
                    } else {
                        tell(&rt, "made", task);
                        opened.set(true).await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await;
        }
    })
}

/// A table of two halves that are always changed together. The mistake: to write with a lock that is for readers.
pub(in super::super) fn readers_and_writer(rt: Rt, right: bool) -> Running {
    Box::pin(async move {
        let lock = rt.rw_lock("table", ());
        let halves = (rt.cell("left", 0_u64), rt.cell("right", 0_u64));
        let mut tasks: Vec<_> = (1..=2)
            .map(|reader| {
                let (lock, (left, right), rt_of_task) = (lock.clone(), halves.clone(), rt.clone());
                rt.spawn(("reader", reader), async move {
                    let rt = rt_of_task;
                    let guard = lock.read().await;
                    tell(&rt, "reads", reader);
                    let seen = (left.get().await, right.get().await);
                    if seen.0 != seen.1 {
                        tell(&rt, "torn", reader);
                    }
                    tell(&rt, "has read", reader);
                    drop(guard);
                })
            })
            .collect();
        let (left, other) = halves;
        tasks.push(rt.spawn("writer", async move {
            let (reads, writes) =
                if right { (None, Some(lock.write().await)) } else { (Some(lock.read().await), None) };
            left.set(1).await;
            other.set(1).await;
            drop((reads, writes));
        }));
        for task in tasks {
            task.await;
        }
    })
}

/// How those who wait for a queue to fill, and those who fill it, tell each other.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Waiting {
    /// In a loop, and all are told.
    Right,
    /// Without asking again whether what one waited for is still so.
    WithoutLoop,
    /// One is told, who may be the wrong one: consumers and producers wait for the same condition.
    WakingTheWrongOne,
}

/// A queue with room for one item, two consumers and two producers.
pub(in super::super) fn bounded_queue(rt: Rt, waiting: Waiting) -> Running {
    Box::pin(async move {
        let (queue, changed) = (rt.mutex("queue", VecDeque::new()), rt.condition("changed"));
        let mut tasks = Vec::new();
        for who in 1..=2 {
            let (queue, changed, rt_of_task) = (queue.clone(), changed.clone(), rt.clone());
            tasks.push(rt.spawn(("consumer", who), async move {
                consume(&rt_of_task, &queue, &changed, waiting, who).await;
            }));
        }
        for item in 1..=2 {
            let (queue, changed) = (queue.clone(), changed.clone());
            tasks.push(rt.spawn(("producer", item), async move {
                produce(&queue, &changed, waiting, item).await;
            }));
        }
        for task in tasks {
            task.await;
        }
    })
}

async fn consume(rt: &Rt, queue: &Mutex<VecDeque<u64>>, changed: &Condition, waiting: Waiting, who: u64) {
    let mut items = queue.lock().await;
    while items.is_empty() {
        tell(rt, "waited", who);
        items = changed.wait(items).await;
        if waiting == Waiting::WithoutLoop {
            break;
        }
    }
    match items.pop_front() {
        Some(item) => tell(rt, "consumed", item),
        None => tell(rt, "found nothing", who),
    }
    notify(changed, waiting);
}

async fn produce(queue: &Mutex<VecDeque<u64>>, changed: &Condition, waiting: Waiting, item: u64) {
    let mut items = queue.lock().await;
    while !items.is_empty() {
        items = changed.wait(items).await;
    }
    items.push_back(item);
    notify(changed, waiting);
}

fn notify(changed: &Condition, waiting: Waiting) {
    if waiting == Waiting::WakingTheWrongOne { changed.notify_one() } else { changed.notify_all() }
}

/// Two tasks crawl the lecture's web, each from a page of its own, and share what they have fetched: with a lock or without.
pub(in super::super) fn crawl_by_two(rt: Rt, locked: bool) -> Running {
    Box::pin(async move {
        let web = Web::canned();
        let (fetched, lock) = (rt.cell("fetched", BTreeSet::new()), rt.mutex("lock", ()));
        let root = web.root();
        let second = web.links(root).next().expect("the root has a link");
        let tasks = [root, second].map(|start| {
            let (fetched, lock, web, rt_of_task) = (fetched.clone(), lock.clone(), web.clone(), rt.clone());
            rt.spawn("crawl", async move {
                let mut stack = vec![start];
                while let Some(page) = stack.pop() {
                    let guard = if locked { Some(lock.lock().await) } else { None };
                    let already = fetched.read(|fetched| fetched.contains(&page)).await;
                    fetched.write(|fetched| fetched.insert(page)).await;
                    drop(guard);
                    if !already {
                        tell(&rt_of_task, "fetched", u64::from(page.0));
                        stack.extend(web.links(page));
                    }
                }
            })
        });
        for task in tasks {
            task.await;
        }
        tell(&rt, "pages", web.reachable().len() as u64);
    })
}

/// Three tasks want the same page, which is to be fetched once for all of them. The mistake: to look and then to say that
/// one fetches, with nothing that keeps others from looking in between.
pub(in super::super) fn single_flight(rt: Rt, right: bool) -> Running {
    Box::pin(async move {
        let flights = rt.mutex("flights", BTreeMap::new());
        let flying: SharedCell<bool> = rt.cell("flying", false);
        let tasks: Vec<_> = (1..=3)
            .map(|task| {
                let (flights, flying, rt_of_task) = (flights.clone(), flying.clone(), rt.clone());
                rt.spawn(("user", task), async move {
                    let rt = rt_of_task;
                    if right {
                        let mut table = flights.lock().await;
                        let flight = table.entry("/").or_insert_with(|| rt.once("flight")).clone();
                        drop(table);
                        let fetcher = flight
                            .get_or_init(|| async {
                                tell(&rt, "made", task);
                                work(&rt).await;
                                task
                            })
                            .await;
                        if fetcher != task {
                            tell(&rt, "found", task);
                        }
                    } else if !flying.get().await {
                        flying.set(true).await;
                        tell(&rt, "made", task);
                        work(&rt).await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await;
        }
    })
}
