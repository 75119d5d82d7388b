//! The checker against one that tries every order, on random small histories; and faults in the checker, each
//! of which that comparison must find.

use std::collections::BTreeMap;

use super::models::{Ask, Call, Model, ModelSpecification, Reply, State, Value};
use super::partition::check;
use super::search::{Progress, Search};
use super::{Interval, Mutant, Seen, Specification, Verdict};

/// How many histories of each kind are compared: with seven kinds, more than 100,000.
const HISTORIES: u64 = 20_000;
const BUDGET: u64 = 1_000_000;

/// Whether any order of any selection explains the history, by trying all, with one state for each key.
fn brute_force<S: Specification>(specification: &S, history: &[Interval<S::Call, S::Reply>]) -> bool {
    let mut states = BTreeMap::new();
    for operation in history {
        let key = specification.key(&operation.call);
        let initial = specification.initial(&key);
        states.insert(key, initial);
    }
    any_order(specification, history, &mut vec![false; history.len()], &states)
}

fn any_order<S: Specification>(
    specification: &S,
    history: &[Interval<S::Call, S::Reply>],
    done: &mut Vec<bool>,
    states: &BTreeMap<S::Key, S::State>,
) -> bool {
    let left = |done: &[bool], index: &usize| !done[*index];
    if (0..history.len()).all(|index| done[index] || history[index].returned.is_none()) {
        return true;
    }
    for next in 0..history.len() {
        let returned_before = |other: usize| {
            history[other].returned.as_ref().is_some_and(|(at, _)| *at < history[next].invoked)
        };
        if done[next] || (0..history.len()).filter(|index| left(done, index)).any(returned_before) {
            continue;
        }
        let seen = history[next].seen();
        let key = specification.key(seen.call);
        for state in specification.apply(&states[&key], seen.call, seen.reply) {
            let mut states = states.clone();
            states.insert(key.clone(), state);
            done[next] = true;
            if any_order(specification, history, done, &states) {
                return true;
            }
            done[next] = false;
        }
    }
    false
}

/// Whether an order is what the checker says it is: in time, complete, and right in each key.
fn assert_explains<S: Specification>(
    specification: &S,
    history: &[Interval<S::Call, S::Reply>],
    order: &[usize],
    complete: bool,
) {
    let mut states: BTreeMap<S::Key, Vec<S::State>> = BTreeMap::new();
    for (position, index) in order.iter().enumerate() {
        assert!(!order[..position].contains(index), "{order:?} has an operation twice");
        let seen = history[*index].seen();
        for earlier in &order[..position] {
            let late = seen.returned.is_some_and(|at| at < history[*earlier].invoked);
            assert!(!late, "{order:?}: {index} returned before {earlier} began");
        }
        let key = specification.key(seen.call);
        let states = states.entry(key.clone()).or_insert_with(|| vec![specification.initial(&key)]);
        *states = states.iter().flat_map(|state| specification.apply(state, seen.call, seen.reply)).collect();
        assert!(!states.is_empty(), "{order:?}: {index} is refused");
    }
    if complete {
        let all = (0..history.len()).all(|index| history[index].returned.is_none() || order.contains(&index));
        assert!(all, "{order:?} is not complete");
    }
}

/// A small die: splitmix64.
struct Die(u64);

impl Die {
    fn below(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ (x >> 31)) % sides
    }

    fn one_in(&mut self, sides: u64) -> bool {
        self.below(sides) == 0
    }
}

/// A random history: up to seven operations of three clients in few moments of time, so that many are
/// concurrent and many touch. The data is right, with an effect at a random time of each call; then some
/// replies are exchanged for others.
fn random_history<S: Specification<Call: Clone, Reply: Clone>>(
    specification: &S,
    die: &mut Die,
    call: impl Fn(&mut Die) -> S::Call,
    answer: impl Fn(&S::State, &S::Call) -> S::Reply,
) -> Vec<Interval<S::Call, S::Reply>> {
    let mut plan = Vec::new();
    let mut free_at = [0; 3];
    for _ in 0..2 + die.below(6) {
        let client = die.below(3) as usize;
        let invoked = free_at[client] + die.below(3);
        let effect = invoked + die.below(3);
        let returned = effect + die.below(3);
        free_at[client] = returned + 1;
        plan.push((effect, invoked, returned, call(die)));
    }
    plan.sort_by_key(|(effect, ..)| *effect);
    let mut states = BTreeMap::new();
    let mut history = Vec::new();
    let unknown_one_in = if die.one_in(3) { 2 } else { 5 };
    for (_, invoked, returned, call) in plan {
        let key = specification.key(&call);
        let state = states.entry(key.clone()).or_insert_with(|| specification.initial(&key));
        let reply = answer(state, &call);
        let unknown = die.one_in(unknown_one_in);
        let lost = unknown && die.one_in(3);
        if !lost {
            let next: Vec<S::State> = specification.apply(state, &call, Some(&reply)).into_iter().collect();
            if !next.is_empty() {
                *state = next[die.below(next.len() as u64) as usize].clone();
            }
        }
        history.push(Interval { invoked, returned: (!unknown).then_some((returned, reply)), call });
    }
    if !die.one_in(3) {
        for _ in 0..=die.below(4) {
            let (from, to) =
                (die.below(history.len() as u64) as usize, die.below(history.len() as u64) as usize);
            let reply = history[from].returned.as_ref().map(|(_, reply)| reply.clone());
            if let (Some(reply), Some((_, other))) = (reply, &mut history[to].returned) {
                *other = reply;
            }
        }
    }
    // The order of the list must not matter.
    let shift = die.below(history.len() as u64) as usize;
    history.rotate_left(shift);
    history
}

