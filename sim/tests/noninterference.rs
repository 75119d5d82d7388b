//! Two runs that differ in one decision are identical, event for event, outside its causal future.
//!
//! The causal future of a decision begins at the event it is about. An effect (a send, a timer, a note) belongs to
//! the future if its cause does. What a node handles (a delivery, a firing, a fault that strikes it) belongs to it if
//! its cause does, or if something that the same node handled before does.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::protocols::{Actor, Protocol, Say, Weather, tasks};
use common::{Entry, Kind, Trace};
use proptest::prelude::*;
use proptest::test_runner::{Config as Cases, RngAlgorithm, TestRng, TestRunner};
use snowglobe_sim::tasks::DATA_RACE;
use snowglobe_sim::{
    Config, Decision, Ending, EventId, MILLIS, NodeId, Overrides, Priorities, Process, Ratio, SECONDS,
    Schedule, SyncError, World,
};

/// One case: a world, and which of its decisions is taken otherwise.
#[derive(Clone, Copy, Debug)]
struct Case {
    /// `None` for nodes written with tasks.
    protocol: Option<Protocol>,
    nodes: u32,
    weather: Weather,
    schedule: Schedule,
    pick: u64,
    seed: u64,
    flip: Flip,
    which: usize,
}

/// Which of several runnable tasks goes next: by dice, by dice at every touch of something shared, by priorities.
const SCHEDULES: [Schedule; 3] = [
    Schedule { preemptive: false, priorities: None },
    Schedule { preemptive: true, priorities: None },
    Schedule { preemptive: true, priorities: Some(Priorities { change: Ratio::new(2, 60) }) },
];

/// Which kind of decision is taken otherwise.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Flip {
    Lose,
    Deliver,
    Duplicate,
    Delay,
    /// A node crashes in the middle of a handler that it survived.
    Crash,
    /// It survives one in which it crashed.
    Survive,
    /// A fault does not strike.
    Spare,
    /// A crash keeps everything, or nothing.
    Keep,
    Sync,
    First,
    Last,
}

impl Flip {
    const ALL: [Self; 11] = [
        Self::Lose,
        Self::Deliver,
        Self::Duplicate,
        Self::Delay,
        Self::Crash,
        Self::Survive,
        Self::Spare,
        Self::Keep,
        Self::Sync,
        Self::First,
        Self::Last,
    ];
}

fn cases() -> impl Strategy<Value = Case> {
    // Partitions and whatever else touches every node leave little outside the future: off three times in four.
    let weather = (0..1_u32 << Weather::KINDS, 0..4_u32)
        .prop_map(|(kinds, often)| Weather(if often > 0 { kinds & !(1 << 9) } else { kinds }));
    (
        prop::sample::select(Protocol::ALL.into_iter().map(Some).chain([None; 3]).collect::<Vec<_>>()),
        6..10_u32,
        weather,
        prop::sample::select(SCHEDULES.to_vec()),
        0..1_000_u64,
        0..1_000_000_u64,
        prop::sample::select(Flip::ALL.to_vec()),
        0..100_000_usize,
    )
        .prop_map(|(protocol, nodes, weather, schedule, pick, seed, flip, which)| Case {
            protocol,
            nodes,
            weather,
            schedule,
            pick,
            seed,
            flip,
            which,
        })
}

/// The run, and the overrides that it did not meet.
fn run(case: Case, overrides: Overrides) -> (Trace, Vec<(EventId, Decision)>) {
    match case.protocol {
        Some(protocol) => run_of(case, overrides, move |id| Actor::new(protocol, case.nodes, id)),
        None => run_of(case, overrides, tasks),
    }
}

