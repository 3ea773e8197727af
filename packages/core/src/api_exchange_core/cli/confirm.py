"""Asking before something is gone for good."""

from __future__ import annotations

import sys

import typer

from api_exchange_core.domain.errors import DeclarationError


def confirm_by_typing(word: str, *, what: str, yes: bool) -> None:
    """Return if the operator has typed *word*, or has said ``--yes``.

    Raises:
        DeclarationError: nobody is there to type it.
        Abort: something else was typed.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise _nobody(what)
    typer.echo(f"{what} cannot be undone. Type {word} to go on: ", nl=False, err=True)
    if sys.stdin.readline().strip() != word:
        typer.echo("that is something else: nothing was erased", err=True)
        raise typer.Abort


def confirmed(question: str) -> bool:
    """Whether the operator says yes to *question*.

    Raises:
        DeclarationError: nobody is there to say it.
    """
    if not sys.stdin.isatty():
        raise _nobody(question)
    return typer.confirm(question, err=True)


def _nobody(what: str) -> DeclarationError:
    return DeclarationError(
        f"{what.removesuffix('?')}: that cannot be undone; say --yes where nobody can be asked"
    )
