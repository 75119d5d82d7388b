//! One node: what it runs, what it owns, and how it lives and dies.

use std::collections::BTreeMap;

use crate::clock::Clock;
use crate::context::{Context, Own};
use crate::disk::SyncUnderWay;
use crate::id::{EventId, Kind, Label};
use crate::observe::{DiskAction, Observer, Record, Stamp};
use crate::process::Process;
use crate::queue::{SlotId, Surfaced};
use crate::stream::{ConnectionId, Endpoint, Packet};
use crate::time::Nanos;

use super::{InFlight, Pending, World};
use crate::id::NodeId;

/// The turn of an event that a slow node put off, to handle it next time.
const LATE_TURN: u32 = u32::MAX;

#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub(super) struct Node<P: Process> {
    pub(super) own: Own,
    pub(super) incarnation: u32,
    /// Whether the node is paused, slow, or has a failing disk: what an undisturbed node need not ask.
    pub(super) disturbed: bool,
    pub(super) disk_full: bool,
    pub(super) syncs_fail: bool,
    /// `None` while the node is down.
    pub(super) process: Option<P>,
    /// Pending timers by the code of their label, sorted.
    timers: Vec<(u64, SlotId)>,
    /// What befell it. Most nodes of a large world are spared, and smaller by this box.
    troubles: Option<Box<Troubles>>,
    #[allow(
        clippy::box_collection,
        reason = "most nodes have no connection, and an idle node is kept small"
    )]
    pub(super) endpoints: Option<Box<BTreeMap<ConnectionId, Endpoint<P::Message>>>>,
}

/// What befell a node that is paused, slow, or has a failing disk, or once was.
#[derive(Clone, Default, Debug)]
pub(super) struct Troubles {
    /// Until when the node is slow, its disk full, and its syncs failing: where two spells overlap, the longer.
    pub(super) spells: [Nanos; 3],
    /// How many events were put off to the end of the pause.
    put_off: u32,
    pub(super) paused_until: Nanos,
    pub(super) lag: Nanos,
}

impl<P: Process> Node<P> {
    pub(super) fn new(clock: Clock) -> Self {
        let mut own = Own::default();
        own.set_clock(clock);
        Self {
            process: None,
            incarnation: 0,
            disturbed: false,
            disk_full: false,
            syncs_fail: false,
            troubles: None,
            timers: Vec::new(),
            endpoints: None,
            own,
        }
    }

    /// Remembers a timer and returns the pending one of the same name, if there is one.
    #[inline(always)]
    pub(super) fn insert_timer(&mut self, code: u64, slot: SlotId) -> Option<SlotId> {
        let place = self.timers.partition_point(|(timer, _)| *timer < code);
        match self.timers.get_mut(place) {
            Some((timer, pending)) if *timer == code => Some(std::mem::replace(pending, slot)),
            _ => {
                self.timers.insert(place, (code, slot));
                None
            }
        }
    }

    #[inline(always)]
    pub(super) fn remove_timer(&mut self, code: u64) -> Option<SlotId> {
        let place = self.timers.partition_point(|(timer, _)| *timer < code);
        match self.timers.get(place) {
            Some((timer, _)) if *timer == code => Some(self.timers.remove(place).1),
            _ => None,
        }
    }

    pub(super) fn troubles(&mut self) -> &mut Troubles {
        self.troubles.get_or_insert_default()
    }

    pub(super) fn refresh_disturbed(&mut self, now: Nanos) {
        let Some(troubles) = &mut self.troubles else { return };
        if troubles.paused_until <= now {
            troubles.paused_until = 0;
            troubles.put_off = 0;
        }
        self.disturbed = troubles.paused_until > 0 || troubles.lag > 0;
    }

    pub(super) fn replace_timer(&mut self, code: u64, slot: SlotId) {
        if let Ok(place) = self.timers.binary_search_by_key(&code, |(timer, _)| *timer) {
            self.timers[place].1 = slot;
        }
    }
}

impl<P: Process> World<P> {
    /// Runs one of a node's handlers that are not in every run's every moment, and applies what it asked for.
    pub(super) fn handle_rarely<O: Observer<P::Message>>(
        &mut self,
        stamp: Stamp,
        observer: &mut O,
        handler: impl FnOnce(&mut P, &mut Context<P::Message>),
    ) {
        self.ask(stamp, handler);
        self.settle_rarely(stamp, observer);
    }

    #[inline(never)]
    fn settle_rarely<O: Observer<P::Message>>(&mut self, stamp: Stamp, observer: &mut O) {
        self.settle(stamp.node, observer);
    }

    /// Runs one of a node's handlers, which records what it asks for.
    #[inline(always)]
    pub(super) fn ask(&mut self, stamp: Stamp, handler: impl FnOnce(&mut P, &mut Context<P::Message>)) {
        let node = &mut self.nodes[stamp.node.index()];
        let process = node.process.as_mut().expect("a handler runs only while its node is up");
        let ctx = &mut self.context;
        ctx.recording.node = stamp.node;
        ctx.recording.incarnation = node.incarnation;
        ctx.now = stamp.time;
        ctx.recording.event = stamp.id;
        ctx.recording.by = stamp.id;
        ctx.recording.base = stamp.id;
        ctx.recording.draws = 0;
        node.own.lend(&mut ctx.recording.own);
        handler(process, ctx);
        ctx.recording.own.lend(&mut node.own);
    }

