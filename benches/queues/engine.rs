//! The engine's own: its files, compiled a second time here, as they are no part of what it offers.

use std::collections::VecDeque;

use crate::pending::{Key, Order, time_of};

#[allow(dead_code, reason = "exploration, and what asks memory beforehand, are not measured")]
#[path = "../../sim/src/queue/heap.rs"]
mod heap;
#[allow(dead_code, reason = "exploration, and what asks memory beforehand, are not measured")]
#[path = "../../sim/src/queue/keys.rs"]
mod keys;
#[path = "../../sim/src/queue/ladder.rs"]
mod ladder;

/// Measured as in a run: see `sim/src/queue/mod.rs`.
const FEW_ARE_MANY: bool = false;

/// The heap alone, however many keys there are.
pub(crate) struct FourAry(heap::Heap);

/// What the engine has: the heap as long as keys are few, beyond that a ladder.
pub(crate) struct Keys(keys::Keys);

/// The heap, and beside it a list for timers that come in ascending order, as those of equal length do.
pub(crate) struct FourAryAndFifo {
    heap: heap::Heap,
    /// Ascending: a timer that is not after the last one goes to the heap.
    fifo: VecDeque<Key>,
}

/// Whether two keys differ in the slot alone.
const fn is_tied(a: Key, b: Key) -> bool {
    (a ^ b) >> 32 == 0
}

impl Default for FourAry {
    fn default() -> Self {
        Self(heap::Heap::new())
    }
}

impl Order for FourAry {
    #[inline]
    fn insert(&mut self, key: Key) {
        self.0.insert(key);
    }

    #[inline]
    fn pop(&mut self) -> Option<Key> {
        self.0.close_hole();
        if self.0.len() == 0 {
            return None;
        }
        let key = self.0.first();
        self.0.leave_hole();
        Some(key)
    }

    fn retain(&mut self, keep: impl FnMut(Key) -> bool) {
        retain(&mut self.0, keep);
    }
}

impl Default for Keys {
    fn default() -> Self {
        Self(keys::Keys::new())
    }
}

impl Order for Keys {
    #[inline]
    fn insert(&mut self, key: Key) {
        self.0.insert(key);
    }

    #[inline]
    fn pop(&mut self) -> Option<Key> {
        // Events that differ in their slots alone are here in the order of these; in the engine their ids decide.
        self.0.pop(|key| key)
    }

    fn retain(&mut self, keep: impl FnMut(Key) -> bool) {
        self.0.retain(keep);
    }
}

impl Default for FourAryAndFifo {
    fn default() -> Self {
        Self { heap: heap::Heap::new(), fifo: VecDeque::new() }
    }
}

impl Order for FourAryAndFifo {
    #[inline]
    fn insert(&mut self, key: Key) {
        self.heap.insert(key);
    }

    #[inline]
    fn insert_timer(&mut self, key: Key) {
        if self.fifo.back().is_none_or(|last| *last < key) {
            self.fifo.push_back(key);
        } else {
            self.heap.insert(key);
        }
    }

    #[inline]
    fn pop(&mut self) -> Option<Key> {
        self.heap.close_hole();
        if self.heap.len() == 0 {
            return self.fifo.pop_front();
        }
        let key = self.heap.first();
        if self.fifo.front().is_some_and(|first| *first < key) {
            return self.fifo.pop_front();
        }
        self.heap.leave_hole();
        Some(key)
    }

    fn retain(&mut self, mut keep: impl FnMut(Key) -> bool) {
        retain(&mut self.heap, &mut keep);
        self.fifo.retain(|key| keep(*key));
    }
}

fn retain(heap: &mut heap::Heap, mut keep: impl FnMut(Key) -> bool) {
    for key in heap.drain() {
        if keep(key) {
            heap.insert(key);
        }
    }
}
