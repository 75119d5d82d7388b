//! What calls are judged by. Each property is its own, so that a scheme is blamed for what it breaks and no more.

use check::linearizability::{self, Interval, Specification, Verdict};
use check::{History, Judgement, Operation};
use sim::{EventId, NodeId, World};

use super::message::{Note, Tag};
use super::scenarios::Node;
use super::server::Server;
use super::service::{Call, Reply, Service};

/// A property of remote procedure calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Property {
    /// No call was executed more than once in the state that the server ended with.
    ExecutedOnce,
    /// Every call that was acknowledged is in the state that the server ended with.
    AcknowledgedKept,
    /// Every call that was acknowledged got the reply of its first execution.
    FirstReply,
    /// What is missing from the account is what was acknowledged, and any part of what is unknown.
    Account,
    /// One copy of the data could have shown the clients what they saw.
    Linearizable,
    /// Every call of every client returned, with a reply or an error.
    Progress,
    /// Every call ended in an error, and the call was executed exactly so often.
    GaveUpAfter(u32),
}

impl Property {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::ExecutedOnce => "executed at most once",
            Self::AcknowledgedKept => "acknowledged is kept",
            Self::FirstReply => "a duplicate gets the first reply",
            Self::Account => "the account is right",
            Self::Linearizable => "linearizable",
            Self::Progress => "progress",
            Self::GaveUpAfter(_) => "the client cannot tell",
        }
    }
}

/// How many steps a linearizability search may take before it says that it does not know.
const BUDGET: u64 = 200_000;

pub(super) struct Case<'a> {
    pub(super) world: &'a World<Node>,
    pub(super) server: NodeId,
    pub(super) history: &'a History<Note>,
    pub(super) names: &'a [String],
}

impl Case<'_> {
    pub(super) fn judge(&self, property: Property, judgement: &mut Judgement) {
        let Some(Node::Right(server)) = self.world.process(self.server) else {
            judgement.violated("the server is up", "the server is down after the calm", Vec::new());
            return;
        };
        let name = property.name();
        match property {
            Property::ExecutedOnce => self.executed_once(server, name, judgement),
            Property::AcknowledgedKept => self.acknowledged_kept(server, name, judgement),
            Property::FirstReply => self.first_reply(server, name, judgement),
            Property::Account => self.account(server, name, judgement),
            Property::Linearizable => self.linearizable(name, judgement),
            Property::Progress => self.progress(name, judgement),
            Property::GaveUpAfter(times) => self.gave_up_after(server, times, name, judgement),
        }
    }

    fn operation(&self, tag: Tag) -> Option<&Operation<Note>> {
        self.history
            .operations
            .iter()
            .find(|operation| matches!(operation.call, Note::Call { tag: t, .. } if t == tag))
    }

    /// The events in which the server executed the call.
    fn executed(&self, tag: Tag) -> Vec<EventId> {
        let executed = |note: &Note| matches!(note, Note::Executed(other) if *other == tag);
        self.history.notes.iter().filter(|(_, note)| executed(note)).map(|(stamp, _)| stamp.id).collect()
    }

    fn executed_once(&self, server: &Server, name: &str, judgement: &mut Judgement) {
        if let Some((tag, execution)) = server.executions().find(|(_, execution)| execution.times > 1) {
            let what = self.operation(tag).map_or_else(String::new, |operation| describe(&operation.call));
            let detail = format!("{} ({what}) was executed {} times", call_name(tag), execution.times);
            judgement.violated(name, detail, self.executed(tag));
        }
    }

    fn acknowledged(&self) -> impl Iterator<Item = (Tag, Call, Reply, EventId)> + '_ {
        self.history.operations.iter().filter_map(|operation| {
            let (Note::Call { tag, call }, Some(Note::Reply(reply))) =
                (&operation.call, operation.acknowledged())
            else {
                return None;
            };
            Some((*tag, *call, *reply, operation.end.as_ref()?.id))
        })
    }

    fn acknowledged_kept(&self, server: &Server, name: &str, judgement: &mut Judgement) {
        if let Some((tag, _, _, end)) = self.acknowledged().find(|(tag, ..)| server.execution(*tag).is_none())
        {
            let detail = format!("{} was acknowledged, and the server does not have it", call_name(tag));
            judgement.violated(name, detail, vec![end]);
        }
    }

    fn first_reply(&self, server: &Server, name: &str, judgement: &mut Judgement) {
        for (tag, _, reply, end) in self.acknowledged() {
            if let Some(execution) = server.execution(tag)
                && execution.first_reply != reply
            {
                let detail = format!(
                    "{} got {}, and its first execution gave {}",
                    call_name(tag),
                    reply_name(reply),
                    reply_name(execution.first_reply)
                );
                judgement.violated(name, detail, vec![end]);
                return;
            }
        }
    }

    fn account(&self, server: &Server, name: &str, judgement: &mut Judgement) {
        let amounts = |unknown: bool| {
            self.history
                .operations
                .iter()
                .filter(move |operation| operation.is_unknown() == unknown)
                .filter_map(|operation| match operation.call {
                    Note::Call { call: Call::Deduct { amount }, .. } => Some(amount),
                    _ => None,
                })
        };
        let acknowledged: u64 = amounts(false).sum();
        let unknown: Vec<u64> = amounts(true).collect();
        let taken = server.service().taken();
        let possible = taken.checked_sub(acknowledged).is_some_and(|rest| is_sum_of_some(&unknown, rest));
        if !possible {
            let detail = format!(
                "{taken} was taken from the account; {acknowledged} is acknowledged, {} unknown",
                unknown.iter().sum::<u64>()
            );
            let twice = server.executions().filter(|(_, execution)| execution.times > 1);
            judgement.violated(name, detail, twice.flat_map(|(tag, _)| self.executed(tag)).collect());
        }
    }

    fn linearizable(&self, name: &str, judgement: &mut Judgement) {
        let mut operations = Vec::new();
        let mut ids = Vec::new();
        for operation in &self.history.operations {
            let Note::Call { tag, call } = &operation.call else { continue };
            let returned = match (&operation.end, operation.acknowledged()) {
                (Some(end), Some(Note::Reply(reply))) => Some((end.at, *reply)),
                _ => None,
            };
            operations.push(Interval { invoked: operation.invoked, returned, call: *call });
            ids.push((*tag, operation.end.as_ref().map_or(operation.id.0, |end| end.id)));
        }
        match linearizability::check(&ServiceSpecification, &operations, BUDGET).verdict {
            Verdict::Linearizable { .. } => {}
            Verdict::Undecided { .. } => judgement.met("linearizability left undecided", 1),
            Verdict::Violated { partials, .. } => {
                let longest = &partials[0];
                let next: Vec<String> = longest
                    .blocked
                    .iter()
                    .map(|index| {
                        let (tag, operation) = (ids[*index].0, &operations[*index]);
                        let reply =
                            operation.returned.as_ref().map_or_else(String::new, |(_, r)| reply_name(*r));
                        format!("{} {} -> {reply}", call_name(tag), describe_call(operation.call))
                    })
                    .collect();
                let detail = format!(
                    "after {} operations in the only order that explains them, none of these can come next: {}",
                    longest.order.len(),
                    next.join(", ")
                );
                judgement.violated(name, detail, longest.blocked.iter().map(|index| ids[*index].1).collect());
            }
        }
    }

    fn progress(&self, name: &str, judgement: &mut Judgement) {
        for client in (0..self.world.config().nodes).map(NodeId).filter(|node| *node != self.server) {
            let Some(Node::Left(process)) = self.world.process(client) else {
                judgement.violated(
                    name,
                    format!("{} is down after the calm", self.names[client.index()]),
                    Vec::new(),
                );
                return;
            };
            if process.unfinished() > 0 {
                let last = self.history.operations.iter().rev().find(|operation| operation.node == client);
                let detail = format!(
                    "{} calls of {} have not returned",
                    process.unfinished(),
                    self.names[client.index()]
                );
                judgement.violated(name, detail, last.map(|operation| operation.id.0).into_iter().collect());
                return;
            }
        }
    }

    fn gave_up_after(&self, server: &Server, times: u32, name: &str, judgement: &mut Judgement) {
        for operation in &self.history.operations {
            let Note::Call { tag, .. } = operation.call else { continue };
            let executed = server.execution(tag).map_or(0, |execution| execution.times);
            let gave_up = operation.end.as_ref().is_some_and(|end| end.result == Note::GaveUp);
            if !gave_up || executed != times {
                let ended = if gave_up { "in an error" } else { "otherwise" };
                let detail = format!(
                    "{} ended {ended} and was executed {executed} times; an error and {times} were expected",
                    call_name(tag)
                );
                judgement.violated(name, detail, vec![operation.id.0]);
                return;
            }
        }
    }
}

