//! Every interleaving of the concurrent programs: the right forms hold in all of them, each mistake shows in some, and how
//! many there are is pinned.

mod support;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::atomic::AtomicBool;

use serde_json::{Map, Value, json};
use snowglobe::check::{
    Catalogue, Explore, ExploreReport, Judgement, Prepared, Run, Scenario, Setup, explore,
};
use snowglobe::cli::{self, Exit, Streams};
use snowglobe::sim::tasks::{DATA_RACE, Runtime, Tasks};
use snowglobe::sim::{Config, Overrides};
use support::assert_golden;

/// Programs with more interleavings than this are looked at as far as that.
const RUNS: u64 = 3_000;

/// The mistakes that need more steps away from the first path than are looked at here.
const FURTHER_ON: [&str; 0] = [];

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
    let mut missing = Vec::new();
    for name in concurrent() {
        let prepared = prepared(&name);
        let report = explored(&*prepared, RUNS);
        assert_eq!(report.cut, 0, "{name}");
        let planted: Vec<&str> = prepared.expected().properties().collect();
        let mut violated = String::new();
        for (property, found) in &report.violations {
            // Where the time that things take is not bounded, sleeping is found to be no waiting.
            let by_time =
                name == "concurrency/publish-subscribe-leak" && property == "everything is consumed once";
            assert!(by_time || planted.contains(&property.as_str()), "{name}: {property}");
            let _ = write!(violated, "; {property} in {}", found.executions);
        }
        for property in planted {
            if !report.violations.contains_key(property) {
                assert!(!report.complete, "{name}: {property}");
                missing.push(format!("{name}: {property}"));
            }
        }
        let whole = if report.complete { "" } else { ", and more" };
        let (executions, outcomes) = (report.executions, report.outcomes.len());
        let _ =
            writeln!(pinned, "{name:44} {executions:5} executions, {outcomes:3} outcomes{whole}{violated}");
    }
    assert_golden("interleavings.txt", &pinned);
    assert_eq!(missing, FURTHER_ON);
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

/// Two tasks crawl the canned web under a lock: neither a race nor a second fetch in any interleaving.
#[test]
fn the_whole_space_of_two_tasks_that_crawl_under_a_lock_holds() {
    let locked = prepared("concurrency/crawl-by-two");
    let report = explored(&*locked, 100_000);
    assert!(report.complete);
    assert_eq!((report.executions, report.violations.len()), (20_765, 0));
    // Without the lock the race is in every execution.
    let shared = prepared("concurrency/crawl-by-two-shared");
    let report = explored(&*shared, 20_000);
    assert_eq!(report.violations[DATA_RACE].executions, report.executions);
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
            let outcome = runner.run(*seed, &Overrides::default());
            outcome.violations.iter().any(|violation| violation.property == property)
        };
        let found = (0..300).filter(finds).count();
        assert!(found > 0, "{name}");
    }
}

/// A bug of depth two: all of what one task does must fall between two steps of another.
struct LongRead;

/// How many steps each of the two tasks makes before and between what matters.
const STEPS: usize = 40;
const UNCHANGED: &str = "nobody reads what is half written";

impl Scenario for LongRead {
    type Process = Tasks<()>;
    type Settings = ();

    fn name(&self) -> String {
        "long-read".to_owned()
    }

    fn about(&self) -> String {
        "a task reads for as long as another is in the middle of its writes".to_owned()
    }

    fn defaults(&self) {}

    fn setup(&self, (): &()) -> Result<Setup<Tasks<()>>, String> {
        Ok(Setup::new(vec!["program".to_owned()], Config::new(1), |_| Tasks::new(write_and_read)))
    }