/// A register that may lose a write and nobody is told: an operation with several next states.
struct Forgetful;

impl Specification for Forgetful {
    type Key = ();
    type State = u64;
    type Call = Option<u64>;
    type Reply = u64;

    fn key(&self, _: &Option<u64>) {}

    fn initial(&self, (): &()) -> u64 {
        0
    }

    fn apply(&self, state: &u64, call: &Option<u64>, reply: Option<&u64>) -> impl IntoIterator<Item = u64> {
        match call {
            Some(value) => vec![*value, *state],
            None if reply.is_none_or(|read| read == state) => vec![*state],
            None => Vec::new(),
        }
    }
}

fn forgetful_history(die: &mut Die) -> Vec<Interval<Option<u64>, u64>> {
    let call = |die: &mut Die| if die.one_in(2) { None } else { Some(1 + die.below(3)) };
    random_history(&Forgetful, die, call, |state, _| *state)
}

fn model_history(specification: &ModelSpecification, die: &mut Die) -> Vec<Interval<Call, Reply>> {
    let model = specification.model;
    // Half of all histories write no value twice, and those are judged without a search where that can be.
    let values = if die.one_in(2) { 3 } else { 1_000 };
    let keys = 1 + die.below(2);
    let lists = die.one_in(2);
    let only_appends = die.one_in(2);
    let call = |die: &mut Die| {
        let key = Value::from(die.below(keys).cast_signed());
        let value = |die: &mut Die| Value::from(1 + die.below(values).cast_signed());
        let appended = |die: &mut Die| {
            let names = ["a", "b", "ab", "ba", "c", "abc"];
            if lists { value(die) } else { Value::from(names[die.below(names.len() as u64) as usize]) }
        };
        let amount = |die: &mut Die| 1 + die.below(2).cast_signed();
        let account = |die: &mut Die| Value::from(["a", "b"][die.below(2) as usize]);
        let ask = match (model, die.below(5)) {
            (Model::Bank, 0) => return Call { key: account(die), ask: Ask::Read },
            (_, 0 | 1) => Ask::Read,
            (Model::KeyValue, _) if only_appends => Ask::Append(appended(die)),
            (Model::CasRegister, 2 | 3) | (Model::KeyValue, 2) => Ask::CompareAndSet(value(die), value(die)),
            (Model::KeyValue, 3) => Ask::Append(appended(die)),
            (Model::Counter, 2) => Ask::AddAndGet(amount(die)),
            (Model::Counter, _) => Ask::Add(amount(die)),
            (Model::Bank, 2) => {
                Ask::Deposit { account: account(die), amount: amount(die) - die.below(2).cast_signed() * 2 }
            }
            (Model::Bank, _) => Ask::Transfer { from: account(die), to: account(die), amount: amount(die) },
            (Model::Versioned, 2 | 3) => Ask::WriteVersion(die.below(3), value(die)),
            (Model::Register | Model::CasRegister | Model::KeyValue | Model::Versioned, _) => {
                Ask::Write(value(die))
            }
        };
        let key = if model == Model::Bank { Value::Nothing } else { key };
        Call { key, ask }
    };
    random_history(specification, die, call, |state, call| answer(specification, state, call))
}

/// The right answer of a model.
fn answer(specification: &ModelSpecification, state: &State, call: &Call) -> Reply {
    let mut replies = vec![Reply::Done, Reply::Refused];
    match state {
        State::Value(value) => replies.push(Reply::Read(value.clone())),
        State::Version(version, value) => replies.push(Reply::Version(*version, Some(value.clone()))),
        State::Balances(balances) => {
            replies.push(Reply::Balances(balances.clone()));
            replies.push(Reply::Read(Value::from(balances.get(&call.key).copied().unwrap_or(0))));
        }
    }
    if let (State::Value(Value::Integer(sum)), Ask::AddAndGet(more)) = (state, &call.ask) {
        replies.push(Reply::Read(Value::from(sum + more)));
    }
    let right = replies
        .into_iter()
        .find(|reply| specification.apply(state, call, Some(reply)).into_iter().next().is_some());
    right.unwrap_or(Reply::Refused)
}

