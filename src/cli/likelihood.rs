//! `likelihood`: when a violation became likely.

use std::fmt;
use std::path::PathBuf;

use check::Prepared;
use check::likelihood::{Curve, MILLION, Point, Step};
use clap::Args;
use serde::Serialize;
use serde_json::{Map, Value};
use sim::{Decision, EventId, Overrides};
use traces::{Event, Kind, Trace};

use super::error::CliError;
use super::options::{self, Settings};
use super::sweep::{Stopwatch, progress_bar};
use super::words::{self, millis};
use super::{Console, Exit, files, report};

/// How wide the curve is drawn.
const WIDTH: u64 = 40;
/// How many steps are named.
const STEPS: usize = 3;
/// How many events of a step are told.
const EVENTS: usize = 6;

#[derive(Args)]
#[command(after_help = "Example:
  snowglobe likelihood rpc/s3-at-least-once --seed 0 \\
    --set clients=1 --set calls=1 --set network=dslabs

The run is followed to the time T, and from there on all dice are thrown anew, --samples times. A point of the curve is the \
part of these runs that violate the property, with its 95 percent interval (Wilson). Points are added where the curve jumps. \
The step is named by what was decided there: with these decisions the run was doomed, whatever the dice did later.

Exit codes: 0 if the curve was measured, 2 if the run violates nothing.")]
pub(super) struct Likelihood {
    /// The scenario; `list` shows them all
    scenario: String,
    /// The seed of a run that violates something
    #[arg(long, value_name = "N", value_parser = options::seed)]
    seed: u64,
    #[command(flatten)]
    settings: Settings,
    /// Decisions to fix besides: a JSON list of overrides, or a reproduction whose overrides to take
    #[arg(long, value_name = "FILE")]
    overrides: Option<PathBuf>,
    /// The property; the first that the run violates if not given
    #[arg(long, value_name = "NAME")]
    property: Option<String>,
    /// How many runs for each point
    #[arg(long, value_name = "N", default_value_t = 400, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    samples: u64,
    /// At how many points at most
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u64).range(2..=100_000))]
    points: u64,
    /// How many threads; as many as there are processors if not given. The result is the same
    #[arg(long, value_name = "N", default_value_t = 0)]
    jobs: usize,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// The answer, for people and for programs.
#[derive(Serialize)]
struct Text {
    scenario: String,
    settings: Map<String, Value>,
    seed: u64,
    property: String,
    samples: u64,
    curve: Curve,
    steps: Vec<StepText>,
}

/// A step, and what was decided there.
#[derive(Serialize)]
struct StepText {
    #[serde(flatten)]
    step: Step,
    /// Whether all runs violate after it.
    doomed: bool,
    /// What happened then, in words.
    decided: Vec<String>,
}

pub(super) fn likelihood(console: &mut Console<'_, '_>, verb: &Likelihood) -> Result<Exit, CliError> {
    let prepared = verb.settings.prepare(options::find(console.catalogue, &verb.scenario)?)?;
    let overrides = files::overrides(verb.overrides.as_deref(), &*prepared, verb.seed)?;
    let (outcome, trace) = files::remembered(&*prepared, verb.seed, &overrides, &verb.scenario)?;
    let violated = |name: &String| outcome.violations.iter().any(|violation| violation.property == *name);
    let property = match &verb.property {
        Some(name) if violated(name) => name.clone(),
        Some(name) => return Err(CliError::Usage(format!("seed {} does not violate {name:?}", verb.seed))),
        None => outcome.violations.first().map(|violation| violation.property.clone()).ok_or_else(|| {
            CliError::Usage(format!("seed {} violates nothing; why-not says what could", verb.seed))
        })?,
    };
    let mut instants: Vec<u64> = trace.events().map(|event| event.t).collect();
    instants.dedup();
    let what = check::likelihood::Likelihood {
        seed: verb.seed,
        overrides,
        property: property.clone(),
        instants,
        samples: verb.samples,
        points: verb.points as usize,
        jobs: verb.jobs,
    };
    console.streams.catch_interrupt();
    let stop = console.streams.stop();
    let bar = progress_bar(console.streams.progress, verb.samples * verb.points);
    let watch = Stopwatch::start();
    let curve = check::likelihood::likelihood(&*prepared, &what, &stop, &|done| bar.set_position(done))
        .map_err(|error| CliError::Threads(Box::new(error)))?;
    bar.finish_and_clear();
    console.say(watch.speed(curve.points.iter().map(|point| point.runs).sum()));
    let followed =
        Followed { prepared: &*prepared, seed: verb.seed, overrides: &what.overrides, trace: &trace };
    let name_step = |step: &Step| -> Result<StepText, CliError> {
        let doomed = step.after.violated == step.after.runs;
        Ok(StepText { step: *step, doomed, decided: followed.decided(step)? })
    };
    let text = Text {
        scenario: prepared.name(),
        settings: prepared.changes(),
        seed: verb.seed,
        property,
        samples: verb.samples,
        steps: curve.steps.iter().take(STEPS).map(name_step).collect::<Result<_, _>>()?,
        curve,
    };
    if verb.json {
        report::json(console.streams.out, &text)?;
    } else {
        write!(console.streams.out, "{text}")?;
    }
    Ok(Exit::Holds)
}

/// The run that is followed.
struct Followed<'r> {
    prepared: &'r dyn Prepared,
    seed: u64,
    overrides: &'r Overrides,
    trace: &'r Trace,
}

