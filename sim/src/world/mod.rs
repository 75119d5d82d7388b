//! The world: a value with one transition.
//!
//! [`World::fire`] handles one pending event: it asks the node's process for effects and applies them. Whoever
//! drives the world only chooses which event is next: the earliest ([`World::step`], [`World::run`]), or any
//! other.

mod ahead;
mod apply;
mod choose;
mod deliver;
mod node;
mod strike;

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::context::{Context, Own};
use crate::delay::{Delay, Span};
use crate::dice::{Dice, Purpose};
use crate::digest::Digest;
use crate::disk::{Disk, SyncUnderWay};
use crate::fault::{FaultCounts, FaultPlan};
use crate::id::{EventId, Kind, Label, NodeId};
use crate::message::Message;
use crate::network::{Cut, Link, Network};
use crate::observe::{Observer, Record, Stamp};
use crate::overrides::Overrides;
use crate::process::Process;
use crate::queue::{Queue, Surfaced, Taken};
use crate::schedule::{Priorities, Schedule, Touch, Watch};
use crate::stream::{ConnectionId, Packet};
use crate::time::{MILLIS, Nanos, SECONDS};

pub(crate) use ahead::{fetch_around, fetch_ends};
pub use choose::Candidate;
use node::Node;
pub use strike::RateKind;
use strike::Swarm;

/// Everything about a world that is not the protocol, the seed or an override.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// How many nodes there are.
    pub nodes: u32,
    /// What they are called in what a run reports; a node without a name is called by its number.
    pub names: Vec<String>,
    /// The network between them.
    pub network: Network,
    /// What goes wrong.
    pub faults: FaultPlan,
    /// How long a sync of a disk takes.
    pub sync_delay: Delay,
    /// Which of several runnable tasks goes next.
    pub schedule: Schedule,
    /// When a run that does not end by itself is ended.
    pub limits: Limits,
}

impl Config {
    /// A reliable network of so many nodes, and no faults.
    pub fn new(nodes: u32) -> Self {
        Self {
            nodes,
            names: Vec::new(),
            network: Network::default(),
            faults: FaultPlan::default(),
            schedule: Schedule::default(),
            sync_delay: Delay::Uniform { min: MILLIS, max: 5 * MILLIS },
            limits: Limits::default(),
        }
    }
}

/// When a run that does not end by itself is ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Limits {
    /// No event after this time is fired.
    pub time: Nanos,
    /// A run with more events than this is a livelock.
    pub steps: u64,
    /// More events than this at one instant are a livelock.
    pub steps_at_once: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { time: 3_600 * SECONDS, steps: 10_000_000, steps_at_once: 1_000_000 }
    }
}

/// How a run ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// Nothing was pending any more.
    Quiet,
    /// The next event lay beyond the limit of time.
    TimeLimit,
    /// There were too many events: a livelock, which is a violation.
    Livelock,
    /// A violation ended it.
    Violated,
}

/// A property that did not hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// The property.
    pub property: String,
    /// What happened, in words.
    pub detail: String,
    /// The events that show it.
    pub evidence: Vec<EventId>,
    /// When it was found.
    pub time: Nanos,
}

/// What is going to happen.
#[derive(Clone, Debug)]
pub(crate) enum Pending<M: Message> {
    Boot {
        node: NodeId,
    },
    Deliver {
        from: NodeId,
        to: NodeId,
        message: M,
        corrupt: bool,
    },
    /// With the code of the label.
    Timer {
        node: NodeId,
        label: Label,
        code: u64,
    },
    Synced {
        node: NodeId,
        incarnation: u32,
        sync: Box<SyncUnderWay>,
    },
    Packet(Box<InFlight<M>>),
    /// The fault of the plan's list with this index begins.
    Listed {
        index: u32,
        repeat: u32,
    },
    /// A fault of this kind, made by the dice, strikes this node (or all, for partitions).
    Rated {
        kind: RateKind,
        node: NodeId,
        ordinal: u32,
    },
    /// What a fault did is undone.
    Heal {
        index: Healing,
    },
}

