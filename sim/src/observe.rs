//! What a run shows to whoever watches it.
//!
//! An observer is a type parameter of the step, so that a run nobody watches pays nothing. Records borrow:
//! text is made by the observer, if at all.

use crate::disk::SyncError;
use crate::effect::{OpId, Status};
use crate::id::{EventId, Label, NodeId};
use crate::message::Message;
use crate::stream::ConnectionId;
use crate::time::Nanos;

/// When, where, which, and why.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamp {
    /// Virtual time.
    pub time: Nanos,
    /// The node it happened on.
    pub node: NodeId,
    /// The event's id.
    pub id: EventId,
    /// The id of its cause; [`EventId::ROOT`] for what begins outside the world.
    pub by: EventId,
}

/// Why a message that was sent did not reach a handler.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum DropReason {
    /// The receiving node was down.
    Down,
    /// A partition lay between the nodes when it should have arrived.
    Partition,
    /// It was damaged on the way and the receiver noticed.
    Corrupt,
    /// The link's queue was full.
    QueueFull,
    /// The connection it belonged to was no longer open.
    Closed,
}

/// What happened to a disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DiskAction<'a> {
    /// A file was replaced by these bytes; not yet durable.
    Write(&'a [u8]),
    /// These bytes were appended to a file; not yet durable.
    Append(&'a [u8]),
    /// A file was removed; not yet durable.
    Remove,
    /// The disk was full: the write or append did nothing.
    Full,
    /// A sync was asked for.
    Sync,
    /// A sync ended.
    Synced(Result<(), SyncError>),
    /// A crash lost this many of the unsynced changes, and tore one if `torn`.
    Lost {
        /// Changes that are gone.
        changes: u32,
        /// Whether the first of them survived in part.
        torn: bool,
    },
}

/// What happened to a task.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum TaskAction {
    /// It was spawned.
    Spawn,
    /// It ended.
    End,
}

/// One thing that happened.
#[derive(Debug)]
pub enum Record<'a, M: Message> {
    /// A node started.
    Boot {
        /// Which life this is, from 0.
        incarnation: u32,
    },
    /// A node stopped and lost what was volatile.
    Crash {
        /// The life that ended.
        incarnation: u32,
        /// If it fell in the middle of a handler: how many of the handler's effects were applied.
        after: Option<u32>,
    },
    /// A message was sent.
    Send {
        /// To whom.
        to: NodeId,
        /// The message's label.
        label: Label,
        /// The delays of its deliveries: none if lost, several if duplicated.
        fate: &'a [Nanos],
        /// The connection it travels on, if it is not a datagram.
        connection: Option<ConnectionId>,
        /// The message.
        message: &'a M,
    },
    /// A message was handed to a process.
    Receive {
        /// From whom.
        from: NodeId,
        /// The message's label.
        label: Label,
        /// The connection it came on, if it was not a datagram.
        connection: Option<ConnectionId>,
        /// The message as it arrived.
        message: &'a M,
    },
    /// A delivery came to nothing.
    Drop {
        /// From whom.
        from: NodeId,
        /// The message's label.
        label: Label,
        /// Why.
        reason: DropReason,
    },
    /// A timer was set.
    Timer {
        /// Its name.
        label: Label,
        /// In how much time of the world it fires.
        delay: Nanos,
    },
    /// A timer fired.
    Fire {
        /// Its name.
        label: Label,
    },
    /// A fault struck this node, or ended.
    Fault {
        /// Its name, such as `partition` or `heal`.
        label: Label,
    },
    /// The outside world began an operation.
    Invoke {
        /// The call.
        note: &'a M::Note,
    },
    /// An operation ended.
    Return {
        /// The invocation.
        of: OpId,
        /// How it ended.
        status: Status,
        /// The result.
        note: &'a M::Note,
    },
    /// A decision that differs from the benign default and that no other record tells.
    Pick {
        /// What was decided.
        label: Label,
        /// How.
        value: u64,
    },
    /// A property was judged.
    Check {
        /// Its name.
        property: &'a str,
        /// Whether it held.
        holds: bool,
        /// The events that show it.
        evidence: &'a [EventId],
        /// In words.
        detail: &'a str,
    },
    /// A connection was asked for, opened, or broke.
    Stream {
        /// What: `connect`, `open`, `accept`, `close`, `broken`.
        label: Label,
        /// With whom.
        peer: NodeId,
        /// Which.
        connection: ConnectionId,
    },
    /// Something happened to the node's disk.
    Disk {
        /// The file, or the name of the sync.
        label: Label,
        /// What.
        action: DiskAction<'a>,
    },
    /// Something happened to a task of the node.
    Task {
        /// The task's name.
        label: Label,
        /// What.
        action: TaskAction,
    },
    /// The process left a note.
    Note {
        /// The note.
        note: &'a M::Note,
    },
}

/// Somebody who watches a run.
pub trait Observer<M: Message> {
    /// Whether anything is observed at all. False makes the engine skip even the preparation of records.
    const ACTIVE: bool = true;

    /// Called for everything that happens, in order.
    fn observe(&mut self, stamp: Stamp, record: &Record<'_, M>);
}

impl<M: Message> Observer<M> for () {
    const ACTIVE: bool = false;

    #[inline(always)]
    fn observe(&mut self, _: Stamp, _: &Record<'_, M>) {}
}

impl<M: Message, A: Observer<M>, B: Observer<M>> Observer<M> for (A, B) {
    const ACTIVE: bool = A::ACTIVE || B::ACTIVE;

    #[inline(always)]
    fn observe(&mut self, stamp: Stamp, record: &Record<'_, M>) {
        self.0.observe(stamp, record);
        self.1.observe(stamp, record);
    }
}

impl<M: Message, O: Observer<M>> Observer<M> for &mut O {
    const ACTIVE: bool = O::ACTIVE;

    #[inline(always)]
    fn observe(&mut self, stamp: Stamp, record: &Record<'_, M>) {
        (**self).observe(stamp, record);
    }
}
