//! The client's RPC library: identifiers, bindings, resends, acknowledgements. The layer above hands it calls and is told
//! how they ended; the layer below carries messages. It knows nothing of what is called.

use std::collections::BTreeMap;

use sim::{ConnectionId, Context, Label, MILLIS, NodeId, OpId, StreamEvent};

use super::message::{Asking, Refusal, Request, RpcMessage, Tag, Xid};
use super::scheme::{Acknowledge, Binding, Identity, OuterRetry, Retention, Retry, Scheme, Transport};
use super::service::{Call, Reply};

/// The timer of a request that is not answered; keyed by call if the client pipelines.
const RESEND: &str = "resend";
/// The timer of a client that asks to be bound.
const BIND: &str = "bind";

/// One client's library.
#[derive(Clone, Debug)]
pub(crate) struct Library {
    scheme: Scheme,
    server: NodeId,
    /// The connection, if calls travel on one and it is open or being opened.
    connection: Option<ConnectionId>,
    bound: Bound,
    /// How it asks, or asked last, to be bound.
    asking: Asking,
    /// What it calls itself, if it draws that.
    drawn: u32,
    last_number: u32,
    /// The greatest number of this binding whose call is over.
    greatest_over: u32,
    /// The calls that are not over, by their number in this life.
    pending: BTreeMap<u32, Pending>,
}

/// A session of a server's incarnation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Session {
    incarnation: u32,
    session: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Bound {
    No,
    Asked,
    To(Session),
}

/// A call that is not over.
#[derive(Clone, Debug)]
struct Pending {
    op: OpId,
    tag: Tag,
    call: Call,
    /// What its requests carry; `None` until there is a binding.
    named: Option<(Xid, Session)>,
    sent: u32,
    /// How often since the outer layer called last.
    tried: u32,
}

/// How a call ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    pub(crate) op: OpId,
    pub(crate) how: How,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum How {
    /// With a reply, to the first request or to a resend.
    Reply {
        reply: Reply,
        resent: bool,
    },
    Refused(Refusal),
    GaveUp,
}

impl Library {
    pub(crate) const fn new(scheme: Scheme, server: NodeId) -> Self {
        Self {
            scheme,
            server,
            connection: None,
            bound: Bound::No,
            asking: Asking { life: 0, number: 0 },
            drawn: 0,
            last_number: 0,
            greatest_over: 0,
            pending: BTreeMap::new(),
        }
    }

    pub(crate) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// What it calls itself, if it draws that at random.
    pub(crate) const fn drawn(&self) -> u32 {
        self.drawn
    }

    pub(crate) fn start(&mut self, ctx: &mut Context<RpcMessage>) {
        if let Identity::RandomClient { bits } = self.scheme.identity {
            self.drawn = ctx.random_below(1 << bits) as u32;
        }
    }

    /// Whether the window has room for the call with this number.
    pub(crate) fn has_room(&self, number: u32) -> bool {
        self.pending.first_key_value().is_none_or(|(first, _)| number - first < self.scheme.window)
    }

    pub(crate) fn call(&mut self, ctx: &mut Context<RpcMessage>, op: OpId, tag: Tag, call: Call) {
        self.pending.insert(tag.call, Pending { op, tag, call, named: None, sent: 0, tried: 0 });
        self.send_first(ctx, tag.call);
    }

    fn send_first(&mut self, ctx: &mut Context<RpcMessage>, number: u32) {
        match (self.scheme.binding, self.bound) {
            (Binding::None, _) | (_, Bound::To(_)) => {}
            (_, Bound::Asked) => return,
            (_, Bound::No) => {
                self.asking = Asking { life: ctx.incarnation(), number: self.asking.number + 1 };
                return self.ask_to_be_bound(ctx);
            }
        }
        self.name(ctx, number);
        self.send(ctx, number);
    }

    fn ask_to_be_bound(&mut self, ctx: &mut Context<RpcMessage>) {
        self.bound = Bound::Asked;
        self.carry(ctx, RpcMessage::Bind(self.asking));
        ctx.set_timer(BIND, self.scheme.timeout);
    }