#[derive(Clone, Debug)]
pub(crate) struct InFlight<M> {
    from: NodeId,
    to: NodeId,
    connection: ConnectionId,
    packet: Packet<M>,
}

/// What ends when a fault is over.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Healing {
    Slow(NodeId),
    Cut(EventId),
    Link(NodeId, NodeId, EventId),
    DiskFull(NodeId),
    SyncFails(NodeId),
}

impl<M: Message> Pending<M> {
    /// The node whose handler this event would run, if it is one.
    const fn handled_by(&self) -> Option<NodeId> {
        match self {
            Self::Deliver { to, .. } => Some(*to),
            Self::Timer { node, .. } | Self::Synced { node, .. } => Some(*node),
            Self::Packet(in_flight) => Some(in_flight.to),
            Self::Boot { .. } | Self::Listed { .. } | Self::Rated { .. } | Self::Heal { .. } => None,
        }
    }
}

/// An event taken out of the world, to be fired in it.
#[derive(Clone, Debug)]
pub struct Event<M: Message>(Taken<Pending<M>>);

impl<M: Message> Event<M> {
    /// Its id.
    pub const fn id(&self) -> EventId {
        self.0.id
    }

    /// The time it was due.
    pub const fn due(&self) -> Nanos {
        self.0.time
    }
}

type Boot<P> = Arc<dyn Fn(NodeId) -> P + Send + Sync>;

/// A cluster in a glass ball.
pub struct World<P: Process> {
    config: Arc<Config>,
    boot: Boot<P>,
    seed: u64,
    dice: Dice,
    overrides: Overrides,
    now: Nanos,
    nodes: Vec<Node<P>>,
    queue: Queue<Pending<P::Message>>,
    /// The network as this run has it: without the kinds of fault that the swarm turned off.
    network: Network,
    /// How long every message travels, if one die decides it and nothing else can happen on any link.
    reliable: Option<Span>,
    /// Whether the plan, an override or a partition has its say too.
    network_is_disturbed: bool,
    /// Whether a node was ever paused or slow in this run.
    nodes_are_disturbed: bool,
    /// When the faults end: the plan's `until`.
    calm_from: Nanos,
    limits: Limits,
    /// Whether the dice or an override may crash a node in the middle of a handler.
    crashes_in_handlers: bool,
    /// The links that faults changed for now, the latest last.
    changed: Vec<(EventId, (NodeId, NodeId), Link)>,
    /// The partitions in force.
    cuts: Vec<Cut>,
    /// Since when each link with a bandwidth is busy, and until when.
    busy: std::collections::BTreeMap<(NodeId, NodeId), Nanos>,
    /// How many messages each `Fault::Message` of the plan has seen.
    targeted: Vec<u32>,
    swarm: Swarm,
    context: Context<P::Message>,
    digest: Digest,
    counts: FaultCounts,
    violation: Option<Violation>,
    /// What was violated without ending the run.
    findings: Vec<Violation>,
    /// Where tasks have priorities: those that have lost theirs, and how far behind they are now. An entry belongs to
    /// its node, and only a step of that task changes it.
    put_behind: std::collections::BTreeMap<(NodeId, u64), u32>,
    steps: u64,
    /// How many steps there were before the first event at the time that it is now.
    instant_began: u64,
    /// With fewer steps than this, no limit of steps is reached.
    ask_limits_at: u64,
    /// Other dice that are waiting for their time. Meanwhile the limit of time stands before it.
    rekey: Option<Rekey>,
    /// The seed that the dice belong to: not the world's own once they were thrown anew.
    dice_seed: u64,
}

/// The dice of another seed, for the events of a later time.
#[derive(Clone, Copy, Debug)]
struct Rekey {
    seed: u64,
    /// The run's own limit of time.
    limit: Nanos,
}

