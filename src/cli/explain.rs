//! `explain`: the reason of a violation, or the life of one call.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use check::ledger::{CallName, Happening, Line};
use check::{Ledger, Prepared, Reproduction};
use clap::Args;
use serde::Serialize;
use serde_json::{Map, Value};
use sim::{EventId, Nanos, Overrides};

use super::error::CliError;
use super::options::{self, Settings};
use super::reason::{self, Explained};
use super::sweep::progress_bar;
use super::words::{self, count, millis, relaxed};
use super::{Console, Exit, files, report};

/// How many calls are named to somebody who asked for one that there is not.
const NAMED: usize = 12;

#[derive(Args)]
#[command(after_help = "Examples:
  snowglobe explain repro.json                                # the reason, fault by fault
  snowglobe explain rpc/s3-at-least-once --seed 2             # the same of a seed, shrunk first
  snowglobe explain repro.json --mermaid                      # as a sequence diagram
  snowglobe explain rpc/s3-at-least-once --seed 2 --calls     # every call, in a line each
  snowglobe explain rpc/s3-at-least-once --seed 2 --op c1/1   # the life of one call

A call is written c1/3, the third of client 1; c1.2/3 is the third in the client's life 2. Of a run that holds, all calls are \
listed.")]
pub(super) struct Explain {
    /// A scenario, or a reproduction (repro.json)
    #[arg(value_name = "SCENARIO or REPRO")]
    scenario: String,
    /// The seed, decimal or 0x and hexadecimal
    #[arg(long, value_name = "N", default_value = "0", value_parser = options::seed)]
    seed: u64,
    /// The call whose life to tell
    #[arg(long, value_name = "CALL")]
    op: Option<CallName>,
    /// List all calls
    #[arg(long, conflicts_with = "op")]
    calls: bool,
    #[command(flatten)]
    settings: Settings,
    /// Fix decisions: a JSON list of overrides, or a reproduction whose overrides to take
    #[arg(long, value_name = "FILE")]
    overrides: Option<PathBuf>,
    /// How many runs to make at most to find the faults that are needed
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    runs: u64,
    /// Draw what happened as a sequence diagram
    #[arg(long, conflicts_with_all = ["json", "op", "calls"])]
    mermaid: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// What a call came to.
#[derive(Serialize)]
pub(super) struct Summary {
    call: CallName,
    asked: Value,
    /// Requests sent.
    sent: usize,
    /// Requests that arrived, copies included.
    arrived: usize,
    /// Copies among them that the network made.
    copies: usize,
    executed: usize,
    /// The entries of a replicated log that it became, by index.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    entries: BTreeMap<u64, LogEntry>,
    /// `ok`, `failed`, `unknown`; nothing if the client never concluded anything.
    status: Option<&'static str>,
    result: Option<Value>,
}

/// What came of an entry of the log that a call became.
#[derive(Serialize, Default)]
struct LogEntry {
    /// On how many servers it was applied and executed.
    executed: usize,
    /// On how many it was applied and passed over.
    passed_over: usize,
}

/// An explanation, for programs.
#[derive(Serialize)]
struct ExplainText<'a> {
    scenario: String,
    settings: Map<String, Value>,
    seed: u64,
    verdict: &'static str,
    calls: Vec<Summary>,
    life: Option<&'a [Line]>,
}

pub(super) fn explain(console: &mut Console<'_, '_>, verb: &Explain) -> Result<Exit, CliError> {
    let path = Path::new(&verb.scenario);
    if path.extension().is_some_and(|extension| extension == "json") || path.is_file() {
        return explain_reproduction(console, verb, path);
    }
    let prepared = verb.settings.prepare(options::find(console.catalogue, &verb.scenario)?)?;
    let overrides = files::overrides(verb.overrides.as_deref(), &*prepared, verb.seed)?;
    let tells_calls = verb.op.is_some() || verb.calls;
    if tells_calls || !verb.mermaid && prepared.runner().run(verb.seed, &overrides).holds() {
        return explain_calls(console, verb, &*prepared, verb.seed, &overrides);
    }
    let what = check::shrink::Shrink { seed: verb.seed, overrides, runs_max: verb.runs, jobs: 0 };
    console.streams.catch_interrupt();
    let stop = console.streams.stop();
    let bar = progress_bar(console.streams.progress, verb.runs);
    let progress = |done| bar.set_position(done);
    let threads = |error| CliError::Threads(Box::new(error));
    let found = check::shrink::shrink(&*prepared, &what, &stop, &progress).map_err(threads)?;
    let Some(shrunk) = found else {
        bar.finish_and_clear();
        return Err(CliError::Usage(format!(
            "seed {} violates nothing: there is nothing to explain",
            verb.seed
        )));
    };
    let smaller =
        check::shrink::smaller_scenario(&*prepared, &what, &shrunk, &stop, &progress).map_err(threads)?;
    bar.finish_and_clear();
    let (prepared, shrunk) = smaller.map_or((prepared, shrunk), |smaller| (smaller.prepared, smaller.shrunk));
    let faults = reason::faults_shrunk(&shrunk);
    let decided: Vec<EventId> = shrunk.needed.iter().map(|needed| needed.mend.event).collect();
    let property = Some(shrunk.property.as_str());
    let explained = Explained::new(prepared, verb.seed, &shrunk.overrides, property, faults, &decided)?;
    say(console, verb, &explained.expect("what was shrunk is violated"))
}

