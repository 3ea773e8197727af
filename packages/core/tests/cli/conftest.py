"""A folder to work in, and the command line as it is called there."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import pytest
import structlog

from api_exchange_core.cli.app import run


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    exit_code: int
    out: str
    err: str


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], None]]:
    """Writes a file into the current folder, an empty one; what is imported from there is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def write(path: str, text: str) -> None:
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text), encoding="utf-8")

    yield write
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]
    sys.path_importer_cache.pop(str(tmp_path), None)


@pytest.fixture
def logging_as_it_was() -> Iterator[None]:
    """Undoes what a command does to the logs of its process."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def api_exchange(
    write: object,
    logging_as_it_was: None,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Ended]:
    """Runs `api-exchange` with the words that it is called with."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # Typer sets its own

    def call(*words: str) -> Ended:
        with pytest.raises(SystemExit) as ended:
            run(words)
        code = ended.value.code
        assert isinstance(code, int)
        return Ended(code, *capsys.readouterr())

    return call
