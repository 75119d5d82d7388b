//! What a protocol says: its messages, and the notes its processes leave for the judges.

use std::fmt::Debug;
use std::hash::Hash;

use crate::id::Label;

/// A message of a protocol.
///
/// `Hash` is how the content of a message reaches the run's digest; integers, strings and enums of them give
/// the same digest on every little-endian 64-bit machine.
pub trait Message: Clone + Hash + Debug + 'static {
    /// What a process tells its judges: calls, results, effects. `()` if nothing.
    type Note: Clone + Hash + Debug;

    /// The message's name, in traces and in event identity. Two messages of one handler to one peer that mean
    /// different things should have different labels: then removing one does not rename the other.
    fn label(&self) -> Label;

    /// Its length in bytes, where a link has a bandwidth.
    fn size(&self) -> u32 {
        64
    }

    /// Damages the message as line noise would, guided by `die`; returns false if it has no field that could
    /// be damaged unnoticed, and the damaged message is then dropped as if a checksum had caught it.
    fn corrupt(&mut self, die: u64) -> bool {
        let _ = die;
        false
    }
}

impl Message for () {
    type Note = ();

    fn label(&self) -> Label {
        Label::new("unit")
    }
}