    fn judge(&self, (): &(), _: &Run<'_, Tasks<()>>, _: &mut Judgement) {}
}

async fn write_and_read(rt: Runtime<()>) {
    let halves = rt.mutex("halves", 0);
    let (written, other) = (halves.clone(), rt.clone());
    let writer = rt.spawn("writer", async move {
        for _ in 0..STEPS {
            other.yield_now().await;
        }
        *written.lock().await += 1;
        *written.lock().await += 1;
    });
    let other = rt.clone();
    let reader = rt.spawn("reader", async move {
        let mut half_written = true;
        for _ in 0..STEPS {
            half_written &= *halves.lock().await == 1;
        }
        if half_written {
            other.violate(UNCHANGED, "the whole of a long read fell between two writes");
        }
    });
    writer.await;
    reader.await;
}

/// Two tasks and their main take about 90 steps: with exactly one change of priorities, one run in `3 * 90` has the bug at least.
/// Changes are thrown for each step, one in a run on the average: that leaves a third of it.
#[test]
fn priorities_find_a_bug_of_depth_two_more_often_than_dice_for_each_step() {
    const SEEDS: u64 = 3_000;
    let catalogue = Catalogue::new().with(LongRead);
    let found = |schedule: &str| {
        let schedule = format!("schedule={schedule}");
        let seeds = format!("0..{SEEDS}");
        let args = ["sweep", "long-read", "--set", &schedule, "--seeds", &seeds, "--json"];
        let json = ask_of(&catalogue, &args).json();
        let properties = json["properties"].as_array().expect("a list");
        let of_it = properties.iter().find(|violated| violated["property"] == UNCHANGED);
        of_it.map_or(0, |violated| violated["runs"].as_u64().expect("a number"))
    };
    let (dice, one_order, two_orders) = (found("preemptive"), found("pct:1:90"), found("pct:2:90"));
    assert_eq!(one_order, 0, "without a change of priorities, one of the two runs to its end first");
    assert!(3 * two_orders >= SEEDS / (3 * 90), "found in {two_orders} of {SEEDS} runs");
    assert!(two_orders >= 5 * dice, "{two_orders} runs with priorities, {dice} with dice for each step");
}

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

fn ask(args: &[&str]) -> Answer {
    ask_of(&snowglobe::models::catalogue(), args)
}

fn ask_of(catalogue: &Catalogue, args: &[&str]) -> Answer {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = cli::run(catalogue, ["snowglobe"].iter().chain(args), &mut Streams::new(&mut out, &mut err));
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Answer { out: text(out), err: text(err), exit }
}

#[test]
fn the_verb_counts_and_says_that_every_interleaving_holds() {
    let answer = ask(&["explore", "concurrency/counter"]);
    assert_eq!(answer.exit, Exit::Holds);
    assert_eq!(
        answer.out,
        "\
concurrency/counter  seed 0  holds, every interleaving
executions  144, 9 pruned, 0 cut
outcomes    1
events      2554, at most 18 in a run
situation   a total was read, in 144 executions
"
    );
}

#[test]
fn the_verb_tells_what_is_violated_in_how_many_and_exits_with_1() {
    let answer = ask(&["explore", "concurrency/transfer-in-two-orders"]);
    assert_eq!(answer.exit, Exit::Violated);
    let start = "\
concurrency/transfer-in-two-orders  seed 0  violated, every interleaving
executions  4, 0 pruned, 0 cut
outcomes    2
events      46, at most 13 in a run
violates    deadlock, in 1 execution: program: main waits for task transfer; ";
    assert!(answer.out.starts_with(start), "{}", answer.out);
}

/// What two searches must agree on.
fn found(answer: &Answer) -> (Value, BTreeSet<String>) {
    let json = answer.json();
    assert_eq!(json["complete"], true, "{json}");
    let violations = json["violations"].as_array().expect("a list");
    let properties = violations.iter().map(|violation| violation["property"].to_string());
    (json["outcomes"].clone(), properties.collect())
}

#[test]
fn without_reduction_the_verb_finds_the_same_in_more_executions() {
    for name in ["transfer-in-two-orders", "lock-kept", "counter-slept-for", "timeout", "unlocked-twice"] {
        let name = format!("concurrency/{name}");
        let reduced = ask(&["explore", &name, "--window", "0", "--json"]);
        let all = ask(&["explore", &name, "--window", "0", "--no-reduction", "--json"]);
        assert_eq!(found(&reduced), found(&all), "{name}");
        assert_eq!(reduced.exit, all.exit, "{name}");
        let executions = |answer: &Answer| answer.json()["executions"].as_u64().expect("a count");
        assert!(executions(&reduced) <= executions(&all), "{name}");
    }
}

#[test]
fn a_search_that_a_bound_ends_says_so() {
    let few = ask(&["explore", "concurrency/counter", "--max-runs", "10", "--json"]);
    assert_eq!((few.json()["complete"].clone(), few.json()["executions"].clone()), (json!(false), json!(10)));
    assert!(few.err.contains("not complete: "), "{}", few.err);
    let short = ask(&["explore", "concurrency/counter", "--max-depth", "5", "--json"]);
    assert_eq!(
        (short.json()["complete"].clone(), short.json()["executions"].clone()),
        (json!(false), json!(0))
    );
    assert!(short.err.contains("not complete: "), "{}", short.err);
    let first = ask(&["explore", "concurrency/counter-shared", "--first", "--json"]);
    assert_eq!((first.exit, first.json()["executions"].clone()), (Exit::Violated, json!(1)));
}

#[test]
fn the_verb_writes_a_reproduction_that_replays() {
    let directory = tempfile::tempdir().expect("a directory");
    for name in ["transfer-in-two-orders", "counter-shared", "first-answer-leak"] {
        let path = directory.path().join(format!("{name}.json"));
        let file = path.to_str().expect("UTF-8");
        let explored = ask(&["explore", &format!("concurrency/{name}"), "--repro", file]);
        assert_eq!(explored.exit, Exit::Violated, "{name}");
        let replayed = ask(&["replay", file]);
        assert_eq!(replayed.exit, Exit::Holds, "{name}: {}", replayed.err);
        assert!(replayed.out.contains("violates"), "{name}: {}", replayed.out);
    }
    // What holds leaves nothing to reproduce.
    let path = directory.path().join("none.json");
    let holds = ask(&["explore", "concurrency/transfer", "--repro", path.to_str().expect("UTF-8")]);
    assert_eq!((holds.exit, path.exists()), (Exit::Holds, false));
}

/// One call over a network that loses nothing, by itself: with one fault more, placed anywhere, it is executed twice.
#[test]
fn the_verb_places_one_fault_in_every_place_and_says_which_breaks_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("twice.json");
    let file = path.to_str().expect("UTF-8");
    let calm = ["--set", "clients=1", "--set", "calls=1", "--set", "network=reliable", "--window", "0"];
    let ask = |scenario: &str, more: &[&str]| ask(&[&["explore", scenario], &calm[..], more].concat());

