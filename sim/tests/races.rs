//! Data races: two accesses that nothing orders are reported under every seed, whichever came first and whatever came of
//! it, and accesses that something orders never are.

use std::future::Future;

use snowglobe_sim::tasks::{DATA_RACE, Runtime, Tasks};
use snowglobe_sim::{Config, Ending, World};

const SEEDS: u64 = 200;

type Rt = Runtime<()>;

/// The details of the races of one run.
fn races<F>(seed: u64, program: impl Fn(Rt) -> F + Send + Sync + Copy + 'static) -> Vec<String>
where
    F: Future<Output = ()> + 'static,
{
    let mut world = World::new(Config::new(1), seed, move |_| Tasks::<()>::new(program));
    assert_eq!(world.run(&mut ()), Ending::Quiet, "{:?}", world.violation());
    assert!(world.findings().iter().all(|finding| finding.property == DATA_RACE));
    assert!(world.findings().iter().all(|finding| finding.evidence.len() == 2));
    world.findings().iter().map(|finding| finding.detail.clone()).collect()
}

fn always_races<F>(program: impl Fn(Rt) -> F + Send + Sync + Copy + 'static)
where
    F: Future<Output = ()> + 'static,
{
    for seed in 0..SEEDS {
        assert!(!races(seed, program).is_empty(), "seed {seed}");
    }
}

fn never_races<F>(program: impl Fn(Rt) -> F + Send + Sync + Copy + 'static)
where
    F: Future<Output = ()> + 'static,
{
    for seed in 0..SEEDS {
        assert_eq!(races(seed, program), [""; 0], "seed {seed}");
    }
}

#[test]
fn a_race_names_both_tasks_and_both_places() {
    let mut orders = [false; 2];
    for seed in 0..SEEDS {
        let found = races(seed, |rt| async move {
            let cell = rt.cell("hits", 0);
            let others = cell.clone();
            let task = rt.spawn("page", async move { others.set(1).await });
            cell.read(|hits| *hits).await;
            task.await;
        });
        let line = line!();
        let (write, read) = (format!("tests/races.rs:{}", line - 4), format!("tests/races.rs:{}", line - 3));
        let [detail] = &found[..] else { panic!("one race, not {found:?}") };
        assert!(detail.starts_with("cell \"hits\": "), "{detail}");
        assert!(detail.contains("page wrote it at ") && detail.contains(&write), "{detail}");
        assert!(detail.contains("main read it at ") && detail.contains(&read), "{detail}");
        orders[usize::from(detail.contains("\": main"))] = true;
    }
    assert_eq!(orders, [true; 2], "either came first under some seed");
}

#[test]
fn two_writes_without_a_lock_race_however_far_apart() {
    always_races(|rt| async move {
        let cell = rt.cell("hits", 0);
        let others = cell.clone();
        let task = rt.spawn("page", async move { others.write(|hits| *hits += 1).await });
        rt.sleep(1_000_000).await;
        cell.write(|hits| *hits += 1).await;
        task.await;
    });
}

#[test]
fn two_reads_do_not_race() {
    never_races(|rt| async move {
        let cell = rt.cell("hits", 7);
        let others = cell.clone();
        let task = rt.spawn("page", async move { others.get().await });
        assert_eq!(cell.get().await + task.await, 14);
    });
}

#[test]
fn a_lock_orders_and_sleeping_does_not() {
    never_races(|rt| async move {
        let (cell, lock) = (rt.cell("hits", 0), rt.mutex("lock", ()));
        let pages = (1..=3).map(|page| {
            let (cell, lock) = (cell.clone(), lock.clone());
            rt.spawn(("page", page), async move {
                let _guard = lock.lock().await;
                let seen = cell.get().await;
                cell.set(seen + 1).await;
            })
        });
        for page in pages.collect::<Vec<_>>() {
            page.await;
        }
        assert_eq!(cell.get().await, 3);
    });
    always_races(|rt| async move {
        let cell = rt.cell("hits", 0);
        for page in 1..=3 {
            let cell = cell.clone();
            rt.spawn(("page", page), async move { cell.write(|hits| *hits += 1).await });
        }
        rt.sleep(1_000_000_000).await;
        assert_eq!(cell.get().await, 3);
    });
}

#[test]
fn two_locks_are_not_one() {
    always_races(|rt| async move {
        let (cell, a, b) = (rt.cell("hits", 0), rt.mutex("a", ()), rt.mutex("b", ()));
        let others = cell.clone();
        let task = rt.spawn("page", async move {
            let _guard = a.lock().await;
            others.write(|hits| *hits += 1).await;
        });
        let guard = b.lock().await;
        cell.write(|hits| *hits += 1).await;
        drop(guard);
        task.await;
    });
}

#[test]
fn spawn_and_join_order() {
    never_races(|rt| async move {
        let cell = rt.cell("hits", 0);
        cell.set(1).await;
        let others = cell.clone();
        rt.spawn("page", async move { others.write(|hits| *hits += 1).await }).await;
        assert_eq!(cell.get().await, 2);
    });
    always_races(|rt| async move {
        let cell = rt.cell("hits", 0);
        let others = cell.clone();
        let task = rt.spawn("page", async move { others.get().await });
        cell.set(1).await;
        task.await;
    });
}

#[test]
fn a_wait_group_orders_those_that_are_done_before_the_wait() {
    never_races(|rt| async move {
        let (cell, group) = (rt.cell("hits", 0), rt.wait_group("pages"));
        group.add(1);
        let (others, done) = (cell.clone(), group.clone());
        rt.spawn("page", async move {
            others.set(1).await;
            done.done();
        });
        group.wait().await;
        assert_eq!(cell.get().await, 1);
    });
    always_races(|rt| async move {
        let (cell, group) = (rt.cell("hits", 0), rt.wait_group("pages"));
        group.add(1);
        let (others, done) = (cell.clone(), group.clone());
        let task = rt.spawn("page", async move {
            done.done();
            others.set(1).await;
        });
        group.wait().await;
        cell.get().await;
        task.await;
    });
}

#[test]
fn a_channel_orders_the_send_before_the_receive() {
    never_races(|rt| async move {
        let (cell, (send, recv)) = (rt.cell("hits", 0), rt.channel("c", 1));
        let others = cell.clone();
        rt.spawn("page", async move {
            others.set(1).await;
            send.send(()).await.unwrap();
        });
        recv.recv().await;
        assert_eq!(cell.get().await, 1);
    });
    // What comes after the send is not ordered: the buffer has room.
    always_races(|rt| async move {
        let (cell, (send, recv)) = (rt.cell("hits", 0), rt.channel("c", 1));
        let others = cell.clone();
        let task = rt.spawn("page", async move {
            send.send(()).await.unwrap();
            others.set(1).await;
        });
        recv.recv().await;
        cell.get().await;
        task.await;
    });
}

#[test]
fn an_unbuffered_channel_orders_the_receive_before_the_end_of_the_send() {
    never_races(|rt| async move {
        let (cell, (send, recv)) = (rt.cell("hits", 0), rt.channel("c", 0));
        let others = cell.clone();
        rt.spawn("page", async move {
            others.set(1).await;
            recv.recv().await;
        });
        send.send(()).await.unwrap();
        assert_eq!(cell.get().await, 1);
    });
}

#[test]
fn a_full_buffer_orders_the_receive_before_the_send_that_takes_its_room() {
    // A channel as a semaphore of one: Go's idiom.
    never_races(|rt| async move {
        let (cell, (take, give)) = (rt.cell("hits", 0), rt.channel("slots", 1));
        let pages = (1..=3).map(|page| {
            let (cell, take, give) = (cell.clone(), take.clone(), give.clone());
            rt.spawn(("page", page), async move {
                take.send(()).await.unwrap();
                let seen = cell.get().await;
                cell.set(seen + 1).await;
                give.recv().await;
            })
        });
        for page in pages.collect::<Vec<_>>() {
            page.await;
        }
        assert_eq!(cell.get().await, 3);
    });
    // Two slots do not exclude each other.
    always_races(|rt| async move {
        let (cell, (take, give)) = (rt.cell("hits", 0), rt.channel("slots", 2));
        let pages = (1..=2).map(|page| {
            let (cell, take, give) = (cell.clone(), take.clone(), give.clone());
            rt.spawn(("page", page), async move {
                take.send(()).await.unwrap();
                cell.write(|hits| *hits += 1).await;
                give.recv().await;
            })
        });
        for page in pages.collect::<Vec<_>>() {
            page.await;
        }
    });
}

#[test]
fn closing_a_channel_orders() {
    never_races(|rt| async move {
        let (cell, (send, recv)) = (rt.cell("hits", 0), rt.channel::<()>("done", 0));
        let others = cell.clone();
        rt.spawn("page", async move {
            others.set(1).await;
            drop(send);
        });
        assert_eq!(recv.recv().await, None);
        assert_eq!(cell.get().await, 1);
    });
}

#[test]
fn a_semaphore_and_a_condition_order() {
    never_races(|rt| async move {
        let (cell, slots) = (rt.cell("hits", 0), rt.semaphore("slots", 1));
        let (others, slots_of_page) = (cell.clone(), slots.clone());
        let task = rt.spawn("page", async move {
            let _permit = slots_of_page.acquire(1).await;
            others.write(|hits| *hits += 1).await;
        });
        let permit = slots.acquire(1).await;
        cell.write(|hits| *hits += 1).await;
        drop(permit);
        task.await;
    });
    never_races(|rt| async move {
        let (ready, changed) = (rt.mutex("ready", false), rt.condition("changed"));
        let cell = rt.cell("hits", 0);
        let (others, flag, notify) = (cell.clone(), ready.clone(), changed.clone());
        rt.spawn("page", async move {
            others.set(1).await;
            *flag.lock().await = true;
            notify.notify_all();
        });
        let mut guard = ready.lock().await;
        while !*guard {
            guard = changed.wait(guard).await;
        }
        assert_eq!(cell.get().await, 1);
    });
}

#[test]
fn a_race_with_a_task_that_has_ended_is_found_though_its_place_is_reused() {
    always_races(|rt| async move {
        let cell = rt.cell("hits", 0);
        let others = cell.clone();
        rt.spawn("first", async move { others.set(1).await });
        rt.sleep(1_000).await;
        // Many short lives after it, none of which passes anything on.
        for n in 0..50 {
            rt.spawn(("idle", n), async {});
            rt.sleep(1_000).await;
        }
        let others = cell.clone();
        rt.spawn("last", async move { others.set(2).await }).await;
    });
}