/// Whether some of the numbers add up to `sum`.
fn is_sum_of_some(numbers: &[u64], sum: u64) -> bool {
    let mut sums = std::collections::BTreeSet::from([0]);
    for number in numbers {
        let more: Vec<u64> = sums.iter().map(|sum| sum + number).collect();
        sums.extend(more);
    }
    sums.contains(&sum)
}

fn call_name(tag: Tag) -> String {
    let life = if tag.life == 0 { String::new() } else { format!(" in life {}", tag.life) };
    format!("call {} of client {}{life}", tag.call, tag.client)
}

fn describe(note: &Note) -> String {
    match note {
        Note::Call { call, .. } => describe_call(*call),
        other => format!("{other:?}"),
    }
}

fn describe_call(call: Call) -> String {
    match call {
        Call::Get { key } => format!("get {key}"),
        Call::Put { key, value } => format!("put {key}={value}"),
        Call::Deduct { amount } => format!("deduct {amount}"),
        Call::Append { key, value } => format!("append {value} to {key}"),
    }
}

fn reply_name(reply: Reply) -> String {
    match reply {
        Reply::Value(Some(value)) => value.to_string(),
        Reply::Value(None) => "nothing".to_owned(),
        Reply::Done => "done".to_owned(),
        Reply::Taken(taken) => format!("{taken} taken"),
        Reply::Length(length) => format!("length {length}"),
    }
}

/// The service, one call at a time.
struct ServiceSpecification;

impl Specification for ServiceSpecification {
    type Key = ();
    type State = Service;
    type Call = Call;
    type Reply = Reply;

    // One machine for all calls, small enough for one search.
    fn key(&self, _: &Call) {}

    fn initial(&self, (): &()) -> Service {
        Service::new()
    }

    fn apply(
        &self,
        state: &Service,
        call: &Call,
        reply: Option<&Reply>,
    ) -> impl IntoIterator<Item = Service> {
        let mut next = state.clone();
        let right = next.execute(*call);
        reply.is_none_or(|reply| *reply == right).then_some(next)
    }
}
