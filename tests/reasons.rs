//! From a run to the reason: `likelihood`, `why-not`, and `diff` of a run with itself but for one decision.

mod support;

use snowglobe::check::flips::flips;
use snowglobe::cli::{self, Exit, Streams};
use snowglobe::sim::{Nanos, Overrides};
use snowglobe::traces::{Diff, Trace};

/// One call on a network that loses a fifth of what it is given.
const ONE_CALL: [&str; 6] = ["--set", "clients=1", "--set", "calls=1", "--set", "network=dslabs"];

fn snowglobe(args: &[&str]) -> (Exit, String, String) {
    snowglobe_with(&[args, &ONE_CALL].concat())
}

fn snowglobe_with(args: &[&str]) -> (Exit, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let all = std::iter::once("snowglobe").chain(args.iter().copied());
    let exit = cli::run(&snowglobe::models::catalogue(), all, &mut Streams::new(&mut out, &mut err));
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (exit, text(out), text(err))
}

/// The first seed of the scenario that is violated, or that holds.
fn seed_that(scenario: &str, holds: bool) -> String {
    let seeds = 0..100;
    let found = seeds.map(|seed| seed.to_string()).find(|seed| {
        let (exit, ..) = snowglobe(&["run", scenario, "--seed", seed]);
        exit == if holds { Exit::Holds } else { Exit::Violated }
    });
    found.expect("one of a hundred seeds")
}

const LOST: &str = "lose reply #1 server -> client-1";

/// The first seed in which the account is wrong because the first reply was lost, and for no other reason.
fn seed_of_a_lost_reply() -> String {
    let mut seeds = (0..1_000).map(|seed: u64| seed.to_string());
    let found = seeds.find(|seed| {
        let (exit, text, _) = snowglobe(&["diff", "rpc/s3-at-least-once", "--seed", seed, "--without", LOST]);
        exit == Exit::Violated && text.contains("\n  A  violated") && text.contains("\n  B  holds")
    });
    found.expect("one of a thousand seeds")
}

#[test]
fn the_account_was_doomed_when_the_reply_was_lost() {
    let seed = seed_of_a_lost_reply();
    let ask = |jobs| snowglobe(&["likelihood", "rpc/s3-at-least-once", "--seed", &seed, "--jobs", jobs]);
    let (exit, text, _) = ask("1");
    assert_eq!(exit, Exit::Holds);
    let (_, doomed) = text.split_once("\ndoomed from ").expect("a step");
    assert!(doomed.contains("-> 100.0%)"), "{text}");
    assert!(doomed.contains("reply server -> client-1 "), "{text}");
    assert_eq!(ask("2").1, text, "the number of threads does not matter");
}

#[test]
fn the_call_was_doomed_when_the_server_crashed_between_the_effect_and_its_record() {
    let world =
        ["--set", "clients=1", "--set", "calls=1", "--set", "faults=server-crash", "--samples", "100"];
    let args = ["likelihood", "rpc/s26-data-first", "--seed", "12"];
    let (exit, text, err) = snowglobe_with(&[&args[..], &world[..]].concat());
    assert_eq!(exit, Exit::Holds, "{err}");
    let step = "crash of server between disk commit/1 sync and disk commit/1 synced (";
    assert!(text.lines().any(|line| line.contains(" from 5.348 ms: ") && line.contains(step)), "{text}");
}

#[test]
fn the_curve_has_intervals_and_is_measured_where_it_jumps() {
    let seed = seed_of_a_lost_reply();
    let (exit, json, _) = snowglobe(&["likelihood", "rpc/s3-at-least-once", "--seed", &seed, "--json"]);
    assert_eq!(exit, Exit::Holds);
    let report: serde_json::Value = serde_json::from_str(&json).expect("one document");
    let number = |of: &serde_json::Value, key: &str| of[key].as_u64().expect("a number");
    let points = report["curve"]["points"].as_array().expect("a list");
    for point in points {
        let estimate = number(point, "violated") * 1_000_000 / number(point, "runs");
        assert!(number(point, "low") <= estimate && estimate <= number(point, "high"), "{point}");
        assert!(number(point, "low") < number(point, "high"), "no number of runs makes it certain: {point}");
    }
    // Where it jumps nothing lies between the two points: they are neighbours among the instants at which events happen.
    let step = &report["curve"]["steps"][0];
    let (before, after) = (&step["before"], &step["after"]);
    assert!(number(before, "high") < number(after, "low"), "the intervals do not overlap: {step}");
    let mut bytes = Vec::new();
    let settings =
        snowglobe::check::parse_pairs(["clients=1", "calls=1", "network=dslabs"]).expect("well-formed");
    let catalogue = snowglobe::models::catalogue();
    let prepared =
        catalogue.find("rpc/s3-at-least-once").expect("it exists").prepare(&settings).expect("possible");
    let seed = seed.parse().expect("a number");
    prepared.runner().trace(seed, &Overrides::default(), &mut bytes).expect("a vector takes everything");
    let trace = Trace::parse(bytes, "a run").expect("what was written can be read");
    let between = |time: &Nanos| number(before, "time") < *time && *time < number(after, "time");
    let times: Vec<Nanos> = trace.events().map(|event| event.t).filter(between).collect();
    assert!(times.is_empty(), "the jump was looked for until nothing lies in it: {times:?}");
    let instants: std::collections::BTreeSet<Nanos> = trace.events().map(|event| event.t).collect();
    assert!(points.len() < instants.len(), "{} of {} instants were measured", points.len(), instants.len());
}

