"""One client: its links, what it may do, what it sends and settles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID, uuid4

from typing_extensions import override

from api_exchange_testing.servicebus.access import Door, Grant, Right, check
from api_exchange_testing.servicebus.faults import Planned
from api_exchange_testing.servicebus.management import Management
from api_exchange_testing.servicebus.model.namespace import Namespace
from api_exchange_testing.servicebus.model.queue import MessageQueue
from api_exchange_testing.servicebus.model.refusal import Condition, RefusedError
from api_exchange_testing.servicebus.wire.deliveries import Deliveries
from api_exchange_testing.servicebus.wire.engine import Peer
from api_exchange_testing.servicebus.wire.envelope import messages_in
from api_exchange_testing.servicebus.wire.link import Link, Outcome, OutcomeKind, Settlement, Transfer
from api_exchange_testing.servicebus.wire.requests import (
    Request,
    cbs_answer,
    management_answer,
    read_request,
    refused,
)

_CBS: Final = "$cbs"
_MANAGEMENT: Final = "/$management"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What conversations share.

    Attributes:
        now: the machine's time, by which tokens end.
    """

    namespace: Namespace
    management: Management
    deliveries: Deliveries
    door: Door
    planned: Planned
    max_message_size: int
    now: Callable[[], datetime]


class Conversation(Peer):
    """One connection.

    Args:
        hang_up: ends the connection without a word.
    """

    def __init__(self, around: Surroundings, hang_up: Callable[[], None]) -> None:
        self._around = around
        self._hang_up = hang_up
        self._grants: dict[str, Grant] = {}
        self._answers: dict[tuple[int, str], Link] = {}

    @override
    def attached(self, link: Link) -> None:
        try:
            self._attach(link)
        except RefusedError as error:
            link.refuse(error)

    @override
    def detached(self, link: Link) -> None:
        self._around.deliveries.remove(link)
        if self._answers.get((link.channel, link.path)) is link:
            del self._answers[link.channel, link.path]

    @override
    def arrived(self, link: Link, transfer: Transfer) -> None:
        if _is_request(link.path):
            self._hear(link, transfer)
            return
        try:
            self._around.planned.refuse_if_planned()
            self._check_size(transfer.payload)
            self._around.namespace.destination(link.path).put(messages_in(transfer.payload))
        except RefusedError as error:
            transfer.reject(error)
            return
        if self._around.planned.loses_send():
            self._hang_up()
        else:
            transfer.accept()

    @override
    def settled(self, link: Link, settlement: Settlement) -> None:
        try:
            settle(self._around.namespace.receivable(link.path), settlement.token, settlement.outcome)
        except RefusedError as error:
            settlement.refuse(error)
            return
        if not settlement.is_final and self._around.planned.loses_settlement():
            self._hang_up()
        else:
            settlement.confirm()

    def _attach(self, link: Link) -> None:
        if link.is_coordinator:
            raise RefusedError(Condition.NOT_IMPLEMENTED, "This broker has no transactions.")
        if _is_request(link.path):
            self._attach_requests(link)
        elif link.sends:
            check(self._grants.values(), link.path, Right.LISTEN)
            self._around.deliveries.add(link, self._around.namespace.receivable(link.path))
        else:
            check(self._grants.values(), link.path, Right.SEND)
            self._around.namespace.destination(link.path)
            link.accept(max_message_size=self._around.max_message_size)

    def _attach_requests(self, link: Link) -> None:
        if link.path != _CBS:
            self._around.namespace.check_exists(link.path.removesuffix(_MANAGEMENT))
        if link.sends:
            self._answers[link.channel, link.path] = link
        link.accept(max_message_size=self._around.max_message_size)

    def _check_size(self, payload: bytes) -> None:
        limit = self._around.max_message_size
        if len(payload) > limit:
            text = f"The received message (size: {len(payload)} bytes) exceeds the limit ({limit} bytes)."
            raise RefusedError(Condition.TOO_LARGE, text)

    def _hear(self, link: Link, transfer: Transfer) -> None:
        try:
            request = read_request(transfer.payload)
        except RefusedError as error:
            transfer.reject(error)
            return
        transfer.accept()
        answer = self._cbs(request) if link.path == _CBS else self._manage(link.path, request)
        back = self._answers.get((link.channel, link.path))
        if back is not None:  # else nobody listens
            back.send(answer, uuid4(), settled=True)

    def _cbs(self, request: Request) -> bytes:
        try:
            grant = self._around.door.admit(request.text(), self._around.now())
        except RefusedError as refusal:
            return cbs_answer(request, refusal)
        self._grants[grant.path] = grant
        return cbs_answer(request, None)

    def _manage(self, address: str, request: Request) -> bytes:
        path = address.removesuffix(_MANAGEMENT)
        management = self._around.management
        try:
            check(self._grants.values(), path, management.right_for(request))
            self._around.planned.refuse_if_planned()
            answer = management.answer(path, request)
        except RefusedError as error:
            answer = refused(error)
        return management_answer(request, answer)


def settle(queue: MessageQueue, token: UUID, outcome: Outcome) -> None:
    """Do to a message what its receiver said.

    Raises:
        RefusedError: the lock is no longer there.
    """
    match outcome.kind:
        case OutcomeKind.ACCEPTED:
            queue.complete(token)
        case OutcomeKind.RELEASED:
            queue.release(token)
        case OutcomeKind.MODIFIED if outcome.undeliverable:
            queue.defer(token, outcome.changes)
        case OutcomeKind.MODIFIED:
            queue.abandon(token, outcome.changes)
        case OutcomeKind.REJECTED:
            told = dict(outcome.details)
            reason = told.pop("DeadLetterReason", None)
            description = told.pop("DeadLetterErrorDescription", outcome.description)
            queue.dead_letter(
                token,
                reason=None if reason is None else str(reason),
                description=None if description is None else str(description),
                changes=told,
            )


def _is_request(path: str) -> bool:
    return path == _CBS or path.endswith(_MANAGEMENT)
