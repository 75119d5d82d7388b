//! Decisions by names that a person can read, write and edit, and that survive a change of the program.
//!
//! A name says what is decided about which message, handler, sync or fault:
//!
//! ```text
//! lose reply server -> client-1 of call client-1/3, attempt 1
//! delay request #2 client-1 -> server to 300 ms
//! duplicate request client-1 -> server of call client-1/1, attempt 1, after 1 ms and 250 ms
//! crash server after effect 2 of request from client-1 of call client-1/1, attempt 1
//! fail sync #1 of commit/1 at server
//! crash server (chance #2)
//! partition (chance #1)
//! fault #4 of the plan
//! ```
//!
//! Call 3 of `client-1` is the third operation that it began, and an attempt is the how-many-th such message that came of
//! that call; what came of no call is counted in the whole run. A name is found in the run itself: `resolve` fixes the
//! earliest that it meets and looks again, because each decision changes what comes after it, and nothing before it. So a
//! name means what it says in the run that all of them make together.
//!
//! Deliberately absent: names of orders and latenesses of single events; those keep their ids.

use std::collections::BTreeMap;

use sim::{Decision, EventId, MICROS, MILLIS, Nanos, NodeId, Overrides, RateKind, SECONDS, SyncError};
use traces::{Event, Kind, Trace};

use crate::catalogue::Prepared;
use crate::reproduction::OverrideText;

/// How many faults of a kind are looked through for the one that an id belongs to.
const FAULTS_MAX: u32 = 1_000;
/// How many times of a fault that comes and goes.
const ROUNDS_MAX: u32 = 100;

/// What is wrong with a name.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NameError {
    /// It is of no form that there is.
    #[error("{text:?} is no decision; {form}", text = .0, form = form_of(.0))]
    Form(String),
    /// It speaks of a node that there is not.
    #[error("{text:?} speaks of {node:?}; the nodes are {nodes}")]
    Node {
        /// The name.
        text: String,
        /// What it takes for a node.
        node: String,
        /// Those there are.
        nodes: String,
    },
    /// A span of time is not one.
    #[error("{text:?} has the span {span:?}; one is written 300 ms, 1.5 s, 20 us or 7 ns")]
    Span {
        /// The name.
        text: String,
        /// What stands for a span.
        span: String,
    },
}

/// What is written instead of something that is no decision: one that begins with the same word, if there is one.
fn form_of(text: &str) -> &'static str {
    match text.split(' ').next() {
        Some("lose") => {
            "one is written `lose reply server -> client-1 of call client-1/3, attempt 1` or `lose reply #2 server -> client-1`"
        }
        Some("delay") => "one is written `delay request #2 client-1 -> server to 300 ms`",
        Some("duplicate") => {
            "one is written `duplicate request #2 client-1 -> server, after 1 ms and 250 ms`"
        }
        Some("crash") => {
            "one is written `crash server after effect 2 of request #1 from client-1` or `crash server (chance #2)`"
        }
        Some("pause" | "slow") => "one is written `pause server (chance #2)` or `slow server (chance #2)`",
        Some("partition") => "one is written `partition (chance #1)`",
        Some("fail") => "one is written `fail sync #1 of commit/1 at server`",
        Some("fault") => "one is written `fault #4 of the plan` or `fault #4 of the plan, round 2`",
        _ => "they begin with lose, delay, duplicate, crash, pause, slow, partition, fail sync or fault",
    }
}

/// A decision by its name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Named {
    pub(crate) subject: Subject,
    pub(crate) decision: Decision,
}

/// What a name decides about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Subject {
    /// Something that is found in the run by these words.
    InRun(String),
    /// A fault, whose id is known before the run.
    Fault(EventId),
}

/// The names of what is decided about in a run.
pub(crate) struct Names {
    /// The name that is written.
    by_id: BTreeMap<EventId, String>,
    /// All names that are understood, and the places of their events.
    found: BTreeMap<String, (usize, EventId)>,
}

