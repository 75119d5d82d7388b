//! `diff`: where two runs part, and why.

use std::path::{Path, PathBuf};

use check::Prepared;
use check::flips::{Flip, flips};
use clap::Args;
use sim::{Decision, EventId, Overrides};
use traces::Trace;
use traces::diff::Sameness;

use super::error::CliError;
use super::options::{self, Settings};
use super::{Console, Exit, files, report};

/// How many decisions are suggested in place of one that there is not.
const SUGGESTED: usize = 12;

#[derive(Args)]
#[command(
    override_usage = "snowglobe diff [OPTIONS] <A> <B>\n       snowglobe diff [OPTIONS] <SCENARIO> --seeds <A> <B>\n       \
                      snowglobe diff [OPTIONS] <SCENARIO> --seed <N> --without <DECISION>",
    after_help = "Examples:
  snowglobe diff lost.jsonl delivered.jsonl
  snowglobe diff rpc/s8-at-most-once --seeds 3 4
  snowglobe diff rpc/s3-at-least-once --seed 2 --without 'lose reply #4 server -> client-1'
  snowglobe diff rpc/s3-at-least-once --seed 0 --with 'lose reply #1 server -> client-1'

A decision is named by what it does, as why-not tells it: `lose reply #2 server -> client-1`, `crash server after effect 2 of \
request #1 from client-1`; as a reproduction has it: `lose reply server -> client-1 of call client-1/3, attempt 1`, \
`delay request #1 client-1 -> server to 80 ms`; or by the id of its event. --without undoes one that the run has, --with adds one that it has not."
)]
pub(super) struct Diff {
    /// A trace; or with --seeds or --seed, a scenario
    #[arg(value_name = "A")]
    a: String,
    /// Another trace
    #[arg(value_name = "B", required_unless_present_any = ["seeds", "seed"], conflicts_with_all = ["seeds", "seed"])]
    b: Option<PathBuf>,
    /// Run the scenario A from these two seeds, and compare the runs
    #[arg(long, num_args = 2, value_names = ["A", "B"], value_parser = options::seed, conflicts_with = "seed")]
    seeds: Option<Vec<u64>>,
    /// Run the scenario A from this seed, and compare the run with the same one in which one decision is another
    #[arg(long, value_name = "N", value_parser = options::seed)]
    seed: Option<u64>,
    /// What went wrong in the run of --seed, and does not in the other
    #[arg(long, value_name = "DECISION", requires = "seed")]
    without: Vec<String>,
    /// What does not go wrong in the run of --seed, and does in the other
    #[arg(long, value_name = "DECISION", requires = "seed")]
    with: Vec<String>,
    /// Fix decisions in the other run: a JSON list of overrides, or a reproduction whose overrides to take
    #[arg(long, value_name = "FILE", requires = "seed")]
    overrides: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(super) fn diff(console: &mut Console<'_, '_>, verb: &Diff) -> Result<Exit, CliError> {
    let (a, b) = match (&verb.b, &verb.seeds, verb.seed) {
        (_, Some(seeds), _) => {
            let prepared = verb.settings.prepare(options::find(console.catalogue, &verb.a)?)?;
            (run(&*prepared, seeds[0])?, run(&*prepared, seeds[1])?)
        }
        (_, _, Some(seed)) => {
            let prepared = verb.settings.prepare(options::find(console.catalogue, &verb.a)?)?;
            counterfactual(&*prepared, seed, verb)?
        }
        (Some(b), ..) if verb.settings.set.is_empty() => (Trace::read(Path::new(&verb.a))?, Trace::read(b)?),
        _ => return Err(CliError::Usage("--set is for a scenario, and a trace has its settings".to_owned())),
    };
    let diff = traces::Diff::of(&a, &b);
    if verb.json {
        report::json(console.streams.out, &diff)?;
    } else {
        write!(console.streams.out, "{diff}")?;
    }
    Ok(Exit::holds(diff.sameness == Sameness::Identical))
}

fn run(prepared: &dyn Prepared, seed: u64) -> Result<Trace, CliError> {
    let name = format!("{} seed {seed}", prepared.name());
    Ok(files::remembered(prepared, seed, &Overrides::default(), &name)?.1)
}

/// A run, and the same one with other decisions.
fn counterfactual(prepared: &dyn Prepared, seed: u64, verb: &Diff) -> Result<(Trace, Trace), CliError> {
    if verb.without.is_empty() && verb.with.is_empty() && verb.overrides.is_none() {
        let sentence = "which decision is another? Give --without, --with or --overrides";
        return Err(CliError::Usage(sentence.to_owned()));
    }
    let original = run(prepared, seed)?;
    let mut overrides = files::overrides(verb.overrides.as_deref(), prepared, seed)?;
    let all = flips(&original);
    let (mending, breaking): (Vec<&Flip>, Vec<&Flip>) = all.iter().partition(|flip| flip.mends);
    let mut name = format!("{} seed {seed}", prepared.name());
    for (word, given, flips) in [("without", &verb.without, mending), ("with", &verb.with, breaking)] {
        for text in given {
            let (event, decision) = match by_name(prepared, &original, text, word, &flips) {
                Some(found) => found,
                None => named(text, word, &flips).map(|flip| (flip.event, flip.decision.clone()))?,
            };
            overrides.set(event, decision);
            name = format!("{name}, {word} {text}");
        }
    }
    if let Some(path) = &verb.overrides {
        name = format!("{name}, with {}", path.display());
    }
    let (outcome, other) = files::remembered(prepared, seed, &overrides, &name)?;
    if let Some(unmatched) = report::unmatched(&outcome.unmatched).next() {
        return Err(CliError::Usage(unmatched));
    }
    Ok((original, other))
}

/// The decision that a person means by a name out of a reproduction.
fn by_name(
    prepared: &dyn Prepared,
    original: &Trace,
    text: &str,
    word: &str,
    flips: &[&Flip],
) -> Option<(EventId, Decision)> {
    let (event, decision) = check::names::find(original, prepared.nodes(), text)?;
    if word == "with" {
        return Some((event, decision));
    }
    // What is undone must have been done.
    let verb = |text: &str| text.split(' ').next().unwrap_or_default().to_owned();
    let undone = flips.iter().find(|flip| flip.event == event && verb(&flip.undoes()) == verb(text))?;
    Some((event, undone.decision.clone()))
}

/// The flip that a person means.
fn named<'f>(text: &str, word: &str, flips: &[&'f Flip]) -> Result<&'f Flip, CliError> {
    let wanted = |flip: &&&Flip| {
        let name = if word == "without" { flip.undoes() } else { flip.name.clone() };
        name == text || flip.event.to_string() == text
    };
    if let Some(flip) = flips.iter().find(wanted) {
        return Ok(flip);
    }
    let names: Vec<String> = flips
        .iter()
        .map(|flip| if word == "without" { flip.undoes() } else { flip.name.clone() })
        .take(SUGGESTED)
        .map(|name| format!("\n  {name}"))
        .collect();
    let there = match (names.len(), flips.len()) {
        (0, _) => "there are none".to_owned(),
        (shown, all) if shown < all => format!("there are {all}, the first of which:{}", names.concat()),
        _ => format!("there are:{}", names.concat()),
    };
    Err(CliError::Usage(format!("the run has no decision {text:?} for --{word}; {there}")))
}
