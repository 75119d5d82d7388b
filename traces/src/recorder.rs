//! The recorder: an observer that writes what it sees.
//!
//! Here, and nowhere earlier, events become text. Lines are made in one buffer that is used again; the nodes'
//! names are escaped once. The hash is taken in passing. Only whole blocks are written, because a page of a file that two
//! writes share is paid for twice.
//!
//! An observer cannot stop a run, so an error is kept: nothing more is recorded, and
//! [`Recorder::finish`] returns it.

use std::collections::BTreeSet;
use std::io::Write;

use serde::Serialize;
use sha2::{Digest, Sha256};
use sim::{
    DiskAction, DropReason, EventId, Message, NodeId, Observer, Record, Stamp, Status, SyncError, TaskAction,
};

use crate::error::WriteError;
use crate::format::{self, CHECKPOINT_EVERY, Name, Piece, close, integer, key, label, name, open};
use crate::frame::{CheckpointLine, End, EndLine, Header, HeaderLine, Verdict};

/// How far the hash stays behind, in bytes. It has to wait for what was written just now; what is older it takes while
/// the processor makes the next line.
const LAG: usize = 1 << 10;

/// The hash works on so many bytes at a time; a block is a multiple.
const HASHED_AT_ONCE: usize = 64;

/// What is handed on at a time, in bytes, and multiples of it; only the last piece is shorter.
const BLOCK: usize = 1 << 18;

