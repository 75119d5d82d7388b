//! Fetching ahead: in a world larger than the cache, what the next events need is asked of memory while this one is
//! handled.
//!
//! Which event is next stands in the queue already, unless this one schedules an earlier one. What an event needs is a
//! chain, each link of which says where the next one is: its slot, its node, what the node's process keeps elsewhere, what
//! that points to. One link is asked for at a time, so that none is waited for.
//!
//! Nothing here has a result: a guess that was wrong costs some lines of the cache.

use std::slice;

use prefetch_index::prefetch_index;

use crate::process::Process;

use super::node::Node;
use super::{Pending, World};

/// A world of fewer nodes fits into the cache, and is spared the asking.
pub(super) const LARGE: usize = 4_096;

/// For how many events one link is asked for at once, where their order is known: memory answers some sixteen wishes side by
/// side, also where it must find the pages first. A larger batch would stand in line, and let what is needed now wait behind it.
const BATCH: usize = 4;

/// How many events lie between one link and the next: long enough for an answer. Five times as far is known at least.
const APART: usize = 8;

/// The bytes of a line of the cache, and of a word.
const LINE: usize = 64;
const WORD: usize = size_of::<u64>();

/// Asks memory for the line in which this value begins, and for the one after its end, without waiting for them.
#[inline(always)]
pub(crate) fn fetch_ends<T>(value: &T) {
    prefetch_index(slice::from_ref(value), 0);
    prefetch_index(slice::from_ref(value), 1);
}

/// Asks memory for the lines of so many bytes before this word, and of so many from it on, without waiting for them.
#[inline(always)]
pub(crate) fn fetch_around<T>(word: &T, before: usize, from: usize) {
    const { assert!(size_of::<T>() == WORD) };
    let all = before + from;
    let fetch =
        |byte: usize| prefetch_index(slice::from_ref(word), (byte / WORD).wrapping_sub(before / WORD));
    (0..all).step_by(LINE).for_each(fetch);
    // Where they do not begin with a line, they end in one more.
    fetch(all - WORD);
}

/// Asks memory for the beginning of this value, without waiting for it.
#[inline(always)]
fn fetch<T>(value: &T) {
    prefetch_index(slice::from_ref(value), 0);
}

impl<P: Process> World<P> {
    /// Asks for a link of some of the chains that the next events need.
    #[inline(always)]
    pub(super) fn fetch_ahead(&self) {
        match self.queue.taken_in_order() {
            Some(taken) => self.fetch_batch(taken % BATCH),
            None => self.fetch_guesses(),
        }
    }

    /// Asks for one link of a batch. With the next event it is the next link of another batch, so that memory has something to
    /// do all the time.
    #[inline(never)]
    fn fetch_batch(&self, turn: usize) {
        const { assert!(BATCH >= 4, "each link has a turn") };
        let links: usize = if P::FETCHES { 4 } else { 2 };
        let Some(links_from_now @ 1..) = links.checked_sub(turn) else { return };
        let slots = self.queue.after(links_from_now * APART - turn, BATCH);
        match turn {
            0 => slots.for_each(|slot| self.queue.fetch_slot(slot)),
            1 => slots.for_each(|slot| self.fetch_node(slot)),
            2 => slots.filter_map(|slot| self.process_of(slot)).for_each(P::fetch),
            _ => slots.filter_map(|slot| self.process_of(slot)).for_each(P::fetch_further),
        }
    }

    #[inline(always)]
    fn fetch_guesses(&self) {
        if P::FETCHES {
            let [first, second, third, fourth] = self.queue.upcoming();
            self.queue.fetch_slot(fourth);
            self.fetch_node(third);
            self.process_of(second).inspect(|process| process.fetch());
            self.process_of(first).inspect(|process| process.fetch_further());
        } else {
            let [first, second] = self.queue.upcoming();
            self.queue.fetch_slot(second);
            self.fetch_node(first);
        }
    }

    #[inline(always)]
    fn fetch_node(&self, slot: usize) {
        if let Some(node) = self.node_of(slot) {
            fetch(node);
        }
    }

    #[inline(always)]
    fn process_of(&self, slot: usize) -> Option<&P> {
        self.node_of(slot)?.process.as_ref()
    }

    #[inline(always)]
    fn node_of(&self, slot: usize) -> Option<&Node<P>> {
        self.nodes.get(self.queue.event_in(slot).and_then(Pending::handled_by)?.index())
    }
}
