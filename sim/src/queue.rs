//! The pending events: a slab, and a 4-ary heap of packed keys over it.
//!
//! A key is time, tie and slot in 128 bits, so that comparing two events touches neither of them, and the least of
//! four children is found without a branch. The heap would put events whose time and tie are both equal in the
//! order of their slots: where two such surface, they are taken out together and handed out by id. The order never
//! depends on insertion.

use std::cmp::Reverse;

use crate::id::EventId;
use crate::time::Nanos;

const ARITY: usize = 4;
/// Below this many keys, dead ones are not worth sweeping out.
const SWEEP_MIN: usize = 64;
/// No event has this key: there are fewer slots. Cheaper to hand on than an `Option`.
const NO_KEY: u128 = u128::MAX;

/// One cache line, unless the protocol's messages are large.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(crate) struct Slot<T> {
    pub(crate) id: EventId,
    pub(crate) by: EventId,
    turn: u32,
    /// `None` if the event was cancelled or taken, or the slot is free.
    pub(crate) event: Option<T>,
}

/// An event taken out of the queue.
#[derive(Clone, Debug)]
pub(crate) struct Taken<T> {
    pub(crate) time: Nanos,
    pub(crate) id: EventId,
    pub(crate) by: EventId,
    /// If it was put off: its place among those put off to the same end; 0 if it never was.
    pub(crate) turn: u32,
    pub(crate) event: T,
}

#[derive(Clone, Debug)]
pub(crate) struct Queue<T> {
    heap: Vec<u128>,
    /// Keys of one time and tie that have left the heap, the greatest id first.
    tied: Vec<u128>,
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
    /// How many keys, in the heap or tied, are of cancelled events.
    cancelled: usize,
}

/// The handle of a pending event, valid until it is taken or cancelled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SlotId(u32);

/// An event that is no longer pending and still in its place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Surfaced {
    pub(crate) time: Nanos,
    slot: SlotId,
}

const fn pack(time: Nanos, tie: u32, slot: u32) -> u128 {
    ((time as u128) << 64) | ((tie as u128) << 32) | slot as u128
}

const fn slot_of(key: u128) -> usize {
    key as u32 as usize
}

/// Whether two events have the same time and the same tie, so that their ids must decide.
#[inline(always)]
const fn is_tied(a: u128, b: u128) -> bool {
    (a ^ b) >> 32 == 0
}

impl<T> Queue<T> {
    pub(crate) const fn new() -> Self {
        Self { heap: Vec::new(), tied: Vec::new(), slots: Vec::new(), free: Vec::new(), cancelled: 0 }
    }

    pub(crate) fn reserve(&mut self, events: usize) {
        self.heap.reserve_exact(events);
        self.slots.reserve_exact(events);
    }

    pub(crate) fn clear(&mut self) {
        self.heap.clear();
        self.tied.clear();
        self.slots.clear();
        self.free.clear();
        self.cancelled = 0;
    }

    #[cfg(test)]
    fn is_empty(&self) -> bool {
        self.heap.len() + self.tied.len() == self.cancelled
    }

    /// Makes an event, in the place where it will be found: moved about as a value it would cost as much as the heap.
    #[inline(always)]
    pub(crate) fn push(
        &mut self,
        time: Nanos,
        tie: u32,
        id: EventId,
        by: EventId,
        event: impl FnOnce() -> T,
    ) -> SlotId {
        let slot = self.free.pop().unwrap_or_else(|| self.grow());
        self.insert_key(pack(time, tie, slot));
        let place = &mut self.slots[slot as usize];
        place.id = id;
        place.by = by;
        place.turn = 0;
        place.event = Some(event());
        SlotId(slot)
    }

    /// Puts an event that was taken back, for later.
    pub(crate) fn defer(&mut self, time: Nanos, tie: u32, taken: Taken<T>) -> SlotId {
        let Surfaced { slot, .. } = self.put_aside(taken);
        self.insert_key(pack(time, tie, slot.0));
        slot
    }

    /// Puts an event that was taken back as if it had just surfaced.
    pub(crate) fn put_aside(&mut self, taken: Taken<T>) -> Surfaced {
        let Taken { time, id, by, turn, event } = taken;
        let slot = self.free.pop().unwrap_or_else(|| self.grow());
        self.slots[slot as usize] = Slot { id, by, turn, event: Some(event) };
        Surfaced { time, slot: SlotId(slot) }
    }

    /// One more slot, which is empty.
    #[cold]
    #[inline(never)]
    fn grow(&mut self) -> u32 {
        let slot = u32::try_from(self.slots.len()).expect("at most 2^32 events are pending at once");
        self.slots.push(Slot { id: EventId::ROOT, by: EventId::ROOT, turn: 0, event: None });
        slot
    }

