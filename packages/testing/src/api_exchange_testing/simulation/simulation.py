"""Simulations of an exchange: the real application code over ports at which things go wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache
from itertools import count

from api_exchange_core import EntityReference, Exchange, Message
from api_exchange_core.domain.errors import TenantError
from api_exchange_core.domain.names import QueueName, tenant_id
from api_exchange_testing.memory.profile import PORTABLE, Profile
from api_exchange_testing.simulation.instance import Instance, Ports, Wiring, ports_of
from api_exchange_testing.simulation.invariants import broken
from api_exchange_testing.simulation.plan import Plan, Planned, Seeded
from api_exchange_testing.simulation.turns import NeverAtRestError, Step, Turns
from api_exchange_testing.simulation.world import World

Invariant = Callable[["Simulation"], str | None]
"""Looks at a simulation that is at rest, and says what is wrong; None if nothing is."""


class BrokenPromiseError(AssertionError):
    """Something that must hold whatever goes wrong does not.

    Attributes:
        wrong: what, a sentence each.
        plan: what went wrong on the way there; hand it to a simulation to see it again.
        story: what happened, call by call.
    """

    def __init__(self, wrong: Sequence[str], plan: Plan, story: Sequence[Step]) -> None:
        super().__init__(
            "\n".join([*wrong, "", *map(str, story), "", f"Again: Simulation(..., plan={plan!r})"])
        )
        self.wrong = wrong
        self.plan = plan
        self.story = story


class Simulation:
    """Instances of an exchange that work side by side on one clock, while things go wrong.

    All is deterministic: the same exchange, scenario and seed (or plan) make the same story, call by call.

    Args:
        exchange: the application. Declare processors by class or factory: each instance, and each one that takes the
            place of one that crashed, makes its own. A processor that was handed over as an object is shared by all.
        seed: chooses what goes wrong.
        plan: what goes wrong, in place of a seed.
        instances: how many work side by side.
        one_store: queues and store are one database (as on one machine), not two systems (as in a cloud).
        ports: makes the ports that an instance is handed from those that it would get, for adapters under test.
        profile: of the platform whose queues these stand for, as of `Harness`.

    Attributes:
        world: stores, queues and time, to look at when all is at rest.
    """

    def __init__(
        self,
        exchange: Exchange,
        *,
        seed: int = 0,
        plan: Plan | None = None,
        instances: int = 2,
        one_store: bool = False,
        ports: Callable[[Ports], Ports] = lambda ports: ports,
        profile: Profile = PORTABLE,
    ) -> None:
        self.world = World(exchange, one_store=one_store, profile=profile)
        self._chooser: Seeded | Planned = Seeded(seed) if plan is None else Planned(plan)
        self._turns = Turns(self._chooser, self.world.clock, self.world.next_due)
        self.world.locks.give_way = self._turns.give_way
        self._ports = ports
        self._instances = instances
        self._seeds = count(1)
        self._invariants: list[Invariant] = []
        self._wiring = _wiring()
        outside = self._wiring.over(self.world, ports_of(self.world), seed=0)
        self._sender = outside.sender()
        self._fan_out = outside.fan_out()

    @property
    def plan(self) -> Plan:
        """What went wrong so far."""
        return self._chooser.plan

    @property
    def story(self) -> Sequence[Step]:
        """What happened, call by call."""
        return self._turns.story

    def send(
        self, queue: str, payload: object, *, tenant: str | None = None, entity: EntityReference | None = None
    ) -> Message:
        """Put a message into a queue, as `Harness.send` does."""
        whose = self._only_tenant() if tenant is None else tenant
        return self._sender.send(QueueName(queue), payload, tenant_id=tenant_id(whose), entity=entity)

    def tick(self, function_name: str, at: datetime | None = None) -> None:
        """Fire a timer function, as `Harness.tick` does."""
        function = self.world.exchange.function(function_name)
        self._fan_out.fan_out(function, self.world.clock.now() if at is None else at)

    def invariant(self, check: Invariant) -> None:
        """Check this too when all is at rest."""
        self._invariants.append(check)

    def run(self) -> None:
        """Let the instances work until all is at rest; then check what must hold.

        Raises:
            BrokenPromiseError: something does not hold; it tells the story.
        """
        for number in range(self._instances):
            self._start(number)
        try:
            while (crashed := self._turns.run()) is not None:
                self._start(crashed.number)
        except NeverAtRestError as error:
            raise BrokenPromiseError([str(error)], self.plan, self.story) from None
        wrong = [*broken(self.world), *filter(None, (check(self) for check in self._invariants))]
        if wrong:
            raise BrokenPromiseError(wrong, self.plan, self.story)

    def _start(self, number: int) -> None:
        Instance(
            self.world,
            self._turns,
            self._wiring,
            number,
            skew=self._chooser.skew(number),
            seed=next(self._seeds),
            ports=self._ports,
        )

    def _only_tenant(self) -> str:
        tenants = self.world.exchange.tenants
        if len(tenants) != 1:
            raise TenantError(f"the exchange declares {len(tenants)} tenants: say tenant=... for which one")
        return tenants[0]


@cache
def _wiring() -> Wiring:
    return Wiring()
