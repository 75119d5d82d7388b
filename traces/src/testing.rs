//! What the tests of this crate share: a header, and a toy world small enough to be obviously right.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Map, Value, json};
use sim::{EventId, Label, Message, NodeId, Observer, OpId, Record, Stamp, Status};

use crate::frame::{Algorithms, End, Header};
use crate::reader::Trace;
use crate::recorder::Recorder;

/// A call of an operation of a client, or the server's reply to it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize)]
pub(crate) enum Rpc {
    Call { operation: u64, hint: u64 },
    Reply { operation: u64, served: u64 },
}

impl Message for Rpc {
    type Note = String;

    fn label(&self) -> Label {
        Label::new(match self {
            Self::Call { .. } => "call",
            Self::Reply { .. } => "reply",
        })
    }
}

pub(crate) fn header(nodes: &[&str]) -> Header {
    Header {
        scenario: "rpc/test".into(),
        seed: 42,
        configuration: Map::from_iter([("loss".into(), json!("1/10")), ("clients".into(), json!(2))]),
        overrides: vec![],
        nodes: nodes.iter().map(|node| (*node).to_owned()).collect(),
        algorithms: Algorithms { id: "an-id".into(), dice: "some-dice".into(), hash: "sha256".into() },
    }
}

pub(crate) fn end(time: u64) -> End {
    End { time, digest: 0xfeed, violations: vec![] }
}

/// A trace of these lines, written without a recorder: each is what comes after `"by":"…"`.
pub(crate) fn by_hand(nodes: &[&str], lines: &[(u64, &str, &str, u64, u64, &str)]) -> Trace {
    let mut text = Recorder::new(Vec::new(), &header(nodes)).finish(&end(0)).unwrap();
    text.truncate(text.iter().position(|byte| *byte == b'\n').unwrap() + 1);
    for (t, node, kind, id, by, tail) in lines {
        let line = format!(
            "{{\"t\":{t},\"node\":\"{node}\",\"kind\":\"{kind}\",\"id\":\"{id:016x}\",\"by\":\"{by:016x}\"{tail}}}\n"
        );
        text.extend_from_slice(line.as_bytes());
    }
    ended(text, lines.len(), "by hand")
}

/// Reads lines to which the end is still missing.
pub(crate) fn ended(mut text: Vec<u8>, events: usize, name: &str) -> Trace {
    use sha2::Digest;
    let hash = format!("{:x}", sha2::Sha256::digest(&text));
    let end = json!({"end": true, "t": 9, "events": events, "digest": "000000000000feed", "verdict": "holds",
        "violations": [], "sha256": hash});
    text.extend_from_slice(format!("{end}\n").as_bytes());
    Trace::parse(text, name).unwrap()
}

/// Clients that call a server and send again after a timeout; the server counts. Each decision depends on the
/// seed and the event alone, as in the real world.
pub(crate) struct Toy {
    pub(crate) clients: u32,
    pub(crate) operations: u64,
    /// Messages that are lost whatever the dice say.
    pub(crate) lost: BTreeSet<u64>,
    /// The planted bug: calls tell how many messages were lost so far, anywhere.
    pub(crate) leak: bool,
}

enum Pending {
    Delivery { from: u32, to: u32, message: Rpc },
    Timeout { client: u32, operation: u64 },
}

fn mix(a: u64, b: u64) -> u64 {
    let mut x = a.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ b.wrapping_add(0x1234_5678_9abc_def1);
    for _ in 0..2 {
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x ^= x >> 27;
    }
    x
}

struct Run<'o, O> {
    toy: &'o Toy,
    observer: &'o mut O,
    now: u64,
    queue: BTreeMap<(u64, u64), (u64, Pending)>,
    losses: u64,
    served: u64,
    /// For each client, the operation it waits for.
    waiting: Vec<u64>,
}

impl Toy {
    pub(crate) fn new(clients: u32, operations: u64) -> Self {
        Self { clients, operations, lost: BTreeSet::new(), leak: false }
    }

