use std::fmt::Write;

use proptest::prelude::*;
use serde_json::json;
use sim::EventId;

use super::*;
use crate::testing::{Toy, by_hand};

/// The ids of the messages that are delivered, in order.
fn delivered(trace: &Trace) -> Vec<u64> {
    let sends = trace.events().filter(|event| event.kind == Kind::Send);
    sends.filter(|event| !event.tail.contains("\"fate\":[]")).map(|event| event.id.0).collect()
}

fn with_lost(clients: u32, operations: u64, lost: &[u64], leak: bool) -> Trace {
    let toy = Toy { lost: lost.iter().copied().collect(), leak, ..Toy::new(clients, operations) };
    toy.trace("b")
}

#[test]
fn a_trace_is_identical_to_itself() {
    let (a, b) = (Toy::new(2, 50).trace("a"), Toy::new(2, 50).trace("b"));
    let diff = Diff::of(&a, &b);
    assert_eq!(diff.sameness, Sameness::Identical);
    assert_eq!(diff.divergence, None);
    assert_eq!((diff.alignment.same, diff.explanation.differences), (a.len() as u64, 0));
    assert_eq!(diff.to_string(), format!("A  a\nB  b\nidentical, {} events\n", a.len()));
}

#[test]
fn an_override_that_changes_nothing_leaves_the_same_events() {
    let a = Toy::new(2, 50).trace("a");
    let diff = Diff::of(&a, &with_lost(2, 50, &[12_345], false));
    assert_eq!(diff.sameness, Sameness::SameEvents);
    assert_eq!(diff.headers.differences.len(), 1);
    assert_eq!(diff.headers.differences[0].b, Some(json!({"lose": "0000000000003039"})));
}

#[test]
fn a_lost_message_is_the_decision_and_explains_everything() {
    let a = Toy::new(3, 60).trace("a");
    let lost = delivered(&a)[40];
    let diff = Diff::of(&a, &with_lost(3, 60, &[lost], false));
    let divergence = diff.divergence.as_ref().unwrap();
    let Some(Decision::Fate { id, fates, .. }) = &divergence.decision else { panic!("{divergence:?}") };
    assert_eq!(*id, format!("{lost:016x}"));
    assert_eq!((fates.a.len(), fates.b.len()), (1, 0));
    assert_eq!(diff.explanation.basis, Basis::Overrides);
    assert_eq!((diff.explanation.roots, diff.explanation.unexplained), (1, 0));
    assert!(diff.explanation.differences > 10);
    let text = diff.to_string();
    assert!(text.contains("-> lost") && text.contains("explained: all"), "{text}");
}

#[test]
fn the_operations_of_both_runs_are_counted_and_timed() {
    let a = Toy::new(3, 60).trace("a");
    let diff = Diff::of(&a, &with_lost(3, 60, &[delivered(&a)[40]], false));
    for operations in [&diff.outcomes.a.operations, &diff.outcomes.b.operations] {
        let Operations { begun, ok, fail, unknown, open, latency } = operations;
        assert!(*begun > 0);
        assert_eq!(ok + fail + unknown + open, *begun);
        let latency = latency.expect("some returned");
        assert!(0 < latency.min && latency.min <= latency.median && latency.median <= latency.max);
    }
    assert_eq!(
        diff.outcomes.a.operations.begun,
        a.events().filter(|e| e.kind == Kind::Invoke).count() as u64
    );
    assert_ne!(diff.outcomes.a.operations, diff.outcomes.b.operations, "a lost message takes time");
}

