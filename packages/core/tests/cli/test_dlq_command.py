"""`api-exchange dlq`, as an operator meets it."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest
from sqlalchemy import Engine
from typing_extensions import override

from api_exchange_core.adapters.sql import migrate
from api_exchange_core.adapters.sql.dead_letter_jobs import SqlDeadLetterJobs
from api_exchange_core.adapters.sql.engine import create_engine_for
from api_exchange_core.adapters.sql.queue import SqlQueue
from api_exchange_core.cli.letters_shown import harmless
from api_exchange_core.domain.dead_letter import LetterFilter
from api_exchange_core.domain.dead_letter_job import JobAction, JobOrder
from api_exchange_core.domain.envelope import decode, encode_letter, encode_raw_letter
from api_exchange_core.domain.failure import Failure
from api_exchange_core.domain.message import Message
from api_exchange_core.domain.names import MessageId, QueueName, TenantId, dead_letter_queue
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.message_publisher import Outgoing

ORDERS, INVOICES = QueueName("orders"), QueueName("invoices")
SECRET = "payload-of-the-tenant"
NOW = datetime.now(UTC)


class Ended(NamedTuple):
    """A command that has ended."""

    exit_code: int
    out: str
    err: str


Run = Callable[..., Ended]


@dataclass(slots=True)
class SetClock(Clock):
    time: datetime = NOW

    @override
    def now(self) -> datetime:
        return self.time


class Dead:
    """Dead letters in a database, and what is in its queues."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.clock = SetClock()
        self.queue = SqlQueue(engine, self.clock)
        self.jobs = SqlDeadLetterJobs(engine)

    def bury(
        self,
        name: str,
        *,
        queue: QueueName = ORDERS,
        tenant: str = "customer-a",
        code: str = "KeyError",
        reason: str = "'id'",
        ago: timedelta = timedelta(minutes=1),
        replays: int = 0,
    ) -> None:
        message = Message(
            id=MessageId(name),
            tenant_id=TenantId(tenant),
            source="/shop/fetch",
            payload={"note": SECRET},
            time=NOW - ago,
            correlation_id=f"request of {name}",
            replays=replays,
        )
        failure = Failure(f"take-{queue}", queue, code, reason, "0123456789abcdef", 3, NOW - ago)
        self.put(encode_letter(message, failure), queue=queue, name=name, tenant=tenant, ago=ago)

    def put(self, letter: bytes, *, queue: QueueName, name: str, tenant: str, ago: timedelta) -> None:
        self.clock.time = NOW - ago
        self.queue.publish(
            [
                Outgoing(
                    queue=dead_letter_queue(queue),
                    tenant_id=TenantId(tenant),
                    message_id=MessageId(name),
                    body=letter,
                )
            ]
        )

    def in_queue(self, queue: QueueName) -> list[bytes]:
        self.clock.time = datetime.now(UTC) + timedelta(minutes=1)
        deliveries = self.queue.receive(queue, max_messages=1000, visibility=timedelta(0))
        return [delivery.body for delivery in deliveries]

    def names(self, queue: QueueName) -> list[str]:
        return [decode(body).id for body in self.in_queue(queue)]


@pytest.fixture
def dead(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Dead]:
    """A migrated database that the commands work on."""
    monkeypatch.setenv("API_EXCHANGE_DATABASE_URL", database_url)
    engine = create_engine_for(database_url)
    migrate.upgrade(engine)
    yield Dead(engine)
    engine.dispose()


@pytest.fixture
def several(dead: Dead) -> Dead:
    """Dead letters of several kinds."""
    dead.bury("o-1", ago=timedelta(days=3))
    dead.bury("o-2", ago=timedelta(hours=3), replays=2)
    dead.bury("o-3", code="ConnectTimeout", reason="timed out\nafter 10 s", tenant="customer-b")
    dead.bury("i-1", queue=INVOICES, code="PermanentError", reason="refused [red]")
    failure = Failure("take-invoices", INVOICES, "InvalidMessageError", "not JSON", "f" * 16, 1, NOW)
    raw = encode_raw_letter(b"\xff\x1b[31m", failure, id_="x", time=NOW)
    dead.put(raw, queue=INVOICES, name="i-2", tenant="customer-b", ago=timedelta(0))
    return dead


