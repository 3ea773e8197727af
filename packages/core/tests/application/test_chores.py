"""Chores: how often, how much, by how many at once, and what becomes of those that fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from api_exchange_core import Exchange, TransientError
from api_exchange_core.application.chores import Chore, DoChore, Done, relay_outbox
from api_exchange_core.domain.names import MessageId, QueueName, TenantId
from api_exchange_core.ports.leases import Leases
from api_exchange_core.ports.message_publisher import Outgoing
from api_exchange_testing import InMemoryLeases, RecordingObserver, VirtualClock
from api_exchange_testing.container import in_memory_container

EVERY = timedelta(hours=1)


class Bench:
    """Instances of one deployment, which share leases."""

    def __init__(self, leases: Leases | None = None) -> None:
        self.clock = VirtualClock(datetime(2026, 1, 1, tzinfo=UTC))
        self.observer = RecordingObserver()
        self.leases = InMemoryLeases() if leases is None else leases

    def instance(self, name: str = "one") -> DoChore:
        return DoChore(self.leases, self.clock, self.observer, name)

    def told(self) -> list[tuple[str, object]]:
        return [(event.name, event.facts["chore"]) for event in self.observer.events]


def chore(round_: Callable[[], Done], *, exclusive: bool = False) -> Chore:
    return Chore(name="tidy", every=EVERY, round=round_, exclusive=exclusive)


def rounds(*done: Done | Exception) -> tuple[Callable[[], Done], Iterator[Done | Exception]]:
    """A chore's rounds, one after the other, and those that are left."""
    left = iter(done)

    def one() -> Done:
        result = next(left)
        if isinstance(result, Exception):
            raise result
        return result

    return one, left


def test_rounds_go_on_while_more_waits_and_are_told_as_one() -> None:
    bench = Bench()
    one, _ = rounds(Done(100, more=True), Done(100, more=True), Done(7))
    assert bench.instance().do(chore(one)) == Done(207)
    assert [(event.name, event.facts["count"]) for event in bench.observer.events] == [("chore.done", 207)]


def test_a_chore_that_had_nothing_to_do_is_not_told() -> None:
    bench = Bench()
    one, _ = rounds(Done(0))
    assert bench.instance().do(chore(one)) == Done(0)
    assert bench.told() == []


def test_no_further_round_begins_after_its_time_and_it_says_that_more_waits() -> None:
    bench = Bench()

    def slow() -> Done:
        bench.clock.advance(timedelta(seconds=25))
        return Done(1, more=True)

    assert bench.instance().do(chore(slow)) == Done(3, more=True)


def test_a_stop_ends_it_between_two_rounds() -> None:
    one, left = rounds(Done(1, more=True), Done(1))
    assert Bench().instance().do(chore(one), stop=lambda: True) == Done(1, more=True)
    assert len(list(left)) == 1


@pytest.mark.parametrize("exclusive", [True, False])
def test_a_chore_that_fails_is_told_without_the_words_of_strangers_and_not_tried_again_at_once(
    exclusive: bool,
) -> None:
    bench = Bench()
    one, _ = rounds(Done(3, more=True), RuntimeError("hunter2"))
    assert bench.instance().do(chore(one, exclusive=exclusive)) == Done(3)
    assert bench.told() == [("chore.error", "tidy"), ("chore.done", "tidy")]
    assert "hunter2" not in repr(bench.observer.events)


def test_an_exclusive_chore_is_done_by_one_instance_at_a_time() -> None:
    bench = Bench()
    tried: list[Done] = []

    def meanwhile() -> Done:
        tried.append(bench.instance("other").do(chore(lambda: Done(1), exclusive=True)))
        return Done(1)

    assert bench.instance().do(chore(meanwhile, exclusive=True)) == Done(1)
    assert tried == [Done(0)]


def test_any_number_do_a_chore_at_once_that_is_not_exclusive() -> None:
    bench = Bench()
    one = chore(lambda: bench.instance("other").do(chore(lambda: Done(1))))
    assert bench.instance().do(one) == Done(1)


