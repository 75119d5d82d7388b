//! A client: an application, and the stub that turns its calls into operations of the library below.

use sim::{ConnectionId, Context, Label, MILLIS, NodeId, Process, Status, StreamEvent};

use super::application::{Application, Next, Workload};
use super::library::{Ended, How, Library};
use super::message::{Note, RpcMessage, Tag};
use super::scheme::Scheme;
use super::service::{Call, Reply, Slip};

/// The timer of an application that thinks before its next call, or works.
const THINK: &str = "think";

/// A client of one server.
#[derive(Clone, Debug)]
pub struct Client {
    application: Application,
    library: Library,
    slip: Slip,
    workload: Workload,
    calls: u32,
    made: u32,
}

impl Client {
    /// A client that makes so many calls.
    pub const fn new(scheme: Scheme, server: NodeId, workload: Workload, calls: u32, slip: Slip) -> Self {
        let application = Application::new(workload, 0, 0, calls);
        Self { application, library: Library::new(scheme, server), slip, workload, calls, made: 0 }
    }

    /// How many of its calls have not returned, with or without a reply.
    pub fn unfinished(&self) -> usize {
        self.application.left() + self.library.pending()
    }

    /// What it calls itself, where clients draw that at random.
    pub const fn drawn(&self) -> u32 {
        self.library.drawn()
    }

    /// Makes as many calls as the window has room for.
    fn go_on(&mut self, ctx: &mut Context<RpcMessage>) {
        while self.library.has_room(self.made + 1) {
            match self.application.next() {
                Next::Call(call) => self.call(ctx, call),
                Next::Work(span) => {
                    ctx.set_timer(THINK, span);
                    return;
                }
                Next::Wait | Next::Done => return,
            }
        }
    }

    fn call(&mut self, ctx: &mut Context<RpcMessage>, call: Call) {
        self.made += 1;
        let tag = Tag { client: ctx.node().0, life: ctx.incarnation(), call: self.made };
        let op = ctx.invoke(Note::Call { tag, call });
        self.library.call(ctx, op, tag, call);
    }

    fn conclude(&mut self, ctx: &mut Context<RpcMessage>, ended: Option<Ended>) {
        let Some(Ended { op, how }) = ended else { return };
        let (status, result, reply) = self.conclusion(how);
        ctx.complete(op, status, result);
        self.application.returned(reply);
        // A worker without a task has time.
        let think = if reply == Some(Reply::NoTask) { 20 * MILLIS } else { MILLIS };
        ctx.set_timer(THINK, think);
    }

    /// What a call comes to: for the judges, and for the application.
    const fn conclusion(&self, how: How) -> (Status, Note, Option<Reply>) {
        match how {
            How::GaveUp => (Status::Unknown, Note::GaveUp, None),
            How::Refused(why) => (Status::Unknown, Note::Refused(why), None),
            How::Reply { reply: Reply::WrongVersion, resent: true } => match self.slip {
                Slip::WrongVersionIsFailure => (Status::Fail, Note::Reply(Reply::WrongVersion), None),
                // The version may be wrong because an earlier request made it so.
                _ => (Status::Unknown, Note::Maybe, None),
            },
            How::Reply { reply, .. } => (Status::Ok, Note::Reply(reply), Some(reply)),
        }
    }
}

impl Process for Client {
    type Message = RpcMessage;

    fn on_start(&mut self, ctx: &mut Context<RpcMessage>) {
        self.application = Application::new(self.workload, ctx.node().0, ctx.incarnation(), self.calls);
        self.library.start(ctx);
        self.go_on(ctx);
    }

    fn on_message(&mut self, ctx: &mut Context<RpcMessage>, _from: NodeId, message: RpcMessage) {
        let ended = self.library.message(ctx, &message);
        self.conclude(ctx, ended);
    }

    fn on_timer(&mut self, ctx: &mut Context<RpcMessage>, timer: Label) {
        if timer.word == THINK {
            return self.go_on(ctx);
        }
        let ended = self.library.timer_fired(ctx, timer);
        self.conclude(ctx, ended);
    }

    fn on_stream(
        &mut self,
        ctx: &mut Context<RpcMessage>,
        connection: ConnectionId,
        event: StreamEvent<RpcMessage>,
    ) {
        let ended = self.library.stream(ctx, connection, event);
        self.conclude(ctx, ended);
    }
}