def answer(ended: Ended) -> Any:
    assert ended.exit_code == 0, ended
    return json.loads(ended.out)


def listed(api_exchange: Run, *words: str) -> list[str | None]:
    return [one["message_id"] for one in answer(api_exchange("dlq", "list", "--each", "--json", *words))]


def test_where_nothing_died_that_is_said(api_exchange: Run, dead: Dead) -> None:
    ended = api_exchange("dlq", "list")
    assert (ended.exit_code, ended.out, ended.err) == (0, "no dead letters\n", "")
    assert answer(api_exchange("dlq", "list", "orders", "--json")) == []
    assert api_exchange("dlq", "jobs").out == "nothing was replayed or discarded yet\n"
    assert api_exchange("dlq", "replay", "orders").out == "no dead letters of that kind\n"
    assert answer(api_exchange("dlq", "jobs", "--json")) == []


def test_all_queues_are_summed_up_by_function_and_error(api_exchange: Run, several: Dead) -> None:
    groups = answer(api_exchange("dlq", "list", "--json"))
    assert [
        (one["queue"], one["function"], one["code"], one["letters"], one["replayed"]) for one in groups
    ] == [
        ("invoices", "take-invoices", "PermanentError", 1, 0),
        ("invoices", "take-invoices", "InvalidMessageError", 1, 0),
        ("orders", "take-orders", "KeyError", 2, 1),
        ("orders", "take-orders", "ConnectTimeout", 1, 0),
    ]
    assert groups[2]["reason"] == "'id'"
    for_people = api_exchange("dlq", "list").out
    assert re.search(r"orders +take-orders +KeyError +2 +3 d +3 h +1 +'id'", for_people)


def test_the_letters_of_a_queue_are_a_line_each_oldest_first(api_exchange: Run, several: Dead) -> None:
    lines = api_exchange("dlq", "list", "orders-dlq").out.splitlines()
    assert [line.split()[3] for line in lines[1:]] == ["customer-a", "customer-a", "customer-b"]
    assert lines[2].split()[5:7] == ["2", "KeyError"]
    assert lines[3].rstrip().endswith("timed out after 10 s")


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["--tenant", "customer-b"], [None, "o-3"]),
        (["--function", "take-invoices"], ["i-1", None]),
        (["--error", "timeout"], ["o-3"]),
        (["--fingerprint", "f" * 16], [None]),
        (["--correlation", "request of o-1"], ["o-1"]),
        (["--message", "o-2"], ["o-2"]),
        (["--older-than", "2h"], ["o-1", "o-2"]),
        (["--younger-than", "2h"], ["i-1", None, "o-3"]),
        (["--older-than", "1h30m", "--younger-than", "1d"], ["o-2"]),
        (["orders", "--limit", "2"], ["o-1", "o-2"]),
    ],
)
def test_letters_are_found_by_what_is_known_of_them(
    api_exchange: Run, several: Dead, words: list[str], names: list[str | None]
) -> None:
    assert listed(api_exchange, *words) == names


def test_a_list_that_is_cut_says_so(api_exchange: Run, several: Dead) -> None:
    ended = api_exchange("dlq", "list", "orders", "--limit", "2")
    assert "there are more" in ended.err
    assert api_exchange("dlq", "list", "orders", "--limit", "3").err == ""


def test_a_letter_is_shown_by_its_id_without_payload(api_exchange: Run, several: Dead) -> None:
    (letter,) = answer(api_exchange("dlq", "list", "orders", "--message", "o-2", "--json"))
    for_people = api_exchange("dlq", "show", letter["id"])
    assert re.search(r"error +KeyError\b", for_people.out)
    assert re.search(r"correlation +request of o-2\b", for_people.out)
    for_programs = api_exchange("dlq", "show", letter["id"], "--json")
    assert answer(for_programs)["failure"]["attempts"] == 3
    assert SECRET not in for_people.out + for_programs.out


def test_a_payload_is_shown_to_who_asks_for_it(api_exchange: Run, several: Dead) -> None:
    (letter,) = answer(api_exchange("dlq", "list", "orders", "--message", "o-2", "--json"))
    assert SECRET in api_exchange("dlq", "show", letter["id"], "--payload").out
    assert answer(api_exchange("dlq", "show", letter["id"], "--payload", "--json"))["payload"] == {
        "note": SECRET
    }


