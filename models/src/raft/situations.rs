//! What a run of a replicated service can meet: a scenario that holds without having met it proves nothing.

use std::collections::BTreeSet;

use check::{History, Judgement};

use super::message::RaftNote;

pub(super) const LEADER_CHANGED: &str = "the leader changed";
pub(crate) const FAIL_OVER: &str = "the leader changed while a call was pending";
pub(super) const OVERWRITTEN: &str = "an entry was overwritten";
pub(super) const OLD_TERM: &str = "an entry of an older term was on a majority";
pub(super) const INSTALLED: &str = "a snapshot was installed";
pub(super) const RECOVERED: &str = "a server recovered its log from its disk";
pub(super) const RECOVERED_SNAPSHOT: &str = "a server recovered a snapshot from its disk";
pub(super) const AT_ARRIVAL: &str = "a duplicate was recognised when it arrived";
pub(super) const AT_APPLY: &str = "a duplicate in the log was not executed";
pub(super) const GAVE_UP: &str = "a client gave up";

/// What every scenario that must hold has to meet.
pub(super) const ALL: &[&str] =
    &[LEADER_CHANGED, FAIL_OVER, OVERWRITTEN, INSTALLED, RECOVERED, RECOVERED_SNAPSHOT, AT_ARRIVAL, AT_APPLY];

/// Counts what the run met.
pub(super) fn count(history: &History<RaftNote>, judgement: &mut Judgement) {
    let mut filtered = BTreeSet::new();
    let mut elections = Vec::new();
    for (stamp, note) in &history.notes {
        match note {
            RaftNote::Leader { .. } => elections.push(stamp.time),
            RaftNote::Overwritten { .. } => judgement.met(OVERWRITTEN, 1),
            RaftNote::OldTermOnMajority { .. } => judgement.met(OLD_TERM, 1),
            RaftNote::Installed { .. } => judgement.met(INSTALLED, 1),
            RaftNote::Recognised(_) => judgement.met(AT_ARRIVAL, 1),
            RaftNote::Recovered { entries, snapshot } => {
                judgement.met(RECOVERED, u64::from(*entries > 0));
                judgement.met(RECOVERED_SNAPSHOT, u64::from(*snapshot > 0));
            }
            RaftNote::Applied { index, tag: Some(_), executed: false, .. } => {
                filtered.insert(*index);
            }
            _ => {}
        }
    }
    judgement.met(AT_APPLY, filtered.len() as u64);
    let changes = elections.get(1..).unwrap_or_default();
    judgement.met(LEADER_CHANGED, changes.len() as u64);
    let mut pending = 0;
    for operation in &history.operations {
        let returned = operation.end.as_ref();
        let before = |time: u64| returned.is_none_or(|end| time < end.at);
        pending += u64::from(changes.iter().any(|time| operation.invoked < *time && before(*time)));
        judgement.met(GAVE_UP, u64::from(returned.is_some_and(|end| end.result == RaftNote::GaveUp)));
    }
    judgement.met(FAIL_OVER, pending);
}
