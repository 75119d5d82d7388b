//! The recorder: an observer that writes what it sees.
//!
//! Here, and nowhere earlier, events become text. Lines are made in one buffer that is used again; the nodes'
//! names are escaped once. The hash is taken over whole buffers, in passing.
//!
//! An observer cannot stop a run, so an error is kept: nothing more is recorded, and
//! [`Recorder::finish`] returns it.

use std::collections::BTreeSet;
use std::io::Write;

use serde::Serialize;
use sha2::{Digest, Sha256};
use sim::{DiskAction, DropReason, EventId, Message, NodeId, Observer, Record, Stamp, Status, SyncError, TaskAction};

use crate::error::WriteError;
use crate::format::{self, CHECKPOINT_EVERY, close, integer, key, label, open};
use crate::frame::{CheckpointLine, End, EndLine, Header, HeaderLine, Verdict};

/// The buffer is handed on when it holds this many bytes.
const BUFFER: usize = 1 << 16;

/// Writes a run to `W`: a [`crate::TraceFile`], a `Vec<u8>`, or anything else that can be written to.
///
/// ```
/// use serde_json::Map;
/// use traces::{Algorithms, End, Header, Recorder, Trace};
///
/// let header = Header {
///     scenario: "example".into(),
///     seed: 42,
///     configuration: Map::new(),
///     overrides: vec![],
///     nodes: vec!["server".into()],
///     algorithms: Algorithms::new("path-1", "chacha-1"),
/// };
/// let recorder = Recorder::new(Vec::new(), &header);
/// // … the world runs, and shows the recorder what happens …
/// let bytes = recorder.finish(&End { time: 0, digest: 7, violations: vec![] })?;
/// assert_eq!(Trace::parse(bytes, "example")?.header().seed, 42);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "without `finish` the trace has no end"]
#[derive(Debug)]
pub struct Recorder<W> {
    sink: W,
    /// Lines that are neither hashed nor written yet.
    buffer: Vec<u8>,
    /// The nodes' names as JSON strings.
    names: Vec<Box<[u8]>>,
    /// Of everything that was handed on.
    hash: Sha256,
    lines: u64,
    events: u64,
    error: Option<WriteError>,
}

impl<W: Write> Recorder<W> {
    /// Begins a trace with its header line.
    pub fn new(sink: W, header: &Header) -> Self {
        let mut recorder = Self {
            sink,
            buffer: Vec::with_capacity(2 * BUFFER),
            names: header.nodes.iter().map(|name| escaped(name)).collect(),
            hash: Sha256::new(),
            lines: 0,
            events: 0,
            error: None,
        };
        let mut seen = BTreeSet::new();
        if let Some(name) = header.nodes.iter().find(|name| !seen.insert(*name)) {
            recorder.error = Some(WriteError::SameName { name: name.clone() });
        }
        recorder.frame_line(&HeaderLine::from(header));
        recorder
    }

    /// How many events were recorded so far.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Writes the end line, and gives the sink back, flushed.
    ///
    /// # Errors
    /// The first thing that went wrong since the beginning. The sink is dropped then, which removes a
    /// [`crate::TraceFile`].
    pub fn finish(mut self, end: &End) -> Result<W, WriteError> {
        self.hand_on();
        let hash = hex_digest(&self.hash);
        self.frame_line(&EndLine::new(end, self.events, hash));
        self.hand_on();
        if let Some(error) = self.error {
            return Err(error);
        }
        self.sink.flush()?;
        Ok(self.sink)
    }

    /// Writes a line that is not an event.
    fn frame_line(&mut self, line: &impl Serialize) {
        if self.error.is_some() {
            return;
        }
        if let Err(source) = serde_json::to_writer(&mut self.buffer, line) {
            self.error = Some(WriteError::Payload { event: EventId::ROOT, source });
            return;
        }
        self.buffer.push(b'\n');
        self.lines += 1;
    }

    /// Hashes and writes what is in the buffer.
    fn hand_on(&mut self) {
        if self.error.is_none() {
            self.hash.update(&self.buffer);
            if let Err(error) = self.sink.write_all(&self.buffer) {
                self.error = Some(error.into());
            }
        }
        self.buffer.clear();
    }

    #[cold]
    fn checkpoint(&mut self) {
        self.hand_on();
        let line = CheckpointLine { checkpoint: self.lines, sha256: hex_digest(&self.hash) };
        self.frame_line(&line);
    }

