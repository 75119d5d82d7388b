//! Replicated services as scenarios: the right one, each planted bug, and the cases of the lecture that need fail-over.

use check::ledger::Reader;
use check::{Expected, Judgement, Run, Scenario, Setup};
use serde::{Deserialize, Serialize};
use sim::{Config, Delay, Either, Limits, MILLIS, NodeId, Ratio, Violation, World};

use super::client::Client;
use super::invariants;
use super::judge::{Case, Property};
use super::matrix;
use super::message::{READER, RaftMessage};
use super::server::Server;
use super::situations;
use super::staging::Staging;
use super::variant::{Acceptance, Commitment, Durability, Reads, Sessions, Variant};
use crate::networks::NetworkName;
use crate::rpc::{Call, Faults, Retry};
use crate::settings::within;

/// A client or a server.
pub(super) type Node = Either<Client, Server>;

/// What can be set in every scenario of a replicated service.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RaftSettings {
    /// How many servers: 3 to 9.
    pub servers: u32,
    /// How many clients: 1 to 50.
    pub clients: u32,
    /// How many calls each of them makes: 1 to 1,000.
    pub calls: u32,
    /// The network and the faults.
    pub network: NetworkName,
    /// One kind of fault instead of those of the network.
    pub faults: Faults,
    /// After how many applied entries a server compacts its log; 0 for never.
    pub compact_every: u64,
    /// The shortest election timeout, in milliseconds; the longest is twice that.
    pub election_ms: u64,
    /// The longest that a sync of a disk takes, in milliseconds.
    pub sync_ms: u64,
    /// Mean time between the crashes of one server, in milliseconds; 0 to leave crashes to the network's faults.
    pub crash_every_ms: u64,
    /// The longest that a server which crashed stays down, in milliseconds; 0 to leave it to the network's faults.
    pub down_ms: u64,
    /// Mean time between partitions, in milliseconds; 0 to leave them to the network's faults.
    pub partition_every_ms: u64,
    /// How long a run lasts, in milliseconds. Servers never rest, so nothing else ends it.
    pub span_ms: u64,
}

/// A replicated service, its network, and its verdict.
#[derive(Clone, Debug)]
pub struct RaftScenario {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) expected: Expected,
    pub(super) variant: Variant,
    pub(super) settings: RaftSettings,
    pub(super) staging: Staging,
    pub(super) properties: &'static [Property],
    pub(super) situations: &'static [&'static str],
}

impl Scenario for RaftScenario {
    type Process = Node;
    type Settings = RaftSettings;

    fn name(&self) -> String {
        format!("raft/{}", self.name)
    }

    fn about(&self) -> String {
        self.about.to_owned()
    }

    fn expected(&self) -> Expected {
        self.expected
    }

    fn situations(&self) -> Vec<&'static str> {
        self.situations.to_vec()
    }

    fn defaults(&self) -> RaftSettings {
        self.settings.clone()
    }

    fn setup(&self, settings: &RaftSettings) -> Result<Setup<Node>, String> {
        let &RaftSettings { servers, clients, calls, compact_every, election_ms, span_ms, .. } = settings;
        within("servers", servers.into(), 3, 9)?;
        within("clients", clients.into(), 1, 50)?;
        within("calls", calls.into(), 1, 1_000)?;
        within("compact_every", compact_every, 0, 1_000_000)?;
        within("election_ms", election_ms, 1, 60_000)?;
        within("sync_ms", settings.sync_ms, 1, 60_000)?;
        within("crash_every_ms", settings.crash_every_ms, 0, 60_000)?;
        within("down_ms", settings.down_ms, 0, 60_000)?;
        within("partition_every_ms", settings.partition_every_ms, 0, 60_000)?;
        within("span_ms", span_ms, 1, 3_600_000)?;
        let mut variant = Variant { compact_every, election_timeout: election_ms * MILLIS, ..self.variant };
        if settings.faults == Faults::NoSync {
            variant.durability = Durability::EntriesAnsweredFirst;
        }
        let names = (1..=servers).map(|n| format!("server-{n}"));
        let names = names.chain((1..=clients).map(|n| format!("client-{n}")));
        Ok(Setup::new(names.collect(), self.config(settings), move |node| {
            if node.0 < servers {
                Node::Right(Server::new(variant, servers))
            } else {
                Node::Left(Client::new(variant, servers, calls_of(node, calls)))
            }
        }))
    }

    fn judge(&self, _: &RaftSettings, run: &Run<'_, Node>, judgement: &mut Judgement) {
        match Case::new(run.world, run.history, run.nodes) {
            Some(case) => {
                self.properties.iter().for_each(|property| case.judge(*property, judgement));
                judgement.remembered(case.session_bytes());
            }
            None => judgement.violated("progress", "every server is down after the calm", Vec::new()),
        }
        situations::count(run.history, judgement);
    }

    fn ledger(&self) -> Option<Reader<RaftMessage>> {
        Some(READER)
    }

    #[inline]
    fn invariant(&self, world: &World<Node>) -> Option<Violation> {
        invariants::violated(world, self.properties)
    }
}

