//! Deadlocks and leaks: who waits for what, where, and held by whom since where.

use std::future::Future;

use snowglobe_sim::tasks::{Runtime, TASK_LEAK, Tasks, UNLOCK_WITHOUT_LOCK};
use snowglobe_sim::{Config, Ending, Violation, World};

type Rt = Runtime<()>;

const SEEDS: u64 = 50;

fn run<F>(seed: u64, program: impl Fn(Rt) -> F + Send + Sync + Copy + 'static) -> (Ending, Vec<Violation>)
where
    F: Future<Output = ()> + 'static,
{
    let config = Config { names: vec!["bank".to_owned()], ..Config::new(1) };
    let mut world = World::new(config, seed, move |_| Tasks::<()>::new(program));
    let ending = world.run(&mut ());
    let found = world.findings().iter().chain(world.violation()).cloned().collect();
    (ending, found)
}

/// The one violation that every seed finds.
fn always<F>(property: &str, program: impl Fn(Rt) -> F + Send + Sync + Copy + 'static) -> String
where
    F: Future<Output = ()> + 'static,
{
    let mut details: Vec<String> = (0..SEEDS)
        .map(|seed| {
            let (_, found) = run(seed, program);
            let [violation] = &found[..] else { panic!("seed {seed}: {found:?}") };
            assert_eq!(violation.property, property, "seed {seed}");
            violation.detail.replace("sim/tests/deadlocks.rs", "here").replace("replica/2", "replica/1")
        })
        .collect();
    details.dedup();
    assert_eq!(details.len(), 1, "{details:?}");
    details.remove(0)
}

#[test]
fn a_lock_taken_twice_by_one_task_is_a_deadlock_with_itself() {
    let detail = always("deadlock", |rt| async move {
        let lock = rt.mutex("accounts", 0);
        let _guard = lock.lock().await;
        drop(lock.lock().await);
    });
    let line = line!();
    let (first, second) = (line - 3, line - 2);
    assert_eq!(
        detail,
        format!(
            "bank: main waits at here:{second} for lock \"accounts\" held by main since here:{first}, which is itself"
        )
    );
}

#[test]
fn two_locks_in_two_orders_are_a_circle_also_while_the_program_serves_the_network() {
    let detail = always("deadlock", |rt| async move {
        let (a, b) = (rt.mutex("a", ()), rt.mutex("b", ()));
        for (name, first, second) in [("there", &a, &b), ("back", &b, &a)] {
            let (first, second, sleeper) = (first.clone(), second.clone(), rt.clone());
            rt.spawn(name, async move {
                let _first = first.lock().await;
                sleeper.sleep(1_000).await;
                let _second = second.lock().await;
            });
        }
        rt.recv().await;
    });
    let line = line!();
    let (first, second) = (line - 7, line - 5);
    assert_eq!(
        detail,
        format!(
            "bank: there waits at here:{second} for lock \"b\" held by back since here:{first}; \
             back waits at here:{second} for lock \"a\" held by there since here:{first}; \
             a circle: there -> back -> there"
        )
    );
}

#[test]
fn a_lock_that_is_never_released_holds_up_those_who_come_after() {
    let detail = always("deadlock", |rt| async move {
        let lock = rt.mutex("pages", 0);
        let forgetful = lock.clone();
        rt.spawn("forgetful", async move { forgetful.lock().await.keep() }).await;
        rt.spawn("late", async move { drop(lock.lock().await) });
        // Others wait for the network, and are not the matter.
        rt.recv().await;
    });
    assert!(detail.starts_with("bank: late waits at here:"), "{detail}");
    assert!(detail.contains("for lock \"pages\" held by forgetful since here:"), "{detail}");
    assert!(detail.ends_with(", which has ended"), "{detail}");
}

#[test]
fn a_kept_lock_is_released_by_whoever_unlocks_it() {
    for seed in 0..SEEDS {
        let (ending, found) = run(seed, |rt| async move {
            let lock = rt.mutex("pages", 0);
            lock.lock().await.keep();
            let other = lock.clone();
            let waits = rt.spawn("waits", async move { *other.lock().await += 1 });
            lock.unlock();
            waits.await;
            assert_eq!(*lock.lock().await, 1);
        });
        assert_eq!((ending, found), (Ending::Quiet, vec![]));
    }
}

#[test]
fn a_lock_that_nobody_holds_is_not_to_be_unlocked() {
    let detail = always(UNLOCK_WITHOUT_LOCK, |rt| async move {
        let lock = rt.mutex("pages", 0);
        drop(lock.lock().await);
        lock.unlock();
    });
    assert_eq!(detail, format!("main released lock \"pages\" at here:{}, and nobody held it", line!() - 2));
}

#[test]
fn a_receiver_that_nobody_sends_to_any_more_has_leaked_when_the_program_is_over() {
    let detail = always(TASK_LEAK, |rt| async move {
        let (publish, subscribe) = rt.channel("news", 1);
        // The mistake: the subscriber keeps a sender itself, so that its channel is never closed.
        let own = publish.clone();
        rt.spawn("subscriber", async move {
            let _own = own;
            while subscribe.recv().await.is_some() {}
        });
        publish.send(()).await.unwrap();
        rt.sleep(1_000).await;
    });
    let line = line!() - 5;
    let waits = format!("subscriber waits at here:{line} for a value from channel \"news\"");
    assert_eq!(detail, format!("the program is over, and {waits}"));
}

#[test]
fn a_sender_whose_value_nobody_takes_has_leaked_when_the_program_is_over() {
    let detail = always(TASK_LEAK, |rt| async move {
        let (answer, answers) = rt.channel("answers", 0);
        let kept = answers.clone();
        for replica in 1..=2 {
            let (answer, kept) = (answer.clone(), kept.clone());
            rt.spawn(("replica", replica), async move {
                let _kept = kept;
                let _ = answer.send(replica).await;
            });
        }
        answers.recv().await;
        rt.sleep(1_000).await;
    });
    let line = line!() - 6;
    let waits = format!("replica/1 waits at here:{line} for a receiver on channel \"answers\"");
    assert_eq!(detail, format!("the program is over, and {waits}"));
}

#[test]
fn whatever_a_task_still_waits_for_when_the_program_is_over_is_told_with_its_place() {
    let detail = always(TASK_LEAK, |rt| async move {
        let (lock, slots) = (rt.mutex("accounts", ()), rt.semaphore("slots", 0));
        let (group, changed) = (rt.wait_group("pages"), rt.condition("changed"));
        lock.lock().await.keep();
        group.add(1);
        let (wanted, queue) = (lock.clone(), rt.mutex("queue", ()));
        rt.spawn("teller", async move { drop(wanted.lock().await) });
        rt.sleep(1).await;
        rt.spawn("fetcher", async move { drop(slots.acquire(1).await) });
        rt.sleep(1).await;
        rt.spawn("crawler", async move { group.wait().await });
        rt.sleep(1).await;
        rt.spawn("consumer", async move { drop(changed.wait(queue.lock().await).await) });
        rt.sleep(1).await;
    });
    let line = line!();
    let [teller, fetcher, crawler, consumer] = [9, 7, 5, 3].map(|before| line - before);
    let taken = line - 12;
    assert_eq!(
        detail,
        format!(
            "the program is over, and \
             teller waits at here:{teller} for lock \"accounts\" held by main since here:{taken}, which has ended; \
             fetcher waits at here:{fetcher} for 1 of semaphore \"slots\" (0 free); \
             crawler waits at here:{crawler} for wait group \"pages\" (1 to go); \
             consumer waits at here:{consumer} for condition \"changed\""
        )
    );
}

#[test]
fn a_circle_of_locks_has_leaked_also_while_another_task_has_something_to_do() {
    let detail = always(TASK_LEAK, |rt| async move {
        let (a, b) = (rt.mutex("a", ()), rt.mutex("b", ()));
        for (name, first, second) in [("there", &a, &b), ("back", &b, &a)] {
            let (first, second, sleeper) = (first.clone(), second.clone(), rt.clone());
            rt.spawn(name, async move {
                let _first = first.lock().await;
                sleeper.sleep(1_000).await;
                let _second = second.lock().await;
            });
        }
        let sleeper = rt.clone();
        rt.spawn("sleeper", async move { sleeper.sleep(1_000_000).await });
        rt.sleep(2_000).await;
    });
    assert!(detail.starts_with("the program is over, and there waits at here:"), "{detail}");
    assert!(detail.ends_with("a circle: there -> back -> there"), "{detail}");
}

#[test]
fn tasks_that_still_have_something_to_do_when_the_program_is_over_have_not_leaked() {
    for seed in 0..SEEDS {
        let (ending, found) = run(seed, |rt| async move {
            let (send, recv) = rt.channel::<u32>("numbers", 0);
            let sleeper = rt.clone();
            rt.spawn("sleeper", async move { sleeper.sleep(1_000).await });
            rt.spawn("receiver", async move { while recv.recv().await.is_some() {} });
            send.send(1).await.unwrap();
        });
        assert_eq!((ending, found), (Ending::Quiet, vec![]));
    }
}
