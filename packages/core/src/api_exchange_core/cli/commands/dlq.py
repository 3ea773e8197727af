"""`api-exchange dlq`."""

from __future__ import annotations

from typing import Annotated

import typer

from api_exchange_core.cli import letter_arguments as take
from api_exchange_core.cli.arguments import By, DatabaseUrl, DryRun, Json, Tenant, Yes

app = typer.Typer()
dlq = typer.Typer(help="Dead letters: look at them, put them back, throw them away.", no_args_is_help=True)
app.add_typer(dlq, name="dlq")


@dlq.command("list")
def list_(
    queue: take.Queue = None,
    *,
    function: take.Function = None,
    tenant: Tenant = None,
    error: take.Error = None,
    fingerprint: take.Fingerprint = None,
    correlation: take.Correlation = None,
    message: take.MessageId = None,
    older_than: take.OlderThan = None,
    younger_than: take.YoungerThan = None,
    each: Annotated[
        bool, typer.Option("--each", help="A line a letter, also of all queues.", show_default=False)
    ] = False,
    limit: Annotated[int, typer.Option(min=1, help="So many lines at most, the oldest letters first.")] = 50,
    database_url: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """Say what lies in the dead-letter queues: of one queue each letter, of all queues a line for each error."""
    from api_exchange_core.application.find_dead_letters import grouped
    from api_exchange_core.cli import letter_jobs
    from api_exchange_core.cli.letters_shown import group_columns, letter_columns
    from api_exchange_core.cli.opened import opened
    from api_exchange_core.cli.show import listing, remark

    with opened(database_url) as store:
        now = store.clock().now()
        wanted = take.letter_filter(
            now=now,
            queue=queue,
            function=function,
            tenant=tenant,
            error=error,
            fingerprint=fingerprint,
            correlation=correlation,
            message=message,
            ids=None,
            older_than=older_than,
            younger_than=younger_than,
        )
        if queue is None and not each:
            groups = grouped(letter_jobs.found(store, wanted, now=now, most=None))
            none = "no dead letters" if wanted.is_everything else letter_jobs.NO_LETTERS
            listing(groups, group_columns(now), json=json, none=none)
        else:
            letters = letter_jobs.found(store, wanted, now=now, most=limit + 1)
            columns = letter_columns(now, with_queue=queue is None)
            listing(letters[:limit], columns, json=json, none=letter_jobs.NO_LETTERS)
            if len(letters) > limit:
                remark(f"there are more; these are the {limit:,} oldest (--limit)")
        letter_jobs.remind_of_interrupted(store, now=now)


@dlq.command()
def show(
    letter: Annotated[str, typer.Argument(metavar="ID", help="As `dlq list` says it.", show_default=False)],
    *,
    payload: Annotated[
        bool,
        typer.Option("--payload", help="With its payload, which is a tenant's data.", show_default=False),
    ] = False,
    database_url: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """Say all about one letter: why it died, whose it is, where it comes from. Its payload only if asked for."""
    from pydantic import TypeAdapter

    from api_exchange_core.cli import letters_shown
    from api_exchange_core.cli.opened import opened
    from api_exchange_core.cli.show import facts
    from api_exchange_core.domain.dead_letter import Letter, LetterId
    from api_exchange_core.domain.errors import PermanentError

    with opened(database_url) as store:
        stored = store.operations.find_dead_letters().get(LetterId(letter))
        now = store.clock().now()
    if stored is None:
        raise PermanentError(
            f"there is no dead letter {letter!r}: it was put back, discarded, or never there; `api-exchange dlq list` "
            "names those that are"
        )
    told = Letter.of(stored)
    if json:
        fields = TypeAdapter(Letter).dump_python(told)
        facts(fields | (letters_shown.payload(stored.body) if payload else {}), [], json=True)
        return
    facts(told, letters_shown.letter_lines(told, now), json=False)
    if payload:
        print(f"\n{letters_shown.payload_text(stored.body)}")


@dlq.command()
def replay(
    queue: take.Queue = None,
    *,
    function: take.Function = None,
    tenant: Tenant = None,
    error: take.Error = None,
    fingerprint: take.Fingerprint = None,
    correlation: take.Correlation = None,
    message: take.MessageId = None,
    id_: take.Ids = None,
    older_than: take.OlderThan = None,
    younger_than: take.YoungerThan = None,
    everything: take.Everything = False,
    limit: take.Limit = None,
    rate: take.Rate = None,
    ramp: take.Ramp = None,
    dry_run: DryRun = False,
    by: By = None,
    database_url: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """Put letters back into the queue that they died in.

    Which letters is fixed when the command begins: what dies later stays where it is. A message keeps its id and is
    at its first attempt again. What Ctrl-C or a crash leaves undone, `dlq resume` does.
    """
    from api_exchange_core.cli import letter_jobs
    from api_exchange_core.cli.opened import opened
    from api_exchange_core.cli.operator import operator
    from api_exchange_core.domain.dead_letter_job import JobAction, JobOrder

    with opened(database_url) as store:
        now = store.clock().now()
        wanted = take.letter_filter(
            now=now,
            queue=queue,
            function=function,
            tenant=tenant,
            error=error,
            fingerprint=fingerprint,
            correlation=correlation,
            message=message,
            ids=id_,
            older_than=older_than,
            younger_than=younger_than,
        )
        take.check_not_everything(wanted, everything=everything)
        order = JobOrder(
            action=JobAction.REPLAY,
            filter=wanted,
            by=operator(by),
            pace=take.pace(rate, ramp),
            most=limit,
        )
        letter_jobs.do(store, order, now=now, dry_run=dry_run, ask=False, json=json)


@dlq.command()
def discard(
    queue: take.Queue = None,
    *,
    function: take.Function = None,
    tenant: Tenant = None,
    error: take.Error = None,
    fingerprint: take.Fingerprint = None,
    correlation: take.Correlation = None,
    message: take.MessageId = None,
    id_: take.Ids = None,
    older_than: take.OlderThan = None,
    younger_than: take.YoungerThan = None,
    everything: take.Everything = False,
    limit: take.Limit = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    by: By = None,
    database_url: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """Throw letters away for good. Asks first, and takes none that died after it has asked."""
    from api_exchange_core.cli import letter_jobs
    from api_exchange_core.cli.opened import opened
    from api_exchange_core.cli.operator import operator
    from api_exchange_core.domain.dead_letter_job import JobAction, JobOrder

    with opened(database_url) as store:
        now = store.clock().now()
        wanted = take.letter_filter(
            now=now,
            queue=queue,
            function=function,
            tenant=tenant,
            error=error,
            fingerprint=fingerprint,
            correlation=correlation,
            message=message,
            ids=id_,
            older_than=older_than,
            younger_than=younger_than,
        )
        take.check_not_everything(wanted, everything=everything)
        order = JobOrder(action=JobAction.DISCARD, filter=wanted, by=operator(by), most=limit)
        letter_jobs.do(store, order, now=now, dry_run=dry_run, ask=not yes, json=json)


@dlq.command()
def jobs(
    job: Annotated[
        int | None, typer.Argument(help="One job, and what became of each letter.", show_default=False)
    ] = None,
    *,
    limit: Annotated[int, typer.Option(min=1, help="So many lines at most.")] = 20,
    database_url: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """Say who replayed or discarded what, newest first; or what became of each letter of one job."""
    from api_exchange_core.cli import letter_jobs
    from api_exchange_core.cli.opened import opened

    with opened(database_url) as store:
        if job is None:
            letter_jobs.list_jobs(store, most=limit, json=json)
        else:
            letter_jobs.show_job(store, job, most=limit, json=json)


@dlq.command()
def resume(
    job: Annotated[int, typer.Argument(help="As `dlq jobs` says it.", show_default=False)],
    *,
    database_url: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """Go on with a job that was interrupted: the same letters, at the same pace."""
    from api_exchange_core.cli import letter_jobs
    from api_exchange_core.cli.opened import opened

    with opened(database_url) as store:
        letter_jobs.resume(store, job, json=json)
