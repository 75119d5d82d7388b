//! Property tests: a scenario in a plain `#[test]`, and worlds as values that proptest shrinks.
//!
//! [`check()`] runs a scenario from many seeds and panics at the first that violates something: with the property, what is
//! left of the run after shrinking, the reason, and the command that shows it. What is left is a reproduction; kept in a
//! directory of the user's repository ([`Check::regressions`]) it is run first from then on.
//!
//! ```
//! let catalogue = snowglobe::models::catalogue();
//! let scenario = catalogue.find("rpc/s3-at-most-once").unwrap();
//! snowglobe::prop::Check::new(0..20).entry(scenario).unwrap();
//! ```
//!
//! [`strategies`] makes networks, plans of faults, configurations and workloads. [`Check::worlds`] runs a scenario in as many
//! of them: proptest shrinks the world first, as long as the same property is violated in it, and then the schedule of the
//! smallest world is shrunk here, so that neither undoes the work of the other. A test in `proptest!` returns what
//! [`Check::case`] says.
//!
//! Deliberately absent: threads. A test runner has its own.

pub mod strategies;

use std::cell::OnceCell;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use check::shrink::{Shrink, Shrunk};
use check::{Catalogue, Entry, Expectation, Outcome, Prepared, Reproduction, Scenario};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use serde_json::{Map, Value};
use sim::Overrides;

use crate::cli::{fault_lines, run_command};

/// How many runs shrinking may take.
const RUNS_MAX: u64 = 10_000;
/// How many lines the reason has.
const REASON_LINES: usize = 3;
/// How many worlds a scenario is run in.
const WORLDS: u32 = 64;

/// Runs a scenario with its default settings from these seeds.
///
/// # Panics
/// If one of them violates something.
pub fn check(seeds: Range<u64>, scenario: impl Scenario) {
    Check::new(seeds).run(scenario);
}

/// A test of a scenario, about to be run.
#[derive(Clone, Debug)]
pub struct Check {
    seeds: Range<u64>,
    settings: Map<String, Value>,
    regressions: Option<PathBuf>,
    program: String,
    worlds: u32,
}

impl Check {
    /// A test with these seeds.
    pub fn new(seeds: Range<u64>) -> Self {
        let program = "snowglobe".to_owned();
        Self { seeds, settings: Map::new(), regressions: None, program, worlds: WORLDS }
    }

    /// Changes a setting of the scenario.
    pub fn set(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.settings.insert(key.to_owned(), value.into());
        self
    }

    /// A directory of reproductions (`*.json`): those of the scenario are run first, and a failure is written there.
    pub fn regressions(mut self, directory: impl Into<PathBuf>) -> Self {
        self.regressions = Some(directory.into());
        self
    }

    /// How the command line is called that knows the scenario, such as `cargo run --example counter --`.
    pub fn program(mut self, program: impl Into<String>) -> Self {
        self.program = program.into();
        self
    }

    /// In how many worlds [`Check::worlds`] runs a scenario, if not in 64.
    pub const fn count(mut self, worlds: u32) -> Self {
        self.worlds = worlds;
        self
    }

    /// Runs it.
    ///
    /// # Panics
    /// If a regression or a seed violates something, or a setting or a regression is wrong.
    pub fn run(&self, scenario: impl Scenario) {
        if let Err(failure) = self.of(scenario) {
            panic!("{failure}");
        }
    }

    /// The same for a test in `proptest!`. Regressions are run; a failure is not written, as proptest goes on to smaller
    /// ones.
    ///
    /// # Errors
    /// What was violated.
    pub fn case(&self, scenario: impl Scenario) -> Result<(), TestCaseError> {
        let catalogue = Catalogue::new().with(scenario);
        let outcome = self.run_regressions(only(&catalogue)).and_then(|()| {
            let (prepared, failing) = self.first_failing(only(&catalogue))?;
            failing.map_or(Ok(()), |failing| Err(self.failure(&*prepared, &failing)))
        });
        outcome.map_err(|failure| TestCaseError::fail(failure.to_string()))
    }

    /// Runs a scenario in worlds out of a strategy, the same ones each time; in each from all seeds.
    ///
    /// # Panics
    /// If a regression or a seed violates something in one of them: with the smallest such world.
    pub fn worlds<W: Strategy, S: Scenario>(&self, worlds: &W, scenario: impl Fn(W::Value) -> S) {
        if let Err(failure) = self.of_worlds(worlds, scenario) {
            panic!("{failure}");
        }
    }

