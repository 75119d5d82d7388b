//! What a server remembers of the calls it has seen: the heart of at-most-once.
//!
//! A client that the table knows has a *floor*: every number up to it is forgotten or was never there, and the table cannot
//! tell which. Whoever takes such a request for new executes old ones again.

use std::collections::BTreeMap;

use sim::{ConnectionId, Nanos, NodeId};

use super::message::{Tag, Xid};
use super::scheme::{Binding, Duplicates, Forgotten, Retention, Scheme};
use super::service::Reply;

/// Who waits for a reply, and where.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Caller {
    pub(super) node: NodeId,
    pub(super) connection: Option<ConnectionId>,
    pub(super) tag: Tag,
}

/// What the table says of a request.
#[derive(Debug)]
pub(super) enum Found<'a> {
    New,
    /// It is executing; these wait for the reply too.
    InProgress(&'a mut Vec<Caller>),
    Done(Reply),
    Forgotten,
}

#[derive(Clone, Debug)]
enum Known {
    InProgress { waiting: Vec<Caller> },
    Done { reply: Reply, since: Nanos },
}

/// What is known of one client, or of one session.
#[derive(Clone, Default, Debug)]
struct Seen {
    calls: BTreeMap<u32, Known>,
    floor: u32,
    heard: Nanos,
}

/// A table of seen calls.
#[derive(Clone, Debug)]
pub(super) struct Table {
    scheme: Scheme,
    clients: BTreeMap<(u32, u32), Seen>,
    /// The most entries that one client ever had, and all clients together.
    most: usize,
}

impl Table {
    /// Bytes of an entry (number, reply, time) and of a client (name, floor, time).
    const ENTRY: u64 = 4 + 12 + 8;
    const CLIENT: u64 = 8 + 4 + 8;

    pub(super) const fn new(scheme: Scheme) -> Self {
        Self { scheme, clients: BTreeMap::new(), most: 0 }
    }

    /// The most entries that one client ever had.
    pub(super) const fn most(&self) -> usize {
        self.most
    }

    pub(super) fn bytes(&self) -> u64 {
        let of = |seen: &Seen| Self::CLIENT + Self::ENTRY * seen.calls.len() as u64;
        self.clients.values().map(of).sum()
    }

    /// Begins to know a session.
    pub(super) fn open(&mut self, session: u32, incarnation: u32, now: Nanos) {
        self.clients.insert((session, incarnation), Seen { heard: now, ..Seen::default() });
    }

    /// What is known of the call of a request that arrived now, by the server's clock.
    pub(super) fn find(&mut self, xid: Xid, acknowledged: Option<u32>, now: Nanos) -> Found<'_> {
        self.forget_old(now);
        let refuse = self.scheme.forgotten == Forgotten::Refuse;
        let name = (xid.client, xid.life);
        if self.scheme.binding == Binding::Session && !self.clients.contains_key(&name) {
            return Found::Forgotten;
        }
        let seen = self.clients.entry(name).or_default();
        seen.heard = now;
        if let Some(number) = acknowledged {
            seen.forget_up_to(number);
        }
        let floor = seen.floor;
        match seen.calls.get_mut(&xid.number) {
            Some(Known::InProgress { waiting }) => Found::InProgress(waiting),
            Some(Known::Done { reply, .. }) => Found::Done(*reply),
            None if refuse && xid.number <= floor => Found::Forgotten,
            None => Found::New,
        }
    }

    /// A call that was new begins.
    pub(super) fn begin(&mut self, xid: Xid) {
        let seen = self.clients.entry((xid.client, xid.life)).or_default();
        if self.scheme.retention == Retention::Latest {
            seen.keep_only(xid.number);
        }
        if self.scheme.duplicates != Duplicates::RememberFinished {
            seen.calls.insert(xid.number, Known::InProgress { waiting: Vec::new() });
            self.most = self.most.max(seen.calls.len());
        }
    }

    /// A call is over; who waited for it is returned.
    pub(super) fn finish(&mut self, xid: Xid, reply: Reply, now: Nanos) -> Vec<Caller> {
        let seen = self.clients.entry((xid.client, xid.life)).or_default();
        let waiting = match seen.calls.remove(&xid.number) {
            Some(Known::InProgress { waiting }) => waiting,
            _ => Vec::new(),
        };
        self.remember(xid, reply, now);
        waiting
    }

    fn remember(&mut self, xid: Xid, reply: Reply, now: Nanos) {
        let refuse = self.scheme.forgotten == Forgotten::Refuse;
        let seen = self.clients.entry((xid.client, xid.life)).or_default();
        // Its client needs it no more, and the floor refuses its duplicates.
        if refuse && xid.number <= seen.floor {
            return;
        }
        seen.calls.insert(xid.number, Known::Done { reply, since: now });
        if self.scheme.retention == Retention::Latest {
            seen.keep_only(xid.number);
        }
        self.most = self.most.max(seen.calls.len());
    }

    /// What a log says: this call was executed, in a request that acknowledged so much.
    pub(super) fn recover(&mut self, xid: Xid, reply: Reply, acknowledged: Option<u32>, now: Nanos) {
        let seen = self.clients.entry((xid.client, xid.life)).or_default();
        seen.heard = now;
        if let Some(number) = acknowledged {
            seen.forget_up_to(number);
        }
        self.remember(xid, reply, now);
    }

    fn forget_old(&mut self, now: Nanos) {
        if let Retention::For(span) = self.scheme.retention {
            self.clients.values_mut().for_each(|seen| seen.forget_before(now, span));
        }
        if let Some(lease) = self.scheme.lease {
            self.clients.retain(|_, seen| now.saturating_sub(seen.heard) <= lease || seen.is_busy());
        }
    }
}

impl Seen {
    fn is_busy(&self) -> bool {
        self.calls.values().any(|known| matches!(known, Known::InProgress { .. }))
    }

    fn forget_up_to(&mut self, number: u32) {
        self.calls.retain(|other, known| *other > number || matches!(known, Known::InProgress { .. }));
        self.floor = self.floor.max(number);
    }

    /// Forgets what has been done for longer than `span`; at exactly `span` it is still known.
    fn forget_before(&mut self, now: Nanos, span: Nanos) {
        let floor = &mut self.floor;
        self.calls.retain(|number, known| match known {
            Known::Done { since, .. } if now.saturating_sub(*since) > span => {
                *floor = (*floor).max(*number);
                false
            }
            _ => true,
        });
    }

    /// Forgets all but the latest call, which has this number.
    fn keep_only(&mut self, number: u32) {
        self.calls.retain(|other, known| *other == number || matches!(known, Known::InProgress { .. }));
        self.floor = self.floor.max(number.saturating_sub(1));
    }
}