impl<P: Process + Clone> Clone for World<P> {
    fn clone(&self) -> Self {
        Self {
            config: Arc::clone(&self.config),
            boot: Arc::clone(&self.boot),
            seed: self.seed,
            dice: self.dice,
            overrides: self.overrides.clone(),
            now: self.now,
            nodes: self.nodes.clone(),
            queue: self.queue.clone(),
            network: self.network.clone(),
            reliable: self.reliable,
            network_is_disturbed: self.network_is_disturbed,
            nodes_are_disturbed: self.nodes_are_disturbed,
            calm_from: self.calm_from,
            limits: self.limits,
            crashes_in_handlers: self.crashes_in_handlers,
            changed: self.changed.clone(),
            cuts: self.cuts.clone(),
            busy: self.busy.clone(),
            targeted: self.targeted.clone(),
            swarm: self.swarm,
            context: self.context.clone(),
            digest: self.digest,
            counts: self.counts,
            violation: self.violation.clone(),
            findings: self.findings.clone(),
            put_behind: self.put_behind.clone(),
            steps: self.steps,
            instant_began: self.instant_began,
            ask_limits_at: self.ask_limits_at,
            rekey: self.rekey,
            dice_seed: self.dice_seed,
        }
    }
}

impl<P: Process> fmt::Debug for World<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World")
            .field("seed", &self.seed)
            .field("now", &self.now)
            .field("steps", &self.steps)
            .finish_non_exhaustive()
    }
}

impl<P: Process> World<P> {
    /// A world whose nodes are about to boot. `boot` is called at each start of a node, the first and every later one.
    pub fn new(
        config: impl Into<Arc<Config>>,
        seed: u64,
        boot: impl Fn(NodeId) -> P + Send + Sync + 'static,
    ) -> Self {
        let dice = Dice::new(seed);
        let config = config.into();
        let mut world = Self {
            boot: Arc::new(boot),
            seed,
            dice,
            overrides: Overrides::default(),
            now: 0,
            nodes: Vec::new(),
            queue: Queue::new(),
            network: Network::default(),
            reliable: None,
            network_is_disturbed: false,
            nodes_are_disturbed: false,
            calm_from: config.faults.until,
            limits: config.limits,
            crashes_in_handlers: false,
            changed: Vec::new(),
            cuts: Vec::new(),
            busy: std::collections::BTreeMap::new(),
            targeted: Vec::new(),
            swarm: Swarm::ALL,
            context: Context::new(dice),
            digest: Digest::new(seed),
            counts: FaultCounts::default(),
            violation: None,
            findings: Vec::new(),
            put_behind: std::collections::BTreeMap::new(),
            steps: 0,
            instant_began: 0,
            ask_limits_at: 0,
            rekey: None,
            dice_seed: seed,
            config,
        };
        world.context.recording.schedule = world.config.schedule;
        world.reset(seed, Overrides::default());
        world
    }

    /// Begins another run in the memory of this one.
    pub fn reset(&mut self, seed: u64, overrides: Overrides) {
        self.begin(seed, seed, overrides);
    }

    /// Begins the run of a seed with the dice of another, or of the same.
    fn begin(&mut self, seed: u64, dice_seed: u64, overrides: Overrides) {
        self.seed = seed;
        self.take_dice_of(dice_seed);
        self.overrides = overrides;
        self.crashes_in_handlers =
            !self.overrides.is_empty() || !self.config.faults.rates.crash_in_handler.is_zero();
        self.now = 0;
        self.queue.clear();
        self.changed.clear();
        self.cuts.clear();
        self.busy.clear();
        self.context.reset();
        self.context.recording.own = Own::default();
        self.context.recording.node = NodeId(0);
        self.context.recording.dice = self.dice;
        self.digest = Digest::new(seed);
        self.counts = FaultCounts::default();
        self.violation = None;
        self.findings.clear();
        self.put_behind.clear();
        self.steps = 0;
        self.instant_began = 0;
        self.ask_limits_at = 0;
        self.rekey = None;
        self.limits = self.config.limits;
        self.nodes_are_disturbed = false;
        self.begin_faults();
        self.begin_nodes();
    }