/// Prints how long it takes: `cargo test --release -p snowglobe-traces -- --ignored --nocapture two_traces`.
#[test]
#[ignore = "a measurement, for a release build"]
fn two_traces_of_200_000_events_are_compared() {
    #[expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "this measures our own speed")]
    fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
        let start = std::time::Instant::now();
        let result = work();
        println!("{what}: {} ms", start.elapsed().as_millis());
        result
    }
    let (clients, operations) = (20, 2_400);
    let a = Toy::new(clients, operations).trace("a");
    let b = with_lost(clients, operations, &[delivered(&a)[40]], false);
    println!("{} and {} events", a.len(), b.len());
    assert!(a.len() >= 200_000, "{} events", a.len());
    timed("alignment", || align::Aligned::of(&a, &b));
    let diff = timed("all of the diff, ids sorted before", || Diff::of(&a, &b));
    timed("its words", || diff.to_string());
    assert_eq!(diff.explanation.unexplained, 0);
    let other = with_other_ids(&a);
    let mut aligned = align::Aligned::of(&a, &other);
    timed("alignment of two versions whose ids all differ", || versions::align(&mut aligned, &a, &other));
    assert!(aligned.of_a.iter().all(Option::is_some));
    timed("all of their diff", || Diff::of(&a, &other));
}

/// The same run of a program in which every id is another.
fn with_other_ids(trace: &Trace) -> Trace {
    let mut lines = trace.text().lines().next().unwrap().to_owned();
    for event in trace.events() {
        let field = |key: &str, id: EventId| format!("\"{key}\":\"{id}\"");
        let other = |id: EventId| EventId(id.0.rotate_left(20));
        let line = event.line.replacen(&field("id", event.id), &field("id", other(event.id)), 1);
        lines += "\n";
        lines += &line.replacen(&field("by", event.by), &field("by", other(event.by)), 1);
    }
    with_checkpoints(&lines)
}

#[test]
fn a_long_run_of_two_versions_whose_ids_all_differ_is_aligned_whole() {
    let a = Toy::new(4, 300).trace("a");
    let diff = Diff::of(&a, &with_other_ids(&a));
    let Alignment { same, renamed, only_a, only_b, by_path, by_order, .. } = diff.alignment;
    assert_eq!((same, renamed, only_a, only_b), (0, a.len() as u64, 0, 0), "{diff}");
    assert_eq!((by_path, by_order), (a.len() as u64, 0), "{diff}");
}

#[test]
fn hidden_shared_state_is_reported() {
    let leaky = Toy { leak: true, ..Toy::new(3, 60) };
    let a = leaky.trace("a");
    let lost = delivered(&a)[40];
    let diff = Diff::of(&a, &with_lost(3, 60, &[lost], true));
    assert!(diff.explanation.unexplained > 0, "{diff}");
    assert!(diff.to_string().contains("NOT explained"), "{diff}");
    assert!(diff.alignment.patterns.iter().any(|pattern| {
        (&*pattern.kind, &*pattern.field, &*pattern.change) == ("send", "payload.Call.hint", "+1")
    }));
}

#[test]
fn same_inputs_and_other_events_are_nondeterminism() {
    let diff = Diff::of(&Toy::new(2, 20).trace("a"), &{
        let mut leaky = Toy::new(2, 20);
        leaky.leak = true;
        leaky.trace("b")
    });
    assert_eq!(diff.explanation.basis, Basis::SameInputs);
    assert_eq!(diff.explanation.unexplained, diff.explanation.differences);
    assert_eq!(diff.divergence.as_ref().unwrap().decision, None);
    assert!(diff.to_string().contains("not deterministic"), "{diff}");
}

#[test]
fn other_clients_are_not_comparable() {
    let diff = Diff::of(&Toy::new(2, 5).trace("a"), &Toy::new(3, 5).trace("b"));
    assert!(!diff.headers.comparable);
    assert_eq!(diff.explanation.basis, Basis::OtherInputs);
}

