//! Every scenario gets the verdict that it must get, and a planted bug is found within few seeds: how few is pinned.
//!
//! `make soak` does the same over 100,000 seeds.

mod support;

use std::fmt::Write as _;
use std::sync::atomic::AtomicBool;

use snowglobe::check::{Agreement, Expected, Sweep, sweep};
use support::{assert_golden, prepared};

const SEEDS: u64 = 1_000;

#[test]
fn every_scenario_gets_its_verdict() {
    let mut pinned = String::new();
    for scenario in prepared() {
        let what = Sweep { seeds: 0..SEEDS, jobs: 0, first: false };
        let report =
            sweep(&*scenario, &what, &AtomicBool::new(false), &|_, _| {}).expect("threads can be started");
        let agreement = report.agreement(scenario.expected(), &scenario.situations());
        assert_eq!(agreement, Agreement::Agrees, "{}: {:?}", scenario.name(), report.first);
        let _ = match report.properties.first_key_value() {
            None => writeln!(pinned, "{:32} holds over {} seeds", scenario.name(), report.runs),
            Some(_) => report.properties.iter().try_for_each(|(property, found)| {
                writeln!(
                    pinned,
                    "{:32} violates {property:?} in {} of {} seeds, first in seed {}",
                    scenario.name(),
                    found.runs,
                    report.runs,
                    found.first
                )
            }),
        };
    }
    assert_golden("verdicts.txt", &pinned);
}

#[test]
fn a_scenario_that_holds_says_what_it_must_have_met() {
    for scenario in prepared() {
        let name = scenario.name();
        let holds = scenario.expected() == Expected::Holds;
        assert!(!holds || !scenario.situations().is_empty(), "{name} could hold without evidence");
    }
}

#[test]
fn a_planted_bug_is_found_within_a_hundred_seeds() {
    for scenario in prepared() {
        for property in scenario.expected().properties() {
            let what = Sweep { seeds: 0..100, jobs: 0, first: false };
            let report = sweep(&*scenario, &what, &AtomicBool::new(false), &|_, _| {})
                .expect("threads can be started");
            assert!(report.properties.contains_key(property), "{} within 100 seeds", scenario.name());
        }
    }
}
