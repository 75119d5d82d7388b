//! The reader: a whole trace in memory, checked when it is read and understood when it is asked.
//!
//! Reading takes apart by hand what every event line begins with (time, node, kind, id and cause), checks that
//! the rest is JSON, and verifies the hashes of the checkpoints and of the end. What is particular to a kind
//! stays text until [`Event::fields`] or [`Event::parse`] is called: most readers look at few events.
//!
//! Keys this version does not know are ignored, and kinds it does not know are kept as [`Kind::Opaque`]. The
//! beginning of a line is matched byte for byte, because a trace has one spelling.
//!
//! Deliberately absent: reading a stream without end, and repairing what is damaged.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;
use std::sync::OnceLock;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use sim::{EventId, Nanos};

use crate::error::ReadError;
use crate::file::{is_compressed, read_whole};
use crate::format::{FORMAT, LINE_MAX, TRACE_MAX, VERSION, parse_hex};
use crate::frame::{CheckpointLine, End, EndLine, Header, HeaderLine};
use crate::recorder::hex_digest;

/// What every trace begins with.
const MAGIC: &[u8] = b"{\"format\":\"snowglobe-trace\"";

/// What every Zstandard file begins with.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// A trace that was read, whole and unchanged since it was written.
#[derive(Debug)]
pub struct Trace {
    name: String,
    text: String,
    header: Header,
    entries: Vec<Entry>,
    /// The words of kinds that [`Kind`] does not have.
    opaque: Vec<String>,
    checkpoints: Vec<Checkpoint>,
    end: End,
    sha256: String,
    by_id: OnceLock<Vec<(EventId, usize)>>,
}

/// What is kept of an event beside its line.
#[derive(Clone, Copy, Debug)]
struct Entry {
    t: Nanos,
    id: EventId,
    by: EventId,
    /// Where the line begins in the text.
    start: usize,
    /// How long it is, without its newline.
    len: u32,
    node: u32,
    /// An index into [`Kind::KNOWN`], or behind it, into the words of opaque kinds.
    kind: u32,
    /// Where the fields particular to the kind begin in the line.
    tail: u32,
}

/// A verified checkpoint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checkpoint {
    /// How many lines precede it in the file.
    pub lines: u64,
    /// How many of them are events.
    pub events: usize,
    /// Their hash.
    pub sha256: String,
}

/// What kind of event a line tells.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
#[allow(missing_docs)] // Each is the record of the same name in `sim::Record`.
pub enum Kind {
    Boot,
    Crash,
    Send,
    Recv,
    Drop,
    Timer,
    Fire,
    Fault,
    Invoke,
    Return,
    Pick,
    Check,
    Stream,
    Disk,
    Task,
    Note,
    /// One that this version of the reader does not know; [`Event::word`] has its name.
    Opaque,
}

impl Kind {
    /// Every kind with its word.
    const KNOWN: [(Self, &'static str); 16] = [
        (Self::Boot, "boot"),
        (Self::Crash, "crash"),
        (Self::Send, "send"),
        (Self::Recv, "recv"),
        (Self::Drop, "drop"),
        (Self::Timer, "timer"),
        (Self::Fire, "fire"),
        (Self::Fault, "fault"),
        (Self::Invoke, "invoke"),
        (Self::Return, "return"),
        (Self::Pick, "pick"),
        (Self::Check, "check"),
        (Self::Stream, "stream"),
        (Self::Disk, "disk"),
        (Self::Task, "task"),
        (Self::Note, "note"),
    ];
}

/// One event of a trace.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event<'t> {
    /// Its place among the trace's events, from 0.
    pub index: usize,
    /// When, in nanoseconds of virtual time.
    pub t: Nanos,
    /// On which node: an index into [`Header::nodes`].
    pub node: usize,
    /// That node's name.
    pub node_name: &'t str,
    /// What kind of event.
    pub kind: Kind,
    /// The kind as it is spelled.
    pub word: &'t str,
    /// Which.
    pub id: EventId,
    /// Its cause.
    pub by: EventId,
    /// The whole line, without its newline.
    pub line: &'t str,
    /// The part of the line after the cause, with the closing brace: what is particular to the kind.
    pub tail: &'t str,
}

impl<'t> Event<'t> {
    /// The line as JSON, every key of it.
    pub fn fields(&self) -> Map<String, Value> {
        self.parse().expect("the line was checked when it was read")
    }

