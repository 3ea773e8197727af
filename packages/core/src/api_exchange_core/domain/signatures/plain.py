"""An HMAC of the body in a header, and nothing else: what most senders do that have no scheme of their own."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Literal, get_args

from typing_extensions import override

from api_exchange_core.domain.errors import DeclarationError
from api_exchange_core.domain.json_value import JsonValue
from api_exchange_core.domain.signatures.proof import Algorithm, Flaw, Presented
from api_exchange_core.domain.signatures.scheme import (
    SignatureScheme,
    from_base64,
    from_hex,
    header,
    not_empty,
)

Encoding = Literal["hex", "base64"]

_HEADER = re.compile(r"[A-Za-z0-9-]{1,64}")
_DECODE: Final = {"hex": from_hex, "base64": from_base64}


@dataclass(frozen=True, slots=True)
class PlainHmac(SignatureScheme):
    """A header with the HMAC of the body.

    Nothing says when it was signed: who has recorded a request can send it again for as long as he likes, and is
    stopped by the request log, then by the journal, for as long as these remember it.

    Args:
        header: name of the header.
        algorithm: of the hash.
        encoding: of the signature.
        prefix: what stands in front of it in the header, such as ``sha256=``.
        bodies_repeat: the sender says the same more than once and means it each time, as one does who only tells that
            something has changed. Each request is a message then, also one that is sent again or replayed. Else a body
            that has come before is taken for a repetition, and makes none.

    Raises:
        DeclarationError: an algorithm, encoding or name that is none.
    """

    name: ClassVar[str] = "HMAC"
    id_pointer: ClassVar[str | None] = None
    header: str
    algorithm: Algorithm = "sha256"
    encoding: Encoding = "hex"
    prefix: str = ""
    bodies_repeat: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.header, str) or not _HEADER.fullmatch(self.header):
            raise DeclarationError(f"{self.header!r} is no header name: use letters, digits and hyphens")
        for what, value, kinds in (
            ("algorithm", self.algorithm, get_args(Algorithm)),
            ("encoding", self.encoding, get_args(Encoding)),
        ):
            if value not in kinds:
                raise DeclarationError(
                    f"{what} of the signature in {self.header!r} is one of {', '.join(kinds)}, not {value!r}"
                )

    @override
    def presented(self, headers: Mapping[str, str]) -> Presented | Flaw:
        value = header(headers, self.header)
        if isinstance(value, Flaw):
            return value
        encoded = value.removeprefix(self.prefix)
        signature = _DECODE[self.encoding](encoded) if value.startswith(self.prefix) else None
        if signature is None or len(signature) != hashlib.new(self.algorithm).digest_size:
            return Flaw.MALFORMED
        return Presented((signature,), algorithm=self.algorithm)

    @override
    def key(self, secret: bytes) -> bytes | None:
        return not_empty(secret)

    @override
    def delivery_id(self, presented: Presented, payload: JsonValue, body: bytes) -> str | None:
        # By name: with slots the decorator makes another class, which super() alone does not know.
        return None if self.bodies_repeat else super(PlainHmac, self).delivery_id(presented, payload, body)
