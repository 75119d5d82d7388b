//! What the README shows is what compiles and runs: its program is `examples/counter.rs`, its output what that prints.

// The examples are whole programs.
#[allow(dead_code)]
#[path = "../examples/counter.rs"]
mod counter;
#[allow(dead_code)]
#[path = "../examples/counter_once.rs"]
mod counter_once;

use snowglobe::check::Catalogue;
use snowglobe::cli::{self, Exit, Streams};

const README: &str = include_str!("../README.md");

/// The part of a file from one text to another.
fn part<'t>(file: &'t str, from: &str, to: &str) -> &'t str {
    let start = file.find(from).unwrap_or_else(|| panic!("no {from:?}"));
    let len = file[start..].find(to).unwrap_or_else(|| panic!("no {to:?} after {from:?}"));
    file[start..start + len].trim_end()
}

fn ask(catalogue: &Catalogue, args: &[&str]) -> (Exit, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = cli::run(catalogue, args, &mut Streams::new(&mut out, &mut err));
    (exit, String::from_utf8(out).expect("UTF-8"))
}

#[test]
fn the_protocol_in_the_readme_is_the_compiled_one_and_has_about_forty_lines() {
    let protocol = part(include_str!("../examples/counter.rs"), "messages! {", "struct CountOnce;");
    assert!(README.contains(&format!("```rust\n{protocol}\n```")), "the README shows another protocol");
    let lines = protocol.lines().count();
    assert!((35..=45).contains(&lines), "{lines} lines");
}

#[test]
fn the_sweep_in_the_readme_is_what_the_protocol_gives() {
    let catalogue = counter::catalogue();
    let (exit, out) = ask(&catalogue, &["counter", "sweep", "counter"]);
    assert_eq!(exit, Exit::Violated);
    assert!(
        README.contains(&format!("-- sweep counter\n{out}```")),
        "the README shows another sweep than\n{out}"
    );
}

#[test]
fn the_mended_protocol_is_the_compiled_one_and_holds() {
    let mended = include_str!("../examples/counter_once.rs");
    let arm = part(mended, "            Msg::Add { call } => {", "            Msg::Added =>");
    assert!(README.contains(&format!("```rust\n{arm}\n```")), "the README mends it otherwise");
    let catalogue = counter_once::catalogue();
    let (exit, out) = ask(&catalogue, &["counter_once", "sweep", "counter-once", "--seeds", "1000"]);
    assert_eq!(exit, Exit::Holds, "{out}");
    assert!(!out.contains("messages duplicated  0"), "{out}");
}
