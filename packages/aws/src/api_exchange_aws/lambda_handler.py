"""The entry point of a Lambda function."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from api_exchange_aws.triggers.http_events import http_event
from api_exchange_aws.triggers.orders import ORDER, Orders
from api_exchange_aws.triggers.time_left import LambdaContext, TimeLeft
from api_exchange_core.domain.errors import DeclarationError
from api_exchange_core.domain.exchange import Exchange

if TYPE_CHECKING:
    from api_exchange_aws.containers import AwsContainer
    from api_exchange_aws.triggers.http import HttpTriggers
    from api_exchange_aws.triggers.sqs import SqsTrigger


@dataclass(slots=True, kw_only=True)
class LambdaHandler:
    """Tells by its shape what an event is, and hands it to the trigger that it belongs to.

    One Lambda function may serve all functions of the exchange, or one each: what starts it says which is meant (the
    queue's ARN, the name of the rule or schedule, the path of the request).

    Args:
        container: of the exchange.
        reserve: time at the end of each invocation in which nothing is begun.
        at_end: called at the end of each invocation, before the process may be frozen.
    """

    sqs: SqsTrigger
    http: HttpTriggers
    orders: Orders
    container: AwsContainer
    reserve: timedelta
    at_end: Callable[[], None]
    _knows_tenants: bool = False

    def __call__(self, event: object, context: LambdaContext) -> dict[str, object]:
        """Handle one event; what is returned is for the service that sent it.

        Raises:
            DeclarationError: it is no event that anything here takes, or belongs to no function of the exchange.
            TransientError: a tick was not sent to all; whoever sent the event tries again.
        """
        if not isinstance(event, dict):
            raise _unknown(event)
        try:
            return self._handle(event, context)
        finally:
            self.at_end()

    def _handle(self, event: Mapping[str, Any], context: LambdaContext) -> dict[str, object]:
        if (request := http_event(event)) is not None:
            return self.http.answer(request)
        time_left = TimeLeft.of(context, self.reserve)
        self._make_tenants_known()
        if set(event) == {ORDER}:
            return self.orders.carry_out(event[ORDER], time_left)
        records = event.get("Records")
        if isinstance(records, list) and all(_is_of_sqs(record) for record in records):
            return self.sqs.handle(records, time_left)
        if event.get("detail-type") == "Scheduled Event":
            return self.orders.fire(event, time_left)
        raise _unknown(event)

    def _make_tenants_known(self) -> None:
        if not self._knows_tenants:
            container = self.container
            container.tenants().add(container.exchange().tenants, now=container.clock().now())
            self._knows_tenants = True


def create_lambda_handler(exchange: Exchange, *, container: AwsContainer | None = None) -> LambdaHandler:
    """The handler of a Lambda function that serves *exchange*.

    It is made once, where the module of the function is imported::

        handler = create_lambda_handler(exchange)

    Args:
        exchange: the application.
        container: of the exchange; made from the environment, with logs in JSON, if not given.

    Raises:
        DeclarationError: a setting is missing or wrong.
    """
    with _no_garbage_collection():
        return _created(exchange, container)


def _created(exchange: Exchange, container: AwsContainer | None) -> LambdaHandler:
    # Whoever imports the package for its names alone does not pay for SQLAlchemy and botocore.
    from api_exchange_aws.containers import aws_container
    from api_exchange_aws.emf import EmfObserver
    from api_exchange_aws.logs import configure_logs
    from api_exchange_aws.triggers.http import HttpTriggers
    from api_exchange_aws.triggers.sqs import SqsTrigger
    from api_exchange_core.local.heartbeat import Heartbeat

    if container is None:
        container = aws_container(exchange)
        configure_logs(container.settings().log_level)
    uses, clock, observer = container.use_cases, container.clock(), container.observer()
    settings = container.settings()
    return LambdaHandler(
        container=container,
        reserve=settings.reserved,
        at_end=observer.flush if isinstance(observer, EmfObserver) else _nothing,
        sqs=SqsTrigger(
            exchange=exchange,
            queues=container.queues(),
            settling=container.settling(),
            handler=uses.handler(),
            claims=container.claims(),
            heartbeat=Heartbeat(observer),
            clock=clock,
            observer=observer,
        ),
        http=HttpTriggers(exchange, uses.accept(), observer),
        orders=Orders(
            exchange=exchange,
            fan_out=uses.fan_out(),
            chores=uses.chores(),
            do_chore=uses.do_chore(),
            sender=uses.sender(),
            clock=clock,
            prefix=settings.queue_prefix,
        ),
    )


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """What is loaded within the block stays: to look for garbage in it takes time, and finds none."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _nothing() -> None:
    """There is nothing to do at the end of an invocation."""


def _is_of_sqs(record: object) -> bool:
    return isinstance(record, dict) and record.get("eventSource") == "aws:sqs"


def _unknown(event: object) -> DeclarationError:
    keys = ", ".join(sorted(map(str, event))) if isinstance(event, dict) else type(event).__name__
    return DeclarationError(
        f"nothing here takes an event like this (it has: {keys or 'nothing'}): SQS, API Gateway, function URLs, "
        f"Application Load Balancers and EventBridge schedules start functions, and so does {{{ORDER!r}: ...}}"
    )
