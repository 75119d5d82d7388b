//! Channels, as Go has them: unbuffered or bounded, with any number of senders and receivers.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as PollContext, Poll, ready};

use crate::id::Label;

use super::clocks::Clock;
use super::core::{Blocking, Core, CoreRef, Order, Place, Waiting, Who};
use super::schedule::Point;
use super::wait::{Line, Ticket};

/// The sending half of a channel; clone it for more senders.
///
/// A channel is closed by [`Sender::close`], or when its last sender is dropped.
///
/// ```
/// # use snowglobe_sim::{Config, World, tasks::Tasks};
/// let program = |_| {
///     Tasks::<()>::new(|rt| async move {
///         let (numbers, squares) = rt.channel("squares", 0);
///         rt.spawn("producer", async move {
///             for n in 1..=3 {
///                 numbers.send(n * n).await.expect("main receives until the channel is closed");
///             }
///         });
///         let mut sum = 0;
///         while let Some(square) = squares.recv().await {
///             sum += square;
///         }
///         assert_eq!(sum, 14);
///     })
/// };
/// World::new(Config::new(1), 1, program).run(&mut ());
/// ```
pub struct Sender<T>(Rc<Channel<T>>);

/// The receiving half of a channel; clone it for more receivers. Each value goes to one of them, the one that
/// has waited longest.
pub struct Receiver<T>(Rc<Channel<T>>);

/// The future of [`Sender::send`].
#[must_use = "nothing is sent until it is awaited"]
pub struct Sending<'a, T> {
    channel: &'a Channel<T>,
    value: Option<T>,
    offer: Option<u64>,
    place: Place,
    point: Point,
}

/// The future of [`Receiver::recv`].
#[must_use = "nothing is received until it is awaited"]
pub struct Receiving<'a, T> {
    channel: &'a Channel<T>,
    ticket: Option<Ticket>,
    place: Place,
    point: Point,
}

struct Channel<T> {
    core: CoreRef,
    name: Label,
    capacity: usize,
    /// What was seen by whoever closed it or left it.
    end: Order,
    state: RefCell<State<T>>,
}

struct State<T> {
    /// Each with what its sender had seen.
    items: VecDeque<(T, Clock)>,
    /// What senders offer that wait for a receiver or for room, by ticket, ascending.
    offers: VecDeque<Offer<T>>,
    next_offer: u64,
    receivers_waiting: Line,
    senders: usize,
    receivers: usize,
    closed: bool,
    passed: Passed,
}

/// What receivers had seen when they took a value: a send into a full buffer comes after the receive that made room for
/// it, and on an unbuffered channel after the receive of its value (the Go memory model). Kept with the clocks only.
#[derive(Default)]
struct Passed {
    /// How many values were put into the buffer.
    buffered: u64,
    /// Of the receives whose room no send has taken yet, in order.
    rooms: VecDeque<Clock>,
    /// Of the receives of what was offered, until their senders come back.
    taken: Vec<(u64, Clock)>,
}

struct Offer<T> {
    ticket: u64,
    value: T,
    seen: Clock,
    who: Who,
    place: Place,
}

pub(super) fn channel<T: 'static>(core: &CoreRef, name: Label, capacity: usize) -> (Sender<T>, Receiver<T>) {
    let state = State {
        items: VecDeque::new(),
        offers: VecDeque::new(),
        next_offer: 0,
        receivers_waiting: Line::default(),
        senders: 1,
        receivers: 1,
        closed: false,
        passed: Passed::default(),
    };
    let (core_of_channel, end) = (core.clone(), core.order(name));
    let channel = Rc::new(Channel { core: core_of_channel, name, capacity, end, state: RefCell::new(state) });
    let weak = Rc::downgrade(&channel);
    core.register(weak);
    (Sender(Rc::clone(&channel)), Receiver(channel))
}

impl<T> Sender<T> {
    /// Sends a value. Waits for a receiver to take it if the channel is unbuffered, or else for room.
    ///
    /// A send that is cancelled while it waits has not happened, unless a receiver took the value at the same
    /// instant: then it is in the receiver's hands, as with a request that timed out.
    ///
    /// The error, with the value, says that the channel is closed or that every receiver is gone. (In Go the
    /// first is a panic and the second waits for ever.)
    #[inline]
    #[track_caller]
    pub fn send(&self, value: T) -> Sending<'_, T> {
        let place = Some(Location::caller());
        Sending { channel: &self.0, value: Some(value), offer: None, place, point: Point::new() }
    }

    /// Closes the channel for all senders. Receivers still get what is buffered, then `None`; sends that wait
    /// fail. Closing twice is harmless.
    pub fn close(&self) {
        self.0.close();
    }

    /// Whether the channel is closed.
    pub fn is_closed(&self) -> bool {
        self.0.core.touch_order(&self.0.end);
        self.0.state.borrow().closed
    }
}

