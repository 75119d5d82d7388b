//! What happened before what, among the tasks of one node: vector clocks, kept only while somebody needs them.
//!
//! A task's clock says how far it has seen every other. What a task does before it releases a lock, sends a value or
//! ends is seen by whoever acquires the lock, receives the value or joins the task (Lamport 1978; Mattern 1988). The
//! clocks begin when the node makes its first [`SharedCell`](super::SharedCell): what was ordered before a cell existed
//! orders no access to it. Until then each of these is a look at a flag.
//!
//! A place in the clocks is given to another task once its own has ended and no cell remembers an access by it, so that
//! clocks are as long as there are tasks at once, not as there ever were. Times go on counting from owner to owner: what
//! others have seen of the old owner says nothing about the new one.

use std::cell::{Cell, RefCell};

use smallvec::SmallVec;

use crate::id::Label;

use super::seldom::Seldom;

/// How far each place was seen; what is beyond the end was not seen at all. In place as long as few tasks live at once: no
/// larger than a vector then, and most programs that are explored never allocate one.
#[derive(Clone, Default, Debug)]
pub(super) struct Clock(SmallVec<[u32; 4]>);

/// One moment of one task (the epoch of `FastTrack`, Flanagan and Freund, PLDI 2009).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Moment {
    place: u32,
    time: u32,
}

/// The clocks of all tasks of a node.
#[derive(Default)]
pub(super) struct Clocks {
    on: Cell<bool>,
    table: Seldom<RefCell<Table>>,
}

#[derive(Default)]
struct Table {
    /// By the slot of a task: its place in the clocks.
    place_of: Vec<u32>,
    owners: Vec<Owner>,
    free: Vec<u32>,
}

/// Who has a place in the clocks.
struct Owner {
    label: Label,
    clock: Clock,
    ended: bool,
    /// How many accesses by it are remembered by cells.
    remembered: u32,
}

impl Clock {
    fn time(&self, place: u32) -> u32 {
        self.0.get(place as usize).copied().unwrap_or(0)
    }

    fn join(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        let other = other.0.iter();
        for (own, other) in self.0.iter_mut().zip(other) {
            *own = (*own).max(*other);
        }
    }

    fn tick(&mut self, place: u32) {
        let place = place as usize;
        if self.0.len() <= place {
            self.0.resize(place + 1, 0);
        }
        self.0[place] = self.0[place].checked_add(1).expect("a task takes fewer than 2^32 steps");
    }
}

impl Clocks {
    #[inline(always)]
    pub(super) fn are_on(&self) -> bool {
        self.on.get()
    }

    /// Begins to keep clocks, for the tasks that live.
    pub(super) fn begin(&self, living: impl Iterator<Item = (u32, Label)>) {
        if !self.on.replace(true) {
            let mut table = self.table.made().borrow_mut();
            living.for_each(|(slot, label)| table.begin(slot, label, None));
        }
    }

    /// A task begins, after what its parent did so far.
    pub(super) fn spawn(&self, parent: Option<u32>, slot: u32, label: Label) {
        self.table.made().borrow_mut().begin(slot, label, parent);
    }

    pub(super) fn end(&self, slot: u32) {
        let mut table = self.table.made().borrow_mut();
        let place = table.place_of[slot as usize];
        table.owners[place as usize].ended = true;
        table.free_if_forgotten(place);
    }

    /// The task goes on after whatever `clock` has seen.
    pub(super) fn acquire(&self, slot: u32, clock: &Clock) {
        self.table.made().borrow_mut().owner(slot).1.clock.join(clock);
    }

    /// Whoever acquires `clock` goes on after what the task did so far.
    pub(super) fn release(&self, slot: u32, clock: &mut Clock) {
        let mut table = self.table.made().borrow_mut();
        let (place, owner) = table.owner(slot);
        clock.join(&owner.clock);
        owner.clock.tick(place);
    }

    pub(super) fn now(&self, slot: u32) -> Moment {
        let mut table = self.table.made().borrow_mut();
        let (place, owner) = table.owner(slot);
        Moment { place, time: owner.clock.time(place) }
    }

    /// Whether the task has seen this moment: whether all that it does comes after it.
    pub(super) fn has_seen(&self, slot: u32, moment: Moment) -> bool {
        self.table.made().borrow_mut().owner(slot).1.clock.time(moment.place) >= moment.time
    }

    pub(super) fn label(&self, moment: Moment) -> Label {
        self.table.made().borrow().owners[moment.place as usize].label
    }

    pub(super) fn remember(&self, moment: Moment) {
        self.table.made().borrow_mut().owners[moment.place as usize].remembered += 1;
    }

    pub(super) fn forget(&self, moment: Moment) {
        let mut table = self.table.made().borrow_mut();
        table.owners[moment.place as usize].remembered -= 1;
        table.free_if_forgotten(moment.place);
    }
}

impl Table {
    fn begin(&mut self, slot: u32, label: Label, parent: Option<u32>) {
        let place = self.free.pop().unwrap_or_else(|| {
            self.owners.push(Owner { label, clock: Clock::default(), ended: false, remembered: 0 });
            self.owners.len() as u32 - 1
        });
        // Its predecessor's clock says how far the place has counted; of the rest it knows what its parent knows.
        let mut clock = std::mem::take(&mut self.owners[place as usize].clock);
        let counted = clock.time(place);
        clock.0.clear();
        if let Some(parent) = parent {
            let (its_place, parent) = self.owner(parent);
            clock.0.extend_from_slice(&parent.clock.0);
            parent.clock.tick(its_place);
        }
        if clock.0.len() <= place as usize {
            clock.0.resize(place as usize + 1, 0);
        }
        clock.0[place as usize] = counted;
        clock.tick(place);
        self.owners[place as usize] = Owner { label, clock, ended: false, remembered: 0 };
        let slot = slot as usize;
        if self.place_of.len() <= slot {
            self.place_of.resize(slot + 1, u32::MAX);
        }
        self.place_of[slot] = place;
    }

    fn owner(&mut self, slot: u32) -> (u32, &mut Owner) {
        let place = self.place_of[slot as usize];
        (place, &mut self.owners[place as usize])
    }

    fn free_if_forgotten(&mut self, place: u32) {
        let owner = &self.owners[place as usize];
        if owner.ended && owner.remembered == 0 {
            self.free.push(place);
        }
    }
}
