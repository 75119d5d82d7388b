//! Connections, for tasks.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context as PollContext, Poll};

use crate::id::{EventId, NodeId};
use crate::message::Message;
use crate::schedule::Touch;
use crate::stream::{ConnectionId, StreamEvent};

use super::core::Core;
use super::runtime::{Runtime, Shared};
use super::wait::{Line, Ticket};

/// One end of a connection: ordered, without duplicates, and broken by crashes and partitions. Dropping it
/// closes it.
///
/// ```
/// # use snowglobe_sim::{Config, NodeId, World, tasks::Tasks};
/// let program = |node| {
///     Tasks::<()>::new(move |rt| async move {
///         if node == NodeId(0) {
///             let server = rt.connect(NodeId(1)).await.expect("the network is reliable");
///             server.send(());
///             assert_eq!(server.recv().await, Ok(Some(())));
///         } else {
///             let client = rt.accept().await;
///             while let Ok(Some(())) = client.recv().await {
///                 client.send(());
///             }
///         }
///     })
/// };
/// World::new(Config::new(2), 1, program).run(&mut ());
/// ```
pub struct Connection<M: Message> {
    rt: Runtime<M>,
    id: ConnectionId,
    peer: NodeId,
}

/// The connection is gone. What was sent on it may or may not have arrived.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Broken;

/// The future of [`Runtime::connect`].
#[must_use = "the connection is not open until it is awaited"]
pub struct Connect<M: Message> {
    connection: Option<Connection<M>>,
    ticket: Option<Ticket>,
}

/// The future of [`Runtime::accept`].
#[must_use = "nothing is accepted until it is awaited"]
pub struct Accept<'a, M: Message> {
    rt: &'a Runtime<M>,
    ticket: Option<Ticket>,
}

/// The future of [`Connection::recv`].
#[must_use = "nothing is received until it is awaited"]
pub struct StreamRecv<'a, M: Message> {
    connection: &'a Connection<M>,
    ticket: Option<Ticket>,
}

/// All connections of a node.
pub(super) struct Streams<M> {
    ends: BTreeMap<ConnectionId, End<M>>,
    /// What peers opened and no task has accepted yet, with the event of its arrival.
    accepted: VecDeque<(EventId, ConnectionId, NodeId)>,
    line: Line,
}

struct End<M> {
    open: bool,
    inbox: VecDeque<(EventId, M)>,
    ended: Option<Ended>,
    line: Line,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    Closed,
    Broken,
}

impl<M> Default for Streams<M> {
    fn default() -> Self {
        Self { ends: BTreeMap::new(), accepted: VecDeque::new(), line: Line::default() }
    }
}

impl<M> End<M> {
    const fn new(open: bool, line: Line) -> Self {
        Self { open, inbox: VecDeque::new(), ended: None, line }
    }
}

impl<M> Streams<M> {
    pub(super) fn happen(&mut self, core: &Core, at: EventId, id: ConnectionId, event: StreamEvent<M>) {
        if let StreamEvent::Accepted { from } = event {
            self.ends.insert(id, End::new(true, Line::default()));
            self.accepted.push_back((at, id, from));
            return self.line.call(self.accepted.len(), core);
        }
        let Some(end) = self.ends.get_mut(&id) else { return };
        match event {
            StreamEvent::Received(message) => {
                end.inbox.push_back((at, message));
                return end.line.call(end.inbox.len(), core);
            }
            StreamEvent::Opened | StreamEvent::Accepted { .. } => end.open = true,
            StreamEvent::Closed => end.ended = Some(Ended::Closed),
            StreamEvent::Broken => end.ended = Some(Ended::Broken),
        }
        end.line.call_all(core);
    }

    pub(super) fn are_awaited(&self) -> bool {
        !self.line.is_empty() || self.ends.values().any(|end| !end.line.is_empty())
    }

    /// The connections that are still there.
    pub(super) fn living(&self) -> Vec<ConnectionId> {
        self.ends.iter().filter(|(_, end)| end.ended.is_none()).map(|(id, _)| *id).collect()
    }
}

impl<M: Message> Connection<M> {
    /// Its identity, the same on both ends.
    pub const fn id(&self) -> ConnectionId {
        self.id
    }

    /// Who is at the other end.
    pub const fn peer(&self) -> NodeId {
        self.peer
    }

    /// Sends a message; in vain, and without a word, if the connection is gone.
    pub fn send(&self, message: M) -> EventId {
        self.rt.shared.ctx.borrow_mut().send_on(self.id, message)
    }