/// Explains what a file says, as it says it.
fn explain_reproduction(
    console: &mut Console<'_, '_>,
    verb: &Explain,
    path: &Path,
) -> Result<Exit, CliError> {
    if !verb.settings.set.is_empty() || verb.overrides.is_some() {
        let sentence =
            "a reproduction has its settings and overrides: --set and --overrides are for a scenario";
        return Err(CliError::Usage(sentence.to_owned()));
    }
    let text = files::text(path, files::bytes(path, files::MOST)?)?;
    let read = || {
        let reproduction = Reproduction::parse(&text)?;
        let prepared = options::prepare(console.catalogue, &reproduction.scenario, &reproduction.settings)?;
        let resolved = reproduction.resolve(&*prepared)?;
        Ok((reproduction, prepared, resolved))
    };
    let (reproduction, prepared, resolved) = read().map_err(|error: CliError| error.said_by(path))?;
    let seed = reproduction.seed;
    if verb.op.is_some() || verb.calls {
        return explain_calls(console, verb, &*prepared, seed, &resolved.overrides);
    }
    let outcome = prepared.runner().run(seed, &resolved.overrides);
    for sentence in report::unmet(&resolved, &outcome.unmatched) {
        console.say(sentence);
    }
    let expected = reproduction.expect.property.as_deref();
    let first = outcome.violations.first().map(|violation| violation.property.as_str());
    let Some(property) = expected.or(first) else {
        let sentence = "the run holds: there is nothing to explain".to_owned();
        return Err(CliError::Usage(sentence).said_by(path));
    };
    let faults = reason::faults_listed(&*prepared, seed, &resolved, property)?;
    let decided: Vec<EventId> = resolved.overrides.iter().map(|(event, _)| event).collect();
    let property = property.to_owned();
    let explained = Explained::new(prepared, seed, &resolved.overrides, Some(&property), faults, &decided)?;
    if let Some(explained) = explained {
        return say(console, verb, &explained);
    }
    let found = first.map_or("the run holds".to_owned(), |first| format!("{first} is violated"));
    let what = format!("expected a violation of {property}, but {found}");
    Err(CliError::NotTheSame { path: path.to_owned(), what })
}

fn say(console: &mut Console<'_, '_>, verb: &Explain, explained: &Explained) -> Result<Exit, CliError> {
    if verb.json {
        report::json(console.streams.out, &explained.text)?;
    } else if verb.mermaid {
        explained.mermaid(console.streams.out)?;
    } else {
        explained.write(console.streams.out)?;
    }
    Ok(Exit::Holds)
}

fn explain_calls(
    console: &mut Console<'_, '_>,
    verb: &Explain,
    prepared: &dyn Prepared,
    seed: u64,
    overrides: &Overrides,
) -> Result<Exit, CliError> {
    let Some((outcome, ledger)) = prepared.runner().ledger(seed, overrides) else {
        return Err(CliError::Usage(format!("{} has no calls to explain", prepared.name())));
    };
    let life = match verb.op {
        Some(call) => Some(ledger.life(call).ok_or_else(|| no_such_call(call, &ledger))?),
        None => None,
    };
    let wanted = |call: &CallName| verb.op.is_none_or(|op| op == *call);
    let calls = ledger.calls().filter(|(call, _)| wanted(call)).map(|(call, lines)| Summary::of(call, lines));
    let text = ExplainText {
        scenario: prepared.name(),
        settings: prepared.changes(),
        seed,
        verdict: words::verdict(outcome.holds()),
        calls: calls.collect(),
        life,
    };
    if verb.json {
        report::json(console.streams.out, &text)?;
        return Ok(Exit::Holds);
    }
    let out = &mut *console.streams.out;
    writeln!(out, "{}  seed {}  {}", text.scenario, text.seed, text.verdict)?;
    match life {
        Some(lines) => tell(out, &text.calls[0], lines, prepared)?,
        None => list(out, &text.calls)?,
    }
    Ok(Exit::Holds)
}

