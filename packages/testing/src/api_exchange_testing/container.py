"""The adapters in memory under the use cases."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from typing import Final

from dependency_injector import containers, providers

from api_exchange_core import Exchange
from api_exchange_core.containers.operations import Operations
from api_exchange_core.containers.use_cases import UseCases
from api_exchange_core.domain.content_hash import ContentHasher
from api_exchange_core.ports.observer import Observer
from api_exchange_testing.memory.backlog import InMemoryBacklog
from api_exchange_testing.memory.budgets import InMemoryBudgets
from api_exchange_testing.memory.clock import VirtualClock
from api_exchange_testing.memory.credential_store import InMemoryCredentialStore
from api_exchange_testing.memory.dead_letter_jobs import InMemoryDeadLetterJobs
from api_exchange_testing.memory.dead_letters import InMemoryDeadLetters
from api_exchange_testing.memory.entity_reports import InMemoryEntityReports
from api_exchange_testing.memory.eraser import InMemoryEraser
from api_exchange_testing.memory.error_groups import InMemoryErrorGroups
from api_exchange_testing.memory.file_sink import InMemoryFileSink
from api_exchange_testing.memory.leases import InMemoryLeases
from api_exchange_testing.memory.message_reports import InMemoryMessageReports
from api_exchange_testing.memory.observer import RecordingObserver
from api_exchange_testing.memory.profile import PORTABLE, Profile
from api_exchange_testing.memory.queue import InMemoryQueue
from api_exchange_testing.memory.randomness import SeededRandomness
from api_exchange_testing.memory.request_log import InMemoryRequestLog
from api_exchange_testing.memory.retention_store import InMemoryRetentionStore
from api_exchange_testing.memory.sealer import InMemorySealer
from api_exchange_testing.memory.secret_source import InMemorySecretSource
from api_exchange_testing.memory.sleeper import VirtualSleeper
from api_exchange_testing.memory.statistics import InMemoryStatisticsSource
from api_exchange_testing.memory.tenant_directory import InMemoryTenantDirectory
from api_exchange_testing.memory.token_store import InMemoryTokenStore
from api_exchange_testing.memory.unit_of_work import InMemoryStore, InMemoryUnitOfWorkFactory

START: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""When a virtual clock starts that nobody handed in."""


def _store(queue: InMemoryQueue, one_store: bool) -> InMemoryStore:
    return InMemoryStore(queue=queue if one_store else None)


class InMemoryContainer(containers.DeclarativeContainer):
    """An exchange in memory: what `LocalContainer` offers under the same names, without a machine to run it.

    The `store` takes the place of its engine. There is no runner, no settings and no page: `Harness` runs an exchange
    to rest.
    """

    exchange = providers.Dependency(instance_of=Exchange)
    profile: providers.Dependency[Profile] = providers.Dependency(default=providers.Object(PORTABLE))
    one_store: providers.Dependency[bool] = providers.Dependency(default=providers.Object(False))
    seed: providers.Dependency[int] = providers.Dependency(default=providers.Object(0))

    clock: providers.Singleton[VirtualClock] = providers.Singleton(VirtualClock, START)
    randomness = providers.Singleton(SeededRandomness, seed)
    observer: providers.Singleton[Observer] = providers.Singleton(RecordingObserver)
    queue = providers.Singleton(InMemoryQueue, clock, profile=profile)
    store = providers.Singleton(_store, queue, one_store)
    outbox = providers.Singleton(lambda store: store.relay_source, store)
    tenants = providers.Singleton(InMemoryTenantDirectory)
    units = providers.Singleton(InMemoryUnitOfWorkFactory, store)
    files = providers.Singleton(InMemoryFileSink)
    token_store = providers.Singleton(InMemoryTokenStore, clock)
    eraser = providers.Singleton(InMemoryEraser, store, queue=queue, tokens=token_store)
    retention = providers.Singleton(InMemoryRetentionStore, store)
    sleeper = providers.Singleton(VirtualSleeper, clock)
    secrets = providers.Singleton(InMemorySecretSource)
    sealer = providers.Singleton(InMemorySealer)
    credentials = providers.Singleton(InMemoryCredentialStore, store)

    operations = providers.Container(
        Operations,
        clock=clock,
        randomness=randomness,
        observer=observer,
        units=units,
        tenants=tenants,
        queues=queue,
        dead_letters=providers.Singleton(InMemoryDeadLetters, queue),
        dead_letter_jobs=providers.Singleton(InMemoryDeadLetterJobs),
        sleeper=sleeper,
        files=files,
        eraser=eraser,
        messages=providers.Singleton(InMemoryMessageReports, store),
        errors=providers.Singleton(InMemoryErrorGroups, store),
        statistics=providers.Singleton(InMemoryStatisticsSource, store),
        backlog=providers.Singleton(InMemoryBacklog, store, queue),
        entities=providers.Singleton(InMemoryEntityReports, store),
        credentials=credentials,
        sealer=sealer,
        tokens=token_store,
    )
    use_cases = providers.Container(
        UseCases,
        exchange=exchange,
        sleeper=sleeper,
        clock=clock,
        randomness=randomness,
        observer=observer,
        units=units,
        tenants=tenants,
        publisher=queue,
        files=files,
        outbox=outbox,
        leases=providers.Singleton(InMemoryLeases),
        retention=retention,
        eraser=eraser,
        credentials=credentials,
        sealer=sealer,
        requests=providers.Singleton(InMemoryRequestLog, store),
        secrets=secrets,
        budgets=providers.Singleton(InMemoryBudgets, store),
        token_store=token_store,
    )


