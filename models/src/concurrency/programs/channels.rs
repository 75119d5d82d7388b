//! What tasks say to each other.

use sim::{Either, MILLIS};

use super::super::{Rt, tell};
use super::{Running, work};

/// One produces, one consumes until the channel is closed. The mistake: the consumer has a sender of its own, for which
/// nobody closes the channel.
pub(in super::super) fn producer_consumer(rt: Rt, closed: bool) -> Running {
    Box::pin(async move {
        let (put, take) = rt.channel("items", 2);
        let kept = (!closed).then(|| put.clone());
        let producer = rt.clone();
        rt.spawn("producer", async move {
            for item in 1..=4 {
                tell(&producer, "produced", item);
                put.send(item).await.expect("the consumer takes until the channel is closed");
            }
        });
        let consumer = rt.clone();
        let consumed = rt.spawn("consumer", async move {
            let _kept = kept;
            while let Some(item) = take.recv().await {
                tell(&consumer, "consumed", item);
            }
        });
        consumed.await;
    })
}

/// A publisher and two subscribers. The mistake: one subscriber has lost interest and does not say so; it waits for the next
/// edition of another paper, which nobody prints.
pub(in super::super) fn publish_subscribe(rt: Rt, unsubscribes: bool) -> Running {
    Box::pin(async move {
        let (first, first_news) = rt.channel("news/1", 4);
        let (second, second_news) = rt.channel("news/2", 4);
        let of_the_other = if unsubscribes { None } else { Some(second.clone()) };
        let tasks = [(1, first_news, None), (2, second_news, of_the_other)].map(|(who, news, own)| {
            let reader = rt.clone();
            rt.spawn(("subscriber", who), async move {
                let _own = own;
                while let Some(item) = news.recv().await {
                    tell(&reader, "consumed", 10 * who + item);
                }
            })
        });
        for item in 1..=2 {
            for (who, channel) in [(1, &first), (2, &second)] {
                tell(&rt, "produced", 10 * who + item);
                channel.send(item).await.expect("a subscriber reads until its channel is closed");
            }
        }
        drop((first, second));
        let [one, another] = tasks;
        one.await;
        if unsubscribes {
            another.await;
        } else {
            rt.sleep(MILLIS).await;
        }
    })
}

/// Four tasks, at most two at work: by a channel with room for two, or by looking whether there is room.
pub(in super::super) fn limit(rt: Rt, by_channel: bool) -> Running {
    Box::pin(async move {
        let (enter, leave) = rt.channel("slots", 2);
        let working = rt.cell("working", 0_u32);
        let tasks: Vec<_> = (1..=4)
            .map(|task| {
                let (enter, leave, working, rt_of_task) =
                    (enter.clone(), leave.clone(), working.clone(), rt.clone());
                rt.spawn(("task", task), async move {
                    let rt = rt_of_task;
                    if by_channel {
                        enter.send(()).await.expect("the channel is never closed");
                    } else {
                        while working.get().await >= 2 {
                            rt.sleep(MILLIS).await;
                        }
                        working.write(|working| *working += 1).await;
                    }
                    tell(&rt, "begun", task);
                    work(&rt).await;
                    tell(&rt, "finished", task);
                    if by_channel {
                        leave.recv().await;
                    } else {
                        working.write(|working| *working -= 1).await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await;
        }
    })
}

/// Three replicas are asked, the first answer wins. With room for all answers the others end too; without, they wait for ever
/// for somebody to take theirs.
pub(in super::super) fn first_answer(rt: Rt, room: bool) -> Running {
    Box::pin(async move {
        let (answer, answers) = rt.channel("answers", if room { 3 } else { 0 });
        for replica in 1..=3 {
            // As in Go, a channel is there as long as somebody knows it.
            let (answer, known, asked) = (answer.clone(), answers.clone(), rt.clone());
            rt.spawn(("replica", replica), async move {
                let _known = known;
                work(&asked).await;
                let _ = answer.send(replica).await;
            });
        }
        let first = answers.recv().await.expect("a replica answers");
        tell(&rt, "answer", first);
        // The program has more to do, in which the others answer.
        rt.sleep(20 * MILLIS).await;
    })
}

/// How a pool of workers is waited for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Pool {
    /// Each job is counted before it is handed out.
    Right,
    /// The worker counts the job itself, when it has it.
    CountedByTheWorker,
    /// A worker that meets an error returns, and says nothing.
    SilentOnError,
}

/// Two workers, four jobs, one of which fails.
pub(in super::super) fn worker_pool(rt: Rt, pool: Pool) -> Running {
    Box::pin(async move {
        let (hand_out, jobs) = rt.channel("jobs", 4);
        let done = rt.wait_group("done");
        for worker in 1..=2 {
            let (jobs, done, rt_of_task) = (jobs.clone(), done.clone(), rt.clone());
            rt.spawn(("worker", worker), async move {
                let rt = rt_of_task;
                while let Some(job) = jobs.recv().await {
                    if pool == Pool::CountedByTheWorker {
                        done.add(1);
                    }
                    work(&rt).await;
                    tell(&rt, "finished", job);
                    if job == 3 && pool == Pool::SilentOnError {
                        return;
                    }
                    done.done();
                }
            });
        }
        for job in 1..=4 {
            if pool != Pool::CountedByTheWorker {
                done.add(1);
            }
            tell(&rt, "begun", job);
            hand_out.send(job).await.expect("the workers take until the channel is closed");
        }
        done.wait().await;
        tell(&rt, "over", 0);
    })
}

/// A request with a time limit, whose answer comes or does not. Without room for an answer that nobody waits for any more,
/// whoever gives it waits for ever.
pub(in super::super) fn timeout(rt: Rt, room: bool) -> Running {
    Box::pin(async move {
        let (answer, answers) = rt.channel("answer", usize::from(room));
        let asked = rt.clone();
        let kept = (!room).then(|| answers.clone());
        rt.spawn("server", async move {
            // A Go channel is not closed by those who receive.
            let _kept = kept;
            work(&asked).await;
            // Whoever asked may have given up.
            let _ = answer.send(1).await;
        });
        match rt.select(answers.recv(), rt.sleep(5 * MILLIS)).await {
            Either::Left(_) => tell(&rt, "answered", 1),
            Either::Right(()) => tell(&rt, "gave up", 1),
        }
        if !room {
            // The program goes on with something else.
            rt.sleep(20 * MILLIS).await;
        }
    })
}
