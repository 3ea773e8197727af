"""What becomes of messages that were not completed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from api_exchange_core.application.call import Call, Incoming, loggable
from api_exchange_core.domain.delivery import DeadLetter, Defer, Delivery, Retry, Settlement
from api_exchange_core.domain.envelope import encode_letter, encode_raw_letter
from api_exchange_core.domain.errors import ClaimLostError, DeferError, PermanentError, TransientError
from api_exchange_core.domain.exchange import Function
from api_exchange_core.domain.failure import (
    LEASE_RAN_OUT,
    MAX_HISTORY,
    Condemn,
    Failure,
    PastAttempt,
    Problem,
    decide,
)
from api_exchange_core.domain.message import Message
from api_exchange_core.domain.names import MessageId
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.error_log import ErrorEntry
from api_exchange_core.ports.journal import JournalEntry, ProcessingState
from api_exchange_core.ports.observer import Handled, Observer, Outcome
from api_exchange_core.ports.randomness import Randomness
from api_exchange_core.ports.unit_of_work import UnitOfWork, UnitOfWorkFactory

Decision = Retry | Defer | Condemn
History = tuple[PastAttempt, ...]

_CAME_TO_NO_END = (
    "a run of it began and came to no end, and it is not to be run again by itself: look up whether it took effect "
    "before you replay it, since a replay runs it again"
)


@dataclass(frozen=True, slots=True)
class _Recorded:
    """What came of recording failures: messages that are somebody else's by now, and the past of condemned ones."""

    lost: frozenset[MessageId] = frozenset()
    histories: Mapping[MessageId, History] = field(default_factory=dict)


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
        recorded = self._record(decided, now)
        settlements = []
        for call, problem, decision in decided:
            if call.message.id in recorded.lost:
                tell_claim_lost(self.observer, call)
            else:
                history = recorded.histories.get(call.message.id, ())
                settlements.append(self._settlement(call, problem, decision, now, history))
        return settlements

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

    def not_admitted(
        self, function: Function, incoming: Incoming, error: PermanentError | DeferError
    ) -> Settlement:
        """The settlement of a message whose tenant may not pass.

        Nothing is recorded under a tenant that does not exist; the dead letter tells it all.
        """
        now = self.clock.now()
        problem = Problem.of(error, function=function.name)
        decision = self._decision(function, incoming, problem)
        self.observer.handled(summary_at_the_door(function, incoming, _OUTCOMES[type(decision)], problem))
        return self._carried_out(function, incoming, problem, decision, now)

    def given_up(self, function: Function, incoming: Incoming) -> Settlement:
        """The settlement of a message whose claim ran out, and that is not to run again."""
        now = self.clock.now()
        problem = Problem.named(LEASE_RAN_OUT, _CAME_TO_NO_END, function=function.name, permanent=True)
        history = self._record_given_up(function, incoming, problem, now)
        self.observer.handled(summary_at_the_door(function, incoming, Outcome.DEAD_LETTERED, problem))
        return self._carried_out(function, incoming, problem, Condemn(), now, history)

    def _decision(self, function: Function, incoming: Incoming, problem: Problem) -> Decision:
        return decide(
            problem, policy=function.retry, attempt=incoming.attempt, random=self.randomness.fraction
        )

    def _settlement(
        self, call: Call, problem: Problem, decision: Decision, now: datetime, history: History
    ) -> Settlement:
        self.observer.handled(summary(call, _OUTCOMES[type(decision)], problem=problem))
        return self._carried_out(call.function, call.incoming, problem, decision, now, history)

    def _carried_out(
        self,
        function: Function,
        incoming: Incoming,
        problem: Problem,
        decision: Decision,
        now: datetime,
        history: History = (),
    ) -> Settlement:
        if not isinstance(decision, Condemn):
            return Settlement(incoming.delivery, decision)
        failure = _failure(function, incoming.delivery, problem, attempts=incoming.attempt, now=now)
        failure = replace(failure, history=history)
        return Settlement(
            incoming.delivery, DeadLetter(encode_letter(incoming.as_received, failure), _reason(problem))
        )

    def _record(self, decided: Sequence[tuple[Call, Problem, Decision]], now: datetime) -> _Recorded:
        tenant_id = decided[0][0].message.tenant_id
        try:
            with self.units.begin(tenant_id) as unit:
                recorded = _record_in(unit, decided, now)
                unit.commit()
        except Exception as error:  # noqa: BLE001 - the last frame we own: they end as decided all the same
            if len(decided) > 1 and not isinstance(error, TransientError):
                # The store refuses one of them, and the others are to be recorded.
                return _joined([self._record([one], now) for one in decided])
            # A dead letter carries its failure with it.
            self.observer.event(
                "errors.unrecorded", tenant_id=tenant_id, count=len(decided), **loggable(error)
            )
            return _Recorded(
                histories={call.message.id: _last(call, problem, now) for call, problem, _ in decided}
            )
        return recorded

    def _record_given_up(
        self, function: Function, incoming: Incoming, problem: Problem, now: datetime
    ) -> History:
        message = incoming.message
        entry = ErrorEntry(
            function=function.name,
            message_id=message.id,
            correlation_id=message.correlation_id,
            attempt=incoming.attempt,
            problem=problem,
            stack="",
            occurred_at=now,
        )
        try:
            with self.units.begin(message.tenant_id) as unit:
                unit.errors.add([entry])
                history = _history(unit, function, message.id)
                unit.commit()
        except Exception as error:  # noqa: BLE001 - the last frame we own: it is dead-lettered all the same
            self.observer.event("errors.unrecorded", tenant_id=message.tenant_id, count=1, **loggable(error))
            return (PastAttempt.of(problem, attempt=incoming.attempt, at=now),)
        return history


