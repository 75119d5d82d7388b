//! The server: a dispatcher that recognises duplicates, and a service that executes.

use std::collections::BTreeMap;

use sim::{Context, Label, NodeId, Process, SyncError};

use super::message::{Note, RpcMessage, Tag, Xid};
use super::scheme::{Duplicates, Persistence, Scheme};
use super::service::{Call, Reply, Service};

/// The file that calls are logged in.
const LOG: &str = "log";
/// The timer of a call that takes its time, and the sync of a call that is to be durable; keyed by job.
const EXECUTE: &str = "execute";
const COMMIT: &str = "commit";

/// What the server knows of a call.
#[derive(Clone, Debug)]
enum Known {
    /// It is executing; these wait for the reply.
    InProgress { waiting: Vec<NodeId> },
    /// It was executed, and this was the reply.
    Done(Reply),
}

/// A request that is being executed or made durable.
#[derive(Clone, Debug)]
struct Job {
    client: NodeId,
    xid: Xid,
    tag: Tag,
    call: Call,
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
    service: Service,
    table: BTreeMap<Xid, Known>,
    jobs: BTreeMap<u64, Job>,
    last_job: u64,
    executions: BTreeMap<Tag, Execution>,
}

impl Server {
    /// A server with nothing in it.
    pub const fn new(scheme: Scheme) -> Self {
        Self {
            scheme,
            service: Service::new(),
            table: BTreeMap::new(),
            jobs: BTreeMap::new(),
            last_job: 0,
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

    fn request(&mut self, ctx: &mut Context<RpcMessage>, client: NodeId, xid: Xid, tag: Tag, call: Call) {
        if self.deduplicates(call) {
            match self.table.get_mut(&xid) {
                Some(Known::Done(reply)) => {
                    let reply = *reply;
                    ctx.note(Note::Recognised(tag));
                    ctx.send(client, RpcMessage::Response { xid, reply });
                    return;
                }
                Some(Known::InProgress { waiting }) => {
                    ctx.note(Note::InProgress(tag));
                    if self.scheme.duplicates == Duplicates::Wait {
                        waiting.push(client);
                    }
                    return;
                }
                None => {}
            }
        }
        if self.deduplicates(call) && self.scheme.duplicates != Duplicates::RememberFinished {
            self.table.insert(xid, Known::InProgress { waiting: Vec::new() });
        }
        self.last_job += 1;
        self.jobs.insert(self.last_job, Job { client, xid, tag, call, reply: None });
        if self.scheme.execution > 0 {
            ctx.set_timer((EXECUTE, self.last_job), self.scheme.execution);
        } else {
            self.execute(ctx, self.last_job);
        }
    }

    fn deduplicates(&self, call: Call) -> bool {
        self.scheme.duplicates != Duplicates::Execute
            && (self.scheme.deduplicate_reads || !matches!(call, Call::Get { .. }))
    }

    fn execute(&mut self, ctx: &mut Context<RpcMessage>, number: u64) {
        let Some(job) = self.jobs.get_mut(&number) else { return };
        let reply = self.service.execute(job.call);
        job.reply = Some(reply);
        count(&mut self.executions, job.tag, reply);
        ctx.note(Note::Executed(job.tag));
        if self.scheme.persistence == Persistence::Nothing {
            self.finish(ctx, number);
        } else {
            let record = Record { xid: job.xid, tag: job.tag, call: job.call };
            ctx.append(LOG, record.encode());
            ctx.sync((COMMIT, number));
        }
    }

    fn finish(&mut self, ctx: &mut Context<RpcMessage>, number: u64) {
        let Some(Job { client, xid, call, reply: Some(reply), .. }) = self.jobs.remove(&number) else {
            return;
        };
        let known = if self.deduplicates(call) { self.table.insert(xid, Known::Done(reply)) } else { None };
        let waiting = match known {
            Some(Known::InProgress { waiting }) => waiting,
            _ => Vec::new(),
        };
        for client in std::iter::once(client).chain(waiting) {
            ctx.send(client, RpcMessage::Response { xid, reply });
        }
    }

    /// Executes again what the log says. A record that a crash tore is passed over byte by byte: what was appended after
    /// it begins anywhere, and its checksum says where. (Cutting the log off would rewrite durable records, and a
    /// crash could tear those.)
    fn recover(&mut self, ctx: &mut Context<RpcMessage>) {
        let Some(log) = ctx.read(LOG) else { return };
        let mut rest = &log[..];
        let mut recovered = 0;
        while !rest.is_empty() {
            let Some(record) = Record::decode(rest) else {
                rest = &rest[1..];
                continue;
            };
            rest = &rest[Record::LEN..];
            recovered += 1;
            let reply = self.service.execute(record.call);
            count(&mut self.executions, record.tag, reply);
            if self.scheme.persistence == Persistence::Together {
                self.table.insert(record.xid, Known::Done(reply));
            }
        }
        ctx.note(Note::Recovered(recovered));
    }
}

fn count(executions: &mut BTreeMap<Tag, Execution>, tag: Tag, reply: Reply) {
    executions.entry(tag).or_insert(Execution { times: 0, first_reply: reply }).times += 1;
}

impl Process for Server {
    type Message = RpcMessage;

    fn on_start(&mut self, ctx: &mut Context<RpcMessage>) {
        if self.scheme.persistence != Persistence::Nothing {
            self.recover(ctx);
        }
    }

    fn on_message(&mut self, ctx: &mut Context<RpcMessage>, from: NodeId, message: RpcMessage) {
        if let RpcMessage::Request { xid, tag, call, .. } = message {
            self.request(ctx, from, xid, tag, call);
        }
    }

    fn on_timer(&mut self, ctx: &mut Context<RpcMessage>, timer: Label) {
        self.execute(ctx, timer.key);
    }

    fn on_sync(&mut self, ctx: &mut Context<RpcMessage>, sync: Label, result: Result<(), SyncError>) {
        match result {
            Ok(()) => self.finish(ctx, sync.key),
            // What is in the log is still not durable: nobody may hear of it before it is.
            Err(_) => {
                ctx.sync(sync);
            }
        }
    }
}

/// One executed call in the log: identifier and call in one record, with a checksum against a torn write.
struct Record {
    xid: Xid,
    tag: Tag,
    call: Call,
}

impl Record {
    const LEN: usize = 6 * 4 + 17 + 4;

    fn encode(&self) -> Vec<u8> {
        let Self { xid, tag, call } = self;
        let mut bytes = Vec::with_capacity(Self::LEN);
        for word in [xid.client, xid.life, xid.number, tag.client, tag.life, tag.call] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes.extend_from_slice(&call.encode());
        bytes.extend_from_slice(&checksum(&bytes).to_le_bytes());
        bytes
    }

    /// The record at the beginning of these bytes.
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (body, sum) = bytes.get(..Self::LEN)?.split_last_chunk::<4>()?;
        if u32::from_le_bytes(*sum) != checksum(body) {
            return None;
        }
        let (words, call) = body.split_last_chunk::<17>()?;
        let (words, _) = words.as_chunks::<4>();
        let word = |at: usize| u32::from_le_bytes(words[at]);
        Some(Self {
            xid: Xid { client: word(0), life: word(1), number: word(2) },
            tag: Tag { client: word(3), life: word(4), call: word(5) },
            call: Call::decode(call)?,
        })
    }
}

/// FNV-1a. A torn record is shorter, or a prefix: this is enough to notice.
fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_survives_encoding_and_a_torn_one_does_not_pass() {
        let xid = Xid { client: 1, life: 2, number: 3 };
        let tag = Tag { client: 4, life: 5, call: 6 };
        let record = Record { xid, tag, call: Call::Put { key: 7, value: u64::MAX } };
        let bytes = record.encode();
        assert_eq!(bytes.len(), Record::LEN);
        let decoded = Record::decode(&bytes).unwrap();
        assert_eq!((decoded.xid, decoded.tag, decoded.call), (xid, tag, record.call));
        for len in 0..Record::LEN {
            assert!(Record::decode(&bytes[..len]).is_none(), "{len}");
        }
    }
}
