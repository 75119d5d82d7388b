//! What lies around the engine: sweeps over many seeds, and traces written and read. `make bench-sweeps` prints what
//! they cost, beside what they may.
//!
//! The scenario is that of `short runs` in `workloads`: 3 nodes, 100 messages, nothing goes wrong. Time is that of
//! this process on the processors, so that others on the machine disturb little, except for the ratio of two jobs
//! to one, which needs two idle cores to mean anything. Without `--bench` it is a thousand times smaller, which only
//! shows that it works. With `traces` sweeps are left out.
//!
//! The digest cannot be turned off. What it costs is what the same runs cost more with a digest twice as long.
//!
//! Deliberately absent: what judges cost. They are the scenarios' own.

use std::hash::{Hash, Hasher};
use std::hint::black_box;
use std::sync::atomic::AtomicBool;

#[allow(
    clippy::disallowed_types,
    reason = "a benchmark measures the wall clock; no run of the engine sees it"
)]
use std::time::Instant;

use serde::Serialize;
use sim::{Config, Context, Delay, Label, Limits, Link, Message, Network, NodeId, Overrides, Process};
use snowglobe_check::{Catalogue, Judgement, Prepared, Run, Scenario, Setup, Sweep, sweep};
use traces::{Trace, TraceFile};

/// Messages of a short simulation.
const HOPS: u64 = 100;
/// Words of a message.
const CONTENT: usize = 1;
/// Words that the digest takes in for a message: the event that it is sent by, its content, and its arrival.
const DIGESTED: usize = 2 + CONTENT;
/// Seeds of a sweep that is timed.
const SEEDS: u64 = 1_000_000;
/// Seeds of the sweep under which memory must not grow.
const MANY_SEEDS: u64 = 10_000_000;
/// Messages of the run that is traced. Each is sent and received, and so is two lines.
const TRACED: u64 = 500_000;
/// How many times smaller everything is when it is only tried.
const TRIAL: u64 = 1_000;

fn main() {
    let scale = if std::env::args().any(|argument| argument == "--bench") { 1 } else { TRIAL };
    let catalogue = Catalogue::new()
        .with(Relays::<CONTENT> { hops: HOPS })
        .with(Relays::<{ CONTENT + DIGESTED }> { hops: HOPS })
        .with(Relays::<CONTENT> { hops: TRACED / scale });
    let entries: Vec<_> =
        catalogue.iter().map(|entry| entry.prepare(&serde_json::Map::new()).expect("no settings")).collect();
    let [short, digested_twice, long] = &entries[..] else { unreachable!("three scenarios were added") };
    if std::env::args().all(|argument| argument != "traces") {
        sweeps(&**short, &**digested_twice, scale);
    }
    traced(&**long);
}

/// Sweeps: their speed, what two jobs gain, what the digest costs, and whether memory grows.
#[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn sweeps(prepared: &dyn Prepared, digested_twice: &dyn Prepared, scale: u64) {
    let seeds = SEEDS / scale;
    let [mut one, mut two, mut twice] = [Cost::MOST; 3];
    // They take turns, and the best counts: what others on the machine do can only make it worse.
    for _ in 0..7 {
        one = one.least(swept(prepared, seeds, 1));
        two = two.least(swept(prepared, seeds, 2));
        twice = twice.least(swept(digested_twice, seeds, 1));
    }
    println!("short simulations a second and core: {:.0} (at least 150000)", seeds as f64 / one.processor);
    println!(
        "two jobs beside one: {:.2} times as fast by the clock, {:.2} times the work (at least 1.9, and 1.0)",
        one.clock / two.clock,
        two.processor / one.processor
    );
    // As many words as the digest takes in already, so what they cost it costs.
    println!(
        "the digest: {:.1} % of the work (at most 10 %)",
        (twice.processor / one.processor - 1.0) * 100.0
    );
    let before = resident();
    swept(prepared, MANY_SEEDS / scale, 1);
    let grown = before.zip(resident()).map(|(before, after)| after.saturating_sub(before) >> 10);
    let grown = grown.map_or_else(|| "by an unknown amount".to_owned(), |grown| format!("by {grown} KiB"));
    println!("after {} more seeds the process has grown {grown} (it must not grow)", MANY_SEEDS / scale);
}

fn swept(prepared: &dyn Prepared, seeds: u64, jobs: usize) -> Cost {
    let what = Sweep { seeds: 0..seeds, jobs, first: false };
    Cost::of(|| {
        let report = sweep(prepared, &what, &AtomicBool::new(false), &|_, _| ()).expect("threads");
        assert_eq!((report.runs, report.violated), (seeds, 0));
    })
}

