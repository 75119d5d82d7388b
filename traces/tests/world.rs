//! The engine's own runs, recorded, read, and compared: whatever one decision is changed, every difference lies
//! in its causal future, and the diff says so.

use proptest::prelude::*;
use serde::Serialize;
use serde_json::{Map, json};
use sim::{
    Config, ConnectionId, Context, Corruption, Decision, Delay, EventId, FaultPlan, FaultRates, Label, Link,
    MILLIS, Message, Network, NodeId, OpId, Overrides, Process, Ratio, SECONDS, Status, StreamEvent,
    SyncError, World,
};
use snowglobe_traces::diff::{Basis, Decision as Decided, Sameness};
use snowglobe_traces::{Algorithms, Causality, Diff, End, Event, Header, Kind, Recorder, Trace, Violation};

const NODES: u32 = 4;
const SERVER: NodeId = NodeId(0);

#[derive(Clone, Hash, Debug, Serialize)]
enum Rpc {
    Call { operation: u64 },
    Reply { operation: u64, served: u64 },
    Gossip { count: u64 },
}

impl Message for Rpc {
    type Note = u64;

    fn label(&self) -> Label {
        match self {
            Self::Call { operation } => Label::keyed("call", *operation),
            Self::Reply { operation, .. } => Label::keyed("reply", *operation),
            Self::Gossip { .. } => Label::new("gossip"),
        }
    }

    fn corrupt(&mut self, die: u64) -> bool {
        match self {
            Self::Gossip { count } => {
                *count ^= die & 7;
                die & 7 != 0
            }
            _ => false,
        }
    }
}

/// A server that makes durable what it served before it replies, and clients that ask until they are told, and
/// talk among each other on connections.
#[derive(Clone, Default)]
struct Node {
    /// Replies that wait for a sync.
    owed: Vec<(NodeId, u64)>,
    served: u64,
    current: Option<(OpId, u64)>,
    heard: u64,
}

impl Node {
    fn begin(&mut self, ctx: &mut Context<Rpc>, operation: u64) {
        let op = ctx.invoke(operation);
        self.current = Some((op, operation));
        Self::ask(ctx, operation);
    }

    fn ask(ctx: &mut Context<Rpc>, operation: u64) {
        ctx.send(SERVER, Rpc::Call { operation });
        let patience = 30 * MILLIS + ctx.random_below(10 * MILLIS);
        ctx.set_timer(("resend", operation), patience);
    }
}

impl Process for Node {
    type Message = Rpc;

    fn on_start(&mut self, ctx: &mut Context<Rpc>) {
        if ctx.node() == SERVER {
            self.served = ctx.read("log").map_or(0, |log| log.len() as u64);
        } else {
            self.begin(ctx, 1);
            ctx.connect(NodeId(ctx.node().0 % (NODES - 1) + 1));
        }
    }

    fn on_message(&mut self, ctx: &mut Context<Rpc>, from: NodeId, message: Rpc) {
        match message {
            Rpc::Call { operation } => {
                self.served += 1;
                self.owed.push((from, operation));
                ctx.append("log", [b'x']);
                ctx.sync("log");
            }
            Rpc::Reply { operation, served } => {
                let Some((op, _)) = self.current.take_if(|(_, current)| *current == operation) else {
                    return;
                };
                ctx.cancel_timer(("resend", operation));
                ctx.complete(op, Status::Ok, served + self.heard);
                if operation < 12 {
                    self.begin(ctx, operation + 1);
                }
            }
            Rpc::Gossip { .. } => {}
        }
    }

    fn on_timer(&mut self, ctx: &mut Context<Rpc>, timer: Label) {
        Self::ask(ctx, timer.key);
    }

    fn on_sync(&mut self, ctx: &mut Context<Rpc>, _: Label, result: Result<(), SyncError>) {
        for (client, operation) in self.owed.drain(..) {
            if result.is_ok() {
                ctx.send(client, Rpc::Reply { operation, served: self.served });
            }
        }
    }

    fn on_stream(&mut self, ctx: &mut Context<Rpc>, connection: ConnectionId, event: StreamEvent<Rpc>) {
        match event {
            StreamEvent::Opened => _ = ctx.send_on(connection, Rpc::Gossip { count: self.heard }),
            StreamEvent::Received(Rpc::Gossip { count }) if count < 6 => {
                self.heard += count;
                ctx.note(self.heard);
                ctx.send_on(connection, Rpc::Gossip { count: count + 1 });
            }
            StreamEvent::Received(_) => ctx.close(connection),
            _ => {}
        }
    }
}

fn config() -> Config {
    let network = Network::uniform(Link {
        loss: Ratio::new(1, 20),
        duplication: Ratio::new(1, 20),
        duplication_delay: Delay::Uniform { min: 0, max: 50 * MILLIS },
        corruption: Ratio::new(1, 40),
        corruption_kind: Corruption::Undetected,
        ..Link::RELIABLE
    });
    let rates = FaultRates {
        crash_every: 2 * SECONDS,
        crash_in_handler: Ratio::new(1, 200),
        partition_every: SECONDS,
        pause_every: SECONDS,
        slow_every: SECONDS,
        sync_fails: Ratio::new(1, 50),
        clock_drift_max: 1_000,
        ..FaultRates::NONE
    };
    let faults = FaultPlan { rates, until: 3 * SECONDS, ..FaultPlan::default() };
    Config { network, faults, ..Config::new(NODES) }
}

