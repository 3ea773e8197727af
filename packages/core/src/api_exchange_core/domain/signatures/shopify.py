"""Shopify's webhooks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from typing_extensions import override

from api_exchange_core.domain.signatures.proof import Flaw, Presented
from api_exchange_core.domain.signatures.scheme import (
    SignatureScheme,
    from_base64,
    header,
    not_empty,
)

_HEADER: Final = "X-Shopify-Hmac-Sha256"


@dataclass(frozen=True, slots=True)
class ShopifySignature(SignatureScheme):
    """``X-Shopify-Hmac-Sha256``, in base64. ``X-Shopify-Webhook-Id`` and the shop's domain are not signed.

    Source: "Verify webhook deliveries", shopify.dev.
    """

    name: ClassVar[str] = "Shopify"
    id_pointer: ClassVar[str | None] = None

    @override
    def presented(self, headers: Mapping[str, str]) -> Presented | Flaw:
        value = header(headers, _HEADER)
        if isinstance(value, Flaw):
            return value
        signature = from_base64(value)
        return Flaw.MALFORMED if signature is None else Presented((signature,))

    @override
    def key(self, secret: bytes) -> bytes | None:
        return not_empty(secret)
