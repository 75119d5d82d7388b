//! What clients saw: calls, results, and the order between them.

use sim::{EventId, Message, Nanos, NodeId, Observer, OpId, Record, Stamp, Status};

/// One operation of one client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Operation<N> {
    /// Its id, which is also that of its invocation.
    pub id: OpId,
    /// The client.
    pub node: NodeId,
    /// When it began.
    pub invoked: Nanos,
    /// What was asked.
    pub call: N,
    /// How it ended; `None` if it never did, or its client crashed first.
    pub end: Option<Ended<N>>,
}

/// How an operation ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ended<N> {
    /// When.
    pub at: Nanos,
    /// The event that ended it.
    pub id: EventId,
    /// How.
    pub status: Status,
    /// What the client was told.
    pub result: N,
}

impl<N> Operation<N> {
    /// The result, if the operation took effect for certain.
    pub fn acknowledged(&self) -> Option<&N> {
        self.end.as_ref().filter(|end| end.status == Status::Ok).map(|end| &end.result)
    }

    /// Whether nobody knows whether it took effect.
    pub fn is_unknown(&self) -> bool {
        self.end.as_ref().is_none_or(|end| end.status == Status::Unknown)
    }
}

/// All operations of a run in the order they began, and all notes in the order they were left.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct History<N> {
    /// The operations.
    pub operations: Vec<Operation<N>>,
    /// The notes, each with where and when.
    pub notes: Vec<(Stamp, N)>,
    /// How many operations ended well.
    pub completed: u64,
    /// How many messages were sent.
    pub messages: u64,
    /// How many bytes they had.
    pub bytes: u64,
}

impl<N> Default for History<N> {
    fn default() -> Self {
        Self { operations: Vec::new(), notes: Vec::new(), completed: 0, messages: 0, bytes: 0 }
    }
}

impl<N> History<N> {
    pub(crate) fn clear(&mut self) {
        self.operations.clear();
        self.notes.clear();
        (self.completed, self.messages, self.bytes) = (0, 0, 0);
    }

    /// The notes alone.
    pub fn notes(&self) -> impl Iterator<Item = &N> {
        self.notes.iter().map(|(_, note)| note)
    }
}

impl<M: Message> Observer<M> for History<M::Note> {
    // Where it is known of which kind a record is, nothing is left of this for most.
    #[inline(always)]
    fn observe(&mut self, stamp: Stamp, record: &Record<'_, M>) {
        if let Record::Invoke { .. } | Record::Return { .. } | Record::Send { .. } | Record::Note { .. } =
            record
        {
            self.keep(stamp, record);
        }
    }
}

impl<N> History<N> {
    fn keep<M: Message<Note = N>>(&mut self, stamp: Stamp, record: &Record<'_, M>)
    where
        N: Clone,
    {
        match *record {
            Record::Invoke { note } => self.operations.push(Operation {
                id: OpId(stamp.id),
                node: stamp.node,
                invoked: stamp.time,
                call: note.clone(),
                end: None,
            }),
            Record::Return { of, status, note } => {
                let operation = self.operations.iter_mut().rev().find(|operation| operation.id == of);
                let operation = operation.expect("an operation that returns was invoked");
                self.completed += u64::from(status == Status::Ok);
                operation.end = Some(Ended { at: stamp.time, id: stamp.id, status, result: note.clone() });
            }
            Record::Send { message, .. } => {
                self.messages += 1;
                self.bytes += u64::from(message.size());
            }
            Record::Note { note } => self.notes.push((stamp, note.clone())),
            _ => {}
        }
    }
}
