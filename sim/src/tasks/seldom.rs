//! What most programs never use: one word, until it is asked for.
//!
//! A large world has as many programs as nodes, and a short run begins and ends them all: what none of them uses is neither
//! made, nor dropped, nor between what is used.

use std::cell::OnceCell;

/// A value that is made, empty, when it is first asked for.
#[derive(Debug)]
pub(super) struct Seldom<T>(OnceCell<Box<T>>);

impl<T: Default> Seldom<T> {
    /// The value, if it was ever asked for; if not, it is empty.
    #[inline(always)]
    pub(super) fn if_made(&self) -> Option<&T> {
        self.0.get().map(|made| &**made)
    }

    /// The value, made now if it was not.
    #[inline(always)]
    pub(super) fn made(&self) -> &T {
        self.0.get_or_init(Box::default)
    }
}

impl<T> Default for Seldom<T> {
    fn default() -> Self {
        Self(OnceCell::new())
    }
}