fn run_of<P: Process<Message = Say>>(
    case: Case,
    overrides: Overrides,
    boot: impl Fn(NodeId) -> P + Send + Sync + 'static,
) -> (Trace, Vec<(EventId, Decision)>) {
    let config = case.weather.config(case.nodes, 2 * SECONDS, case.pick);
    let mut world = World::new(Config { schedule: case.schedule, ..config }, case.seed, boot);
    world.reset(case.seed, overrides);
    let mut trace = Trace::default();
    let ending = world.run(&mut trace);
    assert!(matches!(ending, Ending::Quiet | Ending::TimeLimit), "{ending:?}: {:?}", world.violation());
    (trace, world.overrides().unmatched().map(|(id, decision)| (id, decision.clone())).collect())
}

/// Whether a record is of something that its node handled, rather than of an effect.
fn handled(entry: &Entry, node_of: &BTreeMap<EventId, NodeId>) -> bool {
    match &entry.kind {
        Kind::Boot
        | Kind::Crash { .. }
        | Kind::Receive
        | Kind::Drop(_)
        | Kind::Fire
        | Kind::Fault(_)
        | Kind::Synced(_)
        | Kind::Lost { .. } => true,
        // A close is asked for on one end and handled on the other.
        Kind::Stream(label) if label.word == "close" => {
            node_of.get(&entry.stamp.by) != Some(&entry.stamp.node)
        }
        Kind::Stream(label) => label.word != "connect",
        Kind::Send { .. } | Kind::Timer | Kind::Disk | Kind::Sync | Kind::Other => false,
    }
}

/// What follows from a decision in either of two runs.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
struct Future {
    ids: BTreeSet<EventId>,
    /// For each node that is touched, the first of the things it handled that follows from the decision, counted from 0.
    /// What the node does not handle any more because of it is a consequence too (a retry that the reply cancelled),
    /// so that the count holds in both runs.
    nodes: BTreeMap<NodeId, usize>,
}

impl Future {
    fn of(decision: EventId, before: &Trace, after: &Trace) -> Self {
        let mut future = Self { ids: BTreeSet::from([decision]), nodes: BTreeMap::new() };
        loop {
            let known = future.clone();
            future.extend(before);
            future.extend(after);
            if future == known {
                return future;
            }
        }
    }

    /// Adds all that follows in this run from what is known to follow.
    fn extend(&mut self, trace: &Trace) {
        let mut node_of = BTreeMap::new();
        let mut counts: BTreeMap<NodeId, usize> = BTreeMap::new();
        for entry in &trace.0 {
            let stamp = entry.stamp;
            let handled = handled(entry, &node_of);
            node_of.insert(stamp.id, stamp.node);
            let count = counts.entry(stamp.node).or_default();
            let touched = self.nodes.get(&stamp.node).is_some_and(|first| first <= count);
            if handled && touched || self.ids.contains(&stamp.id) || self.ids.contains(&stamp.by) {
                self.ids.insert(stamp.id);
                if handled {
                    let first = self.nodes.entry(stamp.node).or_insert(*count);
                    *first = (*first).min(*count);
                }
            }
            *count += usize::from(handled);
        }
    }
}

