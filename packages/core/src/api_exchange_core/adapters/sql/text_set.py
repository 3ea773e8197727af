"""Many texts as one parameter of a query."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Text, bindparam
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class _TextsOf(FunctionElement[str]):
    """The texts of a JSON array. The statement stays the same however many there are, and so does its plan."""

    name = "texts_of"
    inherit_cache = True


def is_among(column: ColumnElement[str], parameter: str) -> ColumnElement[bool]:
    """Whether *column* is one of the texts in the *parameter* of that name, which `text_set` makes."""
    return column.bool_op("IN")(_TextsOf(bindparam(parameter, type_=Text)))


def text_set(texts: Collection[str]) -> str:
    """*texts* as a parameter."""
    return orjson.dumps(list(texts)).decode()


@compiles(_TextsOf, "sqlite")
def _sqlite(element: _TextsOf, compiler: SQLCompiler, **options: Any) -> str:
    return f"(SELECT value FROM json_each({compiler.process(element.clauses, **options)}))"  # noqa: S608 - a parameter


@compiles(_TextsOf, "postgresql")
def _postgresql(element: _TextsOf, compiler: SQLCompiler, **options: Any) -> str:
    return f"(SELECT json_array_elements_text(CAST({compiler.process(element.clauses, **options)} AS JSON)))"
