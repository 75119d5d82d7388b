//! Faults: when they strike, whom, and how they end.
//!
//! A fault's id says which fault it is (the second crash of node 3, the plan's fifth entry) and nothing of when it
//! comes. Every node a fault touches gets a record of its own, so that a trace's order per node holds the
//! fault's causal future.

use crate::clock::Clock;
use crate::delay::Delay;
use crate::dice::{Purpose, Ratio};
use crate::fault::{Fault, FaultRates};
use crate::id::{EventId, Kind, Label, NodeId};
use crate::network::{Cut, Link, NodeSet};
use crate::observe::{Observer, Record, Stamp};
use crate::overrides::Otherwise;
use crate::process::Process;
use crate::time::Nanos;

use super::{Healing, Pending, World};

/// The kinds of fault that the dice make over time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RateKind {
    /// A node crashes.
    Crash = 1,
    /// A node does nothing for a while.
    Pause = 2,
    /// A node is late for a while.
    Slow = 3,
    /// The network falls into two parts for a while.
    Partition = 4,
}

impl EventId {
    /// The id of the `ordinal`th fault (from 0) of a kind that the dice make for a node; a partition is of no node.
    pub fn fault_by_chance(kind: RateKind, node: Option<NodeId>, ordinal: u32) -> Self {
        Self::anchored(Kind::Fault, node.unwrap_or(WORLD), 0, kind as u64, ordinal)
    }

    /// The id of a fault of the plan's list, by its place from 0; one that comes and goes has an id for each time.
    pub fn fault_of_plan(index: u32, repeat: u32) -> Self {
        Self::anchored(Kind::Fault, WORLD, 1, u64::from(index), repeat)
    }
}

/// Which kinds of fault are on in this run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Swarm(u32);

impl Swarm {
    pub(super) const ALL: Self = Self(u32::MAX);
    pub(super) const CRASH_IN_HANDLER: u32 = 5;
    pub(super) const DISK: u32 = 6;
    const CLOCK: u32 = 7;
    const LOSS: u32 = 8;
    const DUPLICATION: u32 = 9;
    const LATE: u32 = 10;
    const CORRUPTION: u32 = 11;
    const KINDS: u32 = 12;

    #[inline(always)]
    pub(super) const fn allows(self, kind: u32) -> bool {
        self.0 >> kind & 1 == 1
    }
}

const HALF: Ratio = Ratio::new(1, 2);
/// Places in a node's spells.
const SLOW: usize = 0;
const DISK_FULL: usize = 1;
const SYNCS_FAIL: usize = 2;
/// Fault ids that hang on no node.
const WORLD: NodeId = NodeId(u32::MAX);

impl<P: Process> World<P> {
    /// Draws the swarm, sets up this run's network, and schedules the first fault of each kind.
    pub(super) fn begin_faults(&mut self) {
        let config = std::sync::Arc::clone(&self.config);
        self.swarm = Swarm::ALL;
        if config.faults.swarm {
            let allowed = (0..Swarm::KINDS).filter(|kind| {
                let id = EventId::anchored(Kind::Fault, WORLD, 0, u64::from(*kind), 0);
                self.dice.of(id).chance(Purpose::SWARM, HALF)
            });
            self.swarm = Swarm(allowed.fold(0, |kinds, kind| kinds | 1 << kind));
        }
        self.network.clone_from(&config.network);
        self.tame_network();
        self.targeted.clear();
        if self.overrides.leave_faults_to_chance()
            && config.faults.list.iter().any(|fault| matches!(fault, Fault::Message { .. }))
        {
            self.targeted.resize(config.faults.list.len(), 0);
        }
        self.look_at_network();
        for (index, fault) in (0..).zip(&config.faults.list) {
            self.schedule_listed(index, 0, fault);
        }
        let rates = &config.faults.rates;
        if !rates.strike_over_time() {
            return;
        }
        for node in (0..config.nodes).map(NodeId) {
            if rates.crash_nodes.as_ref().is_none_or(|nodes| nodes.contains(&node)) {
                self.schedule_rated(RateKind::Crash, node, 0);
            }
            self.schedule_rated(RateKind::Pause, node, 0);
            self.schedule_rated(RateKind::Slow, node, 0);
        }
        self.schedule_rated(RateKind::Partition, WORLD, 0);
    }

