//! `replay`: the same again, or why not.

use std::path::{Path, PathBuf};

use check::names::Resolved;
use check::{OtherwiseText, Outcome, OverrideLine, Prepared, Reproduction, ReproductionError};
use clap::Args;
use serde::Serialize;
use sim::Overrides;
use traces::format::TRACE_MAX;
use traces::{Algorithms, Header, Trace};

use super::error::CliError;
use super::report::{self, RunReport};
use super::{Console, Exit, files, options, story, words};

#[derive(Args)]
#[command(
    after_help = "Example:\n  snowglobe run rpc/at-least-once --seed 17 --repro repro.json\n  snowglobe replay repro.json"
)]
pub(super) struct Replay {
    /// A reproduction (repro.json) or a trace (run.jsonl, run.jsonl.zst)
    file: PathBuf,
    /// Write everything that happened this time, as JSON lines; compressed if the name ends in .zst
    #[arg(long, value_name = "OUT")]
    trace: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// What a replay found.
#[derive(Serialize)]
struct ReplayText {
    same: bool,
    /// What differs.
    difference: Option<String>,
    run: RunReport,
}

/// What is to be run again.
struct Recorded {
    scenario: String,
    settings: serde_json::Map<String, serde_json::Value>,
    seed: u64,
    fixed: Fixed,
    expect: Expect,
}

/// What is decided in it, as it was written.
enum Fixed {
    Lines(Vec<OverrideLine>, OtherwiseText),
    ById(Overrides),
}

enum Expect {
    Said(check::Expectation),
    Shown(Box<Trace>),
}

pub(super) fn replay(console: &mut Console<'_, '_>, verb: &Replay) -> Result<Exit, CliError> {
    let recorded = Recorded::read(&verb.file)?;
    let prepared = options::prepare(console.catalogue, &recorded.scenario, &recorded.settings)
        .map_err(|error| error.said_by(&verb.file))?;
    let prepared = &*prepared;
    let Recorded { seed, .. } = &recorded;
    let resolved = recorded.resolve(prepared).map_err(|error| error.said_by(&verb.file))?;
    let overrides = &resolved.overrides;
    let outcome = match &verb.trace {
        Some(path) => files::trace(console.streams, prepared, *seed, overrides, path)?,
        None => prepared.runner().run(*seed, overrides),
    };
    let difference = match &recorded.expect {
        Expect::Said(expect) => unlike_said(expect, &outcome),
        Expect::Shown(trace) => unlike_shown(trace, prepared, *seed, overrides)?,
    };
    let command = words::command_line([&console.program, "replay", &*verb.file.to_string_lossy()]);
    let run = RunReport::new(prepared, &outcome, command).with_story(prepared, overrides, &outcome, None)?;
    let same = difference.is_none();
    if verb.json {
        report::json(console.streams.out, &ReplayText { same, difference: difference.clone(), run })?;
    } else {
        run.write(console.streams.out)?;
        if same {
            writeln!(console.streams.out, "\nthe same as {} says", verb.file.display())?;
        }
    }
    for sentence in report::unmet(&resolved, &outcome.unmatched) {
        console.say(sentence);
    }
    if let Some(path) = &verb.trace {
        console.say(format_args!("wrote {}", path.display()));
    }
    match difference {
        None => Ok(Exit::Holds),
        Some(what) => Err(CliError::NotTheSame { path: verb.file.clone(), what }),
    }
}

impl Recorded {
    fn read(path: &Path) -> Result<Self, CliError> {
        let bytes = files::bytes(path, TRACE_MAX)?;
        if looks_like_a_trace(path, &bytes) {
            return Self::from_trace(Trace::parse(bytes, &path.display().to_string())?)
                .map_err(|error| error.said_by(path));
        }
        let text = files::text(path, bytes)?;
        Self::from_reproduction(&text).map_err(|error| error.said_by(path))
    }

    fn from_reproduction(text: &str) -> Result<Self, CliError> {
        let reproduction = Reproduction::parse(text)?;
        let Reproduction { scenario, settings, seed, overrides, otherwise, expect, .. } = reproduction;
        let fixed = Fixed::Lines(overrides, otherwise);
        Ok(Self { scenario, settings, seed, fixed, expect: Expect::Said(expect) })
    }

