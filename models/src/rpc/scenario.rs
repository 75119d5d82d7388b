//! A case of remote procedure calls as a scenario: a scheme, a workload, a network, and the verdict it must get.

use check::ledger::Reader;
use check::{Expected, Judgement, Run, Scenario, Setup};
use serde::{Deserialize, Serialize};
use sim::{Clock, Config, Delay, Either, Fault, FaultPlan, FaultRates, Limits, Link, MILLIS, Nanos};
use sim::{Network, NodeId, Ratio, SECONDS, Stamp};

use super::application::Workload;
use super::client::Client;
use super::faults::Faults;
use super::judge::{Case, ClientSeen, Property};
use super::message::{Note, READER, RpcMessage, Tag};
use super::scheme::{Replies, Retention, Retry, Scheme};
use super::server::Server;
use super::service::{Service, Slip};
use super::situation;
use crate::networks::NetworkName;
use crate::settings::within;

/// A client or a server.
pub(super) type Node = Either<Client, Server>;

pub(super) const SERVER: NodeId = NodeId(0);

/// After how long without a report a master gives a task to another worker.
const PATIENCE: Nanos = 100 * MILLIS;

/// What can be set in every RPC scenario.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RpcSettings {
    /// How many clients: 1 to 50.
    pub clients: u32,
    /// How many calls each of them makes: 1 to 1,000.
    pub calls: u32,
    /// The network and the faults.
    pub network: NetworkName,
    /// One kind of fault instead of those of the network.
    pub faults: Faults,
    /// How long a client waits before it sends again or gives up, in milliseconds; 0 for what the rules of the network
    /// say.
    pub timeout_ms: u64,
    /// How long the service takes to execute a call, in milliseconds.
    pub execution_ms: u64,
}

/// What else happens, beyond the network that the settings name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Staging {
    /// Nothing.
    None,
    /// No request arrives.
    RequestsLost,
    /// The server's process dies after it has executed the call and before it replies.
    ServerDies,
    /// No reply arrives.
    RepliesLost,
    /// Nothing arrives, ever.
    EverythingLost,
    /// The server crashes again and again, between events.
    ServerRestarts,
    /// The server crashes again and again, inside its handlers.
    ServerCrashesInside,
    /// The first client's first call is executed at once, its reply is lost, and so are all resends but the last, which is
    /// sent as late and travels as long as can be. The server keeps what it has seen for just as long, less so much.
    Boundary { short: Nanos },
}

/// A case of remote procedure calls.
#[derive(Clone, Debug)]
pub struct RpcScenario {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) expected: Expected,
    pub(super) scheme: Scheme,
    pub(super) slip: Slip,
    pub(super) workload: Workload,
    pub(super) clients: u32,
    pub(super) calls: u32,
    pub(super) network: NetworkName,
    pub(super) staging: Staging,
    pub(super) properties: &'static [Property],
    pub(super) situations: &'static [&'static str],
}

impl Scenario for RpcScenario {
    type Process = Node;
    type Settings = RpcSettings;

