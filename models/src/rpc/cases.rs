//! The lecture's cases, in its order, and what is found in the wild. Each is a scheme with its choices, a workload, a
//! network, the verdict it must get, and the situations without which the verdict would mean nothing.

use check::Expected;
use check::delivery::Oracle;
use sim::MILLIS;

use super::application::Workload;
use super::judge::Property;
use super::matrix;
use super::scenario::{RpcScenario, Staging};
use super::scheme::{
    Acknowledge, Answer, Binding, Covers, Duplicates, Forgotten, Identity, OuterRetry, Persistence, Replies,
    Retention, Retry, Scheme, Transport,
};
use super::service::Slip;
use super::situation;
use crate::networks::NetworkName;

const EXECUTED_ONCE: Property = Property::Delivery(Oracle::ExecutedOnce);
const ACKNOWLEDGED_KEPT: Property = Property::Delivery(Oracle::AcknowledgedKept);
const FIRST_REPLY: Property = Property::Delivery(Oracle::FirstReply);
const NOT_SWALLOWED: Property = Property::Delivery(Oracle::NotSwallowed);
const NOT_REFUSED: Property = Property::Delivery(Oracle::NotRefused);

/// What must hold of every right scheme.
const EVERYTHING: &[Property] = &[
    EXECUTED_ONCE,
    ACKNOWLEDGED_KEPT,
    FIRST_REPLY,
    NOT_SWALLOWED,
    Property::Account,
    Property::Linearizable,
    Property::Progress,
];

/// What can be said of one call without the others. Accounts and orders that come out wrong because a call was executed
/// twice are not the bug, and are left out where a wrong scheme is blamed.
const DELIVERED: &[Property] = &[EXECUTED_ONCE, ACKNOWLEDGED_KEPT, FIRST_REPLY, NOT_SWALLOWED];
/// The same where a second execution may have replied otherwise than the first.
const DELIVERED_BUT_REPLY: &[Property] = &[EXECUTED_ONCE, ACKNOWLEDGED_KEPT, NOT_SWALLOWED];

pub(super) const BASE: RpcScenario = RpcScenario {
    name: "",
    about: "",
    expected: Expected::Holds,
    scheme: Scheme::EXACTLY_ONCE,
    slip: Slip::None,
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
    scheme: Scheme::MAYBE,
    workload: Workload::Account,
    clients: 1,
    calls: 1,
    network: NetworkName::Reliable,
    situations: &[situation::GAVE_UP],
    ..BASE
};

/// Retries within a window of four timeouts, and a server in memory that keeps what it has seen for a time.
const WINDOWED: RpcScenario = RpcScenario {
    scheme: Scheme {
        retry: Retry::Within(200 * MILLIS),
        retention: Retention::For(0),
        forgotten: Forgotten::Execute,
        persistence: Persistence::Nothing,
        ..Scheme::EXACTLY_ONCE
    },
    properties: DELIVERED,
    ..BASE
};

/// A client that pipelines up to four calls, and says which replies it needs no more.
const ACKNOWLEDGING: RpcScenario = RpcScenario {
    scheme: Scheme {
        window: 4,
        retention: Retention::Unacknowledged(Acknowledge::Prefix),
        ..Scheme::EXACTLY_ONCE
    },
    calls: 8,
    ..BASE
};

/// A server that remembers each client's latest call.
const LATEST: RpcScenario =
    RpcScenario { scheme: Scheme { retention: Retention::Latest, ..Scheme::EXACTLY_ONCE }, calls: 6, ..BASE };

/// The network of a lab with a server that restarts, and puts that carry versions instead of a table of seen calls.
const VERSIONED: RpcScenario = RpcScenario {
    scheme: Scheme::AT_LEAST_ONCE,
    workload: Workload::Versions,
    calls: 8,
    network: NetworkName::Labrpc,
    staging: Staging::ServerRestarts,
    properties: &[Property::Linearizable, Property::Progress],
    situations: &[situation::MAYBE, situation::RECOVERED],
    ..BASE
};

