//! Many seeds, in parallel, with a result that does not depend on how many threads there were or which was first.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use rayon::ThreadPool;
use sim::{FaultCounts, Overrides};

use crate::catalogue::Prepared;
use crate::linearizability::UNDECIDED;
use crate::run::{Costs, Outcome, Runner};
use crate::scenario::Expected;

/// How many seeds one thread takes at a time, at most.
const UNIT_MAX: u64 = 256;
/// Into how many units the seeds of one thread are cut between two times that results are added up.
const UNITS_PER_JOB: u64 = 64;
/// After how many runs a thread tells the others, and whoever watches: each time takes memory from another processor.
const TOLD_AFTER: u64 = 64;

/// What to sweep.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// The seeds.
    pub seeds: Range<u64>,
    /// How many threads; 0 for as many as there are processors.
    pub jobs: usize,
    /// Whether to stop at the first failing seed.
    pub first: bool,
}

/// What a sweep found. Equal for equal seeds, whatever the number of jobs.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct SweepReport {
    /// Runs that were made, from the first seed on without a gap.
    pub runs: u64,
    /// Runs that violated something.
    pub violated: u64,
    /// By property: how many runs violated it, and the first seed that did.
    pub properties: BTreeMap<String, Found>,
    /// The outcome of the first failing seed.
    pub first: Option<Outcome>,
    /// By situation: in how many runs it occurred, and how often in all.
    pub situations: BTreeMap<&'static str, Met>,
    /// All faults of all runs.
    pub faults: FaultCounts,
    /// Events of all runs.
    pub steps: u64,
    /// Operations of all runs.
    pub operations: u64,
    /// What all runs cost.
    pub costs: Costs,
    /// A digest of the digests of all runs in order.
    pub digest: u64,
    /// Whether the sweep was interrupted before its last seed.
    pub interrupted: bool,
}

/// Where a property was violated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Found {
    /// In how many runs.
    pub runs: u64,
    /// Under which seed first.
    pub first: u64,
}

/// How often a situation occurred.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Met {
    /// In how many runs.
    pub runs: u64,
    /// How often in all.
    pub times: u64,
}

/// Whether a sweep found what was expected.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Agreement {
    /// It did.
    Agrees,
    /// It found something else.
    Differs(String),
    /// It found nothing, but the situations named never occurred: no evidence.
    Vacuous(Vec<&'static str>),
}

impl SweepReport {
    /// Compares with what the scenario expects.
    pub fn agreement(&self, expected: Expected, situations: &[&'static str]) -> Agreement {
        match expected {
            Expected::Holds if self.violated > 0 => {
                Agreement::Differs(format!("violated in {} runs", self.violated))
            }
            Expected::Holds if self.situations.contains_key(UNDECIDED) => {
                Agreement::Differs(format!("undecided in {} runs", self.situations[UNDECIDED].runs))
            }
            Expected::Violates(_) | Expected::ViolatesBoth(..) => {
                let planted: Vec<&str> = expected.properties().collect();
                let others: Vec<&str> = self
                    .properties
                    .keys()
                    .map(String::as_str)
                    .filter(|found| !planted.contains(found))
                    .collect();
                if let Some(missed) = planted.iter().find(|planted| !self.properties.contains_key(**planted))
                {
                    Agreement::Differs(format!("{missed} was never violated"))
                } else if others.is_empty() {
                    Agreement::Agrees
                } else {
                    Agreement::Differs(format!("also violated: {}", others.join(", ")))
                }
            }
            Expected::Holds => {
                let never: Vec<_> =
                    situations.iter().copied().filter(|name| !self.situations.contains_key(name)).collect();
                if never.is_empty() { Agreement::Agrees } else { Agreement::Vacuous(never) }
            }
        }
    }

    fn add(&mut self, outcome: Outcome) {
        self.runs += 1;
        self.steps += outcome.steps;
        self.operations += outcome.operations;
        self.costs.add(&outcome.costs);
        self.faults.add(&outcome.faults);
        self.take_in(outcome.digest);
        for (situation, times) in &outcome.met {
            let met = self.situations.entry(situation).or_default();
            met.runs += 1;
            met.times += times;
        }
        if outcome.holds() {
            return;
        }
        self.violated += 1;
        let mut properties: Vec<&str> = outcome.violations.iter().map(|v| v.property.as_str()).collect();
        properties.sort_unstable();
        properties.dedup();
        for property in properties {
            let found = Found { runs: 0, first: outcome.seed };
            self.properties.entry(property.to_owned()).or_insert(found).runs += 1;
        }
        self.first.get_or_insert(outcome);
    }

    const fn take_in(&mut self, digest: u64) {
        self.digest = (self.digest ^ digest).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31);
    }

