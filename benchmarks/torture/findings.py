"""What must be true when everything has come to rest, asked of the database and not of the framework."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy import Engine, Row, Select, func, select

from api_exchange_core.adapters.sql.engine import reading
from api_exchange_core.adapters.sql.schema import entities, entity_versions, journal, outbox, queue
from api_exchange_core.domain.envelope import decode
from api_exchange_core.domain.identity import derived_message_id, entity_id
from api_exchange_core.domain.names import MessageId
from benchmarks.torture.exchange import BOOKED, BOOKINGS, FEED
from benchmarks.torture.machine import Place
from benchmarks.torture.workload import Edition, Workload

LETTERS = f"{FEED}-dlq"
KEPT = (BOOKED, LETTERS)
"""Queues that nobody works on; all others are empty at rest."""

_LEFT = select(func.count()).select_from(queue).where(queue.c.queue.not_in(KEPT))
_UNSENT = select(func.count()).select_from(outbox)
_TYPES: dict[str, tuple[str, Callable[[Edition], str]]] = {
    "customer_order": ("external_api", lambda one: one.order),
    "canonical_order": ("transformer", lambda one: one.order),
    "booking": ("books", lambda one: f"{one.order}/{one.edition}"),
}
"""Of each canonical type: the source, and the external id that an edition has there."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that must be true."""

    what: str
    expected: int
    found: int

    @property
    def holds(self) -> bool:
        """Whether it is."""
        return self.expected == self.found


def waiting(store: Engine, queues: Engine) -> int:
    """How much is still to be done; 0 at rest."""
    with reading(queues) as connection:
        left: int = connection.execute(_LEFT).scalar_one()
    with reading(store) as connection:
        unsent: int = connection.execute(_UNSENT).scalar_one()
    return left + unsent