/// Go's `net/rpc`: one connection, written once.
const NET_RPC: RpcScenario = RpcScenario {
    scheme: Scheme { transport: Transport::Connection, ..Scheme::MAYBE },
    workload: Workload::Account,
    ..BASE
};

const fn violates(property: Property) -> Expected {
    Expected::Violates(property.name())
}

/// Every case of one client library and one server.
pub fn scenarios() -> Vec<RpcScenario> {
    let mut all = retrying();
    all.extend(identifiers());
    all.extend(retention());
    all.extend(concurrency());
    all.extend(crashes());
    all.extend(other_ways());
    all.extend(in_the_wild());
    all.extend(of_the_lab());
    all.extend(matrix::rows());
    all
}

/// Retrying without deduplication: S1 to S6.
#[expect(clippy::too_many_lines, reason = "a table, an entry a scenario")]
fn retrying() -> Vec<RpcScenario> {
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
            expected: violates(Property::Progress),
            scheme: Scheme::AT_LEAST_ONCE,
            staging: Staging::EverythingLost,
            properties: &[Property::Progress],
            network: NetworkName::Reliable,
            ..BASE
        },
        RpcScenario {
            name: "s3-at-least-once",
            about: "S3: deduct 10, the reply is lost, the request is sent again: the account loses 20",
            expected: violates(Property::Account),
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
            expected: violates(Property::Linearizable),
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
            name: "s4-puts-not-covered",
            about: "S4: a server that recognises all calls but puts, which look as if they could be repeated",
            expected: violates(Property::Linearizable),
            scheme: Scheme { covers: Covers::AllButPuts, ..Scheme::EXACTLY_ONCE },
            workload: Workload::PutsAndGets,
            clients: 2,
            calls: 6,
            properties: &[ACKNOWLEDGED_KEPT, NOT_SWALLOWED, Property::Linearizable, Property::Progress],
            ..BASE
        },
        RpcScenario {
            name: "s5-duplicated-get",
            about: "S5: a get that is executed again harms nobody",
            scheme: Scheme { covers: Covers::AllButReads, ..Scheme::EXACTLY_ONCE },
            workload: Workload::Gets,
            properties: &[Property::Linearizable, ACKNOWLEDGED_KEPT, Property::Progress],
            situations: &[situation::AGAIN],
            ..BASE
        },
        RpcScenario {
            name: "s6-already-inserted",
            about: "S6: a server that asks whether it was inserted already: the state is right, the reply of the resend is not",
            expected: violates(FIRST_REPLY),
            scheme: Scheme::AT_LEAST_ONCE,
            workload: Workload::Inserts,
            properties: &[
                FIRST_REPLY,
                Property::Inserted,
                EXECUTED_ONCE,
                ACKNOWLEDGED_KEPT,
                NOT_SWALLOWED,
                Property::Progress,
            ],
            ..BASE
        },
    ]
}

