"""Expressions of DynamoDB: what is to be changed, and if what holds.

In their texts ``#name`` is an attribute, whatever it is called: DynamoDB keeps more than five hundred words to itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from api_exchange_aws.dynamodb.token_items import PARTITION, SORT, instant, number, slots_of, text
from api_exchange_core.domain.api_token import TokenId, TokenKey
from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.token_store import Takeover, TokenLease, TokenState

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

_NAME: Final = re.compile(r"#(\w+)")


@dataclass(frozen=True, slots=True)
class Expression:
    """A text with values, which are called ``:name`` in it."""

    text: str
    values: Mapping[str, AttributeValueTypeDef] = field(default_factory=dict)

    def request(self, parameter: str) -> dict[str, Any]:
        """The arguments of a request whose *parameter* this is."""
        asked: dict[str, Any] = {parameter: self.text, "ExpressionAttributeNames": names_in(self.text)}
        return asked | ({"ExpressionAttributeValues": self.values} if self.values else {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a write does to an item.

    Args:
        if_: the condition.
        set_: attributes to be given a value.
        add: numbers to be counted up; those that are not there begin at 0.
        remove: attributes to be taken away.
    """

    if_: Expression
    set_: Mapping[str, AttributeValueTypeDef] = field(default_factory=dict)
    add: Mapping[str, int] = field(default_factory=dict)
    remove: tuple[str, ...] = ()

    def request(self) -> dict[str, Any]:
        """The arguments of UpdateItem."""
        parts = {
            "SET": [f"#{name} = :{name}" for name in self.set_],
            "ADD": [f"#{name} :{name}" for name in self.add],
            "REMOVE": [f"#{name}" for name in self.remove],
        }
        update = " ".join(f"{verb} {', '.join(some)}" for verb, some in parts.items() if some)
        values = {f":{name}": value for name, value in self.set_.items()}
        values |= {f":{name}": number(by) for name, by in self.add.items()}
        return {
            "UpdateExpression": update,
            "ConditionExpression": self.if_.text,
            "ExpressionAttributeNames": names_in(f"{update} {self.if_.text}"),
            "ExpressionAttributeValues": {**values, **self.if_.values},
        }


def names_in(expression: str) -> dict[str, str]:
    """What each ``#name`` stands for: itself."""
    return {f"#{name}": name for name in _NAME.findall(expression)}


THERE: Final = Expression(f"attribute_exists(#{PARTITION})")
"""There is an item."""


def of_tenant(tenant_id: TenantId) -> Expression:
    """The items of a tenant."""
    return Expression(f"#{PARTITION} = :tenant", {":tenant": text(tenant_id)})


def of_key(key: TokenKey) -> Expression:
    """The slots of *key*."""
    ours = of_tenant(key.tenant_id)
    return Expression(
        f"{ours.text} AND begins_with(#{SORT}, :slots)", {**ours.values, ":slots": text(slots_of(key))}
    )


def held(lease: TokenLease) -> Expression:
    """Also after its time, as long as nobody else was given one. The owner tells it from leases of an item before."""
    return Expression(
        "#fence = :its_fence AND #lease_owner = :its_owner",
        {":its_fence": number(lease.fence), ":its_owner": text(lease.owner)},
    )


def sealed_as(state: TokenState) -> Expression:
    """Token and refresh token are those that were read."""
    texts, values = [], {}
    for name, sealed in (("sealed", state.sealed), ("refresh", state.refresh)):
        if sealed is None:
            texts.append(f"attribute_not_exists(#{name})")
        else:
            texts.append(f"#{name} = :old_{name}")
            values[f":old_{name}"] = text(sealed)
    return Expression(" AND ".join([f"attribute_exists(#{PARTITION})", *texts]), values)


def current(token_id: TokenId) -> Expression:
    """That is the token."""
    return Expression("#token_id = :current", {":current": text(token_id)})


def takeable(seen: TokenId | None, takeover: Takeover, now: datetime, *, skew: timedelta) -> Expression:
    """The lease can be had: where there is no item, there is no token to have seen."""
    values = {":now": instant(now)}
    conditions = [_past("barred_until", "now")]
    if seen is None:
        conditions.append("attribute_not_exists(#token_id)")
    else:
        conditions.append("#token_id = :seen")
        values[":seen"] = text(seen)
    if takeover.after is None:
        conditions.append("attribute_not_exists(#lease_owner)")
    else:
        conditions.append("(attribute_not_exists(#lease_owner) OR #lease_until <= :over)")
        values[":over"] = instant(now - skew - takeover.after)
    if not takeover.beside_live:
        conditions.append(_past("live_until", "dead"))
        values[":dead"] = instant(now - skew)
    return Expression(f"attribute_not_exists(#{PARTITION}) OR ({' AND '.join(conditions)})", values)


def unneeded(now: datetime, before: datetime) -> Expression:
    """The slot has a token that expired *before*, and nothing that is still of use."""
    conditions = [
        "#changed_at <= :before",
        _past("expires_at", "before"),
        _past("live_until", "now"),
        _past("barred_until", "now"),
        "attribute_not_exists(#lease_owner)",
        "attribute_not_exists(#refresh)",
    ]
    return Expression(" AND ".join(conditions), {":now": instant(now), ":before": instant(before)})


def _past(name: str, time: str) -> str:
    return f"(attribute_not_exists(#{name}) OR #{name} <= :{time})"
