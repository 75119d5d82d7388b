//! Nothing is lost over any single crash: a small crawl in which nothing goes wrong is run again for every place at which a
//! node could crash, which is before and after every effect of every handler. The node restarts, and the crawl is judged.

mod support;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use snowglobe::check::Prepared;
use snowglobe::check::flips::{Flip, flips};
use snowglobe::sim::{Decision, Overrides};
use snowglobe::traces::Trace;
use support::trace;

/// What of unsynced writes a crash leaves is up to the dice: each place is tried under so many seeds.
const SEEDS: u64 = 4;

/// What came of all crashes of one kind of node.
#[derive(Default, Debug)]
struct Crashes {
    runs: u64,
    /// Runs in which the node did crash: not after an effect that a handler does not have.
    crashed: u64,
    /// Runs in which the crash took something that was not synced.
    lost: u64,
    /// Runs in which a coordinator found its frontier again.
    recovered: u64,
    /// Of each property that was violated, in how many runs, and the first of the crashes.
    violated: BTreeMap<String, (u64, String)>,
}

fn prepare(scenario: &str) -> Box<dyn Prepared> {
    let Value::Object(calm) =
        json!({"coordinators": 2, "workers": 2, "web": "canned", "network": "reliable", "rough": false})
    else {
        unreachable!("settings are an object")
    };
    let catalogue = snowglobe::models::catalogue();
    catalogue.find(scenario).expect("it exists").prepare(&calm).expect("it is possible")
}

/// Crashes each node whose name begins so, once in each run, at every place.
fn crash_everywhere(scenario: &str, node: &str) -> Crashes {
    let prepared = prepare(scenario);
    let mut runner = prepared.runner();
    let mut crashes = Crashes::default();
    for seed in 0..SEEDS {
        let calm = runner.run(seed, &Overrides::default());
        assert!(calm.holds(), "{scenario} without a crash: {:?}", calm.violations);
        let calm =
            Trace::parse(trace(&mut *runner, seed), "the run without a crash").expect("it can be read");
        let of_node = |flip: &Flip| {
            matches!(flip.decision, Decision::Crash(Some(_)))
                && flip.name.starts_with(&format!("crash {node}"))
        };
        for flip in flips(&calm).into_iter().filter(of_node) {
            let mut overrides = Overrides::default();
            overrides.set(flip.event, flip.decision);
            let outcome = runner.run(seed, &overrides);
            crashes.runs += 1;
            crashes.crashed += u64::from(outcome.faults.crashes_in_handler == 1);
            crashes.lost += u64::from(outcome.faults.changes_lost > 0);
            crashes.recovered += u64::from(outcome.met.contains_key("a coordinator recovered its frontier"));
            for violation in outcome.violations {
                let first = || (0, format!("seed {seed}, {}: {}", flip.name, violation.detail));
                crashes.violated.entry(violation.property.clone()).or_insert_with(first).0 += 1;
            }
        }
    }
    crashes
}

#[test]
fn no_crash_of_a_coordinator_loses_a_page_or_stores_one_twice_or_hides_the_end() {
    for scenario in ["crawler/c9-distributed", "crawler/c9-several-coordinators", "crawler/c9-token-bucket"] {
        let crashes = crash_everywhere(scenario, "coordinator");
        println!("{scenario}: {crashes:?}");
        assert!(crashes.violated.is_empty(), "{scenario}: {:#?}", crashes.violated);
        assert!(crashes.crashed > 500, "{scenario}: {crashes:?}");
        assert!(crashes.lost > 0 && crashes.recovered > 0, "{scenario}: {crashes:?}");
    }
}

#[test]
fn no_crash_of_a_worker_loses_a_page_or_stores_one_twice_or_hides_the_end() {
    for scenario in ["crawler/c9-distributed", "crawler/c9-several-coordinators", "crawler/c9-token-bucket"] {
        let crashes = crash_everywhere(scenario, "worker");
        println!("{scenario}: {crashes:?}");
        assert!(crashes.violated.is_empty(), "{scenario}: {:#?}", crashes.violated);
        assert!(crashes.crashed > 200, "{scenario}: {crashes:?}");
    }
}

#[test]
fn a_coordinator_that_keeps_too_little_loses_pages_over_some_crash() {
    for scenario in ["crawler/c9-frontier-in-memory", "crawler/c9-confirmed-too-soon"] {
        let crashes = crash_everywhere(scenario, "coordinator");
        println!("{scenario}: {crashes:?}");
        let violated: Vec<_> = crashes.violated.keys().collect();
        assert_eq!(violated, ["every page is stored"], "{scenario}: {:#?}", crashes.violated);
        let (runs, first) = &crashes.violated["every page is stored"];
        assert!(*runs < crashes.crashed, "{scenario} loses pages over some crash, not over any: {first}");
    }
}

#[test]
fn a_coordinator_that_stores_every_result_stores_one_twice_over_some_crash() {
    let crashes = crash_everywhere("crawler/c9-duplicate-stored", "coordinator");
    println!("{crashes:?}");
    let violated: Vec<_> = crashes.violated.keys().collect();
    assert_eq!(violated, ["no page is stored twice"], "{:#?}", crashes.violated);
}
