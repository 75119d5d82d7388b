//! Where results and prose go, and what a verb answers.

use std::fmt;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The exit code of a process that Ctrl-C has ended, as a shell tells it.
const INTERRUPTED: i32 = 130;

/// The answer of a verb, which becomes the exit code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Exit {
    /// It holds, or is the same, or was done: 0.
    Holds,
    /// It is violated, or differs: 1.
    Violated,
    /// The question makes no sense, or the answer could not be written: 2.
    Unusable,
}

impl Exit {
    /// The exit code.
    pub const fn code(self) -> u8 {
        match self {
            Self::Holds => 0,
            Self::Violated => 1,
            Self::Unusable => 2,
        }
    }

    pub(super) const fn holds(holds: bool) -> Self {
        if holds { Self::Holds } else { Self::Violated }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Where results and prose go.
pub struct Streams<'o> {
    /// Results.
    pub(super) out: &'o mut dyn Write,
    /// Prose.
    pub(super) err: &'o mut dyn Write,
    /// Whether progress may be drawn on the standard error of the process.
    pub(super) progress: bool,
    stop: Arc<AtomicBool>,
    /// Whether the process is ours, with its signals.
    owns_process: bool,
}

impl fmt::Debug for Streams<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streams").field("progress", &self.progress).finish_non_exhaustive()
    }
}

impl<'o> Streams<'o> {
    /// Results to `out`, prose to `err`, no progress bar, and signals left alone.
    pub fn new(out: &'o mut dyn Write, err: &'o mut dyn Write) -> Self {
        Self { out, err, progress: false, stop: Arc::default(), owns_process: false }
    }

    pub(super) fn of_process(out: &'o mut dyn Write, err: &'o mut dyn Write, progress: bool) -> Self {
        Self { progress, owns_process: true, ..Self::new(out, err) }
    }

    /// What ends a sweep early when it becomes true, as Ctrl-C does.
    pub fn stop(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stop)
    }

    /// From here on Ctrl-C, and whoever else asks the process to end, asks the verb to stop and to report what it has. The
    /// second time ends the process.
    pub(super) fn catch_interrupt(&self) {
        if !self.owns_process {
            return;
        }
        let stop = self.stop();
        // Without a handler Ctrl-C ends the process, which is what it did before.
        let _ = ctrlc::set_handler(move || {
            if stop.swap(true, Ordering::Relaxed) {
                std::process::exit(INTERRUPTED);
            }
        });
    }

    /// From here on Ctrl-C ends the process, and this file with it, which nobody has asked for by its name; and so does
    /// whoever else asks the process to end.
    pub(super) fn remove_at_interrupt(&self, file: PathBuf) {
        if !self.owns_process {
            return;
        }
        let _ = ctrlc::set_handler(move || {
            // It is gone already if the interrupt came after all was written.
            let _ = std::fs::remove_file(&file);
            std::process::exit(INTERRUPTED);
        });
    }
}

/// Makes a file that would grow beyond the limit of the process (`ulimit -f`) an error of whoever writes it: unless
/// the signal is blocked, the process dies of it without a sentence. Threads that are started later do as this one.
#[cfg(unix)]
pub(super) fn survive_file_limit() {
    use nix::sys::signal::{SigSet, Signal};
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGXFSZ);
    // If it cannot be blocked, the process is as it was.
    let _ = signals.thread_block();
}

#[cfg(not(unix))]
pub(super) const fn survive_file_limit() {}
