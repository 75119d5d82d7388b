//! The same logical event has the same id, and no two events of a run share one.

#![allow(
    clippy::needless_pass_by_value,
    reason = "scripts that are closures take what happened by value too"
)]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::protocols::{Actor, Protocol, Weather};
use common::{Happening, Kind, Trace, Word, one_millisecond_apart, scripted};
use snowglobe_sim::{
    Config, Context, Decision, Delay, Ending, EventId, Limits, MILLIS, NodeId, Overrides, Ratio, SECONDS,
    Status, World,
};

/// Nodes 1 to 4 call node 0 ten times each, one call after the other, and send a call again until it is answered.
fn ten_calls(ctx: &mut Context<Word>, calls: &mut u64, happening: Happening) {
    let call = |ctx: &mut Context<Word>, number: u64| {
        ctx.invoke(format!("call {number}"));
        ctx.send(NodeId(0), Word("request", number));
        ctx.set_timer("retry", 50 * MILLIS);
    };
    match happening {
        Happening::Start if ctx.node() != NodeId(0) => call(ctx, 0),
        Happening::Message(from, Word("request", number)) => {
            ctx.send(from, Word("reply", number));
        }
        Happening::Message(_, Word("reply", number)) if number == *calls => {
            *calls += 1;
            ctx.cancel_timer("retry");
            if *calls < 10 {
                call(ctx, *calls);
            }
        }
        Happening::Timer(_) => {
            ctx.send(NodeId(0), Word("request", *calls));
            ctx.set_timer("retry", 50 * MILLIS);
        }
        _ => {}
    }
}

fn ten_calls_traced(seed: u64, overrides: Overrides) -> Trace {
    let mut world = scripted(Config::new(5), seed, ten_calls);
    world.reset(seed, overrides);
    let mut trace = Trace::default();
    assert_eq!(world.run(&mut trace), Ending::Quiet);
    trace
}

#[test]
fn the_same_logical_events_have_the_same_ids_under_two_seeds() {
    let ids = |seed| -> BTreeMap<EventId, (NodeId, EventId)> {
        let trace = ten_calls_traced(seed, Overrides::default());
        trace.0.iter().map(|entry| (entry.stamp.id, (entry.stamp.node, entry.stamp.by))).collect()
    };
    let (one, two) = (ids(1), ids(2));
    // 5 boots; 40 calls of an invocation, two sends, two deliveries and a timer.
    assert_eq!(one.len(), 5 + 40 * 6);
    assert_eq!(one, two);
    let times = |seed| -> Vec<u64> {
        ten_calls_traced(seed, Overrides::default()).0.iter().map(|entry| entry.stamp.time).collect()
    };
    assert_ne!(times(1), times(2), "the seeds do differ");
}

#[test]
fn losing_a_reply_does_not_rename_the_operations_after_it() {
    let before = ten_calls_traced(7, Overrides::default());
    let of_calls = |trace: &Trace, calls: std::ops::Range<u32>| -> BTreeSet<EventId> {
        // All that an invocation leads to without passing through another.
        let mut ids: BTreeSet<EventId> = calls.map(|call| EventId::invoke(NodeId(2), 0, call)).collect();
        for entry in &trace.0 {
            if ids.contains(&entry.stamp.by) && !entry.text.starts_with("Invoke") {
                ids.insert(entry.stamp.id);
            }
        }
        ids
    };
    let third = of_calls(&before, 2..3);
    let is_reply = |text: &str| text.contains("\"reply\"");
    let reply = before
        .of(|kind| matches!(kind, Kind::Send { .. }))
        .into_iter()
        .find(|entry| third.contains(&entry.stamp.id) && is_reply(&entry.text))
        .expect("the third call is answered");
    let after = ten_calls_traced(7, [(reply.stamp.id, Decision::Fate(vec![]))].into_iter().collect());
    assert!(after.0.len() > before.0.len(), "the call is sent again");
    assert_ne!(of_calls(&after, 2..3), third);
    assert_eq!(of_calls(&after, 3..10), of_calls(&before, 3..10));
    assert_eq!(of_calls(&before, 3..10).len(), 7 * 6);
}