    /// Gives a call the identifier that its requests carry.
    fn name(&mut self, ctx: &Context<RpcMessage>, number: u32) {
        let session = match self.bound {
            Bound::To(session) => session,
            Bound::No | Bound::Asked => Session::default(),
        };
        let Some(pending) = self.pending.get_mut(&number) else { return };
        self.last_number += 1;
        let (client, life) = match (self.scheme.binding, self.scheme.identity) {
            (Binding::Session, _) => (session.session, session.incarnation),
            (_, Identity::PerCall | Identity::PerAttempt) => (ctx.node().0, ctx.incarnation()),
            (_, Identity::WithoutLife | Identity::Content | Identity::ContentAndTime) => (ctx.node().0, 0),
            (_, Identity::WithoutClient) => (0, 0),
            (_, Identity::RandomClient { .. }) => (self.drawn, 0),
        };
        let number = match self.scheme.identity {
            Identity::Content => hash(&pending.call.encode()),
            // A clock that shows tenths of a second, as a header may.
            Identity::ContentAndTime => {
                let tenths = ctx.now() / (100 * MILLIS);
                hash(&pending.call.encode()) ^ hash(&tenths.to_le_bytes())
            }
            _ => self.last_number,
        };
        pending.named = Some((Xid { client, life, number }, session));
    }

    fn send(&mut self, ctx: &mut Context<RpcMessage>, number: u32) {
        let Some(pending) = self.pending.get_mut(&number) else { return };
        let Some((xid, session)) = pending.named else { return };
        let (tag, resend, call) = (pending.tag, pending.sent, pending.call);
        pending.sent += 1;
        pending.tried += 1;
        let acknowledged = self.acknowledged(session);
        let bound = (self.scheme.binding == Binding::Incarnation).then_some(session.incarnation);
        self.carry(ctx, RpcMessage::Request(Request { xid, tag, resend, call, acknowledged, bound }));
        // On a connection there is no need to send again: it delivers, or it breaks.
        if self.scheme.transport == Transport::Datagrams {
            ctx.set_timer(self.timer(number), self.scheme.timeout);
        }
    }

    /// Up to which number of this session the client needs no replies any more, if it is to say so.
    fn acknowledged(&self, session: Session) -> Option<u32> {
        let Retention::Unacknowledged(acknowledge) = self.scheme.retention else { return None };
        Some(match acknowledge {
            Acknowledge::Prefix => {
                let named = self.pending.values().filter_map(|pending| pending.named);
                let numbers = named.filter(|(_, of)| *of == session).map(|(xid, _)| xid.number);
                numbers.min().map_or(self.last_number, |first| first - 1)
            }
            Acknowledge::Maximum if self.bound == Bound::To(session) || self.bound == Bound::No => {
                self.greatest_over
            }
            Acknowledge::Maximum => 0,
        })
    }

    /// Hands a message to the network.
    fn carry(&mut self, ctx: &mut Context<RpcMessage>, message: RpcMessage) {
        match self.scheme.transport {
            Transport::Datagrams => {
                ctx.send(self.server, message);
            }
            Transport::Connection => {
                let connection = *self.connection.get_or_insert_with(|| ctx.connect(self.server));
                ctx.send_on(connection, message);
            }
        }
    }

    fn timer(&self, number: u32) -> Label {
        if self.scheme.window == 1 { Label::new(RESEND) } else { Label::keyed(RESEND, number.into()) }
    }

    pub(crate) fn message(&mut self, ctx: &mut Context<RpcMessage>, message: &RpcMessage) -> Option<Ended> {
        match *message {
            RpcMessage::Bound { asking, incarnation, session } => {
                if self.bound == Bound::Asked && asking == self.asking {
                    self.bind(ctx, Session { incarnation, session });
                }
                None
            }
            RpcMessage::Response { xid, reply, .. } => {
                let resent = |pending: &Pending| pending.sent > 1;
                self.end(ctx, xid, |pending| How::Reply { reply, resent: resent(pending) })
            }
            RpcMessage::Refused { xid, why, .. } => self.end(ctx, xid, |_| How::Refused(why)),
            RpcMessage::Bind(_) | RpcMessage::Request(_) => None,
        }
    }

