//! `diff`: where two runs part, and why.

use std::path::{Path, PathBuf};

use clap::Args;
use sim::Overrides;
use traces::Trace;
use traces::diff::Sameness;

use super::error::CliError;
use super::options::{self, Settings};
use super::{Console, Exit, report};

#[derive(Args)]
#[command(
    override_usage = "snowglobe diff [OPTIONS] <A> <B>\n       snowglobe diff [OPTIONS] <SCENARIO> --seeds <A> <B>",
    after_help = "Examples:\n  snowglobe diff lost.jsonl delivered.jsonl\n  snowglobe diff rpc/at-most-once --seeds 3 4"
)]
pub(super) struct Diff {
    /// A trace; or with --seeds, a scenario
    #[arg(value_name = "A")]
    a: String,
    /// Another trace
    #[arg(value_name = "B", required_unless_present = "seeds", conflicts_with = "seeds")]
    b: Option<PathBuf>,
    /// Run the scenario A from these two seeds, and compare the runs
    #[arg(long, num_args = 2, value_names = ["A", "B"], value_parser = options::seed)]
    seeds: Option<Vec<u64>>,
    #[command(flatten)]
    settings: Settings,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(super) fn diff(console: &mut Console<'_, '_>, verb: &Diff) -> Result<Exit, CliError> {
    let (a, b) = match (&verb.b, &verb.seeds) {
        (_, Some(seeds)) => {
            let prepared = verb.settings.prepare(options::find(console.catalogue, &verb.a)?)?;
            let run = |seed: &u64| {
                let mut bytes = Vec::new();
                let name = format!("{} seed {seed}", prepared.name());
                let written = prepared.runner().trace(*seed, &Overrides::default(), &mut bytes);
                written.map_err(|error| CliError::write_trace(&name, error))?;
                Ok::<_, CliError>(Trace::parse(bytes, &name)?)
            };
            (run(&seeds[0])?, run(&seeds[1])?)
        }
        (Some(b), None) if verb.settings.set.is_empty() => {
            (Trace::read(Path::new(&verb.a))?, Trace::read(b)?)
        }
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
