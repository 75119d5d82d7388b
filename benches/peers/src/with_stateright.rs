//! The workloads on stateright: actors in an `ActorModel`, whose states its simulation checker walks through along
//! one path of random choices.
//!
//! What it has no counterpart for: time. Which of the pending messages is delivered next is the whole of a delay,
//! and a timer may fire as soon as it is set. Its lossy network drops by choice and not by chance, so that here a
//! chooser of ours throws the dice for a loss. Its duplicating network repeats a message for ever; not used. What it
//! adds: every step makes a new state of the whole system and looks whether the path has been there before.

use std::borrow::Cow;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use stateright::actor::{
    Actor, ActorModel, ActorModelAction, ActorModelState, Envelope, Id, LossyNetwork, Network, Out,
    model_timeout,
};
use stateright::{Checker, Chooser, Expectation, Model, UniformChooser};

use crate::Done;
use crate::workloads::{CLIENTS, LOSS_PERCENT, SHORT_MESSAGES, SHORT_NODES};

pub(crate) fn ping(bounces: u64, seed: u64) -> Done {
    circles(1, 2, 1, bounces, bounces, seed)
}

pub(crate) fn ring(nodes: u32, events: u64, seed: u64) -> Done {
    circles(1, nodes, nodes, u64::MAX, events, seed)
}

pub(crate) fn short_runs(simulations: u64, seed: u64) -> Done {
    circles(simulations, SHORT_NODES, 1, SHORT_MESSAGES, SHORT_MESSAGES, seed)
}

pub(crate) fn lossy_rpc(calls: u32, seed: u64) -> Done {
    let checker = ActorModel::new(Ended::default(), ())
        .actor(Node::Server)
        .actors((0..CLIENTS).map(|_| Node::Client { calls }))
        .init_network(Network::new_unordered_nonduplicating([]))
        .lossy_network(LossyNetwork::Yes)
        .property(Expectation::Sometimes, "each call is answered", |model, state| {
            let answered = state.actor_states[1..].iter().all(|client| client.is_done());
            if answered {
                model
                    .cfg
                    .0
                    .set(state.actor_states.iter().map(|node| (**node).clone()).collect())
                    .expect("once");
            }
            answered
        })
        .checker()
        .target_state_count(1)
        .spawn_simulation(seed, Dice)
        .join();
    let nodes = checker.model().cfg.0.get().expect("each call is answered");
    let NodeState::Server { counter, .. } = nodes[0] else { panic!("the first node is the server") };
    assert_eq!(counter, u64::from(CLIENTS) * u64::from(calls), "each call counts once");
    // Beside the events, a step may be a loss: the number of states tells one path from another.
    Done { events: nodes.iter().map(NodeState::handled).sum(), time: checker.state_count() as u64 }
}

/// As many paths, each along a circle in which tokens go round, of `hops` hops, until `events` were delivered. One
/// checker for all, which draws a seed for each.
fn circles(paths: u64, nodes: u32, tokens: u32, hops: u64, events: u64, seed: u64) -> Done {
    let relays = (0..nodes).map(|node| {
        let next = Id::from((node as usize + 1) % nodes as usize);
        Relay { next, starts: node < tokens, hops }
    });
    let states = usize::try_from(events + 1).expect("fits the memory");
    let checker = ActorModel::new(Goal::at(events), Log::default())
        .actors(relays)
        .init_network(Network::new_unordered_nonduplicating([]))
        .record_msg_in(|_, log, envelope| Some(log.and(envelope)))
        .property(Expectation::Always, "goes no further", |model, state| model.cfg.sees(state))
        .checker()
        .target_state_count(paths as usize * states)
        .target_max_depth(states)
        .spawn_simulation(seed, UniformChooser)
        .join();
    // Each state but the first of a path is one delivery.
    assert_eq!(checker.state_count(), paths as usize * states);
    assert!(checker.discoveries().is_empty(), "it went further");
    let goal = &checker.model().cfg;
    assert_eq!(goal.passed.load(Relaxed), paths * events);
    Done { events: paths * events, time: goal.order.load(Relaxed) }
}

/// What was delivered on a path, and in which order.
#[derive(Clone, Debug, Default, Hash, PartialEq)]
struct Log {
    delivered: u64,
    order: u64,
}

impl Log {
    fn and(&self, envelope: Envelope<&u64>) -> Self {
        let order = self.order.rotate_left(5) ^ usize::from(envelope.dst) as u64;
        Self { delivered: self.delivered + 1, order: order.wrapping_mul(0x9E37_79B9_7F4A_7C15) }
    }
}

/// Where a path ends, and what was seen there.
struct Goal {
    events: u64,
    passed: AtomicU64,
    order: AtomicU64,
}

impl Goal {
    fn at(events: u64) -> Self {
        Self { events, passed: AtomicU64::new(0), order: AtomicU64::new(0) }
    }

    /// Adds up what the relays have done at the end of a path; false beyond.
    fn sees(&self, state: &ActorModelState<Relay, Log>) -> bool {
        if state.history.delivered == self.events {
            self.passed.fetch_add(state.actor_states.iter().map(|passed| **passed).sum(), Relaxed);
            self.order.fetch_add(state.history.order, Relaxed);
        }
        state.history.delivered <= self.events
    }
}

