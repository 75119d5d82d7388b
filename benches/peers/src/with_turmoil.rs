//! The workloads on turmoil: async programs on simulated hosts, each with a UDP socket and a tokio runtime of its own.
//!
//! What it has no counterpart for: a message is never duplicated; a delay is exponential and counted in ticks of a
//! millisecond; a loss breaks the link, and so takes what is under way on it as well.

use std::cell::Cell;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use turmoil::net::UdpSocket;
use turmoil::{Builder, Sim};

use crate::Done;
use crate::workloads::{CLIENTS, DELAY_MAX, DELAY_MIN, LOSS_PERCENT, SHORT_MESSAGES, SHORT_NODES, TIMEOUT};

const PORT: u16 = 1;

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
    let mut sim = sim(seed, f64::from(LOSS_PERCENT) / 100.0);
    let (events, counted, answered) = (Count::default(), Count::default(), Count::default());
    let (handled, counter) = (Rc::clone(&events), Rc::clone(&counted));
    sim.host(name(0), move || serve(Rc::clone(&handled), Rc::clone(&counter)));
    for client in 1..=CLIENTS {
        sim.client(name(client), call(client, calls, Rc::clone(&events), Rc::clone(&answered)));
    }
    sim.run().expect("it ends");
    let all = u64::from(CLIENTS) * u64::from(calls);
    assert_eq!(counted.get(), all, "each call counts once");
    assert_eq!(answered.get(), all, "each call is answered");
    Done { events: events.get(), time: sim.elapsed().as_nanos() as u64 }
}

type Count = Rc<Cell<u64>>;

fn sim<'a>(seed: u64, fail_rate: f64) -> Sim<'a> {
    Builder::new()
        .rng_seed(seed)
        .epoch(SystemTime::UNIX_EPOCH)
        .simulation_duration(Duration::from_secs(1 << 40))
        .tick_duration(Duration::from_millis(1))
        .min_message_latency(Duration::from_nanos(DELAY_MIN))
        .max_message_latency(Duration::from_nanos(DELAY_MAX))
        .fail_rate(fail_rate)
        .udp_capacity(1 << 16)
        .build()
}

fn name(node: u32) -> String {
    format!("node-{node}")
}

async fn socket() -> std::io::Result<UdpSocket> {
    UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PORT)).await
}

/// A circle in which tokens go round until `events` were delivered.
fn circle(nodes: u32, tokens: u32, events: u64, seed: u64) -> Done {
    let mut sim = sim(seed, 0.0);
    let passed = Count::default();
    for node in 0..nodes {
        let passed = Rc::clone(&passed);
        sim.host(name(node), move || {
            let passed = Rc::clone(&passed);
            async move {
                let socket = socket().await?;
                let next = SocketAddr::from((turmoil::lookup(name((node + 1) % nodes)), PORT));
                if node < tokens {
                    // All nodes are bound before the first message is sent.
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    socket.send_to(&1_u64.to_le_bytes(), next).await?;
                }
                let mut hop = [0; 8];
                loop {
                    socket.recv_from(&mut hop).await?;
                    if passed.get() == events {
                        return Ok(());
                    }
                    passed.set(passed.get() + 1);
                    if passed.get() < events {
                        socket.send_to(&(u64::from_le_bytes(hop) + 1).to_le_bytes(), next).await?;
                    }
                }
            }
        });
    }
    while passed.get() < events {
        sim.step().expect("a step");
    }
    Done { events, time: sim.elapsed().as_nanos() as u64 }
}

/// `seq` and `value` of a reply, or `client` of a request, as bytes.
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

async fn serve(events: Count, counted: Count) -> turmoil::Result {
    let socket = socket().await?;
    let mut answered = vec![(0, 0); CLIENTS as usize];
    let mut bytes = [0; 12];
    loop {
        let (_, from) = socket.recv_from(&mut bytes).await?;
        let (seq, client) = decoded(&bytes);
        events.set(events.get() + 1);
        let answer = &mut answered[client as usize - 1];
        if seq < answer.0 {
            continue;
        }
        if seq > answer.0 {
            counted.set(counted.get() + 1);
            *answer = (seq, counted.get());
        }
        socket.send_to(&encoded(answer.0, answer.1), from).await?;
    }
}

async fn call(client: u32, calls: u32, events: Count, answered: Count) -> turmoil::Result {
    let socket = socket().await?;
    let server = SocketAddr::from((turmoil::lookup(name(0)), PORT));
    let (mut last, mut bytes) = (0, [0; 12]);
    for expected in 1..=calls {
        let value = loop {
            socket.send_to(&encoded(expected, u64::from(client)), server).await?;
            let reply = async {
                loop {
                    socket.recv_from(&mut bytes).await.expect("a datagram");
                    events.set(events.get() + 1);
                    let (seq, value) = decoded(&bytes);
                    if seq == expected {
                        break value;
                    }
                }
            };
            if let Ok(value) = tokio::time::timeout(Duration::from_nanos(TIMEOUT), reply).await {
                break value;
            }
            events.set(events.get() + 1);
        };
        assert!(value > last, "the counter went back from {last} to {value}");
        last = value;
        answered.set(answered.get() + 1);
    }
    Ok(())
}
