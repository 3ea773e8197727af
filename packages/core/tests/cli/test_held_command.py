"""`api-exchange messages held | release | give-up`, as an operator meets them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from api_exchange_core.adapters.sql import migrate
from api_exchange_core.adapters.sql.engine import create_engine_for
from api_exchange_core.adapters.sql.tenant_directory import SqlTenantDirectory
from api_exchange_core.adapters.sql.unit_of_work import SqlUnitOfWorkFactory
from api_exchange_core.domain.exclusive import OnLost
from api_exchange_core.domain.names import FunctionName, MessageId, TenantId
from api_exchange_core.ports.journal import JournalEntry, ProcessingState

Run = Callable[..., Any]

TENANTS = (TenantId("customer-a"), TenantId("customer-b"))
PAY = FunctionName("pay")
NOW = datetime.now(UTC)
LEASE = timedelta(minutes=5)


def claimed(message_id: str, at: datetime) -> JournalEntry:
    return JournalEntry(
        function=PAY,
        message_id=MessageId(message_id),
        state=ProcessingState.RUNNING,
        attempts=1,
        correlation_id="request",
        causation_id=None,
        entity_id=None,
        started_at=at,
        finished_at=at,
        leased_until=at + LEASE,
    )


@pytest.fixture
def held(api_exchange: Run, monkeypatch: pytest.MonkeyPatch, database_url: str) -> None:
    """Two tenants have messages whose runs came to no end: m-1 and m-2, and m-3."""
    monkeypatch.setenv("API_EXCHANGE_DATABASE_URL", database_url)
    engine: Engine = create_engine_for(database_url)
    migrate.upgrade(engine)
    SqlTenantDirectory(engine).add(TENANTS, now=NOW)
    units = SqlUnitOfWorkFactory(engine, queues_here=True)
    for tenant, names in zip(TENANTS, (["m-1", "m-2"], ["m-3"]), strict=True):
        for at in (NOW - timedelta(hours=1), NOW):
            with units.begin(tenant) as unit:
                unit.journal.claim([claimed(name, at) for name in names], on_lost=OnLost.HOLD)
                unit.commit()
    engine.dispose()


def names(api_exchange: Run, *words: str) -> list[str]:
    return sorted(one["message_id"] for one in json.loads(api_exchange("messages", *words, "--json").out))


@pytest.mark.usefixtures("held")
def test_held_messages_of_all_tenants_are_listed(api_exchange: Run) -> None:
    assert names(api_exchange, "held") == ["m-1", "m-2", "m-3"]
    assert names(api_exchange, "held", "--tenant", "customer-b") == ["m-3"]
    assert names(api_exchange, "held", "--function", "other") == []
    ended = api_exchange("messages", "held", "--limit", "1")
    assert "there are more" in ended.err


@pytest.mark.usefixtures("held")
def test_a_released_message_is_held_no_more_and_the_others_are(api_exchange: Run) -> None:
    ended = api_exchange("messages", "release", "m-1", "m-3", "--json")
    assert ended.exit_code == 0
    assert [(one["tenant"], one["message"]) for one in json.loads(ended.out)] == [
        ("customer-a", "m-1"),
        ("customer-b", "m-3"),
    ]
    assert names(api_exchange, "held") == ["m-2"]
    assert names(api_exchange, "--state", "retrying") == ["m-1", "m-3"]


@pytest.mark.usefixtures("held")
def test_what_is_given_up_can_be_released_still(api_exchange: Run) -> None:
    assert api_exchange("messages", "give-up", "--all", "--tenant", "customer-a").exit_code == 0
    assert names(api_exchange, "--state", "given_up") == ["m-1", "m-2"]
    assert names(api_exchange, "held") == ["m-3"]
    assert api_exchange("messages", "release", "m-1").exit_code == 0
    assert names(api_exchange, "--state", "given_up") == ["m-2"]


@pytest.mark.usefixtures("held")
def test_a_message_that_is_not_held_is_named_and_the_others_are_decided(api_exchange: Run) -> None:
    ended = api_exchange("messages", "give-up", "m-1", "m-9")
    assert ended.exit_code == 1
    assert "not held: m-9" in ended.err
    assert "m-1" in ended.out
    assert names(api_exchange, "--state", "given_up") == ["m-1"]


@pytest.mark.usefixtures("held")
@pytest.mark.parametrize("words", [[], ["m-1", "--all"]])
def test_which_messages_must_be_said_once(api_exchange: Run, words: list[str]) -> None:
    for command in ("release", "give-up"):
        ended = api_exchange("messages", command, *words)
        assert ended.exit_code == 2
        assert "which messages?" in ended.err
    assert names(api_exchange, "held") == ["m-1", "m-2", "m-3"]


@pytest.mark.usefixtures("held")
def test_messages_alone_lists_and_help_names_the_commands(api_exchange: Run) -> None:
    assert names(api_exchange) == names(api_exchange, "list") == ["m-1", "m-2", "m-3"]
    said = api_exchange("messages", "--help").out
    assert all(command in said for command in ("held", "release", "give-up", "list"))
