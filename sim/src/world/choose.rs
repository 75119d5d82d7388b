//! Driving the world by hand: which events could be next, and firing the one that somebody chooses.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::id::{EventId, NodeId};
use crate::observe::Observer;
use crate::process::Process;
use crate::time::Nanos;

use super::{Ending, Pending, World};

/// An event that could be next.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Candidate {
    /// When it is due.
    pub due: Nanos,
    /// Its id.
    pub id: EventId,
    /// The node it happens on; `None` for a fault, which may happen on several.
    pub node: Option<NodeId>,
}

impl<P: Process> World<P> {
    /// The pending events that are due within `window` of the earliest, in the order of due time and id. That an event
    /// happens later than it was due is always possible: a machine may be slow. That it happens earlier is not.
    pub fn candidates(&self, window: Nanos, into: &mut Vec<Candidate>) {
        into.clear();
        into.extend(self.queue.iter().map(|(due, id, event)| {
            let node = match event {
                Pending::Boot { node } => Some(*node),
                event => event.handled_by(),
            };
            Candidate { due, id, node }
        }));
        into.sort_unstable();
        let last = into.first().map_or(0, |first| first.due.max(self.now).saturating_add(window));
        into.truncate(into.partition_point(|candidate| candidate.due <= last));
    }

    /// Fires the pending event that `next` names, until it names none. Some(ending) if a violation ended the run before.
    /// A panic in a process is one, as in [`World::run`].
    pub fn run_chosen<O: Observer<P::Message>>(
        &mut self,
        observer: &mut O,
        mut next: impl FnMut(&mut Self) -> Option<EventId>,
    ) -> Option<Ending> {
        // As in `World::run_while`.
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            while let Some(id) = next(self) {
                let Some(surfaced) = self.queue.surface(id) else { break };
                self.fire_early_or_late(surfaced, observer);
                if self.violation.is_some() {
                    return Some(Ending::Violated);
                }
            }
            None
        }));
        outcome.unwrap_or_else(|payload| Some(self.blame_panic(payload.as_ref(), observer)))
    }
}