    /// Takes from the network the kinds of fault that the swarm turned off, and what overrides do without.
    fn tame_network(&mut self) {
        match self.overrides.otherwise() {
            Otherwise::Thrown => {}
            Otherwise::Calm => self.network.for_each_link(|link| *link = link.calm()),
            Otherwise::Plain => self.network.for_each_link(|link| {
                *link = Link { delay: Delay::Constant(link.delay.min()), ..link.calm() };
            }),
        }
        let swarm = self.swarm;
        if swarm == Swarm::ALL {
            return;
        }
        self.network.for_each_link(|link| {
            for (kind, rate) in [
                (Swarm::LOSS, &mut link.loss),
                (Swarm::DUPLICATION, &mut link.duplication),
                (Swarm::LATE, &mut link.late),
                (Swarm::CORRUPTION, &mut link.corruption),
            ] {
                if !swarm.allows(kind) {
                    *rate = Ratio::ZERO;
                }
            }
        });
    }

    /// Finds out how much there is to ask about each message from now on.
    fn look_at_network(&mut self) {
        self.network_is_disturbed =
            !self.targeted.is_empty() || !self.overrides.is_empty() || !self.cuts.is_empty();
        let link = &self.network.default;
        let is_reliable = !self.network_is_disturbed
            && self.network.links.is_empty()
            && link.is_reliable()
            && link.bandwidth == 0;
        self.reliable = link.delay.span().filter(|_| is_reliable);
    }

    pub(super) fn clock_of(&mut self, node: NodeId) -> Clock {
        let written = self.config.faults.list.iter().find_map(|fault| match fault {
            Fault::Clock { node: whose, skew, drift } if *whose == node => {
                Some(Clock { skew: *skew, drift: *drift })
            }
            _ => None,
        });
        let FaultRates { clock_skew_max, clock_drift_max, .. } = self.config.faults.rates;
        let clock = written.unwrap_or_else(|| {
            if !self.swarm.allows(Swarm::CLOCK) || clock_skew_max == 0 && clock_drift_max == 0 {
                return Clock::default();
            }
            let dice = self.dice.of(EventId::anchored(Kind::Fault, node, 0, u64::from(Swarm::CLOCK), 0));
            let skew = dice.below(Purpose::CLOCK_SKEW, clock_skew_max.saturating_add(1));
            let drift = dice.below(Purpose::CLOCK_DRIFT, 2 * u64::from(clock_drift_max) + 1);
            Clock { skew, drift: (drift as i64 - i64::from(clock_drift_max)) as i32 }
        });
        if clock != Clock::default() {
            self.counts.clocks_off += 1;
        }
        clock
    }

    fn schedule_listed(&mut self, index: u32, repeat: u32, fault: &Fault) {
        let at = match *fault {
            Fault::Crash { at, .. }
            | Fault::Kill { at, .. }
            | Fault::Pause { at, .. }
            | Fault::Slow { at, .. }
            | Fault::Partition { at, .. }
            | Fault::Link { at, .. }
            | Fault::DiskFull { at, .. }
            | Fault::SyncFails { at, .. } => at,
            Fault::Flapping { at, period, until, .. } => {
                let at = at.saturating_add(period.saturating_mul(2 * Nanos::from(repeat)));
                if period == 0 || at >= until {
                    return;
                }
                at
            }
            Fault::Message { .. } | Fault::Clock { .. } => return,
        };
        if at >= self.config.faults.until {
            return;
        }
        let id = EventId::fault_of_plan(index, repeat);
        self.schedule(at, id, EventId::ROOT, || Pending::Listed { index, repeat });
    }

    fn schedule_rated(&mut self, kind: RateKind, node: NodeId, ordinal: u32) {
        let rates = &self.config.faults.rates;
        let every = match kind {
            RateKind::Crash => rates.crash_every,
            RateKind::Pause => rates.pause_every,
            RateKind::Slow => rates.slow_every,
            RateKind::Partition => rates.partition_every,
        };
        if every == 0 || !self.swarm.allows(kind as u32) {
            return;
        }
        let id = EventId::anchored(Kind::Fault, node, 0, kind as u64, ordinal);
        let gap =
            Delay::Exponential { min: 1, mean: every }.sample(self.dice.of(id).bits(Purpose::FAULT_GAP));
        let at = self.now.saturating_add(gap);
        if at < self.config.faults.until {
            self.schedule(at, id, EventId::ROOT, || Pending::Rated { kind, node, ordinal });
        }
    }

    fn strikes(&mut self, id: EventId) -> bool {
        self.overrides.strike(id).unwrap_or_else(|| self.overrides.leave_faults_to_chance())
    }

