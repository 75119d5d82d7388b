//! The pending events: a slab, and a 4-ary heap of packed keys over it.
//!
//! A key is time, tie and slot in 128 bits, so that comparing two events touches neither of them. Only when time
//! and tie are both equal are the ids asked: the order never depends on insertion.

use crate::id::EventId;
use crate::time::Nanos;

const ARITY: usize = 4;
/// Below this many keys, dead ones are not worth sweeping out.
const SWEEP_MIN: usize = 64;

#[derive(Clone, Debug)]
struct Slot<T> {
    id: EventId,
    by: EventId,
    deferred: bool,
    /// `None` if the event was cancelled or the slot is free.
    event: Option<T>,
}

/// An event taken out of the queue.
#[derive(Clone, Debug)]
pub(crate) struct Taken<T> {
    pub(crate) time: Nanos,
    pub(crate) id: EventId,
    pub(crate) by: EventId,
    pub(crate) deferred: bool,
    pub(crate) event: T,
}

#[derive(Clone, Debug)]
pub(crate) struct Queue<T> {
    heap: Vec<u128>,
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
    cancelled: usize,
}

/// The handle of a pending event, valid until it is taken or cancelled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SlotId(u32);

const fn pack(time: Nanos, tie: u32, slot: u32) -> u128 {
    ((time as u128) << 64) | ((tie as u128) << 32) | slot as u128
}

const fn slot_of(key: u128) -> usize {
    key as u32 as usize
}

impl<T> Queue<T> {
    pub(crate) const fn new() -> Self {
        Self { heap: Vec::new(), slots: Vec::new(), free: Vec::new(), cancelled: 0 }
    }

    pub(crate) fn reserve(&mut self, events: usize) {
        self.heap.reserve_exact(events);
        self.slots.reserve_exact(events);
    }

    pub(crate) fn clear(&mut self) {
        self.heap.clear();
        self.slots.clear();
        self.free.clear();
        self.cancelled = 0;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.heap.len() == self.cancelled
    }

    #[inline]
    pub(crate) fn push(&mut self, time: Nanos, tie: u32, id: EventId, by: EventId, event: T) -> SlotId {
        self.insert(time, tie, Slot { id, by, deferred: false, event: Some(event) })
    }

    /// Puts an event that was taken back, for later.
    pub(crate) fn defer(&mut self, time: Nanos, tie: u32, taken: Taken<T>) -> SlotId {
        let Taken { id, by, event, .. } = taken;
        self.insert(time, tie, Slot { id, by, deferred: true, event: Some(event) })
    }

    #[inline]
    fn insert(&mut self, time: Nanos, tie: u32, entry: Slot<T>) -> SlotId {
        let slot = if let Some(slot) = self.free.pop() {
            self.slots[slot as usize] = entry;
            slot
        } else {
            let slot = u32::try_from(self.slots.len()).expect("at most 2^32 events are pending at once");
            self.slots.push(entry);
            slot
        };
        self.heap.push(0);
        self.sift_up(self.heap.len() - 1, pack(time, tie, slot));
        SlotId(slot)
    }

    /// Cancels a pending event. Its key stays in the heap until it surfaces or too many are dead.
    #[inline]
    pub(crate) fn cancel(&mut self, SlotId(slot): SlotId) {
        let event = self.slots[slot as usize].event.take();
        assert!(event.is_some(), "a cancelled event was still pending");
        self.cancelled += 1;
        if self.cancelled * 2 > self.heap.len() && self.heap.len() > SWEEP_MIN {
            self.sweep();
        }
    }

    #[inline]
    pub(crate) fn pop(&mut self) -> Option<Taken<T>> {
        loop {
            let key = *self.heap.first()?;
            self.remove_at(0);
            if let Some(taken) = self.release(key) {
                return Some(taken);
            }
            self.cancelled -= 1;
        }
    }

    /// Takes the pending event with this id, the earliest if there are several.
    pub(crate) fn take(&mut self, id: EventId) -> Option<Taken<T>> {
        let (index, key) = self
            .heap
            .iter()
            .copied()
            .enumerate()
            .filter(|(_, key)| {
                let slot = &self.slots[slot_of(*key)];
                slot.id == id && slot.event.is_some()
            })
            .min_by_key(|(_, key)| *key)?;
        self.remove_at(index);
        self.release(key)
    }

