//! Protocols and scenarios: what the lecture on threads and RPC shows, each wrong scheme a planted bug that must be
//! found, each right one something that must hold under every seed.
//!
//! [`catalogue`] holds them all. [`rpc`] is remote procedure calls over a network that loses, repeats and delays:
//! retries, identifiers, deduplication, crashes. [`raft`] is a service that is replicated by a log, and fail-over.
//! [`matrix`] is the table of all of them against all faults. [`concurrency`] is the small concurrent programs inside one
//! node, [`crawler`] web crawlers; [`web`] is what they crawl. [`networks`] are the networks by name.
//!
//! Deliberately absent: engine code, and any knowledge of seeds and dice.

pub mod concurrency;
pub mod crawler;
pub mod matrix;
pub mod networks;
pub mod raft;
pub mod rpc;
pub mod web;

mod settings;

use check::Catalogue;

/// Every scenario there is.
pub fn catalogue() -> Catalogue {
    let mut catalogue = Catalogue::new();
    for scenario in rpc::scenarios() {
        catalogue.add(scenario);
    }
    for scenario in rpc::races() {
        catalogue.add(scenario);
    }
    for scenario in raft::scenarios() {
        catalogue.add(scenario);
    }
    catalogue.set_matrix(matrix::matrix());
    for scenario in concurrency::scenarios() {
        catalogue.add(scenario);
    }
    for scenario in crawler::scenarios() {
        catalogue.add(scenario);
    }
    for scenario in crawler::remote::scenarios() {
        catalogue.add(scenario);
    }
    for scenario in crawler::distributed::scenarios() {
        catalogue.add(scenario);
    }
    catalogue
}
