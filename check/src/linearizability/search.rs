//! The search for an order of the operations of one key: Wing and Gong's, with Lowe's memo and entries.
//!
//! The invocations and returns are a linked list in the order of time. What stands before the first return
//! may come next. An operation that is taken is lifted out of the list with its return, and put back if it
//! led nowhere; so a step costs as much as there are operations at that time, whatever the length of the
//! history. The stack is a vector.
//!
//! An operation that [only looks](Specification::only_looks), and sees in this state what it saw, is taken at
//! once, and nothing else is tried: in any order that goes on from here it could as well come first.
//!
//! Operations of unknown outcome have no return, so they would stand before every first return for ever, and
//! each would double the orders to try. They are in a list of their own that is tried last, and there are
//! three reasons not to try one, or what follows it:
//!
//! - Two with the same call: the one that began first can do all that the other can, so it goes first.
//! - An order with the same state and the same returned operations, but more of unknown outcome, has less
//!   left; see [`Memo`].
//! - If the operation after it leads to a state to which it would have led also without it, then it was not
//!   worth taking. So of ten unknown writes to a register only the one is tried that the next read asks for.
//!
//! None loses a solution. Take, of all solutions that start from something that was tried, the shortest: what
//! is refused on its way would give a shorter one, or an equal one that uses the older of two equal calls.

use super::memo::{Leads, Memo, Set, StateId, States};
use super::{Mutant, PARTIALS, Partial, Seen, Specification};

/// What is known after some steps.
pub(super) enum Progress {
    /// It has not come to an end.
    Stopped,
    /// An order was found.
    Found,
    /// There is none.
    Exhausted,
}

/// A node of the linked lists.
#[derive(Clone, Copy)]
struct Node {
    previous: u32,
    next: u32,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    /// The operation may be taken. Its return is at `end`; an unknown one has none.
    Call { operation: u32, end: Option<u32> },
    /// Whoever stands behind it, must wait for it.
    Return,
    /// Where a list begins and ends.
    Head,
}

/// The head of the operations that returned, and of those of unknown outcome.
const RETURNED: u32 = 0;
const UNKNOWN: u32 = 1;

/// An operation that was taken.
struct Taken {
    node: u32,
    /// The state before.
    before: StateId,
    /// How many choices there were before this operation's.
    choices: usize,
    /// The first return that was left when it was taken.
    limit: u32,
    /// Whether nothing else need be tried in its place.
    sure: bool,
}

/// A search that can be stopped and continued.
pub(super) struct Search<'a, S: Specification> {
    specification: &'a S,
    operations: Vec<Seen<'a, S::Call, S::Reply>>,
    nodes: Vec<Node>,
    /// An operation's bit in the set.
    bits: Vec<usize>,
    /// Whether an operation leaves every state as it is.
    only_looks: Vec<bool>,
    /// Of an operation of unknown outcome, the one with the same call that began before it.
    elder: Vec<Option<u32>>,
    states: States<S::State>,
    leads: Leads,
    memo: Memo,
    set: Set,
    state: StateId,
    /// What is tried next: a node of the list of those that returned, and then one of the other list.
    at: u32,
    /// Whether only operations that only look are tried; they come first.
    looking: bool,
    /// The first return that is left, once it is known.
    limit: u32,
    taken: Vec<Taken>,
    /// States that the operations on the stack may also lead to.
    choices: Vec<StateId>,
    /// How many operations that returned are on the stack, and the most there ever were without a way on.
    depth: usize,
    longest: Vec<(usize, Vec<u32>, StateId, Vec<u32>)>,
    steps: u64,
    mutant: Mutant,
}

