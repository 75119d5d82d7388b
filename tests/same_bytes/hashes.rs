//! The hash of every trace of every scenario under 200 seeds, a line each, for `tests/same_bytes.sh` to compare.
//!
//! `trace-hashes JOBS` runs the seeds upwards, and `trace-hashes JOBS back` downwards: what is first in one is last in the
//! other. Each job has a runner of its own and takes every JOBS-th seed, so that with other JOBS a run has others before it.

use std::sync::Arc;

use snowglobe::check::{Entry, Prepared};
use snowglobe::sim::Overrides;

const SEEDS: u64 = 200;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (jobs, back) = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [jobs] => (jobs.parse().expect("a number of jobs"), false),
        [jobs, "back"] => (jobs.parse().expect("a number of jobs"), true),
        _ => panic!("expected JOBS, or JOBS back"),
    };
    for scenario in snowglobe::models::catalogue().iter() {
        let prepared: Arc<dyn Prepared> = prepare(scenario).into();
        let mut hashes: Vec<(u64, u64)> = std::thread::scope(|threads| {
            let job = |job| {
                let prepared = Arc::clone(&prepared);
                threads.spawn(move || hashes_of(&*prepared, (job..SEEDS).step_by(jobs), back))
            };
            let started: Vec<_> = (0..jobs as u64).map(job).collect();
            started.into_iter().flat_map(|job| job.join().expect("no run panics")).collect()
        });
        hashes.sort_unstable();
        for (seed, hash) in hashes {
            println!("{} {seed} {hash:016x}", prepared.name());
        }
    }
}

fn prepare(scenario: &dyn Entry) -> Box<dyn Prepared> {
    scenario.prepare(&serde_json::Map::new()).expect("the defaults are possible")
}

fn hashes_of(prepared: &dyn Prepared, seeds: impl Iterator<Item = u64>, back: bool) -> Vec<(u64, u64)> {
    let mut seeds: Vec<u64> = seeds.collect();
    if back {
        seeds.reverse();
    }
    let mut runner = prepared.runner();
    let mut bytes = Vec::new();
    let hash = |seed| {
        bytes.clear();
        runner.trace(seed, &Overrides::default(), &mut bytes).expect("a vector takes everything");
        (seed, fnv(&bytes))
    };
    seeds.into_iter().map(hash).collect()
}

/// FNV-1a.
fn fnv(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
