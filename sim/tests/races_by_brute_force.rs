//! The race detector against brute force: random programs write down what they do, a graph of what came before what is
//! made of that, without clocks, and two accesses that the graph does not order are there if and only if a race was
//! reported.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use snowglobe_sim::tasks::{self, DATA_RACE, Receiver, Runtime, Sender, SharedCell, Tasks, WaitGroup};
use snowglobe_sim::{Config, Priorities, Ratio, Schedule, World};

type Rt = Runtime<()>;

/// What a task does, in order. Numbers name a cell, a lock or a channel out of two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Op {
    Read(usize),
    Write(usize),
    Lock(usize),
    Unlock(usize),
    /// On an unbuffered channel, or one with room for one.
    Send(usize),
    Receive(usize),
    Done,
    WaitForDone,
    /// A child that does the rest, and is joined at once or never.
    Spawn {
        joined: bool,
    },
    Sleep,
}

/// What a task did, in the order in which it happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Did {
    Began { by: usize },
    Accessed { cell: usize, writes: bool },
    Locked(usize),
    Unlocked(usize),
    BeganToSend,
    Sent(usize),
    BeganToReceive,
    Received { channel: usize, sent_at: usize, began: usize },
    Done,
    Waited,
    Spawned,
    Ended,
    Joined { end: usize },
}

/// Everything that happened in a run, with the task that did it.
type Log = Vec<(usize, Did)>;

struct Shared {
    cells: [SharedCell<()>; 2],
    locks: [tasks::Mutex<()>; 2],
    channels: [(Sender<usize>, Receiver<usize>); 2],
    group: WaitGroup,
    log: Arc<Mutex<Log>>,
    tasks: Cell<usize>,
}

impl Shared {
    /// Writes down what the task did, and says where.
    fn did(&self, task: usize, what: Did) -> usize {
        let mut log = self.log.lock().unwrap();
        log.push((task, what));
        log.len() - 1
    }

    fn next_task(&self) -> usize {
        self.tasks.set(self.tasks.get() + 1);
        self.tasks.get()
    }
}

async fn perform(rt: Rt, shared: Rc<Shared>, task: usize, ops: Vec<Op>) -> usize {
    let mut held = [None, None];
    for (index, op) in ops.iter().enumerate() {
        match *op {
            Op::Read(cell) => {
                shared.cells[cell].read(|()| shared.did(task, Did::Accessed { cell, writes: false })).await;
            }
            Op::Write(cell) => {
                shared.cells[cell].write(|()| shared.did(task, Did::Accessed { cell, writes: true })).await;
            }
            Op::Lock(lock) if held[lock].is_none() => {
                held[lock] = Some(shared.locks[lock].lock().await);
                shared.did(task, Did::Locked(lock));
            }
            Op::Unlock(lock) if held[lock].is_some() => {
                shared.did(task, Did::Unlocked(lock));
                held[lock] = None;
            }
            Op::Lock(_) | Op::Unlock(_) => {}
            Op::Send(channel) => {
                let begun = shared.did(task, Did::BeganToSend);
                shared.channels[channel].0.send(begun).await.expect("the receiver lives");
                shared.did(task, Did::Sent(begun));
            }
            Op::Receive(channel) => {
                let began = shared.did(task, Did::BeganToReceive);
                let sent_at = shared.channels[channel].1.recv().await.expect("the sender lives");
                shared.did(task, Did::Received { channel, sent_at, began });
            }
            Op::Done => {
                shared.did(task, Did::Done);
                shared.group.done();
            }
            Op::WaitForDone => {
                shared.group.wait().await;
                shared.did(task, Did::Waited);
            }
            Op::Spawn { joined } => {
                let by = shared.did(task, Did::Spawned);
                let child = shared.next_task();
                let rest = ops[index + 1..].to_vec();
                let rest: Pin<Box<dyn Future<Output = usize>>> =
                    Box::pin(begin(rt.clone(), Rc::clone(&shared), child, by, rest));
                let handle = rt.spawn("child", rest);
                if joined {
                    let end = handle.await;
                    shared.did(task, Did::Joined { end });
                }
                // The guards are released at the end, in the order of the locks.
                break;
            }
            Op::Sleep => rt.sleep(5).await,
        }
    }
    for (lock, guard) in held.iter_mut().enumerate() {
        if guard.is_some() {
            shared.did(task, Did::Unlocked(lock));
            *guard = None;
        }
    }
    shared.did(task, Did::Ended)
}

