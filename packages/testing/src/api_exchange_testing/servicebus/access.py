"""Who may do what: shared access policies, and the tokens that clients make of their keys."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import Flag, auto
from typing import Final
from urllib.parse import unquote, urlsplit

from api_exchange_testing.servicebus.model.refusal import Condition, RefusedError

_SCHEME: Final = "SharedAccessSignature "


class Right(Flag):
    """What a policy allows; `MANAGE` includes the others."""

    LISTEN = auto()
    SEND = auto()
    MANAGE = auto()


@dataclass(frozen=True, slots=True)
class Policy:
    """A shared access policy of the namespace.

    Attributes:
        key: the secret, as it stands in a connection string.

    Raises:
        ValueError: name or key are empty, or cannot stand in a connection string.
    """

    name: str
    key: str
    rights: Right = Right.LISTEN | Right.SEND | Right.MANAGE

    def __post_init__(self) -> None:
        for part in (self.name, self.key):
            if not part or ";" in part:
                raise ValueError(f"a policy such as {self.name!r} needs a name and a key, both without ';'")

    def allows(self, right: Right) -> bool:
        """Whether it has *right*."""
        return bool(self.rights & (right | Right.MANAGE))


ROOT: Final = Policy("RootManageSharedAccessKey", "bG9vcGJhY2sgb25seQ==")
"""The policy of a broker that is given none. Not a secret: the broker listens on the loopback alone."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What one connection may do at a path and below it."""

    path: str
    policy: Policy


class Door:
    """Checks tokens."""

    def __init__(self, policies: Iterable[Policy]) -> None:
        self._policies = {policy.name: policy for policy in policies}

    def admit(self, token: str, now: datetime) -> Grant:
        """What a token grants.

        Raises:
            RefusedError: it is no shared access signature, its key or signature is wrong, or it is over.
        """
        if not token.startswith(_SCHEME):
            raise _unauthorized("this broker checks shared access signatures alone, and the token is none.")
        parts = dict(part.partition("=")[::2] for part in token.removeprefix(_SCHEME).split("&"))
        policy = self._policies.get(unquote(parts.get("skn", "")))
        signed = f"{parts.get('sr', '')}\n{parts.get('se', '')}".encode()
        if policy is None or not hmac.compare_digest(
            _signature(policy.key, signed), unquote(parts.get("sig", ""))
        ):
            raise _unauthorized("InvalidSignature: The token has an invalid signature.")
        ends = parts.get("se", "")
        if not ends.isdecimal() or int(ends) <= now.timestamp():
            raise _unauthorized("ExpiredToken: The token is expired.")
        return Grant(urlsplit(unquote(parts.get("sr", ""))).path.strip("/").lower(), policy)


def check(grants: Iterable[Grant], path: str, right: Right) -> None:
    """Refuse unless one of *grants* gives *right* at *path*.

    Raises:
        RefusedError: none does.
    """
    wanted = path.lower()
    for grant in grants:
        covers = grant.path == "" or wanted == grant.path or wanted.startswith(grant.path + "/")
        if covers and grant.policy.allows(right):
            return
    claim = (right.name or "").capitalize()
    raise _unauthorized(
        f"Unauthorized access. {claim!r} claim(s) are required to perform this operation on {path!r}."
    )


def _signature(key: str, signed: bytes) -> str:
    return base64.b64encode(hmac.digest(key.encode(), signed, hashlib.sha256)).decode()


def _unauthorized(text: str) -> RefusedError:
    return RefusedError(Condition.UNAUTHORIZED, text)
