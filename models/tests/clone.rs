//! A cloned world has the same future as its original, for every scenario written with handlers.

use std::hash::Hasher;
use std::sync::Arc;

use check::Scenario;
use sim::{Overrides, Process, World};
use snowglobe_models::crawler::remote;
use snowglobe_models::{catalogue, concurrency, crawler, raft, rpc};

/// Clones worlds of these scenarios, each further in than the one before, so that clones are taken everywhere.
fn clones_have_the_same_future<S: Scenario<Process: Clone>>(scenarios: &[S], seeds: u64, steps: u64) {
    for scenario in scenarios {
        let setup = scenario.setup(&scenario.defaults()).expect("defaults are possible");
        let boot = Arc::clone(&setup.boot);
        let mut world = World::new(setup.config, 0, move |node| boot(node));
        for seed in 0..seeds {
            world.reset(seed, Overrides::default());
            for _ in 0..seed * steps {
                if world.step(&mut ()).is_err() {
                    break;
                }
            }
            same_future(&mut world, &format!("{} seed {seed}", scenario.name()));
        }
    }
}

fn same_future<P: Process + Clone>(world: &mut World<P>, of: &str) {
    let mut clone = world.clone();
    let before = world.digest().finish();
    let ending = clone.run(&mut ());
    assert_eq!(world.digest().finish(), before, "{of}: running the clone leaves the original alone");
    assert_eq!(world.run(&mut ()), ending, "{of}");
    assert_eq!(world.digest(), clone.digest(), "{of}");
    assert_eq!(world.steps(), clone.steps(), "{of}");
    assert_eq!(world.fault_counts(), clone.fault_counts(), "{of}");
}

#[test]
fn calls_and_servers_have() {
    clones_have_the_same_future(&rpc::scenarios(), 25, 7);
}

#[test]
fn a_replicated_log_has() {
    clones_have_the_same_future(&raft::scenarios(), 8, 150);
}

#[test]
fn a_crawler_that_fetches_by_calls_has() {
    clones_have_the_same_future(&remote::scenarios(), 10, 40);
}

#[test]
fn no_scenario_written_with_handlers_is_left_out() {
    let handlers = rpc::scenarios().len() + raft::scenarios().len() + remote::scenarios().len();
    // Programs of tasks are futures, and cannot be cloned.
    let tasks = rpc::races().len()
        + concurrency::scenarios().len()
        + crawler::scenarios().len()
        + crawler::distributed::scenarios().len();
    assert_eq!(catalogue().iter().count(), handlers + tasks);
}
