//! `run --report`: the runs that a scenario compares, as a table.

use check::{Figure, Prepared};
use serde::Serialize;
use serde_json::{Map, Value};
use sim::{MILLIS, Nanos, Overrides, SECONDS};

use super::error::CliError;
use super::sweep::{Stopwatch, progress_bar};
use super::words::{self, count};
use super::{Console, Exit, report};

/// How the table is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Columns,
    Markdown,
    Json,
}

/// The table, for programs.
#[derive(Serialize)]
struct Comparison {
    scenario: String,
    seed: u64,
    settings: Map<String, Value>,
    verdict: &'static str,
    /// In each group, the first run is what the others are compared with.
    groups: Vec<Vec<Row>>,
}

#[derive(Serialize)]
struct Row {
    /// The settings in which the runs differ.
    settings: Map<String, Value>,
    verdict: &'static str,
    violations: Vec<String>,
    /// Counts, and times in nanoseconds.
    figures: Map<String, Value>,
    /// How many hundredths of the first run's speed, by the first time among the figures.
    speed_up_percent: Option<u64>,
    faults: u64,
    digest: String,
    #[serde(skip)]
    shown: Vec<(&'static str, Figure)>,
}

/// Makes the runs and writes the table.
pub(super) fn compare(
    console: &mut Console<'_, '_>,
    prepared: &dyn Prepared,
    seed: u64,
    format: Format,
) -> Result<Exit, CliError> {
    let groups = prepared.compared()?;
    let Some(first) = groups.first().and_then(|group| group.first()) else {
        let sentence =
            format!("{} has nothing to compare: --report is for the distributed crawlers", prepared.name());
        return Err(CliError::Usage(sentence));
    };
    let all = || groups.iter().flatten();
    let differ: Vec<String> = first
        .settings()
        .iter()
        .filter(|(key, value)| all().any(|other| other.settings().get(*key) != Some(value)))
        .map(|(key, _)| key.clone())
        .collect();
    let runs = all().count() as u64;
    let bar = progress_bar(console.streams.progress, runs);
    let mut rows: Vec<Vec<Row>> = Vec::new();
    for group in &groups {
        let mut row_group: Vec<Row> = Vec::new();
        for one in group {
            let watch = Stopwatch::start();
            let row = Row::of(&**one, seed, &differ, row_group.first());
            bar.suspend(|| console.say(format_args!("{}: {}", row.name(), watch.speed(1))));
            row_group.push(row);
            bar.inc(1);
        }
        rows.push(row_group);
    }
    bar.finish_and_clear();
    let holds = rows.iter().flatten().all(|row| row.violations.is_empty());
    let mut settings = prepared.changes();
    settings.retain(|key, _| !differ.contains(key));
    let comparison = Comparison {
        scenario: prepared.name(),
        seed,
        settings,
        verdict: words::verdict(holds),
        groups: rows,
    };
    match format {
        Format::Json => report::json(console.streams.out, &comparison)?,
        Format::Columns => comparison.write(console, words::table)?,
        Format::Markdown => comparison.write(console, words::markdown)?,
    }
    Ok(Exit::holds(holds))
}

impl Row {
    fn of(prepared: &dyn Prepared, seed: u64, differ: &[String], first: Option<&Self>) -> Self {
        let outcome = prepared.runner().run(seed, &Overrides::default());
        let time = |figures: &[(&str, Figure)]| {
            figures.iter().find_map(|(_, figure)| match figure {
                Figure::Time(span) => Some(*span),
                Figure::Count(_) => None,
            })
        };
        let own = time(&outcome.figures);
        let compared = first.map_or(own, |first| time(&first.shown));
        let speed_up = compared
            .zip(own)
            .and_then(|(first, own)| u64::try_from(u128::from(first) * 100 / u128::from(own.max(1))).ok());
        let settings = prepared.settings().iter().filter(|(key, _)| differ.contains(key));
        let value = |figure: Figure| match figure {
            Figure::Count(count) => Value::from(count),
            Figure::Time(span) => Value::from(span),
        };
        Self {
            settings: settings.map(|(key, value)| (key.clone(), value.clone())).collect(),
            verdict: words::verdict(outcome.holds()),
            violations: outcome
                .violations
                .iter()
                .map(|violation| format!("{}: {}", violation.property, violation.detail))
                .collect(),
            figures: outcome
                .figures
                .iter()
                .map(|(what, figure)| ((*what).to_owned(), value(*figure)))
                .collect(),
            speed_up_percent: speed_up,
            faults: outcome.faults.named().map(|(_, times)| times).sum(),
            digest: format!("{:016x}", outcome.digest),
            shown: outcome.figures,
        }
    }

    /// The settings in which it differs, in words.
    fn name(&self) -> String {
        let settings = self.settings.iter().map(|(key, value)| format!("{key}={}", words::setting(value)));
        settings.collect::<Vec<_>>().join(" ")
    }

    fn cells(&self) -> Vec<String> {
        let settings = self.settings.values().map(words::setting);
        let figures = self.shown.iter().map(|(_, figure)| match figure {
            Figure::Count(count) => count.to_string(),
            Figure::Time(span) => seconds(*span),
        });
        let speed_up = self
            .speed_up_percent
            .map_or_else(|| "-".to_owned(), |percent| format!("{}.{:02}", percent / 100, percent % 100));
        settings.chain(figures).chain([speed_up, self.faults.to_string(), self.verdict.to_owned()]).collect()
    }
}

/// A time in seconds, to the millisecond.
fn seconds(span: Nanos) -> String {
    format!("{}.{:03} s", span / SECONDS, span % SECONDS / MILLIS)
}

impl Comparison {
    fn write(
        &self,
        console: &mut Console<'_, '_>,
        table: fn(&[Vec<String>]) -> String,
    ) -> Result<(), CliError> {
        let out = &mut *console.streams.out;
        writeln!(out, "{}  seed {}  {}\n", self.scenario, self.seed, self.verdict)?;
        let rows = || self.groups.iter().flatten();
        // A run that never ended measured less.
        let Some(fullest) = rows().max_by_key(|row| row.shown.len()) else { return Ok(()) };
        let head = fullest.settings.keys().cloned();
        let head = head.chain(fullest.shown.iter().map(|(what, _)| (*what).to_owned()));
        let head = head.chain(["speed-up", "faults", "verdict"].map(str::to_owned)).collect::<Vec<_>>();
        let cells = rows().map(|row| {
            let mut cells = row.cells();
            while cells.len() < head.len() {
                cells.insert(row.settings.len(), "-".to_owned());
            }
            cells
        });
        let cells: Vec<Vec<String>> = std::iter::once(head.clone()).chain(cells).collect();
        write!(out, "{}", table(&cells))?;
        for row in rows().filter(|row| !row.violations.is_empty()) {
            writeln!(out, "\n{}", row.name())?;
            for violation in &row.violations {
                writeln!(out, "violates    {violation}")?;
            }
        }
        writeln!(out, "\n{}", count(rows().count() as u64, "run"))?;
        Ok(())
    }
}