/// Traces: what a line costs to write and to read.
#[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn traced(prepared: &dyn Prepared) {
    let mut runner = prepared.runner();
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("run.jsonl");
    let overrides = Overrides::default();
    let [mut untraced, mut nowhere, mut file] = [Cost::MOST; 3];
    // They take turns, so that a slow moment hits all of them.
    for _ in 0..7 {
        untraced = untraced.least(Cost::of(|| drop(black_box(runner.run(1, &overrides)))));
        nowhere = nowhere.least(Cost::of(|| {
            runner.trace(1, &overrides, &mut std::io::sink()).expect("a trace");
        }));
        file = file.least(Cost::of(|| {
            let mut file = TraceFile::create(&path).expect("a file");
            runner.trace(1, &overrides, &mut file).expect("a trace");
            file.commit().expect("a file");
        }));
    }
    let read = (0..3).map(|_| Cost::of(|| drop(black_box(Trace::read(&path).expect("a trace")))));
    let read = read.reduce(Cost::least).expect("three");
    let trace = Trace::read(&path).expect("a trace");
    let lines = trace.len() as f64;
    let bytes = trace.text().len() as f64 / lines;
    let each = |cost: Cost| (cost.processor - untraced.processor) / lines * 1e9;
    println!(
        "a traced event of {bytes:.0} bytes: {:.0} ns, of which {:.0} ns for the file (at most 150 ns); {:.0} ns in 100 bytes",
        each(file),
        each(file) - each(nowhere),
        each(file) / bytes * 100.0
    );
    println!("reading a trace of {} events: {:.2} s (under 2 s)", trace.len(), read.processor);
}

/// What something took, in seconds.
#[derive(Clone, Copy)]
struct Cost {
    /// On all processors together, in and out of the kernel.
    processor: f64,
    clock: f64,
}

impl Cost {
    const MOST: Self = Self { processor: f64::MAX, clock: f64::MAX };

    #[allow(
        clippy::disallowed_types,
        clippy::disallowed_methods,
        reason = "the wall clock is what is measured"
    )]
    fn of(work: impl FnOnce()) -> Self {
        let (start, clock) = (processor(), Instant::now());
        work();
        let clock = clock.elapsed().as_secs_f64();
        Self { processor: start.zip(processor()).map_or(clock, |(start, end)| end - start), clock }
    }

    const fn least(self, other: Self) -> Self {
        Self { processor: self.processor.min(other.processor), clock: self.clock.min(other.clock) }
    }
}

/// Seconds that all threads of this process have run on processors, where the system tells.
#[cfg(unix)]
#[allow(clippy::cast_precision_loss, reason = "microseconds are far below 2^52")]
fn processor() -> Option<f64> {
    use nix::sys::resource::{UsageWho, getrusage};
    use nix::sys::time::TimeValLike;
    let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
    Some((usage.user_time() + usage.system_time()).num_microseconds() as f64 / 1e6)
}

#[cfg(not(unix))]
const fn processor() -> Option<f64> {
    None
}

/// The resident size of this process in bytes, where the system tells.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

/// Three nodes in a circle that pass on a counter until it has reached the end.
struct Relays<const WORDS: usize> {
    hops: u64,
}

const NODES: u32 = 3;

impl<const WORDS: usize> Scenario for Relays<WORDS> {
    type Process = Relay<WORDS>;
    type Settings = ();

    fn name(&self) -> String {
        format!("relays/{}/{WORDS}", self.hops)
    }

    fn about(&self) -> String {
        "a counter goes round".to_owned()
    }

    fn defaults(&self) {}

    fn setup(&self, (): &()) -> Result<Setup<Relay<WORDS>>, String> {
        let delay = Delay::Uniform { min: 1_000_000, max: 10_000_000 };
        let network = Network::uniform(Link { delay, ..Link::RELIABLE });
        let limits = Limits { time: u64::MAX, steps: u64::MAX, ..Limits::default() };
        let config = Config { network, limits, ..Config::new(NODES) };
        let hops = self.hops;
        Ok(Setup::new((0..NODES).map(|node| format!("node-{node}")).collect(), config, move |node| Relay {
            next: NodeId((node.0 + 1) % NODES),
            hops,
            passed: 0,
        }))
    }

    fn judge(&self, (): &(), run: &Run<'_, Relay<WORDS>>, judgement: &mut Judgement) {
        let relays = (0..NODES).filter_map(|node| run.world.process(NodeId(node)));
        let passed: u64 = relays.map(|relay| relay.passed).sum();
        if passed != self.hops {
            judgement.violated("all is passed on", format!("{passed} were"), Vec::new());
        }
    }
}

/// A message that is so many words to the digest.
#[derive(Clone, Debug, Serialize)]
struct Hop<const WORDS: usize>(u64);

impl<const WORDS: usize> Hash for Hop<WORDS> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for _ in 0..WORDS {
            self.0.hash(state);
        }
    }
}

impl<const WORDS: usize> Message for Hop<WORDS> {
    type Note = ();

    fn label(&self) -> Label {
        Label::new("hop")
    }
}

struct Relay<const WORDS: usize> {
    next: NodeId,
    hops: u64,
    passed: u64,
}

impl<const WORDS: usize> Process for Relay<WORDS> {
    type Message = Hop<WORDS>;

    fn on_start(&mut self, ctx: &mut Context<Hop<WORDS>>) {
        if ctx.node() == NodeId(0) {
            ctx.send(self.next, Hop(1));
        }
    }

    fn on_message(&mut self, ctx: &mut Context<Hop<WORDS>>, _: NodeId, Hop(hop): Hop<WORDS>) {
        self.passed += 1;
        if hop < self.hops {
            ctx.send(self.next, Hop(hop + 1));
        }
    }
}