impl Names {
    pub(crate) fn of(trace: &Trace) -> Self {
        let mut names = Self { by_id: BTreeMap::new(), found: BTreeMap::new() };
        let mut calls = BTreeMap::<EventId, String>::new();
        let mut begun = BTreeMap::<usize, u32>::new();
        let mut counts = BTreeMap::<String, u32>::new();
        for event in trace.events() {
            let call = if event.kind == Kind::Invoke {
                let number = begun.entry(event.node).or_default();
                *number += 1;
                Some(format!("{}/{number}", event.node_name))
            } else {
                calls.get(&event.by).cloned()
            };
            if let Some(call) = &call {
                calls.insert(event.id, call.clone());
            }
            let Some((word, rest)) = subject(&event) else { continue };
            let mut count = |like: String| {
                let count = counts.entry(like).or_default();
                *count += 1;
                *count
            };
            let numbered = format!("{word} #{}{rest}", count(format!("{word}{rest}")));
            let of_call = call.map(|call| {
                let like = format!("{word}{rest} of call {call}");
                let attempt = count(like.clone());
                format!("{like}, attempt {attempt}")
            });
            for name in of_call.iter().chain([&numbered]) {
                names.found.entry(name.clone()).or_insert((event.index, event.id));
            }
            names.by_id.insert(event.id, of_call.unwrap_or(numbered));
        }
        names
    }

    /// The name of a decision that was fixed in this run.
    pub(crate) fn tell(&self, nodes: &[String], id: EventId, decision: &Decision) -> Option<String> {
        let name = || self.by_id.get(&id);
        Some(match decision {
            Decision::Fate(delays) => match delays.as_slice() {
                [] => format!("lose {}", name()?),
                [delay] => format!("delay {} to {}", name()?, span(*delay)),
                delays => {
                    let delays: Vec<_> = delays.iter().map(|delay| span(*delay)).collect();
                    format!("duplicate {}, after {}", name()?, delays.join(" and "))
                }
            },
            Decision::Crash(Some(after)) => {
                let (handler, node) = name()?.rsplit_once(" at ")?;
                // Of a call: `request at server of call ...`.
                let (node, call) = node.split_once(' ').map_or((node, ""), |(node, _)| {
                    (node, &name().expect("it was there")[handler.len() + 4 + node.len()..])
                });
                format!("crash {node} after effect {after} of {handler}{call}")
            }
            Decision::Sync(Err(SyncError::Device)) => format!("fail {}", name()?),
            Decision::Strike(true) => fault_name(nodes, id)?,
            _ => return None,
        })
    }
}

/// What a line of a trace could be decided about: its first word, and the rest of its name.
fn subject(event: &Event<'_>) -> Option<(String, String)> {
    let text =
        |key: &str| event.field(key).as_ref().and_then(serde_json::Value::as_str).unwrap_or("?").to_owned();
    let action = |wanted: &str| event.field("action").is_some_and(|action| action == wanted);
    let here = event.node_name;
    Some(match event.kind {
        Kind::Send => (text("name"), format!(" {here} -> {}", text("to"))),
        Kind::Recv => (text("name"), format!(" from {} at {here}", text("from"))),
        Kind::Fire => ("timer".to_owned(), format!(" {} at {here}", text("name"))),
        Kind::Boot => ("start".to_owned(), format!(" at {here}")),
        Kind::Disk if action("synced") => ("synced".to_owned(), format!(" {} at {here}", text("name"))),
        Kind::Disk if action("failed") => ("failed".to_owned(), format!(" {} at {here}", text("name"))),
        Kind::Disk if action("sync") => ("sync".to_owned(), format!(" of {} at {here}", text("name"))),
        _ => return None,
    })
}

const BY_CHANCE: [(&str, RateKind); 4] = [
    ("crash", RateKind::Crash),
    ("pause", RateKind::Pause),
    ("slow", RateKind::Slow),
    ("partition", RateKind::Partition),
];

