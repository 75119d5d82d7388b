//! The fewest picks that still show what a schedule shows.
//!
//! A pick fixes when one event happens: its place among those at one instant, or how late it is. The schedule that a search
//! found fixes every event that could have come otherwise, and most of them do not matter. They are let go, piece by piece,
//! as long as the same property is still violated: all, then halves, quarters, and in the end each alone (Zeller and
//! Hildebrandt, "Simplifying and isolating failure-inducing input", IEEE TSE 28, 2002). What is let go is left to the dice
//! of the seed.

use std::sync::atomic::{AtomicBool, Ordering};

use sim::{Decision, EventId, Overrides};

use crate::catalogue::Prepared;
use crate::reproduction::OverrideText;

/// A schedule with fewer picks.
#[derive(Clone, Debug)]
pub struct FewerPicks {
    /// All decisions that are left, picks and others.
    pub overrides: Overrides,
    /// How many of them are picks.
    pub picks: usize,
    /// How many picks there were.
    pub picks_before: usize,
    /// How many runs it took.
    pub runs: u64,
    /// Whether every pick that is left is needed: without any one of it, the property is not violated.
    pub minimal: bool,
}

/// Lets go of the picks that the violation of `property` does not need. To be asked of a run that violates it.
pub fn fewer_picks(
    prepared: &dyn Prepared,
    (seed, overrides): (u64, &Overrides),
    property: &str,
    runs_max: u64,
    stop: &AtomicBool,
) -> FewerPicks {
    let mut runner = prepared.runner();
    let picks = picks_of(overrides).len();
    let mut fewer =
        FewerPicks { overrides: overrides.clone(), picks, picks_before: picks, runs: 0, minimal: picks == 0 };
    let mut size = picks;
    while size > 0 {
        let (mut from, mut shrank) = (0, false);
        loop {
            let picks = picks_of(&fewer.overrides);
            let Some(piece) = picks.get(from..picks.len().min(from + size)).filter(|piece| !piece.is_empty())
            else {
                break;
            };
            if fewer.runs >= runs_max || stop.load(Ordering::Relaxed) {
                return fewer;
            }
            let without = without(&fewer.overrides, |pick| piece.contains(pick));
            let run = runner.run(seed, &without);
            fewer.runs += 1;
            if run.violations.iter().any(|violation| violation.property == property) {
                // A pick of what does not happen any more decides nothing.
                fewer.overrides = self::without(&without, |pick| {
                    let text = OverrideText::from((pick.0, &pick.1));
                    run.unmatched.contains(&text)
                });
                fewer.picks = picks_of(&fewer.overrides).len();
                shrank = true;
            } else {
                from += size;
            }
        }
        match (size, shrank) {
            (1, false) => {
                fewer.minimal = true;
                size = 0;
            }
            // What was needed may not be any more.
            (1, true) => {}
            _ => size = size.div_ceil(2),
        }
        fewer.minimal |= fewer.picks == 0;
    }
    fewer
}

fn picks_of(overrides: &Overrides) -> Vec<(EventId, Decision)> {
    let all = overrides.iter().map(|(event, decision)| (event, decision.clone()));
    all.filter(|(_, decision)| is_pick(decision)).collect()
}

/// Whether a decision is one about when an event happens.
pub(crate) const fn is_pick(decision: &Decision) -> bool {
    matches!(decision, Decision::Order(_) | Decision::Late(_))
}

fn without(overrides: &Overrides, mut gone: impl FnMut(&(EventId, Decision)) -> bool) -> Overrides {
    let picks = picks_of(overrides);
    let mut left = overrides.clone();
    for pick in picks.iter().filter(|pick| gone(pick)) {
        left.unset(pick.0, &pick.1);
    }
    left
}
