"""The operations of ``$management`` (Service Bus: request-response-based operations)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice
from typing import Final

from api_exchange_testing.servicebus.access import Right
from api_exchange_testing.servicebus.model.message import Held
from api_exchange_testing.servicebus.model.namespace import Namespace
from api_exchange_testing.servicebus.model.refusal import Condition, RefusedError
from api_exchange_testing.servicebus.wire.envelope import encoded, one_message
from api_exchange_testing.servicebus.wire.requests import Answer, Request
from api_exchange_testing.servicebus.wire.values import elements, longs, strings, timestamp, timestamps

_VENDOR: Final = "com.microsoft:"
_NO_CONTENT: Final = 204
_DELETES: Final = 0  # receiver-settle-mode first
_ALL_TIMES: Final = 253_402_300_800_000  # last-updated-time: whatever has messages or a state


class Management:
    """Answers requests about the entity at a path.

    Raises:
        RefusedError: its methods, if a request cannot be carried out.
    """

    def __init__(self, namespace: Namespace, *, max_message_size: int) -> None:
        self._namespace = namespace
        self._max_message_size = max_message_size
        self._operations: Mapping[str, tuple[Right, Callable[[str, Request], Answer]]] = {
            "renew-lock": (Right.LISTEN, self._renew_lock),
            "update-disposition": (Right.LISTEN, self._settle),
            "receive-by-sequence-number": (Right.LISTEN, self._receive_deferred),
            "peek-message": (Right.LISTEN, self._peek),
            "schedule-message": (Right.SEND, self._schedule),
            "cancel-scheduled-message": (Right.SEND, self._cancel),
            "renew-session-lock": (Right.LISTEN, self._renew_session),
            "get-session-state": (Right.LISTEN, self._session_state),
            "set-session-state": (Right.LISTEN, self._set_session_state),
            "get-message-sessions": (Right.LISTEN, self._sessions),
        }

    def right_for(self, request: Request) -> Right:
        """What a client must be allowed."""
        return self._operation(request)[0]

    def answer(self, path: str, request: Request) -> Answer:
        """Carry out a request."""
        return self._operation(request)[1](path, request)

    def _operation(self, request: Request) -> tuple[Right, Callable[[str, Request], Answer]]:
        found = self._operations.get(request.operation.removeprefix(_VENDOR))
        if found is None:
            raise RefusedError(
                Condition.NOT_IMPLEMENTED,
                f"This broker has no operation {request.operation!r}; it has {', '.join(self._operations)}.",
            )
        return found

    def _renew_lock(self, path: str, request: Request) -> Answer:
        ends = self._namespace.receivable(path).renew(request.tokens("lock-tokens"))
        return Answer(body={"expirations": timestamps(ends)})

    def _settle(self, path: str, request: Request) -> Answer:
        queue = self._namespace.receivable(path)
        changes = request.changes("properties-to-modify")
        status = request.string("disposition-status")
        for token in request.tokens("lock-tokens"):
            match status:
                case "completed":
                    queue.complete(token)
                case "abandoned":
                    queue.abandon(token, changes)
                case "defered":
                    queue.defer(token, changes)
                case "suspended":
                    queue.dead_letter(
                        token,
                        reason=request.optional_string("deadletter-reason"),
                        description=request.optional_string("deadletter-description"),
                        changes=changes,
                    )
                case _:
                    raise RefusedError(Condition.ARGUMENT_ERROR, f"There is no disposition {status!r}.")
        return Answer()

    def _receive_deferred(self, path: str, request: Request) -> Answer:
        numbers = request.integers("sequence-numbers")
        deletes = request.integer("receiver-settle-mode") == _DELETES
        found = self._namespace.receivable(path).deferred(numbers, remove=deletes)
        return Answer(body={"messages": [_with_token(held) for held in found]})

    def _peek(self, path: str, request: Request) -> Answer:
        found = self._namespace.receivable(path).peek(
            request.integer("from-sequence-number"), session_id=request.optional_string("session-id")
        )
        messages = [{"message": encoded(held)} for held in islice(found, request.integer("message-count"))]
        return Answer(body={"messages": messages}) if messages else Answer(_NO_CONTENT, "No content")

    def _schedule(self, path: str, request: Request) -> Answer:
        scheduled = elements([each.get("message") for each in request.maps("messages")], bytes)
        for each in scheduled:
            if len(each) > self._max_message_size:
                text = f"The message (size: {len(each)} bytes) exceeds the limit ({self._max_message_size} bytes)."
                raise RefusedError(Condition.TOO_LARGE, text)
        numbers = self._namespace.destination(path).put([one_message(each) for each in scheduled])
        return Answer(body={"sequence-numbers": longs(numbers)})

    def _cancel(self, path: str, request: Request) -> Answer:
        self._namespace.destination(path).cancel(request.integers("sequence-numbers"))
        return Answer()

    def _renew_session(self, path: str, request: Request) -> Answer:
        until = self._namespace.receivable(path).sessions.renew(request.string("session-id"))
        return Answer(body={"expiration": timestamp(until)})

    def _session_state(self, path: str, request: Request) -> Answer:
        state = self._namespace.receivable(path).sessions.state(request.string("session-id"))
        return Answer(body={"session-state": state})

    def _set_session_state(self, path: str, request: Request) -> Answer:
        state = request.get("session-state")
        if not isinstance(state, bytes | None):
            raise RefusedError(Condition.ARGUMENT_ERROR, "The state of a session is binary.")
        self._namespace.receivable(path).sessions.set_state(request.string("session-id"), state)
        return Answer()

    def _sessions(self, path: str, request: Request) -> Answer:
        queue = self._namespace.receivable(path)
        if request.integer("last-updated-time") == _ALL_TIMES:
            found = queue.active_sessions() | queue.sessions.with_state()
        else:
            found = queue.sessions.with_state(since=request.moment("last-updated-time"))
        skip, top = request.integer("skip"), request.integer("top")
        page = sorted(found)[skip : skip + top]
        if not page:
            return Answer(_NO_CONTENT, "No content")
        return Answer(body={"skip": skip + len(page), "sessions-ids": strings(page)})


def _with_token(held: Held) -> dict[str, object]:
    token = {} if held.lock is None else {"lock-token": held.lock.token}
    return {**token, "message": encoded(held)}
