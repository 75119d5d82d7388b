//! A failing run is shrunk to the faults that matter, each of which is needed.

use std::sync::atomic::AtomicBool;

use serde_json::{Map, Value, json};
use sim::Overrides;
use snowglobe::check::shrink::{Shrink, Shrunk, shrink, without};
use snowglobe::check::{Expected, Prepared};
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
        println!("{} {} {:?} {:?}", entry.name(), shrunk.runs, shrunk.overrides.otherwise(), names(&shrunk));
        faults.push((shrunk.needed.len(), shrunk.runs));
    }
    faults.sort_unstable();
    let (median, _) = faults[faults.len() / 2];
    assert!(median <= 3, "half of the planted bugs need more than {median} faults: {faults:?}");
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
