//! The same workloads on the engine, with nodes that are programs of tasks: what a user would write who prefers
//! `recv().await` to handlers.
//!
//! The messages, the network and the limits are those of `handlers`, and so are the events: each message is received
//! in the step of its own arrival, and a timeout is one timer.
//!
//! Deliberately absent: channels, locks and spawned tasks, which `handlers` has no counterpart for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use snowglobe::sim::tasks::{Runtime, Tasks};
use snowglobe::sim::{Ending, NodeId, Overrides, World};

use super::handlers::{Answer, Hop, LOSSY, RELIABLE, Rpc, config, handled};
use super::{CLIENTS, SHORT_MESSAGES, SHORT_NODES, TIMEOUT};

const SERVER: NodeId = NodeId(0);

/// Two nodes bounce one message until it was delivered `bounces` times. Nothing else is ever pending.
pub(crate) fn ping(bounces: u64, seed: u64) -> u64 {
    let passed = Count::default();
    let mut world = circle(2, 1, bounces, seed, &passed);
    assert_eq!(world.run(&mut ()), Ending::Quiet);
    assert_eq!(passed.load(Relaxed), bounces);
    handled(&world)
}

/// One server and [`CLIENTS`] clients over a network that loses and duplicates. Each client makes `calls` calls,
/// one after the other, and asks again under the same sequence number until it has the reply.
pub(crate) fn lossy_rpc(calls: u32, seed: u64) -> u64 {
    let (counted, answered) = (Count::default(), Count::default());
    let (counter, answers) = (Arc::clone(&counted), Arc::clone(&answered));
    let boot = move |node| {
        let (counter, answers) = (Arc::clone(&counter), Arc::clone(&answers));
        match node {
            SERVER => Tasks::new(move |rt| serve(rt, counter)),
            _ => Tasks::new(move |rt| call(rt, calls, answers)),
        }
    };
    let mut world = World::new(config(CLIENTS + 1, LOSSY), seed, boot);
    assert_eq!(world.run(&mut ()), Ending::Quiet);
    assert_eq!(counted.load(Relaxed), u64::from(CLIENTS) * u64::from(calls), "each call counts once");
    assert_eq!(answered.load(Relaxed), u64::from(CLIENTS) * u64::from(calls), "each call is answered");
    handled(&world)
}

/// A ring of `nodes` nodes. Each starts with a token and passes on what it gets, so that `nodes` messages are
/// always pending; ends when `events` were delivered.
pub(crate) fn ring(nodes: u32, events: u64, seed: u64) -> u64 {
    let passed = Count::default();
    let mut world = circle(nodes, nodes, u64::MAX, seed, &passed);
    while world.steps() < u64::from(nodes) + events {
        assert_eq!(world.step(&mut ()), Ok(()));
    }
    assert_eq!(passed.load(Relaxed), events);
    assert_eq!(world.pending().count(), nodes as usize, "no token is lost");
    handled(&world)
}

/// `nodes` nodes, each of which starts a rumour, and tells what it hears to a node that it chooses by dice, so that
/// `nodes` messages are always pending; ends when `events` were delivered.
pub(crate) fn gossip(nodes: u32, events: u64, seed: u64) -> u64 {
    let heard = Count::default();
    let counter = Arc::clone(&heard);
    let boot = move |_| {
        let heard = Arc::clone(&counter);
        Tasks::new(move |rt| spread(rt, nodes, heard))
    };
    let mut world: World<Tasks<Hop>> = World::new(config(nodes, RELIABLE), seed, boot);
    while world.steps() < u64::from(nodes) + events {
        assert_eq!(world.step(&mut ()), Ok(()));
    }
    assert_eq!(heard.load(Relaxed), events);
    assert_eq!(world.pending().count(), nodes as usize, "no rumour is lost");
    handled(&world)
}

