//! Where two traces part, and why.
//!
//! The answer comes in the order in which a person asks: are they identical; may they be compared at all; what
//! is the first line that differs, and which decision made it differ; how did each end; what differs in all,
//! event by event; and is every difference in the causal future of a decision that differs? The last question
//! is the one that finds bugs in simulators: what differs without a cause was decided by something that is
//! not in the trace.
//!
//! Events are aligned by id, which follows from an event's cause and not from its place. Where two versions of a program
//! have different ids, what is left is aligned by the paths of causes and by order, and the answer says so.
//! Deliberately absent: exit codes.

mod align;
mod explain;
mod render;
mod state;
#[cfg(test)]
mod tests;
mod versions;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Map, Value};

pub use align::{Alignment, Pattern};
pub use explain::{Basis, Explanation};
pub use state::{File, NodeState};

use crate::format::hex_text;
use crate::frame::{Header, Verdict, Violation};
use crate::reader::{Event, Kind, Trace};

/// Something of each of two traces.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize)]
pub struct Sides<T> {
    /// Of the first.
    pub a: T,
    /// Of the second.
    pub b: T,
}

/// How two traces differ. Serialises to the same answer for programs; `Display` gives it to people.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Diff {
    /// What the traces are called.
    pub names: Sides<String>,
    /// The answer in one word.
    pub sameness: Sameness,
    /// Whether they may be compared, and what was different from the outset.
    pub headers: Headers,
    /// Where they part; `None` if their events are the same.
    pub divergence: Option<Divergence>,
    /// How each ended.
    pub outcomes: Sides<Outcome>,
    /// What became of each event.
    pub alignment: Alignment,
    /// Whether every difference has a cause.
    pub explanation: Explanation,
}

/// How much alike two traces are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sameness {
    /// Byte for byte.
    Identical,
    /// The events are, but not the lines around them.
    SameEvents,
    /// An event differs.
    Different,
}

/// What the header lines say.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Headers {
    /// Whether both are of one scenario, with the same nodes and the same rule for ids. If not, events that have no id in
    /// common are aligned by the paths of their causes and by order, which is a guess.
    pub comparable: bool,
    /// Every difference, in the order of the header.
    pub differences: Vec<HeaderDifference>,
}

/// One difference between two headers.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct HeaderDifference {
    /// What differs: `scenario`, `seed`, `configuration.KEY`, `override`, `nodes` or `algorithms.KEY`.
    pub what: String,
    /// What the first says; `None` if nothing.
    pub a: Option<Value>,
    /// What the second says; `None` if nothing.
    pub b: Option<Value>,
}

/// The first place at which two traces differ.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Divergence {
    /// How many events come before it, the same in both.
    pub common: usize,
    /// The last of them.
    pub last_common: Option<Line>,
    /// What comes next in each; `None` where the trace ends.
    pub next: Sides<Option<Line>>,
    /// What was decided differently, if it can be named.
    pub decision: Option<Decision>,
}

/// An event's line.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Line {
    /// Its number in the uncompressed file, from 1.
    pub number: u64,
    /// All of it.
    pub event: Map<String, Value>,
}

impl Line {
    fn of(trace: &Trace, index: usize) -> Self {
        Self { number: trace.line_number(index), event: trace.event(index).fields() }
    }

    fn at(trace: &Trace, index: usize) -> Option<Self> {
        (index < trace.len()).then(|| Self::of(trace, index))
    }
}

/// What was decided differently.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Decision {
    /// The fate of one message: when it is delivered, how often, whether at all.
    Fate {
        /// The send's id.
        id: String,
        /// Who sent it.
        from: String,
        /// To whom.
        to: String,
        /// The message's name.
        name: String,
        /// The delays of its deliveries, in nanoseconds.
        fates: Sides<Vec<u64>>,
    },
    /// A pick, a fault, a crash, a restart or the outcome of a sync that is on one side only, is another one, or
    /// came at another time; or a message that was damaged on one side.
    Event {
        /// The lines.
        lines: Sides<Option<Line>>,
    },
    /// Which of the events at one instant comes first.
    Order {
        /// The one that comes first in each.
        lines: Sides<Line>,
    },
    /// No event tells what was decided, but the headers differ.
    Header,
}

