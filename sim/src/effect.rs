//! What a handler asks for.
//!
//! Effects are values, recorded in order and applied in order by the world, in one place. A crash in the
//! middle of a handler is therefore a prefix of them.

use crate::id::{EventId, Label, NodeId};
use crate::message::Message;
use crate::observe::TaskAction;
use crate::stream::ConnectionId;
use crate::time::Nanos;

/// An operation that the outside world began: the id of its invocation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct OpId(pub EventId);

/// How an operation ended.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Status {
    /// It took effect.
    Ok,
    /// It certainly did not take effect.
    Fail,
    /// The caller does not know.
    Unknown,
}

/// One thing a handler asked for.
#[derive(Clone, Debug)]
pub enum Effect<M: Message> {
    /// Send a datagram.
    Send {
        /// To whom.
        to: NodeId,
        /// What.
        message: M,
    },
    /// Set the timer of this name, in place of one of the same name that is still pending.
    SetTimer {
        /// Its name.
        label: Label,
        /// In how much time by the node's own clock it fires.
        delay: Nanos,
    },
    /// Cancel the timer of this name, if it is pending.
    CancelTimer {
        /// Its name.
        label: Label,
    },
    /// Replace a file.
    Write {
        /// The file.
        file: Label,
        /// Its new content.
        bytes: Vec<u8>,
    },
    /// Append to a file.
    Append {
        /// The file.
        file: Label,
        /// What is added at its end.
        bytes: Vec<u8>,
    },
    /// Remove a file.
    Remove {
        /// The file.
        file: Label,
    },
    /// Make everything written so far durable, and say so by `on_sync`.
    Sync {
        /// Its name.
        label: Label,
    },
    /// An operation begins.
    Invoke {
        /// The call.
        note: M::Note,
    },
    /// An operation ended.
    Return {
        /// Which.
        of: OpId,
        /// How.
        status: Status,
        /// The result.
        note: M::Note,
    },
    /// Tell the judges something.
    Note {
        /// What.
        note: M::Note,
    },
    /// A property of the process itself is violated.
    Violate {
        /// The property.
        property: &'static str,
        /// In words.
        detail: String,
    },
    /// Open a connection.
    Connect {
        /// With whom.
        peer: NodeId,
    },
    /// Send on a connection.
    StreamSend {
        /// Which.
        connection: ConnectionId,
        /// What.
        message: M,
    },
    /// Close a connection.
    StreamClose {
        /// Which.
        connection: ConnectionId,
    },
    /// Something happened to a task.
    Task {
        /// Its name.
        label: Label,
        /// What.
        action: TaskAction,
    },
}

/// An effect with its identity.
#[derive(Clone, Debug)]
pub(crate) struct Recorded<M: Message> {
    pub(crate) id: EventId,
    pub(crate) by: EventId,
    pub(crate) effect: Effect<M>,
}
