//! Which queue suits pending events: `make bench-queues` prints a markdown table of the engine's and its alternatives.
//!
//! All queues hold the same packed keys and give them back in the same exact order, on the same sequences of operations;
//! before anything is timed, and in every timed run, what came out is compared with std's binary heap. What else a pending
//! event is made of is kept apart from its key, in the same way for all: here, only whether it was cancelled.
//!
//! The contestants take turns within each round, and a ratio is the median of the ratios of the rounds. Time is that which
//! this thread had a processor for. Words after `--` choose sequences whose names have one of them. Without `--bench` (as `cargo test --benches` runs it) it makes one round of small
//! sequences, which only shows that they work.
//!
//! Deliberately absent: a verdict, as in `ratios`, and what the world does with the order it is told of beforehand: it asks
//! memory for the events that come next.

// The workloads say `snowglobe::sim`, as a user does; of the whole package they need only that.
extern crate self as snowglobe;
pub(crate) use snowglobe_sim as sim;

#[allow(dead_code, reason = "only one workload is recorded")]
#[path = "../workloads/mod.rs"]
mod workloads;

mod pending;
mod recording;
mod sequences;

mod binary;
mod calendar;
mod engine;
mod pairing;
mod radix;
mod wheel;

use sequences::{Delays, Measured, Sequence};

/// How often each contestant is timed, after a round that only warms up.
const ROUNDS: usize = 5;
/// How many times fewer events a sequence has, and fewer of them are pending, when it is only tried.
const TRIAL: u64 = 100;
/// The contestant that the others are compared with.
const ENGINE: usize = 3;

/// Who competes.
const CONTESTANTS: [(&str, Run); 9] = [
    ("std heap", Sequence::run::<binary::Fields>),
    ("binary, packed", Sequence::run::<binary::Packed>),
    ("4-ary, packed", Sequence::run::<engine::FourAry>),
    ("engine", Sequence::run::<engine::Keys>),
    ("4-ary, FIFO for timers", Sequence::run::<engine::FourAryAndFifo>),
    ("pairing", Sequence::run::<pairing::Pairing>),
    ("radix", Sequence::run::<radix::Radix>),
    ("wheel", Sequence::run::<wheel::Wheel>),
    ("calendar", Sequence::run::<calendar::Calendar>),
];

/// So many events of a sequence through one of the queues.
type Run = fn(&Sequence, u64) -> Measured;

/// One line of the table.
struct Case {
    name: &'static str,
    sequence: Sequence,
    events: u64,
}

fn main() {
    let (options, words): (Vec<_>, Vec<_>) =
        std::env::args().skip(1).partition(|argument| argument.starts_with('-'));
    let is_asked_for = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word));
    let (rounds, scale) =
        if options.iter().any(|option| option == "--bench") { (ROUNDS, 1) } else { (1, TRIAL) };
    for seed in 0..5 {
        expected(&Sequence::Random { seed }, 40_000);
    }
    print_header();
    for Case { name, sequence, events } in cases(scale).iter().filter(|case| is_asked_for(case.name)) {
        print_row(name, &measure(sequence, events / scale, rounds));
    }
}

/// What is timed: some tenths of a second each, but for queues that a sequence does not suit.
fn cases(scale: u64) -> [Case; 13] {
    let hold = |name, pending: u64, delays, events| {
        let pending = (pending / scale).max(4) as u32;
        Case { name, sequence: Sequence::Hold { pending, delays }, events }
    };
    let rpc = |name, clients: u64, events| {
        let clients = (clients / scale).max(4) as u32;
        Case { name, sequence: Sequence::Rpc { clients }, events }
    };
    let (recorded, events) = recording::lossy_rpc((20_000 / scale) as u32);
    [
        hold("hold, 4 pending", 4, Delays::Uniform, 5_000_000),
        hold("hold, 100 pending", 100, Delays::Uniform, 4_000_000),
        hold("hold, 1,000 pending", 1_000, Delays::Uniform, 3_000_000),
        hold("hold, 10,000 pending", 10_000, Delays::Uniform, 2_000_000),
        hold("hold, 100,000 pending", 100_000, Delays::Uniform, 2_000_000),
        hold("hold, 1,000,000 pending", 1_000_000, Delays::Uniform, 1_000_000),
        hold("hold, 1,000 pending, 1 µs to 1 s", 1_000, Delays::Spread, 2_000_000),
        hold("hold, 100,000 pending, 1 µs to 1 s", 100_000, Delays::Spread, 500_000),
        rpc("calls with timers, 16 clients", 16, 2_000_000),
        rpc("calls with timers, 10,000 clients", 10_000, 2_000_000),
        Case {
            name: "lossy RPC as recorded",
            sequence: Sequence::Recorded(recorded),
            events: events * scale,
        },
        hold("ties: 10,000 in step", 10_000, Delays::InStep, 500_000),
        hold("ties: 10,000, half of them at once", 10_000, Delays::AtOnce, 500_000),
    ]
}

/// What every queue must give for a sequence. That each of them does is asserted.
fn expected(sequence: &Sequence, events: u64) -> Measured {
    let [(_, first), others @ ..] = CONTESTANTS;
    let expected = first(sequence, events);
    for (name, run) in others {
        run(sequence, events).assert_agrees(&expected, name);
    }
    expected
}

/// The nanoseconds an event takes each contestant in each round.
fn measure(sequence: &Sequence, events: u64, rounds: usize) -> Vec<[f64; CONTESTANTS.len()]> {
    let expected = expected(sequence, events);
    let round = || {
        CONTESTANTS.map(|(name, run)| {
            let measured = run(sequence, events);
            measured.assert_agrees(&expected, name);
            measured.nanos_per_event()
        })
    };
    (0..rounds).map(|_| round()).collect()
}

fn print_header() {
    print!("| sequence |");
    for (name, _) in CONTESTANTS {
        print!(" {name} |");
    }
    println!("\n|---|{}", "---:|".repeat(CONTESTANTS.len()));
}

fn print_row(name: &str, nanos: &[[f64; CONTESTANTS.len()]]) {
    print!("| {name} |");
    for contestant in 0..CONTESTANTS.len() {
        print!(" {:.1}", median(nanos.iter().map(|round| round[contestant])));
        if contestant != ENGINE {
            print!(", {:.2}×", median(nanos.iter().map(|round| round[contestant] / round[ENGINE])));
        }
        print!(" |");
    }
    println!();
}

/// The middle value; the upper one of the two if their number is even.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