/// How a run ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Outcome {
    /// The verdict.
    pub verdict: Verdict,
    /// What was violated.
    pub violations: Vec<Violation>,
    /// Virtual time at the end, in nanoseconds.
    pub time: u64,
    /// The world's digest.
    pub digest: String,
    /// How many events there are.
    pub events: usize,
    /// How many of each kind.
    pub kinds: BTreeMap<String, u64>,
    /// What became of what clients asked for.
    pub operations: Operations,
    /// The nodes that the other run left in another state, as this one left them.
    pub left: Vec<NodeState>,
}

/// What became of the operations of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Operations {
    /// How many were begun.
    pub begun: u64,
    /// How many took effect, as their client was told.
    pub ok: u64,
    /// How many did not.
    pub fail: u64,
    /// Of how many the client does not know.
    pub unknown: u64,
    /// How many never returned.
    pub open: u64,
    /// How long those that returned took, in nanoseconds; `None` if none did.
    pub latency: Option<Latency>,
}

/// How long operations took, in nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Latency {
    /// The shortest.
    pub min: u64,
    /// The one in the middle; of two, the later.
    pub median: u64,
    /// The longest.
    pub max: u64,
}

impl Operations {
    fn of(trace: &Trace) -> Self {
        #[derive(serde::Deserialize)]
        struct Return<'t> {
            of: &'t str,
            status: &'t str,
        }
        let mut begun = BTreeMap::new();
        let (mut found, mut latencies) = (Self::default(), Vec::new());
        for event in trace.events() {
            match event.kind {
                Kind::Invoke => {
                    found.begun += 1;
                    begun.insert(event.id.to_string(), event.t);
                }
                Kind::Return => {
                    let Ok(Return { of, status }) = event.parse() else { continue };
                    match status {
                        "ok" => found.ok += 1,
                        "fail" => found.fail += 1,
                        _ => found.unknown += 1,
                    }
                    latencies.extend(begun.remove(of).map(|since| event.t - since));
                }
                _ => {}
            }
        }
        found.open = begun.len() as u64;
        latencies.sort_unstable();
        found.latency = latencies.first().zip(latencies.last()).map(|(min, max)| Latency {
            min: *min,
            median: latencies[latencies.len() / 2],
            max: *max,
        });
        found
    }
}

impl Outcome {
    fn of(trace: &Trace) -> Self {
        let mut kinds = BTreeMap::<&str, u64>::new();
        for event in trace.events() {
            *kinds.entry(event.word).or_default() += 1;
        }
        let end = trace.end();
        Self {
            verdict: end.verdict(),
            violations: end.violations.clone(),
            time: end.time,
            digest: hex_text(end.digest),
            events: trace.len(),
            kinds: kinds.into_iter().map(|(word, count)| (word.to_owned(), count)).collect(),
            operations: Operations::of(trace),
            left: Vec::new(),
        }
    }

    /// Both outcomes, each with those nodes that the other run left in another state.
    fn of_both(a: &Trace, b: &Trace) -> Sides<Self> {
        let (of_a, of_b) = (NodeState::of_all(a), NodeState::of_all(b));
        let unlike = |all: &[NodeState], others: &[NodeState]| {
            all.iter().filter(|state| !others.contains(state)).cloned().collect()
        };
        Sides {
            a: Self { left: unlike(&of_a, &of_b), ..Self::of(a) },
            b: Self { left: unlike(&of_b, &of_a), ..Self::of(b) },
        }
    }
}

impl Diff {
    /// Compares two traces.
    pub fn of(a: &Trace, b: &Trace) -> Self {
        let headers = Headers::of(a.header(), b.header());
        let sameness = if a.text() == b.text() {
            Sameness::Identical
        } else if common_events(a, b) == a.len().max(b.len()) {
            Sameness::SameEvents
        } else {
            Sameness::Different
        };
        let (alignment, explanation) = if sameness == Sameness::Different {
            let mut aligned = align::Aligned::of(a, b);
            // Runs with the same inputs, or of programs that are not the same: ids may have changed with the program.
            if headers.same() || !headers.comparable {
                versions::align(&mut aligned, a, b);
            }
            (Alignment::of(a, b, &aligned), Explanation::of(a, b, &aligned, &headers))
        } else {
            (Alignment::of_same(a), Explanation::of_same(&headers))
        };
        Self {
            names: Sides { a: a.name().into(), b: b.name().into() },
            sameness,
            divergence: first_divergence(a, b, &headers),
            outcomes: Outcome::of_both(a, b),
            alignment,
            explanation,
            headers,
        }
    }
}

