//! The rows of the matrix that have one server: every semantics of calls, with what must come of each kind of fault.

use check::Expected;
use check::delivery::Oracle;
use check::matrix::Row;
use sim::MILLIS;

use super::application::Workload;
use super::cases::BASE;
use super::judge::Property;
use super::scenario::RpcScenario;
use super::scheme::{
    Binding, Duplicates, Forgotten, Identity, Persistence, Retention, Retry, Scheme, Transport,
};
use super::situation;

const TWICE: &str = Oracle::ExecutedOnce.name();
const LOST: &str = Oracle::AcknowledgedKept.name();
const SWALLOWED: &str = Oracle::NotSwallowed.name();

/// What is asked of every row.
const PROPERTIES: &[Property] = &[
    Property::Delivery(Oracle::ExecutedOnce),
    Property::Delivery(Oracle::AcknowledgedKept),
    Property::Delivery(Oracle::NotSwallowed),
    Property::Progress,
];

/// A row: a name, what it is, its scheme, what each column must come to, in the order of the columns, and its situations.
struct Line {
    name: &'static str,
    about: &'static str,
    scheme: Scheme,
    cells: [Option<&'static [&'static str]>; 10],
    all: Expected,
    /// What it is about where everything goes wrong, and must have met if it holds there.
    situations: &'static [&'static str],
}

const HOLDS: Option<&[&str]> = Some(&[]);
const RUNS_TWICE: Option<&[&str]> = Some(&[TWICE]);
const LOSES: Option<&[&str]> = Some(&[LOST]);
const BOTH: Option<&[&str]> = Some(&[TWICE, LOST]);
/// The fault cannot strike this scheme.
const NONE: Option<&[&str]> = None;

/// The place of the column of fail-over, for which it takes more than one server.
const FAIL_OVER: usize = 7;

