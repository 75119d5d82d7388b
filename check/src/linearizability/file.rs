//! Histories from anywhere, read and judged; [`HistoryFile`] says what a file has.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};
use sim::Nanos;

use super::models::{Ask, Call, Model, ModelSpecification, Reply, State, Value};
use super::{CheckedBy, Interval, check};

/// A history from anywhere, less the operations that failed. A file has one JSON object a line:
///
/// ```json
/// {"process":0,"type":"invoke","f":"write","key":"x","value":1,"time":100}
/// {"process":1,"type":"invoke","f":"read","key":"x","time":150}
/// {"process":0,"type":"ok","f":"write","key":"x","value":1,"time":200}
/// {"process":1,"type":"info","f":"read","key":"x","time":300}
/// ```
///
/// | field | |
/// |---|---|
/// | `process` | a number or a text; each has one operation at a time; lines of the process `"nemesis"` are skipped |
/// | `type` | `invoke`; then `ok`, `fail` (it certainly had no effect), or `info` (nobody knows). Without any of them, nobody knows either |
/// | `f` | what is asked; see below. Only `invoke` must say |
/// | `key` | what it is about, if there is more than one thing. Only `invoke` must say |
/// | `value` | what is asked, in `invoke`; what is answered, in `ok` |
/// | `time` | a whole number, not negative, in any unit. In all lines, or in none: then the order of lines is that of time |
///
/// Operations that touch, one returning at the time at which another begins, are concurrent. Other fields and
/// empty lines are skipped.
///
/// | `f` | also | `value` of `invoke` | `value` of `ok` |
/// |---|---|---|---|
/// | `read` | `get` | | the value, and `null` if there is none; a counter's number; a bank's `{"a":10,"b":0}`, or with a `key` the balance of that account; `{"version":3,"value":"x"}` with versions |
/// | `write` | `put`, `set` | the value | of a value with versions `{"version":3}` may be the one it got |
/// | `cas` | | `[old,new]`; with versions `{"version":3,"value":"x"}` | `false` if the value or the version was another |
/// | `append` | | what is added to the end of a list or text | |
/// | `add` | `increment` | a number, or nothing for 1 | |
/// | `add-and-get` | | a number, or nothing for 1 | the sum |
/// | `transfer` | | `{"from":"a","to":"b","amount":5}` | `false` if there was too little |
/// | `deposit` | | `{"account":"a","amount":5}` | `false` if there was too little |
///
/// The state before the first operation is empty: `null`, 0, no money, version 0. A first line of
/// `{"type":"initial","value":...}` says otherwise, with a value as a read would give it; it is that of every
/// key.
///
/// ```
/// use snowglobe_check::linearizability::HistoryFile;
/// use snowglobe_check::linearizability::models::Model;
///
/// let text = r#"
///     {"process": 0, "type": "invoke", "f": "write", "value": 7}
///     {"process": 0, "type": "ok"}
///     {"process": 1, "type": "invoke", "f": "read"}
///     {"process": 1, "type": "ok", "value": null}
/// "#;
/// let history = HistoryFile::parse(text, Model::Register).unwrap();
/// assert!(history.check(1_000).verdict.is_violated());
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HistoryFile {
    /// The data it is about.
    pub specification: ModelSpecification,
    /// The operations, in the order of their first lines.
    pub operations: Vec<Interval<Call, Reply>>,
    /// Where each of them was read.
    pub entries: Vec<Entry>,
    /// How many operations failed, and are left out.
    pub failed: usize,
}

/// Where an operation was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The process, as the file has it.
    pub process: String,
    /// The line of its `invoke`, from 1.
    pub invoked: usize,
    /// The line of its `ok`, from 1.
    pub returned: Option<usize>,
}

/// A line that makes no sense.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {line}: {mistake}")]
pub struct HistoryError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub mistake: Mistake,
}

