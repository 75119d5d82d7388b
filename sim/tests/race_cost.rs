//! What it costs to look for races: the same program with shared cells, and with cells that nobody looks at.
//!
//! `cargo test --release -p snowglobe-sim --test race_cost -- --ignored --nocapture` prints the table of
//! `benches/README.md`. The two take turns, and time is that which the thread had a processor for.

use std::cell::Cell;
use std::future::Future;
use std::rc::Rc;

use snowglobe_sim::tasks::{JoinHandle, Runtime, Tasks};
use snowglobe_sim::{Config, Ending, World};

type Rt = Runtime<()>;

/// How a program's tasks keep out of each other's way.
#[derive(Clone, Copy, Debug)]
enum How {
    /// A lock around a read and a write.
    Lock,
    /// Two channels hand a turn round.
    Channels,
    /// Not at all: every access races.
    NotAtAll,
    /// They only read.
    Reading,
}

#[derive(Clone, Copy, Debug)]
struct Program {
    how: How,
    tasks: usize,
    rounds: usize,
}

/// A value that tasks share.
trait Value: Clone + 'static {
    fn new(rt: &Rt) -> Self;
    fn get(&self, rt: &Rt) -> impl Future<Output = u64>;
    fn set(&self, rt: &Rt, value: u64) -> impl Future<Output = ()>;
}

#[derive(Clone)]
struct Watched(snowglobe_sim::tasks::SharedCell<u64>);

impl Value for Watched {
    fn new(rt: &Rt) -> Self {
        Self(rt.cell("hits", 0))
    }

    fn get(&self, _: &Rt) -> impl Future<Output = u64> {
        self.0.get()
    }

    fn set(&self, _: &Rt, value: u64) -> impl Future<Output = ()> {
        self.0.set(value)
    }
}

/// Gives way where the other does, and that is all.
#[derive(Clone)]
struct Plain(Rc<Cell<u64>>);

impl Value for Plain {
    fn new(_: &Rt) -> Self {
        Self(Rc::default())
    }

    async fn get(&self, rt: &Rt) -> u64 {
        rt.yield_now().await;
        self.0.get()
    }

    async fn set(&self, rt: &Rt, value: u64) {
        rt.yield_now().await;
        self.0.set(value);
    }
}

async fn main<V: Value>(rt: Rt, Program { how, tasks, rounds }: Program) {
    let (hits, lock) = (V::new(&rt), rt.mutex("lock", ()));
    let turns: Vec<_> = (0..tasks).map(|_| rt.channel::<()>("turn", 1)).collect();
    if matches!(how, How::Channels) {
        turns[0].0.send(()).await.expect("somebody receives");
    }
    let running: Vec<JoinHandle<()>> = (0..tasks)
        .map(|task| {
            let (own, next) = (turns[task].1.clone(), turns[(task + 1) % tasks].0.clone());
            let (hits, lock, rt_of_task) = (hits.clone(), lock.clone(), rt.clone());
            rt.spawn(("task", task as u64 + 1), async move {
                let rt = rt_of_task;
                for _ in 0..rounds {
                    let guard = match how {
                        How::Lock => Some(lock.lock().await),
                        How::Channels => {
                            own.recv().await;
                            None
                        }
                        How::NotAtAll | How::Reading => None,
                    };
                    let seen = hits.get(&rt).await;
                    if !matches!(how, How::Reading) {
                        hits.set(&rt, seen + 1).await;
                    }
                    drop(guard);
                    if matches!(how, How::Channels) {
                        next.send(()).await.expect("the others live as long as main");
                    }
                }
            })
        })
        .collect();
    for task in running {
        task.await;
    }
}

/// How many events the program takes.
fn run<V: Value>(program: Program, seed: u64) -> u64 {
    let mut world =
        World::new(Config::new(1), seed, move |_| Tasks::<()>::new(move |rt| main::<V>(rt, program)));
    assert_eq!(world.run(&mut ()), Ending::Quiet, "{:?}", world.violation());
    world.steps()
}

const PROGRAMS: [Program; 8] = [
    Program { how: How::Lock, tasks: 3, rounds: 1_000 },
    Program { how: How::Lock, tasks: 64, rounds: 50 },
    Program { how: How::Channels, tasks: 3, rounds: 1_000 },
    Program { how: How::Channels, tasks: 64, rounds: 50 },
    Program { how: How::NotAtAll, tasks: 3, rounds: 1_000 },
    Program { how: How::NotAtAll, tasks: 64, rounds: 50 },
    Program { how: How::Reading, tasks: 3, rounds: 1_000 },
    Program { how: How::Reading, tasks: 64, rounds: 50 },
];

#[test]
fn a_cell_that_is_watched_takes_the_same_steps() {
    for program in PROGRAMS {
        for seed in 0..3 {
            assert_eq!(run::<Watched>(program, seed), run::<Plain>(program, seed), "{program:?}");
        }
    }
}

/// How long this thread has had a processor.
fn processor_nanos() -> u64 {
    let times = std::fs::read_to_string("/proc/thread-self/schedstat").expect("a Linux kernel tells it");
    times.split(' ').next().and_then(|nanos| nanos.parse().ok()).expect("the first number is the time run")
}

#[test]
#[ignore = "a measurement"]
fn what_a_watched_cell_costs() {
    println!("| tasks | ordered by | plain ns/event | watched ns/event | ratio |\n|---:|---|---:|---:|---:|");
    for program in PROGRAMS {
        let time = |run: fn(Program, u64) -> u64| {
            let (begin, mut events) = (processor_nanos(), 0);
            loop {
                events += run(program, 1);
                let nanos = processor_nanos() - begin;
                if nanos > 100_000_000 {
                    return nanos * 100 / events;
                }
            }
        };
        let mut rounds: Vec<(u64, u64)> =
            (0..7).map(|_| (time(run::<Plain>), time(run::<Watched>))).collect();
        rounds.sort_unstable_by_key(|(plain, watched)| watched * 1_000 / plain);
        let (plain, watched) = rounds[3];
        let (hundredths, what) = (watched * 100 / plain, format!("{:?}", program.how));
        println!(
            "| {} | {what} | {}.{:02} | {}.{:02} | {}.{:02} |",
            program.tasks,
            plain / 100,
            plain % 100,
            watched / 100,
            watched % 100,
            hundredths / 100,
            hundredths % 100
        );
    }
}