    /// The line as a type of the caller's; what the type does not name is skipped.
    ///
    /// # Errors
    /// If the line does not have the form of `T`.
    pub fn parse<T: Deserialize<'t>>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.line)
    }

    /// One field as JSON, if the line has it.
    pub fn field(&self, key: &str) -> Option<Value> {
        self.fields().swap_remove(key)
    }

    /// Whether the two lines tell the same, apart from the time.
    pub fn same_content(&self, other: &Event<'_>) -> bool {
        self.id == other.id
            && self.by == other.by
            && self.word == other.word
            && self.node_name == other.node_name
            && self.tail == other.tail
    }
}

impl Trace {
    /// Reads a file, compressed or not.
    ///
    /// # Errors
    /// If it cannot be read, is not a trace, or is not whole and unchanged: a variant of [`ReadError`] each.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, ReadError> {
        let path = path.as_ref();
        let name = path.display().to_string();
        match read_whole(path, TRACE_MAX) {
            Ok(bytes) => Self::parse(bytes, &name),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(ReadError::Missing { name }),
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => Err(ReadError::TooLong { name }),
            Err(source) => Err(ReadError::Read { name, source }),
        }
    }

    /// Reads bytes, compressed or not. `name` is what errors call them; `.zst` at its end means compressed.
    ///
    /// # Errors
    /// If they are not a trace, or not a whole and unchanged one: a variant of [`ReadError`] each.
    pub fn parse(bytes: impl Into<Vec<u8>>, name: &str) -> Result<Self, ReadError> {
        let bytes: Vec<u8> = bytes.into();
        if bytes.is_empty() {
            return Err(ReadError::Empty { name: name.into() });
        }
        let bytes = if bytes.starts_with(&ZSTD_MAGIC) || is_compressed(Path::new(name)) {
            decompressed(&bytes, name)?
        } else {
            bytes
        };
        if bytes.is_empty() {
            return Err(ReadError::Empty { name: name.into() });
        }
        if !bytes.starts_with(MAGIC) {
            // The beginning of our own beginning is a trace that was cut very early.
            let cut = MAGIC.starts_with(&bytes);
            let name = name.into();
            return Err(if cut {
                ReadError::Truncated { name, lines: 0 }
            } else {
                ReadError::Foreign { name }
            });
        }
        let text = String::from_utf8(bytes).map_err(|error| not_utf8(name, &error))?;
        Parser::new(name, &text).run().map(|parsed| parsed.into_trace(name, text))
    }

    /// What the trace was called when it was read.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What was run.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// How it ended.
    pub const fn end(&self) -> &End {
        &self.end
    }

    /// The hash of everything before the end line.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The whole text, decompressed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The checkpoints, in order.
    pub fn checkpoints(&self) -> &[Checkpoint] {
        &self.checkpoints
    }

    /// How many events there are.
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no event.
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The event at a place.
    ///
    /// # Panics
    /// If `index` is not below [`Trace::len`].
    pub fn event(&self, index: usize) -> Event<'_> {
        let Entry { t, id, by, start, len, node, kind, tail } = self.entries[index];
        let line = &self.text[start..start + len as usize];
        let (kind, word) = match Kind::KNOWN.get(kind as usize) {
            Some(&(kind, word)) => (kind, word),
            None => (Kind::Opaque, &*self.opaque[kind as usize - Kind::KNOWN.len()]),
        };
        let node = node as usize;
        let node_name = &self.header.nodes[node];
        Event { index, t, node, node_name, kind, word, id, by, line, tail: &line[tail as usize..] }
    }

    /// The number, from 1, of an event's line in the (uncompressed) file.
    pub fn line_number(&self, index: usize) -> u64 {
        let checkpoints = self.checkpoints.partition_point(|checkpoint| checkpoint.events <= index);
        // The header, the events and checkpoints before it, and itself.
        (1 + index + checkpoints + 1) as u64
    }

    /// All events, in order.
    pub fn events(&self) -> impl DoubleEndedIterator<Item = Event<'_>> + ExactSizeIterator {
        (0..self.len()).map(|index| self.event(index))
    }

    /// The events of this id, in order: one, unless the program repeats ids.
    pub fn find(&self, id: EventId) -> impl Iterator<Item = Event<'_>> {
        let all = self.by_id();
        let from = all.partition_point(|(other, _)| *other < id);
        all[from..].iter().take_while(move |(other, _)| *other == id).map(|(_, index)| self.event(*index))
    }

    /// The places of all events, ordered by id, then by place. Sorting costs less than hashing a million ids,
    /// and two traces can be aligned by walking along both.
    pub(crate) fn by_id(&self) -> &[(EventId, usize)] {
        self.by_id.get_or_init(|| {
            let mut all: Vec<_> = self.entries.iter().enumerate().map(|(i, entry)| (entry.id, i)).collect();
            all.sort_unstable();
            all
        })
    }
}

