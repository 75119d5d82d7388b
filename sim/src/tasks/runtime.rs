//! A program's side of its node: the handle through which its tasks ask for everything.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::mem::offset_of;
use std::rc::Rc;

use crate::context::Context;
use crate::dice::{Dice, Ratio};
use crate::effect::{OpId, Status};
use crate::id::{EventId, Kind, Label, NodeId};
use crate::message::Message;
use crate::observe::TaskAction;
use crate::schedule::Touch;
use crate::stream::ConnectionId;
use crate::time::Nanos;

use super::cancellation::Cancellation;
use super::cell::SharedCell;
use super::channel::{self, Receiver, Sender};
use super::condition::Condition;
use super::core::{Core, CoreRef, Finding, Host, TaskRef};
use super::deadlock;
use super::join::{End, JoinHandle};
use super::mail::{Mailbox, Recv, Syncing, Syncs};
use super::mutex::Mutex;
use super::once::Once;
use super::rw_lock::RwLock;
use super::seldom::Seldom;
use super::semaphore::Semaphore;
use super::sleep::{Sleep, Yield};
use super::stream::{Accept, Connect, Streams};
use super::wait_group::WaitGroup;

/// The property that tasks violate which are left behind, each waiting for the others, when their program is over.
pub const TASK_LEAK: &str = "task leak";

pub(crate) const WAKE: &str = "wake";
pub(super) const SLEEP: &str = "sleep";

/// The handle through which the tasks of a node ask for everything; cheap to clone.
///
/// What is asked for outside the node's tasks is in vain: by a destructor while the node crashes or after its
/// main task returned, or by whoever smuggled a handle out of its node.
pub struct Runtime<M: Message> {
    pub(super) shared: Rc<Shared<M>>,
}

/// What a datagram touches comes first and together: with the counts of the `Rc` before it and the core's part, three lines of
/// the cache, if it is a small one. That it begins with a line is left to the allocator: to ask for it is dear.
#[repr(C)]
pub(super) struct Shared<M: Message> {
    /// The world's context while a handler runs; otherwise one that nobody applies.
    pub(super) ctx: RefCell<Context<M>>,
    pub(super) mail: RefCell<Mailbox<M>>,
    pub(super) core: Core,
    pub(super) syncs: Seldom<Syncs>,
    pub(super) streams: Seldom<RefCell<Streams<M>>>,
}

/// What a task asks of the world. Each of these records an effect, as its namesake of [`Context`] does, and
/// the world applies it when the task waits next.
impl<M: Message> Runtime<M> {
    /// This node.
    pub fn node(&self) -> NodeId {
        self.shared.ctx.borrow().node()
    }

    /// Which life of the node this is, from 0.
    pub fn incarnation(&self) -> u32 {
        self.shared.ctx.borrow().incarnation()
    }

    /// The event being handled.
    pub fn event(&self) -> EventId {
        self.shared.ctx.borrow().event()
    }

    /// The time by the node's own clock, in nanoseconds.
    #[inline]
    pub fn now(&self) -> Nanos {
        self.shared.core.touch_it(Touch::TIME);
        self.time()
    }

    /// The same, of no consequence to what the program does.
    #[inline]
    pub(super) fn time(&self) -> Nanos {
        self.shared.ctx.borrow().now()
    }

    /// 64 random bits, another 64 at each call.
    #[inline]
    pub fn random(&self) -> u64 {
        self.shared.ctx.borrow_mut().random()
    }

    /// A random number below `bound`; 0 if `bound` is 0.
    #[inline]
    pub fn random_below(&self, bound: u64) -> u64 {
        self.shared.ctx.borrow_mut().random_below(bound)
    }

    /// True with probability `ratio`.
    #[inline]
    pub fn chance(&self, ratio: Ratio) -> bool {
        self.shared.ctx.borrow_mut().chance(ratio)
    }

    /// Sends a datagram. Its fate is the network's.
    #[inline(always)]
    pub fn send(&self, to: NodeId, message: M) -> EventId {
        self.shared.ctx.borrow_mut().send(to, message)
    }

