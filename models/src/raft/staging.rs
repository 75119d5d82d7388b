//! Runs whose course is laid out in advance, where chance alone seldom gets there. Seeds vary the rest.

use sim::{Config, Fault, FaultPlan, MILLIS, NodeId};

use crate::networks::CALM;

/// What happens beyond the network that the settings name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Staging {
    /// Nothing.
    None,
    /// Two servers never hear each other and stand for election at about the same time; the third, whom both ask, falls
    /// all the time.
    Contested,
    /// Figure 3.7 of the dissertation (Figure 8 of the paper) with three servers. The first leads and is cut off with
    /// an entry nobody else has; the third leads and can give its own entry to nobody; the first leads again and gives
    /// its old entry to the second; the third leads again.
    FigureEight,
}

const FIRST: NodeId = NodeId(0);
const SECOND: NodeId = NodeId(1);
const THIRD: NodeId = NodeId(2);

impl Staging {
    /// Adds the faults to a world of so many servers, with which the world's other nodes talk.
    pub(super) fn add_to(self, config: &mut Config, servers: u32) {
        match self {
            Self::None => {}
            Self::Contested => {
                config.faults.rates.crash_nodes = Some(vec![THIRD]);
                config.faults.list.push(cut(&[FIRST], &[SECOND], 0, 4_000));
            }
            Self::FigureEight => {
                let clients: Vec<_> = (servers..config.nodes).map(NodeId).collect();
                let list = vec![
                    // The first is alone at the beginning, so it leads.
                    down(SECOND, 0, 300),
                    down(THIRD, 0, 300),
                    lost(THIRD, SECOND, "append"),
                    // Its calls reach nobody else, and the third is elected as soon as the second is back.
                    cut(&[FIRST], &[SECOND, THIRD], 700, 700),
                    down(SECOND, 700, 200),
                    // First and second are alone, and nobody calls them.
                    cut(&[THIRD], &[FIRST, SECOND], 1_400, 800),
                    cut(&clients, &[FIRST, SECOND, THIRD], 1_400, 2_000),
                    // Second and third are alone.
                    cut(&[FIRST], &[SECOND, THIRD], 2_200, 1_200),
                ];
                config.faults = FaultPlan { list, until: CALM, ..FaultPlan::default() };
            }
        }
    }
}

fn cut(left: &[NodeId], right: &[NodeId], at: u64, span: u64) -> Fault {
    let (left, right) = (left.to_vec(), right.to_vec());
    Fault::Partition { left, right, one_way: false, at: at * MILLIS, span: span * MILLIS }
}

const fn down(node: NodeId, at: u64, down: u64) -> Fault {
    Fault::Crash { node, at: at * MILLIS, down: Some(down * MILLIS) }
}

const fn lost(from: NodeId, to: NodeId, word: &'static str) -> Fault {
    Fault::Message { from, to, word, nth: None, fate: Vec::new() }
}