/// What the bytes stand for. Few of them can stand for more than any memory holds, and so it is looked at while it
/// grows: whether it begins as a trace does, and has lines of a bounded length.
fn decompressed(bytes: &[u8], name: &str) -> Result<Vec<u8>, ReadError> {
    /// How much is looked at at once: less than a line may have.
    const PIECE: u64 = 1 << 20;
    let broken = |source| ReadError::Compression { name: name.into(), source };
    let mut source = zstd::stream::read::Decoder::with_buffer(bytes).map_err(broken)?;
    let (mut out, mut line_start) = (Vec::new(), 0);
    while source.by_ref().take(PIECE).read_to_end(&mut out).map_err(broken)? > 0 {
        let newline = out[line_start..].iter().rposition(|byte| *byte == b'\n');
        line_start += newline.map_or(0, |newline| newline + 1);
        if !out.starts_with(&MAGIC[..MAGIC.len().min(out.len())]) {
            return Err(ReadError::Foreign { name: name.into() });
        }
        if out.len() - line_start > LINE_MAX {
            let line = out.split(|byte| *byte == b'\n').count() as u64;
            return Err(ReadError::Malformed { name: name.into(), line, column: 1, problem: long_line() });
        }
        if out.len() as u64 > TRACE_MAX {
            return Err(ReadError::TooLong { name: name.into() });
        }
    }
    Ok(out)
}

fn long_line() -> String {
    format!("expected a line of at most {LINE_MAX} bytes")
}

fn not_utf8(name: &str, error: &std::string::FromUtf8Error) -> ReadError {
    let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
    let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    ReadError::Malformed {
        name: name.into(),
        line: before.split(|byte| *byte == b'\n').count() as u64,
        column: before.len() - line_start + 1,
        problem: "expected UTF-8, found a byte that cannot be part of it".into(),
    }
}

/// What is wrong with a line, and at which byte of it, from 0.
struct Problem {
    at: usize,
    what: String,
}

impl Problem {
    fn new(at: usize, what: impl Into<String>) -> Self {
        Self { at, what: what.into() }
    }

    fn json(line: &str, error: &serde_json::Error) -> Self {
        // serde_json appends " at line 1 column 7", which would contradict ours.
        let mut what = error.to_string();
        if let Some(position) = what.rfind(" at line ") {
            what.truncate(position);
        }
        let at = if error.column() == 0 { line.len() } else { error.column() - 1 };
        if what.starts_with("expected") {
            Self::new(at, what)
        } else {
            Self::new(at, format!("expected an intact line of a trace: {what}"))
        }
    }
}

struct Parsed {
    header: Header,
    entries: Vec<Entry>,
    opaque: Vec<String>,
    checkpoints: Vec<Checkpoint>,
    end: End,
    sha256: String,
}

impl Parsed {
    fn into_trace(self, name: &str, text: String) -> Trace {
        let Self { header, entries, opaque, checkpoints, end, sha256 } = self;
        let by_id = OnceLock::new();
        Trace { name: name.into(), text, header, entries, opaque, checkpoints, end, sha256, by_id }
    }
}

struct Parser<'t> {
    name: &'t str,
    text: &'t str,
    /// Where the next line begins.
    at: usize,
    /// How many lines came before it.
    lines: u64,
    hash: Sha256,
    /// Up to where the text is hashed.
    hashed: usize,
    nodes: BTreeMap<String, u32>,
    entries: Vec<Entry>,
    opaque: Vec<String>,
    checkpoints: Vec<Checkpoint>,
}

impl<'t> Parser<'t> {
    fn new(name: &'t str, text: &'t str) -> Self {
        Self {
            name,
            text,
            at: 0,
            lines: 0,
            hash: Sha256::new(),
            hashed: 0,
            nodes: BTreeMap::new(),
            entries: Vec::with_capacity(text.len() / 160),
            opaque: Vec::new(),
            checkpoints: Vec::new(),
        }
    }

