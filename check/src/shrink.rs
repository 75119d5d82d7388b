//! From a failing seed to the few faults that matter.
//!
//! What went wrong in a run by design (a lost, late or doubled message, a crash, a fault that struck) is taken away, piece by
//! piece, as long as the *same property* is still violated: first all of it, then halves, quarters, and in the end each
//! alone, which is delta debugging (Zeller and Hildebrandt, IEEE TSE 28, 2002) on a set that is read anew from the run
//! after each success, because another course of events throws other dice. What is left is 1-minimal: without any one of
//! it, the property holds or another is violated. Where one fault is needed only because it puts off what another fault
//! happens to, the other is tried at what is called the same without it. Candidates of one size run in parallel, and the first in order that still
//! fails is taken, whichever was done first.
//!
//! A schedule that is fixed in the run ends with the [fewest picks](crate::picks).
//!
//! Deliberately absent: sizes of the scenario.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rayon::prelude::*;
use sim::Overrides;
use traces::Trace;

use crate::catalogue::Prepared;
use crate::flips::{Flip, flips};
use crate::picks::fewer_picks;
use crate::run::Outcome;

/// What to shrink.
#[derive(Clone, Debug)]
pub struct Shrink {
    /// The seed of a run that violates something.
    pub seed: u64,
    /// The decisions that are fixed in it already.
    pub overrides: Overrides,
    /// How many runs to make at most.
    pub runs_max: u64,
    /// How many threads; 0 for as many as there are processors. The result is the same.
    pub jobs: usize,
}

/// A fault that is needed.
#[derive(Clone, Debug)]
pub struct Needed {
    /// The decision that takes it away.
    pub mend: Flip,
    /// The run without it; `None` if it was not tried any more.
    pub without: Option<Outcome>,
}

/// What is left of a run.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The property that is violated from the first run to the last.
    pub property: String,
    /// The run that is left.
    pub outcome: Outcome,
    /// The decisions that make it.
    pub overrides: Overrides,
    /// How many faults the first run had.
    pub faults_before: usize,
    /// The faults that are left, in the order of the run.
    pub needed: Vec<Needed>,
    /// How many picks of a schedule were fixed in the first run, and how many are left.
    pub picks: (usize, usize),
    /// How many runs it took.
    pub runs: u64,
    /// Whether every fault and every pick that is left was shown to be needed; not if the budget was spent or somebody was in a hurry.
    pub minimal: bool,
}

impl Shrunk {
    fn is_violated_by(&self, run: &Outcome) -> bool {
        run.violations.iter().any(|violation| violation.property == self.property)
    }
}

/// Shrinks a run; `None` if it violates nothing. `progress` is called with the number of runs made, from any thread.
///
/// # Errors
/// If the threads cannot be started.
pub fn shrink(
    prepared: &dyn Prepared,
    what: &Shrink,
    stop: &AtomicBool,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Option<Shrunk>, rayon::ThreadPoolBuildError> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(what.jobs).build()?;
    let Looked { outcome, mends, .. } = look(prepared, what.seed, &what.overrides);
    let Some(violation) = outcome.violations.first() else { return Ok(None) };
    let mut shrunk = Shrunk {
        property: violation.property.clone(),
        outcome,
        overrides: what.overrides.clone(),
        faults_before: mends.len(),
        needed: mends.into_iter().map(|mend| Needed { mend, without: None }).collect(),
        picks: (0, 0),
        runs: 1,
        minimal: false,
    };
    let search = Search { prepared, what, stop, progress, runs: AtomicU64::new(1) };
    while let Some(smaller) = pool.install(|| search.smaller(&mut shrunk)) {
        let Looked { outcome, mends, .. } = look(prepared, what.seed, &smaller);
        search.runs.fetch_add(1, Ordering::Relaxed);
        shrunk.outcome = outcome;
        shrunk.overrides = smaller;
        shrunk.needed = mends.into_iter().map(|mend| Needed { mend, without: None }).collect();
    }
    shrunk.runs = search.runs.load(Ordering::Relaxed);
    search.let_go_of_picks(&mut shrunk);
    Ok(Some(shrunk))
}

/// A run, what went wrong in it, and what else could have.
struct Looked {
    outcome: Outcome,
    mends: Vec<Flip>,
    others: Vec<Flip>,
}

fn look(prepared: &dyn Prepared, seed: u64, overrides: &Overrides) -> Looked {
    let mut bytes = Vec::new();
    let written = prepared.runner().trace(seed, overrides, &mut bytes);
    let outcome = written.expect("a vector takes everything that is written");
    let trace = Trace::parse(bytes, "the run that is shrunk").expect("what was written can be read");
    let (mends, others) = flips(&trace).into_iter().partition(|flip| flip.mends);
    Looked { outcome, mends, others }
}

struct Search<'a> {
    prepared: &'a dyn Prepared,
    what: &'a Shrink,
    stop: &'a AtomicBool,
    progress: &'a (dyn Fn(u64) + Sync),
    runs: AtomicU64,
}

