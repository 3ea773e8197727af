"""`/healthz`, `/readyz` and `/metrics` of a process on one machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from typing_extensions import override

from api_exchange_core import (
    DeclarationError,
    Exchange,
    Message,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
    TenantFromApiKey,
    TransientError,
)
from api_exchange_core.containers.local import LocalContainer, LocalSettings, prepared_container
from api_exchange_core.local.runner import Runner
from api_exchange_testing.memory.observer import RecordingObserver

SECRET = "hunter2"


class Step(ProcessorInterface):
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        return ProcessingResult.create_success()


def container_of(
    folder: Path, *, http: bool | None, has_http_function: bool = False, **settings_: Any
) -> LocalContainer:
    exchange = Exchange("shop", tenants=["customer-a"])
    exchange.queue("step", "orders", Step)
    if has_http_function:
        exchange.http("intake", "/orders", Step, tenant=TenantFromApiKey())
    settings = LocalSettings(
        database_url=SecretStr(f"sqlite:///{folder}/exchange.db"), http=http, port=0, **settings_
    )
    return prepared_container(
        exchange, settings, observer=RecordingObserver(), page=lambda: (b"a_metric 1\n", "text/plain")
    )


@contextmanager
def running(container: LocalContainer) -> Iterator[Runner]:
    runner: Runner = container.runner()
    runner.start()
    try:
        yield runner
    finally:
        runner.stop()
        container.engine().dispose()


def get(runner: Runner, path: str) -> httpx.Response:
    return httpx.get(f"http://127.0.0.1:{runner.http_port}{path}", trust_env=False)


@pytest.mark.parametrize(
    ("http", "has_http_function", "serves"),
    [(None, False, False), (None, True, True), (True, False, True), (False, True, False)],
)
def test_http_is_served_where_there_are_functions_for_it_or_it_is_asked_for(
    tmp_path: Path, http: bool | None, has_http_function: bool, serves: bool
) -> None:
    container = container_of(tmp_path, http=http, has_http_function=has_http_function)
    with running(container) as runner:
        assert (runner.http_port is not None) is serves


def test_a_process_at_work_is_alive_ready_and_tells_its_metrics(tmp_path: Path) -> None:
    with running(container_of(tmp_path, http=True)) as runner:
        assert get(runner, "/healthz").json() == {"status": "ok"}
        ready = get(runner, "/readyz")
        assert (ready.status_code, ready.json()) == (200, {"status": "ready"})
        metrics = get(runner, "/metrics")
        assert (metrics.text, metrics.headers["content-type"]) == ("a_metric 1\n", "text/plain")


@pytest.mark.parametrize(
    ("host", "has_http_function", "metrics", "status"),
    [
        ("0.0.0.0", True, None, 404),
        ("0.0.0.0", True, True, 200),
        ("0.0.0.0", False, None, 200),
        ("127.0.0.1", True, None, 200),
        ("127.0.0.1", True, False, 404),
    ],
)
def test_metrics_are_not_shown_to_whoever_may_call_functions_from_elsewhere(
    tmp_path: Path, host: str, has_http_function: bool, metrics: bool | None, status: int
) -> None:
    container = container_of(
        tmp_path, http=True, has_http_function=has_http_function, host=host, metrics=metrics
    )
    with running(container) as runner:
        assert get(runner, "/metrics").status_code == status
        assert runner.serves_metrics is (status == 200)
        assert get(runner, "/readyz").status_code == 200


def test_a_store_that_cannot_be_worked_with_makes_it_unready_and_the_log_says_why(tmp_path: Path) -> None:
    container = container_of(tmp_path, http=True)

    def check() -> None:
        raise TransientError(f"the database of customer-a cannot be reached: {SECRET}")

    with running(container) as runner:
        runner.check_store = check
        ready = get(runner, "/readyz")
        assert ready.status_code == 503
        assert ready.json() == {
            "status": "not ready",
            "reasons": ["the database cannot be worked with; the log says why"],
        }
        assert get(runner, "/healthz").status_code == 200
        observer = container.observer()
        assert isinstance(observer, RecordingObserver)
        assert [event.name for event in observer.events] == ["store.unready"]


def test_a_schema_of_another_release_makes_it_unready(tmp_path: Path) -> None:
    container = container_of(tmp_path, http=True)
    with running(container) as runner:
        with container.engine().begin() as connection:
            connection.exec_driver_sql("UPDATE api_exchange_version SET version_num = 'another'")
        assert get(runner, "/readyz").status_code == 503


def test_a_thread_that_has_ended_makes_it_unready(tmp_path: Path) -> None:
    with running(container_of(tmp_path, http=True)) as runner:
        ended = threading.Thread(target=lambda: None, name="step")
        ended.start()
        ended.join()
        runner._threads.append(ended)
        assert get(runner, "/readyz").json()["reasons"] == ["thread 'step' has ended"]


def test_it_is_unready_before_it_has_started_and_once_it_is_told_to_stop(tmp_path: Path) -> None:
    container = container_of(tmp_path, http=None)
    runner: Runner = container.runner()
    assert runner.unready() == ["starting"]
    with running(container):
        assert runner.unready() == []
    assert runner.unready() == ["stopping"]


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_no_function_can_have_one_of_these_paths(path: str) -> None:
    with pytest.raises(DeclarationError, match="answered by the server itself"):
        Exchange("shop").http("intake", path, Step, tenant=TenantFromApiKey())


SHOP = """
from api_exchange_core import *

