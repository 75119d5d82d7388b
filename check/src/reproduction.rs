//! A reproduction: seed and overrides, in a small file that a person can read and edit.
//!
//! What is decided is written by [name](crate::names), or by the id of an event. `otherwise` says how all else is decided:
//! `thrown` by the dice, as in any run; `calm`, where nothing goes wrong that is not listed; or `plain`, where moreover
//! every message takes the shortest time that its link has. So a reproduction that was shrunk is short, and one that was
//! made before an unrelated change of the program still means the same.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use sim::{Decision, EventId, Nanos, Otherwise, Overrides, SyncError};

use crate::catalogue::Prepared;
use crate::names::{self, NameError, Names, Resolved};

/// The format's name, in every file.
const FORMAT: &str = "snowglobe-repro";
/// The version this program writes and reads.
const VERSION: u64 = 1;

/// A run that somebody wants to see again.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reproduction {
    format: String,
    version: u64,
    /// The scenario's name.
    pub scenario: String,
    /// The settings that differ from the scenario's defaults.
    #[serde(default)]
    pub settings: Map<String, Value>,
    /// The seed.
    pub seed: u64,
    /// The decisions that are fixed.
    #[serde(default)]
    pub overrides: Vec<OverrideLine>,
    /// How all others are made.
    #[serde(default, skip_serializing_if = "OtherwiseText::is_thrown")]
    pub otherwise: OtherwiseText,
    /// What the run must show.
    #[serde(default)]
    pub expect: Expectation,
}

/// What a reproduction must show.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with property and digest")]
pub struct Expectation {
    /// The property that is violated; `None` if the run holds.
    pub property: Option<String>,
    /// The digest in 16 hexadecimal digits; not compared if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// How what is not listed is decided, as it is written. See [`Otherwise`].
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OtherwiseText {
    /// By the dice and the plan.
    #[default]
    Thrown,
    /// Nothing goes wrong.
    Calm,
    /// Nothing goes wrong, and every message takes the shortest time.
    Plain,
}

impl OtherwiseText {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
    fn is_thrown(&self) -> bool {
        *self == Self::Thrown
    }

    /// A sentence for people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Thrown => "thrown by the dice",
            Self::Calm => "nothing goes wrong; delays are thrown by the dice",
            Self::Plain => "nothing goes wrong; every message takes the shortest time of its link",
        }
    }
}

impl From<Otherwise> for OtherwiseText {
    fn from(otherwise: Otherwise) -> Self {
        match otherwise {
            Otherwise::Thrown => Self::Thrown,
            Otherwise::Calm => Self::Calm,
            Otherwise::Plain => Self::Plain,
        }
    }
}

impl From<OtherwiseText> for Otherwise {
    fn from(text: OtherwiseText) -> Self {
        match text {
            OtherwiseText::Thrown => Self::Thrown,
            OtherwiseText::Calm => Self::Calm,
            OtherwiseText::Plain => Self::Plain,
        }
    }
}

/// One fixed decision as it is written in a reproduction.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(untagged)]
pub enum OverrideLine {
    /// By its [name](crate::names).
    Named(String),
    /// By the id of its event.
    ById(OverrideText),
}

impl<'de> Deserialize<'de> for OverrideLine {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Line;
        impl<'de> Visitor<'de> for Line {
            type Value = OverrideLine;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a decision in words, or an object with the id of an event and a decision")
            }

            fn visit_str<E>(self, text: &str) -> Result<OverrideLine, E> {
                Ok(OverrideLine::Named(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<OverrideLine, A::Error> {
                OverrideText::deserialize(MapAccessDeserializer::new(map)).map(OverrideLine::ById)
            }
        }
        deserializer.deserialize_any(Line)
    }
}

/// One fixed decision as it is written: the event's id, and one of the decisions.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "OverrideFields")]
pub struct OverrideText {
    /// The id of the event, in 16 hexadecimal digits.
    pub event: String,
    /// What is decided about it.
    #[serde(flatten)]
    pub decision: DecisionText,
}

/// A decision as it is written.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DecisionText {
    /// The delays of the message's deliveries, in nanoseconds.
    Fate(Vec<Nanos>),
    /// After how many effects the node crashes.
    CrashAfter(Option<u32>),
    /// Whether the fault strikes.
    Strike(bool),
    /// Whether the disk keeps what was not synced.
    Keep(bool),
    /// Whether the sync succeeds.
    Synced(bool),
    /// The place among events at the same instant.
    Order(u32),
    /// How much later than due it happens, in nanoseconds.
    Late(Nanos),
}

