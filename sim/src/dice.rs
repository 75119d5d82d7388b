//! Dice by identity: a decision is a function of the seed, the event it is about, and what it decides.
//!
//! There is no stream to draw from, so no draw can move another (Salmon et al., "Parallel random numbers: as
//! easy as 1, 2, 3", SC 2011). `rand_chacha` turns the seed into keys once a run; a throw is one multiplication of
//! two words, each made of a key, id and purpose, and costs less than a nanosecond.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::id::EventId;

/// What a die decides. The numbers are part of the dice scheme: never reuse one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Purpose(pub u64);

impl Purpose {
    /// Which of the events at one instant comes first.
    pub const TIE: Self = Self(1);
    /// Whether a message is lost.
    pub const LOSS: Self = Self(2);
    /// How long a message travels.
    pub const DELAY: Self = Self(3);
    /// Whether a message arrives twice.
    pub const DUPLICATE: Self = Self(4);
    /// How much later the second copy arrives.
    pub const DUPLICATE_DELAY: Self = Self(5);
    /// Whether a message is held back.
    pub const LATE: Self = Self(6);
    /// How long it is held back.
    pub const LATE_DELAY: Self = Self(7);
    /// Whether a message is damaged on the way.
    pub const CORRUPT: Self = Self(8);
    /// How it is damaged.
    pub const DAMAGE: Self = Self(9);
    /// Whether the node crashes while it handles this event.
    pub const CRASH: Self = Self(10);
    /// After how many effects of the handler it crashes.
    pub const CRASH_AT: Self = Self(11);
    /// How long it stays down.
    pub const DOWNTIME: Self = Self(12);
    /// When the next fault of a kind strikes.
    pub const FAULT_GAP: Self = Self(13);
    /// How long a fault lasts.
    pub const FAULT_SPAN: Self = Self(14);
    /// Who is struck: the cut of a partition, the victim among nodes.
    pub const FAULT_VICTIM: Self = Self(15);
    /// Whether a kind of fault is on at all in this run.
    pub const SWARM: Self = Self(16);
    /// How long a sync takes.
    pub const SYNC_DELAY: Self = Self(17);
    /// Whether a sync fails.
    pub const SYNC_FAILS: Self = Self(18);
    /// How much of the unsynced tail a crash keeps.
    pub const DISK_KEPT: Self = Self(19);
    /// How much of the last write survives in part.
    pub const DISK_TORN: Self = Self(20);
    /// A node's clock offset.
    pub const CLOCK_SKEW: Self = Self(21);
    /// A node's clock drift.
    pub const CLOCK_DRIFT: Self = Self(22);
    /// How often a segment of a connection is sent again.
    pub const RETRANSMIT: Self = Self(23);
    /// The process's own randomness.
    pub const PROCESS: Self = Self(24);

    /// A task's priority.
    pub const PRIORITY: Self = Self(25);
    /// Whether a task is put behind all others before a step, and how far.
    pub const PUT_BEHIND: Self = Self(26);

    /// The `index`th die of this purpose for one event.
    #[inline(always)]
    pub const fn nth(self, index: u32) -> Self {
        Self(self.0 | ((index as u64) << 16))
    }
}

/// A probability as a ratio of integers: `num` times out of `den`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ratio {
    /// How many times ...
    pub num: u32,
    /// ... out of how many. At least 1.
    pub den: u32,
}

impl Ratio {
    /// Never.
    pub const ZERO: Self = Self { num: 0, den: 1 };
    /// Always.
    pub const ONE: Self = Self { num: 1, den: 1 };

    /// `num` times out of `den`.
    ///
    /// # Panics
    /// If `den` is 0.
    pub const fn new(num: u32, den: u32) -> Self {
        assert!(den > 0, "a ratio needs a denominator of at least 1");
        Self { num, den }
    }

    /// So many percent.
    pub const fn percent(num: u32) -> Self {
        Self::new(num, 100)
    }

    /// Whether it can never come true.
    #[inline(always)]
    pub const fn is_zero(self) -> bool {
        self.num == 0
    }
}

/// The dice of one run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Dice {
    keys: [u64; 3],
}

impl Dice {
    /// Dice that nobody throws.
    pub(crate) const NONE: Self = Self { keys: [0; 3] };

    /// The dice that belong to a seed.
    pub fn new(seed: u64) -> Self {
        let mut stream = ChaCha8Rng::seed_from_u64(seed);
        Self { keys: [stream.next_u64(), stream.next_u64(), stream.next_u64()] }
    }

    /// The dice for decisions about one event.
    #[inline(always)]
    pub const fn of(&self, id: EventId) -> EventDice {
        EventDice {
            root: EventId::fold(id.0 ^ self.keys[0], id.0.rotate_left(32) ^ self.keys[1]),
            key: self.keys[1],
        }
    }

    /// The order of this event among those at the same instant. One mixing round: it is thrown for every event.
    #[inline(always)]
    pub(crate) const fn tie(&self, id: EventId) -> u32 {
        (EventId::fold(id.0 ^ self.keys[2], id.0 ^ self.keys[1]) >> 32) as u32
    }
}

/// The dice of one event: one die for each purpose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EventDice {
    root: u64,
    key: u64,
}

impl EventDice {
    /// 64 uniform bits.
    #[inline(always)]
    pub const fn bits(self, purpose: Purpose) -> u64 {
        // A purpose is known where it is named: its own multiplication costs nothing.
        let step = purpose.0.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32);
        let left = self.root.wrapping_add(step);
        EventId::fold(left, left ^ self.key)
    }

    /// A uniform number below `bound`; 0 if `bound` is 0.
    #[inline(always)]
    pub const fn below(self, purpose: Purpose, bound: u64) -> u64 {
        ((self.bits(purpose) as u128 * bound as u128) >> 64) as u64
    }

    /// True with probability `ratio`.
    #[inline(always)]
    pub const fn chance(self, purpose: Purpose, ratio: Ratio) -> bool {
        ratio.num != 0 && self.below(purpose, ratio.den as u64) < ratio.num as u64
    }
}

/// The name and version of the rule by which decisions follow from seed, id and purpose.
pub const DICE_SCHEME: &str = "chacha8-folded-3";
