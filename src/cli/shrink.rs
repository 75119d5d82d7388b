//! `shrink`: the few faults of a failing run that matter.

use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use check::shrink::{Needed, Shrunk};
use check::{Expectation, OtherwiseText, Outcome, OverrideLine, Reproduction};
use clap::Args;
use serde::Serialize;
use serde_json::{Map, Value};
use traces::Kind;

use super::error::CliError;
use super::options::{self, Settings};
use super::steps::Steps;
use super::sweep::{Stopwatch, progress_bar};
use super::words::{self, count, millis};
use super::{Console, Exit, files, report};

#[derive(Args)]
#[command(after_help = "Example:
  snowglobe shrink rpc/s3-at-least-once --seed 0 -o repro.json && snowglobe replay repro.json

What went wrong by design (a message lost, late or doubled, a crash, a fault that struck) is taken away, piece by piece, as long \
as the same property is still violated. What is left is needed: without any one of it the property holds, or another is violated. \
So are the picks of a schedule that `explore --repro` has written and --overrides fixes.

Ctrl-C ends it early, and the best so far is told and written; a second one ends the program.

Exit codes: 0 if the run was shrunk, 1 if the budget was spent or somebody pressed Ctrl-C before every fault left was shown to be \
needed, 2 if the run violates nothing.")]
pub(super) struct Shrink {
    /// The scenario; `list` shows them all
    scenario: String,
    /// The seed of a run that violates something
    #[arg(long, value_name = "N", default_value = "0", value_parser = options::seed)]
    seed: u64,
    #[command(flatten)]
    settings: Settings,
    /// Decisions to fix besides: a JSON list of overrides, or a reproduction whose overrides to take
    #[arg(long, value_name = "FILE")]
    overrides: Option<PathBuf>,
    /// How many runs to make at most
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    runs: u64,
    /// Write what is left as a file that `replay` runs again
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write what is left as a Rust test
    #[arg(long, value_name = "FILE")]
    test: Option<PathBuf>,
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
    detail: String,
    faults_before: usize,
    picks_before: usize,
    picks: usize,
    runs: u64,
    minimal: bool,
    needed: Vec<NeededText>,
    events: u64,
    digest: String,
    overrides: Vec<OverrideLine>,
    otherwise: OtherwiseText,
    /// The picks that are left, in words.
    schedule: Vec<String>,
}

#[derive(Serialize)]
struct NeededText {
    fault: String,
    time: u64,
    /// What happens without it: "holds", or what is violated; absent if that was not tried.
    without: Option<String>,
}

pub(super) fn shrink(console: &mut Console<'_, '_>, verb: &Shrink) -> Result<Exit, CliError> {
    let prepared = verb.settings.prepare(options::find(console.catalogue, &verb.scenario)?)?;
    let overrides = files::overrides(verb.overrides.as_deref(), &*prepared, verb.seed)?;
    let what = check::shrink::Shrink { seed: verb.seed, overrides, runs_max: verb.runs, jobs: verb.jobs };
    console.streams.catch_interrupt();
    let stop = console.streams.stop();
    let bar = progress_bar(console.streams.progress, verb.runs);
    let watch = Stopwatch::start();
    let found = check::shrink::shrink(&*prepared, &what, &stop, &|done| bar.set_position(done))
        .map_err(|error| CliError::Threads(Box::new(error)))?;
    let Some(mut shrunk) = found else {
        let sentence = format!("seed {} violates nothing; why-not says what would have", verb.seed);
        return Err(CliError::Usage(sentence));
    };
    let smaller =
        check::shrink::smaller_scenario(&*prepared, &what, &shrunk, &stop, &|done| bar.set_position(done))
            .map_err(|error| CliError::Threads(Box::new(error)))?;
    let prepared = match smaller {
        Some(smaller) => {
            shrunk = smaller.shrunk;
            smaller.prepared
        }
        None => prepared,
    };
    let prepared = &*prepared;
    bar.finish_and_clear();
    if stop.load(Ordering::Relaxed) {
        console.say("interrupted: this is the best so far");
    }
    console.say(watch.speed(shrunk.runs));
    let text = Text::new(prepared, verb.seed, &shrunk)?;
    if verb.output.is_some() || verb.test.is_some() {
        let expect =
            Expectation { property: Some(shrunk.property.clone()), digest: Some(text.digest.clone()) };
        let repro = Reproduction::named(prepared, verb.seed, &shrunk.overrides, expect);
        if let Some(path) = &verb.output {
            files::reproduction(path, &repro)?;
        }
        if let Some(path) = &verb.test {
            files::text_file(path, &generated_test(&repro, &shrunk.property))?;
        }
    }
    if verb.json {
        report::json(console.streams.out, &text)?;
    } else {
        text.write(console.streams.out)?;
        if let Some(path) = &verb.output {
            let file = path.display().to_string();
            let command = |verb| words::command_line([console.program.as_str(), verb, &file]);
            writeln!(console.streams.out, "\nto see it:\n  {}", command("replay"))?;
            writeln!(console.streams.out, "to see why:\n  {}", command("explain"))?;
        }
    }
    Ok(Exit::holds(shrunk.minimal))
}

