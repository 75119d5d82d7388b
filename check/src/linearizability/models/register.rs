//! A value that is read, written, and compared and set.

use super::{Ask, Reply, State, Value, agrees, read};

pub(super) fn apply(value: &Value, ask: &Ask, reply: Option<&Reply>) -> Option<State> {
    match ask {
        Ask::Read => read(value, reply),
        Ask::Write(new) => agrees(reply, true).then(|| State::Value(new.clone())),
        Ask::CompareAndSet(old, new) => {
            let is_old = value == old;
            agrees(reply, is_old).then(|| State::Value(if is_old { new } else { value }.clone()))
        }
        _ => None,
    }
}
