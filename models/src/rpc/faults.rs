//! One kind of fault at a time: the columns of the matrix.

use serde::{Deserialize, Serialize};
use sim::{Config, Delay, FaultPlan, FaultRates, Link, MILLIS, Network, NodeId, Ratio, SECONDS};

use super::scenario::SERVER;
use crate::networks::{CALM, NetworkName};

/// What goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Faults {
    /// What goes wrong in the named network.
    OfNetwork,
    /// Nothing.
    None,
    /// Messages are lost.
    Loss,
    /// Messages arrive twice, the second time after anything.
    Duplication,
    /// Messages arrive long after they were sent.
    Late,
    /// The server crashes, between events and inside handlers, and restarts.
    ServerCrash,
    /// Clients crash and restart.
    ClientCrash,
    /// The network is cut in two, one way or both.
    Partition,
    /// Clocks are wrong, and run too fast or too slow by up to a tenth.
    ClockDrift,
    /// The server crashes, and does not wait for its disk to sync.
    NoSync,
    /// Everything at once.
    All,
}

impl Faults {
    /// Changes the network and the plan to this kind of fault.
    pub(super) fn apply(self, config: &mut Config) {
        let link = Link::RELIABLE;
        let long = |min| Delay::LongTail { min, max: 20 * SECONDS };
        let (link, rates) = match self {
            Self::OfNetwork => return,
            Self::None => (link, FaultRates::NONE),
            Self::Loss => (Link { loss: Ratio::percent(20), ..link }, FaultRates::NONE),
            Self::Duplication => {
                let duplication = Ratio::percent(20);
                (Link { duplication, duplication_delay: long(MILLIS), ..link }, FaultRates::NONE)
            }
            Self::Late => {
                let late = Ratio::percent(20);
                (Link { late, late_delay: long(20 * MILLIS), ..link }, FaultRates::NONE)
            }
            Self::ServerCrash | Self::NoSync => (link, crashes(vec![SERVER])),
            Self::ClientCrash => (link, crashes((1..config.nodes).map(NodeId).collect())),
            Self::Partition => {
                let rates = FaultRates {
                    partition_every: 200 * MILLIS,
                    partition_one_way: Ratio::new(1, 2),
                    ..FaultRates::NONE
                };
                (link, rates)
            }
            Self::ClockDrift => {
                let rates =
                    FaultRates { clock_skew_max: SECONDS, clock_drift_max: 100_000, ..FaultRates::NONE };
                (link, rates)
            }
            Self::All => {
                config.network = NetworkName::Hostile.network();
                config.faults = NetworkName::Hostile.faults();
                return;
            }
        };
        config.network = Network::uniform(link);
        config.faults = FaultPlan { rates, until: CALM, ..FaultPlan::default() };
    }
}

fn crashes(nodes: Vec<NodeId>) -> FaultRates {
    FaultRates {
        crash_every: 200 * MILLIS,
        crash_in_handler: Ratio::new(1, 20),
        downtime: Delay::Exponential { min: 10 * MILLIS, mean: 50 * MILLIS },
        crash_nodes: Some(nodes),
        ..FaultRates::NONE
    }
}
