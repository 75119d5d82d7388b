//! Settings as people write them, `key=value`, over the defaults of a scenario.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::schedule::SCHEDULE;

/// What is wrong with a setting.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// There is no such setting.
    #[error("{scenario} has no setting {}{}", quoted(.key), did_you_mean(.candidates, .key, "it has"))]
    Unknown {
        /// The scenario.
        scenario: String,
        /// What was written.
        key: String,
        /// What there is.
        candidates: Vec<String>,
    },
    /// The text is not `key=value`.
    #[error("a setting is written key=value, found {}", quoted(.0))]
    Form(String),
    /// A setting is given two values.
    #[error("setting {key} is given twice, as {} and as {}", quoted(.first), quoted(.second))]
    Twice {
        /// The setting.
        key: String,
        /// What was written first.
        first: String,
        /// What was written then.
        second: String,
    },
    /// The value is of the wrong type.
    #[error("setting {key} of {scenario} is {expected}, found {}", quoted(.found))]
    Type {
        /// The scenario.
        scenario: String,
        /// The setting.
        key: String,
        /// What it takes.
        expected: &'static str,
        /// What was written.
        found: String,
    },
    /// What was read is not what it was when the run was recorded.
    #[error("{name} has changed since the run was recorded: its digest is {found:016x}, expected {expected}")]
    Changed {
        /// What was read.
        name: String,
        /// Its digest.
        found: u64,
        /// Its digest then.
        expected: String,
    },
    /// The value is impossible.
    #[error("{scenario}: {reason}")]
    Impossible {
        /// The scenario.
        scenario: String,
        /// Why.
        reason: String,
    },
}

/// How many candidates are listed where none is near.
const LISTED: usize = 12;
/// How many are suggested.
const SUGGESTED: usize = 5;

/// `; did you mean "x"?`, or all there is if that is little.
pub(crate) fn did_you_mean(candidates: &[String], written: &str, otherwise: &str) -> String {
    let near: Vec<String> =
        closest(candidates, written).iter().map(|candidate| format!("{candidate:?}")).collect();
    match near.split_last() {
        Some((only, [])) => format!("; did you mean {only}?"),
        Some((last, others)) => format!("; did you mean {} or {last}?", others.join(", ")),
        None if candidates.is_empty() => "; there are none".to_owned(),
        None if candidates.len() <= LISTED => format!("; {otherwise} {}", candidates.join(", ")),
        None => format!("; {otherwise} {}, which `list` shows", candidates.len()),
    }
}

/// The candidates that were probably meant: the one that is written nearly so, or else those that contain what was
/// written, as far as they can be told in a sentence.
fn closest<'c>(candidates: &'c [String], written: &str) -> Vec<&'c str> {
    // A page of text is near to nothing, and would take long to compare.
    let written: String = written.chars().take(100).collect();
    let near = (written.chars().count() / 3).max(2);
    let distance = |candidate: &'c String| (strsim::damerau_levenshtein(candidate, &written), &**candidate);
    let nearest = candidates.iter().map(distance).filter(|(distance, _)| *distance <= near).min();
    if let Some((_, candidate)) = nearest {
        return vec![candidate];
    }
    let part = written.to_lowercase();
    let parts = candidates.iter().filter(|candidate| !part.is_empty() && candidate.contains(&part));
    parts.map(String::as_str).take(SUGGESTED).collect()
}

/// A text in quotes, or the beginning of it.
pub(crate) fn quoted(text: &str) -> String {
    clipped(&format!("{text:?}"))
}

