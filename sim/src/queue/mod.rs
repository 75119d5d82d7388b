//! The pending events: a slab, and packed keys over it.
//!
//! A key is time, tie and slot in 128 bits, so that comparing two events touches neither of them. The keys alone would put
//! events whose time and tie are both equal in the order of their slots: where two such surface, their ids decide. The order
//! never depends on insertion.

mod heap;
mod keys;
mod ladder;

use prefetch_index::prefetch_index;

use crate::effect::fill;
use crate::id::EventId;
use crate::time::Nanos;

use keys::Keys;

/// Time, tie and slot.
type Key = u128;

/// Whether few keys are treated as many, so that short tests meet the ladder. A benchmark is compiled under `cfg(test)` too: the
/// one of queues, which has these files compiled anew, says no.
const FEW_ARE_MANY: bool = cfg!(test);
/// Below this many keys, dead ones are not worth sweeping out.
const SWEEP_MIN: usize = 64;
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
    keys: Keys,
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

/// Where an event that has surfaced still is. Whoever takes what is in the slot frees the slot.
pub(crate) struct Place<'a, T> {
    pub(crate) slot: &'a mut Slot<T>,
    number: u32,
    free: &'a mut u32,
}

impl<T> Place<'_, T> {
    /// Frees the slot, whose content was taken.
    #[inline(always)]
    pub(crate) fn free(self) {
        debug_assert!(self.slot.event.is_none(), "a free slot is empty");
        self.slot.turn = std::mem::replace(self.free, self.number);
    }
}

const fn pack(time: Nanos, tie: u32, slot: u32) -> Key {
    ((time as Key) << 64) | ((tie as Key) << 32) | slot as Key
}

const fn time_of(key: Key) -> Nanos {
    (key >> 64) as Nanos
}

const fn slot_of(key: Key) -> usize {
    key as u32 as usize
}

/// Whether two events have the same time and the same tie, so that their ids must decide.
#[inline(always)]
const fn is_tied(a: Key, b: Key) -> bool {
    (a ^ b) >> 32 == 0
}

impl<T> Queue<T> {
    pub(crate) const fn new() -> Self {
        Self { keys: Keys::new(), slots: Vec::new(), free: NO_SLOT, cancelled: 0 }
    }

    pub(crate) fn reserve(&mut self, events: usize) {
        self.keys.reserve(events);
        self.slots.reserve_exact(events);
    }

    pub(crate) fn clear(&mut self) {
        self.keys.clear();
        self.free = NO_SLOT;
        self.cancelled = 0;
        for slot in (0..self.slots.len()).rev() {
            self.slots[slot].event = None;
            self.free_slot(SlotId(slot as u32));
        }
    }

    #[cfg(test)]
    fn is_empty(&self) -> bool {
        self.keys.iter().count() == self.cancelled
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
        self.keys.insert(pack(time, tie, slot));
        SlotId(slot)
    }

