//! Histories judged: a small exact case for each thing that can be right or wrong, histories from files, and
//! speed.

use snowglobe_check::linearizability::models::{Ask, Call, Model, Reply, State, Value};
use snowglobe_check::linearizability::{
    CheckedBy, HistoryFile, Interval, Mistake, Specification, Verdict, check,
};

const BUDGET: u64 = 1_000_000;

/// A history written as lines of `client: what -> answer`, one column a moment: see [`history`].
fn parse(model: Model, lines: &[&str]) -> HistoryFile {
    HistoryFile::parse(&lines.join("\n"), model).unwrap_or_else(|error| panic!("{error}"))
}

/// Lines of `process from..until f value -> answer`: until `?` means that nobody knows the outcome.
fn history(model: Model, operations: &[&str]) -> HistoryFile {
    let mut lines = Vec::new();
    for (index, operation) in operations.iter().enumerate() {
        let (asked, answered) = operation.split_once(" -> ").unwrap_or((operation, "null"));
        let mut words = asked.splitn(3, ' ');
        let (span, f) = (words.next().expect("a span"), words.next().expect("an f"));
        let (from, until) = span.split_once("..").expect("from..until");
        let (f, key) =
            f.split_once('@').map_or((f, String::new()), |(f, key)| (f, format!(r#","key":"{key}""#)));
        let value = words.next().unwrap_or("null");
        let line = |kind: &str, value: &str, time: &str| {
            format!(r#"{{"process":{index},"type":"{kind}","f":"{f}"{key},"value":{value},"time":{time}}}"#)
        };
        lines.push(line("invoke", value, from));
        if until != "?" {
            lines.push(line("ok", answered, until));
        }
    }
    parse(model, &lines.iter().map(String::as_str).collect::<Vec<_>>())
}

fn judge(model: Model, operations: &[&str]) -> Verdict<Value, State> {
    history(model, operations).check(BUDGET).verdict
}

/// The order in which this can have happened.
fn order(model: Model, operations: &[&str]) -> Vec<usize> {
    match judge(model, operations) {
        Verdict::Linearizable { order } => order,
        other => panic!("{other:?}"),
    }
}

/// The longest order that explains a part of this, its state, and what cannot come next.
fn blocked(model: Model, operations: &[&str]) -> (Vec<usize>, String, Vec<usize>) {
    match judge(model, operations) {
        Verdict::Violated { partials, .. } => {
            let longest = &partials[0];
            (longest.order.clone(), longest.state.to_string(), longest.blocked.clone())
        }
        other => panic!("{other:?}"),
    }
}

// registers

#[test]
fn a_read_after_a_write_sees_it() {
    for model in [Model::Register, Model::CasRegister, Model::KeyValue] {
        assert_eq!(order(model, &["0..1 write 7", "2..3 read -> 7"]), [0, 1]);
        let stale = blocked(model, &["0..1 write 7", "2..3 read -> null"]);
        assert_eq!(stale, (vec![0], "7".to_owned(), vec![1]));
    }
}

#[test]
fn a_late_first_copy_is_found() {
    let found = blocked(Model::Register, &["0..5 write 10", "6..7 write 20", "8..9 read -> 10"]);
    assert_eq!(found, (vec![0, 1], "20".to_owned(), vec![2]));
}

#[test]
fn an_unknown_write_may_take_effect_late_or_never() {
    assert_eq!(order(Model::Register, &["0..? write 7", "1..2 read", "3..4 read -> 7"]), [1, 0, 2]);
    assert_eq!(order(Model::Register, &["0..? write 7", "1..2 read"]), [1]);
    let flickers = blocked(Model::Register, &["0..? write 7", "1..2 read", "3..4 read -> 7", "5..6 read"]);
    assert_eq!(flickers, (vec![1, 0, 2], "7".to_owned(), vec![3]));
}

#[test]
fn what_touches_is_concurrent() {
    assert_eq!(order(Model::Register, &["0..5 write 7", "5..6 read"]), [1, 0]);
    assert!(judge(Model::Register, &["0..4 write 7", "5..6 read"]).is_violated());
}

#[test]
fn two_readers_agree_on_the_order_of_concurrent_writes() {
    let writes = ["0..9 write 1", "0..9 write 2"];
    let reads = ["1..2 read -> 1", "3..4 read -> 2"];
    assert_eq!(order(Model::Register, &[writes, reads].concat()), [0, 2, 1, 3]);
    assert!(judge(Model::Register, &[writes.as_slice(), &reads, &["5..6 read -> 1"]].concat()).is_violated());
}

#[test]
fn a_compare_and_set_takes_effect_if_the_value_is_the_old_one() {
    assert_eq!(order(Model::CasRegister, &["0..9 cas [1,2]", "1..2 write 1", "3..8 read -> 2"]), [1, 0, 2]);
    let twice = ["0..1 write 1", "2..9 cas [1,2]", "2..9 cas [1,2]"];
    assert!(judge(Model::CasRegister, &twice).is_violated());
    let once = ["0..1 write 1", "2..9 cas [1,2]", "2..9 cas [1,2] -> false"];
    assert_eq!(order(Model::CasRegister, &once), [0, 1, 2]);
}

#[test]
fn of_many_unknown_writes_the_one_is_tried_that_is_read() {
    let mut operations: Vec<String> =
        (0..100).map(|value| format!("{value}..? write {}", value % 50)).collect();
    operations.push("300..301 cas [27,5]".to_owned());
    operations.push("302..303 read -> 28".to_owned());
    operations.push("304..305 read -> 6".to_owned());
    operations.push("306..307 cas [5,7]".to_owned());
    let operations: Vec<&str> = operations.iter().map(String::as_str).collect();
    let checked = history(Model::CasRegister, &operations).check(BUDGET);
    assert!(matches!(checked.verdict, Verdict::Linearizable { .. }), "{:?}", checked.verdict);
    assert!(checked.steps < 20_000, "{} steps", checked.steps);
}

// key/value

#[test]
fn appends_make_lists_and_texts() {
    assert_eq!(
        order(Model::KeyValue, &["0..9 append 1", "0..9 append 2", "10..11 read -> [2,1]"]),
        [1, 0, 2]
    );
    assert_eq!(
        order(Model::KeyValue, &[r#"0..9 append "a""#, r#"0..9 append "b""#, r#"10..11 read -> "ba""#]),
        [1, 0, 2]
    );
    let lost = blocked(Model::KeyValue, &["0..1 append 1", "2..3 append 2", "4..5 read -> [2]"]);
    assert_eq!(lost, (vec![0, 1], "[1, 2]".to_owned(), vec![2]));
    assert!(judge(Model::KeyValue, &["0..1 write 5", "2..3 append 6"]).is_violated(), "5 is no list");
}

#[test]
fn keys_do_not_disturb_each_other_and_one_order_explains_all() {
    let operations =
        ["0..9 write@x 1", "1..2 write@y 2", "3..4 read@x", "5..6 read@y -> 2", "7..8 read@x -> 1"];
    let order = order(Model::KeyValue, &operations);
    let place = |index| order.iter().position(|other| *other == index).expect("all returned");
    assert!(
        place(2) < place(0) && place(0) < place(4) && place(1) < place(2) && place(3) < place(4),
        "{order:?}"
    );
}

#[test]
fn a_violation_names_its_key() {
    let verdict =
        judge(Model::KeyValue, &["0..1 write@x 1", "0..1 write@y 2", "2..3 read@x -> 1", "2..3 read@y -> 1"]);
    let Verdict::Violated { key, partials } = verdict else { panic!("{verdict:?}") };
    assert_eq!(
        (key, partials[0].order.as_slice(), partials[0].blocked.as_slice()),
        ("y".into(), &[1][..], &[3][..])
    );
}

// counter

#[test]
fn a_counter_counts() {
    assert_eq!(order(Model::Counter, &["0..9 add 2", "1..2 read -> 0", "3..4 read -> 2"]), [1, 0, 2]);
    assert_eq!(order(Model::Counter, &["0..9 add-and-get -> 2", "0..9 add-and-get -> 1"]), [1, 0]);
    assert!(judge(Model::Counter, &["0..1 add 1", "0..1 add 1", "2..3 read -> 1"]).is_violated());
    assert_eq!(order(Model::Counter, &["0..? add 1", "0..? add 1", "2..3 read -> 1"]), [0, 2]);
    assert!(judge(Model::Counter, &["0..? add 1", "0..? add 1", "2..3 read -> 3"]).is_violated());
}

// bank

#[test]
fn money_is_moved_and_never_made() {
    let open = r#"0..1 deposit {"account":"a","amount":10}"#;
    let moved = r#"2..9 transfer {"from":"a","to":"b","amount":4}"#;
    assert_eq!(order(Model::Bank, &[open, moved, r#"3..4 read -> {"a":6,"b":4}"#]), [0, 1, 2]);
    assert_eq!(order(Model::Bank, &[open, moved, r#"3..4 read -> {"a":10,"b":0}"#]), [0, 2, 1]);
    let made = blocked(Model::Bank, &[open, moved, r#"3..4 read -> {"a":10,"b":4}"#]);
    assert_eq!(made.1, r#"{"a": 6, "b": 4}"#);
    assert!(judge(Model::Bank, &[r#"0..1 transfer {"from":"a","to":"b","amount":4}"#]).is_violated());
    assert_eq!(order(Model::Bank, &[r#"0..1 transfer {"from":"a","to":"b","amount":4} -> false"#]), [0]);
    assert_eq!(order(Model::Bank, &[open, moved, "10..11 read@b -> 4"]), [0, 1, 2]);
}

#[test]
fn an_account_is_the_same_as_a_number_and_as_a_text() {
    let history = parse(
        Model::Bank,
        &[
            r#"{"type":"initial","value":{"0":10,"1":0}}"#,
            r#"{"process":0,"type":"invoke","f":"transfer","value":{"from":0,"to":1,"amount":10}}"#,
            r#"{"process":0,"type":"ok"}"#,
            r#"{"process":0,"type":"invoke","f":"read"}"#,
            r#"{"process":0,"type":"ok","value":{"0":0,"1":10}}"#,
        ],
    );
    assert!(history.check(BUDGET).verdict.is_linearizable());
}

// versions

#[test]
fn a_write_of_a_version_takes_effect_once() {
    let put = r#"cas {"version":0,"value":"a"}"#;
    let read = r#"4..5 read -> {"version":1,"value":"a"}"#;
    assert_eq!(order(Model::Versioned, &[&format!("0..1 {put}"), read]), [0, 1]);
    assert!(judge(Model::Versioned, &[&format!("0..1 {put}"), &format!("2..3 {put}")]).is_violated());
    assert_eq!(order(Model::Versioned, &[&format!("0..1 {put}"), &format!("2..3 {put} -> false")]), [0, 1]);
    // The second may be the repetition of the first, whose answer was lost.
    assert_eq!(
        order(Model::Versioned, &[&format!("0..? {put}"), &format!("2..3 {put} -> false"), read]),
        [0, 1, 2]
    );
    let version =
        blocked(Model::Versioned, &[&format!("0..1 {put}"), r#"2..3 read -> {"version":2,"value":"a"}"#]);
    assert_eq!(version, (vec![0], r#""a" in version 1"#.to_owned(), vec![1]));
    assert_eq!(
        order(
            Model::Versioned,
            &[r#"0..9 write "x" -> {"version":2}"#, r#"0..9 write "y" -> {"version":1}"#]
        ),
        [1, 0]
    );
}

// a specification of one's own

/// A bag: what is taken out of it may be anything that was put in.
struct Bag;

#[derive(Clone, PartialEq, Debug)]
enum Ask3 {
    Put(u64),
    /// Takes something out and destroys it, unseen.
    Burn,
    Count,
    Has(u64),
}

impl Specification for Bag {
    type Key = ();
    type State = Vec<u64>;
    type Call = Ask3;
    type Reply = u64;

    fn key(&self, _: &Ask3) {}

    fn initial(&self, (): &()) -> Vec<u64> {
        Vec::new()
    }

    fn apply(
        &self,
        state: &Vec<u64>,
        call: &Ask3,
        reply: Option<&u64>,
    ) -> impl IntoIterator<Item = Vec<u64>> {
        let with = |change: &dyn Fn(&mut Vec<u64>)| {
            let mut next = state.clone();
            change(&mut next);
            next.sort_unstable();
            next
        };
        let agrees = |right: u64| reply.is_none_or(|reply| *reply == right);
        match call {
            Ask3::Put(thing) => vec![with(&|bag| bag.push(*thing))],
            Ask3::Burn => (0..state.len()).map(|index| with(&|bag| _ = bag.remove(index))).collect(),
            Ask3::Count if agrees(state.len() as u64) => vec![state.clone()],
            Ask3::Has(thing) if agrees(u64::from(state.contains(thing))) => vec![state.clone()],
            Ask3::Count | Ask3::Has(_) => Vec::new(),
        }
    }
}

#[test]
fn data_that_may_choose_is_given_every_choice() {
    let at =
        |time: u64, call, reply| Interval { invoked: time * 2, returned: Some((time * 2 + 1, reply)), call };
    let burn = [at(0, Ask3::Put(1), 0), at(1, Ask3::Put(2), 0), at(2, Ask3::Burn, 0), at(3, Ask3::Count, 1)];
    let judge =
        |ends: &[Interval<Ask3, u64>]| check(&Bag, &[&burn, ends].concat(), BUDGET).verdict.is_linearizable();
    assert!(judge(&[at(4, Ask3::Has(1), 1), at(5, Ask3::Has(2), 0)]));
    assert!(judge(&[at(4, Ask3::Has(1), 0), at(5, Ask3::Has(2), 1)]));
    assert!(!judge(&[at(4, Ask3::Has(1), 1), at(5, Ask3::Has(2), 1)]));
    assert!(!judge(&[at(4, Ask3::Has(1), 0), at(5, Ask3::Has(2), 0)]));
}

// budgets

/// Counters that no order explains, and for which that takes long to see: all add at once, each something
/// else.
fn hard(key: &str) -> Vec<String> {
    let mut operations: Vec<String> = (0..18).map(|n| format!("0..9 add@{key} {}", 1 << n)).collect();
    operations.push(format!("10..11 read@{key} -> 1"));
    operations
}

#[test]
fn a_hard_key_does_not_hide_an_easy_violation() {
    let mut operations = hard("a");
    operations.extend(["0..1 add@b 1".to_owned(), "2..3 read@b -> 2".to_owned()]);
    operations.extend(hard("c"));
    let operations: Vec<&str> = operations.iter().map(String::as_str).collect();
    let checked = history(Model::Counter, &operations).check(100_000);
    assert!(
        matches!(&checked.verdict, Verdict::Violated { key, .. } if *key == "b".into()),
        "{:?}",
        checked.verdict
    );
    assert!(checked.steps < 2_000, "{} steps", checked.steps);
}

#[test]
fn a_search_without_steps_is_undecided_and_says_of_what() {
    let mut operations = hard("a");
    operations.push("0..1 add@b 1".to_owned());
    let operations: Vec<&str> = operations.iter().map(String::as_str).collect();
    let history = history(Model::Counter, &operations);
    let left =
        |keys: &[&str]| Verdict::Undecided { keys: keys.iter().map(|key| Value::from(*key)).collect() };
    let checked = history.check(5_000);
    assert_eq!((checked.verdict, checked.steps), (left(&["a"]), 5_000));
    assert_eq!(history.check(0).verdict, left(&["a", "b"]));
    // 2^18 sets, and in each every one that is left.
    let checked = history.check(10_000_000);
    assert!(checked.verdict.is_violated());
}

#[test]
fn nothing_is_linearizable() {
    assert_eq!(judge(Model::Register, &[]), Verdict::Linearizable { order: Vec::new() });
    assert_eq!(judge(Model::Counter, &["0..? add 1"]), Verdict::Linearizable { order: Vec::new() });
}

#[test]
fn two_checks_say_the_same_to_the_last_step() {
    for (model, seed) in Model::ALL.into_iter().flat_map(|model| (0..20).map(move |seed| (model, seed))) {
        let make = || checked_random(model, seed);
        assert_eq!(make(), make(), "{model:?} {seed}");
    }
    // Pinned: what is found, and how many steps it takes, is the same on every machine.
    let steps: Vec<u64> = (0..6).map(|seed| checked_random(Model::KeyValue, seed).steps).collect();
    assert_eq!(steps, PINNED_STEPS);
}

const PINNED_STEPS: [u64; 6] = [85, 138, 88, 191, 164, 250];

fn checked_random(
    model: Model,
    seed: u64,
) -> CheckedBy<snowglobe_check::linearizability::models::ModelSpecification> {
    let operations =
        random(model, &Shape { operations: 60, clients: 5, keys: 2, values: 4, wrong: seed % 2 == 1 }, seed);
    check(&model.specification(), &operations, 50_000)
}

// files

fn mistake(model: Model, lines: &[&str]) -> String {
    HistoryFile::parse(&lines.join("\n"), model).expect_err("a mistake").to_string()
}

const INVOKE: &str = r#"{"process":0,"type":"invoke","f":"write","value":1}"#;
const OK: &str = r#"{"process":0,"type":"ok","f":"write","value":1}"#;

#[test]
fn failed_operations_are_left_out_and_the_nemesis_is_skipped() {
    let history = parse(
        Model::Register,
        &[
            r#"{"process":"nemesis","type":"info","f":"partition"}"#,
            INVOKE,
            r#"{"process":0,"type":"fail"}"#,
            "",
            r#"{"process":0,"type":"invoke","f":"write","value":2,"index":7}"#,
            r#"{"process":0,"type":"info","error":"timeout"}"#,
            r#"{"process":0,"type":"invoke","f":"read"}"#,
            r#"{"process":0,"type":"ok","value":2}"#,
            r#"{"process":"b","type":"invoke","f":"read"}"#,
        ],
    );
    assert_eq!((history.operations.len(), history.failed, history.unknown()), (3, 1, 2));
    let places: Vec<_> =
        history.entries.iter().map(|entry| (&*entry.process, entry.invoked, entry.returned)).collect();
    assert_eq!(places, [("0", 5, None), ("0", 7, Some(8)), ("b", 9, None)]);
    assert_eq!(history.check(BUDGET).verdict, Verdict::Linearizable { order: vec![0, 1] });
}

#[test]
fn a_mistake_names_its_line_and_what_was_expected() {
    let register = |lines: &[&str]| mistake(Model::Register, lines);
    assert_eq!(
        register(&["", "{"]),
        "line 2: expected a JSON object: EOF while parsing an object in column 1"
    );
    assert_eq!(register(&["[1]"]), "line 1: expected a JSON object: found [1]");
    assert_eq!(
        register(&[r#"{"type":"ok"}"#]),
        "line 1: expected a \"process\" that is a number or a text, found none"
    );
    assert_eq!(
        register(&[r#"{"process":0,"type":"done"}"#]),
        "line 1: expected a \"type\" of \"invoke\", \"ok\", \"fail\" or \"info\", found \"done\""
    );
    assert_eq!(
        register(&[r#"{"process":0,"type":"invoke"}"#]),
        "line 1: expected an \"f\" that is a text, found none"
    );
    assert_eq!(
        register(&[r#"{"process":0,"type":"invoke","f":"append","value":1}"#]),
        "line 1: the model register has no \"append\"; it has read, write"
    );
    assert_eq!(
        mistake(Model::CasRegister, &[r#"{"process":0,"type":"invoke","f":"cas","value":1}"#]),
        "line 1: expected a \"value\" of [old, new], found 1"
    );
    assert_eq!(
        register(&[INVOKE, INVOKE]),
        "line 2: process 0 invokes while its operation of line 1 has not returned"
    );
    assert_eq!(register(&[OK]), "line 1: process 0 returns, and has not invoked anything");
    assert_eq!(register(&[INVOKE, OK, OK]), "line 3: process 0 returns, and has not invoked anything");
    assert_eq!(
        register(&[INVOKE, r#"{"process":0,"type":"ok","f":"read"}"#]),
        "line 2: expected f \"write\" as in line 1, found \"read\""
    );
    assert_eq!(
        register(&[INVOKE, r#"{"process":0,"type":"ok","time":5}"#]),
        "line 2: a time, unlike the lines before: expected one in all lines or in none"
    );
    assert_eq!(
        register(&[r#"{"process":0,"type":"invoke","f":"read","time":-1}"#]),
        "line 1: expected a \"time\" that is a whole number, not negative, found -1"
    );
    assert_eq!(
        register(&[
            r#"{"process":0,"type":"invoke","f":"read","time":9}"#,
            r#"{"process":0,"type":"ok","time":8}"#
        ]),
        "line 2: time 8 is before 9, when the operation of line 1 began"
    );
    assert_eq!(
        mistake(
            Model::Counter,
            &[r#"{"process":0,"type":"invoke","f":"read"}"#, r#"{"process":0,"type":"ok","value":"1"}"#]
        ),
        "line 2: expected a \"value\" that is a whole number, found \"1\""
    );
    assert_eq!(
        register(&[INVOKE, r#"{"type":"initial","value":3}"#]),
        "line 2: expected the initial state before the first operation"
    );
    assert_eq!(
        register(&[r#"{"type":"initial","value":1}"#, r#"{"type":"initial","value":2}"#]),
        "line 2: expected one initial state, found a second"
    );
    let error = HistoryFile::parse("{}", Model::Bank).expect_err("no process");
    assert!(matches!(error.mistake, Mistake::Field { found: None, .. }));
}

#[test]
fn what_would_leave_the_numbers_that_there_are_is_refused_and_not_called_a_violation() {
    let greatest = i64::MAX;
    let add =
        |process: u64| format!(r#"{{"process":{process},"type":"invoke","f":"add","value":{greatest}}}"#);
    let one = add(0);
    let sentence = format!("all numbers so far add up to more than {greatest}");
    assert!(parse(Model::Counter, &[&one]).check(BUDGET).verdict.is_linearizable());
    assert_eq!(mistake(Model::Counter, &[&one, &add(1)]), format!("line 2: {sentence}"));
    let initial = |value: &str| format!(r#"{{"type":"initial","value":{value}}}"#);
    assert_eq!(mistake(Model::Counter, &[&initial("-1"), &one]), format!("line 2: {sentence}"));
    let rich = initial(&format!(r#"{{"a":{greatest},"b":1}}"#));
    assert_eq!(mistake(Model::Bank, &[&rich]), format!("line 1: {sentence}"));
    let last = initial(&format!(r#"{{"version":{greatest},"value":0}}"#));
    let write = r#"{"process":0,"type":"invoke","f":"write","value":1}"#;
    assert_eq!(mistake(Model::Versioned, &[&last, write]), format!("line 2: {sentence}"));
}

#[test]
fn every_model_says_what_it_accepts() {
    for model in Model::ALL {
        assert_eq!(Model::of_name(model.name()), Some(model));
        assert!(model.functions().contains(&"read") && model.accepts(&Ask::Read));
    }
}

// speed

struct Shape {
    operations: usize,
    clients: usize,
    keys: u64,
    /// How many values there are; with many, hardly one is written twice.
    values: u64,
    wrong: bool,
}

/// A random history of clients that each do one thing after the other; one in forty never learns what became
/// of it, and then goes on as somebody else. A wrong one has one stale read in the last tenth.
fn random(model: Model, shape: &Shape, seed: u64) -> Vec<Interval<Call, Reply>> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) + 1;
    let mut below = move |sides: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) % sides
    };
    let specification = model.specification();
    let mut free_at = vec![0; shape.clients];
    let mut plan = Vec::new();
    for number in 0..shape.operations {
        let client = (0..shape.clients).min_by_key(|client| free_at[*client]).expect("a client");
        let invoked = free_at[client] + below(20);
        let effect = invoked + below(100);
        let returned = effect + below(100);
        free_at[client] = returned + 1;
        let key = Value::from(below(shape.keys).cast_signed());
        let value = Value::from(below(shape.values).cast_signed());
        let ask = match (model, below(4)) {
            (_, 0 | 1) => Ask::Read,
            (Model::CasRegister, 2) => {
                Ask::CompareAndSet(value, Value::from(below(shape.values).cast_signed()))
            }
            (Model::KeyValue, 2) => Ask::Append(Value::Text(format!("x {client} {number} y"))),
            (Model::KeyValue, _) => Ask::Write(Value::Text(format!("w {} z", below(shape.values)))),
            (Model::Counter, _) => Ask::Add(below(3).cast_signed()),
            (Model::Bank, 2) => Ask::Deposit { account: key.clone(), amount: 5 },
            (Model::Bank, _) => Ask::Transfer { from: key.clone(), to: Value::from("b"), amount: 1 },
            (Model::Versioned, 2) => Ask::WriteVersion(below(shape.values), value),
            (Model::Register | Model::CasRegister | Model::Versioned, _) => Ask::Write(value),
        };
        let key = if model == Model::Bank { Value::Nothing } else { key };
        plan.push((effect, invoked, returned, Call { key, ask }));
    }
    plan.sort_by_key(|(effect, ..)| *effect);
    let mut states = std::collections::BTreeMap::new();
    let mut history = Vec::new();
    let (all, mut wrong) = (plan.len(), shape.wrong);
    for (position, (_, invoked, returned, call)) in plan.into_iter().enumerate() {
        let key = specification.key(&call);
        let (before, now) = states.entry(key.clone()).or_insert_with(|| {
            let initial = specification.initial(&key);
            (initial.clone(), initial)
        });
        let stale = wrong
            && call.ask == Ask::Read
            && position >= all * 9 / 10
            && *before != State::Value(Value::Nothing)
            && before != now;
        let reply = match if stale { &*before } else { &*now } {
            State::Value(value) => Reply::Read(value.clone()),
            State::Version(version, value) => Reply::Version(*version, Some(value.clone())),
            State::Balances(balances) => Reply::Balances(balances.clone()),
        };
        wrong &= !stale;
        let reply = if call.ask == Ask::Read { reply } else { Reply::Done };
        let done = specification.apply(now, &call, Some(&reply)).into_iter().next();
        let (reply, unknown) = match (&done, stale) {
            (None, false) => (Reply::Refused, false),
            _ => (reply, below(40) == 0),
        };
        if let Some(done) = done
            && call.ask != Ask::Read
            && !(unknown && below(2) == 0)
        {
            // Not the last but an old one, so that no concurrent write can explain it.
            if position < all / 2 {
                *before = now.clone();
            }
            *now = done;
        }
        history.push(Interval { invoked, returned: (!unknown || stale).then_some((returned, reply)), call });
    }
    history.sort_by_key(|operation| operation.invoked);
    history
}

#[expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "this measures, and what it measures reaches no result"
)]
fn print_time(what: &str, histories: &[Vec<Interval<Call, Reply>>], model: Model) {
    let begun = std::time::Instant::now();
    let checked: Vec<_> =
        histories.iter().map(|history| check(&model.specification(), history, 50_000_000)).collect();
    let took = begun.elapsed();
    let count =
        |is: fn(&Verdict<Value, State>) -> bool| checked.iter().filter(|one| is(&one.verdict)).count();
    let (yes, no) = (count(Verdict::is_linearizable), count(Verdict::is_violated));
    let steps: u64 = checked.iter().map(|one| one.steps).sum();
    println!("{what}: {took:?}, {yes} linearizable, {no} not, {steps} steps");
}

/// One line for each of the three histories that other checkers are measured by; of five values, so that values do not
/// tell the order.
#[test]
#[ignore = "prints how fast it is: run it alone, in release"]
fn speed() {
    for values in [5, 1_000_000] {
        let registers = |seed| {
            let shape = Shape { operations: 80, clients: 5, keys: 1, values, wrong: seed % 3 == 0 };
            random(Model::Register, &shape, seed)
        };
        let histories: Vec<_> = (0..100).map(registers).collect();
        print_time(&format!("100 registers, {values} values"), &histories, Model::Register);
        for (operations, wrong) in [(1_700, false), (2_000, true)] {
            let shape = Shape { operations, clients: 50, keys: 10, values, wrong };
            let what = format!("kv, {operations} operations, {values} values, wrong {wrong}");
            print_time(&what, &[random(Model::KeyValue, &shape, 7)], Model::KeyValue);
        }
    }
}

#[test]
#[ignore = "prints how fast it is: run it alone, in release"]
fn speed_of_other_models() {
    let shape = |wrong| Shape { operations: 80, clients: 5, keys: 1, values: 5, wrong };
    let histories: Vec<_> =
        (0..100).map(|seed| random(Model::CasRegister, &shape(seed % 3 == 0), seed)).collect();
    print_time("100 of cas-register, 5 values", &histories, Model::CasRegister);
    for model in [Model::Counter, Model::Versioned, Model::Bank] {
        for wrong in [false, true] {
            let shape = Shape { operations: 1_000, clients: 8, keys: 5, values: 40, wrong };
            let what = format!("{}, 1,000 operations, wrong {wrong}", model.name());
            print_time(&what, &[random(model, &shape, 7)], model);
        }
    }
}
