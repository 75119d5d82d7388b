//! Networks by name, with the faults that go with them: those that other courses and tools test with, a calm one, and
//! one in which everything goes wrong.

use serde::{Deserialize, Serialize};
use sim::{Delay, FaultPlan, FaultRates, Link, MILLIS, Nanos, Network, NodeId, Ratio, SECONDS};

/// A network that has a name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NetworkName {
    /// 1 to 10 ms, and nothing goes wrong.
    Reliable,
    /// The unreliable network of the MIT 6.5840 labs with reordering: requests up to 26 ms, a tenth of the requests and of
    /// the replies lost, two thirds of the replies late by 200 to 2,200 ms; no duplicates. A call returns before it is
    /// made again: no request is still in flight then.
    Labrpc,
    /// The network of the madraft labs: 1 to 27 ms, a tenth lost.
    Madraft,
    /// The network of the `DSLabs`: a fifth lost.
    Dslabs,
    /// Their worse network: half lost.
    DslabsHalf,
    /// The network of a lecture on delivery guarantees: 1 to 3 s, 30 % lost, 30 % repeated.
    Guarantees,
    /// The network of Maelstrom: 100 ms on average, and partitions into random groups, some of them one-way.
    Maelstrom,
    /// Loss, duplicates, delays beyond every timeout, one-way partitions, pauses, slow nodes, crashes between and
    /// inside handlers, failing syncs: each kind in half of the runs.
    Hostile,
    /// The same without crashes and disk faults: what the network alone can do.
    HostileNetwork,
}

/// When the faults of the faulty networks stop, so that progress can be demanded.
pub const CALM: Nanos = 4 * SECONDS;

impl NetworkName {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Reliable,
        Self::Labrpc,
        Self::Madraft,
        Self::Dslabs,
        Self::DslabsHalf,
        Self::Guarantees,
        Self::Maelstrom,
        Self::Hostile,
        Self::HostileNetwork,
    ];

    /// After how long a client of this network gives up waiting or asks again, where that is part of its rules.
    pub const fn timeout(self) -> Option<Nanos> {
        match self {
            // Longer than a request and a late reply travel together, so that neither is in flight any more.
            Self::Labrpc => Some(2_300 * MILLIS),
            Self::Dslabs | Self::DslabsHalf => Some(100 * MILLIS),
            Self::Maelstrom => Some(5 * SECONDS),
            Self::Reliable | Self::Madraft | Self::Guarantees | Self::Hostile | Self::HostileNetwork => None,
        }
    }

    /// The links between so many nodes of which the first is the server of the others: in `labrpc` it is replies that
    /// are late, and never requests.
    pub fn with_server(self, nodes: u32) -> Network {
        let mut network = self.network();
        if self == Self::Labrpc {
            let requests = Link { late: Ratio::ZERO, ..network.default };
            network.links.extend((1..nodes).map(|client| ((NodeId(client), NodeId(0)), requests)));
        }
        network
    }

    /// The links, between nodes that are all alike.
    pub fn network(self) -> Network {
        let link = match self {
            Self::Reliable => Link::RELIABLE,
            Self::Labrpc => Link {
                delay: Delay::Uniform { min: 0, max: 26 * MILLIS },
                loss: Ratio::percent(10),
                late: Ratio::new(2, 3),
                late_delay: Delay::Uniform { min: 200 * MILLIS, max: 2_200 * MILLIS },
                ..Link::RELIABLE
            },
            Self::Madraft => Link {
                delay: Delay::Uniform { min: MILLIS, max: 27 * MILLIS },
                loss: Ratio::percent(10),
                ..Link::RELIABLE
            },
            Self::Dslabs => Link { loss: Ratio::percent(20), ..Link::RELIABLE },
            Self::DslabsHalf => Link { loss: Ratio::percent(50), ..Link::RELIABLE },
            Self::Guarantees => Link {
                delay: Delay::Uniform { min: SECONDS, max: 3 * SECONDS },
                loss: Ratio::percent(30),
                duplication: Ratio::percent(30),
                duplication_delay: Delay::Uniform { min: 0, max: 2 * SECONDS },
                ..Link::RELIABLE
            },
            Self::Maelstrom => {
                Link { delay: Delay::Exponential { min: 0, mean: 100 * MILLIS }, ..Link::RELIABLE }
            }
            Self::Hostile | Self::HostileNetwork => Link {
                delay: Delay::Uniform { min: MILLIS, max: 10 * MILLIS },
                loss: Ratio::percent(15),
                duplication: Ratio::percent(15),
                duplication_delay: Delay::LongTail { min: MILLIS, max: 20 * SECONDS },
                late: Ratio::percent(10),
                late_delay: Delay::LongTail { min: 20 * MILLIS, max: 20 * SECONDS },
                corruption: Ratio::percent(1),
                ..Link::RELIABLE
            },
        };
        Network::uniform(link)
    }

    /// The faults.
    pub fn faults(self) -> FaultPlan {
        let network_only = FaultRates {
            pause_every: 3 * SECONDS,
            slow_every: 3 * SECONDS,
            partition_every: 2 * SECONDS,
            partition_one_way: Ratio::new(1, 2),
            ..FaultRates::NONE
        };
        match self {
            Self::Reliable => FaultPlan::default(),
            Self::Labrpc | Self::Madraft | Self::Dslabs | Self::DslabsHalf | Self::Guarantees => {
                FaultPlan { until: 10 * SECONDS, ..FaultPlan::default() }
            }
            Self::Maelstrom => FaultPlan {
                rates: FaultRates {
                    partition_every: 2 * SECONDS,
                    partition_span: Delay::Uniform { min: SECONDS, max: 3 * SECONDS },
                    ..FaultRates::NONE
                },
                until: 10 * SECONDS,
                ..FaultPlan::default()
            },
            Self::HostileNetwork => {
                FaultPlan { rates: network_only, until: CALM, swarm: true, ..FaultPlan::default() }
            }
            Self::Hostile => FaultPlan {
                rates: FaultRates {
                    crash_every: 2 * SECONDS,
                    crash_in_handler: Ratio::new(1, 50),
                    sync_fails: Ratio::percent(10),
                    clock_skew_max: SECONDS,
                    clock_drift_max: 10_000,
                    ..network_only
                },
                until: CALM,
                swarm: true,
                ..FaultPlan::default()
            },
        }
    }
}