    /// Applies what a handler asked for, or a prefix of it, if the dice or an override say that the node crashes in the
    /// middle.
    #[inline(always)]
    pub(super) fn settle<O: Observer<P::Message>>(&mut self, node: NodeId, observer: &mut O) {
        if self.crashes_in_handlers {
            return self.settle_or_crash(node, observer);
        }
        self.apply_all(node, observer);
    }

    #[inline(always)]
    fn apply_all<O: Observer<P::Message>>(&mut self, node: NodeId, observer: &mut O) {
        for index in 0..self.context.recording.effects.len() {
            self.apply(node, index, observer);
        }
        self.context.recording.effects.end();
    }

    #[inline(never)]
    fn settle_or_crash<O: Observer<P::Message>>(&mut self, node: NodeId, observer: &mut O) {
        let event = self.context.recording.event;
        let Some(count) = self.crash_after(event, node, self.context.recording.effects.len()) else {
            return self.apply_all(node, observer);
        };
        self.context.recording.effects.truncate(count as usize);
        self.apply_all(node, observer);
        self.crash_in_handler(event, node, count, observer);
    }

    #[cold]
    fn crash_in_handler<O: Observer<P::Message>>(
        &mut self,
        event: EventId,
        node: NodeId,
        count: u32,
        observer: &mut O,
    ) {
        self.counts.crashes_in_handler += 1;
        let id = event.child(Kind::Crash as u64, 0);
        self.crash(Stamp { time: self.now, node, id, by: event }, Some(count), observer);
        let down =
            self.config.faults.rates.downtime.sample(self.dice.of(id).bits(crate::dice::Purpose::DOWNTIME));
        self.schedule_restart(node, id, down);
    }

    #[inline(never)]
    pub(super) fn boot_node<O: Observer<P::Message>>(&mut self, stamp: Stamp, observer: &mut O) {
        let node = &mut self.nodes[stamp.node.index()];
        debug_assert!(node.process.is_none(), "a node that is up does not boot");
        let incarnation = node.incarnation;
        if incarnation > 0 {
            self.counts.restarts += 1;
        }
        observer.observe(stamp, &Record::Boot { incarnation });
        self.context.recording.node = stamp.node;
        let process = (self.boot)(stamp.node);
        self.nodes[stamp.node.index()].process = Some(process);
        self.handle_rarely(stamp, observer, P::on_start);
    }

    #[inline(always)]
    pub(super) fn fire_timer<O: Observer<P::Message>>(
        &mut self,
        stamp: Stamp,
        label: Label,
        code: u64,
        observer: &mut O,
    ) {
        let pending = self.nodes[stamp.node.index()].remove_timer(code);
        debug_assert!(pending.is_some(), "a timer that fires was pending");
        observer.observe(stamp, &Record::Fire { label });
        self.ask(stamp, |process, ctx| process.on_timer(ctx, label));
    }

    #[inline(never)]
    pub(super) fn end_sync<O: Observer<P::Message>>(
        &mut self,
        stamp: Stamp,
        incarnation: u32,
        sync: SyncUnderWay,
        observer: &mut O,
    ) {
        let node = &mut self.nodes[stamp.node.index()];
        if node.process.is_none() || node.incarnation != incarnation {
            return;
        }
        let rate = self.config.faults.rates.sync_fails;
        let calm = self.now >= self.config.faults.until;
        let fails = !calm
            && (node.syncs_fail
                || self.overrides.leave_faults_to_chance()
                    && self.swarm.allows(super::strike::Swarm::DISK)
                    && self.dice.of(sync.asked).chance(crate::dice::Purpose::SYNC_FAILS, rate));
        let result = match self.overrides.sync(sync.asked) {
            Some(result) => result,
            None if fails => Err(crate::disk::SyncError::Device),
            None => Ok(()),
        };
        if result.is_ok() {
            node.own.disk_or_new().sync_to(sync.mark);
        } else {
            self.counts.syncs_failed += 1;
        }
        self.digest.absorb(u64::from(result.is_ok()));
        observer.observe(stamp, &Record::Disk { label: sync.label, action: DiskAction::Synced(result) });
        self.handle_rarely(stamp, observer, |process, ctx| process.on_sync(ctx, sync.label, result));
    }

