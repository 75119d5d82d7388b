//! What every task of a node shares: the tasks themselves, who is ready, who sleeps, and what can block.
//!
//! Nothing here knows the protocol's message type, so that a channel or a mutex does not either. No borrow of
//! a cell is held while a future is polled or dropped: both run code of the user's, which comes back here.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::iter;
use std::mem::offset_of;
use std::num::NonZeroU64;
use std::ops::Deref;
use std::panic::Location;
use std::pin::Pin;
use std::ptr;
use std::rc::{Rc, Weak};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context as PollContext, Wake, Waker};

use crate::context::Likes;
use crate::id::{EventId, Kind, Label};
use crate::schedule::{Touch, Watch};
use crate::world::{fetch_around, fetch_ends};

use super::clocks::{Clock, Clocks};
use super::seldom::Seldom;

/// One task of a node, for as long as it lives: the number of its slot, and above it which of the slot's tasks it is,
/// counted from 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct TaskRef(NonZeroU64);

impl TaskRef {
    /// The main task, the only one in its slot.
    const MAIN: Self = Self::first_in(0);

    const fn first_in(slot: u32) -> Self {
        Self(NonZeroU64::new((1 << 32) | slot as u64).expect("tasks of a slot are counted from 1"))
    }

    const fn next(self) -> Self {
        match self.0.checked_add(1 << 32) {
            Some(next) => Self(next),
            None => Self::first_in(self.slot()),
        }
    }

    #[inline(always)]
    pub(super) const fn slot(self) -> u32 {
        self.0.get() as u32
    }
}

/// Where in the program a task did something, if that is known.
pub(super) type Place = Option<&'static Location<'static>>;

/// A task with its name, which outlives it: who holds a lock, and since where.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Holder {
    pub(super) task: Option<TaskRef>,
    pub(super) label: Label,
    pub(super) place: Place,
}

/// Whom to wake: a task, by way of a foreign waker if a future of another crate stands between.
#[derive(Debug)]
pub(super) struct Who {
    pub(super) task: Option<TaskRef>,
    /// `None` if waking means to poll the task itself, which then costs no atomic operation. Boxed, as most are `None`.
    through: Option<Box<Waker>>,
}

impl Who {
    pub(super) const fn own(task: TaskRef) -> Self {
        Self { task: Some(task), through: None }
    }

    /// The task, if to wake it takes no waker.
    #[inline(always)]
    pub(super) fn own_task(&self) -> Option<TaskRef> {
        if self.through.is_none() { self.task } else { None }
    }
}

/// Something wrong that was seen while the program ran, and that does not end the run.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) property: &'static str,
    pub(super) detail: String,
    pub(super) evidence: Vec<EventId>,
}

/// What is the same about everything by which tasks wait for each other: what it is called where touches are compared,
/// and what whoever passes by it has seen.
#[derive(Debug)]
pub(super) struct Order {
    key: u64,
    clock: RefCell<Clock>,
}

/// Something a task can wait for.
pub(super) trait Blocking {
    /// Says of each waiting task what it waits for.
    fn report(&self, core: &Core, say: &mut dyn FnMut(Waiting));
}

/// A task that waits for something.
pub(super) struct Waiting {
    pub(super) task: Option<TaskRef>,
    pub(super) place: Place,
    /// In words that follow "waits for".
    pub(super) what: String,
    /// The tasks that could end its wait, if only they could.
    pub(super) on: Vec<Option<TaskRef>>,
}

pub(super) type Work = Pin<Box<dyn Steps>>;

/// The future of a task.
pub(super) trait Steps: Future<Output = ()> {
    /// Asks memory for what a step begins with.
    fn fetch(&self);
}

impl<F: Future<Output = ()>> Steps for F {
    fn fetch(&self) {
        fetch_ends(self);
    }
}

