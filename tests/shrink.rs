//! A failing run is shrunk to the faults that matter, each of which is needed.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prop_assert;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Map, Value, json};
use sim::Overrides;
use snowglobe::check::shrink::{Shrink, Shrunk, Smaller, shrink, smaller_scenario, without};
use snowglobe::check::{Entry, Expected, Prepared};
use snowglobe::cli::{self, Exit};
use snowglobe::sim;

fn prepare(scenario: &str, settings: Value) -> Box<dyn Prepared> {
    let catalogue = snowglobe::models::catalogue();
    let Value::Object(settings) = settings else { unreachable!("settings are an object") };
    catalogue.find(scenario).unwrap().prepare(&settings).unwrap()
}

fn shrunk(prepared: &dyn Prepared, seed: u64, jobs: usize) -> Option<Shrunk> {
    let what = Shrink { seed, overrides: Overrides::default(), runs_max: 5_000, jobs };
    shrink(prepared, &what, &AtomicBool::new(false), &|_| ()).unwrap()
}

fn names(shrunk: &Shrunk) -> Vec<String> {
    shrunk.needed.iter().map(|needed| needed.name.clone()).collect()
}

fn first_failing(prepared: &dyn Prepared) -> u64 {
    let mut runner = prepared.runner();
    (0..1_000).find(|seed| !runner.run(*seed, &Overrides::default()).holds()).expect("a planted bug is found")
}

#[test]
fn an_account_that_loses_twice_needs_one_lost_reply() {
    let prepared = prepare("rpc/s3-at-least-once", json!({"clients": 1, "calls": 1, "network": "dslabs"}));
    let shrunk = shrunk(&*prepared, first_failing(&*prepared), 0).unwrap();
    assert_eq!(names(&shrunk), ["lose reply server -> client-1 of call client-1/1, attempt 1"]);
    assert!(shrunk.minimal && shrunk.faults_before > 1);
    assert!(shrunk.needed[0].without.as_ref().unwrap().holds());
}

#[test]
fn what_is_left_fails_again_and_each_fault_of_it_is_needed() {
    let catalogue = snowglobe::models::catalogue();
    let mut faults = Vec::new();
    for entry in catalogue.iter().filter(|entry| entry.name().starts_with("rpc/s")) {
        let Expected::Violates(property) = entry.expected() else { continue };
        let prepared = entry.prepare(&Map::new()).unwrap();
        let seed = first_failing(&*prepared);
        let shrunk = shrunk(&*prepared, seed, 0).unwrap();
        assert_eq!(shrunk.property, property, "{}", entry.name());
        let mut runner = prepared.runner();
        let again = runner.run(seed, &shrunk.overrides);
        assert_eq!((again.digest, again.unmatched), (shrunk.outcome.digest, Vec::new()), "{}", entry.name());
        assert!(shrunk.minimal, "{}", entry.name());
        for needed in &shrunk.needed {
            let outcome = runner.run(seed, &without(&shrunk.overrides, needed));
            assert!(outcome.violations.iter().all(|v| v.property != property), "{}", needed.name);
        }
        faults.push((shrunk.needed.len(), shrunk.runs));
    }
    let mut runs: Vec<u64> = faults.iter().map(|(_, runs)| *runs).collect();
    faults.sort_unstable();
    runs.sort_unstable();
    let (median, _) = faults[faults.len() / 2];
    assert!(median <= 1, "half of the planted bugs need more than {median} faults: {faults:?}");
    assert!(runs[runs.len() / 2] <= 100, "half of the planted bugs take more than 100 runs: {runs:?}");
}

