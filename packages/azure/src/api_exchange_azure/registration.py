"""Registering an exchange's functions with the programming model of Azure Functions.

Each function of the exchange has one that runs its processor, ``run-NAME``, started by its queue. A timer function has
one that sends ticks there, ``tick-NAME``, an HTTP function one that takes requests in, ``http-NAME``; and each chore
has a timer, ``chore-NAME``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, List, TypeVar  # noqa: UP035 - the worker knows no list[...]

import azure.functions as func

from api_exchange_azure.settings import SERVICE_BUS, STORAGE
from api_exchange_azure.triggers.arrivals import locks_of, of_service_bus, of_storage
from api_exchange_azure.triggers.http import HttpTriggers, healthy
from api_exchange_azure.triggers.ncrontab import each, ncrontab
from api_exchange_azure.triggers.queues import QueueTrigger
from api_exchange_azure.triggers.time_left import HostLimits, TimeLeft
from api_exchange_core.application.chores import Chore
from api_exchange_core.domain.errors import DeclarationError
from api_exchange_core.domain.exchange import Exchange, Function
from api_exchange_core.domain.trigger import HEALTH_PATH, HttpTrigger, TimerTrigger
from api_exchange_core.local.heartbeat import Heartbeat

if TYPE_CHECKING:
    from api_exchange_azure.containers import AzureContainer
    from api_exchange_azure.function_app import Subscription
    from api_exchange_azure.servicebus.received import Received as OfServiceBus
    from api_exchange_azure.storage.received import Received as OfStorage

_EARLY: Final = timedelta(seconds=2)
"""How much before its time a timer may fire: hosts' clocks differ, and a tick that came early is not the one before."""

Handler = TypeVar("Handler", bound=Callable[..., object])


