//! Timers: one of a name per node, gone with the node's life, and cheap to cancel.

mod common;

use common::{Happening, Notes, Word, one_millisecond_apart, scripted};
use snowglobe_sim::{Context, Ending, Fault, MICROS, MILLIS, NodeId, SECONDS};

type Ctx = Context<Word>;

/// Runs a node whose start is `start`, which notes the timers that fire.
fn fired(start: impl Fn(&mut Ctx) + Send + Sync + 'static) -> Vec<String> {
    let mut notes = Notes::default();
    let script = move |ctx: &mut Ctx, _: &mut u64, happening| match happening {
        Happening::Start => start(ctx),
        Happening::Timer(label) => {
            ctx.note(label.to_string());
        }
        _ => {}
    };
    let mut world = scripted(one_millisecond_apart(1), 1, script);
    assert_eq!(world.run(&mut notes), Ending::Quiet);
    assert_eq!(world.pending().count(), 0);
    notes.timed(0)
}

#[test]
fn a_timer_fires_once_after_its_delay() {
    let start = |ctx: &mut Ctx| {
        ctx.set_timer("one", 3 * MILLIS);
        ctx.set_timer(("two", 7), 2 * MILLIS);
        ctx.set_timer("now", 0);
    };
    assert_eq!(fired(start), ["0 now", "2 two/7", "3 one"]);
}

#[test]
fn a_timer_replaces_the_pending_one_of_its_name_and_no_other() {
    let start = |ctx: &mut Ctx| {
        ctx.set_timer("again", 2 * MILLIS);
        ctx.set_timer(("again", 1), 4 * MILLIS);
        ctx.set_timer("again", 9 * MILLIS);
        ctx.set_timer(("again", 1), MILLIS);
    };
    assert_eq!(fired(start), ["1 again/1", "9 again"]);
}

#[test]
fn a_cancelled_timer_does_not_fire_and_cancelling_nothing_is_nothing() {
    let start = |ctx: &mut Ctx| {
        ctx.cancel_timer("one");
        ctx.set_timer("one", MILLIS);
        ctx.set_timer("two", MILLIS);
        ctx.cancel_timer("one");
        ctx.cancel_timer("one");
        ctx.cancel_timer("three");
        ctx.set_timer("four", 2 * MILLIS);
        ctx.cancel_timer("four");
        ctx.set_timer("four", 5 * MILLIS);
    };
    assert_eq!(fired(start), ["1 two", "5 four"]);
}

#[test]
fn a_timer_may_be_set_again_and_others_cancelled_by_the_one_that_fires() {
    let script = |ctx: &mut Ctx, count: &mut u64, happening| match happening {
        Happening::Start => {
            ctx.set_timer("tick", MILLIS);
            ctx.set_timer("alarm", 4 * MILLIS);
        }
        Happening::Timer(label) => {
            *count += 1;
            ctx.note(format!("{label} {count}"));
            if *count < 6 {
                ctx.set_timer("tick", MILLIS);
            }
            if *count == 3 {
                ctx.cancel_timer("alarm");
            }
        }
        _ => {}
    };
    let mut notes = Notes::default();
    scripted(one_millisecond_apart(1), 1, script).run(&mut notes);
    assert_eq!(notes.timed(0), ["1 tick 1", "2 tick 2", "3 tick 3", "4 tick 4", "5 tick 5", "6 tick 6"]);
}

#[test]
fn ten_thousand_timers_of_one_node_fire_in_the_order_of_their_times() {
    const COUNT: u64 = 10_000;
    let start = |ctx: &mut Ctx| {
        for key in 0..COUNT {
            // Set in a scrambled order; every third is cancelled, every seventh put off.
            let key = key * 7_919 % COUNT;
            ctx.set_timer(("timer", key + 1), (key + 1) * MILLIS);
        }
        for key in (0..COUNT).step_by(3) {
            ctx.cancel_timer(("timer", key + 1));
        }
        for key in (0..COUNT).step_by(7) {
            ctx.set_timer(("timer", key + 1), (COUNT + key + 1) * MILLIS);
        }
    };
    let early = (0..COUNT).filter(|key| key % 3 != 0 && key % 7 != 0).map(|key| (key + 1, key + 1));
    let late = (0..COUNT).filter(|key| key % 7 == 0).map(|key| (COUNT + key + 1, key + 1));
    let expected: Vec<String> = early.chain(late).map(|(at, key)| format!("{at} timer/{key}")).collect();
    assert_eq!(fired(start), expected);
}

#[test]
fn a_run_that_sets_and_cancels_all_the_time_does_not_pile_up_what_is_cancelled() {
    // Ten nodes that each put off their deadline a hundred thousand times; one is pending at any time.
    let script = |ctx: &mut Ctx, rounds: &mut u64, happening| match happening {
        Happening::Start | Happening::Timer(snowglobe_sim::Label { word: "round", .. }) => {
            *rounds += 1;
            ctx.set_timer("deadline", 3_000 * SECONDS);
            ctx.set_timer(("lease", *rounds % 5), 3_000 * SECONDS);
            ctx.cancel_timer(("lease", (*rounds + 1) % 5));
            if *rounds < 20_000 {
                ctx.set_timer("round", MICROS);
            }
        }
        _ => {}
    };
    let mut world = scripted(one_millisecond_apart(10), 1, script);
    let mut most = 0;
    loop {
        for _ in 0..1_000 {
            if world.step(&mut ()).is_err() {
                // 10 boots, 20,000 rounds of each node less its first, its deadline and its leases.
                assert_eq!(world.steps(), 10 + 10 * 19_999 + 10 + 10 * 4);
                assert!(most <= 10 * 6, "{most} events were pending at once");
                return;
            }
        }
        most = most.max(world.pending().count());
    }
}

#[test]
fn timers_do_not_survive_a_crash_and_the_next_life_sets_its_own() {
    for soft in [false, true] {
        let (at, down) = (5 * MILLIS, Some(10 * MILLIS));
        let fault = if soft {
            Fault::Kill { node: NodeId(0), at, down }
        } else {
            Fault::Crash { node: NodeId(0), at, down }
        };
        let mut config = one_millisecond_apart(2);
        config.faults.list = vec![fault];
        let script = |ctx: &mut Ctx, _: &mut u64, happening| match happening {
            Happening::Start => {
                for key in 1..5 {
                    ctx.set_timer(("timer", key), key * 4 * MILLIS);
                }
            }
            Happening::Timer(label) => {
                ctx.note(label.key.to_string());
            }
            _ => {}
        };
        let mut notes = Notes::default();
        let mut world = scripted(config, 1, script);
        assert_eq!(world.run(&mut notes), Ending::Quiet);
        assert_eq!(notes.timed(0), ["4 1", "19 1", "23 2", "27 3", "31 4"]);
        assert_eq!(notes.timed(1), ["4 1", "8 2", "12 3", "16 4"]);
        assert_eq!(world.pending().count(), 0);
    }
}
