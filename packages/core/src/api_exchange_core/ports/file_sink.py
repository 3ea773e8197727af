"""Writing lines to files."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol

from api_exchange_core.domain.names import TenantId


class FileSink(Protocol):
    """Keeps JSON Lines files, each tenant's in a folder of its own that no name leads out of."""

    @abstractmethod
    def append(self, tenant_id: TenantId, name: str, lines: Sequence[bytes]) -> None:
        """Append *lines*, which hold no line break.

        What stands before the last line break of a file are whole lines, in order, at any moment; a reader leaves
        what comes after it to later. Durable when this returns. Called again with the same lines it appends them
        again.

        Raises:
            TransientError: nothing, or a part that the next call repairs, was written.
            PermanentError: *name* leads out of the tenant's folder.
        """

    @abstractmethod
    def erase(self, tenant_id: TenantId) -> int:
        """Remove all files of a tenant; how many these were.

        Raises:
            TransientError: some are left; calling again removes them.
        """