    fn name(&self) -> String {
        format!("rpc/{}", self.name)
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

    fn defaults(&self) -> RpcSettings {
        RpcSettings {
            clients: self.clients,
            calls: self.calls,
            network: self.network,
            faults: Faults::OfNetwork,
            timeout_ms: self.scheme.timeout / MILLIS,
            execution_ms: self.scheme.execution / MILLIS,
        }
    }

    fn setup(&self, settings: &RpcSettings) -> Result<Setup<Node>, String> {
        let &RpcSettings { clients, calls, network, faults, timeout_ms, execution_ms } = settings;
        within("clients", clients.into(), 1, 50)?;
        within("calls", calls.into(), 1, 1_000)?;
        within("timeout_ms", timeout_ms, 0, 60_000)?;
        within("execution_ms", execution_ms, 0, 60_000)?;
        if faults == Faults::FailOver {
            return Err("faults cannot be fail-over: there is one server, and nobody to take over".to_owned());
        }
        let timeout = match timeout_ms {
            0 => network.timeout().unwrap_or(self.scheme.timeout),
            timeout_ms => timeout_ms * MILLIS,
        };
        let mut scheme = Scheme { timeout, execution: execution_ms * MILLIS, ..self.scheme };
        if faults == Faults::NoSync {
            scheme.replies = Replies::BeforeSync;
        }
        if let Staging::Boundary { short } = self.staging {
            scheme.retention = Retention::For(Boundary::of(&scheme).keep - short);
        }
        let mut config = Config::new(clients + 1);
        config.network = network.with_server(clients + 1);
        config.faults = network.faults();
        config.limits = Limits { time: 120 * SECONDS, steps: 1_000_000, ..Limits::default() };
        self.staging.set(&mut config, &scheme);
        faults.apply(&mut config, 1);
        let names = std::iter::once("server".to_owned()).chain((1..=clients).map(|n| format!("client-{n}")));
        let (workload, slip) = (self.workload, self.slip);
        let tasks = if workload == Workload::Tasks { calls } else { 0 };
        Ok(Setup::new(names.collect(), config, move |node| {
            if node == SERVER {
                Node::Right(Server::new(scheme, Service::with_tasks(tasks, PATIENCE, slip), slip))
            } else {
                Node::Left(Client::new(scheme, SERVER, workload, calls, slip))
            }
        }))
    }

    fn judge(&self, settings: &RpcSettings, run: &Run<'_, Node>, judgement: &mut Judgement) {
        let Some(Node::Right(server)) = run.world.process(SERVER) else {
            return judgement.violated("the server is up", "the server is down after the calm", Vec::new());
        };
        let clients = (1..run.world.config().nodes).map(NodeId).map(|node| ClientSeen {
            node,
            unfinished: match run.world.process(node) {
                Some(Node::Left(client)) => Some(client.unfinished()),
                _ => None,
            },
        });
        let case = Case::new(server, clients.collect(), run.history, run.nodes);
        for property in self.properties {
            case.judge(*property, judgement);
        }
        judgement.remembered(server.table_bytes());
        situation::count(&case, self.scheme.timeout, judgement);
        situation::count_world(run, settings.calls, &case, judgement);
        if let Staging::Boundary { .. } = self.staging {
            let arrives = Boundary::of(&self.scheme).arrives;
            let met = |(stamp, note): &&(Stamp, Note)| {
                stamp.time == arrives && matches!(note, Note::Recognised(Tag { client: 1, call: 1, .. }))
            };
            let times = run.history.notes.iter().filter(met).count();
            judgement.met(situation::AT_THE_BOUNDARY, times as u64);
        }
    }

    fn ledger(&self) -> Option<Reader<RpcMessage>> {
        Some(READER)
    }
}

impl Staging {
    fn set(self, config: &mut Config, scheme: &Scheme) {
        let lose = |from, to, word| Fault::Message { from, to, word, nth: None, fate: Vec::new() };
        let clients = config.nodes - 1;
        let each_client = || (1..=clients).map(NodeId);
        match self {
            Self::None => {}
            Self::RequestsLost => {
                config.faults.list.extend(each_client().map(|client| lose(client, SERVER, "request")));
            }
            Self::RepliesLost => {
                config.faults.list.extend(each_client().map(|client| lose(SERVER, client, "reply")));
            }
            Self::ServerDies => {
                // The request arrives within 3 ms, is synced 5 ms later; between the two the process dies.
                config.network.default.delay = Delay::Uniform { min: MILLIS, max: 3 * MILLIS };
                config.sync_delay = Delay::Constant(5 * MILLIS);
                config.faults.list.push(Fault::Kill { node: SERVER, at: 4 * MILLIS, down: Some(SECONDS) });
            }
            Self::EverythingLost => {
                config.network = Network::uniform(Link { loss: Ratio::ONE, ..Link::RELIABLE });
                config.limits.time = 10 * SECONDS;
            }
            Self::ServerRestarts => {
                config.faults.rates.crash_every = 300 * MILLIS;
                config.faults.rates.crash_nodes = Some(vec![SERVER]);
            }
            Self::ServerCrashesInside => {
                config.faults.rates.crash_in_handler = Ratio::new(1, 10);
                config.faults.rates.crash_nodes = Some(vec![SERVER]);
                config.faults.until = 4 * SECONDS;
            }
            Self::Boundary { .. } => Boundary::of(scheme).set(config),
        }
    }
}

/// The longest time after its execution at which a request of a call can arrive: S16 at its boundary.
struct Boundary {
    /// How often the first client sends its first call.
    sends: u32,
    /// When the last of them arrives.
    arrives: Nanos,
    /// How long the server must keep what it has seen, by its own clock.
    keep: Nanos,
}

impl Boundary {
    /// The shortest that a message travels: at the very instant at which everybody starts, the server may start last.
    const DELAY_MIN: Nanos = 1;
    /// The longest: half of it as sent, half of it as the copy of a duplicate.
    const DELAY_MAX: Nanos = 400 * MILLIS;
    /// The client whose clock is slowest, and the server, whose clock is fastest.
    const SLOW: Clock = Clock { skew: 0, drift: -200 };
    const FAST: Clock = Clock { skew: SECONDS, drift: 200 };

    /// The window in which the client retries, by its clock; the longest delay; and what both clocks are off.
    fn of(scheme: &Scheme) -> Self {
        let Retry::Within(window) = scheme.retry else {
            unreachable!("S16 is about clients that retry within a window")
        };
        let resends = window / scheme.timeout;
        let last_sent = resends * Self::SLOW.wait(scheme.timeout);
        let arrives = last_sent + Self::DELAY_MAX;
        let keep = Self::FAST.read(arrives) - Self::FAST.read(Self::DELAY_MIN);
        Self { sends: resends as u32 + 1, arrives, keep }
    }

    fn set(&self, config: &mut Config) {
        const FIRST: NodeId = NodeId(1);
        config.network = Network::uniform(Link {
            delay: Delay::Uniform { min: Self::DELAY_MIN, max: Self::DELAY_MAX / 2 },
            loss: Ratio::percent(20),
            duplication: Ratio::percent(20),
            duplication_delay: Delay::Uniform { min: 0, max: Self::DELAY_MAX / 2 },
            ..Link::RELIABLE
        });
        let fate = |from, to, word, nth, fate| Fault::Message { from, to, word, nth: Some(nth), fate };
        let last = self.sends - 1;
        let mut list = vec![
            Fault::Clock { node: SERVER, skew: Self::FAST.skew, drift: Self::FAST.drift },
            Fault::Clock { node: FIRST, skew: Self::SLOW.skew, drift: Self::SLOW.drift },
            fate(FIRST, SERVER, "request", 0, vec![Self::DELAY_MIN]),
            fate(SERVER, FIRST, "reply", 0, Vec::new()),
            fate(FIRST, SERVER, "request", last, vec![Self::DELAY_MAX]),
        ];
        list.extend((1..last).map(|nth| fate(FIRST, SERVER, "request", nth, Vec::new())));
        // The clocks of the others are off by no more.
        let rates = FaultRates { clock_skew_max: SECONDS, clock_drift_max: 200, ..FaultRates::NONE };
        config.faults = FaultPlan { list, rates, ..FaultPlan::default() };
    }
}