class Registration:
    """Makes the function app of an exchange.

    Args:
        exchange: the application.
        container: of the exchange.
        limits: what the host ends an invocation by.
    """

    def __init__(self, exchange: Exchange, container: AzureContainer, limits: HostLimits) -> None:
        self._exchange = exchange
        self._container = container
        self._limits = limits
        self._settings = container.settings()
        self._heartbeat = Heartbeat(container.observer())
        self._knows_tenants = False

    def app(self, subscriptions: Mapping[str, Sequence[Subscription]]) -> func.FunctionApp:
        """All functions.

        Raises:
            DeclarationError: a subscription is for a queue that nothing consumes, or needs Service Bus.
        """
        app = func.FunctionApp(
            http_auth_level=func.AuthLevel.ANONYMOUS
        )  # a function proves the tenant itself
        self._check(subscriptions)
        for function in self._exchange.functions:
            if self._settings.queues == "servicebus":
                self._add_service_bus(app, function, subscriptions.get(function.input_queue, ()))
            else:
                self._add_storage_queue(app, function)
            if isinstance(function.trigger, TimerTrigger):
                self._add_timer(app, function, function.trigger)
            if isinstance(function.trigger, HttpTrigger):
                self._add_http(app, function, function.trigger)
        for chore in self._container.use_cases.chores():
            self._add_chore(app, chore)
        _add_health(app)
        return app

    def _check(self, subscriptions: Mapping[str, Sequence[Subscription]]) -> None:
        if subscriptions and self._settings.queues != "servicebus":
            raise DeclarationError("topics are of Service Bus: set API_EXCHANGE_QUEUES to servicebus")
        for queue in subscriptions:
            if queue not in self._exchange.by_queue:
                raise DeclarationError(
                    f"a subscription is for queue {queue!r}, and no function of exchange {self._exchange.name!r} "
                    f"consumes it; they consume {', '.join(self._exchange.by_queue) or 'none'}"
                )

    def _add_service_bus(
        self, app: func.FunctionApp, function: Function, subscriptions: Sequence[Subscription]
    ) -> None:
        queue = function.input_queue
        if queue in self._settings.session_queues:
            self._add_session_queue(app, function)
        else:
            run = _named(app, f"run-{function.name}", self._batch(function))
            app.service_bus_queue_trigger(
                arg_name="messages",
                connection=SERVICE_BUS,
                queue_name=self._settings.queue_prefix + queue,
                data_type=func.DataType.BINARY,
                cardinality=func.Cardinality.MANY,
            )(run)
        for place, subscription in enumerate(subscriptions, start=1):
            run = _named(app, f"run-{function.name}-topic-{place}", self._batch(function))
            app.service_bus_topic_trigger(
                arg_name="messages",
                connection=SERVICE_BUS,
                topic_name=subscription.topic,
                subscription_name=subscription.name,
                data_type=func.DataType.BINARY,
                cardinality=func.Cardinality.MANY,
            )(run)

    def _batch(self, function: Function) -> Callable[..., None]:
        def run(messages: Sequence[func.ServiceBusMessage]) -> None:
            arrived = [
                of_service_bus(function.input_queue, one, place=place, in_session=False)
                for place, one in enumerate(messages)
            ]
            self._make_known()
            self._service_bus.handle(function, arrived, self._time_of_batch(messages))

        run.__annotations__ = {"messages": List[func.ServiceBusMessage]}  # noqa: UP006 - see above
        return run

    def _add_session_queue(self, app: func.FunctionApp, function: Function) -> None:
        """One message at a time: what raises gives back all that it was handed, and would count those behind it."""

        def run(message: func.ServiceBusMessage) -> None:
            arrived = of_service_bus(function.input_queue, message, place=0, in_session=True)
            self._make_known()
            limit = min(self._limits.function_timeout, self._limits.lock_renewal)
            self._service_bus.handle(function, [arrived], self._time_left(limit))

        run.__annotations__ = {"message": func.ServiceBusMessage}
        app.service_bus_queue_trigger(
            arg_name="message",
            connection=SERVICE_BUS,
            queue_name=self._settings.queue_prefix + function.input_queue,
            data_type=func.DataType.BINARY,
            cardinality=func.Cardinality.ONE,
            is_sessions_enabled=True,
        )(_named(app, f"run-{function.name}", run))

    def _add_storage_queue(self, app: func.FunctionApp, function: Function) -> None:
        def run(message: func.QueueMessage) -> None:
            self._make_known()
            arrived = of_storage(function.input_queue, message)
            self._storage.handle(function, [arrived], self._time_left(self._limits.function_timeout))

        run.__annotations__ = {"message": func.QueueMessage}
        app.queue_trigger(
            arg_name="message",
            queue_name=self._settings.queue_prefix + function.input_queue,
            connection=STORAGE,
            data_type=func.DataType.BINARY,
        )(_named(app, f"run-{function.name}", run))

    def _add_timer(self, app: func.FunctionApp, function: Function, trigger: TimerTrigger) -> None:
        def tick(timer: func.TimerRequest) -> None:  # noqa: ARG001 - the worker passes it by its name
            self._make_known()
            scheduled_at = trigger.schedule.latest_at(self._container.clock().now() + _EARLY)
            self._container.use_cases.fan_out().fan_out(function, scheduled_at)

        tick.__annotations__ = {"timer": func.TimerRequest}
        named = _named(app, f"tick-{function.name}", tick)
        app.timer_trigger(arg_name="timer", schedule=ncrontab(trigger.schedule))(named)

    def _add_http(self, app: func.FunctionApp, function: Function, trigger: HttpTrigger) -> None:
        def answer(request: func.HttpRequest) -> func.HttpResponse:
            return self._http.answer(function, request)

        answer.__annotations__ = {"request": func.HttpRequest, "return": func.HttpResponse}
        app.route(
            route=_route(trigger.path),
            trigger_arg_name="request",
            methods=[func.HttpMethod(method) for method in trigger.methods],
            auth_level=func.AuthLevel.ANONYMOUS,
        )(_named(app, f"http-{function.name}", answer))

    def _add_chore(self, app: func.FunctionApp, chore: Chore) -> None:
        def do(timer: func.TimerRequest) -> None:  # noqa: ARG001 - the worker passes it by its name
            time_left = self._time_left(self._limits.function_timeout)
            self._container.use_cases.do_chore().do(chore, stop=time_left.is_short)

        do.__annotations__ = {"timer": func.TimerRequest}
        named = _named(app, f"chore-{chore.name}", do)
        app.timer_trigger(arg_name="timer", schedule=each(chore.every))(named)

    @property
    def _service_bus(self) -> QueueTrigger[OfServiceBus]:
        return self._queue_trigger()

    @property
    def _storage(self) -> QueueTrigger[OfStorage]:
        return self._queue_trigger()

    def _queue_trigger(self) -> QueueTrigger[Any]:
        container = self._container
        return QueueTrigger(
            copies=container.copies(),
            handler=container.use_cases.handler(),
            heartbeat=self._heartbeat,
            claims=container.claims(),
            sleeper=container.sleeper(),
            observer=container.observer(),
        )

    @property
    def _http(self) -> HttpTriggers:
        container = self._container
        return HttpTriggers(container.use_cases.accept(), container.observer(), self._make_known)

    def _time_of_batch(self, messages: Sequence[func.ServiceBusMessage]) -> TimeLeft:
        limit = self._limits.of_batch(locks_of(messages), now=self._container.clock().now())
        return self._time_left(limit)

    def _time_left(self, limit: timedelta) -> TimeLeft:
        return TimeLeft.beginning(self._container.clock(), limit, self._settings.reserved)

    def _make_known(self) -> None:
        if not self._knows_tenants:
            container = self._container
            container.tenants().add(self._exchange.tenants, now=container.clock().now())
            self._knows_tenants = True


def _named(app: func.FunctionApp, name: str, handler: Handler) -> Any:
    """*handler* as the app's function called *name*; its trigger is added to what this returns."""
    handler.__name__ = name.replace("-", "_")
    return app.function_name(name)(handler)


def _route(path: str) -> str:
    return path.removeprefix("/") or "/"


def _add_health(app: func.FunctionApp) -> None:
    def health(request: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 - passed by its name
        return healthy()

    health.__annotations__ = {"request": func.HttpRequest, "return": func.HttpResponse}
    app.route(
        route=_route(HEALTH_PATH),
        trigger_arg_name="request",
        methods=[func.HttpMethod.GET],
        auth_level=func.AuthLevel.ANONYMOUS,
    )(_named(app, "health", health))
