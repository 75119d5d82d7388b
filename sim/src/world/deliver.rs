//! What arrives: datagrams, and the packets of connections.

use crate::dice::Purpose;
use crate::id::{EventId, Kind, Label, NodeId};
use crate::message::Message;
use crate::network::Corruption;
use crate::observe::{DropReason, Observer, Record, Stamp};
use crate::process::Process;
use crate::stream::{
    BREAK_AFTER, ConnectionId, Endpoint, Packet, RETRANSMIT_AFTER, RETRANSMIT_MAX, Segment, StreamEvent,
};
use crate::time::Nanos;

use super::apply::{on_connection, segment_label};
use super::{InFlight, Pending, World};

impl<P: Process> World<P> {
    /// Hands a datagram to its receiver's handler; false if it does not get there.
    #[inline(always)]
    pub(super) fn deliver<O: Observer<P::Message>>(
        &mut self,
        (id, by): (EventId, EventId),
        (from, to): (NodeId, NodeId),
        message: P::Message,
        corrupt: bool,
        observer: &mut O,
    ) -> bool {
        if self.nodes[to.index()].process.is_none() || corrupt || !self.cuts.is_empty() {
            return self.deliver_through((id, by), (from, to), message, corrupt, observer);
        }
        self.hand_over(Stamp { time: self.now, node: to, id, by }, from, message, observer);
        true
    }

    #[inline(always)]
    fn hand_over<O: Observer<P::Message>>(
        &mut self,
        stamp: Stamp,
        from: NodeId,
        message: P::Message,
        observer: &mut O,
    ) {
        if O::ACTIVE {
            let label = message.label();
            observer.observe(stamp, &Record::Receive { from, label, connection: None, message: &message });
        }
        self.ask(stamp, |process, ctx| process.on_message(ctx, from, message));
    }

    /// The same through what may be in its way.
    #[cold]
    #[inline(never)]
    fn deliver_through<O: Observer<P::Message>>(
        &mut self,
        (id, by): (EventId, EventId),
        (from, to): (NodeId, NodeId),
        mut message: P::Message,
        corrupt: bool,
        observer: &mut O,
    ) -> bool {
        let stamp = Stamp { time: self.now, node: to, id, by };
        let reason = if self.nodes[to.index()].process.is_none() {
            self.counts.receiver_down += 1;
            DropReason::Down
        } else if self.is_cut(from, to) {
            self.counts.cut += 1;
            DropReason::Partition
        } else if corrupt && !self.damage(stamp, from, &mut message) {
            DropReason::Corrupt
        } else {
            self.hand_over(stamp, from, message, observer);
            return true;
        };
        self.drop_message(stamp, from, message.label(), reason, observer);
        false
    }

    /// Damages a message unnoticed; false if it is noticed.
    fn damage(&mut self, stamp: Stamp, from: NodeId, message: &mut P::Message) -> bool {
        let link = self.network.link(from, stamp.node);
        let unnoticed = link.corruption_kind == Corruption::Undetected
            && message.corrupt(self.dice.of(stamp.id).bits(Purpose::DAMAGE));
        if unnoticed {
            std::hash::Hash::hash(message, &mut self.digest);
        }
        unnoticed
    }

    fn endpoint(&mut self, node: NodeId, connection: ConnectionId) -> Option<&mut Endpoint<P::Message>> {
        self.nodes[node.index()].endpoints.as_mut()?.get_mut(&connection)
    }

    fn open_endpoint(&mut self, node: NodeId, connection: ConnectionId, endpoint: Endpoint<P::Message>) {
        self.nodes[node.index()].endpoints.get_or_insert_default().insert(connection, endpoint);
    }

    fn close_endpoint(&mut self, node: NodeId, connection: ConnectionId) -> Option<Endpoint<P::Message>> {
        self.nodes[node.index()].endpoints.as_mut()?.remove(&connection)
    }

