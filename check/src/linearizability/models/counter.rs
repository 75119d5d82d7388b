//! A number that is added to.

use super::{Ask, Reply, State, Value, agrees, read};

pub(super) fn apply(value: &Value, ask: &Ask, reply: Option<&Reply>) -> Option<State> {
    let Value::Integer(number) = value else { return None };
    match ask {
        Ask::Read => read(value, reply),
        Ask::Add(more) => {
            let sum = number.checked_add(*more)?;
            agrees(reply, true).then_some(State::Value(Value::Integer(sum)))
        }
        Ask::AddAndGet(more) => read(&Value::Integer(number.checked_add(*more)?), reply),
        _ => None,
    }
}
