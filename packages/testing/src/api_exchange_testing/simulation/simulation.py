"""Simulations of an exchange: the real application code over ports at which things go wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from itertools import count

from typing_extensions import override

from api_exchange_core import EntityReference, Exchange, Message
from api_exchange_core.application.administer_credentials import KeepCredentials
from api_exchange_core.application.send_message import SendMessage
from api_exchange_core.application.tick import FanOutTick
from api_exchange_core.domain.envelope import decode
from api_exchange_core.domain.names import QueueName, dead_letter_queue
from api_exchange_testing.declared_tenant import declared_tenant
from api_exchange_testing.given_credentials import give_credentials
from api_exchange_testing.memory.profile import PORTABLE, Profile
from api_exchange_testing.simulation.instance import Instance
from api_exchange_testing.simulation.invariants import broken
from api_exchange_testing.simulation.plan import Plan, Planned, Seeded
from api_exchange_testing.simulation.story import Step, told
from api_exchange_testing.simulation.turns import Life, NeverAtRestError, Turns
from api_exchange_testing.simulation.wiring import Ports, fan_out, sender
from api_exchange_testing.simulation.world import World, nobody_else

Invariant = Callable[["Simulation"], str | None]
"""Looks at a simulation that is at rest, and says what is wrong; None if nothing is."""


class BrokenPromiseError(AssertionError):
    """Something that must hold whatever goes wrong does not.

    Attributes:
        wrong: what, a sentence each.
        plan: what went wrong on the way there; hand it to a simulation to see it again.
        story: what happened, call by call.
    """

    def __init__(
        self,
        wrong: Sequence[str],
        plan: Plan,
        story: Sequence[Step],
        *,
        seed: int | None = None,
        parents: Mapping[str, str | None] | None = None,
    ) -> None:
        super().__init__(*wrong)
        self.wrong = wrong
        self.plan = plan
        self.story = story
        self._seed = seed
        self._parents = {} if parents is None else parents

    @override
    def __str__(self) -> str:
        again = f"plan={self.plan!r}" if self._seed is None else f"seed={self._seed}"
        return f"{told(self.story, self.wrong, self._parents)}\n\nAgain: Simulation(..., {again})"


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
        profile: of the platform whose queues these stand for, as of `Harness`.
        keeper: instances renew what they have in hand while processors work on it (as on one machine); without it
            what takes longer than its time comes back (as in a cloud).
        ports: makes the ports that an instance is handed from those that it would get, for adapters under test.

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
        profile: Profile = PORTABLE,
        keeper: bool = False,
        ports: Callable[[Ports], Ports] = lambda ports: ports,
    ) -> None:
        self.world = World(exchange, one_store=one_store, profile=profile)
        self._seed = seed if plan is None else None
        self._chooser: Seeded | Planned = Seeded(seed) if plan is None else Planned(plan)
        self._turns = Turns(self._chooser, self.world.clock, self.world.next_due)
        self.world.locks.give_way = lambda until, free: self._turns.wait(until=until, ready=free)
        self._ports = ports
        self._keeper = keeper
        self._how_many = instances
        self._instances: dict[Life, Instance] = {}
        self._seeds = count(1)
        self._invariants: list[Invariant] = []

    @cached_property
    def _sender(self) -> SendMessage:
        return sender(self.world, seed=0)

    @cached_property
    def _fan_out(self) -> FanOutTick:
        return fan_out(self.world, seed=0)

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
        whose = declared_tenant(self.world.exchange, tenant)
        return self._sender.send(QueueName(queue), payload, tenant_id=whose, entity=entity)

    def tick(self, function_name: str, at: datetime | None = None) -> None:
        """Fire a timer function, as `Harness.tick` does."""
        function = self.world.exchange.function(function_name)
        self._fan_out.fan_out(function, self.world.clock.now() if at is None else at)

    def set_credentials(
        self, system: str, credentials: Mapping[str, object] | bytes, *, tenant: str | None = None
    ) -> None:
        """Set a tenant's credentials at a system, as `Harness.set_credentials` does."""
        world = self.world
        keep = KeepCredentials(world.credentials, world.sealer, world.tenants, world.clock)
        give_credentials(keep, declared_tenant(world.exchange, tenant), system, credentials)

    def later(self, after: timedelta, action: Callable[[], object]) -> None:
        """Have the outside world do something when time has passed: send, tick, disable a tenant."""
        self._turns.later(self.world.clock.now() + after, action)

    def sent(self, queue: str) -> list[Message]:
        """The messages that came into a queue, each once, in the order of their first copies."""
        taken = self.world.ledger.sent.get(QueueName(queue), [])
        first = {(one.tenant_id, one.message_id): one for one in reversed(taken)}
        return [decode(one.body) for one in reversed(first.values())]

    def dead_letters(self) -> list[Message]:
        """The messages that have become dead letters."""
        queues = [dead_letter_queue(queue) for queue in self.world.exchange.by_queue]
        return [decode(letter.body) for queue in queues for letter in self.world.queues.messages(queue)]

    def invariant(self, check: Invariant) -> None:
        """Check this too when all is at rest."""
        self._invariants.append(check)

    def run(self) -> None:
        """Let the instances work until all is at rest; then check what must hold.

        Raises:
            BrokenPromiseError: something does not hold; it tells the story.
        """
        wrong = self._what_is_wrong()
        if wrong:
            raise BrokenPromiseError(
                wrong, self.plan, self.story, seed=self._seed, parents=self.world.ledger.parents
            ) from None

    def _what_is_wrong(self) -> list[str]:
        for number in range(self._how_many):
            self._start(number)
        try:
            while (crashed := self._turns.run()) is not None:
                self._instances.pop(crashed).end()
                self._start(crashed.number)
            return [*broken(self.world), *filter(None, (check(self) for check in self._invariants))]
        except NeverAtRestError as error:
            return [str(error)]
        finally:
            self._end()

    def _start(self, number: int) -> None:
        instance = Instance(
            self.world,
            self._turns,
            number,
            skew=self._chooser.skew(number),
            seed=next(self._seeds),
            keeper=self._keeper,
            ports=self._ports,
        )
        self._instances[instance.life] = instance

    def _end(self) -> None:
        self._turns.close()
        self.world.locks.give_way = nobody_else
        while self._instances:
            self._instances.popitem()[1].end()
