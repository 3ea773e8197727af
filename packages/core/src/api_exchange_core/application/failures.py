"""What becomes of messages that were not completed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from api_exchange_core.application.call import Call, Incoming, loggable
from api_exchange_core.domain.delivery import DeadLetter, Defer, Delivery, Retry, Settlement
from api_exchange_core.domain.envelope import encode_letter, encode_raw_letter
from api_exchange_core.domain.errors import PermanentError, TransientError
from api_exchange_core.domain.exchange import Function
from api_exchange_core.domain.failure import Condemn, Failure, Problem, decide
from api_exchange_core.domain.message import Message
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.error_log import ErrorEntry
from api_exchange_core.ports.journal import JournalEntry, ProcessingState
from api_exchange_core.ports.observer import Handled, Observer, Outcome
from api_exchange_core.ports.randomness import Randomness
from api_exchange_core.ports.unit_of_work import UnitOfWorkFactory

Decision = Retry | Defer | Condemn


@dataclass(frozen=True, slots=True)
class Failures:
    """Decides how failed messages end, and records what happened in a transaction of its own."""

    units: UnitOfWorkFactory
    clock: Clock
    randomness: Randomness
    observer: Observer

    def settle(self, calls: Sequence[Call]) -> list[Settlement]:
        """The settlements of calls of one tenant that ended with a problem."""
        if not calls:
            return []
        now = self.clock.now()
        decided = [
            (call, _problem(call), self._decision(call.function, call.incoming, _problem(call)))
            for call in calls
        ]
        self._record(decided, now)
        return [self._settlement(call, problem, decision, now) for call, problem, decision in decided]

    def unreadable(self, function: Function, delivery: Delivery, error: PermanentError) -> Settlement:
        """The settlement of bytes that are no message: kept as they are in the dead-letter queue."""
        now = self.clock.now()
        problem = Problem.of(error, function=function.name)
        failure = _failure(function, delivery, problem, attempts=delivery.receive_count, now=now)
        letter = encode_raw_letter(delivery.body, failure, id_=self.randomness.new_id(), time=now)
        self.observer.handled(
            Handled(
                function=function.name,
                queue=delivery.queue,
                outcome=Outcome.DEAD_LETTERED,
                attempt=delivery.receive_count,
                duration=timedelta(0),
                problem=problem,
            )
        )
        return Settlement(delivery, DeadLetter(letter, _reason(problem)))

    def not_admitted(self, function: Function, incoming: Incoming, error: PermanentError) -> Settlement:
        """The settlement of a message whose tenant may not pass.

        Nothing is recorded under a tenant that does not exist; the dead letter tells it all.
        """
        now = self.clock.now()
        problem = Problem.of(error, function=function.name)
        decision = self._decision(function, incoming, problem)
        self.observer.handled(summary_at_the_door(function, incoming, _OUTCOMES[type(decision)], problem))
        return self._carried_out(function, incoming, problem, decision, now)

    def _decision(self, function: Function, incoming: Incoming, problem: Problem) -> Decision:
        return decide(
            problem, policy=function.retry, attempt=incoming.attempt, random=self.randomness.fraction
        )

    def _settlement(self, call: Call, problem: Problem, decision: Decision, now: datetime) -> Settlement:
        self.observer.handled(summary(call, _OUTCOMES[type(decision)], problem=problem))
        return self._carried_out(call.function, call.incoming, problem, decision, now)

    def _carried_out(
        self, function: Function, incoming: Incoming, problem: Problem, decision: Decision, now: datetime
    ) -> Settlement:
        if not isinstance(decision, Condemn):
            return Settlement(incoming.delivery, decision)
        failure = _failure(function, incoming.delivery, problem, attempts=incoming.attempt, now=now)
        return Settlement(
            incoming.delivery, DeadLetter(encode_letter(incoming.as_received, failure), _reason(problem))
        )

    def _record(self, decided: Sequence[tuple[Call, Problem, Decision]], now: datetime) -> None:
        tenant_id = decided[0][0].message.tenant_id
        try:
            with self.units.begin(tenant_id) as unit:
                unit.journal.fail([_journal_entry(*one, now) for one in decided])
                unit.errors.add([_error_entry(call, problem, now) for call, problem, _ in decided])
                unit.commit()
        except Exception as error:  # noqa: BLE001 - the last frame we own: they end as decided all the same
            if len(decided) > 1 and not isinstance(error, TransientError):
                for one in decided:  # the store refuses one of them, and the others are to be recorded
                    self._record([one], now)
                return
            # A dead letter carries its failure with it.
            self.observer.event(
                "errors.unrecorded", tenant_id=tenant_id, count=len(decided), **loggable(error)
            )


def summary(
    call: Call,
    outcome: Outcome,
    *,
    problem: Problem | None = None,
    versions: int = 0,
    outputs: int = 0,
) -> Handled:
    """What is told of a call when it has come to its end."""
    message = call.message
    return Handled(
        function=call.function.name,
        queue=call.incoming.delivery.queue,
        outcome=outcome,
        attempt=call.incoming.attempt,
        duration=call.took,
        tenant_id=message.tenant_id,
        message_id=message.id,
        correlation_id=message.correlation_id,
        causation_id=message.causation_id,
        operation=call.operation,
        entities=len(call.intentions.changes),
        new_versions=versions,
        outputs=outputs,
        problem=problem,
    )


def summary_at_the_door(
    function: Function, incoming: Incoming, outcome: Outcome, problem: Problem | None = None
) -> Handled:
    """What is told of a message that no processor was called for."""
    message: Message = incoming.message
    return Handled(
        function=function.name,
        queue=incoming.delivery.queue,
        outcome=outcome,
        attempt=incoming.attempt,
        duration=timedelta(0),
        tenant_id=message.tenant_id,
        message_id=message.id,
        correlation_id=message.correlation_id,
        causation_id=message.causation_id,
        problem=problem,
    )


_OUTCOMES: dict[type[Decision], Outcome] = {
    Retry: Outcome.RETRY,
    Defer: Outcome.DEFERRED,
    Condemn: Outcome.DEAD_LETTERED,
}


def _problem(call: Call) -> Problem:
    if call.problem is None:
        raise PermanentError(f"message {call.message.id!r} has no problem to settle")
    return call.problem


def _failure(
    function: Function, delivery: Delivery, problem: Problem, *, attempts: int, now: datetime
) -> Failure:
    return Failure(
        function=function.name,
        queue=delivery.queue,
        code=problem.code,
        reason=problem.reason,
        fingerprint=problem.fingerprint,
        attempts=attempts,
        failed_at=now,
    )


def _reason(problem: Problem) -> str:
    return f"{problem.code}: {problem.reason}"[:500]


def _journal_entry(call: Call, problem: Problem, decision: Decision, now: datetime) -> JournalEntry:
    message = call.message
    return JournalEntry(
        function=call.function.name,
        message_id=message.id,
        state=ProcessingState.DEAD if isinstance(decision, Condemn) else ProcessingState.RETRYING,
        attempts=call.incoming.attempt,
        correlation_id=message.correlation_id,
        causation_id=message.causation_id,
        entity_id=None if message.entity is None else message.entity.id,
        started_at=call.started_at,
        finished_at=now,
        fingerprint=problem.fingerprint,
        operation=call.operation,
        waited=call.waited,
        took=call.took,
    )


def _error_entry(call: Call, problem: Problem, now: datetime) -> ErrorEntry:
    return ErrorEntry(
        function=call.function.name,
        message_id=call.message.id,
        correlation_id=call.message.correlation_id,
        attempt=call.incoming.attempt,
        problem=problem,
        stack=call.stack,
        occurred_at=now,
        operation=call.operation,
        queue=call.incoming.delivery.queue,
    )