class Fetch(ProcessorInterface):
    def process(self, message, context):
        context.persist_entity(external_id="1", canonical_type="order", source="shop", data={"n": 1})
        result = ProcessingResult.create_success()
        result.add_output_handler(QueueOutputHandler("fetched"))
        return result

class Step(ProcessorInterface):
    def process(self, message, context):
        raise PermanentError("password=hunter2")

exchange = Exchange("shop", tenants=["customer-a"])
exchange.timer("fetch", Schedule.cron("0 0 29 2 *"), Fetch)
exchange.queue("step", "fetched", Step)
"""


class Collector(ThreadingHTTPServer):
    """Takes in what OTLP sends."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Collecting)
        self.posted: list[tuple[str, bytes]] = []

    def of(self, path: str) -> bytes:
        return b"".join(body for at, body in list(self.posted) if at == path)


class _Collecting(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posted.append((self.path, body))
        self.send_response(200)
        self.end_headers()

    @override
    def log_message(self, *_: object) -> None:
        """To no log."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    thread = threading.Thread(target=collector.serve_forever)
    thread.start()
    yield collector
    collector.shutdown()
    thread.join()
    collector.server_close()


def start(folder: Path, *options: str, **environment: str) -> subprocess.Popen[bytes]:
    (folder / "shop.py").write_text(SHOP)
    command = [sys.executable, "-m", "api_exchange_core.cli", "run", "shop:exchange", "--tick-now", *options]
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(command, cwd=folder, stderr=log, env={**os.environ, **environment})


def wait_until(condition: Callable[[], bool], folder: Path) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, (folder / "log").read_text()
        time.sleep(0.02)


def port_of(folder: Path) -> str:
    return (folder / "log").read_text().partition("http://127.0.0.1:")[2].partition(",")[0]


def test_the_command_serves_metrics_and_logs_from_a_level_on(tmp_path: Path) -> None:
    with start(tmp_path, "--http", "--port", "0", "--log-level", "WARNING") as process:
        try:
            wait_until(lambda: b"message.handled" in (tmp_path / "log").read_bytes(), tmp_path)
            told = httpx.get(f"http://127.0.0.1:{port_of(tmp_path)}/metrics", trust_env=False).text
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    assert 'api_exchange_queue_depth{messaging_destination_name="fetched-dlq"} 1.0' in told
    assert 'api_exchange_outcome="dead_lettered",error_type="PermanentError"' in told
    assert "api_exchange_outbox_pending 0.0" in told
    assert "customer-a" not in told
    assert SECRET not in told
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines() if line.startswith("{")]
    assert {line["level"] for line in lines} == {"warning"}


def test_spans_and_metrics_are_sent_by_otlp_if_the_environment_says_where(
    tmp_path: Path, collector: Collector
) -> None:
    where = f"http://127.0.0.1:{collector.server_port}"
    with start(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=where, OTEL_SERVICE_NAME="the-shop") as process:
        try:
            wait_until(lambda: b"dead_lettered" in (tmp_path / "log").read_bytes(), tmp_path)
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    spans, metrics = collector.of("/v1/traces"), collector.of("/v1/metrics")
    assert b"process step" in spans
    assert b"send fetch" in spans
    assert b"messaging.process.duration" in metrics
    for told in (spans, metrics):
        assert b"the-shop" in told
        assert SECRET.encode() not in told
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines() if line.startswith("{")]
    assert all(len(line["trace_id"]) == 32 for line in lines if line["event"] == "message.handled")


def test_a_protocol_that_is_not_there_is_refused_at_the_start(tmp_path: Path) -> None:
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    with start(tmp_path, **environment) as process:
        assert process.wait(timeout=60) == 2
    assert "http/protobuf" in (tmp_path / "log").read_text()