def test_bytes_are_shown_without_what_a_terminal_would_obey(api_exchange: Run, several: Dead) -> None:
    (letter,) = answer(api_exchange("dlq", "list", "invoices", "--error", "InvalidMessage", "--json"))
    shown = api_exchange("dlq", "show", letter["id"], "--payload").out
    assert "\x1b" not in shown
    assert "\\xff\\u001b[31m" in shown
    programs = answer(api_exchange("dlq", "show", letter["id"], "--payload", "--json"))
    assert programs["payload_base64"] == "/xtbMzFt"
    assert harmless("a\x9b\nb") == "a\\u009b\nb"


def test_a_replay_puts_the_letters_back_and_is_in_the_books(api_exchange: Run, several: Dead) -> None:
    job = answer(api_exchange("dlq", "replay", "orders", "--by", "anna", "--json"))
    assert (job["state"], job["by"], job["letters"]) == ("finished", "anna", 3)
    assert job["counts"]["replayed"] == 3
    assert several.names(ORDERS) == ["o-1", "o-2", "o-3"]
    assert listed(api_exchange) == ["i-1", None]
    (booked,) = answer(api_exchange("dlq", "jobs", "--json"))
    assert (booked["job"], booked["filter"]["queue"]) == (job["job"], "orders")
    items = answer(api_exchange("dlq", "jobs", str(job["job"]), "--json"))["items"]
    assert [(item["message_id"], item["state"]) for item in items] == [
        ("o-1", "replayed"),
        ("o-2", "replayed"),
        ("o-3", "replayed"),
    ]
    for_people = api_exchange("dlq", "jobs").out
    assert re.search(r"replay +finished .* anna +3 +3 replayed +queue orders", for_people)


def test_named_letters_are_replayed_and_no_others(api_exchange: Run, several: Dead) -> None:
    letters = answer(api_exchange("dlq", "list", "orders", "--json"))
    ended = api_exchange("dlq", "replay", "--id", letters[2]["id"], "--id", letters[0]["id"])
    assert re.search(r"replayed +2\b", ended.out)
    assert sorted(several.names(ORDERS)) == ["o-1", "o-3"]


def test_unreadable_bytes_are_replayed_as_they_were(api_exchange: Run, several: Dead) -> None:
    api_exchange("dlq", "replay", "invoices", "--error", "InvalidMessage")
    assert several.in_queue(INVOICES) == [b"\xff\x1b[31m"]


def test_a_dry_run_says_what_would_be_done_and_does_not(api_exchange: Run, several: Dead) -> None:
    for command in ("replay", "discard"):
        ended = api_exchange("dlq", command, "orders", "--dry-run")
        assert "KeyError" in ended.out
        assert f"{command} would take 3 letters; nothing was changed" in ended.err
        said = answer(api_exchange("dlq", command, "orders", "--limit", "2", "--dry-run", "--json"))
        assert (said["would"], said["letters"], said["groups"][0]["code"]) == (command, 2, "KeyError")
    assert len(listed(api_exchange)) == 5
    assert answer(api_exchange("dlq", "jobs", "--json")) == []


def test_what_is_no_message_is_said_to_stay_and_stays(api_exchange: Run, several: Dead) -> None:
    several.put(b"<order/>", queue=ORDERS, name="theirs", tenant="customer-a", ago=timedelta(minutes=2))
    asked = api_exchange("dlq", "replay", "orders", "--dry-run")
    assert "replay would take 3 letters; nothing was changed" in asked.err
    assert re.search(r"1 letter would stay, being no message of an exchange: \d+ for one", asked.err)
    assert answer(api_exchange("dlq", "replay", "orders", "--dry-run", "--json"))["refused"] == 1
    ended = api_exchange("dlq", "replay", "orders")
    assert ended.exit_code == 0
    assert re.search(r"replayed +3\b", ended.out)
    assert re.search(r"refused +1  \(no messages of an exchange", ended.out)
    (left,) = answer(api_exchange("dlq", "list", "orders", "--json"))
    assert (left["kind"], left["replayable"]) == ("foreign", False)