impl Followed<'_> {
    /// What was decided at the instant of a step, what breaks runs most often first: crashes, other faults, messages that
    /// were lost or doubled, other messages; if that is nothing, all that happened.
    fn decided(&self, step: &Step) -> Result<Vec<String>, CliError> {
        let span = step.before.time..step.after.time;
        let all: Vec<Event<'_>> = self.trace.events().filter(|event| span.contains(&event.t)).collect();
        let mut told = Vec::new();
        if step.before.time == 0 {
            let what = "what a run begins with: its kinds of fault, the clocks, when the first fault of each kind strikes";
            told.push((1, what.to_owned()));
        }
        for event in &all {
            match event.kind {
                Kind::Crash => {
                    let place = self.place(event)?;
                    told.push((0, format!("crash of {}{place}", event.node_name)));
                }
                Kind::Fault => told.push((1, format!("{} on {}", text(event, "name"), event.node_name))),
                Kind::Send => told.extend(became(event)),
                _ => {}
            }
        }
        if told.is_empty() {
            told = all.iter().map(|event| (0, format!("{} on {}", words(event), event.node_name))).collect();
        }
        told.sort_by_key(|(rank, _)| *rank);
        Ok(told.into_iter().map(|(_, text)| text).take(EVENTS).collect())
    }

    /// Between what a node crashed: what it had done last, and what it does next in the same run without the crash.
    fn place(&self, crash: &Event<'_>) -> Result<String, CliError> {
        let (event, decision) = if crash.by == EventId::ROOT {
            (crash.id, Decision::Strike(false))
        } else {
            (crash.by, Decision::Crash(None))
        };
        let mut overrides = self.overrides.clone();
        overrides.set(event, decision);
        let (_, other) = files::remembered(self.prepared, self.seed, &overrides, "without the crash")?;
        let mut before = self.trace.events().take(crash.index).rev();
        let Some(last) = before.find(|event| event.node == crash.node) else { return Ok(String::new()) };
        let same = other.find(last.id).find(|event| event.word == last.word);
        let next = same.and_then(|same| {
            other.events().skip(same.index + 1).find(|event| event.node_name == crash.node_name)
        });
        Ok(match next {
            Some(next) => format!(" between {} and {}", words(&last), words(&next)),
            None => format!(" after {}", words(&last)),
        })
    }
}

/// What became of a message, if it is a send; lost and doubled ones come before others.
fn became(event: &Event<'_>) -> Option<(u32, String)> {
    let fate = event.field("fate")?;
    let (rank, became) = match fate.as_array()?.as_slice() {
        [] => (2, "lost".to_owned()),
        [delay] => (3, format!("delivered after {}", millis(delay.as_u64()?))),
        copies => (2, format!("delivered {} times", copies.len())),
    };
    let (name, to) = (text(event, "name"), text(event, "to"));
    Some((rank, format!("{name} {} -> {to} {became}", event.node_name)))
}

/// An event in a few words: `disk log append`, `note executed`.
fn words(event: &Event<'_>) -> String {
    let mut words = vec![event.word.to_owned()];
    words.extend(["name", "action"].map(|key| text(event, key)).into_iter().filter(|text| !text.is_empty()));
    if let Some(Value::Object(note)) = event.field("payload").filter(|_| event.kind == Kind::Note) {
        words.extend(note.keys().next().cloned());
    }
    words.join(" ")
}

fn text(event: &Event<'_>, key: &str) -> String {
    event.field(key).and_then(|value| Some(value.as_str()?.to_owned())).unwrap_or_default()
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}  seed {}", self.scenario, self.seed)?;
        writeln!(f, "property    {}", self.property)?;
        let runs = words::count(self.samples, "run");
        writeln!(
            f,
            "how likely, if all dice are thrown anew from a time on; {runs} each, 95 percent intervals\n"
        )?;
        let rows: Vec<Vec<String>> = self.curve.points.iter().map(row).collect();
        write!(f, "{}", words::table(&rows))?;
        writeln!(f)?;
        for text in &self.steps {
            let Step { before, after, exact } = text.step;
            let (from, to) = (percent(before.estimate()), percent(after.estimate()));
            let what = match (text.doomed, after.estimate() > before.estimate()) {
                (true, true) => "doomed",
                (false, true) => "more likely",
                (_, false) => "less likely",
            };
            let (first, others) = text.decided.split_first().map_or(("", &[][..]), |(f, o)| (f.as_str(), o));
            writeln!(f, "{what} from {}: {first} ({from} -> {to})", millis(before.time))?;
            for event in others {
                writeln!(f, "  and {event}")?;
            }
            if !exact {
                writeln!(
                    f,
                    "  not found exactly: somewhere up to {}; give it more --points",
                    millis(after.time)
                )?;
            }
        }
        if self.steps.is_empty() {
            writeln!(f, "no step: what decided came little by little, or --samples are too few to see it")?;
        }
        if self.curve.unfinished {
            writeln!(f, "not finished: interrupted, or out of --points")?;
        }
        Ok(())
    }
}

fn row(point: &Point) -> Vec<String> {
    let full = (point.estimate() * WIDTH + MILLION / 2) / MILLION;
    let bar: String = (0..WIDTH).map(|place| if place < full { '#' } else { '.' }).collect();
    let interval = format!("{}..{}", percent(point.low), percent(point.high));
    vec![format!("{:>12}", millis(point.time)), bar, format!("{:>6}", percent(point.estimate())), interval]
}

/// Millionths as percent, with one digit.
fn percent(millionths: u64) -> String {
    let tenths = (millionths + 500) / 1_000;
    format!("{}.{}%", tenths / 10, tenths % 10)
}