    /// From the first event at `time` or later on, every decision is thrown with the dice of another seed: what would
    /// have become of this run had all been left to chance again. From 0 on, that includes what is drawn before the first
    /// event. To be called after [`World::reset`]; overrides stay, and so do decisions that were made before, such as
    /// when a message under way arrives. Of a world that is driven by [`World::take`] the dice stay as they are.
    pub fn rekey_from(&mut self, time: Nanos, seed: u64) {
        // Nothing is asked of each event for this: the limit of time, which is asked of each, comes sooner.
        let limit = self.rekey.map_or(self.limits.time, |rekey| rekey.limit);
        if (1..=limit).contains(&time) {
            self.rekey = Some(Rekey { seed, limit });
            self.limits.time = time - 1;
        } else if time == 0 {
            // What was drawn before the first event, too: the kinds of fault, the clocks, the first fault of each kind.
            let overrides = std::mem::take(&mut self.overrides);
            self.begin(self.seed, seed, overrides);
        }
    }

    /// Makes the dice of a seed, unless they are at hand: that takes as long as some dozen events.
    fn take_dice_of(&mut self, seed: u64) {
        if self.dice_seed != seed {
            self.dice_seed = seed;
            self.dice = Dice::new(seed);
        }
    }

    fn throw_anew(&mut self, seed: u64) {
        self.take_dice_of(seed);
        self.context.recording.dice = self.dice;
    }

    fn begin_nodes(&mut self) {
        let count = self.config.nodes;
        self.nodes.clear();
        self.nodes.reserve_exact(count as usize);
        self.queue.reserve(count as usize);
        for node in (0..count).map(NodeId) {
            let clock = self.clock_of(node);
            self.nodes.push(Node::new(clock));
            let id = EventId::boot(node, 0);
            self.schedule(0, id, EventId::ROOT, || Pending::Boot { node });
        }
    }

    /// Fires the earliest pending event, unless the run has ended.
    ///
    /// # Errors
    /// How the run ended.
    pub fn step<O: Observer<P::Message>>(&mut self, observer: &mut O) -> Result<(), Ending> {
        if self.violation.is_some() { Err(Ending::Violated) } else { self.step_unviolated(observer) }
    }

    #[inline(always)]
    fn step_unviolated<O: Observer<P::Message>>(&mut self, observer: &mut O) -> Result<(), Ending> {
        let Some(surfaced) = self.queue.pop() else { return Err(self.end_quietly(observer)) };
        if surfaced.time > self.now {
            if surfaced.time > self.limits.time {
                return self.step_beyond_limit(surfaced, observer);
            }
            self.now = surfaced.time;
            self.instant_began = self.steps;
        }
        // Whoever is called on the way to what happens rarely does not come back: the compiler may then keep what it knows.
        if self.steps >= self.ask_limits_at {
            return self.step_at_limit(surfaced, observer);
        }
        self.fire_surfaced(surfaced, observer);
        if self.violation.is_some() { Err(Ending::Violated) } else { Ok(()) }
    }

    /// Fires an event beyond the limit of time only if that limit was there to change the dice before it.
    #[cold]
    #[inline(never)]
    fn step_beyond_limit<O: Observer<P::Message>>(
        &mut self,
        surfaced: Surfaced,
        observer: &mut O,
    ) -> Result<(), Ending> {
        if let Some(Rekey { seed, limit }) = self.rekey.take() {
            self.limits.time = limit;
            self.throw_anew(seed);
            if surfaced.time <= limit {
                self.now = surfaced.time;
                self.instant_began = self.steps;
                return self.step_at_limit(surfaced, observer);
            }
        }
        Err(self.meet_limit(surfaced, observer))
    }