impl<T> Receiver<T> {
    /// Receives the next value, or `None` once the channel is closed and empty.
    #[inline]
    #[track_caller]
    pub fn recv(&self) -> Receiving<'_, T> {
        Receiving { channel: &self.0, ticket: None, place: Some(Location::caller()), point: Point::new() }
    }

    /// Receives a value if there is one that no waiting receiver is meant to get: Go's `select` with a
    /// `default`.
    pub fn try_recv(&self) -> Option<T> {
        self.0.take(&mut None)
    }

    /// How many values are buffered.
    pub fn len(&self) -> usize {
        self.0.core.touch_order(&self.0.end);
        self.0.state.borrow().items.len()
    }

    /// Whether no value is buffered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> Channel<T> {
    /// Takes the next value if it is the ticket holder's turn.
    #[inline]
    fn take(&self, ticket: &mut Option<Ticket>) -> Option<T> {
        self.core.touch_order(&self.end);
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        if !state.receivers_waiting.may_take(*ticket, 1, state.available()) {
            return None;
        }
        let (value, seen, offer) = if let Some((value, seen)) = state.items.pop_front() {
            let offer = state.take_offer(&self.core).map(|offer| {
                state.items.push_back((offer.value, offer.seen));
                offer.ticket
            });
            (value, seen, offer)
        } else {
            let Offer { ticket, value, seen, .. } = state.take_offer(&self.core)?;
            (value, seen, Some(ticket))
        };
        if self.core.clocks().are_on() {
            self.core.acquire_clock(&seen);
            state.passed.receive(&self.core, offer);
        }
        state.receivers_waiting.leave(ticket);
        if state.closed && state.items.is_empty() {
            state.receivers_waiting.call_all(&self.core);
        }
        Some(value)
    }

    fn close(&self) {
        self.core.release(&self.end);
        let mut state = self.state.borrow_mut();
        state.closed = true;
        for offer in &state.offers {
            self.core.wake(&offer.who);
        }
        if state.items.is_empty() {
            state.receivers_waiting.call_all(&self.core);
        }
    }
}

impl<T> State<T> {
    /// How many values could be received now. What is only offered on a closed channel cannot.
    #[inline]
    fn available(&self) -> usize {
        self.items.len() + if self.closed { 0 } else { self.offers.len() }
    }

    #[inline]
    fn take_offer(&mut self, core: &Core) -> Option<Offer<T>> {
        if self.closed {
            return None;
        }
        let offer = self.offers.pop_front()?;
        core.wake(&offer.who);
        Some(offer)
    }

    fn find_offer(&self, ticket: u64) -> Option<usize> {
        self.offers.binary_search_by_key(&ticket, |offer| offer.ticket).ok()
    }
}

impl Passed {
    /// A value is put into the buffer, which has room for `capacity`.
    fn send(&mut self, core: &Core, capacity: usize) {
        if self.buffered >= capacity as u64
            && let Some(room) = self.rooms.pop_front()
        {
            core.acquire_clock(&room);
        }
        self.buffered += 1;
    }

    /// A value is taken, and with it one that was offered, or the room of one that was.
    fn receive(&mut self, core: &Core, offer: Option<u64>) {
        let mut seen = Clock::default();
        core.release_clock(&mut seen);
        match offer {
            Some(ticket) => {
                self.buffered += 1;
                self.taken.push((ticket, seen));
            }
            None => self.rooms.push_back(seen),
        }
    }

    /// What the receiver had seen that took this offer.
    fn settle(&mut self, ticket: u64) -> Option<Clock> {
        let index = self.taken.iter().position(|(taken, _)| *taken == ticket)?;
        Some(self.taken.swap_remove(index).1)
    }
}

// The value is moved, never pinned.
impl<T> Unpin for Sending<'_, T> {}

