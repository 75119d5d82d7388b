//! The life of every logical call: who asked, how often it was sent, what arrived and in which copy, what the server made
//! of each arrival and why, when it took effect, and what the client concluded.
//!
//! The ledger is an observer, and knows no protocol: a [`Reader`] tells it which call a message or a note is about. What a
//! server cannot know about itself the ledger adds from what it has seen: that a request is taken for new because the
//! memory of its first execution was [lost in a crash](Decision::LostInCrash), or because it was [not
//! recognised](Decision::NotRecognised).
//!
//! A service of several servers executes a call when it applies the entry of the log that the call became. What one entry
//! does on each of the servers is one execution; another entry of the same call is a second one.
//!
//! Deliberately absent: judging. See [`crate::delivery`] for that.

mod bookkeeper;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use serde_json::Value;
use sim::{EventId, Message, Nanos, NodeId};

pub use bookkeeper::Bookkeeper;

/// A logical call, whatever identifiers its requests carry. Written `c1/3`: the third call of client 1; `c1.2/3` in the
/// client's life 2.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CallName {
    /// The client's number.
    pub client: u32,
    /// Which life of the client.
    pub life: u32,
    /// Which call of that life, from 1.
    pub call: u32,
}

/// That a text names no call.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a call is written c1/3 (the third of client 1) or c1.2/3 (in its life 2), found {0:?}")]
pub struct NoCallName(pub String);

impl fmt::Display for CallName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { client, life, call } = self;
        if *life == 0 { write!(f, "c{client}/{call}") } else { write!(f, "c{client}.{life}/{call}") }
    }
}

impl FromStr for CallName {
    type Err = NoCallName;

    fn from_str(text: &str) -> Result<Self, NoCallName> {
        let parse = || {
            let (client, call) = text.strip_prefix('c')?.split_once('/')?;
            let (client, life) = client.split_once('.').unwrap_or((client, "0"));
            Some(Self { client: client.parse().ok()?, life: life.parse().ok()?, call: call.parse().ok()? })
        };
        parse().ok_or_else(|| NoCallName(text.to_owned()))
    }
}

impl Serialize for CallName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What a message is to the ledger.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mail {
    /// A request of this call, sent so many times before.
    Request {
        /// Which call.
        call: CallName,
        /// How often it was sent before.
        resend: u32,
    },
    /// An answer to a request of this call.
    Reply {
        /// Which call.
        call: CallName,
    },
    /// Somebody else is to be asked for this call.
    Redirect {
        /// Which call.
        call: CallName,
        /// Who, if the sender knows.
        leader: Option<NodeId>,
    },
}

impl Mail {
    /// Which call it is about.
    pub const fn call(self) -> CallName {
        match self {
            Self::Request { call, .. } | Self::Reply { call } | Self::Redirect { call, .. } => call,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Request { .. } => "request",
            Self::Reply { .. } => "reply",
            Self::Redirect { .. } => "redirect",
        }
    }
}

/// What a note is to the ledger.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Entry {
    /// A client calls. To be left with the invocation of an operation.
    Called(CallName),
    /// A server decides what to do with a request that arrived.
    Decided(CallName, Decision),
    /// A server executed the call: it took effect.
    Executed(CallName),
    /// A leader takes a request for new, and appends it to its log.
    Logged {
        /// Which call.
        call: CallName,
        /// As which entry.
        index: u64,
        /// Of which term.
        term: u64,
    },
    /// A server removed what its log had from this entry on, because the leader's log has something else there.
    Removed {
        /// The first entry that was removed.
        from: u64,
    },
    /// A server applied an entry of its log that is committed.
    Applied {
        /// Which call was in it.
        call: CallName,
        /// Which entry.
        index: u64,
        /// Whether the call was executed, and not passed over as a duplicate.
        executed: bool,
    },
    /// A server took over a state in which everything up to this entry is applied.
    TookOver {
        /// The last entry in it.
        index: u64,
    },
}

/// Why a server does what it does with a request.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// It has not seen the call: it is executed.
    New,
    /// It takes the call for new, and has executed it in a life of which it remembers nothing.
    LostInCrash,
    /// It takes the call for new, and has executed it in this life.
    NotRecognised,
    /// It takes the call for new, and another server has executed it.
    UnknownHere,
    /// It takes the call for new, and an entry of the log has it already that is not applied.
    InLog,
    /// The call is executing.
    InProgress,
    /// The call was executed: it is answered from memory.
    Done,
    /// The call was executed, and its client has gone on since: it is not answered.
    Superseded,
    /// The call changes nothing: it is answered from the state as it is here.
    Local,
    /// It may have been executed and forgotten: it is refused.
    Forgotten,
    /// It is bound to an older incarnation of the server: it is refused.
    OldIncarnation,
}

