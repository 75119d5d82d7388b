//! How fast the engine is, as a ratio to the bare loop: `cargo bench --bench ratios` prints a markdown table.
//!
//! The contestants take turns within each round, so that a machine that slows down slows all of them, and a ratio
//! is the median of the ratios of the rounds. Words after `--` choose the workloads whose names contain one of them.
//! Without `--bench` (as `cargo test --benches` runs it) it makes one round of small workloads, which only shows that they
//! work.
//!
//! Deliberately absent: a verdict. A table is evidence for one machine, not a test.

mod workloads;

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[allow(
    clippy::disallowed_types,
    reason = "a benchmark measures the wall clock; no run of the engine sees it"
)]
use std::time::Instant;

use snowglobe::sim::{Config, Context, Ending, NodeId, Process, World};
use workloads::{bare, handlers, plain, tasks};

/// How often each contestant is timed, after a round that only warms up.
const ROUNDS: usize = 7;
/// All workloads run under this seed.
const SEED: u64 = 1;
/// How many times smaller a workload is when it is only tried.
const TRIAL: u64 = 100;
/// A rate is of what a workload takes beyond one that is so many times smaller: what it takes to make the nodes drops out.
const SMALLER: u64 = 8;

/// How many nodes without state are started to see what a node costs.
const IDLE_NODES: u32 = 1_000_000;

/// By how many events two runs differ whose difference says what an event takes.
const SCALE_EVENTS: u64 = 5_000_000;

/// Who competes.
const CONTESTANTS: [&str; 4] = ["bare", "plain", "handlers", "tasks"];
/// Who is compared with whom.
const RATIOS: [(usize, usize); 3] = [(2, 0), (2, 1), (3, 2)];

/// From a size to the number of events.
type Workload = fn(u64) -> u64;

/// One line of the table.
struct Case {
    name: &'static str,
    size: u64,
    /// The same workload once per contestant.
    contestants: [Workload; CONTESTANTS.len()],
}

/// `case!("name", size, |size| function(arguments))`: the workload of that name for every contestant.
macro_rules! case {
    ($name:literal, $size:expr, |$n:ident| $function:ident($($argument:expr),*)) => {
        Case {
            name: $name,
            size: $size,
            contestants: [
                |$n| bare::$function($($argument),*),
                |$n| plain::$function($($argument),*),
                |$n| handlers::$function($($argument),*),
                |$n| tasks::$function($($argument),*),
            ],
        }
    };
}

/// What is timed. A bare run takes some tenths of a second, the largest ring some seconds.
const CASES: [Case; 9] = [
    case!("ping", 40_000_000, |n| ping(n, SEED)),
    case!("lossy RPC", 100_000, |n| lossy_rpc(n as u32, SEED)),
    case!("ring of 10", 10_000_000, |n| ring(10, n, SEED)),
    case!("ring of 1,000", 10_000_000, |n| ring(1_000, n, SEED)),
    case!("ring of 100,000", 10_000_000, |n| ring(100_000, n, SEED)),
    case!("ring of 1,000,000", 8_000_000, |n| ring(1_000_000, n, SEED)),
    case!("gossip of 1,000", 10_000_000, |n| gossip(1_000, n, SEED)),
    case!("gossip of 1,000,000", 8_000_000, |n| gossip(1_000_000, n, SEED)),
    case!("short runs", 400_000, |n| short_runs(n, SEED)),
];

fn main() {
    let (flags, words): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|argument| argument.starts_with('-'));
    let (rounds, scale) = if flags.iter().any(|flag| flag == "--bench") { (ROUNDS, 1) } else { (1, TRIAL) };
    let is_chosen = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word));
    // First: later, memory that was freed would be used again and not be counted.
    print_idle(IDLE_NODES / scale as u32);
    print_header();
    for case in CASES.iter().filter(|case| is_chosen(case.name)) {
        print_row(case.name, &case.measure(case.size / scale, rounds));
    }
    if words.is_empty() {
        print_scale("ring", scale, handlers::ring);
        print_scale("gossip", scale, handlers::gossip);
    }
}