impl RaftScenario {
    fn config(&self, settings: &RaftSettings) -> Config {
        let mut config = Config::new(settings.servers + settings.clients);
        config.network = settings.network.network();
        config.faults = settings.network.faults();
        settings.faults.apply(&mut config, settings.servers);
        config.sync_delay = Delay::Uniform { min: MILLIS, max: settings.sync_ms * MILLIS };
        config.limits = Limits { time: settings.span_ms * MILLIS, steps: 1_000_000, ..Limits::default() };
        let rates = &mut config.faults.rates;
        if settings.crash_every_ms > 0 {
            // Crashes of servers in every run, and not of clients.
            config.faults.swarm = false;
            rates.crash_every = settings.crash_every_ms * MILLIS;
            rates.crash_nodes = Some((0..settings.servers).map(NodeId).collect());
            rates.crash_in_handler = Ratio::new(1, 50);
        }
        if settings.down_ms > 0 {
            rates.downtime = Delay::Uniform { min: MILLIS, max: settings.down_ms * MILLIS };
        }
        if settings.partition_every_ms > 0 {
            rates.partition_every = settings.partition_every_ms * MILLIS;
        }
        self.staging.add_to(&mut config, settings.servers);
        config
    }
}

/// What one client calls: some of everything, the same under every seed.
fn calls_of(client: NodeId, count: u32) -> Vec<Call> {
    let value = |call: u32| u64::from(client.0) * 1_000 + u64::from(call) * 10;
    (1..=count)
        .map(|call| match (client.0 + call) % 4 {
            0 => Call::Get { key: 0 },
            1 => Call::Put { key: 0, value: value(call) },
            2 => Call::Append { key: 1, value: value(call) },
            _ => Call::Deduct { amount: 10 },
        })
        .collect()
}

/// What must hold of the right service.
const EVERYTHING: &[Property] = &[
    Property::ElectionSafety,
    Property::LogMatching,
    Property::LeaderCompleteness,
    Property::StateMachineSafety,
    Property::CommittedStay,
    Property::ExactlyOnce,
    Property::AcknowledgedKept,
    Property::FirstReply,
    Property::Linearizable,
    Property::Progress,
];

pub(super) const BASE: RaftScenario = RaftScenario {
    name: "",
    about: "",
    expected: Expected::Holds,
    variant: Variant::RIGHT,
    settings: RaftSettings {
        servers: 3,
        clients: 3,
        calls: 6,
        network: NetworkName::Hostile,
        faults: Faults::OfNetwork,
        compact_every: Variant::RIGHT.compact_every,
        election_ms: 150,
        sync_ms: 5,
        crash_every_ms: 0,
        down_ms: 0,
        partition_every_ms: 0,
        span_ms: 10_000,
    },
    staging: Staging::None,
    properties: EVERYTHING,
    situations: situations::ALL,
};

/// Five servers that often fall, with slow disks.
const ROUGH: RaftScenario = RaftScenario {
    settings: RaftSettings {
        servers: 5,
        clients: 3,
        calls: 8,
        sync_ms: 50,
        crash_every_ms: 1_000,
        ..BASE.settings
    },
    ..BASE
};

/// Three servers that fall all the time and are soon back, with very slow disks and many partitions.
const WILD: RaftScenario = RaftScenario {
    settings: RaftSettings {
        clients: 4,
        calls: 12,
        compact_every: 0,
        sync_ms: 100,
        crash_every_ms: 400,
        down_ms: 60,
        partition_every_ms: 400,
        ..BASE.settings
    },
    ..BASE
};

/// Two candidates and a voter that falls all the time and is soon back.
const CONTESTED: RaftScenario = RaftScenario {
    settings: RaftSettings {
        calls: 6,
        crash_every_ms: 60,
        down_ms: 10,
        partition_every_ms: 0,
        ..WILD.settings
    },
    staging: Staging::Contested,
    ..WILD
};

/// Nothing but what is laid out.
const STAGED: RaftScenario = RaftScenario {
    settings: RaftSettings {
        clients: 2,
        calls: 80,
        network: NetworkName::Reliable,
        compact_every: 0,
        ..BASE.settings
    },
    staging: Staging::FigureEight,
    ..BASE
};

/// A planted bug: judged by the one property that it is about.
const fn planted(
    base: RaftScenario,
    name: &'static str,
    about: &'static str,
    property: &'static [Property],
    variant: Variant,
) -> RaftScenario {
    let expected = Expected::Violates(property[0].name());
    RaftScenario { name, about, expected, variant, properties: property, situations: &[], ..base }
}

