//! `sweep`: many seeds, of one scenario or of all.

use std::io::Write;
use std::ops::Range;
use std::sync::atomic::Ordering;

use check::{Agreement, Entry, Expected, Prepared, SweepReport};
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use serde_json::{Map, Value};
use sim::{Ending, Overrides};

use super::error::CliError;
use super::options::{self, Settings};
use super::report::{self, RunReport};
use super::words::{self, ExpectedText, count};
use super::{Console, Exit};

/// More threads than this are a typing error.
const JOBS_MAX: i64 = 1024;

#[derive(Args)]
#[command(after_help = "Examples:
  snowglobe sweep rpc/s8-at-most-once --seeds 0..100000
  snowglobe sweep rpc/at-least-once --first       # stop at the first failing seed
  snowglobe sweep --all --seeds 1000              # is everything as expected?

Exit codes: for one scenario, 0 if it holds and 1 if it is violated. For several, with --all or with --expect, 0 if \
each did what is expected of it, planted bugs included, and 1 if one did not.

Ctrl-C ends a sweep early, and what was found is reported; a second one ends the program.")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag that somebody may type")]
pub(super) struct Sweep {
    /// The scenarios; `list` shows them all
    #[arg(required_unless_present = "all", value_name = "SCENARIO")]
    scenarios: Vec<String>,
    /// Sweep every scenario there is
    #[arg(long, conflicts_with = "scenarios")]
    all: bool,
    /// The seeds: A..B without B, A..=B with it, or N for 0..N
    #[arg(long, value_name = "SEEDS", default_value = "0..1000", value_parser = options::seeds)]
    seeds: Range<u64>,
    /// How many threads; as many as there are processors if not given. The result does not depend on it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=JOBS_MAX))]
    jobs: Option<u16>,
    #[command(flatten)]
    settings: Settings,
    /// Stop at the first failing seed
    #[arg(long)]
    first: bool,
    /// With one scenario: exit with 0 if it did what is expected of it
    #[arg(long)]
    expect: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// One scenario, swept.
struct Swept {
    prepared: Box<dyn Prepared>,
    report: SweepReport,
    agreement: Agreement,
}

/// One scenario's sweep, for programs.
#[derive(Serialize)]
struct SweptText {
    scenario: String,
    settings: Map<String, Value>,
    /// The first, and the one after the last.
    seeds: [u64; 2],
    runs: u64,
    violated: u64,
    verdict: &'static str,
    expected: ExpectedText,
    agreement: &'static str,
    disagreement: Option<String>,
    properties: Vec<PropertyText>,
    situations: Vec<SituationText>,
    faults: Map<String, Value>,
    events: u64,
    operations: u64,
    digest: String,
    interrupted: bool,
    first: Option<RunReport>,
}

#[derive(Serialize)]
struct PropertyText {
    property: String,
    runs: u64,
    first_seed: u64,
}

#[derive(Serialize)]
struct SituationText {
    situation: &'static str,
    runs: u64,
    times: u64,
}

/// Several sweeps, for programs.
#[derive(Serialize)]
struct AllText {
    agrees: bool,
    interrupted: bool,
    scenarios: Vec<SweptText>,
    /// The first failing seed of a planted bug, the one with the shortest story.
    example: Option<RunReport>,
}

pub(super) fn sweep(console: &mut Console<'_, '_>, verb: &Sweep) -> Result<Exit, CliError> {
    let entries: Vec<&dyn Entry> = if verb.all {
        console.catalogue.iter().collect()
    } else {
        verb.scenarios.iter().map(|name| options::find(console.catalogue, name)).collect::<Result<_, _>>()?
    };
    if let Some(name) = (1..verb.scenarios.len()).find(|i| verb.scenarios[..*i].contains(&verb.scenarios[*i]))
    {
        return Err(CliError::Usage(format!("{} is named twice", verb.scenarios[name])));
    }
    // All of them before the first is swept: a wrong setting of the last must not cost the time of the others.
    let prepared: Vec<_> =
        entries.into_iter().map(|entry| verb.settings.prepare(entry)).collect::<Result<_, _>>()?;
    let alone = !verb.all && prepared.len() == 1;
    let swept = sweep_each(console, verb, prepared)?;
    let agrees = swept.iter().all(|swept| swept.agreement == Agreement::Agrees);
    let holds = swept.iter().all(|swept| swept.report.violated == 0);
    match &*swept {
        [swept] if alone => one(console, verb, swept)?,
        _ => several(console, verb, &swept, agrees)?,
    }
    Ok(Exit::holds(if alone && !verb.expect { holds } else { agrees }))
}

/// Sweeps one after the other, and says on standard error how fast.
fn sweep_each(
    console: &mut Console<'_, '_>,
    verb: &Sweep,
    scenarios: Vec<Box<dyn Prepared>>,
) -> Result<Vec<Swept>, CliError> {
    let what =
        check::Sweep { seeds: verb.seeds.clone(), jobs: verb.jobs.map_or(0, usize::from), first: verb.first };
    let each = what.seeds.end - what.seeds.start;
    let all = each.saturating_mul(scenarios.len() as u64);
    console.streams.catch_interrupt();
    let stop = console.streams.stop();
    let bar = progress_bar(console.streams.progress, all);
    let watch = Stopwatch::start();
    let mut swept = Vec::with_capacity(scenarios.len());
    let mut runs = 0;
    for prepared in scenarios {
        bar.set_message(prepared.name());
        let progress = |done: u64, failed: u64| {
            bar.set_position(runs + done);
            if failed > 0 {
                bar.set_message(format!("{}, {failed} violated", prepared.name()));
            }
        };
        let report = check::sweep(&*prepared, &what, &stop, &progress)
            .map_err(|error| CliError::Threads(error.into()))?;
        runs += report.runs;
        bar.set_position(runs);
        let agreement = match report.agreement(prepared.expected(), &prepared.situations()) {
            // Where it did not look it has found nothing, neither for nor against.
            _ if report.interrupted && report.violated == 0 => {
                Agreement::Differs("interrupted before it was done".to_owned())
            }
            agreement => agreement,
        };
        swept.push(Swept { prepared, report, agreement });
    }
    bar.finish_and_clear();
    if stop.load(Ordering::Relaxed) {
        console.say(format_args!("interrupted after {runs} of {all} runs: this is what they found"));
    }
    console.say(watch.speed(runs));
    Ok(swept)
}

pub(super) fn progress_bar(shown: bool, runs: u64) -> ProgressBar {
    let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let style = ProgressStyle::with_template("{wide_bar} {human_pos}/{human_len} {per_sec} {eta}  {msg}");
    ProgressBar::with_draw_target(Some(runs), target).with_style(style.expect("the template is well formed"))
}

/// How long the sweep itself took: for standard error alone.
pub(super) struct Stopwatch(
    #[expect(clippy::disallowed_types, reason = "the speed of a sweep is told, and reaches no run")]
    std::time::Instant,
);

impl Stopwatch {
    #[expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "as above")]
    pub(super) fn start() -> Self {
        Self(std::time::Instant::now())
    }