impl Case {
    /// The events per second of each contestant in each round.
    fn measure(&self, size: u64, rounds: usize) -> Vec<[f64; CONTESTANTS.len()]> {
        let expected = self.contestants.map(|run| run(size));
        (0..rounds)
            .map(|_| {
                std::array::from_fn(|contestant| {
                    let run = self.contestants[contestant];
                    // Once for the memory, which the first to need it waits for.
                    run(size / SMALLER);
                    let (fewer, start) = timed(run, size / SMALLER);
                    let (events, took) = timed(run, size);
                    assert_eq!(events, expected[contestant], "{}: same seed, other events", self.name);
                    rate(events - fewer, took - start)
                })
            })
            .collect()
    }
}

/// One run: its events, and the seconds it takes.
#[allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "the wall clock is what is measured")]
fn timed(run: Workload, size: u64) -> (u64, f64) {
    let start = Instant::now();
    let events = run(size);
    (events, start.elapsed().as_secs_f64())
}

#[allow(clippy::cast_precision_loss, reason = "a count of events is far below 2^52")]
fn rate(events: u64, seconds: f64) -> f64 {
    events as f64 / seconds
}

fn print_header() {
    print!("| workload |");
    for name in CONTESTANTS {
        print!(" {name} events/s |");
    }
    for (who, measure) in RATIOS {
        print!(" {} / {} |", CONTESTANTS[who], CONTESTANTS[measure]);
    }
    let columns = CONTESTANTS.len() + RATIOS.len();
    println!("\n|---|{}", "---:|".repeat(columns));
}

fn print_row(name: &str, rates: &[[f64; CONTESTANTS.len()]]) {
    print!("| {name} |");
    for contestant in 0..CONTESTANTS.len() {
        print_cell(median(rates.iter().map(|round| round[contestant])) / 1e6, " M");
    }
    for (who, measure) in RATIOS {
        print_cell(median(rates.iter().map(|round| round[who] / round[measure])), "");
    }
    println!();
}

/// How much longer an event takes among many nodes. What it takes to make the nodes drops out as a difference.
#[allow(clippy::cast_precision_loss, reason = "counts of events are far below 2^52")]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "the wall clock is what is measured")]
fn print_scale(name: &str, scale: u64, run: fn(u32, u64, u64) -> u64) {
    let events = SCALE_EVENTS / scale;
    let nanoseconds = |nodes: u32| {
        let nodes = (u64::from(nodes) / scale).max(1) as u32;
        let seconds = |events| {
            let start = Instant::now();
            run(nodes, events, SEED);
            start.elapsed().as_secs_f64()
        };
        let differences = (0..3).map(|_| seconds(2 * events) - seconds(events));
        median(differences) / events as f64 * 1e9
    };
    let [few, many] = [1_000, 1_000_000].map(nanoseconds);
    println!(
        "\n{name}, handlers: {few:.0} ns an event among 1,000 nodes, {many:.0} ns among 1,000,000, {:.1} times",
        many / few
    );
}

/// What idle nodes cost: the time to start them, and how much the process grows.
#[allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "the wall clock is what is measured")]
fn print_idle(nodes: u32) {
    let (before, start) = (resident(), Instant::now());
    let mut world = World::new(Config::new(nodes), SEED, |_| Idle);
    assert_eq!(world.run(&mut ()), Ending::Quiet);
    let (after, took) = (resident(), start.elapsed());
    drop(world);
    let bytes = before.zip(after).map(|(before, after)| after.saturating_sub(before) / u64::from(nodes));
    let bytes = bytes.map_or_else(|| "an unknown number of".to_owned(), |bytes| bytes.to_string());
    println!("{nodes} idle nodes: started in {} ms, {bytes} bytes each\n", took.as_millis());
}

/// A node without state that does nothing.
struct Idle;

impl Process for Idle {
    type Message = ();

    fn on_message(&mut self, _: &mut Context<()>, _: NodeId, (): ()) {}
}

/// The resident size of this process in bytes, where the system tells.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

fn print_cell(value: f64, unit: &str) {
    print!(" {value:.2}{unit} |");
}

/// The middle value; the upper one of the two if their number is even.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
