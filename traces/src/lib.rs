//! Traces: what happened in a run, line by line, written, read, compared, and followed from cause to effect.
//!
//! A [`Recorder`] watches a world and writes JSON lines; a [`Trace`] is such a file, read and verified; a
//! [`Diff`] says where two of them part and why; a [`Causality`] is one as a graph of causes. The format is
//! described in [`mod@format`]; `examples/diff.rs` shows all of it in one page.
//!
//! This is the only place where events become text. Deliberately absent: any knowledge of a protocol (messages
//! come as whatever they serialise to), the wall clock, and a binary format: compressed lines are small enough.

mod causality;
pub mod diff;
mod error;
mod file;
pub mod format;
mod frame;
mod reader;
mod recorder;
#[cfg(test)]
mod testing;

pub use causality::{Causality, Edge};
pub use diff::Diff;
pub use error::{ReadError, WriteError};
pub use file::{TraceFile, destination, read_whole, write_whole};
pub use frame::{Algorithms, End, Header, Verdict, Violation};
pub use reader::{Checkpoint, Event, Kind, Trace};
pub use recorder::Recorder;