    let none = ask("rpc/s3-at-least-once", &[]);
    assert_eq!((none.exit, none.out.contains("placed")), (Exit::Holds, false), "{}", none.out);
    let one = ask("rpc/s3-at-least-once", &["--faults", "1", "--repro", file]);
    assert_eq!(one.exit, Exit::Violated);
    for line in [
        "placed      0 faults in 1 way, 1 to the end\n",
        "placed      1 fault in 20 ways, 20 to the end\n",
        "violates    the account is right, in 5 executions: 20 was taken from the account; 10 is acknowledged, 0 unknown\n",
        "            first with: duplicate request client-1 -> server\n",
    ] {
        assert!(one.out.contains(line), "{line}{}", one.out);
    }
    let replayed = self::ask(&["replay", file]);
    assert_eq!(replayed.exit, Exit::Holds, "{}", replayed.err);

    // What deduplicates takes any one fault, and any two.
    let right = ask("rpc/s8-at-most-once", &["--faults", "2", "--json"]);
    assert_eq!(right.exit, Exit::Holds, "{}", right.out);
    let json = right.json();
    let placed = json["placed"].as_array().expect("a list");
    assert_eq!((placed.len(), &json["complete"]), (3, &json!(true)), "{json}");
    assert!(placed.iter().all(|placed| placed["sets"] == placed["complete"]), "{json}");
}

