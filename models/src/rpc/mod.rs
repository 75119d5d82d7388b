//! Remote procedure calls, layered as the lecture draws them: an application that calls, a client stub that retries,
//! a network that loses and repeats, a server that deduplicates, a service that executes.
//!
//! A scheme is a value ([`Scheme`]): how the client retries, how it numbers its requests, what the server remembers, what
//! it does with a duplicate of a call that is still executing, and what it keeps on disk are independent choices, and a
//! bug is one wrong choice. There is one client and one server.

mod client;
mod judge;
mod message;
mod scenarios;
mod scheme;
mod server;
mod service;

pub use client::Client;
pub use message::{Note, RpcMessage, Tag, Xid};
pub use scenarios::{RpcScenario, RpcSettings, Workload, scenarios};
pub use scheme::{Duplicates, Identity, Persistence, Retry, Scheme};
pub use server::Server;
pub use service::{Call, Reply, Service};
