//! A failing run is listed, shrunk, written by names, and found again in a program that has changed.

use std::sync::atomic::AtomicBool;

use serde::Serialize;
use serde_json::{Map, Value, json};
use sim::{
    Config, Context, Delay, Label, Link, MILLIS, Message, Network, NodeId, OpId, Otherwise, Overrides,
    Process, Ratio, Status,
};
use snowglobe_check as check;
use snowglobe_check::shrink::{Shrink, Shrunk, shrink, without};
use snowglobe_check::{Catalogue, Expectation, Judgement, Prepared, Reproduction, Run, Scenario, Setup};

const SERVER: NodeId = NodeId(0);
const LOST: &str = "lose done server -> client-1 of call client-1/1, attempt 1";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Account {
    Original,
    OneMoreClient,
    AnotherKindOfMessage,
    FieldsReordered,
    Mended,
}

#[derive(Clone, Hash, Debug, Serialize)]
enum Msg {
    Deduct { amount: u32, xid: u32 },
    Reordered { xid: u32, amount: u32 },
    Done,
    Ping,
}

impl Message for Msg {
    type Note = ();

    fn label(&self) -> Label {
        Label::new(match self {
            Self::Deduct { .. } | Self::Reordered { .. } => "deduct",
            Self::Done => "done",
            Self::Ping => "ping",
        })
    }
}

struct Node {
    program: Account,
    taken: u32,
    acknowledged: u32,
    seen: Vec<u32>,
    call: Option<OpId>,
}

impl Node {
    fn ask(&self, ctx: &mut Context<Msg>) {
        let (amount, xid) = (10, ctx.node().0);
        let message = match self.program {
            Account::FieldsReordered => Msg::Reordered { xid, amount },
            _ => Msg::Deduct { amount, xid },
        };
        ctx.send(SERVER, message);
        ctx.set_timer("resend", 50 * MILLIS);
    }
}

impl Process for Node {
    type Message = Msg;

    fn on_start(&mut self, ctx: &mut Context<Msg>) {
        if self.program == Account::AnotherKindOfMessage && ctx.node() == NodeId(2) {
            ctx.set_timer("ping", MILLIS);
        } else if ctx.node() != SERVER {
            self.call = Some(ctx.invoke(()));
            self.ask(ctx);
        }
    }

    fn on_message(&mut self, ctx: &mut Context<Msg>, from: NodeId, message: Msg) {
        match message {
            Msg::Deduct { amount, xid } | Msg::Reordered { xid, amount } => {
                if self.program != Account::Mended || !self.seen.contains(&xid) {
                    self.taken += amount;
                    self.seen.push(xid);
                }
                ctx.send(from, Msg::Done);
            }
            Msg::Done => {
                if let Some(call) = self.call.take() {
                    ctx.cancel_timer("resend");
                    ctx.complete(call, Status::Ok, ());
                    self.acknowledged += 10;
                }
            }
            Msg::Ping => {}
        }
    }

    fn on_timer(&mut self, ctx: &mut Context<Msg>, name: Label) {
        if name != Label::new("ping") {
            self.ask(ctx);
        } else if ctx.now() < 100 * MILLIS {
            ctx.send(SERVER, Msg::Ping);
            ctx.set_timer("ping", 7 * MILLIS);
        }
    }
}

impl Scenario for Account {
    type Process = Node;
    type Settings = ();

    fn name(&self) -> String {
        "account".to_owned()
    }

    fn about(&self) -> String {
        "what is taken from the account is what was acknowledged".to_owned()
    }

    fn defaults(&self) {}

    fn setup(&self, (): &()) -> Result<Setup<Node>, String> {
        let link = Link {
            loss: Ratio::percent(20),
            late: Ratio::percent(10),
            late_delay: Delay::Uniform { min: 0, max: 200 * MILLIS },
            ..Link::RELIABLE
        };
        let mut nodes = vec!["server".to_owned(), "client-1".to_owned()];
        match self {
            Self::OneMoreClient => nodes.push("client-2".to_owned()),
            Self::AnotherKindOfMessage => nodes.push("monitor".to_owned()),
            _ => {}
        }
        let program = *self;
        let config = Config { network: Network::uniform(link), ..Config::new(2) };
        let node = move |_| Node { program, taken: 0, acknowledged: 0, seen: Vec::new(), call: None };
        Ok(Setup::new(nodes, config, node))
    }

    fn judge(&self, (): &(), run: &Run<'_, Node>, judgement: &mut Judgement) {
        let nodes = || (0..run.nodes.len() as u32).filter_map(|node| run.world.process(NodeId(node)));
        let taken: u32 = nodes().map(|node| node.taken).sum();
        let paid: u32 = nodes().map(|node| node.acknowledged).sum();
        if taken != paid {
            judgement.violated("the account is right", format!("{taken} taken, {paid} paid"), Vec::new());
        }
    }
}

fn prepared(program: Account) -> Box<dyn Prepared> {
    Catalogue::new().with(program).find("account").unwrap().prepare(&Map::new()).unwrap()
}

fn shrunk(prepared: &dyn Prepared, seed: u64, runs_max: u64) -> Option<Shrunk> {
    let what = Shrink { seed, overrides: Overrides::default(), runs_max, jobs: 1 };
    shrink(prepared, &what, &AtomicBool::new(false), &|_| ()).unwrap()
}

