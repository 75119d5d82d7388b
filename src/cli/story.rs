//! A run, or what led to its violation, told event by event.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write;

use check::{Outcome, Prepared};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sim::Overrides;
use traces::{Causality, Event, Kind, Trace};

use super::error::CliError;
use super::words::{count, millis, relaxed};

/// A run of more events than this is not told: it would take gigabytes of memory to remember, and nobody reads it.
const STEPS_MAX: u64 = 1_000_000;
/// How many lines are told of what led to a violation.
pub(super) const PAST_LINES: usize = 24;
/// How many characters are told of what a message, a call or a note contains.
const PAYLOAD_MAX: usize = 100;

/// What to tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Telling {
    /// What could have led to the violation.
    Past,
    /// What came of starts and calls of which too little came.
    Future,
    /// Everything.
    Run,
}

/// The last lines of what was asked for.
#[derive(Serialize)]
pub(super) struct Story {
    telling: Telling,
    /// How many events there were to tell.
    events: usize,
    /// The last of them.
    lines: Vec<Line>,
}

/// One event.
#[derive(Serialize)]
struct Line {
    t: u64,
    id: String,
    /// Whether the violation names it.
    evidence: bool,
    who: String,
    what: String,
}

/// The trace of a run that is known already, in memory; `None` if it is too long.
pub(super) fn remember(
    prepared: &dyn Prepared,
    overrides: &Overrides,
    outcome: &Outcome,
) -> Result<Option<Trace>, CliError> {
    if outcome.steps > STEPS_MAX {
        return Ok(None);
    }
    let name = prepared.name();
    let mut bytes = Vec::new();
    let written = prepared.runner().trace(outcome.seed, overrides, &mut bytes);
    let again = written.map_err(|error| CliError::write_trace(&name, error))?;
    if again.digest != outcome.digest {
        let (first, second) = (outcome.digest, again.digest);
        return Err(CliError::NotDeterministic { scenario: name, seed: outcome.seed, first, second });
    }
    Ok(Some(Trace::parse(bytes, &name)?))
}

impl Story {
    /// What led to the first violation; of a run without evidence, all of it.
    ///
    /// Where the evidence is nothing but beginnings, the violation is that something did not follow from them, and
    /// what followed instead is told.
    ///
    /// Otherwise it is the causal past of the evidence, and the messages that left it and had not arrived by then: a
    /// message that is lost causes nothing, but that it caused nothing is often why.
    pub(super) fn past(trace: &Trace, outcome: &Outcome, lines: usize) -> Self {
        let evidence = evidence(trace, outcome);
        let Some(last) = evidence.last() else { return Self::run(trace, outcome, lines) };
        let causality = Causality::of(trace);
        let begins = |place: &usize| matches!(trace.event(*place).kind, Kind::Invoke | Kind::Boot);
        if evidence.iter().all(begins) {
            let future = causality.future_of_all(evidence.iter().copied()).into_iter();
            let places: Vec<usize> = future.filter(|place| !is_step(trace, *place)).collect();
            return Self::tell(Telling::Future, trace, &places, &evidence, lines);
        }
        let past: BTreeSet<usize> = causality.past_of_all(evidence.iter().copied()).into_iter().collect();
        let end = trace.event(*last).t;
        let missed = |place: &usize| {
            let event = trace.event(*place);
            event.kind == Kind::Send
                && causality.cause(*place).is_some_and(|cause| past.contains(&cause))
                && Arrival::of(&event).is_none_or(|arrival| arrival.at > end)
        };
        let places: Vec<usize> = (0..=*last)
            .filter(|place| past.contains(place) || missed(place))
            .filter(|place| !is_step(trace, *place))
            .collect();
        Self::tell(Telling::Past, trace, &places, &evidence, lines)
    }

    /// The whole run.
    pub(super) fn run(trace: &Trace, outcome: &Outcome, lines: usize) -> Self {
        let places: Vec<usize> = (0..trace.len()).collect();
        Self::tell(Telling::Run, trace, &places, &evidence(trace, outcome), lines)
    }