/// At most once, and how calls are told apart: S8 to S11.
fn identifiers() -> Vec<RpcScenario> {
    vec![
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
            name: "s8a-current-value",
            about: "S8a: a duplicate is answered with what the state says now",
            expected: violates(FIRST_REPLY),
            scheme: Scheme { answer: Answer::Current, ..Scheme::EXACTLY_ONCE },
            workload: Workload::Appends,
            properties: DELIVERED,
            ..BASE
        },
        RpcScenario {
            name: "s8a-empty-reply",
            about: "S8a: a duplicate is answered with a reply that nobody filled in",
            expected: violates(FIRST_REPLY),
            scheme: Scheme { answer: Answer::Empty, ..Scheme::EXACTLY_ONCE },
            workload: Workload::Appends,
            properties: DELIVERED,
            ..BASE
        },
        RpcScenario {
            name: "s9-fresh-xid",
            about: "S9: a fresh identifier on each resend is never recognised",
            expected: violates(EXECUTED_ONCE),
            scheme: Scheme { identity: Identity::PerAttempt, ..Scheme::EXACTLY_ONCE },
            properties: DELIVERED_BUT_REPLY,
            ..BASE
        },
        RpcScenario {
            name: "s10-shared-counter",
            about: "S10: clients that number their calls alike: one gets the other's reply, and its call is never executed",
            expected: violates(NOT_SWALLOWED),
            scheme: Scheme { identity: Identity::WithoutClient, ..Scheme::EXACTLY_ONCE },
            network: NetworkName::HostileNetwork,
            properties: DELIVERED,
            ..BASE
        },
        RpcScenario {
            name: "s10-few-random-bits",
            about: "S10: five clients that draw names of 6 bits: one in seven runs has two of one name",
            expected: violates(NOT_SWALLOWED),
            scheme: Scheme { identity: Identity::RandomClient { bits: 6 }, ..Scheme::EXACTLY_ONCE },
            clients: 5,
            network: NetworkName::HostileNetwork,
            properties: DELIVERED,
            situations: &[situation::SHARED_NAME],
            ..BASE
        },
        RpcScenario {
            name: "s10-many-random-bits",
            about: "S10: the same with 32 bits: one in 430 million",
            scheme: Scheme { identity: Identity::RandomClient { bits: 32 }, ..Scheme::EXACTLY_ONCE },
            clients: 5,
            network: NetworkName::HostileNetwork,
            situations: &[situation::RECOGNISED],
            ..BASE
        },
        RpcScenario {
            name: "s11-restart-at-one",
            about: "S11: address and number, and a restarted client begins at 1: a new call is taken for an old one",
            expected: violates(NOT_SWALLOWED),
            scheme: Scheme { identity: Identity::WithoutLife, ..Scheme::EXACTLY_ONCE },
            properties: DELIVERED,
            ..BASE
        },
        RpcScenario {
            name: "s11-boot-id",
            about: "S11: the same with the number of the client's life",
            situations: &[situation::CLIENT_RESTARTED, situation::RECOGNISED],
            ..BASE
        },
    ]
}

