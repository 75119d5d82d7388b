//! The workloads on moonpool: async programs on its executor, which talk over simulated TCP connections.
//!
//! A message is a write and a read of a fixed number of bytes. What it has no counterpart for: datagrams. A
//! connection keeps its messages in order, and neither loses nor repeats one, so that here the sender throws the
//! dice for a loss, with those of the simulation, and does not write. An address holds one connection that waits to
//! be accepted, and so the server has an address for each client.
//!
//! Driven by hand, without its runner: that one judges and reports what nobody asks for here.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use futures_util::{AsyncReadExt, AsyncWriteExt};
use moonpool_sim::executor::{Executor, spawn, until_stalled};
use moonpool_sim::{
    ChaosConfiguration, LatencyDistribution, NetworkConfiguration, NetworkProvider, SimNetworkProvider,
    SimTimeProvider, SimWorld, TcpListenerTrait, TimeProvider, sim_random_range,
};

use crate::Done;
use crate::workloads::{CLIENTS, DELAY_MAX, DELAY_MIN, LOSS_PERCENT, SHORT_MESSAGES, SHORT_NODES, TIMEOUT};

pub(crate) fn ping(bounces: u64, seed: u64) -> Done {
    circle(2, 1, bounces, seed)
}

pub(crate) fn ring(nodes: u32, events: u64, seed: u64) -> Done {
    circle(nodes, nodes, events, seed)
}

pub(crate) fn short_runs(simulations: u64, seed: u64) -> Done {
    let mut all = Done { events: 0, time: 0 };
    for simulation in 0..simulations {
        let done = circle(SHORT_NODES, 1, SHORT_MESSAGES, seed.wrapping_add(simulation));
        all = Done { events: all.events + done.events, time: all.time + done.time };
    }
    assert_eq!(all.events, simulations * SHORT_MESSAGES);
    all
}

pub(crate) fn lossy_rpc(calls: u32, seed: u64) -> Done {
    let mut executor = Executor::new(seed);
    let mut world = world(seed);
    let (events, counted, answered) = (Count::default(), Count::default(), Count::default());
    let all = u64::from(CLIENTS) * u64::from(calls);
    executor.block_on(async {
        for client in 1..=CLIENTS {
            let (events, counted) = (Arc::clone(&events), Arc::clone(&counted));
            drop(spawn("server", serve(world.network_provider(), client, events, counted)));
        }
        for client in 1..=CLIENTS {
            let (events, answered) = (Arc::clone(&events), Arc::clone(&answered));
            let (network, time) = (world.network_provider(), world.time_provider());
            drop(spawn("client", call(network, time, client, calls, events, answered)));
        }
        step_until(&mut world, || answered.load(Relaxed) == all).await;
    });
    assert_eq!(counted.load(Relaxed), all, "each call counts once");
    Done { events: events.load(Relaxed), time: nanos(&world) }
}

type Count = Arc<AtomicU64>;
type Connection = <SimNetworkProvider as NetworkProvider>::TcpStream;

/// What may be counted without atomic additions: there is one thread.
fn count(what: &Count) -> u64 {
    let now = what.load(Relaxed) + 1;
    what.store(now, Relaxed);
    now
}

fn world(seed: u64) -> SimWorld {
    let at_once = LatencyDistribution::default();
    let config = NetworkConfiguration {
        bind_latency: at_once.clone(),
        accept_latency: at_once.clone(),
        connect_latency: at_once.clone(),
        read_latency: at_once,
        write_latency: LatencyDistribution::Uniform {
            start: Duration::from_nanos(DELAY_MIN),
            end: Duration::from_nanos(DELAY_MAX + 1),
        },
        chaos: ChaosConfiguration::disabled(),
    };
    SimWorld::new_with_network_config_and_seed(config, seed)
}

/// Virtual nanoseconds.
fn nanos(world: &SimWorld) -> u64 {
    world.current_time().as_nanos() as u64
}

/// Lets events happen, and after each of them the tasks that it woke.
async fn step_until(world: &mut SimWorld, done: impl Fn() -> bool) {
    let mut pending = true;
    loop {
        until_stalled().await;
        if done() {
            return;
        }
        assert!(pending || world.has_pending_events(), "the work is done before nothing is left to happen");
        pending = world.step();
    }
}

