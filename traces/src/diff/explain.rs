//! Whether every difference has a cause.
//!
//! Two runs with the same seed that differ in one decision may differ only in the causal future of that
//! decision. A difference anywhere else was made by something that the trace does not show: state that nodes
//! share in secret, a clock of the machine, the order of a hash map.
//!
//! An event that is missing has a future too: a timer that fires only because no reply came follows from the
//! reply's absence. So both traces are laid over each other, with one vertex for corresponding events, and a
//! handler line that is missing, changed or moved in one trace precedes, besides what it precedes in its own,
//! what the node does in the other trace from that time on.
//!
//! A violation may end a run early. What the other run does from then on, by itself, follows from that end.
//!
//! This errs on one side only: it may call a difference explained that is not, never the reverse.

use std::collections::BTreeMap;

use petgraph::graph::{DiGraph, NodeIndex};
use serde::Serialize;

use super::align::{Aligned, Relation};
use super::{Decision, Headers, Line, Sides, decided};
use crate::causality::{Edges, is_disk_outcome};
use crate::reader::{Event, Kind, Trace};

/// How many decisions are listed.
const LISTED: usize = 20;

/// By what right two runs may differ.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Basis {
    /// Seed, configuration and overrides are the same: by none, unless the program was changed.
    SameInputs,
    /// Only overrides differ: what follows from a decision that differs.
    Overrides,
    /// The seed or the configuration differs, and with it any decision: the question makes no sense.
    OtherInputs,
}

/// Which differences have a cause.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Explanation {
    /// By what right the runs may differ.
    pub basis: Basis,
    /// How many decisions differ that do not follow from one another.
    pub roots: u64,
    /// The first 20 of them.
    pub decisions: Vec<Decision>,
    /// How many events differ; judgements and kinds this version does not know are not counted.
    pub differences: u64,
    /// How many of them follow from no decision that differs. Always 0 with [`Basis::OtherInputs`].
    pub unexplained: u64,
    /// The first of them, on the side where it is; both if it is in both.
    pub first_unexplained: Sides<Option<Line>>,
}

/// Whether a line tells what the world decided, and not what a program did.
pub(crate) fn is_decision(event: &Event<'_>) -> bool {
    match event.kind {
        // A restart is told by its boot alone.
        Kind::Pick | Kind::Fault | Kind::Crash | Kind::Boot => true,
        Kind::Disk => is_disk_outcome(event),
        // Packets that open a connection have no line of their own that tells their fate. `close` stands for
        // what a program asks, too, and cannot be counted.
        Kind::Stream => ["accept", "open", "closed", "broken"]
            .iter()
            .any(|name| event.field("name").is_some_and(|found| found == *name)),
        _ => false,
    }
}

/// An event of the two traces laid over each other.
#[derive(Clone, Copy)]
struct Pair<'t> {
    x: Option<Event<'t>>,
    y: Option<Event<'t>>,
}

impl Pair<'_> {
    fn relation(&self) -> Option<Relation> {
        Some(Relation::of(self.x.as_ref()?, self.y.as_ref()?))
    }

    fn differs(&self) -> bool {
        self.relation() != Some(Relation::Same)
    }

    fn either(&self) -> Event<'_> {
        self.x.or(self.y).expect("a pair has a side")
    }

    /// Whether it is in one trace only, and the other was cut short before.
    fn is_beyond(&self, cut: Sides<Option<u64>>) -> bool {
        match (self.x, self.y) {
            (None, Some(y)) => cut.a.is_some_and(|end| end <= y.t),
            (Some(x), None) => cut.b.is_some_and(|end| end <= x.t),
            _ => false,
        }
    }

    fn as_decision(&self, a: &Trace, b: &Trace) -> Decision {
        let line = |trace: &Trace, event: Option<Event<'_>>| event.map(|event| Line::of(trace, event.index));
        Decision::Event { lines: Sides { a: line(a, self.x), b: line(b, self.y) } }
    }

    /// When it happened first.
    fn time(&self) -> u64 {
        self.x.iter().chain(&self.y).map(|event| event.t).min().unwrap_or(0)
    }
}

/// Two traces laid over each other. The vertices of the first come first; those events of the second that
/// correspond to none follow at their place behind.
struct Overlay<'t> {
    a: &'t Trace,
    b: &'t Trace,
    aligned: &'t Aligned,
    graph: DiGraph<(), ()>,
    /// Places in the first trace: an event, and the one that comes in its stead in the second, at one instant.
    swaps: Vec<(usize, usize)>,
}

