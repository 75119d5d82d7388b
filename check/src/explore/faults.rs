//! Where faults could be placed in the runs of a search, and which placements are still to be explored.
//!
//! A placement is one decision: this message is lost, or comes twice, or this node crashes after so many effects of what it
//! does about this event. All sets of one placement come before all of two: whoever is stopped by a bound has seen the simpler
//! ones. A second fault is placed in what the runs with the first have shown, so that a fault in what follows from another
//! is found as well.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use sim::{Decision, DiskAction, EventId, Message, NodeId, Observer, Overrides, Record, Stamp};

/// One fault, in one place.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Placement {
    /// What is decided about.
    pub event: EventId,
    /// What goes wrong.
    pub decision: Decision,
    what: What,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum What {
    Lose { what: String, from: NodeId, to: NodeId },
    Duplicate { what: String, from: NodeId, to: NodeId },
    Crash { node: NodeId, after: u32, of: String },
}

/// What the runs of a search have shown so far of places for faults.
#[derive(Default, Debug)]
pub struct Places {
    /// By the message that is sent: what it is, and how long it travels.
    sent: BTreeMap<EventId, (String, NodeId, NodeId, u64)>,
    /// By what a node handles: who, what, and how many effects were seen.
    handled: BTreeMap<EventId, (NodeId, String, u32)>,
    /// By operation: the event whose handler began it, and goes on in its name.
    operations: BTreeMap<EventId, EventId>,
    /// How many effects of this handler there were in this run.
    effects: (EventId, u32),
}

/// The sets of faults that are to be explored.
#[derive(Debug)]
pub(super) struct Sets {
    faults_max: usize,
    todo: VecDeque<Vec<Placement>>,
    known: BTreeSet<Vec<Placement>>,
}

impl Placement {
    /// What goes wrong, in words, where the nodes are called so.
    pub fn name(&self, nodes: &[String]) -> String {
        let name = |node: &NodeId| nodes.get(node.index()).cloned().unwrap_or_else(|| node.to_string());
        match &self.what {
            What::Lose { what, from, to } => format!("lose {what} {} -> {}", name(from), name(to)),
            What::Duplicate { what, from, to } => format!("duplicate {what} {} -> {}", name(from), name(to)),
            What::Crash { node, after, of } => format!("crash {} after effect {after} of {of}", name(node)),
        }
    }
}

impl Sets {
    /// The empty set is the first.
    pub(super) fn new(faults_max: usize) -> Self {
        Self { faults_max, todo: VecDeque::from([Vec::new()]), known: BTreeSet::from([Vec::new()]) }
    }

    pub(super) fn next(&mut self) -> Option<Vec<Placement>> {
        self.todo.pop_front()
    }

    /// Adds the sets of one fault more.
    pub(super) fn extend(&mut self, faults: &[Placement], places: &Places) {
        if faults.len() >= self.faults_max {
            return;
        }
        for placement in places.placements() {
            // What is decided about an event already is not decided otherwise.
            if faults.iter().any(|fault| fault.event == placement.event) {
                continue;
            }
            let mut more: Vec<Placement> = faults.iter().cloned().chain([placement]).collect();
            more.sort_unstable();
            if self.known.insert(more.clone()) {
                self.todo.push_back(more);
            }
        }
    }
}

pub(super) fn decisions(faults: &[Placement]) -> Overrides {
    faults.iter().map(|fault| (fault.event, fault.decision.clone())).collect()
}

impl Places {
    /// Every place for a fault, by event.
    fn placements(&self) -> impl Iterator<Item = Placement> {
        let sent = self.sent.iter().flat_map(|(event, (what, from, to, delay))| {
            let (event, from, to) = (*event, *from, *to);
            let lose = What::Lose { what: what.clone(), from, to };
            let twice = What::Duplicate { what: what.clone(), from, to };
            [
                Placement { event, decision: Decision::Fate(Vec::new()), what: lose },
                Placement { event, decision: Decision::Fate(vec![*delay, delay + 1]), what: twice },
            ]
        });
        let crashes = self.handled.iter().flat_map(|(event, (node, of, effects))| {
            (0..=*effects).map(|after| Placement {
                event: *event,
                decision: Decision::Crash(Some(after)),
                what: What::Crash { node: *node, after, of: of.clone() },
            })
        });
        sent.chain(crashes)
    }

    fn handle(&mut self, stamp: Stamp, what: impl FnOnce() -> String) {
        self.effects = (stamp.id, 0);
        self.handled.entry(stamp.id).or_insert_with(|| (stamp.node, what(), 0));
    }
}

impl<M: Message> Observer<M> for Places {
    fn observe(&mut self, stamp: Stamp, record: &Record<'_, M>) {
        match *record {
            Record::Boot { .. } => self.handle(stamp, || "its start".to_owned()),
            Record::Receive { label, .. } => self.handle(stamp, || label.to_string()),
            Record::Fire { label } => self.handle(stamp, || label.to_string()),
            Record::Disk { label, action: DiskAction::Synced(_) } => {
                self.handle(stamp, || format!("the end of sync {label}"));
            }
            _ => {
                let by = self.operations.get(&stamp.by).copied().unwrap_or(stamp.by);
                if let Record::Invoke { .. } = record {
                    self.operations.insert(stamp.id, by);
                }
                if by == self.effects.0
                    && let Some((.., most)) = self.handled.get_mut(&by)
                {
                    self.effects.1 += 1;
                    *most = (*most).max(self.effects.1);
                }
            }
        }
        if let Record::Send { to, label, fate: [delay], connection: None, .. } = *record {
            self.sent.entry(stamp.id).or_insert_with(|| (label.to_string(), stamp.node, to, *delay));
        }
    }
}
