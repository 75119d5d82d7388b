//! What clients and servers say to each other, and to their judges.

use serde::Serialize;
use sim::{Label, Message};

use super::service::{Call, Reply};

/// A logical call, whatever identifiers its requests carry: for the judges' eyes only.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
pub struct Tag {
    /// The client's number.
    pub client: u32,
    /// Which life of the client.
    pub life: u32,
    /// Which call of that life, from 1.
    pub call: u32,
}

/// A transaction identifier: what a server tells calls apart by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
pub struct Xid {
    /// The client's number.
    pub client: u32,
    /// Which life of the client: without it, a restarted client's first call is taken for an old one.
    pub life: u32,
    /// A number the client has not used in this life.
    pub number: u32,
}

/// A message between client and server.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RpcMessage {
    /// Execute this.
    Request {
        /// Which call it claims to be.
        xid: Xid,
        /// Which call it is.
        tag: Tag,
        /// How often it was sent before.
        resend: u32,
        /// What to execute.
        call: Call,
    },
    /// It was executed.
    Response {
        /// The identifier of the request that is answered.
        xid: Xid,
        /// What came of it.
        reply: Reply,
    },
}

impl Message for RpcMessage {
    type Note = Note;

    fn label(&self) -> Label {
        match self {
            Self::Request { .. } => Label::new("request"),
            Self::Response { .. } => Label::new("reply"),
        }
    }

    fn size(&self) -> u32 {
        match self {
            Self::Request { .. } => 48,
            Self::Response { .. } => 32,
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
    /// A client gave up waiting.
    GaveUp,
    /// The server executed a call.
    Executed(Tag),
    /// The server recognised a duplicate of a finished call.
    Recognised(Tag),
    /// The server recognised a duplicate of a call that is still executing.
    InProgress(Tag),
    /// The server recovered so many calls from its disk.
    Recovered(u32),
}
