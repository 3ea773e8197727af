"""`api-exchange run` as a process: it starts, works, stops when told, and loses nothing when it is killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from api_exchange_core import Exchange, tenant_context
from api_exchange_core.containers.local import LocalContainer, LocalSettings, prepared_container
from api_exchange_core.domain.envelope import decode
from api_exchange_core.domain.names import QueueName

ORDERS = 300

SHOP = f"""
import time
from datetime import timedelta
from api_exchange_core import *

class Fetch(ProcessorInterface):
    def process(self, message, context):
        for number in range({ORDERS}):
            context.persist_entity(external_id=str(number), canonical_type="order", source="shop", data={{"n": number}})
        result = ProcessingResult.create_success()
        result.add_output_handler(QueueOutputHandler("fetched"))
        return result

class Step(ProcessorInterface):
    def process(self, message, context):
        time.sleep(0.002)
        context.persist_entity(
            external_id=message.entity.external_id, canonical_type="canonical", source="step", data=message.payload)
        result = ProcessingResult.create_success()
        result.add_output_handler(QueueOutputHandler("done"))
        result.add_output_handler(FileOutputHandler("done.jsonl"))
        return result

exchange = Exchange("shop", tenants=["customer-a", "customer-b"])
exchange.timer("fetch", Schedule.cron("0 0 29 2 *"), Fetch)
exchange.queue("step", "fetched", Step)
"""


@contextmanager
def running(folder: Path, url: str, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [
        sys.executable,
        "-m",
        "api_exchange_core.cli",
        "run",
        "shop:exchange",
        "--database-url",
        url,
        *options,
    ]
    log = folder / f"log-{time.monotonic_ns()}"
    with log.open("wb") as told, subprocess.Popen(command, cwd=folder, stderr=told) as process:
        try:
            wait_until(lambda: b"running" in log.read_bytes() or process.poll() is not None)
            assert process.poll() is None, log.read_text()
            yield process
        finally:
            process.kill()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "shop.py").write_text(SHOP)
    return tmp_path


@pytest.fixture
def store(database_url: str) -> Iterator[LocalContainer]:
    """The database, seen from outside of the process."""
    exchange = Exchange("shop", tenants=["customer-a", "customer-b"])
    container = prepared_container(exchange, LocalSettings(database_url=SecretStr(database_url)))
    yield container
    container.engine().dispose()


def wait_until(condition: Callable[[], bool], *, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.02)


def depth(store: LocalContainer, queue: str) -> int:
    return store.queue().depths().get(QueueName(queue), 0)


def arrived(store: LocalContainer) -> Counter[tuple[str, str]]:
    taken = store.queue().receive(QueueName("done"), max_messages=10_000, visibility=timedelta(hours=1))
    messages = [decode(one.body) for one in taken]
    return Counter((m.tenant_id, m.entity.external_id) for m in messages if m.entity is not None)


EVERY_ORDER_ONCE = Counter(
    {(tenant, str(n)): 1 for tenant in ("customer-a", "customer-b") for n in range(ORDERS)}
)


def test_it_works_off_what_is_there_and_stops_when_told(
    folder: Path, database_url: str, store: LocalContainer
) -> None:
    with running(folder, database_url, "--tick-now") as process:
        wait_until(lambda: depth(store, "done") == 2 * ORDERS)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    assert arrived(store) == EVERY_ORDER_ONCE


def test_a_stop_in_the_middle_gives_back_what_has_not_begun(
    folder: Path, database_url: str, store: LocalContainer
) -> None:
    with running(folder, database_url, "--tick-now") as process:
        wait_until(lambda: depth(store, "fetched") > 0)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    left = depth(store, "fetched")
    assert left + depth(store, "done") == 2 * ORDERS
    # Given back means visible now, and not after a visibility timeout.
    seen = store.queue().receive(QueueName("fetched"), max_messages=10_000, visibility=timedelta(0))
    assert [one.receive_count for one in seen] == [1] * left


@pytest.mark.slow
def test_killed_again_and_again_it_loses_nothing_and_does_nothing_twice(
    folder: Path, database_url: str, store: LocalContainer
) -> None:
    with running(folder, database_url, "--tick-now"):
        wait_until(lambda: depth(store, "fetched") > 0)
    for _ in range(5):
        with running(folder, database_url):
            wait_until(progress(store))
        make_visible(store)
    with running(folder, database_url):
        wait_until(lambda: depth(store, "done") == 2 * ORDERS)
    assert arrived(store) == EVERY_ORDER_ONCE
    for tenant in ("customer-a", "customer-b"):
        with tenant_context(tenant):
            assert store.use_cases.entity_service().count(canonical_type="canonical") == ORDERS


def progress(store: LocalContainer) -> Callable[[], bool]:
    """Whether more is done than now, or nothing is left to do."""
    already = depth(store, "done")
    return lambda: depth(store, "done") > already or depth(store, "fetched") == 0


def make_visible(store: LocalContainer) -> None:
    """What a killed worker had in hand comes back after its visibility timeout; here the time is let pass at once."""
    from sqlalchemy import text

    with store.engine().begin() as connection:
        connection.execute(text("UPDATE queue SET visible_at = enqueued_at"))


def test_output_files_hold_every_line_and_stay_in_their_folder(
    folder: Path, database_url: str, store: LocalContainer
) -> None:
    with running(folder, database_url, "--tick-now") as process:
        wait_until(lambda: depth(store, "done") == 2 * ORDERS)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    for tenant in ("customer-a", "customer-b"):
        lines = (folder / "output" / tenant / "done.jsonl").read_bytes().splitlines()
        messages = [decode(line) for line in lines]
        assert {m.tenant_id for m in messages} == {tenant}
        assert {m.entity.external_id for m in messages if m.entity} == {str(n) for n in range(ORDERS)}
    assert store.use_cases.outbox().pending() == 0


HANGS = """
import pathlib, time
from api_exchange_core import *

