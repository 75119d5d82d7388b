//! The circles on shuttle: threads that pass messages on through channels, under its random scheduler.
//!
//! What it has no counterpart for: time, and so no delay and no timeout (its `recv_timeout` never times out), and a
//! network, whose messages could be lost. What happens next is which of the threads that can run does. What it adds:
//! a vector clock on every message, for the causes of what a thread sees.
//!
//! Deliberately absent: the lossy RPC, whose clients would wait for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use shuttle::scheduler::RandomScheduler;
use shuttle::sync::mpsc::{Receiver, Sender, channel};
use shuttle::{Config, FailurePersistence, MaxSteps, Runner, thread};

use crate::Done;
use crate::workloads::{SHORT_MESSAGES, SHORT_NODES};

pub(crate) fn ping(bounces: u64, seed: u64) -> Done {
    circles(1, 2, 1, bounces, seed)
}

pub(crate) fn ring(nodes: u32, events: u64, seed: u64) -> Done {
    circles(1, nodes, nodes, events, seed)
}

pub(crate) fn short_runs(simulations: u64, seed: u64) -> Done {
    circles(simulations, SHORT_NODES, 1, SHORT_MESSAGES, seed)
}

/// Counted by means that the scheduler does not see: to it they would be reasons to switch.
type Count = Arc<AtomicU64>;

/// As many executions, each of a circle in which tokens go round until `events` were delivered. One runner for all,
/// which draws a seed for each and keeps the stacks.
fn circles(executions: u64, nodes: u32, tokens: u32, events: u64, seed: u64) -> Done {
    let mut config = Config::new();
    config.failure_persistence = FailurePersistence::None;
    config.max_steps = MaxSteps::None;
    let scheduler = RandomScheduler::new_from_seed(seed, executions as usize);
    let (all, switches) = (Count::default(), Count::default());
    let (delivered, counted) = (Arc::clone(&all), Arc::clone(&switches));
    let executed = Runner::new(scheduler, config).run(move || {
        let passed = Count::default();
        circle(nodes, tokens, events, &passed);
        assert_eq!(passed.load(Relaxed), events);
        delivered.fetch_add(events, Relaxed);
        counted.fetch_add(shuttle::current::context_switches() as u64, Relaxed);
    });
    assert_eq!(executed as u64, executions);
    assert_eq!(all.load(Relaxed), executions * events);
    Done { events: all.load(Relaxed), time: switches.load(Relaxed) }
}

fn circle(nodes: u32, tokens: u32, events: u64, passed: &Count) {
    let (mut nexts, inboxes): (Vec<_>, Vec<_>) = (0..nodes).map(|_| channel()).unzip();
    // The node before each sends to it.
    nexts.rotate_left(1);
    let relays: Vec<_> = inboxes
        .into_iter()
        .zip(nexts)
        .zip(0..nodes)
        .map(|((inbox, next), node)| {
            let passed = Arc::clone(passed);
            thread::spawn(move || relay(&inbox, &next, node < tokens, events, &passed))
        })
        .collect();
    for relay in relays {
        relay.join().expect("a relay ends");
    }
}

/// Ends with the last event, or when a neighbour has ended.
fn relay(inbox: &Receiver<u64>, next: &Sender<u64>, starts: bool, events: u64, passed: &Count) {
    if starts && next.send(1).is_err() {
        return;
    }
    while let Ok(hop) = inbox.recv() {
        let handled = passed.load(Relaxed) + 1;
        if handled > events {
            return;
        }
        passed.store(handled, Relaxed);
        if handled == events || next.send(hop + 1).is_err() {
            return;
        }
    }
}
