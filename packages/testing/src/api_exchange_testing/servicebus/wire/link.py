"""The links of a connection and what travels on them: proton's, behind types of our own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Final
from urllib.parse import unquote
from uuid import UUID

import proton

from api_exchange_testing.servicebus.model.refusal import RefusedError
from api_exchange_testing.servicebus.wire.values import owned, symbols, ticks

_SESSION_FILTER: Final = "com.microsoft:session-filter"
_LOCKED_UNTIL: Final = "com.microsoft:locked-until-utc"
_TIMEOUT: Final = "com.microsoft:timeout"
_PATIENCE: Final = timedelta(seconds=60)  # of a client that tells none
_CREDIT: Final = 1000


class OutcomeKind(Enum):
    """What a receiver says of a message (AMQP 1.0 part 3.4)."""

    ACCEPTED = proton.Delivery.ACCEPTED
    REJECTED = proton.Delivery.REJECTED
    RELEASED = proton.Delivery.RELEASED
    MODIFIED = proton.Delivery.MODIFIED


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a receiver says of a message, with what it adds.

    Attributes:
        undeliverable: of a modified message: not to be delivered on this link again, which stands for deferral.
        details: of a rejected message.
        changes: of a modified message's properties.
    """

    kind: OutcomeKind
    undeliverable: bool = False
    description: str | None = None
    details: Mapping[str, object] = field(default_factory=dict)
    changes: Mapping[str, object] = field(default_factory=dict)


class Link:
    """A link as a client asks for it, to be accepted or refused.

    Attributes:
        name: told by the client.
        sends: whether the broker is its sending end.
        path: of the entity, without the leading slash.
        channel: equal for the links of one AMQP session.
        is_coordinator: whether it controls transactions.
        deletes: whether messages are settled as they are sent, which is receive-and-delete.
        wants_session: whether it receives from a session.
        session_id: which; None is the next that is free.
        patience: how long the client waits for the answer.
    """

    def __init__(self, link: proton.Link) -> None:
        self._link = link
        self.name: str = link.name
        self.sends: bool = link.is_sender
        terminus = link.remote_source if self.sends else link.remote_target
        self.path = _path(terminus.address)
        self.channel = hash(link.session)
        self.is_coordinator: bool = link.remote_target.type == proton.Terminus.COORDINATOR
        self.deletes: bool = link.remote_snd_settle_mode == proton.Link.SND_SETTLED
        filters = _filters(link.remote_source)
        self.wants_session = _SESSION_FILTER in filters
        wanted = filters.get(_SESSION_FILTER)
        self.session_id = wanted if isinstance(wanted, str) else None
        told = (link.remote_properties or {}).get(_TIMEOUT)
        self.patience = timedelta(milliseconds=told) if isinstance(told, int) else _PATIENCE

    @property
    def credit(self) -> int:
        """How many messages may be sent now."""
        return int(self._link.credit)

    def accept(self, *, max_message_size: int, session: tuple[str, datetime] | None = None) -> None:
        """Attach.

        Args:
            max_message_size: in bytes.
            session: which was locked, and until when.
        """
        link = self._link
        link.source.copy(link.remote_source)
        link.target.copy(link.remote_target)
        link.snd_settle_mode, link.rcv_settle_mode = link.remote_snd_settle_mode, link.remote_rcv_settle_mode
        link.max_message_size = max_message_size
        if session is not None:
            session_id, until = session
            link.source.filter.clear()
            link.source.filter.put_object(symbols({_SESSION_FILTER: session_id}))
            properties: Any = symbols({_LOCKED_UNTIL: ticks(until)})
            link.properties = properties
        link.open()
        if isinstance(link, proton.Receiver):
            link.flow(_CREDIT)

    def refuse(self, error: RefusedError) -> None:
        """Say no: attach to nothing, then detach (AMQP 1.0 part 2.6.3); or else a client believes it is attached."""
        self._link.source.type = self._link.target.type = proton.Terminus.UNSPECIFIED
        self.close(error, opened=False)

    def close(self, error: RefusedError, *, opened: bool = True) -> None:
        """Detach, and say why."""
        self._link.condition = _condition(error)
        if not opened:
            self._link.open()
        self._link.close()

    def send(self, payload: bytes, tag: UUID, *, settled: bool) -> None:
        """Send a message. Its tag is what clients take for the lock token, in the byte order of .NET."""
        sender = self._link
        assert isinstance(sender, proton.Sender)
        delivery = sender.delivery(tag.bytes_le)  # type: ignore[arg-type]  # declared str, and bytes to AMQP
        delivery.token = tag
        sender.stream(payload)
        sender.advance()
        if settled:
            delivery.settle()

    def end_drain(self) -> None:
        """Tell a client that drains the link that there is no more; harmless if it does not."""
        if self._link.drain_mode:
            self._link.drained()


class Transfer:
    """A message that a client sent, to be answered."""

    def __init__(self, delivery: proton.Delivery, payload: bytes) -> None:
        self._delivery = delivery
        self.payload = payload

    def accept(self) -> None:
        """It was taken."""
        self._delivery.update(proton.Delivery.ACCEPTED)
        self._delivery.settle()

    def reject(self, error: RefusedError) -> None:
        """It was not taken."""
        _reject(self._delivery, error)


class Settlement:
    """What a client says of a message that it received, to be confirmed.

    Attributes:
        is_final: the client waits for no answer.
    """

    def __init__(self, delivery: proton.Delivery, outcome: Outcome) -> None:
        self._delivery = delivery
        self.token: UUID = delivery.token
        self.outcome = outcome
        self.is_final: bool = delivery.settled

    def confirm(self) -> None:
        """Answer with the same outcome, and without an error: that is how the client knows it was done."""
        if not self.is_final:
            self._delivery.update(self.outcome.kind.value)
        self._delivery.settle()

    def refuse(self, error: RefusedError) -> None:
        """It was not done."""
        if self.is_final:
            self._delivery.settle()
        else:
            _reject(self._delivery, error)


def _path(address: str | None) -> str:
    if address is None:
        return ""
    _, is_uri, rest = address.partition("://")
    return unquote(rest.partition("/")[2]) if is_uri else address


def _filters(source: proton.Terminus) -> dict[str, object]:
    found = source.filter
    found.rewind()
    given = owned(found.get_object()) if found.next() else None
    if not isinstance(given, dict):
        return {}
    return {
        str(name): each.value if isinstance(each, proton.Described) else each for name, each in given.items()
    }


def outcome_of(delivery: proton.Delivery) -> Outcome | None:
    """What the client says of a message; None if nothing final yet."""
    said = delivery.remote
    try:
        kind = OutcomeKind(delivery.remote_state)
    except ValueError:
        return None
    condition = said.condition
    return Outcome(
        kind,
        undeliverable=kind is OutcomeKind.MODIFIED and bool(said.undeliverable),
        description=None if condition is None else condition.description,
        details=_texts(condition.info if condition is not None else None),
        changes=_texts(said.annotations if kind is OutcomeKind.MODIFIED else None),
    )


def _texts(given: object) -> dict[str, object]:
    copied = owned(given)
    return {str(name): value for name, value in copied.items()} if isinstance(copied, dict) else {}


def _reject(delivery: proton.Delivery, error: RefusedError) -> None:
    delivery.local.condition = _condition(error)
    delivery.update(proton.Delivery.REJECTED)
    delivery.settle()


def _condition(error: RefusedError) -> proton.Condition:
    # azure-servicebus 7.15 waits until its timeout on an error that has no info map.
    info: Any = symbols({"broker": "api-exchange-testing"})
    return proton.Condition(error.condition.value, error.text, info)
