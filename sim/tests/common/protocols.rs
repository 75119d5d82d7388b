//! Small protocols, each with another part of the engine in use, and worlds in which everything goes wrong.

use snowglobe_sim::tasks::{Receiver, Runtime, Sender, Tasks};
use snowglobe_sim::{
    Config, ConnectionId, Context, Corruption, Delay, Fault, FaultPlan, FaultRates, Label, Limits, Link,
    MILLIS, Message, Nanos, NodeId, OpId, Process, Ratio, SECONDS, Status, StreamEvent, SyncError,
};

use super::Die;

/// What all the protocols say.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Say {
    Request { call: u64 },
    Reply { call: u64, sum: u64 },
    Rumour { value: u64 },
    Replicate { index: u64, value: u64 },
    Ack { index: u64 },
    Data { number: u64 },
}

impl Message for Say {
    type Note = (&'static str, u64);

    fn label(&self) -> Label {
        Label::new(match self {
            Self::Request { .. } => "request",
            Self::Reply { .. } => "reply",
            Self::Rumour { .. } => "rumour",
            Self::Replicate { .. } => "replicate",
            Self::Ack { .. } => "ack",
            Self::Data { .. } => "data",
        })
    }

    fn size(&self) -> u32 {
        match self {
            Self::Rumour { value } => 100 + (value % 1_000) as u32,
            _ => 500,
        }
    }

    fn corrupt(&mut self, die: u64) -> bool {
        match self {
            Self::Reply { sum: value, .. } | Self::Rumour { value } => {
                *value ^= die;
                true
            }
            _ => false,
        }
    }
}

type Ctx = Context<Say>;

/// Which protocol a world runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Protocol {
    /// Two servers, each with clients of its own that retry; the servers remember what they have executed.
    Rpc,
    /// Rumours between neighbours on a ring.
    Gossip,
    /// Pairs of a primary and a backup with logs on disk.
    Backup,
    /// Clients that send over connections, and connect again.
    Streams,
}

impl Protocol {
    pub(crate) const ALL: [Self; 4] = [Self::Rpc, Self::Gossip, Self::Backup, Self::Streams];

    /// How often something happens of its own accord.
    const PERIOD: Nanos = 150 * MILLIS;
}

/// A node of any of the protocols.
#[derive(Clone, Debug)]
pub(crate) struct Actor {
    protocol: Protocol,
    nodes: u32,
    id: NodeId,
    known: Vec<u64>,
    call: Option<(u64, OpId)>,
    count: u64,
    connection: Option<ConnectionId>,
}

impl Actor {
    pub(crate) fn new(protocol: Protocol, nodes: u32, id: NodeId) -> Self {
        Self { protocol, nodes, id, known: Vec::new(), call: None, count: 0, connection: None }
    }

    /// The first two nodes serve the others, even and odd.
    fn server(&self) -> NodeId {
        NodeId(self.id.0 % 2)
    }

    fn is_server(&self) -> bool {
        self.id.0 < 2
    }

    /// Nodes work in pairs of an even and an odd one.
    fn partner(&self) -> NodeId {
        NodeId((self.id.0 ^ 1) % self.nodes)
    }

    fn later(ctx: &mut Ctx, label: &'static str) {
        let jitter = ctx.random_below(Protocol::PERIOD / MILLIS) * MILLIS;
        ctx.set_timer(label, Protocol::PERIOD + jitter);
    }

    fn next_call(&mut self, ctx: &mut Ctx) {
        let call = u64::from(ctx.incarnation()) << 32 | self.count;
        self.count += 1;
        let op = ctx.invoke(("call", call));
        self.call = Some((call, op));
        self.ask(ctx, call);
    }

    fn ask(&self, ctx: &mut Ctx, call: u64) {
        ctx.send(self.server(), Say::Request { call: u64::from(self.id.0) << 48 | call });
        ctx.set_timer("retry", 40 * MILLIS);
    }

    fn log(&self, ctx: &mut Ctx, value: u64) {
        ctx.append("log", value.to_le_bytes());
        if value.is_multiple_of(4) {
            ctx.write("snapshot", (self.known.len() as u64).to_le_bytes());
        }
        if value % 8 == 7 {
            ctx.remove("snapshot");
        }
        ctx.sync(("log", value));
        ctx.note(("logged", value));
    }
}

impl Process for Actor {
    type Message = Say;

