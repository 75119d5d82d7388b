//! The path that a search is on, and what is still to be tried along it.

use std::rc::Rc;

use sim::{Candidate, EventId, Nanos, Touch, Watch};

use crate::run::{Driver, HISTORY};

use super::{Explore, Fired};

/// Depth-first: the runs so far have seen all that branches off below the path, and are now at its end.
#[derive(Debug)]
pub(super) struct Search {
    what: Explore,
    /// The first `len` are the path; the rest are kept for their memory.
    levels: Vec<Level>,
    len: usize,
    /// How many events of this run were chosen.
    at: usize,
    /// How many of the levels had their event fired in an earlier run.
    known: usize,
    cut: bool,
    /// Kept for their memory.
    races: Vec<usize>,
    between: Vec<usize>,
}

/// A point at which an event was chosen.
#[derive(Default, Debug)]
struct Level {
    now: Nanos,
    pending: Vec<Candidate>,
    chosen: usize,
    /// The events tried here, the chosen one last.
    tried: Vec<EventId>,
    /// The events still to be tried.
    todo: Vec<EventId>,
    /// The events all of whose futures were seen already, with what they touch.
    asleep: Vec<Asleep>,
    /// What the chosen event touched.
    touched: Touched,
    /// The levels whose events must have happened before the chosen one, as a set of bits.
    before: Vec<u64>,
}

#[derive(Clone, Debug)]
struct Asleep {
    event: Candidate,
    touched: Touched,
}

/// What an event touched, shared by all levels that remember it.
#[derive(Clone, Default, Debug)]
struct Touched {
    all: Rc<Vec<Touch>>,
    /// A bit for each object that was only looked at, and for each that may have been changed: most pairs of events have
    /// no bit in common, and are not compared touch by touch.
    looked_at: u64,
    changed: u64,
}

impl Search {
    pub(super) const fn new(what: Explore) -> Self {
        Self {
            what,
            levels: Vec::new(),
            len: 0,
            at: 0,
            known: 0,
            cut: false,
            races: Vec::new(),
            between: Vec::new(),
        }
    }

    /// The events of the last run, in order.
    pub(super) fn path(&self) -> impl ExactSizeIterator<Item = Fired> {
        self.levels[..self.at.min(self.len)].iter().map(|level| {
            let event = level.event();
            Fired { id: event.id, due: event.due, at: level.now.max(event.due) }
        })
    }

    /// The events that were pending in the last run and never fired.
    pub(super) fn left(&self) -> impl Iterator<Item = Candidate> {
        let levels = &self.levels[..self.at.min(self.len)];
        let fired = |event: &Candidate| levels.iter().any(|level| level.event().id == event.id);
        levels.iter().flat_map(|level| level.pending.iter().copied()).filter(move |event| !fired(event))
    }

    pub(super) const fn was_cut(&self) -> bool {
        self.cut
    }

    /// Ends a run, to its end or given up.
    pub(super) fn end(&mut self, to_its_end: bool) {
        if to_its_end && self.what.reduction && self.at == self.len {
            self.try_cancelled(&[]);
        }
        if to_its_end && self.at > self.known {
            // The last event ended the run by a violation before anybody could say what it touched: everything.
            self.levels[self.at - 1].touched.set(&[Touch::EVERYTHING, HISTORY]);
            self.settle(true);
        }
    }

    /// Moves on to the next path; false if there is none.
    pub(super) fn advance(&mut self) -> bool {
        self.at = 0;
        self.cut = false;
        while self.len > 0 {
            let level = &mut self.levels[self.len - 1];
            while let Some(next) = level.todo.pop() {
                if level.tried.contains(&next) || level.is_asleep(next) {
                    continue;
                }
                if self.what.reduction {
                    let (event, touched) = (*level.event(), level.touched.clone());
                    level.asleep.push(Asleep { event, touched });
                }
                let index = level.pending.iter().position(|event| event.id == next);
                level.chosen = index.expect("what is to be tried is pending");
                level.tried.push(next);
                self.known = self.len - 1;
                return true;
            }
            self.len -= 1;
        }
        false
    }

