//! What goes wrong, as values: a list that somebody wrote, or rates that the dice turn into faults.

use crate::delay::Delay;
use crate::dice::Ratio;
use crate::id::{Label, NodeId};
use crate::network::Link;
use crate::time::{MILLIS, Nanos, SECONDS};

/// One fault that strikes at a time of the world.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// A node loses power: it stops, and what its disk had not synced is at risk.
    Crash {
        /// Which.
        node: NodeId,
        /// When.
        at: Nanos,
        /// After how long it starts again, if ever.
        down: Option<Nanos>,
    },
    /// A process dies and its machine lives on: volatile state is gone, everything written is kept.
    Kill {
        /// Which.
        node: NodeId,
        /// When.
        at: Nanos,
        /// After how long it starts again, if ever.
        down: Option<Nanos>,
    },
    /// A node does nothing for a while, and then finds everything that came in meanwhile.
    Pause {
        /// Which.
        node: NodeId,
        /// When.
        at: Nanos,
        /// For how long.
        span: Nanos,
    },
    /// A node handles everything later than it came.
    Slow {
        /// Which.
        node: NodeId,
        /// When.
        at: Nanos,
        /// For how long.
        span: Nanos,
        /// By how much later.
        lag: Nanos,
    },
    /// Nothing passes between two groups of nodes.
    Partition {
        /// The one side.
        left: Vec<NodeId>,
        /// The other side.
        right: Vec<NodeId>,
        /// Whether messages from right to left still pass.
        one_way: bool,
        /// When.
        at: Nanos,
        /// For how long.
        span: Nanos,
    },
    /// A partition that comes and goes.
    Flapping {
        /// The one side.
        left: Vec<NodeId>,
        /// The other side.
        right: Vec<NodeId>,
        /// When it begins.
        at: Nanos,
        /// When it is over.
        until: Nanos,
        /// How long each cut and each gap between cuts lasts.
        period: Nanos,
    },
    /// A link is another link for a while.
    Link {
        /// The sender.
        from: NodeId,
        /// The receiver.
        to: NodeId,
        /// When.
        at: Nanos,
        /// For how long.
        span: Nanos,
        /// What it is meanwhile.
        link: Link,
    },
    /// Certain messages have a fate that is written here.
    Message {
        /// The sender.
        from: NodeId,
        /// The receiver.
        to: NodeId,
        /// The word of the message's label.
        word: &'static str,
        /// Which of those messages in the order they are sent, from 0; all if `None`.
        nth: Option<u32>,
        /// The delays of its deliveries: none to lose it, two to duplicate it.
        fate: Vec<Nanos>,
    },
    /// A disk takes no more.
    DiskFull {
        /// Whose.
        node: NodeId,
        /// When.
        at: Nanos,
        /// For how long.
        span: Nanos,
    },
    /// Every sync of a disk fails.
    SyncFails {
        /// Whose.
        node: NodeId,
        /// When.
        at: Nanos,
        /// For how long.
        span: Nanos,
    },
    /// A clock is wrong from the start.
    Clock {
        /// Whose.
        node: NodeId,
        /// How far ahead it is.
        skew: Nanos,
        /// How fast it runs away, in parts per million.
        drift: i32,
    },
}

impl Fault {
    /// Its name in traces.
    pub fn label(&self) -> Label {
        Label::new(match self {
            Self::Crash { .. } => "crash",
            Self::Kill { .. } => "kill",
            Self::Pause { .. } => "pause",
            Self::Slow { .. } => "slow",
            Self::Partition { .. } => "partition",
            Self::Flapping { .. } => "flapping",
            Self::Link { .. } => "link",
            Self::Message { .. } => "message",
            Self::DiskFull { .. } => "disk full",
            Self::SyncFails { .. } => "sync fails",
            Self::Clock { .. } => "clock",
        })
    }
}

/// Rates that the dice turn into faults. Gaps between faults of a kind are exponential with the given mean;
/// a mean of 0 turns the kind off.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FaultRates {
    /// Mean time between the crashes of one node.
    pub crash_every: Nanos,
    /// How often a node crashes in the middle of handling an event, between two of its effects.
    pub crash_in_handler: Ratio,
    /// How long a crashed node stays down.
    pub downtime: Delay,
    /// The nodes that may crash; all if `None`.
    pub crash_nodes: Option<Vec<NodeId>>,
    /// Mean time between the pauses of one node.
    pub pause_every: Nanos,
    /// How long a pause lasts.
    pub pause_span: Delay,
    /// Mean time between the slow spells of one node.
    pub slow_every: Nanos,
    /// How long a slow spell lasts.
    pub slow_span: Delay,
    /// By how much a slow node is late.
    pub slow_lag: Delay,
    /// Mean time between partitions of the whole network into two random groups.
    pub partition_every: Nanos,
    /// How long a partition lasts.
    pub partition_span: Delay,
    /// How many of the partitions are one-way.
    pub partition_one_way: Ratio,
    /// How often a sync fails.
    pub sync_fails: Ratio,
    /// A node's clock is ahead by at most this.
    pub clock_skew_max: Nanos,
    /// A node's clock gains or loses at most this, in parts per million.
    pub clock_drift_max: u32,
}