impl<'a, S: Specification> Search<'a, S> {
    /// A search over the operations of one key.
    pub(super) fn new(
        specification: &'a S,
        key: &S::Key,
        operations: Vec<Seen<'a, S::Call, S::Reply>>,
        mutant: Mutant,
    ) -> Self {
        let mut states = States::new();
        let state = states.id(specification.initial(key));
        let only_looks: Vec<bool> = operations
            .iter()
            .map(|seen| specification.only_looks(seen.call, seen.reply) || mutant.is(Mutant::LooksTooOften))
            .collect();
        let (nodes, bits, set, elder) = lists(&operations, &only_looks, mutant);
        let mut memo = Memo::new();
        memo.is_new(&set, state, Mutant::None);
        let at = nodes[RETURNED as usize].next;
        Self {
            specification,
            nodes,
            bits,
            only_looks,
            elder,
            states,
            leads: Leads::new(),
            memo,
            set,
            state,
            at,
            looking: true,
            limit: RETURNED,
            taken: Vec::new(),
            choices: Vec::new(),
            depth: 0,
            longest: Vec::new(),
            steps: 0,
            operations,
            mutant,
        }
    }

    /// How many steps were taken.
    pub(super) const fn steps(&self) -> u64 {
        self.steps
    }

    /// Searches on, until it is known or there have been so many steps.
    pub(super) fn run(&mut self, until: u64) -> Progress {
        loop {
            if self.is_found() {
                return Progress::Found;
            }
            match self.candidate() {
                Some(_) if self.steps >= until => return Progress::Stopped,
                Some((node, operation)) => {
                    self.steps += 1;
                    self.take(node, operation);
                }
                None => {
                    self.record();
                    if !self.back() {
                        return Progress::Exhausted;
                    }
                }
            }
        }
    }

    /// The order that was found.
    pub(super) fn order(&self) -> Vec<usize> {
        self.taken.iter().map(|taken| self.operation(taken.node) as usize).collect()
    }

    /// The longest orders that explain a part.
    pub(super) fn partials(&self) -> Vec<Partial<S::State>> {
        let partial = |(_, order, state, blocked): &(usize, Vec<u32>, StateId, Vec<u32>)| Partial {
            order: order.iter().map(|operation| *operation as usize).collect(),
            state: self.states.get(*state).clone(),
            blocked: blocked.iter().map(|operation| *operation as usize).collect(),
        };
        self.longest.iter().map(partial).collect()
    }

    /// Whether all that is left is of unknown outcome, and so may have had no effect.
    fn is_found(&self) -> bool {
        self.next(RETURNED) == RETURNED
            && (!self.mutant.is(Mutant::UnknownIsDone) || self.next(UNKNOWN) == UNKNOWN)
    }

    fn next(&self, node: u32) -> u32 {
        self.nodes[node as usize].next
    }

    fn operation(&self, node: u32) -> u32 {
        match self.nodes[node as usize].kind {
            Kind::Call { operation, .. } => operation,
            Kind::Return | Kind::Head => unreachable!("only calls are taken"),
        }
    }

    /// The next operation that may come next in time. Moves from the one list to the other.
    fn candidate(&mut self) -> Option<(u32, u32)> {
        loop {
            match self.nodes[self.at as usize].kind {
                Kind::Call { operation, end: Some(_) }
                    if self.only_looks[operation as usize] == self.looking =>
                {
                    return Some((self.at, operation));
                }
                Kind::Call { end: Some(_), .. } => self.at = self.next(self.at),
                Kind::Call { operation, end: None } => {
                    // Nodes are numbered in the order of time.
                    if self.limit != RETURNED && self.at > self.limit {
                        return None;
                    }
                    let forgotten = self.mutant.is(Mutant::ForgetsPending) && self.at < self.next(RETURNED);
                    let elder = self.elder[operation as usize].map(|elder| self.bits[elder as usize]);
                    if elder.is_none_or(|bit| self.set.contains(bit)) && !forgotten {
                        return Some((self.at, operation));
                    }
                    self.at = self.next(self.at);
                }
                Kind::Return if self.mutant.is(Mutant::IgnoresRealTime) => self.at = self.next(self.at),
                Kind::Return | Kind::Head if self.looking && self.at != UNKNOWN => {
                    self.looking = false;
                    self.at = self.next(RETURNED);
                }
                Kind::Return => {
                    self.limit = self.at;
                    self.at = self.next(UNKNOWN);
                }
                Kind::Head if self.at == RETURNED => self.at = self.next(UNKNOWN),
                Kind::Head => return None,
            }
        }
    }