/// What can be wrong with a line.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Mistake {
    /// It is not JSON.
    #[error("expected a JSON object: {0}")]
    Json(String),
    /// A field is missing, or has a value of another kind.
    #[error("expected {expected}, found {}", found.as_deref().unwrap_or("none"))]
    Field {
        /// What was expected.
        expected: String,
        /// What is there.
        found: Option<String>,
    },
    /// The model has no such call.
    #[error("the model {model} has no {f:?}; it has {}", known.join(", "))]
    Function {
        /// The model.
        model: &'static str,
        /// The call.
        f: String,
        /// What it has.
        known: &'static [&'static str],
    },
    /// A process begins something while it does something else.
    #[error("process {process} invokes while its operation of line {line} has not returned")]
    Busy {
        /// The process.
        process: String,
        /// Where it began the other.
        line: usize,
    },
    /// Something returns that did not begin.
    #[error("process {process} returns, and has not invoked anything")]
    Idle {
        /// The process.
        process: String,
    },
    /// What returns is not what began.
    #[error("expected {field} {expected} as in line {line}, found {found}")]
    Differs {
        /// The field.
        field: &'static str,
        /// What it was when it began.
        expected: String,
        /// What it is.
        found: String,
        /// Where it began.
        line: usize,
    },
    /// It returns before it began.
    #[error("time {time} is before {invoked}, when the operation of line {line} began")]
    Backwards {
        /// When it returns.
        time: Nanos,
        /// When it began.
        invoked: Nanos,
        /// Where it began.
        line: usize,
    },
    /// Some lines have a time, and some have not.
    #[error("{} time, unlike the lines before: expected one in all lines or in none", if *.has { "a" } else { "no" })]
    SomeTimes {
        /// Whether this one has.
        has: bool,
    },
    /// The initial state comes after operations.
    #[error("expected the initial state before the first operation")]
    LateInitial,
    /// There is another initial state.
    #[error("expected one initial state, found a second")]
    SecondInitial,
    /// Some order of the operations would need greater numbers than there are.
    #[error("all numbers so far add up to more than {}", i64::MAX)]
    TooMuch,
}

impl HistoryFile {
    /// Reads a history, whose calls must be those of the model.
    ///
    /// # Errors
    ///
    /// If a line makes no sense.
    pub fn parse(text: &str, model: Model) -> Result<Self, HistoryError> {
        let mut reader = Reader::new(model);
        for (index, text) in text.lines().enumerate() {
            let text = text.trim();
            if !text.is_empty() {
                let read = reader.line(index + 1, text);
                read.map_err(|mistake| HistoryError { line: index + 1, mistake })?;
            }
        }
        Ok(reader.finish())
    }

    /// Whether it is linearizable; see [`check`](super::check()).
    pub fn check(&self, budget: u64) -> CheckedBy<ModelSpecification> {
        check(&self.specification, &self.operations, budget)
    }

    /// How many operations have an unknown outcome.
    pub fn unknown(&self) -> usize {
        self.operations.iter().filter(|operation| operation.returned.is_none()).count()
    }
}

/// What is read so far.
struct Reader {
    specification: ModelSpecification,
    /// Operations; those that failed are none any more.
    read: Vec<Option<(Interval<Call, Reply>, Entry)>>,
    /// What each process is doing, with the JSON of its `f` and `key`.
    doing: BTreeMap<String, Doing>,
    /// Whether lines have times, once there was one.
    times: Option<bool>,
    /// All that could be added, so that no order of the operations leaves the numbers that there are.
    added: u64,
}

struct Doing {
    index: usize,
    line: usize,
    f: String,
    key: Option<Json>,
}

impl Reader {
    fn new(model: Model) -> Self {
        Self {
            specification: model.specification(),
            read: Vec::new(),
            doing: BTreeMap::new(),
            times: None,
            added: 0,
        }
    }

