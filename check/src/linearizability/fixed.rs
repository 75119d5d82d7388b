//! Keys whose order is fixed by the values that were read: the order is verified, and there is nothing to
//! search.
//!
//! If it is wrong, the history up to some return was right and is wrong with it. That is found by halving,
//! and says more than "there is no order": here is one for all that happened before, and this is the
//! operation that breaks it.

use sim::Nanos;

use super::search::apply;
use super::{Mutant, Partial, Seen, Specification};

pub(super) enum Fixed<S> {
    /// The order explains everything.
    Explained(Vec<usize>),
    /// It does not, and so no order does.
    Impossible(Partial<S>),
}

/// The verdict, if the specification proposes an order.
pub(super) fn check<S: Specification>(
    specification: &S,
    key: &S::Key,
    operations: &[Seen<'_, S::Call, S::Reply>],
    mutant: Mutant,
) -> Option<Fixed<S::State>> {
    let order = specification.propose(key, operations)?;
    if explains(specification, key, operations, &order, mutant).is_some() {
        return Some(Fixed::Explained(order));
    }
    let mut returns: Vec<(Nanos, usize)> = operations
        .iter()
        .enumerate()
        .filter_map(|(index, seen)| seen.returned.map(|at| (at, index)))
        .collect();
    returns.sort_unstable();
    if returns.is_empty() {
        return None;
    }
    // A part that cannot be judged, or that has an explanation, is before the first return that breaks it.
    let judge = |count: usize| {
        let (part, members) = up_to(operations, &returns, count);
        let order = specification.propose(key, &part)?;
        let state = explains(specification, key, &part, &order, mutant);
        Some(state.map(|state| (order.iter().map(|index| members[*index]).collect::<Vec<_>>(), state)))
    };
    let breaks = |count: usize| matches!(judge(count), Some(None));
    let (mut right, mut wrong) = (0, returns.len());
    while wrong - right > 1 {
        let middle = right.midpoint(wrong);
        if breaks(middle) {
            wrong = middle;
        } else {
            right = middle;
        }
    }
    // A part whose values do not tell gives way to a shorter one, and so does one that only worked because it
    // did not know a later answer; at the latest to the empty one.
    let known = |order: &[usize]| order.iter().map(|index| operations[*index]).collect::<Vec<_>>();
    let shown = |count: usize| {
        let (order, _) = judge(count).flatten()?;
        let all: Vec<usize> = (0..order.len()).collect();
        let state = explains(specification, key, &known(&order), &all, mutant)?;
        Some((count, order, state))
    };
    let (count, order, state) =
        (0..=right).rev().find_map(shown).unwrap_or_else(|| (0, Vec::new(), specification.initial(key)));
    let blocked = returns[count..wrong]
        .iter()
        .map(|(_, index)| *index)
        .filter(|index| !order.contains(index))
        .collect();
    Some(Fixed::Impossible(Partial { order, state, blocked }))
}

/// The history up to the return with this number, the returns after it unknown; and which operations these
/// are.
fn up_to<'a, C, R>(
    operations: &[Seen<'a, C, R>],
    returns: &[(Nanos, usize)],
    count: usize,
) -> (Vec<Seen<'a, C, R>>, Vec<usize>) {
    let Some(last) = count.checked_sub(1).map(|last| returns[last]) else { return (Vec::new(), Vec::new()) };
    let begun = operations.iter().enumerate().filter(|(_, seen)| seen.invoked <= last.0);
    let part = begun.map(|(index, seen)| {
        let known = seen.returned.is_some_and(|at| (at, index) <= last);
        let unknown = Seen { returned: None, reply: None, ..*seen };
        (if known { *seen } else { unknown }, index)
    });
    part.unzip()
}

/// A state that the order leads to, if it agrees with time and with the specification.
fn explains<S: Specification>(
    specification: &S,
    key: &S::Key,
    operations: &[Seen<'_, S::Call, S::Reply>],
    order: &[usize],
    mutant: Mutant,
) -> Option<S::State> {
    let mut missing: Vec<bool> = vec![true; operations.len()];
    let mut states = vec![specification.initial(key)];
    let mut begun = 0;
    for index in order {
        let seen = &operations[*index];
        assert!(std::mem::take(&mut missing[*index]), "an order has each operation once");
        if seen.returned.is_some_and(|at| at < begun) && !mutant.is(Mutant::TrustsProposal) {
            return None;
        }
        begun = begun.max(seen.invoked);
        let mut next: Vec<S::State> = Vec::new();
        for state in states.iter().flat_map(|state| apply(specification, state, seen)) {
            if !next.contains(&state) {
                next.push(state);
            }
        }
        states = next;
    }
    let complete = operations.iter().zip(missing).all(|(seen, missing)| !missing || seen.returned.is_none());
    assert!(complete, "an order has every operation that returned");
    states.into_iter().next()
}