/// All that an override may have, so that what is wrong with one is told where it stands.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", expecting = "an object with event and one decision")]
struct OverrideFields {
    event: String,
    fate: Option<Vec<Nanos>>,
    /// `null` for no crash.
    #[serde(default, deserialize_with = "present")]
    #[expect(clippy::option_option, reason = "absent, no crash, or a crash after so many effects")]
    crash_after: Option<Option<u32>>,
    strike: Option<bool>,
    keep: Option<bool>,
    synced: Option<bool>,
    order: Option<u32>,
    late: Option<Nanos>,
}

/// What is there, also if it is `null`.
#[expect(clippy::option_option, reason = "absent, no crash, or a crash after so many effects")]
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<u32>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl TryFrom<OverrideFields> for OverrideText {
    type Error = String;

    fn try_from(fields: OverrideFields) -> Result<Self, String> {
        let OverrideFields { event, fate, crash_after, strike, keep, synced, order, late } = fields;
        let decisions = [
            fate.map(DecisionText::Fate),
            crash_after.map(DecisionText::CrashAfter),
            strike.map(DecisionText::Strike),
            keep.map(DecisionText::Keep),
            synced.map(DecisionText::Synced),
            order.map(DecisionText::Order),
            late.map(DecisionText::Late),
        ];
        let mut made: Vec<DecisionText> = decisions.into_iter().flatten().collect();
        match (made.pop(), made.len()) {
            (Some(decision), 0) => Ok(Self { event, decision }),
            (_, more) => Err(format!(
                "an override has one of fate, crash-after, strike, keep, synced, order and late, found {}",
                if more == 0 { "none".to_owned() } else { (more + 1).to_string() }
            )),
        }
    }
}

/// What is wrong with a file of JSON, in words that are not those of the program.
pub fn in_words(error: &serde_json::Error) -> String {
    let words = [
        ("expected u64", "expected a whole number from 0 to 18446744073709551615"),
        ("expected u32", "expected a whole number from 0 to 4294967295"),
        ("expected usize", "expected a whole number"),
        ("a sequence", "a list"),
        ("a map", "an object"),
        ("sequence,", "a list,"),
        ("map,", "an object,"),
        ("a boolean", "true or false"),
        ("EOF while parsing", "the text ends within"),
        ("field `", "key `"),
        ("variant `", "word `"),
    ];
    words.iter().fold(error.to_string(), |text, (theirs, ours)| text.replace(theirs, ours))
}

/// What is wrong with a reproduction.
#[derive(Debug, thiserror::Error)]
pub enum ReproductionError {
    /// It is not JSON, or not of the form of a reproduction.
    #[error("not a reproduction: {}", in_words(.0))]
    Form(#[from] serde_json::Error),
    /// It is a file of another kind.
    #[error("not a reproduction: its format is {0:?}, expected {FORMAT:?}")]
    Foreign(String),
    /// It is of another version.
    #[error("a reproduction of version {0}; this program reads version {VERSION}")]
    Version(u64),
    /// An id is not an id.
    #[error("an event id is 16 hexadecimal digits, found {0:?}")]
    EventId(String),
    /// The digest that is expected is none.
    #[error("a digest is 16 hexadecimal digits, found {0:?}")]
    Digest(String),
    /// Two overrides decide the same.
    #[error("two overrides decide the {kind} of event {event}")]
    Twice {
        /// Of what kind.
        kind: &'static str,
        /// Of which event.
        event: String,
    },
    /// A name is none.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Two names decide the same.
    #[error("these decide the same: {0:?} and {1:?}")]
    SameTwice(String, String),
}

impl Reproduction {
    /// A reproduction of this run.
    pub fn new(
        scenario: String,
        settings: Map<String, Value>,
        seed: u64,
        overrides: &Overrides,
        expect: Expectation,
    ) -> Self {
        let otherwise = overrides.otherwise().into();
        let overrides = overrides.iter().map(OverrideText::from).map(OverrideLine::ById).collect();
        let format = FORMAT.to_owned();
        Self { format, version: VERSION, scenario, settings, seed, overrides, otherwise, expect }
    }

