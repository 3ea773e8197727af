"""The example on a real database, worked through by one thread on a clock that jumps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final, cast

from dependency_injector import providers
from pydantic import SecretStr
from sqlalchemy import func, select

from api_exchange_core import Message
from api_exchange_core.adapters.crypto.aes_gcm import KEYRING
from api_exchange_core.adapters.crypto.keyring import new_entry
from api_exchange_core.adapters.sql import migrate, schema
from api_exchange_core.adapters.sql.engine import reading
from api_exchange_core.adapters.sql.token_store import SqlTokenStore
from api_exchange_core.adapters.system.secret_source import EnvironmentSecretSource
from api_exchange_core.containers.local import LocalContainer, LocalSettings, local_container
from api_exchange_core.domain.envelope import decode, decode_failure
from api_exchange_core.domain.names import QueueName
from api_exchange_core.http import Limits, Paginator
from api_exchange_core.ports.observer import Observer
from api_exchange_testing import RecordingObserver, VirtualClock
from api_exchange_testing.memory.sleeper import VirtualSleeper
from examples.orders.container import OrdersContainer
from examples.orders.demo import set_accounts
from examples.orders.exchange import declare
from examples.orders.processors import ORDERS
from examples.orders.vendor import VendorApi

START: Final = datetime(2026, 1, 1, tzinfo=UTC)
OUTPUTS: Final = ("express-orders", "standard-orders", "unknown-orders")
VISIBILITY: Final = timedelta(minutes=5)

_ROUNDS: Final = 100
_BETWEEN_ROUNDS: Final = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True)
class Site:
    """What each process of one deployment is told.

    Args:
        database_url: of store and queues.
        shop_url: where the shop answers.
        read_timeout: how long the client waits for a part of an answer.
        key: seals the accounts.
    """

    database_url: str
    shop_url: str
    read_timeout: timedelta = timedelta(seconds=10)
    key: str = field(default_factory=lambda: new_entry("test"), repr=False)

    @contextmanager
    def process(self, observer: Observer, *, orders: Paginator = ORDERS) -> Iterator[LocalContainer]:
        """The container of one process, while it lives; *orders* are how it has the shop's pages."""
        parts = OrdersContainer(shop_url=self.shop_url)
        parts.shop.add_kwargs(limits=Limits(read=self.read_timeout))
        parts.fetch_orders.add_kwargs(orders=orders)
        settings = LocalSettings(database_url=SecretStr(self.database_url), port=0, timers=False)
        container = local_container(declare(parts), settings, observer=observer)
        container.secrets.override(providers.Object(EnvironmentSecretSource({KEYRING: self.key})))
        try:
            with parts.shop():
                yield container
        finally:
            container.engine().dispose()

    def set_up(self, shop: VendorApi) -> None:
        """Make the tables, and set the accounts of both tenants."""
        with self.process(RecordingObserver()) as container:
            migrate.upgrade(container.engine())
            container.tenants().add(container.exchange().tenants, now=START)
            set_accounts(container, shop)


class Machine:
    """One process that works, on a clock of its own.

    Args:
        container: of the process.
        clock: of the process, its waits and its database.
    """

    def __init__(self, container: LocalContainer, clock: VirtualClock) -> None:
        self.container = container
        self.clock = clock
        self.observer = cast("RecordingObserver", container.observer())
        self.exchange = container.exchange()
        container.clock.override(providers.Object(clock))
        container.use_cases.sleeper.override(providers.Object(VirtualSleeper(clock)))
        container.token_store.override(providers.Singleton(SqlTokenStore, container.engine, clock))

    def tick(self) -> None:
        """Fire the timer."""
        function = self.exchange.function("fetch-orders")
        self.container.use_cases.fan_out().fan_out(function, self.clock.now())

    def work(self) -> None:
        """Handle what there is, and let time pass where only that helps, until nothing waits.

        Raises:
            RuntimeError: something still does after more than an hour and a half.
        """
        for _ in range(_ROUNDS):
            while sum(self.work_once(function.name) for function in self.exchange.functions):
                pass
            self.container.use_cases.relay().sweep()
            if not self.waiting():
                return
            self.clock.advance(_BETWEEN_ROUNDS)
        raise RuntimeError(f"not at rest: {dict(self.container.queue().depths())}")

    def work_once(self, name: str) -> bool:
        """Handle one batch of a function; whether there was one."""
        function, queue = self.exchange.function(name), self.container.queue()
        got = queue.receive(function.input_queue, max_messages=100, visibility=VISIBILITY)
        if got:
            queue.settle(self.container.use_cases.handler().handle(function, got))
        return bool(got)

    def waiting(self) -> int:
        """How many messages are still to be handled, be it later."""
        depths = self.container.queue().depths()
        return sum(depths.get(function.input_queue, 0) for function in self.exchange.functions)

    def counts(self, name: str) -> Counter[str]:
        """How often messages of a function ended how, here."""
        return Counter(one.outcome for one in self.observer.summaries if one.function == name)


def arrived(container: LocalContainer) -> Counter[tuple[str, str]]:
    """How often each order lies in the queues of those who ship, by tenant and order."""
    found = (message for name in OUTPUTS for message in map(decode, _bodies(container, name)))
    return Counter((message.tenant_id, _order_id(message)) for message in found)


def versions(container: LocalContainer) -> Mapping[tuple[str, str, str], int]:
    """How many versions each entity has, by tenant, type and order."""
    heads, rows = schema.entities, schema.entity_versions
    named = (heads.c.tenant_id, heads.c.canonical_type, heads.c.external_id)
    same = (rows.c.tenant_id == heads.c.tenant_id) & (rows.c.entity_id == heads.c.id)
    with reading(container.engine()) as connection:
        counted = connection.execute(
            select(*named, func.count()).select_from(heads.join(rows, same)).group_by(*named)
        )
        return {(tenant, kind, order): number for tenant, kind, order, number in counted}


def letters(container: LocalContainer) -> Sequence[tuple[Message, str]]:
    """The dead letters of the extraction, with their reasons."""
    return [
        (decode(body), failure.reason)
        for body in _bodies(container, "fetch-orders-dlq")
        if (failure := decode_failure(body)) is not None
    ]


def by_the(number: int) -> Paginator:
    """The shop's orders, so many a page."""
    return replace(ORDERS, params={"limit": number})


def book_of(shop: VendorApi) -> Sequence[tuple[str, str]]:
    """What there is to extract, by tenant and order."""
    return [(tenant, order["id"]) for tenant in shop.tenants for order in shop.orders(tenant)]


def assert_exact(container: LocalContainer, book: Sequence[tuple[str, str]]) -> None:
    """Each order of the book has one version of each kind, and was forwarded once; nothing else is there."""
    assert arrived(container) == Counter(book)
    kinds = ("customer_order", "canonical_order")
    assert versions(container) == {(tenant, kind, order): 1 for tenant, order in book for kind in kinds}


def _bodies(container: LocalContainer, name: str) -> Sequence[bytes]:
    rows = schema.queue
    with reading(container.engine()) as connection:
        return connection.execute(select(rows.c.body).where(rows.c.queue == QueueName(name))).scalars().all()


def _order_id(message: Message) -> str:
    return str(cast("dict[str, object]", message.payload)["order_id"])
