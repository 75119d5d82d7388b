//! A catalogue small enough to know by heart: a client that adds to a counter on a server, over a network that loses
//! messages, and asks again until it is told. A right server and several wrong ones.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use snowglobe::prelude::*;

/// The right one, the wrong one, and the one that panics.
pub(crate) fn catalogue() -> Catalogue {
    Catalogue::new().with(Counter::Right).with(Counter::Wrong).with(Counter::Panics)
}

/// Those whose sweep does not find what they expect, and the right one.
pub(crate) fn disappointing() -> Catalogue {
    Catalogue::new()
        .with(Counter::Right)
        .with(Counter::Harmless)
        .with(Counter::Vacuous)
        .with(Counter::Mistaken)
}

/// One whose judge panics.
pub(crate) fn misjudged() -> Catalogue {
    Catalogue::new().with(Counter::Misjudged)
}

/// One that remembers from run to run.
pub(crate) fn leaking() -> Catalogue {
    Catalogue::new().with(Counter::Leaks)
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counter {
    /// Applies each increment once.
    Right,
    /// Applies it as often as it arrives.
    Wrong,
    /// Panics if one arrives twice.
    Panics,
    /// Expects the violation of the wrong one, but is right.
    Harmless,
    /// Is right, on a network on which nothing goes wrong.
    Vacuous,
    /// Expects to hold, but is wrong.
    Mistaken,
    /// Is right, and has a judge who takes a run without a retry for impossible.
    Misjudged,
    /// Lets a counter of the process into its messages.
    Leaks,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    increments: u32,
    /// In percent.
    loss: u32,
    network: String,
    calm: bool,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize)]
pub(crate) enum Msg {
    Add { increment: u32, hint: u64 },
    Done { increment: u32 },
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize)]
pub(crate) enum Note {
    Add(u32),
    Done,
    Retried,
    Applied(u32),
}

impl Message for Msg {
    type Note = Note;

    fn label(&self) -> Label {
        Label::new(match self {
            Self::Add { .. } => "add",
            Self::Done { .. } => "done",
        })
    }
}

const SERVER: NodeId = NodeId(1);

pub(crate) struct Client {
    increments: u32,
    next: u32,
    running: Option<OpId>,
    leaks: bool,
}

static RUNS: AtomicU64 = AtomicU64::new(0);

impl Client {
    fn begin(&mut self, ctx: &mut Context<Msg>) {
        if self.next < self.increments {
            self.running = Some(ctx.invoke(Note::Add(self.next)));
            self.ask(ctx);
        }
    }

    fn ask(&self, ctx: &mut Context<Msg>) {
        let hint = if self.leaks { RUNS.fetch_add(1, Ordering::Relaxed) } else { 0 };
        ctx.send(SERVER, Msg::Add { increment: self.next, hint });
        ctx.set_timer("retry", 30 * MILLIS);
    }
}

impl Process for Client {
    type Message = Msg;

    fn on_start(&mut self, ctx: &mut Context<Msg>) {
        self.begin(ctx);
    }

    fn on_message(&mut self, ctx: &mut Context<Msg>, _: NodeId, message: Msg) {
        if let Msg::Done { increment } = message
            && increment == self.next
            && let Some(operation) = self.running.take()
        {
            ctx.cancel_timer("retry");
            ctx.complete(operation, Status::Ok, Note::Done);
            self.next += 1;
            self.begin(ctx);
        }
    }

    fn on_timer(&mut self, ctx: &mut Context<Msg>, _: Label) {
        ctx.note(Note::Retried);
        self.ask(ctx);
    }
}

pub(crate) struct Server {
    kind: Counter,
    seen: BTreeMap<u32, u32>,
}

impl Process for Server {
    type Message = Msg;

    fn on_message(&mut self, ctx: &mut Context<Msg>, from: NodeId, message: Msg) {
        let Msg::Add { increment, .. } = message else { return };
        let times = self.seen.entry(increment).or_insert(0);
        *times += 1;
        assert!(*times == 1 || self.kind != Counter::Panics, "increment {increment} arrived again");
        if *times == 1 || matches!(self.kind, Counter::Wrong | Counter::Mistaken) {
            ctx.note(Note::Applied(increment));
        }
        ctx.send(from, Msg::Done { increment });
    }
}

impl Scenario for Counter {
    type Process = Either<Client, Server>;
    type Settings = Settings;

    fn name(&self) -> String {
        let member = match self {
            Self::Right => "right",
            Self::Wrong => "wrong",
            Self::Panics => "panics",
            Self::Harmless => "harmless",
            Self::Vacuous => "vacuous",
            Self::Mistaken => "mistaken",
            Self::Misjudged => "misjudged",
            Self::Leaks => "leaks",
        };
        format!("counter/{member}")
    }

    fn about(&self) -> String {
        match self {
            Self::Right => "A server that remembers what it has applied.",
            Self::Wrong => "A server that applies whatever arrives.",
            Self::Panics => "A server that does not expect to be asked twice.",
            _ => "A server that is not what it seems.",
        }
        .to_owned()
    }

    fn expected(&self) -> Expected {
        match self {
            Self::Wrong | Self::Harmless => Expected::Violates("applied-once"),
            Self::Panics => Expected::Violates("panic"),
            _ => Expected::Holds,
        }
    }

    fn defaults(&self) -> Settings {
        let loss = if *self == Self::Vacuous { 0 } else { 10 };
        Settings { increments: 3, loss, network: "lossy".to_owned(), calm: true }
    }

    fn situations(&self) -> Vec<&'static str> {
        vec!["retry"]
    }

    fn setup(&self, settings: &Settings) -> Result<Setup<Self::Process>, String> {
        if settings.loss > 90 {
            return Err(format!("a loss of {} percent leaves nothing to count: at most 90", settings.loss));
        }
        let network = Network::uniform(Link { loss: Ratio::percent(settings.loss), ..Link::RELIABLE });
        let until = if settings.calm { SECONDS } else { u64::MAX };
        let faults = FaultPlan { until, ..FaultPlan::default() };
        let config = Config { network, faults, ..Config::new(2) };
        let (kind, increments) = (*self, settings.increments);
        Ok(Setup::new(vec!["client".to_owned(), "server".to_owned()], config, move |node| {
            if node == SERVER {
                Either::Right(Server { kind, seen: BTreeMap::new() })
            } else {
                Either::Left(Client { increments, next: 0, running: None, leaks: kind == Counter::Leaks })
            }
        }))
    }

    fn judge(&self, _: &Settings, run: &Run<'_, Self::Process>, judgement: &mut Judgement) {
        let retries = run.history.notes().filter(|note| **note == Note::Retried).count();
        assert!(retries > 0 || *self != Self::Misjudged, "nobody asked again");
        judgement.met("retry", retries as u64);
        let mut applied = BTreeMap::new();
        for (stamp, note) in &run.history.notes {
            if let Note::Applied(increment) = note {
                applied.entry(*increment).or_insert_with(Vec::new).push(stamp.id);
            }
        }
        for (increment, events) in applied {
            if events.len() > 1 {
                let detail = format!("increment {increment} was applied {} times", events.len());
                judgement.violated("applied-once", detail, events);
            }
        }
    }
}
