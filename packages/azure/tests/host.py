"""The Functions host, as far as timers and queues of Service Bus take it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from azure.functions import FunctionApp, ServiceBusMessage, get_binding_registry
from azure.functions.decorators.servicebus import ServiceBusQueueTrigger
from azure.functions.decorators.timer import TimerTrigger
from azure.functions.meta import Datum

if TYPE_CHECKING:
    from azure.functions.decorators.function_app import Function
    from azure.servicebus import ServiceBusClient, ServiceBusReceivedMessage, ServiceBusReceiver

_TIMER: Final = "timerTrigger"
_QUEUE: Final = "serviceBusTrigger"


@dataclass(frozen=True, slots=True)
class _Listener:
    """What takes messages out of the queue of a function, and hands them to it."""

    receiver: ServiceBusReceiver
    function: Callable[..., object]


class FunctionsHost:
    """Invokes the functions of an app one after the other, as Azure's host does through its Python worker.

    It receives under peek-lock, completes what a function was handed once that returns, and abandons it if it raises.
    What a function is handed is made by the library that the worker makes it by, from the host's documented fields.
    Queues with sessions, topics, and lock renewal are not played.

    Args:
        app: with the functions.
        client: of the namespace that all its queues are in.
        batch: ``maxMessageBatchSize`` of its host.json.
        wait: seconds that a poll waits for a first message.
    """

    def __init__(self, app: FunctionApp, client: ServiceBusClient, *, batch: int, wait: float) -> None:
        self._batch = batch
        self._wait = wait
        self._timers: dict[str, Callable[..., object]] = {}
        self._listeners: dict[str, _Listener] = {}
        for function in app.get_functions():
            self._listen(function, client)
        self._with_each(lambda receiver: receiver.__enter__())

    def fire(self, name: str) -> None:
        """Let the timer of the function called *name* go off."""
        self._timers[name](_converted(_TIMER, Datum('{"IsPastDue": false}', "json"), {}))

    def poll(self, name: str) -> int:
        """Hand the function called *name* what waits in its queue, a batch at the most; how many messages it was."""
        listener = self._listeners[name]
        received = listener.receiver.receive_messages(self._batch, self._wait)
        if received:
            self._invoke(listener, received)
        return len(received)

    def close(self) -> None:
        """Close all links."""
        self._with_each(lambda receiver: receiver.close())

    def _listen(self, function: Function, client: ServiceBusClient) -> None:
        name, trigger = str(function.get_function_name()), function.get_trigger()
        if isinstance(trigger, TimerTrigger):
            self._timers[name] = function.get_user_function()
        elif isinstance(trigger, ServiceBusQueueTrigger):
            receiver = client.get_queue_receiver(trigger.queue_name)
            self._listeners[name] = _Listener(receiver, function.get_user_function())

    def _with_each(self, do: Callable[[ServiceBusReceiver], object]) -> None:
        """Open or close links side by side: the client takes half a second for one, asleep for most of it."""
        with ThreadPoolExecutor() as threads:
            list(threads.map(do, [listener.receiver for listener in self._listeners.values()]))

    def _invoke(self, listener: _Listener, received: Sequence[ServiceBusReceivedMessage]) -> None:
        try:
            listener.function(as_worker_has(received))
        except Exception:  # noqa: BLE001 - whatever a function raises is a failed invocation
            _settle(received, listener.receiver.abandon_message)
        else:
            _settle(received, listener.receiver.complete_message)


def as_worker_has(received: Sequence[ServiceBusReceivedMessage]) -> list[ServiceBusMessage]:
    """A batch as the worker hands it to a function."""
    bodies = SimpleNamespace(bytes=[b"".join(one.body) for one in received])
    fields: Mapping[str, Iterable[Any]] = {
        "MessageId": (one.message_id for one in received),
        "DeliveryCount": ((one.delivery_count or 0) + 1 for one in received),  # AMQP counts failed ones
        "SequenceNumber": (one.sequence_number for one in received),
        "LockToken": (str(one.lock_token) for one in received),
        "EnqueuedTimeUtc": (one.enqueued_time_utc.isoformat() for one in received if one.enqueued_time_utc),
        "ApplicationProperties": (_texts(one.application_properties or {}) for one in received),
        "UserProperties": ({} for _ in received),
    }
    metadata = {f"{name}Array": Datum(json.dumps(list(values)), "json") for name, values in fields.items()}
    batch: list[ServiceBusMessage] = _converted(_QUEUE, Datum(bodies, "collection_bytes"), metadata)
    return batch


def _converted(trigger: str, data: Datum, metadata: Mapping[str, Datum]) -> Any:
    converter: Any = get_binding_registry().get(trigger)  # type: ignore[no-untyped-call] # the library's
    return converter.decode(data, trigger_metadata=metadata)


def _texts(properties: Mapping[str | bytes, Any]) -> dict[str, Any]:
    """Properties, whose names and texts the client library gives as bytes."""
    return {_text(name): _text(value) for name, value in properties.items()}


def _text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value


def _settle(
    received: Sequence[ServiceBusReceivedMessage], settle: Callable[[ServiceBusReceivedMessage], None]
) -> None:
    for one in received:
        settle(one)
