//! The near keys: a 4-ary heap of 128-bit keys, padded so that a key has four children or none.
//!
//! The least of four children is found without a branch; the four share a line of the cache.

use prefetch_index::prefetch_index;

use super::keys::NO_KEY;
use super::{Key, is_tied, time_of};

const ARITY: usize = 4;
/// Where the first key is: the last of the first group, whose others stay empty. The children of the key at `place` are
/// group `place - 2`, and the parent of those in group `g` is at `g + 2`.
const ROOT: usize = ARITY - 1;
/// The groups from here on may not be in the cache.
const DEEP: usize = 1_024;

/// Four keys with the same parent.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Group([Key; ARITY]);

#[derive(Clone, Debug)]
pub(super) struct Heap {
    /// Padded with [`NO_KEY`].
    groups: Vec<Group>,
    /// How many keys there are, the one that left a hole included.
    keys: usize,
    /// Whether the first key has been taken out. What is scheduled next most often is, and fits in its place at once.
    hole: bool,
}

impl Group {
    const EMPTY: Self = Self([NO_KEY; ARITY]);
}

impl Heap {
    pub(super) const fn new() -> Self {
        Self { groups: Vec::new(), keys: 0, hole: false }
    }

    pub(super) fn reserve(&mut self, keys: usize) {
        self.groups.reserve_exact(keys / ARITY + 2);
    }

    pub(super) fn clear(&mut self) {
        self.groups.fill(Group::EMPTY);
        self.keys = 0;
        self.hole = false;
    }

    /// How many keys there are, and a hole counts as one.
    #[inline(always)]
    pub(super) const fn len(&self) -> usize {
        self.keys
    }

    /// Every key.
    pub(super) fn iter(&self) -> impl Iterator<Item = Key> {
        let keys = self.groups.iter().flat_map(|group| group.0);
        keys.skip(ROOT).take(self.keys).skip(usize::from(self.hole))
    }

    /// Adds a key. Whether it took room of its own, instead of that which the last one left.
    #[inline(always)]
    pub(super) fn insert(&mut self, key: Key) -> bool {
        if self.hole {
            self.hole = false;
            match self.keys {
                1 => *self.key_mut(ROOT) = key,
                _ => self.sift_down(ROOT, key),
            }
            return false;
        }
        let place = ROOT + self.keys;
        if place / ARITY == self.groups.len() {
            self.groups.push(Group::EMPTY);
        }
        self.keys += 1;
        self.sift_up(place, key);
        true
    }

    /// The least key.
    #[inline(always)]
    pub(super) fn first(&self) -> Key {
        debug_assert!(self.keys > 0 && !self.hole, "there is a first key");
        self.key(ROOT)
    }

    /// Takes the least key out, and leaves a hole where it was.
    #[inline(always)]
    pub(super) fn leave_hole(&mut self) {
        self.hole = true;
    }

    #[inline(always)]
    pub(super) fn close_hole(&mut self) {
        if self.hole {
            self.remove_first();
        }
    }

    #[inline(never)]
    fn remove_first(&mut self) {
        self.hole = false;
        self.remove_at(ROOT);
    }

    /// Whether a key next to the first may have its time and tie. Most often their times alone tell that none has.
    #[inline(always)]
    pub(super) fn has_tied_child(&self, first: Key) -> bool {
        let Some(Group([a, b, c, d])) = self.groups.get(ROOT - 2).copied() else { return false };
        let is_at_once = |key: Key| time_of(key) == time_of(first);
        (is_at_once(a) | is_at_once(b) | is_at_once(c) | is_at_once(d))
            && [a, b, c, d].into_iter().any(|key| is_tied(key, first))
    }

    /// Takes out all keys with the time and tie of the first.
    #[cold]
    pub(super) fn take_tied(&mut self) -> Vec<Key> {
        let first = self.key(ROOT);
        let mut tied = Vec::new();
        while self.keys > 0 && is_tied(self.key(ROOT), first) {
            tied.push(self.key(ROOT));
            self.remove_at(ROOT);
        }
        tied
    }

    /// Takes out the least key that is sought, where there is no hole.
    #[inline(always)]
    pub(super) fn take(&mut self, is_sought: impl Fn(Key) -> bool) -> Option<Key> {
        // A plain loop: exploration asks this of every step.
        let (mut place, mut key) = (ROOT, NO_KEY);
        for other in ROOT..ROOT + self.keys {
            if is_sought(self.key(other)) && self.key(other) < key {
                (place, key) = (other, self.key(other));
            }
        }
        if key == NO_KEY {
            return None;
        }
        self.remove_at(place);
        Some(key)
    }

    /// Takes all keys out, in no particular order.
    pub(super) fn drain(&mut self) -> Vec<Key> {
        let keys = self.iter().collect();
        self.clear();
        keys
    }

    /// The keys that are probably first, second and so on once this first one is gone. Guesses, beyond the first of them.
    #[inline(always)]
    pub(super) fn upcoming<const N: usize>(&self) -> [Key; N] {
        let mut place = ROOT;
        [(); N].map(|()| {
            let Some((key, below)) = self.least_below(place) else { return NO_KEY };
            place = below;
            key
        })
    }

    #[inline(always)]
    fn key(&self, place: usize) -> Key {
        self.groups[place / ARITY].0[place % ARITY]
    }

    #[inline(always)]
    fn key_mut(&mut self, place: usize) -> &mut Key {
        &mut self.groups[place / ARITY].0[place % ARITY]
    }

    #[inline(always)]
    fn sift_up(&mut self, mut place: usize, key: Key) {
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
    fn sift_down(&mut self, mut place: usize, key: Key) {
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
    fn least_below(&self, place: usize) -> Option<(Key, usize)> {
        let Group([a, b, c, d]) = *self.groups.get(place - 2)?;
        let (ab, at_ab) = if b < a { (b, 1) } else { (a, 0) };
        let (cd, at_cd) = if d < c { (d, 3) } else { (c, 2) };
        let (least, at) = if cd < ab { (cd, at_cd) } else { (ab, at_ab) };
        Some((least, (place - 2) * ARITY + at))
    }

    /// Asks memory for all grandchildren of the key at `place`, before its children say which of them matter.
    #[inline(always)]
    fn fetch_below(&self, place: usize) {
        let children = (place - 2) * ARITY;
        (children..children + ARITY).for_each(|child| prefetch_index(&self.groups, child - 2));
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
}
