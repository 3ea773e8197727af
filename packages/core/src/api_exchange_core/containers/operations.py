"""What operators do beside the functions: look, mend, administer. Also over ports alone."""

from __future__ import annotations

from dependency_injector import containers, providers

from api_exchange_core.application.administer_credentials import KeepCredentials
from api_exchange_core.application.administer_tenants import AddTenants
from api_exchange_core.application.backfill import OrderBackfill
from api_exchange_core.application.dead_letter_job import CarryOutDeadLetterJob
from api_exchange_core.application.entity_history import EntityHistory
from api_exchange_core.application.erase import EraseEntity, EraseTenant
from api_exchange_core.application.find_dead_letters import FindDeadLetters
from api_exchange_core.application.held_messages import HeldMessages
from api_exchange_core.application.reseal_credentials import ResealCredentials
from api_exchange_core.application.reseal_tokens import ResealTokens
from api_exchange_core.application.sources import ReportSources, ResetSource
from api_exchange_core.application.status_report import StatusReport
from api_exchange_core.application.trace_request import TraceRequest
from api_exchange_core.ports.backlog import Backlog
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.credential_store import CredentialStore
from api_exchange_core.ports.dead_letter_jobs import DeadLetterJobs
from api_exchange_core.ports.dead_letters import DeadLetters
from api_exchange_core.ports.entity_reports import EntityReports
from api_exchange_core.ports.erasure import Eraser
from api_exchange_core.ports.error_groups import ErrorGroups
from api_exchange_core.ports.file_sink import FileSink
from api_exchange_core.ports.message_reports import MessageReports
from api_exchange_core.ports.observer import Observer
from api_exchange_core.ports.queue_inspector import QueueInspector
from api_exchange_core.ports.randomness import Randomness
from api_exchange_core.ports.sealer import Sealer
from api_exchange_core.ports.sleeper import Sleeper
from api_exchange_core.ports.statistics import StatisticsSource
from api_exchange_core.ports.tenant_directory import TenantDirectory
from api_exchange_core.ports.token_store import TokenRecords
from api_exchange_core.ports.unit_of_work import UnitOfWorkFactory


class Operations(containers.DeclarativeContainer):
    """The use cases of the people who run an exchange. They need no exchange, only what it has left in its stores."""

    clock: providers.Dependency[Clock] = providers.Dependency()
    randomness: providers.Dependency[Randomness] = providers.Dependency()
    observer: providers.Dependency[Observer] = providers.Dependency()
    units: providers.Dependency[UnitOfWorkFactory] = providers.Dependency()
    tenants: providers.Dependency[TenantDirectory] = providers.Dependency()
    queues: providers.Dependency[QueueInspector] = providers.Dependency()
    dead_letters: providers.Dependency[DeadLetters] = providers.Dependency()
    dead_letter_jobs: providers.Dependency[DeadLetterJobs] = providers.Dependency()
    sleeper: providers.Dependency[Sleeper] = providers.Dependency()
    files: providers.Dependency[FileSink] = providers.Dependency()
    eraser: providers.Dependency[Eraser] = providers.Dependency()

    find_dead_letters = providers.Singleton(FindDeadLetters, dead_letters, queues)
    carry_out_dead_letter_job = providers.Singleton(
        CarryOutDeadLetterJob,
        find=find_dead_letters,
        letters=dead_letters,
        jobs=dead_letter_jobs,
        units=units,
        clock=clock,
        sleeper=sleeper,
        randomness=randomness,
    )
    add_tenants = providers.Singleton(AddTenants, tenants, clock)
    erase_tenant = providers.Singleton(EraseTenant, tenants, eraser, files, clock, randomness, sleeper)
    erase_entity = providers.Singleton(EraseEntity, eraser, clock, randomness)
    messages: providers.Dependency[MessageReports] = providers.Dependency()
    errors: providers.Dependency[ErrorGroups] = providers.Dependency()
    statistics: providers.Dependency[StatisticsSource] = providers.Dependency()
    backlog: providers.Dependency[Backlog] = providers.Dependency()
    entities: providers.Dependency[EntityReports] = providers.Dependency()

    credentials: providers.Dependency[CredentialStore] = providers.Dependency()
    sealer: providers.Dependency[Sealer] = providers.Dependency()
    tokens: providers.Dependency[TokenRecords] = providers.Dependency()

    keep_credentials = providers.Singleton(KeepCredentials, credentials, sealer, tenants, clock)
    reseal_credentials = providers.Singleton(ResealCredentials, credentials, sealer, clock)
    reseal_tokens = providers.Singleton(ResealTokens, tokens, sealer)
    held_messages = providers.Singleton(HeldMessages, units)
    trace = providers.Singleton(TraceRequest, messages, entities)
    status = providers.Singleton(StatusReport, clock, statistics, backlog, errors)
    report_sources = providers.Singleton(ReportSources, units, tenants, clock)
    reset_source = providers.Singleton(ResetSource, units, clock, observer)
    order_backfill = providers.Singleton(OrderBackfill, units, tenants, clock, randomness)
    entity_history = providers.Singleton(EntityHistory, entities)
