//! What could have led to what: the happens-before order of a trace (Lamport, "Time, clocks, and the ordering
//! of events in a distributed system", 1978), as a graph.
//!
//! A vertex is an event line. There are two kinds of edges, and the difference between two kinds of lines is
//! what makes futures small:
//!
//! - A *handler* line is something the node does or undergoes: `boot`, `crash`, `recv`, `drop`, `fire`, `fault`;
//!   of a disk `synced`, `failed` and `lost`; of a stream `open`, `accept`, `broken` and a `close` that the peer
//!   asked for. It comes after the node's previous handler line ([`Edge::Order`]) and after its cause ([`Edge::Cause`]).
//! - An *effect* line is something a handler asked for: `send`, `timer`, `invoke`, `return`, `note` and the rest.
//!   It comes after its cause only. Nothing on its own node waits for it, so when the fate of one message is
//!   changed, the future of that change is the message, its deliveries, and what follows on the nodes they
//!   reach: not the rest of the handler that sent it.
//!
//! Deliberately absent: vector clocks (reachability answers the same questions), and transitive reduction.

use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;
use serde::Deserialize;
use sim::EventId;

use crate::reader::{Event, Kind, Trace};

/// Why one event comes after another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Edge {
    /// It was caused by it.
    Cause,
    /// It is the next thing that happened to the same node.
    Order,
}

/// The graph of a trace. Vertices are places in [`Trace::events`], and vertex `i` has index `i`.
#[derive(Debug)]
pub struct Causality<'t> {
    trace: &'t Trace,
    graph: DiGraph<usize, Edge>,
    unknown_causes: usize,
}

impl<'t> Causality<'t> {
    /// Builds the graph: two edges at most for each event.
    ///
    /// Where a program repeats an id, a cause is the latest event of that id before its effect. A cause that
    /// stands only behind its effect, which no sound run has, gets its edge all the same:
    /// [`Causality::is_acyclic`] then tells.
    pub fn of(trace: &'t Trace) -> Self {
        let mut graph = DiGraph::with_capacity(trace.len(), 2 * trace.len());
        for index in 0..trace.len() {
            graph.add_node(index);
        }
        let Edges { list, unknown_causes, .. } = Edges::of(trace);
        for (from, to, edge) in list {
            graph.add_edge(vertex(from), vertex(to), edge);
        }
        Self { trace, graph, unknown_causes }
    }

    /// The trace.
    pub const fn trace(&self) -> &'t Trace {
        self.trace
    }

    /// The graph itself, for the algorithms of `petgraph`.
    pub const fn graph(&self) -> &DiGraph<usize, Edge> {
        &self.graph
    }

    /// How many events name a cause that is no line of the trace. A fault that strikes several nodes is one: each
    /// node has its line, and the fault itself has none.
    pub const fn unknown_causes(&self) -> usize {
        self.unknown_causes
    }

    /// Everything that this event could have influenced, itself included, in order. Empty if there is no such
    /// event.
    pub fn future(&self, of: EventId) -> Vec<usize> {
        self.cone(self.places(of), Direction::Outgoing)
    }

    /// Everything that could have influenced this event, itself included, in order. Empty if there is no such
    /// event.
    pub fn past(&self, of: EventId) -> Vec<usize> {
        self.cone(self.places(of), Direction::Incoming)
    }

    /// The future of several events at once, given by their places.
    pub fn future_of_all(&self, places: impl IntoIterator<Item = usize>) -> Vec<usize> {
        self.cone(places, Direction::Outgoing)
    }

    /// The past of several events at once, given by their places.
    pub fn past_of_all(&self, places: impl IntoIterator<Item = usize>) -> Vec<usize> {
        self.cone(places, Direction::Incoming)
    }

    /// The chain of causes upward: the event, what caused it, what caused that, up to what began outside the
    /// world. Empty if there is no such event.
    pub fn causes(&self, of: EventId) -> Vec<usize> {
        let mut chain = Vec::new();
        let mut next = self.places(of).last();
        // The bound ends the walk in a trace whose causes go round in a circle.
        while let Some(place) = next.filter(|_| chain.len() < self.graph.node_count()) {
            chain.push(place);
            next = self.cause(place);
        }
        chain
    }

    /// The cause of the event at a place, if the trace has it.
    pub fn cause(&self, place: usize) -> Option<usize> {
        let mut edges = self.graph.edges_directed(vertex(place), Direction::Incoming);
        edges.find(|edge| *edge.weight() == Edge::Cause).map(|edge| edge.source().index())
    }

    /// Whether no event could have influenced itself. False only for a broken trace.
    pub fn is_acyclic(&self) -> bool {
        // Not `is_cyclic_directed`: that recurses, and a long trace would overflow the stack.
        petgraph::algo::toposort(&self.graph, None).is_ok()
    }

    fn places(&self, id: EventId) -> impl Iterator<Item = usize> {
        self.trace.find(id).map(|event| event.index)
    }

    fn cone(&self, from: impl IntoIterator<Item = usize>, direction: Direction) -> Vec<usize> {
        let mut reached = vec![false; self.graph.node_count()];
        let mut open: Vec<_> = from.into_iter().filter(|place| *place < reached.len()).collect();
        for place in &open {
            reached[*place] = true;
        }
        while let Some(place) = open.pop() {
            for next in self.graph.neighbors_directed(vertex(place), direction) {
                if !std::mem::replace(&mut reached[next.index()], true) {
                    open.push(next.index());
                }
            }
        }
        reached.iter().enumerate().filter_map(|(place, reached)| reached.then_some(place)).collect()
    }
}

