"""One AMQP connection without its socket: proton's engine, which turns bytes into calls and calls into bytes."""

from __future__ import annotations

import time
from typing import Any, Protocol

import proton

from api_exchange_testing.servicebus.wire.link import Link, Settlement, Transfer, outcome_of


class Peer(Protocol):
    """What hears of a connection's events."""

    def attached(self, link: Link) -> None:
        """The client asks for a link."""

    def detached(self, link: Link) -> None:
        """A link is gone, with its connection perhaps."""

    def arrived(self, link: Link, transfer: Transfer) -> None:
        """A message came, whole."""

    def settled(self, link: Link, settlement: Settlement) -> None:
        """The client says what became of a message."""


class Engine:
    """Turns bytes of a connection into calls of a peer, and what the peer does into bytes."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._links: dict[proton.Link, Link] = {}
        self._transport = proton.Transport(proton.Transport.SERVER)
        self._transport.sasl().allowed_mechs("ANONYMOUS")
        self._connection = proton.Connection()
        self._collector = proton.Collector()
        self._connection.collect(self._collector)
        self._transport.bind(self._connection)

    def feed(self, received: bytes) -> None:
        """Take bytes from the socket; no bytes are its end."""
        if not received:
            self._transport.close_tail()
        while received:
            room = self._transport.capacity()
            if room <= 0:
                break  # the connection is closing, and hears no more
            self._transport.push(received[:room])
            received = received[room:]
            self._handle_events()
        self._handle_events()

    def pending(self) -> bytes:
        """What is to be written to the socket."""
        size = self._transport.pending()
        return (self._transport.peek(size) or b"") if size > 0 else b""

    def written(self, count: int) -> None:
        """So many bytes of `pending` were written."""
        self._transport.pop(count)
        self._handle_events()

    def tick(self) -> None:
        """Send what keeps an idle connection alive."""
        self._transport.tick(time.monotonic())

    @property
    def is_closed(self) -> bool:
        """Whether nothing will be written any more."""
        return bool(self._transport.pending() < 0)

    def drop(self) -> None:
        """The socket is gone: so are the links."""
        gone, self._links = list(self._links.values()), {}
        for link in gone:
            self._peer.detached(link)

    def _handle_events(self) -> None:
        while (event := self._collector.peek()) is not None:
            self._handle(event)
            self._collector.pop()

    def _handle(self, event: proton.Event) -> None:
        subject: Any = event.context  # a connection, session, link or delivery, as the event's type tells
        match event.type:
            case proton.Event.CONNECTION_REMOTE_OPEN:
                subject.container = "servicebus-broker"
                subject.open()
            case proton.Event.SESSION_REMOTE_OPEN:
                subject.open()
            case proton.Event.CONNECTION_REMOTE_CLOSE | proton.Event.SESSION_REMOTE_CLOSE:
                subject.close()
            case proton.Event.LINK_REMOTE_OPEN:
                link = self._links[subject] = Link(subject)
                self._peer.attached(link)
            case proton.Event.LINK_REMOTE_CLOSE | proton.Event.LINK_REMOTE_DETACH:
                self._detach(subject)
            case proton.Event.DELIVERY:
                self._deliver(subject)

    def _detach(self, link: proton.Link) -> None:
        link.close()
        gone = self._links.pop(link, None)
        if gone is not None:
            self._peer.detached(gone)

    def _deliver(self, delivery: proton.Delivery) -> None:
        link = self._links.get(delivery.link)
        if link is None:
            delivery.settle()
        elif not link.sends:
            self._receive(link, delivery)
        elif delivery.updated or delivery.settled:
            self._hear(link, delivery)

    def _receive(self, link: Link, delivery: proton.Delivery) -> None:
        if delivery.readable and not delivery.partial:
            receiver = delivery.link
            assert isinstance(receiver, proton.Receiver)
            payload = bytes(receiver.recv(delivery.pending) or b"")
            receiver.advance()
            receiver.flow(1)
            self._peer.arrived(link, Transfer(delivery, payload))

    def _hear(self, link: Link, delivery: proton.Delivery) -> None:
        outcome = outcome_of(delivery)
        if outcome is not None and not delivery.local_state:
            self._peer.settled(link, Settlement(delivery, outcome))
        elif delivery.settled:
            delivery.settle()
