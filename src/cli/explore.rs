//! `explore`: every interleaving of a small program.

use std::fmt;
use std::path::PathBuf;

use check::{Expectation, ExploreReport, Prepared, Reproduction, Violated};
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use serde_json::{Map, Value};
use sim::Nanos;

use super::error::CliError;
use super::options::{self, Settings};
use super::sweep::Stopwatch;
use super::words::{self, ExpectedText, count};
use super::{Console, Exit, files, report};

/// The schedule whose steps are explored, unless `--set schedule=` says otherwise.
const PREEMPTIVE: &str = "preemptive";

#[derive(Args)]
#[command(after_help = "Examples:
  snowglobe explore concurrency/transfer-in-two-orders
  snowglobe explore concurrency/counter-shared --window 0   # only events at one instant change places
  snowglobe explore concurrency/counter-shared --repro race.json && snowglobe replay race.json
  snowglobe explore rpc/s3-at-least-once --set clients=1 --set calls=1 --faults 1

The seed decides all but the order of events. Each run follows the one before it up to some event, and then fires another \
that was pending there: tasks give way wherever they touch something shared, and any event may come later than it was due. \
Orders that come to the same, because the events touch nothing in common, are run once. With --faults every single fault is \
placed, then every pair, and the orders are explored with each.

Exit codes: 0 if every execution holds, 1 if one is violated. A search that was ended by a bound says so.")]
pub(super) struct Explore {
    /// The scenario; `list` shows them all
    scenario: String,
    /// The seed, decimal or 0x and hexadecimal
    #[arg(long, value_name = "N", default_value = "0", value_parser = options::seed)]
    seed: u64,
    #[command(flatten)]
    settings: Settings,
    /// How much later than others, in nanoseconds, an event may be due and still come before them; any if not given
    #[arg(long, value_name = "NANOS")]
    window: Option<Nanos>,
    /// The greatest number of runs
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    max_runs: u64,
    /// The greatest number of events in a run; longer ones are cut off
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    max_depth: u32,
    /// Explore besides with up to so many faults, each in every place that a run shows: a message lost or doubled, a crash
    #[arg(long, value_name = "K", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=3))]
    faults: u8,
    /// The greatest number of runs with each set of faults
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..))]
    runs_each: u64,
    /// Run all orders, also those that come to the same: for programs whose tasks share what the engine does not see
    #[arg(long)]
    no_reduction: bool,
    /// Stop at the first violation
    #[arg(long)]
    first: bool,
    /// Write a small file from which `replay` shows the first violation again
    #[arg(long, value_name = "FILE")]
    repro: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// What was found, for people and for programs.
#[derive(Serialize)]
struct ExploreText {
    scenario: String,
    settings: Map<String, Value>,
    seed: u64,
    verdict: &'static str,
    expected: ExpectedText,
    complete: bool,
    executions: u64,
    pruned: u64,
    cut: u64,
    outcomes: usize,
    /// By the number of faults, from none; absent if none were to be placed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    placed: Vec<PlacedText>,
    events: u64,
    deepest: usize,
    violations: Vec<ViolatedText>,
    situations: Vec<SituationText>,
}

#[derive(Serialize)]
struct ViolatedText {
    property: String,
    executions: u64,
    detail: String,
    /// The faults that were placed in the first of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    faults: Vec<String>,
}

#[derive(Serialize)]
struct PlacedText {
    sets: u64,
    complete: u64,
}

#[derive(Serialize)]
struct SituationText {
    situation: &'static str,
    executions: u64,
}

