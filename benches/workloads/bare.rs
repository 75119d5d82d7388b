//! The bare loop: the simulator one would write by hand for these workloads alone, and so the limit with which
//! the engine is compared.
//!
//! It has a binary heap of pending events ordered by time and tie, a boxed handler per node, one stream of dice,
//! the checks that a delivery needs (node up, same incarnation, link not cut) and timers that can be cancelled.
//!
//! Deliberately absent: ids that follow from causes, dice addressed by what they decide, a digest, observers,
//! recorded effects (a handler pushes into the heap itself), crash faults, disks, clocks that drift, invariants,
//! and any way to replay, explore or change a run. It is meant to be as fast as safe, plain code gets: whoever
//! makes it faster without adding to this list makes the comparison better.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::hint::black_box;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::{
    CLIENTS, DELAY_MAX, DELAY_MIN, DUPLICATION_PERCENT, LOSS_PERCENT, SHORT_MESSAGES, SHORT_NODES, TIMEOUT,
};

/// Two nodes bounce one message until it was delivered `bounces` times. Nothing else is ever pending.
pub(crate) fn ping(bounces: u64, seed: u64) -> u64 {
    let mut bare = Bare::new(Network::RELIABLE, Relay::circle(2, 1, bounces), seed);
    let handled = bare.run(u64::MAX);
    assert_eq!(handled, bounces);
    assert_eq!(bare.work(), bounces);
    handled
}

/// One server and [`CLIENTS`] clients over a network that loses and duplicates. Each client makes `calls` calls,
/// one after the other, and asks again under the same sequence number until it has the reply.
pub(crate) fn lossy_rpc(calls: u32, seed: u64) -> u64 {
    let server: Box<dyn Handler<Rpc>> = Box::new(Server::default());
    let clients = (0..CLIENTS).map(|_| -> Box<dyn Handler<Rpc>> { Box::new(Client::new(calls)) });
    let mut bare = Bare::new(Network::LOSSY, std::iter::once(server).chain(clients), seed);
    let handled = bare.run(u64::MAX);
    assert_eq!(bare.nodes[0].handler.work(), u64::from(CLIENTS) * u64::from(calls), "each call counts once");
    for client in &bare.nodes[1..] {
        assert_eq!(client.handler.work(), u64::from(calls), "each call is answered");
    }
    handled
}

/// A ring of `nodes` nodes. Each starts with a token and passes on what it gets, so that `nodes` messages are
/// always pending; ends when `events` were delivered.
pub(crate) fn ring(nodes: u32, events: u64, seed: u64) -> u64 {
    let mut bare = Bare::new(Network::RELIABLE, Relay::circle(nodes, nodes, u64::MAX), seed);
    let handled = bare.run(events);
    assert_eq!(handled, events);
    assert_eq!(bare.work(), events);
    assert_eq!(bare.core.pending.heap.len(), nodes as usize, "no token is lost");
    handled
}

/// `nodes` nodes, each of which starts a rumour, and tells what it hears to a node that it chooses by dice, so that
/// `nodes` messages are always pending; ends when `events` were delivered.
pub(crate) fn gossip(nodes: u32, events: u64, seed: u64) -> u64 {
    let gossips =
        (0..nodes).map(|_| -> Box<dyn Handler<u64>> { Box::new(Gossip { nodes, latest: 0, heard: 0 }) });
    let mut bare = Bare::new(Network::RELIABLE, gossips, seed);
    let handled = bare.run(events);
    assert_eq!(handled, events);
    assert_eq!(bare.work(), events);
    assert_eq!(bare.core.pending.heap.len(), nodes as usize, "no rumour is lost");
    handled
}

/// `simulations` whole runs of [`SHORT_NODES`] nodes and [`SHORT_MESSAGES`] messages, under as many seeds from
/// `seed` on, in the same memory.
pub(crate) fn short_runs(simulations: u64, seed: u64) -> u64 {
    let mut bare = Bare::new(Network::RELIABLE, Relay::circle(SHORT_NODES, 1, SHORT_MESSAGES), seed);
    let mut handled = 0;
    for simulation in 0..simulations {
        bare.reset(seed.wrapping_add(simulation));
        handled += bare.run(u64::MAX);
        assert_eq!(bare.work(), SHORT_MESSAGES);
    }
    assert_eq!(handled, simulations * SHORT_MESSAGES);
    handled
}

