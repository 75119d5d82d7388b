//! What must hold of every logical call, each property by a name of its own, so that a scheme is blamed for what it breaks
//! and for nothing else.
//!
//! A scenario fills in one [`Delivery`] a call, from what its clients saw, what its servers noted, and the state that they
//! ended with. A call whose outcome the client does not know may have been executed or not: no oracle holds that against
//! anybody.
//!
//! Deliberately absent: any protocol, and linearizability, which has a [place of its own](crate::linearizability).

use std::fmt::Display;

use sim::{EventId, Nanos, NodeId, Stamp};

use crate::ledger::CallName;
use crate::scenario::Judgement;

/// One logical call, as it was asked, executed and concluded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delivery<C, R> {
    /// Its name.
    pub call: CallName,
    /// What was asked.
    pub asked: C,
    /// The event of its invocation.
    pub invoked: EventId,
    /// Each time a server executed it, whether or not the effect lasted.
    pub executions: Vec<Stamp>,
    /// How often it is in the state that the servers ended with.
    pub kept: u32,
    /// What its first execution in that state replied.
    pub first_reply: Option<R>,
    /// What its client concluded; `None` if nothing.
    pub concluded: Option<Concluded<R>>,
}

/// What a client concluded, when, and in which event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Concluded<R> {
    /// The event.
    pub event: EventId,
    /// When.
    pub at: Nanos,
    /// What.
    pub how: Conclusion<R>,
}

/// How a call ended for its client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Conclusion<R> {
    /// With this reply.
    Reply(R),
    /// A server refused to say whether it was executed, while the client still waited.
    Refused,
    /// The client does not know.
    Unknown,
}

/// A property of deliveries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Oracle {
    /// No call is in the final state more than once.
    ExecutedOnce,
    /// Every call that was acknowledged and executed is in the final state.
    AcknowledgedKept,
    /// Every acknowledged call got the reply of its first execution.
    FirstReply,
    /// No call was acknowledged that nobody ever executed: it was taken for another.
    NotSwallowed,
    /// No call was refused whose client still waited for it.
    NotRefused,
}

/// The property that the table of seen calls has no more entries for a client than it needs.
pub const MEMORY: &str = "memory is bounded";
/// The property that every call returns once nothing goes wrong any more.
pub const PROGRESS: &str = "progress";

impl Oracle {
    /// The property's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ExecutedOnce => "executed at most once",
            Self::AcknowledgedKept => "acknowledged is kept",
            Self::FirstReply => "a duplicate gets the first reply",
            Self::NotSwallowed => "no call is swallowed",
            Self::NotRefused => "no waiting call is refused",
        }
    }

    /// Judges all calls of a run; the first that breaks the property is reported.
    pub fn judge<C: Display, R: Display + PartialEq>(
        self,
        deliveries: &[Delivery<C, R>],
        judgement: &mut Judgement,
    ) {
        let found = deliveries.iter().find_map(|delivery| Some((delivery, self.broken_by(delivery)?)));
        if let Some((Delivery { call, asked, .. }, (detail, evidence))) = found {
            judgement.violated(self.name(), format!("{call} ({asked}) {detail}"), evidence);
        }
    }

    /// In words how this call breaks the property, and the events that show it.
    fn broken_by<C, R: Display + PartialEq>(
        self,
        delivery: &Delivery<C, R>,
    ) -> Option<(String, Vec<EventId>)> {
        let Delivery { executions, kept, first_reply, concluded, .. } = delivery;
        let executed = || executions.iter().map(|stamp| stamp.id).collect();
        let acknowledged = concluded.as_ref().and_then(|concluded| match &concluded.how {
            Conclusion::Reply(reply) => Some((reply, concluded.event)),
            Conclusion::Refused | Conclusion::Unknown => None,
        });
        match self {
            Self::ExecutedOnce => (*kept > 1).then(|| (format!("was executed {kept} times"), executed())),
            Self::AcknowledgedKept => {
                let (_, event) = acknowledged.filter(|_| *kept == 0 && !executions.is_empty())?;
                Some(("was acknowledged, and the server does not have it".to_owned(), vec![event]))
            }
            Self::FirstReply => {
                let (reply, event) = acknowledged?;
                let first = first_reply.as_ref().filter(|first| *first != reply)?;
                Some((format!("got {reply}, and its first execution gave {first}"), vec![event]))
            }
            Self::NotSwallowed => {
                let (reply, event) = acknowledged.filter(|_| *kept == 0 && executions.is_empty())?;
                Some((format!("was answered {reply}, and nobody ever executed it"), vec![event]))
            }
            Self::NotRefused => {
                let concluded =
                    concluded.as_ref().filter(|concluded| concluded.how == Conclusion::Refused)?;
                let times = executions.len();
                Some((
                    format!("was refused while its client waited for it; it was executed {times} times"),
                    vec![concluded.event],
                ))
            }
        }
    }
}

/// How many calls a server executed after their client had given up: no error, since the outcome is unknown, but worth
/// knowing.
pub fn executed_after_giving_up<C, R>(deliveries: &[Delivery<C, R>]) -> u64 {
    let late = |delivery: &&Delivery<C, R>| {
        let gave_up = delivery.concluded.as_ref().filter(|end| !matches!(end.how, Conclusion::Reply(_)));
        gave_up.is_some_and(|end| delivery.executions.iter().any(|stamp| stamp.time > end.at))
    };
    deliveries.iter().filter(late).count() as u64
}

/// Judges that no client has more than `most` entries in a server's table.
pub fn memory_bounded(entries: usize, most: usize, judgement: &mut Judgement) {
    if entries > most {
        let detail =
            format!("a client had {entries} entries in the table of seen calls; at most {most} are needed");
        judgement.violated(MEMORY, detail, Vec::new());
    }
}

/// Judges that every client has no unfinished calls left. `clients` gives each one's node, name, unfinished calls
/// (`None` if it is down) and last invocation.
pub fn progress<'a>(
    clients: impl IntoIterator<Item = (NodeId, &'a str, Option<usize>, Option<EventId>)>,
    judgement: &mut Judgement,
) {
    for (_, name, unfinished, last) in clients {
        let detail = match unfinished {
            Some(0) => continue,
            Some(unfinished) => format!("{unfinished} calls of {name} have not returned"),
            None => format!("{name} is down after the calm"),
        };
        judgement.violated(PROGRESS, detail, last.into_iter().collect());
        return;
    }
}
