//! One search for each key, in turns.
//!
//! Each key first gets a few steps, then those that are left get more, and so on: a violation that is easy to
//! find is found, whatever the other keys cost. A search that has to wait keeps what it knows.

use std::collections::{BTreeMap, BTreeSet};

use super::fixed::{self, Fixed};
use super::search::{Progress, Search};
use super::{Checked, CheckedBy, Interval, Mutant, Partial, Seen, Specification, Verdict};

/// How many steps a key may take in the first round, and by how much that grows from round to round.
const FIRST_ROUND: u64 = 1_000;
const GROWTH: u64 = 4;

/// A key that is not decided.
struct Open<'a, S: Specification> {
    key: S::Key,
    /// The operations of this key, by index, in the order they began.
    members: Vec<usize>,
    search: Search<'a, S>,
}

pub(super) fn check<S: Specification>(
    specification: &S,
    operations: &[Interval<S::Call, S::Reply>],
    budget: u64,
    mutant: Mutant,
) -> CheckedBy<S> {
    let mut steps = 0;
    let mut orders: Vec<Vec<usize>> = Vec::new();
    let mut open: Vec<Open<'_, S>> = Vec::new();
    for (key, members) in partition(specification, operations, mutant) {
        let seen: Vec<Seen<'_, _, _>> = members.iter().map(|index| operations[*index].seen()).collect();
        match fixed::check(specification, &key, &seen, mutant) {
            Some(Fixed::Explained(order)) => orders.push(of_members(&members, &order)),
            Some(Fixed::Impossible(partial)) => {
                return Checked { verdict: violated(key, &members, vec![partial]), steps };
            }
            None => {
                let search = Search::new(specification, &key, seen, mutant);
                open.push(Open { key, members, search });
            }
        }
    }
    let mut each = FIRST_ROUND;
    while !open.is_empty() && steps < budget {
        let mut left = Vec::new();
        for mut one in open {
            let before = one.search.steps();
            let progress = one.search.run(before.saturating_add(each.min(budget - steps)));
            steps += one.search.steps() - before;
            match progress {
                Progress::Found => orders.push(of_members(&one.members, &one.search.order())),
                Progress::Exhausted => {
                    return Checked {
                        verdict: violated(one.key, &one.members, one.search.partials()),
                        steps,
                    };
                }
                Progress::Stopped => left.push(one),
            }
        }
        open = left;
        each = each.saturating_mul(GROWTH);
    }
    let verdict = if open.is_empty() {
        Verdict::Linearizable { order: merge(operations, &orders) }
    } else {
        Verdict::Undecided { keys: open.into_iter().map(|one| one.key).collect() }
    };
    Checked { verdict, steps }
}

/// The operations of each key, by index, in the order they began.
fn partition<S: Specification>(
    specification: &S,
    operations: &[Interval<S::Call, S::Reply>],
    mutant: Mutant,
) -> BTreeMap<S::Key, Vec<usize>> {
    let mut indices: Vec<usize> = (0..operations.len()).collect();
    indices.sort_by_key(|index| (operations[*index].invoked, *index));
    let mut keys: BTreeMap<S::Key, Vec<usize>> = BTreeMap::new();
    for index in indices {
        let call = if mutant.is(Mutant::OneKey) { &operations[0].call } else { &operations[index].call };
        keys.entry(specification.key(call)).or_default().push(index);
    }
    keys
}

fn of_members(members: &[usize], order: &[usize]) -> Vec<usize> {
    order.iter().map(|index| members[*index]).collect()
}

fn violated<K, S>(key: K, members: &[usize], partials: Vec<Partial<S>>) -> Verdict<K, S> {
    let of_members = |partial: Partial<S>| Partial {
        order: of_members(members, &partial.order),
        state: partial.state,
        blocked: of_members(members, &partial.blocked),
    };
    Verdict::Violated { key, partials: partials.into_iter().map(of_members).collect() }
}

/// One order out of one for each key. Of the operations that are next in their key, the one that began first
/// may come next: whatever returned before it began is not left, since in its own key something would be next
/// that began before that returned, and so before this one.
fn merge<C, R>(operations: &[Interval<C, R>], orders: &[Vec<usize>]) -> Vec<usize> {
    let mut heads = BTreeSet::new();
    for (key, order) in orders.iter().enumerate() {
        if let Some(first) = order.first() {
            heads.insert((operations[*first].invoked, key, 0));
        }
    }
    let mut merged = Vec::new();
    while let Some((_, key, position)) = heads.pop_first() {
        merged.push(orders[key][position]);
        if let Some(next) = orders[key].get(position + 1) {
            heads.insert((operations[*next].invoked, key, position + 1));
        }
    }
    merged
}
