//! The far keys: buckets of time, each a list in no order, of which the next is put in order when its time comes.
//!
//! It is the ladder queue of Tang, Goh and Thng (ACM TOMACS 15(3), 2005). A rung is made of keys that are too many, and divides
//! just their span: there is no width to be tuned, and keys that lie close together are divided again, one rung below. What is
//! scheduled costs a look at each rung, of which there is mostly one, and is moved once or twice before its time comes.

use super::{FEW_ARE_MANY, Key, is_tied};

/// How many keys a bucket should get.
const BUCKET: usize = if FEW_ARE_MANY { 4 } else { 256 };
/// How many keys the memory of a bucket may have room for, to be kept.
const LARGEST_KEPT: usize = 8 * BUCKET;
/// The bits of a key below its time and tie. Keys that differ only there may not be parted: see [`is_tied`].
const SLOT_BITS: u32 = 32;
const SLOT_MASK: Key = (1 << SLOT_BITS) - 1;

#[derive(Clone, Debug)]
pub(super) struct Ladder {
    /// Coarse ones first. Each divides what a bucket of the one before it held.
    rungs: Vec<Rung>,
    keys: usize,
    /// Emptied buckets, for the next rung.
    spare: Vec<Vec<Key>>,
}

/// Equal spans of time, and behind them one that is open up to the rung's end.
#[derive(Clone, Debug)]
struct Rung {
    /// Where the first bucket begins.
    start: Key,
    /// The last key that may be here.
    end: Key,
    /// A bucket spans `1 << shift`.
    shift: u32,
    buckets: Vec<Vec<Key>>,
    /// The first bucket that is still here.
    next: usize,
}

impl Ladder {
    pub(super) const fn new() -> Self {
        Self { rungs: Vec::new(), keys: 0, spare: Vec::new() }
    }

    pub(super) fn clear(&mut self) {
        self.keys = 0;
        while let Some(rung) = self.rungs.pop() {
            self.keep_buckets(rung);
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.keys
    }

    /// Every key, in no particular order.
    pub(super) fn iter(&self) -> impl Iterator<Item = Key> {
        self.rungs.iter().flat_map(|rung| &rung.buckets).flatten().copied()
    }

    /// Adds a key beyond the last one that does not belong here.
    #[inline(never)]
    pub(super) fn insert(&mut self, key: Key) {
        let rung = self.rungs.iter_mut().rev().find(|rung| key <= rung.end);
        rung.expect("the first rung has no end").insert(key);
        self.keys += 1;
    }

    pub(super) fn retain(&mut self, mut keep: impl FnMut(Key) -> bool) {
        self.rungs
            .iter_mut()
            .flat_map(|rung| &mut rung.buckets)
            .for_each(|bucket| bucket.retain(|key| keep(*key)));
        self.keys = self.iter().count();
    }

    /// Divides keys among a new rung, which from now on gets all up to `end`. False, and nothing is done, if they all have the
    /// same time and tie: they cannot be parted.
    pub(super) fn divide(&mut self, keys: &[Key], end: Key) -> bool {
        let Some(rung) = Rung::over(keys, end, &mut self.spare) else { return false };
        self.keys += keys.len();
        self.rungs.push(rung);
        let rung = self.rungs.last_mut().expect("it was just pushed");
        for key in keys {
            rung.insert(*key);
        }
        true
    }

    /// Takes the keys of the next bucket that has any, divided if they are more than `most` and can be. The last key that does not
    /// belong on the ladder from now on.
    pub(super) fn take_next(&mut self, most: usize, into: &mut Vec<Key>) -> Key {
        while let Some(rung) = self.rungs.last_mut() {
            let Some(at) = (rung.next..rung.buckets.len()).find(|at| !rung.buckets[*at].is_empty()) else {
                let rung = self.rungs.pop().expect("it is the last one");
                self.keep_buckets(rung);
                continue;
            };
            rung.next = at + 1;
            let end = rung.end_of(at);
            let keys = std::mem::take(&mut rung.buckets[at]);
            self.keys -= keys.len();
            let is_divided = keys.len() > most && self.divide(&keys, end);
            if !is_divided {
                into.extend_from_slice(&keys);
            }
            self.keep(keys);
            if !is_divided {
                return end;
            }
        }
        Key::MAX
    }

    fn keep_buckets(&mut self, rung: Rung) {
        rung.buckets.into_iter().for_each(|bucket| self.keep(bucket));
    }

    /// Keeps the memory of a bucket for the next rung, unless it is of another size.
    fn keep(&mut self, mut bucket: Vec<Key>) {
        if (1..=LARGEST_KEPT).contains(&bucket.capacity()) {
            bucket.clear();
            self.spare.push(bucket);
        }
    }
}

impl Rung {
    /// A rung without keys that can part these. `None` if nothing can.
    fn over(keys: &[Key], end: Key, spare: &mut Vec<Vec<Key>>) -> Option<Self> {
        let (first, last) = (*keys.iter().min()?, *keys.iter().max()?);
        if is_tied(first, last) {
            return None;
        }
        let start = first & !SLOT_MASK;
        // With two, the first and the last key are parted.
        let spans = (keys.len() / BUCKET).next_power_of_two().max(2);
        let bits = Key::BITS - (last - start).leading_zeros();
        let shift = bits.saturating_sub(spans.ilog2()).max(SLOT_BITS);
        let count = ((last - start) >> shift) as usize + 2;
        let buckets = (0..count).map(|_| spare.pop().unwrap_or_default()).collect();
        Some(Self { start, end, shift, buckets, next: 0 })
    }

    #[inline(always)]
    fn insert(&mut self, key: Key) {
        let last = self.buckets.len() - 1;
        let at = ((key - self.start) >> self.shift).min(last as Key) as usize;
        self.buckets[at].push(key);
    }

    /// The last key that belongs into a bucket.
    fn end_of(&self, at: usize) -> Key {
        if at + 1 == self.buckets.len() {
            return self.end;
        }
        let span = (1 << self.shift) - 1;
        (self.start + ((at as Key) << self.shift)).saturating_add(span).min(self.end)
    }
}
