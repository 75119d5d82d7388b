//! How likely a violation became, and when.
//!
//! A run is followed to the time T, and from there on all dice are thrown anew, many times. The part of these runs in
//! which the property is violated, as a curve over T, jumps where the run became doomed: often long before it shows.
//!
//! The instants of the run are the only times at which the curve can change. It is found adaptively: between two
//! instants whose intervals of confidence do not overlap lies a jump, and their middle is measured next. The same dice are
//! thrown at every T, so that neighbouring points differ by what happened between them and not by luck.
//!
//! Deliberately absent: floats. Intervals are those of Wilson ("Probable inference, the law of succession, and statistical
//! inference", 1927) at 95 percent, in millionths, with integer square roots.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rayon::prelude::*;
use serde::Serialize;
use sim::{Nanos, Overrides};

use crate::catalogue::Prepared;

/// All of it, in the unit in which probabilities are given.
pub const MILLION: u64 = 1_000_000;

/// What to measure.
#[derive(Clone, Debug)]
pub struct Likelihood {
    /// The seed of the run that is followed.
    pub seed: u64,
    /// The decisions that are fixed in it, and stay so.
    pub overrides: Overrides,
    /// The property whose violation is counted.
    pub property: String,
    /// The instants of the run at which something happened, in order.
    pub instants: Vec<Nanos>,
    /// How many runs are made for each point.
    pub samples: u64,
    /// At how many points at most.
    pub points: usize,
    /// How many threads; 0 for as many as there are processors.
    pub jobs: usize,
}

/// One point of the curve: of the runs whose dice were thrown anew from `time` on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Point {
    /// From when on the dice are others, in nanoseconds.
    pub time: Nanos,
    /// How many runs.
    pub runs: u64,
    /// In how many of them the property was violated.
    pub violated: u64,
    /// The lower end of the interval that has the probability with 95 percent confidence, in millionths.
    pub low: u64,
    /// Its upper end.
    pub high: u64,
}

impl Point {
    fn new(time: Nanos, runs: u64, violated: u64) -> Self {
        let (low, high) = wilson(violated, runs);
        Self { time, runs, violated, low, high }
    }

    /// The part of the runs that violated, in millionths.
    pub const fn estimate(&self) -> u64 {
        match (self.violated * MILLION).checked_div(self.runs) {
            Some(part) => part,
            None => 0,
        }
    }

    const fn apart(&self, other: &Self) -> bool {
        self.high < other.low || other.high < self.low
    }
}

/// Where the curve makes a step: dice thrown anew from `before` on gave one probability, and another from `after` on.
/// What makes the difference are the decisions at `before`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Step {
    /// The instant whose decisions are thrown anew in the first point, and kept in the second.
    pub before: Point,
    /// The next point.
    pub after: Point,
    /// Whether there is no instant of the run between the two: the step is then found exactly.
    pub exact: bool,
}

/// The curve.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Curve {
    /// Its points, in the order of time.
    pub points: Vec<Point>,
    /// Between which points the intervals of confidence do not overlap, the greatest rise first.
    pub steps: Vec<Step>,
    /// Whether it was interrupted, or ran out of points, before every step was found exactly.
    pub unfinished: bool,
}

/// Measures the curve. `progress` is called with the number of runs made so far, from any thread.
///
/// # Errors
/// If the threads cannot be started.
pub fn likelihood(
    prepared: &dyn Prepared,
    what: &Likelihood,
    stop: &AtomicBool,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Curve, rayon::ThreadPoolBuildError> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(what.jobs).build()?;
    // From the beginning, and from after the end on, where nothing is left to chance.
    let last = what.instants.last().copied().unwrap_or(0).saturating_add(1);
    let mut times = what.instants.clone();
    times.retain(|time| *time > 0);
    times.insert(0, 0);
    times.push(last);
    let done = AtomicU64::new(0);
    let measured = |places: &[usize]| -> Vec<Option<Point>> {
        let point = |place: &usize| measure(prepared, what, times[*place], stop, &done, progress);
        pool.install(|| places.par_iter().map(point).collect())
    };
    let mut curve = BTreeMap::new();
    let mut next = vec![0, times.len() - 1];
    let mut unfinished = false;
    while !next.is_empty() {
        let room = what.points.saturating_sub(curve.len());
        if next.len() > room {
            // The widest jumps are looked into first.
            next.sort_by_key(|place| std::cmp::Reverse(jump_around(&curve, *place)));
            next.truncate(room);
            unfinished = true;
        }
        for (place, point) in next.iter().zip(measured(&next)) {
            match point {
                Some(point) => drop(curve.insert(*place, point)),
                None => unfinished = true,
            }
        }
        next = if unfinished { Vec::new() } else { middles(&curve) };
    }
    let neighbours = curve.iter().zip(curve.iter().skip(1));
    let mut steps: Vec<Step> = neighbours
        .filter(|((_, before), (_, after))| before.apart(after))
        .map(|((i, before), (j, after))| Step { before: *before, after: *after, exact: i + 1 == *j })
        .collect();
    let rise = |step: &Step| step.after.estimate().saturating_sub(step.before.estimate());
    steps.sort_by_key(|step| std::cmp::Reverse(rise(step)));
    Ok(Curve { points: curve.into_values().collect(), steps, unfinished })
}

