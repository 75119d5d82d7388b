//! One seed is one run: in any order of runs, in fresh or reused memory, with any number of jobs, in any build.
//!
//! What this process cannot see (another build, another machine) is compared through a file of digests that every build
//! must reproduce; `tests/same_bytes.sh` compares two builds and two processes byte by byte.

mod support;

use std::fmt::Write as _;
use std::sync::atomic::AtomicBool;

use snowglobe::check::{Sweep, sweep};
use snowglobe::sim::Overrides;
use support::{assert_golden, prepared, trace};

const SEEDS: u64 = 200;

#[test]
fn every_scenario_has_the_digests_that_every_build_has() {
    let mut pinned = String::new();
    for scenario in prepared() {
        let report = sweep(
            &*scenario,
            &Sweep { seeds: 0..SEEDS, jobs: 2, first: false },
            &AtomicBool::new(false),
            &|_, _| {},
        )
        .expect("two threads can be started");
        let mut runner = scenario.runner();
        let bytes = (0..SEEDS)
            .map(|seed| trace(&mut *runner, seed))
            .fold(FNV_OFFSET, |hash, bytes| fnv(hash, &bytes));
        let _ = writeln!(
            pinned,
            "{:32} digests {:016x} traces {bytes:016x} events {}",
            scenario.name(),
            report.digest,
            report.steps
        );
    }
    assert_golden("digests.txt", &pinned);
}

#[test]
fn a_seed_gives_the_same_run_first_and_last_alone_and_among_others() {
    for scenario in prepared() {
        let none = Overrides::default();
        let mut upwards = scenario.runner();
        let first: Vec<_> = (0..SEEDS).map(|seed| upwards.run(seed, &none)).collect();
        let mut downwards = scenario.runner();
        let mut last: Vec<_> = (0..SEEDS).rev().map(|seed| downwards.run(seed, &none)).collect();
        last.reverse();
        assert_eq!(first, last, "{}", scenario.name());
        for seed in (0..SEEDS).step_by(20) {
            let alone = scenario.runner().run(seed, &none);
            assert_eq!(first[seed as usize], alone, "{} seed {seed}", scenario.name());
        }
    }
}

#[test]
fn a_traced_run_is_the_run_that_is_traced() {
    for scenario in prepared() {
        let none = Overrides::default();
        let mut runner = scenario.runner();
        for seed in 0..SEEDS {
            let untraced = runner.run(seed, &none);
            let (mut once, mut again) = (Vec::new(), Vec::new());
            let traced = runner.trace(seed, &none, &mut once).expect("a vector takes everything");
            let fresh = scenario.runner().trace(seed, &none, &mut again).expect("a vector takes everything");
            assert_eq!(untraced, traced, "{} seed {seed}", scenario.name());
            assert_eq!(traced, fresh, "{} seed {seed}", scenario.name());
            assert!(once == again, "{} seed {seed}: two traces differ", scenario.name());
        }
    }
}

#[test]
fn the_number_of_jobs_changes_nothing() {
    for scenario in prepared() {
        let reports: Vec<_> = [1, 8]
            .into_iter()
            .map(|jobs| {
                let what = Sweep { seeds: 0..2 * SEEDS, jobs, first: false };
                sweep(&*scenario, &what, &AtomicBool::new(false), &|_, _| {}).expect("threads can be started")
            })
            .collect();
        assert_eq!(reports[0], reports[1], "{}", scenario.name());
    }
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

fn fnv(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}
