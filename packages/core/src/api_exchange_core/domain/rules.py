"""Where messages go, by what is in them: rules that a gateway processor follows.

    Routing(
        [Rule(field("order_type") == "express", to="express-orders"),
         Rule(field("total") > 1000, to=["standard-orders", "fraud-check"])],
        default="unknown-orders",
    )

The same as plain data, for rules that live in a file:

    {"mode": "first", "default": "unknown-orders", "rules": [
        {"when": {"field": "order_type", "op": "==", "value": "express"}, "to": "express-orders"},
        {"when": {"field": "total", "op": ">", "value": 1000}, "to": ["standard-orders", "fraud-check"]}]}

A message always goes somewhere: to the queues of the rules that hold, else to the default, and where that is
`FAIL`, to the dead letters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import islice
from typing import Final, Literal

from api_exchange_core.domain.conditions import Condition, all_of, any_of, field, located, not_
from api_exchange_core.domain.errors import DeclarationError, UnroutableError
from api_exchange_core.domain.names import QueueName, queue_name

__all__ = ["FAIL", "Condition", "Mode", "Routing", "Rule", "all_of", "any_of", "field", "not_"]

FAIL: Final = QueueName("FAIL")
"""The default that dead-letters what no rule takes. Capitals are in no queue's name, so it can be none."""

Mode = Literal["first", "all"]
_MODES: Final[tuple[Mode, ...]] = ("first", "all")


@dataclass(frozen=True, slots=True, init=False)
class Rule:
    """Messages that meet a condition go to these queues.

    Args:
        when: what the payload must meet.
        to: the name of a queue, or a list of names.

    Raises:
        DeclarationError: *when* is no condition, or a name is not one that every platform accepts.
    """

    when: Condition
    to: tuple[QueueName, ...]

    def __init__(self, when: Condition, to: str | Sequence[str]) -> None:
        object.__setattr__(self, "when", _condition(when))
        object.__setattr__(self, "to", _queue_names(to))

    @classmethod
    def parse(cls, document: object, *, where: str = "rule") -> Rule:
        """Read ``{"when": condition, "to": queue or list of queues}``.

        Args:
            document: what `json.loads` or a YAML reader gave.
            where: what the document is called in errors.

        Raises:
            DeclarationError: it is no rule; the message starts with the path to what is wrong.
        """
        content = _object(document, where, needs={"when", "to"})
        when = Condition.parse(content["when"], where=f"{where}.when")
        with located(f"{where}.to"):
            to = _queue_names(content["to"])
        return cls(when, to)


@dataclass(frozen=True, slots=True, init=False)
class Routing:
    """Rules in their order, and what happens to a message that none of them takes.

    Args:
        rules: asked from the first to the last.
        default: the queue of messages that no rule takes, or `FAIL`, which refuses them. It has to be said: a
            gateway that sends a message nowhere has lost it.
        mode: ``first`` follows the first rule that holds, ``all`` every rule that does.

    Raises:
        DeclarationError: there is no queue to reach, or a name or the mode is not valid.
    """

    rules: tuple[Rule, ...]
    default: QueueName
    mode: Mode

    def __init__(self, rules: Sequence[Rule], *, default: str, mode: Mode = "first") -> None:
        object.__setattr__(self, "rules", tuple(_rule(rule) for rule in rules))
        object.__setattr__(self, "default", _default(default))
        object.__setattr__(self, "mode", _mode(mode))
        if not self.queues:
            raise DeclarationError("a routing without rules whose default is FAIL refuses every message")

    @classmethod
    def parse(cls, document: object) -> Routing:
        """Read ``{"rules": [...], "default": queue or "FAIL", "mode": "first" or "all"}``; mode is optional.

        Raises:
            DeclarationError: it is no routing; the message starts with the path to what is wrong.
        """
        content = _object(document, "routing", needs={"rules", "default"}, allows={"mode"})
        rules = content["rules"]
        if not isinstance(rules, list | tuple):
            raise DeclarationError(f"rules: needs a list of rules, not {rules!r}")
        parsed = [Rule.parse(rule, where=f"rules[{i}]") for i, rule in enumerate(rules)]
        with located("default"):
            default = _default(content["default"])
        with located("mode"):
            mode = _mode(content.get("mode", "first"))
        return cls(parsed, default=default, mode=mode)

    @property
    def queues(self) -> tuple[QueueName, ...]:
        """Every queue that a message can be sent to, in the order of the rules, the default's last."""
        named = [queue for rule in self.rules for queue in rule.to]
        return tuple(dict.fromkeys(named if self.default == FAIL else [*named, self.default]))

    def destinations(self, payload: object) -> tuple[QueueName, ...]:
        """The queues that a message with *payload* goes to: at least one, none twice, in the rules' order.

        Raises:
            UnroutableError: no rule takes it and the default is `FAIL`.
        """
        held = (rule for rule in self.rules if rule.when.holds(payload))
        taking = list(held if self.mode == "all" else islice(held, 1))
        if taking:
            return tuple(dict.fromkeys(queue for rule in taking for queue in rule.to))
        if self.default == FAIL:
            raise UnroutableError(
                f"none of {len(self.rules)} rules takes the message, and the default is FAIL; "
                "add a rule for it, or name a queue as the default"
            )
        return (self.default,)


def _condition(when: object) -> Condition:
    if not isinstance(when, Condition):
        raise DeclarationError(f'a rule\'s when is a condition such as field("total") > 100, not {when!r}')
    return when


def _queue_names(to: object) -> tuple[QueueName, ...]:
    names = [to] if isinstance(to, str) else to
    if not isinstance(names, list | tuple) or not names:
        raise DeclarationError(f"a rule's to is the name of a queue or a list of names, not {to!r}")
    return tuple(dict.fromkeys(queue_name(name) for name in names))


def _rule(rule: object) -> Rule:
    if not isinstance(rule, Rule):
        raise DeclarationError(f"a routing consists of Rule(when, to=...), not {rule!r}")
    return rule


def _default(default: object) -> QueueName:
    if not isinstance(default, str):
        raise DeclarationError(
            f"{default!r} is no default; name a queue, or 'FAIL' to refuse what no rule takes"
        )
    return FAIL if default == FAIL else queue_name(default)


def _mode(mode: object) -> Mode:
    for known in _MODES:
        if mode == known:
            return known
    raise DeclarationError(f"{mode!r} is no mode; use 'first' or 'all'")


def _object(
    document: object, where: str, *, needs: AbstractSet[str], allows: AbstractSet[str] = frozenset()
) -> Mapping[str, object]:
    if not isinstance(document, Mapping):
        raise DeclarationError(f"{where}: needs the keys {sorted(needs)}, not {document!r}")
    if missing := needs - document.keys():
        raise DeclarationError(f"{where}: {sorted(missing)} missing; found {list(document)}")
    if unknown := document.keys() - needs - allows:
        raise DeclarationError(
            f"{where}: no such key as {sorted(unknown, key=str)}; use {sorted(needs | allows)}"
        )
    return document