/// Every scenario of a replicated service.
pub fn scenarios() -> Vec<RaftScenario> {
    let mut all = cases();
    all.extend(matrix::rows());
    all
}

#[allow(clippy::too_many_lines, reason = "a table")]
fn cases() -> Vec<RaftScenario> {
    let right = Variant::RIGHT;
    let lazy = Variant { empty_entry: false, batch: 1, ..right };
    vec![
        RaftScenario { name: "right", about: "three servers and everything that can go wrong", ..BASE },
        RaftScenario { name: "right-rough", about: "five servers that often fall, with slow disks", ..ROUGH },
        RaftScenario {
            name: "right-wild",
            about: "three servers that fall all the time, with very slow disks and many partitions",
            situations: &[situations::FAIL_OVER, situations::OVERWRITTEN, situations::RECOVERED],
            ..WILD
        },
        RaftScenario {
            name: "figure-8",
            about: "an entry of an older term is on a majority, and is not committed by counting",
            variant: lazy,
            situations: &[situations::OLD_TERM, situations::OVERWRITTEN, situations::FAIL_OVER],
            ..STAGED
        },
        planted(
            STAGED,
            "figure-8-counting",
            "an entry of an older term is committed by counting, and a later leader does not have it",
            &[Property::LeaderCompleteness],
            Variant { commitment: Commitment::AnyTerm, ..lazy },
        ),
        planted(
            CONTESTED,
            "vote-answered-first",
            "a vote is answered before it is synced: a crash forgets it, and the term gets two leaders",
            &[Property::ElectionSafety],
            Variant { durability: Durability::VoteAnsweredFirst, ..right },
        ),
        RaftScenario {
            name: "vote-synced-first",
            about: "a vote is synced before it is answered, however often the voter falls",
            situations: &[situations::LEADER_CHANGED, situations::RECOVERED],
            ..CONTESTED
        },
        planted(
            WILD,
            "entries-answered-first",
            "entries are acknowledged before they are synced: a crash takes committed ones back",
            &[Property::StateMachineSafety],
            Variant { durability: Durability::EntriesAnsweredFirst, ..right },
        ),
        planted(
            WILD,
            "unchecked",
            "a follower does not look at the entry before the new ones",
            &[Property::LogMatching],
            Variant { acceptance: Acceptance::Unchecked, ..right },
        ),
        planted(
            BASE,
            "truncating",
            "an old message takes back what a later one brought, although nothing conflicts",
            &[Property::CommittedStay],
            Variant { acceptance: Acceptance::Truncating, ..right },
        ),
        planted(
            WILD,
            "stale-reads",
            "whoever takes itself for the leader answers reads from its state",
            &[Property::Linearizable],
            Variant { reads: Reads::Local, ..right },
        ),
        planted(
            BASE,
            "snapshot-without-sessions",
            "snapshots leave the table of sessions out: who starts from one executes again",
            &[Property::ExecutedOnce],
            Variant { sessions: Sessions::NotInSnapshots, ..right },
        ),
        RaftScenario {
            name: "s27-table-replicated",
            about: "S27: the table is part of the replicated state and of its snapshots: fail-over forgets nothing",
            ..BASE
        },
        planted(
            BASE,
            "s27-table-at-the-leader",
            "S27: the leader keeps the table to itself: fail-over forgets",
            &[Property::ExecutedOnce],
            Variant { sessions: Sessions::LeaderOnly, ..right },
        ),
        RaftScenario {
            name: "s21-filtered-at-apply",
            about: "S21: a duplicate enters the log before its original commits, and is passed over when it is applied",
            situations: &[situations::AT_APPLY],
            ..BASE
        },
        planted(
            BASE,
            "s21-filtered-at-arrival",
            "S21: a duplicate enters the log before its original commits, and nobody looks again",
            &[Property::ExecutedOnce],
            Variant { sessions: Sessions::AtArrival, ..right },
        ),
        RaftScenario {
            name: "s29-exactly-once",
            about: "S29: retries for ever, sessions, and durable servers: every call is executed once",
            ..BASE
        },
        planted(
            BASE,
            "s29-no-retries",
            "S29 without retries: some calls are executed not at all",
            &[Property::ExactlyOnce],
            Variant { retry: Retry::Tries(1), ..right },
        ),
        planted(
            BASE,
            "s29-no-sessions",
            "S29 without sessions: some calls are executed twice",
            &[Property::ExactlyOnce],
            Variant { sessions: Sessions::None, ..right },
        ),
        planted(
            ROUGH,
            "s29-no-durability",
            "S29 without durability: servers that restart have forgotten what they agreed to",
            &[Property::ExactlyOnce],
            Variant { durability: Durability::Nothing, ..right },
        ),
    ]
}
