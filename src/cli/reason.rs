//! The reason of a violation: what was violated, the chain of causes from the first fault to it, the life of the calls
//! involved, and for each fault what happens without it.
//!
//! The chain is what lies both after the first fault and before the evidence, with the evidence that is older. A message
//! that was lost causes nothing, so those that left the chain and had not arrived are told too. Where nothing but the order
//! of steps decides, the steps of all tasks are told, one after the other. Of a long chain the steps are told that say most:
//! what was decided and what shows the violation, what these follow from, and the calls involved.

use std::collections::BTreeSet;
use std::io::Write;

use check::names::Resolved;
use check::shrink::{Needed, Shrunk};
use check::{CallName, Ledger, OtherwiseText, Outcome, Prepared};
use serde::Serialize;
use serde_json::{Map, Value};
use sim::{EventId, Overrides};
use traces::{Causality, Event, Kind, Trace};

use super::error::CliError;
use super::steps::Steps;
use super::words::{count, millis, setting};
use super::{explain, files, story};

/// How many steps of the chain are told.
const STEPS_MAX: usize = 48;
/// How many lives of calls.
const CALLS_MAX: usize = 4;
/// A diagram with more messages than this is drawn badly, or not at all.
const ARROWS_MAX: usize = 60;

/// A run that is explained.
pub(super) struct Explained {
    prepared: Box<dyn Prepared>,
    trace: Trace,
    ledger: Option<Ledger>,
    pub(super) text: Text,
}

/// The explanation, for programs.
#[derive(Serialize)]
pub(super) struct Text {
    scenario: String,
    settings: Map<String, Value>,
    seed: u64,
    property: String,
    detail: String,
    otherwise: OtherwiseText,
    faults: Vec<FaultText>,
    /// How many steps the chain has; `chain` has those of them that say most.
    steps: usize,
    chain: Vec<Step>,
    calls: Vec<CallText>,
    digest: String,
}

/// A fault that is listed.
#[derive(Serialize)]
pub(super) struct FaultText {
    fault: String,
    time: u64,
    /// What happens without it: "holds", or what else is violated.
    without: String,
}

/// One step of the chain of causes.
#[derive(Serialize)]
pub(super) struct Step {
    t: u64,
    id: String,
    /// Whether a fault decided it.
    fault: bool,
    /// Whether the violation names it.
    evidence: bool,
    who: String,
    what: String,
    why: String,
    #[serde(skip)]
    place: usize,
    /// How many steps before it are not told.
    #[serde(skip)]
    skipped: usize,
}

/// The life of a call.
#[derive(Serialize)]
struct CallText {
    call: CallName,
    life: Vec<check::ledger::Line>,
}

impl Explained {
    /// Explains what violates this property in a run; none if nothing does.
    pub(super) fn new(
        prepared: Box<dyn Prepared>,
        seed: u64,
        overrides: &Overrides,
        property: Option<&str>,
        faults: Vec<FaultText>,
        decided: &[EventId],
    ) -> Result<Option<Self>, CliError> {
        let name = prepared.name();
        let (outcome, trace) = files::remembered(&*prepared, seed, overrides, &name)?;
        let is_it =
            |violation: &&sim::Violation| property.is_none_or(|property| violation.property == property);
        let Some(violation) = outcome.violations.iter().find(is_it) else { return Ok(None) };
        let ledger = prepared.runner().ledger(seed, overrides).map(|(_, ledger)| ledger);
        let from = faults.iter().map(|fault| fault.time).min().unwrap_or(0);
        let lives =
            ledger.as_ref().map_or_else(BTreeSet::new, |ledger| lives(ledger, &violation.evidence, decided));
        let (steps, chain) = chain(&trace, &violation.evidence, decided, from, &lives);
        let calls = ledger.as_ref().map_or_else(Vec::new, |ledger| involved(ledger, &chain));
        let text = Text {
            scenario: name,
            settings: prepared.changes(),
            seed,
            property: violation.property.clone(),
            detail: violation.detail.clone(),
            otherwise: overrides.otherwise().into(),
            faults,
            steps,
            chain,
            calls,
            digest: format!("{:016x}", outcome.digest),
        };
        Ok(Some(Self { prepared, trace, ledger, text }))
    }