def test_everything_is_meant_only_if_it_is_said(api_exchange: Run, several: Dead) -> None:
    for command in ("replay", "discard"):
        ended = api_exchange("dlq", command)
        assert ended.exit_code == 2
        assert "--all" in ended.err
    assert len(listed(api_exchange)) == 5
    assert answer(api_exchange("dlq", "replay", "--all", "--json"))["counts"]["replayed"] == 5


def test_a_discard_asks_first(api_exchange: Run, several: Dead, monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, "n\n")
    ended = api_exchange("dlq", "discard", "orders")
    assert ended.exit_code == 1
    assert "2 KeyError" in ended.err
    assert "3 letters" in ended.err
    assert len(listed(api_exchange)) == 5
    answers(monkeypatch, "y\n")
    assert re.search(r"discarded +3\b", api_exchange("dlq", "discard", "orders").out)
    assert listed(api_exchange) == ["i-1", None]
    assert several.in_queue(ORDERS) == []


def answers(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    terminal = io.StringIO(text)
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", terminal)


def test_a_discard_without_anybody_to_ask_changes_nothing(
    api_exchange: Run, several: Dead, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    ended = api_exchange("dlq", "discard", "orders")
    assert ended.exit_code == 2
    assert "--yes" in ended.err
    assert len(listed(api_exchange)) == 5


def test_a_discard_that_is_told_so_does_not_ask(api_exchange: Run, several: Dead) -> None:
    job = answer(api_exchange("dlq", "discard", "orders", "--yes", "--json"))
    assert (job["action"], job["counts"]["discarded"]) == ("discard", 3)


def test_an_interrupted_job_is_named_and_can_be_gone_on_with(api_exchange: Run, several: Dead) -> None:
    order = JobOrder(action=JobAction.REPLAY, filter=LetterFilter(queue=ORDERS), by="anna")
    job_id = several.jobs.add(order, now=NOW)
    several.bury("late", ago=-timedelta(minutes=1))
    assert f"api-exchange dlq resume {job_id}" in api_exchange("dlq", "list").err
    job = answer(api_exchange("dlq", "resume", str(job_id), "--json"))
    assert (job["state"], job["counts"]["replayed"]) == ("finished", 3)
    assert several.names(QueueName("orders-dlq")) == ["late"]
    assert api_exchange("dlq", "list").err == ""


def test_a_job_that_somebody_else_carries_out_is_left_to_them(api_exchange: Run, several: Dead) -> None:
    order = JobOrder(action=JobAction.REPLAY, filter=LetterFilter(queue=ORDERS), by="anna")
    job_id = several.jobs.add(order, now=NOW)
    several.jobs.claim(job_id, holder="other", lease=timedelta(hours=1), now=NOW)
    ended = api_exchange("dlq", "resume", str(job_id))
    assert ended.exit_code == 2
    assert "is being carried out" in ended.err
    assert len(listed(api_exchange)) == 5


def test_a_paced_job_tells_its_pace(api_exchange: Run, several: Dead) -> None:
    job = answer(api_exchange("dlq", "replay", "orders", "--rate", "6000/m", "--ramp", "0s", "--json"))
    assert job["pace"] == {"per_second": 100.0, "ramp": 0.0}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["dlq", "show", "4711"], "no dead letter '4711'"),
        (["dlq", "show", "x'; drop"], "no dead letter"),
        (["dlq", "jobs", "4711"], "no job 4711"),
        (["dlq", "resume", "4711"], "no job 4711"),
        (["dlq", "replay", "orders", "--ramp", "10s"], "--rate"),
        (["dlq", "replay", "orders", "--rate", "fast"], "is no rate"),
        (["dlq", "replay", "orders", "--rate", "0/s"], "is no rate"),
        (["dlq", "list", "--older-than", "soon"], "is no length of time"),
        (["dlq", "list", "--tenant", "no tenant/at all"], "no tenant id"),
        (["dlq", "replay", "orders", "--by", ""], "who orders a job"),
    ],
)
def test_what_cannot_be_done_is_said_with_the_way_out(
    api_exchange: Run, dead: Dead, words: list[str], says: str
) -> None:
    ended = api_exchange(*words)
    assert ended.exit_code == 2
    assert says in ended.err
