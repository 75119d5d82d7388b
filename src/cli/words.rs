//! Small things in words: times, tables, commands, values.

use std::fmt::Write;

use check::{Agreement, Expected, Prepared};
use serde::Serialize;
use serde_json::{Map, Value};
use sim::{Ending, FaultCounts, MICROS, MILLIS, Nanos};

/// A time in milliseconds, to the microsecond: `12.345 ms`.
pub(super) fn millis(time: Nanos) -> String {
    format!("{}.{:03} ms", time / MILLIS, time % MILLIS / MICROS)
}

/// `1 event`, `2 events`.
pub(super) fn count(number: u64, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// How a run ended.
pub(super) const fn ending(ending: Ending) -> &'static str {
    match ending {
        Ending::Quiet => "quiet",
        Ending::TimeLimit => "time limit",
        Ending::Livelock => "livelock",
        Ending::Violated => "violated",
    }
}

/// The word for a verdict.
pub(super) const fn verdict(holds: bool) -> &'static str {
    if holds { "holds" } else { "violated" }
}

/// What is expected, for programs.
#[derive(Serialize)]
pub(super) struct ExpectedText {
    verdict: &'static str,
    property: Option<&'static str>,
    /// A second one.
    #[serde(skip_serializing_if = "Option::is_none")]
    also: Option<&'static str>,
}

impl From<Expected> for ExpectedText {
    fn from(expected: Expected) -> Self {
        let mut properties = expected.properties();
        let (property, also) = (properties.next(), properties.next());
        Self { verdict: verdict(expected == Expected::Holds), property, also }
    }
}

/// Whether what was expected was found: a word, and a reason if not.
pub(super) fn agreement(agreement: &Agreement) -> (&'static str, Option<String>) {
    match agreement {
        Agreement::Agrees => ("agrees", None),
        Agreement::Differs(reason) => ("differs", Some(reason.clone())),
        Agreement::Vacuous(never) => ("vacuous", Some(format!("these never occurred: {}", never.join(", ")))),
    }
}

/// The faults that fired, as an object for programs: all kinds, in a fixed order.
pub(super) fn faults(counts: &FaultCounts) -> Map<String, Value> {
    counts.named().map(|(name, count)| (name.to_owned(), count.into())).collect()
}

/// Columns two spaces apart, each as wide as its widest cell; the last is not padded.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell: &String| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// The same for a Markdown page: the first row is the head.
pub(super) fn markdown(rows: &[Vec<String>]) -> String {
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        text.extend(["| ", &row.join(" | "), " |\n"]);
        if number == 0 {
            text.extend(["|", &"---|".repeat(row.len()), "\n"]);
        }
    }
    text
}

/// The command that runs this again.
pub(super) fn command(program: &str, prepared: &dyn Prepared, seed: u64, more: &[&str]) -> String {
    let mut words =
        vec![program.to_owned(), "run".to_owned(), prepared.name(), "--seed".to_owned(), seed.to_string()];
    for (key, value) in prepared.changes() {
        words.push("--set".to_owned());
        words.push(format!("{key}={}", setting(&value)));
    }
    command_line(words.iter().map(String::as_str).chain(more.iter().copied()))
}

/// The command that asks another verb about a run.
pub(crate) fn verb_command(program: &str, verb: &str, prepared: &dyn Prepared, seed: u64) -> String {
    let settings = prepared.changes().into_iter();
    let settings =
        settings.map(|(key, value)| format!("--set {}", quoted(&format!("{key}={}", setting(&value)))));
    let words = [program.to_owned(), verb.to_owned(), prepared.name(), format!("--seed {seed}")];
    words.into_iter().chain(settings).collect::<Vec<_>>().join(" ")
}

/// Words as they are typed into a shell.
pub(super) fn command_line<'w>(words: impl IntoIterator<Item = &'w str>) -> String {
    words.into_iter().map(quoted).collect::<Vec<_>>().join(" ")
}

/// A setting's value as it is written after `--set key=`.
pub(super) fn setting(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A word as a shell reads it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// A JSON value as a person would write it: keys without quotes, and `Put {key: 1}` for the variant of an enum.
pub(super) fn relaxed(value: &Value) -> String {
    let mut text = String::new();
    write_relaxed(&mut text, value);
    text
}

/// Whether an object of one key looks like a variant of an enum, and not like a struct.
fn is_variant(key: &str, content: &Value) -> bool {
    key.starts_with(char::is_uppercase) || content.is_object() || content.is_array()
}

fn write_relaxed(text: &mut String, value: &Value) {
    match value {
        Value::Object(map) => match map.iter().next() {
            Some((variant, content)) if map.len() == 1 && is_variant(variant, content) => {
                text.push_str(variant);
                text.push(' ');
                write_relaxed(text, content);
            }
            _ => {
                let fields: Vec<_> =
                    map.iter().map(|(key, value)| format!("{key}: {}", relaxed(value))).collect();
                let _ = write!(text, "{{{}}}", fields.join(", "));
            }
        },
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(relaxed).collect();
            let _ = write!(text, "[{}]", items.join(", "));
        }
        // A variant without content, and any other word.
        Value::String(word)
            if word.starts_with(char::is_alphabetic) && word.chars().all(char::is_alphanumeric) =>
        {
            text.push_str(word);
        }
        other => {
            let _ = write!(text, "{other}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn times_have_three_decimals() {
        assert_eq!(millis(0), "0.000 ms");
        assert_eq!(millis(12_345_999), "12.345 ms");
    }

    #[test]
    fn a_shell_reads_a_quoted_word_as_it_was() {
        assert_eq!(quoted("rpc/at-most-once"), "rpc/at-most-once");
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn values_read_like_rust() {
        assert_eq!(relaxed(&json!({"Put": {"key": 1, "value": "a b"}})), r#"Put {key: 1, value: "a b"}"#);
        assert_eq!(relaxed(&json!({"call": ["Get", 7, null]})), "call [Get, 7, null]");
        assert_eq!(relaxed(&json!({"key": 7})), "{key: 7}");
    }

    #[test]
    fn columns_are_aligned_and_lines_end_with_their_text() {
        let rows = [vec!["a".to_owned(), "b".to_owned()], vec!["ccc".to_owned(), String::new()]];
        assert_eq!(table(&rows), "a    b\nccc\n");
    }
}