def in_memory_container(
    exchange: Exchange,
    *,
    clock: VirtualClock | None = None,
    observer: Observer | None = None,
    profile: Profile = PORTABLE,
    one_store: bool = False,
    seed: int = 0,
) -> InMemoryContainer:
    """The container of *exchange* in memory, with every slot filled and the exchange's tenants made known.

    In a test it takes the place of `prepared_container`.

    Args:
        exchange: the application.
        clock: tells the time; one that starts at `START` if not given.
        observer: hears what happens, in place of a `RecordingObserver`.
        profile: of the platform whose queues these stand for.
        one_store: queues and store are one database (as on one machine), not two systems (as in a cloud).
        seed: chooses ids and jitter; the same seed gives the same run.
    """
    container = InMemoryContainer()
    filling = {"exchange": exchange, "profile": profile, "one_store": one_store, "seed": seed}
    _fill(container, filling | _given(clock=clock, observer=observer))
    container.check_dependencies()
    container.tenants().add(exchange.tenants, now=container.clock().now())
    return container


@contextmanager
def lent_container(
    exchange: Exchange,
    *,
    clock: VirtualClock | None,
    observer: Observer,
    profile: Profile,
    seed: int,
    hasher: ContentHasher | None,
) -> Iterator[InMemoryContainer]:
    """As `in_memory_container`, for those who take out what they need at once, and by the hundred.

    Making a container takes milliseconds, and filling one anew a small part of that. What was taken out stays as it
    is; the container is somebody else's after the block.
    """
    with _LOCK:
        container = _container()
        slots = {"exchange": exchange, "profile": profile, "seed": seed, "observer": observer}
        slots |= _given(clock=clock)
        try:
            _fill(container, slots)
            if hasher is not None:
                container.use_cases.hasher.override(providers.Object(hasher))
            container.tenants().add(exchange.tenants, now=container.clock().now())
            yield container
        finally:
            for name in slots:
                container.providers[name].reset_override()
            container.use_cases.hasher.reset_override()
            container.reset_singletons()


_LOCK: Final = threading.Lock()


@cache
def _container() -> InMemoryContainer:
    return InMemoryContainer()


def _given(**slots: object) -> dict[str, object]:
    return {name: value for name, value in slots.items() if value is not None}


def _fill(container: InMemoryContainer, slots: Mapping[str, object]) -> None:
    for name, value in slots.items():
        container.providers[name].override(providers.Object(value))
