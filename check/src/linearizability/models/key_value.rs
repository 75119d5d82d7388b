//! A value that is read, written, compared and set, and appended to.

use super::{Ask, Reply, State, Value, agrees, register};

pub(super) fn apply(value: &Value, ask: &Ask, reply: Option<&Reply>) -> Option<State> {
    let Ask::Append(more) = ask else { return register::apply(value, ask, reply) };
    if !agrees(reply, true) {
        return None;
    }
    let longer = match (value, more) {
        (Value::Nothing, Value::Text(more)) => Value::Text(more.clone()),
        (Value::Nothing, more) => Value::List(vec![more.clone()]),
        (Value::Text(text), Value::Text(more)) => Value::Text([text.as_str(), more].concat()),
        (Value::List(items), more) => Value::List(items.iter().chain([more]).cloned().collect()),
        // Nothing can be appended to a number.
        _ => return None,
    };
    Some(State::Value(longer))
}