#[test]
fn what_the_verb_cannot_use_is_refused_in_a_sentence() {
    let counter = "concurrency/counter";
    let schedules = "is random, preemptive, pct:D or pct:D:K, found \"fair\"";
    for (args, sentence) in [
        (
            vec!["concurrency/countre"],
            "there is no scenario \"concurrency/countre\"; did you mean \"concurrency/counter\"?",
        ),
        (
            vec![counter, "--max-runs", "0"],
            "invalid value '0' for '--max-runs <N>': 0 is not in 1..18446744073709551615",
        ),
        (
            vec![counter, "--max-depth", "-1"],
            "invalid value '-1' for '--max-depth <N>': -1 is not in 1..=4294967295",
        ),
        (
            vec![counter, "--window", "long"],
            "invalid value 'long' for '--window <NANOS>': invalid digit found in string",
        ),
        (
            vec![counter, "--set", "schedule=fair"],
            &format!("setting schedule of concurrency/counter {schedules}"),
        ),
    ] {
        let Answer { out, err, exit } = ask(&[&["explore"], &args[..]].concat());
        assert_eq!((exit, &*out), (Exit::Unusable, ""), "{args:?}");
        assert_eq!(err.lines().next(), Some(&*format!("snowglobe: {sentence}")), "{args:?}");
    }
    let nowhere = ask(&["explore", "concurrency/counter-shared", "--repro", "/nowhere/at/all.json"]);
    assert_eq!((nowhere.exit, &*nowhere.out), (Exit::Unusable, ""));
    let last = nowhere.err.lines().last().expect("a sentence");
    assert!(last.starts_with("snowglobe: /nowhere/at/all.json: cannot be written: "), "{last}");
}

#[test]
fn a_failing_schedule_is_shrunk_to_the_picks_that_matter() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name).to_str().expect("UTF-8").to_owned();
    let (found, left) = (path("found.json"), path("left.json"));
    let name = "concurrency/condition-without-loop";
    // Under this seed alone nothing goes wrong.
    assert_eq!(ask(&["run", name, "--set", "schedule=preemptive"]).exit, Exit::Holds);
    assert_eq!(ask(&["explore", name, "--repro", &found]).exit, Exit::Violated);
    let args = ["shrink", name, "--set", "schedule=preemptive", "--overrides", &found, "-o", &left, "--json"];
    let shrunk = ask(&args);
    assert_eq!(shrunk.exit, Exit::Holds, "{}", shrunk.err);
    let json = shrunk.json();
    assert_eq!((&json["property"], &json["minimal"]), (&json!("what is taken was there"), &json!(true)));
    assert_eq!((&json["picks"], &json["picks_before"]), (&json!(2), &json!(15)));
    let picks = json["overrides"].as_array().expect("a list");
    assert_eq!(picks.len(), 2);
    assert_eq!(ask(&["replay", &left]).exit, Exit::Holds);
    // Each is told as the step of a task, among the steps of all.
    let explained = ask(&["explain", &left]).out;
    let in_words = json["schedule"].as_array().expect("a list");
    assert_eq!(in_words.len(), 2);
    for pick in in_words {
        let pick = pick.as_str().expect("a sentence");
        assert!(pick.starts_with("step ") && pick.contains(" of task "), "{pick}");
        assert!(explained.contains(&format!("{pick}\n              without it: ")), "{explained}");
        let step = pick.split(" goes before ").next().expect("the first part");
        let told = |line: &&str| line.starts_with("! ") && line.contains(step);
        assert_eq!(explained.lines().filter(told).count(), 1, "{step}: {explained}");
    }
    // Without either of the two it does not happen.
    for kept in picks {
        let one = path("one.json");
        std::fs::write(&one, json!([kept]).to_string()).expect("a file in a temporary directory");
        let run = ask(&["run", name, "--set", "schedule=preemptive", "--overrides", &one]);
        assert!(!run.out.contains("what is taken was there"), "{}", run.out);
    }
}
