"""One broker and one client for all tests: to open a link takes the client half a second, to close it a whole one."""

from __future__ import annotations

import gc
import logging
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from azure.servicebus import (
    NEXT_AVAILABLE_SESSION,
    ServiceBusClient,
    ServiceBusMessage,
    ServiceBusReceivedMessage,
    ServiceBusReceiver,
    ServiceBusSender,
)

from api_exchange_testing.servicebus import (
    CorrelationFilter,
    Policy,
    Queue,
    Right,
    ServiceBusBroker,
    Subscription,
    Topic,
)

LOCK = timedelta(minutes=1)
H = TypeVar("H", bound="Handler")

PATIENCE = 5.0
"""Seconds to wait for a message that is there."""

MOMENT = 0.2
"""Seconds to wait for one that is not."""


Handler = ServiceBusReceiver | ServiceBusSender


@dataclass
class Links:
    """The links that tests share, opened when first used, and closed all at once."""

    client: ServiceBusClient
    senders: dict[str, ServiceBusSender] = field(default_factory=dict)
    receivers: dict[str, ServiceBusReceiver] = field(default_factory=dict)
    others: list[Handler] = field(default_factory=list)
    clients: list[ServiceBusClient] = field(default_factory=list)

    def sender(self, queue: str) -> ServiceBusSender:
        if queue not in self.senders:
            self.senders[queue] = self.client.get_queue_sender(queue)
        return self.senders[queue]

    def receiver(self, queue: str, **more: Any) -> ServiceBusReceiver:
        key = f"{queue} {sorted(more.items())}"
        if key not in self.receivers:
            self.receivers[key] = self.client.get_queue_receiver(queue, **more)
        return self.receivers[key]

    def session(self, queue: str, session_id: str | None = None, patience: float = 1) -> ServiceBusReceiver:
        wanted = NEXT_AVAILABLE_SESSION if session_id is None else session_id
        return self.keep(
            self.client.get_queue_receiver(queue, session_id=wanted, max_wait_time=patience)
        ).__enter__()

    def connect(self, connection_string: str, **more: Any) -> ServiceBusClient:
        client = ServiceBusClient.from_connection_string(connection_string, **{"retry_total": 0, **more})
        self.clients.append(client)
        return client

    def keep(self, handler: H) -> H:
        self.others.append(handler)
        return handler

    def open(self, *handlers: Handler) -> None:
        """Open several at once, to wait for one only."""
        self.others += handlers
        with ThreadPoolExecutor(len(handlers)) as pool:
            list(pool.map(_open, handlers))

    def send(self, queue: str, *bodies: str, **more: Any) -> None:
        self.sender(queue).send_messages([ServiceBusMessage(body, **more) for body in bodies])

    def receive(self, queue: str, count: int = 1) -> list[ServiceBusReceivedMessage]:
        receiver = self.receiver(queue)
        got: list[ServiceBusReceivedMessage] = []
        while len(got) < count and (
            more := receiver.receive_messages(count - len(got), max_wait_time=PATIENCE)
        ):
            got += more
        return got

    def receive_one(self, queue: str) -> ServiceBusReceivedMessage:
        (message,) = self.receive(queue)
        return message

    def is_empty(self, queue: str) -> bool:
        return self.receiver(queue).receive_messages(max_wait_time=MOMENT) == []

    def close(self) -> None:
        links: list[Handler] = list({*self.senders.values(), *self.receivers.values(), *self.others})
        with ThreadPoolExecutor(max(1, len(links))) as pool:
            list(pool.map(_close, links))
        for client in (self.client, *self.clients):
            client.close()
        for kept in (links, self.senders, self.receivers, self.others, self.clients):
            kept.clear()
        collect_forgotten_sockets()


def _open(handler: Handler) -> None:
    handler.__enter__()


def _close(handler: Handler) -> None:
    handler.close()


def collect_forgotten_sockets() -> None:
    """The client leaves the sockets of broken connections to the garbage collector; the warnings are its alone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture
def forgotten_sockets() -> Iterator[None]:
    yield
    collect_forgotten_sockets()


@pytest.fixture(scope="package")
def broker() -> Iterator[ServiceBusBroker]:
    logging.getLogger("azure.servicebus").setLevel(logging.CRITICAL)  # it logs what the tests provoke
    with ServiceBusBroker(
        queues=[
            Queue("q", lock_duration=LOCK, max_delivery_count=3),
            "at-once",
            "policed",
            "shared",
            Queue("once", duplicate_window=timedelta(minutes=10)),
            Queue("dated", default_time_to_live=timedelta(minutes=5), dead_letter_on_expiry=True),
            Queue("s", requires_session=True, lock_duration=LOCK),
        ],
        topics=[
            Topic(
                "events",
                (
                    Subscription("all"),
                    Subscription(
                        "red", filters=(CorrelationFilter(subject="paint", properties={"colour": "red"}),)
                    ),
                ),
            )
        ],
        policies=[
            Policy("owner", "b3duZXI="),
            Policy("reader", "cmVhZGVy", Right.LISTEN),
            Policy("writer", "d3JpdGVy", Right.SEND),
        ],
    ) as running:
        yield running


@pytest.fixture(scope="package")
def fragile_broker() -> Iterator[ServiceBusBroker]:
    """One whose connections may be dropped, for no other test has any."""
    with ServiceBusBroker(queues=["q"]) as running:
        yield running


@pytest.fixture(scope="package")
def shared_links(broker: ServiceBusBroker) -> Iterator[Links]:
    links = Links(ServiceBusClient.from_connection_string(broker.connection_string, retry_total=0))
    links.open(links.receiver("q"), *(links.sender(queue) for queue in ("q", "once", "dated", "s")))
    yield links
    links.close()


@pytest.fixture
def links(broker: ServiceBusBroker, shared_links: Links) -> Links:
    for queue in ("q", "once", "dated", "s"):  # those that tests share
        broker.purge(queue)
        broker.purge(f"{queue}/$DeadLetterQueue")
    return shared_links