    /// Stops a node. What its disk keeps of what was not synced is thrown by the dice of the crash.
    pub(super) fn crash<O: Observer<P::Message>>(
        &mut self,
        stamp: Stamp,
        after: Option<u32>,
        observer: &mut O,
    ) {
        let keep = self.overrides.keep(stamp.id);
        let lost = self.nodes[stamp.node.index()].own.disk_mut().map(|disk| match keep {
            Some(true) => {
                disk.crash_soft();
                (0, false)
            }
            Some(false) => (disk.crash_bare(), false),
            None => disk.crash(self.dice.of(stamp.id)),
        });
        self.stop(stamp, after, observer);
        if let Some((changes, torn)) = lost.filter(|(changes, _)| *changes > 0) {
            self.counts.changes_lost += u64::from(changes);
            self.digest.absorb(u64::from(changes));
            let action = DiskAction::Lost { changes, torn };
            let id = stamp.id.child(Kind::Write as u64, 0);
            observer.observe(
                Stamp { id, by: stamp.id, ..stamp },
                &Record::Disk { label: Label::new("disk"), action },
            );
        }
    }

    /// Stops a node whose disk keeps everything.
    pub(super) fn kill<O: Observer<P::Message>>(&mut self, stamp: Stamp, observer: &mut O) {
        if let Some(disk) = self.nodes[stamp.node.index()].own.disk_mut() {
            disk.crash_soft();
        }
        self.stop(stamp, None, observer);
    }

    fn stop<O: Observer<P::Message>>(&mut self, stamp: Stamp, after: Option<u32>, observer: &mut O) {
        let node = &mut self.nodes[stamp.node.index()];
        let incarnation = node.incarnation;
        debug_assert!(node.process.is_some(), "only a node that is up crashes");
        node.process = None;
        node.incarnation += 1;
        if let Some(troubles) = &mut node.troubles {
            troubles.paused_until = 0;
        }
        node.own.end_life();
        node.refresh_disturbed(stamp.time);
        for (_, slot) in std::mem::take(&mut node.timers) {
            self.queue.cancel(slot);
        }
        let endpoints = node.endpoints.take();
        self.digest.absorb(stamp.id.0);
        observer.observe(stamp, &Record::Crash { incarnation, after });
        for (connection, endpoint) in endpoints.into_iter().flat_map(|endpoints| *endpoints) {
            let in_flight =
                InFlight { from: stamp.node, to: endpoint.peer, connection, packet: Packet::Break };
            self.send_break(stamp.id, in_flight);
        }
    }

    pub(super) fn schedule_restart(&mut self, node: NodeId, crash: EventId, down: Nanos) {
        let calm = self.config.faults.until;
        let mut at = self.now.saturating_add(down);
        if self.now < calm {
            at = at.min(calm);
        }
        let id = EventId::boot(node, self.nodes[node.index()].incarnation);
        self.schedule(at, id, crash, || Pending::Boot { node });
    }

    /// After how many of its effects the node crashes while it handles this event.
    fn crash_after(&mut self, event: EventId, node: NodeId, effects: usize) -> Option<u32> {
        if let Some(fixed) = self.overrides.crash(event) {
            return fixed.map(|after| after.min(effects as u32));
        }
        if !self.overrides.leave_faults_to_chance() {
            return None;
        }
        let rates = &self.config.faults.rates;
        let dice = self.dice.of(event);
        let crashes = self.now < self.config.faults.until
            && self.swarm.allows(super::strike::Swarm::CRASH_IN_HANDLER)
            && dice.chance(crate::dice::Purpose::CRASH, rates.crash_in_handler)
            && rates.crash_nodes.as_ref().is_none_or(|nodes| nodes.contains(&node));
        crashes.then(|| dice.below(crate::dice::Purpose::CRASH_AT, effects as u64 + 1) as u32)
    }

    /// Puts off an event of a node that is paused or slow; gives it back if it is to be handled now.
    #[cold]
    #[inline(never)]
    pub(super) fn defer_disturbed(&mut self, surfaced: Surfaced) -> Option<Surfaced> {
        let at = self.queue.place(surfaced).slot.event.as_ref().and_then(Pending::handled_by);
        let Some(at) = at.filter(|at| self.nodes[at.index()].disturbed) else { return Some(surfaced) };
        let node = &mut self.nodes[at.index()];
        if node.process.is_none() {
            return Some(surfaced);
        }
        let mut event = self.queue.release(surfaced);
        let troubles = node.troubles();
        let (time, turn) = if troubles.paused_until > self.now {
            // All when the pause ends, in the order they came, also if another pause comes before that.
            if event.turn == 0 || event.turn == LATE_TURN {
                troubles.put_off += 1;
                event.turn = troubles.put_off;
            }
            (troubles.paused_until, Some(event.turn))
        } else if troubles.lag > 0 && event.turn == 0 {
            event.turn = LATE_TURN;
            (self.now.saturating_add(troubles.lag), None)
        } else {
            node.refresh_disturbed(self.now);
            return Some(self.queue.put_aside(event));
        };
        let code = match &event.event {
            Pending::Timer { code, .. } => Some(*code),
            _ => None,
        };
        let tie = turn.unwrap_or_else(|| self.tie(event.id));
        let slot = self.queue.defer(time, tie, event);
        if let Some(code) = code {
            self.nodes[at.index()].replace_timer(code, slot);
        }
        None
    }
}
