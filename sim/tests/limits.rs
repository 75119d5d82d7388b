//! How runs end: of themselves, at a limit, and by what goes wrong in a process.

#![allow(
    clippy::needless_pass_by_value,
    reason = "scripts that are closures take what happened by value too"
)]

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};

use common::{Happening, Notes, Scripted, Trace, Word, one_millisecond_apart, scripted};
use snowglobe_sim::{
    Config, Context, Decision, Ending, EventId, Limits, MILLIS, NodeId, Overrides, Process, SECONDS,
    Violation, World,
};

type Ctx = Context<Word>;

fn limited(change: impl FnOnce(&mut Limits)) -> Config {
    let mut config = one_millisecond_apart(2);
    change(&mut config.limits);
    config
}

/// Two nodes that send one message back and forth for ever.
fn forever(ctx: &mut Ctx, _: &mut u64, happening: Happening) {
    match happening {
        Happening::Start if ctx.node() == NodeId(0) => {
            ctx.send(NodeId(1), Word("ball", 0));
        }
        Happening::Message(from, Word(_, count)) => {
            ctx.note(count.to_string());
            ctx.send(from, Word("ball", count + 1));
        }
        _ => {}
    }
}

#[test]
fn no_event_after_the_limit_of_time_is_fired_and_none_before_it_is_missed() {
    let mut world = scripted(limited(|limits| limits.time = 10 * MILLIS), 1, forever);
    let mut notes = Notes::default();
    assert_eq!(world.run(&mut notes), Ending::TimeLimit);
    assert_eq!(notes.0.len(), 10);
    assert_eq!((world.now(), world.steps()), (10 * MILLIS, 12));
    assert_eq!(world.violation(), None);
    // It has ended, and goes on having ended.
    let pending: Vec<_> = world.pending().collect();
    assert_eq!(pending.len(), 1);
    assert_eq!(world.run(&mut notes), Ending::TimeLimit);
    assert_eq!(world.step(&mut notes), Err(Ending::TimeLimit));
    assert_eq!(world.pending().collect::<Vec<_>>(), pending);
    assert_eq!(notes.0.len(), 10);
}

#[test]
fn a_run_in_which_nothing_is_pending_is_quiet() {
    let mut world = scripted(one_millisecond_apart(2), 1, |_: &mut Ctx, _: &mut u64, _| {});
    assert_eq!(world.run(&mut ()), Ending::Quiet);
    assert_eq!(world.steps(), 2);
    assert_eq!(world.step(&mut ()), Err(Ending::Quiet));
}

#[test]
fn too_many_events_are_a_livelock() {
    let mut world = scripted(limited(|limits| limits.steps = 1_000), 1, forever);
    assert_eq!(world.run(&mut ()), Ending::Livelock);
    assert_eq!(world.steps(), 1_000);
    let violation = world.violation().unwrap();
    assert_eq!(violation.property, "livelock");
    assert_eq!(violation.detail, "1000 events and no end in sight");
    assert_eq!(violation.evidence.len(), 1);
}

#[test]
fn too_many_events_at_one_instant_are_a_livelock_though_time_is_not_up() {
    let spinning = |ctx: &mut Ctx, _: &mut u64, happening| match happening {
        Happening::Start => {
            ctx.set_timer("spin", MILLIS);
        }
        Happening::Timer(_) if ctx.node() == NodeId(1) => {
            ctx.set_timer("spin", 0);
        }
        _ => {}
    };
    let mut world = scripted(limited(|limits| limits.steps_at_once = 500), 1, spinning);
    assert_eq!(world.run(&mut ()), Ending::Livelock);
    assert_eq!((world.now(), world.steps()), (MILLIS, 502));
    assert_eq!(world.violation().unwrap().detail, "500 events at one instant and no end in sight");
    // As many events, but not at one instant, are none.
    let mut world =
        scripted(limited(|limits| (limits.steps_at_once, limits.time) = (3, SECONDS)), 1, forever);
    assert_eq!(world.run(&mut ()), Ending::TimeLimit);
}