/// What is remembered, and for how long: S13 to S19.
#[expect(clippy::too_many_lines, reason = "a table, an entry a scenario")]
fn retention() -> Vec<RpcScenario> {
    vec![
        RpcScenario {
            name: "s13-keep-everything",
            about: "S13: everything is kept for ever",
            calls: 12,
            situations: &[situation::TABLE_GREW, situation::RECOGNISED],
            ..BASE
        },
        RpcScenario {
            name: "s13-memory-grows",
            about: "S13: the same, asked whether the table grows with calls and not with clients",
            expected: violates(Property::Memory(4)),
            calls: 12,
            properties: &[
                Property::Memory(4),
                EXECUTED_ONCE,
                ACKNOWLEDGED_KEPT,
                FIRST_REPLY,
                NOT_SWALLOWED,
                Property::Progress,
            ],
            ..BASE
        },
        RpcScenario {
            name: "s14-acknowledged-prefix",
            about: "S14: a request says up to which call its client has all replies; with four calls under way",
            properties: &[
                EXECUTED_ONCE,
                ACKNOWLEDGED_KEPT,
                FIRST_REPLY,
                NOT_SWALLOWED,
                NOT_REFUSED,
                Property::Memory(4),
                Property::Account,
                Property::Linearizable,
                Property::Progress,
            ],
            situations: &[situation::LATE_REFUSED, situation::RECOGNISED, situation::OVERLAPPED],
            ..ACKNOWLEDGING
        },
        RpcScenario {
            name: "s14-acknowledged-maximum",
            about: "S14: the same, up to the greatest call whose reply it has: those missing below it are refused",
            expected: violates(NOT_REFUSED),
            scheme: Scheme {
                retention: Retention::Unacknowledged(Acknowledge::Maximum),
                ..ACKNOWLEDGING.scheme
            },
            properties: &[NOT_REFUSED, EXECUTED_ONCE, ACKNOWLEDGED_KEPT, FIRST_REPLY, NOT_SWALLOWED],
            ..ACKNOWLEDGING
        },
        RpcScenario {
            name: "s15-latest-only",
            about: "S15: one call at a time, and the next one ends what is remembered of the last",
            properties: &[
                EXECUTED_ONCE,
                ACKNOWLEDGED_KEPT,
                FIRST_REPLY,
                NOT_SWALLOWED,
                NOT_REFUSED,
                Property::Memory(1),
                Property::Account,
                Property::Linearizable,
                Property::Progress,
            ],
            situations: &[situation::LATE_REFUSED, situation::RECOGNISED],
            ..LATEST
        },
        RpcScenario {
            name: "s15-equality-test",
            about: "S15a: the same, and only an equal number is a duplicate: an older one is executed again",
            expected: violates(EXECUTED_ONCE),
            scheme: Scheme { forgotten: Forgotten::Execute, ..LATEST.scheme },
            properties: DELIVERED_BUT_REPLY,
            ..LATEST
        },
        RpcScenario {
            name: "s15-pipelining",
            about: "S15b: the same with a client that pipelines: calls that are overtaken are refused",
            expected: violates(NOT_REFUSED),
            scheme: Scheme { window: 4, ..LATEST.scheme },
            properties: &[NOT_REFUSED, EXECUTED_ONCE, ACKNOWLEDGED_KEPT, FIRST_REPLY, NOT_SWALLOWED],
            ..LATEST
        },
        RpcScenario {
            name: "s16-kept-long-enough",
            about: "S16: kept for the retry window, the longest delay and what the clocks are off, to the nanosecond",
            staging: Staging::Boundary { short: 0 },
            properties: EVERYTHING,
            situations: &[situation::AT_THE_BOUNDARY, situation::GAVE_UP],
            ..WINDOWED
        },
        RpcScenario {
            name: "s16-one-nanosecond-short",
            about: "S16: the same, one nanosecond less: a resend arrives after the forgetting",
            expected: violates(EXECUTED_ONCE),
            staging: Staging::Boundary { short: 1 },
            properties: DELIVERED_BUT_REPLY,
            ..WINDOWED
        },
        RpcScenario {
            name: "s16-kept-for-the-window",
            about: "S16: kept for as long as clients retry, and requests that travel for longer",
            expected: violates(EXECUTED_ONCE),
            scheme: Scheme { retention: Retention::For(200 * MILLIS), ..WINDOWED.scheme },
            network: NetworkName::HostileNetwork,
            properties: DELIVERED_BUT_REPLY,
            ..WINDOWED
        },
        RpcScenario {
            name: "s17-silent-forgotten",
            about: "S17: a client that was silent for a while is forgotten: a late duplicate runs again",
            expected: violates(EXECUTED_ONCE),
            scheme: Scheme { lease: Some(500 * MILLIS), ..Scheme::EXACTLY_ONCE },
            properties: DELIVERED_BUT_REPLY,
            ..BASE
        },
        RpcScenario {
            name: "s17-lease",
            about: "S17: clients have sessions that end when they are silent, and calls of an ended one are refused",
            scheme: Scheme { lease: Some(500 * MILLIS), binding: Binding::Session, ..Scheme::EXACTLY_ONCE },
            situations: &[situation::LATE_REFUSED, situation::TOLD_FORGOTTEN, situation::RECOGNISED],
            ..BASE
        },
        RpcScenario {
            name: "s18-refuse-forgotten",
            about: "S18: what may have been forgotten is refused and never executed; a client may see an error",
            scheme: Scheme { retention: Retention::For(200 * MILLIS), ..Scheme::EXACTLY_ONCE },
            situations: &[situation::LATE_REFUSED, situation::TOLD_FORGOTTEN, situation::RECOGNISED],
            ..BASE
        },
        RpcScenario {
            name: "s19-giving-up-acknowledges",
            about: "S19: a client that gives up acknowledges: the original, still in flight, meets forgotten",
            scheme: Scheme { retry: Retry::Tries(2), ..ACKNOWLEDGING.scheme },
            situations: &[situation::GAVE_UP, situation::LATE_REFUSED, situation::AFTER_GIVING_UP],
            ..ACKNOWLEDGING
        },
        RpcScenario {
            name: "s19-meets-new",
            about: "S19: the same, and the original meets a table that takes it for new",
            expected: violates(EXECUTED_ONCE),
            scheme: Scheme { retry: Retry::Tries(2), forgotten: Forgotten::Execute, ..ACKNOWLEDGING.scheme },
            properties: DELIVERED_BUT_REPLY,
            ..ACKNOWLEDGING
        },
    ]
}