/// The middles between neighbours that are apart.
fn middles(curve: &BTreeMap<usize, Point>) -> Vec<usize> {
    let neighbours = curve.iter().zip(curve.iter().skip(1));
    neighbours
        .filter(|((i, before), (j, after))| before.apart(after) && *j - *i > 1)
        .map(|((i, _), (j, _))| i.midpoint(*j))
        .collect()
}

/// How far apart the points on both sides of a place are.
fn jump_around(curve: &BTreeMap<usize, Point>, place: usize) -> u64 {
    let before = curve.range(..place).next_back().map_or(0, |(_, point)| point.estimate());
    let after = curve.range(place..).next().map_or(0, |(_, point)| point.estimate());
    before.abs_diff(after)
}

/// One point, unless it was interrupted.
fn measure(
    prepared: &dyn Prepared,
    what: &Likelihood,
    time: Nanos,
    stop: &AtomicBool,
    done: &AtomicU64,
    progress: &(dyn Fn(u64) + Sync),
) -> Option<Point> {
    let units: Vec<u64> = (0..what.samples).step_by(UNIT as usize).collect();
    let counted: Option<Vec<u64>> = units
        .par_iter()
        .map(|start| {
            let mut runner = prepared.runner();
            let mut violated = 0;
            for sample in *start..(start + UNIT).min(what.samples) {
                if stop.load(Ordering::Relaxed) {
                    return None;
                }
                let outcome = runner.run_rekeyed(what.seed, &what.overrides, time, key(what.seed, sample));
                violated += u64::from(outcome.violations.iter().any(|v| v.property == what.property));
                progress(done.fetch_add(1, Ordering::Relaxed) + 1);
            }
            Some(violated)
        })
        .collect();
    Some(Point::new(time, what.samples, counted?.iter().sum()))
}

/// How many runs a thread takes at a time.
const UNIT: u64 = 25;

/// The seed of the other dice of a sample.
const fn key(seed: u64, sample: u64) -> u64 {
    (seed ^ 0x6c69_6b65_6c79_3f21).wrapping_add((sample + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// The interval of Wilson for `violated` of `runs` at 95 percent, in millionths.
///
/// With z = 1.96 its middle is (k + z²/2) / (n + z²), and half its width z √(k (n - k) / n + z²/4) / (n + z²).
fn wilson(violated: u64, runs: u64) -> (u64, u64) {
    /// z² and its half and quarter, in ten-thousandths.
    const Z2: u128 = 38_416;
    const UNIT: u128 = 10_000;
    if runs == 0 {
        return (0, MILLION);
    }
    let (k, n, million) = (u128::from(violated), u128::from(runs), u128::from(MILLION));
    let denominator = n * UNIT + Z2;
    let middle = (k * UNIT + Z2 / 2) * million / denominator;
    // The root in millionths.
    let root = (k * (n - k) * million * million / n + Z2 / 4 * (million * million / UNIT)).isqrt();
    let half = 196 * root * UNIT / 100 / denominator;
    let end = |value: u128| u64::try_from(value.min(million)).expect("at most a million");
    let low = if violated == 0 { 0 } else { end(middle.saturating_sub(half)) };
    let high = if violated == runs { MILLION } else { end(middle + half) };
    (low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_of_wilson_is_as_in_the_tables() {
        // Published values for 95 percent, to four digits.
        let rounded = |(low, high): (u64, u64)| ((low + 50) / 100, (high + 50) / 100);
        assert_eq!(rounded(wilson(0, 10)), (0, 2775));
        assert_eq!(rounded(wilson(10, 10)), (7225, 10_000));
        assert_eq!(rounded(wilson(5, 10)), (2366, 7634));
        assert_eq!(rounded(wilson(50, 100)), (4038, 5962));
        assert_eq!(wilson(0, 0), (0, MILLION));
    }
}
