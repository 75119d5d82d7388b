//! The setting that every scenario has: how it is decided which of several runnable tasks goes next.

use serde_json::Value;
use sim::{Priorities, Ratio, Schedule};

use crate::settings::SettingsError;

/// The setting's name.
pub(crate) const SCHEDULE: &str = "schedule";
/// Its value where nothing is said.
pub(crate) const DEFAULT: &str = "random";
/// What it takes.
const FORMS: &str = "random, preemptive, pct:D or pct:D:K";
/// How many steps a run is taken to have where nothing is said.
const STEPS: u32 = 100;

/// The schedule that this value names: `random`; `preemptive`, in which tasks give way wherever they touch something
/// shared; or `pct:D:K`, in which they have priorities that change before `D - 1` of `K` steps.
pub(crate) fn parse(scenario: &str, value: &Value) -> Result<Schedule, SettingsError> {
    let wrong = || SettingsError::Type {
        scenario: scenario.to_owned(),
        key: SCHEDULE.to_owned(),
        expected: FORMS,
        found: value.as_str().map_or_else(|| value.to_string(), str::to_owned),
    };
    let text = value.as_str().ok_or_else(wrong)?;
    match text {
        DEFAULT => return Ok(Schedule::default()),
        "preemptive" => return Ok(Schedule { preemptive: true, priorities: None }),
        _ => {}
    }
    let numbers = text.strip_prefix("pct:").ok_or_else(wrong)?;
    let (depth, steps) = numbers.split_once(':').map_or((numbers, None), |(d, k)| (d, Some(k)));
    let depth: u32 = depth.parse().ok().filter(|depth| *depth > 0).ok_or_else(wrong)?;
    let steps: u32 = match steps {
        None => STEPS,
        Some(steps) => steps.parse().ok().filter(|steps| *steps > 0).ok_or_else(wrong)?,
    };
    let priorities = Some(Priorities { change: Ratio::new((depth - 1).min(steps), steps) });
    Ok(Schedule { preemptive: true, priorities })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_is_named() {
        let named = |text: &str| parse("x", &Value::from(text)).ok();
        assert_eq!(named("random"), Some(Schedule::default()));
        assert_eq!(named("preemptive"), Some(Schedule { preemptive: true, priorities: None }));
        let change = |text| named(text).and_then(|schedule| schedule.priorities).map(|p| p.change);
        assert_eq!(change("pct:3"), Some(Ratio::new(2, 100)));
        assert_eq!(change("pct:1:20"), Some(Ratio::new(0, 20)));
        for wrong in ["", "pct", "pct:", "pct:0", "pct:2:0", "pct:-1", "fair"] {
            assert_eq!(named(wrong), None, "{wrong}");
        }
        let error = parse("x", &Value::from(3)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "setting schedule of x is random, preemptive, pct:D or pct:D:K, found \"3\""
        );
    }
}