    /// Fires an event unless there were too many, in all or at this instant.
    #[cold]
    #[inline(never)]
    fn step_at_limit<O: Observer<P::Message>>(
        &mut self,
        surfaced: Surfaced,
        observer: &mut O,
    ) -> Result<(), Ending> {
        let Limits { steps, steps_at_once, .. } = self.limits;
        // An instant that begins later can only put this off.
        self.ask_limits_at = steps.min(self.instant_began.saturating_add(steps_at_once));
        if self.steps >= self.ask_limits_at {
            return Err(self.meet_limit(surfaced, observer));
        }
        self.fire_surfaced(surfaced, observer);
        if self.violation.is_some() { Err(Ending::Violated) } else { Ok(()) }
    }

    /// Steps until the run ends. A panic in a process ends it as a violation of the property `panic`.
    pub fn run<O: Observer<P::Message>>(&mut self, observer: &mut O) -> Ending {
        self.run_while(observer, |_| None)
    }

    /// Steps until the run ends, and asks `invariant` after each step for a violation it sees.
    pub fn run_while<O: Observer<P::Message>>(
        &mut self,
        observer: &mut O,
        mut invariant: impl FnMut(&Self) -> Option<Violation>,
    ) -> Ending {
        // The world is not used after a panic but to be read and reset, and both are sound at any point.
        let outcome = catch_unwind(AssertUnwindSafe(|| self.run_unguarded(observer, &mut invariant)));
        match outcome {
            Ok(ending) => ending,
            Err(payload) => self.blame_panic(payload.as_ref(), observer),
        }
    }

    /// A function of its own, so that the compiler knows that nothing else holds the world while it runs.
    #[inline(never)]
    fn run_unguarded<O: Observer<P::Message>>(
        &mut self,
        observer: &mut O,
        invariant: &mut impl FnMut(&Self) -> Option<Violation>,
    ) -> Ending {
        if self.violation.is_some() {
            return Ending::Violated;
        }
        loop {
            if let Err(ending) = self.step_unviolated(observer) {
                return ending;
            }
            if let Some(violation) = invariant(self) {
                self.violate(violation, observer);
                return Ending::Violated;
            }
        }
    }

    /// Takes a pending event out of the world, to [`World::fire`] it before its time or before others. A timer that was
    /// taken is not pending: what cancels it, sets it anew, or crashes its node meanwhile has no hold of it.
    pub fn take(&mut self, id: EventId) -> Option<Event<P::Message>> {
        let taken = self.queue.take(id)?;
        if let Pending::Timer { node, code, .. } = taken.event {
            self.nodes[node.index()].remove_timer(code);
        }
        Some(Event(taken))
    }

    /// The ids of all pending events and when they are due, in no particular order.
    pub fn pending(&self) -> impl Iterator<Item = (EventId, Nanos)> {
        self.queue.iter().map(|(time, id, _)| (id, time))
    }

    /// The one transition: lets an event happen now. Time moves on to when it was due, never back.
    pub fn fire<O: Observer<P::Message>>(&mut self, Event(event): Event<P::Message>, observer: &mut O) {
        let timer = match event.event {
            Pending::Timer { node, code, .. } => Some((node, code)),
            _ => None,
        };
        let surfaced = self.queue.put_aside(event);
        if let Some((node, code)) = timer
            && let Some(anew) = self.nodes[node.index()].insert_timer(code, surfaced.slot())
        {
            self.queue.cancel(anew);
        }
        self.fire_early_or_late(surfaced, observer);
    }

    /// Fires an event now, or when it was due, whichever is later.
    fn fire_early_or_late<O: Observer<P::Message>>(&mut self, surfaced: Surfaced, observer: &mut O) {
        if surfaced.time > self.now {
            self.now = surfaced.time;
            self.instant_began = self.steps;
        }
        self.fire_surfaced(surfaced, observer);
    }

