//! Decisions fixed from outside, by the id of what they decide.
//!
//! Seed and overrides together are a reproduction. An override that met nothing is reported: it says that the
//! program has changed under it.

use std::collections::BTreeMap;

use crate::disk::SyncError;
use crate::id::{EventId, Label};
use crate::time::Nanos;

/// One decision, fixed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Decision {
    /// Of a send: the delays of its deliveries; none loses the message, several duplicate it. A partition stops it all the
    /// same: then this is reported as unmatched.
    Fate(Vec<Nanos>),
    /// Of an event that a node handles: the node crashes after so many effects of the handler, or does not crash.
    Crash(Option<u32>),
    /// Of a fault that the plan or the dice make: it strikes, or does not.
    Strike(bool),
    /// Of a crash: the disk keeps everything, or nothing, of what was not synced.
    Keep(bool),
    /// Of a sync: how it ends.
    Sync(Result<(), SyncError>),
    /// Of any event: its place among those at the same instant; small comes first.
    Order(u32),
    /// Of any event: it happens so much later than it was due.
    Late(Nanos),
}

impl Decision {
    const fn kind(&self) -> u8 {
        match self {
            Self::Fate(_) => FATE,
            Self::Crash(_) => 1,
            Self::Strike(_) => 2,
            Self::Keep(_) => 3,
            Self::Sync(_) => 4,
            Self::Order(_) => 5,
            Self::Late(_) => 6,
        }
    }
}

/// The kind of [`Decision::Fate`].
const FATE: u8 = 0;

/// How every decision about a fault or a delay is made that is not fixed.
///
/// Clocks, the order of events at one instant, how long a sync takes, and what a process throws for itself are left to the
/// dice under each of them: none of those is something that goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub enum Otherwise {
    /// By the dice and the plan.
    #[default]
    Thrown,
    /// Nothing goes wrong: no message is lost, late, doubled or damaged, no node crashes, no sync fails, and no fault of the
    /// plan or of the dice strikes. How long a message travels is left to the dice.
    Calm,
    /// Nothing goes wrong, and every message takes the shortest time that its link has.
    Plain,
}

/// The decisions fixed in one run, and how all others are made.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Overrides {
    decisions: BTreeMap<(EventId, u8), (Decision, bool)>,
    otherwise: Otherwise,
}

macro_rules! lookup {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $variant:ident($value:ident) -> $type:ty = $result:expr) => {
        $(#[$doc])*
        #[inline(always)]
        pub(crate) fn $name(&mut self, id: EventId) -> Option<$type> {
            if self.decisions.is_empty() {
                return None;
            }
            match self.matched(id, $kind)? {
                Decision::$variant($value) => Some($result),
                other => unreachable!("a decision of kind {} is stored under kind {}", other.kind(), $kind),
            }
        }
    };
}

impl Overrides {
    /// Fixes a decision about an event. A second one of the same kind replaces the first.
    pub fn set(&mut self, id: EventId, decision: Decision) {
        self.decisions.insert((id, decision.kind()), (decision, false));
    }

    /// Nothing fixed, and everything decided so.
    pub fn otherwise_so(otherwise: Otherwise) -> Self {
        Self { decisions: BTreeMap::new(), otherwise }
    }

    /// How what is not fixed is decided.
    pub const fn otherwise(&self) -> Otherwise {
        self.otherwise
    }

    /// Decides otherwise what is not fixed.
    pub const fn set_otherwise(&mut self, otherwise: Otherwise) {
        self.otherwise = otherwise;
    }

    /// Whether what is not fixed may go wrong.
    #[inline(always)]
    pub(crate) fn leave_faults_to_chance(&self) -> bool {
        self.otherwise == Otherwise::Thrown
    }

    /// Leaves open what was fixed about an event by a decision of the same kind.
    pub fn unset(&mut self, id: EventId, decision: &Decision) {
        self.decisions.remove(&(id, decision.kind()));
    }

    /// What is fixed about an event by a decision of the same kind.
    pub fn fixed(&self, id: EventId, like: &Decision) -> Option<&Decision> {
        self.decisions.get(&(id, like.kind())).map(|(decision, _)| decision)
    }

    /// Whether nothing is fixed.
    pub fn is_empty(&self) -> bool {
        self.decisions.is_empty()
    }

    /// A partition decided what becomes of this message: a fate that was fixed for it met nothing.
    #[cold]
    pub(crate) fn fate_was_overruled(&mut self, id: EventId) {
        if let Some((_, matched)) = self.decisions.get_mut(&(id, FATE)) {
            *matched = false;
        }
    }

    /// All fixed decisions, by event.
    pub fn iter(&self) -> impl Iterator<Item = (EventId, &Decision)> {
        self.decisions.iter().map(|((id, _), (decision, _))| (*id, decision))
    }

    /// The decisions that no event of the run asked for.
    pub fn unmatched(&self) -> impl Iterator<Item = (EventId, &Decision)> {
        self.decisions
            .iter()
            .filter(|(_, (_, matched))| !matched)
            .map(|((id, _), (decision, _))| (*id, decision))
    }

    #[cold]
    fn matched(&mut self, id: EventId, kind: u8) -> Option<&Decision> {
        let (decision, matched) = self.decisions.get_mut(&(id, kind))?;
        *matched = true;
        Some(decision)
    }

    lookup!(fate, 0, Fate(delays) -> Vec<Nanos> = delays.clone());
    lookup!(crash, 1, Crash(after) -> Option<u32> = *after);
    lookup!(strike, 2, Strike(strikes) -> bool = *strikes);
    lookup!(keep, 3, Keep(everything) -> bool = *everything);
    lookup!(sync, 4, Sync(result) -> Result<(), SyncError> = *result);
    lookup!(order, 5, Order(place) -> u32 = *place);
    lookup!(late, 6, Late(span) -> Nanos = *span);

    /// What is fixed about when an event happens, for the record of it.
    #[cold]
    pub(crate) fn picks(&self, id: EventId) -> impl Iterator<Item = (Label, u64)> + use<> {
        let fixed = |kind| self.decisions.get(&(id, kind)).map(|(decision, _)| decision);
        let order = match fixed(5) {
            Some(Decision::Order(place)) => Some((Label::new("order"), u64::from(*place))),
            _ => None,
        };
        let late = match fixed(6) {
            Some(Decision::Late(span)) => Some((Label::new("late"), *span)),
            _ => None,
        };
        order.into_iter().chain(late)
    }
}

impl FromIterator<(EventId, Decision)> for Overrides {
    fn from_iter<I: IntoIterator<Item = (EventId, Decision)>>(decisions: I) -> Self {
        let mut overrides = Self::default();
        for (id, decision) in decisions {
            overrides.set(id, decision);
        }
        overrides
    }
}