    fn line(&mut self, line: usize, text: &str) -> Result<(), Mistake> {
        let json: Json = serde_json::from_str(text).map_err(|error| Mistake::Json(reason(&error)))?;
        let Json::Object(fields) = json else { return Err(Mistake::Json(format!("found {}", short(&json)))) };
        let kind = fields.get("type").and_then(Json::as_str);
        if kind == Some("initial") {
            if !self.read.is_empty() {
                return Err(Mistake::LateInitial);
            }
            if self.specification.initial.is_some() {
                return Err(Mistake::SecondInitial);
            }
            let state = initial(self.specification.model, fields.get("value"))?;
            match &state {
                State::Value(Value::Integer(number)) if self.specification.model == Model::Counter => {
                    self.add(number.unsigned_abs())?;
                }
                State::Balances(balances) => {
                    balances.values().try_for_each(|balance| self.add(balance.unsigned_abs()))?;
                }
                State::Version(version, _) => self.add(*version)?,
                State::Value(_) => {}
            }
            self.specification.initial = Some(state);
            return Ok(());
        }
        let process = match fields.get("process") {
            Some(Json::String(name)) if name == "nemesis" => return Ok(()),
            Some(Json::String(name)) => name.clone(),
            Some(Json::Number(number)) => number.to_string(),
            other => return Err(field("a \"process\" that is a number or a text", other)),
        };
        match kind {
            Some("invoke") => self.invoke(line, process, &fields),
            Some("ok" | "fail" | "info") => self.end(line, process, &fields),
            _ => {
                let expected = "a \"type\" of \"invoke\", \"ok\", \"fail\" or \"info\"";
                Err(field(expected, fields.get("type")))
            }
        }
    }

    fn invoke(&mut self, line: usize, process: String, fields: &Map<String, Json>) -> Result<(), Mistake> {
        if let Some(doing) = self.doing.get(&process) {
            return Err(Mistake::Busy { process, line: doing.line });
        }
        let f = match fields.get("f") {
            Some(Json::String(f)) => f.clone(),
            other => return Err(field("an \"f\" that is a text", other)),
        };
        let model = self.specification.model;
        let ask = ask(model, &f, fields.get("value"))?;
        self.add(match &ask {
            Ask::Add(amount)
            | Ask::AddAndGet(amount)
            | Ask::Transfer { amount, .. }
            | Ask::Deposit { amount, .. } => amount.unsigned_abs(),
            // A version more.
            Ask::Write(_) | Ask::WriteVersion(..) if model == Model::Versioned => 1,
            _ => 0,
        })?;
        let key = fields.get("key").map_or(Value::Nothing, Value::of_json);
        let key = if model == Model::Bank { account(key) } else { key };
        let invoked = self.time(line, fields)?;
        let entry = Entry { process: process.clone(), invoked: line, returned: None };
        let index = self.read.len();
        self.doing.insert(process, Doing { index, line, f, key: fields.get("key").cloned() });
        self.read.push(Some((Interval { invoked, returned: None, call: Call { key, ask } }, entry)));
        Ok(())
    }

