//! The same in a smaller scenario.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use sim::Otherwise;

use super::{Search, Shrink, Shrunk};
use crate::catalogue::Prepared;
use crate::names;

/// Settings of these names say how large a scenario is, and a smaller one that fails is a better one.
pub const SIZES: [&str; 7] =
    ["clients", "calls", "operations", "servers", "coordinators", "workers", "pages"];

/// A smaller scenario, and what is needed in it.
pub struct Smaller {
    /// The scenario with other settings.
    pub prepared: Box<dyn Prepared>,
    /// What is left of the run in it.
    pub shrunk: Shrunk,
}

/// The same scenario with fewer clients and calls in which the same names of decisions violate the same property, and what
/// of them is needed there; `None` if there is none.
///
/// # Errors
/// If the threads cannot be started.
pub fn smaller_scenario(
    prepared: &dyn Prepared,
    what: &Shrink,
    shrunk: &Shrunk,
    stop: &AtomicBool,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Option<Smaller>, rayon::ThreadPoolBuildError> {
    if shrunk.overrides.otherwise() == Otherwise::Thrown || !shrunk.minimal {
        return Ok(None);
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(what.jobs).build()?;
    let mut runs = shrunk.runs;
    let mut best: Option<Smaller> = None;
    for key in SIZES {
        let current = best.as_ref().map_or(prepared, |best| &*best.prepared);
        let Some(size) = current.settings().get(key).and_then(serde_json::Value::as_u64) else { continue };
        let shrunk = best.as_ref().map_or(shrunk, |best| &best.shrunk).clone();
        let smaller = sizes_below(size).find_map(|size| {
            let prepared = current.resized(key, size)?;
            let (runs_yet, limit) = (AtomicU64::new(runs), AtomicU64::new(what.runs_max));
            let search = Search { prepared: &*prepared, what, stop, progress, runs: runs_yet, limit };
            let calls = is_a_number_of_calls(key).then_some(size);
            let shrunk = pool.install(|| search.in_smaller(&shrunk, calls));
            runs = search.runs.load(Ordering::Relaxed);
            Some(Smaller { shrunk: shrunk?, prepared })
        });
        best = smaller.or(best);
    }
    if let Some(best) = &mut best {
        best.shrunk.runs = runs;
    }
    Ok(best)
}

/// Every small size, and above them powers of two.
fn sizes_below(size: u64) -> impl Iterator<Item = u64> {
    (1..size.min(SMALL)).chain((SMALL..size).filter(|size| size.is_power_of_two()))
}

/// Every size below this is tried, and above it powers of two.
const SMALL: u64 = 8;

fn is_a_number_of_calls(key: &str) -> bool {
    matches!(key, "calls" | "operations")
}

impl Search<'_> {
    /// What violates the same property in this smaller scenario: what has the same names there, or else what is nearest to
    /// them.
    fn in_smaller(&self, shrunk: &Shrunk, calls: Option<u64>) -> Option<Shrunk> {
        let mut fitted = shrunk.clone();
        for needed in &mut fitted.needed {
            needed.name = names::fit(&needed.name, self.prepared.nodes(), calls);
        }
        let otherwise = shrunk.overrides.otherwise();
        let same = || self.by_names(shrunk, otherwise);
        let fits = || self.by_names(&fitted, otherwise);
        let (overrides, looked) = same().or_else(fits)?;
        let mut smaller = shrunk.clone();
        smaller.become_run(overrides, looked);
        self.minimise(&mut smaller);
        smaller.minimal.then_some(smaller)
    }
}