    /// The decisions, those by names found in the run.
    fn resolve(&self, prepared: &dyn Prepared) -> Result<Resolved, CliError> {
        let (lines, otherwise) = match &self.fixed {
            Fixed::Lines(lines, otherwise) => (lines.as_slice(), *otherwise),
            Fixed::ById(_) => (&[][..], OtherwiseText::Thrown),
        };
        let mut resolved = check::resolve_overrides(prepared, self.seed, lines, otherwise)?;
        if let Fixed::ById(overrides) = &self.fixed {
            resolved.overrides = overrides.clone();
        }
        Ok(resolved)
    }

    fn from_trace(trace: Trace) -> Result<Self, CliError> {
        let Header { scenario, seed, configuration, overrides, algorithms, .. } = trace.header().clone();
        let ours = Algorithms::default();
        for (what, theirs, ours) in
            [("ids", &algorithms.id, &ours.id), ("dice", &algorithms.dice, &ours.dice)]
        {
            if theirs != ours {
                let sentence =
                    format!("cannot be replayed: its {what} are {theirs:?}, those of this program {ours:?}");
                return Err(CliError::Usage(sentence));
            }
        }
        let overrides = check::from_header(overrides).map_err(|error| match error {
            ReproductionError::Form(error) => CliError::HeaderOverride(error),
            error => error.into(),
        })?;
        Ok(Self {
            scenario,
            settings: configuration,
            seed,
            fixed: Fixed::ById(overrides),
            expect: Expect::Shown(Box::new(trace)),
        })
    }
}

/// Traces begin in one way only, and so do compressed files. A trace that was cut or damaged at its very
/// beginning is known by its name.
fn looks_like_a_trace(path: &Path, bytes: &[u8]) -> bool {
    let named = path.extension().is_some_and(|extension| extension == "jsonl" || extension == "zst");
    named
        || bytes.starts_with(b"{\"format\":\"snowglobe-trace\"")
        || bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd])
}

/// How the run differs from what a reproduction says of it.
fn unlike_said(expect: &check::Expectation, outcome: &Outcome) -> Option<String> {
    let violated =
        |property: &String| outcome.violations.iter().any(|violation| violation.property == *property);
    let found = || {
        outcome
            .violations
            .first()
            .map_or("the run holds".to_owned(), |first| format!("{} is violated", first.property))
    };
    match &expect.property {
        Some(property) if !violated(property) => {
            return Some(format!("expected a violation of {property}, but {}", found()));
        }
        None if !outcome.holds() => return Some(format!("expected a run that holds, but {}", found())),
        _ => {}
    }
    let digest = format!("{:016x}", outcome.digest);
    let expected = expect.digest.as_ref().filter(|expected| !expected.eq_ignore_ascii_case(&digest))?;
    let all_the_same = expect.property.as_ref().map_or_else(String::new, |property| {
        format!("; {property} is violated all the same, so something else has changed")
    });
    Some(format!("expected digest {expected}, found {digest}{all_the_same}"))
}

/// How the run differs from the one in a trace.
fn unlike_shown(
    recorded: &Trace,
    prepared: &dyn Prepared,
    seed: u64,
    overrides: &Overrides,
) -> Result<Option<String>, CliError> {
    let mut bytes = Vec::new();
    let name = prepared.name();
    let written = prepared.runner().trace(seed, overrides, &mut bytes);
    written.map_err(|error| CliError::write_trace(&name, error))?;
    let again = Trace::parse(bytes, "now")?;
    if again.sha256() == recorded.sha256() && again.end() == recorded.end() {
        return Ok(None);
    }
    let diff = traces::Diff::of(recorded, &again);
    if let Some(header) = diff.headers.differences.first() {
        let text = |value: &Option<serde_json::Value>| {
            value.as_ref().map_or("absent".to_owned(), ToString::to_string)
        };
        return Ok(Some(format!(
            "its header has {} {}, and this program {}",
            header.what,
            text(&header.a),
            text(&header.b)
        )));
    }
    let Some(divergence) = diff.divergence else {
        return Ok(Some("the events are the same, but not how the run was judged".to_owned()));
    };
    let event = |trace: &Trace| {
        let told = (divergence.common < trace.len()).then(|| trace.event(divergence.common));
        told.map_or("the end".to_owned(), |event| {
            let (who, what) = story::words(&event);
            format!("{} {who} {what:?}", words::millis(event.t))
        })
    };
    let (then, now, place) = (event(recorded), event(&again), divergence.common + 1);
    Ok(Some(format!("event {place} was {then}, and is now {now}")))
}
