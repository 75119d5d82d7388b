//! Exploration of several nodes: messages between them, crashes, disks, and faults that the search places itself.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde::{Deserialize, Serialize};
use serde_json::{Map, json};
use sim::tasks::{Runtime, Tasks};
use sim::{Config, Fault, Label, Message, Nanos, NodeId};
use snowglobe_check::{Entry, Explore, ExploreReport, Judgement, Prepared, Run, Scenario, Setup, explore};

const SECOND: Nanos = 1_000_000_000;

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize)]
struct Say(u32);

impl Message for Say {
    type Note = String;

    fn label(&self) -> Label {
        Label::new("say")
    }
}

type Rt = Runtime<Say>;

/// What a node does, in order. What it hears becomes part of what it tells in the end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Op {
    /// To the node after this one, or the one before.
    Send(bool),
    Receive,
    ReceiveOrGiveUp,
    Sleep(Nanos),
    /// To its disk: without a sync a crash may take it.
    Append,
    Sync,
    /// A task of its own waits for a message as well.
    ReceiveBeside,
    Note,
}

/// What each node does, from its start and after each crash.
#[derive(Clone, Debug)]
struct Cluster {
    nodes: Vec<Vec<Op>>,
    crash: Option<Fault>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NoSettings {
    /// A scenario has at least one.
    none: bool,
}

impl Scenario for Cluster {
    type Process = Tasks<Say>;
    type Settings = NoSettings;

    fn name(&self) -> String {
        "cluster".to_owned()
    }

    fn about(&self) -> String {
        format!("{self:?}")
    }

    fn defaults(&self) -> NoSettings {
        NoSettings { none: true }
    }

    fn setup(&self, _: &NoSettings) -> Result<Setup<Tasks<Say>>, String> {
        let programs = Arc::new(self.nodes.clone());
        let mut config = Config::new(programs.len() as u32);
        config.faults.list.extend(self.crash.clone());
        let names = (0..programs.len()).map(|node| format!("node-{node}")).collect();
        Ok(Setup::new(names, config, move |node| {
            let programs = Arc::clone(&programs);
            Tasks::new(move |rt| perform(rt, node, programs))
        }))
    }

    fn judge(&self, _: &NoSettings, _: &Run<'_, Tasks<Say>>, _: &mut Judgement) {}
}

async fn perform(rt: Rt, node: NodeId, programs: Arc<Vec<Vec<Op>>>) {
    let nodes = programs.len() as u32;
    let life = rt.read("log").unwrap_or_default().len() as u32;
    let mut seen = Vec::new();
    for op in &programs[node.index()] {
        match *op {
            Op::Send(up) => {
                let to = (node.0 + if up { 1 } else { nodes - 1 }) % nodes;
                rt.send(NodeId(to), Say(10 * node.0 + life));
            }
            Op::Receive => seen.push(rt.recv().await.1.0),
            Op::ReceiveOrGiveUp => {
                let heard = rt.timeout(SECOND, rt.recv()).await;
                seen.push(heard.map_or(99, |(_, Say(said))| said));
            }
            Op::Sleep(span) => rt.sleep(span).await,
            Op::Append => drop(rt.append("log", *b".")),
            Op::Sync => drop(rt.sync("log").await),
            Op::ReceiveBeside => {
                let beside = rt.clone();
                rt.spawn("beside", async move {
                    let (_, Say(said)) = beside.recv().await;
                    beside.note(format!("{node} beside {said}"));
                });
            }
            Op::Note => drop(rt.note(format!("{node} was here"))),
        }
    }
    rt.note(format!("{node} {life} {seen:?}"));
}

fn preemptive(scenario: &dyn Entry) -> Box<dyn Prepared> {
    let mut settings = Map::new();
    settings.insert("schedule".to_owned(), json!("preemptive"));
    scenario.prepare(&settings).expect("the schedule is one")
}

fn explored(prepared: &dyn Prepared, what: Explore) -> ExploreReport {
    explore(prepared, &what, &AtomicBool::new(false), &|_| {})
}

fn both(cluster: Cluster) -> (ExploreReport, ExploreReport) {
    let prepared = preemptive(&Arc::new(cluster));
    let all = Explore { reduction: false, ..Explore::default() };
    (explored(&*prepared, Explore::default()), explored(&*prepared, all))
}

fn outcomes(report: &ExploreReport) -> Vec<u64> {
    report.outcomes.keys().copied().collect()
}

#[test]
fn a_message_may_come_before_the_node_that_it_is_for_has_started() {
    let (reduced, all) = both(Cluster { nodes: vec![vec![Op::Send(true)], vec![Op::Receive]], crash: None });
    assert!(reduced.complete && all.complete);
    // The one starts first, or the other, or the message comes between the two and is lost.
    assert_eq!(outcomes(&reduced), outcomes(&all));
    assert_eq!((reduced.outcomes.len(), reduced.executions, all.executions), (2, 2, 3));
}

#[test]
fn a_message_may_come_before_a_crash_in_the_downtime_and_after_it() {
    let crash = Fault::Crash { node: NodeId(1), at: SECOND, down: Some(SECOND) };
    let nodes = vec![vec![Op::Send(true)], vec![Op::ReceiveOrGiveUp, Op::Note]];
    let (reduced, all) = both(Cluster { nodes, crash: Some(crash) });
    assert!(reduced.complete && all.complete);
    assert_eq!(outcomes(&reduced), outcomes(&all));
    assert!(reduced.outcomes.len() > 3 && reduced.runs() < all.runs(), "{reduced:?}");
}

fn random_cluster(seed: u64) -> Cluster {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut roll = |bound: u64| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ (x >> 31)) % bound
    };
    let count = 2 + u64::from(roll(4) == 0);
    let nodes = (0..count)
        .map(|_| {
            (0..=roll(if count == 2 { 3 } else { 2 }))
                .map(|_| match roll(10) {
                    0..3 => Op::Send(roll(2) == 0),
                    3 => Op::Receive,
                    4 | 5 => Op::ReceiveOrGiveUp,
                    6 => Op::Sleep(1 + roll(3)),
                    7 => Op::Append,
                    8 => [Op::Sync, Op::ReceiveBeside][roll(2) as usize],
                    _ => Op::Note,
                })
                .collect()
        })
        .collect();
    let node = NodeId(roll(count) as u32);
    let crash = match roll(4) {
        0 => Some(Fault::Crash { node, at: SECOND / 2, down: Some(SECOND) }),
        1 => Some(Fault::Kill { node, at: SECOND / 2, down: None }),
        _ => None,
    };
    Cluster { nodes, crash }
}