    /// In words.
    pub(super) fn write(&self, out: &mut dyn Write) -> Result<(), CliError> {
        let Text { scenario, settings, seed, property, detail, otherwise, faults, chain, steps, .. } =
            &self.text;
        writeln!(out, "{scenario}  seed {seed}  violated")?;
        writeln!(out, "violates    {property}: {detail}")?;
        if !settings.is_empty() {
            let settings = settings.iter().map(|(key, value)| format!("{key}={}", setting(value)));
            writeln!(out, "settings    {}", settings.collect::<Vec<_>>().join(" "))?;
        }
        writeln!(out, "otherwise   {}", otherwise.words())?;
        if faults.is_empty() {
            writeln!(out, "\nno fault is needed: delays and order alone do it")?;
        } else {
            writeln!(
                out,
                "\n{}, and the run without it:",
                if faults.len() == 1 { "the fault" } else { "each fault" }
            )?;
        }
        for fault in faults {
            writeln!(out, "{:>12}  {}", millis(fault.time), fault.fault)?;
            writeln!(out, "              without it: {}", fault.without)?;
        }
        let told = if chain.len() < *steps {
            format!("{} of {}", chain.len(), count(*steps as u64, "step"))
        } else {
            count(*steps as u64, "step")
        };
        writeln!(out, "\nhow it came to it, {told}:")?;
        let width = |text: fn(&Step) -> usize| chain.iter().map(text).max().unwrap_or(0);
        let who_width = width(|step| step.who.chars().count());
        let what_width = width(|step| step.what.chars().count()).min(64);
        let time_width = width(|step| millis(step.t).len());
        for step in chain {
            let mark = match (step.fault, step.evidence) {
                (true, _) => '!',
                (_, true) => '*',
                _ => ' ',
            };
            if step.skipped > 0 {
                writeln!(out, "  ... {}", count(step.skipped as u64, "step"))?;
            }
            let time = millis(step.t);
            let line = format!(
                "{mark} {time:>time_width$}  {:who_width$}  {:what_width$}  {}",
                step.who, step.what, step.why
            );
            writeln!(out, "{}", line.trim_end())?;
        }
        writeln!(out, "! decided by a fault, * shows the violation")?;
        for CallText { call, .. } in &self.text.calls {
            let life = self.ledger.as_ref().and_then(|ledger| ledger.life(*call)).unwrap_or_default();
            writeln!(out, "\nthe life of {call}:")?;
            explain::tell(out, &explain::Summary::of(*call, life), life, &*self.prepared)?;
        }
        Ok(())
    }

    /// As a sequence diagram.
    pub(super) fn mermaid(&self, out: &mut dyn Write) -> Result<(), CliError> {
        writeln!(out, "sequenceDiagram")?;
        let alias = |node: &str| {
            let place = self.prepared.nodes().iter().position(|name| name == node).unwrap_or(0);
            format!("n{place}")
        };
        let used: BTreeSet<&str> = self
            .text
            .chain
            .iter()
            .flat_map(|step| step.who.split([' ']).filter(|word| !matches!(*word, "->" | "<-")))
            .collect();
        for node in self.prepared.nodes().iter().filter(|node| used.contains(node.as_str())) {
            writeln!(out, "    participant {} as {}", alias(node), escaped(node))?;
        }
        let drawn = self.text.chain.len().saturating_sub(ARROWS_MAX);
        if drawn > 0 {
            writeln!(out, "    Note over n0: {drawn} earlier steps are not drawn")?;
        }
        for step in &self.text.chain[drawn..] {
            let event = self.trace.event(step.place);
            let line = match event.kind {
                Kind::Send if is_lost(&event) => {
                    let (from, to) = step.who.split_once(" -> ").unwrap_or((&step.who, "?"));
                    format!("{}-x{}: {}", alias(from), alias(to), escaped(&step.what))
                }
                // Drawn where it arrives.
                Kind::Send => continue,
                Kind::Recv | Kind::Drop => {
                    let (to, from) = step.who.split_once(" <- ").unwrap_or((&step.who, "?"));
                    let arrow = if event.kind == Kind::Drop { "-x" } else { "->>" };
                    format!("{}{arrow}{}: {}", alias(from), alias(to), escaped(&step.what))
                }
                _ => format!("Note over {}: {}", alias(event.node_name), escaped(&step.what)),
            };
            writeln!(out, "    {line}")?;
        }
        let last = self
            .text
            .chain
            .last()
            .map_or("n0".to_owned(), |step| alias(self.trace.event(step.place).node_name));
        writeln!(out, "    Note over {last}: violated: {}", escaped(&self.text.property))?;
        Ok(())
    }
}

/// What mermaid would read as more than text.
fn escaped(text: &str) -> String {
    let escape = |letter: char| match letter {
        '#' => "#35;".to_owned(),
        ';' => "#59;".to_owned(),
        '\n' => " ".to_owned(),
        letter => letter.to_string(),
    };
    text.chars().map(escape).collect()
}