    fn bind(&mut self, ctx: &mut Context<RpcMessage>, session: Session) {
        self.bound = Bound::To(session);
        ctx.cancel_timer(BIND);
        // A session counts its own calls. Without one, a number that was used names a call of this life for ever, even if
        // it was bound to another incarnation.
        if self.scheme.binding == Binding::Session {
            self.last_number = 0;
            self.greatest_over = 0;
        }
        let waiting: Vec<u32> = self
            .pending
            .iter()
            .filter(|(_, pending)| pending.named.is_none())
            .map(|(number, _)| *number)
            .collect();
        for number in waiting {
            self.name(ctx, number);
            self.send(ctx, number);
        }
    }

    /// Ends the call whose requests carry this identifier now.
    fn end(
        &mut self,
        ctx: &mut Context<RpcMessage>,
        xid: Xid,
        how: impl FnOnce(&Pending) -> How,
    ) -> Option<Ended> {
        let carries = |pending: &Pending| pending.named.is_some_and(|(named, _)| named == xid);
        let number = *self.pending.iter().find(|(_, pending)| carries(pending))?.0;
        let how = how(&self.pending[&number]);
        Some(self.end_call(ctx, number, how))
    }

    fn end_call(&mut self, ctx: &mut Context<RpcMessage>, number: u32, how: How) -> Ended {
        let pending = self.pending.remove(&number).expect("a call that ends is pending");
        ctx.cancel_timer(self.timer(number));
        if let Some((xid, session)) = pending.named {
            let is_current = self.scheme.binding == Binding::None || self.bound == Bound::To(session);
            if is_current {
                self.greatest_over = self.greatest_over.max(xid.number);
            }
            // Who is refused under the binding it has needs another.
            if is_current && matches!(how, How::Refused(_)) && self.scheme.binding != Binding::None {
                self.bound = Bound::No;
            }
        }
        Ended { op: pending.op, how }
    }

    /// A timer fired; `None` if it is not the library's.
    pub(crate) fn timer_fired(&mut self, ctx: &mut Context<RpcMessage>, timer: Label) -> Option<Ended> {
        match timer.word {
            BIND if self.bound == Bound::Asked => {
                self.ask_to_be_bound(ctx);
                None
            }
            RESEND => {
                let number = match timer.key {
                    0 => *self.pending.first_key_value()?.0,
                    key => key as u32,
                };
                self.try_again(ctx, number)
            }
            _ => None,
        }
    }

    /// A call was not answered in time, or its connection broke.
    fn try_again(&mut self, ctx: &mut Context<RpcMessage>, number: u32) -> Option<Ended> {
        let Scheme { retry, timeout, outer, identity, .. } = self.scheme;
        let pending = self.pending.get_mut(&number)?;
        let exhausted = match retry {
            Retry::Tries(tries) => pending.tried >= tries,
            Retry::Within(span) => u64::from(pending.tried) * timeout > span,
            Retry::Forever => false,
        };
        match outer {
            OuterRetry::None if exhausted => return Some(self.end_call(ctx, number, How::GaveUp)),
            OuterRetry::FreshXid if exhausted => {
                pending.tried = 0;
                self.name(ctx, number);
            }
            OuterRetry::SameXid if exhausted => pending.tried = 0,
            _ if matches!(identity, Identity::PerAttempt | Identity::ContentAndTime) => {
                self.name(ctx, number);
            }
            _ => {}
        }
        self.send(ctx, number);
        None
    }

    pub(crate) fn stream(
        &mut self,
        ctx: &mut Context<RpcMessage>,
        connection: ConnectionId,
        event: StreamEvent<RpcMessage>,
    ) -> Option<Ended> {
        match event {
            StreamEvent::Received(message) => return self.message(ctx, &message),
            StreamEvent::Closed | StreamEvent::Broken if self.connection == Some(connection) => {
                self.connection = None;
                let sent: Vec<u32> = self.pending.keys().copied().collect();
                for number in sent {
                    ctx.set_timer(self.timer(number), self.scheme.timeout);
                }
            }
            _ => {}
        }
        None
    }
}

/// FNV-1a.
fn hash(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}
