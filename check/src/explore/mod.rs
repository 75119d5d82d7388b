//! Every interleaving of a small program, up to a bound.
//!
//! The program runs again and again from the same seed. Each run follows the one before up to some event, and then fires
//! another that was pending there. Tasks cannot be copied, so the prefix is run anew: the search keeps no state but the
//! path it is on (Godefroid, "Model checking for programming languages using `VeriSoft`", POPL 1997).
//!
//! Two events of a node whose handlers touched nothing in common that either changed come to the same in either order.
//! With reduction only one of the two orders is run: of the events pending at one point only those are tried that some
//! run has shown to conflict with what was tried before (source sets), and none of which it is known that all that
//! follows was seen already (sleep sets): Abdulla, Aronis, Jonsson and Sagonas, "Optimal dynamic partial order
//! reduction", POPL 2014.
//!
//! What is not seen: state that tasks share by other means than those of [`sim::tasks`], such as an `Rc<RefCell<_>>`.
//! A program that has such state is to be explored without reduction.
//!
//! Faults can be explored together with schedules: see [`Explore::faults`]. Each set of them is a search of its own.

mod faults;
mod search;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use sim::{Decision, Ending, EventId, Nanos, Overrides};

use crate::catalogue::Prepared;
use crate::run::{Drive, Outcome, Runner};

use faults::Sets;
use search::Search;

pub use faults::{Placement, Places};

/// What to explore.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Explore {
    /// The seed: it decides all but the order of events.
    pub seed: u64,
    /// Events that are due so much later than the earliest may come before it. 0 lets only events at one instant change
    /// places; `Nanos::MAX` lets any event be as late as it likes.
    pub window: Nanos,
    /// Whether to run only one of those orders that come to the same.
    pub reduction: bool,
    /// The greatest number of runs.
    pub runs_max: u64,
    /// The greatest number of events in a run. One that is longer is cut off there.
    pub depth_max: usize,
    /// Whether to stop at the first violation.
    pub first: bool,
    /// With how many faults besides, at most: a message lost or doubled, a node that crashes in the middle of a handler. 0
    /// leaves it at what the seed has.
    pub faults: usize,
    /// The greatest number of runs with each set of such faults, the empty one included.
    pub runs_each: u64,
}

impl Default for Explore {
    fn default() -> Self {
        Self {
            seed: 0,
            window: Nanos::MAX,
            reduction: true,
            runs_max: 1_000_000,
            depth_max: 1_000,
            first: false,
            faults: 0,
            runs_each: u64::MAX,
        }
    }
}

/// What was tried with so many faults.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Placed {
    /// How many sets of faults.
    pub sets: u64,
    /// With how many of them every interleaving was seen.
    pub complete: u64,
}

/// What the search found.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct ExploreReport {
    /// Runs to the end.
    pub executions: u64,
    /// Runs that were given up because all that could follow was seen already.
    pub pruned: u64,
    /// Runs that were longer than the bound.
    pub cut: u64,
    /// Events of all runs.
    pub steps: u64,
    /// The most events of one run.
    pub depth: usize,
    /// How many executions came to each outcome: an ending, the violated properties, and what the judges were told.
    pub outcomes: BTreeMap<u64, u64>,
    /// By property, how many executions violated it, and the first that did.
    pub violations: BTreeMap<String, Violated>,
    /// By situation, in how many executions it occurred.
    pub situations: BTreeMap<&'static str, u64>,
    /// By how many faults were placed, from none: what was tried.
    pub placed: Vec<Placed>,
    /// Whether every interleaving was seen, with every set of faults: neither a bound nor an interruption ended the search,
    /// and no run was cut.
    pub complete: bool,
}

/// The first execution that violated a property.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violated {
    /// In how many executions.
    pub executions: u64,
    /// What came of the first.
    pub outcome: Outcome,
    /// The faults that were placed in it.
    pub faults: Vec<Placement>,
    /// The overrides with which a run from the seed takes the same way.
    pub schedule: Overrides,
}

/// Explores. `progress` is called now and then with what was found so far; `stop` ends the search early.
pub fn explore(
    prepared: &dyn Prepared,
    what: &Explore,
    stop: &AtomicBool,
    progress: &dyn Fn(&ExploreReport),
) -> ExploreReport {
    let mut runner = prepared.runner();
    let mut report = ExploreReport::default();
    let mut sets = Sets::new(what.faults);
    let mut all_complete = true;
    while let Some(faults) = sets.next() {
        let mut places = Places::default();
        let end = explore_with(&mut *runner, what, (&faults, &mut places), stop, (&mut report, progress));
        if report.placed.len() <= faults.len() {
            report.placed.push(Placed::default());
        }
        let placed = &mut report.placed[faults.len()];
        placed.sets += 1;
        placed.complete += u64::from(end == End::Complete);
        all_complete &= end == End::Complete;
        if end == End::Search {
            return report;
        }
        sets.extend(&faults, &places);
    }
    report.complete = all_complete;
    report
}

