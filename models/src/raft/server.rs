//! A server: what arrives, and which of election, replication and the state machine it is for.

use std::collections::BTreeMap;

use sim::{Context, EventId, Label, NodeId, Process, SyncError};

use super::election::{self, Role};
use super::log::{Command, Entry, Log};
use super::machine::{Machine, Seen};
use super::message::{RaftMessage, RaftNote};
use super::replication;
use super::storage::{Durable, Storage};
use super::variant::{Reads, Sessions, Variant};
use crate::rpc::{Call, Reply, Tag};

/// One server of several, with numbers from 0.
#[derive(Clone, Debug)]
pub struct Server {
    pub(super) variant: Variant,
    /// How many servers there are.
    pub(super) servers: u32,
    pub(super) storage: Storage,
    /// Term, vote and log.
    pub(super) durable: Durable,
    pub(super) role: Role,
    pub(super) leader: Option<NodeId>,
    pub(super) commit: u64,
    pub(super) applied: u64,
    machine: Machine,
    /// The table of a leader that keeps it to itself: the session's last call, and its reply when there is one.
    private: BTreeMap<(u32, u32), (u32, Option<Reply>)>,
    /// The event that last changed term, role, log or commitment: judges need not look at what did not change.
    pub(super) changed: EventId,
}

impl Server {
    /// A server that knows nothing; what is on its disk it reads when it starts.
    pub fn new(variant: Variant, servers: u32) -> Self {
        Self {
            variant,
            servers,
            storage: Storage::new(variant.durability),
            durable: Durable::default(),
            role: Role::Follower,
            leader: None,
            commit: 0,
            applied: 0,
            machine: Machine::default(),
            private: BTreeMap::new(),
            changed: EventId::ROOT,
        }
    }

    /// Its term.
    pub const fn term(&self) -> u64 {
        self.durable.term
    }

    /// Its log.
    pub const fn log(&self) -> &Log {
        &self.durable.log
    }

    /// Whether it takes itself for the leader of its term.
    pub const fn is_leader(&self) -> bool {
        matches!(self.role, Role::Leader(_))
    }

    /// Up to which entry it knows the log to be committed.
    pub const fn commit(&self) -> u64 {
        self.commit
    }

    /// Up to which entry its state goes.
    pub const fn applied(&self) -> u64 {
        self.applied
    }

    /// The event in which its term, role, log or commitment last changed.
    pub const fn changed(&self) -> EventId {
        self.changed
    }

    /// Bytes of what it remembers of calls, beyond the data: of a session its name, its last number and reply.
    pub fn session_bytes(&self) -> u64 {
        const SESSION: u64 = 8 + 4 + 12;
        let sessions = match self.variant.sessions {
            Sessions::None => 0,
            Sessions::LeaderOnly => self.private.len(),
            Sessions::Replicated | Sessions::NotInSnapshots | Sessions::AtArrival => self.machine.sessions(),
        };
        SESSION * sessions as u64
    }

    /// Its state.
    pub const fn machine(&self) -> &Machine {
        &self.machine
    }

    pub(super) fn peers(&self, ctx: &Context<RaftMessage>) -> impl Iterator<Item = NodeId> + use<> {
        let own = ctx.node();
        (0..self.servers).map(NodeId).filter(move |node| *node != own)
    }

    pub(super) const fn majority(&self) -> usize {
        self.servers as usize / 2 + 1
    }

    /// A leader's private table does not outlive its leadership.
    pub(super) fn forget_private_table(&mut self) {
        self.private.clear();
    }

    /// Takes the state of the log's snapshot for its own.
    pub(super) fn restore(&mut self) {
        let snapshot = self.durable.log.snapshot();
        self.machine.clone_from(&snapshot.machine);
        self.applied = snapshot.index;
        self.commit = self.commit.max(snapshot.index);
    }

    fn request(&mut self, ctx: &mut Context<RaftMessage>, client: NodeId, tag: Tag, call: Call) {
        if !self.is_leader() {
            ctx.send(client, RaftMessage::Redirect { tag, leader: self.leader });
            return;
        }
        if self.variant.reads == Reads::Local && matches!(call, Call::Get { .. }) {
            let reply = self.machine.peek(call);
            ctx.note(RaftNote::Local(tag));
            ctx.send(client, RaftMessage::Response { tag, reply });
            return;
        }
        match self.seen_at_arrival(tag) {
            Seen::New => replication::propose(self, ctx, Command { tag, call }),
            Seen::Last(reply) => {
                ctx.note(RaftNote::Recognised(tag));
                ctx.send(client, RaftMessage::Response { tag, reply });
            }
            Seen::InProgress => {
                ctx.note(RaftNote::InProgress(tag));
            }
            Seen::Older => {
                ctx.note(RaftNote::Superseded(tag));
            }
        }
    }