    #[inline(always)]
    fn fire_surfaced<O: Observer<P::Message>>(&mut self, surfaced: Surfaced, observer: &mut O) {
        if self.nodes_are_disturbed {
            return self.fire_or_defer(surfaced, observer);
        }
        if self.nodes.len() >= ahead::LARGE {
            return self.fire_in_large(surfaced, observer);
        }
        self.fire_now::<O, false>(surfaced, observer);
    }

    #[inline(never)]
    fn fire_or_defer<O: Observer<P::Message>>(&mut self, surfaced: Surfaced, observer: &mut O) {
        if let Some(surfaced) = self.defer_disturbed(surfaced) {
            self.fire_now::<O, false>(surfaced, observer);
        }
    }

    #[inline(never)]
    fn fire_in_large<O: Observer<P::Message>>(&mut self, surfaced: Surfaced, observer: &mut O) {
        self.fire_now::<O, true>(surfaced, observer);
    }

    #[inline(always)]
    fn fire_now<O: Observer<P::Message>, const LARGE: bool>(&mut self, surfaced: Surfaced, observer: &mut O) {
        self.steps += 1;
        if LARGE {
            self.fetch_ahead();
        }
        let place = self.queue.place(surfaced);
        let (id, by) = (place.slot.id, place.slot.by);
        self.digest.absorb(id.0 ^ self.now);
        let node = match place.slot.event {
            Some(Pending::Deliver { from, to, corrupt, .. }) => {
                let Some(Pending::Deliver { message, .. }) = place.slot.event.take() else { unreachable!() };
                place.free();
                if !self.deliver((id, by), (from, to), message, corrupt, observer) {
                    return;
                }
                to
            }
            Some(Pending::Timer { node, label, code }) => {
                place.slot.event = None;
                place.free();
                let stamp = Stamp { time: self.now, node, id, by };
                self.fire_timer(stamp, label, code, observer);
                node
            }
            _ => return self.fire_rare(surfaced, observer),
        };
        if O::ACTIVE && !self.overrides.is_empty() {
            self.tell_picks(Stamp { time: self.now, node, id, by }, observer);
        }
        // One copy of the code that applies effects, for both.
        self.settle(node, observer);
    }

    #[inline(never)]
    fn fire_rare<O: Observer<P::Message>>(&mut self, surfaced: Surfaced, observer: &mut O) {
        let Taken { id, by, event, .. } = self.queue.release(surfaced);
        // What a panic would be blamed on.
        self.context.recording.event = id;
        match event {
            Pending::Deliver { .. } | Pending::Timer { .. } => unreachable!("these are not rare"),
            Pending::Boot { node } => self.boot_node(Stamp { time: self.now, node, id, by }, observer),
            Pending::Synced { node, incarnation, sync } => {
                self.end_sync(Stamp { time: self.now, node, id, by }, incarnation, *sync, observer);
            }
            Pending::Packet(in_flight) => self.deliver_packet(id, by, *in_flight, observer),
            Pending::Listed { index, repeat } => self.strike_listed(id, index, repeat, observer),
            Pending::Rated { kind, node, ordinal } => self.strike_rated(id, kind, node, ordinal, observer),
            Pending::Heal { index } => self.heal(id, by, index, observer),
        }
    }

    /// The time of the world, which no node sees.
    #[inline]
    pub const fn now(&self) -> Nanos {
        self.now
    }

    /// The seed.
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// Everything about this world that is not the protocol, the seed or an override.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The event whose handler ran last: what a check after every step need not look at did not change in it.
    pub const fn last_event(&self) -> EventId {
        self.context.recording.event
    }

    /// How many events have been fired.
    pub const fn steps(&self) -> u64 {
        self.steps
    }

    /// The digest of everything that has happened.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// How often each kind of fault has happened.
    pub const fn fault_counts(&self) -> &FaultCounts {
        &self.counts
    }

    /// The overrides, and which of them were met.
    pub const fn overrides(&self) -> &Overrides {
        &self.overrides
    }

