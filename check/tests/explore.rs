//! Exploration against brute force: the exact number of outcomes of programs small enough to count by hand, and of a
//! thousand random ones with and without reduction.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde::{Deserialize, Serialize};
use serde_json::{Map, json};
use sim::tasks::{DATA_RACE, Runtime, Tasks};
use sim::{Config, Label, Message, Nanos};
use snowglobe_check::{Entry, Explore, ExploreReport, Judgement, Prepared, Run, Scenario, Setup, explore};

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize)]
struct Nothing;

impl Message for Nothing {
    type Note = String;

    fn label(&self) -> Label {
        Label::new("nothing")
    }
}

type Rt = Runtime<Nothing>;

/// What a task does, in order. What it reads becomes part of what it tells in the end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Op {
    Read(usize),
    Write(usize, u32),
    Add(usize),
    Lock(usize),
    Unlock(usize),
    Send(usize),
    Receive(usize),
    Sleep(Nanos),
    Done,
    WaitForDone,
    /// Either of two: what comes from the channel, or time.
    ReceiveOrGiveUp(usize),
    Note,
}

#[derive(Clone, Debug)]
struct Program {
    tasks: Vec<Vec<Op>>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NoSettings {
    /// A scenario has at least one.
    none: bool,
}

impl Scenario for Program {
    type Process = Tasks<Nothing>;
    type Settings = NoSettings;

    fn name(&self) -> String {
        "program".to_owned()
    }

    fn about(&self) -> String {
        format!("{:?}", self.tasks)
    }

    fn defaults(&self) -> NoSettings {
        NoSettings { none: true }
    }

    fn setup(&self, _: &NoSettings) -> Result<Setup<Tasks<Nothing>>, String> {
        let tasks = Arc::new(self.tasks.clone());
        Ok(Setup::new(vec!["node".to_owned()], Config::new(1), move |_| {
            let tasks = Arc::clone(&tasks);
            Tasks::new(move |rt| main(rt, tasks))
        }))
    }