/// What a node does. All of its state is made anew by [`Handler::start`].
trait Handler<M> {
    /// The node boots.
    fn start(&mut self, context: &mut Context<'_, M>);
    /// A message arrives.
    fn message(&mut self, context: &mut Context<'_, M>, from: u32, message: M);
    /// A timer fires.
    fn timer(&mut self, context: &mut Context<'_, M>);
    /// How much of its work the node has done since it booted.
    fn work(&self) -> u64;
}

/// Passes a counter on to the next node until it has reached the end.
struct Relay {
    next: u32,
    starts: bool,
    hops: u64,
    passed: u64,
}

impl Relay {
    /// `nodes` nodes in a circle. The first `tokens` of them start with a token, which makes `hops` hops.
    fn circle(nodes: u32, tokens: u32, hops: u64) -> impl Iterator<Item = Box<dyn Handler<u64>>> {
        (0..nodes).map(move |node| -> Box<dyn Handler<u64>> {
            Box::new(Self { next: (node + 1) % nodes, starts: node < tokens, hops, passed: 0 })
        })
    }
}

impl Handler<u64> for Relay {
    fn start(&mut self, context: &mut Context<'_, u64>) {
        self.passed = 0;
        if self.starts && self.hops > 0 {
            context.send(self.next, 1);
        }
    }

    fn message(&mut self, context: &mut Context<'_, u64>, _from: u32, hop: u64) {
        self.passed += 1;
        if hop < self.hops {
            context.send(self.next, hop + 1);
        }
    }

    fn timer(&mut self, _context: &mut Context<'_, u64>) {}

    fn work(&self) -> u64 {
        self.passed
    }
}

/// Passes what it hears on to whomever the dice choose, as the latest it has heard of.
struct Gossip {
    nodes: u32,
    latest: u64,
    heard: u64,
}

impl Gossip {
    fn tell(&self, context: &mut Context<'_, u64>) {
        let whom = context.random_below(self.nodes);
        context.send(whom, self.latest + 1);
    }
}

impl Handler<u64> for Gossip {
    fn start(&mut self, context: &mut Context<'_, u64>) {
        (self.latest, self.heard) = (0, 0);
        self.tell(context);
    }

    fn message(&mut self, context: &mut Context<'_, u64>, _from: u32, rumour: u64) {
        self.heard += 1;
        self.latest = self.latest.max(rumour);
        self.tell(context);
    }

    fn timer(&mut self, _context: &mut Context<'_, u64>) {}

    fn work(&self) -> u64 {
        self.heard
    }
}

/// What clients and server of `lossy_rpc` say to each other.
#[derive(Clone, Copy)]
enum Rpc {
    /// Please add one, and this is the client's `seq`th call.
    Request { client: u32, seq: u32 },
    /// It was done, and this was the counter then.
    Reply { seq: u32, value: u64 },
}

/// Node 0 of `lossy_rpc`: counts, and answers a call it knows from its table.
#[derive(Default)]
struct Server {
    counter: u64,
    answered: Vec<Answer>,
}

/// The last call of one client and its reply.
#[derive(Clone, Copy, Default)]
struct Answer {
    seq: u32,
    value: u64,
}

impl Handler<Rpc> for Server {
    fn start(&mut self, _context: &mut Context<'_, Rpc>) {
        self.counter = 0;
        self.answered.clear();
        self.answered.resize(CLIENTS as usize, Answer::default());
    }

    fn message(&mut self, context: &mut Context<'_, Rpc>, from: u32, message: Rpc) {
        let Rpc::Request { client, seq } = message else { return };
        let answer = &mut self.answered[client as usize];
        if seq < answer.seq {
            return;
        }
        if seq > answer.seq {
            self.counter += 1;
            *answer = Answer { seq, value: self.counter };
        }
        context.send(from, Rpc::Reply { seq, value: answer.value });
    }

    fn timer(&mut self, _context: &mut Context<'_, Rpc>) {}

    fn work(&self) -> u64 {
        self.counter
    }
}

/// The other nodes of `lossy_rpc`: one call at a time, numbered from 1.
struct Client {
    calls: u32,
    seq: u32,
    value: u64,
    timeout: Option<Timer>,
}

impl Client {
    const SERVER: u32 = 0;

    fn new(calls: u32) -> Self {
        Self { calls, seq: 0, value: 0, timeout: None }
    }

    fn ask(&mut self, context: &mut Context<'_, Rpc>) {
        context.send(Self::SERVER, Rpc::Request { client: context.node - 1, seq: self.seq });
        self.timeout = Some(context.set_timer(TIMEOUT));
    }

    fn call_next(&mut self, context: &mut Context<'_, Rpc>) {
        self.seq += 1;
        if self.seq <= self.calls {
            self.ask(context);
        }
    }
}

impl Handler<Rpc> for Client {
    fn start(&mut self, context: &mut Context<'_, Rpc>) {
        *self = Self::new(self.calls);
        self.call_next(context);
    }

    fn message(&mut self, context: &mut Context<'_, Rpc>, _from: u32, message: Rpc) {
        let Rpc::Reply { seq, value } = message else { return };
        if seq != self.seq {
            return;
        }
        assert!(value > self.value, "the counter went back from {} to {value}", self.value);
        self.value = value;
        if let Some(timer) = self.timeout.take() {
            context.cancel_timer(timer);
        }
        self.call_next(context);
    }

    fn timer(&mut self, context: &mut Context<'_, Rpc>) {
        self.ask(context);
    }

    fn work(&self) -> u64 {
        u64::from(self.seq - 1)
    }
}

/// The loop and all it knows.
struct Bare<M> {
    core: Core<M>,
    nodes: Vec<Node<M>>,
}

struct Node<M> {
    handler: Box<dyn Handler<M>>,
    incarnation: u32,
    up: bool,
}

impl<M: Copy> Bare<M> {
    fn new(network: Network, handlers: impl IntoIterator<Item = Box<dyn Handler<M>>>, seed: u64) -> Self {
        let nodes = handlers.into_iter().map(|handler| Node { handler, incarnation: 0, up: false });
        Self { core: Core::new(network, seed), nodes: nodes.collect() }
    }

    /// Back to the beginning under another seed, in the same memory.
    fn reset(&mut self, seed: u64) {
        self.core.reset(seed);
        for node in &mut self.nodes {
            (node.incarnation, node.up) = (0, false);
        }
    }

    /// Boots all nodes, then handles events until nothing is pending or `limit` were handled. Returns how many.
    #[inline(never)]
    fn run(&mut self, limit: u64) -> u64 {
        for (id, node) in (0..).zip(&mut self.nodes) {
            node.up = true;
            node.incarnation += 1;
            let incarnation = node.incarnation;
            node.handler.start(&mut Context { core: &mut self.core, node: id, incarnation });
        }
        let mut handled = 0;
        while handled < limit
            && let Some((at, Pending { node: id, event })) = self.core.pending.pop()
        {
            self.core.now = at;
            let node = &mut self.nodes[id as usize];
            if !node.up {
                continue;
            }
            match event {
                Event::Message { from, message } => {
                    if self.core.is_cut(from, id) {
                        continue;
                    }
                    let incarnation = node.incarnation;
                    let mut context = Context { core: &mut self.core, node: id, incarnation };
                    node.handler.message(&mut context, from, message);
                }
                Event::Timer { incarnation, timer } => {
                    // A message outlives its sender, a timer does not outlive its node.
                    if !self.core.timers.fire(timer) || incarnation != node.incarnation {
                        continue;
                    }
                    node.handler.timer(&mut Context { core: &mut self.core, node: id, incarnation });
                }
            }
            handled += 1;
        }
        handled
    }

    /// The work done by all nodes.
    fn work(&self) -> u64 {
        self.nodes.iter().map(|node| node.handler.work()).sum()
    }
}

/// What a handler may do.
struct Context<'a, M> {
    core: &'a mut Core<M>,
    node: u32,
    incarnation: u32,
}

impl<M: Copy> Context<'_, M> {
    #[inline]
    fn send(&mut self, to: u32, message: M) {
        self.core.send(self.node, to, message);
    }

    #[inline]
    fn random_below(&mut self, bound: u32) -> u32 {
        ((u64::from(self.core.dice.next_u32()) * u64::from(bound)) >> 32) as u32
    }

    #[inline]
    fn set_timer(&mut self, delay: u64) -> Timer {
        let timer = self.core.timers.set();
        self.core.push(delay, self.node, Event::Timer { incarnation: self.incarnation, timer });
        timer
    }

    #[inline]
    fn cancel_timer(&mut self, timer: Timer) {
        self.core.timers.cancel(timer);
    }
}

/// What the handlers reach while one of them runs.
struct Core<M> {
    pending: Queue<M>,
    now: u64,
    dice: ChaCha8Rng,
    network: Network,
    /// The directed links that deliver nothing.
    cut: BTreeSet<(u32, u32)>,
    timers: Timers,
}

impl<M: Copy> Core<M> {
    fn new(network: Network, seed: u64) -> Self {
        Self {
            pending: Queue::default(),
            now: 0,
            dice: ChaCha8Rng::seed_from_u64(seed),
            network,
            // No workload cuts a link: the compiler must not know, or it would drop the check.
            cut: black_box(BTreeSet::new()),
            timers: Timers::default(),
        }
    }

    fn reset(&mut self, seed: u64) {
        self.pending.clear();
        self.now = 0;
        self.dice = ChaCha8Rng::seed_from_u64(seed);
        self.timers.clear();
    }

    /// Not inlined, nor is the loop: where one build of several did that, short queues were slower by a third.
    #[inline(never)]
    fn send(&mut self, from: u32, to: u32, message: M) {
        if self.chance(self.network.loss) {
            return;
        }
        let event = Event::Message { from, message };
        let delay = self.delay();
        self.push(delay, to, event);
        if self.chance(self.network.duplication) {
            let delay = self.delay();
            self.push(delay, to, event);
        }
    }

    #[inline]
    fn push(&mut self, delay: u64, node: u32, event: Event<M>) {
        self.pending.push(self.now + delay, Pending { node, event });
    }

    /// True with probability `threshold / 2^32`.
    #[inline]
    fn chance(&mut self, threshold: u32) -> bool {
        threshold > 0 && self.dice.next_u32() < threshold
    }

    /// Uniform from `DELAY_MIN` to `DELAY_MAX`, both included. Half a draw of 64 bits is enough for that.
    #[inline]
    fn delay(&mut self) -> u64 {
        DELAY_MIN + ((u64::from(self.dice.next_u32()) * (DELAY_MAX - DELAY_MIN + 1)) >> 32)
    }

    #[inline]
    fn is_cut(&self, from: u32, to: u32) -> bool {
        !self.cut.is_empty() && self.cut.contains(&(from, to))
    }
}

/// What can happen to a message, as thresholds for 32 random bits.
#[derive(Clone, Copy)]
struct Network {
    loss: u32,
    duplication: u32,
}

impl Network {
    const RELIABLE: Self = Self { loss: 0, duplication: 0 };
    const LOSSY: Self =
        Self { loss: u32::MAX / 100 * LOSS_PERCENT, duplication: u32::MAX / 100 * DUPLICATION_PERCENT };
}

/// The pending events, earliest first, then as they were pushed.
struct Queue<M> {
    /// Time in the upper 64 bits, then 32 of tie, then 32 of slot. One integer and not a struct of three fields,
    /// and the events elsewhere: the heap moves and compares its entries more than anything else does, and with
    /// either done the simple way short queues were half as fast.
    heap: BinaryHeap<Reverse<u128>>,
    slots: Vec<Pending<M>>,
    free: Vec<u32>,
    /// The next tie. It may wrap after 2^32 events: at worst two events of one instant change places.
    tie: u32,
}

#[derive(Clone, Copy)]
struct Pending<M> {
    node: u32,
    event: Event<M>,
}

#[derive(Clone, Copy)]
enum Event<M> {
    Message { from: u32, message: M },
    Timer { incarnation: u32, timer: Timer },
}

impl<M> Default for Queue<M> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), slots: Vec::new(), free: Vec::new(), tie: 0 }
    }
}

