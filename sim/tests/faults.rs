//! Every fault and every rate does what its documentation says, and nothing else.

#![allow(
    clippy::needless_pass_by_value,
    reason = "scripts that are closures take what happened by value too"
)]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::protocols::{Actor, Protocol, Weather};
use common::{Happening, Kind, Notes, Scripted, Trace, Word, exactly, one_millisecond_apart, scripted};
use snowglobe_sim::{
    Config, Context, Corruption, Decision, Delay, DropReason, Ending, EventId, Fault, FaultCounts, Link,
    MICROS, MILLIS, NodeId, Overrides, Ratio, SECONDS, World,
};

const A: NodeId = NodeId(0);
const B: NodeId = NodeId(1);
/// Half a millisecond: between two ticks, so that nothing depends on ties.
const HALF: u64 = 500 * MICROS;

type Ctx = Context<Word>;

fn run(
    config: Config,
    script: impl Fn(&mut Ctx, &mut u64, Happening) + Send + Sync + 'static,
) -> (Notes, FaultCounts) {
    let mut notes = Notes::default();
    let mut world = scripted(config, 1, script);
    world.run(&mut notes);
    (notes, *world.fault_counts())
}

fn faults(nodes: u32, list: Vec<Fault>) -> Config {
    let mut config = one_millisecond_apart(nodes);
    config.faults.list = list;
    config
}

/// At every whole millisecond up to the 40th, every node sends the number of the millisecond to the next node. Who
/// receives a number notes it.
fn ticking(ctx: &mut Ctx, tick: &mut u64, happening: Happening) {
    match happening {
        Happening::Start => ctx.set_timer("tick", MILLIS),
        Happening::Timer(_) => {
            *tick += 1;
            let next = NodeId((ctx.node().0 + 1) % 2);
            ctx.send(next, Word("tick", *tick));
            if *tick < 40 {
                ctx.set_timer("tick", MILLIS);
            }
            EventId::ROOT
        }
        Happening::Message(_, Word(_, number)) => ctx.note(number.to_string()),
        _ => unreachable!("nodes that tick do nothing else"),
    };
}

/// The ticks that `node` did not hear.
fn unheard(notes: &Notes, node: NodeId) -> Vec<u64> {
    let heard: BTreeSet<&str> = notes.of(node.0).into_iter().collect();
    (1..=40).filter(|tick| !heard.contains(tick.to_string().as_str())).collect()
}

/// A node that writes `a`, syncs it, writes `bc` and does not sync it. At each start it says what it finds.
fn writer(ctx: &mut Ctx, volatile: &mut u64, happening: Happening) {
    match happening {
        Happening::Start => {
            let log = ctx.read("log").map(|bytes| String::from_utf8(bytes).unwrap());
            ctx.note(format!("start {volatile} {log:?}"));
            if ctx.incarnation() == 0 {
                ctx.append("log", "a");
                ctx.sync("log");
            }
        }
        Happening::Sync(..) => {
            *volatile = 7;
            ctx.append("log", "bc");
        }
        _ => {}
    }
}

#[test]
fn a_crash_loses_what_was_volatile_and_puts_at_risk_what_was_not_synced() {
    let mut config = faults(1, vec![Fault::Crash { node: A, at: 20 * MILLIS, down: Some(10 * MILLIS) }]);
    config.sync_delay = Delay::Constant(5 * MILLIS);
    let mut kept = BTreeMap::new();
    for seed in 0..300 {
        let mut notes = Notes::default();
        let mut world = scripted(config.clone(), seed, writer);
        assert_eq!(world.run(&mut notes), Ending::Quiet);
        let [first, second] = notes.timed(0).try_into().unwrap();
        assert_eq!(first, "0 start 0 None");
        assert_eq!((world.fault_counts().crashes, world.fault_counts().restarts), (1, 1));
        let lost = world.fault_counts().changes_lost;
        assert_eq!(lost == 0, second == "30 start 0 Some(\"abc\")");
        *kept.entry(second).or_insert(0) += 1;
    }
    // Nothing of the second write, half of it, or all of it.
    let words = ["30 start 0 Some(\"a\")", "30 start 0 Some(\"ab\")", "30 start 0 Some(\"abc\")"];
    assert_eq!(kept.keys().map(String::as_str).collect::<Vec<_>>(), words);
    assert!(kept[words[0]] > 100 && kept[words[1]] > 3 && kept[words[2]] > 100, "{kept:?}");
}

#[test]
fn an_override_decides_what_a_crash_keeps() {
    let config = faults(1, vec![Fault::Crash { node: A, at: 20 * MILLIS, down: Some(10 * MILLIS) }]);
    let mut trace = Trace::default();
    scripted(config.clone(), 0, writer).run(&mut trace);
    let crash = trace.of(|kind| matches!(kind, Kind::Crash { .. }))[0].stamp.id;
    for (everything, found) in [(true, "30 start 0 Some(\"abc\")"), (false, "30 start 0 Some(\"a\")")] {
        for seed in 0..20 {
            let mut world = scripted(config.clone(), seed, writer);
            world.reset(seed, [(crash, Decision::Keep(everything))].into_iter().collect());
            let mut notes = Notes::default();
            world.run(&mut notes);
            assert_eq!(notes.timed(0)[1], found);
            assert_eq!(world.overrides().unmatched().count(), 0);
        }
    }
}

#[test]
fn a_kill_keeps_everything_that_was_written_and_nothing_else() {
    let config = faults(1, vec![Fault::Kill { node: A, at: 20 * MILLIS, down: Some(10 * MILLIS) }]);
    for seed in 0..50 {
        let mut notes = Notes::default();
        let mut world = scripted(config.clone(), seed, writer);
        world.run(&mut notes);
        assert_eq!(notes.timed(0), ["0 start 0 None", "30 start 0 Some(\"abc\")"]);
        assert_eq!(world.fault_counts().crashes, 1);
        assert_eq!(world.fault_counts().changes_lost, 0);
    }
}

#[test]
fn a_node_that_crashed_for_good_stays_down_and_what_is_sent_to_it_is_dropped() {
    let (notes, counts) =
        run(faults(2, vec![Fault::Crash { node: B, at: 10 * MILLIS + HALF, down: None }]), ticking);
    assert_eq!(unheard(&notes, B), (10..=40).collect::<Vec<_>>());
    // Its own tenth tick was under way, and messages outlive their sender.
    assert_eq!(unheard(&notes, A), (11..=40).collect::<Vec<_>>());
    let expected = FaultCounts { crashes: 1, receiver_down: 31, ..FaultCounts::default() };
    assert_eq!(counts, expected);
}

