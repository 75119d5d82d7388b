//! Snowglobe beside its peers, on the same work: prints a markdown table of rates and ratios.
//!
//! The contestants take turns within each round, each at a size that takes it about [`ROUND_SECONDS`], so that a
//! machine that slows down slows all of them; a figure is the median of the rounds. Time is this process's own on
//! the processor, with all of its threads, so that others on the machine disturb little. Every run asserts that all
//! of its work was done, and every round that the seed repeated: as many events, and the same virtual end.
//!
//! Words on the command line choose the workloads or contestants whose names contain one of them.
//!
//! Deliberately absent: a verdict, and whatever a peer has that the others lack. `README.md` here says what each
//! peer does not do.

// The workloads are those of the main benchmark, which says `snowglobe::sim`: the engine, without the facade.
extern crate self as snowglobe;
pub(crate) use ::sim;

#[path = "../../workloads/mod.rs"]
#[allow(dead_code)]
mod workloads;

mod with_anysystem;
mod with_madsim;
mod with_moonpool;
mod with_nexosim;
mod with_shuttle;
mod with_simcore;
mod with_stateright;
mod with_turmoil;

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use workloads::{bare, handlers, tasks};

/// How often each contestant is timed, after the runs that find its size.
const ROUNDS: usize = 7;
/// How long one of them takes.
const ROUND_SECONDS: f64 = 0.3;
/// All workloads run under this seed.
const SEED: u64 = 1;

/// What came of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Done {
    /// Messages delivered and timeouts met.
    pub(crate) events: u64,
    /// When it ended, in virtual nanoseconds; where there is no time, something else in which runs differ; 0 where
    /// only the events are known.
    pub(crate) time: u64,
}

impl From<u64> for Done {
    fn from(events: u64) -> Self {
        Self { events, time: 0 }
    }
}

/// From a size and a seed to what came of it.
type Workload = fn(u64, u64) -> Done;

/// One who competes.
struct Contestant {
    name: &'static str,
    /// In the order of [`WORKLOADS`]; `None` where it cannot express the workload, or not within reason.
    workloads: [Option<Workload>; WORKLOADS.len()],
}

/// The workloads, and the smallest size of each.
const WORKLOADS: [(&str, u64); 5] =
    [("ping", 1_000), ("lossy RPC", 20), ("ring of 10", 1_000), ("ring of 1,000", 5_000), ("short runs", 20)];

/// The place of a workload that not everybody can bear.
const RING_OF_1000: usize = 3;

impl Contestant {
    const fn without(mut self, place: usize) -> Self {
        self.workloads[place] = None;
        self
    }
}

/// `contestant!("name", module)`: one that takes part in everything; `contestant!("name", module, None)`: in
/// everything but the lossy RPC.
macro_rules! contestant {
    ($name:literal, $module:ident) => {
        contestant!($name, $module, Some(|n, seed| $module::lossy_rpc(n as u32, seed).into()))
    };
    ($name:literal, $module:ident, $lossy_rpc:expr) => {
        Contestant {
            name: $name,
            workloads: [
                Some(|n, seed| $module::ping(n, seed).into()),
                $lossy_rpc,
                Some(|n, seed| $module::ring(10, n, seed).into()),
                Some(|n, seed| $module::ring(1_000, n, seed).into()),
                Some(|n, seed| $module::short_runs(n, seed).into()),
            ],
        }
    };
}

