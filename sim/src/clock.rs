//! A node's own clock: off by some skew, and running a little fast or slow.

use crate::time::Nanos;

/// A node's clock. `Clock::default()` is a true one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Clock {
    /// How far it is ahead when the world begins, in nanoseconds.
    pub skew: Nanos,
    /// How many nanoseconds it gains in a second, divided by 1,000 (parts per million); negative if slow.
    pub drift: i32,
}

impl Clock {
    pub(crate) const TRUE: Self = Self { skew: 0, drift: 0 };
    const MILLION: i128 = 1_000_000;

    /// What this clock shows at a time of the world.
    #[inline(always)]
    pub fn read(self, world: Nanos) -> Nanos {
        if self.drift == 0 {
            return world.saturating_add(self.skew);
        }
        let gained = i128::from(world) * i128::from(self.drift) / Self::MILLION;
        (i128::from(world) + i128::from(self.skew) + gained).clamp(0, i128::from(u64::MAX)) as u64
    }

    /// How much time of the world passes while this clock advances by `span`.
    #[inline(always)]
    pub fn wait(self, span: Nanos) -> Nanos {
        if self.drift == 0 {
            return span;
        }
        let rate = Self::MILLION + i128::from(self.drift);
        (i128::from(span) * Self::MILLION / rate.max(1)).clamp(0, i128::from(u64::MAX)) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::SECONDS;

    #[test]
    fn a_fast_clock_shows_more_and_waits_less() {
        let fast = Clock { skew: 5, drift: 200_000 };
        assert_eq!(fast.read(10 * SECONDS), 12 * SECONDS + 5);
        assert_eq!(fast.wait(12 * SECONDS), 10 * SECONDS);
        assert_eq!(Clock::default().read(7), 7);
        assert_eq!(Clock { skew: 0, drift: -500_000 }.wait(SECONDS), 2 * SECONDS);
    }
}