impl Headers {
    fn of(a: &Header, b: &Header) -> Self {
        let mut differences = Vec::new();
        let mut differ = |what: &str, a: Option<&Value>, b: Option<&Value>| {
            if a != b {
                differences.push(HeaderDifference { what: what.into(), a: a.cloned(), b: b.cloned() });
            }
        };
        let text = |text: &str| Some(Value::from(text));
        differ("scenario", text(&a.scenario).as_ref(), text(&b.scenario).as_ref());
        let seed = |header: &Header| Some(Value::from(format!("0x{:016x}", header.seed)));
        differ("seed", seed(a).as_ref(), seed(b).as_ref());
        let only_b = b.configuration.keys().filter(|key| !a.configuration.contains_key(*key));
        for key in a.configuration.keys().chain(only_b) {
            differ(&format!("configuration.{key}"), a.configuration.get(key), b.configuration.get(key));
        }
        for extra in without(&a.overrides, &b.overrides) {
            differ("override", Some(extra), None);
        }
        for extra in without(&b.overrides, &a.overrides) {
            differ("override", None, Some(extra));
        }
        let nodes = |header: &Header| Some(Value::from(header.nodes.clone()));
        differ("nodes", nodes(a).as_ref(), nodes(b).as_ref());
        let (x, y) = (&a.algorithms, &b.algorithms);
        differ("algorithms.id", text(&x.id).as_ref(), text(&y.id).as_ref());
        differ("algorithms.dice", text(&x.dice).as_ref(), text(&y.dice).as_ref());
        differ("algorithms.hash", text(&x.hash).as_ref(), text(&y.hash).as_ref());
        let comparable = a.scenario == b.scenario && a.nodes == b.nodes && x.id == y.id;
        Self { comparable, differences }
    }

    /// Whether the two runs were given the same to begin with, and should be identical.
    fn same(&self) -> bool {
        self.differences.is_empty()
    }

    /// The events that one of them lets happen later by an override. An event that never comes has no line to tell that.
    fn moved(&self) -> BTreeSet<String> {
        let of = |value: &Value| Some(value.get("late").and(value.get("event"))?.as_str()?.to_owned());
        let overrides = self.differences.iter().filter(|difference| difference.what == "override");
        overrides.flat_map(|difference| difference.a.iter().chain(&difference.b)).filter_map(of).collect()
    }

    /// Whether nothing but overrides differs.
    fn only_overrides(&self) -> bool {
        self.differences.iter().all(|difference| difference.what == "override")
    }
}

/// Those of `all` that `others` has not, counting repetitions.
fn without<'v>(all: &'v [Value], others: &[Value]) -> Vec<&'v Value> {
    let mut others: Vec<_> = others.iter().collect();
    all.iter()
        .filter(|value| match others.iter().position(|other| other == value) {
            Some(place) => {
                others.swap_remove(place);
                false
            }
            None => true,
        })
        .collect()
}

/// How many events at the beginning are the same.
///
/// The hash of a checkpoint covers the header. Where the headers are the same, the checkpoints are bisected and
/// only one segment is compared line by line; where they are not, no hash agrees, and all lines are.
fn common_events(a: &Trace, b: &Trace) -> usize {
    let (of_a, of_b) = (a.checkpoints(), b.checkpoints());
    let both = of_a.len().min(of_b.len());
    let places: Vec<usize> = (0..both).collect();
    let agreeing = places.partition_point(|place| of_a[*place] == of_b[*place]);
    let start = if agreeing == 0 { 0 } else { of_a[agreeing - 1].events };
    let end = a.len().min(b.len());
    (start..end).find(|index| a.event(*index).line != b.event(*index).line).unwrap_or(end)
}