    fn tell(
        telling: Telling,
        trace: &Trace,
        places: &[usize],
        evidence: &BTreeSet<usize>,
        lines: usize,
    ) -> Self {
        let last = &places[places.len().saturating_sub(lines)..];
        // Where the story ends: what arrives later has not arrived.
        let end =
            last.last().filter(|_| telling == Telling::Past).map_or(u64::MAX, |place| trace.event(*place).t);
        // By sender and receiver, the earliest arrival of what is sent later.
        let mut later: BTreeMap<(usize, String), u64> = BTreeMap::new();
        let mut lines: Vec<Line> = Vec::with_capacity(last.len());
        for place in last.iter().rev() {
            let event = trace.event(*place);
            let (who, mut what) = words(&event);
            if let Some(Arrival { to, at }) = Arrival::of(&event) {
                let next = later.entry((event.node, to)).or_insert(u64::MAX);
                if at > end {
                    what.push_str("  (not there yet)");
                } else if at > *next {
                    let _ = write!(what, "  (overtaken, arrives after {})", millis(at - event.t));
                }
                *next = at.min(*next);
            }
            let evidence = evidence.contains(place);
            lines.push(Line { t: event.t, id: event.id.to_string(), evidence, who, what });
        }
        lines.reverse();
        Self { telling, events: places.len(), lines }
    }

    pub(super) fn write(&self, out: &mut dyn Write) -> Result<(), CliError> {
        let (told, all) = (self.lines.len(), count(self.events as u64, "event"));
        let which = if told < self.events { format!("the last {told} of {all}") } else { all };
        match self.telling {
            Telling::Past => writeln!(out, "\nwhat led to it, {which}:")?,
            Telling::Future => writeln!(out, "\nwhat came of it, {which}:")?,
            Telling::Run => writeln!(out, "\nthe run, {which}:")?,
        }
        let times: Vec<String> = self.lines.iter().map(|line| millis(line.t)).collect();
        let time_width = times.iter().map(String::len).max().unwrap_or(0);
        let who_width = self.lines.iter().map(|line| line.who.chars().count()).max().unwrap_or(0);
        for (line, time) in self.lines.iter().zip(times) {
            let mark = if line.evidence { '*' } else { ' ' };
            writeln!(out, "{mark} {time:>time_width$}  {:who_width$}  {}", line.who, line.what)?;
        }
        if self.lines.iter().any(|line| line.evidence) {
            writeln!(out, "* shows the violation")?;
        }
        Ok(())
    }
}

/// Whether the line is a step of a task, a timer without delay, which only a story of the whole run tells.
pub(super) fn is_step(trace: &Trace, place: usize) -> bool {
    let event = trace.event(place);
    let sets_none =
        |timer: Event<'_>| timer.kind == Kind::Timer && timer.field("delay").is_some_and(|delay| delay == 0);
    match event.kind {
        Kind::Timer => sets_none(event),
        // The timer and its firing have one id.
        Kind::Fire => trace.find(event.id).any(sets_none),
        _ => false,
    }
}

/// The places of the events that the first violation names.
fn evidence(trace: &Trace, outcome: &Outcome) -> BTreeSet<usize> {
    let ids = outcome.violations.first().into_iter().flat_map(|violation| &violation.evidence);
    ids.flat_map(|id| trace.find(*id)).map(|event| event.index).collect()
}

/// Where and when a message arrives for the first time.
struct Arrival {
    to: String,
    at: u64,
}

impl Arrival {
    /// `None` if it is lost, and for what is no message.
    fn of(event: &Event<'_>) -> Option<Self> {
        #[derive(Deserialize)]
        struct Send {
            to: String,
            fate: Vec<u64>,
        }
        let Send { to, fate } = event.parse().ok().filter(|_| event.kind == Kind::Send)?;
        Some(Self { to, at: event.t.saturating_add(fate.into_iter().min()?) })
    }
}

