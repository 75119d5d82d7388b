//! Counting semaphores: at most so many at once.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as PollContext, Poll, ready};

use crate::id::Label;

use super::core::{Blocking, Core, CoreRef, Holder, Order, Place, Waiting};
use super::deadlock;
use super::schedule::Point;
use super::wait::{Line, MOST, Ticket};

/// So many permits, given out first come, first served: a task that wants many is not overtaken by those that
/// want few. Clone it to share it.
///
/// ```
/// # use snowglobe_sim::{Config, World, tasks::Tasks};
/// let program = |_| {
///     Tasks::<()>::new(|rt| async move {
///         let slots = rt.semaphore("slots", 2);
///         for page in 1..=10 {
///             let permit = slots.acquire(1).await;
///             let rt_of_page = rt.clone();
///             rt.spawn(("page", page), async move {
///                 rt_of_page.sleep(1_000).await; // at most two at once
///                 drop(permit);
///             });
///         }
///         slots.acquire(2).await; // all of them are done
///         assert_eq!(rt.now(), 5_000);
///     })
/// };
/// World::new(Config::new(1), 1, program).run(&mut ());
/// ```
#[derive(Clone)]
pub struct Semaphore(Rc<Permits>);

/// Permits that were acquired; dropping it releases them.
#[must_use = "dropping a permit releases it"]
pub struct Permit {
    permits: Rc<Permits>,
    count: usize,
    holder: Holder,
}

/// The future of [`Semaphore::acquire`].
#[must_use = "nothing is acquired until it is awaited"]
pub struct Acquire<'a> {
    permits: &'a Rc<Permits>,
    wish: Wish,
}

/// The permits of a semaphore, or the one of a mutex.
pub(super) struct Permits {
    pub(super) core: CoreRef,
    kind: &'static str,
    name: Label,
    order: Order,
    /// Whether one who takes a permit comes after all who released one.
    orders: bool,
    state: RefCell<State>,
}

struct State {
    free: usize,
    line: Line,
    holders: Vec<Holder>,
}

/// What one future wants.
pub(super) struct Wish {
    count: usize,
    ticket: Option<Ticket>,
    place: Place,
    point: Point,
}

impl Semaphore {
    pub(super) fn new(core: &CoreRef, name: Label, permits: usize) -> Self {
        Self(Permits::new(core, "semaphore", name, permits))
    }

    /// Acquires `count` permits at once, when all before in line have theirs.
    #[inline]
    #[track_caller]
    pub fn acquire(&self, count: usize) -> Acquire<'_> {
        Acquire { permits: &self.0, wish: Wish::new(count) }
    }

    /// Acquires `count` permits if they are free and nobody waits.
    #[track_caller]
    pub fn try_acquire(&self, count: usize) -> Option<Permit> {
        let holder = self.0.take(&mut Wish::new(count))?;
        Some(Permit { permits: Rc::clone(&self.0), count, holder })
    }

    /// How many permits are free.
    pub fn available(&self) -> usize {
        self.0.state.borrow().free
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Semaphore({}, {} free)", self.0.name, self.available())
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Permit({} of {})", self.count, self.permits.name)
    }
}

impl Future for Acquire<'_> {
    type Output = Permit;

    fn poll(mut self: Pin<&mut Self>, poll: &mut PollContext<'_>) -> Poll<Permit> {
        let permits = self.permits;
        let count = self.wish.count;
        let taken = permits.poll(&mut self.wish, poll);
        taken.map(|holder| Permit { permits: Rc::clone(permits), count, holder })
    }
}

impl Drop for Acquire<'_> {
    fn drop(&mut self) {
        self.permits.cancel(&mut self.wish);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.permits.release(self.count, self.holder);
    }
}

impl Wish {
    #[track_caller]
    pub(super) const fn new(count: usize) -> Self {
        Self::at(count, Location::caller())
    }

    pub(super) const fn at(count: usize, place: &'static Location<'static>) -> Self {
        Self { count, ticket: None, place: Some(place), point: Point::new() }
    }
}

impl Permits {
    pub(super) fn new(core: &CoreRef, kind: &'static str, name: Label, free: usize) -> Rc<Self> {
        Self::make(core, kind, name, free, true)
    }

    /// Permits that order nobody.
    pub(super) fn unordered(core: &CoreRef, kind: &'static str, name: Label, free: usize) -> Rc<Self> {
        Self::make(core, kind, name, free, false)
    }

    fn make(core: &CoreRef, kind: &'static str, name: Label, free: usize, orders: bool) -> Rc<Self> {
        assert!(free <= MOST, "{kind} \"{name}\" has {free} permits, more than {MOST}");
        let state = State { free, line: Line::default(), holders: Vec::new() };
        let order = core.order(name);
        let permits =
            Rc::new(Self { core: core.clone(), kind, name, order, orders, state: RefCell::new(state) });
        let weak = Rc::downgrade(&permits);
        core.register(weak);
        permits
    }

    pub(super) fn name(&self) -> Label {
        self.name
    }

    pub(super) fn take(&self, wish: &mut Wish) -> Option<Holder> {
        let mut state = self.state.borrow_mut();
        self.core.touch_order(&self.order);
        if !state.line.may_take(wish.ticket, wish.count, state.free) {
            return None;
        }
        if self.orders {
            self.core.acquire(&self.order);
        }
        state.line.leave(&mut wish.ticket);
        state.free -= wish.count;
        let holder = self.core.me(wish.place);
        state.holders.push(holder);
        Some(holder)
    }

    pub(super) fn poll(&self, wish: &mut Wish, poll: &PollContext<'_>) -> Poll<Holder> {
        ready!(wish.point.poll(&self.core, poll));
        if let Some(holder) = self.take(wish) {
            return Poll::Ready(holder);
        }
        self.state.borrow_mut().line.wait(&mut wish.ticket, wish.count, wish.place, &self.core, poll);
        Poll::Pending
    }

    pub(super) fn cancel(&self, wish: &mut Wish) {
        if wish.ticket.is_some() {
            self.core.touch_order(&self.order);
            let mut state = self.state.borrow_mut();
            let state = &mut *state;
            state.line.leave(&mut wish.ticket);
            state.line.call(state.free, &self.core);
        }
    }

    /// Releases what whoever holds it does not release by itself; false if nobody holds anything.
    pub(super) fn release_any(&self) -> bool {
        let holder = self.state.borrow().holders.first().copied();
        holder.is_some_and(|holder| {
            self.release(1, holder);
            true
        })
    }

    pub(super) fn release(&self, count: usize, holder: Holder) {
        if self.orders {
            self.core.release(&self.order);
        } else {
            self.core.touch_order(&self.order);
        }
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        if let Some(index) = state.holders.iter().position(|other| *other == holder) {
            state.holders.remove(index);
        }
        state.free += count;
        state.line.call(state.free, &self.core);
    }
}

impl Blocking for Permits {
    fn report(&self, core: &Core, say: &mut dyn FnMut(Waiting)) {
        let state = self.state.borrow();
        let held = deadlock::holders(core, &state.holders);
        for (task, count, place) in state.line.tasks() {
            let (kind, name, free) = (self.kind, self.name, state.free);
            let what = match kind {
                "lock" | "read-write lock" => format!("{kind} \"{name}\"{held}"),
                _ => format!("{count} of {kind} \"{name}\" ({free} free){held}"),
            };
            say(Waiting { task, place, what, on: state.holders.iter().map(|holder| holder.task).collect() });
        }
    }
}