    fn judge(&self, _: &NoSettings, _: &Run<'_, Tasks<Nothing>>, _: &mut Judgement) {}
}

async fn main(rt: Rt, tasks: Arc<Vec<Vec<Op>>>) {
    let cells = [rt.cell("a", 0), rt.cell("b", 0)];
    let locks = [rt.mutex("l", ()), rt.mutex("m", ())];
    let channels = [rt.channel("c", 0), rt.channel("d", 1)];
    let group = rt.wait_group("group");
    group.add(tasks.iter().flatten().filter(|op| **op == Op::Done).count());
    let mut running = Vec::new();
    for index in 0..tasks.len() {
        let (tasks, own) = (Arc::clone(&tasks), rt.clone());
        let (cells, locks, channels, group) = (cells.clone(), locks.clone(), channels.clone(), group.clone());
        running.push(rt.spawn(("task", index as u64 + 1), async move {
            let mut held = [None, None];
            let mut seen = Vec::new();
            for op in &tasks[index] {
                match *op {
                    Op::Read(cell) => seen.push(cells[cell].get().await),
                    Op::Write(cell, value) => cells[cell].set(value).await,
                    Op::Add(cell) => {
                        let value = cells[cell].get().await;
                        cells[cell].set(value + 1).await;
                    }
                    Op::Lock(lock) if held[lock].is_none() => held[lock] = Some(locks[lock].lock().await),
                    Op::Unlock(lock) => held[lock] = None,
                    Op::Lock(_) => {}
                    Op::Send(channel) => drop(channels[channel].0.send(index as u32 + 10).await),
                    Op::Receive(channel) => seen.push(channels[channel].1.recv().await.unwrap_or(0)),
                    Op::ReceiveOrGiveUp(channel) => {
                        let got = own.timeout(5, channels[channel].1.recv()).await;
                        seen.push(got.map_or(99, |value| value.unwrap_or(0)));
                    }
                    Op::Sleep(span) => own.sleep(span).await,
                    Op::Done => group.done(),
                    Op::WaitForDone => group.wait().await,
                    Op::Note => drop(own.note(format!("{index} was here"))),
                }
            }
            drop(held);
            seen
        }));
    }
    let mut all = Vec::new();
    for task in running {
        all.push(task.await);
    }
    rt.note(format!("{all:?} {} {}", cells[0].get().await, cells[1].get().await));
}

fn prepared(tasks: &[&[Op]]) -> Box<dyn Prepared> {
    preemptive(&Arc::new(Program { tasks: tasks.iter().map(|ops| ops.to_vec()).collect() }))
}

fn explored(prepared: &dyn Prepared, what: Explore) -> ExploreReport {
    explore(prepared, &what, &AtomicBool::new(false), &|_| {})
}

fn both(tasks: &[&[Op]], window: Nanos) -> (ExploreReport, ExploreReport) {
    let prepared = prepared(tasks);
    let with = Explore { window, ..Explore::default() };
    (explored(&*prepared, with), explored(&*prepared, Explore { reduction: false, ..with }))
}

#[test]
fn tasks_that_share_nothing_have_one_outcome_in_few_interleavings() {
    let (reduced, all) = both(&[&[Op::Sleep(1), Op::Sleep(1)], &[Op::Sleep(1), Op::Sleep(1)]], Nanos::MAX);
    assert!(reduced.complete && all.complete);
    // They end in either order, and main waits for the first of them before or after it has ended.
    assert_eq!((reduced.executions, reduced.outcomes.len()), (3, 1));
    assert_eq!(all.outcomes.len(), 1);
    assert!(all.executions > 6, "{}", all.executions);
}

#[test]
fn a_lost_update_is_one_of_two_outcomes() {
    let (reduced, all) = both(&[&[Op::Add(0)], &[Op::Add(0)]], 0);
    assert_eq!((reduced.outcomes.len(), all.outcomes.len()), (2, 2));
    assert_eq!((reduced.executions, all.executions), (6, 35));
    assert_eq!(reduced.violations[DATA_RACE].executions, reduced.executions, "the race is in all of them");
    assert_eq!(all.violations[DATA_RACE].executions, all.executions);
}

#[test]
fn under_a_lock_no_update_is_lost_in_any_interleaving() {
    let locked = [Op::Lock(0), Op::Add(0), Op::Unlock(0)];
    let (reduced, all) = both(&[&locked, &locked, &locked], 0);
    assert!(reduced.complete && all.complete);
    assert_eq!((reduced.outcomes.len(), all.outcomes.len()), (1, 1));
    assert!(reduced.violations.is_empty() && all.violations.is_empty());
    // The tasks take the lock in any of six orders, and main begins to wait for each before or after it has ended.
    assert_eq!((reduced.executions, reduced.pruned), (72, 2));
}

#[test]
fn two_locks_in_two_orders_deadlock_in_some_interleaving_and_its_schedule_replays() {
    let there = [Op::Lock(0), Op::Lock(1)];
    let back = [Op::Lock(1), Op::Lock(0)];
    let (reduced, all) = both(&[&there, &back], 0);
    assert_eq!((reduced.outcomes.len(), all.outcomes.len()), (2, 2));
    let found = &reduced.violations["deadlock"];
    assert!(found.executions < reduced.executions);
    let replayed = prepared(&[&there, &back]).runner().run(0, &found.schedule);
    assert_eq!(replayed.violations, found.outcome.violations);
    assert_eq!(replayed.digest, found.outcome.digest);
    assert_eq!(replayed.unmatched, []);
}

#[test]
fn a_timer_and_a_message_may_come_in_either_order() {
    let (reduced, all) = both(&[&[Op::ReceiveOrGiveUp(1)], &[Op::Sleep(10), Op::Send(1)]], Nanos::MAX);
    assert_eq!((reduced.outcomes.len(), all.outcomes.len()), (2, 2));
    let (reduced, all) = both(&[&[Op::ReceiveOrGiveUp(1)], &[Op::Sleep(10), Op::Send(1)]], 0);
    assert_eq!((reduced.outcomes.len(), all.outcomes.len()), (1, 1), "ten are more than five");
}

fn random_program(seed: u64) -> Vec<Vec<Op>> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut roll = |bound: u64| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ (x >> 31)) % bound
    };
    let tasks = 2 + roll(2);
    (0..tasks)
        .map(|_| {
            let ops = 1 + roll(if tasks == 2 { 4 } else { 2 });
            (0..ops)
                .map(|_| {
                    let which = roll(2) as usize;
                    match roll(12) {
                        0 | 1 => Op::Read(which),
                        2 | 3 => Op::Write(which, 1 + roll(3) as u32),
                        4 => Op::Lock(which),
                        5 => Op::Unlock(which),
                        6 => Op::Send(which),
                        7 => Op::Receive(which),
                        8 => Op::Sleep(1 + roll(3)),
                        9 => Op::ReceiveOrGiveUp(which),
                        10 => [Op::Done, Op::WaitForDone][which],
                        _ => Op::Note,
                    }
                })
                .collect()
        })
        .collect()
}

