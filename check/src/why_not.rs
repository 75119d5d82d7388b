//! From a run that holds, the single decisions that would have violated something.
//!
//! Every [flip](crate::flips) of the run is tried. Of those that violate, the nearest comes first: the one whose run differs
//! from the one that holds in the fewest events, counting those only in one of the two and those that changed or moved;
//! among equals, the earlier one.
//!
//! Deliberately absent: pairs of decisions.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rayon::prelude::*;
use sim::Overrides;
use traces::{Diff, Trace};

use crate::catalogue::Prepared;
use crate::flips::Flip;
use crate::run::Outcome;

/// What to try.
#[derive(Clone, Debug)]
pub struct WhyNot {
    /// The seed of the run.
    pub seed: u64,
    /// The decisions that are fixed in it already.
    pub overrides: Overrides,
    /// The flips to try, in this order.
    pub flips: Vec<Flip>,
    /// How many of them at most.
    pub budget: usize,
    /// How many threads; 0 for as many as there are processors.
    pub jobs: usize,
}

/// A decision that would have violated something.
#[derive(Clone, Debug)]
pub struct Near {
    /// The decision.
    pub flip: Flip,
    /// The run with it.
    pub outcome: Outcome,
    /// In how many events that run differs.
    pub distance: u64,
}

/// What was tried, and what was found.
#[derive(Clone, Debug, Default)]
pub struct WhyNotReport {
    /// How many flips were tried.
    pub tried: u64,
    /// How many there are.
    pub all: u64,
    /// How many of those tried met nothing, or changed nothing.
    pub idle: u64,
    /// Those that violate, the nearest first. Of crashes that come to the same run, one.
    pub found: Vec<Near>,
}

/// Tries the flips. `progress` is called with the number of runs made so far, from any thread.
///
/// # Errors
/// If the threads cannot be started.
pub fn why_not(
    prepared: &dyn Prepared,
    original: &Trace,
    what: &WhyNot,
    stop: &AtomicBool,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<WhyNotReport, rayon::ThreadPoolBuildError> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(what.jobs).build()?;
    let with = |flip: &Flip| {
        let mut overrides = what.overrides.clone();
        overrides.set(flip.event, flip.decision.clone());
        overrides
    };
    let done = AtomicU64::new(0);
    let budget = what.budget.min(what.flips.len());
    let units: Vec<&[Flip]> = what.flips[..budget].chunks(UNIT).collect();
    let outcomes: Vec<Vec<Outcome>> = pool.install(|| {
        let run = |flips: &&[Flip]| {
            let mut runner = prepared.runner();
            let mut outcomes = Vec::with_capacity(flips.len());
            for flip in *flips {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                outcomes.push(runner.run(what.seed, &with(flip)));
                progress(done.fetch_add(1, Ordering::Relaxed) + 1);
            }
            outcomes
        };
        units.par_iter().map(run).collect()
    });
    let mut report = WhyNotReport { all: what.flips.len() as u64, ..WhyNotReport::default() };
    let mut violating: Vec<(&Flip, Outcome)> = Vec::new();
    for (flips, outcomes) in units.iter().zip(outcomes) {
        for (flip, outcome) in flips.iter().zip(outcomes) {
            report.tried += 1;
            let same = outcome.digest == original.end().digest && outcome.holds();
            if same || !outcome.unmatched.is_empty() {
                report.idle += 1;
            } else if !outcome.holds() {
                let again = violating
                    .iter()
                    .any(|(other, run)| other.event == flip.event && run.digest == outcome.digest);
                if !again {
                    violating.push((flip, outcome));
                }
            }
        }
    }
    let distances: Vec<u64> = pool.install(|| {
        let distance = |(flip, _): &(&Flip, Outcome)| {
            let mut bytes = Vec::new();
            let written = prepared.runner().trace(what.seed, &with(flip), &mut bytes);
            written.expect("a vector takes everything, and the original was written");
            let other = Trace::parse(bytes, &flip.name).expect("what was written can be read");
            let found = Diff::of(original, &other).alignment;
            found.shifted + found.changed + found.only_a + found.only_b
        };
        violating.par_iter().map(distance).collect()
    });
    report.found = violating
        .into_iter()
        .zip(distances)
        .map(|((flip, outcome), distance)| Near { flip: flip.clone(), outcome, distance })
        .collect();
    // Stable: flips are in the order of the run's events.
    report.found.sort_by_key(|near| near.distance);
    Ok(report)
}

/// How many runs a thread makes in one world's memory.
const UNIT: usize = 32;
