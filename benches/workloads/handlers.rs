//! The same workloads on the engine, with nodes that are handlers: what a user of it would write.
//!
//! Nobody watches (the observer is `()`). Everything else that a run of the engine has is on: ids that follow from
//! causes, dice addressed by what they decide, recorded effects, named timers, the digest, the limits.
//!
//! Deliberately absent: faults other than those of the network, and anything that was done for the benchmark alone.

use snowglobe::sim::{
    Config, Context, Delay, Either, Ending, Label, Limits, Link, Message, Network, NodeId, Observer,
    Overrides, Process, Ratio, World,
};

use super::{
    CLIENTS, DELAY_MAX, DELAY_MIN, DUPLICATION_PERCENT, LOSS_PERCENT, SHORT_MESSAGES, SHORT_NODES, TIMEOUT,
};

/// Two nodes bounce one message until it was delivered `bounces` times. Nothing else is ever pending.
pub(crate) fn ping(bounces: u64, seed: u64) -> u64 {
    let mut world = circle(2, 1, bounces, seed);
    assert_eq!(world.run(&mut ()), Ending::Quiet);
    assert_eq!(work(&world), bounces);
    handled(&world)
}

/// One server and [`CLIENTS`] clients over a network that loses and duplicates. Each client makes `calls` calls,
/// one after the other, and asks again under the same sequence number until it has the reply.
pub(crate) fn lossy_rpc(calls: u32, seed: u64) -> u64 {
    observed_lossy_rpc(calls, seed, &mut ())
}

/// The same before an observer.
pub(crate) fn observed_lossy_rpc(calls: u32, seed: u64, observer: &mut impl Observer<Rpc>) -> u64 {
    let boot = move |node| match node {
        Client::SERVER => Either::Left(Server::default()),
        _ => Either::Right(Client { calls, seq: 0, value: 0 }),
    };
    let mut world: World<Either<Server, Client>> = World::new(config(CLIENTS + 1, LOSSY), seed, boot);
    assert_eq!(world.run(observer), Ending::Quiet);
    for node in (0..=CLIENTS).map(NodeId) {
        match world.process(node) {
            Some(Either::Left(server)) => {
                assert_eq!(server.counter, u64::from(CLIENTS) * u64::from(calls), "each call counts once");
            }
            Some(Either::Right(client)) => assert_eq!(client.seq - 1, calls, "each call is answered"),
            None => unreachable!("nothing crashes"),
        }
    }
    handled(&world)
}

/// A ring of `nodes` nodes. Each starts with a token and passes on what it gets, so that `nodes` messages are
/// always pending; ends when `events` were delivered.
pub(crate) fn ring(nodes: u32, events: u64, seed: u64) -> u64 {
    let mut world = circle(nodes, nodes, u64::MAX, seed);
    while world.steps() < u64::from(nodes) + events {
        assert_eq!(world.step(&mut ()), Ok(()));
    }
    assert_eq!(work(&world), events);
    assert_eq!(world.pending().count(), nodes as usize, "no token is lost");
    handled(&world)
}

/// `nodes` nodes, each of which starts a rumour, and tells what it hears to a node that it chooses by dice, so that
/// `nodes` messages are always pending; ends when `events` were delivered.
pub(crate) fn gossip(nodes: u32, events: u64, seed: u64) -> u64 {
    let boot = move |_| Gossip { nodes, latest: 0, heard: 0 };
    let mut world = World::new(config(nodes, RELIABLE), seed, boot);
    while world.steps() < u64::from(nodes) + events {
        assert_eq!(world.step(&mut ()), Ok(()));
    }
    let gossips = (0..nodes).filter_map(|node| world.process(NodeId(node)));
    assert_eq!(gossips.map(|gossip| gossip.heard).sum::<u64>(), events);
    assert_eq!(world.pending().count(), nodes as usize, "no rumour is lost");
    handled(&world)
}

/// `simulations` whole runs of [`SHORT_NODES`] nodes and [`SHORT_MESSAGES`] messages, under as many seeds from
/// `seed` on, in the same memory.
pub(crate) fn short_runs(simulations: u64, seed: u64) -> u64 {
    let mut world = circle(SHORT_NODES, 1, SHORT_MESSAGES, seed);
    let mut all = 0;
    for simulation in 0..simulations {
        world.reset(seed.wrapping_add(simulation), Overrides::default());
        assert_eq!(world.run(&mut ()), Ending::Quiet);
        assert_eq!(work(&world), SHORT_MESSAGES);
        all += handled(&world);
    }
    assert_eq!(all, simulations * SHORT_MESSAGES);
    all
}

pub(super) const RELIABLE: Link =
    Link { delay: Delay::Uniform { min: DELAY_MIN, max: DELAY_MAX }, ..Link::RELIABLE };

/// The second copy of a message is late by what a message can be late compared with another.
pub(super) const LOSSY: Link = Link {
    loss: Ratio::percent(LOSS_PERCENT),
    duplication: Ratio::percent(DUPLICATION_PERCENT),
    duplication_delay: Delay::Uniform { min: 0, max: DELAY_MAX - DELAY_MIN },
    ..RELIABLE
};

pub(super) fn config(nodes: u32, link: Link) -> Config {
    Config {
        network: Network::uniform(link),
        limits: Limits { time: u64::MAX, steps: u64::MAX, ..Limits::default() },
        ..Config::new(nodes)
    }
}

