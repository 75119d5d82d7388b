//! Sleeping, giving way, and giving up.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context as PollContext, Poll};

use crate::message::Message;
use crate::time::Nanos;

use super::runtime::Runtime;

/// The future of [`Runtime::sleep`]: a timer of the engine, cancelled when it is dropped.
#[must_use = "nobody sleeps until it is awaited"]
pub struct Sleep<M: Message> {
    rt: Runtime<M>,
    deadline: Nanos,
    /// The name of its timer, once it is set.
    key: Option<u64>,
}

/// The future of [`Runtime::yield_now`].
#[must_use = "a task gives way only when it is awaited"]
#[derive(Debug)]
pub struct Yield {
    gave_way: bool,
}

/// What [`Runtime::timeout`] waited for did not come in time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Elapsed;

impl<M: Message> Sleep<M> {
    pub(super) fn new(rt: Runtime<M>, span: Nanos) -> Self {
        let deadline = rt.time().saturating_add(span);
        Self { rt, deadline, key: None }
    }
}

impl Yield {
    pub(super) const fn new() -> Self {
        Self { gave_way: false }
    }
}

impl<M: Message> Future for Sleep<M> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, poll: &mut PollContext<'_>) -> Poll<()> {
        let core = self.rt.core();
        match self.key {
            Some(key) if core.poll_sleep(key, poll) => {
                self.key = None;
                Poll::Ready(())
            }
            Some(_) => Poll::Pending,
            None => {
                if let Some(place) = core.begin_sleep(poll) {
                    self.rt.set_sleep(place, self.deadline.saturating_sub(self.rt.time()));
                    self.key = Some(place.0);
                }
                Poll::Pending
            }
        }
    }
}

impl<M: Message> Drop for Sleep<M> {
    fn drop(&mut self) {
        if let Some(key) = self.key
            && self.rt.core().end_sleep(key)
        {
            self.rt.cancel_sleep(key);
        }
    }
}

impl<M: Message> fmt::Debug for Sleep<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sleep(until {})", self.deadline)
    }
}

impl Future for Yield {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, poll: &mut PollContext<'_>) -> Poll<()> {
        if self.gave_way {
            return Poll::Ready(());
        }
        self.gave_way = true;
        poll.waker().wake_by_ref();
        Poll::Pending
    }
}

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("time is up")
    }
}

impl std::error::Error for Elapsed {}
