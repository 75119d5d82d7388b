//! Who of several tasks gets which datagram.

use std::cell::Cell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::{Arc, Mutex as StdMutex};
use std::task::{Context as PollContext, Poll, Wake, Waker};

use proptest::prelude::*;
use snowglobe_sim::tasks::{Receiver, Runtime, Sender, Tasks};
use snowglobe_sim::{Config, Delay, Either, Ending, Label, MILLIS, Message, NodeId, SECONDS, World};

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Word(u64);

impl Message for Word {
    type Note = &'static str;

    fn label(&self) -> Label {
        Label::new("word")
    }
}

type Rt = Runtime<Word>;

/// What a task that receives does next; spans are in milliseconds, and so much happens at one instant.
#[derive(Clone, Copy, Debug)]
enum Reception {
    Wait,
    WaitFor(u64),
    /// Waits through a waker of another make than the task's own.
    WaitThroughAnother,
    /// Waits for a datagram or a poke, whichever comes first.
    WaitOrBePoked,
    Poke,
    Look,
    Sleep(u64),
}

fn reception() -> impl Strategy<Value = Reception> {
    prop_oneof![
        3 => Just(Reception::Wait),
        2 => (0..4_u64).prop_map(Reception::WaitFor),
        1 => Just(Reception::WaitThroughAnother),
        3 => Just(Reception::WaitOrBePoked),
        3 => Just(Reception::Poke),
        3 => Just(Reception::Look),
        4 => (0..2_u64).prop_map(Reception::Sleep),
    ]
}

/// A waker of its own make around another.
struct Around(Waker);

impl Wake for Around {
    fn wake(self: Arc<Self>) {
        self.0.wake_by_ref();
    }
}

/// Polls a future with another waker than the task's.
async fn through_another<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    std::future::poll_fn(|poll| {
        let waker = Arc::new(Around(poll.waker().clone())).into();
        future.as_mut().poll(&mut PollContext::from_waker(&waker))
    })
    .await
}

type Pokes = (Sender<()>, Receiver<()>);

async fn receive(
    rt: Rt,
    receiver: usize,
    script: Vec<Reception>,
    pokes: Pokes,
    log: Arc<StdMutex<Vec<String>>>,
) {
    for reception in script {
        let got = match reception {
            Reception::Wait => Some(rt.recv().await),
            Reception::WaitFor(span) => rt.timeout(span * MILLIS, rt.recv()).await.ok(),
            Reception::WaitThroughAnother => Some(through_another(rt.recv()).await),
            Reception::WaitOrBePoked => match rt.select(rt.recv(), pokes.1.recv()).await {
                Either::Left(got) => Some(got),
                Either::Right(_) => None,
            },
            Reception::Poke => {
                pokes.0.send(()).await.expect("the receivers hold it too");
                None
            }
            Reception::Look => rt.try_recv(),
            Reception::Sleep(span) => {
                rt.sleep(span * MILLIS).await;
                None
            }
        };
        log.lock().unwrap().push(format!("{} {receiver} {reception:?} {got:?}", rt.now()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

/// Until two datagrams or two receivers meet in it, a mailbox has room for one of each.
    #[test]
    fn a_mailbox_serves_alike_whether_it_saw_a_crowd_or_not(
        scripts in prop::collection::vec(prop::collection::vec(reception(), 1..12), 2..6),
        pauses in prop::collection::vec(0..2_u64, 0..14),
        seed in any::<u64>(),
    ) {
        let outcome = |crowded: bool| {
            let log = Arc::new(StdMutex::new(Vec::new()));
            let (teller, scripts, pauses) = (Arc::clone(&log), scripts.clone(), pauses.clone());
            let mut config = Config::new(2);
            config.network.default.delay = Delay::Constant(MILLIS);
            let mut world = World::new(config, seed, move |node| {
                let (teller, scripts, pauses) = (Arc::clone(&teller), scripts.clone(), pauses.clone());
                Tasks::new(move |rt: Rt| async move {
                    if node == NodeId(1) {
                        for (number, pause) in (0..).zip(pauses) {
                            rt.sleep(pause * MILLIS).await;
                            rt.send(NodeId(0), Word(number));
                        }
                        return;
                    }
                    if crowded {
                        let mut two = [pin!(rt.recv()) as Pin<&mut dyn Future<Output = _>>, pin!(rt.recv())];
                        std::future::poll_fn(|poll| {
                            assert!(two.iter_mut().all(|recv| recv.as_mut().poll(poll).is_pending()));
                            Poll::Ready(())
                        })
                        .await;
                    }
                    let pokes = rt.channel("pokes", 2);
                    for (receiver, script) in scripts.into_iter().enumerate() {
                        let (pokes, teller) = (pokes.clone(), Arc::clone(&teller));
                        let receive = receive(rt.clone(), receiver, script, pokes, teller);
                        rt.spawn(("receiver", receiver as u64), receive);
                    }
                    rt.sleep(SECONDS).await;
                })
            });
            world.run(&mut ());
            let log = std::mem::take(&mut *log.lock().unwrap());
            (log, world.digest())
        };
        prop_assert_eq!(outcome(false), outcome(true));
    }
}

#[test]
fn nobody_gets_a_datagram_for_which_another_was_called_and_has_not_come_yet() {
    let mut looked_while_called = 0;
    for seed in 0..500 {
        let mut config = Config::new(2);
        config.network.default.delay = Delay::Constant(MILLIS);
        let seen = Arc::new(StdMutex::new((false, false)));
        let teller = Arc::clone(&seen);
        let mut world = World::new(config, seed, move |node| {
            let teller = Arc::clone(&teller);
            Tasks::new(move |rt: Rt| async move {
                if node == NodeId(1) {
                    rt.send(NodeId(0), Word(0));
                    return;
                }
                let (poke, pokes) = rt.channel("pokes", 1);
                let (own, resumed) = (rt.clone(), Rc::new(Cell::new(false)));
                let has_resumed = Rc::clone(&resumed);
                let first = rt.spawn("first", async move {
                    let got = own.select(own.recv(), pokes.recv()).await;
                    has_resumed.set(true);
                    matches!(got, Either::Left(_))
                });
                rt.sleep(MILLIS).await;
                // In vain if the first has gone with the datagram.
                let _ = poke.send(()).await;
                let mut found = false;
                for _ in 0..20 {
                    rt.yield_now().await;
                    let look = rt.try_recv().is_some();
                    assert!(resumed.get() || !look, "seed {seed}: the first waits and was called");
                    found |= look;
                }
                *teller.lock().unwrap() = (found, first.await);
            })
        });
        assert_eq!(world.run(&mut ()), Ending::Quiet, "{:?}", world.violation());
        let (found, first_got_it) = *seen.lock().unwrap();
        assert!(!(found && first_got_it), "seed {seed}: there is one datagram");
        looked_while_called += u32::from(found);
    }
    assert!(looked_while_called > 100, "the first gave it back in {looked_while_called} of 500 runs");
}