    pub(super) fn speed(&self, runs: u64) -> String {
        let millis = self.0.elapsed().as_millis().max(1);
        let speed = u128::from(runs) * 1000 / millis;
        format!("{} in {}.{:03} s, {speed} a second", count(runs, "run"), millis / 1000, millis % 1000)
    }
}

impl Swept {
    /// What all runs came to.
    const fn verdict(&self) -> &'static str {
        match self.report.runs {
            0 => "not run",
            _ => words::verdict(self.report.violated == 0),
        }
    }

    /// The same with the properties that were violated.
    fn found(&self) -> String {
        if self.report.violated == 0 {
            return self.verdict().to_owned();
        }
        let properties: Vec<_> = self.report.properties.keys().map(String::as_str).collect();
        format!("violates {}", properties.join(", "))
    }

    fn never_met(&self) -> Vec<&'static str> {
        let never = |situation: &&'static str| !self.report.situations.contains_key(situation);
        self.prepared.situations().into_iter().filter(never).collect()
    }

    /// The first seed that violated what it was not expected to.
    fn first_unexpected(&self) -> Option<u64> {
        let expected = self.prepared.expected();
        let unexpected = |property: &str| expected.properties().all(|planted| planted != property);
        let found = self.report.properties.iter().filter(|(property, _)| unexpected(property));
        found.map(|(_, found)| found.first).min()
    }

    fn command(&self, program: &str, seed: u64) -> String {
        words::command(program, &*self.prepared, seed, &[])
    }

    /// The first failing run. Its story is told if `with_story`.
    fn first(&self, program: &str, with_story: bool) -> Result<Option<RunReport>, CliError> {
        let Some(outcome) = &self.report.first else { return Ok(None) };
        let report = RunReport::new(&*self.prepared, outcome, self.command(program, outcome.seed));
        if !with_story {
            return Ok(Some(report));
        }
        report.with_story(&*self.prepared, &Overrides::default(), outcome, None).map(Some)
    }

    fn text(&self, verb: &Sweep, program: &str) -> Result<SweptText, CliError> {
        let Self { prepared, report, .. } = self;
        let (agreement, disagreement) = words::agreement(&self.agreement);
        let properties = report.properties.iter().map(|(property, found)| PropertyText {
            property: property.clone(),
            runs: found.runs,
            first_seed: found.first,
        });
        let situations = prepared.situations().into_iter().map(|situation| {
            let met = report.situations.get(situation).copied().unwrap_or_default();
            SituationText { situation, runs: met.runs, times: met.times }
        });
        Ok(SweptText {
            scenario: prepared.name(),
            settings: prepared.changes(),
            seeds: [verb.seeds.start, verb.seeds.end],
            runs: report.runs,
            violated: report.violated,
            verdict: self.verdict(),
            expected: prepared.expected().into(),
            agreement,
            disagreement,
            properties: properties.collect(),
            situations: situations.collect(),
            faults: words::faults(&report.faults),
            events: report.steps,
            operations: report.operations,
            digest: format!("{:016x}", report.digest),
            interrupted: report.interrupted,
            first: self.first(program, false)?,
        })
    }
}