#[test]
fn a_crash_on_one_side_is_named() {
    let boot = (0, "n", "boot", 1, 0, ",\"incarnation\":0");
    let crash = (5, "n", "crash", 2, 1, ",\"incarnation\":0,\"after\":1");
    let fire = (9, "n", "fire", 3, 1, ",\"name\":\"tick\"");
    let (a, b) = (by_hand(&["n"], &[boot, fire]), by_hand(&["n"], &[boot, crash]));
    let diff = Diff::of(&a, &b);
    let divergence = diff.divergence.as_ref().unwrap();
    assert_eq!(divergence.common, 1);
    assert_eq!(divergence.last_common.as_ref().unwrap().number, 2);
    let Some(Decision::Event { lines: Sides { a: None, b: Some(line) } }) = &divergence.decision else {
        panic!("{divergence:?}")
    };
    assert_eq!(line.event["kind"], json!("crash"));
    assert!(diff.to_string().contains("decided: only in B: crash on n at 5 ns"), "{diff}");
    // The shorter trace ends where the longer goes on.
    let diff = Diff::of(&by_hand(&["n"], &[boot]), &b);
    let divergence = diff.divergence.as_ref().unwrap();
    assert_eq!(divergence.next.a, None);
    assert!(diff.to_string().contains("A  no further event"), "{diff}");
}

#[test]
fn the_alignment_counts_each_event_once() {
    let a = by_hand(
        &["n"],
        &[
            (0, "n", "fire", 1, 0, ""),
            (1, "n", "fire", 2, 0, ""),
            (2, "n", "note", 3, 0, ",\"payload\":1"),
            (3, "n", "fire", 4, 0, ""),
        ],
    );
    let b = by_hand(
        &["n"],
        &[
            (0, "n", "fire", 1, 0, ""),
            (5, "n", "fire", 2, 0, ""),
            (6, "n", "note", 3, 0, ",\"payload\":3"),
            (7, "n", "fire", 5, 0, ""),
            (8, "n", "fire", 5, 0, ""),
        ],
    );
    let found = Diff::of(&a, &b).alignment;
    let Alignment { same, shifted, changed, renamed, only_a, only_b, .. } = found;
    assert_eq!((same, shifted, changed, renamed, only_a, only_b), (1, 1, 1, 1, 0, 1));
    assert_eq!(
        found.patterns,
        [Pattern { kind: "note".into(), field: "payload".into(), change: "+2".into(), count: 1 }]
    );
}

/// A server that writes what it is told, and says so: the ids hang on `root`, and the message is called `word`.
fn version(root: u64, word: &str, checked: bool) -> Trace {
    let send = format!(",\"to\":\"s\",\"name\":\"{word}\",\"fate\":[3],\"payload\":7");
    let recv = format!(",\"from\":\"c\",\"name\":\"{word}\",\"payload\":7");
    let write = ",\"name\":\"log\",\"action\":\"append\",\"payload\":\"7\"";
    let told = ",\"to\":\"c\",\"name\":\"done\",\"fate\":[3],\"payload\":8";
    let heard = ",\"from\":\"s\",\"name\":\"done\",\"payload\":8";
    let returned = format!(",\"of\":\"{:016x}\",\"status\":\"ok\",\"payload\":8", root + 1);
    let mut lines = vec![
        (0, "c", "boot", 1, 0, ",\"incarnation\":0"),
        (0, "s", "boot", 2, 0, ",\"incarnation\":0"),
        (1, "c", "invoke", root + 1, 1, ",\"payload\":\"put\""),
        (1, "c", "send", root + 2, root + 1, &*send),
        (4, "s", "recv", root + 3, root + 2, &*recv),
        (4, "s", "disk", root + 4, root + 3, write),
        (4, "s", "send", root + 5, root + 3, told),
        (7, "c", "recv", root + 6, root + 5, heard),
        (7, "c", "return", root + 7, root + 6, &*returned),
    ];
    if checked {
        lines.insert(5, (4, "s", "note", root + 9, root + 3, ",\"payload\":{\"Checked\":7}"));
    }
    by_hand(&["c", "s"], &lines)
}

#[test]
fn two_versions_whose_ids_all_differ_are_aligned_by_the_paths_of_causes() {
    let diff = Diff::of(&version(0x10, "put", false), &version(0x20, "put", true));
    let Alignment { same, renamed, only_a, only_b, by_path, by_order, .. } = diff.alignment;
    assert_eq!((same, renamed, only_a, only_b), (2, 7, 0, 1), "{diff}");
    assert_eq!((by_path, by_order), (7, 0), "{diff}");
    assert!(
        diff.to_string()
            .contains("7 have other ids and were aligned by the paths of their causes, 0 by order")
    );
}