    fn run(mut self) -> Result<Parsed, ReadError> {
        let header = self.header()?;
        loop {
            let Range { start, end } = self.next_line()?;
            let line = &self.text[start..end];
            if line.starts_with("{\"t\":") {
                let entry = self.event(line).map_err(|problem| self.malformed(problem))?;
                self.entries.push(Entry { start, ..entry });
            } else if line.starts_with("{\"checkpoint\":") {
                self.checkpoint(start, line)?;
            } else if line.starts_with("{\"end\":") {
                return self.end(header, start, line);
            } else {
                let what = "expected a line that begins with {\"t\":, {\"checkpoint\": or {\"end\":";
                return Err(self.malformed(Problem::new(0, what)));
            }
        }
    }

    /// Moves behind the next line; without a newline at its end it is no line, but a piece of one.
    fn next_line(&mut self) -> Result<Range<usize>, ReadError> {
        let rest = &self.text.as_bytes()[self.at..];
        let Some(len) = rest.iter().position(|byte| *byte == b'\n') else {
            return Err(ReadError::Truncated { name: self.name.into(), lines: self.lines });
        };
        let line = self.at..self.at + len;
        self.at += len + 1;
        self.lines += 1;
        if len >= LINE_MAX {
            return Err(self.malformed(Problem::new(0, long_line())));
        }
        Ok(line)
    }

    /// An error in the line that [`Parser::next_line`] gave last.
    fn malformed(&self, problem: Problem) -> ReadError {
        let Problem { at, what } = problem;
        ReadError::Malformed { name: self.name.into(), line: self.lines, column: at + 1, problem: what }
    }

    /// Parses a line that is not an event.
    fn frame_line<T: Deserialize<'t>>(&self, line: &'t str) -> Result<T, ReadError> {
        serde_json::from_str(line).map_err(|error| self.malformed(Problem::json(line, &error)))
    }

    fn header(&mut self) -> Result<Header, ReadError> {
        /// The version decides how the rest is to be read.
        #[derive(Deserialize)]
        struct Preamble {
            format: String,
            version: u64,
        }
        let line = self.next_line()?;
        let line = &self.text[line];
        let Preamble { format, version } = self.frame_line(line)?;
        if format != FORMAT {
            return Err(ReadError::Foreign { name: self.name.into() });
        }
        if version != VERSION {
            return Err(ReadError::Version { name: self.name.into(), found: version });
        }
        let header = Header::from(self.frame_line::<HeaderLine>(line)?);
        for (index, node) in header.nodes.iter().enumerate() {
            if self.nodes.insert(node.clone(), index as u32).is_some() {
                let what = format!("expected every node to have its own name, found {node:?} twice");
                return Err(self.malformed(Problem::new(0, what)));
            }
        }
        Ok(header)
    }

    fn event(&mut self, line: &str) -> Result<Entry, Problem> {
        let mut cursor = Cursor { line: line.as_bytes(), at: 0 };
        cursor.literal("{\"t\":")?;
        let t = cursor.integer()?;
        cursor.literal(",\"node\":")?;
        let node_at = cursor.at;
        let node = cursor.string()?;
        cursor.literal(",\"kind\":")?;
        let kind = cursor.string()?;
        cursor.literal(",\"id\":")?;
        let id = cursor.id()?;
        cursor.literal(",\"by\":")?;
        let by = cursor.id()?;
        let tail = cursor.at;
        if !matches!(line.as_bytes().get(tail), Some(b',' | b'}')) {
            return Err(cursor.expected("a comma or a closing brace"));
        }
        serde_json::from_str::<WellFormed>(line).map_err(|error| Problem::json(line, &error))?;
        let node = self.node(&line[node], node_at)?;
        let kind = self.kind(&line[kind]);
        Ok(Entry { t, id, by, start: 0, len: line.len() as u32, node, kind, tail: tail as u32 })
    }

    /// The index of a node, given the inside of the JSON string that names it.
    fn node(&self, escaped: &str, at: usize) -> Result<u32, Problem> {
        let found = if escaped.contains('\\') {
            self.nodes.get(&unescaped(escaped))
        } else {
            self.nodes.get(escaped)
        };
        let missing =
            || Problem::new(at, format!("expected a node that the header names, found \"{escaped}\""));
        found.copied().ok_or_else(missing)
    }

    fn kind(&mut self, escaped: &str) -> u32 {
        if let Some(known) = Kind::KNOWN.iter().position(|(_, word)| *word == escaped) {
            return known as u32;
        }
        // A file has few unknown kinds, if any: a list is enough.
        let word = unescaped(escaped);
        let place = self.opaque.iter().position(|other| *other == word).unwrap_or_else(|| {
            self.opaque.push(word);
            self.opaque.len() - 1
        });
        (Kind::KNOWN.len() + place) as u32
    }

    /// Hashes up to `to`, and gives the hash of everything until there.
    fn hash_until(&mut self, to: usize) -> String {
        self.hash.update(&self.text.as_bytes()[self.hashed..to]);
        self.hashed = to;
        hex_digest(&self.hash)
    }

    fn checkpoint(&mut self, start: usize, line: &'t str) -> Result<(), ReadError> {
        let CheckpointLine { checkpoint: lines, sha256: expected } = self.frame_line(line)?;
        let before = self.lines - 1;
        if lines != before {
            let what =
                format!("expected the number of lines before this checkpoint, {before}, found {lines}");
            return Err(self.malformed(Problem::new("{\"checkpoint\":".len(), what)));
        }
        let found = self.hash_until(start);
        if found != expected {
            return Err(ReadError::Checkpoint {
                name: self.name.into(),
                line: self.lines,
                lines,
                expected,
                found,
            });
        }
        self.checkpoints.push(Checkpoint { lines, events: self.entries.len(), sha256: found });
        Ok(())
    }

    fn end(mut self, header: Header, start: usize, line: &'t str) -> Result<Parsed, ReadError> {
        let EndLine { end, t, events, digest, verdict, violations, sha256: expected } =
            self.frame_line(line)?;
        let found = self.hash_until(start);
        if found != expected {
            return Err(ReadError::EndHash { name: self.name.into(), expected, found });
        }
        if events != self.entries.len() as u64 {
            let found = self.entries.len() as u64;
            return Err(ReadError::Count { name: self.name.into(), expected: events, found });
        }
        let digest: Option<&[u8; 16]> = digest.as_bytes().try_into().ok();
        let Some(digest) = digest.and_then(parse_hex) else {
            return Err(
                self.malformed(Problem::new(0, "expected a digest of 16 lower-case hexadecimal digits"))
            );
        };
        let ending = End { time: t, digest, violations };
        if !end || ending.verdict() != verdict {
            let what =
                "expected \"end\":true, and the verdict \"violated\" if and only if there are violations";
            return Err(self.malformed(Problem::new(0, what)));
        }
        if self.at != self.text.len() {
            self.lines += 1;
            return Err(self.malformed(Problem::new(0, "expected nothing after the end line")));
        }
        let Self { entries, opaque, checkpoints, .. } = self;
        Ok(Parsed { header, entries, opaque, checkpoints, end: ending, sha256: found })
    }
}