fn vertex(place: usize) -> NodeIndex {
    NodeIndex::new(place)
}

/// The edges of a trace's graph, and what they were made from.
pub(crate) struct Edges {
    /// From, to, and why; places in the trace.
    pub(crate) list: Vec<(usize, usize, Edge)>,
    pub(crate) unknown_causes: usize,
    /// The places of the handler lines, in order.
    pub(crate) handlers: Vec<usize>,
}

impl Edges {
    pub(crate) fn of(trace: &Trace) -> Self {
        let causes = Causes::of(trace);
        let mut list: Vec<_> =
            (0..).zip(&causes.places).filter_map(|(to, from)| Some(((*from)?, to, Edge::Cause))).collect();
        let mut handlers = Vec::new();
        let mut last: Vec<Option<usize>> = vec![None; trace.header().nodes.len()];
        for event in trace.events() {
            if !is_handler(&event, || causes.places[event.index].map(|place| trace.event(place))) {
                continue;
            }
            handlers.push(event.index);
            if let Some(before) = last[event.node].replace(event.index) {
                list.push((before, event.index, Edge::Order));
            }
        }
        Self { list, unknown_causes: causes.unknown, handlers }
    }
}

/// For every event, the place of its cause.
pub(crate) struct Causes {
    pub(crate) places: Vec<Option<usize>>,
    /// How many name one that is not there.
    unknown: usize,
}

impl Causes {
    /// The list of causes and that of events, both ordered by id, are walked side by side.
    pub(crate) fn of(trace: &Trace) -> Self {
        let by_id = trace.by_id();
        let mut wanted: Vec<_> = trace
            .events()
            .filter(|event| event.by != EventId::ROOT)
            .map(|event| (event.by, event.index))
            .collect();
        wanted.sort_unstable();
        let mut causes = Self { places: vec![None; trace.len()], unknown: 0 };
        let mut from = 0;
        for (cause, event) in wanted {
            while by_id.get(from).is_some_and(|(id, _)| *id < cause) {
                from += 1;
            }
            // Among several of one id, the latest before the event. The next event with this cause stands later,
            // so that there is no need to come back.
            while by_id.get(from + 1).is_some_and(|(id, place)| *id == cause && *place < event) {
                from += 1;
            }
            let place = by_id.get(from).filter(|(id, _)| *id == cause).map(|(_, place)| *place);
            causes.unknown += usize::from(place.is_none());
            causes.places[event] = place;
        }
        causes.join_timers(trace);
        causes
    }

    /// A timer and its firing are one event with one id and one cause, told in two lines. The first line is made
    /// the cause of the second, so that a chain of causes shows both.
    fn join_timers(&mut self, trace: &Trace) {
        for pair in trace.by_id().windows(2) {
            let [(first, set), (second, fired)] = [pair[0], pair[1]];
            if first == second
                && (trace.event(set).kind, trace.event(fired).kind) == (Kind::Timer, Kind::Fire)
            {
                self.unknown -=
                    usize::from(trace.event(fired).by != EventId::ROOT && self.places[fired].is_none());
                self.places[fired] = Some(set);
            }
        }
    }
}

/// Whether the line is something a node does or undergoes, in contrast to something a handler asked for.
/// `cause` finds its cause where that decides.
fn is_handler<'t>(event: &Event<'t>, cause: impl FnOnce() -> Option<Event<'t>>) -> bool {
    match event.kind {
        Kind::Boot | Kind::Crash | Kind::Recv | Kind::Drop | Kind::Fire | Kind::Fault => true,
        Kind::Disk => is_disk_outcome(event),
        Kind::Stream => match Words::of(event).name.as_deref() {
            Some("connect") => false,
            // The word is the same for the node that closes and for its peer, whom a packet tells.
            Some("close") => cause().is_some_and(|cause| cause.node != event.node),
            _ => true,
        },
        _ => false,
    }
}

