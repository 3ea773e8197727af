"""The application over its ports."""

from __future__ import annotations

from dependency_injector import containers, providers

from api_exchange_core.adapters.json.canonical_encoder import OrjsonCanonicalEncoder
from api_exchange_core.adapters.system.sleeper import SystemSleeper
from api_exchange_core.application.accept_request import AcceptRequest
from api_exchange_core.application.api_tokens import ApiTokens
from api_exchange_core.application.budget_shares import BudgetShares
from api_exchange_core.application.call_runner import CallRunner
from api_exchange_core.application.chores import (
    DoChore,
    count_token_uses,
    purge_expired,
    relay_outbox,
    sweep_erased,
    sweep_tokens,
)
from api_exchange_core.application.claims import Claims
from api_exchange_core.application.credential_reader import CredentialReader
from api_exchange_core.application.entity_service import EntityService
from api_exchange_core.application.erase import EraseTenant
from api_exchange_core.application.failures import Failures
from api_exchange_core.application.flush import Flush
from api_exchange_core.application.forwarding import Forwarding
from api_exchange_core.application.intake_limits import IntakeLimits
from api_exchange_core.application.outbox_relay import OutboxRelay
from api_exchange_core.application.processor_handler import ProcessorHandler
from api_exchange_core.application.prove_tenant import ProveTenant
from api_exchange_core.application.purge import PurgeExpired
from api_exchange_core.application.reception import Reception
from api_exchange_core.application.send_message import SendMessage
from api_exchange_core.application.services import Services
from api_exchange_core.application.tenant_gate import TenantGate
from api_exchange_core.application.tick import FanOutTick
from api_exchange_core.application.webhook_secrets import StoredWebhookSecrets
from api_exchange_core.domain.content_hash import ContentHasher
from api_exchange_core.domain.exchange import Exchange
from api_exchange_core.ports.budgets import Budgets
from api_exchange_core.ports.canonical_encoder import CanonicalEncoder
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.credential_store import CredentialStore
from api_exchange_core.ports.erasure import Eraser
from api_exchange_core.ports.file_sink import FileSink
from api_exchange_core.ports.leases import Leases
from api_exchange_core.ports.message_publisher import MessagePublisher
from api_exchange_core.ports.observer import Observer
from api_exchange_core.ports.outbox import OutboxRelaySource
from api_exchange_core.ports.randomness import Randomness
from api_exchange_core.ports.request_log import RequestLog
from api_exchange_core.ports.retention import RetentionStore
from api_exchange_core.ports.sealer import Sealer
from api_exchange_core.ports.secret_source import SecretSource
from api_exchange_core.ports.sleeper import Sleeper
from api_exchange_core.ports.tenant_directory import TenantDirectory
from api_exchange_core.ports.token_store import TokenStore
from api_exchange_core.ports.unit_of_work import UnitOfWorkFactory


class UseCases(containers.DeclarativeContainer):
    """The application over its ports."""

    exchange = providers.Dependency(instance_of=Exchange)
    encoder: providers.Dependency[CanonicalEncoder] = providers.Dependency(
        default=providers.Singleton(OrjsonCanonicalEncoder)
    )
    sleeper: providers.Dependency[Sleeper] = providers.Dependency(default=providers.Singleton(SystemSleeper))
    clock: providers.Dependency[Clock] = providers.Dependency()
    randomness: providers.Dependency[Randomness] = providers.Dependency()
    observer: providers.Dependency[Observer] = providers.Dependency()
    units: providers.Dependency[UnitOfWorkFactory] = providers.Dependency()
    tenants: providers.Dependency[TenantDirectory] = providers.Dependency()
    publisher: providers.Dependency[MessagePublisher] = providers.Dependency()
    files: providers.Dependency[FileSink] = providers.Dependency()
    outbox: providers.Dependency[OutboxRelaySource] = providers.Dependency()
    leases: providers.Dependency[Leases] = providers.Dependency()
    retention: providers.Dependency[RetentionStore] = providers.Dependency()
    eraser: providers.Dependency[Eraser] = providers.Dependency()
    credentials: providers.Dependency[CredentialStore] = providers.Dependency()
    sealer: providers.Dependency[Sealer] = providers.Dependency()
    requests: providers.Dependency[RequestLog] = providers.Dependency()
    secrets: providers.Dependency[SecretSource] = providers.Dependency()
    budgets: providers.Dependency[Budgets] = providers.Dependency()
    token_store: providers.Dependency[TokenStore] = providers.Dependency()

    hasher = providers.Singleton(ContentHasher, encode=encoder, volatile=exchange.provided.volatile_fields)
    gate = providers.Singleton(TenantGate, tenants, clock, config_model=exchange.provided.tenant_config)
    failures = providers.Singleton(Failures, units, clock, randomness, observer)
    reception = providers.Singleton(Reception, gate, units, failures, observer)
    claims = providers.Singleton(Claims, units, failures, clock, observer)
    credential_reader = providers.Singleton(CredentialReader, credentials, sealer, clock)
    tokens = providers.Singleton(ApiTokens, token_store, sealer, clock, sleeper, randomness, observer)
    budget_shares = providers.Singleton(BudgetShares, budgets, clock)
    services = providers.Singleton(
        Services,
        clock,
        sleeper,
        randomness,
        observer,
        credentials=credential_reader,
        budgets=budget_shares,
        tokens=tokens,
    )
    calls = providers.Singleton(CallRunner, services)
    forwarding = providers.Singleton(Forwarding, exchange.provided.name)
    flush = providers.Singleton(Flush, units, hasher, forwarding, clock)
    relay = providers.Singleton(OutboxRelay, outbox, publisher, files, clock, observer)
    handler = providers.Singleton(
        ProcessorHandler,
        reception=reception,
        claims=claims,
        runner=calls,
        flush=flush,
        relay=relay,
        failures=failures,
        units=units,
        hasher=hasher,
        clock=clock,
        observer=observer,
    )
    fan_out = providers.Singleton(FanOutTick, exchange.provided.name, tenants, publisher, clock, observer)
    sender = providers.Singleton(SendMessage, exchange.provided.name, publisher, clock, randomness, observer)
    webhook_secrets = providers.Singleton(StoredWebhookSecrets, credential_reader, secrets, clock)
    prove = providers.Singleton(ProveTenant, tenants, webhook_secrets, clock, observer)
    limits = providers.Singleton(IntakeLimits, clock)
    accept = providers.Singleton(AcceptRequest, prove, sender, requests, limits, clock)
    entity_service = providers.Singleton(EntityService, units, hasher, clock)

    purge = providers.Singleton(PurgeExpired, retention, exchange.provided.retention, clock, sleeper)
    erase_tenant = providers.Singleton(EraseTenant, tenants, eraser, files, clock, randomness, sleeper)
    chores = providers.List(
        providers.Singleton(relay_outbox, relay),
        providers.Singleton(purge_expired, purge),
        providers.Singleton(sweep_erased, erase_tenant),
        providers.Singleton(count_token_uses, tokens),
        providers.Singleton(sweep_tokens, token_store),
    )
    do_chore = providers.Singleton(DoChore, leases, clock, observer, owner=randomness.provided.new_id.call())
