"""A function's source as a syntax tree, together with the names that it sees."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import CellType, FunctionType

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef

_GROWS = frozenset({"add", "append", "appendleft", "extend", "insert", "setdefault", "update"})


@dataclass(frozen=True, slots=True)
class Binding:
    """What a local name is bound to.

    Args:
        value: the expression; None for what cannot be told (a parameter, an import, a list that is added to).
        each: it is bound to one element of the value after the other, as ``for`` does.
    """

    value: ast.expr | None
    each: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class FunctionSource:
    """What a function says.

    Args:
        node: its definition; functions within it are read as a part of it.
        outside: the values of the names of its module and of functions around it, as they are now.
        local: what each name of its own is bound to, anywhere in it.
        receiver: name of the parameter that is the instance (``self``), if it is a method.
    """

    node: FunctionNode
    outside: Mapping[str, object]
    local: Mapping[str, Sequence[Binding]]
    receiver: str | None

    @classmethod
    def of(cls, function: FunctionType, *, method: bool) -> FunctionSource | None:
        """The source of *function*, or None if there is none to be read: it was made by `exec`, say."""
        node = _definition(function)
        if node is None:
            return None
        cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        outside = {**function.__globals__, **{name: _content(cell) for name, cell in cells}}
        parameters = [*node.args.posonlyargs, *node.args.args]
        return cls(node, outside, _bindings(node), parameters[0].arg if method and parameters else None)

    @property
    def nodes(self) -> Iterator[ast.AST]:
        """All that it consists of, in the order of writing."""
        return _in_order(self.node)

    @property
    def calls(self) -> Sequence[ast.Call]:
        """Every call in it."""
        return [node for node in self.nodes if isinstance(node, ast.Call)]

    @property
    def returned(self) -> Sequence[ast.expr] | None:
        """What it may return; None for a generator, whose values are its own business."""
        nodes = list(self.nodes)
        if any(isinstance(node, ast.Yield | ast.YieldFrom) for node in nodes):
            return None
        return [node.value for node in nodes if isinstance(node, ast.Return) and node.value is not None]


def grown(node: ast.AST) -> ast.expr | None:
    """The list, set or table that *node* puts something into, if that is what it does."""
    match node:
        case ast.Call(func=ast.Attribute(value=container, attr=method)) if method in _GROWS:
            return container
        case ast.Subscript(value=container, ctx=ast.Store()):
            return container
    return None


def _definition(function: FunctionType) -> FunctionNode | None:
    code = function.__code__
    text = "".join(linecache.getlines(code.co_filename, function.__globals__))
    node = _definitions(text).get(code.co_firstlineno)
    return node if node is not None and node.name == code.co_name else None


@cache
def _definitions(text: str) -> Mapping[int, FunctionNode]:
    """The functions of a file by their first line, which is that of the first decorator."""
    try:
        tree = ast.parse(text)
    except SyntaxError:  # the file has changed since it was imported
        return {}
    functions = (node for node in ast.walk(tree) if isinstance(node, FunctionNode))
    return {min([node.lineno, *(one.lineno for one in node.decorator_list)]): node for node in functions}


def _in_order(node: ast.AST) -> Iterator[ast.AST]:
    to_visit = [node]
    while to_visit:
        visited = to_visit.pop()
        yield visited
        to_visit += reversed(list(ast.iter_child_nodes(visited)))


def _content(cell: CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # the function around it has not bound it yet
        return None


def _bindings(function: FunctionNode) -> Mapping[str, Sequence[Binding]]:
    found: dict[str, list[Binding]] = {}
    told: set[ast.AST] = set()
    nodes = list(_in_order(function))[1:]
    for node in nodes:
        for target, binding in _told(node):
            if isinstance(target, ast.Name):
                told.add(target)
                found.setdefault(target.id, []).append(binding)
    for node in nodes:
        name = None if node in told else _bound_otherwise(node)
        if name is not None:
            found.setdefault(name, []).append(Binding(None))
    return found


def _told(node: ast.AST) -> Iterator[tuple[ast.expr, Binding]]:
    match node:
        case ast.Assign(targets=targets, value=value):
            yield from ((target, Binding(value)) for target in targets)
        case ast.AnnAssign(target=target, value=ast.expr() as value):
            yield target, Binding(value)
        case ast.NamedExpr(target=target, value=value):
            yield target, Binding(value)
        case ast.For(target=target, iter=value) | ast.comprehension(target=target, iter=value):
            yield target, Binding(value, each=True)


def _bound_otherwise(node: ast.AST) -> str | None:
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.arg(arg=name):
            return name
        case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
            return name
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return name
        case ast.ExceptHandler(name=str(name)) | ast.alias(asname=str(name)):
            return name
        case ast.alias(name=name):
            return name.partition(".")[0]
    container = grown(node)
    return container.id if isinstance(container, ast.Name) else None
