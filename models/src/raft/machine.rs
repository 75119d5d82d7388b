//! The replicated state: the service, and the sessions of its clients (section 6.3 of the dissertation).
//!
//! A client has one call outstanding, so a session is the last serial number that was executed and its reply. A life of
//! a client is a session. Deliberately absent: registering sessions and letting them expire; the world numbers clients
//! and lives already.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::variant::Sessions;
use crate::rpc::{Call, Reply, Service, Tag};

/// What the table says of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Seen {
    /// It was not executed.
    New,
    /// It is the session's last, and there is no reply yet.
    InProgress,
    /// It was the session's last, and this was its reply.
    Last(Reply),
    /// It was executed, its reply is forgotten, and its client has it.
    Older,
}

/// What became of one logical call in this state: for the judges.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Execution {
    /// How often it was executed.
    pub times: u32,
    /// The reply of the first execution.
    pub first_reply: Reply,
}

/// A session: client and life.
type Session = (u32, u32);

/// The replicated state.
#[derive(Clone, PartialEq, Eq, Hash, Default, Debug, Serialize, Deserialize)]
pub struct Machine {
    service: Service,
    #[serde(with = "pairs")]
    sessions: BTreeMap<Session, (u32, Reply)>,
    /// For the judges only; no server looks at it.
    #[serde(with = "pairs")]
    executions: BTreeMap<(u32, u32, u32), Execution>,
}

impl Machine {
    pub(super) fn seen(&self, tag: Tag) -> Seen {
        match self.sessions.get(&(tag.client, tag.life)) {
            Some((last, reply)) if *last == tag.call => Seen::Last(*reply),
            Some((last, _)) if *last > tag.call => Seen::Older,
            _ => Seen::New,
        }
    }

    /// Applies a committed call, and returns its reply, if there is one, and whether it was executed.
    pub(super) fn apply(&mut self, sessions: Sessions, tag: Tag, call: Call) -> (Option<Reply>, bool) {
        if matches!(sessions, Sessions::Replicated | Sessions::NotInSnapshots) {
            match self.seen(tag) {
                Seen::New => {}
                Seen::Last(reply) => return (Some(reply), false),
                Seen::InProgress | Seen::Older => return (None, false),
            }
        }
        let reply = self.service.execute(call, 0);
        let key = (tag.client, tag.life, tag.call);
        self.executions.entry(key).or_insert(Execution { times: 0, first_reply: reply }).times += 1;
        let last = self.sessions.entry((tag.client, tag.life)).or_insert((tag.call, reply));
        if last.0 <= tag.call {
            *last = (tag.call, reply);
        }
        (Some(reply), true)
    }

    /// The reply to a call, from this state and without a trace in it.
    pub(super) fn peek(&self, call: Call) -> Reply {
        self.service.clone().execute(call, 0)
    }

    /// What a snapshot of this state holds.
    pub(super) fn to_keep(&self, sessions: Sessions) -> Self {
        let mut kept = self.clone();
        if sessions == Sessions::NotInSnapshots {
            kept.sessions.clear();
        }
        kept
    }

    /// How many sessions there are.
    pub(super) fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// What became of a call in this state.
    pub fn execution(&self, tag: Tag) -> Option<Execution> {
        self.executions.get(&(tag.client, tag.life, tag.call)).copied()
    }

    /// All calls that this state contains.
    pub fn executions(&self) -> impl Iterator<Item = (Tag, Execution)> + '_ {
        self.executions
            .iter()
            .map(|(&(client, life, call), execution)| (Tag { client, life, call }, *execution))
    }
}

/// Maps whose keys are no strings, as lists of pairs.
mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<K: Serialize, V: Serialize, S: Serializer>(
        map: &BTreeMap<K, V>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    pub(super) fn deserialize<'de, K, V, D>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
    where
        K: Deserialize<'de> + Ord,
        V: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        Ok(Vec::<(K, V)>::deserialize(deserializer)?.into_iter().collect())
    }
}
