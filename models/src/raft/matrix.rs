//! The rows of the matrix that have several servers, with what must come of each kind of fault.

use check::Expected;
use check::matrix::Row;

use super::judge::Property;
use super::scenarios::{BASE, RaftScenario, RaftSettings};
use super::situations;
use super::variant::{Sessions, Variant};

const TWICE: &str = Property::ExecutedOnce.name();
const LOST: &str = Property::AcknowledgedKept.name();

/// What is asked of every row, as of those with one server. That calls are not swallowed is a matter of identifiers.
const PROPERTIES: &[Property] = &[Property::ExecutedOnce, Property::AcknowledgedKept, Property::Progress];

/// A row: a name, what it is, where its duplicates are recognised, and what each column must come to.
struct Line {
    name: &'static str,
    about: &'static str,
    sessions: Sessions,
    cells: [&'static [&'static str]; 11],
}

const HOLDS: &[&str] = &[];
const RUNS_TWICE: &[&str] = &[TWICE];
const LOSES: &[&str] = &[LOST];
const BOTH: &[&str] = &[TWICE, LOST];

#[rustfmt::skip]
fn lines() -> Vec<Line> {
    // none, loss, duplication, late, server-crash, client-crash, partition, fail-over, clock-drift, no-sync, all
    vec![
        Line {
            name: "replicated",
            about: "a replicated log, and the table of seen calls in the replicated state",
            sessions: Sessions::Replicated,
            cells: [HOLDS, HOLDS, HOLDS, HOLDS, HOLDS, HOLDS, HOLDS, HOLDS, HOLDS, LOSES, HOLDS],
        },
        Line {
            name: "replicated-without-table",
            about: "wrong: a replicated log, and nobody notices a duplicate",
            sessions: Sessions::None,
            cells: [HOLDS, RUNS_TWICE, RUNS_TWICE, RUNS_TWICE, RUNS_TWICE, HOLDS, RUNS_TWICE, RUNS_TWICE, HOLDS, BOTH, RUNS_TWICE],
        },
        Line {
            name: "table-at-the-leader",
            about: "wrong: a replicated log, and a table that the leader keeps to itself",
            sessions: Sessions::LeaderOnly,
            cells: [HOLDS, RUNS_TWICE, HOLDS, RUNS_TWICE, RUNS_TWICE, HOLDS, RUNS_TWICE, RUNS_TWICE, HOLDS, BOTH, RUNS_TWICE],
        },
        Line {
            name: "table-not-in-snapshots",
            about: "wrong: a replicated log, and snapshots leave the table out",
            sessions: Sessions::NotInSnapshots,
            cells: [HOLDS, RUNS_TWICE, RUNS_TWICE, RUNS_TWICE, RUNS_TWICE, HOLDS, RUNS_TWICE, RUNS_TWICE, HOLDS, BOTH, RUNS_TWICE],
        },
        Line {
            name: "table-at-arrival",
            about: "wrong: a replicated log, and the table is asked only when a request arrives",
            sessions: Sessions::AtArrival,
            cells: [HOLDS, RUNS_TWICE, RUNS_TWICE, RUNS_TWICE, RUNS_TWICE, HOLDS, RUNS_TWICE, RUNS_TWICE, HOLDS, BOTH, RUNS_TWICE],
        },
    ]
}

/// The rows as scenarios of the catalogue: there everything goes wrong at once.
pub(super) fn rows() -> Vec<RaftScenario> {
    let row = |line: Line| {
        let right = line.sessions == Sessions::Replicated;
        RaftScenario {
            name: line.name,
            about: line.about,
            expected: if right { Expected::Holds } else { Expected::Violates(TWICE) },
            variant: Variant { sessions: line.sessions, ..Variant::RIGHT },
            // The leader is heard of every 50 ms: one message that is lost or late can be enough for another leader. Two
            // seconds of calm are enough for an election and what is left to do.
            settings: RaftSettings { election_ms: 60, span_ms: 6_000, ..BASE.settings },
            properties: PROPERTIES,
            situations: if right { situations::ALL } else { &[] },
            ..BASE
        }
    };
    lines().into_iter().map(row).collect()
}

/// The rows, with what is expected of them.
pub(crate) fn expected() -> Vec<Row> {
    let row = |line: Line| Row {
        scenario: format!("raft/{}", line.name),
        expected: line.cells.iter().map(|cell| Some(cell.to_vec())).collect(),
    };
    lines().into_iter().map(row).collect()
}
