"""What the commands on dead letters take, and which letters that means."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from api_exchange_core.cli.quantities import length, rate

if TYPE_CHECKING:
    from api_exchange_core.domain.dead_letter import LetterFilter
    from api_exchange_core.domain.pace import Pace


def _queues_with_letters(incomplete: str) -> list[str]:
    """What a shell offers: the queues of the environment's database that have dead letters."""
    from api_exchange_core.cli.opened import opened
    from api_exchange_core.domain.errors import ExchangeError
    from api_exchange_core.domain.names import DEAD_LETTER_SUFFIX

    try:
        with opened(None) as store:
            names = sorted(store.operations.queues().depths())
    except ExchangeError:  # completion has nowhere to say why; the command itself does
        return []
    queues = [name.removesuffix(DEAD_LETTER_SUFFIX) for name in names if name.endswith(DEAD_LETTER_SUFFIX)]
    return [queue for queue in queues if queue.startswith(incomplete)]


Queue = Annotated[
    str | None,
    typer.Argument(
        help="The queue that they died in, with or without -dlq; all queues if left out.",
        show_default=False,
        autocompletion=_queues_with_letters,
    ),
]
Function = Annotated[str | None, typer.Option(help="Given up by this function.", show_default=False)]
Error = Annotated[
    str | None, typer.Option(help="The error's name or text contains this, in any case.", show_default=False)
]
Fingerprint = Annotated[
    str | None, typer.Option(help="Of this error, by place and cause.", show_default=False)
]
Correlation = Annotated[str | None, typer.Option(help="Of the request with this id.", show_default=False)]
MessageId = Annotated[
    str | None, typer.Option("--message", help="The message with this id.", show_default=False)
]
Ids = Annotated[
    list[str] | None,
    typer.Option("--id", metavar="ID", help="This letter; give it again for more.", show_default=False),
]
OlderThan = Annotated[
    timedelta | None,
    typer.Option(parser=length, metavar="LENGTH", help="There for longer: 2h, 3d.", show_default=False),
]
YoungerThan = Annotated[
    timedelta | None,
    typer.Option(parser=length, metavar="LENGTH", help="There for less: 15m, 2h.", show_default=False),
]
Limit = Annotated[
    int | None,
    typer.Option(min=1, help="So many at most, queue by queue and the oldest first.", show_default=False),
]
Everything = Annotated[bool, typer.Option("--all", help="All letters of all queues.", show_default=False)]
Rate = Annotated[
    float | None,
    typer.Option(
        parser=rate,
        metavar="RATE",
        help="So many at most: 50/s, 600/m. As fast as it goes if left out.",
        show_default=False,
    ),
]
Ramp = Annotated[
    timedelta | None,
    typer.Option(
        parser=length,
        metavar="LENGTH",
        help="Reach the rate slowly, in so much time: 60s, 10m.",
        show_default=False,
    ),
]


def letter_filter(
    *,
    now: datetime,
    queue: str | None,
    function: str | None,
    tenant: str | None,
    error: str | None,
    fingerprint: str | None,
    correlation: str | None,
    message: str | None,
    ids: list[str] | None,
    older_than: timedelta | None,
    younger_than: timedelta | None,
) -> LetterFilter:
    """Which letters the options mean. Ages count from *now*.

    Raises:
        TenantError: that is no tenant.
    """
    from api_exchange_core.cli.tenants import wanted_tenant
    from api_exchange_core.domain.dead_letter import LetterFilter, LetterId
    from api_exchange_core.domain.names import (
        DEAD_LETTER_SUFFIX,
        FunctionName,
        MessageId,
        QueueName,
    )

    return LetterFilter(
        queue=None if queue is None else QueueName(queue.removesuffix(DEAD_LETTER_SUFFIX)),
        function=None if function is None else FunctionName(function),
        tenant_id=wanted_tenant(tenant),
        error=error,
        fingerprint=fingerprint,
        correlation_id=correlation,
        message_id=None if message is None else MessageId(message),
        buried_before=None if older_than is None else now - older_than,
        buried_after=None if younger_than is None else now - younger_than,
        ids=tuple(LetterId(id_) for id_ in ids or ()),
    )


def check_not_everything(filter_: LetterFilter, *, everything: bool) -> None:
    """Return if some letters are named, or all of them on purpose.

    Raises:
        DeclarationError: nothing says which.
    """
    from api_exchange_core.domain.errors import DeclarationError

    if filter_.is_everything and not everything:
        raise DeclarationError(
            "which letters? Name a queue, or --function, --error, --tenant, --id ...; --all for all of all queues"
        )


def pace(rate_: float | None, ramp: timedelta | None) -> Pace | None:
    """How fast the options want it.

    Raises:
        DeclarationError: a ramp to no rate.
    """
    from api_exchange_core.domain.errors import DeclarationError
    from api_exchange_core.domain.pace import Pace

    if rate_ is None:
        if ramp is not None:
            raise DeclarationError("--ramp says how slowly a rate is reached, and needs --rate")
        return None
    return Pace(rate_) if ramp is None else Pace(rate_, ramp)
