"""The tables.

Each row that belongs to a tenant says so first: ``tenant_id`` leads primary keys and indexes, so that a tenant's rows
lie together and every statement of the repositories is answered from one index. There are few indexes, since each
is paid for by every message.

What the domain checks has a column as wide as its check; the rest is ``text``, so that no database cuts it or
refuses it. There are no foreign keys on the hot path: versions, journal and heads are written in one transaction
by one piece of code, and a key to ``tenants`` would make every insert lock its tenant's row.
"""

from __future__ import annotations

from api_exchange_core.adapters.sql.schema.access_tables import api_tokens, credentials, rate_budgets
from api_exchange_core.adapters.sql.schema.chore_tables import chore_leases
from api_exchange_core.adapters.sql.schema.columns import metadata
from api_exchange_core.adapters.sql.schema.entity_tables import checkpoints, entities, entity_versions
from api_exchange_core.adapters.sql.schema.failure_tables import (
    dead_letter_job_items,
    dead_letter_jobs,
    error_groups,
    errors,
)
from api_exchange_core.adapters.sql.schema.message_tables import FAILED, journal, outbox, queue, requests
from api_exchange_core.adapters.sql.schema.tenant_tables import api_keys, erasures, tenants

__all__ = [
    "FAILED",
    "api_keys",
    "api_tokens",
    "checkpoints",
    "chore_leases",
    "credentials",
    "dead_letter_job_items",
    "dead_letter_jobs",
    "entities",
    "entity_versions",
    "erasures",
    "error_groups",
    "errors",
    "journal",
    "metadata",
    "outbox",
    "queue",
    "rate_budgets",
    "requests",
    "tenants",
]
