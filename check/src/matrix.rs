//! A table of schemes against faults, every cell of it measured.
//!
//! A row is a scenario, a column a few settings that turn one kind of fault on, and a cell the sweep of the one with the
//! other. What is expected of each cell is written down beside it.
//!
//! Deliberately absent: which schemes and which faults. They come with the catalogue.

use std::sync::atomic::AtomicBool;

use serde_json::{Map, Value};

use crate::catalogue::{Catalogue, Prepared};
use crate::sweep::{Sweep, SweepReport, sweep};

/// The table, before it is measured.
#[derive(Clone, Debug)]
pub struct Matrix {
    /// The faults.
    pub columns: Vec<Column>,
    /// The schemes.
    pub rows: Vec<Row>,
    /// A short word for the violation of each property, for cells.
    pub words: Vec<(&'static str, &'static str)>,
}

/// One kind of fault.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// The settings that turn it on.
    pub settings: Vec<(&'static str, &'static str)>,
    /// How often it struck. A cell in which it never did proves nothing.
    pub struck: fn(&SweepReport) -> u64,
}

/// One scheme.
#[derive(Clone, Debug)]
pub struct Row {
    /// The scenario.
    pub scenario: String,
    /// By column: the properties that must be violated, none if it must hold; `None` if the fault does not apply.
    pub expected: Vec<Option<Vec<&'static str>>>,
}

/// A cell, measured.
pub struct Cell {
    /// Place of the row, and of the column.
    pub place: (usize, usize),
    /// The scenario with the settings of the column.
    pub prepared: Box<dyn Prepared>,
    /// What must be violated.
    pub expected: Vec<&'static str>,
    /// What was found.
    pub report: SweepReport,
    /// How often the fault of the column struck.
    pub struck: u64,
    /// Whether the column has a fault at all.
    pub faulty: bool,
}

impl std::fmt::Debug for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cell").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Cell {
    /// Whether it holds or was violated for no want of faults.
    pub const fn is_evidence(&self) -> bool {
        !self.faulty || self.struck > 0
    }

    /// Whether what was found is what was expected: each expected property violated, no other, and the fault struck.
    pub fn agrees(&self) -> bool {
        let found = || self.report.properties.keys().map(String::as_str);
        let all = self.expected.iter().all(|property| self.report.properties.contains_key(*property));
        all && found().all(|property| self.expected.contains(&property)) && self.is_evidence()
    }
}

/// Why a matrix cannot be measured.
#[derive(Debug, thiserror::Error)]
pub enum MatrixError {
    /// A row has no scenario.
    #[error(transparent)]
    Scenario(#[from] crate::UnknownScenario),
    /// A column has settings that a row does not have.
    #[error(transparent)]
    Settings(#[from] crate::SettingsError),
    /// The threads cannot be started.
    #[error("the threads of the sweep cannot be started: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
}

impl Matrix {
    /// How many cells are measured.
    pub fn cells(&self) -> usize {
        self.rows.iter().map(|row| row.expected.iter().flatten().count()).sum()
    }

    /// Measures every cell that applies, row by row. `progress` is called with the number of runs made so far.
    ///
    /// # Errors
    /// If a row or a column does not fit the catalogue, or threads cannot be started.
    pub fn measure(
        &self,
        catalogue: &Catalogue,
        what: &Sweep,
        stop: &AtomicBool,
        progress: &(dyn Fn(u64, &str) + Sync),
    ) -> Result<Vec<Cell>, MatrixError> {
        let mut cells = Vec::with_capacity(self.cells());
        let mut runs = 0;
        for (row_place, row) in self.rows.iter().enumerate() {
            let entry = catalogue.find(&row.scenario)?;
            for (column_place, (column, expected)) in self.columns.iter().zip(&row.expected).enumerate() {
                let Some(expected) = expected else { continue };
                let changes: Map<String, Value> = column
                    .settings
                    .iter()
                    .map(|(key, value)| ((*key).to_owned(), Value::from(*value)))
                    .collect();
                let prepared = entry.prepare(&changes)?;
                let report = sweep(&*prepared, what, stop, &|done, _| progress(runs + done, &row.scenario))?;
                runs += report.runs;
                progress(runs, &row.scenario);
                cells.push(Cell {
                    place: (row_place, column_place),
                    prepared,
                    expected: expected.clone(),
                    struck: (column.struck)(&report),
                    faulty: column.name != "none",
                    report,
                });
            }
        }
        Ok(cells)
    }
}
