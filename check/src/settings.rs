//! Settings as people write them, `key=value`, over the defaults of a scenario.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::schedule::SCHEDULE;

/// What is wrong with a setting.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// There is no such setting.
    #[error("{scenario} has no setting {key:?}{}", did_you_mean(.candidates, .key, "it has"))]
    Unknown {
        /// The scenario.
        scenario: String,
        /// What was written.
        key: String,
        /// What there is.
        candidates: Vec<String>,
    },
    /// The text is not `key=value`.
    #[error("a setting is written key=value, found {0:?}")]
    Form(String),
    /// The value is of the wrong type.
    #[error("setting {key} of {scenario} is {expected}, found {found:?}")]
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
    /// The value is impossible.
    #[error("{scenario}: {reason}")]
    Impossible {
        /// The scenario.
        scenario: String,
        /// Why.
        reason: String,
    },
}

/// `; did you mean "x"?`, or all there is.
pub(crate) fn did_you_mean(candidates: &[String], written: &str, otherwise: &str) -> String {
    match closest(candidates.iter().map(String::as_str), written) {
        Some(candidate) => format!("; did you mean {candidate:?}?"),
        None if candidates.is_empty() => "; there are none".to_owned(),
        None => format!("; {otherwise} {}", candidates.join(", ")),
    }
}

/// The candidate that is so near to what was written that it was probably meant.
pub(crate) fn closest<'a>(candidates: impl Iterator<Item = &'a str>, written: &str) -> Option<&'a str> {
    let near = (written.chars().count() / 3).max(2);
    candidates
        .map(|candidate| (strsim::damerau_levenshtein(candidate, written), candidate))
        .filter(|(distance, _)| *distance <= near)
        .min()
        .map(|(_, candidate)| candidate)
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
            Some(format!(
                "{key}={}: {error}",
                value.as_str().map_or_else(|| value.to_string(), str::to_owned)
            ))
        };
        let reason = changes.iter().find_map(alone).unwrap_or_else(|| error.to_string());
        SettingsError::Impossible { scenario: scenario.to_owned(), reason }
    })
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
/// If one of them has no `=`.
pub fn parse_pairs<'a>(
    pairs: impl IntoIterator<Item = &'a str>,
) -> Result<Map<String, Value>, SettingsError> {
    pairs
        .into_iter()
        .map(|pair| match pair.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => {
                Ok((key.trim().to_owned(), Value::String(value.trim().to_owned())))
            }
            _ => Err(SettingsError::Form(pair.to_owned())),
        })
        .collect()
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
