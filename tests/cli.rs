//! The command line, verb by verb, as people and scripts use it: what it answers, what it refuses, and in which words.

mod counter;
mod support;

use std::io::{self, Write};
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};
use snowglobe::check::Catalogue;
use snowglobe::cli::{self, Exit, Streams};
use support::assert_golden;

struct Answer {
    out: String,
    err: String,
    exit: Exit,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).expect("standard output is one JSON document")
    }
}

fn ask_of(catalogue: &Catalogue, args: &[&str]) -> Answer {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let args = ["snowglobe"].iter().chain(args);
    let exit = cli::run(catalogue, args, &mut Streams::new(&mut out, &mut err));
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Answer { out: text(out), err: text(err), exit }
}

fn ask(args: &[&str]) -> Answer {
    ask_of(&counter::catalogue(), args)
}

/// The one sentence with which this is refused.
fn refusal(args: &[&str]) -> String {
    let Answer { out, err, exit } = ask(args);
    assert_eq!((exit, &*out), (Exit::Unusable, ""), "{args:?}: {err}");
    assert!(!err.contains("panicked"), "{err}");
    let mut lines = err.lines();
    let first = lines.next().expect("a sentence").to_owned();
    // After a usage error clap says what may have been meant, and how to get help.
    let help = |line: &str| ["For more", "Usage", "  tip: "].iter().any(|start| line.starts_with(start));
    assert!(lines.all(|line| line.is_empty() || help(line)), "{err}");
    first
}

fn write(directory: &Path, name: &str, content: impl AsRef<[u8]>) -> String {
    let path = directory.join(name);
    std::fs::write(&path, content).expect("a file in a temporary directory");
    path.to_str().expect("UTF-8").to_owned()
}

fn names(directory: &Path) -> Vec<String> {
    let entries = directory.read_dir().expect("a directory");
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A seed under which the wrong counter is wrong.
fn failing_seed() -> String {
    ask(&["sweep", "counter/wrong", "--first", "--json"]).json()["first"]["seed"].to_string()
}

// list

#[test]
fn list_shows_what_there_is_and_what_is_expected_of_it() {
    let answer = ask(&["list"]);
    assert_eq!(
        answer.out,
        "\
counter/right   holds                  A server that remembers what it has applied.
counter/wrong   violates applied-once  A server that applies whatever arrives.
counter/panics  violates panic         A server that does not expect to be asked twice.
"
    );
    assert_eq!((answer.exit, &*answer.err), (Exit::Holds, ""));
    assert_eq!(
        ask(&["list", "wro"]).out,
        "counter/wrong  violates applied-once  A server that applies whatever arrives.\n"
    );
}

#[test]
fn list_of_one_scenario_shows_its_settings_and_situations() {
    assert_eq!(
        ask(&["list", "counter/wrong"]).out,
        "\
counter/wrong
  A server that applies whatever arrives.

expected    violates applied-once
situations  retry
settings    with their defaults; --set KEY=VALUE changes one
  increments  3
  loss        10
  network     lossy
  calm        true
  schedule    random
"
    );
}

#[test]
fn list_speaks_json() {
    let json = ask(&["list", "counter/wrong", "--json"]).json();
    assert_eq!(
        json,
        json!([{
            "name": "counter/wrong",
            "about": "A server that applies whatever arrives.",
            "expected": {"verdict": "violated", "property": "applied-once"},
            "settings": {"increments": 3, "loss": 10, "network": "lossy", "calm": true, "schedule": "random"},
            "situations": ["retry"],
        }])
    );
    assert_eq!(ask(&["list", "--json"]).json().as_array().map(Vec::len), Some(3));
}

// run

#[test]
fn run_tells_a_violation_with_what_led_to_it_and_how_to_see_it_again() {
    let answer = ask(&["run", "counter/wrong", "--seed", &failing_seed()]);
    assert_eq!(answer.exit, Exit::Violated, "{}", answer.out);
    assert!(answer.out.contains("what led to it"), "{}", answer.out);
    assert_golden("cli-run-violated.txt", &answer.out);
}

#[test]
fn run_that_holds_says_so_in_a_few_lines() {
    let answer = ask(&["run", "counter/right", "--set", "loss=0"]);
    assert_eq!((answer.exit, &*answer.err), (Exit::Holds, ""));
    assert_golden("cli-run-holds.txt", &answer.out);
}

#[test]
fn the_command_that_run_prints_shows_the_same_again() {
    let seed = failing_seed();
    let first = ask(&["run", "counter/wrong", "--seed", &seed, "--set", "network=a b", "--set", "loss=0_10"]);
    let command = first.out.lines().last().expect("a command").trim();
    assert_eq!(command, format!("snowglobe run counter/wrong --seed {seed} --set 'network=a b'"));
    let again = ask(&["run", "counter/wrong", "--seed", &seed, "--set", "network=a b"]);
    assert_eq!(again.out, first.out);
    let sweep = ask(&["sweep", "counter/wrong"]);
    assert_eq!(
        sweep.out.lines().last().expect("a command").trim(),
        format!("snowglobe run counter/wrong --seed {seed}")
    );
}

#[test]
fn seeds_may_be_hexadecimal() {
    assert_eq!(
        ask(&["run", "counter/right", "--seed", "0x2a"]).out,
        ask(&["run", "counter/right", "--seed", "42"]).out
    );
}

#[test]
fn a_panic_in_a_scenario_is_a_violation_with_its_place() {
    let seed = ask(&["sweep", "counter/panics", "--first", "--json"]).json()["first"]["seed"].to_string();
    let answer = ask(&["run", "counter/panics", "--seed", &seed]);
    assert_eq!((answer.exit, &*answer.err), (Exit::Violated, ""));
    let told = answer.out.lines().nth(1).expect("a violation");
    assert!(told.contains("panic: ") && told.contains("arrived again (tests/counter/mod.rs:"), "{told}");
}

#[test]
fn a_panic_of_a_judge_is_a_violation_with_its_seed_and_place() {
    let catalogue = counter::misjudged();
    let sweep = ask_of(&catalogue, &["sweep", "counter/misjudged", "--seeds", "100", "--json"]);
    assert_eq!(sweep.exit, Exit::Violated);
    let sweep = sweep.json();
    let violated = sweep["violated"].as_u64().expect("a number");
    assert!(0 < violated && violated < 100, "{sweep}");
    let seed = sweep["first"]["seed"].to_string();
    let answer = ask_of(&catalogue, &["run", "counter/misjudged", "--seed", &seed]);
    assert_eq!((answer.exit, &*answer.err), (Exit::Violated, ""));
    let told = answer.out.lines().nth(1).expect("a violation");
    let words = "panic: the judge panicked: nobody asked again (tests/counter/mod.rs:";
    assert!(told.contains(words), "{told}");
}

#[test]
fn story_tells_the_whole_run_or_its_end() {
    let all = ask(&["run", "counter/right", "--story"]).out;
    let end = ask(&["run", "counter/right", "--story", "2"]).out;
    let lines: Vec<&str> = all.lines().collect();
    assert!(all.contains("client -> server  add {increment: 0, hint: 0}\n"), "{all}");
    assert_eq!(end.lines().last(), lines.last().copied());
    let events = lines.iter().filter(|line| line.contains(" ms  ")).count();
    assert!(end.contains(&format!("the run, the last 2 of {events} events:\n")), "{end}");
}

#[test]
fn run_speaks_json() {
    let seed = failing_seed();
    let json = ask(&["run", "counter/wrong", "--seed", &seed, "--json"]).json();
    assert_eq!(json["verdict"], "violated");
    assert_eq!(json["seed"].to_string(), seed);
    assert_eq!(json["expected"], json!({"verdict": "violated", "property": "applied-once"}));
    assert_eq!(json["violations"][0]["property"], "applied-once");
    assert_eq!(json["violations"][0]["evidence"].as_array().map(Vec::len), Some(2));
    assert_eq!(json["story"]["telling"], "past");
    assert_eq!(json["command"], format!("snowglobe run counter/wrong --seed {seed}"));
    assert!(json["faults"]["messages lost"].as_u64() > Some(0));
}

#[test]
fn a_trace_is_the_same_bytes_each_time_and_compressed_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let bytes = |name: &str| {
        let path = directory.path().join(name);
        let answer = ask(&["run", "counter/wrong", "--trace", path.to_str().unwrap()]);
        assert!(answer.err.ends_with(&format!("wrote {}\n", path.display())), "{}", answer.err);
        std::fs::read(path).unwrap()
    };
    let (plain, compressed) = (bytes("a.jsonl"), bytes("a.jsonl.zst"));
    assert_eq!(plain, bytes("b.jsonl"));
    assert_eq!(compressed, bytes("b.jsonl.zst"));
    assert!(plain.starts_with(b"{\"format\":\"snowglobe-trace\""));
    assert!(compressed.len() < plain.len() / 2);
    assert_eq!(names(directory.path()), ["a.jsonl", "a.jsonl.zst", "b.jsonl", "b.jsonl.zst"]);
}

