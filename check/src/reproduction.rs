//! A reproduction: seed and overrides, in a small file that a person can read and edit.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sim::{Decision, EventId, Nanos, Overrides, SyncError};

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
    pub overrides: Vec<OverrideText>,
    /// What the run must show.
    #[serde(default)]
    pub expect: Expectation,
}

/// What a reproduction must show.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// The property that is violated; `None` if the run holds.
    pub property: Option<String>,
    /// The digest in 16 hexadecimal digits; not compared if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// One fixed decision as it is written: the event's id, and one of the decisions.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OverrideText {
    /// The id of the event, in 16 hexadecimal digits.
    pub event: String,
    /// What is decided about it.
    #[serde(flatten)]
    pub decision: DecisionText,
}

/// A decision as it is written.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
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

/// What is wrong with a reproduction.
#[derive(Debug, thiserror::Error)]
pub enum ReproductionError {
    /// It is not JSON, or not of the form of a reproduction.
    #[error("not a reproduction: {0}")]
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
    /// Two overrides decide the same.
    #[error("two overrides decide the {kind} of event {event}")]
    Twice {
        /// Of what kind.
        kind: &'static str,
        /// Of which event.
        event: String,
    },
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
        let overrides = overrides.iter().map(OverrideText::from).collect();
        Self { format: FORMAT.to_owned(), version: VERSION, scenario, settings, seed, overrides, expect }
    }

    /// Reads one.
    ///
    /// # Errors
    /// If the text is not a reproduction of this version.
    pub fn parse(text: &str) -> Result<Self, ReproductionError> {
        #[derive(Deserialize)]
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
        Ok(serde_json::from_str(text)?)
    }

    /// The fixed decisions.
    ///
    /// # Errors
    /// If an id is malformed, or two overrides contradict each other.
    pub fn overrides(&self) -> Result<Overrides, ReproductionError> {
        parse_overrides(&self.overrides)
    }
}

/// The decisions that these texts fix.
///
/// # Errors
/// If an id is malformed, or two of them contradict each other.
pub fn parse_overrides(texts: &[OverrideText]) -> Result<Overrides, ReproductionError> {
    let mut overrides = Overrides::default();
    for text in texts {
        let valid = text.event.len() == 16 && text.event.bytes().all(|byte| byte.is_ascii_hexdigit());
        let id = u64::from_str_radix(&text.event, 16).ok().filter(|_| valid);
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
