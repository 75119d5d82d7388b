//! What a node runs.

use crate::context::Context;
use crate::disk::SyncError;
use crate::id::{Label, NodeId};
use crate::message::Message;
use crate::schedule::Touch;
use crate::stream::{ConnectionId, StreamEvent};

/// A protocol's code on one node: handlers that change the process's own state and ask the world for effects.
///
/// The process's state is volatile: a crash drops it, and a restart calls the boot function again and then
/// [`Process::on_start`], which finds on [`Context::read`] what was durable.
pub trait Process {
    /// What nodes say to each other.
    type Message: Message;

    /// Whether [`Process::fetch`] does anything.
    const FETCHES: bool = false;

    /// The node started, for the first time or again.
    fn on_start(&mut self, ctx: &mut Context<Self::Message>) {
        let _ = ctx;
    }

    /// A datagram arrived.
    fn on_message(&mut self, ctx: &mut Context<Self::Message>, from: NodeId, message: Self::Message);

    /// A timer fired.
    fn on_timer(&mut self, ctx: &mut Context<Self::Message>, timer: Label) {
        let _ = (ctx, timer);
    }

    /// A sync ended. On an error nothing is known about what is durable, except what an earlier sync made so.
    fn on_sync(&mut self, ctx: &mut Context<Self::Message>, sync: Label, result: Result<(), SyncError>) {
        let _ = (ctx, sync, result);
    }

    /// Something happened on a connection.
    fn on_stream(
        &mut self,
        ctx: &mut Context<Self::Message>,
        connection: ConnectionId,
        event: StreamEvent<Self::Message>,
    ) {
        let _ = (ctx, connection, event);
    }

    /// Asked when nothing is pending in the whole world: if this node can never go on and should, who in it
    /// waits for what. The world reports it as a deadlock.
    fn stuck(&self) -> Option<String> {
        None
    }

    /// Told, in a world too large for the cache, that this node's handler is probably the next to run. What it needs and
    /// the process keeps elsewhere may be fetched from memory meanwhile.
    #[inline(always)]
    fn fetch(&self) {}

    /// Told a little later: what [`Process::fetch`] has fetched says where the rest is.
    #[inline(always)]
    fn fetch_further(&self) {}

    /// Adds what its handlers have touched since this was asked last; see [`crate::World::take_touched`].
    fn take_touched(&self, into: &mut Vec<Touch>) {
        into.push(Touch::EVERYTHING);
    }
}

/// One of two kinds of node that speak the same protocol, such as a client and a server.
#[derive(Clone, Debug)]
pub enum Either<A, B> {
    /// The first kind.
    Left(A),
    /// The second kind.
    Right(B),
}

macro_rules! either {
    ($self:expr, $node:ident => $call:expr) => {
        match $self {
            Self::Left($node) => $call,
            Self::Right($node) => $call,
        }
    };
}

impl<A: Process, B: Process<Message = A::Message>> Process for Either<A, B> {
    type Message = A::Message;

    const FETCHES: bool = A::FETCHES || B::FETCHES;

    #[inline]
    fn on_start(&mut self, ctx: &mut Context<Self::Message>) {
        either!(self, node => node.on_start(ctx));
    }

    #[inline]
    fn on_message(&mut self, ctx: &mut Context<Self::Message>, from: NodeId, message: Self::Message) {
        either!(self, node => node.on_message(ctx, from, message));
    }

    #[inline]
    fn on_timer(&mut self, ctx: &mut Context<Self::Message>, timer: Label) {
        either!(self, node => node.on_timer(ctx, timer));
    }

    fn on_sync(&mut self, ctx: &mut Context<Self::Message>, sync: Label, result: Result<(), SyncError>) {
        either!(self, node => node.on_sync(ctx, sync, result));
    }

    fn on_stream(
        &mut self,
        ctx: &mut Context<Self::Message>,
        connection: ConnectionId,
        event: StreamEvent<Self::Message>,
    ) {
        either!(self, node => node.on_stream(ctx, connection, event));
    }

    fn stuck(&self) -> Option<String> {
        either!(self, node => node.stuck())
    }

    #[inline(always)]
    fn fetch(&self) {
        either!(self, node => node.fetch());
    }

    #[inline(always)]
    fn fetch_further(&self) {
        either!(self, node => node.fetch_further());
    }

    fn take_touched(&self, into: &mut Vec<Touch>) {
        either!(self, node => node.take_touched(into));
    }
}
