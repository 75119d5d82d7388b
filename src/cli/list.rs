//! `list`: which scenarios there are.

use std::io::Write;

use check::Entry;
use clap::Args;
use serde::Serialize;
use serde_json::{Map, Value};

use super::error::CliError;
use super::report::json;
use super::words::{self, ExpectedText};
use super::{Console, Exit};

#[derive(Args)]
#[command(
    after_help = "Examples:\n  snowglobe list rpc\n  snowglobe list rpc/s8-at-most-once   # its settings and situations"
)]
pub(super) struct List {
    /// Only scenarios whose name contains this; the whole name of one shows its settings and situations
    filter: Option<String>,
    /// Print the names alone, one a line
    #[arg(long, conflicts_with = "json")]
    names: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// A scenario, for programs.
#[derive(Serialize)]
struct ScenarioText {
    name: String,
    about: String,
    expected: ExpectedText,
    settings: Map<String, Value>,
    situations: Vec<&'static str>,
}

pub(super) fn list(console: &mut Console<'_, '_>, verb: &List) -> Result<Exit, CliError> {
    let filter = verb.filter.as_deref().unwrap_or("");
    let exact = console.catalogue.iter().find(|entry| entry.name() == filter);
    let chosen: Vec<&dyn Entry> = match exact {
        Some(entry) => vec![entry],
        None => console.catalogue.iter().filter(|entry| entry.name().contains(filter)).collect(),
    };
    if chosen.is_empty() && verb.filter.is_some() {
        console.catalogue.find(filter)?;
    }
    let out = &mut *console.streams.out;
    if verb.names {
        for entry in chosen {
            writeln!(out, "{}", entry.name())?;
        }
    } else if verb.json {
        json(out, &chosen.iter().map(|entry| ScenarioText::of(*entry)).collect::<Vec<_>>())?;
    } else if let Some(entry) = exact {
        details(out, entry)?;
    } else {
        let row = |entry: &&dyn Entry| vec![entry.name(), entry.expected().to_string(), entry.about()];
        out.write_all(words::table(&chosen.iter().map(row).collect::<Vec<_>>()).as_bytes())?;
    }
    Ok(Exit::Holds)
}

fn details(out: &mut dyn Write, entry: &dyn Entry) -> Result<(), CliError> {
    writeln!(out, "{}\n  {}\n", entry.name(), entry.about())?;
    writeln!(out, "expected    {}", entry.expected())?;
    let situations = entry.situations();
    if !situations.is_empty() {
        writeln!(out, "situations  {}", situations.join(", "))?;
    }
    let defaults = entry.defaults();
    if !defaults.is_empty() {
        writeln!(out, "settings    with their defaults; --set KEY=VALUE changes one")?;
        let row = |(key, value): (&String, &Value)| vec![format!("  {key}"), words::setting(value)];
        out.write_all(words::table(&defaults.iter().map(row).collect::<Vec<_>>()).as_bytes())?;
    }
    Ok(())
}

impl ScenarioText {
    fn of(entry: &dyn Entry) -> Self {
        Self {
            name: entry.name(),
            about: entry.about(),
            expected: entry.expected().into(),
            settings: entry.defaults(),
            situations: entry.situations(),
        }
    }
}
