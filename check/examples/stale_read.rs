//! A history judged: the lecture's case S4, in which a late first copy of a put undoes a later one.
//! `cargo run -p snowglobe-check --example stale_read`

use snowglobe_check::linearizability::{Interval, Specification, Verdict, check};

/// A register that holds one number.
struct Register;

#[derive(Clone, Copy, PartialEq, Debug)]
enum Call {
    Get,
    Put(u64),
}

impl Specification for Register {
    type Key = ();
    type State = u64;
    type Call = Call;
    type Reply = u64;

    fn key(&self, _: &Call) {}

    fn initial(&self, (): &()) -> u64 {
        0
    }

    fn apply(&self, state: &u64, call: &Call, reply: Option<&u64>) -> impl IntoIterator<Item = u64> {
        match call {
            Call::Put(value) => Some(*value),
            Call::Get => reply.is_none_or(|read| read == state).then_some(*state),
        }
    }
}

fn main() {
    let history = [
        Interval { invoked: 0, returned: Some((50, 0)), call: Call::Put(10) },
        Interval { invoked: 60, returned: Some((70, 0)), call: Call::Put(20) },
        Interval { invoked: 80, returned: Some((90, 10)), call: Call::Get },
    ];
    match check(&Register, &history, 1_000).verdict {
        Verdict::Linearizable { order } => {
            println!("one register could have done this, in the order {order:?}");
        }
        Verdict::Violated { partials, .. } => {
            println!("no single register could have done this:");
            let longest = &partials[0];
            for index in &longest.order {
                println!("  {:?} took effect", history[*index].call);
            }
            for index in &longest.blocked {
                println!(
                    "  and then {:?} cannot have returned {:?}",
                    history[*index].call, history[*index].returned
                );
            }
        }
        Verdict::Undecided { .. } => println!("the budget was too small"),
    }
}
