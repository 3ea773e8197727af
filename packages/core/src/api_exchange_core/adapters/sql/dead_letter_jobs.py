"""Jobs on dead letters in two tables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from pydantic import TypeAdapter
from sqlalchemy import (
    Connection,
    Engine,
    Row,
    Select,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)
from typing_extensions import override

from api_exchange_core.adapters.sql.across_tenants import reading, writing, writing_once
from api_exchange_core.adapters.sql.many_rows import ForEachRow, InsertRows
from api_exchange_core.adapters.sql.schema import dead_letter_job_items as items
from api_exchange_core.adapters.sql.schema import dead_letter_jobs as jobs
from api_exchange_core.domain.dead_letter import LetterFilter
from api_exchange_core.domain.dead_letter_job import (
    OPEN_STATES,
    ItemState,
    Job,
    JobAction,
    JobId,
    JobItem,
    JobOrder,
)
from api_exchange_core.domain.errors import ClaimLostError
from api_exchange_core.domain.pace import Pace
from api_exchange_core.ports.dead_letter_jobs import DeadLetterJobs, HeldJob

_FILTER: Final = TypeAdapter(LetterFilter)

_ADD_ITEMS = InsertRows(items)
_END = ForEachRow(
    {"job_id": items.c.job_id.type, "place": items.c.place.type}
    | {"state": items.c.state.type, "ended_at": items.c.ended_at.type},
    lambda row: (
        update(items)
        .where(items.c.job_id == row["job_id"], items.c.place == row["place"])
        .values(state=row["state"], ended_at=row["ended_at"])
    ),
)
_CLAIM = (
    update(jobs)
    .where(
        jobs.c.id == bindparam("job"),
        jobs.c.finished_at.is_(None),
        or_(jobs.c.held_until.is_(None), jobs.c.held_until <= bindparam("now", type_=jobs.c.held_until.type)),
    )
    .values(holder=bindparam("by"), held_until=bindparam("until"))
)
_NEXT = (
    select(items)
    .where(items.c.job_id == bindparam("job"), items.c.state.in_(OPEN_STATES))
    .order_by(items.c.place)
    .limit(bindparam("most"))
)
_COUNTS = (
    select(items.c.job_id, items.c.state, func.count())
    .where(items.c.job_id.in_(bindparam("jobs", expanding=True)))
    .group_by(items.c.job_id, items.c.state)
)


@dataclass(frozen=True, slots=True)
class SqlDeadLetterJobs(DeadLetterJobs):
    """The books of a database."""

    engine: Engine

    @override
    def add(self, order: JobOrder, *, now: datetime) -> JobId:
        row = {
            "action": order.action,
            "ordered_by": order.by,
            "ordered_at": now,
            "filter": _FILTER.dump_python(order.filter, mode="json", exclude_defaults=True),
            "rate": None if order.pace is None else order.pace.per_second,
            "ramp": None if order.pace is None else order.pace.ramp,
            "most": order.most,
        }
        with writing_once(self.engine) as connection:
            return JobId(connection.execute(insert(jobs).returning(jobs.c.id), row).scalar_one())

    @override
    def claim(self, job_id: JobId, *, holder: str, lease: timedelta, now: datetime) -> HeldJob | None:
        claim = {"job": job_id, "by": holder, "until": now + lease, "now": now}
        with writing_once(self.engine) as connection:
            taken = connection.execute(_CLAIM, claim).rowcount == 1
        return SqlHeldJob(self.engine, job_id, holder, lease) if taken else None

    @override
    def get(self, job_id: JobId) -> Job | None:
        return next(iter(self._read(select(jobs).where(jobs.c.id == job_id))), None)

    @override
    def newest(self, most: int) -> Sequence[Job]:
        return self._read(select(jobs).order_by(jobs.c.id.desc()).limit(most))

    @override
    def items(self, job_id: JobId, *, start: int, most: int) -> Sequence[JobItem]:
        wanted = (
            select(items)
            .where(items.c.job_id == job_id, items.c.place >= start)
            .order_by(items.c.place)
            .limit(most)
        )
        with reading(self.engine) as connection:
            return [_item(row) for row in connection.execute(wanted)]

    def _read(self, wanted: Select[Any]) -> Sequence[Job]:
        counts: defaultdict[int, dict[ItemState, int]] = defaultdict(dict)
        with reading(self.engine) as connection:
            rows = connection.execute(wanted).all()
            for job_id, state, number in connection.execute(_COUNTS, {"jobs": [row.id for row in rows]}):
                counts[job_id][ItemState(state)] = number
        return [_job(row, counts[row.id]) for row in rows]


@dataclass(frozen=True, slots=True)
class SqlHeldJob(HeldJob):
    """A job in hand. Every call begins with a write to the job's row that finds it only while it is in hand."""

    engine: Engine
    job_id: JobId
    holder: str
    lease: timedelta

    @override
    def select(self, items_: Sequence[JobItem], *, start: int, now: datetime) -> None:
        rows = [self._row(place, item) for place, item in enumerate(items_, start)]
        with self._held({"held_until": now + self.lease}) as connection:
            connection.execute(delete(items).where(items.c.job_id == self.job_id, items.c.place >= start))
            if rows:
                _ADD_ITEMS.run(connection, rows)

    @override
    def freeze(self, *, now: datetime) -> None:
        with self._held({"held_until": now + self.lease, "frozen_at": now}):
            pass

    @override
    def begin(self, most: int, *, now: datetime) -> Mapping[int, JobItem]:
        with self._held({"held_until": now + self.lease}) as connection:
            rows = connection.execute(_NEXT, {"job": self.job_id, "most": most}).all()
            begun = [self._ended(row.place, ItemState.BEGUN, None) for row in rows]
            if begun:
                _END.run(connection, begun)
        return {row.place: _item(row) for row in rows}

    @override
    def record(self, outcomes: Mapping[int, ItemState], *, now: datetime) -> None:
        ended = [self._ended(place, state, now) for place, state in outcomes.items()]
        with self._held({"held_until": now + self.lease}) as connection:
            if ended:
                _END.run(connection, ended)

    @override
    def release(self, *, finished: bool, now: datetime) -> None:
        freed: dict[str, Any] = {"holder": None, "held_until": None}
        with self._held(freed | {"finished_at": now} if finished else freed):
            pass

    @contextmanager
    def _held(self, values: Mapping[str, Any]) -> Iterator[Connection]:
        """A transaction in which nobody else can take the job."""
        ours = update(jobs).where(jobs.c.id == self.job_id, jobs.c.holder == self.holder).values(**values)
        with writing(self.engine) as connection:
            if connection.execute(ours).rowcount != 1:
                raise ClaimLostError(
                    f"job {self.job_id} was not heard of for {self.lease}, and somebody else carries it out now"
                )
            yield connection

    def _row(self, place: int, item: JobItem) -> dict[str, Any]:
        return {
            "job_id": self.job_id,
            "place": place,
            "queue": item.queue,
            "letter_id": item.letter_id,
            "tenant_id": item.tenant_id,
            "message_id": item.message_id,
            "given_up_by": item.given_up_by,
            "state": item.state,
            "ended_at": item.ended_at,
        }

    def _ended(self, place: int, state: ItemState, at: datetime | None) -> dict[str, Any]:
        return {"job_id": self.job_id, "place": place, "state": state, "ended_at": at}


def _job(row: Row[Any], counts: Mapping[ItemState, int]) -> Job:
    return Job(
        id=JobId(row.id),
        order=JobOrder(
            action=JobAction(row.action),
            filter=_FILTER.validate_python(row.filter),
            by=row.ordered_by,
            pace=None if row.rate is None else Pace(row.rate, row.ramp),
            most=row.most,
        ),
        ordered_at=row.ordered_at,
        counts=counts,
        frozen=row.frozen_at is not None,
        held_until=row.held_until,
        finished_at=row.finished_at,
    )


def _item(row: Row[Any]) -> JobItem:
    return JobItem(
        queue=row.queue,
        letter_id=row.letter_id,
        tenant_id=row.tenant_id,
        message_id=row.message_id,
        given_up_by=row.given_up_by,
        state=ItemState(row.state),
        ended_at=row.ended_at,
    )