    fn on_start(&mut self, ctx: &mut Ctx) {
        ctx.note(("start", ctx.now()));
        match self.protocol {
            Protocol::Rpc | Protocol::Streams if self.is_server() => {}
            Protocol::Rpc => self.next_call(ctx),
            Protocol::Gossip => Self::later(ctx, "round"),
            Protocol::Backup => {
                let log = ctx.read("log").unwrap_or_default();
                self.known =
                    log.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().unwrap())).collect();
                ctx.note(("recovered", self.known.len() as u64));
                if self.id.0.is_multiple_of(2) {
                    Self::later(ctx, "round");
                }
            }
            Protocol::Streams => {
                self.connection = Some(ctx.connect(self.server()));
                ctx.send_on(self.connection.unwrap(), Say::Data { number: 0 });
            }
        }
    }

    fn on_message(&mut self, ctx: &mut Ctx, from: NodeId, message: Say) {
        match message {
            Say::Request { call } => {
                if !self.known.contains(&call) {
                    self.known.push(call);
                    ctx.note(("executed", call));
                }
                ctx.send(from, Say::Reply { call, sum: self.known.len() as u64 });
            }
            Say::Reply { call, sum } => {
                let Some((mine, op)) = self.call else { return };
                if call != (u64::from(self.id.0) << 48 | mine) {
                    return;
                }
                self.call = None;
                ctx.complete(op, Status::Ok, ("sum", sum));
                ctx.cancel_timer("retry");
                Self::later(ctx, "think");
            }
            Say::Rumour { value } => {
                if !self.known.contains(&value) && self.known.len() < 60 {
                    self.known.push(value);
                    ctx.note(("heard", value));
                    if value.is_multiple_of(3) {
                        ctx.anchor(("place", value));
                        ctx.send(NodeId((self.id.0 + 1) % self.nodes), Say::Rumour { value });
                    }
                }
            }
            Say::Replicate { index, value } => {
                if index == self.known.len() as u64 {
                    self.known.push(value);
                    self.log(ctx, value);
                } else {
                    ctx.send(from, Say::Ack { index: self.known.len() as u64 });
                }
            }
            Say::Ack { index } => {
                self.count = index;
                ctx.note(("acked", index));
            }
            Say::Data { .. } => unreachable!("data travels on connections"),
        }
    }

    fn on_timer(&mut self, ctx: &mut Ctx, timer: Label) {
        match timer.word {
            "retry" => {
                if let Some((call, op)) = self.call {
                    if ctx.chance(Ratio::new(1, 12)) {
                        ctx.complete(op, Status::Unknown, ("gave up", call));
                        self.next_call(ctx);
                    } else {
                        self.ask(ctx, call);
                    }
                }
            }
            "think" => self.next_call(ctx),
            "round" if self.protocol == Protocol::Gossip => {
                let value = ctx.random() % 100_000;
                self.known.push(value);
                self.known.truncate(60);
                let rumour = self.known[ctx.random_below(self.known.len() as u64) as usize];
                ctx.send(NodeId((self.id.0 + 1) % self.nodes), Say::Rumour { value: rumour });
                ctx.send(NodeId((self.id.0 + self.nodes - 1) % self.nodes), Say::Rumour { value });
                Self::later(ctx, "round");
            }
            "round" => {
                let index = self.known.len() as u64;
                let value = ctx.random() % 1_000;
                self.known.push(value);
                self.log(ctx, value);
                ctx.send(self.partner(), Say::Replicate { index: self.count, value });
                ctx.note(("round", index));
                Self::later(ctx, "round");
            }
            "connect" => {
                let connection = ctx.connect(self.server());
                self.connection = Some(connection);
                self.count = 0;
                ctx.send_on(connection, Say::Data { number: 0 });
                ctx.send_on(connection, Say::Data { number: 1 });
            }
            "more" => {
                let Some(connection) = self.connection else { return };
                for _ in 0..2 {
                    self.count += 1;
                    ctx.send_on(connection, Say::Data { number: self.count });
                }
                if ctx.chance(Ratio::new(1, 6)) {
                    ctx.close(connection);
                    self.connection = None;
                    Self::later(ctx, "connect");
                } else {
                    Self::later(ctx, "more");
                }
            }
            word => unreachable!("no timer is called {word}"),
        }
    }

    fn on_sync(&mut self, ctx: &mut Ctx, sync: Label, result: Result<(), SyncError>) {
        ctx.note((if result.is_ok() { "durable" } else { "failed" }, sync.key));
        if self.id.0 % 2 == 1 && result.is_ok() {
            ctx.send(self.partner(), Say::Ack { index: self.known.len() as u64 });
        }
    }

    fn on_stream(&mut self, ctx: &mut Ctx, connection: ConnectionId, event: StreamEvent<Say>) {
        match event {
            StreamEvent::Opened => Self::later(ctx, "more"),
            StreamEvent::Accepted { from } => {
                ctx.note(("accepted", u64::from(from.0)));
            }
            StreamEvent::Received(Say::Data { number }) => {
                ctx.note(("data", number));
                if self.is_server() && number.is_multiple_of(2) {
                    ctx.send_on(connection, Say::Data { number: number + 100 });
                }
            }
            StreamEvent::Received(other) => unreachable!("{other:?} does not travel on connections"),
            StreamEvent::Closed | StreamEvent::Broken => {
                ctx.note(("gone", u64::from(event == StreamEvent::Broken)));
                if !self.is_server() && self.connection == Some(connection) {
                    self.connection = None;
                    Self::later(ctx, "connect");
                }
            }
        }
    }
}

