//! A run's rolling digest: two runs with the same digest had the same events, in the same order, at the same
//! times, with the same content, without a trace to compare.

use std::hash::Hasher;

use crate::id::EventId;

/// A rolling 64-bit hash over everything that happened. Not cryptographic.
///
/// It is a [`Hasher`] of its own because std's is keyed by process: integers go in by value, whatever the
/// machine's byte order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Digest(u64);

impl Digest {
    /// Nothing has happened yet.
    pub const fn new(seed: u64) -> Self {
        Self(seed ^ 0x243f_6a88_85a3_08d3)
    }

    /// Takes in one word.
    #[inline(always)]
    pub(crate) const fn absorb(&mut self, word: u64) {
        self.0 = EventId::fold(self.0 ^ word, 0x9e37_79b9_7f4a_7c15).rotate_left(23);
    }
}

impl Hasher for Digest {
    #[inline(always)]
    fn finish(&self) -> u64 {
        self.0
    }

    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.absorb(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            let mut word = [0; 8];
            word[..rest.len()].copy_from_slice(rest);
            self.absorb(u64::from_le_bytes(word));
        }
    }

    #[inline(always)]
    fn write_u8(&mut self, i: u8) {
        self.absorb(u64::from(i));
    }

    #[inline(always)]
    fn write_u16(&mut self, i: u16) {
        self.absorb(u64::from(i));
    }

    #[inline(always)]
    fn write_u32(&mut self, i: u32) {
        self.absorb(u64::from(i));
    }

    #[inline(always)]
    fn write_u64(&mut self, i: u64) {
        self.absorb(i);
    }

    #[inline(always)]
    fn write_u128(&mut self, i: u128) {
        self.absorb(i as u64);
        self.absorb((i >> 64) as u64);
    }

    #[inline(always)]
    fn write_usize(&mut self, i: usize) {
        self.absorb(i as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::Hash;

    #[test]
    fn order_and_content_matter() {
        let of = |words: &[u64]| {
            let mut digest = Digest::new(1);
            for word in words {
                word.hash(&mut digest);
            }
            digest.finish()
        };
        assert_ne!(of(&[1, 2]), of(&[2, 1]));
        assert_ne!(of(&[1]), of(&[1, 0]));
        assert_eq!(of(&[1, 2, 3]), of(&[1, 2, 3]));
    }
}
