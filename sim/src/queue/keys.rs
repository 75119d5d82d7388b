//! The keys of the pending events, the least of which comes out first: a heap as long as they are few.
//!
//! Where they are many, a heap waits for memory at each of its levels. Then the next few hundred stand in order at the front,
//! all far ones lie on the [ladder](super::ladder), and only what is scheduled before the end of the front is in the heap.
//! Where a key lies is never seen from outside: the order is that of the keys.

use super::heap::Heap;
use super::ladder::Ladder;
use super::{FEW_ARE_MANY, Key, is_tied};

/// More keys than this are divided.
const HEAP_MOST: usize = if FEW_ARE_MANY { 16 } else { 4_096 };
/// How many keys stand at the front at least, as long as others are on the ladder: so far ahead is known what comes.
const FRONT_LEAST: usize = if FEW_ARE_MANY { 3 } else { 40 };
/// No event has this key: there are fewer slots. Cheaper to hand on than an `Option`.
pub(super) const NO_KEY: Key = Key::MAX;

#[derive(Clone, Debug)]
pub(super) struct Keys {
    heap: Heap,
    /// From `at` on, in ascending order. Empty as long as keys are few.
    front: Vec<Key>,
    at: usize,
    /// Where `at` must be for the front to be filled up.
    low: usize,
    /// Whether there are keys outside the heap.
    is_large: bool,
    ladder: Ladder,
    /// Keys beyond this one belong on the ladder.
    near: Key,
    /// How many keys the heap may hold before they are divided.
    most: usize,
}

impl Keys {
    pub(super) const fn new() -> Self {
        Self {
            heap: Heap::new(),
            front: Vec::new(),
            at: 0,
            low: 0,
            is_large: false,
            ladder: Ladder::new(),
            near: Key::MAX,
            most: HEAP_MOST,
        }
    }

    pub(super) fn reserve(&mut self, keys: usize) {
        self.heap.reserve(keys.min(HEAP_MOST));
    }

    pub(super) fn clear(&mut self) {
        self.heap.clear();
        self.ladder.clear();
        self.near = Key::MAX;
        self.most = HEAP_MOST;
        self.set_front(Vec::new());
    }

    /// How many keys there are, but for one that may just have been taken.
    #[inline(always)]
    pub(super) const fn len(&self) -> usize {
        self.heap.len() + (self.front.len() - self.at) + self.ladder.len()
    }

    /// Every key, in no particular order.
    pub(super) fn iter(&self) -> impl Iterator<Item = Key> {
        self.heap.iter().chain(self.front[self.at..].iter().copied()).chain(self.ladder.iter())
    }

    #[inline(always)]
    pub(super) fn insert(&mut self, key: Key) {
        if self.is_large && key > self.near {
            return self.ladder.insert(key);
        }
        if self.heap.insert(key) && self.heap.len() > self.most {
            self.divide();
        }
    }

    /// Takes the least key out. Those that differ from it in the slot alone are put in order by what stands in their slots.
    #[inline(always)]
    pub(super) fn pop<O: Ord>(&mut self, order: impl Fn(Key) -> O) -> Option<Key> {
        self.heap.close_hole();
        if self.is_large {
            return self.pop_of_many(order);
        }
        if self.heap.len() == 0 {
            return None;
        }
        Some(self.pop_heap(order))
    }

    #[inline(always)]
    fn pop_heap<O: Ord>(&mut self, order: impl Fn(Key) -> O) -> Key {
        let key = self.heap.first();
        if self.heap.len() > 1 && self.heap.has_tied_child(key) {
            return self.pop_tied(key, order);
        }
        self.heap.leave_hole();
        key
    }

    /// The same where some keys are not in the heap.
    #[inline(never)]
    fn pop_of_many<O: Ord>(&mut self, order: impl Fn(Key) -> O) -> Option<Key> {
        if self.at >= self.low {
            self.fill_front();
        }
        let [head, next] = [self.at, self.at + 1].map(|at| self.front.get(at).copied().unwrap_or(NO_KEY));
        let near = if self.heap.len() == 0 { NO_KEY } else { self.heap.first() };
        let key = head.min(near);
        if key == NO_KEY {
            return None;
        }
        if is_tied(head, near) || (head < near && is_tied(head, next)) {
            return Some(self.pop_tied(key, order));
        }
        if near < head {
            return Some(self.pop_heap(order));
        }
        self.at += 1;
        Some(key)
    }

