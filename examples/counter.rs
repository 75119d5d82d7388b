//! A protocol of one's own, from message to verdict: a client that asks a server to count, and asks again when it hears
//! nothing. Run it with `cargo run --example counter -- sweep counter`; `counter_once.rs` mends it.

use snowglobe::prelude::*;

const SERVER: NodeId = NodeId(0);
const CLIENT: NodeId = NodeId(1);

messages! {
    enum Msg {
        Add = "add",
        Added = "added",
    }
}

#[derive(Default)]
struct Counter {
    count: u32,
}

impl Counter {
    fn ask(ctx: &mut Context<Msg>) {
        ctx.send(SERVER, Msg::Add);
        ctx.set_timer("resend", 50 * MILLIS);
    }
}

impl Process for Counter {
    type Message = Msg;

    fn on_start(&mut self, ctx: &mut Context<Msg>) {
        if ctx.node() == CLIENT {
            Self::ask(ctx);
        }
    }

    fn on_message(&mut self, ctx: &mut Context<Msg>, from: NodeId, message: Msg) {
        match message {
            Msg::Add => {
                self.count += 1;
                ctx.send(from, Msg::Added);
            }
            Msg::Added => ctx.cancel_timer("resend"),
        }
    }

    fn on_timer(&mut self, ctx: &mut Context<Msg>, _: Label) {
        Self::ask(ctx);
    }
}

struct CountOnce;

impl Scenario for CountOnce {
    type Process = Counter;
    type Settings = ();

    fn name(&self) -> String {
        "counter".to_owned()
    }

    fn about(&self) -> String {
        "one call counts once, whatever the network does".to_owned()
    }

    fn defaults(&self) {}

    fn setup(&self, (): &()) -> Result<Setup<Counter>, String> {
        let network = NetworkName::HostileNetwork;
        let config = Config { network: network.network(), faults: network.faults(), ..Config::new(2) };
        Ok(Setup::new(vec!["server".into(), "client".into()], config, |_| Counter::default()))
    }

    fn judge(&self, (): &(), run: &Run<'_, Counter>, judgement: &mut Judgement) {
        let count = run.world.process(SERVER).map_or(0, |server| server.count);
        if count != 1 {
            judgement.violated("counted once", format!("counted {count} times"), Vec::new());
        }
    }
}

pub(crate) fn catalogue() -> Catalogue {
    Catalogue::new().with(CountOnce)
}

fn main() -> ExitCode {
    snowglobe::cli::main(catalogue())
}
