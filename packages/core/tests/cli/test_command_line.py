"""The command line as a whole: help, errors, and what it loads."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from api_exchange_core.cli import commands
from api_exchange_core.cli.app import command_line

Run = Callable[..., Any]


def test_help_names_the_commands(api_exchange: Run) -> None:
    ended = api_exchange("--help")
    assert ended.exit_code == 0
    for command in ("check", "graph", "new"):
        assert f"\n  {command} " in ended.out


def test_the_version_is_that_of_the_distribution(api_exchange: Run) -> None:
    assert api_exchange("--version").out.startswith(
        f"api-exchange {metadata.version('api-exchange-core')} (Python "
    )


def test_an_error_of_ours_is_one_line_and_exit_code_2(api_exchange: Run) -> None:
    ended = api_exchange("check", "nowhere.exchange:exchange")
    assert ended.exit_code == 2
    assert ended.out == ""
    assert ended.err.startswith("error: no module 'nowhere.exchange' was found")
    assert ended.err.count("\n") == 1


def test_a_module_among_the_commands_is_a_command(
    monkeypatch: pytest.MonkeyPatch, write: Callable[[str, str], None], tmp_path: Any
) -> None:
    write(
        "commands/greet.py",
        "import typer\napp = typer.Typer()\n@app.command()\ndef greet():\n    print('hello')\n",
    )
    monkeypatch.setattr(commands, "__path__", [str(tmp_path / "commands")])
    app = command_line()
    app.add_typer(typer.Typer(name="more", help="So that there are two."))
    assert CliRunner().invoke(app, ["greet"]).output == "hello\n"


def test_without_the_extra_it_says_what_to_install() -> None:
    program = "import sys\nsys.modules['typer'] = None\nfrom api_exchange_core.cli import main\nmain()"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.returncode == 2
    assert ended.stderr == 'api-exchange is not installed whole: pip install "api-exchange-core[local]"\n'


@pytest.mark.parametrize("words", [["--help"], ["check", "--help"], ["check", "shop"], ["graph", "shop"]])
def test_only_commands_that_need_a_database_load_one(
    write: Callable[[str, str], None], words: list[str]
) -> None:
    write("shop.py", "from api_exchange_core import Exchange\nexchange = Exchange('orders')\n")
    program = f"""
import json, sys
from api_exchange_core.cli import main
sys.argv = ["api-exchange", *{words!r}]
try:
    main()
finally:
    print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(json.loads(ended.stderr.splitlines()[-1]))
    assert "typer" in loaded
    assert loaded & {"sqlalchemy", "starlette", "dependency_injector", "structlog", "rich"} == set()
