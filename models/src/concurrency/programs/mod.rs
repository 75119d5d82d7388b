//! The programs. Each takes the runtime and returns when it believes that it is done.

pub(super) mod calling_off;
pub(super) mod channels;
pub(super) mod locks;

use std::future::Future;
use std::pin::Pin;

use sim::MILLIS;

use super::Rt;

/// A program that has begun.
pub(super) type Running = Pin<Box<dyn Future<Output = ()>>>;

/// Something that takes a while: up to 10 ms.
pub(super) async fn work(rt: &Rt) {
    let span = 1 + rt.random_below(10 * MILLIS);
    rt.sleep(span).await;
}