#[test]
fn no_two_records_of_a_run_share_an_id_but_a_timer_and_its_firing() {
    for protocol in Protocol::ALL {
        let mut records = 0;
        for seed in 0..80 {
            let config = Weather::ALL.config(7, 3 * SECONDS, seed);
            let mut world = World::new(config, seed, move |id| Actor::new(protocol, 7, id));
            let mut trace = Trace::default();
            world.run(&mut trace);
            let mut seen = BTreeMap::new();
            for entry in trace.of(|kind| *kind != Kind::Timer) {
                if let Some(other) = seen.insert(entry.stamp.id, entry) {
                    panic!("{protocol:?}, seed {seed}: one id for\n{other:#?}\nand\n{entry:#?}");
                }
            }
            records += trace.0.len();
        }
        assert!(records > 20_000, "{protocol:?}: {records} records");
    }
}

#[test]
fn every_cause_is_a_record_before_its_consequence() {
    for protocol in Protocol::ALL {
        for seed in 0..40 {
            let config = Weather::ALL.config(7, 3 * SECONDS, seed);
            let mut world = World::new(config, seed, move |id| Actor::new(protocol, 7, id));
            let mut trace = Trace::default();
            world.run(&mut trace);
            let mut seen = BTreeSet::new();
            for entry in &trace.0 {
                // A fault is one event for all nodes it touches, and each has a record of its own.
                let begins = match entry.kind {
                    Kind::Fault(_) => true,
                    Kind::Boot | Kind::Crash { after: None } => entry.stamp.by == EventId::ROOT,
                    _ => false,
                };
                assert!(begins || seen.contains(&entry.stamp.by), "{protocol:?}, seed {seed}: {entry:#?}");
                seen.insert(entry.stamp.id);
            }
        }
    }
}

#[test]
fn a_place_visited_twice_gives_two_ids_and_other_ids_to_what_follows() {
    let script = |ctx: &mut Context<Word>, _: &mut u64, happening| {
        if matches!(happening, Happening::Start) {
            for place in ["there", "elsewhere", "there"] {
                let id = ctx.anchor(place);
                ctx.note(format!("{place} {id}"));
                ctx.send(NodeId(1), Word("from", 0));
            }
        }
    };
    let visits = |seed| {
        let mut trace = Trace::default();
        scripted(one_millisecond_apart(2), seed, script).run(&mut trace);
        let of_first = |entry: &&common::Entry| entry.stamp.node == NodeId(0);
        trace.0.iter().filter(of_first).map(|entry| entry.stamp.id).collect::<Vec<_>>()
    };
    // A boot, and three times a note and a send.
    assert_eq!(visits(1).len(), 7);
    assert_eq!(BTreeSet::from_iter(visits(1)).len(), 7);
    assert_eq!(visits(1), visits(2));
}

#[test]
fn an_anchored_place_is_the_same_however_the_node_came_there() {
    // The second node anchors when the message comes; under loss a retry brings it there instead.
    let script = |ctx: &mut Context<Word>, done: &mut u64, happening| match happening {
        Happening::Start | Happening::Timer(_) if ctx.node() == NodeId(0) => {
            ctx.send(NodeId(1), Word("go", 0));
            *done += 1;
            if *done < 30 {
                ctx.set_timer(("again", *done), 10 * MILLIS);
            }
        }
        Happening::Message(..) if *done == 0 => {
            *done = 1;
            ctx.anchor(("page", 9));
            ctx.note("fetched".to_owned());
        }
        _ => {}
    };
    let mut ids = BTreeSet::new();
    let mut causes = BTreeSet::new();
    for seed in 0..40 {
        let mut config = one_millisecond_apart(2);
        config.network.default.loss = Ratio::new(1, 2);
        let mut trace = Trace::default();
        scripted(config, seed, script).run(&mut trace);
        for note in trace.of(|kind| *kind == Kind::Other) {
            ids.insert(note.stamp.id);
            causes.insert(note.stamp.by);
        }
    }
    assert_eq!(ids.len(), 1);
    assert!(causes.len() > 3, "{causes:?}");
}

