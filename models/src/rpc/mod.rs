//! Remote procedure calls, layered as the lecture draws them. On the client: an application that calls, a stub that makes
//! operations of its calls, an RPC library that identifies and resends, a network that loses and repeats. On the server: a
//! dispatcher with its table of seen calls, handlers that execute, and a disk.
//!
//! A scheme is a value ([`Scheme`]): how the client retries, how it names its requests, what the two agree on beforehand,
//! what the server remembers and for how long, what it does with a duplicate, what it keeps on disk, and how messages
//! travel are independent choices, and a bug is one wrong choice. There is one client and one server.

mod scheme;

mod application;
mod client;
mod library;

mod message;

mod log;
mod server;
mod service;
mod table;

mod faults;
mod judge;
mod scenario;
mod situation;

mod cases;
mod matrix;
mod races;

pub(crate) use judge::ServiceSpecification;
pub(crate) use library::{Ended, How, Library};
pub(crate) use matrix::expected;

pub use application::Workload;
pub use cases::scenarios;
pub use client::Client;
pub use faults::Faults;
pub use message::{Asking, Note, READER, Refusal, Request, RpcMessage, Tag, Xid};
pub use races::{RaceScenario, RaceSettings, races};
pub use scenario::{RpcScenario, RpcSettings};
pub use scheme::{
    Acknowledge, Answer, Binding, Covers, Duplicates, Forgotten, Identity, OuterRetry, Persistence, Replies,
    Retention, Retry, Scheme, Transport,
};
pub use server::{Execution, Server};
pub use service::{Call, Reply, Service, Slip, Task};