#[test]
fn a_crash_of_a_node_that_is_down_does_nothing() {
    let crash = |at| Fault::Crash { node: B, at: at * MILLIS + HALF, down: Some(10 * MILLIS) };
    let (_, counts) = run(faults(2, vec![crash(10), crash(15), crash(30)]), ticking);
    assert_eq!((counts.crashes, counts.restarts), (2, 2));
}

/// Four effects in answer to a message: a write, a send, a timer and a note.
fn four_effects(ctx: &mut Ctx, _: &mut u64, happening: Happening) {
    match happening {
        Happening::Start if ctx.node() == A => {
            ctx.send(B, Word("go", 0));
        }
        Happening::Message(_, Word("go", _)) => {
            ctx.write("log", "done");
            ctx.send(A, Word("done", 0));
            ctx.set_timer("later", MILLIS);
            ctx.note("handled".to_owned());
        }
        _ => {}
    }
}

#[test]
fn a_crash_in_a_handler_applies_a_prefix_of_its_effects_and_every_prefix_occurs() {
    let mut config = one_millisecond_apart(2);
    config.faults.rates.crash_in_handler = Ratio::new(1, 2);
    config.faults.rates.crash_nodes = Some(vec![B]);
    config.faults.rates.downtime = Delay::Constant(5 * MILLIS);
    let mut seen: BTreeMap<Option<u32>, u32> = BTreeMap::new();
    for seed in 0..1_000 {
        let mut trace = Trace::default();
        let mut world = scripted(config.clone(), seed, four_effects);
        world.run(&mut trace);
        assert!(
            trace.of(|kind| matches!(kind, Kind::Crash { .. })).iter().all(|crash| crash.stamp.node == B)
        );
        let receive = trace.of(|kind| *kind == Kind::Receive);
        let Some(handled) = receive.iter().find(|entry| entry.stamp.node == B) else { continue };
        let caused: Vec<&Kind> = trace
            .0
            .iter()
            .filter(|entry| entry.stamp.by == handled.stamp.id && entry.stamp.time == handled.stamp.time)
            .map(|entry| &entry.kind)
            .collect();
        let (after, applied) = match caused.split_last() {
            Some((Kind::Crash { after }, applied)) => (*after, applied),
            _ => (None, &caused[..]),
        };
        assert_eq!(applied.len(), after.map_or(4, |after| after as usize), "seed {seed}");
        for (kind, expected) in applied.iter().zip(["disk", "send", "timer", "note"]) {
            let name = match kind {
                Kind::Disk => "disk",
                Kind::Send { .. } => "send",
                Kind::Timer => "timer",
                Kind::Other => "note",
                other => panic!("seed {seed}: {other:?}"),
            };
            assert_eq!(name, expected);
        }
        if after.is_some() {
            assert_eq!(world.fault_counts().crashes, 0, "a crash in a handler is counted apart");
            assert!(world.fault_counts().crashes_in_handler >= 1);
            let boots = trace.of(|kind| *kind == Kind::Boot);
            let back = boots.iter().any(|boot| boot.stamp.time == handled.stamp.time + 5 * MILLIS);
            assert!(back, "seed {seed}: the node did not come back in time");
        }
        *seen.entry(after).or_default() += 1;
    }
    let prefixes: Vec<Option<u32>> = seen.keys().copied().collect();
    assert_eq!(prefixes, [None, Some(0), Some(1), Some(2), Some(3), Some(4)]);
    assert!(seen.values().all(|count| *count > 20), "{seen:?}");
}

#[test]
fn an_override_crashes_a_node_after_any_effect_of_any_handler_or_spares_it() {
    let config = one_millisecond_apart(2);
    let mut trace = Trace::default();
    scripted(config.clone(), 1, four_effects).run(&mut trace);
    let handled = trace.of(|kind| *kind == Kind::Receive)[0].stamp.id;
    for (after, told, expected) in [(0, 0, 0), (1, 1, 0), (2, 2, 1), (4, 4, 1), (9, 4, 1)] {
        let mut world = scripted(config.clone(), 1, four_effects);
        world.reset(1, [(handled, Decision::Crash(Some(after)))].into_iter().collect());
        let mut trace = Trace::default();
        world.run(&mut trace);
        let crashes = trace.of(|kind| matches!(kind, Kind::Crash { .. }));
        assert_eq!(crashes.len(), 1);
        assert_eq!(crashes[0].kind, Kind::Crash { after: Some(told) });
        assert_eq!(crashes[0].stamp.by, handled);
        let answers = trace.of(|kind| matches!(kind, Kind::Send { .. })).len() - 1;
        assert_eq!(answers, expected, "after {after} effects");
    }
    let mut always = config;
    always.faults.rates.crash_in_handler = Ratio::ONE;
    always.faults.rates.crash_nodes = Some(vec![B]);
    let spared = [(EventId::boot(B, 0), Decision::Crash(None)), (handled, Decision::Crash(None))];
    let mut world = scripted(always, 1, four_effects);
    world.reset(1, spared.into_iter().collect());
    let mut notes = Notes::default();
    while notes.0.is_empty() {
        world.step(&mut notes).unwrap();
    }
    assert_eq!(world.fault_counts().crashes_in_handler, 0);
}

#[test]
fn a_paused_node_finds_everything_in_the_order_it_came_when_the_pause_ends() {
    let pause = Fault::Pause { node: B, at: 10 * MILLIS + HALF, span: 5 * MILLIS };
    let (notes, counts) = run(faults(2, vec![pause]), ticking);
    assert_eq!(counts, FaultCounts { pauses: 1, ..FaultCounts::default() });
    let words = notes.timed(1);
    assert_eq!(words.len(), 40);
    assert_eq!(
        words[8..16],
        [
            "10 9",
            "15500000ns 10",
            "15500000ns 11",
            "15500000ns 12",
            "15500000ns 13",
            "15500000ns 14",
            "16 15",
            "17 16",
        ]
    );
    // Its own ticks: the eleventh waits for the end, and the later ones follow from it.
    let of_peer = notes.timed(0);
    assert_eq!(of_peer[9..12], ["11 10", "16500000ns 11", "17500000ns 12"]);
}