const CONTESTANTS: [Contestant; 11] = [
    contestant!("handlers", handlers),
    contestant!("tasks", tasks),
    contestant!("bare loop", bare),
    contestant!("simcore", with_simcore),
    contestant!("nexosim", with_nexosim),
    contestant!("madsim", with_madsim),
    contestant!("anysystem", with_anysystem),
    // Among 1,000 hosts it looks after half a million links in every tick: minutes for the smallest size.
    contestant!("turmoil", with_turmoil).without(RING_OF_1000),
    contestant!("moonpool", with_moonpool),
    // It has no timeouts.
    contestant!("shuttle", with_shuttle, None),
    contestant!("stateright", with_stateright),
];

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let wanted = |names: &[&str], name: &str| {
        let chosen: Vec<&String> =
            words.iter().filter(|word| names.iter().any(|name| name.contains(word.as_str()))).collect();
        chosen.is_empty() || chosen.iter().any(|word| name.contains(word.as_str()))
    };
    let names = CONTESTANTS.each_ref().map(|contestant| contestant.name);
    let contestants: Vec<&Contestant> =
        CONTESTANTS.iter().filter(|contestant| wanted(&names, contestant.name)).collect();
    println!("M events/s, and how many times as long an event takes as in {}\n", contestants[0].name);
    print!("| workload |");
    for contestant in &contestants {
        print!(" {} |", contestant.name);
    }
    println!("\n|---|{}", "---:|".repeat(contestants.len()));
    for (place, (name, smallest)) in WORKLOADS.into_iter().enumerate() {
        if wanted(&WORKLOADS.map(|(name, _)| name), name) {
            print_row(name, &measured(place, smallest, &contestants));
        }
    }
}

/// The events per second of each contestant in each round; empty for one that takes no part.
fn measured(place: usize, smallest: u64, contestants: &[&Contestant]) -> Vec<Vec<f64>> {
    let sized: Vec<Option<Sized>> = contestants
        .iter()
        .map(|contestant| Some(Sized::find(contestant.name, contestant.workloads[place]?, smallest)))
        .collect();
    let mut rates = vec![Vec::new(); contestants.len()];
    for _ in 0..ROUNDS {
        for (sized, rates) in sized.iter().zip(&mut rates) {
            if let Some(sized) = sized {
                let (done, seconds) = timed(sized.run, sized.size);
                assert_eq!(done, sized.done, "{}: the same seed, another run", sized.name);
                rates.push(done.events as f64 / seconds);
            }
        }
    }
    rates
}

/// A workload at the size that takes a round, and what comes of it.
struct Sized {
    name: &'static str,
    run: Workload,
    size: u64,
    done: Done,
}

impl Sized {
    /// Grows the workload until it takes about [`ROUND_SECONDS`].
    fn find(name: &'static str, run: Workload, smallest: u64) -> Self {
        let mut size = smallest;
        loop {
            let (done, seconds) = timed(run, size);
            if seconds > ROUND_SECONDS / 2.0 {
                return Self { name, run, size, done };
            }
            let factor = (ROUND_SECONDS / seconds.max(1e-6)).clamp(1.5, 20.0);
            size = (size as f64 * factor) as u64;
        }
    }
}

/// One run, and the seconds it took.
fn timed(run: Workload, size: u64) -> (Done, f64) {
    let start = Stopwatch::start();
    let done = run(size, SEED);
    (done, start.seconds())
}

/// The time of this process on the processor: stateright's checker has a thread of its own.
struct Stopwatch(Duration);

impl Stopwatch {
    fn start() -> Self {
        Self(Self::processor())
    }

    fn seconds(&self) -> f64 {
        (Self::processor() - self.0).as_secs_f64()
    }

    fn processor() -> Duration {
        clock_gettime(ClockId::ProcessCPUTime).try_into().expect("a process runs forwards")
    }
}

fn print_row(name: &str, rates: &[Vec<f64>]) {
    print!("| {name} |");
    for (place, contestant) in rates.iter().enumerate() {
        if contestant.is_empty() {
            print!(" — |");
            continue;
        }
        let rate = median(contestant.iter().copied()) / 1e6;
        if place == 0 || rates[0].is_empty() {
            print!(" {rate:.2} |");
        } else {
            let times = median(rates[0].iter().zip(contestant).map(|(first, other)| first / other));
            let (rate, times) = (digits(rate), digits(times));
            print!(" {rate}, {times}× |");
        }
    }
    println!();
}

/// Three digits that mean something.
fn digits(value: f64) -> String {
    match value {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        0.1.. => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

/// The middle value; the upper one of the two if their number is even.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
