//! Plainer values of what is left: crashes at a place instead of a time, messages as fast as they can be, round delays, and
//! few picks.

use std::sync::atomic::Ordering;

use sim::{Decision, EventId, Nanos, Otherwise, Overrides};
use traces::Kind;

use super::{Looked, Search, Shrunk, matched};
use crate::flips::{is_effect, is_handler};
use crate::picks::fewer_picks;

impl Search<'_> {
    /// Lets nodes crash at a place of what they do instead of a time, where that does: the run then says between what and
    /// what it was, and a message that takes another time does not move it. Whether there was one.
    pub(super) fn place_crashes(&self, shrunk: &mut Shrunk) -> bool {
        let mut any = false;
        if shrunk.overrides.otherwise() == Otherwise::Thrown || !shrunk.minimal {
            return any;
        }
        let strikes = |decision: &Decision| matches!(decision, Decision::Strike(_));
        let struck: Vec<EventId> = shrunk
            .needed
            .iter()
            .map(|needed| &needed.mend)
            .filter(|mend| strikes(&mend.decision))
            .map(|mend| mend.event)
            .collect();
        for fault in struck {
            if self.is_over(2) {
                return any;
            }
            let run = self.look(&shrunk.overrides);
            let Some(crash) = run.trace.find(fault).find(|event| event.kind == Kind::Crash) else { continue };
            let mut before = run.trace.events().take(crash.index).filter(|event| event.node == crash.node);
            let Some(handler) = before.rfind(is_handler) else { continue };
            let mut overrides = shrunk.overrides.clone();
            overrides.unset(fault, &Decision::Strike(true));
            let after = run.trace.events().filter(|event| event.by == handler.id && is_effect(event)).count();
            overrides.set(handler.id, Decision::Crash(Some(after as u32)));
            let placed = self.look(&overrides);
            let is_as_short = placed.needed.len() <= shrunk.needed.len();
            if is_as_short && shrunk.is_violated_by(&placed.outcome) {
                shrunk.become_run(matched(&overrides, &placed.outcome), placed);
                any = true;
            }
        }
        any
    }

    /// What is left, with every message as fast as its link lets it.
    pub(super) fn plain(&self, shrunk: &Shrunk) -> Option<(Overrides, Looked)> {
        self.by_names(shrunk, Otherwise::Plain).filter(|(_, run)| run.needed.len() <= shrunk.needed.len())
    }

    /// Replaces listed delays by rounder ones; whether there was one.
    pub(super) fn round_delays(&self, shrunk: &mut Shrunk) -> bool {
        let mut any = false;
        if shrunk.overrides.otherwise() == Otherwise::Thrown || !shrunk.minimal {
            return any;
        }
        let events: Vec<EventId> = shrunk.needed.iter().map(|needed| needed.mend.event).collect();
        for event in events {
            let like = Decision::Fate(Vec::new());
            let Some(Decision::Fate(delays)) = shrunk.overrides.fixed(event, &like).cloned() else {
                continue;
            };
            for round in [round_down_1, round_up_1, round_down_2, round_up_2] {
                let rounder: Vec<Nanos> = delays.iter().map(|delay| round(*delay)).collect();
                if rounder == delays {
                    break;
                }
                if self.is_over(1) {
                    return any;
                }
                let mut overrides = shrunk.overrides.clone();
                overrides.set(event, Decision::Fate(rounder));
                let looked = self.look(&overrides);
                if shrunk.is_violated_by(&looked.outcome) {
                    shrunk.become_run(overrides, looked);
                    any = true;
                    break;
                }
            }
        }
        any
    }

    /// Lets go of the picks that are not needed beside the faults that are left; whether faults may be needed no more.
    pub(super) fn let_go_of_picks(&self, shrunk: &mut Shrunk) -> bool {
        let (prepared, seed) = (self.prepared, self.what.seed);
        // And one more, to look at what is found.
        let spent = self.runs.load(Ordering::Relaxed) + 1;
        let budget = self.what.runs_max.saturating_sub(spent);
        let fewer = fewer_picks(prepared, (seed, &shrunk.overrides), &shrunk.property, budget, self.stop);
        self.count(fewer.runs);
        shrunk.picks.1 = fewer.picks;
        shrunk.minimal &= fewer.minimal;
        let is_fewer = fewer.picks < fewer.picks_before;
        if is_fewer {
            let looked = self.look(&fewer.overrides);
            shrunk.become_run(fewer.overrides, looked);
        }
        is_fewer && shrunk.minimal
    }
}

fn digits(value: Nanos, count: u32, up: bool) -> Nanos {
    let unit = 10_u64.pow(value.checked_ilog10().unwrap_or(0).saturating_sub(count - 1));
    let down = value / unit * unit;
    if up && down < value { down.saturating_add(unit) } else { down }
}

fn round_down_1(value: Nanos) -> Nanos {
    digits(value, 1, false)
}

fn round_up_1(value: Nanos) -> Nanos {
    digits(value, 1, true)
}

fn round_down_2(value: Nanos) -> Nanos {
    digits(value, 2, false)
}
fn round_up_2(value: Nanos) -> Nanos {
    digits(value, 2, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_rounded_to_one_and_two_digits() {
        let all = |value| [round_down_1, round_up_1, round_down_2, round_up_2].map(|round| round(value));
        assert_eq!(all(212_345_678), [200_000_000, 300_000_000, 210_000_000, 220_000_000]);
        assert_eq!(all(7), [7, 7, 7, 7]);
        assert_eq!(all(0), [0, 0, 0, 0]);
    }
}
