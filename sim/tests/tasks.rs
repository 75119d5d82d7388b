//! Tasks, by what a program of them does.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex as StdMutex};
use std::task::{Context as PollContext, Poll};

use proptest::prelude::*;
use snowglobe_sim::tasks::{Broken, Elapsed, Runtime, Tasks};
use snowglobe_sim::{
    Config, Context, Either, Ending, Fault, FaultPlan, Label, Limits, MILLIS, Message, NodeId, Observer,
    Process, Record, SECONDS, Stamp, TaskAction, World,
};

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Word(u64);

impl Message for Word {
    type Note = &'static str;

    fn label(&self) -> Label {
        Label::new("word")
    }
}

type Rt = Runtime<Word>;

/// What happened in a run, in order, as the program told it.
type Log = Rc<RefCell<Vec<String>>>;

struct Outcome {
    ending: Ending,
    log: Vec<String>,
    digest: String,
    detail: Option<String>,
}

/// Runs a program on one node and returns what it logged.
fn run<F>(seed: u64, program: impl Fn(Rt, Log) -> F + Send + Sync + Copy + 'static) -> Outcome
where
    F: Future<Output = ()> + 'static,
{
    let told = Arc::new(StdMutex::new(Vec::new()));
    let teller = Arc::clone(&told);
    let mut world = World::new(Config::new(1), seed, move |_| {
        let teller = Arc::clone(&teller);
        Tasks::new(move |rt| {
            let log = Log::default();
            let main = program(rt, Rc::clone(&log));
            async move {
                let _told = Told { log, teller };
                main.await;
            }
        })
    });
    let ending = world.run(&mut ());
    let digest = format!("{:?}", world.digest());
    let detail = world.violation().map(|violation| violation.detail.clone());
    drop(world);
    let log = told.lock().unwrap().clone();
    Outcome { ending, log, digest, detail }
}

/// Hands the log over when the program is gone, however it went.
struct Told {
    log: Log,
    teller: Arc<StdMutex<Vec<String>>>,
}

impl Drop for Told {
    fn drop(&mut self) {
        self.teller.lock().unwrap().extend(self.log.borrow_mut().drain(..));
    }
}

fn log(log: &Log, line: impl Into<String>) {
    log.borrow_mut().push(line.into());
}

/// The log of a program that must end well.
fn logged<F>(seed: u64, program: impl Fn(Rt, Log) -> F + Send + Sync + Copy + 'static) -> Vec<String>
where
    F: Future<Output = ()> + 'static,
{
    let outcome = run(seed, program);
    assert_eq!((outcome.ending, outcome.detail), (Ending::Quiet, None));
    outcome.log
}

/// The report of a program that must deadlock.
fn deadlock<F>(program: impl Fn(Rt) -> F + Send + Sync + Copy + 'static) -> String
where
    F: Future<Output = ()> + 'static,
{
    let reports: Vec<String> = (0..20)
        .map(|seed| {
            let outcome = run(seed, move |rt, _| program(rt));
            assert_eq!(outcome.ending, Ending::Violated);
            outcome.detail.expect("a deadlock has a report")
        })
        .collect();
    assert!(reports.iter().all(|report| *report == reports[0]), "{reports:?}");
    without_places(&reports[0])
}

/// A report without the places in this file, which change with every line added to it; `deadlocks.rs` looks at them.
fn without_places(report: &str) -> String {
    let mut words: Vec<&str> = Vec::new();
    for word in report.split(' ') {
        match word.split_once(".rs:") {
            Some((_, line)) => {
                words.pop();
                let end = line.trim_start_matches(|c: char| c.is_ascii_digit());
                if !end.is_empty() {
                    let last = words.len() - 1;
                    let joined = format!("{}{end}", words[last]);
                    words[last] = joined.leak();
                }
            }
            None => words.push(word),
        }
    }
    words.join(" ")
}

// ---- Channels.

#[test]
fn an_unbuffered_send_ends_when_its_value_is_received() {
    for seed in 0..50 {
        let lines = logged(seed, |rt, lines| async move {
            let (send, recv) = rt.channel("c", 0);
            let (to_log, sleeper) = (Rc::clone(&lines), rt.clone());
            rt.spawn("receiver", async move {
                for _ in 0..2 {
                    sleeper.sleep(10).await;
                    log(&to_log, format!("received {:?}", recv.recv().await));
                }
            });
            for n in 1..=2 {
                log(&lines, format!("sending {n}"));
                send.send(n).await.unwrap();
                log(&lines, format!("sent {n} at {}", rt.now()));
            }
        });
        assert_eq!(
            lines,
            [
                "sending 1",
                "received Some(1)",
                "sent 1 at 10",
                "sending 2",
                "received Some(2)",
                "sent 2 at 20"
            ]
        );
    }
}

#[test]
fn a_bounded_channel_takes_so_many_without_a_receiver() {
    for seed in 0..50 {
        let lines = logged(seed, |rt, lines| async move {
            let (send, recv) = rt.channel("c", 2);
            let (to_log, clock) = (Rc::clone(&lines), rt.clone());
            let sender = rt.spawn("sender", async move {
                for n in 1..=4 {
                    send.send(n).await.unwrap();
                    log(&to_log, format!("sent {n} at {}", clock.now()));
                }
            });
            rt.sleep(10).await;
            assert_eq!(recv.recv().await, Some(1));
            rt.sleep(10).await;
            assert_eq!(recv.len(), 2);
            assert_eq!(recv.recv().await, Some(2));
            sender.await;
            assert_eq!((recv.recv().await, recv.recv().await), (Some(3), Some(4)));
        });
        assert_eq!(lines, ["sent 1 at 0", "sent 2 at 0", "sent 3 at 10", "sent 4 at 20"]);
    }
}

#[test]
fn a_closed_channel_is_drained_and_then_gives_none_and_refuses_sends() {
    for seed in 0..20 {
        logged(seed, |rt, _| async move {
            let (send, recv) = rt.channel("c", 2);
            for n in 1..=2 {
                send.send(n).await.unwrap();
            }
            let late = send.clone();
            let late = rt.spawn("late", async move { late.send(3).await });
            rt.sleep(1).await;
            send.close();
            send.close();
            assert_eq!(late.await, Err(3));
            assert_eq!(send.send(4).await, Err(4));
            assert_eq!((recv.recv().await, recv.recv().await, recv.recv().await), (Some(1), Some(2), None));
            assert_eq!(recv.recv().await, None);
        });
    }
}

#[test]
fn the_last_sender_closes_and_the_last_receiver_refuses() {
    for seed in 0..20 {
        logged(seed, |rt, _| async move {
            let (send, recv) = rt.channel::<u32>("c", 0);
            let waiting: Vec<_> = (1..=3)
                .map(|n| {
                    let recv = recv.clone();
                    rt.spawn(("waiter", n), async move { recv.recv().await })
                })
                .collect();
            rt.sleep(1).await;
            drop(send);
            for waiter in waiting {
                assert_eq!(waiter.await, None);
            }
            let (send, recv) = rt.channel("d", 0);
            let sender = rt.spawn("sender", async move { send.send(7).await });
            rt.sleep(1).await;
            drop(recv);
            assert_eq!(sender.await, Err(7));
        });
    }
}

#[test]
fn every_value_reaches_one_of_several_receivers() {
    for seed in 0..50 {
        for capacity in [0, 1, 3] {
            logged(seed, move |rt, _| async move {
                let (send, recv) = rt.channel("c", capacity);
                for sender in 0..3 {
                    let (rt_of_sender, send) = (rt.clone(), send.clone());
                    rt.spawn(("sender", sender), async move {
                        for n in 0..10 {
                            if rt_of_sender.random_below(2) == 0 {
                                rt_of_sender.sleep(rt_of_sender.random_below(5)).await;
                            }
                            send.send(sender * 10 + n).await.unwrap();
                        }
                    });
                }
                drop(send);
                let receivers: Vec<_> = (0..4)
                    .map(|n| {
                        let recv = recv.clone();
                        rt.spawn(("receiver", n), async move {
                            let mut got = Vec::new();
                            while let Some(value) = recv.recv().await {
                                got.push(value);
                            }
                            got
                        })
                    })
                    .collect();
                let mut all = Vec::new();
                for receiver in receivers {
                    all.extend(receiver.await);
                }
                all.sort_unstable();
                assert_eq!(all, (0..30).collect::<Vec<u64>>());
            });
        }
    }
}

#[test]
fn receivers_are_served_in_the_order_they_came() {
    for seed in 0..20 {
        let lines = logged(seed, |rt, lines| async move {
            let (send, recv) = rt.channel("c", 8);
            let mut waiters = Vec::new();
            for n in 0..4 {
                let (recv, lines) = (recv.clone(), Rc::clone(&lines));
                waiters.push(rt.spawn(("waiter", n), async move {
                    let value = recv.recv().await;
                    log(&lines, format!("{n} got {value:?}"));
                }));
                rt.sleep(1).await;
            }
            for value in 0..4 {
                send.send(value).await.unwrap();
                rt.sleep(1).await;
            }
        });
        assert_eq!(lines, ["0 got Some(0)", "1 got Some(1)", "2 got Some(2)", "3 got Some(3)"]);
    }
}

// ---- Select.

#[test]
fn a_die_decides_which_of_two_ready_arms_wins() {
    let winners: Vec<String> = (0..100)
        .map(|seed| {
            logged(seed, |rt, lines| async move {
                let (left, on_left) = rt.channel("left", 1);
                let (right, on_right) = rt.channel("right", 1);
                left.send(()).await.unwrap();
                right.send(()).await.unwrap();
                let winner = match rt.select(on_left.recv(), on_right.recv()).await {
                    Either::Left(_) => "left",
                    Either::Right(_) => "right",
                };
                // What the loser waited for is still there.
                assert_eq!(on_left.len() + on_right.len(), 1);
                log(&lines, winner);
            })
            .remove(0)
        })
        .collect();
    let left = winners.iter().filter(|winner| *winner == "left").count();
    assert!((30..70).contains(&left), "{left}");
}

#[test]
fn a_die_decides_among_many_ready_arms() {
    let mut wins = [0; 4];
    for seed in 0..400 {
        let lines = logged(seed, |rt, lines| async move {
            let channels: Vec<_> = (0..4).map(|n| rt.channel(("c", n), 1)).collect();
            for (send, _) in &channels {
                send.send(()).await.unwrap();
            }
            let (index, _) = rt.select_all(channels.iter().map(|(_, recv)| recv.recv())).await;
            log(&lines, index.to_string());
        });
        wins[lines[0].parse::<usize>().unwrap()] += 1;
    }
    assert!(wins.iter().all(|wins| (70..130).contains(wins)), "{wins:?}");
}

#[test]
fn an_arm_that_is_kept_goes_on_in_the_next_round() {
    let lines = logged(1, |rt, lines| async move {
        let (send, recv) = rt.channel("c", 0);
        let sleeper = rt.clone();
        rt.spawn("sender", async move {
            while send.send(()).await.is_ok() {
                sleeper.sleep(30).await;
            }
        });
        let mut deadline = std::pin::pin!(rt.sleep(100));
        loop {
            match rt.select(recv.recv(), deadline.as_mut()).await {
                Either::Left(_) => log(&lines, format!("value at {}", rt.now())),
                Either::Right(()) => break log(&lines, format!("deadline at {}", rt.now())),
            }
        }
    });
    assert_eq!(lines, ["value at 0", "value at 30", "value at 60", "value at 90", "deadline at 100"]);
}

#[test]
fn what_is_ready_wins_over_time_that_is_up() {
    logged(3, |rt, _| async move {
        assert_eq!(rt.timeout(10, rt.sleep(20)).await, Err(Elapsed));
        assert_eq!(rt.now(), 10);
        assert_eq!(rt.timeout(20, rt.sleep(10)).await, Ok(()));
        assert_eq!(rt.now(), 20);
        assert_eq!(rt.timeout(0, async { 5 }).await, Ok(5));
    });
}

// ---- Locks and counters.

#[test]
fn a_lock_is_held_by_one_at_a_time_and_given_in_order() {
    for seed in 0..50 {
        let lines = logged(seed, |rt, lines| async move {
            let lock = rt.mutex("lock", 0_u32);
            let first = lock.lock().await;
            for n in 1..=4 {
                let (rt_of_task, lock, lines) = (rt.clone(), lock.clone(), Rc::clone(&lines));
                rt.spawn(("task", n), async move {
                    let mut value = lock.lock().await;
                    let seen = *value;
                    rt_of_task.yield_now().await;
                    rt_of_task.sleep(10).await;
                    *value = seen + 1;
                    log(&lines, format!("{n} at {}", rt_of_task.now()));
                });
                rt.sleep(1).await;
            }
            drop(first);
            // Free, but kept for the first in line.
            assert!(lock.try_lock().is_none());
            rt.sleep(100).await;
            assert_eq!(*lock.try_lock().expect("nobody holds it any more"), 4);
        });
        assert_eq!(lines, ["1 at 14", "2 at 24", "3 at 34", "4 at 44"]);
    }
}

#[test]
fn check_then_act_without_a_lock_fails_under_some_schedules_and_never_with_one() {
    let count = |seed, locked: bool| {
        let program = move |rt: Rt, lines: Log| async move {
            let (fetched, lock) = (Rc::new(Cell::new(0)), rt.mutex("fetched", false));
            let seen = Rc::new(Cell::new(false));
            let pages: Vec<_> = (0..2)
                .map(|n| {
                    let (rt, fetched, lock, seen) =
                        (rt.clone(), Rc::clone(&fetched), lock.clone(), Rc::clone(&seen));
                    rt.clone().spawn(("page", n), async move {
                        let guard = if locked { Some(lock.lock().await) } else { None };
                        if rt.random_below(2) == 0 {
                            rt.yield_now().await;
                        }
                        if !seen.get() {
                            if rt.random_below(2) == 0 {
                                rt.yield_now().await;
                            }
                            seen.set(true);
                            fetched.set(fetched.get() + 1);
                        }
                        drop(guard);
                    })
                })
                .collect();
            for page in pages {
                page.await;
            }
            log(&lines, fetched.get().to_string());
        };
        logged(seed, program).remove(0)
    };
    let racy: Vec<String> = (0..100).map(|seed| count(seed, false)).collect();
    assert!(racy.iter().any(|fetched| fetched == "1") && racy.iter().any(|fetched| fetched == "2"));
    assert!((0..100).all(|seed| count(seed, true) == "1"));
}

#[test]
fn a_wait_group_waits_for_all_and_only_for_them() {
    for seed in 0..20 {
        logged(seed, |rt, _| async move {
            let pages = rt.wait_group("pages");
            pages.wait().await;
            for n in 1..=3 {
                pages.add(1);
                let (rt, pages) = (rt.clone(), pages.clone());
                rt.clone().spawn(("page", n), async move {
                    rt.sleep(n * 10).await;
                    pages.done();
                });
            }
            pages.wait().await;
            assert_eq!(rt.now(), 30);
        });
    }
}

#[test]
fn a_wait_group_below_zero_panics() {
    let outcome = run(1, |rt, _| async move {
        rt.wait_group("pages").done();
    });
    assert_eq!(outcome.ending, Ending::Violated);
    assert_eq!(outcome.detail.unwrap(), "n0 panicked: wait group \"pages\": more done than were added");
}

#[test]
fn a_semaphore_admits_so_many_and_lets_nobody_overtake() {
    for seed in 0..20 {
        let lines = logged(seed, |rt, lines| async move {
            let slots = rt.semaphore("slots", 3);
            let (inside, most) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
            let tasks: Vec<_> = (0..10)
                .map(|n| {
                    let (rt, slots) = (rt.clone(), slots.clone());
                    let (inside, most) = (Rc::clone(&inside), Rc::clone(&most));
                    rt.clone().spawn(("task", n), async move {
                        let permit = slots.acquire(1).await;
                        inside.set(inside.get() + 1);
                        most.set(most.get().max(inside.get()));
                        rt.sleep(5).await;
                        inside.set(inside.get() - 1);
                        drop(permit);
                    })
                })
                .collect();
            for task in tasks {
                task.await;
            }
            assert_eq!(most.get(), 3);

            let one = slots.acquire(1).await;
            let (all_lines, all_slots) = (Rc::clone(&lines), slots.clone());
            rt.spawn("all", async move {
                let _all = all_slots.acquire(3).await;
                log(&all_lines, "all");
            });
            rt.sleep(1).await;
            // Two are free, but the one who wants three came first.
            assert!(slots.try_acquire(1).is_none());
            let (few_lines, few_slots) = (Rc::clone(&lines), slots.clone());
            let few = rt.spawn("few", async move {
                let _one = few_slots.acquire(1).await;
                log(&few_lines, "few");
            });
            rt.sleep(1).await;
            drop(one);
            few.await;
        });
        assert_eq!(lines, ["all", "few"]);
    }
}

#[test]
fn a_notification_reaches_one_or_all_who_wait() {
    for seed in 0..20 {
        logged(seed, |rt, _| async move {
            let (count, changed) = (rt.mutex("count", 0), rt.condition("changed"));
            let awake = Rc::new(Cell::new(0));
            for n in 0..3 {
                let (count, changed, awake) = (count.clone(), changed.clone(), Rc::clone(&awake));
                rt.spawn(("waiter", n), async move {
                    let guard = count.lock().await;
                    let _guard = changed.wait(guard).await;
                    awake.set(awake.get() + 1);
                });
            }
            rt.sleep(1).await;
            changed.notify_one();
            rt.sleep(1).await;
            assert_eq!(awake.get(), 1);
            changed.notify_all();
            rt.sleep(1).await;
            assert_eq!(awake.get(), 3);
        });
    }
}

// ---- Cancellation.

/// Polls a future once and drops it.
async fn poll_once<F: Future>(future: F) -> bool {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|poll| Poll::Ready(future.as_mut().poll(poll).is_ready())).await
}

#[test]
fn a_receiver_that_gives_up_loses_neither_an_item_nor_the_next_receivers_wakeup() {
    for seed in 0..100 {
        logged(seed, |rt, _| async move {
            let (send, recv) = rt.channel("c", 0);
            // The first in line has a rival arm that becomes ready at the same instant.
            let (rival, on_rival) = rt.channel::<()>("rival", 1);
            let (rt_of_first, recv_of_first) = (rt.clone(), recv.clone());
            let first = rt.spawn("first", async move {
                match rt_of_first.select(recv_of_first.recv(), on_rival.recv()).await {
                    Either::Left(value) => value,
                    Either::Right(_) => None,
                }
            });
            rt.sleep(1).await;
            let second = rt.spawn("second", async move { recv.recv().await });
            rt.sleep(1).await;
            rival.send(()).await.unwrap();
            send.send(5).await.unwrap();
            drop(send);
            let mut both = [first.await, second.await];
            both.sort_unstable();
            assert_eq!(both, [None, Some(5)]);
        });
    }
}

#[test]
fn whoever_leaves_a_line_lets_the_next_one_in() {
    for seed in 0..20 {
        logged(seed, |rt, _| async move {
            let (lock, slots) = (rt.mutex("lock", ()), rt.semaphore("slots", 2));
            let (guard, permit) = (lock.lock().await, slots.acquire(1).await);
            // Timed out while first in line, and while wanting more than there is.
            assert_eq!(rt.timeout(5, lock.lock()).await.map(drop), Err(Elapsed));
            let (rt_of_greedy, greedy) = (rt.clone(), slots.clone());
            let greedy =
                rt.spawn("greedy", async move { rt_of_greedy.timeout(5, greedy.acquire(2)).await.is_err() });
            rt.sleep(1).await;
            let modest = slots.clone();
            let modest = rt.spawn("modest", async move { drop(modest.acquire(1).await) });
            modest.await;
            assert_eq!(rt.now(), 10);
            assert!(greedy.await);
            drop((guard, permit));
            assert!(lock.try_lock().is_some());
            assert_eq!(slots.available(), 2);
        });
    }
}

#[test]
fn a_send_that_is_withdrawn_has_not_happened() {
    logged(1, |rt, _| async move {
        let (send, recv) = rt.channel("c", 0);
        assert!(!poll_once(send.send(1)).await);
        assert!(!poll_once(recv.recv()).await);
        let sender = rt.spawn("sender", async move { send.send(2).await });
        assert_eq!(recv.recv().await, Some(2));
        assert_eq!(sender.await, Ok(()));
    });
}

#[test]
fn a_called_waiter_that_finds_the_offer_withdrawn_keeps_its_place() {
    for seed in 0..50 {
        logged(seed, |rt, _| async move {
            let (send, recv) = rt.channel("c", 0);
            let waiter = rt.spawn("waiter", async move { recv.recv().await });
            rt.sleep(1).await;
            assert!(!poll_once(send.send(1)).await);
            rt.sleep(1).await;
            send.send(2).await.unwrap();
            assert_eq!(waiter.await, Some(2));
        });
    }
}

#[test]
fn a_sleep_that_is_dropped_keeps_nobody_up() {
    let mut world = World::new(Config::new(1), 1, |_| {
        Tasks::<Word>::new(|rt| async move {
            assert!(!poll_once(rt.sleep(SECONDS)).await);
            rt.recv().await;
        })
    });
    assert_eq!(world.run(&mut ()), Ending::Quiet);
    assert_eq!(world.now(), 0);
}

// ---- Tasks.

#[test]
fn a_join_gives_the_result_and_a_dropped_handle_detaches() {
    for seed in 0..20 {
        let lines = logged(seed, |rt, lines| async move {
            let (rt_of_slow, to_log) = (rt.clone(), Rc::clone(&lines));
            drop(rt.spawn("detached", async move {
                rt_of_slow.sleep(5).await;
                log(&to_log, "detached ran");
            }));
            let rt_of_sum = rt.clone();
            let sum = rt.spawn("sum", async move {
                rt_of_sum.sleep(10).await;
                vec![1, 2, 3]
            });
            assert_eq!(sum.await, [1, 2, 3]);
            let done = rt.spawn("done", async { "done" });
            rt.sleep(1).await;
            assert!(done.is_finished());
            assert_eq!(done.await, "done");
        });
        assert_eq!(lines, ["detached ran"]);
    }
}

#[test]
fn when_main_returns_the_others_are_gone() {
    let mut world = World::new(Config::new(2), 1, |node| {
        Tasks::<Word>::new(move |rt| async move {
            if node == NodeId(0) {
                let (rt_of_other, rt_of_sleeper) = (rt.clone(), rt.clone());
                rt.spawn("other", async move {
                    loop {
                        let (from, word) = rt_of_other.recv().await;
                        rt_of_other.send(from, word);
                    }
                });
                rt.spawn("sleeper", async move {
                    rt_of_sleeper.sleep(100 * SECONDS).await;
                    unreachable!("main has returned long before");
                });
                rt.sleep(SECONDS).await;
            } else {
                rt.send(NodeId(0), Word(1));
                assert_eq!(rt.recv().await.1, Word(1));
                rt.sleep(2 * SECONDS).await;
                rt.send(NodeId(0), Word(2));
                assert!(rt.timeout(SECONDS, rt.recv()).await.is_err());
            }
        })
    });
    assert_eq!(world.run(&mut ()), Ending::Quiet);
    let first = world.process(NodeId(0)).unwrap();
    assert!(first.is_over());
    assert_eq!(first.living(), 0);
    // The sleeper's timer went with it.
    assert!(world.now() < 4 * SECONDS);
}

#[test]
fn a_panic_in_a_task_ends_the_run_and_names_the_node() {
    let outcome = run(1, |rt, _| async move {
        let (lock, slots) = (rt.mutex("lock", ()), rt.semaphore("slots", 1));
        let _guard = lock.lock().await;
        let _permit = slots.acquire(1).await;
        let task = rt.spawn("task", async { panic!("no such page") });
        task.await;
    });
    assert_eq!(outcome.ending, Ending::Violated);
    assert_eq!(outcome.detail.unwrap(), "n0 panicked: no such page");
}

#[test]
fn a_future_with_wakers_of_its_own_composes() {
    /// Polls two futures, each with a waker that remembers that it was woken, as futures of other crates do.
    struct Both<A, B> {
        arms: (Pin<Box<A>>, Pin<Box<B>>),
        done: (bool, bool),
        woken: Option<Arc<Flag>>,
        polls: Rc<Cell<u32>>,
    }
    struct Flag {
        left: std::sync::atomic::AtomicBool,
        outer: StdMutex<Option<std::task::Waker>>,
    }
    impl std::task::Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.left.store(true, std::sync::atomic::Ordering::Relaxed);
            if let Some(waker) = self.outer.lock().unwrap().take() {
                waker.wake();
            }
        }
    }
    impl<A: Future<Output = ()>, B: Future<Output = ()>> Future for Both<A, B> {
        type Output = ();

        fn poll(mut self: Pin<&mut Self>, poll: &mut PollContext<'_>) -> Poll<()> {
            let this = &mut *self;
            let flag = this
                .woken
                .get_or_insert_with(|| {
                    Arc::new(Flag {
                        left: std::sync::atomic::AtomicBool::new(true),
                        outer: StdMutex::default(),
                    })
                })
                .clone();
            *flag.outer.lock().unwrap() = Some(poll.waker().clone());
            if !this.done.0 && flag.left.swap(false, std::sync::atomic::Ordering::Relaxed) {
                this.polls.set(this.polls.get() + 1);
                let waker = std::task::Waker::from(Arc::clone(&flag));
                this.done.0 = this.arms.0.as_mut().poll(&mut PollContext::from_waker(&waker)).is_ready();
            }
            if !this.done.1 {
                this.done.1 = this.arms.1.as_mut().poll(poll).is_ready();
            }
            if this.done == (true, true) { Poll::Ready(()) } else { Poll::Pending }
        }
    }
    for seed in 0..20 {
        logged(seed, |rt, _| async move {
            let (send, recv) = rt.channel("c", 0);
            let polls = Rc::new(Cell::new(0));
            let arms =
                (Box::pin(async move { while recv.recv().await.is_some() {} }), Box::pin(rt.sleep(25)));
            let both = Both { arms, done: (false, false), woken: None, polls: Rc::clone(&polls) };
            let both = rt.spawn("both", both);
            for n in 0..3 {
                rt.sleep(10).await;
                send.send(n).await.unwrap();
            }
            drop(send);
            both.await;
            // The first poll, one for each value, one for the end.
            assert_eq!(polls.get(), 5);
        });
    }
}