/// Where a task lives, and after its end the next one. What every step reads and writes comes first, in one line of the
/// cache.
#[repr(C)]
struct Slot {
    /// The task that lives here, or the next one if none does.
    task: Cell<TaskRef>,
    /// Where the ids of its steps, sleeps and children begin.
    place: Cell<EventId>,
    /// How often it was woken since the place.
    step: Cell<u32>,
    /// Whether it is in a ready list or its wake is pending.
    queued: Cell<bool>,
    /// Whether the program chose the place. If not, a received datagram does.
    anchored: Cell<bool>,
    /// Whether it slept or spawned since the place.
    has_likes: Cell<bool>,
    /// Borrowed while the task is polled.
    work: RefCell<Option<Polled>>,
    /// In the label of its wakes.
    key: Cell<u64>,
    /// What it slept and spawned since the place. A task that does neither is smaller by this box.
    likes: RefCell<Option<Box<Likes>>>,
    /// `None` if the slot is free.
    birth: RefCell<Option<Birth>>,
    /// Reused by the next task of the slot if no waker of the old one is left.
    handle: RefCell<Option<Arc<Handle>>>,
}

/// What it takes to poll a task.
struct Polled {
    work: Work,
    with: Waker,
}

/// What is said of a task once, apart from what each of its steps touches.
struct Birth {
    label: Label,
    /// The order of birth on this node; for reports only.
    born: u64,
    /// `None` for the main task, for whose end nobody can wait.
    join: Option<Rc<dyn Blocking>>,
}

/// The waker of one task other than the main one.
struct Handle {
    task: TaskRef,
    foreign: Arc<Foreign>,
}

/// Whether any task of this process was ever woken through a [`Waker`]. It only spares a look at [`Foreign`], most often
/// in memory far away; no result depends on it.
static ANY_FOREIGN: AtomicBool = AtomicBool::new(false);

/// The tasks that were woken through a [`Waker`]; itself that of the main task, most often the only one.
#[derive(Default)]
struct Foreign {
    /// Threads do not share a run, so plain loads and stores do; the atomic is there because `Waker` demands it.
    any: AtomicBool,
    ready: Mutex<Vec<TaskRef>>,
}

impl Wake for Handle {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.foreign.push(self.task);
    }
}

impl Wake for Foreign {
    fn wake(self: Arc<Self>) {
        self.push(TaskRef::MAIN);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.push(TaskRef::MAIN);
    }
}

impl Foreign {
    fn push(&self, task: TaskRef) {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner).push(task);
        self.any.store(true, Relaxed);
        ANY_FOREIGN.store(true, Relaxed);
    }
}

/// A wake to be asked of the world.
pub(super) struct Step {
    pub(super) place: EventId,
    pub(super) nth: u32,
    pub(super) key: u64,
}

/// A task that sleeps.
pub(super) struct Sleeper {
    who: Who,
    fired: bool,
}

/// Who lives where, the main task apart, which needs no search.
#[derive(Default)]
struct Register {
    free: Vec<u32>,
    by_key: BTreeMap<u64, TaskRef>,
}

/// Where a world is larger than the cache, a message costs what its lines cost: what it touches stands at the beginning.
#[repr(C)]
pub(super) struct Core {
    hot: Hot,
    /// Slot 0, the main task's, here: most programs of a large world have no other.
    first: Slot,
    foreign: Arc<Foreign>,
    /// How many tasks were born, the main one first.
    born: Cell<u64>,
    clocks: Clocks,
    more: Seldom<More>,
}

/// What a program needs that has more than one task, or sleeps, or makes something that tasks can wait for, or is watched, or
/// has something to find.
#[derive(Default)]
struct More {
    /// The slots from 1 on.
    slots: RefCell<Vec<Rc<Slot>>>,
    register: RefCell<Register>,
    /// The tasks that became ready after the first.
    ready: RefCell<Vec<TaskRef>>,
    sleepers: RefCell<BTreeMap<u64, Sleeper>>,
    /// Everything a task of this node could wait for, but the end of another task.
    blocking: RefCell<Vec<Weak<dyn Blocking>>>,
    /// How long `blocking` may grow, beyond the least, before the dead are swept out of it.
    blocking_max: Cell<usize>,
    findings: RefCell<Vec<Finding>>,
    /// What the event being handled touched, if it is watched.
    touched: RefCell<Vec<Touch>>,
}