    #[inline(never)]
    pub(super) fn strike_listed<O: Observer<P::Message>>(
        &mut self,
        id: EventId,
        index: u32,
        repeat: u32,
        observer: &mut O,
    ) {
        let config = std::sync::Arc::clone(&self.config);
        let fault = &config.faults.list[index as usize];
        if matches!(fault, Fault::Flapping { .. }) {
            self.schedule_listed(index, repeat + 1, fault);
        }
        if !self.strikes(id) {
            return;
        }
        match fault {
            Fault::Crash { node, down, .. } => self.strike_crash(id, *node, *down, false, observer),
            Fault::Kill { node, down, .. } => self.strike_crash(id, *node, *down, true, observer),
            Fault::Pause { node, span, .. } => self.strike_pause(id, *node, *span, observer),
            Fault::Slow { node, span, lag, .. } => self.strike_slow(id, *node, *span, *lag, observer),
            Fault::Partition { left, right, one_way, span, .. } => {
                let (left, right) = (left.iter().copied().collect(), right.iter().copied().collect());
                self.strike_cut(Cut { fault: id, left, right, one_way: *one_way }, *span, observer);
            }
            Fault::Flapping { left, right, period, until, .. } => {
                let (left, right) = (left.iter().copied().collect(), right.iter().copied().collect());
                let span = (*period).min(until - self.now);
                self.strike_cut(Cut { fault: id, left, right, one_way: false }, span, observer);
            }
            Fault::Link { from, to, span, link, .. } => {
                self.counts.links_changed += 1;
                self.changed.push((id, (*from, *to), *link));
                self.network.links.insert((*from, *to), *link);
                self.tame_network();
                self.look_at_network();
                self.touch(id, &[*from, *to], fault.label(), observer);
                self.schedule_heal(id, *span, Healing::Link(*from, *to, id));
            }
            Fault::DiskFull { node, span, .. } => {
                self.nodes[node.index()].disk_full = true;
                self.begin_spell(*node, DISK_FULL, *span);
                self.touch(id, &[*node], fault.label(), observer);
                self.schedule_heal(id, *span, Healing::DiskFull(*node));
            }
            Fault::SyncFails { node, span, .. } => {
                self.nodes[node.index()].syncs_fail = true;
                self.begin_spell(*node, SYNCS_FAIL, *span);
                self.touch(id, &[*node], fault.label(), observer);
                self.schedule_heal(id, *span, Healing::SyncFails(*node));
            }
            Fault::Message { .. } | Fault::Clock { .. } => {
                unreachable!("{} is in force from the start and never scheduled", fault.label())
            }
        }
    }

    #[inline(never)]
    pub(super) fn strike_rated<O: Observer<P::Message>>(
        &mut self,
        id: EventId,
        kind: RateKind,
        node: NodeId,
        ordinal: u32,
        observer: &mut O,
    ) {
        self.schedule_rated(kind, node, ordinal + 1);
        if !self.strikes(id) {
            return;
        }
        let config = std::sync::Arc::clone(&self.config);
        let rates = &config.faults.rates;
        let dice = self.dice.of(id);
        match kind {
            RateKind::Crash => {
                let down = rates.downtime.sample(dice.bits(Purpose::DOWNTIME));
                self.strike_crash(id, node, Some(down), false, observer);
            }
            RateKind::Pause => {
                let span = rates.pause_span.sample(dice.bits(Purpose::FAULT_SPAN));
                self.strike_pause(id, node, span, observer);
            }
            RateKind::Slow => {
                let span = rates.slow_span.sample(dice.bits(Purpose::FAULT_SPAN));
                let lag = rates.slow_lag.sample(dice.bits(Purpose::DELAY));
                self.strike_slow(id, node, span, lag, observer);
            }
            RateKind::Partition => {
                let span = rates.partition_span.sample(dice.bits(Purpose::FAULT_SPAN));
                let one_way = dice.chance(Purpose::FAULT_VICTIM, rates.partition_one_way);
                let on_left = |node: NodeId| dice.chance(Purpose::FAULT_VICTIM.nth(node.0 + 1), HALF);
                let nodes = || (0..config.nodes).map(NodeId);
                let left: NodeSet = nodes().filter(|node| on_left(*node)).collect();
                let right: NodeSet = nodes().filter(|node| !on_left(*node)).collect();
                self.strike_cut(Cut { fault: id, left, right, one_way }, span, observer);
            }
        }
    }

    fn strike_crash<O: Observer<P::Message>>(
        &mut self,
        id: EventId,
        node: NodeId,
        down: Option<Nanos>,
        soft: bool,
        observer: &mut O,
    ) {
        if self.nodes[node.index()].process.is_none() {
            return;
        }
        let stamp = Stamp { time: self.now, node, id, by: EventId::ROOT };
        self.counts.crashes += 1;
        if soft {
            self.kill(stamp, observer);
        } else {
            self.crash(stamp, None, observer);
        }
        if let Some(down) = down {
            self.schedule_restart(node, id, down);
        }
    }

