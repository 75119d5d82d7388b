//! The workloads on nexosim: models with ports, run on one thread.
//!
//! What it has no counterpart for: a network. A port delivers at once, so a message waits as an event that its sender
//! has scheduled for itself; delay, loss and duplicates are thrown by a mixer here. Each message is therefore an event
//! and a delivery, and is counted once.

use std::time::Duration;

use nexosim::Message;
use nexosim::model::{Context, Model, schedulable};
use nexosim::ports::Output;
use nexosim::simulation::{EventKey, Mailbox, SimInit, Simulation};
use nexosim::time::MonotonicTime;
use serde::{Deserialize, Serialize};

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::Done;
use crate::workloads::{
    CLIENTS, DELAY_MAX, DELAY_MIN, DUPLICATION_PERCENT, LOSS_PERCENT, SHORT_MESSAGES, SHORT_NODES, TIMEOUT,
};

pub(crate) fn ping(bounces: u64, seed: u64) -> Done {
    circle(2, 1, bounces, None, seed)
}

pub(crate) fn ring(nodes: u32, events: u64, seed: u64) -> Done {
    circle(nodes, nodes, u64::MAX, Some(events), seed)
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
    let work = Work::default();
    let answers = (0..CLIENTS).map(|_| Output::default()).collect();
    let answered = vec![Reply::default(); CLIENTS as usize];
    let mut server = Server { dice: Dice::new(seed, 0), answers, answered, work: work.clone() };
    let server_box = Mailbox::new();
    let mut clients = Vec::new();
    for client in 0..CLIENTS {
        let dice = Dice::new(seed, u64::from(client) + 1);
        let mut node = Client {
            dice,
            ask: Output::default(),
            client,
            calls,
            seq: 0,
            value: 0,
            timeout: None,
            work: work.clone(),
        };
        let mailbox = Mailbox::new();
        node.ask.connect(Server::request, &server_box);
        server.answers[client as usize].connect(Client::reply, &mailbox);
        clients.push((node, mailbox));
    }
    let mut bench = SimInit::with_num_threads(1).add_model(server, server_box, "server");
    for (node, mailbox) in clients {
        bench = bench.add_model(node, mailbox, "client");
    }
    let mut simulation = bench.init(MonotonicTime::EPOCH).expect("models that connect");
    simulation.run().expect("a run");
    let all = u64::from(CLIENTS) * u64::from(calls);
    assert_eq!(work.0[COUNTED].load(Relaxed), all, "each call counts once");
    assert_eq!(work.0[ANSWERED].load(Relaxed), all, "each call is answered");
    Done { events: work.0[EVENTS].load(Relaxed), time: nanos(&simulation) }
}

/// What all models have done together: events, executed calls, answered calls.
#[derive(Clone, Default)]
struct Work(Arc<[AtomicU64; 3]>);

const EVENTS: usize = 0;
const COUNTED: usize = 1;
const ANSWERED: usize = 2;

impl Work {
    fn add(&self, what: usize) -> u64 {
        let value = self.0[what].load(Relaxed) + 1;
        self.0[what].store(value, Relaxed);
        value
    }
}

/// A stream of dice: nexosim has none of its own.
#[derive(Serialize, Deserialize)]
struct Dice(u64);

impl Dice {
    fn new(seed: u64, node: u64) -> Self {
        Self((seed << 32 | node).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// Splitmix64.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn delay(&mut self) -> Duration {
        Duration::from_nanos(DELAY_MIN + self.next() % (DELAY_MAX - DELAY_MIN + 1))
    }

    fn percent(&mut self, percent: u32) -> bool {
        self.next() % 100 < u64::from(percent)
    }

    /// How many times a message arrives over the lossy network.
    fn copies(&mut self) -> u32 {
        if self.percent(LOSS_PERCENT) { 0 } else { 1 + u32::from(self.percent(DUPLICATION_PERCENT)) }
    }
}

/// Virtual nanoseconds.
fn nanos(simulation: &Simulation) -> u64 {
    simulation.time().duration_since(MonotonicTime::EPOCH).as_nanos() as u64
}

/// Passes a counter on to the next node until it has reached the end.
#[derive(Serialize, Deserialize)]
struct Relay {
    dice: Dice,
    next: Output<u64>,
    starts: bool,
    hops: u64,
    #[serde(skip)]
    work: Work,
}

#[Model]
impl Relay {
    #[nexosim(init)]
    async fn init(&mut self, context: &Context<Self>) {
        if self.starts {
            context.schedule_event(self.dice.delay(), schedulable!(Self::depart), 1).expect("the future");
        }
    }

    #[nexosim(schedulable)]
    async fn depart(&mut self, hop: u64) {
        self.next.send(hop).await;
    }

