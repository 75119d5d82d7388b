//! What the engine's tests share: an observer that keeps everything, and one process whose handlers are closures.
#![allow(dead_code, reason = "each test file uses a part of it")]

pub(crate) mod protocols;

use std::sync::Arc;

use snowglobe_sim::{
    Config, ConnectionId, Context, Delay, DiskAction, DropReason, EventId, Label, Link, MILLIS, Message,
    Nanos, NodeId, Observer, Process, Record, Stamp, StreamEvent, SyncError, World,
};

/// One record of a run, kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Entry {
    pub(crate) stamp: Stamp,
    pub(crate) kind: Kind,
    /// The whole record, as `Debug` writes it.
    pub(crate) text: String,
}

/// What a record is, as far as the tests ask.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Boot,
    Crash {
        after: Option<u32>,
    },
    Send {
        to: NodeId,
        fate: Vec<Nanos>,
        connection: bool,
    },
    Receive,
    Drop(DropReason),
    Timer,
    Fire,
    Fault(Label),
    Stream(Label),
    /// A write, an append, a removal, a refusal.
    Disk,
    Sync,
    Synced(Result<(), SyncError>),
    Lost {
        changes: u32,
        torn: bool,
    },
    Other,
}

/// Everything that happened in a run, in order.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Trace(pub(crate) Vec<Entry>);

impl<M: Message> Observer<M> for Trace {
    fn observe(&mut self, stamp: Stamp, record: &Record<'_, M>) {
        let kind = match *record {
            Record::Boot { .. } => Kind::Boot,
            Record::Crash { after, .. } => Kind::Crash { after },
            Record::Send { to, fate, connection, .. } => {
                Kind::Send { to, fate: fate.to_vec(), connection: connection.is_some() }
            }
            Record::Receive { .. } => Kind::Receive,
            Record::Drop { reason, .. } => Kind::Drop(reason),
            Record::Timer { .. } => Kind::Timer,
            Record::Fire { .. } => Kind::Fire,
            Record::Fault { label } => Kind::Fault(label),
            Record::Stream { label, .. } => Kind::Stream(label),
            Record::Disk { action: DiskAction::Sync, .. } => Kind::Sync,
            Record::Disk { action: DiskAction::Synced(result), .. } => Kind::Synced(result),
            Record::Disk { action: DiskAction::Lost { changes, torn }, .. } => Kind::Lost { changes, torn },
            Record::Disk { .. } => Kind::Disk,
            _ => Kind::Other,
        };
        self.0.push(Entry { stamp, kind, text: format!("{record:?}") });
    }
}

impl Trace {
    /// The records of this kind.
    pub(crate) fn of(&self, wanted: impl Fn(&Kind) -> bool) -> Vec<&Entry> {
        self.0.iter().filter(|entry| wanted(&entry.kind)).collect()
    }
}

/// What a run says in notes: when by the world, on which node, which words. The transcript a test compares with.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Notes(pub(crate) Vec<(Nanos, u32, String)>);

impl Observer<Word> for Notes {
    fn observe(&mut self, stamp: Stamp, record: &Record<'_, Word>) {
        if let Record::Note { note } = record {
            self.0.push((stamp.time, stamp.node.0, (*note).clone()));
        }
    }
}

impl Notes {
    /// Only the words of one node.
    pub(crate) fn of(&self, node: u32) -> Vec<&str> {
        self.0.iter().filter(|(_, at, _)| *at == node).map(|(.., words)| words.as_str()).collect()
    }

    /// The words of one node, with the time before each: in milliseconds if it is a whole number of them.
    pub(crate) fn timed(&self, node: u32) -> Vec<String> {
        let of_node = self.0.iter().filter(|(_, at, _)| *at == node);
        of_node
            .map(|(time, _, words)| match time % MILLIS {
                0 => format!("{} {words}", time / MILLIS),
                _ => format!("{time}ns {words}"),
            })
            .collect()
    }
}

/// A message that is a word and a number. Its notes are strings.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Word(pub(crate) &'static str, pub(crate) u64);

impl Message for Word {
    type Note = String;

    fn label(&self) -> Label {
        Label::new(self.0)
    }

    fn size(&self) -> u32 {
        1_000
    }

    fn corrupt(&mut self, die: u64) -> bool {
        self.1 ^= 1 << (die % 64);
        true
    }
}

/// What happened to a scripted node.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    Start,
    Message(NodeId, Word),
    Timer(Label),
    Sync(Label, Result<(), SyncError>),
    Stream(ConnectionId, StreamEvent<Word>),
}

type Script = Arc<dyn Fn(&mut Context<Word>, &mut u64, Happening) + Send + Sync>;

/// A process whose handlers are one closure over a number.
#[derive(Clone)]
pub(crate) struct Scripted {
    script: Script,
    pub(crate) state: u64,
}

impl Process for Scripted {
    type Message = Word;

    fn on_start(&mut self, ctx: &mut Context<Word>) {
        (self.script)(ctx, &mut self.state, Happening::Start);
    }

    fn on_message(&mut self, ctx: &mut Context<Word>, from: NodeId, message: Word) {
        (self.script)(ctx, &mut self.state, Happening::Message(from, message));
    }

    fn on_timer(&mut self, ctx: &mut Context<Word>, timer: Label) {
        (self.script)(ctx, &mut self.state, Happening::Timer(timer));
    }

    fn on_sync(&mut self, ctx: &mut Context<Word>, sync: Label, result: Result<(), SyncError>) {
        (self.script)(ctx, &mut self.state, Happening::Sync(sync, result));
    }

    fn on_stream(&mut self, ctx: &mut Context<Word>, connection: ConnectionId, event: StreamEvent<Word>) {
        (self.script)(ctx, &mut self.state, Happening::Stream(connection, event));
    }
}

/// A world of scripted nodes.
pub(crate) fn scripted(
    config: Config,
    seed: u64,
    script: impl Fn(&mut Context<Word>, &mut u64, Happening) + Send + Sync + 'static,
) -> World<Scripted> {
    let script: Script = Arc::new(script);
    World::new(config, seed, move |_| Scripted { script: Arc::clone(&script), state: 0 })
}

/// A link on which a message takes so many milliseconds, and nothing goes wrong.
pub(crate) fn exactly(millis: Nanos) -> Link {
    Link { delay: Delay::Constant(millis * MILLIS), ..Link::RELIABLE }
}

/// So many nodes, a millisecond apart.
pub(crate) fn one_millisecond_apart(nodes: u32) -> Config {
    let mut config = Config::new(nodes);
    config.network.default = exactly(1);
    config
}

/// A die of the test's own: `SplitMix64`.
#[derive(Clone)]
pub(crate) struct Die(pub(crate) u64);

impl Die {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn one_in(&mut self, of: u64) -> bool {
        self.below(of) == 0
    }
}

/// The id of the pending event that is due first, if only one is.
pub(crate) fn earliest<P: Process>(world: &World<P>) -> Option<EventId> {
    world.pending().min_by_key(|(_, due)| *due).map(|(id, _)| id)
}