    /// Whether a call is known before it is in the log. What the replicated table knows was committed, so even a leader
    /// that was deposed and does not know it may answer.
    fn seen_at_arrival(&mut self, tag: Tag) -> Seen {
        match self.variant.sessions {
            Sessions::None => Seen::New,
            Sessions::Replicated | Sessions::NotInSnapshots | Sessions::AtArrival => self.machine.seen(tag),
            Sessions::LeaderOnly => match self.private.get(&(tag.client, tag.life)) {
                Some((last, Some(reply))) if *last == tag.call => Seen::Last(*reply),
                Some((last, None)) if *last == tag.call => Seen::InProgress,
                Some((last, _)) if *last > tag.call => Seen::Older,
                _ => {
                    self.private.insert((tag.client, tag.life), (tag.call, None));
                    Seen::New
                }
            },
        }
    }

    /// Applies what is committed. The leader answers the calls of its own term; for older ones the client asks again.
    pub(super) fn apply(&mut self, ctx: &mut Context<RaftMessage>) {
        while self.applied < self.commit
            && let Some(entry) = self.durable.log.get(self.applied + 1)
        {
            self.applied += 1;
            self.apply_entry(ctx, entry);
        }
        replication::compact(self, ctx);
    }

    fn apply_entry(&mut self, ctx: &mut Context<RaftMessage>, entry: Entry) {
        let index = self.applied;
        let chain = self.durable.log.chain_at(index).unwrap_or_default();
        let Some(Command { tag, call }) = entry.command else {
            ctx.note(RaftNote::Applied { index, chain, tag: None, executed: false });
            return;
        };
        let (reply, executed) = self.machine.apply(self.variant.sessions, tag, call);
        ctx.note(RaftNote::Applied { index, chain, tag: Some(tag), executed });
        if self.is_leader()
            && entry.term == self.term()
            && let Some(reply) = reply
        {
            self.answer(ctx, tag, reply);
        }
    }

    fn answer(&mut self, ctx: &mut Context<RaftMessage>, tag: Tag, reply: Reply) {
        if let Some((last, done)) = self.private.get_mut(&(tag.client, tag.life))
            && *last == tag.call
        {
            *done = Some(reply);
        }
        // Clients come after the servers, and count from 1.
        ctx.send(NodeId(self.servers + tag.client - 1), RaftMessage::Response { tag, reply });
    }

    fn dispatch(&mut self, ctx: &mut Context<RaftMessage>, from: NodeId, message: RaftMessage) {
        match message {
            RaftMessage::Request { tag, call, .. } => self.request(ctx, from, tag, call),
            RaftMessage::RequestVote { term, last_index, last_term } => {
                election::on_request_vote(self, ctx, from, term, (last_term, last_index));
            }
            RaftMessage::Vote { term, granted } => election::on_vote(self, ctx, from, term, granted),
            RaftMessage::Append { term, prev_index, prev_term, entries, commit } => {
                replication::on_append(self, ctx, from, term, (prev_index, prev_term), entries, commit);
            }
            RaftMessage::InstallSnapshot { term, snapshot } => {
                replication::on_install_snapshot(self, ctx, from, term, snapshot);
            }
            RaftMessage::Matches { term, index } => replication::on_matches(self, ctx, from, term, index),
            RaftMessage::Conflict { term, conflict_term, first_index } => {
                replication::on_conflict(self, ctx, from, term, conflict_term, first_index);
            }
            RaftMessage::Response { .. } | RaftMessage::Redirect { .. } => {}
        }
    }
}

impl Process for Server {
    type Message = RaftMessage;

    fn on_start(&mut self, ctx: &mut Context<RaftMessage>) {
        self.durable = self.storage.recover(ctx);
        self.restore();
        let snapshot = self.log().snapshot().index;
        let entries = self.log().last_index() - snapshot;
        if ctx.incarnation() > 0 {
            ctx.note(RaftNote::Recovered { entries, snapshot });
        }
        self.changed = ctx.event();
        election::wait(self, ctx);
    }

    fn on_message(&mut self, ctx: &mut Context<RaftMessage>, from: NodeId, message: RaftMessage) {
        self.dispatch(ctx, from, message);
        self.storage.sync(ctx, self.durable.log.last_index());
    }

    fn on_timer(&mut self, ctx: &mut Context<RaftMessage>, timer: Label) {
        if timer.word == replication::HEARTBEAT {
            replication::beat(self, ctx);
        } else {
            election::stand(self, ctx);
        }
        self.storage.sync(ctx, self.durable.log.last_index());
    }

    fn on_sync(&mut self, ctx: &mut Context<RaftMessage>, sync: Label, result: Result<(), SyncError>) {
        match result {
            Ok(()) => {
                if let Some(length) = self.storage.on_synced(ctx, sync.key) {
                    replication::on_durable(self, ctx, length);
                }
            }
            // What was written is still not durable: nobody may hear of it before it is.
            Err(_) => {
                ctx.sync(sync);
            }
        }
        self.storage.sync(ctx, self.durable.log.last_index());
    }
}
