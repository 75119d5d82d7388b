//! The pending events: a slab, and a 4-ary heap of packed keys over it.
//!
//! A key is time, tie and slot in 128 bits, so that comparing two events touches neither of them, and the least of
//! four children is found without a branch. The heap would put events whose time and tie are both equal in the
//! order of their slots: where two such surface, their ids decide. The order never depends on insertion.

use crate::effect::fill;
use crate::id::EventId;
use crate::time::Nanos;

const ARITY: usize = 4;
/// Below this many keys, dead ones are not worth sweeping out.
const SWEEP_MIN: usize = 64;
/// No event has this key: there are fewer slots. Cheaper to hand on than an `Option`.
const NO_KEY: u128 = u128::MAX;
/// No event has this slot.
const NO_SLOT: u32 = u32::MAX;

/// One cache line, unless the protocol's messages are large.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(crate) struct Slot<T> {
    pub(crate) id: EventId,
    pub(crate) by: EventId,
    /// If it was put off: see [`Taken::turn`]. Of a free slot: the next free one.
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
    /// Padded with [`NO_KEY`], so that a key has four children or none.
    heap: Vec<u128>,
    /// How many keys there are, dead ones included.
    keys: usize,
    /// Whether the first key has been taken out. What is scheduled next most often is, and fits in its place at once.
    hole: bool,
    slots: Vec<Slot<T>>,
    /// The first free slot; each has the next one as its `turn`.
    free: u32,
    /// How many keys are of cancelled events.
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