    async fn arrive(&mut self, hop: u64, context: &Context<Self>) {
        self.work.add(EVENTS);
        if hop < self.hops {
            context
                .schedule_event(self.dice.delay(), schedulable!(Self::depart), hop + 1)
                .expect("the future");
        }
    }
}

/// A circle; ends after `events` deliveries if that is said, else when nothing is pending.
fn circle(nodes: u32, tokens: u32, hops: u64, events: Option<u64>, seed: u64) -> Done {
    let work = Work::default();
    let mailboxes: Vec<Mailbox<Relay>> = (0..nodes).map(|_| Mailbox::new()).collect();
    let mut relays = Vec::new();
    for node in 0..nodes {
        let mut next = Output::default();
        next.connect(Relay::arrive, &mailboxes[((node + 1) % nodes) as usize]);
        let dice = Dice::new(seed, u64::from(node));
        relays.push(Relay { dice, next, starts: node < tokens, hops, work: work.clone() });
    }
    let mut bench = SimInit::with_num_threads(1);
    for (relay, mailbox) in relays.into_iter().zip(mailboxes) {
        bench = bench.add_model(relay, mailbox, "relay");
    }
    let mut simulation = bench.init(MonotonicTime::EPOCH).expect("models that connect");
    match events {
        None => simulation.run().expect("a run"),
        // All that is due at one time is one step, so that it may be an event too many.
        Some(events) => {
            while work.0[EVENTS].load(Relaxed) < events {
                simulation.step().expect("no token is lost");
            }
        }
    }
    let handled = work.0[EVENTS].load(Relaxed);
    assert!(events.map_or(handled == hops, |events| handled >= events), "all work is done");
    Done { events: handled, time: nanos(&simulation) }
}

#[derive(Clone, Message, Serialize, Deserialize)]
struct Request {
    client: u32,
    seq: u32,
}

#[derive(Clone, Default, Message, Serialize, Deserialize)]
struct Reply {
    seq: u32,
    value: u64,
}

/// Counts, and answers a call it knows from its table.
#[derive(Serialize, Deserialize)]
struct Server {
    dice: Dice,
    answers: Vec<Output<Reply>>,
    answered: Vec<Reply>,
    #[serde(skip)]
    work: Work,
}

#[Model]
impl Server {
    async fn request(&mut self, request: Request, context: &Context<Self>) {
        let Request { client, seq } = request;
        self.work.add(EVENTS);
        let answer = &mut self.answered[client as usize];
        if seq < answer.seq {
            return;
        }
        if seq > answer.seq {
            *answer = Reply { seq, value: self.work.add(COUNTED) };
        }
        for _ in 0..self.dice.copies() {
            let departure = (client, answer.clone());
            context
                .schedule_event(self.dice.delay(), schedulable!(Self::depart), departure)
                .expect("the future");
        }
    }

    #[nexosim(schedulable)]
    async fn depart(&mut self, (client, reply): (u32, Reply)) {
        self.answers[client as usize].send(reply).await;
    }
}

/// One call at a time, numbered from 1.
#[derive(Serialize, Deserialize)]
struct Client {
    dice: Dice,
    ask: Output<Request>,
    client: u32,
    calls: u32,
    seq: u32,
    value: u64,
    timeout: Option<EventKey>,
    #[serde(skip)]
    work: Work,
}

#[Model]
impl Client {
    #[nexosim(init)]
    async fn init(&mut self, context: &Context<Self>) {
        self.call_next(context);
    }

    fn call_next(&mut self, context: &Context<Self>) {
        self.seq += 1;
        if self.seq <= self.calls {
            self.send(context);
        }
    }

    fn send(&mut self, context: &Context<Self>) {
        for _ in 0..self.dice.copies() {
            let request = Request { client: self.client, seq: self.seq };
            context
                .schedule_event(self.dice.delay(), schedulable!(Self::depart), request)
                .expect("the future");
        }
        let timeout = Duration::from_nanos(TIMEOUT);
        let key = context.schedule_keyed_event(timeout, schedulable!(Self::retry), ()).expect("the future");
        self.timeout = Some(key);
    }

    #[nexosim(schedulable)]
    async fn depart(&mut self, request: Request) {
        self.ask.send(request).await;
    }

    #[nexosim(schedulable)]
    async fn retry(&mut self, _: (), context: &Context<Self>) {
        self.work.add(EVENTS);
        self.send(context);
    }

    async fn reply(&mut self, reply: Reply, context: &Context<Self>) {
        self.work.add(EVENTS);
        if reply.seq != self.seq {
            return;
        }
        assert!(reply.value > self.value, "the counter went back");
        self.value = reply.value;
        self.work.add(ANSWERED);
        if let Some(timeout) = self.timeout.take() {
            timeout.cancel();
        }
        self.call_next(context);
    }
}
