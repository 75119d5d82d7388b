//! Connections like TCP's: ordered, without duplicates, and broken by crashes and partitions.
//!
//! Everything is done by packets between the two endpoints; no state is shared between nodes. A lost segment
//! is sent again after a retransmission timeout, so loss shows as delay. When a connection breaks, its user
//! does not learn which of the messages still under way arrived: the error is ambiguous, as with Go's `net/rpc`.

use std::collections::BTreeMap;

use crate::id::{EventId, NodeId};
use crate::time::{MILLIS, Nanos, SECONDS};

/// A connection: the id of the event that asked for it. The same on both ends.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConnectionId(pub EventId);

/// What a process learns about a connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StreamEvent<M> {
    /// The connection this node asked for is open.
    Opened,
    /// A peer opened a connection to this node.
    Accepted {
        /// The peer.
        from: NodeId,
    },
    /// The next message arrived.
    Received(M),
    /// The peer closed the connection after everything it had sent.
    Closed,
    /// The connection is gone. What was sent on it may or may not have arrived.
    Broken,
}

/// After how long an unacknowledged segment is sent again.
pub(crate) const RETRANSMIT_AFTER: Nanos = 200 * MILLIS;
/// How often, before the connection is given up.
pub(crate) const RETRANSMIT_MAX: u32 = 6;
/// After how long without a way through a connection breaks.
pub(crate) const BREAK_AFTER: Nanos = SECONDS;

/// One node's end of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint<M> {
    pub(crate) peer: NodeId,
    pub(crate) open: bool,
    /// The number of the next segment this end sends.
    pub(crate) next_send: u32,
    /// The number of the next segment this end hands over.
    pub(crate) next_receive: u32,
    /// Segments that arrived before one with a smaller number, or before the connection was open, with the ids of
    /// their arrival and of their send.
    pub(crate) inbox: BTreeMap<u32, (EventId, EventId, Segment<M>)>,
    /// What was sent before the connection was open.
    pub(crate) outbox: Vec<(EventId, Segment<M>)>,
}

impl<M> Endpoint<M> {
    pub(crate) const fn new(peer: NodeId, open: bool) -> Self {
        Self { peer, open, next_send: 0, next_receive: 0, inbox: BTreeMap::new(), outbox: Vec::new() }
    }
}

/// What travels in order on an open connection.
#[derive(Clone, Debug)]
pub(crate) enum Segment<M> {
    Data(M),
    Close,
}

/// What travels between two endpoints.
#[derive(Clone, Debug)]
pub(crate) enum Packet<M> {
    /// Asks to open.
    Open,
    /// Agrees to open.
    Accept,
    /// Carries a segment.
    Segment { number: u32, segment: Segment<M> },
    /// Tells the receiver's end that the connection is gone.
    Break,
    /// Tells an end, some time after a packet of its own could not get through, to give up.
    GiveUp,
    /// Asks the receiver's own end, some time after a partition began, whether there is still no way through.
    Probe,
}
