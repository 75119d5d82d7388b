//! Elections: section 3.4 of the dissertation, with the restriction of section 3.6.1.
//!
//! Deliberately absent: the extra round before an election (section 9.6), and handing leadership over.

use std::collections::BTreeSet;

use sim::{Context, NodeId};

use super::message::{RaftMessage, RaftNote};
use super::replication::{self, Leadership};
use super::server::Server;

/// The timer of a server that hears no leader.
const ELECTION: &str = "election";

/// What a server is in its term.
#[derive(Clone, Debug)]
pub(super) enum Role {
    /// It answers.
    Follower,
    /// It asks for votes, and has these.
    Candidate(BTreeSet<NodeId>),
    /// It decides what is in the log.
    Leader(Leadership),
}

/// Waits for a leader or a candidate, for a time that the dice choose so that seldom two stand at once.
pub(super) fn wait(server: &Server, ctx: &mut Context<RaftMessage>) {
    let shortest = server.variant.election_timeout;
    let delay = shortest + ctx.random_below(shortest);
    ctx.set_timer(ELECTION, delay);
}

/// Stands for election in the next term.
pub(super) fn stand(server: &mut Server, ctx: &mut Context<RaftMessage>) {
    enter_term(server, ctx, server.durable.term + 1, Some(ctx.node()));
    server.role = Role::Candidate(BTreeSet::from([ctx.node()]));
    wait(server, ctx);
    let (last_index, last_term) = (server.durable.log.last_index(), server.durable.log.last_term());
    for peer in server.peers(ctx) {
        let ask = RaftMessage::RequestVote { term: server.durable.term, last_index, last_term };
        server.storage.send(ctx, peer, ask);
    }
}

/// Follows in a later term, if this one is later. Every message of a server begins with this.
pub(super) fn notice_term(server: &mut Server, ctx: &mut Context<RaftMessage>, term: u64) {
    if term > server.durable.term {
        enter_term(server, ctx, term, None);
        follow(server, ctx, None);
    }
}

/// Follows, in the term it is in.
pub(super) fn follow(server: &mut Server, ctx: &mut Context<RaftMessage>, leader: Option<NodeId>) {
    let led = server.is_leader();
    server.role = Role::Follower;
    server.leader = leader;
    if led {
        ctx.cancel_timer(replication::HEARTBEAT);
    }
    if led || leader.is_some() {
        wait(server, ctx);
    }
}

fn enter_term(server: &mut Server, ctx: &mut Context<RaftMessage>, term: u64, vote: Option<NodeId>) {
    server.durable.term = term;
    server.durable.vote = vote.map(|node| node.0);
    server.leader = None;
    server.changed = ctx.event();
    server.storage.write_ballot(ctx, term, server.durable.vote);
}

pub(super) fn on_request_vote(
    server: &mut Server,
    ctx: &mut Context<RaftMessage>,
    candidate: NodeId,
    term: u64,
    last: (u64, u64),
) {
    notice_term(server, ctx, term);
    let own_last = (server.durable.log.last_term(), server.durable.log.last_index());
    let free = server.durable.vote.is_none_or(|vote| vote == candidate.0);
    let granted = term == server.durable.term && free && last >= own_last;
    if granted {
        if server.durable.vote.is_none() {
            server.durable.vote = Some(candidate.0);
            server.storage.write_ballot(ctx, term, server.durable.vote);
        }
        wait(server, ctx);
    }
    server.storage.send(ctx, candidate, RaftMessage::Vote { term: server.durable.term, granted });
}

pub(super) fn on_vote(
    server: &mut Server,
    ctx: &mut Context<RaftMessage>,
    voter: NodeId,
    term: u64,
    granted: bool,
) {
    notice_term(server, ctx, term);
    let majority = server.majority();
    if granted
        && term == server.durable.term
        && let Role::Candidate(votes) = &mut server.role
    {
        votes.insert(voter);
        if votes.len() >= majority {
            lead(server, ctx);
        }
    }
}

fn lead(server: &mut Server, ctx: &mut Context<RaftMessage>) {
    ctx.note(RaftNote::Leader { term: server.durable.term });
    server.role = Role::Leader(Leadership::new(server.servers, server.durable.log.last_index()));
    server.leader = Some(ctx.node());
    server.changed = ctx.event();
    server.forget_private_table();
    ctx.cancel_timer(ELECTION);
    replication::begin(server, ctx);
}
