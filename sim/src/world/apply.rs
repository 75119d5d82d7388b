//! The one place where effects are applied.

use std::hash::Hash;

use crate::dice::Purpose;
use crate::disk::{Change, SyncUnderWay};
use crate::effect::{Effect, Recorded};
use crate::fault::Fault;
use crate::id::{EventId, Kind, Label, NodeId};
use crate::message::Message;
use crate::network::Fate;
use crate::observe::{DiskAction, DropReason, Observer, Record, Stamp};
use crate::process::Process;
use crate::stream::{ConnectionId, Segment};
use crate::tasks::WAKE;
use crate::time::{Nanos, SECONDS};

use super::{Pending, Violation, World};

impl<P: Process> World<P> {
    #[inline(always)]
    pub(super) fn apply<O: Observer<P::Message>>(&mut self, node: NodeId, index: usize, observer: &mut O) {
        let recorded = self.context.recording.effects.at(index);
        let Recorded { id, by, .. } = *recorded;
        // What is in every handler is not moved out as a whole: that alone would take longer than to apply it.
        match &mut recorded.effect {
            Some(Effect::Send { to, message }) => {
                let (to, message) = (*to, message.take());
                recorded.effect = None;
                if let Some(message) = message {
                    self.send(Stamp { time: self.now, node, id, by }, to, message, observer);
                }
            }
            Some(Effect::SetTimer { label, code, delay }) => {
                let (label, code, delay) = (*label, *code, *delay);
                recorded.effect = None;
                self.set_timer(Stamp { time: self.now, node, id, by }, label, code, delay, observer);
            }
            Some(Effect::CancelTimer { code }) => {
                let code = *code;
                recorded.effect = None;
                if let Some(slot) = self.nodes[node.index()].remove_timer(code) {
                    self.queue.cancel(slot);
                }
            }
            _ => self.apply_rare(Stamp { time: self.now, node, id, by }, index, observer),
        }
    }

    /// The effects that are not in every handler.
    #[inline(never)]
    fn apply_rare<O: Observer<P::Message>>(&mut self, stamp: Stamp, index: usize, observer: &mut O) {
        let Stamp { id, by, .. } = stamp;
        let effect =
            self.context.recording.effects.at(index).effect.take().expect("an effect is applied once");
        match effect {
            Effect::Send { .. } | Effect::SetTimer { .. } | Effect::CancelTimer { .. } => {
                unreachable!("these are not rare")
            }
            Effect::Invoke { note } => {
                self.absorb(id, &note);
                observer.observe(stamp, &Record::Invoke { note: &note });
            }
            Effect::Return { of, status, note } => {
                self.absorb(id, &note);
                self.digest.absorb(status as u64);
                observer.observe(stamp, &Record::Return { of, status, note: &note });
            }
            Effect::Note { note } => {
                self.absorb(id, &note);
                observer.observe(stamp, &Record::Note { note: &note });
            }
            Effect::Write { file, bytes } => self.write(stamp, file, Change::Write(bytes), observer),
            Effect::Append { file, bytes } => self.write(stamp, file, Change::Append(bytes), observer),
            Effect::Remove { file } => self.write(stamp, file, Change::Remove, observer),
            Effect::Sync { label } => self.sync(stamp, label, observer),
            Effect::Connect { peer } => self.connect(stamp, peer, observer),
            Effect::StreamSend { connection, message } => {
                self.send_segment(stamp, connection, Segment::Data(message), observer);
            }
            Effect::StreamClose { connection } => {
                self.send_segment(stamp, connection, Segment::Close, observer);
            }
            Effect::Task { label, action } => {
                self.digest.absorb(id.0);
                observer.observe(stamp, &Record::Task { label, action });
            }
            Effect::Find { property, detail, evidence } => {
                let violation = Violation { property: property.to_owned(), detail, evidence, time: self.now };
                self.find(stamp, violation, observer);
            }
            Effect::Violate { property, detail } => {
                let violation =
                    Violation { property: property.to_owned(), detail, evidence: vec![by], time: self.now };
                self.violate(violation, observer);
            }
        }
    }

    #[inline(always)]
    fn absorb(&mut self, id: EventId, content: &impl Hash) {
        self.digest.absorb(id.0);
        content.hash(&mut self.digest);
    }