    /// Receives the next message, or `None` once the peer has closed the connection.
    ///
    /// # Errors
    /// If the connection broke.
    pub fn recv(&self) -> StreamRecv<'_, M> {
        StreamRecv { connection: self, ticket: None }
    }

    fn take(&self, ticket: &mut Option<Ticket>) -> Poll<Result<Option<M>, Broken>> {
        let shared = &self.rt.shared;
        shared.core.touch_it(Touch::STREAMS);
        let mut streams = shared.streams.made().borrow_mut();
        let Some(end) = streams.ends.get_mut(&self.id) else { return Poll::Pending };
        if end.line.may_take(*ticket, 1, end.inbox.len())
            && let Some((arrival, message)) = end.inbox.pop_front()
        {
            end.line.leave(ticket);
            if end.ended.is_some() {
                end.line.call_all(&shared.core);
            }
            shared.follow(arrival);
            return Poll::Ready(Ok(Some(message)));
        }
        match end.ended {
            Some(_) if !end.inbox.is_empty() => Poll::Pending,
            Some(Ended::Closed) => Poll::Ready(Ok(None)),
            Some(Ended::Broken) => Poll::Ready(Err(Broken)),
            None => Poll::Pending,
        }
    }

    fn with_end<T>(&self, change: impl FnOnce(&mut End<M>, &Core) -> T) -> Option<T> {
        let shared = &self.rt.shared;
        shared.core.touch_it(Touch::STREAMS);
        shared.streams.made().borrow_mut().ends.get_mut(&self.id).map(|end| change(end, &shared.core))
    }
}

impl<M: Message> Drop for Connection<M> {
    fn drop(&mut self) {
        let shared = &self.rt.shared;
        let end = shared.streams.made().borrow_mut().ends.remove(&self.id);
        if end.as_ref().is_some_and(|end| end.ended.is_none()) {
            shared.ctx.borrow_mut().close(self.id);
        }
    }
}

impl<M: Message> Connect<M> {
    pub(super) fn new(rt: Runtime<M>, id: ConnectionId, peer: NodeId) -> Self {
        if !rt.core().is_over() {
            rt.shared.streams.made().borrow_mut().ends.insert(id, End::new(false, Line::default()));
        }
        Self { connection: Some(Connection { rt, id, peer }), ticket: None }
    }
}

impl<'a, M: Message> Accept<'a, M> {
    pub(super) const fn new(rt: &'a Runtime<M>) -> Self {
        Self { rt, ticket: None }
    }
}

impl<M: Message> Future for Connect<M> {
    type Output = Result<Connection<M>, Broken>;

    fn poll(mut self: Pin<&mut Self>, poll: &mut PollContext<'_>) -> Poll<Self::Output> {
        let mut ticket = self.ticket;
        let connection = self.connection.as_ref().expect("a connection is handed over once");
        let outcome = connection.with_end(|end, core| {
            if end.open || end.ended.is_some() {
                end.line.leave(&mut ticket);
                return Poll::Ready(end.ended != Some(Ended::Broken));
            }
            end.line.wait(&mut ticket, 1, None, core, poll);
            Poll::Pending
        });
        self.ticket = ticket;
        match outcome {
            Some(Poll::Ready(true)) => Poll::Ready(Ok(self.connection.take().expect("it was there above"))),
            Some(Poll::Ready(false)) => Poll::Ready(Err(Broken)),
            Some(Poll::Pending) | None => Poll::Pending,
        }
    }
}

impl<M: Message> Future for Accept<'_, M> {
    type Output = Connection<M>;

    fn poll(mut self: Pin<&mut Self>, poll: &mut PollContext<'_>) -> Poll<Connection<M>> {
        let rt = self.rt;
        let Shared { core, streams, .. } = &*rt.shared;
        core.touch_it(Touch::STREAMS);
        let mut streams = streams.made().borrow_mut();
        let streams = &mut *streams;
        if streams.line.may_take(self.ticket, 1, streams.accepted.len())
            && let Some((arrival, id, peer)) = streams.accepted.pop_front()
        {
            streams.line.leave(&mut self.ticket);
            rt.shared.follow(arrival);
            return Poll::Ready(Connection { rt: rt.clone(), id, peer });
        }
        streams.line.wait(&mut self.ticket, 1, None, core, poll);
        Poll::Pending
    }
}

impl<M: Message> Drop for Accept<'_, M> {
    fn drop(&mut self) {
        if self.ticket.is_some() {
            let mut streams = self.rt.shared.streams.made().borrow_mut();
            let streams = &mut *streams;
            streams.line.leave(&mut self.ticket);
            streams.line.call(streams.accepted.len(), self.rt.core());
        }
    }
}

impl<M: Message> Future for StreamRecv<'_, M> {
    type Output = Result<Option<M>, Broken>;

    fn poll(mut self: Pin<&mut Self>, poll: &mut PollContext<'_>) -> Poll<Self::Output> {
        let connection = self.connection;
        let outcome = connection.take(&mut self.ticket);
        connection.with_end(|end, core| match outcome {
            Poll::Ready(_) => end.line.leave(&mut self.ticket),
            Poll::Pending => end.line.wait(&mut self.ticket, 1, None, core, poll),
        });
        outcome
    }
}

impl<M: Message> Drop for StreamRecv<'_, M> {
    fn drop(&mut self) {
        if self.ticket.is_some() {
            self.connection.with_end(|end, core| {
                end.line.leave(&mut self.ticket);
                end.line.call(end.inbox.len(), core);
            });
        }
    }
}

impl<M: Message> fmt::Debug for Connection<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection({} with {})", self.id.0, self.peer)
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection broke; what was sent on it may or may not have arrived")
    }
}

impl std::error::Error for Broken {}
