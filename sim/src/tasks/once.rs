//! Doing something once.

use std::fmt;
use std::future::Future;

use super::mutex::Mutex;

/// Go's `sync.Once`, with a result: the first who asks makes the value, and those who ask meanwhile wait for it. Clone it
/// to share it.
///
/// ```
/// # use snowglobe_sim::{Config, World, tasks::Tasks};
/// let program = |_| {
///     Tasks::<()>::new(|rt| async move {
///         let config = rt.once("config");
///         let (others, sleeper) = (config.clone(), rt.clone());
///         let page = rt.spawn("page", async move {
///             others.get_or_init(|| async move { sleeper.sleep(1_000).await; 1 }).await
///         });
///         let value = config.get_or_init(|| async { 2 }).await;
///         assert_eq!(page.await, value);
///     })
/// };
/// World::new(Config::new(1), 1, program).run(&mut ());
/// ```
pub struct Once<T>(Mutex<Option<T>>);

impl<T: Clone> Once<T> {
    pub(super) const fn new(value: Mutex<Option<T>>) -> Self {
        Self(value)
    }

    /// The value, made by `init` if there is none yet. Of all who ask, `init` is called for one.
    pub async fn get_or_init<F: Future<Output = T>>(&self, init: impl FnOnce() -> F) -> T {
        let mut value = self.0.lock().await;
        match &*value {
            Some(value) => value.clone(),
            None => value.insert(init().await).clone(),
        }
    }
}

impl<T> Clone for Once<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> fmt::Debug for Once<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Once({:?})", self.0)
    }
}
