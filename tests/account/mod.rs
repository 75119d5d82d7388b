//! An account on a server, a client that pays from it and asks again when it hears nothing, and the changes that a program
//! goes through: one more client, a node that sends messages of another kind, a message whose fields change places.

use snowglobe::prelude::*;

const SERVER: NodeId = NodeId(0);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Account {
    Original,
    OneMoreClient,
    AnotherKindOfMessage,
    FieldsReordered,
    /// The server remembers what it has done.
    Mended,
}

#[derive(Clone, Hash, Debug, Serialize)]
#[serde(crate = "snowglobe::serde")]
pub(crate) enum Msg {
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

pub(crate) struct Node {
    program: Account,
    taken: u32,
    acknowledged: u32,
    seen: Vec<u32>,
    call: Option<OpId>,
}

impl Node {
    fn ask(&self, ctx: &mut Context<Msg>) {
        let (amount, xid) = (10, ctx.node().0);
        ctx.send(
            SERVER,
            match self.program {
                Account::FieldsReordered => Msg::Reordered { xid, amount },
                _ => Msg::Deduct { amount, xid },
            },
        );
        ctx.set_timer("resend", 50 * MILLIS);
    }
}

impl Process for Node {
    type Message = Msg;

    fn on_start(&mut self, ctx: &mut Context<Msg>) {
        let is_monitor = self.program == Account::AnotherKindOfMessage && ctx.node() == NodeId(2);
        if is_monitor {
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
        if name == Label::new("ping") {
            ctx.send(SERVER, Msg::Ping);
            if ctx.now() < 100 * MILLIS {
                ctx.set_timer("ping", 7 * MILLIS);
            }
        } else {
            self.ask(ctx);
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

    fn expected(&self) -> Expected {
        if *self == Self::Mended { Expected::Holds } else { Expected::Violates("the account is right") }
    }

    fn defaults(&self) {}

    fn setup(&self, (): &()) -> Result<Setup<Node>, String> {
        let link = Link { loss: Ratio::percent(20), late: Ratio::percent(10), ..Link::RELIABLE };
        let link = Link { late_delay: Delay::Uniform { min: 0, max: 200 * MILLIS }, ..link };
        let mut nodes = vec!["server".to_owned(), "client-1".to_owned()];
        match self {
            Self::OneMoreClient => nodes.push("client-2".to_owned()),
            Self::AnotherKindOfMessage => nodes.push("monitor".to_owned()),
            _ => {}
        }
        let program = *self;
        let config = Config { network: Network::uniform(link), ..Config::new(2) };
        Ok(Setup::new(nodes, config, move |_| Node {
            program,
            taken: 0,
            acknowledged: 0,
            seen: Vec::new(),
            call: None,
        }))
    }

    fn judge(&self, (): &(), run: &Run<'_, Node>, judgement: &mut Judgement) {
        let nodes = || (0..run.nodes.len() as u32).filter_map(|node| run.world.process(NodeId(node)));
        let (taken, paid) =
            (nodes().map(|node| node.taken).sum::<u32>(), nodes().map(|node| node.acknowledged).sum::<u32>());
        if taken != paid {
            judgement.violated("the account is right", format!("{taken} taken, {paid} paid"), Vec::new());
        }
    }
}
