//! What a handler sees of the world, and where it records what it asks for.
//!
//! A context owns everything it shows, so that `tasks` can lend it to futures without lifetimes. The world keeps
//! one and reuses its memory for every event.

use std::collections::BTreeMap;
use std::mem;

use crate::clock::Clock;
use crate::dice::{Dice, Purpose, Ratio};
use crate::disk::Disk;
use crate::effect::{Effect, Effects, OpId, Status};
use crate::id::{EventId, Kind, Label, NodeId};
use crate::message::Message;
use crate::observe::TaskAction;
use crate::schedule::{Schedule, Watch};
use crate::stream::ConnectionId;
use crate::time::Nanos;

/// The handler's side of the world.
///
/// Nothing is done while the handler runs: every call records an [`Effect`], and the world applies them in
/// order when the handler returns. What a method returns (an id, a time, a die) depends on nothing but the event
/// being handled and the node's own past.
#[derive(Clone, Debug)]
pub struct Context<M: Message> {
    /// The time of the world; where nothing is lent any more, that of the last handler.
    pub(crate) now: Nanos,
    pub(crate) recording: Box<Recording<M>>,
}

/// Whose handler runs, what it has recorded, and where the next of it belongs. Lending it is one pointer.
#[derive(Clone, Debug)]
pub(crate) struct Recording<M: Message> {
    pub(crate) node: NodeId,
    pub(crate) incarnation: u32,
    /// Lent by the node for the time of the handler.
    pub(crate) own: Own,
    /// The event being handled.
    pub(crate) event: EventId,
    pub(crate) schedule: Schedule,
    /// How much somebody wants to know of what handlers touch.
    pub(crate) watch: Watch,
    /// The cause of what is recorded next: the event, or the operation it began.
    pub(crate) by: EventId,
    /// Where the ids of what is recorded next begin: the event, or an anchor.
    pub(crate) base: EventId,
    pub(crate) dice: Dice,
    pub(crate) draws: u32,
    pub(crate) effects: Effects<M>,
    /// Of a handler that records many effects; until then the effects themselves tell.
    many: Option<Box<Many>>,
}

/// What belongs to the node and is lent to the context while a handler runs. Lending it is one pointer; most nodes
/// of a large world own nothing.
#[derive(Clone, Default, Debug)]
pub(crate) struct Own(Option<Box<Owned>>);

#[derive(Clone, Default, Debug)]
struct Owned {
    clock: Clock,
    operations: u32,
    anchors: BTreeMap<u64, u32>,
    disk: Option<Disk>,
}

impl Own {
    pub(crate) fn disk(&self) -> Option<&Disk> {
        self.0.as_ref()?.disk.as_ref()
    }

    pub(crate) fn disk_mut(&mut self) -> Option<&mut Disk> {
        self.0.as_mut()?.disk.as_mut()
    }

    /// The disk, new and empty if there was none.
    pub(crate) fn disk_or_new(&mut self) -> &mut Disk {
        self.0.get_or_insert_default().disk.get_or_insert_default()
    }

    /// The node's clock, a true one unless it was set.
    #[inline(always)]
    pub(crate) fn clock(&self) -> Clock {
        self.0.as_ref().map_or(Clock::TRUE, |owned| owned.clock)
    }

    pub(crate) fn set_clock(&mut self, clock: Clock) {
        if clock != Clock::TRUE {
            self.0.get_or_insert_default().clock = clock;
        }
    }

    /// Lends all of it to `other`, which has nothing, or takes it back.
    #[inline(always)]
    pub(crate) fn lend(&mut self, other: &mut Self) {
        // Most nodes own nothing, and moving nothing has its price too.
        if self.0.is_some() {
            other.0 = self.0.take();
        }
    }

    /// Forgets what belongs to one life of the node: all but disk and clock.
    pub(crate) fn end_life(&mut self) {
        if let Some(owned) = &mut self.0 {
            owned.operations = 0;
            owned.anchors.clear();
        }
    }
}

