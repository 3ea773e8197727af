"""What domain, ports and application import and use, as an allow-list: a ban-list forgets the next library.

import-linter holds the order of the layers too. This test also sees every library, and the clock, randomness
and files, which are arguments and ports here.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from importlib.util import resolve_name
from pathlib import Path

import pytest

import api_exchange_core

CORE = Path(api_exchange_core.__file__).parent
LIBRARIES = sys.stdlib_module_names | {"pydantic", "pydantic_core", "annotated_types", "typing_extensions"}
BELOW = {
    "domain": ("domain",),
    "ports": ("domain", "ports"),
    "application": ("domain", "ports", "application"),
}
IMPURE_MODULES = ("time", "random", "secrets")
IMPURE = {
    "datetime.datetime.now",
    "datetime.datetime.today",
    "datetime.datetime.utcnow",
    "datetime.date.today",
    "os.urandom",
    "uuid.uuid1",
    "uuid.uuid4",
    "uuid.uuid6",
    "uuid.uuid7",
    "uuid.uuid8",
}
TYPES = {"random.Random", "time.struct_time"}
"""Naming one as a type is no use of it; to call it is."""


def files(*layers: str) -> list[Path]:
    return sorted(path for layer in layers for path in (CORE / layer).rglob("*.py"))


def label(path: Path) -> str:
    return path.relative_to(CORE).as_posix()


@pytest.mark.parametrize("path", files(*BELOW), ids=label)
def test_a_layer_imports_the_standard_library_pydantic_and_the_layers_below(path: Path) -> None:
    assert list(forbidden_imports(path.read_text(), label(path))) == []


@pytest.mark.parametrize("path", files("domain", "application"), ids=label)
def test_the_clock_randomness_and_files_come_in_from_outside(path: Path) -> None:
    assert list(impurities(path.read_text(), label(path))) == []


def test_no_layer_was_forgotten() -> None:
    assert all(files(layer) for layer in BELOW)


@pytest.mark.parametrize(
    ("path", "source", "found"),
    [
        ("domain/x.py", "import sqlalchemy.orm", "sqlalchemy.orm"),
        ("ports/x.py", "if TYPE_CHECKING: from azure import functions", "azure.functions"),
        ("application/x.py", "def f(): import orjson", "orjson"),
        ("domain/x.py", "from api_exchange_core import ports", "api_exchange_core.ports"),
        ("domain/x.py", "from ..ports import Clock", "api_exchange_core.ports.Clock"),
        ("domain/a/x.py", "from ...ports.clock import Clock", "api_exchange_core.ports.clock.Clock"),
        ("ports/__init__.py", "from .. import adapters", "api_exchange_core.adapters"),
        ("application/x.py", "import api_exchange_core", "api_exchange_core"),
        ("domain/x.py", "from api_exchange_core.domain_like import y", "api_exchange_core.domain_like.y"),
    ],
)
def test_a_forbidden_import_is_found_wherever_it_hides(path: str, source: str, found: str) -> None:
    assert list(forbidden_imports("\n" + source, path)) == [f"{path}:2 imports {found}"]


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ("import json, pydantic", "domain/x.py"),
        ("from pydantic_core import core_schema", "domain/x.py"),
        ("from api_exchange_core.domain.errors import TransientError", "domain/x.py"),
        ("from .errors import TransientError", "domain/x.py"),
        ("from api_exchange_core.domain import names", "ports/x.py"),
        ("from ..ports.clock import Clock", "application/x.py"),
    ],
)
def test_an_allowed_import_is_no_finding(source: str, path: str) -> None:
    assert list(forbidden_imports(source, path)) == []


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("from datetime import datetime\ndatetime.now(UTC)", "datetime.datetime.now"),
        ("import datetime as dt\ndt.datetime.utcnow()", "datetime.datetime.utcnow"),
        ("from datetime import date\ndate.today()", "datetime.date.today"),
        ("import time\ntime.time()", "time.time"),
        ("from time import monotonic as tick\ntick()", "time.monotonic"),
        ("from uuid import uuid4\nField(default_factory=uuid4)", "uuid.uuid4"),
        ("import uuid\nuuid.uuid4()", "uuid.uuid4"),
        ("import random\nrandom.random()", "random.random"),
        ("from random import Random\nRandom(1)", "random.Random"),
        ("import secrets\nsecrets.token_hex()", "secrets.token_hex"),
        ("import os\nos.urandom(8)", "os.urandom"),
        ("\nopen('x')", "open"),
    ],
)
def test_an_impure_call_is_found_under_any_name(source: str, name: str) -> None:
    assert list(impurities(source, "domain/x.py")) == [f"domain/x.py:2 uses {name}"]


@pytest.mark.parametrize(
    "source",
    [
        "clock.now()\nself.clock.now()",
        "from datetime import datetime\ndatetime.fromisoformat(text)",
        "from random import Random\ndef jitter(source: Random) -> float: return source.random()",
        "store.open()\nsecrets.read('x')",
    ],
)
def test_what_comes_in_as_an_argument_is_no_finding(source: str) -> None:
    assert list(impurities(source, "domain/x.py")) == []


def forbidden_imports(source: str, path: str) -> Iterator[str]:
    allowed = tuple(f"api_exchange_core.{layer}." for layer in BELOW[path.split("/")[0]])
    for line, target in imports(source, path):
        root = target.split(".")[0]
        if root not in LIBRARIES and not f"{target}.".startswith(allowed):
            yield f"{path}:{line} imports {target}"


def imports(source: str, path: str) -> Iterator[tuple[int, str]]:
    """Each line and the full dotted name that it imports, TYPE_CHECKING blocks and functions included."""
    package = ".".join(["api_exchange_core", *path.split("/")[:-1]])
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = resolve_name("." * node.level + (node.module or ""), package)
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def impurities(source: str, path: str) -> Iterator[str]:
    tree = ast.parse(source)
    origins = {"open": "open"} | dict(origins_of(tree))
    called = {node.func for node in ast.walk(tree) if isinstance(node, ast.Call)}
    inner = {node.value for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Name | ast.Attribute) or node in inner:
            continue
        name = dotted(node, origins)
        if name is not None and is_impure(name) and not (name in TYPES and node not in called):
            yield f"{path}:{node.lineno} uses {name}"


def origins_of(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """What each imported name of a file stands for, as in ``("dt", "datetime")``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield (alias.asname, alias.name) if alias.asname else (alias.name.split(".")[0],) * 2
        elif isinstance(node, ast.ImportFrom):
            yield from ((alias.asname or alias.name, f"{node.module}.{alias.name}") for alias in node.names)


def dotted(node: ast.expr, origins: dict[str, str]) -> str | None:
    """The full name of an expression that starts from an imported name; None for any other."""
    if isinstance(node, ast.Name):
        return origins.get(node.id)
    if isinstance(node, ast.Attribute):
        start = dotted(node.value, origins)
        return f"{start}.{node.attr}" if start is not None else None
    return None


def is_impure(name: str) -> bool:
    return name == "open" or name in IMPURE or (name.split(".")[0] in IMPURE_MODULES and "." in name)