class Hang(ProcessorInterface):
    def process(self, message, context):
        pathlib.Path("begun").touch()
        time.sleep(600)

exchange = Exchange("shop", tenants=["customer-a"])
exchange.timer("fetch", Schedule.cron("0 0 29 2 *"), Hang)
"""


def test_a_second_signal_ends_a_processor_that_hangs(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(HANGS)
    with running(tmp_path, f"sqlite:///{tmp_path}/exchange.db", "--tick-now") as process:
        wait_until((tmp_path / "begun").exists)
        process.send_signal(signal.SIGTERM)
        wait_until(lambda: any(b"stopping" in log.read_bytes() for log in tmp_path.glob("log-*")))
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == -signal.SIGTERM


HANGING = """
import threading
from api_exchange_core import *

class Hangs(ProcessorInterface):
    def process(self, message, context):
        open(f"hangs-{message.payload}", "w").close()
        threading.Event().wait()

exchange = Exchange("shop", tenants=["customer-a"])
exchange.queue("hangs", "hanging", Hangs, concurrency=2)
"""


def test_what_hangs_is_named_after_the_grace_period_and_the_process_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_EXCHANGE_STOP_GRACE", "0.1")
    (tmp_path / "shop.py").write_text(HANGING)
    url = f"sqlite:///{tmp_path}/exchange.db"
    exchange = Exchange("shop", tenants=["customer-a"])
    store = prepared_container(exchange, LocalSettings(database_url=SecretStr(url)))
    for number in range(2):
        store.use_cases.sender().send(QueueName("hanging"), number, tenant_id=exchange.tenants[0])
    with running(tmp_path, url) as process:
        wait_until(lambda: len(list(tmp_path.glob("hangs-*"))) == 2)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 3
    [log] = tmp_path.glob("log-*")
    assert "still running: hangs." in log.read_text()
    assert depth(store, "hanging") == 2
    store.engine().dispose()