    /// Runs, and tells the observer everything. Gives the time at the end.
    pub(crate) fn run<O: Observer<Rpc>>(&self, observer: &mut O) -> u64 {
        let waiting = vec![0; self.clients as usize];
        let mut run =
            Run { toy: self, observer, now: 0, queue: BTreeMap::new(), losses: 0, served: 0, waiting };
        for node in 0..=self.clients {
            run.show(node, mix(1, u64::from(node)), 0, &Record::Boot { incarnation: 0 });
        }
        for client in 1..=self.clients {
            run.invoke(client, 0, mix(1, u64::from(client)));
        }
        while let Some(((time, id), (by, pending))) = run.queue.pop_first() {
            run.now = time;
            run.step(id, by, pending);
        }
        run.now
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let names: Vec<_> = (0..=self.clients).map(|node| format!("node-{node}")).collect();
        let mut header = header(&names.iter().map(String::as_str).collect::<Vec<_>>());
        header.overrides =
            self.lost.iter().map(|id| json!({"lose": format!("{id:016x}")})).collect::<Vec<Value>>();
        let mut recorder = Recorder::new(Vec::new(), &header);
        let time = self.run(&mut recorder);
        recorder.finish(&end(time)).unwrap()
    }

    pub(crate) fn trace(&self, name: &str) -> Trace {
        Trace::parse(self.bytes(), name).unwrap()
    }
}

impl<O: Observer<Rpc>> Run<'_, O> {
    fn show(&mut self, node: u32, id: u64, by: u64, record: &Record<'_, Rpc>) {
        let stamp = Stamp { time: self.now, node: NodeId(node), id: EventId(id), by: EventId(by) };
        self.observer.observe(stamp, record);
    }

    fn invoke(&mut self, client: u32, operation: u64, by: u64) {
        self.waiting[client as usize - 1] = operation;
        let id = mix(mix(2, u64::from(client)), operation);
        self.show(client, id, by, &Record::Invoke { note: &format!("get {operation}") });
        self.call(client, operation, id);
    }

    fn call(&mut self, client: u32, operation: u64, by: u64) {
        let hint = if self.toy.leak { self.losses } else { 0 };
        self.send(client, 0, &Rpc::Call { operation, hint }, by);
        let id = mix(by, 4);
        self.show(client, id, by, &Record::Timer { label: Label::keyed("resend", operation), delay: 5_000 });
        self.queue.insert((self.now + 5_000, mix(id, 5)), (id, Pending::Timeout { client, operation }));
    }

    fn send(&mut self, from: u32, to: u32, message: &Rpc, by: u64) {
        let id = mix(by, 3);
        let die = mix(id, 42);
        let delay = 1_000 + die % 1_000;
        let lost = self.toy.lost.contains(&id) || die.is_multiple_of(10);
        self.losses += u64::from(lost);
        let fate: &[u64] = if lost { &[] } else { &[delay] };
        let (to_node, label) = (NodeId(to), message.label());
        self.show(from, id, by, &Record::Send { to: to_node, label, fate, connection: None, message });
        for delay in fate {
            self.queue.insert(
                (self.now + delay, mix(id, 6)),
                (id, Pending::Delivery { from, to, message: message.clone() }),
            );
        }
    }

    fn step(&mut self, id: u64, by: u64, pending: Pending) {
        match pending {
            Pending::Delivery { from, to, message } => {
                let (sender, label) = (NodeId(from), message.label());
                self.show(
                    to,
                    id,
                    by,
                    &Record::Receive { from: sender, label, connection: None, message: &message },
                );
                match message {
                    Rpc::Call { operation, .. } => {
                        self.served += 1;
                        self.send(to, from, &Rpc::Reply { operation, served: self.served }, id);
                    }
                    Rpc::Reply { operation, served } => self.reply(to, operation, served, id),
                }
            }
            Pending::Timeout { client, operation } if self.waiting[client as usize - 1] == operation => {
                let label = Label::keyed("resend", operation);
                self.show(client, id, by, &Record::Fire { label });
                self.call(client, operation, id);
            }
            Pending::Timeout { .. } => {}
        }
    }

    fn reply(&mut self, client: u32, operation: u64, served: u64, id: u64) {
        if self.waiting[client as usize - 1] != operation {
            return;
        }
        let of = OpId(EventId(mix(mix(2, u64::from(client)), operation)));
        let note = served.to_string();
        self.show(client, mix(id, 7), id, &Record::Return { of, status: Status::Ok, note: &note });
        self.waiting[client as usize - 1] = u64::MAX;
        if operation + 1 < self.toy.operations {
            self.invoke(client, operation + 1, id);
        }
    }
}