/// How the search with one set of faults ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    /// Every interleaving was seen.
    Complete,
    /// A bound of its own ended it.
    Bound,
    /// The whole search is over.
    Search,
}

fn explore_with(
    runner: &mut dyn Runner,
    what: &Explore,
    (faults, places): (&[Placement], &mut Places),
    stop: &AtomicBool,
    (report, progress): (&mut ExploreReport, &dyn Fn(&ExploreReport)),
) -> End {
    let fixed = faults::decisions(faults);
    let mut search = Search::new(*what);
    let (runs_before, cut_before) = (report.runs(), report.cut);
    loop {
        // Where the last fault was placed, nobody asks for more.
        let places = (faults.len() < what.faults).then_some(&mut *places);
        let how = Drive { seed: what.seed, overrides: &fixed, window: what.window, places };
        let driven = runner.drive(how, &mut search);
        search.end(driven.outcome.is_some());
        report.steps += search.path().len() as u64;
        report.depth = report.depth.max(search.path().len());
        let fails = match driven.outcome {
            Some(outcome) => {
                let fails = !outcome.holds();
                report.add(&outcome, driven.told, &search, faults);
                fails
            }
            None if search.was_cut() => {
                report.cut += 1;
                false
            }
            None => {
                report.pruned += 1;
                false
            }
        };
        if report.runs().is_multiple_of(1024) {
            progress(report);
        }
        if fails && what.first {
            return End::Search;
        }
        if !search.advance() {
            return if report.cut == cut_before { End::Complete } else { End::Bound };
        }
        if report.runs() >= what.runs_max || stop.load(Ordering::Relaxed) {
            return End::Search;
        }
        if report.runs() - runs_before >= what.runs_each {
            return End::Bound;
        }
    }
}

impl ExploreReport {
    /// Runs of all kinds.
    pub const fn runs(&self) -> u64 {
        self.executions + self.pruned + self.cut
    }

    fn add(&mut self, outcome: &Outcome, told: u64, search: &Search, faults: &[Placement]) {
        self.executions += 1;
        *self.outcomes.entry(key(outcome, told)).or_insert(0) += 1;
        for situation in outcome.met.keys() {
            *self.situations.entry(situation).or_insert(0) += 1;
        }
        let mut properties: Vec<String> = outcome.violations.iter().map(|v| v.property.clone()).collect();
        properties.sort_unstable();
        properties.dedup();
        for property in properties {
            let found = self.violations.entry(property).or_insert_with(|| Violated {
                executions: 0,
                outcome: outcome.clone(),
                faults: faults.to_vec(),
                schedule: overrides(search, faults),
            });
            found.executions += 1;
        }
    }
}

/// A number for what a run came to.
fn key(outcome: &Outcome, told: u64) -> u64 {
    use std::hash::{Hash, Hasher};
    let mut digest = sim::Digest::new(told);
    digest.write_u8(match outcome.ending {
        Ending::Quiet => 0,
        Ending::TimeLimit => 1,
        Ending::Livelock => 2,
        Ending::Violated => 3,
    });
    let mut properties: Vec<&str> = outcome.violations.iter().map(|v| v.property.as_str()).collect();
    properties.sort_unstable();
    properties.dedup();
    properties.hash(&mut digest);
    digest.finish()
}

/// One event of a path: when it was due, and when it was fired.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Fired {
    id: EventId,
    due: Nanos,
    at: Nanos,
}

/// The decisions with which a run takes the path of the last one by itself.
fn overrides(search: &Search, faults: &[Placement]) -> Overrides {
    let path: Vec<Fired> = search.path().collect();
    let mut overrides = faults::decisions(faults);
    for (index, fired) in (0..).zip(&path) {
        if fired.at > fired.due {
            overrides.set(fired.id, Decision::Late(fired.at - fired.due));
        }
        let neighbours = |other: &&Fired| other.at == fired.at;
        if path.iter().filter(neighbours).count() > 1 {
            overrides.set(fired.id, Decision::Order(index));
        }
    }
    // What was cancelled in the end, or cut off by a violation, must not come before that.
    let end = path.last().map_or(0, |last| last.at);
    for event in search.left().filter(|event| event.due <= end) {
        overrides.set(event.id, Decision::Late(end - event.due + 1));
    }
    overrides
}