#[test]
fn a_run_that_differs_from_itself_is_not_deterministic() {
    let answer = ask_of(&counter::leaking(), &["run", "counter/leaks", "--story"]);
    assert_eq!((answer.exit, &*answer.out), (Exit::Unusable, ""));
    assert!(
        answer.err.starts_with("snowglobe: counter/leaks is not deterministic: seed 0 gave digest "),
        "{}",
        answer.err
    );
}

// sweep

#[test]
fn sweep_counts_and_names_the_first_seed_that_fails() {
    let answer = ask(&["sweep", "counter/wrong", "--seeds", "0..200"]);
    assert_eq!(answer.exit, Exit::Violated);
    assert_golden("cli-sweep-violated.txt", &answer.out);
    assert!(answer.err.starts_with("200 runs in "), "{}", answer.err);
}

#[test]
fn sweep_that_holds_exits_with_0_and_expect_turns_the_question_round() {
    let exit = |args: &[&str]| ask(args).exit;
    assert_eq!(exit(&["sweep", "counter/right"]), Exit::Holds);
    assert_eq!(exit(&["sweep", "counter/wrong"]), Exit::Violated);
    assert_eq!(exit(&["sweep", "counter/wrong", "--expect"]), Exit::Holds);
    assert_eq!(exit(&["sweep", "counter/right", "--expect"]), Exit::Holds);
    let disappointing = |args: &[&str]| ask_of(&counter::disappointing(), args).exit;
    assert_eq!(disappointing(&["sweep", "counter/harmless"]), Exit::Holds);
    assert_eq!(disappointing(&["sweep", "counter/harmless", "--expect"]), Exit::Violated);
    assert_eq!(disappointing(&["sweep", "counter/vacuous"]), Exit::Holds);
    assert_eq!(disappointing(&["sweep", "counter/vacuous", "--expect"]), Exit::Violated);
    assert_eq!(disappointing(&["sweep", "counter/mistaken", "--expect"]), Exit::Violated);
}

#[test]
fn sweep_without_faults_or_situations_says_that_it_proves_little() {
    let out = ask_of(&counter::disappointing(), &["sweep", "counter/vacuous", "--seeds", "5"]).out;
    assert!(
        out.contains("never met: retry. A sweep proves nothing about what did not occur in it.\n"),
        "{out}"
    );
    assert!(out.contains("\nno fault fired: runs in which nothing goes wrong prove little\n"), "{out}");
}

#[test]
fn sweep_of_all_is_a_table_and_a_planted_bug_replayed() {
    let answer = ask(&["sweep", "--all", "--seeds", "100"]);
    assert_eq!(answer.exit, Exit::Holds);
    let (table, example) = answer.out.split_once("\na planted bug, found and replayed:\n\n").expect("both");
    assert_golden("cli-sweep-all.txt", table);
    assert_eq!(example, ask(&["run", "counter/wrong", "--seed", &failing_seed()]).out);
    let two = ask(&["sweep", "counter/right", "counter/panics", "--seeds", "100"]);
    assert_eq!((two.exit, two.out.lines().count() > 4), (Exit::Holds, true));
}

