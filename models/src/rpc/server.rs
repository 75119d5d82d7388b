//! The server: a dispatcher that recognises duplicates, handlers that execute, and a disk.

use std::collections::BTreeMap;

use sim::{ConnectionId, Context, Label, NodeId, Process, StreamEvent, SyncError};

use super::log::Record;
use super::message::{Asking, Note, Refusal, Request, RpcMessage, Tag};
use super::scheme::{Answer, Binding, Covers, Duplicates, Persistence, Replies, Scheme};
use super::service::{Call, Reply, Service, Slip};
use super::table::{Caller, Found, Table};

/// The file that executed calls are logged in, and the file of seen calls where that is another.
const LOG: &str = "log";
const TABLE: &str = "table";
/// The timer of a call that takes its time; keyed by job.
const EXECUTE: &str = "execute";
/// The syncs of what was executed, of what was seen, and of a session; keyed by job or session.
const COMMIT: &str = "commit";
const SEEN: &str = "seen";
const SESSION: &str = "session";

/// A request that is being executed or made durable.
#[derive(Clone, Debug)]
struct Job {
    caller: Caller,
    request: Request,
    reply: Option<Reply>,
}

/// What became of one logical call in the state that the server has now: for the judges.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Execution {
    /// How often it was executed.
    pub times: u32,
    /// The reply of the first execution.
    pub first_reply: Reply,
}

/// The server of all clients.
#[derive(Clone, Debug)]
pub struct Server {
    scheme: Scheme,
    slip: Slip,
    incarnation: u32,
    service: Service,
    table: Table,
    jobs: BTreeMap<u64, Job>,
    last_job: u64,
    last_session: u32,
    /// Who waits for a session to be durable.
    binding: BTreeMap<u64, (Caller, Asking)>,
    peers: BTreeMap<ConnectionId, NodeId>,
    executions: BTreeMap<Tag, Execution>,
}

impl Server {
    /// A server of this service, in which nothing has happened.
    pub const fn new(scheme: Scheme, service: Service, slip: Slip) -> Self {
        Self {
            scheme,
            slip,
            incarnation: 0,
            service,
            table: Table::new(scheme),
            jobs: BTreeMap::new(),
            last_job: 0,
            last_session: 0,
            binding: BTreeMap::new(),
            peers: BTreeMap::new(),
            executions: BTreeMap::new(),
        }
    }

    /// The service's state.
    pub const fn service(&self) -> &Service {
        &self.service
    }

    /// What became of a call in this state.
    pub fn execution(&self, tag: Tag) -> Option<Execution> {
        self.executions.get(&tag).copied()
    }