    pub(super) fn connect<O: Observer<P::Message>>(&mut self, stamp: Stamp, peer: NodeId, observer: &mut O) {
        assert!(peer.index() < self.nodes.len(), "{} connects to {peer}, which does not exist", stamp.node);
        let connection = ConnectionId(stamp.id);
        self.digest.absorb(stamp.id.0);
        observer.observe(stamp, &Record::Stream { label: Label::new("connect"), peer, connection });
        self.open_endpoint(stamp.node, connection, Endpoint::new(peer, false));
        self.send_packet(stamp.id, InFlight { from: stamp.node, to: peer, connection, packet: Packet::Open });
    }

    pub(super) fn send_segment<O: Observer<P::Message>>(
        &mut self,
        stamp: Stamp,
        connection: ConnectionId,
        segment: Segment<P::Message>,
        observer: &mut O,
    ) {
        let Stamp { id, node: from, .. } = stamp;
        self.digest.absorb(id.0);
        if let Segment::Data(message) = &segment {
            std::hash::Hash::hash(message, &mut self.digest);
        }
        let Some(endpoint) = self.endpoint(from, connection) else { return };
        let to = endpoint.peer;
        if !endpoint.open {
            endpoint.outbox.push((id, segment));
            return;
        }
        let number = endpoint.next_send;
        endpoint.next_send += 1;
        let is_close = matches!(segment, Segment::Close);
        let message = match &segment {
            Segment::Data(message) if O::ACTIVE => Some(message.clone()),
            _ => None,
        };
        let label = segment_label(&segment);
        let packet = Packet::Segment { number, segment };
        let delay = self.send_packet(id, InFlight { from, to, connection, packet });
        if let Some(message) = message {
            let fate = delay.as_slice();
            let connection = Some(connection);
            observer.observe(stamp, &Record::Send { to, label, fate, connection, message: &message });
        }
        if is_close {
            observer.observe(stamp, &Record::Stream { label, peer: to, connection });
            self.close_endpoint(from, connection);
        }
    }

    /// Puts a packet under way and returns its delay; if it cannot get through, the sender's end breaks instead.
    fn send_packet(&mut self, id: EventId, in_flight: InFlight<P::Message>) -> Option<Nanos> {
        let InFlight { from, to, connection, .. } = in_flight;
        let delay = self.packet_delay(id, from, to).filter(|_| !self.is_cut(from, to));
        if let Some(delay) = delay {
            let event = || Pending::Packet(Box::new(in_flight));
            self.schedule(self.now.saturating_add(delay), id.delivery(0), id, event);
        } else {
            self.break_own_end(id, from, to, connection);
        }
        delay
    }

    /// How long a packet takes with all its retransmissions; `None` if there are too many.
    fn packet_delay(&mut self, id: EventId, from: NodeId, to: NodeId) -> Option<Nanos> {
        if let Some(fixed) = self.overrides.fate(id) {
            return fixed.first().copied();
        }
        let link =
            if self.is_calm() { self.network.link(from, to).calm() } else { *self.network.link(from, to) };
        let dice = self.dice.of(id);
        let mut delay = link.delay.sample(dice.bits(Purpose::DELAY));
        if dice.chance(Purpose::LATE, link.late) {
            delay = delay.saturating_add(link.late_delay.sample(dice.bits(Purpose::LATE_DELAY)));
        }
        let losses =
            (0..=RETRANSMIT_MAX).take_while(|n| dice.chance(Purpose::RETRANSMIT.nth(*n), link.loss)).count();
        self.counts.lost += losses as u64;
        let losses = losses as u32;
        (losses <= RETRANSMIT_MAX).then(|| delay.saturating_add(RETRANSMIT_AFTER * Nanos::from(losses)))
    }

    fn break_own_end(&mut self, id: EventId, from: NodeId, to: NodeId, connection: ConnectionId) {
        self.give_up(id, id, to, from, connection);
    }

    /// Lets `to` give up its end of a connection with `from` in a while.
    fn give_up(&mut self, id: EventId, by: EventId, from: NodeId, to: NodeId, connection: ConnectionId) {
        let id = id.child(EventId::like(Kind::StreamBreak, 1, connection.0.0), 0);
        let at = self.now.saturating_add(BREAK_AFTER);
        let in_flight = InFlight { from, to, connection, packet: Packet::GiveUp };
        self.schedule(at, id, by, || Pending::Packet(Box::new(in_flight)));
    }

