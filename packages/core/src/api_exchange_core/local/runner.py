"""An exchange on one machine: workers for every queue, timers, HTTP and the outbox relay, in one process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from api_exchange_core.application.accept_request import AcceptRequest
from api_exchange_core.application.call import loggable
from api_exchange_core.application.call_runner import CallRunner
from api_exchange_core.application.outbox_relay import OutboxRelay
from api_exchange_core.application.processor_handler import ProcessorHandler
from api_exchange_core.application.tick import FanOutTick
from api_exchange_core.domain.exchange import Exchange, Function
from api_exchange_core.domain.names import FunctionName
from api_exchange_core.domain.trigger import HttpTrigger, TimerTrigger
from api_exchange_core.local.bell import Bell
from api_exchange_core.local.http_server import HttpServer
from api_exchange_core.local.timers import Timers
from api_exchange_core.local.worker import Worker, WorkerLimits
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.message_consumer import MessageConsumer
from api_exchange_core.ports.observer import Observer
from api_exchange_core.ports.queue_inspector import QueueInspector

if TYPE_CHECKING:
    from api_exchange_core.local.management import Page

_RELAY_EVERY = timedelta(seconds=2)


@dataclass(slots=True, kw_only=True)
class Runner:
    """Runs an exchange until it is stopped.

    Args:
        exchange: the application.
        consumer: where messages come from.
        queues: tells how many wait.
        handler, relay, fan_out, accept: the use cases.
        calls: runs processors; closed at the end.
        clock, observer: the ports of these names.
        limits: how workers take their work.
        check_store: returns if the store can be worked with, and raises if not.
        http: serve HTTP functions and what tells of this process; None: if there are HTTP functions.
        host, port: where they are served; port 0 picks a free one.
        page: the metrics, if any are collected.
        timers: fire timers by their schedules.
    """

    exchange: Exchange
    consumer: MessageConsumer
    queues: QueueInspector
    handler: ProcessorHandler
    relay: OutboxRelay
    fan_out: FanOutTick
    accept: AcceptRequest
    calls: CallRunner
    clock: Clock
    observer: Observer
    limits: WorkerLimits = field(default_factory=WorkerLimits)
    check_store: Callable[[], None] = lambda: None
    http: bool | None = None
    host: str = "127.0.0.1"
    port: int = 8080
    page: Page | None = None
    timers: bool = True
    bell: Bell = field(default_factory=Bell)
    _stop: threading.Event = field(default_factory=threading.Event)
    _started: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _http: HttpServer | None = None

    def start(self) -> None:
        """Start everything and return.

        Raises:
            DeclarationError: a processor cannot be made, or the HTTP address cannot be bound.
        """
        functions = self.exchange.functions
        for function in functions:
            function.processor  # noqa: B018 - made here, so that a wrong declaration stops the start
        served = [function for function in functions if isinstance(function.trigger, HttpTrigger)]
        if self.http or (self.http is None and served):
            self._http = self._server(served)
            self._http.start()
        for worker in (self._worker(function.name) for function in functions):
            self._in_thread(worker.function.name, worker.run)
        if self.timers:
            self._in_thread("timers", self._timers().run)
        self._in_thread("relay", self._relay_until_stopped)
        self._started.set()

    def stop(self) -> None:
        """Finish what is in hand, give back what is not begun, and end all threads."""
        self._stop.set()
        self.bell.ring()
        if self._http is not None:
            self._http.stop()
        for thread in self._threads:
            thread.join()
        self.calls.close()

    def tick(self, function_name: str, at: datetime | None = None) -> None:
        """Fire a timer function now, whatever its schedule says."""
        self.fan_out.fan_out(self.exchange.function(function_name), self.clock.now() if at is None else at)
        self.bell.ring()

    def tick_all(self) -> None:
        """Fire every timer function now."""
        for function in self.exchange.functions:
            if isinstance(function.trigger, TimerTrigger):
                self.tick(function.name)

    def next_ticks(self) -> Mapping[FunctionName, datetime]:
        """When each timer function fires next by its schedule; empty if this process fires none."""
        now = self.clock.now()
        return {
            function.name: function.trigger.schedule.next_after(now)
            for function in self.exchange.functions
            if self.timers and isinstance(function.trigger, TimerTrigger)
        }

    def unready(self) -> Sequence[str]:
        """Why this process should be handed no work for now; nothing if it should. Fit for anybody's eyes."""
        if self._stop.is_set():
            return ["stopping"]
        if not self._started.is_set():
            return ["starting"]
        reasons = [f"thread {thread.name!r} has ended" for thread in self._threads if not thread.is_alive()]
        try:
            self.check_store()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
            self.observer.event("store.unready", **loggable(error))
            reasons.append("the database cannot be worked with; the log says why")
        return reasons

    @property
    def http_port(self) -> int | None:
        """The port that is served; None if none is."""
        return None if self._http is None else self._http.port

    @property
    def waiting(self) -> int:
        """How many messages wait for a function of the exchange, those in hand included."""
        depths = self.queues.depths()
        return sum(depths.get(function.input_queue, 0) for function in self.exchange.functions)

    def _server(self, served: Sequence[Function]) -> HttpServer:
        return HttpServer(
            functions=served,
            accept=self.accept,
            bell=self.bell,
            observer=self.observer,
            unready=self.unready,
            page=self.page,
            host=self.host,
            port=self.port,
        )

    def _worker(self, name: str) -> Worker:
        return Worker(
            function=self.exchange.function(name),
            consumer=self.consumer,
            handler=self.handler,
            observer=self.observer,
            bell=self.bell,
            limits=self.limits,
            stopping=self._stop.is_set,
        )

    def _timers(self) -> Timers:
        return Timers(
            functions=[one for one in self.exchange.functions if isinstance(one.trigger, TimerTrigger)],
            fan_out=self.fan_out,
            clock=self.clock,
            observer=self.observer,
            bell=self.bell,
            stopping=self._stop.is_set,
        )

    def _relay_until_stopped(self) -> None:
        while not self._stop.is_set():
            try:
                while self.relay.sweep() == self.relay.batch and not self._stop.is_set():
                    pass
            except Exception as error:  # noqa: BLE001 - the last frame we own: without its thread nothing is relayed
                self.observer.event("relay.error", **loggable(error))
            self._stop.wait(_RELAY_EVERY.total_seconds())

    def _in_thread(self, name: str, run: Callable[[], None]) -> None:
        thread = threading.Thread(target=run, name=name)
        self._threads.append(thread)
        thread.start()