#[test]
fn two_pauses_that_overlap_keep_the_order_of_arrival() {
    let pause = |at, span| Fault::Pause { node: B, at: at * MILLIS + HALF, span: span * MILLIS };
    for list in [vec![pause(10, 5), pause(12, 10)], vec![pause(10, 12), pause(12, 3)]] {
        let (notes, counts) = run(faults(2, list), ticking);
        assert_eq!(counts.pauses, 2);
        let numbers: Vec<u64> = notes.of(1).iter().map(|word| word.parse().unwrap()).collect();
        assert_eq!(numbers, (1..=40).collect::<Vec<_>>());
        let waited =
            notes.0.iter().filter(|(time, node, _)| (*time, *node) == (22 * MILLIS + HALF, 1)).count();
        assert_eq!(waited, 12);
    }
}

#[test]
fn a_pause_longer_than_time_itself_is_only_a_node_that_says_nothing_more() {
    let (notes, _) =
        run(faults(2, vec![Fault::Pause { node: B, at: 10 * MILLIS + HALF, span: u64::MAX }]), ticking);
    assert_eq!(unheard(&notes, B), (10..=40).collect::<Vec<_>>());
}

#[test]
fn a_slow_node_handles_everything_later_by_its_lag() {
    let slow = Fault::Slow { node: B, at: 10 * MILLIS + HALF, span: 5 * MILLIS, lag: 3 * MILLIS };
    let (notes, counts) = run(faults(2, vec![slow]), ticking);
    assert_eq!(counts, FaultCounts { slow_spells: 1, ..FaultCounts::default() });
    assert_eq!(notes.of(1).len(), 40);
    let heard_at = |node, tick: u64| {
        let found = notes.0.iter().find(|(_, at, words)| *at == node && *words == tick.to_string());
        found.expect("every tick is heard").0 / MILLIS
    };
    // Ticks 10 to 14 come in during the spell, at milliseconds 11 to 15.
    for tick in 1..=40 {
        assert_eq!(heard_at(1, tick), tick + 1 + if (10..=14).contains(&tick) { 3 } else { 0 });
    }
    // Its own eleventh tick is late, and the twelfth, due at 15, once more.
    assert_eq!([10, 11, 12, 13].map(|tick| heard_at(0, tick)), [11, 15, 19, 20]);
}

#[test]
fn the_longer_of_two_slow_spells_that_overlap_counts() {
    let slow =
        |at, span| Fault::Slow { node: B, at: at * MILLIS + HALF, span: span * MILLIS, lag: 100 * MILLIS };
    let (notes, _) = run(faults(2, vec![slow(10, 10), slow(12, 2)]), ticking);
    let late = notes.0.iter().filter(|(time, node, _)| *node == 1 && *time > 100 * MILLIS).count();
    assert_eq!(late, 10);
}

#[test]
fn nothing_passes_a_partition_that_is_under_way_or_is_sent_while_it_lasts() {
    let cut = |one_way, left, right| Fault::Partition {
        left: vec![left],
        right: vec![right],
        one_way,
        at: 10 * MILLIS + HALF,
        span: 10 * MILLIS,
    };
    let gone: Vec<u64> = (10..=20).collect();
    let (notes, counts) = run(faults(2, vec![cut(false, A, B)]), ticking);
    assert_eq!((unheard(&notes, A), unheard(&notes, B)), (gone.clone(), gone.clone()));
    assert_eq!(counts, FaultCounts { partitions: 1, cut: 22, ..FaultCounts::default() });

    let (notes, counts) = run(faults(2, vec![cut(true, A, B)]), ticking);
    assert_eq!((unheard(&notes, A), unheard(&notes, B)), (vec![], gone.clone()));
    assert_eq!(counts, FaultCounts { partitions: 1, cut: 11, ..FaultCounts::default() });

    let (notes, _) = run(faults(2, vec![cut(true, B, A)]), ticking);
    assert_eq!((unheard(&notes, A), unheard(&notes, B)), (gone, vec![]));
}

#[test]
fn a_fixed_fate_does_not_cross_a_partition_and_says_so() {
    let cut = Fault::Partition {
        left: vec![A],
        right: vec![B],
        one_way: false,
        at: 10 * MILLIS + HALF,
        span: 10 * MILLIS,
    };
    let config = faults(2, vec![cut]);
    let mut trace = Trace::default();
    scripted(config.clone(), 1, ticking).run(&mut trace);
    let sent = |tick: u64| {
        let of = trace.of(|kind| matches!(kind, Kind::Send { .. }));
        of.into_iter()
            .find(|entry| entry.stamp.node == A && entry.stamp.time == tick * MILLIS)
            .unwrap()
            .stamp
            .id
    };
    let with = |tick, fate: &[u64]| {
        let mut world = scripted(config.clone(), 1, ticking);
        let fixed = Decision::Fate(fate.to_vec());
        world.reset(1, [(sent(tick), fixed)].into_iter().collect());
        let mut notes = Notes::default();
        world.run(&mut notes);
        (unheard(&notes, B), world.overrides().unmatched().count())
    };
    let gone: Vec<u64> = (10..=20).collect();
    // Before the partition and after it the fate is what was fixed.
    let without = |tick| [vec![tick], gone.clone()].concat();
    assert_eq!(with(5, &[]), (without(5), 0));
    assert_eq!(with(15, &[MILLIS]), (gone.clone(), 1));
    assert_eq!(with(15, &[MILLIS, 30 * MILLIS]), (gone.clone(), 1));
    assert_eq!(with(15, &[]), (gone.clone(), 0));
}

#[test]
fn a_partition_concerns_only_its_two_sides() {
    let aside =
        Fault::Partition { left: vec![B], right: vec![NodeId(2)], one_way: false, at: HALF, span: SECONDS };
    let (notes, counts) = run(faults(3, vec![aside]), ticking);
    assert_eq!((unheard(&notes, A), unheard(&notes, B)), (vec![], vec![]));
    // The third node ticks to the second, as the first does.
    assert_eq!(counts.cut, 40);
}

#[test]
fn what_is_under_way_when_a_partition_begins_and_ends_arrives_if_it_is_slow_enough() {
    let mut config = faults(
        2,
        vec![Fault::Partition {
            left: vec![A],
            right: vec![B],
            one_way: false,
            at: 10 * MILLIS + HALF,
            span: 10 * MILLIS,
        }],
    );
    config.network.default = exactly(15);
    let (notes, _) = run(config, ticking);
    // Sent up to 10, the ticks from 6 on arrive from 21 on, and pass.
    // Those from 1 to 5 arrive between 16 and 20, while it lasts.
    assert_eq!(unheard(&notes, B), (1..=5).chain(11..=20).collect::<Vec<_>>());
}

