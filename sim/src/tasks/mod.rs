//! Async tasks, for programs that read like the Go programs of a lecture: goroutines, channels, mutexes, wait
//! groups, select.
//!
//! [`Tasks`] is an ordinary [`Process`]. There is no second scheduler: the engine orders, records, replays
//! and explores the interleavings of tasks, because every step of a task is an event of the world.
//!
//! - **What comes from outside the node is the step of the task it wakes**: a datagram, the end of a sync, a
//!   packet of a connection, a sleep that is over. Its handler polls that task.
//! - **What one task does to another wakes it by a timer without delay**: a value in a channel, a lock
//!   released, a task spawned or ended. Several wakes of a task before it runs are one. At one instant the
//!   engine's tie die decides who runs first: that is the schedule, and it differs from seed to seed.
//! - **A step's id does not depend on who woke the task.** It is "the `n`th wake since the task's place". The
//!   main task's place is the boot of its node; a spawned task's follows from its spawner's place, its name,
//!   and its number among those; [`Runtime::anchor`] and [`Runtime::invoke`] move the running task to a place
//!   of the program's own. A task that never asked for a place follows what it receives from the network: its
//!   place is the arrival of the last datagram, so that a server's handling of one request has the same ids
//!   whatever other requests were lost.
//! - **When the main task returns, the program is over**, as in Go: the other tasks are dropped and the node
//!   takes no notice of what still arrives.
//! - **Nothing pending and nobody waiting for the outside is a deadlock**, and so are tasks that wait for each other in
//!   a circle while others wait for the outside. [`Process::stuck`] tells who waits for what, where, and who holds it.
//!   Tasks that are in such a state when the main task returns have leaked: a violation of the property `task leak`.
//! - **Accesses to a [`SharedCell`] that nothing orders are a data race**, whatever came of them.
//!
//! While a handler runs, the world's [`Context`] is lent to the runtime; at any other time the runtime holds
//! one that nobody applies. Destructors that run while a crashed node's tasks are dropped can therefore ask
//! for whatever they like, in vain.
//!
//! Wakers are real ones, so futures of other crates compose, as long as they wait for nothing but each other
//! and this module. State that tasks share is a [`Mutex`] or a [`SharedCell`]; an `Rc<RefCell<_>>` does as
//! well, but nobody then sees a race.
//!
//! Deliberately absent: threads, thread-locals and globals (the [`Runtime`] is passed explicitly), a macro
//! for select, cancelling a task from outside (Go has none either; tell it through a channel), and `Clone`:
//! futures cannot be copied, so a world of tasks is explored by replaying it, not by forking it.

mod core;
mod runtime;

mod cancellation;
mod cell;
mod channel;
mod clocks;
mod condition;
mod deadlock;
mod fifo;
mod join;
mod mail;
mod mutex;
mod once;
mod rw_lock;
mod schedule;
mod seldom;
mod select;
mod semaphore;
mod sleep;
mod stream;
mod wait;
mod wait_group;

use std::fmt;
use std::future::Future;
use std::rc::Rc;

use crate::context::Context;
use crate::disk::SyncError;
use crate::id::{Label, NodeId};
use crate::message::Message;
use crate::process::Process;
use crate::schedule::Touch;
use crate::stream::{ConnectionId, StreamEvent};

pub use cancellation::Cancellation;
pub use cell::{Accessing, DATA_RACE, SharedCell};
pub use channel::{Receiver, Receiving, Sender, Sending};
pub use condition::Condition;
pub use join::JoinHandle;
pub use mail::{Recv, Syncing};
pub use mutex::{Lock, Mutex, MutexGuard, UNLOCK_WITHOUT_LOCK};
pub use once::Once;
pub use runtime::{Runtime, TASK_LEAK};
pub use rw_lock::{ReadGuard, RwLock, WriteGuard};
pub use semaphore::{Acquire, Permit, Semaphore};
pub use sleep::{Elapsed, Sleep, Yield};
pub use stream::{Accept, Broken, Connect, Connection, StreamRecv};
pub use wait_group::{Wait, WaitGroup};

use self::core::{Steps, Work};
pub(crate) use self::runtime::WAKE;
use self::runtime::{SLEEP, Shared};

/// A node whose code is a program of tasks.
///
/// ```
/// use snowglobe_sim::{Config, Ending, World, tasks::Tasks};
///
/// let mut world = World::new(Config::new(1), 7, |_node| {
///     Tasks::<()>::new(|rt| async move {
///         let (results, all) = rt.channel("results", 0);
///         for worker in 1..=3 {
///             let (sleep, results) = (rt.sleep(worker * 1_000), results.clone());
///             rt.spawn(("worker", worker), async move {
///                 sleep.await;
///                 results.send(worker).await.expect("main receives until all are done");
///             });
///         }
///         drop(results);
///         let mut sum = 0;
///         while let Some(worker) = all.recv().await {
///             sum += worker;
///         }
///         assert_eq!((sum, rt.now()), (6, 3_000));
///     })
/// });
/// assert_eq!(world.run(&mut ()), Ending::Quiet);
/// ```
pub struct Tasks<M: Message> {
    /// The main task, until the node starts.
    program: Option<Program<M>>,
    shared: Rc<Shared<M>>,
}

