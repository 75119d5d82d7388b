//! Accounts between which money is moved. What is not there cannot be taken.

use std::collections::BTreeMap;

use super::{Ask, Call, Reply, State, Value, agrees};

pub(super) fn apply(balances: &BTreeMap<Value, i64>, call: &Call, reply: Option<&Reply>) -> Option<State> {
    match &call.ask {
        Ask::Read => {
            let right = match reply {
                None => true,
                // An account without money may be shown or not.
                Some(Reply::Balances(read)) => {
                    let accounts = || read.keys().chain(balances.keys());
                    call.key == Value::Nothing
                        && accounts().all(|account| balance(read, account) == balance(balances, account))
                }
                Some(Reply::Read(Value::Integer(read))) => *read == balance(balances, &call.key),
                Some(_) => false,
            };
            right.then(|| State::Balances(balances.clone()))
        }
        Ask::Transfer { from, to, amount } => {
            change(balances, &[(from, amount.checked_neg()?), (to, *amount)], reply)
        }
        Ask::Deposit { account, amount } => change(balances, &[(account, *amount)], reply),
        _ => None,
    }
}

fn balance(balances: &BTreeMap<Value, i64>, account: &Value) -> i64 {
    balances.get(account).copied().unwrap_or(0)
}

/// Changes balances one after the other, or none if one would be negative.
fn change(
    balances: &BTreeMap<Value, i64>,
    changes: &[(&Value, i64)],
    reply: Option<&Reply>,
) -> Option<State> {
    let mut next = balances.clone();
    for (account, amount) in changes {
        let sum = balance(&next, account).checked_add(*amount)?;
        if sum < 0 {
            return agrees(reply, false).then(|| State::Balances(balances.clone()));
        }
        // An empty account is none, so that equal states are equal.
        if sum == 0 {
            next.remove(*account);
        } else {
            next.insert((*account).clone(), sum);
        }
    }
    agrees(reply, true).then_some(State::Balances(next))
}
