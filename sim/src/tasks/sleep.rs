//! Sleeping, giving way, and giving up.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context as PollContext, Poll};

use crate::message::Message;
use crate::time::Nanos;

use super::core::Core;
use super::runtime::Runtime;
use super::schedule::Point;

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
pub struct Yield<'a> {
    core: &'a Core,
    point: Point,
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

impl<'a> Yield<'a> {
    pub(super) const fn new(core: &'a Core) -> Self {
        Self { core, point: Point::new() }
    }
}

impl fmt::Debug for Yield<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Yield")
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

impl Future for Yield<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, poll: &mut PollContext<'_>) -> Poll<()> {
        let Self { core, point } = &mut *self;
        if point.gives_way(core, poll) { Poll::Pending } else { Poll::Ready(()) }
    }
}

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("time is up")
    }
}

impl std::error::Error for Elapsed {}