impl<T> Future for Sending<'_, T> {
    type Output = Result<(), T>;

    fn poll(mut self: Pin<&mut Self>, poll: &mut PollContext<'_>) -> Poll<Result<(), T>> {
        let Channel { core, capacity, state, end, .. } = self.channel;
        ready!(self.point.poll(core, poll));
        core.touch_order(end);
        let mut state = state.borrow_mut();
        let state = &mut *state;
        let gone = state.closed || state.receivers == 0;
        if let Some(ticket) = self.offer {
            let Some(index) = state.find_offer(ticket) else {
                if let Some(seen) = state.passed.settle(ticket) {
                    core.acquire_clock(&seen);
                }
                self.offer = None;
                return Poll::Ready(Ok(()));
            };
            if gone {
                core.acquire(end);
                self.offer = None;
                let offer = state.offers.remove(index).expect("the offer was found");
                return Poll::Ready(Err(offer.value));
            }
            core.refresh(&mut state.offers[index].who, poll);
            return Poll::Pending;
        }
        let value = self.value.take().expect("a send is not polled again after its end");
        if gone {
            core.acquire(end);
            return Poll::Ready(Err(value));
        }
        let mut seen = Clock::default();
        let has_room = state.items.len() < *capacity;
        if has_room {
            if core.clocks().are_on() {
                state.passed.send(core, *capacity);
            }
            core.release_clock(&mut seen);
            state.items.push_back((value, seen));
        } else {
            core.release_clock(&mut seen);
            let ticket = state.next_offer;
            state.next_offer += 1;
            state.offers.push_back(Offer { ticket, value, seen, who: core.who(poll), place: self.place });
            self.offer = Some(ticket);
        }
        state.receivers_waiting.call(state.available(), core);
        if has_room { Poll::Ready(Ok(())) } else { Poll::Pending }
    }
}

impl<T> Drop for Sending<'_, T> {
    fn drop(&mut self) {
        let Some(ticket) = self.offer else { return };
        self.channel.core.touch_order(&self.channel.end);
        let mut state = self.channel.state.borrow_mut();
        state.passed.settle(ticket);
        let withdrawn = state.find_offer(ticket).and_then(|index| state.offers.remove(index));
        // The value's destructor is the user's: it must find the channel free.
        drop(state);
        drop(withdrawn);
    }
}

impl<T> Future for Receiving<'_, T> {
    type Output = Option<T>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, poll: &mut PollContext<'_>) -> Poll<Option<T>> {
        let channel = self.channel;
        ready!(self.point.poll(&channel.core, poll));
        if let Some(value) = channel.take(&mut self.ticket) {
            return Poll::Ready(Some(value));
        }
        let mut state = channel.state.borrow_mut();
        if state.closed && state.items.is_empty() {
            state.receivers_waiting.leave(&mut self.ticket);
            channel.core.acquire(&channel.end);
            return Poll::Ready(None);
        }
        let place = self.place;
        state.receivers_waiting.wait(&mut self.ticket, 1, place, &channel.core, poll);
        Poll::Pending
    }
}

impl<T> Drop for Receiving<'_, T> {
    fn drop(&mut self) {
        if self.ticket.is_some() {
            self.channel.core.touch_order(&self.channel.end);
            let mut state = self.channel.state.borrow_mut();
            let state = &mut *state;
            state.receivers_waiting.leave(&mut self.ticket);
            state.receivers_waiting.call(state.available(), &self.channel.core);
        }
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.state.borrow_mut().senders += 1;
        Self(Rc::clone(&self.0))
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.core.release(&self.0.end);
        let senders = {
            let mut state = self.0.state.borrow_mut();
            state.senders -= 1;
            state.senders
        };
        if senders == 0 {
            self.0.close();
        }
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.0.state.borrow_mut().receivers += 1;
        Self(Rc::clone(&self.0))
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.0.core.release(&self.0.end);
        let mut state = self.0.state.borrow_mut();
        state.receivers -= 1;
        if state.receivers == 0 {
            for offer in &state.offers {
                self.0.core.wake(&offer.who);
            }
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sender({})", self.0.name)
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Receiver({})", self.0.name)
    }
}

impl<T> Blocking for Channel<T> {
    fn report(&self, _: &Core, say: &mut dyn FnMut(Waiting)) {
        let state = self.state.borrow();
        for (task, _, place) in state.receivers_waiting.tasks() {
            let what = format!("a value from channel \"{}\"", self.name);
            say(Waiting { task, place, what, on: Vec::new() });
        }
        for Offer { who, place, .. } in &state.offers {
            let what = if self.capacity == 0 { "a receiver on" } else { "room in" };
            let what = format!("{what} channel \"{}\"", self.name);
            say(Waiting { task: who.task, place: *place, what, on: Vec::new() });
        }
    }
}