/// The text of a JSON string, given its inside.
fn unescaped(escaped: &str) -> String {
    serde_json::from_str(&format!("\"{escaped}\"")).unwrap_or_else(|_| escaped.into())
}

/// A place in a line, and what may come there.
struct Cursor<'l> {
    line: &'l [u8],
    at: usize,
}

impl Cursor<'_> {
    #[cold]
    fn expected(&self, what: &str) -> Problem {
        let rest = String::from_utf8_lossy(&self.line[self.at.min(self.line.len())..]);
        let found: String = rest.chars().take(16).collect();
        let found = if found.is_empty() { "the end of the line".into() } else { format!("{found:?}") };
        Problem::new(self.at, format!("expected {what}, found {found}"))
    }

    #[inline]
    fn literal(&mut self, literal: &str) -> Result<(), Problem> {
        if !self.line[self.at..].starts_with(literal.as_bytes()) {
            return Err(self.expected(literal));
        }
        self.at += literal.len();
        Ok(())
    }

    #[inline]
    fn integer(&mut self) -> Result<u64, Problem> {
        let digits = &self.line[self.at..];
        let mut value = 0_u64;
        let mut len = 0;
        while let Some(digit @ b'0'..=b'9') = digits.get(len) {
            let next = value.checked_mul(10).and_then(|value| value.checked_add(u64::from(digit - b'0')));
            value = next.ok_or_else(|| self.expected("an integer below 2^64"))?;
            len += 1;
        }
        if len == 0 || (len > 1 && digits[0] == b'0') {
            return Err(self.expected("an integer"));
        }
        self.at += len;
        Ok(value)
    }

    /// The place of the inside of a string. Escapes are skipped, not understood.
    #[inline]
    fn string(&mut self) -> Result<Range<usize>, Problem> {
        if self.line.get(self.at) != Some(&b'"') {
            return Err(self.expected("a string"));
        }
        let start = self.at + 1;
        let mut end = start;
        loop {
            match self.line.get(end) {
                Some(b'"') => break,
                Some(b'\\') => end += 2,
                Some(_) => end += 1,
                None => return Err(self.expected("a string with a quote at its end")),
            }
        }
        self.at = end + 1;
        Ok(start..end)
    }

    #[inline]
    fn id(&mut self) -> Result<EventId, Problem> {
        let what = "16 lower-case hexadecimal digits in quotes";
        let Some(([b'"', digits @ .., b'"'], _)) = self.line[self.at..].split_first_chunk::<18>() else {
            return Err(self.expected(what));
        };
        let digits: &[u8; 16] = digits;
        let id = parse_hex(digits).ok_or_else(|| self.expected(what))?;
        self.at += 18;
        Ok(EventId(id))
    }
}