/// The bytes of a run.
fn recorded(seed: u64, overrides: &[(EventId, Decision)]) -> Vec<u8> {
    let mut world = World::new(config(), seed, |_| Node::default());
    let mut fixed = Overrides::default();
    for (id, decision) in overrides {
        fixed.set(*id, decision.clone());
    }
    world.reset(seed, fixed);
    let header = Header {
        scenario: "traces/world".into(),
        seed,
        configuration: Map::new(),
        overrides: overrides
            .iter()
            .map(|(id, decision)| json!([id.to_string(), format!("{decision:?}")]))
            .collect(),
        nodes: ["server", "a", "b", "c"].map(String::from).to_vec(),
        algorithms: Algorithms::default(),
    };
    let mut recorder = Recorder::new(Vec::new(), &header);
    world.run(&mut recorder);
    let violation = |violation: &sim::Violation| Violation {
        property: violation.property.clone(),
        detail: violation.detail.clone(),
    };
    let end = End {
        time: world.now(),
        digest: std::hash::Hasher::finish(&world.digest()),
        violations: world.violation().map(violation).into_iter().collect(),
    };
    recorder.finish(&end).unwrap()
}

fn run(seed: u64, overrides: &[(EventId, Decision)]) -> Trace {
    Trace::parse(recorded(seed, overrides), if overrides.is_empty() { "as it was" } else { "changed" })
        .unwrap()
}

/// Every single decision of a run that could have been another, with what it could have been.
fn alternatives(trace: &Trace) -> Vec<(EventId, Decision)> {
    let of = |event: Event<'_>| -> Vec<Decision> {
        match event.kind {
            Kind::Send if event.field("connection").is_none() => {
                vec![
                    Decision::Fate(vec![]),
                    Decision::Fate(vec![MILLIS]),
                    Decision::Fate(vec![MILLIS, 9 * MILLIS]),
                ]
            }
            Kind::Send => vec![Decision::Fate(vec![]), Decision::Fate(vec![3 * MILLIS])],
            Kind::Recv | Kind::Fire => vec![Decision::Crash(Some(0)), Decision::Crash(Some(1))],
            Kind::Crash => vec![Decision::Strike(false), Decision::Keep(true), Decision::Keep(false)],
            Kind::Disk if event.tail.contains("\"sync\"") => vec![Decision::Sync(Err(SyncError::Device))],
            _ => vec![],
        }
    };
    trace.events().flat_map(|event| of(event).into_iter().map(move |decision| (event.id, decision))).collect()
}

#[test]
fn a_run_twice_gives_the_same_bytes() {
    for seed in 0..20 {
        assert!(recorded(seed, &[]) == recorded(seed, &[]), "seed {seed}");
    }
}

#[test]
fn the_runs_show_what_they_are_meant_to() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..20 {
        let trace = run(seed, &[]);
        assert!(trace.len() > 200, "seed {seed}: {} events", trace.len());
        seen.extend(trace.events().map(|event| event.word.to_owned()));
    }
    let expected = [
        "boot", "crash", "disk", "drop", "fault", "fire", "invoke", "note", "recv", "return", "send",
        "stream", "timer",
    ];
    assert_eq!(seen.iter().map(String::as_str).collect::<Vec<_>>(), expected);
}

#[test]
fn causes_come_first_and_time_does_not_go_back() {
    for seed in 0..20 {
        let trace = run(seed, &[]);
        let causality = Causality::of(&trace);
        assert!(causality.is_acyclic(), "seed {seed}");
        for event in trace.events() {
            let cause = causality.cause(event.index).map(|place| trace.event(place));
            assert!(
                cause.is_none_or(|cause| cause.index < event.index && cause.t <= event.t),
                "{}",
                event.line
            );
            let lacks_cause = cause.is_none() && event.by != EventId::ROOT;
            // A fault and a packet of a connection's own have no line; only what they bring about has.
            let brought_about = event.kind == Kind::Fault || event.tail.contains("\"broken\"");
            assert!(!lacks_cause || brought_about, "{}", event.line);
        }
    }
}

proptest! {
    #[test]
    fn one_other_decision_explains_every_difference(seed in 0..1_000_u64, which: prop::sample::Index) {
        let a = run(seed, &[]);
        let all = alternatives(&a);
        let changed = all[which.index(all.len())].clone();
        let b = run(seed, std::slice::from_ref(&changed));
        let diff = Diff::of(&a, &b);
        prop_assert!(diff.headers.comparable);
        prop_assert_eq!(diff.explanation.basis, Basis::Overrides);
        prop_assert_eq!(diff.explanation.unexplained, 0, "{:?}\n{}", changed, diff);
        // Packets of a connection's own have no line, so what breaks for lack of one looks like a beginning.
        let named = |decision: &&Decided| !decision.to_string().contains("stream broken");
        let roots = diff.explanation.decisions.iter().filter(named).count();
        prop_assert!(roots <= 1, "{:?}\n{}", changed, diff);
        if diff.sameness == Sameness::Different {
            prop_assert!(diff.divergence.as_ref().is_some_and(|divergence| divergence.decision.is_some()), "{:?}\n{}", changed, diff);
        }
    }
}