/// Writes a run to `W`: a [`crate::TraceFile`], a `Vec<u8>`, or anything else that can be written to.
///
/// ```
/// use serde_json::Map;
/// use snowglobe_traces::{Algorithms, End, Header, Recorder, Trace};
///
/// let header = Header {
///     scenario: "example".into(),
///     seed: 42,
///     configuration: Map::new(),
///     overrides: vec![],
///     nodes: vec!["server".into()],
///     algorithms: Algorithms::default(),
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
    /// Lines that are not written yet.
    buffer: Vec<u8>,
    /// How many bytes of the buffer are hashed.
    hashed: usize,
    /// The nodes' names as JSON strings.
    names: Vec<Name>,
    /// Of everything that was handed on, and of these.
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
            buffer: Vec::with_capacity(BLOCK + BLOCK / 16),
            hashed: 0,
            names: header.nodes.iter().map(|name| Name::new(name)).collect(),
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
        let hash = self.hash();
        self.frame_line(&EndLine::new(end, self.events, hash));
        self.hand_on(self.buffer.len());
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

    /// The hash of all lines so far, in hexadecimal.
    fn hash(&mut self) -> String {
        self.hash.update(&self.buffer[self.hashed..]);
        self.hashed = self.buffer.len();
        hex_digest(&self.hash)
    }

    /// Hashes what is in the buffer, and writes so many bytes of it.
    #[inline(never)]
    fn hand_on(&mut self, bytes: usize) {
        self.hash.update(&self.buffer[self.hashed..]);
        if self.error.is_none()
            && let Err(error) = self.sink.write_all(&self.buffer[..bytes])
        {
            self.error = Some(error.into());
        }
        self.buffer.drain(..bytes);
        self.hashed = self.buffer.len();
    }

    #[cold]
    fn checkpoint(&mut self) {
        let line = CheckpointLine { checkpoint: self.lines, sha256: self.hash() };
        self.frame_line(&line);
    }

    /// Hashes what was written some lines ago.
    #[inline]
    fn hash_on(&mut self) {
        let end = self.buffer.len().saturating_sub(LAG) / HASHED_AT_ONCE * HASHED_AT_ONCE;
        if end > self.hashed {
            self.hash.update(&self.buffer[self.hashed..end]);
            self.hashed = end;
        }
    }

    /// Ends an event's line.
    #[inline]
    fn event_done(&mut self) {
        close(&mut self.buffer);
        self.lines += 1;
        self.events += 1;
        if self.lines.is_multiple_of(CHECKPOINT_EVERY) {
            self.checkpoint();
        }
        if self.buffer.len() >= BLOCK {
            self.hand_on(self.buffer.len() / BLOCK * BLOCK);
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
        self.hash_on();
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
    names: &'r [Name],
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
        self.open(kind(record))?;
        match record {
            Record::Boot { incarnation } => self.integer(key!("incarnation"), u64::from(*incarnation)),
            Record::Crash { incarnation, after } => {
                self.integer(key!("incarnation"), u64::from(*incarnation));
                if let Some(after) = after {
                    self.integer(key!("after"), u64::from(*after));
                }
            }
            Record::Send { to, label, fate, connection, message } => {
                self.node(key!("to"), *to)?;
                self.label(key!("name"), *label);
                self.connection(connection.map(|connection| connection.0));
                self.list(key!("fate"), fate, |out, delay| integer(out, *delay));
                self.payload(message)?;
            }
            Record::Receive { from, label, connection, message } => {
                self.node(key!("from"), *from)?;
                self.label(key!("name"), *label);
                self.connection(connection.map(|connection| connection.0));
                self.payload(message)?;
            }
            Record::Drop { from, label, reason } => {
                self.node(key!("from"), *from)?;
                self.label(key!("name"), *label);
                self.string(key!("reason"), drop_reason(*reason));
            }
            Record::Timer { label, delay } => {
                self.label(key!("name"), *label);
                self.integer(key!("delay"), *delay);
            }
            Record::Fire { label } | Record::Fault { label } => self.label(key!("name"), *label),
            Record::Invoke { note } | Record::Note { note } => self.payload(note)?,
            Record::Return { of, status, note } => {
                self.hex(key!("of"), of.0.0);
                self.string(key!("status"), status_word(*status));
                self.payload(note)?;
            }
            Record::Pick { label, value } => {
                self.label(key!("name"), *label);
                self.hex(key!("value"), *value);
            }
            Record::Check { property, holds, evidence, detail } => {
                let verdict = if *holds { Verdict::Holds } else { Verdict::Violated };
                self.string(key!("property"), property);
                self.string(key!("verdict"), verdict.as_str());
                self.list(key!("evidence"), evidence, |out, id| format::hex(out, id.0));
                self.string(key!("detail"), detail);
            }
            Record::Stream { label, peer, connection } => {
                self.label(key!("name"), *label);
                self.node(key!("peer"), *peer)?;
                self.connection(Some(connection.0));
            }
            Record::Disk { label, action } => {
                self.label(key!("name"), *label);
                self.disk(*action);
            }
            Record::Task { label, action } => {
                self.label(key!("name"), *label);
                self.string(key!("action"), task_word(*action));
            }
        }
        Ok(())
    }

    #[inline]
    fn open(&mut self, kind: &Piece) -> Result<(), WriteError> {
        let Stamp { time, node, id, by } = self.stamp;
        let name = self.name(node)?;
        open(self.out, time, name, kind, id, by);
        Ok(())
    }

    #[inline]
    fn name<'r>(&self, node: NodeId) -> Result<&'r Name, WriteError>
    where
        Self: 'r,
    {
        let unknown = || WriteError::Node { event: self.stamp.id, node, nodes: self.names.len() };
        self.names.get(node.index()).ok_or_else(unknown)
    }

    #[inline(always)]
    fn node(&mut self, key: &[u8], node: NodeId) -> Result<(), WriteError> {
        let text = self.name(node)?;
        self.out.extend_from_slice(key);
        name(self.out, text);
        Ok(())
    }

    #[inline(always)]
    fn integer(&mut self, key: &[u8], value: u64) {
        self.out.extend_from_slice(key);
        integer(self.out, value);
    }

    #[inline(always)]
    fn hex(&mut self, key: &[u8], value: u64) {
        self.out.extend_from_slice(key);
        format::hex(self.out, value);
    }

    #[inline(always)]
    fn label(&mut self, key: &[u8], value: sim::Label) {
        self.out.extend_from_slice(key);
        label(self.out, value);
    }

    #[inline(always)]
    fn string(&mut self, key: &[u8], value: &str) {
        self.out.extend_from_slice(key);
        format::string(self.out, value);
    }

    #[inline(always)]
    fn connection(&mut self, id: Option<EventId>) {
        if let Some(id) = id {
            self.hex(key!("connection"), id.0);
        }
    }

    #[inline(always)]
    fn list<T>(&mut self, key: &[u8], items: &[T], item: impl Fn(&mut Vec<u8>, &T)) {
        self.out.extend_from_slice(key);
        self.out.push(b'[');
        for (i, each) in items.iter().enumerate() {
            if i > 0 {
                self.out.push(b',');
            }
            item(self.out, each);
        }
        self.out.push(b']');
    }

    #[inline(always)]
    fn payload(&mut self, value: &impl Serialize) -> Result<(), WriteError> {
        self.out.extend_from_slice(key!("payload"));
        serde_json::to_writer(&mut *self.out, value)
            .map_err(|source| WriteError::Payload { event: self.stamp.id, source })
    }

    fn disk(&mut self, action: DiskAction<'_>) {
        match action {
            DiskAction::Write(bytes) => self.disk_bytes("write", bytes),
            DiskAction::Append(bytes) => self.disk_bytes("append", bytes),
            DiskAction::Remove => self.string(key!("action"), "remove"),
            DiskAction::Full => self.string(key!("action"), "full"),
            DiskAction::Sync => self.string(key!("action"), "sync"),
            DiskAction::Synced(Ok(())) => self.string(key!("action"), "synced"),
            DiskAction::Synced(Err(error)) => {
                self.string(key!("action"), "failed");
                self.string(key!("error"), sync_error(error));
            }
            DiskAction::Lost { changes, torn } => {
                self.string(key!("action"), "lost");
                self.integer(key!("changes"), u64::from(changes));
                self.out.extend_from_slice(key!("torn"));
                self.out.extend_from_slice(if torn { b"true" } else { b"false" });
            }
        }
    }

    fn disk_bytes(&mut self, action: &str, bytes: &[u8]) {
        self.string(key!("action"), action);
        self.out.extend_from_slice(key!("payload"));
        format::bytes(self.out, bytes);
    }
}