impl Search<'_> {
    /// The decisions of a run with fewer faults that violates the same property; none if there is none, or no time for it.
    fn smaller(&self, shrunk: &mut Shrunk) -> Option<Overrides> {
        let mut size = shrunk.needed.len();
        while size > 0 {
            let chunks: Vec<&[Needed]> = shrunk.needed.chunks(size).collect();
            if self.runs.load(Ordering::Relaxed) + chunks.len() as u64 > self.what.runs_max {
                return None;
            }
            let tried: Vec<Option<(Overrides, Outcome)>> =
                chunks.par_iter().map(|chunk| self.without(&shrunk.overrides, chunk)).collect();
            if tried.iter().any(Option::is_none) {
                return None;
            }
            let tried: Vec<(Overrides, Outcome)> = tried.into_iter().flatten().collect();
            // The same digest: what was taken away cannot be, or came to nothing.
            let now = shrunk.outcome.digest;
            let found = tried.iter().find(|(_, run)| run.digest != now && shrunk.is_violated_by(run));
            if let Some((overrides, outcome)) = found {
                return Some(matched(overrides, outcome));
            }
            if size == 1 {
                for (needed, (_, outcome)) in shrunk.needed.iter_mut().zip(tried) {
                    needed.without = Some(outcome);
                }
                shrunk.needed.retain(|needed| needed.without.as_ref().is_none_or(|run| run.digest != now));
            }
            size = if size == 1 { 0 } else { size.div_ceil(2) };
        }
        let fewer = (0..shrunk.needed.len()).find_map(|index| self.with_the_others_by_name(shrunk, index));
        shrunk.minimal = fewer.is_none();
        fewer
    }

    /// Lets go of the picks that are not needed beside the faults that are left.
    fn let_go_of_picks(&self, shrunk: &mut Shrunk) {
        let (prepared, seed) = (self.prepared, self.what.seed);
        let budget = self.what.runs_max.saturating_sub(shrunk.runs);
        let fewer = fewer_picks(prepared, (seed, &shrunk.overrides), &shrunk.property, budget, self.stop);
        shrunk.picks = (fewer.picks_before, fewer.picks);
        shrunk.runs += fewer.runs;
        shrunk.minimal &= fewer.minimal;
        if fewer.picks < fewer.picks_before {
            shrunk.outcome = prepared.runner().run(seed, &fewer.overrides);
            shrunk.overrides = fewer.overrides;
        }
    }

    /// Takes one fault away, and lets the others happen to what is called the same in the run that this makes: the lost
    /// reply to a second request may be the lost reply to the first.
    fn with_the_others_by_name(&self, shrunk: &Shrunk, index: usize) -> Option<Overrides> {
        if shrunk.needed.len() < 2 || self.stop.load(Ordering::Relaxed) {
            return None;
        }
        let mend = &shrunk.needed[index].mend;
        let mut overrides = shrunk.overrides.clone();
        overrides.set(mend.event, mend.decision.clone());
        let without = look(self.prepared, self.what.seed, &overrides);
        let others = shrunk.needed.iter().enumerate().filter(|(other, _)| *other != index);
        for name in others.map(|(_, other)| other.mend.undoes()) {
            if let Some(again) = without.others.iter().find(|flip| flip.name.starts_with(&name)) {
                overrides.set(again.event, again.decision.clone());
            }
        }
        let fewer = look(self.prepared, self.what.seed, &overrides);
        (self.progress)(self.runs.fetch_add(2, Ordering::Relaxed) + 2);
        let is_fewer = fewer.mends.len() < shrunk.needed.len() && shrunk.is_violated_by(&fewer.outcome);
        is_fewer.then(|| matched(&overrides, &fewer.outcome))
    }

    /// The run in which these faults are taken away; `None` if it is to be made no more.
    fn without(&self, overrides: &Overrides, faults: &[Needed]) -> Option<(Overrides, Outcome)> {
        if self.stop.load(Ordering::Relaxed) {
            return None;
        }
        let mut overrides = overrides.clone();
        for Needed { mend, .. } in faults {
            overrides.set(mend.event, mend.decision.clone());
        }
        let outcome = self.prepared.runner().run(self.what.seed, &overrides);
        (self.progress)(self.runs.fetch_add(1, Ordering::Relaxed) + 1);
        Some((overrides, outcome))
    }
}

/// Those of the decisions that met something: the others are about events that do not happen any more.
fn matched(overrides: &Overrides, outcome: &Outcome) -> Overrides {
    let is_met = |(event, decision): &(sim::EventId, &sim::Decision)| {
        let text = crate::reproduction::OverrideText::from((*event, *decision));
        !outcome.unmatched.contains(&text)
    };
    overrides.iter().filter(is_met).map(|(event, decision)| (event, decision.clone())).collect()
}