#[test]
fn a_flapping_partition_comes_and_goes_until_it_is_over() {
    let flapping = |until| Fault::Flapping {
        left: vec![A],
        right: vec![B],
        at: 10 * MILLIS + HALF,
        until,
        period: 5 * MILLIS,
    };
    let (notes, counts) = run(faults(2, vec![flapping(28 * MILLIS)]), ticking);
    assert_eq!(unheard(&notes, B), (10..=15).chain(20..=25).collect::<Vec<_>>());
    assert_eq!(counts.partitions, 2);
    let (notes, _) = run(faults(2, vec![flapping(22 * MILLIS + HALF)]), ticking);
    assert_eq!(unheard(&notes, B), (10..=15).chain(20..=22).collect::<Vec<_>>());
}

#[test]
fn a_link_is_another_link_for_a_while_and_then_itself_again() {
    let change = |at, span, millis| Fault::Link {
        from: A,
        to: B,
        at: at * MILLIS + HALF,
        span: span * MILLIS,
        link: exactly(millis),
    };
    let took = |config| {
        let (notes, counts) = run(config, ticking);
        let of = |node: u32| -> Vec<u64> {
            let mut took: Vec<(u64, u64)> = notes
                .0
                .iter()
                .filter(|(_, at, _)| *at == node)
                .map(|(time, _, words)| words.parse().map(|tick: u64| (tick, time / MILLIS - tick)).unwrap())
                .collect();
            took.sort_unstable();
            took.into_iter().map(|(_, took)| took).collect()
        };
        (of(0), of(1), counts)
    };
    let (back, there, counts) = took(faults(2, vec![change(10, 10, 7)]));
    assert_eq!(back, vec![1; 40]);
    assert_eq!(there, [vec![1; 10], vec![7; 10], vec![1; 20]].concat());
    assert_eq!(counts, FaultCounts { links_changed: 1, ..FaultCounts::default() });

    // A link of its own is what it goes back to; of two changes the later counts, and then the earlier again.
    let mut config = faults(2, vec![change(10, 20, 7), change(15, 5, 3)]);
    config.network.links.insert((A, B), exactly(2));
    let (back, there, _) = took(config);
    assert_eq!(back, vec![1; 40]);
    assert_eq!(there, [vec![2; 10], vec![7; 5], vec![3; 5], vec![7; 10], vec![2; 10]].concat());
}

#[test]
fn a_written_fate_is_that_of_the_nth_message_of_its_word_on_its_link() {
    let fate = |word, nth, fate| Fault::Message { from: A, to: B, word, nth, fate };
    let (notes, counts) = run(faults(2, vec![fate("tick", Some(2), vec![])]), ticking);
    assert_eq!((unheard(&notes, A), unheard(&notes, B)), (vec![], vec![3]));
    assert_eq!(counts, FaultCounts { lost: 1, ..FaultCounts::default() });

    let (notes, counts) = run(faults(2, vec![fate("tick", None, vec![])]), ticking);
    assert_eq!(unheard(&notes, B), (1..=40).collect::<Vec<_>>());
    assert_eq!(counts.lost, 40);

    let (notes, counts) = run(faults(2, vec![fate("tick", Some(0), vec![2 * MILLIS, HALF])]), ticking);
    assert_eq!(notes.timed(1)[..3], ["1500000ns 1", "3 1", "3 2"].map(ToOwned::to_owned));
    assert_eq!(counts, FaultCounts { duplicated: 1, ..FaultCounts::default() });

    let (notes, counts) = run(faults(2, vec![fate("other", None, vec![])]), ticking);
    assert_eq!((unheard(&notes, B), counts), (vec![], FaultCounts::default()));
}

/// Each millisecond appends the number of the millisecond, removes another file, and tells what it sees, first in the
/// handler that wrote and then in the next one.
fn appending(ctx: &mut Ctx, tick: &mut u64, happening: Happening) {
    if matches!(happening, Happening::Start) {
        ctx.write("other", "");
    } else {
        *tick += 1;
        let before = ctx.read("log").unwrap_or_default();
        ctx.append("log", vec![*tick as u8]);
        let after = ctx.read("log").unwrap_or_default();
        assert_eq!(after, [&before[..], &[*tick as u8]].concat());
        ctx.note(format!("{before:?}"));
        if *tick == 3 {
            ctx.remove("other");
        }
    }
    if *tick < 6 {
        ctx.set_timer("tick", MILLIS);
    }
}

#[test]
fn a_full_disk_refuses_writes_but_not_removals() {
    let full = Fault::DiskFull { node: A, at: MILLIS + HALF, span: 2 * MILLIS };
    let mut world = scripted(faults(1, vec![full]), 1, appending);
    let (mut notes, mut trace) = (Notes::default(), Trace::default());
    world.run(&mut (&mut notes, &mut trace));
    assert_eq!(notes.of(0), ["[]", "[1]", "[1]", "[1]", "[1, 4]", "[1, 4, 5]"]);
    assert_eq!(*world.fault_counts(), FaultCounts { disk_full: 2, ..FaultCounts::default() });
    assert_eq!(trace.0.iter().filter(|entry| entry.text.contains("Full")).count(), 2);
    assert_eq!(world.disk(A).unwrap().files().count(), 1, "the other file is removed");
}

#[test]
fn syncs_fail_while_the_fault_lasts_and_what_they_covered_is_at_risk() {
    let script = |ctx: &mut Ctx, tick: &mut u64, happening| match happening {
        Happening::Start => {
            ctx.set_timer("tick", MILLIS);
        }
        Happening::Timer(_) => {
            *tick += 1;
            ctx.write(("file", *tick), "x");
            ctx.sync(("file", *tick));
            if *tick < 4 {
                ctx.set_timer("tick", MILLIS);
            }
        }
        Happening::Sync(label, result) => {
            ctx.note(format!("{} {}", label.key, result.is_ok()));
        }
        _ => {}
    };
    let list = vec![Fault::SyncFails { node: A, at: 2 * MILLIS + HALF, span: 2 * MILLIS }];
    let mut config = faults(1, list);
    config.sync_delay = Delay::Constant(200 * MICROS);
    let mut world = scripted(config, 1, script);
    let mut notes = Notes::default();
    world.run(&mut notes);
    assert_eq!(notes.of(0), ["1 true", "2 true", "3 false", "4 false"]);
    assert_eq!(*world.fault_counts(), FaultCounts { syncs_failed: 2, ..FaultCounts::default() });
    let disk = world.disk(A).unwrap();
    for (key, durable) in [(1, true), (2, true), (3, false), (4, false)] {
        let file = ("file", key).into();
        assert_eq!(disk.read(file), Some(&b"x"[..]));
        assert_eq!(disk.read_durable(file).is_some(), durable, "file {key}");
    }
}