fn is_lost(event: &Event<'_>) -> bool {
    event.field("fate").is_some_and(|fate| fate.as_array().is_some_and(Vec::is_empty))
}

/// What happens without each decision that a reproduction lists.
pub(super) fn faults_listed(
    prepared: &dyn Prepared,
    seed: u64,
    resolved: &Resolved,
    property: &str,
) -> Result<Vec<FaultText>, CliError> {
    let name = prepared.name();
    let trace = files::remembered(prepared, seed, &resolved.overrides, &name)?.1;
    let steps = Steps::of(&trace);
    let mut faults = Vec::new();
    for (event, decision) in resolved.overrides.iter() {
        let mut without = resolved.overrides.clone();
        without.unset(event, decision);
        let outcome = prepared.runner().run(seed, &without);
        let text = check::OverrideText::from((event, decision));
        let name = resolved.name(&text).map(str::to_owned);
        let name = name.or_else(|| steps.pick(&trace, event, decision));
        let name = name.unwrap_or_else(|| format!("decision about {event}"));
        let line = trace.find(event).next().or_else(|| trace.events().find(|line| line.by == event));
        let time = line.map_or(0, |event| event.t);
        faults.push(FaultText { fault: name, time, without: what_else(&outcome, property) });
    }
    faults.sort_by_key(|fault| fault.time);
    Ok(faults)
}

/// The faults that shrinking left.
pub(super) fn faults_shrunk(shrunk: &Shrunk) -> Vec<FaultText> {
    let text = |needed: &Needed| FaultText {
        fault: needed.name.clone(),
        time: needed.mend.time,
        without: needed
            .without
            .as_ref()
            .map_or_else(|| "not tried".to_owned(), |outcome| what_else(outcome, &shrunk.property)),
    };
    shrunk.needed.iter().map(text).collect()
}

/// What came of a run in which a fault was taken away.
fn what_else(outcome: &Outcome, property: &str) -> String {
    let same = outcome.violations.iter().find(|violation| violation.property == property);
    match same.or(outcome.violations.first()) {
        None => "holds".to_owned(),
        Some(violation) if violation.property == property => format!("violates {property} all the same"),
        Some(violation) => format!("violates {}: {}", violation.property, violation.detail),
    }
}

/// How many steps there are from the first fault to the evidence, and those of them that are told.
fn chain(
    trace: &Trace,
    evidence: &[EventId],
    decided: &[EventId],
    from: u64,
    lives: &BTreeSet<EventId>,
) -> (usize, Vec<Step>) {
    let causality = Causality::of(trace);
    let shows: BTreeSet<usize> =
        evidence.iter().flat_map(|id| trace.find(*id)).map(|event| event.index).collect();
    let steps = by_schedule(trace, &shows, decided).then(|| Steps::of(trace));
    let past: BTreeSet<usize> = if shows.is_empty() || steps.is_some() {
        (0..trace.len()).collect()
    } else {
        causality.past_of_all(shows.iter().copied()).into_iter().collect()
    };
    let end = past.last().copied().unwrap_or(0);
    let is_decided = |event: &Event<'_>| {
        decided.contains(&event.id)
            || decided.contains(&event.by) && matches!(event.kind, Kind::Crash | Kind::Fault)
    };
    let first = trace.events().find(|event| is_decided(event)).map_or(0, |event| event.index);
    // Where it is only a fate that was decided, what was sent explains what did not come.
    let begin = trace.events().find(|event| event.t >= from).map_or(0, |event| event.index).min(first);
    let opened = causality
        .causes(trace.event(begin).id)
        .into_iter()
        .find(|place| trace.event(*place).kind == Kind::Invoke)
        .unwrap_or(begin)
        .min(begin);
    let opened = if steps.is_some() { 0 } else { opened };
    let missed = |event: &Event<'_>| {
        event.kind == Kind::Send
            && is_lost(event)
            && causality.cause(event.index).is_some_and(|cause| past.contains(&cause))
    };
    let quiet = |event: &Event<'_>| match event.kind {
        Kind::Timer | Kind::Check | Kind::Pick => true,
        Kind::Task => steps.is_none(),
        _ => steps.is_none() && story::is_step(trace, event.index),
    };
    // What shows the violation may be older than the fault: the first of two executions.
    let places: Vec<usize> = (0..=end)
        .filter(|place| {
            let event = trace.event(*place);
            let is_step = past.contains(place) || missed(&event) || is_decided(&event);
            shows.contains(place) || *place >= opened && is_step && !quiet(&event)
        })
        .collect();
    let causes: BTreeSet<usize> =
        evidence.iter().chain(decided).flat_map(|id| causality.causes(*id)).collect();
    let rank = |place: usize| {
        let event = trace.event(place);
        match () {
            () if shows.contains(&place) || is_decided(&event) => 0,
            // What came of a fault, such as a copy that arrives late, causes what shows the violation by its place alone.
            () if causes.contains(&place) || decided.contains(&event.by) => 1,
            () if lives.contains(&event.id) => 2,
            () => 3,
        }
    };
    // Of those that say as much, the last.
    let mut told: Vec<usize> = (0..places.len()).collect();
    told.sort_by_key(|index| (rank(places[*index]), std::cmp::Reverse(*index)));
    told.truncate(STEPS_MAX);
    told.sort_unstable();
    let skipped = |at: usize| told[at] - if at == 0 { 0 } else { told[at - 1] + 1 };
    let step = |(at, index): (usize, &usize)| {
        let place = &places[*index];
        let event = trace.event(*place);
        let (who, what) = story::words(&event);
        let name = steps.as_ref().filter(|_| event.kind == Kind::Fire).and_then(|steps| steps.name(event.id));
        let why = match &steps {
            Some(steps) if name.is_some() => {
                steps.woken_by(&event).map_or_else(String::new, |task| format!("woken by {task}"))
            }
            // It follows the step, or the start, in which it was asked for.
            Some(_) if matches!(event.kind, Kind::Task | Kind::Note) => String::new(),
            _ => why(trace, &causality, &event),
        };
        let what = name.unwrap_or(what);
        Step {
            t: event.t,
            id: event.id.to_string(),
            fault: is_decided(&event),
            evidence: shows.contains(place),
            who,
            what,
            why,
            place: *place,
            skipped: skipped(at),
        }
    };
    (places.len(), told.iter().enumerate().map(step).collect())
}

