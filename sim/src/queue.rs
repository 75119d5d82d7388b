//! The pending events: a slab, and a 4-ary heap of packed keys over it.
//!
//! A key is time, tie and slot in 128 bits, so that comparing two events touches neither of them, and the least of
//! four children is found without a branch; the four share a line of the cache. The heap would put events whose time and tie are both equal in the
//! order of their slots: where two such surface, their ids decide. The order never depends on insertion.

use prefetch_index::prefetch_index;

use crate::effect::fill;
use crate::id::EventId;
use crate::time::Nanos;

const ARITY: usize = 4;
/// Where the first key is: the last of the first group, whose others stay empty. The children of the key at `place` are
/// group `place - 2`, and the parent of those in group `g` is at `g + 2`.
const ROOT: usize = ARITY - 1;
/// The groups from here on may not be in the cache.
const DEEP: usize = 1_024;
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

/// Four keys with the same parent.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Group([u128; ARITY]);

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
    heap: Vec<Group>,
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
        self.heap.reserve_exact(events / ARITY + 2);
        self.slots.reserve_exact(events);
    }

    pub(crate) fn clear(&mut self) {
        self.heap.fill(Group::EMPTY);
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
                1 => *self.key_mut(ROOT) = key,
                _ => self.sift_down(ROOT, key),
            };
        }
        let place = ROOT + self.keys;
        if place / ARITY == self.heap.len() {
            self.heap.push(Group::EMPTY);
        }
        self.keys += 1;
        self.sift_up(place, key);
    }

    #[inline(always)]
    fn key(&self, place: usize) -> u128 {
        self.heap[place / ARITY].0[place % ARITY]
    }

    #[inline(always)]
    fn key_mut(&mut self, place: usize) -> &mut u128 {
        &mut self.heap[place / ARITY].0[place % ARITY]
    }

    /// Every key, the first one also if it has been taken out.
    fn keys(&self) -> impl Iterator<Item = u128> {
        self.heap.iter().flat_map(|group| group.0).skip(ROOT).take(self.keys)
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

    /// While the first event is handled: the one that is probably the next, then one of those that will then be near the
    /// front, and so on. Guesses, as earlier ones may be scheduled meanwhile.
    #[inline(always)]
    pub(crate) fn upcoming<const N: usize>(&self) -> [usize; N] {
        let mut place = ROOT;
        [(); N].map(|()| {
            let Some((key, below)) = self.least_below(place) else { return usize::MAX };
            place = below;
            slot_of(key)
        })
    }

    /// The event in an upcoming slot.
    #[inline(always)]
    pub(crate) fn event_in(&self, slot: usize) -> Option<&T> {
        self.slots.get(slot)?.event.as_ref()
    }

    /// Asks memory for an upcoming slot.
    #[inline(always)]
    pub(crate) fn fetch_slot(&self, slot: usize) {
        prefetch_index(&self.slots, slot);
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
        let key = self.key(ROOT);
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
        let Some(Group([a, b, c, d])) = self.heap.get(ROOT - 2).copied() else { return false };
        let is_at_once = |key: u128| key >> 64 == first >> 64;
        (is_at_once(a) | is_at_once(b) | is_at_once(c) | is_at_once(d))
            && [a, b, c, d].into_iter().any(|key| is_tied(key, first))
    }

    #[inline(never)]
    fn close_hole(&mut self) {
        if self.hole {
            self.hole = false;
            self.remove_at(ROOT);
        }
    }

    /// Takes out the key with the least id among those that have the time and tie of the first.
    #[cold]
    #[inline(never)]
    fn pop_tied(&mut self) -> u128 {
        let first = self.key(ROOT);
        let mut tied = Vec::new();
        while self.keys > 0 && is_tied(self.key(ROOT), first) {
            tied.push(self.key(ROOT));
            self.remove_at(ROOT);
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
        let (mut place, mut key) = (ROOT, NO_KEY);
        for other in ROOT..ROOT + self.keys {
            let slot = &self.slots[slot_of(self.key(other))];
            if slot.id == id && slot.event.is_some() && self.key(other) < key {
                (place, key) = (other, self.key(other));
            }
        }
        if key == NO_KEY {
            return None;
        }
        self.remove_at(place);
        Some(Surfaced { time: (key >> 64) as u64, slot: SlotId(key as u32) })
    }

    /// Every pending event, in no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Nanos, EventId, &T)> {
        self.keys().skip(usize::from(self.hole)).filter_map(|key| {
            let slot = &self.slots[slot_of(key)];
            slot.event.as_ref().map(|event| ((key >> 64) as u64, slot.id, event))
        })
    }

    #[inline(always)]
    fn sift_up(&mut self, mut place: usize, key: u128) {
        while place > ROOT {
            let parent = place / ARITY + 2;
            let above = self.key(parent);
            if key >= above {
                break;
            }
            *self.key_mut(place) = above;
            place = parent;
        }
        *self.key_mut(place) = key;
    }

    #[inline(always)]
    fn sift_down(&mut self, mut place: usize, key: u128) {
        while let Some((least, below)) = self.least_below(place) {
            if least >= key {
                break;
            }
            if below >= DEEP {
                self.fetch_below(below);
            }
            *self.key_mut(place) = least;
            place = below;
        }
        *self.key_mut(place) = key;
    }

    /// The least child of the key at `place`, and where it is. There is no branch to mispredict: which of the four is the
    /// least is a matter of chance.
    #[inline(always)]
    fn least_below(&self, place: usize) -> Option<(u128, usize)> {
        let Group([a, b, c, d]) = *self.heap.get(place - 2)?;
        let (ab, at_ab) = if b < a { (b, 1) } else { (a, 0) };
        let (cd, at_cd) = if d < c { (d, 3) } else { (c, 2) };
        let (least, at) = if cd < ab { (cd, at_cd) } else { (ab, at_ab) };
        Some((least, (place - 2) * ARITY + at))
    }

    /// Asks memory for all grandchildren of the key at `place`, before its children say which of them matter.
    #[inline(always)]
    fn fetch_below(&self, place: usize) {
        let children = (place - 2) * ARITY;
        (children..children + ARITY).for_each(|child| prefetch_index(&self.heap, child - 2));
    }

    #[inline(always)]
    fn remove_at(&mut self, place: usize) {
        self.keys -= 1;
        let end = ROOT + self.keys;
        let last = std::mem::replace(self.key_mut(end), NO_KEY);
        if place == end {
            return;
        }
        if place > ROOT && last < self.key(place / ARITY + 2) {
            self.sift_up(place, last);
        } else {
            self.sift_down(place, last);
        }
    }

    #[cold]
    fn sweep(&mut self) {
        self.close_hole();
        let mut keys: Vec<u128> = self.keys().collect();
        keys.retain(|key| {
            let slot = SlotId(*key as u32);
            let live = self.slots[slot_of(*key)].event.is_some();
            if !live {
                self.free_slot(slot);
            }
            live
        });
        // In ascending order they are a heap.
        keys.sort_unstable();
        self.keys = keys.len();
        self.cancelled = 0;
        self.heap.fill(Group::EMPTY);
        for (place, key) in (ROOT..).zip(keys) {
            *self.key_mut(place) = key;
        }
    }
}

impl Group {
    const EMPTY: Self = Self([NO_KEY; ARITY]);
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
