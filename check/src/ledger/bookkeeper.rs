//! Writes the ledger while a run goes on.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use sim::{DropReason, EventId, Message, Nanos, NodeId, Observer, OpId, Record, Stamp, Status};

use super::{CallName, Decision, Entry, Happening, Ledger, Line, Mail, Reader};

/// Writes a [`Ledger`] while a run goes on.
#[derive(Debug)]
pub struct Bookkeeper<M: Message> {
    reader: Reader<M>,
    ledger: Ledger,
    operations: BTreeMap<OpId, CallName>,
    /// By the id of a send: what was sent, and how often it has arrived.
    under_way: BTreeMap<EventId, (Mail, u32)>,
    known: BTreeMap<CallName, Known>,
    /// By node: which life this is.
    lives: BTreeMap<NodeId, u32>,
}

/// What is known of a call, and no server need know.
#[derive(Default, Debug)]
struct Known {
    /// How often it was executed outside of any log.
    times: u32,
    /// By node: in which of its lives it executed it last.
    executed: BTreeMap<NodeId, u32>,
    /// Which entries of whose log it became.
    logged: BTreeSet<(NodeId, u64)>,
    /// Its entries that were executed.
    effective: BTreeSet<u64>,
    /// Who applied which entry, and whether that executed it.
    applied: BTreeSet<(NodeId, u64, bool)>,
}

impl Known {
    /// Why a server in this life takes the call for new.
    fn why_new(&self, node: NodeId, life: u32) -> Decision {
        match self.executed.get(&node) {
            Some(then) if *then < life => Decision::LostInCrash,
            Some(_) => Decision::NotRecognised,
            None if !self.executed.is_empty() => Decision::UnknownHere,
            None if !self.logged.is_empty() => Decision::InLog,
            None => Decision::New,
        }
    }

    /// Whether the state of this node has it.
    fn is_in(&self, node: NodeId) -> bool {
        self.executed.contains_key(&node)
    }
}

impl<M: Message> Bookkeeper<M> {
    /// With nothing written yet.
    pub const fn new(reader: Reader<M>) -> Self {
        Self {
            reader,
            ledger: Ledger { calls: BTreeMap::new() },
            operations: BTreeMap::new(),
            under_way: BTreeMap::new(),
            known: BTreeMap::new(),
            lives: BTreeMap::new(),
        }
    }

    /// What was written.
    pub fn finish(self) -> Ledger {
        self.ledger
    }

    fn write(&mut self, call: CallName, stamp: Stamp, what: Happening) {
        let line = Line { t: stamp.time, node: stamp.node.0, id: stamp.id, what };
        self.ledger.calls.entry(call).or_default().push(line);
    }

    fn send(&mut self, stamp: Stamp, to: NodeId, fate: &[Nanos], mail: Mail) {
        self.under_way.insert(stamp.id, (mail, 0));
        let (to, fate) = (to.0, fate.to_vec());
        let what = match mail {
            Mail::Request { resend, .. } => Happening::Sent { to, resend, fate },
            Mail::Reply { .. } => Happening::Replied { to, fate },
            Mail::Redirect { leader, .. } => {
                Happening::Redirected { to, leader: leader.map(|node| node.0), fate }
            }
        };
        self.write(mail.call(), stamp, what);
    }

    fn receive(&mut self, stamp: Stamp, from: NodeId, mail: Mail) {
        let (_, arrivals) = self.under_way.entry(stamp.by).or_insert((mail, 0));
        let copy = *arrivals;
        *arrivals += 1;
        let from = from.0;
        let what = match mail {
            Mail::Request { resend, .. } => Happening::Arrived { from, resend, copy },
            Mail::Reply { .. } => Happening::ReplyArrived { from, copy },
            Mail::Redirect { .. } => Happening::RedirectArrived { from },
        };
        self.write(mail.call(), stamp, what);
    }

    fn entry(&mut self, stamp: Stamp, entry: Entry) {
        let (node, life) = (stamp.node, self.lives.get(&stamp.node).copied().unwrap_or(0));
        match entry {
            Entry::Called(_) => {}
            Entry::Decided(call, decision) => {
                let decision = match decision {
                    Decision::New => self.known.entry(call).or_default().why_new(node, life),
                    decision => decision,
                };
                self.write(call, stamp, Happening::Decided { decision });
            }
            Entry::Executed(call) => {
                let known = self.known.entry(call).or_default();
                known.times += 1;
                known.executed.insert(node, life);
                let time = known.times;
                self.write(call, stamp, Happening::Executed { time });
            }
            Entry::Logged { call, index, term } => {
                let known = self.known.entry(call).or_default();
                let decision = known.why_new(node, life);
                known.logged.insert((node, index));
                self.write(call, stamp, Happening::Logged { decision, index, term });
            }
            Entry::Removed { from } => self.removed(stamp, from),
            Entry::Applied { call, index, executed } => self.applied(stamp, life, call, index, executed),
            Entry::TookOver { index } => self.took_over(stamp, life, index),
        }
    }

