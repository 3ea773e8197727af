"""A shop that throttles, fails, breaks off, is slow, takes tokens back or leads in circles: each order arrives once."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from api_exchange_core.containers.local import LocalContainer
from api_exchange_core.domain.credentials import system_name
from api_exchange_core.domain.names import TenantId
from api_exchange_testing import RecordingObserver, VirtualClock
from examples.orders.demo import set_accounts
from examples.orders.tests.machine import (
    START,
    Machine,
    Site,
    arrived,
    assert_exact,
    book_of,
    by_the,
    letters,
)
from examples.orders.vendor import Fault, VendorApi

EACH = 25
PAGE = 5
PAGES = 2 * EACH // PAGE
"""Of both tenants."""

SHOP = system_name("shop")
PASSING = [Fault.THROTTLE, Fault.FAIL, Fault.DROP, Fault.SLOW, Fault.REVOKE]


@pytest.fixture
def shop() -> Iterator[VendorApi]:
    with VendorApi(orders=EACH) as vendor:
        vendor.faults.slow = timedelta(milliseconds=600)
        yield vendor


@pytest.fixture
def machine(shop: VendorApi, tmp_path: Path) -> Iterator[Machine]:
    site = impatient(shop, f"sqlite:///{tmp_path}/orders.db")
    with site.process(RecordingObserver(), orders=by_the(PAGE)) as container:
        yield Machine(container, VirtualClock(START))


def impatient(shop: VendorApi, database_url: str) -> Site:
    """A site whose clients do not wait for a slow page."""
    patience = timedelta(milliseconds=250)
    site = Site(database_url=database_url, shop_url=shop.url, read_timeout=patience)
    site.set_up(shop)
    return site


def mixed(faults: Sequence[Fault], *, seed: int) -> list[Fault | None]:
    """About one fault for two requests, for long enough. No token is taken back twice in a row."""
    chance = random.Random(seed)
    plan: list[Fault | None] = []
    while len(plan) < 2 * PAGES:
        fault = chance.choice([*faults, *([None] * len(faults))])
        if fault is not Fault.REVOKE or plan[-1:] != [fault]:
            plan.append(fault)
    return plan


@pytest.mark.parametrize("fault", PASSING)
def test_an_extraction_outlasts_each_fault(machine: Machine, shop: VendorApi, fault: Fault) -> None:
    plan = mixed([fault], seed=1)
    shop.faults.plan(plan)
    machine.tick()
    machine.work()
    assert shop.faults.happened[fault] > PAGES / 4
    assert_exact(machine.container, book_of(shop))
    assert letters(machine.container) == []
    assert machine.counts("fetch-orders")["completed"] == PAGES


@pytest.mark.parametrize("seed", range(4))
def test_an_extraction_outlasts_faults_of_all_kinds(machine: Machine, shop: VendorApi, seed: int) -> None:
    shop.faults.plan(mixed(PASSING, seed=seed))
    machine.tick()
    machine.work()
    assert_exact(machine.container, book_of(shop))
    assert letters(machine.container) == []
    machine.tick()
    machine.work()
    assert_exact(machine.container, book_of(shop))
    assert machine.counts("fetch-orders")["completed"] == 2 * PAGES


def test_a_wait_that_is_too_long_for_a_call_costs_no_attempt(machine: Machine, shop: VendorApi) -> None:
    shop.faults.retry_after = timedelta(minutes=2)
    shop.faults.plan([Fault.THROTTLE] * 20)
    machine.tick()
    machine.work()
    assert_exact(machine.container, book_of(shop))
    counts = machine.counts("fetch-orders")
    assert (counts["deferred"], counts["completed"], counts["retry"]) == (20, PAGES, 0)
    assert {summary.attempt for summary in machine.observer.summaries} == {1}


def test_tokens_that_are_taken_back_in_mid_run_cost_one_more_request_for_a_token(
    machine: Machine, shop: VendorApi
) -> None:
    shop.faults.plan([None, None, None, Fault.REVOKE])
    machine.tick()
    machine.work()
    assert_exact(machine.container, book_of(shop))
    # One a tenant, and one for the tenant whose token went; the other one's goes on.
    assert shop.requests["/oauth/token"] == 2 + 1
    assert shop.requests["/v1/orders"] == PAGES + 1
    assert machine.counts("fetch-orders") == {"completed": PAGES}


def test_a_shop_that_takes_each_token_back_is_given_up_and_gone_on_with_later(
    machine: Machine, shop: VendorApi
) -> None:
    shop.faults.plan([None, None, Fault.REVOKE, Fault.REVOKE])
    machine.tick()
    machine.work()
    [(_, reason)] = letters(machine.container)
    assert "answered 401" in reason
    machine.clock.advance(timedelta(minutes=10))
    machine.tick()
    machine.work()
    assert_exact(machine.container, book_of(shop))


def looped(machine: Machine, shop: VendorApi) -> TenantId:
    """Let the second page of one tenant name itself as the next; whose it was."""
    shop.faults.plan([None, None, Fault.LOOP])
    machine.tick()
    machine.work()
    [(message, reason)] = letters(machine.container)
    assert "'/v1/orders' lead in a circle, seen after 2" in reason
    other = next(tenant for tenant in shop.tenants if tenant != message.tenant_id)
    per_tenant = dict.fromkeys(shop.tenants, 0)
    for tenant, _ in arrived(machine.container):
        per_tenant[tenant] += 1
    assert per_tenant == {message.tenant_id: PAGE, other: EACH}
    return message.tenant_id


def test_a_run_that_is_led_in_a_circle_is_gone_on_with_by_the_tick_after_its_lease(
    machine: Machine, shop: VendorApi
) -> None:
    looped(machine, shop)
    asked = shop.requests["/v1/orders"]
    machine.clock.advance(timedelta(minutes=10))
    machine.tick()
    machine.work()
    assert_exact(machine.container, book_of(shop))
    # What was taken is kept: four pages are left of one tenant, and the other one's run begins anew.
    assert shop.requests["/v1/orders"] - asked == 4 + 5


def test_a_run_that_is_led_in_a_circle_begins_anew_once_it_is_reset(
    machine: Machine, shop: VendorApi
) -> None:
    tenant = looped(machine, shop)
    asked = shop.requests["/v1/orders"]
    machine.container.operations.reset_source().reset(tenant, "orders", by="test")
    machine.clock.advance(timedelta(seconds=1))
    machine.tick()
    machine.work()
    assert_exact(machine.container, book_of(shop))
    assert shop.requests["/v1/orders"] - asked == PAGES


def test_a_tenant_without_an_account_waits_and_holds_nobody_up(machine: Machine, shop: VendorApi) -> None:
    keep = machine.container.operations.keep_credentials()
    keep.remove(TenantId("customer-a"), SHOP)
    machine.tick()
    with pytest.raises(RuntimeError, match="not at rest"):
        machine.work()
    assert {tenant for tenant, _ in arrived(machine.container)} == {"customer-b"}
    assert machine.counts("fetch-orders")["completed"] == EACH // PAGE
    reasons = {summary.problem.reason for summary in machine.observer.summaries if summary.problem}
    assert any("credentials set customer-a shop" in reason for reason in reasons)
    set_accounts(machine.container, shop)
    machine.clock.advance(timedelta(minutes=1))
    machine.work()
    assert_exact(machine.container, book_of(shop))


def test_a_wrong_secret_ends_one_tenants_run_and_is_shown_to_nobody(
    machine: Machine, shop: VendorApi
) -> None:
    keep, secret = machine.container.operations.keep_credentials(), "a-secret-that-nothing-shows"
    account = {"client_id": shop.credentials("customer-a").client_id, "client_secret": secret}
    keep.set(TenantId("customer-a"), SHOP, json.dumps(account).encode(), by="test", on_version=1)
    machine.tick()
    machine.work()
    [(message, reason)] = letters(machine.container)
    assert message.tenant_id == "customer-a"
    assert "invalid_client" in reason
    assert secret not in f"{reason} {machine.observer.summaries} {machine.observer.events}"
    assert {tenant for tenant, _ in arrived(machine.container)} == {"customer-b"}

    set_accounts(machine.container, shop)
    machine.clock.advance(timedelta(hours=1))
    machine.tick()
    machine.work()
    assert_exact(machine.container, book_of(shop))


@pytest.mark.slow
def test_many_threads_on_postgresql_outlast_faults_of_all_kinds(postgres_url: str) -> None:
    with VendorApi(orders=200) as shop:
        shop.faults.slow = timedelta(milliseconds=600)
        shop.faults.plan(mixed(PASSING, seed=1))
        site = impatient(shop, postgres_url)
        with site.process(RecordingObserver(), orders=by_the(20)) as container:
            runner = container.runner()
            runner.start()
            try:
                runner.tick("fetch-orders")
                wait_for_rest(container)
            finally:
                assert list(runner.stop()) == []
            assert_exact(container, book_of(shop))
            assert letters(container) == []


def wait_for_rest(container: LocalContainer) -> None:
    until = time.monotonic() + 120
    queues = [function.input_queue for function in container.exchange().functions]
    while any(container.queue().depths().get(queue, 0) for queue in queues):
        assert time.monotonic() < until, container.queue().depths()
        time.sleep(0.1)
