//! What came of one run, for people and for programs.

use std::io::Write;

use check::names::Resolved;
use check::{Outcome, OverrideText, Prepared};
use serde::Serialize;
use serde_json::{Map, Value};
use sim::Overrides;

use super::error::CliError;
use super::story::{self, PAST_LINES, Story};
use super::words::{self, ExpectedText, count, millis};

/// How many violations of one run are told to people.
const VIOLATIONS_MAX: usize = 10;

/// One run.
#[derive(Serialize)]
pub(super) struct RunReport {
    scenario: String,
    settings: Map<String, Value>,
    seed: u64,
    verdict: &'static str,
    expected: ExpectedText,
    violations: Vec<ViolationText>,
    digest: String,
    ending: &'static str,
    time: u64,
    events: u64,
    operations: u64,
    faults: Map<String, Value>,
    situations: Map<String, Value>,
    unmatched_overrides: Vec<OverrideText>,
    story: Option<Story>,
    /// The command that runs it again.
    command: String,
}

/// Something that did not hold.
#[derive(Serialize)]
pub(super) struct ViolationText {
    property: String,
    detail: String,
    time: u64,
    evidence: Vec<String>,
}

impl From<&sim::Violation> for ViolationText {
    fn from(violation: &sim::Violation) -> Self {
        Self {
            property: violation.property.clone(),
            detail: violation.detail.clone(),
            time: violation.time,
            evidence: violation.evidence.iter().map(ToString::to_string).collect(),
        }
    }
}

impl RunReport {
    /// A report without a story.
    pub(super) fn new(prepared: &dyn Prepared, outcome: &Outcome, command: String) -> Self {
        let met = |situation: &&'static str| {
            let times = outcome.met.get(situation).copied().unwrap_or(0);
            ((*situation).to_owned(), times.into())
        };
        Self {
            scenario: prepared.name(),
            settings: prepared.changes(),
            seed: outcome.seed,
            verdict: words::verdict(outcome.holds()),
            expected: prepared.expected().into(),
            violations: outcome.violations.iter().map(ViolationText::from).collect(),
            digest: format!("{:016x}", outcome.digest),
            ending: words::ending(outcome.ending),
            time: outcome.time,
            events: outcome.steps,
            operations: outcome.operations,
            faults: words::faults(&outcome.faults),
            situations: prepared.situations().iter().map(met).collect(),
            unmatched_overrides: outcome.unmatched.clone(),
            story: None,
            command,
        }
    }

    /// Adds the story: of the whole run as far as `whole` says, or else of what led to the violation, if there is one.
    pub(super) fn with_story(
        mut self,
        prepared: &dyn Prepared,
        overrides: &Overrides,
        outcome: &Outcome,
        whole: Option<usize>,
    ) -> Result<Self, CliError> {
        if outcome.holds() && whole.is_none() {
            return Ok(self);
        }
        self.story = story::remember(prepared, overrides, outcome)?.map(|trace| match whole {
            Some(lines) => Story::run(&trace, outcome, lines),
            None => Story::past(&trace, outcome, PAST_LINES),
        });
        Ok(self)
    }

    /// In words.
    pub(super) fn write(&self, out: &mut dyn Write) -> Result<(), CliError> {
        writeln!(out, "{}  seed {}  {}", self.scenario, self.seed, self.verdict)?;
        for violation in self.violations.iter().take(VIOLATIONS_MAX) {
            writeln!(out, "violates    {}: {}", violation.property, violation.detail)?;
        }
        if self.violations.len() > VIOLATIONS_MAX {
            writeln!(out, "            and {} more", self.violations.len() - VIOLATIONS_MAX)?;
        }
        writeln!(out, "digest      {}", self.digest)?;
        let (events, operations) = (count(self.events, "event"), count(self.operations, "operation"));
        writeln!(
            out,
            "ended       {}, after {events} and {operations}, at {}",
            self.ending,
            millis(self.time)
        )?;
        writeln!(out, "faults      {}", fired(&self.faults))?;
        if !self.situations.is_empty() {
            let situations: Vec<_> =
                self.situations.iter().map(|(name, times)| format!("{name} {times}")).collect();
            writeln!(out, "situations  {}", situations.join(", "))?;
        }
        match &self.story {
            Some(story) => story.write(out)?,
            None if !self.violations.is_empty() => {
                writeln!(out, "\nthe run is too long to be told: write it to a file with --trace")?;
            }
            None => {}
        }
        if !self.violations.is_empty() {
            writeln!(out, "\nto see it again:\n  {}", self.command)?;
        }
        Ok(())
    }
}

/// The faults that fired, in words.
fn fired(faults: &Map<String, Value>) -> String {
    let fired: Vec<_> = faults
        .iter()
        .filter(|(_, count)| **count != 0)
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    if fired.is_empty() { "none fired".to_owned() } else { fired.join(", ") }
}

/// A sentence for each override that met nothing, as far as somebody would read them.
pub(super) fn unmatched(overrides: &[OverrideText]) -> impl Iterator<Item = String> + '_ {
    const TOLD: usize = 10;
    let told = overrides.iter().take(TOLD).map(|text| {
        let fate = Value::from(text).get("fate").is_some();
        let or_cut = if fate { ", or a partition decided" } else { "" };
        format!(
            "warning: the override {} met nothing: no event of the run asked for it{or_cut}",
            Value::from(text)
        )
    });
    let more = overrides.len().saturating_sub(TOLD);
    told.chain((more > 0).then(|| format!("warning: {more} more overrides met nothing")))
}

/// The same where some were written by names.
pub(super) fn unmet(resolved: &Resolved, unmatched: &[OverrideText]) -> Vec<String> {
    let names = resolved.unmet.iter().map(String::as_str);
    let (named, by_id): (Vec<_>, Vec<_>) = unmatched.iter().partition(|text| resolved.name(text).is_some());
    let names = names.chain(named.into_iter().filter_map(|text| resolved.name(text)));
    let sentence = |name: &str| format!("warning: {name:?} met nothing: there is no such event in the run");
    let by_id: Vec<OverrideText> = by_id.into_iter().cloned().collect();
    names.map(sentence).chain(self::unmatched(&by_id)).collect()
}

/// One JSON document, with a newline at its end.
pub(super) fn json(out: &mut dyn Write, document: &impl Serialize) -> Result<(), CliError> {
    serde_json::to_writer_pretty(&mut *out, document).map_err(std::io::Error::from)?;
    writeln!(out)?;
    Ok(())
}