/// Every decision of this kind that the run took, and what is decided instead.
fn decisions(trace: &Trace, case: Case) -> Vec<(EventId, Decision)> {
    let mut node_of = BTreeMap::new();
    let mut found = Vec::new();
    for entry in &trace.0 {
        let id = entry.stamp.id;
        let handles = handled(entry, &node_of);
        node_of.insert(id, entry.stamp.node);
        let crashable = handles
            && !matches!(entry.kind, Kind::Crash { .. } | Kind::Drop(_) | Kind::Fault(_) | Kind::Lost { .. });
        match (case.flip, &entry.kind) {
            (Flip::Lose, Kind::Send { fate, .. }) if !fate.is_empty() => {
                found.push((id, Decision::Fate(vec![])));
            }
            (Flip::Deliver, Kind::Send { fate, .. }) if fate.is_empty() => {
                found.push((id, Decision::Fate(vec![3 * MILLIS])));
            }
            (Flip::Duplicate, Kind::Send { connection: false, .. }) => {
                found.push((id, Decision::Fate(vec![2 * MILLIS, 10 * MILLIS, 150 * MILLIS])));
            }
            (Flip::Delay, Kind::Send { fate, .. }) if !fate.is_empty() => {
                found.push((id, Decision::Fate(vec![fate[0] + 200 * MILLIS])));
            }
            (Flip::Crash, _) if crashable => found.push((id, Decision::Crash(Some(case.which as u32 % 4)))),
            (Flip::Survive, Kind::Crash { after: Some(_) }) => {
                found.push((entry.stamp.by, Decision::Crash(None)));
            }
            (Flip::Spare, Kind::Crash { after: None }) => found.push((id, Decision::Strike(false))),
            (Flip::Spare, Kind::Fault(label)) if label.word != "heal" => {
                found.push((entry.stamp.by, Decision::Strike(false)));
            }
            (Flip::Keep, Kind::Crash { .. }) if matches!(case.protocol, Some(Protocol::Backup) | None) => {
                found.push((id, Decision::Keep(case.which.is_multiple_of(2))));
            }
            (Flip::Sync, Kind::Sync) => {
                let result = if case.which.is_multiple_of(2) { Ok(()) } else { Err(SyncError::Device) };
                found.push((id, Decision::Sync(result)));
            }
            // A crash in a handler and what a disk lost are no events of their own, and a fault is one for all nodes.
            (Flip::First | Flip::Last, Kind::Crash { after: Some(_) } | Kind::Lost { .. }) => {}
            (Flip::First | Flip::Last, _) if handles => {
                let id = if matches!(entry.kind, Kind::Fault(_)) { entry.stamp.by } else { id };
                found.push((id, Decision::Order(if case.flip == Flip::First { 0 } else { u32::MAX })));
            }
            _ => {}
        }
    }
    found
}

/// What the cases saw, so that a test that looks at nothing is noticed.
#[derive(Default, Debug)]
struct Seen {
    flips: BTreeMap<Flip, (u32, u32)>,
    /// Runs of tasks that changed, by their schedule.
    tasks: [u32; 3],
    /// Of these, how many reported a race.
    races: u32,
    /// Records outside the future and later than the decision, and all records.
    outside: usize,
    records: usize,
}

fn check(case: Case, seen: &mut Seen) -> Result<(), TestCaseError> {
    let (before, _) = run(case, Overrides::default());
    let candidates = decisions(&before, case);
    if candidates.is_empty() {
        return Ok(());
    }
    let (decision, instead) = candidates[case.which % candidates.len()].clone();
    let (after, unmatched) = run(case, [(decision, instead.clone())].into_iter().collect());
    // A sync that a crash overtakes is never decided, the same holds for the disk of a node that has none, and what becomes of
    // a message in a partition is decided by the partition.
    let may_be_moot = matches!(instead, Decision::Sync(_) | Decision::Keep(_) | Decision::Fate(_));
    prop_assert!(may_be_moot || unmatched.is_empty(), "{unmatched:?}");

    let affected = Future::of(decision, &before, &after).ids;
    for node in (0..case.nodes).map(NodeId) {
        let outside = |trace: &Trace| -> Vec<Entry> {
            let of_node = trace.0.iter().filter(|entry| entry.stamp.node == node);
            of_node.filter(|entry| !affected.contains(&entry.stamp.id)).cloned().collect()
        };
        let (a, b) = (outside(&before), outside(&after));
        let differs = a.iter().zip(&b).position(|(a, b)| a != b).unwrap_or(a.len().min(b.len()));
        prop_assert!(
            a == b,
            "deciding {instead:?} for {decision} changed {node} at record {differs}:\n{:#?}\nbecame\n{:#?}",
            a.get(differs),
            b.get(differs)
        );
    }

    let decided = before.0.iter().find(|e| e.stamp.id == decision).map_or(0, |e| e.stamp.time);
    let untouched = |e: &&Entry| e.stamp.time > decided && !affected.contains(&e.stamp.id);
    seen.outside += before.0.iter().filter(untouched).count();
    seen.records += before.0.iter().filter(|e| e.stamp.time > decided).count();
    let (tried, changed) = seen.flips.entry(case.flip).or_default();
    *tried += 1;
    *changed += u32::from(before != after);
    if before != after && case.protocol.is_none() {
        let schedule = SCHEDULES.iter().position(|schedule| *schedule == case.schedule);
        seen.tasks[schedule.expect("it is one of these")] += 1;
        seen.races += u32::from(after.0.iter().any(|entry| entry.text.contains(DATA_RACE)));
    }
    Ok(())
}

