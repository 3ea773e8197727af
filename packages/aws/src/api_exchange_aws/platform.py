"""AWS, as a platform that the command `api-exchange` works on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from dependency_injector import providers

from api_exchange_aws.containers import AwsParts
from api_exchange_aws.settings import settings_from_environment
from api_exchange_aws.sqs.dead_letters import SqsDeadLetters
from api_exchange_core.adapters.sql.backlog import BacklogOfQueuesElsewhere
from api_exchange_core.adapters.sql.dead_letter_jobs import SqlDeadLetterJobs
from api_exchange_core.adapters.sql.entity_reports import SqlEntityReports
from api_exchange_core.adapters.sql.error_groups import SqlErrorGroups
from api_exchange_core.adapters.sql.message_reports import SqlMessageReports
from api_exchange_core.adapters.sql.statistics import SqlStatisticsSource
from api_exchange_core.containers.operations import Operations


class AwsStore(AwsParts):
    """A deployment on AWS as operators see it."""

    operations = providers.Container(
        Operations,
        clock=AwsParts.clock,
        randomness=AwsParts.randomness,
        observer=AwsParts.observer,
        units=AwsParts.units,
        tenants=AwsParts.tenants,
        queues=AwsParts.inspector,
        dead_letters=providers.Singleton(
            SqsDeadLetters,
            AwsParts.sqs,
            AwsParts.queues,
            AwsParts.inspector,
            AwsParts.leases,
            AwsParts.clock,
            AwsParts.sleeper,
            AwsParts.observer,
            AwsParts.claims,
        ),
        dead_letter_jobs=providers.Singleton(SqlDeadLetterJobs, AwsParts.engine),
        sleeper=AwsParts.sleeper,
        files=AwsParts.files,
        eraser=AwsParts.eraser,
        messages=providers.Singleton(SqlMessageReports, AwsParts.engine),
        errors=providers.Singleton(SqlErrorGroups, AwsParts.engine),
        statistics=providers.Singleton(SqlStatisticsSource, AwsParts.engine),
        backlog=providers.Singleton(BacklogOfQueuesElsewhere, AwsParts.engine, AwsParts.inspector),
        entities=providers.Singleton(SqlEntityReports, AwsParts.engine),
        credentials=AwsParts.credentials,
        sealer=AwsParts.sealer,
        tokens=AwsParts.token_store,
    )


@contextmanager
def store(database_url: str | None) -> Iterator[AwsStore]:
    """The stores that the environment tells of.

    Args:
        database_url: of the database, in place of the environment's.

    Raises:
        DeclarationError: a setting is missing or wrong; says which, and no value.
    """
    opened = AwsStore(settings=providers.Object(settings_from_environment(database_url)))
    engine = opened.engine()
    try:
        yield opened
    finally:
        engine.dispose()
