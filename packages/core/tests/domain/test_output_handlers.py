"""Output handlers refuse what could not be carried out."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from api_exchange_core import DeclarationError, FileOutputHandler, ProcessingResult, QueueOutputHandler
from api_exchange_core.domain.errors import UnrepresentableError


def test_a_queue_output_keeps_what_it_was_told() -> None:
    handler = QueueOutputHandler(
        "orders", delay=timedelta(minutes=1), ordering_key="customer-7", properties={"kind": "new"}
    )
    assert (handler.queue, handler.delay, handler.ordering_key) == (
        "orders",
        timedelta(minutes=1),
        "customer-7",
    )
    assert handler.properties == {"kind": "new"}
    assert handler == QueueOutputHandler(
        "orders", delay=timedelta(minutes=1), ordering_key="customer-7", properties={"kind": "new"}
    )


@pytest.mark.parametrize("delay", [timedelta(seconds=-1), timedelta(days=8)])
def test_a_delay_that_no_platform_takes_is_refused(delay: timedelta) -> None:
    with pytest.raises(DeclarationError, match="delay"):
        QueueOutputHandler("orders", delay=delay)


@pytest.mark.parametrize("key", ["", "k" * 129])
def test_an_ordering_key_has_bounds(key: str) -> None:
    with pytest.raises(DeclarationError, match="ordering key"):
        QueueOutputHandler("orders", ordering_key=key)


def test_properties_have_a_bound() -> None:
    with pytest.raises(DeclarationError, match="properties"):
        QueueOutputHandler("orders", properties={str(n): "" for n in range(9)})


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/etc/passwd",
        "../x",
        "a/../../x",
        "a//b",
        ".",
        "a/.",
        "C:\\x",
        "a\\b",
        "a\x00b",
        "a\nb",
        "a ",
        "x" * 300,
    ],
)
def test_a_file_name_that_leaves_its_folder_is_refused(name: str) -> None:
    with pytest.raises(DeclarationError, match="output file"):
        FileOutputHandler(name)


def test_a_file_name_may_have_folders() -> None:
    assert FileOutputHandler("exports/größe 1/orders.jsonl").name == "exports/größe 1/orders.jsonl"


def test_a_result_takes_only_output_handlers() -> None:
    result = ProcessingResult.create_success()
    with pytest.raises(TypeError, match="QueueOutputHandler"):
        result.add_output_handler("orders")  # type: ignore[arg-type] # the mistake that is tested


def test_an_output_message_without_a_json_form_is_refused_where_it_is_made() -> None:
    with pytest.raises(UnrepresentableError):
        ProcessingResult.create_success().add_output_message({"price": float("nan")})


@pytest.mark.parametrize(
    "options",
    [
        {"delay": 5},
        {"ordering_key": 7},
        {"ordering_key": ""},
        {"ordering_key": "a\0"},
        {"ordering_key": "\ud800"},
        {"properties": {"number": 1}},
        {"properties": {"text": "\ud800"}},
        {"properties": {1: "number"}},
    ],
)
def test_what_no_broker_takes_is_refused_where_it_is_made(options: dict[str, Any]) -> None:
    with pytest.raises(DeclarationError, match="orders"):
        QueueOutputHandler("orders", **options)