impl<'t> Overlay<'t> {
    fn of(a: &'t Trace, b: &'t Trace, aligned: &'t Aligned) -> Self {
        let graph = DiGraph::with_capacity(a.len() + b.len(), 2 * (a.len() + b.len()));
        let mut overlay = Self { a, b, aligned, graph, swaps: Vec::new() };
        for _ in 0..a.len() + b.len() {
            overlay.graph.add_node(());
        }
        let (of_a, of_b) = (Edges::of(a), Edges::of(b));
        for (from, to, _) in of_a.list {
            overlay.graph.add_edge(NodeIndex::new(from), NodeIndex::new(to), ());
        }
        for (from, to, _) in of_b.list {
            let (from, to) = (overlay.vertex_of_b(from), overlay.vertex_of_b(to));
            overlay.graph.add_edge(from, to, ());
        }
        let (in_a, in_b) = (Handlers::of(a, &of_a.handlers), Handlers::of(b, &of_b.handlers));
        overlay.add_absences(a, &of_a.handlers, &in_b, true);
        overlay.add_absences(b, &of_b.handlers, &in_a, false);
        overlay.add_turns(a, &of_a.handlers, &in_a, true);
        overlay.add_turns(b, &of_b.handlers, &in_b, false);
        overlay.find_swaps(&in_a);
        overlay
    }

    fn vertex_of_b(&self, place: usize) -> NodeIndex {
        NodeIndex::new(self.aligned.of_b[place].unwrap_or(self.a.len() + place))
    }

    fn vertex(&self, place: usize, of_a: bool) -> NodeIndex {
        if of_a { NodeIndex::new(place) } else { self.vertex_of_b(place) }
    }

    fn pair(&self, vertex: usize) -> Option<Pair<'t>> {
        match vertex.checked_sub(self.a.len()) {
            None => {
                let y = self.aligned.of_a[vertex].map(|place| self.b.event(place));
                Some(Pair { x: Some(self.a.event(vertex)), y })
            }
            Some(place) if self.aligned.of_b[place].is_none() => {
                Some(Pair { x: None, y: Some(self.b.event(place)) })
            }
            Some(_) => None,
        }
    }

    /// From every handler line of `trace` that differs to what its node does in the other trace from then on.
    fn add_absences(&mut self, trace: &Trace, handlers: &[usize], others: &Handlers<'_>, of_a: bool) {
        for event in handlers.iter().map(|place| trace.event(*place)) {
            let from = self.vertex(event.index, of_a);
            let differs = self.pair(from.index()).is_some_and(|pair| pair.differs());
            if differs && let Some(place) = others.first_since(event.node_name, event.t) {
                let to = self.vertex(place, !of_a);
                self.graph.add_edge(from, to, ());
            }
        }
    }

    /// To every handler line that is in `trace` only from the others of its node at that instant: which of them goes first
    /// follows from when each came, and no line tells that of what came while the node was paused.
    fn add_turns(&mut self, trace: &Trace, handlers: &[usize], own: &Handlers<'_>, of_a: bool) {
        for event in handlers.iter().map(|place| trace.event(*place)) {
            let to = self.vertex(event.index, of_a);
            if self.pair(to.index()).is_some_and(|pair| pair.relation().is_none()) {
                for place in own.at(event.node_name, event.t).filter(|place| *place != event.index) {
                    self.graph.add_edge(self.vertex(place, of_a), to, ());
                }
            }
        }
    }

    /// The decision of a swap whose event in the first trace is at a vertex.
    fn swap_at(&self, vertex: usize) -> Option<Decision> {
        let (first, second) = self.swaps.iter().find(|(first, _)| *first == vertex)?;
        let lines = Sides { a: Line::of(self.a, *first), b: Line::of(self.b, self.aligned.of_a[*second]?) };
        Some(Decision::Order { lines })
    }

    /// Events that reach a node at one instant may come in either order, which no line tells: the first of those common
    /// to both traces that comes earlier in one than in the other was decided.
    fn find_swaps(&mut self, in_a: &Handlers<'_>) {
        for handlers in in_a.0.values() {
            let mut common: Vec<(u64, usize, usize)> = handlers
                .iter()
                .filter_map(|(t, place)| Some((*t, *place, self.aligned.of_a[*place]?)))
                .filter(|(t, _, place_in_b)| self.b.event(*place_in_b).t == *t)
                .collect();
            for instant in common.chunk_by_mut(|x, y| x.0 == y.0) {
                let order_in_a: Vec<usize> = instant.iter().map(|(_, place, _)| *place).collect();
                instant.sort_unstable_by_key(|(.., in_b)| *in_b);
                let order_in_b = instant.iter().map(|(_, place, _)| *place);
                self.swaps.extend(order_in_a.into_iter().zip(order_in_b).find(|(x, y)| x != y));
            }
        }
    }
}

/// The handler lines of each node, with their time, in order.
struct Handlers<'t>(BTreeMap<&'t str, Vec<(u64, usize)>>);

impl<'t> Handlers<'t> {
    fn of(trace: &'t Trace, handlers: &[usize]) -> Self {
        let mut of_nodes = BTreeMap::<_, Vec<_>>::new();
        for event in handlers.iter().map(|place| trace.event(*place)) {
            of_nodes.entry(event.node_name).or_default().push((event.t, event.index));
        }
        Self(of_nodes)
    }

