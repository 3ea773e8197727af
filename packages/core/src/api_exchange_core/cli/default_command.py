"""A group of commands that lists if it is not told what to do."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup
from typing_extensions import override


class ListsByDefault(TyperGroup):
    """Takes its command ``list`` to be meant where no command is named: ``messages --state dead`` lists."""

    @override
    def parse_args(
        self, ctx: Any, args: list[str]
    ) -> list[str]:  # Typer's own copy of click.Context is private
        named = bool(args) and (args[0] in self.commands or args[0] == "--help")
        return super().parse_args(ctx, args if named else ["list", *args])
