"""`api-exchange graph`: the drawings, as they are printed."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from api_exchange_core import (
    Exchange,
    Message,
    ProcessingResult,
    ProcessorContext,
    ProcessorInterface,
    QueueOutputHandler,
    Schedule,
    TenantFromApiKey,
    operation,
)
from api_exchange_core.application.topology import Destinations, Topology
from api_exchange_core.cli.mermaid_graph import mermaid_graph
from api_exchange_core.cli.source.sent_queues import sent_queues
from api_exchange_core.cli.text_graph import in_ascii, text_graph

# The first three processors are the documentation's, where Python needs no annotations.
# mypy: disable-error-code="no-untyped-def,no-untyped-call,misc,explicit-override"


class FetchOrders(ProcessorInterface):
    @operation("external_api.fetch")
    def process(self, message: Message, context: ProcessorContext) -> ProcessingResult:
        result = ProcessingResult.create_success()
        result.add_output_handler(QueueOutputHandler("orders-fetched"))
        return result


class ToCanonical(ProcessorInterface):
    @operation("transform.canonical")
    def process(self, message, context):
        result = ProcessingResult.create_success()
        result.add_output_handler(QueueOutputHandler("orders-canonical"))
        return result


class RouteByType(ProcessorInterface):
    @operation("route.by_type")
    def process(self, message, context):
        queue = {"express": "express-orders", "standard": "standard-orders"}.get(
            message.payload.get("order_type"), "unknown-orders"
        )
        result = ProcessingResult.create_success()
        result.add_output_handler(QueueOutputHandler(queue))
        return result


class Untold(ProcessorInterface):
    def process(self, message, context):
        result = ProcessingResult.create_success()
        result.add_output_handler(QueueOutputHandler(message.payload["queue"]))
        return result


def orders() -> Topology:
    exchange = Exchange("orders", tenants=["customer-a", "customer-b"])
    exchange.timer("fetch-orders", Schedule.every(minutes=5), FetchOrders)
    exchange.queue("to-canonical", "orders-fetched", ToCanonical)
    exchange.queue("route-orders", "orders-canonical", RouteByType)
    exchange.http("intake", "/orders", ToCanonical, methods=["POST"], tenant=TenantFromApiKey())
    return Topology.of(exchange, read=sent_queues)


def odd() -> Topology:
    """A schedule in cron, destinations that cannot be told, a queue that nobody fills, and a circle."""
    exchange = Exchange("odd")
    exchange.timer("nightly", Schedule.cron("30 2 * * *"), Untold, sends_to=())
    exchange.queue("lonely", "nobody-fills", ToCanonical)
    exchange.queue("ask", "questions", Untold, sends_to=["answers"])
    exchange.queue("answer", "answers", Untold, sends_to=["questions", "archive"])
    return Topology.of(exchange, read=sent_queues)


def test_text_draws_a_tree_for_each_start() -> None:
    assert (
        text_graph(orders())
        == """\
orders for customer-a, customer-b

fetch-orders (timer: every 5 minutes)
└─ [orders-fetched]
   └─ to-canonical
      └─ [orders-canonical]
         └─ route-orders
            ├─ [express-orders] end
            ├─ [standard-orders] end
            └─ [unknown-orders] end

intake (HTTP: POST /orders by API key in X-API-Key)
└─ [orders-canonical]
   └─ route-orders (above)"""
    )


def test_text_draws_what_nothing_starts_as_well() -> None:
    assert (
        text_graph(odd())
        == """\
odd for no declared tenant

nightly (timer: 30 2 * * *)
└─ ? known only when it runs

[nobody-fills] filled by no function
└─ lonely
   └─ [orders-canonical] end

[questions] a circle that nothing starts
└─ ask
   └─ [answers]
      └─ answer
         ├─ [questions]
         │  └─ ask (above)
         └─ [archive] end"""
    )


def test_lines_are_ascii_where_the_output_knows_no_better() -> None:
    assert in_ascii("└─ a\n├─ b\n│", encoding="cp1252") == "+- a\n+- b\n|"
    assert in_ascii("└─ größe", encoding="utf-8") == "└─ größe"


def test_mermaid_draws_functions_queues_and_ends() -> None:
    assert (
        mermaid_graph(orders())
        == """\
flowchart LR
    f_fetch_orders(["fetch-orders<br/>timer: every 5 minutes"])
    f_to_canonical["to-canonical"]
    f_route_orders["route-orders"]
    f_intake{{"intake<br/>HTTP: POST /orders by API key in X-API-Key"}}
    q_orders_fetched[("orders-fetched")]
    q_orders_canonical[("orders-canonical")]
    q_express_orders[("express-orders")]:::ends
    q_standard_orders[("standard-orders")]:::ends
    q_unknown_orders[("unknown-orders")]:::ends
    f_fetch_orders --> q_orders_fetched
    q_orders_fetched --> f_to_canonical
    f_to_canonical --> q_orders_canonical
    q_orders_canonical --> f_route_orders
    f_route_orders --> q_express_orders
    f_route_orders --> q_standard_orders
    f_route_orders --> q_unknown_orders
    f_intake --> q_orders_canonical
    classDef ends stroke-dasharray:4"""
    )


def test_mermaid_draws_what_cannot_be_told_as_a_dotted_arrow() -> None:
    lines = mermaid_graph(odd()).splitlines()
    assert '    unknown["? known only when it runs"]' in lines
    assert "    f_nightly -.-> unknown" in lines


def test_stars_of_a_schedule_do_not_style_the_label() -> None:
    assert '    f_nightly(["nightly<br/>timer: 30 2 #42; #42; #42;"])' in mermaid_graph(odd()).splitlines()


def test_a_queue_that_a_function_sends_to_and_is_called_like_a_timer_leads_to_it() -> None:
    exchange = Exchange("orders", tenants=["customer-a"])
    exchange.timer("fetch", Schedule.every(minutes=5), FetchOrders, sends_to=["fetch"])
    drawn = Topology.of(exchange, read=sent_queues)
    assert "    q_fetch --> f_fetch" in mermaid_graph(drawn).splitlines()
    assert text_graph(drawn).endswith("└─ [fetch]\n   └─ fetch (above)")


@pytest.mark.parametrize("queue", ['"]; click x', "a`b", "<script>", "größe", "a_b", "A B", "#35;"])
def test_no_name_breaks_out_of_its_label(queue: str) -> None:
    exchange = Exchange("orders", tenants=["customer-a"])
    exchange.timer("fetch", Schedule.every(minutes=5), FetchOrders)
    drawn = Topology.of(exchange, read=lambda _: Destinations((queue, "a-b")))
    nodes = [line.strip() for line in mermaid_graph(drawn).splitlines() if line.strip().startswith("q_")]
    assert len(nodes) == 2
    assert len({node.partition("[")[0] for node in nodes}) == 2
    for node in nodes:
        assert re.fullmatch(r'q_[A-Za-z0-9_]+\[\("([A-Za-z0-9 ,./:_-]|#\d+;)+"\)\]:::ends', node)


@pytest.mark.parametrize(
    ("options", "start"), [([], "orders for customer-a"), (["--format", "mermaid"], "flowchart LR")]
)
def test_the_command_draws_in_the_format_that_is_asked_for(
    api_exchange: Callable[..., Any], write: Callable[[str, str], None], options: list[str], start: str
) -> None:
    write(
        "shop_t.py",
        "from api_exchange_core import Exchange\nexchange = Exchange('orders', tenants=['customer-a'])\n",
    )
    ended = api_exchange("graph", "shop_t:exchange", *options)
    assert ended.exit_code == 0
    assert ended.out.startswith(start)
