//! Which event of one trace is which of the other, and what became of it.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::reader::{Event, Trace};

/// How many changed events are taken apart to find patterns: enough to see them, and soon done.
const INSPECTED: u64 = 10_000;

/// How many patterns are kept.
const PATTERNS: usize = 20;

/// Two corresponding events.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Relation {
    /// In nothing different.
    Same,
    /// Different only in time.
    Shifted,
    /// Different in id or cause, and perhaps in time.
    Renamed,
    /// Different in more.
    Changed,
}

impl Relation {
    pub(crate) fn of(x: &Event<'_>, y: &Event<'_>) -> Self {
        if x.line == y.line {
            Self::Same
        } else if x.same_content(y) {
            Self::Shifted
        } else if x.id != y.id && same_but_ids(x, y) {
            Self::Renamed
        } else {
            Self::Changed
        }
    }
}

/// The fields that name events by their ids.
const IDS: [&str; 5] = ["id", "by", "of", "connection", "evidence"];

/// Whether two events of different ids tell the same otherwise, apart from the time.
fn same_but_ids(x: &Event<'_>, y: &Event<'_>) -> bool {
    let rest = |event: &Event<'_>| {
        let mut fields = event.fields();
        fields.retain(|key, _| key != "t" && !IDS.contains(&key.as_str()));
        fields
    };
    x.word == y.word && x.node_name == y.node_name && (x.tail == y.tail || rest(x) == rest(y))
}

/// For every event of each trace, its place in the other.
pub(crate) struct Aligned {
    pub(crate) of_a: Vec<Option<usize>>,
    pub(crate) of_b: Vec<Option<usize>>,
    /// How many were found not by their ids, but by the path of their causes.
    pub(crate) by_path: u64,
    /// How many were found by their order on their node alone.
    pub(crate) by_order: u64,
}

impl Aligned {
    /// Walks along both traces in the order of ids. Where a program repeats an id, the first corresponds to the
    /// first, the second to the second.
    pub(crate) fn of(a: &Trace, b: &Trace) -> Self {
        let (of_a, of_b) = (vec![None; a.len()], vec![None; b.len()]);
        let mut aligned = Self { of_a, of_b, by_path: 0, by_order: 0 };
        let (mut rest_a, mut rest_b) = (a.by_id(), b.by_id());
        while let (Some((id_a, place_a)), Some((id_b, place_b))) = (rest_a.first(), rest_b.first()) {
            if id_a == id_b {
                aligned.pair(*place_a, *place_b);
            }
            if id_a <= id_b {
                rest_a = &rest_a[1..];
            }
            if id_b <= id_a {
                rest_b = &rest_b[1..];
            }
        }
        aligned
    }

    pub(super) fn pair(&mut self, place_a: usize, place_b: usize) {
        self.of_a[place_a] = Some(place_b);
        self.of_b[place_b] = Some(place_a);
    }
}

/// How many events are the same, and how many are not.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Alignment {
    /// In both, in nothing different.
    pub same: u64,
    /// In both, different only in time.
    pub shifted: u64,
    /// In both under other ids, different in nothing else but perhaps in time.
    pub renamed: u64,
    /// In both, different in more than that.
    pub changed: u64,
    /// In the first only.
    pub only_a: u64,
    /// In the second only.
    pub only_b: u64,
    /// How many of those in both were not found by their ids, which only two versions of a program need: by the path of
    /// their causes.
    pub by_path: u64,
    /// The same: by their order on their node, as in the longest common subsequence.
    pub by_order: u64,
    /// What changed in the changed ones, the most frequent first: at most 20, of the first 10,000 events that changed.
    pub patterns: Vec<Pattern>,
}

/// A change that several events have in common.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
pub struct Pattern {
    /// The kind of the events in the first trace.
    pub kind: String,
    /// The field, with a dot before each inner key.
    pub field: String,
    /// How it changed: `+1` or `-3` for an integer, `appeared`, `vanished` or `changed`.
    pub change: String,
    /// How often.
    pub count: u64,
}

impl Alignment {
    /// Of a trace with one that has the same events.
    pub(crate) fn of_same(trace: &Trace) -> Self {
        Self { same: trace.len() as u64, ..Self::default() }
    }

    pub(crate) fn of(a: &Trace, b: &Trace, aligned: &Aligned) -> Self {
        let mut found = Self { by_path: aligned.by_path, by_order: aligned.by_order, ..Self::default() };
        let mut patterns = BTreeMap::new();
        for x in a.events() {
            let Some(place) = aligned.of_a[x.index] else {
                found.only_a += 1;
                continue;
            };
            let y = b.event(place);
            match Relation::of(&x, &y) {
                Relation::Same => found.same += 1,
                Relation::Shifted => found.shifted += 1,
                Relation::Renamed => found.renamed += 1,
                Relation::Changed => {
                    found.changed += 1;
                    if found.changed <= INSPECTED {
                        changes(&x, &y, &mut patterns);
                    }
                }
            }
        }
        found.only_b = aligned.of_b.iter().filter(|place| place.is_none()).count() as u64;
        let pattern = |((kind, field, change), count)| Pattern { kind, field, change, count };
        found.patterns = patterns.into_iter().map(pattern).collect();
        // Stable: among equally frequent ones the order of the map stays.
        found.patterns.sort_by_key(|pattern| std::cmp::Reverse(pattern.count));
        found.patterns.truncate(PATTERNS);
        found
    }
}

/// Kind, field and change.
type Change = (String, String, String);

fn changes(x: &Event<'_>, y: &Event<'_>, patterns: &mut BTreeMap<Change, u64>) {
    let (mut a, mut b) = (x.fields(), y.fields());
    // Their times differ as those of shifted events do: no pattern of its own.
    a.swap_remove("t");
    b.swap_remove("t");
    if x.id != y.id {
        for fields in [&mut a, &mut b] {
            fields.retain(|key, _| !IDS.contains(&key.as_str()));
        }
    }
    compare(&Value::Object(a), &Value::Object(b), String::new(), &mut |field, change| {
        *patterns.entry((x.word.to_owned(), field, change)).or_default() += 1;
    });
}

/// Reports the innermost differences of two values. Values of a trace are at most 128 deep.
fn compare(a: &Value, b: &Value, path: String, report: &mut impl FnMut(String, String)) {
    let inner = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match (a, b) {
        _ if a == b => {}
        (Value::Object(a), Value::Object(b)) => {
            for (key, value) in a {
                match b.get(key) {
                    Some(other) => compare(value, other, inner(key), report),
                    None => report(inner(key), "vanished".into()),
                }
            }
            for key in b.keys().filter(|key| !a.contains_key(*key)) {
                report(inner(key), "appeared".into());
            }
        }
        _ => {
            let change = match (a.as_i64(), b.as_i64()) {
                (Some(a), Some(b)) => format!("{:+}", i128::from(b) - i128::from(a)),
                _ => "changed".into(),
            };
            report(path, change);
        }
    }
}
