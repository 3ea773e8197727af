"""GitHub's webhooks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from typing_extensions import override

from api_exchange_core.domain.signatures.proof import Flaw, Presented
from api_exchange_core.domain.signatures.scheme import (
    SignatureScheme,
    from_hex,
    header,
    not_empty,
)

_HEADER: Final = "X-Hub-Signature-256"
_PREFIX: Final = "sha256="


@dataclass(frozen=True, slots=True)
class GitHubSignature(SignatureScheme):
    """``X-Hub-Signature-256: sha256=...``, in hexadecimal. ``X-GitHub-Delivery`` is not signed and not believed.

    Source: "Validating webhook deliveries", docs.github.com.
    """

    name: ClassVar[str] = "GitHub"
    id_pointer: ClassVar[str | None] = None

    @override
    def presented(self, headers: Mapping[str, str]) -> Presented | Flaw:
        value = header(headers, _HEADER)
        if isinstance(value, Flaw):
            return value
        signature = from_hex(value.removeprefix(_PREFIX)) if value.startswith(_PREFIX) else None
        return Flaw.MALFORMED if signature is None else Presented((signature,))

    @override
    def key(self, secret: bytes) -> bytes | None:
        return not_empty(secret)