/// A circle in which tokens go round until `events` were delivered.
fn circle(nodes: u32, tokens: u32, events: u64, seed: u64) -> Done {
    let mut executor = Executor::new(seed);
    let mut world = world(seed);
    let passed = Count::default();
    executor.block_on(async {
        for node in 0..nodes {
            let network = world.network_provider();
            drop(spawn("relay", relay(network, node, nodes, node < tokens, events, Arc::clone(&passed))));
        }
        step_until(&mut world, || passed.load(Relaxed) == events).await;
    });
    assert_eq!(passed.load(Relaxed), events);
    Done { events, time: nanos(&world) }
}

async fn relay(network: SimNetworkProvider, node: u32, nodes: u32, starts: bool, events: u64, passed: Count) {
    let listener = network.bind(&address(node, 1)).await.expect("an address of its own");
    let mut next = network.connect(&address((node + 1) % nodes, 1)).await.expect("a connection");
    let (mut previous, _) = listener.accept().await.expect("a connection");
    if starts {
        next.write_all(&1_u64.to_le_bytes()).await.expect("a message");
    }
    let mut hop = [0; 8];
    loop {
        previous.read_exact(&mut hop).await.expect("a message");
        if count(&passed) == events {
            return;
        }
        next.write_all(&(u64::from_le_bytes(hop) + 1).to_le_bytes()).await.expect("a message");
    }
}

fn address(node: u32, port: u32) -> String {
    let [_, high, middle, low] = (node + 1).to_be_bytes();
    format!("10.{high}.{middle}.{low}:{port}")
}

/// `seq` and `value` of a reply or a request, as bytes.
fn encoded(seq: u32, value: u64) -> [u8; 12] {
    let mut bytes = [0; 12];
    bytes[..4].copy_from_slice(&seq.to_le_bytes());
    bytes[4..].copy_from_slice(&value.to_le_bytes());
    bytes
}

fn decoded(bytes: &[u8; 12]) -> (u32, u64) {
    let (seq, value) = bytes.split_at(4);
    (u32::from_le_bytes(seq.try_into().expect("four")), u64::from_le_bytes(value.try_into().expect("eight")))
}

/// Sends unless the message is lost.
async fn send(connection: &mut Connection, message: [u8; 12]) -> io::Result<()> {
    let lost = sim_random_range(0..100) < LOSS_PERCENT;
    if lost { Ok(()) } else { connection.write_all(&message).await }
}

/// The server's side of one client's connection, which alone knows the client's last call. Ends with the client.
async fn serve(network: SimNetworkProvider, client: u32, events: Count, counted: Count) {
    let listener = network.bind(&address(0, client)).await.expect("an address of its own");
    let (mut connection, _) = listener.accept().await.expect("a connection");
    let (mut answered, mut bytes) = ((0, 0), [0; 12]);
    while connection.read_exact(&mut bytes).await.is_ok() {
        let (seq, _) = decoded(&bytes);
        count(&events);
        if seq < answered.0 {
            continue;
        }
        if seq > answered.0 {
            answered = (seq, count(&counted));
        }
        if send(&mut connection, encoded(answered.0, answered.1)).await.is_err() {
            return;
        }
    }
}

async fn call(
    network: SimNetworkProvider,
    time: SimTimeProvider,
    client: u32,
    calls: u32,
    events: Count,
    answered: Count,
) {
    let mut connection = network.connect(&address(0, client)).await.expect("a connection");
    let (mut last, mut bytes) = (0, [0; 12]);
    for expected in 1..=calls {
        let value = loop {
            send(&mut connection, encoded(expected, u64::from(client))).await.expect("a request");
            let reply = async {
                loop {
                    connection.read_exact(&mut bytes).await.expect("a reply");
                    count(&events);
                    let (seq, value) = decoded(&bytes);
                    if seq == expected {
                        break value;
                    }
                }
            };
            if let Ok(value) = time.timeout(Duration::from_nanos(TIMEOUT), reply).await {
                break value;
            }
            count(&events);
        };
        assert!(value > last, "the counter went back from {last} to {value}");
        last = value;
        count(&answered);
    }
}