    /// Tries an operation in the state.
    fn take(&mut self, node: u32, operation: u32) {
        let choices = self.choices.len();
        self.lead(self.state, operation);
        let with = self.choices.len();
        if with > choices
            && let Some(before) = self.before_unknown()
        {
            self.lead(before, operation);
            let mut kept = choices;
            for index in choices..with {
                let state = self.choices[index];
                let also_without = self.choices[with..].contains(&state);
                if !also_without && !self.mutant.is(Mutant::NothingFollowsUnknown) {
                    self.choices[kept] = state;
                    kept += 1;
                }
            }
            self.choices.truncate(kept);
        }
        if self.mutant.is(Mutant::OneNextState) {
            self.choices.truncate(choices + 1);
        }
        // The last is taken first.
        self.choices[choices..].reverse();
        if self.choices.len() == choices {
            self.at = self.next(node);
            return;
        }
        self.lift(node);
        let taken = Taken { node, before: self.state, choices, limit: self.limit, sure: self.looking };
        self.enter_or_leave(taken);
    }

    /// Puts the states that an operation leads to from a state behind the choices.
    fn lead(&mut self, from: StateId, operation: u32) {
        if let Some(known) = self.leads.get(from, operation) {
            return self.choices.extend(known);
        }
        let seen = &self.operations[operation as usize];
        let before = self.choices.len();
        let mut next = self.specification.apply(self.states.get(from), seen.call, seen.reply).into_iter();
        // Almost always there is one at most, and then nothing is allocated.
        if let Some(first) = next.next() {
            let others: Vec<S::State> = next.collect();
            self.choices.push(self.states.id(first));
            self.choices.extend(others.into_iter().map(|state| self.states.id(state)));
        }
        self.leads.put(from, operation, &self.choices[before..]);
    }

    /// The state before the last operation, if that is of unknown outcome.
    fn before_unknown(&self) -> Option<StateId> {
        let last = self.taken.last()?;
        matches!(self.nodes[last.node as usize].kind, Kind::Call { end: None, .. }).then_some(last.before)
    }

    /// Goes on from a state that the operation leads to and that was not tried; else puts the operation back.
    fn enter_or_leave(&mut self, taken: Taken) {
        while self.choices.len() > taken.choices {
            let state = self.choices.pop().expect("there are more than before");
            if self.is_new(state) {
                self.state = state;
                self.taken.push(taken);
                self.at = self.next(RETURNED);
                self.looking = true;
                self.limit = RETURNED;
                return;
            }
        }
        self.unlift(taken.node);
        self.state = taken.before;
        self.limit = taken.limit;
        self.looking = false;
        // At the end of the last list there is nothing left to try.
        self.at = if taken.sure { UNKNOWN } else { self.next(taken.node) };
    }

    fn is_new(&mut self, state: StateId) -> bool {
        let remembered = if self.mutant.is(Mutant::MemoWithoutState) { 0 } else { state };
        if self.mutant.is(Mutant::MemoWithoutSet) {
            let returned = self.operations.iter().filter(|seen| seen.returned.is_some()).count();
            return self.memo.is_new(
                &Set::new(returned, self.operations.len() - returned),
                remembered,
                Mutant::None,
            );
        }
        self.memo.is_new(&self.set, remembered, self.mutant)
    }

    /// Puts back the last operation, or takes it to another state; false if there is none.
    fn back(&mut self) -> bool {
        let Some(taken) = self.taken.pop() else { return false };
        self.enter_or_leave(taken);
        true
    }

    /// Remembers an order that does not go on, if it is one of the longest.
    fn record(&mut self) {
        let best = self.longest.first().map_or(0, |(depth, ..)| *depth);
        if self.depth < best {
            return;
        }
        if self.depth > best {
            self.longest.clear();
        }
        if self.longest.len() == PARTIALS || self.longest.iter().any(|(_, _, state, _)| *state == self.state)
        {
            return;
        }
        let order = self.taken.iter().map(|taken| self.operation(taken.node)).collect();
        let mut blocked = Vec::new();
        let mut node = self.next(RETURNED);
        while let Kind::Call { operation, .. } = self.nodes[node as usize].kind {
            blocked.push(operation);
            node = self.next(node);
        }
        self.longest.push((self.depth, order, self.state, blocked));
    }

