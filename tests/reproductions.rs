//! Reproductions: short, by names, editable, and robust against changes of the program; explained; kept as regressions.

mod account;

use account::Account;
use serde_json::{Value, json};
use snowglobe::check::Catalogue;
use snowglobe::cli::{self, Exit, Streams};
use snowglobe::prop::Check;
use snowglobe::sim::Overrides;

const LOST: &str = "lose done server -> client-1 of call client-1/1, attempt 1";

fn ask(program: Account, args: &[&str]) -> (Exit, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let args = std::iter::once("snowglobe").chain(args.iter().copied());
    let exit = cli::run(&Catalogue::new().with(program), args, &mut Streams::new(&mut out, &mut err));
    (exit, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

/// The first seed whose shrunk run is one lost answer.
fn seed_of_a_lost_answer() -> (String, Value) {
    let mut seeds = (0..200).map(|seed: u64| seed.to_string());
    let found = seeds.find_map(|seed| {
        let (exit, out, _) = ask(Account::Original, &["shrink", "account", "--seed", &seed, "--json"]);
        let shrunk: Value = serde_json::from_str(&out).ok().filter(|_| exit == Exit::Holds)?;
        (shrunk["overrides"] == json!([LOST])).then_some((seed, shrunk))
    });
    found.expect("one of two hundred seeds")
}

/// Shrinks that seed into a file, and gives its path and text.
fn reproduction(directory: &tempfile::TempDir) -> (String, String) {
    let (seed, _) = seed_of_a_lost_answer();
    let path = directory.path().join("repro.json").display().to_string();
    let (exit, _, err) = ask(Account::Original, &["shrink", "account", "--seed", &seed, "-o", &path]);
    assert_eq!(exit, Exit::Holds, "{err}");
    let text = std::fs::read_to_string(&path).unwrap();
    (path, text)
}

#[test]
fn a_shrunk_reproduction_is_short_and_speaks_in_names() {
    let (_, shrunk) = seed_of_a_lost_answer();
    assert_eq!((&shrunk["otherwise"], &shrunk["minimal"]), (&json!("plain"), &json!(true)));
    assert_eq!(shrunk["needed"][0]["without"], "holds");
    let directory = tempfile::tempdir().unwrap();
    let (path, text) = reproduction(&directory);
    let repro: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&repro["overrides"], &repro["otherwise"]), (&json!([LOST]), &json!("plain")));
    assert_eq!(repro["expect"]["property"], "the account is right");
    let (exit, out, err) = ask(Account::Original, &["replay", &path]);
    assert_eq!((exit, err.as_str()), (Exit::Holds, ""));
    assert!(out.contains("violates    the account is right: 20 taken, 10 paid"), "{out}");
    assert!(out.ends_with(&format!("the same as {path} says\n")), "{out}");
}

#[test]
fn a_reproduction_still_shows_the_violation_after_an_unrelated_change() {
    let directory = tempfile::tempdir().unwrap();
    let (path, _) = reproduction(&directory);
    for changed in [Account::OneMoreClient, Account::AnotherKindOfMessage, Account::FieldsReordered] {
        let (exit, out, err) = ask(changed, &["replay", &path]);
        assert!(out.contains("violates    the account is right: "), "{changed:?}: {out}{err}");
        // It is another run, byte for byte, and says so.
        assert_eq!(exit, Exit::Unusable, "{changed:?}");
        assert!(err.contains("the account is right is violated all the same"), "{changed:?}: {err}");
        assert!(!err.contains("met nothing"), "{changed:?}: {err}");
    }
    let (exit, _, err) = ask(Account::Mended, &["replay", &path]);
    assert_eq!(exit, Exit::Unusable);
    let sentence = "not the same: expected a violation of the account is right, but the run holds\n";
    assert_eq!(err, format!("snowglobe: {path}: {sentence}"));
}

#[test]
fn a_person_edits_a_reproduction() {
    let directory = tempfile::tempdir().unwrap();
    let (path, text) = reproduction(&directory);
    let with = |overrides: Value| {
        let mut repro: Value = serde_json::from_str(&text).unwrap();
        repro["overrides"] = overrides;
        repro["expect"].as_object_mut().unwrap().remove("digest");
        std::fs::write(&path, repro.to_string()).unwrap();
        let (exit, out, err) = ask(Account::Original, &["replay", &path]);
        (exit, out, err.replace(&path, "FILE"))
    };
    let late = "delay deduct client-1 -> server of call client-1/1, attempt 1 to 80 ms";
    let (exit, out, _) = with(json!([late]));
    assert_eq!(exit, Exit::Holds, "a late original is executed beside its resend: {out}");
    let twice = "duplicate deduct #1 client-1 -> server, after 1 ms and 2.5 ms";
    assert_eq!(with(json!([twice])).0, Exit::Holds);
    let (exit, _, err) = with(json!(["lose done server -> client-1 of call client-1/1, attempt 7"]));
    assert_eq!(exit, Exit::Unusable);
    assert_eq!(
        err,
        "warning: \"lose done server -> client-1 of call client-1/1, attempt 7\" met nothing: there is no such event in the \
         run\nsnowglobe: FILE: not the same: expected a violation of the account is right, but the run holds\n"
    );
}

