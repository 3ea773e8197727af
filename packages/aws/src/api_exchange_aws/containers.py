"""The adapters of AWS, and an SQL database, under the use cases."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Final

from botocore.session import Session
from dependency_injector import containers, providers

from api_exchange_aws.clients import (
    dynamodb_client,
    kms_client,
    rds_client,
    s3_client,
    secrets_manager_client,
    sqs_client,
    ssm_client,
)
from api_exchange_aws.database_password import IamDatabasePassword
from api_exchange_aws.dynamodb.token_store import DynamoDbTokenStore
from api_exchange_aws.emf import EmfObserver
from api_exchange_aws.kms_secrets import KmsSecrets
from api_exchange_aws.s3.file_sink import S3FileSink
from api_exchange_aws.s3.payload_store import S3PayloadStore
from api_exchange_aws.secrets import ParameterStoreSecrets, SecretsManagerSecrets, SecretsWhenAsked
from api_exchange_aws.settings import AwsSettings, settings_from_environment
from api_exchange_aws.sqs.consumer import SqsMessageConsumer
from api_exchange_aws.sqs.inspector import SqsQueueInspector
from api_exchange_aws.sqs.publisher import SqsMessagePublisher
from api_exchange_aws.sqs.queues import Queues
from api_exchange_aws.sqs.settling import Settling
from api_exchange_core.adapters.claim_check.queues import ClaimCheck, ClaimCheckConsumer, ClaimCheckPublisher
from api_exchange_core.adapters.crypto.aes_gcm import AesGcmSealer
from api_exchange_core.adapters.erasure.apart import LARGE_CONTENTS, ErasesApartToo
from api_exchange_core.adapters.files.file_sink import LocalFileSink
from api_exchange_core.adapters.files.no_files import NoFiles
from api_exchange_core.adapters.sql.budgets import SqlBudgets
from api_exchange_core.adapters.sql.credential_store import SqlCredentialStore
from api_exchange_core.adapters.sql.engine import create_engine_for
from api_exchange_core.adapters.sql.eraser import SqlEraser
from api_exchange_core.adapters.sql.leases import SqlLeases
from api_exchange_core.adapters.sql.outbox_relay_source import SqlOutboxRelaySource
from api_exchange_core.adapters.sql.postgres_engine import MakePassword
from api_exchange_core.adapters.sql.request_log import SqlRequestLog
from api_exchange_core.adapters.sql.retention_store import SqlRetentionStore
from api_exchange_core.adapters.sql.tenant_directory import SqlTenantDirectory
from api_exchange_core.adapters.sql.token_store import SqlTokenStore
from api_exchange_core.adapters.sql.unit_of_work import SqlUnitOfWorkFactory
from api_exchange_core.adapters.system.clock import SystemClock
from api_exchange_core.adapters.system.randomness import SystemRandomness
from api_exchange_core.adapters.system.sleeper import SystemSleeper
from api_exchange_core.adapters.telemetry.observers import TelemetryObserver
from api_exchange_core.containers.use_cases import UseCases
from api_exchange_core.domain.exchange import Exchange
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.erasure import Eraser, HeldApart
from api_exchange_core.ports.file_sink import FileSink
from api_exchange_core.ports.message_consumer import MessageConsumer
from api_exchange_core.ports.message_publisher import MessagePublisher
from api_exchange_core.ports.observer import Observer
from api_exchange_core.ports.payload_store import PayloadStore
from api_exchange_core.ports.randomness import Randomness
from api_exchange_core.ports.secret_source import SecretSource
from api_exchange_core.ports.token_store import TokenStore

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_s3 import S3Client
    from sqlalchemy import Engine


_NO_FILES: Final = (
    "set API_EXCHANGE_OUTPUT_BUCKET, or API_EXCHANGE_OUTPUT_FOLDER to a file system that lasts and is "
    "mounted (EFS)"
)


def _engine(
    settings: AwsSettings, secrets: Callable[[], SecretSource], password: Callable[[], MakePassword]
) -> Engine:
    """Connections are used as a pooler in between likes it: RDS Proxy pins none of them.

    Args:
        settings: say where the database is.
        secrets: makes their source, which is needed only if the URL is one.
        password: makes what makes passwords, which is needed only if the URL has none.
    """
    made = password() if settings.database_identity else None
    if settings.database_url is not None:
        return create_engine_for(settings.database_url.get_secret_value(), password=made)
    url = secrets().secret(settings.database_url_secret or "").decode().strip()
    return create_engine_for(url, password=made)


def _keys(settings: AwsSettings, secrets: SecretSource, client: Callable[[], KMSClient]) -> SecretSource:
    """Where the keys that are sealed with come from."""
    if settings.keys_encrypted is None:
        return secrets
    encrypted = {settings.keys_secret: settings.keys_encrypted.get_secret_value()}
    unwrapped = cache(lambda: KmsSecrets(client(), encrypted))
    return SecretsWhenAsked(unwrapped)


def _token_store(
    settings: AwsSettings, engine: Engine, clock: Clock, client: Callable[[], DynamoDBClient]
) -> TokenStore:
    """In a table of their own, if there is one: it takes more instances at once than a database has connections."""
    if settings.token_table is None:
        return SqlTokenStore(engine)
    return DynamoDbTokenStore(client(), settings.token_table, clock)


def _eraser(engine: Engine, tokens: TokenStore, claims: ClaimCheck | None) -> Eraser:
    apart: dict[str, HeldApart] = {}
    if isinstance(tokens, DynamoDbTokenStore):
        apart[tokens.table] = tokens
    if claims is not None:
        apart[LARGE_CONTENTS] = claims.store
    return ErasesApartToo(SqlEraser(engine), apart)


def _files(
    settings: AwsSettings, client: Callable[[], S3Client], clock: Clock, randomness: Randomness
) -> FileSink:
    if settings.output_bucket is not None:
        return S3FileSink(client(), settings.output_bucket, clock, randomness)
    return NoFiles(_NO_FILES) if settings.output_folder is None else LocalFileSink(settings.output_folder)


def _claims(settings: AwsSettings, payloads: Callable[[], PayloadStore]) -> ClaimCheck | None:
    return None if settings.payload_bucket is None else ClaimCheck(payloads(), settings.message_limit)


def _publisher(publisher: MessagePublisher, claims: ClaimCheck | None) -> MessagePublisher:
    return publisher if claims is None else ClaimCheckPublisher(publisher, claims)


def _consumer(consumer: MessageConsumer, claims: ClaimCheck | None) -> MessageConsumer:
    return consumer if claims is None else ClaimCheckConsumer(consumer, claims)


def _observer(settings: AwsSettings, exchange: Exchange, clock: Clock) -> Observer:
    observer = TelemetryObserver()
    if not settings.metrics_namespace:
        return observer
    return EmfObserver(
        others=observer, namespace=settings.metrics_namespace, exchange=exchange.name, clock=clock
    )


class AwsParts(containers.DeclarativeContainer):
    """What a deployment on AWS is made of: messages in SQS, tokens in DynamoDB if a table is named, else in PostgreSQL.

    Nothing connects or asks for a secret before it is used.
    """

    settings = providers.Dependency(instance_of=AwsSettings)

    clock = providers.Singleton(SystemClock)
    randomness = providers.Singleton(SystemRandomness)
    sleeper = providers.Singleton(SystemSleeper)
    observer: providers.Singleton[Observer] = providers.Singleton(TelemetryObserver)

    session = providers.Singleton(Session)
    secrets: providers.Selector[SecretSource] = providers.Selector(
        settings.provided.secrets,
        secretsmanager=providers.Singleton(
            SecretsManagerSecrets, providers.Singleton(secrets_manager_client, session)
        ),
        parameterstore=providers.Singleton(ParameterStoreSecrets, providers.Singleton(ssm_client, session)),
    )
    database_password = providers.Singleton(IamDatabasePassword, providers.Singleton(rds_client, session))
    engine: providers.Singleton[Engine] = providers.Singleton(
        _engine, settings, secrets.provider, database_password.provider
    )
    outbox = providers.Singleton(SqlOutboxRelaySource, engine)
    tenants = providers.Singleton(SqlTenantDirectory, engine)
    units = providers.Singleton(SqlUnitOfWorkFactory, engine, queues_here=False)
    credentials = providers.Singleton(SqlCredentialStore, engine)
    secrets_when_asked = providers.Singleton(SecretsWhenAsked, secrets.provider)
    kms = providers.Singleton(kms_client, session)
    sealer = providers.Singleton(
        AesGcmSealer,
        providers.Singleton(_keys, settings, secrets_when_asked, kms.provider),
        clock,
        keyring=settings.provided.keys_secret,
    )
    dynamodb = providers.Singleton(dynamodb_client, session)
    token_store = providers.Singleton(_token_store, settings, engine, clock, dynamodb.provider)
    retention = providers.Singleton(SqlRetentionStore, engine)
    leases = providers.Singleton(SqlLeases, engine)
    s3 = providers.Singleton(s3_client, session)
    files = providers.Singleton(_files, settings, s3.provider, clock, randomness)

    payloads: providers.Singleton[PayloadStore] = providers.Singleton(
        S3PayloadStore, s3, settings.provided.payload_bucket
    )
    claims: providers.Singleton[ClaimCheck | None] = providers.Singleton(_claims, settings, payloads.provider)
    eraser = providers.Singleton(_eraser, engine, token_store, claims)

    sqs = providers.Singleton(sqs_client, session)
    queues = providers.Singleton(Queues, sqs, settings.provided.queue_prefix)
    inspector = providers.Singleton(SqsQueueInspector, sqs, queues)


class AwsContainer(AwsParts):
    """An exchange on AWS: its stores, and what runs on them."""

    exchange = providers.Dependency(instance_of=Exchange)
    observer: providers.Singleton[Observer] = providers.Singleton(
        _observer, AwsParts.settings, exchange, AwsParts.clock
    )

    publisher: providers.Singleton[MessagePublisher] = providers.Singleton(
        _publisher,
        providers.Singleton(SqsMessagePublisher, AwsParts.sqs, AwsParts.queues, AwsParts.clock),
        AwsParts.claims,
    )
    settling = providers.Singleton(Settling, AwsParts.sqs, AwsParts.queues, AwsParts.clock)
    consumer: providers.Singleton[MessageConsumer] = providers.Singleton(
        _consumer,
        providers.Singleton(
            SqsMessageConsumer,
            AwsParts.sqs,
            AwsParts.queues,
            AwsParts.clock,
            settling,
            wait=providers.Factory(timedelta, seconds=AwsParts.settings.provided.poll_wait),
        ),
        AwsParts.claims,
    )

    use_cases = providers.Container(
        UseCases,
        exchange=exchange,
        clock=AwsParts.clock,
        randomness=AwsParts.randomness,
        observer=observer,
        sleeper=AwsParts.sleeper,
        units=AwsParts.units,
        tenants=AwsParts.tenants,
        publisher=publisher,
        files=AwsParts.files,
        outbox=AwsParts.outbox,
        leases=AwsParts.leases,
        retention=AwsParts.retention,
        eraser=AwsParts.eraser,
        credentials=AwsParts.credentials,
        sealer=AwsParts.sealer,
        requests=providers.Singleton(SqlRequestLog, AwsParts.engine),
        secrets=AwsParts.secrets_when_asked,
        budgets=providers.Singleton(SqlBudgets, AwsParts.engine),
        token_store=AwsParts.token_store,
    )


def aws_container(
    exchange: Exchange, settings: AwsSettings | None = None, *, observer: Observer | None = None
) -> AwsContainer:
    """The container of *exchange* on AWS, with every slot filled.

    Args:
        exchange: the application.
        settings: read from the environment if not given.
        observer: hears what happens, in place of logs, metrics and spans.

    Raises:
        DeclarationError: a setting is missing or wrong.
    """
    container = AwsContainer(
        exchange=providers.Object(exchange),
        settings=providers.Object(settings_from_environment() if settings is None else settings),
    )
    if observer is not None:
        container.observer.override(providers.Object(observer))
    container.check_dependencies()
    return container
