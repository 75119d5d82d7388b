//! Waiting for the first of several things.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;

use crate::message::Message;
use crate::process::Either;
use crate::time::Nanos;

use super::runtime::Runtime;
use super::sleep::Elapsed;

impl<M: Message> Runtime<M> {
    /// Waits for the first of two futures and drops the other. If both are ready, a die decides, as in Go's
    /// `select`: no arm can starve the other.
    ///
    /// The arm that loses is not polled once the other is ready, and what it waited for is not lost: an item
    /// stays in its channel, a datagram in the mailbox. To keep an arm for another round, pass it as
    /// `fut.as_mut()` of a [`std::pin::pin!`].
    ///
    /// ```
    /// # use snowglobe_sim::{Config, Either, World, tasks::Tasks};
    /// let program = |_| {
    ///     Tasks::<()>::new(|rt| async move {
    ///         let (quit, on_quit) = rt.channel("quit", 0);
    ///         rt.spawn("quitter", async move { quit.send(()).await });
    ///         match rt.select(on_quit.recv(), rt.sleep(1_000)).await {
    ///             Either::Left(value) => assert_eq!(value, Some(())),
    ///             Either::Right(()) => unreachable!("the quitter is faster"),
    ///         }
    ///     })
    /// };
    /// World::new(Config::new(1), 1, program).run(&mut ());
    /// ```
    pub async fn select<A: Future, B: Future>(&self, left: A, right: B) -> Either<A::Output, B::Output> {
        let (mut left, mut right) = (pin!(left), pin!(right));
        poll_fn(|poll| {
            let left_first = self.random() >> 63 == 0;
            if left_first && let Poll::Ready(value) = left.as_mut().poll(poll) {
                return Poll::Ready(Either::Left(value));
            }
            if let Poll::Ready(value) = right.as_mut().poll(poll) {
                return Poll::Ready(Either::Right(value));
            }
            if !left_first && let Poll::Ready(value) = left.as_mut().poll(poll) {
                return Poll::Ready(Either::Left(value));
            }
            Poll::Pending
        })
        .await
    }

    /// Waits for the first of several futures of one type, gives its index and its value, and drops the
    /// others. If several are ready, dice decide, each order being equally likely. Waits for ever if there
    /// are none, as Go's empty `select` does.
    ///
    /// ```
    /// # use snowglobe_sim::{Config, World, tasks::Tasks};
    /// let program = |_| {
    ///     Tasks::<()>::new(|rt| async move {
    ///         let sleeps = [30, 10, 20].map(|span| rt.sleep(span));
    ///         let (index, ()) = rt.select_all(sleeps).await;
    ///         assert_eq!(index, 1);
    ///     })
    /// };
    /// World::new(Config::new(1), 1, program).run(&mut ());
    /// ```
    pub async fn select_all<F: Future>(&self, arms: impl IntoIterator<Item = F>) -> (usize, F::Output) {
        let mut arms: Vec<Pin<Box<F>>> = arms.into_iter().map(Box::pin).collect();
        let mut order: Vec<usize> = (0..arms.len()).collect();
        poll_fn(|poll| {
            for done in 0..order.len() {
                let left = order.len() - done;
                order.swap(done, done + self.random_below(left as u64) as usize);
                let index = order[done];
                if let Poll::Ready(value) = arms[index].as_mut().poll(poll) {
                    return Poll::Ready((index, value));
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Waits for a future, but not longer than `span` by the node's own clock. What is ready wins over time
    /// that is up.
    ///
    /// # Errors
    /// [`Elapsed`] if time is up; the future is dropped then.
    ///
    /// ```
    /// # use snowglobe_sim::{Config, World, tasks::{Elapsed, Tasks}};
    /// let program = |_| {
    ///     Tasks::<()>::new(|rt| async move {
    ///         // Nobody sends anything.
    ///         assert_eq!(rt.timeout(1_000, rt.recv()).await.map(|_| ()), Err(Elapsed));
    ///         assert_eq!(rt.now(), 1_000);
    ///     })
    /// };
    /// World::new(Config::new(1), 1, program).run(&mut ());
    /// ```
    pub async fn timeout<F: Future>(&self, span: Nanos, future: F) -> Result<F::Output, Elapsed> {
        let (mut future, mut sleep) = (pin!(future), pin!(self.sleep(span)));
        poll_fn(|poll| {
            if let Poll::Ready(value) = future.as_mut().poll(poll) {
                return Poll::Ready(Ok(value));
            }
            sleep.as_mut().poll(poll).map(|()| Err(Elapsed))
        })
        .await
    }
}
