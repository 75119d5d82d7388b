//! Cancellation that flows from parent to child, with deadlines.

use std::cell::RefCell;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::Location;
use std::pin::pin;
use std::rc::{Rc, Weak};
use std::task::Poll;

use crate::id::Label;
use crate::message::Message;
use crate::time::Nanos;

use super::core::{Blocking, Core, CoreRef, Order, Place, Waiting};
use super::runtime::Runtime;
use super::wait::{Line, Ticket};

/// Go's `context.Context`: work that can be called off. What is made from it by [`Cancellation::child`] is called off
/// with it, not the other way round. Clone it to hand it on.
///
/// ```
/// # use snowglobe_sim::{Config, Either, World, tasks::Tasks};
/// let program = |_| {
///     Tasks::<()>::new(|rt| async move {
///         let request = rt.cancellation("request");
///         let (query, sleeper) = (request.child("query"), rt.clone());
///         let worker = rt.spawn("query", async move {
///             match sleeper.select(query.cancelled(), sleeper.sleep(1_000_000)).await {
///                 Either::Left(()) => sleeper.now(),
///                 Either::Right(()) => unreachable!("it is cancelled before"),
///             }
///         });
///         rt.sleep(1_000).await;
///         request.cancel();
///         assert_eq!(worker.await, 1_000);
///     })
/// };
/// World::new(Config::new(1), 1, program).run(&mut ());
/// ```
pub struct Cancellation<M: Message> {
    rt: Runtime<M>,
    inner: Rc<Inner>,
    /// By the node's own clock.
    deadline: Option<Nanos>,
}

struct Inner {
    core: CoreRef,
    name: Label,
    order: Order,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    cancelled: bool,
    line: Line,
    children: Vec<Weak<Inner>>,
}

/// A place in the line of those who wait to be cancelled.
struct InLine<'a> {
    inner: &'a Inner,
    ticket: Option<Ticket>,
}

impl<M: Message> Cancellation<M> {
    pub(super) fn new(rt: Runtime<M>, name: Label) -> Self {
        let inner = Inner::new(&rt.core_handle(), name);
        Self { rt, inner, deadline: None }
    }

    /// Work that belongs to this.
    pub fn child(&self, name: impl Into<Label>) -> Self {
        let inner = Inner::new(&self.inner.core, name.into());
        self.inner.core.touch_order(&self.inner.order);
        let mut state = self.inner.state.borrow_mut();
        inner.state.borrow_mut().cancelled = state.cancelled;
        state.children.retain(|child| child.strong_count() > 0);
        state.children.push(Rc::downgrade(&inner));
        Self { rt: self.rt.clone(), inner, deadline: self.deadline }
    }

    /// The same, that is called off in `span` nanoseconds by the node's own clock if not before.
    pub fn child_with_deadline(&self, name: impl Into<Label>, span: Nanos) -> Self {
        let own = self.rt.time().saturating_add(span);
        let deadline = self.deadline.map_or(own, |deadline| deadline.min(own));
        Self { deadline: Some(deadline), ..self.child(name) }
    }

    /// Calls it off, and all that belongs to it. Harmless if it is called off already.
    pub fn cancel(&self) {
        self.inner.cancel();
    }

    /// Whether it is called off, or its deadline is over.
    pub fn is_cancelled(&self) -> bool {
        self.inner.is_cancelled() || self.deadline.is_some_and(|deadline| self.rt.now() >= deadline)
    }

    /// Waits until it is called off, or its deadline is over.
    #[track_caller]
    pub fn cancelled(&self) -> impl Future<Output = ()> {
        let place = Some(Location::caller());
        async move {
            let mut called_off = pin!(self.inner.cancelled(place));
            let Some(deadline) = self.deadline else { return called_off.await };
            let mut sleep = pin!(self.rt.sleep(deadline.saturating_sub(self.rt.time())));
            poll_fn(|poll| match called_off.as_mut().poll(poll) {
                Poll::Ready(()) => Poll::Ready(()),
                Poll::Pending => sleep.as_mut().poll(poll),
            })
            .await;
        }
    }
}

impl<M: Message> Clone for Cancellation<M> {
    fn clone(&self) -> Self {
        Self { rt: self.rt.clone(), inner: Rc::clone(&self.inner), deadline: self.deadline }
    }
}

impl<M: Message> fmt::Debug for Cancellation<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cancellation({})", self.inner.name)
    }
}

impl Inner {
    fn new(core: &CoreRef, name: Label) -> Rc<Self> {
        let order = core.order(name);
        let inner = Rc::new(Self { core: core.clone(), name, order, state: RefCell::default() });
        let weak = Rc::downgrade(&inner);
        core.register(weak);
        inner
    }

    fn cancel(&self) {
        self.core.release(&self.order);
        let children = {
            let mut state = self.state.borrow_mut();
            state.cancelled = true;
            state.line.call_all(&self.core);
            std::mem::take(&mut state.children)
        };
        children.iter().filter_map(Weak::upgrade).for_each(|child| child.cancel());
    }

    fn is_cancelled(&self) -> bool {
        let cancelled = self.state.borrow().cancelled;
        if cancelled {
            self.core.acquire(&self.order);
        } else {
            self.core.touch_order(&self.order);
        }
        cancelled
    }

    async fn cancelled(&self, place: Place) {
        let mut in_line = InLine { inner: self, ticket: None };
        poll_fn(|poll| {
            if self.is_cancelled() {
                return Poll::Ready(());
            }
            let mut state = self.state.borrow_mut();
            state.line.wait(&mut in_line.ticket, 1, place, &self.core, poll);
            Poll::Pending
        })
        .await;
    }
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        self.inner.state.borrow_mut().line.leave(&mut self.ticket);
    }
}

impl Blocking for Inner {
    fn report(&self, _: &Core, say: &mut dyn FnMut(Waiting)) {
        for (task, _, place) in self.state.borrow().line.tasks() {
            let what = format!("\"{}\" to be cancelled", self.name);
            say(Waiting { task, place, what, on: Vec::new() });
        }
    }
}
