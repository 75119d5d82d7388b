//! The crawler: a frontier, one call at a time for each host, and a rest after each.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use sim::{Context, Label, Nanos, NodeId, OpId, Process, Status};

use crate::rpc::{Call, Ended, How, Library, Note, RpcMessage, Scheme, Tag};
use crate::web::{self, PageId, Web};

/// The timer of a host that rests; keyed by host.
const REST: &str = "rest";

/// A crawler that fetches through a server.
#[derive(Clone, Debug)]
pub struct RemoteCrawler {
    web: Web,
    library: Library,
    /// How long a host rests after a call that concerned it.
    rest: Nanos,
    seen: BTreeSet<PageId>,
    /// What waits at which host.
    hosts: BTreeMap<u64, Host>,
    /// The pages that are being fetched.
    calls: BTreeMap<OpId, PageId>,
    made: u32,
}

#[derive(Clone, Default, Debug)]
struct Host {
    waiting: VecDeque<PageId>,
    /// A page of it is being fetched, or it rests.
    busy: bool,
}

impl RemoteCrawler {
    pub(super) fn new(web: Web, scheme: Scheme, server: NodeId, rest: Nanos) -> Self {
        Self {
            web,
            library: Library::new(scheme, server),
            rest,
            seen: BTreeSet::new(),
            hosts: BTreeMap::new(),
            calls: BTreeMap::new(),
            made: 0,
        }
    }

    /// Whether it has nothing left to do.
    pub fn is_over(&self) -> bool {
        self.calls.is_empty() && self.hosts.values().all(|host| host.waiting.is_empty())
    }

    fn find(&mut self, page: PageId) {
        if self.seen.insert(page) {
            let host = web::hash(self.web.host(page));
            self.hosts.entry(host).or_default().waiting.push_back(page);
        }
    }

    /// Calls for every host that has rested, as far as the window has room.
    fn go_on(&mut self, ctx: &mut Context<RpcMessage>) {
        while self.library.has_room(self.made + 1) {
            let mut ready = self.hosts.values_mut().filter(|host| !host.busy);
            let Some((host, page)) = ready.find_map(|host| host.waiting.pop_front().map(|page| (host, page)))
            else {
                return;
            };
            host.busy = true;
            self.made += 1;
            let tag = Tag { client: ctx.node().0, life: ctx.incarnation(), call: self.made };
            let call = Call::Fetch { page: page.0 };
            let op = ctx.invoke(Note::Call { tag, call });
            self.calls.insert(op, page);
            self.library.call(ctx, op, tag, call);
        }
    }

    fn conclude(&mut self, ctx: &mut Context<RpcMessage>, ended: Option<Ended>) {
        let Some(Ended { op, how }) = ended else { return };
        let page = self.calls.remove(&op).expect("a call that ends was made");
        match how {
            How::Reply { reply, .. } => {
                ctx.complete(op, Status::Ok, Note::Reply(reply));
                for link in self.web.clone().links(page) {
                    self.find(link);
                }
            }
            How::Refused(why) => ctx.complete(op, Status::Unknown, Note::Refused(why)),
            How::GaveUp => ctx.complete(op, Status::Unknown, Note::GaveUp),
        }
        ctx.set_timer((REST, web::hash(self.web.host(page))), self.rest);
        self.go_on(ctx);
    }
}

impl Process for RemoteCrawler {
    type Message = RpcMessage;

    fn on_start(&mut self, ctx: &mut Context<RpcMessage>) {
        self.library.start(ctx);
        self.find(self.web.root());
        self.go_on(ctx);
    }

    fn on_message(&mut self, ctx: &mut Context<RpcMessage>, _: NodeId, message: RpcMessage) {
        let ended = self.library.message(ctx, &message);
        self.conclude(ctx, ended);
    }

    fn on_timer(&mut self, ctx: &mut Context<RpcMessage>, timer: Label) {
        if timer.word == REST {
            if let Some(host) = self.hosts.get_mut(&timer.key) {
                host.busy = false;
            }
            return self.go_on(ctx);
        }
        let ended = self.library.timer_fired(ctx, timer);
        self.conclude(ctx, ended);
    }
}