#[test]
fn behind_a_message_that_was_renamed_two_versions_are_aligned_by_order() {
    let diff = Diff::of(&version(0x10, "put", false), &version(0x20, "write", true));
    let Alignment { same, renamed, only_a, only_b, by_path, by_order, .. } = diff.alignment;
    // The send and its arrival have another name. What the server asks for is found by order, and what it leads to too.
    assert_eq!((same, renamed, only_a, only_b), (2, 5, 2, 3), "{diff}");
    assert_eq!((by_path, by_order), (1, 4), "{diff}");
    // It is one value, written by both.
    assert!(diff.outcomes.a.left.is_empty() && diff.outcomes.b.left.is_empty());
}

#[test]
fn runs_of_one_program_with_other_decisions_are_aligned_by_id_alone() {
    let a = Toy::new(3, 60).trace("a");
    let diff = Diff::of(&a, &with_lost(3, 60, &[delivered(&a)[40]], false));
    assert_eq!((diff.alignment.by_path, diff.alignment.by_order, diff.alignment.renamed), (0, 0, 0));
    assert!(!diff.to_string().contains("have other ids"), "{diff}");
}

#[test]
fn a_node_that_is_left_otherwise_is_told_of() {
    let boot = (0, "n", "boot", 1, 0, ",\"incarnation\":0");
    let write = |text| format!(",\"name\":\"log\",\"action\":\"append\",\"payload\":\"{text}\"");
    let (seven, eight) = (write("seven"), write("eight"));
    let lost = ",\"name\":\"disk\",\"action\":\"lost\",\"changes\":1,\"torn\":false";
    let of = |lines: &[(u64, &'static str, &'static str, u64, u64, &str)]| {
        let mut all = vec![boot];
        all.extend_from_slice(lines);
        by_hand(&["n"], &all)
    };
    let a = of(&[(1, "n", "disk", 2, 1, &seven), (2, "n", "disk", 3, 1, &eight)]);
    let b = of(&[
        (1, "n", "disk", 2, 1, &seven),
        (2, "n", "crash", 4, 1, ",\"incarnation\":0"),
        (2, "n", "disk", 5, 4, lost),
    ]);
    let diff = Diff::of(&a, &b);
    let text = diff.to_string();
    assert!(text.contains("A  leaves n up, 0 crashes; log of 10 bytes: \"seveneight\""), "{text}");
    assert!(text.contains("B  leaves n down, 1 crashes; log: unknown after a crash"), "{text}");
    let same = Diff::of(&a, &a);
    assert!(same.outcomes.a.left.is_empty() && same.outcomes.b.left.is_empty());
}

/// The same events with another override in the header.
fn overridden(trace: &Trace) -> Trace {
    let lines: Vec<&str> = trace.text().lines().collect();
    let text = lines[..lines.len() - 1].join("\n") + "\n";
    let text = text.replace("\"overrides\":[]", "\"overrides\":[{\"event\":1}]");
    crate::testing::ended(text.into_bytes(), trace.len(), "b")
}