    /// Ends an event's line.
    #[inline]
    fn event_done(&mut self) {
        close(&mut self.buffer);
        self.lines += 1;
        self.events += 1;
        if self.lines % CHECKPOINT_EVERY == 0 {
            self.checkpoint();
        } else if self.buffer.len() >= BUFFER {
            self.hand_on();
        }
    }
}

impl<M, W> Observer<M> for Recorder<W>
where
    M: Message + Serialize,
    M::Note: Serialize,
    W: Write,
{
    #[inline]
    fn observe(&mut self, stamp: Stamp, record: &Record<'_, M>) {
        if self.error.is_some() {
            return;
        }
        let start = self.buffer.len();
        let mut line = Line { out: &mut self.buffer, names: &self.names, stamp };
        match line.write(record) {
            Ok(()) => self.event_done(),
            Err(error) => {
                self.buffer.truncate(start);
                self.error = Some(error);
            }
        }
    }
}

/// One event on its way into the buffer.
struct Line<'r> {
    out: &'r mut Vec<u8>,
    names: &'r [Box<[u8]>],
    stamp: Stamp,
}

impl Line<'_> {
    /// Everything but the closing brace.
    #[inline]
    fn write<M>(&mut self, record: &Record<'_, M>) -> Result<(), WriteError>
    where
        M: Message + Serialize,
        M::Note: Serialize,
    {
        self.open(word(record))?;
        match record {
            Record::Boot { incarnation } => self.integer("incarnation", u64::from(*incarnation)),
            Record::Crash { incarnation, after } => {
                self.integer("incarnation", u64::from(*incarnation));
                if let Some(after) = after {
                    self.integer("after", u64::from(*after));
                }
            }
            Record::Send { to, label, fate, connection, message } => {
                self.node("to", *to)?;
                self.label("name", *label);
                self.connection(connection.map(|connection| connection.0));
                self.list("fate", fate, |out, delay| integer(out, *delay));
                self.payload(message)?;
            }
            Record::Receive { from, label, connection, message } => {
                self.node("from", *from)?;
                self.label("name", *label);
                self.connection(connection.map(|connection| connection.0));
                self.payload(message)?;
            }
            Record::Drop { from, label, reason } => {
                self.node("from", *from)?;
                self.label("name", *label);
                self.string("reason", drop_reason(*reason));
            }
            Record::Timer { label, delay } => {
                self.label("name", *label);
                self.integer("delay", *delay);
            }
            Record::Fire { label } | Record::Fault { label } => self.label("name", *label),
            Record::Invoke { note } | Record::Note { note } => self.payload(note)?,
            Record::Return { of, status, note } => {
                self.hex("of", of.0.0);
                self.string("status", status_word(*status));
                self.payload(note)?;
            }
            Record::Pick { label, value } => {
                self.label("name", *label);
                self.hex("value", *value);
            }
            Record::Check { property, holds, evidence, detail } => {
                let verdict = if *holds { Verdict::Holds } else { Verdict::Violated };
                self.string("property", property);
                self.string("verdict", verdict.as_str());
                self.list("evidence", evidence, |out, id| format::hex(out, id.0));
                self.string("detail", detail);
            }
            Record::Stream { label, peer, connection } => {
                self.label("name", *label);
                self.node("peer", *peer)?;
                self.connection(Some(connection.0));
            }
            Record::Disk { label, action } => {
                self.label("name", *label);
                self.disk(*action);
            }
            Record::Task { label, action } => {
                self.label("name", *label);
                self.string("action", task_word(*action));
            }
        }
        Ok(())
    }

    #[inline]
    fn open(&mut self, kind: &str) -> Result<(), WriteError> {
        let Stamp { time, node, id, by } = self.stamp;
        let name = self.name(node)?;
        open(self.out, time, name, kind, id, by);
        Ok(())
    }

    #[inline]
    fn name<'r>(&self, node: NodeId) -> Result<&'r [u8], WriteError>
    where
        Self: 'r,
    {
        let unknown = || WriteError::Node { event: self.stamp.id, node, nodes: self.names.len() };
        self.names.get(node.index()).map(|name| &**name).ok_or_else(unknown)
    }

    #[inline]
    fn node(&mut self, name: &str, node: NodeId) -> Result<(), WriteError> {
        let text = self.name(node)?;
        key(self.out, name);
        self.out.extend_from_slice(text);
        Ok(())
    }

    #[inline]
    fn integer(&mut self, name: &str, value: u64) {
        key(self.out, name);
        integer(self.out, value);
    }

    #[inline]
    fn hex(&mut self, name: &str, value: u64) {
        key(self.out, name);
        format::hex(self.out, value);
    }

    #[inline]
    fn label(&mut self, name: &str, value: sim::Label) {
        key(self.out, name);
        label(self.out, value);
    }

    #[inline]
    fn string(&mut self, name: &str, value: &str) {
        key(self.out, name);
        format::string(self.out, value);
    }

    #[inline]
    fn connection(&mut self, id: Option<EventId>) {
        if let Some(id) = id {
            self.hex("connection", id.0);
        }
    }

    #[inline]
    fn list<T>(&mut self, name: &str, items: &[T], item: impl Fn(&mut Vec<u8>, &T)) {
        key(self.out, name);
        self.out.push(b'[');
        for (i, each) in items.iter().enumerate() {
            if i > 0 {
                self.out.push(b',');
            }
            item(self.out, each);
        }
        self.out.push(b']');
    }

    #[inline]
    fn payload(&mut self, value: &impl Serialize) -> Result<(), WriteError> {
        key(self.out, "payload");
        serde_json::to_writer(&mut *self.out, value)
            .map_err(|source| WriteError::Payload { event: self.stamp.id, source })
    }

    fn disk(&mut self, action: DiskAction<'_>) {
        match action {
            DiskAction::Write(bytes) => self.disk_bytes("write", bytes),
            DiskAction::Append(bytes) => self.disk_bytes("append", bytes),
            DiskAction::Remove => self.string("action", "remove"),
            DiskAction::Full => self.string("action", "full"),
            DiskAction::Sync => self.string("action", "sync"),
            DiskAction::Synced(Ok(())) => self.string("action", "synced"),
            DiskAction::Synced(Err(error)) => {
                self.string("action", "failed");
                self.string("error", sync_error(error));
            }
            DiskAction::Lost { changes, torn } => {
                self.string("action", "lost");
                self.integer("changes", u64::from(changes));
                key(self.out, "torn");
                self.out.extend_from_slice(if torn { b"true" } else { b"false" });
            }
        }
    }

    fn disk_bytes(&mut self, action: &str, bytes: &[u8]) {
        self.string("action", action);
        key(self.out, "payload");
        format::bytes(self.out, bytes);
    }
}

