"""Running the calls of a batch: one after the other, or side by side."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar, cast

from api_exchange_core.application.call import Call, Incoming
from api_exchange_core.application.services import Services
from api_exchange_core.domain.exchange import Function
from api_exchange_core.domain.result import ProcessingResult

Answer = TypeVar("Answer")

_CLOSE_SECONDS = 5.0

Begin = Callable[[Incoming], Call]
"""Makes the call of one message, at the moment when it begins."""


@dataclass(slots=True)
class CallRunner:
    """Runs processors, ``def`` and ``async def``.

    ``async def`` processors all run on one event loop, in a thread of its own, for the life of the process: what
    they keep open (an HTTP client, say) belongs to that loop.
    """

    services: Services
    _loop: asyncio.AbstractEventLoop | None = None
    _thread: threading.Thread | None = None
    _starting: threading.Lock = field(default_factory=threading.Lock)

    def run(
        self, function: Function, batch: Sequence[Incoming], *, begin: Begin, stop: Callable[[], bool]
    ) -> Sequence[Call]:
        """Call the processor of *function* for a batch, in order, as many side by side as the function says.

        Args:
            function: whose processor.
            batch: what to call it with.
            begin: makes each call.
            stop: asked before each call, quick retries included; once true no further one is started.

        Returns:
            The calls that ran, each with a result or a problem.
        """
        if inspect.iscoroutinefunction(function.processor.process):
            ran: Sequence[Call | None] = self._on_loop(batch, function.concurrency, begin, stop)
        elif function.concurrency == 1 or len(batch) == 1:
            ran = [None if stop() else self._attempt_here(incoming, begin, stop) for incoming in batch]
        else:
            ran = self._in_threads(batch, function.concurrency, begin, stop)
        return [call for call in ran if call is not None]

    def close(self) -> None:
        """Stop the event loop, if there is one, and wait for its thread to end."""
        with self._starting:
            if self._loop is not None and self._thread is not None:
                self._loop.call_soon_threadsafe(self._loop.stop)
                self._thread.join(_CLOSE_SECONDS)
                self._loop = self._thread = None

    def _attempt_here(self, incoming: Incoming, begin: Begin, stop: Callable[[], bool]) -> Call:
        call = first = self._run_here(begin(incoming))
        while call.problem is not None and (delay := self._quick_delay(call, first, stop)) is not None:
            self.services.sleeper.sleep(delay)
            if stop():
                break
            call = self._run_here(self._next_of(call, begin))
            call.took = self.services.clock.now() - first.started_at
        return call

    async def _attempt_async(self, incoming: Incoming, begin: Begin, stop: Callable[[], bool]) -> Call:
        call = first = await self._run_async(begin(incoming))
        while call.problem is not None and (delay := self._quick_delay(call, first, stop)) is not None:
            await self.services.sleeper.sleep_async(delay)
            if stop():
                break
            call = await self._run_async(self._next_of(call, begin))
            call.took = self.services.clock.now() - first.started_at
        return call

    def _quick_delay(self, call: Call, first: Call, stop: Callable[[], bool]) -> timedelta | None:
        """How long to wait before *call* is made again; None if it is not."""
        problem, policy = call.problem, call.function.retry
        if problem is None or not policy.quick_retries or not problem.passes or stop():
            return None
        return policy.quick_delay(
            call.quick_retries + 1,
            spent=self.services.clock.now() - first.started_at,
            asked=problem.retry_after,
            random=self.services.randomness.fraction,
        )

    def _next_of(self, failed: Call, begin: Begin) -> Call:
        """The call that tries *failed* again within its attempt. It has a span of its own, and is the one told of."""
        self.services.observer.abandoned(
            failed.trace, "Unknown" if failed.problem is None else failed.problem.code
        )
        call = begin(failed.incoming.anew)
        call.quick_retries = failed.quick_retries + 1
        return call

    def _run_here(self, call: Call) -> Call:
        with call.running(self.services):
            call.check_payload()
            answer = call.function.processor.process(call.message, call.context)
            if not isinstance(answer, ProcessingResult) and inspect.isawaitable(answer):
                answer = self._await(cast("asyncio.Future[ProcessingResult]", answer))
            call.result = answer
        return call

    def _in_threads(
        self, batch: Sequence[Incoming], concurrency: int, begin: Begin, stop: Callable[[], bool]
    ) -> Sequence[Call | None]:
        def run(incoming: Incoming) -> Call | None:
            return None if stop() else self._attempt_here(incoming, begin, stop)

        with ThreadPoolExecutor(max_workers=min(concurrency, len(batch))) as pool:
            started = [pool.submit(copy_context().run, run, incoming) for incoming in batch]
            return [call.result() for call in started]

    def _on_loop(
        self, batch: Sequence[Incoming], concurrency: int, begin: Begin, stop: Callable[[], bool]
    ) -> Sequence[Call | None]:
        async def all_of_them() -> Sequence[Call | None]:
            places = asyncio.Semaphore(concurrency)

            async def run(incoming: Incoming) -> Call | None:
                async with places:
                    return None if stop() else await self._attempt_async(incoming, begin, stop)

            return await asyncio.gather(*(run(incoming) for incoming in batch))

        return self._to_its_end(all_of_them())

    async def _run_async(self, call: Call) -> Call:
        with call.running(self.services):
            call.check_payload()
            call.result = await cast(
                "Awaitable[ProcessingResult]", call.function.processor.process(call.message, call.context)
            )
        return call

    def _await(self, answer: asyncio.Future[ProcessingResult]) -> ProcessingResult:
        async def wait() -> ProcessingResult:
            return await answer

        return self._to_its_end(wait())

    def _to_its_end(self, coroutine: Coroutine[Any, Any, Answer]) -> Answer:
        return asyncio.run_coroutine_threadsafe(coroutine, self._running_loop()).result()

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._starting:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=_serve, args=(self._loop,), name="api-exchange-async", daemon=True
                )
                self._thread.start()
            return self._loop


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
    finally:
        loop.close()