impl Surfaced {
    pub(crate) const fn slot(self) -> SlotId {
        self.slot
    }
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
        Self { heap: Vec::new(), keys: 0, hole: false, slots: Vec::new(), free: NO_SLOT, cancelled: 0 }
    }

    pub(crate) fn reserve(&mut self, events: usize) {
        self.heap.reserve_exact(events + ARITY);
        self.slots.reserve_exact(events);
    }

    pub(crate) fn clear(&mut self) {
        self.heap.fill(NO_KEY);
        self.keys = 0;
        self.hole = false;
        self.free = NO_SLOT;
        self.cancelled = 0;
        for slot in (0..self.slots.len()).rev() {
            self.slots[slot].event = None;
            self.free_slot(SlotId(slot as u32));
        }
    }

    #[cfg(test)]
    fn is_empty(&self) -> bool {
        self.keys - usize::from(self.hole) == self.cancelled
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
        if self.free == NO_SLOT {
            self.grow();
        }
        let slot = self.free;
        let place = &mut self.slots[slot as usize];
        self.free = place.turn;
        place.id = id;
        place.by = by;
        place.turn = 0;
        fill(&mut place.event, event());
        self.insert_key(pack(time, tie, slot));
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
        if self.free == NO_SLOT {
            self.grow();
        }
        let slot = self.free;
        self.free = self.slots[slot as usize].turn;
        self.slots[slot as usize] = Slot { id, by, turn, event: Some(event) };
        Surfaced { time, slot: SlotId(slot) }
    }

    /// One more slot, which is free.
    #[cold]
    #[inline(never)]
    fn grow(&mut self) {
        let slot = u32::try_from(self.slots.len()).expect("fewer than 2^32 events are pending at once");
        assert!(slot < NO_SLOT, "fewer than 2^32 events are pending at once");
        self.slots.push(Slot { id: EventId::ROOT, by: EventId::ROOT, turn: self.free, event: None });
        self.free = slot;
    }

    #[inline(always)]
    fn insert_key(&mut self, key: u128) {
        if self.hole {
            self.hole = false;
            return match self.keys {
                1 => self.heap[0] = key,
                _ => self.sift_down(0, key),
            };
        }
        if self.keys == self.heap.len() {
            self.pad();
        }
        self.keys += 1;
        self.sift_up(self.keys - 1, key);
    }

    /// Makes room for the children of one more key; at first, for the first key.
    #[cold]
    #[inline(never)]
    fn pad(&mut self) {
        let more = if self.heap.is_empty() { 1 } else { ARITY };
        self.heap.resize(self.heap.len() + more, NO_KEY);
    }

    /// Cancels a pending event. Its key stays in the heap until it surfaces or too many are dead.
    #[inline]
    pub(crate) fn cancel(&mut self, SlotId(slot): SlotId) {
        let event = self.slots[slot as usize].event.take();
        assert!(event.is_some(), "a cancelled event was still pending");
        self.cancelled += 1;
        if self.cancelled * 2 > self.keys && self.keys > SWEEP_MIN {
            self.sweep();
        }
    }

    /// The earliest event, which is no longer pending but still in its place.
    #[inline(always)]
    pub(crate) fn pop(&mut self) -> Option<Surfaced> {
        loop {
            if self.hole {
                self.close_hole();
            }
            if self.keys == 0 {
                return None;
            }
            let key = self.pop_key();
            let slot = SlotId(key as u32);
            if self.slots[slot.0 as usize].event.is_some() {
                return Some(Surfaced { time: (key >> 64) as u64, slot });
            }
            self.free_slot(slot);
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
        self.free_slot(surfaced.slot);
    }

    #[inline(always)]
    fn free_slot(&mut self, SlotId(slot): SlotId) {
        self.slots[slot as usize].turn = self.free;
        self.free = slot;
    }

    /// Takes an event that has surfaced out of its place.
    pub(crate) fn release(&mut self, surfaced: Surfaced) -> Taken<T> {
        let slot = self.place(surfaced);
        let event = slot.event.take().expect("an event that has surfaced was not cancelled");
        let taken = Taken { time: surfaced.time, id: slot.id, by: slot.by, turn: slot.turn, event };
        self.free(surfaced);
        taken
    }

    /// Takes the least key out, and leaves a hole where it was.
    #[inline(always)]
    fn pop_key(&mut self) -> u128 {
        let key = self.heap[0];
        if self.keys > 1 && self.has_tied_child(key) {
            return self.pop_tied();
        }
        self.hole = true;
        key
    }

    /// Whether the next key, which is a child of the first, may have the time and tie of the first. Most often their times
    /// alone tell that it has not.
    #[inline(always)]
    fn has_tied_child(&self, first: u128) -> bool {
        let Some([_, a, b, c, d]) = self.heap.first_chunk::<5>() else { return false };
        let is_at_once = |key: &u128| key >> 64 == first >> 64;
        (is_at_once(a) | is_at_once(b) | is_at_once(c) | is_at_once(d))
            && [a, b, c, d].into_iter().any(|key| is_tied(*key, first))
    }

    #[inline(never)]
    fn close_hole(&mut self) {
        if self.hole {
            self.hole = false;
            self.remove_at(0);
        }
    }

    /// Takes out the key with the least id among those that have the time and tie of the first.
    #[cold]
    #[inline(never)]
    fn pop_tied(&mut self) -> u128 {
        let first = self.heap[0];
        let mut tied = Vec::new();
        while self.keys > 0 && is_tied(self.heap[0], first) {
            tied.push(self.heap[0]);
            self.remove_at(0);
        }
        let least = (0..tied.len()).min_by_key(|at| (self.slots[slot_of(tied[*at])].id, tied[*at]));
        let key = tied.swap_remove(least.expect("the first key is tied with itself"));
        for key in tied {
            self.insert_key(key);
        }
        key
    }

    /// Takes the pending event with this id, the earliest if there are several.
    pub(crate) fn take(&mut self, id: EventId) -> Option<Taken<T>> {
        self.surface(id).map(|surfaced| self.release(surfaced))
    }

    /// The same event, which is no longer pending but still in its place.
    pub(crate) fn surface(&mut self, id: EventId) -> Option<Surfaced> {
        self.close_hole();
        let (index, key) = self.heap[..self.keys]
            .iter()
            .copied()
            .enumerate()
            .filter(|(_, key)| {
                let slot = &self.slots[slot_of(*key)];
                slot.id == id && slot.event.is_some()
            })
            .min_by_key(|(_, key)| *key)?;
        self.remove_at(index);
        Some(Surfaced { time: (key >> 64) as u64, slot: SlotId(key as u32) })
    }

    /// Every pending event, in no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Nanos, EventId, &T)> {
        self.heap[..self.keys].iter().skip(usize::from(self.hole)).filter_map(|key| {
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
            if first >= self.keys {
                break;
            }
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
        self.keys -= 1;
        let last = std::mem::replace(&mut self.heap[self.keys], NO_KEY);
        if index == self.keys {
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
        self.close_hole();
        let mut heap = std::mem::take(&mut self.heap);
        heap.truncate(self.keys);
        heap.retain(|key| {
            let slot = SlotId(*key as u32);
            let live = self.slots[slot_of(*key)].event.is_some();
            if !live {
                self.free_slot(slot);
            }
            live
        });
        self.keys = heap.len();
        heap.resize(self.keys.saturating_sub(1).next_multiple_of(ARITY) + 1, NO_KEY);
        self.heap = heap;
        self.cancelled = 0;
        for index in (0..self.keys.div_ceil(ARITY)).rev() {
            self.sift_down(index, self.heap[index]);
        }
    }
}

/// The least of the four keys from `first` on, and where it is. There is no branch to mispredict: which of them is the
/// least is a matter of chance.
#[inline(always)]
fn least_child(heap: &[u128], first: usize) -> Option<(u128, usize)> {
    let [a, b, c, d] = heap.get(first..)?.first_chunk::<ARITY>()?;
    let (ab, at_ab) = if b < a { (b, 1) } else { (a, 0) };
    let (cd, at_cd) = if d < c { (d, 3) } else { (c, 2) };
    let (least, at) = if cd < ab { (cd, at_cd) } else { (ab, at_ab) };
    Some((*least, first + at))
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
                die = EventId::fold(die.wrapping_add(0x9e37_79b9_7f4a_7c15), die ^ 0xbf58_476d_1ce4_e5b9);
                die % bound
            };
            for step in 0..500_u64 {
                match roll(10) {
                    0..=4 => {
                        // Few times and fewer ties, so that ids must decide.
                        let (time, tie, id) = (
                            roll(20),
                            roll(2) as u32,
                            EventId(EventId::fold(step + 1, 0x9e37_79b9_7f4a_7c15)),
                        );
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
