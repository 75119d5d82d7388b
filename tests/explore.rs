//! Every interleaving of the concurrent programs: the right forms hold in all of them, each mistake shows in some, and how
//! many there are is pinned.

mod support;

use std::fmt::Write as _;
use std::sync::atomic::AtomicBool;

use serde_json::{Map, json};
use snowglobe::check::{Explore, ExploreReport, Prepared, explore};
use support::assert_golden;

/// Programs with more interleavings than this are looked at as far as that.
const RUNS: u64 = 3_000;

fn prepared(name: &str) -> Box<dyn Prepared> {
    let mut settings = Map::new();
    settings.insert("schedule".to_owned(), json!("preemptive"));
    let catalogue = snowglobe::models::catalogue();
    catalogue.find(name).expect("it exists").prepare(&settings).expect("it has a schedule")
}

fn explored(prepared: &dyn Prepared, runs_max: u64) -> ExploreReport {
    explore(prepared, &Explore { runs_max, ..Explore::default() }, &AtomicBool::new(false), &|_| {})
}

fn concurrent() -> Vec<String> {
    let catalogue = snowglobe::models::catalogue();
    catalogue
        .iter()
        .map(snowglobe::check::Entry::name)
        .filter(|name| name.starts_with("concurrency/"))
        .collect()
}

#[test]
fn every_interleaving_gets_the_verdict() {
    let mut pinned = String::new();
    for name in concurrent() {
        let prepared = prepared(&name);
        let report = explored(&*prepared, RUNS);
        let planted: Vec<&str> = prepared.expected().properties().collect();
        for property in report.violations.keys() {
            // Where the time that things take is not bounded, sleeping is found to be no waiting.
            let by_time =
                name == "concurrency/publish-subscribe-leak" && property == "everything is consumed once";
            assert!(by_time || planted.contains(&property.as_str()), "{name}: {property}");
        }
        for property in planted {
            let found = report.violations.get(property);
            // Some mistakes need more steps from the first path than are looked at here.
            assert!(found.is_some() || !report.complete, "{name}: {property}");
        }
        let whole = if report.complete { "" } else { ", and more" };
        let (executions, outcomes) = (report.executions, report.outcomes.len());
        let _ = writeln!(pinned, "{name:44} {executions:5} executions, {outcomes:3} outcomes{whole}");
    }
    assert_golden("interleavings.txt", &pinned);
}

#[test]
fn what_exploration_finds_replays_from_its_schedule() {
    for name in concurrent() {
        let prepared = prepared(&name);
        for violated in explored(&*prepared, 500).violations.values() {
            let again = prepared.runner().run(0, &violated.schedule);
            assert_eq!(again.violations, violated.outcome.violations, "{name}");
            assert_eq!(again.digest, violated.outcome.digest, "{name}");
        }
    }
}

#[test]
fn priorities_find_in_few_seeds_what_needs_few_steps_in_one_order() {
    for (name, property) in [
        ("concurrency/transfer-in-two-orders", "deadlock"),
        ("concurrency/counter-shared", "every increment counts"),
        ("concurrency/condition-wakes-the-wrong-one", "deadlock"),
    ] {
        let mut settings = Map::new();
        settings.insert("schedule".to_owned(), json!("pct:3:30"));
        let catalogue = snowglobe::models::catalogue();
        let prepared =
            catalogue.find(name).expect("it exists").prepare(&settings).expect("it has a schedule");
        let mut runner = prepared.runner();
        let finds = |seed: &u64| {
            let outcome = runner.run(*seed, &snowglobe::sim::Overrides::default());
            outcome.violations.iter().any(|violation| violation.property == property)
        };
        let found = (0..300).filter(finds).count();
        assert!(found > 0, "{name}");
    }
}
