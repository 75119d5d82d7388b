//! The situations that scenarios are about, and how often a run met them.

use std::collections::BTreeMap;

use check::delivery::{self, Conclusion};
use check::{Judgement, Run};
use sim::Nanos;

use super::judge::Case;
use super::message::{Note, Refusal, Tag};
use super::scenario::Node;
use super::service::Call;

pub(super) const RECOGNISED: &str = "a duplicate of a finished call was recognised";
pub(super) const IN_PROGRESS: &str = "a duplicate met its original still executing";
pub(super) const RECOVERED: &str = "a server recovered calls from its disk";
pub(super) const GAVE_UP: &str = "a client gave up";
pub(super) const AGAIN: &str = "a call was executed again";
pub(super) const RESENT: &str = "a call was acknowledged after a resend";
pub(super) const LATE_REFUSED: &str = "a late request of an executed call was refused";
pub(super) const TOLD_FORGOTTEN: &str = "a client was told that its call may be forgotten";
pub(super) const TOLD_OLD: &str = "a client was told that its call is bound to an older incarnation";
pub(super) const AFTER_GIVING_UP: &str = "a call was executed after its client had given up";
pub(super) const ERROR_EXECUTED: &str = "a call that ended in an error was executed";
pub(super) const ERROR_NOT_EXECUTED: &str = "a call that ended in an error was not executed";
pub(super) const MAYBE: &str = "a put was answered wrong version after a resend";
pub(super) const TABLE_GREW: &str = "the table had an entry for every call of a client";
pub(super) const CLIENT_RESTARTED: &str = "a call of a restarted client was acknowledged";
pub(super) const OLD_GET: &str = "a get was answered from the table after a later put";
pub(super) const SECOND_WORKER: &str = "a task was given to a second worker";
pub(super) const TWO_REPORTS: &str = "a task was reported by two workers";
pub(super) const UNSYNCED_LOST: &str = "a crash lost what was not synced";
pub(super) const CRASHED_INSIDE: &str = "a node crashed inside a handler";
pub(super) const SHARED_NAME: &str = "two clients drew one name";
pub(super) const OVERLAPPED: &str = "a client had two calls under way";
pub(super) const AT_THE_BOUNDARY: &str = "a duplicate was recognised in the last nanosecond that it is kept";

/// Counts what every scenario may be about.
pub(super) fn count(case: &Case<'_>, timeout: Nanos, judgement: &mut Judgement) {
    let mut counts: BTreeMap<&'static str, u64> = BTreeMap::new();
    let mut add = |situation, times| *counts.entry(situation).or_insert(0) += times;
    let mut calls: BTreeMap<Tag, (Call, bool)> =
        case.deliveries.iter().map(|delivery| (delivery.call, (delivery.asked, false))).collect();
    // The gets that were executed before the latest put.
    let mut old: Vec<Tag> = Vec::new();
    let mut gets: Vec<Tag> = Vec::new();
    for note in case.history.notes() {
        match note {
            Note::Executed(tag) => {
                let Some((call, executed)) = calls.get_mut(tag) else { continue };
                *executed = true;
                match call {
                    Call::Get { .. } => gets.push(*tag),
                    Call::Put { .. } => old.append(&mut gets),
                    _ => {}
                }
            }
            Note::Recognised(tag) => {
                add(RECOGNISED, 1);
                add(OLD_GET, u64::from(old.contains(tag)));
            }
            Note::InProgress(_) => add(IN_PROGRESS, 1),
            Note::Forgotten(tag) => {
                add(LATE_REFUSED, u64::from(calls.get(tag).is_some_and(|(_, executed)| *executed)));
            }
            Note::Recovered(calls) => add(RECOVERED, u64::from(*calls > 0)),
            _ => {}
        }
    }
    let mut ends: BTreeMap<u32, Nanos> = BTreeMap::new();
    for operation in &case.history.operations {
        let until = ends.entry(operation.node.0).or_insert(0);
        add(OVERLAPPED, u64::from(operation.invoked < *until));
        let Some(end) = &operation.end else { continue };
        *until = end.at.max(*until);
        match end.result {
            Note::GaveUp => add(GAVE_UP, 1),
            Note::Refused(Refusal::Forgotten) => add(TOLD_FORGOTTEN, 1),
            Note::Refused(Refusal::OldIncarnation) => add(TOLD_OLD, 1),
            Note::Maybe => add(MAYBE, 1),
            _ => {}
        }
        let acknowledged = operation.acknowledged().is_some();
        add(RESENT, u64::from(acknowledged && end.at - operation.invoked > timeout));
        if let Note::Call { tag, .. } = operation.call {
            add(CLIENT_RESTARTED, u64::from(acknowledged && tag.life > 0));
        }
    }
    for delivery in &case.deliveries {
        add(AGAIN, u64::from(delivery.kept > 1));
        if let Some(concluded) = &delivery.concluded
            && concluded.how == Conclusion::Unknown
        {
            add(if delivery.kept > 0 { ERROR_EXECUTED } else { ERROR_NOT_EXECUTED }, 1);
        }
    }
    for task in case.server.service().tasks() {
        add(SECOND_WORKER, u64::from(task.given > 1));
        add(TWO_REPORTS, u64::from(task.reports > 1));
    }
    add(AFTER_GIVING_UP, delivery::executed_after_giving_up(&case.deliveries));
    for (situation, times) in counts {
        judgement.met(situation, times);
    }
}

/// Counts what follows from the world and not from the history.
pub(super) fn count_world(run: &Run<'_, Node>, calls: u32, case: &Case<'_>, judgement: &mut Judgement) {
    let faults = run.world.fault_counts();
    judgement.met(UNSYNCED_LOST, faults.changes_lost);
    judgement.met(CRASHED_INSIDE, faults.crashes_in_handler);
    judgement.met(TABLE_GREW, u64::from(case.server.most_entries() >= calls as usize));
    let mut drawn: Vec<u32> = case
        .clients
        .iter()
        .filter_map(|client| match run.world.process(client.node) {
            Some(Node::Left(client)) => Some(client.drawn()),
            _ => None,
        })
        .collect();
    let clients = drawn.len();
    drawn.sort_unstable();
    drawn.dedup();
    if drawn != [0] {
        judgement.met(SHARED_NAME, (clients - drawn.len()) as u64);
    }
}