fn one(console: &mut Console<'_, '_>, verb: &Sweep, swept: &Swept) -> Result<(), CliError> {
    if verb.json {
        return report::json(console.streams.out, &swept.text(verb, &console.program)?);
    }
    let out = &mut *console.streams.out;
    let Swept { prepared, report, agreement } = swept;
    let Range { start, end } = verb.seeds;
    writeln!(out, "{}  seeds {start}..{end}  {}", prepared.name(), swept.verdict())?;
    let (_, disagreement) = words::agreement(agreement);
    match disagreement {
        None => writeln!(out, "expected    {}, and it does", prepared.expected())?,
        Some(reason) => writeln!(out, "expected    {}, but {reason}", prepared.expected())?,
    }
    let cut = match (report.interrupted, report.runs < end - start) {
        (true, _) => ", then interrupted",
        (false, true) => ", up to the first that failed",
        (false, false) => "",
    };
    writeln!(out, "runs        {}, {} violated{cut}", report.runs, report.violated)?;
    writeln!(out, "events      {}", report.steps)?;
    writeln!(out, "operations  {}", report.operations)?;
    writeln!(out, "digest      {:016x}", report.digest)?;
    properties(out, report)?;
    faults(out, report)?;
    situations(out, swept)?;
    let Some(outcome) = &report.first else { return Ok(()) };
    writeln!(out, "\nseed {} is the first that fails:", outcome.seed)?;
    if let Some(violation) = outcome.violations.first() {
        writeln!(out, "  {}: {}", violation.property, violation.detail)?;
    }
    writeln!(out, "\nto see it:\n  {}", swept.command(&console.program, outcome.seed))?;
    Ok(())
}

fn properties(out: &mut dyn Write, report: &SweepReport) -> Result<(), CliError> {
    if report.properties.is_empty() {
        return Ok(());
    }
    let mut rows = vec![["violated", "runs", "first seed"].map(str::to_owned).to_vec()];
    for (property, found) in &report.properties {
        rows.push(vec![property.clone(), found.runs.to_string(), found.first.to_string()]);
    }
    Ok(write!(out, "\n{}", words::table(&rows))?)
}