    /// Receives the next datagram. If several tasks wait, each datagram goes to the one that has waited
    /// longest.
    ///
    /// Unless the program chose a place for the task ([`Runtime::anchor`], [`Runtime::invoke`]), the task's
    /// ids begin anew at the arrival of the datagram: what a server does for a request does not depend on
    /// those before it.
    ///
    /// ```
    /// # use snowglobe_sim::{Config, NodeId, World, tasks::Tasks};
    /// let program = |node| {
    ///     Tasks::<()>::new(move |rt| async move {
    ///         if node == NodeId(0) {
    ///             rt.send(NodeId(1), ());
    ///         } else {
    ///             let (from, ()) = rt.recv().await;
    ///             assert_eq!(from, NodeId(0));
    ///         }
    ///     })
    /// };
    /// World::new(Config::new(2), 1, program).run(&mut ());
    /// ```
    #[inline]
    pub fn recv(&self) -> Recv<'_, M> {
        Recv::new(&self.shared)
    }

    /// Receives a datagram if one is there that no waiting task is meant to get.
    pub fn try_recv(&self) -> Option<(NodeId, M)> {
        self.shared.try_take()
    }

    /// Begins the node's next operation, and moves the task's ids there; see [`Context::invoke`].
    pub fn invoke(&self, call: M::Note) -> OpId {
        let operation = self.shared.ctx.borrow_mut().invoke(call);
        self.shared.core.anchor(operation.0);
        operation
    }

    /// Ends an operation.
    pub fn complete(&self, of: OpId, status: Status, result: M::Note) {
        self.shared.ctx.borrow_mut().complete(of, status, result);
    }

    /// Takes the ids of what this task does and spawns from here on from a place the program names, such as a
    /// page that is fetched, until the next anchor or invocation. See [`Context::anchor`].
    pub fn anchor(&self, place: impl Into<Label>) -> EventId {
        let place = place.into();
        // The second visit to a place is another place.
        self.shared.core.touch(place.code(), true);
        let place = self.shared.ctx.borrow_mut().anchor(place);
        self.shared.core.anchor(place);
        place
    }

    /// Tells the judges something.
    pub fn note(&self, note: M::Note) -> EventId {
        self.shared.ctx.borrow_mut().note(note)
    }

    /// Reports that a property of the program itself is violated, and ends the run.
    pub fn violate(&self, property: &'static str, detail: impl Into<String>) {
        self.shared.core.touch_it(Touch::EVERYTHING);
        self.shared.ctx.borrow_mut().violate(property, detail);
    }

    /// Replaces a file. The change is durable once a sync asked for after it has ended well.
    pub fn write(&self, file: impl Into<Label>, bytes: impl Into<Vec<u8>>) -> EventId {
        self.shared.core.touch_it(Touch::DISK);
        self.shared.ctx.borrow_mut().write(file, bytes)
    }

    /// Appends to a file, which need not exist.
    pub fn append(&self, file: impl Into<Label>, bytes: impl Into<Vec<u8>>) -> EventId {
        self.shared.core.touch_it(Touch::DISK);
        self.shared.ctx.borrow_mut().append(file, bytes)
    }

    /// Removes a file, which need not exist.
    pub fn remove(&self, file: impl Into<Label>) -> EventId {
        self.shared.core.touch_it(Touch::DISK);
        self.shared.ctx.borrow_mut().remove(file)
    }

    /// A file as the node sees it, synced or not.
    pub fn read(&self, file: impl Into<Label>) -> Option<Vec<u8>> {
        self.shared.core.touch_it(Touch::DISK);
        self.shared.ctx.borrow().read(file)
    }

    /// Asks at once to make durable all that was written so far; the future says when it is, and how it went.
    ///
    /// # Errors
    /// If the device failed. Nothing is known then about what is durable, except what an earlier sync made
    /// so.
    ///
    /// ```
    /// # use snowglobe_sim::{Config, World, tasks::Tasks};
    /// let program = |_| {
    ///     Tasks::<()>::new(|rt| async move {
    ///         rt.append("log", *b"one");
    ///         assert_eq!(rt.sync("log").await, Ok(()));
    ///     })
    /// };
    /// World::new(Config::new(1), 1, program).run(&mut ());
    /// ```
    pub fn sync(&self, label: impl Into<Label>) -> Syncing<M> {
        self.shared.core.touch_it(Touch::DISK);
        let asked = self.shared.ctx.borrow_mut().sync(label);
        Syncing::new(self.clone(), asked.sync_end())
    }

    /// Opens a connection.
    ///
    /// # Errors
    /// If it broke before it was open.
    pub fn connect(&self, peer: NodeId) -> Connect<M> {
        self.shared.core.touch_it(Touch::STREAMS);
        let id: ConnectionId = self.shared.ctx.borrow_mut().connect(peer);
        Connect::new(self.clone(), id, peer)
    }

    /// Waits for a peer to open a connection to this node.
    pub fn accept(&self) -> Accept<'_, M> {
        Accept::new(self)
    }
}

