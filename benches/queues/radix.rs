//! A radix heap over times: Ahuja, Mehlhorn, Orlin and Tarjan, Journal of the ACM 37(2), 1990.
//!
//! It wants what comes out never to go back. Times do not; ties at one time do, and so the keys of the present time have a
//! binary heap of their own.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::pending::{Key, Order, time_of};

pub(crate) struct Radix {
    /// The time of the last key that came out.
    last: u64,
    /// The keys of that time.
    now: BinaryHeap<Reverse<Key>>,
    /// Each by the highest bit in which its time differs from the last one.
    buckets: [Vec<Key>; 64],
    /// A bit per bucket that has keys.
    occupied: u64,
}

impl Default for Radix {
    fn default() -> Self {
        let buckets = std::array::from_fn(|_| Vec::new());
        Self { last: 0, now: BinaryHeap::new(), buckets, occupied: 0 }
    }
}

impl Order for Radix {
    #[inline]
    fn insert(&mut self, key: Key) {
        debug_assert!(time_of(key) >= self.last, "times do not go back");
        self.put(key);
    }

    #[inline]
    fn pop(&mut self) -> Option<Key> {
        if self.now.is_empty() {
            self.advance();
        }
        self.now.pop().map(|Reverse(key)| key)
    }

    fn retain(&mut self, mut keep: impl FnMut(Key) -> bool) {
        self.now.retain(|Reverse(key)| keep(*key));
        for (at, bucket) in self.buckets.iter_mut().enumerate() {
            bucket.retain(|key| keep(*key));
            self.occupied &= !(u64::from(bucket.is_empty()) << at);
        }
    }
}

impl Radix {
    #[inline]
    fn put(&mut self, key: Key) {
        match (time_of(key) ^ self.last).checked_ilog2() {
            None => self.now.push(Reverse(key)),
            Some(bit) => {
                self.buckets[bit as usize].push(key);
                self.occupied |= 1 << bit;
            }
        }
    }

    /// Goes on to the next time at which there is a key.
    #[inline]
    fn advance(&mut self) {
        if self.occupied == 0 {
            return;
        }
        let at = self.occupied.trailing_zeros() as usize;
        self.occupied &= self.occupied - 1;
        let mut bucket = std::mem::take(&mut self.buckets[at]);
        let least = bucket.iter().min().expect("an occupied bucket has keys");
        self.last = time_of(*least);
        bucket.drain(..).for_each(|key| self.put(key));
        // Its memory; every key of it went to a bucket before it.
        self.buckets[at] = bucket;
    }
}