/// Whether it is the order of steps that has to be told: some of it was fixed, or nothing else was decided, and what shows the
/// violation is no more than that a program began.
fn by_schedule(trace: &Trace, shows: &BTreeSet<usize>, decided: &[EventId]) -> bool {
    let begins = |place: &usize| trace.event(*place).kind == Kind::Boot;
    let only_begins = !shows.is_empty() && shows.iter().all(begins);
    trace.events().any(|event| event.kind == Kind::Pick)
        || decided.is_empty() && only_begins && trace.events().any(|event| event.kind == Kind::Task)
}

/// Why an event happened, in a few words.
fn why(trace: &Trace, causality: &Causality<'_>, event: &Event<'_>) -> String {
    let Some(cause) = causality.cause(event.index).map(|place| trace.event(place)) else {
        return match event.kind {
            Kind::Crash | Kind::Fault => "a fault".to_owned(),
            _ => String::new(),
        };
    };
    let at = millis(cause.t);
    match (event.kind, cause.kind) {
        (Kind::Recv | Kind::Drop, _) => format!("sent at {at}"),
        (Kind::Fire, _) => format!("set at {at}, and nothing had stopped it"),
        (Kind::Boot, _) => format!("after the crash at {at}"),
        (Kind::Crash, _) => "a fault, in the middle of what it did".to_owned(),
        (Kind::Disk, Kind::Disk) => format!("asked for at {at}"),
        // What follows at once from the line above needs no reason.
        _ if cause.index + 1 == event.index => String::new(),
        _ => {
            let (_, what) = story::words(&cause);
            let what = what.split(" {").next().unwrap_or_default();
            format!("by {what} at {at}")
        }
    }
}

/// All that happened in the calls that have to do with the evidence, or with what was decided.
fn lives(ledger: &Ledger, evidence: &[EventId], decided: &[EventId]) -> BTreeSet<EventId> {
    let is_named = |line: &check::ledger::Line| evidence.contains(&line.id) || decided.contains(&line.id);
    let of = ledger.calls().filter(|(_, lines)| lines.iter().any(is_named));
    of.flat_map(|(_, lines)| lines.iter().map(|line| line.id)).collect()
}

/// The lives of the calls that have to do with the evidence, or that took effect more than once.
fn involved(ledger: &Ledger, chain: &[Step]) -> Vec<CallText> {
    let named: BTreeSet<&str> =
        chain.iter().filter(|step| step.evidence || step.fault).map(|step| step.id.as_str()).collect();
    let has_to_do = |(_, lines): &(CallName, &[check::ledger::Line])| {
        lines.iter().any(|line| named.contains(line.id.to_string().as_str()))
    };
    let text = |(call, life): (CallName, &[check::ledger::Line])| CallText { call, life: life.to_vec() };
    ledger.calls().filter(has_to_do).take(CALLS_MAX).map(text).collect()
}