/// What happens at once: S20, S22, S24.
fn concurrency() -> Vec<RpcScenario> {
    vec![
        RpcScenario {
            name: "s20-no-mark",
            about: "S20: a duplicate arrives while the original executes, and nothing says that it does",
            expected: violates(EXECUTED_ONCE),
            scheme: Scheme {
                duplicates: Duplicates::RememberFinished,
                execution: 60 * MILLIS,
                ..Scheme::EXACTLY_ONCE
            },
            properties: DELIVERED_BUT_REPLY,
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
            name: "s22-old-get",
            about: "S22: a resent get is answered from the table after a later put: it looks stale, and is linearizable",
            workload: Workload::Gets,
            situations: &[situation::OLD_GET],
            ..BASE
        },
        RpcScenario {
            name: "s24-every-report-counts",
            about: "S24: a master gives a silent worker's task to another: two calls, two reports, and both count",
            expected: violates(Property::CountedOnce),
            slip: Slip::EveryReportCounts,
            workload: Workload::Tasks,
            properties: &[
                Property::CountedOnce,
                EXECUTED_ONCE,
                ACKNOWLEDGED_KEPT,
                FIRST_REPLY,
                NOT_SWALLOWED,
                Property::Progress,
            ],
            ..BASE
        },
        RpcScenario {
            name: "s24-first-wins",
            about: "S24: the same, and the master takes the first report of each task",
            workload: Workload::Tasks,
            properties: &[
                Property::CountedOnce,
                EXECUTED_ONCE,
                ACKNOWLEDGED_KEPT,
                FIRST_REPLY,
                NOT_SWALLOWED,
                Property::Progress,
            ],
            situations: &[situation::SECOND_WORKER, situation::TWO_REPORTS],
            ..BASE
        },
    ]
}

/// Crashes and disks: S25, S26, S28.
fn crashes() -> Vec<RpcScenario> {
    vec![
        RpcScenario {
            name: "s25-table-in-memory",
            about: "S25: data on disk, table in memory: a restart forgets what was seen",
            expected: violates(EXECUTED_ONCE),
            scheme: Scheme { persistence: Persistence::DataOnly, ..Scheme::EXACTLY_ONCE },
            properties: DELIVERED_BUT_REPLY,
            ..BASE
        },
        RpcScenario {
            name: "s25-table-on-disk",
            about: "S25: data and table in one record, synced before the reply",
            situations: &[situation::RECOVERED, situation::RECOGNISED],
            ..BASE
        },
        RpcScenario {
            name: "s26-data-first",
            about: "S26: the data are durable before the table: a crash between the two, and the call is executed again",
            expected: violates(EXECUTED_ONCE),
            scheme: Scheme { persistence: Persistence::DataFirst, ..Scheme::EXACTLY_ONCE },
            properties: DELIVERED_BUT_REPLY,
            ..BASE
        },
        RpcScenario {
            name: "s26-table-first",
            about: "S26: the table is durable before the data: a crash between the two, and a reply has no effect",
            expected: violates(ACKNOWLEDGED_KEPT),
            scheme: Scheme { persistence: Persistence::TableFirst, ..Scheme::EXACTLY_ONCE },
            properties: DELIVERED_BUT_REPLY,
            ..BASE
        },
        RpcScenario {
            name: "s26-not-synced",
            about: "S26: one record, and the reply does not wait for the sync: what was acknowledged is lost",
            expected: violates(ACKNOWLEDGED_KEPT),
            scheme: Scheme { replies: Replies::BeforeSync, ..Scheme::EXACTLY_ONCE },
            properties: DELIVERED_BUT_REPLY,
            ..BASE
        },
        RpcScenario {
            name: "s26-one-record",
            about: "S26: one record, synced before the reply",
            situations: &[situation::UNSYNCED_LOST, situation::RECOVERED, situation::RECOGNISED],
            ..BASE
        },
        RpcScenario {
            name: "s28-incarnation",
            about: "S28: table in memory, and calls bound to an older incarnation of the server are refused",
            scheme: Scheme {
                binding: Binding::Incarnation,
                persistence: Persistence::DataOnly,
                ..Scheme::EXACTLY_ONCE
            },
            situations: &[situation::TOLD_OLD, situation::RECOVERED, situation::RECOGNISED],
            ..BASE
        },
    ]
}