/// Panics when its seventh timer fires, having asked for some effects.
fn unlucky(ctx: &mut Ctx, count: &mut u64, happening: Happening) {
    match happening {
        Happening::Start if ctx.node() == NodeId(1) => {
            ctx.write("log", "before");
            ctx.set_timer(("tick", 0), MILLIS);
        }
        Happening::Timer(_) => {
            *count += 1;
            ctx.note(count.to_string());
            assert!(*count < 7, "the count is {count}");
            ctx.set_timer(("tick", *count), MILLIS);
        }
        _ => {}
    }
}

/// Runs without the words that a panic would print.
fn run_quietly<P: Process<Message = Word>>(world: &mut World<P>, notes: &mut Notes) -> Ending {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let ending = catch_unwind(AssertUnwindSafe(|| world.run(notes)));
    std::panic::set_hook(hook);
    ending.expect("a panic in a process is caught")
}

#[test]
fn a_panic_in_a_handler_is_a_violation_that_names_the_event_and_happens_again() {
    let violation = |seed| {
        let mut world = scripted(one_millisecond_apart(2), seed, unlucky);
        let mut notes = Notes::default();
        assert_eq!(run_quietly(&mut world, &mut notes), Ending::Violated);
        // What the handler asked for before it panicked did not happen.
        assert_eq!(notes.of(1), ["1", "2", "3", "4", "5", "6"]);
        assert_eq!(world.disk(NodeId(1)).unwrap().read("log".into()), Some(&b"before"[..]));
        assert_eq!(world.step(&mut ()), Err(Ending::Violated), "a run that has ended goes on having ended");
        (world.violation().cloned().unwrap(), world.digest())
    };
    let (found, digest) = violation(5);
    assert_eq!(found.property, "panic");
    assert_eq!(found.detail, "n1 panicked: the count is 7");
    assert_eq!(found.time, 7 * MILLIS);
    assert_eq!(violation(5), (found.clone(), digest));
    // The evidence is the event: an override finds it, and does not keep it from happening.
    let [event] = found.evidence[..] else { panic!("one event shows it") };
    let mut world = scripted(one_millisecond_apart(2), 5, unlucky);
    world.reset(5, [(event, Decision::Order(0))].into_iter().collect());
    assert_eq!(run_quietly(&mut world, &mut Notes::default()), Ending::Violated);
    assert_eq!(world.overrides().unmatched().count(), 0);
}

/// A node that cannot even be made a second time.
struct Stillborn;

impl Process for Stillborn {
    type Message = Word;

    fn on_message(&mut self, _: &mut Ctx, _: NodeId, _: Word) {}
}

#[test]
fn a_panic_while_a_node_boots_is_a_violation_of_that_node() {
    let mut config = one_millisecond_apart(3);
    config.faults.list =
        vec![snowglobe_sim::Fault::Crash { node: NodeId(2), at: MILLIS, down: Some(MILLIS) }];
    let boots = std::sync::atomic::AtomicU32::new(0);
    let mut world = World::new(config, 1, move |_| {
        // The boot function of a test may count; one of a protocol must not.
        assert!(boots.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < 3, "no more of these");
        Stillborn
    });
    assert_eq!(run_quietly(&mut world, &mut Notes::default()), Ending::Violated);
    let expected = Violation {
        property: "panic".to_owned(),
        detail: "n2 panicked: no more of these".to_owned(),
        evidence: vec![EventId::boot(NodeId(2), 1)],
        time: 2 * MILLIS,
    };
    assert_eq!(world.violation(), Some(&expected));
}

#[test]
fn a_process_that_reports_a_violation_ends_the_run_there() {
    let script = |ctx: &mut Ctx, count: &mut u64, happening| match happening {
        Happening::Start | Happening::Timer(_) => {
            *count += 1;
            if *count == 4 {
                ctx.note("before".to_owned());
                ctx.violate("counts stay small", format!("{count} is too much"));
            }
            ctx.set_timer("tick", MILLIS);
        }
        _ => {}
    };
    let mut world: World<Scripted> = scripted(one_millisecond_apart(1), 1, script);
    let mut trace = Trace::default();
    assert_eq!(world.run(&mut trace), Ending::Violated);
    let violation = world.violation().unwrap();
    assert_eq!(
        (violation.property.as_str(), violation.detail.as_str()),
        ("counts stay small", "4 is too much")
    );
    assert_eq!(violation.time, 3 * MILLIS);
    let fired = trace.0.iter().rev().find(|entry| entry.text.starts_with("Fire")).unwrap();
    assert_eq!(violation.evidence, [fired.stamp.id]);
    let checks: Vec<_> = trace.0.iter().filter(|entry| entry.text.starts_with("Check")).collect();
    assert_eq!(checks.len(), 1);
    assert_eq!(checks[0].stamp.by, fired.stamp.id);
    let steps = world.steps();
    assert_eq!(world.run(&mut trace), Ending::Violated);
    assert_eq!(world.steps(), steps);
}