/// What every handler reads and writes: with many nodes, each line of the cache is a wait for memory.
#[repr(C)]
struct Hot {
    /// What its own waker wakes, while a task is polled.
    polled_with: Cell<*const ()>,
    running: Cell<Option<TaskRef>>,
    /// The task that became ready first: the only one, most often.
    first_ready: Cell<Option<TaskRef>>,
    /// Whether others became ready after it.
    more_ready: Cell<bool>,
    /// Whether the main task has returned, or the node crashed. Nothing has an effect from then on.
    over: Cell<bool>,
    /// Whether anything is to be seen to when the handler is done: a task became ready, something was found, or all is over.
    unsettled: Cell<bool>,
    /// Whether tasks give way wherever they touch something shared, and not only at cells.
    preemptive: Cell<bool>,
    watch: Cell<Watch>,
}

/// The core of a runtime whose message type nothing here knows.
#[derive(Clone)]
pub(super) struct CoreRef(Rc<dyn Host>);

/// What has a core, and knows what is going on outside of it.
pub(super) trait Host {
    fn core(&self) -> &Core;

    /// The event being handled; the root where none is.
    fn event(&self) -> EventId;
}

impl CoreRef {
    pub(super) fn new(host: Rc<dyn Host>) -> Self {
        Self(host)
    }

    /// The event being handled; the root where none is.
    pub(super) fn event(&self) -> EventId {
        self.0.event()
    }
}

impl Deref for CoreRef {
    type Target = Core;

    #[inline]
    fn deref(&self) -> &Core {
        self.0.core()
    }
}

/// The bytes of a core that every handler touches: of the main task's slot, its key and what follows are no part.
const TOUCHED: usize = size_of::<Hot>() + offset_of!(Slot, key);

const NOBODY: Label = Label::new("nobody");
const BLOCKING_MIN: usize = 64;

impl Slot {
    #[inline(always)]
    fn new(number: u32) -> Self {
        Self {
            task: Cell::new(TaskRef::first_in(number)),
            place: Cell::new(EventId::ROOT),
            step: Cell::new(0),
            queued: Cell::new(false),
            anchored: Cell::new(false),
            has_likes: Cell::new(false),
            work: RefCell::default(),
            key: Cell::new(0),
            likes: RefCell::default(),
            birth: RefCell::default(),
            handle: RefCell::default(),
        }
    }

    /// Moves the ids of the task to another place.
    #[inline(always)]
    fn move_to(&self, place: EventId) {
        self.place.set(place);
        self.step.set(0);
        if self.has_likes.get() {
            self.forget_likes();
        }
    }

    #[inline(never)]
    fn forget_likes(&self) {
        self.has_likes.set(false);
        if let Some(likes) = &mut *self.likes.borrow_mut() {
            likes.clear();
        }
    }

    /// How many of this like the task asked for since its place.
    fn ordinal(&self, like: u64) -> u32 {
        self.has_likes.set(true);
        self.likes.borrow_mut().get_or_insert_default().ordinal(like)
    }

    /// Makes room for the next task. What is left of this one is for the caller to drop: its destructors come back here.
    fn vacate(&self) -> (Option<Polled>, Option<Birth>) {
        self.task.set(self.task.get().next());
        (self.work.take(), self.birth.take())
    }

    fn label(&self) -> Option<Label> {
        self.birth.borrow().as_ref().map(|birth| birth.label)
    }
}

impl Core {
    #[inline(always)]
    pub(super) fn new() -> Self {
        // Allocated first, so that the rest is made in one place and not moved.
        let foreign = Arc::default();
        Self {
            hot: Hot {
                polled_with: Cell::new(ptr::null()),
                running: Cell::new(None),
                first_ready: Cell::new(None),
                more_ready: Cell::new(false),
                over: Cell::new(false),
                unsettled: Cell::new(false),
                preemptive: Cell::new(false),
                watch: Cell::new(Watch::No),
            },
            first: Slot::new(0),
            foreign,
            born: Cell::new(0),
            clocks: Clocks::default(),
            more: Seldom::default(),
        }
    }

    /// Asks memory for what every handler touches: the beginning of this, and what its host has before it.
    #[inline(always)]
    pub(super) fn fetch_with_host(&self, bytes_before: usize) {
        fetch_around(&self.hot.polled_with, bytes_before, TOUCHED);
    }

    /// Asks memory for the future of the main task.
    #[inline(always)]
    pub(super) fn fetch_further(&self) {
        let Ok(polled) = self.first.work.try_borrow() else { return };
        if let Some(polled) = &*polled {
            // What it points to: the box is a future too.
            polled.work.as_ref().get_ref().fetch();
        }
    }

