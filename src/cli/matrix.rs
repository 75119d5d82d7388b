//! `matrix`: every scheme against every fault, measured.

use std::ops::Range;
use std::sync::atomic::Ordering;

use check::Costs;
use check::matrix::{Cell, Matrix, MatrixError};
use clap::Args;
use serde::Serialize;
use serde_json::{Map, Value};

use super::error::CliError;
use super::sweep::{Stopwatch, progress_bar};
use super::words::{self, count};
use super::{Console, Exit, options, report};

#[derive(Args)]
#[command(after_help = "Examples:
  snowglobe matrix
  snowglobe matrix --seeds 2000 --markdown > matrix.md

A cell says what was found: `holds`, or what was violated, in how many runs, and under which seed first, as in `twice 889 @0`. \
A cell in which the fault of its column never struck says `no fault`, and `-` is a fault that cannot strike: fail-over, for \
one, needs more than one server. What was expected stands behind what was found: `=` if it is the same, else `!` and the \
expectation, as in `holds ! twice`. Those are listed below the table, each with a command that shows it. With a few hundred \
seeds a cell may be marked `!` only because what must be violated is rare.

Exit codes: 0 if every cell is as expected, 1 if one is not.")]
pub(super) struct MatrixVerb {
    /// The seeds of each cell: A..B without B, A..=B with it, or N for 0..N
    #[arg(long, value_name = "SEEDS", default_value = "0..1000", value_parser = options::seeds)]
    seeds: Range<u64>,
    /// How many threads; as many as there are processors if not given. The result does not depend on it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
    /// Print one JSON document
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// Print tables for a Markdown page
    #[arg(long)]
    markdown: bool,
}

/// What stands behind what was found in a cell.
const MARKS: [&str; 2] = ["=: as expected", "! X: not as expected, which was X"];

/// The table, for programs.
#[derive(Serialize)]
struct MatrixText {
    agrees: bool,
    seeds: [u64; 2],
    cells: Vec<CellText>,
}

#[derive(Serialize)]
struct CellText {
    scenario: String,
    fault: &'static str,
    settings: Map<String, Value>,
    runs: u64,
    violated: u64,
    expected: Vec<&'static str>,
    found: Vec<FoundText>,
    /// How often the fault of the column struck.
    struck: u64,
    agrees: bool,
    completed: u64,
    messages: u64,
    bytes: u64,
    memory: u64,
}

#[derive(Serialize)]
struct FoundText {
    property: String,
    runs: u64,
    first_seed: u64,
}

pub(super) fn matrix(console: &mut Console<'_, '_>, verb: &MatrixVerb) -> Result<Exit, CliError> {
    let Some(matrix) = console.catalogue.matrix() else {
        return Err(CliError::Usage("this catalogue has no matrix".to_owned()));
    };
    let what =
        check::Sweep { seeds: verb.seeds.clone(), jobs: verb.jobs.map_or(0, usize::from), first: false };
    let runs = (what.seeds.end - what.seeds.start).saturating_mul(matrix.cells() as u64);
    console.streams.catch_interrupt();
    let stop = console.streams.stop();
    let bar = progress_bar(console.streams.progress, runs);
    let watch = Stopwatch::start();
    let progress = |done: u64, row: &str| {
        bar.set_position(done);
        if bar.message() != row {
            bar.set_message(row.to_owned());
        }
    };
    let cells = matrix.measure(console.catalogue, &what, &stop, &progress)?;
    bar.finish_and_clear();
    let made = cells.iter().map(|cell| cell.report.runs).sum();
    let interrupted = stop.load(Ordering::Relaxed);
    if interrupted {
        console.say(format_args!("interrupted after {made} of {runs} runs: this is what they found"));
    }
    console.say(watch.speed(made));
    let agrees = !interrupted && cells.iter().all(Cell::agrees);
    if verb.json {
        let seeds = [verb.seeds.start, verb.seeds.end];
        let cells = cells.iter().map(|cell| CellText::of(matrix, cell)).collect();
        report::json(console.streams.out, &MatrixText { agrees, seeds, cells })?;
        return Ok(Exit::holds(agrees));
    }
    let write = if verb.markdown { words::markdown } else { words::table };
    let out = &mut *console.streams.out;
    write!(out, "{}\n{}\n", write(&verdicts(matrix, &cells)), write(&costs(matrix, &cells)))?;
    let words = matrix.words.iter().map(|(property, word)| format!("{word}: \"{property}\" is violated"));
    for line in MARKS.map(str::to_owned).into_iter().chain(words) {
        // Two blanks keep the lines apart on a page.
        writeln!(out, "{line}{}", if verb.markdown { "  " } else { "" })?;
    }
    writeln!(out)?;
    let wrong: Vec<&Cell> = cells.iter().filter(|cell| !cell.agrees()).collect();
    for cell in &wrong {
        let (row, column) = cell.place;
        let (row, column) = (&matrix.rows[row].scenario, matrix.columns[column].name);
        let (expected, found) = (expected(matrix, cell), found(matrix, cell));
        writeln!(out, "differs: {row} under {column}: expected {expected}, found {found}")?;
        let unexpected =
            cell.report.properties.iter().filter(|(found, _)| !cell.expected.contains(&found.as_str()));
        let first = unexpected.chain(&cell.report.properties).map(|(_, found)| found.first).next();
        let command = words::command(&console.program, &*cell.prepared, first.unwrap_or(0), &[]);
        writeln!(out, "  {command}")?;
    }
    let seeds = verb.seeds.end - verb.seeds.start;
    let measured = format!("{} of {}", count(cells.len() as u64, "cell"), count(seeds, "seed"));
    match wrong.len() {
        0 => writeln!(out, "{measured}: all as expected")?,
        wrong => writeln!(out, "{measured}: {wrong} not as expected")?,
    }
    Ok(Exit::holds(agrees))
}

