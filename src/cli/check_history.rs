//! `check-history`: whether one copy of the data could have shown clients what a file says they saw.

use std::fmt::Write;
use std::path::PathBuf;

use check::linearizability::models::{Model, Reply, State, Value};
use check::linearizability::{Checked, HistoryFile, Partial, Verdict};
use clap::Args;
use clap::builder::PossibleValuesParser;
use serde::Serialize;

use super::error::CliError;
use super::words::{count, table};
use super::{Console, Exit, files, report};

/// How much of an order is shown to a person.
const SHOWN: usize = 12;

#[derive(Args)]
#[command(after_help = "\
The file has one JSON object a line, such as
  {\"process\":0,\"type\":\"invoke\",\"f\":\"write\",\"key\":\"x\",\"value\":1,\"time\":100}
  {\"process\":0,\"type\":\"ok\",\"f\":\"write\",\"key\":\"x\",\"value\":1,\"time\":200}
\"type\" is invoke, ok, fail (it certainly had no effect) or info (nobody knows); without an end nobody knows either.
\"key\" may be left out. \"time\" is a whole number in all lines, or in none: then the order of lines is that of time.

Models, and the \"f\" of each:
  register      read, write
  cas-register  read, write, cas with a value of [old, new]
  kv            read, write, cas, append to a list or a text
  counter       read, add, add-and-get
  bank          read, transfer of {\"from\", \"to\", \"amount\"}, deposit of {\"account\", \"amount\"}
  versioned-kv  read of {\"version\", \"value\"}, write, cas of {\"version\", \"value\"}
A first line of {\"type\":\"initial\",\"value\":...} says what was there before.

Exit codes: 0 it is linearizable; 1 it is not, or the budget was too small to know (the answer says which); 2 the file
makes no sense.

Examples:
  snowglobe check-history history.jsonl --model kv
  snowglobe check-history history.jsonl --model register --json")]
pub(super) struct CheckHistory {
    /// The history: one JSON object a line
    file: PathBuf,
    /// The data that it is about
    #[arg(long, value_parser = PossibleValuesParser::new(Model::ALL.map(Model::name)))]
    model: String,
    /// Give up after trying so many operations: the same on every machine
    #[arg(long, value_name = "STEPS", default_value_t = 10_000_000)]
    budget: u64,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(super) fn check_history(console: &mut Console<'_, '_>, verb: &CheckHistory) -> Result<Exit, CliError> {
    let model = Model::of_name(&verb.model).expect("only names of models are accepted");
    let text = files::text(&verb.file, files::bytes(&verb.file, files::MOST)?)?;
    let history =
        HistoryFile::parse(&text, model).map_err(|error| CliError::from(error).said_by(&verb.file))?;
    if history.operations.is_empty() && history.failed == 0 {
        return Err(CliError::Usage("it has no operations to judge".to_owned()).said_by(&verb.file));
    }
    let checked = history.check(verb.budget);
    if verb.json {
        report::json(console.streams.out, &CheckedText::new(verb, &history, &checked))?;
    } else {
        let told = tell(verb, &history, &checked);
        console.streams.out.write_all(told.as_bytes())?;
    }
    Ok(Exit::holds(checked.verdict.is_linearizable()))
}

/// The answer in words.
fn tell(verb: &CheckHistory, history: &HistoryFile, checked: &Checked<Value, State>) -> String {
    let about = format!(
        "{}, {} of unknown outcome, {} failed and left out; {}",
        count(history.operations.len() as u64, "operation"),
        history.unknown(),
        history.failed,
        count(checked.steps, "step")
    );
    let file = verb.file.display();
    match &checked.verdict {
        Verdict::Linearizable { .. } => format!("{file}: linearizable as {} ({about})\n", verb.model),
        Verdict::Violated { key, partials } => {
            let mut text = format!("{file}: not linearizable as {} ({about})\n", verb.model);
            let of_key = match key {
                Value::Nothing => String::new(),
                key => format!(" of key {key}"),
            };
            let _ = writeln!(text, "\nNo order explains the operations{of_key}.");
            for (number, partial) in partials.iter().enumerate() {
                text += &tell_partial(history, partial, number == 0);
            }
            text
        }
        Verdict::Undecided { keys } => {
            let keys: Vec<String> = match keys.as_slice() {
                [Value::Nothing] => Vec::new(),
                keys => keys.iter().map(|key| format!(" key {key}")).collect(),
            };
            let (of_keys, rest) = match keys.len() {
                0 => (String::new(), ""),
                _ => (format!(" for{}", keys.join(",")), "; all other keys are linearizable"),
            };
            let steps = count(verb.budget, "step");
            let small = format!("a budget of {steps} is too small{of_keys}{rest}");
            format!("{file}: undecided as {}: {small} ({about})\nTry a larger --budget.\n", verb.model)
        }
    }
}

/// An order that does not go on, in words.
fn tell_partial(history: &HistoryFile, partial: &Partial<State>, first: bool) -> String {
    let which = if first { "The longest order found" } else { "Another that is as long" };
    let mut text = match partial.order.len() {
        0 => format!("{which} is empty: the state is {}.\n", partial.state),
        more => format!("{which} has {}:\n", count(more as u64, "operation")),
    };
    if !partial.order.is_empty() {
        let hidden = partial.order.len().saturating_sub(SHOWN);
        if hidden > 0 {
            let _ =
                writeln!(text, "  ... {} before these; --json has them", count(hidden as u64, "operation"));
        }
        text += &operations(history, &partial.order[hidden..]);
        let _ = writeln!(text, "It leads to the state {}.", partial.state);
    }
    text += match partial.blocked.len() {
        1 => "This operation must come next, and cannot:\n",
        _ => "One of these operations must come next, and none can:\n",
    };
    text + &operations(history, &partial.blocked)
}

fn operations(history: &HistoryFile, indices: &[usize]) -> String {
    let row = |index: &usize| {
        let OperationText { line, process, call, reply } = OperationText::new(history, *index);
        let reply = reply.unwrap_or_else(|| "unknown".to_owned());
        vec![format!("  line {line}"), format!("process {process}"), format!("{call} -> {reply}")]
    };
    table(&indices.iter().map(row).collect::<Vec<_>>())
}

/// The answer for programs.
#[derive(Serialize)]
struct CheckedText<'a> {
    file: String,
    model: &'a str,
    /// `linearizable`, `violated` or `undecided`.
    verdict: &'static str,
    operations: usize,
    unknown: usize,
    failed: usize,
    steps: u64,
    budget: u64,
    /// An order that explains everything, by the lines of the invocations.
    order: Option<Vec<usize>>,
    /// The key that is violated, as it would be told.
    key: Option<String>,
    /// The longest orders that explain a part.
    partials: Vec<PartialText>,
    /// The keys that are not decided.
    undecided: Vec<String>,
}

#[derive(Serialize)]
struct PartialText {
    order: Vec<OperationText>,
    state: String,
    blocked: Vec<OperationText>,
}

#[derive(Serialize)]
struct OperationText {
    /// Where it was invoked.
    line: usize,
    process: String,
    call: String,
    /// None if its outcome is unknown.
    reply: Option<String>,
}

impl<'a> CheckedText<'a> {
    fn new(verb: &'a CheckHistory, history: &HistoryFile, checked: &Checked<Value, State>) -> Self {
        let mut text = Self {
            file: verb.file.display().to_string(),
            model: &verb.model,
            verdict: "linearizable",
            operations: history.operations.len(),
            unknown: history.unknown(),
            failed: history.failed,
            steps: checked.steps,
            budget: verb.budget,
            order: None,
            key: None,
            partials: Vec::new(),
            undecided: Vec::new(),
        };
        let all =
            |indices: &[usize]| indices.iter().map(|index| OperationText::new(history, *index)).collect();
        match &checked.verdict {
            Verdict::Linearizable { order } => {
                text.order = Some(order.iter().map(|index| history.entries[*index].invoked).collect());
            }
            Verdict::Violated { key, partials } => {
                text.verdict = "violated";
                text.key = (*key != Value::Nothing).then(|| key.to_string());
                let partial = |partial: &Partial<State>| PartialText {
                    order: all(&partial.order),
                    state: partial.state.to_string(),
                    blocked: all(&partial.blocked),
                };
                text.partials = partials.iter().map(partial).collect();
            }
            Verdict::Undecided { keys } => {
                text.verdict = "undecided";
                text.undecided = keys.iter().map(Value::to_string).collect();
            }
        }
        text
    }
}

impl OperationText {
    fn new(history: &HistoryFile, index: usize) -> Self {
        let (operation, entry) = (&history.operations[index], &history.entries[index]);
        let reply = operation.returned.as_ref().map(|(_, reply): &(_, Reply)| reply.to_string());
        Self { line: entry.invoked, process: entry.process.clone(), call: operation.call.to_string(), reply }
    }
}
