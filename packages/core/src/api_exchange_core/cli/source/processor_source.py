"""The source of a processor: its methods, the functions that they call, and the values that they see."""

from __future__ import annotations

import ast
import inspect
from abc import ABC
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, EnumMeta
from functools import cached_property
from types import FunctionType, ModuleType
from typing import Final, Generic, Protocol

from api_exchange_core.cli.source.function_source import FunctionSource, grown
from api_exchange_core.domain.processor import ProcessorInterface

UNKNOWN: Final = object()
"""The value of what cannot be told."""

_SAY_NOTHING = (ProcessorInterface, ABC, Generic, Protocol, object)


@dataclass(frozen=True, eq=False)
class ProcessorSource:
    """What a processor's class says.

    Args:
        processor: the instance, whose attributes are known since it is made.
        methods: its methods by name, the one that counts first, then those that it overrides.
    """

    processor: ProcessorInterface
    methods: Mapping[str, Sequence[FunctionSource]]
    _followed: dict[FunctionType, FunctionSource | None] = field(default_factory=dict)

    @classmethod
    def of(cls, processor: ProcessorInterface) -> ProcessorSource | None:
        """The source of *processor*, or None where a part of it cannot be read.

        Decorators that keep the function's name, as `functools.wraps` has them do, are looked through.
        """
        methods: dict[str, list[FunctionSource]] = {}
        for name, function, is_method in _functions_of(type(processor)):
            source = FunctionSource.of(function, method=is_method)
            if source is None:
                return None
            methods.setdefault(name, []).append(source)
        return cls(processor, methods) if "process" in methods else None

    @cached_property
    def functions(self) -> Sequence[FunctionSource]:
        """Its methods and, in turn, the functions of the same application that they call."""
        found: list[FunctionSource] = []
        to_read = [chain[0] for chain in self.methods.values()]
        while to_read:
            source = to_read.pop(0)
            if source not in found:
                found.append(source)
                callees = (self.callee(call, source) for call in source.calls)
                to_read += (callee for callee in callees if callee is not None)
        return found

    def callee(self, call: ast.Call, scope: FunctionSource) -> FunctionSource | None:
        """The function that *call* calls, if it is one that can be followed."""
        match call.func:
            case ast.Attribute(value=ast.Name(id=name), attr=method) if name == scope.receiver:
                return next(iter(self.methods.get(method, ())), None)
            case ast.Attribute(value=ast.Call(func=ast.Name(id="super")), attr=method):
                chain = self.methods.get(method, ())
                return next(iter(chain[chain.index(scope) + 1 :]), None) if scope in chain else None
        function = self.value_of(call.func, scope)
        return self._follow(function) if isinstance(function, FunctionType) else None

    def value_of(self, expression: ast.expr, scope: FunctionSource) -> object:
        """The value of a name or attribute that is set before the processor runs, or `UNKNOWN`."""
        match expression:
            case ast.Name(id=name) if name == scope.receiver:
                return self.processor
            case ast.Name(id=name) if name not in scope.local:
                return scope.outside.get(name, UNKNOWN)
            case ast.Attribute(value=of, attr=attribute):
                owner = self.value_of(of, scope)
                changes = owner is self.processor and attribute in self._changing
                return UNKNOWN if owner is UNKNOWN or changes else _attribute(owner, attribute)
        return UNKNOWN

    @cached_property
    def _changing(self) -> frozenset[str]:
        """Attributes that methods set, or put something into, while it runs."""
        sources = (source for chain in self.methods.values() for source in chain)
        nodes = [node for source in sources for node in source.nodes]
        containers = [container for node in nodes if (container := grown(node)) is not None]
        stored = [n for n in nodes if isinstance(n, ast.Attribute) and not isinstance(n.ctx, ast.Load)]
        return frozenset(one.attr for one in [*stored, *containers] if isinstance(one, ast.Attribute))

    def _follow(self, function: FunctionType) -> FunctionSource | None:
        if _application(function) != _application(type(self.processor)):
            return None
        if function not in self._followed:
            self._followed[function] = FunctionSource.of(function, method=False)
        return self._followed[function]


def _functions_of(processor: type[ProcessorInterface]) -> Iterator[tuple[str, FunctionType, bool]]:
    """Name, function and whether it has a receiver; without what Python calls itself, as ``__init__``."""
    for owner in processor.__mro__:
        for name, value in {} if owner in _SAY_NOTHING else vars(owner).items():
            plain = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
            if isinstance(plain, FunctionType) and not (name.startswith("__") and name.endswith("__")):
                yield name, inspect.unwrap(plain), not isinstance(value, staticmethod)


def _application(thing: FunctionType | type) -> str:
    return thing.__module__.partition(".")[0]


def _attribute(owner: object, name: str) -> object:
    """An attribute, without running a property."""
    if isinstance(owner, ModuleType | EnumMeta) or (isinstance(owner, Enum) and name == "value"):
        return getattr(owner, name, UNKNOWN)
    return inspect.getattr_static(owner, name, UNKNOWN)
