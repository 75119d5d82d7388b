//! Which event is which in two versions of a program, where ids do not tell.
//!
//! An id follows from the path of an event's causes, so a program that was changed keeps the ids of all that the change
//! does not touch. What has no id in common is aligned by what is left to go by:
//!
//! - *paths*: where causes correspond, the n-th of its like that one brought about corresponds to the n-th of the other;
//! - *order*: between events of a node that correspond, the longest common subsequence of the likes of the others (Myers,
//!   "An O(ND) difference algorithm and its variations", Algorithmica, 1986);
//! - paths again, for what those brought about elsewhere.
//!
//! This is a guess, and is never asked of two runs of one program: there, an event with another id is another event.

use std::collections::{BTreeMap, VecDeque};

use serde::Deserialize;
use serde_json::Value;
use similar::{Algorithm, DiffOp, capture_diff_slices};

use super::align::Aligned;
use crate::causality::Causes;
use crate::reader::{Event, Trace};

/// Longer stretches without a common event are aligned in pieces of this many: the time for a stretch may grow with the
/// square of its length.
const STRETCH: usize = 2_000;

/// Aligns what is not aligned yet.
pub(super) fn align(aligned: &mut Aligned, a: &Trace, b: &Trace) {
    let mut likes = Likes::default();
    let (of_a, of_b) = (likes.of_all(a, &aligned.of_a), likes.of_all(b, &aligned.of_b));
    let (in_a, in_b) = (Side::of(a, of_a), Side::of(b, of_b));
    aligned.by_path += by_path(aligned, &in_a, &in_b);
    aligned.by_order += by_order(aligned, &in_a, &in_b);
    aligned.by_path += by_path(aligned, &in_a, &in_b);
}

/// What events have in common that may correspond, as a number.
type Like = u32;

/// One of the two traces.
struct Side<'t> {
    trace: &'t Trace,
    /// Of every event that has no id in common.
    likes: Vec<Option<Like>>,
    causes: Vec<Option<usize>>,
}

impl<'t> Side<'t> {
    fn of(trace: &'t Trace, likes: Vec<Option<Like>>) -> Self {
        Self { trace, likes, causes: Causes::of(trace).places }
    }

    /// The places of the events that correspond to none, with their likes.
    fn open<'s>(&'s self, aligned: &'s [Option<usize>]) -> impl Iterator<Item = (usize, Like)> + 's {
        let likes = self.likes.iter().enumerate();
        likes
            .filter_map(|(place, like)| Some((place, (*like)?)))
            .filter(|(place, _)| aligned[*place].is_none())
    }

    /// The places of each node's events, by the node's name.
    fn by_node(&self) -> BTreeMap<&'t str, Vec<usize>> {
        let mut nodes = BTreeMap::<_, Vec<_>>::new();
        for event in self.trace.events() {
            nodes.entry(event.node_name).or_default().push(event.index);
        }
        nodes
    }
}

/// A number for each of the likes.
#[derive(Default)]
struct Likes(BTreeMap<String, Like>);

impl Likes {
    fn of_all(&mut self, trace: &Trace, aligned: &[Option<usize>]) -> Vec<Option<Like>> {
        let like = |event: Event<'_>| aligned[event.index].is_none().then(|| self.of(&event));
        trace.events().map(like).collect()
    }

    fn of(&mut self, event: &Event<'_>) -> Like {
        /// The fields that tell likes apart.
        #[derive(Deserialize, Default)]
        struct Words {
            name: Option<String>,
            to: Option<String>,
            from: Option<String>,
            peer: Option<String>,
            action: Option<String>,
            property: Option<String>,
            incarnation: Option<u64>,
            #[serde(default)]
            payload: Value,
        }
        let words: Words = event.parse().unwrap_or_default();
        // The variant of a note that is an enumeration.
        let variant = match (&words.name, &words.payload) {
            (None, Value::Object(payload)) if payload.len() == 1 => payload.keys().next(),
            _ => None,
        };
        let texts = [&words.name, &words.to, &words.from, &words.peer, &words.action, &words.property];
        let mut like = format!("{}\0{}\0{:?}", event.node_name, event.word, words.incarnation);
        for text in texts.into_iter().map(Option::as_ref).chain([variant]) {
            like.push('\0');
            like.push_str(text.map_or("", String::as_str));
        }
        let next = Like::try_from(self.0.len()).expect("a trace has fewer events than there are numbers");
        *self.0.entry(like).or_insert(next)
    }
}

/// Aligns by paths; how many were found. Causes come before what they bring about, so that one pass follows a path to its
/// end.
fn by_path(aligned: &mut Aligned, a: &Side<'_>, b: &Side<'_>) -> u64 {
    let mut open = BTreeMap::<(Option<usize>, Like), VecDeque<usize>>::new();
    for (place, like) in b.open(&aligned.of_b) {
        open.entry((b.causes[place], like)).or_default().push_back(place);
    }
    let all: Vec<_> = a.open(&aligned.of_a).collect();
    let mut found = 0;
    for (place, like) in all {
        let cause = match a.causes[place].map(|cause| aligned.of_a[cause]) {
            None => None,
            Some(Some(cause)) => Some(cause),
            Some(None) => continue,
        };
        if let Some(other) = open.get_mut(&(cause, like)).and_then(VecDeque::pop_front) {
            aligned.pair(place, other);
            found += 1;
        }
    }
    found
}

/// Aligns by order, node by node; how many were found.
fn by_order(aligned: &mut Aligned, a: &Side<'_>, b: &Side<'_>) -> u64 {
    let mut of_b = b.by_node();
    let mut found = 0;
    for (node, places_a) in a.by_node() {
        let Some(places_b) = of_b.remove(node) else { continue };
        // Between two events that correspond lies a stretch of each trace. Those that changed places bound none.
        let (mut from_a, mut from_b) = (0, 0);
        for end_a in 0..=places_a.len() {
            let end_b = match places_a.get(end_a) {
                None => places_b.len(),
                Some(place) => {
                    let other = aligned.of_a[*place].and_then(|other| places_b.binary_search(&other).ok());
                    let Some(other) = other.filter(|other| *other >= from_b) else { continue };
                    other
                }
            };
            let (stretch_a, stretch_b) = (&places_a[from_a..end_a], &places_b[from_b..end_b]);
            found += stretch(aligned, a, b, stretch_a, stretch_b);
            (from_a, from_b) = (end_a + 1, end_b + 1);
        }
    }
    found
}

fn stretch(aligned: &mut Aligned, a: &Side<'_>, b: &Side<'_>, in_a: &[usize], in_b: &[usize]) -> u64 {
    let open = |side: &Side<'_>, places: &[usize], aligned: &[Option<usize>]| -> (Vec<usize>, Vec<Like>) {
        let open = places.iter().filter(|place| aligned[**place].is_none());
        open.filter_map(|place| Some((*place, side.likes[*place]?))).unzip()
    };
    let (places_a, likes_a) = open(a, in_a, &aligned.of_a);
    let (places_b, likes_b) = open(b, in_b, &aligned.of_b);
    let mut found = 0;
    let pieces = likes_a.chunks(STRETCH).zip(likes_b.chunks(STRETCH));
    for (start, (piece_a, piece_b)) in (0..).step_by(STRETCH).zip(pieces) {
        for op in capture_diff_slices(Algorithm::Myers, piece_a, piece_b) {
            let DiffOp::Equal { old_index, new_index, len } = op else { continue };
            for offset in 0..len {
                aligned.pair(places_a[start + old_index + offset], places_b[start + new_index + offset]);
            }
            found += len as u64;
        }
    }
    found
}
