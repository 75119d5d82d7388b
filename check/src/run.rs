//! One run, from a seed to a verdict.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::io::Write;
use std::sync::Arc;

use sim::{
    Candidate, Digest, Ending, EventId, FaultCounts, Message, Nanos, Observer, Overrides, Process, Record,
    Stamp, Touch, Violation, Watch, World,
};
use traces::{Algorithms, End, Header, Recorder, WriteError};

use crate::catalogue::TypedPrepared;
use crate::explore::Places;
use crate::history::History;
use crate::ledger::{Bookkeeper, Ledger};
use crate::panics;
use crate::reproduction::OverrideText;
use crate::scenario::{Figure, Judgement, Note, Run, Scenario};

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
    /// What the judge measured, in its order.
    pub figures: Vec<(&'static str, Figure)>,
    /// Operations begun.
    pub operations: u64,
    /// What it cost.
    pub costs: Costs,
    /// The overrides that met nothing.
    pub unmatched: Vec<OverrideText>,
}

impl Outcome {
    /// Whether every property held.
    pub fn holds(&self) -> bool {
        self.violations.is_empty()
    }
}

/// What a run, or many, cost.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Costs {
    /// Operations that ended well.
    pub completed: u64,
    /// Messages sent.
    pub messages: u64,
    /// Bytes of them, by [`sim::Message::size`].
    pub bytes: u64,
    /// Bytes that servers remembered at the end, beyond their data, as the judge was told.
    pub memory: u64,
}

impl Costs {
    /// Adds those of another run.
    pub const fn add(&mut self, other: &Self) {
        self.completed += other.completed;
        self.messages += other.messages;
        self.bytes += other.bytes;
        self.memory += other.memory;
    }
}

/// Runs one prepared scenario, seed after seed.
pub trait Runner {
    /// Runs from a seed to a verdict.
    fn run(&mut self, seed: u64, overrides: &Overrides) -> Outcome;

    /// The same run, in which every decision of an event at `time` or later is thrown with the dice of the seed `key`.
    fn run_rekeyed(&mut self, seed: u64, overrides: &Overrides, time: Nanos, key: u64) -> Outcome;

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

    /// The same run, and the life of every call in it; `None` if the scenario has no [calls](Scenario::ledger).
    fn ledger(&mut self, seed: u64, overrides: &Overrides) -> Option<(Outcome, Ledger)>;

    /// The same run, in which a driver chooses the next event.
    fn drive(&mut self, how: Drive<'_>, driver: &mut dyn Driver) -> Driven;
}

/// How a run is driven.
#[derive(Debug)]
pub struct Drive<'a> {
    /// The seed.
    pub seed: u64,
    /// The decisions that are fixed.
    pub overrides: &'a Overrides,
    /// The driver chooses among the events that are due within so much of the earliest.
    pub window: Nanos,
    /// Who is to see where faults could be placed.
    pub places: Option<&'a mut Places>,
}

/// Chooses which event is next, where that is not to be the earliest.
pub trait Driver {
    /// The next event, if that is known already: one of those that were there to choose from in an earlier run.
    fn planned(&mut self) -> Option<Candidate>;

    /// The next of these; `None` gives up the run.
    fn choose(&mut self, world_time: Nanos, candidates: &[Candidate]) -> Option<EventId>;

    /// How closely it looks at the event that it has just planned or chosen; before the first, at the run.
    fn watch(&self) -> Watch;

    /// What that event touched; also that it told the judges something, and that it moved time on.
    fn fired(&mut self, touches: &[Touch]);
}

/// What came of a run with a [`Driver`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Driven {
    /// `None` if the driver gave up.
    pub outcome: Option<Outcome>,
    /// A digest of all that the judges were told, in order and without times.
    pub told: u64,
}

/// The property that a process or a judge violates by a panic.
const PANIC: &str = "panic";

/// What the judges are told, in the order in which they are told it, by all nodes.
pub(crate) const HISTORY: Touch = Touch { object: 6, writes: true };

/// Remembers what the judges are told, and nothing else.
struct Told<'t> {
    digest: Digest,
    now: &'t Cell<bool>,
}

impl<M: Message> Observer<M> for Told<'_> {
    #[inline(always)]
    fn observe(&mut self, stamp: Stamp, record: &Record<'_, M>) {
        match record {
            Record::Invoke { note } | Record::Note { note } => note.hash(&mut self.digest),
            Record::Return { of, status, note } => (of.0.0, *status as u64, note).hash(&mut self.digest),
            _ => return,
        }
        stamp.node.0.hash(&mut self.digest);
        self.now.set(true);
    }
}

pub(crate) struct TypedRunner<'p, S: Scenario> {
    prepared: &'p TypedPrepared<S>,
    world: World<S::Process>,
    history: History<Note<S>>,
    /// Kept for their memory.
    candidates: Vec<Candidate>,
    touches: Vec<Touch>,
}

impl<'p, S: Scenario> TypedRunner<'p, S> {
    pub(crate) fn new(prepared: &'p TypedPrepared<S>) -> Self {
        let boot = Arc::clone(&prepared.setup.boot);
        let world = World::new(prepared.setup.config.clone(), 0, move |node| boot(node));
        Self { prepared, world, history: History::default(), candidates: Vec::new(), touches: Vec::new() }
    }

    fn observed<O: Observer<<S::Process as Process>::Message>>(
        &mut self,
        seed: u64,
        overrides: &Overrides,
        rekey: Option<(Nanos, u64)>,
        observer: &mut O,
    ) -> Outcome {
        let Self { prepared, world, history, .. } = self;
        history.clear();
        world.reset(seed, overrides.clone());
        if let Some((time, key)) = rekey {
            world.rekey_from(time, key);
        }
        let (ending, panicked_at) = panics::silenced(|| {
            world.run_while(&mut (&mut *history, observer), |world| prepared.scenario.invariant(world))
        });
        self.judge(seed, ending, panicked_at)
    }

