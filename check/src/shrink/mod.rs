//! From a failing seed to the few faults that matter.
//!
//! First nothing goes wrong any more but what went wrong in this run, each of it a decision that is
//! [listed](sim::Otherwise). Of that, piece by piece is taken away as long as the *same property* is still violated: first
//! all of it, then halves, quarters, and in the end each alone, which is delta debugging (Zeller and Hildebrandt, IEEE TSE
//! 28, 2002). What is left is 1-minimal: without any one of it, the property holds or another is violated. Where several
//! are left, a single fault like one of them is tried in their place. Where one fault is needed only because it
//! puts off what another fault happens to, the other is tried at what has the same [name](crate::names) without it. Then a
//! node that crashed at some time crashes at a place of what it does, and every message takes its shortest time, where that
//! still does; delays that are listed are rounded; and [`smaller_scenario`] has fewer clients and calls.
//!
//! Where a run cannot be listed (a message that was damaged unnoticed), the dice stay as they are, and what goes wrong is
//! mended instead, read anew from the run after each success, because another course of events throws other dice.
//!
//! Candidates of one size run in parallel, and the first in order that still fails is taken, whichever was done first.
//!
//! A schedule that is fixed in the run ends with the [fewest picks](crate::picks).
//!
//! Deliberately absent: what messages contain.

mod alike;
mod listed;
mod plainer;
mod smaller;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rayon::prelude::*;
use sim::{Decision, EventId, Otherwise, Overrides};
use traces::Trace;

use crate::catalogue::Prepared;
use crate::flips::{Flip, flips};
use crate::names::{self, Names};
use crate::picks::is_pick;
use crate::run::Outcome;

pub use smaller::{SIZES, Smaller, smaller_scenario};

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
    /// Its [name](crate::names), as a reproduction has it.
    pub name: String,
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
    /// Whether every fault and every pick that is left was shown to be needed; not if the budget was spent or somebody was
    /// in a hurry.
    pub minimal: bool,
}

impl Shrunk {
    fn is_violated_by(&self, run: &Outcome) -> bool {
        run.violations.iter().any(|violation| violation.property == self.property)
    }

    /// Goes on from another run.
    fn become_run(&mut self, overrides: Overrides, looked: Looked) {
        self.overrides = overrides;
        self.outcome = looked.outcome;
        self.needed = looked.needed;
    }
}

/// Decisions without one of them.
pub fn without(overrides: &Overrides, fault: &Needed) -> Overrides {
    let mut overrides = overrides.clone();
    // What is listed is taken from the list; what the dice threw is decided otherwise.
    match overrides.otherwise() {
        Otherwise::Thrown => overrides.set(fault.mend.event, fault.mend.decision.clone()),
        Otherwise::Calm | Otherwise::Plain => overrides.unset(fault.mend.event, &fault.mend.decision),
    }
    overrides
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
    let search = Search {
        prepared,
        what,
        stop,
        progress,
        runs: AtomicU64::new(0),
        limit: AtomicU64::new(what.runs_max),
    };
    let first = search.look(&what.overrides);
    let Some(violation) = first.outcome.violations.first() else { return Ok(None) };
    let mut shrunk = Shrunk {
        property: violation.property.clone(),
        outcome: first.outcome.clone(),
        overrides: what.overrides.clone(),
        faults_before: first.needed.len(),
        needed: first.needed.clone(),
        picks: (picks(&what.overrides), picks(&what.overrides)),
        runs: 0,
        minimal: false,
    };
    if let Some((overrides, listed)) = search.listed(&shrunk, &first) {
        shrunk.become_run(overrides, listed);
    }
    pool.install(|| {
        // Some of the budget is kept, in case that the list is too long.
        search.limit.store(what.runs_max.div_ceil(4), Ordering::Relaxed);
        if shrunk.overrides.otherwise() != what.overrides.otherwise() {
            search.take_away(&mut shrunk, 2);
        }
        let is_many = shrunk.needed.len() > FEW;
        if is_many && let Some((overrides, one)) = search.one_alike(&shrunk) {
            shrunk.become_run(overrides, one);
        }
        search.minimise(&mut shrunk);
        search.limit.store(what.runs_max, Ordering::Relaxed);
        if shrunk.overrides.otherwise() != what.overrides.otherwise()
            && (!shrunk.minimal || shrunk.needed.len() > LISTED_MAX)
        {
            let mut thrown = shrunk.clone();
            thrown.become_run(what.overrides.clone(), first.clone());
            search.minimise(&mut thrown);
            if thrown.minimal && (!shrunk.minimal || thrown.needed.len() < shrunk.needed.len()) {
                shrunk = thrown;
            }
        }
        if !shrunk.minimal {
            search.minimise(&mut shrunk);
        }
        if !is_many && let Some((overrides, one)) = search.one_alike(&shrunk) {
            shrunk.become_run(overrides, one);
            search.minimise(&mut shrunk);
        }
        if search.place_crashes(&mut shrunk) {
            search.minimise(&mut shrunk);
        }
        if shrunk.overrides.otherwise() == Otherwise::Calm
            && let Some((overrides, plain)) = search.plain(&shrunk)
        {
            shrunk.become_run(overrides, plain);
            search.minimise(&mut shrunk);
        }
        if search.round_delays(&mut shrunk) {
            search.minimise(&mut shrunk);
        }
        // A fault that the picks needed may not be needed without them, and the other way round.
        while search.let_go_of_picks(&mut shrunk) {
            search.minimise(&mut shrunk);
        }
    });
    shrunk.runs = search.runs.load(Ordering::Relaxed);
    Ok(Some(shrunk))
}