/// Whether the line tells what became of what a disk was asked for.
pub(crate) fn is_disk_outcome(event: &Event<'_>) -> bool {
    event.kind == Kind::Disk
        && matches!(Words::of(event).action.as_deref(), Some("synced" | "failed" | "lost"))
}

/// The fields that tell lines of one kind apart.
#[derive(Deserialize, Default)]
struct Words {
    name: Option<String>,
    action: Option<String>,
}

impl Words {
    fn of(event: &Event<'_>) -> Self {
        event.parse().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Toy, by_hand};
    use proptest::prelude::*;

    const NODES: &[&str] = &["client", "server", "other"];

    /// A call and its reply; meanwhile the client hears from another node.
    fn call() -> Trace {
        by_hand(
            NODES,
            &[
                (0, "client", "boot", 0x1, 0, ",\"incarnation\":0"),
                (0, "server", "boot", 0x2, 0, ",\"incarnation\":0"),
                (0, "other", "boot", 0x3, 0, ",\"incarnation\":0"),
                (1, "client", "invoke", 0x10, 0x1, ",\"payload\":null"),
                (
                    1,
                    "client",
                    "send",
                    0x11,
                    0x10,
                    ",\"to\":\"server\",\"name\":\"call\",\"fate\":[5],\"payload\":null",
                ),
                (1, "client", "timer", 0x12, 0x10, ",\"name\":\"resend\",\"delay\":50"),
                (
                    2,
                    "other",
                    "send",
                    0x30,
                    0x3,
                    ",\"to\":\"client\",\"name\":\"hi\",\"fate\":[1],\"payload\":null",
                ),
                (3, "client", "recv", 0x31, 0x30, ",\"from\":\"other\",\"name\":\"hi\",\"payload\":null"),
                (6, "server", "recv", 0x21, 0x11, ",\"from\":\"client\",\"name\":\"call\",\"payload\":null"),
                (6, "server", "disk", 0x22, 0x21, ",\"name\":\"log\",\"action\":\"sync\""),
                (8, "server", "disk", 0x23, 0x22, ",\"name\":\"log\",\"action\":\"synced\""),
                (
                    8,
                    "server",
                    "send",
                    0x24,
                    0x23,
                    ",\"to\":\"client\",\"name\":\"ok\",\"fate\":[2],\"payload\":null",
                ),
                (10, "client", "recv", 0x25, 0x24, ",\"from\":\"server\",\"name\":\"ok\",\"payload\":null"),
                (
                    10,
                    "client",
                    "return",
                    0x26,
                    0x25,
                    ",\"of\":\"0000000000000010\",\"status\":\"ok\",\"payload\":null",
                ),
            ],
        )
    }

    fn ids(trace: &Trace, places: &[usize]) -> Vec<u64> {
        places.iter().map(|place| trace.event(*place).id.0).collect()
    }

    #[test]
    fn the_future_of_a_send_is_its_delivery_and_what_follows_there() {
        let trace = call();
        let causality = Causality::of(&trace);
        // Neither the timer of the same handler nor what the client hears meanwhile.
        assert_eq!(ids(&trace, &causality.future(EventId(0x11))), [0x11, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26]);
        assert_eq!(ids(&trace, &causality.future(EventId(0x12))), [0x12]);
        assert_eq!(ids(&trace, &causality.future(EventId(0x31))), [0x31, 0x25, 0x26]);
    }

    #[test]
    fn the_past_holds_what_the_node_did_before() {
        let trace = call();
        let causality = Causality::of(&trace);
        assert_eq!(
            ids(&trace, &causality.past(EventId(0x26))),
            [0x1, 0x2, 0x3, 0x10, 0x11, 0x30, 0x31, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26]
        );
        assert_eq!(ids(&trace, &causality.past(EventId(0x21))), [0x1, 0x2, 0x10, 0x11, 0x21]);
    }

    #[test]
    fn the_chain_of_causes_leads_to_the_outside() {
        let trace = call();
        let causality = Causality::of(&trace);
        assert_eq!(
            ids(&trace, &causality.causes(EventId(0x26))),
            [0x26, 0x25, 0x24, 0x23, 0x22, 0x21, 0x11, 0x10, 0x1]
        );
        assert!(causality.is_acyclic());
        assert_eq!(causality.unknown_causes(), 0);
        assert!(causality.causes(EventId(0x99)).is_empty());
        assert!(causality.future(EventId(0x99)).is_empty());
    }

