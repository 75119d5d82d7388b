//! A queue that mostly holds one: the first is kept in place, without an allocation and a line of the cache of its own.

use std::collections::VecDeque;

use crate::effect::fill;

#[derive(Debug)]
pub(super) struct Fifo<T> {
    /// `None` only if the queue is empty.
    first: Option<T>,
    len: u32,
    #[allow(clippy::box_collection, reason = "most queues never hold a second, and stay small")]
    more: Option<Box<VecDeque<T>>>,
}

impl<T> Default for Fifo<T> {
    fn default() -> Self {
        Self { first: None, len: 0, more: None }
    }
}

impl<T> Fifo<T> {
    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    #[inline(always)]
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline(always)]
    pub(super) fn front(&self) -> Option<&T> {
        self.first.as_ref()
    }

    #[inline(always)]
    pub(super) fn front_mut(&mut self) -> Option<&mut T> {
        self.first.as_mut()
    }

    pub(super) fn get(&self, index: usize) -> Option<&T> {
        if index == 0 { self.first.as_ref() } else { self.more.as_ref()?.get(index - 1) }
    }

    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        if index == 0 { self.first.as_mut() } else { self.more.as_mut()?.get_mut(index - 1) }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.first.iter().chain(self.more.iter().flat_map(|more| more.iter()))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.first.iter_mut().chain(self.more.iter_mut().flat_map(|more| more.iter_mut()))
    }

    #[inline(always)]
    pub(super) fn push_back(&mut self, item: T) {
        if self.is_empty() {
            fill(&mut self.first, item);
        } else {
            self.more.get_or_insert_default().push_back(item);
        }
        self.len += 1;
    }

    #[inline(always)]
    pub(super) fn pop_front(&mut self) -> Option<T> {
        let first = self.first.take();
        match self.len {
            0 => {}
            1 => self.len = 0,
            _ => self.move_up(),
        }
        first
    }

    #[inline(never)]
    fn move_up(&mut self) {
        self.first = self.more.as_mut().and_then(|more| more.pop_front());
        self.len -= 1;
    }

    pub(super) fn remove(&mut self, index: usize) -> Option<T> {
        if index == 0 {
            return self.pop_front();
        }
        let removed = self.more.as_mut()?.remove(index - 1);
        self.len -= u32::from(removed.is_some());
        removed
    }

    /// The index of the item with this key, of items in the order of their keys.
    pub(super) fn find_by_key(&self, key: u64, key_of: impl Fn(&T) -> u64) -> Option<usize> {
        if key_of(self.first.as_ref()?) == key {
            return Some(0);
        }
        self.more.as_ref()?.binary_search_by_key(&key, key_of).ok().map(|index| index + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_first_in_first_out_and_lets_go_from_the_middle() {
        let mut fifo = Fifo::default();
        (1..=4_u64).for_each(|item| fifo.push_back(item));
        assert_eq!(fifo.find_by_key(3, |item| *item), Some(2));
        assert_eq!(fifo.remove(2), Some(3));
        assert_eq!(fifo.find_by_key(3, |item| *item), None);
        assert_eq!((fifo.pop_front(), fifo.front(), fifo.len()), (Some(1), Some(&2), 2));
        assert_eq!(fifo.remove(0), Some(2));
        assert_eq!(fifo.iter().collect::<Vec<_>>(), [&4]);
        assert_eq!((fifo.pop_front(), fifo.pop_front(), fifo.is_empty()), (Some(4), None, true));
    }
}
