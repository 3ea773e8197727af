"""That `db doctor` finds whatever is broken in how a PostgreSQL database keeps tenants apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, make_url, text

from api_exchange_core.adapters.sql import migrate
from api_exchange_core.adapters.sql.doctor import Examination, examine
from api_exchange_core.adapters.sql.engine import create_engine_for
from api_exchange_core.adapters.sql.roles import OPERATOR, RIGHTS, RUNTIME
from api_exchange_core.adapters.sql.row_security import tables_of_tenants

FindIn = Callable[[str], Examination]


@pytest.fixture
def urls(production_urls: Mapping[str, str]) -> Mapping[str, str]:
    """A migrated database that is set up for production."""
    owner = create_engine_for(production_urls["owner"])
    migrate.upgrade(owner)
    owner.dispose()
    return production_urls


@pytest.fixture
def examined() -> Iterator[FindIn]:
    """Examines the database at a URL."""
    engines: list[Engine] = []

    def find(url: str) -> Examination:
        engines.append(create_engine_for(url))
        return examine(engines[-1])

    yield find
    for engine in engines:
        engine.dispose()


def run(url: str, *statements: str) -> None:
    engine = create_engine_for(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def login_of(url: str) -> str:
    return make_url(url).username or ""


def failed(examination: Examination) -> set[str]:
    assert examination.ok == all(check.ok for check in examination.checks)
    return {check.name for check in examination.checks if not check.ok}


def said(examination: Examination) -> str:
    return "\n".join(wrong for check in examination.checks for wrong in check.wrong)


def test_a_database_set_up_as_the_administrators_script_says_has_nothing_wrong(
    urls: Mapping[str, str], examined: FindIn
) -> None:
    examination = examined(urls["runtime"])
    assert said(examination) == ""
    assert [check.name for check in examination.checks] == [
        "schema",
        "login",
        "ownership",
        "membership",
        "row security",
        "policies",
        "rights",
        "surroundings",
        "isolation",
        "pool",
    ]
    assert examination.ok


def test_the_examination_leaves_nothing_behind(urls: Mapping[str, str], examined: FindIn) -> None:
    examined(urls["runtime"])
    engine = create_engine_for(urls["admin"])
    with engine.connect() as connection:
        for table in RIGHTS:
            assert connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() == 0
    engine.dispose()


# Each breaks one thing, and is found by the checks that it says.
BROKEN: Mapping[str, tuple[str, set[str], str]] = {
    "bypassing login": ("ALTER ROLE {login} BYPASSRLS", {"login", "isolation"}, "has BYPASSRLS"),
    "login that makes roles": ("ALTER ROLE {login} CREATEROLE", {"login"}, "has CREATEROLE"),
    "replicating login": ("ALTER ROLE {login} REPLICATION", {"login"}, "has REPLICATION"),
    "login that reads everything": (
        "GRANT pg_read_all_data TO {login}",
        {"login", "rights"},
        "'pg_read_all_data', which reaches past the policies",
    ),
    "login that can become the owner": (
        "GRANT {owner} TO {login}",
        {"ownership", "rights", "surroundings"},
        "owner of",
    ),
    "owner of one table": ("ALTER TABLE outbox OWNER TO {login}", {"ownership", "rights"}, "table 'outbox'"),
    "owner of a table that is no tenant's": (
        "ALTER TABLE tenants OWNER TO {login}",
        {"ownership", "rights"},
        "table 'tenants'",
    ),
    "login that is an operator": (
        f"GRANT {OPERATOR} TO {{login}}",
        {"membership", "rights", "isolation"},
        "inherits from 'api_exchange_operator'",
    ),
    "login that is no runtime": (
        f"REVOKE {RUNTIME} FROM {{login}}",
        {"membership", "rights", "isolation", "pool"},
        "no member of 'api_exchange_runtime'",
    ),
    "policy dropped": (
        "DROP POLICY own_tenant ON journal",
        {"policies"},
        "'own_tenant' of table 'journal' is missing",
    ),
    "policy altered": (
        "ALTER POLICY own_tenant ON entities USING (true)",
        {"policies", "isolation"},
        "'own_tenant' of table 'entities' is not as it was made",
    ),
    "writes unchecked": (
        "ALTER POLICY own_tenant ON entities WITH CHECK (true)",
        {"policies", "isolation"},
        "rows are written for another tenant",
    ),
    "operators' policy for all": (
        "ALTER POLICY across_tenants ON queue TO PUBLIC",
        {"policies"},
        "'across_tenants' of table 'queue' is not as it was made",
    ),
    "another policy": (
        "CREATE POLICY mine ON errors FOR SELECT USING (true)",
        {"policies"},
        "table 'errors' has a policy 'mine' of its own",
    ),
    "row-level security off": (
        "ALTER TABLE entities DISABLE ROW LEVEL SECURITY",
        {"row security", "isolation"},
        "row-level security is off for 'entities'",
    ),
    "not forced": (
        "ALTER TABLE outbox NO FORCE ROW LEVEL SECURITY",
        {"row security"},
        "is not forced for 'outbox'",
    ),
    "table gone": (
        "ALTER TABLE errors RENAME TO other",
        {"row security", "policies", "rights"},
        "no table 'errors'",
    ),
    "right to rewrite versions": (
        "GRANT UPDATE ON entity_versions TO {login}",
        {"rights"},
        "has UPDATE on 'entity_versions', which is too much",
    ),
    "right to one column": ("GRANT UPDATE (body) ON outbox TO PUBLIC", {"rights"}, "has UPDATE on 'outbox'"),
    "right to truncate": (f"GRANT TRUNCATE ON queue TO {RUNTIME}", {"rights"}, "has TRUNCATE on 'queue'"),
    "operators that may write history": (
        f"GRANT INSERT ON journal TO {OPERATOR}",
        {"rights"},
        "'api_exchange_operator' has INSERT on 'journal'",
    ),
    "right missing": (f"REVOKE INSERT ON errors FROM {RUNTIME}", {"rights"}, "lacks INSERT on 'errors'"),
    "login that makes tables": (
        "GRANT CREATE ON SCHEMA public TO PUBLIC",
        {"surroundings"},
        "can make tables",
    ),
    "login that makes schemas": (
        "GRANT CREATE ON DATABASE {database} TO {login}",
        {"surroundings"},
        "can make schemas",
    ),
    "database open to all": (
        "GRANT CONNECT ON DATABASE {database} TO PUBLIC",
        {"surroundings"},
        "every login",
    ),
    "login with a tenant of its own": (
        "ALTER ROLE {login} SET api_exchange.tenant_id = 'customer-a'",
        {"pool", "isolation"},  # where there is a row of that tenant
        "at the start the next transaction is of tenant 'customer-a'",
    ),
    "database with a tenant of its own": (
        "ALTER DATABASE {database} SET api_exchange.tenant_id = 'customer-a'",
        {"pool", "isolation"},
        "is of tenant 'customer-a'",
    ),
    "schema of another release": (
        f"UPDATE {migrate.VERSION_TABLE} SET version_num = '0001'",
        {"schema"},
        "is at '0001'",
    ),
}


@pytest.mark.parametrize(("statement", "checks", "words"), BROKEN.values(), ids=BROKEN)
def test_what_is_broken_is_found_and_named(
    urls: Mapping[str, str], examined: FindIn, statement: str, checks: set[str], words: str
) -> None:
    run(
        urls["admin"],
        "INSERT INTO entities VALUES ('customer-a', 'e', 'order', 'shop', '1', 1, 'h', NULL, now(), now())",
        statement.format(
            login=login_of(urls["runtime"]),
            owner=login_of(urls["owner"]),
            database=make_url(urls["admin"]).database,
        ),
    )
    examination = examined(urls["runtime"])
    assert failed(examination) == checks
    assert words in said(examination)
    assert all(check.mend for check in examination.checks)


@pytest.mark.parametrize(
    ("broken", "whole", "words"),
    [
        (
            f"ALTER ROLE {RUNTIME} INHERIT",
            f"ALTER ROLE {RUNTIME} NOINHERIT",
            "inherits from 'api_exchange_operator'",
        ),
        (
            f"ALTER ROLE {OPERATOR} LOGIN",
            f"ALTER ROLE {OPERATOR} NOLOGIN",
            "'api_exchange_operator' can log in",
        ),
        (f"ALTER ROLE {OPERATOR} BYPASSRLS", f"ALTER ROLE {OPERATOR} NOBYPASSRLS", "has BYPASSRLS"),
        (
            f"REVOKE {OPERATOR} FROM {RUNTIME}",
            f"GRANT {OPERATOR} TO {RUNTIME}",
            "can neither receive nor relay",
        ),
    ],
)
def test_roles_of_the_cluster_that_are_wrong_are_found_and_named(
    urls: Mapping[str, str], examined: FindIn, broken: str, whole: str, words: str
) -> None:
    # What a membership passes on is settled at the GRANT since PostgreSQL 16, by the member's attribute before.
    again = f"GRANT {OPERATOR} TO {RUNTIME}"
    run(
        urls["admin"],
        f"REVOKE {OPERATOR} FROM {RUNTIME}",
        *((again, broken) if "REVOKE" in broken else (broken, again)),
    )
    try:
        examination = examined(urls["runtime"])
    finally:
        run(urls["admin"], whole, f"REVOKE {OPERATOR} FROM {RUNTIME}", again)
    assert not examination.ok
    assert words in said(examination)


def test_a_superuser_is_refused_whatever_the_rest_is_like(urls: Mapping[str, str], examined: FindIn) -> None:
    examination = examined(urls["admin"])
    assert {"login", "membership", "rights"} <= failed(examination)
    assert "'postgres', which is a superuser" in said(examination)


def test_the_owner_is_refused(urls: Mapping[str, str], examined: FindIn) -> None:
    run(urls["admin"], f"GRANT {RUNTIME} TO {login_of(urls['owner'])}")
    examination = examined(urls["owner"])
    assert failed(examination) == {"ownership", "rights", "surroundings"}
    assert f"table {tables_of_tenants()[0]!r}" in said(examination)


def test_a_tenant_in_the_options_of_the_url_is_found(urls: Mapping[str, str], examined: FindIn) -> None:
    examination = examined(urls["runtime"] + "?options=-c%20api_exchange.tenant_id%3Dcustomer-b")
    assert failed(examination) == {"pool"}
    assert "is of tenant 'customer-b'" in said(examination)


def test_a_pool_that_hands_a_tenant_on_to_the_next_transaction_is_found(urls: Mapping[str, str]) -> None:
    engine = create_engine_for(urls["runtime"])

    @event.listens_for(engine, "checkin")
    def leak(connection: Any, _: object) -> None:
        connection.execute("SET api_exchange.tenant_id = 'the-last-one'")
        connection.commit()

    examination = examine(engine)
    engine.dispose()
    assert failed(examination) == {"pool"}
    assert "is of tenant 'the-last-one'" in said(examination)


def test_a_pool_that_hands_a_role_on_to_the_next_transaction_is_found(urls: Mapping[str, str]) -> None:
    engine = create_engine_for(urls["runtime"])

    @event.listens_for(engine, "checkin")
    def leak(connection: Any, _: object) -> None:
        connection.execute(f"SET ROLE {OPERATOR}")
        connection.commit()

    examination = examine(engine)
    engine.dispose()
    assert "pool" in failed(examination)
    assert f"the next transaction runs as {OPERATOR!r}" in said(examination)


def test_a_database_without_a_schema_is_told_to_migrate(
    production_urls: Mapping[str, str], examined: FindIn
) -> None:
    examination = examined(production_urls["runtime"])
    assert failed(examination) == {"schema"}
    assert "there is no schema" in said(examination)


def test_sqlite_says_that_the_repositories_are_alone(tmp_path: Path, examined: FindIn) -> None:
    url = f"sqlite:///{tmp_path}/exchange.db"
    assert failed(examined(url)) == {"schema"}
    engine = create_engine_for(url)
    migrate.upgrade(engine)
    engine.dispose()
    examination = examined(url)
    assert examination.ok
    assert "the repositories alone keep tenants apart" in examination.note
