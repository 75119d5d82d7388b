//! Binary heaps: std's, over whole fields and over packed keys.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::pending::{Key, Order, pack, time_of};

/// What one would first write: time, tie and slot, compared one after the other.
#[derive(Default)]
pub(crate) struct Fields(BinaryHeap<Reverse<(u64, u32, u32)>>);

/// The same heap with packed keys, as in the bare loop.
#[derive(Default)]
pub(crate) struct Packed(BinaryHeap<Reverse<Key>>);

impl Order for Fields {
    #[inline]
    fn insert(&mut self, key: Key) {
        self.0.push(Reverse((time_of(key), (key >> 32) as u32, key as u32)));
    }

    #[inline]
    fn pop(&mut self) -> Option<Key> {
        self.0.pop().map(|Reverse((time, tie, slot))| pack(time, tie, slot))
    }

    fn retain(&mut self, mut keep: impl FnMut(Key) -> bool) {
        self.0.retain(|&Reverse((time, tie, slot))| keep(pack(time, tie, slot)));
    }
}

impl Order for Packed {
    #[inline]
    fn insert(&mut self, key: Key) {
        self.0.push(Reverse(key));
    }

    #[inline]
    fn pop(&mut self) -> Option<Key> {
        self.0.pop().map(|Reverse(key)| key)
    }

    fn retain(&mut self, mut keep: impl FnMut(Key) -> bool) {
        self.0.retain(|&Reverse(key)| keep(key));
    }
}
