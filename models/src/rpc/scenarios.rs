//! The lecture's cases as scenarios: each a scheme, a workload, a network, and the verdict it must get.

use check::{Expected, Judgement, Run, Scenario, Setup};
use serde::{Deserialize, Serialize};
use sim::{Config, Delay, Either, Fault, Limits, Link, MILLIS, Network, NodeId, Ratio, SECONDS};

use super::client::Client;
use super::judge::{Case, Property};
use super::message::Note;
use super::scheme::{Duplicates, Identity, Persistence, Retry, Scheme};
use super::server::Server;
use super::service::Call;
use crate::networks::NetworkName;

/// A client or a server.
pub(super) type Node = Either<Client, Server>;

const SERVER: NodeId = NodeId(0);

/// What clients call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Workload {
    /// Each takes 10 from the account, again and again.
    Account,
    /// The first puts 10, 20, ... into one key and reads it after each; the others do so with values of their own.
    PutsAndGets,
    /// The first puts, the others only get.
    Gets,
    /// Each appends to one of two lists.
    Appends,
    /// Some of everything.
    Mixed,
}

impl Workload {
    /// What one client calls. The same under every seed: seeds vary what happens to it.
    fn calls(self, client: u32, count: u32) -> Vec<Call> {
        let value = |call: u32| u64::from(client) * 1_000 + u64::from(call) * 10;
        (1..=count)
            .map(|call| match self {
                Self::Account => Call::Deduct { amount: 10 },
                Self::PutsAndGets if call % 3 == 0 => Call::Get { key: 0 },
                Self::Gets if client > 1 => Call::Get { key: 0 },
                Self::PutsAndGets | Self::Gets => Call::Put { key: 0, value: value(call) },
                Self::Appends => Call::Append { key: call % 2, value: value(call) },
                Self::Mixed => match (client + call) % 4 {
                    0 => Call::Get { key: 0 },
                    1 => Call::Put { key: 0, value: value(call) },
                    2 => Call::Append { key: 1, value: value(call) },
                    _ => Call::Deduct { amount: 10 },
                },
            })
            .collect()
    }
}

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
    /// How long a client waits before it sends again or gives up, in milliseconds.
    pub timeout_ms: u64,
    /// How long the service takes to execute a call, in milliseconds.
    pub execution_ms: u64,
}

/// What else happens, beyond the network that the settings name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Staging {
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
}

/// A case of remote procedure calls.
#[derive(Clone, Debug)]
pub struct RpcScenario {
    name: &'static str,
    about: &'static str,
    expected: Expected,
    scheme: Scheme,
    workload: Workload,
    clients: u32,
    calls: u32,
    network: NetworkName,
    staging: Staging,
    properties: &'static [Property],
    situations: &'static [&'static str],
}

/// Situations, by name.
mod situation {
    pub(super) const RECOGNISED: &str = "a duplicate of a finished call was recognised";
    pub(super) const IN_PROGRESS: &str = "a duplicate met its original still executing";
    pub(super) const RECOVERED: &str = "a server recovered calls from its disk";
    pub(super) const GAVE_UP: &str = "a client gave up";
    pub(super) const AGAIN: &str = "a call was executed again";
    pub(super) const RESENT: &str = "a call was acknowledged after a resend";
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
            timeout_ms: self.scheme.timeout / MILLIS,
            execution_ms: self.scheme.execution / MILLIS,
        }
    }

    fn setup(&self, settings: &RpcSettings) -> Result<Setup<Node>, String> {
        let &RpcSettings { clients, calls, network, timeout_ms, execution_ms } = settings;
        within("clients", clients.into(), 1, 50)?;
        within("calls", calls.into(), 1, 1_000)?;
        within("timeout_ms", timeout_ms, 1, 60_000)?;
        within("execution_ms", execution_ms, 0, 60_000)?;
        let scheme = Scheme { timeout: timeout_ms * MILLIS, execution: execution_ms * MILLIS, ..self.scheme };
        let names = std::iter::once("server".to_owned()).chain((1..=clients).map(|n| format!("client-{n}")));
        let workload = self.workload;
        Ok(Setup::new(names.collect(), self.config(network, clients), move |node| {
            if node == SERVER {
                Node::Right(Server::new(scheme))
            } else {
                Node::Left(Client::new(scheme, SERVER, workload.calls(node.0, calls)))
            }
        }))
    }

    fn judge(&self, _: &RpcSettings, run: &Run<'_, Node>, judgement: &mut Judgement) {
        let case = Case { world: run.world, server: SERVER, history: run.history, names: run.nodes };
        for property in self.properties {
            case.judge(*property, judgement);
        }
        self.count_situations(run, judgement);
    }
}