pub(super) fn explore(console: &mut Console<'_, '_>, verb: &Explore) -> Result<Exit, CliError> {
    let mut settings = verb.settings.clone();
    if !settings.set.iter().any(|pair| pair.starts_with("schedule=")) {
        settings.set.push(format!("schedule={PREEMPTIVE}"));
    }
    let prepared = settings.prepare(options::find(console.catalogue, &verb.scenario)?)?;
    let what = check::Explore {
        seed: verb.seed,
        window: verb.window.unwrap_or(Nanos::MAX),
        reduction: !verb.no_reduction,
        runs_max: verb.max_runs,
        depth_max: verb.max_depth as usize,
        first: verb.first,
        faults: verb.faults.into(),
        runs_each: if verb.faults > 0 { verb.runs_each } else { u64::MAX },
    };
    console.streams.catch_interrupt();
    let stop = console.streams.stop();
    let bar = progress_bar(console.streams.progress);
    let watch = Stopwatch::start();
    let found = check::explore(&*prepared, &what, &stop, &|report: &ExploreReport| {
        bar.set_position(report.runs());
        bar.set_message(count(report.outcomes.len() as u64, "outcome"));
    });
    bar.finish_and_clear();
    console.say(watch.speed(found.runs()));
    if !found.complete {
        console.say("not complete: a bound or an interruption ended the search, and there may be more");
    }
    // The property that was expected, if it was found: the others may be what follows from it.
    let first =
        prepared.expected().properties().find_map(|property| found.violations.get_key_value(property));
    let first = first.or_else(|| found.violations.first_key_value());
    if let Some((path, (property, violated))) = verb.repro.as_ref().zip(first) {
        files::reproduction(path, &reproduction(&*prepared, verb.seed, property, violated))?;
    }
    let text = ExploreText::new(&*prepared, verb, &found);
    if verb.json {
        report::json(console.streams.out, &text)?;
    } else {
        write!(console.streams.out, "{text}")?;
    }
    if let Some(path) = verb.repro.as_ref().filter(|_| first.is_some()) {
        console.say(format_args!("wrote {}", path.display()));
    }
    Ok(Exit::holds(found.violations.is_empty()))
}

fn reproduction(prepared: &dyn Prepared, seed: u64, property: &str, violated: &Violated) -> Reproduction {
    let digest = format!("{:016x}", violated.outcome.digest);
    let expect = Expectation { property: Some(property.to_owned()), digest: Some(digest) };
    Reproduction::new(prepared.name(), prepared.recorded(), seed, &violated.schedule, expect)
}

fn progress_bar(shown: bool) -> ProgressBar {
    let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let style = ProgressStyle::with_template("{spinner} {human_pos} runs {per_sec}  {msg}");
    ProgressBar::with_draw_target(None, target).with_style(style.expect("the template is well formed"))
}

impl ExploreText {
    fn new(prepared: &dyn Prepared, verb: &Explore, found: &ExploreReport) -> Self {
        let violated = |(property, violated): (&String, &Violated)| ViolatedText {
            property: property.clone(),
            executions: violated.executions,
            detail: violated
                .outcome
                .violations
                .iter()
                .find(|violation| violation.property == *property)
                .map_or_else(String::new, |violation| violation.detail.clone()),
            faults: violated.faults.iter().map(|fault| fault.name(prepared.nodes())).collect(),
        };
        let situation = |situation| {
            let executions = found.situations.get(situation).copied().unwrap_or(0);
            SituationText { situation, executions }
        };
        Self {
            scenario: prepared.name(),
            settings: prepared.changes(),
            seed: verb.seed,
            verdict: words::verdict(found.violations.is_empty()),
            expected: prepared.expected().into(),
            complete: found.complete,
            executions: found.executions,
            pruned: found.pruned,
            cut: found.cut,
            outcomes: found.outcomes.len(),
            placed: found
                .placed
                .iter()
                .filter(|_| verb.faults > 0)
                .map(|placed| PlacedText { sets: placed.sets, complete: placed.complete })
                .collect(),
            events: found.steps,
            deepest: found.depth,
            violations: found.violations.iter().map(violated).collect(),
            situations: prepared.situations().into_iter().map(situation).collect(),
        }
    }
}

impl fmt::Display for ExploreText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = if self.complete { "every interleaving" } else { "not every interleaving" };
        writeln!(f, "{}  seed {}  {}, {whole}", self.scenario, self.seed, self.verdict)?;
        writeln!(f, "executions  {}, {} pruned, {} cut", self.executions, self.pruned, self.cut)?;
        writeln!(f, "outcomes    {}", self.outcomes)?;
        writeln!(f, "events      {}, at most {} in a run", self.events, self.deepest)?;
        for (faults, PlacedText { sets, complete }) in (0..).zip(&self.placed) {
            let with = count(faults, "fault");
            writeln!(f, "placed      {with} in {}, {complete} to the end", count(*sets, "way"))?;
        }
        for ViolatedText { property, executions, detail, faults } in &self.violations {
            writeln!(f, "violates    {property}, in {}: {detail}", count(*executions, "execution"))?;
            for fault in faults {
                writeln!(f, "            first with: {fault}")?;
            }
        }
        for SituationText { situation, executions } in &self.situations {
            writeln!(f, "situation   {situation}, in {}", count(*executions, "execution"))?;
        }
        Ok(())
    }
}
