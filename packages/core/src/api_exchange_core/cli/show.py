"""What a command answers: tables for people, JSON for programs, and progress beside either.

A command that takes `arguments.Json` hands its domain values to `listing` or `facts` and says which columns people
see; programs get every field of the same values, lengths of time in seconds. Answers go to standard output, progress
and remarks to standard error, so that a pipe gets the answer alone.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from pydantic_core import to_json
from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

Item = TypeVar("Item")

_WIDE = 110
_MANY_SECONDS = timedelta(minutes=2)
_MANY_MINUTES = timedelta(hours=2)
_MANY_HOURS = timedelta(days=2)


@dataclass(frozen=True)
class Column(Generic[Item]):
    """A column for people.

    Args:
        title: its head.
        cell: the text of an item, or text with a style of `rich`.
        right: numbers stand to the right.
        whole: never shortened: ids that are copied from here.
        spare: left out where the terminal is narrow, for the others to be read.
    """

    title: str
    cell: Callable[[Item], str | Text]
    right: bool = False
    whole: bool = False
    spare: bool = False


def listing(items: Sequence[Item], columns: Sequence[Column[Item]], *, json: bool, none: str) -> None:
    """Answer with *items*, in a table or as a JSON array.

    Args:
        items: dataclasses, models or mappings.
        columns: what people see of them.
        json: for programs.
        none: what people read if there are no items.
    """
    if json:
        print(_json(list(items)))
    elif not items:
        print(none)
    else:
        _console().print(table(items, columns))


def table(items: Sequence[Item], columns: Sequence[Column[Item]]) -> Table:
    """The table that `listing` shows, as a part of something larger."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    narrow = _console().width < _WIDE
    shown = [column for column in columns if not (narrow and column.spare)]
    for column in shown:
        made.add_column(
            column.title,
            justify="right" if column.right else "left",
            no_wrap=column.whole,
            overflow="fold",
            # Where the terminal is narrow, text gives way, and no word of a head is broken in two.
            min_width=max(map(len, column.title.split()), default=None),
        )
    for item in items:
        made.add_row(*(_text(column.cell(item)) for column in shown))
    return made


def drawing(item: object, drawn: RenderableType, *, json: bool) -> None:
    """Answer with something that is neither a table nor a list of facts.

    Args:
        item: a dataclass, model or mapping, or a list of them, for programs.
        drawn: what people see of it.
        json: for programs.
    """
    if json:
        print(_json(item))
    else:
        _console().print(drawn)


def redrawn(draw: Callable[[], RenderableType], *, every: timedelta, sleep: Callable[[float], None]) -> None:
    """Show what *draw* makes, again and again in the same place, until Ctrl-C."""
    with Live(draw(), console=_console(), auto_refresh=False, screen=_console().is_terminal) as live:
        try:
            while True:
                sleep(every.total_seconds())
                live.update(draw(), refresh=True)
        except KeyboardInterrupt:
            return


def facts(item: object, lines: Sequence[tuple[str, str | Text]], *, json: bool) -> None:
    """Answer with one thing: a line a fact, or a JSON object.

    Args:
        item: a dataclass, model or mapping.
        lines: name and text of what people see of it.
        json: for programs.
    """
    if json:
        print(_json(item))
        return
    made = Table(box=None, pad_edge=False, show_header=False)
    made.add_column(style="bold", no_wrap=True)
    made.add_column(overflow="fold")
    for name, text in lines:
        made.add_row(name, _text(text))
    _console().print(made)


def said(item: object, text: str, *, json: bool) -> None:
    """Answer with a sentence, or a JSON object."""
    print(_json(item) if json else text)


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar on standard error while the block works, if a person looks at it; call the value with what is done now."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.advance(task, done)


def remark(text: str) -> None:
    """Say something beside the answer."""
    print(text, file=sys.stderr)


def moment(at: datetime | None) -> str:
    """A time for people, in UTC."""
    return "-" if at is None else f"{at:%Y-%m-%d %H:%M:%S}"


def span(length: timedelta | None) -> str:
    """A length of time for people: ``640 ms``, ``12 s``, ``5 min``, ``3 h``, ``9 d``."""
    if length is None:
        return "-"
    if timedelta(0) < length < timedelta(milliseconds=1):
        return "<1 ms"
    if length < timedelta(seconds=10):
        return f"{length / timedelta(milliseconds=1):,.0f} ms"
    if length < _MANY_SECONDS:
        return f"{length.total_seconds():.0f} s"
    if length < _MANY_MINUTES:
        return f"{length / timedelta(minutes=1):.0f} min"
    if length < _MANY_HOURS:
        return f"{length / timedelta(hours=1):.0f} h"
    return f"{length / timedelta(days=1):,.0f} d"


def _json(answer: object) -> str:
    return to_json(answer, indent=2, timedelta_mode="float").decode()


def _text(cell: str | Text) -> Text:
    # A cell is shown as it is: brackets in somebody's ids are no markup.
    return cell if isinstance(cell, Text) else Text(cell)


def _console() -> Console:
    # Out of a terminal nothing is folded to 80 columns: what reads a pipe wants a line an item.
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=10_000)
