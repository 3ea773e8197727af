"""Reading the table of tokens, and writing to it on a condition."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from azure.core import MatchConditions
from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.data.tables import TableClient, TableErrorCode, UpdateMode

from api_exchange_azure.errors import code_of, translated
from api_exchange_azure.tables.token_entities import (
    CHANGED_AT,
    PARTITION,
    ROW,
    KeptToken,
    address,
    entity_of,
    rows_of,
    token_in,
)
from api_exchange_core.adapters.tokens.row import TokenRow
from api_exchange_core.domain.api_token import TokenKey
from api_exchange_core.domain.names import TenantId, tenant_id

_MISSING_TABLE: Final = TableErrorCode.TABLE_NOT_FOUND.value
_INSERTS_TOO: Final = ("POST",)
"""Inserts are sent again as well if nothing is heard: they fail where there is an entity, so it does no harm."""
_EVERY: Final = f"{PARTITION} ne ''"
_OF_TENANT: Final = f"{PARTITION} eq @tenant"
_OF_KEY: Final = f"{_OF_TENANT} and {ROW} ge @first and {ROW} lt @end"
_UNCHANGED: Final = f"{CHANGED_AT} le @before"


@dataclass(frozen=True, slots=True)
class TokenTable:
    """The entities of a table, as they are in `token_entities`. All reads are consistent.

    Args:
        client: of the table.
    """

    client: TableClient

    def every(self) -> Iterator[KeptToken]:
        """All there are."""
        return self._query(_EVERY)

    def of_tenant(self, tenant: TenantId) -> Iterator[KeptToken]:
        """Those of a tenant."""
        return self._query(_OF_TENANT, tenant=tenant_id(tenant))

    def of_key(self, key: TokenKey) -> Iterator[KeptToken]:
        """The slots of *key*."""
        first, end = rows_of(key)
        return self._query(_OF_KEY, tenant=tenant_id(key.tenant_id), first=first, end=end)

    def unchanged_since(self, before: datetime) -> Iterator[KeptToken]:
        """Those that nobody has changed after *before*; the service reads all of them for that."""
        return self._query(_UNCHANGED, before=before)

    def find(self, key: TokenKey, slot: int) -> KeptToken | None:
        """One slot."""
        with translated("read an entity", self._named):
            try:
                return token_in(self.client.get_entity(*address(key, slot)))
            except ResourceNotFoundError as error:
                if code_of(error) == _MISSING_TABLE:
                    raise
                return None

    def write(
        self, key: TokenKey, slot: int, row: TokenRow, *, written_by: str, over: KeptToken | None
    ) -> bool:
        """Put *row* in the place of what was read there, whole.

        Args:
            key: what its token is for.
            slot: which of its slots.
            row: what to keep.
            written_by: the name of this write.
            over: what was read; None if there was nothing.

        Returns:
            False if something else is there: of another, or of this very write, if its answer was lost.
        """
        entity = entity_of(key, slot, row, written_by=written_by)
        with translated("write an entity", self._named):
            try:
                if over is None:
                    self.client.create_entity(entity, retry_on_methods=_INSERTS_TOO)
                else:
                    self.client.update_entity(
                        entity,
                        UpdateMode.REPLACE,
                        etag=over.etag,
                        match_condition=MatchConditions.IfNotModified,
                    )
            except (ResourceExistsError, ResourceModifiedError):
                return False
            except ResourceNotFoundError as error:
                if over is None or code_of(error) == _MISSING_TABLE:
                    raise
                return False
            return True

    def remove(self, kept: KeptToken, *, if_unchanged: bool) -> bool:
        """Remove a slot; False if it is not, since somebody has changed it meanwhile."""
        condition: dict[str, Any] = (
            {"etag": kept.etag, "match_condition": MatchConditions.IfNotModified} if if_unchanged else {}
        )
        with translated("delete an entity", self._named):
            try:
                self.client.delete_entity(*address(kept.key, kept.slot), **condition)
            except ResourceModifiedError:
                return False
            return True

    @property
    def name(self) -> str:
        """Its name."""
        return self.client.table_name

    def _query(self, text: str, **parameters: Any) -> Iterator[KeptToken]:
        with translated("query", self._named):
            for entity in self.client.query_entities(text, parameters=parameters):
                yield token_in(entity)

    @property
    def _named(self) -> str:
        return f"table {self.name!r}"
