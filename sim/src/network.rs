//! The network: what can happen to a message between two nodes.
//!
//! A message is a datagram unless it travels on a connection. What becomes of it is its [`Fate`]: the delays
//! of its deliveries, none if it is lost, several if it is duplicated.

use std::collections::BTreeMap;

use crate::delay::Delay;
use crate::dice::{EventDice, Purpose, Ratio};
use crate::id::{EventId, NodeId};
use crate::time::{MILLIS, Nanos, SECONDS};

/// What happens when a message is damaged on the way.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub enum Corruption {
    /// The receiver notices and drops it.
    #[default]
    Detected,
    /// The receiver takes it for real, if [`crate::Message::corrupt`] finds a field to damage.
    Undetected,
}

/// A directed link.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Link {
    /// How long a message travels.
    pub delay: Delay,
    /// How often a message is lost.
    pub loss: Ratio,
    /// How often a message arrives twice.
    pub duplication: Ratio,
    /// How much later than the first the second copy arrives.
    pub duplication_delay: Delay,
    /// How often a message is held back, so that others overtake it.
    pub late: Ratio,
    /// How long it is held back, on top of its delay.
    pub late_delay: Delay,
    /// How often a message is damaged.
    pub corruption: Ratio,
    /// Whether the receiver notices.
    pub corruption_kind: Corruption,
    /// Bytes a second; 0 for no limit.
    pub bandwidth: u64,
    /// With a bandwidth: the longest time a message waits for its turn before it is dropped instead.
    pub queue: Nanos,
}

impl Link {
    /// 1 to 10 ms, and nothing goes wrong.
    pub const RELIABLE: Self = Self {
        delay: Delay::Uniform { min: MILLIS, max: 10 * MILLIS },
        loss: Ratio::ZERO,
        duplication: Ratio::ZERO,
        duplication_delay: Delay::ZERO,
        late: Ratio::ZERO,
        late_delay: Delay::ZERO,
        corruption: Ratio::ZERO,
        corruption_kind: Corruption::Detected,
        bandwidth: 0,
        queue: SECONDS,
    };

    /// Whether nothing goes wrong on it.
    #[inline(always)]
    pub(crate) const fn is_reliable(&self) -> bool {
        self.loss.num | self.duplication.num | self.late.num | self.corruption.num == 0
    }

    /// This link with nothing going wrong on it.
    pub const fn calm(self) -> Self {
        Self {
            loss: Ratio::ZERO,
            duplication: Ratio::ZERO,
            late: Ratio::ZERO,
            corruption: Ratio::ZERO,
            ..self
        }
    }
}

impl Default for Link {
    fn default() -> Self {
        Self::RELIABLE
    }
}

/// The links between all nodes.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Network {
    /// The link between any two nodes that have none of their own.
    pub default: Link,
    /// Links that differ, by sender and receiver.
    pub links: BTreeMap<(NodeId, NodeId), Link>,
}

impl Network {
    /// The same link everywhere.
    pub fn uniform(default: Link) -> Self {
        Self { default, links: BTreeMap::new() }
    }

    /// The link from one node to another.
    #[inline(always)]
    pub fn link(&self, from: NodeId, to: NodeId) -> &Link {
        if self.links.is_empty() {
            return &self.default;
        }
        self.links.get(&(from, to)).unwrap_or(&self.default)
    }

    pub(crate) fn for_each_link(&mut self, mut change: impl FnMut(&mut Link)) {
        change(&mut self.default);
        self.links.values_mut().for_each(change);
    }
}

/// What becomes of one message: the delay of each delivery, and whether it arrives damaged.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Fate {
    delays: [Nanos; 2],
    count: u8,
    late: bool,
    corrupt: bool,
}

impl Fate {
    /// The delays of the deliveries: none if it is lost, two if it is duplicated.
    #[inline(always)]
    pub fn deliveries(&self) -> &[Nanos] {
        match self.count {
            0 => &[],
            1 => &self.delays[..1],
            _ => &self.delays,
        }
    }

    /// Whether it was held back.
    #[inline(always)]
    pub const fn is_late(&self) -> bool {
        self.late
    }

    /// Whether it is damaged on the way.
    #[inline(always)]
    pub const fn is_corrupt(&self) -> bool {
        self.corrupt
    }

    /// The fate of a message on `link`, by its dice.
    #[inline(always)]
    pub(crate) fn throw(link: &Link, dice: EventDice) -> Self {
        if dice.chance(Purpose::LOSS, link.loss) {
            return Self::default();
        }
        let mut fate = Self::throw_calm(link, dice);
        if dice.chance(Purpose::LATE, link.late) {
            fate.late = true;
            fate.put_off(link.late_delay.sample(dice.bits(Purpose::LATE_DELAY)));
        }
        if dice.chance(Purpose::DUPLICATE, link.duplication) {
            let after = link.duplication_delay.sample(dice.bits(Purpose::DUPLICATE_DELAY));
            fate.delays[1] = fate.delays[0].saturating_add(after);
            fate.count = 2;
        }
        fate.corrupt = dice.chance(Purpose::CORRUPT, link.corruption);
        fate
    }

    /// The delay of a message that is neither lost nor held back.
    #[inline(always)]
    pub(crate) fn delay(link: &Link, dice: EventDice) -> Nanos {
        link.delay.sample(dice.bits(Purpose::DELAY))
    }

    /// The same in the calm, when nothing goes wrong on any link.
    #[inline(always)]
    pub(crate) fn throw_calm(link: &Link, dice: EventDice) -> Self {
        Self { delays: [Self::delay(link, dice), 0], count: 1, late: false, corrupt: false }
    }

    /// Loses it, whatever the dice said.
    pub(crate) const fn lose(&mut self) {
        self.count = 0;
    }

    /// Whatever the dice said, it is not damaged.
    pub(crate) const fn mend(&mut self) {
        self.corrupt = false;
    }

    /// Makes all deliveries later.
    pub(crate) fn put_off(&mut self, by: Nanos) {
        for delay in &mut self.delays {
            *delay = delay.saturating_add(by);
        }
    }
}

/// A set of nodes.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct NodeSet(Vec<u64>);

impl NodeSet {
    pub(crate) fn insert(&mut self, node: NodeId) {
        let word = node.index() / 64;
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (node.index() % 64);
    }

    pub(crate) fn contains(&self, node: NodeId) -> bool {
        self.0.get(node.index() / 64).is_some_and(|word| word >> (node.index() % 64) & 1 == 1)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = NodeId> + '_ {
        (0..self.0.len() as u32 * 64).map(NodeId).filter(|node| self.contains(*node))
    }
}

impl FromIterator<NodeId> for NodeSet {
    fn from_iter<I: IntoIterator<Item = NodeId>>(nodes: I) -> Self {
        let mut set = Self::default();
        nodes.into_iter().for_each(|node| set.insert(node));
        set
    }
}

/// A partition in force: nothing passes from `left` to `right`, nor back unless it is one-way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Cut {
    pub(crate) fault: EventId,
    pub(crate) left: NodeSet,
    pub(crate) right: NodeSet,
    pub(crate) one_way: bool,
}

impl Cut {
    pub(crate) fn separates(&self, from: NodeId, to: NodeId) -> bool {
        self.left.contains(from) && self.right.contains(to)
            || !self.one_way && self.left.contains(to) && self.right.contains(from)
    }
}
