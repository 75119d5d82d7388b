//! The sequences of operations that all queues go through. What is pushed next depends on what came out, as in a run, and
//! not on the queue: times and ties are drawn by dice in the same order for all.

use std::collections::BTreeMap;

use crate::pending::{Handle, Key, Order, Pending, time_of};
use crate::recording::Operation;
use crate::workloads::{DELAY_MAX, DELAY_MIN, LOSS_PERCENT, TIMEOUT};

/// What the queues go through.
pub(crate) enum Sequence {
    /// The hold model: so many are pending, and each that comes out schedules another.
    Hold { pending: u32, delays: Delays },
    /// Clients call a server over a network that loses one message in ten, and set a timer for each call, which they cancel
    /// when the reply comes.
    Rpc { clients: u32 },
    /// What a run of the engine did.
    Recorded(Vec<Operation>),
    /// Pushes, cancels and pops as they come, to see that a queue is right: from all at once to far apart, from few to many.
    Random { seed: u64 },
}

/// How far ahead of now an event is scheduled.
#[derive(Clone, Copy)]
pub(crate) enum Delays {
    /// As the messages of the workloads.
    Uniform,
    /// Between 1 µs and 1 s, and each power of two is as likely as another.
    Spread,
    /// 1 ms: all are at the same instants.
    InStep,
    /// One half at once, the other after 1 ms: the same, and what is scheduled may come before all that is pending.
    AtOnce,
}

/// What came of a sequence.
pub(crate) struct Measured {
    /// How many events came out while time was taken.
    events: u64,
    /// Processor time.
    nanos: u64,
    /// Over every key that came out, in order.
    digest: u64,
}

impl Sequence {
    /// So many events of this sequence through a queue.
    pub(crate) fn run<Q: Order>(&self, events: u64) -> Measured {
        match self {
            Self::Hold { pending, delays } => Run::<Q>::new(0).hold(*pending, *delays, events),
            Self::Rpc { clients } => Run::<Q>::new(0).rpc(*clients, events),
            Self::Recorded(operations) => Run::<Q>::new(0).recorded(operations),
            Self::Random { seed } => Run::<Q>::new(*seed).random(events),
        }
    }
}

impl Delays {
    #[inline]
    fn draw(self, die: &mut Die) -> u64 {
        match self {
            Self::Uniform => DELAY_MIN + die.below(DELAY_MAX - DELAY_MIN + 1),
            Self::Spread => {
                let power = 1 << (10 + die.below(20));
                power + die.below(power)
            }
            Self::InStep => 1_000_000,
            Self::AtOnce => die.below(2) * 1_000_000,
        }
    }
}

impl Measured {
    /// Panics if something else came out.
    pub(crate) fn assert_agrees(&self, expected: &Self, name: &str) {
        assert_eq!(self.events, expected.events, "{name}: another number of events than from std's heap");
        assert_eq!(self.digest, expected.digest, "{name}: another order than that of std's heap");
    }

    #[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    pub(crate) fn nanos_per_event(&self) -> f64 {
        self.nanos as f64 / self.events as f64
    }
}

/// A queue on its way through a sequence.
struct Run<Q> {
    pending: Pending<Q>,
    die: Die,
    now: u64,
    digest: u64,
}

impl<Q: Order> Run<Q> {
    fn new(seed: u64) -> Self {
        Self { pending: Pending::default(), die: Die(seed), now: 0, digest: 0 }
    }

    fn hold(mut self, pending: u32, delays: Delays, events: u64) -> Measured {
        for event in 0..pending {
            let delay = delays.draw(&mut self.die);
            self.push(delay, event);
        }
        let step = move |run: &mut Self| {
            let event = run.pop();
            let delay = delays.draw(&mut run.die);
            run.push(delay, event);
        };
        // Until what was pending at first, in other numbers than it ever is again, is gone.
        (0..2 * pending).for_each(|_| step(&mut self));
        self.timed(events, |run| (0..events).for_each(|_| step(run)))
    }

    fn rpc(mut self, clients: u32, events: u64) -> Measured {
        let mut timers: Vec<Handle> = (0..clients).map(|client| self.ask(client)).collect();
        let mut step = move |run: &mut Self| {
            let event = run.pop();
            let client = event / 4;
            match event % 4 {
                REQUEST => run.send(client * 4 + REPLY),
                REPLY => {
                    run.pending.cancel(timers[client as usize]);
                    timers[client as usize] = run.ask(client);
                }
                _ => timers[client as usize] = run.ask(client),
            }
        };
        (0..10 * clients).for_each(|_| step(&mut self));
        self.timed(events, |run| (0..events).for_each(|_| step(run)))
    }