/// As for the tasks of one node: no outcome is lost by reduction, and none is made up.
#[test]
fn reduction_loses_no_outcome_of_nodes_that_talk_and_crash() {
    let (mut compared, mut seed, mut all_runs, mut reduced_runs) = (0, 0_u64, 0, 0);
    let (mut several, mut crashed) = (0, 0);
    while compared < 1_000 {
        seed += 1;
        let cluster = random_cluster(seed);
        let prepared = preemptive(&Arc::new(cluster.clone()));
        let brute = Explore { reduction: false, runs_max: 2_000, ..Explore::default() };
        let all = explored(&*prepared, brute);
        if !all.complete {
            continue;
        }
        let reduced = explored(&*prepared, Explore { reduction: true, ..brute });
        assert!(reduced.complete, "{cluster:?}");
        assert_eq!(outcomes(&reduced), outcomes(&all), "seed {seed}: {cluster:?}");
        let properties = |report: &ExploreReport| report.violations.keys().cloned().collect::<Vec<_>>();
        assert_eq!(properties(&reduced), properties(&all), "seed {seed}: {cluster:?}");
        compared += 1;
        all_runs += all.runs();
        reduced_runs += reduced.runs();
        several += u32::from(all.outcomes.len() > 1);
        crashed += u32::from(cluster.crash.is_some());
    }
    println!(
        "{reduced_runs} runs instead of {all_runs}, last seed {seed}; {several} with several outcomes, {crashed} with a crash"
    );
    assert!(several > 300 && crashed > 300, "several outcomes {several}, a crash {crashed}");
    assert!(reduced_runs * 2 < all_runs, "{reduced_runs} runs instead of {all_runs}");
}

/// A client asks a server until it has a reply.
#[derive(Clone, Debug)]
struct Asking;

impl Scenario for Asking {
    type Process = Tasks<Say>;
    type Settings = NoSettings;

    fn name(&self) -> String {
        "asking".to_owned()
    }

    fn about(&self) -> String {
        "a client asks again until it has a reply".to_owned()
    }

    fn defaults(&self) -> NoSettings {
        NoSettings { none: true }
    }

    fn setup(&self, _: &NoSettings) -> Result<Setup<Tasks<Say>>, String> {
        let nodes = vec!["server".to_owned(), "client".to_owned()];
        Ok(Setup::new(nodes, Config::new(2), |node| {
            Tasks::new(move |rt: Rt| async move {
                if node == NodeId(0) {
                    while let Ok((from, _)) = rt.timeout(10 * SECOND, rt.recv()).await {
                        rt.note("asked".to_owned());
                        rt.send(from, Say(0));
                    }
                } else {
                    rt.send(NodeId(0), Say(0));
                    while rt.timeout(SECOND, rt.recv()).await.is_err() {
                        rt.send(NodeId(0), Say(0));
                    }
                }
            })
        }))
    }

    fn judge(&self, _: &NoSettings, run: &Run<'_, Tasks<Say>>, judgement: &mut Judgement) {
        let asked = run.history.notes().count();
        if asked > 1 {
            judgement.violated("asked once", format!("asked {asked} times"), Vec::new());
        }
    }
}

#[test]
fn faults_are_placed_wherever_a_run_shows_a_place() {
    let prepared = preemptive(&Arc::new(Asking));
    let none = explored(&*prepared, Explore { window: 0, ..Explore::default() });
    assert_eq!((none.complete, none.violations.len()), (true, 0), "without a fault it is asked once");
    let what = Explore { window: 0, faults: 1, ..Explore::default() };
    let one = explored(&*prepared, what);
    assert!(one.complete);
    let found = &one.violations["asked once"];
    let names: Vec<String> = found.faults.iter().map(|fault| fault.name(prepared.nodes())).collect();
    assert_eq!(names.len(), 1, "{names:?}");
    let again = prepared.runner().run(0, &found.schedule);
    assert_eq!((again.digest, &again.unmatched[..]), (found.outcome.digest, &[][..]));
    // Each set of two is a set of one and a fault that the runs with that one have shown.
    let two = explored(&*prepared, Explore { faults: 2, runs_each: 50, ..what });
    assert_eq!(two.placed[..2], one.placed[..]);
    assert!(two.placed[2].sets > one.placed[1].sets, "{:?}", two.placed);
}