#[test]
fn a_bad_reproduction_is_refused_with_one_sentence() {
    let directory = tempfile::tempdir().unwrap();
    let (path, text) = reproduction(&directory);
    let refused = |content: &str| {
        std::fs::write(&path, content).unwrap();
        let mut errors = Vec::new();
        for verb in ["replay", "explain"] {
            let (exit, out, err) = ask(Account::Original, &[verb, &path]);
            assert_eq!((exit, out.as_str()), (Exit::Unusable, ""), "{verb} {content}");
            assert_eq!(err.lines().count(), 1, "{err}");
            errors.push(err.trim_end().replace(&path, "FILE"));
        }
        assert_eq!(errors[0], errors[1]);
        errors.remove(0)
    };
    assert!(
        refused(&text[..text.len() / 2])
            .starts_with("snowglobe: FILE: not a reproduction: the text ends within")
    );
    assert_eq!(
        refused(&text.replace("\"version\": 1", "\"version\": 7")),
        "snowglobe: FILE: a reproduction of version 7; this program reads version 1"
    );
    assert_eq!(
        refused(&text.replace("-> client-1", "-> client-7")),
        "snowglobe: FILE: \"lose done server -> client-7 of call client-1/1, attempt 1\" speaks of \"client-7\"; the nodes are \
         server, client-1"
    );
    assert_eq!(
        refused(&text.replace(LOST, "let it rain")),
        "snowglobe: FILE: \"let it rain\" is no decision; they begin with lose, delay, duplicate, crash, pause, slow, partition, \
         fail sync or fault"
    );
    assert!(
        refused(&text.replace("\"plain\"", "\"gloomy\""))
            .starts_with("snowglobe: FILE: not a reproduction: unknown word `gloomy`")
    );
    let by_number = "delay done #1 server -> client-1 to 5 ms";
    assert_eq!(
        refused(&text.replace(&format!("{LOST:?}"), &format!("{LOST:?}, {by_number:?}"))),
        format!("snowglobe: FILE: these decide the same: {LOST:?} and {by_number:?}")
    );
    assert_eq!(
        refused(&text.replace(&format!("{LOST:?}"), &format!("{LOST:?}, {LOST:?}"))),
        format!("snowglobe: FILE: these decide the same: {LOST:?} and {LOST:?}")
    );
}