/// The name of a fault by its id.
fn fault_name(nodes: &[String], id: EventId) -> Option<String> {
    for ordinal in 0..FAULTS_MAX {
        for (word, kind) in BY_CHANCE {
            if kind == RateKind::Partition {
                if EventId::fault_by_chance(kind, None, ordinal) == id {
                    return Some(format!("{word} (chance #{})", ordinal + 1));
                }
                continue;
            }
            for (node, name) in (0..).map(NodeId).zip(nodes) {
                if EventId::fault_by_chance(kind, Some(node), ordinal) == id {
                    return Some(format!("{word} {name} (chance #{})", ordinal + 1));
                }
            }
        }
    }
    let (index, round) = (0..FAULTS_MAX)
        .flat_map(|index| (0..ROUNDS_MAX).map(move |round| (index, round)))
        .find(|(index, round)| EventId::fault_of_plan(*index, *round) == id)?;
    let fault = format!("fault #{} of the plan", index + 1);
    Some(if round == 0 { fault } else { format!("{fault}, round {}", round + 1) })
}

/// Reads a decision.
pub(crate) fn parse(text: &str, nodes: &[String]) -> Result<Named, NameError> {
    let form = || NameError::Form(text.to_owned());
    let (verb, rest) = text.split_once(' ').ok_or_else(form)?;
    let named = |subject: &str, decision| {
        let subject = Subject::InRun(subject.to_owned());
        Named { subject, decision }
    };
    if let Some(fault) = fault_id(text, nodes)? {
        return Ok(Named { subject: Subject::Fault(fault), decision: Decision::Strike(true) });
    }
    let named = match verb {
        "lose" => named(rest, Decision::Fate(Vec::new())),
        "delay" => {
            let (message, delay) = rest.rsplit_once(" to ").ok_or_else(form)?;
            named(message, Decision::Fate(vec![parse_span(text, delay)?]))
        }
        "duplicate" => {
            let (message, delays) = rest.rsplit_once(", after ").ok_or_else(form)?;
            let delays: Result<Vec<_>, _> =
                delays.split(" and ").map(|delay| parse_span(text, delay)).collect();
            let delays = delays?;
            // One delay is no duplicate.
            if delays.len() < 2 {
                return Err(form());
            }
            named(message, Decision::Fate(delays))
        }
        "crash" => {
            let (node, rest) = rest.split_once(" after effect ").ok_or_else(form)?;
            let (after, handler) = rest.split_once(" of ").ok_or_else(form)?;
            let after = after.parse().map_err(|_| form())?;
            let (what, call) = handler.split_at(handler.find(" of call ").unwrap_or(handler.len()));
            known(text, node, nodes)?;
            named(&format!("{what} at {node}{call}"), Decision::Crash(Some(after)))
        }
        "fail" if rest.starts_with("sync ") => named(rest, Decision::Sync(Err(SyncError::Device))),
        _ => return Err(form()),
    };
    let Subject::InRun(subject) = &named.subject else { return Ok(named) };
    let (what, call) = subject.split_at(subject.find(" of call ").unwrap_or(subject.len()));
    match named.decision {
        Decision::Fate(_) => {
            let (from, to) = what.rsplit_once(" -> ").ok_or_else(form)?;
            known(text, from.rsplit_once(' ').ok_or_else(form)?.1, nodes)?;
            known(text, to, nodes)?;
        }
        _ => {
            known(text, what.rsplit_once(" at ").ok_or_else(form)?.1, nodes)?;
        }
    }
    if let Some(call) = call.strip_prefix(" of call ") {
        let (call, attempt) = call.split_once(", attempt ").ok_or_else(form)?;
        let (node, number) = call.rsplit_once('/').ok_or_else(form)?;
        known(text, node, nodes)?;
        if !is_ordinal(number) || !is_ordinal(attempt) {
            return Err(form());
        }
    } else if !what.split(' ').any(|word| word.strip_prefix('#').is_some_and(is_ordinal)) {
        return Err(form());
    }
    Ok(named)
}

/// Whether this counts something: from 1.
fn is_ordinal(text: &str) -> bool {
    text.parse::<u32>().is_ok_and(|number| number > 0)
}

