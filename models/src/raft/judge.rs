//! What runs of a replicated service are judged by. Each property is its own, so that a variant is blamed for what it
//! breaks and no more.

use std::collections::BTreeMap;

use check::linearizability::{self, Interval, Verdict};
use check::{History, Judgement, Operation};
use sim::{EventId, NodeId, World};

use super::message::RaftNote;
use super::scenarios::Node;
use super::server::Server;
use crate::rpc::{Call, Reply, ServiceSpecification, Tag};

/// A property of a replicated service. The first five are looked at after every step too.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Property {
    /// A term has at most one leader.
    ElectionSafety,
    /// Two logs with an entry of the same index and term are the same up to it.
    LogMatching,
    /// What is committed is in the log of every later leader.
    LeaderCompleteness,
    /// No two servers apply different entries at one index.
    StateMachineSafety,
    /// A server's log contains what it knows committed.
    CommittedStay,
    /// No call was executed more than once in the state that the service ended with.
    ExecutedOnce,
    /// Every call that returned, with a reply or an error, was executed once, and no other more than once.
    ExactlyOnce,
    /// Every call that was acknowledged is in the state that the service ended with.
    AcknowledgedKept,
    /// Every call that was acknowledged got the reply of its first execution.
    FirstReply,
    /// One copy of the data could have shown the clients what they saw.
    Linearizable,
    /// Every call of every client returned, with a reply or an error.
    Progress,
}

impl Property {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::ElectionSafety => "election safety",
            Self::LogMatching => "log matching",
            Self::LeaderCompleteness => "leader completeness",
            Self::StateMachineSafety => "state machine safety",
            Self::CommittedStay => "committed entries stay",
            Self::ExecutedOnce => "executed at most once",
            Self::ExactlyOnce => "exactly once",
            Self::AcknowledgedKept => "acknowledged is kept",
            Self::FirstReply => "a duplicate gets the first reply",
            Self::Linearizable => "linearizable",
            Self::Progress => "progress",
        }
    }
}

/// How many steps a linearizability search may take before it says that it does not know.
const BUDGET: u64 = 200_000;

pub(super) struct Case<'a> {
    world: &'a World<Node>,
    history: &'a History<RaftNote>,
    names: &'a [String],
    /// The server whose state goes furthest.
    furthest: &'a Server,
}

impl<'a> Case<'a> {
    /// The case of a run that has ended, if a server is up.
    pub(super) fn new(
        world: &'a World<Node>,
        history: &'a History<RaftNote>,
        names: &'a [String],
    ) -> Option<Self> {
        let furthest = servers(world).max_by_key(|server| server.applied())?;
        Some(Self { world, history, names, furthest })
    }

    /// Bytes of what all servers remember of calls, beyond the data.
    pub(super) fn session_bytes(&self) -> u64 {
        servers(self.world).map(Server::session_bytes).sum()
    }

    pub(super) fn judge(&self, property: Property, judgement: &mut Judgement) {
        let name = property.name();
        match property {
            Property::ElectionSafety => self.election_safety(name, judgement),
            Property::StateMachineSafety => self.state_machine_safety(name, judgement),
            Property::LogMatching | Property::LeaderCompleteness | Property::CommittedStay => {}
            Property::ExecutedOnce => self.executed_once(name, judgement),
            Property::ExactlyOnce => self.exactly_once(name, judgement),
            Property::AcknowledgedKept => self.acknowledged_kept(name, judgement),
            Property::FirstReply => self.first_reply(name, judgement),
            Property::Linearizable => self.linearizable(name, judgement),
            Property::Progress => self.progress(name, judgement),
        }
    }

    /// Over the whole run: also between servers that were never up at the same time.
    fn election_safety(&self, name: &str, judgement: &mut Judgement) {
        let mut leaders = BTreeMap::new();
        for (stamp, note) in &self.history.notes {
            let RaftNote::Leader { term } = note else { continue };
            if let Some(first) = leaders.insert(*term, *stamp) {
                let detail = format!(
                    "term {term} had two leaders: {} and {}",
                    self.names[first.node.index()],
                    self.names[stamp.node.index()]
                );
                return judgement.violated(name, detail, vec![first.id, stamp.id]);
            }
        }
    }

    fn state_machine_safety(&self, name: &str, judgement: &mut Judgement) {
        let mut applied = BTreeMap::new();
        for (stamp, note) in &self.history.notes {
            let RaftNote::Applied { index, chain, .. } = note else { continue };
            let (first, by) = *applied.entry(*index).or_insert((*chain, *stamp));
            if first != *chain {
                let detail = format!(
                    "{} and {} applied different entries up to entry {index}",
                    self.names[by.node.index()],
                    self.names[stamp.node.index()]
                );
                return judgement.violated(name, detail, vec![by.id, stamp.id]);
            }
        }
    }