/// The word for a record's kind.
#[inline]
const fn word<M: Message>(record: &Record<'_, M>) -> &'static str {
    match record {
        Record::Boot { .. } => "boot",
        Record::Crash { .. } => "crash",
        Record::Send { .. } => "send",
        Record::Receive { .. } => "recv",
        Record::Drop { .. } => "drop",
        Record::Timer { .. } => "timer",
        Record::Fire { .. } => "fire",
        Record::Fault { .. } => "fault",
        Record::Invoke { .. } => "invoke",
        Record::Return { .. } => "return",
        Record::Pick { .. } => "pick",
        Record::Check { .. } => "check",
        Record::Stream { .. } => "stream",
        Record::Disk { .. } => "disk",
        Record::Task { .. } => "task",
        Record::Note { .. } => "note",
    }
}

const fn drop_reason(reason: DropReason) -> &'static str {
    match reason {
        DropReason::Down => "down",
        DropReason::Partition => "partition",
        DropReason::Corrupt => "corrupt",
        DropReason::QueueFull => "queue-full",
        DropReason::Closed => "closed",
    }
}

const fn status_word(status: Status) -> &'static str {
    match status {
        Status::Ok => "ok",
        Status::Fail => "fail",
        Status::Unknown => "unknown",
    }
}

const fn task_word(action: TaskAction) -> &'static str {
    match action {
        TaskAction::Spawn => "spawn",
        TaskAction::End => "end",
    }
}

const fn sync_error(error: SyncError) -> &'static str {
    match error {
        SyncError::Device => "device",
    }
}

fn escaped(name: &str) -> Box<[u8]> {
    let mut out = Vec::with_capacity(name.len() + 2);
    format::string(&mut out, name);
    out.into_boxed_slice()
}

/// The hash of everything so far, in hexadecimal.
pub(crate) fn hex_digest(hash: &Sha256) -> String {
    format!("{:x}", hash.clone().finalize())
}