/// The beginning of a text that may be long, for a sentence.
pub(crate) fn clipped(text: &str) -> String {
    const MOST: usize = 60;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// A scenario's settings as a JSON object.
pub(crate) fn to_map(settings: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(settings) {
        Ok(Value::Object(map)) => map,
        Ok(Value::Null) => Map::new(),
        other => panic!("a scenario's settings must be a struct of plain values, found {other:?}"),
    }
}

/// The defaults with `changes` over them.
pub(crate) fn from_changes<S: Serialize + DeserializeOwned>(
    scenario: &str,
    defaults: &S,
    changes: &Map<String, Value>,
) -> Result<S, SettingsError> {
    let map = changed(scenario, to_map(defaults), changes)?;
    typed(map).map_err(|error| {
        // serde says what is wrong with a value, but not with which. A change that is impossible alone is the one.
        let alone = |(key, value): (&String, &Value)| {
            let alone =
                changed(scenario, to_map(defaults), &Map::from_iter([(key.clone(), value.clone())])).ok()?;
            let error = typed::<S>(alone).err()?;
            Some(format!("{key}={}: {}", shown(value), impossible(&error, &shown(value))))
        };
        let reason = changes.iter().find_map(alone).unwrap_or_else(|| error.to_string());
        SettingsError::Impossible { scenario: scenario.to_owned(), reason }
    })
}

/// What serde says of one value, as somebody would say it who does not know how settings are stored.
fn impossible(error: &serde_json::Error, written: &str) -> String {
    let text = error.to_string();
    if let Some((_, variants)) =
        text.strip_prefix("unknown variant `").and_then(|rest| rest.split_once("`, expected "))
    {
        let variants: Vec<String> = variants.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        return format!("there is no such value{}", did_you_mean(&variants, written, "there are"));
    }
    let most = match text.rsplit_once("expected ") {
        Some((_, "u8")) => u64::from(u8::MAX),
        Some((_, "u16")) => u64::from(u16::MAX),
        Some((_, "u32")) => u64::from(u32::MAX),
        Some((_, "u64" | "usize")) => u64::MAX,
        _ => return text,
    };
    format!("a whole number from 0 to {most}")
}

/// A value as it is written after `key=`, as far as a sentence has room.
fn shown(value: &Value) -> String {
    clipped(&value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

fn typed<S: DeserializeOwned>(map: Map<String, Value>) -> Result<S, serde_json::Error> {
    serde_json::from_value(if map.is_empty() { Value::Null } else { Value::Object(map) })
}

/// The defaults with `changes` over them, each of its default's type.
fn changed(
    scenario: &str,
    mut map: Map<String, Value>,
    changes: &Map<String, Value>,
) -> Result<Map<String, Value>, SettingsError> {
    for (key, value) in changes {
        let Some(default) = map.get(key) else {
            return Err(SettingsError::Unknown {
                scenario: scenario.to_owned(),
                key: key.clone(),
                candidates: map.keys().map(String::as_str).chain([SCHEDULE]).map(str::to_owned).collect(),
            });
        };
        let value = coerce(default, value).ok_or_else(|| SettingsError::Type {
            scenario: scenario.to_owned(),
            key: key.clone(),
            expected: type_name(default),
            found: value.as_str().map_or_else(|| value.to_string(), str::to_owned),
        })?;
        map.insert(key.clone(), value);
    }
    Ok(map)
}

/// `key=value` pairs as a JSON object of strings; [`crate::Entry::prepare`] gives them the types of the defaults.
///
/// # Errors
/// If one of them has no `=`, or two of them give one setting two values.
pub fn parse_pairs<'a>(
    pairs: impl IntoIterator<Item = &'a str>,
) -> Result<Map<String, Value>, SettingsError> {
    let mut map = Map::new();
    for pair in pairs {
        let (key, value) = match pair.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => (key.trim().to_owned(), value.trim()),
            _ => return Err(SettingsError::Form(pair.to_owned())),
        };
        let second = Value::from(value);
        match map.insert(key.clone(), second.clone()) {
            Some(first) if first != second => {
                return Err(SettingsError::Twice { key, first: shown(&first), second: shown(&second) });
            }
            _ => {}
        }
    }
    Ok(map)
}

/// The value as one of the default's type.
fn coerce(default: &Value, value: &Value) -> Option<Value> {
    match (default, value) {
        (Value::Number(_), Value::String(text)) => {
            let digits: String = text.chars().filter(|c| *c != '_').collect();
            digits.parse::<u64>().map(Value::from).or_else(|_| digits.parse::<i64>().map(Value::from)).ok()
        }
        (Value::Bool(_), Value::String(text)) => text.parse::<bool>().map(Value::from).ok(),
        (Value::Number(_), Value::Number(_))
        | (Value::Bool(_), Value::Bool(_))
        | (Value::String(_) | Value::Null, Value::String(_) | Value::Null) => Some(value.clone()),
        _ => None,
    }
}

const fn type_name(default: &Value) -> &'static str {
    match default {
        Value::Number(_) => "a whole number",
        Value::Bool(_) => "true or false",
        _ => "a word",
    }
}