impl<M: Copy> Queue<M> {
    fn clear(&mut self) {
        self.heap.clear();
        self.slots.clear();
        self.free.clear();
        self.tie = 0;
    }

    #[inline]
    fn push(&mut self, at: u64, pending: Pending<M>) {
        let slot = if let Some(slot) = self.free.pop() {
            self.slots[slot as usize] = pending;
            slot
        } else {
            self.slots.push(pending);
            (self.slots.len() - 1) as u32
        };
        self.heap.push(Reverse((u128::from(at) << 64) | (u128::from(self.tie) << 32) | u128::from(slot)));
        self.tie = self.tie.wrapping_add(1);
    }

    #[inline]
    fn pop(&mut self) -> Option<(u64, Pending<M>)> {
        let Reverse(entry) = self.heap.pop()?;
        let slot = entry as u32;
        self.free.push(slot);
        Some(((entry >> 64) as u64, self.slots[slot as usize]))
    }
}

/// A timer that was set. It is live as long as its slot has its generation.
#[derive(Clone, Copy)]
struct Timer {
    slot: u32,
    generation: u32,
}

/// Which timers are live. A cancelled one stays in the heap and is skipped when its time comes.
#[derive(Default)]
struct Timers {
    generations: Vec<u32>,
    free: Vec<u32>,
}

impl Timers {
    fn clear(&mut self) {
        self.generations.clear();
        self.free.clear();
    }

    #[inline]
    fn set(&mut self) -> Timer {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.generations.push(0);
            (self.generations.len() - 1) as u32
        });
        Timer { slot, generation: self.generations[slot as usize] }
    }

    /// Ends the timer if it is live. Its slot can be used again at once: the next one has another generation.
    #[inline]
    fn cancel(&mut self, timer: Timer) -> bool {
        let generation = &mut self.generations[timer.slot as usize];
        let live = *generation == timer.generation;
        if live {
            *generation = generation.wrapping_add(1);
            self.free.push(timer.slot);
        }
        live
    }

    /// The timer is due: true if nobody cancelled it.
    #[inline]
    fn fire(&mut self, timer: Timer) -> bool {
        self.cancel(timer)
    }
}
