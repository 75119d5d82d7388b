//! One kind of fault at a time: the columns of the matrix, for one server and for several.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use sim::{Config, Delay, FaultPlan, FaultRates, Link, MILLIS, Network, NodeId, Ratio, SECONDS};

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
    /// Servers crash, between events and inside handlers, and restart.
    ServerCrash,
    /// Clients crash and restart.
    ClientCrash,
    /// The network is cut in two, one way or both.
    Partition,
    /// Servers crash, and stay down until others have taken over. It needs more than one of them.
    FailOver,
    /// Clocks are wrong, and run too fast or too slow by up to a tenth.
    ClockDrift,
    /// Servers crash, and answer before what they wrote is synced.
    NoSync,
    /// Everything at once.
    All,
}

impl Faults {
    /// Changes the network and the plan to this kind of fault, in a world whose first nodes are so many servers and
    /// whose others are clients.
    pub(crate) fn apply(self, config: &mut Config, servers: u32) {
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
            Self::ServerCrash | Self::NoSync => (link, crashes(0..servers)),
            Self::ClientCrash => (link, crashes(servers..config.nodes)),
            Self::FailOver => {
                let rates = FaultRates {
                    crash_every: 800 * MILLIS,
                    downtime: Delay::Uniform { min: 400 * MILLIS, max: 800 * MILLIS },
                    ..crashes(0..servers)
                };
                (link, rates)
            }
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

fn crashes(nodes: Range<u32>) -> FaultRates {
    FaultRates {
        crash_every: 200 * MILLIS,
        crash_in_handler: Ratio::new(1, 20),
        downtime: Delay::Exponential { min: 10 * MILLIS, mean: 50 * MILLIS },
        crash_nodes: Some(nodes.map(NodeId).collect()),
        ..FaultRates::NONE
    }
}