type Program<M> = Box<dyn FnOnce(Runtime<M>) -> Work>;

impl<M: Message> Tasks<M> {
    /// A node that runs this program as its main task from its start on.
    pub fn new<F>(program: impl FnOnce(Runtime<M>) -> F + 'static) -> Self
    where
        F: Future<Output = ()> + 'static,
    {
        let shared = Rc::new(Shared::new());
        // Made now, the room of the main task's future lies beside the rest, most often in the same page of memory.
        let room = Box::<F>::new_uninit();
        let program = |rt| -> Work { Box::into_pin(Box::write(room, program(rt)) as Box<dyn Steps>) };
        Self { program: Some(Box::new(program)), shared }
    }

    /// Whether the main task has returned.
    pub fn is_over(&self) -> bool {
        self.shared.core.is_over()
    }

    /// How many tasks live.
    pub fn living(&self) -> usize {
        self.shared.core.living()
    }

    /// Lets the runtime use the world's context for the time of a handler.
    #[inline(always)]
    fn handle(&self, ctx: &mut Context<M>, handler: impl FnOnce(&Shared<M>)) {
        if self.is_over() {
            return;
        }
        let is_over = {
            let recording = &ctx.recording;
            self.shared.core.begin_event(recording.schedule.preemptive, recording.watch);
            let lent = Lent::new(&self.shared, ctx);
            handler(lent.shared);
            lent.shared.settle()
        };
        if is_over {
            self.shared.bury();
        }
    }
}

impl<M: Message> Process for Tasks<M> {
    type Message = M;

    const FETCHES: bool = true;

    fn on_start(&mut self, ctx: &mut Context<M>) {
        let Some(program) = self.program.take() else { return };
        let place = ctx.event();
        ctx.settle(&mut self.shared.ctx.borrow_mut());
        self.handle(ctx, |shared| {
            let main = shared.core.begin_main(Label::new("main"), place);
            let work = {
                let _running = shared.core.enter(main);
                program(Runtime { shared: Rc::clone(&self.shared) })
            };
            shared.core.set_work(main, work);
            shared.poll(main);
        });
    }

    #[inline]
    fn on_message(&mut self, ctx: &mut Context<M>, from: NodeId, message: M) {
        let arrival = ctx.event();
        self.handle(ctx, |shared| {
            shared.core.touch_it(Touch::MAIL);
            let called = shared.mail.borrow_mut().put(&shared.core, arrival, from, message);
            shared.react_with(called);
        });
    }

    #[inline]
    fn on_timer(&mut self, ctx: &mut Context<M>, timer: Label) {
        self.handle(ctx, |shared| match timer.word {
            WAKE => {
                if let Some(task) = shared.core.by_key(timer.key) {
                    shared.poll(task);
                }
            }
            SLEEP => {
                shared.core.touch(timer.key, true);
                shared.core.fire_sleep(timer.key);
                shared.react();
            }
            _ => {}
        });
    }

    fn on_sync(&mut self, ctx: &mut Context<M>, _: Label, result: Result<(), SyncError>) {
        let end = ctx.event();
        self.handle(ctx, |shared| {
            shared.core.touch_it(Touch::DISK);
            shared.syncs.made().finish(&shared.core, end, result);
            shared.react();
        });
    }

    fn on_stream(&mut self, ctx: &mut Context<M>, connection: ConnectionId, event: StreamEvent<M>) {
        let arrival = ctx.event();
        self.handle(ctx, |shared| {
            shared.core.touch_it(Touch::STREAMS);
            shared.streams.made().borrow_mut().happen(&shared.core, arrival, connection, event);
            shared.react();
        });
    }

    fn stuck(&self) -> Option<String> {
        let shared = &self.shared;
        if !shared.core.goes_on() {
            return None;
        }
        if shared.waits_for_outside() {
            deadlock::helpless(&shared.core)
        } else {
            Some(deadlock::everyone(&shared.core))
        }
    }

    #[inline(always)]
    fn fetch(&self) {
        self.shared.fetch();
    }

    #[inline(always)]
    fn fetch_further(&self) {
        self.shared.core.fetch_further();
    }

    fn take_touched(&self, into: &mut Vec<Touch>) {
        self.shared.core.take_touched(into);
    }
}

impl<M: Message> Drop for Tasks<M> {
    fn drop(&mut self) {
        // The tasks hold handles of the runtime that holds them: the circle is broken here.
        self.shared.bury();
    }
}

impl<M: Message> fmt::Debug for Tasks<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tasks").field("living", &self.living()).field("over", &self.is_over()).finish()
    }
}

/// While it lives, the runtime has the world's context. It is given back even if a task panics.
struct Lent<'a, M: Message> {
    shared: &'a Shared<M>,
    ctx: &'a mut Context<M>,
}

impl<'a, M: Message> Lent<'a, M> {
    #[inline(always)]
    fn new(shared: &'a Shared<M>, ctx: &'a mut Context<M>) -> Self {
        ctx.lend(&mut shared.ctx.borrow_mut());
        Self { shared, ctx }
    }
}

impl<M: Message> Drop for Lent<'_, M> {
    #[inline(always)]
    fn drop(&mut self) {
        self.ctx.reclaim(&mut self.shared.ctx.borrow_mut());
    }
}
