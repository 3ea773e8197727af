"""The page about certifying adapters, run by pytest; and what importing the package costs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import api_exchange_testing
from api_exchange_testing import conformance

pytest_plugins = ["pytester"]

_PAGE = Path(__file__).parents[3] / "docs" / "certify-an-adapter.md"
_PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_adapters_of_the_page_pass_their_suites(pytester: pytest.Pytester) -> None:
    module = pytester.path / "test_page.py"
    module.write_text("\n".join(_PYTHON.findall(_PAGE.read_text(encoding="utf-8"))))
    run = pytester.inline_run("-p", "no:cacheprovider", "-W", "error", str(module))
    passed, skipped, failed = run.listoutcomes()
    assert (skipped, failed) == ([], [])
    assert passed


def test_the_page_names_every_suite() -> None:
    page = _PAGE.read_text(encoding="utf-8")
    suites = [name for name in conformance.__all__ if name.endswith("Suite") and name != "Suite"]
    assert [name for name in suites if f"`{name}`" not in page] == []


def loaded_by(statement: str) -> set[str]:
    program = f"import sys; {statement}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


HEAVY = {"pytest", "hypothesis", "sqlalchemy", "alembic", "uvicorn", "structlog"}


def test_no_name_of_the_package_loads_pytest_or_a_database() -> None:
    # dependency_injector wires the use cases, and brings starlette along where that is installed.
    loaded = loaded_by("from api_exchange_testing import *; Harness")
    assert "dependency_injector" in loaded
    assert loaded & HEAVY == set()


def test_pytest_pays_nothing_for_a_plugin_that_is_not_used() -> None:
    for_pytest = loaded_by("import pytest")
    assert loaded_by("import api_exchange_testing.plugin") - for_pytest == {"api_exchange_testing"}


def test_every_name_of_the_package_is_there_and_another_is_told() -> None:
    for name in api_exchange_testing.__all__:
        assert (
            getattr(api_exchange_testing, name).__module__.startswith("api_exchange_testing")
            or name.isupper()
        )
    assert set(api_exchange_testing.__all__) <= set(dir(api_exchange_testing))
    with pytest.raises(AttributeError, match="no attribute 'Harnes'"):
        _ = api_exchange_testing.Harnes  # type: ignore[attr-defined]  # that mypy refuses it is part of the test


FAILS_ITS_SUITE = """
    import pytest
    from api_exchange_core.ports.randomness import Randomness
    from api_exchange_testing.conformance import RandomnessSuite

    class Constant(Randomness):
        def new_id(self):
            return "the-same"

        def fraction(self):
            return 2.5

    class TestConstant(RandomnessSuite):
        @pytest.fixture
        def randomness(self):
            return Constant()
"""


def test_a_suite_that_fails_shows_the_values_and_not_just_that_it_failed(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(FAILS_ITS_SUITE)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.stdout.fnmatch_lines(["E *assert 1 == 16000*"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED
