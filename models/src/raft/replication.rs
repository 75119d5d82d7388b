//! Replication: the leader makes the others' logs its own, and says what is committed. Section 3.5 of the dissertation,
//! 3.6.2 for commitment, chapter 5 for snapshots, 10.2.1 for writing to disk and network at once.
//!
//! Deliberately absent: sending the next entries before the last were acknowledged, sending a snapshot in parts, and
//! changes of membership.

use std::sync::Arc;

use sim::{Context, NodeId};

use super::election::{self, Role};
use super::log::{Command, Entry, Snapshot};
use super::message::{RaftMessage, RaftNote};
use super::server::Server;
use super::variant::{Acceptance, Commitment};

/// The timer of a leader that has nothing to say.
pub(super) const HEARTBEAT: &str = "heartbeat";

/// What a leader knows of each server, itself included.
#[derive(Clone, Debug)]
pub(super) struct Leadership {
    /// The next entry to send.
    next: Vec<u64>,
    /// The last entry known to be durable there and the same.
    matched: Vec<u64>,
}

impl Leadership {
    pub(super) fn new(servers: u32, last_index: u64) -> Self {
        Self { next: vec![last_index + 1; servers as usize], matched: vec![0; servers as usize] }
    }

    /// The last entry that so many servers have.
    fn on(&self, servers: usize) -> u64 {
        let mut matched = self.matched.clone();
        matched.sort_unstable();
        matched[matched.len() - servers]
    }
}

/// The first thing a leader does.
pub(super) fn begin(server: &mut Server, ctx: &mut Context<RaftMessage>) {
    if server.variant.empty_entry {
        append(server, ctx, None);
    } else if server.storage.is_synced() {
        let durable = server.durable.log.last_index();
        on_durable(server, ctx, durable);
    }
    beat(server, ctx);
}

/// Appends a client's call and sends it.
pub(super) fn propose(server: &mut Server, ctx: &mut Context<RaftMessage>, command: Command) {
    append(server, ctx, Some(command));
    let (index, term) = (server.durable.log.last_index(), server.durable.term);
    ctx.note(RaftNote::Logged { tag: command.tag, index, term });
    send_to_all(server, ctx);
}

fn append(server: &mut Server, ctx: &mut Context<RaftMessage>, command: Option<Command>) {
    server.durable.log.push(Entry { term: server.durable.term, command });
    server.storage.write_entries(ctx, server.durable.log.last_index(), &server.durable.log);
    server.changed = ctx.event();
}

/// Sends to all what they lack, and a sign of life to those that lack nothing.
pub(super) fn beat(server: &mut Server, ctx: &mut Context<RaftMessage>) {
    send_to_all(server, ctx);
    ctx.set_timer(HEARTBEAT, server.variant.heartbeat);
}

fn send_to_all(server: &Server, ctx: &mut Context<RaftMessage>) {
    for peer in server.peers(ctx) {
        send_to(server, ctx, peer);
    }
}

/// These need not wait for the leader's own disk: it counts itself among those that have an entry only when it has it
/// durably. Its term is durable since it asked for votes.
fn send_to(server: &Server, ctx: &mut Context<RaftMessage>, peer: NodeId) {
    let Role::Leader(leadership) = &server.role else { return };
    let (term, log) = (server.durable.term, &server.durable.log);
    let next = leadership.next[peer.index()];
    let message = match log.term_at(next - 1) {
        Some(prev_term) => RaftMessage::Append {
            term,
            prev_index: next - 1,
            prev_term,
            entries: log.from(next, server.variant.batch),
            commit: server.commit,
        },
        None => RaftMessage::InstallSnapshot { term, snapshot: Arc::clone(log.snapshot()) },
    };
    ctx.send(peer, message);
}

pub(super) fn on_append(
    server: &mut Server,
    ctx: &mut Context<RaftMessage>,
    leader: NodeId,
    term: u64,
    (prev_index, prev_term): (u64, u64),
    entries: Vec<Entry>,
    commit: u64,
) {
    if !accepts_leader(server, ctx, leader, term) {
        return;
    }
    if let Some((conflict_term, first_index)) = conflict(server, prev_index, prev_term) {
        let term = server.durable.term;
        return server.storage.send(ctx, leader, RaftMessage::Conflict { term, conflict_term, first_index });
    }
    let last_new = prev_index + entries.len() as u64;
    store(server, ctx, prev_index, entries);
    advance(server, ctx, commit.min(last_new));
    let term = server.durable.term;
    server.storage.send(ctx, leader, RaftMessage::Matches { term, index: last_new });
}

/// Whether this is the leader of the server's term; a leader of an older one is told of the term.
fn accepts_leader(server: &mut Server, ctx: &mut Context<RaftMessage>, leader: NodeId, term: u64) -> bool {
    election::notice_term(server, ctx, term);
    if term < server.durable.term {
        let (term, granted) = (server.durable.term, false);
        server.storage.send(ctx, leader, RaftMessage::Vote { term, granted });
        return false;
    }
    election::follow(server, ctx, Some(leader));
    true
}

/// Where the log differs from the leader's before the new entries, if it does: the term there, and that term's first
/// index, or 0 and the first index that is missing. What is in the snapshot is committed and cannot differ.
fn conflict(server: &Server, prev_index: u64, prev_term: u64) -> Option<(u64, u64)> {
    let log = &server.durable.log;
    if prev_index > log.last_index() {
        return Some((0, log.last_index() + 1));
    }
    let term = log.term_at(prev_index)?;
    let checked = server.variant.acceptance != Acceptance::Unchecked;
    (checked && term != prev_term).then(|| (term, log.first_of_term_at(prev_index)))
}

