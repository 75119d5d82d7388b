//! Locks around a value.

use std::cell::{RefCell, RefMut};
use std::fmt;
use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as PollContext, Poll};

use crate::id::Label;

use super::core::{CoreRef, Finding, Holder};
use super::deadlock::at;
use super::semaphore::{Permits, Wish};

/// The property that releasing a lock violates which nobody holds.
pub const UNLOCK_WITHOUT_LOCK: &str = "unlock without a lock";

/// A value that one task at a time may use, first come, first served. Clone it to share it.
///
/// A lock that outlives the scope in which it was taken is written [`MutexGuard::keep`], and released by
/// [`Mutex::unlock`]. If that never happens, who waits for it shows in the report of the deadlock.
///
/// ```
/// # use snowglobe_sim::{Config, World, tasks::Tasks};
/// let program = |_| {
///     Tasks::<()>::new(|rt| async move {
///         let fetched = rt.mutex("fetched", Vec::new());
///         let others = fetched.clone();
///         let page = rt.spawn("page", async move { others.lock().await.push("/fmt") });
///         fetched.lock().await.push("/");
///         page.await;
///         assert_eq!(fetched.lock().await.len(), 2);
///     })
/// };
/// World::new(Config::new(1), 1, program).run(&mut ());
/// ```
pub struct Mutex<T>(Rc<Inner<T>>);

/// The lock is held while this lives.
#[must_use = "dropping the guard releases the lock"]
pub struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    value: RefMut<'a, T>,
    holder: Holder,
    kept: bool,
}

/// The future of [`Mutex::lock`].
#[must_use = "nothing is locked until it is awaited"]
pub struct Lock<'a, T> {
    mutex: &'a Mutex<T>,
    wish: Wish,
}

struct Inner<T> {
    permits: Rc<Permits>,
    value: RefCell<T>,
}

impl<T> Mutex<T> {
    pub(super) fn new(core: &CoreRef, name: Label, value: T) -> Self {
        Self(Rc::new(Inner { permits: Permits::new(core, "lock", name, 1), value: RefCell::new(value) }))
    }

    /// Waits for the lock. A task that holds it already waits for ever, as in Go.
    #[inline]
    #[track_caller]
    pub fn lock(&self) -> Lock<'_, T> {
        Lock { mutex: self, wish: Wish::new(1) }
    }

    /// Locks if the lock is free and nobody waits for it.
    #[track_caller]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.0.permits.take(&mut Wish::new(1)).map(|holder| self.guard(holder))
    }

    /// Releases the lock as a Go program does, which knows no guards: whoever has [kept](MutexGuard::keep) it. If nobody
    /// holds it, that is reported as a violation of the property `unlock without a lock`.
    #[track_caller]
    pub fn unlock(&self) {
        let Inner { permits, .. } = &*self.0;
        if !permits.release_any() && !permits.core.is_over() {
            let (core, place) = (&permits.core, Location::caller());
            let detail = format!(
                "{} released lock \"{}\" at {}, and nobody held it",
                core.me(None).label,
                permits.name(),
                at(place)
            );
            core.find(Finding { property: UNLOCK_WITHOUT_LOCK, detail, evidence: vec![core.event()] });
        }
    }

    fn guard(&self, holder: Holder) -> MutexGuard<'_, T> {
        MutexGuard { mutex: self, value: self.0.value.borrow_mut(), holder, kept: false }
    }
}

impl<'a, T> MutexGuard<'a, T> {
    /// Keeps the lock without its guard, until [`Mutex::unlock`].
    pub fn keep(mut self) {
        self.kept = true;
    }

    /// The mutex, to lock it again.
    pub(super) fn mutex(&self) -> &'a Mutex<T> {
        self.mutex
    }
}

impl<T> Clone for Mutex<T> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<'a, T> Future for Lock<'a, T> {
    type Output = MutexGuard<'a, T>;

    fn poll(mut self: Pin<&mut Self>, poll: &mut PollContext<'_>) -> Poll<Self::Output> {
        let mutex = self.mutex;
        mutex.0.permits.poll(&mut self.wish, poll).map(|holder| mutex.guard(holder))
    }
}

impl<T> Drop for Lock<'_, T> {
    fn drop(&mut self) {
        self.mutex.0.permits.cancel(&mut self.wish);
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        // Who waits is only woken here, and polled when the borrow of the value is long over.
        if !self.kept {
            self.mutex.0.permits.release(1, self.holder);
        }
    }
}

impl<T> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mutex({})", self.0.permits.name())
    }
}

impl<T: fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
