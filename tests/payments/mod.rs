//! Clients that pay from an account, one payment after another, in a world that is a value.

use std::collections::BTreeMap;

use snowglobe::prelude::*;

pub(crate) const SERVER: NodeId = NodeId(0);
pub(crate) const ONCE: &str = "every payment is booked once";

/// A world: what the network and the machines do, and what each client pays.
#[derive(Clone, Debug)]
pub(crate) struct Payments {
    pub(crate) config: Config,
    pub(crate) amounts: Vec<Vec<u32>>,
    /// Whether the server knows a payment again.
    pub(crate) remembers: bool,
}

messages! {
    pub(crate) enum Msg {
        Pay { number: usize, amount: u32 } = "pay",
        Paid { number: usize } = "paid",
    }
}

pub(crate) struct Node {
    remembers: bool,
    /// What a client pays, and how many of it are paid.
    amounts: Vec<u32>,
    paid: usize,
    call: Option<OpId>,
    /// How often the server has booked which payment of whom.
    booked: BTreeMap<(NodeId, usize), u32>,
}

impl Node {
    fn ask(&mut self, ctx: &mut Context<Msg>) {
        let Some(amount) = self.amounts.get(self.paid).copied() else { return };
        if self.call.is_none() {
            self.call = Some(ctx.invoke(()));
        }
        ctx.send(SERVER, Msg::Pay { number: self.paid, amount });
        ctx.set_timer("resend", 50 * MILLIS);
    }
}

impl Process for Node {
    type Message = Msg;

    fn on_start(&mut self, ctx: &mut Context<Msg>) {
        self.ask(ctx);
    }

    fn on_message(&mut self, ctx: &mut Context<Msg>, from: NodeId, message: Msg) {
        match message {
            Msg::Pay { number, .. } => {
                let booked = self.booked.entry((from, number)).or_default();
                if *booked == 0 || !self.remembers {
                    *booked += 1;
                }
                ctx.send(from, Msg::Paid { number });
            }
            Msg::Paid { number } if number == self.paid => {
                if let Some(call) = self.call.take() {
                    ctx.cancel_timer("resend");
                    ctx.complete(call, Status::Ok, ());
                    self.paid += 1;
                    self.ask(ctx);
                }
            }
            Msg::Paid { .. } => {}
        }
    }

    fn on_timer(&mut self, ctx: &mut Context<Msg>, _: Label) {
        self.ask(ctx);
    }
}

impl Scenario for Payments {
    type Process = Node;
    type Settings = ();

    fn name(&self) -> String {
        "payments".to_owned()
    }

    fn about(&self) -> String {
        "what is paid once is booked once".to_owned()
    }

    fn defaults(&self) {}

    fn setup(&self, (): &()) -> Result<Setup<Node>, String> {
        let clients = (1..=self.amounts.len()).map(|client| format!("client-{client}"));
        let nodes = std::iter::once("server".to_owned()).chain(clients).collect();
        let Self { amounts, remembers, .. } = self.clone();
        Ok(Setup::new(nodes, self.config.clone(), move |node| Node {
            remembers,
            amounts: node.index().checked_sub(1).map(|client| amounts[client].clone()).unwrap_or_default(),
            paid: 0,
            call: None,
            booked: BTreeMap::new(),
        }))
    }

    fn judge(&self, (): &(), run: &Run<'_, Node>, judgement: &mut Judgement) {
        let Some(server) = run.world.process(SERVER) else { return };
        for ((client, number), times) in server.booked.iter().filter(|(_, times)| **times > 1) {
            let detail = format!("payment {} of {} was booked {times} times", number + 1, run.name(*client));
            judgement.violated(ONCE, detail, Vec::new());
        }
    }
}