/// Who, and what.
pub(super) fn words(event: &Event<'_>) -> (String, String) {
    let fields = event.fields();
    let text = |key: &str| fields.get(key).and_then(Value::as_str).unwrap_or("?");
    let number = |key: &str| fields.get(key).and_then(Value::as_u64).unwrap_or(0);
    let node = event.node_name;
    let name = readable(text("name"));
    let alone = |what: String| (node.to_owned(), what);
    match event.kind {
        Kind::Send => {
            let what = format!("{}{}", message(name, &fields), fate(&fields));
            (format!("{node} -> {}", text("to")), what)
        }
        Kind::Recv => (format!("{node} <- {}", text("from")), message(name, &fields)),
        Kind::Drop => {
            (format!("{node} <- {}", text("from")), format!("{name}  (dropped: {})", text("reason")))
        }
        Kind::Boot if number("incarnation") == 0 => alone("starts".to_owned()),
        Kind::Boot => alone("starts again".to_owned()),
        Kind::Crash if fields.contains_key("after") => {
            alone(format!("crashes inside a handler, after {} of its effects", number("after")))
        }
        Kind::Crash => alone("crashes".to_owned()),
        Kind::Timer => alone(format!("sets timer {name}, {}", millis(number("delay")))),
        Kind::Fire => alone(format!("timer {name} fires")),
        Kind::Fault => alone(format!("fault: {name}")),
        Kind::Invoke => alone(format!("calls {}", payload(&fields))),
        Kind::Return => alone(format!("{}: {}", returned(text("status")), payload(&fields))),
        Kind::Pick => alone(format!("{name}: {}", text("value"))),
        Kind::Check => alone(format!("{} is {}: {}", text("property"), text("verdict"), text("detail"))),
        Kind::Stream => alone(format!("{name} {}", text("peer"))),
        Kind::Disk => alone(disk(name, &fields)),
        Kind::Task => alone(format!("task {name}: {}", text("action"))),
        Kind::Note => alone(format!("notes {}", payload(&fields))),
        _ => alone(format!("{} {}", event.word, shortened(event.tail))),
    }
}

/// A label without its number, where the number is a hash.
fn readable(label: &str) -> &str {
    match label.rsplit_once('/') {
        Some((word, number)) if number.len() > 9 && number.bytes().all(|byte| byte.is_ascii_digit()) => word,
        _ => label,
    }
}

fn message(name: &str, fields: &Map<String, Value>) -> String {
    let Some(payload) = fields.get("payload") else { return name.to_owned() };
    // `request Request {id: 7}` says it twice.
    let content = match payload {
        Value::Object(map) if map.len() == 1 => map.iter().next().filter(|(key, _)| same_word(key, name)),
        _ => None,
    };
    match content.map_or(payload, |(_, content)| content) {
        Value::Null => name.to_owned(),
        Value::String(word) if same_word(word, name) => name.to_owned(),
        content => format!("{name} {}", shortened(&relaxed(content))),
    }
}

fn same_word(variant: &str, name: &str) -> bool {
    let word = name.split('/').next().unwrap_or(name);
    let letters =
        |text: &str| text.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase();
    letters(variant) == letters(word)
}

fn fate(fields: &Map<String, Value>) -> String {
    match fields.get("fate").and_then(Value::as_array).map_or(1, Vec::len) {
        0 => "  (lost)".to_owned(),
        1 => String::new(),
        2 => "  (arrives twice)".to_owned(),
        times => format!("  (arrives {times} times)"),
    }
}

fn returned(status: &str) -> &'static str {
    match status {
        "ok" => "is told",
        "fail" => "fails",
        _ => "gives up, not knowing",
    }
}

fn disk(name: &str, fields: &Map<String, Value>) -> String {
    let action = fields.get("action").and_then(Value::as_str).unwrap_or("?");
    match action {
        "write" | "append" => format!("disk: {action} {name} {}", payload(fields)),
        "lost" => {
            let changes = fields.get("changes").and_then(Value::as_u64).unwrap_or(0);
            let torn =
                if fields.get("torn") == Some(&Value::Bool(true)) { ", the first in part" } else { "" };
            format!("disk: lost {changes} unsynced changes{torn}")
        }
        _ => format!("disk: {action} {name}"),
    }
}

fn payload(fields: &Map<String, Value>) -> String {
    fields.get("payload").map_or_else(String::new, |payload| shortened(&relaxed(payload)))
}

fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(PAYLOAD_MAX).collect();
    if short.len() < text.len() {
        let _ = write!(short, " ...");
    }
    short
}
