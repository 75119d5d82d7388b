//! Pending events over any order of keys: who may be cancelled, and when the keys of the cancelled are swept out.
//!
//! It does what the engine's `sim/src/queue/mod.rs` does, with slots of four bytes instead of a cache line, so that what is
//! measured is the order of the keys.

/// Time, tie and slot in 128 bits, as in the engine. No two that are pending have the same slot.
pub(crate) type Key = u128;

/// A queue of keys, the least of which comes out first.
pub(crate) trait Order: Default {
    /// Adds a key, of a time not before that of the last one that came out. Its tie may be anything.
    fn insert(&mut self, key: Key);
    /// Adds the key of a timer: probably later than those of other timers, and probably cancelled.
    #[inline]
    fn insert_timer(&mut self, key: Key) {
        self.insert(key);
    }
    /// Takes the least key out.
    fn pop(&mut self) -> Option<Key>;
    /// Takes out all keys that are not to be kept.
    fn retain(&mut self, keep: impl FnMut(Key) -> bool);
}

/// Below this many keys, dead ones are not worth sweeping out.
const SWEEP_MIN: usize = 64;
/// Stands in the slot of an event that was cancelled.
const CANCELLED: u32 = u32::MAX;

/// The pending events.
#[derive(Default)]
pub(crate) struct Pending<Q> {
    order: Q,
    slots: Vec<u32>,
    free: Vec<u32>,
    /// How many keys there are, those of cancelled events included.
    keys: usize,
    cancelled: usize,
}

/// The handle of a pending event.
#[derive(Clone, Copy)]
pub(crate) struct Handle(u32);

impl<Q: Order> Pending<Q> {
    #[inline]
    pub(crate) fn push(&mut self, time: u64, tie: u32, event: u32) -> Handle {
        let slot = self.fill(event);
        self.order.insert(pack(time, tie, slot));
        Handle(slot)
    }

    #[inline]
    pub(crate) fn push_timer(&mut self, time: u64, tie: u32, event: u32) -> Handle {
        let slot = self.fill(event);
        self.order.insert_timer(pack(time, tie, slot));
        Handle(slot)
    }

    /// A slot for this event.
    #[inline]
    fn fill(&mut self, event: u32) -> u32 {
        assert!(event != CANCELLED, "an event is a small number");
        self.keys += 1;
        if let Some(slot) = self.free.pop() {
            self.slots[slot as usize] = event;
            slot
        } else {
            self.slots.push(event);
            (self.slots.len() - 1) as u32
        }
    }

    #[inline]
    pub(crate) fn cancel(&mut self, Handle(slot): Handle) {
        let event = std::mem::replace(&mut self.slots[slot as usize], CANCELLED);
        assert!(event != CANCELLED, "a cancelled event was still pending");
        self.cancelled += 1;
        if self.cancelled * 2 > self.keys && self.keys > SWEEP_MIN {
            self.sweep();
        }
    }

    /// The earliest event, and its key.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<(Key, u32)> {
        loop {
            let key = self.order.pop()?;
            self.keys -= 1;
            let slot = key as u32;
            self.free.push(slot);
            match self.slots[slot as usize] {
                CANCELLED => self.cancelled -= 1,
                event => return Some((key, event)),
            }
        }
    }

    #[cold]
    fn sweep(&mut self) {
        let (slots, free) = (&self.slots, &mut self.free);
        let mut dead = Vec::with_capacity(self.cancelled);
        self.order.retain(|key| {
            let is_live = slots[key as u32 as usize] != CANCELLED;
            if !is_live {
                dead.push(key as u32);
            }
            is_live
        });
        // In an order that does not depend on where the keys were: slots are part of the keys to come.
        dead.sort_unstable();
        free.append(&mut dead);
        self.keys -= self.cancelled;
        self.cancelled = 0;
    }
}

pub(crate) const fn pack(time: u64, tie: u32, slot: u32) -> Key {
    ((time as Key) << 64) | ((tie as Key) << 32) | slot as Key
}

pub(crate) const fn time_of(key: Key) -> u64 {
    (key >> 64) as u64
}
