"""SQLite: a file that any number of threads and processes read while one writes."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event

from api_exchange_core.adapters.sql.fair_lock import FairLock
from api_exchange_core.domain.errors import DeclarationError, TransientError

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry

READ_ONLY: Final = "api_exchange_read_only"
"""Execution option of a connection whose transactions only read, and so do not wait for the writer."""

WAIT_FOR_WRITER: Final = timedelta(seconds=5)
"""How long one writer waits for others: for threads of this process in turn, then for other processes by SQLite's
own busy timeout."""

_OLDEST: Final = (3, 35, 0)  # has RETURNING ("SQLite Release 3.35.0")
_ANY_NUMBER: Final = -1  # of connections: each is an open file, and a writer that waits has one in hand
_IS_WRITING: Final = "api_exchange_is_writing"


def sqlite_engine(url: URL, **options: Any) -> Engine:
    """An engine for the file at *url*.

    Raises:
        DeclarationError: it names no file, or one in no folder that there is, or this Python's SQLite is too old.
    """
    if not url.database or url.database == ":memory:":
        raise DeclarationError(
            "an SQLite database is a file that threads and processes share: use sqlite:///FILE"
        )
    folder = Path(url.database).parent
    if not url.database.startswith("file:") and not folder.is_dir():
        raise DeclarationError(f"there is no folder {str(folder)!r} for the SQLite database: make it first")
    if sqlite3.sqlite_version_info < _OLDEST:
        raise DeclarationError(
            f"this Python has SQLite {sqlite3.sqlite_version}; 3.35 is the oldest that will do"
        )
    engine = create_engine(url.set(drivername="sqlite+pysqlite"), max_overflow=_ANY_NUMBER, **options)
    event.listen(engine, "connect", _configure)
    _take_turns(engine)
    return engine


def _configure(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
    """Make a connection ours: transactions begin when we say so, and what is committed stays.

    ``synchronous = FULL`` syncs the log at each commit. With ``NORMAL``, the usual advice for WAL, the last commits
    may be gone after a power failure ("PRAGMA synchronous"): messages that were acknowledged to their sender. It would
    make commits of one message 1.6 times as fast, and those of a hundred 1.1 times.
    """
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {WAIT_FOR_WRITER // timedelta(milliseconds=1)}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _take_turns(engine: Engine) -> None:
    """Begin writing transactions with the write lock, one thread after the other.

    ``BEGIN IMMEDIATE`` takes the lock before anything is read, since a transaction that has read cannot wait for it
    any more. Threads wait in a queue of our own: SQLite's busy timeout sleeps and tries again, in no order.
    """
    turns = FairLock()

    def begin(connection: Connection) -> None:
        if connection.get_execution_options().get(READ_ONLY, False):
            connection.exec_driver_sql("BEGIN")
            return
        if not turns.acquire(timeout=WAIT_FOR_WRITER.total_seconds()):
            raise TransientError(f"SQLite: other threads have been writing for {WAIT_FOR_WRITER}")
        connection.info[_IS_WRITING] = True
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    def end(_: DBAPIConnection | None, entry: ConnectionPoolEntry, *__: object) -> None:
        if entry.info.pop(_IS_WRITING, False):
            turns.release()

    event.listen(engine, "begin", begin)
    event.listen(engine, "checkin", end)
    event.listen(engine, "invalidate", end)