    /// The places of those at this time.
    fn at(&self, node: &str, time: u64) -> impl Iterator<Item = usize> {
        let all = self.0.get(node).map_or(&[][..], Vec::as_slice);
        let from = all.partition_point(|(t, _)| *t < time);
        all[from..].iter().take_while(move |(t, _)| *t == time).map(|(_, place)| *place)
    }

    /// The place of the first one at `time` or later.
    fn first_since(&self, node: &str, time: u64) -> Option<usize> {
        let all = self.0.get(node)?;
        all.get(all.partition_point(|(t, _)| *t < time)).map(|(_, place)| *place)
    }
}

impl Explanation {
    /// Of traces with the same events.
    pub(crate) fn of_same(headers: &Headers) -> Self {
        let basis = if headers.same() {
            Basis::SameInputs
        } else if headers.only_overrides() {
            Basis::Overrides
        } else {
            Basis::OtherInputs
        };
        Self {
            basis,
            roots: 0,
            decisions: Vec::new(),
            differences: 0,
            unexplained: 0,
            first_unexplained: Sides::default(),
        }
    }

    pub(crate) fn of(a: &Trace, b: &Trace, aligned: &Aligned, headers: &Headers) -> Self {
        let overlay = Overlay::of(a, b, aligned);
        let mut differing: Vec<_> = (0..a.len() + b.len())
            .filter_map(|vertex| Some((vertex, overlay.pair(vertex)?)))
            .filter(|(_, pair)| pair.differs() && counts(&pair.either()))
            .collect();
        // For the first one to be the earliest.
        differing.sort_by_key(|(_, pair)| pair.time());
        let mut reached = Reached(vec![false; a.len() + b.len()]);
        let mut explanation = Self { differences: differing.len() as u64, ..Self::of_same(headers) };
        let basis = explanation.basis;
        if basis == Basis::OtherInputs {
            return explanation;
        }
        // In the order of time, so that a decision that follows from another is reached before its turn.
        let swaps = overlay.swaps.iter().map(|(first, _)| (*first, a.event(*first).t, None));
        let mut candidates: Vec<_> =
            differing.iter().map(|(vertex, pair)| (*vertex, pair.time(), Some(*pair))).chain(swaps).collect();
        candidates.sort_by_key(|(_, time, _)| *time);
        let cut = Sides { a: cut_short(a), b: cut_short(b) };
        let moved = headers.moved();
        for (vertex, _, pair) in candidates {
            if reached.0[vertex] {
                continue;
            }
            // Only where something was decided before may an end be another one.
            if explanation.roots > 0 && pair.is_some_and(|pair| pair.is_beyond(cut)) {
                reached.follow(&overlay.graph, vertex);
                continue;
            }
            let decision = match pair {
                Some(pair) if moved.contains(&pair.either().id.to_string()) => Some(pair.as_decision(a, b)),
                Some(pair) => decided(a, b, pair.x, pair.y),
                None => overlay.swap_at(vertex),
            };
            if let Some(decision) = decision {
                explanation.roots += 1;
                if explanation.decisions.len() < LISTED {
                    explanation.decisions.push(decision);
                }
                reached.follow(&overlay.graph, vertex);
            }
        }
        let without_cause = |vertex: usize| match basis {
            Basis::SameInputs => true,
            Basis::Overrides => !reached.0[vertex],
            Basis::OtherInputs => false,
        };
        let mut unexplained = differing.iter().filter(|(vertex, _)| without_cause(*vertex));
        if let Some((_, first)) = unexplained.next() {
            explanation.unexplained = 1 + unexplained.count() as u64;
            explanation.first_unexplained = Sides {
                a: first.x.map(|event| Line::of(a, event.index)),
                b: first.y.map(|event| Line::of(b, event.index)),
            };
        }
        explanation
    }
}

/// When a run ended, if a violation ended it: nothing comes after such a judgement.
fn cut_short(trace: &Trace) -> Option<u64> {
    let last = trace.event(trace.len().checked_sub(1)?);
    let violated = last.kind == Kind::Check && last.field("verdict").is_some_and(|word| word == "violated");
    violated.then_some(last.t)
}

/// Judgements look at the whole world and have no place in it; of unknown kinds nothing is known.
fn counts(event: &Event<'_>) -> bool {
    !matches!(event.kind, Kind::Check | Kind::Opaque)
}

/// Which vertices are in the future of one that was followed.
struct Reached(Vec<bool>);

impl Reached {
    fn follow(&mut self, graph: &DiGraph<(), ()>, from: usize) {
        self.0[from] = true;
        let mut open = vec![from];
        while let Some(vertex) = open.pop() {
            for next in graph.neighbors(NodeIndex::new(vertex)) {
                if !std::mem::replace(&mut self.0[next.index()], true) {
                    open.push(next.index());
                }
            }
        }
    }
}
