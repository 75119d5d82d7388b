//! One run, from a seed to a verdict.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use serde_json::Value;
use sim::{Ending, FaultCounts, Nanos, Observer, Overrides, Process, Violation, World};
use traces::{Algorithms, End, Header, Recorder, WriteError};

use crate::catalogue::TypedPrepared;
use crate::history::History;
use crate::panics;
use crate::reproduction::OverrideText;
use crate::scenario::{Judgement, Note, Run, Scenario};

/// What came of one run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// The digest of everything that happened.
    pub digest: u64,
    /// How the run ended.
    pub ending: Ending,
    /// How many events were fired.
    pub steps: u64,
    /// The time of the world when it ended.
    pub time: Nanos,
    /// What did not hold.
    pub violations: Vec<Violation>,
    /// What went wrong by design.
    pub faults: FaultCounts,
    /// Which of the scenario's situations occurred, and how often.
    pub met: BTreeMap<&'static str, u64>,
    /// Operations begun.
    pub operations: u64,
    /// The overrides that met nothing.
    pub unmatched: Vec<OverrideText>,
}

impl Outcome {
    /// Whether every property held.
    pub fn holds(&self) -> bool {
        self.violations.is_empty()
    }
}

/// Runs one prepared scenario, seed after seed.
pub trait Runner {
    /// Runs from a seed to a verdict.
    fn run(&mut self, seed: u64, overrides: &Overrides) -> Outcome;

    /// The same run, written to `sink` as a trace.
    ///
    /// # Errors
    /// If the trace cannot be written.
    fn trace(
        &mut self,
        seed: u64,
        overrides: &Overrides,
        sink: &mut dyn Write,
    ) -> Result<Outcome, WriteError>;
}

pub(crate) struct TypedRunner<'p, S: Scenario> {
    prepared: &'p TypedPrepared<S>,
    world: World<S::Process>,
    history: History<Note<S>>,
}

impl<'p, S: Scenario> TypedRunner<'p, S> {
    pub(crate) fn new(prepared: &'p TypedPrepared<S>) -> Self {
        let boot = Arc::clone(&prepared.setup.boot);
        let world = World::new(prepared.setup.config.clone(), 0, move |node| boot(node));
        Self { prepared, world, history: History::default() }
    }

    fn observed<O: Observer<<S::Process as Process>::Message>>(
        &mut self,
        seed: u64,
        overrides: &Overrides,
        observer: &mut O,
    ) -> Outcome {
        let Self { prepared, world, history } = self;
        history.clear();
        world.reset(seed, overrides.clone());
        let (ending, panicked_at) = panics::silenced(|| {
            world.run_while(&mut (&mut *history, observer), |world| prepared.scenario.invariant(world))
        });
        let findings = world.findings().to_vec();
        let mut judgement = Judgement { time: world.now(), violations: findings, ..Judgement::default() };
        if let Some(violation) = world.violation() {
            let mut violation = violation.clone();
            if violation.property == "panic"
                && let Some(place) = panicked_at
            {
                violation.detail = format!("{} ({place})", violation.detail);
            }
            judgement.violations.push(violation);
        } else {
            let run = Run { world, history, ending, nodes: &prepared.setup.nodes };
            prepared.scenario.judge(&prepared.settings, &run, &mut judgement);
        }
        let mut met = BTreeMap::new();
        for (situation, times) in judgement.met {
            *met.entry(situation).or_insert(0) += times;
        }
        Outcome {
            seed,
            digest: std::hash::Hasher::finish(&world.digest()),
            ending,
            steps: world.steps(),
            time: world.now(),
            violations: judgement.violations,
            faults: *world.fault_counts(),
            met,
            operations: history.operations.len() as u64,
            unmatched: world.overrides().unmatched().map(OverrideText::from).collect(),
        }
    }
}

impl<S: Scenario> Runner for TypedRunner<'_, S> {
    fn run(&mut self, seed: u64, overrides: &Overrides) -> Outcome {
        self.observed(seed, overrides, &mut ())
    }

    fn trace(
        &mut self,
        seed: u64,
        overrides: &Overrides,
        sink: &mut dyn Write,
    ) -> Result<Outcome, WriteError> {
        let header = Header {
            scenario: self.prepared.scenario.name(),
            seed,
            configuration: self.prepared.map.clone(),
            overrides: overrides.iter().map(OverrideText::from).map(|text| Value::from(&text)).collect(),
            nodes: self.prepared.setup.nodes.clone(),
            algorithms: Algorithms::default(),
        };
        let mut recorder = Recorder::new(sink, &header);
        let outcome = self.observed(seed, overrides, &mut recorder);
        let violations = outcome
            .violations
            .iter()
            .map(|violation| traces::Violation {
                property: violation.property.clone(),
                detail: violation.detail.clone(),
            })
            .collect();
        recorder.finish(&End { time: outcome.time, digest: outcome.digest, violations })?;
        Ok(outcome)
    }
}