    /// Adds what later seeds came to. Every field by name, so that a new one is not forgotten here.
    fn append(&mut self, Part { report, digests }: Part) {
        let Self {
            runs,
            violated,
            properties,
            first,
            situations,
            faults,
            steps,
            operations,
            costs,
            digest: _,
            interrupted: _,
        } = report;
        self.runs += runs;
        self.violated += violated;
        self.steps += steps;
        self.operations += operations;
        self.costs.add(&costs);
        self.faults.add(&faults);
        for digest in digests {
            self.take_in(digest);
        }
        for (situation, Met { runs, times }) in situations {
            let met = self.situations.entry(situation).or_default();
            met.runs += runs;
            met.times += times;
        }
        for (property, Found { runs, first }) in properties {
            self.properties.entry(property).or_insert(Found { runs: 0, first }).runs += runs;
        }
        self.first = self.first.take().or(first);
    }
}

/// What came of some seeds in a row, added up where they were run.
#[derive(Default)]
struct Part {
    report: SweepReport,
    /// Of each run: a digest of them is no sum.
    digests: Vec<u64>,
}

/// Sweeps. `progress` is called with the number of runs made so far and of failures among them, from any thread;
/// `stop` ends the sweep early.
///
/// # Errors
/// If the threads cannot be started.
pub fn sweep(
    prepared: &dyn Prepared,
    what: &Sweep,
    stop: &AtomicBool,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<SweepReport, rayon::ThreadPoolBuildError> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(what.jobs).build()?;
    let jobs = pool.current_num_threads() as u64;
    let seeds = what.seeds.end.saturating_sub(what.seeds.start);
    // Small sweeps are cut small, so that every thread has its share of them.
    let unit = (seeds / (jobs * UNITS_PER_JOB)).clamp(1, UNIT_MAX);
    let batch = unit * UNITS_PER_JOB * jobs;
    let state = State { what, stop, progress, done: 0.into(), failed: 0.into(), first: u64::MAX.into() };
    let mut report = SweepReport::default();
    let mut start = what.seeds.start;
    while start < what.seeds.end {
        let end = start.saturating_add(batch).min(what.seeds.end);
        let units: Vec<Range<u64>> = (start..end)
            .step_by(unit as usize)
            .map(|from| from..from.saturating_add(unit).min(end))
            .collect();
        for (seeds, part) in units.iter().zip(state.run_all(&pool, prepared, &units)) {
            let whole = part.report.runs == seeds.end - seeds.start;
            report.append(part);
            if what.first && report.violated > 0 {
                return Ok(report);
            }
            if !whole {
                report.interrupted = true;
                return Ok(report);
            }
        }
        start = end;
    }
    Ok(report)
}

/// What the threads of a sweep share.
struct State<'s> {
    what: &'s Sweep,
    stop: &'s AtomicBool,
    progress: &'s (dyn Fn(u64, u64) + Sync),
    /// Runs so far, and failures among them.
    done: AtomicU64,
    failed: AtomicU64,
    /// The first failing seed so far. Where it ends the sweep, the seeds after it need not be run; those
    /// before it are, so that the answer does not depend on which thread was faster.
    first: AtomicU64,
}

impl State<'_> {
    /// What came of each unit. They are taken in their order, so that a sweep which is stopped has made the first runs.
    fn run_all(&self, pool: &ThreadPool, prepared: &dyn Prepared, units: &[Range<u64>]) -> Vec<Part> {
        let next = AtomicUsize::new(0);
        let of_threads = pool.broadcast(|_| {
            let mut runner = prepared.runner();
            let mut parts = Vec::new();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(seeds) = units.get(index) else { return parts };
                parts.push((index, self.run(&mut *runner, seeds.clone())));
            }
        });
        let mut parts: Vec<_> = of_threads.into_iter().flatten().collect();
        parts.sort_unstable_by_key(|(index, _)| *index);
        parts.into_iter().map(|(_, part)| part).collect()
    }

    /// What comes of these seeds from the first on: of all, unless the sweep is stopped, or ends before them.
    fn run(&self, runner: &mut dyn Runner, seeds: Range<u64>) -> Part {
        let mut part =
            Part { digests: Vec::with_capacity((seeds.end - seeds.start) as usize), ..Part::default() };
        let (mut runs, mut violated) = (0, 0);
        for seed in seeds {
            let over = self.what.first && seed > self.first.load(Ordering::Relaxed);
            if over || self.stop.load(Ordering::Relaxed) {
                break;
            }
            let outcome = runner.run(seed, &Overrides::default());
            if !outcome.holds() {
                self.first.fetch_min(seed, Ordering::Relaxed);
            }
            part.digests.push(outcome.digest);
            part.report.add(outcome);
            if part.report.runs == runs + TOLD_AFTER {
                self.tell(part.report.runs - runs, part.report.violated - violated);
                (runs, violated) = (part.report.runs, part.report.violated);
            }
        }
        self.tell(part.report.runs - runs, part.report.violated - violated);
        part
    }

    fn tell(&self, runs: u64, violated: u64) {
        let done = self.done.fetch_add(runs, Ordering::Relaxed) + runs;
        let failed = self.failed.fetch_add(violated, Ordering::Relaxed) + violated;
        (self.progress)(done, failed);
    }
}