/// A node written with tasks. The first two serve: a task takes requests off the network, two others count them without a
/// lock, log and answer them. The rest call: two tasks ask and ask again, a third hands them what arrives.
pub(crate) fn tasks(id: NodeId) -> Tasks<Say> {
    Tasks::new(move |rt| async move { if id.0 < 2 { serve(rt).await } else { call(rt).await } })
}

async fn serve(rt: Runtime<Say>) {
    let (jobs, queue) = rt.channel::<(NodeId, u64)>("jobs", 2);
    let (log, served) = (rt.mutex("log", 0_u64), rt.cell("served", 0_u64));
    for worker in 0..2 {
        let (queue, log, served, rt_of_worker) = (queue.clone(), log.clone(), served.clone(), rt.clone());
        rt.spawn(("worker", worker), async move {
            while let Some((from, call)) = queue.recv().await {
                let before = served.get().await;
                served.set(before + 1).await;
                let mut sum = log.lock().await;
                *sum += call;
                rt_of_worker.append("log", call.to_le_bytes());
                if rt_of_worker.sync(("log", call)).await.is_ok() {
                    rt_of_worker.send(from, Say::Reply { call, sum: *sum });
                }
            }
        });
    }
    loop {
        if let (from, Say::Request { call }) = rt.recv().await {
            let _ = jobs.send((from, call)).await;
        }
    }
}

async fn call(rt: Runtime<Say>) {
    let (arrived, replies) = rt.channel("replies", 1);
    for caller in 1..3 {
        rt.spawn(("caller", caller), ask_and_ask_again(rt.clone(), caller, replies.clone()));
    }
    hand_on(rt, arrived).await;
}

async fn hand_on(rt: Runtime<Say>, arrived: Sender<u64>) {
    loop {
        if let (_, Say::Reply { call, .. }) = rt.recv().await {
            let _ = arrived.send(call).await;
        }
    }
}

async fn ask_and_ask_again(rt: Runtime<Say>, caller: u64, replies: Receiver<u64>) {
    let server = NodeId(rt.node().0 % 2);
    for number in 0.. {
        let call = u64::from(rt.node().0) << 48 | caller << 40 | u64::from(rt.incarnation()) << 32 | number;
        let op = rt.invoke(("call", call));
        loop {
            rt.send(server, Say::Request { call });
            // Whoever takes a reply takes it for its own: what is tested is the engine.
            if let Ok(Some(reply)) = rt.timeout(40 * MILLIS, replies.recv()).await {
                rt.complete(op, Status::Ok, ("reply", reply));
                break;
            }
        }
        let pause = rt.random_below(Protocol::PERIOD);
        rt.sleep(pause).await;
    }
}

/// What goes wrong in a world; each is on or off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Weather(pub(crate) u32);

impl Weather {
    pub(crate) const KINDS: u32 = 16;
    pub(crate) const ALL: Self = Self((1 << Self::KINDS) - 1);

    fn has(self, kind: u32) -> bool {
        self.0 >> kind & 1 == 1
    }

    fn rate(self, kind: u32, rate: Ratio) -> Ratio {
        if self.has(kind) { rate } else { Ratio::ZERO }
    }