    #[inline(always)]
    fn set_timer<O: Observer<P::Message>>(
        &mut self,
        stamp: Stamp,
        label: Label,
        code: u64,
        delay: Nanos,
        observer: &mut O,
    ) {
        let node = stamp.node;
        let delay = self.nodes[node.index()].own.clock().wait(delay);
        let time = self.now.saturating_add(delay);
        let event = || Pending::Timer { node, label, code };
        let slot = match self.context.recording.schedule.priorities {
            Some(priorities) if label.word == WAKE => {
                let tie = self.tie_of_step(node, label.key, stamp.id, priorities);
                self.queue.push(time, tie, stamp.id, stamp.by, event)
            }
            _ => self.schedule(time, stamp.id, stamp.by, event),
        };
        if let Some(replaced) = self.nodes[node.index()].insert_timer(code, slot) {
            self.queue.cancel(replaced);
        }
        observer.observe(stamp, &Record::Timer { label, delay });
    }

    #[inline(always)]
    fn send<O: Observer<P::Message>>(
        &mut self,
        stamp: Stamp,
        to: NodeId,
        message: P::Message,
        observer: &mut O,
    ) {
        let Stamp { id, node: from, .. } = stamp;
        if to.index() >= self.nodes.len() {
            refuse_receiver(from, to, self.nodes.len());
        }
        self.absorb(id, &message);
        let dice = self.dice.of(id);
        if let Some(span) = self.reliable {
            let delay = span.sample(dice.bits(Purpose::DELAY));
            return self.put_under_way(stamp, to, message, false, &[delay], observer);
        }
        let link = self.network.link(from, to);
        let is_special = link.bandwidth > 0 || self.network_is_disturbed;
        let fate = if self.is_calm() { Fate::throw_calm(link, dice) } else { Fate::throw(link, dice) };
        if fate.is_late() {
            self.counts.late += 1;
        }
        if fate.is_corrupt() {
            self.counts.corrupted += 1;
        }
        if is_special {
            return self.send_specially((id, stamp.by), (from, to), message, fate, observer);
        }
        match fate.deliveries().len() {
            0 => self.counts.lost += 1,
            1 => {}
            _ => self.counts.duplicated += 1,
        }
        self.put_under_way(stamp, to, message, fate.is_corrupt(), fate.deliveries(), observer);
    }

    /// Sends where more than the dice decide what becomes of the message: bandwidth, plan, overrides, partitions.
    #[cold]
    #[inline(never)]
    fn send_specially<O: Observer<P::Message>>(
        &mut self,
        (id, by): (EventId, EventId),
        (from, to): (NodeId, NodeId),
        message: P::Message,
        mut fate: Fate,
        observer: &mut O,
    ) {
        let queued =
            self.network.link(from, to).bandwidth == 0 || self.queue_up(&mut fate, from, to, message.size());
        let mut written = None;
        if !self.targeted.is_empty() && !self.is_calm() {
            written = self.target(from, to, message.label());
        }
        if let Some(fixed) = self.overrides.fate(id) {
            written = Some(fixed);
            fate.mend();
        }
        let mut deliveries = written.as_deref().unwrap_or(fate.deliveries());
        match deliveries.len() {
            0 if !queued => self.counts.queue_full += 1,
            0 => self.counts.lost += 1,
            1 => {}
            _ => self.counts.duplicated += 1,
        }
        if !deliveries.is_empty() && self.is_cut(from, to) {
            self.counts.cut += 1;
            deliveries = &[];
            self.overrides.fate_was_overruled(id);
        }
        let stamp = Stamp { time: self.now, node: from, id, by };
        self.put_under_way(stamp, to, message, fate.is_corrupt(), deliveries, observer);
    }

    /// Puts the deliveries of a message under way.
    #[inline(always)]
    fn put_under_way<O: Observer<P::Message>>(
        &mut self,
        stamp: Stamp,
        to: NodeId,
        message: P::Message,
        corrupt: bool,
        deliveries: &[Nanos],
        observer: &mut O,
    ) {
        let Stamp { id, node: from, .. } = stamp;
        if O::ACTIVE {
            let label = message.label();
            let record = Record::Send { to, label, fate: deliveries, connection: None, message: &message };
            observer.observe(stamp, &record);
        }
        let Some((first, more)) = deliveries.split_first() else { return };
        for (copy, delay) in (1..).zip(more) {
            let event = || Pending::Deliver { from, to, message: message.clone(), corrupt };
            self.schedule(self.now.saturating_add(*delay), id.delivery(copy), id, event);
        }
        let event = || Pending::Deliver { from, to, message, corrupt };
        self.schedule(self.now.saturating_add(*first), id.delivery(0), id, event);
    }