#[test]
fn a_run_that_violates_nothing_has_no_likelihood() {
    let seed = seed_that("rpc/s3-at-least-once", true);
    let (exit, out, err) = snowglobe(&["likelihood", "rpc/s3-at-least-once", "--seed", &seed]);
    assert_eq!((exit, out.as_str()), (Exit::Unusable, ""));
    assert_eq!(err, format!("snowglobe: seed {seed} violates nothing; why-not says what could\n"));
}

#[test]
fn one_lost_reply_would_have_taken_twice_from_the_account() {
    let seed = seed_that("rpc/s3-at-least-once", true);
    let ask = |jobs| {
        let args = ["why-not", "rpc/s3-at-least-once", "--seed", &seed, "--json", "--jobs", jobs];
        snowglobe(&[&args[..], &["--show", "1000"]].concat())
    };
    let (exit, json, _) = ask("1");
    assert_eq!(exit, Exit::Violated);
    assert_eq!(ask("2").1, json, "the number of threads does not matter");
    let report: serde_json::Value = serde_json::from_str(&json).expect("one document");
    let nearest = report["nearest"].as_array().expect("a list");
    let lost = nearest.iter().find(|near| near["decision"] == "lose reply #1 server -> client-1");
    assert_eq!(lost.expect("that one")["property"], "the account is right");
    let distances: Vec<_> = nearest.iter().map(|near| near["distance"].as_u64()).collect();
    assert!(distances.is_sorted(), "the nearest comes first: {distances:?}");
    // Each is shown by fixing what it fixes.
    for near in nearest {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), near["overrides"].to_string()).expect("it is written");
        let path = file.path().to_str().expect("a path of letters");
        let (exit, ..) = snowglobe(&["run", "rpc/s3-at-least-once", "--seed", &seed, "--overrides", path]);
        assert_eq!(exit, Exit::Violated, "{}", near["decision"]);
    }
}

#[test]
fn a_server_that_remembers_on_disk_is_not_one_decision_from_violating() {
    let seed = seed_that("rpc/s25-table-on-disk", true);
    let (exit, text, _) = snowglobe(&["why-not", "rpc/s25-table-on-disk", "--seed", &seed]);
    assert_eq!(exit, Exit::Holds, "{text}");
    assert!(text.ends_with("violating   0\n"), "{text}");
}

#[test]
fn why_not_writes_the_nearest_as_a_reproduction() {
    let seed = seed_that("rpc/s3-at-least-once", true);
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("near.json");
    let path = path.to_str().expect("a path of letters");
    let (exit, ..) = snowglobe(&["why-not", "rpc/s3-at-least-once", "--seed", &seed, "-o", path]);
    assert_eq!(exit, Exit::Violated);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let streams = &mut Streams::new(&mut out, &mut err);
    let exit = cli::run(&snowglobe::models::catalogue(), ["snowglobe", "replay", path], streams);
    assert_eq!(exit, Exit::Holds, "the same again: {}", String::from_utf8_lossy(&err));
}

#[test]
fn without_the_lost_reply_the_account_is_right() {
    let seed = seed_of_a_lost_reply();
    let (exit, text, err) = snowglobe(&["diff", "rpc/s3-at-least-once", "--seed", &seed, "--without", LOST]);
    assert_eq!(exit, Exit::Violated, "{err}");
    assert!(text.contains(&format!("\nB  rpc/s3-at-least-once seed {seed}, without {LOST}\n")), "{text}");
    assert!(text.contains("\n  A  violated") && text.contains("\n  B  holds"), "{text}");
    assert!(text.contains("\nexplained: all"), "{text}");
}

#[test]
fn a_decision_that_the_run_has_not_is_refused_with_those_it_has() {
    let seed = seed_of_a_lost_reply();
    let ask = |rest: &[&str]| snowglobe(&[&["diff", "rpc/s3-at-least-once", "--seed", &seed], rest].concat());
    let (exit, out, err) = ask(&["--without", "rain"]);
    assert_eq!((exit, out.as_str()), (Exit::Unusable, ""));
    assert!(err.starts_with("snowglobe: the run has no decision \"rain\" for --without; there "), "{err}");
    assert!(err.contains("\n  lose reply #1 server -> client-1\n"), "{err}");
    let (exit, _, err) = ask(&[]);
    assert_eq!(exit, Exit::Unusable);
    assert_eq!(err, "snowglobe: which decision is another? Give --without, --with or --overrides\n");
}

/// The same decision as a reproduction has it.
const LOST_OF_CALL: &str = "lose reply server -> client-1 of call client-1/1, attempt 1";