#[test]
fn overlapping_spells_of_a_full_disk_or_failing_syncs_last_as_long_as_the_longer() {
    let full = |at, span| Fault::DiskFull { node: A, at: at * MILLIS + HALF, span: span * MILLIS };
    let (notes, _) = run(faults(1, vec![full(1, 4), full(2, 1)]), appending);
    assert_eq!(notes.of(0), ["[]", "[1]", "[1]", "[1]", "[1]", "[1]"]);
    let failing = |at, span| Fault::SyncFails { node: A, at: at * MILLIS, span: span * MILLIS };
    let mut config = faults(1, vec![failing(1, 10), failing(2, 1)]);
    config.sync_delay = Delay::Constant(5 * MILLIS);
    let (_, counts) = run(config, writer);
    assert_eq!(counts.syncs_failed, 1);
}

#[test]
fn a_clock_is_ahead_by_its_skew_and_runs_away_by_its_drift() {
    let script = |ctx: &mut Ctx, _: &mut u64, happening| {
        let now = ctx.now() / MILLIS;
        ctx.note(format!("reads {now}"));
        if matches!(happening, Happening::Start) {
            ctx.set_timer("tenth", 110 * MILLIS);
        }
    };
    let list = vec![
        Fault::Clock { node: A, skew: 5 * MILLIS, drift: 100_000 },
        Fault::Clock { node: B, skew: 0, drift: -500_000 },
    ];
    let (notes, counts) = run(faults(3, list), script);
    assert_eq!(notes.timed(0), ["0 reads 5", "100 reads 115"]);
    assert_eq!(notes.timed(1), ["0 reads 0", "220 reads 110"]);
    assert_eq!(notes.timed(2), ["0 reads 0", "110 reads 110"]);
    assert_eq!(counts, FaultCounts { clocks_off: 2, ..FaultCounts::default() });
}

/// Node 0 sends so many messages at once to node 1, which notes their numbers.
fn burst(count: u64) -> impl Fn(&mut Ctx, &mut u64, Happening) + Send + Sync + 'static {
    move |ctx, _, happening| match happening {
        Happening::Start if ctx.node() == A => {
            for number in 0..count {
                ctx.send(B, Word("burst", number));
            }
        }
        Happening::Message(_, Word(_, number)) => {
            ctx.note(number.to_string());
        }
        _ => {}
    }
}

fn on_link(link: Link) -> Config {
    let mut config = one_millisecond_apart(2);
    config.network.default = Link { delay: Delay::Constant(MILLIS), ..link };
    config
}

#[test]
fn messages_on_a_link_with_a_bandwidth_wait_for_their_turn_or_are_dropped() {
    // A message of 1,000 bytes takes a millisecond.
    let link = Link { bandwidth: 1_000_000, queue: 2 * MILLIS, ..Link::RELIABLE };
    let (notes, counts) = run(on_link(link), burst(5));
    assert_eq!(notes.timed(1), ["2 0", "3 1", "4 2"]);
    assert_eq!(counts, FaultCounts { queue_full: 2, ..FaultCounts::default() });
    let (notes, counts) = run(on_link(Link { queue: SECONDS, ..link }), burst(5));
    assert_eq!(notes.timed(1), ["2 0", "3 1", "4 2", "5 3", "6 4"]);
    assert_eq!(counts, FaultCounts::default());
}

#[test]
fn a_lost_message_takes_its_turn_on_the_link_all_the_same() {
    let mut config = on_link(Link { bandwidth: 1_000_000, ..Link::RELIABLE });
    config.faults.list = vec![Fault::Message { from: A, to: B, word: "burst", nth: Some(1), fate: vec![] }];
    let (notes, _) = run(config, burst(4));
    assert_eq!(notes.timed(1), ["2 0", "4 2", "5 3"]);
}

#[test]
fn corruption_is_noticed_or_damages_the_message() {
    let link = Link { corruption: Ratio::ONE, ..Link::RELIABLE };
    let mut trace = Trace::default();
    let mut world = scripted(on_link(link), 1, burst(3));
    world.run(&mut trace);
    assert_eq!(trace.of(|kind| *kind == Kind::Drop(DropReason::Corrupt)).len(), 3);
    assert_eq!(trace.of(|kind| *kind == Kind::Receive).len(), 0);
    assert_eq!(*world.fault_counts(), FaultCounts { corrupted: 3, ..FaultCounts::default() });

    let link = Link { corruption_kind: Corruption::Undetected, ..link };
    let mut damaged_bits = BTreeSet::new();
    for seed in 0..200 {
        let mut notes = Notes::default();
        scripted(on_link(link), seed, burst(1)).run(&mut notes);
        let damaged: u64 = notes.of(1)[0].parse().unwrap();
        assert_eq!(damaged.count_ones(), 1, "one bit of 0 is flipped");
        damaged_bits.insert(damaged);
    }
    assert!(damaged_bits.len() > 50, "{}", damaged_bits.len());
    let (_, counts) = run(on_link(Link { corruption: Ratio::new(1, 10), ..link }), burst(10_000));
    assert!(counts.corrupted.abs_diff(1_000) < 150, "{}", counts.corrupted);
}

#[test]
fn late_messages_are_held_back_and_duplicates_come_later() {
    let link = Link { late: Ratio::ONE, late_delay: Delay::Constant(9 * MILLIS), ..Link::RELIABLE };
    let (notes, counts) = run(on_link(link), burst(1));
    assert_eq!(notes.timed(1), ["10 0"]);
    assert_eq!(counts, FaultCounts { late: 1, ..FaultCounts::default() });
    let (_, counts) = run(on_link(Link { late: Ratio::new(1, 10), ..link }), burst(10_000));
    assert!(counts.late.abs_diff(1_000) < 150, "{}", counts.late);

    let link =
        Link { duplication: Ratio::ONE, duplication_delay: Delay::Constant(50 * MILLIS), ..Link::RELIABLE };
    let (notes, counts) = run(on_link(link), burst(2));
    let mut heard = notes.timed(1);
    heard.sort();
    assert_eq!(heard, ["1 0", "1 1", "51 0", "51 1"]);
    assert_eq!(counts, FaultCounts { duplicated: 2, ..FaultCounts::default() });
    let (_, counts) = run(on_link(Link { duplication: Ratio::new(1, 10), ..link }), burst(10_000));
    assert!(counts.duplicated.abs_diff(1_000) < 150, "{}", counts.duplicated);
}