    /// Every pending event, in no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Nanos, EventId, &T)> {
        self.heap.iter().filter_map(|key| {
            let slot = &self.slots[slot_of(*key)];
            slot.event.as_ref().map(|event| ((key >> 64) as u64, slot.id, event))
        })
    }

    #[inline(always)]
    fn release(&mut self, key: u128) -> Option<Taken<T>> {
        let index = slot_of(key);
        self.free.push(index as u32);
        let slot = &mut self.slots[index];
        let event = slot.event.take()?;
        Some(Taken { time: (key >> 64) as u64, id: slot.id, by: slot.by, deferred: slot.deferred, event })
    }

    #[inline(always)]
    fn before(&self, a: u128, b: u128) -> bool {
        if (a ^ b) >> 32 != 0 { a < b } else { self.before_by_id(a, b) }
    }

    #[cold]
    fn before_by_id(&self, a: u128, b: u128) -> bool {
        self.slots[slot_of(a)].id < self.slots[slot_of(b)].id
    }

    #[inline(always)]
    fn sift_up(&mut self, mut index: usize, key: u128) {
        while index > 0 {
            let parent = (index - 1) / ARITY;
            if !self.before(key, self.heap[parent]) {
                break;
            }
            self.heap[index] = self.heap[parent];
            index = parent;
        }
        self.heap[index] = key;
    }

    #[inline(always)]
    fn sift_down(&mut self, mut index: usize, key: u128) {
        let len = self.heap.len();
        loop {
            let first = index * ARITY + 1;
            if first >= len {
                break;
            }
            let mut least = first;
            for child in first + 1..(first + ARITY).min(len) {
                if self.before(self.heap[child], self.heap[least]) {
                    least = child;
                }
            }
            if !self.before(self.heap[least], key) {
                break;
            }
            self.heap[index] = self.heap[least];
            index = least;
        }
        self.heap[index] = key;
    }

    #[inline(always)]
    fn remove_at(&mut self, index: usize) {
        let last = self.heap.pop().expect("the heap has the key that is removed");
        if index == self.heap.len() {
            return;
        }
        if index > 0 && self.before(last, self.heap[(index - 1) / ARITY]) {
            self.sift_up(index, last);
        } else {
            self.sift_down(index, last);
        }
    }

    #[cold]
    fn sweep(&mut self) {
        let mut heap = std::mem::take(&mut self.heap);
        heap.retain(|key| {
            let live = self.slots[slot_of(*key)].event.is_some();
            if !live {
                self.free.push(slot_of(*key) as u32);
            }
            live
        });
        self.heap = heap;
        self.cancelled = 0;
        for index in (0..self.heap.len().div_ceil(ARITY)).rev() {
            self.sift_down(index, self.heap[index]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Random pushes, cancels, takes and pops, against a sorted set.
    #[test]
    fn it_agrees_with_a_sorted_set() {
        for seed in 0..200_u64 {
            let mut queue = Queue::new();
            let mut model: BTreeSet<(u64, u32, EventId)> = BTreeSet::new();
            let mut handles = Vec::new();
            let mut die = seed;
            let mut roll = |bound: u64| {
                die = EventId::mix(die.wrapping_add(0x9e37_79b9_7f4a_7c15));
                die % bound
            };
            for step in 0..500_u64 {
                match roll(10) {
                    0..=4 => {
                        // Few times and fewer ties, so that ids must decide.
                        let (time, tie, id) = (roll(20), roll(2) as u32, EventId(EventId::mix(step)));
                        handles.push((queue.push(time, tie, id, EventId::ROOT, step), (time, tie, id)));
                        model.insert((time, tie, id));
                    }
                    5..=7 if !handles.is_empty() => {
                        let (slot, key) = handles.swap_remove(roll(handles.len() as u64) as usize);
                        queue.cancel(slot);
                        assert!(model.remove(&key));
                    }
                    8 if !handles.is_empty() => {
                        let (_, key) = handles.swap_remove(roll(handles.len() as u64) as usize);
                        assert_eq!(queue.take(key.2).unwrap().time, key.0);
                        assert!(model.remove(&key));
                    }
                    _ => {
                        let taken = queue.pop();
                        let expected = model.pop_first();
                        assert_eq!(taken.as_ref().map(|t| (t.time, t.id)), expected.map(|e| (e.0, e.2)));
                        handles.retain(|(_, key)| Some(*key) != expected);
                    }
                }
                assert_eq!(queue.is_empty(), model.is_empty());
                assert_eq!(queue.iter().count(), model.len());
            }
        }
    }
}
