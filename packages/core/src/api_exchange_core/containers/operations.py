"""What operators do beside the functions: look, mend, administer. Also over ports alone."""

from __future__ import annotations

from dependency_injector import containers, providers

from api_exchange_core.application.entity_history import EntityHistory
from api_exchange_core.application.status_report import StatusReport
from api_exchange_core.application.trace_request import TraceRequest
from api_exchange_core.ports.backlog import Backlog
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.entity_reports import EntityReports
from api_exchange_core.ports.error_groups import ErrorGroups
from api_exchange_core.ports.message_reports import MessageReports
from api_exchange_core.ports.observer import Observer
from api_exchange_core.ports.queue_inspector import QueueInspector
from api_exchange_core.ports.randomness import Randomness
from api_exchange_core.ports.statistics import StatisticsSource
from api_exchange_core.ports.tenant_directory import TenantDirectory
from api_exchange_core.ports.unit_of_work import UnitOfWorkFactory


class Operations(containers.DeclarativeContainer):
    """The use cases of the people who run an exchange. They need no exchange, only what it has left in its stores."""

    clock: providers.Dependency[Clock] = providers.Dependency()
    randomness: providers.Dependency[Randomness] = providers.Dependency()
    observer: providers.Dependency[Observer] = providers.Dependency()
    units: providers.Dependency[UnitOfWorkFactory] = providers.Dependency()
    tenants: providers.Dependency[TenantDirectory] = providers.Dependency()
    queues: providers.Dependency[QueueInspector] = providers.Dependency()
    messages: providers.Dependency[MessageReports] = providers.Dependency()
    errors: providers.Dependency[ErrorGroups] = providers.Dependency()
    statistics: providers.Dependency[StatisticsSource] = providers.Dependency()
    backlog: providers.Dependency[Backlog] = providers.Dependency()
    entities: providers.Dependency[EntityReports] = providers.Dependency()

    trace = providers.Singleton(TraceRequest, messages, entities)
    status = providers.Singleton(StatusReport, clock, statistics, backlog, errors)
    entity_history = providers.Singleton(EntityHistory, entities)
