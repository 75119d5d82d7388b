//! Connections: in order, without duplicates, and ambiguous when they break.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{Happening, Notes, Trace, Word, exactly, one_millisecond_apart, scripted};
use snowglobe_sim::{
    Config, ConnectionId, Context, Decision, Delay, Ending, EventId, Fault, FaultCounts, Link, MICROS,
    MILLIS, NodeId, Ratio, SECONDS, StreamEvent,
};

const A: NodeId = NodeId(0);
const B: NodeId = NodeId(1);
const HALF: u64 = 500 * MICROS;

type Ctx = Context<Word>;

/// What a node notes about a connection.
fn told(ctx: &mut Ctx, event: &StreamEvent<Word>) {
    let words = match event {
        StreamEvent::Opened => "opened".to_owned(),
        StreamEvent::Accepted { from } => format!("accepted {from}"),
        StreamEvent::Received(Word(_, number)) => format!("{number}"),
        StreamEvent::Closed => "closed".to_owned(),
        StreamEvent::Broken => "broken".to_owned(),
    };
    ctx.note(words);
}

/// Node 0 connects to node 1 and sends numbers, `burst` at once when it is open and as many each 10 ms, until it has
/// sent `total`, and then closes if it `closes`. Node 1 answers each number with the number plus 1,000 if it `answers`.
#[derive(Clone, Copy)]
struct Talk {
    burst: u64,
    total: u64,
    closes: bool,
    answers: bool,
}

impl Talk {
    fn script(self) -> impl Fn(&mut Ctx, &mut u64, Happening) + Send + Sync + 'static {
        move |ctx, sent, happening| {
            if let Happening::Stream(_, event) = &happening {
                told(ctx, event);
            }
            match happening {
                Happening::Start if ctx.node() == A && ctx.incarnation() == 0 => {
                    ctx.connect(B);
                }
                Happening::Stream(connection, StreamEvent::Opened) => self.more(ctx, sent, connection),
                Happening::Timer(label) => self.more(ctx, sent, ConnectionId(EventId(label.key))),
                Happening::Stream(connection, StreamEvent::Received(Word(_, number)))
                    if self.answers && ctx.node() == B =>
                {
                    ctx.send_on(connection, Word("answer", number + 1_000));
                }
                Happening::Stream(connection, StreamEvent::Broken) => {
                    ctx.cancel_timer(("more", connection.0.0));
                }
                _ => {}
            }
        }
    }

    fn more(self, ctx: &mut Ctx, sent: &mut u64, connection: ConnectionId) {
        for _ in 0..self.burst.min(self.total - *sent) {
            ctx.send_on(connection, Word("data", *sent));
            *sent += 1;
        }
        if *sent < self.total {
            ctx.set_timer(("more", connection.0.0), 10 * MILLIS);
        } else if self.closes {
            ctx.close(connection);
        }
    }
}

const TALK: Talk = Talk { burst: 5, total: 20, closes: true, answers: false };

fn run(config: Config, seed: u64, talk: Talk) -> (Notes, FaultCounts) {
    let mut notes = Notes::default();
    let mut world = scripted(config, seed, talk.script());
    world.run(&mut notes);
    (notes, *world.fault_counts())
}

fn numbers(notes: &Notes, node: u32) -> Vec<u64> {
    notes.of(node).iter().filter_map(|words| words.parse().ok()).collect()
}

#[test]
fn a_connection_opens_carries_everything_and_closes_after_it() {
    let talk = Talk { burst: 2, total: 3, closes: true, answers: false };
    let (notes, counts) = run(one_millisecond_apart(2), 1, talk);
    assert_eq!(notes.timed(0), ["2 opened"]);
    assert_eq!(notes.timed(1), ["1 accepted n0", "3 0", "3 1", "13 2", "13 closed"]);
    assert_eq!(counts, FaultCounts::default());
}

