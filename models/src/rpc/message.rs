//! What clients and servers say to each other, and to their judges.

use std::fmt;

use serde::{Serialize, Serializer};
use sim::{Label, Message};

use super::service::{Call, Reply};

/// A logical call, whatever identifiers its requests carry: for the judges' eyes only. Written `c1/3`: the third call of
/// client 1; `c1.2/3` in the client's life 2.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Tag {
    /// The client's number.
    pub client: u32,
    /// Which life of the client.
    pub life: u32,
    /// Which call of that life, from 1.
    pub call: u32,
}

/// A transaction identifier: what a server tells calls apart by. Written `x1.0.3`: client, life, number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Xid {
    /// The client's number.
    pub client: u32,
    /// Which life of the client: without it, a restarted client's first call is taken for an old one.
    pub life: u32,
    /// A number the client has not used in this life.
    pub number: u32,
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { client, life, call } = self;
        if *life == 0 { write!(f, "c{client}/{call}") } else { write!(f, "c{client}.{life}/{call}") }
    }
}

impl fmt::Display for Xid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { client, life, number } = self;
        write!(f, "x{client}.{life}.{number}")
    }
}

impl Serialize for Tag {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Xid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
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
