"""What makes two requests the same one."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from api_exchange_core.domain.identity import derived_message_id
from api_exchange_core.domain.names import FunctionName, MessageId, TenantId

IDEMPOTENCY_KEY: Final = "Idempotency-Key"
LONGEST_KEY: Final = 255

_QUOTED = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"', re.ASCII)
_BARE = re.compile(r"[!#-+\--:<-~]+", re.ASCII)  # visible ASCII without '"', ',' and ';'


@dataclass(frozen=True, slots=True)
class RequestKey:
    """By what a request is known when it comes again. Holds nothing of what the client sent but hashes.

    Args:
        tenant_id: whose request; keys of two tenants never meet.
        function: which takes it in; nor do those of two functions.
        key: SHA-256 of the client's key or of the sender's delivery id, in hexadecimal.
        fingerprint: SHA-256 of what a repetition has to have in common besides, in hexadecimal.
    """

    tenant_id: TenantId
    function: FunctionName
    key: str
    fingerprint: str

    @property
    def message_id(self) -> MessageId:
        """The id of the message that it becomes, however often it comes."""
        return derived_message_id("request", self.tenant_id, self.function, self.key, self.fingerprint)

    @classmethod
    def of_client(
        cls,
        tenant_id: TenantId,
        function: FunctionName,
        key: str,
        *,
        query: Mapping[str, str],
        body: bytes,
    ) -> RequestKey:
        """Of a client that chose *key*: a repetition has the same query and body."""
        parts = [part.encode("utf-8", "surrogateescape") for pair in sorted(query.items()) for part in pair]
        return cls(tenant_id, function, _digest(b"client", key.encode()), _digest(*parts, body))

    @classmethod
    def of_delivery(cls, tenant_id: TenantId, function: FunctionName, delivery_id: str) -> RequestKey:
        """Of a sender that gives what it delivers an id: a repetition has that id, whatever else it has."""
        digest = _digest(b"delivery", delivery_id.encode("utf-8", "surrogateescape"))
        return cls(tenant_id, function, digest, digest)


def idempotency_key(value: str) -> str:
    """The key in a header `IDEMPOTENCY_KEY`, in quotes or bare.

    Source: draft-ietf-httpapi-idempotency-key-header-07, section 2.1: an sf-string (RFC 8941, section 3.3.3), which
    few clients write with its quotes.

    Raises:
        ValueError: it is none; says what one is, and repeats nothing of it.
    """
    quoted = _QUOTED.fullmatch(value) if len(value) <= 2 * (LONGEST_KEY + 1) else None
    key = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else value
    if not 0 < len(key) <= LONGEST_KEY or not (quoted or _BARE.fullmatch(key)):
        raise ValueError(
            f"the header {IDEMPOTENCY_KEY} is one text of 1 to {LONGEST_KEY} visible ASCII characters, in quotes if "
            "there is a quote, comma, semicolon or blank in it"
        )
    return key


def _digest(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(b"%d:" % len(part))
        digest.update(part)
    return digest.hexdigest()