    /// Tells the other end of a connection, as soon as the network lets it, that it is gone.
    pub(super) fn send_break(&mut self, by: EventId, in_flight: InFlight<P::Message>) {
        let id = by.child(on_connection(Kind::StreamBreak, in_flight.connection), in_flight.to.0);
        let link = *self.network.link(in_flight.from, in_flight.to);
        let delay = link.delay.sample(self.dice.of(id).bits(Purpose::DELAY));
        self.schedule(self.now.saturating_add(delay), id, by, || Pending::Packet(Box::new(in_flight)));
    }

    /// Asks both ends of every connection across a new cut, in a while, whether it is still there.
    pub(super) fn probe_connections(&mut self, fault: EventId, nodes: &[NodeId]) {
        for node in nodes {
            let across: Vec<(ConnectionId, NodeId)> = self.nodes[node.index()]
                .endpoints
                .iter()
                .flat_map(|endpoints| endpoints.iter())
                .filter(|(_, endpoint)| {
                    self.is_cut(*node, endpoint.peer) || self.is_cut(endpoint.peer, *node)
                })
                .map(|(connection, endpoint)| (*connection, endpoint.peer))
                .collect();
            for (connection, peer) in across {
                let id = fault.child(on_connection(Kind::StreamBreak, connection), node.0);
                let in_flight = InFlight { from: peer, to: *node, connection, packet: Packet::Probe };
                let at = self.now.saturating_add(BREAK_AFTER);
                // By the record of the fault on this node: the fault itself has none.
                let by = fault.child(EventId::like(Kind::Fault, node.0, 0), 0);
                self.schedule(at, id, by, || Pending::Packet(Box::new(in_flight)));
            }
        }
    }

    #[inline(never)]
    pub(super) fn deliver_packet<O: Observer<P::Message>>(
        &mut self,
        id: EventId,
        by: EventId,
        in_flight: InFlight<P::Message>,
        observer: &mut O,
    ) {
        let InFlight { from, to, connection, packet } = in_flight;
        let stamp = Stamp { time: self.now, node: to, id, by };
        match packet {
            // Through a partition nobody says so; the silence does, in time.
            Packet::Break if self.is_cut(from, to) => {
                if self.endpoint(to, connection).is_some() {
                    self.give_up(id, by, from, to, connection);
                }
            }
            Packet::Break => {
                self.break_end(stamp, from, connection, observer);
            }
            Packet::Probe if !self.is_cut(from, to) && !self.is_cut(to, from) => {}
            Packet::GiveUp | Packet::Probe => {
                // The other end must learn of it too, or it would wait for ever.
                let cause = if self.break_end(stamp, from, connection, observer) { id } else { by };
                self.send_break(cause, InFlight { from: to, to: from, connection, packet: Packet::Break });
            }
            _ if self.nodes[to.index()].process.is_none() => {
                self.counts.receiver_down += 1;
                self.drop_message(stamp, from, packet_label(&packet), DropReason::Down, observer);
                self.break_own_end(id, from, to, connection);
            }
            _ if self.is_cut(from, to) => {
                self.counts.cut += 1;
                self.drop_message(stamp, from, packet_label(&packet), DropReason::Partition, observer);
                self.break_own_end(id, from, to, connection);
            }
            Packet::Open => {
                self.open_endpoint(to, connection, Endpoint::new(from, true));
                observer
                    .observe(stamp, &Record::Stream { label: Label::new("accept"), peer: from, connection });
                self.send_packet(id, InFlight { from: to, to: from, connection, packet: Packet::Accept });
                self.handle_rarely(stamp, observer, |process, ctx| {
                    process.on_stream(ctx, connection, StreamEvent::Accepted { from });
                });
            }
            Packet::Accept => self.open_end(stamp, from, connection, observer),
            Packet::Segment { number, segment } => {
                self.accept_segment(stamp, from, connection, number, segment, observer);
            }
        }
    }

