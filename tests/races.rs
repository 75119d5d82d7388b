//! The crawler with a shared map and no lock: a race is reported under every seed whose run has two unordered accesses,
//! told by the trace alone, and under no other.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use snowglobe::check::Prepared;
use snowglobe::sim::tasks::DATA_RACE;
use snowglobe::sim::{EventId, Overrides};
use snowglobe::traces::{Kind, Trace};
use support::trace;

const SEEDS: u64 = 1_000;

fn prepare(scenario: &str, settings: Value) -> Box<dyn Prepared> {
    let catalogue = snowglobe::models::catalogue();
    let Value::Object(settings) = settings else { unreachable!("settings are an object") };
    catalogue.find(scenario).expect("it exists").prepare(&settings).expect("it has these settings")
}

/// Whether two tasks went to the map of which neither descends from the other. Each page's task looks at the map and changes
/// it before it spawns others, and passes nothing to anybody but those it spawns: so these two are what nothing orders.
fn has_unordered_accesses(trace: &Trace) -> bool {
    // By event: the task whose step it was. A task is called by the number in the name of its wakes.
    let mut step_of: BTreeMap<EventId, u64> = BTreeMap::new();
    let mut parent: BTreeMap<u64, u64> = BTreeMap::new();
    let mut visitors: BTreeSet<u64> = BTreeSet::new();
    let mut main = None;
    for event in trace.events() {
        let name = event.field("name").and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default();
        let key = |word: &str| name.strip_prefix(word).map(|key| key.parse::<u64>().expect("a task's key"));
        match event.kind {
            Kind::Boot => {
                main = Some(event.id.0);
                step_of.insert(event.id, event.id.0);
                // The main task crawls the first page itself.
                visitors.insert(event.id.0);
            }
            // Whatever comes of it is the main task's.
            Kind::Invoke => {
                step_of.insert(event.id, main.expect("a node boots first"));
            }
            Kind::Timer => {
                let by = step_of[&event.by];
                if let Some(task) = key("wake/").filter(|task| Some(*task) != main) {
                    parent.entry(task).or_insert(by);
                }
                step_of.insert(event.id, key("wake/").unwrap_or(by));
            }
            Kind::Task if event.field("action").is_some_and(|action| action == "end") => {
                visitors.insert(step_of[&event.by]);
            }
            _ => {}
        }
    }
    let ancestors = |task: u64| std::iter::successors(Some(task), |task| parent.get(task).copied());
    let related = |a: u64, b: u64| ancestors(a).any(|task| task == b) || ancestors(b).any(|task| task == a);
    visitors.iter().any(|a| visitors.iter().any(|b| !related(*a, *b)))
}

/// Over so many seeds: how many runs have unordered accesses, and how many fetch a page twice. In each the race is reported
/// if and only if it is there.
fn races(settings: &Value) -> (u64, u64) {
    let prepared = prepare("crawler/c3-shared-map", settings.clone());
    let twice = prepared.expected().properties().find(|property| *property != DATA_RACE);
    let mut runner = prepared.runner();
    let (mut raced, mut fetched_twice) = (0, 0);
    for seed in 0..SEEDS {
        let bytes = trace(&mut *runner, seed);
        let trace = Trace::parse(bytes, "a crawl").expect("what was written can be read");
        let outcome = runner.run(seed, &Overrides::default());
        let violates =
            |property: &str| outcome.violations.iter().any(|violation| violation.property == property);
        let race = has_unordered_accesses(&trace);
        assert_eq!(violates(DATA_RACE), race, "{settings} seed {seed}");
        raced += u64::from(race);
        fetched_twice += u64::from(violates(twice.expect("it plants two mistakes")));
    }
    (raced, fetched_twice)
}

#[test]
fn without_a_lock_the_race_is_in_every_run_and_the_double_fetch_in_some() {
    let (raced, twice) = races(&json!({}));
    assert_eq!(raced, SEEDS, "the root of the canned web has two links");
    assert!(twice > 0 && twice < SEEDS, "a page is fetched twice under {twice} seeds");
}

#[test]
fn where_each_page_leads_to_one_other_nothing_races() {
    assert_eq!(races(&json!({"web": "chain", "pages": 6})), (0, 0));
}

#[test]
fn with_priorities_and_in_other_webs_the_race_is_reported_where_it_is() {
    for web_seed in 0..4 {
        races(&json!({"web": "random", "pages": 3, "web_seed": web_seed, "schedule": "pct:3:40"}));
    }
}

#[test]
fn with_a_lock_there_is_neither() {
    let prepared = prepare("crawler/c5-locked", json!({"schedule": "preemptive"}));
    let mut runner = prepared.runner();
    for seed in 0..SEEDS {
        assert_eq!(runner.run(seed, &Overrides::default()).violations, [], "seed {seed}");
    }
}