#[test]
fn faults_that_only_bring_two_things_together_give_way_to_one() {
    // Each with every kind of fault that there is. The causes are those of the lecture: a late copy, a crash after the effect.
    for (scenario, cause) in [
        ("rpc/s15-equality-test", "delay request "),
        ("rpc/s16-kept-for-the-window", "delay request "),
        ("rpc/s17-silent-forgotten", "delay request "),
        ("rpc/s19-meets-new", "delay request "),
        ("rpc/s25-table-in-memory", "crash server after effect "),
        ("rpc/s26-data-first", "crash server after effect "),
        ("rpc/s26-not-synced", "crash server after effect "),
    ] {
        let prepared = prepare(scenario, json!({}));
        let shrunk = shrunk(&*prepared, first_failing(&*prepared), 0).unwrap();
        let [name] = &names(&shrunk)[..] else { panic!("{scenario}: {:?}", names(&shrunk)) };
        assert!(name.starts_with(cause) && name.contains(", attempt 1"), "{scenario}: {name}");
        assert!(shrunk.needed[0].without.as_ref().unwrap().holds(), "{scenario}");
        assert!(
            shrunk.minimal && shrunk.faults_before > 10 && shrunk.runs <= 150,
            "{scenario}: {} runs",
            shrunk.runs
        );
    }
}

/// How many failing runs are shrunk.
const CASES: u32 = 30;

#[test]
fn taking_away_any_one_of_what_is_left_makes_the_violation_vanish() {
    let catalogue = snowglobe::models::catalogue();
    let is_planted = |entry: &&dyn Entry| matches!(entry.expected(), Expected::Violates(_));
    let planted: Vec<_> = catalogue.iter().filter(is_planted).collect();
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let tried = Cell::new(0);
    let outcome =
        TestRunner::new_with_rng(config, rng).run(&(0..planted.len(), 0..100_000_u64), |(entry, seed)| {
            let prepared = planted[entry].prepare(&Map::new()).unwrap();
            let mut runner = prepared.runner();
            let failing = (seed..seed + 5).find(|seed| !runner.run(*seed, &Overrides::default()).holds());
            let Some(shrunk) = failing.and_then(|seed| shrunk(&*prepared, seed, 0)) else { return Ok(()) };
            if !shrunk.minimal {
                return Ok(());
            }
            for needed in &shrunk.needed {
                let outcome = runner.run(shrunk.outcome.seed, &without(&shrunk.overrides, needed));
                let is_same =
                    outcome.violations.iter().any(|violation| violation.property == shrunk.property);
                prop_assert!(
                    !is_same,
                    "{} seed {} without {}",
                    prepared.name(),
                    shrunk.outcome.seed,
                    needed.name
                );
            }
            tried.set(tried.get() + 1);
            Ok(())
        });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    assert!(tried.get() > CASES / 2, "{} of {CASES} runs were shrunk", tried.get());
}

#[test]
fn whatever_the_budget_the_best_so_far_violates_the_same() {
    let prepared = prepare("rpc/s25-table-in-memory", json!({}));
    let seed = first_failing(&*prepared);
    let whole = shrunk(&*prepared, seed, 1).unwrap();
    for runs_max in (1..=whole.runs).step_by(5) {
        let what = Shrink { seed, overrides: Overrides::default(), runs_max, jobs: 0 };
        let best = shrink(&*prepared, &what, &AtomicBool::new(false), &|_| ()).unwrap().unwrap();
        let again = prepared.runner().run(seed, &best.overrides);
        assert_eq!((again.digest, &best.property), (best.outcome.digest, &whole.property), "{runs_max} runs");
        assert!(best.runs <= runs_max, "{} of {runs_max} runs", best.runs);
    }
}

#[test]
fn an_interrupted_search_gives_the_best_so_far() {
    let prepared = prepare("rpc/s25-table-in-memory", json!({}));
    let seed = first_failing(&*prepared);
    let whole = shrunk(&*prepared, seed, 1).unwrap();
    for runs in [0, 1, 2, whole.runs / 2, whole.runs - 1] {
        let stop = AtomicBool::new(runs == 0);
        let what = Shrink { seed, overrides: Overrides::default(), runs_max: 5_000, jobs: 1 };
        let progress = |done| stop.store(done >= runs, Ordering::Relaxed);
        let best = shrink(&*prepared, &what, &stop, &progress).unwrap().unwrap();
        let again = prepared.runner().run(seed, &best.overrides);
        assert_eq!((again.digest, &best.property), (best.outcome.digest, &whole.property), "{runs} runs");
        assert!(!best.minimal && best.runs <= runs + 1, "{} of {runs} runs", best.runs);
    }
}

