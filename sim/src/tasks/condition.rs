//! Condition variables.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as PollContext, Poll};

use crate::id::Label;

use super::core::{Blocking, Core, CoreRef, Order, Place, Waiting};
use super::mutex::MutexGuard;
use super::wait::{Line, Ticket};

/// Go's `sync.Cond`: waiting, with a lock released meanwhile, until another task says that something changed.
/// Clone it to share it.
///
/// ```
/// # use snowglobe_sim::{Config, World, tasks::Tasks};
/// let program = |_| {
///     Tasks::<()>::new(|rt| async move {
///         let (votes, changed) = (rt.mutex("votes", 0), rt.condition("changed"));
///         for peer in 1..=5 {
///             let (votes, changed) = (votes.clone(), changed.clone());
///             rt.spawn(("ask", peer), async move {
///                 *votes.lock().await += 1;
///                 changed.notify_all();
///             });
///         }
///         let mut seen = votes.lock().await;
///         while *seen < 3 {
///             seen = changed.wait(seen).await;
///         }
///     })
/// };
/// World::new(Config::new(1), 1, program).run(&mut ());
/// ```
#[derive(Clone)]
pub struct Condition(Rc<Inner>);

struct Inner {
    core: CoreRef,
    name: Label,
    order: Order,
    line: RefCell<Line>,
}

struct Called<'a> {
    condition: &'a Inner,
    ticket: Option<Ticket>,
    place: Place,
}

impl Condition {
    pub(super) fn new(core: &CoreRef, name: Label) -> Self {
        let order = core.order(name);
        let inner = Rc::new(Inner { core: core.clone(), name, order, line: RefCell::default() });
        let weak = Rc::downgrade(&inner);
        core.register(weak);
        Self(inner)
    }

    /// Releases the lock, waits to be notified, and takes the lock again. What was waited for may have
    /// changed back meanwhile: ask in a loop.
    #[track_caller]
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> impl Future<Output = MutexGuard<'a, T>> {
        let (mutex, place) = (guard.mutex(), Some(Location::caller()));
        let locked_again = mutex.lock();
        async move {
            // Nobody runs between these two: a task gives way only where it waits.
            drop(guard);
            Called { condition: &self.0, ticket: None, place }.await;
            locked_again.await
        }
    }

    /// Notifies the task that has waited longest, if one waits.
    pub fn notify_one(&self) {
        self.0.core.release(&self.0.order);
        self.0.line.borrow_mut().call_one(&self.0.core);
    }

    /// Notifies all tasks that wait.
    pub fn notify_all(&self) {
        self.0.core.release(&self.0.order);
        self.0.line.borrow_mut().call_all(&self.0.core);
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Condition({})", self.0.name)
    }
}

impl Future for Called<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, poll: &mut PollContext<'_>) -> Poll<()> {
        let condition = self.condition;
        condition.core.touch_order(&condition.order);
        let mut line = condition.line.borrow_mut();
        if self.ticket.is_some_and(|ticket| line.is_called(ticket)) {
            line.leave(&mut self.ticket);
            condition.core.acquire(&condition.order);
            return Poll::Ready(());
        }
        let place = self.place;
        line.wait(&mut self.ticket, 1, place, &condition.core, poll);
        Poll::Pending
    }
}

impl Drop for Called<'_> {
    fn drop(&mut self) {
        self.condition.core.touch_order(&self.condition.order);
        let mut line = self.condition.line.borrow_mut();
        if self.ticket.is_some_and(|ticket| line.is_called(ticket)) {
            // Cancelled after it was notified: the notification is somebody else's.
            line.leave(&mut self.ticket);
            line.call_one(&self.condition.core);
        }
        line.leave(&mut self.ticket);
    }
}

impl Blocking for Inner {
    fn report(&self, _: &Core, say: &mut dyn FnMut(Waiting)) {
        for (task, _, place) in self.line.borrow().tasks() {
            say(Waiting { task, place, what: format!("condition \"{}\"", self.name), on: Vec::new() });
        }
    }
}
