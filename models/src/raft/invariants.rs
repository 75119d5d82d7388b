//! What must hold of all servers after every step: the properties of Figure 3.2 of the dissertation.
//!
//! They look at pairs of servers of which one has just changed, and compare hashes of whole logs, so they cost next to
//! nothing. They see only servers that are up, and the past only as far as these remember it; the judge of the
//! whole run sees to the rest.

use sim::{EventId, NodeId, Violation, World};

use super::judge::Property;
use super::scenarios::Node;
use super::server::Server;

/// The first of these properties that does not hold after the last event.
pub(super) fn violated(world: &World<Node>, properties: &[Property]) -> Option<Violation> {
    let last = world.last_event();
    for node in servers(world) {
        let Some(Node::Right(server)) = world.process(node) else { continue };
        if server.changed() != last {
            continue;
        }
        for property in properties {
            let mut pairs = servers(world).filter(|other| *other != node);
            let found = alone(*property, server).or_else(|| {
                pairs.find_map(|other| match world.process(other) {
                    Some(Node::Right(peer)) => {
                        pair(*property, server, peer).or_else(|| pair(*property, peer, server))
                    }
                    _ => None,
                })
            });
            if let Some(detail) = found {
                return Some(violation(*property, detail, last, world));
            }
        }
    }
    None
}

fn servers(world: &World<Node>) -> impl Iterator<Item = NodeId> + '_ {
    (0..world.config().nodes)
        .map(NodeId)
        .take_while(|node| !matches!(world.process(*node), Some(Node::Left(_))))
}

fn violation(property: Property, detail: String, last: EventId, world: &World<Node>) -> Violation {
    Violation { property: property.name().to_owned(), detail, evidence: vec![last], time: world.now() }
}

fn alone(property: Property, server: &Server) -> Option<String> {
    let (commit, last) = (server.commit(), server.log().last_index());
    (property == Property::CommittedStay && commit > last)
        .then(|| format!("a server knows entry {commit} committed, and its log ends at entry {last}"))
}

/// What is wrong between the two, seen from the first.
fn pair(property: Property, one: &Server, other: &Server) -> Option<String> {
    match property {
        Property::ElectionSafety => {
            let two = one.is_leader() && other.is_leader() && one.term() == other.term();
            two.then(|| format!("term {} has two leaders", one.term()))
        }
        Property::LogMatching => log_matching(one, other),
        Property::LeaderCompleteness => leader_completeness(one, other),
        Property::StateMachineSafety => {
            let index = one.commit().min(other.commit());
            let (mine, theirs) = (one.log().chain_at(index)?, other.log().chain_at(index)?);
            (mine != theirs)
                .then(|| format!("two servers know entry {index} committed, and the logs up to it differ"))
        }
        _ => None,
    }
}

/// If two logs have an entry of the same index and term, they are the same up to it. The last such entry says it for
/// all before.
fn log_matching(one: &Server, other: &Server) -> Option<String> {
    let (mine, theirs) = (one.log(), other.log());
    let first = mine.snapshot().index.max(theirs.snapshot().index);
    let last = mine.last_index().min(theirs.last_index());
    let index = (first..=last).rev().find(|index| mine.term_at(*index) == theirs.term_at(*index))?;
    let term = mine.term_at(index)?;
    (mine.chain_at(index) != theirs.chain_at(index))
        .then(|| format!("two logs have an entry {index} of term {term}, and differ before it"))
}

/// What a server knows committed, every leader of its term or a later one has.
fn leader_completeness(leader: &Server, other: &Server) -> Option<String> {
    let (commit, term) = (other.commit(), leader.term());
    if !leader.is_leader() || term < other.term() || commit < leader.log().snapshot().index {
        return None;
    }
    let theirs = other.log().chain_at(commit)?;
    (leader.log().chain_at(commit) != Some(theirs))
        .then(|| format!("entry {commit} is committed, and the leader of term {term} does not have it"))
}
