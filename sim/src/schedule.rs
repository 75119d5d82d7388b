//! How it is decided which of several runnable tasks goes next.

use crate::dice::Ratio;

/// How it is decided which of several runnable tasks goes next. Whoever is runnable has a step pending at this instant;
/// the dice, by the step's id, decide which is fired first. This says how they are thrown, and where a task has to let
/// others go first although it could go on.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Schedule {
    /// Whether a task gives way before it touches anything shared: a lock, a channel, a wait group. At a
    /// [`SharedCell`](crate::tasks::SharedCell) it always does.
    pub preemptive: bool,
    /// By priorities instead of dice for each step.
    pub priorities: Option<Priorities>,
}

/// Each task has a priority that the dice gave it, and the runnable one with the highest goes next; at a few steps that
/// the dice choose, the task that is about to run is put behind all others. A bug that needs `d` steps in one order is
/// found with probability `1/(n k^(d-1))` with `n` tasks and `k` steps: Burckhardt, Kothari, Musuvathi and Nagarakatte,
/// "A randomized scheduler with probabilistic guarantees of finding bugs", ASPLOS 2010. There the changes are `d - 1` in every
/// run; here each step is thrown for by its id, so that they are `d - 1` on average, and the probability may be smaller by a
/// factor of `e^(d-1)`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Priorities {
    /// How likely a step is to be one before which its task is put behind: `d - 1` in `k`.
    pub change: Ratio,
}

/// Something shared that a handler touched. Two handlers of a node touched nothing in common that either of them
/// changed: then it makes no difference in which order they run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Touch {
    /// What: the same in all runs of a program.
    pub object: u64,
    /// Whether it may have been changed.
    pub writes: bool,
}

/// How closely a world looks at what handlers touch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub enum Watch {
    /// Not at all.
    #[default]
    No,
    /// What tasks share gets a name when it is made, so that touches of it can be told later in the run.
    Names,
    /// Every touch is told.
    Touches,
}

impl Touch {
    /// Everything there is on the node.
    pub const EVERYTHING: Self = Self { object: u64::MAX, writes: true };

    /// What the time is. Moving it on is a write: two of them come to the same in either order.
    pub const TIME: Self = Self { object: 1, writes: false };
    /// That a node is there: every handler of a node touches it, without a change.
    pub const NODE: Self = Self { object: 5, writes: false };
    /// What has come to the node from the network.
    pub(crate) const MAIL: Self = Self { object: 2, writes: true };
    /// The node's disk, and its syncs.
    pub(crate) const DISK: Self = Self { object: 3, writes: true };
    /// The node's connections.
    pub(crate) const STREAMS: Self = Self { object: 4, writes: true };

    /// Whether the order of the two matters.
    pub fn conflicts(self, other: Self) -> bool {
        if self.object == Self::TIME.object && other.object == Self::TIME.object {
            return self.writes != other.writes;
        }
        (self.object == other.object || self.object == u64::MAX || other.object == u64::MAX)
            && (self.writes || other.writes)
    }
}
