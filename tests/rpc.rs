//! What is known of remote procedure calls, measured.

mod support;

use std::sync::atomic::AtomicBool;

use serde_json::Value;
use snowglobe::check::linearizability::HistoryFile;
use snowglobe::check::linearizability::models::Model;
use snowglobe::check::{Expected, Sweep, SweepReport, parse_pairs, sweep};
use snowglobe::cli::{self, Exit, Streams};
use snowglobe::traces::{Kind, Trace};
use support::{assert_golden, trace};

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

#[test]
fn kept_to_the_nanosecond_holds_and_one_less_is_found() {
    // S16. The last resend arrives in the last nanosecond that its call is kept, under every seed.
    let safe = swept("rpc/s16-kept-long-enough", &[], 300);
    assert_eq!(safe.violated, 0, "{:?}", safe.first);
    let boundary = "a duplicate was recognised in the last nanosecond that it is kept";
    assert_eq!(safe.situations[boundary].runs, safe.runs);
    let unsafe_side = swept("rpc/s16-one-nanosecond-short", &[], 300);
    assert_eq!(unsafe_side.properties["executed at most once"].runs, unsafe_side.runs);
}

#[test]
fn an_old_get_holds_and_one_nanosecond_later_it_is_stale() {
    // S22. The table answers a resent get with what it was before a put that has been acknowledged since.
    let report = swept("rpc/s22-old-get", &[], 300);
    assert_eq!(report.violated, 0, "{:?}", report.first);
    assert!(report.situations["a get was answered from the table after a later put"].runs > 50, "{report:?}");
    // The put returns at 5, the get at 100. Begun at 5 it may have been first; begun at 6 it was not.
    let get_begun_at = |time: u64| {
        let lines = format!(
            r#"
            {{"process":0,"type":"invoke","f":"put","value":10,"time":0}}
            {{"process":0,"type":"ok","time":1}}
            {{"process":0,"type":"invoke","f":"put","value":20,"time":3}}
            {{"process":0,"type":"ok","time":5}}
            {{"process":1,"type":"invoke","f":"get","time":{time}}}
            {{"process":1,"type":"ok","value":10,"time":100}}"#
        );
        HistoryFile::parse(&lines, Model::KeyValue).expect("it makes sense").check(1_000).verdict
    };
    assert!(get_begun_at(5).is_linearizable());
    assert!(get_begun_at(6).is_violated());
}

#[test]
fn one_server_cannot_fail_over() {
    let catalogue = snowglobe::models::catalogue();
    let changes = parse_pairs(["faults=fail-over"]).expect("the setting is well-formed");
    let refused = catalogue.find("rpc/exactly-once").expect("it exists").prepare(&changes);
    assert_eq!(
        refused.err().map(|error| error.to_string()).as_deref(),
        Some("rpc/exactly-once: faults cannot be fail-over: there is one server, and nobody to take over")
    );
}