#[test]
fn an_interrupted_verb_writes_the_best_so_far() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("repro.json").display().to_string();
    let run = |args: &[&str], is_interrupted: bool| {
        let catalogue = snowglobe::models::catalogue();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut streams = cli::Streams::new(&mut out, &mut err);
        streams.stop().store(is_interrupted, Ordering::Relaxed);
        let args = std::iter::once("snowglobe").chain(args.iter().copied());
        let exit = cli::run(&catalogue, args, &mut streams);
        (exit, String::from_utf8(out).unwrap())
    };
    let (exit, out) = run(&["shrink", "rpc/s9-fresh-xid", "-o", &path], true);
    assert_eq!(exit, Exit::Violated);
    assert!(out.contains("\nunfinished  not everything that is left was shown to be needed\n"), "{out}");
    let (exit, out) = run(&["replay", &path], false);
    assert_eq!(exit, Exit::Holds, "{out}");
}

#[test]
fn the_verb_writes_a_test_that_compiles() {
    // It is compiled, and run, as a test of this package.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("generated.rs").display().to_string();
    let settings = ["--set", "clients=1", "--set", "calls=1", "--set", "network=dslabs"];
    let args = [&["snowglobe", "shrink", "rpc/s3-at-least-once", "--test", &path], &settings[..]].concat();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = cli::run(&snowglobe::models::catalogue(), args, &mut cli::Streams::new(&mut out, &mut err));
    assert_eq!(exit, Exit::Holds);
    assert_eq!(std::fs::read_to_string(path).unwrap(), include_str!("generated.rs"));
}

#[test]
fn a_smaller_scenario_shows_the_same() {
    let prepared = prepare("rpc/s3-at-least-once", json!({}));
    let what =
        Shrink { seed: first_failing(&*prepared), overrides: Overrides::default(), runs_max: 5_000, jobs: 0 };
    let never = AtomicBool::new(false);
    let shrunk = shrink(&*prepared, &what, &never, &|_| ()).unwrap().unwrap();
    let Smaller { prepared, shrunk } =
        smaller_scenario(&*prepared, &what, &shrunk, &never, &|_| ()).unwrap().unwrap();
    assert_eq!(Value::Object(prepared.changes()), json!({"clients": 1, "calls": 1}));
    assert_eq!(names(&shrunk), ["lose reply server -> client-1 of call client-1/1, attempt 1"]);
    assert!(shrunk.minimal && shrunk.runs <= 100, "{} runs", shrunk.runs);
}

#[test]
fn the_result_does_not_depend_on_the_number_of_threads() {
    let prepared = prepare("rpc/s25-table-in-memory", json!({}));
    let seed = first_failing(&*prepared);
    let (one, many) = (shrunk(&*prepared, seed, 1).unwrap(), shrunk(&*prepared, seed, 8).unwrap());
    assert_eq!((names(&one), one.runs, one.overrides), (names(&many), many.runs, many.overrides));
}

#[test]
fn a_run_that_holds_is_not_shrunk() {
    let prepared = prepare("rpc/s3-at-most-once", json!({}));
    assert!(shrunk(&*prepared, 0, 0).is_none());
}

#[test]
fn the_verb_writes_a_file_that_replays_and_refuses_a_run_that_holds() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("repro.json");
    let run = |args: &[&str]| {
        let catalogue = snowglobe::models::catalogue();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let args = std::iter::once("snowglobe").chain(args.iter().copied());
        let exit = cli::run(&catalogue, args, &mut cli::Streams::new(&mut out, &mut err));
        (exit, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    };
    let path = file.to_str().unwrap();
    let (exit, out, _) = run(&["shrink", "rpc/s9-fresh-xid", "--seed", "0", "-o", path]);
    assert_eq!(exit, Exit::Holds);
    assert!(out.contains("violates    executed at most once"), "{out}");
    let (exit, out, err) = run(&["replay", path]);
    assert_eq!(exit, Exit::Holds, "{err}");
    assert!(out.contains("violates    executed at most once"), "{out}");
    let (exit, _, err) = run(&["shrink", "rpc/s3-at-most-once"]);
    assert_eq!(exit, Exit::Unusable);
    assert_eq!(err, "snowglobe: seed 0 violates nothing; why-not says what would have\n");
}