#[test]
fn a_decision_is_taken_away_by_the_name_that_a_reproduction_has() {
    let seed = seed_of_a_lost_reply();
    let without = |name: &str| {
        let args = ["diff", "rpc/s3-at-least-once", "--seed", &seed, "--without", name];
        let (exit, text, err) = snowglobe(&args);
        (exit, text.replace(name, "THAT"), err)
    };
    let (exit, text, err) = without(LOST_OF_CALL);
    assert_eq!((exit, err.as_str()), (Exit::Violated, ""));
    assert!(text.contains(", without THAT\n") && text.contains("\n  B  holds"), "{text}");
    assert!(text.contains("\nexplained: all "), "{text}");
    assert_eq!(without(LOST).1, text, "the two names mean one decision");
}

#[test]
fn a_readable_name_that_matches_nothing_is_refused() {
    let seed = seed_of_a_lost_reply();
    for (name, why) in [
        ("lose reply server -> client-1 of call client-1/1, attempt 77", "there is no such attempt"),
        ("lose reply server -> client-1 of call client-1/2, attempt 1", "there is no such call"),
        ("lose reply server -> client-9 of call client-1/1, attempt 1", "there is no such node"),
        ("lose answer server -> client-1 of call client-1/1, attempt 1", "there is no such message"),
        (
            "crash server after effect 0 of request from client-1 of call client-1/1, attempt 1",
            "it did not crash",
        ),
        ("partition (chance #1)", "there was none"),
    ] {
        let args = ["diff", "rpc/s3-at-least-once", "--seed", &seed, "--without", name];
        let (exit, out, err) = snowglobe(&args);
        assert_eq!((exit, out.as_str()), (Exit::Unusable, ""), "{name}: {why}");
        assert!(
            err.starts_with(&format!("snowglobe: the run has no decision {name:?} for --without; there ")),
            "{err}"
        );
        assert!(err.contains("\n  lose reply #1 server -> client-1\n"), "those there are: {err}");
    }
}

#[test]
fn a_decision_is_added_by_the_name_that_a_reproduction_has() {
    let seed = seed_that("rpc/s3-at-least-once", true);
    let late = "delay request client-1 -> server of call client-1/1, attempt 1 to 80 ms";
    let args = ["diff", "rpc/s3-at-least-once", "--seed", &seed, "--with", late];
    let (exit, text, err) = snowglobe(&args);
    assert_eq!((exit, err.as_str()), (Exit::Violated, ""));
    assert!(text.contains("\n  A  holds") && text.contains("\n  B  violated"), "{text}");
    assert!(text.contains("-> delivered after 80000000 ns"), "{text}");
    assert!(text.contains("\nexplained: all "), "{text}");
}

#[test]
fn other_dice_from_a_time_on_change_nothing_before_it() {
    let mut later = 0;
    for prepared in &support::prepared() {
        let mut runner = prepared.runner();
        let original = runner.run(7, &Overrides::default());
        let end: Nanos = original.time;
        let never = runner.run_rekeyed(7, &Overrides::default(), end + 1, 99);
        assert_eq!(never, original, "{}", prepared.name());
        let halfway = runner.run_rekeyed(7, &Overrides::default(), end / 2, 99);
        assert_eq!(halfway, runner.run_rekeyed(7, &Overrides::default(), end / 2, 99));
        later += u32::from(halfway.digest != original.digest);
        // From the beginning on: the kinds of fault, the clocks and the first faults as well.
        let anew = runner.run_rekeyed(7, &Overrides::default(), 0, 99);
        let other = runner.run(99, &Overrides::default());
        assert_eq!((anew.steps, anew.time, anew.faults), (other.steps, other.time, other.faults));
        assert_eq!((anew.violations, anew.met), (other.violations, other.met), "{}", prepared.name());
        // Nothing of it is left for the next run.
        assert_eq!(runner.run(7, &Overrides::default()), original, "{}", prepared.name());
    }
    assert!(later > 10, "in {later} scenarios other dice made another run");
}

#[test]
fn every_flip_has_a_name_of_its_own_and_its_consequences_are_explained() {
    let mut tried = 0;
    for prepared in &support::prepared() {
        let trace = |overrides: &Overrides| {
            let mut bytes = Vec::new();
            prepared.runner().trace(3, overrides, &mut bytes).expect("a vector takes everything");
            Trace::parse(bytes, "a run").expect("what was written can be read")
        };
        let original = trace(&Overrides::default());
        let all = flips(&original);
        let mut names: Vec<_> = all.iter().map(|flip| &flip.name).collect();
        names.sort_unstable();
        assert_eq!(names.windows(2).find(|pair| pair[0] == pair[1]), None, "{}", prepared.name());
        for flip in all.iter().step_by(1 + all.len() / 12) {
            let overrides = std::iter::once((flip.event, flip.decision.clone())).collect();
            let diff = Diff::of(&original, &trace(&overrides));
            assert_eq!(diff.explanation.unexplained, 0, "{} {}:\n{diff}", prepared.name(), flip.name);
            tried += 1;
        }
    }
    assert!(tried > 100, "{tried} flips");
}