// ---- Deadlocks.

#[test]
fn a_lock_never_released_is_reported_with_who_waits_for_whom() {
    let report = deadlock(|rt| async move {
        let (fetched, pages) = (rt.mutex("fetched", ()), rt.wait_group("pages"));
        for n in 2..=3 {
            pages.add(1);
            let (rt, fetched, pages) = (rt.clone(), fetched.clone(), pages.clone());
            rt.clone().spawn(("page", n), async move {
                rt.sleep(n).await;
                let guard = fetched.lock().await;
                if n == 2 {
                    // The bug: it goes on without letting go, and waits for something else for ever.
                    std::mem::forget(guard);
                    let (_send, recv) = rt.channel::<()>("never", 0);
                    recv.recv().await;
                }
                pages.done();
            });
        }
        pages.wait().await;
    });
    assert_eq!(
        report,
        "n0: main waits for wait group \"pages\" (2 to go); \
         page/2 waits for a value from channel \"never\"; \
         page/3 waits for lock \"fetched\" held by page/2"
    );
}

#[test]
fn a_lock_kept_by_a_task_that_has_ended_is_said_to_be() {
    let report = deadlock(|rt| async move {
        let fetched = rt.mutex("fetched", ());
        let page = fetched.clone();
        rt.spawn(("page", 2), async move { std::mem::forget(page.lock().await) }).await;
        drop(fetched.lock().await);
    });
    assert_eq!(report, "n0: main waits for lock \"fetched\" held by page/2, which has ended");
}