/// The id of a fault by its name; nothing if the text is no name of a fault.
fn fault_id(text: &str, nodes: &[String]) -> Result<Option<EventId>, NameError> {
    let number = |text: &str| text.parse::<u32>().ok()?.checked_sub(1);
    if let Some(place) = text.strip_prefix("fault #") {
        let (index, rest) = place.split_once(" of the plan").unwrap_or((place, "?"));
        let round = if rest.is_empty() { Some(0) } else { rest.strip_prefix(", round ").and_then(number) };
        let found = number(index).zip(round).map(|(index, round)| EventId::fault_of_plan(index, round));
        return found.map(Some).ok_or_else(|| NameError::Form(text.to_owned()));
    }
    let Some((fault, ordinal)) = text.split_once(" (chance #") else { return Ok(None) };
    let (word, node) = fault.split_once(' ').unwrap_or((fault, ""));
    let kind = BY_CHANCE.iter().find(|(name, _)| *name == word).map(|(_, kind)| *kind);
    let ordinal = ordinal.strip_suffix(')').and_then(number);
    let (kind, ordinal) = kind.zip(ordinal).ok_or_else(|| NameError::Form(text.to_owned()))?;
    let node = match kind {
        RateKind::Partition if node.is_empty() => None,
        RateKind::Partition => return Err(NameError::Form(text.to_owned())),
        _ => Some(known(text, node, nodes)?),
    };
    Ok(Some(EventId::fault_by_chance(kind, node, ordinal)))
}

fn known(text: &str, node: &str, nodes: &[String]) -> Result<NodeId, NameError> {
    let place = nodes.iter().position(|name| name == node);
    place.map(|place| NodeId(place as u32)).ok_or_else(|| NameError::Node {
        text: text.to_owned(),
        node: node.to_owned(),
        nodes: nodes.join(", "),
    })
}

/// The decision that a name means in a run; nothing if it is no name, or nothing in the run has it.
pub fn find(trace: &Trace, nodes: &[String], text: &str) -> Option<(EventId, Decision)> {
    let Named { subject, decision } = parse(text, nodes).ok()?;
    let event = match subject {
        Subject::Fault(fault) => fault,
        Subject::InRun(subject) => Names::of(trace).found.get(&subject)?.1,
    };
    Some((event, decision))
}

/// The same name in a scenario that has fewer nodes, or fewer calls of each: of a node or call that there is no more, the
/// last of its like.
pub(crate) fn fit(text: &str, nodes: &[String], calls: Option<u64>) -> String {
    let fit_node = |word: &str| -> String {
        let stem = |name: &str| name.trim_end_matches(|digit: char| digit.is_ascii_digit()).to_owned();
        let is_like = |node: &&String| stem(node) == stem(word) && !stem(word).is_empty();
        let known = nodes.iter().any(|node| node == word);
        let last = nodes.iter().rfind(is_like).filter(|_| !known);
        last.map_or_else(|| word.to_owned(), Clone::clone)
    };
    let fit_word = |word: &str| {
        let (word, comma) = word.strip_suffix(',').map_or((word, ""), |word| (word, ","));
        let call = word
            .split_once('/')
            .filter(|(node, number)| nodes.contains(&fit_node(node)) && number.parse::<u64>().is_ok());
        match call {
            Some((node, number)) => {
                let number: u64 = number.parse().expect("it was one");
                format!("{}/{}{comma}", fit_node(node), calls.map_or(number, |calls| number.min(calls)))
            }
            None => format!("{}{comma}", fit_node(word)),
        }
    };
    text.split(' ').map(fit_word).collect::<Vec<_>>().join(" ")
}

const UNITS: [(&str, Nanos); 4] = [("s", SECONDS), ("ms", MILLIS), ("us", MICROS), ("ns", 1)];

/// A span in milliseconds, exactly.
pub(crate) fn span(nanos: Nanos) -> String {
    let (whole, rest) = (nanos / MILLIS, nanos % MILLIS);
    if rest == 0 {
        return format!("{whole} ms");
    }
    let decimals = format!("{rest:06}");
    format!("{whole}.{} ms", decimals.trim_end_matches('0'))
}