    /// What was violated without ending the run, in the order it was found.
    pub fn findings(&self) -> &[Violation] {
        &self.findings
    }

    /// Whether [`World::take_touched`] tells what handlers touch from here on. That they will be told later in a run must
    /// be known before it begins.
    pub fn watch_touches(&mut self, watch: Watch) {
        self.context.recording.watch = watch;
    }

    /// Ends the run with a violation that somebody saw from outside.
    pub fn end_violated(&mut self, violation: Violation) {
        self.violate(violation, &mut ());
    }

    /// Adds what handlers of this node have touched since this was asked last. A process that cannot tell says
    /// [`Touch::EVERYTHING`].
    pub fn take_touched(&self, node: NodeId, into: &mut Vec<Touch>) {
        if let Some(process) = self.process(node) {
            process.take_touched(into);
        }
    }

    /// What ended the run, if it was a violation.
    pub const fn violation(&self) -> Option<&Violation> {
        self.violation.as_ref()
    }

    /// The process of a node that is up.
    pub fn process(&self, node: NodeId) -> Option<&P> {
        self.nodes.get(node.index())?.process.as_ref()
    }

    /// Which life of the node this is, from 0.
    pub fn incarnation(&self, node: NodeId) -> u32 {
        self.nodes[node.index()].incarnation
    }

    /// The disk of a node that ever wrote to it.
    pub fn disk(&self, node: NodeId) -> Option<&Disk> {
        self.nodes.get(node.index())?.own.disk()
    }

    /// Whether the phase of faults is over.
    #[inline(always)]
    pub fn is_calm(&self) -> bool {
        self.now >= self.calm_from
    }

    #[inline(always)]
    fn schedule(
        &mut self,
        time: Nanos,
        id: EventId,
        by: EventId,
        event: impl FnOnce() -> Pending<P::Message>,
    ) -> crate::queue::SlotId {
        if self.overrides.is_empty() {
            return self.queue.push(time, self.dice.tie(id), id, by, event);
        }
        let time = time.saturating_add(self.overrides.late(id).unwrap_or(0));
        let tie = self.tie(id);
        self.queue.push(time, tie, id, by, event)
    }

    /// The place of a task's step among the events at its instant, where tasks have priorities.
    #[cold]
    fn tie_of_step(&mut self, node: NodeId, task: u64, step: EventId, priorities: Priorities) -> u32 {
        const BEHIND: u32 = 1 << 31;
        if let Some(place) = self.overrides.order(step) {
            return place;
        }
        let dice = self.dice.of(step);
        if dice.chance(Purpose::PUT_BEHIND, priorities.change) {
            let how_far = BEHIND | dice.bits(Purpose::PUT_BEHIND.nth(1)) as u32;
            self.put_behind.insert((node, task), how_far);
        }
        let own = self.dice.of(EventId(task)).bits(Purpose::PRIORITY) as u32 & !BEHIND;
        self.put_behind.get(&(node, task)).copied().unwrap_or(own)
    }

    /// Tells what was fixed about when this event happens.
    #[cold]
    #[inline(never)]
    fn tell_picks<O: Observer<P::Message>>(&self, stamp: Stamp, observer: &mut O) {
        for (label, value) in self.overrides.picks(stamp.id) {
            let id = stamp.id.child(EventId::like(Kind::Pick, 0, label.code()), 0);
            observer.observe(Stamp { id, by: stamp.id, ..stamp }, &Record::Pick { label, value });
        }
    }

    #[inline(always)]
    fn tie(&mut self, id: EventId) -> u32 {
        match self.overrides.order(id) {
            Some(place) => place,
            None => self.dice.tie(id),
        }
    }

