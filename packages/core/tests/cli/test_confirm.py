from __future__ import annotations

import io
import socket
import sys

import pytest
import typer
from typing_extensions import override

from api_exchange_core.cli.confirm import confirm_by_typing
from api_exchange_core.cli.operator import operator
from api_exchange_core.domain.errors import DeclarationError


class Terminal(io.StringIO):
    """A terminal with somebody at it."""

    @override
    def isatty(self) -> bool:
        return True


def ask(*, yes: bool = False) -> None:
    confirm_by_typing("acme", what="erasing tenant acme", yes=yes)


def test_who_types_the_id_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal("acme\n"))
    ask()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("typed", ["y\n", "Acme\n", "acme2\n"])
def test_who_types_anything_else_does_not(monkeypatch: pytest.MonkeyPatch, typed: str) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    with pytest.raises(typer.Abort):
        ask()


def test_nobody_is_asked_who_has_said_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(""))
    ask(yes=True)


def test_where_nobody_can_be_asked_yes_must_be_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("acme\n"))
    with pytest.raises(DeclarationError, match="--yes"):
        ask()


def test_an_operator_may_say_for_whom(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "ada")
    assert operator(None) == f"ada@{socket.gethostname()}"
    assert operator("dpo") == "dpo"