    fn strike_pause<O: Observer<P::Message>>(
        &mut self,
        id: EventId,
        node: NodeId,
        span: Nanos,
        observer: &mut O,
    ) {
        let until = self.before_calm(span);
        let struck = &mut self.nodes[node.index()];
        if struck.process.is_none() {
            return;
        }
        let troubles = struck.troubles();
        troubles.paused_until = troubles.paused_until.max(until);
        struck.disturbed = true;
        self.nodes_are_disturbed = true;
        self.counts.pauses += 1;
        self.touch(id, &[node], Label::new("pause"), observer);
    }

    fn strike_slow<O: Observer<P::Message>>(
        &mut self,
        id: EventId,
        node: NodeId,
        span: Nanos,
        lag: Nanos,
        observer: &mut O,
    ) {
        let struck = &mut self.nodes[node.index()];
        struck.troubles().lag = lag;
        struck.disturbed = true;
        self.nodes_are_disturbed = true;
        self.begin_spell(node, SLOW, span);
        self.counts.slow_spells += 1;
        self.touch(id, &[node], Label::new("slow"), observer);
        self.schedule_heal(id, span, Healing::Slow(node));
    }

    fn strike_cut<O: Observer<P::Message>>(&mut self, cut: Cut, span: Nanos, observer: &mut O) {
        let fault = cut.fault;
        let nodes: Vec<NodeId> = cut.left.iter().chain(cut.right.iter()).collect();
        self.cuts.push(cut);
        self.look_at_network();
        self.counts.partitions += 1;
        self.touch(fault, &nodes, Label::new("partition"), observer);
        self.probe_connections(fault, &nodes);
        self.schedule_heal(fault, span, Healing::Cut(fault));
    }

    fn begin_spell(&mut self, node: NodeId, kind: usize, span: Nanos) {
        let until = self.before_calm(span);
        let known = &mut self.nodes[node.index()].troubles().spells[kind];
        *known = until.max(*known);
    }

    fn before_calm(&self, span: Nanos) -> Nanos {
        let end = self.now.saturating_add(span);
        if self.is_calm() { end } else { end.min(self.config.faults.until) }
    }

    fn schedule_heal(&mut self, fault: EventId, span: Nanos, index: Healing) {
        let at = self.before_calm(span);
        if at < Nanos::MAX {
            self.schedule(at, fault.child(Kind::Heal as u64, 0), fault, || Pending::Heal { index });
        }
    }

    #[inline(never)]
    pub(super) fn heal<O: Observer<P::Message>>(
        &mut self,
        id: EventId,
        by: EventId,
        index: Healing,
        observer: &mut O,
    ) {
        let _ = by;
        let healed = match index {
            Healing::Slow(node) => {
                let struck = &mut self.nodes[node.index()];
                if struck.troubles().spells[SLOW] <= self.now {
                    struck.troubles().lag = 0;
                    struck.refresh_disturbed(self.now);
                }
                vec![node]
            }
            Healing::Cut(fault) => match self.cuts.iter().position(|cut| cut.fault == fault) {
                Some(index) => {
                    let cut = self.cuts.remove(index);
                    cut.left.iter().chain(cut.right.iter()).collect()
                }
                None => Vec::new(),
            },
            Healing::Link(from, to, fault) => {
                let config = std::sync::Arc::clone(&self.config);
                self.changed.retain(|(changer, ..)| *changer != fault);
                let still = self.changed.iter().rev().find(|(_, link, _)| *link == (from, to));
                match still.map(|(.., link)| link).or_else(|| config.network.links.get(&(from, to))) {
                    Some(link) => self.network.links.insert((from, to), *link),
                    None => self.network.links.remove(&(from, to)),
                };
                self.tame_network();
                vec![from, to]
            }
            Healing::DiskFull(node) => {
                let struck = &mut self.nodes[node.index()];
                struck.disk_full = struck.troubles().spells[DISK_FULL] > self.now;
                vec![node]
            }
            Healing::SyncFails(node) => {
                let struck = &mut self.nodes[node.index()];
                struck.syncs_fail = struck.troubles().spells[SYNCS_FAIL] > self.now;
                vec![node]
            }
        };
        self.look_at_network();
        self.touch(id, &healed, Label::new("heal"), observer);
    }

    /// Writes the fault into the record of each node it touches.
    fn touch<O: Observer<P::Message>>(
        &mut self,
        fault: EventId,
        nodes: &[NodeId],
        label: Label,
        observer: &mut O,
    ) {
        if O::ACTIVE {
            for node in nodes {
                let id = fault.child(EventId::like(Kind::Fault, node.0, 0), 0);
                observer
                    .observe(Stamp { time: self.now, node: *node, id, by: fault }, &Record::Fault { label });
            }
        }
    }
}