/// Other ways: connections, versions, and everything together: S30 to S32.
fn other_ways() -> Vec<RpcScenario> {
    vec![
        RpcScenario {
            name: "s30-net-rpc",
            about: "S30: one connection, written once, and an error if it breaks, which may mean anything",
            situations: &[situation::ERROR_EXECUTED, situation::ERROR_NOT_EXECUTED],
            ..NET_RPC
        },
        RpcScenario {
            name: "s30-application-retries",
            about: "S30: the application calls again on a new connection: the account loses twice",
            expected: violates(Property::Account),
            scheme: Scheme { retry: Retry::Forever, ..NET_RPC.scheme },
            properties: &[Property::Account, ACKNOWLEDGED_KEPT, NOT_SWALLOWED, Property::Progress],
            ..NET_RPC
        },
        RpcScenario {
            name: "s30-retries-deduplicated",
            about: "S30: the same with a server that recognises the call on the new connection",
            scheme: Scheme { transport: Transport::Connection, ..Scheme::EXACTLY_ONCE },
            situations: &[situation::RECOGNISED, situation::RECOVERED],
            ..NET_RPC
        },
        RpcScenario {
            name: "s31-versioned-put",
            about: "S31: a put names the version it replaces; a resend that is answered wrong version means maybe",
            ..VERSIONED
        },
        RpcScenario {
            name: "s31-wrong-version-fails",
            about: "S31: the same, and a resend that is answered wrong version is taken for a failure",
            expected: violates(Property::Linearizable),
            slip: Slip::WrongVersionIsFailure,
            situations: &[],
            ..VERSIONED
        },
        RpcScenario {
            name: "s31-restart-resets-versions",
            about: "S31: the same, and a server that restarts counts its versions anew",
            expected: violates(Property::Linearizable),
            slip: Slip::RestartResetsVersions,
            situations: &[],
            ..VERSIONED
        },
        RpcScenario {
            name: "s31-network-duplicates",
            about: "S31: the same in a network that repeats: even a first request may be answered because of its own copy",
            expected: violates(Property::Linearizable),
            network: NetworkName::HostileNetwork,
            staging: Staging::None,
            situations: &[],
            ..VERSIONED
        },
        RpcScenario {
            name: "s32-rifl",
            about: "S32: durable completion records in one with the update, acknowledged prefixes, sessions with leases",
            scheme: Scheme::RIFL,
            calls: 8,
            properties: &[
                EXECUTED_ONCE,
                ACKNOWLEDGED_KEPT,
                FIRST_REPLY,
                NOT_SWALLOWED,
                Property::Memory(4),
                Property::Account,
                Property::Linearizable,
                Property::Progress,
            ],
            situations: &[
                situation::RECOGNISED,
                situation::IN_PROGRESS,
                situation::RECOVERED,
                situation::LATE_REFUSED,
                situation::TOLD_FORGOTTEN,
                situation::CLIENT_RESTARTED,
                situation::UNSYNCED_LOST,
            ],
            ..BASE
        },
    ]
}