    fn open_end<O: Observer<P::Message>>(
        &mut self,
        stamp: Stamp,
        peer: NodeId,
        connection: ConnectionId,
        observer: &mut O,
    ) {
        let Some(endpoint) = self.endpoint(stamp.node, connection) else {
            return self.refuse(stamp, peer, connection, Label::new("accept"), observer);
        };
        endpoint.open = true;
        let outbox = std::mem::take(&mut endpoint.outbox);
        observer.observe(stamp, &Record::Stream { label: Label::new("open"), peer, connection });
        for (id, segment) in outbox {
            self.send_segment(Stamp { id, by: stamp.id, ..stamp }, connection, segment, observer);
        }
        self.hand_over_next(stamp.node, peer, connection);
        self.handle_rarely(stamp, observer, |process, ctx| {
            process.on_stream(ctx, connection, StreamEvent::Opened);
        });
    }

    fn accept_segment<O: Observer<P::Message>>(
        &mut self,
        stamp: Stamp,
        from: NodeId,
        connection: ConnectionId,
        number: u32,
        segment: Segment<P::Message>,
        observer: &mut O,
    ) {
        let Some(endpoint) = self.endpoint(stamp.node, connection) else {
            return self.refuse(stamp, from, connection, segment_label(&segment), observer);
        };
        if number != endpoint.next_receive || !endpoint.open {
            endpoint.inbox.insert(number, (stamp.id, stamp.by, segment));
            return;
        }
        endpoint.next_receive += 1;
        self.hand_over_next(stamp.node, from, connection);
        match segment {
            Segment::Data(message) => {
                if O::ACTIVE {
                    let (label, connection) = (message.label(), Some(connection));
                    observer.observe(stamp, &Record::Receive { from, label, connection, message: &message });
                }
                self.handle_rarely(stamp, observer, |process, ctx| {
                    process.on_stream(ctx, connection, StreamEvent::Received(message));
                });
            }
            Segment::Close => {
                self.close_endpoint(stamp.node, connection);
                observer
                    .observe(stamp, &Record::Stream { label: Label::new("close"), peer: from, connection });
                self.handle_rarely(stamp, observer, |process, ctx| {
                    process.on_stream(ctx, connection, StreamEvent::Closed);
                });
            }
        }
    }

    /// Lets what waited for the segment before it follow at the same instant, as the event it was.
    fn hand_over_next(&mut self, node: NodeId, from: NodeId, connection: ConnectionId) {
        let Some(endpoint) = self.endpoint(node, connection) else { return };
        let number = endpoint.next_receive;
        if let Some((arrival, sent, segment)) = endpoint.inbox.remove(&number) {
            let packet = Packet::Segment { number, segment };
            let in_flight = InFlight { from, to: node, connection, packet };
            self.schedule(self.now, arrival, sent, || Pending::Packet(Box::new(in_flight)));
        }
    }

    /// Drops what came for a connection that is gone, and says so to the sender.
    fn refuse<O: Observer<P::Message>>(
        &mut self,
        stamp: Stamp,
        from: NodeId,
        connection: ConnectionId,
        label: Label,
        observer: &mut O,
    ) {
        self.drop_message(stamp, from, label, DropReason::Closed, observer);
        let packet = Packet::Break;
        self.send_break(stamp.id, InFlight { from: stamp.node, to: from, connection, packet });
    }

    /// Breaks one end of a connection; false if it was gone already.
    fn break_end<O: Observer<P::Message>>(
        &mut self,
        stamp: Stamp,
        peer: NodeId,
        connection: ConnectionId,
        observer: &mut O,
    ) -> bool {
        if self.close_endpoint(stamp.node, connection).is_none() {
            return false;
        }
        self.counts.connections_broken += 1;
        observer.observe(stamp, &Record::Stream { label: Label::new("broken"), peer, connection });
        self.handle_rarely(stamp, observer, |process, ctx| {
            process.on_stream(ctx, connection, StreamEvent::Broken);
        });
        true
    }
}

fn packet_label<M: Message>(packet: &Packet<M>) -> Label {
    match packet {
        Packet::Open => Label::new("open"),
        Packet::Accept => Label::new("accept"),
        Packet::Segment { segment, .. } => segment_label(segment),
        Packet::Break => Label::new("break"),
        Packet::GiveUp => Label::new("give up"),
        Packet::Probe => Label::new("probe"),
    }
}
