//! Every planted bug has a known minimal cause, and a failing run shrinks to it.
//!
//! A row is a wrong scheme of the lecture in a world in which one kind of thing goes wrong, so that the cause is known
//! before: one lost reply, one late first copy, one crash between two effects. The first seed that fails is shrunk. What is
//! left is compared with that cause, and what happened in the run that is left with the story that the lecture tells of it.
//! Names, seeds and numbers of runs are pinned in `golden/minimal-causes.txt`.

mod support;

use std::fmt::Write as _;
use std::sync::atomic::AtomicBool;

use snowglobe::check::shrink::{Shrink, Shrunk, shrink};
use snowglobe::check::{Prepared, parse_pairs};
use snowglobe::sim::Overrides;
use snowglobe::traces::{Event, Trace};
use support::assert_golden;

/// At most so many runs for each.
const RUNS: u64 = 100;
/// Within so many seeds one fails.
const SEEDS: u64 = 300;

/// A planted bug, and what it takes.
struct Row {
    scenario: &'static str,
    settings: &'static [&'static str],
    /// The faults that are needed, each by its first words, in the order of the run.
    cause: &'static [&'static str],
    /// What happens in the run that is left, in this order. What begins with `no` does not happen between its neighbours.
    story: &'static [&'static str],
}

const PAID_TWICE: &[&str] =
    &["server note executed", "server send reply", "client-1 fire resend", "server note executed"];
const AFTER_ITS_END: &[&str] = &["client-1 fire resend", "client-1 return", "server note executed"];