impl<M: Message> Context<M> {
    pub(crate) fn new(dice: Dice) -> Self {
        Self {
            now: 0,
            recording: Box::new(Recording {
                node: NodeId(0),
                incarnation: 0,
                own: Own::default(),
                event: EventId::ROOT,
                schedule: Schedule::default(),
                watch: Watch::No,
                by: EventId::ROOT,
                base: EventId::ROOT,
                dice,
                draws: 0,
                effects: Effects::new(),
                many: None,
            }),
        }
    }

    /// Says where it is to a context that is lent to in this life of the node, for as long as nothing is lent.
    pub(crate) fn settle(&self, other: &mut Self) {
        other.recording.node = self.recording.node;
        other.recording.incarnation = self.recording.incarnation;
    }

    /// Lets `other` be the handler's context until [`Context::reclaim`].
    #[inline(always)]
    pub(crate) fn lend(&mut self, other: &mut Self) {
        other.now = self.now;
        mem::swap(&mut self.recording, &mut other.recording);
    }

    /// Takes back what was lent, with all that was recorded in it.
    #[inline(always)]
    pub(crate) fn reclaim(&mut self, other: &mut Self) {
        mem::swap(&mut self.recording, &mut other.recording);
    }

    /// Forgets what a run that was cut short has left.
    pub(crate) fn reset(&mut self) {
        self.recording.effects.truncate(0);
        self.recording.many = None;
    }

    /// This node.
    #[inline]
    pub fn node(&self) -> NodeId {
        self.recording.node
    }

    /// Which life of the node this is, from 0.
    #[inline]
    pub fn incarnation(&self) -> u32 {
        self.recording.incarnation
    }

    /// The event being handled.
    #[inline]
    pub fn event(&self) -> EventId {
        self.recording.event
    }

    /// The time by the node's own clock.
    #[inline]
    pub fn now(&self) -> Nanos {
        self.recording.own.clock().read(self.now)
    }

    /// 64 random bits, another 64 at each call.
    #[inline]
    pub fn random(&mut self) -> u64 {
        let die =
            self.recording.dice.of(self.recording.event).bits(Purpose::PROCESS.nth(self.recording.draws));
        self.recording.draws += 1;
        die
    }

