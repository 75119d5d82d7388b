//! `check-history` as people and scripts use it: what it answers about a history, in which words, and what it
//! refuses.

use std::path::Path;

use serde_json::Value;
use snowglobe::check::Catalogue;
use snowglobe::cli::{self, Exit, Streams};

struct Answer {
    out: String,
    err: String,
    exit: Exit,
}

/// The verb asked about a history in a file. Its directory does not show in the answer.
fn check_history(history: &str, args: &[&str]) -> Answer {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("history.jsonl");
    std::fs::write(&path, history).expect("a file in a temporary directory");
    ask(&path, args)
}

fn ask(path: &Path, args: &[&str]) -> Answer {
    let path = path.to_str().expect("UTF-8");
    let args = ["snowglobe", "check-history", path].into_iter().chain(args.iter().copied());
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = cli::run(&Catalogue::new(), args, &mut Streams::new(&mut out, &mut err));
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8").replace(path, "history.jsonl");
    Answer { out: text(out), err: text(err), exit }
}

/// Case S4 of the lecture: a late first copy of a put undoes a later one.
const STALE: &str = r#"
{"process":0,"type":"invoke","f":"put","key":"x","value":10,"time":0}
{"process":0,"type":"ok","f":"put","key":"x","value":10,"time":50}
{"process":0,"type":"invoke","f":"put","key":"x","value":20,"time":60}
{"process":0,"type":"ok","f":"put","key":"x","value":20,"time":70}
{"process":1,"type":"invoke","f":"get","key":"x","time":80}
{"process":1,"type":"ok","f":"get","key":"x","value":10,"time":90}
"#;

#[test]
fn a_history_that_one_copy_could_have_shown_is_linearizable() {
    // The second put began before the first returned, so it may have been the first.
    let concurrent =
        STALE.replace("\"time\":50", "\"time\":65").replacen("\"process\":0", "\"process\":2", 2);
    let mut lines: Vec<&str> = concurrent.lines().collect();
    lines.swap(2, 3);
    let concurrent = lines.join("\n");
    let answer = check_history(&concurrent, &["--model", "kv"]);
    assert_eq!(answer.exit, Exit::Holds, "{}{}", answer.out, answer.err);
    assert_eq!(
        answer.out,
        "history.jsonl: linearizable as kv (3 operations, 0 of unknown outcome, 0 failed and left out; 0 steps)\n"
    );
}

#[test]
fn a_violation_is_told_with_the_order_that_does_not_go_on() {
    let answer = check_history(STALE, &["--model", "register"]);
    assert_eq!(answer.exit, Exit::Violated);
    assert_eq!(
        answer.out,
        "\
history.jsonl: not linearizable as register (3 operations, 0 of unknown outcome, 0 failed and left out; 0 steps)

No order explains the operations of key \"x\".
The longest order found has 2 operations:
  line 2  process 0  write 10 (key \"x\") -> done
  line 4  process 0  write 20 (key \"x\") -> done
It leads to the state 20.
This operation must come next, and cannot:
  line 6  process 1  read (key \"x\") -> 10
"
    );
}

#[test]
fn programs_get_the_lines_of_the_order() {
    let answer = check_history(STALE, &["--model", "kv", "--json"]);
    assert_eq!(answer.exit, Exit::Violated);
    let json: Value = serde_json::from_str(&answer.out).expect("one JSON document");
    assert_eq!((json["verdict"].as_str(), json["key"].as_str()), (Some("violated"), Some("\"x\"")));
    let partial = &json["partials"][0];
    let lines = |list: &Value| {
        list.as_array().expect("a list").iter().map(|one| one["line"].as_u64()).collect::<Vec<_>>()
    };
    assert_eq!(lines(&partial["order"]), [Some(2), Some(4)]);
    assert_eq!(lines(&partial["blocked"]), [Some(6)]);
    assert_eq!(partial["blocked"][0]["reply"], "10");
}

#[test]
fn without_steps_it_is_undecided_and_that_is_no_success() {
    let history = r#"
{"process":0,"type":"invoke","f":"add","key":"hits","value":1}
{"process":1,"type":"invoke","f":"read","key":"hits"}
{"process":1,"type":"ok","value":1}
"#;
    let answer = check_history(history, &["--model", "counter", "--budget", "1"]);
    assert_eq!(answer.exit, Exit::Violated);
    assert_eq!(
        answer.out,
        "\
history.jsonl: undecided as counter: a budget of 1 step is too small for key \"hits\"; all other keys are linearizable (2 operations, 1 of unknown outcome, 0 failed and left out; 1 step)
Try a larger --budget.
"
    );
    let answer = check_history(history, &["--model", "counter", "--json"]);
    let json: Value = serde_json::from_str(&answer.out).expect("one JSON document");
    assert_eq!(
        (answer.exit, &json["verdict"], &json["unknown"]),
        (Exit::Holds, &"linearizable".into(), &1.into())
    );
    assert_eq!(json["order"], serde_json::json!([2, 3]));
}

#[test]
fn what_makes_no_sense_is_refused_with_its_line() {
    let refused = |history: &str, args: &[&str]| {
        let Answer { out, err, exit } = check_history(history, args);
        assert_eq!((exit, &*out), (Exit::Unusable, ""));
        err.lines().next().expect("a sentence").to_owned()
    };
    assert_eq!(
        refused(&STALE.replace("\"put\"", "\"puff\""), &["--model", "kv"]),
        "snowglobe: history.jsonl: line 2: the model kv has no \"puff\"; it has read, write, cas, append"
    );
    assert_eq!(
        refused("{}", &["--model", "kv"]),
        "snowglobe: history.jsonl: line 1: expected a \"process\" that is a number or a text, found none"
    );
    assert!(
        refused(STALE, &["--model", "lock"])
            .starts_with("snowglobe: invalid value 'lock' for '--model <MODEL>'")
    );
    assert!(refused(STALE, &[]).contains("required arguments were not provided"));
    assert_eq!(refused("", &["--model", "kv"]), "snowglobe: history.jsonl: it has no operations to judge");
    let missing = ask(Path::new("/nowhere/history.jsonl"), &["--model", "kv"]);
    assert_eq!((missing.exit, &*missing.err), (Exit::Unusable, "snowglobe: history.jsonl: no such file\n"));
}

#[test]
fn two_checks_give_the_same_bytes() {
    for args in [&["--model", "kv"][..], &["--model", "kv", "--json"]] {
        assert_eq!(check_history(STALE, args).out, check_history(STALE, args).out);
    }
}
