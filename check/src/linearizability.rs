//! Whether one copy of the data, changed by one operation at a time, could have shown clients what they saw.
//!
//! The search is that of Wing and Gong ("Testing and verifying concurrent objects", 1993) with the memo of Lowe (2017):
//! a set of operations that have taken effect, and the state they lead to, is tried once. An operation of unknown
//! outcome may take effect at any time after it began, or never.

use std::collections::BTreeSet;

use sim::Nanos;

/// A sequential specification.
pub trait Specification {
    /// The state of the data.
    type State: Clone + Ord;
    /// What can be asked.
    type Call;
    /// What can be answered.
    type Reply;

    /// The state before the first operation.
    fn initial(&self) -> Self::State;

    /// The state after a call that was answered by `reply`; `None` if it cannot be answered so in this state. An unknown
    /// reply agrees with every answer.
    fn apply(&self, state: &Self::State, call: &Self::Call, reply: Option<&Self::Reply>) -> Option<Self::State>;
}

/// One operation of a history.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interval<C, R> {
    /// When it began.
    pub invoked: Nanos,
    /// When it ended and with what; `None` if its outcome is unknown.
    pub returned: Option<(Nanos, R)>,
    /// What was asked.
    pub call: C,
}

/// The answer of a check.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Linearizable {
    /// Yes: the operations in an order that explains everything, by index. Operations of unknown outcome that did not
    /// need to take effect are left out.
    Yes(Vec<usize>),
    /// No: the longest order that explains a part, and the operations that cannot come next.
    No {
        /// The order, by index.
        longest: Vec<usize>,
        /// The operations that were tried next, by index.
        blocked: Vec<usize>,
    },
    /// Nobody knows: the search took more steps than it was given.
    Undecided,
}

/// Searches for an order in which the operations could have taken effect, with at most `budget` steps.
pub fn check<S: Specification>(
    specification: &S,
    operations: &[Interval<S::Call, S::Reply>],
    budget: u64,
) -> Linearizable {
    let mut order: Vec<usize> = (0..operations.len()).collect();
    order.sort_by_key(|index| (operations[*index].invoked, *index));
    let mut search = Search {
        specification,
        operations,
        order,
        done: vec![0; operations.len().div_ceil(64)],
        taken: Vec::new(),
        seen: BTreeSet::new(),
        longest: None,
        budget,
    };
    match search.explore(&specification.initial()) {
        Some(true) => Linearizable::Yes(search.taken),
        Some(false) => {
            let (longest, blocked) = search.longest.unwrap_or_default();
            Linearizable::No { longest, blocked }
        }
        None => Linearizable::Undecided,
    }
}

struct Search<'a, S: Specification> {
    specification: &'a S,
    operations: &'a [Interval<S::Call, S::Reply>],
    /// Operations by the time they began.
    order: Vec<usize>,
    /// A bit for each operation that has taken effect.
    done: Vec<u64>,
    taken: Vec<usize>,
    seen: BTreeSet<(Vec<u64>, S::State)>,
    longest: Option<(Vec<usize>, Vec<usize>)>,
    budget: u64,
}

impl<S: Specification> Search<'_, S> {
    fn is_done(&self, index: usize) -> bool {
        self.done[index / 64] >> (index % 64) & 1 == 1
    }

    /// Whether the rest can be put in order; `None` if the budget is used up.
    fn explore(&mut self, state: &S::State) -> Option<bool> {
        self.budget = self.budget.checked_sub(1)?;
        // An operation may come next if no other that is still missing had returned before it began.
        let deadline = self
            .operations
            .iter()
            .enumerate()
            .filter(|(index, _)| !self.is_done(*index))
            .filter_map(|(_, operation)| operation.returned.as_ref().map(|(at, _)| *at))
            .min();
        let Some(deadline) = deadline else { return Some(true) };
        let candidates: Vec<usize> = self
            .order
            .iter()
            .copied()
            .take_while(|index| self.operations[*index].invoked <= deadline)
            .filter(|index| !self.is_done(*index))
            .collect();
        if self.longest.as_ref().is_none_or(|(longest, _)| longest.len() < self.taken.len()) {
            self.longest = Some((self.taken.clone(), candidates.clone()));
        }
        for index in candidates {
            let operation = &self.operations[index];
            let reply = operation.returned.as_ref().map(|(_, reply)| reply);
            let Some(next) = self.specification.apply(state, &operation.call, reply) else { continue };
            self.done[index / 64] |= 1 << (index % 64);
            self.taken.push(index);
            if self.seen.insert((self.done.clone(), next.clone())) && self.explore(&next)? {
                return Some(true);
            }
            self.taken.pop();
            self.done[index / 64] &= !(1 << (index % 64));
        }
        Some(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Register;

    #[derive(Clone, Copy)]
    enum Call {
        Read,
        Write(u64),
    }

    impl Specification for Register {
        type State = u64;
        type Call = Call;
        type Reply = u64;

        fn initial(&self) -> u64 {
            0
        }

        fn apply(&self, state: &u64, call: &Call, reply: Option<&u64>) -> Option<u64> {
            match call {
                Call::Write(value) => Some(*value),
                Call::Read => reply.is_none_or(|read| read == state).then_some(*state),
            }
        }
    }

    fn write(invoked: Nanos, returned: Option<Nanos>, value: u64) -> Interval<Call, u64> {
        Interval { invoked, returned: returned.map(|at| (at, 0)), call: Call::Write(value) }
    }

    fn read(invoked: Nanos, returned: Nanos, value: u64) -> Interval<Call, u64> {
        Interval { invoked, returned: Some((returned, value)), call: Call::Read }
    }

    #[test]
    fn a_read_after_a_write_sees_it() {
        assert_eq!(check(&Register, &[write(0, Some(1), 7), read(2, 3, 7)], 100), Linearizable::Yes(vec![0, 1]));
        let stale = check(&Register, &[write(0, Some(1), 7), read(2, 3, 0)], 100);
        assert_eq!(stale, Linearizable::No { longest: vec![0], blocked: vec![1] });
    }

    #[test]
    fn a_late_first_copy_is_found() {
        let history = [write(0, Some(5), 10), write(6, Some(7), 20), read(8, 9, 10)];
        assert!(matches!(check(&Register, &history, 100), Linearizable::No { .. }));
    }

    #[test]
    fn an_unknown_write_may_take_effect_late_or_never() {
        let unknown = write(0, None, 7);
        assert!(matches!(check(&Register, &[unknown.clone(), read(1, 2, 0), read(3, 4, 7)], 100), Linearizable::Yes(_)));
        assert_eq!(check(&Register, &[unknown.clone(), read(1, 2, 0)], 100), Linearizable::Yes(vec![1]));
        let flickers = [unknown, read(1, 2, 0), read(3, 4, 7), read(5, 6, 0)];
        assert!(matches!(check(&Register, &flickers, 100), Linearizable::No { .. }));
    }

    #[test]
    fn a_search_without_budget_is_undecided() {
        assert_eq!(check(&Register, &[write(0, Some(1), 7), read(2, 3, 7)], 1), Linearizable::Undecided);
    }
}
