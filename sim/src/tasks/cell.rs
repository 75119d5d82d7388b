//! State that tasks share with nothing to order their accesses but what they do themselves, and the report when that
//! is not enough.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as PollContext, Poll};

use crate::id::{EventId, Label};

use super::clocks::Moment;
use super::core::{Core, CoreRef, Finding, TaskRef};
use super::deadlock::at;
use super::schedule::Point;

/// The property that two unordered accesses violate.
pub const DATA_RACE: &str = "data race";

/// A value that the tasks of a node share without a lock: a variable of a Go program. Clone it to share it.
///
/// Every access is a point where other tasks may go first. Two accesses by two tasks, at least one of which writes, and
/// between which nothing passed from the one to the other (a lock, a value in a channel, the end of a task ...), are
/// reported as a violation of the property `data race`, with both tasks and both places: in every run that has them,
/// also if all went well this time, as `go run -race` does. The run goes on.
///
/// What is seen: spawn and join, and everything in this module that a task can wait for. What other crates' futures
/// pass from task to task is not seen.
///
/// ```
/// # use snowglobe_sim::{Config, World, tasks::Tasks};
/// let program = |_| {
///     Tasks::<()>::new(|rt| async move {
///         let hits = rt.cell("hits", 0);
///         let others = hits.clone();
///         let page = rt.spawn("page", async move { others.write(|hits| *hits += 1).await });
///         hits.write(|hits| *hits += 1).await;
///         page.await;
///         assert_eq!(hits.get().await, 2);
///     })
/// };
/// let mut world = World::new(Config::new(1), 1, program);
/// world.run(&mut ());
/// assert_eq!(world.findings()[0].property, "data race");
/// ```
pub struct SharedCell<T>(Rc<Inner<T>>);

/// The future of an access to a [`SharedCell`].
#[must_use = "nothing is accessed until it is awaited"]
pub struct Accessing<'a, T, F> {
    cell: &'a Inner<T>,
    access: Option<F>,
    writes: bool,
    place: &'static Location<'static>,
    point: Point,
}

struct Inner<T> {
    core: CoreRef,
    name: Label,
    key: u64,
    value: RefCell<T>,
    seen: RefCell<Seen>,
}

/// The accesses that a later one could race with.
#[derive(Default)]
struct Seen {
    write: Option<Access>,
    /// Since that write; of those that are ordered, the last.
    reads: Vec<Access>,
    /// The pairs of places that were reported.
    reported: Vec<(&'static Location<'static>, &'static Location<'static>)>,
}

#[derive(Clone, Copy)]
struct Access {
    moment: Moment,
    writes: bool,
    place: &'static Location<'static>,
    event: EventId,
}

impl<T> SharedCell<T> {
    pub(super) fn new(core: &CoreRef, name: Label, value: T) -> Self {
        core.begin_clocks();
        let (value, seen) = (RefCell::new(value), RefCell::default());
        Self(Rc::new(Inner { core: core.clone(), name, key: core.object(name), value, seen }))
    }

    /// Reads the value.
    #[track_caller]
    pub fn read<F, R>(&self, look: F) -> impl Future<Output = R>
    where
        F: FnOnce(&T) -> R,
    {
        self.access(false, |value: &mut T| look(value))
    }

    /// Reads the value, and changes it, in one go. In a Go program that would be two accesses: write it as two where
    /// that is what is to be judged.
    #[track_caller]
    pub fn write<F, R>(&self, change: F) -> Accessing<'_, T, F>
    where
        F: FnOnce(&mut T) -> R,
    {
        self.access(true, change)
    }

    /// A copy of the value.
    #[track_caller]
    pub fn get(&self) -> impl Future<Output = T>
    where
        T: Clone,
    {
        self.read(T::clone)
    }

    /// Replaces the value.
    #[track_caller]
    pub fn set(&self, value: T) -> impl Future<Output = ()> {
        self.write(|place| *place = value)
    }

    #[track_caller]
    fn access<F>(&self, writes: bool, access: F) -> Accessing<'_, T, F> {
        let place = Location::caller();
        Accessing { cell: &self.0, access: Some(access), writes, place, point: Point::new() }
    }
}

impl<T> Clone for SharedCell<T> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<T> fmt::Debug for SharedCell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedCell({})", self.0.name)
    }
}

// The closure is moved, never pinned.
impl<T, F> Unpin for Accessing<'_, T, F> {}

impl<T, F, R> Future for Accessing<'_, T, F>
where
    F: FnOnce(&mut T) -> R,
{
    type Output = R;

    fn poll(mut self: Pin<&mut Self>, poll: &mut PollContext<'_>) -> Poll<R> {
        let Inner { core, value, .. } = self.cell;
        if self.point.gives_way(core, poll) {
            return Poll::Pending;
        }
        let access = self.access.take().expect("an access is not polled again after its end");
        self.cell.see(self.writes, self.place);
        Poll::Ready(access(&mut value.borrow_mut()))
    }
}

impl<T> Drop for Inner<T> {
    fn drop(&mut self) {
        let seen = self.seen.get_mut();
        for access in seen.reads.drain(..).chain(seen.write.take()) {
            self.core.clocks().forget(access.moment);
        }
    }
}

impl<T> Inner<T> {
    fn see(&self, writes: bool, place: &'static Location<'static>) {
        self.core.touch(self.key, writes);
        if let Some(task) = self.core.running() {
            let mut seen = self.seen.borrow_mut();
            seen.see(&self.core, self.name, task, writes, place);
        }
    }
}

impl Seen {
    fn see(
        &mut self,
        core: &CoreRef,
        name: Label,
        task: TaskRef,
        writes: bool,
        place: &'static Location<'static>,
    ) {
        let clocks = core.clocks();
        let moment = clocks.now(task.slot());
        if self.write.is_some_and(|write| write.moment == moment) {
            return;
        }
        let access = Access { moment, writes, place, event: core.event() };
        let unseen = |earlier: &Access| !clocks.has_seen(task.slot(), earlier.moment);
        if let Some(write) = self.write.filter(unseen) {
            self.report(core, name, write, access);
        }
        if writes {
            let mut reads = std::mem::take(&mut self.reads);
            for read in reads.drain(..) {
                if unseen(&read) {
                    self.report(core, name, read, access);
                }
                clocks.forget(read.moment);
            }
            self.reads = reads;
            if let Some(write) = self.write.replace(access) {
                clocks.forget(write.moment);
            }
            clocks.remember(moment);
        } else if self.reads.last().is_none_or(|read| read.moment != moment) {
            self.reads.retain(|read| {
                let stays = unseen(read);
                if !stays {
                    clocks.forget(read.moment);
                }
                stays
            });
            self.reads.push(access);
            clocks.remember(moment);
        }
    }

    #[cold]
    fn report(&mut self, core: &Core, name: Label, earlier: Access, later: Access) {
        let places = (earlier.place, later.place);
        if self.reported.contains(&places) {
            return;
        }
        self.reported.push(places);
        let told = |access: Access| {
            let verb = if access.writes { "wrote" } else { "read" };
            format!("{} {verb} it at {}", core.clocks().label(access.moment), at(access.place))
        };
        let detail =
            format!("cell \"{name}\": {}, {}, and nothing orders the two", told(earlier), told(later));
        core.find(Finding { property: DATA_RACE, detail, evidence: vec![earlier.event, later.event] });
    }
}