impl Text {
    fn new(prepared: &dyn check::Prepared, seed: u64, shrunk: &Shrunk) -> Result<Self, CliError> {
        let violation = shrunk.outcome.violations.iter().find(|v| v.property == shrunk.property);
        let schedule = if shrunk.picks.1 > 0 { picks(prepared, seed, shrunk)? } else { Vec::new() };
        Ok(Self {
            scenario: prepared.name(),
            settings: prepared.changes(),
            seed,
            property: shrunk.property.clone(),
            detail: violation.map_or_else(String::new, |violation| violation.detail.clone()),
            faults_before: shrunk.faults_before,
            picks_before: shrunk.picks.0,
            picks: shrunk.picks.1,
            runs: shrunk.runs,
            minimal: shrunk.minimal,
            needed: shrunk.needed.iter().map(NeededText::new).collect(),
            events: shrunk.outcome.steps,
            digest: format!("{:016x}", shrunk.outcome.digest),
            overrides: check::tell(prepared, seed, &shrunk.overrides),
            otherwise: shrunk.overrides.otherwise().into(),
            schedule,
        })
    }

    fn write(&self, out: &mut dyn Write) -> Result<(), CliError> {
        writeln!(out, "{}  seed {}  violated", self.scenario, self.seed)?;
        writeln!(out, "violates    {}: {}", self.property, self.detail)?;
        let (before, runs) = (count(self.faults_before as u64, "fault"), count(self.runs, "run"));
        writeln!(out, "left        {} of {before}, after {runs}", self.needed.len())?;
        if self.picks_before > 0 {
            writeln!(out, "schedule    {} of {}", self.picks, count(self.picks_before as u64, "pick"))?;
        }
        writeln!(out, "events      {}", self.events)?;
        if !self.settings.is_empty() {
            let settings: Vec<_> =
                self.settings.iter().map(|(key, value)| format!("{key}={}", words::setting(value))).collect();
            writeln!(out, "settings    {}", settings.join(" "))?;
        }
        writeln!(out, "otherwise   {}", self.otherwise.words())?;
        if !self.minimal {
            writeln!(out, "unfinished  not everything that is left was shown to be needed")?;
        }
        if self.needed.is_empty() {
            let why = if self.picks > 0 { "the schedule alone does" } else { "delays and order alone do" };
            writeln!(out, "\nno fault is needed: {why} it")?;
        }
        if !self.needed.is_empty() || !self.schedule.is_empty() {
            writeln!(out)?;
        }
        for pick in &self.schedule {
            writeln!(out, "            {pick}")?;
        }
        for needed in &self.needed {
            writeln!(out, "{:>10}  {}", millis(needed.time), needed.fault)?;
            if let Some(without) = &needed.without {
                writeln!(out, "            without it: {without}")?;
            }
        }
        Ok(())
    }
}

/// The picks that are left, in the order of the run.
fn picks(prepared: &dyn check::Prepared, seed: u64, shrunk: &Shrunk) -> Result<Vec<String>, CliError> {
    let trace = files::remembered(prepared, seed, &shrunk.overrides, &prepared.name())?.1;
    let steps = Steps::of(&trace);
    let place = |id| trace.find(id).find(|event| event.kind != Kind::Timer).map(|event| event.index);
    let mut decided: Vec<_> = shrunk.overrides.iter().collect();
    decided.sort_by_key(|(id, _)| place(*id));
    Ok(decided.into_iter().filter_map(|(id, decision)| steps.pick(&trace, id, decision)).collect())
}

/// A line for each fault that is left, and what happens without it.
pub(crate) fn fault_lines(shrunk: &Shrunk) -> Vec<String> {
    let line = |needed: &Needed| {
        let NeededText { fault, time, without } = NeededText::new(needed);
        let without = without.as_deref().unwrap_or("not tried");
        format!("  {}  {fault}; without it: {without}", millis(time))
    };
    if shrunk.needed.is_empty() {
        return vec!["  no fault is needed: delays and order alone do it".to_owned()];
    }
    shrunk.needed.iter().map(line).collect()
}

/// A Rust test that shows what a reproduction shows, and fails as soon as it shows it no more.
fn generated_test(repro: &Reproduction, property: &str) -> String {
    let word = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '_' };
    let name: String = format!("{} violates {property}", repro.scenario).chars().map(word).collect();
    let text = serde_json::to_string_pretty(repro).expect("a reproduction is plain data");
    let expected = format!("violates \"{property}\"");
    // As few as end the text where it ends.
    let mut hashes = "#".to_owned();
    while text.contains(&format!("\"{hashes}")) {
        hashes.push('#');
    }
    format!(
        "//! Written by `shrink --test`.\n\n// The catalogue that has the scenario.\nuse \
         snowglobe::models::catalogue;\n\n#[test]\n// To be removed once it is mended: the test then guards that it stays \
         so.\n#[should_panic(expected = {expected:?})]\nfn {name}() {{\n    \
         snowglobe::prop::replay(&catalogue(), REPRODUCTION);\n}}\n\nconst REPRODUCTION: &str = r{hashes}\"\n{text}\n\"{hashes};\n"
    )
}

impl NeededText {
    fn new(needed: &Needed) -> Self {
        let without = |outcome: &Outcome| {
            let first = outcome.violations.first();
            first.map_or_else(|| "holds".to_owned(), |violation| format!("violates {}", violation.property))
        };
        Self {
            fault: needed.name.clone(),
            time: needed.mend.time,
            without: needed.without.as_ref().map(without),
        }
    }
}
