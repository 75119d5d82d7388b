//! What a handler asks for.
//!
//! Effects are values, recorded in order and applied in order by the world, in one place. A crash in the
//! middle of a handler is therefore a prefix of them.

use crate::id::{EventId, Label, NodeId};
use crate::message::Message;
use crate::observe::TaskAction;
use crate::stream::ConnectionId;
use crate::time::Nanos;

/// An operation that the outside world began: the id of its invocation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct OpId(pub EventId);

/// How an operation ended.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Status {
    /// It took effect.
    Ok,
    /// It certainly did not take effect.
    Fail,
    /// The caller does not know.
    Unknown,
}

/// One thing a handler asked for.
#[derive(Clone, Debug)]
#[repr(u8)]
pub enum Effect<M: Message> {
    /// Send a datagram.
    Send {
        /// To whom.
        to: NodeId,
        /// What; `None` once it is under way.
        message: Option<M>,
    },
    /// Set the timer of this name, in place of one of the same name that is still pending.
    SetTimer {
        /// Its name.
        label: Label,
        /// The code of that name: known where the word is a constant, not where this is applied.
        code: u64,
        /// In how much time by the node's own clock it fires.
        delay: Nanos,
    },
    /// Cancel the timer of this name, if it is pending.
    CancelTimer {
        /// The code of its name.
        code: u64,
    },
    /// Replace a file.
    Write {
        /// The file.
        file: Label,
        /// Its new content.
        bytes: Vec<u8>,
    },
    /// Append to a file.
    Append {
        /// The file.
        file: Label,
        /// What is added at its end.
        bytes: Vec<u8>,
    },
    /// Remove a file.
    Remove {
        /// The file.
        file: Label,
    },
    /// Make everything written so far durable, and say so by `on_sync`.
    Sync {
        /// Its name.
        label: Label,
    },
    /// An operation begins.
    Invoke {
        /// The call.
        note: M::Note,
    },
    /// An operation ended.
    Return {
        /// Which.
        of: OpId,
        /// How.
        status: Status,
        /// The result.
        note: M::Note,
    },
    /// Tell the judges something.
    Note {
        /// What.
        note: M::Note,
    },
    /// A property of the process itself is violated.
    Violate {
        /// The property.
        property: &'static str,
        /// In words.
        detail: String,
    },
    /// A property of the process itself is violated, and the run goes on.
    Find {
        /// The property.
        property: &'static str,
        /// In words.
        detail: String,
        /// The events that show it.
        evidence: Vec<EventId>,
    },
    /// Open a connection.
    Connect {
        /// With whom.
        peer: NodeId,
    },
    /// Send on a connection.
    StreamSend {
        /// Which.
        connection: ConnectionId,
        /// What.
        message: M,
    },
    /// Close a connection.
    StreamClose {
        /// Which.
        connection: ConnectionId,
    },
    /// Something happened to a task.
    Task {
        /// Its name.
        label: Label,
        /// What.
        action: TaskAction,
    },
}

/// An effect with its identity.
#[derive(Clone, Debug)]
pub(crate) struct Recorded<M: Message> {
    pub(crate) id: EventId,
    pub(crate) by: EventId,
    /// What it has in common with others of the handler that only their ordinals tell apart; 0 if it has no ordinal.
    pub(crate) like: u64,
    /// `None` once it was taken to be applied.
    pub(crate) effect: Option<Effect<M>>,
}

/// What one handler has recorded. An effect is made in the place where it will be applied: moved about as a value it
/// would cost as much as all else about it.
#[derive(Clone, Debug)]
pub(crate) struct Effects<M: Message> {
    /// All beyond `len` are empty, and kept for their memory.
    places: Vec<Recorded<M>>,
    len: usize,
}

impl<M: Message> Effects<M> {
    /// Up to so many effects, a search among them finds those alike sooner than a table would.
    const FEW: usize = 16;

    pub(crate) const fn new() -> Self {
        Self { places: Vec::new(), len: 0 }
    }

    #[inline(always)]
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    #[inline(always)]
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Recorded<M>> {
        self.places.iter().take(self.len)
    }

    /// How many are of this like, unless a search would take long.
    #[inline(always)]
    pub(crate) fn alike(&self, like: u64) -> Option<u32> {
        match self.len {
            0 => Some(0),
            1..Self::FEW => Some(self.iter().map(|recorded| u32::from(recorded.like == like)).sum()),
            _ => None,
        }
    }

    /// The place of the first effect, if none was recorded yet and there is room for one.
    #[inline(always)]
    pub(crate) fn first_place(&mut self) -> Option<Place<'_, M>> {
        if self.len > 0 {
            return None;
        }
        let recorded = self.places.first_mut()?;
        Some(Place { recorded, len: &mut self.len })
    }

    /// The place of the next effect.
    #[inline(always)]
    pub(crate) fn place(&mut self) -> Place<'_, M> {
        if self.len >= self.places.len() {
            self.grow();
        }
        Place { recorded: &mut self.places[self.len], len: &mut self.len }
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self) {
        self.places.push(Recorded { id: EventId::ROOT, by: EventId::ROOT, like: 0, effect: None });
    }

    /// The effect with this index, to be taken out of its place.
    #[inline(always)]
    pub(crate) fn at(&mut self, index: usize) -> &mut Recorded<M> {
        &mut self.places[index]
    }

    /// Forgets all that were recorded after the first `len`.
    pub(crate) fn truncate(&mut self, len: usize) {
        while self.len > len {
            self.len -= 1;
            self.places[self.len].effect = None;
        }
    }

    /// To be called when all have been taken.
    #[inline(always)]
    pub(crate) fn end(&mut self) {
        debug_assert!(self.iter().all(|recorded| recorded.effect.is_none()), "every effect was applied");
        self.len = 0;
    }
}

/// Where an effect belongs.
pub(crate) struct Place<'a, M: Message> {
    recorded: &'a mut Recorded<M>,
    len: &'a mut usize,
}

impl<M: Message> Place<'_, M> {
    #[inline(always)]
    pub(crate) fn fill(self, id: EventId, by: EventId, like: u64, effect: impl FnOnce() -> Effect<M>) {
        *self.len += 1;
        self.recorded.id = id;
        self.recorded.by = by;
        self.recorded.like = like;
        fill(&mut self.recorded.effect, effect());
    }
}

/// Fills a place that is empty. An assignment would look whether there is something to drop.
#[inline(always)]
pub(crate) fn fill<T>(place: &mut Option<T>, value: T) {
    debug_assert!(place.is_none(), "a place is empty before it is filled");
    std::mem::forget(place.replace(value));
}