fn faults(out: &mut dyn Write, report: &SweepReport) -> Result<(), CliError> {
    let mut rows = vec![["fault", "times"].map(str::to_owned).to_vec()];
    let fired = report.faults.named().filter(|(_, times)| *times > 0);
    rows.extend(fired.map(|(name, times)| vec![name.to_owned(), times.to_string()]));
    match rows.len() {
        // What was found, or met, needed none.
        1 if report.runs == 0 || report.violated > 0 || !report.situations.is_empty() => {}
        1 => writeln!(out, "\nno fault fired: runs in which nothing goes wrong prove little")?,
        _ => write!(out, "\n{}", words::table(&rows))?,
    }
    Ok(())
}

fn situations(out: &mut dyn Write, swept: &Swept) -> Result<(), CliError> {
    let situations = swept.prepared.situations();
    if situations.is_empty() {
        return Ok(());
    }
    let mut rows = vec![["situation", "runs", "times"].map(str::to_owned).to_vec()];
    for situation in situations {
        let met = swept.report.situations.get(situation).copied().unwrap_or_default();
        rows.push(vec![situation.to_owned(), met.runs.to_string(), met.times.to_string()]);
    }
    write!(out, "\n{}", words::table(&rows))?;
    let never = swept.never_met();
    if !never.is_empty() {
        writeln!(
            out,
            "\nnever met: {}. A sweep proves nothing about what did not occur in it.",
            never.join(", ")
        )?;
    }
    Ok(())
}

fn several(
    console: &mut Console<'_, '_>,
    verb: &Sweep,
    swept: &[Swept],
    agrees: bool,
) -> Result<(), CliError> {
    // The one whose story is shortest, among those that a fault brought out.
    let example = swept
        .iter()
        .filter(|swept| swept.prepared.expected() != Expected::Holds)
        .filter_map(|swept| Some((swept, swept.report.first.as_ref()?)))
        .filter(|(_, first)| first.ending == Ending::Quiet)
        .min_by_key(|(_, first)| (first.faults.named().all(|(_, times)| times == 0), first.steps))
        .map(|(swept, _)| swept.first(&console.program, true));
    let example = example.transpose()?.flatten();
    let out = &mut *console.streams.out;
    if verb.json {
        let scenarios =
            swept.iter().map(|swept| swept.text(verb, &console.program)).collect::<Result<_, _>>()?;
        let interrupted = swept.iter().any(|swept| swept.report.interrupted);
        return report::json(out, &AllText { agrees, interrupted, scenarios, example });
    }
    let columns = ["", "scenario", "expected", "found", "first seed", "violated runs", "never met"];
    let mut rows = vec![columns.map(str::to_owned).to_vec()];
    rows.extend(swept.iter().map(|swept| {
        let report = &swept.report;
        let first = report.first.as_ref().map_or_else(|| "-".to_owned(), |outcome| outcome.seed.to_string());
        let violated = format!("{} of {}", report.violated, report.runs);
        let expected = swept.prepared.expected().to_string();
        let (agreement, _) = words::agreement(&swept.agreement);
        vec![
            agreement.to_owned(),
            swept.prepared.name(),
            expected,
            swept.found(),
            first,
            violated,
            swept.never_met().join(", "),
        ]
    }));
    out.write_all(words::table(&rows).as_bytes())?;
    writeln!(out)?;
    for swept in swept {
        if let (word, Some(reason)) = words::agreement(&swept.agreement) {
            writeln!(out, "{word}: {}: {reason}", swept.prepared.name())?;
            if let Some(seed) = swept.first_unexpected() {
                writeln!(out, "  {}", swept.command(&console.program, seed))?;
            }
        }
    }
    let disagreeing = swept.iter().filter(|swept| swept.agreement != Agreement::Agrees).count();
    match disagreeing {
        0 => writeln!(out, "{}: all as expected", count(swept.len() as u64, "scenario"))?,
        _ => writeln!(out, "{}: {disagreeing} not as expected", count(swept.len() as u64, "scenario"))?,
    }
    if let Some(example) = example {
        writeln!(out, "\na planted bug, found and replayed:\n")?;
        example.write(out)?;
    }
    Ok(())
}