fn no_such_call(call: CallName, ledger: &Ledger) -> CliError {
    let names: Vec<String> = ledger.calls().map(|(call, _)| call.to_string()).collect();
    let shown = names[..names.len().min(NAMED)].join(", ");
    let more = if names.len() > NAMED { format!(" and {} more", names.len() - NAMED) } else { String::new() };
    CliError::Usage(format!("there is no call {call} in this run; there are {shown}{more}"))
}

impl Summary {
    pub(super) fn of(call: CallName, lines: &[Line]) -> Self {
        let counted = |is: fn(&Happening) -> bool| lines.iter().filter(|line| is(&line.what)).count();
        let asked = lines.iter().find_map(|line| match &line.what {
            Happening::Called { call } => Some(content(call).clone()),
            _ => None,
        });
        let concluded = lines.iter().find_map(|line| match &line.what {
            Happening::Concluded { status, result } => Some((*status, result.clone())),
            _ => None,
        });
        let (status, result) = concluded.unzip();
        let entries = entries(lines);
        Self {
            call,
            asked: asked.unwrap_or_default(),
            sent: counted(|what| matches!(what, Happening::Sent { .. })),
            arrived: counted(|what| matches!(what, Happening::Arrived { .. })),
            copies: counted(|what| matches!(what, Happening::Arrived { copy: 1.., .. })),
            executed: counted(|what| matches!(what, Happening::Executed { .. }))
                + entries.values().filter(|entry| entry.executed > 0).count(),
            entries,
            status,
            result,
        }
    }

    fn concluded(&self) -> String {
        match (self.status, &self.result) {
            (Some(status), Some(result)) => format!("{status}: {}", relaxed(result)),
            _ => "nothing: it never returned".to_owned(),
        }
    }
}

/// Those of the log that a call became, and what came of them.
fn entries(lines: &[Line]) -> BTreeMap<u64, LogEntry> {
    let mut entries: BTreeMap<u64, LogEntry> = BTreeMap::new();
    for line in lines {
        match line.what {
            Happening::Logged { index, .. } => {
                entries.entry(index).or_default();
            }
            Happening::Applied { index, .. } => entries.entry(index).or_default().executed += 1,
            Happening::PassedOver { index, .. } => entries.entry(index).or_default().passed_over += 1,
            _ => {}
        }
    }
    entries
}

/// What was called, of a note that says who called what.
fn content(note: &Value) -> &Value {
    note.pointer("/call/call").unwrap_or(note)
}

fn list(out: &mut dyn Write, calls: &[Summary]) -> Result<(), CliError> {
    let columns = ["call", "asked", "sent", "arrived", "copies", "executed", "the client concluded"];
    let mut rows = vec![columns.map(str::to_owned).to_vec()];
    rows.extend(calls.iter().map(|summary| {
        let Summary { call, asked, sent, arrived, copies, executed, .. } = summary;
        let numbers = [*sent, *arrived, *copies, *executed].map(|number| number.to_string());
        let mut row = vec![call.to_string(), relaxed(asked)];
        row.extend(numbers);
        row.push(summary.concluded());
        row
    }));
    Ok(write!(out, "\n{}", words::table(&rows))?)
}