    /// Takes an operation out of its list.
    fn lift(&mut self, node: u32) {
        if let Kind::Call { operation, end } = self.nodes[node as usize].kind {
            self.set.flip(self.bits[operation as usize]);
            self.unlink(node);
            if let Some(end) = end {
                self.unlink(end);
                self.depth += 1;
            }
        }
    }

    /// Puts it back. The last one that was lifted must be the first.
    fn unlift(&mut self, node: u32) {
        if self.mutant.is(Mutant::KeepsLifted) {
            return;
        }
        if let Kind::Call { operation, end } = self.nodes[node as usize].kind {
            if let Some(end) = end {
                self.depth -= 1;
                self.link(end);
            }
            self.link(node);
            self.set.flip(self.bits[operation as usize]);
        }
    }

    fn unlink(&mut self, node: u32) {
        let Node { previous, next, .. } = self.nodes[node as usize];
        self.nodes[previous as usize].next = next;
        self.nodes[next as usize].previous = previous;
    }

    /// A node that was unlinked still knows where it was.
    fn link(&mut self, node: u32) {
        let Node { previous, next, .. } = self.nodes[node as usize];
        self.nodes[previous as usize].next = node;
        self.nodes[next as usize].previous = node;
    }
}

pub(super) fn apply<S: Specification>(
    specification: &S,
    state: &S::State,
    seen: &Seen<'_, S::Call, S::Reply>,
) -> Vec<S::State> {
    specification.apply(state, seen.call, seen.reply).into_iter().collect()
}

/// The two lists, each operation's bit, the empty set, and each operation's elder.
fn lists<C: PartialEq, R>(
    operations: &[Seen<'_, C, R>],
    only_looks: &[bool],
    mutant: Mutant,
) -> (Vec<Node>, Vec<usize>, Set, Vec<Option<u32>>) {
    let returned = operations.iter().filter(|seen| seen.returned.is_some()).count();
    let set = Set::new(returned, operations.len() - returned);
    // What begins at the very time at which something returns, stands before that return.
    let (begins, returns) = if mutant.is(Mutant::OrdersTies) { (1, 0) } else { (0, 1) };
    let mut events = Vec::with_capacity(operations.len() * 2);
    for (index, seen) in operations.iter().enumerate() {
        match seen.returned {
            Some(at) => {
                events.push((seen.invoked, begins, index));
                events.push((at, returns, index));
            }
            // Whether somebody looked or did not is the same.
            None if only_looks[index] || mutant.is(Mutant::UnknownIsFailed) => {}
            None => events.push((seen.invoked, begins, index)),
        }
    }
    events.sort_unstable();
    let mut ends = vec![0; operations.len()];
    for (position, (_, what, index)) in events.iter().enumerate() {
        if *what == returns {
            ends[*index] = position as u32 + 2;
        }
    }
    let head = |own| Node { previous: own, next: own, kind: Kind::Head };
    let mut nodes = vec![head(RETURNED), head(UNKNOWN)];
    let (mut bits, mut elder) = (vec![0; operations.len()], vec![None; operations.len()]);
    let mut next_bit = [0, set.first_unknown()];
    let mut unknown: Vec<usize> = Vec::new();
    for (_, what, index) in events {
        let end = operations[index].returned.is_some().then_some(ends[index]);
        let list = if end.is_some() { RETURNED } else { UNKNOWN };
        let kind = if what == returns { Kind::Return } else { Kind::Call { operation: index as u32, end } };
        if what == begins {
            bits[index] = next_bit[list as usize];
            next_bit[list as usize] += 1;
        }
        if end.is_none() {
            let same = unknown.iter().rev().find(|other| operations[**other].call == operations[index].call);
            elder[index] = same.map(|other| *other as u32);
            unknown.push(index);
        }
        let (own, previous) = (nodes.len() as u32, nodes[list as usize].previous);
        nodes.push(Node { previous, next: list, kind });
        nodes[previous as usize].next = own;
        nodes[list as usize].previous = own;
    }
    (nodes, bits, set, elder)
}