#[test]
fn an_invariant_that_does_not_hold_ends_the_run_at_the_step_that_broke_it() {
    let mut world = scripted(one_millisecond_apart(2), 1, forever);
    let ending = world.run_while(&mut (), |world| {
        (world.now() >= 5 * MILLIS).then(|| Violation {
            property: "it is early".to_owned(),
            detail: String::new(),
            evidence: vec![],
            time: world.now(),
        })
    });
    assert_eq!(ending, Ending::Violated);
    assert_eq!((world.now(), world.violation().unwrap().time), (5 * MILLIS, 5 * MILLIS));
}

#[test]
fn a_world_with_nothing_pending_and_a_stuck_node_is_a_deadlock() {
    #[derive(Clone)]
    struct Waiting;

    impl Process for Waiting {
        type Message = Word;

        fn on_message(&mut self, _: &mut Ctx, _: NodeId, _: Word) {}

        fn stuck(&self) -> Option<String> {
            Some("the reader waits for data".to_owned())
        }
    }

    let mut world = World::new(one_millisecond_apart(2), 1, |_| Waiting);
    assert_eq!(world.run(&mut ()), Ending::Violated);
    let violation = world.violation().unwrap();
    assert_eq!(violation.property, "deadlock");
    assert_eq!(violation.detail, "n0: the reader waits for data; n1: the reader waits for data");
}

#[test]
fn overrides_that_met_nothing_are_listed_and_those_that_did_are_not() {
    let met = EventId::boot(NodeId(0), 0);
    let (nowhere, never) = (EventId(12_345), EventId::boot(NodeId(0), 9));
    let overrides: Overrides = [
        (met, Decision::Order(3)),
        (met, Decision::Crash(None)),
        (met, Decision::Strike(false)),
        (nowhere, Decision::Fate(vec![])),
        (never, Decision::Crash(Some(1))),
    ]
    .into_iter()
    .collect();
    let mut world = scripted(limited(|limits| limits.time = 5 * MILLIS), 1, forever);
    assert_eq!(world.overrides().unmatched().count(), 0);
    world.reset(1, overrides);
    world.run(&mut ());
    let unmatched: Vec<_> =
        world.overrides().unmatched().map(|(id, decision)| (id, decision.clone())).collect();
    let mut expected = vec![
        (met, Decision::Strike(false)),
        (nowhere, Decision::Fate(vec![])),
        (never, Decision::Crash(Some(1))),
    ];
    expected.sort();
    assert_eq!(unmatched, expected);
    assert_eq!(world.overrides().iter().count(), 5);
}

#[test]
fn sending_to_a_node_that_does_not_exist_is_a_panic_of_the_sender() {
    let script = |ctx: &mut Ctx, _: &mut u64, _| {
        if ctx.node() == NodeId(0) {
            ctx.send(NodeId(7), Word("lost", 0));
        }
    };
    assert_panics_at_boot(script, "n0 sent to n7, and the world has 2 nodes");
}

#[test]
fn connecting_to_a_node_that_does_not_exist_is_a_panic_of_the_caller() {
    let script = |ctx: &mut Ctx, _: &mut u64, happening| {
        if ctx.node() == NodeId(0) && matches!(happening, Happening::Start) {
            ctx.connect(NodeId(7));
        }
    };
    assert_panics_at_boot(script, "n0 connects to n7, which does not exist");
}

fn assert_panics_at_boot(script: fn(&mut Ctx, &mut u64, Happening), words: &str) {
    let mut world = scripted(one_millisecond_apart(2), 1, script);
    assert_eq!(world.run(&mut ()), Ending::Violated);
    let violation = world.violation().unwrap();
    assert_eq!(violation.property, "panic");
    assert!(violation.detail.contains(words), "{}", violation.detail);
    assert_eq!(violation.evidence, [EventId::boot(NodeId(0), 0)]);
}