fn parse_span(text: &str, written: &str) -> Result<Nanos, NameError> {
    let read = || {
        let (number, unit) = written.trim().split_once(' ')?;
        let (_, unit) = UNITS.iter().find(|(name, _)| *name == unit)?;
        let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !is_number(whole) || !is_number(decimals) {
            return None;
        }
        let scale = 10_u64.checked_pow(decimals.len() as u32).filter(|scale| unit % scale == 0)?;
        let rest = if decimals.is_empty() { 0 } else { decimals.parse::<u64>().ok()? * (unit / scale) };
        whole.parse::<u64>().ok()?.checked_mul(*unit)?.checked_add(rest)
    };
    read().ok_or_else(|| NameError::Span { text: text.to_owned(), span: written.to_owned() })
}

/// What names came to.
#[derive(Clone, Default, Debug)]
pub struct Resolved {
    /// All decisions, by event.
    pub overrides: Overrides,
    /// The names that nothing in the run has, as they were written.
    pub unmet: Vec<String>,
    /// What each decision by name is called, as it was written.
    pub(crate) texts: Vec<(EventId, Decision, String)>,
}

/// Finds in the run what these names mean, beside what is fixed by ids already. `Err` has two of them that decide the same.
pub(crate) fn resolve(
    prepared: &dyn Prepared,
    seed: u64,
    fixed: Overrides,
    names: Vec<(String, Named)>,
) -> Result<Resolved, (String, String)> {
    let mut resolved = Resolved { overrides: fixed, ..Resolved::default() };
    let mut open = Vec::new();
    for (text, Named { subject, decision }) in names {
        match subject {
            Subject::Fault(id) => resolved.fix(id, decision, text)?,
            Subject::InRun(subject) => open.push((text, subject, decision)),
        }
    }
    while !open.is_empty() {
        let names = Names::of(&traced(prepared, seed, &resolved.overrides));
        let places = open.iter().map(|(_, subject, _)| names.found.get(subject).copied());
        let first = places.enumerate().filter_map(|(index, place)| Some((place?, index))).min();
        let Some(((_, id), index)) = first else { break };
        let (text, _, decision) = open.remove(index);
        resolved.fix(id, decision, text)?;
    }
    resolved.unmet = open.into_iter().map(|(text, ..)| text).collect();
    Ok(resolved)
}

impl Resolved {
    /// What a decision was called where it was written, if it was by name.
    pub fn name(&self, of: &OverrideText) -> Option<&str> {
        let is_it =
            |(id, decision, _): &&(EventId, Decision, String)| OverrideText::from((*id, decision)) == *of;
        self.texts.iter().find(is_it).map(|(.., text)| text.as_str())
    }

    fn fix(&mut self, id: EventId, decision: Decision, text: String) -> Result<(), (String, String)> {
        if self.overrides.fixed(id, &decision).is_some() {
            let like = |(other, decided, _): &&(EventId, Decision, String)| {
                *other == id && std::mem::discriminant(decided) == std::mem::discriminant(&decision)
            };
            let other =
                self.texts.iter().find(like).map_or_else(|| id.to_string(), |(.., text)| text.clone());
            return Err((other, text));
        }
        self.overrides.set(id, decision.clone());
        self.texts.push((id, decision, text));
        Ok(())
    }
}