impl Decision {
    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::LostInCrash => "new, because the memory of it was lost in a crash",
            Self::NotRecognised => "new, although it was executed: it is not recognised",
            Self::UnknownHere => "new, although it was executed: not known here",
            Self::InLog => "new, although the log has it: in an entry that is not applied here",
            Self::InProgress => "in progress",
            Self::Done => "done: answered from memory",
            Self::Superseded => "done, and the client has gone on: not answered",
            Self::Local => "it changes nothing: answered from the state as it is here",
            Self::Forgotten => "forgotten: refused",
            Self::OldIncarnation => "bound to an older incarnation: refused",
        }
    }
}

/// How the ledger reads the messages and notes of a protocol.
pub struct Reader<M: Message> {
    /// What a message is about, if it is about a call.
    pub mail: fn(&M) -> Option<Mail>,
    /// What a note is about, if it is about a call.
    pub entry: fn(&M::Note) -> Option<Entry>,
}

impl<M: Message> fmt::Debug for Reader<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

#[expect(clippy::expl_impl_clone_on_copy, reason = "a derived one would ask the message to be copied too")]
impl<M: Message> Clone for Reader<M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M: Message> Copy for Reader<M> {}

/// One thing that happened to a call.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Happening {
    /// The client called.
    Called {
        /// What, as its note says it.
        call: Value,
    },
    /// A request was sent.
    Sent {
        /// To whom.
        to: u32,
        /// How often before.
        resend: u32,
        /// The delays of its deliveries, none if it is lost.
        fate: Vec<Nanos>,
    },
    /// A request arrived.
    Arrived {
        /// From whom.
        from: u32,
        /// How often it had been sent before.
        resend: u32,
        /// Which copy of what was sent once, from 0: a copy that the network made if it is not 0.
        copy: u32,
    },
    /// The server decided what to do with it.
    Decided {
        /// What, and why.
        decision: Decision,
    },
    /// The server executed it.
    Executed {
        /// For which time, from 1.
        time: u32,
    },
    /// A leader decided to append it to its log.
    Logged {
        /// Why.
        decision: Decision,
        /// As which entry.
        index: u64,
        /// Of which term.
        term: u64,
    },
    /// The leader that had appended it removed it: another leader's log has something else there.
    Removed {
        /// Which entry it was.
        index: u64,
    },
    /// A server applied the entry, which is committed, and executed the call.
    Applied {
        /// Which entry.
        index: u64,
        /// Which of the call's entries to be executed, from 1.
        time: u32,
    },
    /// A server applied the entry, which is committed, and did not execute the call again.
    PassedOver {
        /// Which entry.
        index: u64,
        /// The entry that was executed, if it is known.
        executed: Option<u64>,
    },
    /// A server that had not applied it took over a state that has it.
    TookOver {
        /// The last entry in that state.
        index: u64,
    },
    /// The client was told to ask somebody else.
    Redirected {
        /// To whom this was sent.
        to: u32,
        /// Whom to ask, if that was known.
        leader: Option<u32>,
        /// The delays of its deliveries.
        fate: Vec<Nanos>,
    },
    /// That arrived.
    RedirectArrived {
        /// From whom.
        from: u32,
    },
    /// A reply was sent.
    Replied {
        /// To whom.
        to: u32,
        /// The delays of its deliveries.
        fate: Vec<Nanos>,
    },
    /// A reply arrived.
    ReplyArrived {
        /// From whom.
        from: u32,
        /// Which copy.
        copy: u32,
    },
    /// A message came to nothing on its way.
    Dropped {
        /// `request`, `reply` or `redirect`.
        mail: &'static str,
        /// Why.
        reason: &'static str,
    },
    /// A node that had to do with it crashed.
    Crashed,
    /// The client's operation ended.
    Concluded {
        /// `ok`, `failed` or `unknown`.
        status: &'static str,
        /// What the client was told, as its note says it.
        result: Value,
    },
}

/// When, where, and what.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Line {
    /// The time of the world.
    pub t: Nanos,
    /// The node.
    pub node: u32,
    /// The event, as in a trace.
    #[serde(serialize_with = "as_text")]
    pub id: EventId,
    /// What happened.
    pub what: Happening,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn as_text<S: Serializer>(id: &EventId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

/// The life of every call of one run.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct Ledger {
    calls: BTreeMap<CallName, Vec<Line>>,
}

impl Ledger {
    /// All calls, by name.
    pub fn calls(&self) -> impl Iterator<Item = (CallName, &[Line])> {
        self.calls.iter().map(|(call, lines)| (*call, &lines[..]))
    }

    /// What happened to a call, in order; `None` if there was none of this name.
    pub fn life(&self, call: CallName) -> Option<&[Line]> {
        self.calls.get(&call).map(Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_written_and_read_alike() {
        for call in [CallName { client: 1, life: 0, call: 17 }, CallName { client: 12, life: 3, call: 4 }] {
            assert_eq!(call.to_string().parse(), Ok(call));
        }
        for wrong in ["", "c1", "1/2", "c/2", "c1/x", "c1./2", "c1.2.3/4"] {
            assert_eq!(wrong.parse::<CallName>(), Err(NoCallName(wrong.to_owned())));
        }
    }
}