    /// All calls that this state contains.
    pub fn executions(&self) -> impl Iterator<Item = (Tag, Execution)> + '_ {
        self.executions.iter().map(|(tag, execution)| (*tag, *execution))
    }

    /// The most entries that one client had in the table of seen calls since the server started.
    pub const fn most_entries(&self) -> usize {
        self.table.most()
    }

    /// The size of the table of seen calls now.
    pub fn table_bytes(&self) -> u64 {
        self.table.bytes()
    }

    fn message(
        &mut self,
        ctx: &mut Context<RpcMessage>,
        node: NodeId,
        connection: Option<ConnectionId>,
        message: &RpcMessage,
    ) {
        match *message {
            RpcMessage::Bind(asking) => {
                let tag = Tag { client: node.0, life: 0, call: 0 };
                self.bind(ctx, Caller { node, connection, tag }, asking);
            }
            RpcMessage::Request(request) => {
                self.request(ctx, Caller { node, connection, tag: request.tag }, request);
            }
            RpcMessage::Bound { .. } | RpcMessage::Response { .. } | RpcMessage::Refused { .. } => {}
        }
    }

    fn bind(&mut self, ctx: &mut Context<RpcMessage>, caller: Caller, asking: Asking) {
        if self.scheme.binding != Binding::Session {
            return self.tell_bound(ctx, caller, asking, 0);
        }
        self.last_session += 1;
        let session = self.last_session;
        self.table.open(session, self.incarnation, ctx.now());
        if self.scheme.persistence == Persistence::Nothing {
            return self.tell_bound(ctx, caller, asking, session);
        }
        ctx.append(LOG, Record::Session { session, incarnation: self.incarnation }.encode());
        ctx.sync((SESSION, session.into()));
        self.binding.insert(session.into(), (caller, asking));
    }

    fn tell_bound(&self, ctx: &mut Context<RpcMessage>, caller: Caller, asking: Asking, session: u32) {
        send(ctx, caller, RpcMessage::Bound { asking, incarnation: self.incarnation, session });
    }

    /// The dispatcher.
    fn request(&mut self, ctx: &mut Context<RpcMessage>, caller: Caller, request: Request) {
        let Request { xid, tag, call, acknowledged, bound, .. } = request;
        if self.scheme.binding == Binding::Incarnation && bound != Some(self.incarnation) {
            ctx.note(Note::OldIncarnation(tag));
            let refused = RpcMessage::Refused { xid, tag, why: Refusal::OldIncarnation };
            return send(ctx, caller, refused);
        }
        if self.deduplicates(call) {
            match self.table.find(xid, acknowledged, ctx.now()) {
                Found::New => self.table.begin(xid),
                Found::InProgress(waiting) => {
                    ctx.note(Note::InProgress(tag));
                    if self.scheme.duplicates == Duplicates::Wait {
                        waiting.push(caller);
                    }
                    return;
                }
                Found::Done(first) => {
                    let reply = match self.scheme.answer {
                        Answer::First => first,
                        Answer::Current => self.service.current(call),
                        Answer::Empty => call.empty_reply(),
                    };
                    ctx.note(Note::Recognised(tag));
                    return send(ctx, caller, RpcMessage::Response { xid, tag, reply });
                }
                Found::Forgotten => {
                    ctx.note(Note::Forgotten(tag));
                    let refused = RpcMessage::Refused { xid, tag, why: Refusal::Forgotten };
                    return send(ctx, caller, refused);
                }
            }
        }
        ctx.note(Note::New(tag));
        self.last_job += 1;
        self.jobs.insert(self.last_job, Job { caller, request, reply: None });
        if self.scheme.execution > 0 {
            ctx.set_timer((EXECUTE, self.last_job), self.scheme.execution);
        } else {
            self.execute(ctx, self.last_job);
        }
    }

    const fn deduplicates(&self, call: Call) -> bool {
        let covered = match self.scheme.covers {
            Covers::Everything => true,
            Covers::AllButReads => !call.only_looks(),
            Covers::AllButPuts => !matches!(call, Call::Put { .. }),
        };
        covered && !matches!(self.scheme.duplicates, Duplicates::Execute)
    }

    /// The handlers.
    fn execute(&mut self, ctx: &mut Context<RpcMessage>, number: u64) {
        let Some(job) = self.jobs.get_mut(&number) else { return };
        let Request { xid, tag, call, acknowledged, .. } = job.request;
        let at = ctx.now();
        let reply = self.service.execute(call, at);
        job.reply = Some(reply);
        if count(&mut self.executions, tag, reply) {
            ctx.note(Note::Executed(tag));
        }
        let executed = Record::Executed { xid, tag, call, at, acknowledged };
        match self.scheme.persistence {
            Persistence::Nothing => self.finish(ctx, number),
            Persistence::DataOnly | Persistence::DataFirst | Persistence::Together => {
                self.write(ctx, LOG, executed, COMMIT, number);
            }
            Persistence::TableFirst => self.write(ctx, TABLE, Record::Seen { xid, tag, reply }, SEEN, number),
        }
    }

    fn write(
        &mut self,
        ctx: &mut Context<RpcMessage>,
        file: &'static str,
        record: Record,
        sync: &'static str,
        number: u64,
    ) {
        ctx.append(file, record.encode());
        ctx.sync((sync, number));
        if self.scheme.replies == Replies::BeforeSync {
            self.written(ctx, sync, number);
        }
    }

    /// What was written of a job is durable, or nobody cares.
    fn written(&mut self, ctx: &mut Context<RpcMessage>, sync: &'static str, number: u64) {
        let Some(&Job { request, reply: Some(reply), .. }) = self.jobs.get(&number) else { return };
        let Request { xid, tag, call, acknowledged, .. } = request;
        match (self.scheme.persistence, sync) {
            (Persistence::DataFirst, COMMIT) => {
                self.write(ctx, TABLE, Record::Seen { xid, tag, reply }, SEEN, number);
            }
            (Persistence::TableFirst, SEEN) => {
                let executed = Record::Executed { xid, tag, call, at: ctx.now(), acknowledged };
                self.write(ctx, LOG, executed, COMMIT, number);
            }
            _ => self.finish(ctx, number),
        }
    }

    fn finish(&mut self, ctx: &mut Context<RpcMessage>, number: u64) {
        let Some(Job { caller, request, reply: Some(reply) }) = self.jobs.remove(&number) else { return };
        let waiting = if self.deduplicates(request.call) {
            self.table.finish(request.xid, reply, ctx.now())
        } else {
            Vec::new()
        };
        for caller in std::iter::once(caller).chain(waiting) {
            send(ctx, caller, RpcMessage::Response { xid: request.xid, tag: caller.tag, reply });
        }
    }

    /// Executes again what the log says, and knows again what it says was seen.
    fn recover(&mut self, ctx: &mut Context<RpcMessage>) {
        let Some(log) = ctx.read(LOG) else { return };
        let now = ctx.now();
        let mut recovered = 0;
        for record in Record::all(&log) {
            match record {
                Record::Executed { xid, tag, call, at, acknowledged } => {
                    recovered += 1;
                    let reply = self.service.execute(call, at);
                    count(&mut self.executions, tag, reply);
                    if self.scheme.persistence == Persistence::Together && self.deduplicates(call) {
                        self.table.recover(xid, reply, acknowledged, now);
                    }
                }
                Record::Session { session, incarnation } => self.table.open(session, incarnation, now),
                Record::Seen { .. } => {}
            }
        }
        if self.slip == Slip::RestartResetsVersions {
            self.service.reset_versions();
        }
        ctx.note(Note::Recovered(recovered));
    }

    /// Knows again what the file of seen calls says.
    fn recover_table(&mut self, ctx: &Context<RpcMessage>) {
        for record in Record::all(&ctx.read(TABLE).unwrap_or_default()) {
            if let Record::Seen { xid, reply, .. } = record {
                self.table.recover(xid, reply, None, ctx.now());
            }
        }
    }
}