    /// Puts an event that was taken back, for later.
    pub(crate) fn defer(&mut self, time: Nanos, tie: u32, taken: Taken<T>) -> SlotId {
        let Surfaced { slot, .. } = self.put_aside(taken);
        self.keys.insert(pack(time, tie, slot.0));
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

    /// Cancels a pending event. Its key stays in the heap until it surfaces or too many are dead.
    #[inline]
    pub(crate) fn cancel(&mut self, SlotId(slot): SlotId) {
        let event = self.slots[slot as usize].event.take();
        assert!(event.is_some(), "a cancelled event was still pending");
        self.cancelled += 1;
        let keys = self.keys.len();
        if self.cancelled * 2 > keys && keys > SWEEP_MIN {
            self.sweep();
        }
    }

    /// The earliest event, which is no longer pending but still in its place.
    #[inline(always)]
    pub(crate) fn pop(&mut self) -> Option<Surfaced> {
        loop {
            let key = self.keys.pop(|key| self.slots[slot_of(key)].id)?;
            let slot = SlotId(key as u32);
            if self.slots[slot.0 as usize].event.is_some() {
                return Some(Surfaced { time: time_of(key), slot });
            }
            self.free_slot(slot);
            self.cancelled -= 1;
        }
    }

    /// While the first event is handled: the one that is probably the next, then one of those that will then be near the
    /// front, and so on. Guesses, as earlier ones may be scheduled meanwhile.
    #[inline(always)]
    pub(crate) fn upcoming<const N: usize>(&self) -> [usize; N] {
        self.keys.upcoming().map(slot_of)
    }

    /// How many events were taken since the next ones were last put in order, if they were.
    #[inline(always)]
    pub(crate) const fn taken_in_order(&self) -> Option<usize> {
        self.keys.taken_of_front()
    }

    /// The slots of those events that come after so many others: exact, but for what is scheduled meanwhile.
    #[inline(always)]
    pub(crate) fn after(&self, others: usize, count: usize) -> impl Iterator<Item = usize> {
        self.keys.after(others, count).iter().map(|key| slot_of(*key))
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

    /// The place of an event that has surfaced.
    #[inline(always)]
    pub(crate) fn place(&mut self, Surfaced { slot: SlotId(number), .. }: Surfaced) -> Place<'_, T> {
        Place { slot: &mut self.slots[number as usize], number, free: &mut self.free }
    }

    #[inline(always)]
    fn free_slot(&mut self, SlotId(slot): SlotId) {
        self.slots[slot as usize].turn = self.free;
        self.free = slot;
    }

    /// Takes an event that has surfaced out of its place.
    pub(crate) fn release(&mut self, surfaced: Surfaced) -> Taken<T> {
        let place = self.place(surfaced);
        let Slot { id, by, turn, .. } = *place.slot;
        let event = place.slot.event.take().expect("an event that has surfaced was not cancelled");
        place.free();
        Taken { time: surfaced.time, id, by, turn, event }
    }

    /// Takes the pending event with this id, the earliest if there are several.
    pub(crate) fn take(&mut self, id: EventId) -> Option<Taken<T>> {
        self.surface(id).map(|surfaced| self.release(surfaced))
    }

    /// The same event, which is no longer pending but still in its place.
    pub(crate) fn surface(&mut self, id: EventId) -> Option<Surfaced> {
        let slots = &self.slots;
        let key = self.keys.take(|key| {
            let slot = &slots[slot_of(key)];
            slot.id == id && slot.event.is_some()
        })?;
        Some(Surfaced { time: time_of(key), slot: SlotId(key as u32) })
    }

    /// Every pending event, in no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Nanos, EventId, &T)> {
        self.keys.iter().filter_map(|key| {
            let slot = &self.slots[slot_of(key)];
            slot.event.as_ref().map(|event| (time_of(key), slot.id, event))
        })
    }

    /// Forgets the keys of cancelled events.
    #[cold]
    fn sweep(&mut self) {
        let (slots, free) = (&mut self.slots, &mut self.free);
        self.keys.retain(|key| {
            let slot = &mut slots[slot_of(key)];
            let is_live = slot.event.is_some();
            if !is_live {
                slot.turn = std::mem::replace(free, key as u32);
            }
            is_live
        });
        self.cancelled = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Random pushes, cancels, takes and pops, against a sorted set; times from all at once to far apart.
    #[test]
    fn it_agrees_with_a_sorted_set() {
        let mut steps_with_many = 0;
        for seed in 0..400_u64 {
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
                        // Few times and fewer ties, so that ids must decide; in some runs one event in eight is far off.
                        let far = roll(if seed % 3 == 0 { 8 } else { 1 }) * roll(1 << 40);
                        let (time, tie, id) = (
                            (roll(20) << (seed % 7 * 6)) + far,
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
                steps_with_many += u32::from(queue.taken_in_order().is_some());
            }
        }
        assert!(
            steps_with_many > 100_000,
            "in many steps there were too many for the heap: {steps_with_many}"
        );
    }
}
