//! Every sentence with which a question is refused.

use std::io;
use std::path::PathBuf;

use check::linearizability::HistoryError;
use check::{ReproductionError, SettingsError, UnknownScenario};
use traces::{ReadError, WriteError};

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    /// The arguments are wrong, or ask for help.
    #[error(transparent)]
    Arguments(clap::Error),
    /// They are well formed, but make no sense together.
    #[error("{0}")]
    Usage(String),
    #[error(transparent)]
    Scenario(#[from] UnknownScenario),
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Trace(#[from] ReadError),
    /// Something that a file says is wrong.
    #[error("{}: {source}", path.display())]
    In { path: PathBuf, source: Box<Self> },
    #[error(transparent)]
    Reproduction(#[from] ReproductionError),
    #[error(transparent)]
    History(#[from] HistoryError),
    #[error("neither a list of overrides nor a reproduction: {}", check::in_words(.0))]
    Overrides(serde_json::Error),
    /// A trace's override cannot be understood.
    #[error("its header has an override that this program does not know: {}", check::in_words(.0))]
    HeaderOverride(serde_json::Error),
    #[error("{}: no such file", .0.display())]
    Missing(PathBuf),
    #[error("{}: a directory, expected a file", .0.display())]
    Directory(PathBuf),
    #[error("{}: not text", .0.display())]
    NotText(PathBuf),
    #[error("{}: cannot be read: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{}: cannot be written: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    /// A trace that cannot be written. The error names the file.
    #[error(transparent)]
    WriteTrace(WriteError),
    /// One seed gave two runs.
    #[error("{scenario} is not deterministic: seed {seed} gave digest {first:016x}, and then {second:016x}")]
    NotDeterministic { scenario: String, seed: u64, first: u64, second: u64 },
    /// A replay showed something else than what was recorded.
    #[error("{}: not the same: {what}", path.display())]
    NotTheSame { path: PathBuf, what: String },
    #[error("the threads of the sweep cannot be started: {0}")]
    Threads(Box<dyn std::error::Error + Send + Sync>),
    /// Only for standard output, so that `?` may follow a `writeln!` to it.
    #[error("standard output cannot be written: {0}")]
    Output(#[from] io::Error),
}

impl CliError {
    /// This error, as one of what a file says.
    pub(super) fn said_by(self, path: impl Into<PathBuf>) -> Self {
        Self::In { path: path.into(), source: Box::new(self) }
    }

    /// That a trace for this path cannot be written.
    pub(super) fn write_trace(path: impl Into<PathBuf>, error: WriteError) -> Self {
        match error {
            // The path is not known where the bytes are written.
            WriteError::Write(source) => Self::Write { path: path.into(), source },
            WriteError::Create { .. } | WriteError::Commit { .. } => Self::WriteTrace(error),
            error => Self::WriteTrace(error).said_by(path),
        }
    }
}
