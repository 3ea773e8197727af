"""What was handed over to be sent, kept as it was."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

from api_exchange_core.ports.message_publisher import Outgoing


def kept(outgoing: Outgoing) -> Outgoing:
    """*outgoing* with properties that nobody else can change.

    A view is taken as it is: in memory a message goes from the outbox into its queue as one and the same value.
    """
    if isinstance(outgoing.properties, MappingProxyType):
        return outgoing
    return replace(outgoing, properties=MappingProxyType(dict(outgoing.properties)))