def tell_claim_lost(observer: Observer, call: Call) -> None:
    """Tell that nothing of *call* was written, since its message is somebody else's."""
    observer.abandoned(call.trace, ClaimLostError.__name__)
    observer.event("claim.lost", function=call.function.name, message_id=call.message.id)


def summary(
    call: Call,
    outcome: Outcome,
    *,
    problem: Problem | None = None,
    versions: int = 0,
    outputs: int = 0,
    commit: timedelta | None = None,
) -> Handled:
    """What is told of a call when it has come to its end."""
    message = call.message
    return Handled(
        function=call.function.name,
        queue=call.incoming.delivery.queue,
        outcome=outcome,
        attempt=call.incoming.attempt,
        duration=call.took,
        waited=call.waited,
        commit=commit,
        tenant_id=message.tenant_id,
        message_id=message.id,
        correlation_id=message.correlation_id,
        causation_id=message.causation_id,
        operation=call.operation,
        entities=len(call.intentions.changes),
        new_versions=versions,
        outputs=outputs,
        problem=problem,
        quick_retries=call.quick_retries,
        trace_context=call.trace.context,
        trace=call.trace,
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
        trace_context=message.trace,
    )


_OUTCOMES: dict[type[Decision], Outcome] = {
    Retry: Outcome.RETRY,
    Defer: Outcome.DEFERRED,
    Condemn: Outcome.DEAD_LETTERED,
}


def _record_in(
    unit: UnitOfWork, decided: Sequence[tuple[Call, Problem, Decision]], now: datetime
) -> _Recorded:
    recorded = unit.journal.fail([_journal_entry(*one, now) for one in decided])
    ours = [one for one in decided if not one[0].incoming.fence or one[0].message.id in recorded]
    unit.errors.add([_error_entry(call, problem, now) for call, problem, _ in ours])
    return _Recorded(
        lost=frozenset(call.message.id for call, _, _ in decided) - {call.message.id for call, _, _ in ours},
        histories={
            call.message.id: _history(unit, call.function, call.message.id)
            for call, _, decision in ours
            if isinstance(decision, Condemn)
        },
    )


def _joined(parts: Sequence[_Recorded]) -> _Recorded:
    return _Recorded(
        lost=frozenset(id_ for part in parts for id_ in part.lost),
        histories={id_: history for part in parts for id_, history in part.histories.items()},
    )


def _history(unit: UnitOfWork, function: Function, message_id: MessageId) -> History:
    attempts = unit.errors.of_message(message_id, function=function.name, newest=MAX_HISTORY)
    return tuple(PastAttempt.of(one.problem, attempt=one.attempt, at=one.occurred_at) for one in attempts)


def _last(call: Call, problem: Problem, now: datetime) -> History:
    return (PastAttempt.of(problem, attempt=call.incoming.attempt, at=now),)


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
        fence=call.incoming.fence,
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
