//! The lecture's first table, measured: which semantics of RPC survive a hostile network.
//! `cargo run --release -p snowglobe-models --example lecture`

use std::sync::atomic::AtomicBool;

use check::{Sweep, sweep};

fn main() {
    let catalogue = snowglobe_models::catalogue();
    for name in ["rpc/s3-at-least-once", "rpc/s3-at-most-once", "rpc/s9-fresh-xid", "rpc/s25-table-in-memory"]
    {
        let entry = catalogue.find(name).expect("the catalogue has it");
        let scenario = entry.prepare(&serde_json::Map::new()).expect("its defaults are possible");
        let what = Sweep { seeds: 0..200, jobs: 0, first: false };
        let report =
            sweep(&*scenario, &what, &AtomicBool::new(false), &|_, _| {}).expect("threads can be started");
        let first = report.first.map_or_else(String::new, |outcome| {
            format!(", first in seed {}: {}", outcome.seed, outcome.violations[0].detail)
        });
        println!("{name}: violated in {} of {} runs{first}", report.violated, report.runs);
    }
}
