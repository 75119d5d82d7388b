//! What servers and clients say to each other, and to their judges.

use std::sync::Arc;

use check::ledger::{self, Decision, Mail, Reader};
use serde::{Serialize, Serializer};
use sim::{Label, Message, NodeId};

use super::log::{Entry, Snapshot};
use crate::rpc::{Call, Reply, Tag};

/// A message of the replicated service. The first three are between clients and servers, the others between servers.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RaftMessage {
    /// Execute this. The tag is client, session and serial number.
    Request {
        /// Which call.
        tag: Tag,
        /// How often it was sent before.
        resend: u32,
        /// What to execute.
        call: Call,
    },
    /// It was executed.
    Response {
        /// Which call.
        tag: Tag,
        /// What came of it.
        reply: Reply,
    },
    /// Ask somebody else.
    Redirect {
        /// Which call.
        tag: Tag,
        /// Who the leader is, as far as the server knows.
        #[serde(serialize_with = "number")]
        leader: Option<NodeId>,
    },
    /// Vote for me.
    RequestVote {
        /// The candidate's term.
        term: u64,
        /// The index of its last entry.
        last_index: u64,
        /// The term of its last entry.
        last_term: u64,
    },
    /// The answer to that.
    Vote {
        /// The voter's term.
        term: u64,
        /// Whether it votes for the candidate.
        granted: bool,
    },
    /// Entries, or none as a sign of life.
    Append {
        /// The leader's term.
        term: u64,
        /// The index of the entry before these.
        prev_index: u64,
        /// The term of that entry.
        prev_term: u64,
        /// The entries.
        entries: Vec<Entry>,
        /// How far the leader has committed.
        commit: u64,
    },
    /// A state that replaces entries which the leader no longer has.
    InstallSnapshot {
        /// The leader's term.
        term: u64,
        /// The state.
        #[serde(serialize_with = "outline")]
        snapshot: Arc<Snapshot>,
    },
    /// The follower's log is the leader's up to here.
    Matches {
        /// The follower's term.
        term: u64,
        /// Up to here.
        index: u64,
    },
    /// The follower's log differs: the leader goes back by a whole term at once (section 3.5 of the dissertation).
    Conflict {
        /// The follower's term.
        term: u64,
        /// The term of the follower's entry where they differ; 0 if it has none there.
        conflict_term: u64,
        /// The first index the follower has of that term, or the first it does not have.
        first_index: u64,
    },
}

impl Message for RaftMessage {
    type Note = RaftNote;

    fn label(&self) -> Label {
        Label::new(match self {
            Self::Request { .. } => "request",
            Self::Response { .. } => "reply",
            Self::Redirect { .. } => "redirect",
            Self::RequestVote { .. } => "request vote",
            Self::Vote { .. } => "vote",
            Self::Append { .. } => "append",
            Self::InstallSnapshot { .. } => "install snapshot",
            Self::Matches { .. } => "matches",
            Self::Conflict { .. } => "conflict",
        })
    }

    fn size(&self) -> u32 {
        match self {
            Self::Append { entries, .. } => 40 + 40 * entries.len() as u32,
            Self::InstallSnapshot { .. } => 512,
            _ => 40,
        }
    }
}

#[allow(clippy::ref_option, clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn number<S: Serializer>(leader: &Option<NodeId>, serializer: S) -> Result<S::Ok, S::Error> {
    leader.map(|node| node.0).serialize(serializer)
}

/// Where a snapshot ends: its state would drown a trace.
fn outline<S: Serializer>(snapshot: &Arc<Snapshot>, serializer: S) -> Result<S::Ok, S::Error> {
    (snapshot.index, snapshot.term).serialize(serializer)
}

/// What the judges are told.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RaftNote {
    /// A client calls.
    Call {
        /// Which call.
        tag: Tag,
        /// What.
        call: Call,
    },
    /// A client's call returned.
    Reply(Reply),
    /// A client gave up waiting.
    GaveUp,
    /// A server was elected.
    Leader {
        /// Of this term.
        term: u64,
    },
    /// A server applied an entry.
    Applied {
        /// Its index.
        index: u64,
        /// The chain of hashes up to it.
        chain: u64,
        /// The call in it.
        tag: Option<Tag>,
        /// Whether the call was executed, and not recognised as a duplicate.
        executed: bool,
    },
    /// A leader took a call for new, and appended it to its log.
    Logged {
        /// Which call.
        tag: Tag,
        /// As which entry.
        index: u64,
        /// Of which term.
        term: u64,
    },
    /// The leader recognised a duplicate when it arrived.
    Recognised(Tag),
    /// The leader recognised a duplicate of a call that it has under way.
    InProgress(Tag),
    /// The leader recognised a duplicate whose client has gone on since.
    Superseded(Tag),
    /// Whoever takes itself for the leader answered a call that changes nothing from its state.
    Local(Tag),
    /// A follower removed entries from here on, because the leader has others.
    Overwritten {
        /// The first of them.
        index: u64,
    },
    /// A leader saw that an entry of an older term is on a majority of the servers, which does not commit it.
    OldTermOnMajority {
        /// Its index.
        index: u64,
    },
    /// A follower took the leader's snapshot.
    Installed {
        /// Where it ends.
        index: u64,
    },
    /// A server found this many entries behind its snapshot on its disk.
    Recovered {
        /// How many.
        entries: u64,
        /// Where the snapshot ends.
        snapshot: u64,
    },
}

/// How the ledger reads these messages and notes.
pub const READER: Reader<RaftMessage> = Reader { mail, entry };

const fn mail(message: &RaftMessage) -> Option<Mail> {
    Some(match *message {
        RaftMessage::Request { tag, resend, .. } => Mail::Request { call: tag, resend },
        RaftMessage::Response { tag, .. } => Mail::Reply { call: tag },
        RaftMessage::Redirect { tag, leader } => Mail::Redirect { call: tag, leader },
        _ => return None,
    })
}

const fn entry(note: &RaftNote) -> Option<ledger::Entry> {
    Some(match *note {
        RaftNote::Call { tag, .. } => ledger::Entry::Called(tag),
        RaftNote::Logged { tag, index, term } => ledger::Entry::Logged { call: tag, index, term },
        RaftNote::Recognised(tag) => ledger::Entry::Decided(tag, Decision::Done),
        RaftNote::InProgress(tag) => ledger::Entry::Decided(tag, Decision::InProgress),
        RaftNote::Superseded(tag) => ledger::Entry::Decided(tag, Decision::Superseded),
        RaftNote::Local(tag) => ledger::Entry::Decided(tag, Decision::Local),
        RaftNote::Applied { index, tag: Some(tag), executed, .. } => {
            ledger::Entry::Applied { call: tag, index, executed }
        }
        RaftNote::Overwritten { index } => ledger::Entry::Removed { from: index },
        RaftNote::Installed { index } | RaftNote::Recovered { snapshot: index, .. } => {
            ledger::Entry::TookOver { index }
        }
        RaftNote::Applied { tag: None, .. }
        | RaftNote::Reply(_)
        | RaftNote::GaveUp
        | RaftNote::Leader { .. }
        | RaftNote::OldTermOnMajority { .. } => return None,
    })
}
