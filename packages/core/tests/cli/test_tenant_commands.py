"""`api-exchange tenants`, `entity erase` and `db purge`, on both databases."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

import pytest
from sqlalchemy import Engine

from api_exchange_core.adapters.json.canonical_encoder import OrjsonCanonicalEncoder
from api_exchange_core.adapters.sql import migrate
from api_exchange_core.adapters.sql.engine import create_engine_for
from api_exchange_core.adapters.sql.tenant_directory import SqlTenantDirectory
from api_exchange_core.adapters.sql.unit_of_work import SqlUnitOfWorkFactory
from api_exchange_core.adapters.system.clock import SystemClock
from api_exchange_core.application import erase
from api_exchange_core.application.entity_service import EntityService
from api_exchange_core.domain.content_hash import ContentHasher
from api_exchange_core.domain.names import FunctionName, MessageId, TenantId
from api_exchange_core.domain.tenant import tenant_context
from api_exchange_core.ports.journal import JournalEntry, ProcessingState

ACME = TenantId("acme")
SHOP = """
from datetime import timedelta
from pydantic import BaseModel
from api_exchange_core import Exchange, Retention

class ShopConfig(BaseModel):
    shop: str = "main"
    rows: int = 100

exchange = Exchange(
    "shop", tenants=["acme"], tenant_config=ShopConfig, retention=Retention(journal=timedelta(days=30))
)
plain = Exchange("plain")
"""


class Ended(Protocol):
    """A command that has ended."""

    @property
    def exit_code(self) -> int: ...
    @property
    def out(self) -> str: ...
    @property
    def err(self) -> str: ...


Run = Callable[..., Ended]


@pytest.fixture
def engine(
    database_url: str, monkeypatch: pytest.MonkeyPatch, write: Callable[[str, str], None]
) -> Iterator[Engine]:
    """To look into the database beside the commands, which find it in the environment."""
    write("shop_t.py", SHOP)
    monkeypatch.setenv("API_EXCHANGE_DATABASE_URL", database_url)
    monkeypatch.setattr(erase, "SETTLING", timedelta(0))
    engine = create_engine_for(database_url)
    migrate.upgrade(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def directory(engine: Engine) -> SqlTenantDirectory:
    """Knows one tenant."""
    directory = SqlTenantDirectory(engine)
    directory.add([ACME], now=datetime.now(UTC))
    return directory


def persist(engine: Engine, external_id: str) -> str:
    units = SqlUnitOfWorkFactory(engine, queues_here=True)
    with tenant_context(ACME):
        service = EntityService(units, ContentHasher(encode=OrjsonCanonicalEncoder()), SystemClock())
        return service.create_entity(
            external_id=external_id, canonical_type="customer", source="shop", data={"n": 1}
        ).id


def error_of(ended: Ended) -> str:
    assert (ended.exit_code, ended.out) == (2, "")
    assert ended.err.startswith("error: ")
    return ended.err


def test_tenants_are_added_listed_and_disabled(engine: Engine, api_exchange: Run) -> None:
    assert api_exchange("tenants", "add", "acme", "other").out == "acme: added\nother: added\n"
    assert api_exchange("tenants", "add", "acme").out == "acme: was known already\n"
    assert api_exchange("tenants", "disable", "acme").exit_code == 0
    listed = json.loads(api_exchange("tenants", "list", "--json").out)
    assert [(one["tenant"]["id"], one["tenant"]["enabled"]) for one in listed] == [
        ("acme", False),
        ("other", True),
    ]
    assert "disabled" in api_exchange("tenants", "list").out
    assert api_exchange("tenants", "enable", "acme").exit_code == 0
    assert "disabled" not in api_exchange("tenants", "list").out
    assert engine is not None


def test_what_cannot_be_added_or_disabled_says_why(directory: SqlTenantDirectory, api_exchange: Run) -> None:
    assert "case" in error_of(api_exchange("tenants", "add", "new", "ACME"))
    assert "no tenant id" in error_of(api_exchange("tenants", "add", "../acme"))
    assert "unknown" in error_of(api_exchange("tenants", "disable", "nobody"))
    assert [tenant.id for tenant in directory.all()] == [ACME]


def test_values_are_set_as_json_or_text_and_unset_again(
    directory: SqlTenantDirectory, api_exchange: Run
) -> None:
    set_ = ("tenants", "config", "acme", "--exchange", "shop_t", "--json")
    assert json.loads(api_exchange(*set_, "--set", "rows=5", "--set", "shop=a=b").out) == {
        "rows": 5,
        "shop": "a=b",
    }
    assert json.loads(api_exchange(*set_, "--unset", "rows").out) == {"shop": "a=b"}
    Path("acme.json").write_text('{"rows": 7}')
    assert json.loads(api_exchange(*set_, "--file", "acme.json").out) == {"rows": 7}
    assert json.loads(api_exchange("tenants", "config", "acme", "--json").out) == {"rows": 7}
    assert directory.all()[0].config == {"rows": 7}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--set", "rows=5"), "--exchange"),
        (("--exchange", "shop_t", "--set", "rows=many"), "rows"),
        (("--exchange", "shop_t", "--set", "rowz=5"), "no 'rowz'; it has rows, shop"),
        (("--exchange", "shop_t", "--set", "rows"), "NAME=VALUE"),
        (("--exchange", "shop_t:plain", "--set", "rows=5"), "declares no configuration"),
        (("--exchange", "shop_t", "--file", "shop_t.py"), "JSON"),
    ],
)
def test_values_that_cannot_be_checked_or_do_not_fit_are_not_set(
    directory: SqlTenantDirectory, api_exchange: Run, words: tuple[str, ...], said: str
) -> None:
    assert said in error_of(api_exchange("tenants", "config", "acme", *words))
    assert directory.all()[0].config == {}


def test_a_tenant_is_erased_once_it_is_disabled_and_somebody_said_yes(
    engine: Engine, directory: SqlTenantDirectory, api_exchange: Run
) -> None:
    persist(engine, "4711")
    file = Path("output/acme/exports/orders.jsonl")
    file.parent.mkdir(parents=True)
    file.write_text("{}\n")
    assert "tenants disable acme" in error_of(api_exchange("tenants", "erase", "acme", "--yes"))
    directory.set_enabled(ACME, enabled=False)
    assert "--yes" in error_of(api_exchange("tenants", "erase", "acme"))
    held = json.loads(api_exchange("tenants", "erase", "acme", "--dry-run", "--json").out)
    assert held == {"entities": 1, "entity_versions": 1}
    record = json.loads(api_exchange("tenants", "erase", "acme", "--yes", "--by", "dpo", "--json").out)
    assert (record["requested_by"], record["removed"]) == ("dpo", {**held, "files": 1})
    assert not Path("output/acme").exists()
    assert json.loads(api_exchange("tenants", "erasures", "--json").out) == [record]
    for words in (("add", "acme"), ("enable", "acme")):
        assert "erased" in error_of(api_exchange("tenants", *words))
    assert "erased" in api_exchange("tenants", "list").out


def test_an_entity_is_erased_by_its_external_id_and_its_receipt_proves_it(
    engine: Engine, directory: SqlTenantDirectory, api_exchange: Run
) -> None:
    id_, other = persist(engine, "4711"), persist(engine, "4712")
    words = ("entity", "erase", "--tenant", "acme", "--external-id", "4711", "--json")
    (held,) = json.loads(api_exchange(*words, "--dry-run").out)
    assert held == {"entity": id_, "held": {"entities": 1, "entity_versions": 1}}
    (done,) = json.loads(api_exchange(*words, "--yes").out)
    (record,) = json.loads(api_exchange("tenants", "erasures", "--json").out)
    assert record["id"] == done["record"]
    proof = hmac.new(done["receipt"].encode(), id_.encode(), hashlib.sha256).hexdigest()
    assert record["entity_proof"] == proof
    assert "no entity" in error_of(api_exchange(*words, "--dry-run"))
    assert api_exchange("entity", "erase", "--tenant", "acme", other, "--yes").exit_code == 0
    assert directory.get(ACME) is not None


@pytest.mark.parametrize("words", [(), ("some-id", "--external-id", "4711")])
def test_an_entity_is_named_in_one_way(
    directory: SqlTenantDirectory, api_exchange: Run, words: tuple[str, ...]
) -> None:
    assert "one of the two" in error_of(api_exchange("entity", "erase", "--tenant", "acme", *words, "--yes"))
    assert directory.get(ACME) is not None


def test_what_has_expired_by_the_exchanges_retention_is_purged(engine: Engine, api_exchange: Run) -> None:
    units = SqlUnitOfWorkFactory(engine, queues_here=True)
    with units.begin(ACME) as unit:
        unit.journal.complete([entry(f"message-{age}", timedelta(days=age)) for age in (1, 29, 31, 60)])
        unit.commit()
    dry = json.loads(api_exchange("db", "purge", "shop_t", "--dry-run", "--json").out)
    assert dry == {"removed": {"journal": 2}, "of_erased_tenants": 0, "more": False}
    assert json.loads(api_exchange("db", "purge", "shop_t", "--json").out) == dry
    with units.begin(ACME) as unit:
        left = {one.message_id for one in unit.journal.trace("request-1")}
    assert left == {"message-1", "message-29"}
    assert "nothing has expired" in api_exchange("db", "purge", "shop_t").out


def entry(message_id: str, age: timedelta) -> JournalEntry:
    at = datetime.now(UTC) - age
    return JournalEntry(
        function=FunctionName("to-canonical"),
        message_id=MessageId(message_id),
        state=ProcessingState.COMPLETED,
        attempts=1,
        correlation_id="request-1",
        causation_id=None,
        entity_id=None,
        started_at=at,
        finished_at=at,
    )
