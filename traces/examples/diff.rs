//! Two runs, one difference, and why: record, read, compare, and follow a cause.
//!
//! `cargo run -p snowglobe-traces --example diff`

use sim::{EventId, Label, Message, NodeId, Observer, Record, Stamp};
use snowglobe_traces::{Algorithms, Causality, Diff, End, Header, Recorder, Trace};

/// What the nodes say: a greeting, as text.
#[derive(Clone, Hash, Debug, serde::Serialize)]
struct Greeting(&'static str);

impl Message for Greeting {
    type Note = ();

    fn label(&self) -> Label {
        Label::new("greet")
    }
}

/// A run that is over in five lines. A world would tell its observer the same.
fn record(lost: bool) -> Result<Vec<u8>, snowglobe_traces::WriteError> {
    const ALICE: NodeId = NodeId(0);
    const BOB: NodeId = NodeId(1);
    let message = &Greeting("hello");
    let label = message.label();
    let header = Header {
        scenario: "greeting".into(),
        seed: 42,
        configuration: serde_json::Map::new(),
        overrides: if lost { vec![serde_json::json!({"lose": "greet"})] } else { vec![] },
        nodes: vec!["alice".into(), "bob".into()],
        algorithms: Algorithms::default(),
    };
    let mut recorder = Recorder::new(Vec::new(), &header);
    let mut show = |time, node, id, by, record: &Record<'_, Greeting>| {
        recorder.observe(Stamp { time, node, id: EventId(id), by: EventId(by) }, record);
    };
    let boot = Record::Boot { incarnation: 0 };
    show(0, ALICE, 1, 0, &boot);
    show(0, BOB, 2, 0, &boot);
    let fate: &[u64] = if lost { &[] } else { &[7_000] };
    show(0, ALICE, 3, 1, &Record::Send { to: BOB, label, fate, connection: None, message });
    if !lost {
        show(7_000, BOB, 4, 3, &Record::Receive { from: ALICE, label, connection: None, message });
        show(7_000, BOB, 5, 4, &Record::Note { note: &() });
    }
    recorder.finish(&End { time: 7_000, digest: u64::from(lost), violations: vec![] })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // A trace is lines of JSON: look at it with any tool.
    let bytes = record(false)?;
    println!("{}", String::from_utf8(bytes.clone())?);

    // Reading verifies the hashes; what is particular to an event is parsed when somebody asks.
    let a = Trace::parse(bytes, "greeted.jsonl")?;
    let b = Trace::parse(record(true)?, "lost.jsonl")?;
    let greeting = a.find(EventId(3)).next().ok_or("no such event")?;
    println!("{} sent {:?}\n", greeting.node_name, greeting.field("payload"));

    // Where do they part, and does everything that differs follow from it?
    println!("{}", Diff::of(&a, &b));

    // Why did bob note something? Upward, cause by cause.
    for place in Causality::of(&a).causes(EventId(5)) {
        println!("{}", a.event(place).line);
    }
    Ok(())
}
