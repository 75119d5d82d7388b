//! A world is a value: its clone has the same future, and its memory can be used again.

#![allow(
    clippy::needless_pass_by_value,
    reason = "scripts that are closures take what happened by value too"
)]

mod common;

use common::protocols::{Actor, Protocol, Weather};
use common::{Die, Happening, Trace, Word, one_millisecond_apart, scripted};
use snowglobe_sim::{
    Config, Context, Delay, Ending, Fault, FaultCounts, Label, Limits, Link, MILLIS, NodeId, Overrides,
    SECONDS, Violation, World,
};

const NODES: u32 = 6;

fn world(protocol: Protocol, seed: u64) -> World<Actor> {
    // The swarm would turn most kinds of fault off again; every second world keeps them all.
    let weather = if seed.is_multiple_of(2) { Weather::ALL } else { Weather(Weather::ALL.0 & !(1 << 13)) };
    World::new(weather.config(NODES, 3 * SECONDS, seed), seed, move |id| Actor::new(protocol, NODES, id))
}

/// All that can be seen of a world from outside.
fn visible(
    world: &World<Actor>,
) -> (u64, u64, snowglobe_sim::Digest, FaultCounts, Option<Violation>, String) {
    let mut pending: Vec<_> = world.pending().collect();
    pending.sort();
    let nodes: Vec<_> = (0..NODES)
        .map(snowglobe_sim::NodeId)
        .map(|node| (world.process(node).cloned(), world.incarnation(node), world.disk(node).cloned()))
        .collect();
    let rest = format!("{pending:?} {nodes:?} {:?}", world.overrides());
    (world.now(), world.steps(), world.digest(), *world.fault_counts(), world.violation().cloned(), rest)
}

/// Steps at most so many times.
fn steps(world: &mut World<Actor>, trace: &mut Trace, count: u64) {
    for _ in 0..count {
        if world.step(trace).is_err() {
            return;
        }
    }
}

#[test]
fn a_clone_made_anywhere_has_the_future_of_the_original_and_disturbs_it_not() {
    let mut die = Die(1);
    let mut faults = FaultCounts::default();
    for protocol in Protocol::ALL {
        for seed in 0..40 {
            let mut alone = world(protocol, seed);
            let mut whole = Trace::default();
            alone.run(&mut whole);

            let mut original = world(protocol, seed);
            let mut trace = Trace::default();
            steps(&mut original, &mut trace, die.below(600));
            let mut copy = original.clone();
            let before = visible(&original);
            assert_eq!(visible(&copy), before);

            let mut of_copy = trace.clone();
            steps(&mut copy, &mut of_copy, die.below(200));
            assert_eq!(visible(&original), before, "the copy moved the original");
            // From here on in turns, so that what they shared would show.
            while original.step(&mut trace).is_ok() | copy.step(&mut of_copy).is_ok() {}
            assert_eq!(trace, whole, "{protocol:?}, seed {seed}");
            assert_eq!(of_copy, whole, "{protocol:?}, seed {seed}");
            assert_eq!(visible(&original), visible(&alone));
            assert_eq!(visible(&copy), visible(&alone));
            faults.add(alone.fault_counts());
        }
    }
    for (kind, count) in faults.named() {
        assert!(count > 0, "these worlds knew no {kind}");
    }
}

#[test]
fn a_clone_made_while_faults_overlap_heals_as_the_original_does() {
    let (a, b) = (NodeId(0), NodeId(1));
    let (at, span) = (|millis: u64| millis * MILLIS + MILLIS / 2, 20 * MILLIS);
    let link = |millis| Link { delay: Delay::Constant(millis * MILLIS), ..Link::RELIABLE };
    let mut config = one_millisecond_apart(2);
    config.limits.time = 60 * MILLIS;
    config.faults.list = vec![
        Fault::Link { from: a, to: b, at: at(10), span, link: link(7) },
        Fault::Link { from: a, to: b, at: at(12), span: span / 4, link: link(3) },
        Fault::Slow { node: b, at: at(10), span, lag: 5 * MILLIS },
        Fault::Slow { node: b, at: at(12), span: span / 4, lag: 2 * MILLIS },
        Fault::Pause { node: a, at: at(10), span: span / 4 },
        Fault::Partition { left: vec![a], right: vec![b], one_way: true, at: at(25), span: span / 4 },
        Fault::Message { from: a, to: b, word: "tick", nth: Some(33), fate: vec![] },
    ];
    let script = |ctx: &mut Context<Word>, tick: &mut u64, happening| {
        if matches!(happening, Happening::Start | Happening::Timer(_)) {
            *tick += 1;
            ctx.send(NodeId(1 - ctx.node().0), Word("tick", *tick));
            ctx.set_timer("tick", MILLIS);
        }
    };
    let mut original = scripted(config, 1, script);
    let mut whole = Trace::default();
    original.clone().run(&mut whole);
    let mut begun = Trace::default();
    let mut ran = 0;
    while original.step(&mut begun).is_ok() {
        let mut trace = begun.clone();
        original.clone().run(&mut trace);
        assert!(trace == whole, "a clone at {} went another way", original.now());
        ran += 1;
    }
    assert!(ran > 200, "{ran}");
}