/// Tasks, and what they wait for. Names are for the reports of deadlocks and the records of a run.
impl<M: Message> Runtime<M> {
    /// Starts a task: Go's `go` statement. It runs beside this one from the same instant on; when this one
    /// goes on first and when the new one is for the dice to decide.
    ///
    /// A bare word as a name is numbered by how many of that name the task has spawned: `page`, `page/1`,
    /// `page/2`.
    pub fn spawn<F>(&self, name: impl Into<Label>, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let (core, name) = (self.core_handle(), name.into());
        let child = if core.is_over() { None } else { core.next_child(name) };
        let Some((place, label)) = child else {
            let end = End::new(&core, name);
            return JoinHandle::new(core, end);
        };
        self.shared.ctx.borrow_mut().task(label, TaskAction::Spawn);
        let end = End::new(&core, label);
        let task = core.begin(label, place, Some(Rc::clone(&end) as _));
        let (own_core, own_end) = (core.clone(), Rc::clone(&end));
        core.set_work(task, Box::pin(async move { own_end.set(&own_core, future.await) }));
        core.wake_task(task);
        JoinHandle::new(core, end)
    }

    /// Waits for `span` nanoseconds by the node's own clock, counted from this call.
    #[inline]
    pub fn sleep(&self, span: Nanos) -> Sleep<M> {
        Sleep::new(self.clone(), span)
    }

    /// Lets other tasks that are ready run: Go's `runtime.Gosched`.
    pub fn yield_now(&self) -> Yield<'_> {
        Yield::new(&self.shared.core)
    }

    /// Makes a channel that holds `capacity` values. With 0 it is unbuffered: a send is over when its value
    /// is received.
    pub fn channel<T: 'static>(&self, name: impl Into<Label>, capacity: usize) -> (Sender<T>, Receiver<T>) {
        channel::channel(&self.core_handle(), name.into(), capacity)
    }

    /// Makes a value that tasks share without a lock.
    pub fn cell<T>(&self, name: impl Into<Label>, value: T) -> SharedCell<T> {
        SharedCell::new(&self.core_handle(), name.into(), value)
    }

    /// Makes a lock around a value.
    pub fn mutex<T>(&self, name: impl Into<Label>, value: T) -> Mutex<T> {
        Mutex::new(&self.core_handle(), name.into(), value)
    }

    /// Makes a value that many may read at once, or one task write.
    pub fn rw_lock<T>(&self, name: impl Into<Label>, value: T) -> RwLock<T> {
        RwLock::new(&self.core_handle(), name.into(), value)
    }

    /// Makes room for a value that is made once.
    pub fn once<T: Clone>(&self, name: impl Into<Label>) -> Once<T> {
        Once::new(self.mutex(name, None))
    }

    /// Makes work that can be called off.
    pub fn cancellation(&self, name: impl Into<Label>) -> Cancellation<M> {
        Cancellation::new(self.clone(), name.into())
    }

    /// Makes a condition variable.
    pub fn condition(&self, name: impl Into<Label>) -> Condition {
        Condition::new(&self.core_handle(), name.into())
    }

    /// Makes a wait group, with nothing to wait for.
    pub fn wait_group(&self, name: impl Into<Label>) -> WaitGroup {
        WaitGroup::new(&self.core_handle(), name.into())
    }

    /// Makes a semaphore with so many permits, 2^31 at most.
    ///
    /// # Panics
    /// If they are more.
    pub fn semaphore(&self, name: impl Into<Label>, permits: usize) -> Semaphore {
        Semaphore::new(&self.core_handle(), name.into(), permits)
    }

    pub(super) fn core_handle(&self) -> CoreRef {
        let shared = Rc::clone(&self.shared);
        CoreRef::new(shared)
    }

    pub(super) fn core(&self) -> &Core {
        &self.shared.core
    }

    pub(super) fn set_sleep(&self, place: EventId, span: Nanos) {
        self.shared.ctx.borrow_mut().set_step_timer(place, 0, Label::keyed(SLEEP, place.0), span);
    }

    pub(super) fn cancel_sleep(&self, key: u64) {
        self.shared.ctx.borrow_mut().cancel_timer(Label::keyed(SLEEP, key));
    }
}

impl<M: Message> Clone for Runtime<M> {
    #[inline]
    fn clone(&self) -> Self {
        Self { shared: Rc::clone(&self.shared) }
    }
}

impl<M: Message> fmt::Debug for Runtime<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Runtime({})", self.node())
    }
}

impl<M: Message> Host for Shared<M> {
    #[inline]
    fn core(&self) -> &Core {
        &self.core
    }

