from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import sqlalchemy as sa

from api_exchange_testing.postgres import BINARIES_VARIABLE

ROOT_CONFTEST = Path(__file__).parents[3] / "conftest.py"


def test_a_test_that_asks_for_a_database_gets_an_empty_one_of_each_kind(database_url: str) -> None:
    engine = sa.create_engine(database_url)
    assert sa.inspect(engine).get_table_names() == []
    with engine.begin() as connection:
        connection.execute(sa.text("create table left_behind (id int)"))
    engine.dispose()


def test_the_next_test_does_not_see_what_the_last_one_left(database_url: str) -> None:
    engine = sa.create_engine(database_url)
    assert sa.inspect(engine).get_table_names() == []
    engine.dispose()


@pytest.mark.parametrize(("ci", "outcome"), [("", {"skipped": 1}), ("true", {"errors": 1})])
def test_without_postgresql_a_laptop_skips_and_ci_fails(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, ci: str, outcome: dict[str, int]
) -> None:
    monkeypatch.setenv("CI", ci)
    monkeypatch.setenv(BINARIES_VARIABLE, str(pytester.path))
    shutil.copy(ROOT_CONFTEST, pytester.path)
    pytester.makepyfile("def test_needs_it(postgres_url): ...")
    finished = pytester.runpytest_subprocess("-rs")
    finished.assert_outcomes(**outcome)
    finished.stdout.fnmatch_lines("*no initdb and no postgres in*")