#[test]
fn observed_or_not_a_run_is_the_same() {
    for protocol in Protocol::ALL {
        for seed in 0..20 {
            let (mut seen, mut unseen) = (world(protocol, seed), world(protocol, seed));
            assert_eq!(seen.run(&mut Trace::default()), unseen.run(&mut ()));
            assert_eq!(visible(&seen), visible(&unseen), "{protocol:?}, seed {seed}");
        }
    }
}

#[test]
fn a_run_in_used_memory_is_a_run_in_fresh_memory() {
    let mut die = Die(2);
    for protocol in Protocol::ALL {
        let config = Weather::ALL.config(NODES, 2 * SECONDS, 5);
        let new = |seed| World::new(config.clone(), seed, move |id| Actor::new(protocol, NODES, id));
        let mut used = new(1_000);
        for seed in 0..30 {
            let (mut fresh, mut by_fresh, mut by_used) = (new(seed), Trace::default(), Trace::default());
            used.reset(seed, Overrides::default());
            assert_eq!(visible(&used), visible(&fresh));
            assert_eq!(used.run(&mut by_used), fresh.run(&mut by_fresh));
            assert_eq!(by_used, by_fresh, "{protocol:?}, seed {seed}");
            assert_eq!(visible(&used), visible(&fresh));
            // The next one begins in the memory of a run that was left in the middle.
            used.reset(seed + 500, Overrides::default());
            steps(&mut used, &mut Trace::default(), die.below(500));
        }
    }
}

/// A node that works for a while and then goes wrong in some way, with its hands full.
fn fragile(ctx: &mut Context<Word>, rounds: &mut u64, happening: Happening) {
    if let Happening::Start | Happening::Timer(Label { word: "round", .. }) = happening {
        *rounds += 1;
        ctx.append("log", *rounds.to_be_bytes().last_chunk::<1>().unwrap());
        ctx.sync("log");
        ctx.anchor("place");
        ctx.invoke("call".to_owned());
        let peer = snowglobe_sim::NodeId((ctx.node().0 + 1) % 3);
        let connection = ctx.connect(peer);
        ctx.send_on(connection, Word("data", *rounds));
        ctx.send(peer, Word("hello", *rounds));
        ctx.set_timer("round", 10 * MILLIS);
        ctx.set_timer(("other", *rounds), SECONDS);
        if *rounds > 8 {
            match ctx.random_below(6) {
                0 => panic!("rounds are {rounds}"),
                1 => ctx.violate("rounds", format!("{rounds}")),
                _ => {}
            }
        }
    }
}

fn fragile_config() -> Config {
    let mut config = one_millisecond_apart(3);
    config.limits = Limits { time: SECONDS / 2, ..Limits::default() };
    config.faults.rates.crash_every = 300 * MILLIS;
    config.faults.rates.pause_every = 300 * MILLIS;
    config
}

#[test]
fn a_run_in_the_memory_of_a_panic_or_a_violation_is_a_run_in_fresh_memory() {
    let mut used = scripted(fragile_config(), 9_999, fragile);
    let mut endings = [0; 2];
    // The panics are meant; their words would only hide those of a test that fails.
    std::panic::set_hook(Box::new(|_| {}));
    let runs: Vec<_> = (0..100)
        .map(|seed| {
            let mut fresh = scripted(fragile_config(), seed, fragile);
            used.reset(seed, Overrides::default());
            let (mut by_fresh, mut by_used) = (Trace::default(), Trace::default());
            let ended = (used.run(&mut by_used), fresh.run(&mut by_fresh));
            (
                ended,
                by_used,
                by_fresh,
                used.violation().cloned(),
                fresh.violation().cloned(),
                used.digest(),
                fresh.digest(),
            )
        })
        .collect();
    drop(std::panic::take_hook());
    for (seed, ((a, b), by_used, by_fresh, of_used, of_fresh, used, fresh)) in runs.into_iter().enumerate() {
        assert_eq!(a, b, "seed {seed}");
        assert_eq!(by_used, by_fresh, "seed {seed}");
        assert_eq!(of_used, of_fresh, "seed {seed}");
        assert_eq!(used, fresh, "seed {seed}");
        if a == Ending::Violated {
            endings[usize::from(of_used.unwrap().property == "panic")] += 1;
        }
    }
    assert!(endings.iter().all(|count| *count > 20), "{endings:?}");
}
