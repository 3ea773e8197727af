"""Carrying out what was committed to the outbox."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from api_exchange_core.domain.errors import PermanentError, TransientError
from api_exchange_core.domain.names import TenantId
from api_exchange_core.ports.clock import Clock
from api_exchange_core.ports.file_sink import FileSink
from api_exchange_core.ports.message_publisher import MessagePublisher, Outgoing
from api_exchange_core.ports.observer import Observer
from api_exchange_core.ports.outbox import OutboxRelaySource, OutboxRow, OutgoingLine

_MOST_DOUBLINGS = 16  # far beyond any wait, and far from what overflows


@dataclass(frozen=True, slots=True)
class OutboxRelay:
    """Sends outbox rows and takes them off afterwards, so that each is sent at least once.

    Args:
        source: the outbox.
        publisher: sends messages.
        files: keeps the output files.
        clock: tells the time.
        observer: hears of rows that cannot be sent.
        batch: most rows of one claim.
        lease: how long a claim holds; longer than sending a batch takes.
        postponed: for how long a row is put off that cannot be sent; twice as long each time.
        postponed_at_most: and never longer than this, so that it goes out soon after somebody has mended the cause.
    """

    source: OutboxRelaySource
    publisher: MessagePublisher
    files: FileSink
    clock: Clock
    observer: Observer
    batch: int = 100
    lease: timedelta = timedelta(seconds=60)
    postponed: timedelta = timedelta(minutes=1)
    postponed_at_most: timedelta = timedelta(hours=1)

    def sweep(self) -> int:
        """Carry out one batch of rows that are due: what a process that died has left behind.

        Returns:
            How many rows were claimed; fewer than `batch` means that no more were due.

        Raises:
            TransientError: some were not sent; they come up again after the lease.
        """
        rows = self.source.claim(now=self.clock.now(), limit=self.batch, lease=self.lease)
        self.carry_out(rows)
        return len(rows)

    def carry_out(self, rows: Sequence[OutboxRow]) -> None:
        """Send *rows* in their order and take them off.

        A row that can never be sent stays in the outbox, is told to the observer, and holds up no other: it is put
        off for longer and longer, so that many of them do not fill every sweep. Neither does a file that cannot be
        written for now hold up others: what was sent beside it is taken off, and not sent again.

        Raises:
            TransientError: some were not sent; those were not taken off.
        """
        done: list[OutboxRow] = []
        failed: TransientError | None = None
        try:
            for part in _parts(rows):
                try:
                    self._carry_out_part(part, done)
                except TransientError as error:
                    failed = error
        finally:
            if done:
                self.source.sent([row.id for row in done])
        if failed is not None:
            raise failed

    def _carry_out_part(self, rows: Sequence[OutboxRow], done: list[OutboxRow]) -> None:
        try:
            self._send(rows)
        except PermanentError as error:
            if len(rows) == 1:
                self._postpone(rows[0], error)
                return
            for row in rows:
                self._carry_out_part([row], done)
        else:
            done += rows

    def _postpone(self, row: OutboxRow, error: PermanentError) -> None:
        doublings = min(row.attempts, _MOST_DOUBLINGS)
        wait = min(self.postponed * 2**doublings, self.postponed_at_most)
        self.source.postpone([row.id], until=self.clock.now() + wait)
        self.observer.event(
            "outbox.stuck",
            outbox_id=row.id,
            attempts=row.attempts + 1,
            again_in=wait.total_seconds(),
            error=type(error).__name__,
            reason=str(error),
        )

    def _send(self, rows: Sequence[OutboxRow]) -> None:
        """Send rows that go to one place: the publisher, or one file."""
        messages = [row.effect for row in rows if isinstance(row.effect, Outgoing)]
        if messages:
            self.publisher.publish(messages)
        lines = [row.effect for row in rows if isinstance(row.effect, OutgoingLine)]
        if lines:
            self.files.append(lines[0].tenant_id, lines[0].name, [line.line for line in lines])


def _parts(rows: Sequence[OutboxRow]) -> Iterable[Sequence[OutboxRow]]:
    """The messages, and the lines of each file, in their order."""
    parts: dict[tuple[TenantId, str] | None, list[OutboxRow]] = {}
    for row in rows:
        effect = row.effect
        place = (effect.tenant_id, effect.name) if isinstance(effect, OutgoingLine) else None
        parts.setdefault(place, []).append(row)
    return parts.values()