    fn end(&mut self, line: usize, process: String, fields: &Map<String, Json>) -> Result<(), Mistake> {
        let at = self.time(line, fields)?;
        let Some(doing) = self.doing.remove(&process) else { return Err(Mistake::Idle { process }) };
        let same = |name: &'static str, expected: Json| match fields.get(name) {
            Some(found) if *found != expected => Err(Mistake::Differs {
                field: name,
                expected: short(&expected),
                found: short(found),
                line: doing.line,
            }),
            _ => Ok(()),
        };
        same("f", Json::from(doing.f.as_str()))?;
        same("key", doing.key.clone().unwrap_or(Json::Null))?;
        let read = &mut self.read[doing.index];
        let (operation, entry) = read.as_mut().expect("what a process does has not ended");
        if at < operation.invoked {
            return Err(Mistake::Backwards { time: at, invoked: operation.invoked, line: doing.line });
        }
        match fields.get("type").and_then(Json::as_str) {
            Some("ok") => {
                let reply = reply(self.specification.model, &operation.call, fields.get("value"))?;
                operation.returned = Some((at, reply));
                entry.returned = Some(line);
            }
            Some("fail") => *read = None,
            _ => {}
        }
        Ok(())
    }

    fn add(&mut self, more: u64) -> Result<(), Mistake> {
        let added = self.added.checked_add(more).filter(|added| i64::try_from(*added).is_ok());
        self.added = added.ok_or(Mistake::TooMuch)?;
        Ok(())
    }

    fn time(&mut self, line: usize, fields: &Map<String, Json>) -> Result<Nanos, Mistake> {
        let has = fields.contains_key("time");
        if *self.times.get_or_insert(has) != has {
            return Err(Mistake::SomeTimes { has });
        }
        match fields.get("time") {
            None => Ok(line as Nanos),
            Some(time) => time
                .as_u64()
                .ok_or_else(|| field("a \"time\" that is a whole number, not negative", Some(time))),
        }
    }

    fn finish(self) -> HistoryFile {
        let all = self.read.len();
        let (operations, entries): (Vec<_>, Vec<_>) = self.read.into_iter().flatten().unzip();
        HistoryFile { specification: self.specification, failed: all - operations.len(), operations, entries }
    }
}

/// What is asked.
fn ask(model: Model, f: &str, value: Option<&Json>) -> Result<Ask, Mistake> {
    let given = || value.map_or(Value::Nothing, Value::of_json);
    let number = || match value {
        None | Some(Json::Null) => Ok(1),
        Some(json) => integer("a \"value\" that is a whole number", Some(json)),
    };
    let ask = match f.replace('_', "-").as_str() {
        "read" | "get" => Ask::Read,
        "write" | "put" | "set" => Ask::Write(given()),
        "cas" | "compare-and-set" if model == Model::Versioned => {
            let expected = "a \"value\" of {\"version\": number, \"value\": any}";
            let version =
                member(value, "version").and_then(Json::as_u64).ok_or_else(|| field(expected, value))?;
            let new = member(value, "value").ok_or_else(|| field(expected, value))?;
            Ask::WriteVersion(version, Value::of_json(new))
        }
        "cas" | "compare-and-set" => match value {
            Some(Json::Array(pair)) if pair.len() == 2 => {
                Ask::CompareAndSet(Value::of_json(&pair[0]), Value::of_json(&pair[1]))
            }
            other => return Err(field("a \"value\" of [old, new]", other)),
        },
        "append" => Ask::Append(given()),
        "add" | "increment" => Ask::Add(number()?),
        "add-and-get" => Ask::AddAndGet(number()?),
        "transfer" => {
            let expected =
                "a \"value\" of {\"from\": account, \"to\": account, \"amount\": number, not negative}";
            let name = |name| {
                member(value, name).map(Value::of_json).map(account).ok_or_else(|| field(expected, value))
            };
            let amount = integer(expected, member(value, "amount"))?;
            if amount < 0 {
                return Err(field(expected, value));
            }
            Ask::Transfer { from: name("from")?, to: name("to")?, amount }
        }
        "deposit" => {
            let expected = "a \"value\" of {\"account\": account, \"amount\": number}";
            let name = member(value, "account").ok_or_else(|| field(expected, value))?;
            Ask::Deposit {
                account: account(Value::of_json(name)),
                amount: integer(expected, member(value, "amount"))?,
            }
        }
        _ => return Err(unknown(model, f)),
    };
    if model.accepts(&ask) { Ok(ask) } else { Err(unknown(model, f)) }
}

fn unknown(model: Model, f: &str) -> Mistake {
    Mistake::Function { model: model.name(), f: f.to_owned(), known: model.functions() }
}

