//! The order of operations that never write the same twice, from what was read.
//!
//! What is read says by which write and which appends it was made. A write, the appends that were read after
//! it, and the reads that saw them are an *epoch*: they stand together in every order, and in one order only.
//! Between two epochs stand appends that nobody saw. For reads and writes alone this is the theorem of
//! Gibbons and Korach (1997).

use std::collections::BTreeMap;

use sim::Nanos;

use super::super::Seen;
use super::{Ask, Call, Reply, Value};

/// The order, if values tell it.
pub(super) fn propose(initial: &Value, operations: &[Seen<'_, Call, Reply>]) -> Option<Vec<usize>> {
    let tokens = Tokens::of(initial, operations)?;
    // Epochs by the index of their write, and none for what was there at first; each with its operations by
    // their places.
    let mut epochs: BTreeMap<Option<usize>, Vec<(usize, usize)>> = BTreeMap::new();
    // In which epoch an append was read, and as which in it. One that was read in two is impossible, and so
    // is what nobody can have made: then any order will do, since none is right.
    let mut read: Vec<Option<(Option<usize>, usize)>> = vec![None; operations.len()];
    for (index, seen) in operations.iter().enumerate() {
        if let (Ask::Read, Some(Reply::Read(value))) = (&seen.call.ask, seen.reply) {
            let (epoch, appends) = tokens.decode(value).unwrap_or_default();
            epochs.entry(epoch).or_default().push((appends.len() * 2 + 1, index));
            for (place, append) in appends.into_iter().enumerate() {
                read[append].get_or_insert((epoch, place));
            }
        }
    }
    for (index, seen) in operations.iter().enumerate() {
        match (&seen.call.ask, read[index]) {
            (Ask::Append(_), Some((epoch, place))) => {
                epochs.entry(epoch).or_default().push((place * 2 + 2, index));
            }
            (Ask::Write(_) | Ask::Append(_), _)
                if seen.returned.is_some() || epochs.contains_key(&Some(index)) =>
            {
                // An append that nobody saw stands alone.
                epochs.entry(Some(index)).or_default().push((0, index));
            }
            // What is unknown and nobody saw may have had no effect.
            _ => {}
        }
    }
    for members in epochs.values_mut() {
        members.sort_by_key(|(place, index)| (*place, operations[*index].invoked, *index));
    }
    let first = epochs.remove(&None).unwrap_or_default();
    let spans: Vec<Span> = epochs.values().map(|members| Span::of(members, operations)).collect();
    let mut zones: Vec<(Moment, Moment)> = spans.iter().filter_map(Span::zone).collect();
    zones.sort_unstable();
    let mut placed: Vec<_> = spans.iter().zip(epochs.into_values()).collect();
    placed.sort_by_key(|(span, _)| (span.place(&zones), span.last_begin));
    let members = first.into_iter().chain(placed.into_iter().flat_map(|(_, members)| members));
    Some(members.map(|(_, index)| index).collect())
}

/// A moment of a history at which something begins (`false`) or returns. What begins and returns at one time
/// is concurrent, so beginnings come first.
type Moment = (Nanos, bool);

/// When an epoch must be.
struct Span {
    first_return: Moment,
    last_begin: Moment,
}

impl Span {
    fn of(members: &[(usize, usize)], operations: &[Seen<'_, Call, Reply>]) -> Self {
        let seen = || members.iter().map(|(_, index)| &operations[*index]);
        let first_return = seen().filter_map(|seen| seen.returned).min();
        let last_begin = seen().map(|seen| seen.invoked).max();
        Self {
            first_return: (first_return.unwrap_or(Nanos::MAX), true),
            last_begin: (last_begin.unwrap_or(0), false),
        }
    }

    /// From its first return to its last beginning it must last, if they are in this order. Two such zones
    /// that overlap are impossible, so zones are in the order of time.
    fn zone(&self) -> Option<(Moment, Moment)> {
        (self.first_return < self.last_begin).then_some((self.first_return, self.last_begin))
    }

    /// Where it stands among others. Without a zone it could be at any one moment between its last beginning
    /// and its first return: at the first of them that is in no zone.
    fn place(&self, zones: &[(Moment, Moment)]) -> Moment {
        if self.zone().is_some() {
            return self.first_return;
        }
        let around = zones[..zones.partition_point(|(begin, _)| *begin < self.last_begin)].last();
        around.map_or(self.last_begin, |(_, end)| self.last_begin.max(*end))
    }
}

/// What was written and appended, each once.
enum Tokens<'a> {
    /// Values that are never appended to.
    Values { initial: &'a Value, writes: BTreeMap<&'a Value, usize> },
    /// What is appended to a list that is never written.
    Items(BTreeMap<&'a Value, usize>),
    /// Texts that are written or appended. None begins with another, so a text that is made of them is so in
    /// one way.
    Texts(BTreeMap<&'a str, (bool, usize)>),
}

impl<'a> Tokens<'a> {
    fn of(initial: &'a Value, operations: &[Seen<'a, Call, Reply>]) -> Option<Self> {
        let (mut writes, mut appends) = (BTreeMap::new(), BTreeMap::new());
        for (index, seen) in operations.iter().enumerate() {
            let before = match (&seen.call.ask, seen.reply) {
                (Ask::Write(value), _) => writes.insert(value, index),
                (Ask::Append(value), _) => appends.insert(value, index),
                (Ask::Read, None | Some(Reply::Read(_))) => None,
                _ => return None,
            };
            if before.is_some() {
                return None;
            }
        }
        if appends.is_empty() {
            return (!writes.contains_key(initial)).then_some(Self::Values { initial, writes });
        }
        if *initial != Value::Nothing {
            return None;
        }
        let is_text = |value: &&Value| matches!(value, Value::Text(_));
        if writes.is_empty() && !appends.keys().any(is_text) {
            return Some(Self::Items(appends));
        }
        let mut texts: BTreeMap<&'a str, (bool, usize)> = BTreeMap::new();
        let written = writes.into_iter().map(|(value, index)| (value, (true, index)));
        for (value, token) in written.chain(appends.into_iter().map(|(value, index)| (value, (false, index))))
        {
            let Value::Text(text) = value else { return None };
            if text.is_empty() || texts.insert(text, token).is_some() {
                return None;
            }
        }
        // What begins with a text is next to it, or behind something else that begins with it.
        let pairs = || texts.keys().zip(texts.keys().skip(1));
        let distinct = pairs().all(|(text, next)| !next.starts_with(text));
        distinct.then_some(Self::Texts(texts))
    }

    /// The write and the appends that made a value; `None` if nothing can have made it.
    fn decode(&self, value: &Value) -> Option<(Option<usize>, Vec<usize>)> {
        match (self, value) {
            (Self::Values { initial, .. }, value) if value == *initial => Some((None, Vec::new())),
            (Self::Values { writes, .. }, value) => Some((Some(*writes.get(value)?), Vec::new())),
            (Self::Items(_) | Self::Texts(_), Value::Nothing) => Some((None, Vec::new())),
            (Self::Items(appends), Value::List(items)) => {
                let items = items.iter().map(|item| appends.get(item).copied());
                Some((None, items.collect::<Option<Vec<usize>>>()?))
            }
            (Self::Texts(texts), Value::Text(text)) => {
                let (mut epoch, mut appends, mut rest) = (None, Vec::new(), text.as_str());
                while !rest.is_empty() {
                    // The text that it begins with, since nothing that begins with that is between them.
                    let (token, (written, index)) = texts.range(..=rest).next_back()?;
                    rest = rest.strip_prefix(token)?;
                    match (written, epoch, appends.is_empty()) {
                        (false, _, _) => appends.push(*index),
                        (true, None, true) => epoch = Some(*index),
                        (true, _, _) => return None,
                    }
                }
                Some((epoch, appends))
            }
            _ => None,
        }
    }
}