#[rustfmt::skip]
#[expect(clippy::too_many_lines, reason = "a table, an entry a row")]
fn lines() -> Vec<Line> {
    // none, loss, duplication, late, server-crash, client-crash, partition, clock-drift, no-sync, all
    vec![
        Line {
            name: "maybe",
            about: "one try, and a server that notices nothing",
            scheme: Scheme::MAYBE,
            cells: [HOLDS, HOLDS, RUNS_TWICE, HOLDS, HOLDS, HOLDS, HOLDS, HOLDS, LOSES, RUNS_TWICE],
            all: Expected::Violates(TWICE),
            situations: &[situation::AFTER_GIVING_UP],
        },
        Line {
            name: "best-effort",
            about: "three tries, and a server that notices nothing",
            scheme: Scheme { retry: Retry::Tries(3), ..Scheme::AT_LEAST_ONCE },
            cells: [HOLDS, RUNS_TWICE, RUNS_TWICE, RUNS_TWICE, RUNS_TWICE, HOLDS, RUNS_TWICE, HOLDS, BOTH, RUNS_TWICE],
            all: Expected::Violates(TWICE),
            situations: &[situation::AFTER_GIVING_UP],
        },
        Line {
            name: "at-least-once",
            about: "retries for ever, and a server that notices nothing",
            scheme: Scheme::AT_LEAST_ONCE,
            cells: [HOLDS, RUNS_TWICE, RUNS_TWICE, RUNS_TWICE, RUNS_TWICE, HOLDS, RUNS_TWICE, HOLDS, BOTH, RUNS_TWICE],
            all: Expected::Violates(TWICE),
            situations: &[],
        },
        Line {
            name: "net-rpc",
            about: "one connection, written once, and a server that notices nothing",
            scheme: Scheme { transport: Transport::Connection, ..Scheme::MAYBE },
            cells: [HOLDS, HOLDS, NONE, NONE, HOLDS, HOLDS, HOLDS, HOLDS, LOSES, HOLDS],
            all: Expected::Holds,
            situations: &[situation::ERROR_EXECUTED, situation::ERROR_NOT_EXECUTED],
        },
        Line {
            name: "at-most-once-in-memory",
            about: "retries for ever, and a server that remembers everything until it crashes",
            scheme: Scheme { persistence: Persistence::Nothing, ..Scheme::EXACTLY_ONCE },
            cells: [HOLDS, HOLDS, HOLDS, HOLDS, LOSES, HOLDS, HOLDS, HOLDS, NONE, LOSES],
            all: Expected::Violates(LOST),
            situations: &[],
        },
        Line {
            name: "table-in-memory",
            about: "the data on disk, the table of seen calls in memory",
            scheme: Scheme { persistence: Persistence::DataOnly, ..Scheme::EXACTLY_ONCE },
            cells: [HOLDS, HOLDS, HOLDS, HOLDS, RUNS_TWICE, HOLDS, HOLDS, HOLDS, BOTH, RUNS_TWICE],
            all: Expected::Violates(TWICE),
            situations: &[],
        },
        Line {
            name: "incarnation",
            about: "the same, and calls bound to an older incarnation of the server are refused",
            scheme: Scheme {
                binding: Binding::Incarnation,
                persistence: Persistence::DataOnly,
                ..Scheme::EXACTLY_ONCE
            },
            cells: [HOLDS, HOLDS, HOLDS, HOLDS, HOLDS, HOLDS, HOLDS, HOLDS, LOSES, HOLDS],
            all: Expected::Holds,
            situations: &[situation::TOLD_OLD, situation::RECOVERED, situation::RECOGNISED],
        },
        Line {
            name: "kept-for-a-while",
            about: "clients retry for 200 ms, and the server keeps what it has seen for 300",
            scheme: Scheme {
                retry: Retry::Within(200 * MILLIS),
                retention: Retention::For(300 * MILLIS),
                forgotten: Forgotten::Execute,
                ..Scheme::EXACTLY_ONCE
            },
            cells: [HOLDS, HOLDS, RUNS_TWICE, RUNS_TWICE, HOLDS, HOLDS, HOLDS, HOLDS, LOSES, RUNS_TWICE],
            all: Expected::Violates(TWICE),
            situations: &[],
        },
        Line {
            name: "latest-only",
            about: "one call at a time, and the table has each client's latest",
            scheme: Scheme { retention: Retention::Latest, ..Scheme::EXACTLY_ONCE },
            cells: [HOLDS, HOLDS, HOLDS, HOLDS, HOLDS, HOLDS, HOLDS, HOLDS, LOSES, HOLDS],
            all: Expected::Holds,
            situations: &[situation::LATE_REFUSED, situation::RECOGNISED, situation::RECOVERED],
        },
        Line {
            name: "exactly-once",
            about: "retries for ever, and a durable table that is never emptied",
            scheme: Scheme::EXACTLY_ONCE,
            cells: [HOLDS, HOLDS, HOLDS, HOLDS, HOLDS, HOLDS, HOLDS, HOLDS, LOSES, HOLDS],
            all: Expected::Holds,
            situations: &[situation::RECOGNISED, situation::IN_PROGRESS, situation::RECOVERED, situation::RESENT],
        },
        Line {
            name: "rifl",
            about: "durable completion records, acknowledged prefixes, sessions with leases",
            scheme: Scheme::RIFL,
            cells: [HOLDS, HOLDS, HOLDS, HOLDS, HOLDS, HOLDS, HOLDS, HOLDS, LOSES, HOLDS],
            all: Expected::Holds,
            situations: &[situation::RECOGNISED, situation::RECOVERED, situation::LATE_REFUSED, situation::TOLD_FORGOTTEN, situation::CLIENT_RESTARTED, situation::OVERLAPPED],
        },
        Line {
            name: "fresh-xid",
            about: "wrong: a fresh identifier in each resend",
            scheme: Scheme { identity: Identity::PerAttempt, ..Scheme::EXACTLY_ONCE },
            cells: [HOLDS, RUNS_TWICE, HOLDS, RUNS_TWICE, RUNS_TWICE, HOLDS, RUNS_TWICE, HOLDS, BOTH, RUNS_TWICE],
            all: Expected::Violates(TWICE),
            situations: &[],
        },
        Line {
            name: "restart-at-one",
            about: "wrong: a client that restarts numbers its calls from one",
            scheme: Scheme { identity: Identity::WithoutLife, ..Scheme::EXACTLY_ONCE },
            cells: [HOLDS, HOLDS, HOLDS, HOLDS, HOLDS, Some(&[SWALLOWED]), HOLDS, HOLDS, LOSES, Some(&[SWALLOWED])],
            all: Expected::Violates(SWALLOWED),
            situations: &[],
        },
        Line {
            name: "equality-test",
            about: "wrong: each client's latest call, and only an equal number is a duplicate",
            scheme: Scheme {
                retention: Retention::Latest,
                forgotten: Forgotten::Execute,
                ..Scheme::EXACTLY_ONCE
            },
            cells: [HOLDS, HOLDS, RUNS_TWICE, RUNS_TWICE, HOLDS, HOLDS, HOLDS, HOLDS, LOSES, RUNS_TWICE],
            all: Expected::Violates(TWICE),
            situations: &[],
        },
        Line {
            name: "no-mark",
            about: "wrong: no mark for a call that is executing, and calls that take longer than clients wait",
            scheme: Scheme {
                duplicates: Duplicates::RememberFinished,
                execution: 60 * MILLIS,
                ..Scheme::EXACTLY_ONCE
            },
            cells: [RUNS_TWICE, RUNS_TWICE, RUNS_TWICE, RUNS_TWICE, RUNS_TWICE, RUNS_TWICE, RUNS_TWICE, RUNS_TWICE, BOTH, RUNS_TWICE],
            all: Expected::Violates(TWICE),
            situations: &[],
        },
        Line {
            name: "data-first",
            about: "wrong: the data are durable before the table of seen calls",
            scheme: Scheme { persistence: Persistence::DataFirst, ..Scheme::EXACTLY_ONCE },
            cells: [HOLDS, HOLDS, HOLDS, HOLDS, RUNS_TWICE, HOLDS, HOLDS, HOLDS, BOTH, RUNS_TWICE],
            all: Expected::Violates(TWICE),
            situations: &[],
        },
    ]
}

/// The rows as scenarios of the catalogue: there everything goes wrong at once.
pub(super) fn rows() -> Vec<RpcScenario> {
    let row = |line: Line| RpcScenario {
        name: line.name,
        about: line.about,
        expected: line.all,
        scheme: line.scheme,
        workload: Workload::Account,
        clients: 2,
        calls: 6,
        properties: PROPERTIES,
        situations: line.situations,
        ..BASE
    };
    lines().into_iter().map(row).collect()
}

/// The rows, with what is expected of them.
pub(crate) fn expected() -> Vec<Row> {
    let row = |line: Line| {
        let mut expected: Vec<_> = line.cells.iter().map(|cell| cell.map(<[_]>::to_vec)).collect();
        expected.insert(FAIL_OVER, None);
        let scenario = format!("rpc/{}", line.name);
        Row { scenario, expected }
    };
    lines().into_iter().map(row).collect()
}
