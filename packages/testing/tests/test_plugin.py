from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import cast

import pytest

from api_exchange_core.domain.envelope import decode
from api_exchange_core.domain.errors import InvalidMessageError
from api_exchange_testing.events import event, names

USES_EVERY_FIXTURE = """
    from datetime import timedelta

    import pytest
    from api_exchange_core import Exchange, ProcessingResult, ProcessorInterface
    from api_exchange_core.domain.tenant import current_tenant

    class Take(ProcessorInterface):
        def process(self, message, context):
            return ProcessingResult.create_success()

    def test_a_harness_runs_on_the_virtual_clock(exchange_harness, virtual_clock):
        exchange = Exchange("shop", tenants=["acme"])
        exchange.queue("take", "orders", Take)
        harness = exchange_harness(exchange)
        harness.send("orders", {})
        virtual_clock.advance(timedelta(hours=1))
        (handled,) = harness.run()
        assert handled.outcome == "completed"
        assert harness.clock is virtual_clock

    def test_there_is_a_tenant(tenant):
        assert current_tenant() == tenant == "customer-a"

    @pytest.mark.tenant("acme")
    def test_the_tenant_can_be_chosen(tenant):
        assert current_tenant() == "acme"

    def test_events_of_the_clouds_are_at_hand(cloud_event):
        assert cloud_event("aws/sqs")["Records"]
"""


def test_the_fixtures_are_there_without_any_import(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(USES_EVERY_FIXTURE)
    result = pytester.runpytest_subprocess("--strict-markers", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=4)


def test_each_trigger_of_both_clouds_and_each_sender_of_webhooks_has_an_event() -> None:
    assert names() == [
        "aws/function_url",
        "aws/http_api",
        "aws/load_balancer",
        "aws/rest_api",
        "aws/rule",
        "aws/scheduler",
        "aws/sqs",
        "aws/sqs_fifo",
        "azure/http",
        "azure/service_bus",
        "azure/storage_queue",
        "azure/timer",
        "webhooks/github",
        "webhooks/shopify",
        "webhooks/slack",
        "webhooks/standard",
        "webhooks/stripe",
    ]


def test_an_unknown_event_is_told_with_those_that_there_are() -> None:
    with pytest.raises(LookupError, match=r"no event 'aws/sns'.*aws/sqs"):
        event("aws/sns")


def test_an_event_is_a_copy() -> None:
    event("azure/timer").clear()
    assert event("azure/timer")


@pytest.mark.parametrize("name", ["aws/sqs", "aws/sqs_fifo"])
def test_the_checksums_of_sqs_events_are_right(name: str) -> None:
    for record in cast("list[dict[str, str]]", event(name)["Records"]):
        body = record["body"].encode()
        assert record["md5OfBody"] == hashlib.md5(body, usedforsecurity=False).hexdigest()


@pytest.mark.parametrize(
    "body_of",
    [
        lambda: cast("list[dict[str, str]]", event("aws/sqs")["Records"])[0]["body"],
        lambda: cast("list[dict[str, str]]", event("aws/sqs_fifo")["Records"])[0]["body"],
        lambda: cast("dict[str, str]", event("azure/service_bus")["Data"])["message"],
        lambda: cast("dict[str, str]", event("azure/storage_queue")["Data"])["message"],
    ],
)
def test_queue_events_hold_messages(body_of: Callable[[], str]) -> None:
    message = decode(body_of().encode())
    assert (message.tenant_id, message.payload) == ("customer-a", {"id": "o-1"})


def test_the_sqs_batch_has_one_record_that_is_no_message() -> None:
    records = cast("list[dict[str, str]]", event("aws/sqs")["Records"])
    with pytest.raises(InvalidMessageError):
        decode(records[1]["body"].encode())
    with pytest.raises(ValueError, match="Expecting value"):
        json.loads(records[1]["body"])
