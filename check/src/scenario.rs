//! A scenario: a protocol in a world, and the question that it answers.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sim::{Config, Ending, EventId, Message, NodeId, Process, Violation, World};

use crate::history::History;
use crate::ledger::Reader;

/// The notes of a scenario's processes.
pub(crate) type Note<S> = <<<S as Scenario>::Process as Process>::Message as Message>::Note;

/// A protocol in a world, and the question that it answers.
///
/// One type usually serves a family: the scheme is a field, and [`Scenario::name`] tells its members apart.
pub trait Scenario: Send + Sync + 'static {
    /// What its nodes run.
    type Process: Process<Message: Serialize + Message<Note: Serialize>> + 'static;

    /// What can be set with `--set`: a flat struct whose fields are numbers, words and truth values. Use
    /// `#[serde(deny_unknown_fields)]`.
    type Settings: Serialize + DeserializeOwned + Clone + Send + Sync + 'static;

    /// The name, such as `rpc/at-most-once`: a family and a member.
    fn name(&self) -> String;

    /// What it shows, in a sentence.
    fn about(&self) -> String;

    /// What a sweep over enough seeds must find; by default, nothing.
    fn expected(&self) -> Expected {
        Expected::Holds
    }

    /// The settings it has unless told otherwise.
    fn defaults(&self) -> Self::Settings;

    /// The situations it is about. A sweep in which one of them never occurred proves nothing.
    fn situations(&self) -> Vec<&'static str> {
        Vec::new()
    }

    /// The world for these settings.
    ///
    /// # Errors
    /// A sentence that says which setting is impossible, and why.
    fn setup(&self, settings: &Self::Settings) -> Result<Setup<Self::Process>, String>;

    /// Judges a run that has ended. What ended it early (a panic, a deadlock, an invariant) is judged already.
    fn judge(&self, settings: &Self::Settings, run: &Run<'_, Self::Process>, judgement: &mut Judgement);

    /// How to read its messages and notes as the lives of calls; `None` if it has none.
    fn ledger(&self) -> Option<Reader<<Self::Process as Process>::Message>> {
        None
    }

    /// The settings, over these, whose runs a report compares: in each group, the first is what the others are compared
    /// with. None unless there is something to compare.
    fn compared(&self, settings: &Self::Settings) -> Vec<Vec<Self::Settings>> {
        let _ = settings;
        Vec::new()
    }

    /// Looks at the world after every step, and ends the run with the violation that it sees.
    #[inline]
    fn invariant(&self, world: &World<Self::Process>) -> Option<Violation> {
        let _ = world;
        None
    }
}

/// A world about to be made.
pub struct Setup<P> {
    /// Everything but the protocol and the seed.
    pub config: Config,
    /// The nodes' names, one each, no two alike.
    pub nodes: Vec<String>,
    /// What a node runs, at each of its starts.
    pub boot: Arc<dyn Fn(NodeId) -> P + Send + Sync>,
    /// What was read to make it, beyond the settings: a trace and a reproduction keep its digest, and are refused when it
    /// has another.
    pub input: Option<Input>,
}

/// Something that a setting names and does not contain, such as a directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Input {
    /// What it is, such as `site target/doc`.
    pub name: String,
    /// The digest of all of it that a run can tell.
    pub digest: u64,
}

impl<P> Setup<P> {
    /// A world of so many nodes as there are names.
    pub fn new(
        nodes: Vec<String>,
        config: Config,
        boot: impl Fn(NodeId) -> P + Send + Sync + 'static,
    ) -> Self {
        Self {
            config: Config { nodes: nodes.len() as u32, names: nodes.clone(), ..config },
            nodes,
            boot: Arc::new(boot),
            input: None,
        }
    }

    /// Says what was read to make it.
    pub fn with_input(self, input: Option<Input>) -> Self {
        Self { input, ..self }
    }
}

impl<P> fmt::Debug for Setup<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup")
            .field("config", &self.config)
            .field("nodes", &self.nodes)
            .finish_non_exhaustive()
    }
}

/// A run that has ended, for its judge.
#[derive(Debug)]
pub struct Run<'a, P: Process> {
    /// The world as it was left.
    pub world: &'a World<P>,
    /// What clients saw, and what processes noted.
    pub history: &'a History<<P::Message as Message>::Note>,
    /// How it ended.
    pub ending: Ending,
    /// The nodes' names.
    pub nodes: &'a [String],
}

impl<P: Process> Run<'_, P> {
    /// A node's name.
    pub fn name(&self, node: NodeId) -> &str {
        &self.nodes[node.index()]
    }
}

/// Something that a judge measured in a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Figure {
    /// So many.
    Count(u64),
    /// A span of the world's time.
    Time(sim::Nanos),
}

/// What a judge finds.
#[derive(Clone, Default, Debug)]
pub struct Judgement {
    pub(crate) violations: Vec<Violation>,
    pub(crate) met: Vec<(&'static str, u64)>,
    pub(crate) figures: Vec<(&'static str, Figure)>,
    pub(crate) time: sim::Nanos,
    pub(crate) memory: u64,
}

impl Judgement {
    /// A property did not hold. The evidence is the events that show it.
    pub fn violated(&mut self, property: &str, detail: impl Into<String>, evidence: Vec<EventId>) {
        let violation =
            Violation { property: property.to_owned(), detail: detail.into(), evidence, time: self.time };
        self.violations.push(violation);
    }

    /// So many bytes are remembered at the end of this run, beyond the data: its cost.
    pub const fn remembered(&mut self, bytes: u64) {
        self.memory += bytes;
    }

    /// There were so many of these, for a report that [compares](Scenario::compared).
    pub fn measured(&mut self, what: &'static str, count: u64) {
        self.figures.push((what, Figure::Count(count)));
    }

    /// This took so long, for a report that [compares](Scenario::compared).
    pub fn measured_time(&mut self, what: &'static str, span: sim::Nanos) {
        self.figures.push((what, Figure::Time(span)));
    }

    /// A situation occurred so many times in this run.
    pub fn met(&mut self, situation: &'static str, times: u64) {
        if times > 0 {
            self.met.push((situation, times));
        }
    }
}

/// What a sweep must find.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expected {
    /// No violation under any seed, with every situation of the scenario met.
    Holds,
    /// A violation of this property under some seed, and of no other property under any.
    Violates(&'static str),
    /// A violation of each of the two under some seed, not always under the same, and of no other under any.
    ViolatesBoth(&'static str, &'static str),
}

impl Expected {
    /// The properties that must be violated.
    pub fn properties(self) -> impl Iterator<Item = &'static str> {
        let (one, another) = match self {
            Self::Holds => (None, None),
            Self::Violates(property) => (Some(property), None),
            Self::ViolatesBoth(one, another) => (Some(one), Some(another)),
        };
        one.into_iter().chain(another)
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Holds => f.write_str("holds"),
            Self::Violates(property) => write!(f, "violates {property}"),
            Self::ViolatesBoth(one, another) => write!(f, "violates {one}, {another}"),
        }
    }
}