    /// A random number below `bound`; 0 if `bound` is 0.
    #[inline]
    pub fn random_below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.random()) * u128::from(bound)) >> 64) as u64
    }

    /// True with probability `ratio`.
    #[inline]
    pub fn chance(&mut self, ratio: Ratio) -> bool {
        self.random_below(u64::from(ratio.den)) < u64::from(ratio.num)
    }

    /// Sends a datagram. Its fate is decided when the handler's effects are applied.
    #[inline(always)]
    pub fn send(&mut self, to: NodeId, message: M) -> EventId {
        let code = message.label().code();
        self.record(Kind::Send, to.0, code, || Effect::Send { to, message: Some(message) })
    }

    /// Sets the timer `label` to fire after `delay` by the node's own clock. A pending timer of the same name is
    /// replaced. Timers do not survive a crash.
    #[inline(always)]
    pub fn set_timer(&mut self, label: impl Into<Label>, delay: Nanos) -> EventId {
        let label = label.into();
        let code = label.code();
        self.record(Kind::Timer, 0, code, || Effect::SetTimer { label, code, delay })
    }

    /// Cancels the timer `label`; nothing happens if none is pending.
    #[inline(always)]
    pub fn cancel_timer(&mut self, label: impl Into<Label>) {
        let code = label.into().code();
        self.push(EventId::ROOT, || Effect::CancelTimer { code });
    }

    /// Begins the node's next operation: everything this handler records from here on is caused by it, and takes its
    /// ids from `invoke(node, incarnation, operation)`, however the node came here.
    pub fn invoke(&mut self, call: M::Note) -> OpId {
        let owned = self.recording.own.0.get_or_insert_default();
        let id = EventId::invoke(self.recording.node, self.recording.incarnation, owned.operations);
        owned.operations += 1;
        self.push(id, || Effect::Invoke { note: call });
        self.recording.by = id;
        self.recording.base = id;
        OpId(id)
    }

    /// Ends an operation.
    pub fn complete(&mut self, of: OpId, status: Status, result: M::Note) {
        let kind = Kind::Return;
        self.record(kind, 0, of.0.0, || Effect::Return { of, status, note: result });
    }

    /// Takes the ids of what this handler records from here on from a place the scenario names, such as a page that is
    /// fetched, instead of from the way the node came here. The second visit to a place in one life of the
    /// node is another place.
    pub fn anchor(&mut self, place: impl Into<Label>) -> EventId {
        let code = place.into().code();
        let visits = self.recording.own.0.get_or_insert_default().anchors.entry(code).or_insert(0);
        let id =
            EventId::anchored(Kind::Anchor, self.recording.node, self.recording.incarnation, code, *visits);
        *visits += 1;
        self.recording.base = id;
        id
    }

    /// Tells the judges something.
    #[inline]
    pub fn note(&mut self, note: M::Note) -> EventId {
        self.record(Kind::Note, 0, 0, || Effect::Note { note })
    }

    /// Reports that a property of the process itself is violated, and ends the run.
    pub fn violate(&mut self, property: &'static str, detail: impl Into<String>) {
        let detail = detail.into();
        self.record(Kind::Check, 0, Label::new(property).code(), || Effect::Violate { property, detail });
    }

    /// Reports that a property of the process itself is violated, and lets the run go on.
    pub fn find(&mut self, property: &'static str, detail: impl Into<String>, evidence: Vec<EventId>) {
        let detail = detail.into();
        let code = Label::new(property).code();
        self.record(Kind::Check, 1, code, || Effect::Find { property, detail, evidence });
    }

    /// Replaces a file. The change is durable once a sync asked for after it has ended well.
    pub fn write(&mut self, file: impl Into<Label>, bytes: impl Into<Vec<u8>>) -> EventId {
        let (file, bytes) = (file.into(), bytes.into());
        self.record(Kind::Write, 0, file.code(), || Effect::Write { file, bytes })
    }

    /// Appends to a file, which need not exist.
    pub fn append(&mut self, file: impl Into<Label>, bytes: impl Into<Vec<u8>>) -> EventId {
        let (file, bytes) = (file.into(), bytes.into());
        self.record(Kind::Write, 1, file.code(), || Effect::Append { file, bytes })
    }

    /// Removes a file, which need not exist.
    pub fn remove(&mut self, file: impl Into<Label>) -> EventId {
        let file = file.into();
        self.record(Kind::Write, 2, file.code(), || Effect::Remove { file })
    }

    /// Asks to make durable all that was written so far; [`crate::Process::on_sync`] says when it is.
    pub fn sync(&mut self, label: impl Into<Label>) -> EventId {
        let label = label.into();
        self.record(Kind::Sync, 0, label.code(), || Effect::Sync { label })
    }

    /// A file as this handler sees it: the disk, and what the handler itself has written. (A write that turns
    /// out to find the disk full is still seen here; [`Context::read`] of the next handler tells the truth.)
    pub fn read(&self, file: impl Into<Label>) -> Option<Vec<u8>> {
        let file = file.into();
        let mut content = self.recording.own.disk().and_then(|disk| disk.read(file)).map(<[u8]>::to_vec);
        for recorded in self.recording.effects.iter() {
            match &recorded.effect {
                Some(Effect::Write { file: written, bytes }) if *written == file => {
                    content = Some(bytes.clone());
                }
                Some(Effect::Append { file: written, bytes }) if *written == file => {
                    content.get_or_insert_default().extend_from_slice(bytes);
                }
                Some(Effect::Remove { file: removed }) if *removed == file => content = None,
                _ => {}
            }
        }
        content
    }

    /// Asks for a connection. [`crate::StreamEvent::Opened`] or [`crate::StreamEvent::Broken`] follows.
    pub fn connect(&mut self, peer: NodeId) -> ConnectionId {
        ConnectionId(self.record(Kind::Connect, peer.0, 0, || Effect::Connect { peer }))
    }

    /// Sends on a connection; in vain, and without a word, if it is gone.
    pub fn send_on(&mut self, connection: ConnectionId, message: M) -> EventId {
        let code = connection.0.0 ^ message.label().code();
        self.record(Kind::StreamSend, 0, code, || Effect::StreamSend { connection, message })
    }

    /// Closes a connection after what was sent on it.
    pub fn close(&mut self, connection: ConnectionId) {
        self.record(Kind::StreamClose, 0, connection.0.0, || Effect::StreamClose { connection });
    }

    pub(crate) fn task(&mut self, label: Label, action: TaskAction) {
        self.record(Kind::Task, action as u32, label.code(), || Effect::Task { label, action });
    }

    /// Sets a timer whose id does not follow from the event being handled: the `step`th step of the task at `place`.
    pub(crate) fn set_step_timer(&mut self, place: EventId, step: u32, label: Label, delay: Nanos) {
        let id = place.child(EventId::like(Kind::Step, self.recording.node.0, 0), step);
        let code = label.code();
        self.push(id, || Effect::SetTimer { label, code, delay });
    }

    #[inline(always)]
    fn record(&mut self, kind: Kind, peer: u32, code: u64, effect: impl FnOnce() -> Effect<M>) -> EventId {
        let like = EventId::like(kind, peer, code);
        let Recording { by, base, effects, .. } = &mut *self.recording;
        let Some(first) = effects.first_place() else { return self.record_next(like, effect) };
        let id = base.child(like, 0);
        first.fill(id, *by, base.0 ^ like, effect);
        id
    }

    /// The same where it may not be the first of its handler. Not inlined, so that a handler need not save what it knows for it.
    #[inline(never)]
    fn record_next(&mut self, like: u64, effect: impl FnOnce() -> Effect<M>) -> EventId {
        let like_here = self.recording.base.0 ^ like;
        let few = self.recording.effects.alike(like_here);
        let ordinal = few.unwrap_or_else(|| self.ordinal_of_many(like_here));
        let id = self.recording.base.child(like, ordinal);
        self.recording.effects.place().fill(id, self.recording.by, like_here, effect);
        id
    }

    #[inline(always)]
    fn push(&mut self, id: EventId, effect: impl FnOnce() -> Effect<M>) {
        let Recording { by, effects, .. } = &mut *self.recording;
        effects.place().fill(id, *by, 0, effect);
    }

    #[cold]
    #[inline(never)]
    fn ordinal_of_many(&mut self, like: u64) -> u32 {
        let Recording { many, event, effects, .. } = &mut *self.recording;
        let many = many.get_or_insert_default();
        if many.of != *event {
            **many = Many { of: *event, ..Many::default() };
        }
        for recorded in effects.iter().skip(many.counted) {
            many.likes.ordinal(recorded.like);
        }
        many.counted = effects.len();
        many.likes.count(like)
    }
}

