//! The life of every logical call: who asked, how often it was sent, what arrived and in which copy, what the server made
//! of each arrival and why, when it took effect, and what the client concluded.
//!
//! The ledger is an observer, and knows no protocol: a [`Reader`] tells it which call a message or a note is about. What a
//! server cannot know about itself the ledger adds from what it has seen: that a request is taken for new because the
//! memory of its first execution was [lost in a crash](Decision::LostInCrash), or because it was [not
//! recognised](Decision::NotRecognised).
//!
//! Deliberately absent: judging. See [`crate::delivery`] for that.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use serde_json::Value;
use sim::{DropReason, EventId, Message, Nanos, NodeId, Observer, OpId, Record, Stamp, Status};

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
    /// The call is executing.
    InProgress,
    /// The call was executed: it is answered from memory.
    Done,
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
            Self::InProgress => "in progress",
            Self::Done => "done: answered from memory",
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
    /// A request or a reply came to nothing on its way.
    Dropped {
        /// Which of the two.
        reply: bool,
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

/// Writes a [`Ledger`] while a run goes on.
#[derive(Debug)]
pub struct Bookkeeper<M: Message> {
    reader: Reader<M>,
    ledger: Ledger,
    operations: BTreeMap<OpId, CallName>,
    /// By the id of a send: what was sent, and how often it has arrived.
    under_way: BTreeMap<EventId, (Mail, u32)>,
    /// By call: the times it was executed, and on which node and in which of its lives it was last.
    executed: BTreeMap<CallName, (u32, NodeId, u32)>,
    /// By node: which life this is, and which calls have to do with it.
    lives: BTreeMap<NodeId, u32>,
}

impl<M: Message> Bookkeeper<M> {
    /// With nothing written yet.
    pub const fn new(reader: Reader<M>) -> Self {
        Self {
            reader,
            ledger: Ledger { calls: BTreeMap::new() },
            operations: BTreeMap::new(),
            under_way: BTreeMap::new(),
            executed: BTreeMap::new(),
            lives: BTreeMap::new(),
        }
    }

    /// What was written.
    pub fn finish(self) -> Ledger {
        self.ledger
    }

    fn write(&mut self, call: CallName, stamp: Stamp, what: Happening) {
        let line = Line { t: stamp.time, node: stamp.node.0, id: stamp.id, what };
        self.ledger.calls.entry(call).or_default().push(line);
    }

    fn send(&mut self, stamp: Stamp, to: NodeId, fate: &[Nanos], mail: Mail) {
        self.under_way.insert(stamp.id, (mail, 0));
        let fate = fate.to_vec();
        match mail {
            Mail::Request { call, resend } => {
                self.write(call, stamp, Happening::Sent { to: to.0, resend, fate });
            }
            Mail::Reply { call } => self.write(call, stamp, Happening::Replied { to: to.0, fate }),
        }
    }

    fn receive(&mut self, stamp: Stamp, from: NodeId, mail: Mail) {
        let (_, arrivals) = self.under_way.entry(stamp.by).or_insert((mail, 0));
        let copy = *arrivals;
        *arrivals += 1;
        match mail {
            Mail::Request { call, resend } => {
                self.write(call, stamp, Happening::Arrived { from: from.0, resend, copy });
            }
            Mail::Reply { call } => self.write(call, stamp, Happening::ReplyArrived { from: from.0, copy }),
        }
    }

    fn entry(&mut self, stamp: Stamp, entry: Entry) {
        let life = self.lives.get(&stamp.node).copied().unwrap_or(0);
        match entry {
            Entry::Called(_) => {}
            Entry::Decided(call, decision) => {
                let decision = match (decision, self.executed.get(&call)) {
                    (Decision::New, Some((_, node, then))) if *node == stamp.node && *then < life => {
                        Decision::LostInCrash
                    }
                    (Decision::New, Some((_, node, _))) if *node == stamp.node => Decision::NotRecognised,
                    (decision, _) => decision,
                };
                self.write(call, stamp, Happening::Decided { decision });
            }
            Entry::Executed(call) => {
                let executed = self.executed.entry(call).or_insert((0, stamp.node, life));
                *executed = (executed.0 + 1, stamp.node, life);
                let time = executed.0;
                self.write(call, stamp, Happening::Executed { time });
            }
        }
    }

    /// A crash is written into the life of each call that its node called or executed and that is not over.
    fn crash(&mut self, stamp: Stamp) {
        let touched = |lines: &Vec<Line>| {
            let over = lines.iter().any(|line| matches!(line.what, Happening::Concluded { .. }));
            !over && lines.iter().any(|line| line.node == stamp.node.0)
        };
        let calls: Vec<CallName> =
            self.ledger.calls.iter().filter(|(_, lines)| touched(lines)).map(|(call, _)| *call).collect();
        for call in calls {
            self.write(call, stamp, Happening::Crashed);
        }
    }
}

impl<M: Message<Note: Serialize>> Observer<M> for Bookkeeper<M> {
    fn observe(&mut self, stamp: Stamp, record: &Record<'_, M>) {
        let text = |note: &M::Note| serde_json::to_value(note).expect("a note is plain data");
        match *record {
            Record::Boot { incarnation } => {
                self.lives.insert(stamp.node, incarnation);
            }
            Record::Crash { .. } => self.crash(stamp),
            Record::Send { to, fate, message, .. } => {
                if let Some(mail) = (self.reader.mail)(message) {
                    self.send(stamp, to, fate, mail);
                }
            }
            Record::Receive { from, message, .. } => {
                if let Some(mail) = (self.reader.mail)(message) {
                    self.receive(stamp, from, mail);
                }
            }
            Record::Drop { reason, .. } => {
                let Some((mail, _)) = self.under_way.get(&stamp.by) else { return };
                let (call, reply) = match *mail {
                    Mail::Request { call, .. } => (call, false),
                    Mail::Reply { call } => (call, true),
                };
                self.write(call, stamp, Happening::Dropped { reply, reason: drop_reason(reason) });
            }
            Record::Invoke { note } => {
                if let Some(Entry::Called(call)) = (self.reader.entry)(note) {
                    self.operations.insert(OpId(stamp.id), call);
                    self.write(call, stamp, Happening::Called { call: text(note) });
                }
            }
            Record::Return { of, status, note } => {
                let Some(call) = self.operations.get(&of).copied() else { return };
                let status = match status {
                    Status::Ok => "ok",
                    Status::Fail => "failed",
                    Status::Unknown => "unknown",
                };
                self.write(call, stamp, Happening::Concluded { status, result: text(note) });
            }
            Record::Note { note } => {
                if let Some(entry) = (self.reader.entry)(note) {
                    self.entry(stamp, entry);
                }
            }
            _ => {}
        }
    }
}

const fn drop_reason(reason: DropReason) -> &'static str {
    match reason {
        DropReason::Down => "the receiver was down",
        DropReason::Partition => "a partition stopped it",
        DropReason::Corrupt => "it was damaged on the way",
        DropReason::QueueFull => "the link's queue was full",
        DropReason::Closed => "its connection was gone",
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