    /// The same.
    ///
    /// # Errors
    /// What was violated.
    pub fn of_worlds<W: Strategy, S: Scenario>(
        &self,
        worlds: &W,
        scenario: impl Fn(W::Value) -> S,
    ) -> Result<(), Failure> {
        let config = Config { cases: self.worlds, failure_persistence: None, ..Config::default() };
        let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let mut runner = TestRunner::new_with_rng(config, rng);
        let catalogue = |world| Catalogue::new().with(scenario(world));
        // They list what goes wrong, and any world will do.
        let any = worlds.new_tree(&mut runner).map_err(|reason| Failure::of(reason.to_string()))?;
        self.run_regressions(only(&catalogue(any.current())))?;
        let violated = OnceCell::new();
        let tried = runner.run(worlds, |world| {
            let catalogue = catalogue(world);
            let found = self.first_failing(only(&catalogue));
            let (_, failing) = found.map_err(|failure| TestCaseError::fail(failure.to_string()))?;
            match failing {
                // A smaller world that violates something else is another story.
                Some(failing) if *violated.get_or_init(|| failing.property.clone()) == failing.property => {
                    Err(TestCaseError::fail(failing.property))
                }
                _ => Ok(()),
            }
        });
        match tried {
            Ok(()) => Ok(()),
            Err(TestError::Abort(reason)) => Err(Failure::of(reason.to_string())),
            Err(TestError::Fail(_, world)) => {
                let text = format!("{world:?}");
                let catalogue = catalogue(world);
                let (prepared, failing) = self.first_failing(only(&catalogue))?;
                let failing = failing.expect("a run that violated something does so again");
                let mut failure = self.failure(&*prepared, &failing);
                failure.found = format!("in the world {text}\n{}", failure.found);
                // A command line does not know this world, but the reproduction needs none.
                failure.command = format!("{} explain repro.json  # the text above", self.program);
                Err(self.keep(failure, &*prepared, failing.seed))
            }
        }
    }

    /// Runs a scenario.
    ///
    /// # Errors
    /// What was violated.
    pub fn of(&self, scenario: impl Scenario) -> Result<(), Failure> {
        self.entry(only(&Catalogue::new().with(scenario)))
    }

    /// Runs a scenario out of a catalogue.
    ///
    /// # Errors
    /// What was violated.
    pub fn entry(&self, entry: &dyn Entry) -> Result<(), Failure> {
        self.run_regressions(entry)?;
        let (prepared, failing) = self.first_failing(entry)?;
        let Some(failing) = failing else { return Ok(()) };
        let failure = self.failure(&*prepared, &failing);
        Err(self.keep(failure, &*prepared, failing.seed))
    }

    /// The scenario with the settings of this test, and the first seed that violates something.
    fn first_failing(&self, entry: &dyn Entry) -> Result<(Box<dyn Prepared>, Option<Failing>), Failure> {
        let prepared = entry.prepare(&self.settings).map_err(|error| Failure::of(error.to_string()))?;
        let mut runner = prepared.runner();
        let failing = self.seeds.clone().find_map(|seed| {
            let outcome = runner.run(seed, &Overrides::default());
            let violation = outcome.violations.into_iter().next()?;
            Some(Failing { seed, property: violation.property })
        });
        drop(runner);
        Ok((prepared, failing))
    }

    /// Runs the reproductions of this scenario in the order of their names.
    fn run_regressions(&self, entry: &dyn Entry) -> Result<(), Failure> {
        let Some(directory) = self.regressions.as_deref().filter(|directory| directory.exists()) else {
            return Ok(());
        };
        for path in files(directory)? {
            let wrong = |what: String| Failure::of(format!("{}: {what}", path.display()));
            let text = std::fs::read_to_string(&path).map_err(|error| wrong(error.to_string()))?;
            let reproduction = Reproduction::parse(&text).map_err(|error| wrong(error.to_string()))?;
            if reproduction.scenario != entry.name() {
                continue;
            }
            let (_, outcome) = again(entry, &reproduction).map_err(wrong)?;
            if let Some(violation) = outcome.violations.first() {
                let mut failure = Failure::of(format!(
                    "{} violates \"{}\": {}",
                    reproduction.scenario, violation.property, violation.detail
                ));
                failure.reproduction = Some(text);
                failure.found = format!("a regression, {}", path.display());
                failure.command = format!("{} explain {}", self.program, path.display());
                return Err(failure);
            }
        }
        Ok(())
    }

