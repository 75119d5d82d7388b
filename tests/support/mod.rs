//! What the tests of the scenarios share: all of them prepared, a run as the bytes of its trace, and files of
//! expected text.

// Each test program uses its part.
#![allow(dead_code)]

use std::path::Path;

use snowglobe::check::{Prepared, Runner};
use snowglobe::sim::Overrides;

/// Every scenario, with the settings it has unless told otherwise.
pub(crate) fn prepared() -> Vec<Box<dyn Prepared>> {
    let catalogue = snowglobe::models::catalogue();
    let prepare = |entry: &dyn snowglobe::check::Entry| entry.prepare(&serde_json::Map::new());
    catalogue.iter().map(|entry| prepare(entry).expect("the defaults are possible")).collect()
}

/// The trace of a run, uncompressed.
pub(crate) fn trace(runner: &mut dyn Runner, seed: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    runner.trace(seed, &Overrides::default(), &mut bytes).expect("a vector takes everything");
    bytes
}

/// Compares with the file of this name in `tests/golden`, which `SNOWGLOBE_GOLDEN=rewrite` writes anew.
#[track_caller]
pub(crate) fn assert_golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    // A test may be told by its environment to write instead of to compare; no run sees it.
    #[allow(clippy::disallowed_methods)]
    let rewrite = std::env::var("SNOWGLOBE_GOLDEN").is_ok_and(|value| value == "rewrite");
    if rewrite {
        std::fs::write(&path, text).expect("the golden file can be written");
        return;
    }
    let expected = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; `make golden` writes it", path.display()));
    if let Some((number, (was, is))) =
        (1..).zip(expected.lines().zip(text.lines())).find(|(_, (was, is))| was != is)
    {
        panic!("{name}:{number} was\n{was}\nand is now\n{is}\n`make golden` writes it anew");
    }
    assert_eq!(expected.lines().count(), text.lines().count(), "{name}: the number of lines differs");
}