@dataclass(frozen=True)
class AtRest:
    """The databases when nothing moves any more, beside what was sent.

    Args:
        workload: what was sent.
        store, queues: the databases.
        place: whose output files are read.
    """

    workload: Workload
    store: Engine
    queues: Engine
    place: Place

    def findings(self) -> list[Finding]:
        """All that must be true."""
        return [
            *self._messages(),
            *self._entities(),
            *self._outputs(),
            *self._letters(),
            *self._left_over(),
            Finding("rows of one tenant under another", 0, self._crossed),
        ]

    @cached_property
    def _good(self) -> Sequence[Edition]:
        return [one for one in self.workload.editions if one.kind != "poison"]

    @cached_property
    def _poison(self) -> set[str]:
        return {id_ for one in self.workload.editions if one.kind == "poison" for id_ in one.messages}

    @cached_property
    def _journal(self) -> Sequence[Row[Any]]:
        return self._all(self.store, select(journal))

    @cached_property
    def _completed(self) -> set[tuple[str, str]]:
        return {(row.function, row.message_id) for row in self._journal if row.state == "completed"}

    @cached_property
    def _versions(self) -> Sequence[Row[Any]]:
        return self._all(self.store, select(entity_versions))

    @cached_property
    def _queued(self) -> Sequence[Row[Any]]:
        return self._all(self.queues, select(queue))

    def _all(self, engine: Engine, wanted: Select[Any]) -> Sequence[Row[Any]]:
        with reading(engine) as connection:
            return connection.execute(wanted).all()

    def _messages(self) -> Iterator[Finding]:
        received = {("fetch-orders", id_) for one in self._good for id_ in one.messages}
        yield Finding("sent messages processed", len(received), len(received & self._completed))
        taken = [self._ways_taken(one) for one in self._good]
        yield Finding("editions that went their whole way", len(self._good), sum(ways >= 1 for ways in taken))
        yield Finding("editions that went it twice", 0, sum(ways > 1 for ways in taken))
        known = {step for one in self._good for id_ in one.messages for step in one.way(id_)}
        yield Finding("messages that nobody sent", 0, len(self._completed - known))
        died = {row.message_id for row in self._journal if row.state == "dead"}
        yield Finding("messages given up", len(self._poison), len(died))
        unfinished = sum(row.state not in ("completed", "dead") for row in self._journal)
        yield Finding("messages begun and not ended", 0, unfinished)

    def _ways_taken(self, edition: Edition) -> int:
        return sum(all(step in self._completed for step in edition.way(id_)) for id_ in edition.messages)

    def _entities(self) -> Iterator[Finding]:
        heads = {(row.tenant_id, row.id): row for row in self._all(self.store, select(entities))}
        wanted = Counter(
            (
                one.tenant,
                entity_id(
                    tenant_id=one.tenant, canonical_type=type_, source=source, external_id=external_id(one)
                ),
            )
            for type_, (source, external_id) in _TYPES.items()
            for one in self._good
        )
        yield Finding("entities", len(wanted), len(heads))
        yield Finding("entities that nobody sent", 0, len(heads.keys() - wanted.keys()))
        yield Finding("versions", wanted.total(), len(self._versions))
        histories = defaultdict(list)
        for row in self._versions:
            histories[row.tenant_id, row.entity_id].append(row)
        for history in histories.values():
            history.sort(key=lambda row: row.version)
        counts = {id_: [row.version for row in history] for id_, history in histories.items()}
        gaps = sum(versions != list(range(1, len(versions) + 1)) for versions in counts.values())
        yield Finding("entities with a gap or a twin among their versions", 0, gaps)
        wrong = sum(len(counts.get(id_, ())) != count for id_, count in wanted.items())
        yield Finding("entities with too few or too many versions", 0, wrong)
        stale = sum(
            (head.version, head.content_hash) != (histories[id_][-1].version, histories[id_][-1].content_hash)
            if id_ in histories
            else True
            for id_, head in heads.items()
        )
        yield Finding("heads that are not their last version", 0, stale)
        twice = Counter((row.entity_id, row.message_id) for row in self._versions)
        yield Finding("messages that made two versions", 0, sum(count > 1 for count in twice.values()))

    def _outputs(self) -> Iterator[Finding]:
        booked = Counter(row.message_id for row in self._queued if row.queue == BOOKED)
        yield Finding("bookings sent on", len(self._good), len(booked))
        if self.place.queues_here:
            yield Finding("bookings sent on twice", 0, _again(booked))
        lines = Counter(decode(line).id for line in self._lines())
        yield Finding("bookings in files", len(self._good), len(lines))
        yield Finding("bookings sent or filed that were not made", 0, len({*booked, *lines} - self._bookings))

    @cached_property
    def _bookings(self) -> set[MessageId]:
        return {
            derived_message_id(one.booking(id_), f"book-{one.kind}", f"{output}.0")
            for one in self._good
            for id_ in one.messages
            for output in (0, 1)
        }

    def _lines(self) -> Iterable[bytes]:
        for file in (self.place.folder / "output").glob(f"*/{BOOKINGS}"):
            yield from file.read_bytes().splitlines()

    def _letters(self) -> Iterator[Finding]:
        letters = Counter(row.message_id for row in self._queued if row.queue.endswith("-dlq"))
        yield Finding("dead letters", len(self._poison), letters.total())
        yield Finding("dead letters that should be none", 0, len(letters.keys() - self._poison))
        processed = {id_ for _, id_ in self._completed}
        yield Finding("messages in two places", 0, len(letters.keys() & processed) + _again(letters))

    def _left_over(self) -> Iterator[Finding]:
        yield Finding("messages left in queues", 0, sum(row.queue not in KEPT for row in self._queued))
        yield Finding("rows left in the outbox", 0, len(self._all(self.store, select(outbox.c.id))))

    @property
    def _crossed(self) -> int:
        """Rows whose tenant is not that of the message they come from."""
        owners: dict[str, str] = {}
        for one in self.workload.editions:
            for id_ in one.messages:
                owners |= {step: one.tenant for _, step in one.way(id_)} if one.kind != "poison" else {}
                owners[id_] = one.tenant
        rows = [*self._journal, *self._versions]
        crossed: int = sum(owners.get(row.message_id, row.tenant_id) != row.tenant_id for row in rows)
        booked = [row for row in self._queued if row.queue == BOOKED]
        sent: int = sum(_payload_tenant(row.body) != row.tenant_id for row in booked)
        return crossed + sent


def _payload_tenant(body: bytes) -> object:
    payload = decode(body).payload
    return payload["tenant"] if isinstance(payload, dict) else None


def _again(counts: Counter[str]) -> int:
    return counts.total() - len(counts)