fn names(shrunk: &Shrunk) -> Vec<&str> {
    shrunk.needed.iter().map(|needed| needed.name.as_str()).collect()
}

/// What is left of the first seed that needs one lost answer, as the text of a reproduction.
fn lost_answer() -> (Shrunk, String) {
    let prepared = prepared(Account::Original);
    let mut all = (0..300).filter_map(|seed| shrunk(&*prepared, seed, 1_000));
    let shrunk = all.find(|shrunk| names(shrunk) == [LOST]).expect("one of three hundred seeds");
    let expect = Expectation { property: Some(shrunk.property.clone()), digest: None };
    let reproduction = Reproduction::named(&*prepared, shrunk.outcome.seed, &shrunk.overrides, expect);
    let text = serde_json::to_string_pretty(&reproduction).unwrap();
    (shrunk, text)
}

#[test]
fn what_is_left_is_written_by_names_and_each_of_it_is_needed() {
    let (shrunk, text) = lost_answer();
    let written: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&written["overrides"], &written["otherwise"]), (&json!([LOST]), &json!("plain")));
    assert!(shrunk.minimal && shrunk.needed[0].without.as_ref().unwrap().holds());
    let prepared = prepared(Account::Original);
    let resolved = Reproduction::parse(&text).unwrap().resolve(&*prepared).unwrap();
    assert_eq!((&resolved.overrides, &resolved.unmet), (&shrunk.overrides, &Vec::new()));
}

#[test]
fn nothing_that_is_left_can_be_taken_away() {
    let prepared = prepared(Account::Original);
    let mut runner = prepared.runner();
    let mut failing = 0;
    for shrunk in (0..100).filter_map(|seed| shrunk(&*prepared, seed, 1_000)) {
        failing += 1;
        assert!(shrunk.minimal && shrunk.runs <= 100, "seed {}: {} runs", shrunk.outcome.seed, shrunk.runs);
        assert!(shrunk.needed.len() <= 3, "{:?}", names(&shrunk));
        for needed in &shrunk.needed {
            assert!(runner.run(shrunk.outcome.seed, &without(&shrunk.overrides, needed)).holds());
        }
    }
    assert!(failing > 10, "{failing} seeds fail");
}

#[test]
fn what_went_wrong_listed_is_the_same_run() {
    let prepared = prepared(Account::Original);
    let mut runner = prepared.runner();
    let mut failing = 0;
    for seed in 0..100 {
        // With so few runs nothing can be taken away.
        let Some(listed) = shrunk(&*prepared, seed, 2) else { continue };
        failing += 1;
        let original = runner.run(seed, &Overrides::default());
        assert_eq!(listed.outcome.digest, original.digest, "seed {seed}");
    }
    assert!(failing > 10, "{failing} seeds fail");
}

#[test]
fn a_reproduction_survives_changes_that_have_nothing_to_do_with_it() {
    let (_, text) = lost_answer();
    let reproduction = Reproduction::parse(&text).unwrap();
    let violated = |program: Account| {
        let prepared = prepared(program);
        let resolved = reproduction.resolve(&*prepared).unwrap();
        assert_eq!(resolved.unmet, Vec::<String>::new(), "{program:?}");
        let outcome = prepared.runner().run(reproduction.seed, &resolved.overrides);
        assert_eq!(outcome.unmatched, Vec::new(), "{program:?}");
        outcome.violations.iter().any(|violation| violation.property == "the account is right")
    };
    for changed in [Account::OneMoreClient, Account::AnotherKindOfMessage, Account::FieldsReordered] {
        assert!(violated(changed), "{changed:?}");
    }
    assert!(!violated(Account::Mended));
}

#[test]
fn names_are_edited_by_hand_and_one_that_meets_nothing_is_told() {
    let (_, text) = lost_answer();
    let prepared = prepared(Account::Original);
    let run = |name: &str| {
        let reproduction = Reproduction::parse(&text.replace(LOST, name)).unwrap();
        let resolved = reproduction.resolve(&*prepared).unwrap();
        (prepared.runner().run(reproduction.seed, &resolved.overrides).holds(), resolved.unmet)
    };
    assert_eq!(
        run("delay deduct client-1 -> server of call client-1/1, attempt 1 to 80 ms"),
        (false, vec![])
    );
    assert_eq!(run("duplicate deduct #1 client-1 -> server, after 1 ms and 2.5 ms"), (false, vec![]));
    assert_eq!(run("delay done #1 server -> client-1 to 5 ms"), (true, vec![]));
    let never = "lose done server -> client-1 of call client-1/1, attempt 7";
    assert_eq!(run(never), (true, vec![never.to_owned()]));
}

#[test]
fn overrides_that_contradict_each_other_are_refused() {
    let (_, text) = lost_answer();
    let prepared = prepared(Account::Original);
    let error = |more: &str| {
        let text = text.replace(&format!("{LOST:?}"), &format!("{LOST:?}, {more:?}"));
        Reproduction::parse(&text).unwrap().resolve(&*prepared).unwrap_err().to_string()
    };
    assert_eq!(error(LOST), format!("these decide the same: {LOST:?} and {LOST:?}"));
    let by_number = "delay done #1 server -> client-1 to 5 ms";
    assert_eq!(error(by_number), format!("these decide the same: {LOST:?} and {by_number:?}"));
    let header = check::to_header(&Overrides::otherwise_so(Otherwise::Plain));
    assert_eq!(check::from_header(header).unwrap().otherwise(), Otherwise::Plain);
}
