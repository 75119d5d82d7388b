//! Worlds as values: proptest shrinks the world, Snowglobe the schedule of the smallest, and what is left is kept.

mod payments;

use std::cell::RefCell;

use payments::Payments;
use proptest::prelude::*;
use serde_json::Value;
use snowglobe::prop::{Check, strategies};
use snowglobe::sim::Config;

/// Three nodes on any network, with any plan of faults, and two clients that pay up to three times each.
fn worlds() -> impl Strategy<Value = (Config, Vec<Vec<u32>>)> {
    (strategies::configs(3), strategies::workloads(2..=2, 0..=3, || 1..=100_u32))
}

fn forgetful((config, amounts): (Config, Vec<Vec<u32>>)) -> Payments {
    Payments { config, amounts, remembers: false }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 50, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_server_that_knows_payments_again_books_each_once((config, amounts) in worlds()) {
        Check::new(0..3).case(Payments { config, amounts, remembers: true })?;
    }

    #[test]
    #[should_panic(expected = "payments violates \"every payment is booked once\": payment ")]
    fn a_forgetful_server_books_a_payment_twice(world in worlds()) {
        Check::new(0..3).case(forgetful(world))?;
    }
}

#[test]
fn proptest_shrinks_the_world_and_snowglobe_its_schedule() {
    let last = RefCell::new(None);
    let made = |world: (Config, Vec<Vec<u32>>)| {
        *last.borrow_mut() = Some(world.clone());
        forgetful(world)
    };
    let failure = Check::new(0..3).program("cargo run --").of_worlds(&worlds(), made).unwrap_err();
    // The world: one payment, no fault that the plan has, and of what the network does only what it takes.
    let (config, amounts) = last.take().expect("a world was made");
    assert_eq!(amounts.concat(), [1], "{amounts:?}");
    assert_eq!((config.faults.list.len(), config.network.links.len()), (0, 0), "{config:?}");
    let link = config.network.default;
    let rates = [link.loss, link.duplication, link.late];
    assert_eq!(rates.iter().filter(|rate| !rate.is_zero()).count(), 1, "{rates:?}");
    // The schedule: one fault of it, and nothing else goes wrong.
    let text = failure.to_string();
    let reproduction: Value = serde_json::from_str(failure.reproduction().unwrap()).unwrap();
    assert_eq!(reproduction["otherwise"], "plain", "{text}");
    assert_eq!(reproduction["overrides"].as_array().unwrap().len(), 1, "{text}");
    // The property, the world, the shrunk reproduction, the reason in at most three lines, the command.
    let client = 1 + amounts.iter().position(|amounts| !amounts.is_empty()).expect("somebody pays");
    let wanted = format!(
        "payments violates \"every payment is booked once\": payment 1 of client-{client} was booked 2 times"
    );
    assert!(text.starts_with(&format!("{wanted}\nin the world (Config")), "{text}");
    assert!(text.contains("\nseed ") && text.contains(", shrunk to 1 of "), "{text}");
    let (_, reason) = text.split_once("\n}\n").expect("the reproduction ends");
    let lines: Vec<&str> = reason.lines().collect();
    assert!(lines[0].contains(&format!(" of call client-{client}/1, attempt 1")), "{text}");
    assert!(lines[0].ends_with("; without it: holds"), "{text}");
    assert_eq!(lines[1..], ["to see it:", "  cargo run -- explain repro.json  # the text above"], "{text}");
}

#[test]
fn what_is_left_is_kept_and_replayed_first() {
    let directory = tempfile::tempdir().unwrap();
    let check = Check::new(0..3).regressions(directory.path());
    let first = check.of_worlds(&worlds(), forgetful).unwrap_err();
    let files: Vec<_> =
        std::fs::read_dir(directory.path()).unwrap().map(|file| file.unwrap().path()).collect();
    let [file] = &files[..] else { panic!("one smallest world leaves one file: {files:?}") };
    assert_eq!(std::fs::read_to_string(file).unwrap(), first.reproduction().unwrap());
    assert!(
        first.to_string().ends_with(&format!("to see it:\n  snowglobe explain {}\n", file.display())),
        "{first}"
    );
    // Where no seed is run and no world but any, it fails again; once it is mended, it does not.
    let again = Check::new(0..0).count(0).regressions(directory.path());
    let second = again.of_worlds(&worlds(), forgetful).unwrap_err().to_string();
    assert!(second.contains(&format!("\na regression, {}:\n", file.display())), "{second}");
    let mended = |world| Payments { remembers: true, ..forgetful(world) };
    assert!(again.of_worlds(&worlds(), mended).is_ok());
    check.count(20).worlds(&worlds(), mended);
}

#[test]
#[should_panic(expected = "payments violates \"every payment is booked once\"")]
fn a_test_of_worlds_panics() {
    Check::new(0..3).worlds(&worlds(), forgetful);
}