#[test]
fn one_decision_changes_nothing_outside_its_causal_future() {
    let cases = 4_000;
    let config = Cases { cases, failure_persistence: None, ..Cases::default() };
    // The same cases at every run: what is found once is found again.
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let seen = std::cell::RefCell::new(Seen::default());
    if let Err(failure) = runner.run(&self::cases(), |case| check(case, &mut seen.borrow_mut())) {
        panic!("{failure}");
    }
    let seen = seen.into_inner();
    println!("{seen:?}");
    let tried: u32 = seen.flips.values().map(|(tried, _)| tried).sum();
    assert!(tried >= 1_000, "only {tried} cases had a decision to flip");
    for flip in Flip::ALL {
        let (tried, changed) = seen.flips.get(&flip).copied().unwrap_or_default();
        assert!(tried >= 20, "{flip:?} was tried {tried} times");
        assert!(changed >= 3, "{flip:?} changed {changed} of {tried} runs");
    }
    assert!(seen.tasks.iter().all(|runs| *runs >= 100), "too few runs of tasks changed: {seen:?}");
    assert!(seen.races >= 100, "too few runs with a race: {seen:?}");
    assert!(seen.outside * 4 > seen.records, "the futures leave too little to compare: {seen:?}");
}

/// The event that a step would fire: the one that leads where the step leads. None if it is beyond the limit of time.
fn next_event(world: &World<Actor>) -> Option<EventId> {
    let limit = world.config().limits.time;
    let first = world.pending().map(|(_, due)| due).min().filter(|first| *first <= limit)?;
    let candidates: Vec<EventId> =
        world.pending().filter(|(_, due)| *due == first).map(|(id, _)| id).collect();
    if let [only] = candidates[..] {
        return Some(only);
    }
    let after = |mut world: World<Actor>, fire: Option<EventId>| {
        match fire.map(|id| world.take(id).expect("a candidate is pending")) {
            Some(event) => world.fire(event, &mut ()),
            None => world.step(&mut ()).expect("a step fires a pending event"),
        }
        let pending: BTreeSet<_> = world.pending().collect();
        (world.digest(), pending)
    };
    let stepped = after(world.clone(), None);
    candidates.into_iter().find(|id| after(world.clone(), Some(*id)) == stepped)
}

#[test]
fn firing_the_earliest_pending_event_by_hand_again_and_again_is_a_run() {
    let time = SECONDS / 2;
    for (protocol, seed) in
        Protocol::ALL.into_iter().flat_map(|protocol| (0..12).map(move |seed| (protocol, seed)))
    {
        let weather = if seed % 2 == 0 { Weather::ALL } else { Weather(Weather::ALL.0 & !(1 << 15)) };
        let config = weather.config(6, time, seed);
        let new = || World::new(config.clone(), seed, move |id| Actor::new(protocol, 6, id));
        let (mut by_run, mut by_hand) = (Trace::default(), Trace::default());
        let mut run = new();
        run.run(&mut by_run);
        let mut fired = new();
        while let Some(id) = next_event(&fired) {
            let event = fired.take(id).expect("the next event is pending");
            assert_eq!(event.id(), id);
            fired.fire(event, &mut by_hand);
        }
        assert_eq!(by_hand, by_run, "{protocol:?}, seed {seed}");
        assert_eq!(fired.digest(), run.digest());
        assert_eq!(fired.steps(), run.steps());
        assert!(by_run.0.len() > 50, "{protocol:?}, seed {seed}: {} records", by_run.0.len());
    }
}