    #[inline]
    pub(super) fn is_over(&self) -> bool {
        self.hot.over.get()
    }

    pub(super) fn is_alive(&self, task: TaskRef) -> bool {
        self.with_slot(task, |_| ()).is_some()
    }

    pub(super) fn living(&self) -> usize {
        let others = self.more.if_made().map_or(0, |more| more.register.borrow().by_key.len());
        others + usize::from(self.main_lives())
    }

    fn main_lives(&self) -> bool {
        self.born.get() > 0 && self.first.task.get() == TaskRef::MAIN
    }

    /// Whether anything was ever begun, and the main task has not returned.
    pub(super) fn goes_on(&self) -> bool {
        self.born.get() > 0 && !self.is_over()
    }

    // ---- Tasks.

    /// The slot of a task, if it lives.
    #[inline(always)]
    fn with_slot<T>(&self, task: TaskRef, act: impl FnOnce(&Slot) -> T) -> Option<T> {
        let act_if_alive = |slot: &Slot| (slot.task.get() == task).then(|| act(slot));
        self.in_slot(task.slot(), act_if_alive)?
    }

    #[inline(always)]
    fn in_slot<T>(&self, number: u32, act: impl FnOnce(&Slot) -> T) -> Option<T> {
        if number == 0 {
            return Some(act(&self.first));
        }
        let other = self.more.if_made()?.slots.borrow().get(number as usize - 1).map(Rc::clone)?;
        Some(act(&other))
    }

    /// What `see` makes of each task that lives; from its slot and what is said of it once.
    fn of_each<T>(&self, mut see: impl FnMut(TaskRef, &Slot, &Birth) -> T) -> Vec<T> {
        let others = self.more.if_made().map(|more| more.slots.borrow());
        let others = others.iter().flat_map(|slots| slots.iter());
        let slots = iter::once(&self.first).chain(others.map(|slot| &**slot));
        slots
            .filter_map(|slot| {
                let birth = slot.birth.borrow();
                birth.as_ref().map(|birth| see(slot.task.get(), slot, birth))
            })
            .collect()
    }

    /// Makes room for a task that has no future yet.
    pub(super) fn begin(&self, label: Label, place: EventId, join: Option<Rc<dyn Blocking>>) -> TaskRef {
        debug_assert!(self.born.get() > 0, "the main task is born first");
        let more = self.more.made();
        let mut register = more.register.borrow_mut();
        let number = register.free.pop().unwrap_or_else(|| {
            let mut slots = more.slots.borrow_mut();
            let number = u32::try_from(slots.len() + 1).expect("a node has at most 2^32 tasks");
            slots.push(Rc::new(Slot::new(number)));
            number
        });
        let slot = Rc::clone(&more.slots.borrow()[number as usize - 1]);
        let task = self.begin_in(&slot, label, place, join);
        let namesake = register.by_key.insert(place.0, task);
        debug_assert!(namesake.is_none(), "no two tasks of a node are born at one place");
        if self.clocks.are_on() {
            self.clocks.spawn(self.hot.running.get().map(TaskRef::slot), number, label);
        }
        task
    }

    pub(super) fn begin_main(&self, label: Label, place: EventId) -> TaskRef {
        self.begin_in(&self.first, label, place, None)
    }

    fn begin_in(&self, slot: &Slot, label: Label, place: EventId, join: Option<Rc<dyn Blocking>>) -> TaskRef {
        slot.queued.set(false);
        slot.anchored.set(false);
        slot.move_to(place);
        slot.key.set(place.0);
        let born = self.born.get();
        slot.birth.replace(Some(Birth { label, born, join }));
        self.born.set(born + 1);
        slot.task.get()
    }

    /// The waker of a task.
    fn waker(&self, task: TaskRef, slot: &Slot) -> Waker {
        if task == TaskRef::MAIN {
            return Waker::from(Arc::clone(&self.foreign));
        }
        let mut handle = slot.handle.borrow_mut();
        match handle.as_mut().and_then(Arc::get_mut) {
            Some(unused) => unused.task = task,
            None => *handle = Some(self.handle(task)),
        }
        Waker::from(Arc::clone(handle.as_ref().expect("it was just made")))
    }

    fn handle(&self, task: TaskRef) -> Arc<Handle> {
        Arc::new(Handle { task, foreign: Arc::clone(&self.foreign) })
    }

