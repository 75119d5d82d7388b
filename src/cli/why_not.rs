//! `why-not`: the single decisions that would have violated something.

use std::path::PathBuf;

use check::why_not::{Near, WhyNotReport};
use check::{Expectation, OverrideText, Reproduction};
use clap::Args;
use serde::Serialize;
use serde_json::{Map, Value};

use super::error::CliError;
use super::options::{self, Settings};
use super::sweep::{Stopwatch, progress_bar};
use super::words::{self, count, millis};
use super::{Console, Exit, files, report};

#[derive(Args)]
#[command(after_help = "Examples:
  snowglobe why-not rpc/s3-at-least-once --seed 0 --set clients=1 --set calls=1 -o near.json
  snowglobe replay near.json

Each decision of the run is tried the other way, one at a time: a message is lost, comes late, or twice; one that was lost is \
delivered; a node crashes after each effect of each handler; a sync fails; a fault does not strike. Those that violate are told, \
the nearest first: the one whose run differs from this one in the fewest events.

Exit codes: 0 if no single decision violates, 1 if one does, 2 if the run itself violates something.")]
pub(super) struct WhyNot {
    /// The scenario; `list` shows them all
    scenario: String,
    /// The seed of a run that holds
    #[arg(long, value_name = "N", default_value = "0", value_parser = options::seed)]
    seed: u64,
    #[command(flatten)]
    settings: Settings,
    /// Decisions to fix besides: a JSON list of overrides, or a reproduction whose overrides to take
    #[arg(long, value_name = "FILE")]
    overrides: Option<PathBuf>,
    /// How many decisions to try at most
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    budget: usize,
    /// How many of those found to tell
    #[arg(long, value_name = "N", default_value_t = 10)]
    show: usize,
    /// Write the nearest as a file from which `replay` shows it
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
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
    decisions: u64,
    tried: u64,
    /// Of those tried, how many changed nothing.
    idle: u64,
    violating: u64,
    nearest: Vec<NearText>,
}

#[derive(Serialize)]
struct NearText {
    decision: String,
    time: u64,
    /// How many events differ.
    distance: u64,
    property: String,
    detail: String,
    overrides: Vec<OverrideText>,
    /// The command that compares the two runs.
    command: String,
}

pub(super) fn why_not(console: &mut Console<'_, '_>, verb: &WhyNot) -> Result<Exit, CliError> {
    let prepared = verb.settings.prepare(options::find(console.catalogue, &verb.scenario)?)?;
    let overrides = files::overrides(verb.overrides.as_deref(), &*prepared, verb.seed)?;
    let (outcome, trace) = files::remembered(&*prepared, verb.seed, &overrides, &verb.scenario)?;
    if let Some(violation) = outcome.violations.first() {
        let property = &violation.property;
        let sentence = format!("seed {} violates {property:?} itself; likelihood says since when", verb.seed);
        return Err(CliError::Usage(sentence));
    }
    let what = check::why_not::WhyNot {
        seed: verb.seed,
        overrides,
        flips: check::flips::flips(&trace),
        budget: verb.budget,
        jobs: verb.jobs,
    };
    console.streams.catch_interrupt();
    let stop = console.streams.stop();
    let bar = progress_bar(console.streams.progress, what.flips.len().min(verb.budget) as u64);
    let watch = Stopwatch::start();
    let found = check::why_not::why_not(&*prepared, &trace, &what, &stop, &|done| bar.set_position(done))
        .map_err(|error| CliError::Threads(Box::new(error)))?;
    bar.finish_and_clear();
    console.say(watch.speed(found.tried));
    if found.tried < found.all {
        console.say(format_args!("only {} of {} decisions were tried", found.tried, found.all));
    }
    let fixed = |near: &Near| {
        let mut overrides = what.overrides.clone();
        overrides.set(near.flip.event, near.flip.decision.clone());
        overrides
    };
    if let Some((path, near)) = verb.output.as_ref().zip(found.found.first()) {
        let expect = Expectation {
            property: near.outcome.violations.first().map(|violation| violation.property.clone()),
            digest: Some(format!("{:016x}", near.outcome.digest)),
        };
        let (name, settings) = (prepared.name(), prepared.recorded());
        files::reproduction(path, &Reproduction::new(name, settings, verb.seed, &fixed(near), expect))?;
    }
    let command = |near: &Near| {
        let mut words = vec![console.program.clone(), "diff".to_owned(), prepared.name()];
        words.extend(["--seed".to_owned(), verb.seed.to_string()]);
        for (key, value) in prepared.changes() {
            words.extend(["--set".to_owned(), format!("{key}={}", words::setting(&value))]);
        }
        if let Some(path) = &verb.overrides {
            words.extend(["--overrides".to_owned(), path.display().to_string()]);
        }
        words.extend(["--with".to_owned(), near.flip.name.clone()]);
        words::command_line(words.iter().map(String::as_str))
    };
    let near_text = |near: &Near| NearText {
        decision: near.flip.name.clone(),
        time: near.flip.time,
        distance: near.distance,
        property: near.outcome.violations[0].property.clone(),
        detail: near.outcome.violations[0].detail.clone(),
        overrides: fixed(near).iter().map(OverrideText::from).collect(),
        command: command(near),
    };
    let text = Text::new(&*prepared, verb.seed, &found, found.found.iter().take(verb.show).map(near_text));
    if verb.json {
        report::json(console.streams.out, &text)?;
    } else {
        text.write(console.streams.out)?;
    }
    if let Some(path) = verb.output.as_ref().filter(|_| !found.found.is_empty()) {
        console.say(format_args!("wrote {}", path.display()));
    }
    Ok(Exit::holds(found.found.is_empty()))
}

impl Text {
    fn new(
        prepared: &dyn check::Prepared,
        seed: u64,
        found: &WhyNotReport,
        nearest: impl Iterator<Item = NearText>,
    ) -> Self {
        Self {
            scenario: prepared.name(),
            settings: prepared.changes(),
            seed,
            decisions: found.all,
            tried: found.tried,
            idle: found.idle,
            violating: found.found.len() as u64,
            nearest: nearest.collect(),
        }
    }

    fn write(&self, out: &mut dyn std::io::Write) -> Result<(), CliError> {
        writeln!(out, "{}  seed {}  holds", self.scenario, self.seed)?;
        let tried = count(self.tried, "decision");
        writeln!(out, "tried       {tried} the other way, one at a time; {} changed nothing", self.idle)?;
        writeln!(out, "violating   {}", self.violating)?;
        if self.nearest.is_empty() {
            return Ok(());
        }
        writeln!(out, "\nthe nearest first:")?;
        for near in &self.nearest {
            let events = if near.distance == 1 { "event differs" } else { "events differ" };
            writeln!(out, "  {}", near.decision)?;
            writeln!(out, "    at {}; {} {events}", millis(near.time), near.distance)?;
            writeln!(out, "    violates {}: {}", near.property, near.detail)?;
        }
        let rest = self.violating - self.nearest.len() as u64;
        if rest > 0 {
            writeln!(out, "  and {rest} more")?;
        }
        writeln!(out, "\nto see the nearest beside this run:\n  {}", self.nearest[0].command)?;
        Ok(())
    }
}
