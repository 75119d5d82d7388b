//! S23: a client library written with tasks, and the two races that such a library has: a number taken outside the lock,
//! and a call that is registered after its request was written. Whether they show is up to the schedule.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use check::delivery::{self, Oracle};
use check::ledger::Reader;
use check::{Expected, Judgement, Run, Scenario, Setup};
use serde::{Deserialize, Serialize};
use sim::tasks::{Mutex, Runtime, Sender, Tasks};
use sim::{Config, Either, Limits, MILLIS, NodeId, SECONDS, Status};

use super::judge::{Case, ClientSeen, Property};
use super::message::{Note, READER, Request, RpcMessage, Tag, Xid};
use super::scenario::SERVER;
use super::scheme::{Persistence, Scheme};
use super::server::Server;
use super::service::{Call, Reply, Service, Slip};
use super::situation;
use crate::networks::NetworkName;

/// How a client library orders what it does for a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Order {
    /// Takes the lock, then a number, registers the call, and writes the request.
    Right,
    /// A race: takes a number, then the lock.
    NumberBeforeLock,
    /// A race: writes the request, then registers the call.
    WrittenBeforeRegistered,
}

/// A client library of tasks, and programs that call at once.
#[derive(Clone, Debug)]
pub struct RaceScenario {
    name: &'static str,
    about: &'static str,
    expected: Expected,
    order: Order,
}

/// What can be set in it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RaceSettings {
    /// How many tasks of the client call at once: 1 to 50.
    pub tasks: u32,
    /// How many calls each of them makes: 1 to 1,000.
    pub calls: u32,
}

/// The library: what the tasks of one client share.
#[derive(Clone)]
struct Library {
    rt: Runtime<RpcMessage>,
    order: Order,
    last: Rc<Cell<u32>>,
    /// Who waits for the reply to which number.
    pending: Mutex<BTreeMap<u32, Sender<Reply>>>,
}

impl Library {
    async fn call(&self, tag: Tag, call: Call) -> Reply {
        let next = || self.last.get() + 1;
        let early = next();
        let mut pending = self.pending.lock().await;
        let number = if self.order == Order::NumberBeforeLock { early } else { next() };
        self.last.set(number);
        let (told, reply) = self.rt.channel(("reply", tag.call.into()), 1);
        if self.order == Order::WrittenBeforeRegistered {
            drop(pending);
            self.write(number, tag, call).await;
            self.pending.lock().await.insert(number, told.clone());
        } else {
            pending.insert(number, told.clone());
            self.write(number, tag, call).await;
            drop(pending);
        }
        // The caller keeps its end too, so that an entry which another call overwrites leaves it waiting.
        let reply = reply.recv().await.expect("one sender is here");
        drop(told);
        reply
    }

    /// Writing takes a while, and the request may be under way before it is over.
    async fn write(&self, number: u32, tag: Tag, call: Call) {
        let xid = Xid { client: tag.client, life: tag.life, number };
        let request = Request { xid, tag, resend: 0, call, acknowledged: None, bound: None };
        let takes = self.rt.random_below(4 * MILLIS);
        self.rt.send(SERVER, RpcMessage::Request(request));
        self.rt.sleep(takes).await;
    }

    /// Hands each reply to whoever waits for it.
    async fn receive(self) {
        loop {
            if let (_, RpcMessage::Response { xid, reply, .. }) = self.rt.recv().await {
                let waiting = self.pending.lock().await.remove(&xid.number);
                if let Some(waiting) = waiting {
                    // Who no longer waits needs no reply.
                    let _ = waiting.send(reply).await;
                }
            }
        }
    }
}