#[test]
fn sweep_of_all_fails_if_one_is_not_as_expected() {
    let answer = ask_of(&counter::disappointing(), &["sweep", "--all", "--seeds", "100"]);
    assert_eq!(answer.exit, Exit::Violated);
    assert_golden("cli-sweep-all-fails.txt", &answer.out);
}

#[test]
fn sweep_does_not_depend_on_the_number_of_threads() {
    for args in [
        &["sweep", "counter/wrong", "--seeds", "3000"][..],
        &["sweep", "counter/wrong", "--seeds", "3000", "--first"],
        &["sweep", "counter/wrong", "--seeds", "5", "--json"],
        &["sweep", "counter/right", "counter/panics", "--json"],
        &["sweep", "--all", "--set", "loss=30"],
    ] {
        let with = |jobs| ask(&[args, &["--jobs", jobs]].concat()).out;
        assert_eq!(with("1"), with("8"), "{args:?}");
    }
}

#[test]
fn sweep_speaks_json_without_a_clock() {
    let args = ["sweep", "counter/wrong", "--seeds", "10..110", "--json"];
    let json = ask(&args).json();
    assert_eq!((&json["seeds"], &json["runs"]), (&json!([10, 110]), &json!(100)));
    assert_eq!((&json["verdict"], &json["agreement"]), (&json!("violated"), &json!("agrees")));
    assert_eq!(json["properties"][0]["property"], "applied-once");
    assert_eq!(json["first"]["seed"], json["properties"][0]["first_seed"]);
    assert_eq!(ask(&args).out, ask(&args).out);
    let all = ask(&["sweep", "--all", "--seeds", "100", "--json"]).json();
    assert_eq!((&all["agrees"], &all["example"]["scenario"]), (&json!(true), &json!("counter/wrong")));
    assert_eq!(all["scenarios"].as_array().map(Vec::len), Some(3));
}

#[test]
fn sweep_of_a_huge_range_begins_at_once_and_reaches_its_end() {
    let first = ask(&["sweep", "counter/wrong", "--first", "--seeds", "0..0xffff_ffff_ffff_ffff"]);
    assert_eq!(first.exit, Exit::Violated);
    let last = ask(&["sweep", "counter/right", "--seeds", "0xffff_ffff_ffff_fff0..0xffff_ffff_ffff_ffff"]);
    assert!(last.out.contains("runs        15, 0 violated\n"), "{}", last.out);
}

#[test]
fn a_sweep_that_is_interrupted_reports_what_it_has() {
    let catalogue = counter::catalogue();
    let sweep = |scenario: &str, wait: Duration| {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut streams = Streams::new(&mut out, &mut err);
        let stop = streams.stop();
        let exit = std::thread::scope(|threads| {
            threads.spawn(move || {
                std::thread::sleep(wait);
                stop.store(true, Ordering::Relaxed);
            });
            let args = ["snowglobe", "sweep", scenario, "--seeds", "0..1_000_000_000_000_000"];
            cli::run(&catalogue, args, &mut streams)
        });
        (exit, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    };
    let (exit, out, err) = sweep("counter/right", Duration::ZERO);
    assert_eq!(exit, Exit::Holds, "as found so far");
    assert!(out.contains("expected    holds, but interrupted before it was done\n"), "{out}");
    assert!(err.starts_with("interrupted after "), "{err}");
    let (exit, out, _) = sweep("counter/wrong", Duration::from_millis(300));
    assert_eq!(exit, Exit::Violated);
    assert!(out.contains(" violated, then interrupted\n"), "{out}");
}

// replay

#[test]
fn replay_of_a_reproduction_is_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("repro.json");
    let path = path.to_str().unwrap();
    let seed = failing_seed();
    let run = ask(&["run", "counter/wrong", "--seed", &seed, "--set", "increments=4", "--repro", path]);
    assert_eq!((run.exit, &*run.err), (Exit::Violated, &*format!("wrote {path}\n")));
    let answer = ask(&["replay", path]);
    assert_eq!((answer.exit, &*answer.err), (Exit::Holds, ""));
    assert!(answer.out.ends_with(&format!("\nthe same as {path} says\n")), "{}", answer.out);
    assert!(answer.out.contains(&format!("to see it again:\n  snowglobe replay {path}\n")), "{}", answer.out);
    let json = ask(&["replay", path, "--json"]).json();
    assert_eq!((&json["same"], &json["run"]["settings"]), (&json!(true), &json!({"increments": 4})));
    assert_eq!(names(directory.path()), ["repro.json"]);
}

#[test]
fn replay_of_a_trace_is_the_same_and_can_be_written_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (first, second) = (path("first.jsonl.zst"), path("second.jsonl.zst"));
    ask(&["run", "counter/wrong", "--seed", "7", "--set", "calm=false", "--trace", &first]);
    let answer = ask(&["replay", &first, "--trace", &second]);
    assert_eq!((answer.exit, &*answer.err), (Exit::Holds, &*format!("wrote {second}\n")));
    assert_eq!(std::fs::read(first).unwrap(), std::fs::read(second).unwrap());
}

