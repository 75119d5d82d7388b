//! What calls are judged by, where it is more than what must hold of any [delivery](check::delivery).

use std::collections::BTreeMap;

use check::delivery::{self, Concluded, Conclusion, Delivery, Oracle};
use check::linearizability::{self, Interval, Specification, Verdict};
use check::{History, Judgement, Operation};
use sim::{NodeId, Status};

use super::message::{Note, Tag};
use super::server::Server;
use super::service::{Call, Reply};

/// A property of remote procedure calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Property {
    /// What must hold of every call.
    Delivery(Oracle),
    /// No client has more entries in the table of seen calls than this.
    Memory(u32),
    /// What is missing from the account is what was acknowledged, and any part of what is unknown.
    Account,
    /// Every acknowledged insert is there with its value.
    Inserted,
    /// Every task that was reported done counts once.
    CountedOnce,
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
            Self::Delivery(oracle) => oracle.name(),
            Self::Memory(_) => delivery::MEMORY,
            Self::Account => "the account is right",
            Self::Inserted => "the state is right",
            Self::CountedOnce => "every task counts once",
            Self::Linearizable => "linearizable",
            Self::Progress => delivery::PROGRESS,
            Self::GaveUpAfter(_) => "the client cannot tell",
        }
    }
}

/// How many steps a linearizability search may take before it says that it does not know.
const BUDGET: u64 = 200_000;

/// A client, as a judge sees it.
pub(super) struct ClientSeen {
    pub(super) node: NodeId,
    /// How many of its calls have not returned; `None` if it is down.
    pub(super) unfinished: Option<usize>,
}

/// A run, as a judge sees it.
pub(super) struct Case<'a> {
    pub(super) server: &'a Server,
    pub(super) clients: Vec<ClientSeen>,
    pub(super) history: &'a History<Note>,
    pub(super) names: &'a [String],
    pub(super) deliveries: Vec<Delivery<Call, Reply>>,
}

impl<'a> Case<'a> {
    pub(super) fn new(
        server: &'a Server,
        clients: Vec<ClientSeen>,
        history: &'a History<Note>,
        names: &'a [String],
    ) -> Self {
        let deliveries = deliveries(server, history);
        Self { server, clients, history, names, deliveries }
    }

    pub(super) fn judge(&self, property: Property, judgement: &mut Judgement) {
        let name = property.name();
        match property {
            Property::Delivery(oracle) => oracle.judge(&self.deliveries, judgement),
            Property::Memory(most) => {
                delivery::memory_bounded(self.server.most_entries(), most as usize, judgement);
            }
            Property::Account => self.account(name, judgement),
            Property::Inserted => self.inserted(name, judgement),
            Property::CountedOnce => self.counted_once(name, judgement),
            Property::Linearizable => self.linearizable(name, judgement),
            Property::Progress => self.progress(judgement),
            Property::GaveUpAfter(times) => self.gave_up_after(times, name, judgement),
        }
    }

    fn account(&self, name: &str, judgement: &mut Judgement) {
        let amounts = |unknown: bool| {
            let operations = self.history.operations.iter();
            operations.filter(move |operation| operation.is_unknown() == unknown).filter_map(|operation| {
                match operation.call {
                    Note::Call { call: Call::Deduct { amount }, .. } => Some(amount),
                    _ => None,
                }
            })
        };
        let acknowledged: u64 = amounts(false).sum();
        let unknown: Vec<u64> = amounts(true).collect();
        let taken = self.server.service().taken();
        let possible = taken.checked_sub(acknowledged).is_some_and(|rest| is_sum_of_some(&unknown, rest));
        if !possible {
            let detail = format!(
                "{taken} was taken from the account; {acknowledged} is acknowledged, {} unknown",
                unknown.iter().sum::<u64>()
            );
            let twice = self.deliveries.iter().filter(|delivery| delivery.kept > 1);
            let events = twice.flat_map(|delivery| delivery.executions.iter().map(|stamp| stamp.id));
            judgement.violated(name, detail, events.collect());
        }
    }

    fn inserted(&self, name: &str, judgement: &mut Judgement) {
        for Delivery { call, asked, concluded, .. } in &self.deliveries {
            let (Call::Insert { key, value }, Some(Concluded { event, how: Conclusion::Reply(_), .. })) =
                (*asked, concluded)
            else {
                continue;
            };
            let found = self.server.service().value(key);
            if found != Some(value) {
                let detail = format!("{call} ({asked}) was acknowledged, and the key has {found:?}");
                return judgement.violated(name, detail, vec![*event]);
            }
        }
    }

    fn counted_once(&self, name: &str, judgement: &mut Judgement) {
        for (number, task) in (0..).zip(self.server.service().tasks()) {
            if task.counted != 1 {
                let detail = format!(
                    "task {number} was given to {} workers, reported by {}, and counted {} times",
                    task.given, task.reports, task.counted
                );
                let reports =
                    self.deliveries.iter().filter(|delivery| delivery.asked == Call::Report { task: number });
                let events = reports.flat_map(|delivery| delivery.executions.iter().map(|stamp| stamp.id));
                return judgement.violated(name, detail, events.collect());
            }
        }
    }

