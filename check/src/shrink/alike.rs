//! One fault alone that does what several do together.
//!
//! Taking away ends where no single fault can go, and that may be far from the fewest: faults which only bring two things to
//! the same time are each needed, and together do what one fault of the same kind does at another place, or with a longer
//! delay. So before each fault is tried alone, the run in which nothing goes wrong is made, and faults of the kinds that are
//! left are put into it, one at a time.
//!
//! Deliberately absent: pairs of faults, and kinds of faults that the failing run had not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use rayon::prelude::*;
use sim::{Otherwise, Overrides};

use super::{Looked, Search, Shrunk};
use crate::flips::{Flip, flips};
use crate::picks::is_pick;

/// How many are tried.
const TRIED: usize = 48;

/// What faults have in common that go wrong with the same: `lose reply server -> client-`, `crash server`.
type Alike = Vec<String>;

impl Search<'_> {
    /// The run in which nothing goes wrong but one fault like one of those that are left, or nothing at all; none if no
    /// such run violates the same property.
    pub(super) fn one_alike(&self, shrunk: &Shrunk) -> Option<(Overrides, Looked)> {
        if shrunk.needed.len() < 2 || self.is_over(1) {
            return None;
        }
        let mut nothing = Overrides::otherwise_so(Otherwise::Plain);
        for (event, pick) in shrunk.overrides.iter().filter(|(_, decision)| is_pick(decision)) {
            nothing.set(event, pick.clone());
        }
        let plain = self.look(&nothing);
        if shrunk.is_violated_by(&plain.outcome) {
            return Some((nothing, plain));
        }
        let kinds = shrunk.needed.iter().map(|needed| alike(&needed.name)).collect();
        let candidates = candidates(flips(&plain.trace), &kinds);
        // And one more, to look at what is found.
        if self.is_over(candidates.len() as u64 + 1) {
            return None;
        }
        let with = |flip: &Flip| {
            let mut overrides = nothing.clone();
            overrides.set(flip.event, flip.decision.clone());
            overrides
        };
        let fails = |flip: &Flip| {
            if self.stop.load(Ordering::Relaxed) {
                return false;
            }
            self.count(1);
            shrunk.is_violated_by(&self.prepared.runner().run(self.what.seed, &with(flip)))
        };
        let found = candidates.chunks(UNIT).find_map(|flips| {
            let fails: Vec<bool> = flips.par_iter().map(fails).collect();
            flips.iter().zip(fails).find_map(|(flip, fails)| fails.then(|| with(flip)))
        })?;
        let looked = self.look(&found);
        Some((found, looked))
    }
}

/// How many are tried at once. The first in order that fails is taken, so that the number of threads does not matter.
const UNIT: usize = 8;

/// What is tried: of each kind the first in the run, then of each the second, and so on.
fn candidates(flips: Vec<Flip>, kinds: &BTreeSet<Alike>) -> Vec<Flip> {
    let mut counts = BTreeMap::<Alike, u32>::new();
    let mut ranked: Vec<(u32, Flip)> = Vec::new();
    for flip in flips.into_iter().filter(|flip| !flip.mends) {
        let kind = alike(&flip.name);
        if kinds.contains(&kind) {
            let count = counts.entry(kind).or_default();
            *count += 1;
            ranked.push((*count, flip));
        }
    }
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().take(TRIED).map(|(_, flip)| flip).collect()
}

/// The words of a fault that say what goes wrong with what between whom, without what tells it from others of its kind.
fn alike(name: &str) -> Alike {
    let words = name.split(' ').filter(|word| !word.starts_with('#'));
    let count = match name.split(' ').next() {
        Some("lose" | "delay" | "duplicate") => 5,
        Some("crash") => 2,
        _ => 1,
    };
    let stem = |word: &str| {
        word.trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == ',').to_owned()
    };
    words.take(count).map(stem).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_like_another_of_the_same_message_or_node() {
        for (one, other) in [
            (
                "lose reply server -> client-2 of call client-2/2, attempt 1",
                "lose reply #1 server -> client-1",
            ),
            (
                "duplicate request client-1 -> server of call client-1/1, attempt 1, after 1 ms and 2 ms",
                "duplicate request #3 client-2 -> server after the end",
            ),
            ("crash server (chance #1)", "crash server after effect 2 of request #1 from client-1"),
            (
                "fail sync of commit/7 at server of call client-4/2, attempt 1",
                "fail sync #1 commit/1 of server",
            ),
        ] {
            assert_eq!(alike(one), alike(other));
        }
        assert_ne!(alike("lose reply #1 server -> client-1"), alike("lose request #1 client-1 -> server"));
        assert_ne!(alike("crash server (chance #1)"), alike("crash client-1 (chance #1)"));
    }
}