#[test]
fn overrides_change_the_run_and_survive_in_its_reproduction_and_trace() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (repro, trace) = (path("repro.json"), path("run.jsonl"));
    let still = ["run", "counter/wrong", "--set", "loss=0", "--story", "--json"];
    let story = ask(&still).json();
    assert_eq!(story["verdict"], "holds");
    let reply =
        story["story"]["lines"].as_array().unwrap().iter().find(|line| line["who"] == "server -> client");
    let id = reply.expect("a reply")["id"].as_str().unwrap().to_owned();
    let lost = write(directory.path(), "lost.json", json!([{"event": id, "fate": []}]).to_string());
    let args = [
        "run",
        "counter/wrong",
        "--set",
        "loss=0",
        "--overrides",
        &lost,
        "--repro",
        &repro,
        "--trace",
        &trace,
    ];
    let answer = ask(&args);
    assert_eq!(answer.exit, Exit::Violated);
    assert!(answer.out.ends_with(&format!("--set loss=0 --overrides {lost}\n")), "{}", answer.out);
    for file in [&repro, &trace] {
        assert_eq!(ask(&["replay", file]).exit, Exit::Holds);
    }
    let from_repro =
        ask(&["run", "counter/wrong", "--set", "loss=0", "--overrides", &repro, "--json"]).json();
    assert_eq!(from_repro["verdict"], "violated");
    let without = ask(&["run", "counter/wrong", "--set", "loss=0", "--trace", &path("without.jsonl")]);
    assert_eq!(without.exit, Exit::Holds);
    let diff = ask(&["diff", &path("without.jsonl"), &trace]);
    assert_eq!(diff.exit, Exit::Violated);
    assert!(
        diff.out.contains(&format!("message done {id} from server to client: delivered after ")),
        "{}",
        diff.out
    );
    assert!(diff.out.contains("\nexplained: all "), "{}", diff.out);
}

#[test]
fn an_override_that_meets_nothing_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let overrides = r#"[{"event": "00000000000000aa", "strike": false}]"#;
    let file = write(directory.path(), "overrides.json", overrides);
    let answer = ask(&["run", "counter/right", "--overrides", &file]);
    assert_eq!(answer.exit, Exit::Holds);
    assert_eq!(
        answer.err,
        "warning: the override {\"event\":\"00000000000000aa\",\"strike\":false} met nothing: no event of the run asked for it\n"
    );
    let json = ask(&["run", "counter/right", "--overrides", &file, "--json"]).json();
    assert_eq!(json["unmatched_overrides"], json!([{"event": "00000000000000aa", "strike": false}]));
}

#[test]
fn replay_that_is_not_the_same_says_what_differs() {
    let directory = tempfile::tempdir().unwrap();
    let replay = |scenario: &str, seed: &str, expect: Value| {
        let repro = json!({"format": "snowglobe-repro", "version": 1, "scenario": scenario, "seed": seed.parse::<u64>().unwrap(), "expect": expect});
        let file = write(directory.path(), "repro.json", repro.to_string());
        let answer = ask(&["replay", &file]);
        assert_eq!(answer.exit, Exit::Unusable);
        answer.err.replace(&file, "FILE")
    };
    let seed = failing_seed();
    assert_eq!(
        replay("counter/right", &seed, json!({"property": "applied-once"})),
        "snowglobe: FILE: not the same: expected a violation of applied-once, but the run holds\n"
    );
    assert_eq!(
        replay("counter/wrong", &seed, json!({"property": null})),
        "snowglobe: FILE: not the same: expected a run that holds, but applied-once is violated\n"
    );
    let digest = json!({"property": "applied-once", "digest": "0123456789abcdef"});
    let sentence = replay("counter/wrong", &seed, digest);
    assert!(
        sentence.starts_with("snowglobe: FILE: not the same: expected digest 0123456789abcdef, found "),
        "{sentence}"
    );
}

#[test]
fn replay_of_a_trace_that_cannot_be_repeated_names_the_first_event_that_differs() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("run.jsonl");
    let (catalogue, file) = (counter::leaking(), file.to_str().unwrap());
    assert_eq!(ask_of(&catalogue, &["run", "counter/leaks", "--trace", file]).exit, Exit::Holds);
    let answer = ask_of(&catalogue, &["replay", file, "--json"]);
    assert_eq!(answer.exit, Exit::Unusable);
    assert_eq!(answer.json()["same"], false);
    assert!(answer.err.contains(": not the same: event "), "{}", answer.err);
    assert!(
        answer.err.contains(" was 0.000 ms client -> server \"add {increment: 0, hint: "),
        "{}",
        answer.err
    );
}

// diff

#[test]
fn diff_of_traces_and_of_seeds() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (a, b) = (path("a.jsonl"), path("b.jsonl.zst"));
    ask(&["run", "counter/right", "--seed", "1", "--trace", &a]);
    ask(&["run", "counter/right", "--seed", "2", "--trace", &b]);
    let same = ask(&["diff", &a, &a]);
    assert_eq!(same.exit, Exit::Holds);
    assert!(same.out.contains("\nidentical, "), "{}", same.out);
    let differs = ask(&["diff", &a, &b]);
    assert_eq!(differs.exit, Exit::Violated);
    let seeds = ask(&["diff", "counter/right", "--seeds", "1", "2"]);
    assert_eq!(seeds.exit, Exit::Violated);
    let below = |text: &str| text.lines().skip(2).collect::<Vec<_>>().join("\n");
    assert_eq!(below(&seeds.out), below(&differs.out));
    assert_eq!(ask(&["diff", "counter/right", "--seeds", "5", "5"]).exit, Exit::Holds);
    assert_eq!(ask(&["diff", &a, &b, "--json"]).json()["sameness"], "different");
}

// What is refused

#[test]
fn unknown_names_are_refused_with_a_suggestion() {
    assert_eq!(
        refusal(&["run", "counter/rihgt"]),
        "snowglobe: there is no scenario \"counter/rihgt\"; did you mean \"counter/right\"?"
    );
    let all = "there are counter/right, counter/wrong, counter/panics";
    for args in [
        &["run", "paxos"][..],
        &["sweep", "counter/right", "paxos"],
        &["list", "paxos"],
        &["diff", "paxos", "--seeds", "1", "2"],
    ] {
        assert_eq!(refusal(args), format!("snowglobe: there is no scenario \"paxos\"; {all}"));
    }
    // What is a part of several names may mean any of them.
    assert_eq!(
        refusal(&["run", "counter"]),
        "snowglobe: there is no scenario \"counter\"; did you mean \"counter/right\", \"counter/wrong\" or \"counter/panics\"?"
    );
    assert_eq!(
        ask_of(&snowglobe::models::catalogue(), &["run", "s3"]).err,
        "snowglobe: there is no scenario \"s3\"; did you mean \"rpc/s3-at-least-once\", \"rpc/s3-at-most-once\", \"rpc/s30-net-rpc\", \
         \"rpc/s30-application-retries\" or \"rpc/s30-retries-deduplicated\"?\n"
    );
    let unlike = ask_of(&snowglobe::models::catalogue(), &["run", &"paxos ".repeat(1_000)]).err;
    assert!(unlike.len() < 200 && unlike.ends_with(", which `list` shows\n"), "{unlike}");
    assert_eq!(
        refusal(&["run", "counter/right", "--set", "los=3"]),
        "snowglobe: counter/right has no setting \"los\"; did you mean \"loss\"?"
    );
    assert!(refusal(&["swep"]).starts_with("snowglobe: unrecognized subcommand 'swep'"));
    assert!(
        refusal(&["run", "counter/right", "--sed", "1"])
            .starts_with("snowglobe: unexpected argument '--sed' found")
    );
}