pub(super) fn tell(
    out: &mut dyn Write,
    summary: &Summary,
    lines: &[Line],
    prepared: &dyn Prepared,
) -> Result<(), CliError> {
    let Summary { call, asked, sent, arrived, copies, executed, entries, .. } = summary;
    writeln!(out, "call        {call}, {}", relaxed(asked))?;
    writeln!(out, "sent        {}", count(*sent as u64, "time"))?;
    writeln!(
        out,
        "arrived     {}, {copies} of them copies that the network made",
        count(*arrived as u64, "time")
    )?;
    writeln!(out, "executed    {}", count(*executed as u64, "time"))?;
    if !entries.is_empty() {
        let in_words: Vec<String> = entries.iter().map(|(index, entry)| entry.in_words(*index)).collect();
        writeln!(out, "in the log  {}", in_words.join("; "))?;
    }
    writeln!(out, "concluded   {}", summary.concluded())?;
    writeln!(out)?;
    let name = |node: u32| prepared.nodes()[node as usize].as_str();
    let who = |line: &Line| {
        let here = name(line.node);
        match &line.what {
            Happening::Sent { to, .. } | Happening::Replied { to, .. } | Happening::Redirected { to, .. } => {
                format!("{here} -> {}", name(*to))
            }
            Happening::Arrived { from, .. }
            | Happening::ReplyArrived { from, .. }
            | Happening::RedirectArrived { from } => format!("{here} <- {}", name(*from)),
            _ => here.to_owned(),
        }
    };
    let whos: Vec<String> = lines.iter().map(who).collect();
    let times: Vec<String> = lines.iter().map(|line| millis(line.t)).collect();
    let width = |texts: &[String]| texts.iter().map(|text| text.chars().count()).max().unwrap_or(0);
    let (time_width, who_width) = (width(&times), width(&whos));
    for ((line, time), who) in lines.iter().zip(&times).zip(&whos) {
        writeln!(out, "{time:>time_width$}  {who:who_width$}  {}", what(&line.what, &name))?;
    }
    Ok(())
}

impl LogEntry {
    fn in_words(&self, index: u64) -> String {
        let servers = |number: usize| count(number as u64, "server");
        match (self.executed, self.passed_over) {
            (0, 0) => format!("entry {index}, never applied"),
            (executed, 0) => format!("entry {index}, executed by {}", servers(executed)),
            (0, passed) => format!("entry {index}, passed over by {}", servers(passed)),
            (executed, passed) => {
                format!("entry {index}, executed by {} and passed over by {passed}", servers(executed))
            }
        }
    }
}

fn what<'n>(what: &Happening, name: &dyn Fn(u32) -> &'n str) -> String {
    match what {
        Happening::Called { call } => format!("calls {}", relaxed(content(call))),
        Happening::Sent { resend: 0, fate, .. } => format!("request{}", lost(fate)),
        Happening::Sent { resend, fate, .. } => format!("request, resend {resend}{}", lost(fate)),
        Happening::Arrived { resend, copy, .. } => match (resend, copy) {
            (0, 0) => "the original arrives".to_owned(),
            (resend, 0) => format!("resend {resend} arrives"),
            (0, _) => "a copy of the original arrives, made by the network".to_owned(),
            (resend, _) => format!("a copy of resend {resend} arrives, made by the network"),
        },
        Happening::Decided { decision } => format!("decides: {}", decision.words()),
        Happening::Executed { time: 1 } => "executes it".to_owned(),
        Happening::Executed { time } => format!("executes it again, {time} times in all"),
        Happening::Replied { fate, .. } => format!("reply{}", lost(fate)),
        Happening::ReplyArrived { copy: 0, .. } => "the reply arrives".to_owned(),
        Happening::ReplyArrived { .. } => "a copy of the reply arrives, made by the network".to_owned(),
        Happening::Logged { decision, index, term } => {
            format!("decides: {}; it becomes entry {index}, of term {term}", decision.words())
        }
        Happening::Removed { index } => {
            format!("removes entry {index}: the leader's log has something else there")
        }
        Happening::Applied { index, time: 1 } => format!("entry {index} is committed: executes it"),
        Happening::Applied { index, time } => {
            format!("entry {index} is committed: executes it again, {time} times in all")
        }
        Happening::PassedOver { index, executed: Some(first) } if first < index => {
            format!("entry {index} is committed: passes it over, entry {first} was the same call")
        }
        Happening::PassedOver { index, .. } => format!("entry {index} is committed: passes it over"),
        Happening::TookOver { index } => format!("takes over a state up to entry {index}, which has it"),
        Happening::Redirected { leader: Some(leader), fate, .. } => {
            format!("redirect: {} leads{}", name(*leader), lost(fate))
        }
        Happening::Redirected { leader: None, fate, .. } => {
            format!("redirect: who leads is not known{}", lost(fate))
        }
        Happening::RedirectArrived { .. } => "the redirect arrives".to_owned(),
        Happening::Dropped { mail, reason } => format!("a {mail} comes to nothing: {reason}"),
        Happening::Crashed => "crashes".to_owned(),
        Happening::Concluded { status, result } => format!("concludes {status}: {}", relaxed(result)),
    }
}

fn lost(fate: &[Nanos]) -> &'static str {
    match fate.len() {
        0 => "  (lost)",
        1 => "",
        _ => "  (arrives twice)",
    }
}