/// `simulations` whole runs of [`SHORT_NODES`] nodes and [`SHORT_MESSAGES`] messages, under as many seeds from
/// `seed` on, in the same memory.
pub(crate) fn short_runs(simulations: u64, seed: u64) -> u64 {
    let passed = Count::default();
    let mut world = circle(SHORT_NODES, 1, SHORT_MESSAGES, seed, &passed);
    let mut all = 0;
    for simulation in 0..simulations {
        passed.store(0, Relaxed);
        world.reset(seed.wrapping_add(simulation), Overrides::default());
        assert_eq!(world.run(&mut ()), Ending::Quiet);
        assert_eq!(passed.load(Relaxed), SHORT_MESSAGES);
        all += handled(&world);
    }
    assert_eq!(all, simulations * SHORT_MESSAGES);
    all
}

/// What the programs of one world have done together, for the assertions.
type Count = Arc<AtomicU64>;

/// `nodes` nodes in a circle. The first `tokens` of them start with a token, which makes `hops` hops.
fn circle(nodes: u32, tokens: u32, hops: u64, seed: u64, passed: &Count) -> World<Tasks<Hop>> {
    let passed = Arc::clone(passed);
    World::new(config(nodes, RELIABLE), seed, move |node| {
        let passed = Arc::clone(&passed);
        let next = NodeId((node.0 + 1) % nodes);
        let starts = node.0 < tokens && hops > 0;
        Tasks::new(move |rt| relay(rt, next, starts, hops, passed))
    })
}

/// Passes a counter on to the next node until it has reached the end.
async fn relay(rt: Runtime<Hop>, next: NodeId, starts: bool, hops: u64, passed: Count) {
    if starts {
        rt.send(next, Hop(1));
    }
    loop {
        let (_, Hop(hop)) = rt.recv().await;
        passed.store(passed.load(Relaxed) + 1, Relaxed);
        if hop < hops {
            rt.send(next, Hop(hop + 1));
        }
    }
}

/// Passes what it hears on to whomever the dice choose, as the latest it has heard of.
async fn spread(rt: Runtime<Hop>, nodes: u32, heard: Count) {
    let mut latest = 0;
    loop {
        let whom = NodeId(rt.random_below(u64::from(nodes)) as u32);
        rt.send(whom, Hop(latest + 1));
        let (_, Hop(rumour)) = rt.recv().await;
        heard.store(heard.load(Relaxed) + 1, Relaxed);
        latest = latest.max(rumour);
    }
}

/// Node 0 of `lossy_rpc`: counts, and answers a call it knows from its table.
async fn serve(rt: Runtime<Rpc>, counter: Count) {
    let mut answered = vec![Answer::default(); CLIENTS as usize];
    loop {
        let (from, message) = rt.recv().await;
        let Rpc::Request { client, seq } = message else { continue };
        let answer = &mut answered[client as usize];
        if seq < answer.seq {
            continue;
        }
        if seq > answer.seq {
            counter.store(counter.load(Relaxed) + 1, Relaxed);
            *answer = Answer { seq, value: counter.load(Relaxed) };
        }
        rt.send(from, Rpc::Reply { seq, value: answer.value });
    }
}

/// The other nodes of `lossy_rpc`: one call at a time, numbered from 1.
async fn call(rt: Runtime<Rpc>, calls: u32, answers: Count) {
    let client = rt.node().0 - 1;
    let mut last = 0;
    for seq in 1..=calls {
        let value = loop {
            rt.send(SERVER, Rpc::Request { client, seq });
            if let Ok(value) = rt.timeout(TIMEOUT, reply(&rt, seq)).await {
                break value;
            }
        };
        assert!(value > last, "the counter went back from {last} to {value}");
        last = value;
        answers.store(answers.load(Relaxed) + 1, Relaxed);
    }
}

/// The reply to this call, past those to earlier ones.
async fn reply(rt: &Runtime<Rpc>, expected: u32) -> u64 {
    loop {
        if let (_, Rpc::Reply { seq, value }) = rt.recv().await
            && seq == expected
        {
            return value;
        }
    }
}
