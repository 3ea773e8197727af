"""Files where there is no disk that lasts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from typing_extensions import override

from api_exchange_core.domain.errors import PermanentError
from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.file_sink import FileSink


@dataclass(frozen=True, slots=True)
class NoFiles(FileSink):
    """Refuses every line: the disk of a function goes with its instance.

    The line stays in the outbox, which tells of it, until somebody has done what errors say.

    Args:
        mend: what to do, such as "set API_EXCHANGE_OUTPUT_FOLDER to ...".
    """

    mend: str

    @override
    def append(self, tenant_id: TenantId, name: str, lines: Sequence[bytes]) -> None:
        raise PermanentError(f"there is no place for file {name!r}: {self.mend}, or send to a queue instead")

    @override
    def erase(self, tenant_id: TenantId) -> int:
        return 0
