//! Words of the command line as values.

use std::ops::Range;

use check::{Catalogue, Entry, Prepared, UnknownScenario};
use clap::Args;
use serde_json::{Map, Value};

use super::error::CliError;

/// `--set`, wherever a scenario is run.
#[derive(Args, Clone, Debug)]
pub(super) struct Settings {
    /// Change a setting of the scenario; `list SCENARIO` shows what it has
    #[arg(long, value_name = "KEY=VALUE")]
    pub(super) set: Vec<String>,
    /// Crawl this directory of HTML pages, or web in a JSON file: the same as --set site=DIR
    #[arg(long, value_name = "DIR")]
    pub(super) site: Option<String>,
}

impl Settings {
    /// The scenario with these settings.
    pub(super) fn prepare(&self, entry: &dyn Entry) -> Result<Box<dyn Prepared>, CliError> {
        let site = self.site.as_ref().map(|site| format!("site={site}"));
        let changes = check::parse_pairs(self.set.iter().chain(&site).map(String::as_str))?;
        Ok(entry.prepare(&changes)?)
    }
}

/// The scenario of this name with these settings.
pub(super) fn prepare(
    catalogue: &Catalogue,
    scenario: &str,
    changes: &Map<String, Value>,
) -> Result<Box<dyn Prepared>, CliError> {
    Ok(find(catalogue, scenario)?.prepare(changes)?)
}

/// The scenario of this name.
pub(super) fn find<'c>(catalogue: &'c Catalogue, scenario: &str) -> Result<&'c dyn Entry, UnknownScenario> {
    catalogue.find(scenario)
}

/// A seed: decimal, or hexadecimal after `0x`; underscores are for the eye.
pub(super) fn seed(text: &str) -> Result<u64, String> {
    let digits = text.replace('_', "");
    let (digits, radix) = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None => (digits.as_str(), 10),
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return Err("a seed is a number such as 42, or 0x2a in hexadecimal".to_owned());
    }
    u64::from_str_radix(digits, radix).map_err(|_| format!("a seed is at most {}", u64::MAX))
}

/// Seeds: `A..B` without B, `A..=B` with it, or `N` for `0..N`.
pub(super) fn seeds(text: &str) -> Result<Range<u64>, String> {
    let (start, end, inclusive) = match text.split_once("..") {
        None => (0, seed(text)?, false),
        Some((start, end)) => match end.strip_prefix('=') {
            None => (seed(start)?, seed(end)?, false),
            Some(end) => (seed(start)?, seed(end)?, true),
        },
    };
    if start > end {
        return Err(format!("the range is reversed: did you mean {end}..{start}?"));
    }
    let end = end
        .checked_add(u64::from(inclusive))
        .ok_or_else(|| format!("the last seed of a range is at most {}", u64::MAX - 1))?;
    if start == end { Err("the range is empty".to_owned()) } else { Ok(start..end) }
}

/// How many lines of a story.
pub(super) fn lines(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| {
        "how many of the last lines to tell is a number; write the scenario before --story".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_decimal_or_hexadecimal() {
        assert_eq!(seed("42"), Ok(42));
        assert_eq!(seed("1_000_000"), Ok(1_000_000));
        assert_eq!(seed("0xFFFF_FFFF_FFFF_FFFF"), Ok(u64::MAX));
        assert_eq!(seed("18446744073709551616"), Err("a seed is at most 18446744073709551615".to_owned()));
        for wrong in ["", "0x", "-1", "+1", "1.5", "1e6", "ten", "0xg", " 1"] {
            assert!(seed(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_range_has_a_beginning_and_an_end() {
        assert_eq!(seeds("10"), Ok(0..10));
        assert_eq!(seeds("3..10"), Ok(3..10));
        assert_eq!(seeds("3..=10"), Ok(3..11));
        assert_eq!(seeds("0x10..0x20"), Ok(16..32));
        assert_eq!(seeds("0..18446744073709551615"), Ok(0..u64::MAX));
        assert_eq!(seeds("7..7"), Err("the range is empty".to_owned()));
        assert_eq!(seeds("0"), Err("the range is empty".to_owned()));
        assert_eq!(seeds("9..3"), Err("the range is reversed: did you mean 3..9?".to_owned()));
        for wrong in ["", "..", "1..", "..2", "1...2", "1..2..3", "1-2", "0..=18446744073709551615"] {
            assert!(seeds(wrong).is_err(), "{wrong:?}");
        }
    }
}
