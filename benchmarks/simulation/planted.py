"""Bugs planted in applications and adapters: what each breaks, and in how many schedules that shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from api_exchange_core import Exchange, ProcessorInterface, Schedule
from api_exchange_core.application.entity_service import EntityService
from api_exchange_core.domain.content_hash import ContentHasher
from api_exchange_core.domain.exclusive import Exclusive
from api_exchange_testing import BrokenPromiseError, PagedApi, SimulatedVendor, Simulation
from api_exchange_testing.simulation.wiring import Ports
from benchmarks.simulation import callers, extraction
from benchmarks.simulation import wrong_adapters as adapters
from benchmarks.simulation import wrong_processors as processors
from benchmarks.simulation import wrong_tokens as tokens
from benchmarks.simulation.workshop import TENANTS, two_ticks, workshop

Scenario = Callable[[Simulation], object]


@dataclass(frozen=True)
class Plant:
    """One bug.

    Args:
        name: what is wrong, in words.
        says: part of what a simulation says of it.
        ports: makes the wrong adapters.
        set_up: makes the application anew, and what happens to it.
    """

    name: str
    says: str
    ports: Callable[[Ports], Ports] = lambda ports: ports
    set_up: Callable[[], tuple[Exchange, Scenario]] = lambda: (workshop(), two_ticks)

    def broken(self, *, seed: int) -> BrokenPromiseError | None:
        """What is found with *seed*, if anything is."""
        exchange, scenario = self.set_up()
        simulation = Simulation(exchange, seed=seed, instances=3, ports=self.ports)
        scenario(simulation)
        try:
            simulation.run()
        except BrokenPromiseError as error:
            return error
        return None


@dataclass(frozen=True, slots=True)
class Hunt:
    """How soon and how often a bug was found.

    Args:
        plant: the bug.
        first: in which schedule, counted from 1; None if in none.
        found: in how many schedules.
        schedules: of so many.
    """

    plant: Plant
    first: int | None
    found: int
    schedules: int


def hunt(plant: Plant, *, schedules: int) -> Hunt:
    """Look for *plant* in one schedule after the other."""
    errors = [(seed, plant.broken(seed=seed)) for seed in range(schedules)]
    found = [
        seed for seed, error in errors if error is not None and any(plant.says in one for one in error.wrong)
    ]
    return Hunt(plant, found[0] + 1 if found else None, len(found), schedules)


def _scenario(*checks: Callable[[Simulation], str | None]) -> Scenario:
    def scenario(simulation: Simulation) -> None:
        processors.two_orders(simulation)
        for check in checks:
            simulation.invariant(check)

    return scenario


def _counting() -> tuple[Exchange, Scenario]:
    return processors.shop(processors.CountsInMemory), _scenario(processors.numbers_are_unique)


def _collecting() -> tuple[Exchange, Scenario]:
    return processors.shop(processors.CollectsBeforeItSends), _scenario(processors.all_are_collected)


def _transferring() -> tuple[Exchange, Scenario]:
    bank = processors.Bank()
    return processors.shop(processors.TransfersWithoutKey(bank)), _scenario(bank.nothing_moved_twice)


_SERVICES: list[EntityService] = []


def _with_service(ports: Ports) -> Ports:
    _SERVICES[:] = [EntityService(ports.units, ContentHasher(), ports.clock)]
    return ports


def _first_tenant() -> tuple[Exchange, Scenario]:
    exchange = Exchange("shop", tenants=TENANTS)
    exchange.queue("take", "orders", lambda: processors.WritesForTheFirstTenant(_SERVICES))
    return exchange, _scenario()


def _forwarding() -> tuple[Exchange, Scenario]:
    return processors.shop(processors.Forwards), _scenario()


def _three_copies() -> tuple[Exchange, Scenario]:
    """An exclusive function whose tick fires three times: copies of one message, in hand at the same time."""
    exchange = Exchange("shop", tenants=TENANTS)
    lease = Exclusive(lease=timedelta(seconds=5))
    exchange.timer("charge", Schedule.every(minutes=5), processors.Forwards, exclusive=lease)

    def scenario(simulation: Simulation) -> None:
        for _ in range(3):
            simulation.tick("charge")

    return exchange, scenario


def _calling(vendor: SimulatedVendor) -> tuple[Exchange, Scenario]:
    return callers.caller(vendor), callers.calls(vendor)


def _calling_from_a_pool() -> tuple[Exchange, Scenario]:
    vendor = tokens.vendor(max_active=tokens.POOL.max_active)
    return callers.caller(vendor, pool=tokens.POOL), callers.calls(vendor)


def _repeating() -> tuple[Exchange, Scenario]:
    vendor = tokens.TakesRefreshTokensForRepeatable(
        lifetime=callers.LIFETIME, timeout=tokens.SHORT, rotates=True
    )
    return callers.caller(vendor), callers.calls(vendor)


def _extracting(
    processor: Callable[[PagedApi], ProcessorInterface] = extraction.Extracts,
) -> tuple[Exchange, Scenario]:
    return extraction.shop(processor), extraction.eight_ticks


PLANTS: Sequence[Plant] = (
    Plant("processor counts in memory", "numbers given twice", set_up=_counting),
    Plant("processor collects in memory", "orders are gone", set_up=_collecting),
    Plant("processor calls a bank without a key", "money moved twice", set_up=_transferring),
    Plant(
        "processor works for the first tenant it saw",
        "a tenant crossed",
        ports=_with_service,
        set_up=_first_tenant,
    ),
    Plant(
        "store publishes before the commit",
        "an output without its cause",
        ports=lambda p: replace(p, units=adapters.PublishesBeforeCommit(p.units, p.publisher)),
    ),
    Plant(
        "store commits entities early",
        "took effect in a unit of work that did not complete it",
        ports=lambda p: replace(p, units=adapters.CommitsEntitiesEarly(p.units)),
    ),
    Plant(
        "journal forgets",
        "effects twice",
        ports=lambda p: replace(p, units=adapters.ForgetfulJournal(p.units)),
        set_up=_forwarding,
    ),
    Plant(
        "journal commits without checking the fence",
        "a late one committed",
        ports=lambda p: replace(p, units=adapters.CommitsWithoutItsFence(p.units)),
        set_up=_three_copies,
    ),
    Plant(
        "journal gives away claims that are held",
        "two at once",
        ports=lambda p: replace(p, units=adapters.ClaimsWhatIsHeld(p.units)),
        set_up=_three_copies,
    ),
    Plant(
        "queue acknowledges on receipt",
        "a message lost",
        ports=lambda p: replace(p, consumer=adapters.AcknowledgesOnReceipt(p.consumer)),
    ),
    Plant(
        "queue sends retries to its end, whatever their ordering key",
        "out of order",
        ports=adapters.retries_at_the_end,
    ),
    Plant(
        "relay takes off before sending",
        "an output lost",
        ports=lambda p: replace(p, outbox=adapters.takes_off_before_sending(p.outbox)),
        set_up=_forwarding,
    ),
    Plant(
        "relay sends newest first",
        "out of order",
        ports=lambda p: replace(p, outbox=adapters.sends_newest_first(p.outbox)),
    ),
    Plant(
        "leases are given to all",
        "two at once",
        ports=lambda p: replace(p, leases=adapters.GivesLeasesAway(p.leases)),
    ),
    Plant(
        "token store writes without looking at the fence",
        "a late one stored a token",
        ports=tokens.stores_without_fence,
        set_up=lambda: _calling(tokens.slow_vendor()),
    ),
    Plant(
        "token store gives away leases that are held",
        "two at once",
        ports=tokens.gives_away_leases,
        set_up=lambda: _calling(tokens.slow_vendor()),
    ),
    Plant(
        "token store invalidates whatever token is there",
        "a token ended for another",
        ports=tokens.invalidates_what_is_there,
        set_up=lambda: _calling(tokens.vendor()),
    ),
    Plant(
        "token store forgets tokens that may be live",
        "more tokens than may live",
        ports=tokens.forgets_what_may_be_live,
        set_up=_calling_from_a_pool,
    ),
    Plant("refresh token sent again after a crash", "a refresh token sent twice", set_up=_repeating),
    Plant(
        "store saves cursors before the page",
        "orders missing or sent twice",
        ports=lambda p: replace(p, units=extraction.SavesCursorsEarly(p.units)),
        set_up=_extracting,
    ),
    Plant(
        "processor keeps its cursor in memory",
        "orders missing or sent twice",
        set_up=lambda: _extracting(extraction.KeepsItsCursorInMemory),
    ),
)
