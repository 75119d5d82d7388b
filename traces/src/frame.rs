//! The lines around the events: the header, which says what was run; the checkpoints, which say that nothing
//! was changed; and the end, which says that nothing is missing.
//!
//! A checkpoint's hash is the SHA-256 of every byte before it, so that `head -n K FILE | sha256sum` verifies
//! it with nothing of ours. Facts about the build (the compiler, the commit, the machine) are deliberately
//! absent: the same run must give the same bytes wherever it was made.

use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};
use sim::Nanos;

use crate::format::{FORMAT, VERSION, hex_text};

/// What was run: with it, the program, and nothing else, the trace can be made again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Header {
    /// The scenario's name, such as `rpc/at-most-once`.
    pub scenario: String,
    /// The seed.
    pub seed: u64,
    /// Every setting of the scenario, in an order of the caller's that must not differ from run to run.
    pub configuration: Map<String, Value>,
    /// The decisions that were fixed instead of drawn.
    pub overrides: Vec<Value>,
    /// The nodes' names; a [`sim::NodeId`] is an index into them. No two may be alike.
    pub nodes: Vec<String>,
    /// By what rules ids, dice and hashes are made.
    pub algorithms: Algorithms,
}

/// The names, with versions, of what a trace's ids and decisions depend on. Traces made by different
/// algorithms cannot be aligned.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Algorithms {
    /// How an event's id follows from its cause.
    pub id: String,
    /// How a decision follows from seed, id and purpose.
    pub dice: String,
    /// How checkpoints are hashed: `sha256`, the only one there is.
    pub hash: String,
}

impl Default for Algorithms {
    /// Those of the engine this crate is built with.
    fn default() -> Self {
        Self { id: sim::ID_SCHEME.into(), dice: sim::DICE_SCHEME.into(), hash: "sha256".into() }
    }
}

/// How a run ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct End {
    /// Virtual time at the end.
    pub time: Nanos,
    /// The world's rolling digest.
    pub digest: u64,
    /// What was violated: the verdict is [`Verdict::Holds`] if nothing was.
    pub violations: Vec<Violation>,
}

impl End {
    /// Whether everything that was judged held.
    pub fn verdict(&self) -> Verdict {
        if self.violations.is_empty() { Verdict::Holds } else { Verdict::Violated }
    }
}

/// Whether a run kept its promises.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It kept them.
    Holds,
    /// It broke one.
    Violated,
}

impl Verdict {
    /// The word for it in a trace.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Violated => "violated",
        }
    }
}

/// A property that did not hold.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Violation {
    /// Its name.
    pub property: String,
    /// In words.
    pub detail: String,
}

/// The header as it is spelled.
#[derive(Serialize, Deserialize)]
pub(crate) struct HeaderLine {
    pub(crate) format: String,
    pub(crate) version: u64,
    pub(crate) scenario: String,
    #[serde(serialize_with = "seed_text")]
    pub(crate) seed: Seed,
    pub(crate) configuration: Map<String, Value>,
    pub(crate) overrides: Vec<Value>,
    pub(crate) nodes: Vec<String>,
    pub(crate) algorithms: Algorithms,
}

/// A seed in a header: `0x` and 16 digits, as people write it on the command line.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Seed(pub(crate) u64);

impl TryFrom<String> for Seed {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.strip_prefix("0x")
            .filter(|digits| digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .and_then(|digits| u64::from_str_radix(digits, 16).ok())
            .map(Self)
            .ok_or_else(|| format!("expected a seed such as \"0x000000000000002a\", found {text:?}"))
    }
}

// `serialize_with` fixes the signature.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn seed_text<S: Serializer>(seed: &Seed, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("0x{:016x}", seed.0))
}

impl From<&Header> for HeaderLine {
    fn from(header: &Header) -> Self {
        let Header { scenario, seed, configuration, overrides, nodes, algorithms } = header.clone();
        let seed = Seed(seed);
        Self {
            format: FORMAT.into(),
            version: VERSION,
            scenario,
            seed,
            configuration,
            overrides,
            nodes,
            algorithms,
        }
    }
}

impl From<HeaderLine> for Header {
    fn from(line: HeaderLine) -> Self {
        let HeaderLine { scenario, seed, configuration, overrides, nodes, algorithms, .. } = line;
        Self { scenario, seed: seed.0, configuration, overrides, nodes, algorithms }
    }
}

/// A checkpoint as it is spelled.
#[derive(Serialize, Deserialize)]
pub(crate) struct CheckpointLine {
    /// How many lines precede it.
    pub(crate) checkpoint: u64,
    pub(crate) sha256: String,
}

/// The end as it is spelled.
#[derive(Serialize, Deserialize)]
pub(crate) struct EndLine {
    pub(crate) end: bool,
    pub(crate) t: Nanos,
    pub(crate) events: u64,
    pub(crate) digest: String,
    pub(crate) verdict: Verdict,
    pub(crate) violations: Vec<Violation>,
    pub(crate) sha256: String,
}

impl EndLine {
    pub(crate) fn new(end: &End, events: u64, sha256: String) -> Self {
        Self {
            end: true,
            t: end.time,
            events,
            digest: hex_text(end.digest),
            verdict: end.verdict(),
            violations: end.violations.clone(),
            sha256,
        }
    }
}