/// Stores the entries behind `prev_index` that the log does not have.
fn store(server: &mut Server, ctx: &mut Context<RaftMessage>, prev_index: u64, entries: Vec<Entry>) {
    let log = &mut server.durable.log;
    if server.variant.acceptance == Acceptance::Truncating {
        log.truncate(prev_index + 1);
    }
    let mut first_new = None;
    for (index, entry) in (prev_index + 1..).zip(entries) {
        if index <= log.snapshot().index || log.term_at(index) == Some(entry.term) {
            continue;
        }
        if index <= log.last_index() {
            ctx.note(RaftNote::Overwritten { index });
            log.truncate(index);
        }
        log.push(entry);
        first_new.get_or_insert(index);
    }
    let removed = server.variant.acceptance == Acceptance::Truncating;
    if let Some(from) = first_new.or(removed.then_some(prev_index + 1)) {
        server.storage.write_entries(ctx, from, log);
        server.changed = ctx.event();
    }
}

pub(super) fn on_install_snapshot(
    server: &mut Server,
    ctx: &mut Context<RaftMessage>,
    leader: NodeId,
    term: u64,
    snapshot: Arc<Snapshot>,
) {
    if !accepts_leader(server, ctx, leader, term) {
        return;
    }
    let index = snapshot.index;
    if index > server.commit {
        // The new generation overwrites the one before the last, so the last must be durable. The leader asks again.
        if !server.storage.is_synced() {
            return;
        }
        server.durable.log.compact(snapshot);
        server.storage.write_all(ctx, &server.durable);
        server.restore();
        server.changed = ctx.event();
        ctx.note(RaftNote::Installed { index });
    }
    let term = server.durable.term;
    server.storage.send(ctx, leader, RaftMessage::Matches { term, index });
}

pub(super) fn on_matches(
    server: &mut Server,
    ctx: &mut Context<RaftMessage>,
    peer: NodeId,
    term: u64,
    index: u64,
) {
    election::notice_term(server, ctx, term);
    let last_index = server.durable.log.last_index();
    let Role::Leader(leadership) = &mut server.role else { return };
    let (matched, next) = (&mut leadership.matched[peer.index()], &mut leadership.next[peer.index()]);
    // A conflict may have taken `next` below what was matched before; without this the peer would be sent the same for ever.
    if term < server.durable.term || index <= *matched && index < *next {
        return;
    }
    *matched = index.max(*matched);
    *next = index.min(last_index) + 1;
    if index < last_index {
        send_to(server, ctx, peer);
    }
    commit_by_counting(server, ctx);
}

pub(super) fn on_conflict(
    server: &mut Server,
    ctx: &mut Context<RaftMessage>,
    peer: NodeId,
    term: u64,
    conflict_term: u64,
    first_index: u64,
) {
    election::notice_term(server, ctx, term);
    let log = &server.durable.log;
    let Role::Leader(leadership) = &mut server.role else { return };
    if term < server.durable.term {
        return;
    }
    // If the leader has entries of that term, the logs may agree up to the last of them.
    let sent = &mut leadership.next[peer.index()];
    let last_common = if conflict_term == 0 { None } else { log.last_of_term(conflict_term) };
    let next = last_common.map(|index| index + 1).filter(|next| next < sent).unwrap_or(first_index);
    let next = next.clamp(1, log.last_index() + 1);
    if next < *sent {
        *sent = next;
        send_to(server, ctx, peer);
    }
}

/// The leader's own log is durable up to here.
pub(super) fn on_durable(server: &mut Server, ctx: &mut Context<RaftMessage>, length: u64) {
    if let Role::Leader(leadership) = &mut server.role {
        // A leader only appends, so what it had when it asked for the sync it has still.
        let own = &mut leadership.matched[ctx.node().index()];
        *own = length.max(*own);
        commit_by_counting(server, ctx);
    }
    compact(server, ctx);
}

fn commit_by_counting(server: &mut Server, ctx: &mut Context<RaftMessage>) {
    let Role::Leader(leadership) = &server.role else { return };
    let index = leadership.on(server.majority());
    if index <= server.commit {
        return;
    }
    if server.durable.log.term_at(index) != Some(server.durable.term) {
        ctx.note(RaftNote::OldTermOnMajority { index });
        if server.variant.commitment == Commitment::CurrentTerm {
            return;
        }
    }
    advance(server, ctx, index);
}

fn advance(server: &mut Server, ctx: &mut Context<RaftMessage>, commit: u64) {
    if commit > server.commit {
        server.commit = commit;
        server.changed = ctx.event();
        server.apply(ctx);
    }
}

/// Replaces the applied part of the log by a snapshot, if there is enough of it and the file that the next generation
/// would overwrite is not needed any more.
pub(super) fn compact(server: &mut Server, ctx: &mut Context<RaftMessage>) {
    let (every, applied) = (server.variant.compact_every, server.applied);
    let log = &server.durable.log;
    if every == 0 || applied < log.snapshot().index + every || !server.storage.is_synced() {
        return;
    }
    let (Some(term), Some(chain)) = (log.term_at(applied), log.chain_at(applied)) else { return };
    let machine = server.machine().to_keep(server.variant.sessions);
    server.durable.log.compact(Arc::new(Snapshot { index: applied, term, chain, machine }));
    server.storage.write_all(ctx, &server.durable);
    server.changed = ctx.event();
}