/// Found in the wild.
fn in_the_wild() -> Vec<RpcScenario> {
    vec![
        RpcScenario {
            name: "wild-outer-retry-fresh-key",
            about: "a layer over the stub calls again when it gives up, and mints the key anew",
            expected: violates(EXECUTED_ONCE),
            scheme: Scheme { retry: Retry::Tries(3), outer: OuterRetry::FreshXid, ..Scheme::EXACTLY_ONCE },
            properties: DELIVERED_BUT_REPLY,
            ..BASE
        },
        RpcScenario {
            name: "wild-outer-retry-same-key",
            about: "the same with the key of the first time",
            scheme: Scheme { retry: Retry::Tries(3), outer: OuterRetry::SameXid, ..Scheme::EXACTLY_ONCE },
            situations: &[situation::RECOGNISED, situation::RESENT],
            ..BASE
        },
        RpcScenario {
            name: "wild-key-with-time",
            about: "a key made of what is called and of the time: the resend of a later moment has another",
            expected: violates(EXECUTED_ONCE),
            scheme: Scheme { identity: Identity::ContentAndTime, ..Scheme::EXACTLY_ONCE },
            workload: Workload::Appends,
            properties: DELIVERED_BUT_REPLY,
            ..BASE
        },
        RpcScenario {
            name: "wild-key-without-call",
            about: "a key made of what is called alone: who calls the same again is taken for a duplicate",
            expected: violates(NOT_SWALLOWED),
            scheme: Scheme { identity: Identity::Content, ..Scheme::EXACTLY_ONCE },
            workload: Workload::Account,
            properties: DELIVERED,
            ..BASE
        },
        RpcScenario {
            name: "wild-crash-before-ack",
            about: "the effect, a crash, no acknowledgement, and the effect again; the network is reliable",
            expected: violates(Property::Account),
            scheme: Scheme::AT_LEAST_ONCE,
            workload: Workload::Account,
            network: NetworkName::Reliable,
            staging: Staging::ServerCrashesInside,
            properties: &[Property::Account, ACKNOWLEDGED_KEPT, NOT_SWALLOWED, Property::Progress],
            ..BASE
        },
        RpcScenario {
            name: "wild-crash-before-ack-known",
            about: "the same where the effect and that it was seen are one record",
            workload: Workload::Account,
            network: NetworkName::Reliable,
            staging: Staging::ServerCrashesInside,
            situations: &[situation::CRASHED_INSIDE, situation::RECOGNISED, situation::RECOVERED],
            ..BASE
        },
    ]
}

/// Three wrong servers that the tests of a lab let pass, because in its network no request is ever in flight when it is
/// sent again, with the workload of those tests.
fn of_the_lab() -> Vec<RpcScenario> {
    const LAB: RpcScenario = RpcScenario {
        expected: Expected::Violates(Property::Linearizable.name()),
        workload: Workload::Lab,
        clients: 5,
        calls: 8,
        properties: &[Property::Linearizable, Property::Progress],
        ..BASE
    };
    const EQUALITY: Scheme = Scheme { forgotten: Forgotten::Execute, ..LATEST.scheme };
    const NO_MARK: Scheme =
        Scheme { duplicates: Duplicates::RememberFinished, execution: 60 * MILLIS, ..Scheme::EXACTLY_ONCE };
    vec![
        RpcScenario {
            name: "lab-puts-not-covered",
            about: "S4 with the workload of a lab whose network hides it: puts are executed again",
            scheme: Scheme { covers: Covers::AllButPuts, ..Scheme::EXACTLY_ONCE },
            ..LAB
        },
        RpcScenario {
            name: "lab-equality-test",
            about: "S15a with the workload of a lab whose network hides it: each client has a key of its own",
            scheme: EQUALITY,
            ..LAB
        },
        RpcScenario {
            name: "lab-equality-test-one-key",
            about: "S15a with the workload of a lab whose network hides it: all append to one key",
            scheme: EQUALITY,
            workload: Workload::LabOneKey,
            ..LAB
        },
        RpcScenario {
            name: "lab-no-mark",
            about: "S20 with the workload of a lab whose network hides it: each client has a key of its own",
            scheme: NO_MARK,
            ..LAB
        },
        RpcScenario {
            name: "lab-no-mark-one-key",
            about: "S20 with the workload of a lab whose network hides it: all append to one key",
            scheme: NO_MARK,
            workload: Workload::LabOneKey,
            ..LAB
        },
    ]
}