#[test]
fn what_comes_after_the_end_of_a_run_that_a_violation_cut_short_is_no_decision_of_its_own() {
    let n = (0, "n", "boot", 1, 0, ",\"incarnation\":0");
    let m = (0, "m", "boot", 2, 0, ",\"incarnation\":0");
    let fire = (5, "n", "fire", 3, 1, ",\"name\":\"tick\"");
    let check = (
        5,
        "n",
        "check",
        4,
        3,
        ",\"property\":\"p\",\"verdict\":\"violated\",\"evidence\":[],\"detail\":\"\"",
    );
    let crash = (3, "n", "crash", 5, 1, ",\"incarnation\":0");
    let later = (9, "m", "fault", 6, 0, ",\"name\":\"pause\"");
    let tick = (9, "m", "fire", 7, 2, ",\"name\":\"tick\"");
    let of = |lines: &[_]| by_hand(&["n", "m"], lines);
    let diff = Diff::of(&of(&[n, m, fire, check]), &overridden(&of(&[n, m, crash, later, tick])));
    assert_eq!(diff.explanation.basis, Basis::Overrides);
    assert_eq!((diff.explanation.roots, diff.explanation.unexplained), (1, 0), "{diff}");
    // Not so where nothing ended the run.
    let diff = Diff::of(&of(&[n, m, fire]), &overridden(&of(&[n, m, crash, later, tick])));
    assert_eq!((diff.explanation.roots, diff.explanation.unexplained), (2, 0), "{diff}");
    let diff = Diff::of(&of(&[n, m, fire]), &overridden(&of(&[n, m, crash, tick])));
    assert_eq!((diff.explanation.roots, diff.explanation.unexplained), (1, 1), "{diff}");
}

#[test]
fn the_answer_serialises() {
    let a = Toy::new(2, 20).trace("a");
    let diff = Diff::of(&a, &with_lost(2, 20, &delivered(&a)[..1], false));
    let json = serde_json::to_value(&diff).unwrap();
    assert_eq!(json["sameness"], "different");
    assert_eq!(json["divergence"]["decision"]["kind"], "fate");
    assert_eq!(json["outcomes"]["a"]["verdict"], "holds");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// One line is changed somewhere in a large trace; header and all, so that checkpoints can be bisected.
    #[test]
    fn the_planted_divergence_is_found(at: prop::sample::Index) {
        let bytes = Toy::new(8, 400).bytes();
        let a = Trace::parse(bytes, "a").unwrap();
        let notes: Vec<_> = a.events().filter(|event| event.kind == Kind::Timer).map(|event| event.index).collect();
        let planted = notes[at.index(notes.len())];
        let mut recorded = String::new();
        for (number, line) in a.text().lines().filter(|line| !line.starts_with("{\"checkpoint")).enumerate() {
            if line.starts_with("{\"end\"") {
                break;
            }
            let changed = number == planted + 1;
            recorded += &if changed { line.replace("\"delay\":5000", "\"delay\":5001") } else { line.to_owned() };
            recorded += "\n";
        }
        let b = with_checkpoints(&recorded);
        prop_assert_eq!(a.checkpoints().len(), b.checkpoints().len());
        let diff = Diff::of(&a, &b);
        let divergence = diff.divergence.unwrap();
        prop_assert_eq!(divergence.common, planted);
        prop_assert_eq!(diff.alignment.changed, 1);
        prop_assert_eq!(diff.alignment.same, a.len() as u64 - 1);
        prop_assert_eq!(divergence.next.a.unwrap().number, a.line_number(planted));
    }

    /// Noninterference, seen from outside: whatever message is lost, its loss explains every difference.
    #[test]
    fn any_lost_message_explains_all(clients in 1..5_u32, operations in 1..30_u64, at: prop::sample::Index) {
        let a = Toy::new(clients, operations).trace("a");
        let all = delivered(&a);
        let lost = all[at.index(all.len())];
        let diff = Diff::of(&a, &with_lost(clients, operations, &[lost], false));
        prop_assert_eq!(diff.explanation.unexplained, 0, "{}", diff);
        prop_assert_eq!(diff.explanation.roots, 1, "{}", diff);
    }
}

/// A whole trace from lines without checkpoints and end.
fn with_checkpoints(lines: &str) -> Trace {
    use sha2::{Digest, Sha256};
    let mut text = String::new();
    let (mut count, mut events) = (0, 0);
    for line in lines.lines() {
        text += line;
        text += "\n";
        count += 1;
        events += 1;
        if count % 1_000 == 0 {
            let hash = format!("{:x}", Sha256::digest(&text));
            writeln!(text, "{{\"checkpoint\":{count},\"sha256\":\"{hash}\"}}").unwrap();
            count += 1;
        }
    }
    crate::testing::ended(text.into_bytes(), events - 1, "b")
}
