"""`api-exchange new`: a project that works as it is written."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from api_exchange_core.cli.scaffold import scaffold

Run = Callable[..., Any]


def in_project(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a module of Python in the project, which is importable as if it were installed."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)


def test_the_project_passes_its_own_check(tmp_path: Path) -> None:
    scaffold("order-sync", tmp_path)
    main = "import sys; from api_exchange_core.cli import main; sys.argv[0] = 'api-exchange'; main()"
    command = [sys.executable, "-c", main, "check", "order_sync.exchange:exchange", "--strict"]
    ended = subprocess.run(command, cwd=tmp_path / "order-sync", capture_output=True, text=True)
    assert ended.stdout.splitlines()[-1] == "order-sync: 3 functions, 2 notes", ended.stderr
    assert ended.returncode == 0


def test_the_project_passes_its_own_tests(tmp_path: Path) -> None:
    scaffold("order-sync", tmp_path)
    ended = in_project(tmp_path / "order-sync", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error")
    assert ended.returncode == 0, ended.stdout
    assert "3 passed" in ended.stdout


@pytest.mark.slow
def test_the_project_is_clean_to_linter_and_type_checker(tmp_path: Path) -> None:
    scaffold("order-sync", tmp_path)
    folder = tmp_path / "order-sync"
    for words in (
        ["ruff", "check", "--no-cache", "."],
        ["ruff", "format", "--no-cache", "--check", "--line-length=110", "."],
    ):
        ended = in_project(folder, *words)
        assert ended.returncode == 0, ended.stdout
    ended = in_project(folder, "mypy", "--strict", "--cache-dir", os.devnull, "--config-file=", ".")
    assert ended.returncode == 0, ended.stdout


def test_every_file_of_the_template_is_written(tmp_path: Path) -> None:
    template = [file.name for file in (files("api_exchange_core.cli") / "template").iterdir()]
    assert len(scaffold("order-sync", tmp_path)) == len(template)


def test_nothing_of_the_template_is_left_unfilled(tmp_path: Path) -> None:
    for path in scaffold("order-sync", tmp_path):
        text = path.read_text(encoding="utf-8")
        assert "$" not in text, path
        assert "order" in text or path.name == ".gitignore", path


def test_the_package_and_what_it_depends_on_are_declared(tmp_path: Path) -> None:
    scaffold("order-sync", tmp_path)
    declared = tomllib.loads((tmp_path / "order-sync/pyproject.toml").read_text(encoding="utf-8"))
    assert declared["project"]["name"] == "order-sync"
    assert declared["project"]["dependencies"][0].startswith("api-exchange-core[local]>=")
    assert declared["project"]["optional-dependencies"]["test"][0].startswith("api-exchange-testing>=")
    assert declared["tool"]["uv"]["build-backend"]["module-name"] == "order_sync"


def test_the_command_says_what_it_wrote_and_what_comes_next(api_exchange: Run, tmp_path: Path) -> None:
    ended = api_exchange("new", "order-sync", "--directory", "work")
    assert ended.exit_code == 0
    written = [line.removeprefix("wrote ") for line in ended.out.splitlines() if line.startswith("wrote ")]
    assert all((tmp_path / path).is_file() for path in written)
    assert f"  cd {Path('work/order-sync')}\n" in ended.out
    assert "  api-exchange run order_sync.exchange:exchange\n" in ended.out


def test_what_exists_is_left_as_it_is(
    api_exchange: Run, write: Callable[[str, str], None], tmp_path: Path
) -> None:
    write("order-sync/README.md", "mine")
    ended = api_exchange("new", "order-sync")
    assert ended.exit_code == 2
    assert ended.err == (
        "error: 'order-sync' exists already and is left as it is; choose another name or --directory\n"
    )
    assert [path.name for path in (tmp_path / "order-sync").iterdir()] == ["README.md"]


def test_a_place_that_cannot_be_written_is_one_line(
    api_exchange: Run, write: Callable[[str, str], None]
) -> None:
    write("file", "")
    ended = api_exchange("new", "order-sync", "--directory", "file")
    assert ended.exit_code == 2
    assert ended.err.startswith(f"error: could not write {str(Path('file/order-sync'))!r}: ")


@pytest.mark.parametrize(
    "name", ["Orders", "order_sync", "../up", "2nd-try", "a", "-x-", "größe", "x" * 60, "."]
)
def test_a_name_that_is_not_portable_is_refused(api_exchange: Run, tmp_path: Path, name: str) -> None:
    ended = api_exchange("new", "--", name)
    assert ended.exit_code == 2
    assert ended.err.startswith(f"error: {name!r} is no name for a project: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["json", "tests", "async", "import"])
def test_a_name_that_python_takes_for_something_else_is_refused(api_exchange: Run, name: str) -> None:
    assert f"{name!r} means something else to Python" in api_exchange("new", name).err


@pytest.mark.parametrize("name", ["pydantic", "api-exchange-core"])
def test_a_name_that_would_hide_an_installed_package_is_refused(api_exchange: Run, name: str) -> None:
    assert "is installed already" in api_exchange("new", name).err