    fn every(self, kind: u32, every: Nanos) -> Nanos {
        if self.has(kind) { every } else { 0 }
    }

    /// A world of so many nodes in this weather, for so long. `pick` chooses where the written faults strike.
    pub(crate) fn config(self, nodes: u32, time: Nanos, pick: u64) -> Config {
        let mut config = Config::new(nodes);
        let on_a_grid = self.has(15);
        let delay = if on_a_grid {
            // Many events at one instant, so that ties decide.
            Delay::Constant(10 * MILLIS)
        } else {
            Delay::Exponential { min: MILLIS, mean: 8 * MILLIS }
        };
        config.network.default = Link {
            delay,
            loss: self.rate(0, Ratio::new(1, 10)),
            duplication: self.rate(1, Ratio::new(1, 8)),
            duplication_delay: Delay::LongTail { min: MILLIS, max: SECONDS },
            late: self.rate(2, Ratio::new(1, 10)),
            late_delay: Delay::Uniform { min: MILLIS, max: 400 * MILLIS },
            corruption: self.rate(3, Ratio::new(1, 20)),
            corruption_kind: if pick.is_multiple_of(2) {
                Corruption::Detected
            } else {
                Corruption::Undetected
            },
            bandwidth: if self.has(4) { 20_000 } else { 0 },
            queue: 60 * MILLIS,
        };
        config.sync_delay = if on_a_grid {
            Delay::Constant(10 * MILLIS)
        } else {
            Delay::Uniform { min: MILLIS, max: 20 * MILLIS }
        };
        config.limits = Limits { time, ..Limits::default() };
        config.faults = FaultPlan {
            list: if self.has(14) { written_faults(nodes, time, pick) } else { Vec::new() },
            rates: FaultRates {
                crash_every: self.every(5, 2 * SECONDS),
                crash_in_handler: self.rate(6, Ratio::new(1, 60)),
                pause_every: self.every(7, 2 * SECONDS),
                slow_every: self.every(8, 2 * SECONDS),
                partition_every: self.every(9, 2 * SECONDS),
                sync_fails: self.rate(10, Ratio::new(1, 5)),
                clock_skew_max: self.every(11, SECONDS),
                clock_drift_max: if self.has(11) { 50_000 } else { 0 },
                ..FaultRates::NONE
            },
            until: if self.has(12) { time / 2 } else { Nanos::MAX },
            swarm: self.has(13),
        };
        config
    }
}

/// One fault of most kinds, somewhere.
fn written_faults(nodes: u32, time: Nanos, pick: u64) -> Vec<Fault> {
    let mut die = Die(pick);
    let mut node = || NodeId(die.below(u64::from(nodes)) as u32);
    let (a, b, c) = (node(), node(), node());
    let other = NodeId((a.0 + 1) % nodes);
    let mut at = || die.below(time / MILLIS) * MILLIS;
    let span = 300 * MILLIS;
    vec![
        Fault::Crash { node: a, at: at(), down: Some(span) },
        Fault::Kill { node: b, at: at(), down: Some(span) },
        Fault::Pause { node: c, at: at(), span },
        Fault::Pause { node: c, at: at(), span },
        Fault::Slow { node: b, at: at(), span, lag: 30 * MILLIS },
        Fault::Partition {
            left: vec![a],
            right: vec![other],
            one_way: pick.is_multiple_of(3),
            at: at(),
            span,
        },
        Fault::Flapping {
            left: vec![b],
            right: vec![NodeId((b.0 + 1) % nodes)],
            at: at(),
            until: time,
            period: span,
        },
        Fault::Link {
            from: a,
            to: other,
            at: at(),
            span,
            link: Link { loss: Ratio::new(1, 2), ..Link::RELIABLE },
        },
        Fault::Link { from: a, to: other, at: at(), span, link: Link::RELIABLE },
        Fault::Message { from: a, to: other, word: "rumour", nth: Some(2), fate: vec![] },
        Fault::Message {
            from: a,
            to: NodeId(a.0 % 2),
            word: "request",
            nth: Some(1),
            fate: vec![MILLIS, 90 * MILLIS],
        },
        Fault::DiskFull { node: c, at: at(), span },
        Fault::SyncFails { node: b, at: at(), span },
        Fault::Clock { node: c, skew: 7, drift: -20_000 },
    ]
}
