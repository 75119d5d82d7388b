//! What clients and servers say to each other, and to their judges.

use std::fmt;

use check::ledger::{Decision, Entry, Mail, Reader};
use serde::{Serialize, Serializer};
use sim::{Label, Message};

use super::service::{Call, Reply};

/// A logical call, whatever identifiers its requests carry: for the judges' eyes only.
pub type Tag = check::CallName;

/// A transaction identifier: what a server tells calls apart by. Written `x1.0.3`: client, life, number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Xid {
    /// The client's number; of a session, the session's.
    pub client: u32,
    /// Which life of the client: without it, a restarted client's first call is taken for an old one. Of a session, in
    /// which life of the server it was opened.
    pub life: u32,
    /// A number the client has not used in this life.
    pub number: u32,
}

impl fmt::Display for Xid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { client, life, number } = self;
        write!(f, "x{client}.{life}.{number}")
    }
}

impl Serialize for Xid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What a client wants to be executed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
pub struct Request {
    /// Which call it claims to be.
    pub xid: Xid,
    /// Which call it is.
    pub tag: Tag,
    /// How often it was sent before.
    pub resend: u32,
    /// What to execute.
    pub call: Call,
    /// Up to which number the client needs no replies any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<u32>,
    /// To which incarnation of the server it is bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bound: Option<u32>,
}

/// A question to be bound, one of many.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug, Serialize)]
pub struct Asking {
    /// In which life of the client.
    pub life: u32,
    /// Which of that life.
    pub number: u32,
}

/// Why a server does not say whether it executed a call.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// It may have known the call, and forgotten it.
    Forgotten,
    /// The call is bound to an older incarnation of the server.
    OldIncarnation,
}

/// A message between client and server.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RpcMessage {
    /// Who are you, and who am I to you?
    Bind(Asking),
    /// The answer.
    Bound {
        /// To which question. Who takes a late copy of an old answer for his own shares a session with his former life.
        asking: Asking,
        /// The server's incarnation.
        incarnation: u32,
        /// The client's session.
        session: u32,
    },
    /// Execute this.
    Request(Request),
    /// It was executed.
    Response {
        /// The identifier of the request that is answered.
        xid: Xid,
        /// Which call it is that is answered.
        tag: Tag,
        /// What came of it.
        reply: Reply,
    },
    /// Nobody will tell whether it was executed.
    Refused {
        /// The identifier of the request that is refused.
        xid: Xid,
        /// Which call it is.
        tag: Tag,
        /// Why.
        why: Refusal,
    },
}

impl Message for RpcMessage {
    type Note = Note;

    fn label(&self) -> Label {
        Label::new(match self {
            Self::Bind(_) => "bind",
            Self::Bound { .. } => "bound",
            Self::Request(_) => "request",
            Self::Response { .. } => "reply",
            Self::Refused { .. } => "refusal",
        })
    }

    /// What a plain encoding takes; tags are for the judges and not counted.
    fn size(&self) -> u32 {
        match self {
            Self::Bind(_) => 12,
            Self::Request(request) => {
                40 + 4 * (u32::from(request.acknowledged.is_some()) + u32::from(request.bound.is_some()))
            }
            Self::Response { .. } => 32,
            Self::Bound { .. } | Self::Refused { .. } => 20,
        }
    }
}

/// What the judges are told.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Note {
    /// A client calls.
    Call {
        /// Which call.
        tag: Tag,
        /// What.
        call: Call,
    },
    /// A client's call returned.
    Reply(Reply),
    /// A client gave up waiting, or its connection broke.
    GaveUp,
    /// A client's call was refused.
    Refused(Refusal),
    /// A client's put was answered "wrong version" after a resend: it may have been the put itself that changed it.
    Maybe,
    /// The server takes a request for new.
    New(Tag),
    /// The server executed a call.
    Executed(Tag),
    /// The server recognised a duplicate of a finished call.
    Recognised(Tag),
    /// The server recognised a duplicate of a call that is still executing.
    InProgress(Tag),
    /// The server refused a call that it may have forgotten.
    Forgotten(Tag),
    /// The server refused a call that is bound to an older incarnation.
    OldIncarnation(Tag),
    /// The server recovered so many calls from its disk.
    Recovered(u32),
}

/// How the ledger reads these messages and notes.
pub const READER: Reader<RpcMessage> = Reader { mail, entry };

fn mail(message: &RpcMessage) -> Option<Mail> {
    match message {
        RpcMessage::Request(request) => Some(Mail::Request { call: request.tag, resend: request.resend }),
        RpcMessage::Response { tag, .. } | RpcMessage::Refused { tag, .. } => {
            Some(Mail::Reply { call: *tag })
        }
        RpcMessage::Bind(_) | RpcMessage::Bound { .. } => None,
    }
}

fn entry(note: &Note) -> Option<Entry> {
    Some(match *note {
        Note::Call { tag, .. } => Entry::Called(tag),
        Note::New(tag) => Entry::Decided(tag, Decision::New),
        Note::Executed(tag) => Entry::Executed(tag),
        Note::Recognised(tag) => Entry::Decided(tag, Decision::Done),
        Note::InProgress(tag) => Entry::Decided(tag, Decision::InProgress),
        Note::Forgotten(tag) => Entry::Decided(tag, Decision::Forgotten),
        Note::OldIncarnation(tag) => Entry::Decided(tag, Decision::OldIncarnation),
        Note::Reply(_) | Note::GaveUp | Note::Refused(_) | Note::Maybe | Note::Recovered(_) => return None,
    })
}