#[test]
fn impossible_settings_are_refused() {
    let set = |setting| refusal(&["sweep", "counter/right", "--set", setting]);
    assert_eq!(set("loss=x"), "snowglobe: setting loss of counter/right is a whole number, found \"x\"");
    assert_eq!(set("calm=1"), "snowglobe: setting calm of counter/right is true or false, found \"1\"");
    assert_eq!(set("loss"), "snowglobe: a setting is written key=value, found \"loss\"");
    assert_eq!(set("=1"), "snowglobe: a setting is written key=value, found \"=1\"");
    assert_eq!(
        set("loss=91"),
        "snowglobe: counter/right: a loss of 91 percent leaves nothing to count: at most 90"
    );
    assert_eq!(set("loss=-1"), "snowglobe: counter/right: loss=-1: a whole number from 0 to 4294967295");
    assert_eq!(
        set("loss=99999999999"),
        "snowglobe: counter/right: loss=99999999999: a whole number from 0 to 4294967295"
    );
    assert!(set(&"loss=x".repeat(10_000)).len() < 200);
    let network = |name| {
        let set = format!("network={name}");
        ask_of(&snowglobe::models::catalogue(), &["run", "rpc/s5-duplicated-get", "--set", &set]).err
    };
    assert_eq!(
        network("hostil"),
        "snowglobe: rpc/s5-duplicated-get: network=hostil: there is no such value; did you mean \"hostile\"?\n"
    );
    assert!(
        network("chaos").contains("there is no such value; there are reliable, labrpc, "),
        "{}",
        network("chaos")
    );
}

#[test]
fn seeds_and_counts_that_are_none_are_refused() {
    let seed = "a seed is a number such as 42, or 0x2a in hexadecimal";
    for wrong in ["ten", "0x", "1.5", "-1", ""] {
        let sentence = refusal(&["run", "counter/right", "--seed", wrong]);
        assert!(
            sentence.starts_with("snowglobe: ") && (wrong.is_empty() || sentence.ends_with(seed)),
            "{sentence}"
        );
    }
    let seeds = |range| refusal(&["sweep", "counter/right", "--seeds", range]);
    assert_eq!(seeds("x..2"), format!("snowglobe: invalid value 'x..2' for '--seeds <SEEDS>': {seed}"));
    assert!(seeds("-1").ends_with(seed));
    assert!(seeds("5..5").ends_with(": the range is empty"));
    assert!(seeds("0").ends_with(": the range is empty"));
    assert!(seeds("9..3").ends_with(": the range is reversed: did you mean 3..9?"));
    assert!(seeds("0..99999999999999999999").ends_with(": a seed is at most 18446744073709551615"));
    for jobs in ["0", "-1", "100000", "x"] {
        assert!(refusal(&["sweep", "counter/right", "--jobs", jobs]).contains(jobs));
    }
    assert!(refusal(&["run", "--story", "counter/right"]).ends_with("write the scenario before --story"));
}

#[test]
fn contradictions_are_refused() {
    assert!(refusal(&["sweep", "counter/right", "--all"]).contains("cannot be used with"));
    assert_eq!(
        refusal(&["sweep", "counter/right", "counter/right"]),
        "snowglobe: counter/right is named twice"
    );
    assert_eq!(
        refusal(&["run", "counter/right", "--trace", "x", "--repro", "x"]),
        "snowglobe: --trace and --repro name one file"
    );
    assert_eq!(
        refusal(&["diff", "a", "b", "--set", "loss=1"]),
        "snowglobe: --set is for a scenario, and a trace has its settings"
    );
    assert_eq!(
        refusal(&["run", "counter/right", "--set", "loss=1", "--set", "loss=2"]),
        "snowglobe: setting loss is given twice, as \"1\" and as \"2\""
    );
    assert_eq!(ask(&["run", "counter/right", "--set", "loss=1", "--set", "loss=1"]).exit, Exit::Holds);
    assert_eq!(
        ask_of(
            &snowglobe::models::catalogue(),
            &["run", "crawler/c5-locked", "--site", "a", "--set", "site=b"]
        )
        .err,
        "snowglobe: setting site is given twice, as \"b\" and as \"a\"\n"
    );
    assert_eq!(ask(&[]).exit, Exit::Unusable);
    assert_eq!(ask(&["sweep"]).exit, Exit::Unusable);
    assert_eq!(ask(&["diff", "a"]).exit, Exit::Unusable);
}

