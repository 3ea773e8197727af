"""Random programs against a queue: nothing is lost, nothing is had twice, however time passes."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from api_exchange_testing.memory.clock import VirtualClock
from api_exchange_testing.servicebus import Queue, RefusedError
from api_exchange_testing.servicebus.model.message import Held, Message, State
from api_exchange_testing.servicebus.model.namespace import Namespace

START = datetime(2026, 1, 1, tzinfo=UTC)
LOCK = timedelta(seconds=30)
MOST = 3
durations = st.integers(0, 70).map(lambda seconds: timedelta(seconds=seconds))


class QueueMachine(RuleBasedStateMachine):
    """Sends, receives and settles; then looks where every message is."""

    tokens = Bundle("tokens")

    def __init__(self) -> None:
        super().__init__()
        self.clock = VirtualClock(START)
        namespace = Namespace(
            [Queue("q", lock_duration=LOCK, max_delivery_count=MOST, dead_letter_on_expiry=True)],
            [],
            clock=self.clock,
            new_token=uuid4,
        )
        self.queue = namespace.receivable("q")
        self.dead = namespace.receivable("q/$DeadLetterQueue")
        self.sent = 0
        self.done: Counter[bytes] = Counter()
        self.locked: dict[UUID, tuple[bytes, datetime]] = {}

    @rule(later=durations, lives=st.none() | durations)
    def send(self, later: timedelta, lives: timedelta | None) -> None:
        self.sent += 1
        body = str(self.sent).encode()
        self.queue.put([Message(body=body, scheduled_at=self.clock.now() + later, time_to_live=lives)])

    @rule(target=tokens)
    def receive(self) -> object:
        held = self.queue.receive()
        return multiple() if held is None else self._lock(held)

    @rule(target=tokens)
    def receive_deferred(self) -> object:
        aside = [each for each in self.queue.peek() if each.state is State.DEFERRED and each.lock is None]
        return multiple(
            *[self._lock(each) for each in self.queue.deferred([each.sequence_number for each in aside])]
        )

    @rule()
    def take(self) -> None:
        held = self.queue.take()
        if held is not None:
            self.done[held.message.body] += 1

    @rule(
        token=consumes(tokens),
        how=st.sampled_from(["complete", "abandon", "release", "defer", "dead_letter"]),
    )
    def settle(self, token: UUID, how: str) -> None:
        body, until = self.locked.pop(token)
        try:
            getattr(self.queue, how)(token)
        except RefusedError:
            assert self.clock.now() >= until
            return
        assert self.clock.now() < until
        if how == "complete":
            self.done[body] += 1

    @rule(token=tokens)
    def renew(self, token: UUID) -> None:
        body, until = self.locked[token]
        try:
            (end,) = self.queue.renew([token])
        except RefusedError:
            assert self.clock.now() >= until
            return
        assert end == self.clock.now() + LOCK
        self.locked[token] = body, end

    @rule(by=durations)
    def let_time_pass(self, by: timedelta) -> None:
        self.clock.advance(by)

    @rule()
    def lose_locks(self) -> None:
        self.queue.lose_locks()
        self.locked = {token: (body, START) for token, (body, _) in self.locked.items()}

    @invariant()
    def every_message_is_in_one_place(self) -> None:
        there = Counter(each.message.body for part in (self.queue, self.dead) for each in part.peek())
        assert there + self.done == Counter(str(number + 1).encode() for number in range(self.sent))

    @invariant()
    def locks_are_those_that_were_given(self) -> None:
        locks = {each.lock.token: each.lock.until for each in self.queue.peek() if each.lock is not None}
        assert locks == {
            token: until for token, (_, until) in self.locked.items() if until > self.clock.now()
        }

    @invariant()
    def no_message_is_tried_more_often_than_allowed(self) -> None:
        assert all(each.delivery_count < MOST or each.state is State.DEFERRED for each in self.queue.peek())

    @invariant()
    def an_alarm_is_never_late(self) -> None:
        self.queue.pass_time()
        alarm = self.queue.next_alarm()
        ends = [each.lock.until for each in self.queue.peek() if each.lock is not None]
        assert all(alarm is not None and alarm <= end for end in ends)
        assert alarm is None or alarm > self.clock.now()

    def _lock(self, held: Held) -> UUID:
        assert held.lock is not None
        self.locked[held.lock.token] = held.message.body, held.lock.until
        return held.lock.token


TestQueueMachine = QueueMachine.TestCase
