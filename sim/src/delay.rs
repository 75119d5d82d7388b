//! How long things take: distributions over whole nanoseconds, sampled from one die with integers only.

use crate::time::Nanos;

/// A distribution of time spans.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Delay {
    /// Always the same.
    Constant(Nanos),
    /// Every span from `min` to `max`, both included, alike. `min` must not exceed `max`.
    Uniform {
        /// The shortest.
        min: Nanos,
        /// The longest.
        max: Nanos,
    },
    /// `min` and an exponentially distributed rest: what a memoryless source gives.
    Exponential {
        /// The shortest.
        min: Nanos,
        /// The mean of the rest.
        mean: Nanos,
    },
    /// A Pareto tail of index 1 that starts at `min` and is cut at `max`: half of the spans are below
    /// `2 * min`, one in a thousand is above `1000 * min`.
    LongTail {
        /// The shortest. At least 1.
        min: Nanos,
        /// The longest.
        max: Nanos,
    },
}

impl Delay {
    /// No time at all.
    pub const ZERO: Self = Self::Constant(0);

    /// The span that 64 uniform bits stand for.
    #[inline]
    pub fn sample(self, bits: u64) -> Nanos {
        match self {
            Self::Constant(span) => span,
            Self::Uniform { min, max } => Span::new(min, max).sample(bits),
            Self::Exponential { min, mean } => min.saturating_add(exponential(bits, mean)),
            Self::LongTail { min, max } => {
                let uniform = (bits >> 32).max(1);
                (((u128::from(min)) << 32) / u128::from(uniform)).min(u128::from(max)) as u64
            }
        }
    }

    /// The span of which every length is alike, if it is such a distribution.
    pub(crate) const fn span(self) -> Option<Span> {
        match self {
            Self::Constant(span) => Some(Span::new(span, span)),
            Self::Uniform { min, max } => Some(Span::new(min, max)),
            Self::Exponential { .. } | Self::LongTail { .. } => None,
        }
    }

    /// No sample is shorter than this.
    pub const fn min(self) -> Nanos {
        match self {
            Self::Constant(span) => span,
            Self::Uniform { min, .. } | Self::Exponential { min, .. } | Self::LongTail { min, .. } => min,
        }
    }

    /// No sample is longer than this. An exponential span is at most 45 means, because a die has 64 bits.
    pub const fn max(self) -> Nanos {
        match self {
            Self::Constant(span) => span,
            Self::Uniform { max, .. } | Self::LongTail { max, .. } => max,
            Self::Exponential { min, mean } => min.saturating_add(mean.saturating_mul(45)),
        }
    }
}

/// A uniform distribution, ready to be sampled often.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    min: Nanos,
    width: u64,
}

impl Span {
    const fn new(min: Nanos, max: Nanos) -> Self {
        Self { min, width: max.saturating_sub(min).saturating_add(1) }
    }

    #[inline(always)]
    pub(crate) const fn sample(self, bits: u64) -> Nanos {
        self.min + ((bits as u128 * self.width as u128) >> 64) as u64
    }
}

/// `-ln(u) * mean` for `u` = `bits / 2^64`: leading zeros give the power of two, a table the rest.
fn exponential(bits: u64, mean: Nanos) -> Nanos {
    let bits = bits.max(1);
    let zeros = bits.leading_zeros();
    let fraction = (bits << zeros) << 1;
    let index = (fraction >> 56) as usize;
    let between = (fraction >> 24) & 0xffff_ffff;
    let (low, high) = (LN_TABLE[index], LN_TABLE[index + 1]);
    let ln_mantissa = low + (((high - low) * between) >> 32);
    let minus_ln = u64::from(zeros + 1) * LN_TABLE[256] - ln_mantissa;
    ((u128::from(mean) * u128::from(minus_ln)) >> 32).min(u128::from(u64::MAX)) as u64
}

/// `ln(1 + i/256)` in units of 2^-32, for `i` from 0 to 256.
static LN_TABLE: [u64; 257] = ln_table();

const fn ln_table() -> [u64; 257] {
    const LN_2: u128 = 2_977_044_472; // ln(2) * 2^32, rounded
    let mut table = [0; 257];
    let mut i = 0;
    while i < 257 {
        table[i] = ((log2(256 + i as u64) * LN_2) >> 32) as u64;
        i += 1;
    }
    table
}

/// `log2(x / 256)` in units of 2^-32 for `x` from 256 to 512, one bit of the result a squaring.
const fn log2(x: u64) -> u128 {
    if x == 512 {
        return 1 << 32;
    }
    let mut square = (x as u128) << 54; // in units of 2^-62
    let mut result = 0;
    let mut bit = 32;
    while bit > 0 {
        bit -= 1;
        square = (square * square) >> 62;
        if square >= 2 << 62 {
            square >>= 1;
            result |= 1 << bit;
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logarithm_table_is_right_to_nine_digits() {
        assert_eq!(LN_TABLE[0], 0);
        assert_eq!(LN_TABLE[256], 2_977_044_472);
        let ln_one_and_a_half = 1_741_459_379_u64; // ln(1.5) * 2^32
        assert!(LN_TABLE[128].abs_diff(ln_one_and_a_half) <= 2, "{}", LN_TABLE[128]);
    }

    #[test]
    fn an_exponential_span_has_its_mean_and_its_median() {
        let delay = Delay::Exponential { min: 0, mean: 1_000_000 };
        let samples: Vec<u64> = (0..1 << 16).map(|i| delay.sample((i << 48) | (1 << 47))).collect();
        let mean = samples.iter().sum::<u64>() / samples.len() as u64;
        assert!(mean.abs_diff(1_000_000) < 500, "{mean}");
        let below_ln_2 = samples.iter().filter(|s| **s < 693_147).count();
        assert!(below_ln_2.abs_diff(1 << 15) < 4, "{below_ln_2}");
        assert!(delay.sample(0) <= delay.max());
    }

    #[test]
    fn bounds_are_kept_and_reached() {
        for delay in [
            Delay::Constant(7),
            Delay::Uniform { min: 3, max: 9 },
            Delay::Exponential { min: 5, mean: 100 },
            Delay::LongTail { min: 10, max: 5_000 },
        ] {
            for bits in [0, 1, u64::MAX / 2, u64::MAX - 1, u64::MAX] {
                let span = delay.sample(bits);
                assert!((delay.min()..=delay.max()).contains(&span), "{delay:?} {bits} {span}");
            }
        }
        assert_eq!(Delay::Uniform { min: 3, max: 9 }.sample(u64::MAX), 9);
        assert_eq!(Delay::Uniform { min: 3, max: 9 }.sample(0), 3);
        assert_eq!(Delay::LongTail { min: 10, max: 5_000 }.sample(0), 5_000);
    }
}