#[test]
fn locks_taken_in_two_orders_deadlock() {
    let report = deadlock(|rt| async move {
        let (a, b) = (rt.mutex("a", ()), rt.mutex("b", ()));
        let tasks: Vec<_> = [(a.clone(), b.clone()), (b, a)]
            .into_iter()
            .map(|(first, second)| {
                let rt = rt.clone();
                rt.clone().spawn("transfer", async move {
                    let _first = first.lock().await;
                    rt.sleep(10).await;
                    let _second = second.lock().await;
                })
            })
            .collect();
        for task in tasks {
            task.await;
        }
    });
    assert_eq!(
        report,
        "n0: main waits for task transfer; \
         transfer waits for lock \"b\" held by transfer/1; \
         transfer/1 waits for lock \"a\" held by transfer; \
         a circle: transfer -> transfer/1 -> transfer"
    );
}

#[test]
fn every_primitive_says_what_is_waited_for() {
    let report = deadlock(|rt| async move {
        let (full, _full_recv) = rt.channel("full", 1);
        full.send(0).await.unwrap();
        let (rendezvous, _recv) = rt.channel("rendezvous", 0);
        let slots = rt.semaphore("slots", 2);
        let _held = slots.acquire(1).await;
        let (lock, changed) = (rt.mutex("lock", ()), rt.condition("changed"));
        rt.spawn("sender", async move { full.send(1).await });
        rt.sleep(1).await;
        rt.spawn("meeter", async move { rendezvous.send(1).await });
        rt.sleep(1).await;
        let acquire = slots.clone();
        rt.spawn("greedy", async move { drop(acquire.acquire(2).await) });
        rt.sleep(1).await;
        rt.spawn("listener", async move {
            let guard = lock.lock().await;
            let _guard = changed.wait(guard).await;
        });
        rt.sleep(1).await;
        rt.spawn("stranger", std::future::pending::<()>());
        rt.sleep(1).await;
        let (_send, recv) = rt.channel::<()>("empty", 0);
        let group = rt.wait_group("group");
        group.add(1);
        rt.select(recv.recv(), group.wait()).await;
    });
    assert_eq!(
        report,
        "n0: main waits for a value from channel \"empty\" or for wait group \"group\" (1 to go); \
         sender waits for room in channel \"full\"; \
         meeter waits for a receiver on channel \"rendezvous\"; \
         greedy waits for 2 of semaphore \"slots\" (1 free) held by main; \
         listener waits for condition \"changed\"; \
         stranger waits for something unknown to its node"
    );
}

