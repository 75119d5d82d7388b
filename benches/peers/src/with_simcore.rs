//! The workloads on simcore: components that handle events, on one event queue.
//!
//! What it has no counterpart for: a network. Delays, loss and duplicates are thrown here with its dice; nothing
//! checks whether a node is up or a link is cut, and there is no trace. Time is a float.

use std::cell::RefCell;
use std::rc::Rc;

use serde::Serialize;
use simcore::{Event, EventHandler, Simulation, SimulationContext, cast};

use crate::Done;
use crate::workloads::{
    CLIENTS, DELAY_MAX, DELAY_MIN, DUPLICATION_PERCENT, LOSS_PERCENT, SHORT_MESSAGES, SHORT_NODES, TIMEOUT,
};

pub(crate) fn ping(bounces: u64, seed: u64) -> Done {
    let done = circle(2, 1, bounces, None, seed);
    assert_eq!(done.events, bounces);
    done
}

pub(crate) fn ring(nodes: u32, events: u64, seed: u64) -> Done {
    let done = circle(nodes, nodes, u64::MAX, Some(events), seed);
    assert_eq!(done.events, events);
    done
}

pub(crate) fn short_runs(simulations: u64, seed: u64) -> Done {
    let mut all = Done { events: 0, time: 0 };
    for simulation in 0..simulations {
        let done = circle(SHORT_NODES, 1, SHORT_MESSAGES, None, seed.wrapping_add(simulation));
        all = Done { events: all.events + done.events, time: all.time + done.time };
    }
    assert_eq!(all.events, simulations * SHORT_MESSAGES);
    all
}

pub(crate) fn lossy_rpc(calls: u32, seed: u64) -> Done {
    let mut sim = Simulation::new(seed);
    let context = sim.create_context("server");
    let server_id = context.id();
    let answered = vec![Reply::default(); CLIENTS as usize];
    let server = Rc::new(RefCell::new(Server { context, counter: 0, answered, handled: 0 }));
    sim.add_handler("server", Rc::clone(&server) as Rc<RefCell<dyn EventHandler>>);
    let clients: Vec<Rc<RefCell<Client>>> = (0..CLIENTS)
        .map(|client| {
            let name = format!("client-{client}");
            let context = sim.create_context(&name);
            let node = Client {
                context,
                server: server_id,
                client,
                calls,
                seq: 0,
                value: 0,
                timeout: None,
                handled: 0,
            };
            let node = Rc::new(RefCell::new(node));
            sim.add_handler(&name, Rc::clone(&node) as Rc<RefCell<dyn EventHandler>>);
            node
        })
        .collect();
    for client in &clients {
        client.borrow_mut().call_next();
    }
    sim.step_until_no_events();
    assert_eq!(server.borrow().counter, u64::from(CLIENTS) * u64::from(calls), "each call counts once");
    let mut events = server.borrow().handled;
    for client in &clients {
        let client = client.borrow();
        assert_eq!(client.seq - 1, calls, "each call is answered");
        events += client.handled;
    }
    Done { events, time: nanos(&sim) }
}

/// Virtual nanoseconds.
fn nanos(sim: &Simulation) -> u64 {
    (sim.time() * 1e9) as u64
}

fn delay(context: &SimulationContext) -> f64 {
    context.gen_range(DELAY_MIN as f64 / 1e9..=DELAY_MAX as f64 / 1e9)
}

/// Sends over the lossy network.
fn send<T: Serialize + Clone + 'static>(context: &SimulationContext, to: simcore::Id, message: T) {
    if context.rand() * 100.0 < f64::from(LOSS_PERCENT) {
        return;
    }
    if context.rand() * 100.0 < f64::from(DUPLICATION_PERCENT) {
        context.emit(message.clone(), to, delay(context));
    }
    context.emit(message, to, delay(context));
}

#[derive(Clone, Serialize)]
struct Hop {
    hop: u64,
}

/// Passes a counter on to the next node until it has reached the end.
struct Relay {
    context: SimulationContext,
    next: simcore::Id,
    hops: u64,
    passed: u64,
}

impl EventHandler for Relay {
    fn on(&mut self, event: Event) {
        cast!(match event.data {
            Hop { hop } => {
                self.passed += 1;
                if hop < self.hops {
                    self.context.emit(Hop { hop: hop + 1 }, self.next, delay(&self.context));
                }
            }
        });
    }
}

/// A circle; ends after `steps` events if that is said, else when nothing is pending.
fn circle(nodes: u32, tokens: u32, hops: u64, steps: Option<u64>, seed: u64) -> Done {
    let mut sim = Simulation::new(seed);
    let names: Vec<String> = (0..nodes).map(|node| format!("node-{node}")).collect();
    let contexts: Vec<SimulationContext> = names.iter().map(|name| sim.create_context(name)).collect();
    let ids: Vec<simcore::Id> = contexts.iter().map(SimulationContext::id).collect();
    let mut relays = Vec::new();
    for (node, context) in contexts.into_iter().enumerate() {
        let next = ids[(node + 1) % nodes as usize];
        if (node as u32) < tokens {
            context.emit(Hop { hop: 1 }, next, delay(&context));
        }
        let relay = Rc::new(RefCell::new(Relay { context, next, hops, passed: 0 }));
        sim.add_handler(&names[node], Rc::clone(&relay) as Rc<RefCell<dyn EventHandler>>);
        relays.push(relay);
    }
    match steps {
        Some(steps) => assert!(sim.steps(steps), "no token is lost"),
        None => sim.step_until_no_events(),
    }
    Done { events: relays.iter().map(|relay| relay.borrow().passed).sum(), time: nanos(&sim) }
}

#[derive(Clone, Serialize)]
struct Request {
    client: u32,
    seq: u32,
}

#[derive(Clone, Serialize, Default)]
struct Reply {
    seq: u32,
    value: u64,
}

#[derive(Clone, Serialize)]
struct Timeout {}

struct Server {
    context: SimulationContext,
    counter: u64,
    answered: Vec<Reply>,
    handled: u64,
}

impl EventHandler for Server {
    fn on(&mut self, event: Event) {
        let from = event.src;
        cast!(match event.data {
            Request { client, seq } => {
                self.handled += 1;
                let answer = &mut self.answered[client as usize];
                if seq < answer.seq {
                    return;
                }
                if seq > answer.seq {
                    self.counter += 1;
                    *answer = Reply { seq, value: self.counter };
                }
                send(&self.context, from, answer.clone());
            }
        });
    }
}

struct Client {
    context: SimulationContext,
    server: simcore::Id,
    client: u32,
    calls: u32,
    seq: u32,
    value: u64,
    timeout: Option<simcore::EventId>,
    handled: u64,
}

impl Client {
    fn ask(&mut self) {
        send(&self.context, self.server, Request { client: self.client, seq: self.seq });
        self.timeout = Some(self.context.emit_self(Timeout {}, TIMEOUT as f64 / 1e9));
    }

    fn call_next(&mut self) {
        self.seq += 1;
        if self.seq <= self.calls {
            self.ask();
        }
    }
}

impl EventHandler for Client {
    fn on(&mut self, event: Event) {
        self.handled += 1;
        cast!(match event.data {
            Reply { seq, value } => {
                if seq != self.seq {
                    return;
                }
                assert!(value > self.value, "the counter went back from {} to {value}", self.value);
                self.value = value;
                if let Some(timeout) = self.timeout.take() {
                    self.context.cancel_event(timeout);
                }
                self.call_next();
            }
            Timeout {} => {
                self.ask();
            }
        });
    }
}