impl RpcScenario {
    fn config(&self, network: NetworkName, clients: u32) -> Config {
        let mut config = Config::new(clients + 1);
        config.network = network.network();
        config.faults = network.faults();
        config.limits = Limits { time: 120 * SECONDS, steps: 1_000_000, ..Limits::default() };
        let lose = |from, to, word| Fault::Message { from, to, word, nth: None, fate: Vec::new() };
        let each_client = || (1..=clients).map(NodeId);
        match self.staging {
            Staging::None => {}
            Staging::RequestsLost => {
                config.faults.list.extend(each_client().map(|client| lose(client, SERVER, "request")));
            }
            Staging::RepliesLost => {
                config.faults.list.extend(each_client().map(|client| lose(SERVER, client, "reply")));
            }
            Staging::ServerDies => {
                // The request arrives within 3 ms, is synced 5 ms later; between the two the process dies.
                config.network.default.delay = Delay::Uniform { min: MILLIS, max: 3 * MILLIS };
                config.sync_delay = Delay::Constant(5 * MILLIS);
                config.faults.list.push(Fault::Kill { node: SERVER, at: 4 * MILLIS, down: Some(SECONDS) });
            }
            Staging::EverythingLost => {
                config.network = Network::uniform(Link { loss: Ratio::ONE, ..Link::RELIABLE });
                config.limits.time = 10 * SECONDS;
            }
        }
        config
    }

    fn count_situations(&self, run: &Run<'_, Node>, judgement: &mut Judgement) {
        let [mut recognised, mut in_progress, mut recovered] = [0, 0, 0];
        for note in run.history.notes() {
            match note {
                Note::Recognised(_) => recognised += 1,
                Note::InProgress(_) => in_progress += 1,
                Note::Recovered(calls) => recovered += u64::from(*calls > 0),
                _ => {}
            }
        }
        judgement.met(situation::RECOGNISED, recognised);
        judgement.met(situation::IN_PROGRESS, in_progress);
        judgement.met(situation::RECOVERED, recovered);
        let mut gave_up = 0;
        let mut slow = 0;
        let timeout = self.scheme.timeout;
        for operation in &run.history.operations {
            let Some(end) = &operation.end else { continue };
            gave_up += u64::from(end.result == Note::GaveUp);
            slow += u64::from(operation.acknowledged().is_some() && end.at - operation.invoked > timeout);
        }
        judgement.met(situation::GAVE_UP, gave_up);
        judgement.met(situation::RESENT, slow);
        if let Some(Node::Right(server)) = run.world.process(SERVER) {
            let again = server.executions().filter(|(_, execution)| execution.times > 1).count();
            judgement.met(situation::AGAIN, again as u64);
        }
    }
}

/// # Errors
/// If the value is out of range.
fn within(key: &str, value: u64, min: u64, max: u64) -> Result<(), String> {
    if (min..=max).contains(&value) {
        Ok(())
    } else {
        Err(format!("{key} must be from {min} to {max}, not {value}"))
    }
}

/// What must hold of every right scheme.
const EVERYTHING: &[Property] = &[
    Property::ExecutedOnce,
    Property::AcknowledgedKept,
    Property::FirstReply,
    Property::Account,
    Property::Linearizable,
    Property::Progress,
];

const BASE: RpcScenario = RpcScenario {
    name: "",
    about: "",
    expected: Expected::Holds,
    scheme: Scheme::EXACTLY_ONCE,
    workload: Workload::Mixed,
    clients: 3,
    calls: 4,
    network: NetworkName::Hostile,
    staging: Staging::None,
    properties: EVERYTHING,
    situations: &[],
};

/// One client, one call, one try.
const MAYBE: RpcScenario = RpcScenario {
    scheme: Scheme {
        retry: Retry::Tries(1),
        duplicates: Duplicates::Execute,
        persistence: Persistence::DataOnly,
        ..Scheme::EXACTLY_ONCE
    },
    workload: Workload::Account,
    clients: 1,
    calls: 1,
    network: NetworkName::Reliable,
    situations: &[situation::GAVE_UP],
    ..BASE
};

