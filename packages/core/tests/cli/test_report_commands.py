"""`api-exchange status`, `trace`, `messages`, `errors` and `entity` on what a real exchange has left behind."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest
from sqlalchemy import Engine

from api_exchange_core.adapters.sql import migrate
from api_exchange_core.adapters.sql.engine import create_engine_for
from api_exchange_core.adapters.sql.tenant_directory import SqlTenantDirectory
from api_exchange_core.adapters.sql.unit_of_work import SqlUnitOfWorkFactory
from api_exchange_core.domain.entity import EntityHead, EntityKey, EntityVersion
from api_exchange_core.domain.failure import Problem
from api_exchange_core.domain.names import FunctionName, MessageId, QueueName, TenantId
from api_exchange_core.domain.versioning import HeadWrite
from api_exchange_core.ports.error_log import ErrorEntry
from api_exchange_core.ports.journal import JournalEntry, ProcessingState


class Ended(NamedTuple):
    """A command that has ended."""

    exit_code: int
    out: str
    err: str


Run = Callable[..., Ended]

TENANTS = (TenantId("customer-a"), TenantId("customer-b"))
ROUTE = FunctionName("route-orders")
NOW = datetime.now(UTC)
FINGERPRINT = "3f2a000000000001"
MS = timedelta(milliseconds=1)


def entry(
    number: int, state: ProcessingState, *, cause: str | None = "request", entity: str | None = None
) -> JournalEntry:
    return JournalEntry(
        function=ROUTE if cause else FunctionName("fetch-orders"),
        message_id=MessageId(f"m-{number}" if cause else "request"),
        state=state,
        attempts=1 if state is ProcessingState.COMPLETED else 3,
        correlation_id="request",
        causation_id=cause,
        entity_id=entity,
        started_at=NOW + number * MS,
        finished_at=NOW + (number + 5) * MS,
        fingerprint=None if state is ProcessingState.COMPLETED else FINGERPRINT,
        operation="route.by_type",
        waited=20 * MS,
        took=3 * MS,
    )


def error(number: int, attempt: int) -> ErrorEntry:
    return ErrorEntry(
        function=ROUTE,
        message_id=MessageId(f"m-{number}"),
        correlation_id="request",
        attempt=attempt,
        problem=Problem(code="ConnectError", reason="no [red]answer", fingerprint=FINGERPRINT),
        stack="orders.py:12 process",
        occurred_at=NOW + number * MS,
        operation="route.by_type",
        queue=QueueName("orders-canonical"),
    )


@pytest.fixture
def database(api_exchange: Run, monkeypatch: pytest.MonkeyPatch) -> SqlUnitOfWorkFactory:
    """The empty database of the environment."""
    monkeypatch.setenv("API_EXCHANGE_DATABASE_URL", "sqlite:///shop.db")
    engine: Engine = create_engine_for("sqlite:///shop.db")
    migrate.upgrade(engine)
    SqlTenantDirectory(engine).add(TENANTS, now=NOW)
    return SqlUnitOfWorkFactory(engine, queues_here=True)


def write(
    units: SqlUnitOfWorkFactory,
    entries: Sequence[JournalEntry],
    errors: Sequence[ErrorEntry] = (),
    *,
    tenant: TenantId = TENANTS[0],
) -> None:
    with units.begin(tenant) as unit:
        unit.journal.complete([one for one in entries if one.state is ProcessingState.COMPLETED])
        unit.journal.fail([one for one in entries if one.state is not ProcessingState.COMPLETED])
        unit.errors.add(errors)
        unit.commit()


@pytest.fixture
def failing(database: SqlUnitOfWorkFactory) -> SqlUnitOfWorkFactory:
    """40 of 40 messages of a function have failed."""
    dead = [entry(number, ProcessingState.DEAD) for number in range(40)]
    attempts = [error(number, attempt) for number in range(40) for attempt in (1, 2, 3)]
    write(database, [entry(0, ProcessingState.COMPLETED, cause=None), *dead], attempts)
    return database


def said(ended: Ended) -> Any:
    assert (ended.exit_code, ended.err) == (0, "")
    return json.loads(ended.out)


# status


def test_forty_of_forty_messages_that_failed_are_unhealthy_and_the_check_fails(
    api_exchange: Run, failing: object
) -> None:
    ended = api_exchange("status")
    assert (ended.exit_code, ended.err) == (1, "")
    first, reason = ended.out.splitlines()[:2]
    assert first.startswith("unhealthy ")
    assert reason == (
        "  ✗ route-orders: 40 of 40 messages failed in the last 60 min (error ConnectError, 3f2a000000000001)"
    )
    (row,) = (line.split() for line in ended.out.splitlines() if line.startswith("route-orders"))
    assert row[1:8] == ["0", "0", "0.0", "%", "40", "0", "120"]


def test_programs_get_the_same_judgement_and_the_same_exit_code(api_exchange: Run, failing: object) -> None:
    ended = api_exchange("status", "--json")
    assert ended.exit_code == 1
    told = json.loads(ended.out)
    assert told["judgement"]["health"] == "unhealthy"
    counts = {one["function"]: (one["completed"], one["dead"]) for one in told["statistics"]["functions"]}
    assert counts == {"fetch-orders": (1, 0), "route-orders": (0, 40)}


def test_what_went_well_is_healthy(api_exchange: Run, database: SqlUnitOfWorkFactory) -> None:
    write(database, [entry(number, ProcessingState.COMPLETED) for number in range(3)])
    ended = api_exchange("status")
    assert ended.exit_code == 0
    assert ended.out.startswith("healthy ")
    assert "100 %" in ended.out
    assert "3 ms / 3 ms / 3 ms" in ended.out


def test_an_exchange_that_does_nothing_is_called_idle(api_exchange: Run, database: object) -> None:
    ended = api_exchange("status", "--since", "15m")
    assert ended.exit_code == 0
    assert ended.out.startswith("idle ")
    assert "(15 min)" in ended.out


def test_another_tenants_failures_are_not_this_ones(api_exchange: Run, failing: object) -> None:
    assert api_exchange("status", "--tenant", "customer-b").out.startswith("idle ")


@pytest.mark.parametrize(
    "words", [["--since", "soon"], ["--since", "99999d"], ["--min-success", "often"], ["--max-wait", "-5m"]]
)
def test_lengths_and_shares_that_are_none_are_refused(
    api_exchange: Run, database: object, words: list[str]
) -> None:
    ended = api_exchange("status", *words)
    assert ended.exit_code == 2
    assert "Invalid value" in ended.err


def test_watching_is_for_people(api_exchange: Run, database: object) -> None:
    ended = api_exchange("status", "--watch", "--json")
    assert (ended.exit_code, ended.out) == (2, "")


def test_a_share_can_be_a_percentage(api_exchange: Run, database: SqlUnitOfWorkFactory) -> None:
    entries = [entry(number, ProcessingState.COMPLETED) for number in range(3)]
    write(database, [*entries, entry(3, ProcessingState.DEAD)])
    assert api_exchange("status").exit_code == 1
    assert api_exchange("status", "--min-success", "75%").exit_code == 0
    assert api_exchange("status", "--min-success", "0.76").exit_code == 1


# trace and messages


def test_a_trace_is_a_tree_that_shows_a_few_of_many_alike_with_their_errors(
    api_exchange: Run, failing: object
) -> None:
    ended = api_exchange("trace", "m-0")
    assert (ended.exit_code, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert lines[0].startswith("request request of customer-a  1 completed, 1 dead ")
    assert lines[1].startswith("└── fetch-orders completed  +0 ms, waited 20 ms, took 3 ms  request")
    assert lines[2].startswith("    └── route-orders dead after 3 attempts ")
    assert lines[3].strip() == f"├── attempts 1 to 3  ConnectError: no [red]answer  error {FINGERPRINT}"
    assert lines[4].strip() == "└── dead letter in orders-canonical-dlq"
    whole = api_exchange("trace", "request")
    assert whole.out.count("route-orders dead") == 4
    assert "and 37 more: route-orders dead" in whole.out
    assert api_exchange("trace", "request", "--all").out.count("route-orders dead") == 40


def test_what_nobody_has_heard_of_is_said_and_fails(api_exchange: Run, failing: object) -> None:
    ended = api_exchange("trace", "nothing")
    assert (ended.exit_code, ended.out) == (1, "")
    assert "'nothing'" in ended.err
    ended = api_exchange("trace", "nothing", "--json")
    assert (ended.exit_code, json.loads(ended.out)) == (1, [])


def test_messages_are_filtered_and_listed_in_pages(api_exchange: Run, failing: object) -> None:
    first = api_exchange("messages", "--state", "dead", "--limit", "30", "--json")
    place = first.err.removeprefix("there are more: --after '").removesuffix("'\n")
    second = said(api_exchange("messages", "--state", "dead", "--limit", "30", "--after", place, "--json"))
    found = [one["message_id"] for one in [*json.loads(first.out), *second]]
    assert found == [f"m-{number}" for number in reversed(range(40))]
    assert said(api_exchange("messages", "--function", "no-such", "--json")) == []
    assert api_exchange("messages", "--tenant", "customer-b").out == "no such messages\n"
    assert len(said(api_exchange("messages", "--since", "1h", "--json"))) == 41


@pytest.mark.parametrize("place", ["x", "2026-03-01/a/b", "yesterday/customer-a/route-orders/m"])
def test_a_place_that_is_none_is_refused(api_exchange: Run, database: object, place: str) -> None:
    ended = api_exchange("messages", "--after", place)
    assert ended.exit_code == 2
    assert "is no place" in ended.err


# errors


def test_an_error_is_listed_shown_resolved_and_comes_back_as_regressed(
    api_exchange: Run, failing: SqlUnitOfWorkFactory
) -> None:
    (group,) = said(api_exchange("errors", "list", "--json"))
    assert (group["fingerprint"], group["count"], group["tenants"]) == (FINGERPRINT, 120, ["customer-a"])
    shown = api_exchange("errors", "show", "3F2A").out
    assert "ConnectError: no [red]answer" in shown
    assert "orders.py:12 process" in shown
    resolved = api_exchange("errors", "resolve", "3f2a", "--by", "night shift")
    assert (resolved.exit_code, resolved.out) == (0, f"{FINGERPRINT} is resolved for 1 tenant\n")
    assert api_exchange("errors", "resolve", "3f2a").out == "it was resolved before\n"
    assert api_exchange("errors", "list").out == "no unresolved errors\n"
    assert "by night shift" in api_exchange("errors", "show", "3f2a").out
    write(failing, [], [error(3_600_000, 1)])
    (back,) = said(api_exchange("errors", "list", "--json"))
    assert (back["state"], back["count"]) == ("regressed", 121)
    assert "was resolved and has come back" in api_exchange("status").out


def test_an_error_that_is_not_there_is_one_line(api_exchange: Run, database: object) -> None:
    ended = api_exchange("errors", "show", "77")
    assert (ended.exit_code, ended.out) == (2, "")
    assert ended.err.startswith("error: there is no error '77'")


# entity


@pytest.fixture
def versions(database: SqlUnitOfWorkFactory) -> str:
    """An order with two versions; its id."""
    key = EntityKey(TENANTS[0], "order", "shop", "4711")
    for number, fields in (
        (1, {"id": "a", "total": "1", "note": "x"}),
        (2, {"id": "a", "total": "2", "lines": "y"}),
    ):
        head = EntityHead(key, key.id, number, f"h{number}", None, NOW)
        version = EntityVersion(
            key.id, number, f"h{number}", fields, MessageId("m-1"), "request", "orders.fetch", NOW
        )
        with database.begin(TENANTS[0]) as unit:
            unit.entities.write([HeadWrite(head, number - 1)], [version])
            unit.commit()
    return key.id


def test_a_history_names_the_fields_that_changed_and_never_their_content(
    api_exchange: Run, versions: str
) -> None:
    for name in ("4711", versions):
        heading, _, second, first = api_exchange("entity", "history", name).out.splitlines()[:4]
        assert heading == f"4711  order of shop for customer-a  {versions}"
        assert second.split()[3:] == ["orders.fetch", "+lines", "-note", "~total", "m-1"]
        assert first.split()[3:] == ["orders.fetch", "3", "fields", "m-1"]


def test_a_difference_names_fields(api_exchange: Run, versions: str) -> None:
    assert api_exchange("entity", "diff", "4711", "1", "2").out.splitlines() == [
        "+ lines",
        "- note",
        "~ total",
        "1 unchanged",
    ]
    assert said(api_exchange("entity", "diff", "4711", "2", "1", "--json"))["added"] == ["note"]


def test_versions_and_entities_that_are_not_there_are_said(api_exchange: Run, versions: str) -> None:
    missing = api_exchange("entity", "diff", "4711", "1", "3")
    assert (missing.exit_code, missing.err) == (2, "error: entity '4711' has no version 3: it has 1 to 2\n")
    assert api_exchange("entity", "diff", "4712", "1", "2").exit_code == 2
    assert api_exchange("entity", "history", "4712").exit_code == 1
    assert api_exchange("entity", "history", "4711", "--tenant", "customer-b").exit_code == 1


def test_entities_are_found_by_external_id(api_exchange: Run, versions: str) -> None:
    (found,) = said(api_exchange("entity", "find", "--type", "order", "--external-id", "4711", "--json"))
    assert (found["id"], found["version"]) == (versions, 2)
    assert (
        api_exchange("entity", "find", "--type", "invoice", "--external-id", "4711").out == "no such entity\n"
    )


# completion


def test_a_shell_can_complete_commands(api_exchange: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_API_EXCHANGE_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "api-exchange err")
    monkeypatch.setenv("COMP_CWORD", "1")
    assert api_exchange().out.split() == ["errors"]
