"""Running the calls of a batch: one after the other, or side by side."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import cast

from api_exchange_core.application.call import Call
from api_exchange_core.domain.result import ProcessingResult
from api_exchange_core.ports.observer import Observer


@dataclass(slots=True)
class CallRunner:
    """Runs processors, ``def`` and ``async def``.

    ``async def`` processors all run on one event loop, in a thread of its own, for the life of the process: what
    they keep open (an HTTP client, say) belongs to that loop.
    """

    observer: Observer
    _loop: asyncio.AbstractEventLoop | None = None
    _starting: threading.Lock = field(default_factory=threading.Lock)

    def run(self, calls: Sequence[Call], *, stop: Callable[[], bool]) -> Sequence[Call]:
        """Run *calls* in order, as many side by side as their function says.

        Args:
            calls: of one function.
            stop: asked before each call; once true no further one is started.

        Returns:
            The calls that ran, each with a result or a problem.
        """
        if not calls:
            return ()
        function = calls[0].function
        if inspect.iscoroutinefunction(function.processor.process):
            return self._on_loop(calls, function.concurrency, stop)
        if function.concurrency == 1 or len(calls) == 1:
            return [call for call in calls if not stop() and self._run_here(call)]
        return self._in_threads(calls, function.concurrency, stop)

    def close(self) -> None:
        """Stop the event loop, if there is one."""
        with self._starting:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._loop.stop)
                self._loop = None

    def _run_here(self, call: Call) -> bool:
        with call.running(self.observer):
            call.check_payload()
            answer = call.function.processor.process(call.message, call.context)
            if inspect.isawaitable(answer):
                answer = self._await(cast("asyncio.Future[ProcessingResult]", answer))
            call.result = answer
        return True

    def _in_threads(
        self, calls: Sequence[Call], concurrency: int, stop: Callable[[], bool]
    ) -> Sequence[Call]:
        def run(call: Call) -> bool:
            return not stop() and self._run_here(call)

        with ThreadPoolExecutor(max_workers=min(concurrency, len(calls))) as pool:
            started = [pool.submit(copy_context().run, run, call) for call in calls]
            return [call for call, ran in zip(calls, started, strict=True) if ran.result()]

    def _on_loop(self, calls: Sequence[Call], concurrency: int, stop: Callable[[], bool]) -> Sequence[Call]:
        async def all_of_them() -> list[bool]:
            places = asyncio.Semaphore(concurrency)

            async def run(call: Call) -> bool:
                async with places:
                    if stop():
                        return False
                    with call.running(self.observer):
                        call.check_payload()
                        call.result = await _awaitable(call)
                    return True

            return list(await asyncio.gather(*(run(call) for call in calls)))

        ran = asyncio.run_coroutine_threadsafe(all_of_them(), self._running_loop()).result()
        return [call for call, did in zip(calls, ran, strict=True) if did]

    def _await(self, answer: asyncio.Future[ProcessingResult]) -> ProcessingResult:
        async def wait() -> ProcessingResult:
            return await answer

        outcome: Future[ProcessingResult] = asyncio.run_coroutine_threadsafe(wait(), self._running_loop())
        return outcome.result()

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._starting:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(
                    target=_serve, args=(self._loop,), name="api-exchange-async", daemon=True
                ).start()
            return self._loop


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
    finally:
        loop.close()


def _awaitable(call: Call) -> asyncio.Future[ProcessingResult]:
    return cast(
        "asyncio.Future[ProcessingResult]", call.function.processor.process(call.message, call.context)
    )