/// Every case, in the order of the lecture.
#[allow(clippy::too_many_lines, reason = "a table")]
pub fn scenarios() -> Vec<RpcScenario> {
    vec![
        RpcScenario {
            name: "s1-request-lost",
            about: "S1: the request is lost: the client gets an error, and the call was not executed",
            staging: Staging::RequestsLost,
            properties: &[Property::GaveUpAfter(0)],
            ..MAYBE
        },
        RpcScenario {
            name: "s1-server-dies",
            about: "S1: the server dies before it replies: the same error, and the call was executed",
            staging: Staging::ServerDies,
            properties: &[Property::GaveUpAfter(1)],
            situations: &[situation::GAVE_UP, situation::RECOVERED],
            ..MAYBE
        },
        RpcScenario {
            name: "s1-reply-lost",
            about: "S1: the reply is lost: the same error, and the call was executed",
            staging: Staging::RepliesLost,
            properties: &[Property::GaveUpAfter(1)],
            ..MAYBE
        },
        RpcScenario {
            name: "s2-best-effort",
            about: "S2: everything is lost: best effort ends in an error",
            scheme: Scheme { retry: Retry::Tries(3), ..Scheme::EXACTLY_ONCE },
            staging: Staging::EverythingLost,
            properties: &[Property::GaveUpAfter(0), Property::Progress],
            network: NetworkName::Reliable,
            situations: &[situation::GAVE_UP],
            ..BASE
        },
        RpcScenario {
            name: "s2-at-least-once",
            about: "S2: everything is lost: at least once never returns",
            expected: Expected::Violates(Property::Progress.name()),
            scheme: Scheme::AT_LEAST_ONCE,
            staging: Staging::EverythingLost,
            properties: &[Property::Progress],
            network: NetworkName::Reliable,
            ..BASE
        },
        RpcScenario {
            name: "s3-at-least-once",
            about: "S3: deduct 10, the reply is lost, the request is sent again: the account loses 20",
            expected: Expected::Violates(Property::Account.name()),
            scheme: Scheme::AT_LEAST_ONCE,
            workload: Workload::Account,
            properties: &[Property::Account, Property::Progress],
            ..BASE
        },
        RpcScenario {
            name: "s3-at-most-once",
            about: "S3: the same with a server that recognises the resend",
            workload: Workload::Account,
            situations: &[situation::RECOGNISED, situation::RESENT],
            ..BASE
        },
        RpcScenario {
            name: "s4-late-put",
            about: "S4: a put is late, sent again and acknowledged, overwritten, and then its first copy arrives",
            expected: Expected::Violates(Property::Linearizable.name()),
            scheme: Scheme::AT_LEAST_ONCE,
            workload: Workload::PutsAndGets,
            clients: 2,
            calls: 6,
            properties: &[Property::Linearizable, Property::Progress],
            ..BASE
        },
        RpcScenario {
            name: "s4-deduplicated",
            about: "S4: the same with a server that recognises the late copy",
            workload: Workload::PutsAndGets,
            clients: 2,
            calls: 6,
            situations: &[situation::RECOGNISED],
            ..BASE
        },
        RpcScenario {
            name: "s5-duplicated-get",
            about: "S5: a get that is executed again harms nobody",
            scheme: Scheme { deduplicate_reads: false, ..Scheme::EXACTLY_ONCE },
            workload: Workload::Gets,
            properties: &[Property::Linearizable, Property::AcknowledgedKept, Property::Progress],
            situations: &[situation::AGAIN],
            ..BASE
        },
        RpcScenario {
            name: "s8-at-most-once",
            about: "S8: a table of what was seen, with the first replies, durable together with the data",
            situations: &[
                situation::RECOGNISED,
                situation::IN_PROGRESS,
                situation::RECOVERED,
                situation::RESENT,
            ],
            ..BASE
        },
        RpcScenario {
            name: "s8-appends",
            about: "S8: the same for appends that return the former length",
            workload: Workload::Appends,
            situations: &[
                situation::RECOGNISED,
                situation::IN_PROGRESS,
                situation::RECOVERED,
                situation::RESENT,
            ],
            ..BASE
        },
        RpcScenario {
            name: "s9-fresh-xid",
            about: "S9: a fresh identifier on each resend is never recognised",
            expected: Expected::Violates(Property::ExecutedOnce.name()),
            scheme: Scheme { identity: Identity::PerAttempt, ..Scheme::EXACTLY_ONCE },
            properties: &[Property::ExecutedOnce],
            ..BASE
        },
        RpcScenario {
            name: "s20-no-mark",
            about: "S20: a duplicate arrives while the original executes, and nothing says that it does",
            expected: Expected::Violates(Property::ExecutedOnce.name()),
            scheme: Scheme {
                duplicates: Duplicates::RememberFinished,
                execution: 60 * MILLIS,
                ..Scheme::EXACTLY_ONCE
            },
            properties: &[Property::ExecutedOnce],
            ..BASE
        },
        RpcScenario {
            name: "s20-wait",
            about: "S20: the duplicate waits for the original's reply",
            scheme: Scheme { execution: 60 * MILLIS, ..Scheme::EXACTLY_ONCE },
            situations: &[situation::IN_PROGRESS],
            ..BASE
        },
        RpcScenario {
            name: "s20-ignore",
            about: "S20: the duplicate is ignored, and a later resend finds the reply",
            scheme: Scheme { duplicates: Duplicates::Ignore, execution: 60 * MILLIS, ..Scheme::EXACTLY_ONCE },
            situations: &[situation::IN_PROGRESS],
            ..BASE
        },
        RpcScenario {
            name: "s25-table-in-memory",
            about: "S25: data on disk, table in memory: a restart forgets what was seen",
            expected: Expected::Violates(Property::ExecutedOnce.name()),
            scheme: Scheme { persistence: Persistence::DataOnly, ..Scheme::EXACTLY_ONCE },
            properties: &[Property::ExecutedOnce],
            ..BASE
        },
        RpcScenario {
            name: "s25-table-on-disk",
            about: "S25: data and table in one record, synced before the reply",
            situations: &[situation::RECOVERED, situation::RECOGNISED],
            ..BASE
        },
    ]
}
