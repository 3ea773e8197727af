"""An application: the list of its functions, declared once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from pydantic import BaseModel
from typing_extensions import override

from api_exchange_core.domain.content_hash import ContentHasher
from api_exchange_core.domain.envelope import MAX_MESSAGE_BYTES
from api_exchange_core.domain.errors import DeclarationError, TenantError
from api_exchange_core.domain.exclusive import Exclusive, exclusive_of
from api_exchange_core.domain.intake_limit import IntakeLimit
from api_exchange_core.domain.names import (
    FunctionName,
    QueueName,
    TenantId,
    function_name,
    queue_name,
    tenant_id,
)
from api_exchange_core.domain.processor import ProcessorInterface, ProcessorLike
from api_exchange_core.domain.retention import Retention
from api_exchange_core.domain.retry import RetryPolicy
from api_exchange_core.domain.schedule import Schedule
from api_exchange_core.domain.tenant import folded
from api_exchange_core.domain.tenant_config import check_config_model
from api_exchange_core.domain.tenant_source import TenantSource
from api_exchange_core.domain.trigger import HttpTrigger, QueueTrigger, TimerTrigger, Trigger

MAX_CONCURRENCY = 64


@dataclass(frozen=True)
class Function:
    """One processor bound to one trigger.

    Args:
        name: unique in the exchange.
        trigger: what starts it.
        factory: the processor, its class, or a factory for it.
        retry: what to do when it fails for now.
        concurrency: how many calls of a batch may run side by side.
        sends_to: queues that its processor is known to send to, for the topology.
        exclusive: how a message is claimed before the processor runs; None if it is not.
    """

    name: FunctionName
    trigger: Trigger
    factory: ProcessorLike = field(repr=False)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    concurrency: int = 1
    sends_to: tuple[QueueName, ...] = ()
    exclusive: Exclusive | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.retry, RetryPolicy):
            raise DeclarationError(
                f"function {self.name!r}: {self.retry!r} is no retry policy: use RetryPolicy(max_attempts=5)"
            )
        if type(self.concurrency) is not int or not 1 <= self.concurrency <= MAX_CONCURRENCY:
            raise DeclarationError(
                f"function {self.name!r}: concurrency is a whole number from 1 to {MAX_CONCURRENCY}, "
                f"not {self.concurrency!r}"
            )

    @property
    def input_queue(self) -> QueueName:
        """The queue that the function consumes: the declared one, or its own, into which ticks and requests go."""
        return self.trigger.queue if isinstance(self.trigger, QueueTrigger) else QueueName(self.name)

    @property
    def may_run_again(self) -> bool:
        """Whether a run that came to no end may be followed by another without anybody being asked."""
        return self.exclusive is None or self.exclusive.may_run_again

    @cached_property
    def processor(self) -> ProcessorInterface:
        """The processor, made on first use and kept.

        Raises:
            DeclarationError: what the function was declared with makes no processor.
        """
        made = self.factory if isinstance(self.factory, ProcessorInterface) else self._made()
        if not isinstance(made, ProcessorInterface):
            raise DeclarationError(
                f"function {self.name!r}: {type(made).__name__!r} is no processor; derive it from ProcessorInterface"
            )
        return made

    def _made(self) -> object:
        if not callable(self.factory):
            raise DeclarationError(
                f"function {self.name!r}: {self.factory!r} is no processor: pass a ProcessorInterface instance, its "
                "class, or a factory without arguments"
            )
        try:
            return self.factory()
        except Exception as error:
            raise DeclarationError(
                f"function {self.name!r}: its processor could not be made: {type(error).__name__}: {error}"
            ) from error


class Exchange:
    """The functions of an application, and the tenants it is declared for.

    Args:
        name: a portable name; messages carry it as their source.
        tenants: ids that the exchange makes known where it runs; others can be added while it runs.
        volatile_fields: for each canonical type, JSON pointers (RFC 6901) of fields that do not count as content:
            a time of retrieval, say. They are forwarded, and left out of the content hash.
        tenant_config: a pydantic model of what is configured for each tenant; processors read it with
            `ProcessorContext.config_as`. It holds no secrets.
        retention: how long the journal, errors and versions are kept.

    Raises:
        DeclarationError: a name that is not portable, a pointer that is none, or a model that cannot be configured.
        TenantError: an invalid tenant id, or two that differ only in case.
    """

    def __init__(
        self,
        name: str,
        *,
        tenants: Iterable[str] = (),
        volatile_fields: Mapping[str, Sequence[str]] | None = None,
        tenant_config: type[BaseModel] | None = None,
        retention: Retention | None = None,
    ) -> None:
        self.name = function_name(name)
        if isinstance(tenants, str):
            raise DeclarationError(f"tenants of {name!r} are a list, not one text: pass [{tenants!r}]")
        self.tenants: tuple[TenantId, ...] = tuple(dict.fromkeys(tenant_id(tenant) for tenant in tenants))
        _refuse_alike(self.tenants)
        if tenant_config is not None:
            check_config_model(tenant_config)
        self.tenant_config = tenant_config
        if not isinstance(retention, Retention | None):
            raise DeclarationError(
                f"retention of {name!r}: {retention!r} is none: use Retention(journal=timedelta(days=30))"
            )
        self.retention = Retention() if retention is None else retention
        self.volatile_fields = ContentHasher(volatile=volatile_fields or {}).volatile
        self._functions: dict[str, Function] = {}

    @override
    def __repr__(self) -> str:
        return f"Exchange({self.name!r}, functions={list(self._functions)})"

    @property
    def functions(self) -> Sequence[Function]:
        """The functions in the order of their declaration."""
        return tuple(self._functions.values())

    @property
    def by_queue(self) -> Mapping[QueueName, Function]:
        """The function that consumes each queue."""
        return {function.input_queue: function for function in self.functions}

    def function(self, name: str) -> Function:
        """The function called *name*.

        Raises:
            DeclarationError: there is none; says which there are.
        """
        if name not in self._functions:
            raise DeclarationError(
                f"exchange {self.name!r} has no function {name!r}; it has {', '.join(self._functions) or 'none'}"
            )
        return self._functions[name]

    def timer(
        self,
        name: str,
        schedule: Schedule,
        processor: ProcessorLike,
        *,
        retry: RetryPolicy | None = None,
        concurrency: int = 1,
        sends_to: Iterable[str] = (),
        exclusive: bool | Exclusive = False,
    ) -> Function:
        """Run *processor* once a tenant and tick of *schedule*.

        Raises:
            DeclarationError: the name is taken or not portable, or the schedule is no `Schedule`.
        """
        if not isinstance(schedule, Schedule):
            raise DeclarationError(
                f"function {name!r}: {schedule!r} is no schedule: use Schedule.every(minutes=5) or "
                "Schedule.cron('0 6 * * *')"
            )
        return self._declare(name, TimerTrigger(schedule), processor, retry, concurrency, sends_to, exclusive)

    def queue(
        self,
        name: str,
        queue: str,
        processor: ProcessorLike,
        *,
        retry: RetryPolicy | None = None,
        concurrency: int = 1,
        sends_to: Iterable[str] = (),
        exclusive: bool | Exclusive = False,
    ) -> Function:
        """Run *processor* for each message of *queue*.

        Raises:
            DeclarationError: a name is taken or not portable, or another function consumes the queue.
        """
        return self._declare(
            name, QueueTrigger(queue_name(queue)), processor, retry, concurrency, sends_to, exclusive
        )

    def http(
        self,
        name: str,
        path: str,
        processor: ProcessorLike,
        *,
        tenant: TenantSource,
        methods: Iterable[str] = ("POST",),
        max_body: int = MAX_MESSAGE_BYTES,
        limit: IntakeLimit | None = None,
        retry: RetryPolicy | None = None,
        concurrency: int = 1,
        sends_to: Iterable[str] = (),
        exclusive: bool | Exclusive = False,
    ) -> Function:
        """Run *processor* for each request to *path*, acknowledged with 202 and queued.

        Args:
            name: the function's name.
            path: such as ``/orders``, or ``/hooks/shop/{tenant}`` for `TenantFromWebhook`.
            processor: the step.
            tenant: how the request proves its tenant; there is no way around it.
            methods: HTTP methods in capitals.
            max_body: bytes of a body; larger ones are refused.
            limit: requests of a tenant that each process takes in at most; others are told to come back.
            retry: what to do when it fails for now.
            concurrency: how many calls of a batch may run side by side.
            sends_to: queues that the processor sends to, for the topology.
            exclusive: claim each message before the processor runs; True for the defaults of `Exclusive`.

        Raises:
            DeclarationError: the name or route is taken, the tenant source is none, or does not fit the path.
        """
        if not isinstance(tenant, TenantSource):
            raise DeclarationError(
                f"function {name!r}: an HTTP function says how it knows its tenant, such as tenant=TenantFromApiKey(), "
                f"not {tenant!r}"
            )
        listed = (methods,) if isinstance(methods, str) else tuple(methods)
        trigger = HttpTrigger(path, listed, tenant, max_body, limit)
        return self._declare(name, trigger, processor, retry, concurrency, sends_to, exclusive)

    def _declare(
        self,
        name: str,
        trigger: Trigger,
        processor: ProcessorLike,
        retry: RetryPolicy | None,
        concurrency: int,
        sends_to: Iterable[str],
        exclusive: bool | Exclusive,
    ) -> Function:
        function = Function(
            name=function_name(name),
            trigger=trigger,
            factory=processor,
            retry=RetryPolicy() if retry is None else retry,
            concurrency=concurrency,
            sends_to=tuple(queue_name(queue) for queue in sends_to),
            exclusive=exclusive_of(exclusive, function=name),
        )
        if function.retry.max_attempts > 1:
            self.retention.check_covers(function.retry.max_delay, f"a retry of function {name!r}")
        self._refuse_clash(function)
        self._functions[name] = function
        return function

    def _refuse_clash(self, new: Function) -> None:
        for old in self.functions:
            if old.name == new.name:
                raise DeclarationError(
                    f"two functions are called {new.name!r}; a function's name is unique in its exchange"
                )
            if old.input_queue == new.input_queue:
                raise DeclarationError(
                    f"functions {old.name!r} and {new.name!r} would both consume queue {new.input_queue!r}: "
                    "a queue has one consumer, and timers and HTTP functions consume one that is called like themselves"
                )
            if isinstance(old.trigger, HttpTrigger) and isinstance(new.trigger, HttpTrigger):
                shared = list(old.trigger.meets(new.trigger))
                if shared:
                    as_well = (
                        "" if old.trigger.path == new.trigger.path else f", as does {old.trigger.path!r}"
                    )
                    raise DeclarationError(
                        f"functions {old.name!r} and {new.name!r} both serve {shared} {new.trigger.path!r}{as_well}"
                    )


def _refuse_alike(tenants: Sequence[TenantId]) -> None:
    seen: dict[str, TenantId] = {}
    for tenant in tenants:
        other = seen.setdefault(folded(tenant), tenant)
        if other != tenant:
            raise TenantError(
                f"tenants {other!r} and {tenant!r} differ only in case, which some file systems and collations ignore: "
                "give one of them another id"
            )