/// How many histories were linearizable and how many were not, or what differed.
type Compared = Result<(u64, u64), String>;

/// Compares a checker that has a fault with brute force, up to the first difference.
fn compare<S: Specification>(
    specification: &S,
    histories: u64,
    mutant: Mutant,
    random: impl Fn(&mut Die) -> Vec<Interval<S::Call, S::Reply>>,
) -> Compared
where
    S::Call: std::fmt::Debug,
    S::Reply: std::fmt::Debug,
{
    let (mut yes, mut no) = (0, 0);
    for seed in 0..histories {
        let history = random(&mut Die(seed));
        let expected = brute_force(specification, &history);
        let found = check(specification, &history, BUDGET, mutant).verdict;
        // The search alone as well, since for many histories a checker does not need it.
        let searched = search_alone(specification, &history, mutant);
        if found.is_linearizable() != expected || searched != expected {
            return Err(format!(
                "seed {seed}: {expected}, found {}, searched {searched}: {history:#?}",
                found.is_linearizable()
            ));
        }
        if mutant == Mutant::None {
            assert_verdict(specification, &history, &found);
        }
        if expected { yes += 1 } else { no += 1 }
    }
    Ok((yes, no))
}

fn assert_verdict<S: Specification>(
    specification: &S,
    history: &[Interval<S::Call, S::Reply>],
    verdict: &Verdict<S::Key, S::State>,
) {
    match verdict {
        Verdict::Linearizable { order } => assert_explains(specification, history, order, true),
        Verdict::Violated { key, partials } => {
            assert!(!partials.is_empty());
            for partial in partials {
                assert_explains(specification, history, &partial.order, false);
                let of_key = |index: &usize| specification.key(&history[*index].call) == *key;
                assert!(partial.order.iter().all(of_key) && partial.blocked.iter().all(of_key));
                assert!(!partial.blocked.is_empty());
                assert!(partial.blocked.iter().all(|index| !partial.order.contains(index)));
            }
        }
        Verdict::Undecided { .. } => panic!("{BUDGET} steps are enough for seven operations"),
    }
}

fn search_alone<S: Specification>(
    specification: &S,
    history: &[Interval<S::Call, S::Reply>],
    mutant: Mutant,
) -> bool {
    let mut keys: BTreeMap<S::Key, Vec<_>> = BTreeMap::new();
    let mut all: Vec<Seen<'_, S::Call, S::Reply>> = history.iter().map(Interval::seen).collect();
    all.sort_by_key(|seen| seen.invoked);
    for seen in all {
        keys.entry(specification.key(seen.call)).or_default().push(seen);
    }
    keys.into_iter().all(|(key, seen)| {
        let mut search = Search::new(specification, &key, seen, mutant);
        match search.run(BUDGET) {
            Progress::Found => true,
            Progress::Exhausted => false,
            Progress::Stopped => panic!("{BUDGET} steps are enough for seven operations"),
        }
    })
}

/// What all kinds of histories find in a checker with this fault.
fn differences(histories: u64, mutant: Mutant) -> Vec<(&'static str, Compared)> {
    let mut all = Vec::new();
    for model in Model::ALL {
        let specification = model.specification();
        let random = |die: &mut Die| model_history(&specification, die);
        all.push((model.name(), compare(&specification, histories, mutant, random)));
    }
    all.push(("forgetful", compare(&Forgetful, histories, mutant, forgetful_history)));
    all
}

#[test]
fn the_checker_says_what_brute_force_says() {
    let mut compared = 0;
    for (name, result) in differences(HISTORIES, Mutant::None) {
        let (yes, no) = result.unwrap_or_else(|difference| panic!("{name}: {difference}"));
        println!("{name}: {yes} linearizable, {no} not");
        // Of a register that may lose writes almost everything can be believed.
        let least = if name == "forgetful" { HISTORIES / 100 } else { HISTORIES / 6 };
        assert!(yes > least && no > least, "{name}: {yes} and {no} is one-sided");
        compared += yes + no;
    }
    assert!(compared >= 100_000);
}

