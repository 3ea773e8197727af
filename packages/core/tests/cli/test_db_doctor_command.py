"""`api-exchange db doctor` and `db roles`: what they print, and how they end."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import NamedTuple

import psycopg
import pytest

from api_exchange_testing.postgres import PostgresServer


class Ended(NamedTuple):
    """A command that has ended."""

    exit_code: int
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.fixture
def urls(api_exchange: Run, production_urls: Mapping[str, str]) -> Mapping[str, str]:
    assert api_exchange("db", "upgrade", "--database-url", production_urls["owner"]).exit_code == 0
    return production_urls


def test_a_line_for_each_check_and_nothing_more_where_all_is_well(
    api_exchange: Run, urls: Mapping[str, str]
) -> None:
    ended = api_exchange("db", "doctor", "--database-url", urls["runtime"])
    assert (ended.exit_code, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert len(lines) == 10
    assert all("  ok      " in line for line in lines)
    assert lines[0] == "schema        ok      the schema is what this release works with"


def test_what_fails_is_told_with_what_was_found_and_how_to_mend_it(
    api_exchange: Run, urls: Mapping[str, str]
) -> None:
    ended = api_exchange("db", "doctor", "--database-url", urls["admin"])
    assert (ended.exit_code, ended.err) == (1, "")
    assert "login         FAILED  the login is bound by the policies" in ended.out
    assert "              found: the login is or can become 'postgres', which is a superuser\n" in ended.out
    assert "              mend:  connect as a login of its own" in ended.out


def test_programs_get_json(api_exchange: Run, urls: Mapping[str, str]) -> None:
    ended = api_exchange("db", "doctor", "--json", "--database-url", urls["owner"])
    assert ended.exit_code == 1
    said = json.loads(ended.out)
    assert (said["database"], said["ok"], said["note"]) == ("postgresql", False, "")
    by_name = {check["name"]: check for check in said["checks"]}
    assert by_name["schema"]["ok"]
    assert by_name["schema"]["wrong"] == []
    assert not by_name["ownership"]["ok"]
    assert set(by_name["ownership"]) == {"name", "ok", "claim", "wrong", "mend"}


def test_a_schema_that_is_not_there_fails(api_exchange: Run) -> None:
    ended = api_exchange("db", "doctor", "--database-url", "sqlite:///empty.db")
    assert ended.exit_code == 1
    assert "found: there is no schema" in ended.out


def test_sqlite_passes_and_says_that_the_repositories_are_alone(api_exchange: Run) -> None:
    assert api_exchange("db", "upgrade", "--database-url", "sqlite:///shop.db").exit_code == 0
    ended = api_exchange("db", "doctor", "--database-url", "sqlite:///shop.db")
    assert ended.exit_code == 0
    assert "SQLite has neither roles nor row-level security" in ended.out
    said = json.loads(api_exchange("db", "doctor", "--json", "--database-url", "sqlite:///shop.db").out)
    assert said["note"].startswith("SQLite has neither")


def test_a_database_that_cannot_be_reached_is_no_verdict(api_exchange: Run) -> None:
    ended = api_exchange("db", "doctor", "--database-url", "postgresql://shop:hunter2@127.0.0.1:1/shop")
    assert ended.exit_code == 2
    assert ended.err.startswith("error: ")
    assert "hunter2" not in ended.err


def test_the_script_sets_up_a_database_that_the_doctor_finds_nothing_wrong_with(
    api_exchange: Run, postgres_server: PostgresServer
) -> None:
    names = ("--database", "scripted", "--owner", "scripted_owner", "--login", "scripted_login")
    ended = api_exchange("db", "roles", *names)
    assert (ended.exit_code, ended.err) == (0, "")
    with psycopg.connect(
        postgres_server.url("postgres").replace("+psycopg", ""), autocommit=True
    ) as administrator:
        block, _, others = ended.out.partition("END\n$roles$;\n")
        for statement in (block + "END\n$roles$", *others.splitlines()):
            administrator.execute(statement.encode())
        url = postgres_server.url("scripted")
        for command, login in (("upgrade", "scripted_owner"), ("doctor", "scripted_login")):
            as_login = url.replace("//postgres@", f"//{login}@")
            assert api_exchange("db", command, "--database-url", as_login).exit_code == 0
        postgres_server.drop_database(url)
        administrator.execute("DROP ROLE scripted_owner, scripted_login")


def test_logins_that_a_cloud_has_made_are_not_made_again(api_exchange: Run) -> None:
    scripts = [api_exchange("db", "roles", *options).out for options in ((), ("--logins-exist",))]
    made, there = ({line for line in script.splitlines() if line.endswith(" LOGIN;")} for script in scripts)
    assert made == {'CREATE ROLE "exchange_owner" LOGIN;', 'CREATE ROLE "exchange" LOGIN;'}
    assert there == set()
    assert scripts[0].replace("\n".join(sorted(made, reverse=True)) + "\n", "") == scripts[1]