/// An override as a file has it, and the sentence with which it is refused; what stands where is told at its end.
const BAD_OVERRIDES: [(&str, &str); 29] = [
    (
        "3",
        "not a reproduction: invalid type: integer `3`, expected a decision in words, or an object with the id of an event and a decision at line ",
    ),
    (
        "null",
        "not a reproduction: invalid type: null, expected a decision in words, or an object with the id of an event and a decision at line ",
    ),
    ("{}", "not a reproduction: missing key `event` at line "),
    (
        r#"{"event": "00000000000000aa"}"#,
        "not a reproduction: an override has one of fate, crash-after, strike, keep, synced, order and late, found none at line ",
    ),
    (
        r#"{"event": "00000000000000aa", "strike": true, "keep": true}"#,
        "not a reproduction: an override has one of fate, crash-after, strike, keep, synced, order and late, found 2 at line ",
    ),
    (
        r#"{"event": "00000000000000aa", "explode": true}"#,
        "not a reproduction: unknown key `explode`, expected one of `event`, `fate`, `crash-after`, `strike`, `keep`, `synced`, `order`, `late` at line ",
    ),
    (
        r#"{"event": "00000000000000aa", "fate": "lost"}"#,
        "not a reproduction: invalid type: string \"lost\", expected a list at line ",
    ),
    (
        r#"{"event": "00000000000000aa", "fate": [-5]}"#,
        "not a reproduction: invalid value: integer `-5`, expected a whole number from 0 to 18446744073709551615 at line ",
    ),
    (
        r#"{"event": "00000000000000aa", "fate": [1.5]}"#,
        "not a reproduction: invalid type: floating point `1.5`, expected a whole number from 0 to 18446744073709551615 at line ",
    ),
    (
        r#"{"event": "00000000000000aa", "crash-after": "two"}"#,
        "not a reproduction: invalid type: string \"two\", expected a whole number from 0 to 4294967295 at line ",
    ),
    (
        r#"{"event": "00000000000000aa", "strike": 1}"#,
        "not a reproduction: invalid type: integer `1`, expected true or false at line ",
    ),
    (
        r#"{"event": 12, "fate": []}"#,
        "not a reproduction: invalid type: integer `12`, expected a string at line ",
    ),
    (r#"{"event": "12", "fate": []}"#, "an event id is 16 hexadecimal digits, found \"12\""),
    (
        r#"{"event": "00000000000000zz", "fate": []}"#,
        "an event id is 16 hexadecimal digits, found \"00000000000000zz\"",
    ),
    (
        r#"{"event": "00000000000000aa", "fate": []}, {"event": "00000000000000aa", "fate": [1]}"#,
        "two overrides decide the fate of event 00000000000000aa",
    ),
    (
        r#""rain""#,
        "\"rain\" is no decision; they begin with lose, delay, duplicate, crash, pause, slow, partition, fail sync or fault",
    ),
    (
        r#""lose done server -> client-1""#,
        "\"lose done server -> client-1\" is no decision; one is written `lose reply server -> client-1 of call client-1/3, attempt 1` or `lose reply #2 server -> client-1`",
    ),
    (
        r#""lose done #0 server -> client-1""#,
        "\"lose done #0 server -> client-1\" is no decision; one is written `lose reply ",
    ),
    (
        r#""lose done server -> client-1 of call client-1/0, attempt 1""#,
        "\"lose done server -> client-1 of call client-1/0, attempt 1\" is no decision; one is written `lose reply ",
    ),
    (
        r#""lose done server -> client-1 of call client-1/1, attempt 0""#,
        "\"lose done server -> client-1 of call client-1/1, attempt 0\" is no decision; one is written `lose reply ",
    ),
    (
        r#""delay done #1 server -> client-1""#,
        "\"delay done #1 server -> client-1\" is no decision; one is written `delay request #2 client-1 -> server to 300 ms`",
    ),
    (
        r#""delay done #1 server -> client-1 to -3 ms""#,
        "\"delay done #1 server -> client-1 to -3 ms\" has the span \"-3 ms\"; one is written 300 ms, 1.5 s, 20 us or 7 ns",
    ),
    (
        r#""duplicate done #1 server -> client-1, after 1 ms""#,
        "\"duplicate done #1 server -> client-1, after 1 ms\" is no decision; one is written `duplicate request #2 client-1 -> server, after 1 ms and 250 ms`",
    ),
    (
        r#""crash server""#,
        "\"crash server\" is no decision; one is written `crash server after effect 2 of request #1 from client-1` or `crash server (chance #2)`",
    ),
    (
        r#""crash sever (chance #1)""#,
        "\"crash sever (chance #1)\" speaks of \"sever\"; the nodes are server, client-1",
    ),
    (
        r#""pause server (chance #0)""#,
        "\"pause server (chance #0)\" is no decision; one is written `pause server (chance #2)` or `slow server (chance #2)`",
    ),
    (
        r#""partition server (chance #1)""#,
        "\"partition server (chance #1)\" is no decision; one is written `partition (chance #1)`",
    ),
    (r#""fail sync""#, "\"fail sync\" is no decision; one is written `fail sync #1 of commit/1 at server`"),
    (
        r#""fault #1""#,
        "\"fault #1\" is no decision; one is written `fault #4 of the plan` or `fault #4 of the plan, round 2`",
    ),
];

#[test]
fn a_bad_override_is_refused_with_what_is_allowed() {
    let directory = tempfile::tempdir().unwrap();
    let (path, text) = reproduction(&directory);
    let refused = |content: &str| {
        std::fs::write(&path, content).unwrap();
        let (exit, out, err) = ask(Account::Original, &["replay", &path]);
        assert_eq!((exit, out.as_str()), (Exit::Unusable, ""), "{content}");
        err.replace(&path, "FILE")
    };
    for (overrides, sentence) in BAD_OVERRIDES {
        let err = refused(&text.replace(&format!("{LOST:?}"), overrides));
        assert!(err.starts_with(&format!("snowglobe: FILE: {sentence}")), "{overrides}: {err}");
        assert_eq!((err.lines().count(), err.ends_with('\n')), (1, true), "{err}");
        // Where it stands in the file, if it is not the text of a name.
        assert!(
            !sentence.ends_with("at line ")
                || err.contains("at line 8 column ")
                || err.contains("at line 9 column "),
            "{err}"
        );
    }
    for (good, bad, sentence) in [
        ("\"seed\": ", "\"seed\": -", "not a reproduction: invalid value: integer `-"),
        ("\"format\"", "\"from\"", "not a reproduction: missing key `format`"),
        ("\"plain\"", "3", "not a reproduction: expected value at line "),
        (
            "\"expect\": {",
            "\"expected\": {",
            "not a reproduction: unknown key `expected`, expected one of `format`, `version`, `scenario`, ",
        ),
        ("\"digest\": \"", "\"digest\": \"x", "a digest is 16 hexadecimal digits, found \"x"),
        (
            "\"settings\": {}",
            "\"settings\": []",
            "not a reproduction: invalid type: a list, expected an object at line ",
        ),
    ] {
        assert!(text.contains(good), "{text}");
        let err = refused(&text.replace(good, bad));
        assert!(err.starts_with(&format!("snowglobe: FILE: {sentence}")), "{bad}: {err}");
    }
}

#[test]
fn a_reproduction_is_explained() {
    let directory = tempfile::tempdir().unwrap();
    let (path, _) = reproduction(&directory);
    let (exit, out, err) = ask(Account::Original, &["explain", &path]);
    assert_eq!((exit, err.as_str()), (Exit::Holds, ""));
    assert!(out.contains("\nviolates    the account is right: 20 taken, 10 paid\n"), "{out}");
    assert!(out.contains(&format!("{LOST}\n              without it: holds\n")), "{out}");
    assert!(out.contains("server -> client-1  done  (lost)"), "{out}");
    assert!(out.contains("timer resend fires") && out.contains("and nothing had stopped it"), "{out}");
    let (_, diagram, _) = ask(Account::Original, &["explain", &path, "--mermaid"]);
    assert!(diagram.starts_with("sequenceDiagram\n    participant n0 as server\n"), "{diagram}");
    assert!(diagram.contains("n0-xn1: done"), "{diagram}");
    let (_, json, _) = ask(Account::Original, &["explain", &path, "--json"]);
    let explained: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(explained["faults"][0]["without"], "holds");
    assert!(explained["chain"].as_array().unwrap().iter().any(|step| step["fault"] == true));
    // The same of a seed, which is shrunk first.
    let (seed, _) = seed_of_a_lost_answer();
    let (exit, again, _) = ask(Account::Original, &["explain", "account", "--seed", &seed]);
    assert_eq!((exit, again), (Exit::Holds, out));
}

#[test]
fn listing_what_went_wrong_gives_the_same_run() {
    // Over every scenario of the catalogue: a run in which nothing goes wrong but what did is the run itself.
    let catalogue = snowglobe::models::catalogue();
    let entry = catalogue.find("rpc/s3-at-least-once").unwrap();
    let prepared = entry.prepare(&serde_json::Map::new()).unwrap();
    let mut runner = prepared.runner();
    let seed = (0..200).find(|seed| !runner.run(*seed, &Overrides::default()).holds()).unwrap();
    let what =
        snowglobe::check::shrink::Shrink { seed, overrides: Overrides::default(), runs_max: 2, jobs: 1 };
    let stop = std::sync::atomic::AtomicBool::new(false);
    let listed = snowglobe::check::shrink::shrink(&*prepared, &what, &stop, &|_| ()).unwrap().unwrap();
    assert_eq!(listed.outcome.digest, runner.run(seed, &Overrides::default()).digest);
    assert_eq!(listed.overrides.otherwise(), snowglobe::sim::Otherwise::Calm);
    assert!(!listed.minimal && !listed.overrides.is_empty(), "two runs are too few to take anything away");
}

#[test]
fn a_property_test_panics_with_the_reason_and_keeps_a_regression() {
    let directory = tempfile::tempdir().unwrap();
    let (seed, _) = seed_of_a_lost_answer();
    let seed: u64 = seed.parse().unwrap();
    let check =
        Check::new(seed..seed + 1).regressions(directory.path()).program("cargo run --example account --");
    let failure = check.of(Account::Original).unwrap_err().to_string();
    assert!(
        failure.starts_with("account violates \"the account is right\": 20 taken, 10 paid\nseed "),
        "{failure}"
    );
    assert!(failure.contains(&format!("{LOST}; without it: holds\n")), "{failure}");
    let file = directory.path().join(format!("account-{seed}.json"));
    let command = format!("to see it:\n  cargo run --example account -- explain {}\n", file.display());
    assert!(failure.ends_with(&command), "{failure}");
    // From now on it is run first, also where no seed is.
    let again = Check::new(0..0).regressions(directory.path());
    assert!(again.of(Account::OneMoreClient).unwrap_err().to_string().contains("a regression, "));
    assert!(again.of(Account::Mended).is_ok());
    std::fs::write(&file, "{").unwrap();
    let sentence = again.of(Account::Mended).unwrap_err().to_string();
    assert!(sentence.contains("not a reproduction: the text ends within"), "{sentence}");
}

#[test]
#[should_panic(expected = "account violates \"the account is right\"")]
fn a_plain_test_panics() {
    snowglobe::prop::check(0..100, Account::Original);
}

#[test]
fn a_plain_test_passes() {
    snowglobe::prop::check(0..100, Account::Mended);
}