    #[test]
    fn what_a_node_asks_of_a_stream_or_disk_is_an_effect_and_what_comes_back_is_not() {
        let stream =
            |name| format!(",\"name\":\"{name}\",\"peer\":\"server\",\"connection\":\"0000000000000005\"");
        let disk = |action| format!(",\"name\":\"log\",\"action\":\"{action}\"");
        for (kind, tail, handler) in [
            ("stream", stream("connect"), false),
            ("stream", stream("close"), false),
            ("stream", stream("open"), true),
            ("stream", stream("accept"), true),
            ("stream", stream("broken"), true),
            ("disk", disk("write"), false),
            ("disk", disk("sync"), false),
            ("disk", disk("synced"), true),
            ("disk", disk("failed"), true),
            ("disk", disk("lost"), true),
            ("pause", String::new(), false),
            ("crash", ",\"incarnation\":0".into(), true),
        ] {
            let trace = by_hand(NODES, &[(0, "client", kind, 1, 0, &tail)]);
            assert_eq!(Edges::of(&trace).handlers.len(), usize::from(handler), "{kind}{tail}");
        }
    }

    #[test]
    fn a_close_is_an_effect_of_who_asks_and_happens_to_the_peer() {
        let close = ",\"name\":\"close\",\"peer\":\"x\",\"connection\":\"0000000000000005\"";
        let trace = by_hand(
            NODES,
            &[
                (0, "client", "boot", 1, 0, ""),
                (1, "client", "stream", 2, 1, close),
                (2, "server", "stream", 3, 2, close),
            ],
        );
        assert_eq!(Edges::of(&trace).handlers, [0, 2]);
    }

    #[test]
    fn a_timer_and_its_firing_share_an_id_and_the_first_causes_the_second() {
        let trace = by_hand(
            NODES,
            &[
                (0, "client", "boot", 1, 0, ""),
                (0, "client", "timer", 2, 1, ",\"name\":\"tick\",\"delay\":5"),
                (5, "client", "fire", 2, 1, ",\"name\":\"tick\""),
                (5, "client", "note", 3, 2, ",\"payload\":null"),
            ],
        );
        let causality = Causality::of(&trace);
        assert_eq!(causality.causes(EventId(3)), [3, 2, 1, 0]);
        assert_eq!(causality.future_of_all([1]), [1, 2, 3]);
        assert!(causality.is_acyclic());
    }

    #[test]
    fn repeated_ids_missing_causes_and_circles_do_not_panic() {
        let trace = by_hand(
            NODES,
            &[
                (0, "client", "fire", 7, 0, ""),
                (1, "client", "send", 8, 7, ""),
                (2, "client", "fire", 7, 0, ""),
                (3, "client", "send", 9, 7, ""),
                (4, "client", "send", 10, 0x99, ""),
            ],
        );
        let causality = Causality::of(&trace);
        assert_eq!((causality.cause(1), causality.cause(3)), (Some(0), Some(2)));
        assert_eq!((causality.unknown_causes(), causality.is_acyclic()), (1, true));
        assert_eq!(causality.future(EventId(7)), [0, 1, 2, 3]);
        let circle = by_hand(
            NODES,
            &[
                (0, "client", "note", 1, 2, ""),
                (1, "client", "note", 2, 1, ""),
                (2, "client", "note", 3, 3, ""),
            ],
        );
        let causality = Causality::of(&circle);
        assert!(!causality.is_acyclic());
        assert_eq!(causality.causes(EventId(1)), [0, 1, 0]);
        assert_eq!(causality.future(EventId(2)), [0, 1]);
    }

    proptest! {
        #[test]
        fn any_ids_make_a_graph(events in prop::collection::vec((0..6_u64, 0..6_u64, 0..3_usize, any::<bool>()), 0..40)) {
            let lines: Vec<_> = events
                .iter()
                .map(|(id, by, node, handler)| (0, NODES[*node], if *handler { "fire" } else { "note" }, *id, *by, ""))
                .collect();
            let trace = by_hand(NODES, &lines);
            let causality = Causality::of(&trace);
            for id in 0..7 {
                let (future, past) = (causality.future(EventId(id)), causality.past(EventId(id)));
                prop_assert_eq!(future.is_empty(), past.is_empty());
                prop_assert!(causality.causes(EventId(id)).len() <= trace.len());
            }
        }

        #[test]
        fn past_and_future_are_each_others_reverse(clients in 1..4_u32, x: prop::sample::Index, y: prop::sample::Index) {
            let trace = Toy::new(clients, 5).trace("toy");
            let causality = Causality::of(&trace);
            prop_assert!(causality.is_acyclic());
            prop_assert_eq!(causality.unknown_causes(), 0);
            let (x, y) = (x.index(trace.len()), y.index(trace.len()));
            let future = causality.future(trace.event(x).id);
            let past = causality.past(trace.event(y).id);
            prop_assert_eq!(future.contains(&y), past.contains(&x));
            prop_assert!(future.iter().all(|place| trace.event(*place).t >= trace.event(x).t));
        }
    }
}
