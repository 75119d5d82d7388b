//! `run`: one seed.

use std::path::PathBuf;

use check::{Expectation, Reproduction};
use clap::Args;

use super::compare::{self, Format};
use super::error::CliError;
use super::options::{self, Settings};
use super::report::{self, RunReport};
use super::{Console, Exit, files, words};

#[derive(Args)]
#[command(
    after_help = "Examples:\n  snowglobe run rpc/s3-at-least-once --seed 17 --set clients=3 --trace run.jsonl.zst\n  \
                  snowglobe run crawler/c9-distributed --site target/doc/snowglobe --report"
)]
pub(super) struct Run {
    /// The scenario; `list` shows them all
    scenario: String,
    /// The seed, decimal or 0x and hexadecimal; the whole run follows from it
    #[arg(long, value_name = "N", default_value = "0", value_parser = options::seed)]
    seed: u64,
    #[command(flatten)]
    settings: Settings,
    /// Fix decisions: a JSON list of overrides, or a reproduction whose overrides to take
    #[arg(long, value_name = "FILE")]
    overrides: Option<PathBuf>,
    /// Write everything that happened, as JSON lines; compressed if the name ends in .zst
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Write a small file from which `replay` shows this again
    #[arg(long, value_name = "FILE")]
    repro: Option<PathBuf>,
    /// Tell the whole run, or its last N events, instead of only what led to a violation
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "18446744073709551615", value_parser = options::lines)]
    story: Option<usize>,
    /// Run what the scenario compares (of a distributed crawler, 1, 8 and 64 workers, with and without faults) and print
    /// what was measured as a table
    #[arg(long, conflicts_with_all = ["overrides", "trace", "repro", "story"])]
    report: bool,
    /// With --report: print a table for a Markdown page
    #[arg(long, requires = "report", conflicts_with = "json")]
    markdown: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(super) fn run(console: &mut Console<'_, '_>, verb: &Run) -> Result<Exit, CliError> {
    let place = |path: &Option<PathBuf>| std::path::absolute(traces::destination(path.as_deref()?)).ok();
    if verb.trace.is_some() && place(&verb.trace) == place(&verb.repro) {
        return Err(CliError::Usage("--trace and --repro name one file".to_owned()));
    }
    let prepared = verb.settings.prepare(options::find(console.catalogue, &verb.scenario)?)?;
    let prepared = &*prepared;
    if verb.report {
        let format = match (verb.json, verb.markdown) {
            (true, _) => Format::Json,
            (_, true) => Format::Markdown,
            _ => Format::Columns,
        };
        return compare::compare(console, prepared, verb.seed, format);
    }
    let overrides = files::overrides(verb.overrides.as_deref(), prepared, verb.seed)?;
    let outcome = match &verb.trace {
        Some(path) => files::trace(console.streams, prepared, verb.seed, &overrides, path)?,
        None => prepared.runner().run(verb.seed, &overrides),
    };
    if let Some(path) = &verb.repro {
        let expect = Expectation {
            property: outcome.violations.first().map(|violation| violation.property.clone()),
            digest: Some(format!("{:016x}", outcome.digest)),
        };
        let reproduction =
            Reproduction::new(prepared.name(), prepared.recorded(), verb.seed, &overrides, expect);
        files::reproduction(path, &reproduction)?;
    }
    let path = verb.overrides.as_ref().map(|path| path.to_string_lossy());
    let more: Vec<&str> = path.iter().flat_map(|path| ["--overrides", path]).collect();
    let command = words::command(&console.program, prepared, verb.seed, &more);
    let report =
        RunReport::new(prepared, &outcome, command).with_story(prepared, &overrides, &outcome, verb.story)?;
    if verb.json {
        report::json(console.streams.out, &report)?;
    } else {
        report.write(console.streams.out)?;
    }
    for sentence in report::unmatched(&outcome.unmatched) {
        console.say(sentence);
    }
    for path in [&verb.trace, &verb.repro].into_iter().flatten() {
        console.say(format_args!("wrote {}", path.display()));
    }
    Ok(Exit::holds(outcome.holds()))
}