/// A client whose tasks call at once.
async fn client(rt: Runtime<RpcMessage>, order: Order, tasks: u32, calls: u32) {
    let pending = rt.mutex("pending", BTreeMap::new());
    let library = Library { rt: rt.clone(), order, last: Rc::default(), pending };
    rt.spawn("receiver", library.clone().receive());
    let made = Rc::new(Cell::new(0));
    let callers: Vec<_> = (0..tasks)
        .map(|_| {
            let (rt, library, made) = (rt.clone(), library.clone(), Rc::clone(&made));
            rt.clone().spawn("caller", async move {
                // Nobody asks again here. By then the server is up, also where an exploration lets it start late.
                rt.sleep(50 * MILLIS).await;
                for _ in 0..calls {
                    rt.sleep(rt.random_below(5 * MILLIS)).await;
                    made.set(made.get() + 1);
                    let tag = Tag { client: rt.node().0, life: rt.incarnation(), call: made.get() };
                    let call = Call::Append { key: 0, value: tag.call.into() };
                    let op = rt.invoke(Note::Call { tag, call });
                    let reply = library.call(tag, call).await;
                    rt.complete(op, Status::Ok, Note::Reply(reply));
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await;
    }
}

impl Scenario for RaceScenario {
    type Process = Either<Tasks<RpcMessage>, Server>;
    type Settings = RaceSettings;

    fn name(&self) -> String {
        format!("rpc/{}", self.name)
    }

    fn about(&self) -> String {
        self.about.to_owned()
    }

    fn expected(&self) -> Expected {
        self.expected
    }

    fn situations(&self) -> Vec<&'static str> {
        match self.expected {
            Expected::Holds => vec![situation::OVERLAPPED],
            _ => Vec::new(),
        }
    }

    fn defaults(&self) -> RaceSettings {
        RaceSettings { tasks: 3, calls: 2 }
    }

    fn setup(&self, settings: &RaceSettings) -> Result<Setup<Self::Process>, String> {
        let &RaceSettings { tasks, calls } = settings;
        if !(1..=50).contains(&tasks) || !(1..=1_000).contains(&calls) {
            return Err(format!(
                "tasks must be from 1 to 50 and calls from 1 to 1000, not {tasks} and {calls}"
            ));
        }
        let config = Config {
            network: NetworkName::Reliable.network(),
            limits: Limits { time: 120 * SECONDS, steps: 1_000_000, ..Limits::default() },
            ..Config::new(2)
        };
        let scheme = Scheme { persistence: Persistence::Nothing, ..Scheme::EXACTLY_ONCE };
        let order = self.order;
        Ok(Setup::new(vec!["server".to_owned(), "client-1".to_owned()], config, move |node| {
            if node == SERVER {
                Either::Right(Server::new(scheme, Service::new(), Slip::None))
            } else {
                Either::Left(Tasks::new(move |rt| client(rt, order, tasks, calls)))
            }
        }))
    }

    fn judge(&self, settings: &RaceSettings, run: &Run<'_, Self::Process>, judgement: &mut Judgement) {
        let Some(Either::Right(server)) = run.world.process(SERVER) else {
            return judgement.violated("the server is up", "the server is down", Vec::new());
        };
        let returned = run.history.operations.iter().filter(|operation| operation.end.is_some()).count();
        // A client that starts again makes all its calls again.
        let unfinished = ((settings.tasks * settings.calls) as usize).saturating_sub(returned);
        let clients = vec![ClientSeen { node: NodeId(1), unfinished: Some(unfinished) }];
        let case = Case::new(server, clients, run.history, run.nodes);
        for property in [Oracle::ExecutedOnce, Oracle::AcknowledgedKept, Oracle::NotSwallowed] {
            case.judge(Property::Delivery(property), judgement);
        }
        case.judge(Property::Progress, judgement);
        situation::count(&case, SECONDS, judgement);
    }

    fn ledger(&self) -> Option<Reader<RpcMessage>> {
        Some(READER)
    }
}

/// S23, right and wrong.
pub fn races() -> Vec<RaceScenario> {
    vec![
        RaceScenario {
            name: "s23-lock-then-number",
            about: "S23: a client library of tasks: under one lock it takes a number, registers the call, and writes",
            expected: Expected::Holds,
            order: Order::Right,
        },
        RaceScenario {
            name: "s23-number-then-lock",
            about: "S23: the number is taken outside the lock: two calls share it; one gets the other's reply, one none",
            expected: Expected::ViolatesBoth(Oracle::NotSwallowed.name(), delivery::PROGRESS),
            order: Order::NumberBeforeLock,
        },
        RaceScenario {
            name: "s23-written-then-registered",
            about: "S23: a call is registered after its request is written: a quick reply finds nobody, the caller hangs",
            expected: Expected::Violates(delivery::PROGRESS),
            order: Order::WrittenBeforeRegistered,
        },
    ]
}
