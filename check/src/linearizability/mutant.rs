//! Faults that the tests put into the checker, to see that they would be found.

/// A fault in the checker. There is none outside of tests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mutant {
    None,
    /// An operation may come before one that returned before it began.
    IgnoresRealTime,
    /// Operations that touch at one instant are in order.
    OrdersTies,
    /// An operation of unknown outcome never takes effect.
    UnknownIsFailed,
    /// An operation of unknown outcome must take effect.
    UnknownIsDone,
    /// An operation of unknown outcome is forgotten when all that returned and began before it took effect.
    ForgetsPending,
    /// The memo does not look at the state.
    MemoWithoutState,
    /// The memo looks at the state only.
    MemoWithoutSet,
    /// The memo does not look at operations of unknown outcome.
    MemoWithoutUnknown,
    /// What is taken for a look may change the state.
    LooksTooOften,
    /// Only the first of several next states is tried.
    OneNextState,
    /// All keys have one state.
    OneKey,
    /// An operation is not put back after it led nowhere.
    KeepsLifted,
    /// An operation that follows one of unknown outcome is never worth its while.
    NothingFollowsUnknown,
    /// The proposed order is believed without a look at time.
    TrustsProposal,
}

impl Mutant {
    /// Whether the checker has this fault.
    #[cfg(test)]
    pub(super) fn is(self, fault: Self) -> bool {
        self == fault
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "outside of tests there is no fault")]
    pub(super) const fn is(self, _: Self) -> bool {
        false
    }
}