    /// What a run that fails is shrunk to.
    fn failure(&self, prepared: &dyn Prepared, failing: &Failing) -> Failure {
        let seed = failing.seed;
        let what = Shrink { seed, overrides: Overrides::default(), runs_max: RUNS_MAX, jobs: 1 };
        let shrunk = check::shrink::shrink(prepared, &what, &AtomicBool::new(false), &|_| ());
        let shrunk = shrunk.ok().flatten().expect("a run that violated something does so again");
        let name = prepared.name();
        let detail = shrunk.outcome.violations.iter().find(|v| v.property == shrunk.property);
        let detail = detail.map_or("", |violation| violation.detail.as_str());
        let (left, runs) = (shrunk.needed.len(), shrunk.runs);
        let mut reason = fault_lines(&shrunk);
        reason.truncate(REASON_LINES);
        Failure {
            sentence: format!("{name} violates \"{}\": {detail}", shrunk.property),
            found: format!(
                "seed {seed}, shrunk to {left} of {} faults after {runs} runs",
                shrunk.faults_before
            ),
            reproduction: Some(reproduction(prepared, &shrunk)),
            reason,
            command: run_command(&self.program, "explain", prepared, seed),
        }
    }

    /// Writes a failure into the directory of regressions, if there is one.
    fn keep(&self, mut failure: Failure, prepared: &dyn Prepared, seed: u64) -> Failure {
        let (Some(directory), Some(text)) = (&self.regressions, &failure.reproduction) else {
            return failure;
        };
        let file = directory.join(format!("{}-{seed}.json", prepared.name().replace('/', "-")));
        let written =
            std::fs::create_dir_all(directory).and_then(|()| std::fs::write(&file, text.as_bytes()));
        match written {
            Ok(()) => failure.command = format!("{} explain {}", self.program, file.display()),
            Err(error) => failure.found = format!("{}; {}: {error}", failure.found, file.display()),
        }
        failure
    }
}

/// A run that violates something.
struct Failing {
    seed: u64,
    property: String,
}

/// The scenario of a catalogue that has one.
fn only(catalogue: &Catalogue) -> &dyn Entry {
    catalogue.iter().next().expect("it was just added")
}

/// What is left of a run, as a reproduction.
fn reproduction(prepared: &dyn Prepared, shrunk: &Shrunk) -> String {
    let digest = Some(format!("{:016x}", shrunk.outcome.digest));
    let expect = Expectation { property: Some(shrunk.property.clone()), digest };
    let reproduction = Reproduction::named(prepared, shrunk.outcome.seed, &shrunk.overrides, expect);
    let mut text = serde_json::to_string_pretty(&reproduction).expect("a reproduction is plain data");
    text.push('\n');
    text
}

fn files(directory: &Path) -> Result<Vec<PathBuf>, Failure> {
    let wrong = |error: std::io::Error| Failure::of(format!("{}: {error}", directory.display()));
    let entries: Result<Vec<_>, _> = std::fs::read_dir(directory).map_err(wrong)?.collect();
    let paths = entries.map_err(wrong)?.into_iter().map(|entry| entry.path());
    let mut paths: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|extension| extension == "json")).collect();
    paths.sort();
    Ok(paths)
}

/// Runs a reproduction again.
fn again(entry: &dyn Entry, reproduction: &Reproduction) -> Result<(Box<dyn Prepared>, Outcome), String> {
    let prepared = entry.prepare(&reproduction.settings).map_err(|error| error.to_string())?;
    let resolved = reproduction.resolve(&*prepared).map_err(|error| error.to_string())?;
    let outcome = prepared.runner().run(reproduction.seed, &resolved.overrides);
    Ok((prepared, outcome))
}

/// Runs a reproduction, given as the text of its file.
///
/// # Panics
/// If the text is no reproduction, or the run violates something: with what it violates.
pub fn replay(catalogue: &Catalogue, text: &str) {
    let reproduction = Reproduction::parse(text).unwrap_or_else(|error| panic!("{error}"));
    let entry = catalogue.find(&reproduction.scenario).unwrap_or_else(|error| panic!("{error}"));
    let (_, outcome) = again(entry, &reproduction).unwrap_or_else(|error| panic!("{error}"));
    if let Some(violation) = outcome.violations.first() {
        panic!("{} violates \"{}\": {}", reproduction.scenario, violation.property, violation.detail);
    }
}

/// What a test found.
#[derive(Clone, Debug)]
pub struct Failure {
    sentence: String,
    found: String,
    reproduction: Option<String>,
    reason: Vec<String>,
    command: String,
}

impl Failure {
    fn of(sentence: String) -> Self {
        Self {
            sentence,
            found: String::new(),
            reproduction: None,
            reason: Vec::new(),
            command: String::new(),
        }
    }

    /// The reproduction, as the text of a file.
    pub fn reproduction(&self) -> Option<&str> {
        self.reproduction.as_deref()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.sentence)?;
        if !self.found.is_empty() {
            writeln!(f, "{}:", self.found)?;
        }
        if let Some(reproduction) = &self.reproduction {
            write!(f, "{reproduction}")?;
        }
        for line in &self.reason {
            writeln!(f, "{line}")?;
        }
        if !self.command.is_empty() {
            writeln!(f, "to see it:\n  {}", self.command)?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}