#[test]
fn what_arrives_is_in_order_and_there_once_under_loss_lateness_duplication_and_pauses() {
    let mut config = Config::new(2);
    config.network.default = Link {
        delay: Delay::Exponential { min: MILLIS, mean: 20 * MILLIS },
        loss: Ratio::new(1, 5),
        duplication: Ratio::new(1, 2),
        duplication_delay: Delay::Constant(MILLIS),
        late: Ratio::new(1, 3),
        late_delay: Delay::Uniform { min: 0, max: SECONDS },
        ..Link::RELIABLE
    };
    config.faults.rates.pause_every = 200 * MILLIS;
    config.faults.rates.slow_every = 200 * MILLIS;
    config.faults.until = 3 * SECONDS;
    let (mut lost, mut complete) = (0, 0);
    for seed in 0..200 {
        // Whoever closes does not wait for answers; so it does one or the other.
        let closes = seed % 2 == 0;
        let (notes, counts) = run(config.clone(), seed, Talk { closes, answers: !closes, ..TALK });
        let (heard, answered) = (numbers(&notes, 1), numbers(&notes, 0));
        assert!(heard.iter().copied().eq(0..heard.len() as u64), "seed {seed}: {heard:?}");
        assert!(
            answered.iter().copied().eq((0..answered.len() as u64).map(|n| n + 1_000)),
            "seed {seed}: {answered:?}"
        );
        let first = notes.of(0).first().copied();
        assert!(matches!(first, Some("opened" | "broken")), "seed {seed}: {first:?} came before it was open");
        if counts.connections_broken == 0 {
            complete += 1;
            assert_eq!(heard.len(), 20, "seed {seed}");
            assert_eq!(answered.len(), if closes { 0 } else { 20 }, "seed {seed}");
            assert_eq!(notes.of(1).last() == Some(&"closed"), closes, "seed {seed}");
        }
        lost += counts.lost;
    }
    assert!(complete > 190, "{complete}");
    assert!(lost > 400, "{lost}");
}

#[test]
fn what_the_peer_sends_at_once_does_not_overtake_the_opening() {
    let script = |ctx: &mut Ctx, _: &mut u64, happening| match happening {
        Happening::Start if ctx.node() == A => {
            ctx.connect(B);
        }
        Happening::Stream(connection, event) => {
            told(ctx, &event);
            if matches!(event, StreamEvent::Accepted { .. }) {
                (0..3).for_each(|number| {
                    ctx.send_on(connection, Word("greeting", number));
                });
                ctx.close(connection);
            }
        }
        _ => {}
    };
    let mut config = Config::new(2);
    config.network.default.delay = Delay::Uniform { min: 1, max: SECONDS };
    for seed in 0..100 {
        let mut notes = Notes::default();
        scripted(config.clone(), seed, script).run(&mut notes);
        assert_eq!(notes.of(0), ["opened", "0", "1", "2", "closed"], "seed {seed}");
    }
}

#[test]
fn messages_sent_before_the_connection_is_open_arrive_in_order_when_it_is() {
    let script = |ctx: &mut Ctx, _: &mut u64, happening| match happening {
        Happening::Start if ctx.node() == A => {
            let connection = ctx.connect(B);
            ctx.send_on(connection, Word("early", 0));
            ctx.send_on(connection, Word("early", 1));
        }
        Happening::Stream(connection, event) => {
            told(ctx, &event);
            if event == StreamEvent::Opened {
                ctx.send_on(connection, Word("late", 2));
                ctx.close(connection);
                ctx.send_on(connection, Word("too late", 3));
            }
        }
        _ => {}
    };
    let (mut notes, mut trace) = (Notes::default(), Trace::default());
    let mut world = scripted(one_millisecond_apart(2), 1, script);
    assert_eq!(world.run(&mut (&mut notes, &mut trace)), Ending::Quiet);
    assert_eq!(notes.timed(0), ["2 opened"]);
    assert_eq!(notes.timed(1), ["1 accepted n0", "3 0", "3 1", "3 2", "3 closed"]);
    assert_eq!(trace.0.iter().filter(|entry| entry.text.starts_with("Send")).count(), 3);
}

#[test]
fn closing_before_it_is_open_closes_after_what_was_sent() {
    let script = |ctx: &mut Ctx, _: &mut u64, happening| match happening {
        Happening::Start if ctx.node() == A => {
            let connection = ctx.connect(B);
            ctx.send_on(connection, Word("only", 9));
            ctx.close(connection);
        }
        Happening::Stream(_, event) => told(ctx, &event),
        _ => {}
    };
    let mut notes = Notes::default();
    scripted(one_millisecond_apart(2), 1, script).run(&mut notes);
    assert_eq!(notes.timed(1), ["1 accepted n0", "3 9", "3 closed"]);
}

fn with_fault(fault: Fault) -> Config {
    let mut config = one_millisecond_apart(2);
    config.faults.list = vec![fault];
    config
}

#[test]
fn a_connection_to_a_node_that_is_down_breaks() {
    let script = |ctx: &mut Ctx, _: &mut u64, happening| match happening {
        Happening::Start if ctx.node() == A => ctx.set_timer("connect", 10 * MILLIS),
        Happening::Timer(_) => {
            let connection = ctx.connect(B);
            ctx.send_on(connection, Word("never", 0))
        }
        Happening::Stream(_, event) => {
            told(ctx, &event);
            EventId::ROOT
        }
        _ => EventId::ROOT,
    };
    let script = move |ctx: &mut Ctx, state: &mut u64, happening: Happening| {
        script(ctx, state, happening);
    };
    for down in [None, Some(100 * MILLIS)] {
        let mut notes = Notes::default();
        let mut world = scripted(with_fault(Fault::Crash { node: B, at: 5 * MILLIS, down }), 1, script);
        assert_eq!(world.run(&mut notes), Ending::Quiet);
        assert_eq!(notes.timed(0), ["1011 broken"]);
        assert_eq!(notes.of(1), Vec::<&str>::new());
        assert_eq!(world.fault_counts().connections_broken, 1);
    }
}

