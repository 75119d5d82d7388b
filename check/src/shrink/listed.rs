//! The same run, as a list of what went wrong in it.

use std::collections::BTreeMap;

use serde::Deserialize;
use sim::{Decision, EventId, Nanos, Otherwise, Overrides, SyncError};
use traces::{Kind, Trace};

use super::{Looked, Search, Shrunk, matched};
use crate::flips::Flip;

/// How often a run is compared with the one that lists what went wrong in it.
const ROUNDS: u32 = 8;

impl Search<'_> {
    /// The same run, in which nothing goes wrong but what is listed; none if it cannot be listed.
    pub(super) fn listed(&self, shrunk: &Shrunk, original: &Looked) -> Option<(Overrides, Looked)> {
        if shrunk.overrides.otherwise() != Otherwise::Thrown {
            return None;
        }
        let mut overrides = shrunk.overrides.clone();
        overrides.set_otherwise(Otherwise::Calm);
        for needed in &original.needed {
            overrides.set(needed.mend.event, made(&original.trace, &needed.mend)?);
        }
        let fates = fates(&original.trace);
        // What a plan wrote or a partition stopped shows only beside a run without it.
        for _ in 0..ROUNDS {
            if self.is_over(1) {
                return None;
            }
            let looked = self.look(&overrides);
            let mut same = true;
            if looked.outcome.digest != original.outcome.digest {
                for (event, fate) in self::fates(&looked.trace) {
                    if let Some(was) = fates.get(&event).filter(|was| **was != fate) {
                        overrides.set(event, Decision::Fate(was.clone()));
                        same = false;
                    }
                }
            }
            if same {
                return shrunk.is_violated_by(&looked.outcome).then(|| {
                    let overrides = matched(&overrides, &looked.outcome);
                    let needed = self.needed(&looked.trace, &overrides);
                    (overrides, Looked { needed, ..looked })
                });
            }
        }
        None
    }
}

/// What a run decided where a flip decides otherwise.
fn made(trace: &Trace, flip: &Flip) -> Option<Decision> {
    #[derive(Deserialize)]
    struct Sent {
        fate: Vec<Nanos>,
    }
    Some(match flip.decision {
        Decision::Fate(_) => {
            let sent = trace.find(flip.event).find(|event| event.kind == Kind::Send)?;
            Decision::Fate(sent.parse::<Sent>().ok()?.fate)
        }
        Decision::Crash(_) => {
            let crash = trace.events().find(|event| event.kind == Kind::Crash && event.by == flip.event)?;
            Decision::Crash(Some(crash.field("after")?.as_u64()? as u32))
        }
        Decision::Strike(_) => Decision::Strike(true),
        Decision::Sync(_) => Decision::Sync(Err(SyncError::Device)),
        _ => return None,
    })
}

/// What became of every message.
fn fates(trace: &Trace) -> BTreeMap<EventId, Vec<Nanos>> {
    #[derive(Deserialize)]
    struct Sent {
        fate: Vec<Nanos>,
    }
    let sends = trace.events().filter(|event| event.kind == Kind::Send);
    sends.filter_map(|event| Some((event.id, event.parse::<Sent>().ok()?.fate))).collect()
}
