//! A cloned world has the same future as its original, for every scenario written with handlers.

use std::hash::Hasher;

use check::Scenario;
use sim::{Overrides, World};
use snowglobe_models::rpc;

#[test]
fn a_clone_has_the_same_future() {
    for scenario in rpc::scenarios() {
        let setup = scenario.setup(&scenario.defaults()).expect("defaults are possible");
        let boot = std::sync::Arc::clone(&setup.boot);
        let mut world = World::new(setup.config, 0, move |node| boot(node));
        for seed in 0..25 {
            world.reset(seed, Overrides::default());
            // Further in with every seed, so that clones are taken everywhere.
            for _ in 0..seed * 7 {
                if world.step(&mut ()).is_err() {
                    break;
                }
            }
            let mut clone = world.clone();
            let before = world.digest().finish();
            let ending = clone.run(&mut ());
            assert_eq!(world.digest().finish(), before, "running the clone leaves the original alone");
            assert_eq!(world.run(&mut ()), ending, "{} seed {seed}", scenario.name());
            assert_eq!(world.digest(), clone.digest(), "{} seed {seed}", scenario.name());
            assert_eq!(world.steps(), clone.steps(), "{} seed {seed}", scenario.name());
            assert_eq!(world.fault_counts(), clone.fault_counts(), "{} seed {seed}", scenario.name());
        }
    }
}