#[test]
fn the_crash_of_either_side_breaks_the_other() {
    for (node, other) in [(A, B), (B, A)] {
        for soft in [false, true] {
            let (at, down) = (14 * MILLIS + HALF, Some(10 * MILLIS));
            let fault = if soft { Fault::Kill { node, at, down } } else { Fault::Crash { node, at, down } };
            let (notes, counts) = run(with_fault(fault), 1, Talk { total: 100, ..TALK });
            assert_eq!(counts.connections_broken, 1);
            assert_eq!(notes.timed(other.0).last().unwrap(), "15500000ns broken");
            assert!(!notes.of(node.0).contains(&"broken"));
        }
    }
}

#[test]
fn a_partition_breaks_both_ends_if_it_lasts_and_neither_if_it_does_not_and_nothing_is_sent() {
    let cut = |span, one_way| Fault::Partition {
        left: vec![A],
        right: vec![B],
        one_way,
        at: 50 * MILLIS + HALF,
        span,
    };
    let idle = Talk { burst: 2, total: 2, closes: false, answers: false };
    for one_way in [false, true] {
        let (notes, counts) = run(with_fault(cut(2 * SECONDS, one_way)), 1, idle);
        assert_eq!(counts.connections_broken, 2);
        for node in [0, 1] {
            assert_eq!(notes.timed(node).last().unwrap(), "1050500000ns broken");
        }
        let (notes, counts) = run(with_fault(cut(SECONDS / 2, one_way)), 1, idle);
        assert_eq!(counts.connections_broken, 0);
        assert_eq!(notes.of(0), ["opened"]);
    }
}

#[test]
fn what_is_sent_into_a_partition_breaks_the_connection_on_both_ends() {
    let cut = Fault::Partition {
        left: vec![A],
        right: vec![B],
        one_way: false,
        at: 13 * MILLIS + HALF,
        span: 10 * MILLIS,
    };
    let (notes, counts) = run(with_fault(cut), 1, Talk { total: 1_000, ..TALK });
    // The burst of 22 ms is lost; the sender gives up a second later and tells the other end, which has held back
    // what came after the gap.
    assert_eq!(notes.timed(0), ["2 opened", "1022 broken"]);
    assert_eq!(notes.timed(1).last().unwrap(), "1023 broken");
    assert_eq!(numbers(&notes, 1), (0..10).collect::<Vec<_>>());
    assert_eq!(counts.connections_broken, 2);
}

#[test]
fn the_news_of_a_crash_does_not_pass_a_partition() {
    let mut config = one_millisecond_apart(2);
    config.faults.list = vec![
        Fault::Partition {
            left: vec![A],
            right: vec![B],
            one_way: false,
            at: 20 * MILLIS + HALF,
            span: 100 * MILLIS,
        },
        Fault::Crash { node: B, at: 30 * MILLIS + HALF, down: Some(10 * MILLIS) },
    ];
    let (notes, _) = run(config, 1, Talk { burst: 1, total: 1, closes: false, answers: false });
    assert_eq!(notes.timed(0), ["2 opened", "1031500000ns broken"]);
}

#[test]
fn an_acceptance_that_is_lost_leaves_neither_end_waiting_for_ever() {
    // The cut comes while the acceptance is under way, and is over before anybody asks.
    let cut = Fault::Partition {
        left: vec![B],
        right: vec![A],
        one_way: true,
        at: MILLIS + HALF,
        span: 10 * MILLIS,
    };
    let (notes, counts) = run(with_fault(cut), 1, TALK);
    assert_eq!(notes.of(0), ["broken"]);
    assert_eq!(notes.of(1), ["accepted n0", "broken"]);
    assert_eq!(counts.connections_broken, 2);
}

#[test]
fn an_acceptance_that_finds_its_asker_gone_breaks_the_acceptors_end() {
    // The news of the crash, on the faster link, comes before the request to open.
    let mut config = with_fault(Fault::Crash { node: A, at: MILLIS + HALF, down: Some(MILLIS) });
    config.network.default = exactly(5);
    config.faults.list.push(Fault::Link { from: A, to: B, at: MILLIS, span: MILLIS, link: exactly(1) });
    let (notes, _) = run(config, 1, TALK);
    assert_eq!(notes.timed(1), ["5 accepted n0", "15 broken"]);
    assert_eq!(notes.of(0), Vec::<&str>::new());
}

