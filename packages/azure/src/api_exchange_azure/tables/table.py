"""The table of tokens, as whoever deploys has to make it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api_exchange_azure.errors import translated

if TYPE_CHECKING:
    from azure.data.tables import TableServiceClient


def create_token_table(service: TableServiceClient, name: str) -> None:
    """Make the table, unless it is there.

    A template says the same in its own words; this is for tests and for trying things out.

    Raises:
        PermanentError: this identity may not, or *name* can be none: 3 to 63 letters and digits, a letter first.
        TransientError: it may not be there.
    """
    with translated("create", f"table {name!r}"):
        service.create_table_if_not_exists(name)
