//! Locks that many may hold to read, or one to write.

use std::cell::{Ref, RefCell, RefMut};
use std::fmt;
use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::panic::Location;
use std::rc::Rc;

use crate::id::Label;

use super::core::{CoreRef, Holder, Order};
use super::semaphore::{Permits, Wish};

/// How many may read at once.
const READERS: usize = 1 << 30;

/// Go's `sync.RWMutex`, around a value: first come, first served, so that readers do not keep a writer out for ever. Clone
/// it to share it.
///
/// ```
/// # use snowglobe_sim::{Config, World, tasks::Tasks};
/// let program = |_| {
///     Tasks::<()>::new(|rt| async move {
///         let table = rt.rw_lock("table", vec![1]);
///         let (one, another) = (table.read().await, table.read().await);
///         assert_eq!(one.len() + another.len(), 2);
///         drop((one, another));
///         table.write().await.push(2);
///     })
/// };
/// World::new(Config::new(1), 1, program).run(&mut ());
/// ```
pub struct RwLock<T>(Rc<Inner<T>>);

/// The lock is held to read while this lives.
#[must_use = "dropping the guard releases the lock"]
pub struct ReadGuard<'a, T> {
    inner: &'a Inner<T>,
    value: Ref<'a, T>,
    holder: Holder,
}

/// The lock is held to write while this lives.
#[must_use = "dropping the guard releases the lock"]
pub struct WriteGuard<'a, T> {
    inner: &'a Inner<T>,
    value: RefMut<'a, T>,
    holder: Holder,
}

struct Inner<T> {
    permits: Rc<Permits>,
    value: RefCell<T>,
    /// What writers had seen, for readers and writers; and what readers had, for writers alone: readers do not order
    /// each other.
    written: Order,
    read: Order,
}

/// A wait for permits, whatever they are for.
struct Taking<'a> {
    permits: &'a Permits,
    wish: Wish,
}

impl Future for Taking<'_> {
    type Output = Holder;

    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        poll: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Holder> {
        let permits = self.permits;
        permits.poll(&mut self.wish, poll)
    }
}

impl Drop for Taking<'_> {
    fn drop(&mut self) {
        self.permits.cancel(&mut self.wish);
    }
}

impl<T> RwLock<T> {
    pub(super) fn new(core: &CoreRef, name: Label, value: T) -> Self {
        let permits = Permits::unordered(core, "read-write lock", name, READERS);
        let (written, read) = (core.order(name), core.order(name));
        Self(Rc::new(Inner { permits, value: RefCell::new(value), written, read }))
    }

    /// Waits until nobody writes.
    #[track_caller]
    pub fn read(&self) -> impl Future<Output = ReadGuard<'_, T>> {
        let (inner, wish) = (&*self.0, Wish::at(1, Location::caller()));
        async move {
            let holder = Taking { permits: &inner.permits, wish }.await;
            inner.permits.core.acquire(&inner.written);
            ReadGuard { inner, value: inner.value.borrow(), holder }
        }
    }

    /// Waits until nobody reads or writes.
    #[track_caller]
    pub fn write(&self) -> impl Future<Output = WriteGuard<'_, T>> {
        let (inner, wish) = (&*self.0, Wish::at(READERS, Location::caller()));
        async move {
            let holder = Taking { permits: &inner.permits, wish }.await;
            inner.permits.core.acquire(&inner.written);
            inner.permits.core.acquire(&inner.read);
            WriteGuard { inner, value: inner.value.borrow_mut(), holder }
        }
    }
}

impl<T> Clone for RwLock<T> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<T> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RwLock({})", self.0.permits.name())
    }
}

impl<T> Deref for ReadGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> Deref for WriteGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for WriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T> Drop for ReadGuard<'_, T> {
    fn drop(&mut self) {
        // Who waits is only woken here, and polled when the borrow of the value is long over.
        self.inner.permits.core.release(&self.inner.read);
        self.inner.permits.release(1, self.holder);
    }
}

impl<T> Drop for WriteGuard<'_, T> {
    fn drop(&mut self) {
        self.inner.permits.core.release(&self.inner.written);
        self.inner.permits.release(READERS, self.holder);
    }
}

impl<T: fmt::Debug> fmt::Debug for ReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: fmt::Debug> fmt::Debug for WriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
