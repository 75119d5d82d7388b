//! The networks by name do what the courses and tools do whose names they bear.

use serde::Serialize;
use sim::{
    Config, Context, FaultPlan, FaultRates, Label, MILLIS, Message, Nanos, Network, NodeId, Observer, Process,
};
use sim::{Record, SECONDS, Stamp, World};
use snowglobe_models::networks::NetworkName;

/// How many messages are sent each way. Five standard deviations of a share of them are less than three percent.
const MESSAGES: usize = 10_000;

#[derive(Clone, Hash, Debug, Serialize)]
struct Ping;

impl Message for Ping {
    type Note = ();

    fn label(&self) -> Label {
        Label::new("ping")
    }
}

/// Sends everything at once to the other.
struct Sender;

impl Process for Sender {
    type Message = Ping;

    fn on_start(&mut self, ctx: &mut Context<Ping>) {
        let other = NodeId(1 - ctx.node().0);
        for _ in 0..MESSAGES {
            ctx.send(other, Ping);
        }
    }

    fn on_message(&mut self, _: &mut Context<Ping>, _: NodeId, _: Ping) {}
}

/// What became of the messages of each node.
#[derive(Default)]
struct Fates([Vec<Vec<Nanos>>; 2]);

impl Observer<Ping> for Fates {
    fn observe(&mut self, stamp: Stamp, record: &Record<'_, Ping>) {
        if let Record::Send { fate, .. } = record {
            self.0[stamp.node.index()].push(fate.to_vec());
        }
    }
}

/// What messages of one direction met.
#[derive(PartialEq, Eq, Debug)]
struct Measured {
    /// In percent, to the nearest.
    lost: usize,
    twice: usize,
    /// Of those that were neither lost nor repeated: the shortest delay, the mean and the longest, in milliseconds.
    shortest: Nanos,
    mean: Nanos,
    longest: Nanos,
}

/// Both directions between a server and a client, the server's first.
fn measure(network: Network, faults: FaultPlan) -> [(Measured, Vec<Nanos>); 2] {
    let config = Config { network, faults, ..Config::new(2) };
    let mut fates = Fates::default();
    World::new(config, 1, |_| Sender).run(&mut fates);
    fates.0.map(|fates| {
        let percent = |deliveries: usize| {
            let count = fates.iter().filter(|fate| fate.len() == deliveries).count();
            (count * 100 + MESSAGES / 2) / MESSAGES
        };
        let once = fates.iter().filter(|fate| fate.len() == 1).map(|fate| fate[0]);
        let mut delays: Vec<Nanos> = once.collect();
        delays.sort_unstable();
        let measured = Measured {
            lost: percent(0),
            twice: percent(2),
            shortest: delays[0] / MILLIS,
            mean: delays.iter().sum::<Nanos>() / delays.len() as u64 / MILLIS,
            longest: delays[delays.len() - 1] / MILLIS,
        };
        (measured, delays)
    })
}

fn requests_and_replies(name: NetworkName) -> [(Measured, Vec<Nanos>); 2] {
    // The links alone: neither partitions nor runs in which some of it is switched off.
    let faults = FaultPlan { rates: FaultRates::NONE, swarm: false, ..name.faults() };
    let [replies, requests] = measure(name.with_server(2), faults);
    [requests, replies]
}

fn near(percent: usize, expected: usize) -> bool {
    percent.abs_diff(expected) < 3
}

#[test]
fn each_loses_repeats_and_delays_as_its_name_says() {
    // Name, lost and repeated in percent, shortest and longest delay in milliseconds.
    let facts = [
        (NetworkName::Reliable, 0, 0, 1, 10),
        (NetworkName::Madraft, 10, 0, 1, 27),
        (NetworkName::Dslabs, 20, 0, 1, 10),
        (NetworkName::DslabsHalf, 50, 0, 1, 10),
        (NetworkName::Guarantees, 30, 21, 1_000, 3_000),
        (NetworkName::Maelstrom, 0, 0, 0, u64::MAX),
        (NetworkName::Hostile, 15, 13, 1, 20_010),
        (NetworkName::HostileNetwork, 15, 13, 1, 20_010),
    ];
    for (name, lost, twice, shortest, longest) in facts {
        for (measured, _) in requests_and_replies(name) {
            assert!(near(measured.lost, lost) && near(measured.twice, twice), "{name:?}: {measured:?}");
            assert_eq!(measured.shortest, shortest, "{name:?}: {measured:?}");
            assert!(measured.longest < longest, "{name:?}: {measured:?}");
        }
    }
}

#[test]
fn labrpc_delays_replies_and_never_requests_and_repeats_nothing() {
    let [(requests, _), (replies, delays)] = requests_and_replies(NetworkName::Labrpc);
    for measured in [&requests, &replies] {
        assert!(near(measured.lost, 10) && measured.twice == 0, "{measured:?}");
    }
    assert!(requests.longest < 26, "{requests:?}");
    // Two thirds are late by 200 to 2,200 ms.
    let (soon, late): (Vec<Nanos>, Vec<Nanos>) = delays.iter().partition(|delay| **delay < 26 * MILLIS);
    assert!(near(late.len() * 100 / delays.len(), 67), "{} late, {} not", late.len(), soon.len());
    assert!(late[0] >= 200 * MILLIS && replies.longest < 2_226, "{replies:?}");
    // A client that waits so long makes no call again while anything of it is in flight.
    let timeout = NetworkName::Labrpc.timeout().expect("it is part of its rules");
    assert!(timeout > (requests.longest + 1 + replies.longest + 1) * MILLIS);
}

#[test]
fn dslabs_asks_again_after_100_ms_and_maelstrom_waits_for_five_seconds() {
    assert_eq!(NetworkName::Dslabs.timeout(), Some(100 * MILLIS));
    assert_eq!(NetworkName::DslabsHalf.timeout(), Some(100 * MILLIS));
    assert_eq!(NetworkName::Maelstrom.timeout(), Some(5 * SECONDS));
    let [(requests, _), _] = requests_and_replies(NetworkName::Maelstrom);
    assert!((97..103).contains(&requests.mean), "{requests:?}");
    assert!(NetworkName::Maelstrom.faults().rates.partition_every > 0);
}

#[test]
fn hostile_delays_beyond_every_timeout() {
    let longest_timeout = NetworkName::ALL.iter().filter_map(|name| name.timeout()).max();
    let [(requests, _), _] = requests_and_replies(NetworkName::Hostile);
    assert!(Some(requests.longest * MILLIS) > longest_timeout, "{requests:?}");
    let rates = NetworkName::Hostile.faults().rates;
    assert!(rates.crash_every > 0 && rates.partition_every > 0 && !rates.partition_one_way.is_zero());
}
