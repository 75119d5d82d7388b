//! A hierarchical timing wheel: Varghese and Lauck, SOSP 1987. Wheels of 64 slots, each of which spans the wheel before it.
//!
//! To keep exact order a slot of the first wheel is sorted when its time comes, and what is scheduled into that slot from
//! then on goes into a binary heap.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::pending::{Key, Order, time_of};

/// A tick is `1 << TICK_BITS` nanoseconds, about 4 µs: at 1,000 pending some 5 µs lie between events.
const TICK_BITS: u32 = 12;
const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;
/// So many that every time has its slot.
const WHEELS: usize = (u64::BITS - TICK_BITS).div_ceil(SLOT_BITS) as usize;

pub(crate) struct Wheel {
    /// The tick whose keys are at the front.
    now: u64,
    /// The keys of this tick, in descending order.
    front: Vec<Key>,
    /// Those that came since it began.
    late: BinaryHeap<Reverse<Key>>,
    wheels: Vec<Turn>,
}

/// One wheel.
struct Turn {
    slots: [Vec<Key>; SLOTS],
    /// A bit per slot that has keys.
    occupied: u64,
}

impl Default for Wheel {
    fn default() -> Self {
        let turn = |_| Turn { slots: std::array::from_fn(|_| Vec::new()), occupied: 0 };
        let wheels = (0..WHEELS).map(turn).collect();
        Self { now: 0, front: Vec::new(), late: BinaryHeap::new(), wheels }
    }
}

impl Order for Wheel {
    #[inline]
    fn insert(&mut self, key: Key) {
        debug_assert!(time_of(key) >> TICK_BITS >= self.now, "times do not go back");
        self.put(key);
    }

    #[inline]
    fn pop(&mut self) -> Option<Key> {
        loop {
            match (self.front.last(), self.late.peek()) {
                (Some(first), Some(Reverse(late))) if late < first => break,
                (Some(_), _) => return self.front.pop(),
                (None, Some(_)) => break,
                (None, None) => self.advance()?,
            }
        }
        self.late.pop().map(|Reverse(key)| key)
    }

    fn retain(&mut self, mut keep: impl FnMut(Key) -> bool) {
        self.front.retain(|key| keep(*key));
        self.late.retain(|Reverse(key)| keep(*key));
        for turn in &mut self.wheels {
            for (at, slot) in turn.slots.iter_mut().enumerate() {
                slot.retain(|key| keep(*key));
                turn.occupied &= !(u64::from(slot.is_empty()) << at);
            }
        }
    }
}

impl Wheel {
    #[inline]
    fn put(&mut self, key: Key) {
        let tick = time_of(key) >> TICK_BITS;
        let Some(bit) = (tick ^ self.now).checked_ilog2() else { return self.late.push(Reverse(key)) };
        let wheel = bit / SLOT_BITS;
        let slot = (tick >> (wheel * SLOT_BITS)) as usize % SLOTS;
        let turn = &mut self.wheels[wheel as usize];
        turn.slots[slot].push(key);
        turn.occupied |= 1 << slot;
    }

    /// Goes on to the next slot that has keys, if one does: sorts it if it is of the first wheel, else divides it among those before.
    #[inline]
    fn advance(&mut self) -> Option<()> {
        let wheel = self.wheels.iter().position(|turn| turn.occupied != 0)?;
        let turn = &mut self.wheels[wheel];
        let slot = turn.occupied.trailing_zeros();
        turn.occupied &= turn.occupied - 1;
        let shift = wheel as u32 * SLOT_BITS;
        // The digit of this wheel, and zeros in those before.
        let above = self.now.checked_shr(shift + SLOT_BITS).unwrap_or(0);
        self.now = ((above << SLOT_BITS) | u64::from(slot)) << shift;
        if wheel == 0 {
            std::mem::swap(&mut self.front, &mut turn.slots[slot as usize]);
            self.front.sort_unstable_by(|a, b| b.cmp(a));
            return Some(());
        }
        let mut keys = std::mem::take(&mut turn.slots[slot as usize]);
        keys.drain(..).for_each(|key| self.put(key));
        // Its memory; every key of it went to a wheel before it.
        self.wheels[wheel].slots[slot as usize] = keys;
        Some(())
    }
}