    /// Takes out the key that comes first among those that have the time and tie of this one.
    #[cold]
    #[inline(never)]
    fn pop_tied<O: Ord>(&mut self, with: Key, order: impl Fn(Key) -> O) -> Key {
        while let Some(key) = self.front.get(self.at).filter(|key| is_tied(**key, with)) {
            self.heap.insert(*key);
            self.at += 1;
        }
        let mut tied = self.heap.take_tied();
        let least = (0..tied.len()).min_by_key(|at| (order(tied[*at]), tied[*at]));
        let key = tied.swap_remove(least.expect("the first key is tied with itself"));
        self.put_near(tied);
        key
    }

    /// Takes out the least key that is sought.
    #[inline(always)]
    pub(super) fn take(&mut self, is_sought: impl Fn(Key) -> bool) -> Option<Key> {
        if self.is_large {
            let key = self.iter().filter(|key| is_sought(*key)).min()?;
            self.retain(|other| other != key);
            return Some(key);
        }
        self.heap.close_hole();
        self.heap.take(is_sought)
    }

    pub(super) fn retain(&mut self, mut keep: impl FnMut(Key) -> bool) {
        let mut heap = self.heap.drain();
        heap.retain(|key| keep(*key));
        self.put_near(heap);
        let mut front = self.front.split_off(self.at);
        front.retain(|key| keep(*key));
        self.set_front(front);
        self.ladder.retain(keep);
    }

    /// What is probably next, then what will then probably be next, and so on.
    #[inline(always)]
    pub(super) fn upcoming<const N: usize>(&self) -> [Key; N] {
        self.heap.upcoming()
    }

    /// How many keys of the front were taken, if any stand there.
    #[inline(always)]
    pub(super) const fn taken_of_front(&self) -> Option<usize> {
        if self.is_large { Some(self.at) } else { None }
    }

    /// The keys of the front that come after so many others, at most [`FRONT_LEAST`] or as many as there are.
    #[inline(always)]
    pub(super) fn after(&self, others: usize, count: usize) -> &[Key] {
        let front = self.front.get(self.at + others..).unwrap_or_default();
        &front[..count.min(front.len())]
    }

    /// Puts all but the nearest keys on the ladder.
    #[cold]
    #[inline(never)]
    fn divide(&mut self) {
        let mut keys = self.heap.drain();
        keys.extend(self.front.drain(..).skip(self.at));
        if self.ladder.divide(&keys, self.near) {
            self.at = 0;
            self.fill_front();
        } else {
            self.most = 2 * keys.len();
            self.put_near(keys);
            self.set_front(Vec::new());
        }
    }

    fn put_near(&mut self, keys: Vec<Key>) {
        for key in keys {
            self.heap.insert(key);
        }
    }

    /// Fills the front from the ladder.
    #[cold]
    #[inline(never)]
    fn fill_front(&mut self) {
        let mut front = std::mem::take(&mut self.front);
        front.drain(..self.at);
        while front.len() <= FRONT_LEAST && self.ladder.len() > 0 {
            let ordered = front.len();
            self.near = self.ladder.take_next(HEAP_MOST, &mut front);
            front[ordered..].sort_unstable();
        }
        if self.ladder.len() == 0 {
            self.ladder.clear();
            self.near = Key::MAX;
        }
        self.most = HEAP_MOST;
        self.set_front(front);
    }

    fn set_front(&mut self, front: Vec<Key>) {
        self.front = front;
        self.at = 0;
        let least = if self.ladder.len() == 0 { 0 } else { FRONT_LEAST };
        self.low = self.front.len().saturating_sub(least);
        self.is_large = self.ladder.len() + self.front.len() > 0;
    }
}