#[test]
fn messages_are_lost_as_often_as_the_link_says() {
    let (notes, counts) = run(on_link(Link { loss: Ratio::new(1, 10), ..Link::RELIABLE }), burst(10_000));
    assert!(counts.lost.abs_diff(1_000) < 150, "{}", counts.lost);
    assert_eq!(notes.of(1).len() as u64, 10_000 - counts.lost);
    assert_eq!(counts, FaultCounts { lost: counts.lost, ..FaultCounts::default() });
}

/// Nodes with a timer each millisecond, for as long as the limit lets them.
fn idling(ctx: &mut Ctx, _: &mut u64, happening: Happening) {
    if matches!(happening, Happening::Start | Happening::Timer(_)) {
        ctx.set_timer("idle", MILLIS);
    }
}

fn rated(change: impl FnOnce(&mut snowglobe_sim::FaultRates)) -> (Trace, World<Scripted>) {
    let mut config = one_millisecond_apart(3);
    config.limits.time = 60 * SECONDS;
    change(&mut config.faults.rates);
    let mut trace = Trace::default();
    let mut world = scripted(config, 1, idling);
    assert_eq!(world.run(&mut trace), Ending::TimeLimit);
    (trace, world)
}

#[test]
fn crashes_come_at_their_rate_to_the_nodes_that_may_crash_and_last_their_downtime() {
    let (trace, world) = rated(|rates| {
        rates.crash_every = 200 * MILLIS;
        rates.crash_nodes = Some(vec![A, B]);
        rates.downtime = Delay::Constant(7 * MILLIS);
    });
    let counts = *world.fault_counts();
    // Two nodes, each 300 times in a minute; a strike on a node that is down is in vain.
    assert!(counts.crashes.abs_diff(580) < 100, "{counts:?}");
    assert_eq!(
        counts,
        FaultCounts { crashes: counts.crashes, restarts: counts.restarts, ..FaultCounts::default() }
    );
    for node in [A, B, NodeId(2)] {
        let at = |wanted: fn(&Kind) -> bool| -> Vec<u64> {
            trace.of(wanted).iter().filter(|e| e.stamp.node == node).map(|e| e.stamp.time).collect()
        };
        let (crashes, boots) =
            (at(|kind| matches!(kind, Kind::Crash { .. })), at(|kind| *kind == Kind::Boot));
        assert_eq!(crashes.is_empty(), node == NodeId(2));
        for (crash, boot) in crashes.iter().zip(&boots[1..]) {
            assert_eq!(boot - crash, 7 * MILLIS);
        }
    }
}

#[test]
fn pauses_come_at_their_rate_and_last_their_span() {
    let (trace, world) = rated(|rates| {
        rates.pause_every = 500 * MILLIS;
        rates.pause_span = Delay::Constant(40 * MILLIS);
    });
    let counts = *world.fault_counts();
    assert!(counts.pauses.abs_diff(360) < 80, "{counts:?}");
    assert_eq!(counts, FaultCounts { pauses: counts.pauses, ..FaultCounts::default() });
    let pauses = trace.of(|kind| matches!(kind, Kind::Fault(label) if label.word == "pause"));
    assert_eq!(pauses.len() as u64, counts.pauses);
    let handled = trace.of(|kind| *kind == Kind::Fire);
    for pause in pauses {
        let during = |e: &&&common::Entry| {
            e.stamp.node == pause.stamp.node
                && (pause.stamp.time + 1..pause.stamp.time + 40 * MILLIS).contains(&e.stamp.time)
        };
        assert_eq!(handled.iter().filter(during).count(), 0);
    }
}

#[test]
fn slow_spells_come_at_their_rate_and_heal_after_their_span() {
    let (trace, world) = rated(|rates| {
        rates.slow_every = SECONDS;
        rates.slow_span = Delay::Constant(50 * MILLIS);
        rates.slow_lag = Delay::Constant(9 * MILLIS);
    });
    let counts = *world.fault_counts();
    assert!(counts.slow_spells.abs_diff(180) < 60, "{counts:?}");
    assert_eq!(counts, FaultCounts { slow_spells: counts.slow_spells, ..FaultCounts::default() });
    let at = |word: &str| -> BTreeSet<(NodeId, u64)> {
        let faults = trace.of(|kind| matches!(kind, Kind::Fault(label) if label.word == word));
        faults.iter().map(|entry| (entry.stamp.node, entry.stamp.time)).collect()
    };
    let ended: BTreeSet<_> = at("slow").into_iter().map(|(node, time)| (node, time + 50 * MILLIS)).collect();
    let beyond: Vec<_> = ended.difference(&at("heal")).copied().collect();
    assert!(beyond.iter().all(|(_, time)| *time > 60 * SECONDS), "{beyond:?}");
    // A timer of a millisecond takes ten.
    let fires = trace.of(|kind| *kind == Kind::Fire);
    let of_a: Vec<u64> = fires.iter().filter(|e| e.stamp.node == A).map(|e| e.stamp.time).collect();
    let gaps: BTreeSet<u64> = of_a.windows(2).map(|two| (two[1] - two[0]) / MILLIS).collect();
    assert_eq!(gaps, BTreeSet::from([1, 10]));
}

