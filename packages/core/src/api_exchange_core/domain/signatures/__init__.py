"""How the senders of webhooks sign what they send, each scheme from its own documentation.

All of them are an HMAC (RFC 2104) over the body as it came, with something in front of it. A scheme says where the
parts are; `proof.Presented.is_proven` compares, and it alone.
"""

from api_exchange_core.domain.signatures.github import GitHubSignature
from api_exchange_core.domain.signatures.plain import PlainHmac
from api_exchange_core.domain.signatures.proof import Flaw, Presented
from api_exchange_core.domain.signatures.scheme import SignatureScheme
from api_exchange_core.domain.signatures.shopify import ShopifySignature
from api_exchange_core.domain.signatures.slack import SlackSignature
from api_exchange_core.domain.signatures.standard_webhooks import StandardWebhooks
from api_exchange_core.domain.signatures.stripe import StripeSignature

__all__ = [
    "Flaw",
    "GitHubSignature",
    "PlainHmac",
    "Presented",
    "ShopifySignature",
    "SignatureScheme",
    "SlackSignature",
    "StandardWebhooks",
    "StripeSignature",
]