    /// A reproduction of a run in which this was decided, by names where there are some.
    pub fn named(prepared: &dyn Prepared, seed: u64, overrides: &Overrides, expect: Expectation) -> Self {
        let empty = Self::new(prepared.name(), prepared.recorded(), seed, overrides, expect);
        if empty.overrides.is_empty() {
            return empty;
        }
        Self { overrides: tell(prepared, seed, overrides), ..empty }
    }

    /// Reads one.
    ///
    /// # Errors
    /// If the text is not a reproduction of this version.
    pub fn parse(text: &str) -> Result<Self, ReproductionError> {
        #[derive(Deserialize)]
        #[serde(expecting = "an object with format and version")]
        struct Frame {
            format: String,
            version: u64,
        }
        let frame: Frame = serde_json::from_str(text)?;
        if frame.format != FORMAT {
            return Err(ReproductionError::Foreign(frame.format));
        }
        if frame.version != VERSION {
            return Err(ReproductionError::Version(frame.version));
        }
        let read: Self = serde_json::from_str(text)?;
        match read.expect.digest.iter().find(|digest| !is_hexadecimal(digest)) {
            Some(digest) => Err(ReproductionError::Digest(digest.clone())),
            None => Ok(read),
        }
    }

    /// The fixed decisions, of which those by names are found in the run.
    ///
    /// # Errors
    /// If an id is malformed, a name is none, or two overrides contradict each other.
    pub fn resolve(&self, prepared: &dyn Prepared) -> Result<Resolved, ReproductionError> {
        resolve_overrides(prepared, self.seed, &self.overrides, self.otherwise)
    }
}

/// Every decision that is fixed in a run, by name where it has one, in the order of the run.
pub fn tell(prepared: &dyn Prepared, seed: u64, overrides: &Overrides) -> Vec<OverrideLine> {
    let trace = names::traced(prepared, seed, overrides);
    let names = Names::of(&trace);
    let place = |id: EventId| trace.find(id).map(|event| event.index).min();
    let mut decisions: Vec<_> = overrides.iter().collect();
    decisions.sort_by_key(|(id, _)| place(*id));
    let line = |(id, decision): (EventId, &Decision)| {
        let name = names.tell(prepared.nodes(), id, decision);
        name.map_or_else(|| OverrideLine::ById((id, decision).into()), OverrideLine::Named)
    };
    decisions.into_iter().map(line).collect()
}

/// The decisions that these lines fix in the run from a seed.
///
/// # Errors
/// If an id is malformed, a name is none, or two overrides contradict each other.
pub fn resolve_overrides(
    prepared: &dyn Prepared,
    seed: u64,
    lines: &[OverrideLine],
    otherwise: OtherwiseText,
) -> Result<Resolved, ReproductionError> {
    let (mut by_id, mut named) = (Vec::new(), Vec::new());
    for line in lines {
        match line {
            OverrideLine::ById(text) => by_id.push(text.clone()),
            OverrideLine::Named(text) => named.push((text.clone(), names::parse(text, prepared.nodes())?)),
        }
    }
    let twice = |index: usize| {
        let (_, one) = &named[index];
        let kind = |other: &names::Named| std::mem::discriminant(&other.decision);
        let mut earlier = named[..index].iter();
        earlier.find(|(_, other)| other.subject == one.subject && kind(other) == kind(one))
    };
    if let Some((index, (other, _))) = (0..named.len()).find_map(|index| Some((index, twice(index)?))) {
        return Err(ReproductionError::SameTwice(other.clone(), named[index].0.clone()));
    }
    let mut fixed = parse_overrides(&by_id)?;
    fixed.set_otherwise(otherwise.into());
    names::resolve(prepared, seed, fixed, named)
        .map_err(|(one, other)| ReproductionError::SameTwice(one, other))
}

/// Overrides as the header of a trace has them.
pub fn to_header(overrides: &Overrides) -> Vec<Value> {
    let otherwise = OtherwiseText::from(overrides.otherwise());
    let first = (!otherwise.is_thrown()).then(|| serde_json::json!({ "otherwise": otherwise }));
    first.into_iter().chain(overrides.iter().map(OverrideText::from).map(|text| Value::from(&text))).collect()
}

/// Overrides from the header of a trace.
///
/// # Errors
/// If one of them is of no form that this program knows, or two of them contradict each other.
pub fn from_header(values: Vec<Value>) -> Result<Overrides, ReproductionError> {
    let mut otherwise = OtherwiseText::Thrown;
    let mut texts = Vec::new();
    for value in values {
        match value.get("otherwise") {
            Some(said) => otherwise = serde_json::from_value(said.clone())?,
            None => texts.push(serde_json::from_value::<OverrideText>(value)?),
        }
    }
    let mut overrides = parse_overrides(&texts)?;
    overrides.set_otherwise(otherwise.into());
    Ok(overrides)
}

/// The decisions that these texts fix.
///
/// # Errors
/// If an id is malformed, or two of them contradict each other.
pub fn parse_overrides(texts: &[OverrideText]) -> Result<Overrides, ReproductionError> {
    let mut overrides = Overrides::default();
    for text in texts {
        let id = u64::from_str_radix(&text.event, 16).ok().filter(|_| is_hexadecimal(&text.event));
        let id = EventId(id.ok_or_else(|| ReproductionError::EventId(text.event.clone()))?);
        let decision = text.decision.to_decision();
        let same_kind = |other: &Decision| std::mem::discriminant(other) == std::mem::discriminant(&decision);
        if overrides.iter().any(|(other, decided)| other == id && same_kind(decided)) {
            return Err(ReproductionError::Twice { kind: text.decision.kind(), event: text.event.clone() });
        }
        overrides.set(id, decision);
    }
    Ok(overrides)
}

/// Whether this is a number of 64 bits as files have it.
fn is_hexadecimal(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

impl DecisionText {
    fn to_decision(&self) -> Decision {
        match self {
            Self::Fate(delays) => Decision::Fate(delays.clone()),
            Self::CrashAfter(after) => Decision::Crash(*after),
            Self::Strike(strikes) => Decision::Strike(*strikes),
            Self::Keep(everything) => Decision::Keep(*everything),
            Self::Synced(true) => Decision::Sync(Ok(())),
            Self::Synced(false) => Decision::Sync(Err(SyncError::Device)),
            Self::Order(place) => Decision::Order(*place),
            Self::Late(span) => Decision::Late(*span),
        }
    }

    const fn kind(&self) -> &'static str {
        match self {
            Self::Fate(_) => "fate",
            Self::CrashAfter(_) => "crash",
            Self::Strike(_) => "strike",
            Self::Keep(_) => "disk",
            Self::Synced(_) => "sync",
            Self::Order(_) => "order",
            Self::Late(_) => "lateness",
        }
    }
}

impl From<(EventId, &Decision)> for OverrideText {
    fn from((id, decision): (EventId, &Decision)) -> Self {
        let decision = match decision {
            Decision::Fate(delays) => DecisionText::Fate(delays.clone()),
            Decision::Crash(after) => DecisionText::CrashAfter(*after),
            Decision::Strike(strikes) => DecisionText::Strike(*strikes),
            Decision::Keep(everything) => DecisionText::Keep(*everything),
            Decision::Sync(result) => DecisionText::Synced(result.is_ok()),
            Decision::Order(place) => DecisionText::Order(*place),
            Decision::Late(span) => DecisionText::Late(*span),
        };
        Self { event: id.to_string(), decision }
    }
}

impl From<&OverrideText> for Value {
    fn from(text: &OverrideText) -> Self {
        serde_json::to_value(text).expect("an override is plain data")
    }
}