async fn begin(rt: Rt, shared: Rc<Shared>, task: usize, by: usize, ops: Vec<Op>) -> usize {
    shared.did(task, Did::Began { by });
    perform(rt, shared, task, ops).await
}

/// The run's log and whether the detector reported a race.
fn run(program: &Arc<Vec<Vec<Op>>>, seed: u64, schedule: Schedule) -> (Log, bool) {
    let (program, log) = (Arc::clone(program), Arc::new(Mutex::new(Log::new())));
    let written = Arc::clone(&log);
    let boot = move |_| {
        let (program, log) = (Arc::clone(&program), Arc::clone(&written));
        Tasks::<()>::new(move |rt| async move {
            let shared = Rc::new(Shared {
                cells: [rt.cell("a", ()), rt.cell("b", ())],
                locks: [rt.mutex("l", ()), rt.mutex("m", ())],
                channels: [rt.channel("c", 0), rt.channel("d", 1)],
                group: rt.wait_group("group"),
                log,
                tasks: Cell::new(0),
            });
            shared.group.add(program.iter().flatten().filter(|op| **op == Op::Done).count());
            let running: Vec<_> = program
                .iter()
                .map(|ops| {
                    let by = shared.did(0, Did::Spawned);
                    let child = shared.next_task();
                    rt.spawn("task", begin(rt.clone(), Rc::clone(&shared), child, by, ops.clone()))
                })
                .collect();
            for task in running {
                let end = task.await;
                shared.did(0, Did::Joined { end });
            }
            for cell in 0..2 {
                shared.cells[cell].read(|()| shared.did(0, Did::Accessed { cell, writes: false })).await;
            }
        })
    };
    let config = Config { schedule, ..Config::new(1) };
    let mut world = World::new(config, seed, boot);
    world.run(&mut ());
    let raced = world.findings().iter().any(|finding| finding.property == DATA_RACE);
    let log = log.lock().unwrap().clone();
    (log, raced)
}

/// For each thing that was done, the set of those that come before it.
fn before(log: &[(usize, Did)]) -> Vec<u128> {
    assert!(log.len() <= 128, "{} are more than a set holds", log.len());
    let mut edges: Vec<Vec<usize>> = vec![Vec::new(); log.len()];
    // By channel: where whoever received a value began to, and where it was sent, in the order in which values came.
    let mut received: [Vec<(usize, usize)>; 2] = Default::default();
    let find = |what: Did| log.iter().position(|(_, did)| *did == what);
    for (at, (task, did)) in log.iter().enumerate() {
        let earlier = log[..at].iter().enumerate();
        edges[at].extend(earlier.clone().rev().find(|(_, (other, _))| other == task).map(|(at, _)| at));
        match *did {
            Did::Began { by } => edges[at].push(by),
            Did::Joined { end } => edges[at].push(end),
            Did::Locked(lock) => {
                edges[at]
                    .extend(earlier.filter(|(_, (_, did))| *did == Did::Unlocked(lock)).map(|(at, _)| at));
            }
            Did::Waited => {
                edges[at].extend(earlier.filter(|(_, (_, did))| *did == Did::Done).map(|(at, _)| at));
            }
            Did::Received { channel, sent_at, began } => {
                edges[at].push(sent_at);
                received[channel].push((began, sent_at));
            }
            _ => {}
        }
    }
    // A receive comes before the end of the send that takes its room: of the same value if there is no buffer, of the next
    // one if there is room for one.
    for (capacity, values) in received.iter().enumerate() {
        for (nth, (began, _)) in values.iter().enumerate() {
            let sent = match values.get(nth + capacity) {
                Some((_, sent_at)) => find(Did::Sent(*sent_at)),
                // The last that was received made room for a value that nobody has received.
                None => unreceived(log, &received, capacity),
            };
            if let Some(sent) = sent {
                edges[sent].push(*began);
            }
        }
    }
    closure(&edges)
}

