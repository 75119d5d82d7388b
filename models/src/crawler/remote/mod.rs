//! C8: a crawler whose fetch is a remote procedure call, over a network that loses and repeats, to a server that fetches
//! and counts.
//!
//! Server, client library and schemes are those of [`crate::rpc`]: whether a page is fetched twice is a question about
//! retries and deduplication, and not about crawling. What the crawler adds is politeness: it lets a host rest between two
//! calls, and only a server that executes each call once lets the host rest too.
//!
//! Deliberately absent: contents. The web does not change, so the client reads the links of a fetched page in it.

mod client;
mod judge;
mod scenarios;

pub use client::RemoteCrawler;
pub use scenarios::{RemoteScenario, RemoteSettings, scenarios};