/// What says of which kind a record is.
#[inline(always)]
const fn kind<M: Message>(record: &Record<'_, M>) -> &'static Piece {
    macro_rules! kind {
        ($word:literal) => {
            &const { Piece::new(concat!(",\"kind\":\"", $word, "\"").as_bytes()) }
        };
    }
    match record {
        Record::Boot { .. } => kind!("boot"),
        Record::Crash { .. } => kind!("crash"),
        Record::Send { .. } => kind!("send"),
        Record::Receive { .. } => kind!("recv"),
        Record::Drop { .. } => kind!("drop"),
        Record::Timer { .. } => kind!("timer"),
        Record::Fire { .. } => kind!("fire"),
        Record::Fault { .. } => kind!("fault"),
        Record::Invoke { .. } => kind!("invoke"),
        Record::Return { .. } => kind!("return"),
        Record::Pick { .. } => kind!("pick"),
        Record::Check { .. } => kind!("check"),
        Record::Stream { .. } => kind!("stream"),
        Record::Disk { .. } => kind!("disk"),
        Record::Task { .. } => kind!("task"),
        Record::Note { .. } => kind!("note"),
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

/// The hash of everything so far, in hexadecimal.
pub(crate) fn hex_digest(hash: &Sha256) -> String {
    format!("{:x}", hash.clone().finalize())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reader::Trace;
    use crate::testing::{Rpc, Toy, end, header};
    use proptest::prelude::*;
    use sim::{ConnectionId, Label, OpId};
    use std::io;

    fn stamp(time: u64) -> Stamp {
        Stamp { time, node: NodeId(1), id: EventId(0xa), by: EventId(0xb) }
    }

    /// The lines of a trace without header and end, each without what all event lines begin with.
    fn tails(bytes: Vec<u8>) -> Vec<String> {
        let trace = Trace::parse(bytes, "test").unwrap();
        trace.events().map(|event| format!("{}{}", event.word, event.tail)).collect()
    }

    /// A trace with every record, at the times 0, 1, and so on.
    fn every_record() -> Vec<u8> {
        let message = Rpc::Call { operation: 1, hint: 2 };
        let note = "done \"it\"".to_owned();
        let name = Label::keyed("resend", 7);
        let disk = |action| Record::Disk { label: Label::new("log"), action };
        let connection = ConnectionId(EventId(u64::MAX));
        let call = Label::new("call");
        let records: Vec<Record<'_, Rpc>> = vec![
            Record::Boot { incarnation: 1 },
            Record::Crash { incarnation: 1, after: None },
            Record::Crash { incarnation: 1, after: Some(3) },
            Record::Send { to: NodeId(0), label: call, fate: &[], connection: None, message: &message },
            Record::Send {
                to: NodeId(0),
                label: call,
                fate: &[5, 9],
                connection: Some(connection),
                message: &message,
            },
            Record::Receive { from: NodeId(0), label: call, connection: None, message: &message },
            Record::Drop { from: NodeId(0), label: call, reason: DropReason::QueueFull },
            Record::Timer { label: name, delay: 1_000 },
            Record::Fire { label: name },
            Record::Fault { label: Label::new("partition") },
            Record::Invoke { note: &note },
            Record::Return { of: OpId(EventId(0xc)), status: Status::Unknown, note: &note },
            Record::Pick { label: Label::new("ready"), value: 3 },
            Record::Check {
                property: "at most once",
                holds: false,
                evidence: &[EventId(1), EventId(2)],
                detail: "twice",
            },
            Record::Stream { label: Label::new("open"), peer: NodeId(0), connection },
            disk(DiskAction::Write(b"text")),
            disk(DiskAction::Append(&[0, 1])),
            disk(DiskAction::Remove),
            disk(DiskAction::Full),
            disk(DiskAction::Sync),
            disk(DiskAction::Synced(Ok(()))),
            disk(DiskAction::Synced(Err(SyncError::Device))),
            disk(DiskAction::Lost { changes: 2, torn: true }),
            Record::Task { label: Label::new("worker"), action: TaskAction::Spawn },
            Record::Note { note: &note },
        ];
        let mut recorder = Recorder::new(Vec::new(), &header(&["client-1", "server"]));
        for (time, record) in records.iter().enumerate() {
            recorder.observe(stamp(time as u64), record);
        }
        recorder.finish(&end(99)).unwrap()
    }

    #[test]
    fn every_record_has_its_line() {
        let bytes = every_record();
        let text = std::str::from_utf8(&bytes).unwrap();
        assert_eq!(
            text.lines().next().unwrap(),
            "{\"format\":\"snowglobe-trace\",\"version\":1,\"scenario\":\"rpc/test\",\"seed\":\"0x000000000000002a\",\
             \"configuration\":{\"loss\":\"1/10\",\"clients\":2},\"overrides\":[],\"nodes\":[\"client-1\",\"server\"],\
             \"algorithms\":{\"id\":\"an-id\",\"dice\":\"some-dice\",\"hash\":\"sha256\"}}"
        );
        assert_eq!(
            text.lines().nth(1).unwrap(),
            "{\"t\":0,\"node\":\"server\",\"kind\":\"boot\",\"id\":\"000000000000000a\",\
             \"by\":\"000000000000000b\",\"incarnation\":1}"
        );
        let call = "\"payload\":{\"Call\":{\"operation\":1,\"hint\":2}}}";
        let note = "\"payload\":\"done \\\"it\\\"\"}";
        assert_eq!(
            tails(bytes.clone()),
            [
                "boot,\"incarnation\":1}",
                "crash,\"incarnation\":1}",
                "crash,\"incarnation\":1,\"after\":3}",
                &format!("send,\"to\":\"client-1\",\"name\":\"call\",\"fate\":[],{call}"),
                &format!(
                    "send,\"to\":\"client-1\",\"name\":\"call\",\"connection\":\"ffffffffffffffff\",\"fate\":[5,9],{call}"
                ),
                &format!("recv,\"from\":\"client-1\",\"name\":\"call\",{call}"),
                "drop,\"from\":\"client-1\",\"name\":\"call\",\"reason\":\"queue-full\"}",
                "timer,\"name\":\"resend/7\",\"delay\":1000}",
                "fire,\"name\":\"resend/7\"}",
                "fault,\"name\":\"partition\"}",
                &format!("invoke,{note}"),
                &format!("return,\"of\":\"000000000000000c\",\"status\":\"unknown\",{note}"),
                "pick,\"name\":\"ready\",\"value\":\"0000000000000003\"}",
                "check,\"property\":\"at most once\",\"verdict\":\"violated\",\
                 \"evidence\":[\"0000000000000001\",\"0000000000000002\"],\"detail\":\"twice\"}",
                "stream,\"name\":\"open\",\"peer\":\"client-1\",\"connection\":\"ffffffffffffffff\"}",
                "disk,\"name\":\"log\",\"action\":\"write\",\"payload\":\"text\"}",
                "disk,\"name\":\"log\",\"action\":\"append\",\"payload\":\"hex:0001\"}",
                "disk,\"name\":\"log\",\"action\":\"remove\"}",
                "disk,\"name\":\"log\",\"action\":\"full\"}",
                "disk,\"name\":\"log\",\"action\":\"sync\"}",
                "disk,\"name\":\"log\",\"action\":\"synced\"}",
                "disk,\"name\":\"log\",\"action\":\"failed\",\"error\":\"device\"}",
                "disk,\"name\":\"log\",\"action\":\"lost\",\"changes\":2,\"torn\":true}",
                "task,\"name\":\"worker\",\"action\":\"spawn\"}",
                &format!("note,{note}"),
            ]
        );
        let last = text.lines().last().unwrap();
        assert!(
            last.starts_with(
                "{\"end\":true,\"t\":99,\"events\":25,\"digest\":\"000000000000feed\",\"verdict\":\"holds\",\
                 \"violations\":[],\"sha256\":\""
            ),
            "{last}"
        );
    }

    #[test]
    fn a_checkpoint_stands_after_every_thousand_lines_and_its_hash_is_that_of_all_before() {
        let bytes = Toy::new(4, 150).bytes();
        let mut checkpoints = 0;
        let mut at = 0;
        for (number, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
            let is_checkpoint = line.starts_with(b"{\"checkpoint\":");
            assert_eq!(is_checkpoint, number > 0 && number.is_multiple_of(1_000), "line {}", number + 1);
            if is_checkpoint {
                let hash = format!("{:x}", Sha256::digest(&bytes[..at]));
                assert_eq!(line, format!("{{\"checkpoint\":{number},\"sha256\":\"{hash}\"}}\n").as_bytes());
                checkpoints += 1;
            }
            at += line.len();
        }
        assert!(checkpoints >= 3, "{checkpoints}");
    }

    #[test]
    fn equal_runs_give_equal_bytes() {
        assert_eq!(Toy::new(3, 100).bytes(), Toy::new(3, 100).bytes());
    }

    /// Takes so many bytes and then is full.
    struct Small(usize);

    impl Write for Small {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.0);
            self.0 -= taken;
            if taken == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(taken) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_sink_is_reported_at_the_end() {
        for room in [0, 10, 70_000, 200_000] {
            let toy = Toy::new(3, 1_000);
            let mut recorder = Recorder::new(Small(room), &header(&["a", "b", "c", "d"]));
            let time = toy.run(&mut recorder);
            assert!(matches!(recorder.finish(&end(time)), Err(WriteError::Write(_))), "room for {room}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_reported_at_the_end() {
        for name in ["/dev/full", "/dev/full"] {
            let sink = crate::TraceFile::create(name).unwrap();
            let mut recorder = Recorder::new(sink, &header(&["a", "b", "c", "d"]));
            let time = Toy::new(3, 1_000).run(&mut recorder);
            let error = recorder.finish(&end(time)).err().unwrap().to_string();
            assert!(error.contains("No space left"), "{error}");
        }
    }

    #[test]
    fn a_failed_recording_leaves_no_file() {
        let directory = tempfile::tempdir().unwrap();
        let sink = crate::TraceFile::create(directory.path().join("run.jsonl")).unwrap();
        let mut recorder = Recorder::new(sink, &header(&["a"]));
        // The toy has more nodes than the header.
        let time = Toy::new(3, 1).run(&mut recorder);
        let error = recorder.finish(&end(time)).err().unwrap().to_string();
        assert!(error.contains("names n1, but the header lists 1 nodes"), "{error}");
        assert_eq!(directory.path().read_dir().unwrap().count(), 0);
    }

    #[test]
    fn two_nodes_of_one_name_are_an_error() {
        let recorder = Recorder::new(Vec::new(), &header(&["a", "a"]));
        let error = recorder.finish(&end(0)).err().unwrap().to_string();
        assert_eq!(error, "two nodes have the name \"a\": expected each to have its own");
    }

    #[test]
    fn a_payload_without_a_form_in_json_is_an_error() {
        #[derive(Clone, Hash, Debug)]
        struct Odd;
        impl Serialize for Odd {
            fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
                Err(serde::ser::Error::custom("no form"))
            }
        }
        impl Message for Odd {
            type Note = ();
            fn label(&self) -> Label {
                Label::new("odd")
            }
        }
        let mut recorder = Recorder::new(Vec::new(), &header(&["a", "b"]));
        let record = Record::Receive { from: NodeId(0), label: Odd.label(), connection: None, message: &Odd };
        recorder.observe(stamp(1), &record);
        let error = recorder.finish(&end(0)).err().unwrap().to_string();
        assert_eq!(error, "event 000000000000000a cannot be written as JSON: no form");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            nodes in prop::collection::btree_set("\\PC{0,6}|[\"\\\\\n]", 1..5),
            events in prop::collection::vec((any::<u64>(), any::<prop::sample::Index>(), any::<u64>(), any::<u64>(), "\\PC*"), 0..50),
            digest: u64,
            violations in prop::collection::vec(("\\PC*", "\\PC*"), 0..3),
        ) {
            let names: Vec<_> = nodes.iter().map(String::as_str).collect();
            let violations =
                violations.into_iter().map(|(property, detail)| crate::Violation { property, detail }).collect();
            let end = End { time: 5, digest, violations };
            let mut recorder = Recorder::new(Vec::new(), &header(&names));
            for (time, node, id, by, note) in &events {
                let node = NodeId(node.index(names.len()) as u32);
                let stamp = Stamp { time: *time, node, id: EventId(*id), by: EventId(*by) };
                Observer::<Rpc>::observe(&mut recorder, stamp, &Record::Note { note });
            }
            let trace = Trace::parse(recorder.finish(&end).unwrap(), "test").unwrap();
            prop_assert_eq!(trace.header(), &header(&names));
            prop_assert_eq!(trace.end(), &end);
            prop_assert_eq!(trace.len(), events.len());
            for (read, (time, node, id, by, note)) in trace.events().zip(&events) {
                prop_assert_eq!((read.t, read.id.0, read.by.0), (*time, *id, *by));
                prop_assert_eq!(read.node_name, names[node.index(names.len())]);
                prop_assert_eq!(read.kind, crate::Kind::Note);
                prop_assert_eq!(read.field("payload"), Some(serde_json::Value::from(note.as_str())));
            }
        }
    }
}
