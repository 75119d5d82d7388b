//! The same workloads as `ratios`, smaller, for divan: for watching one of them while it is being changed.
//!
//! `cargo bench --bench engine -- ring` times the rings only. Ratios between contestants that are timed one after
//! the other drift with the machine; `ratios` is the bench for those.

mod workloads;

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use divan::Bencher;
use divan::counter::ItemsCount;

/// All workloads run under this seed.
const SEED: u64 = 1;

fn main() {
    divan::main();
}

/// Times `run`, and reports events per second: it handles the same number of events each time.
fn bench(bencher: Bencher<'_, '_>, run: impl Fn() -> u64 + Sync) {
    bencher.counter(ItemsCount::new(run())).bench(run);
}

/// Declares the benchmarks of one module of `workloads`.
macro_rules! benches {
    ($module:ident) => {
        mod $module {
            use super::{Bencher, SEED, bench, workloads::$module};

            #[divan::bench]
            fn ping(bencher: Bencher<'_, '_>) {
                bench(bencher, || $module::ping(100_000, SEED));
            }

            #[divan::bench]
            fn lossy_rpc(bencher: Bencher<'_, '_>) {
                bench(bencher, || $module::lossy_rpc(1_000, SEED));
            }

            #[divan::bench(args = [10, 1_000, 100_000, 1_000_000], sample_count = 10)]
            fn ring(bencher: Bencher<'_, '_>, nodes: u32) {
                // No fewer events than nodes: building them is a part of what is timed.
                let events = u64::from(nodes).max(100_000);
                bench(bencher, || $module::ring(nodes, events, SEED));
            }

            #[divan::bench(args = [1_000, 1_000_000], sample_count = 10)]
            fn gossip(bencher: Bencher<'_, '_>, nodes: u32) {
                bench(bencher, || $module::gossip(nodes, u64::from(nodes).max(100_000), SEED));
            }

            #[divan::bench]
            fn short_runs(bencher: Bencher<'_, '_>) {
                bench(bencher, || $module::short_runs(1_000, SEED));
            }
        }
    };
}

benches!(bare);
benches!(plain);
benches!(handlers);
benches!(tasks);