/// A run as a trace.
pub(crate) fn traced(prepared: &dyn Prepared, seed: u64, overrides: &Overrides) -> Trace {
    let mut bytes = Vec::new();
    let written = prepared.runner().trace(seed, overrides, &mut bytes);
    written.expect("a vector takes everything that is written");
    Trace::parse(bytes, "a run in memory").expect("what was written can be read")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes() -> Vec<String> {
        ["server", "client-1"].map(str::to_owned).to_vec()
    }

    #[test]
    fn a_span_is_exact_in_every_unit() {
        for (text, nanos) in
            [("300 ms", 300 * MILLIS), ("1.5 s", 1_500 * MILLIS), ("4.624402 ms", 4_624_402), ("7 ns", 7)]
        {
            assert_eq!(parse_span("x", text), Ok(nanos), "{text}");
            assert_eq!(parse_span("x", &span(nanos)), Ok(nanos), "{text}");
        }
        for wrong in ["", "3", "3ms", "-3 ms", "1.5 ns", "1e3 ms", "99999999999999999999 s", ". ms"] {
            assert!(parse_span("x", wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_name_says_what_is_decided_about_which_event() {
        let read = |text: &str| parse(text, &nodes());
        let lose = read("lose reply server -> client-1 of call client-1/3, attempt 1").unwrap();
        assert_eq!(lose.decision, Decision::Fate(Vec::new()));
        let crash =
            read("crash server after effect 2 of request from client-1 of call client-1/1, attempt 1");
        assert_eq!(
            crash.unwrap(),
            Named {
                subject: Subject::InRun(
                    "request from client-1 at server of call client-1/1, attempt 1".to_owned()
                ),
                decision: Decision::Crash(Some(2)),
            }
        );
        let late = read("duplicate request #1 client-1 -> server, after 1 ms and 0.25 s").unwrap();
        assert_eq!(late.decision, Decision::Fate(vec![MILLIS, 250 * MILLIS]));
        let struck = read("crash server (chance #2)").unwrap();
        let id = EventId::fault_by_chance(RateKind::Crash, Some(NodeId(0)), 1);
        assert_eq!(struck.subject, Subject::Fault(id));
        assert_eq!(fault_name(&nodes(), id).as_deref(), Some("crash server (chance #2)"));
        let planned = EventId::fault_of_plan(3, 1);
        assert_eq!(fault_name(&nodes(), planned).as_deref(), Some("fault #4 of the plan, round 2"));
        assert_eq!(fault_id("fault #4 of the plan, round 2", &nodes()), Ok(Some(planned)));
    }

    #[test]
    fn a_name_fits_a_smaller_scenario() {
        let fit = |text, calls| fit(text, &nodes(), calls);
        assert_eq!(
            fit("lose reply server -> client-3 of call client-3/2, attempt 2", Some(1)),
            "lose reply server -> client-1 of call client-1/1, attempt 2"
        );
        assert_eq!(
            fit("crash client-2 after effect 2 of timer resend/3 of call client-2/4, attempt 1", None),
            "crash client-1 after effect 2 of timer resend/3 of call client-1/4, attempt 1"
        );
        assert_eq!(
            fit("delay request #2 client-1 -> server to 300 ms", Some(1)),
            "delay request #2 client-1 -> server to 300 ms"
        );
    }

    #[test]
    fn what_is_no_name_is_refused_with_a_sentence() {
        for wrong in [
            "",
            "rain",
            "lose everything",
            "lose reply server -> client-1",
            "lose reply server -> client-1 of call 3",
            "crash server",
            "crash server (chance #0)",
            "fault #1",
            "lose reply #0 server -> client-1",
            "lose reply server -> client-1 of call client-1/0, attempt 1",
            "lose reply server -> client-1 of call client-1/1, attempt 0",
            "delay request #1 client-1 -> server",
            "duplicate request #1 client-1 -> server, after 1 ms",
            "partition server (chance #1)",
        ] {
            let error = parse(wrong, &nodes()).unwrap_err();
            assert!(matches!(error, NameError::Form(_)), "{wrong:?}: {error}");
        }
        let error = parse("lose reply #1 srever -> client-1", &nodes()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "\"lose reply #1 srever -> client-1\" speaks of \"srever\"; the nodes are server, client-1"
        );
        let error = parse("delay reply #1 server -> client-1 to 3 weeks", &nodes()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "\"delay reply #1 server -> client-1 to 3 weeks\" has the span \"3 weeks\"; one is written 300 ms, 1.5 s, 20 us or \
             7 ns"
        );
    }
}
