//! A line of tasks that wait for the same thing, first come, first served.
//!
//! What becomes free is never put into a waiting future's hands: the first in line is *called*, and its share
//! is kept for it until it comes. A future that is dropped after it was called gives its share back, so that
//! cancelling one loses neither a wakeup nor an item.

use std::num::NonZeroU64;
use std::task::Context as PollContext;

use super::core::{Core, Place, TaskRef, Who};
use super::fifo::Fifo;

/// More than this is never free of what is waited for.
pub(super) const MOST: usize = 1 << 31;

/// A place in a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Ticket(NonZeroU64);

impl Ticket {
    /// The ticket with this number, from 1 on.
    #[inline(always)]
    pub(super) fn numbered(number: u64) -> Self {
        Self(NonZeroU64::new(number).expect("no line gives out 2^64 tickets"))
    }
}

#[derive(Debug)]
struct Waiting {
    ticket: Ticket,
    /// How much of the thing it needs.
    need: u32,
    called: bool,
    who: Who,
    /// Where in the program, if that is known.
    place: Place,
}

#[derive(Default, Debug)]
pub(super) struct Line {
    /// By ticket, ascending.
    waiting: Fifo<Waiting>,
    /// The number of the last ticket that was given out; the first is 1.
    last: u64,
    /// How many were called and have not come yet, and how much is kept for them.
    called: u32,
    kept: u32,
}

impl Line {
    /// A line that has given out so many tickets, the last one to this task, which waits for one and was called or not.
    pub(super) fn continuing(last: u64, waiting: Option<TaskRef>, called: bool) -> Self {
        let mut line = Self { last, ..Self::default() };
        if let Some(task) = waiting {
            let ticket = Ticket::numbered(last);
            line.waiting.push_back(Waiting { ticket, need: 1, called, who: Who::own(task), place: None });
            line.called = u32::from(called);
            line.kept = u32::from(called);
        }
        line
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether the holder of this ticket (none: one who has just come) may take `need` out of what is `free`,
    /// what is kept for others included.
    #[inline]
    pub(super) fn may_take(&self, ticket: Option<Ticket>, need: usize, free: usize) -> bool {
        match ticket {
            Some(ticket) => self.is_called(ticket) && need <= free,
            None => self.waiting.len() == self.called as usize && self.kept as usize + need <= free,
        }
    }

    /// Lets the holder of this ticket leave the line with `need` out of what is `free`, if it may take that.
    #[inline(always)]
    pub(super) fn take_turn(&mut self, ticket: &mut Option<Ticket>, need: usize, free: usize) -> bool {
        let Some(held) = *ticket else { return self.may_take(None, need, free) };
        let first = self.waiting.front().filter(|first| first.ticket == held && first.called && need <= free);
        let Some(kept) = first.map(|first| first.need) else {
            let may_take = self.may_take(*ticket, need, free);
            if may_take {
                self.leave(ticket);
            }
            return may_take;
        };
        *ticket = None;
        self.called -= 1;
        self.kept -= kept;
        self.waiting.pop_front();
        true
    }

    #[inline]
    pub(super) fn is_called(&self, ticket: Ticket) -> bool {
        self.find(ticket).and_then(|index| self.waiting.get(index)).is_some_and(|waiting| waiting.called)
    }

    /// Stands in line, or stays in it at the same place. One who came when called and found nothing waits
    /// again.
    #[inline(always)]
    pub(super) fn wait(
        &mut self,
        ticket: &mut Option<Ticket>,
        need: usize,
        place: Place,
        core: &Core,
        poll: &PollContext<'_>,
    ) {
        if ticket.is_some_and(|ticket| self.wait_again(ticket, core, poll)) {
            return;
        }
        self.last += 1;
        let own = Ticket::numbered(self.last);
        // More than there ever is: see `MOST`.
        let need = u32::try_from(need).unwrap_or(u32::MAX);
        self.waiting.push_back(Waiting { ticket: own, need, called: false, who: core.who(poll), place });
        *ticket = Some(own);
    }

    /// Stays in line at the same place; false if the ticket has none.
    #[inline(never)]
    fn wait_again(&mut self, ticket: Ticket, core: &Core, poll: &PollContext<'_>) -> bool {
        let Some(waiting) = self.find(ticket).and_then(|index| self.waiting.get_mut(index)) else {
            return false;
        };
        core.refresh(&mut waiting.who, poll);
        if waiting.called {
            waiting.called = false;
            self.called -= 1;
            self.kept -= waiting.need;
        }
        true
    }

    /// Leaves the line, served or not. The caller then [`Line::call`]s the next if anything is free.
    #[inline]
    pub(super) fn leave(&mut self, ticket: &mut Option<Ticket>) {
        let Some(index) = ticket.take().and_then(|ticket| self.find(ticket)) else { return };
        if let Some(waiting) = self.waiting.remove(index)
            && waiting.called
        {
            self.called -= 1;
            self.kept -= waiting.need;
        }
    }

    /// Calls the only one who waits, if what is free suffices and it needs no waker. It is returned, for the caller to go
    /// on with.
    #[inline(always)]
    pub(super) fn call_lone(&mut self, free: usize) -> Option<TaskRef> {
        if self.waiting.len() != 1 || self.called > 0 {
            return None;
        }
        let only = self.waiting.front_mut().filter(|only| only.need as usize <= free)?;
        let task = only.who.own_task()?;
        only.called = true;
        self.called = 1;
        self.kept = only.need;
        Some(task)
    }

    /// Calls as many as what is free suffices for, in order.
    #[inline]
    pub(super) fn call(&mut self, free: usize, core: &Core) {
        match self.waiting.len() {
            len if len == self.called as usize => {}
            1 => self.call_only(free, core),
            _ => self.call_many(free, core),
        }
    }

    #[inline(never)]
    fn call_many(&mut self, free: usize, core: &Core) {
        for waiting in self.waiting.iter_mut() {
            if waiting.called {
                continue;
            }
            if self.kept as usize + waiting.need as usize > free {
                break;
            }
            waiting.called = true;
            self.called += 1;
            self.kept += waiting.need;
            core.wake(&waiting.who);
        }
    }

    /// Calls the only one who waits, and who was not called yet.
    #[inline(always)]
    fn call_only(&mut self, free: usize, core: &Core) {
        let Some(only) = self.waiting.front_mut().filter(|only| only.need as usize <= free) else { return };
        only.called = true;
        self.called = 1;
        self.kept = only.need;
        core.wake(&only.who);
    }

    /// Calls the first who was not called yet.
    pub(super) fn call_one(&mut self, core: &Core) {
        self.call(self.kept as usize + 1, core);
    }

    /// Calls everyone.
    pub(super) fn call_all(&mut self, core: &Core) {
        self.call(usize::MAX, core);
    }

    /// Who waits, for how much, and where.
    pub(super) fn tasks(&self) -> impl Iterator<Item = (Option<TaskRef>, usize, Place)> + '_ {
        self.waiting.iter().map(|waiting| (waiting.who.task, waiting.need as usize, waiting.place))
    }

    #[inline]
    fn find(&self, ticket: Ticket) -> Option<usize> {
        self.waiting.find_by_key(ticket.0.get(), |waiting| waiting.ticket.0.get())
    }
}