#[test]
fn a_cell_without_sync_is_about_what_a_crash_took_from_the_disk() {
    // The same crashes, and a server that answers before its disk has what it answers for: only then is anything lost.
    let with = |faults: &str| swept("rpc/exactly-once", &[faults], 300);
    let (synced, not_synced) = (with("faults=server-crash"), with("faults=no-sync"));
    for report in [&synced, &not_synced] {
        assert!(report.faults.changes_lost > 50, "{:?}", report.faults);
    }
    assert_eq!(synced.violated, 0, "{:?}", synced.first);
    assert!(not_synced.properties["acknowledged is kept"].runs > 30, "{not_synced:?}");
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
fn the_life_of_a_call_to_several_servers_is_told() {
    // A copy that the network made enters the log before its original is applied, and is passed over. An entry is removed
    // before it is committed. A leader knows nothing of what the one before it executed.
    let lives = [
        ("raft/s21-filtered-at-apply", "6", "c2/1"),
        ("raft/s21-filtered-at-apply", "9", "c2.4/1"),
        ("raft/s27-table-at-the-leader", "3", "c2.1/1"),
    ];
    let told = lives.map(|(scenario, seed, call)| {
        let (exit, life) = said(&["snowglobe", "explain", scenario, "--seed", seed, "--op", call]);
        assert_eq!(exit, Exit::Holds);
        life
    });
    assert_golden("cli-explain-replicated.txt", &told.join("\n"));
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

#[test]
fn a_cell_that_is_not_as_expected_says_what_was_and_how_to_see_it() {
    // One seed does not find what is rare.
    let (exit, table) = said(&["snowglobe", "matrix", "--seeds", "1"]);
    assert_eq!(exit, Exit::Violated, "{table}");
    let row = table.lines().find(|line| line.starts_with("rpc/kept-for-a-while ")).expect("the row is there");
    let cells: Vec<&str> = row.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
    assert_eq!(cells[3..5], ["holds ! twice", "twice 1 @0 ="], "{row}");
    let differs = "differs: rpc/kept-for-a-while under duplication: expected twice, found holds\n  \
                   snowglobe run rpc/kept-for-a-while --seed 0 ";
    assert!(table.contains(differs), "{table}");
}

#[test]
fn the_races_of_a_client_library_are_found_by_exploring_and_the_right_one_holds_in_every_order() {
    // S23, with two tasks. What is due within 20 ms of each other changes places: a request and its reply travel no longer.
    let explored = |scenario: &str| {
        let small = ["--set", "tasks=2", "--set", "calls=1", "--window", "20000000", "--json"];
        let (exit, json) = said(&[&["snowglobe", "explore", scenario][..], &small].concat());
        let json: Value = serde_json::from_str(&json).expect("it is one document");
        assert!(json["complete"] == true && json["executions"].as_u64() > Some(1_000), "{json}");
        let violations = json["violations"].as_array().expect("a list").iter();
        let violated = violations.map(|one| one["property"].as_str().expect("a name").to_owned()).collect();
        (exit, violated)
    };
    let none: Vec<String> = Vec::new();
    assert_eq!(explored("rpc/s23-lock-then-number"), (Exit::Holds, none));
    let shared = ["no call is swallowed", "progress"].map(str::to_owned).to_vec();
    assert_eq!(explored("rpc/s23-number-then-lock"), (Exit::Violated, shared));
    let lost = vec!["progress".to_owned()];
    assert_eq!(explored("rpc/s23-written-then-registered"), (Exit::Violated, lost));
}

#[test]
fn every_case_has_a_right_form_a_wrong_form_or_both() {
    // How many scenarios of a case hold, and how many are planted bugs.
    let cases = [
        ("s1", 3, 0),
        ("s2", 1, 1),
        ("s3", 1, 1),
        ("s4", 1, 2),
        ("s5", 1, 0),
        ("s6", 0, 1),
        ("s8", 2, 0),
        ("s8a", 0, 2),
        ("s9", 0, 1),
        ("s10", 1, 2),
        ("s11", 1, 1),
        ("s13", 1, 1),
        ("s14", 1, 1),
        ("s15", 1, 2),
        ("s16", 1, 2),
        ("s17", 1, 1),
        ("s18", 1, 0),
        ("s19", 1, 1),
        ("s20", 2, 1),
        ("s21", 1, 1),
        ("s22", 1, 0),
        ("s23", 1, 2),
        ("s24", 1, 1),
        ("s25", 1, 1),
        ("s26", 1, 3),
        ("s27", 1, 1),
        ("s28", 1, 0),
        ("s29", 1, 3),
        ("s30", 2, 1),
        ("s31", 1, 3),
        ("s32", 1, 0),
    ];
    let catalogue = snowglobe::models::catalogue();
    for (case, right, wrong) in cases {
        let of_case = catalogue.iter().filter(|entry| {
            let name = entry.name();
            let member = name.strip_prefix("rpc/").or_else(|| name.strip_prefix("raft/"));
            member.and_then(|member| member.split('-').next()) == Some(case)
        });
        let (holds, planted): (Vec<_>, Vec<_>) =
            of_case.partition(|entry| entry.expected() == Expected::Holds);
        assert_eq!((holds.len(), planted.len()), (right, wrong), "{case}");
    }
}

#[test]
fn whatever_happens_to_a_connection_has_a_cause_that_the_trace_shows_before_it() {
    let mut broken = 0;
    for scenario in ["rpc/s30-net-rpc", "rpc/s30-application-retries", "rpc/net-rpc"] {
        let catalogue = snowglobe::models::catalogue();
        let prepared = catalogue
            .find(scenario)
            .expect("it exists")
            .prepare(&serde_json::Map::new())
            .expect("it is possible");
        let mut runner = prepared.runner();
        for seed in 0..40 {
            let trace = Trace::parse(trace(&mut *runner, seed), "run").expect("it is whole");
            for event in trace.events().filter(|event| event.kind == Kind::Stream) {
                broken += u64::from(event.tail.contains("\"broken\""));
                let cause = trace.find(event.by).find(|cause| cause.index < event.index);
                assert!(cause.is_some(), "{scenario} seed {seed}: {}", event.line);
            }
        }
    }
    assert!(broken > 100, "{broken} connections broke");
}
