"""Ends processes that extract the orders with SIGKILL, one at each step of the way, and lets others finish."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final, NoReturn, cast

from dependency_injector import providers
from typing_extensions import override

from api_exchange_core.application.sources import SourceState
from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.unit_of_work import UnitOfWork, UnitOfWorkFactory
from api_exchange_testing import RecordingObserver, VirtualClock
from benchmarks.torture.crash_points import Steps, watched
from examples.orders.tests.machine import START, Machine, Site, assert_exact, by_the

LATER: Final = timedelta(minutes=15)
"""By then every claim and lease of a process that died is over."""


@dataclass(frozen=True, slots=True)
class _WatchedUnits(UnitOfWorkFactory):
    inner: UnitOfWorkFactory
    steps: Steps

    @override
    @contextmanager
    def begin(self, tenant_id: TenantId) -> Iterator[UnitOfWork]:
        with self.inner.begin(tenant_id) as unit:
            yield cast("UnitOfWork", watched("unit", unit, self.steps))


@dataclass(frozen=True, kw_only=True)
class Deaths:
    """One extraction, to be died in again and again.

    Args:
        site: whose database is a file of SQLite.
        begun: that file as it is when a tick has been fired.
        page_size: orders of a page.
        book: what there is to extract.
    """

    site: Site
    begun: Path
    page_size: int
    book: Sequence[tuple[str, str]]

    def explore(self) -> Sequence[str]:
        """Die at each step, have another process finish, and look whether it is exact; the steps.

        Raises:
            AssertionError: it is not.
        """
        self._begin()
        steps = Steps()
        self._extract(steps)
        for number, name in enumerate(steps.names, start=1):
            self._begin()
            self._die_at(number)
            try:
                self._finish()
            except AssertionError as error:
                raise AssertionError(f"died at step {number}, {name!r}: {error}") from error
        return steps.names

    def _begin(self) -> None:
        file = Path(self.site.database_url.removeprefix("sqlite:///"))
        for left in file.parent.glob(f"{file.name}*"):
            left.unlink()
        shutil.copy(self.begun, file)

    def _extract(self, steps: Steps) -> None:
        orders = watched("pages", by_the(self.page_size), steps)
        with self.site.process(RecordingObserver(), orders=orders) as container:
            machine = Machine(container, VirtualClock(START))
            container.units.override(providers.Object(_WatchedUnits(container.units(), steps)))
            container.token_store.override(
                providers.Object(watched("tokens", container.token_store(), steps))
            )
            with steps.watching([container.engine()]):
                while machine.work_once("fetch-orders"):
                    steps.reach("between pages")

    def _die_at(self, number: int) -> None:
        child = os.fork()
        if child == 0:
            self._work_as_child(Steps(number))
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            raise AssertionError(f"step {number} was not reached again; what went wrong is said above")

    def _work_as_child(self, steps: Steps) -> NoReturn:
        try:
            self._extract(steps)
        except BaseException:
            traceback.print_exc()
            raise
        finally:
            os._exit(1)

    def _finish(self) -> None:
        with self.site.process(RecordingObserver(), orders=by_the(self.page_size)) as container:
            machine = Machine(container, VirtualClock(START + LATER))
            machine.work()
            assert_exact(container, self.book)
            sources = container.operations.report_sources().report()
            assert {source.state for source in sources} == {SourceState.IDLE}


def explored(deaths: Deaths) -> Sequence[str]:
    """What `Deaths.explore` answers, in a process of one thread that may fork, whatever the caller's has."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("forkserver")) as pool:
        return pool.submit(deaths.explore).result()