/// The likes of a handler with many effects.
#[derive(Clone, Default, Debug)]
pub(crate) struct Many {
    /// The event that is handled.
    of: EventId,
    /// How many of the effects are counted in.
    counted: usize,
    likes: Likes,
}

/// How many of each like one handler has recorded.
#[derive(Clone, Default, Debug)]
pub(crate) struct Likes {
    few: Vec<(u64, u32)>,
    many: BTreeMap<u64, u32>,
}

impl Likes {
    const FEW: usize = 16;

    /// How many of this like came before.
    fn count(&self, like: u64) -> u32 {
        let few = self.few.iter().find(|(seen, _)| *seen == like).map(|(_, count)| *count);
        few.or_else(|| self.many.get(&like).copied()).unwrap_or(0)
    }

    pub(crate) fn clear(&mut self) {
        self.few.clear();
        if !self.many.is_empty() {
            self.many.clear();
        }
    }

    /// How many of this like came before, counting this one from now on.
    #[inline(always)]
    pub(crate) fn ordinal(&mut self, like: u64) -> u32 {
        if let Some((_, count)) = self.few.iter_mut().find(|(seen, _)| *seen == like) {
            let ordinal = *count;
            *count += 1;
            return ordinal;
        }
        if self.few.len() < Self::FEW {
            self.few.push((like, 1));
            return 0;
        }
        let count = self.many.entry(like).or_insert(0);
        *count += 1;
        *count - 1
    }
}
