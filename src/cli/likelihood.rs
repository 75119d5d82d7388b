//! `likelihood`: when a violation became likely.

use std::fmt;
use std::path::PathBuf;

use check::likelihood::{Curve, MILLION, Point, Step};
use clap::Args;
use serde::Serialize;
use serde_json::{Map, Value};
use traces::{Kind, Trace};

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
  snowglobe likelihood rpc/s3-at-least-once --seed 2 --set clients=1 --set calls=1 --set network=dslabs

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
    let name_step = |step: &Step| StepText {
        step: *step,
        doomed: step.after.violated == step.after.runs,
        decided: decided(&trace, step),
    };
    let text = Text {
        scenario: prepared.name(),
        settings: prepared.changes(),
        seed: verb.seed,
        property,
        samples: verb.samples,
        steps: curve.steps.iter().take(STEPS).map(name_step).collect(),
        curve,
    };
    if verb.json {
        report::json(console.streams.out, &text)?;
    } else {
        write!(console.streams.out, "{text}")?;
    }
    Ok(Exit::Holds)
}

/// What was decided at the instant of a step: what the world did, and what became of messages; if that is nothing, all
/// that happened.
fn decided(trace: &Trace, step: &Step) -> Vec<String> {
    let span = step.before.time..step.after.time;
    let all: Vec<_> = trace.events().filter(|event| span.contains(&event.t)).collect();
    let word = |key: &str, event: &traces::Event<'_>| {
        event.field(key).and_then(|value| Some(value.as_str()?.to_owned())).unwrap_or_default()
    };
    let mut told: Vec<String> = all
        .iter()
        .filter_map(|event| match event.kind {
            Kind::Crash => Some(match all.iter().rfind(|other| other.id == event.by) {
                Some(cause) => {
                    format!("crash of {} in {} {}", event.node_name, cause.word, word("name", cause))
                }
                None => format!("crash of {}", event.node_name),
            }),
            Kind::Fault => Some(format!("{} on {}", word("name", event), event.node_name)),
            Kind::Send => {
                let fate = event.field("fate")?;
                let became = match fate.as_array()?.as_slice() {
                    [] => "lost".to_owned(),
                    [delay] => format!("delivered after {}", millis(delay.as_u64()?)),
                    copies => format!("delivered {} times", copies.len()),
                };
                Some(format!("{} {} -> {} {became}", word("name", event), event.node_name, word("to", event)))
            }
            _ => None,
        })
        .collect();
    if told.is_empty() {
        told = all
            .iter()
            .map(|event| format!("{} {} on {}", event.word, word("name", event), event.node_name))
            .collect();
    }
    told.truncate(EVENTS);
    told
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
            writeln!(f, "{what} from {} on: {from} -> {to}", millis(before.time))?;
            for event in &text.decided {
                writeln!(f, "  {event}")?;
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
