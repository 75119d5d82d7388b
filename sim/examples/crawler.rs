//! The concurrent crawler of the lecture on threads, as a program of tasks: a task per page, a lock around
//! the table of pages, a wait group for the end. Run it: `cargo run -p snowglobe-sim --example crawler`.
//!
//! With `forgetful`, the task that finds a page missing keeps the lock. Every seed then ends in a deadlock,
//! and the report says who waits for whom.

use std::collections::BTreeSet;

use snowglobe_sim::tasks::{Mutex, Runtime, Tasks, WaitGroup};
use snowglobe_sim::{Config, Ending, MILLIS, World};

/// The web: each page's links, by number. The page that is only linked to does not exist.
const WEB: [&[u64]; 4] = [&[1, 4], &[0, 2, 3, 4], &[0, 1], &[0, 1]];

type Fetched = Mutex<BTreeSet<u64>>;

#[derive(Clone)]
struct Crawler {
    rt: Runtime<()>,
    fetched: Fetched,
    pages: WaitGroup,
    forgetful: bool,
}

impl Crawler {
    /// Crawls a page and, each in a task of its own, what it links to.
    fn spawn(&self, page: u64) {
        self.pages.add(1);
        let crawler = self.clone();
        self.rt.spawn(("page", page + 1), async move {
            crawler.crawl(page).await;
            crawler.pages.done();
        });
    }

    async fn crawl(&self, page: u64) {
        let mut fetched = self.fetched.lock().await;
        if !fetched.insert(page) {
            return;
        }
        let Some(links) = WEB.get(page as usize) else {
            if self.forgetful {
                std::mem::forget(fetched);
            }
            return;
        };
        drop(fetched);
        self.rt.sleep(MILLIS + self.rt.random_below(10 * MILLIS)).await;
        for link in *links {
            self.spawn(*link);
        }
    }
}

async fn main_task(rt: Runtime<()>, forgetful: bool) {
    let fetched = rt.mutex("fetched", BTreeSet::new());
    let pages = rt.wait_group("pages");
    let crawler = Crawler { rt: rt.clone(), fetched: fetched.clone(), pages: pages.clone(), forgetful };
    crawler.spawn(0);
    pages.wait().await;
    assert_eq!(fetched.lock().await.len(), WEB.len() + 1);
}

fn main() {
    for forgetful in [false, true] {
        println!("{}", if forgetful { "a lock is forgotten:" } else { "the right crawler:" });
        for seed in 0..3 {
            let mut world =
                World::new(Config::new(1), seed, move |_| Tasks::new(move |rt| main_task(rt, forgetful)));
            let ending = world.run(&mut ());
            println!("  seed {seed}: {ending:?} after {} steps and {} ns", world.steps(), world.now());
            if let Some(violation) = world.violation() {
                println!("    {}: {}", violation.property, violation.detail);
            }
            assert_eq!(ending, if forgetful { Ending::Violated } else { Ending::Quiet });
        }
    }
}
