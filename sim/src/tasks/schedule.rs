//! Where a task may have to let others go first, and what it touches there.

use std::task::{Context as PollContext, Poll};

use super::core::Core;

/// One touch of something shared. Before it, the task gives way once, if the schedule of the run says so.
#[derive(Debug)]
pub(super) struct Point {
    gave_way: bool,
}

impl Point {
    pub(super) const fn new() -> Self {
        Self { gave_way: false }
    }

    /// Whether the task must wait for its next step: at a cell.
    pub(super) fn gives_way(&mut self, core: &Core, poll: &PollContext<'_>) -> bool {
        if self.gave_way {
            return false;
        }
        self.gave_way = true;
        core.wake(&core.who(poll));
        true
    }

    /// The same anywhere else, where tasks give way only in a preemptive schedule.
    #[inline(always)]
    pub(super) fn poll(&mut self, core: &Core, poll: &PollContext<'_>) -> Poll<()> {
        if core.is_preemptive() && self.gives_way(core, poll) { Poll::Pending } else { Poll::Ready(()) }
    }
}