#[rustfmt::skip]
const ROWS: &[Row] = &[
    Row { scenario: "rpc/s3-at-least-once", settings: &["clients=1", "calls=1", "faults=loss"], cause: &["lose reply"], story: PAID_TWICE },
    Row { scenario: "rpc/s3-at-least-once", settings: &["clients=1", "calls=1", "faults=duplication"], cause: &["duplicate request"], story: &["server recv request", "server note executed", "server recv request", "server note executed"] },
    Row { scenario: "rpc/s4-late-put", settings: &["clients=2", "calls=3", "faults=late"], cause: &["delay request"], story: &["client-1 fire resend", "client-1 return", "client-1 return", "server note executed"] },
    Row { scenario: "rpc/s4-puts-not-covered", settings: &["clients=1", "calls=3", "faults=late"], cause: &["delay request"], story: &["client-1 fire resend", "client-1 return", "client-1 return", "server note executed"] },
    Row { scenario: "rpc/s6-already-inserted", settings: &["clients=1", "calls=1", "faults=loss"], cause: &["lose reply"], story: &["server send reply", "client-1 fire resend", "server send reply"] },
    Row { scenario: "rpc/s8a-current-value", settings: &["clients=1", "calls=3", "faults=loss"], cause: &["lose reply"], story: &["server note executed", "server send reply", "client-1 fire resend", "no server note executed", "server send reply"] },
    Row { scenario: "rpc/s8a-empty-reply", settings: &["clients=1", "calls=3", "faults=loss"], cause: &["lose reply"], story: &["server note executed", "server send reply", "client-1 fire resend", "no server note executed", "server send reply"] },
    Row { scenario: "rpc/s9-fresh-xid", settings: &["clients=1", "calls=1", "faults=loss"], cause: &["lose reply"], story: PAID_TWICE },
    Row { scenario: "rpc/s10-shared-counter", settings: &["clients=2", "calls=1", "faults=none"], cause: &[], story: &["server note executed", "no server note executed", "client-2 return"] },
    Row { scenario: "rpc/s10-few-random-bits", settings: &["clients=2", "calls=1", "faults=none"], cause: &[], story: &[] },
    Row { scenario: "rpc/s11-restart-at-one", settings: &["clients=1", "calls=2", "faults=client-crash"], cause: &["crash client-1"], story: &["server note executed", "client-1 crash", "client-1 boot", "client-1 invoke"] },
    Row { scenario: "rpc/s14-acknowledged-maximum", settings: &["clients=1", "calls=4", "faults=loss"], cause: &["lose request"], story: &["client-1 return", "client-1 fire resend/2", "server note forgotten", "server send refusal"] },
    Row { scenario: "rpc/s15-equality-test", settings: &["clients=1", "calls=2", "faults=duplication"], cause: &["duplicate request"], story: &["client-1 return", "client-1 return", "server note executed"] },
    Row { scenario: "rpc/s15-equality-test", settings: &["clients=1", "calls=2", "faults=late"], cause: &["delay request"], story: &["client-1 fire resend", "client-1 return", "client-1 return", "server note executed"] },
    Row { scenario: "rpc/s15-pipelining", settings: &["clients=1", "calls=2", "faults=none"], cause: &[], story: &["client-1 invoke", "no client-1 return", "client-1 invoke"] },
    Row { scenario: "rpc/s16-kept-for-the-window", settings: &["clients=1", "calls=1", "faults=late"], cause: &["delay request"], story: AFTER_ITS_END },
    Row { scenario: "rpc/s17-silent-forgotten", settings: &["clients=1", "calls=1", "faults=late"], cause: &["delay request"], story: AFTER_ITS_END },
    Row { scenario: "rpc/s19-meets-new", settings: &["clients=1", "calls=8", "faults=late"], cause: &["delay request"], story: &["client-1 fire resend/3", "client-1 return", "server note executed"] },
    Row { scenario: "rpc/s20-no-mark", settings: &["clients=1", "calls=1", "execution_ms=20", "faults=duplication"], cause: &["duplicate request"], story: &["server recv request", "no server send reply", "server recv request", "server note executed", "server note executed"] },
    Row { scenario: "rpc/s20-no-mark", settings: &["clients=1", "calls=1", "faults=none"], cause: &[], story: &["server recv request", "no server send reply", "server recv request", "server note executed", "server note executed"] },
    Row { scenario: "rpc/s25-table-in-memory", settings: &["clients=1", "calls=1", "faults=server-crash"], cause: &["crash server"], story: &["server note executed", "server crash", "server boot", "server note executed"] },
    Row { scenario: "rpc/s26-data-first", settings: &["clients=1", "calls=1", "faults=server-crash"], cause: &["crash server"], story: &["server disk log append", "no server disk table append", "server crash", "server boot", "server disk log append"] },
    Row { scenario: "rpc/s26-table-first", settings: &["clients=1", "calls=1", "faults=server-crash"], cause: &["crash server"], story: &["server disk table append", "no server disk log append", "server crash", "server boot"] },
    Row { scenario: "rpc/s26-not-synced", settings: &["clients=1", "calls=1", "faults=server-crash"], cause: &["crash server"], story: &["server disk log append", "server send reply", "server crash", "server disk disk lost"] },
    Row { scenario: "rpc/s30-application-retries", settings: &["clients=1", "calls=1", "faults=partition"], cause: &["partition"], story: &["server note executed", "server note executed"] },
    Row { scenario: "rpc/s31-wrong-version-fails", settings: &["clients=1", "calls=4", "faults=loss"], cause: &["lose reply"], story: &["server send reply", "client-1 fire resend", "server send reply"] },
    Row { scenario: "rpc/s31-restart-resets-versions", settings: &["clients=2", "calls=3", "faults=server-crash"], cause: &["crash server"], story: &["server note executed", "server crash", "server boot", "server note executed"] },
    Row { scenario: "rpc/s31-network-duplicates", settings: &["clients=1", "calls=2", "faults=duplication"], cause: &["duplicate request"], story: &[] },
    Row { scenario: "rpc/wild-outer-retry-fresh-key", settings: &["clients=1", "calls=1", "faults=loss"], cause: &["lose request", "lose reply", "lose request"], story: &["client-1 fire resend", "client-1 fire resend", "server note executed"] },
    Row { scenario: "rpc/wild-key-without-call", settings: &["clients=1", "calls=2", "faults=none"], cause: &[], story: &["client-1 return", "no server note executed", "client-1 return"] },
    Row { scenario: "rpc/wild-crash-before-ack", settings: &["clients=1", "calls=1"], cause: &["crash server"], story: &["server note executed", "no server send reply", "server crash", "server boot", "server note executed"] },
    Row { scenario: "rpc/lab-equality-test", settings: &["clients=1", "calls=8", "faults=duplication"], cause: &["duplicate request"], story: &[] },
    Row { scenario: "rpc/lab-equality-test-one-key", settings: &["clients=2", "calls=8", "faults=duplication"], cause: &["duplicate request"], story: &[] },
    Row { scenario: "rpc/lab-no-mark", settings: &["clients=1", "calls=2", "execution_ms=20", "faults=duplication"], cause: &["duplicate request"], story: &["server recv request", "no server send reply", "server recv request"] },
    Row { scenario: "rpc/lab-no-mark-one-key", settings: &["clients=2", "calls=4", "execution_ms=20", "faults=duplication"], cause: &["duplicate request"], story: &["server recv request", "no server send reply", "server recv request"] },
];