    fn linearizable(&self, name: &str, judgement: &mut Judgement) {
        let mut operations = Vec::new();
        let mut ids = Vec::new();
        for operation in &self.history.operations {
            let Note::Call { tag, call } = &operation.call else { continue };
            let returned = match &operation.end {
                // It certainly had no effect.
                Some(end) if end.status == Status::Fail => continue,
                Some(end) => match operation.acknowledged() {
                    Some(Note::Reply(reply)) => Some((end.at, *reply)),
                    _ => None,
                },
                None => None,
            };
            operations.push(Interval { invoked: operation.invoked, returned, call: *call });
            ids.push((*tag, operation.end.as_ref().map_or(operation.id.0, |end| end.id)));
        }
        match linearizability::check(&ServiceSpecification, &operations, BUDGET).verdict {
            Verdict::Linearizable { .. } => {}
            Verdict::Undecided { .. } => judgement.met(linearizability::UNDECIDED, 1),
            Verdict::Violated { partials, .. } => {
                let longest = &partials[0];
                let next: Vec<String> = longest
                    .blocked
                    .iter()
                    .map(|index| {
                        let (tag, operation) = (ids[*index].0, &operations[*index]);
                        let reply =
                            operation.returned.as_ref().map_or_else(String::new, |(_, r)| r.to_string());
                        format!("{tag} {} -> {reply}", operation.call)
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

    fn progress(&self, judgement: &mut Judgement) {
        let last = |node: NodeId| {
            let of = |operation: &&Operation<Note>| operation.node == node;
            self.history.operations.iter().rev().find(of).map(|operation| operation.id.0)
        };
        let clients = self.clients.iter().map(|client| {
            let ClientSeen { node, unfinished } = *client;
            (node, self.names[node.index()].as_str(), unfinished, last(node))
        });
        delivery::progress(clients, judgement);
    }

    fn gave_up_after(&self, times: u32, name: &str, judgement: &mut Judgement) {
        for delivery in &self.deliveries {
            let gave_up =
                delivery.concluded.as_ref().is_some_and(|concluded| concluded.how == Conclusion::Unknown);
            if !gave_up || delivery.kept != times {
                let ended = if gave_up { "in an error" } else { "otherwise" };
                let detail = format!(
                    "{} ended {ended} and was executed {} times; an error and {times} were expected",
                    delivery.call, delivery.kept
                );
                return judgement.violated(name, detail, vec![delivery.invoked]);
            }
        }
    }
}

/// One delivery a call, in the order of the calls.
fn deliveries(server: &Server, history: &History<Note>) -> Vec<Delivery<Call, Reply>> {
    let mut places: BTreeMap<Tag, usize> = BTreeMap::new();
    let mut deliveries: Vec<Delivery<Call, Reply>> = Vec::with_capacity(history.operations.len());
    for operation in &history.operations {
        let Note::Call { tag, call } = operation.call else { continue };
        let execution = server.execution(tag);
        places.insert(tag, deliveries.len());
        deliveries.push(Delivery {
            call: tag,
            asked: call,
            invoked: operation.id.0,
            executions: Vec::new(),
            kept: execution.map_or(0, |execution| execution.times),
            first_reply: execution.map(|execution| execution.first_reply),
            concluded: operation.end.as_ref().map(|end| Concluded {
                event: end.id,
                at: end.at,
                how: match end.result {
                    Note::Reply(reply) if end.status == Status::Ok => Conclusion::Reply(reply),
                    Note::Refused(_) => Conclusion::Refused,
                    _ => Conclusion::Unknown,
                },
            }),
        });
    }
    for (stamp, note) in &history.notes {
        if let Note::Executed(tag) = note
            && let Some(place) = places.get(tag)
        {
            deliveries[*place].executions.push(*stamp);
        }
    }
    deliveries
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

/// The service, one call at a time, and each of its parts by itself: calls of different parts cannot disturb each other.
pub(crate) struct ServiceSpecification;

/// A part of the service.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Part {
    Key(u32),
    Version(u32),
    Account,
    Tasks,
}

/// What can be seen of a part.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Seen {
    /// A key's value, and how much was appended to it.
    Key(Option<u64>, u32),
    Version(u32, u32),
    Taken(u64),
    /// What a master gives to whom is its own affair.
    Anything,
}

impl Seen {
    /// The part after a call, and what the call is answered; `None` for a call that any answer suits.
    const fn after(self, call: Call) -> Option<(Self, Reply)> {
        Some(match (self, call) {
            (Self::Key(value, _), Call::Get { .. }) => (self, Reply::Value(value)),
            (Self::Key(..), Call::Put { value, .. }) => (Self::Key(Some(value), 0), Reply::Done),
            (Self::Key(None, length), Call::Insert { value, .. }) => {
                (Self::Key(Some(value), length), Reply::Inserted)
            }
            (Self::Key(Some(_), _), Call::Insert { .. }) => (self, Reply::AlreadyThere),
            (Self::Key(value, length), Call::Append { .. }) => {
                (Self::Key(value, length + 1), Reply::Length(length))
            }
            (Self::Version(value, version), Call::GetVersion { .. }) => {
                (self, Reply::Version(value, version))
            }
            (Self::Version(_, now), Call::PutVersion { value, version, .. }) if now == version => {
                (Self::Version(value, now + 1), Reply::Version(value, now + 1))
            }
            (Self::Version(..), Call::PutVersion { .. }) => (self, Reply::WrongVersion),
            (Self::Taken(taken), Call::Deduct { amount }) => {
                (Self::Taken(taken + amount), Reply::Taken(taken + amount))
            }
            _ => return None,
        })
    }
}

impl Specification for ServiceSpecification {
    type Key = Part;
    type State = Seen;
    type Call = Call;
    type Reply = Reply;

    fn key(&self, call: &Call) -> Part {
        match *call {
            Call::Get { key }
            | Call::Put { key, .. }
            | Call::Insert { key, .. }
            | Call::Append { key, .. } => Part::Key(key),
            Call::GetVersion { key } | Call::PutVersion { key, .. } => Part::Version(key),
            Call::Deduct { .. } => Part::Account,
            Call::Take | Call::Report { .. } | Call::Fetch { .. } => Part::Tasks,
        }
    }

    fn initial(&self, part: &Part) -> Seen {
        match part {
            Part::Key(_) => Seen::Key(None, 0),
            Part::Version(_) => Seen::Version(0, 0),
            Part::Account => Seen::Taken(0),
            Part::Tasks => Seen::Anything,
        }
    }

    fn apply(&self, state: &Seen, call: &Call, reply: Option<&Reply>) -> impl IntoIterator<Item = Seen> {
        match state.after(*call) {
            Some((next, right)) => reply.is_none_or(|reply| *reply == right).then_some(next),
            None => Some(*state),
        }
    }

    fn only_looks(&self, call: &Call, reply: Option<&Reply>) -> bool {
        call.only_looks() || matches!(reply, Some(Reply::WrongVersion | Reply::AlreadyThere))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::Service;

    #[test]
    fn the_specification_answers_as_the_service_does() {
        let calls = [
            Call::Get { key: 0 },
            Call::Put { key: 0, value: 7 },
            Call::Insert { key: 0, value: 8 },
            Call::Insert { key: 1, value: 9 },
            Call::Get { key: 1 },
            Call::Append { key: 0, value: 1 },
            Call::Append { key: 0, value: 2 },
            Call::Deduct { amount: 10 },
            Call::Deduct { amount: 5 },
            Call::PutVersion { key: 0, value: 3, version: 1 },
            Call::PutVersion { key: 0, value: 3, version: 0 },
            Call::PutVersion { key: 0, value: 4, version: 1 },
            Call::GetVersion { key: 0 },
            Call::Get { key: 0 },
            Call::Put { key: 0, value: 11 },
            Call::Append { key: 0, value: 3 },
        ];
        let mut service = Service::new();
        let mut parts: BTreeMap<Part, Seen> = BTreeMap::new();
        for call in calls {
            let part = ServiceSpecification.key(&call);
            let seen = parts.entry(part).or_insert_with(|| ServiceSpecification.initial(&part));
            let (next, reply) = seen.after(call).expect("each of these has one right answer");
            *seen = next;
            assert_eq!(reply, service.execute(call, 0), "{call}");
        }
    }

    #[test]
    fn some_of_the_numbers() {
        assert!(is_sum_of_some(&[10, 20, 30], 50));
        assert!(is_sum_of_some(&[], 0));
        assert!(!is_sum_of_some(&[10, 20], 25));
    }

    #[test]
    fn an_old_reply_is_right_while_its_call_lasts_and_stale_after_it() {
        let put = |from, to, value| Interval {
            invoked: from,
            returned: Some((to, Reply::Done)),
            call: Call::Put { key: 0, value },
        };
        let get = |from, to| Interval {
            invoked: from,
            returned: Some((to, Reply::Value(Some(10)))),
            call: Call::Get { key: 0 },
        };
        let verdict = |history: &[Interval<Call, Reply>]| {
            let verdict = linearizability::check(&ServiceSpecification, history, BUDGET).verdict;
            matches!(verdict, Verdict::Linearizable { .. })
        };
        // The get was asked before the second put returned: the table may answer it with 10 long after.
        assert!(verdict(&[put(0, 1, 10), put(3, 5, 20), get(5, 100)]));
        // Asked one nanosecond later it may not.
        assert!(!verdict(&[put(0, 1, 10), put(3, 5, 20), get(6, 100)]));
    }
}
