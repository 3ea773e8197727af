"""Declaring an exchange: what is wrong is refused at once, with a mend."""

from __future__ import annotations

from typing import Any

import pytest

from api_exchange_core import (
    DeclarationError,
    Exchange,
    Message,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
    Schedule,
    TenantFromApiKey,
)
from api_exchange_core.domain.errors import TenantError


class Nothing(ProcessorInterface):
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        return ProcessingResult.create_success()


def exchange() -> Exchange:
    return Exchange("shop", tenants=["customer-a"])


@pytest.mark.parametrize(
    "name",
    [
        "",
        "ab",
        "Orders",
        "orders_fetched",
        "orders--fetched",
        "-orders",
        "orders-",
        "größe",
        "a" * 60,
        "orders-dlq",
        "../x",
    ],
)
def test_a_queue_name_that_some_platform_refuses_is_refused(name: str) -> None:
    with pytest.raises(DeclarationError, match="queue name"):
        exchange().queue("to-canonical", name, Nothing)


def test_the_longest_portable_name_leaves_room_for_its_dead_letter_queue() -> None:
    function = exchange().queue("to-canonical", "q" * 59, Nothing)
    assert len(function.input_queue + "-dlq") == 63


def test_a_function_name_is_unique() -> None:
    shop = exchange()
    shop.queue("to-canonical", "orders", Nothing)
    with pytest.raises(DeclarationError, match="'to-canonical'"):
        shop.queue("to-canonical", "other", Nothing)


def test_a_queue_has_one_consumer() -> None:
    shop = exchange()
    shop.queue("first", "orders", Nothing)
    with pytest.raises(DeclarationError, match="'first' and 'second'"):
        shop.queue("second", "orders", Nothing)


def test_a_timer_owns_the_queue_that_is_called_like_it() -> None:
    shop = exchange()
    shop.timer("orders", Schedule.every(minutes=5), Nothing)
    with pytest.raises(DeclarationError, match="'orders'"):
        shop.queue("second", "orders", Nothing)


def test_two_functions_cannot_serve_the_same_route() -> None:
    shop = exchange()
    shop.http("intake", "/orders", Nothing, tenant=TenantFromApiKey(), methods=["POST", "PUT"])
    shop.http("listing", "/orders", Nothing, tenant=TenantFromApiKey(), methods=["GET"])
    with pytest.raises(DeclarationError, match="POST"):
        shop.http("again", "/orders", Nothing, tenant=TenantFromApiKey())


def test_an_http_function_says_how_it_knows_its_tenant() -> None:
    nothing: Any = None
    with pytest.raises(DeclarationError, match="TenantFromApiKey"):
        exchange().http("intake", "/orders", Nothing, tenant=nothing)


@pytest.mark.parametrize("path", ["orders", "/orders/", "/a b", "/../x?", "//", "/healthz"])
def test_a_path_that_is_none_is_refused(path: str) -> None:
    with pytest.raises(DeclarationError, match="path"):
        exchange().http("intake", path, Nothing, tenant=TenantFromApiKey())


def test_a_method_that_is_none_is_refused() -> None:
    with pytest.raises(DeclarationError, match="methods"):
        exchange().http("intake", "/orders", Nothing, tenant=TenantFromApiKey(), methods=["FETCH"])


def test_a_schedule_is_a_schedule() -> None:
    text: Any = "*/5 * * * *"
    with pytest.raises(DeclarationError, match=r"Schedule\.cron"):
        exchange().timer("fetch", text, Nothing)


@pytest.mark.parametrize("tenant", ["", "a b", "-a", "x" * 65, "../a", "größe"])
def test_a_tenant_id_that_is_none_is_refused(tenant: str) -> None:
    with pytest.raises(TenantError, match="tenant id"):
        Exchange("shop", tenants=[tenant])


@pytest.mark.parametrize("concurrency", [0, 65, "8", 1.5])
def test_concurrency_has_bounds(concurrency: Any) -> None:
    with pytest.raises(DeclarationError, match="concurrency"):
        exchange().queue("to-canonical", "orders", Nothing, concurrency=concurrency)


@pytest.mark.parametrize(
    "processor", [Nothing, Nothing(), lambda: Nothing()], ids=["class", "instance", "factory"]
)
def test_a_processor_is_a_class_an_instance_or_a_factory_and_is_made_once(processor: Any) -> None:
    function = exchange().queue("to-canonical", "orders", processor)
    assert isinstance(function.processor, Nothing)
    assert function.processor is function.processor


@pytest.mark.parametrize(
    ("processor", "says"),
    [(object, "no processor"), ("text", "no processor"), (lambda: 1 / 0, "ZeroDivisionError")],
)
def test_what_makes_no_processor_is_told_when_it_is_made(processor: Any, says: str) -> None:
    function = exchange().queue("to-canonical", "orders", processor)
    with pytest.raises(DeclarationError, match=says):
        function.processor  # noqa: B018 - reading it makes it


def test_asking_for_a_function_that_is_not_there_names_those_that_are() -> None:
    shop = exchange()
    shop.queue("to-canonical", "orders", Nothing)
    with pytest.raises(DeclarationError, match="it has to-canonical"):
        shop.function("to-canonicle")


def test_a_retry_policy_that_is_none_is_refused_at_declaration() -> None:
    retry: Any = 3
    with pytest.raises(DeclarationError, match="RetryPolicy"):
        exchange().queue("to-canonical", "orders", Nothing, retry=retry)


def test_one_text_is_no_list_of_tenants() -> None:
    with pytest.raises(DeclarationError, match="list"):
        Exchange("orders", tenants="acme")


def test_a_volatile_field_that_is_no_pointer_is_refused_at_declaration() -> None:
    with pytest.raises(DeclarationError, match="fetched_at"):
        Exchange("orders", volatile_fields={"order": ["fetched_at"]})