impl FaultRates {
    /// Nothing goes wrong.
    pub const NONE: Self = Self {
        crash_every: 0,
        crash_in_handler: Ratio::ZERO,
        downtime: Delay::Exponential { min: 10 * MILLIS, mean: 200 * MILLIS },
        crash_nodes: None,
        pause_every: 0,
        pause_span: Delay::Uniform { min: 10 * MILLIS, max: SECONDS },
        slow_every: 0,
        slow_span: Delay::Uniform { min: 100 * MILLIS, max: SECONDS },
        slow_lag: Delay::Uniform { min: MILLIS, max: 100 * MILLIS },
        partition_every: 0,
        partition_span: Delay::Uniform { min: 10 * MILLIS, max: SECONDS },
        partition_one_way: Ratio::new(1, 3),
        sync_fails: Ratio::ZERO,
        clock_skew_max: 0,
        clock_drift_max: 0,
    };

    /// Whether any kind of fault strikes again and again.
    pub(crate) const fn strike_over_time(&self) -> bool {
        self.crash_every | self.pause_every | self.slow_every | self.partition_every > 0
    }
}

impl Default for FaultRates {
    fn default() -> Self {
        Self::NONE
    }
}

/// All that goes wrong in a run, in two phases: faults until `until`, and calm after it, in which every node
/// comes back that was not written to stay down, every cut heals, and the network is reliable. Progress can be
/// demanded of the calm.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FaultPlan {
    /// Faults that somebody wrote.
    pub list: Vec<Fault>,
    /// Faults that the dice make.
    pub rates: FaultRates,
    /// When the calm begins; `Nanos::MAX` for never. It also ends the loss, duplication, lateness and corruption of
    /// links, and what the list has for later does not strike. Clocks stay as they are.
    pub until: Nanos,
    /// Swarm testing (Groce et al., ISSTA 2012): each run draws which kinds of fault are on at all, network faults
    /// included, each with even odds. Runs with few kinds reach states that runs with all of them hide.
    pub swarm: bool,
}

impl Default for FaultPlan {
    fn default() -> Self {
        Self { list: Vec::new(), rates: FaultRates::NONE, until: Nanos::MAX, swarm: false }
    }
}

macro_rules! fault_counts {
    ($($(#[$doc:meta])* $field:ident: $words:literal,)*) => {
        /// How often each kind of fault happened in a run. A run whose faults never fired is not evidence.
        #[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
        pub struct FaultCounts {
            $($(#[$doc])* pub $field: u64,)*
        }

        impl FaultCounts {
            /// Each count with its name in words, in a fixed order.
            pub fn named(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$(($words, self.$field)),*].into_iter()
            }

            /// Adds the counts of another run.
            pub fn add(&mut self, other: &Self) {
                $(self.$field += other.$field;)*
            }
        }
    };
}

fault_counts! {
    /// Messages lost by the network.
    lost: "messages lost",
    /// Messages that arrived more than once.
    duplicated: "messages duplicated",
    /// Messages held back.
    late: "messages late",
    /// Messages damaged on the way.
    corrupted: "messages corrupted",
    /// Messages dropped because a link's queue was full.
    queue_full: "messages dropped by a full queue",
    /// Messages stopped by a partition.
    cut: "messages stopped by a partition",
    /// Messages that found their receiver down.
    receiver_down: "messages to a node that was down",
    /// Crashes between two events.
    crashes: "crashes",
    /// Crashes in the middle of a handler.
    crashes_in_handler: "crashes inside a handler",
    /// Restarts.
    restarts: "restarts",
    /// Pauses.
    pauses: "pauses",
    /// Slow spells.
    slow_spells: "slow spells",
    /// Partitions.
    partitions: "partitions",
    /// Links that were changed for a while.
    links_changed: "links changed",
    /// Connections that broke.
    connections_broken: "connections broken",
    /// Syncs that failed.
    syncs_failed: "syncs failed",
    /// Writes refused by a full disk.
    disk_full: "writes refused by a full disk",
    /// Unsynced changes that a crash lost.
    changes_lost: "unsynced changes lost",
    /// Clocks that are off.
    clocks_off: "clocks off",
}
