//! What a run of the engine asks of its queue, written down by an observer.
//!
//! Ties are no part of what an observer sees: they are thrown anew. Whoever goes through the recording has every event come
//! out at the time at which the engine handled it, or something is wrong.

use crate::sim::{EventId, NodeId, Observer, Record, Stamp};
use crate::workloads::handlers::{self, Rpc};

/// One operation of the queue.
pub(crate) enum Operation {
    /// A message will arrive.
    Message { time: u64, tie: u32 },
    /// A timer of a node will fire, the only one of it.
    Timer { time: u64, tie: u32, node: u32 },
    /// The timer of a node will not fire.
    Cancel { node: u32 },
    /// The next event comes out, at this time.
    Pop { time: u64 },
}

/// What the workload `lossy_rpc` of so many calls per client does, and how many events come out of the queue.
pub(crate) fn lossy_rpc(calls: u32) -> (Vec<Operation>, u64) {
    let mut recording = Recording::default();
    let events = handlers::observed_lossy_rpc(calls, 1, &mut recording);
    (recording.operations, events)
}

#[derive(Default)]
struct Recording {
    operations: Vec<Operation>,
    /// The call that each node waits for.
    waiting: Vec<Option<u32>>,
}

impl Observer<Rpc> for Recording {
    fn observe(&mut self, stamp: Stamp, record: &Record<'_, Rpc>) {
        let Stamp { time, node, id, .. } = stamp;
        match record {
            Record::Send { fate, message, .. } => {
                if let Rpc::Request { seq, .. } = message {
                    *self.waiting(node) = Some(*seq);
                }
                let copies = (0..).zip(fate.iter());
                self.operations.extend(
                    copies.map(|(copy, delay)| Operation::Message { time: time + delay, tie: tie(id, copy) }),
                );
            }
            Record::Timer { delay, .. } => {
                self.operations.push(Operation::Timer { time: time + delay, tie: tie(id, 0), node: node.0 });
            }
            Record::Receive { message, .. } => {
                self.operations.push(Operation::Pop { time });
                // What the client does: see `workloads/handlers.rs`.
                if let Rpc::Reply { seq, .. } = message
                    && self.waiting(node).take_if(|call| call == seq).is_some()
                {
                    self.operations.push(Operation::Cancel { node: node.0 });
                }
            }
            Record::Fire { .. } => self.operations.push(Operation::Pop { time }),
            _ => {}
        }
    }
}

impl Recording {
    fn waiting(&mut self, node: NodeId) -> &mut Option<u32> {
        let nodes = self.waiting.len().max(node.index() + 1);
        self.waiting.resize(nodes, None);
        &mut self.waiting[node.index()]
    }
}

fn tie(EventId(id): EventId, copy: u32) -> u32 {
    (id >> 32) as u32 ^ copy
}