/// No outcome is lost by reduction, and none is made up, over a thousand random programs each with two windows.
#[test]
fn reduction_loses_no_outcome() {
    let (mut compared, mut seed, mut all_runs, mut reduced_runs, mut several) = (0, 0_u64, 0, 0, 0);
    while compared < 1_000 {
        seed += 1;
        let program = random_program(seed);
        let tasks: Vec<&[Op]> = program.iter().map(Vec::as_slice).collect();
        let prepared = prepared(&tasks);
        let window = [0, Nanos::MAX][seed as usize % 2];
        let brute = Explore { window, reduction: false, runs_max: 3_000, ..Explore::default() };
        let all = explored(&*prepared, brute);
        if !all.complete {
            continue;
        }
        let reduced = explored(&*prepared, Explore { reduction: true, ..brute });
        assert!(reduced.complete, "{program:?}");
        let outcomes = |report: &ExploreReport| report.outcomes.keys().copied().collect::<Vec<_>>();
        assert_eq!(outcomes(&reduced), outcomes(&all), "seed {seed} window {window}: {program:?}");
        let properties = |report: &ExploreReport| report.violations.keys().cloned().collect::<Vec<_>>();
        assert_eq!(properties(&reduced), properties(&all), "seed {seed}: {program:?}");
        assert!(reduced.executions <= all.executions, "seed {seed}: {program:?}");
        compared += 1;
        all_runs += all.executions;
        reduced_runs += reduced.runs();
        several += u32::from(all.outcomes.len() > 1);
    }
    assert!(several > 100, "programs with more than one outcome: {several}");
    assert!(reduced_runs * 3 < all_runs, "{reduced_runs} runs instead of {all_runs}");
    println!(
        "{reduced_runs} runs instead of {all_runs}, {several} programs with several outcomes, last seed {seed}"
    );
}

/// Three tasks that count under a lock, as one would write them.
#[derive(Clone, Debug)]
struct Counter;

impl Scenario for Counter {
    type Process = Tasks<Nothing>;
    type Settings = NoSettings;

    fn name(&self) -> String {
        "counter".to_owned()
    }

    fn about(&self) -> String {
        "three tasks count under a lock".to_owned()
    }

    fn defaults(&self) -> NoSettings {
        NoSettings { none: true }
    }

    fn setup(&self, _: &NoSettings) -> Result<Setup<Tasks<Nothing>>, String> {
        Ok(Setup::new(vec!["node".to_owned()], Config::new(1), |_| Tasks::new(count)))
    }

    fn judge(&self, _: &NoSettings, _: &Run<'_, Tasks<Nothing>>, _: &mut Judgement) {}
}

async fn count(rt: Rt) {
    let (hits, lock) = (rt.cell("hits", 0), rt.mutex("lock", ()));
    let tasks = [1, 2, 3].map(|task| {
        let (hits, lock) = (hits.clone(), lock.clone());
        rt.spawn(("task", task), async move {
            let _held = lock.lock().await;
            let seen = hits.get().await;
            hits.set(seen + 1).await;
        })
    });
    for task in tasks {
        task.await;
    }
    assert_eq!(hits.get().await, 3);
}

fn preemptive(program: &dyn Entry) -> Box<dyn Prepared> {
    let mut settings = Map::new();
    settings.insert("schedule".to_owned(), json!("preemptive"));
    program.prepare(&settings).expect("the schedule is one")
}

/// How long this thread has had a processor: on a busy machine the time on the wall says little.
fn processor_nanos() -> u64 {
    let times = std::fs::read_to_string("/proc/thread-self/schedstat").expect("a Linux kernel tells it");
    times.split(' ').next().and_then(|nanos| nanos.parse().ok()).expect("the first number is the time run")
}

/// How many runs of programs of three tasks a second of processor time: `cargo test --release -p snowglobe-check --test explore -- --ignored
/// --nocapture`.
#[test]
#[ignore = "a measurement"]
fn explore_speed() {
    let task = vec![Op::Lock(0), Op::Read(0), Op::Write(0, 1), Op::Unlock(0)];
    let ops = Program { tasks: vec![task.clone(), task.clone(), task[..2].to_vec()] };
    let wide = Program { tasks: vec![vec![Op::Read(0), Op::Write(1, 1), Op::Read(1), Op::Write(0, 2)]; 3] };
    let programs: [(&str, &dyn Entry); 3] =
        [("counter", &Arc::new(Counter)), ("list of steps", &Arc::new(ops)), ("cells", &Arc::new(wide))];
    for (name, program) in programs {
        for (what, reduction) in [("with", true), ("without", false)] {
            let prepared = preemptive(program);
            let what_to_do = Explore { reduction, window: 0, runs_max: 20_000, ..Explore::default() };
            let begin = processor_nanos();
            let (mut runs, mut nanos) = (0, 0);
            let mut report = ExploreReport::default();
            while nanos < 300_000_000 {
                report = explored(&*prepared, what_to_do);
                runs += report.runs();
                nanos = processor_nanos() - begin;
            }
            println!(
                "{name}, {what} reduction: {} runs, {} outcomes, complete {}, at most {} events in a run, {} runs a second of processor time",
                report.runs(),
                report.outcomes.len(),
                report.complete,
                report.depth,
                runs * 1_000_000_000 / nanos
            );
        }
    }
}