    fn calls(&self) -> impl Iterator<Item = (Tag, Call, &Operation<RaftNote>)> + '_ {
        self.history.operations.iter().filter_map(|operation| match operation.call {
            RaftNote::Call { tag, call } => Some((tag, call, operation)),
            _ => None,
        })
    }

    /// The events in which the server whose state goes furthest executed the call.
    fn executed(&self, tag: Tag) -> Vec<EventId> {
        let executed = |note: &RaftNote| matches!(note, RaftNote::Applied { tag: Some(other), executed: true, .. } if *other == tag);
        self.history.notes.iter().filter(|(_, note)| executed(note)).map(|(stamp, _)| stamp.id).collect()
    }

    fn times(&self, tag: Tag) -> u32 {
        self.furthest.machine().execution(tag).map_or(0, |execution| execution.times)
    }

    fn executed_once(&self, name: &str, judgement: &mut Judgement) {
        if let Some((tag, execution)) =
            self.furthest.machine().executions().find(|(_, execution)| execution.times > 1)
        {
            let detail = format!("call {tag} was executed {} times", execution.times);
            judgement.violated(name, detail, self.executed(tag));
        }
    }

    fn exactly_once(&self, name: &str, judgement: &mut Judgement) {
        for (tag, _, operation) in self.calls() {
            let times = self.times(tag);
            if times > 1 || (times == 0 && operation.end.is_some()) {
                let returned = match &operation.end {
                    None => "did not return",
                    Some(end) if end.result == RaftNote::GaveUp => "ended in an error",
                    Some(_) => "was acknowledged",
                };
                let detail = format!("call {tag} {returned} and was executed {times} times");
                let mut evidence = vec![operation.id.0];
                evidence.extend(self.executed(tag));
                return judgement.violated(name, detail, evidence);
            }
        }
    }

    fn acknowledged(&self) -> impl Iterator<Item = (Tag, Reply, EventId)> + '_ {
        self.calls().filter_map(|(tag, _, operation)| match operation.acknowledged() {
            Some(RaftNote::Reply(reply)) => Some((tag, *reply, operation.end.as_ref()?.id)),
            _ => None,
        })
    }

    fn acknowledged_kept(&self, name: &str, judgement: &mut Judgement) {
        if let Some((tag, _, end)) = self.acknowledged().find(|(tag, ..)| self.times(*tag) == 0) {
            let detail = format!("call {tag} was acknowledged, and the service does not have it");
            judgement.violated(name, detail, vec![end]);
        }
    }

    fn first_reply(&self, name: &str, judgement: &mut Judgement) {
        for (tag, reply, end) in self.acknowledged() {
            if let Some(execution) = self.furthest.machine().execution(tag)
                && execution.first_reply != reply
            {
                let detail = format!(
                    "call {tag} got {reply:?}, and its first execution gave {:?}",
                    execution.first_reply
                );
                return judgement.violated(name, detail, vec![end]);
            }
        }
    }

    fn linearizable(&self, name: &str, judgement: &mut Judgement) {
        let operations: Vec<_> = self
            .calls()
            .map(|(_, call, operation)| {
                let returned = match (&operation.end, operation.acknowledged()) {
                    (Some(end), Some(RaftNote::Reply(reply))) => Some((end.at, *reply)),
                    _ => None,
                };
                Interval { invoked: operation.invoked, returned, call }
            })
            .collect();
        let calls: Vec<_> = self.calls().collect();
        match linearizability::check(&ServiceSpecification, &operations, BUDGET).verdict {
            Verdict::Linearizable { .. } => {}
            Verdict::Undecided { .. } => judgement.met(linearizability::UNDECIDED, 1),
            Verdict::Violated { partials, .. } => {
                let longest = &partials[0];
                let next: Vec<String> =
                    longest.blocked.iter().map(|index| calls[*index].0.to_string()).collect();
                let detail = format!(
                    "after {} operations in the only order that explains them, none of these can come next: {}",
                    longest.order.len(),
                    next.join(", ")
                );
                let ends = longest.blocked.iter().map(|index| {
                    let operation = calls[*index].2;
                    operation.end.as_ref().map_or(operation.id.0, |end| end.id)
                });
                judgement.violated(name, detail, ends.collect());
            }
        }
    }

    fn progress(&self, name: &str, judgement: &mut Judgement) {
        for node in (0..self.world.config().nodes).map(NodeId) {
            let unfinished = match self.world.process(node) {
                Some(Node::Left(client)) if client.unfinished() == 0 => continue,
                Some(Node::Left(client)) => {
                    format!("has {} calls that have not returned", client.unfinished())
                }
                Some(Node::Right(_)) => continue,
                None => "is down after the calm".to_owned(),
            };
            let last = self.history.operations.iter().rev().find(|operation| operation.node == node);
            let evidence = last.map(|operation| operation.id.0).into_iter().collect();
            return judgement.violated(name, format!("{} {unfinished}", self.names[node.index()]), evidence);
        }
    }
}

fn servers(world: &World<Node>) -> impl Iterator<Item = &Server> {
    (0..world.config().nodes).filter_map(|node| match world.process(NodeId(node)) {
        Some(Node::Right(server)) => Some(server),
        _ => None,
    })
}