    pub(super) fn is_cut(&self, from: NodeId, to: NodeId) -> bool {
        self.cuts.iter().any(|cut| cut.separates(from, to))
    }

    /// Lets a message wait for its turn on a link with a bandwidth, or drops it if the wait would be too long.
    /// A message that is lost further on takes its turn all the same.
    fn queue_up(&mut self, fate: &mut Fate, from: NodeId, to: NodeId, size: u32) -> bool {
        let link = *self.network.link(from, to);
        let busy_until = self.busy.entry((from, to)).or_insert(0);
        let begin = (*busy_until).max(self.now);
        let wait = begin - self.now;
        if wait > link.queue {
            fate.lose();
            return false;
        }
        let transmission = (u128::from(size) * u128::from(SECONDS) / u128::from(link.bandwidth)) as u64;
        *busy_until = begin.saturating_add(transmission);
        fate.put_off(wait.saturating_add(transmission));
        true
    }

    /// The deliveries that the plan has written for a message, by its latest entry that means this one.
    fn target(&mut self, sender: NodeId, receiver: NodeId, label: Label) -> Option<Vec<Nanos>> {
        let mut deliveries = None;
        for (index, fault) in self.config.faults.list.iter().enumerate() {
            let Fault::Message { from, to, word, nth, fate: written } = fault else { continue };
            if (*from, *to, *word) != (sender, receiver, label.word) {
                continue;
            }
            let seen = self.targeted[index];
            self.targeted[index] += 1;
            if nth.is_none_or(|nth| nth == seen) {
                deliveries = Some(written.clone());
            }
        }
        deliveries
    }

    fn write<O: Observer<P::Message>>(
        &mut self,
        stamp: Stamp,
        file: Label,
        change: Change,
        observer: &mut O,
    ) {
        self.absorb(stamp.id, &file);
        let node = &mut self.nodes[stamp.node.index()];
        if node.disk_full && !matches!(change, Change::Remove) {
            self.counts.disk_full += 1;
            observer.observe(stamp, &Record::Disk { label: file, action: DiskAction::Full });
            return;
        }
        let action = match &change {
            Change::Write(bytes) => DiskAction::Write(bytes),
            Change::Append(bytes) => DiskAction::Append(bytes),
            Change::Remove => DiskAction::Remove,
        };
        if let DiskAction::Write(bytes) | DiskAction::Append(bytes) = action {
            bytes.hash(&mut self.digest);
        }
        observer.observe(stamp, &Record::Disk { label: file, action });
        node.own.disk_or_new().change(file, change);
    }

    fn sync<O: Observer<P::Message>>(&mut self, stamp: Stamp, label: Label, observer: &mut O) {
        let Stamp { id, node, .. } = stamp;
        observer.observe(stamp, &Record::Disk { label, action: DiskAction::Sync });
        let owner = &mut self.nodes[node.index()];
        let mark = owner.own.disk_or_new().sync_mark();
        let incarnation = owner.incarnation;
        let span = self.config.sync_delay.sample(self.dice.of(id).bits(Purpose::SYNC_DELAY));
        let sync = Box::new(SyncUnderWay { label, mark, asked: id });
        let done = id.sync_end();
        self.schedule(self.now.saturating_add(span), done, id, || Pending::Synced {
            node,
            incarnation,
            sync,
        });
    }

    pub(super) fn drop_message<O: Observer<P::Message>>(
        &mut self,
        stamp: Stamp,
        from: NodeId,
        label: Label,
        reason: DropReason,
        observer: &mut O,
    ) {
        self.digest.absorb(reason as u64);
        observer.observe(stamp, &Record::Drop { from, label, reason });
    }
}

#[cold]
#[inline(never)]
fn refuse_receiver(from: NodeId, to: NodeId, nodes: usize) -> ! {
    panic!("{from} sent to {to}, and the world has {nodes} nodes");
}

/// The label of what travels in a segment, for records.
pub(super) fn segment_label<M: Message>(segment: &Segment<M>) -> Label {
    match segment {
        Segment::Data(message) => message.label(),
        Segment::Close => Label::new("close"),
    }
}

/// The like of things that happen to one connection.
pub(super) const fn on_connection(kind: Kind, connection: ConnectionId) -> u64 {
    EventId::like(kind, 0, connection.0.0)
}
