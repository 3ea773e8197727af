"""What starts a function without being a message or a request: schedules, chores, and people with the right to invoke.

Three orders, as events whose only key is `ORDER`. Whoever may invoke the Lambda function may give them; the input of an
EventBridge rule or schedule is the same as an invocation by hand::

    {"api-exchange": {"chore": "relay-outbox"}}
    {"api-exchange": {"tick": "fetch-orders", "scheduled_at": "<aws.scheduler.scheduled-time>"}}
    {"api-exchange": {"send": "to-canonical", "tenant": "customer-a", "payload": {"id": 1}}}

The events that EventBridge makes if it is given no input (``"detail-type": "Scheduled Event"``) are a tick or a chore
of the name that rule or schedule has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from api_exchange_aws.triggers.time_left import TimeLeft
from api_exchange_core.application.chores import Chore, DoChore
from api_exchange_core.application.send_message import SendMessage
from api_exchange_core.application.tick import FanOutTick
from api_exchange_core.domain.errors import DeclarationError
from api_exchange_core.domain.exchange import Exchange
from api_exchange_core.domain.names import tenant_id
from api_exchange_core.domain.payload_model import validated
from api_exchange_core.domain.trigger import TimerTrigger
from api_exchange_core.ports.clock import Clock

ORDER: Final = "api-exchange"


@dataclass(frozen=True, slots=True)
class Orders:
    """Ticks, chores, and messages that somebody sends by hand."""

    exchange: Exchange
    fan_out: FanOutTick
    chores: Sequence[Chore]
    do_chore: DoChore
    sender: SendMessage
    clock: Clock
    prefix: str = ""

    def carry_out(self, order: object, time_left: TimeLeft) -> dict[str, object]:
        """Do what is asked for under `ORDER`.

        Raises:
            DeclarationError: it asks for nothing that there is.
            InvalidPayloadError: what is to be sent does not fit its function; nothing was sent.
            TransientError: some may not have been sent; the same order again is safe for a tick, and no other.
        """
        match order:
            case {"chore": str(name), **others} if not others:
                return self._chore(name, time_left)
            case {"tick": str(name), **others} if set(others) <= {"scheduled_at"}:
                return self._tick(name, _moment(others.get("scheduled_at")) or self.clock.now())
            case {"send": str(name), "tenant": str(tenant), **others} if set(others) == {"payload"}:
                return self._send(name, tenant, others["payload"])
        raise DeclarationError(
            f'the value of {ORDER!r} is one of {{"chore": NAME}}, {{"tick": FUNCTION}}, also with "scheduled_at", and '
            '{"send": FUNCTION, "tenant": ID, "payload": ...}'
        )

    def fire(self, event: Mapping[str, Any], time_left: TimeLeft) -> dict[str, object]:
        """Do what a rule or schedule is named for. Arguments and errors as of `carry_out`."""
        arn = next(iter(event.get("resources", ())), "")
        name = arn.rpartition("/")[2].removeprefix(self.prefix)
        if any(chore.name == name for chore in self.chores):
            return self._chore(name, time_left)
        if all(function.name != name for function in self.exchange.functions):
            raise DeclarationError(
                f"{arn!r} starts this, and exchange {self.exchange.name!r} has no timer function and no chore "
                f"{name!r}: name it for one, or give it the input {{{ORDER!r}: {{'tick': FUNCTION}}}}"
            )
        return self._tick(name, _moment(event["time"]) or self.clock.now())

    def _chore(self, name: str, time_left: TimeLeft) -> dict[str, object]:
        chore = next((chore for chore in self.chores if chore.name == name), None)
        if chore is None:
            names = ", ".join(chore.name for chore in self.chores)
            raise DeclarationError(f"there is no chore {name!r}; there are {names}")
        done = self.do_chore.do(chore, stop=time_left.is_short)
        return {"chore": name, "count": done.count, "more": done.more}

    def _tick(self, name: str, at: datetime) -> dict[str, object]:
        function = self.exchange.function(name)
        if not isinstance(function.trigger, TimerTrigger):
            raise DeclarationError(f"function {name!r} is no timer function: a schedule cannot start it")
        # An event comes within a minute after its time, and perhaps twice: the tick is that of the schedule.
        scheduled_at = function.trigger.schedule.latest_at(at)
        tenants = self.fan_out.fan_out(function, scheduled_at)
        return {"tick": name, "scheduled_at": scheduled_at.isoformat(), "tenants": len(tenants)}

    def _send(self, name: str, tenant: str, payload: object) -> dict[str, object]:
        function, on_behalf_of = self.exchange.function(name), tenant_id(tenant)
        if function.processor.payload_model is not None:
            validated(function.processor.payload_model, payload, where="payload")
        message = self.sender.send(function.input_queue, payload, tenant_id=on_behalf_of)
        return {"message_id": message.id, "correlation_id": message.correlation_id}


def _moment(text: object) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        raise DeclarationError(f"{text!r} is no time: use ISO 8601 such as 2026-01-01T00:05:00Z") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