    #[inline(always)]
    fn insert_key(&mut self, key: u128) {
        self.heap.push(key);
        self.sift_up(self.heap.len() - 1, key);
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

    /// The earliest event, which is no longer pending but still in its place.
    #[inline(always)]
    pub(crate) fn pop(&mut self) -> Option<Surfaced> {
        loop {
            let key = self.pop_key();
            if key == NO_KEY {
                return None;
            }
            let index = slot_of(key);
            if self.slots[index].event.is_some() {
                return Some(Surfaced { time: (key >> 64) as u64, slot: SlotId(index as u32) });
            }
            self.free.push(index as u32);
            self.cancelled -= 1;
        }
    }

    /// The place of an event that has surfaced. What is in it is to be taken, and the slot to be freed.
    #[inline(always)]
    pub(crate) fn place(&mut self, surfaced: Surfaced) -> &mut Slot<T> {
        &mut self.slots[surfaced.slot.0 as usize]
    }

    /// Frees the slot of an event that has surfaced and whose content was taken.
    #[inline(always)]
    pub(crate) fn free(&mut self, surfaced: Surfaced) {
        debug_assert!(self.place(surfaced).event.is_none(), "a free slot is empty");
        self.free.push(surfaced.slot.0);
    }

    /// Takes an event that has surfaced out of its place.
    pub(crate) fn release(&mut self, surfaced: Surfaced) -> Taken<T> {
        let slot = self.place(surfaced);
        let event = slot.event.take().expect("an event that has surfaced was not cancelled");
        let taken = Taken { time: surfaced.time, id: slot.id, by: slot.by, turn: slot.turn, event };
        self.free(surfaced);
        taken
    }

    #[inline(always)]
    fn pop_key(&mut self) -> u128 {
        if !self.tied.is_empty() {
            return self.pop_tied();
        }
        let Some(&key) = self.heap.first() else { return NO_KEY };
        self.remove_at(0);
        if self.heap.first().is_some_and(|next| is_tied(*next, key)) {
            self.tied.push(key);
            return self.pop_tied();
        }
        key
    }

    /// The next key, if it has the time and tie of those that came out with it, or if there are such.
    #[cold]
    #[inline(never)]
    fn pop_tied(&mut self) -> u128 {
        let first =
            self.tied.last().copied().into_iter().chain(self.heap.first().copied()).min().unwrap_or(NO_KEY);
        if self.tied.last().is_some_and(|tied| !is_tied(*tied, first)) {
            // Something that was scheduled since then comes before them.
            self.untie();
        }
        let known = self.tied.len();
        while let Some(next) = self.heap.first().copied().filter(|next| is_tied(*next, first)) {
            self.remove_at(0);
            self.tied.push(next);
        }
        if self.tied.len() > known {
            let slots = &self.slots;
            self.tied.sort_unstable_by_key(|key| Reverse((slots[slot_of(*key)].id, *key)));
        }
        self.tied.pop().unwrap_or(NO_KEY)
    }

    /// Puts the tied keys back into the heap.
    fn untie(&mut self) {
        while let Some(key) = self.tied.pop() {
            self.insert_key(key);
        }
    }

    /// Takes the pending event with this id, the earliest if there are several.
    pub(crate) fn take(&mut self, id: EventId) -> Option<Taken<T>> {
        self.untie();
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
        Some(self.release(Surfaced { time: (key >> 64) as u64, slot: SlotId(slot_of(key) as u32) }))
    }

    /// Every pending event, in no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Nanos, EventId, &T)> {
        self.heap.iter().chain(&self.tied).filter_map(|key| {
            let slot = &self.slots[slot_of(*key)];
            slot.event.as_ref().map(|event| ((key >> 64) as u64, slot.id, event))
        })
    }

    #[inline(always)]
    fn sift_up(&mut self, mut index: usize, key: u128) {
        while index > 0 {
            let parent = (index - 1) / ARITY;
            if key >= self.heap[parent] {
                break;
            }
            self.heap[index] = self.heap[parent];
            index = parent;
        }
        self.heap[index] = key;
    }

    #[inline(always)]
    fn sift_down(&mut self, mut index: usize, key: u128) {
        let heap = self.heap.as_mut_slice();
        loop {
            let first = index * ARITY + 1;
            let Some((least, at)) = least_child(heap, first) else { break };
            if least >= key {
                break;
            }
            heap[index] = least;
            index = at;
        }
        heap[index] = key;
    }

    #[inline(always)]
    fn remove_at(&mut self, index: usize) {
        let last = self.heap.pop().expect("the heap has the key that is removed");
        if index == self.heap.len() {
            return;
        }
        if index > 0 && last < self.heap[(index - 1) / ARITY] {
            self.sift_up(index, last);
        } else {
            self.sift_down(index, last);
        }
    }

    #[cold]
    fn sweep(&mut self) {
        let mut heap = std::mem::take(&mut self.heap);
        heap.append(&mut self.tied);
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

/// The least of the up to four keys from `first` on, and where it is. With four there is no branch to mispredict:
/// which of them is the least is a matter of chance.
#[inline(always)]
fn least_child(heap: &[u128], first: usize) -> Option<(u128, usize)> {
    let children = heap.get(first..)?;
    if let Some([a, b, c, d]) = children.first_chunk::<ARITY>() {
        let (ab, at_ab) = if b < a { (b, 1) } else { (a, 0) };
        let (cd, at_cd) = if d < c { (d, 3) } else { (c, 2) };
        let (least, at) = if cd < ab { (cd, at_cd) } else { (ab, at_ab) };
        return Some((*least, first + at));
    }
    (first..).zip(children).map(|(at, key)| (*key, at)).min()
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
                        handles.push((queue.push(time, tie, id, EventId::ROOT, || step), (time, tie, id)));
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
                        let taken = queue.pop().map(|surfaced| queue.release(surfaced));
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
