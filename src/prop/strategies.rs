//! Values for scenarios, as proptest strategies: each shrinks towards the world in which nothing goes wrong.

use std::ops::RangeInclusive;

use proptest::collection::vec;
use proptest::prelude::*;
use sim::{Config, Delay, Fault, FaultPlan, Link, MILLIS, Nanos, Network, NodeId, Ratio, SECONDS};

/// How late a message may be, and how long a fault may last.
const LONG: Nanos = 3 * SECONDS;

/// A link: at most half of the messages are lost, doubled or late. It shrinks to one on which nothing goes wrong.
pub fn links() -> impl Strategy<Value = Link> {
    let percent = || (0..=50_u32).prop_map(Ratio::percent);
    let rates = (percent(), percent(), percent());
    let spans = (MILLIS..=20 * MILLIS, 0..=LONG, 0..=LONG);
    (rates, spans).prop_map(|((loss, duplication, late), (delay, copy, held))| Link {
        delay: Delay::Uniform { min: MILLIS, max: delay },
        loss,
        duplication,
        duplication_delay: Delay::Uniform { min: 0, max: copy },
        late,
        late_delay: Delay::Uniform { min: 0, max: held },
        ..Link::RELIABLE
    })
}

/// The links between so many nodes: one kind for all, and a few that differ.
pub fn topologies(nodes: u32) -> impl Strategy<Value = Network> {
    let pair = (0..nodes, 0..nodes).prop_map(|(from, to)| (NodeId(from), NodeId(to)));
    let others = proptest::collection::btree_map(pair, links(), 0..=3);
    (links(), others).prop_map(|(default, links)| Network { default, links })
}

/// A fault of one of these nodes, within `until`.
pub fn faults(nodes: u32, until: Nanos) -> impl Strategy<Value = Fault> {
    let node = move || (0..nodes).prop_map(NodeId);
    let when = move || (0..until, MILLIS..=LONG);
    prop_oneof![
        (node(), when()).prop_map(|(node, (at, span))| Fault::Pause { node, at, span }),
        (node(), when()).prop_map(|(node, (at, down))| Fault::Crash { node, at, down: Some(down) }),
        (node(), when()).prop_map(move |(alone, (at, span))| Fault::Partition {
            left: vec![alone],
            right: (0..nodes).map(NodeId).filter(|node| *node != alone).collect(),
            one_way: false,
            at,
            span,
        }),
        (node(), when()).prop_map(|(node, (at, span))| Fault::SyncFails { node, at, span }),
    ]
}

/// A plan of at most so many faults, which ends at `until`. It shrinks to one without any.
pub fn fault_plans(nodes: u32, count_max: usize, until: Nanos) -> impl Strategy<Value = FaultPlan> {
    vec(faults(nodes, until), 0..=count_max).prop_map(move |list| FaultPlan {
        list,
        until,
        ..FaultPlan::default()
    })
}

/// A whole configuration of so many nodes: links, and a plan of at most five faults that ends after ten seconds.
pub fn configs(nodes: u32) -> impl Strategy<Value = Config> {
    (topologies(nodes), fault_plans(nodes, 5, 10 * SECONDS)).prop_map(move |(network, faults)| Config {
        network,
        faults,
        ..Config::new(nodes)
    })
}

/// What each of several clients asks for, one after another. It shrinks to one client that asks for nothing much.
pub fn workloads<S: Strategy>(
    clients: RangeInclusive<usize>,
    calls: RangeInclusive<usize>,
    call: impl Fn() -> S,
) -> impl Strategy<Value = Vec<Vec<S::Value>>> {
    vec(vec(call(), calls), clients)
}
