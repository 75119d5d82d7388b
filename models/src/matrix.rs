//! The lecture's table: every semantics of calls against every kind of fault. The rows with one server come from [`rpc`],
//! those with several from [`raft`].

use check::SweepReport;
use check::delivery::{self, Oracle};
use check::matrix::{Column, Matrix};

use crate::{raft, rpc};

/// The table.
pub fn matrix() -> Matrix {
    Matrix {
        columns: columns(),
        rows: rpc::expected().into_iter().chain(raft::expected()).collect(),
        words: vec![
            (Oracle::ExecutedOnce.name(), "twice"),
            (Oracle::AcknowledgedKept.name(), "lost"),
            (Oracle::NotSwallowed.name(), "swallowed"),
            (delivery::PROGRESS, "stuck"),
        ],
    }
}

fn columns() -> Vec<Column> {
    let faults = |name, struck| Column { name, settings: vec![("faults", name)], struck };
    let crashes = |report: &SweepReport| report.faults.crashes + report.faults.crashes_in_handler;
    vec![
        faults("none", |_| 0),
        faults("loss", |report| report.faults.lost),
        faults("duplication", |report| report.faults.duplicated),
        faults("late", |report| report.faults.late),
        faults("server-crash", crashes),
        faults("client-crash", crashes),
        faults("partition", |report| report.faults.cut + report.faults.connections_broken),
        // A crash is not enough: somebody else must have taken over before the call returned.
        faults("fail-over", |report| report.situations.get(raft::FAIL_OVER).map_or(0, |met| met.times)),
        faults("clock-drift", |report| report.faults.clocks_off),
        faults("no-sync", |report| report.faults.changes_lost),
        faults("all", |report| {
            let faults = &report.faults;
            faults.lost + faults.duplicated + faults.late + faults.crashes
        }),
    ]
}