#[test]
fn every_planted_bug_shrinks_to_its_cause() {
    let (mut pinned, mut wrong, mut left) = (String::new(), String::new(), Vec::new());
    for row in ROWS {
        let prepared = row.prepare();
        let seed = first_failing(&*prepared);
        let what = Shrink { seed, overrides: Overrides::default(), runs_max: 5_000, jobs: 0 };
        let shrunk = shrink(&*prepared, &what, &AtomicBool::new(false), &|_| ()).unwrap().unwrap();
        let names: Vec<String> = shrunk.needed.iter().map(|needed| needed.name.clone()).collect();
        let line = format!(
            "{} {}  seed {seed}, {} of {} faults after {} runs: {}",
            row.scenario,
            row.settings.join(" "),
            names.len(),
            shrunk.faults_before,
            shrunk.runs,
            if names.is_empty() { "no fault is needed".to_owned() } else { names.join(", ") }
        );
        writeln!(pinned, "{line}").unwrap();
        let cause: Vec<String> = names.iter().map(|name| kind(name)).collect();
        let said = said(&transcript(&*prepared, seed, &shrunk), row.story);
        let property = prepared.expected().properties().any(|property| property == shrunk.property);
        for (right, what) in [
            (cause == row.cause, format!("the cause is {:?}", row.cause)),
            (said.is_ok(), format!("the story is {:?}: {said:?}", row.story)),
            (property, format!("{} is violated", shrunk.property)),
            (shrunk.minimal, "each of them is needed".to_owned()),
            (shrunk.runs <= RUNS, format!("{RUNS} runs are enough")),
        ] {
            if !right {
                writeln!(wrong, "{line}\n  not so: {what}").unwrap();
            }
        }
        left.push(names.len());
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    left.sort_unstable();
    assert!(left[left.len() / 2] <= 3, "{left:?}");
    assert_golden("minimal-causes.txt", &pinned);
}

impl Row {
    fn prepare(&self) -> Box<dyn Prepared> {
        let settings = parse_pairs(self.settings.iter().copied()).expect("the settings are well-formed");
        let catalogue = snowglobe::models::catalogue();
        catalogue.find(self.scenario).expect("it exists").prepare(&settings).expect("it is possible")
    }
}

fn first_failing(prepared: &dyn Prepared) -> u64 {
    let mut runner = prepared.runner();
    let fails = |seed: &u64| !runner.run(*seed, &Overrides::default()).holds();
    (0..SEEDS).find(fails).unwrap_or_else(|| panic!("{} violates nothing", prepared.name()))
}

/// The first two words of a fault, without what counts it: `lose reply` of `lose reply server -> client-1 of call ...`,
/// `partition` of `partition (chance #1)`.
fn kind(name: &str) -> String {
    let name = name.split(" (").next().expect("a split has a first part");
    let words = name.split(' ').filter(|word| !word.starts_with('#'));
    words.take(2).collect::<Vec<_>>().join(" ")
}

/// What happened in the run that is left: node, kind, name and action of each event.
fn transcript(prepared: &dyn Prepared, seed: u64, shrunk: &Shrunk) -> Vec<String> {
    let mut bytes = Vec::new();
    let outcome =
        prepared.runner().trace(seed, &shrunk.overrides, &mut bytes).expect("a vector takes everything");
    assert_eq!(outcome.digest, shrunk.outcome.digest, "what is left is what was shrunk to");
    let trace = Trace::parse(bytes, "what is left").expect("what was written can be read");
    trace.events().map(|event| line(&event)).collect()
}

fn line(event: &Event<'_>) -> String {
    let fields = event.fields();
    let mut words = vec![event.node_name, event.word];
    words.extend(["name", "action"].iter().filter_map(|key| fields.get(*key)?.as_str()));
    if event.word == "note" {
        words.extend(fields["payload"].as_object().and_then(|note| note.keys().next()).map(String::as_str));
    }
    words.join(" ")
}

/// Whether the lines of a story come in this order; the one that is missing if not.
fn said<'s>(transcript: &[String], story: &[&'s str]) -> Result<(), &'s str> {
    // Where the story is up to; each of its lines may be told in several places, and one of them must do.
    fn from<'s>(rest: &[String], story: &[&'s str], not: Option<&str>) -> Result<(), &'s str> {
        let Some((next, then)) = story.split_first() else { return Ok(()) };
        if let Some(not) = next.strip_prefix("no ") {
            return from(rest, then, Some(not));
        }
        let mut missing = *next;
        for (place, line) in rest.iter().enumerate() {
            if line == next {
                match from(&rest[place + 1..], then, None) {
                    Ok(()) => return Ok(()),
                    Err(later) => missing = later,
                }
            }
            if not.is_some_and(|not| line == not) {
                break;
            }
        }
        Err(missing)
    }
    from(transcript, story, None)
}

#[test]
fn a_story_is_told_in_its_order() {
    let lines = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(said(&lines("a b c"), &["a", "c"]), Ok(()));
    assert_eq!(said(&lines("c a b"), &["a", "c"]), Err("c"));
    assert_eq!(said(&lines("a b c"), &["a", "no b", "c"]), Err("c"));
    assert_eq!(said(&lines("a b a c"), &["a", "no b", "c"]), Ok(()));
}