impl CellText {
    fn of(matrix: &Matrix, cell: &Cell) -> Self {
        let Cell { report, .. } = cell;
        let found = report.properties.iter().map(|(property, found)| FoundText {
            property: property.clone(),
            runs: found.runs,
            first_seed: found.first,
        });
        let Costs { completed, messages, bytes, memory } = report.costs;
        Self {
            scenario: cell.prepared.name(),
            fault: matrix.columns[cell.place.1].name,
            settings: cell.prepared.changes(),
            runs: report.runs,
            violated: report.violated,
            expected: cell.expected.clone(),
            found: found.collect(),
            struck: cell.struck,
            agrees: cell.agrees(),
            completed,
            messages,
            bytes,
            memory,
        }
    }
}

fn word<'m>(matrix: &'m Matrix, property: &'m str) -> &'m str {
    matrix.words.iter().find(|(known, _)| *known == property).map_or(property, |(_, word)| word)
}

/// What must be found in a cell.
fn expected(matrix: &Matrix, cell: &Cell) -> String {
    let words: Vec<&str> = cell.expected.iter().map(|property| word(matrix, property)).collect();
    if words.is_empty() { "holds".to_owned() } else { words.join(" and ") }
}

/// What was found in it.
fn found(matrix: &Matrix, cell: &Cell) -> String {
    let of = |(property, found): (&String, &check::Found)| {
        format!("{} {} @{}", word(matrix, property), found.runs, found.first)
    };
    let found: Vec<String> = cell.report.properties.iter().map(of).collect();
    match (cell.is_evidence(), found.is_empty()) {
        (false, _) => "no fault".to_owned(),
        (true, true) => "holds".to_owned(),
        (true, false) => found.join(", "),
    }
}

/// What a cell says: what was found, and what was expected.
fn verdict(matrix: &Matrix, cell: &Cell) -> String {
    let found = found(matrix, cell);
    if cell.agrees() { format!("{found} =") } else { format!("{found} ! {}", expected(matrix, cell)) }
}

fn cell_at(cells: &[Cell], row: usize, column: usize) -> Option<&Cell> {
    cells.iter().find(|cell| cell.place == (row, column))
}

fn verdicts(matrix: &Matrix, cells: &[Cell]) -> Vec<Vec<String>> {
    let head = std::iter::once("").chain(matrix.columns.iter().map(|column| column.name));
    let mut rows = vec![head.map(str::to_owned).collect::<Vec<_>>()];
    for (place, row) in matrix.rows.iter().enumerate() {
        let mut texts = vec![row.scenario.clone()];
        let cells = (0..matrix.columns.len()).map(|column| cell_at(cells, place, column));
        texts.extend(cells.map(|cell| cell.map_or("-".to_owned(), |cell| verdict(matrix, cell))));
        rows.push(texts);
    }
    rows
}

/// What a completed call costs, without faults and under the last column.
fn costs(matrix: &Matrix, cells: &[Cell]) -> Vec<Vec<String>> {
    let last = matrix.columns.len() - 1;
    let (calm, worst) = (matrix.columns[0].name, matrix.columns[last].name);
    let mut head = vec!["for a completed call".to_owned()];
    for fault in [calm, worst] {
        head.extend(["messages", "bytes", "server memory"].map(|what| format!("{what}, {fault}")));
    }
    let mut rows = vec![head];
    for (place, row) in matrix.rows.iter().enumerate() {
        let mut texts = vec![row.scenario.clone()];
        for column in [0, last] {
            let Some(cell) = cell_at(cells, place, column) else {
                texts.extend(["-"; 3].map(str::to_owned));
                continue;
            };
            let Costs { completed, messages, bytes, memory } = cell.report.costs;
            texts.extend([messages, bytes, memory].map(|total| tenths(total, completed)));
        }
        rows.push(texts);
    }
    rows
}

/// A quotient with one decimal, rounded down.
fn tenths(total: u64, of: u64) -> String {
    match of {
        0 => "-".to_owned(),
        of => format!("{}.{}", total / of, total % of * 10 / of),
    }
}

impl From<MatrixError> for CliError {
    fn from(error: MatrixError) -> Self {
        match error {
            MatrixError::Scenario(error) => Self::Scenario(error),
            MatrixError::Settings(error) => Self::Settings(error),
            MatrixError::Threads(error) => Self::Threads(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quotient_has_one_decimal() {
        assert_eq!(tenths(25, 10), "2.5");
        assert_eq!(tenths(2, 3), "0.6");
        assert_eq!(tenths(7, 0), "-");
    }

    #[test]
    fn a_table_for_markdown_has_a_head() {
        let rows = [vec![String::new(), "none".to_owned()], vec!["maybe".to_owned(), "holds".to_owned()]];
        assert_eq!(words::markdown(&rows), "|  | none |\n|---|---|\n| maybe | holds |\n");
    }
}
