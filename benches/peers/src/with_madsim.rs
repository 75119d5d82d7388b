//! The workloads on madsim: async programs on simulated nodes, each with an `Endpoint`.
//!
//! Messages are sent as values (`send_to_raw`), without being turned into bytes. What it has no counterpart for: a
//! message is never duplicated. What it adds: every send and every receive sleeps up to 5 µs of virtual time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use madsim::net::{self, Endpoint};
use madsim::runtime::Runtime;
use madsim::time::{Instant, timeout};

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
    let runtime = runtime(seed, f64::from(LOSS_PERCENT) / 100.0);
    let (events, counted) = (Count::default(), Count::default());
    let server = runtime.create_node().ip(address(0).ip()).build();
    server.spawn(serve(Arc::clone(&events), Arc::clone(&counted)));
    let clients: Vec<_> = (1..=CLIENTS)
        .map(|client| {
            let node = runtime.create_node().ip(address(client).ip()).build();
            node.spawn(call(client, calls, Arc::clone(&events)))
        })
        .collect();
    let time = runtime.block_on(async {
        let start = Instant::now();
        for client in clients {
            assert_eq!(client.await.expect("a client ends"), calls, "each call is answered");
        }
        start.elapsed()
    });
    assert_eq!(counted.load(Relaxed), u64::from(CLIENTS) * u64::from(calls), "each call counts once");
    Done { events: events.load(Relaxed), time: time.as_nanos() as u64 }
}

type Count = Arc<AtomicU64>;

fn runtime(seed: u64, packet_loss_rate: f64) -> Runtime {
    let send_latency = Duration::from_nanos(DELAY_MIN)..Duration::from_nanos(DELAY_MAX);
    let net = net::Config { packet_loss_rate, send_latency };
    Runtime::with_seed_and_config(seed, madsim::Config { net, ..madsim::Config::default() })
}

fn address(node: u32) -> SocketAddr {
    let [_, high, middle, low] = (node + 1).to_be_bytes();
    SocketAddr::from(([10, high, middle, low], 1))
}

/// A circle in which tokens go round until `events` were delivered.
fn circle(nodes: u32, tokens: u32, events: u64, seed: u64) -> Done {
    let runtime = runtime(seed, 0.0);
    let passed = Count::default();
    let (ended, end) = futures_channel::oneshot::channel();
    let ended = Arc::new(std::sync::Mutex::new(Some(ended)));
    for node in 0..nodes {
        let (passed, ended) = (Arc::clone(&passed), Arc::clone(&ended));
        let handle = runtime.create_node().ip(address(node).ip()).build();
        handle.spawn(async move {
            let endpoint = Endpoint::bind(address(node)).await.expect("an address of its own");
            let next = address((node + 1) % nodes);
            if node < tokens {
                // All nodes are bound before the first message is sent.
                madsim::time::sleep(Duration::from_millis(1)).await;
                endpoint.send_to_raw(next, 0, Box::new(1_u64)).await.expect("a datagram");
            }
            loop {
                let (hop, _) = endpoint.recv_from_raw(0).await.expect("a datagram");
                let hop = *hop.downcast::<u64>().expect("a hop");
                let handled = passed.load(Relaxed) + 1;
                passed.store(handled, Relaxed);
                if handled == events {
                    let ended = ended.lock().expect("one thread").take().expect("ends once");
                    ended.send(()).expect("somebody waits");
                    return;
                }
                endpoint.send_to_raw(next, 0, Box::new(hop + 1)).await.expect("a datagram");
            }
        });
    }
    let time = runtime.block_on(async {
        let start = Instant::now();
        end.await.expect("it ends");
        start.elapsed()
    });
    assert_eq!(passed.load(Relaxed), events);
    Done { events, time: time.as_nanos() as u64 }
}

#[derive(Clone, Copy)]
struct Request {
    client: u32,
    seq: u32,
}

#[derive(Clone, Copy, Default)]
struct Reply {
    seq: u32,
    value: u64,
}

async fn serve(events: Count, counted: Count) {
    let endpoint = Endpoint::bind(address(0)).await.expect("an address of its own");
    let mut answered = vec![Reply::default(); CLIENTS as usize];
    loop {
        let (request, from) = endpoint.recv_from_raw(0).await.expect("a datagram");
        let Request { client, seq } = *request.downcast::<Request>().expect("a request");
        events.store(events.load(Relaxed) + 1, Relaxed);
        let answer = &mut answered[client as usize - 1];
        if seq < answer.seq {
            continue;
        }
        if seq > answer.seq {
            counted.store(counted.load(Relaxed) + 1, Relaxed);
            *answer = Reply { seq, value: counted.load(Relaxed) };
        }
        endpoint.send_to_raw(from, 0, Box::new(*answer)).await.expect("a datagram");
    }
}

async fn call(client: u32, calls: u32, events: Count) -> u32 {
    let endpoint = Endpoint::bind(address(client)).await.expect("an address of its own");
    let mut last = 0;
    for seq in 1..=calls {
        let value = loop {
            let request = Request { client, seq };
            endpoint.send_to_raw(address(0), 0, Box::new(request)).await.expect("a datagram");
            let reply = async {
                loop {
                    let (reply, _) = endpoint.recv_from_raw(0).await.expect("a datagram");
                    events.store(events.load(Relaxed) + 1, Relaxed);
                    let reply = *reply.downcast::<Reply>().expect("a reply");
                    if reply.seq == seq {
                        break reply.value;
                    }
                }
            };
            if let Ok(value) = timeout(Duration::from_nanos(TIMEOUT), reply).await {
                break value;
            }
            events.store(events.load(Relaxed) + 1, Relaxed);
        };
        assert!(value > last, "the counter went back from {last} to {value}");
        last = value;
    }
    calls
}
