//! What is known of remote procedure calls, measured.

mod support;

use std::sync::atomic::AtomicBool;

use snowglobe::check::{Sweep, SweepReport, parse_pairs, sweep};
use snowglobe::cli::{self, Exit, Streams};
use support::assert_golden;

fn swept(scenario: &str, settings: &[&str], seeds: u64) -> SweepReport {
    let catalogue = snowglobe::models::catalogue();
    let changes = parse_pairs(settings.iter().copied()).expect("the settings are well-formed");
    let prepared = catalogue.find(scenario).expect("it exists").prepare(&changes).expect("it is possible");
    let what = Sweep { seeds: 0..seeds, jobs: 0, first: false };
    sweep(&*prepared, &what, &AtomicBool::new(false), &|_, _| {}).expect("threads can be started")
}

/// The wrong servers, each with the workload of the lab's tests.
const LAB: [&str; 5] = [
    "rpc/lab-puts-not-covered",
    "rpc/lab-equality-test",
    "rpc/lab-equality-test-one-key",
    "rpc/lab-no-mark",
    "rpc/lab-no-mark-one-key",
];

#[test]
fn the_network_of_a_lab_lets_three_wrong_servers_pass() {
    for scenario in LAB {
        for clients in ["clients=1", "clients=5"] {
            let report = swept(scenario, &["network=labrpc", "timeout_ms=0", clients], 300);
            assert_eq!(report.violated, 0, "{scenario} {clients}: {:?}", report.first);
            // It is not for want of trying: replies are lost and late, and calls are made again.
            assert!(report.faults.lost > 300 && report.faults.late > 300, "{scenario}: {:?}", report.faults);
            assert!(report.situations["a call was acknowledged after a resend"].times > 100, "{scenario}");
        }
    }
}

#[test]
fn the_hostile_network_finds_all_of_them() {
    for scenario in LAB {
        let report = swept(scenario, &[], 300);
        assert!(report.properties.contains_key("linearizable"), "{scenario}: {report:?}");
    }
}

#[test]
fn names_of_few_bits_collide_as_often_as_birthdays() {
    const RUNS: u64 = 4_000;
    let report = swept("rpc/s10-few-random-bits", &["calls=1", "network=reliable"], RUNS);
    let shared = report.situations["two clients drew one name"].runs;
    // Five names out of 64: 1 - 63/64 * 62/64 * 61/64 * 60/64 is 147 in a thousand. Five standard deviations of 4,000 such
    // runs are 112.
    assert!(shared.abs_diff(RUNS * 147 / 1_000) < 112, "{shared} of {RUNS} runs had two of one name");
    // Two clients of one name: one of the two is never executed.
    assert_eq!(report.properties["no call is swallowed"].runs, shared);
}

fn said(args: &[&str]) -> (Exit, String) {
    let mut out = Vec::new();
    let exit = cli::run(&snowglobe::models::catalogue(), args, &mut Streams::new(&mut out, &mut Vec::new()));
    (exit, String::from_utf8(out).expect("prose is text"))
}

#[test]
fn the_life_of_a_call_is_told() {
    let run = ["snowglobe", "explain", "rpc/s16-one-nanosecond-short"];
    let (exit, life) = said(&[&run[..], &["--op", "c1/1"]].concat());
    assert_eq!(exit, Exit::Holds);
    assert_golden("cli-explain-op.txt", &life);
    let (exit, list) = said(&[&run[..], &["--calls"]].concat());
    assert_eq!(exit, Exit::Holds);
    assert_golden("cli-explain.txt", &list);
}

#[test]
fn a_call_that_there_is_not_is_refused_with_those_that_there_are() {
    let mut err = Vec::new();
    let args = ["snowglobe", "explain", "rpc/s1-reply-lost", "--op", "c7/7"];
    let exit = cli::run(&snowglobe::models::catalogue(), args, &mut Streams::new(&mut Vec::new(), &mut err));
    assert_eq!(exit, Exit::Unusable);
    assert_eq!(
        String::from_utf8(err).expect("prose is text"),
        "snowglobe: there is no call c7/7 in this run; there are c1/1\n"
    );
}

#[test]
fn every_cell_of_the_matrix_is_as_expected() {
    let (exit, table) = said(&["snowglobe", "matrix", "--seeds", "400"]);
    assert_eq!(exit, Exit::Holds, "{table}");
    assert_golden("matrix.txt", &table);
}
