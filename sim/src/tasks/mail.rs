//! What reaches a node from outside: datagrams, and the ends of its syncs.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context as PollContext, Poll};

use crate::disk::SyncError;
use crate::effect::fill;
use crate::id::{EventId, NodeId};
use crate::message::Message;
use crate::schedule::Touch;

use super::core::{Core, TaskRef, Who};
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

/// Datagrams that no task has received yet, and who waits for them.
///
/// Mostly one task receives, and takes what comes before the next comes: so much has room here, in the line of the cache that
/// the event touches anyway. The first time that it does not suffice, all is moved to where there is room for a crowd.
pub(super) struct Mailbox<M> {
    /// The datagram here, where it came from and when. In parts, each of which is read as it was written: what is read as a
    /// whole waits until all of it has reached the cache.
    message: Option<M>,
    from: NodeId,
    /// The number of the last ticket that was given out: that of the receiver, if there is one. No other is held by anybody, so
    /// that it may begin anew.
    last: u32,
    arrival: EventId,
    /// The task that waits. If a datagram is here too, it was called.
    receiver: Option<TaskRef>,
    crowd: Option<Box<Crowd<M>>>,
}

/// Any number of datagrams and of tasks that wait for them.
struct Crowd<M> {
    letters: VecDeque<Letter<M>>,
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
        Self { message: None, from: NodeId(0), arrival: EventId::ROOT, receiver: None, last: 0, crowd: None }
    }
}

impl<M> Mailbox<M> {
    /// Puts a datagram here, and calls whose turn it is. If only one task waits, it is not woken but returned.
    #[inline(always)]
    pub(super) fn put(&mut self, core: &Core, arrival: EventId, from: NodeId, message: M) -> Option<TaskRef> {
        if self.message.is_some() || self.crowd.is_some() {
            return self.crowd().put(core, Letter { arrival, from, message });
        }
        fill(&mut self.message, message);
        (self.from, self.arrival) = (from, arrival);
        self.receiver
    }

    /// The next datagram, if it is the ticket holder's turn.
    #[inline(always)]
    fn take(&mut self, ticket: &mut Option<Ticket>) -> Option<Letter<M>> {
        if let Some(crowd) = &mut self.crowd {
            return crowd.take(ticket);
        }
        if self.message.is_none() || (ticket.is_none() && self.receiver.is_some()) {
            return None;
        }
        let message = self.message.take()?;
        self.receiver = None;
        *ticket = None;
        Some(Letter { arrival: self.arrival, from: self.from, message })
    }

    /// Waits, or goes on waiting.
    #[inline(always)]
    fn wait(&mut self, ticket: &mut Option<Ticket>, core: &Core, poll: &PollContext<'_>) {
        if self.crowd.is_none()
            && (ticket.is_some() || self.receiver.is_none())
            && let Some(task) = core.polled_by_itself(poll)
        {
            self.receiver = Some(task);
            if ticket.is_none() {
                self.last = self.last.wrapping_add(1).max(1);
                *ticket = Some(Ticket::numbered(self.last.into()));
            }
        } else {
            self.crowd().line.wait(ticket, 1, None, core, poll);
        }
    }

    #[cold]
    #[inline(never)]
    fn give_up(&mut self, ticket: &mut Option<Ticket>, core: &Core) {
        if let Some(crowd) = &mut self.crowd {
            crowd.line.leave(ticket);
            crowd.line.call(crowd.letters.len(), core);
        } else {
            self.receiver = None;
        }
    }

    #[inline(never)]
    fn crowd(&mut self) -> &mut Crowd<M> {
        self.crowd.get_or_insert_with(|| {
            let letter = |message| Letter { arrival: self.arrival, from: self.from, message };
            let letters: VecDeque<_> = self.message.take().map(letter).into_iter().collect();
            let line = Line::continuing(self.last.into(), self.receiver.take(), !letters.is_empty());
            Box::new(Crowd { letters, line })
        })
    }

    pub(super) fn is_awaited(&self) -> bool {
        self.receiver.is_some() || self.crowd.as_ref().is_some_and(|crowd| !crowd.line.is_empty())
    }
}

impl<M> Crowd<M> {
    fn put(&mut self, core: &Core, letter: Letter<M>) -> Option<TaskRef> {
        self.letters.push_back(letter);
        let free = self.letters.len();
        let lone = self.line.call_lone(free);
        if lone.is_none() {
            self.line.call(free, core);
        }
        lone
    }

    #[inline(never)]
    fn take(&mut self, ticket: &mut Option<Ticket>) -> Option<Letter<M>> {
        if self.line.take_turn(ticket, 1, self.letters.len()) { self.letters.pop_front() } else { None }
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
}

impl<M: Message> Future for Recv<'_, M> {
    type Output = (NodeId, M);

    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, poll: &mut PollContext<'_>) -> Poll<(NodeId, M)> {
        let shared = self.shared;
        shared.core.touch_it(Touch::MAIL);
        let mut mail = shared.mail.borrow_mut();
        let Some(letter) = mail.take(&mut self.ticket) else {
            mail.wait(&mut self.ticket, &shared.core, poll);
            return Poll::Pending;
        };
        Poll::Ready(shared.open(letter))
    }
}

impl<M: Message> Drop for Recv<'_, M> {
    #[inline]
    fn drop(&mut self) {
        if self.ticket.is_some() {
            self.shared.core.touch_it(Touch::MAIL);
            self.shared.mail.borrow_mut().give_up(&mut self.ticket, &self.shared.core);
        }
    }
}

impl<M: Message> Syncing<M> {
    pub(super) fn new(rt: Runtime<M>, end: EventId) -> Self {
        if !rt.core().is_over() {
            rt.shared.syncs.made().0.borrow_mut().push(UnderWay { end, result: None, who: None });
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
        let mut syncs = shared.syncs.made().0.borrow_mut();
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
        self.rt.shared.syncs.made().0.borrow_mut().retain(|sync| sync.end != self.end);
    }
}