#[test]
fn partitions_come_at_their_rate_over_random_halves_one_way_as_often_as_they_should() {
    for (one_way, both_cut) in [(Ratio::ZERO, true), (Ratio::ONE, false)] {
        let mut config = one_millisecond_apart(2);
        config.limits.time = 60 * SECONDS;
        config.faults.rates.partition_every = 500 * MILLIS;
        config.faults.rates.partition_span = Delay::Constant(20 * MILLIS);
        config.faults.rates.partition_one_way = one_way;
        let forever = |ctx: &mut Ctx, tick: &mut u64, happening: Happening| {
            if !matches!(happening, Happening::Message(..)) {
                *tick += 1;
                ctx.send(NodeId(1 - ctx.node().0), Word("tick", *tick));
                ctx.set_timer("tick", MILLIS);
            }
        };
        let mut trace = Trace::default();
        let mut world = scripted(config, 1, forever);
        world.run(&mut trace);
        let counts = *world.fault_counts();
        assert!(counts.partitions.abs_diff(120) < 45, "{counts:?}");
        assert_eq!(
            counts,
            FaultCounts { partitions: counts.partitions, cut: counts.cut, ..FaultCounts::default() }
        );
        // Each node stands on either side half of the time: they are apart in half of the partitions.
        let mut lost_at: BTreeMap<u64, BTreeSet<NodeId>> = BTreeMap::new();
        for send in trace.of(|kind| matches!(kind, Kind::Send { fate, .. } if fate.is_empty())) {
            lost_at.entry(send.stamp.time / MILLIS).or_default().insert(send.stamp.node);
        }
        let apart = lost_at.len() as u64 * 10 / counts.partitions;
        assert!((60..140).contains(&apart), "{} milliseconds apart in {counts:?}", lost_at.len());
        let both = lost_at.values().filter(|nodes| nodes.len() == 2).count();
        assert_eq!(both * 10 > lost_at.len() * 8, both_cut, "{both} of {}", lost_at.len());
        if !both_cut {
            let ways: BTreeSet<_> = lost_at.values().flatten().collect();
            assert_eq!(ways.len(), 2, "either way is cut at times");
        }
    }
}

#[test]
fn syncs_fail_as_often_as_their_rate_says() {
    let script = |ctx: &mut Ctx, _: &mut u64, happening| {
        if matches!(happening, Happening::Start) {
            for key in 0..10_000 {
                ctx.sync(("sync", key));
            }
        }
    };
    let mut config = one_millisecond_apart(1);
    config.faults.rates.sync_fails = Ratio::new(1, 10);
    let (_, counts) = run(config, script);
    assert!(counts.syncs_failed.abs_diff(1_000) < 150, "{counts:?}");
}

#[test]
fn an_override_decides_how_a_sync_ends() {
    let mut trace = Trace::default();
    scripted(one_millisecond_apart(1), 1, writer).run(&mut trace);
    let sync = trace.of(|kind| *kind == Kind::Sync)[0].stamp.id;
    let error = snowglobe_sim::SyncError::Device;
    let mut world = scripted(one_millisecond_apart(1), 1, writer);
    world.reset(1, [(sync, Decision::Sync(Err(error)))].into_iter().collect());
    let mut trace = Trace::default();
    world.run(&mut trace);
    assert_eq!(trace.of(|kind| matches!(kind, Kind::Synced(_)))[0].kind, Kind::Synced(Err(error)));
    assert_eq!(world.disk(A).unwrap().read_durable("log".into()), None);
}

#[test]
fn clocks_are_off_by_at_most_their_rates_and_in_both_directions_of_drift() {
    let script = |ctx: &mut Ctx, start: &mut u64, happening: Happening| {
        if matches!(happening, Happening::Start) {
            *start = ctx.now();
            ctx.note(format!("skew {start}"));
            ctx.set_timer("second", SECONDS);
        } else {
            ctx.note("fired".to_owned());
        }
    };
    let mut config = one_millisecond_apart(500);
    config.faults.rates.clock_skew_max = 50;
    config.faults.rates.clock_drift_max = 1_000;
    let (notes, counts) = run(config, script);
    assert!(counts.clocks_off >= 499, "{counts:?}");
    let skews: BTreeSet<&str> =
        notes.0.iter().map(|(.., words)| words.as_str()).filter(|w| *w != "fired").collect();
    assert_eq!(skews.len(), 51, "every skew from 0 to 50 occurs among 500 nodes");
    let fired: Vec<u64> =
        notes.0.iter().filter(|(.., words)| words == "fired").map(|(time, ..)| *time).collect();
    let (first, last) = (fired.iter().min().unwrap(), fired.iter().max().unwrap());
    // A thousandth fast or slow.
    assert!((SECONDS - MILLIS..SECONDS - 900 * MICROS).contains(first), "{first}");
    assert!((SECONDS + 900 * MICROS..=SECONDS + MILLIS + 2 * MICROS).contains(last), "{last}");
}

#[test]
fn a_swarm_turns_each_kind_on_in_half_of_the_runs_and_off_means_never() {
    const RUNS: u64 = 240;
    let mut on: BTreeMap<&str, u32> = BTreeMap::new();
    let mut kinds = BTreeSet::new();
    for seed in 0..RUNS {
        let mut config = Config::new(4);
        config.limits.time = 10 * SECONDS;
        let tenth = Ratio::new(1, 10);
        config.network.default =
            Link { loss: tenth, duplication: tenth, late: tenth, corruption: tenth, ..Link::RELIABLE };
        let rates = &mut config.faults.rates;
        (rates.crash_every, rates.pause_every, rates.slow_every) = (SECONDS, SECONDS, SECONDS);
        (rates.partition_every, rates.clock_skew_max) = (SECONDS, SECONDS);
        (rates.crash_in_handler, rates.sync_fails) = (Ratio::new(1, 30), tenth);
        config.faults.swarm = true;
        let script = |ctx: &mut Ctx, tick: &mut u64, happening: Happening| {
            if matches!(happening, Happening::Start | Happening::Timer(_)) {
                *tick += 1;
                ctx.send(NodeId((ctx.node().0 + 1) % 4), Word("tick", *tick));
                ctx.sync(("sync", *tick));
                ctx.set_timer("tick", 50 * MILLIS);
            }
        };
        let mut world = scripted(config, seed, script);
        world.run(&mut ());
        let counts = world.fault_counts();
        let mut those_on = Vec::new();
        for (kind, count) in [
            ("crash", counts.crashes),
            ("crash in handler", counts.crashes_in_handler),
            ("pause", counts.pauses),
            ("slow", counts.slow_spells),
            ("partition", counts.partitions),
            ("sync", counts.syncs_failed),
            ("clock", counts.clocks_off),
            ("loss", counts.lost),
            ("duplication", counts.duplicated),
            ("late", counts.late),
            ("corruption", counts.corrupted),
        ] {
            *on.entry(kind).or_default() += u32::from(count > 0);
            those_on.push(count > 0);
            // In ten seconds a kind that is on strikes often, so that a few would be a leak.
            assert!(count == 0 || count >= 3, "seed {seed}: {count} of {kind}");
        }
        kinds.insert(those_on);
    }
    for (kind, runs) in &on {
        assert!((90..=150).contains(runs), "{kind} was on in {runs} of {RUNS} runs");
    }
    assert!(kinds.len() > 200, "only {} combinations", kinds.len());
}