    fn judge(&self, seed: u64, ending: Ending, panicked_at: Option<String>) -> Outcome {
        let Self { prepared, world, history, .. } = self;
        let findings = world.findings().to_vec();
        let mut judgement = Judgement { time: world.now(), violations: findings, ..Judgement::default() };
        if let Some(violation) = world.violation() {
            let mut violation = violation.clone();
            if violation.property == PANIC
                && let Some(place) = panicked_at
            {
                violation.detail = format!("{} ({place})", violation.detail);
            }
            judgement.violations.push(violation);
        } else {
            let run = Run { world, history, ending, nodes: &prepared.setup.nodes };
            let judged = panics::caught(|| prepared.scenario.judge(&prepared.settings, &run, &mut judgement));
            if let Err(words) = judged {
                judgement.violated(PANIC, format!("the judge panicked: {words}"), Vec::new());
            }
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
            figures: judgement.figures,
            operations: history.operations.len() as u64,
            costs: Costs {
                completed: history.completed,
                messages: history.messages,
                bytes: history.bytes,
                memory: judgement.memory,
            },
            unmatched: world.overrides().unmatched().map(OverrideText::from).collect(),
        }
    }
}

impl<S: Scenario> TypedRunner<'_, S> {
    /// Drives a world that was reset; how the run ended, unless the driver gave up.
    fn driven<O: Observer<<S::Process as Process>::Message>>(
        &mut self,
        window: Nanos,
        driver: &mut dyn Driver,
        (told, told_now): (O, &Cell<bool>),
    ) -> Option<Ending> {
        let Self { prepared, world, history, candidates, touches } = self;
        // The event that was fired last, and the time before it, and whether its node was up.
        let mut last: Option<(Candidate, Nanos, bool)> = None;
        let mut gave_up = false;
        let mut observer = (&mut *history, told);
        let ending = world.run_chosen(&mut observer, |world| {
            if let Some((event, before, was_up)) = last {
                if driver.watch() == Watch::Touches {
                    touches.clear();
                    touches.push(Touch::NODE);
                    if let Some(node) = event.node {
                        world.take_touched(node, touches);
                    }
                    // A fault concerns every node; and what comes to one before it starts or after it crashed comes to nothing.
                    let is_up = event.node.is_some_and(|node| world.process(node).is_some());
                    if !(was_up && is_up) {
                        touches.push(Touch::EVERYTHING);
                    }
                    if told_now.get() {
                        touches.push(HISTORY);
                    }
                    if world.now() > before {
                        touches.push(Touch { writes: true, ..Touch::TIME });
                    }
                    driver.fired(touches);
                }
                if let Some(violation) = prepared.scenario.invariant(world) {
                    world.end_violated(violation);
                    return None;
                }
            }
            let chosen = if let Some(planned) = driver.planned() {
                planned
            } else {
                world.candidates(window, candidates);
                if candidates.is_empty() {
                    return None;
                }
                let id = driver.choose(world.now(), candidates);
                let chosen = id.and_then(|id| candidates.iter().find(|candidate| candidate.id == id));
                gave_up = chosen.is_none();
                *chosen?
            };
            let is_up = chosen.node.is_some_and(|node| world.process(node).is_some());
            last = Some((chosen, world.now(), is_up));
            told_now.set(false);
            world.watch_touches(driver.watch());
            Some(chosen.id)
        });
        if gave_up {
            return None;
        }
        // Nothing is pending, or a violation ended it: that is for the world to say, and whether it is a deadlock.
        Some(ending.unwrap_or_else(|| world.run(&mut observer)))
    }
}

impl<S: Scenario> Runner for TypedRunner<'_, S> {
    fn drive(&mut self, how: Drive<'_>, driver: &mut dyn Driver) -> Driven {
        let Drive { seed, overrides, window, places } = how;
        self.history.clear();
        self.world.reset(seed, overrides.clone());
        self.world.watch_touches(driver.watch());
        let told_now = Cell::new(false);
        let mut told = Told { digest: Digest::new(0), now: &told_now };
        let (ending, panicked_at) = match places {
            None => panics::silenced(|| self.driven(window, driver, (&mut told, &told_now))),
            Some(places) => {
                panics::silenced(|| self.driven(window, driver, ((&mut told, places), &told_now)))
            }
        };
        self.world.watch_touches(Watch::No);
        let outcome = ending.map(|ending| self.judge(seed, ending, panicked_at));
        Driven { outcome, told: told.digest.finish() }
    }

    fn run(&mut self, seed: u64, overrides: &Overrides) -> Outcome {
        self.observed(seed, overrides, None, &mut ())
    }

    fn run_rekeyed(&mut self, seed: u64, overrides: &Overrides, time: Nanos, key: u64) -> Outcome {
        self.observed(seed, overrides, Some((time, key)), &mut ())
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
            overrides: crate::reproduction::to_header(overrides),
            nodes: self.prepared.setup.nodes.clone(),
            algorithms: Algorithms::default(),
        };
        let mut recorder = Recorder::new(sink, &header);
        let outcome = self.observed(seed, overrides, None, &mut recorder);
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

    fn ledger(&mut self, seed: u64, overrides: &Overrides) -> Option<(Outcome, Ledger)> {
        let mut bookkeeper = Bookkeeper::new(self.prepared.scenario.ledger()?);
        let outcome = self.observed(seed, overrides, None, &mut bookkeeper);
        Some((outcome, bookkeeper.finish()))
    }
}
