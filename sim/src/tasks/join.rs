//! The end of a task, and its result.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as PollContext, Poll};

use crate::id::Label;

use super::core::{Blocking, Core, CoreRef, Order, Waiting, Who};

/// Awaits the end of a spawned task and gives its result. Dropping it lets the task go on by itself.
///
/// ```
/// # use snowglobe_sim::{Config, World, tasks::Tasks};
/// let program = |_| {
///     Tasks::<()>::new(|rt| async move {
///         let sum = rt.spawn("sum", async { 2 + 3 });
///         assert_eq!(sum.await, 5);
///     })
/// };
/// World::new(Config::new(1), 1, program).run(&mut ());
/// ```
pub struct JoinHandle<T> {
    core: CoreRef,
    end: Rc<End<T>>,
    label: Label,
}

pub(super) struct End<T> {
    label: Label,
    order: Order,
    state: RefCell<State<T>>,
}

struct State<T> {
    value: Option<T>,
    ended: bool,
    waiting: Option<Who>,
}

impl<T> JoinHandle<T> {
    pub(super) fn new(core: CoreRef, end: Rc<End<T>>) -> Self {
        let label = end.label;
        Self { core, end, label }
    }

    /// The task's name.
    pub const fn label(&self) -> Label {
        self.label
    }

    /// Whether the task has ended.
    pub fn is_finished(&self) -> bool {
        let ended = self.end.state.borrow().ended;
        if ended {
            self.core.acquire(&self.end.order);
        } else {
            self.core.touch_order(&self.end.order);
        }
        ended
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").field("label", &self.label).finish_non_exhaustive()
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = T;

    /// # Panics
    /// If it is polled again after it gave its result.
    fn poll(self: Pin<&mut Self>, poll: &mut PollContext<'_>) -> Poll<T> {
        let mut state = self.end.state.borrow_mut();
        self.core.touch_order(&self.end.order);
        if state.ended {
            self.core.acquire(&self.end.order);
            return Poll::Ready(state.value.take().expect("a task gives its result once"));
        }
        state.waiting = Some(self.core.who(poll));
        Poll::Pending
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        self.core.touch_order(&self.end.order);
        self.end.state.borrow_mut().waiting = None;
    }
}

impl<T> End<T> {
    pub(super) fn new(core: &Core, label: Label) -> Rc<Self> {
        let state = RefCell::new(State { value: None, ended: false, waiting: None });
        Rc::new(Self { label, order: core.order(label), state })
    }

    pub(super) fn set(&self, core: &Core, value: T) {
        core.release(&self.order);
        let mut state = self.state.borrow_mut();
        state.value = Some(value);
        state.ended = true;
        if let Some(who) = state.waiting.take() {
            core.wake(&who);
        }
    }
}

impl<T> Blocking for End<T> {
    fn report(&self, _: &Core, say: &mut dyn FnMut(Waiting)) {
        if let Some(who) = &self.state.borrow().waiting {
            let what = format!("task {}", self.label);
            say(Waiting { task: who.task, place: None, what, on: Vec::new() });
        }
    }
}
