//! A pairing heap: Fredman, Sedgewick, Sleator and Tarjan, Algorithmica 1(1), 1986. The usual form, in two passes.

use crate::pending::{Key, Order};

/// No node.
const NONE: u32 = u32::MAX;

pub(crate) struct Pairing {
    /// A key's node is at its slot.
    nodes: Vec<Node>,
    root: u32,
}

/// None of its children has a lesser key.
#[derive(Clone, Copy)]
struct Node {
    key: Key,
    /// The child that came last.
    child: u32,
    /// The child of the same parent that came before.
    next: u32,
}

impl Default for Pairing {
    fn default() -> Self {
        Self { nodes: Vec::new(), root: NONE }
    }
}

impl Order for Pairing {
    #[inline]
    fn insert(&mut self, key: Key) {
        let (slot, node) = (key as u32, Node { key, child: NONE, next: NONE });
        if let Some(place) = self.nodes.get_mut(slot as usize) {
            *place = node;
        } else {
            self.nodes.resize(slot as usize + 1, node);
        }
        self.root = if self.root == NONE { slot } else { self.link(self.root, slot) };
    }

    #[inline]
    fn pop(&mut self) -> Option<Key> {
        let Node { key, child, .. } = *self.nodes.get(self.root as usize)?;
        self.root = self.merge(child);
        Some(key)
    }

    fn retain(&mut self, mut keep: impl FnMut(Key) -> bool) {
        let (mut unseen, mut kept) = (vec![self.root], Vec::new());
        while let Some(slot) = unseen.pop() {
            let Some(Node { key, child, next }) = self.nodes.get(slot as usize).copied() else { continue };
            unseen.extend([child, next]);
            if keep(key) {
                kept.push(key);
            }
        }
        self.root = NONE;
        for key in kept {
            self.insert(key);
        }
    }
}

impl Pairing {
    /// Makes the greater of two roots the first child of the lesser one, which is returned.
    #[inline]
    fn link(&mut self, a: u32, b: u32) -> u32 {
        let (above, below) = if self.node(a).key < self.node(b).key { (a, b) } else { (b, a) };
        self.node(below).next = self.node(above).child;
        self.node(above).child = below;
        self.node(above).next = NONE;
        above
    }

    /// One root of all these children: in pairs from the first to the last, then the pairs from the last to the first.
    #[inline]
    fn merge(&mut self, mut first: u32) -> u32 {
        let mut pairs = NONE;
        while first != NONE {
            let second = self.node(first).next;
            let rest = if second == NONE { NONE } else { self.node(second).next };
            let pair = if second == NONE { first } else { self.link(first, second) };
            self.node(pair).next = pairs;
            (pairs, first) = (pair, rest);
        }
        let mut root = NONE;
        while pairs != NONE {
            let next = self.node(pairs).next;
            root = if root == NONE { pairs } else { self.link(root, pairs) };
            pairs = next;
        }
        if root != NONE {
            self.node(root).next = NONE;
        }
        root
    }

    #[inline]
    fn node(&mut self, slot: u32) -> &mut Node {
        &mut self.nodes[slot as usize]
    }
}