/// How many picks are fixed.
fn picks(overrides: &Overrides) -> usize {
    overrides.iter().filter(|(_, decision)| is_pick(decision)).count()
}

/// So few are tried alone first.
const FEW: usize = 4;

/// A list longer than this may be a plan in which everything goes wrong, which the plan itself says better.
const LISTED_MAX: usize = 16;

/// A run, and what went wrong in it.
#[derive(Clone)]
struct Looked {
    outcome: Outcome,
    trace: std::sync::Arc<Trace>,
    needed: Vec<Needed>,
}

struct Search<'a> {
    prepared: &'a dyn Prepared,
    what: &'a Shrink,
    stop: &'a AtomicBool,
    progress: &'a (dyn Fn(u64) + Sync),
    runs: AtomicU64,
    /// How many runs may be made for now.
    limit: AtomicU64,
}

impl Search<'_> {
    fn count(&self, runs: u64) {
        (self.progress)(self.runs.fetch_add(runs, Ordering::Relaxed) + runs);
    }

    fn is_over(&self, more: u64) -> bool {
        self.stop.load(Ordering::Relaxed)
            || self.runs.load(Ordering::Relaxed) + more > self.limit.load(Ordering::Relaxed)
    }

    fn look(&self, overrides: &Overrides) -> Looked {
        self.count(1);
        let mut bytes = Vec::new();
        let written = self.prepared.runner().trace(self.what.seed, overrides, &mut bytes);
        let outcome = written.expect("a vector takes everything that is written");
        let trace = Trace::parse(bytes, "the run that is shrunk").expect("what was written can be read");
        let needed = self.needed(&trace, overrides);
        Looked { outcome, trace: std::sync::Arc::new(trace), needed }
    }

    /// What can be taken away from a run: what is listed, or what went wrong.
    fn needed(&self, trace: &Trace, overrides: &Overrides) -> Vec<Needed> {
        let names = Names::of(trace);
        let mends = flips(trace).into_iter().filter(|flip| flip.mends);
        if overrides.otherwise() == Otherwise::Thrown {
            let named = |mend: Flip| Needed { name: mend.undoes(), mend, without: None };
            return mends.map(named).collect();
        }
        let mends: Vec<Flip> = mends.collect();
        let mut needed: Vec<(usize, Needed)> = Vec::new();
        for (event, decision) in overrides.iter().filter(|(_, decision)| !is_pick(decision)) {
            let name = names.tell(self.prepared.nodes(), event, decision);
            let name = name.unwrap_or_else(|| format!("decide about {event}"));
            let is_it = |flip: &&Flip| {
                flip.event == event
                    && std::mem::discriminant(&flip.decision) == std::mem::discriminant(decision)
            };
            let found = trace.find(event).next();
            let time = found.map_or(0, |event| event.t);
            let decision = decision.clone();
            let mend = mends.iter().find(is_it).cloned();
            let mend = mend.unwrap_or_else(|| Flip {
                name: format!("no {name}"),
                time,
                event,
                decision,
                mends: true,
            });
            // A fault has no line of its own.
            let place = trace.events().position(|line| line.t >= mend.time).unwrap_or(trace.len());
            let place = found.map_or(place, |event| event.index);
            needed.push((place, Needed { name, mend, without: None }));
        }
        needed.sort_by_key(|(place, _)| *place);
        needed.into_iter().map(|(_, needed)| needed).collect()
    }

    /// The run in which what has the same names is decided the same; none if it violates another property, or nothing.
    fn by_names(&self, shrunk: &Shrunk, otherwise: Otherwise) -> Option<(Overrides, Looked)> {
        if self.is_over(shrunk.needed.len() as u64 + 1) {
            return None;
        }
        let mut fixed = Overrides::otherwise_so(otherwise);
        for (event, pick) in shrunk.overrides.iter().filter(|(_, decision)| is_pick(decision)) {
            fixed.set(event, pick.clone());
        }
        let mut named = Vec::new();
        for Needed { name, mend, .. } in &shrunk.needed {
            match names::parse(name, self.prepared.nodes()) {
                Ok(read) => named.push((name.clone(), read)),
                Err(_) => {
                    fixed.set(mend.event, shrunk.overrides.fixed(mend.event, &mend.decision)?.clone());
                }
            }
        }
        self.count(named.len() as u64);
        let resolved = names::resolve(self.prepared, self.what.seed, fixed, named).ok()?;
        let looked = self.look(&resolved.overrides);
        if !shrunk.is_violated_by(&looked.outcome) {
            return None;
        }
        let overrides = matched(&resolved.overrides, &looked.outcome);
        let needed = self.needed(&looked.trace, &overrides);
        Some((overrides, Looked { needed, ..looked }))
    }

    /// Takes away until nothing can be.
    fn minimise(&self, shrunk: &mut Shrunk) {
        self.take_away(shrunk, 1);
    }

    /// Takes away pieces of at least so many faults until none can be.
    fn take_away(&self, shrunk: &mut Shrunk, size_min: usize) {
        shrunk.minimal = false;
        while let Some(smaller) = self.smaller(shrunk, size_min) {
            let looked = self.look(&smaller);
            shrunk.become_run(smaller, looked);
        }
    }

    /// The decisions of a run with fewer faults that violates the same property; none if there is none, or no time for it.
    fn smaller(&self, shrunk: &mut Shrunk, size_min: usize) -> Option<Overrides> {
        let is_listed = shrunk.overrides.otherwise() != Otherwise::Thrown;
        let mut size = shrunk.needed.len();
        while size >= size_min {
            let chunks: Vec<&[Needed]> = shrunk.needed.chunks(size).collect();
            // And one more, to look at what is found.
            if self.is_over(chunks.len() as u64 + 1) {
                return None;
            }
            let tried: Vec<Option<(Overrides, Outcome)>> =
                chunks.par_iter().map(|chunk| self.without(&shrunk.overrides, chunk)).collect();
            if tried.iter().any(Option::is_none) {
                return None;
            }
            let tried: Vec<(Overrides, Outcome)> = tried.into_iter().flatten().collect();
            // Where dice are thrown, the same digest says that what was taken away cannot be, or came to nothing.
            let now = shrunk.outcome.digest;
            let found =
                tried.iter().find(|(_, run)| (is_listed || run.digest != now) && shrunk.is_violated_by(run));
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
        if size_min > 1 {
            return None;
        }
        if is_listed && shrunk.needed.len() > 1 {
            for index in 0..shrunk.needed.len() {
                if self.is_over(shrunk.needed.len() as u64 + 1) {
                    return None;
                }
                let mut others = shrunk.clone();
                others.needed.remove(index);
                let fewer = self.by_names(&others, shrunk.overrides.otherwise());
                if let Some((overrides, _)) = fewer.filter(|(_, run)| run.needed.len() < shrunk.needed.len())
                {
                    return Some(overrides);
                }
            }
        }
        shrunk.minimal = !self.stop.load(Ordering::Relaxed);
        None
    }

    /// The run in which these faults are taken away; `None` if it is to be made no more.
    fn without(&self, overrides: &Overrides, faults: &[Needed]) -> Option<(Overrides, Outcome)> {
        if self.stop.load(Ordering::Relaxed) {
            return None;
        }
        let overrides = faults.iter().fold(overrides.clone(), |overrides, fault| without(&overrides, fault));
        let outcome = self.prepared.runner().run(self.what.seed, &overrides);
        self.count(1);
        Some((overrides, outcome))
    }
}

/// Those of the decisions that met something: the others are about events that do not happen any more.
fn matched(overrides: &Overrides, outcome: &Outcome) -> Overrides {
    let is_met = |(event, decision): &(EventId, &Decision)| {
        let text = crate::reproduction::OverrideText::from((*event, *decision));
        !outcome.unmatched.contains(&text)
    };
    let mut met = Overrides::otherwise_so(overrides.otherwise());
    for (event, decision) in overrides.iter().filter(is_met) {
        met.set(event, decision.clone());
    }
    met
}
