//! Wait groups: waiting until a number of tasks are done.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as PollContext, Poll, ready};

use crate::id::Label;

use super::core::{Blocking, Core, CoreRef, Order, Place, Waiting};
use super::schedule::Point;
use super::wait::{Line, Ticket};

/// Go's `sync.WaitGroup`: a counter, and a wait for it to reach zero. Clone it to share it.
///
/// ```
/// # use snowglobe_sim::{Config, World, tasks::Tasks};
/// let program = |_| {
///     Tasks::<()>::new(|rt| async move {
///         let pages = rt.wait_group("pages");
///         for page in 1..=3 {
///             pages.add(1);
///             let pages = pages.clone();
///             rt.spawn(("page", page), async move { pages.done() });
///         }
///         pages.wait().await;
///     })
/// };
/// World::new(Config::new(1), 1, program).run(&mut ());
/// ```
#[derive(Clone)]
pub struct WaitGroup(Rc<Group>);

/// The future of [`WaitGroup::wait`].
#[must_use = "nothing is waited for until it is awaited"]
pub struct Wait<'a> {
    group: &'a Group,
    ticket: Option<Ticket>,
    place: Place,
    point: Point,
}

struct Group {
    core: CoreRef,
    name: Label,
    order: Order,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    count: usize,
    line: Line,
}

impl WaitGroup {
    pub(super) fn new(core: &CoreRef, name: Label) -> Self {
        let order = core.order(name);
        let group = Rc::new(Group { core: core.clone(), name, order, state: RefCell::default() });
        let weak = Rc::downgrade(&group);
        core.register(weak);
        Self(group)
    }

    /// Counts `count` more to wait for. Call it before the tasks it counts are spawned, not in them.
    pub fn add(&self, count: usize) {
        self.0.core.touch_order(&self.0.order);
        self.0.state.borrow_mut().count += count;
    }

    /// Counts one as done.
    ///
    /// # Panics
    /// If nothing is left to be done, as in Go.
    pub fn done(&self) {
        self.0.core.release(&self.0.order);
        let mut state = self.0.state.borrow_mut();
        if state.count == 0 {
            drop(state);
            assert!(self.0.core.is_over(), "wait group \"{}\": more done than were added", self.0.name);
            return;
        }
        state.count -= 1;
        if state.count == 0 {
            state.line.call_all(&self.0.core);
        }
    }

    /// Waits until everything added is done. Ready at once if nothing was added.
    #[inline]
    #[track_caller]
    pub fn wait(&self) -> Wait<'_> {
        Wait { group: &self.0, ticket: None, place: Some(Location::caller()), point: Point::new() }
    }

    /// How many are still to be done.
    pub fn count(&self) -> usize {
        self.0.core.touch_order(&self.0.order);
        self.0.state.borrow().count
    }
}

impl fmt::Debug for WaitGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WaitGroup({}, {} to go)", self.0.name, self.0.state.borrow().count)
    }
}

impl Future for Wait<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, poll: &mut PollContext<'_>) -> Poll<()> {
        let group = self.group;
        ready!(self.point.poll(&group.core, poll));
        group.core.touch_order(&group.order);
        let mut state = group.state.borrow_mut();
        // Who was called stays called, even if the group is used again before the task runs.
        let done = match self.ticket {
            Some(ticket) => state.line.is_called(ticket),
            None => state.count == 0,
        };
        if done {
            state.line.leave(&mut self.ticket);
            group.core.acquire(&group.order);
            return Poll::Ready(());
        }
        let place = self.place;
        state.line.wait(&mut self.ticket, 1, place, &group.core, poll);
        Poll::Pending
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        self.group.core.touch_order(&self.group.order);
        self.group.state.borrow_mut().line.leave(&mut self.ticket);
    }
}

impl Blocking for Group {
    fn report(&self, _: &Core, say: &mut dyn FnMut(Waiting)) {
        let state = self.state.borrow();
        for (task, _, place) in state.line.tasks() {
            let what = format!("wait group \"{}\" ({} to go)", self.name, state.count);
            say(Waiting { task, place, what, on: Vec::new() });
        }
    }
}
