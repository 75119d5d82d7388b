//! What reaches a node from outside: datagrams, and the ends of its syncs.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context as PollContext, Poll};

use crate::disk::SyncError;
use crate::id::{EventId, NodeId};
use crate::message::Message;
use crate::schedule::Touch;

use super::core::{Core, TaskRef, Who};
use super::fifo::Fifo;
use super::runtime::{Runtime, Shared};
use super::wait::{Line, Ticket};

/// The future of [`Runtime::recv`].
#[must_use = "nothing is received until it is awaited"]
pub struct Recv<'a, M: Message> {
    shared: &'a Shared<M>,
    ticket: Option<Ticket>,
}

/// The future of [`Runtime::sync`].
#[must_use = "whether the sync ended well is known only when it is awaited"]
pub struct Syncing<M: Message> {
    rt: Runtime<M>,
    /// The event that ends it.
    end: EventId,
}

/// Datagrams that no task has received yet.
pub(super) struct Mailbox<M> {
    letters: Fifo<Letter<M>>,
    line: Line,
}

struct Letter<M> {
    arrival: EventId,
    from: NodeId,
    message: M,
}

/// The syncs under way that somebody may wait for.
#[derive(Default)]
pub(super) struct Syncs(RefCell<Vec<UnderWay>>);

struct UnderWay {
    end: EventId,
    result: Option<Result<(), SyncError>>,
    who: Option<Who>,
}

impl<M> Default for Mailbox<M> {
    fn default() -> Self {
        Self { letters: Fifo::default(), line: Line::default() }
    }
}

impl<M> Mailbox<M> {
    /// Puts a datagram here, and calls whose turn it is. If only one task waits, it is not woken but returned.
    #[inline(always)]
    pub(super) fn put(&mut self, core: &Core, arrival: EventId, from: NodeId, message: M) -> Option<TaskRef> {
        self.letters.push_back(Letter { arrival, from, message });
        let free = self.letters.len();
        let lone = self.line.call_lone(free);
        if lone.is_none() {
            self.line.call(free, core);
        }
        lone
    }

    /// The next datagram, if it is the ticket holder's turn.
    #[inline(always)]
    fn take(&mut self, ticket: &mut Option<Ticket>) -> Option<Letter<M>> {
        if self.line.take_turn(ticket, 1, self.letters.len()) { self.letters.pop_front() } else { None }
    }

    pub(super) fn is_awaited(&self) -> bool {
        !self.line.is_empty()
    }
}

impl<M: Message> Shared<M> {
    /// Takes the next datagram if no waiting task is meant to get it.
    pub(super) fn try_take(&self) -> Option<(NodeId, M)> {
        self.core.touch_it(Touch::MAIL);
        let letter = self.mail.borrow_mut().take(&mut None)?;
        Some(self.open(letter))
    }

    /// The running task goes on from the arrival of what it took.
    #[inline(always)]
    fn open(&self, Letter { arrival, from, message }: Letter<M>) -> (NodeId, M) {
        self.follow(arrival);
        (from, message)
    }
}

impl<'a, M: Message> Recv<'a, M> {
    pub(super) const fn new(shared: &'a Shared<M>) -> Self {
        Self { shared, ticket: None }
    }

    #[cold]
    #[inline(never)]
    fn give_up(&mut self) {
        self.shared.core.touch_it(Touch::MAIL);
        let mut mail = self.shared.mail.borrow_mut();
        let mail = &mut *mail;
        mail.line.leave(&mut self.ticket);
        mail.line.call(mail.letters.len(), &self.shared.core);
    }
}

impl<M: Message> Future for Recv<'_, M> {
    type Output = (NodeId, M);

    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, poll: &mut PollContext<'_>) -> Poll<(NodeId, M)> {
        let shared = self.shared;
        shared.core.touch_it(Touch::MAIL);
        let mut mail = shared.mail.borrow_mut();
        let Some(letter) = mail.take(&mut self.ticket) else {
            mail.line.wait(&mut self.ticket, 1, None, &shared.core, poll);
            return Poll::Pending;
        };
        Poll::Ready(shared.open(letter))
    }
}

impl<M: Message> Drop for Recv<'_, M> {
    #[inline]
    fn drop(&mut self) {
        if self.ticket.is_some() {
            self.give_up();
        }
    }
}

impl<M: Message> Syncing<M> {
    pub(super) fn new(rt: Runtime<M>, end: EventId) -> Self {
        if !rt.core().is_over() {
            rt.shared.syncs.0.borrow_mut().push(UnderWay { end, result: None, who: None });
        }
        Self { rt, end }
    }
}

impl Syncs {
    pub(super) fn finish(&self, core: &Core, end: EventId, result: Result<(), SyncError>) {
        if let Some(sync) = self.0.borrow_mut().iter_mut().find(|sync| sync.end == end) {
            sync.result = Some(result);
            if let Some(who) = sync.who.take() {
                core.wake(&who);
            }
        }
    }

    pub(super) fn are_awaited(&self) -> bool {
        self.0.borrow().iter().any(|sync| sync.who.is_some())
    }
}

impl<M: Message> Future for Syncing<M> {
    type Output = Result<(), SyncError>;

    fn poll(self: Pin<&mut Self>, poll: &mut PollContext<'_>) -> Poll<Self::Output> {
        let shared = &self.rt.shared;
        shared.core.touch_it(Touch::DISK);
        let mut syncs = shared.syncs.0.borrow_mut();
        let Some(sync) = syncs.iter_mut().find(|sync| sync.end == self.end) else { return Poll::Pending };
        if let Some(result) = sync.result {
            return Poll::Ready(result);
        }
        sync.who = Some(shared.core.who(poll));
        Poll::Pending
    }
}

impl<M: Message> Drop for Syncing<M> {
    fn drop(&mut self) {
        self.rt.shared.syncs.0.borrow_mut().retain(|sync| sync.end != self.end);
    }
}
