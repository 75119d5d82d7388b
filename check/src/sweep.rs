//! Many seeds, in parallel, with a result that does not depend on how many threads there were or which was first.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rayon::prelude::*;
use sim::{FaultCounts, Overrides};

use crate::catalogue::Prepared;
use crate::run::Outcome;
use crate::scenario::Expected;

/// How many seeds one thread takes at a time.
const UNIT: u64 = 256;
/// How many units each thread has before results are added up and interruption is looked for.
const UNITS_PER_JOB: u64 = 4;

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
            Expected::Holds if self.violated > 0 => Agreement::Differs(format!("violated in {} runs", self.violated)),
            Expected::Violates(property) => {
                let others: Vec<&str> =
                    self.properties.keys().map(String::as_str).filter(|found| *found != property).collect();
                if !self.properties.contains_key(property) {
                    Agreement::Differs(format!("{property} was never violated"))
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
        self.faults.add(&outcome.faults);
        self.digest = (self.digest ^ outcome.digest).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31);
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
    let batch = UNIT * UNITS_PER_JOB * pool.current_num_threads() as u64;
    let (done, failed) = (AtomicU64::new(0), AtomicU64::new(0));
    let mut report = SweepReport::default();
    let mut start = what.seeds.start;
    while start < what.seeds.end {
        let end = start.saturating_add(batch).min(what.seeds.end);
        let units: Vec<Range<u64>> =
            (start..end).step_by(UNIT as usize).map(|unit| unit..(unit + UNIT).min(end)).collect();
        let outcomes: Vec<Option<Vec<Outcome>>> = pool.install(|| {
            units
                .into_par_iter()
                .map(|seeds| {
                    let mut runner = prepared.runner();
                    let mut outcomes = Vec::with_capacity(UNIT as usize);
                    for seed in seeds {
                        if stop.load(Ordering::Relaxed) {
                            return None;
                        }
                        let outcome = runner.run(seed, &Overrides::default());
                        let runs = done.fetch_add(1, Ordering::Relaxed) + 1;
                        let failures =
                            failed.fetch_add(u64::from(!outcome.holds()), Ordering::Relaxed);
                        if runs % 64 == 0 {
                            progress(runs, failures);
                        }
                        outcomes.push(outcome);
                    }
                    Some(outcomes)
                })
                .collect()
        });
        for unit in outcomes {
            let Some(outcomes) = unit else {
                report.interrupted = true;
                return Ok(report);
            };
            for outcome in outcomes {
                let fails = !outcome.holds();
                report.add(outcome);
                if fails && what.first {
                    return Ok(report);
                }
            }
        }
        start = end;
    }
    Ok(report)
}
