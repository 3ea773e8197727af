"""Reading Bicep as far as its grammar goes: what a file declares, what it uses, what it hands to modules.

The compiler itself is not to be had without .NET. Types of Azure's resources are not known here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import tree_sitter_bicep
from tree_sitter import Language, Node, Parser

FUNCTIONS: Final = frozenset(
    [
        "concat",
        "description",
        "empty",
        "guid",
        "maxLength",
        "maxValue",
        "minLength",
        "minValue",
        "replace",
        "resourceGroup",
        "subscription",
        "subscriptionResourceId",
        "take",
        "toLower",
        "uniqueString",
        "allowed",
    ]
)
"""Those of Bicep that the files use, decorators included; another one is added here by whoever has looked it up."""

_PARSER: Final = Parser(Language(tree_sitter_bicep.language()))


@dataclass(frozen=True, slots=True)
class Bicep:
    """A file."""

    path: Path
    root: Node

    @classmethod
    def read(cls, path: Path) -> Bicep:
        """Parse the file at *path*."""
        return cls(path, _PARSER.parse(path.read_bytes()).root_node)

    @property
    def mistakes(self) -> list[str]:
        """Where it is no Bicep."""
        return [
            f"line {node.start_point.row + 1}: {text(node)[:40]!r}"
            for node in self._nodes()
            if node.is_error or node.is_missing
        ]

    @property
    def parameters(self) -> dict[str, bool]:
        """Whether each parameter has to be given."""
        return {
            text(node.named_children[0]): len(node.named_children) < 3
            for node in self._nodes("parameter_declaration")
        }

    @property
    def outputs(self) -> set[str]:
        """The names of what it answers."""
        return {text(node.named_children[0]) for node in self._nodes("output_declaration")}

    @property
    def modules(self) -> dict[str, tuple[Path, set[str]]]:
        """By their names here: where the modules are, and which parameters they are handed."""
        found: dict[str, tuple[Path, set[str]]] = {}
        for node in self._nodes("module_declaration"):
            name, source, content = node.named_children[:3]
            handed = next(value for key, value in _properties(content) if key == "params")
            found[text(name)] = (
                self.path.parent / text(source).strip("'"),
                {key for key, _ in _properties(handed)},
            )
        return found

    @property
    def undeclared(self) -> set[str]:
        """Names that are used, and that nobody declares."""
        declared = FUNCTIONS | {text(node) for node in self._declared()}
        return {text(node) for node in self._nodes("identifier") if not _is_key(node)} - declared

    @property
    def unused(self) -> set[str]:
        """Parameters and variables that nothing uses."""
        declared = {
            text(node.named_children[0])
            for kind in ("parameter_declaration", "variable_declaration")
            for node in self._nodes(kind)
        }
        used = [text(node) for node in self._nodes("identifier") if not _is_key(node)]
        return {name for name in declared if used.count(name) < 2}

    def members_of(self, name: str) -> set[str]:
        """What is read of ``name.outputs``."""
        return {
            text(node.named_children[1])
            for node in self._nodes("member_expression")
            if text(node.named_children[0]) == f"{name}.outputs"
        }

    def texts_of(self, variable: str) -> list[str]:
        """The strings in the array that is called *variable*."""
        (node,) = (
            one for one in self._nodes("variable_declaration") if text(one.named_children[0]) == variable
        )
        return [text(one).strip("'") for one in node.named_children[1].named_children]

    @property
    def keys(self) -> set[str]:
        """The keys of all objects."""
        return {text(node.named_children[0]).strip("'") for node in self._nodes("object_property")}

    def _declared(self) -> Iterator[Node]:
        kinds = ("parameter", "variable", "resource", "module", "output")
        for kind in kinds:
            yield from (node.named_children[0] for node in self._nodes(f"{kind}_declaration"))
        for node in self._nodes("for_statement"):
            first = node.named_children[0]
            yield from first.named_children or [first]

    def _nodes(self, kind: str | None = None) -> Iterator[Node]:
        waiting = [self.root]
        while waiting:
            node = waiting.pop()
            if kind is None or node.type == kind:
                yield node
            waiting.extend(node.children)


def text(node: Node) -> str:
    """What is written there."""
    return (node.text or b"").decode()


def _properties(node: Node) -> Iterator[tuple[str, Node]]:
    for one in node.named_children:
        if one.type == "object_property":
            yield text(one.named_children[0]), one.named_children[1]


def _is_key(node: Node) -> bool:
    parent = node.parent
    return parent is not None and parent.type == "object_property" and parent.named_children[0] == node