fn send(ctx: &mut Context<RpcMessage>, to: Caller, message: RpcMessage) {
    match to.connection {
        Some(connection) => ctx.send_on(connection, message),
        None => ctx.send(to.node, message),
    };
}

/// Counts an execution, if it had an effect.
fn count(executions: &mut BTreeMap<Tag, Execution>, tag: Tag, reply: Reply) -> bool {
    if matches!(reply, Reply::WrongVersion | Reply::AlreadyThere) {
        return false;
    }
    executions.entry(tag).or_insert(Execution { times: 0, first_reply: reply }).times += 1;
    true
}

impl Process for Server {
    type Message = RpcMessage;

    fn on_start(&mut self, ctx: &mut Context<RpcMessage>) {
        self.incarnation = ctx.incarnation();
        if self.scheme.persistence != Persistence::Nothing {
            self.recover(ctx);
            self.recover_table(ctx);
        }
    }

    fn on_message(&mut self, ctx: &mut Context<RpcMessage>, from: NodeId, message: RpcMessage) {
        self.message(ctx, from, None, &message);
    }

    fn on_timer(&mut self, ctx: &mut Context<RpcMessage>, timer: Label) {
        self.execute(ctx, timer.key);
    }

    fn on_sync(&mut self, ctx: &mut Context<RpcMessage>, sync: Label, result: Result<(), SyncError>) {
        match (result, sync.word) {
            // What is in the log is still not durable: nobody may hear of it before it is.
            (Err(_), _) => {
                ctx.sync(sync);
            }
            (Ok(()), SESSION) => {
                if let Some((caller, asking)) = self.binding.remove(&sync.key) {
                    self.tell_bound(ctx, caller, asking, sync.key as u32);
                }
            }
            (Ok(()), _) => self.written(ctx, sync.word, sync.key),
        }
    }

    fn on_stream(
        &mut self,
        ctx: &mut Context<RpcMessage>,
        connection: ConnectionId,
        event: StreamEvent<RpcMessage>,
    ) {
        match event {
            StreamEvent::Accepted { from } => {
                self.peers.insert(connection, from);
            }
            StreamEvent::Received(message) => {
                if let Some(node) = self.peers.get(&connection).copied() {
                    self.message(ctx, node, Some(connection), &message);
                }
            }
            StreamEvent::Closed | StreamEvent::Broken => {
                self.peers.remove(&connection);
            }
            StreamEvent::Opened => {}
        }
    }
}
