"""`api-exchange check`: what is printed, and with which exit code it ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]
Write = Callable[[str, str], None]

PROCESSORS = """
from api_exchange_core import Exchange, ProcessingResult, ProcessorInterface, QueueOutputHandler, Schedule

class Fetch(ProcessorInterface):
    def process(self, message, context):
        result = ProcessingResult.create_success()
        result.add_output_handler(QueueOutputHandler("orders-fetched"))
        return result

class Sink(ProcessorInterface):
    def process(self, message, context):
        return ProcessingResult.create_success()

exchange = Exchange("orders", tenants=["customer-a"])
exchange.timer("fetch", Schedule.every(minutes=5), Fetch)
"""


def test_an_exchange_in_order_passes(write: Write, api_exchange: Run) -> None:
    write("shop_o.py", PROCESSORS + 'exchange.queue("sink", "orders-fetched", Sink)\n')
    ended = api_exchange("check", "shop_o:exchange", "--strict")
    assert (ended.exit_code, ended.out) == (0, "orders: 2 functions, nothing found\n")


def test_findings_are_lines_with_their_mends_below(write: Write, api_exchange: Run) -> None:
    write("shop_p.py", PROCESSORS + 'exchange.queue("sink", "order-fetched", Sink)\n')
    assert api_exchange("check", "shop_p").out == (
        "warning: sink: consumes 'order-fetched', and no function sends to it\n"
        "  did you mean 'orders-fetched', filled by fetch?\n"
        "note: queue 'orders-fetched' is an end: filled by fetch, consumed by no function\n"
        "orders: 2 functions, 1 warning, 1 note\n"
    )


def test_what_proves_the_tenant_of_each_request_is_told(write: Write, api_exchange: Run) -> None:
    write(
        "shop_t.py",
        "from api_exchange_core import GitHubSignature, TenantFromApiKey, TenantFromWebhook\n"
        + PROCESSORS
        + "exchange.http('intake', '/orders', Sink, methods=['POST', 'PUT'], tenant=TenantFromApiKey())\n"
        "exchange.http('git', '/git/{tenant}', Sink, tenant=TenantFromWebhook(GitHubSignature(), 'github'))\n"
        'exchange.queue("sink", "orders-fetched", Sink)\n',
    )
    ended = api_exchange("check", "shop_t", "--strict")
    assert (ended.exit_code, ended.out.splitlines()) == (
        0,
        [
            "intake: HTTP: POST, PUT /orders by API key in X-API-Key",
            "git: HTTP: POST /git/{tenant} by GitHub signature with the tenant's secret of github",
            "orders: 4 functions, nothing found",
        ],
    )


@pytest.mark.parametrize(("options", "exit_code"), [([], 0), (["--strict"], 1)])
def test_warnings_fail_a_strict_check_only(
    write: Write, api_exchange: Run, options: list[str], exit_code: int
) -> None:
    write("shop_q.py", PROCESSORS + 'exchange.queue("sink", "invoices", Sink)\n')
    assert api_exchange("check", "shop_q", *options).exit_code == exit_code


def test_errors_fail_the_check_and_are_told_all_at_once(write: Write, api_exchange: Run) -> None:
    write(
        "shop_r.py",
        PROCESSORS + "exchange.timer('one', Schedule.every(hours=1), lambda: {}['KEY'])\n"
        "exchange.timer('two', Schedule.every(hours=1), lambda: int('2\\n2'))\n",
    )
    ended = api_exchange("check", "shop_r")
    assert ended.exit_code == 1
    assert [line for line in ended.out.splitlines() if line.startswith("error")] == [
        "error: one: its processor could not be made: KeyError: 'KEY'",
        "error: two: its processor could not be made: ValueError: invalid literal for int() with base 10: '2\\n2'",
    ]


def test_an_exchange_that_cannot_be_loaded_ends_with_2(write: Write, api_exchange: Run) -> None:
    write("shop_s.py", PROCESSORS + 'exchange.queue("fetch", "invoices", Sink)\n')
    ended = api_exchange("check", "shop_s")
    assert ended.exit_code == 2
    assert "shop_s.py:16: two functions are called 'fetch'" in ended.err