/// The end of the send of the value that is left in the buffer.
fn unreceived(log: &[(usize, Did)], received: &[Vec<(usize, usize)>; 2], capacity: usize) -> Option<usize> {
    assert_eq!(capacity, 1, "without a buffer nothing is left");
    let was_received = |begun: usize| received.iter().flatten().any(|(_, sent_at)| *sent_at == begun);
    log.iter().position(|(_, did)| matches!(did, Did::Sent(begun) if !was_received(*begun)))
}

fn closure(edges: &[Vec<usize>]) -> Vec<u128> {
    let mut before = vec![0_u128; edges.len()];
    // Some edges lead from later to earlier lines of the log, so once through is not enough.
    loop {
        let mut changed = false;
        for at in 0..edges.len() {
            let more = edges[at].iter().fold(before[at], |set, from| set | before[*from] | 1 << from);
            changed |= more != before[at];
            before[at] = more;
        }
        if !changed {
            return before;
        }
    }
}

/// Whether two accesses to one cell, one of which writes, are not ordered.
fn has_race(log: &[(usize, Did)]) -> bool {
    let before = before(log);
    let accesses: Vec<(usize, usize, bool)> = log
        .iter()
        .enumerate()
        .filter_map(|(at, (_, did))| match did {
            Did::Accessed { cell, writes } => Some((at, *cell, *writes)),
            _ => None,
        })
        .collect();
    accesses.iter().any(|(a, cell, writes)| {
        accesses.iter().any(|(b, other, also)| {
            a < b
                && cell == other
                && (*writes || *also)
                && before[*b] >> a & 1 == 0
                && before[*a] >> b & 1 == 0
        })
    })
}

fn random_program(seed: u64) -> Vec<Vec<Op>> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut roll = |bound: u64| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ (x >> 31)) % bound
    };
    // Half of the programs always lock what they touch, so that many have nothing unordered.
    let careful = roll(2) == 0;
    (0..2 + roll(2))
        .map(|_| {
            let mut ops = Vec::new();
            for _ in 0..=roll(4) {
                let which = roll(2) as usize;
                match roll(12) {
                    0..=2 if careful => ops.extend([Op::Lock(0), Op::Write(which), Op::Unlock(0)]),
                    0..=2 => ops.push(Op::Write(which)),
                    3 | 4 if careful => ops.extend([Op::Lock(0), Op::Read(which), Op::Unlock(0)]),
                    3 | 4 => ops.push(Op::Read(which)),
                    5 => ops.push(Op::Lock(which)),
                    6 => ops.push(Op::Unlock(which)),
                    7 => ops.push(Op::Send(which)),
                    8 => ops.push(Op::Receive(which)),
                    9 => ops.push([Op::Done, Op::WaitForDone][which]),
                    10 => ops.push(Op::Spawn { joined: which == 0 }),
                    _ => ops.push(Op::Sleep),
                }
            }
            ops
        })
        .collect()
}

/// Two thousand programs under two seeds and three schedules: twelve thousand runs.
#[test]
fn a_race_is_reported_if_and_only_if_two_accesses_are_unordered() {
    let programs = 2_000;
    let (mut raced, mut ordered) = (0, 0);
    let priorities = Some(Priorities { change: Ratio::new(2, 20) });
    let schedules = [
        Schedule::default(),
        Schedule { preemptive: true, priorities: None },
        Schedule { preemptive: true, priorities },
    ];
    for seed in 0..programs {
        let program = Arc::new(random_program(seed));
        for (schedule, run_seed) in schedules.into_iter().flat_map(|schedule| [(schedule, 0), (schedule, 1)])
        {
            let (log, found) = run(&program, run_seed, schedule);
            let race = has_race(&log);
            assert_eq!(found, race, "program {seed}, seed {run_seed}, {schedule:?}: {program:#?}\n{log:#?}");
            *(if race { &mut raced } else { &mut ordered }) += 1;
        }
    }
    assert!(raced > 2_000 && ordered > 2_000, "{raced} runs with a race, {ordered} without");
    println!("{raced} runs with a race, {ordered} without");
}