    fn removed(&mut self, stamp: Stamp, from: u64) {
        let mut removed = Vec::new();
        for (call, known) in &mut self.known {
            let gone = known.logged.extract_if((stamp.node, from)..=(stamp.node, u64::MAX), |_| true);
            removed.extend(gone.map(|(_, index)| (*call, index)));
        }
        for (call, index) in removed {
            self.write(call, stamp, Happening::Removed { index });
        }
    }

    /// A server that starts again applies its log anew: that nothing else comes of it is not told twice.
    fn applied(&mut self, stamp: Stamp, life: u32, call: CallName, index: u64, executed: bool) {
        let known = self.known.entry(call).or_default();
        known.executed.insert(stamp.node, life);
        if executed {
            known.effective.insert(index);
        }
        if !known.applied.insert((stamp.node, index, executed)) {
            return;
        }
        let what = if executed {
            Happening::Applied { index, time: known.effective.range(..=index).count() as u32 }
        } else {
            Happening::PassedOver { index, executed: known.effective.first().copied() }
        };
        self.write(call, stamp, what);
    }

    fn took_over(&mut self, stamp: Stamp, life: u32, index: u64) {
        let mut told = Vec::new();
        for (call, known) in &mut self.known {
            if known.effective.first().is_some_and(|first| *first <= index) {
                if !known.is_in(stamp.node) {
                    told.push(*call);
                }
                known.executed.insert(stamp.node, life);
            }
        }
        for call in told {
            self.write(call, stamp, Happening::TookOver { index });
        }
    }

    /// A crash is written into the life of each call that its node called or executed and that is not over.
    fn crash(&mut self, stamp: Stamp) {
        let touched = |lines: &Vec<Line>| {
            let over = lines.iter().any(|line| matches!(line.what, Happening::Concluded { .. }));
            !over && lines.iter().any(|line| line.node == stamp.node.0)
        };
        let calls: Vec<CallName> =
            self.ledger.calls.iter().filter(|(_, lines)| touched(lines)).map(|(call, _)| *call).collect();
        for call in calls {
            self.write(call, stamp, Happening::Crashed);
        }
    }
}

impl<M: Message<Note: Serialize>> Observer<M> for Bookkeeper<M> {
    fn observe(&mut self, stamp: Stamp, record: &Record<'_, M>) {
        let text = |note: &M::Note| serde_json::to_value(note).expect("a note is plain data");
        match *record {
            Record::Boot { incarnation } => {
                self.lives.insert(stamp.node, incarnation);
            }
            Record::Crash { .. } => self.crash(stamp),
            Record::Send { to, fate, message, .. } => {
                if let Some(mail) = (self.reader.mail)(message) {
                    self.send(stamp, to, fate, mail);
                }
            }
            Record::Receive { from, message, .. } => {
                if let Some(mail) = (self.reader.mail)(message) {
                    self.receive(stamp, from, mail);
                }
            }
            Record::Drop { reason, .. } => {
                let Some((mail, _)) = self.under_way.get(&stamp.by) else { return };
                let (call, mail) = (mail.call(), mail.word());
                self.write(call, stamp, Happening::Dropped { mail, reason: drop_reason(reason) });
            }
            Record::Invoke { note } => {
                if let Some(Entry::Called(call)) = (self.reader.entry)(note) {
                    self.operations.insert(OpId(stamp.id), call);
                    self.write(call, stamp, Happening::Called { call: text(note) });
                }
            }
            Record::Return { of, status, note } => {
                let Some(call) = self.operations.get(&of).copied() else { return };
                let status = match status {
                    Status::Ok => "ok",
                    Status::Fail => "failed",
                    Status::Unknown => "unknown",
                };
                self.write(call, stamp, Happening::Concluded { status, result: text(note) });
            }
            Record::Note { note } => {
                if let Some(entry) = (self.reader.entry)(note) {
                    self.entry(stamp, entry);
                }
            }
            _ => {}
        }
    }
}

const fn drop_reason(reason: DropReason) -> &'static str {
    match reason {
        DropReason::Down => "the receiver was down",
        DropReason::Partition => "a partition stopped it",
        DropReason::Corrupt => "it was damaged on the way",
        DropReason::QueueFull => "the link's queue was full",
        DropReason::Closed => "its connection was gone",
    }
}