#[test]
fn files_that_are_not_what_they_should_be_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let dir = here.to_str().unwrap();
    let refused = |args: &[&str]| refusal(args).replace(dir, "DIR");
    let missing = here.join("missing.json");
    let missing = missing.to_str().unwrap();
    assert_eq!(refused(&["replay", missing]), "snowglobe: DIR/missing.json: no such file");
    assert_eq!(refused(&["replay", dir]), "snowglobe: DIR: a directory, expected a file");
    assert_eq!(refused(&["diff", missing, missing]), "snowglobe: DIR/missing.json: no such file");
    assert_eq!(refused(&["diff", dir, dir]), "snowglobe: DIR: cannot be read: a directory, expected a file");
    assert_eq!(
        refused(&["run", "counter/right", "--overrides", missing]),
        "snowglobe: DIR/missing.json: no such file"
    );
    let repro = |content: &str| {
        let file = write(here, "x.json", content);
        refused(&["replay", &file])
    };
    assert_eq!(
        repro(""),
        "snowglobe: DIR/x.json: not a reproduction: the text ends within a value at line 1 column 0"
    );
    assert_eq!(
        repro("hello"),
        "snowglobe: DIR/x.json: not a reproduction: expected value at line 1 column 1"
    );
    assert_eq!(
        repro("{\"format\": \"snowglobe-repro\", \"vers"),
        "snowglobe: DIR/x.json: not a reproduction: the text ends within a string at line 1 column 35"
    );
    assert_eq!(
        repro(r#"{"format": "other", "version": 1}"#),
        "snowglobe: DIR/x.json: not a reproduction: its format is \"other\", expected \"snowglobe-repro\""
    );
    assert_eq!(
        repro(r#"{"format": "snowglobe-repro", "version": 2}"#),
        "snowglobe: DIR/x.json: a reproduction of version 2; this program reads version 1"
    );
    let with =
        |rest: &str| repro(&format!(r#"{{"format": "snowglobe-repro", "version": 1, "seed": 0, {rest}}}"#));
    assert_eq!(
        with(r#""scenario": "counter/wron""#),
        "snowglobe: DIR/x.json: there is no scenario \"counter/wron\"; did you mean \"counter/wrong\"?"
    );
    assert_eq!(
        with(r#""scenario": "counter/wrong", "settings": {"lost": 1}"#),
        "snowglobe: DIR/x.json: counter/wrong has no setting \"lost\"; did you mean \"loss\"?"
    );
    assert_eq!(
        with(r#""scenario": "counter/wrong", "overrides": [{"event": "12", "fate": []}]"#),
        "snowglobe: DIR/x.json: an event id is 16 hexadecimal digits, found \"12\""
    );
    let file = write(here, "y.json", [0xff, 0xfe]);
    assert_eq!(refused(&["replay", &file]), "snowglobe: DIR/y.json: not text");
    let file = write(here, "z.json", r#"[{"event": "00000000000000aa", "explode": true}]"#);
    let sentence = refused(&["run", "counter/right", "--overrides", &file]);
    assert!(
        sentence.starts_with("snowglobe: DIR/z.json: neither a list of overrides nor a reproduction: "),
        "{sentence}"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn what_is_no_file_or_has_no_end_is_refused_by_every_verb_that_reads() {
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    // It takes no room on the disk.
    let huge = directory.path().join("huge.jsonl");
    std::fs::File::create(&huge).unwrap().set_len(1 << 42).unwrap();
    let (pipe, huge) = (pipe.to_str().unwrap(), huge.to_str().unwrap());
    let cases =
        [("/dev/zero", "a device"), ("/dev/full", "a device"), (pipe, "a pipe"), (huge, "more than ")];
    for (file, what) in cases {
        for args in [
            &["replay", file][..],
            &["diff", file, file],
            &["check-history", file, "--model", "register"],
            &["run", "counter/right", "--overrides", file],
        ] {
            let sentence = refusal(args);
            assert!(sentence.contains(what) && sentence.len() < 200, "{args:?}: {sentence}");
        }
        let site = ["run", "crawler/c1-serial", "--site", file];
        let answer = ask_of(&snowglobe::models::catalogue(), &site);
        assert_eq!(answer.exit, Exit::Unusable);
        assert!(answer.err.contains("is not a directory"), "{}", answer.err);
    }
}

#[test]
fn traces_that_are_not_whole_and_unchanged_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let (dir, path) = (here.to_str().unwrap(), here.join("run.jsonl"));
    ask(&["run", "counter/wrong", "--trace", path.to_str().unwrap()]);
    let text = std::fs::read_to_string(&path).unwrap();
    let both = |name: &str, content: &str| {
        let file = write(here, name, content);
        let sentence = refusal(&["replay", &file]);
        assert_eq!(sentence, refusal(&["diff", &file, &file]));
        sentence.replace(dir, "DIR")
    };
    let lines = text.lines().count();
    let cut = &text[..=text.trim_end().rfind('\n').unwrap()];
    assert_eq!(
        both("cut.jsonl", cut),
        format!("snowglobe: DIR/cut.jsonl: truncated after {} whole lines: expected an end line", lines - 1)
    );
    assert!(both("half.jsonl", &text[..text.len() / 2]).contains(": truncated after "));
    let changed = text.replacen("\"incarnation\":0", "\"incarnation\":1", 1);
    assert!(both("changed.jsonl", &changed).contains(": lines after the last checkpoint were changed: "));
    assert_eq!(both("empty.jsonl", ""), "snowglobe: DIR/empty.jsonl: the file is empty: expected a trace");
    assert!(
        both("foreign.jsonl", "{\"hello\": 1}\n")
            .starts_with("snowglobe: DIR/foreign.jsonl: not a trace: expected ")
    );
    assert!(both("text.jsonl.zst", "hello\n").contains(": not intact Zstandard data: "));
    let unknown = text.replace("counter/wrong", "counter/wronk");
    // Its hash tells before its name does.
    assert!(both("unknown.jsonl", &unknown).contains("were changed"));
    let other = ask_of(&counter::leaking(), &["replay", path.to_str().unwrap()]);
    assert_eq!(
        other.err.replace(dir, "DIR"),
        "snowglobe: DIR/run.jsonl: there is no scenario \"counter/wrong\"; there are counter/leaks\n"
    );
}

#[test]
fn output_that_cannot_be_written_is_refused_and_nothing_is_left() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let dir = here.to_str().unwrap();
    for option in ["--trace", "--repro"] {
        let run = |path: &str| refusal(&["run", "counter/wrong", option, path]).replace(dir, "DIR");
        let sentence = run(here.join("no/such").to_str().unwrap());
        assert!(
            sentence.contains("DIR/no/such: cannot be ")
                && sentence.ends_with(": No such file or directory (os error 2)"),
            "{sentence}"
        );
        let sentence = run(dir);
        assert!(sentence.contains("DIR: cannot be ") && sentence.contains("directory"), "{sentence}");
        if cfg!(target_os = "linux") {
            let sentence = run("/dev/full");
            assert!(
                sentence.contains("/dev/full: cannot be ") && sentence.contains("No space left"),
                "{sentence}"
            );
        }
    }
    assert!(names(here).is_empty());
}

/// A disk that is full, or a reader who has gone.
struct Refuses(io::ErrorKind);

impl Write for Refuses {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(self.0.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn standard_output_that_takes_nothing() {
    let verbs: [&[&str]; 5] = [
        &["snowglobe", "list"],
        &["snowglobe", "run", "counter/wrong", "--json"],
        &["snowglobe", "sweep", "counter/right", "--seeds", "5"],
        &["snowglobe", "diff", "counter/right", "--seeds", "1", "1"],
        &["snowglobe", "--help"],
    ];
    for verb in verbs {
        for (kind, why) in
            [(io::ErrorKind::BrokenPipe, "broken pipe"), (io::ErrorKind::StorageFull, "no storage space")]
        {
            let mut err = Vec::new();
            let exit = cli::run(&counter::catalogue(), verb, &mut Streams::new(&mut Refuses(kind), &mut err));
            assert_eq!(exit, Exit::Unusable);
            let prose = String::from_utf8(err).unwrap();
            let sentence = format!("snowglobe: standard output cannot be written: {why}\n");
            assert!(prose.ends_with(&sentence), "{prose}");
        }
        let exit = cli::run(
            &counter::catalogue(),
            verb,
            &mut Streams::new(&mut Vec::new(), &mut Refuses(io::ErrorKind::BrokenPipe)),
        );
        assert!(exit <= Exit::Violated, "prose that nobody reads changes nothing");
    }
}

#[test]
fn help_teaches_by_example() {
    for verb in ["list", "run", "sweep", "replay", "diff"] {
        let help = ask(&[verb, "--help"]);
        assert_eq!((help.exit, &*help.err), (Exit::Holds, ""));
        assert!(help.out.contains(&format!("\n  snowglobe {verb} ")), "{}", help.out);
    }
    assert!(ask(&["--help"]).out.contains("Exit codes:"));
    assert!(ask(&["--version"]).out.starts_with("snowglobe 0."));
    assert!(ask(&[]).err.starts_with("Runs distributed systems"));
}

#[test]
fn another_program_answers_in_its_own_name() {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let args = ["target/debug/my-protocols", "run", "x"];
    cli::run(&counter::catalogue(), args, &mut Streams::new(&mut out, &mut err));
    assert!(err.starts_with(b"my-protocols: there is no scenario"));
}

// The program itself

mod process {
    use super::*;
    use assert_cmd::cargo::CommandCargoExt;
    use std::process::Command;

    fn snowglobe(args: &[&str]) -> Command {
        let mut command = Command::cargo_bin("snowglobe").expect("the program was built");
        command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// But for verbs whose examples take seconds (`sweep`, `matrix`), and examples that name files from elsewhere.
    #[cfg(unix)]
    #[test]
    fn the_examples_of_help_run_as_they_are_written() {
        const FROM_ELSEWHERE: [&str; 2] = ["lost.jsonl", "--site"];
        let directory = tempfile::tempdir().unwrap();
        let program = std::path::PathBuf::from(snowglobe(&[]).get_program());
        let path = std::env::join_paths([program.parent().expect("it is in a directory")]).unwrap();
        let shell = |line: &str| {
            let mut command = Command::new("/bin/sh");
            command.args(["-c", line]).env("PATH", &path).current_dir(directory.path());
            command.stdin(Stdio::null()).output().unwrap()
        };
        // What `explain` is shown with is what `shrink` writes.
        for verb in ["shrink", "explain", "list", "run", "explore", "replay", "diff", "likelihood", "why-not"]
        {
            let help = String::from_utf8(snowglobe(&[verb, "--help"]).output().unwrap().stdout).unwrap();
            let (_, examples) = help.split_once("Example").expect("there is an example");
            let joined = examples.replace("\\\n", "");
            let mut lines = joined.lines().filter(|line| line.starts_with("  snowglobe ")).peekable();
            assert!(lines.peek().is_some(), "{help}");
            for line in lines {
                if FROM_ELSEWHERE.iter().any(|file| line.contains(file)) {
                    continue;
                }
                let output = shell(line);
                let err = String::from_utf8_lossy(&output.stderr);
                assert!(matches!(output.status.code(), Some(0 | 1)), "{line}\n{err}");
            }
        }
    }

    fn a_scenario() -> String {
        let output = snowglobe(&["list", "--json"]).output().unwrap();
        let list: Value = serde_json::from_slice(&output.stdout).unwrap();
        list[0]["name"].as_str().expect("a scenario").to_owned()
    }

    #[test]
    fn two_processes_print_and_write_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let scenario = a_scenario();
        let run = |name: &str| {
            let path = directory.path().join(name);
            let output = snowglobe(&["run", &scenario, "--story", "--trace", path.to_str().unwrap()])
                .output()
                .unwrap();
            assert!(output.status.code() <= Some(1), "{}", String::from_utf8_lossy(&output.stderr));
            (output.status.code(), output.stdout, std::fs::read(path).unwrap())
        };
        assert_eq!(run("a.jsonl.zst"), run("b.jsonl.zst"));
        let sweep = || snowglobe(&["sweep", &scenario, "--seeds", "50"]).output().unwrap();
        let (first, second) = (sweep(), sweep());
        assert_eq!((first.status, first.stdout), (second.status, second.stdout));
    }

    #[test]
    fn exit_codes() {
        assert_eq!(snowglobe(&["list"]).output().unwrap().status.code(), Some(0));
        assert_eq!(snowglobe(&["run", "x"]).output().unwrap().status.code(), Some(2));
        assert_eq!(snowglobe(&["frobnicate"]).output().unwrap().status.code(), Some(2));
    }

    #[test]
    fn a_closed_pipe_is_an_error() {
        for verb in [&["list"][..], &["run", &a_scenario(), "--story"], &["--help"]] {
            let (reader, writer) = io::pipe().unwrap();
            drop(reader);
            let output = snowglobe(verb).stdout(writer).output().unwrap();
            assert_eq!(output.status.code(), Some(2), "{verb:?}");
            let sentence = "snowglobe: standard output cannot be written: Broken pipe (os error 32)\n";
            assert_eq!(String::from_utf8_lossy(&output.stderr), sentence, "{verb:?}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_closed_pipe_is_an_error_where_a_trace_or_a_reproduction_is_written_to_it() {
        for option in ["--trace", "--repro"] {
            let (reader, writer) = io::pipe().unwrap();
            drop(reader);
            let mut command = snowglobe(&["run", &a_scenario(), option, "/dev/stdout"]);
            let output = command.stdout(writer).output().unwrap();
            assert_eq!(output.status.code(), Some(2), "{option}");
            let sentence = "snowglobe: /dev/stdout: cannot be written: Broken pipe (os error 32)\n";
            assert_eq!(String::from_utf8_lossy(&output.stderr), sentence, "{option}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_trace_on_standard_output_is_whole_and_stands_before_the_report() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out");
        let file = std::fs::File::create(&path).unwrap();
        let scenario = a_scenario();
        let output = snowglobe(&["run", &scenario, "--trace", "/dev/stdout"]).stdout(file).output().unwrap();
        assert!(output.status.code() <= Some(1), "{}", String::from_utf8_lossy(&output.stderr));
        let text = std::fs::read_to_string(&path).unwrap();
        let end = text.find("\n{\"end\":").expect("an end line");
        assert!(text.starts_with("{\"format\":\"snowglobe-trace\""));
        assert!(text[end..].contains(&format!("\n{scenario}  seed 0")), "{}", &text[end..]);
    }

    #[cfg(unix)]
    #[test]
    fn a_limit_on_the_size_of_files_is_an_error_and_nothing_is_left() {
        let directory = tempfile::tempdir().unwrap();
        let program = snowglobe(&[]).get_program().to_owned();
        for (option, name) in
            [("--trace", "run.jsonl"), ("--trace", "run.jsonl.zst"), ("--repro", "repro.json")]
        {
            let path = directory.path().join(name);
            std::fs::write(&path, "before").unwrap();
            let limited = "ulimit -f 0 && exec \"$0\" run \"$1\" \"$2\" \"$3\"";
            let output = Command::new("sh")
                .args(["-c", limited])
                .arg(&program)
                .args([&a_scenario(), option])
                .arg(&path)
                .output()
                .unwrap();
            let err = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{name}: {:?} {err}", output.status);
            assert!(err.contains(name) && err.ends_with(": File too large (os error 27)\n"), "{err}");
            assert_eq!(std::fs::read(&path).unwrap(), b"before", "{name}");
        }
        assert_eq!(names(directory.path()), ["repro.json", "run.jsonl", "run.jsonl.zst"]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_behind_standard_output_is_an_error() {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let output = snowglobe(&["list"]).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let prose = String::from_utf8_lossy(&output.stderr);
        assert!(prose.starts_with("snowglobe: standard output cannot be written: No space left"), "{prose}");
    }

    /// Starts it, and interrupts it when it has run for a second.
    #[cfg(unix)]
    fn interrupted(args: &[&str]) -> (Option<i32>, String, String) {
        let child = snowglobe(args).spawn().unwrap();
        std::thread::sleep(Duration::from_secs(1));
        let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
        assert!(kill.success());
        let output = child.wait_with_output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    }

    #[cfg(unix)]
    #[test]
    fn an_interrupt_ends_a_shrinking_with_the_best_so_far() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("repro.json").display().to_string();
        // Everything is lost: a thousand faults, many of which are needed, and each taken away alone.
        let world = ["--seed", "0", "--set", "clients=5", "--runs", "1000000000"];
        let args = [&["shrink", "rpc/s2-at-least-once", "-o", &path], &world[..]].concat();
        let (exit, out, err) = interrupted(&args);
        assert_eq!(exit, Some(1), "{out}{err}");
        assert!(err.starts_with("interrupted: this is the best so far\n"), "{err}");
        assert!(out.contains("\nviolates    progress: "), "{out}");
        assert!(out.contains("\nunfinished  not everything that is left was shown to be needed\n"), "{out}");
        let replay = snowglobe(&["replay", &path]).output().unwrap();
        assert_eq!(replay.status.code(), Some(0), "{}", String::from_utf8_lossy(&replay.stderr));
        assert_eq!(names(directory.path()), ["repro.json"], "nothing half-written is left");
    }

    #[cfg(unix)]
    #[test]
    fn an_interrupt_ends_a_sweep_with_a_report() {
        let (exit, out, err) = interrupted(&["sweep", &a_scenario(), "--seeds", "0..1_000_000_000_000"]);
        assert!(exit.is_some() && exit <= Some(1), "{exit:?} {err}");
        assert!(err.starts_with("interrupted after "), "{err}");
        assert!(out.contains(", then interrupted\n"), "{out}");
    }

    #[cfg(unix)]
    #[test]
    fn who_ends_a_run_early_finds_neither_its_trace_nor_a_part_of_it() {
        for signal in ["-INT", "-TERM"] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("run.jsonl");
            let long = ["--set", "span_ms=3600000", "--set", "calls=1000", "--trace", path.to_str().unwrap()];
            let child = snowglobe(&[&["run", "raft/right"], &long[..]].concat()).spawn().unwrap();
            while names(directory.path()).is_empty() {
                std::thread::sleep(Duration::from_millis(10));
            }
            // The file is there an instant before the handler is.
            std::thread::sleep(Duration::from_millis(200));
            let kill = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
            assert!(kill.success());
            let output = child.wait_with_output().unwrap();
            let err = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(130), "{signal}: {err}");
            assert_eq!(names(directory.path()), Vec::<String>::new(), "{signal}");
        }
    }
}
