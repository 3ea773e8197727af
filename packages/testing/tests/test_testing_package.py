"""The page about certifying adapters, run by pytest; and what importing the package costs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

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


def test_importing_the_package_loads_neither_pytest_nor_a_database() -> None:
    # dependency_injector wires the use cases, and brings starlette along where that is installed.
    heavy = {"pytest", "hypothesis", "sqlalchemy", "alembic", "uvicorn", "structlog"}
    program = f"import sys, api_exchange_testing; print(sorted({heavy} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"
