//! Scenarios of all kinds side by side: what the command line lists and runs.

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};
use sim::Schedule;

use crate::matrix::Matrix;
use crate::run::{Runner, TypedRunner};
use crate::scenario::{Expected, Input, Scenario, Setup};
use crate::schedule::{self, SCHEDULE};
use crate::settings::{self, SettingsError};

/// The setting that a trace and a reproduction have if the scenario [reads](Setup::input) something: its digest.
const INPUT: &str = "input";

/// A scenario whose type has been forgotten.
pub trait Entry: Send + Sync {
    /// See [`Scenario::name`].
    fn name(&self) -> String;
    /// See [`Scenario::about`].
    fn about(&self) -> String;
    /// See [`Scenario::expected`].
    fn expected(&self) -> Expected;
    /// See [`Scenario::situations`].
    fn situations(&self) -> Vec<&'static str>;
    /// See [`Scenario::defaults`], as a JSON object.
    fn defaults(&self) -> Map<String, Value>;
    /// The scenario with these settings over its defaults. Numbers and truth values may be given as strings.
    ///
    /// # Errors
    /// If a setting does not exist, is of the wrong type, or is impossible.
    fn prepare(&self, changes: &Map<String, Value>) -> Result<Box<dyn Prepared>, SettingsError>;
}

/// A scenario with its settings: everything but the seed.
pub trait Prepared: Send + Sync {
    /// The scenario's name.
    fn name(&self) -> String;
    /// See [`Scenario::expected`].
    fn expected(&self) -> Expected;
    /// See [`Scenario::situations`].
    fn situations(&self) -> Vec<&'static str>;
    /// All settings.
    fn settings(&self) -> &Map<String, Value>;
    /// The settings that differ from the defaults.
    fn changes(&self) -> Map<String, Value>;
    /// The settings that differ from the defaults, and the digest of what was [read](Setup::input): what is to be kept
    /// with a run that shall be made again.
    fn recorded(&self) -> Map<String, Value>;
    /// The nodes' names.
    fn nodes(&self) -> &[String];
    /// See [`Scenario::compared`].
    ///
    /// # Errors
    /// If some of these settings are impossible.
    fn compared(&self) -> Result<Vec<Vec<Box<dyn Prepared>>>, SettingsError>;
    /// The same scenario with another value of one numeric setting; `None` if it is impossible.
    fn resized(&self, key: &str, value: u64) -> Option<Box<dyn Prepared>>;
    /// Something that runs it, one seed after another, in one world's memory. It stays on its thread.
    fn runner(&self) -> Box<dyn Runner + '_>;
}

impl<S: Scenario> Entry for Arc<S> {
    fn name(&self) -> String {
        (**self).name()
    }

    fn about(&self) -> String {
        (**self).about()
    }

    fn expected(&self) -> Expected {
        (**self).expected()
    }

    fn situations(&self) -> Vec<&'static str> {
        (**self).situations()
    }

    fn defaults(&self) -> Map<String, Value> {
        let mut map = settings::to_map(&(**self).defaults());
        map.entry(SCHEDULE).or_insert_with(|| schedule::DEFAULT.into());
        map
    }

    fn prepare(&self, changes: &Map<String, Value>) -> Result<Box<dyn Prepared>, SettingsError> {
        let name = (**self).name();
        // Every scenario has this one, unless it has one of its own by that name.
        let defaults = (**self).defaults();
        let mut changes = changes.clone();
        let has_own = settings::to_map(&defaults).contains_key(SCHEDULE);
        let named = if has_own { None } else { changes.remove(SCHEDULE) };
        let schedule =
            named.as_ref().map(|value| schedule::parse(&name, value)).transpose()?.unwrap_or_default();
        let has_own = settings::to_map(&defaults).contains_key(INPUT);
        let expected = if has_own { None } else { changes.remove(INPUT) };
        let typed = settings::from_changes(&name, &defaults, &changes)?;
        let prepared = TypedPrepared::new(Self::clone(self), typed, schedule, named.as_ref())?;
        if let Some(expected) = expected {
            prepared.expect_input(&expected)?;
        }
        Ok(Box::new(prepared))
    }
}

pub(crate) struct TypedPrepared<S: Scenario> {
    pub(crate) scenario: Arc<S>,
    pub(crate) settings: S::Settings,
    pub(crate) map: Map<String, Value>,
    pub(crate) setup: Setup<S::Process>,
}

impl<S: Scenario> TypedPrepared<S> {
    /// The scenario with these settings. `named` is how the schedule is written.
    fn new(
        scenario: Arc<S>,
        settings: S::Settings,
        schedule: Schedule,
        named: Option<&Value>,
    ) -> Result<Self, SettingsError> {
        let mut setup = scenario
            .setup(&settings)
            .map_err(|reason| SettingsError::Impossible { scenario: scenario.name(), reason })?;
        let mut map = settings::to_map(&settings);
        if let Some(value) = named.filter(|_| schedule != Schedule::default()) {
            setup.config.schedule = schedule;
            map.insert(SCHEDULE.to_owned(), value.clone());
        }
        if let Some(input) = &setup.input {
            map.insert(INPUT.to_owned(), format!("{:016x}", input.digest).into());
        }
        Ok(Self { scenario, settings, map, setup })
    }

    /// Compares what was read with what was read when the run was recorded.
    fn expect_input(&self, expected: &Value) -> Result<(), SettingsError> {
        let Some(Input { name, digest }) = &self.setup.input else {
            return Err(SettingsError::Unknown {
                scenario: self.name(),
                key: INPUT.to_owned(),
                candidates: self.map.keys().cloned().collect(),
            });
        };
        if self.map.get(INPUT) == Some(expected) {
            return Ok(());
        }
        let expected = expected.as_str().map_or_else(|| expected.to_string(), str::to_owned);
        Err(SettingsError::Changed { name: name.clone(), found: *digest, expected })
    }
}

impl<S: Scenario> Prepared for TypedPrepared<S> {
    fn name(&self) -> String {
        self.scenario.name()
    }

    fn expected(&self) -> Expected {
        self.scenario.expected()
    }

    fn situations(&self) -> Vec<&'static str> {
        self.scenario.situations()
    }

    fn settings(&self) -> &Map<String, Value> {
        &self.map
    }

    fn changes(&self) -> Map<String, Value> {
        let mut changes = self.recorded();
        if self.setup.input.is_some() {
            changes.shift_remove(INPUT);
        }
        changes
    }

    fn recorded(&self) -> Map<String, Value> {
        let defaults = settings::to_map(&self.scenario.defaults());
        self.map
            .iter()
            .filter(|(key, value)| defaults.get(*key) != Some(value))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect()
    }

    fn nodes(&self) -> &[String] {
        &self.setup.nodes
    }

    fn compared(&self) -> Result<Vec<Vec<Box<dyn Prepared>>>, SettingsError> {
        let prepared = |typed: S::Settings| -> Result<Box<dyn Prepared>, SettingsError> {
            let (schedule, named) = (self.setup.config.schedule, self.map.get(SCHEDULE));
            Ok(Box::new(Self::new(Arc::clone(&self.scenario), typed, schedule, named)?))
        };
        let groups = self.scenario.compared(&self.settings).into_iter();
        groups.map(|group| group.into_iter().map(prepared).collect()).collect()
    }

    fn resized(&self, key: &str, value: u64) -> Option<Box<dyn Prepared>> {
        let mut changes = self.changes();
        changes.insert(key.to_owned(), value.into());
        self.scenario.prepare(&changes).ok()
    }

    fn runner(&self) -> Box<dyn Runner + '_> {
        Box::new(TypedRunner::new(self))
    }
}

/// All scenarios there are.
#[derive(Default)]
pub struct Catalogue {
    entries: Vec<Box<dyn Entry>>,
    matrix: Option<Matrix>,
}

impl fmt::Debug for Catalogue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.entries.iter().map(|entry| entry.name())).finish()
    }
}

/// There is no scenario of this name.
#[derive(Debug, thiserror::Error)]
#[error("there is no scenario {}{}", settings::quoted(.written), settings::did_you_mean(.candidates, .written, "there are"))]
pub struct UnknownScenario {
    /// What was written.
    pub written: String,
    /// What there is.
    pub candidates: Vec<String>,
}

impl Catalogue {
    /// An empty catalogue.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a scenario.
    ///
    /// # Panics
    /// If there is one of the same name.
    pub fn add(&mut self, scenario: impl Scenario) -> &mut Self {
        let name = scenario.name();
        assert!(self.iter().all(|entry| entry.name() != name), "there are two scenarios {name:?}");
        self.entries.push(Box::new(Arc::new(scenario)));
        self
    }

    /// Adds a scenario, in a chain.
    pub fn with(mut self, scenario: impl Scenario) -> Self {
        self.add(scenario);
        self
    }

    /// Gives it a matrix, whose rows are among its scenarios.
    pub fn set_matrix(&mut self, matrix: Matrix) -> &mut Self {
        self.matrix = Some(matrix);
        self
    }

    /// The matrix, if it has one.
    pub const fn matrix(&self) -> Option<&Matrix> {
        self.matrix.as_ref()
    }

    /// All scenarios in the order they were added.
    pub fn iter(&self) -> impl Iterator<Item = &dyn Entry> {
        self.entries.iter().map(|entry| &**entry)
    }

    /// The scenario of this name.
    ///
    /// # Errors
    /// If there is none; the error suggests one.
    pub fn find(&self, name: &str) -> Result<&dyn Entry, UnknownScenario> {
        self.iter().find(|entry| entry.name() == name).ok_or_else(|| UnknownScenario {
            written: name.to_owned(),
            candidates: self.iter().map(Entry::name).collect(),
        })
    }
}
