//! A value whose version each write makes one greater.

use super::{Ask, Reply, State, Value, agrees};

pub(super) fn apply(version: u64, value: &Value, ask: &Ask, reply: Option<&Reply>) -> Option<State> {
    let next = version.checked_add(1)?;
    match ask {
        Ask::Read => {
            let right = match reply {
                None => true,
                Some(Reply::Version(read, None)) => *read == version,
                Some(Reply::Version(read, Some(found))) => *read == version && found == value,
                Some(Reply::Read(found)) => found == value,
                Some(_) => false,
            };
            right.then(|| State::Version(version, value.clone()))
        }
        Ask::Write(new) => {
            // A write may say which version it made.
            let right = match reply {
                Some(Reply::Version(made, None)) => *made == next,
                reply => agrees(reply, true),
            };
            right.then(|| State::Version(next, new.clone()))
        }
        Ask::WriteVersion(expected, new) => {
            let is_expected = *expected == version;
            let right = match reply {
                Some(Reply::Version(made, None)) => is_expected && *made == next,
                reply => agrees(reply, is_expected),
            };
            right.then(|| {
                if is_expected {
                    State::Version(next, new.clone())
                } else {
                    State::Version(version, value.clone())
                }
            })
        }
        _ => None,
    }
}
