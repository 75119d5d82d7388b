//! Work that is called off, and programs that end.

use sim::tasks::Cancellation;
use sim::{Either, MILLIS};

use super::super::{NoMessage, Rt, tell};
use super::{Running, work};

/// How a program that shuts down makes sure that its workers have finished what they began.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Shutdown {
    /// It calls them off and waits for them.
    Waits,
    /// It calls them off and sleeps for as long as that usually takes.
    Sleeps,
}

/// Two workers that work until they are called off, and finish what they began.
pub(in super::super) fn shutdown(rt: Rt, how: Shutdown) -> Running {
    Box::pin(async move {
        let (server, workers) = (rt.cancellation("server"), rt.wait_group("workers"));
        for worker in 1..=2 {
            workers.add(1);
            let (server, workers, rt_of_task) = (server.child("worker"), workers.clone(), rt.clone());
            rt.spawn(("worker", worker), async move {
                let rt = rt_of_task;
                let mut job = 100 * worker;
                while !server.is_cancelled() {
                    tell(&rt, "begun", job);
                    work(&rt).await;
                    tell(&rt, "finished", job);
                    job += 1;
                }
                workers.done();
            });
        }
        rt.sleep(20 * MILLIS).await;
        server.cancel();
        match how {
            Shutdown::Waits => workers.wait().await,
            Shutdown::Sleeps => rt.sleep(8 * MILLIS).await,
        }
        tell(&rt, "over", 0);
    })
}

/// To what a request's query belongs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Parent {
    /// To the request.
    Request,
    /// To nothing: as if it had been made from `context.Background()`.
    Nothing,
}

/// A request that starts a query, and is called off. The query must end with it.
pub(in super::super) fn parent_and_child(rt: Rt, parent: Parent) -> Running {
    Box::pin(async move {
        let request = rt.cancellation("request");
        let query = match parent {
            Parent::Request => request.child("query"),
            Parent::Nothing => rt.cancellation("query"),
        };
        let finished = rt.spawn("query", steps(rt.clone(), query, 1, 20));
        rt.sleep(30 * MILLIS).await;
        request.cancel();
        tell(&rt, "cancelled", 1);
        finished.await;
    })
}

/// Which deadline counts for a query.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Deadline {
    /// The earlier of its own and its request's.
    Earlier,
    /// Its own alone: it was not made from the request.
    Own,
}

/// A query with a deadline of its own, and one with a later one than its request. Neither must go on after the request's.
pub(in super::super) fn deadlines(rt: Rt, counts: Deadline) -> Running {
    Box::pin(async move {
        let request = rt.cancellation("request").child_with_deadline("request", 20 * MILLIS);
        let made_from = match counts {
            Deadline::Earlier => request.clone(),
            Deadline::Own => rt.cancellation("background"),
        };
        let patient = made_from.child_with_deadline("patient", 60 * MILLIS);
        let hasty = request.child_with_deadline("hasty", 10 * MILLIS);
        let tasks = [(1, patient), (2, hasty)]
            .map(|(who, query)| rt.spawn(("query", who), steps(rt.clone(), query, who, 1_000)));
        request.cancelled().await;
        tell(&rt, "cancelled", rt.now() / MILLIS);
        for task in tasks {
            task.await;
        }
    })
}

/// Works in steps, until it is called off or has taken so many.
async fn steps(rt: Rt, cancellation: Cancellation<NoMessage>, who: u64, most: u64) {
    for _ in 0..most {
        match rt.select(cancellation.cancelled(), work(&rt)).await {
            Either::Left(()) => return,
            // Both at one instant: the work was done, and nothing more is to be.
            Either::Right(()) if cancellation.is_cancelled() => return,
            Either::Right(()) => tell(&rt, "works", who),
        }
    }
}