    fn event(&self) -> EventId {
        self.ctx.borrow().event()
    }
}

impl<M: Message> Shared<M> {
    /// Asks memory for what every handler touches.
    #[inline(always)]
    pub(super) fn fetch(&self) {
        self.core.fetch_with_host(offset_of!(Self, core));
    }

    #[inline(always)]
    pub(super) fn new() -> Self {
        // What they allocate is allocated first, so that the rest is made in one place and not moved.
        let (ctx, core) = (Context::new(Dice::NONE), Core::new());
        Self {
            ctx: RefCell::new(ctx),
            mail: RefCell::default(),
            core,
            syncs: Seldom::default(),
            streams: Seldom::default(),
        }
    }

    /// Moves the running task's ids to where it received something, unless the program chose their place.
    #[inline(always)]
    pub(super) fn follow(&self, arrival: EventId) {
        // Not the arrival itself: its handler may have recorded something before, in another task.
        let place = arrival.child(EventId::like(Kind::Anchor, 0, 0), 0);
        if self.core.follow(place) {
            self.ctx.borrow_mut().recording.base = place;
        }
    }

    /// Lets the event being handled be the step of the task it woke. Others that it woke, if a future of
    /// another crate saw to that, wait for a step of their own.
    #[inline(always)]
    pub(super) fn react(&self) {
        self.react_with(None);
    }

    /// The same, where a task was called and not woken.
    #[inline(always)]
    pub(super) fn react_with(&self, called: Option<TaskRef>) {
        let next = match called {
            Some(task) if self.core.may_step(task) => Some(task),
            _ => self.core.take_first_ready(),
        };
        if let Some(task) = next {
            self.poll(task);
        }
    }

    #[inline(always)]
    pub(super) fn poll(&self, task: TaskRef) {
        if let Some(ended) = self.core.poll(task) {
            self.ctx.borrow_mut().task(ended, TaskAction::End);
            if self.core.is_over() {
                self.find_leak();
            }
        }
    }

    /// Asks the world for a step of each task that became ready; or, if the program is over, for nothing
    /// more. True if it is.
    #[inline(always)]
    pub(super) fn settle(&self) -> bool {
        self.core.take_unsettled() && self.settle_what_there_is()
    }

    #[inline]
    fn settle_what_there_is(&self) -> bool {
        self.tell(self.core.take_findings());
        if self.core.is_over() {
            self.withdraw();
            return true;
        }
        self.core.drain_ready(|step| {
            let label = Label::keyed(WAKE, step.key);
            self.ctx.borrow_mut().set_step_timer(step.place, step.nth, label, 0);
        });
        false
    }

    /// Finds what is left of a program that is over, if it could never have gone on.
    #[cold]
    fn find_leak(&self) {
        let core = &self.core;
        if core.living() == 0 {
            return;
        }
        let may_go_on = core.anyone_is_ready() || self.waits_for_outside();
        let left = if may_go_on { deadlock::helpless(core) } else { Some(deadlock::everyone(core)) };
        if let Some(left) = left {
            let detail = format!("the program is over, and {left}");
            core.find(Finding { property: TASK_LEAK, detail, evidence: vec![self.event()] });
        }
    }

    fn tell(&self, findings: Vec<Finding>) {
        for Finding { property, detail, evidence } in findings {
            self.ctx.borrow_mut().find(property, detail, evidence);
        }
    }

    #[cold]
    fn withdraw(&self) {
        let mut ctx = self.ctx.borrow_mut();
        let (wakes, sleeps) = self.core.pending_timers();
        let wakes = wakes.into_iter().map(|key| Label::keyed(WAKE, key));
        let sleeps = sleeps.into_iter().map(|key| Label::keyed(SLEEP, key));
        wakes.chain(sleeps).for_each(|timer| ctx.cancel_timer(timer));
        if let Some(streams) = self.streams.if_made() {
            streams.borrow().living().into_iter().for_each(|id| ctx.close(id));
        }
    }

    pub(super) fn waits_for_outside(&self) -> bool {
        self.core.anyone_sleeps()
            || self.mail.borrow().is_awaited()
            || self.syncs.if_made().is_some_and(Syncs::are_awaited)
            || self.streams.if_made().is_some_and(|streams| streams.borrow().are_awaited())
    }

    /// Drops everything the node's program had. To be called when the context is one that nobody applies.
    pub(super) fn bury(&self) {
        self.core.bury();
        let mail = self.mail.take();
        let streams = self.streams.if_made().map(RefCell::take);
        drop((mail, streams));
        self.ctx.borrow_mut().reset();
    }
}