    fn violate<O: Observer<P::Message>>(&mut self, violation: Violation, observer: &mut O) {
        let stamp = Stamp {
            time: self.now,
            node: self.context.recording.node,
            id: violation
                .evidence
                .first()
                .copied()
                .unwrap_or(EventId::ROOT)
                .child(Label::new("check").code(), 0),
            by: violation.evidence.first().copied().unwrap_or(EventId::ROOT),
        };
        observer.observe(
            stamp,
            &Record::Check {
                property: &violation.property,
                holds: false,
                evidence: &violation.evidence,
                detail: &violation.detail,
            },
        );
        self.violation.get_or_insert(violation);
    }

    /// Notes a violation that does not end the run.
    #[cold]
    fn find<O: Observer<P::Message>>(&mut self, stamp: Stamp, violation: Violation, observer: &mut O) {
        let Violation { property, detail, evidence, .. } = &violation;
        observer.observe(stamp, &Record::Check { property, holds: false, evidence, detail });
        self.findings.push(violation);
    }

    /// What a node is called in reports.
    fn name(&self, node: NodeId) -> String {
        self.config.names.get(node.index()).cloned().unwrap_or_else(|| node.to_string())
    }

    /// Ends a run that has reached a limit. What lies beyond the limit of time stays pending.
    #[cold]
    #[inline(never)]
    fn meet_limit<O: Observer<P::Message>>(&mut self, surfaced: Surfaced, observer: &mut O) -> Ending {
        let event = self.queue.release(surfaced);
        if event.time > self.limits.time {
            let (time, tie) = (event.time, self.tie(event.id));
            self.queue.defer(time, tie, event);
            return Ending::TimeLimit;
        }
        self.find_livelock(observer, event.id);
        Ending::Livelock
    }

    #[cold]
    fn find_livelock<O: Observer<P::Message>>(&mut self, observer: &mut O, next: EventId) {
        let limits = self.config.limits;
        let detail = if self.steps >= limits.steps {
            format!("{} events and no end in sight", self.steps)
        } else {
            format!("{} events at one instant and no end in sight", self.steps - self.instant_began)
        };
        let violation =
            Violation { property: "livelock".to_owned(), detail, evidence: vec![next], time: self.now };
        self.violate(violation, observer);
    }

    /// Ends a run in which nothing is pending.
    #[cold]
    #[inline(never)]
    fn end_quietly<O: Observer<P::Message>>(&mut self, observer: &mut O) -> Ending {
        self.find_deadlock(observer);
        if self.violation.is_some() { Ending::Violated } else { Ending::Quiet }
    }

    fn find_deadlock<O: Observer<P::Message>>(&mut self, observer: &mut O) {
        let stuck: Vec<(NodeId, String)> = (0..self.config.nodes)
            .map(NodeId)
            .filter_map(|node| Some((node, self.process(node)?.stuck()?)))
            .collect();
        let Some((first, _)) = stuck.first() else { return };
        let evidence = vec![EventId::boot(*first, self.incarnation(*first))];
        let detail = stuck
            .iter()
            .map(|(node, who)| format!("{}: {who}", self.name(*node)))
            .collect::<Vec<_>>()
            .join("; ");
        self.context.recording.node = *first;
        let violation = Violation { property: "deadlock".to_owned(), detail, evidence, time: self.now };
        self.violate(violation, observer);
    }

    #[cold]
    fn blame_panic<O: Observer<P::Message>>(
        &mut self,
        payload: &(dyn Any + Send),
        observer: &mut O,
    ) -> Ending {
        // If it was a handler that panicked, it still had the disk, and the judges may want to read it.
        if self.context.recording.own.disk().is_some() {
            self.nodes[self.context.recording.node.index()].own =
                std::mem::take(&mut self.context.recording.own);
        }
        let words = payload
            .downcast_ref::<&str>()
            .map(ToString::to_string)
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "a panic without words".to_owned());
        let violation = Violation {
            property: "panic".to_owned(),
            detail: format!("{} panicked: {words}", self.name(self.context.recording.node)),
            evidence: vec![self.context.recording.event],
            time: self.now,
        };
        self.violate(violation, observer);
        Ending::Violated
    }
}