#[test]
fn every_fault_of_the_checker_is_found() {
    let mut missed = Vec::new();
    for mutant in [
        Mutant::IgnoresRealTime,
        Mutant::OrdersTies,
        Mutant::UnknownIsFailed,
        Mutant::UnknownIsDone,
        Mutant::ForgetsPending,
        Mutant::MemoWithoutState,
        Mutant::MemoWithoutSet,
        Mutant::MemoWithoutUnknown,
        Mutant::LooksTooOften,
        Mutant::OneNextState,
        Mutant::OneKey,
        Mutant::KeepsLifted,
        Mutant::NothingFollowsUnknown,
        Mutant::TrustsProposal,
    ] {
        let found = differences(HISTORIES, mutant).into_iter().filter(|(_, result)| result.is_err());
        let by: Vec<&str> = found.map(|(name, _)| name).collect();
        println!("{mutant:?}: found by {}", by.join(", "));
        if by.is_empty() {
            missed.push(mutant);
        }
    }
    assert_eq!(missed, [], "faults that no history finds");
}

/// What is done to a key beside reading it.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Kind {
    Writes,
    Lists,
    Texts,
}

/// A history of one key, larger than brute force can judge, in which no value is written twice.
fn distinct_values(die: &mut Die, kind: Kind, corrupt: bool) -> Vec<Interval<Call, Reply>> {
    let specification = Model::KeyValue.specification();
    let mut plan = Vec::new();
    let mut free_at = [0; 4];
    for number in 0..if kind == Kind::Writes { 40 } else { 20 } {
        let client = die.below(4) as usize;
        let invoked = free_at[client] + die.below(4);
        let effect = invoked + die.below(4);
        free_at[client] = effect + die.below(4) + 1;
        let text = Value::Text(format!("{number} "));
        let ask = match (kind, die.below(4)) {
            (_, 0 | 1) => Ask::Read,
            (Kind::Writes, _) => Ask::Write(Value::from(number)),
            (Kind::Lists, _) => Ask::Append(Value::from(number)),
            (Kind::Texts, 2) => Ask::Write(text),
            (Kind::Texts, _) => Ask::Append(text),
        };
        plan.push((effect, invoked, free_at[client] - 1, Call::of(ask)));
    }
    plan.sort_by_key(|(effect, ..)| *effect);
    let mut states = vec![Model::KeyValue.empty()];
    let mut history = Vec::new();
    for (_, invoked, returned, call) in plan {
        let age = if corrupt && die.one_in(10) { die.below(4) as usize } else { 0 };
        let state = &states[states.len() - 1 - age.min(states.len() - 1)];
        let reply = answer(&specification, state, &call);
        let (unknown, lost) = (die.one_in(8), die.one_in(2));
        if call.ask != Ask::Read && !(unknown && lost) {
            let next = specification.apply(states.last().expect("one"), &call, None).into_iter().next();
            states.push(next.expect("a write and an append are always possible"));
        }
        history.push(Interval { invoked, returned: (!unknown).then_some((returned, reply)), call });
    }
    history
}

#[test]
fn an_order_from_values_is_what_a_search_finds() {
    let specification = Model::KeyValue.specification();
    for kind in [Kind::Writes, Kind::Lists, Kind::Texts] {
        let (mut yes, mut no) = (0, 0);
        for seed in 0..2_000 {
            let history = distinct_values(&mut Die(seed), kind, seed % 2 == 0);
            let found = check(&specification, &history, 0, Mutant::None);
            assert_verdict(&specification, &history, &found.verdict);
            assert_eq!(found.steps, 0, "values decide");
            let searched = search_alone(&specification, &history, Mutant::None);
            assert_eq!(found.verdict.is_linearizable(), searched, "seed {seed}, {kind:?}: {history:#?}");
            if searched { yes += 1 } else { no += 1 }
        }
        println!("{kind:?}: {yes} linearizable, {no} not");
        assert!(yes > 300 && no > 300, "{yes} and {no} is one-sided");
    }
}

#[test]
fn values_decide_often_enough_to_be_compared() {
    for (model, least) in [(Model::Register, 5_000), (Model::KeyValue, 2_000)] {
        let specification = model.specification();
        let proposed = (0..HISTORIES)
            .map(|seed| model_history(&specification, &mut Die(seed)))
            .filter(|history| {
                let keys: std::collections::BTreeSet<_> =
                    history.iter().map(|one| one.call.key.clone()).collect();
                keys.into_iter().all(|key| {
                    let mut seen: Vec<_> =
                        history.iter().filter(|one| one.call.key == key).map(Interval::seen).collect();
                    seen.sort_by_key(|seen| seen.invoked);
                    specification.propose(&key, &seen).is_some()
                })
            })
            .count();
        println!("{}: {proposed} of {HISTORIES}", model.name());
        assert!(proposed > least, "{proposed} of {HISTORIES}");
    }
}