/// Passes a counter on to the next node until it has reached the end. Its state is how often it has.
struct Relay {
    next: Id,
    starts: bool,
    hops: u64,
}

impl Actor for Relay {
    type Msg = u64;
    type Timer = ();
    type State = u64;
    type Storage = ();
    type Random = ();

    fn on_start(&self, _id: Id, _storage: &Option<()>, out: &mut Out<Self>) -> u64 {
        if self.starts {
            out.send(self.next, 1);
        }
        0
    }

    fn on_msg(&self, _id: Id, passed: &mut Cow<'_, u64>, _src: Id, hop: u64, out: &mut Out<Self>) {
        *passed.to_mut() += 1;
        if hop < self.hops {
            out.send(self.next, hop + 1);
        }
    }
}

/// The nodes as they were when every call was answered.
#[derive(Default)]
struct Ended(OnceLock<Vec<NodeState>>);

/// Chooses among the pending messages and timers, all alike, and loses of the messages it should.
#[derive(Clone)]
struct Dice;

impl Dice {
    fn below(dice: &mut ChaCha8Rng, bound: usize) -> usize {
        ((u64::from(dice.next_u32()) * bound as u64) >> 32) as usize
    }
}

impl Chooser<ActorModel<Node, Ended>> for Dice {
    type State = ChaCha8Rng;

    fn new_state(&self, seed: u64) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(seed)
    }

    fn choose_initial_state(&self, _dice: &mut ChaCha8Rng, _states: &[ActorModelState<Node>]) -> usize {
        0
    }

    /// The model lists what can be dropped, then what can be delivered, in the same order, then the timers.
    fn choose_action(
        &self,
        dice: &mut ChaCha8Rng,
        _state: &ActorModelState<Node>,
        actions: &[ActorModelAction<Rpc, (), ()>],
    ) -> usize {
        let messages = actions.partition_point(|action| matches!(action, ActorModelAction::Drop(_)));
        let chosen = Self::below(dice, actions.len() - messages);
        let lost = chosen < messages && Self::below(dice, 100) < LOSS_PERCENT as usize;
        if lost { chosen } else { messages + chosen }
    }
}

/// What clients and server say to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Rpc {
    Request { seq: u32 },
    Reply { seq: u32, value: u64 },
}

enum Node {
    Server,
    Client { calls: u32 },
}

#[derive(Clone, Debug, PartialEq, Hash)]
enum NodeState {
    /// `answered` has the last call of each client and its reply.
    Server {
        counter: u64,
        answered: Vec<(u32, u64)>,
        handled: u64,
    },
    Client {
        calls: u32,
        seq: u32,
        value: u64,
        handled: u64,
    },
}

impl NodeState {
    /// The messages and timeouts it has handled. They make each of its states a new one, as the checker wants it.
    fn handled(&self) -> u64 {
        let (Self::Server { handled, .. } | Self::Client { handled, .. }) = self;
        *handled
    }

    fn is_done(&self) -> bool {
        matches!(self, Self::Client { calls, seq, .. } if seq > calls)
    }
}

const SERVER: usize = 0;

impl Node {
    fn ask(seq: u32, out: &mut Out<Self>) {
        out.send(Id::from(SERVER), Rpc::Request { seq });
        out.set_timer((), model_timeout());
    }
}

impl Actor for Node {
    type Msg = Rpc;
    type Timer = ();
    type State = NodeState;
    type Storage = ();
    type Random = ();

    fn on_start(&self, _id: Id, _storage: &Option<()>, out: &mut Out<Self>) -> NodeState {
        match *self {
            Self::Server => {
                NodeState::Server { counter: 0, answered: vec![(0, 0); CLIENTS as usize], handled: 0 }
            }
            Self::Client { calls } => {
                Self::ask(1, out);
                NodeState::Client { calls, seq: 1, value: 0, handled: 0 }
            }
        }
    }

    fn on_msg(&self, _id: Id, state: &mut Cow<'_, NodeState>, src: Id, message: Rpc, out: &mut Out<Self>) {
        match (state.to_mut(), message) {
            (NodeState::Server { counter, answered, handled }, Rpc::Request { seq }) => {
                *handled += 1;
                let answer = &mut answered[usize::from(src) - 1];
                if seq < answer.0 {
                    return;
                }
                if seq > answer.0 {
                    *counter += 1;
                    *answer = (seq, *counter);
                }
                out.send(src, Rpc::Reply { seq, value: answer.1 });
            }
            (NodeState::Client { calls, seq, value: last, handled }, Rpc::Reply { seq: answered, value }) => {
                *handled += 1;
                if answered != *seq {
                    return;
                }
                assert!(value > *last, "the counter went back from {last} to {value}");
                *last = value;
                *seq += 1;
                out.cancel_timer(());
                if *seq <= *calls {
                    Self::ask(*seq, out);
                }
            }
            (state, message) => panic!("{message:?} is not for {state:?}"),
        }
    }

    fn on_timeout(&self, _id: Id, state: &mut Cow<'_, NodeState>, _timer: &(), out: &mut Out<Self>) {
        let NodeState::Client { seq, handled, .. } = state.to_mut() else {
            panic!("the server has no timer")
        };
        *handled += 1;
        Self::ask(*seq, out);
    }
}