    /// Gives a task its future.
    pub(super) fn set_work(&self, task: TaskRef, work: Work) {
        self.with_slot(task, |slot| {
            let with = self.waker(task, slot);
            slot.work.replace(Some(Polled { work, with }));
        });
    }

    /// Makes a task the running one until the guard is dropped.
    pub(super) fn enter(&self, task: TaskRef) -> Running<'_> {
        self.hot.running.set(Some(task));
        Running(self)
    }

    /// Polls a task once. Its name, if it ended.
    #[inline(always)]
    pub(super) fn poll(&self, task: TaskRef) -> Option<Label> {
        let is_pending = self.with_slot(task, |slot| self.poll_in(slot, task))?;
        if is_pending { None } else { self.end(task) }
    }

    #[inline(always)]
    fn poll_in(&self, slot: &Slot, task: TaskRef) -> bool {
        slot.queued.set(false);
        self.touch(slot.key.get(), true);
        let mut polled = slot.work.borrow_mut();
        let Some(Polled { work, with }) = &mut *polled else { return true };
        let _running = self.enter(task);
        self.hot.polled_with.set(with.data());
        work.as_mut().poll(&mut PollContext::from_waker(with)).is_pending()
    }

    #[inline(never)]
    fn end(&self, task: TaskRef) -> Option<Label> {
        // Its destructors run while it still lives.
        drop(self.with_slot(task, |slot| slot.work.take())?);
        if self.clocks.are_on() {
            self.clocks.end(task.slot());
        }
        let (_, birth) = self.with_slot(task, |slot| {
            if task != TaskRef::MAIN {
                let mut register = self.more.made().register.borrow_mut();
                register.free.push(task.slot());
                register.by_key.remove(&slot.key.get());
            }
            slot.vacate()
        })?;
        if task == TaskRef::MAIN {
            // Nothing on this node has an effect any more.
            self.touch_it(Touch::EVERYTHING);
            self.hot.over.set(true);
            self.hot.unsettled.set(true);
        }
        birth.map(|birth| birth.label)
    }

    pub(super) fn by_key(&self, key: u64) -> Option<TaskRef> {
        if self.main_lives() && self.first.key.get() == key {
            return Some(TaskRef::MAIN);
        }
        self.more.if_made()?.register.borrow().by_key.get(&key).copied()
    }

    // ---- Identity.

    #[inline(always)]
    fn with_running<T>(&self, act: impl FnOnce(&Slot) -> T) -> Option<T> {
        self.hot.running.get().and_then(|task| self.in_slot(task.slot(), act))
    }

    /// Moves the running task to a place the program chose.
    pub(super) fn anchor(&self, place: EventId) {
        self.with_running(|slot| {
            slot.anchored.set(true);
            slot.move_to(place);
        });
    }

    /// Moves the running task to where it received something, unless the program chose its place. True if so.
    #[inline(always)]
    pub(super) fn follow(&self, place: EventId) -> bool {
        let follow = |slot: &Slot| {
            let follows = !slot.anchored.get();
            if follows {
                slot.move_to(place);
            }
            follows
        };
        self.with_running(follow).unwrap_or(false)
    }

    /// The place and the name of the running task's next child.
    pub(super) fn next_child(&self, name: Label) -> Option<(EventId, Label)> {
        self.with_running(|slot| {
            let like = EventId::like(Kind::Task, 0, name.code());
            let ordinal = slot.ordinal(like);
            let key = if name.key == 0 { u64::from(ordinal) } else { name.key };
            (slot.place.get().child(like, ordinal), Label { key, ..name })
        })
    }

    /// The place of the running task's next sleep.
    fn next_sleep(&self) -> Option<EventId> {
        self.with_running(|slot| {
            let like = EventId::like(Kind::Timer, 0, 0);
            slot.place.get().child(like, slot.ordinal(like))
        })
    }

    /// The running task, for the record of who holds what.
    pub(super) fn me(&self, place: Place) -> Holder {
        let task = self.hot.running.get();
        let label = task.and_then(|task| self.with_slot(task, Slot::label)?);
        Holder { task, label: label.unwrap_or(NOBODY), place }
    }

    // ---- What happened before what, and what touches what.

    pub(super) fn running(&self) -> Option<TaskRef> {
        self.hot.running.get()
    }

    pub(super) fn clocks(&self) -> &Clocks {
        &self.clocks
    }

    pub(super) fn begin_clocks(&self) {
        let living = self.of_each(|task, _, birth| (task.slot(), birth.label));
        self.clocks.begin(living.into_iter());
    }

    #[inline(always)]
    pub(super) fn touch_order(&self, order: &Order) {
        self.touch(order.key, true);
    }

    /// The running task goes on after what `order` has seen.
    #[inline(always)]
    pub(super) fn acquire(&self, order: &Order) {
        self.touch(order.key, true);
        if self.clocks.are_on() {
            self.acquire_clock(&order.clock.borrow());
        }
    }

    /// Whoever acquires `order` goes on after what the running task did.
    #[inline(always)]
    pub(super) fn release(&self, order: &Order) {
        self.touch(order.key, true);
        if self.clocks.are_on() {
            self.release_clock(&mut order.clock.borrow_mut());
        }
    }

    /// The same with a clock alone.
    #[inline(always)]
    pub(super) fn acquire_clock(&self, clock: &Clock) {
        if self.clocks.are_on()
            && let Some(task) = self.hot.running.get()
        {
            self.clocks.acquire(task.slot(), clock);
        }
    }

    #[inline(always)]
    pub(super) fn release_clock(&self, clock: &mut Clock) {
        if self.clocks.are_on()
            && let Some(task) = self.hot.running.get()
        {
            self.clocks.release(task.slot(), clock);
        }
    }

    /// A name for something that the running task makes for others to share.
    pub(super) fn object(&self, name: Label) -> u64 {
        if self.hot.watch.get() == Watch::No {
            return 0;
        }
        self.with_running(|slot| {
            let like = EventId::like(Kind::Object, 0, name.code());
            slot.place.get().child(like, slot.ordinal(like)).0
        })
        .unwrap_or(0)
    }

    pub(super) fn order(&self, name: Label) -> Order {
        Order { key: self.object(name), clock: RefCell::default() }
    }

    #[inline(always)]
    pub(super) fn touch(&self, object: u64, writes: bool) {
        self.touch_it(Touch { object, writes });
    }

    #[inline(always)]
    pub(super) fn touch_it(&self, touch: Touch) {
        if self.hot.watch.get() == Watch::Touches {
            self.note_touch(touch);
        }
    }

    #[cold]
    #[inline(never)]
    fn note_touch(&self, touch: Touch) {
        let mut touched = self.more.made().touched.borrow_mut();
        if touched.capacity() == 0 {
            // Each run that is explored has a core of its own: let this grow once in it.
            touched.reserve(16);
        }
        if !touched.contains(&touch) {
            touched.push(touch);
        }
    }

    /// Begins a handler in a world that schedules like this.
    #[inline(always)]
    pub(super) fn begin_event(&self, preemptive: bool, watch: Watch) {
        self.hot.preemptive.set(preemptive);
        self.hot.watch.set(watch);
    }

    pub(super) fn take_touched(&self, into: &mut Vec<Touch>) {
        if let Some(more) = self.more.if_made() {
            into.append(&mut more.touched.borrow_mut());
        }
    }

    #[inline(always)]
    pub(super) fn is_preemptive(&self) -> bool {
        self.hot.preemptive.get()
    }

    // ---- Findings.

    pub(super) fn find(&self, finding: Finding) {
        self.more.made().findings.borrow_mut().push(finding);
        self.hot.unsettled.set(true);
    }

    pub(super) fn take_findings(&self) -> Vec<Finding> {
        self.more.if_made().map(|more| more.findings.take()).unwrap_or_default()
    }

    /// Whether anything is to be seen to; it counts as seen to from now on.
    #[inline(always)]
    pub(super) fn take_unsettled(&self) -> bool {
        self.hot.unsettled.take() || ANY_FOREIGN.load(Relaxed)
    }

    // ---- Waking.

    /// Whom to wake for a future that is being polled with this context.
    #[inline(always)]
    pub(super) fn who(&self, poll: &PollContext<'_>) -> Who {
        Who { task: self.hot.running.get(), through: self.through(poll) }
    }

    /// The same, keeping what is right already.
    #[inline]
    pub(super) fn refresh(&self, who: &mut Who, poll: &PollContext<'_>) {
        if who.through.as_ref().is_none_or(|waker| !waker.will_wake(poll.waker())) {
            *who = self.who(poll);
        }
    }

    #[inline(always)]
    fn through(&self, poll: &PollContext<'_>) -> Option<Box<Waker>> {
        (!self.is_own(poll)).then(|| Box::new(poll.waker().clone()))
    }

    /// The running task, if no future of another crate stands between.
    #[inline(always)]
    pub(super) fn polled_by_itself(&self, poll: &PollContext<'_>) -> Option<TaskRef> {
        if self.is_own(poll) { self.hot.running.get() } else { None }
    }

    /// The waker that a task is polled with is known by its address, which is no part of any result.
    #[inline(always)]
    fn is_own(&self, poll: &PollContext<'_>) -> bool {
        self.hot.polled_with.get() == poll.waker().data()
    }

    #[inline(always)]
    pub(super) fn wake(&self, who: &Who) {
        if self.is_over() {
            return;
        }
        if let Some(waker) = &who.through {
            waker.wake_by_ref();
        } else if let Some(task) = who.task {
            self.wake_task(task);
        }
    }

    #[inline(always)]
    pub(super) fn wake_task(&self, task: TaskRef) {
        self.with_slot(task, |slot| {
            // Two that wake a task come to the same in either order, but not if one of them is itself the step of the
            // task unless it was woken before: what comes from outside.
            self.touch(slot.key.get(), self.hot.running.get().is_none());
            if !slot.queued.replace(true) {
                self.make_ready(task);
            }
        });
    }

    /// Whether the event being handled may be the step of this task, as if it woke it: not if a step is due to it anyway.
    #[inline(always)]
    pub(super) fn may_step(&self, task: TaskRef) -> bool {
        let may_step = |slot: &Slot| {
            let may_step = !slot.queued.get();
            if !may_step {
                self.touch(slot.key.get(), true);
            }
            may_step
        };
        self.with_slot(task, may_step).unwrap_or(false)
    }

    #[inline(always)]
    fn make_ready(&self, id: TaskRef) {
        self.hot.unsettled.set(true);
        if self.hot.first_ready.get().is_none() {
            self.hot.first_ready.set(Some(id));
        } else {
            self.hot.more_ready.set(true);
            self.more.made().ready.borrow_mut().push(id);
        }
    }

    /// Takes the task that became ready first.
    #[inline(always)]
    pub(super) fn take_first_ready(&self) -> Option<TaskRef> {
        self.gather();
        let first = self.hot.first_ready.take();
        if self.hot.more_ready.get() {
            let mut ready = self.more.made().ready.borrow_mut();
            self.hot.first_ready.set(Some(ready.remove(0)));
            self.hot.more_ready.set(!ready.is_empty());
        }
        first
    }

    /// Hands over all tasks that became ready, each as a wake to be set.
    #[inline(always)]
    pub(super) fn drain_ready(&self, mut set: impl FnMut(Step)) {
        self.gather();
        let Some(first) = self.hot.first_ready.take() else { return };
        let mut wake = |task| {
            self.with_slot(task, |slot| {
                let nth = slot.step.get();
                slot.step.set(nth + 1);
                set(Step { place: slot.place.get(), nth, key: slot.key.get() });
            });
        };
        wake(first);
        if self.hot.more_ready.take() {
            self.more.made().ready.borrow_mut().drain(..).for_each(wake);
        }
    }

    #[inline(always)]
    fn gather(&self) {
        if ANY_FOREIGN.load(Relaxed) && self.foreign.any.load(Relaxed) {
            self.foreign.any.store(false, Relaxed);
            let mut foreign = self.foreign.ready.lock().unwrap_or_else(PoisonError::into_inner);
            foreign.drain(..).for_each(|id| self.wake_task(id));
        }
    }

    // ---- Sleeping.

    /// Begins a sleep of the running task, and names it.
    pub(super) fn begin_sleep(&self, poll: &PollContext<'_>) -> Option<EventId> {
        if self.is_over() {
            return None;
        }
        let place = self.next_sleep()?;
        self.more.made().sleepers.borrow_mut().insert(place.0, Sleeper { who: self.who(poll), fired: false });
        Some(place)
    }

    /// Whether a sleep is over; it is forgotten then.
    pub(super) fn poll_sleep(&self, key: u64, poll: &PollContext<'_>) -> bool {
        let Some(more) = self.more.if_made() else { return false };
        let mut sleepers = more.sleepers.borrow_mut();
        let Some(sleeper) = sleepers.get_mut(&key) else { return false };
        if sleeper.fired {
            sleepers.remove(&key);
            return true;
        }
        self.refresh(&mut sleeper.who, poll);
        false
    }

    /// Forgets a sleep. True if its timer is still pending.
    pub(super) fn end_sleep(&self, key: u64) -> bool {
        self.touch(key, true);
        let Some(more) = self.more.if_made() else { return false };
        more.sleepers.borrow_mut().remove(&key).is_some_and(|sleeper| !sleeper.fired)
    }

    pub(super) fn fire_sleep(&self, key: u64) {
        let Some(more) = self.more.if_made() else { return };
        if let Some(sleeper) = more.sleepers.borrow_mut().get_mut(&key) {
            sleeper.fired = true;
            self.wake(&sleeper.who);
        }
    }

    pub(super) fn anyone_sleeps(&self) -> bool {
        self.more.if_made().is_some_and(|more| !more.sleepers.borrow().is_empty())
    }

    // ---- The end.

    /// The keys of the wakes and of the sleeps that are still pending.
    pub(super) fn pending_timers(&self) -> (Vec<u64>, Vec<u64>) {
        let wakes = self.of_each(|_, slot, _| slot.queued.get().then(|| slot.key.get()));
        let wakes = wakes.into_iter().flatten().collect();
        let Some(more) = self.more.if_made() else { return (wakes, Vec::new()) };
        let sleepers = more.sleepers.borrow();
        let sleeps = sleepers.iter().filter(|(_, sleeper)| !sleeper.fired).map(|(key, _)| *key).collect();
        (wakes, sleeps)
    }

    /// Drops every task that is left. Whatever their destructors ask for is in vain.
    pub(super) fn bury(&self) {
        self.hot.over.set(true);
        self.hot.first_ready.set(None);
        self.hot.more_ready.set(false);
        // Destructors may spawn, which is refused, and wake, which is in vain; none can refill what is taken
        // here.
        let main = self.first.vacate();
        let others = self.more.if_made().map(|more| {
            more.register.borrow_mut().by_key.clear();
            more.ready.borrow_mut().clear();
            (more.slots.take(), more.sleepers.take())
        });
        drop(main);
        drop(others);
    }

    // ---- Deadlock.

    /// Remembers something that tasks can wait for.
    pub(super) fn register(&self, what: Weak<dyn Blocking>) {
        let more = self.more.made();
        let mut blocking = more.blocking.borrow_mut();
        if blocking.len() >= BLOCKING_MIN.max(more.blocking_max.get()) {
            blocking.retain(|what| what.strong_count() > 0);
            more.blocking_max.set(blocking.len() * 2);
        }
        blocking.push(what);
    }

    /// What every living task waits for.
    pub(super) fn waits(&self) -> Vec<Waiting> {
        let mut said: Vec<Waiting> = Vec::new();
        if let Some(more) = self.more.if_made() {
            for what in more.blocking.borrow().iter().filter_map(Weak::upgrade) {
                what.report(self, &mut |waiting| said.push(waiting));
            }
        }
        let joins = self.of_each(|task, _, birth| Some((task, Rc::clone(birth.join.as_ref()?))));
        for (task, join) in joins.into_iter().flatten() {
            join.report(self, &mut |waiting| said.push(Waiting { on: vec![Some(task)], ..waiting }));
        }
        said
    }

    /// Every living task with its name, oldest first.
    pub(super) fn by_age(&self) -> Vec<(TaskRef, Label)> {
        let mut living = self.of_each(|task, _, birth| (birth.born, task, birth.label));
        living.sort_by_key(|(born, ..)| *born);
        living.into_iter().map(|(_, id, label)| (id, label)).collect()
    }

    pub(super) fn anyone_is_ready(&self) -> bool {
        self.gather();
        self.of_each(|_, slot, _| slot.queued.get()).contains(&true)
    }
}

/// While it lives, a task is the running one.
pub(super) struct Running<'a>(&'a Core);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.hot.running.set(None);
        self.0.hot.polled_with.set(ptr::null());
    }
}