#[test]
fn the_first_send_on_an_unbuffered_channel_without_a_task_deadlocks() {
    let report = deadlock(|rt| async move {
        let (urls, todo) = rt.channel("urls", 0);
        urls.send("/").await.unwrap();
        todo.recv().await;
    });
    assert_eq!(report, "n0: main waits for a receiver on channel \"urls\"");
}

#[test]
fn a_task_that_waits_for_the_network_is_no_deadlock() {
    let outcome = run(1, |rt, _| async move {
        let pages = rt.wait_group("pages");
        pages.add(1);
        let server = rt.clone();
        rt.spawn("server", async move { server.recv().await });
        pages.wait().await;
    });
    assert_eq!(outcome.ending, Ending::Quiet);
}

// ---- Schedules and identity.

/// Four tasks at one instant, each of which takes two steps.
fn interleaving(seed: u64) -> Outcome {
    run(seed, |rt, lines| async move {
        let tasks: Vec<_> = (0..4)
            .map(|n| {
                let (rt, lines) = (rt.clone(), Rc::clone(&lines));
                rt.clone().spawn(("task", n), async move {
                    for step in 0..2 {
                        log(&lines, format!("{n}.{step}"));
                        rt.yield_now().await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await;
        }
    })
}

#[test]
fn seeds_differ_in_the_interleaving_and_one_seed_never_does() {
    let mut schedules: Vec<Vec<String>> = (0..50).map(|seed| interleaving(seed).log).collect();
    for seed in 0..50 {
        let (once, again) = (interleaving(seed), interleaving(seed));
        assert_eq!(once.digest, again.digest);
        assert_eq!(once.log, again.log);
        assert_eq!(once.log, schedules[seed as usize]);
    }
    schedules.sort();
    schedules.dedup();
    assert!(schedules.len() > 40, "{}", schedules.len());
}

/// What happened, without what the observer does not need to see.
#[derive(Default)]
struct Tape {
    events: Vec<(String, String)>,
}

impl Observer<Word> for Tape {
    fn observe(&mut self, stamp: Stamp, record: &Record<'_, Word>) {
        let what = match record {
            Record::Task { label, action: TaskAction::Spawn } => format!("spawn {label}"),
            Record::Task { label, action: TaskAction::End } => format!("end {label}"),
            Record::Timer { label, .. } => format!("set {label}"),
            Record::Send { message, .. } => format!("send {}", message.0),
            _ => return,
        };
        self.events.push((what, format!("{} at {} on {}", stamp.id, stamp.time, stamp.node)));
    }
}

#[test]
fn spawns_and_ends_are_recorded() {
    let mut world = World::new(Config::new(1), 1, |_| {
        Tasks::<Word>::new(|rt| async move {
            let handles =
                [rt.spawn("page", async {}), rt.spawn("page", async {}), rt.spawn(("url", 7), async {})];
            for handle in handles {
                handle.await;
            }
        })
    });
    let mut tape = Tape::default();
    world.run(&mut tape);
    let mut tasks: Vec<&str> =
        tape.events.iter().map(|(what, _)| what.as_str()).filter(|what| !what.starts_with("set ")).collect();
    assert_eq!(tasks[..3], ["spawn page", "spawn page/1", "spawn url/7"]);
    assert_eq!(tasks.pop(), Some("end main"));
    tasks[3..].sort_unstable();
    assert_eq!(tasks[3..], ["end page", "end page/1", "end url/7"]);
}

#[test]
fn a_servers_answers_do_not_depend_on_requests_that_were_lost() {
    let answers = |lose: Option<u32>| {
        let list = lose.map(|nth| Fault::Message {
            from: NodeId(1),
            to: NodeId(0),
            word: "word",
            nth: Some(nth),
            fate: Vec::new(),
        });
        let faults = FaultPlan { list: list.into_iter().collect(), ..FaultPlan::default() };
        let mut world = World::new(Config { faults, ..Config::new(3) }, 5, |node| {
            Tasks::<Word>::new(move |rt| async move {
                if node == NodeId(0) {
                    let table = rt.mutex("table", 0);
                    loop {
                        let (from, Word(number)) = rt.recv().await;
                        let (rt_of_call, table) = (rt.clone(), table.clone());
                        rt.spawn("call", async move {
                            *table.lock().await += 1;
                            rt_of_call.sleep(MILLIS).await;
                            rt_of_call.send(from, Word(number + 1_000));
                        });
                    }
                }
                for number in 0..10 {
                    rt.sleep(20 * MILLIS).await;
                    rt.send(NodeId(0), Word(u64::from(node.0) * 100 + number));
                }
            })
        });
        let mut tape = Tape::default();
        assert_eq!(world.run(&mut tape), Ending::Quiet);
        tape.events.retain(|(what, _)| what.starts_with("send"));
        tape.events
    };
    let (whole, without) = (answers(None), answers(Some(3)));
    assert_eq!(whole.len(), 40);
    let missing: Vec<_> = whole.iter().filter(|event| !without.contains(event)).collect();
    assert_eq!(missing.len(), 1);
    assert_eq!(missing[0].0, "send 1103");
    assert!(without.iter().all(|event| whole.contains(event)));
}

#[test]
fn an_anchored_task_takes_the_same_steps_whoever_woke_it() {
    // In one run the reply arrives; in the other it is lost and time is up instead. What comes after the next
    // anchor is the same, event for event, but for the time.
    let after = |lose: bool| {
        let list = lose.then(|| Fault::Message {
            from: NodeId(1),
            to: NodeId(0),
            word: "word",
            nth: Some(0),
            fate: Vec::new(),
        });
        let faults = FaultPlan { list: list.into_iter().collect(), ..FaultPlan::default() };
        let mut world = World::new(Config { faults, ..Config::new(2) }, 5, |node| {
            Tasks::<Word>::new(move |rt| async move {
                if node == NodeId(1) {
                    loop {
                        let (from, word) = rt.recv().await;
                        rt.send(from, word);
                    }
                }
                for call in 0..3 {
                    rt.invoke("call");
                    rt.send(NodeId(1), Word(call));
                    let _ = rt.timeout(100 * MILLIS, rt.recv()).await;
                    rt.yield_now().await;
                    rt.spawn("helper", async {}).await;
                }
            })
        });
        let mut tape = Tape::default();
        assert_eq!(world.run(&mut tape), Ending::Quiet);
        let of_node = |place: &String| place.ends_with("n0");
        let ids = tape.events.into_iter().filter(|(_, place)| of_node(place));
        let ids = ids.map(|(what, place)| (what, place.split(' ').next().unwrap().to_owned()));
        ids.skip_while(|(what, _)| what != "send 1").collect::<Vec<_>>()
    };
    let (with, without) = (after(false), after(true));
    assert!(with.len() > 10);
    assert_eq!(with, without);
}

#[test]
fn a_process_around_tasks_may_record_in_the_same_handler() {
    struct Around(Tasks<Word>);
    impl Process for Around {
        type Message = Word;

        fn on_start(&mut self, ctx: &mut Context<Word>) {
            let before = (ctx.send(NodeId(0), Word(0)), ctx.random());
            self.0.on_start(ctx);
            let after = (ctx.send(NodeId(0), Word(2)), ctx.random());
            assert!(before.0 != after.0 && before.1 != after.1);
        }

        fn on_message(&mut self, ctx: &mut Context<Word>, from: NodeId, message: Word) {
            self.0.on_message(ctx, from, message);
        }
    }
    let mut world = World::new(Config::new(1), 1, |_| {
        Around(Tasks::new(|rt: Rt| async move {
            rt.random();
            rt.send(NodeId(0), Word(1));
            let mut sum = 0;
            for _ in 0..3 {
                sum += rt.recv().await.1.0;
            }
            assert_eq!(sum, 3);
        }))
    });
    let mut tape = Tape::default();
    assert_eq!(world.run(&mut tape), Ending::Quiet);
    let mut ids: Vec<String> =
        tape.events.into_iter().filter(|(what, _)| what.starts_with("send")).map(|(_, id)| id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 3);
}

// ---- The outside.

#[test]
fn a_sync_says_when_what_was_written_is_durable() {
    let mut world = World::new(Config::new(1), 1, |_| {
        Tasks::<Word>::new(|rt| async move {
            rt.append("log", *b"one");
            let first = rt.sync("log");
            rt.append("log", *b"two");
            let second = rt.sync("log");
            assert_eq!(second.await, Ok(()));
            assert_eq!(first.await, Ok(()));
            assert!(rt.now() >= MILLIS);
            assert_eq!(rt.read("log").as_deref(), Some(&b"onetwo"[..]));
        })
    });
    assert_eq!(world.run(&mut ()), Ending::Quiet);
    assert_eq!(world.violation(), None);
    assert_eq!(world.disk(NodeId(0)).unwrap().read_durable(Label::new("log")), Some(&b"onetwo"[..]));
}

#[test]
fn a_connection_is_ordered_and_ends_for_both() {
    for seed in 0..20 {
        let mut world = World::new(Config::new(2), seed, |node| {
            Tasks::<Word>::new(move |rt| async move {
                if node == NodeId(0) {
                    let server = rt.connect(NodeId(1)).await.unwrap();
                    for n in 0..20 {
                        server.send(Word(n));
                    }
                    for n in 0..20 {
                        assert_eq!(server.recv().await, Ok(Some(Word(n * 2))));
                    }
                } else {
                    let client = rt.accept().await;
                    assert_eq!(client.peer(), NodeId(0));
                    while let Some(Word(n)) = client.recv().await.unwrap() {
                        client.send(Word(n * 2));
                    }
                    rt.note("closed");
                }
            })
        });
        assert_eq!(world.run(&mut ()), Ending::Quiet);
        assert!(world.process(NodeId(1)).unwrap().is_over());
    }
}

#[test]
fn a_crash_breaks_the_peers_connection() {
    let list = vec![Fault::Crash { node: NodeId(1), at: SECONDS, down: None }];
    let faults = FaultPlan { list, ..FaultPlan::default() };
    let mut world = World::new(Config { faults, ..Config::new(2) }, 1, |node| {
        Tasks::<Word>::new(move |rt| async move {
            if node == NodeId(0) {
                let server = rt.connect(NodeId(1)).await.unwrap();
                assert_eq!(server.recv().await, Err(Broken));
            } else {
                let _client = rt.accept().await;
                std::future::pending::<()>().await;
            }
        })
    });
    assert_eq!(world.run(&mut ()), Ending::Quiet);
    assert_eq!(world.violation(), None);
}

/// A user's destructor that asks for everything it can think of.
struct Busybody {
    rt: Rt,
    asked: Arc<StdMutex<u32>>,
}

impl Drop for Busybody {
    fn drop(&mut self) {
        let Self { rt, asked } = self;
        rt.send(NodeId(1), Word(666));
        rt.note("last words");
        rt.write("will", *b"everything");
        drop(rt.sync("will"));
        drop(rt.connect(NodeId(1)));
        rt.invoke("too late");
        rt.anchor("grave");
        drop(rt.sleep(rt.now() + rt.random_below(3)));
        assert!(rt.try_recv().is_none());
        let own = rt.clone();
        drop(rt.spawn("ghost", async move { own.send(NodeId(1), Word(667)) }));
        *asked.lock().unwrap() += 1;
    }
}

/// A program with many live primitives, and one that waits in each.
async fn busy(rt: Rt, asked: Arc<StdMutex<u32>>) {
    let _here = Busybody { rt: rt.clone(), asked: Arc::clone(&asked) };
    let (send, recv) = rt.channel("values", 1);
    let lock = rt.mutex("lock", 0_u64);
    let slots = rt.semaphore("slots", 2);
    let group = rt.wait_group("group");
    let changed = rt.condition("changed");
    for n in 0..6_u64 {
        group.add(1);
        let busybody = Busybody { rt: rt.clone(), asked: Arc::clone(&asked) };
        let (rt, send, recv) = (rt.clone(), send.clone(), recv.clone());
        let (lock, slots, group, changed) = (lock.clone(), slots.clone(), group.clone(), changed.clone());
        rt.clone().spawn(("task", n), async move {
            let _busybody = busybody;
            for round in 0..1_000 {
                let permit = slots.acquire(1).await;
                *lock.lock().await += 1;
                rt.send(NodeId(1), Word(n * 1_000 + round));
                rt.append("log", [n as u8]);
                if n == 3 {
                    let _ = rt.sync("log").await;
                }
                rt.sleep(MILLIS + rt.random_below(5 * MILLIS)).await;
                drop(permit);
                match rt.select(send.send(n), recv.recv()).await {
                    Either::Left(_) => changed.notify_all(),
                    Either::Right(value) => assert!(value.is_some()),
                }
                let guard = lock.lock().await;
                let _ = rt.timeout(MILLIS, changed.wait(guard)).await;
            }
            group.done();
        });
    }
    let listener = rt.clone();
    rt.spawn("listener", async move {
        loop {
            listener.recv().await;
        }
    });
    group.wait().await;
}

async fn echo(rt: Rt) {
    loop {
        let (from, word) = rt.recv().await;
        rt.send(from, word);
    }
}

fn busy_world(seed: u64, faults: FaultPlan, asked: &Arc<StdMutex<u32>>) -> World<Tasks<Word>> {
    let asked = Arc::clone(asked);
    World::new(Config { faults, ..Config::new(2) }, seed, move |node| {
        let asked = Arc::clone(&asked);
        Tasks::new(move |rt: Rt| async move {
            if node == NodeId(0) { busy(rt, asked).await } else { echo(rt).await }
        })
    })
}

#[test]
fn dropping_a_crashed_nodes_tasks_has_no_effect() {
    /// The same crash with every task leaked instead of dropped.
    struct Leaked(Option<Tasks<Word>>, bool);
    impl Process for Leaked {
        type Message = Word;

        fn on_start(&mut self, ctx: &mut Context<Word>) {
            self.0.as_mut().unwrap().on_start(ctx);
        }

        fn on_message(&mut self, ctx: &mut Context<Word>, from: NodeId, message: Word) {
            self.0.as_mut().unwrap().on_message(ctx, from, message);
        }

        fn on_timer(&mut self, ctx: &mut Context<Word>, timer: Label) {
            self.0.as_mut().unwrap().on_timer(ctx, timer);
        }

        fn on_sync(
            &mut self,
            ctx: &mut Context<Word>,
            sync: Label,
            result: Result<(), snowglobe_sim::SyncError>,
        ) {
            self.0.as_mut().unwrap().on_sync(ctx, sync, result);
        }
    }
    impl Drop for Leaked {
        fn drop(&mut self) {
            if self.1 {
                std::mem::forget(self.0.take());
            }
        }
    }
    for at in [0, 1, 3 * MILLIS, 50 * MILLIS + 7, 100 * MILLIS] {
        let list = vec![Fault::Crash { node: NodeId(0), at, down: Some(30 * MILLIS) }];
        let faults = FaultPlan { list, until: SECONDS, ..FaultPlan::default() };
        let asked = Arc::new(StdMutex::new(0));
        let mut digests = Vec::new();
        for leak in [false, true] {
            let before = *asked.lock().unwrap();
            let counter = Arc::clone(&asked);
            let limits = Limits { time: 300 * MILLIS, ..Limits::default() };
            let config = Config { faults: faults.clone(), limits, ..Config::new(2) };
            let mut world = World::new(config, 11, move |node| {
                let asked = Arc::clone(&counter);
                let tasks = Tasks::new(move |rt: Rt| async move {
                    if node == NodeId(0) { busy(rt, asked).await } else { echo(rt).await }
                });
                Leaked(Some(tasks), leak)
            });
            assert_eq!(world.run(&mut ()), Ending::TimeLimit);
            digests.push(world.digest());
            let after = *asked.lock().unwrap();
            // Main and its six tasks; before the node is up there is nothing to drop.
            assert_eq!(after - before, if leak || world.incarnation(NodeId(0)) == 0 { 0 } else { 7 });
        }
        assert_eq!(digests[0], digests[1], "crash at {at}");
    }
}

/// A user's destructor that notes when it was called.
struct Epitaph {
    rt: Rt,
    called: Arc<StdMutex<Vec<u64>>>,
}

impl Drop for Epitaph {
    fn drop(&mut self) {
        self.called.lock().unwrap().push(self.rt.now());
    }
}

#[test]
fn destructors_of_a_program_that_is_over_or_crashed_know_the_time_of_its_last_handler() {
    let called = Arc::new(StdMutex::new(Vec::new()));
    let list = vec![Fault::Crash { node: NodeId(0), at: 20 * MILLIS, down: Some(5 * MILLIS) }];
    let faults = FaultPlan { list, until: SECONDS, ..FaultPlan::default() };
    let shared = Arc::clone(&called);
    let mut world = World::new(Config { faults, ..Config::new(1) }, 3, move |_| {
        let called = Arc::clone(&shared);
        Tasks::<Word>::new(move |rt: Rt| async move {
            let epitaph = Epitaph { rt: rt.clone(), called };
            let sleeper = rt.clone();
            drop(rt.spawn("left behind", async move {
                let _epitaph = epitaph;
                sleeper.sleep(SECONDS).await;
            }));
            // Long enough to crash in the first life only.
            for _ in 0..(if rt.incarnation() == 0 { 10 } else { 1 }) {
                rt.sleep(3 * MILLIS).await;
            }
        })
    });
    assert_eq!(world.run(&mut ()), Ending::Quiet);
    // The sixth sleep ended at 18 ms, the crash was at 20; the second life began at 25.
    assert_eq!(*called.lock().unwrap(), [18 * MILLIS, 28 * MILLIS]);
}

#[test]
fn dropping_a_world_in_the_middle_of_a_run_is_quiet() {
    let asked = Arc::new(StdMutex::new(0));
    for steps in 0..300 {
        let mut world = busy_world(steps, FaultPlan::default(), &asked);
        for _ in 0..steps {
            world.step(&mut ()).unwrap();
        }
        let digest = world.digest();
        world.reset(steps, snowglobe_sim::Overrides::default());
        for _ in 0..steps {
            world.step(&mut ()).unwrap();
        }
        assert_eq!(world.digest(), digest);
    }
    assert!(*asked.lock().unwrap() > 3_000);
}

#[test]
fn what_main_leaves_behind_is_dropped_without_effect() {
    let asked = Arc::new(StdMutex::new(0));
    let teller = Arc::clone(&asked);
    let mut world = World::new(Config::new(2), 3, move |node| {
        let asked = Arc::clone(&teller);
        Tasks::new(move |rt: Rt| async move {
            if node == NodeId(1) {
                let (_, Word(number)) = rt.recv().await;
                assert!(number < 6_000, "{number}");
                return;
            }
            let own = rt.clone();
            rt.spawn("busy", async move { busy(own, asked).await });
            rt.sleep(50 * MILLIS).await;
        })
    });
    assert_eq!(world.run(&mut ()), Ending::Quiet);
    assert_eq!(world.violation(), None);
    assert_eq!(*asked.lock().unwrap(), 7);
    assert_eq!(world.disk(NodeId(0)).unwrap().read(Label::new("will")), None);
}

#[test]
fn a_restart_runs_a_fresh_program() {
    let list = vec![Fault::Crash { node: NodeId(0), at: SECONDS, down: Some(SECONDS) }];
    let faults = FaultPlan { list, ..FaultPlan::default() };
    let mut world = World::new(Config { faults, ..Config::new(1) }, 1, |_| {
        Tasks::<Word>::new(|rt| async move {
            let lives = rt.read("lives").map_or(0, |bytes| bytes[0]);
            assert_eq!(u32::from(lives), rt.incarnation());
            rt.write("lives", [lives + 1]);
            rt.sync("lives").await.unwrap();
            let lock = rt.mutex("lock", 0);
            *lock.lock().await += 1;
            if lives == 0 {
                std::mem::forget(lock.lock().await);
                rt.recv().await;
            }
            assert_eq!(*lock.lock().await, 1);
        })
    });
    assert_eq!(world.run(&mut ()), Ending::Quiet);
    assert_eq!(world.violation(), None);
    assert_eq!(world.incarnation(NodeId(0)), 1);
    assert!(world.process(NodeId(0)).unwrap().is_over());
}

// ---- Random programs.

#[derive(Clone, Copy, Debug)]
enum Act {
    Sleep(u8),
    Yield,
    Lock(u8),
    Unlock,
    Send(u8),
    Recv(u8),
    Select(u8, u8),
    Acquire,
    Post,
    Spawn,
    Anchor(u8),
    Sync,
    Done,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        (0..4_u8).prop_map(Act::Sleep),
        Just(Act::Yield),
        (0..2_u8).prop_map(Act::Lock),
        Just(Act::Unlock),
        (0..3_u8).prop_map(Act::Send),
        (0..3_u8).prop_map(Act::Recv),
        (0..3_u8, 0..3_u8).prop_map(|(a, b)| Act::Select(a, b)),
        Just(Act::Acquire),
        Just(Act::Post),
        Just(Act::Spawn),
        (0..3_u8).prop_map(Act::Anchor),
        Just(Act::Sync),
        Just(Act::Done),
    ]
}

type Program = Arc<Vec<Vec<Act>>>;

/// Runs the first script as main and spawns the others as it goes.
async fn play(rt: Rt, program: Program) {
    let channels: Rc<Vec<_>> =
        Rc::new((0..3).map(|n| rt.channel::<u64>(("channel", n), n as usize)).collect());
    let locks: Rc<Vec<_>> = Rc::new((0..2).map(|n| rt.mutex(("lock", n), 0_u64)).collect());
    let slots = rt.semaphore("slots", 2);
    let group = rt.wait_group("group");
    let next = Rc::new(Cell::new(1));
    let ctx = Rc::new((channels, locks, slots, group, next));
    play_script(rt, program, 0, ctx).await;
}

type Props = Rc<(
    Rc<Vec<(snowglobe_sim::tasks::Sender<u64>, snowglobe_sim::tasks::Receiver<u64>)>>,
    Rc<Vec<snowglobe_sim::tasks::Mutex<u64>>>,
    snowglobe_sim::tasks::Semaphore,
    snowglobe_sim::tasks::WaitGroup,
    Rc<Cell<usize>>,
)>;

fn play_script(rt: Rt, program: Program, index: usize, props: Props) -> Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(async move {
        let (channels, locks, slots, group, next) = &*props;
        let mut guards = Vec::new();
        let mut permits = Vec::new();
        for act in &program[index] {
            match *act {
                Act::Sleep(span) => rt.sleep(u64::from(span)).await,
                Act::Yield => rt.yield_now().await,
                Act::Lock(n) => {
                    let mut guard = locks[n as usize].lock().await;
                    *guard += 1;
                    guards.push(guard);
                }
                Act::Unlock => drop(guards.pop()),
                Act::Send(n) => {
                    let _ = rt.timeout(20, channels[n as usize].0.send(rt.random())).await;
                }
                Act::Recv(n) => {
                    let got = rt.timeout(20, channels[n as usize].1.recv()).await;
                    if got.is_ok_and(|value| value.is_some_and(|value| value % 2 == 0)) {
                        rt.note("even");
                    }
                }
                Act::Select(a, b) => {
                    let arms = rt.select(channels[a as usize].1.recv(), channels[b as usize].1.recv());
                    let _ = rt.timeout(30, arms).await;
                }
                Act::Acquire => permits.push(slots.acquire(1).await),
                Act::Post => {
                    rt.send(NodeId(1), Word(index as u64));
                    let _ = rt.timeout(MILLIS * 5, rt.recv()).await;
                }
                Act::Spawn => {
                    if next.get() < program.len() {
                        let child = next.get();
                        next.set(child + 1);
                        group.add(1);
                        let (own, program, props, group) =
                            (rt.clone(), Arc::clone(&program), Rc::clone(&props), group.clone());
                        rt.spawn("child", async move {
                            play_script(own, program, child, props).await;
                            group.done();
                        });
                    }
                }
                Act::Anchor(n) => {
                    rt.anchor(("place", u64::from(n)));
                }
                Act::Sync => {
                    rt.append("log", [index as u8]);
                    let _ = rt.sync("log").await;
                }
                Act::Done => return,
            }
        }
        if index == 0 {
            drop((guards, permits));
            group.wait().await;
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_random_program_gives_the_same_digest_twice(
        scripts in prop::collection::vec(prop::collection::vec(act(), 0..12), 1..6),
        seed in any::<u64>(),
        crash in prop::option::of(0..30_u64),
    ) {
        let program: Program = Arc::new(scripts);
        let list = crash.map(|at| Fault::Crash { node: NodeId(0), at: at * MILLIS / 3, down: Some(MILLIS) });
        let faults = FaultPlan { list: list.into_iter().collect(), until: SECONDS, ..FaultPlan::default() };
        let world = || {
            let program = Arc::clone(&program);
            World::new(Config { faults: faults.clone(), ..Config::new(2) }, seed, move |node| {
                let program = Arc::clone(&program);
                Tasks::new(move |rt: Rt| async move {
                    if node == NodeId(0) { play(rt, program).await } else { echo(rt).await }
                })
            })
        };
        let (mut once, mut again) = (world(), world());
        let endings = (once.run(&mut ()), again.run(&mut ()));
        prop_assert_eq!(endings.0, endings.1);
        prop_assert_eq!(once.digest(), again.digest());
        prop_assert_eq!(once.violation(), again.violation());
        // A deadlock of locks is a fair ending of a random program; a panic is not.
        let fair = once.violation().is_none_or(|violation| violation.property == "deadlock");
        prop_assert!(fair, "{:?}", once.violation());
        let digest = once.digest();
        once.reset(seed, snowglobe_sim::Overrides::default());
        once.run(&mut ());
        prop_assert_eq!(once.digest(), digest);
    }
}

// ---- Speed.

struct Player {
    left: u64,
}

impl Process for Player {
    type Message = Word;

    fn on_start(&mut self, ctx: &mut Context<Word>) {
        if ctx.node() == NodeId(0) {
            ctx.send(NodeId(1), Word(0));
        }
    }

    fn on_message(&mut self, ctx: &mut Context<Word>, from: NodeId, Word(n): Word) {
        if n < self.left {
            ctx.send(from, Word(n + 1));
        }
    }
}

/// How fast tasks are beside handlers: `cargo test --release -p snowglobe-sim --test tasks -- --ignored
/// --nocapture`.
#[test]
#[ignore = "a measurement"]
// The wall clock is what is measured, and reaches no run.
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::cast_precision_loss)]
fn ping_pong_speed() {
    const N: u64 = 20_000;
    fn time<P: Process>(mut world: World<P>) -> f64 {
        let begin = std::time::Instant::now();
        assert_eq!(world.run(&mut ()), Ending::Quiet);
        assert!(world.steps() > N);
        begin.elapsed().as_nanos() as f64 / N as f64
    }
    let limits = Limits { time: u64::MAX, steps: u64::MAX, steps_at_once: u64::MAX };
    let config = Config { limits, ..Config::new(2) };
    let tasks = |node| {
        Tasks::new(move |rt: Rt| async move {
            if node == NodeId(0) {
                rt.send(NodeId(1), Word(0));
            }
            loop {
                let (from, Word(n)) = rt.recv().await;
                if n < N {
                    rt.send(from, Word(n + 1));
                }
            }
        })
    };
    let channels = |node| {
        Tasks::new(move |rt: Rt| async move {
            if node == NodeId(1) {
                return;
            }
            let (ping, on_ping) = rt.channel("ping", 0);
            let (pong, on_pong) = rt.channel("pong", 0);
            rt.spawn("echo", async move {
                while let Some(n) = on_ping.recv().await {
                    if pong.send(n).await.is_err() {
                        break;
                    }
                }
            });
            for n in 0..N {
                ping.send(n).await.unwrap();
                assert_eq!(on_pong.recv().await, Some(n));
            }
        })
    };
    // Short rounds, interleaved, and the median of their ratios: what else runs beside them slows both.
    let mut rounds: Vec<[f64; 4]> = (0..201)
        .map(|_| {
            let handlers = time(World::new(config.clone(), 1, |_| Player { left: N }));
            let tasks = time(World::new(config.clone(), 1, tasks));
            let channels = time(World::new(config.clone(), 1, channels));
            [handlers, tasks, channels, handlers / tasks]
        })
        .collect();
    let [handlers, tasks, channels, ratio] = [0, 1, 2, 3].map(|column| {
        rounds.sort_by(|a, b| a[column].total_cmp(&b[column]));
        rounds[rounds.len() / 2][column]
    });
    println!(
        "a delivery: handlers {handlers:.1} ns, tasks {tasks:.1} ns, {ratio:.2} of the speed; \
         a round trip over two unbuffered channels: {channels:.1} ns"
    );
}

/// What happened on the first ten of so many nodes, who pass tokens around while one of them crashes. The others boot.
fn ring_of_ten_among(nodes: u32) -> Vec<Stamp> {
    const RING: u32 = 10;
    struct OfRing(Vec<Stamp>);
    impl Observer<Word> for OfRing {
        fn observe(&mut self, stamp: Stamp, _: &Record<'_, Word>) {
            if stamp.node.0 < RING {
                self.0.push(stamp);
            }
        }
    }
    let mut config = Config::new(nodes);
    config.limits.time = 200 * MILLIS;
    config.faults.list = vec![Fault::Crash { node: NodeId(3), at: 50 * MILLIS, down: Some(20 * MILLIS) }];
    let mut world = World::new(config, 1, |node| {
        Tasks::new(move |rt: Rt| async move {
            let next = NodeId((node.0 + 1) % RING);
            if node.0 < RING {
                rt.send(next, Word(0));
            }
            loop {
                let (_, Word(hops)) = rt.recv().await;
                rt.sleep(1_000).await;
                rt.send(next, Word(hops + 1));
            }
        })
    });
    let mut seen = OfRing(Vec::new());
    assert_eq!(world.run(&mut seen), Ending::TimeLimit);
    seen.0
}

#[test]
fn nodes_behave_the_same_in_a_world_larger_than_the_cache() {
    let among_few = ring_of_ten_among(20);
    assert!(among_few.len() > 500, "tokens go round: {}", among_few.len());
    assert_eq!(ring_of_ten_among(5_000), among_few);
}
