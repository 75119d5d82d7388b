//! The client: it makes one call after another, and looks for the leader among the servers.

use sim::{Context, Label, MILLIS, NodeId, OpId, Process, Status};

use super::message::{RaftMessage, RaftNote};
use super::variant::Variant;
use crate::rpc::{Call, Reply, Retry, Tag};

/// The timer of a request that is not answered.
const RESEND: &str = "resend";
/// The timer of a request that somebody else should answer.
const REDIRECTED: &str = "redirected";
/// The timer of an application that thinks before its next call.
const THINK: &str = "think";
/// How long a client waits before it follows a redirect: two servers may each take the other for the leader.
const REDIRECT_DELAY: u64 = 10 * MILLIS;

/// A client of a replicated service.
#[derive(Clone, Debug)]
pub struct Client {
    variant: Variant,
    servers: u32,
    /// The server it asks, from 0.
    server: u32,
    /// What it calls, from first to last.
    calls: Vec<Call>,
    made: u32,
    pending: Option<Pending>,
}

/// The call that is not answered yet.
#[derive(Clone, Debug)]
struct Pending {
    op: OpId,
    tag: Tag,
    call: Call,
    sent: u32,
}

impl Client {
    /// A client that makes these calls.
    pub const fn new(variant: Variant, servers: u32, calls: Vec<Call>) -> Self {
        Self { variant, servers, server: 0, calls, made: 0, pending: None }
    }

    /// How many of its calls have not returned, with or without a reply.
    pub fn unfinished(&self) -> usize {
        self.calls.len() - self.made as usize + usize::from(self.pending.is_some())
    }

    fn next_call(&mut self, ctx: &mut Context<RaftMessage>) {
        let Some(&call) = self.calls.get(self.made as usize) else { return };
        self.made += 1;
        let number = ctx.node().0 - self.servers + 1;
        let tag = Tag { client: number, life: ctx.incarnation(), call: self.made };
        let op = ctx.invoke(RaftNote::Call { tag, call });
        self.pending = Some(Pending { op, tag, call, sent: 0 });
        self.send_request(ctx);
    }

    fn send_request(&mut self, ctx: &mut Context<RaftMessage>) {
        let Some(pending) = &mut self.pending else { return };
        let &mut Pending { tag, call, sent: resend, .. } = pending;
        pending.sent += 1;
        ctx.send(NodeId(self.server), RaftMessage::Request { tag, resend, call });
        ctx.set_timer(RESEND, self.variant.client_timeout);
    }

    fn finish(&mut self, ctx: &mut Context<RaftMessage>, status: Status, result: RaftNote) {
        let Some(pending) = self.pending.take() else { return };
        ctx.cancel_timer(RESEND);
        ctx.cancel_timer(REDIRECTED);
        ctx.complete(pending.op, status, result);
        ctx.set_timer(THINK, MILLIS);
    }

    fn is_pending(&self, tag: Tag) -> bool {
        self.pending.as_ref().is_some_and(|pending| pending.tag == tag)
    }

    const fn try_the_next(&mut self) {
        self.server = (self.server + 1) % self.servers;
    }

    fn on_response(&mut self, ctx: &mut Context<RaftMessage>, tag: Tag, reply: Reply) {
        if self.is_pending(tag) {
            self.finish(ctx, Status::Ok, RaftNote::Reply(reply));
        }
    }

    fn on_redirect(
        &mut self,
        ctx: &mut Context<RaftMessage>,
        from: NodeId,
        tag: Tag,
        leader: Option<NodeId>,
    ) {
        // A redirect from a server that is not asked any more is old.
        if self.is_pending(tag) && from.0 == self.server {
            match leader {
                Some(leader) if leader != from => self.server = leader.0,
                _ => self.try_the_next(),
            }
            ctx.cancel_timer(RESEND);
            ctx.set_timer(REDIRECTED, REDIRECT_DELAY);
        }
    }
}

impl Process for Client {
    type Message = RaftMessage;

    fn on_start(&mut self, ctx: &mut Context<RaftMessage>) {
        self.server = ctx.random_below(u64::from(self.servers)) as u32;
        self.next_call(ctx);
    }

    fn on_message(&mut self, ctx: &mut Context<RaftMessage>, from: NodeId, message: RaftMessage) {
        match message {
            RaftMessage::Response { tag, reply } => self.on_response(ctx, tag, reply),
            RaftMessage::Redirect { tag, leader } => self.on_redirect(ctx, from, tag, leader),
            _ => {}
        }
    }

    fn on_timer(&mut self, ctx: &mut Context<RaftMessage>, timer: Label) {
        if timer.word == THINK {
            return self.next_call(ctx);
        }
        let sent = self.pending.as_ref().map_or(0, |pending| pending.sent);
        match self.variant.retry {
            Retry::Tries(tries) if sent >= tries => self.finish(ctx, Status::Unknown, RaftNote::GaveUp),
            _ => {
                if timer.word == RESEND {
                    self.try_the_next();
                }
                self.send_request(ctx);
            }
        }
    }
}