    /// Sends a request, and sets the timer that tells that it was lost, or the reply.
    #[inline]
    fn ask(&mut self, client: u32) -> Handle {
        self.send(client * 4 + REQUEST);
        let tie = self.die.next() as u32;
        self.pending.push_timer(self.now + TIMEOUT, tie, client * 4 + TIMER)
    }

    #[inline]
    fn send(&mut self, message: u32) {
        if self.die.below(100) >= u64::from(LOSS_PERCENT) {
            let delay = Delays::Uniform.draw(&mut self.die);
            self.push(delay, message);
        }
    }

    fn recorded(self, operations: &[Operation]) -> Measured {
        let events = operations.iter().filter(|operation| matches!(operation, Operation::Pop { .. })).count();
        self.timed(events as u64, |run| {
            let mut timers = Vec::new();
            for operation in operations {
                match *operation {
                    Operation::Message { time, tie } => {
                        run.pending.push(time, tie, 0);
                    }
                    Operation::Timer { time, tie, node } => {
                        let handle = run.pending.push_timer(time, tie, 0);
                        timers.resize(timers.len().max(node as usize + 1), handle);
                        timers[node as usize] = handle;
                    }
                    Operation::Cancel { node } => run.pending.cancel(timers[node as usize]),
                    Operation::Pop { time } => {
                        run.pop();
                        assert_eq!(run.now, time, "the engine's time");
                    }
                }
            }
        })
    }

    fn random(self, operations: u64) -> Measured {
        self.timed(operations, |run| {
            let mut live = BTreeMap::new();
            for event in 0..operations as u32 {
                // From few to some thousand and back, twice; times from such that ties abound to such that all are far apart.
                let phase = u64::from(event) * 12 / operations;
                let pushes = if (phase / 3).is_multiple_of(2) { 80 } else { 20 };
                let delay = run.die.below(1000) << (run.die.below(phase + 1) * 4);
                match run.die.below(100) {
                    roll if roll < pushes || live.is_empty() => {
                        let (time, tie) = (run.now + delay, run.die.next() as u32);
                        let handle = match event % 2 {
                            0 => run.pending.push(time, tie, event),
                            _ => run.pending.push_timer(time, tie, event),
                        };
                        live.insert(event, handle);
                    }
                    95.. => {
                        let from = run.die.below(u64::from(event)) as u32;
                        let chosen = live.range(from..).next().or_else(|| live.first_key_value());
                        let chosen = *chosen.expect("some are pending").0;
                        run.pending.cancel(live.remove(&chosen).expect("it is pending"));
                    }
                    _ => {
                        let event = run.pop();
                        assert!(live.remove(&event).is_some(), "what was cancelled does not come out");
                    }
                }
            }
            while !live.is_empty() {
                let event = run.pop();
                assert!(live.remove(&event).is_some(), "what was cancelled does not come out");
            }
            assert!(run.pending.pop().is_none(), "nothing else is pending");
        })
    }

    fn timed(mut self, events: u64, run: impl FnOnce(&mut Self)) -> Measured {
        let start = processor_nanos();
        run(&mut self);
        Measured { events, nanos: processor_nanos() - start, digest: self.digest }
    }

    #[inline]
    fn push(&mut self, delay: u64, event: u32) {
        let tie = self.die.next() as u32;
        self.pending.push(self.now + delay, tie, event);
    }

    #[inline]
    fn pop(&mut self) -> u32 {
        let (key, event) = self.pending.pop().expect("there is always something pending");
        assert!(time_of(key) >= self.now, "time does not go back");
        self.now = time_of(key);
        self.digest = fold(self.digest ^ key as u64, self.now);
        event
    }
}

const REQUEST: u32 = 0;
const REPLY: u32 = 1;
const TIMER: u32 = 2;

/// Dice that cost about a nanosecond: Wang Yi's wyrand.
struct Die(u64);

impl Die {
    #[inline]
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0xa076_1d64_78bd_642f);
        fold(self.0, self.0 ^ 0xe703_7ed1_a0b4_28db)
    }

    #[inline]
    fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }
}

/// The halves of a product, folded.
#[inline]
const fn fold(a: u64, b: u64) -> u64 {
    let product = (a as Key ^ 0x9e37_79b9_7f4a_7c15) * (b as Key ^ 0xd6e8_feb8_6659_fd93);
    product as u64 ^ (product >> 64) as u64
}

/// How long this thread has had a processor. The kernel brings that up to date when the thread yields, and else only every
/// few milliseconds.
fn processor_nanos() -> u64 {
    std::thread::yield_now();
    let times = std::fs::read_to_string("/proc/thread-self/schedstat").expect("a Linux kernel tells it");
    times.split(' ').next().and_then(|nanos| nanos.parse().ok()).expect("the first number is the time run")
}
