//! Change one decision of a run, and every event outside its causal future is the same, in id, time, content and order.
//!
//! Over the scenarios of the catalogue, handlers and tasks, with all their faults. The comparison is that of
//! `snowglobe diff`: a difference that no changed decision explains would be hidden shared state. (The engine's own test
//! of this, with a definition of the causal future of its own, is in `sim/tests/noninterference.rs`.)

mod support;

use std::cell::Cell;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use snowglobe::check::Prepared;
use snowglobe::sim::{Decision, EventId, MILLIS, Nanos, Overrides};
use snowglobe::traces::{Diff, Event, Kind, Trace};
use support::prepared;

const CASES: u32 = 1_200;
/// How many are tried by `make soak`.
const CASES_SOAK: u32 = 10_000;

/// One case: which scenario, which seed, which of the run's decisions, and how it is decided instead.
#[derive(Clone, Debug)]
struct Flip {
    scenario: usize,
    seed: u64,
    place: prop::sample::Index,
    how: u32,
    delay: Nanos,
}

fn flips(scenarios: usize) -> impl Strategy<Value = Flip> {
    (0..scenarios, 0..100_000_u64, any::<prop::sample::Index>(), 0..8_u32, 0..500 * MILLIS)
        .prop_map(|(scenario, seed, place, how, delay)| Flip { scenario, seed, place, how, delay })
}

/// The decision to fix about an event, if there is one of that kind.
fn decide(event: &Event<'_>, how: u32, delay: Nanos) -> Option<Decision> {
    match (event.kind, how) {
        (Kind::Send, 0 | 1) => Some(Decision::Fate(Vec::new())),
        (Kind::Send, 2) => Some(Decision::Fate(vec![delay])),
        (Kind::Send, _) => Some(Decision::Fate(vec![delay, 2 * delay + 1])),
        (Kind::Recv | Kind::Fire | Kind::Boot, 0..=2) => Some(Decision::Crash(Some(how))),
        (Kind::Recv | Kind::Fire, 3) => Some(Decision::Late(u64::MAX)),
        (Kind::Recv | Kind::Fire, 4 | 5) => Some(Decision::Late(delay)),
        (Kind::Recv | Kind::Fire, _) => Some(Decision::Order(how)),
        (Kind::Crash, _) => Some(Decision::Keep(how.is_multiple_of(2))),
        _ => None,
    }
}

fn run(scenario: &dyn Prepared, seed: u64, overrides: &Overrides) -> Trace {
    let mut bytes = Vec::new();
    scenario.runner().trace(seed, overrides, &mut bytes).expect("a vector takes everything");
    Trace::parse(bytes, "a run").expect("what was written can be read")
}

#[test]
fn a_changed_decision_changes_only_its_causal_future() {
    try_flips(CASES);
}

#[test]
#[ignore = "takes minutes; `make soak` runs it"]
fn ten_thousand_changed_decisions_change_only_their_causal_futures() {
    try_flips(CASES_SOAK);
}

fn try_flips(cases: u32) {
    let scenarios = prepared();
    let (told, silent) = (Cell::new(0), Cell::new(0));
    // A fixed source of cases: this test gives the same answer each time.
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(
        config,
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    );
    let outcome = runner.run(&flips(scenarios.len()), |flip| {
        let scenario = &*scenarios[flip.scenario];
        let original = run(scenario, flip.seed, &Overrides::default());
        let candidates: Vec<(EventId, Decision)> = original
            .events()
            .filter_map(|event| Some((event.id, decide(&event, flip.how, flip.delay)?)))
            .collect();
        prop_assume!(!candidates.is_empty());
        let (id, decision) = flip.place.get(&candidates).clone();
        let overrides: Overrides = std::iter::once((id, decision.clone())).collect();
        let other = run(scenario, flip.seed, &overrides);
        let diff = Diff::of(&original, &other);
        let case = format!("{} seed {} with {decision:?} of {id}:\n{diff}", scenario.name(), flip.seed);
        prop_assert_eq!(diff.explanation.unexplained, 0, "{}", case);
        // A pick is told by a line of its own, beside what it decided.
        let picks = other.events().filter(|event| event.kind == Kind::Pick).count() as u64;
        prop_assert!(diff.explanation.roots <= 1 + picks, "one decision was changed, and {}", case);
        if diff.alignment.same > 0 && diff.explanation.differences > 0 {
            told.set(told.get() + 1);
        } else {
            silent.set(silent.get() + 1);
        }
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    // Most changes must have an effect, or nothing was tested.
    assert!(told.get() > cases / 2, "{} runs changed, {} did not", told.get(), silent.get());
}
