//! The guard against becoming slow: `make bench-check` counts the instructions that an event takes,
//! and fails if one of the workloads takes more than [`TOLERANCE_PERCENT`] over what `instructions.txt` records.
//!
//! Times drift with the machine, instructions do not: this program runs itself under valgrind's cachegrind, each
//! workload at two sizes, and divides the difference, so that what a run costs before its first event drops out.
//! `make bench-record` records what is measured; the commit that does so says why.
//!
//! Deliberately absent: cache misses, which depend on the machine (`ratios` shows what they cost), and the worlds of
//! 100,000 nodes and more, which would take minutes and differ from smaller ones in cache misses alone.

// The workloads say `snowglobe::sim`, as a user does; of the whole package they need only that.
extern crate self as snowglobe;
pub(crate) use snowglobe_sim as sim;

#[allow(dead_code, reason = "the loops written by hand are counted nowhere")]
mod workloads;

use std::collections::BTreeMap;
use std::process::{Command, ExitCode};

use workloads::{handlers, tasks};

/// All workloads run under this seed.
const SEED: u64 = 1;
/// By how much more than recorded a workload may take. Two counts of one program agree to a hundredth of this; the
/// rest is room for another processor, for which the C library copies memory by other instructions.
const TOLERANCE_PERCENT: f64 = 5.0;
/// Where the figures are recorded.
const RECORDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../benches/instructions.txt");

/// A workload in one way of writing it, and the two sizes it is counted at.
struct Case {
    name: &'static str,
    /// From a size to the number of events.
    run: fn(u64) -> u64,
    sizes: [u64; 2],
}

/// `case!(module, "name", sizes, |size| function(arguments))`.
macro_rules! case {
    ($module:ident, $name:literal, $sizes:expr, |$n:ident| $function:ident($($argument:expr),*)) => {
        Case {
            name: concat!(stringify!($module), ", ", $name),
            run: |$n| $module::$function($($argument),*),
            sizes: $sizes,
        }
    };
}

/// Dice alone: for each of so many ids, the dice of the event and one die of them.
fn dice(ids: u64) -> u64 {
    let dice = sim::Dice::new(SEED);
    let thrown = (0..ids).map(|id| dice.of(sim::EventId(id)).bits(sim::Purpose::LOSS));
    std::hint::black_box(thrown.fold(0, |all, die| all ^ die));
    ids
}

const CASES: [Case; 11] = [
    case!(handlers, "ping", [20_000, 120_000], |n| ping(n, SEED)),
    case!(handlers, "lossy RPC", [200, 1_200], |n| lossy_rpc(n as u32, SEED)),
    case!(handlers, "ring of 10", [20_000, 120_000], |n| ring(10, n, SEED)),
    case!(handlers, "ring of 1,000", [20_000, 120_000], |n| ring(1_000, n, SEED)),
    case!(handlers, "short runs", [200, 1_200], |n| short_runs(n, SEED)),
    case!(tasks, "ping", [20_000, 120_000], |n| ping(n, SEED)),
    case!(tasks, "lossy RPC", [200, 1_200], |n| lossy_rpc(n as u32, SEED)),
    case!(tasks, "ring of 10", [20_000, 120_000], |n| ring(10, n, SEED)),
    case!(tasks, "ring of 1,000", [20_000, 120_000], |n| ring(1_000, n, SEED)),
    case!(tasks, "short runs", [200, 1_200], |n| short_runs(n, SEED)),
    Case { name: "a die", run: dice, sizes: [20_000, 120_000] },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let counting = std::env::args().any(|argument| argument == "--bench");
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["run", case, size] => {
            let (case, size): (usize, u64) = (parsed(case), parsed(size));
            println!("{}", (CASES[case].run)(size));
            ExitCode::SUCCESS
        }
        // As `cargo test --benches` runs it: only whether the workloads work.
        [] if !counting => {
            for case in &CASES {
                assert!((case.run)(case.sizes[0]) > 0);
            }
            ExitCode::SUCCESS
        }
        [] => checked(check),
        ["rewrite"] => checked(rewrite),
        _ => checked(|| Err(format!("expected nothing or rewrite, found {}", words.join(" ")))),
    }
}

/// 0, or 1 if an event takes too many instructions, or 2 with a sentence if they could not be counted.
fn checked(verb: impl FnOnce() -> Result<bool, String>) -> ExitCode {
    match verb() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(sentence) => {
            eprintln!("error: {sentence}");
            ExitCode::from(2)
        }
    }
}

/// Compares with the record; whether nothing takes too many.
fn check() -> Result<bool, String> {
    let text = std::fs::read_to_string(RECORDED).map_err(|error| format!("{RECORDED}: {error}"))?;
    let recorded: BTreeMap<&str, f64> = text
        .lines()
        .map(|line| line.rsplit_once(": ").and_then(|(name, figure)| Some((name, figure.parse().ok()?))))
        .collect::<Option<_>>()
        .ok_or_else(|| format!("{RECORDED}: expected lines such as \"handlers, ping: 300.0\""))?;
    let mut holds = true;
    println!("| instructions an event | recorded | now | change |\n|---|---:|---:|---:|");
    for (place, case) in CASES.iter().enumerate() {
        let now = case.instructions(place)?;
        let before =
            *recorded.get(case.name).ok_or_else(|| format!("{RECORDED}: no figure for {}", case.name))?;
        let change = (now / before - 1.0) * 100.0;
        let verdict = if change > TOLERANCE_PERCENT {
            holds = false;
            ", too many"
        } else if change < -TOLERANCE_PERCENT {
            ", fewer: record it"
        } else {
            ""
        };
        println!("| {} | {before:.1} | {now:.1} | {change:+.1} %{verdict} |", case.name);
    }
    if !holds {
        eprintln!(
            "an event takes more than {TOLERANCE_PERCENT} % over what is recorded; if that is the price of something, \
             `make bench-record` records it, and the commit says of what"
        );
    }
    Ok(holds)
}

/// Records what is measured.
fn rewrite() -> Result<bool, String> {
    let mut text = String::new();
    for (place, case) in CASES.iter().enumerate() {
        let line = format!("{}: {:.1}\n", case.name, case.instructions(place)?);
        print!("{line}");
        text.push_str(&line);
    }
    std::fs::write(RECORDED, text).map_err(|error| format!("{RECORDED}: {error}"))?;
    Ok(true)
}

impl Case {
    /// Instructions an event, once the run has begun.
    #[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    fn instructions(&self, place: usize) -> Result<f64, String> {
        let [small, large] = [counted(place, self.sizes[0])?, counted(place, self.sizes[1])?];
        Ok((large.0 - small.0) as f64 / (large.1 - small.1) as f64)
    }
}

/// Instructions and events of one run.
fn counted(place: usize, size: u64) -> Result<(u64, u64), String> {
    let program = std::env::current_exe().map_err(|error| format!("this program has no path: {error}"))?;
    let output = Command::new("valgrind")
        .args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"])
        .arg(&program)
        .args(["run", &place.to_string(), &size.to_string()])
        .output()
        .map_err(|error| {
            format!("expected valgrind, which counts the instructions (on Debian: apt-get install valgrind): {error}")
        })?;
    let (said, counts) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let refs = counts.lines().find_map(|line| line.split_once("refs:")).filter(|_| output.status.success());
    let (_, refs) =
        refs.ok_or_else(|| format!("expected a count of instructions, valgrind said: {counts}"))?;
    Ok((parsed(&refs.replace(',', "")), parsed(&said)))
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.trim().parse().expect("expected a number")
}