/// Events without the boots, which are none in these workloads.
pub(super) fn handled<P: Process>(world: &World<P>) -> u64 {
    world.steps() - u64::from(world.config().nodes)
}

/// A counter on its way.
#[derive(Clone, Hash, Debug)]
pub(super) struct Hop(pub(super) u64);

impl Message for Hop {
    type Note = ();

    fn label(&self) -> Label {
        Label::new("hop")
    }
}

/// Passes a counter on to the next node until it has reached the end.
struct Relay {
    next: NodeId,
    starts: bool,
    hops: u64,
    passed: u64,
}

/// `nodes` nodes in a circle. The first `tokens` of them start with a token, which makes `hops` hops.
fn circle(nodes: u32, tokens: u32, hops: u64, seed: u64) -> World<Relay> {
    World::new(config(nodes, RELIABLE), seed, move |node| Relay {
        next: NodeId((node.0 + 1) % nodes),
        starts: node.0 < tokens,
        hops,
        passed: 0,
    })
}

/// The messages that all nodes of a circle have got.
fn work(world: &World<Relay>) -> u64 {
    let nodes = (0..world.config().nodes).map(NodeId);
    nodes.filter_map(|node| world.process(node)).map(|relay| relay.passed).sum()
}

impl Process for Relay {
    type Message = Hop;

    fn on_start(&mut self, ctx: &mut Context<Hop>) {
        if self.starts && self.hops > 0 {
            ctx.send(self.next, Hop(1));
        }
    }

    fn on_message(&mut self, ctx: &mut Context<Hop>, _from: NodeId, Hop(hop): Hop) {
        self.passed += 1;
        if hop < self.hops {
            ctx.send(self.next, Hop(hop + 1));
        }
    }
}

/// Passes what it hears on to whomever the dice choose, as the latest it has heard of.
struct Gossip {
    nodes: u32,
    latest: u64,
    heard: u64,
}

impl Gossip {
    fn tell(&self, ctx: &mut Context<Hop>) {
        let whom = NodeId(ctx.random_below(u64::from(self.nodes)) as u32);
        ctx.send(whom, Hop(self.latest + 1));
    }
}

impl Process for Gossip {
    type Message = Hop;

    fn on_start(&mut self, ctx: &mut Context<Hop>) {
        self.tell(ctx);
    }

    fn on_message(&mut self, ctx: &mut Context<Hop>, _from: NodeId, Hop(rumour): Hop) {
        self.heard += 1;
        self.latest = self.latest.max(rumour);
        self.tell(ctx);
    }
}

/// What clients and server of `lossy_rpc` say to each other.
#[derive(Clone, Hash, Debug)]
pub(crate) enum Rpc {
    /// Please add one, and this is the client's `seq`th call.
    Request { client: u32, seq: u32 },
    /// It was done, and this was the counter then.
    Reply { seq: u32, value: u64 },
}

impl Message for Rpc {
    type Note = ();

    fn label(&self) -> Label {
        match self {
            Self::Request { .. } => Label::new("request"),
            Self::Reply { .. } => Label::new("reply"),
        }
    }
}

/// Node 0 of `lossy_rpc`: counts, and answers a call it knows from its table.
#[derive(Default)]
struct Server {
    counter: u64,
    answered: Vec<Answer>,
}

/// The last call of one client and its reply.
#[derive(Clone, Copy, Default)]
pub(super) struct Answer {
    pub(super) seq: u32,
    pub(super) value: u64,
}

impl Process for Server {
    type Message = Rpc;

    fn on_start(&mut self, _ctx: &mut Context<Rpc>) {
        self.answered.resize(CLIENTS as usize, Answer::default());
    }

    fn on_message(&mut self, ctx: &mut Context<Rpc>, from: NodeId, message: Rpc) {
        let Rpc::Request { client, seq } = message else { return };
        let answer = &mut self.answered[client as usize];
        if seq < answer.seq {
            return;
        }
        if seq > answer.seq {
            self.counter += 1;
            *answer = Answer { seq, value: self.counter };
        }
        ctx.send(from, Rpc::Reply { seq, value: answer.value });
    }
}

/// The other nodes of `lossy_rpc`: one call at a time, numbered from 1.
struct Client {
    calls: u32,
    seq: u32,
    value: u64,
}

impl Client {
    const SERVER: NodeId = NodeId(0);
    const RETRY: Label = Label::new("retry");

    fn ask(&self, ctx: &mut Context<Rpc>) {
        ctx.send(Self::SERVER, Rpc::Request { client: ctx.node().0 - 1, seq: self.seq });
        ctx.set_timer(Self::RETRY, TIMEOUT);
    }

    fn call_next(&mut self, ctx: &mut Context<Rpc>) {
        self.seq += 1;
        if self.seq <= self.calls {
            self.ask(ctx);
        }
    }
}

impl Process for Client {
    type Message = Rpc;

    fn on_start(&mut self, ctx: &mut Context<Rpc>) {
        self.call_next(ctx);
    }

    fn on_message(&mut self, ctx: &mut Context<Rpc>, _from: NodeId, message: Rpc) {
        let Rpc::Reply { seq, value } = message else { return };
        if seq != self.seq {
            return;
        }
        assert!(value > self.value, "the counter went back from {} to {value}", self.value);
        self.value = value;
        ctx.cancel_timer(Self::RETRY);
        self.call_next(ctx);
    }

    fn on_timer(&mut self, ctx: &mut Context<Rpc>, _timer: Label) {
        self.ask(ctx);
    }
}
