"""What an expression of a processor may come to, told without running it."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from api_exchange_core.cli.source.function_source import Binding, FunctionSource
from api_exchange_core.cli.source.processor_source import UNKNOWN, ProcessorSource


@dataclass(frozen=True, slots=True)
class Value:
    """A value, known."""

    value: object


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression that is no choice between others: a call of something else, a list, a parameter."""

    node: ast.expr
    scope: FunctionSource


Possible = Value | Expression


@dataclass(frozen=True, slots=True)
class PossibleValues:
    """Takes expressions apart into what they may come to.

    Args:
        source: the processor whose expressions they are.
    """

    source: ProcessorSource
    _open: set[ast.expr] = field(default_factory=set)

    def of(self, expression: ast.expr, scope: FunctionSource) -> list[Possible]:
        """All that *expression* may come to. What is not a `Value` there cannot be told any further."""
        if expression in self._open:  # `queue = queue or "orders"`: once round a circle there is nothing new
            return []
        self._open.add(expression)
        try:
            return self._reduced(expression, scope)
        finally:
            self._open.discard(expression)

    def elements(self, expression: ast.expr, scope: FunctionSource) -> list[Possible]:
        """All that a loop over *expression* may meet."""
        match expression:
            case ast.Call(func=ast.Attribute(value=table, attr="values"), args=[], keywords=[]):
                return self._entries(expression, table, None, scope)
        wholes = self.of(expression, scope)
        return [one for whole in wholes for one in self._iterated(whole, expression, scope)]

    def _reduced(self, expression: ast.expr, scope: FunctionSource) -> list[Possible]:
        match expression:
            case ast.Constant(value=value):
                return [Value(value)]
            case ast.Name(id=name) if name in scope.local and name != scope.receiver:
                bindings = scope.local[name]
                return [one for binding in bindings for one in self._bound(expression, binding, scope)]
            case ast.Name() | ast.Attribute():
                known = self.source.value_of(expression, scope)
                return [Expression(expression, scope) if known is UNKNOWN else Value(known)]
            case ast.Subscript(value=table, slice=key):
                return self._entries(expression, table, key, scope)
            case ast.Call():
                return self._called(expression, scope)
        parts = _choices(expression)
        return self._all(parts, scope) if parts else [Expression(expression, scope)]

    def _all(self, expressions: Iterable[ast.expr], scope: FunctionSource) -> list[Possible]:
        return [one for expression in expressions for one in self.of(expression, scope)]

    def _bound(self, name: ast.Name, binding: Binding, scope: FunctionSource) -> list[Possible]:
        if binding.value is None:
            return [Expression(name, scope)]
        return self.elements(binding.value, scope) if binding.each else self.of(binding.value, scope)

    def _called(self, call: ast.Call, scope: FunctionSource) -> list[Possible]:
        callee = self.source.callee(call, scope)
        if callee is not None:
            returned = callee.returned
            return [Expression(call, scope)] if returned is None else self._all(returned, callee)
        match call:
            case ast.Call(func=ast.Attribute(value=table, attr="get"), args=[key, *default], keywords=[]):
                missing = self._all(default, scope) if default else [Value(None)]
                return self._entries(call, table, key, scope) + missing
        return [Expression(call, scope)]

    def _entries(
        self, lookup: ast.expr, table: ast.expr, key: ast.expr | None, scope: FunctionSource
    ) -> list[Possible]:
        """What *lookup* may find in *table*; all of its entries if the key cannot be told."""
        keys = [] if key is None else self.of(key, scope)
        wanted = keys[0] if len(keys) == 1 and isinstance(keys[0], Value) else None
        found: list[Possible] = []
        for whole in self.of(table, scope):
            pairs = self._pairs(whole)
            if pairs is None:
                return [Expression(lookup, scope)]
            found += (value for known, value in pairs if wanted is None or known in (wanted, None))
        return found

    def _pairs(self, table: Possible) -> list[tuple[Value | None, Possible]] | None:
        """Keys, None where one cannot be told, and values of *table*; None if the table cannot be told."""
        match table:
            case Value(value=Mapping() as mapping):
                return [(Value(key), Value(value)) for key, value in mapping.items()]
            case Value(value=list() | tuple() as sequence):
                return [(Value(index), Value(value)) for index, value in enumerate(sequence)]
            case Expression(node=ast.Dict(keys=keys, values=values), scope=scope) if None not in keys:
                return [
                    (Value(key.value) if isinstance(key, ast.Constant) else None, one)
                    for key, value in zip(keys, values, strict=True)
                    for one in self.of(value, scope)
                ]
            case Expression(node=ast.List() | ast.Tuple() as literal, scope=scope):
                return [(None, one) for one in self._all(literal.elts, scope)]
        return None

    def _iterated(self, whole: Possible, expression: ast.expr, scope: FunctionSource) -> list[Possible]:
        match whole:
            case Value(value=Mapping() | list() | tuple() | AbstractSet() as known):
                return [Value(element) for element in known]
            case Expression(node=ast.List() | ast.Tuple() | ast.Set() as literal, scope=inner):
                return self._all(literal.elts, inner)
            case Expression(node=ast.ListComp() | ast.SetComp() | ast.GeneratorExp() as made, scope=inner):
                return self.of(made.elt, inner)
        return [Expression(expression, scope)]


def _choices(expression: ast.expr) -> list[ast.expr]:
    match expression:
        case ast.IfExp(body=one, orelse=other):
            return [one, other]
        case ast.BoolOp(values=values):
            return values
        case ast.NamedExpr(value=value) | ast.Await(value=value):
            return [value]
    return []
