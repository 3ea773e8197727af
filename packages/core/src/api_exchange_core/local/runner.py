"""An exchange on one machine: workers for every queue, timers, HTTP and chores, in one process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from api_exchange_core.application.accept_request import AcceptRequest
from api_exchange_core.application.call import loggable
from api_exchange_core.application.call_runner import CallRunner
from api_exchange_core.application.chores import Chore, DoChore
from api_exchange_core.application.processor_handler import ProcessorHandler
from api_exchange_core.application.tick import FanOutTick
from api_exchange_core.domain.exchange import Exchange, Function
from api_exchange_core.domain.names import FunctionName
from api_exchange_core.domain.trigger import HttpTrigger, TimerTrigger
from api_exchange_core.local.bell import Bell
from api_exchange_core.local.heartbeat import Heartbeat
from api_exchange_core.local.http_server import HttpServer
from api_exchange_core.local.timers import Timers
from api_exchange_core.local.worker import Worker, WorkerLimits
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.message_consumer import MessageConsumer
from api_exchange_core.ports.observer import Observer
from api_exchange_core.ports.queue_inspector import QueueInspector

if TYPE_CHECKING:
    from api_exchange_core.local.management import Page

_CHORE_ENDS = timedelta(seconds=10)
_THIS_MACHINE = ("127.0.0.1", "::1", "localhost")


@dataclass(slots=True, kw_only=True)
class Runner:
    """Runs an exchange until it is stopped.

    Args:
        exchange: the application.
        consumer: where messages come from.
        queues: tells how many wait.
        handler, fan_out, accept, do_chore: the use cases.
        chores: what is done beside the functions; each in a thread of its own, so that one that hangs stops no other.
        calls: runs processors; closed at the end.
        clock, observer: the ports of these names.
        limits: how workers take their work.
        check_store: returns if the store can be worked with, and raises if not.
        http: serve HTTP functions and what tells of this process; None: if there are HTTP functions.
        host, port: where they are served; port 0 picks a free one.
        page: the metrics, if any are collected.
        metrics: serve them; None: unless others than this machine may call HTTP functions at the same address.
        timers: fire timers by their schedules.
        grace: how long `stop` waits for what is in hand.
        on_broken: called once, from another thread, when a part has ended that the runner cannot do without; the
            runner then stops taking work, and is to be stopped.
    """

    exchange: Exchange
    consumer: MessageConsumer
    queues: QueueInspector
    handler: ProcessorHandler
    chores: Sequence[Chore]
    do_chore: DoChore
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
    metrics: bool | None = None
    timers: bool = True
    grace: timedelta = timedelta(seconds=20)
    on_broken: Callable[[], None] = lambda: None
    bell: Bell = field(default_factory=Bell)
    _stop: threading.Event = field(default_factory=threading.Event)
    _started: threading.Event = field(default_factory=threading.Event)
    _workers: list[Worker] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)
    _chore_threads: list[threading.Thread] = field(default_factory=list)
    _http: HttpServer | None = None
    _heartbeat: Heartbeat | None = None
    _broken: str | None = None

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
        self._heartbeat = Heartbeat(self.observer)
        self._workers = [self._worker(function.name, self._heartbeat) for function in functions]
        for worker in self._workers:
            self._in_thread(worker.function.name, worker.run)
        if self.timers:
            self._in_thread("timers", self._timers().run)
        for chore in self.chores:
            self._in_background(chore)
        self._started.set()

    def stop(self) -> Sequence[str]:
        """Finish what is in hand, give back what is not begun, and end all threads.

        A chore that does not come to an end is left behind; its thread ends with the process.

        Returns:
            The functions whose processors have still not come to an end after the grace period. Their threads go on;
            to be rid of them the process must end. What they have in hand is not renewed any more and comes back.
        """
        until = time.monotonic() + self.grace.total_seconds()
        self._stop.set()
        self.bell.ring()
        if self._http is not None:
            self._http.stop()
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        if self._heartbeat is not None:
            self._heartbeat.close()
        for thread in self._chore_threads:
            thread.join(_CHORE_ENDS.total_seconds())
            if thread.is_alive():
                self.observer.event("chore.left_running", chore=thread.name)
        running = [thread.name for thread in self._threads if thread.is_alive()]
        if running:
            self.observer.event("runner.still_running", functions=", ".join(running))
        else:
            self.calls.close()
        return running

    @property
    def broken(self) -> str | None:
        """What has ended that the runner cannot do without; None if nothing has."""
        return self._broken

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
    def serves_metrics(self) -> bool:
        """Whether ``/metrics`` is among what is served."""
        return self._http is not None and self._http.page is not None

    @property
    def waiting(self) -> int:
        """How many messages wait for a function of the exchange, those in hand included.

        Once it is 0 the observer has heard of all that this process has done.
        """
        depths = self.queues.depths()
        waiting = sum(depths.get(function.input_queue, 0) for function in self.exchange.functions)
        # Asked after the queues: what they hold no more is in hand until it has been told of.
        return waiting or sum(worker.in_hand for worker in self._workers)

    def _server(self, served: Sequence[Function]) -> HttpServer:
        return HttpServer(
            functions=served,
            accept=self.accept,
            bell=self.bell,
            observer=self.observer,
            unready=self.unready,
            page=self.page if self._shows_metrics(served) else None,
            host=self.host,
            port=self.port,
            on_end=self._http_ended,
        )

    def _shows_metrics(self, served: Sequence[Function]) -> bool:
        """Whoever reaches the HTTP functions of a public address has no business with queues and error classes."""
        return not served or self.host in _THIS_MACHINE if self.metrics is None else self.metrics

    def _worker(self, name: str, heartbeat: Heartbeat) -> Worker:
        return Worker(
            function=self.exchange.function(name),
            consumer=self.consumer,
            handler=self.handler,
            clock=self.clock,
            observer=self.observer,
            bell=self.bell,
            limits=self.limits,
            heartbeat=heartbeat,
            stopping=self._stop.is_set,
        )

    def _http_ended(self, reason: str) -> None:
        self._broken = f"the HTTP server ended: {reason}"
        self.observer.event("runner.broken", part="http", reason=reason)
        self._stop.set()
        self.bell.ring()
        self.on_broken()

    def _timers(self) -> Timers:
        return Timers(
            functions=[one for one in self.exchange.functions if isinstance(one.trigger, TimerTrigger)],
            fan_out=self.fan_out,
            clock=self.clock,
            observer=self.observer,
            bell=self.bell,
            stopping=self._stop.is_set,
        )

    def _do_until_stopped(self, chore: Chore) -> None:
        while not self._stop.is_set():
            if not self.do_chore.do(chore, stop=self._stop.is_set).more:
                self._stop.wait(chore.every.total_seconds())

    def _in_background(self, chore: Chore) -> None:
        thread = threading.Thread(target=self._do_until_stopped, args=(chore,), name=chore.name, daemon=True)
        self._chore_threads.append(thread)
        thread.start()

    def _in_thread(self, name: str, run: Callable[[], None]) -> None:
        # A daemon, or a processor that hangs would keep the process alive after `stop` has given it up.
        thread = threading.Thread(target=run, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()