/// Any JSON that [`Value`] can hold, checked and not kept. `serde::de::IgnoredAny` would not do: it lets pass numbers
/// and depths that a `Value` cannot have, and [`Event::fields`] would fail later.
struct WellFormed;

impl<'de> Deserialize<'de> for WellFormed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for WellFormed {
    type Value = Self;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self, A::Error> {
        while seq.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        while map.next_entry::<Self, Self>()?.is_some() {}
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::TraceFile;
    use crate::testing::{Toy, by_hand, ended};
    use proptest::prelude::*;
    use std::io::Write;

    fn small() -> Vec<u8> {
        Toy::new(2, 2).bytes()
    }

    fn error_of(bytes: impl Into<Vec<u8>>) -> String {
        Trace::parse(bytes, "run.jsonl").unwrap_err().to_string()
    }

    /// The small trace with the first occurrence of `from` replaced.
    fn replaced(from: &str, to: &str) -> String {
        let text = String::from_utf8(small()).unwrap();
        assert!(text.contains(from), "{from}");
        text.replacen(from, to, 1)
    }

    #[test]
    fn every_truncation_is_reported() {
        let bytes = small();
        for len in 0..bytes.len() {
            match Trace::parse(&bytes[..len], "run.jsonl") {
                Err(ReadError::Truncated { lines, .. }) => {
                    let newlines = bytes[..len].split(|byte| *byte == b'\n').count() - 1;
                    assert_eq!(lines, newlines as u64, "{len} bytes");
                }
                Err(ReadError::Empty { .. }) if len == 0 => {}
                other => panic!("{len} bytes: {other:?}"),
            }
        }
    }

    #[test]
    fn every_truncation_of_a_compressed_trace_is_reported() {
        let bytes = zstd::encode_all(&small()[..], 3).unwrap();
        assert!(Trace::parse(&bytes[..], "run.jsonl.zst").is_ok());
        for len in 0..bytes.len() {
            assert!(Trace::parse(&bytes[..len], "run.jsonl.zst").is_err(), "{len} bytes");
        }
    }

    #[test]
    fn every_change_of_a_byte_before_the_end_line_is_detected() {
        let bytes = small();
        let before_end = bytes.windows(7).position(|window| window == b"{\"end\":").unwrap();
        for at in 0..bytes.len() {
            for flip in [1, 0x20, 0x80, bytes[at] ^ b'\n', bytes[at] ^ b'"'] {
                let mut changed = bytes.clone();
                changed[at] ^= flip;
                let result = Trace::parse(changed, "run.jsonl");
                if at < before_end && flip != 0 {
                    assert!(result.is_err(), "byte {at} flipped by {flip:#x} went unnoticed");
                } else if let Ok(trace) = result {
                    // The end line is not hashed; what can still be read must not panic.
                    assert!(trace.events().all(|event| !event.fields().is_empty()));
                }
            }
        }
    }

    #[test]
    fn each_cause_has_its_sentence() {
        assert_eq!(
            Trace::read("no/such/run.jsonl").unwrap_err().to_string(),
            "no/such/run.jsonl: no such file"
        );
        assert_eq!(error_of(""), "run.jsonl: the file is empty: expected a trace");
        assert_eq!(
            error_of("{\"hello\":1}\n"),
            "run.jsonl: not a trace: expected the first line to begin with {\"format\":\"snowglobe-trace\""
        );
        assert_eq!(
            error_of(replaced("\"version\":1", "\"version\":2")),
            "run.jsonl: the trace has version 2 of the format: this program reads version 1"
        );
        let compressed = Trace::parse("not compressed", "run.jsonl.zst").unwrap_err().to_string();
        assert!(compressed.starts_with("run.jsonl.zst: not intact Zstandard data: "), "{compressed}");
        let changed = error_of(replaced("\"incarnation\":0", "\"incarnation\":1"));
        assert!(
            changed.starts_with("run.jsonl: lines after the last checkpoint were changed: the hash of"),
            "{changed}"
        );
        let last_newline = error_of(&small()[..small().len() - 1]);
        assert!(last_newline.ends_with("whole lines: expected an end line"), "{last_newline}");
        let more = error_of([&small()[..], b"{}\n"].concat());
        assert!(more.ends_with(":1: expected nothing after the end line"), "{more}");
    }

    #[test]
    fn a_changed_line_before_a_checkpoint_is_reported_there() {
        let bytes = String::from_utf8(Toy::new(4, 100).bytes()).unwrap();
        let error = error_of(bytes.replacen("\"incarnation\":0", "\"incarnation\":1", 1));
        assert!(
            error.starts_with("run.jsonl:1001: the 1000 lines before this checkpoint were changed:"),
            "{error}"
        );
    }

    #[test]
    fn malformed_lines_are_reported_with_line_column_and_what_was_expected() {
        let cases = [
            ("{\"t\":0,", "{\"t\":-1,", "run.jsonl:2:6: expected an integer, found \"-1,"),
            (
                "{\"t\":0,",
                "{\"t\":18446744073709551616,",
                "run.jsonl:2:6: expected an integer below 2^64, found",
            ),
            ("{\"t\":0,", "{\"t\":00,", "run.jsonl:2:6: expected an integer, found"),
            (
                "{\"t\":0,",
                "{\"x\":0,",
                "run.jsonl:2:1: expected a line that begins with {\"t\":, {\"checkpoint\": or {\"end\":",
            ),
            (
                "\"node\":\"node-0\"",
                "\"node\":\"node-9\"",
                "run.jsonl:2:15: expected a node that the header names, found \"node-9\"",
            ),
            ("\"node\":\"node-0\"", "\"node\":7", "run.jsonl:2:15: expected a string, found \"7,"),
            ("\"kind\":\"boot\"", "\"sort\":\"boot\"", "run.jsonl:2:23: expected ,\"kind\":, found"),
            (
                "\"by\":\"0000000000000000\"",
                "\"by\":\"000000000000000G\"",
                "run.jsonl:2:67: expected 16 lower-case hexadecimal digits in quotes, found",
            ),
            (
                "\"by\":\"0000000000000000\"",
                "\"by\":\"0\"",
                "run.jsonl:2:67: expected 16 lower-case hexadecimal digits in quotes, found",
            ),
            ("\"incarnation\":0}", "\"incarnation\":x}", "run.jsonl:2:"),
            ("\"incarnation\":0}", "\"incarnation\":0", "run.jsonl:2:"),
            ("\"incarnation\":0}", "\"incarnation\":1e999}", "run.jsonl:2:"),
            ("\"seed\":\"0x", "\"seed\":\"", "run.jsonl:1:"),
            (
                "\"node-1\"",
                "\"node-0\"",
                "run.jsonl:1:1: expected every node to have its own name, found \"node-0\" twice",
            ),
        ];
        for (from, to, expected) in cases {
            let error = error_of(replaced(from, to));
            assert!(error.starts_with(expected), "{to}: {error}");
        }
        let mut not_utf8 = small();
        not_utf8[60] = 0xff;
        assert_eq!(
            error_of(not_utf8),
            "run.jsonl:1:61: expected UTF-8, found a byte that cannot be part of it"
        );
    }

    #[test]
    fn depth_that_json_values_cannot_have_is_malformed_and_not_a_panic_later() {
        let deep = format!("\"x\":{}{}", "[".repeat(500), "]".repeat(500));
        let error = error_of(replaced("\"incarnation\":0", &deep));
        assert!(error.contains("recursion limit"), "{error}");
    }

    #[test]
    fn the_end_line_must_agree_with_the_events() {
        let count = error_of(replaced("\"events\":", "\"events\":1"));
        assert!(count.contains("the end line counts 1"), "{count}");
        let verdict = error_of(replaced("\"verdict\":\"holds\"", "\"verdict\":\"violated\""));
        assert!(verdict.contains("if and only if there are violations"), "{verdict}");
        let digest = error_of(replaced("\"digest\":\"000000000000feed\"", "\"digest\":\"feed\""));
        assert!(digest.contains("expected a digest of 16"), "{digest}");
    }

    #[test]
    fn a_little_that_would_become_much_is_not_decompressed() {
        let bomb = |head: &[u8], filler: &[u8], times: usize| {
            let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
            encoder.write_all(head).unwrap();
            for _ in 0..times {
                encoder.write_all(filler).unwrap();
            }
            encoder.finish().unwrap()
        };
        let megabyte = vec![b' '; 1 << 20];
        // Nothing of it is like a trace: the first piece tells.
        let foreign = bomb(b"", &megabyte, 500);
        assert!(foreign.len() < 1 << 18, "{} bytes", foreign.len());
        assert!(error_of(foreign).starts_with("run.jsonl: not a trace:"));
        let head = small();
        let head = head.split_inclusive(|byte| *byte == b'\n').next().unwrap();
        assert_eq!(
            error_of(bomb(head, &megabyte, 70)),
            "run.jsonl:2:1: expected a line of at most 67108864 bytes"
        );
    }

    #[test]
    fn unknown_kinds_are_kept_and_unknown_keys_ignored() {
        let trace = by_hand(
            &["a\"b"],
            &[
                (1, "a\\\"b", "pause", 1, 0, ",\"for\":5"),
                (2, "a\\u0022b", "fire", 2, 1, ",\"name\":\"x\",\"new\":[1.5]"),
            ],
        );
        let first = trace.event(0);
        assert_eq!((first.kind, first.word, first.tail), (Kind::Opaque, "pause", ",\"for\":5}"));
        assert_eq!(first.field("for"), Some(Value::from(5)));
        let second = trace.event(1);
        assert_eq!((second.kind, second.node_name, second.by), (Kind::Fire, "a\"b", EventId(1)));
        assert_eq!(trace.line_number(1), 3);
        let newer =
            String::from_utf8(small()).unwrap().replacen("\"scenario\"", "\"later\":1,\"scenario\"", 1);
        let (lines, _) = newer.split_at(newer.find("{\"end\"").unwrap());
        let events = lines.lines().count() - 1;
        assert_eq!(ended(lines.into(), events, "newer").header().scenario, "rpc/test");
    }

    #[test]
    fn events_are_found_by_id_also_when_ids_repeat() {
        let trace = by_hand(
            &["a"],
            &[(1, "a", "fire", 7, 0, ""), (2, "a", "fire", 3, 0, ""), (3, "a", "fire", 7, 0, "")],
        );
        let places = |id| trace.find(EventId(id)).map(|event| event.index).collect::<Vec<_>>();
        assert_eq!((places(7), places(3), places(1), places(9)), (vec![0, 2], vec![1], vec![], vec![]));
    }

    #[test]
    fn a_compressed_file_is_read_like_a_plain_one() {
        let directory = tempfile::tempdir().unwrap();
        let bytes = Toy::new(3, 200).bytes();
        let read = |name: &str| {
            let path = directory.path().join(name);
            let mut file = TraceFile::create(&path).unwrap();
            file.write_all(&bytes).unwrap();
            file.commit().unwrap();
            (Trace::read(&path).unwrap(), path.metadata().unwrap().len())
        };
        let (plain, plain_size) = read("run.jsonl");
        let (compressed, size) = read("run.jsonl.zst");
        assert_eq!(plain.text(), compressed.text());
        assert!(size * 4 < plain_size, "{size} of {plain_size} bytes");
        // The content tells, too, where a file was renamed.
        let renamed = std::fs::read(directory.path().join("run.jsonl.zst")).unwrap();
        assert_eq!(Trace::parse(renamed, "run.jsonl").unwrap().len(), plain.len());
    }

    #[test]
    fn line_numbers_count_header_and_checkpoints() {
        let trace = Toy::new(4, 150).trace("run.jsonl");
        let lines: Vec<_> = trace.text().lines().collect();
        for event in trace.events() {
            assert_eq!(lines[trace.line_number(event.index) as usize - 1], event.line);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(tail in prop::collection::vec(any::<u8>(), 0..200), keep in 0..2_000_usize) {
            let mut bytes = small();
            bytes.truncate(keep);
            bytes.extend(&tail);
            let _ = Trace::parse(bytes, "run.jsonl");
        }

        #[test]
        fn no_json_makes_the_reader_panic(line in "\\{\"(t|end|checkpoint)\":[0-9a-z\":,\\[\\]{}\\\\ ]{0,80}") {
            let header = String::from_utf8(small()).unwrap();
            let header = header.lines().next().unwrap();
            let _ = Trace::parse(format!("{header}\n{line}\n"), "run.jsonl");
        }
    }
}