/// What is answered.
fn reply(model: Model, call: &Call, value: Option<&Json>) -> Result<Reply, Mistake> {
    let given = || value.map_or(Value::Nothing, Value::of_json);
    let version = member(value, "version").and_then(Json::as_u64);
    let number = || Ok(Reply::Read(Value::Integer(integer("a \"value\" that is a whole number", value)?)));
    match &call.ask {
        Ask::Read => match (model, version) {
            (Model::Versioned, Some(version)) => {
                Ok(Reply::Version(version, member(value, "value").map(Value::of_json)))
            }
            (Model::Counter, _) => number(),
            (Model::Bank, _) if call.key != Value::Nothing => number(),
            (Model::Bank, _) => balances(value).map(Reply::Balances),
            _ => Ok(Reply::Read(given())),
        },
        Ask::AddAndGet(_) => number(),
        Ask::CompareAndSet(..) | Ask::WriteVersion(..) | Ask::Transfer { .. } | Ask::Deposit { .. }
            if value == Some(&Json::Bool(false)) =>
        {
            Ok(Reply::Refused)
        }
        // What was asked may be said again, and then it has a value.
        Ask::Write(_) | Ask::WriteVersion(..)
            if model == Model::Versioned && member(value, "value").is_none() =>
        {
            Ok(version.map_or(Reply::Done, |version| Reply::Version(version, None)))
        }
        _ => Ok(Reply::Done),
    }
}

/// The state before the first operation.
fn initial(model: Model, value: Option<&Json>) -> Result<State, Mistake> {
    match model {
        Model::Register | Model::CasRegister | Model::KeyValue => {
            Ok(State::Value(value.map_or(Value::Nothing, Value::of_json)))
        }
        Model::Counter => {
            Ok(State::Value(Value::Integer(integer("a \"value\" that is a whole number", value)?)))
        }
        Model::Bank => {
            let mut balances = balances(value)?;
            if balances.values().any(|balance| *balance < 0) {
                return Err(field("balances that are not negative", value));
            }
            balances.retain(|_, balance| *balance != 0);
            Ok(State::Balances(balances))
        }
        Model::Versioned => {
            let expected = "a \"value\" of {\"version\": number, \"value\": any}";
            let version =
                member(value, "version").and_then(Json::as_u64).ok_or_else(|| field(expected, value))?;
            Ok(State::Version(version, member(value, "value").map_or(Value::Nothing, Value::of_json)))
        }
    }
}

fn balances(value: Option<&Json>) -> Result<BTreeMap<Value, i64>, Mistake> {
    let expected = "a \"value\" of {account: number, ...}";
    let Some(Json::Object(accounts)) = value else { return Err(field(expected, value)) };
    accounts
        .iter()
        .map(|(name, balance)| Ok((Value::from(name.as_str()), integer(expected, Some(balance))?)))
        .collect()
}

/// An account. It has a number in a transfer and a text in an object of balances, and is the same.
fn account(name: Value) -> Value {
    match name {
        Value::Integer(number) => Value::Text(number.to_string()),
        name => name,
    }
}

fn integer(expected: &str, json: Option<&Json>) -> Result<i64, Mistake> {
    json.and_then(Json::as_i64).ok_or_else(|| field(expected, json))
}

fn member<'j>(json: Option<&'j Json>, name: &str) -> Option<&'j Json> {
    json?.as_object()?.get(name)
}

fn field(expected: &str, found: Option<&Json>) -> Mistake {
    Mistake::Field { expected: expected.to_owned(), found: found.map(short) }
}

/// JSON for a sentence.
fn short(json: &Json) -> String {
    let text = json.to_string();
    if text.chars().count() <= 60 {
        return text;
    }
    text.chars().take(57).chain("...".chars()).collect()
}

/// An error without its place: the line of a line is always 1.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let end = text.find(" at line ").unwrap_or(text.len());
    format!("{} in column {}", &text[..end], error.column())
}