    fn push(&mut self, now: Nanos, pending: &[Candidate]) -> &mut Level {
        if self.len == self.levels.len() {
            self.levels.push(Level::default());
        }
        self.len += 1;
        let (above, level) = self.levels.split_at_mut(self.len - 1);
        let level = &mut level[0];
        level.now = now;
        level.pending.clear();
        level.pending.extend_from_slice(pending);
        level.tried.clear();
        level.todo.clear();
        level.asleep.clear();
        level.before.clear();
        if let Some(parent) = above.last() {
            let stays =
                |asleep: &&Asleep| !conflict(&asleep.event, &asleep.touched, parent.event(), &parent.touched);
            level.asleep.extend(parent.asleep.iter().filter(stays).cloned());
        }
        level
    }

    /// Learns from the event fired last, what came before it and what could have come instead. `last` if it ended the run.
    fn settle(&mut self, last: bool) {
        let index = self.at - 1;
        self.known = self.at;
        if !self.what.reduction {
            return;
        }
        let (above, level) = self.levels.split_at_mut(index);
        let level = &mut level[0];
        let event = *level.event();
        level.before.clear();
        level.before.resize(index.div_ceil(64), 0);
        // What made it pending cannot come after it.
        let born = above.iter().rposition(|earlier| earlier.find(event.id).is_none()).map_or(0, |at| at + 1);
        let mut races = std::mem::take(&mut self.races);
        for at in (0..index).rev() {
            if contains(&level.before, at) {
                continue;
            }
            let earlier = &above[at];
            let conflicts = conflict(earlier.event(), &earlier.touched, &event, &level.touched);
            let made_it = at + 1 == born;
            if conflicts && !made_it {
                races.push(at);
            }
            if conflicts || made_it {
                insert(&mut level.before, at);
                for (word, more) in level.before.iter_mut().zip(&earlier.before) {
                    *word |= more;
                }
            }
        }
        for at in races.drain(..) {
            self.try_instead(at, index);
        }
        self.races = races;
        if last {
            // What is still pending will never show what it conflicts with.
            let level = &mut self.levels[index];
            level.todo.extend(level.pending.iter().map(|event| event.id));
        }
    }

    /// The event of level `late` conflicts with that of level `early`, and nothing between orders the two: something must
    /// be tried at `early` that lets the late one come first.
    fn try_instead(&mut self, early: usize, late: usize) {
        let mut between = std::mem::take(&mut self.between);
        between.clear();
        between.extend((early + 1..late).filter(|at| !contains(&self.levels[*at].before, early)));
        between.push(late);
        self.try_first_of(early, &between);
        self.between = between;
    }

    /// One of these events that none of the others must come before is to be tried at `early`.
    fn try_first_of(&mut self, early: usize, between: &[usize]) {
        let (to_early, above) = self.levels.split_at_mut(early + 1);
        let (level, above) = (&mut to_early[early], &*above);
        let at = |index: &usize| &above[index - early - 1];
        // The late event itself has what was tried in its stead among what comes before it.
        let firsts = || {
            let is_first = |(nth, index): &(usize, &usize)| {
                between[..*nth].iter().all(|other| !contains(&at(index).before, *other))
            };
            between.iter().enumerate().filter(is_first).map(|(_, index)| at(index).event().id)
        };
        if firsts().any(|id| level.tried.contains(&id) || level.todo.contains(&id)) {
            return;
        }
        match firsts().rev().find(|id| level.find(*id).is_some()) {
            Some(id) => level.todo.push(id),
            None => level.todo.extend(level.pending.iter().map(|event| event.id)),
        }
    }

    /// What was pending before the event fired last and is not any more was cancelled by it: the other order is another
    /// matter, and no run of this one will show it.
    fn try_cancelled(&mut self, pending: &[Candidate]) {
        let Some(level) = self.at.checked_sub(1).map(|index| &mut self.levels[index]) else { return };
        let chosen = level.event().id;
        for event in &level.pending {
            if event.id != chosen && pending.iter().all(|other| other.id != event.id) {
                level.todo.push(event.id);
            }
        }
    }
}