#[test]
fn in_the_calm_nothing_is_lost_every_node_is_back_and_every_cut_is_healed() {
    let calm = 2 * SECONDS;
    let mut struck = FaultCounts::default();
    for seed in 0..60 {
        let protocol = Protocol::ALL[seed as usize % 4];
        let weather = Weather(Weather::ALL.0 & !(1 << 13 | 1 << 4));
        let config = weather.config(6, 2 * calm, seed);
        assert_eq!(config.faults.until, calm);
        let mut world = World::new(config, seed, move |id| Actor::new(protocol, 6, id));
        let mut trace = Trace::default();
        while world.now() < calm && world.step(&mut trace).is_ok() {}
        let at_calm = *world.fault_counts();
        trace.0.clear();
        assert_eq!(world.run(&mut trace), Ending::TimeLimit);
        let after = *world.fault_counts();
        for ((kind, before), (_, after)) in at_calm.named().zip(after.named()) {
            // What was under way or down when the calm began may end in it, and a restart is no fault.
            let tail = ["restarts", "messages stopped by a partition", "messages to a node that was down"];
            let tail = tail.contains(&kind) || kind == "connections broken";
            assert!(tail || after - before <= 1, "{protocol:?}, seed {seed}: {kind} {before} then {after}");
        }
        for send in trace.of(|kind| matches!(kind, Kind::Send { .. })) {
            let Kind::Send { fate, .. } = &send.kind else { unreachable!() };
            assert!(send.stamp.time == calm || fate.len() == 1, "{protocol:?}, seed {seed}: {send:?}");
        }
        let boots = trace.of(|kind| *kind == Kind::Boot);
        assert!(boots.iter().all(|boot| boot.stamp.time == calm), "{protocol:?}, seed {seed}: {boots:?}");
        assert!((0..6).all(|node| world.process(NodeId(node)).is_some()), "{protocol:?}, seed {seed}");
        struck.add(&at_calm);
    }
    assert!(struck.restarts > 50 && struck.partitions > 50 && struck.lost > 300, "{struck:?}");
}

#[test]
fn written_fates_end_with_the_calm_too() {
    let mut config =
        faults(2, vec![Fault::Message { from: A, to: B, word: "tick", nth: None, fate: vec![] }]);
    config.faults.until = 20 * MILLIS + HALF;
    let (notes, counts) = run(config, ticking);
    assert_eq!(unheard(&notes, B), (1..=20).collect::<Vec<_>>());
    assert_eq!(counts.lost, 20);
}

#[test]
fn a_written_partition_pause_and_crash_end_with_the_calm() {
    let list = vec![
        Fault::Partition {
            left: vec![A],
            right: vec![B],
            one_way: true,
            at: 10 * MILLIS + HALF,
            span: SECONDS,
        },
        Fault::Pause { node: A, at: 10 * MILLIS + HALF, span: SECONDS },
        Fault::Crash { node: NodeId(2), at: 10 * MILLIS + HALF, down: Some(SECONDS) },
    ];
    let mut config = faults(3, list);
    config.faults.until = 20 * MILLIS + HALF;
    let mut trace = Trace::default();
    scripted(config, 1, ticking).run(&mut trace);
    let ended: Vec<(u64, u32)> = trace
        .of(|kind| matches!(kind, Kind::Fault(label) if label.word == "heal") || *kind == Kind::Boot)
        .iter()
        .filter(|entry| entry.stamp.time > 0)
        .map(|entry| (entry.stamp.time, entry.stamp.node.0))
        .collect();
    let mut sorted = ended.clone();
    sorted.sort_unstable();
    let calm = 20 * MILLIS + HALF;
    assert_eq!(sorted, [(calm, 0), (calm, 1), (calm, 2)]);
    let of_a = trace.of(|kind| *kind == Kind::Fire);
    let next = of_a.iter().find(|e| e.stamp.node == A && e.stamp.time > 10 * MILLIS + HALF).unwrap();
    assert_eq!(next.stamp.time, calm);
}

#[test]
fn a_fault_that_is_overridden_does_not_strike_and_is_not_counted() {
    let list = vec![Fault::Crash { node: B, at: 10 * MILLIS + HALF, down: None }];
    let mut trace = Trace::default();
    scripted(faults(2, list.clone()), 1, ticking).run(&mut trace);
    let crash = trace.of(|kind| matches!(kind, Kind::Crash { .. }))[0].stamp.id;
    let mut world = scripted(faults(2, list), 1, ticking);
    world.reset(1, [(crash, Decision::Strike(false))].into_iter().collect::<Overrides>());
    let mut notes = Notes::default();
    world.run(&mut notes);
    assert_eq!(unheard(&notes, B), Vec::<u64>::new());
    assert_eq!(*world.fault_counts(), FaultCounts::default());
}

#[test]
fn sparing_a_node_one_fault_of_the_dice_leaves_the_later_ones_where_they_were() {
    let strikes = |spared: Option<EventId>| {
        let mut config = one_millisecond_apart(1);
        config.limits.time = 20 * SECONDS;
        config.faults.rates.crash_every = 500 * MILLIS;
        config.faults.rates.pause_every = 500 * MILLIS;
        config.faults.rates.downtime = Delay::Constant(1);
        let mut world = scripted(config, 1, idling);
        world.reset(1, spared.into_iter().map(|id| (id, Decision::Strike(false))).collect());
        let mut trace = Trace::default();
        world.run(&mut trace);
        assert_eq!(world.overrides().unmatched().count(), 0);
        let struck = trace.of(|kind| matches!(kind, Kind::Crash { .. } | Kind::Fault(_)));
        let fault = |e: &common::Entry| if e.stamp.by == EventId::ROOT { e.stamp.id } else { e.stamp.by };
        struck.into_iter().map(|entry| (fault(entry), entry.stamp.time)).collect::<Vec<_>>()
    };
    let all = strikes(None);
    assert!(all.len() > 50, "{}", all.len());
    for (index, (fault, _)) in all.iter().enumerate().step_by(10) {
        let mut but_one = all.clone();
        but_one.remove(index);
        assert_eq!(strikes(Some(*fault)), but_one);
    }
}
