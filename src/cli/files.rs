//! Files: read with a sentence for everything that can be wrong, and written whole or not at all.

use std::io;
use std::path::Path;

use check::{OtherwiseText, Outcome, Prepared, Reproduction};
use sim::Overrides;
use traces::{Trace, TraceFile};

use super::Streams;
use super::error::CliError;

/// The longest file that is read, in bytes, unless it is a trace.
pub(super) const MOST: u64 = 1 << 28;

/// All bytes of a file that has at most `most`.
pub(super) fn bytes(path: &Path, most: u64) -> Result<Vec<u8>, CliError> {
    traces::read_whole(path, most).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => CliError::Missing(path.to_owned()),
        io::ErrorKind::IsADirectory => CliError::Directory(path.to_owned()),
        _ => CliError::Read { path: path.to_owned(), source },
    })
}

/// A file's text.
pub(super) fn text(path: &Path, bytes: Vec<u8>) -> Result<String, CliError> {
    String::from_utf8(bytes).map_err(|_| CliError::NotText(path.to_owned()))
}

/// The overrides in a file, if there is one, for a run from a seed: a list of them, or those of a reproduction.
pub(super) fn overrides(
    path: Option<&Path>,
    prepared: &dyn Prepared,
    seed: u64,
) -> Result<Overrides, CliError> {
    let Some(path) = path else { return Ok(Overrides::default()) };
    let text = text(path, bytes(path, MOST)?)?;
    let read = || {
        let (lines, otherwise) = if text.trim_start().starts_with('[') {
            let lines = serde_json::from_str(&text).map_err(CliError::Overrides)?;
            (lines, OtherwiseText::Thrown)
        } else {
            let Reproduction { overrides, otherwise, .. } = Reproduction::parse(&text)?;
            (overrides, otherwise)
        };
        let resolved = check::resolve_overrides(prepared, seed, &lines, otherwise)?;
        match resolved.unmet.first() {
            Some(text) => Err(CliError::Usage(format!("nothing in the run is called {text:?}"))),
            None => Ok(resolved.overrides),
        }
    };
    read().map_err(|error: CliError| error.said_by(path))
}

/// Runs, and writes the run to a file as a trace.
pub(super) fn trace(
    streams: &Streams<'_>,
    prepared: &dyn Prepared,
    seed: u64,
    overrides: &Overrides,
    path: &Path,
) -> Result<Outcome, CliError> {
    let write = || {
        let mut file = TraceFile::create(path)?;
        if let Some(temporary) = file.temporary() {
            streams.remove_at_interrupt(temporary.to_owned());
        }
        let outcome = prepared.runner().trace(seed, overrides, &mut file)?;
        file.commit()?;
        Ok(outcome)
    };
    write().map_err(|error| CliError::write_trace(path, error))
}

/// Runs, and remembers the run as a trace.
pub(super) fn remembered(
    prepared: &dyn Prepared,
    seed: u64,
    overrides: &Overrides,
    name: &str,
) -> Result<(Outcome, Trace), CliError> {
    let mut bytes = Vec::new();
    let written = prepared.runner().trace(seed, overrides, &mut bytes);
    let outcome = written.map_err(|error| CliError::write_trace(name, error))?;
    Ok((outcome, Trace::parse(bytes, name)?))
}

/// Writes a reproduction.
pub(super) fn reproduction(path: &Path, reproduction: &Reproduction) -> Result<(), CliError> {
    let mut text = serde_json::to_string_pretty(reproduction).expect("a reproduction is plain data");
    text.push('\n');
    text_file(path, &text)
}

/// Writes a text.
pub(super) fn text_file(path: &Path, text: &str) -> Result<(), CliError> {
    traces::write_whole(path, text.as_bytes())
        .map_err(|source| CliError::Write { path: path.to_owned(), source })
}