#[test]
fn a_segment_that_is_given_up_breaks_both_ends_also_if_it_was_the_close() {
    let closing = Talk { burst: 1, total: 1, closes: true, answers: false };
    let mut trace = Trace::default();
    scripted(one_millisecond_apart(2), 1, closing.script()).run(&mut trace);
    let by_word =
        |word| trace.0.iter().find(|entry| entry.stamp.node == A && entry.text.contains(word)).unwrap();
    for (lost, at_a, at_b) in [
        (by_word("Send"), vec!["2 opened"], vec!["1 accepted n0", "1003 broken"]),
        (by_word("\"close\""), vec!["2 opened"], vec!["1 accepted n0", "3 0", "1003 broken"]),
    ] {
        let mut world = scripted(one_millisecond_apart(2), 1, closing.script());
        world.reset(1, [(lost.stamp.id, Decision::Fate(vec![]))].into_iter().collect());
        let mut notes = Notes::default();
        assert_eq!(world.run(&mut notes), Ending::Quiet);
        assert_eq!(
            (notes.timed(0), notes.timed(1)),
            (at_a.iter().map(ToString::to_string).collect(), at_b.iter().map(ToString::to_string).collect())
        );
        assert_eq!(world.overrides().unmatched().count(), 0);
    }
}

#[test]
fn a_lost_segment_is_sent_again_and_shows_as_delay() {
    let mut config = one_millisecond_apart(2);
    config.network.default.loss = Ratio::new(1, 3);
    let mut waits = BTreeSet::new();
    for seed in 0..300 {
        let (notes, _) =
            run(config.clone(), seed, Talk { burst: 1, total: 1, closes: false, answers: false });
        let opened = notes.0.iter().find(|(.., words)| words == "opened").map(|(time, ..)| *time);
        let heard = notes.0.iter().find(|(.., words)| words == "0").map(|(time, ..)| *time);
        if let (Some(opened), Some(heard)) = (opened, heard) {
            waits.insert((heard - opened) / MILLIS);
        }
    }
    // A millisecond, and 200 for each of at most six losses.
    assert!(waits.iter().all(|wait| wait % 200 == 1 && *wait <= 1_201), "{waits:?}");
    assert!(waits.len() >= 4, "{waits:?}");
}

#[test]
fn after_broken_the_last_message_may_have_arrived_or_not() {
    let mut config = Config::new(2);
    config.faults.rates.crash_every = 30 * MILLIS;
    config.faults.rates.crash_nodes = Some(vec![B]);
    config.faults.until = 200 * MILLIS;
    let mut arrived = BTreeMap::new();
    for seed in 0..300 {
        // One question; the answer never comes because the node crashed, before or after it heard the question.
        let (notes, _) =
            run(config.clone(), seed, Talk { burst: 1, total: 1, closes: false, answers: false });
        if notes.of(0) == ["opened", "broken"] {
            *arrived.entry(numbers(&notes, 1) == [0]).or_insert(0) += 1;
        }
    }
    assert!(arrived.len() == 2 && arrived.values().all(|count| *count > 10), "{arrived:?}");
}

#[test]
fn a_connection_does_not_outlive_the_life_of_its_node() {
    // Segments that were under way when the node crashed find its next life without the connection.
    let mut config = one_millisecond_apart(2);
    config.network.links.insert((A, B), exactly(20));
    config.faults.list = vec![Fault::Crash { node: B, at: 45 * MILLIS, down: Some(MILLIS) }];
    let (notes, counts) = run(config, 1, Talk { burst: 1, total: 10, closes: false, answers: false });
    assert_eq!(notes.timed(1), ["20 accepted n0", "41 0"]);
    assert_eq!(notes.timed(0), ["21 opened", "46 broken"]);
    assert_eq!(counts.connections_broken, 1);
}

#[test]
fn two_connections_between_the_same_nodes_know_nothing_of_each_other() {
    let script = |ctx: &mut Ctx, _: &mut u64, happening| match happening {
        Happening::Start if ctx.node() == A => {
            let (one, two) = (ctx.connect(B), ctx.connect(B));
            assert_ne!(one, two);
            ctx.send_on(one, Word("one", 1));
            ctx.send_on(two, Word("two", 2));
            ctx.close(one);
        }
        Happening::Stream(_, event) => told(ctx, &event),
        _ => {}
    };
    let mut notes = Notes::default();
    let mut world = scripted(one_millisecond_apart(2), 1, script);
    assert_eq!(world.run(&mut notes), Ending::Quiet);
    let mut at_b = notes.timed(1);
    at_b.sort();
    assert_eq!(at_b, ["1 accepted n0", "1 accepted n0", "3 1", "3 2", "3 closed"]);
}
