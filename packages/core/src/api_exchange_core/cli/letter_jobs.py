"""Ordering jobs on dead letters, and following them to their end."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import typer

from api_exchange_core.application.find_dead_letters import grouped
from api_exchange_core.cli.confirm import confirmed
from api_exchange_core.cli.letters_shown import (
    group_columns,
    item_columns,
    job_columns,
    job_fields,
    job_lines,
)
from api_exchange_core.cli.show import facts, listing, progress, remark
from api_exchange_core.containers.store import Store
from api_exchange_core.domain.dead_letter import Letter, LetterFilter
from api_exchange_core.domain.dead_letter_job import Job, JobId, JobOrder, JobState
from api_exchange_core.domain.errors import ExchangeError, PermanentError

NO_LETTERS = "no dead letters of that kind"

_INTERRUPTED = 130  # as a shell says it of what Ctrl-C has ended: 128 + SIGINT
_RECENT = 20
_MANY = 2_000


def found(store: Store, filter_: LetterFilter, *, now: datetime, most: int | None) -> Sequence[Letter]:
    """The letters that are meant, with a bar if it takes a while to find them."""
    find = store.operations.find_dead_letters()
    total = len(filter_.ids) or sum(find.depths(filter_).values())
    if total < _MANY:
        return list(find.find(filter_, until=now, most=most))
    with progress("looking", total) as advance:
        return list(find.find(filter_, until=now, most=most, advance=advance))


def do(store: Store, order: JobOrder, *, now: datetime, dry_run: bool, ask: bool, json: bool) -> None:
    """Do what is ordered, as of *now*, and answer with what came of it; or say what it would be."""
    remind_of_interrupted(store, now=now)
    letters = found(store, order.filter, now=now, most=order.most)
    if dry_run:
        _preview(letters, order, now=now, json=json)
    elif not letters:
        listing(letters, [], json=json, none=NO_LETTERS)
    elif ask and not _confirmed(letters):
        remark("nothing was changed")
        raise typer.Exit(1)
    else:
        job_id = store.operations.carry_out_dead_letter_job().order(order, at=now)
        _follow(store, job_id, expected=len(letters) - len(_refused(letters, order)), json=json)


def resume(store: Store, number: int, *, json: bool) -> None:
    """Do what is left of a job, and answer with what came of it.

    Raises:
        PermanentError: there is none of that number.
        TransientError: somebody else carries it out.
    """
    job = _job(store, number)
    selection = [] if job.frozen else found(store, job.order.filter, now=job.ordered_at, most=job.order.most)
    expected = job.left if job.frozen else len(selection)
    _follow(store, job.id, expected=expected, json=json)


def list_jobs(store: Store, *, most: int, json: bool) -> None:
    """Answer with the newest jobs."""
    now = store.clock().now()
    newest = store.operations.dead_letter_jobs().newest(most)
    if json:
        listing([job_fields(job, now) for job in newest], [], json=True, none="")
    else:
        listing(newest, job_columns(now), json=False, none="nothing was replayed or discarded yet")


def show_job(store: Store, number: int, *, most: int, json: bool) -> None:
    """Answer with one job and its letters.

    Raises:
        PermanentError: there is none of that number.
    """
    job, now = _job(store, number), store.clock().now()
    items = store.operations.dead_letter_jobs().items(job.id, start=0, most=most)
    if json:
        facts({**job_fields(job, now), "items": items}, [], json=True)
        return
    facts(job, job_lines(job, now), json=False)
    if items:
        print()
        listing(items, item_columns(), json=False, none="")
    if job.selected > len(items):
        remark(f"there are {job.selected - len(items):,} more (--limit)")


def remind_of_interrupted(store: Store, *, now: datetime) -> None:
    """Name recent jobs that nobody carries out and that are not finished."""
    for job in store.operations.dead_letter_jobs().newest(_RECENT):
        if job.state(now) is JobState.INTERRUPTED:
            left = f"{job.left:,} of {job.selected:,} left" if job.frozen else "nothing moved yet"
            remark(
                f"job {job.id} ({job.order.action} by {job.order.by}, {left}) was interrupted: "
                f"api-exchange dlq resume {job.id}"
            )


def _refused(letters: Sequence[Letter], order: JobOrder) -> Sequence[Letter]:
    """Those that a job on *letters* leaves where they are."""
    return [letter for letter in letters if order.refuses(letter)]


def _counted(number: int) -> str:
    return f"{number:,} letter{'' if number == 1 else 's'}"


def _follow(store: Store, job_id: JobId, *, expected: int, json: bool) -> None:
    """Do what is left of a job, with a bar. Ctrl-C leaves the rest to `dlq resume`."""
    operations = store.operations
    try:
        with progress(f"job {job_id}", expected) as advance:
            job = operations.carry_out_dead_letter_job().run(job_id, advance=advance)
    except KeyboardInterrupt:
        remark(f"stopped; the rest can be done with: api-exchange dlq resume {job_id}")
        raise typer.Exit(_INTERRUPTED) from None
    except ExchangeError:
        remark(f"job {job_id} is not finished; try again with: api-exchange dlq resume {job_id}")
        raise
    now = store.clock().now()
    facts(job_fields(job, now), job_lines(job, now), json=json)


def _preview(letters: Sequence[Letter], order: JobOrder, *, now: datetime, json: bool) -> None:
    groups = grouped(letters)
    refused = _refused(letters, order)
    if json:
        counts = {"letters": len(letters), "refused": len(refused)}
        facts({"would": order.action, **counts, "groups": groups}, [], json=True)
        return
    listing(groups, group_columns(now), json=False, none=NO_LETTERS)
    taken = len(letters) - len(refused)
    remark(f"{order.action} would take {_counted(taken)}; nothing was changed")
    if refused:
        remark(
            f"{_counted(len(refused))} would stay, being no message of an exchange: {refused[0].id} for one"
        )


def _confirmed(letters: Sequence[Letter]) -> bool:
    """Whether a person who has seen what is about to be discarded wants it."""
    for group in grouped(letters):
        error = "without failure block" if group.code is None else group.code
        remark(f"{group.queue}: {group.letters:,} {error}")
    return confirmed(f"Discard {_counted(len(letters))} for good?")


def _job(store: Store, number: int) -> Job:
    job: Job | None = store.operations.dead_letter_jobs().get(JobId(number))
    if job is None:
        raise PermanentError(f"there is no job {number}: `api-exchange dlq jobs` names those that are")
    return job