#[test]
fn operations_are_counted_anew_in_each_life() {
    let script = |ctx: &mut Context<Word>, _: &mut u64, happening| {
        if matches!(happening, Happening::Start) {
            let op = ctx.invoke("call".to_owned());
            assert_eq!(op.0, EventId::invoke(ctx.node(), ctx.incarnation(), 0));
            assert_eq!(ctx.invoke("call".to_owned()).0, EventId::invoke(ctx.node(), ctx.incarnation(), 1));
            ctx.complete(op, Status::Ok, "done".to_owned());
        }
    };
    let mut config = one_millisecond_apart(1);
    config.faults.list = vec![snowglobe_sim::Fault::Kill { node: NodeId(0), at: MILLIS, down: Some(MILLIS) }];
    let mut world = scripted(config, 1, script);
    assert_eq!(world.run(&mut ()), Ending::Quiet);
    assert_eq!(world.incarnation(NodeId(0)), 1);
}

#[test]
fn more_than_a_million_ids_of_broadcasts_do_not_collide() {
    const PEERS: u32 = 100_000;
    let script = |ctx: &mut Context<Word>, round: &mut u64, happening| {
        if matches!(happening, Happening::Start | Happening::Timer(_)) && ctx.node() == NodeId(0) {
            (1..=PEERS).for_each(|peer| {
                ctx.send(NodeId(peer), Word("all", 0));
            });
            *round += 1;
            if *round < 5 {
                ctx.set_timer("round", MILLIS);
            }
        }
    };
    let mut config = one_millisecond_apart(PEERS + 1);
    config.network.default.delay = Delay::Uniform { min: 1, max: SECONDS };
    config.limits = Limits::default();
    let mut ids = Ids::default();
    scripted(config, 1, script).run(&mut ids);
    let count = ids.0.len();
    assert_eq!(count, (PEERS + 1) as usize + 5 * 2 * PEERS as usize + 2 * 4);
    ids.0.sort_unstable();
    ids.0.dedup();
    assert_eq!(ids.0.len(), count - 4, "a timer that fires has the id with which it was set");
}

#[test]
fn a_thousand_alike_messages_of_one_handler_to_one_peer_have_a_thousand_ids() {
    let script = |ctx: &mut Context<Word>, _: &mut u64, happening| {
        if matches!(happening, Happening::Start) && ctx.node() == NodeId(0) {
            for _ in 0..1_000 {
                ctx.send(NodeId(1), Word("same", 0));
            }
            // More likes than are kept in the short list, each once more.
            for key in 0..40 {
                ctx.set_timer(("timer", key % 20), MILLIS);
            }
        }
    };
    let mut ids = Ids::default();
    scripted(one_millisecond_apart(2), 1, script).run(&mut ids);
    let count = ids.0.len();
    assert_eq!(count, 2 + 2 * 1_000 + 40 + 20);
    ids.0.sort_unstable();
    ids.0.dedup();
    assert_eq!(ids.0.len(), count - 20, "a timer that fires has the id with which it was set");
}

/// Only the ids of a run.
#[derive(Default)]
struct Ids(Vec<u64>);

impl<M: snowglobe_sim::Message> snowglobe_sim::Observer<M> for Ids {
    fn observe(&mut self, stamp: snowglobe_sim::Stamp, _: &snowglobe_sim::Record<'_, M>) {
        self.0.push(stamp.id.0);
    }
}