fn first_divergence(a: &Trace, b: &Trace, headers: &Headers) -> Option<Divergence> {
    let common = common_events(a, b);
    if common == a.len() && common == b.len() {
        return None;
    }
    let event = |trace| (common < Trace::len(trace)).then(|| trace.event(common));
    let decision = first_decision(a, b, event(a), event(b)).or((!headers.same()).then_some(Decision::Header));
    Some(Divergence {
        common,
        last_common: common.checked_sub(1).map(|last| Line::of(a, last)),
        next: Sides { a: Line::at(a, common), b: Line::at(b, common) },
        decision,
    })
}

/// The decision that one of the two next lines tells, if any.
fn first_decision(a: &Trace, b: &Trace, x: Option<Event<'_>>, y: Option<Event<'_>>) -> Option<Decision> {
    if let (Some(x), Some(y)) = (x, y)
        && x.id == y.id
    {
        return decided(a, b, Some(x), Some(y));
    }
    // Two lines that have nothing to do with each other: each is compared with its like elsewhere, if it has one.
    let x_in_b = x.and_then(|x| b.find(x.id).find(|found| found.word == x.word));
    let y_in_a = y.and_then(|y| a.find(y.id).find(|found| found.word == y.word));
    if let (Some(x), Some(y), Some(x_in_b), Some(y_in_a)) = (x, y, x_in_b, y_in_a)
        && x.t == y.t
        && (x.line, y.line) == (x_in_b.line, y_in_a.line)
    {
        return Some(Decision::Order { lines: Sides { a: Line::of(a, x.index), b: Line::of(b, y.index) } });
    }
    let of_a = x.and_then(|x| decided(a, b, Some(x), x_in_b));
    of_a.or_else(|| y.and_then(|y| decided(a, b, y_in_a, Some(y))))
}

/// The decision that two corresponding lines tell, or one that is alone, if any.
fn decided(a: &Trace, b: &Trace, x: Option<Event<'_>>, y: Option<Event<'_>>) -> Option<Decision> {
    let either = x.or(y)?;
    if let (Some(x), Some(y)) = (x, y)
        && (x.kind, y.kind) == (Kind::Send, Kind::Send)
    {
        return fate_decision(x, y);
    }
    let decides = explain::is_decision(&either)
        || y.is_some_and(|y| explain::is_decision(&y))
        || matches!((x, y), (Some(x), Some(y)) if is_damage(&x, &y));
    let same = matches!((x, y), (Some(x), Some(y)) if x.t == y.t && x.same_content(&y));
    let line = |trace: &Trace, event: Option<Event<'_>>| event.map(|event| Line::of(trace, event.index));
    (decides && !same).then(|| Decision::Event { lines: Sides { a: line(a, x), b: line(b, y) } })
}

/// Whether the network damaged one of two deliveries of one id: a receiver noticed, or got something else.
fn is_damage(x: &Event<'_>, y: &Event<'_>) -> bool {
    let noticed = |event: &Event<'_>| {
        event.kind == Kind::Drop && event.field("reason").is_some_and(|reason| reason == "corrupt")
    };
    match (x.kind, y.kind) {
        (Kind::Recv, Kind::Recv) => !x.same_content(y),
        (Kind::Drop, Kind::Recv) => noticed(x),
        (Kind::Recv, Kind::Drop) => noticed(y),
        _ => false,
    }
}

/// Two sends of one id, if their fates differ.
fn fate_decision(x: Event<'_>, y: Event<'_>) -> Option<Decision> {
    #[derive(serde::Deserialize)]
    struct Send {
        to: String,
        name: String,
        fate: Vec<u64>,
    }
    if x.tail == y.tail {
        return None;
    }
    let (of_x, of_y): (Send, Send) = (x.parse().ok()?, y.parse().ok()?);
    (of_x.fate != of_y.fate).then(|| Decision::Fate {
        id: x.id.to_string(),
        from: x.node_name.into(),
        to: of_x.to,
        name: of_x.name,
        fates: Sides { a: of_x.fate, b: of_y.fate },
    })
}
