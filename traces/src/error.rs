//! What can go wrong with a trace: a variant a cause, one sentence each.

use std::io;
use std::path::PathBuf;

/// Why a trace could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The file could not be begun.
    #[error("{}: cannot be created: {source}", path.display())]
    Create {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Bytes could not be written, for example because the disk is full.
    #[error("the trace cannot be written: {0}")]
    Write(#[from] io::Error),
    /// The file could not be completed; nothing is left of it.
    #[error("{}: cannot be completed: {source}", path.display())]
    Commit {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A header, message or note has no form in JSON, for example a map whose keys are not strings.
    #[error("event {event} cannot be written as JSON: {source}")]
    Payload {
        /// The event's id; that of the root for the header.
        event: sim::EventId,
        /// Why.
        source: serde_json::Error,
    },
    /// A record names a node that the header does not.
    #[error("event {event} names {node}, but the header lists {nodes} nodes")]
    Node {
        /// The event's id.
        event: sim::EventId,
        /// The node.
        node: sim::NodeId,
        /// How many nodes the header lists.
        nodes: usize,
    },
    /// The header gives two nodes one name, which could not be told apart.
    #[error("two nodes have the name {name:?}: expected each to have its own")]
    SameName {
        /// The name.
        name: String,
    },
}

/// Why a trace could not be read. `name` is that of the file, or what the caller called the bytes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// There is no file of that name.
    #[error("{name}: no such file")]
    Missing {
        /// The file.
        name: String,
    },
    /// The file could not be read.
    #[error("{name}: cannot be read: {source}")]
    Read {
        /// The file.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// There is nothing in it.
    #[error("{name}: the file is empty: expected a trace")]
    Empty {
        /// The file.
        name: String,
    },
    /// It is called `.zst`, or begins like Zstandard, but does not decompress.
    #[error("{name}: not intact Zstandard data: {source}")]
    Compression {
        /// The file.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// There is more of it than a trace may have.
    #[error("{name}: longer than a trace may be: more than {} bytes", crate::format::TRACE_MAX)]
    TooLong {
        /// The file.
        name: String,
    },
    /// It is something else.
    #[error("{name}: not a trace: expected the first line to begin with {{\"format\":\"snowglobe-trace\"")]
    Foreign {
        /// The file.
        name: String,
    },
    /// It is a trace of another version of the format.
    #[error(
        "{name}: the trace has version {found} of the format: this program reads version {}",
        crate::format::VERSION
    )]
    Version {
        /// The file.
        name: String,
        /// Its version.
        found: u64,
    },
    /// A line is not what it should be.
    #[error("{name}:{line}:{column}: {problem}")]
    Malformed {
        /// The file.
        name: String,
        /// The line, from 1.
        line: u64,
        /// The byte in the line, from 1.
        column: usize,
        /// What was expected, and what was there.
        problem: String,
    },
    /// The lines before a checkpoint are not those that were written.
    #[error(
        "{name}:{line}: the {lines} lines before this checkpoint were changed: their hash is {found}, expected {expected}"
    )]
    Checkpoint {
        /// The file.
        name: String,
        /// The checkpoint's line, from 1.
        line: u64,
        /// How many lines it covers.
        lines: u64,
        /// What it says.
        expected: String,
        /// What the lines give.
        found: String,
    },
    /// The lines before the end are not those that were written.
    #[error(
        "{name}: lines after the last checkpoint were changed: the hash of all before the end is {found}, expected {expected}"
    )]
    EndHash {
        /// The file.
        name: String,
        /// What the end line says.
        expected: String,
        /// What the lines give.
        found: String,
    },
    /// The end line counts other events than there are.
    #[error("{name}: the end line counts {expected} events, but there are {found}")]
    Count {
        /// The file.
        name: String,
        /// What the end line says.
        expected: u64,
        /// How many there are.
        found: u64,
    },
    /// The end line is missing: the run was killed, or the file was cut.
    #[error("{name}: truncated after {lines} whole lines: expected an end line")]
    Truncated {
        /// The file.
        name: String,
        /// How many whole lines there are.
        lines: u64,
    },
}