impl Driver for Search {
    fn planned(&mut self) -> Option<Candidate> {
        let level = self.levels[..self.len].get(self.at)?;
        self.at += 1;
        Some(*level.event())
    }

    fn choose(&mut self, now: Nanos, candidates: &[Candidate]) -> Option<EventId> {
        if self.at >= self.what.depth_max {
            self.cut = true;
            return None;
        }
        let reduction = self.what.reduction;
        if reduction {
            self.try_cancelled(candidates);
        }
        let level = self.push(now, candidates);
        let Some(chosen) = level.pending.iter().position(|event| !level.is_asleep(event.id)) else {
            self.len -= 1;
            return None;
        };
        level.chosen = chosen;
        let id = level.pending[chosen].id;
        level.tried.push(id);
        if !reduction {
            level.todo.extend(level.pending.iter().rev().map(|event| event.id).filter(|other| *other != id));
        }
        self.at += 1;
        Some(id)
    }

    /// What an event touches that was fired in an earlier run is known, and without reduction nobody asks.
    fn watch(&self) -> Watch {
        match self.what.reduction {
            false => Watch::No,
            true if self.at > self.known => Watch::Touches,
            true => Watch::Names,
        }
    }

    fn fired(&mut self, touches: &[Touch]) {
        self.levels[self.at - 1].touched.set(touches);
        self.settle(false);
    }
}

impl Level {
    fn event(&self) -> &Candidate {
        &self.pending[self.chosen]
    }

    fn find(&self, id: EventId) -> Option<&Candidate> {
        self.pending.iter().find(|event| event.id == id)
    }

    fn is_asleep(&self, id: EventId) -> bool {
        self.asleep.iter().any(|asleep| asleep.event.id == id)
    }
}

impl Touched {
    /// Takes these instead, in the same memory unless somebody else remembers what was there.
    fn set(&mut self, touches: &[Touch]) {
        match Rc::get_mut(&mut self.all) {
            Some(all) => {
                all.clear();
                all.extend_from_slice(touches);
            }
            None => self.all = Rc::new(touches.to_vec()),
        }
        (self.looked_at, self.changed) = (0, 0);
        for touch in touches {
            let bits = if touch.writes { &mut self.changed } else { &mut self.looked_at };
            *bits |= bit(*touch);
        }
    }

    fn may_conflict(&self, other: &Self) -> bool {
        (self.changed & (other.changed | other.looked_at)) | (self.looked_at & other.changed) != 0
    }
}

/// The bit that stands for an object, which it may share with others.
const fn bit(touch: Touch) -> u64 {
    if touch.object == Touch::EVERYTHING.object {
        return u64::MAX;
    }
    1 << (touch.object.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58)
}

/// Whether the order of two events matters.
fn conflict(a: &Candidate, touched_by_a: &Touched, b: &Candidate, touched_by_b: &Touched) -> bool {
    // A fault concerns every node.
    let (Some(node_of_a), Some(node_of_b)) = (a.node, b.node) else { return true };
    if !touched_by_a.may_conflict(touched_by_b) {
        return false;
    }
    let shared = |touch: &Touch| node_of_a == node_of_b || is_global(*touch);
    let of_b = || touched_by_b.all.iter().filter(|touch| shared(touch));
    touched_by_a.all.iter().filter(|touch| shared(touch)).any(|a| of_b().any(|b| a.conflicts(*b)))
}

/// Whether a touch concerns all nodes alike.
const fn is_global(touch: Touch) -> bool {
    touch.object == HISTORY.object || touch.object == Touch::TIME.object
}

fn contains(set: &[u64], member: usize) -> bool {
    set.get(member / 64).is_some_and(|word| word >> (member % 64) & 1 == 1)
}

fn insert(set: &mut [u64], member: usize) {
    set[member / 64] |= 1 << (member % 64);
}
