//! How fast the engine is, as a ratio to the bare loop: `cargo bench --bench ratios` prints a markdown table.
//!
//! The contestants take turns within each round, so that a machine that slows down slows all of them, and a ratio
//! is the median of the ratios of the rounds. Without `--bench` (as `cargo test --benches` runs it) it makes one
//! round of small workloads, which only shows that they work.
//!
//! Deliberately absent: a verdict. A table is evidence for one machine, not a test.

mod workloads;

#[allow(
    clippy::disallowed_types,
    reason = "a benchmark measures the wall clock; no run of the engine sees it"
)]
use std::time::Instant;

use workloads::{bare, handlers, plain};

/// How often each contestant is timed, after a round that only warms up.
const ROUNDS: usize = 7;
/// All workloads run under this seed.
const SEED: u64 = 1;
/// How many times smaller a workload is when it is only tried.
const TRIAL: u64 = 100;

/// Who competes. The first two are measures; each of the others is compared with both.
const CONTESTANTS: [&str; 3] = ["bare", "plain", "handlers"];
/// How many of them are measures.
const MEASURES: usize = 2;

/// One line of the table.
struct Case {
    name: &'static str,
    size: u64,
    /// The same workload once per contestant: from a size to the number of events.
    contestants: [fn(u64) -> u64; CONTESTANTS.len()],
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
            ],
        }
    };
}

/// What is timed. A bare run takes some tenths of a second, the largest ring some seconds.
const CASES: [Case; 7] = [
    case!("ping", 40_000_000, |n| ping(n, SEED)),
    case!("lossy RPC", 100_000, |n| lossy_rpc(n as u32, SEED)),
    case!("ring of 10", 10_000_000, |n| ring(10, n, SEED)),
    case!("ring of 1,000", 10_000_000, |n| ring(1_000, n, SEED)),
    case!("ring of 100,000", 10_000_000, |n| ring(100_000, n, SEED)),
    case!("ring of 1,000,000", 4_000_000, |n| ring(1_000_000, n, SEED)),
    case!("short runs", 400_000, |n| short_runs(n, SEED)),
];

fn main() {
    let (rounds, scale) =
        if std::env::args().any(|argument| argument == "--bench") { (ROUNDS, 1) } else { (1, TRIAL) };
    print_header();
    for case in &CASES {
        print_row(case.name, &case.measure(case.size / scale, rounds));
    }
}

impl Case {
    /// The events per second of each contestant in each round.
    fn measure(&self, size: u64, rounds: usize) -> Vec<[f64; CONTESTANTS.len()]> {
        let expected = self.contestants.map(|run| run(size));
        (0..rounds)
            .map(|_| {
                std::array::from_fn(|contestant| {
                    let (events, rate) = timed(self.contestants[contestant], size);
                    assert_eq!(events, expected[contestant], "{}: same seed, other events", self.name);
                    rate
                })
            })
            .collect()
    }
}

/// One run: its events, and its events per second.
#[allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "the wall clock is what is measured")]
#[allow(clippy::cast_precision_loss, reason = "a count of events is far below 2^52")]
fn timed(run: fn(u64) -> u64, size: u64) -> (u64, f64) {
    let start = Instant::now();
    let events = run(size);
    (events, events as f64 / start.elapsed().as_secs_f64())
}

fn print_header() {
    print!("| workload |");
    for name in CONTESTANTS {
        print!(" {name} events/s |");
    }
    for name in &CONTESTANTS[MEASURES..] {
        for measure in &CONTESTANTS[..MEASURES] {
            print!(" {name} / {measure} |");
        }
    }
    let columns = CONTESTANTS.len() + MEASURES * (CONTESTANTS.len() - MEASURES);
    println!("\n|---|{}", "---:|".repeat(columns));
}

fn print_row(name: &str, rates: &[[f64; CONTESTANTS.len()]]) {
    print!("| {name} |");
    for contestant in 0..CONTESTANTS.len() {
        print!(" {:.2} M |", median(rates.iter().map(|round| round[contestant])) / 1e6);
    }
    for contestant in MEASURES..CONTESTANTS.len() {
        for measure in 0..MEASURES {
            print!(" {:.2} |", median(rates.iter().map(|round| round[contestant] / round[measure])));
        }
    }
    println!();
}

/// The middle value; the upper one of the two if their number is even.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
