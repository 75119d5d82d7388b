//! The client: an application that makes one call after another, and the stub that sends requests and sends them again.

use sim::{Context, MILLIS, NodeId, OpId, Process, Status};

use super::message::{Note, RpcMessage, Tag, Xid};
use super::scheme::{Identity, Retry, Scheme};
use super::service::Call;

/// The timer of a request that is not answered.
const RESEND: &str = "resend";
/// The timer of an application that thinks before its next call.
const THINK: &str = "think";

/// A client of one server.
#[derive(Clone, Debug)]
pub struct Client {
    scheme: Scheme,
    server: NodeId,
    /// What it calls, from first to last.
    calls: Vec<Call>,
    made: u32,
    last_number: u32,
    pending: Option<Pending>,
}

/// The call that is not answered yet.
#[derive(Clone, Debug)]
struct Pending {
    op: OpId,
    tag: Tag,
    xid: Xid,
    call: Call,
    sent: u32,
}

impl Client {
    /// A client that makes these calls.
    pub const fn new(scheme: Scheme, server: NodeId, calls: Vec<Call>) -> Self {
        Self { scheme, server, calls, made: 0, last_number: 0, pending: None }
    }

    /// How many of its calls have not returned, with or without a reply.
    pub fn unfinished(&self) -> usize {
        self.calls.len() - self.made as usize + usize::from(self.pending.is_some())
    }

    fn next_call(&mut self, ctx: &mut Context<RpcMessage>) {
        let Some(&call) = self.calls.get(self.made as usize) else { return };
        self.made += 1;
        let tag = Tag { client: ctx.node().0, life: ctx.incarnation(), call: self.made };
        let op = ctx.invoke(Note::Call { tag, call });
        let xid = self.fresh_xid(ctx);
        self.pending = Some(Pending { op, tag, xid, call, sent: 0 });
        self.send_request(ctx);
    }

    fn fresh_xid(&mut self, ctx: &Context<RpcMessage>) -> Xid {
        self.last_number += 1;
        Xid { client: ctx.node().0, life: ctx.incarnation(), number: self.last_number }
    }

    fn send_request(&mut self, ctx: &mut Context<RpcMessage>) {
        let Some(pending) = &mut self.pending else { return };
        let &mut Pending { xid, tag, call, sent, .. } = pending;
        pending.sent += 1;
        ctx.send(self.server, RpcMessage::Request { xid, tag, resend: sent, call });
        ctx.set_timer(RESEND, self.scheme.timeout);
    }

    fn finish(&mut self, ctx: &mut Context<RpcMessage>, status: Status, result: Note) {
        let Some(pending) = self.pending.take() else { return };
        ctx.cancel_timer(RESEND);
        ctx.complete(pending.op, status, result);
        ctx.set_timer(THINK, MILLIS);
    }
}

impl Process for Client {
    type Message = RpcMessage;

    fn on_start(&mut self, ctx: &mut Context<RpcMessage>) {
        self.next_call(ctx);
    }

    fn on_message(&mut self, ctx: &mut Context<RpcMessage>, _from: NodeId, message: RpcMessage) {
        if let RpcMessage::Response { xid, reply } = message
            && self.pending.as_ref().is_some_and(|pending| pending.xid == xid)
        {
            self.finish(ctx, Status::Ok, Note::Reply(reply));
        }
    }

    fn on_timer(&mut self, ctx: &mut Context<RpcMessage>, timer: sim::Label) {
        if timer.word == THINK {
            return self.next_call(ctx);
        }
        let sent = self.pending.as_ref().map_or(0, |pending| pending.sent);
        match self.scheme.retry {
            Retry::Tries(tries) if sent >= tries => self.finish(ctx, Status::Unknown, Note::GaveUp),
            _ => {
                if self.scheme.identity == Identity::PerAttempt {
                    let xid = self.fresh_xid(ctx);
                    if let Some(pending) = &mut self.pending {
                        pending.xid = xid;
                    }
                }
                self.send_request(ctx);
            }
        }
    }
}
