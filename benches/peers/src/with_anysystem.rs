//! The workloads on anysystem: processes that handle messages and timers, on simcore.
//!
//! What it does otherwise: processes, messages and timers have text for names and contents, a duplicated message
//! arrives twice or three times, every dice is thrown from one stream, and a log of everything that happened is
//! always kept in memory, three times over.

use std::cell::RefCell;
use std::rc::Rc;

use anysystem::{Context, Message, Process, System};

use crate::Done;
use crate::workloads::{
    CLIENTS, DELAY_MAX, DELAY_MIN, DUPLICATION_PERCENT, LOSS_PERCENT, SHORT_MESSAGES, SHORT_NODES, TIMEOUT,
};

pub(crate) fn ping(bounces: u64, seed: u64) -> Done {
    let done = circle(2, 1, bounces, None, seed);
    assert_eq!(done.events, bounces);
    done
}

pub(crate) fn ring(nodes: u32, events: u64, seed: u64) -> Done {
    let done = circle(nodes, nodes, u64::MAX, Some(events), seed);
    assert_eq!(done.events, events);
    done
}

pub(crate) fn short_runs(simulations: u64, seed: u64) -> Done {
    let mut all = Done { events: 0, time: 0 };
    for simulation in 0..simulations {
        let done = circle(SHORT_NODES, 1, SHORT_MESSAGES, None, seed.wrapping_add(simulation));
        all = Done { events: all.events + done.events, time: all.time + done.time };
    }
    assert_eq!(all.events, simulations * SHORT_MESSAGES);
    all
}

pub(crate) fn lossy_rpc(calls: u32, seed: u64) -> Done {
    let mut system = system(seed);
    system.network().set_drop_rate(f64::from(LOSS_PERCENT) / 100.0);
    system.network().set_dupl_rate(f64::from(DUPLICATION_PERCENT) / 100.0);
    let done = Rc::new(RefCell::new(Work::default()));
    add(&mut system, SERVER, Server { done: Rc::clone(&done), answered: vec![(0, 0); CLIENTS as usize] });
    for client in 0..CLIENTS {
        let name = format!("client-{client}");
        add(&mut system, &name, Client { done: Rc::clone(&done), client, calls, seq: 0, value: 0 });
        system.send_local_message(&name, Message::new("start", ""));
    }
    system.step_until_no_events();
    let done = done.borrow();
    let all = u64::from(CLIENTS) * u64::from(calls);
    assert_eq!(done.counted, all, "each call counts once");
    assert_eq!(done.answered, all, "each call is answered");
    Done { events: done.events, time: nanos(&system) }
}

const SERVER: &str = "server";

/// What all processes have done together.
#[derive(Default)]
struct Work {
    events: u64,
    counted: u64,
    answered: u64,
}

type Shared = Rc<RefCell<Work>>;

fn system(seed: u64) -> System {
    let system = System::new(seed);
    system.network().set_delays(DELAY_MIN as f64 / 1e9, DELAY_MAX as f64 / 1e9);
    system
}

/// Virtual nanoseconds.
fn nanos(system: &System) -> u64 {
    (system.time() * 1e9) as u64
}

/// A node with a process of the same name.
fn add(system: &mut System, name: &str, process: impl Process + 'static) {
    system.add_node(name);
    system.add_process(name, Box::new(process), name);
}

fn number<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("a number")
}

/// Passes a counter on to the next node until it has reached the end.
#[derive(Clone)]
struct Relay {
    done: Shared,
    next: String,
    hops: u64,
}

impl Process for Relay {
    fn on_message(&mut self, message: Message, _from: String, context: &mut Context) -> Result<(), String> {
        self.done.borrow_mut().events += 1;
        let hop: u64 = number(&message.data);
        if hop < self.hops {
            context.send(Message::new("hop", &(hop + 1).to_string()), self.next.clone());
        }
        Ok(())
    }

    fn on_local_message(&mut self, _message: Message, context: &mut Context) -> Result<(), String> {
        context.send(Message::new("hop", "1"), self.next.clone());
        Ok(())
    }

    fn on_timer(&mut self, _timer: String, _context: &mut Context) -> Result<(), String> {
        Ok(())
    }
}

/// A circle; ends after `steps` events if that is said, else when nothing is pending.
fn circle(nodes: u32, tokens: u32, hops: u64, steps: Option<u64>, seed: u64) -> Done {
    let mut system = system(seed);
    let done = Shared::default();
    let name = |node: u32| format!("node-{node}");
    for node in 0..nodes {
        add(&mut system, &name(node), Relay { done: Rc::clone(&done), next: name((node + 1) % nodes), hops });
    }
    for node in 0..tokens {
        system.send_local_message(&name(node), Message::new("start", ""));
    }
    match steps {
        Some(steps) => assert!(system.steps(steps), "no token is lost"),
        None => system.step_until_no_events(),
    }
    let events = done.borrow().events;
    Done { events, time: nanos(&system) }
}

/// Node 0 of `lossy_rpc`: counts, and answers a call it knows from its table.
#[derive(Clone)]
struct Server {
    done: Shared,
    answered: Vec<(u32, u64)>,
}

impl Process for Server {
    fn on_message(&mut self, message: Message, from: String, context: &mut Context) -> Result<(), String> {
        let mut done = self.done.borrow_mut();
        done.events += 1;
        let (client, seq) = message.data.split_once(' ').expect("a request");
        let (client, seq): (usize, u32) = (number(client), number(seq));
        let answer = &mut self.answered[client];
        if seq < answer.0 {
            return Ok(());
        }
        if seq > answer.0 {
            done.counted += 1;
            *answer = (seq, done.counted);
        }
        context.send(Message::new("reply", &format!("{} {}", answer.0, answer.1)), from);
        Ok(())
    }

    fn on_local_message(&mut self, _message: Message, _context: &mut Context) -> Result<(), String> {
        Ok(())
    }

    fn on_timer(&mut self, _timer: String, _context: &mut Context) -> Result<(), String> {
        Ok(())
    }
}

/// The other nodes of `lossy_rpc`: one call at a time, numbered from 1.
#[derive(Clone)]
struct Client {
    done: Shared,
    client: u32,
    calls: u32,
    seq: u32,
    value: u64,
}

impl Client {
    fn ask(&self, context: &mut Context) {
        context.send(Message::new("request", &format!("{} {}", self.client, self.seq)), SERVER.to_owned());
        context.set_timer("retry", TIMEOUT as f64 / 1e9);
    }

    fn call_next(&mut self, context: &mut Context) {
        self.seq += 1;
        if self.seq <= self.calls {
            self.ask(context);
        }
    }
}

impl Process for Client {
    fn on_message(&mut self, message: Message, _from: String, context: &mut Context) -> Result<(), String> {
        self.done.borrow_mut().events += 1;
        let (seq, value) = message.data.split_once(' ').expect("a reply");
        let (seq, value): (u32, u64) = (number(seq), number(value));
        if seq != self.seq {
            return Ok(());
        }
        assert!(value > self.value, "the counter went back from {} to {value}", self.value);
        self.value = value;
        self.done.borrow_mut().answered += 1;
        context.cancel_timer("retry");
        self.call_next(context);
        Ok(())
    }

    fn on_local_message(&mut self, _message: Message, context: &mut Context) -> Result<(), String> {
        self.call_next(context);
        Ok(())
    }

    fn on_timer(&mut self, _timer: String, context: &mut Context) -> Result<(), String> {
        self.done.borrow_mut().events += 1;
        self.ask(context);
        Ok(())
    }
}
