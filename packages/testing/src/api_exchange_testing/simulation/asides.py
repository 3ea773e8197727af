"""Event loops of greenlets: what asyncio keeps a thread, kept a greenlet."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from typing_extensions import TypeVarTuple, Unpack, override

if TYPE_CHECKING:
    from api_exchange_testing.simulation.turns import Strand, Turns

Answer = TypeVar("Answer")
Arguments = TypeVarTuple("Arguments")

_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_A_TICK: Final = timedelta(microseconds=1)
_PATIENCE: Final = 10.0
"""Real seconds that a loop waits for other threads, which are outside of the simulation."""

_NOTHING = nullcontext()


def set_aside() -> AbstractContextManager[None]:
    """Within the block, in which another greenlet goes on, the running event loop of this one is not to be seen."""
    loop = asyncio._get_running_loop()  # noqa: SLF001 - exported by asyncio, for those who run loops
    return _NOTHING if loop is None else _set_aside(loop)


@contextmanager
def _set_aside(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    task = asyncio.current_task(loop)
    hooks = sys.get_asyncgen_hooks()
    if task is not None:
        asyncio.tasks._leave_task(loop, task)  # noqa: SLF001 - for those who run tasks, as asyncio's docs say
    asyncio._set_running_loop(None)  # noqa: SLF001
    sys.set_asyncgen_hooks(None, None)
    try:
        yield
    finally:
        sys.set_asyncgen_hooks(*hooks)
        asyncio._set_running_loop(loop)  # noqa: SLF001
        if task is not None:
            asyncio.tasks._enter_task(loop, task)  # noqa: SLF001


class VirtualLoop(asyncio.BaseEventLoop):
    """An event loop on the clock of a simulation: while its tasks sleep, other instances go on.

    Args:
        turns: whom it takes turns with.
    """

    def __init__(self, turns: Turns) -> None:
        super().__init__()
        self._turns = turns
        self._selector = self  # which the loop asks for what has happened outside: nothing does
        self._called = threading.Event()
        self._beside: set[Strand] = set()
        self.set_exception_handler(lambda *_: None)  # what a crash leaves behind is no error

    @override
    def time(self) -> float:
        return (self._turns.clock.now() - _EPOCH).total_seconds()

    def select(self, timeout: float | None) -> list[Any]:
        """Let *timeout* pass, in seconds; without one something outside is to wake this loop."""
        self._beside = {strand for strand in self._beside if not strand.is_over}
        if self._beside and timeout != 0:
            until = None if timeout is None else self._in(timeout)
            self._turns.wait(until=until, ready=self._called.is_set)
        elif timeout is None:
            if not self._called.wait(_PATIENCE):
                raise RuntimeError("an async processor waits for what no simulation brings: a real socket?")
        elif timeout > 0:
            self._turns.wait(until=self._in(timeout))
        self._called.clear()
        return []

    @override
    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[Arguments]], Answer], *args: *Arguments
    ) -> asyncio.Future[Answer]:
        """As declared. What is to have a thread of its own (`asyncio.to_thread`) is a strand, and takes turns."""
        if executor is not None:
            return super().run_in_executor(executor, func, *args)
        future: asyncio.Future[Answer] = self.create_future()
        self._beside.add(
            self._turns.spawn("thread", partial(self._work_beside, future, partial(func, *args)))
        )
        return future

    def _work_beside(self, future: asyncio.Future[Answer], work: Callable[[], Answer]) -> None:
        settle: Callable[[], None]
        try:
            settle = partial(future.set_result, work())
        except Exception as error:  # noqa: BLE001 - is raised where it is awaited
            settle = partial(future.set_exception, error)
        self.call_soon_threadsafe(lambda: None if future.done() else settle())

    def _in(self, seconds: float) -> datetime:
        return self._turns.clock.now() + timedelta(seconds=seconds) + _A_TICK

    def end(self) -> None:
        """Cancel what still runs, and close."""
        tasks = asyncio.all_tasks(self)
        for task in tasks:
            task.cancel()
        if tasks:
            self.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self.close()

    def _process_events(self, _: list[Any]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        self._called.set()