def test_an_exclusive_chore_is_done_once_in_its_time_whoever_asks() -> None:
    bench = Bench()
    one = chore(lambda: Done(1), exclusive=True)
    names = ["one", "two", "three"]
    assert [bench.instance(name).do(one).count for name in names] == [1, 0, 0]
    bench.clock.advance(EVERY)
    assert [bench.instance(name).do(one).count for name in reversed(names)] == [1, 0, 0]


def test_what_failed_or_was_not_finished_is_for_the_next_who_comes() -> None:
    bench = Bench()
    one, _ = rounds(TransientError("no route"), Done(1, more=True), Done(1))
    tidy = chore(one, exclusive=True)
    assert bench.instance("one").do(tidy) == Done(0)
    assert bench.instance("two").do(tidy, stop=lambda: True) == Done(1, more=True)
    assert bench.instance("three").do(tidy) == Done(1)
    assert bench.instance("four").do(tidy) == Done(0)


def test_an_instance_that_died_over_it_holds_it_up_for_twice_its_time_at_most() -> None:
    bench = Bench()

    class KilledError(BaseException):
        """Nobody runs any code after this."""

    class NeverGivenBack(InMemoryLeases):
        def release(self, name: str, *, owner: str, ran_at: datetime | None = None) -> None:
            return

    bench = Bench(NeverGivenBack())

    def dies() -> Done:
        raise KilledError

    with pytest.raises(KilledError):
        bench.instance("one").do(chore(dies, exclusive=True))
    sound = chore(lambda: Done(1), exclusive=True)
    bench.clock.advance(2 * sound.at_most - timedelta(seconds=1))
    assert bench.instance("two").do(sound) == Done(0)
    bench.clock.advance(timedelta(seconds=1))
    assert bench.instance("two").do(sound) == Done(1)


def test_where_leases_cannot_be_reached_an_exclusive_chore_is_not_done() -> None:
    class Unreachable(InMemoryLeases):
        def take(
            self, name: str, *, owner: str, now: datetime, until: datetime, every: timedelta = timedelta(0)
        ) -> bool:
            raise TransientError("no route")

    bench = Bench(Unreachable())
    ran: list[int] = []
    assert bench.instance().do(chore(lambda: Done(len(ran)), exclusive=True)) == Done(0)
    assert bench.told() == [("chore.error", "tidy")]


def test_the_relay_is_a_chore_that_sends_batch_after_batch() -> None:
    container = in_memory_container(Exchange("shop", tenants=["customer-a"]))
    use_cases = container.use_cases
    tenant = TenantId("customer-a")
    with use_cases.units().begin(tenant) as unit:
        messages = [
            Outgoing(queue=QueueName("left"), tenant_id=tenant, message_id=MessageId(f"{number}"), body=b"{}")
            for number in range(250)
        ]
        unit.outbox.add(messages, now=container.clock().now() - timedelta(hours=1))
        unit.commit()
    (relay,) = [one for one in use_cases.chores() if one.name == "relay-outbox"]
    assert use_cases.do_chore().do(relay) == Done(250)
    assert container.queue().depths() == {"left": 250}
    assert relay_outbox(use_cases.relay()).round() == Done(0)


def test_the_framework_tidies_up_in_one_instance_at_a_time() -> None:
    use_cases = in_memory_container(Exchange("shop", tenants=["customer-a"])).use_cases
    assert {one.name for one in use_cases.chores() if one.exclusive} == {
        "purge-expired",
        "sweep-erased",
        "sweep-tokens",
    }


def test_what_is_left_of_an_erased_tenant_is_swept_away() -> None:
    container = in_memory_container(Exchange("shop", tenants=["customer-a"]))
    use_cases, tenant = container.use_cases, TenantId("customer-a")
    container.tenants().set_enabled(tenant, enabled=False)
    container.tenants().mark_erased(tenant, now=container.clock().now())
    container.files().append(tenant, "late.jsonl", [b"{}"])
    (sweep,) = [one for one in use_cases.chores() if one.name == "sweep-erased"]
    assert use_cases.do_chore().do(sweep) == Done(1)
    assert container.files().names(tenant) == []
